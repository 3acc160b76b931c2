"""The Grafana dashboard: panels over the metrics that processes serve (`orchestrator.metrics`), and no others."""

from dataclasses import dataclass
from typing import Any

COLUMNS, WIDTH, HEIGHT = 24, 8, 8
SOURCE = "DS_PROMETHEUS"


@dataclass(frozen=True, slots=True)
class Panel:
    """*queries*: PromQL, each with what its lines are called. What every process shows alike is the max of them."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"


PANELS = (
    Panel("Stuck runs: a person is needed", (('max(vfo_runs{status="stuck"})', "stuck"),), kind="stat"),
    Panel("Database and broker", (("min(vfo_database_up)", "database"), ("min(vfo_broker_up)", "broker")), kind="stat"),
    Panel("Leases that nobody has", (("1 - max by (lease) (vfo_lease_held)", "{{lease}}"),), kind="stat"),
    Panel("Channels that take nothing", (("1 - min by (channel) (vfo_notify_up)", "{{channel}}"),), kind="stat"),
    Panel(
        "Messages for people",
        (
            ("max by (channel) (vfo_notify_waiting)", "{{channel}} waiting"),
            ("max by (channel) (vfo_notify_given_up)", "{{channel}} never taken"),
        ),
    ),
    Panel("Runs", (('max by (status) (vfo_runs{status=~"ready|running|waiting|stuck"})', "{{status}}"),)),
    Panel("Runs that ended, an hour", (("sum by (workflow, end) (increase(vfo_runs_ended_total[1h]))", "{{workflow}} {{end}}"),)),
    Panel("Due and not taken", (("max(vfo_runs_due)", "runs"), ("max(vfo_broker_messages)", "messages"))),
    Panel("How long the first due run has waited", (("max(vfo_run_lag_seconds)", "lag"),), "s"),
    Panel(
        "Steps at work: 95 of 100 take less",
        (("histogram_quantile(0.95, sum by (le, workflow, step) (rate(vfo_step_seconds_bucket[15m])))", "{{workflow}} {{step}}"),),
        "s",
    ),
    Panel("Steps a second", (("sum by (workflow) (rate(vfo_step_seconds_count[5m]))", "{{workflow}}"),)),
    Panel("Share of time at work", (("sum by (workflow) (rate(vfo_step_seconds_sum[5m]))", "{{workflow}}"),)),
    Panel("VFs by state", (("sum by (pool, state) (vfo_vfs)", "{{pool}} {{state}}"),)),
    Panel("Ports without a free VF", (('(vfo_vfs{state="free"} == 0) + 1', "{{pool}} {{port}}"),)),
    Panel("VFs proven free, and found leaked, a day", (
        ("sum by (pool) (increase(vfo_vfs_freed_total[1d]))", "{{pool}} freed"),
        ("sum by (pool) (increase(vfo_vfs_leaked_total[1d]))", "{{pool}} leaked"),
    )),
    Panel("How late events are", (("max by (pool) (vfo_event_lag_seconds)", "{{pool}}"),), "s"),
    Panel("Events and full loads", (
        ("sum by (pool) (rate(vfo_events_total[5m]))", "{{pool}} events a second"),
        ("sum by (pool) (increase(vfo_loads_total[1h]))", "{{pool}} loads an hour"),
    )),
    Panel("Who listens (1 a pool)", (("sum by (pool) (vfo_listener_active)", "{{pool}}"),)),
    Panel("Leases that changed hands, an hour", (("max by (lease) (increase(vfo_lease_changes_total[1h]))", "{{lease}}"),)),
    Panel("XenAPI calls a second", (("sum by (pool, method) (rate(vfo_xenapi_calls_total[5m]))", "{{pool}} {{method}}"),)),
    Panel("XenAPI errors a minute", (("60 * sum by (pool, code) (rate(vfo_xenapi_errors_total[5m]))", "{{pool}} {{code}}"),)),
    Panel("XenAPI calls of workers", (
        ("sum by (pool) (vfo_xenapi_calls_in_flight)", "{{pool}} in flight"),
        ("sum by (pool) (vfo_xenapi_calls_waiting)", "{{pool}} wait for a turn"),
        ("sum by (pool) (vfo_xenapi_calls_at_once)", "{{pool}} allowed"),
    )),
    Panel("Windows that are open: VMs", (("max by (pool, window, state) (vfo_window_vms)", "{{pool}} {{window}} {{state}}"),)),
    Panel(
        "Windows that are open: time left",
        (("max by (pool, window) (vfo_window_closes_timestamp_seconds) - time()", "{{pool}} {{window}}"),),
        "s",
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard, as Grafana imports it; it asks for the Prometheus that it is to read."""
    return {
        "__inputs": [{"name": SOURCE, "label": "Prometheus", "type": "datasource", "pluginId": "prometheus", "pluginName": "Prometheus"}],
        "uid": "vfo",
        "title": "VF Orchestrator",
        "tags": ["vfo"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": f"${{{SOURCE}}}"}
    a_row = COLUMNS // WIDTH
    return {
        "id": number + 1,
        "title": panel.title,
        "type": panel.kind,
        "datasource": source,
        "gridPos": {"x": number % a_row * WIDTH, "y": number // a_row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.kind == "timeseries" else {},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": source, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }
