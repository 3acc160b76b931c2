from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from orchestrator import bootstrap
from orchestrator.simulator import SimulatedPool
from tests.console.test_door import signed_in
from tests.services.proxy import Proxy
from tests.web.conftest import Make, Web

MORE = """
[pools.mute]
url = "http://127.0.0.1:{port}"
username = "{user}"
password = "{password}"
"""


@pytest.fixture
def two(make_simulated_pool: Callable[..., SimulatedPool], make_web: Make) -> Iterator[Web]:
    """Two pools, as people have them: of the one that is mute the coordinator takes connections and says nothing."""
    pool = make_simulated_pool(hosts=1, vms=1)
    proxy = Proxy(int(pool.url.rpartition(":")[2]))
    proxy.hold()
    made = make_web(pool, MORE.format(port=proxy.port, user=pool.user, password=pool.password))
    patience = {"lab": timedelta(seconds=30), "mute": timedelta(seconds=0.2)}
    made.office.pools.update({name: bootstrap.in_haste(access, patience[name]) for name, access in made.office.pools.items()})
    yield made
    proxy.accept()
    proxy.close()


def test_a_coordinator_that_says_nothing_is_said_to_be_away(two: Web) -> None:
    """By every route that asks it, with when to come again; the other pool is answered for, and its VM is found."""
    for path in ("/vfs?pool=mute", "/vms?pool=mute", "/ports?pool=mute", "/hosts?pool=mute"):
        said = two.get(path)
        assert (said.status_code, said.json()["code"], said.headers["retry-after"]) == (503, "pool-away", "10")
        assert said.json()["detail"].startswith("pool mute does not answer")
    (vm,) = two.get("/vms?pool=lab").json()["items"]
    assert two.get(f"/vms/{vm['uuid']}").json()["name"] == vm["name"]
    assert two.get("/vms/00000000-0000-4000-8000-000000000000").json()["code"] == "pool-away"
    assert two.get("/pools/mute/findings").json()["items"][-1]["subject"] == "reach"


def test_pages_have_a_gap_where_a_pool_says_nothing(two: Web) -> None:
    """They say so, and show what the other pool has."""
    (vm,) = two.get("/vms?pool=lab").json()["items"]
    signed_in(two)
    pools = two.client.get("/pools").text
    assert "It does not answer now: pool mute does not answer" in pools
    assert pools.count("It does not answer now") == 1
    assert vm["name"] in two.client.get(f"/vms/{vm['uuid']}").text
    assert "nobody answers as coordinator: pool mute does not answer" in two.client.get("/pools/mute").text
