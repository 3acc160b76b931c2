"""Bonds: several ports under one PIF. A member may carry SR-IOV, the bond itself may not."""

from orchestrator.simulator import hosts, sriov
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages


def create(call: Call, network: str, members: list[str], *rest: object) -> str:
    """Bond.create: its PIF takes the first member's MAC unless one is given, and management from the member that had it."""
    mac, mode, properties = rest
    with call.db.lock:
        call.handle("network", network)
        rows = [call.handle("PIF", member) for member in members]
        _assert_can_bond(call, members)
        first = rows[0]
        managing = next((row for row in rows if row["management"]), None)
        address = {field: managing[field] for field in ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS")} if managing else {}
        master = call.db.create(
            "PIF",
            device=_next_device(call.db, first["host"]),
            network=network,
            host=first["host"],
            MAC=mac or first["MAC"],
            MTU=first["MTU"],
            VLAN=-1,
            metrics=first["metrics"],
            physical=False,
            currently_attached=True,
            managed=True,
            management=managing is not None,
            **address,
        )
        bond = str(call.db.create("Bond", master=master, primary_slave=members[0], mode=mode, properties=properties, links_up=len(members)))
        for member in members:
            call.db.set("PIF", member, bond_slave_of=bond, management=False)
        return bond


def _assert_can_bond(call: Call, members: list[str]) -> None:
    if len(members) < 2:
        raise Failure("PIF_BOND_NEEDS_MORE_MEMBERS")
    rows = [call.db.get("PIF", member) for member in members]
    for member, row in zip(members, rows, strict=True):
        hosts.live(call, row["host"])
        if not row["physical"]:
            raise Failure("PIF_IS_NOT_PHYSICAL", member)
        if row["bond_slave_of"] != NULL:
            raise Failure("PIF_ALREADY_BONDED", member)
    if len({row["host"] for row in rows}) > 1:
        raise Failure("PIF_CANNOT_BOND_CROSS_HOST")


def _next_device(db: Database, host: str) -> str:
    taken = {db.get("PIF", pif)["device"] for pif in db.get("host", host)["PIFs"]}
    return next(name for name in (f"bond{number}" for number in range(256)) if name not in taken)


def destroy(call: Call, self: str) -> None:
    """Bond.destroy: management goes back to the primary member; refused under a VLAN."""
    with call.db.lock:
        bond = call.handle("Bond", self)
        master = call.db.get("PIF", bond["master"])
        hosts.live(call, master["host"])
        if master["VLAN_slave_of"]:
            raise Failure("PIF_VLAN_STILL_EXISTS", bond["master"])
        sriov.assert_unused(call.db, master["network"], master["host"])
        for member in bond["slaves"]:
            call.db.set("PIF", member, bond_slave_of=NULL, management=master["management"] and member == bond["primary_slave"])
        call.db.destroy("Bond", self)
        call.db.destroy("PIF", bond["master"])


MESSAGES: Messages = {"Bond.create": create, "Bond.destroy": destroy}
