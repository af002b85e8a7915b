"""Named, anonymous and bound storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]


def test_a_new_named_volume_takes_the_images_content_and_keeps_its_own(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, volumes: ["ssl:/etc/ssl"]}
        volumes: {ssl: {}}
    """)
    stack.run("up", "-d")
    assert "certs" in stack.exec("a", "ls", "/etc/ssl").out.split()
    stack.exec("a", "sh", "-c", "rm -r /etc/ssl/certs && touch /etc/ssl/mine")
    stack.run("up", "-d", "--force-recreate")
    assert (
        stack.exec("a", "ls", "/etc/ssl").out.split() == ["mine"]
        or "certs" not in stack.exec("a", "ls", "/etc/ssl").out
    )


def test_binds_are_live_and_read_only_means_it(stack: Stack) -> None:
    stack.write("shared/file", "one\n")
    stack.compose("""
        services:
          a:
            image: localhost/host
            command: sleep 1000
            init: true
            volumes: ["./shared:/rw", "./shared:/ro:ro"]
    """)
    stack.run("up", "-d")
    stack.write("shared/file", "two\n")
    assert stack.exec("a", "cat", "/ro/file").out == "two\n"
    assert stack.exec("a", "touch", "/ro/new", ok=False).code != 0
    stack.exec("a", "touch", "/rw/new")
    assert (stack.folder / "shared/new").exists()


def test_tmpfs_and_a_read_only_root(stack: Stack) -> None:
    stack.compose("""
        services:
          a:
            image: localhost/host
            command: sleep 1000
            init: true
            read_only: true
            tmpfs: ["/scratch:size=1m,mode=1777"]
            volumes: [{type: tmpfs, target: /more, tmpfs: {size: 2m}}]
    """)
    stack.run("up", "-d")
    assert stack.exec("a", "touch", "/scratch/x", "/more/x").code == 0
    assert "Read-only" in stack.exec("a", "touch", "/x", ok=False).err
    sizes = stack.exec("a", "df", "-k", "--output=size", "/scratch", "/more").out.split()
    assert sizes[1:] == ["1024", "2048"]


def test_anonymous_volumes_survive_a_recreation_and_go_with_down_v(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, volumes: [/data]}
    """)
    stack.run("up", "-d")
    stack.exec("a", "sh", "-c", "echo kept > /data/file")
    stack.run("up", "-d", "--force-recreate")
    assert stack.exec("a", "cat", "/data/file").out == "kept\n"
    stack.run("down", "-v")
    assert stack.volumes() == []


def test_a_volume_that_is_described_anew_is_replaced_once_someone_agrees(stack: Stack) -> None:
    files = """
        services:
          web: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, volumes: ["data:/data"]}
        volumes: {data: {labels: {version: "%s"}}}
    """
    stack.compose(files % 1)
    stack.run("up", "-d")
    stack.run("exec", "-T", "web", "touch", "/data/kept")
    stack.compose(files % 2)
    question = f'Volume "{stack.project}_data" exists but doesn\'t match configuration in compose file.'
    assert question in stack.run("up", "-d").out
    stack.run("exec", "-T", "web", "test", "-e", "/data/kept")
    assert question in stack.run("up", "-d", stdin="y\n").out
    assert stack.run("exec", "-T", "web", "test", "-e", "/data/kept", ok=False).code == 1


@pytest.mark.ours
def test_a_missing_bind_source_is_refused_with_its_place_in_the_file(stack: Stack) -> None:
    stack.compose("""
        services:
          a:
            image: localhost/host
            command: sleep 1000
            volumes:
              - {type: bind, source: ./nowhere, target: /data, bind: {create_host_path: false}}
    """)
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert "compose.yaml:" in failed.err
    assert "nowhere" in failed.err
    assert stack.states() == {}
