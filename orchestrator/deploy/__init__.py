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
CONSOLE_PORT = 8643
"""Where console and REST API are."""
MARGIN = timedelta(seconds=15)
"""Longer than the daemon gives itself at SIGTERM: whoever kills it sooner interrupts steps."""
REPLICAS = {Role.LISTENER: 2, Role.SCHEDULER: 2, Role.WORKER: 3}
CONSOLES = 2
"""Where something stands before them that parts the requests between them; else one has the port."""
SEEN_BY_PODS = {
    "ports": "            - {name: https, containerPort: @https@}\n",
    "mounts": "            - {name: certificate, mountPath: /run/secrets/vfo-console, readOnly: true}\n",
    "volumes": "        - {name: certificate, secret: {secretName: vfo-console, defaultMode: 0440}}\n",
}
"""What the pods of the console have besides."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the files depend on. *writes*: the folders that the daemon writes into; *stop_within*: as `[serve]` has it.

    *console*: whether there is one. *notifies*: whether people are told by apprise, which is not installed without its extra.
    """

    program: Path
    config: Path
    writes: tuple[Path, ...] = ()
    stop_within: timedelta = timedelta(seconds=10)
    roles: Collection[Role] = ()
    console: bool = True
    notifies: bool = False


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
    needs, console = (_filled(f"compose_{part}.yaml", port=str(CONSOLE_PORT)) if wanted.console else "" for part in ("needs", "console"))
    return _filled(
        "compose.yaml", what=f"the roles of vfo: {in_words(_roles(wanted))}", needs=needs, services=services + console,
        extras="postgresql,notify" if wanted.notifies else "postgresql", port=str(PORT), grace=_grace(wanted),
    )  # fmt: skip


def kubernetes(wanted: Wanted) -> str:
    """Manifests: the configuration, for each role a Deployment with a PodDisruptionBudget, and a Service before the console."""
    more = {"port": str(PORT), "grace": _grace(wanted), "version": version("vf-orchestrator")}
    roles = []
    for role in _roles(wanted):
        seen = {key: text if role is Role.CONSOLE else "" for key, text in SEEN_BY_PODS.items()}
        replicas = str(REPLICAS.get(role, CONSOLES))
        roles.append(_filled("kubernetes_role.yaml", **seen, role=role.value, replicas=replicas, https=str(CONSOLE_PORT), **more))
    console = _filled("kubernetes_console.toml", port=str(CONSOLE_PORT)) if wanted.console else "    enabled = false\n"
    needs, service = (_filled(f"kubernetes_{part}.yaml") if wanted.console else "" for part in ("needs", "service"))
    config = _filled("kubernetes.yaml", needs=needs, console=console, port=str(PORT))
    return "---\n".join(filter(None, [config, *roles, service]))


def _roles(wanted: Wanted) -> list[Role]:
    return [role for role in Role if role is not Role.CONSOLE or wanted.console]


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
