"""Policies and windows that people write into the rows: what holds, what is refused, and what hurts nobody else."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from orchestrator.actions import policies, windows
from orchestrator.actions.desk import Desk
from orchestrator.actions.failures import NotSo, Outdated, WrongInput, WrongTable
from orchestrator.config.load import Loaded, load
from orchestrator.scheduler import Scheduler
from orchestrator.written import InRows
from state import audit, backups, openings, written
from state.store import Store
from state.written import POLICY, WrittenRow
from tests.services import sqlite
from tests.services.proxy import Cut, Proxy

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FILE = """
[pools.lab]
url = "http://127.0.0.1:9"
password = "none"

[products.nas]
plugin = "log"

[windows.night]
schedule = "0 22 * * *"
duration = "8h"
blackouts = ["2026-12-24..2026-12-26"]

[policies.web]
vms = { names = ["web-*"] }
product = "nas"
window = "night"
timeouts = { job = "90m" }
"""
NIGHTLY = {"vms": {"tags": ["db"]}, "product": "nas", "window": "night"}
DAILY = {"schedule": "0 13 * * *", "duration": "2h"}


@dataclass
class Office:
    """One database, and configurations that change."""

    folder: Path
    store: Store
    now: datetime = NOON
    loaded: Loaded = field(init=False)

    def __post_init__(self) -> None:
        self.configure(FILE)

    def configure(self, text: str) -> None:
        path = self.folder / "vfo.toml"
        path.write_text(text)
        self.loaded = load(path)

    @property
    def desk(self) -> Desk:
        """Where ann asks, as it is now; no pool is looked at."""
        return Desk(self.loaded, self.store, [], "ann", lambda: self.now)

    def scheduler(self) -> Scheduler:
        """A process of its own, with no lease yet."""
        rows = InRows(self.loaded, self.store)
        return Scheduler(
            self.store, lambda: rows.now().policy.backups, ["lab"], lambda _: None, lease=timedelta(minutes=1), clock=lambda: self.now
        )  # fmt: skip

    @property
    def plans(self) -> list[str]:
        return sorted(self.desk.policy.backups.policies)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    store = sqlite.store(tmp_path / "vfo.db")
    yield Office(tmp_path, store)
    store.close()


def test_what_is_written_holds_beside_the_files(office: Office) -> None:
    """Each list says where each comes from; what the file has is as it was, and is shown as it was written."""
    said = policies.write(office.desk, "db", NIGHTLY)
    assert (said["created"], said["by"], said["at"], said["changed"]) == (True, "ann", NOON, ["product", "vms.tags", "window"])
    rows = {row["name"]: (row["written_by"], row["written_at"], row["revision"]) for row in policies.listed(office.desk)}
    assert rows == {"web": (None, None, None), "db": ("ann", NOON, said["revision"])}
    assert policies.shown(office.desk, "db")["table"] == NIGHTLY
    assert policies.shown(office.desk, "web")["table"]["timeouts"] == {"job": "90m"}
    assert windows.shown(office.desk, "night")["table"]["blackouts"] == ["2026-12-24..2026-12-26"]


def test_a_window_may_be_of_the_file_or_of_the_rows(office: Office) -> None:
    """A policy of the rows names either."""
    windows.write(office.desk, "day", DAILY)
    policies.write(office.desk, "db", {**NIGHTLY, "window": "day"})
    listed = {row["name"]: row["policies"] for row in windows.listed(office.desk)}
    assert listed == {"night": ["web"], "day": ["db"]}


def test_a_change_names_what_it_changes_and_loses_to_an_earlier_one(office: Office) -> None:
    """By the revision; the audit has what stood there and what stands there now."""
    first = policies.write(office.desk, "db", NIGHTLY)
    second = policies.write(office.desk, "db", {**NIGHTLY, "priority": 5}, revision=first["revision"])
    assert (second["created"], second["changed"]) == (False, ["priority"])
    for revision in (first["revision"], None):
        with pytest.raises(Outdated) as caught:
            policies.write(office.desk, "db", NIGHTLY, revision=revision)
        assert caught.value.revision == second["revision"]
    with pytest.raises(Outdated, match="somebody has removed it"):
        policies.write(office.desk, "gone", NIGHTLY, revision=first["revision"])
    with office.store.read() as session:
        act = audit.listed(session)[0]
    assert (act.who, act.what, act.thing, act.details["changed"]) == ("ann", "write-policy", "policy db", {"priority": [None, 5]})


@pytest.mark.parametrize(
    ("change", "key", "told"),
    [
        ({"product": "nsa"}, "product", "there is no table [products.nsa] (there are: nas)"),
        ({"window": "day"}, "window", "there is no table [windows.day] (there are: night)"),
        ({"vms": {}}, "vms", "say which VMs"),
        ({"vms": {"pools": ["mars"]}}, "vms.pools", "there is no table [pools.mars]"),
        ({"retention": {"lst": 3}}, "retention.lst", "there is no such setting; there are last, daily"),
        ({"mode": "failover"}, "mode", "fallback_network"),
        ({"timeouts": {"job": "1e9999d"}}, "timeouts.job", "write a duration"),
        ({"timeouts": {"job": 1e300}}, "timeouts.job", "it is too long"),
        ({"priority": float("nan")}, "priority", "valid integer"),
        ({"vms": {"names": ["a\0b"]}}, "", "NUL"),
        ({"vms": {"names": [object()]}}, "", "it cannot be kept"),
    ],
)
def test_a_mistake_is_told_by_its_key(office: Office, change: dict[str, Any], key: str, told: str) -> None:
    """As the file's are, by the same models; and nothing is written."""
    with pytest.raises(WrongTable) as caught:
        policies.write(office.desk, "db", {**NIGHTLY, **change})
    assert (caught.value.option, caught.value.mistakes[0].key) == (key, key)
    assert told in caught.value.text
    assert str(caught.value).startswith(f"policies.db.{key}" if key else "policies.db: ")
    assert office.plans == ["web"]


