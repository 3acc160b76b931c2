"""Results as types: the one place where the two protocols' differences end.

XenAPI's ints are numbers over JSON-RPC and decimal strings over XML-RPC, and the record alone does not tell which strings are ints. So
numbers are made where a type says so: every typed decoding here is lax (`strict=False`), which turns "1500" into 1500 for a field that
is an int and leaves text as text. No table of fields is needed, and none can be out of date. Untyped results are handed on as they
came.
"""

import functools
from collections.abc import Hashable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec
import orjson

from workflows.ports import Bug

T = TypeVar("T")
JSON = bytes | msgspec.Raw


@functools.cache
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    """Decoders are compiled once for a type and may be shared by threads."""
    return msgspec.json.Decoder(cast("Any", kind), strict=False)


def into(kind: type[T], raw: JSON) -> T:
    """The JSON text as *kind* (a msgspec struct, dict[str, Struct], int, ...).

    `Bug` when it does not fit: the type expects what is not there.
    """
    try:
        decoded: T = _decoder(cast("Hashable", kind)).decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Bug("RESULT_DOES_NOT_FIT", (str(kind), str(error))) from error
    return decoded


def plain(raw: JSON) -> Any:
    """The JSON text as plain Python values."""
    try:
        return orjson.loads(memoryview(raw))
    except orjson.JSONDecodeError as error:
        raise Bug("RESULT_IS_NOT_JSON", (str(error),)) from error


def moment(text: str) -> datetime:
    """XenAPI's date ("20261122T09:42:24Z", with or without dashes, always UTC) as a datetime; `Bug` when it is none."""
    try:
        return datetime.strptime(text.replace("-", ""), "%Y%m%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise Bug("RESULT_IS_NO_DATE", (text,)) from error
