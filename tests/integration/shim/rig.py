"""A real zygote and shims, driven as the engine drives them, with nothing of the engine there."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import uuid
from pathlib import Path

from runtime.cgroups import layout
from runtime.engine.shimlink import client_stream
from runtime.paths import Paths
from runtime.shim import launch
from runtime.wire import frames, seqpacket, unixsocket

PATIENCE = 20
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT", "CAP_KILL"]
ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {
        "destination": "/dev/pts",
        "type": "devpts",
        "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup",
        "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev", "ro"],
    },
]


def process(*args, **more):
    """An OCI process."""
    return {
        "args": list(args),
        "env": ENVIRONMENT,
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
        **more,
    }


def state(pid):
    """The process's state letter, X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def alive(pid):
    return state(pid) not in "ZX"


def wait_until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


class Stream:
    """A client's stream, passed to the shim as the engine does."""

    def __init__(self, path, request):
        self.sock = client_stream(path)
        self.sock.settimeout(PATIENCE)
        self.decoder = frames.Decoder()
        self.queue = []
        self.sock.sendall(frames.encode(frames.START, json.dumps(request).encode()))

    def send(self, kind, payload=b""):
        self.sock.sendall(frames.encode(kind, payload))

    def next(self):
        """The next frame, None at the end."""
        while not self.queue:
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            self.queue += self.decoder.feed(data)
        return self.queue.pop(0)

    def expect(self, kind):
        """The payload of the next frame, which must be of `kind`."""
        frame = self.next()
        assert frame is not None, "the stream ended"
        assert frame[0] == kind, frame
        return frame[1]

    def output_until(self, text):
        """Bytes of output up to and including `text`."""
        got = b""
        while text not in got:
            frame = self.next()
            assert frame is not None, got
            assert frame[0] in (frames.STDOUT, frames.STDERR), (frame, got)
            got += frame[1]
        return got

    def finish(self):
        """(stdout, stderr, last frame's JSON) up to the end."""
        out = {frames.STDOUT: b"", frames.STDERR: b""}
        while (frame := self.next()) is not None:
            kind, payload = frame
            if kind in (frames.EXIT, frames.ERROR):
                self.close()
                return out[frames.STDOUT], out[frames.STDERR], json.loads(payload)
            if kind in out:
                out[kind] += payload
        raise AssertionError("the stream ended without EXIT")

    def close(self):
        self.sock.close()


class Container:
    """One run of a container, with the engine's end of its control socket."""

    def __init__(self, rig, name, control, shim_pid):
        self.rig = rig
        self.name = name
        self.control = control
        self.shim_pid = shim_pid
        self.init_pid = 0

    @property
    def exit_record(self):
        return Path(self.rig.paths.exit_record(self.name))

    def send(self, kind, **more):
        seqpacket.send(self.control, {"type": kind, **more})

    def next(self):
        """The next message and its descriptors."""
        return seqpacket.recv(self.control)

    def expect(self, kind):
        message, fds = self.next()
        seqpacket.close_all(fds)
        assert message["type"] == kind, message
        return message

    def created(self):
        message = self.expect("created")
        self.init_pid = message["pid"]
        return message

    def run(self):
        """Through created and go to started."""
        self.created()
        self.send("go")
        return self.expect("started")

    def reconnect(self):
        """As a new engine does; returns the answer to hello."""
        self.control.close()
        self.control = unixsocket.connect(
            self.rig.paths.shim_socket(self.name), socket.SOCK_SEQPACKET, timeout=PATIENCE
        )
        self.send("hello", version="test", protocol=1)
        return self.expect("hello")

    def stream(self, **request):
        stream = Stream(self.rig.paths.shim_socket(self.name), request)
        self.rig.streams.append(stream)
        return stream

    def exec(self, *args, **more):
        request = {key: more.pop(key) for key in ("tty", "stdin", "detach") if key in more}
        return self.stream(exec={"id": uuid.uuid4().hex, "process": process(*args, **more), **request})

    def log(self):
        """The log's records, oldest first."""
        path = Path(self.rig.paths.container_log(self.name))
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def release(self):
        self.send("release")
        wait_until(lambda: not alive(self.shim_pid))


