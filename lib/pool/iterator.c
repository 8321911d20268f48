/* SPDX-License-Identifier: MIT */
#include "pool/iterator.h"

#include "os/clock.h"
#include "os/interrupt.h"
#include "pool/failure.h"
#include "pool/outcome.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <string.h>

#define ITERATOR_MAGIC UINT64_C(0x6d70726f63697465)

void mp__iterator_init(mp_iterator *it, const mp__iterator_kind *kind)
{
    it->magic = ITERATOR_MAGIC;
    it->generation = mp__registry_generation();
    it->kind = kind;
    it->state = MP_ESTATE;
}

static int check(const mp_iterator *it)
{
    if (it == NULL || it->magic != ITERATOR_MAGIC)
        return MP_EINVAL;
    return it->generation == mp__registry_generation() ? 0 : MP_ESTATE;
}

/* What has become of the item, or of the lowest of its items. */
static int outcome(const mp__item *item)
{
    mp_task_error error;
    uint64_t index;
    if (mp__work_code(item->result->work, &index) == 0)
        return 0;
    bool failed = item->whole ? mp__result_explain(item->result, &error)
                              : mp__result_explain_item(item->result, item->place, &error);
    if (!failed)
        return 0;
    if (!item->whole)
        error.index = item->index;
    mp__failure_remember(&error);
    return error.code;
}

/* Where the caller wants it. */
static void copy(const mp__item *item, int code, void *out)
{
    const mp__work *w = item->result->work;
    if (out == NULL)
        return;
    if (item->whole)
        mp__result_copy(item->result, out);
    else if (code == 0 && w->out_size > 0)
        memcpy(out, w->out + item->place * w->out_size, w->out_size);
}

int mp_iterator_next(mp_iterator *it, void *out, size_t *index, double timeout)
{
    mp__deadline until;
    int rc = check(it);
    if (rc == 0)
        rc = mp__deadline_in(timeout, &until);
    if (rc < 0)
        return rc;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    mp__failure_remember(NULL);
    mp__item *item = &it->item;
    it->state = MP_ESTATE;
    *item = (mp__item){.index = SIZE_MAX};
    rc = it->kind->next(it, item, until);
    if (index != NULL && item->index != SIZE_MAX)
        *index = item->index;
    if (rc < 0) {
        mp__callback_run();
        return rc;
    }
    it->state = rc = outcome(item);
    copy(item, rc, out);
    if (mp__callback_run() > 0) { /* what they have left is not this call's */
        mp__failure_remember(NULL);
        outcome(item);
    }
    return rc;
}

int mp_iterator_data(mp_iterator *it, const void **data, size_t *length)
{
    int rc = data == NULL || length == NULL ? MP_EINVAL : check(it);
    if (rc < 0)
        return rc;
    *data = NULL;
    *length = 0;
    if (it->state < 0)
        return it->state;
    mp_result *r = it->item.result;
    if (it->item.whole && r->work->count != 1) {
        *length = r->work->out_size * r->work->count;
        *data = *length > 0 ? r->work->out : NULL;
        return 0;
    }
    return mp__result_bytes(r, it->item.place, data, length);
}

void mp_iterator_free(mp_iterator *it)
{
    int rc = check(it);
    if (rc == MP_EINVAL)
        return;
    it->magic = 0;
    if (rc == 0)
        it->kind->free(it);
    else
        it->kind->drop(it);
}
