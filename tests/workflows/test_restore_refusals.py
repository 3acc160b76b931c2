"""What stands against a restore is said before anything is made: name, MACs, storage, networks, memory, and what is not there."""

import dataclasses
from typing import Any

import pytest

from state.run import Status
from tests.workflows.restores import ORDINARY, Stages, altered, came_back, ended, left, point, record, request, staged
from tests.workflows.stage import Stage
from workflows.restoring import Storage


def moved(stage: Stage, network: str, name: str, *, on_sriov: bool = True) -> None:
    """The point's VIFs that took VFs were on another network."""
    vifs = [{**vif, "network": network, "network_name": name} if vif["on_sriov"] else vif for vif in point(stage).blueprint["vifs"]]
    vifs = [{**vif, "on_sriov": on_sriov and vif["on_sriov"]} for vif in vifs]
    stage.plugins.product.saved[0] = dataclasses.replace(point(stage), blueprint={**point(stage).blueprint, "vifs": vifs})


def refused(stage: Stage, **asked: Any) -> str:
    """Why; nothing was made."""
    run = ended(stage, request(stage, **asked))
    assert run.status is Status.REFUSED, stage.story(run.id)
    assert left(stage) == []
    return run.reason


def test_nothing_is_restored_over_a_vm(stages: Stages) -> None:
    """A VM of that name is there: another name is wanted, and its MACs are in use."""
    reason = refused(staged(stages, deleted=False))
    assert "nothing is ever restored over a VM" in reason
    assert "choose --new-macs" in reason


def test_beside_the_vm_that_was_saved_it_has_other_macs(stages: Stages) -> None:
    """Under another name; both are whole."""
    stage = staged(stages, deleted=False)
    old = stage.port.vm(point(stage).vm)
    run = ended(stage, request(stage, name="beside", new_macs=True))
    assert run.status is Status.DONE, stage.story(run.id)
    new = stage.port.vm(run.data["vm"])
    assert len(new.vifs) == len(old.vifs)
    assert not {vif.MAC.lower() for vif in new.vifs} & {vif.MAC.lower() for vif in old.vifs}
    assert record(stage, new.uuid)["other_config"].get("mac_seed") != record(stage, old.uuid)["other_config"].get("mac_seed")
    assert stage.port.vm(old.uuid) == old
    assert left(stage, new={new.uuid}) == []


def test_a_point_that_is_gone_is_said(stages: Stages) -> None:
    """The product is asked, not the database."""
    stage = staged(stages)
    wanted = request(stage)
    stage.plugins.product.saved.clear()
    run = ended(stage, wanted)
    assert (run.status, "has no restore point point-1" in run.reason) == (Status.REFUSED, True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"SR": "nowhere"}, "--sr 'nowhere': there is no such SR for disks"),
        ({"networks": {"x": "y"}}, "--network-map 'x': no VIF of the backup was on it"),
        ({"networks": {"SR-IOV": "y"}}, "network 'y': there is none"),
    ],
)
def test_what_is_not_there_is_named(stages: Stages, asked: dict[str, Any], said: str) -> None:
    """With what there is."""
    assert said in refused(staged(stages), **asked)


def test_no_room_is_said_with_the_numbers(stages: Stages) -> None:
    """By what the disks used, since the SR is thin."""
    stage = staged(stages)
    disks = [{**disk, "used": 1 << 60} for disk in point(stage).blueprint["disks"]]
    sizes = tuple(dataclasses.replace(disk, size=1 << 60) for disk in point(stage).disks)
    stage.plugins.product.saved[0] = dataclasses.replace(point(stage), disks=sizes, blueprint={**point(stage).blueprint, "disks": disks})
    assert "MiB free, and the disks want" in refused(stage)


def storages(stage: Stage, *more: Storage, **changed: Any) -> None:
    """The pool's SRs for disks are otherwise; there are *more*."""
    found = [dataclasses.replace(one, **changed) if one.for_disks else one for one in stage.port.storages()]
    stage.port.storages = lambda: (*found, *more)  # type: ignore[method-assign]


@pytest.mark.parametrize(("kind", "refuses"), [("nfs", False), ("lvm", True)])
def test_a_thick_storage_must_have_room_for_the_whole_of_the_disks(stages: Stages, kind: str, refuses: bool) -> None:
    """On a thin one what was used is enough: there the restore goes on."""
    stage = staged(stages)
    blueprint = point(stage).blueprint
    disks = [{**disk, "used": 1 << 20} for disk in blueprint["disks"]]
    stage.plugins.product.saved[0] = dataclasses.replace(point(stage), blueprint={**blueprint, "disks": disks})
    storages(stage, kind=kind, free=len(disks) << 20)
    if refuses:
        assert "MiB free, and the disks want" in refused(stage)
    else:
        came_back(stage, ended(stage, request(stage)))


