"""The judge: compares a simulated pool with what it was, over XenAPI and the hidden truth, and says what of ours was left behind.

before = checker.look(url, user, password, state)
...
assert checker.complaints(before, checker.look(...)) == []
"""

import itertools
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlmodel import col, select

from state import holds, promises
from state.run import Run
from state.store import Session, Store

Records = dict[str, dict[str, Any]]
CLASSES = ("VM", "VIF", "VDI", "host", "network", "PIF", "network_sriov", "pool")
OURS = "vfo"
PARKING = "vfo:parking"

# What a VIF, a VM or a host may say anew each time it is started without being another one.
MOVES = {
    "VIF": {
        "currently_attached", "current_operations", "allowed_operations", "status_code", "status_detail", "runtime_properties", "metrics",
        "reserved_pci",
    },
    "VM": {"other_config", "blocked_operations", "tags"},
}  # fmt: skip
KEPT_OF_A_VM = (
    "name_label",
    "power_state",
    "is_a_template",
    "ha_restart_priority",
    "affinity",
    "VIFs",
    "VBDs",
    "VUSBs",
    "snapshots",
    "tags",
)


@dataclass(frozen=True)
class Seen:
    """All that was seen of a pool at one moment: records by class and ref, and the hidden truth."""

    records: dict[str, Records]
    truth: dict[str, Any]

    def name(self, vm: str) -> str:
        """What a person calls the VM."""
        return str(self.records["VM"].get(vm, {}).get("name_label", vm))

    def vms(self) -> Records:
        """Real VMs by ref."""
        every = self.records["VM"]
        return {ref: row for ref, row in every.items() if not (row["is_a_template"] or row["is_a_snapshot"] or row["is_control_domain"])}

    def parking(self) -> set[str]:
        """The networks that are ours."""
        return {ref for ref, row in self.records["network"].items() if PARKING in row["other_config"]}


class _Elsewhere(Exception):
    """The coordinator is the host at this address by now."""


