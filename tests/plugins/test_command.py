"""Plugin command: what a command is told, what it may say, and that nothing of it is left behind."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins import implementations, settings, testing
from plugins.command import Command, CommandSettings
from plugins.contract_hooks import WINDOW
from plugins.errors import GiveUp, Refuse, RetryLater, Skip
from plugins.kit import Kit
from plugins.testing import MemoryJobs, Sample
from plugins.values import BackupVM, Ended, WindowEnded
from tests.engine.waiting import until

CLI = str(Path(__file__).with_name("vendor_cli.py"))
Make = Callable[..., Command]


@pytest.fixture
def make(plugin_kit: Kit, tmp_path: Path) -> Make:
    """The plugin with a table in which a text is the command `sh -c TEXT`."""

    def made(**table: Any) -> Command:
        written = {
            key: ["sh", "-c", value] if isinstance(value, str) and key not in ("timeout", "needs") else value
            for key, value in table.items()
        }
        return Command(settings.read(CommandSettings, written, tmp_path), plugin_kit)

    return made


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except FileNotFoundError:
        return True


# -- acting ----------------------------------------------------------------------------------------------------


def test_a_command_is_told_everything_and_inherits_nothing(
    make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH, HOME, LANG, what the table gives, and what this page says: no secret of the daemon's."""
    monkeypatch.setenv("BORG_PASSPHRASE", "correct horse")
    monkeypatch.setenv("VENDOR_TOKEN", "t0ken")
    monkeypatch.setenv("LANG", "C.UTF-8")
    hook = make(before_job="env -0 > said; cat > given", environment={"VENDOR": "x"}, pass_on=["VENDOR_TOKEN"])
    hook.before_job(backup_vm, backup_sample.snapshot)
    lines = (plugin_kit.folder / "said").read_text().split("\0")
    said = dict(line.split("=", 1) for line in lines if line)
    disks = json.loads(said.pop("VFO_DISKS"))
    assert [disk["uuid"] for disk in disks] == [disk.uuid for disk in backup_sample.snapshot.disks]
    for name in ("PATH", "HOME", "LANG", "PWD", "SHLVL", "_", "OLDPWD"):
        said.pop(name, None)
    assert said == {
        "VENDOR": "x", "VENDOR_TOKEN": "t0ken", "VFO_HOOK": "before_job", "VFO_NAME": "test", "VFO_RUN_ID": str(backup_vm.run_id),
        "VFO_POOL": "vfo-check", "VFO_VM": backup_vm.vm, "VFO_VM_NAME": backup_vm.name, "VFO_POLICY": "vfo-check",
        "VFO_PRODUCT": "product", "VFO_WINDOW": "", "VFO_POWER_STATE": "Running", "VFO_TAGS": '["tag"]',
        "VFO_SNAPSHOT": backup_sample.snapshot.uuid, "VFO_SNAPSHOT_NAME": "a snapshot", "VFO_TAKEN_AT": "2026-11-22T12:00:00+00:00",
    }  # fmt: skip
    given = json.loads((plugin_kit.folder / "given").read_text())
    assert (given["hook"], given["vm"]["name"], given["snapshot"]["blueprint"]) == (
        "before_job",
        backup_vm.name,
        backup_sample.snapshot.blueprint,
    )


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        ("exit 75", RetryLater, "exit code 75"),
        ("echo loading; echo the database is loaded; exit 75", RetryLater, "^the database is loaded$"),
        ("echo nothing new; exit 76", Skip, "^nothing new$"),
        ("echo not on Sundays >&2; exit 77", Refuse, "^not on Sundays$"),
        ("echo broken; exit 3", GiveUp, r"^sh failed \(exit code 3\): broken$"),
        ("kill -9 $$", GiveUp, "signal 9"),
    ],
)
def test_the_exit_code_is_the_answer(make: Make, backup_vm: BackupVM, said: str, error: type[Exception], message: str) -> None:
    """75 later, 76 skip, 77 refuse, others failed; the last line says why."""
    with pytest.raises(error, match=message):
        make(before_vm=said).before_vm(backup_vm)