def test_a_name_that_two_storages_have_is_said_with_both(stages: Stages) -> None:
    """The uuid tells them apart."""
    stage = staged(stages)
    one = next(one for one in stage.port.storages() if one.for_disks)
    storages(stage, dataclasses.replace(one, uuid="the-other"))
    reason = refused(stage, SR=one.name)
    assert f"--sr {one.name!r}: several SRs have that name: " in reason
    assert one.uuid in reason
    assert "the-other" in reason
    came_back(stage, ended(stage, request(stage, SR=one.uuid)))


def test_where_the_storage_is_gone_and_there_is_no_default_one_is_to_be_chosen(stages: Stages) -> None:
    """Nothing is guessed; the words say what there is."""
    stage = staged(stages)
    blueprint = point(stage).blueprint
    disks = [{**disk, "SR": "long gone"} for disk in blueprint["disks"]]
    stage.plugins.product.saved[0] = dataclasses.replace(point(stage), blueprint={**blueprint, "disks": disks})
    facts = dataclasses.replace(stage.port.facts(), default_SR=None)
    stage.port.facts = lambda: facts  # type: ignore[method-assign]
    assert "it has no default SR: choose one with --sr: " in refused(stage)


def test_more_memory_than_any_host_has_is_said(stages: Stages) -> None:
    """It could never start."""
    stage = staged(stages)
    altered(stage, memory_static_max=1 << 60)
    assert "of memory, and the largest host of the pool has" in refused(stage)


def test_a_network_that_is_not_in_the_pool_is_to_be_mapped(stages: Stages) -> None:
    """Where the pool has SR-IOV nothing is guessed; with the map it gets its VF."""
    stage = staged(stages, fallback=ORDINARY)
    moved(stage, "far-away", "SR-IOV of another pool")
    assert "--network-map far-away=NETWORK" in refused(stage)
    run = ended(stage, request(stage, networks={"far-away": stage.network()}))
    came_back(stage, run)


def test_without_sriov_it_comes_back_on_the_fallback_network(stages: Stages) -> None:
    """With its MAC, on a pool that has no SR-IOV network."""
    stage = staged(stages, fallback=ORDINARY)
    network = next(one for one in stage.port.networks() if one.name == ORDINARY)
    moved(stage, "far-away", "SR-IOV of another pool")
    plain = [dataclasses.replace(one, is_sriov=False) for one in stage.port.networks() if not one.is_sriov]
    stage.port.networks = lambda: tuple(plain)  # type: ignore[method-assign]
    run = ended(stage, request(stage))
    came_back(stage, run, vfs=0)
    assert network.uuid in {vif.network for vif in stage.port.vm(run.data["vm"]).vifs}


def plain_pool(stage: Stage, **changed: Any) -> None:
    """The pool has no SR-IOV network, and the point's VIFs were on one that is far away."""
    moved(stage, "far-away", "SR-IOV of another pool")
    networks = [dataclasses.replace(one, **changed) for one in stage.port.networks() if not one.is_sriov]
    stage.port.networks = lambda: tuple(networks)  # type: ignore[method-assign]


def test_without_sriov_and_without_a_fallback_both_ways_out_are_said(stages: Stages) -> None:
    """A map for this restore, or the setting for all."""
    stage = staged(stages)
    plain_pool(stage)
    assert "say which to take with --network-map far-away=NETWORK, or set [backup] fallback_network" in refused(stage)


def test_a_fallback_network_that_is_not_there_is_named(stages: Stages) -> None:
    """As it is written in the configuration."""
    stage = staged(stages, fallback="nowhere")
    plain_pool(stage)
    assert "network 'nowhere': there is none" in refused(stage)


def test_a_network_whose_name_two_have_is_not_guessed(stages: Stages) -> None:
    """Neither that of the backup, nor one that is mapped to."""
    stage = staged(stages, fallback=ORDINARY)
    plain_pool(stage, name="LAN")
    moved(stage, "far-away", "LAN", on_sriov=False)
    assert "there are several of that name: say which to take with --network-map far-away=NETWORK" in refused(stage)
    assert "network 'LAN': there are" in refused(stage, networks={"far-away": "LAN"})


def test_a_mac_that_somebody_has_by_now_is_said(stages: Stages) -> None:
    """Under another name too: two of one MAC would hurt both. The VM that has it is named."""
    stage = staged(stages, deleted=False)
    reason = refused(stage, name="beside")
    holder = stage.port.vm(point(stage).vm)
    assert f"is in use by VM {holder.name} ({holder.uuid}), device " in reason
    assert "restored over" not in reason
