import urllib.request
from datetime import UTC, datetime
from uuid import UUID

from orchestrator.listener.meters import Meters
from orchestrator.metrics import Metrics
from plugins.values import RunEnded, VFFreed, VFLeaked
from tests.workflows.fakes import look
from workflows.ports import PortAccount

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = UUID(int=1)


def scraped(metrics: Metrics) -> dict[str, float]:
    """What Prometheus reads."""
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


def test_what_is_announced_is_counted() -> None:
    """VFs that came back, VFs that are leaked, runs that ended: each by its labels."""
    metrics = Metrics()
    metrics.announced(VFFreed(RUN, "lab", "vm-1", "web-1", "host1/eth1", 8, 8, NOON))
    metrics.announced(VFLeaked(RUN, "lab", "host1/eth1", 2, {}, NOON))
    metrics.announced(RunEnded(RUN, "lab", "reclaim-vfs", "VM web-1", "done", "", NOON))
    found = scraped(metrics)
    assert found["vfo_vfs_freed_total{pool=lab,port=host1/eth1}"] == 1
    assert found["vfo_vfs_leaked_total{pool=lab,port=host1/eth1}"] == 2
    assert found["vfo_runs_ended_total{end=done,pool=lab,workflow=reclaim-vfs}"] == 1


def test_the_ports_are_as_at_the_last_account() -> None:
    """A port that is gone is no longer shown; another pool's stay."""
    metrics = Metrics()
    metrics.accounted("lab", [(look("port-1", remaining=7), PortAccount(8, 1, 0))])
    metrics.accounted("attic", [(look("port-9"), PortAccount(8, 0, 0))])
    metrics.accounted("lab", [(look("port-2", remaining=5, users=3), PortAccount(8, 0, 0))])
    found = scraped(metrics)
    assert found["vfo_vfs{pool=lab,port=host1/port-2,state=free}"] == 5
    assert found["vfo_vfs{pool=lab,port=host1/port-2,state=used}"] == 3
    assert found["vfo_vfs{pool=attic,port=host1/port-9,state=free}"] == 8
    assert not any("port-1" in name for name in found)


def test_metrics_are_served_by_http() -> None:
    """/metrics has the runs by status and the listeners' figures."""
    metrics = Metrics()
    metrics.runs_by_status = lambda: {"done": 3}
    metrics.meters = {"lab": Meters(events=5, active=True)}
    port, stop = metrics.serve("127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    finally:
        stop()
    assert 'vfo_runs{status="done"} 3.0' in text
    assert 'vfo_events_total{pool="lab"} 5.0' in text
    assert 'vfo_listener_active{pool="lab"} 1.0' in text
