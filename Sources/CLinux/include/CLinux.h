// What Swift's Glibc overlay leaves out of Linux's system interface: macros, variadics and GNU extensions.
#ifndef FLOTILLA_CLINUX_H
#define FLOTILLA_CLINUX_H

// Only plain integer types here: with _GNU_SOURCE the system's headers would define types that differ from Glibc's.
#include <stddef.h>
#include <stdint.h>

int flotilla_eventfd(void);
int flotilla_open(const char *path, int flags, uint32_t mode);
int flotilla_set_nonblocking(int fd);
void flotilla_name_this_thread(const char *name);
/// Reserves blocks behind a file's end without changing its size. Best effort: 0 or an errno.
int flotilla_reserve(int fd, long from, long length);

/// epoll, with the caller's token on every event.
typedef struct {
    uint64_t token;
    _Bool readable, writable, hungUp;
} flotilla_event;
int flotilla_epoll_create(void);
int flotilla_epoll_add(int epoll, int fd, uint64_t token, _Bool readable, _Bool writable);
int flotilla_epoll_change(int epoll, int fd, uint64_t token, _Bool readable, _Bool writable);
int flotilla_epoll_remove(int epoll, int fd);
/// The number of events, at most 256 of them; 0 when the time is over or a signal came; -1 with errno.
int flotilla_epoll_wait(int epoll, flotilla_event *events, int capacity, int milliseconds);

int flotilla_accept(int listener);
/// Sends bytes of `file` from `offset` to the socket: their number, or -1 with errno.
long flotilla_sendfile(int socket, int file, long offset, size_t count);
/// Takes an exclusive lock on the whole file without waiting; the kernel drops it with the process. 0 or an errno.
/// Waits for the lock of a file, which goes with the descriptor: 0 or an errno.
int flotilla_lock(int fd);
int flotilla_try_lock(int fd);
int64_t flotilla_monotonic_nanoseconds(void);
int64_t flotilla_wall_nanoseconds(void);
/// Has malloc keep what is freed, up to 32 MiB a heap, where it can be told so.
void flotilla_keep_freed_memory(void);
/// Fills memory with random bytes: 0 or an errno.
int flotilla_random(void *bytes, size_t count);
/// The variables of this process, `NAME=VALUE` each, ended by a null.
char **flotilla_environment(void);

#endif
