"""Observers that tell people: apprise and healthchecks, against a real server; what they know of secrets they keep."""

import builtins
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plugins import implementations, settings
from plugins.apprise_notify import Apprise, AppriseSettings
from plugins.contract_hooks import WINDOW
from plugins.errors import PluginError
from plugins.healthchecks import Healthchecks, HealthchecksSettings
from plugins.kit import Kit
from plugins.testing import NOON, vm
from plugins.values import BackupEnded, Ended, HostChanged, RunEnded, VFFreed, VFLeaked, WindowChanged, WindowEnded
from tests.plugins.vendor_server import Answer, Got, Vendor, serving

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, on Python 3.11 and 3.12

WELL, BADLY, LATE = WindowEnded(3, 0, 0), WindowEnded(2, 1, 0), WindowEnded(2, 0, 1)
SKIPPED, REFUSED = WindowEnded(2, 0, 0, skipped=1), WindowEnded(2, 0, 0, refused=1)


@pytest.fixture
def server() -> Iterator[Vendor]:
    """A server that says yes to everything."""
    made = Vendor()

    def yes(got: Got) -> Answer:
        made.got.append(got)
        return made.answers.pop(0) if made.answers else Answer()

    made.answer = yes  # type: ignore[method-assign]
    with ExitStack() as stack:
        yield stack.enter_context(serving(made))


def backup(status: str, policy: str = "gold") -> BackupEnded:
    return BackupEnded(replace(vm(), policy=policy, window=WINDOW.name, pool=WINDOW.pool), Ended(status, "no room"), NOON)


# -- healthchecks ----------------------------------------------------------------------------------------------


@pytest.fixture
def checks(server: Vendor, plugin_kit: Kit, tmp_path: Path) -> Callable[..., Healthchecks]:
    def made(**table: Any) -> Healthchecks:
        written = {"url": f"{server.url}/t0ken/{{name}}", **table}
        one = Healthchecks(settings.read(HealthchecksSettings, written, tmp_path), plugin_kit)
        one._server = replace(one._server, pauses=(0.01,))
        return one

    return made


def pinged(server: Vendor) -> list[str]:
    return [got.path.removeprefix("/vfo/t0ken/") for got in server.got]


@pytest.mark.parametrize(("ended", "ping"), [(WELL, ""), (BADLY, "/fail"), (LATE, "/fail"), (SKIPPED, ""), (REFUSED, "/fail")])
def test_a_window_is_pinged_for(checks: Callable[..., Healthchecks], server: Vendor, ended: WindowEnded, ping: str) -> None:
    """Its start, and its end: well when nobody failed, was refused or was missed; one that is skipped is no reason for an alarm."""
    one = checks()
    one.window_changed(WindowChanged(WINDOW, None, NOON))
    one.window_changed(WindowChanged(WINDOW, ended, NOON))
    assert pinged(server) == ["window-vfo-check/start", f"window-vfo-check{ping}"]
    assert server.got[-1].body.decode() == f"pool {WINDOW.pool}: {ended}"


def test_a_policy_is_pinged_for(checks: Callable[..., Healthchecks], server: Vendor) -> None:
    """A failure at once; well at the end, for those none of whose VMs failed, after a restart too."""
    table: dict[str, Any] = {"windows": [], "policies": ["gold", "s*"]}
    one = checks(**table)
    for status, policy in (("saved", "gold"), ("failed", "silver"), ("skipped", "steel"), ("failed", "wood")):
        one.backup_ended(backup(status, policy))
    assert pinged(server) == ["policy-silver/fail"]
    checks(**table).window_changed(WindowChanged(WINDOW, BADLY, NOON))
    assert pinged(server)[1:] == ["policy-gold", "policy-steel"]
    checks(**table).window_changed(WindowChanged(WINDOW, WELL, NOON))
    assert len(server.got) == 3, "the next window begins with nothing"


def test_other_windows_are_not_pinged_for(checks: Callable[..., Healthchecks], server: Vendor) -> None:
    """Only those of the table."""
    checks(windows=["weekly*"]).window_changed(WindowChanged(WINDOW, WELL, NOON))
    assert server.got == []


def test_a_ping_that_fails_is_tried_a_little_and_told_without_its_url(checks: Callable[..., Healthchecks], server: Vendor) -> None:
    """The URL is the only secret that there is."""
    server.answers = [Answer(502)]
    checks().window_changed(WindowChanged(WINDOW, None, NOON))
    assert len(server.got) == 2
    server.answers = [Answer(404)] * 3
    with pytest.raises(RuntimeError, match="could not be pinged") as told:
        checks().window_changed(WindowChanged(WINDOW, None, NOON))
    assert "t0ken" not in str(told.value)


