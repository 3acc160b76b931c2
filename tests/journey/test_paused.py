"""Processes that are stopped (SIGSTOP) in the middle of something for longer than their leases, and go on when others have done it."""

import json
import os
import random
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.demo.actors import Process
from state import standing
from state.run import ACTIVE, Run
from state.standing import Held
from tests.journey import kills
from tests.journey.cluster import Cluster, Member, Shared, wait
from tests.journey.lab import wait_until
from tests.journey.pausing import Wire, stop
from tests.journey.storm import MORE, twice
from workflows import keep_window, prepare, reclaim, release_backup
from workflows.objects import VM

GOING = ("Async.VM.clean_shutdown 1", "VIF.move 1", "Async.VM.snapshot 1")
COMING = ("VIF.move 2", "Async.VM.start_on 1", "VM.destroy 1")
LONG = 90
POOL = ("--hosts", "1", "--vms", "2", "--vfs", "8")
WINDOW = """
[products.nas]
plugin = "command"
job = ["/bin/true"]
[windows.soon]
schedule = "RRULE:FREQ=DAILY;BYHOUR={at.hour};BYMINUTE={at.minute};BYSECOND={at.second}"
timezone = "UTC"
duration = "10m"
[policies.all]
vms = {{ names = ["*"] }}
product = "nas"
window = "soon"
"""


@pytest.fixture
def lab(tmp_path: Path, postgres_url: str, rabbit_url: str) -> Iterator[Callable[..., Shared]]:
    """Makes labs on PostgreSQL and RabbitMQ."""
    with ExitStack() as stack:

        def make(*options: str, more: str = "") -> Shared:
            made = Shared(tmp_path, postgres_url, rabbit_url, *options, more=MORE + more)
            stack.callback(made.close)
            return made

        yield make


class Slow:
    """A process that can be stopped where it hurts: it reaches the pool by a wire. A worker works on one run at a time."""

    def __init__(self, lab: Shared, role: str) -> None:
        pool = urlsplit(lab.pool.said["url"])
        assert pool.port
        self._lab = lab
        self.wire = Wire(pool.port)
        written = lab.config.read_text().replace(f":{pool.port}", f":{self.wire.port}").replace("[serve]", "[serve]\nworkers = 1")
        (lab.folder / "slow.toml").write_text(written)
        self.process = Process(lab.folder, "serve", "--config", "slow.toml", "--role", role)
        assert self.process.first_line(), lab.log()

    @property
    def pid(self) -> int:
        return self.process.pid

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        self.resume()
        self.process.stop()
        self.wire.close()


def back_up(lab: Shared, vms: Sequence[VM]) -> None:
    """Have the VMs prepared, offline, and released a moment later."""
    kills.submit(lab, [prepare.request("lab", vm, mode="offline", hold=timedelta(), retention=timedelta()) for vm in vms])


def over(lab: Shared, times: int) -> bool:
    """Whether so many backups have come to their ends."""
    ended = [run.workflow for run in lab.runs() if run.status not in ACTIVE]
    return ended.count(prepare.NAME) == ended.count(release_backup.NAME) == times


def until_over(lab: Shared, times: int) -> None:
    """Wait until so many backups have come to their ends."""
    wait_until(partial(over, lab, times), LONG, f"{times} backups are over")


def before(calls: Sequence[str], change: str) -> int:
    """Which call was the last before a change ("VIF.move 2": the second one); nothing was asked in between."""
    method, _, times = change.rpartition(" ")
    places = [number for number, called in enumerate(calls) if called == method]
    return places[int(times) - 1] - 1


def lost(lab: Shared, besides: int = 0) -> int:
    """How often a worker said that what it did does not count, *besides* so many times."""
    return len(re.findall(r"was taken by somebody else meanwhile", lab.log())) - besides


def lease(lab: Shared, name: str) -> Held | None:
    """The lease as it is held."""
    with lab.store.read() as session:
        found = standing.held(session, now=datetime.now(UTC))
    return next((one for one in found if one.name == name and one.is_held), None)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("changes", [GOING, COMING], ids=["down", "up"])