class Rig:
    """A zygote of its own data root and everything started in it."""

    def __init__(self, directory, engine=None):
        self.paths = Paths(root=str(directory / "data"), run=str(directory / "run"))
        os.makedirs(self.paths.containers)
        os.makedirs(self.paths.run)
        self.id = f"test-{uuid.uuid4().hex[:8]}"
        self.containers = []
        self.streams = []
        self.engine_log = directory / "engine-started"
        command = engine or {
            "argv": ["/bin/sh", "-c", f"echo $$ >>{self.engine_log}; readlink /proc/self/ns/mnt >>{self.engine_log}"],
            "env": {"PATH": "/usr/bin:/bin"},
            "lock": self.paths.engine_lock,
            "log": self.paths.engine_log,
        }
        begin = time.perf_counter()
        self.zygote, self.zygote_pid = launch.start(self.paths, command)
        self.hello = launch.hello(self.zygote)
        self.start_seconds = time.perf_counter() - begin

    def request(self, kind, fds=(), **more):
        return launch.request(self.zygote, {"type": kind, **more}, list(fds))

    def spec(self, name, *args, resources=None, network=None, **more):
        base = self.paths.container(name)
        for part in ("upper", "work", "rootfs"):
            os.makedirs(f"{base}/{part}", exist_ok=True)
        lower = self.request("host_layer")[0]["lowerdir"]
        namespaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
        namespaces.append({"type": "network", **({"path": network} if network else {})})
        return {
            "ociVersion": "1.0.2",
            "root": {"path": f"{base}/rootfs"},
            "hostname": name[:12],
            "process": process(*args, **more),
            "mounts": MOUNTS,
            "linux": {"namespaces": namespaces, "resources": resources or {}},
            "x-rootfs": {
                "type": "overlay",
                "lowerdir": [lower],
                "upperdir": f"{base}/upper",
                "workdir": f"{base}/work",
            },
        }

    def start(self, *args, hold=None, log=True, network=None, resources=None, options=None, **more):
        """Ask for a container; its messages are the caller's to read."""
        name = uuid.uuid4().hex * 2
        spec = self.spec(
            name, *args, resources=resources, network=network, terminal=bool((options or {}).get("tty")), **more
        )
        return self.start_spec(name, spec, hold=hold, log=log, **(options or {}))

    def start_spec(self, name, spec, *, hold=None, log=True, **options):
        hold = hold or {}
        ours, theirs = seqpacket.pair()
        ours.settimeout(PATIENCE)
        os.makedirs(self.paths.container(name), exist_ok=True)
        with open(f"{self.paths.container(name)}/config.json", "w") as stream:
            json.dump(spec, stream)
        log_options = {"max_size": 0, "max_file": 1, **(log if isinstance(log, dict) else {})}
        with theirs:
            answer, _ = self.request(
                "start",
                [theirs.fileno(), *hold.values()],
                id=name,
                bundle=self.paths.container(name),
                log={"path": self.paths.container_log(name), **log_options} if log else None,
                **{"stdin": False, "tty": False, **options},
                exit_record=self.paths.exit_record(name),
                socket=self.paths.shim_socket(name),
                cgroup=f"pycompose/{self.id}/{name}",
                hold=list(hold),
            )
        container = Container(self, name, ours, answer["shim_pid"])
        self.containers.append(container)
        return container

    def run(self, *args, **more):
        """A container that has started."""
        container = self.start(*args, **more)
        container.run()
        return container

    def close(self):
        """Kill what this rig started, and show that nothing is left."""
        for stream in self.streams:
            stream.close()
        for container in self.containers:
            container.control.close()
            for pid in (container.init_pid, container.shim_pid):
                if pid and alive(pid):
                    os.kill(pid, signal.SIGKILL)
        self.zygote.close()
        try:
            os.kill(self.zygote_pid, signal.SIGKILL)
            os.waitpid(self.zygote_pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        for container in self.containers:
            for pid in (container.init_pid, container.shim_pid):
                wait_until(lambda pid=pid: not pid or not alive(pid))
        cgroup = layout.detect().manager(f"pycompose/{self.id}")
        wait_until(lambda: not cgroup.pids())
        cgroup.delete()
