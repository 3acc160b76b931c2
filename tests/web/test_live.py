"""What is told of changes, to who listens."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.web import live as lives
from orchestrator.web.live import Change, Live
from state import claims, history, runs, woken
from state.history import Entry
from state.run import Run
from state.store import Store
from tests.engine.waiting import until
from tests.state.conftest import KINDS
from tests.state.moments import START, later, wanted
from tests.web.loops import carry_out

PATIENCE = 60.0


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, of each kind."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = Store(url)
    yield opened
    opened.close()


@pytest.fixture
def live(store: Store) -> Iterator[Live]:
    made = Live(store, ["pool"])
    yield made
    made.close()
    until(lambda: made._thread is None)


def create(store: Store, subject: str = "vm:1", at: float = 0) -> Run:
    with store.write() as session:
        return runs.create(session, wanted(subject), now=later(at))[0]


def record(store: Store, run: Run, *steps: str) -> None:
    for step in steps:
        with store.write() as session:
            history.add(session, run.id, Entry(step, "done", f"{step} is done"), now=START)


async def told(stream: AsyncIterator[Change | None], is_last: Callable[[Change], bool]) -> list[Change]:
    """All that is told until that."""
    found: list[Change] = []
    async with asyncio.timeout(PATIENCE):
        async for change in stream:
            if change is not None:
                found.append(change)
                if is_last(change):
                    return found
    raise AssertionError(f"the stream ended: {found}")


def at_step(step: str) -> Callable[[Change], bool]:
    return lambda change: bool(change.data.get("entry")) and change.data["entry"]["step"] == step


def steps(changes: list[Change]) -> list[str]:
    return [change.data["entry"]["step"] for change in changes if change.data.get("entry")]


def test_what_is_recorded_is_told_to_all(store: Store, live: Live) -> None:
    """In order, once, with the run as it stands; what was before is no news."""
    run = create(store)
    record(store, run, "before")

    async def main() -> None:
        streams = [live.follow(beat=0.01) for _ in range(2)]
        for stream in streams:
            assert await anext(stream) is None
        await asyncio.to_thread(record, store, run, "one", "two", "three")
        for stream in streams:
            found = await told(stream, at_step("three"))
            assert steps(found) == ["one", "two", "three"]
            assert found[0].data["id"] == run.id
            assert len({change.id for change in found}) == len(found)

    carry_out(main())


def test_a_run_that_is_begun_or_changes_is_told(store: Store, live: Live) -> None:
    """Also where nothing is recorded of it."""

    async def main() -> None:
        stream = live.follow(beat=0.01)
        await anext(stream)
        run = await asyncio.to_thread(create, store, "vm:new", 5)
        (first, *_) = await told(stream, lambda change: change.data.get("id") == run.id)
        assert (first.kind, first.data["entry"], first.data["status"]) == ("run", None, "ready")

        def take() -> None:
            with store.write() as session:
                claims.claim(session, run.id, now=later(6), lease=timedelta(seconds=9))

        await asyncio.to_thread(take)
        await told(stream, lambda change: change.data.get("status") == "running")

    carry_out(main())


def test_who_comes_again_gets_what_was_missed(store: Store, live: Live) -> None:
    """While others listen as it was told, each once; when nobody did, from the rows, with a word to look at the pools anew."""
    run = create(store)

    async def main() -> None:
        other, stream = live.follow(beat=0.01), live.follow(beat=0.01)
        await anext(other)
        await anext(stream)
        await asyncio.to_thread(record, store, run, "one", "two")
        seen = await told(stream, at_step("one"))
        await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.to_thread(record, store, run, "three")
        await told(other, at_step("three"))
        again = await told(live.follow(seen[-1].id), at_step("three"))
        assert steps(again) == ["two", "three"]
        assert "reset" not in {change.kind for change in again}

    carry_out(main())
    until(lambda: live._thread is None)
    record(store, run, "four")

    async def later_on() -> None:
        stream = live.follow("1.another-process.7")
        found = await told(stream, at_step("four"))
        assert found[0].kind == "reset"
        assert set(steps(found)) >= {"two", "three", "four"}

    carry_out(later_on())


@pytest.mark.parametrize("last", ["", "x", "-1", "9" * 30, "1.2.3.4", "ä"])
def test_an_id_that_is_none_is_as_good_as_one_that_is_forgotten(store: Store, live: Live, last: str) -> None:
    """What comes is told; nothing breaks."""
    run = create(store)

    async def main() -> None:
        stream = live.follow(last, beat=0.01)
        await anext(stream)
        await asyncio.to_thread(record, store, run, "one")
        await told(stream, at_step("one"))

    carry_out(main())


def test_what_happens_to_things_of_a_pool_is_told(store: Store, live: Live) -> None:
    """As this process heard it, or as another noted it; many of them as one word; a task is no thing of the pool."""

    def hear(keys: list[str]) -> None:
        if store.is_shared:
            with store.write() as session:
                woken.note(session, keys)
        else:
            live.heard(keys)

    async def main() -> None:
        stream = live.follow(beat=0.01)
        await anext(stream)
        await asyncio.to_thread(hear, ["vm:pool:u1", "task:pool:OpaqueRef:1", "run:x"])
        found = await told(stream, lambda change: change.kind == "object")
        assert [change.data for change in found] == [{"pool": "pool", "class": "vm", "uuid": "u1"}]
        await asyncio.to_thread(hear, [f"vm:pool:u{number}" for number in range(500)])
        assert [change.data for change in await told(stream, lambda change: change.kind == "reset")] == [{"pool": "pool"}]

    carry_out(main())


def test_nothing_is_looked_at_while_nobody_listens(store: Store, live: Live) -> None:
    """The thread ends with the last who listens, and begins with the next."""
    assert live._thread is None

    async def main() -> None:
        stream = live.follow(beat=0.01)
        await anext(stream)
        assert live._thread is not None
        await stream.aclose()  # type: ignore[attr-defined]

    for _ in range(2):
        carry_out(main())
        until(lambda: live._thread is None)


def test_the_streams_end_when_the_process_stops(store: Store, live: Live) -> None:
    """Those that are open, and whoever comes then."""

    async def main() -> None:
        stream = live.follow(beat=0.01)
        await anext(stream)
        live.close()
        async with asyncio.timeout(PATIENCE):
            assert [change async for change in stream if change is not None] == []
            assert [change async for change in live.follow()] == []

    carry_out(main())


def test_who_is_too_slow_is_let_go(store: Store, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory does not grow; they may come again from where they were."""
    monkeypatch.setattr(lives, "BEHIND", 5)
    run = create(store)

    async def main() -> None:
        slow = live.follow(beat=0.01)
        await anext(slow)
        await asyncio.to_thread(record, store, run, *(f"s{number}" for number in range(20)))
        await asyncio.to_thread(until, lambda: len(live._told) >= 20 or live._thread is None)
        found = [change async for change in slow if change is not None]
        assert 0 < len(found) <= 20
        assert steps(found) == [f"s{number}" for number in range(len(steps(found)))]

    carry_out(main())


