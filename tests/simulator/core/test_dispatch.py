from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server

from .conftest import Client


def failure(client: Client, method: str, *params: Any) -> list[str]:
    with pytest.raises(Failure) as failed:
        client(method, *params)
    return failed.value.details


@pytest.fixture
def vm(server: Server) -> str:
    """The VM of the small world."""
    return server.db.refs("VM")[0]


def test_parameters_are_counted_without_the_session(client: Client, vm: str) -> None:
    """Expected first, then given; none at all is -1."""
    assert failure(client, "VM.get_record") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "0"]
    assert failure(client, "VM.get_record", vm, "x") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "2"]
    with pytest.raises(Failure) as failed:
        client.raw("VM.get_record")
    assert failed.value.details == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "-1"]


def test_types_come_before_the_session(client: Client, vm: str) -> None:
    """A bad enum is complained about even when nobody is logged in."""
    client.session = "OpaqueRef:nope"
    assert failure(client, "VM.set_actions_after_crash", vm, "explode") == ["INTERNAL_ERROR", 'Failure("Unknown tag/contents")']
    assert failure(client, "VM.get_record", vm) == ["SESSION_INVALID", "OpaqueRef:nope"]


def test_an_unknown_method_is_looked_at_after_its_session(client: Client) -> None:
    """SESSION_INVALID first, then MESSAGE_METHOD_UNKNOWN."""
    assert failure(client, "VM.frobnicate", "x") == ["MESSAGE_METHOD_UNKNOWN", "VM.frobnicate"]
    assert failure(client, "vm.get_all") == ["MESSAGE_METHOD_UNKNOWN", "vm.get_all"]
    client.session = "OpaqueRef:nope"
    assert failure(client, "VM.frobnicate", "x") == ["SESSION_INVALID", "OpaqueRef:nope"]


def test_services_of_xapi_s_own_need_no_session(server: Server) -> None:
    """system.listMethods tells clients which classes there are."""
    client = Client(server.url)
    assert {"VM.get_all_records", "VM.start", "event.from"} <= set(client.raw("system.listMethods"))
    assert client.raw("system.isAlive:1", "still") == "still"


def test_internal_fields_have_no_getter(client: Client, server: Server) -> None:
    """What a real pool hides is an unknown method."""
    assert failure(client, "VIF.get_reserved_pci", server.db.refs("VIF")[0]) == ["MESSAGE_METHOD_UNKNOWN", "VIF.get_reserved_pci"]


def test_roles_are_checked_before_the_handle(server: Server) -> None:
    """The text names the message in lower case and who may (recorded on a running xapi)."""
    reader = Client(server.url).login("operator")
    allowed = "No permission in user session. (Roles with this permission: vm-power-admin, vm-admin, pool-admin, pool-operator)"
    assert failure(reader, "VM.set_name_label", "OpaqueRef:bad", "x") == ["RBAC_PERMISSION_DENIED", "vm.set_name_label", allowed]


def test_a_reader_may_read(server: Server, vm: str) -> None:
    """read-only is the least of the six roles."""
    assert Client(server.url).login("reader")("VM.get_name_label", vm) == "vm"


def test_a_ref_of_another_class_is_invalid(client: Client, server: Server) -> None:
    """HANDLE_INVALID names the class that was asked."""
    host = server.db.refs("host")[0]
    assert failure(client, "VM.get_name_label", host) == ["HANDLE_INVALID", "VM", host]


def test_lookups_that_find_nothing(client: Client) -> None:
    """By uuid it is an error, by name an empty list."""
    assert failure(client, "VM.get_by_uuid", "no such uuid") == ["UUID_INVALID", "VM", "no such uuid"]
    assert client("VM.get_by_name_label", "nothing here") == []


def test_removed_messages_say_so(client: Client) -> None:
    """VIF_metrics.get_all is gone."""
    assert failure(client, "VIF_metrics.get_all") == ["MESSAGE_REMOVED"]


def test_what_nobody_wrote_is_not_implemented(client: Client, vm: str) -> None:
    """A message that the data model has and the simulator has not."""
    assert failure(client, "VM.send_sysrq", vm, "b") == ["NOT_IMPLEMENTED", "VM.send_sysrq"]


def test_maps_and_sets_are_changed_as_xapi_does(client: Client, vm: str) -> None:
    """A present key is refused, an absent one may be removed; a new member goes to the front, duplicates stay when set whole."""
    client("VM.add_to_other_config", vm, "k", "v")
    assert failure(client, "VM.add_to_other_config", vm, "k", "w") == ["MAP_DUPLICATE_KEY", "VM", "other_config", vm, "k"]
    client("VM.remove_from_other_config", vm, "absent")
    client("VM.remove_from_other_config", vm, "k")
    assert client("VM.get_other_config", vm) == {}
    client("VM.set_tags", vm, ["b", "a", "b"])
    client("VM.add_tags", vm, "a")
    client("VM.add_tags", vm, "c")
    assert client("VM.get_tags", vm) == ["c", "b", "a", "b"]
    client("VM.remove_tags", vm, "a")
    assert client("VM.get_tags", vm) == ["c", "b", "b"]


def test_refs_given_as_values_are_not_checked(client: Client, vm: str) -> None:
    """VM.affinity takes anything."""
    client("VM.set_affinity", vm, "OpaqueRef:bad")
    assert client("VM.get_affinity", vm) == "OpaqueRef:bad"


def test_create_and_destroy_work_because_the_table_says_so(client: Client) -> None:
    """A class without behaviour has them too."""
    network = client("network.create", {"name_label": "n", "other_config": {}})
    assert client("network.get_MTU", network) == "1500"
    client("network.destroy", network)
    assert failure(client, "network.destroy", network) == ["HANDLE_INVALID", "network", network]


def test_getters_have_no_async_twin(client: Client, vm: str) -> None:
    """A Status Failure, not a fault."""
    text = "No async mode for this operation (rpc: VM.set_name_label)"
    assert failure(client, "Async.VM.set_name_label", vm, "x") == ["Fault", text]


def test_a_handler_s_own_mistake_is_an_internal_error(make_server: Callable[..., Server]) -> None:
    """The client hears of it and the connection lives."""

    def broken(call: Call, vm: str) -> None:
        raise LookupError("oops")

    client = Client(make_server({"VM.provision": broken}).url).login()
    assert failure(client, "VM.provision", "OpaqueRef:x") == ["INTERNAL_ERROR", "LookupError: oops"]
