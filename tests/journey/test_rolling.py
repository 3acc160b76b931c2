"""SR-IOV enabled on every host of a pool whose driver needs reboots, whatever dies meanwhile."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import pytest

from orchestrator.config.load import load
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from state import runs
from state.run import ACTIVE, Run
from tests.journey import kills
from tests.journey.hosts import Watch
from tests.journey.lab import Lab, wait_until
from workflows import enable

HOSTS = 8
POOL = ("--hosts", str(HOSTS), "--vfs", "4", "--vms", "32", "--speed", "0.01")
WANTED = """
[sriov.fast]
network = "fast"
ports = { device = "eth2" }
reboot = "approved"
"""
MARK = "network fast: other_config has 'vfo:sriov'"


def back(lab: Lab) -> int:
    """How many hosts have their VFs on eth2."""
    return sum(port["total"] == 4 for port in lab.truth()["ports"] if port["device"] == "eth2")


def the_run(lab: Lab) -> Run:
    """The run that enables."""
    return next(run for run in lab.runs() if run.workflow == enable.NAME)


def wait_for(lab: Lab, hosts: int) -> None:
    """Until so many hosts are done, or the run is over."""
    wait_until(
        lambda: back(lab) >= hosts or the_run(lab).status not in ACTIVE, 240, f"{hosts} hosts have VFs on eth2: {the_run(lab).reason}"
    )


class Serving:
    """A daemon that is killed and begun again; it ends with the block."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._daemon = lab.serve()

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.stop()

    def die(self) -> None:
        """SIGKILL, and the next one."""
        self._daemon.kill()
        self._daemon = self._lab.serve()


@pytest.mark.timeout(900)
def test_eight_hosts_are_rebooted_one_by_one_through_three_kills_and_a_failover(lab: Callable[..., Lab]) -> None:
    """Each host went down once and never two together; every VM that ran runs, with its VF; nothing of ours is left but the network."""
    here = lab(*POOL)
    here.config.write_text(here.config.read_text() + WANTED)
    with closing(Client(load(here.config).pools["lab"])) as client:
        hosts = PoolPort(client).hosts()
    for host in hosts:
        here.control("driver", host=host.name, driver="modprobe")
    before = kills.look(here)
    watch = Watch(here.pool.said["url"], {host.name: host.address for host in hosts})
    kills.submit(here, [enable.request("lab", "fast")])
    with Serving(here) as daemon:
        wait_until(lambda: "approv" in the_run(here).reason, 60, "it asks for approval")
        assert back(here) == 0
        with here.store.write() as session:
            runs.approve(session, the_run(here).id, now=datetime.now(UTC), by="ada")
        watch.start()
        for done in (1, 3, 5):
            wait_for(here, done)
            daemon.die()
            if done == 3:
                here.control("failover", host="host4", old_answers=True)
        wait_until(lambda: the_run(here).status not in ACTIVE, 300, "the run ends")
        watch.stop()
    assert (the_run(here).status, back(here)) == ("done", HOSTS), the_run(here).reason
    assert watch.downs == {host.name: 1 for host in hosts}
    assert watch.together == 1
    assert list(kills.wrong(here, before)) == [MARK]
