"""Those who wait in a window's run, as small as plain JSON can be: a pool may have thousands of VMs, and the row is written at every end.

*names*: the policies, hosts, SRs and ports, each once. *rest*: an entry for each VM that waits, in order: its uuid, name, tries, position,
seconds that it will take, and what it weighs on as numbers into *names*.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from workflows.planning import Candidate

Written = dict[str, Any]
PLACE = 3  # where an entry has its position


@dataclass(frozen=True, slots=True)
class Entry:
    """One who waits for the *tries*-th time (from 1). Its candidate's priority is its place in the list, whatever made it so."""

    candidate: Candidate
    tries: int = 1

    @property
    def uuid(self) -> str:
        """The VM's."""
        return self.candidate.vm

    @property
    def name(self) -> str:
        """The VM's."""
        return self.candidate.name


def written(candidates: Iterable[Candidate]) -> Written:
    """The list, in the order of the candidates."""
    fresh: Written = {"names": [], "rest": [], "last": 0}
    places: dict[str, int] = {}
    for one in candidates:
        fresh["last"] += 1
        fresh["rest"].append(_noted(Entry(replace(one, priority=-fresh["last"])), fresh["names"], places))
    return fresh


def read(found: Written) -> list[Entry]:
    """All who wait, in order."""
    return [one(noted, found) for noted in found["rest"]]


def length(found: Written) -> int:
    """How many wait."""
    return len(found["rest"])


def one(noted: Sequence[Any], found: Written) -> Entry:
    """The entry again."""
    names = found["names"]
    vm, name, tries, place, seconds, policy, host, SRs, ports = noted
    return Entry(
        Candidate(
            vm, name, names[policy], -place, None, timedelta(seconds=seconds), None if host is None else names[host],
            tuple(names[SR] for SR in SRs), tuple(names[port] for port in ports),
        ),
        tries,
    )  # fmt: skip


def noted(entry: Entry, found: Written) -> list[Any]:
    """The entry as it stands in the list."""
    return _noted(entry, found["names"], {name: place for place, name in enumerate(found["names"])})


def without(found: Written, entries: Iterable[Entry]) -> Written:
    """The list without these: the others are not even looked at, for they may be thousands."""
    gone = {-entry.candidate.priority for entry in entries}
    return {**found, "rest": [noted for noted in found["rest"] if noted[PLACE] not in gone]} if gone else found


def emptied(found: Written) -> Written:
    """The list with nobody in it."""
    return {**found, "rest": []}


def again(found: Written, entry: Entry) -> Written:
    """The list with this one at its end, to be tried once more."""
    last = found["last"] + 1
    entry = Entry(replace(entry.candidate, priority=-last), entry.tries + 1)
    return {**found, "last": last, "rest": [*found["rest"], noted(entry, found)]}


def _noted(entry: Entry, names: list[str], places: dict[str, int]) -> list[Any]:
    def place(name: str) -> int:
        if name not in places:
            places[name] = len(names)
            names.append(name)
        return places[name]

    one = entry.candidate
    host = None if one.host is None else place(one.host)
    return [
        one.vm, one.name, entry.tries, -one.priority, round(one.takes.total_seconds(), 1), place(one.policy), host,
        [place(SR) for SR in one.SRs], [place(port) for port in one.ports],
    ]  # fmt: skip
