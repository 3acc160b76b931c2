"""One host: emptied, rebooted, back with its VFs, its VMs started again. Stage by stage; each is recorded before the next begins.

Every stage looks before it acts and may run twice: the process may die anywhere, and so may the coordinator. A stage gives None when what
it is for is so. What goes wrong before the reboot turns the host back into service; what goes wrong after it never reboots it again.
"""

from collections.abc import Callable

from workflows import booting, leaving, returning
from workflows.booting import Memo
from workflows.guests import Guest
from workflows.objects import Host
from workflows.outcome import Outcome, Wait
from workflows.ports import Gone
from workflows.trying import AT_ONCE, SOON
from workflows.world import World


def fresh(host: Host) -> Memo:
    """What is known of a host whose turn it is."""
    return {"uuid": host.uuid, "name": host.name, "stage": STAGES[0].__name__, "guests": []}


def lost(uuid: str, name: str, host: Host | None, waiting: list[Guest]) -> Memo:
    """What is known of a host whose run was lost, by its mark: from there it is brought back. *host* None: it is not in the pool."""
    memo: Memo = {
        "uuid": uuid,
        "name": name,
        "stage": returning.come_back.__name__,
        "guests": waiting,
        "turned_back": "its run was lost",
        "by_will": True,
    }
    if host is None:
        return {**memo, "ejected": True, "stage": returning.start_again.__name__}
    return {**memo, "was_enabled": booting.mark(host).get("was_enabled", False)}


def turn_back(memo: Memo) -> None:
    """The run is given up: it is not rebooted, if that has not begun; from here on the stages bring it back."""
    memo["turned_back"] = memo.get("turned_back") or "given up"
    memo["by_will"] = True


def go_on(world: World, memo: Memo) -> Outcome | None:
    """The stage that the host is at; None when the last one is over. That a stage is over is recorded before the next one begins."""
    names = [stage.__name__ for stage in STAGES]
    position = names.index(memo["stage"])
    if memo.get("turned_back") and position < names.index("come_back"):
        position = names.index("come_back")
        memo["stage"] = names[position]
        return Wait(f"{memo['name']} is brought back: {memo['turned_back']}", at_most=AT_ONCE)
    try:
        outcome = STAGES[position](world, memo)
    except Gone:
        outcome = _gone(world, memo)
    if outcome is not None:
        return outcome
    if position + 1 == len(names):
        return None
    memo["stage"] = names[position + 1]
    summary = (STAGES[position + 1].__doc__ or "").splitlines()[0].rstrip(".")
    return Wait(f"{memo['name']}: {summary[0].lower()}{summary[1:]}", at_most=AT_ONCE)


def _gone(world: World, memo: Memo) -> Outcome:
    """Something went while it was looked at: a VM is missed at the next look; what waits for a host that is gone starts elsewhere."""
    if any(host.uuid == memo["uuid"] for host in world.pool.hosts()):
        return Wait(f"{memo['name']}: something of it went meanwhile: it is looked at again", at_most=SOON)
    if memo.get("ejected"):
        raise Gone("HANDLE_INVALID", (memo["uuid"],))
    memo["ejected"] = True
    memo["stage"] = returning.start_again.__name__
    return Wait(f"{memo['name']} is not in the pool any more", at_most=AT_ONCE)


STAGES: tuple[Callable[[World, Memo], Outcome | None], ...] = (
    leaving.survey,
    leaving.bar,
    leaving.empty,
    leaving.reboot,
    returning.come_back,
    returning.open_again,
    returning.see_vfs,
    returning.start_again,
    returning.tidy,
)
