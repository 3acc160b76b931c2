"""See that a restore point boots: restored beside, on the parking network where nobody hears it, started, its guest seen, and removed.

Nothing of it stays, however the run ends: the VM bears the run's mark from its first moment to its last.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from plugins.errors import GiveUp
from plugins.values import RestorePoint
from workflows import restore_making, tasks
from workflows.outcome import Done, Outcome, Refuse, Request, Wait
from workflows.ports import Refused
from workflows.restore import MAKING
from workflows.restore_examining import Asked
from workflows.restore_making import look, take_away
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "verify-boot"
STEADY = timedelta(minutes=1)
"""How long a guest without drivers must have run without halting or rebooting, for want of anything better to see."""
PATIENCE = timedelta(minutes=10)
AGAIN = timedelta(seconds=5)


def request(pool: str, product: str, point: RestorePoint, run_id: UUID, SR: str = "") -> Request:
    """The run that looks at the point in that pool; its id is *run_id*, by which the VM's name is told from any other."""
    name = asked(point, run_id, SR).name
    data: dict[str, Any] = {
        "product": product, "id": point.id, "name": name, "SR": SR, "networks": {}, "new_macs": True, "start": True, "apart": True,
    }  # fmt: skip
    return Request(NAME, pool, f"restore:check of {product} {point.id}", f"restore point {point.id} of {point.vm_name}", data, run_id)


def asked(point: RestorePoint, run_id: UUID, SR: str = "") -> Asked:
    """What that run asks for, as `restore_examining` takes it."""
    return Asked(f"vfo check of {point.vm_name[:60]} ({str(run_id)[:8]})", SR, new_macs=True, starts=True, apart=True)


def boot(world: World, data: Data) -> Outcome:
    """Let it be started, and start it; it is neither copied nor handed over."""
    world.pool.unblock(look(world, data).uuid, restore_making.whole(world))
    try:
        waiting = tasks.carried_out(
            world, data, "start", lambda: world.pool.begin_start(data["vm"]), lambda: world.pool.power_state(data["vm"]) == "Running"
        )
    except Refused as error:
        raise GiveUp(f"it does not start: {error}") from None
    return waiting or Done("it runs")


def see_guest(world: World, data: Data) -> Outcome:
    """Wait for the guest to say that it lives; one without drivers must have run for a minute."""
    since = datetime.fromisoformat(data.setdefault("runs_since", world.now.isoformat()))
    state = look(world, data).power_state
    if state != "Running":
        return Refuse(f"its guest did not stay up: after {(world.now - since).total_seconds():.0f} s the VM is {state.lower()}")
    if world.pool.guest_is_seen(data["vm"]):
        data["seen"] = "its guest says that it lives"
        return Done(data["seen"])
    if world.now - since < STEADY:
        return Wait("nothing is heard of its guest yet", at_most=AGAIN)
    data["seen"] = f"it ran for {STEADY.total_seconds():.0f} s, and its guest has no drivers that would say more"
    return Done(data["seen"])


def remove(world: World, data: Data) -> Outcome:
    """Pull its plug and destroy it with its disks."""
    outcome = take_away(world, data)
    return Done(f"{data['name']}: {data['seen']}; it is removed") if isinstance(outcome, Done) else outcome


VERIFY_BOOT = Workflow(
    NAME,
    "See that a restore point boots, and remove what was made for it",
    (
        *MAKING,
        Step(boot, timeout=PATIENCE),
        Step(see_guest, timeout=PATIENCE),
        Step(remove),
    ),
)
