"""Four weeks of openings as a calendar: each in its day, as long as it is, beside those that it overlaps. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from orchestrator.config import durations
from orchestrator.views import windows as view
from workflows.policies import BackupWindow
from workflows.windows import Window

WEEKS = 4
DAY = timedelta(days=1)
MOST = 400  # openings of a window: one that opens every few minutes is no matter for a calendar
SHOWN = 5  # openings of a day that are written out; the others are counted
MINUTES = 24 * 60
ROW, GAP, LANES = 4, 2, 8  # of a day's picture, whose width is the day's minutes
BACKUP, MAINTENANCE = "backup", "maintenance"


@dataclass(frozen=True, slots=True)
class Span:
    """One opening. *overlaps*: the names of other openings that are open meanwhile; *own*: its own clock, where that is another one."""

    kind: str
    window: str
    opens: datetime
    closes: datetime
    clock: str
    lasts: str
    own: str = ""
    overlaps: tuple[str, ...] = ()

    @property
    def href(self) -> str:
        """Where there is more of it; maintenance windows have no page."""
        return f"/backup/windows/{self.window}" if self.kind == BACKUP else ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of an opening in a day's picture: *x* and *width* in minutes, *y* as far down as there are others at the same time."""

    kind: str
    x: int
    width: int
    y: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day; *is_shown*: it is one of the four weeks. *more*: openings that are not written out. *blackouts*: windows that stay closed."""

    date: date
    spans: Sequence[Span] = ()
    more: int = 0
    bars: Sequence[Bar] = ()
    blackouts: Sequence[str] = ()
    is_today: bool = False
    is_shown: bool = False

    @property
    def height(self) -> int:
        """Of its picture."""
        return max((bar.y for bar in self.bars), default=0) + ROW


@dataclass(frozen=True, slots=True)
class Calendar:
    """*timezone*: whose clock and days it has. *cut*: windows that open too often to be shown to the end, and until when they are."""

    timezone: str
    weeks: Sequence[Sequence[Day]]
    cut: Mapping[str, datetime]


def made(backups: Iterable[BackupWindow], maintenance: Mapping[str, Window], now: datetime) -> Calendar | None:
    """The calendar by the clock that most of the windows have; None where there are no windows."""
    every = [(BACKUP, one) for one in backups]
    every += [(MAINTENANCE, BackupWindow(name, window)) for name, window in maintenance.items()]
    if not every:
        return None
    counted = Counter(one.window.timezone for _, one in every)
    timezone = min(counted, key=lambda name: (-counted[name], name))
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).date()
    ends = _begins(today + WEEKS * 7 * DAY, zone)
    spans: list[Span] = []
    cut: dict[str, datetime] = {}
    for kind, one in every:
        since = _begins(today, zone) - one.window.duration
        rows = view.upcoming([one], since, MOST)
        if len(rows) == MOST and rows[-1]["opens"] < ends:
            cut[one.name] = rows[-1]["opens"]
        spans += [_span(kind, one, row["opens"], zone) for row in rows if row["opens"] < ends]
    spans.sort(key=lambda span: (span.opens, span.window))
    return Calendar(timezone, _weeks(_overlapping(spans), [one for _, one in every], today, zone), cut)


def _begins(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _span(kind: str, one: BackupWindow, opens: datetime, zone: ZoneInfo) -> Span:
    closes, own = opens + one.window.duration, ZoneInfo(one.window.timezone)
    other = "" if _clock(opens, own) == _clock(opens, zone) else f"{_clock(opens, own)} {one.window.timezone}"
    clock = f"{_clock(opens, zone)}-{_clock(closes, zone)}"
    return Span(kind, one.name, opens, closes, clock, durations.written(one.window.duration), other)


def _clock(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%H:%M}"


def _overlapping(spans: Sequence[Span]) -> list[Span]:
    """Each with the names of those that are open at the same time; *spans* are in the order in which they open."""
    found: list[set[str]] = [set() for _ in spans]
    going: list[int] = []
    for place, span in enumerate(spans):
        going = [other for other in going if spans[other].closes > span.opens]
        for other in going:
            found[place].add(spans[other].window)
            found[other].add(span.window)
        going.append(place)
    return [replace(span, overlaps=tuple(sorted(names))) for span, names in zip(spans, found, strict=True)]


def _weeks(spans: Sequence[Span], windows: Sequence[BackupWindow], today: date, zone: ZoneInfo) -> list[list[Day]]:
    """From the Monday before today to the Sunday after the last day."""
    by_day: dict[date, list[Span]] = {}
    for span in spans:
        last = min((span.closes - timedelta(microseconds=1)).astimezone(zone).date(), today + WEEKS * 7 * DAY)
        day = max(span.opens.astimezone(zone).date(), today)
        while day <= last:
            by_day.setdefault(day, []).append(span)
            day += DAY
    shown = range(WEEKS * 7)
    monday = today - today.weekday() * DAY
    rows = -(-(today.weekday() + len(shown)) // 7)
    days = [monday + number * DAY for number in range(7 * rows)]
    made = [_day(day, by_day.get(day, []), windows, today, zone) for day in days]
    return [made[start : start + 7] for start in range(0, len(made), 7)]


def _day(day: date, spans: Sequence[Span], windows: Sequence[BackupWindow], today: date, zone: ZoneInfo) -> Day:
    if not today <= day < today + WEEKS * 7 * DAY:
        return Day(day)
    own = [span for span in spans if span.opens.astimezone(zone).date() == day]
    blackouts = [one.name for one in windows if day in one.window.blackouts]
    bars = _bars(day, spans, zone)
    return Day(day, own[:SHOWN], max(0, len(own) - SHOWN), bars, blackouts, is_today=day == today, is_shown=True)


def _bars(day: date, spans: Sequence[Span], zone: ZoneInfo) -> list[Bar]:
    """The day's part of each, in the first lane that is free."""
    lanes: list[int] = []
    bars = []
    for span in spans:
        x, ends = _minute(span.opens, day, zone), max(_minute(span.closes, day, zone), _minute(span.opens, day, zone) + MINUTES // 48)
        lane = next((number for number, free in enumerate(lanes) if free <= x), len(lanes))
        if lane == LANES:
            break
        lanes[lane:] = [ends, *lanes[lane + 1 :]]
        bars.append(Bar(span.kind, x, min(ends, MINUTES) - x, lane * (ROW + GAP)))
    return bars


def _minute(at: datetime, day: date, zone: ZoneInfo) -> int:
    """Which minute of the day's clock it is, the first where it was before, the last where it comes after."""
    local = at.astimezone(zone)
    return 0 if local.date() < day else MINUTES if local.date() > day else local.hour * 60 + local.minute
