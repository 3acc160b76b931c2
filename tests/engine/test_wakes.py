import pytest

from orchestrator.engine.wakes import Mark, Wakes
from state.store import Store


@pytest.fixture
def wakes() -> Wakes:
    """What one process remembers."""
    return Wakes()


def came(wakes: Wakes, store: Store, mark: Mark, key: str) -> bool:
    with store.write() as session:
        return wakes.came(session, mark, key)


def marked(wakes: Wakes, store: Store) -> Mark:
    with store.write() as session:
        return wakes.mark(session)


def test_a_wake_after_the_mark_is_remembered(store: Store, wakes: Wakes) -> None:
    """And one before it is not held against the step, which has seen it."""
    wakes.note(["before"])
    mark = marked(wakes, store)
    wakes.note(["after"])
    assert [came(wakes, store, mark, key) for key in ("before", "after", "never")] == [False, True, False]


def test_what_was_forgotten_since_the_mark_is_taken_for_woken(store: Store) -> None:
    """One look too many is cheap, one too few may cost an hour."""
    wakes = Wakes(kept=3)
    mark = marked(wakes, store)
    wakes.note(["lost", "a", "b", "c"])
    assert came(wakes, store, mark, "lost")
    assert came(wakes, store, mark, "anything")
    assert not came(wakes, store, marked(wakes, store), "anything")


def test_a_key_that_is_woken_again_is_not_forgotten_first(store: Store) -> None:
    """The oldest wake goes, not the oldest key."""
    wakes = Wakes(kept=2)
    wakes.note(["busy", "quiet"])
    wakes.note(["busy"])
    mark = marked(wakes, store)
    wakes.note(["new"])
    assert not came(wakes, store, mark, "busy")
    assert came(wakes, store, Mark(), "quiet")


def test_who_notes_a_key_on_which_somebody_parks_is_told(wakes: Wakes) -> None:
    """Until that is through, however many park on it; nobody else is."""
    with wakes.parking("a"):
        with wakes.parking("a"), wakes.parking(None):
            assert wakes.note(["b", "a"])
        assert wakes.note(["a"])
        assert not wakes.note(["b"])
    assert not wakes.note(["a", "b"])
