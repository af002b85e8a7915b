"""Find out which process holds a port, for the message of a failed bind."""

from __future__ import annotations

import os
import socket
import struct

_LISTEN = "0A"
_COLUMN_LOCAL, _COLUMN_STATE, _COLUMN_INODE = 1, 3, 9


def holder_of(protocol: str, host_ip: str, port: int) -> str:
    """The holder as text, `nginx: master process (pid 812)`, or an empty string when it cannot be told.

    Reads /proc/net and every process's descriptors: some milliseconds, so only for errors.
    """
    inodes = _inodes(protocol, host_ip, port)
    if not inodes:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") in wanted:
                    return f"{_command(pid)} (pid {pid})"
            except OSError:
                continue
    return ""


def _inodes(protocol: str, host_ip: str, port: int) -> set[str]:
    found = set()
    for table in (protocol, f"{protocol}6"):
        try:
            with open(f"/proc/net/{table}") as file:
                lines = file.readlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[_COLUMN_LOCAL].rpartition(":")
            if int(number, 16) != port or (protocol == "tcp" and fields[_COLUMN_STATE] != _LISTEN):
                continue
            if _stands_in_the_way(_address(address), host_ip):
                found.add(fields[_COLUMN_INODE])
    return found


def _address(text: str) -> str:
    """The kernel prints addresses as 32-bit words in host order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return socket.inet_ntop(
        socket.AF_INET if len(words) == 1 else socket.AF_INET6, struct.pack(f"={len(words)}I", *words)
    )


def _stands_in_the_way(bound: str, wanted: str) -> bool:
    anywhere = ("0.0.0.0", "::")
    if bound in (wanted, "::"):
        return True
    same_family = (":" in bound) == (":" in wanted)
    return same_family and (bound in anywhere or wanted in anywhere)


def _command(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(256).rstrip(b"\0").split(b"\0")
        if words != [b""]:
            return b" ".join(words[:4]).decode(errors="replace")
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read().strip()
    except OSError:
        return "a process"
