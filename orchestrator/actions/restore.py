"""A VM made of a restore point, never over one that is there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator import names
from orchestrator.actions import desk
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.actions.failures import WrongInput
from orchestrator.bootstrap import PoolAccess
from orchestrator.config.load import Loaded
from orchestrator.views.points import Owned
from plugins.values import RestorePoint
from workflows import restore as workflow
from workflows import restore_examining, restore_plans, restore_points
from workflows.restore_examining import Asked


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for.

    *pool* None: the one that the VM was in; *name* None: the VM's own; *sr* by uuid or name, None: where the disks were. *networks*: pairs
    of a network of the backup and the one to take for it, each by uuid or name.
    """

    pool: str | None = None
    name: str | None = None
    sr: str | None = None
    networks: Sequence[tuple[str, str]] = ()
    new_macs: bool = False
    starts: bool = False


def propose(at: Desk, owned: Owned, wanted: Wanted) -> Proposal:
    """One run. Raises WrongInput, `names.WrongName`."""
    product, point = owned
    assert_written({"as": wanted.name, "sr": wanted.sr})
    access = at.access(pool_for(at.loaded, point, wanted.pool))
    networks = _networks(access, point, wanted.networks)
    called = point.vm_name if wanted.name is None else wanted.name
    fallback = at.policy.backup.fallback_network
    asked = Asked(called, sr_of(access, wanted.sr), networks, wanted.new_macs, starts=wanted.starts, fallback=fallback)
    assert_restorable(point, asked)
    request = workflow.request(access.name, product, point, asked)

    def check() -> None:
        if not desk.at_work(at.store, request):
            assert_possible(access, point, asked)

    return Proposal([request], lambda: [restore_plans.of_restoring(access.port, request, point, asked)], check)


def assert_written(options: Mapping[str, str | None]) -> None:
    """WrongInput for an option that was given, and empty: a shell makes that of a variable that is not set."""
    for option, value in options.items():
        if value is not None and not value.strip():
            raise WrongInput("it is empty: write what is meant, or leave the option out", option=option, value=value)


def assert_possible(access: PoolAccess, point: RestorePoint, asked: Asked) -> None:
    """WrongInput with all that stands against it in the pool as it is now; the run looks again, when it is its turn."""
    if against := restore_examining.examine(access.port, point, asked).against:
        raise WrongInput("\n".join(against))


def pool_for(loaded: Loaded, point: RestorePoint, wanted: str | None) -> str:
    """The pool to restore into: the one that was asked for, that of the point, or the only one. Raises WrongInput."""
    there = list(loaded.pools)
    if wanted is not None:
        return wanted
    if point.pool in there:
        return point.pool
    if len(there) == 1:
        return there[0]
    raise WrongInput(f"the VM was in pool {point.pool!r}, which {loaded.path} has not: choose one with --pool: {', '.join(there)}")


def assert_restorable(point: RestorePoint, asked: Asked) -> None:
    """WrongInput where no VM can be made of the point, or under that name."""
    if lacking := restore_points.lacks(point):
        raise WrongInput(lacking)
    if not asked.name.strip() or any(ord(letter) < 32 for letter in asked.name):
        raise WrongInput("a name has letters that are seen, and no others", option="as", value=asked.name)


def sr_of(access: PoolAccess, written: str | None) -> str:
    """The SR's uuid, "" when none was named. Raises WrongInput."""
    if written is None:
        return ""
    usable = [one for one in access.port.storages() if one.for_disks]
    fits = [one for one in usable if written in (one.uuid, one.name)]
    if len(fits) == 1:
        return fits[0].uuid
    there = ", ".join(f"{one.name} ({one.uuid})" for one in usable)
    text = f"{len(fits) or 'no'} SRs for disks of pool {access.name} have that name: {there}"
    raise WrongInput(text, option="sr", value=written)


def _networks(access: PoolAccess, point: RestorePoint, written: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Network (uuid) of the backup to network (uuid) of the pool."""
    vifs = point.blueprint.get("vifs", ())
    found: dict[str, str] = {}
    for old, new in written:
        was = sorted({vif["network"] for vif in vifs if old in (vif["network"], vif["network_name"])})
        if not was:
            there = ", ".join(sorted({f"{vif['network_name']} ({vif['network']})" for vif in vifs})) or "none"
            raise _wrong_pair(old, new, f"no VIF of the backup was on {old!r}; they were on {there}")
        target = names.network([access.port], new)[1].uuid
        if any(found.get(one, target) != target for one in was):
            raise _wrong_pair(old, new, f"{old!r} is mapped to another network already: write each once")
        found |= dict.fromkeys(was, target)
    return found


def _wrong_pair(old: str, new: str, text: str) -> WrongInput:
    return WrongInput(text, option="network-map", value=f"{old}={new}")
