"""Signing in and out of the console, without its pages."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from orchestrator.actions import users
from orchestrator.simulator import SimulatedPool
from orchestrator.web import attempts, sign_in
from orchestrator.web.attempts import Attempts
from orchestrator.web.principal import Scope
from orchestrator.web.sign_in import Denied, TooMany, Unavailable
from state import audit
from state.sign_ins import SignIn
from tests.web.conftest import NOON, PASSWORD, Make, Web

HOME = "192.0.2.1"
MakePool = Callable[..., SimulatedPool]


def signed(web: Web, **more: Any) -> sign_in.SignedIn:
    return sign_in.sign_in(web.office, "ann", more.get("password", PASSWORD), more.get("address", HOME))


def test_who_knows_the_password_is_signed_in(web: Web) -> None:
    """With a new id each time, which is in no row; and with the scope that the user has now."""
    web.user()
    first, second = signed(web), signed(web)
    assert first.session_id != second.session_id
    assert first.csrf != second.csrf
    found = sign_in.signed_in(web.office, first.session_id)
    assert found is not None
    assert (found.principal.name, found.principal.scope, found.csrf) == ("ann", Scope.OPERATE, first.csrf)
    with web.store.read() as session:
        rows = str(session.connection().exec_driver_sql("SELECT * FROM sign_in").all())
    assert (first.session_id in rows, first.csrf in rows) == (False, False)
    sign_in.sign_out(web.office, first.session_id)
    assert sign_in.signed_in(web.office, first.session_id) is None
    assert sign_in.signed_in(web.office, second.session_id) is not None


@pytest.mark.parametrize("session_id", [None, "", "x", "x" * 5000, "' OR 1=1 --"])
def test_an_id_that_nobody_was_given_is_nobody(web: Web, session_id: str | None) -> None:
    """Whoever chose it for somebody else."""
    assert sign_in.signed_in(web.office, session_id) is None


def test_a_sign_in_ends_by_being_idle_and_in_any_case(web: Web) -> None:
    """An hour without a click, twelve with them, as [console] says."""
    web.user()
    idle, busy = signed(web), signed(web)
    for _ in range(23):
        web.now += timedelta(minutes=30)
        assert sign_in.signed_in(web.office, busy.session_id) is not None
    assert sign_in.signed_in(web.office, idle.session_id) is None
    web.now += timedelta(minutes=30)
    assert sign_in.signed_in(web.office, busy.session_id) is None


def test_who_is_no_user_any_more_is_signed_out(web: Web) -> None:
    """At once; a new password signs out too."""
    web.user()
    one = signed(web)
    users.set_password(web.place, "ann", "another long password")
    assert sign_in.signed_in(web.office, one.session_id) is None
    two = signed(web, password="another long password")
    users.remove(web.place, "ann")
    assert sign_in.signed_in(web.office, two.session_id) is None


def test_a_password_that_is_changed_meanwhile_lets_nobody_in(web: Web) -> None:
    """It was right when it was looked at, and is none of theirs when the session would begin: there is no session."""
    web.user()
    known = sign_in._known(web.office, "ann", PASSWORD)
    assert known is not None
    principal, hashed = known
    assert hashed is not None
    users.set_password(web.place, "ann", "another long password")
    with pytest.raises(Denied):
        sign_in.begin(web.office, principal, web.now, rehash=(hashed, PASSWORD))
    with web.store.read() as session:
        assert list(session.exec(select(SignIn))) == []


def test_all_addresses_of_a_network_are_one() -> None:
    """Of IPv6: else each would have its own tries. Of IPv4 each counts by itself, however it is written."""
    tries = Attempts()
    for number in range(attempts.FOR_AN_ADDRESS):
        tries.wrong(f"x{number}", f"2001:db8:1:2::{number + 1:x}", NOON)
    assert tries.wait("ann", "2001:db8:1:2:ffff::1%eth0", NOON) is not None
    assert tries.wait("ann", "2001:db8:1:3::1", NOON) is None
    assert tries.wait("ann", "::ffff:192.0.2.1", NOON) is None


def test_who_tries_passwords_waits(web: Web) -> None:
    """After five that were wrong nobody gets in by that name, from anywhere, with the right one neither; others do; later they do."""
    web.user()
    web.user("bob")
    for number in range(attempts.FOR_A_NAME):
        with pytest.raises(Denied):
            signed(web, password="wrong", address=f"192.0.2.{number}")
    for _ in range(20):  # written down once
        with pytest.raises(TooMany) as caught:
            signed(web)
    assert caught.value.wait == attempts.WITHIN
    assert sign_in.sign_in(web.office, "bob", PASSWORD, HOME).principal.name == "bob"
    web.now += attempts.WITHIN
    assert signed(web).principal.name == "ann"
    with web.store.read() as session:
        acts = [(act.what, act.outcome) for act in audit.listed(session, audit.Asked(who="ann"))]
    assert acts == [("sign-in", "done")] + [("sign-in", "refused")] * 6


def test_who_tries_names_waits(web: Web) -> None:
    """From one address; a name that nobody has is answered as one that somebody has."""
    web.user()
    told = set()
    for number in range(attempts.FOR_AN_ADDRESS):
        with pytest.raises(Denied) as caught:
            sign_in.sign_in(web.office, f"nobody{number}" if number else "ann", "wrong", HOME)
        told.add(str(caught.value))
    assert len(told) == 1
    with pytest.raises(TooMany):
        sign_in.sign_in(web.office, "nobody", "wrong", HOME)
    assert signed(web, address="192.0.2.9").principal.name == "ann"


def test_a_right_password_makes_up_for_wrong_ones_of_its_name_alone() -> None:
    """Else whoever has an account could go on trying others' from the same address."""
    tries = Attempts()
    for _ in range(attempts.FOR_A_NAME):
        tries.wrong("ann", HOME, NOON)
    assert tries.wait("ann", "192.0.2.2", NOON) == attempts.WITHIN
    tries.right("ann")
    assert tries.wait("ann", "192.0.2.2", NOON) is None
    for number in range(attempts.FOR_AN_ADDRESS):
        tries.wrong(f"x{number}", HOME, NOON + timedelta(seconds=1))
        tries.right("ann")
    assert tries.wait("ann", HOME, NOON + timedelta(seconds=1)) is not None


