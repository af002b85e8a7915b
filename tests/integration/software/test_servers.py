"""Databases and servers as their users run them: PostgreSQL, nginx, supervisord, apt and pip."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from .conftest import Tenant

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.timeout(700)]

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def test_postgresql_data_survive_down_and_up(software: Tenant) -> None:
    software.write(
        "entrypoint.sh",
        """\
        #!/bin/sh
        set -e
        PATH=$PATH:/usr/lib/postgresql/15/bin
        if [ ! -s "$PGDATA/PG_VERSION" ]; then
          initdb --auth=trust
          echo "host all all all trust" >> "$PGDATA/pg_hba.conf"
        fi
        exec "$@"
        """,
    ).chmod(0o755)
    software.compose("""
        services:
          db:
            image: debian:software
            entrypoint: [/entrypoint.sh]
            command: postgres -c listen_addresses=* -c unix_socket_directories=/tmp
            user: postgres
            stop_signal: SIGINT
            environment:
              PGDATA: /var/lib/postgresql/data
              LC_ALL: C.UTF-8
            volumes:
              - ./entrypoint.sh:/entrypoint.sh:ro
              - data:/var/lib/postgresql
            healthcheck:
              test: ["CMD", "pg_isready", "-h", "/tmp"]
              interval: 500ms
              retries: 60
          client:
            image: debian:software
            command: sleep infinity
            init: true
            environment: {PGHOST: db, PGUSER: postgres}
            depends_on:
              db: {condition: service_healthy}
        volumes:
          data:
    """)
    software.run("up", "-d")
    sql(software, "create table notes (text text)")
    sql(software, "insert into notes select 'note ' || n from generate_series(1, 1000) n")
    software.run("down")
    software.run("up", "-d")
    assert sql(software, "select count(*), max(text) from notes") == "1000|note 999"
    assert software.exec("db", "id", "-un").out == "postgres\n"
    log = software.run("logs", "db")
    assert "database system was shut down at" in log.out, log.out
    assert "not properly shut down" not in log.out


def test_nginx_finds_a_service_by_name_through_the_resolver_wherever_it_goes(software: Tenant) -> None:
    port = free_port()
    software.write(
        "nginx.conf",
        """
        daemon off;
        error_log /dev/stderr;
        events {}
        http {
          access_log /dev/stdout;
          resolver 127.0.0.11 valid=1s;
          resolver_timeout 2s;
          server {
            listen 80;
            location / {
              set $upstream http://backend:8000;
              proxy_pass $upstream;
            }
          }
        }
        """,
    )
    proxy = f"""
        services:
          proxy:
            image: debian:software
            command: nginx -c /nginx.conf
            volumes: ["./nginx.conf:/nginx.conf:ro"]
            ports: ["{port}:80"]
    """
    backend = """
          backend:
            image: debian:software
            hostname: HOST
            command: python3 -m http.server 8000 --directory /etc
    """
    software.compose(proxy)
    software.run("up", "-d")
    poll(lambda: page(software, port) == "502", what="nginx runs and finds no backend")
    software.compose(proxy + backend.replace("HOST", "first"))
    software.run("up", "-d")
    poll(lambda: page(software, port) == "first\n", what="the first backend answers")
    proxy_pid = software.inspect("proxy-1")["State"]["Pid"]
    software.compose(proxy + backend.replace("HOST", "second"))
    software.run("up", "-d")
    poll(lambda: page(software, port) == "second\n", what="its successor answers")
    assert software.inspect("proxy-1")["State"]["Pid"] == proxy_pid
    log = software.run("logs", "--no-log-prefix", "proxy")
    assert '"GET /hostname HTTP/1.1" 200' in log.out
    assert "backend could not be resolved (3: Host not found)" in log.out + log.err


def test_supervisord_runs_two_programs_and_ends_in_order(software: Tenant) -> None:
    software.write(
        "supervisord.conf",
        """\
        [supervisord]
        nodaemon=true
        user=root
        logfile=/dev/null
        logfile_maxbytes=0
        pidfile=/run/supervisord.pid
        [unix_http_server]
        file=/run/supervisor.sock
        [rpcinterface:supervisor]
        supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
        [supervisorctl]
        serverurl=unix:///run/supervisor.sock
        [program:redis]
        command=redis-server --save ""
        stdout_logfile=/dev/stdout
        stdout_logfile_maxbytes=0
        [program:web]
        command=python3 -u -m http.server 8000 --directory /etc
        stdout_logfile=/dev/stdout
        stdout_logfile_maxbytes=0
        redirect_stderr=true
        """,
    )
    port = free_port()
    software.compose(f"""
        services:
          all:
            image: debian:software
            command: supervisord -c /supervisord.conf
            volumes: ["./supervisord.conf:/supervisord.conf:ro"]
            ports: ["{port}:8000"]
    """)
    software.run("up", "-d")
    poll(lambda: status(software).count("RUNNING") == 2, what="both programs run")
    assert page(software, port)
    assert software.exec("all", "redis-cli", "ping").out == "PONG\n"

    before = program(software, "web")
    software.exec("all", "sh", "-c", f"kill -KILL {before}")
    poll(lambda: program(software, "web") not in ("", before), what="the program is started again")
    poll(lambda: page(software, port), what="it answers")
    assert software.inspect("all-1")["RestartCount"] == 0

    software.run("stop", "-t", "20")
    assert software.inspect("all-1")["State"]["ExitCode"] == 0
    log = software.run("logs", "all").out
    assert "Ready to accept connections" in log
    assert "bye bye" in log, "redis was not asked to end"
    assert "GET /hostname" in log


def test_apt_installs_a_package_inside_a_container(software: Tenant) -> None:
    idle(software)
    software.exec("box", "apt-get", "update", "-qq", timeout=120)
    software.exec("box", "apt-get", "install", "-y", "-qq", "hello", timeout=120)
    assert software.exec("box", "hello").out == "Hello, world!\n"


@pytest.mark.skipif(not os.path.exists(CERTIFICATES), reason=f"this machine has no {CERTIFICATES}")
def test_pip_installs_over_https_with_the_machine_s_certificates(software: Tenant) -> None:
    idle(software)
    pip = ("pip", "install", "--quiet", "--break-system-packages", "--root-user-action=ignore")
    software.exec("box", *pip, "iniconfig==2.0.0", timeout=120)
    assert software.exec("box", "python3", "-c", "import iniconfig; print(iniconfig.__name__)").out == "iniconfig\n"


def idle(software: Tenant) -> None:
    software.compose(f"""
        services:
          box:
            image: debian:software
            command: sleep infinity
            init: true
            environment:
              DEBIAN_FRONTEND: noninteractive
              PIP_CERT: {CERTIFICATES}
              SSL_CERT_FILE: {CERTIFICATES}
            volumes:
              - {CERTIFICATES}:{CERTIFICATES}:ro
    """)
    software.run("up", "-d")


def sql(software: Tenant, text: str) -> str:
    return software.exec("client", "psql", "-tAc", text).out.strip()


def status(software: Tenant) -> str:
    return software.exec("all", "supervisorctl", "-c", "/supervisord.conf", "status", ok=False).out


def program(software: Tenant, name: str) -> str:
    return software.exec("all", "supervisorctl", "-c", "/supervisord.conf", "pid", name, ok=False).out.strip()


def page(software: Tenant, port: int) -> str:
    """What /hostname says, the status of an error page, or nothing while no server listens."""
    from urllib.error import HTTPError

    try:
        return software.http(port, path="/hostname")
    except HTTPError as error:
        with error:
            return str(error.code)
    except OSError:
        return ""
