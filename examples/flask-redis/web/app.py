"""A page that counts its visits."""

import os
import socket

from flask import Flask
from redis import Redis

app = Flask(__name__)
redis = Redis(host=os.environ.get("REDIS_HOST", "redis"), socket_timeout=2)


@app.route("/")
def visit() -> str:
    return f"Hello from Flask on {socket.gethostname()}!\nVisits: {redis.incr('visits')}\n"


@app.route("/health")
def health() -> str:
    return "ok\n"


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8000)
