import configparser
import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from orchestrator import deploy
from orchestrator.config.load import load
from orchestrator.deploy import Wanted, grafana
from orchestrator.listener.meters import Meters
from orchestrator.metrics import Asks, Metrics
from orchestrator.readings import Answer, Reading, Window
from orchestrator.roles import Role
from orchestrator.xapi.tally import Tally
from plugins.values import RunEnded
from state import standing
from tests.cli.conftest import Vfo, vfo
from tests.test_metrics import NOON

__all__ = ["vfo"]

ROOT = Path(__file__).parent.parent
WANTED = Wanted(Path(sys.executable), Path("/etc/vfo/vfo.toml"), (Path("/srv/vfo data"),), timedelta(seconds=40))
SYSTEMD = shutil.which("systemd-analyze")
ROLES = ["listener", "scheduler", "worker", "console"]


def unit(wanted: Wanted = WANTED) -> configparser.SectionProxy:
    """The [Service] of the unit."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign] # the library's own way to keep capitals
    parser.read_string(deploy.systemd(wanted))
    return parser["Service"]


def test_the_unit_gives_the_daemon_more_time_than_it_takes() -> None:
    """SIGTERM first, to the daemon alone; the plug is pulled only well after [serve] stop_within."""
    service = unit()
    assert int(service["TimeoutStopSec"]) >= 40 + 10
    assert service["KillMode"] == "mixed"
    assert service["ExecStart"] == f"{sys.executable} serve --config /etc/vfo/vfo.toml"


def test_the_unit_is_hardened_and_writes_where_it_must() -> None:
    """Nothing but the state is writable, no privilege is had or got; a folder with a blank in its name is one folder."""
    service = unit()
    wanted = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "CapabilityBoundingSet": "", "User": "vfo"}
    assert {key: service[key] for key in wanted} == wanted
    assert service["ReadWritePaths"] == '-"/srv/vfo data"'
    assert service["RestartPreventExitStatus"] == "2"


def test_a_unit_has_the_roles_that_are_named() -> None:
    """Each by its own option, and in the description."""
    text = deploy.systemd(Wanted(Path("/opt/vfo/bin/vfo"), Path("/etc/vfo/vfo.toml"), roles=[Role.WORKER, Role.SCHEDULER]))
    assert "ExecStart=/opt/vfo/bin/vfo serve --role scheduler --role worker --config /etc/vfo/vfo.toml\n" in text
    assert "Description=VF Orchestrator (scheduler, worker)\n" in text
    assert "@" not in text.replace("@system-service", "")


@pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """It knows every setting, and takes the unit for well protected."""
    file = tmp_path / "vfo.service"
    file.write_text(deploy.systemd(WANTED))
    assert SYSTEMD is not None
    checked = subprocess.run([SYSTEMD, "verify", "--man=no", str(file)], capture_output=True, text=True, check=False, timeout=60)
    complaints = [line for line in checked.stderr.splitlines() if "vfo.service" in line]
    assert (checked.returncode, complaints) == (0, [])
    security = [SYSTEMD, "security", "--offline=yes", "--threshold=30", str(file)]
    judged = subprocess.run(security, capture_output=True, text=True, check=False, timeout=60)
    assert judged.returncode == 0, judged.stdout[-500:] + judged.stderr


def composed(wanted: Wanted = WANTED) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(deploy.compose(wanted))
    return read


def test_the_compose_file_has_each_role_and_what_they_share() -> None:
    """The roles over one PostgreSQL and one RabbitMQ, which are there before them and keep what they have."""
    services = composed()["services"]
    assert set(services) == {"postgres", "rabbitmq", *ROLES}
    for role in ROLES:
        assert services[role]["command"] == ["serve", "--role", role]
        assert services[role]["depends_on"] == {"postgres": {"condition": "service_healthy"}, "rabbitmq": {"condition": "service_healthy"}}
        assert services[role]["stop_grace_period"] == "55s"
        assert "/readyz" in services[role]["healthcheck"]["test"][-1]
        assert services[role]["read_only"] is True
    assert services["worker"]["deploy"]["replicas"] > 1
    assert all("healthcheck" in services[name] and services[name]["volumes"] for name in ("postgres", "rabbitmq"))
    assert "@" not in re.sub(r"vfo@(postgres|rabbitmq)", "", deploy.compose(WANTED))


def test_the_compose_files_console_is_served_by_TLS(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment makes it reachable from outside, with a certificate out of the secrets that are told of; at one port, so one."""
    (tmp_path / "vfo.toml").write_text('[pools.lab]\nurl = "http://lab.invalid"\npassword = "x"\n')
    service, worker = (composed()["services"][name] for name in ("console", "worker"))
    for name, value in service["environment"].items():
        monkeypatch.setenv(name, value.partition(":?")[0])
    console = load(tmp_path / "vfo.toml").settings.console
    assert console.address == ("0.0.0.0", deploy.CONSOLE_PORT)
    assert service["ports"] == [f"{deploy.CONSOLE_PORT}:{deploy.CONSOLE_PORT}"]
    mounted = worker["volumes"][1].split(":")[1]
    assert {console.certificate, console.key} == {Path(mounted, "console.crt"), Path(mounted, "console.key")}
    assert all(f"secrets/{name}" in deploy.compose(WANTED) for name in ("console.crt", "console.key"))
    assert Path(str(console.scratch)) == Path(worker["volumes"][2].split(":")[1])
    assert "deploy" not in service
    assert service["environment"].items() > worker["environment"].items()


