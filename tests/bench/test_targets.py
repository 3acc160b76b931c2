import sys
import types

import pytest

from tests.bench import __main__ as bench
from tests.bench import targets


@pytest.mark.parametrize(
    ("figure", "most", "missed"),
    [(0.9, False, []), (0.89, False, ["ratio"]), (0.9, True, []), (0.91, True, ["ratio"]), (float("nan"), False, ["ratio"])],
)
def test_a_figure_that_does_not_reach_its_target_is_missed(figure: float, most: bool, missed: list[str]) -> None:
    """At least the target, or at most where less is better; a figure that could not be taken is missed too."""
    said = targets.judged({"ratio": (figure, 0.9)}, most=most)
    assert (said["ratio_target"], said["missed"]) == (0.9, missed)


def test_of_two_rates_each_round_counts_alike() -> None:
    """The ratio is the median of the rounds' own ratios: what slowed down a whole round says nothing."""
    assert targets.of([10.0, 1.0, 30.0], [5.0, 0.5, 1.0]) == 2.0


@pytest.mark.parametrize(("missed", "code"), [([], 0), (["ratio"], 1)])
def test_a_missed_target_is_exit_code_1(
    missed: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures are printed whatever they are, and what was missed is named."""
    measured = types.SimpleNamespace(run=lambda: {"missed": missed})
    monkeypatch.setitem(sys.modules, "tests.bench.scale", measured)
    assert bench.main(["scale"]) == code
    said = capsys.readouterr()
    assert said.out == f'scale: {{"missed": {missed}}}\n'.replace("'", '"')
    assert said.err == ("missed their targets: scale: ratio\n" if missed else "")
