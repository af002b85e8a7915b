"""Starting the engine on demand, with a small program in its place."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from runtime.client import autostart
from runtime.client.client import Client
from runtime.errors import Unavailable
from runtime.paths import Paths
from runtime.version import PROTOCOL, VERSION
from tests.kit.fakeengine import FakeEngine
from tests.kit.stack import poll


def test_a_running_engine_of_the_same_version_is_used(engine) -> None:
    client = Client(engine.paths)
    autostart.ensure(client, {})
    assert engine.requests == ["GET /v1/version"]
    client.close()


def test_an_engine_that_signed_its_lock_is_not_asked(engine) -> None:
    Path(engine.paths.engine_lock).write_text(f"{PROTOCOL} {VERSION} {os.getpid()}\n")
    client = Client(engine.paths)
    autostart.ensure(client, {})
    assert engine.requests == []
    assert client.version()["Pid"] == 1
    assert len(engine._sockets) == 1
    client.close()


@pytest.mark.parametrize("text", ["", "one two three", f"{PROTOCOL}", f"{PROTOCOL} {VERSION} 1"])
def test_a_lock_that_says_nothing_is_no_answer(engine, text: str) -> None:
    Path(engine.paths.engine_lock).write_text(text)
    client = Client(engine.paths)
    autostart.ensure(client, {})
    assert engine.requests == ["GET /v1/version"]
    client.close()


def test_an_engine_that_signed_as_another_is_refused(engine) -> None:
    Path(engine.paths.engine_lock).write_text(f"{PROTOCOL + 1} 9.0.0 {os.getpid()}\n")
    client = Client(engine.paths)
    with pytest.raises(Unavailable, match=r"engine 9\.0\.0 speaks protocol"):
        autostart.ensure(client, {})
    client.close()


@pytest.mark.parametrize("request_", ["version", "plan"])
def test_an_engine_that_dies_before_it_answers_is_started_again(engine, monkeypatch, request_: str) -> None:
    Path(engine.paths.engine_lock).write_text(f"{PROTOCOL} {VERSION} {os.getpid()}\n")
    client = Client(engine.paths)
    autostart.ensure(client, {})
    poll(lambda: engine._sockets, what="it has accepted")
    engine.close()
    made: list[FakeEngine] = []
    monkeypatch.setattr(autostart, "start", lambda paths, environ: made.append(FakeEngine(Path(paths.run).parent)))
    if request_ == "version":
        assert client.version()["Pid"] == 1
    else:
        events = list(client.submit({"project": "app", "operations": []}))
        assert events == [{"status": "finished"}]
    client.close()
    made[0].close()
    assert len(made) == 1


def test_an_engine_that_has_answered_once_is_not_started_again(engine, monkeypatch) -> None:
    monkeypatch.setattr(autostart, "start", lambda paths, environ: pytest.fail("started"))
    client = Client(engine.paths)
    autostart.ensure(client, {})
    client.version()
    engine.close()
    with pytest.raises(Unavailable, match="not running"):
        client.version()
    client.close()


def test_a_newer_protocol_is_refused_with_the_way_out(engine) -> None:
    engine.routes["GET /v1/version"] = {"Version": "9.0.0", "Protocol": PROTOCOL + 1}
    client = Client(engine.paths)
    with pytest.raises(Unavailable, match=r"engine 9\.0\.0 speaks protocol"):
        autostart.ensure(client, {})
    client.close()


def test_an_older_engine_is_asked_to_hand_over(engine, monkeypatch) -> None:
    old = {"Version": "0.0.1", "Protocol": PROTOCOL}
    answers = iter([old, engine.routes["GET /v1/version"]])
    engine.routes["GET /v1/version"] = lambda exchange: exchange.reply(next(answers))
    engine.routes["POST /v1/stop"] = {}
    started = []
    monkeypatch.setattr(autostart, "start", lambda paths, environ: started.append(paths))
    client = Client(engine.paths)
    autostart.ensure(client, {})
    client.close()
    assert engine.bodies[1] == {"handover": True}
    assert started == [engine.paths]


def spawn_instead(monkeypatch, tmp_path, program: str) -> None:
    script = tmp_path / "engine.py"
    script.write_text(program)
    real = autostart.os.posix_spawn

    def spawn(path, argv, environment, **options) -> int:
        assert argv[1:4] == ["-P", "-m", "runtime.daemon"]
        return real(path, [sys.executable, str(script), *argv[4:]], environment, **options)

    monkeypatch.setattr(autostart.os, "posix_spawn", spawn)


def test_start_returns_as_soon_as_the_engine_says_it_listens(monkeypatch, tmp_path) -> None:
    program = f"""
        import os, sys
        assert sys.argv[1:] == ["--root", "{tmp_path}/data", "--run", "{tmp_path}/run", "--ready-fd", "3"], sys.argv
        assert sorted(os.environ) == ["PATH", "PYTHONPATH"] or "LC_CTYPE" in os.environ, os.environ
        os.write(3, b"1")
    """.replace("\n        ", "\n")
    spawn_instead(monkeypatch, tmp_path, program)
    paths = Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run"))
    began = time.monotonic()
    autostart.start(paths, {"PATH": "/bin", "SECRET": "x"})
    assert time.monotonic() - began < 5


def test_an_engine_that_cannot_start_says_why(monkeypatch, tmp_path) -> None:
    spawn_instead(monkeypatch, tmp_path, "import sys\nprint('no cgroups here', file=sys.stderr)\nsys.exit(1)\n")
    paths = Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run"))
    with pytest.raises(Unavailable, match="(?s)engine did not start:.*no cgroups here"):
        autostart.start(paths, {})


def test_directories_that_cannot_be_made_are_named(tmp_path) -> None:
    (tmp_path / "file").touch()
    paths = Paths(root=str(tmp_path / "file" / "data"), run=str(tmp_path / "run"))
    with pytest.raises(Unavailable, match=r"engine did not start: .*/file.*: not a directory; .*PYCOMPOSE_ROOT"):
        autostart.start(paths, {})
