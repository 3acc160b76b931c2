"""A simulated pool inside a test or a demo: started, reached by URL, changed behind XenAPI's back, stopped."""

import types
from typing import Any, Self

from orchestrator.simulator import (
    behaviour,
    host_boots,
    raw_disks,
    sriov,
    vm_exports,
    vm_imports,
    vm_lifecycle,
    vm_snapshots,
    vms,
    world,
    world_guests,
    world_hosts,
)
from orchestrator.simulator.call import Call
from orchestrator.simulator.control import Control, ControlError, find
from orchestrator.simulator.control_port import ControlPort
from orchestrator.simulator.database import Database
from orchestrator.simulator.server import Server, Settings, member_addresses
from orchestrator.simulator.world import World


class SimulatedPool:
    """A pool that speaks XenAPI on a port of this machine.

    As a context manager it runs inside the block. `control` has the verbs of the control port; with `control_port` they are also served
    by HTTP at `control_url`. Give either a World or its fields: SimulatedPool(hosts=2, vms=0, speed=0.01).
    """

    def __init__(
        self, world: World | None = None, *, port: int = 0, tls: bool = False, speed: float = 0.0, control_port: bool = False, **fields: Any
    ) -> None:
        if world is not None and fields:
            raise TypeError(f"a World was given, so {', '.join(fields)} cannot be")
        self.world = world or World(**fields)
        self._settings = Settings(address=self.world.address, port=port, tls=tls, speed=speed, seed=self.world.seed)
        self._wants_port = control_port
        self._server: Server | None = None
        self._control_port: ControlPort | None = None

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Build the world and listen; OSError when the port is taken."""
        db = world.build(self.world)
        server = Server(db, behaviour.TABLES, self.world.logins(), self._settings)
        server.on_toolstack_start.append(lambda host: host_boots.toolstack_started(server, host))
        for module in (raw_disks, vm_exports, vm_imports):
            server.routes.update(module.routes(server))
        server.start()
        if self._settings.tls:
            _show_certificates(server)
        self._server = server
        if self._wants_port:
            self._control_port = ControlPort(self.control)
        return self

    def stop(self) -> None:
        """Close everything; stopping twice is fine."""
        if self._control_port is not None:
            self._control_port.stop()
            self._control_port = None
        if self._server is not None:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        return self if self._server is not None else self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None) -> None:
        self.stop()

    # -- what a client needs -------------------------------------------------------------------------------------

    @property
    def server(self) -> Server:
        """The running server; RuntimeError before start and after stop."""
        if self._server is None:
            raise RuntimeError("the simulated pool does not run")
        return self._server

    @property
    def database(self) -> Database:
        """The pool's database, hidden fields included."""
        return self.server.db

    @property
    def url(self) -> str:
        """Where the present coordinator answers."""
        return self.server.url

    @property
    def user(self) -> str:
        """Who may log in as pool-admin."""
        return self.world.user

    @property
    def password(self) -> str:
        """The password of `user`."""
        return self.world.password

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the coordinator's certificate, None without TLS."""
        return self.server.fingerprint

    @property
    def control_url(self) -> str | None:
        """Where the control port answers, None without one."""
        return self._control_port.url if self._control_port else None

    @property
    def control(self) -> Control:
        """The verbs of the control port, in process."""
        return Control(self.server)

    def state(self) -> dict[str, Any]:
        """The hidden truth: who has and who reserves which VF."""
        return self.control.state()

    # -- world builders ------------------------------------------------------------------------------------------

    def add_network(self, name: str) -> str:
        """A network without PIFs; gives its ref."""
        return self.database.create("network", name_label=name, bridge=f"xapi-{name}")

    def add_vm(
        self, name: str, *, network: str | None = world.SRIOV_NETWORK, running: bool = True, host: str | None = None, disk: bool = True
    ) -> str:
        """A VM with a VIF on the network (None: without) and a disk; when it runs, on the host or where xapi would put it. Gives its ref.

        Failure (orchestrator.simulator.errors) when it cannot run there.
        """
        db = self.database
        with db.lock:
            sr = find(db, "SR", "Shared SR") if disk else None
            where = find(db, "network", network) if network else None
            vm = world_guests.make_vm(db, name, where, sr, self.server.random)
            if running and host is None:
                world_guests.start(db, vm, self.server.random)
            elif running:
                vm_lifecycle.start_now(db, vm, find(db, "host", str(host)))
            return vm

    def halt_vm(self, vm: str) -> None:
        """The VM is off at once."""
        with self.database.lock:
            vm_lifecycle.halt(self.database, find(self.database, "VM", vm))

    def destroy_vm(self, vm: str) -> None:
        """The VM is gone, off or on, as after another client's hard_shutdown and destroy."""
        with self.database.lock:
            ref = find(self.database, "VM", vm)
            vm_lifecycle.halt(self.database, ref)
            vms.remove(self.database, ref)

    def add_snapshot(self, vm: str, name: str) -> str:
        """A snapshot of the VM as it is; gives its ref."""
        call = Call(self.server, "VM.snapshot")
        with self.database.lock:
            return vm_snapshots.take(call, find(self.database, "VM", vm), name)

    def add_host(self, name: str) -> str:
        """Another host joins the pool, with cards like the others' and SR-IOV enabled nowhere; gives its ref."""
        db = self.database
        with db.lock:
            number = len(db.refs("host"))
            if db.by_name("host", name):
                raise ControlError(f"host: {name!r} is in the pool already")
            address = member_addresses(self.world.address, number + 1)[number]
            host = world_hosts.make_host(db, number + 1, address)
            db.set("host", host, name_label=name)
            networks = [
                next(ref for ref, row in db.rows("network") if row["bridge"] == f"xenbr{port}") for port in range(self.world.ports + 1)
            ]
            world_guests.make_control_domain(db, host)
            cards = world_hosts.Cards(number, self.world.ports, self.world.vfs, self.world.driver, address)
            world_hosts.make_ports(db, host, networks, cards)
            sr = find(db, "SR", "Shared SR")
            db.create("PBD", host=host, SR=sr, device_config={}, currently_attached=True)
        self.server.power(host, on=True)
        return host

    def network_sriov_on(self, host: str, network: str = world.SRIOV_NETWORK) -> str | None:
        """The ref of the network_sriov that serves the network on the host."""
        with self.database.lock:
            return sriov.on_host(self.database, find(self.database, "network", network), find(self.database, "host", host))


def _show_certificates(server: Server) -> None:
    """A Certificate record for each host, with the fingerprint of what its port shows."""
    for host in server.db.refs("host"):
        fingerprint = server.certificate(host).fingerprint
        server.db.create("Certificate", host=host, type="host", fingerprint=fingerprint, fingerprint_sha256=fingerprint)
