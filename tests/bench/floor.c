/* What nobody can beat: starting commands and waiting for them, and making bytes durable. Prints the seconds it took.
 *
 *   floor spawn COUNT AT_ONCE COMMAND
 *   floor sync COUNT FILE
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void spawn_all(int count, int at_once, char *command) {
    char *words[] = {command, NULL};
    int started = 0, status;
    for (int ended = 0; ended < count; ended++) {
        for (; started < count && started - ended < at_once; started++) {
            pid_t pid;
            if (posix_spawn(&pid, command, NULL, NULL, words, environ)) fail("posix_spawn");
        }
        if (waitpid(-1, &status, 0) < 0 || status != 0) fail("waitpid");
    }
}

static void sync_all(int count, const char *path) {
    char page[4096] = {0};
    int file = open(path, O_CREAT | O_RDWR, 0600);
    if (file < 0 || pwrite(file, page, sizeof page, 0) != sizeof page) fail(path);
    for (int i = 0; i < count; i++) {
        memcpy(page, &i, sizeof i);
        if (pwrite(file, page, sizeof page, 0) != sizeof page || fdatasync(file)) fail(path);
    }
    close(file);
}

int main(int argc, char **argv) {
    double since_s = now_s();
    if (argc == 5 && strcmp(argv[1], "spawn") == 0) spawn_all(atoi(argv[2]), atoi(argv[3]), argv[4]);
    else if (argc == 4 && strcmp(argv[1], "sync") == 0) sync_all(atoi(argv[2]), argv[3]);
    else return 2;
    printf("%.9f\n", now_s() - since_s);
    return 0;
}
