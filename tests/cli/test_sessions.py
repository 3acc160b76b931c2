from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.simulator import SimulatedPool
from tests.cli.conftest import Vfo

COMMANDS = (
    "vfs",
    "doctor",
    "sriov status",
    "reclaim --dry-run",
    "recover",
    "assign web-01 --network SR-IOV --dry-run",
    "assign nobody --network SR-IOV --dry-run",
    "backup prepare web-01 --dry-run",
    "sriov enable fast --dry-run",
)
FAST = '\n[sriov.fast]\nnetwork = "fast"\nports = { device = "eth2" }\n'


@pytest.fixture
def pool(tmp_path: Path, make_simulated_pool: Callable[..., SimulatedPool]) -> SimulatedPool:
    """A pool whose sessions the test sees, and a configuration for it."""
    made = make_simulated_pool(hosts=2, vms=4)
    (tmp_path / "vfo.toml").write_text(f'[pools.lab]\nurl = "{made.url}"\npassword = "{made.password}"\npatience = "2s"\n{FAST}')
    return made


@pytest.mark.timeout(180)
def test_commands_log_out(vfo: Vfo, pool: SimulatedPool) -> None:
    """Also those that end in an error, and those that work themselves: the pool keeps few sessions for us."""
    for command in COMMANDS:
        said = vfo(*command.split())
        assert said.code in (0, 1, 2), said.err
        assert pool.database.refs("session") == [], command
    calls = pool.control.calls()["vf-orchestrator"]["calls"]
    assert len(calls) == len(COMMANDS)
