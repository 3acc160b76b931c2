import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import alembic.config
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from state import runs, schema, tables
from state.store import Store, Unusable
from tests.services.postgres import Postgres
from tests.state import additive, moments

MIGRATIONS = Path(schema.__file__).parent / "migrations"


@pytest.fixture(params=["sqlite", "postgresql"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a schema, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'vfo.db'}"
        return
    with request.getfixturevalue("postgres_server").database(migrated=False) as url:
        yield url


def test_the_migrations_make_what_the_models_say(bare: str) -> None:
    """A database brought up by the migrations differs in nothing from the models."""
    Store(bare).close()
    engine = sqlalchemy.create_engine(bare)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.METADATA) == []
        made = {index["name"]: index["dialect_options"] for index in sqlalchemy.inspect(connection).get_indexes("run")}
        assert str(made["uq_run_active"][f"{engine.dialect.name}_where"]).strip("()") == "due_at IS NOT NULL"
        check = sqlalchemy.inspect(connection).get_check_constraints("run")
        assert [one["name"] for one in check] == ["ck_run_ended_is_never_due"]
    engine.dispose()


def test_the_version_the_code_needs_is_the_newest_migration() -> None:
    """The number that spares loading alembic is alembic's own head."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_a_store_opened_again_is_as_it_was(bare: str) -> None:
    """Bringing a database up to date twice changes nothing."""
    Store(bare).close()
    again = Store(bare)
    again.check()
    again.close()


def test_a_database_without_the_schema_is_refused_when_it_must_not_be_changed(bare: str) -> None:
    """Who opens without migrating is told which version is missing."""
    with pytest.raises(Unusable, match="schema none, this version needs"):
        Store(bare, migrate=False)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(bare: str) -> None:
    """An old program does not write into a schema that it does not know."""
    store = Store(bare)
    with store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999', oldest = '9998'")
    with pytest.raises(Unusable, match=r"schema 9999, this version needs .*what uses it must know schema 9998"):
        store.check()
    store.close()
    with pytest.raises(Unusable, match="schema 9999"):
        Store(bare)


LATER = '''
"""A later version's."""

import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{head}"
branch_labels = None
depends_on = None
{oldest}


def upgrade() -> None:
    op.add_column("run", sa.Column("colour", sa.String(), nullable=True))
    op.create_table("paint", sa.Column("colour", sa.String(), primary_key=True))


def downgrade() -> None:
    op.drop_table("paint")
    op.drop_column("run", "colour")
