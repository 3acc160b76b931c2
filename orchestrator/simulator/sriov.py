"""SR-IOV on ports: network_sriov's messages, what enabling does in each driver's mode, and which networks are SR-IOV."""

from collections.abc import Iterator

from orchestrator.simulator import durations, objects, vfs
from orchestrator.simulator.call import Call
from orchestrator.simulator.database import Database, Row
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL
from orchestrator.simulator.registry import Messages

LOGICAL_MAC = "fe:ff:ff:ff:ff:ff"


def under(db: Database, pif: str) -> str | None:
    """The network_sriov beneath a PIF that is its logical PIF or a VLAN on it."""
    row = db.get("PIF", pif)
    if row["sriov_logical_PIF_of"]:
        return str(row["sriov_logical_PIF_of"][0])
    if row["VLAN_master_of"] != NULL:
        return under(db, db.get("VLAN", row["VLAN_master_of"])["tagged_PIF"])
    return None


def is_sriov_network(db: Database, network: str) -> bool:
    """Whether VIFs on the network take VFs: its first PIF is (a VLAN on) an SR-IOV logical PIF."""
    pifs = db.get("network", network)["PIFs"] if db.exists("network", network) else []
    return bool(pifs) and under(db, pifs[0]) is not None


def on_host(db: Database, network: str, host: str) -> str | None:
    """The network_sriov that serves the network on the host."""
    for pif in db.get("network", network)["PIFs"]:
        if db.get("PIF", pif)["host"] == host:
            return under(db, pif)
    return None


def port_of(db: Database, sriov: str) -> str:
    """The physical PIF of a network_sriov."""
    return str(db.get("network_sriov", sriov)["physical_PIF"])


def capacity(db: Database, sriov: str) -> int:
    """How many VFs of the port are free."""
    return len(vfs.free(db, port_of(db, sriov)))


def networks_on(db: Database, logical: str) -> list[str]:
    """The network of a logical PIF and those of the VLANs on it."""
    row = db.get("PIF", logical)
    tagged = (db.get("VLAN", vlan)["untagged_PIF"] for vlan in row["VLAN_slave_of"])
    return [row["network"], *(db.get("PIF", pif)["network"] for pif in tagged)]


def assert_unused(db: Database, network: str, host: str) -> None:
    """Raise VIF_IN_USE when a VM that runs or starts on the host has an attached VIF on the network."""
    for vif in db.get("network", network)["VIFs"]:
        row = db.get("VIF", vif)
        if row["currently_attached"]:
            vm = db.get("VM", row["VM"])
            if host in (vm["resident_on"], vm["scheduled_to_be_resident_on"]):
                raise Failure("VIF_IN_USE", network, vif)


# -- messages ----------------------------------------------------------------------------------------------


def get_remaining_capacity(call: Call, self: str) -> int:
    """network_sriov.get_remaining_capacity: free VFs, neither held nor reserved."""
    with call.db.lock:
        call.handle("network_sriov", self)
        return capacity(call.db, self)


def create(call: Call, pif: str, network: str) -> str:
    """network_sriov.create: the checks in xapi's order, the two records, then the driver.

    When the driver refuses, the records stay behind (recorded on a running xapi).
    """
    with call.db.lock:
        port = call.handle("PIF", pif)
        call.handle("network", network)
        _assert_can_create(call.db, pif, port, network)
        logical = call.db.create("PIF", **_logical_record(port, network))
        sriov = str(call.db.create("network_sriov", physical_PIF=pif, logical_PIF=logical))
    enable(call, sriov)
    return sriov


def _assert_can_create(db: Database, pif: str, port: Row, network: str) -> None:
    """xapi_network_sriov.ml: create, in its order."""
    if objects.pool_of(db)[1]["restrictions"].get("restrict_network_sriov") == "true":
        raise Failure("LICENCE_RESTRICTION", "Network_sriov")
    if not objects.is_live(db, port["host"]):
        raise Failure("HOST_OFFLINE", port["host"])
    if not db.get("network", network)["managed"]:
        raise Failure("NETWORK_UNMANAGED", network)
    if not port["managed"]:
        raise Failure("PIF_UNMANAGED", pif)
    if not port["physical"]:
        raise Failure("PIF_IS_NOT_PHYSICAL", pif)
    if port["sriov_physical_PIF_of"]:
        raise Failure("NETWORK_SRIOV_ALREADY_ENABLED", pif)
    if "sriov" not in port["capabilities"]:
        raise Failure("PIF_IS_NOT_SRIOV_CAPABLE", pif)
    _assert_network_fits(db, pif, port, network)


