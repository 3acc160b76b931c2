"""The order of a window, its limits, and what does not fit."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows import estimates, planning
from workflows.planning import Candidate
from workflows.policies import Limits

NOW = datetime(2026, 11, 22, 22, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
FREE = Limits(pool=None, host=None, sr=None, port=None)


def candidate(name: str, *, takes: timedelta = HOUR, priority: int = 0, saved: datetime | None = NOW, **load: object) -> Candidate:
    return Candidate(name, name, "nightly", priority, saved, takes, **load)  # type: ignore[arg-type]


def names(candidates: list[Candidate]) -> list[str]:
    return [one.name for one in candidates]


def test_the_highest_priority_goes_first_and_then_the_most_overdue() -> None:
    """One that was never saved is the most overdue of all; among equals the name decides."""
    waiting = [
        candidate("yesterday", saved=NOW - 24 * HOUR),
        candidate("b-today"),
        candidate("a-today"),
        candidate("never", saved=None),
        candidate("important", priority=5),
    ]
    begun, late = planning.startable(waiting, [], FREE, NOW, None)
    assert names(begun) == ["important", "never", "yesterday", "a-today", "b-today"]
    assert late == []


def test_what_would_not_be_through_before_the_end_is_late() -> None:
    """One that ends at the very end still fits."""
    fits, does_not = candidate("fits", takes=HOUR), candidate("does not", takes=HOUR + MINUTE)
    assert planning.startable([does_not, fits], [], FREE, NOW, NOW + HOUR) == ([fits], [does_not])


@pytest.mark.parametrize(
    ("limits", "begun"),
    [
        (Limits(2, None, None, None), ["a", "b"]),
        (Limits(None, 1, None, None), ["a", "c"]),
        (Limits(None, None, 1, None), ["a", "b"]),
        (Limits(None, None, None, 1), ["a", "b", "d"]),
    ],
)
def test_each_limit_holds_back_those_whom_it_concerns_and_nobody_else(limits: Limits, begun: list[str]) -> None:
    """Who is held back lets those behind him pass."""
    waiting = [
        candidate("a", host="h1", SRs=("s1",), ports=("p1",)),
        candidate("b", host="h1", SRs=("s2",), ports=("p2",)),
        candidate("c", host="h2", SRs=("s1", "s2"), ports=("p1",)),
        candidate("d", host="h2", SRs=("s2",)),
    ]
    assert names(planning.startable(waiting, [], limits, NOW, None)[0]) == begun


def test_those_at_work_count() -> None:
    """A limit of two with one at work leaves room for one."""
    waiting = [candidate("a"), candidate("b")]
    assert names(planning.startable(waiting, [candidate("at work").load], Limits(2, None, None, None), NOW, None)[0]) == ["a"]


def test_the_timeline_begins_the_next_when_one_is_over() -> None:
    """And ends with those who are missed."""
    waiting = [candidate("first", saved=None, takes=HOUR), candidate("second", takes=2 * HOUR), candidate("too long", takes=9 * HOUR)]
    slots = planning.timeline(waiting, Limits(1, None, None, None), NOW, NOW + 8 * HOUR)
    assert [(slot.candidate.name, slot.begins, slot.ends) for slot in slots] == [
        ("first", NOW, NOW + HOUR),
        ("second", NOW + HOUR, NOW + 3 * HOUR),
        ("too long", None, None),
    ]


def test_the_timeline_goes_on_from_those_who_are_at_work() -> None:
    """They count by the limits until they are over by estimate."""
    going = [(NOW + HOUR / 2, candidate("a")), (NOW + HOUR / 2, candidate("b"))]
    slots = planning.timeline([candidate("c"), candidate("d")], Limits(pool=2), NOW, NOW + 2 * HOUR, going)
    assert [(slot.candidate.name, slot.begins) for slot in slots] == [("c", NOW + HOUR / 2), ("d", NOW + HOUR / 2)]


def test_a_limit_of_nothing_leaves_everybody_waiting() -> None:
    """The plan ends and says that all are missed."""
    assert [slot.begins for slot in planning.timeline([candidate("a"), candidate("b")], Limits(pool=0), NOW, NOW + HOUR)] == [None, None]


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), max_size=40),
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)),
)
def test_no_timeline_breaks_a_limit_or_loses_anybody(many: list[tuple[int, ...]], limited: tuple[int, ...]) -> None:
    """At every moment of it, for each thing; who is not in it is missed; what the plan begins first the window does too."""
    waiting = [
        candidate(str(number), takes=takes * MINUTE, priority=priority, host=f"h{host}", SRs=(f"s{SR}",), ports=(f"p{port}",))
        for number, (takes, priority, host, SR, port) in enumerate(many)
    ]
    limits = Limits(*limited)
    slots = planning.timeline(waiting, limits, NOW, NOW + 2 * HOUR)
    assert sorted(slot.candidate.name for slot in slots) == sorted(one.name for one in waiting)
    begun = [(slot.candidate, slot.begins, slot.ends) for slot in slots if slot.begins is not None and slot.ends is not None]
    assert all(ends <= NOW + 2 * HOUR for _, _, ends in begun)
    for _, moment, _ in begun:
        on = Counter(thing for one, begins, ends in begun if begins <= moment < ends for thing in one.load)
        assert all(count <= {**asdict(limits), "vm": 1}[thing.partition(":")[0]] for thing, count in on.items())
    first = planning.startable(waiting, [], limits, NOW, NOW + 2 * HOUR)[0]
    assert first == [one for one, begins, _ in begun if begins == NOW]


def test_a_backup_takes_as_long_as_the_last_ones_did() -> None:
    """The median counts: one bad night does not; the first time the size of the disks does."""
    assert estimates.takes(10**12, [HOUR, 9 * HOUR, HOUR]) == HOUR
    assert estimates.takes(60 * estimates.RATE, []) == estimates.FIXED + MINUTE


def test_a_vm_of_two_policies_is_saved_by_one_after_the_other() -> None:
    """One backup of a VM at a time, whatever the limits."""
    twice = [Candidate("vm", "web", policy, 0, NOW, HOUR) for policy in ("daily", "weekly")]
    slots = planning.timeline(twice, FREE, NOW, None)
    assert [slot.begins for slot in slots] == [NOW, NOW + HOUR]
