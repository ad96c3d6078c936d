#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/random.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

int flotilla_listen(const char *host, const char *port, uint16_t *bound) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0 || !found) return -2;
    int one = 1, fault = 0;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 4096) < 0)
        fault = errno;
    freeaddrinfo(found);
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (!fault && getsockname(fd, (struct sockaddr *)&address, &size) < 0) fault = errno;
    if (fault) {
        if (fd >= 0) close(fd);
        errno = fault;
        return -1;
    }
    *bound = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                 : ((struct sockaddr_in *)&address)->sin_port);
    return fd;
}

const int16_t flotilla_end_of_input = POLLRDHUP;

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

int flotilla_wait_for_end(int milliseconds) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    int64_t limit = flotilla_monotonic_nanoseconds() + milliseconds * INT64_C(1000000);
    for (;;) {
        int64_t left = limit - flotilla_monotonic_nanoseconds();
        if (left < 0) left = 0;
        struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        int received = sigtimedwait(&ends, NULL, &time);
        if (received > 0) return received;
        if (left == 0) return 0;
    }
}

int flotilla_processors(void) {
    cpu_set_t all;
    // It fails where there are more than the set has room for.
    return sched_getaffinity(0, sizeof all, &all) == 0 ? CPU_COUNT(&all) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int64_t flotilla_monotonic_nanoseconds(void) { return now(CLOCK_MONOTONIC); }
int64_t flotilla_wall_nanoseconds(void) { return now(CLOCK_REALTIME); }

// jemalloc's, where it is linked in. By itself it keeps for ten seconds what is freed.
int mallctl(const char *name, void *old, size_t *old_size, void *value, size_t size) __attribute__((weak));

void flotilla_keep_freed_memory(void) {
#ifdef M_TRIM_THRESHOLD
    // Setting either ends that the allocator moves both by what it sees freed; blocks of a megabyte, as they are fetched
    // and sent, would be mapped and unmapped each time.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
#endif
}

void flotilla_give_back_freed_memory(void) {
    if (mallctl) {
        // Of the heaps that there will be, and of those that there are: one that nobody has used yet is refused.
        ssize_t at_once = 0;
        mallctl("arenas.dirty_decay_ms", NULL, NULL, &at_once, sizeof at_once);
        unsigned heaps = 0;
        size_t size = sizeof heaps;
        if (mallctl("arenas.narenas", &heaps, &size, NULL, 0) != 0) return;
        for (unsigned heap = 0; heap < heaps; heap++) {
            char name[48];
            snprintf(name, sizeof name, "arena.%u.dirty_decay_ms", heap);
            mallctl(name, NULL, NULL, &at_once, sizeof at_once);
        }
        return;
    }
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 2);
#endif
#ifdef M_TRIM_THRESHOLD
    // Setting either ends that the allocator raises both to the largest block it has seen freed.
    mallopt(M_MMAP_THRESHOLD, 128 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
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

// Between fork and exec only what a signal handler may do: other threads held who knows what locks. So system calls
// rather than glibc's setuid, which talks to all threads.
static int become(const flotilla_child *child, pid_t parent) {
    if ((child->session ? setsid() : setpgid(0, 0)) < 0) return errno;
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || dup2(empty, 0) < 0 || dup2(child->output, 1) < 0 || dup2(child->output, 2) < 0) return errno;
#ifdef SYS_close_range
    syscall(SYS_close_range, 3u, ~0u, 4u);  // CLOSE_RANGE_CLOEXEC
#endif
    if (child->group >= 0) {
        gid_t group = (gid_t)child->group;
        if (syscall(SYS_setgroups, 1, &group) != 0 || syscall(SYS_setresgid, group, group, group) != 0) return errno;
    }
    if (child->user >= 0) {
        uid_t user = (uid_t)child->user;
        if (syscall(SYS_setresuid, user, user, user) != 0) return errno;
    }
    // After the change of user, which takes it back; and the parent may be gone before it was asked for.
    if (child->death_signal != 0) {
        if (prctl(PR_SET_PDEATHSIG, child->death_signal) != 0) return errno;
        if (getppid() != parent) _exit(127);
    }
    return 0;
}

int flotilla_spawn(const char *path, char *const *arguments, char *const *environment, const flotilla_child *child) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        int code = errno;
        close(report[0]);
        close(report[1]);
        return -code;
    }
    if (pid == 0) {
        int code = become(child, parent);
        if (code == 0) {
            execve(path, arguments, environment);
            code = errno;
        }
        ssize_t told = write(report[1], &code, sizeof code);
        _exit(told == sizeof code ? 127 : 126);
    }
    close(report[1]);
    int code = 0;
    ssize_t got;
    do got = read(report[0], &code, sizeof code);
    while (got < 0 && errno == EINTR);
    close(report[0]);
    if (got != sizeof code) return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    return -code;
}

int flotilla_sync_file_system(int file) { return syncfs(file) == 0 ? 0 : errno; }

int flotilla_pipe(int *output, int *input) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    *output = ends[0];
    *input = ends[1];
    return 0;
}

int flotilla_signal_file(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    int code = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

int flotilla_next_signal(int file) {
    struct signalfd_siginfo info;
    return read(file, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
