"""A PostgreSQL on another machine must show who it is before it is told anything."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from state import postgres
from state.store import Store, Unusable
from tests.services.postgres import WALLED, WALLED_PASSWORD, OwnPostgres

CHECKED = {"sslmode": "verify-full"}


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)


@pytest.mark.parametrize(
    "url", ["db.example.org/vfo", "/vfo?host=one,two", "/vfo?host=one:5432&host=localhost:5433", "10.0.0.1/vfo", "/vfo?hostaddr=10.0.0.1"]
)
def test_another_machine_is_verified_unless_something_else_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name and by the system's authorities; the URL and libpq's own variables go over that."""
    parsed = make_url(f"postgresql+psycopg://vfo@{url}")
    trusted = postgres.trust(parsed)
    assert trusted["sslmode"] == "verify-full"
    assert trusted["sslrootcert"] == "system" or Path(trusted["sslrootcert"]).exists()
    assert postgres.trust(parsed.update_query_dict({"sslmode": "disable"})) == {}
    monkeypatch.setenv("PGSSLROOTCERT", "/etc/ours.pem")
    assert postgres.trust(parsed)["sslrootcert"] == "/etc/ours.pem"
    monkeypatch.setenv("PGSSLMODE", "require")
    assert postgres.trust(parsed) == {}


@pytest.mark.parametrize("url", ["localhost/vfo", "127.0.0.1:5433/vfo", "[::1]/vfo", "/vfo", "/vfo?host=/run/postgresql"])
def test_what_does_not_leave_the_machine_needs_no_tls(url: str) -> None:
    """A socket, and the addresses of the machine itself."""
    assert postgres.trust(make_url(f"postgresql+psycopg://vfo@{url}")) == {}


def _walled(server: OwnPostgres, database: str, **query: str) -> URL:
    return make_url(database).set(username=WALLED, password=WALLED_PASSWORD, host="localhost", query=query)


def test_a_server_that_is_not_the_one_is_told_nothing(own_postgres: OwnPostgres) -> None:
    """An unknown authority, another name, and no TLS at all: each is refused with what to do, without the password."""
    with own_postgres.database() as database:
        theirs = {**CHECKED, "sslrootcert": str(own_postgres.certificate)}
        own_postgres.offer_tls()
        unknown = _walled(own_postgres, database, **CHECKED, sslrootcert="/etc/ssl/certs/ca-certificates.crt")
        misnamed = _walled(own_postgres, database, **theirs).set(host="127.0.0.1")
        refused = [(unknown, "certificate verify failed.*sslrootcert=FILE"), (misnamed, 'does not match host name "127.0.0.1"')]
        for url, said in refused:
            with pytest.raises(Unusable, match=said) as caught:
                Store(url.render_as_string(hide_password=False), patience=timedelta(seconds=0.2))
            assert WALLED_PASSWORD not in str(caught.value)
        opened = Store(_walled(own_postgres, database, **theirs).render_as_string(hide_password=False))
        opened.close()
        own_postgres.offer_tls(offered=False)
        with pytest.raises(Unusable, match=r"does not support SSL.*sslmode=disable"):
            Store(_walled(own_postgres, database, **theirs).render_as_string(hide_password=False), patience=timedelta(seconds=0.2))
