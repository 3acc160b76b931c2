from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from tests.listener import watched
from tests.listener.conftest import Watch
from tests.listener.watched import until
from tests.listener.wire import Wire


def test_every_vm_with_a_vif_on_the_sr_iov_network_is_known_after_the_first_load(pool: SimulatedPool, watch: Watch) -> None:
    """Running or not; templates, snapshots and control domains are not among them."""
    pool.add_snapshot(next(iter(watched.vms(pool).values())), "before the update")
    pool.add_vm("plain", network=None)
    assert watch(pool).settle().known() == set(watched.vms(pool))


def test_a_vm_deleted_by_another_client_becomes_one_run(pool: SimulatedPool, other: Client, watch: Watch) -> None:
    """With all that was known of it: the VIFs it had and the port that gave it its VF."""
    watching = watch(pool).settle()
    uuid, ref = next(iter(watched.vms(pool, running=True).items()))
    host = other.call("host.get_name_label", other.call("VM.get_resident_on", ref))
    vif = other.call("VIF.get_record", other.call("VM.get_VIFs", ref)[0])
    watched.destroy(other, [ref])
    until(lambda: watching.published)
    (run,) = watching.runs()
    assert (run.workflow, run.subject, watching.published) == ("reclaim-vfs", f"vm:{uuid}", [run.id])
    assert run.data["ports"] == [other.call("network_sriov.get_uuid", pool.network_sriov_on(host))]
    network = other.call("network.get_uuid", vif["network"])
    assert run.data["vifs"] == [{"uuid": vif["uuid"], "device": vif["device"], "MAC": vif["MAC"], "network": network}]
    assert uuid not in watching.known()


def test_what_is_no_deleted_vm_makes_no_run(pool: SimulatedPool, other: Client, watch: Watch) -> None:
    """Snapshots and templates that are deleted, VIFs moved or destroyed, VMs without VFs that go: the store follows, nothing runs."""
    watching = watch(pool).settle()
    first, second, third = list(watched.vms(pool, running=False).values())[:3]
    lan = other.call("network.create", {**other.call("network.get_record", pool.add_network("lan")), "name_label": "parking"})
    snapshot = pool.add_snapshot(first, "nightly")
    plain = pool.add_vm("plain", network=None, running=False)
    other.call("VM.destroy", snapshot)
    other.call("VM.destroy", plain)
    other.call("VIF.destroy", other.call("VM.get_VIFs", first)[0])
    other.call("VIF.move", other.call("VM.get_VIFs", second)[0], lan)
    other.call("VM.set_is_a_template", third, True)
    gone = {other.call("VM.get_uuid", ref) for ref in (first, second, third)}
    until(lambda: not gone & watching.known())
    other.call("VM.destroy", third)
    until(lambda: watching.meters.objects["vm"] == len(pool.database.refs("VM")))
    assert watching.runs() == []


def test_a_vm_made_and_destroyed_between_two_answers_is_nothing(pool: SimulatedPool, watch: Watch, wire: Wire) -> None:
    """The pool does not tell of it (or only of its end), and the mirror is complete all the same."""
    watching = watch(pool, wire.url).settle()
    wire.hold()
    batches = watching.meters.batches
    pool.destroy_vm(pool.add_vm("short-lived", running=False))
    last = pool.add_vm("stays", running=False)
    wire.mend()
    uuid = pool.database.get("VM", last)["uuid"]
    until(lambda: uuid in watching.known())
    assert watching.meters.batches > batches
    assert watching.meters.objects["vm"] == len(pool.database.refs("VM"))
    assert watching.runs() == []


def test_runs_that_wait_for_an_object_are_woken_when_it_changes(pool: SimulatedPool, other: Client, watch: Watch) -> None:
    """By the object's class and uuid; also when it goes."""
    watching = watch(pool).settle()
    uuid, ref = next(iter(watched.vms(pool, running=False).items()))
    watching.woken.clear()
    other.call("VM.start", ref, False, False)
    until(lambda: f"vm:lab:{uuid}" in watching.woken)
    watching.woken.clear()
    watched.destroy(other, [ref])
    until(lambda: f"vm:lab:{uuid}" in watching.woken)


def test_runs_that_wait_for_a_task_are_woken_when_it_ends(pool: SimulatedPool, other: Client, watch: Watch) -> None:
    """By the task's reference."""
    watching = watch(pool).settle()
    ref = next(iter(watched.vms(pool, running=False).values()))
    task = other.start("VM.start", ref, False, False)
    until(lambda: f"task:lab:{task}" in watching.woken)


def test_the_watchdogs_own_touches_change_nothing(pool: SimulatedPool, watch: Watch) -> None:
    """They come back as events of the pool object, prove that the stream hears, and start nothing."""
    watching = watch(pool).settle()
    until(lambda: watching.meters.lag_seconds)
    assert (watching.meters.restarts, watching.meters.failures, watching.meters.loads, watching.runs()) == (0, 0, 1, [])
