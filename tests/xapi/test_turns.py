"""How many calls into a pool are in flight at once, and whose turn is next."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.turns import Turns
from tests.xapi import scripted
from workflows.ports import Transient

Until = Callable[[Callable[[], bool]], None]
GO = threading.Event()


def asking(turns: Turns, got: list[int], number: int, seconds: float = 10) -> threading.Thread:
    """A thread that takes a turn and writes its number down; the turn is not given back."""

    def take() -> None:
        turns.take(seconds, GO)
        got.append(number)

    thread = threading.Thread(target=take)
    thread.start()
    return thread


def test_who_came_first_is_served_first(until: Until) -> None:
    """However many wait: one turn that is given back is the longest waiting one's, and no newcomer's."""
    turns, got = Turns("lab", 2), list[int]()
    turns.take(0, GO)
    turns.take(0, GO)
    threads = []
    for number in range(5):
        threads.append(asking(turns, got, number))
        until(lambda number=number: turns.waiting == number + 1)  # type: ignore[misc]
    for number in range(5):
        turns.give_back()
        until(lambda number=number: len(got) == number + 1)  # type: ignore[misc]
        assert turns.in_flight == 2
    for thread in threads:
        thread.join(60)
    assert got == [0, 1, 2, 3, 4]


def test_a_newcomer_does_not_overtake_who_waits(until: Until) -> None:
    """Also where a turn is free at the moment, because there are more of them than before."""
    turns, got = Turns("lab", 0), list[int]()
    first = asking(turns, got, 1)
    until(lambda: turns.waiting == 1)
    turns._most = 1
    with pytest.raises(Transient):
        turns.take(0, GO)
    turns.resize(1)
    first.join(60)
    assert got == [1]


def test_no_turn_in_time_is_transient_and_leaves_nothing_behind() -> None:
    """The next turn goes to somebody who still waits; the pool and how many are in flight are named."""
    turns = Turns("lab", 1)
    turns.take(0, GO)
    with pytest.raises(Transient, match=r"lab.*1 calls") as caught:
        turns.take(0.05, GO)
    assert caught.value.code == "CALLS_AT_ONCE"
    assert turns.waiting == 0
    turns.give_back()
    turns.take(0, GO)
    assert turns.in_flight == 1


def test_fewer_turns_let_calls_in_flight_end_and_begin_none(until: Until) -> None:
    """Their number says how many are above the new limit."""
    turns, got = Turns("lab", 3), list[int]()
    for _ in range(3):
        turns.take(0, GO)
    assert turns.resize(1) == 3
    thread = asking(turns, got, 1)
    until(lambda: turns.waiting == 1)
    turns.give_back()
    turns.give_back()
    assert (got, turns.in_flight) == ([], 1)
    turns.give_back()
    thread.join(60)
    assert (got, turns.in_flight) == ([1], 1)


def test_turns_whose_time_is_over_are_not_given(until: Until) -> None:
    """A process that was stopped for long finds that before it calls, and goes on when it is told anew."""
    now = [0.0]
    turns, got = Turns("lab", 1, until=9.0, clock=lambda: now[0]), list[int]()
    turns.take(0, GO)
    turns.give_back()
    now[0] = 9.0
    assert turns.most == 0
    thread = asking(turns, got, 1)
    until(lambda: turns.waiting == 1)
    turns.resize(1, 19.0)
    thread.join(60)
    assert got == [1]
    now[0] = 20.0
    turns.give_back()
    assert turns.in_flight == 0


def test_a_turn_that_is_given_too_late_goes_on_to_the_next(until: Until) -> None:
    """Many that come and go, with too little patience for most: no turn is lost."""
    turns, over = Turns("lab", 2), threading.Event()
    served: list[int] = []

    def come_and_go(number: int) -> None:
        while not over.is_set():
            try:
                turns.take(0.0005, GO)
            except Transient:
                continue
            served.append(number)
            turns.give_back()

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: set(served) == set(range(8)) and len(served) > 500)
    over.set()
    for thread in threads:
        thread.join(60)
    assert (turns.in_flight, turns.waiting) == (0, 0)


# -- of a client ---------------------------------------------------------------------------------------------------


class Crowd:
    """A script that keeps calls until it is told, and knows how many were there at once."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = self.peak = 0
        self._lock = threading.Lock()

    def __call__(self, method: str, _params: list[Any]) -> Any:
        if not method.startswith(("VM.", "event.")):
            return ""
        with self._lock:
            self.now += 1
            self.peak = max(self.peak, self.now)
        self.go.wait(10)
        with self._lock:
            self.now -= 1
        return method


def calling(client: Client, method: str, *params: Any) -> threading.Thread:
    thread = threading.Thread(target=client.call, args=(method, *params))
    thread.start()
    return thread


