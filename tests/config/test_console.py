from pathlib import Path

import pytest

from orchestrator.config.errors import ConfigError
from orchestrator.config.load import load

POOL = '[pools.lab]\nurl = "https://xen1"\npassword = "hunter2"\n[console]\n'


def names(tmp_path: Path, text: str) -> frozenset[str]:
    path = tmp_path / "vfo.toml"
    path.write_text(POOL + text)
    return load(path).settings.console.names


def test_nobody_on_another_machine_reaches_it_unless_asked(tmp_path: Path) -> None:
    """Left out it is served on this machine alone, under the names of this machine."""
    assert names(tmp_path, "") == {"localhost", "127.0.0.1", "::1"}


def test_it_answers_to_the_names_that_people_use(tmp_path: Path) -> None:
    """That of the public address, and those that are named."""
    assert names(tmp_path, 'url = "https://VFO.example.org:8443/"\nhosts = ["other"]') >= {"vfo.example.org", "other"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('listen = "0.0.0.0:8643"', "other machines reach this address"),
        ('listen = "[::]:8643"', "other machines reach this address"),
        ('listen = "192.0.2.1:8643"', "give certificate and key"),
        ('listen = "vfo.example.org:8643"', "give certificate and key"),
        ('listen = "8643"', "write ADDRESS:PORT"),
        ('listen = "127.0.0.1:99999"', "write ADDRESS:PORT"),
        ('certificate = "a.pem"', "key: a certificate and its key go together"),
        ('url = "vfo.example.org"', "write how people reach it"),
        ('login = "ldap"', "login"),
    ],
)
def test_what_would_be_open_to_others_in_clear_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """As every other mistake, in a line that says what to do."""
    with pytest.raises(ConfigError) as caught:
        names(tmp_path, text)
    assert any(says in line and "vfo.toml:" in line for line in caught.value.lines)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:8643", "localhost:8643", "127.8.8.8:1"])
def test_this_machine_alone_needs_no_certificate(tmp_path: Path, listen: str) -> None:
    """Whatever it is called."""
    assert names(tmp_path, f'listen = "{listen}"')
