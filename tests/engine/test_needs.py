"""Runs that must have things for themselves: all or nothing, one holder at a time, released at the end and never before."""

from datetime import timedelta
from uuid import UUID

import pytest

from orchestrator.views import runs as view
from plugins.errors import GiveUp
from state import claims, holds
from state.run import Status
from state.store import Store
from tests.engine import crashes
from tests.engine.machine import Act, Machine, step, workflow
from workflows.outcome import DONE, Need, Outcome, Request, Stuck, Wait, wake_on_approval
from workflows.workflow import Data
from workflows.world import World

CIRCLE = (("a", "b"), ("b", "c"), ("c", "a"))


@pytest.fixture
def store(either_store: Store) -> Store:
    """Of each kind: what a worker does to a run does not depend on it."""
    return either_store


def needs(*things: str) -> Act:
    """Asks for the things until the run has them, and notes that it saw so."""

    def act(world: World, data: Data) -> Outcome:
        if not world.held.issuperset(things):
            return Need(things)
        data["has"] = sorted(world.held)
        return DONE

    return act


def until_told(data_of: dict[str, bool], key: str) -> Act:
    """Waits until the test says so."""
    return lambda *_: DONE if data_of.get(key) else Wait("for the test", at_most=timedelta(seconds=1))


def held(machine: Machine) -> dict[str, UUID]:
    with machine.store.read() as session:
        return holds.of_pool(session, "pool")


def submit(machine: Machine, name: str, *steps: object) -> UUID:
    """A run of a workflow of its own, on a subject of its own."""
    machine.workflows[name] = workflow(*steps)  # type: ignore[arg-type]
    return machine.engine.submit(Request(name, "pool", f"vm:{name}", f"VM {name}"))[0].id


@pytest.fixture
def told() -> dict[str, bool]:
    return {}


@pytest.fixture
def first(machine: Machine, told: dict[str, bool]) -> UUID:
    """A run that has vm:a and port:b, and waits."""
    run_id = submit(machine, "first", step("take", needs("vm:a", "port:b")), step("work", until_told(told, "first")))
    assert machine.turn(run_id).status is Status.WAITING
    return run_id


def test_what_is_needed_is_there_at_the_next_look(machine: Machine, first: UUID) -> None:
    """All of it at once, in the same turn, and nothing is said of it."""
    assert machine.run(first).data == {"has": ["port:b", "vm:a"]}
    assert held(machine) == {"vm:a": first, "port:b": first}
    assert machine.story(first) == [("take", "done"), ("work", "wait")]


def test_who_needs_what_another_has_waits_and_takes_nothing_meanwhile(machine: Machine, first: UUID) -> None:
    """Not even what is free; the reason names the holder."""
    second = submit(machine, "second", step("take", needs("vm:a", "host:c")))
    run = machine.turn(second)
    assert run.status is Status.WAITING
    assert run.reason == f"waits for vm:a, held by run {str(first)[:8]} (first of VM first)"
    assert "host:c" not in held(machine)


def test_the_end_of_the_holder_wakes_who_waits(machine: Machine, first: UUID, told: dict[str, bool]) -> None:
    """At once, and with the same record that releases."""
    second = submit(machine, "second", step("take", needs("vm:a")))
    machine.turn(second)
    told["first"] = True
    machine.pass_time(1)
    assert machine.turn(first).status is Status.DONE
    assert machine.run(second).due_at == machine.now
    assert machine.turn(second).status is Status.DONE
    assert held(machine) == {}


@pytest.mark.parametrize(
    ("ends", "status"),
    [(lambda *_: (_ for _ in ()).throw(GiveUp("no")), Status.REFUSED), (lambda *_: DONE, Status.DONE)],
    ids=["given up", "done"],
)
def test_an_end_releases(machine: Machine, ends: Act, status: Status) -> None:
    """Whichever it is, as long as nobody is needed."""
    run_id = submit(machine, "x", step("take", needs("vm:a")), step("end", ends))
    assert machine.turn(run_id).status is status
    assert held(machine) == {}


def test_an_undo_has_what_the_run_has_and_releases_it_after(machine: Machine) -> None:
    """What is put back is put back alone."""
    seen: list[frozenset[str]] = []

    def put_back(world: World, _: Data) -> Outcome:
        seen.append(world.held)
        return DONE

    run_id = submit(machine, "x", step("take", needs("vm:a"), undo=put_back), step("end", lambda *_: (_ for _ in ()).throw(GiveUp("no"))))
    assert machine.turn(run_id).status is Status.UNDONE
    assert (seen, held(machine)) == ([frozenset({"vm:a"})], {})


def test_a_stuck_run_keeps_what_it_has_until_somebody_dealt_with_it(machine: Machine) -> None:
    """Others wait and are told that it is stuck; when it was cancelled they go on."""
    run_id = submit(machine, "x", step("take", needs("vm:a")), step("end", lambda *_: Stuck("help", "vfo")))
    assert machine.turn(run_id).status is Status.STUCK
    assert held(machine) == {"vm:a": run_id}
    second = submit(machine, "second", step("take", needs("vm:a")))
    assert machine.turn(second).reason.endswith(", which is stuck")
    machine.engine.cancel(run_id, by="ada")
    machine.turn(run_id)
    assert machine.turn(second).status is Status.DONE


