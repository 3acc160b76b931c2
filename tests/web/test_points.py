"""Restore points over HTTP: what products have, a VM made of one, files out of one, and whether one is sound."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.simulator import SimulatedPool
from state import audit, runs
from state.run import Status
from tests.engine.waiting import until
from tests.plugins import shelves
from tests.web.conftest import Web

AWAY = '\n[products.away]\nplugin = "away"\n'
ABC_1 = "/restore-points/shelf/abc-1"


def acts(web: Web) -> list[tuple[str, str, str]]:
    with web.store.read() as session:
        return [(one.what, one.thing, one.outcome) for one in audit.listed(session)]


def test_restore_points_come_page_by_page(shelf: Callable[..., Web]) -> None:
    """Newest first, of one VM where that is asked for; each by its whole id."""
    web = shelf()
    first = web.get("/restore-points?limit=1", scope="read").json()
    second = web.get("/restore-points", params={"limit": 1, "cursor": first["next"]}).json()
    assert [one["id"] for one in (*first["items"], *second["items"])] == ["abd-2", "abc-1"]
    assert (second["next"], second["silent"], second["unseen"]) == (None, [], [])
    assert [one["id"] for one in web.get("/restore-points?vm=web-02").json()["items"]] == ["abd-2"]
    assert web.get("/restore-points?pool=lab").json()["items"] == []
    shown = web.get(ABC_1).json()
    assert (shown["id"], shown["product"], shown["vm_name"], shown["restorable"]) == ("abc-1", "shelf", "web-01", True)


def test_a_product_that_is_away_hides_no_other(shelf: Callable[..., Web]) -> None:
    """What others have is listed, and why there may be more."""
    said = shelf(more=AWAY).get("/restore-points").json()
    assert [one["id"] for one in said["items"]] == ["abd-2", "abc-1"]
    assert len(said["unseen"]) == 1
    assert "product 'away' cannot be asked for its restore points: nobody answers" in said["unseen"][0]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/restore-points/shelf/abc", 404, "no-such-restore-point"),
        ("/restore-points/nas/abc-1", 404, "no-such-product"),
        ("/restore-points/shelf/", 404, "no-such-restore-point"),
        ("/restore-points/away/abc-1", 409, "not-so"),
        ("/restore-points?product=nas", 422, "wrong-input"),
        ("/restore-points?cursor=e30%3D", 422, "bad-cursor"),
        (f"{ABC_1}/verifications/00000000-0000-0000-0000-000000000000", 404, "no-such-verification"),
        (f"{ABC_1}/disks/7/entries", 422, "wrong-input"),
        (f"{ABC_1}/disks/0/entries?path=etc", 422, "wrong-input"),
        (f"{ABC_1}/disks/0/content?path=/etc/hostname", 422, "wrong-input"),
    ],
)
def test_what_cannot_be_meant_is_a_problem(shelf: Callable[..., Web], path: str, status: int, code: str) -> None:
    """Each with its code; the beginning of an id is not enough for a program."""
    said = shelf(more=AWAY).get(path)
    assert (said.status_code, said.json()["code"]) == (status, code), said.text


def test_a_vm_is_restored_once(shelf: Callable[..., Web], pool: SimulatedPool) -> None:
    """Its plan first, which changes nothing; then a run, the same one for whoever asks again under the same key."""
    web = shelf(pool)
    wanted = {"name": "web-new", "networks": {"SR-IOV": "Pool-wide network associated with eth0"}}
    planned = web.post(f"{ABC_1}/restore?dry_run=true", wanted).json()
    assert planned["plans"][0]["refusals"] == []
    assert "VM.create" in planned["plans"][0]["calls"]
    key = {"Idempotency-Key": "once"}
    first, again = (web.post(f"{ABC_1}/restore", wanted, headers=key) for _ in range(2))
    assert (first.status_code, again.json()) == (202, first.json())
    (run,) = first.json()["runs"]
    assert (run["workflow"], run["status"], run["subject"]) == ("restore-vm", "ready", "restore:web-new")
    with web.store.read() as session:
        assert [str(one.id) for one in runs.listed(session, statuses=frozenset(Status))] == [run["run"]]
    assert [str(one) for one in web.published] == [run["run"]]


def test_what_stands_against_a_restore_is_said_and_written_down(shelf: Callable[..., Web], pool: SimulatedPool) -> None:
    """No run is made; a VM of that name is there, or what was given is nothing of the pool's."""
    web = shelf(pool)
    for wanted in ({}, {"name": ""}, {"sr": "nowhere"}, {"networks": {"x": "y"}}):
        said = web.post(f"{ABC_1}/restore", wanted)
        assert (said.status_code, said.json()["code"]) == (422, "wrong-input"), said.text
    assert web.post(f"{ABC_1}/restore?pool=nope", {}).json()["code"] == "wrong-input"
    assert web.post(f"{ABC_1}/restore", {"pool": "lab"}).json()["code"] == "invalid"
    assert ("restore-vm", "restore point shelf/abc-1", "refused") in acts(web)
    with web.store.read() as session:
        assert runs.listed(session, statuses=frozenset(Status)) == []


