"""The services as fixtures. Each process of pytest-xdist starts its own: so a test may stop, kill and pause them."""

from collections.abc import Iterator

import pytest

from tests.services import postgres, rabbit, typist
from tests.services.postgres import OwnPostgres, Postgres
from tests.services.rabbit import OwnRabbit, Rabbit


@pytest.fixture(scope="session", autouse=True)
def _typist() -> Iterator[None]:
    """What types commands is there once a test asks it, and goes at the end."""
    yield
    typist.end()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server, started by the first test that asks for it."""
    made = postgres.server()
    yield made
    made.close()


@pytest.fixture
def own_postgres(postgres_server: Postgres) -> Iterator[OwnPostgres]:
    """The server, for tests that stop it; it runs again afterwards."""
    if not isinstance(postgres_server, OwnPostgres):
        pytest.skip(f"the server of {postgres.VARIABLE} is not ours to stop")
    yield postgres_server
    postgres_server.resume_and_start()


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """The URL of a database of the test's own, with this version's schema."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def rabbit_node() -> Iterator[Rabbit]:
    """A RabbitMQ node, started by the first test that asks for it."""
    made = rabbit.node()
    yield made
    made.close()


@pytest.fixture
def rabbit_url(rabbit_node: Rabbit) -> str:
    """The URL of a node without queues of ours."""
    rabbit_node.empty()
    return rabbit_node.url


@pytest.fixture
def own_rabbit(rabbit_node: Rabbit) -> Iterator[OwnRabbit]:
    """The node, for tests that kill it; it runs again afterwards, without queues."""
    if not isinstance(rabbit_node, OwnRabbit):
        pytest.skip(f"the node of {rabbit.VARIABLE} is not ours to kill")
    rabbit_node.empty()
    yield rabbit_node
    rabbit_node.resume_and_start()
