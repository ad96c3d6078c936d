// What the thread sanitizer does not see, said in words that it knows. Preloaded into the tests that it watches.
//
// librdkafka locks and starts threads by C11's names, for which the sanitizer has no ear: every record that passes from
// one of its threads to one of ours would be a race. glibc's own mtx_t and cnd_t are pthread's under another
// name (their sizes are asserted below), so C11's names can be pthread's, to which it listens.
//
// Swift's Mutex takes a lock that is free within our own, watched code, and one that is taken in Swift's library, which
// nobody watches. There we stand in between: what was released to whoever waits is told to the sanitizer.
#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t), "mtx_t");
static_assert(sizeof(cnd_t) == sizeof(pthread_cond_t), "cnd_t");
static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "once_flag");
static_assert(_Generic((thrd_t)0, pthread_t: 1, default: 0), "thrd_t");

static int result(int error) {
    switch (error) {
    case 0: return thrd_success;
    case EBUSY: return thrd_busy;
    case ETIMEDOUT: return thrd_timedout;
    case ENOMEM: return thrd_nomem;
    default: return thrd_error;
    }
}

// Threads

struct start { thrd_start_t function; void *argument; };

static void *begin(void *given) {
    struct start start = *(struct start *)given;
    free(given);
    return (void *)(intptr_t)start.function(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument) {
    struct start *start = malloc(sizeof *start);
    if (!start) return thrd_nomem;
    *start = (struct start){function, argument};
    int error = pthread_create(thread, NULL, begin, start);
    if (error) free(start);
    return result(error == EAGAIN ? ENOMEM : error);
}

int thrd_join(thrd_t thread, int *returned) {
    void *value;
    int error = pthread_join(thread, &value);
    if (!error && returned) *returned = (int)(intptr_t)value;
    return result(error);
}

int thrd_detach(thrd_t thread) { return result(pthread_detach(thread)); }

_Noreturn void thrd_exit(int value) { pthread_exit((void *)(intptr_t)value); }

void call_once(once_flag *flag, void (*function)(void)) { pthread_once((pthread_once_t *)flag, function); }

// Locks

int mtx_init(mtx_t *mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result(error);
}

void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy((pthread_mutex_t *)mutex); }
int mtx_lock(mtx_t *mutex) { return result(pthread_mutex_lock((pthread_mutex_t *)mutex)); }
int mtx_trylock(mtx_t *mutex) { return result(pthread_mutex_trylock((pthread_mutex_t *)mutex)); }
int mtx_unlock(mtx_t *mutex) { return result(pthread_mutex_unlock((pthread_mutex_t *)mutex)); }

int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict until) {
    return result(pthread_mutex_timedlock((pthread_mutex_t *)mutex, until));
}

// Conditions

int cnd_init(cnd_t *condition) { return result(pthread_cond_init((pthread_cond_t *)condition, NULL)); }
void cnd_destroy(cnd_t *condition) { pthread_cond_destroy((pthread_cond_t *)condition); }
int cnd_signal(cnd_t *condition) { return result(pthread_cond_signal((pthread_cond_t *)condition)); }
int cnd_broadcast(cnd_t *condition) { return result(pthread_cond_broadcast((pthread_cond_t *)condition)); }

int cnd_wait(cnd_t *condition, mtx_t *mutex) {
    return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    return result(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

// Swift's Mutex. Weak: `swift test` is preloaded as well, and has no sanitizer.

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

#define SELF __attribute__((swift_context)) void *mutex
#define NAME(text) __asm__("$s15Synchronization12_MutexHandleV" text)
#define SWIFT __attribute__((swiftcall))

SWIFT void lockSlow(uint32_t me, SELF) NAME("9_lockSlowyys6UInt32VF");
SWIFT bool tryLockSlow(SELF) NAME("12_tryLockSlowSbyF");
SWIFT void unlockSlow(SELF) NAME("11_unlockSlowyyF");

static void *next(void **found, const char *name) {
    void *function = __atomic_load_n(found, __ATOMIC_RELAXED);
    if (!function) __atomic_store_n(found, function = dlsym(RTLD_NEXT, name), __ATOMIC_RELAXED);
    if (!function) abort();
    return function;
}

SWIFT void lockSlow(uint32_t me, SELF) {
    static void *real;
    ((SWIFT void (*)(uint32_t, SELF))next(&real, "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"))(me, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT bool tryLockSlow(SELF) {
    static void *real;
    bool taken = ((SWIFT bool (*)(SELF))next(&real, "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"))(mutex);
    if (taken && __tsan_acquire) __tsan_acquire(mutex);
    return taken;
}

SWIFT void unlockSlow(SELF) {
    static void *real;
    if (__tsan_release) __tsan_release(mutex);
    ((SWIFT void (*)(SELF))next(&real, "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"))(mutex);
}