def test_a_console_that_is_not_wanted_is_in_no_file() -> None:
    """Nothing of it, and no word of a certificate; the manifests' configuration says so."""
    without = replace(WANTED, console=False)
    assert "console" not in deploy.compose(without)
    assert set(composed(without)["services"]) == {"postgres", "rabbitmq", *ROLES[:-1]}
    documents = list(yaml.safe_load_all(deploy.kubernetes(without)))
    assert not [one for one in documents if "console" in one["metadata"]["name"]]
    assert "[console]\nenabled = false\n" in documents[0]["data"]["vfo.toml"]


def test_the_image_has_what_people_are_told_by_where_it_is_used() -> None:
    """The extra of apprise, for channels and its observer, and not where nobody is told anything."""
    assert "[postgresql]" in deploy.compose(WANTED)
    assert "[postgresql,notify]" in deploy.compose(replace(WANTED, notifies=True))


def test_the_compose_file_builds_the_image_itself() -> None:
    """There is none to be had: the Dockerfile inside installs a wheel that lies beside, as a user who is not root."""
    build = composed()["services"]["worker"]["build"]
    lines = build["dockerfile_inline"].splitlines()
    assert lines[0].startswith("FROM python:3.1")
    assert any("vf_orchestrator-*.whl" in line and line.startswith("COPY") for line in lines)
    assert lines.index("USER vfo") < lines.index('ENTRYPOINT ["vfo"]')
    assert "[postgresql]" in build["dockerfile_inline"]
    assert not re.search(r"(?<!\$)\$\(", deploy.compose(WANTED)), "compose would take it for a variable of its own"


def test_the_compose_files_environment_is_a_right_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it any vfo.toml reaches both services with their passwords, and serves its metrics."""
    (tmp_path / "vfo.toml").write_text('[pools.lab]\nurl = "http://lab.invalid"\npassword = "x"\n')
    secrets = {"VFO_DB_PASSWORD": "db secret", "VFO_MQ_PASSWORD": "mq"}
    for name, value in (composed()["services"]["worker"]["environment"] | secrets).items():
        monkeypatch.setenv(name, value)
    read = load(tmp_path / "vfo.toml")
    assert read.database_url == "postgresql+psycopg://vfo:db%20secret@postgres/vfo?sslmode=disable"
    assert read.broker_url == "amqp://vfo:mq@rabbitmq/vfo"
    assert (read.settings.metrics.host, read.settings.metrics.port) == ("0.0.0.0", deploy.PORT)
    postgres, rabbit = (composed()["services"][name]["environment"] for name in ("postgres", "rabbitmq"))
    assert "VFO_DB_PASSWORD" in postgres["POSTGRES_PASSWORD"]
    assert "VFO_MQ_PASSWORD" in rabbit["RABBITMQ_DEFAULT_PASS"]
    assert (postgres["POSTGRES_USER"], rabbit["RABBITMQ_DEFAULT_USER"], rabbit["RABBITMQ_DEFAULT_VHOST"]) == ("vfo", "vfo", "vfo")


def manifests(kind: str) -> dict[str, Any]:
    documents = list(yaml.safe_load_all(deploy.kubernetes(WANTED)))
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == kind}


def test_the_manifests_have_a_deployment_and_a_budget_for_each_role() -> None:
    """Every selector meets the labels of its pods, and one pod at a time may be taken away."""
    deployments, budgets = manifests("Deployment"), manifests("PodDisruptionBudget")
    assert [*deployments] == [*budgets] == [f"vfo-{role}" for role in ROLES]
    for name, one in deployments.items():
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"] == budgets[name]["spec"]["selector"]["matchLabels"] == labels
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        assert one["spec"]["replicas"] > 1
    assert "@" not in re.sub(r"vfo@(postgres|rabbitmq)", "", deploy.kubernetes(WANTED))


def test_the_pods_are_watched_and_protected() -> None:
    """Probes at the paths that are served, secrets by reference alone, time to stop, and no privilege."""
    for name, one in manifests("Deployment").items():
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["command"] == ["vfo", "serve", "--role", name.removeprefix("vfo-"), "--config", "/etc/vfo/vfo.toml"]
        assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
        assert container["ports"][0] == {"name": "metrics", "containerPort": deploy.PORT}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["terminationGracePeriodSeconds"] == 55
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert volumes["secrets"]["secret"]["secretName"] == "vfo"
        assert volumes["config"]["configMap"]["name"] in manifests("ConfigMap")
        assert ("certificate" in volumes) == (name == "vfo-console")


def test_the_manifests_console_is_reached_by_its_service() -> None:
    """It speaks TLS with a certificate of a Secret of its own, where its configuration looks for it."""
    (service,) = manifests("Service").values()
    pod = manifests("Deployment")["vfo-console"]["spec"]["template"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    (port,) = service["spec"]["ports"]
    (container,) = pod["spec"]["containers"]
    assert {"name": port["targetPort"], "containerPort": deploy.CONSOLE_PORT} in container["ports"]
    mounted = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "certificate")
    console = tomllib.loads(manifests("ConfigMap")["vfo"]["data"]["vfo.toml"])["console"]
    assert console["listen"] == f"0.0.0.0:{deploy.CONSOLE_PORT}"
    assert (console["certificate"], console["key"]) == (f"{mounted}/tls.crt", f"{mounted}/tls.key")


def test_the_manifests_configuration_is_right(tmp_path: Path) -> None:
    """It is read as any other, once the secrets lie where the pods have them; it serves the probes' port and holds no secret."""
    text = manifests("ConfigMap")["vfo"]["data"]["vfo.toml"].replace("/run/secrets/vfo", str(tmp_path))
    for name in ("lab", "database", "broker"):
        (tmp_path / f"{name}.password").write_text("s3cret\n")
    (tmp_path / "vfo.toml").write_text(text)
    read = load(tmp_path / "vfo.toml")
    assert (read.settings.metrics.host, read.settings.metrics.port) == ("0.0.0.0", deploy.PORT)
    assert read.broker_url == "amqp://vfo:s3cret@rabbitmq.example.org/vfo"
    assert "s3cret" not in text


