"""The plan as a value."""

from __future__ import annotations

import pytest

from compose.reconcile.plan import Plan, PlanBuilder, Question, plan_to_wire


def add(builder: PlanBuilder, *depends: int | None, **said: object) -> int:
    return builder.add(
        "StopContainer", subject="service:a:1", resource="container p-a-1", cause="why", depends=depends, **said
    )


def test_text_form() -> None:
    builder = PlanBuilder()
    first = add(builder)
    add(builder, first, None, first, optional=True)
    assert str(builder.build("p")) == (
        "[] -> #1 service:a:1, StopContainer, why\n[1] -> #2 service:a:1, StopContainer?, why\n"
    )


@pytest.mark.parametrize("later", [1, 2, 0, -1])
def test_an_operation_depends_only_on_earlier_ones(later: int) -> None:
    with pytest.raises(ValueError, match="operation 1 depends on"):
        add(PlanBuilder(), later)


def test_wire_form_leaves_out_what_is_not_said() -> None:
    builder = PlanBuilder()
    add(builder, args={"Container": "x"})
    add(builder, 1, optional=True, confirm="sure?")
    plan = builder.build("p", warnings=["w", "w"])
    assert plan_to_wire(plan) == {
        "project": "p",
        "operations": [
            {
                "id": 1,
                "kind": "StopContainer",
                "resource": "container p-a-1",
                "cause": "why",
                "depends": [],
                "args": {"Container": "x"},
            },
            {
                "id": 2,
                "kind": "StopContainer",
                "resource": "container p-a-1",
                "cause": "why",
                "depends": [1],
                "args": {},
                "optional": True,
                "confirm": "sure?",
            },
        ],
    }
    assert plan.questions() == (Question(text="sure?", resource="container p-a-1"),)
    assert plan.warnings == ("w",)


def test_an_empty_plan_has_no_length() -> None:
    assert len(Plan(project="p")) == 0
