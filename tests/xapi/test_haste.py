import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from orchestrator.xapi import haste
from orchestrator.xapi.haste import Haste
from tests.engine.waiting import until
from workflows.ports import Gone, Transient

Release = Callable[[], None]


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """What hangs until it is set; at the end it is, so that no thread stays."""
    over = threading.Event()
    yield over
    over.set()


def raise_gone() -> None:
    raise Gone("HANDLE_INVALID")


def test_what_a_call_comes_to_is_what_it_came_to() -> None:
    """Its answer, or its error, whose name stays."""
    quick = Haste("lab", timedelta(seconds=30))
    assert quick.ask(lambda: 7) == 7
    with pytest.raises(Gone):
        quick.ask(raise_gone)


def test_a_pool_that_says_nothing_is_waited_for_once(hanging: threading.Event) -> None:
    """Who comes while a call hangs is told so at once, and calls nobody; it is asked again when that call has had its answer."""
    quick, calls = Haste("lab", timedelta(seconds=0.1)), list[int]()
    with pytest.raises(Transient, match="pool lab does not answer: nothing came"):
        quick.ask(hanging.wait)
    for _ in range(100):
        with pytest.raises(Transient, match="pool lab does not answer now: it is asked already") as refused:
            quick.ask(lambda: calls.append(1))
        assert refused.value.code == haste.CODE
    assert calls == []
    hanging.set()
    until(lambda: not quick._silent)
    assert Haste("lab", timedelta(seconds=30)).ask(lambda: "again") == "again"


def test_a_pool_that_was_silent_is_tried_by_one_at_a_time(hanging: threading.Event) -> None:
    """A call that was cut, or did not get there, is no answer: the next one tries alone, and has less time."""
    quick = Haste("lab", timedelta(seconds=0.1))

    def cut() -> None:
        hanging.wait()
        raise Transient("CONNECTION_CUT")

    with pytest.raises(Transient):
        quick.ask(cut)
    hanging.set()
    until(lambda: quick._inside == 0)
    assert quick._silent
    quick.longest = 30.0  # the bound of one who tries is another
    assert quick.ask(lambda: "spoken") == "spoken"
    assert not quick._silent


def test_no_more_are_in_a_pool_than_it_has_places_for(hanging: threading.Event) -> None:
    """Who finds none waits until one is free, and of those not all: the threads of the web are for other pools too."""
    quick, answers = Haste("lab", timedelta(seconds=100)), list[str]()

    def ask(number: int) -> None:
        def act() -> str:
            hanging.wait()
            return str(number)

        try:
            quick.ask(act)
            answers.append("answered")
        except Transient as error:
            answers.append(error.code)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(3 * haste.MOST)]
    for thread in asking:
        thread.start()
    until(lambda: len(answers) >= haste.MOST)  # those for whom there was no place even to wait
    hanging.set()
    for thread in asking:
        thread.join(60)
    assert quick._inside == quick._in_line == 0
    assert answers.count("answered") >= haste.MOST
    assert set(answers) <= {"answered", haste.CODE}
