"""What there is, as the API shows it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from orchestrator import bootstrap
from orchestrator.simulator import SimulatedPool
from tests.web.conftest import Make, Web


@pytest.fixture
def web(make_web: Make, make_simulated_pool: Callable[..., SimulatedPool]) -> Web:
    """Three hosts, twelve VMs, six with a VF."""
    return make_web(make_simulated_pool())


def got(web: Web, path: str) -> Any:
    said = web.get(path, scope="read")
    assert said.status_code == 200, said.text
    return said.json()


def test_the_pools_are_shown(web: Web) -> None:
    """Without a password; one in full; one that there is not is a 404 of ours."""
    (row,) = got(web, "/pools")
    assert set(row) == {"name", "url"}
    detail = got(web, "/pools/lab")
    assert (detail["name"], detail["restricted"], detail["ha_enabled"]) == ("lab", False, False)
    assert web.get("/pools/nix").json()["code"] == "no-such-pool"


def test_what_a_pool_consists_of_is_shown(web: Web) -> None:
    """Hosts, their ports, VFs and networks, each with the pool it is of."""
    assert [row["name"] for row in got(web, "/hosts")] == ["host1", "host2", "host3"]
    assert [row["host_name"] for row in got(web, "/ports") if row["sriov"]] == ["host1", "host2", "host3"]
    assert all(row["total"] == row["free"] + len(row["users"]) == 8 for row in got(web, "/vfs"))
    assert any(row["is_sriov"] for row in got(web, "/networks?pool=lab"))
    assert [row["name"] for row in got(web, "/sriov")] == ["fast"]
    assert web.get("/vfs?pool=nix").status_code == 422


def test_vms_come_page_by_page(web: Web) -> None:
    """By name; all of them, each once; found by part of the name, by tag, by whether VFs are theirs."""
    seen: list[str] = []
    after: str | None = None
    while True:
        page = web.get("/vms", params={"limit": 5, **({"after": after} if after else {})}).json()
        seen += [row["name"] for row in page["items"]]
        if (after := page["next"]) is None:
            break
    assert (len(seen), len(set(seen)), seen == sorted(seen), page["total"]) == (12, 12, True, 12)
    with_vfs = got(web, "/vms?with_vfs=true")["items"]
    assert all(row["vifs"] or row["vfs"] for row in with_vfs)
    assert sum(bool(row["vfs"]) for row in with_vfs) == 6
    assert [row["name"] for row in got(web, f"/vms?search={seen[3].upper()}")["items"]] == [seen[3]]
    assert got(web, "/vms?tag=nobodys")["total"] == 0


def test_a_vm_says_what_it_has_and_may_have(web: Web) -> None:
    """A VF on each network with the reasons against it, how a backup would be prepared, and why it stays where it is."""
    row = next(row for row in got(web, "/vms")["items"] if row["vfs"])
    shown = got(web, f"/vms/{row['uuid']}")
    assert {name: shown[name] for name in row} == row
    assert [(one["network_name"], one["refusals"]) for one in shown["may"]] == [("SR-IOV", [])]
    assert shown["stays"][0].startswith("it holds VFs (VIF 0)")
    assert (shown["backup"]["refusals"], shown["runs"]) == ([], [])
    web.post("/release", {"vms": [row["uuid"]]})
    assert [run["workflow"] for run in got(web, f"/vms/{row['uuid']}")["runs"]] == ["release-vf"]
    for missing in (str(uuid4()), "x", "%2e%2e"):
        assert web.get(f"/vms/{missing}").json()["code"] == "no-such-vm"


def test_a_pool_that_does_not_answer_is_said_to_be_away(make_web: Make) -> None:
    """With a code for it, and when to ask again; nothing of how we reach it."""
    said = make_web().get("/vfs")
    assert (said.status_code, said.json()["code"], "retry-after" in said.headers) == (503, "pool-away", True)
    assert "nobody" not in said.text


def test_what_has_not_changed_has_the_same_tag(web: Web) -> None:
    """Though it was looked at anew."""
    first = web.get("/vfs")
    assert web.get("/vfs", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_the_audit_is_listed_page_by_page(web: Web) -> None:
    """Newest first, and found by who, what and when."""
    for number in range(3):
        web.post("/assign", {"vms": [f"nobody{number}"], "network": "SR-IOV"})
    first = web.get("/audit?limit=2&outcome=refused").json()
    assert [row["thing"] for row in first["items"]] == ["nobody2", "nobody1"]
    second = web.get(f"/audit?limit=2&outcome=refused&cursor={first['next']}").json()
    assert ([row["thing"] for row in second["items"]], second["next"]) == (["nobody0"], None)
    assert web.get("/audit?who=tests").json()["items"][0]["what"] == "token-create"
    assert web.get("/audit?until=2020-01-01T00:00:00Z").json()["items"] == []
    assert web.get("/audit?since=2020-01-01").status_code == 422


def test_who_looks_by_the_web_shares_the_session_and_waits_less(make_simulated_pool: Callable[..., SimulatedPool], make_web: Make) -> None:
    """Never longer than the configuration says; a pool has one session for both."""
    web = make_web(make_simulated_pool(hosts=1, vms=0))
    access = web.office.pools["lab"]
    quick = bootstrap.in_haste(access, timedelta(seconds=1))
    slow = bootstrap.in_haste(access, timedelta(hours=1))
    assert [one.client._patience for one in (access, quick, slow)] == [2.0, 1.0, 2.0]
    assert quick.port.facts() == slow.port.facts() == access.port.facts()
    assert web.pool is not None
    assert len(web.pool.database.refs("session")) == 1
