"""What the port shows of a pool, over the wire, held against XenAPI's records."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.xapi.acting import Bench, Until, Workbench
from workflows.objects import NIC, Fabric
from workflows.ports import Gone, Transient


def counted(lab: Workbench, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every call that the port makes from now on."""
    made: list[str] = []
    send = lab.port._client._once

    def sent(method: str, *rest: object) -> object:
        made.append(method)
        return send(method, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.port._client, "_once", sent)
    return made


def test_a_vm_is_shown_with_all_that_belongs_to_it(bench: Bench) -> None:
    """Its VIFs with what their networks are, the VFs it holds, and where it runs."""
    lab = bench(hosts=2, vms=2)
    vm = lab.vm("web-01")
    record = lab.record("VM", vm.uuid)
    (vif,) = vm.sriov_vifs
    row = lab.client.call("VIF.get_record", record["VIFs"][0])
    (held,) = vm.held
    assert (vm.power_state, vm.is_template, vm.is_snapshot, vm.is_control_domain, vm.vusbs) == ("Running", False, False, False, 0)
    assert vm.resident_on == lab.client.call("host.get_uuid", record["resident_on"]) == held.host
    assert (vif.uuid, vif.MAC, vif.device, vif.network_name, vif.MTU) == (row["uuid"], row["MAC"], row["device"], "SR-IOV", 1500)
    assert (vif.on_sriov, vif.currently_attached, vif.network) == (True, True, lab.network("SR-IOV").uuid)
    assert (held.is_vf, held.gone, held.pci_id) == (True, False, lab.client.call("PCI.get_record", record["attached_PCIs"][0])["pci_id"])


def test_disks_are_shown_with_the_room_beside_them(bench: Bench) -> None:
    """In order of device, CDs left out; a snapshot has its own."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.add_snapshot(vm.uuid, "before")
    record = lab.record("VM", vm.uuid)
    vdi = lab.client.call("VDI.get_record", lab.client.call("VBD.get_record", record["VBDs"][0])["VDI"])
    sr = lab.client.call("SR.get_record", vdi["SR"])
    (disk,) = lab.port.disks(vm.uuid)
    assert (disk.uuid, disk.name, disk.size, disk.snapshots) == (vdi["uuid"], vdi["name_label"], vdi["virtual_size"], 1)
    assert (disk.SR, disk.SR_name, disk.free) == (sr["uuid"], "Shared SR", sr["physical_size"] - sr["physical_utilisation"])
    (copy,) = lab.port.disks(lab.port.vm(vm.uuid).snapshots[0])
    assert (copy.uuid != disk.uuid, copy.size, copy.snapshots) == (True, disk.size, 0)


def test_one_vm_read_alone_is_as_it_is_among_all(bench: Bench) -> None:
    """Two ways to read, one answer: for a running VM, a halted one, and one with a VLAN on SR-IOV, a snapshot and a plain network."""
    lab = bench(hosts=2, vms=2)
    logical = next(iter(lab.client.call("network_sriov.get_all_records").values()))["logical_PIF"]
    lab.client.call("VLAN.create", logical, 42, lab.pool.add_network("tagged"))
    lab.pool.add_vm("tagged-01", network="tagged")
    plain = lab.pool.add_vm("plain-01", network=None, running=False)
    lab.pool.add_snapshot(plain, "before")
    vms = {vm.name: vm for vm in lab.port.vms()}
    assert list(vms) == ["db-01", "plain-01", "tagged-01", "web-01"]
    assert {name: lab.port.vm(vm.uuid) for name, vm in vms.items()} == vms
    assert [vif.on_sriov for vif in vms["tagged-01"].vifs] == [True]
    assert len(vms["plain-01"].snapshots) == 1


def test_a_vm_that_is_known_costs_a_call_for_each_thing_it_has(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record, its VIF and that one's network, its VF: four. Its power state alone is one."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.port.vm(vm.uuid)
    made = counted(lab, monkeypatch)
    lab.port.vm(vm.uuid)
    assert made == ["VM.get_record", "VIF.get_record", "network.get_record", "PCI.get_record"]
    made.clear()
    assert (lab.port.power_state(vm.uuid), made) == ("Running", ["VM.get_power_state"])


def test_what_is_shown_is_read_anew(bench: Bench) -> None:
    """What somebody else changed is there at the next look; only what never changes is remembered."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    before = lab.port.vm(vm.uuid)
    ref = lab.ref("VM", vm.uuid)
    lab.client.call("VM.set_name_label", ref, "renamed")
    lab.client.call("network.set_name_label", lab.ref("network", vm.vifs[0].network), "fast")
    lab.pool.halt_vm(ref)
    after = lab.port.vm(vm.uuid)
    assert (before.name, before.power_state, len(before.held)) == ("web-01", "Running", 1)
    assert (after.name, after.power_state, after.held, after.vifs[0].network_name) == ("renamed", "Halted", (), "fast")


