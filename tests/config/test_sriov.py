from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator import bootstrap
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import load
from workflows.wanted import PortChoice
from workflows.windows import Window

POOL = '[pools.lab]\nurl = "https://xen1"\npassword = "x"\n'
NIGHT = '[maintenance.night]\nschedule = "0 22 * * *"\nduration = "8h"\ntimezone = "Europe/Berlin"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "vfo.toml"
    path.write_text(POOL + text)
    return path


def test_what_is_wanted_reaches_the_steps(tmp_path: Path) -> None:
    """Every setting of [sriov.NAME], [maintenance.NAME] and [reboot] is in the policy."""
    text = """
[sriov.fast]
network = "SR-IOV"
vlan = 120
ports = { device = "eth1", pif_tag = "fast" }
hosts = ["host1", "host2"]
reboot = "window"
maintenance = "night"
max_unavailable = 2
drift = "report"

[reboot]
shutdown = "hard"
patience = "5m"
start_first = ["db"]
"""
    policy = bootstrap.policy(load(written(tmp_path, text + NIGHT)))
    wanted = policy.sriov["fast"]
    assert (wanted.network, wanted.vlans, wanted.hosts) == ("SR-IOV", (120,), ("host1", "host2"))
    assert wanted.ports == PortChoice(device="eth1", tag="fast")
    assert (wanted.reboot, wanted.maintenance, wanted.max_unavailable, wanted.mend) == ("window", ("night",), 2, False)
    assert (policy.reboot.shutdown, policy.reboot.patience, policy.reboot.start_first) == ("hard", timedelta(minutes=5), ("db",))
    assert policy.maintenance == {"night": Window("0 22 * * *", timedelta(hours=8), "Europe/Berlin")}


def test_left_out_means_the_careful_thing(tmp_path: Path) -> None:
    """All hosts, reboots by approval, one host away at a time, drift brought back."""
    wanted = bootstrap.policy(load(written(tmp_path, '[sriov.fast]\nnetwork = "n"\nports = { device = "eth1" }\n'))).sriov["fast"]
    assert (wanted.pool, wanted.hosts, wanted.reboot, wanted.max_unavailable, wanted.mend) == (None, None, "approved", 1, True)


FAST = '[sriov.fast]\nnetwork = "n"\nports = { device = "eth1" }\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[sriov.fast]\nnetwork = "n"\nports = {}\n', "say which ports: device, vendor, device_name or pif_tag"),
        (FAST + 'hosts = "host1"\n', 'write "all", or a list of names or uuids of hosts'),
        (FAST + 'reboot = "window"\n', "sriov.fast.maintenance: there is no table [maintenance.NAME] for a window"),
        (FAST + 'maintenance = ["day"]\n' + NIGHT, "there is no table [maintenance.NAME] for 'day'"),
        (FAST + 'pool = "other"\n', "sriov.fast.pool = 'other': there is no pool of that name"),
        (FAST + FAST.replace("fast", "slow"), "sriov.slow.network = 'n': sriov.fast has it already"),
        (FAST + "vlan = 5000\n", "sriov.fast.vlan"),
        (NIGHT.replace("0 22", "at ten"), "bad minute"),
        (NIGHT.replace("8h", "0s"), "it must be longer than nothing"),
        (NIGHT.replace("Berlin", "Atlantis"), 'write a time zone such as "Europe/Berlin"'),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, text: str, told: str) -> None:
    """A line that names the setting and says what to write."""
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, text))
    assert told in str(error.value)
