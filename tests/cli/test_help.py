"""What `--help` shows of every command."""

import re
from collections.abc import Iterator

import pytest
import typer.main
from typer.testing import CliRunner

from orchestrator.cli.app import app

TABLE = re.compile(r"\[[^\]\s]+\]")


def commands() -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Every command and group by the words to type, with the texts that were written for its help."""

    def below(words: tuple[str, ...], command: object) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        texts = [getattr(command, "help", None), *(getattr(param, "help", None) for param in getattr(command, "params", ()))]
        yield words, [text for text in texts if text]
        for name, child in getattr(command, "commands", {}).items():
            yield from below((*words, name), child)

    yield from below((), typer.main.get_command(app))


@pytest.mark.parametrize(("words", "texts"), [pytest.param(*found, id=" ".join(("vfo", *found[0]))) for found in commands()])
def test_the_help_shows_every_text_as_it_is_written(words: tuple[str, ...], texts: list[str]) -> None:
    """No [table] and no other word of the help of a command, an argument or an option is taken for markup."""
    said = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100", "TERM": "dumb"}, prog_name="vfo")
    assert said.exit_code == 0
    shown = "".join(said.output.split())
    assert [text for text in texts if "".join(text.split()) not in shown] == []


def test_tables_are_named_in_help_texts() -> None:
    """What the test above would lose if help were markup: it finds some."""
    named = {table for _, texts in commands() for text in texts for table in TABLE.findall(text)}
    assert {"[sriov.NAME]", "[assignment]", "[backup]", "[policies.NAME]"} <= named
