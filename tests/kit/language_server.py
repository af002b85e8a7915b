"""The YAML language server of editors, from npm into a directory of its own, spoken to over its standard streams."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Self

from tests.kit.peer_compose import CACHE

if TYPE_CHECKING:
    from types import TracebackType

VERSION = "1.19.2"
LANGUAGE = "yaml"


def find() -> str:
    """The path of the program; installed on first use. Raises LookupError with the reason if that cannot be."""
    if shutil.which("node") is None:
        raise LookupError("node is not installed (apt-get install nodejs npm)")
    home = os.path.join(CACHE, f"yaml-language-server-{VERSION}")
    program = os.path.join(home, "node_modules", ".bin", "yaml-language-server")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "npm.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(program):
            if shutil.which("npm") is None:
                raise LookupError("npm is not installed (apt-get install nodejs npm)")
            command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", home]
            done = subprocess.run(
                [*command, f"yaml-language-server@{VERSION}"], capture_output=True, text=True, timeout=100, check=False
            )
            if not os.path.exists(program):
                raise LookupError(f"npm cannot install yaml-language-server: {done.stderr.strip()[-200:]}")
    return program


class LanguageServer:
    """One server with one schema for every file; messages are numbered JSON behind a header with their length."""

    def __init__(self, program: str, schema: str) -> None:
        self._settings = {"yaml": {"schemas": {f"file://{schema}": ["*.yaml"]}, "schemaStore": {"enable": False}}}
        self._process = subprocess.Popen(
            [program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._number = 0
        self._diagnostics: dict[str, list[dict[str, Any]]] = {}
        self._ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": {}})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": self._settings})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, name: str, text: str) -> str:
        """Open a document; its address."""
        address = f"file:///project/{name}"
        document = {"uri": address, "languageId": LANGUAGE, "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return address

    def complaints(self, address: str) -> list[str]:
        """What the server finds wrong with a document."""
        while address not in self._diagnostics:
            self._read()
        return [each["message"] for each in self._diagnostics[address]]

    def hover(self, address: str, line: int, column: int) -> str:
        """What it says of the place (counted from 0)."""
        found = self._ask("textDocument/hover", _at(address, line, column))
        return found["contents"]["value"] if found else ""

    def completions(self, address: str, line: int, column: int) -> set[str]:
        """What it would put at the place."""
        found = self._ask("textDocument/completion", _at(address, line, column))
        return {item["label"] for item in found["items"]}

    def _ask(self, method: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._read()
            if message.get("id") == number and "method" not in message:
                return message.get("result")

    def _tell(self, method: str, parameters: dict[str, Any]) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        """The next message; what the server asks is answered, what it tells is noted."""
        assert self._process.stdout is not None
        size = 0
        while (line := self._process.stdout.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        if not size:
            raise EOFError("the language server ended")
        message: dict[str, Any] = json.loads(self._process.stdout.read(size))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            wanted = message["params"].get("items", []) if message["method"] == "workspace/configuration" else None
            result = None if wanted is None else [self._settings.get(item.get("section"), {}) for item in wanted]
            self._send({"id": message["id"], "result": result})
        return message


def _at(address: str, line: int, column: int) -> dict[str, Any]:
    return {"textDocument": {"uri": address}, "position": {"line": line, "character": column}}
