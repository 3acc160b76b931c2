import threading

from orchestrator.web.console.glances import Glance
from workflows.ports import Transient


class Slow:
    """Answers when it is let; each answer is the number of the reading."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.readings = 0
        self.fails = False

    def __call__(self) -> int:
        assert self.let.wait(30)
        self.readings += 1
        if self.fails:
            raise Transient("AWAY")
        return self.readings


def test_a_page_waits_for_a_pool_no_longer_than_it_has_to() -> None:
    """Of which nothing is known is waited for; what is bearably old is shown at once, and the next reading is begun for who comes after."""
    read = Slow()
    glance = Glance(read)
    assert (glance.get(0, 0.01).value, glance.get(0, 0.01).problem != "") == (None, True)
    read.let.set()
    assert glance.get(60, 30).value == 1
    read.let.clear()
    assert glance.get(0, 30, bearable=60).value == 1
    read.let.set()
    assert (glance.get(0, 30).value or 0) >= 2


def test_what_was_seen_last_stays_while_a_pool_is_away() -> None:
    """With why there is nothing newer; all that ask at once cost one reading."""
    read = Slow()
    read.let.set()
    glance = Glance(read)
    assert glance.get(60, 30).value == 1
    read.fails = True
    assert glance.take() is None
    assert (glance.last.value, glance.last.problem) == (1, "AWAY")
    seen = [glance.get(60, 30) for _ in range(10)]
    assert ({one.value for one in seen}, read.readings) == ({1}, 2)
