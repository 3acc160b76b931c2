from typing import Any

import pytest

from tests.xapi.acting import Bench, Workbench
from tests.xapi.test_reading import counted

MIB = 1 << 20
NULL = "OpaqueRef:NULL"


def disk(lab: Workbench, size: int) -> str:
    """The ref of a new disk."""
    (storage,) = lab.client.call("SR.get_by_name_label", "Shared SR")
    names: dict[str, Any] = {"name_label": "data", "name_description": "", "type": "user", "sharable": False, "read_only": False}
    rest: dict[str, Any] = {"other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": []}
    return str(lab.client.call("VDI.create", {**names, **rest, "SR": storage, "virtual_size": size}))


def attach(lab: Workbench, vm: str, vdi: str, device: str, kind: str = "Disk") -> None:
    """Give the VM a disk, or a CD in its drive."""
    place = {
        "VM": lab.ref("VM", lab.vm(vm).uuid), "VDI": vdi, "userdevice": device, "mode": "RO" if kind == "CD" else "RW", "type": kind,
        "bootable": False, "unpluggable": True, "empty": vdi == NULL, "other_config": {}, "qos_algorithm_type": "",
        "qos_algorithm_params": {},
    }  # fmt: skip
    lab.client.call("VBD.create", place)


def sr(lab: Workbench, name: str) -> str:
    """Its uuid."""
    return str(lab.client.call("SR.get_uuid", lab.client.call("SR.get_by_name_label", name)[0]))


def test_the_disks_of_every_vm_are_summed_by_their_storage(bench: Bench) -> None:
    """As `disks` of each VM says; a VM without any is left out."""
    lab = bench(hosts=1, vms=3)
    lab.pool.add_vm("bare", network=None, running=False, disk=False)
    attach(lab, "web-01", disk(lab, 24 * MIB), "5")
    attach(lab, "web-01", disk(lab, 40 * MIB), "6")
    sizes = lab.port.disk_sizes()
    assert lab.vm("bare").uuid not in sizes
    vms = [vm for vm in lab.port.vms() if vm.name != "bare"]
    assert {vm.uuid: sum(sizes[vm.uuid].values()) for vm in vms} == {
        vm.uuid: sum(one.size for one in lab.port.disks(vm.uuid)) for vm in vms
    }
    assert set(sizes[lab.vm("web-01").uuid]) == {sr(lab, "Shared SR")}


def test_cds_and_empty_drives_are_no_disks(bench: Bench) -> None:
    """Nobody saves what is in a drive."""
    lab = bench(hosts=1, vms=1)
    before = lab.port.disk_sizes()
    attach(lab, "web-01", disk(lab, 8 * MIB), "5", kind="CD")
    attach(lab, "web-01", NULL, "6", kind="CD")
    assert lab.port.disk_sizes() == before


def test_two_storages_are_told_apart(bench: Bench) -> None:
    """A window has a limit for each of them."""
    lab = bench(hosts=1, vms=1)
    row = lab.pool.database.get("SR", lab.ref("SR", sr(lab, "Shared SR")))
    other = "Another SR"
    ref = lab.pool.database.create("SR", **{**row, "uuid": lab.pool.database.new_uuid(), "name_label": other, "VDIs": [], "PBDs": []})
    before = lab.port.disk_sizes()[lab.vm("web-01").uuid]
    vdi = disk(lab, 16 * MIB)
    lab.pool.database.set("VDI", vdi, SR=ref)
    attach(lab, "web-01", vdi, "5")
    assert lab.port.disk_sizes()[lab.vm("web-01").uuid] == {**before, sr(lab, other): 16 * MIB}


def test_four_calls_are_made_however_many_vms_there_are(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A window over thousands of VMs is planned from them."""
    lab = bench(hosts=2, vms=12)
    made = counted(lab, monkeypatch)
    assert len(lab.port.disk_sizes()) == 12
    assert sorted(made) == ["SR.get_all_records", "VBD.get_all_records", "VDI.get_all_records", "VM.get_all_records"]


def test_what_goes_while_the_tables_are_read_is_left_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VM is deleted between the first table and the last: no error, and no size of it."""
    lab = bench(hosts=1, vms=2)
    gone = lab.vm("web-01").uuid
    stays = [vm.uuid for vm in lab.port.vms() if vm.uuid != gone]
    fetch = lab.port._client.fetch

    def meanwhile(kind: Any, method: str, *params: Any) -> Any:
        answer = fetch(kind, method, *params)
        if method == "VM.get_all_records":
            lab.pool.destroy_vm(gone)
        return answer

    monkeypatch.setattr(lab.port._client, "fetch", meanwhile)
    assert sorted(lab.port.disk_sizes()) == sorted(stays)
