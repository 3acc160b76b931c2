"""Accounts of changed blocks that nobody wants any more: of VMs that are gone, older than another, or with their data yet."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from uuid import UUID

from workflows import tracking
from workflows.outcome import Done, Finish, Outcome, Request
from workflows.plan import Plan
from workflows.tracking import Account
from workflows.workflow import Data
from workflows.world import World

KEY = "accounts"


def requests(workflow: str, pool: str, accounts: Iterable[Account], is_over: Callable[[UUID], bool | None]) -> list[Request]:
    """A run of *workflow* for each VM that has some."""
    vms: dict[str, list[str]] = defaultdict(list)
    for account in tracking.outdated(accounts, is_over):
        vms[account.vm].append(account.uuid)
    title = "accounts of changed blocks of VM"
    return [Request(workflow, pool, f"accounts:{vm}", f"{title} {vm}", {"vm": vm, KEY: disks}) for vm, disks in vms.items()]


def plan(request: Request) -> Plan:
    """What the run of one of these requests would do."""
    said = f"destroy {len(request.data[KEY])} disks that were kept to know what changed since, and that nobody wants any more"
    return Plan(f"{request.workflow} of {request.title}", (said,), ("VDI.destroy",) * len(request.data[KEY]))


def look(world: World, data: Data) -> Outcome:
    """See which are there yet and are no snapshot's."""
    there = {account.uuid for account in world.pool.accounts() if not account.used}
    data[KEY] = sorted(there & set(data[KEY]))
    return Done(f"left behind: {len(data[KEY])} disks") if data[KEY] else Finish("nothing is left behind any more")


def clear(world: World, data: Data) -> Outcome:
    """Destroy them."""
    for disk in data[KEY]:
        world.pool.drop_account(disk)
    return Done(f"{len(data[KEY])} disks are gone")
