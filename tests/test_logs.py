"""What the daemon writes to standard error."""

import logging
from collections.abc import Iterator

import pytest

from orchestrator import logs


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """The root logger is everybody's: what it was it is again."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _refuse(body: str) -> None:
    raise RuntimeError(f"{len(body)} bytes were refused")


@pytest.mark.parametrize("shape", ["text", "json"])
def test_a_traceback_shows_no_variable(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A frame of a login holds the password: the log says where it failed, and with which error, and nothing that a variable held."""
    logs.set_up("info", shape)
    body = "".join(("hun", "ter2"))
    try:
        _refuse(body)
    except RuntimeError:
        logging.getLogger("vfo").exception("not logged in")
    written = capsys.readouterr().err
    assert "7 bytes were refused" in written
    assert "test_logs.py" in written
    assert body not in written
