"""Rows as clients see them: public fields only, with their JSON made once."""

from typing import Any

import orjson

from orchestrator.simulator.schema import Class, Date

Row = dict[str, Any]


class Record:
    """A row at one moment: it never changes, a change makes a new Record. So it may be read and serialised without the lock.

    Fields whose names start with "_" are hidden: they are in `row` and in nothing that a client gets.
    """

    __slots__ = ("_json", "row")

    def __init__(self, row: Row, json: bytes | None = None) -> None:
        self.row = row
        self._json = json

    def public(self) -> Row:
        """The row without what is hidden."""
        return {field: value for field, value in self.row.items() if field[0] != "_"}

    def json(self) -> bytes:
        """The public row as JSON, made on first use and kept as long as the row does not change."""
        if self._json is None:
            self._json = orjson.dumps(self.public())
        return self._json

    def hidden_change(self, row: Row) -> "Record":
        """The record with *row*, which differs in hidden fields only: the JSON stays."""
        return Record(row, self._json)


class Coercion:
    """Makes values of a class's fields what the wire needs: floats floats, dates Date; refuses fields that do not exist."""

    def __init__(self, cls: Class) -> None:
        self._name = cls.name
        self._fields = cls.fields
        kinds: dict[str, Any] = {"float": float, "datetime": Date}
        self._special = {name: kinds[field.type.kind] for name, field in cls.fields.items() if field.type.kind in kinds}

    def __call__(self, fields: Row) -> Row:
        """A new dict; KeyError names the field that the class lacks."""
        for name in fields:
            if name[0] != "_" and name not in self._fields:
                raise KeyError(f"class {self._name} has no field {name}")
        return {name: self._special[name](value) if name in self._special else value for name, value in fields.items()}
