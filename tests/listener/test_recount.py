from orchestrator.listener.recount import Recount
from tests.listener import pools


def test_a_class_that_differs_is_to_be_loaded() -> None:
    """Deletions were lost."""
    mirror = pools.mirror(pools.vm("a"), pools.vm("b"))
    assert Recount().differing(mirror, {**mirror.counts(), "vm": 1}) == ["vm"]


def test_a_difference_that_a_load_did_not_cure_is_not_loaded_again_at_once() -> None:
    """A server may count what it does not show; another difference is another matter."""
    mirror, counts = pools.mirror(pools.vm("a")), Recount()
    counts.loaded("vm", mirror, {"vm": 2})
    assert counts.differing(mirror, {"vm": 2}) == []
    assert counts.differing(mirror, {"vm": 3}) == ["vm"]


def test_an_excuse_does_not_last() -> None:
    """The same difference may be another one by then."""
    mirror, counts = pools.mirror(pools.vm("a")), Recount(excused_seconds=-1.0)
    counts.loaded("vm", mirror, {"vm": 2})
    assert counts.differing(mirror, {"vm": 2}) == ["vm"]
