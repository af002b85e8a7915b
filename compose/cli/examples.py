"""An example of every command, by its path; imported when help is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "attach": ("attach web",),
    "build": ("build", "build --no-cache web"),
    "commit": ("commit web web:saved",),
    "completion": (
        "completion bash > /etc/bash_completion.d/pycompose",
        "completion zsh > ~/.zfunc/_pycompose",
        "completion fish > ~/.config/fish/completions/pycompose.fish",
    ),
    "config": ("config", "config --services", "config --format json web"),
    "cp": ("cp web:/var/log/app.log .", "cp page.html web:/srv/www/"),
    "create": ("create", "create --force-recreate web"),
    "doctor": ("doctor",),
    "down": ("down", "down --volumes --remove-orphans"),
    "events": ("events --json",),
    "exec": ("exec web sh", "exec -T -u postgres db psql -c 'select 1'"),
    "export": ("export -o web.tar web",),
    "images": ("images",),
    "kill": ("kill web", "kill -s HUP web"),
    "login": ("login registry.example.com", "login -u rose --password-stdin registry.example.com < password.txt"),
    "logout": ("logout registry.example.com",),
    "logs": ("logs -f --tail 20 web", "logs --since 10m"),
    "ls": ("ls", "ls --all --format json"),
    "oci": ("oci create --bundle /srv/bundle name", "oci state name"),
    "pause": ("pause web",),
    "port": ("port web 80", "port --protocol udp --index 2 dns 53"),
    "ps": ("ps", "ps -a --format json", "ps --status exited"),
    "publish": (
        "publish registry.example.com/team/app:1",
        "publish --with-env --resolve-image-digests registry.example.com/team/app:1",
    ),
    "pull": ("pull", "pull --ignore-pull-failures web"),
    "push": ("push web",),
    "restart": ("restart web", "restart -t 2"),
    "rm": ("rm", "rm --stop --force web"),
    "run": ("run --rm web sh", "run --rm -e DEBUG=1 --service-ports web ./manage.py shell"),
    "scale": ("scale web=5 worker=2",),
    "start": ("start web",),
    "stats": ("stats", "stats --no-stream web"),
    "stop": ("stop", "stop -t 2 web"),
    "top": ("top web",),
    "unpause": ("unpause web",),
    "up": ("up", "up -d --wait", "up -d --force-recreate --no-deps web"),
    "version": ("version", "version --short"),
    "volumes": ("volumes",),
    "wait": ("wait job",),
    "watch": ("watch", "watch --no-up web"),
    "engine": ("engine status",),
    "engine df": ("engine df", "engine df -v"),
    "engine logs": ("engine logs -n 50",),
    "engine reset": ("engine reset",),
    "engine start": ("engine start",),
    "engine status": ("engine status", "engine status --format json"),
    "engine stop": ("engine stop", "engine stop --containers"),
    "engine unit": (
        "engine unit > /etc/systemd/system/pycompose.service",
        "engine unit | systemd-analyze verify /dev/stdin",
    ),
    "image": ("image ls",),
    "image build": ("image build -t web:1 .", "image build -f Dockerfile.test --build-arg VERSION=3 ."),
    "image export": ("image export debian:mine -o rootfs.tar",),
    "image history": ("image history debian:mine",),
    "image import": ("image import rootfs.tar debian:mine", "image import -c 'CMD [\"sh\"]' /srv/rootfs debian:mine"),
    "image inspect": ("image inspect debian:mine", "image inspect --format '{{.Id}} {{.Size}}' debian:mine"),
    "image load": ("image load -i debian.tar", "zcat debian.tar.gz | pycompose image load"),
    "image ls": ("image ls", "image ls -q", "image ls --filter dangling=true"),
    "image prune": ("image prune", "image prune --all --force --filter until=240h"),
    "image pull": ("image pull debian:bookworm",),
    "image push": ("image push registry.example.com/team/web:1",),
    "image rm": ("image rm debian:mine debian:old",),
    "image save": ("image save -o debian.tar debian:mine", "image save app db | gzip > images.tar.gz"),
    "image tag": ("image tag debian:mine registry.example.com/debian:1",),
    "network": ("network ls",),
    "network connect": ("network connect --alias db app_default db-1",),
    "network create": ("network create --subnet 10.99.0.0/24 shared",),
    "network disconnect": ("network disconnect app_default db-1",),
    "network inspect": ("network inspect app_default",),
    "network ls": ("network ls", "network ls -q"),
    "network prune": ("network prune --force",),
    "network rm": ("network rm shared",),
    "volume": ("volume ls",),
    "volume create": ("volume create data",),
    "volume inspect": ("volume inspect app_data",),
    "volume ls": ("volume ls", "volume ls -q"),
    "volume prune": ("volume prune --force",),
    "volume rm": ("volume rm app_data",),
    "": ("up -d", "ps", "logs -f", "down"),
}
"""Without the program's name; the empty path is the program itself."""


def examples_of(path: str) -> tuple[str, ...]:
    """The examples of a command such as `up` or `image ls`, each a whole command line."""
    return tuple(f"pycompose {line}" for line in EXAMPLES.get(path, ()))