def _assert_network_fits(db: Database, pif: str, port: Row, network: str) -> None:
    others = db.get("network", network)["PIFs"]
    for other in others:
        if db.get("PIF", other)["host"] == port["host"]:
            raise Failure("NETWORK_ALREADY_CONNECTED", port["host"], other)
    if not others:
        return
    logical = db.get("PIF", others[0])
    if not logical["sriov_logical_PIF_of"]:
        raise Failure("NETWORK_INCOMPATIBLE_WITH_SRIOV", network)
    there = db.get("PIF", port_of(db, logical["sriov_logical_PIF_of"][0]))
    mine, theirs = db.get("PCI", port["PCI"]), db.get("PCI", there["PCI"])
    if (mine["vendor_id"], mine["device_id"]) != (theirs["vendor_id"], theirs["device_id"]):
        raise Failure("NETWORK_HAS_INCOMPATIBLE_SRIOV_PIFS", pif, network)


def _logical_record(port: Row, network: str) -> dict[str, object]:
    """The logical PIF: the port's device and metrics, a MAC of no card, VLAN -1, not plugged yet."""
    return {
        "device": port["device"],
        "network": network,
        "host": port["host"],
        "MAC": LOGICAL_MAC,
        "MTU": port["MTU"],
        "VLAN": -1,
        "metrics": port["metrics"],
        "physical": False,
        "currently_attached": False,
        "managed": True,
    }


def destroy(call: Call, self: str) -> None:
    """network_sriov.destroy: refused under a VLAN and while a VM of the host uses it; VIFs of halted VMs are not looked at."""
    with call.db.lock:
        logical = call.handle("network_sriov", self)["logical_PIF"]
        row = call.db.get("PIF", logical)
        if not objects.is_live(call.db, row["host"]):
            raise Failure("HOST_OFFLINE", row["host"])
        if row["VLAN_slave_of"]:
            raise Failure("PIF_VLAN_STILL_EXISTS", logical)
        assert_unused(call.db, row["network"], row["host"])
    disable(call, self)
    with call.db.lock:
        call.handle("network_sriov", self)
        call.db.destroy("network_sriov", self)
        call.db.destroy("PIF", logical)


# -- what the driver does ------------------------------------------------------------------------------------


def enable(call: Call, sriov: str) -> None:
    """Bring the logical PIF up in the way of the port's driver; raises NETWORK_SRIOV_ENABLE_FAILED."""
    with call.db.lock:
        row = call.handle("network_sriov", sriov)
        port = row["physical_PIF"]
        driver = call.db.get("PCI", call.db.get("PIF", port)["PCI"])["_driver"]
        wants_initrd = driver == "modprobe" and not vfs.of_port(call.db, port)
    call.work(durations.REBUILD_INITRD if wants_initrd else durations.ENABLE_VFS)
    with call.db.lock:
        logical = call.handle("network_sriov", sriov)["logical_PIF"]
        if driver == "enable-fails":
            raise Failure("NETWORK_SRIOV_ENABLE_FAILED", logical, "no resources")
        if driver == "modprobe":
            _write_modprobe_file(call.db, port, vfs_at_boot=True)
        bring_up(call.db, sriov)


def enable_long_ago(db: Database, pif: str, network: str) -> str:
    """What a create that succeeded before the world began has left; gives the network_sriov."""
    port = db.get("PIF", pif)
    logical = db.create("PIF", **_logical_record(port, network))
    sriov = str(db.create("network_sriov", physical_PIF=pif, logical_PIF=logical))
    if db.get("PCI", port["PCI"])["_driver"] == "modprobe":
        _write_modprobe_file(db, pif, vfs_at_boot=True)
        for other in _same_driver(db, pif):
            vfs.make(db, other)
    bring_up(db, sriov)
    return sriov