# -- apprise ---------------------------------------------------------------------------------------------------


@pytest.fixture
def people(server: Vendor, plugin_kit: Kit, tmp_path: Path) -> Callable[..., Apprise]:
    pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')

    def made(**table: Any) -> Apprise:
        written = {"urls": server.url.replace("http://", "json://") + "/t0ken", **table}
        return Apprise(settings.read(AppriseSettings, written, tmp_path), plugin_kit)

    return made


def test_people_are_told_what_went_wrong(people: Callable[..., Apprise], server: Vendor) -> None:
    """Leaks, stuck runs, what was not saved, and how a window ended; what went well is not worth a message."""
    one, run = people(), vm().run_id
    one.vf_leaked(VFLeaked(run, "p", "host/eth1", 2, {}, NOON))
    for end in ("done", "stuck"):
        one.run_ended(RunEnded(run, "p", "assign-vf", "VM web", end, "no", NOON))
    for status in ("saved", "failed"):
        one.backup_ended(backup(status))
    for ended in (None, BADLY):
        one.window_changed(WindowChanged(WINDOW, ended, NOON))
    said = [(got.said["title"], got.said["type"]) for got in server.got]
    assert said[0] == ("vfo: 2 VFs are leaked", "failure")
    assert said[1] == ("vfo: assign-vf of VM web is stuck", "failure")
    assert (said[2][0].endswith(": failed"), said[2][1]) == (True, "warning")
    assert said[3:] == [("vfo: window vfo-check is over", "warning")]
    assert "2 saved, 1 failed, 0 missed" in server.got[-1].said["message"]


def test_a_window_in_which_somebody_was_skipped_is_no_warning(people: Callable[..., Apprise], server: Vendor) -> None:
    """One in which a hook refused somebody is."""
    for ended in (SKIPPED, REFUSED):
        people().window_changed(WindowChanged(WINDOW, ended, NOON))
    assert [(got.said["type"], got.said["message"].partition(": ")[2].partition(" (")[0]) for got in server.got] == [
        ("info", "2 saved, 1 skipped, 0 failed, 0 missed"),
        ("warning", "2 saved, 1 refused, 0 failed, 0 missed"),
    ]


def test_people_may_be_told_everything(people: Callable[..., Apprise], server: Vendor) -> None:
    """Every observing hook is one that it has."""
    one, run = people(all=True, which=list(implementations.OBSERVING)), vm().run_id
    one.vf_freed(VFFreed(run, "p", "v", "web", "host/eth1", 3, 8, NOON))
    one.host_changed(HostChanged("p", "h", "host-1", live=False, enabled=True, at=NOON))
    one.run_ended(RunEnded(run, "p", "assign-vf", "VM web", "done", "", NOON))
    one.window_changed(WindowChanged(WINDOW, None, NOON))
    assert [got.said["type"] for got in server.got] == ["info", "warning", "info", "info"]
    assert set(implementations.of(one)) == set(implementations.OBSERVING)
    assert set(implementations.of(people(which=["vf_leaked"]))) == {"vf_leaked"}


def test_a_message_that_is_not_taken_is_told_without_its_url(
    people: Callable[..., Apprise], server: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the error nor in anybody's log."""
    server.answers = [Answer(500)] * 3
    with caplog.at_level(logging.DEBUG), pytest.raises(RuntimeError, match="apprise could not tell everybody") as told:
        people().vf_leaked(VFLeaked(vm().run_id, "p", "host/eth1", 2, {}, NOON))
    assert "t0ken" not in str(told.value) + caplog.text


@pytest.mark.parametrize("urls", ["", "nonsense://t0ken"])
def test_a_url_that_apprise_does_not_know_is_told_by_its_number(people: Callable[..., Apprise], urls: str) -> None:
    """Not by itself."""
    with pytest.raises(PluginError, match=r"urls: (number 1 is none|give at least one)") as told:
        people(urls=urls)
    assert "t0ken" not in str(told.value)


def test_without_apprise_it_says_what_to_install(plugin_kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra, by name; nothing else is hurt."""
    real = builtins.__import__

    def without(name: str, *args: Any, **named: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return real(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PluginError, match=r'pip install "vf-orchestrator\[notify\]"'):
        Apprise(settings.read(AppriseSettings, {"urls": "json://127.0.0.1/"}, tmp_path), plugin_kit)
