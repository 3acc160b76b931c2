"""A RabbitMQ node for tests: our own in a directory of its own, or one that is given."""

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kombu.connection import Connection

from orchestrator import amqp_link
from orchestrator.simulator import certificates
from tests.services import programs

VARIABLE = "VFO_TEST_RABBITMQ"
SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
USER, PASSWORD = "vfo", "s3cret/word"
VHOSTS = ("one", "two")


def binary() -> Path | None:
    """The server's start script: not the wrapper of some distributions, which insists on a user and directories of its own."""
    there = shutil.which("rabbitmq-server")
    found = SERVER if SERVER.exists() else Path(there) if there else None
    return found if found and shutil.which("epmd") else None


class Rabbit:
    """A node that is given: its queues are ours while we test."""

    def __init__(self, url: str) -> None:
        self.urls = [url]

    @property
    def url(self) -> str:
        """Of its first virtual host."""
        return self.urls[0]

    def empty(self) -> None:
        """Remove every queue that our broker makes."""
        for url in self.urls:
            with Connection(url, connect_timeout=5) as connection:
                for name in amqp_link.ARGUMENTS:
                    connection.default_channel.queue_delete(name)

    def close(self) -> None:
        """Nothing of ours is left."""
        self.empty()


class OwnRabbit(Rabbit, programs.Pausable):
    """A node of this process, with its own epmd: it meets no other node, and leaves nothing behind."""

    def __init__(self, start_script: Path) -> None:
        self._script = start_script
        self._folder = programs.folder("rabbitmq")
        self._log = self._folder / "output"
        self._port, self._epmd_port, self._node_port, self.tls_port = (programs.free_port() for _ in range(4))
        self.certificate = self._folder / "certificate.pem"
        self.urls = [f"amqp://{USER}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:{self._port}/{vhost}" for vhost in VHOSTS]
        self._configure()
        self._epmd = programs.start(
            ["epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"], log=self._log, environment=self._environment()
        )
        programs.until(lambda: _listens(self._epmd_port), self._epmd, self._log)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, where it does not run, and wait until somebody can log in."""
        if self._process is None:
            self._process = programs.start([str(self._script)], log=self._log, environment=self._environment())
            programs.until(self._answers, self._process, self._log, 120)

    def stop(self, number: int = signal.SIGKILL) -> None:
        """Kill it; what it was told to keep is on its disk."""
        if self._process is not None:
            programs.signal_all(self._process, number)
            self._process.wait(programs.SECONDS)
            self._process = None

    def restart(self) -> None:
        """Kill it and start it again."""
        self.stop()
        self.start()

    def forget(self) -> None:
        """Start it anew with nothing of what it had."""
        self.stop()
        shutil.rmtree(self._folder / "mnesia")
        self.start()

    def close(self) -> None:
        """Stop it and remove its directory."""
        self.stop()
        self._epmd.kill()
        self._epmd.wait(programs.SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _configure(self) -> None:
        salt = os.urandom(4)
        hashed = base64.b64encode(salt + hashlib.sha256(salt + PASSWORD.encode()).digest()).decode()
        everything: dict[str, Any] = {"configure": ".*", "write": ".*", "read": ".*"}
        definitions = {
            "users": [
                {"name": USER, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator"}
            ],
            "vhosts": [{"name": vhost} for vhost in VHOSTS],
            "permissions": [{"user": USER, "vhost": vhost, **everything} for vhost in VHOSTS],
        }
        (self._folder / "definitions.json").write_text(json.dumps(definitions))
        shown = certificates.make("localhost")
        self.certificate.write_text(shown.pem)
        (self._folder / "key.pem").write_text(shown.key)
        tls = {"listeners.ssl.default": f"127.0.0.1:{self.tls_port}", "ssl_options.cacertfile": self.certificate,
               "ssl_options.certfile": self.certificate, "ssl_options.keyfile": self._folder / "key.pem"}  # fmt: skip
        settings = {**tls, "listeners.tcp.default": f"127.0.0.1:{self._port}", "load_definitions": self._folder / "definitions.json",
                    "disk_free_limit.absolute": "1MB", "log.console": "false"}  # fmt: skip
        (self._folder / "rabbitmq.conf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        (self._folder / "plugins").write_text("[].\n")

    def _environment(self) -> dict[str, str]:
        ours = {
            "NODENAME": f"vfo{self._port}@localhost", "MNESIA_BASE": self._folder / "mnesia", "LOG_BASE": self._folder / "logs",
            "CONFIG_FILE": self._folder / "rabbitmq.conf", "ENABLED_PLUGINS_FILE": self._folder / "plugins",
            "CONF_ENV_FILE": "/dev/null", "DIST_PORT": self._node_port, "ALLOW_INPUT": "1",
            "SERVER_START_ARGS": "-noinput", "SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }  # fmt: skip
        return {f"RABBITMQ_{name}": str(value) for name, value in ours.items()} | {
            "HOME": str(self._folder), "ERL_EPMD_PORT": str(self._epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1",
        }  # fmt: skip

    def _answers(self) -> bool:
        try:
            for url in self.urls:
                Connection(url, connect_timeout=2).connect().close()
        except Exception:  # noqa: BLE001 - while it starts it refuses in many ways
            return False
        return True


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def node() -> Rabbit:
    """The one that is given, else our own; without its programs the test is left out."""
    if given := os.environ.get(VARIABLE):
        assert urlsplit(given).scheme in ("amqp", "amqps"), f"{VARIABLE} is no AMQP URL"
        return Rabbit(given)
    found = binary()
    if found is None:
        programs.absent("RabbitMQ", VARIABLE)
    return OwnRabbit(found)
