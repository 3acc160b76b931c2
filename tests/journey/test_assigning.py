"""VFs given by rule and at the next halt, with the real daemon and the pool's own events."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.journey.lab import Lab, wait_until

RULE = '\n[[assign]]\ntag = "fast"\nnetwork = "SR-IOV"\ngrace = "200ms"\n'


def bare(lab: Lab) -> str:
    """The ref of a halted VM whose VIFs somebody has removed."""
    records = lab.client.call("VM.get_all_records")
    halted = [ref for ref, row in records.items() if row["power_state"] == "Halted" and row["VIFs"] and not row["is_a_template"]]
    for vif in records[halted[0]]["VIFs"]:
        lab.client.call("VIF.destroy", vif)
    return halted[0]


def vm(lab: Lab, ref: str) -> Any:
    return lab.client.call("VM.get_record", ref)


@pytest.mark.timeout(120)
def test_a_vm_that_gets_a_tag_gets_its_vf(lab: Callable[..., Lab]) -> None:
    """Running: only when somebody halts it, and before it can start again. Then it starts with its VF, and no trace is left."""
    here = lab("--hosts", "2", "--vms", "4", "--speed", "0.02")
    here.config.write_text(here.config.read_text() + RULE)
    ref = bare(here)
    here.client.call("VM.start", ref, False, False)
    daemon = here.serve()
    wait_until(lambda: here.known() > 0, 30, "the daemon knows the pool")
    here.client.call("VM.add_tags", ref, "fast")
    wait_until(lambda: "start" in vm(here, ref)["blocked_operations"], 20, "its start is blocked")
    assert vm(here, ref)["VIFs"] == []
    here.client.call("VM.hard_shutdown", ref)
    wait_until(lambda: here.statuses() == {"done": 1}, 20, "the run is done")
    assert (len(vm(here, ref)["VIFs"]), vm(here, ref)["blocked_operations"]) == (1, {})
    here.client.call("VM.start", ref, False, False)
    assert len(vm(here, ref)["attached_PCIs"]) == 1
    daemon.stop()


@pytest.mark.timeout(120)
def test_a_vm_that_had_the_tag_before_the_daemon_started_gets_its_vf_once(lab: Callable[..., Lab]) -> None:
    """And not again when the VIF is taken away and the daemon is started anew."""
    here = lab("--hosts", "2", "--vms", "4", "--speed", "0.02")
    here.config.write_text(here.config.read_text() + RULE)
    ref = bare(here)
    here.client.call("VM.add_tags", ref, "fast")
    daemon = here.serve()
    wait_until(lambda: here.statuses() == {"done": 1}, 30, "the run is done")
    daemon.kill()
    (vif,) = vm(here, ref)["VIFs"]
    here.client.call("VIF.destroy", vif)
    daemon = here.serve()
    other = bare(here)
    here.client.call("VM.add_tags", other, "fast")
    wait_until(lambda: here.statuses() == {"done": 2}, 30, "another VM's run is done")
    assert vm(here, ref)["VIFs"] == []
    daemon.stop()
