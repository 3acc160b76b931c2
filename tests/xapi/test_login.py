"""One session, wherever the coordinator is."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.xapi import tls
from orchestrator.xapi.client import Client
from tests.xapi.scripted import Cut, Failure, Server, Silence, certificate_context
from workflows.ports import Bug, Denied, Transient, Unknown

Serve = Callable[..., Server]
Connect = Callable[..., Client]


def slave_of(address: str) -> Callable[[str, list[Any]], Any]:
    """A member that is not the coordinator."""

    def script(method: str, _params: list[Any]) -> Any:
        if method == "session.login_with_password":
            raise Failure("HOST_IS_SLAVE", address)
        return ""

    return script


def test_a_dead_session_is_replaced_and_the_call_goes_on(serve: Serve, connect: Connect) -> None:
    """SESSION_INVALID took no effect: one new login, and the call is made; the epoch says that there was one (story 61)."""
    server = serve()
    client = connect(server)
    client.call("VM.get_all")
    assert client.epoch == 1
    server.session = "OpaqueRef:another"
    client.call("VM.start", "OpaqueRef:vm", False, False)
    assert (server.logins, client.epoch, server.heard("VM.start")) == (2, 2, 2)


def test_threads_that_find_the_session_dead_together_log_in_once(serve: Serve, connect: Connect) -> None:
    """Sessions are few: the first thread logs in for all."""
    server = serve()
    client = connect(server)
    client.call("VM.get_all")
    server.session = "OpaqueRef:another"
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        client.call("VM.get_all")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.logins == 2


def test_a_member_names_the_coordinator_and_is_followed(serve: Serve, connect: Connect) -> None:
    """HOST_IS_SLAVE: the same scheme and port at the address it names, remembered for later."""
    coordinator = serve(host="127.0.0.2")
    member = serve(slave_of("127.0.0.2"), port=coordinator.port)
    client = connect(member)
    client.call("VM.get_all")
    client.call("VM.get_all")
    assert client.address == coordinator.netloc
    assert (member.heard("session.login_with_password"), coordinator.heard("VM.get_all")) == (1, 2)


def test_when_the_coordinator_is_gone_another_member_leads_to_the_new_one(serve: Serve, connect: Connect) -> None:
    """The members learned at login are asked, and the configured server may be the one that died (story 51)."""
    first = serve()
    second = serve(slave_of("127.0.0.3"), host="127.0.0.2", port=first.port)
    third = serve(host="127.0.0.3", port=first.port)
    first.hosts = second.hosts = third.hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    client = connect(first)
    client.call("VM.get_all")
    first.stop()
    client.call("VM.clean_shutdown", "OpaqueRef:vm")
    assert client.address == third.netloc
    assert client.epoch == 2
    assert third.heard("VM.clean_shutdown") == 1


def test_a_host_of_another_pool_is_left_alone(serve: Serve, connect: Connect) -> None:
    """A host that was ejected answers as the coordinator of a pool of its own: nothing may be done there."""
    first = serve()
    ejected = serve(
        lambda method, _params: {"OpaqueRef:p": {"uuid": "pool-2"}} if method == "pool.get_all_records" else "",
        host="127.0.0.2",
        port=first.port,
    )
    first.hosts = ["127.0.0.1", "127.0.0.2"]
    client = connect(first)
    client.call("VM.get_all")
    first.stop()
    with pytest.raises(Transient):
        client.call("VM.destroy", "OpaqueRef:vm", patience=0.5)
    assert ejected.heard("VM.destroy") == 0
    assert ejected.heard("session.logout") == ejected.logins


def test_the_address_tells_no_credentials(serve: Serve) -> None:
    """A url with a name and password in it is not repeated in logs and findings."""
    client = Client(serve().settings(url="http://root:hunter2@127.0.0.1:1"))
    assert client.address == "127.0.0.1:1"


def test_members_that_point_at_each_other_end_in_an_error(serve: Serve, connect: Connect) -> None:
    """In the middle of an election nobody is the coordinator: each is asked once a round, within the patience."""
    one = serve(slave_of("127.0.0.2"))
    two = serve(slave_of("127.0.0.1"), host="127.0.0.2", port=one.port)
    with pytest.raises(Transient):
        connect(one).call("VM.get_all", patience=0)
    assert (one.heard("session.login_with_password"), two.heard("session.login_with_password")) == (1, 1)


def test_a_restart_of_the_toolstack_is_waited_out(serve: Serve, connect: Connect) -> None:
    """Refused connections for a while: a call that was not sent goes through when the server is back, with a new session."""
    server = serve()
    client = connect(server)
    client.call("VM.get_all")
    server.stop()
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(client.call("VM.start", "OpaqueRef:vm", False, False)))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    again = serve(port=server.port)
    thread.join(60)
    assert (answers, again.heard("VM.start"), client.epoch) == ([""], 1, 2)


def test_patience_ends(serve: Serve, connect: Connect) -> None:
    """After the patience the error is Transient: later may be better."""
    server = serve()
    server.stop()
    with pytest.raises(Transient) as caught:
        connect(server, patience=timedelta(seconds=0.3)).call("VM.start", "OpaqueRef:vm", False, False)
    assert caught.value.code == "NOT_REACHED"


def test_a_pool_that_is_away_for_long_is_waited_for_once(serve: Serve, connect: Connect) -> None:
    """After one call's patience was in vain the next ones are tried once each, until one gets through; then there is patience again."""
    away = threading.Event()

    def script(method: str, _params: list[Any]) -> Any:
        if method == "session.login_with_password" and away.is_set():
            raise Failure("HOST_IS_SLAVE")
        return ""

    server = serve(script)
    client = connect(server, patience=timedelta(seconds=0.4))

    def tries() -> int:
        before = server.heard("session.login_with_password")
        with pytest.raises(Transient):
            client.call("VM.get_all")
        return server.heard("session.login_with_password") - before

    away.set()
    assert tries() > 1
    assert [tries(), tries()] == [1, 1]
    away.clear()
    client.call("VM.get_all")
    away.set()
    server.session = "OpaqueRef:another"
    assert tries() > 1


