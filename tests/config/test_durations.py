"""Durations as people write them."""

from datetime import timedelta

import pytest

from orchestrator.config import durations


@pytest.mark.parametrize("text", ["500ms", "45s", "90m", "8h", "30d"])
def test_what_is_written_is_read_again(text: str) -> None:
    """In the largest unit that leaves no rest."""
    assert durations.written(durations.parse(text)) == text


def test_nothing_is_written_too() -> None:
    """In whatever unit: it is nothing."""
    assert durations.parse(durations.written(timedelta())) == timedelta()
