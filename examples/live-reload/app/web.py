"""A page that shows a file, and since when the program runs."""

from __future__ import annotations

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).parent
VERSION = 1
STARTED = time.strftime("%H:%M:%S")


class Page(BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        greeting = (FOLDER / "greeting.txt").read_text()
        text = f"{greeting}Version {VERSION}, running since {STARTED} as process {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Page).serve_forever()
