"""The blueprint of a snapshot: enough to make its VM anew in another pool."""

import json
from typing import Any

import pytest

from tests.xapi.acting import Bench, Until, Workbench
from workflows import parking
from workflows.ports import Gone


def snapshot(bench: Workbench, until: Until, name: str = "snap") -> tuple[str, str]:
    """A snapshot of the first VM that runs and holds a VF, and that VM: both uuids."""
    vm = next(vm for vm in bench.port.vms() if vm.held)
    bench.outcome(bench.port.begin_snapshot(vm.uuid, name), until)
    return bench.port.vm(vm.uuid).snapshots[-1], vm.uuid


def test_a_blueprint_names_the_vm_and_its_disks(bench: Bench, until: Until) -> None:
    """The VM's own name and disks, by the snapshot's; plain JSON."""
    on = bench(hosts=1, vms=1)
    uuid, vm = snapshot(on, until)
    made = on.port.blueprint(uuid)
    assert json.loads(json.dumps(made)) == made
    assert (made["vm"]["uuid"], made["vm"]["record"]["name_label"]) == (vm, on.port.vm(vm).name)
    assert made["snapshot"]["name"] == "snap"
    assert [(disk["uuid"], disk["size"]) for disk in made["disks"]] == [(disk.uuid, disk.size) for disk in on.port.disks(uuid)]
    assert [disk["of"] for disk in made["disks"]] == [disk.uuid for disk in on.port.disks(vm)]


def test_nothing_of_ours_and_no_ref_is_in_a_blueprint(bench: Bench, until: Until) -> None:
    """Notes, tags and blocks of ours stay in their pool, and refs mean nothing in another."""
    on = bench(hosts=1, vms=1)
    uuid, _ = snapshot(on, until)
    on.port.tag(uuid, "vfo")
    on.port.tag(uuid, "production")
    on.port.note(uuid, "vfo:x", "y")
    on.port.block(uuid, ["start"], "vfo: x")
    made = on.port.blueprint(uuid)
    assert "production" in made["vm"]["record"]["tags"]
    assert "vfo" not in made["vm"]["record"]["tags"]
    assert "vfo:" not in json.dumps([made["vm"], made["disks"]])
    assert "vfo: x" not in json.dumps(made)
    assert "OpaqueRef" not in json.dumps(made)


def test_a_vif_that_is_parked_is_said_to_be_where_it_belongs(bench: Bench, until: Until) -> None:
    """By the note on the snapshot: its network, and that it takes a VF."""
    on = bench(hosts=1, vms=1)
    uuid, vm = snapshot(on, until)
    before = on.port.blueprint(uuid)["vifs"]
    noted: dict[str, Any] = {"vm": vm, "ran": True, "vifs": [vif.as_note() for vif in on.port.vm(vm).sriov_vifs]}
    on.port.note(uuid, parking.NOTE, parking.note_of("r", noted))
    network = on.port.create_network("vfo parking", {"vfo:parking": "true"})
    for vif in on.port.vm(uuid).sriov_vifs:
        on.port.move_vif(vif.uuid, network)
    assert on.port.vm(uuid).sriov_vifs == ()
    assert on.port.blueprint(uuid)["vifs"] == before
    assert [vif["on_sriov"] for vif in before] == [True]


def test_what_is_gone_is_gone(bench: Bench) -> None:
    """As for every reading."""
    with pytest.raises(Gone):
        bench(hosts=1, vms=1).port.blueprint("00000000-0000-0000-0000-000000000000")


def test_the_vm_can_be_made_anew_in_another_pool(bench: Bench, until: Until) -> None:
    """VM.create takes the record as it is, with the refs of the other pool; every field is as it was."""
    on = bench(hosts=1, vms=1)
    uuid, _ = snapshot(on, until)
    record = on.port.blueprint(uuid)["vm"]["record"]
    elsewhere = bench(hosts=1, vms=0)
    given = {**record, "is_a_template": False, "affinity": "OpaqueRef:NULL", "suspend_SR": "OpaqueRef:NULL"}
    made = elsewhere.client.call("VM.get_record", elsewhere.client.call("VM.create", given))
    kept = {name: made[name] for name in record if name != "bios_strings"}
    assert kept == {name: value for name, value in record.items() if name != "bios_strings"}
