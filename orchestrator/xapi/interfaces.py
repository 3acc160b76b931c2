"""Acting on VIFs."""

from collections.abc import Mapping

from orchestrator.xapi import rows
from orchestrator.xapi.port import assert_idle
from orchestrator.xapi.reading import Reader
from workflows.ports import Gone, Refused


class Interfaces(Reader):
    """Satisfies what `workflows.ports.Machines` has of VIFs."""

    def create_vif(self, vm: str, network: str, device: str, mac: str, other_config: Mapping[str, str]) -> str:
        """VIF.create, with the network's MTU; the new VIF's uuid. Capacity is not looked at by xapi, and nothing is plugged."""
        on = self._on("network", network, lambda ref: (ref, self._client.fetch(int, "network.get_MTU", ref)))
        return self._on("VM", vm, lambda ref: self._create_vif(ref, on, (device, mac), other_config))

    def _create_vif(self, vm: str, on: tuple[str, int], place: tuple[str, str], other_config: Mapping[str, str]) -> str:
        network, mtu = on
        device, mac = place
        record = {
            "VM": vm,
            "network": network,
            "device": device,
            "MAC": mac,
            "MTU": mtu,
            "other_config": dict(other_config),
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }
        return self._refs.uuid("VIF", self._client.fetch(str, "VIF.create", record))

    def destroy_vif(self, vif: str) -> None:
        """VIF.destroy; one that is gone is no error."""
        try:
            self._on("VIF", vif, lambda ref: self._client.call("VIF.destroy", ref))
        except Gone:
            return

    def move_vif(self, vif: str, network: str) -> None:
        """VIF.move. Onto SR-IOV, and an attached VIF off it, only while the VM is halted and nothing is under way with it.

        On a running VM xapi changes the record before the data plane refuses, and the two disagree from then on (xapi_vif.ml: move). A VM
        that starts still says Halted, so its operations count too. A snapshot's VIFs hold nothing and may be moved at any time.
        """
        target = self._refs.ref("network", network)

        def act(ref: str) -> None:
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
