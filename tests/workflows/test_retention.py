from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from plugins.values import RestorePoint
from tests.workflows.products import point
from workflows import retention
from workflows.policies import Keep

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
MOMENTS = st.lists(st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)), max_size=40)  # noqa: DTZ001 - made aware below
KEEPS = st.builds(Keep, **{name: st.integers(0, 5) for name in ("last", "daily", "weekly", "monthly", "yearly")})
ZONES = st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/Los_Angeles"), ZoneInfo("Pacific/Auckland")])


def points(*moments: datetime) -> list[RestorePoint]:
    return [point(number, moment.replace(tzinfo=UTC)) for number, moment in enumerate(moments)]


def outlived(found: list[RestorePoint], keep: Keep, zone: ZoneInfo) -> list[str]:
    return [one.id for one in retention.outlived(found, keep, zone)]


def kept(found: list[RestorePoint], keep: Keep, zone: str = "UTC") -> list[str]:
    gone = outlived(found, keep, ZoneInfo(zone))
    return [one.id for one in found if one.id not in gone]


def test_a_policy_without_a_rule_keeps_everything() -> None:
    """Nobody has said what may go."""
    found = points(*(MIDNIGHT + timedelta(days=day) for day in range(9)))
    assert retention.outlived(found, Keep(), ZoneInfo("UTC")) == ()


def test_each_rule_keeps_the_newest_of_its_latest_periods() -> None:
    """Two a day for forty days: the last two, three days, two weeks, two months."""
    found = points(*(MIDNIGHT + timedelta(hours=12 * half) for half in range(80)))  # 1 March 00:00 to 9 April 12:00
    keep = Keep(last=2, daily=3, weekly=2, monthly=2)
    days = {found[number].taken_at.strftime("%m-%d %H") for number in range(80) if found[number].id in kept(found, keep)}
    assert days == {"04-09 12", "04-09 00", "04-08 12", "04-07 12", "04-05 12", "03-31 12"}


def test_days_on_which_nothing_was_saved_cost_nothing() -> None:
    """Three daily ones are the latest three that there are, however old."""
    found = points(MIDNIGHT, MIDNIGHT + timedelta(days=50), MIDNIGHT + timedelta(days=100), MIDNIGHT + timedelta(days=101))
    assert kept(found, Keep(daily=3)) == ["old-1", "old-2", "old-3"]


def test_a_day_is_one_of_the_windows_zone() -> None:
    """21:30 and 22:30 in UTC are one day there, and two in Berlin in summer."""
    late = datetime(2026, 6, 30, 21, 30, tzinfo=UTC)
    found = points(late, late + timedelta(hours=1))
    assert kept(found, Keep(daily=2), "UTC") == ["old-1"]
    assert kept(found, Keep(daily=2, monthly=2), "Europe/Berlin") == ["old-0", "old-1"]


def test_of_takes_nothing_of_other_vms_policies_and_pools() -> None:
    """Two policies may share a repository."""
    mine = point(1)
    others = [point(2, vm="vm-2"), point(3, policy="weekly"), point(4, pool="other")]
    assert retention.of([mine, *others], pool="lab", vm="vm-1", policy="nightly") == (mine,)


@given(MOMENTS, KEEPS, ZONES)
def test_the_newest_is_never_outlived_and_more_rules_keep_more(moments: list[datetime], keep: Keep, zone: ZoneInfo) -> None:
    """Nothing is named that is not there, oldest first; what one rule keeps no other rule takes away."""
    found = points(*moments)
    gone = outlived(found, keep, zone)
    in_order = [one.id for one in sorted(found, key=lambda one: (one.taken_at, one.id))]
    assert gone == [name for name in in_order if name in gone]
    assert gone == [] or gone[-1] != in_order[-1]
    if keep != Keep():
        assert len(found) - len(gone) <= max(1, keep.last) + keep.daily + keep.weekly + keep.monthly + keep.yearly
        for name in ("last", "daily", "weekly", "monthly", "yearly"):
            alone = Keep(**{name: getattr(keep, name)})
            assert alone == Keep() or set(gone) <= set(outlived(found, alone, zone))


@given(MOMENTS, KEEPS, ZONES)
def test_what_is_left_is_kept_the_next_time_too(moments: list[datetime], keep: Keep, zone: ZoneInfo) -> None:
    """Asked again at once nothing more goes."""
    found = points(*moments)
    gone = outlived(found, keep, zone)
    assert outlived([one for one in found if one.id not in gone], keep, zone) == []
