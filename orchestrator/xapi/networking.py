"""Acting on networks, PIFs and SR-IOV."""

from collections.abc import Mapping

from orchestrator.xapi import rows
from orchestrator.xapi.port import Port
from orchestrator.xapi.records import Sriov
from plugins.errors import RetryLater
from workflows.ports import Busy, Gone, Refused

ENABLING = "network_sriov.create"


class Networking(Port):
    """Satisfies `workflows.ports.Networking`."""

    def create_network(self, name: str, other_config: Mapping[str, str]) -> str:
        """network.create: a network without PIFs; the uuid."""
        record = {"name_label": name, "name_description": "", "MTU": 1500, "other_config": dict(other_config), "tags": []}
        return self._refs.uuid("network", self._client.fetch(str, "network.create", record))

    def destroy_network(self, network: str) -> None:
        """network.destroy, looked at before: xapi refuses attached VIFs and silently destroys those of halted VMs."""

        def act(ref: str) -> None:
            row = self._client.fetch(rows.Network, "network.get_record", ref)
            if row.VIFs:
                raise Refused("NETWORK_CONTAINS_VIF", (network, f"{len(row.VIFs)} VIFs are on it"))
            if row.PIFs:
                raise Refused("NETWORK_CONTAINS_PIF", (network, f"{len(row.PIFs)} PIFs are on it"))
            self._client.call("network.destroy", ref)

        self._on("network", network, act)

    def begin_enable(self, pif: str, network: str) -> str:
        """network_sriov.create; RetryLater while one works on the port."""
        on = self._refs.ref("network", network)

        def act(ref: str) -> str:
            for sriov in self._client.fetch(list[str], "PIF.get_sriov_physical_PIF_of", ref):
                self._assert_made(sriov)
            return self._start("network_sriov.create", ref, on)

        return self._on("PIF", pif, act)

    def begin_disable(self, sriov: str) -> str:
        """network_sriov.destroy."""

        def act(ref: str) -> str:
            self._assert_made(ref)
            return self._start("network_sriov.destroy", ref)

        return self._on("network_sriov", sriov, act)

    def _assert_made(self, sriov: str) -> None:
        """RetryLater while the record may be that of a create that still works.

        While it works the mode is unknown, and so it stays when it failed (xapi_network_sriov.ml). The task tells the two apart, but not
        on which port it works: any that is pending is waited for.
        """
        try:
            mode = self._client.fetch(Sriov, "network_sriov.get_record", sriov).configuration_mode
        except Gone:
            return
        if mode != "unknown":
            return
        self._assert_not_at_work(ENABLING)

    def _assert_not_at_work(self, *methods: str) -> None:
        """RetryLater while one of these works, on whichever port: a PIF has no current_operations, and a task does not say whose it is.

        It may be the very one that is to be begun, by us before a crash: an unplug that is still at work when its port is plugged would
        leave the port unplugged.
        """
        tasks = self._client.fetch(dict[str, rows.Task], "task.get_all_records").values()
        busy = {task.name_label.removeprefix("Async.") for task in tasks if task.status == "pending"} & set(methods)
        if busy:
            raise RetryLater(f"a port of the pool is being enabled, plugged or unplugged ({', '.join(sorted(busy))})")

    def begin_plug(self, pif: str) -> str:
        """PIF.plug; of an SR-IOV logical PIF it enables what was left by a create that failed."""

        def act(ref: str) -> str:
            row = self._client.fetch(rows.PIF, "PIF.get_record", ref)
            for sriov in row.sriov_logical_PIF_of:
                self._assert_made(sriov)
            self._assert_not_at_work("PIF.plug", "PIF.unplug")
            return self._start("PIF.plug", ref)

        return self._on("PIF", pif, act)

    def begin_unplug(self, pif: str) -> str:
        """PIF.unplug. Unplugging a port unplugs all that stands on it; a management interface is never touched."""

        def act(ref: str) -> str:
            row = self._client.fetch(rows.PIF, "PIF.get_record", ref)
            if row.management:
                raise Refused("PIF_IS_MANAGEMENT_INTERFACE", (pif,))
            for sriov in row.sriov_logical_PIF_of:
                self._assert_made(sriov)
            self._assert_not_at_work("PIF.plug", "PIF.unplug")
            return self._start("PIF.unplug", ref)

        return self._on("PIF", pif, act)

    def create_vlan(self, logical_PIF: str, tag: int, network: str) -> None:
        """VLAN.create on top of a logical PIF; nothing when that VLAN is on that network already."""
        on = self._refs.ref("network", network)

        def act(ref: str) -> None:
            for vlan in self._client.fetch(rows.PIF, "PIF.get_record", ref).VLAN_slave_of:
                row = self._client.fetch(rows.VLAN, "VLAN.get_record", vlan)
                if row.tag == tag and self._client.fetch(rows.PIF, "PIF.get_record", row.untagged_PIF).network == on:
                    return
            self._client.call("VLAN.create", ref, tag, on)

        self._on("PIF", logical_PIF, act)

    def remove_vlan(self, logical_PIF: str, tag: int) -> None:
        """VLAN.destroy; none is no error. Xapi looks at running VMs alone: VIFs of halted ones stay on the network."""

        def act(ref: str) -> None:
            for vlan in self._client.fetch(rows.PIF, "PIF.get_record", ref).VLAN_slave_of:
                if self._client.fetch(rows.VLAN, "VLAN.get_record", vlan).tag == tag:
                    self._destroy_vlan(vlan, tag)

        self._on("PIF", logical_PIF, act)

    def _destroy_vlan(self, ref: str, tag: int) -> None:
        try:
            self._client.call("VLAN.destroy", ref)
        except Gone:
            return
        except Busy as error:
            raise Refused(error.code, (f"VLAN {tag}", *error.details)) from None
