"""The control port as tests and demos in other processes use it."""

import http.client
import inspect
import pathlib
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from orchestrator.simulator import Control, SimulatedPool, control_port
from tests.simulator.conftest import Client, Refused, client_of, wait_until

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def pool(make_simulated_pool: Callable[..., SimulatedPool]) -> SimulatedPool:
    """Two hosts, no VM, a control port."""
    return make_simulated_pool(hosts=2, vms=0, vfs=4, control_port=True)


@pytest.fixture
def ask(pool: SimulatedPool) -> Iterator[Ask]:
    """POST a verb with arguments, or GET a path: the status and the JSON."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(pool.control_url or "").netloc, timeout=10)

    def request(path: str, body: Any = None, **arguments: Any) -> tuple[int, Any]:
        method = "GET" if path == "/state" else "POST"
        sent = None if method == "GET" else body if body is not None else orjson.dumps(arguments)
        connection.request(method, path, sent)
        response = connection.getresponse()
        return response.status, orjson.loads(response.read())

    yield request
    connection.close()


def test_the_state_is_the_hidden_truth(pool: SimulatedPool, ask: Ask) -> None:
    """For each port, who has and who reserves which VF."""
    pool.add_vm("holder", host="host1")
    assert ask("/leak", host="host1", network="SR-IOV", count=2) == (200, {"result": None})
    status, state = ask("/state")
    port = next(port for port in state["ports"] if port["host"] == "host1" and port["network"] == "SR-IOV")
    assert (status, port["total"], port["free"], port["leaked"]) == (200, 4, 1, 2)
    assert [(vf["attached"], vf["reserved"]) for vf in port["vfs"]] == [("holder", None), (None, "nobody"), (None, "nobody"), (None, None)]


def test_fail_makes_calls_answer_an_error(pool: SimulatedPool, ask: Ask) -> None:
    """So many times, and only where it matches."""
    client = client_of(pool)
    one, other = pool.add_vm("one", running=False), pool.add_vm("other", running=False)
    ask("/fail", method="VM.start", error=["VDI_IN_USE", "x"], times=1, match="one")
    client("VM.start", other, False, False)
    assert client.refusal("VM.start", one, False, False) == ["VDI_IN_USE", "x"]
    client("VM.start", one, False, False)


def test_cut_after_takes_effect(pool: SimulatedPool, ask: Ask) -> None:
    """The connection dies, the VM runs."""
    client = client_of(pool)
    vm = pool.add_vm("unknown", running=False)
    ask("/cut", method="VM.start", when="after", times=1)
    with pytest.raises((OSError, http.client.HTTPException)):
        client("VM.start", vm, False, False)
    assert client("VM.get_power_state", vm) == "Running"


def test_deaf_silences_events_alone(pool: SimulatedPool, ask: Ask) -> None:
    """event.from does not answer in its time, other calls do."""
    client = client_of(pool)
    ask("/deaf", seconds=30)
    assert client("pool.get_all") != []
    task_free = http.client.HTTPConnection(urllib.parse.urlsplit(pool.url).netloc, timeout=0.5)
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "event.from", "params": [client.session, ["*"], "", 0.0]})
    task_free.request("POST", "/jsonrpc", body)
    with pytest.raises(TimeoutError):
        task_free.getresponse()
    task_free.close()
    ask("/clear")


def test_failover_moves_the_coordinator(pool: SimulatedPool, ask: Ask) -> None:
    """The old one answers HOST_IS_SLAVE with the new one's address."""
    old = pool.url
    assert ask("/failover", host="host2")[0] == 200
    with pytest.raises(Refused) as refused:
        Client(old, pool.user, pool.password)
    assert refused.value.details == ["HOST_IS_SLAVE", "127.0.0.2"]
    assert client_of(pool)("pool.get_all") != []


def test_a_toolstack_restart_ends_sessions(pool: SimulatedPool, ask: Ask) -> None:
    """And the pool answers again."""
    client = client_of(pool)
    ask("/toolstack-restart", seconds=0)
    wait_until(lambda: invalid(client))


def invalid(client: Client) -> bool:
    """Whether the session is gone and the server there."""
    try:
        client("pool.get_all")
    except Refused as refused:
        return refused.details[0] == "SESSION_INVALID"
    except (OSError, http.client.HTTPException):
        return False
    return False


def test_a_host_can_be_switched_off_and_on(pool: SimulatedPool, ask: Ask) -> None:
    """Its metrics say whether it is live."""
    client = client_of(pool)
    metrics = client("host.get_metrics", client.find("host", "host2"))
    ask("/host", host="host2", power="off")
    assert client("host_metrics.get_live", metrics) is False
    ask("/host", host="host2", power="on")
    assert client("host_metrics.get_live", metrics) is True


@pytest.mark.parametrize(
    ("path", "arguments", "words"),
    [
        ("/explode", {}, ["verb", "explode"]),
        ("/leak", {"host": "host9", "network": "SR-IOV", "count": 1}, ["host", "host9"]),
        ("/leak", {"host": "host1", "network": "nowhere", "count": 1}, ["network", "nowhere"]),
        ("/leak", {"host": "host1", "network": "SR-IOV", "count": 99}, ["count", "99", "4"]),
        ("/leak", {"host": "host1", "network": "SR-IOV", "count": "many"}, ["count", "many"]),
        ("/leak", {"host": "host1"}, ["network", "needs"]),
        ("/host", {"host": "host1", "power": "up"}, ["power", "up"]),
        ("/cut", {"method": "VM.start", "when": "during"}, ["when", "during"]),
        ("/guest", {"vm": "nobody", "ignores_shutdown": True}, ["VM", "nobody"]),
        ("/deaf", {"seconds": -1}, ["seconds", "-1"]),
        ("/deaf", {"minutes": 1}, ["minutes", "seconds"]),
    ],
)
def test_an_order_that_cannot_be_carried_out_names_the_thing(path: str, arguments: dict[str, Any], words: list[str], ask: Ask) -> None:
    """400, and an error with the argument and its value."""
    status, answer = ask(path, **arguments)
    assert status == 400
    assert all(word in answer["error"] for word in words), answer


def test_every_verb_is_in_the_readme() -> None:
    """With every argument that it takes."""
    page = (pathlib.Path(control_port.__file__).parent / "README.md").read_text()
    for verb in control_port.VERBS:
        (rest, *_) = [part for part in page.split(f"`{verb}")[1:] if part[0] in " `"] or [""]
        said = rest.partition("`")[0]
        taken = set(inspect.signature(getattr(Control, verb.replace("-", "_"))).parameters) - {"self"}
        assert taken == {word.strip("[]").partition("=")[0] for word in said.split()}, verb


def test_disks_can_be_written_and_looked_at(pool: SimulatedPool, ask: Ask) -> None:
    """By the name of the disk."""
    pool.add_vm("vm", running=False)
    assert ask("/write-disk", vdi="vm disk", offset=5, data="eHl6") == (200, {"result": None})
    status, answer = ask("/disk", vdi="vm disk")
    assert (status, answer["result"]["images"]) == (200, 1)
    assert ask("/change-disk", vdi="vm disk", fraction=0.00001)[1]["result"]["bytes"] > 0
    assert ask("/break-stream", orjson.dumps({"path": "export", "after": 5, "error": None})) == (200, {"result": None})
    assert ask("/busy-after-transfer", seconds=None) == (200, {"result": None})


def test_a_body_that_is_no_object_is_refused(ask: Ask) -> None:
    """400 for what is not JSON, and for a list."""
    assert ask("/deaf", b"not json")[0] == 400
    assert ask("/deaf", b"[1]")[0] == 400
