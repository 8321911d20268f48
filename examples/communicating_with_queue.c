/* SPDX-License-Identifier: MIT */
/* Two subclasses of Process share a queue: the producer puts ten items in, one a second; the
 * consumer takes one every three seconds, until it finds the queue empty. */
#include "support.h"

#include <time.h>

struct worker {
    mp_queue *queue;
};

static int produce(mp_process *self)
{
    struct worker *me = mp_process_data(self);

    srand((unsigned)time(NULL) ^ (unsigned)mp_process_pid(self));
    for (int i = 0; i < 10; i++) {
        int item = rand() % 257;
        CHECK(MP_PUT(me->queue, item, MP_FOREVER));
        printf("Process Producer : item %d appended to queue %s\n", item, mp_process_name(self));
        nap(1);
        printf("The size of queue is %d\n", mp_queue_size(me->queue));
    }
    return 0;
}

static int consume(mp_process *self)
{
    struct worker *me = mp_process_data(self);
    int item;

    while (!mp_queue_empty(me->queue)) {
        nap(2);
        CHECK(MP_GET(me->queue, &item, MP_FOREVER));
        printf("Process Consumer : item %d popped from by %s\n", item, mp_process_name(self));
        nap(1);
    }
    printf("the queue is empty\n");
    return 0;
}

static const mp_process_class producer = {"producer", sizeof(struct worker), produce};
static const mp_process_class consumer = {"consumer", sizeof(struct worker), consume};

int main(void)
{
    struct worker worker;
    mp_process *process_producer, *process_consumer;

    setvbuf(stdout, NULL, _IOLBF, 0); /* the two take turns, in a file too */
    CHECK(mp_queue_new(&worker.queue));
    CHECK(mp_process_new(&process_producer, .subclass = &producer, .init = &worker));
    CHECK(mp_process_new(&process_consumer, .subclass = &consumer, .init = &worker));

    CHECK(mp_process_start(process_producer));
    /* The script leaves to luck whether the first item is there when the consumer looks. */
    while (mp_queue_empty(worker.queue) && mp_process_is_alive(process_producer))
        mp_wait(NULL, 0, 0.001);
    CHECK(mp_process_start(process_consumer));

    CHECK(mp_process_join(process_producer, MP_FOREVER));
    CHECK(mp_process_join(process_consumer, MP_FOREVER));
    mp_process_free(process_producer);
    mp_process_free(process_consumer);
    mp_queue_free(worker.queue);
    return 0;
}
