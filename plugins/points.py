"""The manifest: what a repository keeps beside the disks, so that a VM can be made anew whatever has become of everything else."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from plugins.values import BackupVM, Disk, RestorePoint, Snapshot

FORMAT = 1
MANIFEST = "manifest"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NAME = re.compile(
    rf"vfo-(?P<pool>[A-Za-z0-9_.]+)-(?P<vm>{UUID})-(?P<at>\d{{8}}T\d{{6}}Z)-(?P<run>{UUID})-(?P<part>[a-z]+\d*)-(?P<attempt>[0-9a-f]+)"
)


def named(vm: BackupVM, taken_at: datetime, part: str, attempt: str) -> str:
    """What a part of a backup of ours is called: vfo-POOL-VM-TIME-RUN-PART-ATTEMPT; what might hurt in the pool's name is gone."""
    pool = re.sub(r"[^A-Za-z0-9_.]", "_", vm.pool) or "_"
    return f"vfo-{pool}-{vm.vm}-{taken_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{vm.run_id}-{part}-{attempt}"


@dataclass(frozen=True, slots=True)
class Name:
    """What a name says."""

    vm: str
    run: str
    part: str
    attempt: str
    at: datetime


def name_of(text: str) -> Name | None:
    """What the name of a part says; None when it is none of ours."""
    found = NAME.fullmatch(text)
    if found is None:
        return None
    at = datetime.strptime(found["at"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Name(found["vm"], found["run"], found["part"], found["attempt"], at)


def stream_name(name: str) -> str:
    """What the stream in it is called, for people who look with the program's own tools."""
    said = name_of(name)
    return "manifest.json" if said is None or said.part == MANIFEST else f"{said.part}.raw"


def made(vm: BackupVM, snapshot: Snapshot, sha256: Mapping[int, str], *, whole_vm: bool = False) -> RestorePoint:
    """The restore point that a backup comes to; its id is the run's."""
    return RestorePoint(
        id=str(vm.run_id),
        run_id=str(vm.run_id),
        pool=vm.pool,
        vm=vm.vm,
        vm_name=vm.name,
        policy=vm.policy,
        taken_at=snapshot.taken_at,
        disks=snapshot.disks,
        blueprint=snapshot.blueprint,
        whole_vm=whole_vm,
        sha256=dict(sha256),
    )


def written(point: RestorePoint) -> bytes:
    """The manifest, as JSON that people can read."""
    values = asdict(replace(point, blueprint=dict(point.blueprint), sha256=dict(point.sha256)))
    said: dict[str, Any] = {"format": FORMAT, **values, "taken_at": point.taken_at.astimezone(UTC).isoformat()}
    return json.dumps(said, indent=1, default=dict).encode() + b"\n"


def read(manifest: bytes) -> RestorePoint:
    """The restore point that the manifest tells of. Raises ValueError when it is none, or of a version that is not ours."""
    try:
        said = json.loads(manifest)
        if said.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return RestorePoint(
            **{
                **said,
                "taken_at": datetime.fromisoformat(said["taken_at"]),
                "disks": tuple(Disk(**disk) for disk in said["disks"]),
                "sha256": {int(number): digest for number, digest in said["sha256"].items()},
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no manifest: {type(error).__name__}: {error}") from None
