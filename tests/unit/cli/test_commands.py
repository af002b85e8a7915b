"""Commands against a fake engine: what is asked of it and what is printed."""

from __future__ import annotations

import json

import pytest

from tests.kit.fakeengine import container


def kinds(plan: dict) -> list[str]:
    return [operation["kind"] for operation in plan["operations"]]


def test_up_creates_and_starts_in_one_plan_and_tells_every_step(pycompose, engine) -> None:
    result = pycompose("up", "-d")
    assert result.code == 0
    (plan,) = engine.plans
    assert plan["project"] == "app"
    assert kinds(plan) == ["CreateNetwork", "CreateContainer", "CreateContainer", "StartContainer", "StartContainer"]
    assert result.err.splitlines() == [
        " Network app_default  Creating",
        " Network app_default  Created",
        " Container app-db-1  Creating",
        " Container app-db-1  Created",
        " Container app-web-1  Creating",
        " Container app-web-1  Created",
        " Container app-db-1  Starting",
        " Container app-db-1  Started",
        " Container app-web-1  Starting",
        " Container app-web-1  Started",
    ]


def test_up_with_an_image_it_may_not_pull_says_where_it_is_asked_for_and_changes_nothing(pycompose, engine) -> None:
    engine.images = {}
    result = pycompose("up", "-d", "--pull", "never")
    assert result.code == 1
    place, _, message = result.err.partition(": ")
    assert place.startswith(f"{pycompose.folder}/compose.yaml:")
    assert message == (
        'image "localhost/host" not found: pull_policy "never" forbids to pull it, '
        "get it with `pycompose image pull localhost/host`\n"
    )
    assert engine.plans == []


def test_a_failed_operation_ends_the_command_with_its_error_and_place(pycompose, engine) -> None:
    def fail(exchange) -> None:
        operations = exchange.json()["operations"]
        error = {"kind": "Conflict", "message": "port 8080 is taken by nginx", "fields": {"port": 8080}}
        number = next(each["id"] for each in operations if each["resource"] == "container app-web-1")
        exchange.begin_stream()
        exchange.line({"op": number, "status": "started"})
        exchange.line({"op": number, "status": "failed", "error": error})
        exchange.line({"status": "finished", "error": error})
        exchange.end_stream()

    engine.routes["POST /v1/plan"] = fail
    text = (pycompose.folder / "compose.yaml").read_text()
    (pycompose.folder / "compose.yaml").write_text(text.replace("[db]", '[db]\n    ports: ["8080:80"]'))
    result = pycompose("up", "-d")
    assert result.code == 1
    assert " Container app-web-1  Error  (port 8080 is taken by nginx)\n" in result.err
    last = result.err.splitlines()[-1]
    assert last.endswith(": port 8080 is taken by nginx")
    assert "compose.yaml:7:" in last


def test_orphans_are_warned_of_unless_ignored(pycompose, engine) -> None:
    engine.containers = [container("old")]
    assert "Found orphan containers" in pycompose("up", "-d").err
    pycompose.environ["COMPOSE_IGNORE_ORPHANS"] = "true"
    assert "orphan" not in pycompose("up", "-d").err
    assert "cannot combine COMPOSE_IGNORE_ORPHANS" in pycompose("up", "-d", "--remove-orphans").err


def test_an_engine_that_goes_away_is_asked_again_for_what_is_left(pycompose, engine) -> None:
    answer = engine.routes["POST /v1/plan"]
    torn = []

    def tear(exchange):
        if torn:
            return answer(exchange)
        torn.append(exchange.json())
        exchange.begin_stream()
        exchange.sock.shutdown(2)
        return False

    engine.routes["POST /v1/plan"] = tear
    result = pycompose("up", "-d")
    assert result.code == 0
    assert "engine went away" in result.err
    assert kinds(engine.plans[0]) == kinds(torn[0])


def test_lifecycle_without_a_file_goes_by_labels(pycompose, engine) -> None:
    engine.containers = [container("web"), container("db")]
    (pycompose.folder / "compose.yaml").unlink()
    assert pycompose("-p", "app", "stop", "-t", "3").code == 0
    stops = engine.plans[0]["operations"]
    assert [operation["args"]["Timeout"] for operation in stops] == [3, 3]
    assert pycompose("-p", "app", "down").code == 0
    assert "RemoveContainer" in kinds(engine.plans[1])


def test_down_of_nothing_warns_and_succeeds(pycompose, engine) -> None:
    result = pycompose("-p", "none", "down")
    assert result.code == 0
    assert "No resource found to remove" in result.err


