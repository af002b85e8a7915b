"""The doctor: its report, its exit status, and what it makes of a machine that lacks something."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runtime.cgroups.layout import Layout
from runtime.doctor import __main__ as program
from runtime.doctor import kernel, network, report, system
from runtime.doctor.findings import Finding, must, should
from runtime.linux.hostfacts import HostFacts
from runtime.linux.nfnetlink import BaseChain, Chain
from runtime.oci.capabilities import NUMBERS

if TYPE_CHECKING:
    from pathlib import Path

FACTS = HostFacts(release="6.1.0-17-amd64")
AF_INET = 2


def lacking(*names: str) -> int:
    return ((1 << 41) - 1) & ~sum(1 << NUMBERS[name] for name in names)


def test_report_is_a_table_with_advice_only_where_something_is_wrong() -> None:
    findings = [
        must("kernel", None, "6.1.0", "never shown"),
        should("overlay", "no such device", "", "use a disk"),
        must("nftables", "not installed", "", "install nftables", "nftables", "libnftables1"),
    ]
    assert report.as_table(FACTS, findings) == (
        "Linux 6.1.0-17-amd64 on x86_64, root\n"
        "\n"
        "  ok      kernel    6.1.0\n"
        "  note    overlay   no such device\n"
        "                    -> use a disk\n"
        "  MISSING nftables  not installed\n"
        "                    -> install nftables\n"
        "\n"
        "Containers cannot run on this machine yet: nftables is missing.\n"
        "On Debian: apt install libnftables1 nftables\n"
    )


@pytest.mark.parametrize(
    ("findings", "ending"),
    [
        ([must("a", None, "x")], "Containers can run on this machine.\n"),
        ([should("a", "x", "")], "Containers can run on this machine.\n"),
        (
            [must("a", "x", ""), must("b", "x", "")],
            "Containers cannot run on this machine yet: 2 needs are not met (a, b).\n",
        ),
    ],
)
def test_report_ends_with_a_verdict(findings: list[Finding], ending: str) -> None:
    assert report.as_table(FACTS, findings).endswith(ending)


def test_report_for_programs_is_json() -> None:
    data = json.loads(report.as_json(FACTS, [should("a", "x", "", "y", "p")]))
    assert data == {
        "ok": True,
        "kernel": "6.1.0-17-amd64",
        "machine": "x86_64",
        "rootless": False,
        "findings": [{"need": "a", "verdict": "note", "found": "x", "advice": "y", "packages": ["p"]}],
    }


@pytest.mark.parametrize(
    ("finding", "status"), [(must("a", None, ""), 0), (should("a", "x", ""), 0), (must("a", "x", ""), 1)]
)
def test_exit_status_says_whether_all_musts_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], finding: Finding, status: int
) -> None:
    for part in (system, kernel, network):
        monkeypatch.setattr(part, "check", lambda *_: iter([finding]))
    monkeypatch.setattr(program.hostfacts, "detect", lambda: FACTS)
    assert program.main(["--json"]) == status
    assert json.loads(capsys.readouterr().out)["ok"] is (status == 0)


def test_a_check_that_breaks_down_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> list[Finding]:
        raise OSError("odd machine")

    for part in (system, kernel, network):
        monkeypatch.setattr(part, "check", broken)
    monkeypatch.setattr(program.hostfacts, "detect", lambda: FACTS)
    assert program.main([]) == 1
    assert "the check failed: OSError: odd machine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "verdict"), [((5, 10), "missing"), ((5, 11), "missing"), ((5, 12), "ok"), ((6, 18), "ok")]
)
def test_kernel_must_be_new_enough(version: tuple[int, int], verdict: str) -> None:
    assert kernel.version(HostFacts(kernel=version)).verdict == verdict


@pytest.mark.parametrize(("machine", "verdict"), [("x86_64", "ok"), ("aarch64", "ok"), ("s390x", "missing")])
def test_machine_must_be_known(machine: str, verdict: str) -> None:
    assert system.machine(HostFacts(machine=machine)).verdict == verdict


@pytest.mark.parametrize(
    ("mask", "verdict", "found"),
    [
        ((1 << 41) - 1, "ok", "all"),
        (lacking("CAP_SYS_RESOURCE"), "note", "lacking CAP_SYS_RESOURCE"),
        (lacking("CAP_SYS_ADMIN", "CAP_LEASE"), "missing", "lacking CAP_SYS_ADMIN"),
    ],
)
def test_capabilities_of_root(mask: int, verdict: str, found: str) -> None:
    finding = system.privileges(HostFacts(capabilities=mask))
    assert (finding.verdict, finding.found) == (verdict, found)


def test_user_without_root_needs_ranges_of_ids() -> None:
    assert system.user(HostFacts(uid=0)).found == "root"
    finding = system.user(HostFacts(uid=4_000_000))
    assert (finding.verdict, finding.packages) == ("note", ("uidmap",))
    assert system.user(HostFacts(uid=0, initial_user_namespace=False)).verdict == "note"


def test_cgroups_are_a_must_for_root_only() -> None:
    assert kernel.cgroups(Layout(0, {}), rootless=False).verdict == "missing"
    assert kernel.cgroups(Layout(0, {}), rootless=True).verdict == "note"


def test_a_cgroup_is_made_where_the_layout_says(tmp_path: Path) -> None:
    assert kernel.cgroups(Layout(2, {"": str(tmp_path)}), rootless=False).verdict == "ok"
    assert list(tmp_path.iterdir()) == []
    assert kernel.cgroups(Layout(2, {"": str(tmp_path / "absent")}), rootless=False).verdict == "missing"


def test_lacking_controllers_are_named(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    assert kernel.controllers(Layout(2, {"": str(tmp_path)})).verdict == "ok"
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    assert kernel.controllers(Layout(2, {"": str(tmp_path)})).found == "lacking cpuset, blkio"
    everything = dict.fromkeys(("memory", "cpu", "pids", "cpuset", "blkio", "freezer", "devices"), "/x")
    assert kernel.controllers(Layout(1, everything)).verdict == "ok"
    del everything["memory"]
    assert kernel.controllers(Layout(1, everything)).found == "lacking memory: such limits are not kept"


def chain(table: str, name: str, *, drop: bool) -> BaseChain:
    return BaseChain(AF_INET, table, name, "forward", drop)


@pytest.mark.parametrize(
    ("chains", "verdict", "found"),
    [
        ([], "ok", "none"),
        ([chain("filter", "FORWARD", drop=False)], "ok", "none"),
        (
            [chain("filter", "FORWARD", drop=True), Chain(AF_INET, "filter", "DOCKER-USER")],
            "ok",
            "docker: nothing stands in our way",
        ),
        (
            [chain("filter", "FORWARD", drop=True), Chain(AF_INET, "filter", "ufw-user-forward")],
            "note",
            "chain FORWARD of table ip filter drops forwarded packets by default",
        ),
        (None, "note", "cannot be listed"),
    ],
)
def test_other_firewalls_are_named_where_they_drop(
    chains: list[BaseChain | Chain] | None, verdict: str, found: str
) -> None:
    finding = next(iter(network.firewalls(HostFacts(), chains)))
    assert (finding.verdict, finding.found) == (verdict, found)


def test_docker_and_bridge_filtering_are_told() -> None:
    chains = [Chain(AF_INET, "filter", "DOCKER-USER")]
    needs = [finding.need for finding in network.firewalls(HostFacts(bridge_nf=True), chains)]
    assert needs == ["other firewalls", "docker", "br_netfilter"]


def test_forwarding_is_told_either_way() -> None:
    assert network.forwarding(HostFacts(ip_forward=True)).found == "on"
    assert network.forwarding(HostFacts(ip_forward=False)).verdict == "ok"


def test_the_nearest_directory_that_exists_is_looked_at(tmp_path: Path) -> None:
    assert system.existing(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert system.room(str(tmp_path / "a")).found.endswith(f"free in {tmp_path}")
