"""Hosts that reboot for SR-IOV, and their VMs."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from state import holds, runs
from state.run import Status
from tests.engine import crashes
from tests.journey.lab import wait_until
from tests.workflows.dying import Dying
from tests.workflows.sriov_scene import ALWAYS, Scene, policy
from tests.workflows.stage import Stage
from workflows import booting, bring_back, enable, prepare
from workflows.bring_back import BRING_BACK
from workflows.outcome import Request
from workflows.plan import Plan
from workflows.policy import Policy
from workflows.wanted import PortChoice, RebootPolicy
from workflows.windows import Window

Stages = Callable[..., Stage]
HARD = RebootPolicy(shutdown="hard", patience=timedelta(minutes=1))
CLEAN = RebootPolicy(patience=timedelta(minutes=1))


def order(scene: Scene, run_id: object) -> list[str]:
    """The hosts in the order in which they were rebooted."""
    said = [line for line in scene.stage.story(run_id) if "is empty, and reboots now" in line]  # type: ignore[arg-type]
    return [line.split(": ")[2].split()[0] for line in said]


def test_every_host_reboots_once_one_at_a_time_the_coordinator_last(stages: Stages) -> None:
    """host1 is the coordinator; a host goes down only when the one before is back with its VFs (story 36)."""
    scene = Scene(stages)
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert order(scene, run.id) == ["host2", "host3", "host1"]
    assert (scene.downs, scene.together) == ({"host1": 1, "host2": 1, "host3": 1}, 1)
    assert scene.complaints() == []


def test_a_vm_that_can_move_is_never_stopped(stages: Stages) -> None:
    """It is migrated; only what holds a VF is shut down (story 46)."""
    scene = Scene(stages)
    mover = scene.simulated.add_vm("mover", network=None, host="host2")
    domid = scene.simulated.database.get("VM", mover)["metrics"]
    started = scene.simulated.database.get("VM_metrics", domid)["start_time"]
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert not [line for line in scene.stage.story(run.id) if "shutdown of mover" in line or "start of mover" in line]
    assert [line for line in scene.stage.story(run.id) if "migration of mover" in line]
    assert scene.simulated.database.get("VM_metrics", domid)["start_time"] == started


CALLS = {
    "create_network": {"network.create"},
    "begin_enable": {"network_sriov.create"},
    "note_host": {"host.add_to_other_config", "host.remove_from_other_config"},
    "block": {"VM.add_to_blocked_operations"},
    "unblock": {"VM.remove_from_blocked_operations", "VM.update_allowed_operations"},
    "disable_host": {"host.disable"},
    "enable_host": {"host.enable"},
    "begin_reboot": {"host.reboot"},
    "begin_migrate": {"VM.pool_migrate"},
    "note": {"VM.add_to_other_config"},
    "erase": {"VM.remove_from_other_config"},
    "begin_clean_shutdown": {"VM.clean_shutdown"},
    "begin_start": {"VM.start", "VM.start_on"},
}


def plan_where_no_other_port_tells(scene: Scene, policy: RebootPolicy) -> Plan:
    """The plan for ports of a driver that XenAPI shows no mode of yet; then they are of the driver that they really have."""
    rows = scene.simulated.database
    devices = {pif["PCI"]: rows.get("PCI", pif["PCI"])["driver_name"] for _, pif in rows.rows("PIF") if pif["device"] == "eth2"}
    for device in devices:
        rows.set("PCI", device, driver_name="unheard")
    try:
        return enable.plan(scene.stage.port, scene.stage.policy.sriov["fast"], policy)
    finally:
        for device, driver in devices.items():
            rows.set("PCI", device, driver_name=driver)


def test_the_plan_names_the_calls_that_reboots_take(stages: Stages) -> None:
    """Marks, notes and blocks of ours too: hosts reboot, a VM moves, others stop, the boot would start one that is halted."""
    scene = Scene(stages)
    stage = scene.stage
    scene.simulated.add_vm("mover", network=None, host="host2", disk=False)
    sleeper = scene.simulated.add_vm("sleeper", network=None, running=False, disk=False)
    stage.client.call("VM.add_to_other_config", sleeper, "auto_poweron", "true")
    plan = plan_where_no_other_port_tells(scene, stage.policy.reboot)
    counting = Dying(stage.port)
    stage.pool = counting.pool()
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    made = set().union(*(CALLS[name] for name in counting.called))
    assert made | {"host.enable"} == set(plan.calls)  # which is for a host that its own boot leaves disabled


def test_the_plan_names_the_hard_shutdown_where_the_policy_allows_it(stages: Stages) -> None:
    """And only there."""
    scene = Scene(stages)
    named = ["VM.hard_shutdown" in plan_where_no_other_port_tells(scene, policy).calls for policy in (CLEAN, HARD)]
    assert named == [False, True]


def test_a_vm_for_which_there_is_no_room_waits_for_its_host(stages: Stages) -> None:
    """Every other VF is taken: it is down while its host reboots, and runs there again with its VF."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert scene.complaints() == []
    assert {vm.name for vm in scene.stage.port.vms() if vm.held} == {scene.with_vf_on("host1"), scene.with_vf_on("host2")}


