/* SPDX-License-Identifier: MIT */
/* Adds up a web server's log in a pipeline of processes, joined by two bounded queues:
 *     reader --pieces--> parsers --records--> aggregator, the main process
 * Any parser may be killed: the piece that it had in hand comes back, as `pieces` redelivers; if
 * its record was on its way already, the aggregator sees the piece's number twice and drops the
 * second. So each line counts once. The main process starts new parsers for those killed. */
#include "support.h"

#include <string.h>
#include <unistd.h>

enum { PARSERS = 4, PIECE = 16384, LINE = 2048, CLASSES = 6, MOST_DEATHS = 100 };

struct piece {
    unsigned long long number;
    char text[PIECE]; /* whole lines, but for those that are longer than LINE */
};

/* What a piece holds: lines by the first digit of their status, at 0 those that have none. */
struct record {
    unsigned long long number, bytes, lines[CLASSES];
};

struct pipeline {
    FILE *log;
    mp_queue *pieces, *records;
    mp_waitable waits[2 + PARSERS]; /* for records, the reader's end, the parsers' ends */
    int running, deaths, twice;
    struct record total;
    bool *seen; /* of each piece's number */
    unsigned long long room;
};

static int read_log(void *arg)
{
    static struct piece piece;
    struct pipeline *p = arg;

    for (bool more = true; more; piece.number++) {
        size_t used = 0;
        piece.text[0] = '\0';
        while (more && sizeof piece.text - used >= LINE) {
            more = fgets(piece.text + used, (int)(sizeof piece.text - used), p->log) != NULL;
            used += more ? strlen(piece.text + used) : 0;
        }
        CHECK(mp_queue_put(p->pieces, &piece, offsetof(struct piece, text) + used + 1, MP_FOREVER));
    }
    CHECK(mp_queue_close(p->pieces));
    return ferror(p->log) != 0;
}

static int parse(void *arg)
{
    static struct piece piece;
    struct pipeline *p = arg;
    ssize_t length;
    char *rest;

    while ((length = mp_queue_get(p->pieces, &piece, sizeof piece, MP_FOREVER)) > 0) {
        struct record record = {.number = piece.number};
        for (char *text = piece.text, *line; (line = strtok_r(text, "\n", &rest)); text = NULL) {
            unsigned long long status = 0, bytes = 0;
            sscanf(line, "%*[^\"]\"%*[^\"]\" %3llu %llu", &status, &bytes);
            record.lines[status >= 100 && status < 600 ? status / 100 : 0]++;
            record.bytes += bytes;
        }
        CHECK(MP_PUT(p->records, record, MP_FOREVER));
        CHECK(mp_queue_task_done(p->pieces));
    }
    return length != MP_ECLOSED;
}

static void start(struct pipeline *p, int i)
{
    mp_process *process;

    CHECK(mp_process_new(&process, .target = i == 1 ? read_log : parse, .arg = p, .daemon = true));
    CHECK(mp_process_start(process));
    p->waits[i] = (mp_waitable){.kind = MP_WAIT_PROCESS, .object = process};
}

static void on_end(struct pipeline *p, int i)
{
    CHECK(mp_process_join(p->waits[i].object, MP_FOREVER));
    int code = mp_process_exitcode(p->waits[i].object);
    CHECK(mp_process_free(p->waits[i].object));
    if (code < 0 && i > 1 && p->deaths++ < MOST_DEATHS) {
        start(p, i);
    } else if (code == 0) {
        p->waits[i] = p->waits[0]; /* there is nothing else to wait for */
        p->running--;
    } else {
        fprintf(stderr, "logpipeline: the %s ended: %d\n", i == 1 ? "reader" : "parser", code);
        exit(EXIT_FAILURE);
    }
}

static void add(struct pipeline *p, const struct record *record)
{
    for (; record->number >= p->room; p->room += 4096) {
        p->seen = realloc(p->seen, p->room + 4096);
        CHECK(p->seen == NULL ? MP_ENOMEM : 0);
        memset(p->seen + p->room, 0, 4096);
    }
    bool again = p->seen[record->number];
    p->seen[record->number] = true;
    p->twice += again;
    p->total.bytes += again ? 0 : record->bytes;
    for (int i = 0; i < CLASSES; i++)
        p->total.lines[i] += again ? 0 : record->lines[i];
}

int main(int argc, char **argv)
{
    static struct pipeline p = {.running = 1 + PARSERS};
    struct record record;
    int rc;

    if (argc == 2)
        p.log = strcmp(argv[1], "-") == 0 ? fdopen(dup(STDIN_FILENO), "r") : fopen(argv[1], "r");
    if (p.log == NULL) {
        fprintf(stderr, "usage: logpipeline FILE, in the Common Log Format; - is standard input\n");
        return 2;
    }
    CHECK(mp_queue_new(&p.pieces, .maxsize = 2 * PARSERS, .on_death = MP_REDELIVER));
    CHECK(mp_queue_new(&p.records, .maxsize = 2 * PARSERS));
    p.waits[0] = (mp_waitable){.kind = MP_WAIT_QUEUE, .object = p.records};
    for (int i = 1; i < 2 + PARSERS; i++)
        start(&p, i);
    while (p.running > 0) {
        CHECK(mp_wait(p.waits, 2 + PARSERS, MP_FOREVER));
        for (int i = 1; i < 2 + PARSERS; i++)
            if (p.waits[i].kind == MP_WAIT_PROCESS && p.waits[i].revents != 0)
                on_end(&p, i);
        while ((rc = MP_GET(p.records, &record, MP_NO_WAIT)) == 0)
            add(&p, &record);
        CHECK(rc == MP_EEMPTY || rc == MP_EAGAIN ? 0 : rc);
    }
    for (int i = 1; i < CLASSES; i++)
        printf("%dxx   %9llu\n", i, p.total.lines[i]);
    printf("none  %9llu\nbytes %9llu\n", p.total.lines[0], p.total.bytes);
    if (p.deaths > 0)
        fprintf(stderr, "parsers killed: %d; records that came twice: %d\n", p.deaths, p.twice);
    mp_queue_free(p.pieces);
    mp_queue_free(p.records);
    fclose(p.log);
    free(p.seen);
    return EXIT_SUCCESS;
}