def test_a_worker_that_looked_and_was_paused_changes_nothing_afterwards(lab: Callable[..., Shared], changes: Sequence[str]) -> None:
    """It is stopped with the last look before a change in its hand, another one does the rest: continued, it sends the pool nothing."""
    here = lab(*POOL)
    seen = kills.look(here)
    (vm,) = [vm for vm in kills.vms(here) if vm.held]
    with Cluster(here, ["listener"]), ExitStack() as stack:
        slow = Slow(here, "worker")
        stack.callback(slow.close)
        for times in (1, 2):  # in the first it logs in, and there is no parking network
            slow.wire.begin()
            back_up(here, [vm])
            until_over(here, times)
        calls = list(slow.wire.calls)
        for times, change in enumerate(changes, 3):
            slow.wire.stop_at(slow.pid, before(calls, change))
            back_up(here, [vm])
            assert slow.wire.stopped.wait(LONG), here.log()
            other = Member(here, "worker")
            stack.callback(other.stop)
            until_over(here, times)
            done, known = here.effects(), lost(here)
            slow.resume()
            wait_until(partial(lost, here, besides=known), LONG, "the one that was paused finds that the run is not its own")
            assert here.effects() == done, change
            other.stop()
    assert kills.ended_otherwise(here) == []
    assert [*kills.wrong(here, seen), *here.odd_ports()] == []


@pytest.mark.timeout(400)
def test_workers_that_are_paused_again_and_again_do_nothing_twice(lab: Callable[..., Shared]) -> None:
    """Each is stopped for longer than its lease at any moment, while the other goes on: one snapshot, one halt, one start for each VM."""
    here = lab("--hosts", "2", "--vms", "24", "--vfs", "16", "--speed", "0.02")
    seen, chance = kills.look(here), random.Random(11)
    vms = [vm for vm in kills.vms(here) if vm.held]
    with Cluster(here, ["listener", "worker", "worker"]) as cluster:
        back_up(here, vms)
        while not over(here, len(vms)):
            wait(chance.uniform(0.2, 1.5))
            member = chance.choice(cluster.of("worker"))
            member.pause()
            wait(chance.uniform(2.5, 4))
            member.resume()
    assert kills.ended_otherwise(here) == []
    assert list(twice(here.effects(), dict.fromkeys((vm.uuid for vm in vms), "offline"), {vm.uuid: vm.name for vm in vms})) == []
    assert [*kills.wrong(here, seen), *here.odd_ports()] == []


@pytest.mark.timeout(400)
def test_a_listener_that_was_paused_with_an_event_in_its_hand_writes_nothing(lab: Callable[..., Shared]) -> None:
    """Another one follows the deletion meanwhile: continued, it finds that it was deposed, and stands by."""
    here = lab("--hosts", "1", "--vms", "4", "--vfs", "8")
    first, *_ = here.client.running_with_a_vf().items()
    slow = Slow(here, "listener")
    try:
        wait_until(lambda: here.known() >= 2, LONG, "the listener knows the pool")
        with Cluster(here, ["listener", "worker"]):
            slow.wire.stop_when(slow.pid, b'"del"')
            here.delete(dict([first]))
            assert slow.wire.stopped.wait(LONG), here.log()
            wait_until(lambda: here.statuses() == {"done": 1}, LONG, "the other one follows the deletion")
            held, said = lease(here, "listener:lab"), here.log().count("this process stands by")
            slow.resume()
            wait_until(lambda: here.log().count("this process stands by") > said, LONG, "it finds that it was deposed")
            now = lease(here, "listener:lab")
            assert held is not None
            assert now is not None
            assert (now.holder, now.epoch) == (held.holder, held.epoch) != (held.holder, 1)
        followed = [run for run in here.runs() if run.workflow == reclaim.NAME]
        assert [here.proofs(run) for run in followed] == [1]
        assert here.odd_ports() == []
    finally:
        slow.close()


@pytest.mark.timeout(400)
def test_a_scheduler_that_was_paused_over_an_opening_makes_no_second_run(lab: Callable[..., Shared]) -> None:
    """Another one has the lease and opens the window: continued, the first finds the lease taken and begins nothing."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=25)
    here = lab(*POOL, more=WINDOW.format(at=at))

    def openings() -> list[Run]:
        return [run for run in here.runs() if run.workflow == keep_window.NAME]

    first = Member(here, "scheduler")
    wait_until(lambda: lease(here, "scheduler"), LONG, "it has the lease")
    stop(first.pid)
    try:
        with Cluster(here, ["scheduler"]):
            wait_until(openings, LONG, "another one opens the window")
            held = lease(here, "scheduler")
            first.resume()
            wait(3)  # it looks at least three times a second
            now = lease(here, "scheduler")
            assert held is not None
            assert now is not None
            assert (now.holder, now.epoch, len(openings())) == (held.holder, 2, 1)
            said = json.loads(here.typed("window", "show", "soon", "--json").stdout)
            assert [opening["status"] for opening in said["last"] if opening["run"]] == ["run"]
    finally:
        first.resume()
        first.kill_for_good()