def test_a_network_stops_being_sriov_when_its_port_is_disabled(bench: Bench) -> None:
    """The VIF of a halted VM stays on the network, and takes no VF there any more."""
    lab = bench(hosts=1, vms=0)
    vm = lab.pool.add_vm("idle", running=False)
    uuid = lab.client.call("VM.get_uuid", vm)
    before = lab.port.vm(uuid)
    lab.client.call("network_sriov.destroy", lab.pool.network_sriov_on("host1"))
    assert (len(before.sriov_vifs), lab.port.vm(uuid).sriov_vifs) == (1, ())


def test_a_vm_that_is_gone_is_gone(bench: Bench) -> None:
    """Also when its ref is remembered; nothing is shown of what is not there."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.port.vm(vm.uuid)
    lab.pool.destroy_vm(vm.uuid)
    for read in (lab.port.vm, lab.port.condition, lab.port.power_state, lab.port.host, lab.port.possible_hosts):
        with pytest.raises(Gone):
            read(vm.uuid)
    assert not lab.port.vm_exists(vm.uuid)


def test_a_vm_destroyed_and_imported_again_is_the_same(bench: Bench) -> None:
    """It has its uuid and another ref: the one that was remembered is not believed."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.port.vm(vm.uuid)
    lab.pool.destroy_vm(vm.uuid)
    lab.pool.database.create("VM", uuid=vm.uuid, name_label="again")
    assert (lab.port.vm(vm.uuid).name, lab.port.power_state(vm.uuid)) == ("again", "Halted")


def test_a_snapshot_says_so_and_its_vm_names_the_oldest_first(bench: Bench) -> None:
    """A snapshot is no template for us, though XenAPI's record says both."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    refs = [lab.pool.add_snapshot(vm.uuid, name) for name in ("first", "second", "third")]
    for number, ref in enumerate(refs):
        lab.pool.database.set("VM", ref, snapshot_time=f"2026112{number}T00:00:00Z")
    seen = [lab.port.vm(uuid) for uuid in lab.port.vm(vm.uuid).snapshots]
    assert [one.name for one in seen] == ["first", "second", "third"]
    assert {(one.is_snapshot, one.is_template, one.snapshot_of) for one in seen} == {(True, False, vm.uuid)}
    lab.pool.destroy_vm(vm.uuid)
    assert lab.port.vm(seen[0].uuid).snapshot_of is None


def test_a_device_that_is_gone_is_shown_as_dangling(bench: Bench) -> None:
    """Xapi leaves references to PCI devices that are no more in VM.attached_PCIs."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.database.set("VM", lab.ref("VM", vm.uuid), attached_PCIs=["OpaqueRef:gone"])
    (held,) = lab.port.vm(vm.uuid).held
    assert (held.gone, held.is_vf, held.uuid) == (True, False, "")


