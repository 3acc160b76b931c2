from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from orchestrator.web.console.models import backups, capacity, overview, runs, standing, vfs, vms
from state.backups import Backup
from state.run import Phase, Run, Status
from workflows.assign import ASSIGN
from workflows.objects import VM

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def a_row(**said: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "pool": "lab", "port": "p1", "name": "host1/eth1", "network": "n", "mode": "sysfs", "attached": True, "total": 8, "free": 5,
        "promised": 1, "leaked": 1, "missing": 1, "in_flight": [], "odd": [], "at": NOW,
        "users": [{"vm": "v1", "name": "web-01", "vif": "i1", "device": "0"}],
    }  # fmt: skip
    return row | said


def a_vm(name: str, **said: Any) -> VM:
    values: dict[str, Any] = dict.fromkeys(VM.__dataclass_fields__, ())
    values |= {
        "uuid": f"uuid-{name}",
        "name": name,
        "power_state": "Halted",
        "blocked_operations": {},
        "vusbs": 0,
        "tags": (),
        "vifs": (),
        "held": (),
    }
    return VM(**values | said)


def a_run(**said: Any) -> Run:
    values: dict[str, Any] = {
        "workflow": "assign-vf",
        "pool": "lab",
        "subject": "vm:v1",
        "title": "VM web-01",
        "created_at": NOW,
        "updated_at": NOW,
        "due_at": NOW,
    }
    return Run(**values | said)


def test_every_vf_is_one_cell() -> None:
    """A port's cells are as many as its VFs: who has them first, then what is promised, leaked and unaccounted for, the rest free."""
    port = vfs.port(a_row())
    assert [cell.kind for cell in port.cells] == ["used", "promised", "leaked", "unsure", "free", "free", "free", "free"]
    assert (port.device, port.said) == ("eth1", "1 in use, 1 promised, 1 leaked, 1 not accounted for, 4 free")
    assert (port.cells[0].text, port.cells[0].vm) == ("web-01", "v1")


def test_a_port_that_is_unplugged_has_broken_vfs() -> None:
    """None of its VFs can be used, and as many are shown as there were."""
    port = vfs.port(a_row(attached=False, free=0, promised=0, leaked=0, missing=0, users=[]))
    assert port.counts["broken"] == 8


def test_numbers_in_motion_promise_nothing() -> None:
    """While a port's numbers move nothing is called missing, and more promises than free VFs draw no cell twice."""
    port = vfs.port(a_row(missing=None, promised=9, leaked=0, in_flight=["web-02 starts"]))
    assert (len(port.cells), port.counts["promised"], port.notes) == (6, 5, ("web-02 starts",))


def test_only_ports_that_show_something_else_are_drawn_anew() -> None:
    """The moment of a look is no change; a port that came or went changes the whole map."""
    before = [a_row(), a_row(port="p2")]
    assert vfs.changed(before, [a_row(at=NOW + timedelta(seconds=1)), a_row(port="p2")]) == []
    after = [a_row(), a_row(port="p2", free=4)]
    assert vfs.changed(before, after) == [after[1]]
    assert vfs.changed(before, after[:1]) is None


def test_hosts_are_columns_with_their_ports() -> None:
    """By name; a host's name may have a slash in it."""
    drawn = vfs.drawn("lab", [a_row(name="b/eth2"), a_row(name="b/eth1"), a_row(name="a/x/eth1")])
    assert [(host.name, [port.device for port in host.ports]) for host in drawn.hosts] == [("a/x", ["eth1"]), ("b", ["eth1", "eth2"])]
    assert vfs.total(drawn.counts) == 24
    assert sorted(["host10", "2", "host2", "host", "Ⅷ²"], key=vfs.natural) == ["2", "host", "host2", "host10", "Ⅷ²"]


