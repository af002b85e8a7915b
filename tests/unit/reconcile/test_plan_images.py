"""Which images must be pulled, and why."""

from __future__ import annotations

from typing import Any

import pytest

from compose.errors import ComposeError
from compose.model.build import BuildConfig
from compose.model.mounts import ServiceVolumeConfig
from compose.reconcile.observed import observe
from compose.reconcile.plan import PlanBuilder
from compose.reconcile.plan_images import plan_images, refresh_period, wanted_images
from compose.usecases.pull import TransferOptions, plan_pulls, plan_pushes
from tests.kit.states import project, service

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
HOUR_AGO = "2027-01-15T07:00:00.000000001Z"


def state(*present: str, **image: Any) -> Any:
    """The images `present` are here, pulled an hour ago."""
    said = {
        "Id": "sha256:" + "1" * 64,
        "Os": "linux",
        "Architecture": "amd64",
        "Metadata": {"LastTagTime": HOUR_AGO},
        **image,
    }
    snapshot = {"Containers": [], "Networks": [], "Volumes": [], "Images": dict.fromkeys(present, said)}
    return observe(snapshot, "app")


def planned(observed: Any, *services: Any) -> str:
    builder = PlanBuilder()
    found = project(*services)
    plan_images(builder, wanted_images(found, found.services.values()), observed, now=NOW)
    return str(builder.build(""))


def test_what_is_missing_is_pulled_once() -> None:
    assert planned(state("b"), service("x", image="a"), service("y", image="a"), service("z", image="b")) == (
        "[] -> #1 image:a, PullImage, missing\n"
    )


@pytest.mark.parametrize(
    ("policy", "here", "cause"),
    [
        ("", True, ""),
        ("", False, "missing"),
        ("missing", True, ""),
        ("missing", False, "missing"),
        ("if_not_present", False, "missing"),
        ("never", False, ""),
        ("build", False, ""),
        ("always", True, "pull_policy: always"),
        ("daily", True, ""),
        ("daily", False, "missing"),
        ("weekly", True, ""),
        ("every_1h", True, "pull_policy: every_1h"),
        ("every_30m", True, "pull_policy: every_30m"),
        ("every_1h30m", True, ""),
        ("every_2d", True, ""),
    ],
)
def test_pull_policies(policy: str, here: bool, cause: str) -> None:
    text = planned(state("a") if here else state(), service("x", image="a", pull_policy=policy))
    assert text == (f"[] -> #1 image:a, PullImage, {cause}\n" if cause else "")


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [("daily", 86400), ("weekly", 604800), ("every_1w2d3h4m5s", 604800 + 2 * 86400 + 3 * 3600 + 245), ("always", None)],
)
def test_periods_of_policies(policy: str, seconds: int | None) -> None:
    assert refresh_period(policy) == seconds


@pytest.mark.parametrize("policy", ["sometimes", "every_", "every_5", "every_x", "Daily"])
def test_an_unknown_policy_is_an_error(policy: str) -> None:
    with pytest.raises(ComposeError, match=f"invalid pull_policy: {policy}"):
        planned(state("a"), service("x", image="a", pull_policy=policy))


def test_an_image_for_another_platform_counts_as_missing() -> None:
    one = service("x", image="a", platform="linux/arm64")
    assert planned(state("a"), one) == (
        "[] -> #1 image:a, PullImage, the one here is for linux/amd64, not linux/arm64\n"
    )
    assert planned(state("a", Architecture="arm64"), one) == ""
    assert planned(state("a"), service("x", image="a", platform="linux/amd64")) == ""


def test_a_pull_of_what_can_be_built_may_fail() -> None:
    built = BuildConfig(context="/w")
    assert planned(state(), service("x", image="a", build=built)) == "[] -> #1 image:a, PullImage?, missing\n"
    assert planned(state(), service("x", image="", build=built)) == ""


def test_images_that_are_mounted_are_pulled_too() -> None:
    mount = ServiceVolumeConfig(type="image", source="data", target="/data")
    assert planned(state("a"), service("x", image="a", volumes=(mount,))) == "[] -> #1 image:data, PullImage, missing\n"


def pulls(observed: Any, *services: Any, **options: Any) -> tuple[list[str], list[str]]:
    plan = plan_pulls(list(services), observed, TransferOptions(**options))
    return [str(each.args["Reference"]) for each in plan], [f"{kept.resource}: {kept.status}" for kept in plan.kept]


def test_pull_takes_everything_with_an_image_and_says_what_it_leaves_out() -> None:
    built = BuildConfig(context="/w")
    services = (
        service("a", image="one:1"),
        service("b", image="one:1"),
        service("c", image="", build=built),
        service("d", image="two:1", pull_policy="never"),
        service("e", image="three:1", pull_policy="missing"),
        service("f", image="four", pull_policy="missing"),
        service("g", image="five:1", build=built),
    )
    assert pulls(state("one:1", "three:1", "four"), *services, ignore_buildable=True) == (
        ["one:1", "four"],
        [
            "pull b: Skipped - Image is already being pulled by a",
            "pull c: Skipped - No image to be pulled",
            "pull d: Skipped",
            "pull e: Skipped - Image is already present locally",
            "pull g: Skipped - Image can be built",
        ],
    )


def test_push_takes_what_is_built_under_all_its_names() -> None:
    built = BuildConfig(context="/w", tags=("x:2", "x:1"))
    plan = plan_pushes([service("a", image="x:1", build=built), service("b")], TransferOptions())
    assert str(plan) == "[] -> #1 image:x:1, PushImage, push\n[] -> #2 image:x:2, PushImage, push\n"
    assert [kept.resource for kept in plan.kept] == ["push b"]