def test_nothing_reboots_before_a_person_approves(stages: Stages) -> None:
    """The run waits and says which hosts, whom it will hurt, and the command; after it, all of them."""
    scene = Scene(stages, wanted={"reboot": "approved"})
    run_id = scene.begin()
    run = scene.until(run_id, "approve")
    assert run.reason.startswith("host2, host3, host1 must be rebooted; host2: ")
    assert f"{scene.with_vf_on('host2')} (holds 1 VF) must stop and start again" in run.reason
    assert run.reason.endswith(f"`vfo run {run_id} approve`")
    assert not scene.downs
    scene.approve(run_id)
    assert scene.stage.finish(run_id).status is Status.DONE
    assert sum(scene.downs.values()) == 3


def test_nothing_reboots_outside_a_window_or_at_its_end(stages: Stages) -> None:
    """A host is begun only when all it takes fits into what is left of the window; the rest waits for the next one."""
    scene = Scene(stages)
    night = Window("0 22 * * *", timedelta(hours=1), "UTC")
    scene.stage.policy = Policy(sriov=scene.stage.policy.sriov, maintenance={"night": night}, reboot=scene.stage.policy.reboot)
    scene.stage.now = datetime.now(UTC).replace(hour=12, minute=0) + timedelta(days=1)
    run_id = scene.begin()
    run = scene.until(run_id, "in the window")
    assert run.reason.endswith(f"in the window that opens at {scene.stage.now:%Y-%m-%d} 22:00 UTC")
    assert not scene.downs
    scene.stage.now = scene.stage.now.replace(hour=22, minute=20)
    scene.until(run_id, "host3: let no VM start there")
    scene.stage.now = scene.stage.now.replace(hour=22, minute=45)
    run = scene.until(run_id, "in the window")
    assert scene.downs == {"host2": 1, "host3": 1}
    scene.stage.now = night.opens(scene.stage.now) or scene.stage.now
    assert scene.stage.finish(run_id).status is Status.DONE


def test_reboots_that_are_never_ours_are_waited_for(stages: Stages) -> None:
    """With reboot = "never" nothing goes down, whoever approves; when somebody has rebooted the hosts the run is done."""
    scene = Scene(stages, hosts=2, vms=0, wanted={"reboot": "never"})
    run_id = scene.begin()
    scene.until(run_id, 'not for us to do (reboot = "never")')
    scene.approve(run_id)
    scene.until(run_id, "not for us to do")
    assert not scene.downs
    for name in ("host1", "host2"):
        scene.simulated.control.host(name, "off")
        scene.simulated.control.host(name, "on")
    assert scene.stage.finish(run_id).status is Status.DONE


def test_no_host_goes_down_while_another_is_away(stages: Stages) -> None:
    """A host that is disabled or off counts as away: the next one waits for it (story 36)."""
    scene = Scene(stages)
    scene.stage.port.disable_host(next(host.uuid for host in scene.stage.port.hosts() if host.name == "host3"))
    scene.simulated.halt_vm(scene.with_vf_on("host3"))
    run_id = scene.begin()
    run = scene.until(run_id, "is away or disabled")
    assert run.reason == "host2 is not rebooted while host3 is away or disabled"
    assert not scene.downs


def test_a_guest_that_does_not_listen_ends_the_attempt_and_its_host_is_in_service(stages: Stages) -> None:
    """Patience ends; nothing was forced; the host is enabled, every VM runs, and the run is stuck and says who it was (stories 11, 37)."""
    scene = Scene(stages, CLEAN)
    deaf = scene.with_vf_on("host2")
    scene.simulated.control.guest(deaf, ignores_shutdown=True, acknowledges=True)
    run = scene.enable()
    assert run.status is Status.STUCK
    assert run.reason.startswith(f"host2 was not rebooted, and is in service again: {deaf}: ")
    assert not scene.downs
    left = [one for one in scene.complaints() if "is held by" not in one and "is stuck" not in one]
    assert left == []
    assert all(host.enabled for host in scene.stage.port.hosts())
    scene.simulated.control.guest(deaf, ignores_shutdown=False)
    scene.stage.engine.retry(run.id, by="a person")
    assert scene.stage.finish(run.id).status is Status.DONE
    assert scene.complaints() == []


