"""The tutorial: a Flask page in five replicas, a second service, and Redis that counts and remembers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Tenant

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(700)]

APP = """
    import os
    import socket

    from flask import Flask
    from redis import Redis, RedisError

    redis = Redis(host="redis", db=0, socket_connect_timeout=2, socket_timeout=2)
    app = Flask(__name__)


    @app.route("/")
    def hello():
        try:
            visits = redis.incr("counter")
        except RedisError:
            visits = "<i>cannot connect to Redis, counter disabled</i>"
        page = "<h3>Hello {}!</h3><b>Hostname:</b> {}<br/><b>Visits:</b> {}"
        return page.format(os.getenv("NAME", "world"), socket.gethostname(), visits)


    app.run(host="0.0.0.0", port=80)
"""
WEB = """
    services:
      web:
        image: debian:software
        command: python3 app.py
        working_dir: /app
        environment:
          NAME: Tutorial
        volumes:
          - ./app:/app:ro
        deploy:
          replicas: 5
          restart_policy:
            condition: on-failure
          resources:
            limits:
              cpus: "0.1"
              memory: 50M
        ports:
          - "{port}:80"
        networks:
          - webnet
"""
VISUALIZER = """
      visualizer:
        image: debian:software
        command: python3 -m http.server 8080 --directory /app
        volumes:
          - ./app:/app:ro
        ports:
          - "{other}:8080"
        networks:
          - webnet
"""
REDIS = """
      redis:
        image: debian:software
        command: redis-server --appendonly yes --protected-mode no
        working_dir: /data
        volumes:
          - ./data:/data
        networks:
          - webnet
"""
NETWORKS = """
    networks:
      webnet:
"""
DISABLED = "cannot connect to Redis, counter disabled"


def test_five_limited_replicas_share_a_port_and_come_back_after_a_failure(software: Tenant) -> None:
    page = deploy(software, WEB + NETWORKS)
    first = hosts_of(page, 5)
    assert first == {web["Config"]["Hostname"] for web in webs(software)}
    text = page()
    assert "Hello Tutorial!" in text
    assert DISABLED in text
    for web in webs(software):
        assert limit(web["State"]["Pid"], "memory", "memory.limit_in_bytes", "memory.max") == str(50 * 2**20)
        quota = limit(web["State"]["Pid"], "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
        assert quota == "10000"
    victim = software.inspect("web-3")
    software.kill(victim["State"]["Pid"])
    poll(lambda: software.inspect("web-3")["RestartCount"] == 1, what="web-3 is started again")
    assert hosts_of(page, 5) == first


def test_a_service_is_added_and_replicas_are_scaled_without_stopping_the_rest(software: Tenant) -> None:
    page = deploy(software, WEB.replace("replicas: 5", "replicas: 2") + NETWORKS)
    hosts_of(page, 2)
    before = {web["Id"]: web["State"]["StartedAt"] for web in webs(software)}

    other = free_port()
    two = WEB.replace("replicas: 5", "replicas: 2") + VISUALIZER.replace("{other}", str(other))
    page = deploy(software, two + NETWORKS)
    poll(lambda: reached(lambda: software.http(other, path="/app.py")), what="the second service answers")
    assert {web["Id"]: web["State"]["StartedAt"] for web in webs(software)} == before

    page = deploy(software, two.replace("replicas: 2", "replicas: 4") + NETWORKS)
    assert len(hosts_of(page, 4)) == 4
    after = {web["Id"]: web["State"]["StartedAt"] for web in webs(software)}
    assert before.items() <= after.items()

    page = deploy(software, two.replace("replicas: 2", "replicas: 1") + NETWORKS)
    assert all("Hello" in page() for _ in range(10))
    assert [web["Id"] in before for web in webs(software)] == [True]


def test_visits_in_a_host_directory_survive_every_redeploy(software: Tenant) -> None:
    (software.folder / "data").mkdir(parents=True)
    three = WEB.replace("replicas: 5", "replicas: 2") + REDIS
    page = deploy(software, three + NETWORKS)
    hosts_of(page, 2)
    counted = poll(lambda: visits(page()), what="redis counts")
    assert visits(page()) == counted + 1
    assert any((software.folder / "data").rglob("*aof*"))

    web = {each["Id"] for each in webs(software)}
    deploy(software, three.replace("--appendonly yes", "--appendonly yes --maxclients 50") + NETWORKS)
    assert {each["Id"] for each in webs(software)} == web
    assert poll(lambda: visits(page()), what="redis is back") == counted + 2

    software.run("down", "-t", "3")
    page = deploy(software, three + NETWORKS)
    hosts_of(page, 2)
    assert poll(lambda: visits(page()), what="redis is back") > counted + 2


def deploy(software: Tenant, text: str) -> Callable[[], str]:
    """`up -d` of the file, on the project's one port; gives a way to get the page."""
    software.environment.setdefault("WEB_PORT", str(free_port()))
    software.write("app/app.py", APP)
    software.compose(text.replace("{port}", "${WEB_PORT}"))
    software.run("up", "-d")
    return lambda: software.http(int(software.environment["WEB_PORT"]))


def webs(software: Tenant) -> list[dict[str, Any]]:
    """The running web containers."""
    label = f"com.docker.compose.project={software.project}"
    found = software.api(f"/v1/containers?label={label}")
    return [each for each in found if each["Config"]["Labels"]["com.docker.compose.service"] == "web"]


def hosts_of(page: Callable[[], str], count: int) -> set[str]:
    """The host names in the pages, once `count` replicas have answered: each imports Flask on a tenth of a core."""
    seen: set[str] = set()

    def ask() -> bool:
        found = re.search(r"Hostname:</b> (\w+)", reached(page) or "")
        seen.update(found.groups() if found else ())
        return len(seen) >= count

    poll(ask, 60, f"{count} replicas answer")
    return seen


def visits(text: str) -> int:
    """The count in a page; 0 where there is none."""
    found = re.search(r"Visits:</b> (\d+)", text)
    return int(found[1]) if found else 0


def reached(page: Callable[[], str]) -> str:
    """The page, or nothing while no server listens."""
    try:
        return page()
    except OSError:
        return ""


def limit(pid: int, controller: str, name_v1: str, name_v2: str) -> str:
    """What a process's cgroup says, on either version."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return (Path("/sys/fs/cgroup") / controller / path.lstrip("/") / name_v1).read_text().strip()
        if not controllers and (unified := Path("/sys/fs/cgroup") / path.lstrip("/") / name_v2).exists():
            return unified.read_text().strip()
    raise AssertionError(f"process {pid} is in no cgroup of {controller}")
