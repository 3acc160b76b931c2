import pytest

from orchestrator.simulator.registry import Registry
from orchestrator.simulator.schema import load
from orchestrator.simulator.server import Server, Settings, member_addresses

from .conftest import USERS, small_world


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("127.0.0.1", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
        ("localhost", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
        ("0.0.0.0", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]),
        ("10.1.2.254", ["10.1.2.254", "10.1.2.255", "10.1.3.0"]),
    ],
)
def test_members_follow_the_coordinator_s_address(first: str, expected: list[str]) -> None:
    """Any address means this machine."""
    assert member_addresses(first, 3) == expected


def test_a_port_that_is_taken_is_an_error(server: Server) -> None:
    """Of the coordinator; a member without an address is merely not served."""
    port = int(server.url.rpartition(":")[2])
    second = Server(small_world(), [], USERS, Settings(port=port))
    with pytest.raises(OSError, match="in use"):
        second.start()
    second.stop()


def test_a_member_that_cannot_listen_is_not_served(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The machine may have no such address: the pool runs without."""
    db = small_world()
    db.set("host", db.refs("host")[1], address="192.0.2.1")
    second = Server(db, [], USERS, Settings())
    second.start()
    second.stop()
    assert "192.0.2.1 cannot be served" in caplog.text


def test_stopping_twice_is_fine(server: Server) -> None:
    """A context manager and a finally may both do it."""
    server.stop()
    server.stop()


def test_a_handler_for_a_message_that_does_not_exist_is_refused() -> None:
    """A misspelt name is found at the start, and so are two handlers for one message."""
    with pytest.raises(KeyError, match=r"no message VM\.frobnicate"):
        Registry(load(), {"VM.frobnicate": print})
    with pytest.raises(KeyError, match=r"two handlers for VM\.start"):
        Registry(load(), {"VM.start": print}, {"VM.start": print})
