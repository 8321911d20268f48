/* SPDX-License-Identifier: MIT */
/* Words and how often they occurred: what each piece of the text is counted into, and what the
 * pieces are merged into. */
#ifndef WORDTABLE_H
#define WORDTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct word {
    uint64_t count, hash;
    size_t at; /* where it begins in text */
};

/* Begins as all zero. */
struct wordtable {
    struct word *words; /* in the order in which they first occurred */
    size_t used, room;
    size_t *slots; /* hash table: a word's place in words, plus one */
    size_t slot_count;
    char *text; /* all words, each with a NUL; then the letters of the open word */
    size_t text_used, text_room;
    size_t open; /* how many letters the open word has */
    uint64_t open_hash;
    bool failed; /* memory ran out: some words are missing */
};

void wordtable_letter(struct wordtable *t, char letter); /* adds a letter to the open word */
void wordtable_end(struct wordtable *t, uint64_t count); /* counts the open word so often */

/* Counts the words that begin between two places of a file: a word that began before them is
 * skipped, one that goes on behind them is read to its end. With end < 0 they are all that follow.
 * Returns 0 or an errno. */
int wordtable_read(struct wordtable *t, const char *path, off_t begin, off_t end);

void wordtable_free(struct wordtable *t);

/* A table in one block of memory, in which it can travel. */
struct wordpack {
    uint64_t used;
    uint64_t counts[]; /* then the words, each with a NUL */
};

size_t wordtable_pack_size(const struct wordtable *t);
void wordtable_pack(const struct wordtable *t, struct wordpack *pack);
void wordtable_merge(struct wordtable *t, const struct wordpack *pack);

#endif
