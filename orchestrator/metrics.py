"""What Prometheus may read of a process: made anew at every scrape from what the parts keep anyway."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from orchestrator.listener.meters import Meters
from orchestrator.readings import Answer, Reading
from orchestrator.xapi.tally import Tally
from orchestrator.xapi.turns import Turns
from plugins.values import Happening, RunEnded, VFFreed, VFLeaked
from state.told import Standing
from workflows.accounts import PortAccount
from workflows.ports import PortLook

BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


@dataclass(frozen=True, slots=True)
class Asks:
    """What is asked at a scrape.

    *runs*: by status, *ended*: of those that are over. *broker*: what ails it, "" for nothing. *pending*: messages that wait for a worker.
    """

    runs: Callable[[], Answer[dict[str, int]]] = lambda: Answer({})
    rows: Callable[[], Answer[Reading]] = lambda: Answer(Reading())
    broker: Callable[[], str] = lambda: ""
    pending: Callable[[], int] = lambda: 0
    meters: Mapping[str, Meters] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    turns: Mapping[str, Turns] = field(default_factory=dict)
    ended: Callable[[], Answer[dict[str, int]]] = lambda: Answer({})
    channels: Callable[[], Answer[dict[str, Standing]]] = lambda: Answer({})

    def ailing_channels(self) -> dict[str, str]:
        """What ails each channel by which people are told, "" for nothing; none where the database does not say it in time."""
        return {name: stands.problem for name, stands in (self.channels().value or {}).items()}


class Metrics:
    """Counts what is announced, remembers the last account of each port, and collects the rest when it is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._happened: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._ports: dict[tuple[str, str], tuple[PortLook, PortAccount]] = {}
        self.asks = Asks()
        self.registry = CollectorRegistry()
        self._steps = Histogram(
            "vfo_step_seconds", "How long steps were at work, each time; their waiting is left out", ["workflow", "step", "way"],
            buckets=BUCKETS, registry=self.registry,
        )  # fmt: skip
        self.registry.register(self)

    def step(self, workflow: str, step: str, way: str, seconds: float) -> None:
        """A step (*way*: "forward" or "undo") was at work for so long."""
        self._steps.labels(workflow, step, way).observe(seconds)

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
        """Every metric but the histogram, for one scrape. What the database does not say in time is left out, and said to be so."""
        runs, rows = self.asks.runs(), self.asks.rows()
        yield _runs({**(runs.value or {}), **(self.asks.ended().value or {})})
        yield GaugeMetricFamily("vfo_database_up", "1 where the database answered in time", value=not (runs.problem or rows.problem))
        yield GaugeMetricFamily(
            "vfo_broker_up", "1 where messages go by the broker; runs are found without it, later", not self.asks.broker()
        )
        yield GaugeMetricFamily("vfo_broker_messages", "Messages that wait for a worker", value=self.asks.pending())
        yield from _rows(rows.value)
        yield from _channels(self.asks.channels().value or {})
        with self._lock:
            happened, ports = dict(self._happened), dict(self._ports)
        yield from _counters(happened)
        yield _ports(ports)
        yield from _listeners(self.asks.meters)
        yield from _calls(self.asks.tallies)
        yield from _turns(self.asks.turns)


def _runs(counts: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily("vfo_runs", "Runs by status", labels=["status"])
    for status, count in counts.items():
        family.add_metric([status], count)
    return family


def _rows(reading: Reading | None) -> Iterator[Metric]:
    """What is the same in whatever process asks: a dashboard takes the highest of them."""
    if reading is None:
        return
    yield GaugeMetricFamily("vfo_runs_due", "Runs that a worker could take now", value=reading.due)
    yield GaugeMetricFamily("vfo_run_lag_seconds", "For how long the first of them has been due", value=reading.lag)
    changes = CounterMetricFamily("vfo_lease_changes", "How often the lease was taken, by whatever process", labels=["lease"])
    held = GaugeMetricFamily("vfo_lease_held", "1 where some process has the lease", labels=["lease"])
    for lease in reading.leases:
        changes.add_metric([lease.name], lease.epoch)
        held.add_metric([lease.name], lease.is_held)
    vms = GaugeMetricFamily("vfo_window_vms", "VMs of windows that are open, by how far they are", labels=["pool", "window", "state"])
    closes = GaugeMetricFamily("vfo_window_closes_timestamp_seconds", "When an open window closes", labels=["pool", "window"])
    for window in reading.windows:
        for state, count in window.vms.items():
            vms.add_metric([window.pool, window.name, state], count)
        if window.closes is not None:
            closes.add_metric([window.pool, window.name], window.closes.timestamp())
    yield from (changes, held, vms, closes)


def _channels(standings: Mapping[str, Standing]) -> Iterator[Metric]:
    """By which people are told: the same in whatever process asks."""
    waiting = GaugeMetricFamily("vfo_notify_waiting", "Messages that wait for a channel of [notify]", labels=["channel"])
    up = GaugeMetricFamily("vfo_notify_up", "1 where the channel took what it was given last", labels=["channel"])
    lost = GaugeMetricFamily("vfo_notify_given_up", "Messages of the last 30 days that a channel never took", labels=["channel"])
    for name, stands in standings.items():
        waiting.add_metric([name], stands.waiting)
        up.add_metric([name], not stands.problem)
        lost.add_metric([name], stands.given_up)
    yield from (waiting, up, lost)


def _calls(tallies: Mapping[str, Tally]) -> Iterator[Metric]:
    calls = CounterMetricFamily("vfo_xenapi_calls", "XenAPI calls, each attempt", labels=["pool", "method"])
    errors = CounterMetricFamily("vfo_xenapi_errors", "XenAPI calls that ended in an error, by its code", labels=["pool", "code"])
    for pool, tally in tallies.items():
        called, failed = tally.counts()
        for method, count in called.items():
            calls.add_metric([pool, method], count)
        for code, count in failed.items():
            errors.add_metric([pool, code], count)
    yield from (calls, errors)


def _turns(turns: Mapping[str, Turns]) -> Iterator[Metric]:
    """Of steps and jobs: a process without workers has none."""
    at_once = GaugeMetricFamily("vfo_xenapi_calls_at_once", "XenAPI calls that this process's workers may make at once", labels=["pool"])
    in_flight = GaugeMetricFamily("vfo_xenapi_calls_in_flight", "XenAPI calls of this process's workers in flight", labels=["pool"])
    waiting = GaugeMetricFamily("vfo_xenapi_calls_waiting", "XenAPI calls of this process's workers that wait for a turn", labels=["pool"])
    for pool, one in turns.items():
        at_once.add_metric([pool], one.most)
        in_flight.add_metric([pool], one.in_flight)
        waiting.add_metric([pool], one.waiting)
    yield from (at_once, in_flight, waiting)


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
