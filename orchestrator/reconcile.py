"""Account for every port of a pool, whatever the events said: what is missing becomes a run, what came back ends one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from workflows import accounting, reclaim
from workflows.accounts import Ledger, PortAccount
from workflows.outcome import Request
from workflows.ports import Pool, PortLook

Accounts = list[tuple[PortLook, PortAccount]]


def accounts(pool: Pool, ledger: Ledger) -> Accounts:
    """Look at every port and take the look into account. May raise PoolError."""
    return [(look, ledger.learn(look)) for look in pool.look_at_ports()]


def settle(
    pool: str,
    accounts: Iterable[tuple[PortLook, PortAccount]],
    ledger: Ledger,
    submit: Callable[[Request], object],
    retry: Callable[[UUID], object],
) -> None:
    """Submit a run for each port that lacks VFs that no run holds yet; retry the runs of a port that lacks fewer than they hold.

    A port in motion is left alone: the next time will do.
    """
    for look, account in accounts:
        if look.in_flight:
            continue
        missing = accounting.missing(look, account)
        if missing > account.leaked:
            submit(reclaim.request_for_port(pool, look.port, look.name))
        elif missing < account.leaked:
            for run_id in ledger.holders(look.port):
                retry(run_id)


def at_rest(data: Mapping[str, Any], accounts: Iterable[tuple[PortLook, PortAccount]]) -> bool:
    """Whether the ports that a run of reclaim-vfs is about can be looked at now: it may have been stuck because they could not."""
    return not any(look.in_flight for look, _ in accounts if look.attached and _concerns(data, look))


def _concerns(data: Mapping[str, Any], look: PortLook) -> bool:
    """Whether the run is about the port; one that knows neither ports nor networks may be about any."""
    networks = {vif["network"] for vif in data.get("vifs", ())}
    return look.port in data["ports"] if data.get("ports") else not networks or bool(networks.intersection(look.networks))