def served() -> set[str]:
    """The names of all metrics that a process serves, as Prometheus has them."""
    metrics = Metrics()
    held = standing.Held("scheduler", "host:1:ab", 4, NOON, is_held=True)
    reading = Reading([held], [Window("lab", "night", NOON, {"saved": 1})], 3, 1.5)
    metrics.asks = Asks(lambda: Answer({"done": 1}), lambda: Answer(reading), meters={"lab": Meters()}, tallies={"lab": Tally()})
    metrics.step("toy", "look", "forward", 0.1)
    metrics.announced(RunEnded(UUID(int=1), "lab", "toy", "VM 1", "done", "", NOON))
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {f"{family.name}{suffix}" for family in metrics.registry.collect() for suffix in suffixes.get(family.type, ("",))}


def test_the_dashboard_shows_exactly_what_is_served() -> None:
    """No panel asks for a metric that is not there, and no metric is shown nowhere."""
    queries = [target["expr"] for panel in grafana.dashboard()["panels"] for target in panel["targets"]]
    assert {name for query in queries for name in re.findall(r"vfo_[a-z_]+", query)} == served()


def test_the_readme_names_what_is_served() -> None:
    """The table of metrics has each, and no other."""
    table = (ROOT / "README.md").read_text().partition("| metrics (`vfo_`...) | labels |")[2].partition("\n\n")[0]
    named = {f"vfo_{name}" for row in table.splitlines() for name in re.findall(r"`([a-z_]+)`", row.split(" | ")[0])}
    assert named == {re.sub(r"_(bucket|count|sum)$", "", name) for name in served()}


def test_the_dashboards_panels_do_not_lie_on_one_another() -> None:
    """Each has a place of its own within the width, an id of its own, and the data source that is asked for at the import."""
    made = grafana.dashboard()
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in made["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in made["panels"]})
    assert max(panel["gridPos"]["x"] + panel["gridPos"]["w"] for panel in made["panels"]) == 24
    (source,) = made["__inputs"]
    assert all(target["datasource"]["uid"] == f"${{{source['name']}}}" for panel in made["panels"] for target in panel["targets"])


def test_the_commands_print_the_files(vfo: Vfo, tmp_path: Path) -> None:
    """Without a configuration with what an installation has; with one by its paths and times. A wrong one is told."""
    assert "--config /etc/vfo/vfo.toml" in vfo("deploy", "systemd").out
    pool = '[pools.lab]\nurl = "http://lab.invalid"\npassword = "x"\n'
    (tmp_path / "vfo.toml").write_text(f'{pool}[serve]\nstop_within = "2m"\n')
    printed = vfo("deploy", "systemd", "--role", "worker").out
    assert f"serve --role worker --config {tmp_path}/vfo.toml\n" in printed
    assert f"ReadWritePaths=-{tmp_path}\n" in printed
    assert "TimeoutStopSec=135\n" in printed
    assert "[postgresql]" in vfo("deploy", "compose").out
    (tmp_path / "vfo.toml").write_text(f'{pool}[serve]\nstop_within = "2m"\n[notify.team]\nurl = "json://team.invalid"\n')
    assert "[postgresql,notify]" in vfo("deploy", "compose").out
    assert yaml.safe_load(vfo("deploy", "compose").out)["services"]["worker"]["stop_grace_period"] == "135s"
    assert len(list(yaml.safe_load_all(vfo("deploy", "kubernetes").out))) == 10
    assert json.loads(vfo("deploy", "grafana").out)["uid"] == "vfo"
    (tmp_path / "vfo.toml").write_text("[serve]\nworkers = 0\n")
    assert vfo("deploy", "systemd").code == 2