def test_a_command_says_when_it_wants_to_be_asked_again(make: Make, backup_vm: BackupVM) -> None:
    """In a line of its own, which is not the message."""
    with pytest.raises(RetryLater, match=r"^busy$") as told:
        make(before_vm="echo busy; echo vfo later 600; exit 75").before_vm(backup_vm)
    assert told.value.after == timedelta(minutes=10)


def test_every_hook_runs_its_command(make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """All eight of them, before_window, after_window, before_vm, after_vm, and those around snapshot and job."""
    line = 'echo "$VFO_HOOK $VFO_RUN_ID $VFO_STATUS$VFO_SAVED" >> said'
    names = list(implementations.ACTING)
    hook = make(**dict.fromkeys(names, line))
    values = {"window": WINDOW, "vm": backup_vm, "snapshot": backup_sample.snapshot}
    for name in names:
        result = WindowEnded(3, 1, 2) if name == "after_window" else Ended("saved", point="p")
        getattr(hook, name)(*[values.get(value, result) for value in implementations.ACTING[name]])
    said = (plugin_kit.folder / "said").read_text().splitlines()
    ends = {"after_window": " 3", "after_snapshot": " saved", "after_job": " saved", "after_vm": " saved"}
    runs = {name: WINDOW.run_id if name.endswith("window") else backup_vm.run_id for name in names}
    assert said == [f"{name} {runs[name]}{ends.get(name, ' ')}" for name in names]


def test_the_end_of_a_window_is_told_count_by_count(make: Make, plugin_kit: Kit) -> None:
    """Each in a variable of its own."""
    hook = make(after_window='echo "$VFO_SAVED $VFO_SKIPPED $VFO_REFUSED $VFO_FAILED $VFO_MISSED" > said')
    hook.after_window(WINDOW, WindowEnded(5, failed=1, missed=2, skipped=3, refused=4))
    assert (plugin_kit.folder / "said").read_text() == "5 3 4 1 2\n"


def test_it_has_the_hooks_of_its_table_alone(make: Make) -> None:
    """A product without `list` says that it cannot list, and a hook that runs nothing is not called."""
    assert set(implementations.of(make(before_vm="true"))) == {"before_vm"}
    product = set(implementations.of(make(job="true", list="true")))
    assert product == {"start_backup", "poll_backup", "cancel_backup", "needs", "list_backups"}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"before_vm": "freeze --all"}, "no shell reads it"),
        ({"before_vm": []}, "at least 1 item"),
        ({"cancel": ["true"]}, "it runs no command: give job"),
        ({"job": ["true"], "timeout": "soon"}, "write how long"),
        ({"before_vn": ["true"]}, "there is no such setting; there are before_window"),
    ],
)
def test_a_table_that_cannot_be_meant_is_an_error(tmp_path: Path, written: dict[str, Any], says: str) -> None:
    """Before anything is run."""
    with pytest.raises(settings.WrongSettings, match=says):
        settings.read(CommandSettings, written, tmp_path)


def test_a_command_that_is_not_there_is_named(make: Make, backup_vm: BackupVM) -> None:
    """With what to do."""
    with pytest.raises(GiveUp, match=r"/no/such cannot be run: No such file or directory: install it"):
        make(before_vm=["/no/such"]).before_vm(backup_vm)


def test_no_shell_reads_the_words(make: Make, plugin_kit: Kit, backup_vm: BackupVM) -> None:
    """Whatever is in them, and whatever the VM is called."""
    make(before_vm=["touch", "a;b $(x) 'c"]).before_vm(backup_vm)
    assert (plugin_kit.folder / "a;b $(x) 'c").exists()


