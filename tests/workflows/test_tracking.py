"""Changed blocks by policy: an account of the last backup that was saved is kept in the pool, and nothing else."""

import dataclasses
from typing import Any
from uuid import UUID, uuid4

import pytest

from plugins.values import Needs
from state.run import Run, Status
from tests.engine import crashes
from tests.workflows.backups import Stages
from tests.workflows.everywhere import crash_everywhere
from tests.workflows.policies import MODES, ended, request, staged
from tests.workflows.stage import Stage, giving_up
from workflows import clean_up, leftovers, tracking
from workflows.back_up import BACK_UP
from workflows.outcome import Request
from workflows.tracking import Account

STEPS = ("track", "keep_account", "bring_home", "settle_account", "close")


def tracked(stages: Stages, mode: str = "online", **fields: Any) -> Stage:
    """A stage whose policy has changed_blocks, and whose product asks for them."""
    stage = staged(stages, mode, changed_blocks=True, **fields)
    stage.plugins.product.needed = Needs(changed_blocks=True)
    return stage


def disks(stage: Stage) -> dict[str, dict[str, Any]]:
    return {row["uuid"]: row for row in stage.look().records["VDI"].values()}


def kept(stage: Stage, run: Run) -> None:
    """Of the VM's disks there is one account each, of this run, without data; no snapshot; nothing else is new."""
    assert run.status is Status.DONE, stage.story(run.id)
    accounts = stage.port.accounts()
    own = stage.port.disks(run.data["vm"])
    assert len(accounts) == len(own) > 0
    assert all((one.run, one.bare, one.used, one.vm_there) == (str(run.id), True, False, True) for one in accounts)
    assert disks(stage).keys() - {row["uuid"] for row in stage.began.records["VDI"].values()} == {one.uuid for one in accounts}
    assert not [row for row in stage.look().records["VM"].values() if row["is_a_snapshot"]]


def is_over(stage: Stage, run_id: UUID) -> bool | None:
    found = {run.id: run for run in stage.runs()}.get(run_id)
    return None if found is None else found.status is not Status.STUCK and not found.due_at


def to_clean_up(stage: Stage) -> list[Request]:
    return clean_up.everything(leftovers.see(stage.pool), lambda run_id: is_over(stage, run_id), stage.now)


@pytest.mark.parametrize("mode", MODES)
def test_the_metadata_of_the_snapshot_stays(stages: Stages, mode: str) -> None:
    """In every mode; the next clean-up finds nothing to do about it."""
    stage = tracked(stages, mode)
    kept(stage, ended(stage, request(stage)))
    assert to_clean_up(stage) == []


def test_the_next_backup_takes_its_place(stages: Stages) -> None:
    """Never more than one for a VM and policy; until the new one is saved the old one is there, and tells what changed."""
    stage = tracked(stages)
    first = ended(stage, request(stage))
    before = {one.uuid for one in stage.port.accounts()}
    seen: list[set[str]] = []
    stage.plugins.product.polls = ["running", "done"]
    stage.plugins.product.meanwhile = lambda: seen.append({one.uuid for one in stage.port.accounts()})
    second = ended(stage, request(stage))
    assert all(before <= there for there in seen)
    assert first.id != second.id
    kept(stage, second)


def test_a_backup_that_fails_leaves_the_account_before_it(stages: Stages) -> None:
    """Its own snapshot goes with all it has."""
    stage = tracked(stages)
    first = ended(stage, request(stage))
    stage.plugins.product.polls = ["failed"]
    failed = ended(stage, request(stage))
    assert failed.status is not Status.DONE
    kept(stage, first)


def test_without_the_policy_nothing_is_tracked(stages: Stages) -> None:
    """Nor where the product does not ask."""
    stage = staged(stages, "online")
    stage.plugins.product.needed = Needs(changed_blocks=True)
    ended(stage, request(stage))
    other = staged(stages, "online", changed_blocks=True)
    other.plugins.product.needed = Needs()
    run = ended(other, request(other))
    for one in (stage, other):
        assert not any(row["cbt_enabled"] for row in disks(one).values())
        assert one.complaints() == []
    assert "does not ask what changed" in run.data["not_tracked"][0]


def test_a_disk_that_cannot_be_tracked_is_said(stages: Stages) -> None:
    """The backup goes on without, and its snapshot goes as ever."""
    stage = tracked(stages)
    stage.simulated.control.fail("VDI.enable_cbt", ["SR_OPERATION_NOT_SUPPORTED", "OpaqueRef:sr"], times=None)
    run = ended(stage, request(stage))
    assert run.status is Status.DONE
    assert "SR_OPERATION_NOT_SUPPORTED" in run.data["not_tracked"][0]
    assert stage.complaints() == []


