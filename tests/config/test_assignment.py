from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator import bootstrap
from orchestrator.config.errors import ConfigError
from tests.config.test_load import POOL, loaded
from workflows.policy import AssignmentPolicy
from workflows.tagged import Rule


def test_without_a_word_nothing_is_forced(tmp_path: Path) -> None:
    """No room is a refusal, halted VMs count, no rule gives anything to anybody."""
    config = loaded(tmp_path, POOL)
    assert bootstrap.policy(config).assignment == AssignmentPolicy("refuse", count_halted=True, shutdown=timedelta(minutes=5))
    assert config.settings.assign == ()


def test_rules_are_read_as_they_are_followed(tmp_path: Path) -> None:
    """In the order of the file; a VM that runs is left to its owner unless the rule says otherwise."""
    text = """
[assignment]
full = "wait"
qos_kbps = 8192
[maintenance.night]
schedule = "0 2 * * *"
duration = "1h"
[[assign]]
tag = "fast"
network = "SR-IOV"
[[assign]]
tag = "faster"
network = "SR-IOV"
vlan_network = "vlan 7"
pool = "lab"
when = "now"
force_shutdown = true
grace = "1m"
[[assign]]
tag = "slow"
network = "SR-IOV"
when = "window:night"
qos_kbps = 1024
"""
    config = loaded(tmp_path, POOL + text)
    assert bootstrap.policy(config).assignment == AssignmentPolicy("wait", qos_kbps=8192)
    assert [rule.rule() for rule in config.settings.assign] == [
        Rule("fast", "SR-IOV", "", None, "next-halt", force=False, grace=timedelta(seconds=15)),
        Rule("faster", "SR-IOV", "vlan 7", "lab", "now", force=True, grace=timedelta(minutes=1)),
        Rule("slow", "SR-IOV", "", None, "window:night", force=False, grace=timedelta(seconds=15), qos_kbps=1024),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[assignment]\nfull = "maybe"', "assignment.full = 'maybe': Input should be 'refuse' or 'wait'"),
        ('[[assign]]\ntag = "fast"', "assign.0.network: it is needed"),
        ('[[assign]]\ntag = ""\nnetwork = "n"', "assign.0.tag"),
        ('[[assign]]\ntag = "t"\nnetwork = "n"\npool = "attic"', "assign, table 1: pool = 'attic': there is no pool of that name"),
        ('[[assign]]\ntag = "t"\nnetwork = "n"\nwhen = "window"', "there is no table [maintenance.NAME]"),
        ('[[assign]]\ntag = "t"\nnetwork = "n"\nwhen = "soon"', 'when = "soon": write now, next-halt, window or window:NAME'),
        (
            '[maintenance.night]\nschedule = "0 2 * * *"\nduration = "1h"\n[[assign]]\ntag = "t"\nnetwork = "n"\nwhen = "window:nights"',
            'assign, table 1: when = "window:nights": there is no table [maintenance.nights]: there is night',
        ),
        ("[assignment]\nqos_kbps = -1", "assignment.qos_kbps"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_told(tmp_path: Path, text: str, says: str) -> None:
    """Where it stands, what was written, what to do."""
    with pytest.raises(ConfigError) as told:
        loaded(tmp_path, POOL + text)
    assert says in "\n".join(told.value.lines)
