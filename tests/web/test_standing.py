"""How it all stands, over HTTP: reports, what the doctor finds, the cluster, plugins and products."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from orchestrator.simulator import SimulatedPool
from state import backups, capacity
from state.backups import Backup
from state.capacity import Figures
from tests.web.conftest import NOON, Make, Web

TABLES = """
[products.nas]
plugin = "xva"
directory = "."

[products.wrong]
plugin = "xva"
directory = "."
colour = 1
"""


def test_the_doctor_examines_a_pool(make_web: Make, pool: SimulatedPool) -> None:
    """As `vfo doctor` does; of a pool that does not answer it says that."""
    found = make_web(pool).get("/pools/lab/findings", scope="read").json()["items"]
    assert {"ok"} <= {one["level"] for one in found}
    assert all(one["pool"] == "lab" for one in found)


def test_a_pool_that_is_away_is_a_finding(web: Web) -> None:
    """And no failure of the request; of a pool that nobody knows there are none."""
    found = web.get("/pools/lab/findings").json()["items"]
    assert "fail" in {one["level"] for one in found}
    assert web.get("/pools/nope/findings").json()["code"] == "no-such-pool"


def test_the_report_says_what_was_saved(web: Web) -> None:
    """Of a time that there is: since before until, each with its zone."""
    said = web.get("/reports", scope="read").json()
    assert (said["well"], said["backups"], said["until"]) == (True, [], "2026-11-22T12:00:00Z")
    assert web.get("/reports?since=7d").json()["since"] == "2026-11-15T12:00:00Z"
    zoned = web.get("/reports", params={"since": "2026-11-01T00:00:00+01:00"}).json()["since"]
    assert datetime.fromisoformat(zoned) == datetime(2026, 10, 31, 23, tzinfo=UTC)
    for wrong, code in (
        ({"since": "2026-11-22T13:00:00Z"}, "no-time"),
        ({"since": "2026-11-01T00:00:00"}, "wrong-input"),
        ({"until": "2026-11-30T00:00:00"}, "no-zone"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "wrong-input"),
        ({"since": "1999-01-01T00:00:00Z"}, "no-time"),
        ({"since": "soon"}, "wrong-input"),
        ({"policy": "nope"}, "wrong-input"),
        ({"pool": "nope"}, "wrong-input"),
    ):
        assert web.get("/reports", params=wrong).json()["code"] == code, wrong
    assert web.get("/reports", params={"until": "9999-12-31T23:59:59-23:59"}).status_code == 200


def test_a_long_report_comes_page_by_page(web: Web) -> None:
    """Those that need somebody first, each row once; the sums are of all of them, on every page."""
    with web.store.write() as session:
        for number in range(5):
            line = Backup(
                id=uuid4(), pool="lab", vm=f"v{number}", vm_name=f"vm-{number}", policy="nightly", product="borg", window="",
                status="failed" if number == 3 else "saved", began_at=NOON - timedelta(hours=1),
            )  # fmt: skip
            backups.put(session, line)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while cursor or not seen:
        answer = web.get("/reports", params={"limit": 2, **cursor}).json()
        assert (answer["sums"]["vms"], answer["well"]) == (5, False)
        seen += [row["vm"] for row in answer["backups"]]
        cursor = {"cursor": answer["next"]} if answer["next"] else {}
    assert seen == ["v3", "v0", "v1", "v2", "v4"]
    assert web.get("/reports", params={"cursor": "x"}).json()["code"] == "bad-cursor"


def test_the_cluster_says_what_is_amiss(web: Web) -> None:
    """Where nobody serves."""
    said = web.get("/cluster", scope="read").json()
    assert (said["processes"], said["due"]) == ([], 0)
    assert said["amiss"][0].startswith("no process serves")


def test_plugins_and_products_say_how_they_stand(make_web: Make) -> None:
    """Those that are shipped, those of the configuration, and what is wrong with one of these."""
    web = make_web(None, TABLES)
    said = web.get("/plugins", scope="read").json()
    rows = {one["table"] or one["name"]: one for one in said["items"]}
    assert (rows["borg"]["kind"], rows["products.nas"]["state"], rows["products.wrong"]["state"]) == ("product", "ok", "failed")
    assert len(said["complaints"]) == 1
    assert "there is no such setting" in said["complaints"][0]
    products = {one["name"]: one for one in web.get("/products").json()["items"]}
    assert (products["nas"]["state"], products["nas"]["lists"], products["wrong"]["state"]) == ("ok", True, "failed")


def test_how_full_it_was_comes_page_by_page(web: Web) -> None:
    """Every sample once, oldest first; before anybody has counted it says that, and of nonsense what is wrong with it."""
    assert web.get("/vfs/history").json() == {"counted_since": None, "items": [], "next": None}
    with web.store.write() as session:
        for hour in range(5):
            found = {"n": Figures("fast", 1, 8, hour, 8 - hour), "o": Figures("slow", 1, 4)}
            capacity.add(session, "lab", found, now=NOON - timedelta(hours=hour), hourly=set())
    seen: list[tuple[str, int]] = []
    cursor = None
    while True:
        answer = web.get("/vfs/history", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [(row["name"], row["used"]) for row in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert seen == [pair for hour in (4, 3, 2, 1, 0) for pair in (("fast", hour), ("slow", 0))]
    assert len(web.get("/vfs/history?network=o&since=90m").json()["items"]) == 2
    assert answer["counted_since"] == "2026-11-22T08:00:00Z"
    for wrong in ("cursor=x", "cursor=2026-11-22T08:00:00%0Aa%0Ab", "since=soon", "pool=none", "limit=0"):
        assert web.get(f"/vfs/history?{wrong}").status_code == 422, wrong
