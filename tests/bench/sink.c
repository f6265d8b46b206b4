/* A server that reads each request to its last byte, answers that all were accepted, and does nothing else.
   At the end of standard input it prints how many it answered, and the seconds from the first to the last. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 4096, HEAD = 8192, PIECE = 1 << 16 };

static const char REPLY[] =
    "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 47\r\n\r\n"
    "{\"batch_task_id\":\"bench\",\"accepted_count\":1000}";

static struct { char head[HEAD + 1]; int got; long body; } state[CONNECTIONS];
static char piece[PIECE];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* Takes in what came; returns how many requests are complete by it. */
static int take(int fd, const char *data, long size) {
  int complete = 0;
  while (size > 0) {
    if (state[fd].body == 0) { /* in a head, byte by byte: it is short */
      if (state[fd].got == HEAD) exit(2);
      state[fd].head[state[fd].got++] = *data++, size--;
      state[fd].head[state[fd].got] = 0;
      if (state[fd].got < 4 || memcmp(state[fd].head + state[fd].got - 4, "\r\n\r\n", 4)) continue;
      char *length = strcasestr(state[fd].head, "\r\nContent-Length:");
      state[fd].body = length ? atol(length + 17) : 0;
      state[fd].got = 0;
    } else {
      long part = size < state[fd].body ? size : state[fd].body;
      state[fd].body -= part, data += part, size -= part;
    }
    complete += state[fd].body == 0;
  }
  return complete;
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listening = socket(AF_INET, SOCK_STREAM, 0), events = epoll_create1(0);
  if (bind(listening, (void *)&address, sizeof address) || listen(listening, 512)) return 1;
  getsockname(listening, (void *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, ready[64];
  epoll_ctl(events, EPOLL_CTL_ADD, listening, &event);
  event.data.fd = 0;
  epoll_ctl(events, EPOLL_CTL_ADD, 0, &event);
  long calls = 0;
  double first = 0, last = 0;
  for (;;) {
    int count = epoll_wait(events, ready, 64, -1);
    for (int i = 0; i < count; i++) {
      int fd = ready[i].data.fd;
      if (fd == 0) {
        printf("%ld %.6f\n", calls, last - first);
        return 0;
      }
      if (fd == listening) {
        fd = accept(listening, 0, 0);
        if (fd >= CONNECTIONS) return 3;
        state[fd].got = 0, state[fd].body = 0;
        event.data.fd = fd;
        epoll_ctl(events, EPOLL_CTL_ADD, fd, &event);
        continue;
      }
      long size = read(fd, piece, PIECE);
      if (size <= 0) {
        close(fd);
        continue;
      }
      for (int done = take(fd, piece, size); done > 0; done--) {
        last = now();
        if (calls++ == 0) first = last;
        if (write(fd, REPLY, sizeof REPLY - 1) < 0) close(fd);
      }
    }
  }
}
