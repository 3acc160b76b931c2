"""Backups as people meet them: by command, with the daemon in a process of its own, and without it."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.journey import kills, scenes
from tests.journey.lab import Lab, wait_until
from tests.services import typist
from tests.workflows import checker


def typed(lab: Lab, *words: str) -> tuple[int, str]:
    """Type a command in the lab's folder: its exit code and what it said."""
    done = typist.run(words, lab.folder, timeout=100)
    return done.returncode, done.stdout + done.stderr


def names(lab: Lab) -> list[str]:
    return sorted(lab.client.running_with_a_vf().values())


def traces(lab: Lab) -> list[str]:
    return checker.left_over(kills.look(lab))


def test_a_vm_is_prepared_by_command_and_released(lab: Callable[..., Lab]) -> None:
    """`--wait` ends when the snapshot is there and the VM runs again; the release takes everything away."""
    here = lab("--hosts", "1", "--vms", "4")
    before = kills.look(here)
    daemon = here.serve()
    code, said = typed(here, "backup", "prepare", *names(here), "--wait")
    assert (code, "prepared: snapshot" in said) == (0, True), said
    assert len(names(here)) == 2
    assert len([row for row in kills.look(here).records["VM"].values() if row["is_a_snapshot"]]) == 2
    code, said = typed(here, "backup", "release", *names(here), "--wait")
    assert (code, "released by" in said) == (0, True), said
    daemon.stop()
    assert checker.complaints(before, kills.look(here)) == []
    assert checker.rows_left_over(here.store) == []


def test_recover_brings_everything_home_without_daemon_and_database(lab: Callable[..., Lab]) -> None:
    """Killed in the middle of its backups, and the database is gone: the notes in the pool are enough (stories 1 and 2)."""
    here = lab("--hosts", "1", "--vms", "6", "--speed", "0.05")
    before = kills.look(here)
    daemon, running = here.serve(), names(here)
    assert typed(here, "backup", "prepare", *running)[0] == 0

    def one_is_away() -> bool:
        return any("on the parking network" in trace for trace in traces(here))

    wait_until(one_is_away, 30, "a VIF is parked")
    daemon.kill()
    here.store.close()
    for file in here.folder.glob("vfo.sqlite3*"):
        file.unlink()
    with scenes.hands(here) as at:
        halted = next(vm for vm in at.vms("Halted") if vm.name not in running)
        scenes.lose(at, halted, uuid4())
    code, said = typed(here, "recover", "--dry-run", "--json")
    planned: list[dict[str, Any]] = json.loads(said)
    assert (code, len(planned) >= 1, {row["run"] for row in planned}) == (0, True, {None})
    (plan,) = [row["plan"] for row in planned if row["title"] == f"VM {halted.name}"]
    calls = ["VIF.move", *["VM.remove_from_blocked_operations"] * 2, "VM.update_allowed_operations", "VM.remove_from_other_config"]
    assert (plan["title"], plan["calls"], plan["refusals"]) == (f"put-right of VM {halted.name}", calls, [])
    for words in (("recover", "--dry-run"), ("reclaim", "--unknown", "--dry-run")):
        code, said = typed(here, *words)
        assert (code, f"put-right of VM {halted.name}" in said, "Nothing was changed." in said) == (0, True, True), said
        assert "from vfo parking to SR-IOV" in said
    code, said = typed(here, "recover")
    assert code == 0, said
    after = kills.look(here)
    assert [
        line for line in checker.complaints(before, after) if "snapshot" not in line and "disk" not in line and "vfo backup of" not in line
    ] == []


def test_recover_takes_up_what_a_crash_left(lab: Callable[..., Lab]) -> None:
    """With the database, the runs themselves go on; the daemon need not be there."""
    here = lab("--hosts", "1", "--vms", "6", "--speed", "0.05")
    before = kills.look(here)
    daemon = here.serve()
    assert typed(here, "backup", "prepare", *names(here), "--hold", "2s")[0] == 0
    wait_until(lambda: any("on the parking network" in trace for trace in traces(here)), 30, "a VIF is parked")
    daemon.kill()
    code, said = typed(here, "recover")
    assert code == 0, said
    code, said = typed(here, "recover")
    assert code == 0, said
    assert checker.complaints(before, kills.look(here)) == []
    assert checker.rows_left_over(here.store) == []


def test_a_vm_reverted_to_our_snapshot_is_put_right_by_itself(lab: Callable[..., Lab]) -> None:
    """Somebody reverts it by another tool: its VIF is parked then, and the daemon puts it back, without a command (story 13)."""
    here = lab("--hosts", "1", "--vms", "4")
    daemon = here.serve()
    name = names(here)[0]
    assert typed(here, "backup", "prepare", name, "--wait")[0] == 0
    vm = next(vm for vm in kills.vms(here) if vm.name == name)
    (snapshot,) = here.client.call("VM.get_snapshots", here.client.call("VM.get_by_uuid", vm.uuid))
    here.client.call("VM.revert", snapshot)

    def is_back() -> bool:
        now = next(one for one in kills.vms(here) if one.uuid == vm.uuid)
        return now.power_state == "Halted" and [vif.network for vif in now.vifs] == [vif.network for vif in vm.vifs]

    wait_until(is_back, 30, "its VIF is where it belongs")
    wait_until(lambda: any(run.workflow == "put-right" and run.status == "done" for run in here.runs()), 30, "the run is done")
    daemon.stop()
