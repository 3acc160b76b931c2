"""What a migration takes away from the code of the version before it."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import Connection

Tables = Mapping[str, Mapping[str, Any]]


def tables(connection: Connection) -> dict[str, dict[str, Any]]:
    """Every table of the database: its columns by name, its primary key, and the constraints that refuse rows."""
    inspector = sqlalchemy.inspect(connection)
    return {
        name: {
            "columns": {column["name"]: column for column in inspector.get_columns(name)},
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "refuses": {
                *(f"{one['name']}" for one in inspector.get_check_constraints(name)),
                *(f"{one['name']}" for one in inspector.get_unique_constraints(name)),
                *(f"{one['name']}" for one in inspector.get_foreign_keys(name)),
                *(f"{one['name']}" for one in inspector.get_indexes(name) if one["unique"]),
            },
        }
        for name in inspector.get_table_names()
    }


def taken_away(before: Tables, after: Tables) -> list[str]:
    """Why code that knows the tables as *before* cannot go on with them as *after*; nothing when it can."""
    found = [f"table {name} is gone" for name in before if name not in after]
    for name, was in before.items():
        if name in after:
            found += [f"{name}: {what}" for what in _of_table(was, after[name])]
    return found


def _of_table(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = []
    for name, column in was["columns"].items():
        if name not in now["columns"]:
            found.append(f"column {name} is gone")
        elif str(now["columns"][name]["type"]) != str(column["type"]):
            found.append(f"column {name} has another type")
        elif column["nullable"] and not now["columns"][name]["nullable"]:
            found.append(f"column {name} must have a value")
    for name, column in now["columns"].items():
        if name not in was["columns"] and not column["nullable"] and column.get("default") is None:
            found.append(f"new column {name} must have a value")
    if was["key"] != now["key"]:
        found.append("the primary key is another")
    return found + [f"{name} refuses rows" for name in sorted(now["refuses"] - was["refuses"])]