def test_a_vm_that_never_holds_still_is_read_later(bench: Bench) -> None:
    """A VIF that is named and not there is a VM that changes: it is read again, and then left for later, never shown without."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.control.fail("VIF.get_record", ["HANDLE_INVALID", "VIF", "OpaqueRef:x"], times=1)
    assert len(lab.port.vm(vm.uuid).vifs) == 1
    lab.pool.control.fail("VIF.get_record", ["HANDLE_INVALID", "VIF", "OpaqueRef:x"], times=None)
    with pytest.raises(Transient, match="VM_CHANGES"):
        lab.port.vm(vm.uuid)


def test_the_pool_says_who_leads_it_and_what_its_licence_forbids(bench: Bench) -> None:
    """And its default SR, which may be none that is there."""
    lab = bench(hosts=2, vms=0)
    facts = lab.port.facts()
    (ref,) = lab.client.call("pool.get_all")
    assert (facts.name, facts.coordinator, facts.ha_enabled, facts.restricted) == ("Simulated pool", lab.host("host1").uuid, False, False)
    assert facts.default_SR == lab.client.call("SR.get_uuid", lab.client.call("pool.get_default_SR", ref))
    forbidding = lab.client.call("pool.get_restrictions", ref) | {"restrict_network_sriov": "true"}
    lab.pool.database.set("pool", ref, ha_enabled=True, default_SR="OpaqueRef:x", restrictions=forbidding)
    facts = lab.port.facts()
    assert (facts.ha_enabled, facts.restricted, facts.default_SR) == (True, True, None)


def test_hosts_say_whether_they_live_and_who_is_on_them(bench: Bench) -> None:
    """A host's control domain is no guest; one host read alone is as it is among all."""
    lab = bench(hosts=3, vms=0)
    vm = lab.pool.add_vm("web-01", host="host2")
    lab.pool.control.host("host3", "off")
    hosts = lab.port.hosts()
    assert [(host.name, host.is_coordinator, host.live) for host in hosts] == [
        ("host1", True, True),
        ("host2", False, True),
        ("host3", False, False),
    ]
    assert [host.resident_vms for host in hosts] == [(), (lab.client.call("VM.get_uuid", vm),), ()]
    assert tuple(lab.port.host(host.uuid) for host in hosts) == hosts
    assert hosts[0].boot_time > 1e9
    assert (hosts[0].agent_start_time, hosts[0].iommu) == (hosts[0].boot_time, True)


def test_many_guests_are_asked_for_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool of many VMs costs one call more than an empty one, the first time."""
    lab = bench(hosts=1, vms=0, vfs=64)
    for number in range(40):
        lab.pool.add_vm(f"web-{number}", disk=False)
    made = counted(lab, monkeypatch)
    assert len(lab.port.hosts()[0].resident_vms) == 40
    assert made.count("VM.get_all_records") == 1
    assert "VM.get_uuid" not in made
    made.clear()
    lab.port.hosts()
    assert sorted(made) == ["host.get_all_records", "host_metrics.get_all_records", "pool.get_all_records"]


def test_networks_say_what_they_are_for(bench: Bench) -> None:
    """SR-IOV, parking, and how much is on them."""
    lab = bench(hosts=2, vms=4)
    lab.port.create_network("vfo parking", {"vfo:parking": "true"})
    by_name = {network.name: network for network in lab.port.networks()}
    sriov, parking = by_name["SR-IOV"], by_name["vfo parking"]
    assert (sriov.is_sriov, sriov.is_parking, sriov.vifs, sriov.pifs) == (True, False, 4, 2)
    assert (parking.is_sriov, parking.is_parking, parking.vifs, parking.pifs) == (False, True, 0, 0)
    assert not by_name["Pool-wide network associated with eth1"].is_sriov


def test_nics_say_what_sriov_has_been_made_of_them(bench: Bench) -> None:
    """Physical PIFs alone, with their cards, tags, VLANs and the network that their VFs are on."""
    lab = bench(hosts=2, vms=0)
    (plain, enabled, free), others = lab.port.nics()[:3], lab.port.nics()[3:]
    assert [(nic.host_name, nic.device) for nic in others] == [("host2", "eth0"), ("host2", "eth1"), ("host2", "eth2")]
    assert (plain.capable, plain.management, plain.sriov) == (False, True, None)
    assert (free.capable, free.managed, free.sriov, free.mode, free.network, free.attached) == (True, True, None, "", None, False)
    assert (enabled.mode, enabled.requires_reboot, enabled.attached, enabled.network) == ("sysfs", False, True, lab.network("SR-IOV").uuid)
    assert (enabled.driver, enabled.vendor, enabled.tagged, enabled.vlans) == ("i40e", "Intel Corporation", (), 0)
    assert enabled.logical_PIF is not None
    lab.client.call("PIF.add_to_other_config", lab.ref("PIF", enabled.uuid), "vfo:tags", "fast, lab")
    tagged = lab.port.create_network("tagged", {})
    lab.port.create_vlan(enabled.logical_PIF, 42, tagged)
    again: NIC = lab.nic("host1", "eth1")
    assert (again.tags, again.tagged, again.vlans) == (("fast", "lab"), ((42, tagged),), 1)


def test_where_a_vm_could_start_is_xapis_answer(bench: Bench) -> None:
    """Hosts that are disabled are left out."""
    lab = bench(hosts=2, vms=0)
    uuid = lab.client.call("VM.get_uuid", lab.pool.add_vm("idle", running=False))
    one, two = lab.host("host1").uuid, lab.host("host2").uuid
    assert set(lab.port.possible_hosts(uuid)) == {one, two}
    lab.port.disable_host(one)
    assert lab.port.possible_hosts(uuid) == (two,)


def test_a_read_that_is_cut_is_read_again(bench: Bench) -> None:
    """Reading changes nothing, so a connection that dies under it is no fault."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    for method in ("VM.get_record", "VIF.get_record", "network.get_record", "PCI.get_record"):
        lab.pool.control.cut(method, "after")
    assert lab.port.vm(vm.uuid).uuid == vm.uuid


