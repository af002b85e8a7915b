"""Dependency graph of services."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose.errors import ConsistencyError
from compose.graph import DependencyGraph, Edge, edges
from tests.kit.states import service


def graph(**needs: str) -> DependencyGraph:
    return DependencyGraph({name: {target: Edge() for target in text.split()} for name, text in needs.items()})


def test_each_service_comes_after_what_it_needs() -> None:
    assert graph(web="api db", api="db", db="", worker="").order() == ("db", "worker", "api", "web")


def test_an_edge_to_a_service_that_is_not_there_is_left_out() -> None:
    assert graph(web="gone").dependencies("web") == {}


def test_a_cycle_is_told_with_its_names_in_order() -> None:
    with pytest.raises(ConsistencyError, match=r"^dependency cycle detected: a -> b -> c -> a$"):
        graph(x="a", a="b", b="c d", c="a", d="").order()


def test_a_service_may_need_itself_and_that_is_a_cycle() -> None:
    assert graph(a="a").cycle() == ("a", "a")


def test_ancestors_and_descendants_are_transitive() -> None:
    found = graph(web="api", api="db", db="", other="")
    assert found.descendants(["web"]) == {"api", "db"}
    assert found.ancestors(["db"]) == {"api", "web"}
    assert found.ancestors(["other"]) == frozenset()


@pytest.mark.parametrize(
    ("said", "edge"),
    [
        ({"links": ("db:database",)}, Edge(restart=True)),
        ({"network_mode": "service:db"}, Edge(restart=True)),
        ({"ipc": "service:db"}, Edge(restart=True)),
        ({"pid": "service:db"}, Edge(restart=True)),
        ({"volumes_from": ("db:ro",)}, Edge()),
        ({"needs": {"db": "healthy optional"}, "links": ("db",)}, Edge("service_healthy", required=False)),
    ],
)
def test_an_edge_comes_from_what_is_said_or_implied(said: dict[str, object], edge: Edge) -> None:
    assert edges(service("web", **said)) == {"db": edge}


def test_volumes_and_namespaces_of_containers_are_no_edges() -> None:
    assert edges(service("web", volumes_from=("container:x:ro",), pid="container:x", network_mode="host")) == {}


def test_a_chain_of_three_thousand_is_ordered_in_no_time() -> None:
    names = [f"s{number}" for number in range(3000)]
    needs = {name: {target: Edge()} for name, target in itertools.pairwise(names)} | {names[-1]: {}}
    started = time.perf_counter()
    chain = DependencyGraph(needs)
    assert chain.order() == tuple(reversed(names))
    assert len(chain.ancestors([names[-1]])) == 2999
    assert chain.cycle() == ()
    assert time.perf_counter() - started < 1


def test_a_long_cycle_is_found_without_recursion() -> None:
    names = [f"s{number}" for number in range(3000)]
    ring = DependencyGraph({name: {target: Edge()} for name, target in zip(names, names[1:] + names[:1], strict=True)})
    assert len(ring.cycle()) == 3001


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_either_there_is_an_order_or_a_cycle(pairs: list[tuple[int, int]]) -> None:
    needs: dict[str, dict[str, Edge]] = {str(name): {} for name in range(10)}
    for name, target in pairs:
        needs[str(name)][str(target)] = Edge()
    found = DependencyGraph(needs)
    cycle = found.cycle()
    if cycle:
        assert all(target in needs[name] for name, target in itertools.pairwise(cycle))
        return
    places = {name: place for place, name in enumerate(found.order())}
    assert all(places[target] < places[name] for name, targets in needs.items() for target in targets)
