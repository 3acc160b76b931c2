from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.exc import StatementError

from orchestrator.listener.causes import VmDestroyed
from orchestrator.listener.errors import Deposed
from orchestrator.listener.notebook import StoreNotebook
from orchestrator.listener.settlement import Settlement
from state import leases, runs
from state.run import Run
from state.store import Store
from tests.listener import pools
from tests.services import sqlite

LEASE = timedelta(seconds=15)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = sqlite.store(tmp_path / "vfo.sqlite3")
    yield store
    store.close()


def notebook(store: Store, holder: str = "us", published: list[UUID] | None = None) -> StoreNotebook:
    with store.write() as session:
        lease = leases.acquire(session, "listener:lab", holder, now=pools.NOON, duration=LEASE)
    assert lease
    return StoreNotebook(store, "lab", lease, LEASE, ([] if published is None else published).append)


def runs_of(store: Store) -> list[Run]:
    with store.read() as session:
        return runs.listed(session)


def test_what_was_written_is_read_again(store: Store) -> None:
    """By the next process too: rows keep all that is known of a VM; a later write replaces it."""
    web = pools.known(ports=("port-one",))
    notebook(store).write(Settlement([web, pools.known("old")], {}), now=pools.NOON)
    notebook(store).write(Settlement([replace(web, ports=("port-two",))], {"old": None}), now=pools.NOON)
    assert notebook(store).read() == {"web": replace(web, ports=("port-two",))}


def test_a_destroyed_vm_becomes_a_run_and_its_row_goes(store: Store) -> None:
    """In one transaction: the run is there exactly when the row is not; its id is published after that."""
    published: list[UUID] = []
    notes = notebook(store, published=published)
    notes.write(Settlement([pools.known()], {}), now=pools.NOON)
    notes.write(Settlement([], {"web": VmDestroyed(pools.known())}), now=pools.NOON)
    assert notes.read() == {}
    assert [(run.id, run.subject, run.data["vm_name"]) for run in runs_of(store)] == [(published[0], "vm:web", "web")]


def test_a_crash_in_the_middle_leaves_the_rows_and_no_run(store: Store) -> None:
    """What dies before the commit is found by the next load, and followed once."""
    notes = notebook(store)
    web, odd = pools.known(), pools.known("odd")
    notes.write(Settlement([web, odd], {}), now=pools.NOON)
    breaks = VmDestroyed(replace(odd, name=object()))  # type: ignore[arg-type] # no JSON: the second run cannot be written
    with pytest.raises(StatementError):
        notes.write(Settlement([], {"web": VmDestroyed(web), "odd": breaks}), now=pools.NOON)
    assert (set(notes.read()), runs_of(store)) == ({"web", "odd"}, [])
    notes.write(Settlement([], {"web": VmDestroyed(web), "odd": VmDestroyed(odd)}), now=pools.NOON)
    assert (notes.read(), len(runs_of(store))) == ({}, 2)


def test_a_listener_that_lost_its_lease_writes_nothing(store: Store) -> None:
    """It may have been stopped for minutes and believe that it still holds it: the lease is checked in the transaction itself."""
    ours = notebook(store)
    ours.write(Settlement([pools.known()], {}), now=pools.NOON)
    with store.write() as session:
        assert leases.acquire(session, "listener:lab", "them", now=pools.NOON + timedelta(minutes=1), duration=LEASE)
    with pytest.raises(Deposed):
        ours.write(Settlement([], {"web": VmDestroyed(pools.known())}), now=pools.NOON + timedelta(minutes=1))
    assert (set(ours.read()), runs_of(store)) == ({"web"}, [])


def test_thousands_of_deletions_are_one_run_each(store: Store) -> None:
    """Written in portions, so that others can write in between."""
    published: list[UUID] = []
    notes = notebook(store, published=published)
    vms = [pools.known(f"vm-{n}") for n in range(450)]
    notes.write(Settlement(vms, {}), now=pools.NOON)
    notes.write(Settlement([], {vm.vm: VmDestroyed(vm) for vm in vms}), now=pools.NOON)
    assert (len(set(published)), notes.read()) == (450, {})