def test_names_that_are_tried_do_not_fill_the_memory() -> None:
    """However many: the oldest are forgotten."""
    tries = Attempts()
    for number in range(attempts.MOST + 500):
        tries.wrong(f"{number}", f"{number}", NOON + timedelta(seconds=number / 100))
    assert len(tries._wrong) <= attempts.MOST + 1


def test_a_form_carries_what_its_page_was_given(web: Web) -> None:
    """That of another session, or none, does not fit."""
    web.user()
    one, other = signed(web), signed(web)
    assert sign_in.csrf_fits(one, one.csrf)
    assert not any(sign_in.csrf_fits(one, given) for given in (None, "", other.csrf, one.session_id, "ä"))


@pytest.mark.parametrize(
    ("role", "scope"),
    [("read-only", "read"), ("vm-operator", "read"), ("vm-power-admin", "read"), ("pool-operator", "operate"), ("pool-admin", "admin")],
)
def test_an_account_of_the_pool_signs_in_by_its_role(make_web: Make, make_simulated_pool: MakePool, role: str, scope: str) -> None:
    """Where [console] login says so; its password is kept nowhere, and the session in the pool has ended."""
    users_of_pool = {"root": ("simulated", "pool-admin"), "DOMAIN\\eve": ("eves password", role)}
    web = make_web(make_simulated_pool(hosts=1, vms=0, users=users_of_pool), 'login = "pool"\n')
    one = sign_in.sign_in(web.office, "DOMAIN\\eve", "eves password", HOME)
    assert one.principal.scope == Scope(scope)
    found = sign_in.signed_in(web.office, one.session_id)
    assert found is not None
    assert (found.principal, found.principal.name) == (one.principal, "DOMAIN\\eve")
    with pytest.raises(Denied):
        sign_in.sign_in(web.office, "DOMAIN\\eve", "wrong", HOME)
    assert web.pool is not None
    assert web.pool.database.refs("session") == []


def test_an_account_of_the_pool_is_nobody_unless_asked_for(make_web: Make, make_simulated_pool: MakePool) -> None:
    """By default users are ours alone; and where pools are asked, a name of ours is ours."""
    pool = make_simulated_pool(hosts=1, vms=0)
    web = make_web(pool)
    with pytest.raises(Denied):
        sign_in.sign_in(web.office, pool.user, pool.password, HOME)
    asked = make_web(pool, 'login = "pool"\n')
    users.add(asked.place, users.Wanted(pool.user, PASSWORD, "read"))
    with pytest.raises(Denied):
        sign_in.sign_in(asked.office, pool.user, pool.password, HOME)
    assert sign_in.sign_in(asked.office, pool.user, PASSWORD, HOME).principal.scope is Scope.READ


def test_a_pool_that_does_not_answer_is_no_wrong_password(make_web: Make) -> None:
    """It is said, and counts against nobody."""
    web = make_web(more='login = "pool"\n')
    for _ in range(attempts.FOR_A_NAME + 1):
        with pytest.raises(Unavailable, match="pool lab"):
            sign_in.sign_in(web.office, "eve", "eves password", HOME)
    assert web.office.attempts.wait("eve", HOME, NOON) is None


def test_many_tries_at_once_are_no_more_than_a_few(web: Web) -> None:
    """Who tries a name many times at the same moment learns of no more passwords than who tries one after the other."""
    web.user()
    together = threading.Barrier(20)

    def guess(number: int) -> type[Exception]:
        together.wait(60)
        with pytest.raises((Denied, TooMany)) as said:
            signed(web, password=f"guess {number}", address=f"192.0.2.{number}")
        return said.type

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(guess, range(20)))
    assert found.count(Denied) <= attempts.FOR_A_NAME
    with web.office.attempts.turn("ann"), pytest.raises(Unavailable, match="at this moment"):
        signed(web)
