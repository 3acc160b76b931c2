"""Lists of pages whose pools have many VMs: the server turns the pages."""

from collections.abc import Callable

from orchestrator.simulator import SimulatedPool
from tests.console.test_door import signed_in
from tests.web.conftest import Make


def test_a_page_has_no_more_vms_than_it_shows(make_web: Make, make_simulated_pool: Callable[..., SimulatedPool]) -> None:
    """However many there are: fifty of them, those searched for, and the rest by the next page; of the API as many as asked for."""
    web = make_web(make_simulated_pool(hosts=2, vfs=8, vms=120))
    signed_in(web)
    pages = [web.client.get(f"/vms?page={number}").text for number in (1, 2, 3)]
    assert [page.count('<a class="strong" id="vm-') for page in pages] == [50, 50, 20]
    assert "of 120" in pages[1]
    found = web.client.get("/vms?q=web-0&has=vf").text
    assert 0 < found.count('<a class="strong" id="vm-') < 20
    some = web.get("/vms?limit=30").json()
    assert (len(some["items"]), some["total"]) == (30, 120)
    held = [vm for vm in web.get("/vms?limit=1000").json()["items"] if vm["vfs"]]
    assert len(held) == 16
    assert all(vf["vif"] in {vif["uuid"] for vif in vm["vifs"]} for vm in held for vf in vm["vfs"])
