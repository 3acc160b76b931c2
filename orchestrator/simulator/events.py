"""The messages of class event: event.from (states since a token), the old event.next (a log), and event.inject."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from orchestrator.simulator.call import Call
from orchestrator.simulator.database import LoggedEvent
from orchestrator.simulator.errors import Failure, handle_invalid
from orchestrator.simulator.records import Record
from orchestrator.simulator.registry import Messages
from orchestrator.simulator.subscriptions import Subscription, Token
from orchestrator.simulator.tables import Table
from orchestrator.simulator.wire.xmlrpc import Int4

# How long changes are collected before an answer (xapi_globs.ml: event_from_delay); tasks alone are not kept waiting.
COLLECT = 0.05


def event(number: object, cls: str, operation: str, ref: str, record: Record | None) -> dict[str, Any]:
    """An event of event.from: its timestamp is always "0.0", a del has no snapshot."""
    fields = {"id": str(number), "timestamp": "0.0", "class": cls.lower(), "operation": operation, "ref": ref}
    return fields if record is None else {**fields, "snapshot": record}


def collect(subscription: Subscription, tables: list[Table], token: Token) -> tuple[list[dict[str, Any]], Token]:
    """The events after the token and the token after them: messages, then adds, then mods, then dels, each by class, newest first."""
    messages, adds, mods, dels = [], [], [], []
    last, last_message = token.database, token.messages
    for table in tables:
        name = table.cls.name
        if name == "message":
            changes = table.changes(token.messages)
            last_message = max(last_message, changes.last)
            messages += [event(0, name, "add", ref, entry.record) for ref, entry in changes.adds]
            messages += [event(0, name, "del", ref, None) for ref, _ in changes.dels]
            continue
        changes = subscription.filter(name.lower(), table.changes(token.database))
        last = max(last, changes.last)
        adds += [event(entry.created, name, "add", ref, entry.record) for ref, entry in changes.adds]
        mods += [event(entry.modified, name, "mod", ref, entry.record) for ref, entry in changes.mods]
        dels += [event(generation, name, "del", ref, None) for ref, generation in changes.dels]
    return [*messages, *adds, *mods, *dels], Token(last, last_message)


def wait_for(call: Call, deadline: float, ready: Callable[[], bool]) -> None:
    """Sleep, without the lock, until something is ready or the deadline (time.monotonic) is over.

    SESSION_INVALID when the session ends meanwhile; a deaf server waits on.
    """
    with call.db.changed:
        while True:
            call.check()
            call.server.sessions.live(call.session)
            now = time.monotonic()
            deaf = call.server.faults.deaf_for()
            if deaf > 0:
                call.db.changed.wait(deaf)
            elif now >= deadline or ready():
                return
            else:
                call.db.changed.wait(min(deadline - now, 3600.0))


def event_from(call: Call, classes: list[str], token: str, timeout: float) -> dict[str, Any]:
    """event.from: everything after the token as it is now, or nothing and the same token at the timeout (seconds)."""
    since = Token.parse(token)
    subscription = Subscription(classes)
    tables = subscription.tables(call.db)
    deadline = time.monotonic() + timeout
    delay = 0.0 if subscription.tasks_alone else COLLECT
    looked = {table.cls.name: since.messages if table.cls.name == "message" else since.database for table in tables}

    def news() -> bool:
        return any(table.newest > looked[table.cls.name] for table in tables)

    while True:
        wait_for(call, deadline, news)
        call.pause(min(delay, max(0.0, deadline - time.monotonic())))
        with call.db.lock:
            events, since = collect(subscription, tables, since)
            counts = {cls: Int4(count) for cls, count in call.db.counts().items()}
            for table in tables:  # what was not asked for is not looked at again; a token of the future stays ahead
                looked[table.cls.name] = max(looked[table.cls.name], table.newest)
        if events or time.monotonic() >= deadline:
            return {"events": events, "valid_ref_counts": counts, "token": str(since)}


def inject(call: Call, cls: str, ref: str) -> str:
    """event.inject: a mod of that object, and a token just before it; the class in its own case."""
    with call.db.lock:
        if cls not in call.db.tables or not call.db.exists(cls, ref):
            raise handle_invalid(cls, ref)
        before = Token(call.db.generation)
        call.db.touch(cls, ref)
    return str(before)


def get_current_id(call: Call) -> int:
    """event.get_current_id: the id of the newest event that event.next could tell."""
    return call.db.log[-1].id if call.db.log else 0


def register(call: Call, classes: list[str]) -> None:
    """event.register: what event.next tells this session from now on; more classes may be added later."""
    with call.db.lock:
        session = call.server.sessions.live(call.session)
        if session.registered is None:
            session.told = call.db.generation
        session.registered = (session.registered or frozenset()) | {one.lower() for one in classes}
        call.db.logging = True


def unregister(call: Call, classes: list[str]) -> None:
    """event.unregister: some classes are not told any more; the session counts as registered all the same (xapi_event.ml)."""
    register(call, [])
    session = call.server.sessions.live(call.session)
    session.registered = (session.registered or frozenset()) - {one.lower() for one in classes}


def event_next(call: Call) -> list[dict[str, Any]]:
    """event.next: every change since the last call; waits for one. EVENTS_LOST [] for who lagged too far behind."""
    session = call.server.sessions.live(call.session)
    if session.registered is None:
        track = hashlib.md5(call.session.encode(), usedforsecurity=False).hexdigest()
        raise Failure("SESSION_NOT_REGISTERED", f"trackid={track}")

    def news() -> list[LoggedEvent]:
        wanted = session.registered or frozenset()
        found = []
        for one in reversed(call.db.log):
            if one.id <= session.told:
                break
            if "*" in wanted or one.cls.lower() in wanted:
                found.append(one)
        return found[::-1]

    wait_for(call, float("inf"), lambda: bool(news()) or call.db.forgotten > session.told)
    call.pause(COLLECT)
    with call.db.lock:
        told, lost = news(), call.db.forgotten > session.told
        session.told = call.db.generation
    if lost:
        raise Failure("EVENTS_LOST")
    return [{**event(one.id, one.cls, one.operation, one.ref, one.record), "timestamp": f"{one.time:.0f}."} for one in told]


MESSAGES: Messages = {
    "event.from": event_from,
    "event.inject": inject,
    "event.get_current_id": get_current_id,
    "event.register": register,
    "event.unregister": unregister,
    "event.next": event_next,
}