def test_kill_and_rm_of_nothing_say_so_without_a_logger(pycompose) -> None:
    assert pycompose("kill").err == "no container to kill\n"
    assert pycompose("rm", "-f").err == "No stopped containers\n"


def test_rm_asks_and_a_no_removes_nothing(pycompose, engine) -> None:
    engine.containers = [container("web", status="exited")]
    asked = pycompose("rm")
    assert (asked.code, asked.out) == (0, "Going to remove app-web-1\n")
    assert [kinds(plan) for plan in engine.plans if plan["operations"]] == []
    assert pycompose("rm", "-f")[:2] == (0, "Going to remove app-web-1\n")
    assert kinds(engine.plans[-1]) == ["RemoveContainer"]


def test_an_answer_may_come_through_a_pipe(pycompose, engine) -> None:
    engine.containers = [container("web", status="exited")]
    pycompose.stdin = "yes\n"
    assert pycompose("rm").code == 0
    assert kinds(engine.plans[-1]) == ["RemoveContainer"]


def test_pausing_what_is_paused_is_an_error_once_the_others_are(pycompose, engine) -> None:
    engine.containers = [container("db"), container("web", status="paused")]
    result = pycompose("pause")
    assert (result.code, result.err.splitlines()[-1]) == (1, "container app-web-1 is already paused")
    assert kinds(engine.plans[-1]) == ["PauseContainer"]
    result = pycompose("unpause", "db")
    assert (result.code, result.err.splitlines()[-1]) == (1, "container app-db-1 is not paused")


def test_scale_plans_the_named_service_only(pycompose, engine) -> None:
    assert pycompose("scale", "db=3").code == 0
    names = {operation["resource"] for operation in engine.plans[0]["operations"]}
    assert names == {"network app_default", "container app-db-1", "container app-db-2", "container app-db-3"}


def test_ps_shows_running_ones_and_all_when_asked(pycompose, engine) -> None:
    engine.containers = [container("web"), container("db", status="exited", ExitCode=3)]
    assert [line.split()[0] for line in pycompose("ps").out.splitlines()] == ["NAME", "app-web-1"]
    assert [line.split()[0] for line in pycompose("ps", "-a").out.splitlines()] == ["NAME", "app-db-1", "app-web-1"]
    assert pycompose("ps", "-aq").out == "".join(f"{each['Id']}\n" for each in engine.containers[::-1])
    assert pycompose("ps", "-a", "--services").out == "db\nweb\n"
    assert pycompose("ps", "--status", "exited", "--format", "{{.Name}} {{.ExitCode}}").out == "app-db-1 3\n"
    assert pycompose("ps", "--filter", "status=running", "-q").out == f"{engine.containers[0]['Id']}\n"
    assert json.loads(pycompose("ps", "--format", "json", "web").out)["Service"] == "web"


def test_ls_groups_by_project(pycompose, engine) -> None:
    files = {"com.docker.compose.project.config_files": "/w/a.yaml"}
    engine.containers = [container("web"), container("db", status="exited"), container("x", project="zoo")]
    for each in engine.containers:
        each["Config"]["Labels"].update(files)
    assert pycompose("ls", "-a").out.splitlines()[1].split("  ")[0] == "app"
    rows = json.loads(pycompose("ls", "-a", "--format", "json").out)
    assert rows[0] == {"Name": "app", "Status": "exited(1), running(1)", "ConfigFiles": "/w/a.yaml"}
    assert pycompose("ls", "-q", "--filter", "name=zo").out == "zoo\n"


def test_port_prints_where_a_port_is_published(pycompose, engine) -> None:
    web = container("web")
    web["NetworkSettings"]["Ports"] = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "53/udp": None}
    engine.containers = [web]
    assert pycompose("port", "web", "80").out == "0.0.0.0:8080\n"
    missing = pycompose("port", "--protocol", "udp", "web", "53")
    assert (missing.code, missing.err) == (1, "no port 53/udp for container app-web-1: 80/tcp\n")


def test_exec_in_a_service_that_does_not_run_is_an_error(pycompose, engine) -> None:
    engine.containers = [container("web", status="exited")]
    assert pycompose("exec", "-T", "web", "true") == (1, "", 'service "web" is not running\n')
    assert pycompose("exec", "-T", "--index", "2", "web", "true").err == 'service "web" is not running container #2\n'


