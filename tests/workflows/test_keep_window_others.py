"""Windows that overlap, and policies that people run at the same time: one pool has one limit, whoever begins the backups."""

import dataclasses
import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from plugins.values import WindowOpening
from state.backups import Backup
from state.run import ACTIVE, Run, Status
from tests.engine import crashes
from tests.workflows.stage import Stage
from tests.workflows.test_keep_window import FREE, HOUR, lines, plan, staged, statuses
from workflows import back_up, beside, keep_window, waiting_list
from workflows.keep_window import KEEP_WINDOW
from workflows.outcome import DONE, Need, Outcome, Request, Wait
from workflows.planning import Candidate
from workflows.policies import Limits, Selection
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

Stages = Callable[..., Stage]
ONE = Limits(1, None, None, None)
TWO = Limits(2, None, None, None)
MINUTE = timedelta(minutes=1)


def apart(stages: Stages, first: int, second: int) -> Stage:
    """Policy "a" means the *first* so many VMs of the pool, "b" the *second* so many after them; each backup takes two minutes or so."""
    stage = staged(stages, vms=first + second)
    names = sorted(vm.name for vm in stage.port.vms())
    plans = {name: plan(name, vms=Selection(names=tuple(some))) for name, some in (("a", names[:first]), ("b", names[first:]))}
    stage.policy = dataclasses.replace(stage.policy, backups=dataclasses.replace(stage.policy.backups, policies=plans))
    return stage


def opened(stage: Stage, policy: str, *, limits: Limits = ONE, lasts: timedelta | None = 8 * HOUR) -> Request:
    opening = WindowOpening(uuid4(), f"w{policy}", "lab", stage.now, stage.now + lasts if lasts else None)
    return keep_window.request(opening, [policy], limits=limits)


def counted(stage: Stage) -> list[int]:
    """How many backups are at work in the pool, each time that a job is looked at."""
    seen: list[int] = []
    stage.plugins.product.meanwhile = lambda: seen.append(len(backups_at_work(stage)))
    return seen


def backups_at_work(stage: Stage) -> list[Run]:
    return [run for run in stage.runs(ACTIVE) if run.workflow == back_up.NAME]


def begun(stage: Stage) -> list[Backup]:
    return sorted((line for line in lines(stage) if line.status == "saved"), key=lambda line: line.began_at)


@pytest.mark.parametrize("lasts", [8 * HOUR, None], ids=["two windows", "two policies by hand"])
def test_two_of_a_pool_have_no_more_at_work_than_the_limit(stages: Stages, lasts: timedelta | None) -> None:
    """Neither misses anybody for it, and the next one begins when the last one is over, whosever it is."""
    stage = apart(stages, 3, 2)
    seen = counted(stage)
    both = [stage.submit(opened(stage, name, lasts=lasts)) for name in ("a", "b")]
    stage.finish_all()
    assert [stage.at(run).reason for run in both] == ["3 saved, 0 failed, 0 missed", "2 saved, 0 failed, 0 missed"]
    assert set(seen) == {1}
    one_by_one = begun(stage)
    gaps = [after.began_at - before.ended_at for before, after in itertools.pairwise(one_by_one) if before.ended_at]
    assert len(gaps) == 4
    assert max(gaps) < MINUTE, "the end of another one's backup wakes who waits"
    assert stage.complaints() == []


def test_they_take_turns(stages: Stages) -> None:
    """Who was kept waiting for longer comes first, so that a long list keeps a short one waiting for one backup at a time."""
    stage = apart(stages, 4, 2)
    for name in ("a", "b"):
        stage.settle(stage.submit(opened(stage, name)))
    stage.finish_all()
    assert "".join(line.policy for line in begun(stage)) == "ababaa"


def test_each_keeps_its_own_limit_of_all_that_is_at_work(stages: Stages) -> None:
    """The tighter one begins only while nobody else is at work, the other one fills up to its own."""
    stage = apart(stages, 3, 2)
    seen = counted(stage)
    stage.submit(opened(stage, "a", limits=TWO))
    stage.submit(opened(stage, "b", limits=ONE))
    stage.finish_all()
    assert statuses(stage) == {"saved": 5}
    assert max(seen) == 2
    done = begun(stage)
    for line in (line for line in done if line.policy == "b"):
        beside_it = [one for one in done if one.began_at < line.began_at and one.ended_at and one.ended_at > line.began_at]
        assert beside_it == []


