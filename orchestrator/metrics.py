"""What Prometheus may read of a process: made anew at every scrape from what the parts keep anyway."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from orchestrator.listener.meters import Meters
from plugins.values import Happening, RunEnded, VFFreed, VFLeaked
from workflows.ports import PortAccount, PortLook


class Metrics:
    """Counts what is announced, remembers the last account of each port, and collects the rest when it is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._ports: dict[tuple[str, str], tuple[PortLook, PortAccount]] = {}
        self.meters: Mapping[str, Meters] = {}
        self.runs_by_status: Callable[[], Mapping[str, int]] = dict

    def announced(self, happening: Happening) -> None:
        """Count a happening."""
        with self._lock:
            match happening:
                case VFFreed():
                    self._happened["freed", (happening.pool, happening.port)] += 1
                case VFLeaked():
                    self._happened["leaked", (happening.pool, happening.port)] += happening.count
                case RunEnded():
                    self._happened["ended", (happening.pool, happening.workflow, happening.end)] += 1

    def accounted(self, pool: str, accounts: Iterable[tuple[PortLook, PortAccount]]) -> None:
        """Remember the newest account of the pool's ports; ports that are gone are forgotten."""
        with self._lock:
            self._ports = {key: value for key, value in self._ports.items() if key[0] != pool}
            self._ports |= {(pool, look.name): (look, account) for look, account in accounts}

    def collect(self) -> Iterator[Metric]:
        """Every metric, for one scrape."""
        runs = GaugeMetricFamily("vfo_runs", "Runs by status", labels=["status"])
        for status, count in self.runs_by_status().items():
            runs.add_metric([status], count)
        yield runs
        with self._lock:
            happened, ports = dict(self._happened), dict(self._ports)
        yield from _counters(happened)
        yield _ports(ports)
        yield from _listeners(self.meters)

    def serve(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Serve /metrics (port 0: on a free one); the port, and what stops it. Raises OSError when the port cannot be had."""
        registry = CollectorRegistry()
        registry.register(self)
        server, thread = start_http_server(port, host, registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return server.server_port, stop


def _counters(happened: Mapping[tuple[str, tuple[str, ...]], int]) -> Iterator[Metric]:
    families = {
        "freed": CounterMetricFamily("vfo_vfs_freed", "VMs that are gone whose VFs were proven free", labels=["pool", "port"]),
        "leaked": CounterMetricFamily("vfo_vfs_leaked", "VFs that were found leaked", labels=["pool", "port"]),
        "ended": CounterMetricFamily("vfo_runs_ended", "Runs that ended in this process", labels=["pool", "workflow", "end"]),
    }
    for (name, labels), count in happened.items():
        families[name].add_metric(list(labels), count)
    yield from families.values()


def _ports(ports: Mapping[tuple[str, str], tuple[PortLook, PortAccount]]) -> Metric:
    family = GaugeMetricFamily("vfo_vfs", "VFs by port and state, at the last look", labels=["pool", "port", "state"])
    for (pool, name), (look, account) in ports.items():
        states = {"free": look.remaining, "used": len(look.users), "leaked": account.leaked, "promised": account.promised}
        for state, count in states.items():
            family.add_metric([pool, name, state], count)
    return family


def _listeners(meters: Mapping[str, Meters]) -> Iterator[Metric]:
    events = CounterMetricFamily("vfo_events", "Events that the pool sent", labels=["pool"])
    loads = CounterMetricFamily("vfo_loads", "Full loads of the pool", labels=["pool"])
    lag = GaugeMetricFamily("vfo_event_lag_seconds", "How long the latest proof of hearing took", labels=["pool"])
    active = GaugeMetricFamily("vfo_listener_active", "1 where this process holds the pool's lease", labels=["pool"])
    for pool, meter in meters.items():
        events.add_metric([pool], meter.events)
        loads.add_metric([pool], meter.loads)
        lag.add_metric([pool], meter.lag_seconds)
        active.add_metric([pool], meter.active)
    yield from (events, loads, lag, active)
