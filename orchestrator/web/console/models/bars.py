"""Numbers as bars: where each part begins and how long it is, for an SVG of width 100. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar; *x* and *width* of 100."""

    kind: str
    x: float
    width: float


def parts(counts: Mapping[str, int], kinds: Sequence[str]) -> list[Part]:
    """The parts of these kinds, one after the other; nothing for a bar of nothing."""
    whole = sum(counts[kind] for kind in kinds)
    found: list[Part] = []
    x = 0.0
    for kind in kinds:
        if counts[kind]:
            width = 100 * counts[kind] / whole
            found.append(Part(kind, round(x, 3), round(width, 3)))
            x += width
    return found
