from orchestrator.engine.wakes import Wakes


def test_a_wake_after_the_mark_is_remembered() -> None:
    """And one before it is not held against the step, which has seen it."""
    wakes = Wakes()
    wakes.note(["before"])
    mark = wakes.mark()
    wakes.note(["after"])
    assert wakes.since(mark, "after")
    assert not wakes.since(mark, "before")
    assert not wakes.since(mark, "never")


def test_what_was_forgotten_since_the_mark_is_taken_for_woken() -> None:
    """One look too many is cheap, one too few may cost an hour."""
    wakes = Wakes(kept=3)
    mark = wakes.mark()
    wakes.note(["lost", "a", "b", "c"])
    assert wakes.since(mark, "lost")
    assert wakes.since(mark, "anything")
    assert not wakes.since(wakes.mark(), "anything")


def test_a_key_that_is_woken_again_is_not_forgotten_first() -> None:
    """The oldest wake goes, not the oldest key."""
    wakes = Wakes(kept=2)
    wakes.note(["busy", "quiet"])
    wakes.note(["busy"])
    mark = wakes.mark()
    wakes.note(["new"])
    assert not wakes.since(mark, "busy")
    assert wakes.since(0, "quiet")
