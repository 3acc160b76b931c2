"""PIFs: plugging and unplugging, which for an SR-IOV logical PIF makes and removes VFs."""

from orchestrator.simulator import networks, objects, sriov
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages


def plug(call: Call, self: str) -> None:
    """PIF.plug: an SR-IOV logical PIF is enabled again by its driver, which may fail or want a reboot; a VLAN brings up what is below."""
    with call.db.lock:
        row = _on_live_host(call, self)
    if row["sriov_logical_PIF_of"]:
        if not row["currently_attached"]:
            _plug_physical(call.db, row)
            sriov.enable(call, row["sriov_logical_PIF_of"][0])
        return
    if row["VLAN_master_of"] != NULL:
        plug(call, call.db.get("VLAN", row["VLAN_master_of"])["tagged_PIF"])
    call.db.set("PIF", self, currently_attached=True)


def _plug_physical(db: Database, logical: Row) -> None:
    port = sriov.port_of(db, logical["sriov_logical_PIF_of"][0])
    db.set("PIF", port, currently_attached=True)


def unplug(call: Call, self: str) -> None:
    """PIF.unplug: refused while a VM of the host uses its network; takes the VLANs and the SR-IOV logical PIF above down too."""
    with call.db.lock:
        row = _on_live_host(call, self)
        if row["management"]:
            raise Failure("PIF_IS_MANAGEMENT_INTERFACE", self)
        if row["disallow_unplug"]:
            raise Failure("PIF_DOES_NOT_ALLOW_UNPLUG", self)
        above = [call.db.get("network_sriov", ref)["logical_PIF"] for ref in row["sriov_physical_PIF_of"]]
        for pif in (self, *above):
            for network in sriov.networks_on(call.db, pif):
                sriov.assert_unused(call.db, network, row["host"])
        for pif in (self, *above):
            for vlan in call.db.get("PIF", pif)["VLAN_slave_of"]:
                call.db.set("PIF", call.db.get("VLAN", vlan)["untagged_PIF"], currently_attached=False)
    for ref in (*row["sriov_physical_PIF_of"], *row["sriov_logical_PIF_of"]):
        sriov.disable(call, ref)
    if not row["sriov_logical_PIF_of"]:
        call.db.set("PIF", self, currently_attached=False)


def forget(call: Call, self: str) -> None:
    """PIF.forget: never while SR-IOV stands on it, and never a logical PIF."""
    with call.db.lock:
        row = _on_live_host(call, self)
        _assert_nothing_on(self, row)
        if row["management"]:
            raise Failure("PIF_IS_MANAGEMENT_INTERFACE", self)
        sriov.assert_unused(call.db, row["network"], row["host"])
        call.db.destroy("PIF", self)


def _assert_nothing_on(ref: str, row: Row) -> None:
    if row["sriov_logical_PIF_of"]:
        raise Failure("CANNOT_FORGET_SRIOV_LOGICAL", ref)
    if row["sriov_physical_PIF_of"]:
        raise Failure("PIF_SRIOV_STILL_EXISTS", ref)
    if row["VLAN_slave_of"]:
        raise Failure("PIF_VLAN_STILL_EXISTS", ref)
    if row["bond_slave_of"] != NULL:
        raise Failure("PIF_ALREADY_BONDED", ref)


def destroy(call: Call, self: str) -> None:
    """PIF.destroy: only of VLANs, and deprecated (a physical PIF: PIF_IS_PHYSICAL without a parameter, as recorded)."""
    with call.db.lock:
        row = call.handle("PIF", self)
        if row["VLAN_master_of"] == NULL:
            raise Failure("PIF_IS_PHYSICAL")
        networks.remove_vlan(call.db, row["VLAN_master_of"], call.db.get("VLAN", row["VLAN_master_of"]))


def set_disallow_unplug(call: Call, self: str, value: bool) -> None:
    """PIF.set_disallow_unplug."""
    call.handle("PIF", self)
    call.db.set("PIF", self, disallow_unplug=value)


def scan(call: Call, host: str) -> None:
    """PIF.scan: the simulator's hosts never find a new card."""
    call.handle("host", host)
    if not objects.is_live(call.db, host):
        raise Failure("HOST_OFFLINE", host)


def _on_live_host(call: Call, ref: str) -> Row:
    row = call.handle("PIF", ref)
    if not objects.is_live(call.db, row["host"]):
        raise Failure("HOST_OFFLINE", row["host"])
    if not row["managed"]:
        raise Failure("PIF_UNMANAGED", ref)
    return row


MESSAGES: Messages = {
    "PIF.plug": plug,
    "PIF.unplug": unplug,
    "PIF.forget": forget,
    "PIF.destroy": destroy,
    "PIF.set_disallow_unplug": set_disallow_unplug,
    "PIF.scan": scan,
}
