"""What went wrong for others: each of those stories is a test here, or a page says why it cannot happen."""

import re
from itertools import chain
from pathlib import Path

import pytest

from tests.services import programs

ROOT = Path(__file__).parent.parent
STORIES = ROOT.parent / "shared" / "stories.md"
NAMED = re.compile(r"\bstor(?:y|ies) (\d+(?:(?:,| and| to|, and) \d+)*)")


def named(text: str) -> set[int]:
    """The numbers of the stories that a text names: "story 3", "stories 4, 5 and 6", "stories 55 to 60"."""
    found: set[int] = set()
    for words in NAMED.findall(re.sub(r"\s+", " ", text)):
        numbers = [int(number) for number in re.findall(r"\d+", words)]
        found |= set(range(numbers[0], numbers[-1] + 1)) if " to " in words else set(numbers)
    return found


def test_every_story_is_a_test_or_has_its_reason() -> None:
    """By its number, in the docstring of a test or on the page of the workflows."""
    if not STORIES.exists():
        programs.left_out(f"{STORIES} is not there")
    told = {int(number) for number in re.findall(r"^(\d+)\. ", STORIES.read_text(), re.MULTILINE)}
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    ours = set(chain.from_iterable(named(path.read_text()) for path in (*tests, ROOT / "workflows" / "README.md")))
    assert len(told) > 60
    assert sorted(told - ours) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("(story 3)", {3}), ("stories 4, 5 and 9", {4, 5, 9}), ("(stories 55\nto 57)", {55, 56, 57}), ("a history 3", set())],
)
def test_how_stories_are_named(text: str, numbers: set[int]) -> None:
    """One, several, and from one to another."""
    assert named(text) == numbers
