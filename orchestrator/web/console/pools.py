"""The pools: SR-IOV as the configuration wants it against what is, with plans, and what the doctor finds."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Response

from orchestrator import bootstrap
from orchestrator.actions import sriov
from orchestrator.actions.desk import Desk, Proposal
from orchestrator.web.console.guards import Acting, Operator, PageRoute, Reader, Visit
from orchestrator.web.problems import Problem
from workflows.ports import PoolError

router = APIRouter(route_class=PageRoute)

VERBS = {"enable": ("Enable SR-IOV", "Do it: enable it"), "disable": ("Disable SR-IOV", "Do it: disable it")}
LEVELS = {"ok": "good", "warn": "warn", "warning": "warn", "fail": "bad", "error": "bad"}


@router.get("/pools")
def listed(visit: Reader) -> Response:
    """Each pool: what is wanted of it and how its ports stand. The pools are asked."""
    return visit.page("pools.html", **_all(visit))


@router.get("/pools/stand")
def piece(visit: Reader) -> Response:
    """What of it changes, for a page that is open."""
    return visit.page("_pools.html", **_all(visit))


def _all(visit: Visit) -> dict[str, Any]:
    at = visit.desk()
    with ThreadPoolExecutor(len(at.pools), "how pools stand") as asking:  # two that are silent are waited for once
        pools = list(asking.map(lambda name: _stands(at, name), sorted(access.name for access in at.pools)))
    return {"pools": pools, "wanted": bool(at.policy.sriov)}


@router.get("/pools/{pool}")
def doctor(visit: Reader, pool: str) -> Response:
    """What the doctor finds of one pool, the worst first. It is examined for that."""
    _assert_there(visit.desk(), pool)
    office = visit.counter.office
    found = bootstrap.examine(office.loaded, pool, office.pools[pool].client.haste)
    found.sort(key=lambda one: one["level"] == "ok")
    amiss = sum(one["level"] != "ok" for one in found)
    return visit.page("doctor.html", pool=pool, found=found, amiss=amiss, levels=LEVELS)


@router.get("/pools/{pool}/sriov/{name}/{verb}")
def plan(visit: Operator, pool: str, name: str, verb: str) -> Response:
    """What it would do, host by host, before anything is touched."""
    at = visit.desk(pool)
    heading, consent = _verb(verb)
    plans = _proposal(at, pool, name, verb).plans()
    return visit.page("plan.html", heading=f"{heading}: {name}", about="Pools", back="/pools", plans=plans, fields=[], consent=consent,
                      action=f"/pools/{pool}/sriov/{name}/{verb}", always=True)  # fmt: skip


@router.post("/pools/{pool}/sriov/{name}/{verb}")
def do(visit: Acting, pool: str, name: str, verb: str) -> Response:
    """Begin it; hosts that reboot wait for what the configuration asks for, which may be an approval."""
    _verb(verb)
    return visit.begin(f"{verb}-sriov", f"sriov {name}, pool {pool}", lambda at: _proposal(at, pool, name, verb), pool)


def _proposal(at: Desk, pool: str, name: str, verb: str) -> Proposal:
    meant = sriov.chosen(at.loaded, name, pool)
    return sriov.enable(at, meant) if verb == "enable" else sriov.disable(at, meant)


def _stands(at: Desk, pool: str) -> Mapping[str, Any]:
    meant = [(pool, policy) for policy in at.policy.sriov.values() if policy.pool in (None, pool)]
    address = at.loaded.pools[pool].url
    try:
        return {"name": pool, "address": address, "problem": "", "tables": sriov.status(at, meant)}
    except PoolError as error:
        return {"name": pool, "address": address, "problem": str(error), "tables": []}


def _assert_there(at: Desk, pool: str) -> None:
    if pool not in at.loaded.pools:
        raise Problem(404, "not-found", "The configuration has no pool of that name.")


def _verb(written: str) -> tuple[str, str]:
    if written not in VERBS:
        raise Problem(404, "not-found", "There is nothing of that name that may be done with SR-IOV.")
    return VERBS[written]
