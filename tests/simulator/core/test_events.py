import threading
import time
from typing import Any

import pytest

from orchestrator.simulator.database import LOG
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.events import COLLECT
from orchestrator.simulator.server import Server
from orchestrator.simulator.subscriptions import Subscription

from .conftest import Client, until


def events(batch: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["class"], one["operation"], one["ref"]) for one in batch["events"]]


def in_background(work: Any) -> tuple[threading.Thread, list[Any]]:
    """Run it in a thread; the list gets what it gave or raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except Failure as failure:
            outcome.append(failure.details)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


@pytest.fixture
def vm(server: Server) -> str:
    """The VM of the small world."""
    return server.db.refs("VM")[0]


def test_the_empty_token_gives_everything_as_add(client: Client, vm: str) -> None:
    """With the number of living objects of every class, as real ints."""
    batch = client("event.from", ["VM", "vif"], "", 5.0)
    assert {(cls, operation) for cls, operation, _ in events(batch)} == {("vm", "add"), ("vif", "add")}
    assert batch["valid_ref_counts"]["host"] == 2
    assert batch["valid_ref_counts"]["session"] == 1
    assert "message" not in batch["valid_ref_counts"]


def test_several_changes_are_one_mod_with_the_newest_state(client: Client, vm: str) -> None:
    """A created object that changed is one add."""
    token = client("event.from", ["vm"], "", 5.0)["token"]
    for text in ("one", "two"):
        client("VM.set_name_description", vm, text)
    batch = client("event.from", ["vm"], token, 5.0)
    assert [(one["operation"], one["snapshot"]["name_description"]) for one in batch["events"]] == [("mod", "two")]
    assert batch["token"] > token


def test_adds_come_first_then_mods_then_dels(client: Client, server: Server, vm: str) -> None:
    """Not in the order in which it happened."""
    gone = server.db.create("network")
    token = client("event.from", ["*"], "", 5.0)["token"]
    client("network.destroy", gone)
    client("VM.set_name_description", vm, "x")
    made = client("network.create", {"name_label": "n", "other_config": {}})
    assert events(client("event.from", ["*"], token, 5.0)) == [("network", "add", made), ("vm", "mod", vm), ("network", "del", gone)]


def test_a_del_has_no_snapshot(client: Client, vm: str) -> None:
    """Class, operation, ref, id and the timestamp that is always 0.0."""
    token = client("event.from", ["vm"], "", 5.0)["token"]
    client("VM.destroy", vm)
    (event,) = client("event.from", ["vm"], token, 5.0)["events"]
    del event["id"]
    assert event == {"class": "vm", "operation": "del", "ref": vm, "timestamp": "0.0"}


def test_nothing_new_is_an_empty_list_and_the_same_token(client: Client) -> None:
    """At the timeout, which 0 makes now."""
    token = client("event.from", ["vm"], "", 5.0)["token"]
    batch = client("event.from", ["vm"], token, 0)
    assert (batch["events"], batch["token"]) == ([], token)


def test_the_token_is_two_numbers_of_twenty_digits(client: Client) -> None:
    """What does not parse is refused; a token of the future is silent."""
    assert client("event.from", [], "", 0)["token"] == "0" * 20 + "," + "0" * 20
    future = "00000000000009999999,00000000000000000000"
    batch = client("event.from", ["vm"], future, 0.1)
    assert (batch["events"], batch["token"]) == ([], future)
    with pytest.raises(Failure) as failed:
        client("event.from", ["vm"], "garbage", 0)
    assert failed.value.details == ["EVENT_FROM_TOKEN_PARSE_FAILURE", "garbage"]


def test_one_object_may_be_followed_alone(client: Client, server: Server, vm: str) -> None:
    """By its ref; its uuid matches nothing."""
    server.db.create("VM")
    assert events(client("event.from", [f"VM/{vm}"], "", 1.0)) == [("vm", "add", vm)]
    assert events(client("event.from", [f"vm/{server.db.get('VM', vm)['uuid']}"], "", 0)) == []


def test_unknown_classes_are_accepted_and_never_answer(client: Client) -> None:
    """Also those that have no events, and what is no subscription at all."""
    assert events(client("event.from", ["nosuchclass", "session", "a/b/c"], "", 0)) == []


def test_a_waiting_call_is_woken_by_a_change_of_what_it_follows(client: Client, server: Server, vm: str) -> None:
    """And by nothing else."""
    token = client("event.from", [f"vm/{vm}"], "", 5.0)["token"]
    thread, outcome = in_background(lambda: client("event.from", [f"vm/{vm}"], token, 30.0))
    other = Client(server.url).login()
    other("network.create", {"name_label": "n", "other_config": {}})
    other("VM.set_name_label", server.db.create("VM"), "another")
    assert not outcome
    other("VM.set_name_description", vm, "wake")
    thread.join(60)
    assert events(outcome[0]) == [("vm", "mod", vm)]


def test_changes_within_the_collecting_time_come_together(client: Client, vm: str) -> None:
    """50 ms, even when there is news at once."""
    token = client("event.from", ["vm"], "", 5.0)["token"]
    client("VM.set_name_description", vm, "now")
    began = time.monotonic()
    client("event.from", ["vm"], token, 5.0)
    assert time.monotonic() - began >= COLLECT


@pytest.mark.parametrize(
    ("classes", "alone"), [(["task"], True), (["Task/OpaqueRef:x"], True), (["task", "vm"], False), (["*"], False), ([], False)]
)
def test_tasks_alone_are_not_collected(classes: list[str], alone: bool) -> None:
    """Who follows nothing but tasks is answered at once."""
    assert Subscription(classes).tasks_alone is alone


def test_a_logout_ends_the_waiting_calls_of_the_session(client: Client, server: Server) -> None:
    """SESSION_INVALID at once."""
    token = client("event.from", ["vm"], "", 5.0)["token"]
    thread, outcome = in_background(lambda: client("event.from", ["vm"], token, 30.0))
    until(lambda: server.calls._calls)
    Client(server.url).raw("session.logout", client.session)
    thread.join(60)
    assert outcome == [["SESSION_INVALID", client.session]]


def test_inject_gives_a_token_from_which_the_object_comes_as_mod(client: Client, vm: str) -> None:
    """The class is in its own case there."""
    token = client("event.inject", "VM", vm)
    batch = client("event.from", ["vm"], token, 5.0)
    assert events(batch) == [("vm", "mod", vm)]
    assert batch["token"] > token
    for cls, ref in (("vm", vm), ("VM", "OpaqueRef:bad")):
        with pytest.raises(Failure) as failed:
            client("event.inject", cls, ref)
        assert failed.value.details == ["HANDLE_INVALID", cls, ref]


def test_only_counts_tell_of_forgotten_deletions(client: Client, server: Server) -> None:
    """600 networks go: fewer dels come, no error, and valid_ref_counts is right."""
    refs = [server.db.create("network") for _ in range(600)]
    token = client("event.from", ["network"], "", 5.0)["token"]
    for ref in refs:
        server.db.destroy("network", ref)
    batch = client("event.from", ["network"], token, 5.0)
    assert 256 <= len(batch["events"]) <= 512
    assert batch["valid_ref_counts"]["network"] == 1


def test_messages_come_first_with_their_own_token(client: Client, server: Server, vm: str) -> None:
    """The second number counts only for those who follow messages."""
    assert client("event.from", ["vm"], "", 5.0)["token"].endswith("," + "0" * 20)
    token = client("event.from", ["*"], "", 5.0)["token"]
    client("VM.set_name_description", vm, "x")
    message = server.db.create("message", name="HELLO")
    batch = client("event.from", ["*"], token, 5.0)
    assert next((one["class"], one["id"]) for one in batch["events"]) == ("message", "0")
    assert events(batch)[0] == ("message", "add", message)
    assert client("event.from", ["*"], batch["token"], 0)["events"] == []


def test_event_next_tells_every_change_to_who_registered(client: Client, vm: str) -> None:
    """The old way: a log, with real timestamps; without register there is an error."""
    with pytest.raises(Failure) as failed:
        client("event.next")
    assert failed.value.details[0] == "SESSION_NOT_REGISTERED"
    assert failed.value.details[1].startswith("trackid=")
    client("event.register", ["VM"])
    for text in ("one", "two"):
        client("VM.set_name_description", vm, text)
    batch = client("event.next")
    assert [(one["class"], one["operation"], one["snapshot"]["name_description"]) for one in batch] == [
        ("vm", "mod", "one"),
        ("vm", "mod", "two"),
    ]
    assert all(float(one["timestamp"]) > 0 for one in batch)
    assert int(client("event.get_current_id")) == int(batch[-1]["id"])


def test_unregistered_classes_are_not_told_any_more(client: Client, server: Server, vm: str) -> None:
    """The others are, those that were registered later too."""
    client("event.register", ["vm"])
    client("event.register", ["network"])
    client("event.unregister", ["VM"])
    client("VM.set_name_description", vm, "x")
    network = server.db.create("network")
    assert [one["ref"] for one in client("event.next")] == [network]


def test_event_next_says_when_events_were_lost(client: Client, server: Server, vm: str) -> None:
    """It remembers so many; event.from never says so."""
    client("event.register", ["*"])
    for number in range(LOG + 1):
        server.db.set("VM", vm, name_description=str(number))
    with pytest.raises(Failure) as failed:
        client("event.next")
    assert failed.value.details == ["EVENTS_LOST"]
