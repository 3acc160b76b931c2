import msgspec

from orchestrator.listener import events, records
from orchestrator.listener.events import VIFEvent, VMEvent
from orchestrator.listener.mirror import Mirror
from tests.listener import pools


def test_an_answer_of_the_pool_is_decoded_by_class() -> None:
    """Events come as xapi writes them: the class in lower case, fields that we do not know, and no snapshot when the object is gone."""
    answer = b"""{"token": "00000000000000000007,00000000000000000000", "valid_ref_counts": {"vm": 1, "blob": 4}, "events": [
        {"id": "7", "timestamp": "0.0", "class": "vm", "operation": "add", "ref": "ref:a",
         "snapshot": {"uuid": "a", "name_label": "web", "memory_target": 7, "power_state": "Running", "new_in_2030": [1]}},
        {"id": "6", "timestamp": "0.0", "class": "network_sriov", "operation": "del", "ref": "ref:b"}]}"""
    batch = msgspec.json.decode(answer, type=events.Batch, strict=False)
    assert [(events.kind_of(event), event.operation, event.ref) for event in batch.events] == [
        ("vm", "add", "ref:a"),
        ("network_sriov", "del", "ref:b"),
    ]
    assert batch.events[0].snapshot == records.VM("a", name_label="web", power_state="Running")


def test_every_mirrored_class_has_events() -> None:
    """What is loaded by calls and what comes by events are the same classes."""
    tags = {msgspec.inspect.type_info(kind).tag for kind in events.ObjectEvent.__args__}  # type: ignore[attr-defined]
    assert tags == set(records.KINDS)


def test_a_batch_is_applied_and_told_as_changes() -> None:
    """An object that came, one that changed and one that went are three changes, with what was before and after."""
    mirror = pools.mirror(pools.vm("stays"), pools.vm("goes"))
    stays = pools.vm("stays", power_state="Running")
    batch = [VMEvent("add", "ref:new", pools.vm("new")), VMEvent("mod", "ref:stays", stays), VMEvent("del", "ref:goes")]
    changes = [(change.uuid, change.before is None, change.after is None) for change in mirror.apply(batch)]
    assert changes == [("new", True, False), ("stays", False, False), ("goes", False, True)]
    assert {vm.uuid for vm in mirror.vms.values()} == {"new", "stays"}


def test_the_deletion_of_something_never_seen_is_no_change() -> None:
    """It was created and destroyed between two answers; xapi may tell of its end all the same."""
    assert Mirror().apply([VMEvent("del", "ref:never")]) == []


def test_an_object_that_went_while_the_answer_was_made_is_left_for_the_next() -> None:
    """An event without a snapshot that is no deletion says nothing yet."""
    mirror = pools.mirror(pools.vm("web"))
    assert mirror.apply([VMEvent("mod", "ref:web"), VMEvent("add", "ref:other")]) == []
    assert set(mirror.vms) == {"ref:web"}


def test_a_class_is_loaded_as_a_difference() -> None:
    """Only what is new, gone or different is told."""
    mirror = pools.mirror(pools.vm("same"), pools.vm("changed"), pools.vm("gone"))
    fresh = {"ref:same": pools.vm("same"), "ref:changed": pools.vm("changed", name_label="x"), "ref:new": pools.vm("new")}
    assert {change.uuid for change in mirror.load("vm", fresh)} == {"changed", "gone", "new"}


def test_lost_deletions_show_in_the_counts() -> None:
    """A class of which the pool counts another number differs; classes that are not mirrored, or not counted, do not."""
    mirror = pools.mirror(pools.vm("a"), pools.vm("b"))
    assert mirror.differing({**mirror.counts(), "task": 9}) == []
    assert mirror.differing({"vm": 1}) == ["vm"]


def test_the_vifs_of_a_vm_follow_events_and_loads() -> None:
    """A VIF that is added, moved to another VM's record, or gone is found at its owner, or is not."""
    mirror = pools.mirror(pools.vm("web"), vifs=(pools.vif("a"), pools.vif("b")))
    mirror.apply([VIFEvent("add", "ref:c", pools.vif("c")), VIFEvent("del", "ref:a")])
    assert sorted(vif.uuid for vif in mirror.vifs_of("ref:web")) == ["b", "c"]
    mirror.load("vif", {"ref:c": pools.vif("c", VM="ref:other")})
    assert list(mirror.vifs_of("ref:web")) == []
    assert [vif.uuid for vif in mirror.vifs_of("ref:other")] == ["c"]


def test_a_vm_that_came_back_under_another_reference_is_found_by_its_uuid() -> None:
    """A restored database gives old uuids new references; the old reference's end does not hide the new one."""
    mirror = pools.mirror(pools.vm("web"))
    mirror.load("vm", {"ref:restored": pools.vm("web")})
    assert mirror.vm_ref("web") == "ref:restored"
    mirror.apply([VMEvent("add", "ref:again", pools.vm("web")), VMEvent("del", "ref:restored")])
    assert mirror.vm_ref("web") == "ref:again"
    mirror.apply([VMEvent("del", "ref:again")])
    assert mirror.vm_ref("web") is None
