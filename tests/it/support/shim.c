/* Stands between the program and the disk: counts, logs and spoils what is written to one database.
 *
 * Preloaded into the real binary. It looks at the database named by SHIM_DATABASE and at the files
 * beside it (-wal, -journal, -shm), tells them by the path behind the file descriptor, and passes
 * everything else on untouched. A write, a truncation, a sync and a removal are one step each.
 *
 *   SHIM_COUNT   a file of 8 bytes, mapped: the steps so far, to be read while the program runs
 *   SHIM_LOG     a file that every step on a durable file is appended to, with its bytes
 *   SHIM_AT      the number of the step to spoil, from 1
 *   SHIM_DO      what to do there: kill-before, kill-after, torn (half of it is written, then killed),
 *                enospc, eio, halt (the process is stopped before it, until somebody lets it go on)
 *   SHIM_ON      set: also at all later steps
 *   SHIM_ASIDE   set: steps of the first thread, which writes, are passed on untouched and not counted
 *   SHIM_THREADS how many threads there may be besides the first one: further ones are not begun
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { MAIN, WAL, JOURNAL, SHM, FOLDER, OTHER };
enum { WRITE, TRUNCATE, SYNC, REMOVE };

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_ftruncate)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static ssize_t (*real_write)(int, const void *, size_t);

static const char *database, *doing;
static uint64_t *count, own_count, at;
static int forever, aside, limited, logging = -1;
static long threads;

__attribute__((constructor)) static void begin(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_create = dlsym(RTLD_NEXT, "pthread_create");
    real_write = dlsym(RTLD_NEXT, "write");
    database = getenv("SHIM_DATABASE");
    doing = getenv("SHIM_DO");
    forever = getenv("SHIM_ON") != NULL;
    aside = getenv("SHIM_ASIDE") != NULL;
    count = &own_count;
    const char *text = getenv("SHIM_AT");
    at = text ? strtoull(text, NULL, 10) : 0;
    const char *most = getenv("SHIM_THREADS");
    limited = most != NULL;
    threads = most ? atol(most) : 0;
    const char *counter = getenv("SHIM_COUNT");
    if (counter) {
        int fd = open(counter, O_RDWR | O_CLOEXEC);
        void *mapped = fd < 0 ? MAP_FAILED
                              : mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapped == MAP_FAILED) {
            perror("shim: SHIM_COUNT");
            abort();
        }
        close(fd);
        count = mapped;
    }
    const char *log = getenv("SHIM_LOG");
    if (log) {
        logging = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (logging < 0) {
            perror("shim: SHIM_LOG");
            abort();
        }
    }
}

/* Which file of the database a path is. */
static int file_of_path(const char *path) {
    if (!database) return OTHER;
    size_t length = strlen(database);
    if (strncmp(path, database, length) != 0) {
        const char *slash = strrchr(database, '/');
        size_t folder = slash ? (size_t)(slash - database) : 0;
        return strlen(path) == folder && strncmp(path, database, folder) == 0 ? FOLDER : OTHER;
    }
    const char *rest = path + length;
    if (!*rest) return MAIN;
    if (!strcmp(rest, "-wal")) return WAL;
    if (!strcmp(rest, "-journal")) return JOURNAL;
    if (!strcmp(rest, "-shm")) return SHM;
    return OTHER;
}

static int file_of(int fd) {
    char link[40], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return OTHER;
    path[length] = 0;
    return file_of_path(path);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts a step; tells whether it is to be spoiled. */
static int spoiled(void) {
    if (aside && gettid() == getpid()) return 0;
    uint64_t step = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    return doing && at && (step == at || (forever && step > at));
}

/* Steps of several threads are logged in the order in which they are done. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static void in_order(int (*turn)(pthread_mutex_t *)) {
    if (logging >= 0 && turn(&order)) abort();
}

static int is(const char *what) { return !strcmp(doing, what); }

/* The error to fail with; 0 when the step is to be done. Does not come back from `kill-before`. */
static int refused(int spoil) {
    if (!spoil) return 0;
    if (is("kill-before")) die();
    if (is("halt")) raise(SIGSTOP);
    if (is("enospc")) return ENOSPC;
    if (is("eio")) return EIO;
    return 0;
}

static void note(uint64_t kind, uint64_t file, uint64_t offset, const void *bytes, uint64_t length) {
    if (logging < 0 || file == SHM) return;
    uint64_t head[4] = {kind, file, offset, length};
    if (real_write(logging, head, sizeof head) != sizeof head) abort();
    if (bytes && real_write(logging, bytes, length) != (ssize_t)length) abort();
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    int file = file_of(fd);
    if (file == OTHER) return real_pwrite(fd, bytes, length, offset);
    int spoil = spoiled(), error = refused(spoil);
    if (error) {
        errno = error;
        return -1;
    }
    if (spoil && is("torn")) length /= 2;
    in_order(pthread_mutex_lock);
    ssize_t written = real_pwrite(fd, bytes, length, offset);
    if (spoil && !is("halt")) die();
    if (written > 0) note(WRITE, file, offset, bytes, written);
    in_order(pthread_mutex_unlock);
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwrite64(fd, bytes, length, offset);
}

int ftruncate64(int fd, off64_t length) {
    int file = file_of(fd);
    if (file == OTHER) return real_ftruncate(fd, length);
    int spoil = spoiled(), error = refused(spoil);
    if (error) {
        errno = error;
        return -1;
    }
    in_order(pthread_mutex_lock);
    int done = real_ftruncate(fd, length);
    if (spoil && !is("halt")) die();
    if (!done) note(TRUNCATE, file, length, NULL, 0);
    in_order(pthread_mutex_unlock);
    return done;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

static int synced(int fd, int (*real)(int)) {
    int file = file_of(fd);
    if (file == OTHER) return real(fd);
    int spoil = spoiled(), error = refused(spoil);
    if (error) {
        errno = error;
        return -1;
    }
    /* Nothing here goes down with the power: what is synced is noted, and need not be waited for. */
    if (spoil && !is("halt")) die();
    in_order(pthread_mutex_lock);
    note(SYNC, file, 0, NULL, 0);
    in_order(pthread_mutex_unlock);
    return 0;
}

int fsync(int fd) { return synced(fd, real_fsync); }

int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int unlink(const char *path) {
    int file = file_of_path(path);
    if (file == OTHER) return real_unlink(path);
    int spoil = spoiled(), error = refused(spoil);
    if (error) {
        errno = error;
        return -1;
    }
    in_order(pthread_mutex_lock);
    int done = real_unlink(path);
    if (spoil && !is("halt")) die();
    if (!done) note(REMOVE, file, 0, NULL, 0);
    in_order(pthread_mutex_unlock);
    return done;
}

struct task {
    void *(*work)(void *);
    void *with;
};

static void *counted(void *given) {
    struct task task = *(struct task *)given;
    free(given);
    void *done = task.work(task.with);
    __atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
    return done;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *), void *with) {
    if (!limited) return real_create(thread, how, work, with);
    struct task *task = malloc(sizeof *task);
    if (!task) abort();
    int refused = EAGAIN;
    if (__atomic_fetch_sub(&threads, 1, __ATOMIC_SEQ_CST) > 0) {
        *task = (struct task){work, with};
        refused = real_create(thread, how, counted, task);
    }
    if (refused) {
        __atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
        free(task);
    }
    return refused;
}
