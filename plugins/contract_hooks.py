"""What every plugin that acts around backups must do: answer in time, with one of the words that there are, and the same after a crash."""

from collections.abc import Callable
from datetime import timedelta

from plugins import bounded, implementations, testing
from plugins.contract import Bench, Broken, Life, NotOffered
from plugins.errors import GiveUp, Refuse, RetryLater, Skip
from plugins.testing import NOON
from plugins.values import Ended, WindowEnded, WindowOpening

WORDS = (Refuse, Skip, RetryLater, GiveUp)


def _check_of(hook: str, *values: Callable[[Bench], object], told: str = "") -> Callable[[Bench], None]:
    """*told*: how the thing ended, for a hook that is asked for more than one ending."""

    def check(bench: Bench) -> None:
        given = [value(bench) for value in values]
        said = [_said(bench.live(), hook, *given) for _ in range(2)]
        if said[0] != said[1]:
            raise Broken(f"{hook} said {said[0]}, and after a crash, of the same, {said[1]}")

    check.__doc__ = f"{hook}{f', told {told!r},' if told else ''} answers in time, with a word that there is, and the same after a crash"
    check.__name__ = hook
    return check


def _said(life: Life, hook: str, *values: object) -> str:
    """What it said, as a word; an after-hook has nothing to say."""
    if hook not in life.hooks:
        raise NotOffered(f"it has no {hook}")
    implementation = life.hooks[hook]
    try:
        bounded.call(lambda: implementation(*values), life.within, f"{hook} of a plugin that is checked")
    except WORDS as error:
        return type(error).__name__
    except bounded.Late as error:
        raise Broken(f"{hook}: {error}") from None
    except Exception as error:
        raise Broken(f"{hook} raised {type(error).__name__}: {error}: it may raise Refuse, Skip, RetryLater and GiveUp") from error
    return "nothing"


VM = testing.vm()
WINDOW = WindowOpening(VM.run_id, "vfo-check", "vfo-check", NOON, NOON + timedelta(hours=8))
SAVED = Ended("saved", point="a restore point", read=5, stored=3)
FAILED = Ended("failed", "the check says so")

CHECKS: tuple[Callable[[Bench], None], ...] = (
    _check_of("before_window", lambda _: WINDOW),
    _check_of("before_vm", lambda _: VM),
    _check_of("before_snapshot", lambda _: VM),
    _check_of("after_snapshot", lambda _: VM, lambda _: Ended("taken"), told="taken"),
    _check_of("after_snapshot", lambda _: VM, lambda _: FAILED, told="failed"),
    _check_of("before_job", lambda _: VM, lambda bench: bench.sample.snapshot),
    _check_of("after_job", lambda _: VM, lambda _: SAVED, told="saved"),
    _check_of("after_job", lambda _: VM, lambda _: FAILED, told="failed"),
    _check_of("after_vm", lambda _: VM, lambda _: SAVED, told="saved"),
    _check_of("after_vm", lambda _: VM, lambda _: FAILED, told="failed"),
    _check_of("after_window", lambda _: WINDOW, lambda _: WindowEnded(3, 1, 2)),
)


def acts_at_all(found: dict[str, object]) -> bool:
    """Whether a plugin has any of these hooks."""
    return bool(implementations.ACTING.keys() & found.keys())
