"""The client against a simulated pool: faithful answers, and faults on order."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from pydantic import SecretStr

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi import decode, records, tls
from orchestrator.xapi.client import Client
from orchestrator.xapi.connection import Line
from orchestrator.xapi.records import VM
from orchestrator.xapi.session import Session
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.transport import Limits, Transport
from workflows.ports import Bug, Denied, Gone, Refused, Transient, Unknown
from workflows.tasks import Failed, Succeeded, Vanished

Pools = Callable[..., SimulatedPool]
Join = Callable[..., Client]
Until = Callable[[Callable[[], bool]], None]


def template(client: Client) -> str:
    (ref,) = client.call("VM.get_by_name_label", "Other install media")
    return str(ref)


def test_calls_go_over_tls_to_a_pinned_pool(make_simulated_pool: Pools, join: Join) -> None:
    """The fingerprint that the simulator tells is what its certificate shows, and the pool answers."""
    pool = make_simulated_pool(hosts=1, vms=2, tls=True)
    client = join(pool)
    host, _, port = client.address.partition(":")
    assert tls.fetch_certificate(host, int(port)).fingerprint.replace(":", "") == str(pool.fingerprint).replace(":", "").upper()
    assert len(client.fetch(dict[str, VM], "VM.get_all_records")) > 2


def test_a_wrong_password_is_denied(make_simulated_pool: Pools, join: Join) -> None:
    """As the pool says it."""
    client = join(make_simulated_pool(hosts=1, vms=0), username="nobody")
    with pytest.raises(Denied, match="SESSION_AUTHENTICATION_FAILED"):
        client.call("VM.get_all")


def test_failures_have_their_names(make_simulated_pool: Pools, join: Join) -> None:
    """Gone, refused, denied and our own mistakes, as a pool answers them."""
    pool = make_simulated_pool(hosts=1, vms=0, users={"watcher": ("secret", "read-only")})
    client = join(pool)
    other = template(client)
    with pytest.raises(Gone):
        client.call("VM.get_uuid", "OpaqueRef:nothing")
    with pytest.raises(Refused, match="VM_IS_TEMPLATE"):
        client.call("VM.start", other, False, False)
    with pytest.raises(Bug, match="MESSAGE_METHOD_UNKNOWN"):
        client.call("VM.strat", other)
    with pytest.raises(Bug, match="MESSAGE_PARAMETER_COUNT_MISMATCH"):
        client.call("VM.start", other)
    watcher = join(pool, username="watcher", password=SecretStr("secret"))
    with pytest.raises(Denied, match="RBAC_PERMISSION_DENIED"):
        watcher.call("VM.clone", other, "x")


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_act_that_was_cut_is_unknown_and_happened_at_most_once(make_simulated_pool: Pools, join: Join, when: str) -> None:
    """Cut before it took effect or after it: the client does not know and does not repeat; the object tells."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    other = template(client)
    pool.control.cut("VM.clone", when)  # type: ignore[arg-type]
    with pytest.raises(Unknown):
        client.call("VM.clone", other, "copy")
    assert len(client.call("VM.get_by_name_label", "copy")) == (0 if when == "before" else 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_read_that_was_cut_is_repeated(make_simulated_pool: Pools, join: Join, when: str) -> None:
    """Nobody notices."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    pool.control.cut("VM.get_by_name_label", when, times=3)  # type: ignore[arg-type]
    assert template(client)


def test_a_session_that_was_lost_is_replaced(make_simulated_pool: Pools, join: Join) -> None:
    """Logged out by somebody else: a new login, the call is made, and the epoch tells."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    client.call("VM.get_all")
    client.call("session.logout")
    assert template(client)
    assert client.epoch == 2


def test_a_toolstack_restart_is_waited_out(make_simulated_pool: Pools, join: Join) -> None:
    """Calls during it wait and are made; the session is new."""
    pool = make_simulated_pool(hosts=2, vms=0)
    client = join(pool)
    other = template(client)
    pool.control.toolstack_restart(0.5)
    ref = client.call("VM.clone", other, "copy")
    assert client.call("VM.get_by_name_label", "copy") == [ref]
    assert client.epoch == 2


@pytest.mark.parametrize("old_answers", [True, False])
def test_another_coordinator_is_found(make_simulated_pool: Pools, join: Join, old_answers: bool) -> None:
    """The old one names it, or is silent and the other members do; the address is remembered."""
    pool = make_simulated_pool(hosts=3, vms=0)
    client = join(pool)
    before = client.call("pool.get_all_records"), client.address
    pool.control.failover("host3", old_answers=old_answers)
    client.call("VM.get_all")
    (record,) = client.call("pool.get_all_records").values()
    assert client.call("host.get_name_label", record["master"]) == "host3"
    assert (client.epoch, client.address != before[1]) == (2, True)


def test_a_deaf_stream_is_dropped_by_its_line(make_simulated_pool: Pools, join: Join, until: Until) -> None:
    """event.from never answers: another thread ends it, and the client works on with the same session."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client, line, ended = join(pool), Line(), threading.Event()
    client.call("VM.get_all")
    pool.control.deaf(600)

    def listen() -> None:
        with pytest.raises(Transient):
            client.fetch(dict, "event.from", ["vm"], "", 30.0, line=line)
        ended.set()

    thread = threading.Thread(target=listen)
    thread.start()
    until(lambda: line._sock is not None)
    line.drop()
    assert ended.wait(10)
    thread.join()
    assert template(client)
    assert client.epoch == 1


def test_a_slow_call_ends_at_its_timeout(make_simulated_pool: Pools, join: Join) -> None:
    """Every call has one; an act is unknown then."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    other = template(client)
    pool.control.delay("VM.clone", 5)
    with pytest.raises(Unknown, match="timed out"):
        client.call("VM.clone", other, "x", timeout=0.2)
    pool.control.clear()


def test_a_task_is_followed_to_its_end(make_simulated_pool: Pools, join: Join, until: Until) -> None:
    """Success has its value, failure its named error; seen once, it is destroyed, and then says nothing."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool)
    other = template(client)
    good, bad = client.start("VM.clone", other, "copy"), client.start("VM.start", other, False, False)
    until(lambda: {client.call("task.get_status", ref) for ref in (good, bad)} == {"success", "failure"})
    (copy,) = client.call("VM.get_by_name_label", "copy")
    assert client.task_outcome(good) == Succeeded(copy)
    failed = client.task_outcome(bad)
    assert isinstance(failed, Failed)
    assert (type(failed.error), failed.error.code) == (Refused, "VM_IS_TEMPLATE")
    assert client.task_outcome(good) == Vanished()


def test_a_restart_forgets_tasks(make_simulated_pool: Pools, join: Join) -> None:
    """The task is gone and says nothing of its work."""
    pool = make_simulated_pool(hosts=1, vms=2, speed=1)
    client = join(pool)
    running = next(
        ref for ref, vm in client.fetch(dict[str, VM], "VM.get_all_records").items() if vm.power_state == "Running" and vm.attached_PCIs
    )
    task = client.start("VM.clean_shutdown", running)
    pool.control.toolstack_restart(0.2)
    assert client.task_outcome(task) == Vanished()


def test_in_a_storm_nothing_is_done_twice_and_what_was_answered_was_done_once(make_simulated_pool: Pools, join: Join) -> None:
    """Four threads clone while connections are cut, the toolstack restarts and the coordinator moves: what each was told holds."""
    pool = make_simulated_pool(hosts=3, vms=0)
    client = join(pool)
    other = template(client)
    told: dict[str, str] = {}

    def work(number: int) -> None:
        for turn in range(12):
            name = f"copy-{number}-{turn}"
            try:
                client.call("VM.clone", other, name)
                told[name] = "done"
            except Unknown:
                told[name] = "unknown"

    pool.control.delay("VM.clone", 0.03)
    pool.control.cut("VM.clone", "after")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for trouble in range(6):
        pool.control.cut("VM.clone", "after" if trouble % 2 else "before", times=2)
        pool.control.toolstack_restart(0.05)
        pool.control.failover(f"host{trouble % 3 + 1}", old_answers=bool(trouble % 2))
        threads[trouble % 4].join(0.1)
    for thread in threads:
        thread.join()
    pool.control.clear()
    made = [vm["name_label"] for vm in client.call("VM.get_all_records").values()]
    times = {name: made.count(name) for name in told}
    assert len(told) == 48
    assert {name: times[name] for name in told if told[name] == "done"} == {name: 1 for name in told if told[name] == "done"}
    assert max(times.values()) == 1
    assert "unknown" in told.values()


def test_closing_logs_out(make_simulated_pool: Pools, join: Join) -> None:
    """Sessions are few: ours does not stay behind."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client, other = join(pool), join(pool)
    client.call("VM.get_all")
    session = client.session.handle
    client.close()
    with pytest.raises(Gone):
        other.call("session.get_record", session)


def test_patience_ends_while_the_pool_is_away(make_simulated_pool: Pools, join: Join) -> None:
    """Then it is Transient, and the caller's own row decides how long to go on."""
    pool = make_simulated_pool(hosts=1, vms=0)
    client = join(pool, patience=timedelta(seconds=0.3))
    client.call("VM.get_all")
    pool.stop()
    with pytest.raises(Transient):
        client.call("VM.get_all")


KINDS = {
    "network_sriov": records.Sriov,
    "PIF": records.PIF,
    "network": records.Network,
    "VLAN": records.VLAN,
    "host": records.Host,
    "host_metrics": records.HostMetrics,
    "PCI": records.PCI,
    "VIF": records.VIF,
    "VM": records.VM,
}


@pytest.mark.parametrize("name", KINDS)
def test_records_are_the_same_over_json_and_xml(make_simulated_pool: Pools, join: Join, name: str) -> None:
    """The fall-back answers the same types and values, class by class."""
    pool = make_simulated_pool(hosts=2, vms=4)
    client = join(pool)
    old_way = Transport(pool.url, tls.Trust(_insecure(pool)))
    old_way._json = False
    session = Session(old_way)
    session.login_with_password(pool.user, SecretStr(pool.password), "1.0", "vf-orchestrator")
    kind = dict[str, KINDS[name]]  # type: ignore[valid-type]
    by_xml = decode.into(kind, session.invoke(f"{name}.get_all_records", (), Limits()))
    assert by_xml == client.fetch(kind, f"{name}.get_all_records")
    assert by_xml or name == "VLAN"
    session.logout()
    old_way.close()


def _insecure(pool: SimulatedPool) -> PoolSettings:
    return PoolSettings("pool", pool.url, pool.user, SecretStr(pool.password), insecure=True)
