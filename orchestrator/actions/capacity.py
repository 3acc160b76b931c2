"""How many VFs there were, and what of them was taken, as it was counted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from orchestrator.actions.failures import WrongInput
from state import capacity
from state.capacity import LASTS, Asked
from state.store import Store

MOST = 100_000
"""Samples of one answer that is no page."""


def page(store: Store, asked: Asked, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """So many samples at most, oldest first, as plain values; and whether there are more."""
    with store.read() as session:
        found = capacity.listed(session, asked, limit=limit + 1)
    return found[:limit], len(found) > limit


def every(store: Store, asked: Asked) -> list[dict[str, Any]]:
    """All samples of that time, and those before it that say how it began. Raises WrongInput."""
    if asked.since >= asked.until:
        raise WrongInput("it is to be in the past", option="since", value=asked.since.isoformat())
    found, more = page(store, replace(asked, since=asked.since - LASTS), MOST)
    if more:
        raise WrongInput(f"there are more than {MOST} samples: ask for a shorter time", option="since")
    return found


def since(store: Store, pools: Sequence[str]) -> datetime | None:
    """From when on there are samples of these pools; None: there is none yet."""
    with store.read() as session:
        return capacity.since(session, pools)
