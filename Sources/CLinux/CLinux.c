#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int flotilla_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int flotilla_open(const char *path, int flags, uint32_t mode) { return open(path, flags | O_CLOEXEC, mode); }

int flotilla_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void flotilla_name_this_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int flotilla_reserve(int fd, long from, long length) {
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, from, length) == 0 ? 0 : errno;
}

int flotilla_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int operation, int fd, uint64_t token, _Bool readable, _Bool writable) {
    struct epoll_event event = {
        .events = (readable ? EPOLLIN | EPOLLRDHUP : 0) | (writable ? EPOLLOUT : 0),
        .data = {.u64 = token},
    };
    return epoll_ctl(epoll, operation, fd, &event);
}

int flotilla_epoll_add(int epoll, int fd, uint64_t token, _Bool readable, _Bool writable) {
    return control(epoll, EPOLL_CTL_ADD, fd, token, readable, writable);
}

int flotilla_epoll_change(int epoll, int fd, uint64_t token, _Bool readable, _Bool writable) {
    return control(epoll, EPOLL_CTL_MOD, fd, token, readable, writable);
}

int flotilla_epoll_remove(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }

int flotilla_epoll_wait(int epoll, flotilla_event *events, int capacity, int milliseconds) {
    struct epoll_event ready[256];
    if (capacity > 256) capacity = 256;
    int count = epoll_wait(epoll, ready, capacity, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -1;
    for (int i = 0; i < count; i++) {
        uint32_t flags = ready[i].events;
        events[i].token = ready[i].data.u64;
        events[i].readable = (flags & EPOLLIN) != 0;
        events[i].writable = (flags & EPOLLOUT) != 0;
        events[i].hungUp = (flags & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
    }
    return count;
}

int flotilla_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

long flotilla_sendfile(int socket, int file, long offset, size_t count) {
    off_t at = offset;
    return sendfile(socket, file, &at, count);
}

int flotilla_lock(int fd) {
    int code;
    do code = flock(fd, LOCK_EX);
    while (code != 0 && errno == EINTR);
    return code == 0 ? 0 : errno;
}

int flotilla_try_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

char **flotilla_environment(void) { return environ; }

static int64_t now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t flotilla_monotonic_nanoseconds(void) { return now(CLOCK_MONOTONIC); }
int64_t flotilla_wall_nanoseconds(void) { return now(CLOCK_REALTIME); }

void flotilla_keep_freed_memory(void) {
#ifdef M_TRIM_THRESHOLD
    // Setting either ends that the allocator moves both by what it sees freed; blocks of a megabyte, as they are fetched
    // and sent, would be mapped and unmapped each time.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
#endif
}

int flotilla_random(void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t more = getrandom((char *)bytes + done, count - done, 0);
        if (more < 0 && errno != EINTR) return errno;
        if (more > 0) done += (size_t)more;
    }
    return 0;
}
