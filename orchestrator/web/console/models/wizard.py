"""What is answered in the four steps to a policy: read from an address, made into the tables that are written, and back. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

WHICH, WHERE, WHEN, SUMMARY = STEPS = ("which", "where", "when", "summary")
HEADINGS = {WHICH: "Which VMs", WHERE: "Where to", WHEN: "How and when", SUMMARY: "Summary"}
KEEPS = ("last", "daily", "weekly", "monthly", "yearly")
OF_WINDOW = ("window_name", "days", "time", "duration", "timezone", "catch_up", "blackouts")
FIELDS = {
    WHICH: ("name", "tags", "names", "folder", "power_state", "pools", "exclude_names", "exclude_tags"),
    WHERE: ("product",),
    WHEN: ("mode", "window", *OF_WINDOW, *KEEPS, "priority", "retries", "on_vf_gone", "shutdown", "hooks", "changed_blocks"),
}
LABELS = {
    "name": "Name of the policy", "tags": "Tags", "names": "Names", "folder": "Folder", "power_state": "Power state", "pools": "Pools",
    "exclude_names": "Names to leave out", "exclude_tags": "Tags to leave out", "product": "Product", "mode": "Mode", "window": "Window",
    "window_name": "Name of the window", "days": "Days", "time": "It opens at", "duration": "It is open for", "timezone": "By the clock of",
    "catch_up": "An opening that nobody was there for", "blackouts": "Not on", "last": "Keep the last", "daily": "Keep daily",
    "weekly": "Keep weekly", "monthly": "Keep monthly", "yearly": "Keep yearly", "priority": "Priority",
    "retries": "Tries after a failure", "on_vf_gone": "When the VF is gone", "shutdown": "A guest that does not shut down",
    "hooks": "Hooks", "changed_blocks": "Changed blocks",
}  # fmt: skip
REVISION = "revision"
KNOWN = frozenset({REVISION, *(name for names in FIELDS.values() for name in names)})
NEW = "+"  # the window that is made with the policy: no name begins so
DAYS = {"1": "Mon", "2": "Tue", "3": "Wed", "4": "Thu", "5": "Fri", "6": "Sat", "0": "Sun"}
LINES = ("names", "exclude_names", "exclude_tags")  # one a line
LONGEST, MANY = 4000, 200  # letters of a value, and values of a field
FRESH = {"days": ("1", "2", "3", "4", "5"), "time": ("22:00",), "duration": ("8h",), "timezone": ("UTC",)}
OF_POLICY = ("vms", "product", "window", "mode", "retention", "priority", "retries", "on_vf_gone", "shutdown", "hooks", "changed_blocks")

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answers:
    """What is answered, by the names of the fields."""

    values: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, pairs: Iterable[tuple[str, str]]) -> "Answers":
        """Of an address: what is not known is left out."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if name in KNOWN and len(found.get(name, ())) < MANY:
                found[name] = (*found.get(name, ()), value[:LONGEST].replace("\0", ""))
        return cls(found)

    @classmethod
    def written(cls, query: str) -> "Answers":
        """Of what `query` wrote."""
        return cls.read(parse_qsl(query, keep_blank_values=True))

    def query(self, *left_out: str) -> str:
        """As an address has it, without these fields."""
        return urlencode([pair for pair in self.pairs() if pair[0] not in left_out])

    def pairs(self, step: str = "") -> list[tuple[str, str]]:
        """Every field and value, but for those of the step."""
        own = FIELDS.get(step, ())
        return [(name, value) for name, values in self.values.items() if name not in own for value in values]

    def one(self, name: str) -> str:
        """What a field says; "" when nothing."""
        return self.values.get(name, ("",))[-1].strip()

    def many(self, name: str) -> list[str]:
        """What a field says that has several values, or several lines."""
        values = self.values.get(name, ())
        parts = [line.strip() for value in values for line in value.splitlines()] if name in LINES else values
        return list(dict.fromkeys(part for part in parts if part))

    def text(self, name: str) -> str:
        """A field with a line for each value, as it was written."""
        return "\n".join(self.values.get(name, ()))

    @property
    def is_change(self) -> bool:
        """Whether a policy that is written already is to be changed."""
        return bool(self.one(REVISION))

    @property
    def window(self) -> str:
        """The name of its window, be it there or new; "": none."""
        return self.one("window_name") if self.one("window") == NEW else self.one("window")

    @property
    def makes_window(self) -> bool:
        """Whether a window is made with it."""
        return self.one("window") == NEW


def selection(answers: Answers) -> Table:
    """`vms` of the table."""
    found: Table = {name: answers.many(name) for name in ("tags", "names", "power_state", "pools") if answers.many(name)}
    if answers.one("folder"):
        found["folder"] = answers.one("folder")
    exclude = {name: values for name in ("names", "tags") if (values := answers.many(f"exclude_{name}"))}
    return found | ({"exclude": exclude} if exclude else {})


