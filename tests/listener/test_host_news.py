from orchestrator.listener import records
from orchestrator.listener.host_news import HostNews
from orchestrator.listener.mirror import Change, Mirror
from plugins.values import Happening, HostChanged
from tests.listener import pools
from tests.listener.pools import NOON

HOST = Change("host", "ref:one", None, records.Host("one"))


def pool(*, live: bool = True, enabled: bool = True, hosts: tuple[str, ...] = ("one",)) -> Mirror:
    found = pools.mirror()
    found.load("host", {f"ref:{host}": records.Host(host, host, enabled=enabled, metrics=f"ref:m-{host}") for host in hosts})
    found.load("host_metrics", {f"ref:m-{host}": records.HostMetrics(f"m-{host}", live=live) for host in hosts})
    return found


def news(*mirrors: Mirror) -> list[Happening]:
    told: list[Happening] = []
    host_news = HostNews("lab", told.append, lambda: NOON)
    for mirror in mirrors:
        host_news.settle_all(mirror)
    return told


def test_how_things_stand_at_first_is_no_news() -> None:
    """A daemon that starts does not tell of every host."""
    assert news(pool(), pool()) == []


def test_a_host_that_goes_and_comes_back_is_told() -> None:
    """Out of service by its toolstack, or by not answering."""
    assert news(pool(), pool(enabled=False), pool(live=False), pool()) == [
        HostChanged("lab", "one", "one", live=True, enabled=False, at=NOON),
        HostChanged("lab", "one", "one", live=False, enabled=True, at=NOON),
        HostChanged("lab", "one", "one", live=True, enabled=True, at=NOON),
    ]


def test_a_host_that_joins_or_leaves_the_pool_is_told() -> None:
    """By its name, also when it is gone."""
    told = news(pool(), pool(hosts=("one", "two")), pool())
    assert [(one.name, one.live, one.enabled) for one in told if isinstance(one, HostChanged)] == [
        ("two", True, True),
        ("two", False, False),
    ]


def test_changes_of_other_things_are_not_looked_at() -> None:
    """Only a host or its metrics make it look."""
    told: list[Happening] = []
    host_news = HostNews("lab", told.append, lambda: NOON)
    host_news.settle_all(pool())
    host_news.settle(pool(live=False), [Change("vm", "ref:web", None, pools.vm())])
    assert told == []
    host_news.settle(pool(live=False), [HOST])
    assert len(told) == 1
