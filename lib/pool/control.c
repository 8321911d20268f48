/* SPDX-License-Identifier: MIT */
#include "pool/control.h"

#include <mproc/shared.h>

bool mp__pool_enter(mp__pool_control *c, enum mp__pool_phase phase)
{
    uint32_t now = mp__load_acquire(&c->phase);
    while (now < (uint32_t)phase)
        if (mp__cas_seq(&c->phase, &now, (uint32_t)phase)) {
            mp__waitword_wake(&c->changed, MP__WAKE_ALL);
            mp__waitword_wake(&c->idle, MP__WAKE_ALL);
            return true;
        }
    return false;
}

void mp__pool_blame(mp__pool_control *c, mp__failure *failure)
{
    mp__failure *none = NULL;
    if (!mp__cas_release(&c->failure, &none, failure)) /* pairs with the program's load */
        mp_shared_free(failure);
}

void mp__life_hold(mp__robust *life)
{
    mp__thread *self = mp__thread_self();
    mp__robust_announce(self, life);
    /* Pairs with mp__life_word_is_over(). */
    mp__store_release(&life->word, self->tid | MP__WAITERS);
    mp__robust_link(self, life);
    mp__robust_announce(self, NULL);
}
