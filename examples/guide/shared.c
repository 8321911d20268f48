/* SPDX-License-Identifier: MIT */
/* Three processes fill an array, count, and make a list. */
#include <mproc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the reason if a call has failed. */
static long must(long rc)
{
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", mp_errname((int)rc), mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

struct note {
    struct note *next; /* the same address in every process */
    int worker;
};

struct board {
    atomic_int filled; /* so many squares: needs no lock */
    mp_lock lock;      /* guards the list */
    struct note *notes;
};

static struct board *board;
static int *squares;

static int work(void *arg)
{
    struct note *note = mp_shared_alloc(sizeof *note);
    must(mp_shared_error());
    note->worker = *(int *)arg;
    for (int i = note->worker; i < mp_array_length(squares); i += 3) {
        squares[i] = i * i;
        board->filled++;
    }
    MP_WITH (&board->lock) {
        note->next = board->notes;
        board->notes = note; /* it stays when this process ends */
    }
    return 0;
}

int main(void)
{
    mp_process *worker[3];
    int sum = 0;
    board = MP_VALUE(struct board, {.notes = NULL});
    must(mp_shared_error());
    must(mp_lock_init(&board->lock));
    squares = MP_ARRAY(int, 10);
    must(mp_shared_error());
    for (int i = 0; i < 3; i++) {
        must(mp_process_new(&worker[i], .target = work, .arg = &i,
                            .arg_size = sizeof i));
        must(mp_process_start(worker[i]));
    }
    for (int i = 0; i < 3; i++) {
        must(mp_process_join(worker[i], MP_FOREVER));
        must(mp_process_free(worker[i]));
    }
    printf("%d squares, the last is %d\n", board->filled, *MP_AT(squares, -1));
    while (board->notes != NULL) {
        struct note *note = board->notes;
        board->notes = note->next;
        sum += note->worker;
        mp_shared_free(note); /* whoever has allocated it */
    }
    printf("notes of workers that add up to %d\n", sum);
    must(mp_lock_fini(&board->lock));
    mp_shared_free(squares);
    mp_shared_free(board);
    return 0;
}
