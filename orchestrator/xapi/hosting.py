"""Acting on hosts."""

from collections.abc import Mapping

from orchestrator.xapi import rows
from orchestrator.xapi.port import Port, assert_idle, assert_ours
from orchestrator.xapi.records import NULL
from workflows.ports import Refused, Unknown


class Hosting(Port):
    """Satisfies `workflows.ports.Hosting`."""

    def disable_host(self, host: str) -> None:
        """host.disable. Its toolstack enables it when it starts again, as every xapi does that knows no auto_enable."""
        self._on("host", host, lambda ref: self._tolerant("host.disable", (ref, True), 1))

    def enable_host(self, host: str) -> None:
        """host.enable; `Transient` while it is still booting (HOST_STILL_BOOTING)."""
        self._on("host", host, lambda ref: self._client.call("host.enable", ref))

    def evacuation_blockers(self, host: str) -> Mapping[str, tuple[str, ...]]:
        """host.get_vms_which_prevent_evacuation, by uuid; a VM that went meanwhile is left out."""
        found = self._on("host", host, lambda ref: self._client.fetch(dict[str, list[str]], "host.get_vms_which_prevent_evacuation", ref))
        named = {self._refs.uuid_if_there("VM", ref): tuple(reason) for ref, reason in found.items()}
        return {uuid: reason for uuid, reason in named.items() if uuid is not None}

    def begin_evacuate(self, host: str) -> str:
        """host.evacuate, over the network that the pool takes by itself and in batches of its own choice (older pools know neither)."""

        def act(ref: str) -> str:
            self._assert_idle("host", ref, "host.get_current_operations")
            return self._start("host.evacuate", ref, NULL, 0, optional=2)

        return self._on("host", host, act)

    def begin_reboot(self, host: str) -> str:
        """host.reboot. Xapi looks only whether the host is disabled and reboots it under running VMs; so we look for those."""

        def act(ref: str) -> str:
            row = self._client.fetch(rows.Host, "host.get_record", ref)
            assert_idle("host", row.name_label, row.current_operations.values())
            if row.enabled:
                raise Refused("HOST_NOT_DISABLED", (host,))
            guests = [vm for vm in row.resident_VMs if vm != row.control_domain]
            if guests:
                raise Refused("HOST_IN_USE", (host, f"{len(guests)} VMs are on it"))
            return self._start("host.reboot", ref)

        return self._on("host", host, act)

    def restart_toolstack(self, host: str) -> None:
        """host.restart_agent; that the answer is cut off is what it does."""
        try:
            self._on("host", host, lambda ref: self._client.call("host.restart_agent", ref))
        except Unknown:
            return

    def note_host(self, host: str, key: str, value: str | None) -> None:
        """Set or remove a key of other_config."""
        assert_ours(key)

        def act(ref: str) -> None:
            noted = self._client.fetch(dict[str, str], "host.get_other_config", ref).get(key)
            if noted == value:
                return
            if noted is not None:
                self._client.call("host.remove_from_other_config", ref, key)
            if value is not None:
                self._client.call("host.add_to_other_config", ref, key, value)

        self._on("host", host, act)
