/* SPDX-License-Identifier: MIT */
/* The game of life on a torus: workers write the next generation in place, a row at a time. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>

static void must(long rc)
{
    if (rc < 0) {
        fprintf(stderr, "%s\n", mp_strerror((int)rc));
        exit(EXIT_FAILURE);
    }
}

enum { ROWS = 8, COLUMNS = 16 };
typedef unsigned char row[COLUMNS];

struct world {
    row *now, *next;
};
static struct world *world; /* set before the pool is made; it is shared: a swap reaches workers */

static int live(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    int y = (int)mp_task_index();
    for (int x = 0; x < COLUMNS; x++) {
        int around = 0;
        for (int i = 0; i < 9; i++)
            around +=
                world->now[(y + i / 3 + ROWS - 1) % ROWS][(x + i % 3 + COLUMNS - 1) % COLUMNS];
        around -= world->now[y][x];
        world->next[y][x] = around == 3 || (around == 2 && world->now[y][x]);
    }
    return 0;
}

int main(void)
{
    mp_pool *pool;
    world = MP_VALUE(struct world, {MP_ARRAY(row, ROWS), MP_ARRAY(row, ROWS)});
    must(world != NULL && world->now != NULL && world->next != NULL ? 0 : MP_ENOMEM);
    must(mp_pool_new(&pool, .processes = 2));
    world->now[0][1] = world->now[1][2] = 1; /* a glider */
    world->now[2][0] = world->now[2][1] = world->now[2][2] = 1;
    for (int generation = 0; generation < 20; generation++) {
        must(mp_pool_map(pool, live, NULL, 0, NULL, 0, ROWS)); /* no input, no output: no copy */
        row *old = world->now;
        world->now = world->next;
        world->next = old;
    }
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x <= COLUMNS; x++)
            putchar(x == COLUMNS ? '\n' : world->now[y][x] ? '#' : '.');
    mp_pool_free(pool);
}
