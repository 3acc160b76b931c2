import stat
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import load
from tests.cli.conftest import Vfo


@pytest.fixture(autouse=True)
def _password_file(tmp_path: Path, pool: dict[str, Any]) -> None:
    (tmp_path / "secret").write_text(pool["password"])


def test_init_pins_every_hosts_certificate_and_writes_a_private_file(vfo: Vfo, pool: dict[str, Any], tmp_path: Path) -> None:
    """What it wrote works: the next command logs in with it."""
    answer = vfo("init", "--url", pool["url"], "--name", "lab", "--password-file", "secret", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["hosts"] == ["host1", "host2", "host3"]
    assert len(answer.json["fingerprints"]) == 3
    assert stat.S_IMODE((tmp_path / "vfo.toml").stat().st_mode) == 0o600
    assert pool["fingerprint"].replace(":", "").lower() in load(tmp_path / "vfo.toml").pools["lab"].fingerprints
    assert vfo("vfs", "--json").code == 0


def test_a_second_pool_is_added_and_a_name_is_never_taken_twice(vfo: Vfo, pool: dict[str, Any], tmp_path: Path) -> None:
    """What stood in the file stays as it was."""
    words = ("init", "--url", pool["url"], "--password-file", "secret", "--yes", "--name")
    assert vfo(*words, "lab").code == 0
    before = (tmp_path / "vfo.toml").read_text()
    again = vfo(*words, "lab")
    assert again.code == 2
    assert "has a pool of that name already" in again.err
    assert (tmp_path / "vfo.toml").read_text() == before
    assert vfo(*words, "attic").code == 0
    assert (tmp_path / "vfo.toml").read_text().startswith(before.rstrip())
    assert set(load(tmp_path / "vfo.toml").pools) == {"lab", "attic"}


def test_without_consent_nothing_is_written(vfo: Vfo, pool: dict[str, Any], tmp_path: Path) -> None:
    """The certificate is shown with the command that compares it; without a terminal or --yes nobody agreed."""
    answer = vfo("init", "--url", pool["url"], "--name", "lab", "--password-file", "secret")
    assert answer.code == 1
    assert pool["fingerprint"].replace(":", "").lower() in answer.err.replace(":", "").lower()
    assert not (tmp_path / "vfo.toml").exists()


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        (("--fingerprint", "ab" * 32), 2, "the server shows"),
        (("--fingerprint", "abc"), 2, "--fingerprint: not a SHA-256 fingerprint"),
        (("--username", "nobody", "--yes"), 1, "locked out: SESSION_AUTHENTICATION_FAILED"),
        (("--url", "https://127.0.0.1:1", "--yes"), 2, "no certificate could be fetched"),
        (("--url", "xen1", "--yes"), 2, "write the coordinator's address"),
        (("--password-file", "gone", "--yes"), 2, "--password-file 'gone': it cannot be read"),
        (("--ca-file", "gone"), 2, "--ca-file 'gone': there is no such file"),
        (("--ca-file", "secret"), 2, "--ca-file 'secret': it holds no certificate"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    vfo: Vfo, pool: dict[str, Any], tmp_path: Path, more: tuple[str, ...], code: int, says: str
) -> None:
    """One line, no password in it, and no file."""
    answer = vfo("init", "--url", pool["url"], "--name", "lab", "--password-file", "secret", *more)
    assert answer.code == code, answer.err
    assert says in answer.err
    assert pool["password"] not in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "vfo.toml").exists()


def test_without_a_terminal_the_missing_option_is_named(vfo: Vfo) -> None:
    """Nothing waits for an answer that nobody can give."""
    assert "--url: it is needed" in vfo("init").err
    assert "--password-file or --password-env" in vfo("init", "--url", "https://xen1").err
