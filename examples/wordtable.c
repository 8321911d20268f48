/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include "wordtable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a */
#define HASH_BASIS 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

/* The array with twice the room, or NULL, and then the old one stays. */
static void *grown(void *array, size_t *room, size_t element)
{
    size_t larger = *room == 0 ? 1024 : *room * 2;
    void *memory = larger > SIZE_MAX / element ? NULL : realloc(array, larger * element);

    if (memory != NULL)
        *room = larger;
    return memory;
}

void wordtable_letter(struct wordtable *t, char letter)
{
    if (t->text_used + t->open + 1 >= t->text_room) { /* one is for the NUL */
        char *text = grown(t->text, &t->text_room, 1);
        if (text == NULL) {
            t->failed = true;
            return;
        }
        t->text = text;
    }
    if (t->open == 0)
        t->open_hash = HASH_BASIS;
    t->text[t->text_used + t->open++] = letter;
    t->open_hash = (t->open_hash ^ (unsigned char)letter) * HASH_PRIME;
}

/* The slot of the word with this hash and text, or the empty one where it belongs. */
static size_t *find_slot(const struct wordtable *t, uint64_t hash, const char *text)
{
    for (uint64_t i = hash ^ hash >> 32;; i++) {
        size_t *slot = &t->slots[i & (t->slot_count - 1)];
        if (*slot == 0)
            return slot;
        const struct word *word = &t->words[*slot - 1];
        if (word->hash == hash && strcmp(t->text + word->at, text) == 0)
            return slot;
    }
}

/* Makes room for one more word: in words, and in slots, of which at least half are empty. */
static bool make_room(struct wordtable *t)
{
    if (t->used == t->room) {
        struct word *words = grown(t->words, &t->room, sizeof *words);
        if (words == NULL)
            return false;
        t->words = words;
    }
    if (t->used * 2 < t->slot_count)
        return true;

    size_t *old = t->slots, old_count = t->slot_count;
    size_t count = old_count == 0 ? 2048 : old_count * 2;
    size_t *slots = calloc(count, sizeof *slots);
    if (slots == NULL)
        return false;
    t->slots = slots;
    t->slot_count = count;
    for (size_t i = 0; i < t->used; i++)
        *find_slot(t, t->words[i].hash, t->text + t->words[i].at) = i + 1;
    free(old);
    return true;
}

void wordtable_end(struct wordtable *t, uint64_t count)
{
    size_t length = t->open;

    t->open = 0;
    if (length == 0)
        return;
    if (!make_room(t)) {
        t->failed = true;
        return;
    }
    t->text[t->text_used + length] = '\0';
    size_t *slot = find_slot(t, t->open_hash, t->text + t->text_used);
    if (*slot == 0) {
        t->words[t->used] = (struct word){0, t->open_hash, t->text_used};
        *slot = ++t->used;
        t->text_used += length + 1;
    }
    t->words[*slot - 1].count += count;
}

static bool is_letter(int c)
{
    return (unsigned)(c | 32) - 'a' < 26; /* of ASCII; EOF is none */
}

static int read_words(struct wordtable *t, FILE *file, off_t begin, off_t end)
{
    bool skip = false;

    if (begin > 0) {
        if (fseeko(file, begin - 1, SEEK_SET) != 0)
            return errno;
        skip = is_letter(getc(file));
    }
    for (off_t at = begin; end < 0 || at < end || t->open > 0; at++) {
        int c = getc_unlocked(file);
        if (c == EOF && ferror(file))
            return errno;
        if (!is_letter(c)) {
            skip = false;
            wordtable_end(t, 1);
        } else if (!skip) {
            wordtable_letter(t, (char)(c | 32));
        }
        if (c == EOF)
            break;
    }
    return t->failed ? ENOMEM : 0;
}

int wordtable_read(struct wordtable *t, const char *path, off_t begin, off_t end)
{
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return errno;
    int error = read_words(t, file, begin, end);
    fclose(file);
    return error;
}

void wordtable_free(struct wordtable *t)
{
    free(t->words);
    free(t->slots);
    free(t->text);
    *t = (struct wordtable){0};
}

size_t wordtable_pack_size(const struct wordtable *t)
{
    return sizeof(struct wordpack) + t->used * sizeof(uint64_t) + t->text_used;
}

void wordtable_pack(const struct wordtable *t, struct wordpack *pack)
{
    pack->used = t->used;
    for (size_t i = 0; i < t->used; i++)
        pack->counts[i] = t->words[i].count;
    if (t->used != 0)
        memcpy(pack->counts + t->used, t->text, t->text_used);
}

void wordtable_merge(struct wordtable *t, const struct wordpack *pack)
{
    const char *letter = (const char *)(pack->counts + pack->used);

    for (size_t i = 0; i < pack->used; i++, letter++) {
        for (; *letter != '\0'; letter++)
            wordtable_letter(t, *letter);
        wordtable_end(t, pack->counts[i]);
    }
}
