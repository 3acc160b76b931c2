import threading
from pathlib import Path

import pytest

from orchestrator import roles
from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded, load
from orchestrator.parts import Part, dead
from orchestrator.roles import ALL, Role
from tests.engine.waiting import until

SHARED = '[database]\nurl = "postgresql+psycopg://vfo@db/vfo"\n[broker]\nurl = "amqp://vfo@mq/vfo"\n'


def loaded(folder: Path, services: str) -> Loaded:
    path = folder / "vfo.toml"
    path.write_text(f'[pools.lab]\nurl = "http://lab.invalid"\npassword = "x"\n{services}')
    return load(path)


def test_none_named_is_all(tmp_path: Path) -> None:
    """Without a name a process has every role, whatever the database and the broker are."""
    assert roles.chosen((), loaded(tmp_path, "")) == ALL


def test_all_named_is_all(tmp_path: Path) -> None:
    """All roles by their names are as good as none, on the embedded services too."""
    assert roles.chosen(list(Role), loaded(tmp_path, "")) == ALL


def test_some_roles_need_services_for_several_processes(tmp_path: Path) -> None:
    """What is for one process alone is refused, each with what to write instead."""
    with pytest.raises(ConfigError) as refused:
        roles.chosen([Role.WORKER, Role.LISTENER], loaded(tmp_path, ""))
    database, broker, _ = refused.value.lines
    assert "SQLite is for one process: for --role listener --role worker write" in database
    assert "embedded:// is within one process" in broker


def test_one_service_of_two_is_not_enough(tmp_path: Path) -> None:
    """PostgreSQL alone does not carry messages from one process to another: only the broker is complained of."""
    with pytest.raises(ConfigError) as refused:
        roles.chosen([Role.WORKER], loaded(tmp_path, '[database]\nurl = "postgresql+psycopg://vfo@db/vfo"\n'))
    assert [line for line in refused.value.lines if "url" in line and "database" in line] == []
    assert "broker.url" in refused.value.lines[0]


def test_some_roles_on_services_for_several_processes(tmp_path: Path) -> None:
    """On PostgreSQL and RabbitMQ a process has the roles that were named."""
    assert roles.chosen([Role.WORKER, Role.SCHEDULER], loaded(tmp_path, SHARED)) == {Role.WORKER, Role.SCHEDULER}


def test_a_part_that_raises_has_died() -> None:
    """A part that returns is through; one that raises is named as dead, and the others go on."""

    def fail(_stop: threading.Event) -> None:
        raise ValueError("a mistake")

    stop = threading.Event()

    def live(stop: threading.Event) -> None:
        stop.wait()

    parts = [Part("through", lambda _: None), Part("died", fail), Part("lives", live)]
    assert dead(parts) == []
    for part in parts:
        part.start(stop)
    parts[0].join(60)
    parts[1].join(60)
    until(lambda: dead(parts) == ["died"])
    stop.set()
    parts[2].join(60)
    assert dead(parts) == ["died"]


def test_a_console_may_be_left_out_anywhere(tmp_path: Path) -> None:
    """One process that does all the work needs nothing that several share."""
    working = [Role.LISTENER, Role.SCHEDULER, Role.WORKER]
    assert roles.chosen(working, loaded(tmp_path, "")) == set(working)


def test_a_console_that_is_switched_off_is_no_role(tmp_path: Path) -> None:
    """Who asks for it is told what stands against it."""
    with pytest.raises(ConfigError, match="enabled = false"):
        roles.chosen([Role.CONSOLE], loaded(tmp_path, f"{SHARED}\n[console]\nenabled = false\n"))


def test_a_console_that_is_not_enabled_is_no_role(tmp_path: Path) -> None:
    """Whoever looks at the process is told what it serves: nothing of the web."""
    assert roles.chosen((), loaded(tmp_path, "[console]\nenabled = false\n")) == {Role.LISTENER, Role.SCHEDULER, Role.WORKER}
