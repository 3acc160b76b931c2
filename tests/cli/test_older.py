"""A PostgreSQL with an older schema, which other processes may be at work on."""

from pathlib import Path

import pytest

from state import schema
from state.store import Store
from tests.cli.conftest import Vfo


@pytest.mark.parametrize("command", [("cluster", "status"), ("runs",), ("report",)], ids=" ".join)
def test_a_command_does_not_upgrade_it(
    vfo: Vfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_url: str, command: tuple[str, ...]
) -> None:
    """It says in a line what does; after that it works."""
    monkeypatch.chdir(tmp_path)
    pool = '[pools.lab]\nurl = "http://127.0.0.1:9"\npassword = "s3cret"\n'
    (tmp_path / "vfo.toml").write_text(f'{pool}[database]\nurl = "{postgres_url}?sslmode=disable"\n')
    store = Store(postgres_url)
    with store.write() as session:
        schema.move(session.connection(), "0006")
    store.close()
    refused = vfo(*command)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert f"has schema 0006, this version needs {schema.HEAD}: run 'vfo db upgrade'" in refused.err
    assert vfo("db", "upgrade", "--json").json == {"from": "0006", "to": schema.HEAD, "changed": True}
    assert vfo(*command).code in (0, 1)
