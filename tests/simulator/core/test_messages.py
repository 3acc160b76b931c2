import pytest

from orchestrator.simulator.errors import Failure
from orchestrator.simulator.server import Server

from .conftest import Client, Clock


@pytest.fixture
def uuid(server: Server) -> str:
    """The VM's, which alerts are about."""
    return str(server.db.get("VM", server.db.refs("VM")[0])["uuid"])


def test_an_alert_is_about_an_object_that_exists(client: Client, uuid: str) -> None:
    """UUID_INVALID otherwise."""
    ref = client("message.create", "HELLO", 3, "VM", uuid, "<body/>")
    record = client("message.get_record", ref)
    assert (record["name"], record["priority"], record["cls"], record["obj_uuid"], record["body"]) == ("HELLO", "3", "VM", uuid, "<body/>")
    assert client("message.get_by_uuid", record["uuid"]) == ref
    for cls, named in (("VM", "VM"), ("Host", "host")):
        with pytest.raises(Failure) as failed:
            client("message.create", "HELLO", 3, cls, "nobody", "")
        assert failed.value.details == ["UUID_INVALID", named, "nobody"]


def test_alerts_are_found_by_object_and_date(client: Client, uuid: str, clock: Clock) -> None:
    """Strictly after the date."""
    old = client("message.create", "OLD", 3, "VM", uuid, "")
    since = client("message.get_record", old)["timestamp"]
    clock.now += 60
    new = client("message.create", "NEW", 3, "VM", uuid, "")
    assert list(client("message.get_since", since)) == [new]
    assert list(client("message.get", "VM", uuid, since)) == [new]
    assert client("message.get", "Host", uuid, since) == {}
    assert sorted(client("message.get_all_records")) == sorted(client("message.get_all")) == sorted([old, new])


def test_destroyed_alerts_are_told_as_del(client: Client, uuid: str) -> None:
    """By the second number of the token; one that is new and gone is nothing."""
    refs = [client("message.create", "A", 3, "VM", uuid, "") for _ in range(2)]
    token = client("event.from", ["message"], "", 1.0)["token"]
    client("message.destroy_many", [*refs[:1], client("message.create", "B", 3, "VM", uuid, "")])
    client("message.destroy", refs[1])
    batch = client("event.from", ["message"], token, 1.0)
    assert sorted((one["operation"], one["ref"]) for one in batch["events"]) == sorted(("del", ref) for ref in refs)
    assert client("message.get_all") == []
