"""Calling what may never come back: in a thread of its own, which is waited for as long as the caller says and then left behind."""

import contextvars
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

from plugins.errors import PluginError

T = TypeVar("T")


class Late(Exception):
    """It took longer than it may; its thread is left behind."""


class Call(Generic[T]):
    """One call at work. *name*: of its thread, so that who is left behind is seen in a dump."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._value: list[T] = []
        context = contextvars.copy_context()  # what is noted of the caller's thread is noted of this one
        threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True).start()

    @property
    def over(self) -> bool:
        """Whether it has come back."""
        return self._over.is_set()

    def result(self, within: timedelta) -> T:
        """What it gave, or what it raised. Raises Late when it is not back in time, PluginError when it tried to end the process."""
        if not self._over.wait(within.total_seconds()):
            raise Late(f"it has not come back within {within.total_seconds():g} s")
        if isinstance(self._error, Exception):
            raise self._error
        if self._error is not None:
            raise PluginError(f"it tried to end the process: {self._error!r}") from self._error
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits; a plugin's sys.exit() must not pass as an answer
            self._error = error
        finally:
            self._over.set()


def call(work: Callable[[], T], within: timedelta, name: str) -> T:
    """What *work* gives, or raises. Raises Late when it is not back in time."""
    return Call(work, name).result(within)
