"""What of a pool's ports is not as it was when they were last accounted for: for the doctor, who sees the rest without memory."""

from collections.abc import Iterator

from orchestrator.xapi.findings import Finding, warn
from workflows import oddities
from workflows.accounts import Ledger
from workflows.ports import Looking, PoolError

REMEMBERED = ("vanished", "moved")


def differences(pool: Looking, ledger: Ledger) -> Iterator[Finding]:
    """VFs that vanished and addresses that changed, port by port; nothing is learned by it. A pool that does not answer says nothing."""
    try:
        looks = pool.look_at_ports()
    except PoolError:
        return
    for look in sorted(looks, key=lambda look: look.name):
        for oddity in oddities.of_port(look, ledger.account(look)):
            if oddity.kind in REMEMBERED:
                yield warn(look.name, oddity.text, oddity.advice)