def test_a_command_that_takes_too_long_is_ended_with_all_that_it_began(make: Make, plugin_kit: Kit, backup_vm: BackupVM) -> None:
    """The whole group, those too that do not listen to SIGTERM."""
    deaf = "(trap '' TERM; sleep 1000) & echo $! > child; sleep 1000"
    with pytest.raises(GiveUp, match=r"did not end within 0\.5 s: it was ended"):
        make(before_vm=deaf, timeout="500ms").before_vm(backup_vm)
    until(lambda: gone(int((plugin_kit.folder / "child").read_text())))


def test_a_child_that_stays_holds_nothing_up(make: Make, plugin_kit: Kit, backup_vm: BackupVM) -> None:
    """A command may begin a daemon that keeps its output open."""
    make(before_vm="sleep 1000 & echo $! > child; echo begun").before_vm(backup_vm)
    child = int((plugin_kit.folder / "child").read_text())
    assert not gone(child)
    os.kill(child, 9)


def test_output_without_end_is_bounded(make: Make, backup_vm: BackupVM) -> None:
    """What is kept is little; control characters are not."""
    with pytest.raises(GiveUp) as told:
        make(
            before_vm="head -c 30000000 /dev/zero | tr '\\0' x; printf '\\n\\033[31mred%s' $(head -c 2000 /dev/zero | tr '\\0' y); exit 1"
        ).before_vm(backup_vm)
    assert len(str(told.value)) < 600
    assert "\033" not in str(told.value)


