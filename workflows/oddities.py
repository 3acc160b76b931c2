"""What is odd about a port and is no leak: told apart and said to people. Nothing here is ever "fixed" by touching a VF. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from workflows.accounts import PortAccount
from workflows.ports import PortLook


@dataclass(frozen=True, slots=True)
class Oddity:
    """*kind* is "unplugged", "vanished", "dangling" or "moved"; *text* says what was seen, *advice* what a person may do about it."""

    kind: str
    text: str
    advice: str


def of_port(look: PortLook, account: PortAccount) -> list[Oddity]:
    """All that is odd about the port at this look."""
    return list(_found(look, account))


def _found(look: PortLook, account: PortAccount) -> Iterator[Oddity]:
    if look.unplugged:
        text = "its logical PIF was unplugged, so it has no VFs; SR-IOV is still enabled on it"
        yield Oddity("unplugged", text, f"plug it: xe pif-plug uuid={look.logical_PIF}, unless it is so on purpose or a run is at it")
    elif account.most > account.total > 0:
        text = f"{account.most - account.total} VFs have vanished, they are no leak: it has {account.total} and had {account.most}"
        yield Oddity(
            "vanished", text, "look at the card (dmesg, lspci -v on the host), and at its driver's settings if somebody changed them"
        )
    for name in look.dangling:
        text = f"{name} refers to devices that XenAPI does not have any more"
        yield Oddity("dangling", text, "nothing is lost by it; it ends when the VM is shut down")
    if account.changed:
        yield Oddity(
            "moved", account.changed, "nothing to do here; tools that keep addresses or names of their own must learn the new ones"
        )
