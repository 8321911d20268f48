/* SPDX-License-Identifier: MIT */
/* A child sends three pictures of a megabyte, each written and read where it
 * lies: no copy. */
#include <mproc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the reason if a call has failed. */
static long must(long rc)
{
    if (rc >= 0)
        return rc;
    fprintf(stderr, "%s: %s\n", mp_errname((int)rc), mp_strerror((int)rc));
    exit(EXIT_FAILURE);
}

enum { SIZE = 1 << 20 };

static int draw(void *arg)
{
    mp_queue *pictures = arg;
    for (int i = 1; i <= 3; i++) {
        void *picture;
        must(mp_queue_loan(pictures, SIZE, &picture, MP_FOREVER));
        memset(picture, i, SIZE);
        must(mp_queue_publish(pictures, picture, MP_FOREVER));
    }
    must(mp_queue_close(pictures));
    return 0;
}

int main(void)
{
    mp_queue *pictures;
    mp_process *painter;
    must(mp_queue_new(&pictures, .maxsize = 2));
    must(mp_process_new(&painter, .target = draw, .arg = pictures));
    must(mp_process_start(painter));

    int rc;
    const void *picture;
    size_t length;
    while ((rc = mp_queue_take(pictures, &picture, &length, MP_FOREVER)) == 0) {
        const unsigned char *pixels = picture;
        printf("%zu pixels of colour %d\n", length, pixels[length / 2]);
        must(mp_queue_release(pictures, picture));
    }
    must(rc == MP_ECLOSED ? 0 : rc);

    must(mp_process_join(painter, MP_FOREVER));
    must(mp_process_free(painter));
    mp_queue_free(pictures);
    return 0;
}
