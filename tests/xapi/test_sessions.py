"""The pool keeps 500 sessions of an originator and of a user, and drops those that were used longest ago: what that means for us."""

import threading
import xmlrpc.client
from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator.simulator import SimulatedPool
from orchestrator.simulator.sessions import MOST
from orchestrator.xapi.client import Client
from orchestrator.xapi.session import API_VERSION, ORIGINATOR
from orchestrator.xapi.turns import Turns
from workflows.ports import Transient

Pools = Callable[..., SimulatedPool]
Join = Callable[..., Client]


def die_one_after_the_other(pool: SimulatedPool, processes: int) -> None:
    """Processes log in as ours do, and are killed: nobody logs out."""
    with xmlrpc.client.ServerProxy(pool.url) as server:
        for _ in range(processes):
            server.session.login_with_password(pool.user, pool.password, API_VERSION, ORIGINATOR)


def test_the_session_of_a_process_that_lives_outlasts_those_that_die(make_simulated_pool: Pools, join: Join) -> None:
    """A process killed two hundred times leaves as many sessions, and thousands after that push out one another: not one that is used."""
    pool = make_simulated_pool(hosts=1, vms=1)
    client = join(pool)
    for _ in range(6):
        client.call("VM.get_all")
        die_one_after_the_other(pool, 200)
    client.call("VM.get_all")
    assert client.epoch == 1
    assert len(pool.database.refs("session")) == MOST


def test_an_idle_session_that_was_dropped_is_replaced_without_harm(make_simulated_pool: Pools, join: Join) -> None:
    """Many threads that find it gone log in once, and what each of them does is done once."""
    pool = make_simulated_pool(hosts=1, vms=0)
    vms = [pool.add_vm(f"vm-{number}", running=False) for number in range(8)]
    client = join(pool)
    client.call("VM.get_all")
    die_one_after_the_other(pool, MOST)
    threads = [threading.Thread(target=client.call, args=("VM.start", vm, False, False)) for vm in vms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert client.epoch == 2
    assert sorted(pool.control.effects()["VM.start"].values()) == [1] * len(vms)


def test_who_follows_the_pool_by_a_session_that_is_dropped_hears_of_it_at_once(make_simulated_pool: Pools, join: Join) -> None:
    """Its call ends, so that it looks at everything anew by a new session, and is not deaf."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool, patience=timedelta())
    token = client.call("event.from", ["vm"], "", 1.0)["token"]
    said: list[str] = []

    def follow() -> None:
        try:
            client.call("event.from", ["vm"], token, 30.0)
        except Transient as error:
            said.append(error.code)

    thread = threading.Thread(target=follow)
    thread.start()
    die_one_after_the_other(pool, MOST)
    thread.join(60)
    assert said == ["SESSION_INVALID"]
    assert client.call("event.from", ["vm"], "", 1.0)["token"]
    assert client.epoch == 2


@pytest.mark.parametrize("clients", [1, 3])
def test_a_process_has_one_session_however_it_calls(make_simulated_pool: Pools, join: Join, clients: int) -> None:
    """With turns or without, from many threads; closing logs it out."""
    pool = make_simulated_pool(hosts=1, vms=1)
    client = join(pool)
    several = [client, *(client.in_turn(Turns("pool", 2)) for _ in range(clients))]
    threads = [threading.Thread(target=several[number % len(several)].call, args=("VM.get_all",)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(pool.database.refs("session")) == 1
    client.close()
    assert pool.database.refs("session") == []
