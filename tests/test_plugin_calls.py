"""Calls of plugins: every call has its time, and whatever a plugin does comes back as one of few answers."""

import threading
import types
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.plugin_calls import PluginCalls
from plugins import hooks, implementations, testing
from plugins.errors import GiveUp, Refuse, RetryLater, Skip, SourceError
from plugins.kit import Source
from plugins.manager import HOOKS, PRODUCTS, Instance, Plugins
from plugins.values import Ended, Needs, Progress, RestorePoint, Snapshot
from tests.engine.waiting import until

VM = testing.vm()
SAMPLE = testing.sample(4096)
SHORT, LONG = timedelta(seconds=0.1), timedelta(seconds=20)
ENDED = Ended("saved")


def instance(name: str, section: str = HOOKS, **functions: Callable[..., Any]) -> Instance:
    plugin = types.SimpleNamespace(**{hook: hooks.hookimpl(function) for hook, function in functions.items()})
    return Instance(section, name, "test", implementations.of(plugin))


def calls(*instances: Instance) -> PluginCalls:
    return PluginCalls(Plugins(instances), lambda _pool, _snapshot: SAMPLE.source())


def raising(error: BaseException) -> Callable[[], None]:
    def raises() -> None:
        raise error

    return raises


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Something that a plugin waits for; it is there at the latest when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_hooks_are_called_in_order_and_those_that_come_after_in_the_opposite_one() -> None:
    """What was frozen last is thawed first (story 65)."""
    said: list[str] = []
    both = [instance(name, before_vm=lambda name=name: said.append(name), after_vm=lambda name=name: said.append(name)) for name in "ab"]
    made = calls(*both)
    made.act("before_vm", ["a", "b"], VM, timeout=LONG)
    made.act("after_vm", ["a", "b"], VM, ENDED, timeout=LONG)
    assert said == ["a", "b", "b", "a"]


@pytest.mark.parametrize(
    ("error", "end", "reason"),
    [
        (Refuse("no"), "refuse", "no"),
        (Skip("nothing to do"), "skip", "nothing to do"),
        (RetryLater("busy", after=LONG), "later", "busy"),
        (GiveUp("never"), "give-up", "never"),
        (KeyError("x"), "failed", "KeyError: 'x'"),
        (SystemExit(3), "failed", "it tried to end the process"),
    ],
)
def test_what_a_hook_raises_is_its_verdict(error: BaseException, end: str, reason: str) -> None:
    """Nothing that a plugin raises reaches a step; those behind it are not asked."""
    made = calls(instance("a", before_vm=raising(error)), instance("b", before_vm=lambda: None))
    (verdict,) = made.act("before_vm", ["a", "b"], VM, timeout=LONG)
    assert (verdict.plugin, verdict.end) == ("a", end)
    assert reason in verdict.reason
    assert verdict.after == (LONG if end == "later" else None)


def test_hooks_that_come_after_are_all_called() -> None:
    """What one raises changes nothing for the others (story 63)."""
    made = calls(instance("a", after_vm=lambda: None), instance("b", after_vm=raising(GiveUp("never"))))
    assert [verdict.end for verdict in made.act("after_vm", ["a", "b"], VM, ENDED, timeout=LONG)] == ["give-up", "ok"]


def test_a_plugin_without_the_hook_is_left_out_and_one_that_is_broken_fails() -> None:
    """A policy that names what cannot be used is not quietly saved without it."""
    broken = Instance(HOOKS, "broken", "test", problem="settings are wrong")
    made = calls(instance("a", after_vm=lambda: None), broken)
    (verdict,) = made.act("before_vm", ["a", "broken"], VM, timeout=LONG)
    assert (verdict.plugin, verdict.end) == ("broken", "failed")
    assert "settings are wrong" in verdict.reason


def test_a_hook_that_is_late_is_left_and_not_called_again_before_it_has_come_back(held: threading.Event) -> None:
    """Its thread is left behind once, not once a VM (story 64)."""
    called: list[int] = []

    def slow() -> None:
        called.append(1)
        held.wait()

    made = calls(instance("a", before_vm=slow))
    assert [made.act("before_vm", ["a"], testing.vm(), timeout=SHORT)[0].end for _ in range(3)] == ["late"] * 3
    assert called == [1]
    held.set()
    until(lambda: made.act("before_vm", ["a"], VM, timeout=LONG)[0].end == "ok")


def test_a_late_thaw_of_one_vm_does_not_keep_another_frozen(held: threading.Event) -> None:
    """An after-hook is called for other VMs while one call hangs, for the same VM it is not."""
    other = testing.vm()

    def thaw(vm: object) -> None:
        if vm == VM:
            held.wait()

    made = calls(instance("a", after_snapshot=thaw))
    assert made.act("after_snapshot", ["a"], VM, Ended("taken"), timeout=SHORT)[0].end == "late"
    assert made.act("after_snapshot", ["a"], other, Ended("taken"), timeout=LONG)[0].end == "ok"
    assert made.act("after_snapshot", ["a"], VM, Ended("taken"), timeout=LONG)[0].end == "late"


