"""Parameters as they came off the wire, made what the data model says they are; wrong ones fail as they fail in xapi.

The texts are rpclib's and OCaml's, recorded on a running xapi: every wrong type is an INTERNAL_ERROR.
"""

import xmlrpc.client
from collections.abc import Callable
from typing import Any

from orchestrator.simulator.errors import Failure, field_not_found, internal
from orchestrator.simulator.schema import Date, Schema, Type


def shown(value: Any) -> str:
    """A value as rpclib prints it in its complaints: S(text), I(1), N..."""
    if value is None:
        return "N"
    if isinstance(value, bool):
        return f"B({str(value).lower()})"
    if isinstance(value, list):
        return f"Enum([{','.join(map(shown, value))}])"
    if isinstance(value, dict):
        return "Dict({" + ",".join(f"{key}:{shown(inner)}" for key, inner in value.items()) + "})"
    letter = {int: "I", float: "F", str: "S"}.get(type(value), "DateTime")
    return f"{letter}({value})"


def text(value: Any) -> str:
    """A string; nothing else will do."""
    if not isinstance(value, str):
        raise internal(f"Expected string, got '{shown(value)}'")
    return value


def integer(value: Any) -> int:
    """A number, or a decimal string of one, as XML-RPC clients send it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise internal(f"Expected int64, got '{shown(value)}'")
    try:
        return int(value)
    except ValueError:
        raise internal("Int64.of_string") from None


def number(value: Any) -> float:
    """A float, an int, or a string of one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise internal(f"Expected float, got '{shown(value)}'")
    try:
        return float(value)
    except ValueError:
        raise internal("float_of_string") from None


def boolean(value: Any) -> bool:
    """A boolean; a string of one is refused."""
    if not isinstance(value, bool):
        raise internal(f"Expected bool, got '{shown(value)}'")
    return value


def date(value: Any) -> Date:
    """A date: XML-RPC has a type for it, in JSON it is a string."""
    if isinstance(value, xmlrpc.client.DateTime):
        return Date(value.value)
    if not isinstance(value, str):
        raise internal(f"Expected DateTime, got '{shown(value)}'")
    return Date(value)


SIMPLE: dict[str, Callable[[Any], Any]] = {
    "string": text,
    "ref": text,
    "int": integer,
    "float": number,
    "bool": boolean,
    "datetime": date,
}


def convert(schema: Schema, kind: Type, value: Any) -> Any:
    """The value as the type wants it, or Failure INTERNAL_ERROR; refs are not looked up."""
    simple = SIMPLE.get(kind.kind)
    if simple is not None:
        return simple(value)
    if kind.kind == "set":
        if not isinstance(value, list):
            raise internal(f"Expecting Rpc.Enum, but found '{shown(value)}'")
        return [convert(schema, kind.inner[0], one) for one in value]
    if kind.kind == "map":
        if not isinstance(value, dict):
            raise internal(f"Expecting Rpc.Dict, but found '{shown(value)}'")
        for key in value:
            convert(schema, kind.inner[0], key)
        return {key: convert(schema, kind.inner[1], one) for key, one in value.items()}
    if kind.kind == "enum":
        if text(value) not in schema.enums[kind.name]:
            raise internal("Unknown tag/contents")
        return value
    if kind.kind == "record":
        return convert_record(schema, kind.name, value)
    return value


def convert_record(schema: Schema, cls: str, value: Any) -> dict[str, Any]:
    """A create record: the constructor's fields, defaults for what may be missing; what is unknown or not a constructor's is ignored.

    The missing field that is named is the first in the data model's order.
    """
    if not isinstance(value, dict):
        raise internal(f"Expecting Rpc.Dict, but found '{shown(value)}'")
    record = {}
    for name, field in schema.classes[cls].fields.items():
        if not field.constructor:
            continue
        if name in value:
            record[name] = convert(schema, field.type, value[name])
        elif field.required:
            raise field_not_found(name)
        else:
            record[name] = field.default
    return record


# Parameters that came with later releases and may be left out at the end, with what xapi takes for them (datamodel: param_default).
NULL = "OpaqueRef:NULL"
OPTIONAL: dict[str, tuple[Any, ...]] = {
    "session.login_with_password": ("1.0", ""),
    "VM.snapshot": ([],),
    "VM.migrate_send": ({}, {}),
    "VM.assert_can_migrate": ({},),
    "VM.create_new_blob": (False,),
    "host.create_new_blob": (False,),
    "host.disable": (True,),
    "host.evacuate": (NULL, 0),
    "Bond.create": ("balance-slb", {}),
    "PIF.introduce": (True,),
    "SR.create": ({},),
    "SR.introduce": ({},),
    "SR.make": ({},),
    "SR.probe": ({},),
    "tunnel.create": ("gre",),
    "VDI.copy": (NULL, NULL),
    "VDI.introduce": ({}, {}, True, 0, 0, NULL, False, Date("19700101T00:00:00Z"), NULL),
    "VGPU.create": ("0", {}, NULL),
}


def arguments(schema: Schema, method: str, params: list[Any]) -> list[Any]:
    """All parameters of a message (without the session), counted, then converted.

    MESSAGE_PARAMETER_COUNT_MISMATCH [method, mandatory ones, given] comes before any complaint about a type; messages with
    optional parameters take any number of further ones (gen_server.ml).
    """
    kinds = schema.messages[method].params
    optional = OPTIONAL.get(method, ())
    mandatory = len(kinds) - len(optional)
    if len(params) < mandatory or (len(params) > mandatory and not optional):
        raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", method, mandatory, len(params))
    given = [convert(schema, kind, value) for kind, value in zip(kinds, params, strict=False)]
    return [*given, *optional[len(given) - mandatory :]]
