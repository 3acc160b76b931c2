import pytest

from orchestrator.cli import failures
from state.store import Away


def test_a_database_that_went_away_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No trace of frames: nothing is broken but the database."""
    with pytest.raises(SystemExit) as ended, failures.told():
        raise Away("the database x is away: it was restarted")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "vfo: the database x is away: it was restarted\n"


def test_what_nobody_foresaw_is_not_hidden() -> None:
    """A mistake of ours is shown with its place."""
    with pytest.raises(KeyError), failures.told():
        raise KeyError("x")
