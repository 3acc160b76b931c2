"""Whoever follows event.from knows the truth after every answer, whatever happened and whenever it asked."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from orchestrator.simulator.database import Database
from orchestrator.simulator.events import collect
from orchestrator.simulator.subscriptions import Subscription, Token

STEP = some.tuples(some.sampled_from(["create", "destroy", "rename", "move", "follow"]), some.integers(0, 99), some.integers(0, 2))


class Follower:
    """A mirror kept by events alone."""

    def __init__(self, db: Database, *classes: str) -> None:
        self.db = db
        self.subscription = Subscription(classes)
        self.token = Token()
        self.mirror: dict[tuple[str, str], Any] = {}

    def follow(self) -> None:
        events, self.token = collect(self.subscription, self.subscription.tables(self.db), self.token)
        for event in events:
            key = event["class"], event["ref"]
            if event["operation"] == "del":
                self.mirror.pop(key, None)
            else:
                assert (event["operation"] == "add") == (key not in self.mirror)
                self.mirror[key] = event["snapshot"].row

    def truth(self) -> dict[tuple[str, str], Any]:
        tables = self.subscription.tables(self.db)
        return {(table.cls.name.lower(), ref): row for table in tables for ref, row in self.db.rows(table.cls.name)}


@settings(max_examples=60, deadline=None)
@given(some.lists(STEP, max_size=60))
def test_a_mirror_kept_by_events_equals_the_database(steps: list[tuple[str, int, int]]) -> None:
    """One who follows everything, one who follows a class: adds are new to them, mods are not, and nothing is missing."""
    db = Database()
    networks = [db.create("network") for _ in range(3)]
    followers = [Follower(db, "*"), Follower(db, "VIF"), Follower(db, "network")]
    for step, number, network in steps:
        vifs = db.refs("VIF")
        chosen = vifs[number % len(vifs)] if vifs else None
        if step == "create":
            db.create("VIF", network=networks[network])
        elif step == "follow":
            followers[network].follow()
            assert followers[network].mirror == followers[network].truth()
        elif chosen and step == "destroy":
            db.destroy("VIF", chosen)
        elif chosen and step == "rename":
            db.set("VIF", chosen, device=str(number))
        elif chosen:
            db.set("VIF", chosen, network=networks[network])
    for follower in followers:
        follower.follow()
        assert follower.mirror == follower.truth()


@given(some.lists(STEP, max_size=40))
def test_both_ends_of_a_relation_always_agree(steps: list[tuple[str, int, int]]) -> None:
    """network.VIFs is what the VIFs say, each once."""
    db = Database()
    networks = [db.create("network") for _ in range(3)]
    for step, number, network in steps:
        vifs = db.refs("VIF")
        if step == "create":
            db.create("VIF", network=networks[network])
        elif vifs and step == "destroy":
            db.destroy("VIF", vifs[number % len(vifs)])
        elif vifs and step == "move":
            db.set("VIF", vifs[number % len(vifs)], network=networks[network])
    for network_ref, row in db.rows("network"):
        assert sorted(row["VIFs"]) == sorted(ref for ref, vif in db.rows("VIF") if vif["network"] == network_ref)
