"""Talk to the engine: one method per thing it answers, plain dictionaries in and out.

One connection is kept and reused for short requests; a stream (plan, events, exec) takes a connection of its own, and
closing it is how the client tells the engine to stop.
"""

from __future__ import annotations

import json
import os
import select
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from runtime.client import http1
from runtime.errors import SystemFailure, Unavailable
from runtime.version import PROTOCOL, VERSION
from runtime.wire import unixsocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runtime.client.attach import FrameStream
    from runtime.paths import Paths
    from runtime.wire.containers import ContainerInspect
    from runtime.wire.plan import Plan, PlanEvent
    from runtime.wire.registries import Access

__all__ = ["PROTOCOL", "VERSION", "Client", "EventStream"]

UPGRADE = {"Connection": "Upgrade", "Upgrade": "pycompose-frames"}


class EventStream:
    """The engine's events as they happen; `fileno` and `available` for a poll loop, iteration to wait for each."""

    def __init__(self, response: http1.Response) -> None:
        self._response = response
        self._rest = b""

    def fileno(self) -> int:
        return self._response.fileno()

    def available(self) -> list[dict[str, Any]] | None:
        """Events that have arrived by now; None when the engine closed the stream."""
        data = self._response.available()
        if data is None:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines if line]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for line in self._response.lines():
            yield json.loads(line)

    def close(self) -> None:
        self._response.close()


