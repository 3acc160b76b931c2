"""Messages that the data model implies: getters, setters, add_to and remove_from, get_all and its kin, create and destroy."""

from typing import Any

from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.records import Record, Row
from orchestrator.simulator.registry import Handler
from orchestrator.simulator.schema import Field, Message, Schema


def whole_class(cls: str) -> dict[str, Handler]:
    """The messages that every class with rows has under the same name."""

    def get_record(call: Call, ref: str) -> Record:
        return call.db.record(cls, ref)

    def get_all(call: Call) -> list[str]:
        return call.db.refs(cls)

    def get_all_records(call: Call) -> dict[str, Record]:
        return call.db.records(cls)

    def get_by_uuid(call: Call, uuid: str) -> str:
        ref = call.db.by_uuid(cls, uuid)
        if ref is None:
            raise Failure("UUID_INVALID", cls, uuid)
        return ref

    def get_by_name_label(call: Call, label: str) -> list[str]:
        return call.db.by_name(cls, label)

    def create(call: Call, record: Row) -> str:
        return call.db.create(cls, **record)

    def destroy(call: Call, ref: str) -> None:
        call.db.destroy(cls, ref)

    handlers: list[Handler] = [get_record, get_all, get_all_records, get_by_uuid, get_by_name_label, create, destroy]
    return {handler.__name__: handler for handler in handlers}


def getter(cls: str, field: str) -> Handler:
    """get_FIELD."""

    def get(call: Call, ref: str) -> Any:
        return call.db.get(cls, ref)[field]

    return get


def setter(cls: str, field: str) -> Handler:
    """set_FIELD: a set keeps its duplicates; the same value again is no event."""

    def set_field(call: Call, ref: str, value: Any) -> None:
        call.db.set(cls, ref, **{field: value})

    return set_field


def map_adder(cls: str, field: str) -> Handler:
    """add_to_FIELD: MAP_DUPLICATE_KEY [class, field, ref, key] when the key is there."""

    def add_to(call: Call, ref: str, key: str, value: Any) -> None:
        with call.db.lock:
            present = call.db.get(cls, ref)[field]
            if key in present:
                raise Failure("MAP_DUPLICATE_KEY", cls, field, ref, key)
            call.db.set(cls, ref, **{field: {**present, key: value}})

    return add_to


def map_remover(cls: str, field: str) -> Handler:
    """remove_from_FIELD: an absent key is fine."""

    def remove_from(call: Call, ref: str, key: str) -> None:
        with call.db.lock:
            present = call.db.get(cls, ref)[field]
            call.db.set(cls, ref, **{field: {name: value for name, value in present.items() if name != key}})

    return remove_from


def set_adder(cls: str, field: str) -> Handler:
    """add_FIELD: a new member goes to the front, a present one is left."""

    def add(call: Call, ref: str, value: Any) -> None:
        with call.db.lock:
            present = call.db.get(cls, ref)[field]
            if value not in present:
                call.db.set(cls, ref, **{field: [value, *present]})

    return add


def set_remover(cls: str, field: str) -> Handler:
    """remove_FIELD: an absent member is fine."""

    def remove(call: Call, ref: str, value: Any) -> None:
        with call.db.lock:
            present = call.db.get(cls, ref)[field]
            call.db.set(cls, ref, **{field: [one for one in present if one != value]})

    return remove


# By prefix of the message's name; the longer ones first, since add_to_ begins with add_.
ACCESSORS = (
    ("get_", None, getter),
    ("set_", None, setter),
    ("add_to_", "map", map_adder),
    ("remove_from_", "map", map_remover),
    ("add_", "set", set_adder),
    ("remove_", "set", set_remover),
)


def accessed_field(schema: Schema, message: Message) -> tuple[Field, Any] | None:
    """The public field that the message reads or writes, and what makes its handler; None when it is no accessor."""
    fields = schema.classes[message.cls].fields
    for prefix, kind, maker in ACCESSORS:
        field = fields.get(message.name.removeprefix(prefix)) if message.name.startswith(prefix) else None
        if field is not None and kind in {None, field.type.kind}:
            return field, maker
    return None


def handler(schema: Schema, message: Message) -> Handler | None:
    """What answers the message when nothing was written by hand, or None."""
    if not schema.classes[message.cls].stored:
        return None
    if message.implicit and (found := whole_class(message.cls).get(message.name)):
        return found
    accessed = accessed_field(schema, message)
    return accessed[1](message.cls, accessed[0].name) if accessed else None


def is_async(schema: Schema, message: Message) -> bool:
    """Whether `Async.` exists: for messages with an effect, not for what merely reads or writes fields (datamodel: flags).

    Setters of plain fields that xapi wrote by hand (VM.set_VCPUs_max) have it, those of maps and sets have not.
    """
    if message.cls in {"session", "event", "auth"} or message.method == "task.create":
        return False
    if message.implicit:
        return message.name in {"create", "destroy"}
    accessed = accessed_field(schema, message)
    return accessed is None or (message.name.startswith("set_") and accessed[0].type.kind not in {"map", "set"})
