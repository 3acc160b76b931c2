import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from orchestrator.jobs import Jobs
from orchestrator.restores import Reach, Restores
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from plugins import points
from plugins.errors import GiveUp, SourceError
from plugins.streams import Piecewise
from plugins.values import Progress, RestorePoint, Snapshot
from state.store import Store
from tests.engine.waiting import until
from tests.plugins.products.stage import MIB, a_snapshot, a_vm, noise
from tests.services import sqlite

CONTENTS = (noise(2 * MIB), noise(MIB, 2) + bytes(MIB))


class Products:
    """A product that has these disks; what it gives may be told to be wrong."""

    def __init__(self) -> None:
        self.contents = list(CONTENTS)
        self.xva = b""

    def open_disk(self, product: str, point: RestorePoint, number: int) -> BinaryIO:
        if product != "nas":
            raise GiveUp(f"no product {product}")
        return io.BytesIO(self.contents[number])

    def open_vm(self, product: str, point: RestorePoint) -> BinaryIO:
        return io.BytesIO(self.xva)


class Lab:
    def __init__(self, pool: SimulatedPool, store: Store) -> None:
        self.pool = pool
        settings = PoolSettings("lab", pool.url, pool.user, SecretStr(pool.password), patience=timedelta(seconds=5))
        self.client = Client(settings)
        self.reach = Reach({"lab": settings})
        self.jobs = Jobs(store, lambda: datetime.now(UTC))
        self.products = Products()
        self.restores = Restores(self.reach, "lab", self.products, self.jobs)
        self.point = points.made(a_vm(), a_snapshot(*map(len, CONTENTS)), {0: _piecewise(0), 1: hashlib.sha256(CONTENTS[1]).hexdigest()})
        self.run_id = uuid4()

    def vdi(self, size: int = 2 * MIB) -> str:
        fields: dict[str, Any] = {key: {} for key in ("other_config", "xenstore_data", "sm_config")}
        names = {"name_label": "d", "name_description": "", "type": "user", "sharable": False, "read_only": False, "tags": []}
        ref = self.client.call("VDI.create", {**fields, **names, "SR": self.sr, "virtual_size": size})
        return str(self.client.call("VDI.get_uuid", ref))

    @property
    def point_of_a_vm(self) -> RestorePoint:
        return points.made(a_vm(), a_snapshot(), {0: hashlib.sha256(self.products.xva).hexdigest()}, whole_vm=True)

    @property
    def sr(self) -> str:
        return next(ref for ref, row in self.pool.database.rows("SR") if row["name_label"] == "Shared SR")

    def ended(self, job: str) -> Progress:
        until(lambda: self.restores.look(job).state != "running")
        return self.restores.look(job)

    def close(self) -> None:
        self.jobs.stop(timedelta(seconds=5))
        self.reach.close()
        self.client.close()


def _piecewise(number: int) -> str:
    sha = Piecewise()
    sha.update(memoryview(CONTENTS[number]))
    return sha.hexdigest()


@pytest.fixture
def lab(make_simulated_pool: Callable[..., SimulatedPool], tmp_path: Path) -> Iterator[Lab]:
    store = sqlite.store(tmp_path / "vfo.db")
    made = Lab(make_simulated_pool(hosts=1, vms=0), store)
    yield made
    made.close()
    store.close()


@pytest.mark.parametrize("number", [0, 1])
def test_a_disk_comes_back_as_it_was(lab: Lab, number: int) -> None:
    """Byte for byte, by either kind of checksum, which is in the details."""
    vdi = lab.vdi()
    ended = lab.ended(lab.restores.begin_restore(lab.run_id, "nas", lab.point, number, vdi))
    assert (ended.state, ended.read, ended.details) == ("done", 2 * MIB, {"sha256": lab.point.sha256[number]})
    assert lab.pool.control.disk(vdi, digest=True)["sha256"] == hashlib.sha256(CONTENTS[number]).hexdigest()


def test_a_run_may_restore_several_disks(lab: Lab) -> None:
    """Each is a job of its own; the same one asked for again is the same job."""
    first, second = (lab.restores.begin_restore(lab.run_id, "nas", lab.point, number, lab.vdi()) for number in (0, 1))
    assert first != second
    assert {lab.ended(job).state for job in (first, second)} == {"done"}