def test_a_restore_point_is_booted_beside(shelf: Callable[..., Web], pool: SimulatedPool) -> None:
    """By a run of its own, whose plan says that all of it goes again."""
    web = shelf(pool)
    planned = web.post(f"{ABC_1}/boot?dry_run=true", {}).json()
    assert "VM.destroy" in planned["plans"][0]["calls"]
    begun = web.post(f"{ABC_1}/boot", {})
    assert (begun.status_code, [run["workflow"] for run in begun.json()["runs"]]) == (202, ["verify-boot"])


@pytest.mark.parametrize(("sha", "sound"), [(shelves.ABC, True), ("0" * 64, False)], ids=["sound", "differs"])
def test_a_restore_point_is_verified(shelf: Callable[..., Web], sha: str, sound: bool) -> None:
    """It goes on after the answer; asked again under the same key it is the same one; the end says what each check found."""
    web = shelf(sha=sha)
    first, again = (web.post(f"{ABC_1}/verifications", headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert first.status_code == 202, first.text
    assert first.json()["id"] == again.json()["id"]
    ended: dict[str, Any] = {}

    def has_ended() -> bool:
        ended.update(web.get(f"{ABC_1}/verifications/{first.json()['id']}", scope="read").json())
        return ended["state"] != "running"

    until(has_ended)
    assert (ended["state"], ended["sound"]) == ("done", sound)
    assert [(one["check"], one["sound"]) for one in ended["checks"]] == [("checksums", sound), ("product", True)]
    assert [one for one in acts(web) if one[0] == "verify"] == [("verify", "restore point shelf/abc-1", "done")]


def test_who_wanted_a_verification_is_written_down_before_it_begins(shelf: Callable[..., Web]) -> None:
    """What cannot begin now is written down with why, after who wanted it; nothing is kept under the key, so that it can be asked again."""
    web = shelf()
    web.office.shelf.plugged().jobs.stop(timedelta())
    for _ in range(2):
        said = web.post(f"{ABC_1}/verifications", headers={"Idempotency-Key": "once"})
        assert (said.status_code, said.json()["code"]) == (503, "busy")
    outcomes = [outcome for what, _, outcome in acts(web) if what == "verify"]
    assert outcomes == ["refused", "done"] * 2


def test_a_single_file_comes_out(shelf: Callable[..., Web], image: Path) -> None:
    """Its folder is listed, its bytes are the guest's, and who took it is written down; to read alone is not enough for that."""
    web = shelf(image=image)
    there = {one["name"]: one for one in web.get(f"{ABC_1}/disks/0/entries").json()["items"]}
    assert (there["etc"]["kind"], there["ümlaut x"]["size"]) == ("directory", 1 << 20)
    got = web.get(f"{ABC_1}/disks/0/content", params={"path": "/ümlaut x"}, scope="operate")
    assert (got.status_code, got.content) == (200, (image.parent / "source" / "ümlaut x").read_bytes())
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%BCmlaut%20x"
    assert web.get(f"{ABC_1}/disks/0/content?path=/etc/hostname").text == "web-01\n"
    assert ("fetch-file", "/etc/hostname of disk 0 of restore point shelf/abc-1", "done") in acts(web)
    assert web.get(f"{ABC_1}/disks/0/content?path=/etc/hostname", scope="read").status_code == 403
    assert web.get(f"{ABC_1}/disks/0/content?path=/nope").json()["code"] == "wrong-input"


def test_few_disks_are_read_at_once(shelf: Callable[..., Web], image: Path) -> None:
    """Each takes room: who comes when as many as may be are read is told to come again."""
    web = shelf(image=image)
    with web.office.shelf.fetch(), web.office.shelf.fetch():
        said = web.get(f"{ABC_1}/disks/0/content?path=/etc/hostname")
    assert (said.status_code, said.json()["code"], said.headers["retry-after"]) == (503, "busy", "30")
    assert web.get(f"{ABC_1}/disks/0/content?path=/etc/hostname").status_code == 200
