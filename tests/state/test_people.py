"""The rows of the console and the REST API."""

from datetime import timedelta
from typing import Any

import pytest

from state import audit, idempotency, sign_ins, tokens, users
from state.audit import Act, Asked
from state.sign_ins import SignIn
from state.store import Session, Store
from state.tokens import Token
from state.users import User
from tests.state.moments import START, later


def user(name: str = "ann", password: str = "hash") -> User:
    return User(name=name, password=password, scope="read", created_at=START, changed_at=START)


def token(name: str = "backup", secret: str = "s1", **more: Any) -> Token:
    return Token(name=name, digest=tokens.digest(secret), scope="read", created_by="ann", created_at=START, **more)


def sign_in(session_id: str = "id1", name: str = "ann") -> SignIn:
    return SignIn(digest=sign_ins.digest(session_id), name=name, how="local", created_at=START, seen_at=START,
                  idle_until=later(100), ends_at=later(1000))  # fmt: skip


def test_a_user_is_added_once(store: Store) -> None:
    """One of the same name changes nothing of who is there; a new password does, and removed is removed."""
    with store.write() as session:
        assert users.add(session, user())
        assert not users.add(session, user(password="other"))
        users.rehash(session, "ann", before="nonsense", after="x")
        assert not users.set_password(session, "bob", "h", now=later(5))
    with store.write() as session:
        found = users.get(session, "ann")
        assert found is not None
        assert (found.password, found.created_at) == ("hash", START)
        assert users.set_password(session, "ann", "new", now=later(5))
        users.rehash(session, "ann", before="new", after="newer")
        assert [(one.password, one.changed_at) for one in users.listed(session)] == [("newer", later(5))]
        assert users.remove(session, "ann")
        assert not users.remove(session, "ann")
        assert users.get(session, "ann") is None


def test_a_token_is_known_by_its_secret_until_its_time_is_over(store: Store) -> None:
    """Neither a revoked one nor one that is over opens anything, and the secret is in no row."""
    with store.write() as session:
        assert tokens.add(session, token(expires_at=later(60)))
        assert not tokens.add(session, token(secret="s2"))
        assert tokens.add(session, token("other", "s3"))
    with store.write() as session:
        found = tokens.known(session, "s1", now=later(59))
        assert found is not None
        assert found.name == "backup"
        assert "s1" not in repr(found)
        assert tokens.known(session, "s1", now=later(60)) is None
        assert tokens.known(session, "s2", now=START) is None
        assert tokens.known(session, "s3", now=later(10**9)) is not None
        assert not tokens.is_fresh(found, later(1))
        tokens.note_use(session, "backup", now=later(1))
        assert tokens.revoke(session, "other")
        assert not tokens.revoke(session, "other")
        assert tokens.known(session, "s3", now=START) is None
    with store.read() as session:
        (left,) = tokens.listed(session)
        assert (left.used_at, tokens.is_fresh(left, later(30)), tokens.is_fresh(left, later(90))) == (later(1), True, False)


def test_a_sign_in_ends_when_it_was_idle_and_in_any_case(store: Store) -> None:
    """Being seen keeps it, up to its end; who is signed out is out."""
    with store.write() as session:
        for name in ("id1", "id2"):
            sign_ins.begin(session, sign_in(name))
        sign_ins.begin(session, sign_in("id3", "bob"))
    with store.write() as session:
        found = sign_ins.get(session, "id1", now=later(99))
        assert found is not None
        assert sign_ins.get(session, "id1", now=later(100)) is None
        assert (sign_ins.is_fresh(found, later(59)), sign_ins.is_fresh(found, later(60))) == (True, False)
        sign_ins.seen(session, found, now=later(99), idle=timedelta(seconds=5000))
        assert sign_ins.get(session, "id1", now=later(999)) is not None
        assert sign_ins.get(session, "id1", now=later(1000)) is None
        assert sign_ins.get(session, "nonsense", now=START) is None
        sign_ins.end(session, "id2")
        assert sign_ins.get(session, "id2", now=START) is None
        assert sign_ins.end_of(session, "ann") == 1
        assert sign_ins.get(session, "id3", now=START) is not None


def test_sign_ins_whose_time_is_over_leave_no_rows(store: Store) -> None:
    """They go when somebody signs in."""
    with store.write() as session:
        sign_ins.begin(session, sign_in("old"))
    new = sign_in("new")
    new.created_at = new.seen_at = later(2000)
    new.idle_until = new.ends_at = later(3000)
    with store.write() as session:
        sign_ins.begin(session, new)
    with store.read() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM sign_in").scalar() == 1


def test_acts_are_listed_newest_first_and_found_by_what_is_known_of_them(store: Store) -> None:
    """By who, how, what, outcome and time; page by page; and what somebody else chose is cut and keeps no NUL."""
    with store.write() as session:
        for number, who in enumerate(("ann", "bob", "ann")):
            audit.add(session, Act(who, "api", "assign-vf", f"VM {number}", details={"runs": [number]}), now=later(number))
        audit.add(session, Act("eve\0", "console", "sign-in", "x" * 2000, "refused"), now=later(3))
    with store.read() as session:

        def things(**asked: Any) -> list[str]:
            return [act.thing[:4] for act in audit.listed(session, Asked(**asked))]

        assert things() == ["xxxx", "VM 2", "VM 1", "VM 0"]
        assert things(who="ann") == ["VM 2", "VM 0"]
        assert things(outcome="refused", how="console", what="sign-in") == ["xxxx"]
        assert things(since=later(1), until=later(2)) == ["VM 1"]
        first, *_ = audit.listed(session, limit=1)
        assert (len(first.thing), first.who) == (audit.LONGEST, "eve\ufffd")
        assert things(before=first.seq) == ["VM 2", "VM 1", "VM 0"]
        assert audit.listed(session)[-1].details == {"runs": [0]}


def test_a_key_is_answered_once(store: Store) -> None:
    """The same request under it gets the first answer, another one is refused; other people's keys are others; after a day it is free."""
    with store.write() as session:
        assert idempotency.take(session, "ann", "k", "hash", now=START) is None
        idempotency.keep(session, "ann", "k", status=202, answer={"run": "1"})
    with store.write() as session:
        again = idempotency.take(session, "ann", "k", "hash", now=later(60))
        assert again is not None
        assert (again.status, again.answer) == (202, {"run": "1"})
        assert idempotency.take(session, "bob", "k", "other", now=later(60)) is None
        with pytest.raises(idempotency.OtherRequest):
            idempotency.take(session, "ann", "k", "other", now=later(60))
        with pytest.raises(idempotency.OtherRequest):
            idempotency.answered(session, "ann", "k", "other", now=later(60))
        assert idempotency.answered(session, "ann", "k", "hash", now=START + idempotency.KEPT) is None
        assert idempotency.take(session, "ann", "k", "other", now=START + idempotency.KEPT) is None


def test_of_a_transaction_that_fails_no_key_is_left(store: Store) -> None:
    """What was asked for did not happen, so that it can be asked again."""

    def fails(session: Session) -> None:
        assert idempotency.take(session, "ann", "k", "hash", now=START) is None
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.do(fails)
    with store.write() as session:
        assert idempotency.take(session, "ann", "k", "hash", now=START) is None
