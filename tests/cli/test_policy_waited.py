"""How `vfo policy run --wait` judges the runs that it waited for."""

from pathlib import Path

import pytest
import typer

from orchestrator.cli import policy
from state import runs
from tests.services import sqlite
from tests.state.moments import START as NOW
from workflows.outcome import Request


@pytest.mark.parametrize(
    ("counted", "code"),
    [({"saved": 2, "skipped": 1}, 0), ({"refused": 1}, 1), ({"failed": 1}, 1), ({"missed": 1}, 1)],
    ids=["skipped", "refused", "failed", "missed"],
)
def test_who_was_skipped_is_well_and_who_was_refused_is_not(tmp_path: Path, counted: dict[str, int], code: int) -> None:
    """As the report has it."""
    store = sqlite.store(tmp_path / "vfo.sqlite3")
    with store.write() as session:
        runs.create(session, Request("keep-window", "lab", "policy:gold", "policy gold", dict(counted)), now=NOW)
    said = 0
    try:
        policy._judge(store, "gold", ["lab"], as_json=True)
    except typer.Exit as end:
        said = end.exit_code
    assert said == code
    store.close()