def test_a_coordinator_that_hears_and_does_not_answer_is_left(serve: Serve, connect: Connect) -> None:
    """After the patience another member is asked who the coordinator is now."""
    silent = threading.Event()

    def script(_method: str, _params: list[Any]) -> Any:
        if silent.is_set():
            raise Cut
        return ""

    first = serve(script)
    second = serve(host="127.0.0.2", port=first.port)
    first.hosts = second.hosts = ["127.0.0.1", "127.0.0.2"]
    client = connect(first, patience=timedelta(seconds=0.2))
    client.call("VM.get_all")
    silent.set()
    with pytest.raises(Transient):
        client.call("VM.get_all")
    client.call("VM.get_all")
    assert client.address == second.netloc


def test_a_search_that_took_long_is_not_repeated_at_once(serve: Serve, connect: Connect) -> None:
    """Where hosts are silent a search takes a minute: who asks just after it gets its answer."""

    def script(_method: str, _params: list[Any]) -> Any:
        threading.Event().wait(0.5)
        raise Failure("HOST_IS_SLAVE")

    server = serve(script)
    client = connect(server)
    for _ in range(5):
        with pytest.raises(Transient):
            client.call("VM.get_all", patience=0)
    assert server.heard("session.login_with_password") == 1


def test_a_session_that_leads_to_nothing_is_logged_out(serve: Serve, connect: Connect) -> None:
    """A server that lets us in and then fails gets its session back each time, or hours of trying would leave hundreds there."""

    def script(method: str, _params: list[Any]) -> Any:
        if method == "host.get_all_records":
            raise Failure("INTERNAL_ERROR", "starting")
        return {"OpaqueRef:p": {"uuid": "pool-1"}} if method == "pool.get_all_records" else ""

    server = serve(script)
    client = connect(server)
    for _ in range(3):
        with pytest.raises(Bug):
            client.call("VM.get_all", patience=0)
    assert (server.logins, server.heard("session.logout")) == (3, 3)


