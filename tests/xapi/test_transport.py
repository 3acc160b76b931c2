"""What goes over the wire, how often, and what is certain when a connection dies."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from orchestrator.xapi import decode
from orchestrator.xapi.client import Client
from orchestrator.xapi.connection import Line
from tests.xapi.scripted import PASSWORD, Cut, Failure, Half, Page, Server, Silence
from workflows.ports import Bug, Denied, Refused, Transient, Unknown

Serve = Callable[..., Server]
Connect = Callable[..., Client]
Until = Callable[[Callable[[], bool]], None]


def raising(method: str, fault: Exception, times: int = 1) -> Callable[[str, list[Any]], Any]:
    """A script that has *fault* for the first *times* calls of *method*, and says "done" to all later ones."""
    left = [times]

    def script(called: str, _params: list[Any]) -> Any:
        if called == method and left[0]:
            left[0] -= 1
            raise fault
        return "done" if called == method else ""

    return script


@pytest.mark.parametrize("fault", [Cut(), Half(), Page(500)])
def test_an_act_that_was_cut_is_unknown_and_never_sent_twice(serve: Serve, connect: Connect, fault: Exception) -> None:
    """A call that may have taken effect is the caller's to judge."""
    server = serve(raising("VM.clone", fault))
    with pytest.raises(Unknown):
        connect(server).call("VM.clone", "OpaqueRef:vm", "copy")
    assert server.heard("VM.clone") == 1


@pytest.mark.parametrize("fault", [Cut(), Half(), Page(500)])
def test_a_read_that_was_cut_is_repeated(serve: Serve, connect: Connect, fault: Exception) -> None:
    """What changes nothing is asked again within the patience."""
    server = serve(raising("VM.get_uuid", fault))
    assert connect(server).call("VM.get_uuid", "OpaqueRef:vm") == "done"
    assert server.heard("VM.get_uuid") == 2


def test_without_patience_a_read_that_was_cut_is_transient(serve: Serve, connect: Connect) -> None:
    """Patience 0 means one attempt."""
    server = serve(raising("VM.get_uuid", Cut()))
    with pytest.raises(Transient):
        connect(server).call("VM.get_uuid", "OpaqueRef:vm", patience=0)
    assert server.heard("VM.get_uuid") == 1


def test_an_act_that_is_not_answered_in_time_is_unknown(serve: Serve, connect: Connect) -> None:
    """Every call has a timeout, and its end says nothing about the effect."""
    server = serve(raising("VM.start", Silence()))
    with pytest.raises(Unknown, match="timed out"):
        connect(server).call("VM.start", "OpaqueRef:vm", False, False, timeout=0.2)
    assert server.heard("VM.start") == 1


def test_an_idle_connection_that_the_server_closed_is_replaced_before_an_act_is_sent(serve: Serve, connect: Connect, until: Until) -> None:
    """A server that drops idle connections costs no call: staleness is seen before anything is sent."""
    server = serve()
    client = connect(server)
    client.call("VM.get_all")  # what a login asks follows at once: there the server's end of the connection may come too late
    server.closes_idle = True
    for _ in range(5):
        client.call("VM.get_all")
        until(lambda: not server._open)
        client.call("VM.set_name_label", "OpaqueRef:vm", "x")
        until(lambda: not server._open)
    assert server.heard("VM.set_name_label") == 5


def test_one_thread_keeps_one_connection(serve: Serve, connect: Connect) -> None:
    """Kept alive: login, what is learned at it and fifty calls go over one connection."""
    server = serve()
    client = connect(server)
    for _ in range(50):
        client.call("VM.get_all")
    assert server.connections == 1


def test_many_threads_share_one_session_and_keep_a_connection_each(serve: Serve, connect: Connect) -> None:
    """Eight threads that call at once: every call is answered, with one login and at most eight connections."""
    server = serve(lambda method, params: params[0] if method == "VM.get_uuid" else "")
    client = connect(server)
    wrong: list[Any] = []

    def work(number: int) -> None:
        wrong.extend(ref for ref in (f"{number}-{turn}" for turn in range(40)) if client.call("VM.get_uuid", ref) != ref)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, server.heard("VM.get_uuid"), server.logins) == ([], 320, 1)
    assert server.connections <= 8


def test_a_line_that_is_dropped_ends_the_call_that_waits_on_it(serve: Serve, connect: Connect, until: Until) -> None:
    """The watchdog's way to end a deaf event.from: it is not repeated by the client."""
    server = serve(raising("event.from", Silence()))
    client, line, ended = connect(server), Line(), []

    def wait() -> None:
        with pytest.raises(Transient):
            client.fetch(dict, "event.from", ["*"], "", 30.0, line=line)
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: server.heard("event.from") == 1)
    line.drop()
    thread.join(60)
    assert ended == [True]
    assert server.heard("event.from") == 1


def test_closing_ends_the_calls_of_other_threads(serve: Serve, connect: Connect, until: Until) -> None:
    """A process that stops does not wait for event.from."""
    server = serve(raising("event.from", Silence()))
    client, ended = connect(server), []

    def wait() -> None:
        with pytest.raises(Transient):
            client.call("event.from", ["*"], "", 30.0)
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: server.heard("event.from") == 1)
    client.close()
    thread.join(60)
    assert ended == [True]
    assert server.heard("session.logout") == 1
    with pytest.raises(Transient, match="CLIENT_CLOSED"):
        client.call("VM.get_all")


def test_what_the_server_answers_as_failure_is_raised_by_name_and_not_repeated(serve: Serve, connect: Connect) -> None:
    """A failure is an answer."""
    server = serve(raising("VM.start", Failure("VM_BAD_POWER_STATE", "OpaqueRef:vm", "halted", "running")))
    with pytest.raises(Refused) as caught:
        connect(server).call("VM.start", "OpaqueRef:vm", False, False)
    assert (caught.value.code, caught.value.details) == ("VM_BAD_POWER_STATE", ("OpaqueRef:vm", "halted", "running"))
    assert server.heard("VM.start") == 1


