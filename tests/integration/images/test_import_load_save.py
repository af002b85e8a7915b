"""From an archive or directory to an image and back."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import EngineError, InvalidParameter, NotFound, SystemFailure
from runtime.images import removal, workspace
from runtime.images.archive import import_rootfs
from runtime.images.load import load_images
from runtime.images.save import save_images
from runtime.images.store import ImageStore
from runtime.paths import Paths
from tests.kit.rootfs import tiny_rootfs, tiny_tar
from tests.kit.stack import poll

pytestmark = pytest.mark.root

REPOSITORY = Path(__file__).resolve().parents[3]


def make_store(base: Path) -> ImageStore:
    made = ImageStore(Paths(root=str(base / "data"), run=str(base / "run")))
    made.prepare()
    return made


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return make_store(tmp_path)


def picture(root: Path) -> dict[str, tuple[Any, ...]]:
    """Every path below `root` with its kind, mode, owner, whole seconds and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            int(status.st_mtime),
            content,
        )
    return found


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "zstd"])
def test_an_archive_in_any_compression_becomes_an_image(store: ImageStore, tmp_path: Path, mode: str) -> None:
    source = tiny_tar(tmp_path / "root.tar", mode="w" if mode == "zstd" else mode)
    if mode == "zstd":
        subprocess.run(["zstd", "-q", "--rm", source, "-o", tmp_path / "root.tar.zst"], check=True)
        source = tmp_path / "root.tar.zst"
    image = import_rootfs(store, str(source), "tiny:1", ['CMD ["/bin/sh"]', "ENV A=b"])
    assert store.resolve("tiny:1").id == image.id
    assert image.config == {"Cmd": ["/bin/sh"], "Env": ["A=b"]}
    [directory] = store.layer_dirs(image)
    assert picture(Path(directory)).keys() == picture(tiny_rootfs()).keys()
    assert image.size == sum(len(entry[4]) for entry in picture(Path(directory)).values())
    assert not os.listdir(f"{store.root}/tmp")


def test_a_directory_is_copied_and_never_aliased(store: ImageStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["cp", "-a", tiny_rootfs(), source], check=True)
    (source / "hard").hardlink_to(source / "bin/cat")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "fifo")
    os.setxattr(source / "bin/cat", "user.note", b"x")
    image = import_rootfs(store, str(source), "tiny")
    layer = Path(store.layer_dirs(image)[0])
    assert picture(layer) == picture(source)
    assert os.stat(layer / "hard").st_ino == os.stat(layer / "bin/cat").st_ino
    assert os.stat(layer / "hard").st_ino != os.stat(source / "hard").st_ino
    assert os.getxattr(layer / "bin/cat", "user.note") == b"x"


def test_directory_and_archive_of_the_same_tree_share_one_layer(store: ImageStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    subprocess.run(["cp", "-a", tiny_rootfs(), source], check=True)
    subprocess.run(["tar", "-C", source, "-cf", tmp_path / "a.tar", "."], check=True)
    one = import_rootfs(store, str(source), "one")
    two = import_rootfs(store, str(tmp_path / "a.tar"), "two")
    assert one.layers == two.layers
    assert len(os.listdir(f"{store.root}/layers")) == 1


def test_mounts_and_sockets_in_a_directory_are_left_out_with_a_word(store: ImageStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "sock"))
    warnings: list[str] = []
    import_rootfs(store, str(source), "x", warn=warnings.append)
    assert warnings == ["sock: a socket, not imported"]
    assert not os.listdir(store.layer_dirs(store.resolve("x"))[0])


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"\x1f\x8bgarbage"])
def test_garbage_registers_nothing(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(InvalidParameter):
        import_rootfs(store, str(tmp_path / "bad"), "bad")
    with pytest.raises(NotFound):
        import_rootfs(store, str(tmp_path / "missing"), "bad")
    assert len(store.list()) == 1
    assert not os.listdir(f"{store.root}/layers")
    assert not os.listdir(f"{store.root}/tmp")


def test_a_directory_with_the_store_in_it_is_refused(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="contains the image store"):
        import_rootfs(store, str(tmp_path), "x")


def test_saved_images_load_elsewhere_with_the_same_ids(store: ImageStore, tmp_path: Path) -> None:
    first = import_rootfs(store, str(tiny_rootfs()), "tiny:1", ["CMD sh"])
    store.tag(first.id, "tiny:2")
    (tmp_path / "small").mkdir()
    second = import_rootfs(store, str(tmp_path / "small"), "localhost:5000/small")
    save_images(store, ["tiny:1", "tiny:2", second.id], str(tmp_path / "out.tar"))
    (tmp_path / "b").mkdir()
    other = make_store(tmp_path / "b")
    loaded = load_images(other, str(tmp_path / "out.tar"))
    assert [(image.id, image.repo_tags) for image in loaded] == [(first.id, ["tiny:1", "tiny:2"]), (second.id, [])]
    assert other.resolve("tiny:2").layers == first.layers
    assert picture(Path(other.layer_dirs(loaded[0])[0])) == picture(Path(store.layer_dirs(first)[0]))
    # what was loaded from blobs is saved from blobs: the same bytes
    save_images(other, ["tiny:1", "tiny:2", second.id], str(tmp_path / "again.tar"))
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "out.tar").read_bytes()


