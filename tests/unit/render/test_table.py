"""Tables as Go's tabwriter lays them out."""

from __future__ import annotations

from compose.cli.render.table import COMPOSE_MIN_WIDTH, table


def test_columns_are_as_wide_as_their_widest_cell_and_the_last_is_not_padded() -> None:
    assert table([("NAME", "STATUS", "FILES"), ("a-long-project", "running(1)", "/x")]) == (
        "NAME             STATUS       FILES\na-long-project   running(1)   /x\n"
    )


def test_compose_lists_have_wider_columns() -> None:
    assert table([("NAME", "STATUS"), ("a", "b")], min_width=COMPOSE_MIN_WIDTH) == (
        "NAME                STATUS\na                   b\n"
    )


def test_no_rows_is_nothing() -> None:
    assert table([]) == ""