def test_a_plug_is_pulled_only_where_the_policy_says_so(stages: Stages) -> None:
    """With shutdown = "hard" the guest that does not listen is switched off and started again (story 11)."""
    scene = Scene(stages, HARD)
    deaf = scene.with_vf_on("host2")
    scene.simulated.control.guest(deaf, ignores_shutdown=True)
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert any(f"{deaf} does not shut down" in line for line in scene.stage.story(run.id))
    assert scene.complaints() == []


def bare_after_boot(scene: Scene, name: str, *, bare: bool) -> None:
    """The host's initrd does not ask for VFs (or does again)."""
    db = scene.simulated.database
    for pci in db.get("host", scene.host(name))["PCIs"]:
        if db.exists("PCI", pci) and "_driver" in db.get("PCI", pci):
            db.set("PCI", pci, _vfs_at_boot=not bare)


def test_a_host_that_comes_back_without_vfs_is_never_rebooted_again_by_itself(stages: Stages) -> None:
    """It is stuck, however often it is taken up; another run waits for a person too; mended by hand, it is done (story 35)."""
    scene = Scene(stages, hosts=2, vms=4)
    run_id = scene.begin()
    scene.until(run_id, "host2 is next")
    bare_after_boot(scene, "host2", bare=True)
    run = scene.stage.finish(run_id)
    assert run.status is Status.STUCK
    assert run.reason == "host2 came back without VFs on host2/eth1, host2/eth2"
    scene.stage.engine.retry(run_id, by="a person")
    assert scene.stage.finish(run_id).status is Status.STUCK
    assert scene.downs == {"host2": 1}
    assert booting.IN_VAIN in next(host for host in scene.stage.port.hosts() if host.name == "host2").other_config
    bare_after_boot(scene, "host2", bare=False)
    scene.simulated.control.host("host2", "off")
    scene.simulated.control.host("host2", "on")
    scene.stage.engine.retry(run_id, by="a person")
    run = scene.stage.finish(run_id)
    assert run.status is Status.DONE, run.reason
    assert scene.downs == {"host1": 1, "host2": 2}, "one of them by hand"
    assert [one for one in scene.complaints() if "vfo:" in one] == []


def test_what_was_rebooted_in_vain_is_remembered_by_the_pool(stages: Stages) -> None:
    """A new run finds the mark on the host and waits for an approval, also in a window (story 35)."""
    scene = Scene(stages, hosts=2, vms=0)
    uuid = next(host.uuid for host in scene.stage.port.hosts() if host.name == "host2")
    scene.stage.port.note_host(uuid, booting.IN_VAIN, '{"at": "yesterday"}')
    run_id = scene.begin()
    run = scene.until(run_id, "not again")
    assert run.reason == f"host2 was rebooted at yesterday and came back without VFs: not again, unless `vfo run {run_id} approve`"
    scene.approve(run_id)
    assert scene.stage.finish(run_id).status is Status.DONE
    assert scene.complaints() == []


def test_a_host_that_does_not_come_back_needs_a_person(stages: Stages) -> None:
    """The run is stuck and says which VMs wait for it; no other host is touched; when it is back the run goes on."""
    scene = Scene(stages, RebootPolicy(back_within=timedelta(seconds=10)), hosts=2, vfs=1, vms=4, speed=0.02)
    waiting = scene.with_vf_on("host2")
    run = scene.enable()
    assert run.status is Status.STUCK
    assert run.reason == f"host2 did not come back within 0:00:10: look at its console; these VMs wait for it: {waiting}"
    assert set(scene.downs) <= {"host2"}
    wait_until(
        lambda: all(host.live and host.enabled for host in scene.stage.port.hosts()) and scene.vfs_of()["host2"], 30, "host2 is back"
    )
    scene.stage.policy = policy(RebootPolicy())
    scene.stage.engine.retry(run.id, by="a person")
    scene.until(run.id, "host1 is next")
    assert scene.with_vf_on("host2") == waiting
    assert scene.downs == {"host2": 1}