def test_what_is_passed_on_is_masked(make: Make, backup_vm: BackupVM, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that prints its secret does not bring it into the report."""
    monkeypatch.setenv("VENDOR_TOKEN", "t0ken-of-mine")
    with pytest.raises(GiveUp, match=r"login with \*\*\* failed"):
        make(before_vm="echo login with $VENDOR_TOKEN failed; exit 1", pass_on=["VENDOR_TOKEN"]).before_vm(backup_vm)


def test_a_command_that_reads_nothing_is_no_error(make: Make, backup_vm: BackupVM) -> None:
    """Its input is closed by it before all was written."""
    make(before_vm="exec <&-; true").before_vm(backup_vm)


# -- as a product ----------------------------------------------------------------------------------------------


def begun(product: Command, vm: BackupVM, sample: Sample) -> str:
    return product.start_backup(vm, sample.snapshot, sample.source())


def waited(kit: Kit, job: str) -> Any:
    assert isinstance(kit.jobs, MemoryJobs)
    return kit.jobs.wait(job)


def test_it_keeps_the_contract(check_plugin: Callable[..., None], tmp_path: Path) -> None:
    """As a product, over a command line that keeps what it is told; and around backups."""
    table = {verb: [sys.executable, CLI, verb, str(tmp_path / "vendor")] for verb in ("job", "list", "verify", "forget", "cancel")}
    check_plugin(Command, **table, before_vm=["true"], after_vm=["true"], before_window=["sh", "-c", "exit 76"])


def test_a_job_says_how_far_it_is(make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample, tmp_path: Path) -> None:
    """Its progress, in the end its restore point, and the output for the report (story 66)."""
    product = make(
        job="echo vfo progress 0.25 read=7 stored=3; echo copying; while [ ! -e go ]; do sleep 0.05; done; "
        "echo vfo progress point=p9; echo copied"
    )
    job = begun(product, backup_vm, backup_sample)
    until(lambda: product.poll_backup(job).message == "copying")
    seen = product.poll_backup(job)
    assert (seen.state, seen.fraction, seen.read, seen.stored) == ("running", 0.25, 7, 3)
    (plugin_kit.folder / "go").touch()
    ended = waited(plugin_kit, job)
    assert (ended.state, ended.point, ended.message, ended.details) == ("done", "p9", "copied", {"output": "copying\ncopied"})


@pytest.mark.parametrize(
    ("command", "says"), [("echo disk full; exit 1", "disk full"), ("echo no licence; exit 77", "sh will not: no licence")]
)
def test_a_job_that_fails_says_why(
    make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample, command: str, says: str
) -> None:
    """It does not go on."""
    ended = waited(plugin_kit, begun(make(job=command), backup_vm, backup_sample))
    assert ended.state == "failed"
    assert says in ended.message


def test_a_job_whose_vendor_is_busy_is_tried_again(make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """Exit code 75: later, under the same run."""
    product = make(job="echo vfo later 1; [ -e tried ] && exit 0; touch tried; echo busy; exit 75")
    job = begun(product, backup_vm, backup_sample)
    until(lambda: product.poll_backup(job).message == "not now: busy")
    assert waited(plugin_kit, job).state == "done"


def test_a_cancelled_job_is_ended_here_and_there(make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """Its own command with all that it began, then the vendor is told, once, and knows by the run whose it is."""
    product = make(job="sleep 1000 & echo $! > child; wait", cancel="echo $VFO_RUN_ID >> cancelled; echo $VFO_VM_NAME > name")
    job = begun(product, backup_vm, backup_sample)
    until(lambda: (plugin_kit.folder / "child").exists() and bool((plugin_kit.folder / "child").read_text().strip()))
    assert not product.cancel_backup(job)
    assert waited(plugin_kit, job).state == "failed"
    assert product.cancel_backup(job)
    assert product.cancel_backup(job)
    assert gone(int((plugin_kit.folder / "child").read_text()))
    assert (plugin_kit.folder / "cancelled").read_text() == f"{backup_vm.run_id}\n"
    assert (plugin_kit.folder / "name").read_text() == f"{backup_vm.name}\n"


def test_a_job_is_cancelled_after_a_crash_too(make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """The process that began it is dead: what goes on at the vendor's is told by the next one, and again while it says not now."""
    table = {"job": "sleep 1000", "cancel": "[ -e asked ] || { touch asked; exit 75; }; echo $VFO_RUN_ID >> cancelled"}
    job = begun(make(**table), backup_vm, backup_sample)
    assert isinstance(plugin_kit.jobs, MemoryJobs)
    plugin_kit.jobs.kill()
    product = make(**table)
    with pytest.raises(RetryLater):
        product.cancel_backup(job)
    assert product.cancel_backup(job)
    assert (plugin_kit.folder / "cancelled").read_text() == f"{backup_vm.run_id}\n"


def test_a_job_that_has_ended_is_not_cancelled_at_the_vendor(
    make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample
) -> None:
    """There is nothing to cancel."""
    product = make(job="true", cancel="touch cancelled")
    job = begun(product, backup_vm, backup_sample)
    waited(plugin_kit, job)
    product.poll_backup(job)
    assert product.cancel_backup(job)
    assert not (plugin_kit.folder / "cancelled").exists()


def test_what_a_killed_daemon_left_is_ended_before_it_begins_anew(
    make: Make, plugin_kit: Kit, backup_vm: BackupVM, backup_sample: Sample
) -> None:
    """Two commands of one run must not be at work at once; those of other runs go on."""
    other = testing.vm()
    marks = [f"test:{backup_vm.run_id}", f"test:{other.run_id}"]
    left = [subprocess.Popen(["sleep", "1000"], env={**os.environ, "VFO_JOB": mark}, start_new_session=True) for mark in marks]
    try:
        assert waited(plugin_kit, begun(make(job="true"), backup_vm, backup_sample)).state == "done"
        assert left[0].wait(10) == -15
        assert left[1].poll() is None
    finally:
        left[1].kill()
        left[1].wait()


def test_a_list_that_is_none_is_told_with_its_line(make: Make, backup_vm: BackupVM) -> None:
    """What the command printed is not taken for an empty list."""
    with pytest.raises(GiveUp, match="sh: line 2 of its output: "):
        make(job="true", list="echo; echo nothing here").list_backups()
    with pytest.raises(GiveUp, match="exit code 4"):
        make(job="true", list="exit 4").list_backups()
