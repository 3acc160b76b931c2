"""Many at once on PostgreSQL, in threads and in processes: of what there is one, one gets it."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from orchestrator.ledger import PoolLedger
from state import alone, claims, history, holds, idempotency, jobs, leases, openings, promises, runs, several, told
from state.openings import Opening
from state.run import Run, Status
from state.store import Store
from state.told import Notice
from tests.state import moments
from tests.state.moments import LEASE, START, later
from workflows.outcome import Request
from workflows.ports import PortLook

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
THREADS = 8
LOOK = PortLook("port", "host/eth0", "host", "net", START, True, "sysfs", 1, (), (), None, "epoch")
ROUNDS = 25


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    """A store whose writers run beside each other."""
    opened = Store(postgres_url)
    yield opened
    opened.close()


def at_once(store: Store, work: Callable[[Session, int], T]) -> list[T]:
    """What each of eight threads comes to, all beginning together."""
    begin = threading.Barrier(THREADS)

    def one(number: int) -> T:
        begin.wait()
        return store.do(lambda session: work(session, number))

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(one, range(THREADS)))


def test_a_message_is_claimed_by_one(store: Store) -> None:
    """Of several who tell people, and a thing is noted once by all of them."""
    for number in range(ROUNDS):

        def note(session: Session, _: int, key: str = f"stuck:{number}") -> bool:
            return told.add(session, Notice(key=key, kind="stuck-run", seen_at=START), ("chat",))

        assert sum(at_once(store, note)) == 1
        taken = at_once(store, lambda session, _: told.claim(session, "chat", now=START, lease=LEASE, limit=9))
        assert [len(one) for one in taken if one] == [1]


def test_a_run_is_taken_by_one(store: Store) -> None:
    """However many have its message."""
    for number in range(ROUNDS):
        run = moments.create(store, f"vm:{number}")
        taken = at_once(store, lambda session, _, run=run: claims.claim(session, run.id, now=START, lease=LEASE))  # type: ignore[misc]
        assert len([one for one in taken if one is not None]) == 1


def test_a_run_that_died_is_recorded_by_one(store: Store) -> None:
    """Its former holder and the new one are at it together: the newest claim counts, the other writes nothing."""
    for number in range(ROUNDS):
        old = moments.claimed(store, f"vm:{number}")
        new = moments.claim(store, old, START + LEASE)
        assert new is not None
        hands = {0: old, 1: new}

        def record(session: Session, number: int, hands: dict[int, Run] = hands) -> bool:
            run = hands.get(number)
            return run is not None and claims.record(session, run, moments.ended(), history.Entry("first", "done"), now=START)

        assert at_once(store, record)[:2] == [False, True]
        with store.read() as session:
            assert len(history.of(session, old.id)) == 1


def test_a_subject_has_one_active_run(store: Store) -> None:
    """Whoever wants it, all are given the same."""
    for number in range(ROUNDS):
        made = at_once(store, lambda session, _, number=number: runs.create(session, moments.wanted(f"vm:{number}"), now=START))  # type: ignore[misc]
        assert len({run.id for run, _ in made}) == 1
        assert [new for _, new in made].count(True) == 1


def test_many_subjects_in_any_order_lock_nobody_out(store: Store) -> None:
    """A transaction that creates many runs meets another that creates the same ones the other way round."""

    def create(session: Session, number: int) -> int:
        subjects = (range(40), range(39, -1, -1), ())[min(number, 2)]
        return sum(runs.create(session, moments.wanted(f"vm:{one}"), now=START)[1] for one in subjects)

    assert sum(at_once(store, create)) == 40


def test_eight_that_create_the_same_runs_wait_for_no_deadlock(store: Store) -> None:
    """However each has ordered them: they are created in one order, and each is told of all in its own."""
    tries: list[int] = []

    def create(session: Session, number: int) -> list[str]:
        tries.append(number)
        subjects = [f"vm:{one}" for one in range(200)]
        if number % 2:
            subjects.reverse()
        made = several.create(session, [moments.wanted(one) for one in subjects], now=START)
        assert [run.subject for run, _ in made] == subjects
        return [run.subject for run, is_new in made if is_new]

    created = [subject for some in at_once(store, create) for subject in some]
    assert len(created) == len(set(created)) == 200
    assert sorted(tries) == list(range(THREADS))


def test_a_run_that_ends_is_cancelled_or_not(store: Store) -> None:
    """Who is told that it is cancelled finds it so in the row: it does not end as if nobody had asked."""
    for number in range(ROUNDS):
        run = moments.claimed(store, f"vm:{number}")

        def either(session: Session, number: int, run: Run = run) -> bool:
            if number == 0:
                return claims.record(session, run, moments.ended(), None, now=START)
            if number == 1:
                try:
                    runs.cancel(session, run.id, now=START, by="me")
                except runs.Impossible:
                    return False
                return True
            return False

        _, cancelled, *_ = at_once(store, either)
        assert moments.read(store, run).cancel_requested == cancelled
        with store.read() as session:
            assert len(history.of(session, run.id)) == int(cancelled)


def test_a_stuck_run_and_a_new_one_do_not_both_have_the_subject(store: Store) -> None:
    """Taking an old one up again and creating another: one of the two is refused, in words."""
    for number in range(ROUNDS):
        run = moments.claimed(store, f"vm:{number}")
        moments.record(store, run, moments.ended(Status.STUCK))

        def either(session: Session, one: int, run: Run = run, number: int = number) -> str:
            if one % 2:
                return "new" if runs.create(session, moments.wanted(f"vm:{number}"), now=START)[1] else ""
            try:
                runs.retry(session, run.id, now=START, by="me")
            except runs.Impossible:
                return ""
            return "again"

        assert len([said for said in at_once(store, either) if said]) == 1


def test_a_lease_is_held_by_one(store: Store) -> None:
    """Of those who stand by, one takes over."""
    for number in range(ROUNDS):
        at = later(number * 100)
        found = at_once(store, lambda session, one, at=at: leases.acquire(session, "l", f"p{one}", now=at, duration=LEASE))  # type: ignore[misc]
        assert len([lease for lease in found if lease is not None]) == 1


def test_what_one_run_has_no_other_has(store: Store) -> None:
    """Several things, wanted in any order by all: one gets them all, the others get none and are told who has them."""
    for number in range(ROUNDS):
        wanting = [moments.claimed(store, f"vm:{number}:{one}") for one in range(THREADS)]

        def take(session: Session, one: int, wanting: list[Run] = wanting, number: int = number) -> UUID | None:
            things = [f"a{number}", f"b{number}", f"c{number}"]
            holder = holds.take(session, wanting[one], things[one % 3 :] + things[: one % 3], now=START)
            return None if holder is None else holder.run_id

        found = at_once(store, take)
        [winner] = [run.id for run, holder in zip(wanting, found, strict=True) if holder is None]
        assert {holder for holder in found if holder is not None} == {winner}


def test_of_two_that_want_what_the_other_has_one_is_told(store: Store) -> None:
    """The one that asks second sees that the first waits for it: else both would wait for ever."""
    for number in range(ROUNDS):
        pair = [moments.claimed(store, f"vm:{number}:{one}") for one in range(2)]
        for one, run in enumerate(pair):
            thing = f"{number}:{one}"
            store.do(lambda session, thing=thing, run=run: holds.take(session, run, [thing], now=START))  # type: ignore[misc]

        def want(session: Session, one: int, pair: list[Run] = pair, number: int = number) -> bool:
            if one > 1:
                return False
            holder = holds.take(session, pair[one], [f"{number}:{1 - one}"], now=START)
            assert holder is not None
            if not holder.circular:
                assert claims.record(session, pair[one], moments.parked(holds.wake_key(holder.run_id)), None, now=START)
            return holder.circular

        assert at_once(store, want).count(True) == 1


def test_what_is_let_go_wakes_whoever_came_to_wait_meanwhile(store: Store) -> None:
    """Either the taker gets it, or its wait is seen by who lets it go: nobody waits for what is free."""
    for number in range(ROUNDS):
        owner, taker = moments.claimed(store, f"vm:{number}:o"), moments.claimed(store, f"vm:{number}:t")
        store.do(lambda session, owner=owner, number=number: holds.take(session, owner, [f"x{number}"], now=START))  # type: ignore[misc]

        def either(session: Session, one: int, owner: Run = owner, taker: Run = taker, number: int = number) -> None:
            if one == 0:
                assert claims.record(session, owner, moments.ended(), None, now=START)
                holds.release(session, owner)
                claims.wake(session, [holds.wake_key(owner.id)], now=START)
            elif one == 1:
                holder = holds.take(session, taker, [f"x{number}"], now=START)
                if holder is not None:
                    assert claims.record(session, taker, moments.parked(holds.wake_key(holder.run_id)), None, now=START)

        at_once(store, either)
        found = moments.read(store, taker)
        with store.read() as session:
            has = holds.of(session, taker.id)
        assert has or found.waits_on is None


def test_the_last_vf_is_promised_to_one(store: Store) -> None:
    """The sum of the promises never exceeds what is there."""
    for number in range(ROUNDS):
        look = replace(LOOK, port=f"port{number}")
        begin = threading.Barrier(THREADS)

        def promise(one: int, look: PortLook = look, begin: threading.Barrier = begin) -> bool:
            begin.wait()
            return PoolLedger(store, "pool").promise(look, f"vm{one}", 1, uuid4())

        with ThreadPoolExecutor(THREADS) as threads:
            assert list(threads.map(promise, range(THREADS))).count(True) == 1
        with store.read() as session:
            assert sum(promises.on(session, "pool", look.port).values()) == 1


def test_a_leaked_vf_is_held_by_one(store: Store) -> None:
    """Two runs that found the same leak do not both cure it."""
    for number in range(ROUNDS):
        begin = threading.Barrier(THREADS)

        def hold(one: int, port: str = f"port{number}", begin: threading.Barrier = begin) -> int:
            begin.wait()
            return PoolLedger(store, "pool").hold_leaks(port, 2, UUID(int=one + 1))

        with ThreadPoolExecutor(THREADS) as threads:
            assert sum(threads.map(hold, range(THREADS))) == 2


def test_a_window_opens_once(store: Store) -> None:
    """However many look at the clock."""
    for number in range(ROUNDS):
        at = later(number * 60)

        def note(session: Session, one: int, at: object = at) -> bool:
            row = {"window": "night", "pool": "p", "opens_at": at, "closes_at": at, "status": openings.RUN, "run_id": UUID(int=one)}
            return openings.note(session, Opening(**row, noted_at=at))  # type: ignore[arg-type]

        assert at_once(store, note).count(True) == 1


def test_a_job_is_begun_by_one(store: Store) -> None:
    """Anew when it is lost, and then by one too."""
    for number in range(ROUNDS):
        at = later(number * 1000)

        def begin(session: Session, one: int, at: datetime = at) -> jobs.Claim | None:
            return jobs.claim(session, "j", UUID(int=1), "borg", holder=f"p{one}", now=at, lease=LEASE)

        assert len([one for one in at_once(store, begin) if one is not None]) == 1


def test_one_after_the_other_where_it_must_be(store: Store) -> None:
    """Who is past the line reads what the one before wrote."""
    found = at_once(store, lambda session, _: _counted(session))
    assert sorted(found) == list(range(THREADS))


def _counted(session: Session) -> int:
    alone.at(session, "counting")
    seen = len(runs.listed(session))
    runs.create(session, Request("work", "pool", f"n:{seen}", ""), now=START)
    return seen


def test_processes_take_every_run_once(store: Store, postgres_url: str) -> None:
    """Four of them, each looking for what is due and taking it: each run is done once, and nobody fails."""
    for number in range(200):
        moments.create(store, f"vm:{number}")
    program = (ROOT / "tests/state/test_processes.py").read_text().partition('TAKER = """')[2].partition('"""')[0]
    takers = [
        subprocess.Popen([sys.executable, "-c", program, postgres_url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for taker in takers:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("go\n")
        taker.stdin.flush()
    assert sum(int(taker.communicate(timeout=60)[0]) for taker in takers) == 200
    with store.read() as session:
        assert runs.counts(session)[Status.DONE] == 200


def test_a_reader_of_history_misses_no_entry_that_is_committed_late(store: Store) -> None:
    """Numbers are given in one order and committed in another: who follows looks back a little."""
    early, late = moments.create(store, "vm:1"), moments.create(store, "vm:2")
    with store.write() as session:
        history.add(session, early.id, history.Entry("first", "done"), now=START)
        store.do(lambda other: history.add(other, late.id, history.Entry("second", "done"), now=START))
        with store.read() as reader:
            [seen] = history.of_several(reader, [early.id, late.id])
    with store.read() as session:
        found = history.of_several(session, [early.id, late.id], after=(seen.seq or 0) - history.OVERLAP)
    assert [entry.step for entry in found] == ["first", "second"]


def test_of_those_who_ask_under_one_key_one_does_it(store: Store) -> None:
    """The others find its answer, once it is committed."""
    for number in range(ROUNDS):

        def ask(session: Session, who: int, key: str = f"k{number}") -> str:
            before = idempotency.take(session, "ann", key, "hash", now=START)
            if before is not None:
                return f"told {before.answer['who']}"
            idempotency.keep(session, "ann", key, status=202, answer={"who": who})
            return f"did {who}"

        said = at_once(store, ask)
        (did,) = [one for one in said if one.startswith("did")]
        assert {one for one in said if one != did} == {f"told {did.removeprefix('did ')}"}
