"""Show findings: a calm table for people, JSON for programs."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.doctor.findings import Finding
    from runtime.linux.hostfacts import HostFacts

_WORDS = {"ok": "ok", "note": "note", "missing": "MISSING"}


def all_musts_hold(findings: Sequence[Finding]) -> bool:
    """Whether containers can run here."""
    return all(finding.verdict != "missing" for finding in findings)


def as_table(facts: HostFacts, findings: Sequence[Finding]) -> str:
    """One line for each need, its advice below it, and what it comes to."""
    width = max(len(finding.need) for finding in findings)
    lines = [f"Linux {facts.release} on {facts.machine}, {'without root' if facts.rootless else 'root'}", ""]
    for finding in findings:
        lines.append(f"  {_WORDS[finding.verdict]:<8}{finding.need:<{width}}  {finding.found}".rstrip())
        if finding.advice:
            lines.append(f"  {'':<8}{'':<{width}}  -> {finding.advice}")
    lines += ["", *_summary(findings)]
    return "\n".join(lines) + "\n"


def as_json(facts: HostFacts, findings: Sequence[Finding]) -> str:
    """`{ok, kernel, machine, rootless, findings: [{need, verdict, found, advice, packages}]}`."""
    data = {
        "ok": all_musts_hold(findings),
        "kernel": facts.release,
        "machine": facts.machine,
        "rootless": facts.rootless,
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(data, indent=2) + "\n"


def _summary(findings: Sequence[Finding]) -> list[str]:
    missing = [finding for finding in findings if finding.verdict == "missing"]
    packages = sorted({name for finding in findings if finding.verdict != "ok" for name in finding.packages})
    lines = []
    if not missing:
        lines.append("Containers can run on this machine.")
    elif len(missing) == 1:
        lines.append(f"Containers cannot run on this machine yet: {missing[0].need} is missing.")
    else:
        names = ", ".join(finding.need for finding in missing)
        lines.append(f"Containers cannot run on this machine yet: {len(missing)} needs are not met ({names}).")
    if packages:
        lines.append(f"On Debian: apt install {shlex.join(packages)}")
    return lines
