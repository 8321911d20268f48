/* SPDX-License-Identifier: MIT */
/* What has come of a result's work, once it is done. */
#ifndef MPROC_POOL_OUTCOME_H
#define MPROC_POOL_OUTCOME_H

#include "pool/handle.h"

/* The code of the lowest failed item, and which it is; 0: none. */
int mp__result_code(const mp_result *r, uint64_t *index);

/* Whether an item has failed, and what is known of the lowest. */
bool mp__result_explain(const mp_result *r, mp_task_error *error);

/* The same for one item. */
bool mp__result_explain_item(const mp_result *r, uint64_t index, mp_task_error *error);

/* Fills the job's own places, once. */
void mp__result_deliver(mp_result *r);

/* Those may be gone from now on. */
void mp__result_deliver_no_more(mp_result *r);

/* Fills the job's own output alone. */
void mp__result_place(const mp_result *r);

/* Whether the bytes that the only item's task has returned do not fit there. */
bool mp__result_overflows(const mp_result *r);

/* The output of good items, in order. */
void mp__result_copy(const mp_result *r, void *to);

/* What an item's task gave to mp_task_return(); NULL: nothing, or *rc says why not. */
const mp__returned *mp__result_returned(mp_result *r, uint64_t index, int *rc);

/* The bytes of an item that has not failed. 0 or a code. */
int mp__result_bytes(mp_result *r, uint64_t index, const void **data, size_t *length);

/* What outcomes keep besides the work. */
void mp__result_forget_outcome(mp_result *r);

#endif
