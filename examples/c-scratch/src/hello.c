/* Answers every connection to a port with a page. As pid 1 it must say itself that SIGTERM ends it. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(int number) { _exit(number == SIGTERM ? 0 : 1); }

int main(int argc, char **argv) {
  static const char page[] =
      "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nHello from C, alone in its image!\n";
  if (argc > 1 && !strcmp(argv[1], "--version")) {
    puts("hello 1");
    return 0;
  }
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 8000)};
  int server = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  signal(SIGTERM, end);
  signal(SIGINT, end);
  signal(SIGPIPE, SIG_IGN);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 64)) {
    perror("hello");
    return 1;
  }
  for (;;) {
    char request[4096];
    int client = accept(server, NULL, NULL);
    if (client < 0) continue;
    if (read(client, request, sizeof request) > 0) write(client, page, sizeof page - 1);
    close(client);
  }
}
