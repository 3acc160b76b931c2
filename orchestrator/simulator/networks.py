"""Networks and VLANs: made freely, destroyed only when nothing is plugged into them."""

from collections.abc import Iterator

from orchestrator.simulator import objects, sriov
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages


def create(call: Call, args: dict[str, object]) -> str:
    """network.create: a network without PIFs; xapi names its bridge when none is given."""
    wanted = ("name_label", "name_description", "MTU", "other_config", "bridge", "managed", "tags")
    given = {field: args[field] for field in wanted if field in args}
    with call.db.lock:
        if not given.get("bridge"):
            given["bridge"] = _next_bridge(call.db)
        return str(call.db.create("network", **given))


def _next_bridge(db: Database) -> str:
    taken = {row["bridge"] for _, row in db.rows("network")}
    return next(name for name in _bridges() if name not in taken)


def _bridges() -> Iterator[str]:
    number = 0
    while True:
        yield f"xapi{number}"
        number += 1


def destroy(call: Call, self: str) -> None:
    """network.destroy: refused with attached VIFs or PIFs; the VIFs of halted VMs are silently destroyed, their metrics stay."""
    with call.db.lock:
        row = call.handle("network", self)
        attached = [vif for vif in row["VIFs"] if call.db.get("VIF", vif)["currently_attached"]]
        if attached:
            raise Failure("NETWORK_CONTAINS_VIF", *attached)
        if row["PIFs"]:
            raise Failure("NETWORK_CONTAINS_PIF", *row["PIFs"])
        if row["other_config"].get("is_host_internal_management_network") == "true":
            raise Failure("CANNOT_DESTROY_SYSTEM_NETWORK", self)
        for vif in row["VIFs"]:
            call.db.destroy("VIF", vif)
        call.db.destroy("network", self)


def set_default_locking_mode(call: Call, network: str, value: str) -> None:
    """network.set_default_locking_mode: refused while a VIF on it is attached."""
    with call.db.lock:
        row = call.handle("network", network)
        if any(call.db.get("VIF", vif)["currently_attached"] for vif in row["VIFs"]):
            raise Failure("NETWORK_CONTAINS_VIF", *row["VIFs"])
        call.db.set("network", network, default_locking_mode=value)


def add_purpose(call: Call, self: str, value: str) -> None:
    """network.add_purpose: idempotent; nbd and insecure_nbd exclude each other."""
    with call.db.lock:
        row = call.handle("network", self)
        if value in row["purpose"]:
            return
        clash = [purpose for purpose in row["purpose"] if {purpose, value} == {"nbd", "insecure_nbd"}]
        if clash:
            raise Failure("NETWORK_INCOMPATIBLE_PURPOSES", value, clash[0])
        call.db.set("network", self, purpose=[value, *row["purpose"]])


def remove_purpose(call: Call, self: str, value: str) -> None:
    """network.remove_purpose: fine when it is not there."""
    with call.db.lock:
        row = call.handle("network", self)
        call.db.set("network", self, purpose=[purpose for purpose in row["purpose"] if purpose != value])


# -- VLANs ------------------------------------------------------------------------------------------------


def create_vlan(call: Call, tagged_PIF: str, tag: int, network: str) -> str:
    """VLAN.create: on a physical PIF, a bond or an SR-IOV logical PIF; its own PIF shares the device and is plugged."""
    with call.db.lock:
        below = call.handle("PIF", tagged_PIF)
        call.handle("network", network)
        _assert_can_tag(call.db, tagged_PIF, below, tag, network)
        pif = call.db.create("PIF", **_tagged_record(below, tag, network))
        vlan = str(call.db.create("VLAN", tagged_PIF=tagged_PIF, untagged_PIF=pif, tag=tag))
        call.db.set("PIF", pif, VLAN_master_of=vlan)
        return vlan


def _assert_can_tag(db: Database, tagged: str, below: Row, tag: int, network: str) -> None:
    if not objects.is_live(db, below["host"]):
        raise Failure("HOST_OFFLINE", below["host"])
    if not below["managed"]:
        raise Failure("PIF_UNMANAGED", tagged)
    if not 0 <= tag < 4095:
        raise Failure("VLAN_TAG_INVALID", str(tag))
    if below["VLAN_master_of"] != NULL:
        raise Failure("PIF_IS_VLAN", tagged)
    if any(db.get("VLAN", vlan)["tag"] == tag for vlan in below["VLAN_slave_of"]):
        raise Failure("PIF_VLAN_EXISTS", tagged)
    others = db.get("network", network)["PIFs"]
    for other in others:
        if db.get("PIF", other)["host"] == below["host"]:
            raise Failure("NETWORK_ALREADY_CONNECTED", below["host"], other)
    if others and (sriov.under(db, others[0]) is None) != (sriov.under(db, tagged) is None):
        kind = "SRIOV" if sriov.under(db, tagged) else "BRIDGE"
        raise Failure(f"NETWORK_INCOMPATIBLE_WITH_VLAN_ON_{kind}", network)


def _tagged_record(below: Row, tag: int, network: str) -> dict[str, object]:
    copied = ("device", "host", "MAC", "MTU", "metrics", "managed", "currently_attached")
    return {**{field: below[field] for field in copied}, "network": network, "VLAN": tag, "physical": False}


def destroy_vlan(call: Call, self: str) -> None:
    """VLAN.destroy: refused while a running VM uses its network."""
    with call.db.lock:
        vlan = call.handle("VLAN", self)
        remove_vlan(call.db, self, vlan)


def remove_vlan(db: Database, ref: str, vlan: Row) -> None:
    """Destroy a VLAN and its PIF; raises VIF_IN_USE."""
    pif = db.get("PIF", vlan["untagged_PIF"])
    if not objects.is_live(db, pif["host"]):
        raise Failure("HOST_OFFLINE", pif["host"])
    sriov.assert_unused(db, pif["network"], pif["host"])
    db.destroy("VLAN", ref)
    db.destroy("PIF", vlan["untagged_PIF"])


def create_pool_vlan(call: Call, pif: str, network: str, VLAN: int) -> list[str]:
    """pool.create_VLAN_from_PIF: the VLAN on the same device of every host; answers the new PIFs."""
    with call.db.lock:
        model = call.handle("PIF", pif)
        call.handle("network", network)
        kind = sriov.under(call.db, pif) is None
        alike = [
            other
            for other, row in call.db.rows("PIF")
            if row["device"] == model["device"] and row["VLAN"] == -1 and (sriov.under(call.db, other) is None) == kind
        ]
        made = [create_vlan(call, other, VLAN, network) for other in alike]
        return [str(call.db.get("VLAN", vlan)["untagged_PIF"]) for vlan in made]


MESSAGES: Messages = {
    "network.create": create,
    "network.destroy": destroy,
    "network.set_default_locking_mode": set_default_locking_mode,
    "network.add_purpose": add_purpose,
    "network.remove_purpose": remove_purpose,
    "VLAN.create": create_vlan,
    "VLAN.destroy": destroy_vlan,
    "pool.create_VLAN_from_PIF": create_pool_vlan,
}
