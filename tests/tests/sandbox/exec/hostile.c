// A program that tries what no program of a pack may do, and says what came of it: one line for each
// attempt, `ok` or the name of the error. Whether it speaks the truth is seen from outside.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

extern char **environ;

static void said(const char *what, long result) {
    printf("%s: %s\n", what, result >= 0 ? "ok" : strerrorname_np(errno));
    fflush(stdout);
}

static int send_to(int family, int type, const void *address, socklen_t length) {
    int fd = socket(family, type, 0);
    if (fd < 0) return -1;
    if (connect(fd, address, length) < 0) return -1;
    return write(fd, "escaped", 7);
}

// hostile net PORT PATH: to the servers that listen there.
static void net(const char *port, const char *path) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    said("tcp", send_to(AF_INET, SOCK_STREAM, &v4, sizeof v4));
    said("udp", send_to(AF_INET, SOCK_DGRAM, &v4, sizeof v4));
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    strncpy(local.sun_path, path, sizeof local.sun_path - 1);
    said("unix", send_to(AF_UNIX, SOCK_STREAM, &local, sizeof local));
    struct sockaddr_un hidden = {.sun_family = AF_UNIX};
    snprintf(hidden.sun_path + 1, sizeof hidden.sun_path - 1, "capstan-%s", port);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(hidden.sun_path + 1);
    said("abstract", send_to(AF_UNIX, SOCK_STREAM, &hidden, length));
    said("netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    said("packet", socket(AF_PACKET, SOCK_RAW, 0));
    said("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    int pair[2];
    said("stream pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    said("datagram pair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    said("raw pair", socketpair(AF_UNIX, SOCK_RAW, 0, pair));
}

static void read_file(const char *path) {
    char text[4096];
    int fd = open(path, O_RDONLY);
    said("open", fd);
    ssize_t count = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (count > 0) fwrite(text, 1, count, stdout);
}

static void call(const char *what, long number, long a, long b, long c) { said(what, syscall(number, a, b, c)); }

static void kernel(void) {
    char room[256] = {0};
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    said("ptrace", ptrace(PTRACE_ATTACH, child, 0, 0));
    kill(child, SIGKILL);
    call("io_uring_setup", SYS_io_uring_setup, 1, (long)room, 0);
    call("bpf", SYS_bpf, 5, (long)room, 120);
    call("userfaultfd", SYS_userfaultfd, 1, 0, 0);
    call("perf_event_open", SYS_perf_event_open, (long)room, 0, -1);
    call("keyctl", SYS_keyctl, 0, -3, 1);
    call("unshare", SYS_unshare, CLONE_NEWUSER, 0, 0);
    call("clone", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0);
    call("clone3", SYS_clone3, (long)room, 64, 0);
    call("chroot", SYS_chroot, (long)"/", 0, 0);
    call("mount", SYS_mount, (long)"none", (long)"/dev/shm", (long)"tmpfs");
    call("open_tree", SYS_open_tree, AT_FDCWD, (long)"/", 0);
    call("process_vm_readv", SYS_process_vm_readv, getpid(), 0, 0);
    call("personality", SYS_personality, 0xffffffff, 0, 0);
    call("open_by_handle_at", SYS_open_by_handle_at, AT_FDCWD, (long)room, 0);
    call("newer than the list", 9999, 0, 0, 0);
    call("setxattrat", 463, -1, -1, -1);
    char byte = 'x';
    said("TCGETS", ioctl(open(".", O_RDONLY), 0x5401, room));
    said("TIOCSTI", ioctl(0, 0x5412, &byte));
    said("FS_IOC_GETVERSION", ioctl(open(".", O_RDONLY), 0x80087601, room));
}

// hostile change PATH: a file that is there.
static void change(const char *path) {
    char other[4096];
    snprintf(other, sizeof other, "%s.new", path);
    struct timespec times[2] = {{1, 0}, {1, 0}};
    said("chmod", chmod(path, 0777));
    said("fchmod", fchmod(open(path, O_RDONLY), 0700));
    said("chown", chown(path, getuid(), getgid()));
    said("utimensat", utimensat(AT_FDCWD, path, times, 0));
    said("setxattr", setxattr(path, "user.capstan", "x", 1, 0));
    said("removexattr", removexattr(path, "user.capstan"));
    said("fchmodat", fchmodat(AT_FDCWD, path, 0701, 0));
    said("fchmodat2", syscall(452, AT_FDCWD, path, 0702, 0));
    said("fchown", fchown(open(path, O_RDONLY), getuid(), getgid()));
    said("fchownat", fchownat(AT_FDCWD, path, getuid(), getgid(), 0));
    said("lchown", lchown(path, getuid(), getgid()));
    said("lsetxattr", lsetxattr(path, "user.capstan", "x", 1, 0));
    said("lremovexattr", lremovexattr(path, "user.capstan"));
    said("fsetxattr", fsetxattr(open(path, O_RDONLY), "user.capstan", "x", 1, 0));
    said("fremovexattr", fremovexattr(open(path, O_RDONLY), "user.capstan"));
    said("futimens", futimens(open(path, O_RDONLY), times));
#ifdef SYS_utime
    struct utimbuf both = {1, 1};
    struct timeval pair[2] = {{1, 0}, {1, 0}};
    said("chmod by number", syscall(SYS_chmod, path, 0703));
    said("utime", syscall(SYS_utime, path, &both));
    said("utimes", syscall(SYS_utimes, path, pair));
    said("futimesat", syscall(SYS_futimesat, AT_FDCWD, path, pair));
    said("chown by number", syscall(SYS_chown, path, getuid(), getgid()));
    said("lchown by number", syscall(SYS_lchown, path, getuid(), getgid()));
#endif
    int flags = 0x80;  // FS_NOATIME_FL
    said("set flags", ioctl(open(path, O_RDONLY), FS_IOC_SETFLAGS, &flags));
    said("open to write", open(path, O_WRONLY));
    said("append", open(path, O_WRONLY | O_APPEND));
    said("create", open(other, O_WRONLY | O_CREAT | O_EXCL, 0600));
    unlink(other);
    said("link", link(path, other));
    unlink(other);
    said("symlink", symlink(path, other));
    unlink(other);
    said("mkfifo", mkfifo(other, 0600));
    unlink(other);
    said("mkdir", mkdir(other, 0700));
    rmdir(other);
    said("truncate", truncate(path, 1));
    said("rename", rename(path, other));
    said("unlink", unlink(other) == 0 ? 0 : unlink(path));
}

// hostile setid PATH: every way to make a file that runs as its owner or group.
static void setid(const char *path) {
    struct open_how {
        unsigned long long flags, mode, resolve;
    } how = {O_WRONLY | O_CREAT, 04600, 0};
    said("plain mode", chmod(path, 0700));
    said("chmod", chmod(path, 04700));
    said("fchmod", fchmod(open(path, O_WRONLY), 02700));
    said("fchmodat", fchmodat(AT_FDCWD, path, 06700, 0));
#ifdef SYS_open
    said("open", syscall(SYS_open, "new-1", O_WRONLY | O_CREAT, 04700));
#else
    said("open", open("new-1", O_WRONLY | O_CREAT, 04700));
#endif
    said("openat", openat(AT_FDCWD, "new-2", O_WRONLY | O_CREAT, 04700));
    said("creat", creat("new-3", 04700));
    said("mknod", mknod("new-4", S_IFREG | 04700, 0));
    said("openat2", syscall(SYS_openat2, AT_FDCWD, "new-5", &how, sizeof how));
}

static void limit(const char *name, int resource) {
    struct rlimit limit;
    getrlimit(resource, &limit);
    printf("%s: %llu %llu\n", name, (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
}

static void self(void) {
    printf("no new privileges: %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    printf("seccomp: %d\n", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
    unsigned header[2] = {0x20080522, 0}, data[6] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
    syscall(SYS_capget, header, data);
    printf("capabilities: %x %x %x\n", data[0] | data[3], data[1] | data[4], data[2] | data[5]);
    printf("ids: %d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    printf("number: %d, parent %d, group %d, session %d\n", getpid(), getppid(), getpgrp(), getsid(0));
    limit("address space", RLIMIT_AS);
    limit("processor", RLIMIT_CPU);
    limit("file size", RLIMIT_FSIZE);
    limit("open files", RLIMIT_NOFILE);
    limit("processes", RLIMIT_NPROC);
    limit("core", RLIMIT_CORE);
    const char *kinds[] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"};
    for (int i = 0; i < 7; i++) {
        char link[64], target[64] = {0};
        snprintf(link, sizeof link, "/proc/self/ns/%s", kinds[i]);
        if (readlink(link, target, sizeof target - 1) < 0) strcpy(target, strerrorname_np(errno));
        printf("namespace %s: %s\n", kinds[i], target);
    }
    for (int fd = 0; fd < 64; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) printf("descriptor %d\n", fd);
    }
    said("terminal", open("/dev/tty", O_RDWR));
}

static void *deep(long bytes) {
    void *found = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return found == MAP_FAILED ? 0 : found;
}

int main(int count, char **words) {
    setvbuf(stdout, 0, _IOLBF, 0);
    const char *what = count > 1 ? words[1] : "";
    const char *first = count > 2 ? words[2] : "", *second = count > 3 ? words[3] : "";
    if (!strcmp(what, "net")) net(first, second);
    if (!strcmp(what, "read")) read_file(first);
    if (!strcmp(what, "kernel")) kernel();
    // hostile calls NUMBER...: each with arguments that are nothing.
    if (!strcmp(what, "calls")) {
        for (int i = 2; i < count; i++) said(words[i], syscall(atol(words[i]), -1L, -1L, -1L, -1L, -1L, -1L));
    }
    if (!strcmp(what, "change")) change(first);
    if (!strcmp(what, "setid")) setid(first);
    if (!strcmp(what, "self")) self();
    if (!strcmp(what, "kill")) said("kill", kill(atoi(first), 0));
    if (!strcmp(what, "execute")) {
        execl(first, first, (char *)0);
        said("execute", -1);
    }
    if (!strcmp(what, "environment")) {
        char folder[4096];
        printf("%s in %s\n", words[0], getcwd(folder, sizeof folder));
        for (char **variable = environ; *variable; variable++) puts(*variable);
    }
    if (!strcmp(what, "echo")) {
        int byte;
        for (int i = 2; i < count; i++) printf("[%s]", words[i]);
        while ((byte = getchar()) != EOF) putchar(byte);
        fflush(stdout);
        fputs("and this is an error", stderr);
        return 7;
    }
    // hostile old: the calls of 32-bit programs, and those with short pointers.
    if (!strcmp(what, "old")) {
#ifdef __x86_64__
        long result;
        if (!strcmp(first, "32")) __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
        if (!strcmp(first, "x32")) syscall(0x40000000 | 39);
#endif
        puts("alive");
    }
    // Both carry the marker in their arguments, by which they are found from outside.
    if (!strcmp(what, "bomb")) {
        int made = 0;
        // Each makes more, until nobody can; then all are there for a while.
        while (made < 5000 && fork() >= 0) made++;
        sleep(2);
        return 0;
    }
    if (!strcmp(what, "daemon")) {
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                setpgid(0, 0);
                signal(SIGTERM, SIG_IGN);
                signal(SIGHUP, SIG_IGN);
                for (int fd = 0; fd < 3; fd++) close(fd);
                sleep(300);
            }
            _exit(0);
        }
        wait(0);
        puts("left one behind");
    }
    if (!strcmp(what, "sleep")) {
        if (fork() == 0) setsid();
        sleep(300);
    }
    if (!strcmp(what, "spin")) for (;;) {}
    if (!strcmp(what, "flood")) {
        static char chunk[1 << 16];
        memset(chunk, 'x', sizeof chunk);
        for (long left = atol(first); left > 0; left -= sizeof chunk) {
            if (write(1, chunk, left < (long)sizeof chunk ? left : (long)sizeof chunk) < 0) return 1;
        }
    }
    if (!strcmp(what, "memory")) {
        long taken = 0;
        while (taken < (64L << 30) && deep(16L << 20)) taken += 16L << 20;
        printf("%ld\n", taken >> 20);
    }
    if (!strcmp(what, "files")) {
        int made = 0;
        char name[64];
        do snprintf(name, sizeof name, "%s/%d", getenv("TMPDIR"), made++);
        while (made < 100000 && close(creat(name, 0600)) == 0);
        printf("%d\n", made - 1);
    }
    // hostile copied: a program of its own making, in its own folder.
    if (!strcmp(what, "copied")) {
        static char chunk[1 << 20];
        char name[64];
        snprintf(name, sizeof name, "%s/copy", getenv("TMPDIR"));
        int from = open(first, O_RDONLY), to = open(name, O_WRONLY | O_CREAT, 0700);
        for (ssize_t done; (done = read(from, chunk, sizeof chunk)) > 0;) write(to, chunk, done);
        close(to);
        execl(name, name, "old", (char *)0);
        said("execute", -1);
    }
    if (!strcmp(what, "fill")) {
        static char chunk[1 << 20];
        long written = 0;
        int fd = -1;
        signal(SIGXFSZ, SIG_IGN);
        for (int file = 0; file < 4096; file++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%d", getenv("TMPDIR"), file);
            fd = open(name, O_WRONLY | O_CREAT, 0600);
            if (fd < 0) break;
            ssize_t done;
            while ((done = write(fd, chunk, sizeof chunk)) > 0) written += done;
            close(fd);
            if (errno == ENOSPC) break;
        }
        printf("%ld %s\n", written >> 20, strerrorname_np(errno));
    }
    return 0;
}
