"""What a person at a terminal sees and is asked."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.load import load

SECONDS = 30.0


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._end, theirs = pty.openpty()
        command = [sys.executable, "-m", "orchestrator", *words]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm", "COLUMNS": "160"}
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""

    def expect(self, text: str) -> None:
        """Wait until the terminal has shown the text."""
        ends = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < ends, f"{text!r} was not shown: {self.shown}"
            if select.select([self._end], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self._end, 65536).decode(errors="replace")
                except OSError:
                    assert text in self.shown, f"it ended without {text!r}: {self.shown}"

    def expect_hidden_input(self) -> None:
        """Wait until what is typed is not shown: a person does not type a password faster than the prompt is there."""
        ends = time.monotonic() + SECONDS
        while termios.tcgetattr(self._end)[3] & termios.ECHO:
            assert time.monotonic() < ends, "what is typed is shown"
            select.select([], [], [], 0.05)

    def type(self, text: str) -> None:
        """Type a line, or a control character."""
        os.write(self._end, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        os.close(self._end)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Any]:
    opened: list[Terminal] = []

    def open_one(*words: str) -> Terminal:
        opened.append(Terminal(tmp_path, *words))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_init_asks_shows_the_certificate_and_writes_what_was_agreed_to(terminal: Any, pool: dict[str, Any], tmp_path: Path) -> None:
    """Four questions, the certificate with the command that compares it, and the password never on the screen."""
    typed = terminal("init")
    typed.expect("Address of the pool's coordinator")
    typed.type(f"{pool['url']}\n")
    typed.expect("A name for the pool")
    typed.type("lab\n")
    typed.expect("User name")
    typed.type("\n")
    typed.expect("Password")
    typed.expect_hidden_input()
    typed.type(f"{pool['password']}\n")
    typed.expect("openssl x509 -noout -fingerprint -sha256")
    typed.expect("Is it the same?")
    typed.type("y\n")
    typed.expect("Wrote vfo.toml")
    assert typed.process.wait(SECONDS) == 0
    assert pool["password"] not in typed.shown
    assert load(tmp_path / "vfo.toml").pools["lab"].password.get_secret_value() == pool["password"]


def test_init_writes_nothing_when_the_answer_is_no(terminal: Any, pool: dict[str, Any], tmp_path: Path) -> None:
    """A certificate that is not the host's is not trusted."""
    (tmp_path / "secret").write_text(pool["password"])
    typed = terminal("init", "--url", pool["url"], "--name", "lab", "--username", "root", "--password-file", "secret")
    typed.expect("Is it the same?")
    typed.type("n\n")
    typed.expect("nothing was written")
    assert typed.process.wait(SECONDS) == 1
    assert not (tmp_path / "vfo.toml").exists()


def test_watching_runs_goes_on_until_control_c(terminal: Any, configured: dict[str, Any]) -> None:
    """The table is drawn anew each second; Ctrl-C is not an error."""
    typed = terminal("runs", "--watch")
    typed.expect("No run is active")
    typed.process.send_signal(2)
    assert typed.process.wait(SECONDS) == 0
    assert "Traceback" not in typed.shown
