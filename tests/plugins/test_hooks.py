"""A hook enters only with a shipped plugin that uses it, a section in the documentation, and a test."""

import re
from pathlib import Path

import pytest

from orchestrator import observers
from plugins import hooks, implementations, kinds
from plugins.kinds import Offer

ROOT = Path(__file__).parents[2]
TESTS = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
DOCUMENTATION = (Path(hooks.__file__).parent / "README.md").read_text()
PENDING: dict[str, str] = {}
"""What is not there yet, and what will bring it."""


@pytest.fixture(scope="module")
def used() -> dict[str, list[str]]:
    """Which shipped plugins have which hook."""
    found: dict[str, list[str]] = {}
    for offer in kinds.offers(()).values():
        assert isinstance(offer, Offer)
        kind = kinds.load(offer)
        for name in implementations.of(kind.target) if not kind.problem else ():
            found.setdefault(name, []).append(offer.name)
    return found


@pytest.mark.parametrize("name", implementations.VALUES)
def test_every_hook_has_a_section_and_a_test(name: str) -> None:
    """An author reads what it is for; we know that it is called as that says."""
    assert f"### `{name}`" in DOCUMENTATION
    told = [value.__name__ for value, hook in observers.HOOKS.items() if hook == name]
    assert [word for word in (name, *told) if re.search(rf"\b{word}\b", TESTS)]


@pytest.mark.parametrize("name", implementations.VALUES)
def test_every_hook_has_a_shipped_plugin_that_uses_it(name: str, used: dict[str, list[str]]) -> None:
    """A hook that nobody needed would be a guess; one that is pending is named, and only as long as it is."""
    assert bool(used.get(name)) != (name in PENDING), PENDING.get(name, f"no shipped plugin has {name}")
