import logging
import types
from datetime import UTC, datetime
from uuid import UUID

import pytest

from plugins import hooks, log, manager
from plugins.errors import PluginError
from plugins.values import RunEnded, VFFreed, VFLeaked

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = UUID(int=1)
ENDED = RunEnded(RUN, "lab", "reclaim-vfs", "VM web-1", "done", "proven", NOON)
FREED = VFFreed(RUN, "lab", "vm-1", "web-1", "host1/eth0", 8, 8, NOON)
LEAKED = VFLeaked(RUN, "lab", "host1/eth0", 1, {}, NOON)


def plugin(**functions: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{name: hooks.hookimpl(function) for name, function in functions.items()})  # type: ignore[call-overload]


def test_a_misspelt_hook_is_an_error_at_load() -> None:
    """A hook that does not exist would never be called, so the plugin is refused and the hook is named."""
    with pytest.raises(PluginError, match="vf_fread"):
        manager.load([plugin(vf_fread=lambda freed: None)])


def test_an_observer_that_raises_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """The others are still told, and the failure is logged with the plugin's name."""
    told = []

    def broken(ended: RunEnded) -> None:
        raise RuntimeError("no network")

    def hears(ended: RunEnded) -> None:
        told.append(ended)

    plugins = manager.load([plugin(run_ended=hears), plugin(run_ended=broken)])
    manager.announce(plugins, ENDED)
    assert told == [ENDED]
    assert "failed in run_ended" in caplog.text


def test_an_observer_may_leave_the_value_out() -> None:
    """A hook that takes no argument is called all the same."""
    told = []
    manager.announce(manager.load([plugin(run_ended=lambda: told.append("called"))]), ENDED)
    assert told == ["called"]


@pytest.mark.parametrize("happening", [ENDED, FREED, LEAKED])
def test_every_happening_is_a_line_in_the_log(happening: object, caplog: pytest.LogCaptureFixture) -> None:
    """The shipped observer uses every hook that there is."""
    caplog.set_level(logging.INFO)
    manager.announce(manager.load(), happening)  # type: ignore[arg-type]
    assert len(caplog.records) == 1
    assert "lab" in caplog.text


def test_every_hook_has_a_shipped_plugin_and_a_section_in_the_docs() -> None:
    """A hook enters only with a plugin that uses it and a place where authors read of it."""
    from pathlib import Path

    documentation = (Path(hooks.__file__).parent / "README.md").read_text()
    for name in (name for name in vars(hooks.Observing) if not name.startswith("_")):
        assert hasattr(log, name), name
        assert f"### `{name}`" in documentation, name
