import pytest

from orchestrator.xapi.glance import Glance
from tests.xapi.acting import Bench
from tests.xapi.test_reading import counted


def test_vms_and_their_disks_are_read_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often they are asked for; who asks again later has another glance."""
    lab = bench(hosts=1, vms=2)
    glance = Glance(lab.port._client)
    there = (lab.port.vms(), lab.port.disk_sizes())
    calls = counted(lab, monkeypatch)
    assert (glance.vms(), glance.disk_sizes()) == there
    once = len(calls)
    assert (glance.vms(), glance.disk_sizes()) == there
    assert (len(calls), once > 0) == (once, True)
