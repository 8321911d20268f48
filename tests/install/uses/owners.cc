/* SPDX-License-Identifier: MIT */
/* C++ as C++ programs are: owners, exceptions, a guard, a lambda as a target, std::atomic. */
#include <atomic>
#include <iostream>
#include <memory>
#include <mproc.h>
#include <mutex>
#include <new>
#include <stdexcept>

static void check(int code)
{
    if (code < 0)
        throw std::runtime_error(mp_strerror(code));
}

struct freed {
    void operator()(mp_queue *q) const
    {
        mp_queue_free(q);
    }
    void operator()(mp_process *p) const
    {
        mp_process_free(p);
    }
    void operator()(void *block) const
    {
        mp_shared_free(block);
    }
};
template <class T> using owner = std::unique_ptr<T, freed>;

/* An mp_lock, for std::lock_guard. */
class shared_lock
{
    mp_lock bytes;

  public:
    shared_lock()
    {
        check(mp_lock_init(&bytes));
    }
    ~shared_lock()
    {
        mp_lock_fini(&bytes);
    }
    shared_lock(const shared_lock &) = delete;
    shared_lock &operator=(const shared_lock &) = delete;
    void lock()
    {
        check(mp_lock_acquire(&bytes, MP_FOREVER));
    }
    void unlock()
    {
        mp_lock_release(&bytes);
    }
};

struct account {
    shared_lock lock;
    long balance = 0;
    std::atomic<int> calls{0};
};

struct family {
    account *shared;
    mp_queue *said;
};

static owner<mp_process> start(int (*target)(void *), void *arg)
{
    mp_process_options options = {};
    options.size = sizeof options;
    options.target = target;
    options.arg = arg;
    mp_process *made;
    check(mp_process_create(&made, &options));
    owner<mp_process> process(made);
    check(mp_process_start(made));
    return process;
}

int main()
try {
    owner<void> block(mp_shared_alloc(sizeof(account)));
    if (!block)
        throw std::bad_alloc();
    account *shared = new (block.get()) account;
    mp_queue *made;
    check(mp_queue_create(&made, nullptr));
    owner<mp_queue> said(made);
    family ours = {shared, said.get()};
    auto earn = [](void *arg) {
        auto *f = static_cast<family *>(arg);
        for (int i = 0; i < 1000; i++) {
            std::lock_guard<shared_lock> guard(f->shared->lock);
            f->shared->balance++;
            f->shared->calls++;
        }
        return MP_PUT(f->said, 'y', MP_FOREVER) < 0 ? 1 : 0;
    };
    owner<mp_process> first = start(earn, &ours), second = start(earn, &ours);
    char answers[3] = "";
    for (int i = 0; i < 2; i++)
        check(static_cast<int>(MP_GET(said.get(), &answers[i], MP_FOREVER)));
    check(mp_process_join(first.get(), MP_FOREVER));
    check(mp_process_join(second.get(), MP_FOREVER));
    std::cout << "owners " << answers << ' ' << shared->balance << ' ' << shared->calls << '\n';
    shared->~account();
    try {
        check(mp_queue_put(said.get(), nullptr, 1, MP_FOREVER));
    } catch (const std::runtime_error &) {
        return 0;
    }
    return 1;
} catch (const std::exception &e) {
    std::cerr << e.what() << '\n';
    return 1;
}
