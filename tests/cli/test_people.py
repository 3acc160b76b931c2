from pathlib import Path
from typing import Any

import pytest

from orchestrator.actions.passwords import Passwords
from state import audit, tokens, users
from state.clock import of_machine
from state.store import Store
from tests.cli.conftest import Vfo


@pytest.fixture
def store(vfo: Vfo, tmp_path: Path) -> Any:
    (tmp_path / "vfo.toml").write_text('[pools.lab]\nurl = "https://127.0.0.1:9"\npassword = "x"\n')
    opened = Store(f"sqlite:///{tmp_path}/vfo.sqlite3")
    yield opened
    opened.close()


def test_a_token_is_shown_once_and_kept_as_a_hash(vfo: Vfo, store: Store, tmp_path: Path) -> None:
    """It opens what its scope says until it is revoked; its secret is in no list, no row and no file."""
    made = vfo("token", "create", "backup", "--scope", "operate", "--expires", "30d")
    secret = made.out.strip()
    assert (made.code, len(secret) > 40, secret in made.err) == (0, True, False)
    with store.read() as session:
        known = tokens.known(session, secret, now=of_machine())
    assert known is not None
    assert (known.name, known.scope) == ("backup", "operate")
    listed = vfo("token", "list")
    assert ("backup" in listed.out, secret in listed.out) == (True, False)
    assert [row["name"] for row in vfo("token", "list", "--json").json] == ["backup"]
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    assert vfo("token", "create", "backup").code == 2
    assert vfo("token", "revoke", "backup").code == 0
    assert vfo("token", "revoke", "backup").code == 2
    with store.read() as session:
        assert tokens.known(session, secret, now=of_machine()) is None
        assert [act.what for act in audit.listed(session)] == ["token-revoke", "token-create"]


def test_a_user_wants_a_password(vfo: Vfo, store: Store) -> None:
    """There is no terminal here: without one the password comes by standard input, or not at all."""
    asked = vfo("user", "add", "ann")
    assert (asked.code, "use --password-stdin" in asked.err) == (2, True)
    short = vfo("user", "add", "ann", "--password-stdin")
    assert (short.code, "10 characters at least" in short.err) == (2, True)
    assert vfo("user", "list", "--json").json == []
    assert vfo("user", "remove", "ann").code == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("token", "create", "a b"), "write letters, digits"),
        (("token", "create", "a", "--expires", "soon"), "--expires 'soon'"),
        (("token", "create", "a", "--expires", "0s"), "over at once"),
        (("token", "create", "a", "--scope", "root"), "--scope"),
        (("user", "password", "nobody", "--password-stdin"), "too short"),
    ],
)
def test_wrong_input_is_exit_code_2(vfo: Vfo, store: Store, words: tuple[str, ...], says: str) -> None:
    """With one line that says what to write."""
    said = vfo(*words)
    assert (said.code, says in said.err) == (2, True), said.err


def test_a_password_fits_its_hash_alone() -> None:
    """And none fits nobody's; the password is not in the hash."""
    passwords = Passwords()
    hashed = passwords.hash("correct horse battery")
    assert (passwords.fits(hashed, "correct horse battery"), passwords.fits(hashed, "correct horse batterY")) == (True, False)
    assert (passwords.fits(None, "nobody"), passwords.fits("nonsense", "x"), passwords.fits(hashed, "x" * 5000)) == (False, False, False)
    assert "horse" not in hashed
    assert passwords.better(hashed, "correct horse battery") is None


def test_who_did_what_is_shown(vfo: Vfo, store: Store) -> None:
    """Newest first, and found by what is known of it; for programs as JSON."""
    vfo("token", "create", "a")
    vfo("token", "revoke", "a")
    assert [(row["what"], row["thing"], row["how"], row["outcome"]) for row in vfo("audit", "--json").json] == [
        ("token-revoke", "a", "cli", "done"),
        ("token-create", "a", "cli", "done"),
    ]
    assert [row["what"] for row in vfo("audit", "--what", "token-create", "--since", "1h", "--json").json] == ["token-create"]
    assert "token-revoke" in vfo("audit").out
    assert "Nothing was done that fits." in vfo("audit", "--outcome", "failed").out
    assert vfo("audit", "--since", "soon").code == 2


def test_a_user_s_scope_is_changed(vfo: Vfo, store: Store) -> None:
    """The one of who is there; where the command is typed the last administrator may be changed too, for another can be added there."""
    with store.write() as session:
        users.add(session, users.User(name="ann", password="h", scope="admin", created_at=of_machine(), changed_at=of_machine()))
    assert vfo("user", "scope", "ann", "read").code == 0
    assert vfo("user", "scope", "bob", "read").code == 2
    with store.read() as session:
        assert [(user.name, user.scope) for user in users.listed(session)] == [("ann", "read")]