def test_metadata_that_cannot_be_kept_goes_with_the_data(stages: Stages) -> None:
    """The data of a snapshot is never left behind."""
    stage = tracked(stages)
    stage.simulated.control.fail("VDI.data_destroy", ["SR_OPERATION_NOT_SUPPORTED", "OpaqueRef:sr"], times=None)
    assert ended(stage, request(stage)).status is Status.DONE
    assert stage.complaints() == []


@pytest.mark.parametrize("crash", [place for place in crashes.of(BACK_UP) if place.step in STEPS], ids=str)
def test_a_death_at_any_step_is_survived(stages: Stages, crash: crashes.Crash) -> None:
    """The account of the last backup and no other."""
    stage = tracked(stages)
    ended(stage, request(stage))
    deadly = dataclasses.replace(crash)
    stage.workflows[BACK_UP.name] = deadly.into(BACK_UP)
    run = ended(stage, request(stage))
    assert deadly.deaths
    kept(stage, run)


def test_a_death_at_any_call_is_survived(stages: Stages) -> None:
    """Before and after each call that changes something, in whichever run it is."""

    def check(stage: Stage, run: Run) -> None:
        stage.finish_all()
        kept(stage, stage.at(run.id))

    assert crash_everywhere(lambda: tracked(stages), request, check, run=ended) > 8


@pytest.mark.parametrize("step", STEPS)
def test_given_up_nothing_of_it_stays(stages: Stages, step: str) -> None:
    """Whatever was done: no snapshot, no account of this run, nothing but the VM's disks."""
    stage = tracked(stages)
    stage.workflows[BACK_UP.name] = giving_up(BACK_UP, step)
    run = ended(stage, request(stage))
    assert run.status is Status.UNDONE
    assert stage.complaints() == []


@pytest.mark.parametrize("given_up_after", ["keep_account", "settle_account"])
@pytest.mark.parametrize("crash", [place for place in crashes.of_undo(BACK_UP) if place.step == "keep_account"], ids=str)
def test_a_death_while_it_is_given_up_is_survived(stages: Stages, crash: crashes.Crash, given_up_after: str) -> None:
    """With the snapshot there or gone already, nothing of it stays."""
    stage = tracked(stages)
    deadly = dataclasses.replace(crash)
    stage.workflows[BACK_UP.name] = deadly.into(giving_up(BACK_UP, given_up_after))
    run = ended(stage, request(stage))
    assert (run.status, deadly.deaths) == (Status.UNDONE, 1)
    assert stage.complaints() == []


def test_the_accounts_of_a_vm_that_is_gone_are_cleaned_up(stages: Stages) -> None:
    """Whoever deleted it."""
    stage = tracked(stages)
    run = ended(stage, request(stage))
    stage.simulated.destroy_vm(run.data["vm_name"])
    for wanted in to_clean_up(stage):
        stage.submit(wanted)
    stage.finish_all()
    assert stage.port.accounts() == ()
    assert to_clean_up(stage) == []


def account(**changes: Any) -> Account:
    values = {
        "uuid": str(uuid4()),
        "vm": "v",
        "policy": "p",
        "run": str(UUID(int=1)),
        "at": "1",
        "bare": True,
        "used": False,
        "vm_there": True,
    }
    return Account(**{**values, **changes})


@pytest.mark.parametrize(
    ("accounts", "gone"),
    [
        ([account()], []),
        ([account(at="1"), account(at="2", run=str(UUID(int=3)))], [0]),
        ([account(at="1"), account(at="2", policy="q")], []),
        ([account(bare=False)], [0]),
        ([account(used=True, vm_there=False)], []),
        ([account(run=str(UUID(int=2)), vm_there=False)], []),
        ([account(run=str(UUID(int=9)), bare=False)], []),
        ([account(run=str(UUID(int=9)), vm_there=False)], [0]),
        ([account(at="1"), account(at="2", bare=False, run=str(UUID(int=3)))], [1]),
    ],
)
def test_what_nobody_wants(accounts: list[Account], gone: list[int]) -> None:
    """Older ones, those with data, those of VMs that are gone; never of a run that is at work, or another installation's."""
    over = {UUID(int=1): True, UUID(int=2): False, UUID(int=3): True}
    assert tracking.outdated(accounts, over.get) == [accounts[number] for number in gone]


def test_only_marked_disks_are_destroyed(stages: Stages) -> None:
    """Whatever uuid is asked for, and a copy of a mark is none."""
    stage = tracked(stages)
    disk = stage.port.disks(stage.with_vf().uuid)[0].uuid
    for act in (stage.port.drop_account, stage.port.strip_account):
        with pytest.raises(Exception, match="NOT_OURS"):
            act(disk)
    assert disk in disks(stage)
