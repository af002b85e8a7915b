"""A store for one number: `count` adds one and answers it, `ping` answers `pong`. The number lies in /data."""

import os
import socketserver
import sys
import threading

FILE = "/data/visits"
PORT = 7000
LOCK = threading.Lock()


def count() -> int:
    """Add one, on disk before the answer."""
    with LOCK:
        try:
            with open(FILE, encoding="ascii") as stream:
                number = int(stream.read())
        except FileNotFoundError:
            number = 0
        with open(f"{FILE}.new", "w", encoding="ascii") as stream:
            stream.write(str(number + 1))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(f"{FILE}.new", FILE)
        return number + 1


class Request(socketserver.StreamRequestHandler):
    """One line in, one line out."""

    def handle(self) -> None:
        command = self.rfile.readline().strip()
        answer = str(count()) if command == b"count" else "pong" if command == b"ping" else "unknown command"
        self.wfile.write(f"{answer}\n".encode())


class Server(socketserver.ThreadingTCPServer):
    """Takes its port back at once after a restart."""

    allow_reuse_address = True
    daemon_threads = True


def ping() -> int:
    """0 if the store answers."""
    import socket

    with socket.create_connection(("127.0.0.1", PORT), timeout=2) as store:
        store.sendall(b"ping\n")
        return 0 if store.makefile().readline().strip() == "pong" else 1


if __name__ == "__main__":
    if sys.argv[1:] == ["ping"]:
        sys.exit(ping())
    print(f"store: serving {FILE} on port {PORT}", flush=True)
    Server(("", PORT), Request).serve_forever()
