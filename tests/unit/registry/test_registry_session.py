"""Which failures of a connection are worth another attempt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runtime.images import reference
from runtime.images.registry.hosts import Endpoint
from runtime.images.registry.session import Session
from runtime.images.registry.transport import Broken, Unreachable


class Wire:
    """A transport that does what it was told to, in order."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def send(self, *_arguments: Any, **_options: Any) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(status=outcome, headers={})


class Patience:
    """A back-off that never waits and always allows another attempt."""

    def again(self, _asked: float) -> bool:
        return True


def session(wire: Wire) -> Session:
    made: Any = wire
    patience: Any = Patience
    endpoint = Endpoint(name="example.com", host="example.com")
    return Session(endpoint, reference.parse("example.com/app:1"), {}, made, backoff=patience)


def test_a_host_that_never_answered_is_not_asked_again() -> None:
    wire = Wire(Unreachable("registry example.com: no such host"), 200)
    with pytest.raises(Unreachable, match="no such host"):
        session(wire).send("GET", "/v2/app/manifests/1")
    assert wire.outcomes == [200]


def test_one_that_did_answer_may_be_starting_anew() -> None:
    wire = Wire(200, Unreachable("registry example.com: connection refused"), 200)
    asking = session(wire)
    assert asking.send("GET", "/v2/app/manifests/1").status == 200
    assert asking.send("GET", "/v2/app/blobs/x").status == 200


def test_a_connection_that_broke_is_made_again() -> None:
    wire = Wire(Broken("registry example.com: connection reset by peer"), 200)
    assert session(wire).send("GET", "/v2/app/manifests/1").status == 200
