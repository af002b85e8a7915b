"""What a load depends on, besides the files themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.record import Record, Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compose.loader.remotes import Remote


class LoadOptions(Record):
    """Everything the caller decides. The loader reads no environment, directory or terminal by itself."""

    cwd: str
    environ: Mapping[str, str] = Spec(None, dict)  # type: ignore[assignment]
    files: tuple[str, ...] = ()
    """Compose files; `-` is standard input; addresses of remote ones. None: COMPOSE_FILE, else the default names, searched upwards."""
    project_directory: str = ""
    project_name: str = ""
    env_files: tuple[str, ...] = ()
    """Files of variables instead of `.env`."""
    profiles: tuple[str, ...] = ()
    """Active profiles; none: COMPOSE_PROFILES."""
    stdin: Callable[[], str] | None = None
    remote: Callable[[str], Remote] | None = None
    """Fetches a remote compose file, raising ComposeError; None: they are refused."""
    interpolate: bool = True
    normalize: bool = True
    resolve_paths: bool = True
    consistency: bool = True
    resolve_environment: bool = True
    """Read `env_file` into `environment`; else the files stay named, as `config --hash` needs them."""
    conflicts: bool = True
    """Also refuse what the engine would refuse, and what services cannot have at once: host ports, addresses, names."""
    selected: tuple[str, ...] = ()
    """Services among which, and what they need, conflicts count; none: all that are enabled."""
    trace: bool = False
    """Keep every document as it was written, for `explain`."""
    cache: str = ""
    """Directory where projects are kept that were loaded before; "" for none."""
    schema: str = ""
    """Validate strictly against this version of the format (`3.8`) instead of the specification."""
