// Runs a program below so many layers of Landlock, none of which forbids anything that it does.
// The kernel has room for sixteen, so that below all of them nobody can add one.
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct landlock_ruleset_attr rules = {.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  for (int layers = atoi(argv[1]); layers > 0; layers--) {
    int fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) != 0) return 99;
    close(fd);
  }
  execv(argv[2], argv + 2);
  return 98;
}
