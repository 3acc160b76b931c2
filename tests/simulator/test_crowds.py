"""What the simulator counts of calls at the same moment."""

import json
import threading
import urllib.request
from collections.abc import Callable

from orchestrator.simulator import SimulatedPool
from tests.simulator.conftest import client_of


def test_calls_at_the_same_moment_are_counted_by_who_makes_them(make_simulated_pool: Callable[..., SimulatedPool]) -> None:
    """As many as were in flight at most, and all that each session made; those of events and sessions are left out."""
    pool = make_simulated_pool(hosts=1, vms=1, control_port=True)
    clients = [client_of(pool) for _ in range(3)]
    clients[0]("event.from", ["vm"], "", 0.1)
    pool.control.delay("VM.get_all", 0.5, times=3)
    threads = [threading.Thread(target=client, args=("VM.get_all",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clients[0]("VM.get_all")
    clients[0]("session.logout")
    with urllib.request.urlopen(f"{pool.control_url}/calls", timeout=10) as answer:
        (counted,) = json.load(answer).values()
    assert (counted["in_flight"], counted["peak"], sorted(counted["calls"].values())) == (0, 3, [1, 1, 2])