def bring_up(db: Database, sriov: str) -> None:
    """Write what enabling comes to: mode, whether the host must reboot first, whether the logical PIF is attached."""
    row = db.get("network_sriov", sriov)
    port = row["physical_PIF"]
    driver = db.get("PCI", db.get("PIF", port)["PCI"])["_driver"]
    if driver == "sysfs":
        vfs.make(db, port)
    waits = driver == "modprobe" and not vfs.of_port(db, port)
    db.set("network_sriov", sriov, configuration_mode=driver, requires_reboot=waits)
    db.set("PIF", row["logical_PIF"], currently_attached=not waits)


def disable(call: Call, sriov: str) -> None:
    """Bring the logical PIF down: only sysfs takes the VFs away at once, and the last port of a modprobe driver at the next boot."""
    call.work(durations.ENABLE_VFS)
    with call.db.lock:
        row = call.handle("network_sriov", sriov)
        host = call.db.get("PIF", row["logical_PIF"])["host"]
        for network in networks_on(call.db, row["logical_PIF"]):
            assert_unused(call.db, network, host)  # again: a VM may have started meanwhile
        if row["configuration_mode"] == "sysfs":
            vfs.remove(call.db, row["physical_PIF"])
        call.db.set("PIF", row["logical_PIF"], currently_attached=False)
        call.db.set("network_sriov", sriov, requires_reboot=False)
        if row["configuration_mode"] == "modprobe" and not any(
            _wanted(call.db, port) for port in _same_driver(call.db, row["physical_PIF"])
        ):
            _write_modprobe_file(call.db, row["physical_PIF"], vfs_at_boot=False)


def _wanted(db: Database, port: str) -> bool:
    """Whether a port is enabled, or will be after the next boot."""
    for sriov in db.get("PIF", port)["sriov_physical_PIF_of"]:
        row = db.get("network_sriov", sriov)
        return bool(row["requires_reboot"] or db.get("PIF", row["logical_PIF"])["currently_attached"])
    return False


def _same_driver(db: Database, port: str) -> Iterator[str]:
    """The ports of that host with the same driver: a modprobe file is one for them all."""
    row = db.get("PIF", port)
    driver = db.get("PCI", row["PCI"])["driver_name"]
    for other in db.get("host", row["host"])["PIFs"]:
        device = db.get("PIF", other)["PCI"]
        if device != NULL and db.get("PCI", device)["driver_name"] == driver and "_total_vfs" in db.get("PCI", device):
            yield other


def _write_modprobe_file(db: Database, port: str, *, vfs_at_boot: bool) -> None:
    for other in _same_driver(db, port):
        db.set("PCI", db.get("PIF", other)["PCI"], _vfs_at_boot=vfs_at_boot)


def lose_vfs(db: Database, host: str) -> None:
    """The host is booting: its VFs are gone, with everything that was reserved on them, and its logical PIFs are down."""
    for pif in db.get("host", host)["PIFs"]:
        row = db.get("PIF", pif)
        if row["sriov_logical_PIF_of"]:
            db.set("PIF", pif, currently_attached=False)
        if row["physical"] and row["PCI"] != NULL:
            vfs.remove(db, pif)


def bring_up_host(db: Database, host: str) -> None:
    """The end of a boot: VFs by the modprobe file or by hand are there, and each network_sriov is plugged again."""
    for pif in db.get("host", host)["PIFs"]:
        device = db.get("PIF", pif)["PCI"]
        row = db.get("PCI", device) if device != NULL else {}
        if row.get("_driver") == "manual" or (row.get("_driver") == "modprobe" and row.get("_vfs_at_boot")):
            vfs.make(db, pif)
    for pif in db.get("host", host)["PIFs"]:
        for sriov in db.get("PIF", pif)["sriov_logical_PIF_of"]:
            if _comes_up(db, sriov):
                bring_up(db, sriov)


def _comes_up(db: Database, sriov: str) -> bool:
    """Not what never came up, what a modprobe file no longer asks for, or what the driver refuses now."""
    port = port_of(db, sriov)
    driver = db.get("PCI", db.get("PIF", port)["PCI"])["_driver"]
    mode = db.get("network_sriov", sriov)["configuration_mode"]
    return mode != "unknown" and driver != "enable-fails" and (driver != "modprobe" or bool(vfs.of_port(db, port)))


MESSAGES: Messages = {
    "network_sriov.create": create,
    "network_sriov.destroy": destroy,
    "network_sriov.get_remaining_capacity": get_remaining_capacity,
}
