/* SPDX-License-Identifier: MIT */
/* Counts the words of files and of whole directory trees with a pool of processes.
 *
 * The text is cut into pieces, large files into several. A worker counts one piece into a table of
 * its own and packs it into a block of shared memory, whose address is all that travels back: the
 * main process merges the table and frees the block. The pieces go through mp_pool_imap(), so
 * memory stays bounded: of those that are counted and not yet merged there are no more than its
 * window. */
#define _DEFAULT_SOURCE
#include "wordtable.h"

#include <errno.h>
#include <fts.h>
#include <getopt.h>
#include <inttypes.h>
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, WINDOW = 128 };

struct piece {
    const char *path;
    off_t begin, end; /* as wordtable_read() takes them */
};

struct list {
    struct piece *pieces;
    size_t used, room, files;
    size_t next; /* to be counted */
};

static int exit_status = EXIT_SUCCESS;

/* Reports what does not keep the rest from being counted. */
static void complain(const char *what, const char *why)
{
    const char *wipe = isatty(STDERR_FILENO) ? "\r\033[K" : ""; /* the progress bar */

    fprintf(stderr, "%swordcount: %s: %s\n", wipe, what, why);
    exit_status = EXIT_FAILURE;
}

static _Noreturn void fail(const char *what, const char *why)
{
    complain(what, why);
    exit(EXIT_FAILURE);
}

static void check(int rc, const char *what)
{
    if (rc < 0)
        fail(what, mp_strerror(rc));
}

/* The task: from a piece to the address of its table in shared memory. */
static int count_piece(const void *in, void *out, void *context)
{
    const struct piece *piece = in;
    struct wordpack **pack = out;
    struct wordtable table = {0};
    int error = wordtable_read(&table, piece->path, piece->begin, piece->end);

    (void)context;
    if (error == 0) {
        *pack = mp_shared_alloc(wordtable_pack_size(&table));
        if (*pack != NULL)
            wordtable_pack(&table, *pack);
        else
            error = ENOMEM;
    }
    wordtable_free(&table);
    return error == 0 ? 0 : mp_task_fail(-error, "%s", strerror(error));
}

/* Gives the workers the next piece. */
static int next_piece(void *arg, void *in)
{
    struct list *list = arg;

    if (list->next == list->used)
        return MP_EEOF;
    *(struct piece *)in = list->pieces[list->next++];
    return 0;
}

/* Merges what the pieces were counted into, in their order. */
static void merge(struct list *list, mp_iterator *it, struct wordtable *table)
{
    const char *complained = NULL; /* about each file once, however many pieces it has */
    struct wordpack *pack;
    mp_task_error error;
    size_t i = 0;
    int rc;

    while ((rc = mp_iterator_next(it, &pack, &i, MP_FOREVER)) != MP_EEOF) {
        const char *path = list->pieces[i].path;
        if (rc == 0) {
            wordtable_merge(table, pack);
            mp_shared_free(pack);
        } else if (mp_last_task_error(&error) == 0) {
            check(rc, "pool");
        } else if (path != complained) {
            complain(path, error.text);
            complained = path;
            list->files--;
        }
        mp_progress_bar(i + 1, list->used, NULL);
    }
}

static void count_list(struct list *list, int processes, struct wordtable *table)
{
    mp_pool *pool;
    mp_iterator *it;

    /* The workers know the paths: they are forked here. A worker that is killed has its piece
     * counted again; what is lost then is no more than a block of shared memory. */
    check(mp_pool_new(&pool, .processes = processes, .retries = 2), "pool");
    check(mp_pool_imap(pool, &it,
                       &(mp_imap){.size = sizeof(mp_imap),
                                  .task = count_piece,
                                  .next = next_piece,
                                  .arg = list,
                                  .in_size = sizeof(struct piece),
                                  .out_size = sizeof(struct wordpack *),
                                  .window = WINDOW}),
          "pool");
    merge(list, it, table);
    mp_iterator_free(it);
    check(mp_pool_close(pool), "pool");
    check(mp_pool_join(pool, MP_FOREVER), "pool");
    mp_pool_free(pool);
    if (table->failed)
        fail("merging", strerror(ENOMEM));
}

static void add_file(struct list *list, const char *name, off_t size)
{
    const char *path = strdup(name);

    for (off_t at = 0; at == 0 || at < size; at += PIECE) {
        if (list->used == list->room) {
            list->room = list->room == 0 ? 256 : list->room * 2;
            list->pieces = realloc(list->pieces, list->room * sizeof *list->pieces);
        }
        if (path == NULL || list->pieces == NULL)
            fail(name, strerror(ENOMEM));
        off_t end = size - at > PIECE ? at + PIECE : -1;
        list->pieces[list->used++] = (struct piece){path, at, end};
    }
    list->files++;
}

