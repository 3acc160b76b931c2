"""VMs are deleted by somebody else; whatever happens to the daemon and the pool meanwhile, every VF is proven free, once."""

import random
import threading
import time
from collections.abc import Callable

import pytest

from orchestrator.demo.actors import Process
from tests import scale
from tests.journey.lab import Lab, wait_until

KILLS = scale.of(10, 4)
AT_A_TIME = 10
POOL_OF_100 = ("--hosts", "4", "--vfs", "32", "--vms", "200")


def assert_all_proven(lab: Lab, deleted: dict[str, str]) -> None:
    """Each VM has one run, done, with one proof; nothing is held, promised or reserved for it in the pool's own hidden books."""
    found = lab.runs()
    assert sorted(run.title for run in found) == sorted(f"VM {name}" for name in deleted.values())
    assert lab.statuses() == {"done": len(deleted)}
    assert [lab.proofs(run) for run in found] == [1] * len(found)
    ports = [port for port in lab.truth()["ports"] if port["network"]]
    held = [vf["attached"] for port in ports for vf in port["vfs"] if vf["attached"] or vf["reserved"]]
    assert ports
    assert not set(held) & set(deleted.values())
    assert sum(port["free"] for port in ports) == sum(port["total"] for port in ports) - len(held)


@pytest.mark.timeout(300)
def test_killed_again_and_again_while_many_vms_are_deleted(lab: Callable[..., Lab]) -> None:
    """Killed with -9 at random moments: each deletion is followed exactly once, and nothing is stuck."""
    here = lab(*POOL_OF_100)
    chance = random.Random(20261122)
    deleted = dict(list(here.client.running_with_a_vf().items())[: KILLS * AT_A_TIME])
    assert len(deleted) == KILLS * AT_A_TIME
    daemon = here.serve()
    wait_until(lambda: here.known() >= 100, 30, "the daemon knows the pool")
    names, interrupted = list(deleted.items()), 0
    for kill in range(KILLS):
        here.delete(dict(names[kill * AT_A_TIME : (kill + 1) * AT_A_TIME]))
        moment = chance.uniform(0, 1.5)
        reached = len(here.runs()) + chance.randrange(12)
        _wait_a_moment(here, moment, reached)
        daemon.kill()
        interrupted += here.statuses().total() - here.statuses()["done"]
        daemon = here.serve()
    assert interrupted, "no kill came in the middle of anything"
    wait_until(lambda: here.statuses()["done"] >= len(deleted), 90, "all runs are done")
    daemon.stop()
    assert_all_proven(here, deleted)


def _wait_a_moment(lab: Lab, seconds: float, runs: int) -> None:
    """Until so many runs are there, at most so long: the kill comes at another point of the work each time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and len(lab.runs()) < runs:
        threading.Event().wait(0.02)


def test_sigterm_finishes_the_steps_at_hand_within_ten_seconds(lab: Callable[..., Lab]) -> None:
    """Stopped under load, the daemon leaves no run taken: each is parked or ended, and the next daemon ends them all."""
    here = lab(*POOL_OF_100)
    deleted = dict(list(here.client.running_with_a_vf().items())[:30])
    daemon = here.serve()
    wait_until(lambda: here.known() >= 100, 30, "the daemon knows the pool")
    here.delete(deleted)
    wait_until(here.runs, 10, "the first run")
    assert wait_until(lambda: _stopped(daemon), 10, "the daemon stops") < 10
    assert here.statuses()["running"] == 0
    daemon = here.serve()
    wait_until(lambda: here.statuses()["done"] >= 30, 60, "all runs are done")
    daemon.stop()
    assert_all_proven(here, deleted)


def _stopped(daemon: Process) -> bool:
    daemon.stop()
    return True


def test_a_leak_is_cured_when_nobody_uses_the_port_any_more(lab: Callable[..., Lab]) -> None:
    """With the last user deleted the VFs are made anew, and every run is done: nothing is lost in the pool's own books."""
    here = lab()
    daemon = here.serve()
    wait_until(lambda: here.known() >= 6, 30, "the daemon knows the pool")
    users = here.client.running_with_a_vf()
    here.control("leak", host="host1", network="SR-IOV", count=1)
    here.delete(users)
    wait_until(lambda: here.statuses() == {"done": len(users)}, 60, "every run is done")
    assert "host1/eth1 was plugged anew: its VFs are new" in here.said()
    daemon.stop()
    assert all(port["leaked"] == 0 and port["free"] == port["total"] for port in here.truth()["ports"] if port["network"])


def test_a_leak_is_kept_as_one_stuck_run_until_somebody_cures_it(lab: Callable[..., Lab]) -> None:
    """Without a cure: the others are done; the stuck one has the evidence, and ends done by itself when the port is plugged anew."""
    here = lab(every="1s", allow='["forget"]')
    daemon = here.serve()
    wait_until(lambda: here.known() >= 6, 30, "the daemon knows the pool")
    here.control("leak", host="host1", network="SR-IOV", count=1)
    here.delete(here.client.running_with_a_vf())
    wait_until(lambda: here.statuses()["stuck"] == 1 and here.statuses().total() - here.statuses()["done"] == 1, 60, "one stuck run")
    stuck = next(run for run in here.runs() if run.status == "stuck")
    assert "leaked VFs: 1 of host1/eth1" in stuck.reason
    assert stuck.next_command == f"vfo run {stuck.id} retry"
    assert [figures["missing"] for looks in (stuck.evidence or {})["looks"].values() for figures in looks] == [1, 1, 1]
    here.client.replug("host1")
    wait_until(lambda: here.statuses() == {"done": here.statuses().total()}, 30, "the cure is noticed")
    daemon.stop()
