"""Unpack layers in a process of its own, `python -m runtime.images.unpacker`: what a CPU does here, another need not.

Standard input is a SEQPACKET socket. A request is a directory and the reading end of a pipe with the compressed layer;
the answer is what the layer turned out to be, or the error.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, SystemFailure, from_wire
from runtime.images.compression import CHUNK, decompressed
from runtime.images.content import Hashing
from runtime.images.layers import Layer
from runtime.images.unpack import unpack_layer
from runtime.linux import atomicfile
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.images.compression import Readable

_PIPE: Final = 1 << 20
_F_SETPIPE_SZ: Final = 1031


class Unpacker:
    """The other process, as its parent sees it; for one thread at a time."""

    def __init__(self) -> None:
        self._socket, theirs = seqpacket.pair()
        with theirs:
            command = [sys.executable, *_flags(), "-m", "runtime.images.unpacker"]
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL)

    def unpack(self, source: Readable, directory: str, progress: Callable[[], None]) -> Layer:
        """Unpack the compressed stream `source` to `directory`/diff; `progress` is called now and then.

        Raises InvalidParameter, SystemFailure, and what reading `source` raises.
        """
        reading, writing = os.pipe()
        try:
            _widen(writing)
            seqpacket.send(self._socket, {"directory": directory}, [reading])
        finally:
            os.close(reading)
        try:
            while data := source.read(CHUNK):
                atomicfile.write_all(writing, data)
                progress()
        except BrokenPipeError:
            pass  # it has found an error and says so
        finally:
            os.close(writing)
        return self._answer(directory)

    def close(self) -> None:
        """End the process; what it is at does not count."""
        self._socket.close()
        self._process.kill()
        self._process.wait()

    def _answer(self, directory: str) -> Layer:
        try:
            answer, _ = seqpacket.recv(self._socket)
        except (EOFError, OSError) as error:
            raise SystemFailure(f"{directory}: the process that unpacks died: {error}") from error
        if "error" in answer:
            raise from_wire(answer["error"])
        implied = tuple(bytes.fromhex(path) for path in answer["implied"])
        return Layer(directory, answer["diff_id"], answer["tar_size"], answer["size"], implied)


def _flags() -> list[str]:
    """The switches of this interpreter that decide where modules come from."""
    return [] if sys.flags.safe_path is False else ["-P"]


def _widen(pipe: int) -> None:
    import fcntl

    try:
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE)
    except OSError:
        pass  # the user's share of pipe memory is used up


def _handle(message: dict[str, Any], stream: int) -> dict[str, Any]:
    try:
        with open(stream, "rb", buffering=0) as source:
            plain, _ = decompressed(source)
            hashing = Hashing(plain)
            done = unpack_layer(hashing, f"{message['directory']}/diff")
    except EngineError as error:
        return {"error": error.to_wire()}
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return {"error": SystemFailure(f"{message['directory']}: {reason}", errno=error.errno).to_wire()}
    return {
        "diff_id": hashing.digest,
        "tar_size": hashing.size,
        "size": done.size,
        "implied": [path.hex() for path in done.implied],
    }


def main() -> None:
    """Serve requests until the parent goes away."""
    with socket.socket(fileno=0) as parent:
        while True:
            try:
                message, fds = seqpacket.recv(parent)
            except EOFError:
                return
            seqpacket.send(parent, _handle(message, fds[0]))


if __name__ == "__main__":
    os.umask(0o077)
    main()
