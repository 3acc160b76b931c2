"""Hosts as XenAPI shows them, with cards, ports, networks and the shared SR."""

import dataclasses
import time
from typing import Any, Final

from orchestrator.simulator import hosts, objects, storage, vfs
from orchestrator.simulator.database import Database

UP_SECONDS = 30 * 86400  # the pool has been up for a month when the story begins
GIB: Final = 1 << 30
# What a free edition restricts nothing of; a licensed one says the same names.
RESTRICTIONS: Final = {
    f"restrict_{name}": "false"
    for name in (
        "network_sriov",
        "vlan",
        "pool_attached_storage",
        "checkpoint",
        "cbt",
        "live_patching",
        "ssl_legacy_switch",
        "pci_device_for_auto_update",
    )
}
VERSION: Final = {
    "product_version": "8.3.0",
    "product_version_text": "8.3",
    "product_version_text_short": "8.3",
    "product_brand": "XCP-ng",
    "platform_name": "XCP",
    "platform_version": "3.4.0",
    "build_number": "cloud",
    "hostname": "localhost",
    "date": "20260801T00:00:00Z",
    "dbv": "0.0.1",
    "xapi": "26.21",
    "xapi_build": "26.21.0",
    "xen": "4.17.5",
    "linux": "4.19.0+1",
    "network_backend": "openvswitch",
    "db_schema": "5.792",
}
CPU: Final = {
    "cpu_count": "32",
    "socket_count": "2",
    "threads_per_core": "2",
    "vendor": "GenuineIntel",
    "speed": "2400.000",
    "modelname": "Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz",
    "family": "6",
    "model": "106",
    "stepping": "6",
    "features_hvm": "1fcbfbff-f7fa3223-2d93fbff-00000423",
    "features_pv": "1fc9cbf5-f6f83203-2991cbf5-00000023",
}
ETHERNET: Final = {"class_id": "0200", "class_name": "Ethernet controller", "vendor_id": "8086", "vendor_name": "Intel Corporation"}
CAPABLE: Final = {
    "device_id": "1572",
    "device_name": "Ethernet Controller X710 for 10GbE SFP+",
    "driver_name": "i40e",
    "subsystem_vendor_id": "8086",
    "subsystem_vendor_name": "Intel Corporation",
    "subsystem_device_id": "0007",
    "subsystem_device_name": "Ethernet Converged Network Adapter X710-2",
    "_vf_device_id": "154c",
    "_vf_device_name": "Ethernet Virtual Function 700 Series",
    "_vf_driver_name": "",
}
PLAIN: Final = {
    "device_id": "1533",
    "device_name": "I210 Gigabit Network Connection",
    "driver_name": "igb",
    "subsystem_vendor_id": "8086",
    "subsystem_vendor_name": "Intel Corporation",
    "subsystem_device_id": "0001",
    "subsystem_device_name": "Ethernet Server Adapter I210-T1",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Cards:
    """A host's ports: eth0 is the plain one that carries management, the `ports` after it are capable and have `vfs` VFs each."""

    number: int
    ports: int
    vfs: int
    driver: str
    address: str


def make_networks(db: Database, ports: int) -> list[str]:
    """The pool-wide network of each device, and the one that is only inside each host."""
    db.create(
        "network",
        name_label="Host internal management network",
        name_description="Network on which guests will be assigned a private link-local IP address which can be used to talk XenAPI",
        bridge="xenapi",
        other_config={"is_guest_installer_network": "true", "is_host_internal_management_network": "true", "ip_begin": "169.254.0.1"},
    )
    return [
        str(db.create("network", name_label=f"Pool-wide network associated with eth{port}", bridge=f"xenbr{port}", MTU=1500))
        for port in range(ports + 1)
    ]


def make_host(db: Database, number: int, address: str) -> str:
    """A host that is up, with its metrics and two of its CPUs; it has no cards yet."""
    metrics = db.create("host_metrics", live=True, memory_total=512 * GIB, memory_free=400 * GIB, last_updated=objects.now_text())
    started = f"{time.time() - UP_SECONDS:.0f}."
    host = str(
        db.create(
            "host",
            name_label=f"host{number}",
            name_description="A host of the simulator",
            hostname=f"host{number}",
            address=address,
            metrics=metrics,
            enabled=True,
            other_config={"agent_start_time": started, "boot_time": started},
            **_make_and_model(number),
        )
    )
    hosts.refresh(db, host)
    for cpu in range(2):
        db.create("host_cpu", host=host, number=cpu, vendor=CPU["vendor"], modelname=CPU["modelname"], speed=2400, family=6, model=106)
    return host


def _make_and_model(number: int) -> dict[str, Any]:
    return {
        "API_version_major": 2,
        "API_version_minor": 21,
        "API_version_vendor": "XenSource",
        "software_version": {**VERSION, "hostname": f"host{number}"},
        "capabilities": ["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_32p", "hvm-3.0-x86_64"],
        "chipset_info": {"iommu": "true"},
        "cpu_info": dict(CPU),
        "cpu_configuration": {},
        "sched_policy": "credit",
        "supported_bootloaders": ["pygrub", "eliloader"],
        "logging": {},
        "license_params": {"sku_type": "free", "version": "8.3.0", "expiry": "20991231T00:00:00Z", **RESTRICTIONS},
        "edition": "xcp-ng",
        "editions": ["xcp-ng"],
        "bios_strings": {"bios-vendor": "Simulated", "system-manufacturer": "Simulated", "system-product-name": "VF server"},
        "tls_verification_enabled": True,
        "https_only": False,
        "ssl_legacy": False,
        "virtual_hardware_platform_versions": [0, 1, 2],
        "iscsi_iqn": f"iqn.2026-11.com.example:host{number}",
        "memory_overhead": 2 * GIB,
    }


def make_storage(db: Database, pool_hosts: list[str]) -> str:
    """The SR "Shared SR": NFS, plugged everywhere, the pool's default and where suspend images go."""
    features = {
        "SR_PROBE": 1,
        "SR_UPDATE": 1,
        "VDI_ATTACH": 1,
        "VDI_CLONE": 1,
        "VDI_CONFIG_CBT": 1,
        "VDI_CREATE": 1,
        "VDI_DELETE": 1,
        "VDI_DETACH": 1,
        "VDI_MIRROR": 1,
        "VDI_RESIZE": 1,
        "VDI_SNAPSHOT": 1,
        "VDI_UPDATE": 1,
    }
    db.create(
        "SM",
        name_label="NFS VHD",
        type="nfs",
        vendor="Linux",
        version="1.0",
        required_api_version="1.0",
        capabilities=sorted(features),
        features=features,
    )
    db.create("SM", name_label="ISO", type="iso", vendor="Linux", version="1.0", required_api_version="1.0", capabilities=[], features={})
    sizes = {"physical_size": 1 << 44, "physical_utilisation": 1 << 38, "virtual_allocation": 1 << 40}
    sr = str(db.create("SR", name_label="Shared SR", type="nfs", content_type="user", shared=True, **sizes))
    for host in pool_hosts:
        db.create("PBD", host=host, SR=sr, device_config={"server": "nfs.example", "serverpath": "/vms"}, currently_attached=True)
        db.set("host", host, suspend_image_sr=sr)
    storage.refresh(db, sr)
    pool, _ = objects.pool_of(db)
    db.set("pool", pool, default_SR=sr)
    return sr


def make_usb(db: Database, host: str) -> None:
    """A USB stick in the host, which a VM can be given (and then cannot be snapshotted)."""
    group = db.create("USB_group", name_label="Group of 0781 5567 USBs")
    db.create("PUSB", host=host, USB_group=group, path="1-2", vendor_id="0781", product_id="5567", serial="1", description="Storage stick")


def make_ports(db: Database, host: str, networks: list[str], cards: Cards) -> None:
    """The host's cards and a PIF for each port."""
    for port in range(cards.ports + 1):
        kind: dict[str, Any] = PLAIN if port == 0 else {**CAPABLE, "_driver": cards.driver, "_total_vfs": cards.vfs}
        device = db.create("PCI", host=host, pci_id=f"0000:{3 + port:02x}:00.0", **ETHERNET, **kind)
        pif = str(db.create("PIF", host=host, network=networks[port], PCI=device, **_pif(db, port, cards)))
        if port > 0 and cards.driver == "manual":
            vfs.make(db, pif)


def _pif(db: Database, port: int, cards: Cards) -> dict[str, Any]:
    management = {
        "management": True,
        "ip_configuration_mode": "Static",
        "IP": cards.address,
        "netmask": "255.255.255.0",
        "DNS": "192.0.2.53",
    }
    metrics = db.create(
        "PIF_metrics",
        carrier=True,
        vendor_name=ETHERNET["vendor_name"],
        device_name=(PLAIN if port == 0 else CAPABLE)["device_name"],
        speed=1000 if port == 0 else 10000,
        duplex=True,
        pci_bus_path=f"0000:{3 + port:02x}:00.0",
    )
    return {
        "device": f"eth{port}",
        "MAC": f"52:54:00:{cards.number:02x}:00:{port:02x}",
        "MTU": 1500,
        "VLAN": -1,
        "metrics": metrics,
        "physical": True,
        "currently_attached": True,
        "capabilities": [] if port == 0 else ["sriov"],
        "properties": {"gro": "on"},
        **(management if port == 0 else {}),
    }
