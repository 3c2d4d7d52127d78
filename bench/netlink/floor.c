/*
 * The floor of the benchmark: sends prebuilt netlink messages in batches and waits for the
 * acknowledgement of each batch's last. `floor FILE BATCH` prints milliseconds.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  FILE *file = fopen(argv[1], "rb");
  if (!file) fail("open");
  size_t size = 0, capacity = 16 << 20;
  char *bytes = malloc(capacity);
  size = fread(bytes, 1, capacity, file);
  int batch = atoi(argv[2]), fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM), buffer = 64 << 20;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  char answer[65536];
  double start = now_ms();
  for (size_t at = 0; at < size;) {
    size_t end = at;
    struct nlmsghdr *last = NULL;
    for (int i = 0; i < batch && end < size; i++) {
      last = (struct nlmsghdr *)(bytes + end);
      end += NLMSG_ALIGN(last->nlmsg_len);
    }
    last->nlmsg_flags |= NLM_F_ACK;
    if (send(fd, bytes + at, end - at, 0) < 0) fail("send");
    ssize_t length = recv(fd, answer, sizeof answer, 0);
    struct nlmsghdr *header = (struct nlmsghdr *)answer;
    if (length < 0 || header->nlmsg_type != NLMSG_ERROR) fail("receive");
    int error = ((struct nlmsgerr *)NLMSG_DATA(header))->error;
    if (error != 0) {
      fprintf(stderr, "refused: %s\n", strerror(-error));
      return 1;
    }
    at = end;
  }
  printf("%.3f\n", now_ms() - start);
  return 0;
}
