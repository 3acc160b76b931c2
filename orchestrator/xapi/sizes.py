"""How large the disks of all VMs are, at once."""

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from orchestrator.xapi.port import Port
from orchestrator.xapi.records import NULL


class _VBD(msgspec.Struct, frozen=True):
    type: str
    VM: str
    VDI: str = NULL


class _VDI(msgspec.Struct, frozen=True):
    SR: str
    virtual_size: int = 0


class _Named(msgspec.Struct, frozen=True):
    uuid: str


class Sizes(Port):
    """Satisfies the part of `workflows.ports.Looking` that a window's plan needs."""

    def disk_sizes(self) -> Mapping[str, Mapping[str, int]]:
        """VM uuid to SR uuid to bytes; four calls, however large the pool is. What changes between them is left out."""
        vms = self._client.fetch(dict[str, _Named], "VM.get_all_records")
        vdis = self._client.fetch(dict[str, _VDI], "VDI.get_all_records")
        srs = self._client.fetch(dict[str, _Named], "SR.get_all_records")
        sizes: dict[str, dict[str, int]] = defaultdict(dict)
        for place in self._client.fetch(dict[str, _VBD], "VBD.get_all_records").values():
            vm, vdi = vms.get(place.VM), vdis.get(place.VDI)
            if place.type == "Disk" and vm is not None and vdi is not None and (sr := srs.get(vdi.SR)) is not None:
                sizes[vm.uuid][sr.uuid] = sizes[vm.uuid].get(sr.uuid, 0) + vdi.virtual_size
        return sizes
