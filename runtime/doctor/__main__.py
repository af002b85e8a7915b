"""The program `python -m runtime.doctor`: exit status 0 if containers can run here, 1 if not, 2 for wrong arguments."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from runtime import paths
from runtime.doctor import kernel, network, report, system
from runtime.doctor.findings import Finding, must
from runtime.linux import hostfacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at the machine, report on standard output, return the exit status."""
    parser = argparse.ArgumentParser(
        prog="pycompose doctor", description="Check what this machine offers to the runtime."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--root", default="", help="data root to look at (default: the engine's)")
    options = parser.parse_args(arguments)
    data_root = options.root or paths.from_environment(os.environ, os.geteuid()).root
    facts = hostfacts.detect()
    findings = [
        *_guarded("system", lambda: system.check(facts, data_root)),
        *_guarded("kernel", lambda: kernel.check(facts)),
        *_guarded("network", lambda: network.check(facts)),
    ]
    sys.stdout.write(report.as_json(facts, findings) if options.json else report.as_table(facts, findings))
    return 0 if report.all_musts_hold(findings) else 1


def _guarded(part: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # a doctor that falls over a sick machine is no help: the failure is a finding
        yield must(part, f"the check failed: {type(error).__name__}: {error}", "", "please report this")


if __name__ == "__main__":
    sys.exit(main())
