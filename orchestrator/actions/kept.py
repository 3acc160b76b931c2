"""The openings of a window that are being kept."""

from datetime import datetime
from typing import Any
from uuid import UUID

from orchestrator.actions.desk import Desk
from orchestrator.views import kept as view
from state import backups, jobs, runs, standing
from workflows import keep_window

MOST = 500  # backups at work that are asked how far they are


def kept(at: Desk, name: str) -> list[dict[str, Any]]:
    """Each opening of the window that is kept now, one in a pool at most: who was saved, who is at work, who waits. No pool is asked."""
    now = at.clock()
    found = []
    with at.store.read() as session:
        for run in standing.active(session, keep_window.NAME):
            if run.subject == f"window:{name}":
                began = sorted(map(UUID, run.data.get("at_work", ())))[:MOST]
                children = {run_id: child for run_id in began if (child := runs.get(session, run_id)) is not None}
                lines = backups.since(session, datetime.fromisoformat(run.data["opens"]))
                found.append(view.kept(run, lines, children, jobs.of_runs(session, began), now))
    return found
