"""Which objects of the kernel are one engine's, and whose a data root is when its id is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.errors import Forbidden
from runtime.network import naming
from runtime.paths import Paths
from runtime.reset import identity, inventory, kernelview

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = "ab12cd34"
NETWORK = "0123456789abcdef" * 4
CONTAINER = "fedcba9876543210" * 4
BRIDGE = "pycab1201234567"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run"))
    for folder in (found.containers + f"/{CONTAINER}", found.networks + f"/{NETWORK}"):
        (tmp_path / folder).mkdir(parents=True)
    return found


@pytest.fixture
def empty_kernel(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("engines", "links", "tables"):
        monkeypatch.setattr(kernelview, name, list)
    return monkeypatch


def write_id(paths: Paths, text: str) -> None:
    with open(f"{paths.root}/engine-id", "w", encoding="utf-8") as stream:
        stream.write(text)


def test_interfaces_are_ours_by_the_digits_of_our_id_and_no_others(paths: Paths) -> None:
    names = ["lo", "eth0", "docker0", BRIDGE, "pycab12eeeeeeee", "pyvab1211111111", "pycab13ffffffff", "pycab12-vpn"]
    found = identity.interfaces(paths, ENGINE, names, [f"pycompose_{ENGINE}"])
    assert found == [BRIDGE, "pycab12eeeeeeee", "pyvab1211111111"]


def test_digits_that_two_engines_share_prove_nothing_a_network_on_record_does(paths: Paths) -> None:
    names = [BRIDGE, "pycab12eeeeeeee", "pyvab1211111111"]
    found = identity.interfaces(paths, ENGINE, names, [f"pycompose_{ENGINE}", "pycompose_ab129999"])
    assert found == [BRIDGE]


def test_without_an_id_nothing_in_the_kernel_is_ours(paths: Paths) -> None:
    assert identity.interfaces(paths, "", [BRIDGE], []) == []


def test_the_id_on_record_counts(paths: Paths, empty_kernel: pytest.MonkeyPatch) -> None:
    write_id(paths, f"{ENGINE}\n")
    assert identity.engine_id(paths) == ENGINE


@pytest.mark.parametrize("text", ["", "../../..", "ABCDEFGH", "ab12cd3", "ab12cd34x"])
def test_a_damaged_id_is_found_again_by_the_cgroups_of_our_containers(
    paths: Paths, empty_kernel: pytest.MonkeyPatch, text: str
) -> None:
    write_id(paths, text)
    assert identity.engine_id(paths) == ""
    empty_kernel.setattr(kernelview, "engines", lambda: [("99999999", ["0" * 64]), (ENGINE, [CONTAINER])])
    assert identity.engine_id(paths) == ENGINE


def test_a_lost_id_is_found_again_by_our_bridge_and_the_one_table_that_begins_like_it(
    paths: Paths, empty_kernel: pytest.MonkeyPatch
) -> None:
    empty_kernel.setattr(kernelview, "links", lambda: ["lo", BRIDGE, "pyc9999eeeeeeee"])
    empty_kernel.setattr(kernelview, "tables", lambda: [f"pycompose_{ENGINE}", "pycompose_99991111"])
    assert identity.engine_id(paths) == ENGINE
    empty_kernel.setattr(kernelview, "tables", lambda: [f"pycompose_{ENGINE}", "pycompose_ab129999"])
    assert identity.engine_id(paths) == ""


def test_a_folder_without_a_mark_of_ours_is_not_taken_for_a_data_root(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(Forbidden, match="is not the data root of an engine"):
        inventory.look(Paths(root=str(tmp_path), run=f"{tmp_path}/run"))


def test_unreadable_records_are_counted_under_their_short_ids(paths: Paths, empty_kernel: pytest.MonkeyPatch) -> None:
    with open(f"{paths.containers}/{CONTAINER}/config.json", "w", encoding="utf-8") as stream:
        stream.write('{"name": ')
    found = inventory.look(paths)
    assert found["containers"] == [CONTAINER[:12]]
    assert found["networks"] == [NETWORK[:12]]
    assert found["processes"] == 0


def test_a_bridge_that_the_user_named_is_ours_by_its_group(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"lan0": naming.link_group(ENGINE, NETWORK), "lan1": naming.link_group("99999999", NETWORK)}
    monkeypatch.setattr(kernelview, "group", lambda link: groups.get(link, 0))
    assert identity.interfaces(paths, ENGINE, ["lo", "lan0", "lan1"], []) == ["lan0"]