def test_a_person_sees_what_a_run_has(machine: Machine, first: UUID) -> None:
    """`vfo run ID` names it, for whoever wonders why others wait."""
    with machine.store.read() as session:
        assert view.detail(session, machine.run(first))["held"] == ["port:b", "vm:a"]


def test_a_retried_run_has_what_it_had(machine: Machine) -> None:
    """It goes on where it stuck, and does not ask again."""
    told = {"ok": False}
    run_id = submit(
        machine, "x", step("take", needs("vm:a")), step("end", lambda w, _: DONE if told["ok"] and w.held else Stuck("help", "vfo"))
    )
    machine.turn(run_id)
    told["ok"] = True
    machine.engine.retry(run_id, by="ada")
    assert machine.turn(run_id).status is Status.DONE


def test_two_that_wait_for_each_other_do_not_wait_for_ever(machine: Machine, first: UUID, told: dict[str, bool]) -> None:
    """The one that would close the circle gives up what it has, and the other one goes on."""
    machine.workflows["first"] = workflow(*machine.workflows["first"].steps, step("more", needs("host:c")))
    second = submit(machine, "second", step("take", needs("host:c")), step("more", needs("vm:a"), undo=lambda *_: DONE))
    assert machine.turn(second).status is Status.WAITING
    told["first"] = True
    machine.pass_time(1)
    run = machine.turn(first)
    assert run.status is Status.REFUSED
    assert "it would wait for ever: host:c, held by run" in run.reason
    assert machine.turn(second).status is Status.DONE


def test_a_circle_of_three_is_seen(machine: Machine, told: dict[str, bool]) -> None:
    """However far round it goes: the last one to ask gives way, and all the others come to their end."""
    steps = {mine: (step("take", needs(mine)), step("work", until_told(told, "all")), step("more", needs(other))) for mine, other in CIRCLE}
    ids = [submit(machine, mine, *rows) for mine, rows in steps.items()]
    assert [machine.turn(run_id).status for run_id in ids] == [Status.WAITING] * 3
    told["all"] = True
    machine.pass_time(1)
    assert [machine.turn(run_id).status for run_id in ids] == [Status.WAITING, Status.WAITING, Status.REFUSED]
    assert [machine.turn(run_id).status for run_id in reversed(ids[:2])] == [Status.DONE, Status.DONE]


def test_asking_for_what_one_has_is_a_bug_and_not_an_endless_loop(machine: Machine) -> None:
    """A person sees it."""
    run = machine.finish(submit(machine, "x", step("take", lambda *_: Need(("vm:a",)))))
    assert run.status is Status.STUCK
    assert "asks for what its run has already" in run.reason


def test_the_time_of_the_step_goes_on_while_it_waits_for_a_holder(machine: Machine, first: UUID) -> None:
    """A run does not wait longer than its step may take."""
    second = submit(machine, "second", step("take", needs("vm:a"), timeout=timedelta(minutes=10)))
    run = machine.finish(second)
    assert (run.status, machine.run(first).status) == (Status.REFUSED, Status.WAITING)
    assert "take took longer than 0:10:00: waits for vm:a" in run.reason


def test_a_worker_that_lost_its_run_takes_nothing_for_it(machine: Machine) -> None:
    """What its step still asks for does not count."""

    def late(_: World, __: Data) -> Outcome:
        machine.pass_time(60)
        with machine.store.write() as session:
            assert claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease) is not None
        return Need(("vm:a",))

    run_id = submit(machine, "x", step("take", late))
    machine.turn(run_id)
    assert held(machine) == {}


def test_things_of_different_pools_are_different(machine: Machine, first: UUID) -> None:
    """The same name in another pool is another thing."""
    machine.workflows["other"] = workflow(step("take", needs("vm:a")))
    other = machine.engine.submit(Request("other", "pool 2", "vm:a", "VM a"))[0].id
    assert machine.turn(other).status is Status.DONE
    assert machine.run(first).status is Status.WAITING


CRASHING = workflow(step("take", needs("vm:a")), step("work", lambda *_: DONE), step("more", needs("vm:a", "host:c")))


@pytest.mark.parametrize("crash", crashes.of(CRASHING), ids=str)
def test_a_crash_anywhere_neither_loses_nor_keeps_a_thing(machine: Machine, crash: crashes.Crash) -> None:
    """The next worker finds what the run has; at the end nothing is held."""
    machine.workflows["work"] = crash.into(CRASHING)
    run = crashes.survive(machine, machine.submit())
    assert (run.status, run.data["has"], held(machine)) == (Status.DONE, ["host:c", "vm:a"], {})


