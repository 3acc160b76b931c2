"""The calls into pools that a run's steps made."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from orchestrator import calls_made
from orchestrator.calls_made import Line
from state import history
from state.run import Run


def of(session: Session, run: Run) -> list[dict[str, Any]]:
    """What each step called, oldest first; at last what the step at hand has called of which its history does not tell yet."""
    entries = history.calls(session, run.id)
    if run.calls:
        entries.append({"seq": None, "at": run.updated_at, "step": run.step or "", "outcome": None, "calls": run.calls})
    return [_row(entry, calls_made.lines(entry["calls"]), calls_made.more(entry["calls"])) for entry in entries]


def _row(entry: Mapping[str, Any], lines: list[Line], more: int) -> dict[str, Any]:
    return {
        "entry": entry["seq"],
        "at": entry["at"],
        "step": entry["step"],
        "outcome": entry["outcome"],
        "count": sum(line.times for line in lines) + more,
        "milliseconds": round(sum(line.milliseconds for line in lines), 1),
        "calls": [
            {"call": one.call, "subject": one.subject, "milliseconds": one.milliseconds, "error": one.error, "times": one.times}
            for one in lines
        ],
        "more": more,
    }
