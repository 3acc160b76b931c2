"""The XenAPI data model as typed objects: what classes, fields, messages, enums and relations there are.

Loaded from `datamodel.json` beside this file. Everything that works "because the table says so" asks here.
"""

import dataclasses
import functools
import importlib.resources
import re
from typing import Any

import orjson

NULL = "OpaqueRef:NULL"
EPOCH = "19700101T00:00:00Z"

# Classes that xapi publishes and does not keep in its database (datamodel.ml: in_database false).
NOT_STORED = frozenset({"auth", "event", "sr_stat", "probe_result", "data_source", "vdi_nbd_server_info"})


class Date(str):
    """A date as it stands on the wire, `YYYYMMDDTHH:MM:SSZ`; a class of its own because XML-RPC has a type for dates."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Type:
    """A type of the data model.

    `kind` is string, int, float, bool, datetime, void, ref, enum, set, map, record, option or other;
    `name` is the class or enum it names; `inner` the element's type (set, option) or key's and value's (map).
    """

    kind: str
    name: str = ""
    inner: tuple["Type", ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A public field; `required` when a create record must have it (datamodel: a constructor's field without a default)."""

    name: str
    type: Type
    qualifier: str
    default: Any
    required: bool

    @property
    def constructor(self) -> bool:
        """Whether a create record may give it."""
        return self.qualifier != "RO/runtime"


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A message of a class; `params` leave the session out; `role` is the least role, None when only xapi itself may call it."""

    cls: str
    name: str
    params: tuple[Type, ...]
    result: Type
    role: str | None
    implicit: bool
    removed: bool

    @property
    def method(self) -> str:
        """The name on the wire, `VM.start`."""
        return f"{self.cls}.{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Relation:
    """`cls.field` refers to objects of `other`, whose `mirror` field lists those that refer to it."""

    cls: str
    field: str
    other: str
    mirror: str
    many: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Class:
    """A class of the data model. `relations` are those that its own fields own; `mirrors` are its computed fields."""

    name: str
    events: bool
    stored: bool
    fields: dict[str, Field]
    messages: dict[str, Message]
    enums: dict[str, tuple[str, ...]]
    relations: tuple[Relation, ...]
    mirrors: dict[str, Relation]


@functools.cache
def parse_type(text: str) -> Type:
    """The type that the data model writes as *text*, for instance `(string -> VIF ref) map` or `enum vm_operations set`."""
    for kind in ("set", "option", "map"):
        if text.endswith(f" {kind}"):
            inner = text.removesuffix(f" {kind}")
            if kind != "map":
                return Type(kind, inner=(parse_type(inner),))
            key, _, value = inner[1:-1].partition(" -> ")
            return Type("map", inner=(parse_type(key), parse_type(value)))
    for kind in ("ref", "record"):
        if text.endswith(f" {kind}"):
            return Type(kind, name=text.removesuffix(f" {kind}"))
    if text.startswith("enum "):
        return Type("enum", name=text.removeprefix("enum "))
    return Type(text if text in {"string", "int", "float", "bool", "datetime", "void"} else "other", name=text)


def zero(kind: Type, enums: dict[str, tuple[str, ...]]) -> Any:
    """What a field of this type holds when nothing was said."""
    if kind.kind == "enum":
        return enums[kind.name][0]
    zeros: dict[str, Any] = {"int": 0, "float": 0.0, "bool": False, "ref": NULL, "set": [], "map": {}, "datetime": Date(EPOCH)}
    return zeros.get(kind.kind, "")


def parse_default(text: str | None, kind: Type, enums: dict[str, tuple[str, ...]]) -> Any:
    """The value of a default that the data model writes as *text*."""
    if text is None or text in {"Null", "{}", '""'}:
        return zero(kind, enums)
    if kind.kind == "map":
        return dict(re.findall(r'"([^"]*)" -> "([^"]*)"', text))
    if kind.kind == "set":
        members = [member.strip() for member in text[1:-1].split(",")]
        return [int(member) if kind.inner[0].kind == "int" else member for member in members]
    parsers: dict[str, Any] = {"int": int, "float": float, "datetime": Date, "bool": "true".__eq__}
    return parsers.get(kind.kind, lambda given: given.strip('"'))(text)


def parse_field(name: str, row: list[Any], enums: dict[str, tuple[str, ...]]) -> Field:
    """A row of the table, [type, qualifier, default]."""
    kind, qualifier, default = parse_type(row[0]), row[1], row[2]
    required = qualifier != "RO/runtime" and default is None
    return Field(name, kind, qualifier, parse_default(default, kind, enums), required)


def parse_message(cls: str, name: str, row: list[Any]) -> Message:
    """A row of the table, [parameter types, result, least role, flags]."""
    params, result, role, flags = row
    return Message(cls, name, tuple(map(parse_type, params)), parse_type(result), role, "i" in flags, "r" in flags)


class Schema:
    """The whole data model: `classes` by name, `messages` by their name on the wire, all `enums` by name."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.enums = {name: tuple(values) for row in table["classes"].values() for name, values in row["enums"].items()}
        relations = list(self._relations(table))
        self.classes = {name: self._class(name, row, relations) for name, row in table["classes"].items()}
        self.messages = {message.method: message for cls in self.classes.values() for message in cls.messages.values()}

    def _class(self, name: str, row: dict[str, Any], relations: list[Relation]) -> Class:
        return Class(
            name=name,
            events=row["events"],
            stored=name not in NOT_STORED,
            fields={field: parse_field(field, entry, self.enums) for field, entry in row["fields"].items()},
            messages={message: parse_message(name, message, entry) for message, entry in row["messages"].items()},
            enums={enum: tuple(values) for enum, values in row["enums"].items()},
            relations=tuple(relation for relation in relations if relation.cls == name),
            mirrors={relation.mirror: relation for relation in relations if relation.other == name},
        )

    @staticmethod
    def _relations(table: dict[str, Any]) -> Any:
        """Relations between two different fields; a field that the model relates to itself has no other end."""
        for cls, field, other, mirror in table["relations"]:
            if (cls, field) != (other, mirror):
                many = parse_type(table["classes"][cls]["fields"][field][0]).kind == "set"
                yield Relation(cls, field, other, mirror, many)


@functools.cache
def load() -> Schema:
    """The data model that ships with the package."""
    return Schema(orjson.loads(importlib.resources.files(__package__).joinpath("datamodel.json").read_bytes()))
