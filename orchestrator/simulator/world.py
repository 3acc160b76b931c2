"""The world a simulator starts with: a pool of alike hosts, their cards and ports, a shared SR, templates and VMs."""

import dataclasses
import random
from typing import Any, Final, Literal

from orchestrator.simulator import sessions, sriov, vfs, world_guests, world_hosts
from orchestrator.simulator.database import Database
from orchestrator.simulator.server import member_addresses

Driver = Literal["sysfs", "modprobe", "manual", "enable-fails"]
DRIVERS: Final[tuple[Driver, ...]] = ("sysfs", "modprobe", "manual", "enable-fails")
SRIOV_NETWORK: Final = "SR-IOV"


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """What to build. `ports` are capable ones, each with `vfs` VFs; `users` maps further names to (password, role).

    With `sriov` the first port of every host is enabled on the network "SR-IOV" and half of the VMs run, with a VF as far as there are VFs.
    *disk*: bytes of each VM's disk; 0: 10 to 40 GiB. With driver "enable-fails" `sriov` only makes the network.
    """

    hosts: int = 3
    ports: int = 2
    vfs: int = 8
    vms: int = 12
    driver: Driver = "sysfs"
    sriov: bool = True
    seed: int = 1
    user: str = "root"
    password: str = dataclasses.field(default="simulated", repr=False)
    users: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict, repr=False)
    address: str = "127.0.0.1"
    pool: str = "Simulated pool"
    disk: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (("hosts", 1, 64), ("ports", 1, 16), ("vfs", 1, vfs.MOST_VFS), ("vms", 0, 100_000)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be between {least} and {most}, not {getattr(self, name)}")
        if self.driver not in DRIVERS:
            raise ValueError(f"driver must be one of {', '.join(DRIVERS)}, not {self.driver!r}")

    def logins(self) -> dict[str, sessions.User]:
        """Who may log in: the named user as pool-admin, and the others with their roles."""
        others = {name: sessions.User(password, role) for name, (password, role) in self.users.items()}
        return {self.user: sessions.User(self.password), **others}


def build(world: World) -> Database:
    """A database filled with the world; the same world gives the same database."""
    db = Database(seed=world.seed)
    chance = random.Random(world.seed)
    addresses = member_addresses(world.address, world.hosts)
    with db.lock:
        networks = world_hosts.make_networks(db, world.ports)
        made = [world_hosts.make_host(db, number + 1, address) for number, address in enumerate(addresses)]
        _make_pool(db, world.pool, made[0])
        sr = world_hosts.make_storage(db, made)
        for number, host in enumerate(made):
            world_guests.make_control_domain(db, host)
            cards = world_hosts.Cards(number, world.ports, world.vfs, world.driver, addresses[number])
            world_hosts.make_ports(db, host, networks, cards)
        world_hosts.make_usb(db, made[0])
        world_guests.make_templates(db)
        if world.sriov:
            _enable(db, made)
        world_guests.make_vms(db, world.vms, sr, chance, disk=world.disk)
    return db


def _make_pool(db: Database, name: str, coordinator: str) -> None:
    restrictions: dict[str, Any] = world_hosts.RESTRICTIONS
    db.create(
        "pool",
        name_label=name,
        master=coordinator,
        restrictions=restrictions,
        other_config={"auto_poweron": "true"},
        cpu_info=db.get("host", coordinator)["cpu_info"],
        tls_verification_enabled=True,
        migration_compression=False,
    )


def _enable(db: Database, hosts: list[str]) -> None:
    """The first capable port of every host on one network, as if done long ago: a modprobe driver has rebooted since."""
    network = db.create("network", name_label=SRIOV_NETWORK, name_description="VFs of every host", bridge="xapi0", MTU=1500)
    for host in hosts:
        port = next(pif for pif in db.get("host", host)["PIFs"] if "sriov" in db.get("PIF", pif)["capabilities"])
        if db.get("PCI", db.get("PIF", port)["PCI"])["_driver"] != "enable-fails":
            sriov.enable_long_ago(db, port, network)
