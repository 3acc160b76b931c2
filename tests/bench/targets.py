"""What a benchmark holds its figures to: each beside its target, and which were missed."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def of(ours: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios, each taken within its round."""
    return statistics.median(one / other for one, other in zip(ours, others, strict=True))


def judged(figures: Mapping[str, tuple[float, float]], *, most: bool = False) -> dict[str, Any]:
    """Each figure beside its target, which it must reach (with *most*: not exceed), and as "missed" those that do not; NaN is missed."""
    found: dict[str, Any] = {}
    for name, (figure, target) in figures.items():
        found |= {name: round(figure, 2), f"{name}_target": target}
    missed = [name for name, (figure, target) in figures.items() if not (figure <= target if most else figure >= target)]
    return found | {"missed": missed}
