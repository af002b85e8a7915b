"""Whatever the project and whatever is there: plans hold together."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from compose.model.healthcheck import HealthCheckConfig
from compose.reconcile import plan_lifecycle as lifecycle
from compose.reconcile.options import DownOptions, UpOptions
from compose.reconcile.plan_down import down
from compose.reconcile.planner import up
from tests.kit.states import all_up, container, named_volume, network, port, project, service, state, volume

if TYPE_CHECKING:
    from compose.reconcile.plan import Plan

NAMES = ("a", "b", "c", "d", "e")
CONDITIONS = ("started", "healthy", "completed", "started restart", "healthy restart", "healthy optional")
STATUSES = ("running", "exited", "created", "paused", "restarting", "dead")


@st.composite
def projects(draw: Any) -> Any:
    made = []
    for position, name in enumerate(NAMES):
        earlier = NAMES[:position]
        said: dict[str, Any] = {"scale": draw(st.integers(0, 3))}
        if earlier:
            said["needs"] = draw(st.dictionaries(st.sampled_from(earlier), st.sampled_from(CONDITIONS), max_size=3))
            shared = draw(st.sampled_from(("", *(other for other in earlier if made[earlier.index(other)].replicas))))
            if shared:
                said |= draw(
                    st.sampled_from(
                        (
                            {"network_mode": f"service:{shared}", "networks": {}},
                            {"ipc": f"service:{shared}"},
                            {"volumes_from": (shared,)},
                            {"links": (shared,)},
                        )
                    )
                )
        if draw(st.booleans()):
            said["volumes"] = (volume(draw(st.sampled_from(("v", "w", "")))),)
        if draw(st.booleans()) and said.get("network_mode") is None:
            said["ports"] = (port(str(80 + position)),)
        if draw(st.booleans()):
            said["healthcheck"] = HealthCheckConfig(test=("CMD", "x"))
        made.append(service(name, **said))
    return project(*made)


@st.composite
def scenes(draw: Any) -> Any:
    app = draw(projects())
    there = [
        container(
            app,
            name,
            number,
            status=draw(st.sampled_from(STATUSES)),
            health=draw(st.sampled_from(("", "healthy", "unhealthy", "starting"))),
            changed=draw(st.booleans()),
        )
        for name in NAMES
        for number in draw(st.sets(st.integers(1, 4), max_size=3))
    ]
    networks = draw(st.booleans())
    changed_network = () if networks else draw(st.sampled_from(((), (network(app, "default", changed=True),))))
    if "default" not in app.networks:
        changed_network = ()
    volumes = draw(st.booleans())
    changed_volumes = () if volumes else tuple(named_volume(app, key, changed=True) for key in app.volumes)
    observed = state(
        app,
        *there,
        networks=networks,
        volumes=volumes,
        extra_networks=changed_network,
        extra_volumes=changed_volumes,
    )
    return app, observed


def check(plan: Plan) -> None:
    """Ids count up, dependencies are earlier, everything has a cause, nothing is done twice to one thing."""
    done: set[tuple[str, str]] = set()
    for position, operation in enumerate(plan, 1):
        assert operation.id == position
        assert all(0 < before < operation.id for before in operation.depends)
        assert operation.cause
        assert operation.resource.split()[0] in ("container", "network", "volume", "image")
        if operation.kind in ("WaitContainer", "RunHook", "ConnectNetwork", "DisconnectNetwork"):
            continue
        target = str(operation.args.get("Container") or operation.args.get("Name"))
        assert (operation.kind, target) not in done
        done.add((operation.kind, target))


def before(plan: Plan, one: int, other: int) -> bool:
    """Whether the operation `one` is always done before `other`."""
    operations = {operation.id: operation for operation in plan}
    queue, seen = [other], set()
    while queue:
        for earlier in operations[queue.pop()].depends:
            if earlier == one:
                return True
            if earlier not in seen:
                seen.add(earlier)
                queue.append(earlier)
    return False


@given(
    scenes(),
    st.builds(
        UpOptions,
        recreate=st.sampled_from(("diverged", "force", "never")),
        remove_orphans=st.booleans(),
        wait=st.booleans(),
        renew_anonymous_volumes=st.booleans(),
    ),
)
@settings(deadline=None, max_examples=150)
def test_up_holds_together(scene: Any, options: UpOptions) -> None:
    app, observed = scene
    plan = up(app, observed, options)
    check(plan)
    by_kind: dict[str, dict[str, int]] = {}
    for operation in plan:
        target = operation.args.get("Container") or operation.args.get("Name") or ""
        by_kind.setdefault(operation.kind, {})[str(target)] = operation.id
    for target, started in by_kind.get("StartContainer", {}).items():
        for kind in ("StopContainer", "CreateContainer"):
            earlier = by_kind.get(kind, {}).get(target)
            assert earlier is None or before(plan, earlier, started)
    for target, removed in by_kind.get("RemoveContainer", {}).items():
        for kind in ("StopContainer", "DisconnectNetwork"):
            earlier = by_kind.get(kind, {}).get(target)
            assert earlier is None or before(plan, earlier, removed)
    alive = {each.id for each in observed.containers if each.alive}
    assert alive & by_kind.get("RemoveContainer", {}).keys() <= by_kind.get("StopContainer", {}).keys()


@given(scenes(), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=80)
def test_down_and_the_rest_hold_together(scene: Any, volumes: bool, orphans: bool) -> None:
    app, observed = scene
    for files in (app, None):
        check(down(files, observed, DownOptions(volumes=volumes, remove_orphans=orphans)))
        check(lifecycle.stop(files, observed))
        check(lifecycle.restart(files, observed))
        check(lifecycle.kill(files, observed))
        check(lifecycle.remove(files, observed))
        check(lifecycle.pause(files, observed))


@given(projects())
@settings(deadline=None, max_examples=50)
def test_after_up_nothing_is_left_to_do_but_what_cannot_be_seen(app: Any) -> None:
    """Waits for conditions that a snapshot does not show to hold are all that may remain."""
    assert {operation.kind for operation in up(app, all_up(app))} <= {"WaitContainer"}


def test_three_thousand_services_in_a_chain_are_planned() -> None:
    names = [f"s{number:04}" for number in range(3000)]
    app = project(
        service(names[0]),
        *(service(name, needs={earlier: "healthy restart"}) for earlier, name in itertools.pairwise(names)),
    )
    assert len(up(app, state(app, networks=False))) == 1 + 3000 * 3 - 1
    everything_changed = state(app, *(container(app, name, changed=True) for name in names))
    assert len(up(app, everything_changed)) > 3000 * 5
    down(app, everything_changed)