def test_one_that_others_keep_from_beginning_waits_and_says_why(stages: Stages) -> None:
    """It is not over with nobody begun; at its end it is, and says that their turn did not come."""
    stage = apart(stages, 1, 1)
    stage.plugins.product.polls = ["running"]
    first, second = stage.submit(opened(stage, "a")), stage.submit(opened(stage, "b", lasts=HOUR))
    stage.settle(first)
    waiting = stage.settle(second)
    assert (waiting.status, waiting.waits_on) == (Status.WAITING, beside.wake_on_backup("lab"))
    assert waiting.reason == "0 at work, 1 wait and other runs have backups at work; 0 saved, 0 failed, 0 missed"
    stage.pass_time(HOUR)
    assert stage.settle(second).reason == "0 saved, 0 failed, 1 missed"
    missed, = [line for line in lines(stage) if line.policy == "b"]  # fmt: skip
    assert (missed.status, missed.reason) == ("missed", "the window closed before its turn")


def test_one_that_lets_nobody_begin_ends_whatever_others_do(stages: Stages) -> None:
    """A limit of nothing is not waited for."""
    stage = apart(stages, 1, 1)
    stage.plugins.product.polls = ["running"]
    stage.settle(stage.submit(opened(stage, "a")))
    ended = stage.settle(stage.submit(opened(stage, "b", limits=Limits(0))))
    assert (ended.status, ended.reason) == (Status.DONE, "0 saved, 0 failed, 1 missed")


def test_one_whose_last_is_over_keeps_nobody_waiting(stages: Stages) -> None:
    """The turn is let go before the hooks are told that the window is over, which may take minutes."""
    stage = apart(stages, 1, 1)
    run_id = stage.submit(opened(stage, "a", limits=Limits(0)))
    stage.finish_all()
    assert [told.partition(":")[0] for told in stage.story(run_id)][-2:] == ["save_vms", "close_window"]
    assert any(told.startswith("save_vms: wait: 0 saved") for told in stage.story(run_id))


def test_two_that_look_at_the_same_moment_do_so_one_after_the_other(stages: Stages) -> None:
    """Who has the turn is waited for: between its look and its record nobody else finds the same room."""
    stage = apart(stages, 1, 1)

    def look(world: World, _: Data) -> Outcome:
        return Need((beside.TURN,)) if beside.TURN not in world.held else Wait("it looks", at_most=HOUR)

    stage.workflows["look"] = Workflow("look", "", (Step(look), Step(lambda _, __: DONE)))
    looking = stage.submit(Request("look", "lab", "window:x", "window x"))
    stage.settle(looking)
    run_id = stage.submit(opened(stage, "a"))
    assert "waits for backups, held by run" in stage.settle(run_id).reason
    assert backups_at_work(stage) == []
    stage.engine.cancel(looking, by="ann")
    stage.settle(looking)
    stage.finish_all()
    assert stage.at(run_id).reason == "1 saved, 0 failed, 0 missed"


def test_a_vm_of_two_windows_is_saved_by_one_policy_after_the_other(stages: Stages) -> None:
    """What another policy has at work on it is waited for: its own product wants it too."""
    stage = staged(stages, plan("a"), plan("b"), vms=1)
    seen = counted(stage)
    both = [stage.submit(opened(stage, name, limits=FREE)) for name in ("a", "b")]
    stage.finish_all()
    assert [stage.at(run).reason for run in both] == ["1 saved, 0 failed, 0 missed"] * 2
    assert set(seen) == {1}


def test_who_was_let_pass_and_begins_nobody_keeps_the_room_for_seconds(stages: Stages) -> None:
    """It was paused, or is about to end: the one that let it pass looks again soon, not at the next end of a backup."""
    stage = apart(stages, 1, 0)
    waits = waiting_list.written([Candidate("vm-9", "other", "b", 0, None, MINUTE)])
    longer = {"list": waits, "limits": [1, None, None, None], "closes": None, beside.KEPT_SINCE: "2020-01-01T00:00:00+00:00"}
    stage.workflows[keep_window.NAME] = Workflow(keep_window.NAME, "", (Step(lambda _, __: Wait("it does not look", at_most=HOUR)),))
    stage.settle(stage.submit(Request(keep_window.NAME, "lab", "window:longer", "window longer", longer)))
    stage.workflows[keep_window.NAME] = KEEP_WINDOW
    second = stage.settle(stage.submit(opened(stage, "a")))
    assert (second.due_at, backups_at_work(stage)) == (stage.now + beside.GIVE_WAY, [])


@pytest.mark.parametrize("crash", [one for one in crashes.of(KEEP_WINDOW) if one.step == "save_vms"], ids=str)
def test_a_crash_of_one_neither_breaks_the_limit_nor_stops_the_other(stages: Stages, crash: Any) -> None:
    """It may have died while it had the turn: that is kept for it until its lease is over, and then goes on."""
    stage = apart(stages, 2, 2)
    seen = counted(stage)
    stage.workflows[keep_window.NAME] = crash.into(KEEP_WINDOW)
    both = [stage.submit(opened(stage, name)) for name in ("a", "b")]
    stage.finish_all()
    assert [stage.at(run).reason for run in both] == ["2 saved, 0 failed, 0 missed"] * 2
    assert set(seen) == {1}
    assert crash.deaths == crash.times
    assert stage.complaints() == []