def test_every_mistake_is_told(office: Office) -> None:
    """A form marks each field."""
    with pytest.raises(WrongTable) as caught:
        windows.write(office.desk, "day", {"schedule": "at noon", "duration": "0s", "limits": {"pool": -1}})
    assert {one.key.split(".")[0] for one in caught.value.mistakes} == {"schedule", "duration", "limits"}


@pytest.mark.parametrize(("name", "told"), [("web", r"has a table \[policies.web\]"), ("a b", "write letters"), ("", "write letters")])
def test_a_name_that_the_file_has_or_that_none_can_have_is_refused(office: Office, name: str, told: str) -> None:
    """The file's cannot be changed by this."""
    for refused in (policies.write, policies.proposed):
        with pytest.raises(WrongInput, match=told) as caught:
            refused(office.desk, name, NIGHTLY)
        assert caught.value.option == "name"
    with pytest.raises(WrongInput, match=r"it stands in .*vfo.toml|nobody wrote"):
        policies.remove(office.desk, name)


def test_where_the_file_gets_one_of_the_same_name_the_files_holds(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """That is said in the lists and, once, in the log; what somebody wrote can be removed, and what was paused stays so."""
    policies.write(office.desk, "db", NIGHTLY)
    office.configure(FILE + '[policies.db]\nvms = { names = ["*"] }\nproduct = "nas"\n')
    (one,) = policies.amiss(office.desk)
    assert (one["name"], one["by"], "has a table [policies.db], which holds" in one["why"]) == ("db", "ann", True)
    assert office.desk.policy.backups.policies["db"].window == ""
    heard = InRows(office.loaded, office.store, heard=True)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            heard.now()
    assert [record.message.split(":")[0] for record in caplog.records] == ["policy db, written by ann, does not hold"]
    policies.pause(office.desk, "db")
    policies.remove(office.desk, "db", one["revision"])
    assert policies.amiss(office.desk) == []
    with office.store.read() as session:
        assert list(backups.paused(session)) == ["db"]


def test_what_this_version_cannot_read_hurts_nobody_else(office: Office) -> None:
    """A newer version's, one whose product or window is gone: each is named, none is run; mended, it holds again."""
    windows.write(office.desk, "day", DAILY)
    policies.write(office.desk, "db", {**NIGHTLY, "window": "day"})
    policies.write(office.desk, "well", NIGHTLY)

    def other(kind: str, name: str, settings: Any) -> None:
        with office.store.write() as session:
            written.take_turn(session, by="later", now=NOON)
            written.put(session, WrittenRow(kind=kind, name=name, settings=settings, revision=uuid4(), by="later", at=NOON))

    other("window", "day", {**DAILY, "colour": "blue"})
    other("policy", "odd", ["no", "table"])
    other("colour", "blue", {})
    assert office.plans == ["web", "well"]
    why = {one["name"]: one["why"] for one in policies.amiss(office.desk)}
    assert "its window day does not hold: colour: there is no such setting" in why["db"]
    assert why.keys() == {"db", "odd"}
    (day,) = windows.amiss(office.desk)
    windows.write(office.desk, "day", DAILY, revision=day["revision"])
    policies.remove(office.desk, "odd")
    assert (office.plans, policies.amiss(office.desk)) == (["db", "web", "well"], [])


def test_a_window_that_policies_use_is_not_removed(office: Office) -> None:
    """They are named; those that do not hold count too."""
    windows.write(office.desk, "day", DAILY)
    said = policies.write(office.desk, "db", {**NIGHTLY, "window": "day"})
    with pytest.raises(NotSo, match="window 'day' is used by policy db: change or remove it first"):
        windows.remove(office.desk, "day")
    policies.pause(office.desk, "db")
    with pytest.raises(Outdated):
        policies.remove(office.desk, "db", str(uuid4()))
    policies.remove(office.desk, "db", said["revision"])
    windows.remove(office.desk, "day")
    assert windows.listed(office.desk)[-1]["name"] == "night"
    with office.store.read() as session:
        assert backups.paused(session) == {}, "a new one of the same name is not paused"


def test_a_process_takes_up_what_others_wrote(office: Office) -> None:
    """A snapshot stays as it was; the next look has what is written by then. For a run it is looked for at once."""
    rows = InRows(office.loaded, office.store)
    before = rows.recent()
    policies.write(office.desk, "db", {**NIGHTLY, "shutdown": "hard"})
    assert rows.for_run({"policy": "db"}).backup.shutdown == "hard"
    assert "db" in rows.for_run({"policies": ["db"]}).backups.policies
    assert ("db" in before.policy.backups.policies, "db" in rows.now().policy.backups.policies) == (False, True)
    assert rows.now() is rows.now(), "what has not changed is not read again"


def test_while_the_rows_cannot_be_read_what_was_known_last_holds(office: Office) -> None:
    """But a run whose policy is not known waits for the rows."""
    rows = InRows(office.loaded, office.store)
    policies.write(office.desk, "db", NIGHTLY)
    rows.now()
    with office.store.write() as session:
        session.connection().exec_driver_sql("DROP TABLE written")
    assert "db" in rows.now().policy.backups.policies
    assert "db" in rows.for_run({"policy": "db"}).backups.policies
    with pytest.raises(Exception, match="written"):
        rows.for_run({"policy": "unheard-of"})


def test_a_look_that_is_cut_off_is_not_waited_for(postgres_url: str, tmp_path: Path) -> None:
    """What was known last holds; a run whose policy is not known looks again."""
    url = make_url(postgres_url)
    proxy = Proxy(url.port or 5432)
    office = Office(tmp_path, Store(url.set(port=proxy.port).render_as_string(hide_password=False)))
    rows = InRows(office.loaded, office.store)
    before = rows.now()
    policies.write(office.desk, "db", NIGHTLY)
    proxy.arm(b"written", Cut.BEFORE)
    assert rows.now() is before
    proxy.arm(b"written", Cut.BEFORE)
    assert "db" in rows.for_run({"policies": ["db"]}).backups.policies
    assert proxy.cuts == 2
    office.store.close()
    proxy.close()


def test_a_scheduler_without_windows_notices_the_first_one(office: Office) -> None:
    """And keeps its opening; when policy and window are gone it looks for nothing."""
    office.configure(FILE.partition("[windows.night]")[0])
    scheduler = office.scheduler()
    assert scheduler.look() == []
    windows.write(office.desk, "day", DAILY)
    policies.write(office.desk, "db", {**NIGHTLY, "window": "day"})
    assert scheduler.look() == []
    office.now += timedelta(hours=1)
    assert len(scheduler.look()) == 1
    policies.remove(office.desk, "db")
    windows.remove(office.desk, "day")
    office.now += timedelta(days=1)
    assert scheduler.look() == []


def test_what_would_have_opened_while_no_policy_used_the_window_is_nobodys(office: Office) -> None:
    """Else a policy written days later would make up for it at once."""
    windows.write(office.desk, "day", {**DAILY, "catch_up": "run-once"})
    said = policies.write(office.desk, "db", {**NIGHTLY, "window": "day"})
    scheduler = office.scheduler()
    scheduler.look()
    policies.remove(office.desk, "db", said["revision"])
    scheduler.look()
    office.now += timedelta(days=3)
    policies.write(office.desk, "db", {**NIGHTLY, "window": "day"})
    assert scheduler.look() == []
    office.now = NOON + timedelta(days=3, hours=1)
    assert len(scheduler.look()) == 1
    with office.store.read() as session:
        assert [one.status for one in openings.since(session, NOON) if one.window == "day"] == [openings.RUN]


def test_of_two_schedulers_one_keeps_the_first_opening_of_a_new_window(office: Office) -> None:
    """Each had none before; whichever looks first, and when the first has died, the run is made once."""
    made = [office.scheduler(), office.scheduler()]
    assert [scheduler.look() for scheduler in made] == [[], []]
    windows.write(office.desk, "noon", {"schedule": "0 12 * * *", "duration": "2h"})
    policies.write(office.desk, "db", {**NIGHTLY, "window": "noon"})
    first = [len(scheduler.look()) for scheduler in made]
    office.now += timedelta(minutes=2)
    assert (first, [len(scheduler.look()) for scheduler in reversed(made)]) == ([1, 0], [0, 0])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_names_another_never_misses_it(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Somebody removes a window while somebody else writes a policy for it: one of them is told, whoever comes first."""
    url = sqlite.database(tmp_path / "race.db") if kind == "sqlite" else request.getfixturevalue("postgres_url")
    store = Store(url)
    office = Office(tmp_path, store)
    windows.write(office.desk, "day", DAILY)
    ready = threading.Barrier(2)

    def told(act: Callable[[Desk], object]) -> bool:
        desk = office.desk
        ready.wait(30)
        try:
            act(desk)
        except (NotSo, WrongInput):
            return True
        return False

    with ThreadPoolExecutor(2) as both:
        removing = both.submit(told, lambda desk: windows.remove(desk, "day"))
        writing = both.submit(told, lambda desk: policies.write(desk, "db", {**NIGHTLY, "window": "day"}))
        assert [removing.result(60), writing.result(60)].count(True) == 1
    assert policies.amiss(office.desk) == []
    store.close()


def test_only_rows_of_a_known_kind_are_read(office: Office) -> None:
    """What counts all changes is no policy."""
    policies.write(office.desk, "db", NIGHTLY)
    with office.store.read() as session:
        assert [(one.kind, one.name) for one in written.listed(session)] == [(POLICY, "db")]
        before = written.edition(session)
    policies.remove(office.desk, "db")
    with office.store.read() as session:
        assert written.edition(session) != before
