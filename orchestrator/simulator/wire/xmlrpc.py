"""XML-RPC as xapi writes it: strings and ints untyped, answers always HTTP 200 with a Status, never a fault."""

import xmlrpc.client
from typing import Any

from orchestrator.simulator.records import Record
from orchestrator.simulator.schema import Date
from orchestrator.simulator.wire.errors import Malformed

HEAD = "<?xml version='1.0'?>"


class Int4(int):
    """An int that is an <i4> on the wire, as those of valid_ref_counts are; all other ints are untyped strings."""


def escape(text: str) -> str:
    """Text between tags."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    return text


def write(value: Any, out: list[str]) -> None:
    """Append the <value> element."""
    if isinstance(value, Record):
        out.append(encode(value.public()))  # one string a record: answers of thousands stay small while they are made
    elif isinstance(value, dict):
        out.append("<value><struct>")
        for key, inner in value.items():
            out.append(f"<member><name>{escape(key)}</name>")
            write(inner, out)
            out.append("</member>")
        out.append("</struct></value>")
    elif isinstance(value, list):
        out.append("<value><array><data>")
        for inner in value:
            write(inner, out)
        out.append("</data></array></value>")
    else:
        out.append(f"<value>{scalar(value)}</value>")


def scalar(value: Any) -> str:
    """What is inside the <value> of something that is no struct and no array; nothing (void) is empty."""
    if isinstance(value, Date):
        return f"<dateTime.iso8601>{value}</dateTime.iso8601>"
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, bool):
        return f"<boolean>{value:d}</boolean>"
    if isinstance(value, Int4):
        return f"<i4>{value}</i4>"
    if isinstance(value, float):
        return f"<double>{value:.16g}</double>"
    return "" if value is None else str(value)


def encode(value: Any) -> str:
    """The <value> element, which is also what a task's result holds."""
    out: list[str] = []
    write(value, out)
    return "".join(out)


def response(struct: dict[str, Any]) -> bytes:
    """A whole methodResponse."""
    return f"{HEAD}<methodResponse><params><param>{encode(struct)}</param></params></methodResponse>".encode()


def success(value: Any) -> bytes:
    """The answer of a call that worked."""
    return response({"Status": "Success", "Value": value})


def failure(details: list[str]) -> bytes:
    """The answer of a call that failed with Failure.details."""
    return response({"Status": "Failure", "ErrorDescription": details})


def decode(body: bytes) -> tuple[str, list[Any]]:
    """Method and parameters of a methodCall; Malformed when xapi could not read it (an empty name in a struct included)."""
    parser, unmarshaller = xmlrpc.client.getparser()
    try:
        parser.feed(body)
        parser.close()
        params = list(unmarshaller.close())
        method = unmarshaller.getmethodname()
    except Exception as error:  # expat's errors, and whatever the unmarshaller meets in values that make no sense
        raise Malformed(str(error)) from error
    if not method or (b"<name>" in body and has_empty_name(params)):
        raise Malformed("no method name, or a member without a name")
    return method, params


def has_empty_name(value: Any) -> bool:
    """Whether a struct somewhere in it has a member whose name is empty."""
    if isinstance(value, dict):
        return "" in value or any(map(has_empty_name, value.values()))
    return isinstance(value, list) and any(map(has_empty_name, value))
