import xmlrpc.client
from typing import Any

import pytest

from orchestrator.simulator import sessions
from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server

from .conftest import Client, Clock


def details(client: Client, method: str, *params: Any) -> list[str]:
    with pytest.raises(Failure) as failed:
        client.raw(method, *params)
    return failed.value.details


@pytest.mark.parametrize("more", [(), ("1.0",), ("1.0", "me"), ("2.21", "me")])
def test_login_takes_two_to_four_parameters(server: Server, more: tuple[str, ...]) -> None:
    """The version and the originator came later."""
    assert Client(server.url).raw("session.login_with_password", "root", "secret", *more).startswith("OpaqueRef:")


def test_a_wrong_password_is_refused(server: Server) -> None:
    """With PAM's text; an unknown user gets the same."""
    for user in ("root", "nobody"):
        refused = details(Client(server.url), "session.login_with_password", user, "wrong")
        assert refused == ["SESSION_AUTHENTICATION_FAILED", user, "Authentication failure"]


def test_a_session_ends_with_its_logout(client: Client) -> None:
    """After that it is invalid."""
    client("session.logout")
    assert details(client, "VM.get_all", client.session) == ["SESSION_INVALID", client.session]


def test_an_idle_session_ends_after_a_day(client: Client, clock: Clock) -> None:
    """Every call starts the day anew."""
    clock.now += sessions.IDLE - 1
    client("VM.get_all")
    clock.now += sessions.IDLE - 1
    client("VM.get_all")
    clock.now += sessions.IDLE + 1
    assert details(client, "VM.get_all", client.session) == ["SESSION_INVALID", client.session]


def test_the_oldest_of_more_than_500_sessions_of_an_originator_is_dropped(server: Server, clock: Clock) -> None:
    """Oldest by last use, not by birth."""
    host = server.coordinator
    refs = []
    for _ in range(sessions.MOST):
        clock.now += 1
        refs.append(server.sessions.login("root", "secret", "greedy", host))
    clock.now += 1
    server.sessions.check(refs[0])
    server.sessions.login("root", "secret", "greedy", host)
    assert [server.db.exists("session", ref) for ref in refs[:3]] == [True, False, True]


def test_a_member_sends_everybody_to_the_coordinator(server: Server, client: Client) -> None:
    """At login, and at any other call."""
    member = Client(server.url.replace("127.0.0.1", "127.0.0.2"))
    assert details(member, "session.login_with_password", "root", "secret") == ["HOST_IS_SLAVE", "127.0.0.1"]
    assert details(member, "VM.get_all", client.session) == ["HOST_IS_SLAVE", "127.0.0.1"]


def test_a_session_has_a_record(client: Client) -> None:
    """Who, from where, and since when."""
    record = client("session.get_record", client.session)
    assert (record["auth_user_name"], record["originator"], record["is_local_superuser"]) == ("root", "test", True)
    assert isinstance(record["last_active"], xmlrpc.client.DateTime)


def test_a_lesser_user_s_session_lists_what_it_may(server: Server) -> None:
    """XenCenter asks rbac_permissions before it offers anything."""
    reader = Client(server.url).login("reader")
    allowed = reader("session.get_rbac_permissions", reader.session)
    assert "vm.get_all" in allowed
    assert "vm.start" not in allowed


def test_passwords_are_in_no_repr() -> None:
    """Not even the simulator's."""
    assert "secret" not in repr(sessions.User("secret"))
