"""Derive the simulator's compact table of the XenAPI data model from the full one.

    python -m tests.derive_datamodel ../shared/xenapi/datamodel.json orchestrator/simulator/datamodel.json

Kept: classes, fields (type, qualifier, default, lifecycle), messages (parameter types, result, least role, flags),
enums, relations and which classes have events. Left out: parameter names and declared errors, which nothing at run time needs.
"""

import json
import pathlib
import sys
from typing import Any

LIFECYCLES = {"Removed_s": "r", "Deprecated_s": "d", "Prototyped_s": "p"}


def field_row(field: dict[str, Any]) -> list[Any]:
    """[type, qualifier, default or null]."""
    return [field["type"], field["qualifier"], field.get("default")]


def message_row(message: dict[str, Any]) -> list[Any]:
    """[parameter types, result, least role or null, flags]; flags: i implicit, r removed, d deprecated, p prototyped."""
    flags = ("i" if message.get("implicit") else "") + LIFECYCLES.get(message.get("lifecycle", ""), "")
    return [[kind for _, kind in message["params"]], message["result"], message["min_role"], flags]


def derive(full: dict[str, Any]) -> dict[str, Any]:
    """The compact table, in the order of the full one (the order of fields decides which missing one is named)."""
    classes = {
        name: {
            "events": entry["events"],
            "enums": entry["enums"],
            "fields": {field: field_row(row) for field, row in entry["fields"].items()},
            "messages": {message: message_row(row) for message, row in entry["messages"].items()},
        }
        for name, entry in full["classes"].items()
    }
    return {"relations": full["relations"], "classes": classes}


def render(table: dict[str, Any]) -> str:
    """JSON with one field or message a line, so that a diff of two data models can be read."""
    lines = ["{", f'"relations": {json.dumps(table["relations"])},', '"classes": {']
    classes = []
    for name, entry in table["classes"].items():
        parts = [f'"events": {json.dumps(entry["events"])},', f'"enums": {json.dumps(entry["enums"])},']
        for section in ("fields", "messages"):
            rows = [f"  {json.dumps(key)}: {json.dumps(row, separators=(',', ':'))}" for key, row in entry[section].items()]
            parts.append(f'"{section}": {{\n' + ",\n".join(rows) + "\n}" + ("," if section == "fields" else ""))
        classes.append(f"{json.dumps(name)}: {{\n" + "\n".join(parts) + "\n}")
    lines.append(",\n".join(classes))
    lines.append("}}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:3])
    target.write_text(render(derive(json.loads(source.read_text()))))