def test_an_approval_wakes_who_waits_for_it_and_the_step_sees_who_gave_it(machine: Machine) -> None:
    """The history says so; a second approval changes nothing."""

    def asks(world: World, data: Data) -> Outcome:
        data["by"] = world.approved_by
        return DONE if world.approved_by else Wait("to be approved", on=wake_on_approval(world.run_id), at_most=timedelta(days=1))

    run_id = submit(machine, "x", step("ask", asks))
    assert machine.turn(run_id).status is Status.WAITING
    machine.engine.approve(run_id, by="ada")
    machine.engine.approve(run_id, by="bob")
    run = machine.turn(run_id)
    assert (run.status, run.data, run.approved_by) == (Status.DONE, {"by": "ada"}, "ada")
    assert machine.story(run_id) == [("ask", "wait"), ("ask", "approve"), ("ask", "done")]


def test_an_approval_while_the_step_looks_is_not_lost(machine: Machine) -> None:
    """The run is parked, and due at once."""

    def asks(world: World, _: Data) -> Outcome:
        if world.approved_by:
            return DONE
        machine.engine.approve(run_id, by="ada")
        return Wait("to be approved", on=wake_on_approval(run_id), at_most=timedelta(days=1))

    run_id = submit(machine, "x", step("ask", asks))
    assert machine.turn(run_id).due_at == machine.now
    assert machine.turn(run_id).status is Status.DONE


def lets_go(*things: str, until: dict[str, bool]) -> Act:
    """Lets go of the things, and waits until the test says so."""

    def act(world: World, data: Data) -> Outcome:
        if until.get("go on"):
            data["still"] = sorted(world.held)
            return DONE
        return Wait("for the test", at_most=timedelta(seconds=1), lets_go=things)

    return act


def test_what_is_let_go_others_have_at_once(machine: Machine, told: dict[str, bool]) -> None:
    """Whoever waits for it is woken by the same record; the rest stays with the run."""
    first = submit(
        machine,
        "first",
        step("take", needs("vm:a", "host:c")),
        step("wait", until_told(told, "first")),
        step("free", lets_go("vm:a", until=told)),
    )
    machine.turn(first)
    second, third = (submit(machine, name, step("take", needs(thing))) for name, thing in (("second", "vm:a"), ("third", "host:c")))
    for run_id in (second, third):
        assert machine.turn(run_id).status is Status.WAITING
    told["first"] = True
    machine.pass_time(1)
    machine.turn(first)
    assert held(machine) == {"host:c": first}
    assert machine.run(second).due_at == machine.now
    assert machine.turn(second).status is Status.DONE
    assert machine.turn(third).status is Status.WAITING
    told["go on"] = True
    machine.pass_time(1)
    assert machine.turn(first).data["still"] == ["host:c"]


def test_what_was_let_go_can_be_had_again(machine: Machine) -> None:
    """In the same turn too: the worker knows that the run has it no more."""
    once: list[bool] = []

    def frees(_: World, __: Data) -> Outcome:
        once.append(True)
        return DONE if len(once) > 1 else Wait("a moment", at_most=timedelta(), lets_go=("vm:a",))

    run = machine.finish(submit(machine, "x", step("take", needs("vm:a")), step("free", frees), step("more", needs("vm:a", "vm:b"))))
    assert (run.status, run.data["has"], held(machine)) == (Status.DONE, ["vm:a", "vm:b"], {})


def test_what_another_run_has_is_not_let_go_for_it(machine: Machine, first: UUID, told: dict[str, bool]) -> None:
    """A run lets go of its own things alone."""
    second = submit(machine, "second", step("free", lets_go("vm:a", until=told)))
    assert machine.turn(second).status is Status.WAITING
    assert held(machine) == {"vm:a": first, "port:b": first}


FREEING = workflow(
    step("take", needs("vm:a", "host:c")),
    step("free", lambda world, _: Wait("freed", at_most=timedelta(), lets_go=("vm:a",)) if "vm:a" in world.held else DONE),
    step("more", needs("vm:b", "host:c")),
)


@pytest.mark.parametrize("crash", crashes.of(FREEING), ids=str)
def test_a_crash_around_letting_go_neither_loses_nor_keeps_a_thing(machine: Machine, crash: crashes.Crash) -> None:
    """What was not recorded is let go by the next worker."""
    machine.workflows["work"] = crash.into(FREEING)
    run = crashes.survive(machine, machine.submit())
    assert (run.status, run.data["has"], held(machine)) == (Status.DONE, ["host:c", "vm:b"], {})


def test_a_worker_that_lost_its_run_lets_go_of_nothing(machine: Machine) -> None:
    """Whoever has the run now has its things as well."""

    def late(_: World, __: Data) -> Outcome:
        machine.pass_time(60)
        with machine.store.write() as session:
            assert claims.claim(session, run_id, now=machine.now, lease=machine.timing.lease) is not None
        return Wait("freed", lets_go=("vm:a",))

    run_id = submit(machine, "x", step("take", needs("vm:a")), step("free", late))
    machine.turn(run_id)
    assert held(machine) == {"vm:a": run_id}
