"""The flags of every command of Docker Compose 2.40.3, as its `--help` lists them; "" is the program itself."""

from __future__ import annotations

FLAGS: dict[str, str] = {
    "": (
        "--all-resources | --ansi | --compatibility | --dry-run | --env-file | -f --file | --parallel | "
        "--profile | --progress | --project-directory | -p --project-name"
    ),
    "attach": "--detach-keys | --index | --no-stdin | --sig-proxy",
    "build": (
        "--build-arg | --builder | --check | -m --memory | --no-cache | --print | --provenance | --pull | "
        "--push | -q --quiet | --sbom | --ssh | --with-dependencies"
    ),
    "commit": "-a --author | -c --change | --index | -m --message | -p --pause",
    "config": (
        "--environment | --format | --hash | --images | --lock-image-digests | --models | --networks | "
        "--no-consistency | --no-env-resolution | --no-interpolate | --no-normalize | --no-path-resolution | "
        "-o --output | --profiles | -q --quiet | --resolve-image-digests | --services | --variables | "
        "--volumes"
    ),
    "cp": "--all | -a --archive | -L --follow-link | --index",
    "create": (
        "--build | --force-recreate | --no-build | --no-recreate | --pull | --quiet-pull | "
        "--remove-orphans | --scale | -y --yes"
    ),
    "down": "--remove-orphans | --rmi | -t --timeout | -v --volumes",
    "events": "--json | --since | --until",
    "exec": "-d --detach | -e --env | --index | -T --no-tty | --privileged | -u --user | -w --workdir",
    "export": "--index | -o --output",
    "images": "--format | -q --quiet",
    "kill": "--remove-orphans | -s --signal",
    "logs": "-f --follow | --index | --no-color | --no-log-prefix | --since | -n --tail | -t --timestamps | --until",
    "ls": "-a --all | --filter | --format | -q --quiet",
    "pause": "",
    "port": "--index | --protocol",
    "ps": "-a --all | --filter | --format | --no-trunc | --orphans | -q --quiet | --services | --status",
    "publish": "--app | --oci-version | --resolve-image-digests | --with-env | -y --yes",
    "pull": "--ignore-buildable | --ignore-pull-failures | --include-deps | --policy | -q --quiet",
    "push": "--ignore-push-failures | --include-deps | -q --quiet",
    "restart": "--no-deps | -t --timeout",
    "rm": "-f --force | -s --stop | -v --volumes",
    "run": (
        "--build | --cap-add | --cap-drop | -d --detach | --entrypoint | -e --env | --env-from-file | "
        "-i --interactive | -l --label | --name | -T --no-TTY | --no-deps | -p --publish | --pull | "
        "-q --quiet | --quiet-build | --quiet-pull | --remove-orphans | --rm | -P --service-ports | "
        "--use-aliases | -u --user | -v --volume | -w --workdir"
    ),
    "scale": "--no-deps",
    "start": "",
    "stats": "-a --all | --format | --no-stream | --no-trunc",
    "stop": "-t --timeout",
    "top": "",
    "unpause": "",
    "up": (
        "--abort-on-container-exit | --abort-on-container-failure | --always-recreate-deps | --attach | "
        "--attach-dependencies | --attach-dependencies | --build | -d --detach | --exit-code-from | "
        "--abort-on-container-exit | --force-recreate | --menu | --detach | --no-attach | --no-build | "
        "--no-color | --no-deps | --no-log-prefix | --no-recreate | --force-recreate | --no-start | --pull | "
        "--quiet-build | --quiet-pull | --remove-orphans | -V --renew-anon-volumes | --scale | "
        "-t --timeout | --timestamps | --wait | --wait-timeout | -w --watch | -y --yes"
    ),
    "version": "-f --format | --short",
    "volumes": "--format | -q --quiet",
    "wait": "--down-project",
    "watch": "--no-up | --prune | --quiet",
}
"""Command to flags, short and long form together; --dry-run, which every command has, is left out."""
