"""Control domains, templates and VMs."""

import random
from typing import Any, Final

from orchestrator.simulator import disks, objects, operations, placement, sriov, vbds, vifs, vm_lifecycle
from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.objects import NULL

MIB: Final = 1 << 20
GIB: Final = 1 << 30
PLATFORM: Final = {"acpi": "1", "apic": "true", "pae": "true", "viridian": "true", "nx": "true", "device-model": "qemu-upstream-compat"}
# "Other install media" as a running xapi has it.
TEMPLATE: Final[dict[str, Any]] = {
    "user_version": 1,
    "memory_static_max": GIB,
    "memory_dynamic_max": GIB,
    "memory_dynamic_min": GIB,
    "memory_static_min": 128 * MIB,
    "VCPUs_max": 1,
    "VCPUs_at_startup": 1,
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "destroy",
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "dc"},
    "platform": PLATFORM,
    "domain_type": "hvm",
    "has_vendor_device": False,
    "domid": -1,
}
DESCRIPTION: Final = "Template which allows VM installation from install media"
TEMPLATES: Final = {
    "Other install media": (DESCRIPTION, 1),
    "Debian Bookworm 12": ("To use this template from the CLI, install your VM using vm-install", 2),
    "Ubuntu Jammy Jellyfish 22.04": ("To use this template from the CLI, install your VM using vm-install", 2),
    "Windows Server 2022 (64-bit)": ("Clones of this template will automatically provision their storage", 2),
}
KINDS: Final = ("web", "db", "app", "cache", "queue", "build", "mail", "proxy", "files", "metrics")
TAGS: Final = ((), ("production",), ("production", "backup"), ("test",), ("backup",))


def make_control_domain(db: Database, host: str) -> None:
    """Domain 0 of the host: a VM that always runs there."""
    name = db.get("host", host)["name_label"]
    vm = db.create(
        "VM",
        **{**TEMPLATE, "memory_static_max": 8 * GIB, "memory_dynamic_max": 8 * GIB, "VCPUs_max": 8, "domid": 0},
        name_label=f"Control domain on host: {name}",
        name_description="The domain which manages physical devices and manages other domains",
        is_control_domain=True,
        power_state="Running",
        resident_on=host,
        metrics=db.create("VM_metrics", memory_actual=8 * GIB, VCPUs_number=8),
        other_config={"storage_driver_domain": "true", "is_system_domain": "true"},
    )
    operations.refresh(db, vm)
    db.set("host", host, control_domain=vm)


def make_templates(db: Database) -> None:
    """The default templates."""
    for name, (description, cpus) in TEMPLATES.items():
        vm = db.create(
            "VM",
            **{**TEMPLATE, "VCPUs_max": cpus, "VCPUs_at_startup": cpus},
            name_label=name,
            name_description=description,
            is_a_template=True,
            is_default_template=True,
            metrics=db.create("VM_metrics"),
            other_config={"default_template": "true", "install-methods": "cdrom"},
            recommendations='<restrictions><restriction field="memory-static-max" max="1649267441664"/></restrictions>',
        )
        operations.refresh(db, vm)


def make_vms(db: Database, count: int, sr: str, chance: random.Random, *, disk: int = 0) -> None:
    """VMs with one VIF and one disk of *disk* bytes each (0: of 10 to 40 GiB); every other one runs, with a VF while there are VFs."""
    special = db.by_name("network", "SR-IOV")
    plain = db.by_name("network", "Pool-wide network associated with eth0")[0]
    hosts = db.refs("host")
    for number in range(count):
        runs = number % 2 == 0
        network = special[0] if special else plain
        if special and runs and not _room(db, special[0]):
            network = plain
        vm = make_vm(db, vm_name(number), network, sr, chance, disk=disk)
        if runs and network != plain:
            start(db, vm, chance)
        elif runs:
            vm_lifecycle.start_now(db, vm, hosts[number % len(hosts)])


def _room(db: Database, network: str) -> bool:
    return any(sriov.capacity(db, port) for port in filter(None, (sriov.under(db, pif) for pif in db.get("network", network)["PIFs"])))


def start(db: Database, vm: str, chance: random.Random) -> None:
    """Let a VM run where xapi would put it; Failure when nowhere."""
    if operations.refusal(vm, db.get("VM", vm), "start"):
        raise Failure("VM_BAD_POWER_STATE", vm, "halted", db.get("VM", vm)["power_state"].lower())
    vm_lifecycle.start_now(db, vm, placement.choose(db, vm, chance))


def vm_name(number: int) -> str:
    """web-01, db-01, ... web-02, ..."""
    return f"{KINDS[number % len(KINDS)]}-{number // len(KINDS) + 1:02d}"


def make_vm(db: Database, name: str, network: str | None, sr: str | None, chance: random.Random, *, disk: int = 0) -> str:
    """A halted VM with a VIF on the network and a disk on the SR, if they are given; *disk*: its size in bytes, 0: of 10 to 40 GiB."""
    memory = chance.choice((1, 2, 4, 8)) * GIB
    cpus = chance.choice((1, 2, 4))
    seed = db.new_uuid()
    sizes = {
        "memory_static_max": memory,
        "memory_dynamic_max": memory,
        "memory_dynamic_min": memory,
        "VCPUs_max": cpus,
        "VCPUs_at_startup": cpus,
    }
    vm = str(
        db.create(
            "VM",
            **{**TEMPLATE, **sizes},
            name_label=name,
            tags=list(chance.choice(TAGS)),
            other_config={"base_template_name": "Debian Bookworm 12", "mac_seed": seed},
            metrics=db.create("VM_metrics", install_time=objects.now_text()),
        )
    )
    if network:
        vifs.make(db, VM=vm, network=network, device="0", MAC=vifs.make_mac(seed, "0"), MAC_autogenerated=True, MTU=1500)
    if sr:
        size = chance.choice((10, 20, 40)) * GIB
        vdi = disks.make(db, name_label=f"{name} disk", SR=sr, virtual_size=disk or size, type="user")
        vbds.make(db, VM=vm, VDI=vdi, userdevice="0", bootable=True, mode="RW", type="Disk", empty=vdi == NULL, other_config={"owner": ""})
    operations.refresh(db, vm)
    return vm