def test_a_restart_of_the_toolstack_is_waited_out(bench: Bench, until: Until) -> None:
    """A VM that is asked for meanwhile is shown when xapi is back."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.control.toolstack_restart(0.3)
    until(lambda: lab.port.vm(vm.uuid).power_state == "Running")


def test_the_condition_of_a_vm_is_what_its_record_says_in_one_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the VM itself, but for its VIFs and what it holds."""
    lab = bench(hosts=1, vms=1)
    vm = lab.vm("web-01")
    lab.pool.add_snapshot(vm.uuid, "before")
    vm = lab.port.vm(vm.uuid)
    made = counted(lab, monkeypatch)
    condition = lab.port.condition(vm.uuid)
    assert made == ["VM.get_record"]
    names = [field.name for field in dataclasses.fields(condition)]
    assert {name: getattr(condition, name) for name in names} == {name: getattr(vm, name) for name in names}
    assert set(names) == {field.name for field in dataclasses.fields(vm)} - {"vifs", "held"}


@pytest.mark.parametrize(
    ("ask", "method"), [("vms", "VM.get_all_records"), ("networks", "PIF.get_all_records"), ("facts", "pool.get_all_records")]
)
def test_many_who_ask_at_once_share_a_reading(bench: Bench, monkeypatch: pytest.MonkeyPatch, ask: str, method: str) -> None:
    """Of the whole tables: ten runs that begin together do not read the pool ten times, and all are shown what it is."""
    lab = bench(hosts=1, vms=2)
    alone = getattr(lab.port, ask)()
    lab.pool.control.delay(method, 0.3)
    made = counted(lab, monkeypatch)
    with ThreadPoolExecutor(10) as threads:
        seen = list(threads.map(lambda _: getattr(lab.port, ask)(), range(10)))
    assert seen == [alone] * 10
    assert made.count(method) <= 3


def test_the_fabric_is_what_its_parts_are_read_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool, hosts, NICs and networks as each alone says; no table twice."""
    lab = bench(hosts=2, vms=2)
    assert lab.port.fabric() == Fabric(lab.port.facts(), lab.port.hosts(), lab.port.nics(), lab.port.networks())
    calls = counted(lab, monkeypatch)
    lab.port.fabric()
    assert len(calls) == len(set(calls)) == 8
