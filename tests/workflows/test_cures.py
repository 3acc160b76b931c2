"""The ladder of cures, on a simulated pool behind its real wire."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.simulator.objects import NULL
from plugins.values import VFFreed, VFLeaked
from state.run import Run, Status
from tests.engine import crashes
from tests.workflows import stage as stages_module
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.stage import Stage
from workflows import reclaim, reclaim_plans
from workflows.outcome import Request
from workflows.policy import CURES, Policy, ReclaimPolicy
from workflows.reclaim import RECLAIM
from workflows.windows import Window

Stages = Callable[..., Stage]
RESET, REPLUG, RESTART, REBOOT = "power-state-reset", "reinit-port", "restart-toolstack", "reboot-in-window"


def allowing(*cures: str) -> Policy:
    return Policy(reclaim=ReclaimPolicy(allow=frozenset({"forget", *cures})))


def pool(stages: Stages, *cures: str, **fields: Any) -> Stage:
    """Two hosts with ports of 4 VFs and no VM, where these cures are allowed; its books are known as they were before anything leaked."""
    stage: Stage = stages(**{"vms": 0, "policy": allowing(*cures), **fields})
    for look in stage.port.look_at_ports():
        stage.ledger.learn(look)
    return stage


def for_port(stage: Stage, host: str = "host1") -> Request:
    look = next(look for look in stage.port.look_at_ports() if look.name == f"{host}/eth1")
    return reclaim.request_for_port(stage.pool.name, look.port, look.name)


def leaked(stage: Stage) -> int:
    """How many VFs the pool has reserved for nobody, by its own hidden books."""
    return sum(port["leaked"] for port in stage.simulated.state()["ports"])


def cured_by(stage: Stage, run: Run) -> list[str]:
    return [cure["came_to"] for cure in run.data["cures"]]


def assert_proven(stage: Stage, run: Run) -> None:
    """Done with the proof, nothing is lost, and nothing of ours is left anywhere."""
    assert run.status is Status.DONE, stage.story(run.id)
    assert run.reason.startswith("proven")
    assert leaked(stage) == 0
    assert stage.complaints() == []
    assert not [row for row in stage.look().records["VM"].values() if row["blocked_operations"]]


# -- power-state-reset ---------------------------------------------------------------------------------------


def test_a_failed_starts_reservation_is_freed_by_a_reset_of_that_vm(stages: Stages) -> None:
    """The halted VM that still holds the VF is reset, the arithmetic proves it, and the port is left alone (story 21)."""
    stage = pool(stages, RESET, REPLUG)
    stage.simulated.add_vm("failed to start", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1, vm="failed to start")
    stage.began = stage.look()
    run = stage.run(for_port(stage))
    assert_proven(stage, run)
    assert [said.partition(" (")[0] for said in cured_by(stage, run)] == ["reset VM failed to start"]
    assert [type(told) for told in stage.told][:1] == [VFLeaked]


def test_the_vm_that_last_took_vfs_of_the_port_is_reset_first(stages: Stages) -> None:
    """Of several halted VMs the likely holder comes first, and the others are not touched once it is proven."""
    stage = pool(stages, RESET)
    for name in ("a", "b", "c"):
        stage.simulated.add_vm(name, running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1, vm="c")
    knows(stage, "c", for_port(stage).subject.removeprefix("port:"))
    run = stage.run(for_port(stage))
    assert run.status is Status.DONE
    assert [said.partition(" (")[0] for said in cured_by(stage, run)] == ["reset VM c"]


def test_a_vm_that_took_its_vfs_elsewhere_is_not_reset(stages: Stages) -> None:
    """It last held VFs of another host's port, so it cannot hold this one's."""
    stage = pool(stages, RESET)
    stage.simulated.add_vm("elsewhere", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    knows(stage, "elsewhere", for_port(stage, "host2").subject.removeprefix("port:"))
    run = stage.run(for_port(stage))
    assert run.status is Status.STUCK
    assert "no halted VM is likely to hold them" in run.reason


def test_a_running_vm_is_never_reset(stages: Stages) -> None:
    """It uses a VF of the port; nothing happens to it, and the lost VF is left for a person."""
    stage = pool(stages, RESET)
    stage.simulated.add_vm("at work", host="host1")
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    stage.began = stage.look()
    run = stage.run(for_port(stage))
    assert run.status is Status.STUCK
    assert stage.look().truth["vms"] == stage.began.truth["vms"]
    assert not [entry for entry in stage.story(run.id) if ": reset VM" in entry]


def test_snapshots_and_templates_hold_no_vf_and_are_never_reset(stages: Stages) -> None:
    """Their VIFs are on the network, and they are neither counted nor touched (story 29)."""
    stage = pool(stages, RESET)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.add_snapshot("halted", "of yesterday")
    run = stage.run(for_port(stage))
    assert run.status is Status.DONE
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    again = stage.run(for_port(stage))
    assert not [entry for entry in stage.story(again.id) if "of yesterday" in entry]


def knows(stage: Stage, name: str, port: str) -> None:
    """The listener has seen the VM take VFs of the port."""
    from state import inventory
    from state.inventory import KnownVM

    vm = stage.vm(name)
    with stage.store.write() as session:
        inventory.put(session, [KnownVM(pool=stage.pool.name, vm=vm.uuid, ref="r", name=name, ports=[port], updated_at=stage.now)])


# -- reinit-port ---------------------------------------------------------------------------------------------


def test_a_leak_whose_holder_is_gone_is_cured_by_making_the_vfs_anew(stages: Stages) -> None:
    """Nobody uses the port: unplugged and plugged it has all its VFs, and nobody is blocked afterwards (story 23)."""
    stage = pool(stages, REPLUG)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 2)
    run = stage.run(for_port(stage))
    assert run.status is Status.DONE, stage.story(run.id)
    assert leaked(stage) == 0
    assert cured_by(stage, run) == ["not allowed", "host1/eth1 was plugged anew: its VFs are new"]


def test_a_port_in_use_is_waited_for_and_the_vms_change_wakes_the_run(stages: Stages) -> None:
    """The run is parked on the VIF that uses the port; the VM's VF is not touched; when it has halted the cure follows (story 22)."""
    stage = pool(stages, REPLUG)
    vm = stage.simulated.add_vm("at work", host="host1")
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    held = stage.simulated.state()["vms"][vm]["vfs"]
    run = parked(stage, stage.submit(for_port(stage)), "when nobody uses the port, now at work does")
    (vif,) = stage.vm("at work").vifs
    assert run.waits_on == f"vif:lab:{vif.uuid}"
    assert stage.simulated.state()["vms"][vm]["vfs"] == held
    stage.simulated.halt_vm("at work")
    assert stage.wake(run.waits_on) == 1
    assert stage.finish(run.id).status is Status.DONE
    assert leaked(stage) == 0


