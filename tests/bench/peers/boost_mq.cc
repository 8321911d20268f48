/* SPDX-License-Identifier: MIT */
#include "boost.h"

#ifdef BENCH_HAVE_BOOST

#include <boost/interprocess/ipc/message_queue.hpp>

using boost::interprocess::message_queue;

void *bench_boost_open(const char *name, size_t slots, size_t length)
{
    try {
        message_queue::remove(name);
        auto *queue = new message_queue(boost::interprocess::create_only, name, slots, length);
        message_queue::remove(name);
        return queue;
    } catch (...) {
        message_queue::remove(name);
        return nullptr;
    }
}

int bench_boost_put(void *queue, const void *data, size_t length)
{
    try {
        static_cast<message_queue *>(queue)->send(data, length, 0);
        return 1;
    } catch (...) {
        return 0;
    }
}

int bench_boost_get(void *queue, void *buffer, size_t capacity, size_t *length)
{
    try {
        unsigned priority = 0;
        message_queue::size_type got = 0;
        static_cast<message_queue *>(queue)->receive(buffer, capacity, got, priority);
        *length = got;
        return 1;
    } catch (...) {
        return 0;
    }
}

#endif
