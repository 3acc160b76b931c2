"""Messages as people read them: what happened, what it means, what to type, and where to look."""

from pathlib import Path

import pytest

from orchestrator.notify import setup, words
from orchestrator.notify.kinds import Kind
from orchestrator.notify.news import News, Said, together
from tests.notify.conftest import NOON, Clock, Office


def news(**more: str) -> News:
    return News(Kind.STUCK_RUN, "k", "it is stuck", "That means harm.", ("vfo run 1", "vfo run 1 retry"), path="/runs/1", **more)  # type: ignore[arg-type]


def test_a_message_ends_with_what_to_do_and_where_to_look() -> None:
    """The link is there when it is known how people reach the console."""
    assert news().text("") == "That means harm.\n    vfo run 1\n    vfo run 1 retry"
    assert news().text("https://vfo.example.org/").endswith("vfo run 1 retry\nhttps://vfo.example.org/runs/1")


@pytest.mark.parametrize(
    ("console", "address"),
    [("", ""), ('url = "https://vfo.example.org"', "https://vfo.example.org"), ('url = "https://vfo.example.org"\nenabled = false', "")],
)
def test_the_address_of_links_is_the_consoles(tmp_path: Path, console: str, address: str) -> None:
    """As the configuration says that people reach it; one that listens on this machine alone is no link for anybody."""
    office = Office(tmp_path, None, Clock())  # type: ignore[arg-type]
    assert setup.console_of(office.loaded(f"[console]\n{console}\n")) == address


def test_one_message_of_several_begins_with_the_worst() -> None:
    """Its level is theirs."""
    made = together([Said("a pool is back", "x", "info"), Said("a run is stuck", "y", "failure"), Said("a window is over", "z", "warning")])
    assert made.title == "vfo: a run is stuck, and 2 more"
    assert made.level == "failure"
    assert made.text == "a run is stuck\ny\n\na window is over\nz\n\na pool is back\nx"


def test_every_kind_of_news_has_words() -> None:
    """And every one that a channel may ask for is one that somebody is told of."""
    source = Path(words.__file__).read_text()
    assert all(f"Kind.{kind.name}" in source for kind in Kind)
    assert words.moment(NOON) == "2026-11-22 12:00 UTC"