def parked(stage: Stage, run_id: Any, reason: str) -> Run:
    """The run, where it waits for this reason."""
    for _ in range(stages_module.TURNS):
        run = stage.turn(run_id)
        if reason in run.reason:
            return run
        assert run.due_at is not None, stage.story(run_id)
        if not stage._await_tasks([run]):
            stage.now = max(stage.now, run.due_at)
    raise AssertionError(stage.story(run_id))


def test_only_vms_that_could_start_nowhere_else_are_kept_from_starting(stages: Stages) -> None:
    """On a pool of one host the halted VM of the network is blocked for the moment; another host takes it where there is one."""
    one, two = pool(stages, REPLUG, hosts=1), pool(stages, REPLUG, hosts=2)
    for stage in (one, two):
        stage.simulated.add_vm("wants a VF", running=False)
        stage.simulated.add_vm("wants none", running=False, network=None)
        stage.simulated.control.leak("host1", "SR-IOV", 1)
        run = parked(stage, stage.submit(for_port(stage)), "its VFs are made anew")
        assert [stage.vm(name).uuid for name in ("wants a VF",) if stage is one] == run.data["closed"]["vms"]


def test_a_vm_that_starts_before_the_block_keeps_its_vf(stages: Stages) -> None:
    """Between the look and the block somebody started it: nothing is unplugged, the block goes, and the run waits for it."""
    stage = pool(stages, REPLUG, hosts=1)
    vm = stage.simulated.add_vm("early", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = parked(stage, stage.submit(for_port(stage)), "its VFs are made anew")
    stage.client.call("VM.start", vm, False, False)
    run = parked(stage, run.id, "now early does")
    assert "closed" not in run.data
    assert stage.vm("early").power_state == "Running"
    assert not stage.vm("early").blocked_operations


def test_a_pool_that_refuses_to_unplug_is_believed(stages: Stages) -> None:
    """VIF_IN_USE at the last moment: the block goes, and the run tries again later."""
    stage = pool(stages, REPLUG, hosts=1)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    stage.simulated.control.fail("Async.PIF.unplug", ["VIF_IN_USE", NULL, NULL])
    run = stage.run(for_port(stage))
    assert "is in use after all: VIF_IN_USE" in "".join(stage.story(run.id))
    assert run.status is Status.DONE, stage.story(run.id)


@pytest.mark.parametrize("method", ["VM.add_to_blocked_operations", "Async.PIF.unplug"])
def test_a_role_that_may_not_is_no_reason_to_begin_again_and_again(stages: Stages, method: str) -> None:
    """Denied by the pool: the run is stuck and says so, nobody is blocked, and the port is up."""
    stage = pool(stages, REPLUG, hosts=1)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    stage.simulated.control.fail(method, ["RBAC_PERMISSION_DENIED", method, "no permission"], times=None)
    run = stage.run(for_port(stage))
    assert run.status is Status.STUCK, stage.story(run.id)
    assert "RBAC_PERMISSION_DENIED" in run.reason
    assert not stage.vm("halted").blocked_operations
    assert all(look.attached for look in stage.port.look_at_ports())


@pytest.mark.parametrize("driver", ["modprobe", "manual"])
def test_only_a_reboot_makes_vfs_anew_where_the_mode_is_not_sysfs(stages: Stages, driver: str) -> None:
    """The port is not touched: its VFs would not come back clean."""
    stage = pool(stages, REPLUG, driver=driver)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = stage.run(for_port(stage))
    assert run.status is Status.STUCK
    assert "where the mode is not sysfs, only a reboot makes VFs anew" in run.reason
    assert all(look.attached for look in stage.port.look_at_ports())


def test_given_up_while_the_port_is_unplugged_it_is_plugged_again(stages: Stages) -> None:
    """Cancelled at the worst moment: the port is up, its VFs are there, nobody is blocked, and the run ends undone."""
    stage = pool(stages, REPLUG, hosts=1)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    stage.began = stage.look()
    run = parked(stage, stage.submit(for_port(stage)), "plugging host1/eth1 has begun")
    stage.engine.cancel(run.id, by="somebody")
    run = stage.finish(run.id)
    assert run.status is Status.UNDONE, stage.story(run.id)
    assert stage.complaints() == []
    assert all(look.attached for look in stage.port.look_at_ports())


def test_a_port_that_cannot_be_plugged_again_needs_a_person_and_nobody_is_blocked(stages: Stages) -> None:
    """The driver refuses: VMs may start again, and the run is stuck until a retry plugs the port."""
    stage = pool(stages, REPLUG, hosts=1)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = parked(stage, stage.submit(for_port(stage)), "host1/eth1 is unplugged")
    stage.simulated.control.driver("host1", "enable-fails")
    run = stage.finish(run.id)
    assert run.status is Status.STUCK, stage.story(run.id)
    assert "NETWORK_SRIOV_ENABLE_FAILED" in run.reason
    assert not stage.vm("halted").blocked_operations
    stage.simulated.control.driver("host1", "sysfs")
    stage.engine.retry(run.id, by="somebody")
    assert stage.finish(run.id).status is Status.UNDONE
    assert all(look.attached for look in stage.port.look_at_ports())


# -- restart-toolstack ---------------------------------------------------------------------------------------


def test_the_coordinators_toolstack_is_restarted_only_where_that_is_allowed(stages: Stages) -> None:
    """Without consent the run is stuck and the toolstack is as it was; with it the leak is gone and guests run on."""
    careful, bold = pool(stages), pool(stages, RESTART)
    for stage in (careful, bold):
        stage.simulated.add_vm("at work", host="host2")
        stage.simulated.control.leak("host2", "SR-IOV", 1)
        stage.began = stage.look()
    began = [stage.pool.hosts()[0].agent_start_time for stage in (careful, bold)]
    assert careful.run(for_port(careful, "host2")).status is Status.STUCK
    run = bold.run(for_port(bold, "host2"))
    assert run.status is Status.DONE, bold.story(run.id)
    assert [stage.pool.hosts()[0].agent_start_time > before for stage, before in zip((careful, bold), began, strict=True)] == [False, True]
    assert bold.complaints() == []


def test_a_busy_port_is_not_waited_for_for_ever_where_a_stronger_cure_is_allowed(stages: Stages) -> None:
    """After the policy's patience the next rung is taken."""
    stage = pool(stages, REPLUG, RESTART)
    stage.simulated.add_vm("at work", host="host1")
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = stage.run(for_port(stage))
    assert run.status is Status.DONE, stage.story(run.id)
    assert [said.partition(":")[0] for said in cured_by(stage, run)] == [
        "not allowed",
        "in use for 0",
        "the toolstack of host1 was restarted",
    ]


# -- reboot-in-window ----------------------------------------------------------------------------------------


def test_a_host_is_rebooted_for_lost_vfs_only_in_a_window(stages: Stages) -> None:
    """Parked until the window opens; then the host comes back with all its VFs, and its VM runs again with its own."""
    stage = pool(stages, REBOOT, driver="modprobe")
    opens = (stage.now + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0)
    stage.policy = replace(stage.policy, maintenance={"night": Window(f"0 {opens.hour} * * *", timedelta(hours=2))})
    vm = stage.simulated.add_vm("at work", host="host2")
    stage.simulated.control.leak("host2", "SR-IOV", 1)
    stage.began = stage.look()
    booted = stage.pool.hosts()[1].boot_time
    run = parked(stage, stage.submit(for_port(stage, "host2")), f"in the window that opens at {opens:%Y-%m-%d %H:%M}")
    assert stage.pool.hosts()[1].boot_time == booted
    parked(stage, run.id, "host2 booted less than 120 s ago")
    assert stage.pool.hosts()[1].boot_time > booted
    two_minutes_pass(stage, "host2")
    run = stage.finish(run.id)
    assert run.status is Status.DONE, stage.story(run.id)
    assert stage.simulated.state()["vms"][vm]["vfs"]
    assert leaked(stage) == 0
    assert stage.complaints() == []


def two_minutes_pass(stage: Stage, host: str) -> None:
    """By the pool's own clock, which the stage does not move: the host booted so much longer ago."""
    db = stage.simulated.database
    ref = db.by_name("host", host)[0]
    before = db.get("host", ref)["other_config"]
    db.set("host", ref, other_config={**before, "boot_time": f"{float(before['boot_time']) - 121:.0f}."})


def test_without_a_window_no_host_is_rebooted(stages: Stages) -> None:
    """The consent alone says nothing of when: the run is stuck and says what is missing."""
    stage = pool(stages, REBOOT, driver="manual")
    stage.simulated.control.leak("host2", "SR-IOV", 1)
    run = stage.run(for_port(stage, "host2"))
    assert run.status is Status.STUCK
    assert "no maintenance window is in the configuration" in run.reason


# -- the whole ladder ----------------------------------------------------------------------------------------


def test_a_stuck_run_climbs_again_when_more_is_allowed(stages: Stages) -> None:
    """A retry begins at the proof, not at the last rung (story 21)."""
    stage = pool(stages)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = stage.run(for_port(stage))
    assert (run.status, run.step) == (Status.STUCK, "prove_free")
    assert [cure["came_to"] for cure in (run.evidence or {})["cures"]] == ["not allowed"] * 4
    stage.policy = allowing(REPLUG)
    stage.engine.retry(run.id, by="somebody")
    assert stage.finish(run.id).status is Status.DONE
    assert leaked(stage) == 0


def test_what_somebody_cured_meanwhile_needs_no_cure(stages: Stages) -> None:
    """While the run waits for an idle port the toolstack restarts: the next look proves it, and nothing is unplugged."""
    stage = pool(stages, REPLUG)
    stage.simulated.add_vm("at work", host="host1")
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    run = parked(stage, stage.submit(for_port(stage)), "now at work does")
    stage.simulated.control.toolstack_restart()
    run = stage.finish(run.id)
    assert run.status is Status.DONE, stage.story(run.id)
    assert "plugged" not in "".join(stage.story(run.id))


def test_two_leaks_of_one_port_are_cured_once(stages: Stages) -> None:
    """Two runs, each with a lost VF of the same port: one makes its VFs anew, both are done (story 30)."""
    stage = pool(stages, REPLUG)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    port = for_port(stage)
    first = stage.submit(port)
    parked(stage, first, "its VFs are made anew")
    second = stage.submit(Request(port.workflow, port.pool, "vm:gone", "VM gone", {**port.data, "vm": "gone", "vm_name": "gone"}))
    assert stage.finish(first, second).status is Status.DONE
    assert stage.at(second).status is Status.DONE
    assert [type(told) for told in stage.told].count(VFFreed) == 1
    assert leaked(stage) == 0


def holder(stage: Stage) -> Stage:
    stage.simulated.add_vm("failed to start", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1, vm="failed to start")
    stage.began = stage.look()
    return stage


SCENES = {RESET: "reset_holders", REPLUG: "make_vfs_anew", RESTART: "restart_toolstack"}


@pytest.mark.parametrize("cure", SCENES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_each_cure_changes_nothing(stages: Stages, cure: str, when: str) -> None:
    """The process dies at the cure's step, at each of its turns in turn: the VF is proven free, and nothing of ours is left."""
    for turn in range(1, 6):
        stage = holder(pool(stages, cure, hosts=1))
        crash = LateCrash(SCENES[cure], when, after=turn)
        stage.workflows[RECLAIM.name] = crash.into(RECLAIM)
        run = stage.run(for_port(stage))
        assert_proven(stage, run)
        if not crash.deaths:
            return


class LateCrash(crashes.Crash):
    """A death at the step's n-th turn."""

    def __init__(self, step: str, when: str, *, after: int) -> None:
        super().__init__(step, when)
        self.turns, self.after = 0, after

    def _dying(self, action: Any) -> Any:
        deadly = super()._dying(action)

        def counted(world: Any, data: Any) -> Any:
            self.turns += 1
            return deadly(world, data) if self.turns == self.after else action(world, data)

        counted.__name__, counted.__doc__ = action.__name__, action.__doc__
        return counted


@pytest.mark.parametrize("crash", [crash for crash in crashes.of_undo(RECLAIM) if crash.step in {"make_vfs_anew", "prove_free"}], ids=str)
def test_a_crash_at_every_undo_leaves_the_port_up_and_nobody_blocked(stages: Stages, crash: crashes.Crash) -> None:
    """Cancelled while the port is unplugged, and the process dies on the way back: the run ends undone, as if it had not been."""
    stage = pool(stages, REPLUG, hosts=1)
    stage.simulated.add_vm("halted", running=False)
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    stage.began = stage.look()
    deadly = replace(crash)
    stage.workflows[RECLAIM.name] = deadly.into(RECLAIM)
    run = parked(stage, stage.submit(for_port(stage)), "host1/eth1 is unplugged")
    assert stage.vm("halted").blocked_operations
    stage.engine.cancel(run.id, by="somebody")
    run = stage.finish(run.id)
    assert deadly.deaths == 1
    assert run.status is Status.UNDONE, stage.story(run.id)
    assert stage.complaints() == []
    assert all(look.attached for look in stage.port.look_at_ports())


@pytest.mark.parametrize("cure", [RESET, REPLUG])
def test_a_crash_at_every_call_of_a_cure_changes_nothing(stages: Stages, cure: str) -> None:
    """The process dies before and after each XenAPI call that changes something: the end is the same."""
    places = crash_everywhere(lambda: holder(pool(stages, cure, hosts=1)), for_port, assert_proven)
    assert places >= 2


def test_the_plan_names_the_cures_that_would_follow(stages: Stages) -> None:
    """The numbers, who is waited for, and the calls of what is allowed; a port that lost nothing gets no call."""
    stage = pool(stages, REPLUG, RESTART)
    stage.simulated.add_vm("at work", host="host1")
    stage.simulated.control.leak("host1", "SR-IOV", 1)
    looks = {look.name: look for look in stage.port.look_at_ports()}
    plans = [reclaim_plans.of_port(look, stage.ledger.account(look), stage.policy.reclaim) for _, look in sorted(looks.items())]
    assert plans[0].sentences[0] == "host1/eth1: 4 VFs = 2 free + 1 in use + 1 missing"
    assert "when nobody uses it (now at work)" in plans[0].sentences[2]
    assert [call for call in plans[0].calls if call.startswith(("PIF", "host"))] == ["PIF.unplug", "PIF.plug", "host.restart_agent"]
    assert (plans[1].sentences[1], plans[1].calls) == ("nothing is lost that no other run holds: done", ())


def test_the_ladder_is_what_the_configuration_names() -> None:
    """Each cure of the configuration has its step, in the order of the ladder."""
    assert [step.name for step in RECLAIM.steps] == [
        "settle", "forget_our_traces", "prove_free", "reset_holders", "make_vfs_anew", "restart_toolstack", "reboot_host", "tell_somebody",
    ]  # fmt: skip
    assert CURES == ("forget", RESET, REPLUG, RESTART, "reboot-in-window")