@pytest.mark.parametrize("number", [0, 1])
def test_a_disk_that_is_not_what_was_saved_fails(lab: Lab, number: int) -> None:
    """The repository gave other bytes than it was given: both checksums are named."""
    wrong = bytearray(CONTENTS[number])
    wrong[MIB // 2] ^= 1
    lab.products.contents[number] = bytes(wrong)
    for job in (
        lab.restores.begin_restore(lab.run_id, "nas", lab.point, number, lab.vdi()),
        lab.restores.begin_check(lab.run_id, "nas", lab.point),
    ):
        ended = lab.ended(job)
        assert (ended.state, lab.point.sha256[number] in ended.message) == ("failed", True)


def test_a_check_reads_everything(lab: Lab) -> None:
    """All disks; what no checksum is kept of is said."""
    ended = lab.ended(lab.restores.begin_check(lab.run_id, "nas", lab.point))
    assert (ended.state, ended.read, ended.message) == ("done", 4 * MIB, "all checksums agree")
    ended = lab.ended(lab.restores.begin_check(uuid4(), "nas", replace(lab.point, sha256={0: lab.point.sha256[0]})))
    assert (ended.state, ended.message) == ("done", "no checksum was kept of disk 1")


def test_a_disk_that_is_too_short_fails_a_check(lab: Lab) -> None:
    """Also where no checksum is kept."""
    lab.products.contents[1] = CONTENTS[1][:-1]
    ended = lab.ended(lab.restores.begin_check(lab.run_id, "nas", replace(lab.point, sha256={})))
    assert (ended.state, f"{2 * MIB - 1} bytes, not {2 * MIB}" in ended.message) == ("failed", True)


def test_a_disk_that_there_is_not_is_named(lab: Lab) -> None:
    """Neither of the point nor of the product."""
    ended = lab.ended(lab.restores.begin_restore(lab.run_id, "nas", lab.point, 7, lab.vdi()))
    assert "no disk 7: it has 0, 1" in ended.message
    ended = lab.ended(lab.restores.begin_restore(uuid4(), "other", lab.point, 0, lab.vdi()))
    assert (ended.state, "no product other" in ended.message) == ("failed", True)


def test_a_whole_vm_is_imported(lab: Lab) -> None:
    """The job's point is the uuid of the VM that was made."""
    lab.pool.add_vm("web", network=None, running=False, disk=False)
    snapshot = lab.client.call("VM.get_uuid", lab.pool.add_snapshot("web", "s"))
    with lab.reach.source_for("lab", Snapshot(snapshot, "s", datetime.now(UTC), ())).open_vm() as stream:
        lab.products.xva = stream.read()
    ended = lab.ended(lab.restores.begin_import(lab.run_id, "nas", lab.point_of_a_vm, lab.client.call("SR.get_uuid", lab.sr), "first"))
    assert ended.state == "done", ended
    assert lab.client.call("VM.get_by_uuid", ended.point)


def test_what_is_cancelled_ends(lab: Lab) -> None:
    """The pool's task is gone, too."""
    lab.pool.control.slow_stream("import_raw_vdi", 1 << 16)
    job = lab.restores.begin_restore(lab.run_id, "nas", lab.point, 0, lab.vdi())
    lab.restores.cancel(job)
    assert lab.ended(job).state == "failed"
    assert lab.pool.database.refs("task") == []


def test_a_storage_that_fills_up_ends_the_job(lab: Lab) -> None:
    """All of it was sent when the pool says so (a thin disk finds no room where it is written)."""
    vdi = lab.vdi()
    lab.pool.control.sr_free("Shared SR", MIB)
    ended = lab.ended(lab.restores.begin_restore(lab.run_id, "nas", lab.point, 0, vdi))
    assert (ended.state, "pool lab says VDI_IO_ERROR" in ended.message) == ("failed", True), ended.message


def test_a_pool_that_is_not_configured_is_named(lab: Lab) -> None:
    """And a process that stops gives nothing any more."""
    with pytest.raises(SourceError, match="pool 'other' is not in the configuration"):
        lab.reach.of("other")
    lab.reach.close()
    with pytest.raises(SourceError, match="stopping"):
        lab.reach.of("lab")


def test_an_unknown_job_is_lost(lab: Lab) -> None:
    """Whoever asks begins anew."""
    assert lab.restores.look(f"restore.x:{UUID(int=1)}").state == "lost"
