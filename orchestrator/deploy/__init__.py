"""The files that others run `vfo` by: a systemd unit, a compose file, Kubernetes manifests, a Grafana dashboard."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from orchestrator.roles import Role, in_words

PORT = 9750
"""Where /metrics, /healthz and /readyz are served in containers."""
MARGIN = timedelta(seconds=15)
"""Longer than the daemon gives itself at SIGTERM: whoever kills it sooner interrupts steps."""
REPLICAS = {Role.LISTENER: 2, Role.SCHEDULER: 2, Role.WORKER: 3}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files depend on. *writes*: the folders that the daemon writes into; *stop_within*: as `[serve]` has it."""

    program: Path
    config: Path
    writes: tuple[Path, ...] = ()
    stop_within: timedelta = timedelta(seconds=10)
    roles: Collection[Role] = ()


def systemd(wanted: Wanted) -> str:
    """A unit for one process."""
    named = "".join(f" --role {role.value}" for role in Role if role in wanted.roles)
    return _filled(
        "vfo.service",
        what=f" ({in_words(wanted.roles)})" if wanted.roles else "",
        command=f"{_quoted(wanted.program)} serve{named} --config {_quoted(wanted.config)}",
        writes="".join(f"ReadWritePaths=-{_quoted(path)}\n" for path in wanted.writes),
        grace=_grace(wanted),
    )


def compose(wanted: Wanted) -> str:
    """A compose file: PostgreSQL, RabbitMQ, and a service for each role."""
    services = "".join(_filled("compose_service.yaml", role=role.value, replicas=str(REPLICAS[role])) for role in REPLICAS)
    return _filled("compose.yaml", services=services, port=str(PORT), grace=_grace(wanted))


def kubernetes(wanted: Wanted) -> str:
    """Manifests: the configuration, and for each role a Deployment with a PodDisruptionBudget."""
    more = {"port": str(PORT), "grace": _grace(wanted), "version": version("vf-orchestrator")}
    roles = (_filled("kubernetes_role.yaml", role=role.value, replicas=str(REPLICAS[role]), **more) for role in REPLICAS)
    return "---\n".join([_filled("kubernetes.yaml", port=str(PORT)), *roles])


def _grace(wanted: Wanted) -> str:
    return str(int((wanted.stop_within + MARGIN).total_seconds()))


def _quoted(path: Path) -> str:
    """As a unit wants a path that may have blanks, per cent signs and dollars in it."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if " " in text else text


def _filled(name: str, **values: str) -> str:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text