def test_no_more_calls_are_in_flight_than_there_are_turns(
    serve: Callable[..., scripted.Server], connect: Callable[..., Client], until: Until
) -> None:
    """Twenty threads, three turns: the server never sees more than three, and all are answered."""
    crowd, turns = Crowd(), Turns("pool", 3)
    client = connect(serve(crowd)).in_turn(turns)
    threads = [calling(client, "VM.get_record", "x") for _ in range(20)]
    until(lambda: crowd.now == 3 and turns.waiting == 17)
    crowd.go.set()
    for thread in threads:
        thread.join(60)
    assert (crowd.peak, turns.in_flight, turns.waiting) == (3, 0, 0)


def test_who_follows_the_pool_waits_for_no_turn(
    serve: Callable[..., scripted.Server], connect: Callable[..., Client], until: Until
) -> None:
    """Neither event.from, which lasts for ever, nor the client of the listener by the same session; nobody logs in twice."""
    crowd, turns = Crowd(), Turns("pool", 1)
    server = serve(crowd)
    plain = connect(server)
    client = plain.in_turn(turns)
    threads = [calling(client, "event.from", ["*"], "", 5.0), calling(client, "VM.get_record", "x"), calling(plain, "VM.get_record", "y")]
    until(lambda: crowd.now == 3)
    assert (turns.in_flight, turns.waiting) == (1, 0)
    crowd.go.set()
    for thread in threads:
        thread.join(60)
    assert server.logins == 1


def test_the_wait_for_a_turn_is_part_of_the_patience(
    serve: Callable[..., scripted.Server], connect: Callable[..., Client], until: Until
) -> None:
    """A call without a turn in time is Transient, was never sent, and does not count as a pool that is away."""
    crowd, turns = Crowd(), Turns("pool", 1)
    server = serve(crowd)
    client = connect(server).in_turn(turns)
    busy = calling(client, "VM.get_record", "x")
    until(lambda: crowd.now == 1)
    began = time.monotonic()
    with pytest.raises(Transient, match="no turn") as caught:
        client.call("VM.start", "x", False, False, patience=0.2)
    assert caught.value.code == "CALLS_AT_ONCE"
    assert 0.2 <= time.monotonic() - began < 15
    assert server.heard("VM.start") == 0
    assert not client._away
    assert client.tally.counts()[1] == {"CALLS_AT_ONCE": 1}
    crowd.go.set()
    busy.join(60)


def test_closing_ends_the_wait_for_a_turn(serve: Callable[..., scripted.Server], connect: Callable[..., Client], until: Until) -> None:
    """Of those who call by the client that is closed; another client's wait goes on."""
    crowd, turns = Crowd(), Turns("pool", 1)
    server = serve(crowd)
    closed, other = connect(server), connect(server)
    busy = calling(other.in_turn(turns), "VM.get_record", "x")
    until(lambda: crowd.now == 1)
    said: list[str] = []

    def wait() -> None:
        try:
            closed.in_turn(turns).call("VM.get_record", "y")
        except Transient as error:
            said.append(error.code)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: turns.waiting == 1)
    patient = calling(other.in_turn(turns), "VM.get_record", "z")
    until(lambda: turns.waiting == 2)
    closed.close()
    waiting.join(60)
    assert (said, turns.waiting) == (["CLIENT_CLOSED"], 1)
    with pytest.raises(Transient, match="CLIENT_CLOSED"):
        closed.in_turn(turns).call("VM.get_record", "y")
    crowd.go.set()
    for thread in (busy, patient):
        thread.join(60)


def test_a_call_that_is_tried_again_has_no_turn_while_it_pauses(
    serve: Callable[..., scripted.Server], connect: Callable[..., Client]
) -> None:
    """A pool that is away does not keep the turns of those who wait for it; whatever a call ends in, its turn is given back."""
    turns = Turns("pool", 1)
    held: list[int] = []

    def script(method: str, _params: list[Any]) -> Any:
        if method == "VM.get_record":
            held.append(turns.in_flight)
            raise scripted.Failure("SESSION_INVALID", "x") if len(held) < 3 else scripted.Failure("HANDLE_INVALID", "VM", "x")
        return ""

    client = connect(serve(script)).in_turn(turns)
    with pytest.raises(Exception, match="HANDLE_INVALID"):
        client.call("VM.get_record", "x")
    assert (held, turns.in_flight) == ([1, 1, 1], 0)


def test_a_pool_is_never_called_by_more_than_its_limit_by_any_number_of_clients(
    make_simulated_pool: Callable[..., SimulatedPool], join: Callable[..., Client]
) -> None:
    """Clients that share turns, as steps and jobs of a process do, have the limit together; the pool's own count says so."""
    pool = make_simulated_pool(hosts=1, vms=4)
    turns = Turns("pool", 4)
    clients = [join(pool).in_turn(turns) for _ in range(3)]
    pool.control.delay("VM.get_all_records", 0.02)
    threads = [calling(clients[number % 3], "VM.get_all_records") for number in range(40)]
    for thread in threads:
        thread.join(60)
    (counted,) = pool.control.calls().values()
    assert counted["peak"] == 4
