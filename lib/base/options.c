/* SPDX-License-Identifier: MIT */
#include "base/options.h"

#include "base/bits.h"

#include <mproc/error.h>
#include <string.h>

/* No structure of options will ever be as large: a size beyond it was never set. */
#define MP__OPTIONS_LARGEST 4096

int mp__options_read(void *ours, size_t our_size, const void *given)
{
    memset(ours, 0, our_size);
    memcpy(ours, &our_size, sizeof our_size);
    if (given == NULL)
        return 0;

    size_t size;
    memcpy(&size, given, sizeof size);
    if (size < sizeof size || size > MP__OPTIONS_LARGEST)
        return MP_EINVAL;

    const unsigned char *bytes = given;
    for (size_t i = our_size; i < size; i++)
        if (bytes[i] != 0)
            return MP_EINVAL;

    memcpy((unsigned char *)ours + sizeof size, bytes + sizeof size,
           mp__min_size(size, our_size) - sizeof size);
    return 0;
}
