"""XML-RPC, for servers without /jsonrpc: what it answers is turned into the JSON text that the other protocol would have given.

Except for ints, which stay decimal strings: see `decode`.
"""

import xmlrpc.client
from typing import Any
from xml.parsers.expat import ExpatError

import orjson
import XenAPI
from pydantic import SecretStr


def written(method: str, params: tuple[Any, ...]) -> bytes:
    """The call's body. Ints go as decimal strings, XenAPI's own way, since XML-RPC's are of 32 bits."""
    return xmlrpc.client.dumps(tuple(_outgoing(param) for param in params), method, allow_none=True).encode()


def read(body: bytes) -> bytes:
    """The answer's value as JSON text; XenAPI.Failure when it is a failure. Raises ValueError for what is no XenAPI answer."""
    try:
        (answer,), _ = xmlrpc.client.loads(body.decode())
    except xmlrpc.client.Fault as fault:
        raise XenAPI.Failure(["Fault", fault.faultString]) from None
    except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError) as error:
        raise ValueError(f"not an XML-RPC answer: {type(error).__name__}") from None
    if not isinstance(answer, dict) or "Status" not in answer:
        raise ValueError("not a XenAPI answer: no Status")
    if answer["Status"] != "Success":
        raise XenAPI.Failure(answer.get("ErrorDescription", []))
    return orjson.dumps(_incoming(answer.get("Value", "")))


def task_result(text: str) -> Any:
    """The value in a task's result, which is XML-RPC under either protocol: "<value>OpaqueRef:...</value>"; "" for nothing."""
    if not text.startswith("<value"):
        return text
    (value,), _ = xmlrpc.client.loads(f"<params><param>{text}</param></params>")
    return _incoming(value)


def _outgoing(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        return {key: _outgoing(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_outgoing(item) for item in value]
    return value


def _incoming(value: Any) -> Any:
    if isinstance(value, xmlrpc.client.DateTime):
        return str(value)
    if isinstance(value, dict):
        return {key: _incoming(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_incoming(item) for item in value]
    return value