@pytest.mark.parametrize(
    "words", ["host2 is next", "is to shut down", "host2: shut down", "host2 is empty", "host2 was asked to reboot", "host2 reboots"]
)
def test_cancelled_at_any_stage_the_host_is_brought_back(stages: Stages, words: str) -> None:
    """The host is in service, its VMs run with their VFs, and what was enabled is taken back."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    run_id = scene.begin()
    scene.until(run_id, words)
    run = scene.cancel(run_id)
    assert run.status is Status.UNDONE, run.reason
    assert all(host.enabled and host.live for host in scene.stage.port.hosts())
    assert scene.stage.complaints() == []
    assert scene.downs.total() <= 1


def test_a_table_that_goes_while_a_host_reboots_leaves_no_host_behind(stages: Stages) -> None:
    """The host is brought back first, with its VMs; then the run is given up and says why."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    run_id = scene.begin()
    scene.until(run_id, "host2 was asked to reboot")
    scene.stage.policy = Policy(maintenance={"always": ALWAYS})
    run = scene.stage.finish(run_id)
    assert (run.status, run.reason) == (Status.UNDONE, "[sriov.fast] is not in the configuration any more")
    assert scene.downs == {"host2": 1}
    assert scene.stage.complaints() == []


def test_the_coordinator_may_change_in_the_middle(stages: Stages) -> None:
    """The new coordinator goes last; the old one when its turn comes (story 40)."""
    scene = Scene(stages)
    run_id = scene.begin()
    scene.until(run_id, "host2 is back in service")
    scene.simulated.control.failover("host3")
    run = scene.stage.finish(run_id)
    assert run.status is Status.DONE, run.reason
    assert order(scene, run_id) == ["host2", "host1", "host3"]
    assert scene.complaints() == []


def test_halted_vms_that_a_boot_would_start_stay_halted(stages: Stages) -> None:
    """auto_poweron is held off for as long as the host reboots, and is what it was afterwards (story 19)."""
    scene = Scene(stages, hosts=2, vms=4)
    sleeper = next(vm for vm in scene.stage.port.vms() if vm.power_state == "Halted")
    ref = scene.simulated.database.by_uuid("VM", sleeper.uuid)
    assert ref is not None
    scene.simulated.database.set("VM", ref, other_config={**sleeper.other_config, "auto_poweron": "true"})
    scene.stage.began = scene.stage.look()
    assert scene.enable().status is Status.DONE
    assert scene.complaints() == []


def test_with_ha_on_vms_are_moved_one_by_one(stages: Stages) -> None:
    """host.evacuate refuses every VM that is not protected then; a migration of its own is not refused."""
    scene = Scene(stages, hosts=2, vms=0)
    for name in ("protected", "plain"):
        scene.simulated.add_vm(name, network=None, host="host2")
    protected = scene.simulated.database.by_name("VM", "protected")[0]
    scene.stage.client.call("VM.set_ha_restart_priority", protected, "restart")
    scene.stage.client.call("pool.enable_ha", [], {})
    scene.stage.began = scene.stage.look()
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert scene.complaints() == []


def test_a_vm_that_is_deleted_meanwhile_is_not_waited_for(stages: Stages) -> None:
    """The others start; nobody misses it."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    gone = scene.with_vf_on("host2")
    run_id = scene.begin()
    scene.until(run_id, "host2 was asked to reboot")
    scene.simulated.destroy_vm(gone)
    assert scene.stage.finish(run_id).status is Status.DONE


@pytest.mark.parametrize("words", ["move what can move", "is to shut down", "shutdown of"])
def test_a_vm_that_is_deleted_while_its_host_is_emptied_stops_nothing(stages: Stages, words: str) -> None:
    """Whatever was just asked of it: the host goes on without it."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    gone = scene.with_vf_on("host2")
    run_id = scene.begin()
    scene.until(run_id, words)
    scene.simulated.destroy_vm(gone)
    run = scene.stage.finish(run_id)
    assert run.status is Status.DONE, run.reason


def test_a_vm_that_somebody_else_halts_meanwhile_stays_halted(stages: Stages) -> None:
    """It was not we who stopped it, so it is not we who start it."""
    scene = Scene(stages, hosts=2, vms=4)
    name = scene.with_vf_on("host2")
    run_id = scene.begin()
    scene.until(run_id, "move what can move")
    scene.simulated.halt_vm(name)
    assert scene.stage.finish(run_id).status is Status.DONE
    assert scene.stage.vm(name).power_state == "Halted"