def look(url: str, user: str, password: str, state: Callable[[], dict[str, Any]]) -> Seen:
    """Look at the pool; *state* gives the hidden truth (`SimulatedPool.state`, or GET /state of the control port)."""
    numbers = itertools.count(1)

    def call(method: str, *params: Any) -> Any:
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": params})
        request = urllib.request.Request(f"{at}/jsonrpc", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = orjson.loads(answer.read())
        if said.get("error", {}).get("message") == "HOST_IS_SLAVE":
            raise _Elsewhere(said["error"]["data"][0])
        assert "error" not in said, (method, said["error"])
        return said["result"]

    at = url
    try:
        session = call("session.login_with_password", user, password, "1.0", "the judge")
    except _Elsewhere as coordinator:
        at = url.replace(str(urlsplit(url).hostname), str(coordinator))
        session = call("session.login_with_password", user, password, "1.0", "the judge")
    try:
        return Seen({cls: call(f"{cls}.get_all_records", session) for cls in CLASSES}, state())
    finally:
        call("session.logout", session)


def complaints(before: Seen, after: Seen, *, changed_vifs: Collection[str] = (), kept_snapshots: Collection[str] = ()) -> list[str]:
    """What is not as it was, and what of ours is left over; empty when everything is well.

    *changed_vifs*: uuids of VIFs that were to be made, changed or taken away. *kept_snapshots*: those of our snapshots that are to stay.
    """
    found = [*_vms(before, after), *_vifs(before, after, set(changed_vifs)), *_vfs(before, after, set(changed_vifs))]
    return [
        *found,
        *left_over(after, kept_snapshots=kept_snapshots),
        *_snapshots(before, after, set(kept_snapshots)),
        *_hosts(before, after),
    ]


def left_over(after: Seen, *, kept_snapshots: Collection[str] = ()) -> list[str]:
    """What of ours is in the pool, the parking network itself left out."""
    return list(_traces(after, set(kept_snapshots)))


def all_runs(session: Session) -> list[Run]:
    """Newest first."""
    return list(session.exec(select(Run).order_by(col(Run.created_at).desc())))


def rows_left_over(store: Store) -> list[str]:
    """Runs that have not ended, and what ended ones still hold or have promised; stuck runs keep theirs and are named."""
    with store.read() as session:
        every = {run.id: run for run in all_runs(session)}
        pools = {run.pool for run in every.values()}
        said = [
            f"{run.workflow} of {run.title} is {run.status}: {run.reason}" for run in every.values() if run.due_at or run.status == "stuck"
        ]
        for pool in pools:
            said += [f"{thing} is held by {every[run_id].title}" for thing, run_id in holds.of_pool(session, pool).items()]
            said += [f"{row.count} VFs of {row.port} are promised to {row.vm}" for row in promises.of_pool(session, pool)]
    return said


def _vms(before: Seen, after: Seen) -> Iterator[str]:
    for ref, was in before.vms().items():
        now = after.records["VM"].get(ref)
        if now is None:
            yield f"VM {was['name_label']} is gone"
            continue
        yield from (
            f"VM {was['name_label']}: {field} was {was[field]!r}, is {now[field]!r}"
            for field in KEPT_OF_A_VM
            if field not in ("VIFs", "snapshots") and _plain(was[field]) != _plain(now[field])
        )
        if _not_ours(was["other_config"]) != _not_ours(now["other_config"]):
            yield f"VM {was['name_label']}: other_config was {was['other_config']!r}, is {now['other_config']!r}"
        if now["current_operations"]:
            yield f"VM {was['name_label']}: {now['current_operations']} in progress"
    for ref in after.vms().keys() - before.records["VM"].keys():
        yield f"VM {after.name(ref)} is new"


def _vifs(before: Seen, after: Seen, changed: set[str]) -> Iterator[str]:
    """Field by field, for the VIFs of real VMs."""
    real = before.vms().keys()
    for ref, was in before.records["VIF"].items():
        if was["VM"] not in real or was["uuid"] in changed:
            continue
        now = after.records["VIF"].get(ref)
        whose = f"VIF {was['device']} of VM {before.name(was['VM'])}"
        if now is None:
            yield f"{whose} is gone"
            continue
        for field in was.keys() - MOVES["VIF"]:
            if was[field] != now[field]:
                yield f"{whose}: {field} was {was[field]!r}, is {now[field]!r}"
        if was["currently_attached"] != now["currently_attached"]:
            yield f"{whose}: currently_attached was {was['currently_attached']}, is {now['currently_attached']}"
    for row in after.records["VIF"].values():
        if (
            row["VM"] in real
            and row["uuid"] not in changed
            and not any(row["uuid"] == was["uuid"] for was in before.records["VIF"].values())
        ):
            yield f"VIF {row['device']} of VM {after.name(row['VM'])} is new"


def _vfs(before: Seen, after: Seen, changed: set[str]) -> Iterator[str]:
    """Who had VFs has as many, but for VMs whose VIFs were to be others, and none is reserved that nobody will use."""
    others = {row["VM"] for seen in (before, after) for row in seen.records["VIF"].values() if row["uuid"] in changed}
    for ref, was in before.truth["vms"].items():
        now = after.truth["vms"].get(ref)
        if ref not in others and now is not None and len(was["vfs"]) != len(now["vfs"]):
            yield f"VM {was['name']} held {len(was['vfs'])} VFs, holds {len(now['vfs'])}"
    for port in after.truth["ports"]:
        name = f"{port['host']}/{port['device']}"
        known = next((one for one in before.truth["ports"] if (one["host"], one["device"]) == (port["host"], port["device"])), port)
        if port["leaked"] > known["leaked"]:
            yield f"{name}: {port['leaked'] - known['leaked']} VFs are leaked"
        yield from (
            f"{name}: {vf['pci_id']} is reserved for {vf['reserved']}" for vf in port["vfs"] if vf["reserved"] not in (None, "nobody")
        )


def _traces(after: Seen, kept: set[str]) -> Iterator[str]:
    for cls in ("VM", "VIF", "host", "network", "pool", "PIF"):
        for row in after.records[cls].values():
            if cls == "VM" and row["uuid"] in kept:
                continue
            named = f"{cls} {row.get('name_label') or row['uuid']}"
            yield from (f"{named}: other_config has {key!r}" for key in row.get("other_config", {}) if _ours(key) and key != PARKING)
            yield from (f"{named}: tag {tag!r}" for tag in row.get("tags", ()) if _ours(tag))
            yield from (f"{named}: {what} blocked: {why}" for what, why in row.get("blocked_operations", {}).items() if _ours(why))
    spared = {ref for ref, row in after.records["VM"].items() if row["uuid"] in kept}
    for row in after.records["VIF"].values():
        if row["network"] in after.parking() and row["VM"] not in spared:
            yield f"VIF {row['device']} of VM {after.name(row['VM'])} is on the parking network"
    if len(after.parking()) > 1:
        yield f"{len(after.parking())} parking networks"


def _snapshots(before: Seen, after: Seen, kept: set[str]) -> Iterator[str]:
    """No snapshot more, none fewer, and no disk that nobody has."""
    was, now = ({row["uuid"] for row in seen.records["VM"].values() if row["is_a_snapshot"]} for seen in (before, after))
    yield from (f"snapshot {uuid} is left" for uuid in now - was - kept)
    yield from (f"snapshot {uuid} is gone" for uuid in (was - now) | (kept - now))
    if kept:
        return
    disks, left = ({row["uuid"] for row in seen.records["VDI"].values()} for seen in (before, after))
    yield from (f"disk {uuid} is left" for uuid in left - disks)
    yield from (f"disk {uuid} is gone" for uuid in disks - left)


def _hosts(before: Seen, after: Seen) -> Iterator[str]:
    for ref, was in before.records["host"].items():
        now = after.records["host"].get(ref)
        if now is None or was["enabled"] != now["enabled"]:
            yield f"host {was['name_label']}: enabled was {was['enabled']}, is {now and now['enabled']}"


def _ours(text: str) -> bool:
    return text == OURS or text.startswith(f"{OURS}:")


def _not_ours(config: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in config.items() if not _ours(key)}


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value
