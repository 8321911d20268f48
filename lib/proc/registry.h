/* SPDX-License-Identifier: MIT */
/* What this process knows of itself, its parent and its children. */
#ifndef MPROC_PROC_REGISTRY_H
#define MPROC_PROC_REGISTRY_H

#include "proc/process.h"

/* What an object is to the calling process. */
enum mp__role {
    MP__ROLE_SELF,
    MP__ROLE_PARENT,
    MP__ROLE_CHILD,  /* created here: started, or not yet */
    MP__ROLE_FOREIGN /* a copy of another process's handle */
};

/* Needed before any object is made; cheap when done. Returns 0 or a code. */
int mp__registry_init(void);

/* The calling process's object; NULL if memory is out, or before mp__registry_init(). */
mp_process *mp__registry_current(void);

/* Its parent's object, or NULL. */
mp_process *mp__registry_parent(void);

/* In a fresh child: who it is, and who its parent. The latter may be NULL; both are kept for
 * good. */
void mp__registry_become(mp_process *self, mp_process *parent);

enum mp__role mp__registry_role(const mp_process *p);

/* Marks a new object as this process's own. */
static inline uint64_t mp__registry_generation(void)
{
    extern uint64_t mp__registry_generations; /* up to this process; in registry.c */
    return mp__registry_generations;
}

/* The number of the next object that is created. */
unsigned mp__registry_number(void);

/* Whether this memory is still that of the process which fills it, and not a copy that was made
 * behind the back of pthread_atfork(). */
bool mp__registry_is_ours(void);

/* Guards the list of children and their states. Nobody sleeps or allocates under it. */
void mp__registry_lock(void);
void mp__registry_unlock(void);

/* The started children, ended ones included, until they are freed. While locked. */
extern mp__link mp__registry_children;

/* From now on every child that the calling process starts ends with it, whatever its daemon flag.
 * Not inherited by its children. */
void mp__process_tie_children(void);
bool mp__registry_ties_children(void);

#endif
