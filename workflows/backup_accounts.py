"""Changed blocks in the backup of a VM: tracked before the snapshot, and accounted for once it is saved. Nothing here fails a backup."""

from plugins.errors import GiveUp
from workflows import backup_hooks
from workflows.backup_hooks import services
from workflows.outcome import DONE, Done, Outcome
from workflows.ports import Bug, Denied, Gone, Refused
from workflows.workflow import Data
from workflows.world import World

NEVER = (Refused, Denied, Bug, Gone)


def track(world: World, data: Data) -> Outcome:
    """Where the policy wants it and the product asks for it, have the pool keep account of what changes on the VM's disks from now on."""
    if not data.get("changed_blocks"):
        return DONE
    try:
        needs = services(world).plugins.needs(data["product"], backup_hooks.of_data(data["backup"]))
    except GiveUp as error:
        return _without(data, f"product {data['product']} does not say what it needs: {error}")
    if needs is None or not needs.changed_blocks:
        return _without(data, f"product {data['product']} does not ask what changed")
    try:
        cannot = world.pool.track(data["vm"])
    except NEVER as error:
        return _without(data, str(error))
    if cannot:
        data["not_tracked"] = list(cannot)
    return Done("; ".join(f"not tracked: {one}" for one in cannot) or "every disk of it is tracked")


def _without(data: Data, why: str) -> Done:
    data["changed_blocks"], data["not_tracked"] = False, [why]
    return Done(f"changed blocks are not tracked: {why}")


def keep_account(world: World, data: Data) -> Outcome:
    """Mark the disks of the snapshot that was saved: what is left of them says later what changed since."""
    if not data.get("changed_blocks"):
        return DONE
    said = {"vm": data["vm"], "policy": data["policy"], "run": str(world.run_id), "at": data["began_at"]}
    try:
        kept = world.pool.keep_accounts(data["snapshot"], said)
    except NEVER as error:
        return Done(f"no account of this backup is kept: {error}")
    return Done(f"{len(kept)} disks of the snapshot stay as an account of their blocks")


def settle_account(world: World, data: Data) -> Outcome:
    """See that of the marked disks the metadata alone is left, and that there is no account of an earlier backup beside it."""
    if not data.get("changed_blocks"):
        return DONE
    try:
        mine = [one for one in world.pool.accounts() if (one.vm, one.policy) == (data["vm"], data["policy"])]
        kept = [one for one in mine if one.run == str(world.run_id)]
        for one in kept:
            if not one.bare and not one.used:
                world.pool.strip_account(one.uuid)
        for one in (one for one in mine if kept and one not in kept):
            world.pool.drop_account(one.uuid)
    except NEVER as error:
        return Done(f"the accounts of changed blocks are left to the next clean-up: {error}")
    return Done(f"an account of {len(kept)} disks is kept, {len(mine) - len(kept) if kept else 0} earlier ones are gone")


def drop_account(world: World, data: Data) -> Outcome:
    """Given up: nothing of the snapshot is to stay. The account of the backup before it stays as it is."""
    if not data.get("changed_blocks"):
        return DONE
    try:
        for one in world.pool.accounts():
            if one.run == str(world.run_id):
                world.pool.drop_account(one.uuid)
    except NEVER as error:
        return Done(f"the account of changed blocks is left to the next clean-up: {error}")
    return Done("no account is kept")