def policy(answers: Answers, base: Mapping[str, Any]) -> Table:
    """The policy's table; what no step asks for stays as it is in *base*, the one that is changed."""
    table: Table = {name: value for name, value in base.items() if name not in OF_POLICY}
    table |= {"vms": selection(answers), "product": answers.one("product")}
    table |= {name: answers.one(name) for name in ("mode", "shutdown") if answers.one(name)}
    table |= {name: _number(answers.one(name)) for name in ("priority", "retries") if answers.one(name)}
    table |= {name: answers.many(name) for name in ("on_vf_gone", "hooks") if answers.many(name)}
    keep = {name: _number(answers.one(name)) for name in KEEPS if answers.one(name)}
    table |= {"window": answers.window} if answers.window else {}
    table |= {"retention": keep} if keep else {}
    return table | ({"changed_blocks": True} if answers.one("changed_blocks") else {})


def window(answers: Answers) -> Table:
    """The table of the window that is made with it."""
    hour, _, minute = answers.one("time").partition(":")
    days = answers.many("days")
    on = "*" if len(days) == len(DAYS) else ",".join(days)
    table: Table = {"schedule": f"{minute.lstrip('0') or '0'} {hour.lstrip('0') or '0'} * * {on}", "duration": answers.one("duration")}
    table |= {name: answers.one(name) for name in ("timezone", "catch_up") if answers.one(name)}
    blackouts = answers.one("blackouts").split()
    return table | ({"blackouts": blackouts} if blackouts else {})


def opening(answers: Answers) -> str:
    """When the window that is made with it opens, in words."""
    names = [name for number, name in DAYS.items() if number in answers.many("days")]
    days = "every day" if len(names) == len(DAYS) else ", ".join(names)
    return f"{days} at {answers.one('time')} by the clock of {answers.one('timezone') or 'UTC'}, for {answers.one('duration')}"


def _number(written: str) -> int | str:
    """What is no number stays as it is: the configuration's own words say what is wrong with it."""
    return int(written) if written.removeprefix("-").isdecimal() and len(written) < 10 else written


def filled(name: str, table: Mapping[str, Any], revision: str) -> Answers:
    """The answers that make this table."""
    vms = table.get("vms", {})
    exclude = vms.get("exclude", {})
    found: dict[str, Any] = {"name": name, REVISION: revision, **{key: vms.get(key) for key in ("tags", "power_state", "pools", "folder")}}
    found |= {"names": _lines(vms.get("names")), "exclude_names": _lines(exclude.get("names")), "exclude_tags": _lines(exclude.get("tags"))}
    plain = ("product", "mode", "window", "priority", "retries", "on_vf_gone", "shutdown", "hooks")
    found |= {key: table.get(key) for key in plain} | dict(table.get("retention", {}))
    found |= {"changed_blocks": "yes" if table.get("changed_blocks") else None}
    return Answers({key: values for key, value in found.items() if (values := _several(value))})


def _several(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [] if value in (None, "") else [value]
    return tuple(map(str, values))


def _lines(values: Any) -> str:
    return "\n".join(_several(values))


def field_of(key: str) -> str:
    """Which field a key of the policy's table is asked for by; "": none."""
    parts = [part for part in key.split(".") if not part.isdecimal()]
    if parts[:2] == ["vms", "exclude"]:
        return f"exclude_{parts[2]}" if len(parts) > 2 else "exclude_names"
    if parts[:1] == ["vms"]:
        return parts[1] if len(parts) > 1 else "names"
    if parts[:1] == ["retention"]:
        return parts[1] if len(parts) > 1 else "last"
    return parts[0] if parts and parts[0] in KNOWN else ""


def field_of_window(key: str) -> str:
    """As `field_of`, of the window's table."""
    first = key.partition(".")[0]
    return "time" if first == "schedule" else first if first in OF_WINDOW else "window_name"


def step_of(field: str) -> str:
    """The step that asks for the field; what none asks for is told at the end."""
    return next((step for step, names in FIELDS.items() if field in names), SUMMARY)


def earliest(wrong: Iterable[str], before: str) -> str | None:
    """The first step before this one with a field that is wrong."""
    places = [STEPS.index(step_of(field)) for field in wrong]
    first = min(places, default=len(STEPS))
    return STEPS[first] if first < STEPS.index(before) else None


def next_after(step: str) -> str:
    """The step after it."""
    return STEPS[STEPS.index(step) + 1]


def own_mistakes(answers: Answers, there: Sequence[str], in_file: Sequence[str], windows: Sequence[str]) -> dict[str, str]:
    """What is wrong with the fields that the tables do not have: names that are taken, days and a time that make no schedule."""
    wrong: dict[str, str] = {}
    name = answers.one("name")
    if not name:
        wrong["name"] = "write a name for the policy"
    elif name in in_file:
        wrong["name"] = "the configuration file has a policy of that name: take another"
    elif name in there and not answers.is_change:
        wrong["name"] = "there is a policy of that name: take another, or change that one"
    if answers.makes_window:
        if not answers.window or answers.window in windows:
            wrong["window_name"] = "there is a window of that name: choose it above, or take another" if answers.window else "write a name"
        if not set(answers.many("days")) & DAYS.keys():
            wrong["days"] = "choose a day at least"
        hour, colon, minute = answers.one("time").partition(":")
        if not (colon and hour.isdecimal() and minute.isdecimal() and int(hour) < 24 and int(minute) < 60):
            wrong["time"] = "write a time such as 22:00"
    return wrong
