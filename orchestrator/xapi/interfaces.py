"""Acting on VIFs."""

from collections.abc import Mapping
from typing import Any

from orchestrator.xapi import rows
from orchestrator.xapi.port import assert_idle
from orchestrator.xapi.reading import Reader
from workflows.objects import SETTINGS, VM, Kept
from workflows.ports import Gone, Refused

UNLIMITED: Mapping[str, Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}}  # both are mandatory
STARTS = frozenset({"start", "start_on"})


class Interfaces(Reader):
    """Satisfies what `workflows.ports.Machines` has of VIFs."""

    def create_vif(self, vm: str, network: str, device: str, mac: str, other_config: Mapping[str, str], kept: Kept = None) -> str:
        """VIF.create, with the network's MTU; the new VIF's uuid. Capacity is not looked at by xapi, and nothing is plugged."""
        on = self._on("network", network, lambda ref: (ref, self._client.fetch(int, "network.get_MTU", ref)))
        settings = {name: value for name, value in (kept or {}).items() if name in SETTINGS}
        record = {"device": device, "MAC": mac, "other_config": dict(other_config), **UNLIMITED, **settings}
        return self._on("VM", vm, lambda ref: self._create_vif(ref, on, record))

    def _create_vif(self, vm: str, on: tuple[str, int], record: dict[str, Any]) -> str:
        network, mtu = on
        record = {**record, "VM": vm, "network": network, "MTU": mtu}
        return self._refs.uuid("VIF", self._client.fetch(str, "VIF.create", record))

    def destroy_vif(self, vif: str) -> None:
        """VIF.destroy; one that is gone is no error."""
        try:
            self._on("VIF", vif, lambda ref: self._client.call("VIF.destroy", ref))
        except Gone:
            return

    def move_vif(self, vif: str, network: str, *, seen: VM | None = None) -> None:
        """VIF.move. Onto SR-IOV, and an attached VIF off it, only while the VM is halted and nothing is under way with it.

        On a running VM xapi changes the record before the data plane refuses, and the two disagree from then on (xapi_vif.ml: move). A VM
        that starts still says Halted, so its operations count too. A snapshot's VIFs hold nothing and may be moved at any time.
        """
        target = self._refs.ref("network", network)

        def act(ref: str) -> None:
            if seen is not None and _stays_down(seen):
                if all((one.uuid, one.network) != (vif, network) for one in seen.vifs):
                    self._client.call("VIF.move", ref, target)
                return
            row = self._source.vif(ref)
            if row.network != target:
                self._assert_movable(row, target)
                self._client.call("VIF.move", ref, target)

        self._on("VIF", vif, act)

    def _assert_movable(self, row: rows.VIF, target: str) -> None:
        """The VM is looked at first: of one that is halted the networks do not matter."""
        vm = self._client.fetch(rows.VM, "VM.get_record", row.VM)
        if vm.is_a_snapshot or (vm.power_state == "Halted" and not vm.current_operations):
            return
        if not (self._source.network(target)[1] or (row.currently_attached and self._source.network(row.network)[1])):
            return
        assert_idle("VM", vm.uuid, vm.current_operations.values())
        raise Refused("VM_BAD_POWER_STATE", (vm.uuid, "halted", vm.power_state.lower()))


def _stays_down(vm: VM) -> bool:
    """Whether nobody can start it (xapi: VM.blocked_operations stops everybody), or it is a snapshot and never runs."""
    at_rest = vm.power_state == "Halted" and not vm.current_operations
    return vm.is_snapshot or (at_rest and STARTS.issubset(vm.blocked_operations))
