"""What is kept of the calls of a step."""

from datetime import timedelta
from uuid import uuid4

from orchestrator import calls_made
from orchestrator.calls_made import MOST, Calls
from plugins import bounded

A, B = str(uuid4()), str(uuid4())


def said(calls: Calls) -> list[tuple[str, str | None, int]]:
    return [(one.call, one.subject, one.times) for one in calls_made.lines(calls.packed())]


def test_reads_that_read_the_same_are_one_line() -> None:
    """As long as nothing was changed in between, also after the row was written and read again; their times are added up."""
    calls = Calls()
    for _ in range(3):
        calls.add("VM.get_record", A, 0.001, None)
        calls.add("task.get_record", None, 0.002, None)
    calls.add("VM.get_record", B, 0.001, None)
    again = Calls(calls.packed())
    again.add("VM.get_record", A, 0.001, None)
    again.add("Async.VM.start", A, 0.001, None)
    again.add("Async.VM.start", A, 0.001, None)
    again.add("VM.get_record", A, 0.001, None)
    reads = [("VM.get_record", A, 4), ("task.get_record", None, 3), ("VM.get_record", B, 1)]
    assert said(again) == [*reads, ("Async.VM.start", A, 1), ("Async.VM.start", A, 1), ("VM.get_record", A, 1)]
    assert calls_made.lines(again.packed())[1].milliseconds == 6.0


def test_of_a_step_that_calls_for_ever_the_first_calls_are_kept() -> None:
    """And how many more there were, whoever went on with it."""
    calls = Calls()
    for _ in range(MOST + 5):
        calls.add("VM.add_tags", A, 0.001, None)
    again = Calls(calls.packed())
    again.add("VM.add_tags", A, 0.001, None)
    assert (len(said(again)), calls_made.more(again.packed())) == (MOST, 6)


def test_what_was_sent_is_not_kept() -> None:
    """Of what a call is about only a uuid counts, of an error only a code."""
    calls = Calls()
    calls.add("session.create_from_db_file", "secret", 0.0, "the server's own words: secret")
    assert calls.packed() == {"lines": [["session.create_from_db_file", None, 0.0, "other", 1]], "more": 0}


def test_a_step_without_calls_has_nothing_to_keep() -> None:
    """So that its row stays as small as it was."""
    assert Calls().packed() is Calls(None).packed() is None


def test_what_a_plugins_thread_calls_is_its_steps() -> None:
    """Who waits for the thread is who calls; afterwards nobody notes anything."""

    def hook() -> None:
        at_work = calls_made.at_work()
        assert at_work is not None
        at_work.add("VM.get_record", A, 0.0, None)

    calls = Calls()
    with calls_made.noted(calls):
        bounded.call(hook, timedelta(seconds=60), "a hook")
    assert said(calls) == [("VM.get_record", A, 1)]
    assert calls_made.at_work() is None
