"""Run nft commands: in-process by libnftables, else by the `nft` program.

libnftables carries out a command in 0.1 to 0.3 ms where the program takes 3 to 12. Its context opens its netlink socket
when it is made, in the network namespace of that moment. One buffer of commands is one transaction.
"""

from __future__ import annotations

import ctypes
import subprocess
from typing import Any, Protocol

from runtime.errors import SystemFailure, Unavailable

_OUTPUT_HANDLE = 1 << 3


class Nft(Protocol):
    """Something that carries out nft command text."""

    def run(self, commands: str) -> str:
        """Carry out the commands, all or none, and return what `list` ones print; raises SystemFailure."""


class LibNftables:
    """libnftables.so.1; one context for life."""

    def __init__(self) -> None:
        """Raises OSError when the library is not there."""
        library: Any = ctypes.CDLL("libnftables.so.1")
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            getattr(library, name).restype = ctypes.c_char_p
            getattr(library, name).argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_ctx_output_set_flags.restype = None
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
            getattr(library, name).argtypes = [ctypes.c_void_p]
        context = library.nft_ctx_new(0)
        if not context:
            raise OSError("libnftables: no context")
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        library.nft_ctx_output_set_flags(context, _OUTPUT_HANDLE)
        self._library = library
        self._context = context

    def run(self, commands: str) -> str:
        failed = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        # reading a buffer is also what empties it
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        problem: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if failed:
            raise SystemFailure(f"nftables: {_first_error(problem.decode(errors='replace'))}", commands=commands)
        return output.decode(errors="replace")


class NftProgram:
    """The `nft` program, one process per call."""

    def run(self, commands: str) -> str:
        try:
            done = subprocess.run(["nft", "-a", "-f", "-"], input=commands, text=True, capture_output=True, check=False)
        except FileNotFoundError:
            raise Unavailable("nftables: neither libnftables.so.1 nor the program nft is installed") from None
        if done.returncode:
            raise SystemFailure(f"nftables: {_first_error(done.stderr)}", commands=commands)
        return done.stdout


def open_nft() -> Nft:
    """The fastest way to nftables there is, bound to the caller's network namespace."""
    try:
        return LibNftables()
    except OSError:
        return NftProgram()


def _first_error(text: str) -> str:
    line = next((line for line in text.splitlines() if "Error:" in line), text.strip() or "unknown error")
    return line.partition("Error:")[2].strip().lower() or line.lower()
