/* SPDX-License-Identifier: MIT */
/*
 * The ready progress bar. A process has one line for it: while a thread's bar stands there, others
 * draw nothing; one that was left unfinished gives it up after a while, or when its thread begins
 * another. What is drawn fits into the columns that the terminal has at that moment, less one, and
 * overwrites what was there with blanks: no control sequence but the carriage return is needed.
 */
#include <mproc/pool.h>

#include "os/atfork.h"
#include "os/clock.h"
#include "os/guard.h"
#include "os/terminal.h"
#include "os/thread.h"

#include <stdio.h>
#include <string.h>

#define STDERR      2
#define REDRAW_NS   (MP__NS_PER_S / 10)
#define GIVEN_UP_NS (2 * MP__NS_PER_S)
#define MEMORY_S    10.0 /* how far back the rate looks */
#define BAR_LEAST   10
#define BAR_MOST    40
#define LINE_MOST   120

typedef struct bar {
    uint32_t thread; /* whose it is; 0: nobody's */
    size_t done, total;
    int64_t began, seen, drawn; /* when; 0: not yet */
    double rate;                /* items a second; 0: not known */
    int columns;                /* that it covers */
} bar;

static mp__guard guard = MP__GUARD_INITIALIZER;
static bar the_bar;

static void forget(void)
{
    mp__guard_init(&guard);
    the_bar = (bar){.thread = 0};
}

/* ---- what is known ---- */

static void begin(size_t total, int64_t now)
{
    if (the_bar.columns > 0) /* one was left unfinished */
        fputc('\n', stderr);
    the_bar = (bar){.thread = mp__thread_self()->tid, .total = total, .began = now, .seen = now};
}

/* Takes the line, if this thread may have it. */
static bool take_line(size_t done, size_t total, int64_t now)
{
    bool mine = the_bar.thread == mp__thread_self()->tid;
    if (the_bar.thread != 0 && !mine && now - the_bar.seen < GIVEN_UP_NS)
        return false;
    if (!mine || total != the_bar.total || done < the_bar.done) {
        begin(total, now);
        the_bar.done = done;
    }
    return true;
}

/* The rate is the mean at first, and forgets slowly what is long past. */
static void learn(size_t done, int64_t now)
{
    double passed = (double)(now - the_bar.seen) / 1e9;
    double age = (double)(now - the_bar.began) / 1e9;
    if (passed <= 0)
        return;
    double lately = (double)(done - the_bar.done) / passed;
    the_bar.rate += (lately - the_bar.rate) * passed / (age < MEMORY_S ? age : MEMORY_S);
    the_bar.done = done;
    the_bar.seen = now;
}

/* ---- how it looks ---- */

static void write_rate(char *text, size_t size, double rate)
{
    static const char *const units[] = {"", "k", "M", "G"};
    int unit = 0;
    while (rate >= 999.5 && unit < 3) {
        rate /= 1000;
        unit++;
    }
    int digits = rate < 9.995 ? 2 : rate < 99.95 ? 1 : 0;
    snprintf(text, size, "  %.*f%s/s", digits, rate, units[unit]);
}

static void write_time(char *text, size_t size, const char *what, double seconds)
{
    unsigned long s = (unsigned long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, size, "  %s%lu:%02lu:%02lu", what, s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "  %s%lu:%02lu", what, s / 60, s % 60);
}

/* What is left, or at the end how long it took. */
static void write_clock(char *text, size_t size)
{
    size_t left = the_bar.total - the_bar.done;
    double seconds = the_bar.rate > 0 ? (double)left / the_bar.rate : 0;
    text[0] = '\0';
    if (left == 0 && the_bar.rate > 0)
        write_time(text, size, "in ", (double)(the_bar.seen - the_bar.began) / 1e9);
    else if (left > 0 && seconds > 0 && seconds < 1e6)
        write_time(text, size, "ETA ", seconds);
}

/* The parts that fit, the most important first; the bar has what is left. */
static void compose(char line[LINE_MOST], int room)
{
    char part[3][48];
    double share = the_bar.total == 0 ? 1 : (double)the_bar.done / (double)the_bar.total;
    int used = snprintf(line, LINE_MOST, "%3d %%", (int)(share * 100));
    snprintf(part[0], sizeof part[0], "  %zu/%zu", the_bar.done, the_bar.total);
    write_clock(part[1], sizeof part[1]);
    part[2][0] = '\0';
    if (the_bar.rate > 0)
        write_rate(part[2], sizeof part[2], the_bar.rate);
    int order[] = {0, 2, 1}, fit = 0; /* as they stand: the count, the rate, the clock */
    bool shown[3] = {false};
    for (int length = used; fit < 3; fit++) {
        length += (int)strlen(part[fit]);
        if (length > room)
            break;
        shown[fit] = true;
    }
    for (int i = 0; i < 3; i++)
        if (shown[order[i]])
            used += snprintf(line + used, (size_t)(LINE_MOST - used), "%s", part[order[i]]);
    int width = room - used - 3 < BAR_MOST ? room - used - 3 : BAR_MOST;
    if (width < BAR_LEAST)
        return;
    memmove(line + width + 3, line, (size_t)used + 1);
    memset(line + 1, '.', (size_t)width);
    memset(line + 1, '#', (size_t)(share * width));
    line[0] = '[';
    line[width + 1] = ']';
    line[width + 2] = ' ';
}

static void draw(int columns)
{
    char line[LINE_MOST];
    int room = columns - 1 < LINE_MOST - 1 ? columns - 1 : LINE_MOST - 1;
    compose(line, room);
    int length = (int)strlen(line);
    if (length > room) /* not even the percentage */
        length = 0;
    int blanks = the_bar.columns < room ? the_bar.columns - length : room - length;
    fprintf(stderr, "\r%.*s%*s", length, line, blanks > 0 ? blanks : 0, "");
    the_bar.columns = length;
}

static void show(size_t done, size_t total, int columns)
{
    int64_t now = mp__now();
    if (!take_line(done, total, now))
        return;
    learn(done, now);
    bool over = done >= total;
    if (!over && the_bar.drawn != 0 && now - the_bar.drawn < REDRAW_NS)
        return;
    draw(columns);
    the_bar.drawn = now;
    if (over) {
        fputc('\n', stderr);
        the_bar = (bar){.thread = 0};
    }
    fflush(stderr);
}

void mp_progress_bar(size_t done, size_t total, void *arg)
{
    (void)arg;
    static mp__atfork part = {.child = forget};
    int columns = mp__terminal_columns(STDERR);
    if (columns == 0 || mp__atfork_add(&part) < 0)
        return;
    mp__guard_lock(&guard);
    show(done < total ? done : total, total, columns);
    mp__guard_unlock(&guard);
}