class Client:
    """A client of the engine at `paths`. It connects when first used; errors are runtime.errors kinds."""

    def __init__(self, paths: Paths, *, parallel: int = 0, by: str = "") -> None:
        """`parallel`: how many operations of a plan may run at the same time; 0 for all that can.

        `by`: the command that uses it, for those who have to wait for its plans.
        """
        self.paths = paths
        self.parallel = parallel
        self.by = by
        self.revive: Callable[[], None] | None = None
        """Brings an engine back if none listens any more when the first request is made."""
        self._idle: socket.socket | None = None
        self._plan: http1.Response | None = None
        self._aborted = False

    def open(self) -> int:
        """Connect for the first request; the pid of whoever listens. Raises Unavailable."""
        if self._idle is None:
            self._idle = self._connect()
        return unixsocket.peer(self._idle)[0]

    def close(self) -> None:
        """Close the kept connection."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def abort(self) -> None:
        """From another thread: give up the plan that is being submitted, and all that follow."""
        self._aborted = True
        if self._plan is not None:
            self._plan.shut_down()

    @property
    def is_aborted(self) -> bool:
        """Whether `abort` was called."""
        return self._aborted

    # --- engine

    def version(self) -> dict[str, Any]:
        """Version, Protocol, Pid, Root, Run, StartedAt."""
        return cast("dict[str, Any]", self._json("GET", "/v1/version"))

    def status(self) -> dict[str, Any]:
        """The version's keys and what the engine holds."""
        return cast("dict[str, Any]", self._json("GET", "/v1/status"))

    def stop(self, *, containers: bool = False, handover: bool = False, resume: bool = False) -> None:
        """Ask the engine to end; Conflict if containers run and neither flag is set. Returns when it began.

        `resume`: stopped containers come back with the next engine, as their restart policies say.
        """
        body = {"handover": True} if handover else {"containers": containers, "resume": resume}
        self._json("POST", "/v1/stop", body)
        self.close()

    def engine_logs(self, tail: int | None = None) -> str:
        """The end of the engine's own log."""
        query = f"?tail={tail}" if tail is not None else ""
        return self._call("GET", f"/v1/engine/logs{query}").decode("utf-8", "replace")

    # --- reading

    def snapshot(self, project: str, images: Sequence[str] = ()) -> dict[str, Any]:
        """Containers of a project (all when empty), all networks and volumes, and the images asked for."""
        query = urlencode([("project", project), *(("image", image) for image in images)])
        return cast("dict[str, Any]", self._json("GET", f"/v1/snapshot?{query}"))

    def containers(self, labels: Mapping[str, str] | None = None, *, all: bool = False) -> list[ContainerInspect]:
        """Containers that carry the labels; those that do not run only with `all`."""
        pairs = [("label", f"{key}={value}") for key, value in (labels or {}).items()]
        query = urlencode([*pairs, *([("all", "1")] if all else [])])
        return cast("list[ContainerInspect]", self._json("GET", f"/v1/containers?{query}"))

    def inspect(self, container: str) -> ContainerInspect:
        """One container by id or name; NotFound."""
        return cast("ContainerInspect", self._json("GET", f"/v1/containers/{quote(container, safe='')}"))

    def logs(
        self, container: str, *, follow: bool = False, tail: int | None = None, since: str = "", until: str = ""
    ) -> http1.Response:
        """Raw json-file lines, for a caller that may not read the log file itself."""
        wanted = {"follow": "1" if follow else "", "tail": "" if tail is None else str(tail)}
        query = urlencode({k: v for k, v in {**wanted, "since": since, "until": until}.items() if v})
        return self._stream("GET", f"/v1/containers/{quote(container, safe='')}/logs?{query}")

    def events(self, project: str = "", *, since: str = "", until: str = "") -> EventStream:
        """Everything that happens from now on; once this returns, nothing is missed.

        With `since` or `until` (RFC 3339, UTC) first what the engine remembers; `until` ends it at that moment.
        """
        query = {"project": project, "since": since, "until": until}
        return EventStream(self._stream("GET", f"/v1/events?{urlencode({k: v for k, v in query.items() if v})}"))

    def top(self, container: str) -> dict[str, Any]:
        """Titles and Processes of a running container."""
        return cast("dict[str, Any]", self._json("GET", f"/v1/containers/{quote(container, safe='')}/top"))

    def stats(self, container: str) -> dict[str, Any]:
        """Counters of what a container uses at this instant; bytes and nanoseconds."""
        return cast("dict[str, Any]", self._json("GET", f"/v1/containers/{quote(container, safe='')}/stats"))

    # --- changing

    def submit(self, plan: Plan) -> Iterator[PlanEvent]:
        """Execute a plan; its events as they come. Closing the iterator cancels operations not begun."""
        if self._aborted:
            raise Unavailable("plan was given up")
        limit = {"limit": self.parallel} if self.parallel else {}
        sender = {"by": self.by} if self.by else {}
        body = {**plan, **limit, **sender}
        response = self._plan = self._stream("POST", "/v1/plan", body, sock=self._take())
        try:
            if self._aborted:
                raise Unavailable("plan was given up")
            for line in response.lines():
                yield cast("PlanEvent", json.loads(line))
        finally:
            self._plan = None
            response.close()

    def exec(self, container: str, request: Mapping[str, Any]) -> FrameStream:
        """Start a process in a running container; its frames. NotFound, Conflict (not running)."""
        return self._frames(f"/v1/containers/{quote(container, safe='')}/exec", request)

    def attach(self, container: str, request: Mapping[str, Any]) -> FrameStream:
        """A container's own standard streams as frames."""
        return self._frames(f"/v1/containers/{quote(container, safe='')}/attach", request)

    def archive(
        self, container: str, path: str = "/", *, delete: Sequence[str] = (), before_start: bool = False
    ) -> FrameStream:
        """Delete paths of a container and unpack a tar stream below `path`; see runtime.client.archive.

        With `before_start` in its next run, before its program starts. NotFound, Conflict (not running).
        """
        body = {"Delete": list(delete), "BeforeStart": before_start}
        return self._frames(self._archive(container, path=path), body, method="PUT")

    def put_files(self, container: str, path: str, *, copy_owner: bool = False) -> FrameStream:
        """Unpack a tar stream in the directory `path` of a container, running or not; see runtime.client.archive.send.

        With `copy_owner` what is written is the container's user's.
        """
        body = {"Strict": True, "CopyUIDGID": copy_owner}
        return self._frames(self._archive(container, path=path), body, method="PUT")

    def get_files(self, container: str, path: str) -> FrameStream:
        """What is at `path` of a container, running or not, as a tar stream; see runtime.client.archive.receive."""
        return self._frames(self._archive(container, path=path), {}, method="GET")

    def look_at(self, container: str, path: str, *, follow: bool = False) -> FrameStream:
        """Ask what is at `path` of a container, running or not; see runtime.client.archive.looked_at."""
        flags = {"stat": "1", "follow": "1" if follow else ""}
        return self._frames(self._archive(container, path=path, **flags), {}, method="GET")

    def _archive(self, container: str, **query: str) -> str:
        return f"/v1/containers/{quote(container, safe='')}/archive?{urlencode(query)}"

    # --- images

    def images(self) -> list[dict[str, Any]]:
        """Id, RepoTags, Created, Size, Labels of every image."""
        return cast("list[dict[str, Any]]", self._json("GET", "/v1/images"))

    def image(self, reference: str) -> dict[str, Any]:
        """One image; NotFound."""
        return cast("dict[str, Any]", self._json("GET", f"/v1/images/{quote(reference, safe='')}"))

    def import_image(
        self,
        reference: str,
        changes: Sequence[str] = (),
        *,
        message: str = "",
        name: str = "-",
        size: int = 0,
        directory: str = "",
    ) -> FrameStream:
        """Begin to make an image of a tar that is sent with runtime.client.transfer, or of a directory (absolute)."""
        source = {"Name": name, "Size": size, "Directory": directory}
        body = {**source, "Reference": reference, "Changes": list(changes), "Message": message}
        return self._frames("/v1/images/import", body)

    def tag_image(self, image: str, reference: str) -> None:
        """Give an image one more name. NotFound, InvalidParameter, Forbidden (built in)."""
        self._json("POST", f"/v1/images/{quote(image, safe='')}/tag", {"Reference": reference})

    def prune_images(
        self,
        *,
        all: bool = False,
        labels: Sequence[str] = (),
        not_labels: Sequence[str] = (),
        until: float | None = None,
    ) -> dict[str, Any]:
        """Delete unused images: ImagesDeleted (lines) and SpaceReclaimed (bytes). `until`: seconds since the epoch."""
        body = {"All": all, "Labels": list(labels), "NotLabels": list(not_labels), "Until": until}
        return cast("dict[str, Any]", self._json("POST", "/v1/images/prune", body))

    def load_images(self, *, name: str = "-", size: int = 0, directory: str = "") -> FrameStream:
        """Begin to load an archive that is sent with runtime.client.transfer, or an OCI layout directory (absolute)."""
        return self._frames("/v1/images/load", {"Name": name, "Size": size, "Directory": directory})

    def save_images(self, images: Sequence[str]) -> FrameStream:
        """Begin to receive an archive of images, see runtime.client.transfer."""
        return self._frames("/v1/images/save", {"Images": list(images)})

    def disk_usage(self) -> dict[str, Any]:
        """LayersSize, Images, Containers, Volumes, BuildCache with their sizes in bytes."""
        return cast("dict[str, Any]", self._json("GET", "/v1/engine/df"))

    # --- networks and volumes

    def networks(self) -> list[dict[str, Any]]:
        """All networks, the predefined `bridge`, `host` and `none` too."""
        return cast("list[dict[str, Any]]", self._json("GET", "/v1/networks"))

    def network(self, name: str) -> dict[str, Any]:
        """One network by name, id or id prefix; NotFound."""
        return cast("dict[str, Any]", self._json("GET", f"/v1/networks/{quote(name, safe='')}"))

    def volumes(self, sizes_of: Sequence[str] = ()) -> list[dict[str, Any]]:
        """All volumes with `UsageData`: `RefCount` (containers that mount it) and `Size` (bytes; -1 if not asked for)."""
        query = urlencode([("size", name) for name in sizes_of])
        return cast("list[dict[str, Any]]", self._json("GET", f"/v1/volumes?{query}"))

    def volume(self, name: str) -> dict[str, Any]:
        """One volume; NotFound."""
        return cast("dict[str, Any]", self._json("GET", f"/v1/volumes/{quote(name, safe='')}"))

    # --- registries

    def registry_digest(self, reference: str, access: Access) -> str:
        """The digest that a reference stands for in its registry now; NotFound, Unavailable."""
        return str(self._registry("digest", reference, access)["Digest"])

    def registry_tags(self, name: str, access: Access) -> list[str]:
        """All tags of a repository."""
        return [str(tag) for tag in self._registry("tags", name, access)["Tags"]]

    def registry_login(self, registry: str, access: Access) -> dict[str, Any]:
        """Whether the credentials in `access` are good: `Status` and perhaps an `IdentityToken`; Forbidden if not."""
        return self._registry("login", registry, access)

    def registry_artifact(self, reference: str, kinds: Sequence[str], access: Access) -> dict[str, Any]:
        """What is no image: `Digest`, `Kind`, and `Layers` (MediaType, Annotations, Content in base64) if that is one of `kinds`."""
        return self._registry("artifact", reference, access, Kinds=list(kinds))

    def registry_publish(
        self, reference: str, layers: Sequence[Mapping[str, Any]], form: Mapping[str, Any], access: Access
    ) -> str:
        """Write an artifact; its digest. `form`: Kind, ConfigType, Version, Annotations, Described, Images."""
        return str(self._registry("publish", reference, access, Layers=list(layers), Form=dict(form))["Digest"])

    def _registry(self, question: str, reference: str, access: Access, **more: object) -> dict[str, Any]:
        body = {"Reference": reference, "Access": access, **more}
        return cast("dict[str, Any]", self._json("POST", f"/v1/registry/{question}", body))

    # --- transport

    def _json(self, method: str, target: str, body: object = None) -> Any:
        payload = self._call(method, target, body)
        return json.loads(payload) if payload else None

    def _call(self, method: str, target: str, body: object = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        kept, self._idle = self._idle, None
        if kept is not None:
            try:
                return self._finish(http1.request(kept, method, target, data))
            except Unavailable:
                kept.close()  # the engine was replaced since: once more over a new connection
                if method != "GET":
                    raise
        return self._finish(http1.request(self._connect(), method, target, data))

    def _finish(self, response: http1.Response) -> bytes:
        self.revive = None
        payload = response.read()
        if response.reusable:
            self._idle = response.detach()[0]
        else:
            response.close()
        if response.status >= 400:
            raise http1.error_of(response.status, payload)
        return payload

    def _take(self) -> socket.socket:
        """The kept connection if the engine has not closed it; else a new one."""
        kept, self._idle = self._idle, None
        if kept is not None:
            poll = select.poll()
            poll.register(kept, select.POLLIN)
            if not poll.poll(0):
                return kept
            kept.close()
        return self._connect()

    def _stream(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        sock: socket.socket | None = None,
    ) -> http1.Response:
        data = None if body is None else json.dumps(body).encode()
        sock = sock or self._connect()
        try:
            response = http1.request(sock, method, target, data, headers)
            self.revive = None
            failure = http1.error_of(response.status, response.read()) if response.status >= 400 else None
        except BaseException:
            sock.close()
            raise
        if failure is not None:
            sock.close()
            raise failure
        return response

    def _frames(self, target: str, request: Mapping[str, Any], method: str = "POST") -> FrameStream:
        from runtime.client.attach import FrameStream

        response = self._stream(method, target, request, UPGRADE)
        if response.status != 101:
            response.close()
            raise SystemFailure(f"engine answered {response.status} where a stream was asked for")
        return FrameStream(*response.detach())

    def _connect(self) -> socket.socket:
        path = self.paths.engine_socket
        try:
            return unixsocket.connect(path)
        except PermissionError as error:
            who = "root" if os.geteuid() else "the engine's owner"
            raise Unavailable(f"engine socket {path}: permission denied; run as {who}") from error
        except OSError as error:
            revive, self.revive = self.revive, None
            if revive is None:
                raise Unavailable(f"engine is not running at {path}", errno=error.errno) from error
            revive()
            kept, self._idle = self._idle, None  # by which it asked
            return kept or self._connect()
