"""How the processes stand that share the work."""

from typing import Any

from orchestrator import queues
from orchestrator.config.load import Loaded
from orchestrator.readings import UNFINISHED
from orchestrator.views import cluster as view
from state import runs, standing
from state.clock import Clock
from state.store import Store


def status(loaded: Loaded, store: Store) -> dict[str, Any]:
    """Who lives, who holds what since when, what waits, and what is amiss, as plain values."""
    now = Clock(store)()
    with store.read() as session:
        held, due, counts = standing.held(session, now=now), standing.due(session, now=now), runs.counts(session, UNFINISHED)
    at_once = {name: pool.calls_at_once for name, pool in loaded.pools.items()} if store.is_shared else {}
    return view.cluster(view.Seen(now, held, due, counts, queues.depths(loaded), loaded.pools, at_once))
