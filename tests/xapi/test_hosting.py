"""Acting on hosts through the port, over the wire."""

import pytest

from plugins.errors import RetryLater
from tests.xapi.acting import Bench, Until
from workflows.ports import Refused, Transient, Unknown
from workflows.tasks import Failed, Succeeded


def test_a_host_is_disabled_and_enabled(bench: Bench) -> None:
    """Either twice is no fault."""
    lab = bench(hosts=2, vms=0)
    host = lab.host("host2").uuid
    for _ in range(2):
        lab.port.disable_host(host)
    assert not lab.port.host(host).enabled
    for _ in range(2):
        lab.port.enable_host(host)
    assert lab.port.host(host).enabled


def test_a_host_that_still_boots_is_enabled_later(bench: Bench) -> None:
    """Transient: the same call later may succeed."""
    lab = bench(hosts=2, vms=0)
    lab.pool.control.fail("host.enable", ["HOST_STILL_BOOTING"])
    with pytest.raises(Transient):
        lab.port.enable_host(lab.host("host2").uuid)


def test_who_cannot_leave_a_host_is_named(bench: Bench) -> None:
    """By uuid, with xapi's reason."""
    lab = bench(hosts=2, vms=0)
    ref = lab.pool.add_vm("fast", host="host2")
    lab.pool.add_vm("plain", network=None, host="host2")
    uuid = lab.client.call("VM.get_uuid", ref)
    assert lab.port.evacuation_blockers(lab.host("host2").uuid) == {uuid: ("VM_HAS_PCI_ATTACHED", ref)}


def test_a_host_is_evacuated_or_not_at_all(bench: Bench, until: Until) -> None:
    """With one VM that cannot move none is moved."""
    lab = bench(hosts=2, vms=0)
    host = lab.host("host2").uuid
    lab.pool.add_vm("plain", network=None, host="host2")
    fast = lab.pool.add_vm("fast", host="host2")
    outcome = lab.outcome(lab.port.begin_evacuate(host), until)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "VM_HAS_PCI_ATTACHED"
    assert len(lab.port.host(host).resident_vms) == 2
    lab.pool.halt_vm(fast)
    assert isinstance(lab.outcome(lab.port.begin_evacuate(host), until), Succeeded)
    assert lab.port.host(host).resident_vms == ()


def test_a_host_that_is_enabled_or_has_vms_is_not_rebooted(bench: Bench) -> None:
    """Xapi asks for the first alone and reboots under running VMs: both are refused before it is asked."""
    lab = bench(hosts=2, vms=0)
    host = lab.host("host2").uuid
    with pytest.raises(Refused, match="HOST_NOT_DISABLED"):
        lab.port.begin_reboot(host)
    vm = lab.pool.add_vm("busy", network=None, host="host2")
    lab.port.disable_host(host)
    with pytest.raises(Refused, match="HOST_IN_USE"):
        lab.port.begin_reboot(host)
    lab.pool.halt_vm(vm)
    lab.port.begin_reboot(host)
    assert lab.begun("host.reboot") == 1


def test_a_host_reboots_and_comes_back(bench: Bench, until: Until) -> None:
    """With a newer boot time, and its VFs."""
    lab = bench(hosts=2, vms=0)
    before = lab.host("host2")
    lab.port.disable_host(before.uuid)
    lab.port.begin_reboot(before.uuid)
    until(lambda: lab.port.host(before.uuid).boot_time > before.boot_time)
    until(lambda: lab.port.host(before.uuid).live and lab.port.host(before.uuid).enabled)
    assert lab.nic("host2", "eth1").attached


def test_a_reboot_whose_task_was_lost_is_not_begun_again(bench: Bench, until: Until) -> None:
    """Xapi reboots ten seconds later, and says meanwhile that the host is going down."""
    lab = bench(hosts=2, vms=0, speed=1.0)
    host = lab.host("host2").uuid
    lab.port.disable_host(host)
    lab.pool.control.cut("host.reboot", "after")
    with pytest.raises(Unknown):
        lab.port.begin_reboot(host)
    until(lambda: bool(lab.port.host(host).current_operations))
    with pytest.raises(RetryLater, match="host2 is in "):
        lab.port.begin_reboot(host)
    assert lab.begun("host.reboot") == 1


def test_a_restarted_toolstack_cuts_the_answer_and_that_is_no_fault(bench: Bench, until: Until) -> None:
    """Guests run on, and what was leaked is free when the coordinator's is back."""
    lab = bench(hosts=2, vms=2)
    coordinator = lab.host("host1")
    lab.pool.control.leak("host2", "SR-IOV", 2)
    lab.port.restart_toolstack(coordinator.uuid)
    until(lambda: lab.port.host(coordinator.uuid).agent_start_time > coordinator.agent_start_time)
    assert sum(look.remaining + len(look.users) for look in lab.port.look_at_ports()) == 16
    assert lab.vm("web-01").power_state == "Running"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restart_that_was_cut_is_no_fault(bench: Bench, when: str) -> None:
    """Whether it took effect is seen by the agent's start time."""
    lab = bench(hosts=1, vms=0)
    host = lab.host("host1").uuid
    lab.pool.control.cut("host.restart_agent", when)  # type: ignore[arg-type]
    lab.port.restart_toolstack(host)


def test_a_note_is_left_on_a_host_and_taken_off(bench: Bench) -> None:
    """Beside what the host itself keeps there."""
    lab = bench(hosts=1, vms=0)
    host = lab.host("host1")
    for text in ("one", "one", "two"):
        lab.port.note_host(host.uuid, "vfo:reboot", text)
        assert lab.port.host(host.uuid).other_config == {**host.other_config, "vfo:reboot": text}
    for _ in range(2):
        lab.port.note_host(host.uuid, "vfo:reboot", None)
        assert lab.port.host(host.uuid).other_config == host.other_config
