import pytest

from orchestrator.simulator.database import Database
from orchestrator.simulator.errors import Failure


@pytest.fixture
def db() -> Database:
    """An empty database."""
    return Database()


def modified(db: Database, cls: str, ref: str) -> int:
    return db.tables[cls].entries[ref].modified


def test_a_new_row_has_the_model_s_defaults_and_a_uuid(db: Database) -> None:
    """What is not given is what the data model says, or its type's zero."""
    row = db.get("VM", db.create("VM", name_label="a"))
    assert (row["name_label"], row["power_state"], row["affinity"], row["VCPUs_max"]) == ("a", "Halted", "OpaqueRef:NULL", 0)
    assert len(row["uuid"]) == 36


def test_the_same_seed_makes_the_same_refs() -> None:
    """A world can be built twice."""
    assert Database(seed=7).create("VM") == Database(seed=7).create("VM") != Database(seed=8).create("VM")


def test_the_other_end_of_a_relation_follows(db: Database) -> None:
    """Creating, moving and destroying a VIF changes VM.VIFs and network.VIFs."""
    vm, here, there = db.create("VM"), db.create("network"), db.create("network")
    vif = db.create("VIF", VM=vm, network=here)
    assert db.get("VM", vm)["VIFs"] == db.get("network", here)["VIFs"] == [vif]
    db.set("VIF", vif, network=there)
    assert (db.get("network", here)["VIFs"], db.get("network", there)["VIFs"]) == ([], [vif])
    db.destroy("VIF", vif)
    assert db.get("VM", vm)["VIFs"] == db.get("network", there)["VIFs"] == []


def test_a_relation_of_sets_follows_too(db: Database) -> None:
    """VM.groups is a set: VM_group.VMs lists the VM for each."""
    one, two = db.create("VM_group"), db.create("VM_group")
    vm = db.create("VM", groups=[one])
    db.set("VM", vm, groups=[two])
    assert (db.get("VM_group", one)["VMs"], db.get("VM_group", two)["VMs"]) == ([], [vm])


def test_a_change_at_one_end_is_an_event_at_the_other(db: Database) -> None:
    """VIF.create is a mod of its VM and of its network (recorded on a running xapi)."""
    vm, network = db.create("VM"), db.create("network")
    before = db.generation
    db.create("VIF", VM=vm, network=network)
    assert modified(db, "VM", vm) > before
    assert modified(db, "network", network) > before


def test_a_destroyed_object_touches_those_that_refer_to_it(db: Database) -> None:
    """VM.destroy is a mod of its snapshots, which keep the dead ref."""
    vm = db.create("VM")
    snapshot = db.create("VM", snapshot_of=vm)
    before = db.generation
    db.destroy("VM", vm)
    assert modified(db, "VM", snapshot) > before
    assert db.get("VM", snapshot)["snapshot_of"] == vm


def test_a_copied_row_does_not_bring_the_computed_lists(db: Database) -> None:
    """A clone's VIFs are those that are made for it."""
    vm = db.create("VM")
    db.create("VIF", VM=vm, network="OpaqueRef:NULL")
    row = {name: value for name, value in db.get("VM", vm).items() if name != "uuid"}
    assert db.get("VM", db.create("VM", **row))["VIFs"] == []


def test_a_computed_list_cannot_be_set(db: Database) -> None:
    """It would disagree with the other end."""
    with pytest.raises(ValueError, match=r"VM.VIFs is computed"):
        db.set("VM", db.create("VM"), VIFs=[])


def test_the_same_value_again_is_no_event(db: Database) -> None:
    """Neither a generation nor a new record."""
    vm = db.create("VM", name_label="a")
    before = db.generation
    db.set("VM", vm, name_label="a")
    assert db.generation == before


def test_hidden_fields_are_silent_and_never_serialised(db: Database) -> None:
    """A name with a leading underscore is for the simulator alone."""
    vm = db.create("VM", _secret=1)
    before, json = db.generation, db.record("VM", vm).json()
    db.set("VM", vm, _secret=2)
    assert (db.generation, db.get("VM", vm)["_secret"]) == (before, 2)
    assert b"_secret" not in json == db.record("VM", vm).json()


def test_a_row_that_was_read_does_not_change(db: Database) -> None:
    """So it can be used without the lock."""
    vm = db.create("VM", name_label="a")
    row = db.get("VM", vm)
    db.set("VM", vm, name_label="b")
    assert (row["name_label"], db.get("VM", vm)["name_label"]) == ("a", "b")


def test_an_unknown_field_is_a_mistake_of_ours(db: Database) -> None:
    """It is named."""
    with pytest.raises(KeyError, match="class VM has no field colour"):
        db.create("VM", colour="red")


def test_what_is_gone_is_handle_invalid(db: Database) -> None:
    """For reading, writing and destroying alike."""
    vm = db.create("VM")
    db.destroy("VM", vm)
    for action in (db.get, db.set, db.destroy, db.touch):
        with pytest.raises(Failure) as failed:
            action("VM", vm)
        assert failed.value.details == ["HANDLE_INVALID", "VM", vm]


def test_objects_are_found_by_uuid_and_name(db: Database) -> None:
    """Names need not be unique, and follow a rename."""
    one, two = db.create("VM", name_label="a"), db.create("VM", name_label="a")
    assert db.by_name("VM", "a") == [one, two]
    db.set("VM", one, name_label="b")
    assert (db.by_name("VM", "a"), db.by_name("VM", "b")) == ([two], [one])
    assert db.by_uuid("VM", db.get("VM", one)["uuid"]) == one
    db.destroy("VM", two)
    assert db.by_name("VM", "a") == []


def test_a_class_forgets_old_deletions(db: Database) -> None:
    """At 512 it keeps the latest 256: of 600 that go at once 344 are told."""
    refs = [db.create("network") for _ in range(600)]
    since = db.generation
    for ref in refs:
        db.destroy("network", ref)
    assert [ref for ref, _ in db.tables["network"].changes(since).dels] == refs[:-345:-1]


def test_created_and_destroyed_in_between_is_nothing(db: Database) -> None:
    """Changes are states, not a log."""
    db.create("network")
    since = db.generation
    db.destroy("network", db.create("network"))
    changes = db.tables["network"].changes(since)
    assert (changes.adds, changes.mods, changes.dels) == ([], [], [])


def test_finding_a_change_looks_at_what_changed_only(db: Database) -> None:
    """The newest come first and the search stops at the first that is known."""
    refs = [db.create("VM") for _ in range(100)]
    since = db.generation
    db.set("VM", refs[3], name_label="x")
    looked = []
    table = db.tables["VM"]
    for ref, _ in table._since(since):
        looked.append(ref)
    assert looked == [refs[3]]


def test_a_reload_forgets_deletions_and_may_go_back(db: Database) -> None:
    """Deletions live in memory only; nothing that is alive is newer than the generation that was read."""
    kept, gone = db.create("VM"), db.create("VM")
    since = db.generation
    db.destroy("VM", gone)
    db.reload(behind=2)
    assert db.generation == since - 1
    assert db.tables["VM"].changes(1).dels == []
    assert modified(db, "VM", kept) <= db.generation
