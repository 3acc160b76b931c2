"""One opening of a window in one pool: begin the backups that fit before its end, within its limits, and say what was missed.

It begins runs of back-up-vm and waits for them; it never cuts one off. `data["list"]` are those who wait (workflows/waiting_list.py),
`data["at_work"]` those who were begun and are not over, by the ids of their runs. workflows/beside.py looks at what others have at work.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from plugins.values import WindowChanged, WindowEnded, WindowOpening
from workflows import back_up, beside, choosing, planning, waiting_list
from workflows.backup_hooks import IN_WORDS, services
from workflows.choosing import choose
from workflows.outcome import Done, Need, Outcome, Request, Wait
from workflows.policies import Limits
from workflows.services import RunView, Saved, Verdict
from workflows.waiting_list import Entry
from workflows.workflow import Data, Step, Workflow
from workflows.world import World

NAME = "keep-window"
LOOK_AGAIN = timedelta(minutes=1)  # the end of a backup wakes the run; this is for a wake that a crash lost
LATER = timedelta(minutes=1)
HOOK_PATIENCE = timedelta(minutes=5)
LATE = "at work after the window's end"
TOO_LONG = "it takes {minutes} min by estimate, and would not be through before the window's end"
COUNTED = ("saved", "skipped", "refused", "failed", "missed")
"""What becomes of a VM; one whose backup was cancelled has failed."""
NEVER_FITS = (
    "it takes {minutes} min by estimate, and the window is not open for as long: "
    "give it a longer one, or save it once by `vfo policy run {policy} --vm {vm}`, which measures it"
)


def request(opening: WindowOpening, policies: Sequence[str], *, limits: Limits, only: Sequence[str] = (), by: str = "") -> Request:
    """The run for an opening of a window; *by* a person (`vfo policy run`) it is of policies, has no end, and may be of some VMs *only*."""
    data: dict[str, Any] = {
        "window": opening.name, "opens": opening.opens.isoformat(), "closes": opening.closes.isoformat() if opening.closes else None,
        "policies": list(policies), "limits": [limits.pool, limits.host, limits.sr, limits.port], "only": list(only), "by": by,
    }  # fmt: skip
    kind = "window" if opening.closes else "policy"
    return Request(NAME, opening.pool, f"{kind}:{opening.name}", f"{kind} {opening.name}", data, opening.run_id)


def open_window(world: World, data: Data) -> Outcome:
    """Ask the hooks of its policies whether the window may be used, and tell the observers that it is open."""
    paused = services(world).catalogue.paused()
    data.setdefault("asks", [name for name in data["policies"] if name not in paused])
    verdicts = _ask(world, data, "before_window", opening_of(world, data))
    no = next((verdict for verdict in verdicts if not verdict.well), None)
    if no is not None and no.end == "later" and not _is_closed(world, data):
        return Wait(_said(no), at_most=no.after or LATER)
    if no is not None:
        data["not_used"] = ["skipped" if no.end == "skip" else "refused", _said(no)]
    elif not data.get("announced"):
        world.announce(WindowChanged(opening_of(world, data), None, world.now))
        data["announced"] = True
    return Done(f"nothing of it is done: {_said(no)}" if no is not None else "open" + _until(data))


def choose_vms(world: World, data: Data) -> Outcome:
    """Look whom the policies mean, in which order, and how long each will take."""
    chosen = choose(world.pool, world.ledger, services(world).catalogue, world.policy, data["policies"], only=data["only"])
    data["left_out"] = chosen.left_out
    data["list"] = waiting_list.written(chosen.candidates)
    data |= {"at_work": {}, **dict.fromkeys(COUNTED, 0)}
    paused = "".join(f"; policy {name} is {why}" for name, why in chosen.left_out.items())
    return Done(f"{len(chosen.candidates)} VMs{paused}")


def save_vms(world: World, data: Data) -> Outcome:
    """Begin what fits before the end, within the limits, and wait until everything that was begun is over."""
    outcome = _go_on(world, data)
    if beside.TURN not in world.held or isinstance(outcome, Wait):
        return outcome
    return Wait(_in_words(data), at_most=timedelta(), lets_go=(beside.TURN,))  # what follows may take long, and others want their turn


def _go_on(world: World, data: Data) -> Outcome:
    _take_in(world, data)
    waiting = waiting_list.read(data["list"])
    if "not_used" in data:
        _miss(world, data, waiting, *data["not_used"])
    elif _is_closed(world, data):
        _miss(world, data, waiting, "missed", "the window closed before its turn")
        _say_late(world, data)
    else:
        waiting = _not_paused(world, data, waiting)
        if waiting and beside.TURN not in world.held:
            return Need((beside.TURN,))
        return _begin(world, data, waiting)
    data["list"] = waiting_list.emptied(data["list"])
    return _wait(world, data, ()) if data["at_work"] else Done(_in_words(data))


def _begin(world: World, data: Data, waiting: list[Entry]) -> Outcome:
    others = beside.at_work(world, data["at_work"]) if waiting else []
    waiting = _not_saved_already(world, data, waiting, others)
    mine = [waiting_list.one(noted["entry"], data["list"]) for noted in data["at_work"].values()]
    loads = [*(one.candidate.load for one in mine), *(one.load for one in others)]
    ahead = beside.ahead(world, NAME, data, loads) if waiting else []
    limits, closes = Limits(*data["limits"]), _closes(data)
    begun, late = planning.startable([one.candidate for one in waiting], [*loads, *ahead], limits, world.now, closes)
    by_place = {one.candidate.priority: one for one in waiting}
    over, chosen = [by_place[one.priority] for one in late], [by_place[one.priority] for one in begun]
    _miss_late(world, data, over)
    requests = [_request(world, data, entry) for entry in chosen]
    data["list"] = waiting_list.without(data["list"], [*over, *chosen])
    kept = bool(others or ahead) and waiting_list.length(data["list"]) > 0
    if chosen or not kept:
        data.pop(beside.KEPT_SINCE, None)
    if kept:
        data.setdefault(beside.KEPT_SINCE, world.now.isoformat())
    rest = waiting_list.read(data["list"])
    if not data["at_work"] and not (kept and any(planning.startable([one.candidate for one in rest], (), limits, world.now, closes))):
        _miss(world, data, rest, "missed", "the window's limits let nobody begin")
        data["list"] = waiting_list.emptied(data["list"])
        return Done(_in_words(data))
    return _wait(world, data, requests, at_most=beside.GIVE_WAY if ahead and kept else LOOK_AGAIN)


def _miss_late(world: World, data: Data, over: list[Entry]) -> None:
    """Those who would not be through before the end."""
    closes = _closes(data)
    never = [] if closes is None else [one for one in over if one.candidate.takes > closes - datetime.fromisoformat(data["opens"])]
    _miss(world, data, never, "missed", NEVER_FITS)
    _miss(world, data, [one for one in over if one not in never], "missed", TOO_LONG)


def _not_saved_already(world: World, data: Data, waiting: list[Entry], others: Sequence[beside.Other]) -> list[Entry]:
    """Those who wait, without those whom another run backs up by the same policy; one of another policy is waited for."""
    doing = {(other.vm, other.policy): other.run_id for other in others}
    for entry in waiting:
        if (run_id := doing.get((entry.candidate.vm, entry.candidate.policy))) is not None:
            _miss(world, data, [entry], "skipped", f"run {run_id} is backing it up already")
            data["list"] = waiting_list.without(data["list"], [entry])
    return [one for one in waiting if (one.candidate.vm, one.candidate.policy) not in doing]


def _request(world: World, data: Data, entry: Entry) -> Request:
    """A run of back-up-vm; its id is known before it is made, so that it is made once."""
    plan = world.policy.backups.policies[entry.candidate.policy]
    run_id = uuid5(world.run_id, f"{entry.candidate.policy} {entry.candidate.vm} {entry.tries}")
    data["at_work"][str(run_id)] = {"entry": waiting_list.noted(entry, data["list"]), "began": world.now.isoformat()}
    return beside.weighed(back_up.request(entry, plan, opening_of(world, data), run_id), entry.candidate)


def _wait(world: World, data: Data, requests: Sequence[Request], *, at_most: timedelta = LOOK_AGAIN) -> Wait:
    closes = _closes(data)
    if closes is not None and closes > world.now:
        at_most = min(at_most, closes - world.now)
    waits = f", {waiting_list.length(data['list'])} wait" if waiting_list.length(data["list"]) else ""
    kept = " and other runs have backups at work" if waits and data.get(beside.KEPT_SINCE) else ""
    message = f"{len(data['at_work'])} at work{waits}{kept}; {_in_words(data)}"
    lets_go = (beside.TURN,) if beside.TURN in world.held else ()
    return Wait(message, on=beside.wake_on_backup(world.pool.name), at_most=at_most, lets_go=lets_go, follow_up=tuple(requests))


def _take_in(world: World, data: Data) -> None:
    """Those whose runs are over are counted; one that failed waits again, last, as often as its policy says."""
    for run_id, noted in list(data["at_work"].items()):
        entry = waiting_list.one(noted["entry"], data["list"])
        seen = services(world).runs.look(UUID(run_id))
        if seen is not None and not seen.over:
            continue
        del data["at_work"][run_id]
        if seen is None:
            _not_made(world, data, entry)
            continue
        status = _status(seen)
        plan = world.policy.backups.policies.get(entry.candidate.policy)
        if (
            status == "failed"
            and seen.status != "stuck"
            and plan is not None
            and entry.tries <= plan.retries
            and not _is_closed(world, data)
        ):
            data["list"] = waiting_list.again(data["list"], entry)
        else:
            _count(data, status if status in COUNTED else "failed")


def _status(seen: RunView) -> str:
    """How a backup ended; one that did not even get so far as to say so has failed."""
    return str(dict(seen.data.get("ended") or {}).get("status", "failed"))


def _not_made(world: World, data: Data, entry: Entry) -> None:
    """The run was not made since another one is backing up the VM."""
    other = services(world).runs.active_on(back_up.NAME, f"vm:{entry.candidate.vm}")
    why = f"run {other.id} is backing it up already" if other else "another run was backing it up"
    _miss(world, data, [entry], "skipped", why)


def _not_paused(world: World, data: Data, waiting: list[Entry]) -> list[Entry]:
    """Those who wait, without those whose policy was paused or removed meanwhile."""
    paused = services(world).catalogue.paused()
    for name in {one.candidate.policy for one in waiting}:
        absent = "" if name in world.policy.backups.policies else "not there any more"
        if why := paused.get(name) or absent:
            _miss(world, data, [one for one in waiting if one.candidate.policy == name], "missed", f"policy {name} is {why}")
            data["list"] = waiting_list.without(data["list"], [one for one in waiting if one.candidate.policy == name])
            waiting = [one for one in waiting if one.candidate.policy != name]
    return waiting


def _miss(world: World, data: Data, entries: Sequence[Entry], status: str, why: str) -> None:
    """*why* may name the {minutes} that the backup would take, the {policy} and the {vm}."""
    _count(data, status, len(entries))
    _record(world, [_line(world, data, entry, status, _filled(why, entry)) for entry in entries])


def _count(data: Data, status: str, many: int = 1) -> None:
    data[status] = data.get(status, 0) + many


def _filled(why: str, entry: Entry) -> str:
    minutes = str(math.ceil(entry.candidate.takes / timedelta(minutes=1)))
    return why.replace("{minutes}", minutes).replace("{policy}", entry.candidate.policy).replace("{vm}", entry.uuid)


def _say_late(world: World, data: Data) -> None:
    """Once, of each that is at work after the end: its own run writes the line anew when it is over."""
    late = {run_id: noted for run_id, noted in data["at_work"].items() if not noted.get("late")}
    for noted in late.values():
        noted["late"] = True
    said = [(UUID(run_id), waiting_list.one(noted["entry"], data["list"])) for run_id, noted in late.items()]
    _record(world, [replace(_line(world, data, entry, "late", LATE), id=run_id, ended_at=None) for run_id, entry in said])


def _line(world: World, data: Data, entry: Entry, status: str, why: str) -> Saved:
    """A line of the catalogue for what no run of its own has written, or has not yet."""
    one = entry.candidate
    plan = world.policy.backups.policies.get(one.policy)
    return Saved(
        id=uuid5(world.run_id, f"{one.policy} {one.vm} {entry.tries} not begun"), pool=world.pool.name, vm=one.vm, vm_name=one.name,
        policy=one.policy, product=plan.product if plan else "", window=data["window"] if data["closes"] else "",
        opened_at=datetime.fromisoformat(data["opens"]), status=status, reason=why, began_at=world.now, ended_at=world.now,
    )  # fmt: skip


def _record(world: World, lines: Sequence[Saved]) -> None:
    """A run that has written its own line meanwhile knows better."""
    if lines:
        services(world).catalogue.record_new(lines)


def leave_off(world: World, data: Data) -> Outcome:
    """Nobody else is begun; those who are at work go on by themselves."""
    _miss(world, data, waiting_list.read(data["list"]), "missed", "the window's run was cancelled")
    data["list"] = waiting_list.emptied(data["list"])
    return Done(_in_words(data))


def close_window(world: World, data: Data) -> Outcome:
    """Tell the hooks and the observers what came of it."""
    result = _result(data)
    amiss = [verdict for verdict in _ask(world, data, "after_window", opening_of(world, data), result) if not verdict.well]
    world.announce(WindowChanged(opening_of(world, data), result, world.now))
    return Done("; ".join([_in_words(data), *map(_said, amiss)]))


def opening_of(world: World, data: Data) -> WindowOpening:
    """The opening, as hooks and backups are shown it."""
    return WindowOpening(world.run_id, data["window"], world.pool.name, datetime.fromisoformat(data["opens"]), _closes(data))


def _ask(world: World, data: Data, hook: str, *values: object) -> tuple[Verdict, ...]:
    asks = data.get("asks", ())
    names = choosing.hooks_of(world.policy.backups, asks)
    plans = [world.policy.backups.policies[name] for name in asks if name in world.policy.backups.policies]
    timeout = max((plan.timeouts.hook for plan in plans), default=HOOK_PATIENCE)
    verdicts = services(world).plugins.act(hook, names, *values, timeout=timeout) if names else ()
    if verdicts:
        data.setdefault("verdicts", {})[hook] = [verdict.as_data() for verdict in verdicts]
    return verdicts


def _said(verdict: Verdict) -> str:
    return f"{verdict.plugin} {IN_WORDS[verdict.end]}" + (f": {verdict.reason}" if verdict.reason else "")


def _closes(data: Data) -> datetime | None:
    return datetime.fromisoformat(data["closes"]) if data["closes"] else None


def _is_closed(world: World, data: Data) -> bool:
    closes = _closes(data)
    return closes is not None and world.now >= closes


def _until(data: Data) -> str:
    return f" until {data['closes'][:16]} UTC" if data["closes"] else ""


def _result(data: Data) -> WindowEnded:
    return WindowEnded(**{name: data.get(name, 0) for name in COUNTED})


def _in_words(data: Data) -> str:
    return str(_result(data))


KEEP_WINDOW = Workflow(
    NAME,
    "Save the VMs of a window's policies: what fits before its end, within its limits",
    (
        Step(open_window, undo=close_window, timeout=timedelta(hours=24)),
        Step(choose_vms),
        Step(save_vms, undo=leave_off, timeout=None),
        Step(close_window),
    ),
)
