"""The simulator as a process: one line of JSON when it accepts connections, then it serves until it is told to stop."""

import dataclasses
import signal
import sys
import threading

import orjson

from orchestrator.simulator import objects, world
from orchestrator.simulator.simulated_pool import SimulatedPool


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the command line takes; `host` is the address of the coordinator, the members follow it where the machine allows."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: bool = False
    hosts: int = 3
    ports: int = 2
    vfs: int = 8
    vms: int = 12
    driver: world.Driver = "sysfs"
    sriov: bool = True
    speed: float = 0.0
    seed: int = 1
    user: str = "root"
    password: str = dataclasses.field(default="simulated", repr=False)
    control: bool = False
    disk_mib: int = 0

    def world(self) -> world.World:
        """The world these options describe; ValueError when there is no such world."""
        return world.World(
            hosts=self.hosts,
            ports=self.ports,
            vfs=self.vfs,
            vms=self.vms,
            driver=self.driver,
            sriov=self.sriov,
            seed=self.seed,
            user=self.user,
            password=self.password,
            address=self.host,
            disk=self.disk_mib << 20,
        )


def run(options: Options) -> int:
    """Serve until SIGTERM or SIGINT, then 0; 2 when the options or the address will not do."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        pool = SimulatedPool(options.world(), port=options.port, tls=options.tls, speed=options.speed, control_port=options.control)
        pool.start()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"vfo simulate: {error}\n")
        return 2
    with pool:
        sys.stdout.write(first_line(pool) + "\n")
        sys.stdout.flush()
        stop.wait()
    return 0


def first_line(pool: SimulatedPool) -> str:
    """Everything a client needs, as JSON."""
    name = objects.pool_of(pool.database)[1]["name_label"]
    known = {"url": pool.url, "user": pool.user, "password": pool.password, "pool": name}
    return orjson.dumps({**known, "fingerprint": pool.fingerprint, "control": pool.control_url}).decode()
