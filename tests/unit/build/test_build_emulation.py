from __future__ import annotations

import subprocess
import sys
from errno import ENOENT, ENOEXEC

import pytest

from runtime.build import emulation
from runtime.errors import NotSupported
from runtime.images import platform as platforms

FOREIGN = "s390x" if platforms.local().architecture != "s390x" else "arm64"
ALONE = """
import sys
from runtime.build import emulation
from runtime.linux import elf

table = "/proc/sys/fs/binfmt_misc"
magic = "".join(f"\\\\x{byte:02x}" for byte in elf.header(sys.argv[1])[:20])

def say():
    emulation._runs.cache_clear()
    try:
        emulation.check({"architecture": sys.argv[1]})
        print("runs")
    except Exception as error:
        print(type(error).__name__)

def register(interpreter, flags):
    with open(f"{table}/register", "w") as file:
        file.write(f":any-name:M::{magic}::{interpreter}:{flags}")

def tell(text):
    with open(f"{table}/any-name", "w") as file:
        file.write(text)

say()
register("/bin/true", "F")
say()
tell("0")
say()
tell("-1")
register("/no/such/emulator", "")
say()
"""


@pytest.mark.parametrize(
    ("architecture", "errno", "runs"),
    [
        (FOREIGN, ENOEXEC, False),
        (FOREIGN, 0, True),
        (FOREIGN, ENOENT, True),
        (platforms.local().architecture, ENOEXEC, True),
        ("wasm", 0, False),
    ],
)
def test_only_what_the_kernel_does_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch, architecture: str, errno: int, runs: bool
) -> None:
    monkeypatch.setattr(emulation, "_refusal", lambda _program: errno)
    emulation._runs.cache_clear()
    try:
        if runs:
            emulation.check({"architecture": architecture})
            return
        with pytest.raises(NotSupported, match=f"linux/{architecture}: .*qemu-user-static"):
            emulation.check({"architecture": architecture})
    finally:
        emulation._runs.cache_clear()


def test_the_kernel_is_asked_whatever_the_name_of_an_emulator() -> None:
    """In a user namespace with a table of its own, which Linux has from 6.7 on."""
    mount = "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc"
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*alone, mount], capture_output=True, check=False).returncode:
        pytest.skip("no binfmt_misc in a user namespace")
    done = subprocess.run(
        [*alone, f'{mount} && exec "$@"', "sh", sys.executable, "-c", ALONE, FOREIGN],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split() == ["NotSupported", "runs", "NotSupported", "runs"], done.stderr
