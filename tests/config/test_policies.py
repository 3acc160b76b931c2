"""The tables of windows and policies: what they become, and what is told of mistakes."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from orchestrator import bootstrap
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import load
from workflows.policies import BackupPlan, BackupWindow, Keep, Limits, Selection, Timeouts
from workflows.policy import Policy
from workflows.windows import Window

WHOLE = """
[products.nas]
plugin = "log"

[hooks.freeze]
plugin = "log"

[windows.night]
schedule = "0 22 * * *"
duration = "8h"
timezone = "Europe/Berlin"
blackouts = ["2026-12-24", "2026-12-31..2027-01-01"]
catch_up = "run-once"
limits = { pool = 8, host = "none" }

[policies.web]
vms = { tags = "web", names = ["www-*"], exclude = { names = ["*-test"] } }
product = "nas"
window = "night"
retention = { last = 3, daily = 7 }
hooks = ["freeze"]
on_vf_gone = ["wait"]
timeouts = { job = "2h" }
"""


def read(folder: Path, text: str) -> Policy:
    path = folder / "vfo.toml"
    path.write_text(text)
    return bootstrap.policy(load(path, need_pools=False))


def test_windows_and_policies_become_what_the_steps_are_given(tmp_path: Path) -> None:
    """Each setting arrives, one value counts as a list of one, and what is left out has its default."""
    found = read(tmp_path, WHOLE).backups
    days = frozenset({date(2026, 12, 24), date(2026, 12, 31), date(2027, 1, 1)})
    window = Window("0 22 * * *", timedelta(hours=8), "Europe/Berlin", days)
    assert found.windows == {"night": BackupWindow("night", window, "run-once", Limits(8, None, 2, 1))}
    assert found.policies == {
        "web": BackupPlan(
            "web",
            "nas",
            Selection(tags=frozenset({"web"}), names=("www-*",), exclude_names=("*-test",)),
            window="night",
            keep=Keep(last=3, daily=7),
            on_vf_gone=("wait",),
            hooks=("freeze",),
            timeouts=Timeouts(job=timedelta(hours=2)),
        )
    }


@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ('product = "nas"', 'product = "nsa"', "policies.web.product = 'nsa': there is no table [products.nsa] (there are: nas)"),
        ('window = "night"', 'window = "day"', "policies.web.window = 'day'"),
        ('hooks = ["freeze"]', 'hooks = ["thaw"]', "policies.web.hooks = 'thaw'"),
        ('tags = "web", ', 'pools = ["mars"], ', "policies.web.vms.pools = 'mars'"),
        ('tags = "web", names = ["www-*"], ', "", "say which VMs"),
        ("last = 3, daily = 7", "last = 0", "it would keep nothing"),
        ('window = "night"', 'mode = "failover"', "fallback_network"),
        ('"2026-12-24", ', '"Christmas", ', 'Christmas: write days such as "2026-12-24"'),
        ("2026-12-31..2027-01-01", "2027-01-01..2026-12-31", "the last day comes after the first"),
        ("pool = 8", "pool = -1", "windows.night.limits.pool"),
        ('duration = "8h"', 'duration = "0s"', "it must be longer than nothing"),
        ('"0 22 * * *"', '"RRULE:FREQ=HOURLY"', "comes too often"),
        ("Europe/Berlin", "Europe/Bonn", 'write a time zone such as "Europe/Berlin"'),
        ('catch_up = "run-once"', 'catch_up = "later"', "windows.night.catch_up = 'later'"),
        ("last = 3", "lst = 3", "policies.web.retention.lst"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(tmp_path: Path, wrong: str, right: str, told: str) -> None:
    """Each in one line."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, WHOLE.replace(wrong, right))
    assert any(told in line for line in caught.value.lines), caught.value.lines