'''


def migrated_by_a_later_version(url: str, folder: Path, oldest: str) -> None:
    """A process of a later version has brought the database to its own schema; *oldest*: what its migration says of that."""
    shutil.copytree(MIGRATIONS, folder / "migrations")
    (folder / "migrations" / "versions" / "9000_later.py").write_text(LATER.format(head=schema.HEAD, oldest=oldest))
    engine, config = sqlalchemy.create_engine(url), alembic.config.Config()
    config.set_main_option("script_location", str(folder / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")
    engine.dispose()


def test_a_later_schema_that_this_version_can_use_is_used(bare: str, tmp_path: Path) -> None:
    """By the process that was at work when it came, and by one that starts after it; neither touches it."""
    at_work = Store(bare)
    migrated_by_a_later_version(bare, tmp_path, f'oldest = "{schema.HEAD}"')
    at_work.check()
    moments.create(at_work, "vm:1")
    after = Store(bare)
    run = moments.claimed(after, "vm:2")
    assert moments.record(after, run, moments.ended())
    with after.read() as session:
        assert schema.revision(session.connection()) == "9000"
        assert len(runs.listed(session)) == 1
    for store in (at_work, after):
        store.close()


@pytest.mark.parametrize("oldest", ['oldest = "9000"', ""], ids=["it says so", "it says nothing"])
def test_a_later_schema_that_this_version_cannot_use_is_refused(bare: str, tmp_path: Path, oldest: str) -> None:
    """At the next look, and by one that starts after it."""
    at_work = Store(bare)
    migrated_by_a_later_version(bare, tmp_path, oldest)
    for use in (at_work.check, lambda: Store(bare)):
        with pytest.raises(Unusable, match=f"has schema 9000, this version needs {schema.HEAD}: .* so use a newer version of vfo"):
            use()
    at_work.close()


def to(url: str, version: str) -> dict[str, dict[str, Any]]:
    """The tables of the database, once it is brought to this version of the schema."""
    engine, config = sqlalchemy.create_engine(url), alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, version)
        found = additive.tables(connection)
    engine.dispose()
    return found


def test_every_migration_says_which_code_can_use_what_it_makes(tmp_path: Path) -> None:
    """From 0007 on: never older code than the migration before it said; and where code of before is to go on, nothing is taken from it."""
    url, said, before = f"sqlite:///{tmp_path / 'vfo.db'}", "0007", to(f"sqlite:///{tmp_path / 'vfo.db'}", "0007")
    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    for script in reversed(list(ScriptDirectory.from_config(config).walk_revisions("0007", "heads"))):
        oldest = getattr(script.module, "oldest", None)
        assert oldest is not None, f"{script.revision} does not say the oldest schema whose code can use the database after it"
        assert said <= oldest <= script.revision
        after = to(url, script.revision)
        if oldest < script.revision:
            assert additive.taken_away(before, after) == [], script.revision
        said, before = oldest, after
    assert said <= schema.HEAD


def test_what_is_taken_away_is_seen(tmp_path: Path) -> None:
    """The check above is of use: a key that changes is found, and what is only added is not."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    before, changed, added = to(url, "0004"), to(url, "0005"), to(url, "0006")
    assert additive.taken_away(before, changed) == ["promise: the primary key is another"]
    assert additive.taken_away(changed, added) == []
    assert "table woken is gone" in additive.taken_away(added, changed)
    less = {**added, "run": {**added["run"], "columns": {}, "refuses": {*added["run"]["refuses"], "uq"}}}
    assert "run: column takes is gone" in additive.taken_away(added, less)
    assert "run: uq refuses rows" in additive.taken_away(added, less)
    assert "run: new column takes must have a value" in additive.taken_away(less, added)


def test_a_shared_database_is_upgraded_by_those_who_may(postgres_server: Postgres) -> None:
    """Whoever else opens an older one is told what to do; one without a schema gets it from anybody."""
    with postgres_server.database(migrated=False) as url:
        Store(url, upgrade=False).close()
        back_to(url, "0006")
        with pytest.raises(Unusable, match=f"has schema 0006, this version needs {schema.HEAD}: run 'vfo db upgrade'$"):
            Store(url, upgrade=False)
        Store(url).close()
        Store(url, upgrade=False).close()


def test_a_database_of_one_process_is_upgraded_by_anybody(tmp_path: Path) -> None:
    """Nobody else is at work on it."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    Store(url).close()
    back_to(url, "0006")
    Store(url, upgrade=False).close()


def back_to(url: str, version: str) -> None:
    """As an older version left it."""
    engine, config = sqlalchemy.create_engine(url), alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, version)
    engine.dispose()


def test_several_that_start_at_once_make_one_schema(bare: str) -> None:
    """One of them migrates, the others find it done."""
    with ThreadPoolExecutor(6) as threads:
        for store in threads.map(lambda _: Store(bare), range(6)):
            store.close()


def test_promises_outlive_the_migrations(tmp_path: Path) -> None:
    """Those of a database of an older version are there after it; back again, one of each VM is left."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    Store(url).close()
    engine, config = sqlalchemy.create_engine(url), alembic.config.Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    promise = "INSERT INTO promise (pool, port, vm, count, run_id, since) VALUES ('p', 's', ?, 1, ?, '2026-11-22 12:00:00')"
    for way, version, vms in ((alembic.command.downgrade, "0004", "ab"), (alembic.command.upgrade, "head", "c")):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            way(config, version)
            connection.exec_driver_sql(promise, [(vm, uuid4().hex) for vm in vms])
    with engine.begin() as connection:
        connection.exec_driver_sql(promise, ("c", uuid4().hex))
        assert connection.exec_driver_sql("SELECT vm FROM promise ORDER BY vm").scalars().all() == ["a", "b", "c", "c"]
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "0004")
        assert connection.exec_driver_sql("SELECT vm FROM promise ORDER BY vm").scalars().all() == ["a", "b", "c"]
    engine.dispose()


def test_the_first_migration_can_be_taken_back(bare: str) -> None:
    """Down from the first version there is nothing left, and up again it is whole."""
    Store(bare).close()
    engine = sqlalchemy.create_engine(bare)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "base")
        assert sqlalchemy.inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
    Store(bare).close()
