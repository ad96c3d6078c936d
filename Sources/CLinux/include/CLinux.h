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

/// A listening socket: its descriptor, or -1 with errno, or -2 when the host has no address. `bound` is the port it got.
int flotilla_listen(const char *host, const char *port, uint16_t *bound);
int flotilla_accept(int listener);
/// What poll says of a socket whose peer sends nothing more.
extern const int16_t flotilla_end_of_input;
/// Sends bytes of `file` from `offset` to the socket: their number, or -1 with errno.
long flotilla_sendfile(int socket, int file, long offset, size_t count);
/// Waits for the lock of a file, which goes with the descriptor: 0 or an errno.
int flotilla_lock(int fd);
/// Takes an exclusive lock on the whole file without waiting; the kernel drops it with the process. 0 or an errno.
int flotilla_try_lock(int fd);
/// Waits for SIGINT or SIGTERM, which are blocked: its number, or 0 when none has come in that time.
int flotilla_wait_for_end(int milliseconds);
/// How many processors this process may run on.
int flotilla_processors(void);
int64_t flotilla_monotonic_nanoseconds(void);
int64_t flotilla_wall_nanoseconds(void);
/// Has malloc keep what is freed, up to 32 MiB a heap, where it can be told so.
void flotilla_keep_freed_memory(void);
/// See FreedMemory.
void flotilla_give_back_freed_memory(void);
/// Fills memory with random bytes: 0 or an errno.
int flotilla_random(void *bytes, size_t count);
/// The variables of this process, `NAME=VALUE` each, ended by a null.
char **flotilla_environment(void);

/// How a process is started that belongs to this one.
typedef struct {
    /// Where its standard output and error go; its input is empty.
    int output;
    /// Whom it runs as; -1 is who we are.
    int64_t user, group;
    /// What the kernel sends it when the thread that started it ends; 0 is nothing.
    int death_signal;
    /// A session of its own, rather than only a process group.
    _Bool session;
} flotilla_child;
/// Starts a program: its number, or minus the errno of what failed. To be called by a thread that lives as long as the
/// process, because the death signal is about the thread.
int flotilla_spawn(const char *path, char *const *arguments, char *const *environment, const flotilla_child *child);
/// Forces everything of the file system that a file is on to the disk: 0 or an errno.
int flotilla_sync_file_system(int file);
/// A pipe that no child inherits: 0 or an errno.
int flotilla_pipe(int *output, int *input);
/// A file that is readable when SIGINT, SIGTERM or SIGHUP came, all of which are blocked from here on.
int flotilla_signal_file(void);
/// The next of them; 0 when there is none.
int flotilla_next_signal(int file);

#endif