def product(**functions: Callable[..., Any]) -> PluginCalls:
    return calls(instance("nas", PRODUCTS, **functions))


def test_a_product_is_called_with_its_source() -> None:
    """start_backup gets the pool's data."""
    got: list[object] = []

    def start_backup(vm: object, snapshot: object, source: object) -> str:
        got.extend((vm, snapshot, source))
        return "job"

    assert product(start_backup=start_backup).start("nas", VM, SAMPLE.snapshot) == "job"
    assert got[:2] == [VM, SAMPLE.snapshot]
    assert hasattr(got[2], "open_disk")


@pytest.mark.parametrize("error", [RetryLater("busy"), GiveUp("never")])
def test_a_product_steers_its_run(error: Exception) -> None:
    """RetryLater and GiveUp come through as they are."""
    with pytest.raises(type(error), match=str(error)):
        product(poll_backup=raising(error)).poll("nas", "job")


def test_whatever_else_a_product_raises_is_given_up_with_its_name() -> None:
    """The reason names the table and the hook."""
    with pytest.raises(GiveUp, match=r"\[products.nas\] failed in poll_backup: ValueError: x"):
        product(poll_backup=raising(ValueError("x"))).poll("nas", "job")


@pytest.mark.parametrize(
    ("hook", "answer", "ask"),
    [
        ("start_backup", None, lambda made: made.start("nas", VM, SAMPLE.snapshot)),
        ("poll_backup", "done", lambda made: made.poll("nas", "job")),
        ("needs", "nothing", lambda made: made.needs("nas", VM)),
        ("list_backups", [1], lambda made: made.points("nas")),
        ("list_backups", None, lambda made: made.points("nas")),
        ("verify_backup", True, lambda made: made.verify("nas", None)),
        ("forget_backups", True, lambda made: made.forget("nas", [None])),
        ("open_disk", b"bytes", lambda made: made.open_disk("nas", None, 0)),
    ],
)
def test_an_answer_of_the_wrong_type_is_given_up(hook: str, answer: object, ask: Callable[[PluginCalls], object]) -> None:
    """It is told what was answered, instead of failing somewhere else."""
    with pytest.raises(GiveUp, match=f"answered {hook} with {type(answer if answer != [1] else 1).__name__}: it must be"):
        ask(product(**{hook: lambda: answer}))


def test_a_product_without_a_hook_says_so() -> None:
    """But for needs, which need not be said."""
    made = product(poll_backup=lambda: Progress("done"))
    with pytest.raises(GiveUp, match="has no verify_backup"):
        made.verify("nas", None)  # type: ignore[arg-type]
    assert made.needs("nas", VM) is None
    assert product(needs=lambda: Needs("job")).needs("nas", VM) == Needs("job")


def test_a_product_that_cannot_be_used_is_given_up_with_the_reason() -> None:
    """So that a policy with it is refused, and says why."""
    made = calls(Instance(PRODUCTS, "nas", "test", problem="there is no plugin 'bork'"))
    with pytest.raises(GiveUp, match="there is no plugin 'bork'"):
        made.poll("nas", "job")
    with pytest.raises(GiveUp, match=r"there is no table \[products.tape\]"):
        made.poll("tape", "job")


def test_a_product_that_does_not_end_its_job_is_asked_again() -> None:
    """cancel_backup said that the job may go on."""
    with pytest.raises(RetryLater, match="has not ended its job"):
        product(cancel_backup=lambda: False).cancel("nas", "job")
    product(cancel_backup=lambda: True).cancel("nas", "job")


def test_a_late_product_is_asked_later(held: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker waits for it for ever."""
    from orchestrator import plugin_calls

    def poll() -> None:
        held.wait()

    monkeypatch.setitem(plugin_calls.WITHIN, "poll_backup", SHORT)
    with pytest.raises(RetryLater, match="poll_backup: it has not come back"):
        product(poll_backup=poll).poll("nas", "job")


def test_points_are_told_oldest_first() -> None:
    """Whatever order the product has them in."""
    old, new = (
        RestorePoint(name, "", "lab", "vm", "vm", "p", testing.NOON + timedelta(days=day), ()) for name, day in (("old", 0), ("new", 1))
    )
    assert product(list_backups=lambda: [new, old]).points("nas") == (old, new)


def test_a_source_that_cannot_be_had_is_given_up() -> None:
    """The VM is named."""

    def none(_pool: str, _snapshot: Snapshot) -> Source:
        raise SourceError("there is no such pool")

    made = PluginCalls(Plugins((instance("nas", PRODUCTS, start_backup=lambda: "job"),)), none)
    with pytest.raises(GiveUp, match="there is no such pool"):
        made.start("nas", VM, SAMPLE.snapshot)
