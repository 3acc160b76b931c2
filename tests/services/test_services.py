"""That the services which other tests stand on are what they say."""

import psycopg
import pytest
from kombu.connection import Connection

from tests.services import programs
from tests.services.postgres import OwnPostgres, Postgres
from tests.services.rabbit import OwnRabbit


def test_each_database_is_of_its_own(postgres_server: Postgres) -> None:
    """What one test leaves in its database no other meets, and nothing of it is left."""
    with postgres_server.database() as one, postgres_server.database() as two:
        for url in (one, two):
            with psycopg.connect(url.replace("+psycopg", "")) as connection:
                connection.execute("CREATE TABLE mine (id int)")
    with postgres_server.admin() as connection:
        names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    assert not {one.rpartition("/")[2], two.rpartition("/")[2]} & names


def test_our_postgresql_is_stopped_and_paused_as_told(own_postgres: OwnPostgres) -> None:
    """A connection is cut by a stop, and waits through a pause."""
    with own_postgres.admin() as connection:
        own_postgres.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    own_postgres.pause()
    with pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(own_postgres.url.set(drivername="postgresql").render_as_string(), connect_timeout=2)
    own_postgres.resume()
    own_postgres.admin().close()


def test_our_rabbitmq_is_killed_and_forgets_as_told(own_rabbit: OwnRabbit) -> None:
    """What it was told to keep outlives its death, but not its forgetting."""
    with Connection(own_rabbit.url) as connection:
        connection.default_channel.queue_declare("kept", durable=True, auto_delete=False)
    own_rabbit.restart()
    with Connection(own_rabbit.url) as connection:
        connection.default_channel.queue_declare("kept", passive=True)
    own_rabbit.forget()
    with Connection(own_rabbit.url) as connection, pytest.raises(connection.channel_errors):
        connection.default_channel.queue_declare("kept", passive=True)


def test_a_service_that_is_not_there_is_a_reason_to_skip_and_in_ci_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody finds out late that nothing was tested."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="X is not installed and VFO_X is not set"):
        programs.absent("X", "VFO_X")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="X is not installed"):
        programs.absent("X", "VFO_X")