def test_all_is_right_only_when_nothing_needs_anybody() -> None:
    """Approvals, stuck runs, leaks, backups that failed and pools that do not answer are what needs somebody; a run at work is not."""
    going = runs.line(a_run(status=Status.RUNNING), ASSIGN)
    assert overview.made([going], [vfs.drawn("lab", [a_row(leaked=0, missing=0)])], []).tone == "good"
    waiting = a_run(status=Status.WAITING)
    waiting.waits_on = f"approval:{waiting.id}"
    stuck = a_run(status=Status.STUCK, reason="why", next_command="vfo reclaim")
    failed = Backup(id=uuid4(), pool="lab", vm="v1", vm_name="db", policy="nightly", product="b", window="w", status="failed", began_at=NOW)
    made = overview.made(
        [runs.line(waiting, ASSIGN), runs.line(stuck, ASSIGN), going], [vfs.drawn("lab", [a_row()], "no answer")], [failed]
    )
    assert [need.kind for need in made.needs] == ["waits for approval", "stuck", "pool", "VFs", "backup failed"]
    assert (made.tone, made.sentence, [line.id for line in made.going]) == ("bad", "5 things need you", [going.id])


def test_a_snapshot_that_waits_for_its_product_asks_for_no_approval() -> None:
    """Its product lets go of it; only what waits for a person is asked of a person, and only once."""
    run = a_run(status=Status.WAITING)
    run.waits_on = f"approval:{run.id}"
    assert standing.awaits_approval(run)
    assert not standing.awaits_approval(Run(**{**run.model_dump(), "workflow": "release-backup"}))
    assert not standing.awaits_approval(Run(**{**run.model_dump(), "approved_by": "ada"}))


def test_steps_stand_as_the_row_says() -> None:
    """Before the run's step: done; the step itself: at work, or where it stuck; after it: to come. An early end leaves the rest out."""
    names = [step.name for step in ASSIGN.steps]

    def states(**said: Any) -> list[str]:
        return [one.place.state for one in runs.shown(a_run(**said), {"history": []}, ASSIGN).steps]

    assert states() == ["later"] * len(names)
    assert states(status=Status.RUNNING, step=names[2])[:4] == ["done", "done", "now", "later"]
    assert states(status=Status.STUCK, step=names[2], due_at=None)[:4] == ["done", "done", "stuck", "later"]
    assert states(status=Status.DONE, step=names[0], due_at=None) == ["done"] + ["skipped"] * (len(names) - 1)
    assert states(status=Status.UNDONE, phase=Phase.UNDO, step=names[2], due_at=None)[:4] == ["done", "done", "failed", "later"]


def test_what_may_be_asked_of_a_run_is_what_its_row_lets() -> None:
    """An active one may be given up, once; a stuck one tried again or given up; one that is done nothing."""
    assert runs.may(a_run(status=Status.RUNNING)) == ("cancel",)
    assert runs.may(a_run(status=Status.RUNNING, cancel_requested=True)) == ()
    assert runs.may(a_run(status=Status.STUCK, due_at=None)) == ("retry", "cancel")
    assert runs.may(a_run(status=Status.STUCK, phase=Phase.UNDO, due_at=None)) == ("retry",)
    assert runs.may(a_run(status=Status.DONE, due_at=None)) == ()


def test_a_run_of_an_unknown_workflow_is_shown_all_the_same() -> None:
    """A newer version may have begun it: what the row says is shown, without steps."""
    shown = runs.shown(a_run(workflow="of-tomorrow"), {"history": []}, None)
    assert (shown.steps, shown.line.steps) == ((), 0)


def test_ten_thousand_vms_are_shown_fifty_at_a_time() -> None:
    """Found by name, tag or uuid in whatever letters; a page that is not there is the nearest one."""
    found = {"lab": [a_vm(f"vm-{number:05}", tags=("Gold",) if number % 100 == 0 else ()) for number in range(10_000)]}
    every = vms.listed(found, "", "")
    page = vms.paged(every, 200)
    assert (page.total, page.last, len(page.items), page.items[0][1].name, page.first_item) == (10_000, 200, 50, "vm-09950", 9951)
    assert vms.paged(every, 999).number == 200
    assert len(vms.listed(found, "gold", "")) == 100
    assert [vm.name for _, vm in vms.listed(found, "UUID-VM-00042", "")] == ["vm-00042"]
    assert vms.listed(found, "", "vf") == []


