from datetime import timedelta

import pytest

from orchestrator.engine import faults
from orchestrator.engine.faults import Abandon, Again
from plugins.errors import GiveUp, RetryLater
from workflows.ports import Bug, Busy, Denied, Gone, LockedOut, Refused, Transient, Unknown


@pytest.mark.parametrize("error", [Busy("OTHER_OPERATION_IN_PROGRESS"), Unknown("CONNECTION_CUT"), RetryLater("vendor busy")])
def test_what_may_pass_is_tried_again_until_the_step_s_time_is_over(error: Exception) -> None:
    """A step looks before it acts, so that a call of unknown fate may be followed by the step itself."""
    verdict = faults.judge(error, tries=4)
    assert isinstance(verdict, Again)
    assert (verdict.tries, verdict.unreachable, verdict.reason) == (None, False, str(error))


def test_a_pool_that_is_away_is_told_from_one_that_says_no() -> None:
    """While it is away nothing else could be done there either."""
    verdict = faults.judge(Transient("CONNECTION_REFUSED"), tries=4)
    assert isinstance(verdict, Again)
    assert verdict.unreachable


def test_who_asks_for_a_pause_gets_it() -> None:
    """RetryLater knows better than the back-off."""
    verdict = faults.judge(RetryLater("later", after=timedelta(minutes=3)), tries=4)
    assert isinstance(verdict, Again)
    assert verdict.after == timedelta(minutes=3)


@pytest.mark.parametrize(
    "error", [Gone("HANDLE_INVALID", ("VM", "x")), Refused("LICENCE_RESTRICTION"), Denied("RBAC_PERMISSION_DENIED"), GiveUp("never")]
)
def test_what_will_never_work_is_abandoned(error: Exception) -> None:
    """What was done is undone, with the pool's own words as the reason."""
    assert faults.judge(error, tries=4) == Abandon(str(error))


@pytest.mark.parametrize("error", [KeyError("x"), Bug("MESSAGE_METHOD_UNKNOWN"), SystemExit(1)])
def test_what_nobody_foresaw_is_tried_a_few_times_with_evidence(error: BaseException) -> None:
    """The evidence names the places, innermost last, and shows no line of source."""
    with pytest.raises(type(error)) as raised:
        raise error
    verdict = faults.judge(raised.value, tries=4)
    assert isinstance(verdict, Again)
    assert verdict.tries == 4
    assert verdict.evidence is not None
    [place] = verdict.evidence["traceback"]
    assert place.startswith("engine/test_faults.py:")
    assert place.endswith("in test_what_nobody_foresaw_is_tried_a_few_times_with_evidence")


@pytest.mark.parametrize(
    "text",
    [
        "https://root:hunter2@pool",
        "password=hunter2",
        "{'password': 'hunter2'}",
        "token: hunter2",
        'session_id="hunter2"',
        "Authorization=hunter2",
    ],
)
def test_secrets_do_not_get_into_reasons(text: str) -> None:
    """What looks like a password, a token or a session is starred out, the rest is kept."""
    said = faults.in_words(ValueError(f"could not use {text} today"))
    assert "hunter2" not in said
    assert said.startswith("ValueError: could not use ")
    assert said.endswith("today")


def test_an_error_without_words_has_its_name() -> None:
    """A reason is never empty."""
    assert faults.in_words(ValueError()) == "ValueError"
    assert faults.in_words(RetryLater("")) == "RetryLater"


def test_a_pool_that_lets_nobody_in_is_outwaited_like_one_that_is_away() -> None:
    """Nothing can be undone there either, and a person mends a password without asking what hung on it."""
    verdict = faults.judge(LockedOut("SESSION_AUTHENTICATION_FAILED"), tries=4)
    assert isinstance(verdict, Again)
    assert verdict.unreachable
    assert verdict.tries is None
