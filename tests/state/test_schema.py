from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import alembic.config
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from state import schema, tables
from state.store import Store, Unusable


def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    """A database brought up by the migrations differs in nothing from the models."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    Store(url).close()
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.METADATA) == []
        made = {index["name"]: index["dialect_options"] for index in sqlalchemy.inspect(connection).get_indexes("run")}
        assert str(made["uq_run_active"]["sqlite_where"]) == "due_at IS NOT NULL"
        check = sqlalchemy.inspect(connection).get_check_constraints("run")
        assert [one["name"] for one in check] == ["ck_run_ended_is_never_due"]
    engine.dispose()


def test_the_version_the_code_needs_is_the_newest_migration() -> None:
    """The number that spares loading alembic is alembic's own head."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_a_store_opened_again_is_as_it_was(tmp_path: Path) -> None:
    """Bringing a database up to date twice changes nothing."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    Store(url).close()
    again = Store(url)
    again.check()
    again.close()


def test_a_database_without_the_schema_is_refused_when_it_must_not_be_changed(tmp_path: Path) -> None:
    """Who opens without migrating is told which version is missing."""
    with pytest.raises(Unusable, match="schema none, this version needs"):
        Store(f"sqlite:///{tmp_path / 'vfo.db'}", migrate=False)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    """An old program does not write into a schema that it does not know."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    store = Store(url)
    with store.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(Unusable, match="schema 9999"):
        Store(url)


def test_several_that_start_at_once_make_one_schema(tmp_path: Path) -> None:
    """One of them migrates, the others find it done."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    with ThreadPoolExecutor(6) as threads:
        for store in threads.map(lambda _: Store(url), range(6)):
            store.close()


def test_the_first_migration_can_be_taken_back(tmp_path: Path) -> None:
    """Down from the first version there is nothing left, and up again it is whole."""
    url = f"sqlite:///{tmp_path / 'vfo.db'}"
    Store(url).close()
    engine = sqlalchemy.create_engine(url)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.downgrade(config, "base")
        assert sqlalchemy.inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()
    Store(url).close()
