"""What every part of the port is made of: the client, the refs, and how a call that takes long is begun."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from orchestrator.xapi.client import Client
from orchestrator.xapi.refs import Memory, Refs
from plugins.errors import RetryLater
from workflows.ports import Bug, Gone

T = TypeVar("T")

OURS = "vfo:"


def assert_ours(text: str) -> None:
    """`Bug` unless a key or a reason that is to be left in a pool says that it is ours."""
    if not text.startswith(OURS):
        raise Bug("NOT_OURS", (text,))


def assert_idle(kind: str, uuid: str, operations: Iterable[str], besides: Collection[str] = ()) -> None:
    """RetryLater while the object has an operation in progress, *besides* these.

    It may be the very one that is to be begun: by us before a crash, or by a call whose answer was lost. (And a second operation on a
    busy object is not refused by xapi: it waits there for up to two hours.)
    """
    busy = sorted(set(operations).difference(besides))
    if busy:
        raise RetryLater(f"{kind} {uuid} is in {', '.join(busy)}")


class Port:
    """One pool, by its client. Shared by all threads."""

    def __init__(self, client: Client) -> None:
        self.name = client.name
        self._client = client
        self._refs = Refs(client)
        self._given: Memory[str, int] = Memory()

    def _on(self, kind: str, uuid: str, act: Callable[[str], T]) -> T:
        """What *act* makes of the object's ref; `Gone` when the object is not there.

        A VM that was destroyed and imported again has its uuid and another ref: when the one that we remember is gone the pool is asked.
        """
        known = self._refs.known(kind, uuid)
        if known is not None:
            try:
                return act(known)
            except Gone as error:
                if known not in error.details:
                    raise
        return act(self._refs.ask(kind, uuid))

    def _start(self, method: str, *params: Any, optional: int = 0) -> str:
        """Start *method* as a task; its ref.

        The last *optional* parameters are younger than pools that are still about: they are left out where they are not known. Xapi counts
        parameters before it does anything.
        """
        return str(self._tolerant(f"Async.{method}", params, optional))

    def _tolerant(self, method: str, params: tuple[Any, ...], optional: int) -> Any:
        least = len(params) - optional
        given = max(least, min(len(params), self._given.get(method) or len(params)))
        while True:
            try:
                result = self._client.call(method, *params[:given])
            except Bug as error:
                if error.code != "MESSAGE_PARAMETER_COUNT_MISMATCH" or given == least:
                    raise
                given -= 1
            else:
                if optional:
                    self._given.put(method, given)
                return result

    def _assert_idle(self, kind: str, ref: str, asked: str, besides: Collection[str] = ()) -> None:
        """As `assert_idle`, by the call that asks for the operations."""
        operations = self._client.fetch(dict[str, str], asked, ref).values()
        assert_idle(kind, self._refs.uuid(kind, ref), operations, besides)