def test_a_host_that_is_ejected_while_it_reboots_costs_no_vm(stages: Stages) -> None:
    """What waited for it is started where there is room, and a person is told (story 42)."""
    scene = Scene(stages, vms=6)
    scene.stage.policy = policy(RebootPolicy())
    name = scene.with_vf_on("host2")
    run_id = scene.begin()
    scene.until(run_id, "host2: shut down")
    from orchestrator.simulator import host_leaves

    with scene.simulated.database.lock:
        host_leaves.remove(scene.simulated.database, scene.host("host2"))
    run = scene.stage.finish(run_id)
    assert run.status is Status.STUCK
    assert "host2 was not rebooted: it is not in the pool any more" in run.reason
    assert scene.stage.vm(name).power_state == "Running"


@pytest.mark.parametrize("words", ["is to shut down", "host2: shut down", "host2 is empty", "host2 was asked to reboot", "host2 reboots"])
def test_with_the_database_lost_the_marks_in_the_pool_bring_everything_back(stages: Stages, words: str) -> None:
    """The host is in service and every VM runs with its VF, by `vfo recover` alone (story 2)."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    run_id = scene.begin()
    scene.until(run_id, words)
    with scene.stage.store.write() as session:
        for table in ("history", "hold", "run"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
    wanted = bring_back.requests("lab", scene.stage.port.hosts(), scene.stage.port.marked(), ())
    assert [request.title for request in wanted] == ["host host2"]
    run = scene.stage.run(wanted[0])
    assert run.status is Status.DONE, run.reason
    assert all(host.enabled and host.live for host in scene.stage.port.hosts())
    assert [one for one in scene.complaints() if "blocked" not in one] == []


def test_a_run_that_is_at_work_sees_to_its_host_itself(stages: Stages) -> None:
    """`vfo recover` leaves it alone, and finds nothing when it is over."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    run_id = scene.begin()
    scene.until(run_id, "host2 is empty")
    assert bring_back.requests("lab", scene.stage.port.hosts(), scene.stage.port.marked(), {str(run_id)}) == []
    assert scene.stage.finish(run_id).status is Status.DONE
    assert bring_back.requests("lab", scene.stage.port.hosts(), scene.stage.port.marked(), ()) == []


@pytest.mark.parametrize("crash", crashes.of(BRING_BACK), ids=str)
def test_dead_while_it_brings_back_it_goes_on(stages: Stages, crash: crashes.Crash) -> None:
    """The end is the same."""
    scene = Scene(stages, hosts=2, vfs=1, vms=4)
    run_id = scene.begin()
    scene.until(run_id, "host2 is empty")
    with scene.stage.store.write() as session:
        for table in ("history", "hold", "run"):
            session.connection().exec_driver_sql(f"DELETE FROM {table}")
    (wanted,) = bring_back.requests("lab", scene.stage.port.hosts(), scene.stage.port.marked(), ())
    run = scene.stage.survive(wanted, crash)
    assert run.status is Status.DONE, run.reason
    assert scene.complaints() == []


def test_vfs_that_are_promised_to_others_are_left_to_them(stages: Stages) -> None:
    """A VM that has to leave does not take the last VF elsewhere when that is kept for another VM: it waits for its own host (story 12)."""
    scene = Scene(stages, hosts=2, vfs=2, vms=4)
    stage, name = scene.stage, scene.with_vf_on("host2")
    absent = next(vm for vm in stage.port.vms() if vm.power_state == "Halted")
    look = next(look for look in stage.port.look_at_ports() if look.name == "host1/eth1")
    assert stage.ledger.promise(look, absent.uuid, look.remaining, UUID(int=7))
    run_id = scene.begin()
    scene.until(run_id, "host2 is empty")
    assert stage.vm(name).power_state == "Halted"
    assert stage.ledger.promised_to(absent.uuid) == {look.port: look.remaining}
    stage.ledger.keep(absent.uuid)
    assert stage.finish(run_id).status is Status.DONE
    assert scene.complaints() == []


def test_a_host_reboots_once_for_all_its_ports(stages: Stages) -> None:
    """Two tables, two ports of a driver that needs a boot, two runs: each host goes down once."""
    scene = Scene(stages, hosts=2, vms=4, ports=3)
    fast = scene.stage.policy.sriov["fast"]
    slow = replace(fast, name="slow", network="slow", ports=PortChoice(device="eth3"))
    scene.stage.policy = replace(scene.stage.policy, sriov={"fast": fast, "slow": slow})
    both = [scene.stage.submit(enable.request("lab", name)) for name in ("fast", "slow")]
    scene.stage.finish(*both)
    assert [scene.stage.at(run_id).status for run_id in both] == [Status.DONE, Status.DONE]
    assert (scene.downs, scene.together) == ({"host1": 1, "host2": 1}, 1)
    assert (set(scene.vfs_of("eth2").values()), set(scene.vfs_of("eth3").values())) == ({4}, {4})


