"""The DNS wire format, with dnspython as the oracle and generated garbage."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.dns import message

dns = pytest.importorskip("dns.message")
import dns.flags  # noqa: E402
import dns.rcode  # noqa: E402


def query(name: str, kind: str = "A", **options: object) -> bytes:
    return dns.message.make_query(name, kind, **options).to_wire()


def test_a_query_is_parsed_lower_case_and_kept_letter_by_letter():
    question = message.parse(query("WeB.App_Default."))
    assert question is not None
    assert question.name == "web.app_default"
    assert question.type == message.A
    assert b"\x03WeB" in question.raw
    assert not question.edns


def test_edns_offers_the_size_of_its_record():
    question = message.parse(query("web", use_edns=0, payload=1400))
    assert question is not None
    assert (question.size, question.edns) == (1400, True)


def test_an_answer_is_what_a_client_expects():
    wire = query("WEB", use_edns=0, payload=1232)
    question = message.parse(wire)
    assert question is not None
    records = [message.address_record("10.0.0.2", 10), message.address_record("10.0.0.3", 10)]
    response = dns.message.from_wire(wire[:2] + message.answer(question, records))
    asked = dns.message.from_wire(wire)
    assert asked.is_response(response)
    assert response.flags & dns.flags.RA
    assert str(response.question[0].name) == "WEB."
    assert sorted(item.address for item in response.answer[0]) == ["10.0.0.2", "10.0.0.3"]
    assert response.edns == 0


def test_an_ipv6_and_a_pointer_answer_are_readable():
    wire = query("web", "AAAA")
    question = message.parse(wire)
    assert question is not None
    response = dns.message.from_wire(wire[:2] + message.answer(question, [message.address_record("fd00::2", 1)]))
    assert response.answer[0][0].address == "fd00::2"
    wire = query("2.0.0.10.in-addr.arpa", "PTR")
    question = message.parse(wire)
    assert question is not None
    response = dns.message.from_wire(wire[:2] + message.answer(question, [message.pointer_record("web.app", 1)]))
    assert str(response.answer[0][0].target) == "web.app."


def test_an_answer_beyond_the_limit_is_marked_as_truncated():
    wire = query("web")
    question = message.parse(wire)
    assert question is not None
    records = [message.address_record(f"10.0.0.{n}", 10) for n in range(1, 100)]
    response = wire[:2] + message.answer(question, records, limit=512)
    assert len(response) <= 512
    assert message.truncated(response)
    assert len(dns.message.from_wire(response, raise_on_truncation=False).answer[0]) == 30


def test_names_of_reverse_look_ups_become_addresses():
    assert message.reverse_address("2.0.0.10.in-addr.arpa") == "10.0.0.2"
    assert message.reverse_address("300.0.0.10.in-addr.arpa") == ""
    nibbles = ".".join(reversed("fd000000000000000000000000000002"))
    assert message.reverse_address(f"{nibbles}.ip6.arpa") == "fd00::2"
    assert message.reverse_address("web") == ""


def test_a_refusal_repeats_id_and_question():
    wire = query("web")
    response = dns.message.from_wire(message.refusal(wire, message.SERVFAIL))
    assert response.id == dns.message.from_wire(wire).id
    assert response.rcode() == dns.rcode.SERVFAIL
    assert str(response.question[0].name) == "web."


def test_a_response_is_matched_with_its_query_regardless_of_case():
    wire = query("Web.Example.")
    assert message.same_question(wire, wire.lower())
    assert not message.same_question(wire, query("other.example."))


def test_a_label_with_a_dot_inside_is_not_taken_for_two_labels():
    wire = struct.pack(">HHHHHH", 1, 0x100, 1, 0, 0, 0) + b"\x03a.b\0" + struct.pack(">HH", 1, 1)
    assert message.parse(wire) is None


@given(st.binary(max_size=300))
def test_garbage_never_raises(data: bytes):
    question = message.parse(data)
    if question is not None:
        assert data[12 : 12 + len(question.raw)] == question.raw
        message.answer(question, [])
    message.refusal(data, message.FORMERR)
    message.same_question(data, data)


@given(st.binary(max_size=60), st.integers(0, 60), st.integers(0, 255))
def test_a_damaged_query_never_raises(tail: bytes, position: int, value: int):
    data = bytearray(query("web.app_default.example", use_edns=0) + tail)
    data[position % len(data)] = value
    question = message.parse(bytes(data))
    if question is not None:
        message.answer(question, [message.address_record("10.0.0.2", 1)], limit=question.size)


@given(st.from_regex(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63}){0,2}", fullmatch=True))
def test_what_the_oracle_encodes_is_what_we_read(name: str):
    question = message.parse(query(name + "."))
    assert question is not None
    assert question.name == name
