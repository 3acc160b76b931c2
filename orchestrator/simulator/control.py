"""What tests and demos may do to a simulated pool beside XenAPI, and the hidden truth they may look at.

Objects are named by name_label, uuid or ref. A ControlError says which argument is wrong and how.
"""

import secrets
from typing import Any, Literal

from orchestrator.simulator import durations, host_boots, operations, sriov, vfs, world
from orchestrator.simulator.control_disks import DiskControl
from orchestrator.simulator.lookup import ControlError, find
from orchestrator.simulator.objects import NULL

__all__ = ["Control", "ControlError", "find"]


class Control(DiskControl):
    """The verbs, in process; the control port carries them by JSON."""

    def fail(self, method: str, error: list[str], times: int | None = 1, match: str | None = None) -> None:
        """The next calls of the method answer *error* ([code, *params]) and do nothing."""
        self._server.faults.fail(method, error, times, match)

    def delay(self, method: str, seconds: float, times: int | None = None, match: str | None = None) -> None:
        """Calls of the method begin *seconds* later."""
        self._server.faults.delay(method, seconds, times, match)

    def cut(self, method: str, when: Literal["before", "after"] = "before", times: int | None = 1, match: str | None = None) -> None:
        """The connection dies before the call did anything, or after it took effect."""
        if when not in {"before", "after"}:
            raise ControlError(f"when: must be before or after, not {when!r}")
        self._server.faults.cut(method, when, times, match)

    def deaf(self, seconds: float) -> None:
        """event.from answers nobody for so long; the rest does."""
        self._server.faults.deaf(seconds)

    def clear(self) -> None:
        """All of fail, delay, cut, deaf, slow-stream, break-stream and busy-after-transfer are void."""
        self._server.faults.clear()

    def toolstack_restart(self, seconds: float = 0.0, host: str | None = None) -> None:
        """Xapi goes down on the host (the coordinator) and comes back *seconds* later; guests run on."""
        self._server.restart_toolstack(find(self._db, "host", host) if host else None, seconds)

    def failover(self, host: str, old_answers: bool = True, behind: int = 0) -> None:
        """The host becomes coordinator; the old one answers HOST_IS_SLAVE or not at all; `behind` makes its database so much older."""
        self._server.failover(find(self._db, "host", host), old_answers=old_answers, behind=behind)

    def host(self, host: str, power: Literal["on", "off"]) -> None:
        """Pull a host's plug, or let it boot (which takes its time, scaled by the speed)."""
        ref = find(self._db, "host", host)
        if power == "off":
            host_boots.go_down(self._server, ref)
        elif power != "on":
            raise ControlError(f"power: must be on or off, not {power!r}")
        elif self._server.speed:
            self._server.spawn(self._boot, ref)
        else:
            host_boots.come_up(self._server, ref)

    def _boot(self, host: str) -> None:
        self._server.pause(durations.HOST_BOOT * self._server.speed)
        host_boots.come_up(self._server, host)

    def leak(self, host: str, network: str, count: int = 1, vm: str | None = None) -> None:
        """Reserve free VFs of the host's port on the network for nobody, or for a halted VM that will not use them."""
        with self._db.lock:
            port = sriov.on_host(self._db, find(self._db, "network", network), find(self._db, "host", host))
            if port is None:
                raise ControlError(f"network: {network!r} has no SR-IOV port on {host!r}")
            free = vfs.free(self._db, sriov.port_of(self._db, port))
            if len(free) < count:
                raise ControlError(f"count: {count} wanted, {len(free)} VFs are free")
            for vf in free[:count]:
                holder = find(self._db, "VM", vm) if vm else f"OpaqueRef:{secrets.token_hex(16)}"
                vfs.leak(self._db, vf, holder)

    def dangle(self, vm: str) -> None:
        """Let the VM's attached_PCIs name a PCI device that is gone, as databases in the field do; a halt or a reset clears it."""
        with self._db.lock:
            ref = find(self._db, "VM", vm)
            self._db.set("VM", ref, attached_PCIs=[*self._db.get("VM", ref)["attached_PCIs"], f"OpaqueRef:{self._db.new_uuid()}"])
            operations.refresh(self._db, ref)

    def guest(self, vm: str, ignores_shutdown: bool = False, acknowledges: bool = False, tools: bool = True) -> None:
        """The guest does not shut down when asked: it does not answer, or it answers and goes on; or it has no tools to be asked by."""
        temper = ("hangs" if acknowledges else "ignores") if ignores_shutdown else ""
        with self._db.lock:
            ref = find(self._db, "VM", vm)
            self._db.set("VM", ref, _guest=temper if tools else "bare")
            operations.refresh(self._db, ref)

    def driver(self, host: str, driver: str) -> None:
        """From now on the host's capable ports enable in this way; what is enabled stays as it is until it is plugged or the host boots."""
        if driver not in world.DRIVERS:
            raise ControlError(f"driver: must be one of {', '.join(world.DRIVERS)}, not {driver!r}")
        with self._db.lock:
            for pci in self._db.get("host", find(self._db, "host", host))["PCIs"]:
                if "_driver" in self._db.get("PCI", pci):
                    self._db.set("PCI", pci, _driver=driver)

    # -- the hidden truth ---------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Who has and who reserves which VF: what no XenAPI client can see."""
        with self._db.lock:
            return {
                "coordinator": self._name("host", self._server.coordinator),
                "ports": [self._port(ref) for ref, row in self._db.rows("PIF") if row["physical"] and "sriov" in row["capabilities"]],
                "vms": {
                    ref: {"name": row["name_label"], "uuid": row["uuid"], "power_state": row["power_state"], "vfs": self._held(ref, row)}
                    for ref, row in self._db.rows("VM")
                    if not row["is_a_template"] and not row["is_control_domain"]
                },
            }

    def effects(self) -> dict[str, dict[str, int]]:
        """Which calls changed something, and how often on which object (uuid): what was done twice shows."""
        return self._server.effects.counted()

    def calls(self) -> dict[str, dict[str, Any]]:
        """By originator how many calls are in flight, how many were at most, and how many there were by each session."""
        return self._server.crowds.counted()

    def _held(self, vm: str, row: dict[str, Any]) -> list[str]:
        held = (self._db.get("PCI", vf) for vf in row["attached_PCIs"] if self._db.exists("PCI", vf))
        return [vf["pci_id"] for vf in held if vf.get("_attached_VM") == vm]

    def _port(self, pif: str) -> dict[str, Any]:
        row = self._db.get("PIF", pif)
        found = [self._db.get("PCI", vf) for vf in vfs.of_port(self._db, pif)]
        enabled = [self._db.get("network_sriov", ref) for ref in row["sriov_physical_PIF_of"]]
        networks = [self._name("network", self._db.get("PIF", one["logical_PIF"])["network"]) for one in enabled]
        return {
            "host": self._name("host", row["host"]),
            "device": row["device"],
            "network": networks[0] if networks else None,
            "mode": enabled[0]["configuration_mode"] if enabled else None,
            "free": sum(map(vfs.is_free, found)),
            "total": len(found),
            "leaked": sum(self._is_leaked(vf) for vf in found),
            "vfs": [
                {
                    "pci_id": vf["pci_id"],
                    "uuid": vf["uuid"],
                    "attached": self._holder(vf.get("_attached_VM", NULL)),
                    "reserved": self._holder(vf.get("_scheduled", NULL)),
                }
                for vf in found
            ],
        }

    def _is_leaked(self, vf: dict[str, Any]) -> bool:
        """Reserved for a VM that is gone, or that is halted and not about to start."""
        holder = vf.get("_scheduled", NULL)
        if holder == NULL:
            return False
        return not self._db.exists("VM", holder) or self._db.get("VM", holder)["scheduled_to_be_resident_on"] == NULL

    def _holder(self, vm: str) -> str | None:
        if vm == NULL:
            return None
        return self._name("VM", vm) if self._db.exists("VM", vm) else "nobody"

    def _name(self, cls: str, ref: str) -> str:
        return str(self._db.get(cls, ref)["name_label"])