def test_a_saved_archive_is_an_oci_layout_that_loads_as_a_directory(store: ImageStore, tmp_path: Path) -> None:
    image = import_rootfs(store, str(tiny_rootfs()), "tiny:1")
    save_images(store, ["tiny:1"], str(tmp_path / "out.tar"))
    with tarfile.open(tmp_path / "out.tar") as archive:
        archive.extractall(tmp_path / "layout", filter="data")
    (tmp_path / "layout/manifest.json").unlink()
    (tmp_path / "b").mkdir()
    [loaded] = load_images(make_store(tmp_path / "b"), str(tmp_path / "layout"))
    assert (loaded.id, loaded.repo_tags) == (image.id, ["tiny:1"])


def test_a_layer_changed_on_disk_is_not_saved(store: ImageStore, tmp_path: Path) -> None:
    image = import_rootfs(store, str(tiny_rootfs()), "tiny")
    Path(store.layer_dirs(image)[0], "bin/cat").write_bytes(b"changed")
    with pytest.raises(SystemFailure, match="damaged on disk"):
        save_images(store, ["tiny"], str(tmp_path / "out.tar"))
    assert not list(tmp_path.glob("out*"))


def docker_archive(path: Path, *, diff_id: str = "", tags: tuple[str, ...] = ("old:1",)) -> str:
    """The old docker save form: layers by path, the second a symbolic link to the first; the id."""
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        member = tarfile.TarInfo("hello")
        member.size = 2
        tar.addfile(member, io.BytesIO(b"hi"))
    layer = inner.getvalue()
    diff = diff_id or f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff, diff]}}).encode()
    digest = hashlib.sha256(config).hexdigest()
    listed = [{"Config": f"{digest}.json", "RepoTags": list(tags), "Layers": ["one/layer.tar", "two/layer.tar"]}]
    with tarfile.open(path, "w:gz") as tar:
        for name, data in (
            ("one/layer.tar", layer),
            (f"{digest}.json", config),
            ("manifest.json", json.dumps(listed).encode()),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        member = tarfile.TarInfo("two/layer.tar")
        member.type, member.linkname = tarfile.SYMTYPE, "../one/layer.tar"
        tar.addfile(member)
    return f"sha256:{digest}"


def test_the_old_docker_form_loads(store: ImageStore, tmp_path: Path) -> None:
    image_id = docker_archive(tmp_path / "old.tar.gz")
    [image] = load_images(store, str(tmp_path / "old.tar.gz"))
    assert (image.id, image.repo_tags, len(image.layers)) == (image_id, ["old:1"], 2)
    assert Path(store.layer_dirs(image)[0], "hello").read_text() == "hi"


def test_a_layer_that_is_not_what_the_configuration_says_is_refused(store: ImageStore, tmp_path: Path) -> None:
    docker_archive(tmp_path / "bad.tar", diff_id="sha256:" + "0" * 64)
    with pytest.raises(InvalidParameter, match="verification failed"):
        load_images(store, str(tmp_path / "bad.tar"))
    assert len(store.list()) == 1
    assert not os.listdir(f"{store.root}/layers")


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil"])
def test_names_in_an_archive_are_no_paths(store: ImageStore, tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(EngineError):
        load_images(store, str(tmp_path / "x.tar"))
    assert not os.path.exists("/etc/evil")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data", "x.tar"]


def worker(base: Path, job: str, **request: Any) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.worker", job], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"root": str(base / "data"), "run": str(base / "run"), **request}).encode())
    process.stdin.close()
    return process


def events(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    assert process.stdout is not None
    with process.stdout as out:
        found = [json.loads(line) for line in out]
    process.wait()
    return found


def test_a_worker_imports_and_reports(store: ImageStore, tmp_path: Path) -> None:
    done = events(worker(tmp_path, "import_image", source=str(tiny_rootfs()), reference="tiny", changes=["CMD sh"]))
    assert done[-1]["status"] == "finished"
    assert done[-1]["result"]["RepoTags"] == ["tiny:latest"]
    assert {event["status"] for event in done[:-1]} <= {"progress", "warning"}
    assert store.resolve("tiny").id == done[-1]["Id"]
    [failed] = events(worker(tmp_path, "import_image", source="/nonexistent", reference="x"))
    assert (failed["status"], failed["error"]["kind"]) == ("failed", "NotFound")


def test_a_killed_import_leaves_no_image_and_the_next_job_sweeps_up(store: ImageStore, tmp_path: Path) -> None:
    fifo = tmp_path / "slow.tar"
    os.mkfifo(fifo)
    process = worker(tmp_path, "import_image", source=str(fifo), reference="slow")
    whole = tiny_tar(tmp_path / "whole.tar").read_bytes()
    with fifo.open("wb") as out:
        out.write(whole[: len(whole) // 2])
        out.flush()
        poll(lambda: list(Path(store.root, "tmp").glob("*/layer-*/diff/*")), what="the worker unpacks")
        process.send_signal(signal.SIGKILL)
        events(process)
    assert len(store.list()) == 1
    assert not os.listdir(f"{store.root}/layers")
    assert os.listdir(f"{store.root}/tmp")
    assert (
        events(worker(tmp_path, "import_image", source=str(tiny_rootfs()), reference="x"))[-1]["status"] == "finished"
    )
    assert not os.listdir(f"{store.root}/tmp")


def test_the_trash_is_emptied(store: ImageStore, tmp_path: Path) -> None:
    import_rootfs(store, str(tiny_rootfs()), "tiny")
    removal.remove(store, "tiny")
    [entry] = (tmp_path / "data/trash").iterdir()
    assert entry.name.startswith("layer-")
    [done] = events(worker(tmp_path, "empty_trash"))
    assert done["result"] == {"Removed": 1, "Kept": []}
    assert not list((tmp_path / "data/trash").iterdir())


def test_removal_is_confined_to_the_data_root(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for path in (str(tmp_path / "other"), f"{tmp_path}/data/../other", f"{tmp_path}/data"):
        [failed] = events(worker(tmp_path, "remove_tree", paths=[path]))
        assert failed["error"]["kind"] == "InvalidParameter"
    assert (tmp_path / "other").exists()


def test_an_import_takes_bounded_memory(store: ImageStore, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("zeros")
        member.size = 300 << 20
        with open("/dev/zero", "rb") as zeros:
            tar.addfile(member, zeros)
    process = worker(tmp_path, "import_image", source=str(tmp_path / "bomb.tar.gz"), reference="bomb")
    peak = 0
    while process.poll() is None:
        try:
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    peak = max(peak, int(line.split()[1]))
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(0.05)
    assert events(process)[-1]["status"] == "finished"
    assert peak < 64 << 10
    assert os.stat(f"{store.layer_dirs(store.resolve('bomb'))[0]}/zeros").st_blocks == 0


def test_a_lease_keeps_the_collector_out(store: ImageStore) -> None:
    with workspace.lease(store.root), workspace.collector(store.root) as free:
        assert not free
    with workspace.collector(store.root) as free:
        assert free
