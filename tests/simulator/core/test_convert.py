import xmlrpc.client
from typing import Any

import pytest

from orchestrator.simulator import convert, schema
from orchestrator.simulator.errors import Failure

SCHEMA = schema.load()


def converted(kind: str, value: Any) -> Any:
    return convert.convert(SCHEMA, schema.parse_type(kind), value)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("int", "7", 7),
        ("int", 7, 7),
        ("float", 2, 2.0),
        ("float", "2.5", 2.5),
        ("bool", True, True),
        ("(int -> int) map", {"1": "2"}, {"1": 2}),
        ("int set", ["1", 2], [1, 2]),
        ("datetime", xmlrpc.client.DateTime("20260101T00:00:00Z"), "20260101T00:00:00Z"),
        ("enum on_normal_exit", "destroy", "destroy"),
    ],
)
def test_what_clients_send_is_understood(kind: str, given: Any, expected: Any) -> None:
    """Ints come as strings from XML-RPC and as numbers from JSON."""
    assert converted(kind, given) == expected


@pytest.mark.parametrize(
    ("kind", "given", "text"),
    [
        ("enum on_crash_behaviour", "explode", "Unknown tag/contents"),
        ("string set", "notalist", "Expecting Rpc.Enum, but found 'S(notalist)'"),
        ("string", None, "Expected string, got 'N'"),
        ("int", "seven", "Int64.of_string"),
        ("bool", "true", "Expected bool, got 'S(true)'"),
        ("(string -> string) map", ["a"], "Expecting Rpc.Dict, but found 'Enum([S(a)])'"),
    ],
)
def test_a_wrong_type_is_an_internal_error_with_ocaml_s_text(kind: str, given: Any, text: str) -> None:
    """Recorded on a running xapi."""
    with pytest.raises(Failure) as failed:
        converted(kind, given)
    assert failed.value.details == ["INTERNAL_ERROR", f'Failure("{text}")']


def test_the_first_missing_field_of_a_record_is_named() -> None:
    """In the data model's order: user_version of a VM that has nothing but a name."""
    with pytest.raises(Failure) as failed:
        converted("VM record", {"name_label": "m"})
    assert failed.value.details == ["INTERNAL_ERROR", 'Server_helpers.Dispatcher_FieldNotFound("user_version")']


def test_unknown_and_runtime_fields_of_a_record_are_ignored() -> None:
    """A client may send a whole record that it read."""
    record = {"name_label": "n", "other_config": {}, "colour": "red", "uuid": "u"}
    assert "colour" not in converted("network record", record).keys() | {"uuid"} & converted("network record", record).keys()


def test_late_parameters_may_be_left_out() -> None:
    """host.disable has had auto_enable since 2025; older clients do not send it."""
    assert convert.arguments(SCHEMA, "host.disable", ["OpaqueRef:x"]) == ["OpaqueRef:x", True]
    assert convert.arguments(SCHEMA, "host.evacuate", ["OpaqueRef:x", "OpaqueRef:y"]) == ["OpaqueRef:x", "OpaqueRef:y", 0]
    with pytest.raises(Failure) as failed:
        convert.arguments(SCHEMA, "host.evacuate", [])
    assert failed.value.details == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "host.evacuate", "1", "0"]


def test_every_optional_parameter_belongs_to_a_message_that_has_it() -> None:
    """The table of late parameters fits the data model."""
    for method, defaults in convert.OPTIONAL.items():
        kinds = SCHEMA.messages[method].params[-len(defaults) :]
        assert [convert.convert(SCHEMA, kind, value) for kind, value in zip(kinds, defaults, strict=True)] == list(defaults)