def test_a_wrong_password_is_denied_at_once_and_not_tried_again_soon(serve: Serve, connect: Connect) -> None:
    """Accounts get locked: neither patience nor the next call tries the same password again."""
    server = serve()
    client = connect(server, username="nobody")
    for _ in range(3):
        with pytest.raises(Denied):
            client.call("VM.get_all")
    assert server.heard("session.login_with_password") == 1


def test_the_password_is_in_no_error_and_no_traceback(serve: Serve, connect: Connect) -> None:
    """Neither the text nor the variables of any frame that an error keeps alive hold it."""
    server = serve(raising("session.login_with_password", Cut(), times=99))
    with pytest.raises(Transient) as caught:
        connect(server).call("VM.get_all", patience=0)
    error: BaseException | None = caught.value
    seen = [repr(server.settings())]
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if "/orchestrator/" in trace.tb_frame.f_code.co_filename:
                seen += [repr(value) for value in trace.tb_frame.f_locals.values()]
            trace = trace.tb_next
        error = error.__context__
    assert len(seen) > 10
    assert not [text for text in seen if PASSWORD in text]


class Disk(msgspec.Struct):
    """Two fields of a VDI."""

    virtual_size: int
    name_label: str


@pytest.mark.parametrize("speaks_json", [True, False])
def test_types_are_the_same_under_both_protocols(serve: Serve, connect: Connect, speaks_json: bool) -> None:
    """XML-RPC's decimal strings become ints where the type says so, and text stays text."""
    size = 8589934592 if speaks_json else "8589934592"
    server = serve(lambda method, _params: {"OpaqueRef:1": {"virtual_size": size, "name_label": "12"}} if method.startswith("VDI") else "")
    server.speaks_json = speaks_json
    disks = connect(server).fetch(dict[str, Disk], "VDI.get_all_records")
    assert disks == {"OpaqueRef:1": Disk(8589934592, "12")}


def test_a_server_without_json_is_found_out_at_login_and_remembered(serve: Serve, connect: Connect) -> None:
    """The fall-back is decided at the first contact; no call of the pool is ever tried in both ways."""
    server = serve(lambda method, params: params if method == "VM.set_memory" else "")
    server.speaks_json = False
    assert connect(server).call("VM.set_memory", "OpaqueRef:vm", 2**40) == ["OpaqueRef:vm", str(2**40)]
    assert server.logins == 1
    assert server.heard("VM.set_memory") == 1


def test_a_server_that_is_starting_is_not_taken_for_an_old_one(serve: Serve, connect: Connect) -> None:
    """It refused both ways: the next attempt asks for the better one again."""
    server = serve(raising("session.login_with_password", Page(500), times=2))
    connect(server).call("VM.get_all")
    assert server.paths[:3] == ["/jsonrpc", "/", "/jsonrpc"]
    assert set(server.paths[2:]) == {"/jsonrpc"}


def test_an_xml_server_has_failures_and_cuts_too(serve: Serve, connect: Connect) -> None:
    """The fall-back keeps the promises of the other protocol."""
    server = serve(raising("VM.clone", Cut()))
    server.speaks_json = False
    client = connect(server)
    with pytest.raises(Unknown):
        client.call("VM.clone", "OpaqueRef:vm", "copy")
    server.script = raising("VM.clone", Failure("LICENCE_RESTRICTION", "x"))
    with pytest.raises(Refused):
        client.call("VM.clone", "OpaqueRef:vm", "copy")
    assert server.heard("VM.clone") == 2


def test_a_result_that_does_not_fit_its_type_is_a_bug(serve: Serve, connect: Connect) -> None:
    """What we expect of a record and is not there is ours to mend."""
    server = serve(lambda method, _params: {"OpaqueRef:1": {}} if method.startswith("VDI") else "")
    with pytest.raises(Bug, match="virtual_size"):
        connect(server).fetch(dict[str, Disk], "VDI.get_all_records")


def test_the_packages_own_session_works_over_the_transport(serve: Serve, connect: Connect) -> None:
    """`session.xenapi.<Class>.<message>(...)` is JSON on the wire, under the shared session."""
    server = serve(lambda method, params: [method, *params] if method == "VM.get_uuid" else "")
    session = connect(server).session
    assert session.xenapi.VM.get_uuid("OpaqueRef:vm") == ["VM.get_uuid", "OpaqueRef:vm"]
    assert server.logins == 1


def test_event_from_may_take_longer_than_the_timeout_of_other_calls(serve: Serve, connect: Connect) -> None:
    """Its timeout is above the one asked of the server, whatever the caller gives."""
    waited = threading.Event()

    def script(method: str, _params: list[Any]) -> Any:
        if method == "event.from":
            waited.wait(0.3)
            return {"events": [], "token": "1", "valid_ref_counts": {}}
        return ""

    client = connect(serve(script))
    assert client.call("event.from", ["*"], "", 0.2, timeout=0.1)["token"] == "1"


@pytest.mark.parametrize("text", ["20261122T09:42:24Z", "2026-11-22T09:42:24Z"])
def test_a_date_of_xenapi_is_a_moment(text: str) -> None:
    """In UTC, in either of the ways that versions write it."""
    assert decode.moment(text) == datetime(2026, 11, 22, 9, 42, 24, tzinfo=UTC)


def test_what_is_no_date_is_a_bug() -> None:
    """We expected something of the pool that it does not say."""
    with pytest.raises(Bug):
        decode.moment("yesterday")
