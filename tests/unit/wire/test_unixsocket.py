"""Unix sockets at paths longer than sun_path."""

from __future__ import annotations

import socket
import stat

import pytest

from runtime.wire import unixsocket


def test_a_path_of_three_hundred_bytes_can_be_bound_and_connected(tmp_path):
    deep = tmp_path
    for _ in range(3):
        deep /= "d" * 100
    deep.mkdir(parents=True)
    path = str(deep / "engine.sock")
    with unixsocket.listen(path) as server, unixsocket.connect(path, timeout=5) as client:
        with server.accept()[0] as accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_a_stale_socket_file_is_replaced_and_only_its_owner_may_connect(tmp_path):
    path = str(tmp_path / "s")
    unixsocket.listen(path, socket.SOCK_SEQPACKET).close()
    with unixsocket.listen(path, socket.SOCK_SEQPACKET):
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


def test_a_socket_without_listener_refuses(tmp_path):
    path = str(tmp_path / "s")
    unixsocket.listen(path).close()
    with pytest.raises(ConnectionRefusedError):
        unixsocket.connect(path)
    with pytest.raises(FileNotFoundError):
        unixsocket.connect(str(tmp_path / "none"))
