"""A page that says who answers and how often it was asked."""

import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STORE = os.environ.get("STORE", "store:7000")


def count_visit() -> str:
    """The number of visits so far, this one included, or why it is not known."""
    host, _, port = STORE.partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2) as store:
            store.sendall(b"count\n")
            return store.makefile().readline().strip()
    except OSError as error:
        return f"cannot reach {STORE} ({error}), counter disabled"


class Page(BaseHTTPRequestHandler):
    """Every path is the same page."""

    def do_GET(self) -> None:
        name = os.environ.get("NAME", "World")
        lines = (f"Hello {name}!", f"Hostname: {socket.gethostname()}", f"Visits: {count_visit()}", "")
        body = "\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Page).serve_forever()