class Hanging(Store):
    """A database that is away for whoever looks, until it is back; *looks*: how many have tried."""

    back = threading.Event()

    def read(self, *args: Any, **more: Any) -> Any:
        self.back.wait(PATIENCE)
        return super().read(*args, **more)


def test_who_comes_while_the_database_is_away_holds_up_nobody(tmp_path: Path) -> None:
    """They are joined when it is back, one as all; the loop and its threads have other things to do until then."""
    store = Hanging(f"sqlite:///{tmp_path / 'vfo.db'}")
    live = Live(store, ["pool"])

    async def main() -> None:
        coming = [asyncio.ensure_future(anext(live.follow(beat=0.01))) for _ in range(50)]
        assert await asyncio.to_thread(lambda: "free") == "free"
        assert not any(one.done() for one in coming)
        store.back.set()
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.gather(*coming) == [None] * 50

    carry_out(main())
    live.close()
    until(lambda: live._thread is None)
    store.close()


def test_all_are_sent_away_by_what_nobody_expected(store: Store, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who listen and those who come; the next who comes is told again."""
    run = create(store)

    def fail() -> list[Any]:
        raise ValueError("a mistake")

    async def main() -> None:
        stream = live.follow(beat=0.01)
        await anext(stream)
        with monkeypatch.context() as patched:
            patched.setattr(live._looker, "look", fail)
            async with asyncio.timeout(PATIENCE):
                assert [change async for change in stream if change is not None] == []
                assert [change async for change in live.follow()] == []
        again = live.follow(beat=0.01)
        await anext(again)
        await asyncio.to_thread(record, store, run, "one")
        await told(again, at_step("one"))

    carry_out(main())