def test_a_port_that_is_being_enabled_is_waited_for_and_one_left_half_made_is_not(stages: Stages) -> None:
    """A host does not reboot while another port of it may need the same boot; for ever it does not wait."""
    scene = Scene(stages, hosts=2, vms=0, ports=3)
    scene.simulated.add_network("slow")
    scene.simulated.control.driver("host2", "enable-fails")
    port = next(nic for nic in scene.stage.port.nics() if nic.host_name == "host2" and nic.device == "eth3")
    task = scene.stage.port.begin_enable(port.uuid, scene.stage.network("slow"))
    while scene.stage._pending(task):
        pass
    scene.simulated.control.driver("host2", "modprobe")
    run_id = scene.begin()
    run = scene.until(run_id, "being enabled")
    assert run.reason == "host2/eth3 is being enabled, and a host reboots once for all its ports"
    began = scene.stage.now
    assert scene.stage.finish(run_id).status is Status.DONE
    assert scene.stage.now - began >= timedelta(minutes=10)


def test_more_hosts_may_be_away_where_the_policy_says_so(stages: Stages) -> None:
    """With max_unavailable = 2 one that somebody disabled keeps no other from it; two of ours are never down at once."""
    scene = Scene(stages, wanted={"max_unavailable": 2})
    scene.simulated.halt_vm(scene.with_vf_on("host3"))
    scene.stage.port.disable_host(next(host.uuid for host in scene.stage.port.hosts() if host.name == "host3"))
    run = scene.enable()
    assert run.status is Status.DONE, run.reason
    assert order(scene, run.id) == ["host2", "host3", "host1"]
    assert scene.together == 1


def test_a_vm_whose_host_is_done_is_backed_up_before_the_last_host_reboots(stages: Stages) -> None:
    """It waits while its own host is at work, and not for the others: their reboots may take hours."""
    scene = Scene(stages)
    stage, vm = scene.stage, next(vm for vm in scene.stage.port.vms() if vm.name == scene.with_vf_on("host2"))
    run_id = scene.begin()
    scene.until(run_id, "host2: shut down")
    backup = stage.submit(prepare.request("lab", vm, mode="online", hold=timedelta(hours=1), retention=timedelta()))
    assert stage.settle(backup).reason == f"waits for vm:{vm.uuid}, held by run {str(run_id)[:8]} (enable-sriov of [sriov.fast])"
    scene.until(run_id, "host2 is back in service")
    assert stage.at(backup).due_at == stage.now
    assert stage.finish(backup).status is Status.DONE, stage.story(backup)
    assert scene.downs == {"host2": 1}
    assert stage.at(run_id).status is Status.WAITING
    stage.finish_all()
    assert stage.at(run_id).status is Status.DONE, stage.at(run_id).reason
    assert scene.downs == {"host1": 1, "host2": 1, "host3": 1}
    assert scene.complaints() == []


def test_a_host_that_waits_for_a_backup_is_not_begun_after_its_window(stages: Stages) -> None:
    """What it takes must fit into the window when it is begun in earnest, not when its turn came."""
    scene = Scene(stages)
    stage, vm = scene.stage, next(vm for vm in scene.stage.port.vms() if vm.name == scene.with_vf_on("host2"))
    night = Window("0 22 * * *", timedelta(hours=1), "UTC")
    stage.policy = replace(stage.policy, maintenance={"night": night})
    stage.now = datetime.now(UTC).replace(hour=22, minute=5, second=0) + timedelta(days=1)
    with stage.store.write() as session:
        other = runs.create(session, Request("prepare-backup", "lab", f"vm:{vm.uuid}", "VM x"), now=stage.now + timedelta(days=9))[0]
        assert holds.take(session, other, [f"vm:{vm.uuid}"], now=stage.now) is None
    run_id = scene.begin()
    scene.until(run_id, f"waits for vm:{vm.uuid}")
    stage.now = stage.now.replace(minute=40)
    with stage.store.write() as session:
        holds.release(session, other)
    run = scene.until(run_id, "in the window that opens")
    assert not scene.downs
    assert run.due_at == night.opens(stage.now)
    assert any("host2 was not begun within its window" in line for line in stage.story(run_id))