def test_threads_that_wait_share_one_failed_search(serve: Serve, connect: Connect) -> None:
    """A search that failed while others waited for it answers them too, so that a large pool that is down is not searched in a queue."""
    asked = threading.Event()
    going_on = threading.Event()

    def script(method: str, _params: list[Any]) -> Any:
        asked.set()
        going_on.wait(10)
        raise Failure("HOST_STILL_BOOTING")

    server = serve(script)
    client = connect(server)
    faults: list[Transient] = []

    def work() -> None:
        with pytest.raises(Transient) as caught:
            client.call("VM.get_all", patience=0)
        faults.append(caught.value)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    asked.wait(10)
    threads[0].join(0.2)
    going_on.set()
    for thread in threads:
        thread.join()
    assert len(faults) == 4
    assert server.heard("session.login_with_password") < 4


def test_a_login_that_was_cut_is_made_again(serve: Serve, connect: Connect) -> None:
    """A login without an answer leaves a session that ends by itself; nothing else."""
    cuts = [Cut()]

    def script(method: str, _params: list[Any]) -> Any:
        if method == "session.login_with_password" and cuts:
            raise cuts.pop()
        return ""

    server = serve(script)
    connect(server).call("VM.get_all")
    assert server.heard("session.login_with_password") == 2


def test_an_act_that_was_cut_by_the_restart_stays_unknown(serve: Serve, connect: Connect) -> None:
    """Finding the coordinator again does not send what may have taken effect."""
    server = serve(lambda method, _params: (_ for _ in ()).throw(Cut()) if method == "VM.snapshot" else "")
    client = connect(server)
    with pytest.raises(Unknown):
        client.call("VM.snapshot", "OpaqueRef:vm", "x")
    assert client.call("VM.get_all") == ""
    assert server.heard("VM.snapshot") == 1


@pytest.fixture
def two(certificate: Callable[[str], tuple[str, str]]) -> Iterator[tuple[Server, Server]]:
    """Two members with a certificate each, at 127.0.0.1 and 127.0.0.2."""
    first, second = Server(), Server(host="127.0.0.2")
    first.tls = certificate_context(*certificate("127.0.0.1"))
    second.tls = certificate_context(*certificate("127.0.0.2"))
    with first:
        second._address = ("127.0.0.2", first.port)
        with second:
            first.hosts = ["127.0.0.1", "127.0.0.2"]
            yield first, second


def test_a_member_that_is_not_pinned_is_passed_over_while_the_coordinator_restarts(two: tuple[Server, Server]) -> None:
    """It is no reason to give up: the error is Transient, names the certificate too, and no password was sent there."""
    coordinator, member = two
    pin = tls.fetch_certificate("127.0.0.1", coordinator.port).fingerprint
    client = Client(coordinator.settings(fingerprints=(pin,)))
    client.call("VM.get_all")
    coordinator.stop()
    with pytest.raises(Transient, match="TLS_FINGERPRINT_DIFFERS"):
        client.call("VM.get_all", patience=0.5)
    assert member.calls == []
    client.close()


def test_a_coordinator_that_is_not_pinned_is_denied(two: tuple[Server, Server]) -> None:
    """The member that is pinned names it, and it shows another certificate: a person is needed."""
    member, coordinator = two
    member.script = slave_of("127.0.0.2")
    pin = tls.fetch_certificate("127.0.0.1", member.port).fingerprint
    client = Client(member.settings(fingerprints=(pin,)))
    with pytest.raises(Denied, match="TLS_FINGERPRINT_DIFFERS"):
        client.call("VM.get_all")
    assert coordinator.calls == []
    client.close()


def test_closing_does_not_wait_for_a_login(serve: Serve, until: Callable[[Callable[[], bool]], None]) -> None:
    """A process that stops while the pool is silent stops all the same."""

    def script(method: str, _params: list[Any]) -> Any:
        raise Silence

    server = serve(script)
    client = Client(server.settings())
    ended: list[str] = []

    def work() -> None:
        with pytest.raises(Transient) as caught:
            client.call("VM.get_all")
        ended.append(caught.value.code)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: server.heard("session.login_with_password") == 1)
    client.close()
    thread.join(60)
    assert len(ended) == 1
