"""Find what looks like a secret in files that are going to be published, by the forms that issuers give to theirs.

A finding names the place and not the value: what must not be published need not stand in a build log either.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PATTERNS = (
    ("AWS Client ID", re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA)[A-Z0-9]{16}\b")),
    ("Github authentication", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})")),
    ("GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
    ("Google API key", re.compile(r"\bAIza[\w-]{35}\b")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[\w-]{10,}")),
    ("Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}")),
    ("JSON Web Token", re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
    ("Private Key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY")),
    ("Basic Auth", re.compile(r"://[^\s/:@$]+:[^\s/:@$]{3,}@")),
    (
        "Secret Keyword",
        re.compile(
            r"""(?ix) (?:password|passwd|passphrase|secret|token|api_?key|private_?key|credentials?) ["']? \s*
                [:=] \s* ["']? (?! /run/secrets/ | true\b | false\b ) [^\s$"'{}\[\],#&*!|>] [^\s$"'{}]{2,}"""
        ),
    ),
)


class Finding(NamedTuple):
    """What was found, and where."""

    kind: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.kind}: {self.file}:{self.line}"


def scan(text: str, file: str) -> list[Finding]:
    """What looks like a secret in a text, the first of each line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        kind = next((kind for kind, pattern in PATTERNS if pattern.search(line)), "")
        if kind:
            found.append(Finding(kind, file, number))
    return found
