/* SPDX-License-Identifier: MIT */
/* Draws the Mandelbrot set. The rows are the items of a pool's job; the workers write them straight
 * into a shared array, and the main process makes a file of it: a PNG, if the program was built
 * with libpng (-DHAVE_PNG), or a PPM. All arithmetic is on integers, so that every machine and
 * every compiler draws the same picture, bit by bit. */
#include "support.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#ifndef HAVE_PNG
#define HAVE_PNG 0
#endif
#if HAVE_PNG
#include <png.h>
#endif

enum { ITERATIONS = 1000, COLOURS = 256, WIDEST = 20000 };
static const int64_t ONE = 1 << 28; /* with 28 binary places */

struct picture {
    int width, height;
    uint8_t *pixels; /* an index into the palette for each, row by row */
};

/* How soon z = z * z + c leaves the circle of radius 2; 0: it stays. */
static uint8_t colour_of(int64_t cx, int64_t cy)
{
    int64_t x = 0, y = 0;

    for (int i = 0; i < ITERATIONS; i++) {
        int64_t xx = x * x / ONE, yy = y * y / ONE;
        if (xx + yy > 4 * ONE)
            return (uint8_t)(i % (COLOURS - 1) + 1);
        y = 2 * x * y / ONE + cy;
        x = xx - yy + cx;
    }
    return 0;
}

/* A valley where the set is thin: 0.015 wide, around -0.7455 + 0.1125 i. */
static void draw_row(const struct picture *picture, int row, uint8_t *pixels)
{
    int64_t step = 15 * ONE / 1000 / picture->width;
    int64_t left = -7455 * ONE / 10000 - picture->width / 2 * step;
    int64_t top = 1125 * ONE / 10000 + picture->height / 2 * step;

    for (int i = 0; i < picture->width; i++)
        pixels[i] = colour_of(left + i * step, top - row * step);
}

/* The task: its input is its number, and its output is a row of the shared array itself. */
static int draw(const void *in, void *out, void *context)
{
    (void)in;
    draw_row(context, (int)mp_task_index(), out);
    return 0;
}

/* If a worker is killed, its row is drawn by another one. */
static void draw_picture(struct picture *picture)
{
    mp_job rows = {.size = sizeof rows,
                   .task = draw,
                   .context = picture,
                   .out = picture->pixels,
                   .out_size = (size_t)picture->width,
                   .count = (size_t)picture->height,
                   .retries = 3};
    mp_pool *pool;

    CHECK(mp_pool_new(&pool, .progress = MP_PROGRESS_BAR));
    CHECK(mp_pool_run(pool, &rows, MP_FOREVER));
    CHECK(mp_pool_close(pool));
    CHECK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

/* Black for what stays; then from blue over white and orange to black again. */
static void make_palette(uint8_t palette[COLOURS][3])
{
    memset(palette[0], 0, 3);
    for (int i = 1; i < COLOURS; i++) {
        bool rises = i < 64;
        int t = rises ? 4 * i : 255 - (i - 64) * 4 / 3;
        palette[i][0] = (uint8_t)(rises ? t * t / 255 : t);
        palette[i][1] = (uint8_t)(rises ? t : t * t / 255);
        palette[i][2] = (uint8_t)(rises ? 90 + t * 165 / 255 : t * t / 255 * t / 255);
    }
}

static bool write_ppm(const struct picture *picture, const char *path, uint8_t palette[COLOURS][3])
{
    FILE *file = fopen(path, "wb");

    if (file == NULL)
        return false;
    fprintf(file, "P6 %d %d 255\n", picture->width, picture->height);
    for (int i = 0; i < picture->width * picture->height; i++)
        fwrite(palette[picture->pixels[i]], 3, 1, file);
    bool failed = ferror(file) != 0;
    return fclose(file) == 0 && !failed;
}

static bool write_png(const struct picture *picture, const char *path, uint8_t palette[COLOURS][3])
{
#if HAVE_PNG
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)picture->width,
                     .height = (png_uint_32)picture->height,
                     .format = PNG_FORMAT_RGB_COLORMAP,
                     .colormap_entries = COLOURS};
    return png_image_write_to_file(&png, path, 0, picture->pixels, 0, palette) != 0;
#else
    (void)picture, (void)path, (void)palette;
    return false;
#endif
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "-";
    char *end = NULL;
    long width = argc > 2 ? strtol(argv[2], &end, 10) : 900;
    const char *ending = strrchr(path, '.');
    bool is_png = ending != NULL && strcmp(ending, ".png") == 0;
    uint8_t palette[COLOURS][3];
    uint32_t sum = 0;

    if (argc > 3 || (is_png && !HAVE_PNG) || path[0] == '-' || (end != NULL && *end != '\0') ||
        width < 3 || width > WIDEST) {
        fprintf(stderr, "usage: mandelbrot FILE.ppm%s [WIDTH]\n", HAVE_PNG ? "|FILE.png" : "");
        return 2;
    }
    struct picture picture = {.width = (int)width, .height = (int)(width * 2 / 3)};
    ssize_t size = (ssize_t)picture.width * picture.height;
    picture.pixels = MP_ARRAY(uint8_t, size);
    CHECK(mp_shared_error());
    draw_picture(&picture);
    make_palette(palette);
    if (!(is_png ? write_png : write_ppm)(&picture, path, palette)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    for (ssize_t i = 0; i < size; i++)
        sum = sum * 31 + picture.pixels[i];
    printf("%s: %d x %d, checksum %08" PRIx32 "\n", path, picture.width, picture.height, sum);
    mp_shared_free(picture.pixels);
    return 0;
}
