"""Giving VFs and taking them back, accounting for ports, SR-IOV on hosts: the runs that a person or a program begins."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.actions import assign, reclaim, release, sriov
from orchestrator.web.api.guard import ERRORS, Operates, Reads
from orchestrator.web.api.shapes import SriovRow
from orchestrator.web.api.starting import HowAsked, begins, begun
from workflows.downtime import When

router = APIRouter(tags=["acts"], responses=ERRORS)

Name = Annotated[str, Field(min_length=1, max_length=500)]
VMs = Annotated[list[Name], Field(min_length=1, max_length=1000, description="VMs by uuid or name.")]
Moment = Annotated[
    str, Field(max_length=200, description="Of a VM that runs: now, next-halt (when somebody halts it), window, window:NAME.")
]


class Body(BaseModel):
    """What is asked: a field that there is not is an error."""

    model_config = ConfigDict(extra="forbid")


class AssignBody(Body):
    """As `vfo assign` takes it."""

    vms: VMs
    network: Name = Field(description="An SR-IOV network, or a VLAN network on one, by uuid or name.")
    vlan_network: Name | None = None
    mac: str = Field(default="", max_length=50)
    device: str = Field(default="", max_length=10)
    qos_kbps: int | None = Field(default=None, ge=0, le=2**31 - 1)
    when: Moment = When.next_halt.value
    force_shutdown: bool = False


class ReleaseBody(Body):
    """As `vfo release` takes it."""

    vms: VMs
    vifs: list[Name] = Field(default=[], max_length=100, description="By uuid, device or MAC; none: all that take a VF.")
    when: Moment = When.next_halt.value
    force_shutdown: bool = False


class ReclaimBody(Body):
    """As `vfo reclaim` takes it."""

    unknown: bool = Field(default=False, description="Clean up too what runs left that this database does not know.")


class SriovBody(Body):
    """As `vfo sriov` takes it."""

    name: Name | None = Field(default=None, description="Of [sriov.NAME]; left out: all of them.")


class DisableBody(Body):
    """As `vfo sriov disable` takes it."""

    name: Name
    force: bool = Field(default=False, description="Also where halted VMs have VIFs on the network: they cannot start then.")


@router.post("/assign", **begins("Give VMs a VF on a network: a run for each."))
async def assigned(ask: Operates, how: HowAsked, body: AssignBody) -> Response:
    """A halted VM gets it at once; one that runs is shut down only as *when* says."""
    wanted = assign.Wanted(
        body.vms, body.network, body.vlan_network, mac=body.mac, device=body.device, qos_kbps=body.qos_kbps, when=body.when,
        force_shutdown=body.force_shutdown,
    )  # fmt: skip
    return await begun(ask, how, "assign-vf", ", ".join(body.vms), lambda desk: assign.propose(desk, wanted))


@router.post("/release", **begins("Take VIFs that take VFs from VMs: a run for each."))
async def released(ask: Operates, how: HowAsked, body: ReleaseBody) -> Response:
    """All VIFs that take a VF, or those that are named."""
    wanted = release.Wanted(body.vms, body.vifs, body.when, body.force_shutdown)
    return await begun(ask, how, "release-vf", ", ".join(body.vms), lambda desk: release.propose(desk, wanted))


@router.post("/reclaim", **begins("Account for the VFs of every port, get back what is lost, clean up what runs left behind."))
async def reclaimed(ask: Operates, how: HowAsked, body: ReclaimBody) -> Response:
    """A run for each port and each thing that was left behind."""
    thing = how.pool or "all pools"
    return await begun(ask, how, "reclaim-vfs", thing, lambda desk: reclaim.propose(desk, unknown=body.unknown))


@router.get("/sriov", response_model=list[SriovRow])
def status(ask: Reads, name: str | None = None, pool: str | None = None) -> list[dict[str, Any]]:
    """How SR-IOV stands on every port, held against what [sriov.NAME] wants."""
    desk = ask.desk(pool)
    if not desk.policy.sriov and name is None:
        return []
    return sriov.status(desk, sriov.chosen(desk.loaded, name, pool))


@router.post("/sriov/enable", **begins("Make SR-IOV so on every host as [sriov.NAME] wants it, and keep it so."))
async def enabled(ask: Operates, how: HowAsked, body: SriovBody) -> Response:
    """A run for each table and pool; hosts reboot only as the table's *reboot* allows."""
    return await begun(
        ask, how, "enable-sriov", body.name or "all", lambda desk: sriov.enable(desk, sriov.chosen(desk.loaded, body.name, how.pool))
    )


@router.post("/sriov/disable", **begins("Take SR-IOV away from every host; nothing brings it back until it is enabled again."))
async def disabled(ask: Operates, how: HowAsked, body: DisableBody) -> Response:
    """A run for each pool."""
    return await begun(
        ask, how, "disable-sriov", body.name,
        lambda desk: sriov.disable(desk, sriov.chosen(desk.loaded, body.name, how.pool), force=body.force),
    )  # fmt: skip
