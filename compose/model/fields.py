"""Field specifiers of the model: how each attribute is read from and written to the canonical tree.

The order of fields in the classes is the order in which Docker Compose's types marshal, because the configuration hash
is taken over that text. A field's `Codec` says everything the binder and the writers must know of it.
"""

from __future__ import annotations

from typing import Any

from compose.model.record import Codec, Spec


def _spec(default: Any, codec: Codec) -> Any:
    return Spec(default, None, codec)


def _spec_factory(factory: Any, codec: Codec) -> Any:
    return Spec(None, factory, codec)


def text(*, keep: bool = False, default: str = "", json_name: str = "") -> Any:
    """A string; empty means absent."""
    return _spec(default, Codec("text", keep=keep, json_name=json_name))


def flag(*, keep: bool = False, default: bool = False) -> Any:
    """A boolean; false means absent unless `keep`."""
    return _spec(default, Codec("flag", keep=keep))


def opt_out() -> Any:
    """A boolean that is true unless told otherwise; JSON omits it when true, YAML when false."""
    return _spec(default=True, codec=Codec("opt_out"))


def tristate() -> Any:
    """A boolean or None for "not said"."""
    return _spec(None, Codec("tristate"))


def integer(*, keep: bool = False, json_name: str = "") -> Any:
    """An integer; 0 means absent."""
    return _spec(0, Codec("number", keep=keep, json_name=json_name))


def optional_integer() -> Any:
    """An integer or None for "not said"; 0 is a value."""
    return _spec(None, Codec("optional_number"))


def unsigned() -> Any:
    """An integer that is not negative; 0 means absent."""
    return _spec(0, Codec("unsigned"))


def unsigned16(*, keep: bool = False, json_name: str = "") -> Any:
    """An integer that fits 16 bits; 0 means absent."""
    return _spec(0, Codec("unsigned16", keep=keep, json_name=json_name))


def unsigned32() -> Any:
    """An integer that fits 32 bits; 0 means absent."""
    return _spec(0, Codec("unsigned32"))


def optional_unsigned() -> Any:
    """An integer that is not negative, or None for "not said"; 0 is a value."""
    return _spec(None, Codec("optional_unsigned"))


def count() -> Any:
    """A number of devices; -1 is `all`, 0 means absent."""
    return _spec(0, Codec("count"))


def healthcheck_test() -> Any:
    """A tuple that begins with CMD, CMD-SHELL or NONE; empty means absent."""
    return _spec((), Codec("healthcheck_test"))


def real() -> Any:
    """A number of single precision, as the reference keeps it; 0 means absent."""
    return _spec(0.0, Codec("float"))


def size(*, keep: bool = False, json_name: str = "") -> Any:
    """Bytes; written as a decimal string; 0 means absent."""
    return _spec(0, Codec("size", keep=keep, json_name=json_name))


def duration() -> Any:
    """Nanoseconds; 0 means absent."""
    return _spec(0, Codec("duration"))


def optional_duration() -> Any:
    """Nanoseconds or None for "not said"."""
    return _spec(None, Codec("optional_duration"))


def file_mode() -> Any:
    """Permission bits or None; written as an octal string."""
    return _spec(None, Codec("mode"))


def octal() -> Any:
    """Permission bits; a string in the file is an octal number; 0 means absent."""
    return _spec(0, Codec("octal"))


def strings() -> Any:
    """A tuple of strings; empty means absent."""
    return _spec((), Codec("strings"))


def command(*, keep_json: bool = True) -> Any:
    """A tuple of arguments; None means not said, empty means explicitly none."""
    return _spec(None, Codec("command", keep_json=keep_json))


def mapping() -> Any:
    """String to string."""
    return _spec_factory(dict, Codec("mapping"))


def text_mapping() -> Any:
    """String to string, from texts and whole numbers only: what an option's `true` or `1.5` stood for is lost."""
    return _spec_factory(dict, Codec("text_mapping"))


def silent_mapping() -> Any:
    """String to string, kept but not written: the reference drops it."""
    return _spec_factory(dict, Codec("silent_mapping"))


def environment() -> Any:
    """String to string or None ("take it from the project's environment, or leave it unset")."""
    return _spec_factory(dict, Codec("environment"))


def multi_options() -> Any:
    """String to a tuple of strings."""
    return _spec_factory(dict, Codec("multi_options"))


def hosts() -> Any:
    """Host name to addresses; written as `name=address` lines."""
    return _spec_factory(dict, Codec("hosts"))


def ssh_keys() -> Any:
    """Id to path ("" for the agent's default)."""
    return _spec_factory(dict, Codec("ssh"))


def nested(of: type) -> Any:
    """One object or None."""
    return _spec(None, Codec("nested", of))


def embedded(of: type) -> Any:
    """One object, always there; JSON writes it even when empty."""
    return _spec_factory(of, Codec("embedded", of, keep_json=True))


def nested_list(of: type) -> Any:
    """A tuple of objects."""
    return _spec((), Codec("nested_list", of))


def nested_map(of: type) -> Any:
    """Name to object (or None)."""
    return _spec_factory(dict, Codec("nested_map", of))


def extensions() -> Any:
    """The `x-*` keys, verbatim; written to YAML only."""
    return _spec_factory(dict, Codec("extensions"))


def hidden(default: Any) -> Any:
    """Known to the model, never written."""
    return _spec(default, Codec("hidden"))