/* Lists the files of the trees. A symbolic link is followed only if it was named itself. */
static void find_files(char **paths, struct list *list)
{
    FTS *tree = fts_open(paths, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    FTSENT *entry;

    if (tree == NULL)
        fail(paths[0], strerror(errno));
    while (errno = 0, (entry = fts_read(tree)) != NULL) {
        bool named = entry->fts_level == FTS_ROOTLEVEL;
        switch (entry->fts_info) {
        case FTS_F:
            add_file(list, entry->fts_path, entry->fts_statp->st_size);
            break;
        case FTS_D:
            if (!named && strcmp(entry->fts_name, ".git") == 0)
                fts_set(tree, entry, FTS_SKIP);
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            complain(entry->fts_path, strerror(entry->fts_errno));
            break;
        case FTS_SLNONE:
        case FTS_DEFAULT:
            if (named)
                complain(entry->fts_path, "not a file or directory");
            break;
        }
    }
    if (errno != 0)
        fail("walking the tree", strerror(errno));
    fts_close(tree);
}

static void free_list(struct list *list)
{
    for (size_t i = 0; i < list->used; i++)
        if (list->pieces[i].begin == 0)
            free((char *)list->pieces[i].path);
    free(list->pieces);
}

/* This library's own text, if the program is started where that is, else all that is here. */
static char **default_paths(void)
{
    static const char *own[] = {
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "include",
        "lib",       "examples",     "tests",           "docs",    "pkgconfig"};
    static char *found[sizeof own / sizeof *own + 1];
    size_t used = 0;

    if (access("include/mproc.h", F_OK) != 0)
        found[used++] = (char *)".";
    else
        for (size_t i = 0; i < sizeof own / sizeof *own; i++)
            if (access(own[i], F_OK) == 0)
                found[used++] = (char *)own[i];
    return found;
}

struct line {
    uint64_t count;
    const char *word;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line *left = a, *right = b;

    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return strcmp(left->word, right->word);
}

static void print_counts(const struct wordtable *table, size_t top, size_t files)
{
    struct line *lines = malloc((table->used + 1) * sizeof *lines);
    uint64_t total = 0;

    if (lines == NULL)
        fail("sorting", strerror(ENOMEM));
    for (size_t i = 0; i < table->used; i++) {
        lines[i] = (struct line){table->words[i].count, table->text + table->words[i].at};
        total += lines[i].count;
    }
    qsort(lines, table->used, sizeof *lines, compare_lines);
    for (size_t i = 0; i < table->used && i < top; i++)
        printf("%7" PRIu64 " %s\n", lines[i].count, lines[i].word);
    printf("%" PRIu64 " words, %zu different, in %zu files\n", total, table->used, files);
    free(lines);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("standard output", strerror(errno));
}

static const char usage[] = "usage: wordcount [-j N] [-n TOP] [FILE or DIR ...]\n";
static const char help[] =
    "Counts the words of files, and of all files in directory trees, with a pool of processes.\n"
    "\n"
    "  -j N        how many worker processes; default: one for each usable processor\n"
    "  -n TOP      how many words to print, the most frequent first; default: 10\n"
    "  -h, --help  this text\n"
    "\n"
    "A word is a run of the letters A-Z and a-z in one file; capitals count as small letters.\n"
    "So its count is the one that\n"
    "    tr -cs 'A-Za-z' '\\n' <FILE | tr A-Z a-z | sort | uniq -c\n"
    "prints (that also counts an empty line, where a file begins with something else).\n"
    "\n"
    "In a tree .git is left out, and symbolic links are not followed. Without FILE and DIR it\n"
    "counts libmproc's own text, if started in its source tree: README.md, CHANGELOG.md,\n"
    "CONTRIBUTING.md, LICENSE, Makefile, include, lib, examples, tests, docs and pkgconfig,\n"
    "as far as they exist; anywhere else, the tree of the current directory.\n"
    "\n"
    "The exit status is 0; 1 if something could not be read; 2 for a bad option.\n";

static long number(const char *text, long least, long most)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < least || value > most) {
        fprintf(stderr, "wordcount: '%s' is not a number from %ld to %ld\n%s", text, least, most,
                usage);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option, processes = 0;
    long top = 10;
    struct list list = {0};
    struct wordtable table = {0};

    while ((option = getopt_long(argc, argv, "hj:n:", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            return printf("%s%s", usage, help) < 0;
        case 'j':
            processes = (int)number(optarg, 1, 4096);
            break;
        case 'n':
            top = number(optarg, 0, LONG_MAX);
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    find_files(optind < argc ? argv + optind : default_paths(), &list);
    count_list(&list, processes, &table);
    print_counts(&table, (size_t)top, list.files);
    wordtable_free(&table);
    free_list(&list);
    return exit_status;
}
