"""Alerts, XenAPI's class message: in event.from they have a token of their own, in xapi's database they are not."""

from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.records import Record
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.sessions import wire_date


def create(call: Call, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    """message.create: UUID_INVALID [class, uuid] when the object that it is about does not exist (xapi_message.ml)."""
    about = next(name for name in call.db.tables if name.lower() == cls.lower())  # the enum says Host, the class is host
    if call.db.by_uuid(about, obj_uuid) is None:
        raise Failure("UUID_INVALID", about, obj_uuid)
    now = wire_date(call.server.clock())
    return call.db.create("message", name=name, priority=priority, cls=cls, obj_uuid=obj_uuid, body=body, timestamp=now)


def destroy(call: Call, message: str) -> None:
    """message.destroy."""
    call.db.destroy("message", message)


def destroy_many(call: Call, messages: list[str]) -> None:
    """message.destroy_many."""
    for message in messages:
        call.db.destroy("message", message)


def get_record(call: Call, message: str) -> Record:
    """message.get_record."""
    return call.db.record("message", message)


def get_by_uuid(call: Call, uuid: str) -> str:
    """message.get_by_uuid: UUID_INVALID ["message", uuid]."""
    ref = call.db.by_uuid("message", uuid)
    if ref is None:
        raise Failure("UUID_INVALID", "message", uuid)
    return ref


def get_all(call: Call) -> list[str]:
    """message.get_all."""
    return call.db.refs("message")


def get_all_records(call: Call) -> dict[str, Record]:
    """message.get_all_records."""
    return call.db.records("message")


def get(call: Call, cls: str, obj_uuid: str, since: str) -> dict[str, Record]:
    """message.get: those about one object after a date."""
    about = {"cls": cls, "obj_uuid": obj_uuid}
    return {ref: record for ref, record in get_since(call, since).items() if about.items() <= record.row.items()}


def get_since(call: Call, since: str) -> dict[str, Record]:
    """message.get_since: dates of this form compare as text."""
    return {ref: record for ref, record in call.db.records("message").items() if record.row["timestamp"] > since}


MESSAGES: Messages = {
    "message.create": create,
    "message.destroy": destroy,
    "message.destroy_many": destroy_many,
    "message.get": get,
    "message.get_all": get_all,
    "message.get_all_records": get_all_records,
    "message.get_by_uuid": get_by_uuid,
    "message.get_record": get_record,
    "message.get_since": get_since,
}