def test_exec_sends_what_was_asked_for(pycompose, engine) -> None:
    engine.containers = [container("web"), container("web", 2)]
    pycompose.environ["GIVEN"] = "x y"
    pycompose(
        "exec",
        "-T",
        "--index",
        "2",
        "-u",
        "nobody",
        "-w",
        "/tmp",
        "-e",
        "A=1",
        "-e",
        "GIVEN",
        "-e",
        "NOT",
        "web",
        "env",
    )
    assert engine.requests[-1].startswith(f"POST /v1/containers/{engine.containers[1]['Id']}/exec")
    body = engine.bodies[-1]
    assert body["Cmd"] == ["env"]
    assert body["Env"] == ["A=1", "GIVEN=x y"]
    assert (body["User"], body["WorkingDir"], body["Tty"], body["AttachStdin"]) == ("nobody", "/tmp", False, True)


def test_engine_status_never_starts_an_engine(pycompose, engine) -> None:
    engine.routes["GET /v1/status"] = {
        "Version": "1",
        "Protocol": 1,
        "Pid": 5,
        "Containers": {"running": 2, "total": 3},
        "Zygote": 6,
    }
    assert "2 running, 3 in all" in pycompose("engine", "status").out
    pycompose.environ["PYCOMPOSE_ROOT"] = "/nowhere/at/all"
    result = pycompose("engine", "status")
    assert (result.code, result.err) == (1, "engine is not running at /nowhere/at/all/run/engine.sock\n")


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ("--services", "db\nweb\n"),
        ("--images", "localhost/host\nlocalhost/host\n"),
        ("--networks", "default\n"),
        ("--volumes", ""),
        ("-q", ""),
    ],
)
def test_config_tells_one_aspect(pycompose, engine, flags: str, text: str) -> None:
    assert pycompose("config", flags) == (0, text, "")
    assert engine.requests == []


def test_config_prints_the_canonical_model(pycompose) -> None:
    text = pycompose("config", "web").out
    assert text.startswith("name: app\nservices:\n  db:\n    image: localhost/host\n")
    assert "      db:\n        condition: service_started\n        required: true\n" in text
    assert json.loads(pycompose("config", "--format", "json").out)["services"]["web"]["command"] is None
    pycompose("config", "-o", "out.yaml")
    assert (pycompose.folder / "out.yaml").read_text() == pycompose("config").out


def test_config_explains_a_value(pycompose) -> None:
    assert "compose.yaml:5:" in pycompose("config", "--explain", "services.web.image").out


def test_config_draws_the_dependency_graph(pycompose) -> None:
    (pycompose.folder / "graph.yaml").write_text(
        "services:\n  web: {image: x, depends_on: {db: {condition: service_healthy}}}\n  db: {image: x}\n"
    )
    assert pycompose("-f", "graph.yaml", "config", "--graph").out == "web\n└── db (healthy)\n"
    assert pycompose("-f", "graph.yaml", "config", "--graph=text", "db").out == "db\n"
    assert pycompose("-f", "graph.yaml", "config", "--graph=mermaid").out.startswith("flowchart LR\n")
    pycompose("-f", "graph.yaml", "config", "--graph=svg", "-o", "graph.svg")
    assert (pycompose.folder / "graph.svg").read_text().startswith("<svg ")
    assert pycompose("-f", "graph.yaml", "config", "--graph=gif").err == (
        'unsupported graph format "gif"; expected text, mermaid, dot, svg\n'
    )


def test_config_validates_strictly_against_a_version_of_the_format(pycompose) -> None:
    (pycompose.folder / "old.yaml").write_text(
        "version: '3.8'\nservices:\n  web: {image: x, mem_limit: 5m}\n  db: {image: x, deploy: {replicas: 2}}\n"
    )
    assert pycompose("-f", "old.yaml", "config", "-q").code == 0
    code, _, err = pycompose("-f", "old.yaml", "config", "-q", "--schema", "3.8")
    assert code == 1
    assert "old.yaml:3:19: services.web additional properties 'mem_limit' not allowed" in err
    assert pycompose("-f", "old.yaml", "config", "-q", "--schema", "2.4").err.count("additional properties") == 1
    assert "there is no schema 4.0" in pycompose("-f", "old.yaml", "config", "--schema", "4.0").err


def test_config_as_json_tells_problems_as_json(pycompose) -> None:
    (pycompose.folder / "bad.yaml").write_text("services:\n  web:\n    imagee: x\n    ports: 5\n")
    code, out, err = pycompose("-f", "bad.yaml", "config", "--format", "json")
    assert (code, out) == (1, "")
    problems = json.loads(err)["problems"]
    assert [problem["location"]["line"] for problem in problems] == [3, 4]
    assert problems[0]["suggestion"] == "image"
