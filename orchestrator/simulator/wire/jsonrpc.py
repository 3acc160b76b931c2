"""JSON-RPC 1.0 and 2.0 as xapi speaks it: an id is mandatory, batches are not understood."""

import dataclasses
from typing import Any

import orjson

from orchestrator.simulator.records import Record
from orchestrator.simulator.wire.errors import Malformed


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A call as it came; `version` is 1 or 2."""

    version: int
    id: Any
    method: str
    params: list[Any]


def decode(body: bytes) -> Request:
    """The call; Malformed when it is a batch, has no id or no method, or is not JSON. Named parameters become one, a struct."""
    try:
        call = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(str(error)) from error
    if not isinstance(call, dict) or "id" not in call or not isinstance(call.get("method"), str):
        raise Malformed("not a call with a method and an id")
    params = call.get("params", [])
    version = 2 if call.get("jsonrpc") == "2.0" else 1
    return Request(version, call["id"], call["method"], params if isinstance(params, list) else [params])


def fragment(value: Any) -> Any:
    """Records carry their own JSON."""
    if isinstance(value, Record):
        return orjson.Fragment(value.json())
    raise TypeError(f"cannot be sent as JSON: {type(value)}")


def success(request: Request, value: Any) -> bytes:
    """The answer of a call that worked; void is an empty string."""
    result = "" if value is None else value
    if request.version == 2:
        return orjson.dumps({"jsonrpc": "2.0", "result": result, "id": request.id}, default=fragment)
    return orjson.dumps({"result": result, "error": None, "id": request.id}, default=fragment)


def failure(request: Request, details: list[str]) -> bytes:
    """The answer of a call that failed with Failure.details; the two versions put the code in different places."""
    if request.version == 2:
        error = {"code": 1, "message": details[0], "data": details[1:]}
        return orjson.dumps({"jsonrpc": "2.0", "error": error, "id": request.id})
    return orjson.dumps({"result": None, "error": details, "id": request.id})
