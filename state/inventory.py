"""The VMs that are known to have VIFs on SR-IOV networks: what was there when we last looked, so that an absence finds what went."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, delete
from sqlmodel import Field, Session, select

from state import upsert
from state.columns import Row, UtcDateTime, table

AT_ONCE = 500  # below every limit of bound parameters


class KnownVM(Row, table=True):
    """One VM, by its uuid.

    *vifs*: its VIFs on SR-IOV networks, each {"uuid", "device", "MAC", "network", "settings"}. *ports*: uuids of the network_sriovs on
    which it last held VFs, as far as known. *vbds*: the references of its VBDs, *all_vifs*: the uuids of all its VIFs; None where an
    older version wrote the row.
    """

    __tablename__ = "known_vm"

    pool: str = Field(primary_key=True)
    vm: str = Field(primary_key=True)
    ref: str
    name: str
    vifs: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    ports: list[str] = Field(default_factory=list, sa_type=JSON)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    vbds: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    all_vifs: list[str] | None = Field(default=None, sa_type=JSON(none_as_null=True))


KNOWN_VM = table(KnownVM)


def known(session: Session, pool: str) -> dict[str, KnownVM]:
    """All VMs known of the pool, by uuid."""
    return {row.vm: row for row in session.exec(select(KnownVM).where(KnownVM.pool == pool))}


def get(session: Session, pool: str, vm: str) -> KnownVM | None:
    """What is known of one VM."""
    return session.get(KnownVM, (pool, vm), populate_existing=True)


def put(session: Session, vms: Sequence[KnownVM]) -> None:
    """Write the VMs: new ones are added, known ones replaced."""
    upsert.put(session, KNOWN_VM, [{column.name: getattr(vm, column.name) for column in KNOWN_VM.columns} for vm in vms])


def remove(session: Session, pool: str, vms: Collection[str]) -> None:
    """Forget the VMs with these uuids; those that are not known are ignored."""
    uuids = list(vms)
    for start in range(0, len(uuids), AT_ONCE):
        some = uuids[start : start + AT_ONCE]
        session.connection().execute(delete(KNOWN_VM).where(KNOWN_VM.c.pool == pool, KNOWN_VM.c.vm.in_(some)))