def test_what_holds_a_vm_back_is_said() -> None:
    """USB devices and operations that somebody blocked, each with its reason."""
    vm = replace(a_vm("a"), vusbs=1, blocked_operations={"start_on": "vfo: at work"})
    said = vms.held_back(vm)
    assert (len(said), said[1]) == (2, "blocked: start on: vfo: at work")


def test_moments_are_those_that_the_configuration_has() -> None:
    """A window is offered where there is one."""
    assert [word for word, _ in vms.moments([])] == ["next-halt", "now"]
    assert [word for word, _ in vms.moments(["night"])] == ["next-halt", "now", "window", "window:night"]


def test_a_night_is_drawn_as_bars() -> None:
    """Each turn where it is in the opening and as long; one that is very short is seen too; who is missed is said with the reason."""
    slot = {"name": "a", "policy": "p", "begins": NOW, "ends": NOW + timedelta(hours=2), "why": ""}
    short = slot | {"name": "b", "begins": NOW + timedelta(hours=4), "ends": NOW + timedelta(hours=4, seconds=1)}
    missed = slot | {"name": "c", "begins": None, "ends": None, "why": "too late"}
    night = backups.night({"pool": "lab", "begins": NOW, "closes": NOW + timedelta(hours=8), "slots": [slot, short, missed], "paused": {}})
    assert [(bar.name, bar.x, bar.width) for bar in night.bars] == [("a", 0.0, 25.0), ("b", 50.0, 0.4)]
    assert [one["name"] for one in night.missed] == ["c"]


def a_sample(hours: float, used: int, **more: Any) -> dict[str, Any]:
    row = {"at": NOW + timedelta(hours=hours), "pool": "lab", "network": "n", "name": "fast", "ports": 1, "total": 8, "used": used}
    return {**row, "free": 8 - used, "promised": 0, "leaked": 0, "broken": 0, **more}


def test_a_curve_shows_what_was_counted_and_no_more() -> None:
    """Steps of the same height are one; where nobody counted there is no line; the same is said in words and as a table."""
    rows = [a_sample(-12, 2), a_sample(-11, 2), a_sample(0, 6, promised=1, leaked=1)]
    (story,) = capacity.stories(["lab"], rows, NOW - timedelta(hours=24), NOW + timedelta(hours=1))
    (curve,) = story.curves
    assert (curve.kind, curve.name, curve.most) == ("network", "fast", 8)
    assert curve.used.count("M") == 2
    assert curve.total.count("M") == 2
    assert curve.promised.count("M") == curve.lost.count("M") == 1
    assert curve.said == "7 of 8 VFs in use or promised, 1 leaked or broken; from 2 to 7 in this time"
    assert {row.figures["used"] for row in curve.rows if row.figures} == {2, 6}


def test_a_pool_of_several_networks_has_a_curve_of_its_own() -> None:
    """The sum comes first; of a pool where nobody counts any more, or ever did, that is said."""
    rows = [a_sample(-20, 2), a_sample(-20, 3, network="o", name="storage")]
    some, none = capacity.stories(["lab", "other"], rows, NOW - timedelta(hours=24), NOW)
    assert [(curve.kind, curve.name, curve.most) for curve in some.curves] == [
        ("pool", "lab", 16),
        ("network", "fast", 8),
        ("network", "storage", 8),
    ]
    assert some.curves[0].said == "Never more than 5; nobody counts now."
    assert [(curve.said, curve.counts) for curve in none.curves] == [("Nobody counted in this time.", False)]
