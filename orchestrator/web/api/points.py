"""What products have: restore points, a VM made of one, single files out of one, and whether one can be given back."""

from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID, uuid4, uuid5

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from orchestrator.actions import files, products, restore, verify
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.views import points as view
from orchestrator.views.points import Owned
from orchestrator.web import handing
from orchestrator.web.api.guard import ERRORS, Operates, Reads
from orchestrator.web.api.paging import paged
from orchestrator.web.api.shapes_backups import BootBody, Entries, PointPage, PointRow, RestoreBody, VerificationRow
from orchestrator.web.api.starting import HowAsked, begins, begun
from orchestrator.web.ask import Ask
from orchestrator.web.problems import Problem
from plugins.errors import RetryLater
from plugins.values import Progress

router = APIRouter(tags=["restore points"], responses=ERRORS)

Product = Annotated[str, Path(max_length=100, description="By its name in the configuration.")]
PointId = Annotated[str, Path(max_length=500, description="The restore point's whole id.")]
DiskName = Annotated[str, Path(max_length=20, description="A disk by its number, or a partition of it: 0, 0p1.")]
FilePath = Annotated[str, Query(max_length=4096, description="From the root of the filesystem: /etc/hostname.")]

POINT = "/restore-points/{product}/{point_id:path}"
KEYS = UUID("6f0d1c55-9d0e-4a63-8f0c-7f6b54f0a5f1")
"""Under which the numbers of verifications are made of who asks under which key: asked again, it is the same one."""


@router.get("/restore-points", response_model=PointPage)
def listed(
    ask: Reads,
    vm: Annotated[str | None, Query(max_length=200, description="Of this VM, by uuid or name; it may be gone.")] = None,
    product: Annotated[str | None, Query(max_length=100)] = None,
    pool: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Annotated[str | None, Query(max_length=1000, description="The *next* of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:  # fmt: skip
    """The restore points that the products have, newest first, whatever the database knows. Each product is asked."""
    if product is None and not ask.office.loaded.settings.products:
        return {"items": [], "next": None, "silent": [], "unseen": []}
    seen = products.every(ask.office.shelf.plugged(), products.chosen(ask.office.loaded, product))
    found = [one for one in seen.found if pool in (None, one[1].pool)]
    found = found if vm is None else view.of_vm(found, vm)
    items, following = paged(
        list(reversed(found)), cursor, limit, lambda one: (f"{one[1].taken_at:%Y-%m-%dT%H:%M:%S.%f}", one[1].id, one[0])
    )
    return {"items": [_row(one) for one in items], "next": following, "silent": list(seen.silent), "unseen": list(seen.unseen)}


@router.post(POINT + "/restore", **begins("Make a VM of it: record, disks, VIFs with their MACs and VFs. Never over a VM that is there."))
async def restored(ask: Operates, how: HowAsked, product: Product, point_id: PointId, body: RestoreBody) -> Response:
    """Into the pool that was asked for, or the one that the VM was in."""
    wanted = restore.Wanted(how.pool, body.name, body.sr, list(body.networks.items()), body.new_macs, body.start)

    def propose(desk: Desk) -> Proposal:
        return restore.propose(desk, _find(ask, product, point_id), wanted)

    return await begun(ask, how, "restore-vm", _called(product, point_id), propose)


@router.post(POINT + "/boot", **begins("Restore it beside, on the parking network, start it, see its guest, and remove it."))
async def booted(ask: Operates, how: HowAsked, product: Product, point_id: PointId, body: BootBody) -> Response:
    """In the pool that was asked for, or the one that the VM was in."""

    def propose(desk: Desk) -> Proposal:
        return verify.boot(desk, _find(ask, product, point_id), pool=how.pool, sr=body.sr)

    return await begun(ask, how, "verify-boot", _called(product, point_id), propose)


@router.post(POINT + "/verifications", response_model=VerificationRow, status_code=202)
def verified(ask: Operates, product: Product, point_id: PointId) -> Response:
    """Read every disk from the repository, compare it with its checksum, and have the product look. It goes on after this answer."""
    before = ask.answered()
    if before is not None:
        return before
    thing = _called(product, point_id)
    number = uuid4() if ask.key is None else uuid5(KEYS, f"{ask.principal.name} {ask.key} {ask.asked.decode(errors='replace')}")
    with ask.written_down("verify", thing):
        made, owned = ask.office.shelf.plugged(), _find(ask, product, point_id)
        try:
            job = verify.begun(ask.office.place(ask.principal), ask.office.loaded, made, owned, number)
        except RetryLater as error:
            raise Problem(503, "busy", str(error), headers={"Retry-After": "30"}) from None
    return ask.act("verify", thing, lambda _, __: _stands(number, made.jobs.look(job)), status=202)


@router.get(POINT + "/verifications/{number}", response_model=VerificationRow)
def verifying(ask: Reads, product: Product, point_id: PointId, number: UUID) -> dict[str, Any]:
    """How it stands. What has ended is known for a week."""
    made = ask.office.shelf.plugged()
    job = made.jobs.id_of(verify.job_name(product), number)
    if not verify.is_known(ask.office.store, job):
        raise Problem(404, "no-such-verification", f"there is no verification {number} of {_called(product, point_id)}")
    return _stands(number, made.jobs.look(job))


@router.get(POINT + "/disks/{disk}/entries", response_model=Entries)
def entries(ask: Operates, product: Product, point_id: PointId, disk: DiskName, path: FilePath = "/") -> dict[str, Any]:
    """What is in a directory of a disk (ext2, ext3, ext4). The whole disk is read from the repository for that."""
    files.assert_path(path)
    with ask.office.shelf.fetch() as made, files.opened(made, _find(ask, product, point_id), disk, ask.office.shelf.bench) as there:
        return {"items": [asdict(entry) for entry in there.entries(path)]}


@router.get(
    POINT + "/disks/{disk}/content",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
def content(ask: Operates, product: Product, point_id: PointId, disk: DiskName, path: FilePath) -> Response:
    """Bring a single file out of a disk without restoring it. The whole disk is read from the repository before the first byte comes."""
    return handing.attached(ask, _called(product, point_id), lambda: _find(ask, product, point_id), disk, path)


@router.get(POINT, response_model=PointRow)
def shown(ask: Reads, product: Product, point_id: PointId) -> dict[str, Any]:
    """One restore point; its product is asked."""
    return _row(_find(ask, product, point_id))


def _find(ask: Ask, product: str, point_id: str) -> Owned:
    """The point. Raises Problem: there is none."""
    if product not in ask.office.loaded.settings.products:
        raise Problem(404, "no-such-product", f"there is no product {product!r} in the configuration")
    found = products.exactly(ask.office.shelf.plugged(), product, point_id)
    if found is None:
        raise Problem(404, "no-such-restore-point", f"product {product!r} has no restore point {point_id!r}")
    return found


def _row(owned: Owned) -> dict[str, Any]:
    row = view.as_json(*owned)
    return {**row, "run": str(row["run"])}


def _called(product: str, point_id: str) -> str:
    return f"restore point {product}/{point_id}"


def _stands(number: UUID, progress: Progress) -> dict[str, Any]:
    checks = verify.checks(progress)
    sound = verify.is_sound(checks) if checks else None
    names = ("state", "fraction", "read", "message")
    return {"id": number, **{name: getattr(progress, name) for name in names}, "sound": sound, "checks": checks}
