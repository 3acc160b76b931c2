"""What holds up one page holds up nobody else, and ends when the process does."""

import asyncio
import threading
from typing import Any

import httpx2
import pytest

from orchestrator.web.app import create_app
from orchestrator.web.console import liveness
from orchestrator.web.console.counter import Counter
from orchestrator.web.console.glances import Glance
from orchestrator.web.console.watching import Rows, Watcher
from state.store import Away
from tests.console.test_door import signed_in
from tests.engine.waiting import until
from tests.web.conftest import Web
from tests.web.loops import carry_out

PATIENCE = 60


def test_a_page_of_an_error_that_waits_for_the_rows_keeps_nobody_waiting(web: Web) -> None:
    """While it waits for somebody who writes, others are answered."""
    from datetime import timedelta

    signed_in(web)
    web.now += timedelta(minutes=5)  # that they were seen is to be written
    writes, over = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def write() -> None:
        with web.store.write():
            writes.set()
            in_time.append(over.wait(PATIENCE))

    async def main() -> None:
        transport = httpx2.ASGITransport(app=create_app(web.office))
        cookies = {cookie.name: cookie.value or "" for cookie in web.client.cookies.jar}
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost", cookies=cookies) as client:
            failing = asyncio.create_task(client.post("/login", json={}))
            for _ in range(50):
                assert (await client.get("/static/favicon.svg")).status_code == 200
            over.set()
            assert (await failing).status_code == 415

    writer = threading.Thread(target=write)
    writer.start()
    assert writes.wait(PATIENCE)
    carry_out(main())
    writer.join()
    assert in_time == [True]


def test_who_watches_a_pool_goes_on_after_a_look_that_failed() -> None:
    """The database was away, or what was seen could not be drawn: pages that are open see what comes then."""
    looks, told = [0], list[Rows]()

    def read() -> Rows:
        looks[0] += 1
        if looks[0] == 2:
            raise Away("the database is away")
        return [{"look": looks[0]}]

    def tell(_: Rows | None, after: Rows) -> None:
        told.append(after)
        if len(told) == 1:
            raise RuntimeError("it cannot be drawn")

    watcher = Watcher("lab", Glance(read), tell)
    watcher.start()
    until(lambda: (watcher.look_anew(), len(told) >= 2)[1])
    watcher.stop()


def test_streams_of_open_pages_end_with_the_office(web: Web) -> None:
    """A page that is open keeps no process from ending: it comes again, to whoever is there then."""
    counter: Counter = create_app(web.office).state.console

    async def main() -> None:
        listener = counter.liveness.come(frozenset({"runs"}))
        web.office.close()
        async with asyncio.timeout(PATIENCE):
            async for _ in listener.heard():
                pass
        counter.liveness.go(listener)

    carry_out(main())


def test_pages_stay_live_after_what_nobody_expected(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told was cut off by a mistake: pages that are open are told to draw anew, and what happens then."""
    counter: Counter = create_app(web.office).state.console
    monkeypatch.setattr(liveness, "AGAIN", 0.01)
    looker, looks = web.office.live._looker, web.office.live._looker.look
    fails = threading.Event()

    def look() -> Any:
        if fails.is_set():
            fails.clear()
            raise ValueError("a mistake")
        return looks()

    monkeypatch.setattr(looker, "look", look)

    async def main() -> None:
        listener = counter.liveness.come(frozenset({"runs"}))
        heard = listener.heard()
        async with asyncio.timeout(PATIENCE):
            while not (await anext(heard)).startswith("event: runs"):
                pass
            fails.set()
            while not (await anext(heard)).startswith("event: runs"):
                pass
        assert not fails.is_set()
        counter.liveness.go(listener)

    carry_out(main())
