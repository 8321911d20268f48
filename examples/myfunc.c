/* SPDX-License-Identifier: MIT */
#include "myfunc.h"

#include <stdio.h>

int myfunc(void *arg)
{
    int i = *(int *)arg;

    printf("calling myFunc from process n°: %d\n", i);
    for (int j = 0; j < i; j++)
        printf("output from myFunc is :%d\n", j);
    return 0;
}
