"""A table of the configuration as TOML. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

BARE = re.compile(r"[A-Za-z0-9_-]+")


def table(section: str, name: str, settings: Mapping[str, Any]) -> str:
    """`[SECTION.NAME]` with its settings, a line each; what is no setting (null) is left out."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in settings.items() if value is not None]
    return "\n".join([f"[{section}.{_key(name)}]", *lines, ""])


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items() if one is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
