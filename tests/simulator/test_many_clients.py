"""Many clients at once: whatever they do to each other, the books balance afterwards."""

import concurrent.futures
import random
from typing import Any

from tests.simulator.conftest import NULL, Make, Refused, Setting, client_of

WORKERS, TURNS = 6, 60
# What may be answered to somebody whom another client overtook.
FAIR = frozenset(
    {
        "VM_BAD_POWER_STATE",
        "HANDLE_INVALID",
        "NETWORK_SRIOV_INSUFFICIENT_CAPACITY",
        "NO_HOSTS_AVAILABLE",
        "VM_HAS_PCI_ATTACHED",
        "VIF_IN_USE",
        "DEVICE_ALREADY_EXISTS",
        "TASK_CANCELLED",
        "OPERATION_NOT_ALLOWED",
        "HOST_DISABLED",
    }
)


def act(pool: Setting, seed: int) -> list[str]:
    """Random turns of one client; the codes of its refusals."""
    client, chance = client_of(pool.pool), random.Random(seed)
    refusals = []
    for turn in range(TURNS):
        vms = [ref for ref, row in client("VM.get_all_records").items() if not row["is_a_template"] and not row["is_control_domain"]]
        vm = chance.choice(vms) if vms else NULL
        calls: list[tuple[Any, ...]] = [
            ("VM.start", vm, False, False),
            ("VM.clean_shutdown", vm),
            ("VM.hard_shutdown", vm),
            ("VM.snapshot", vm, f"{seed}-{turn}"),
            ("VM.clone", vm, f"clone {seed}-{turn}"),
            ("VM.destroy", vm),
            ("VM.pool_migrate", vm, pool.host(chance.choice((1, 2))), {}),
            ("PIF.unplug", pool.logical(1)),
            ("PIF.plug", pool.logical(1)),
        ]
        try:
            client(*chance.choice(calls))
        except Refused as refused:
            refusals.append(refused.details[0])
    return refusals


def test_the_books_balance_when_many_clients_have_been_at_work(setting: Make) -> None:
    """No answer that xapi would not give; each VF is with the running VM that shows it or free; nothing is under way any more."""
    pool = setting(hosts=2, vfs=3, vms=8, speed=0.0005)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        refusals = [code for codes in workers.map(lambda seed: act(pool, seed), range(WORKERS)) for code in codes]
    assert set(refusals) <= FAIR
    vms = pool.client("VM.get_all_records")
    held = [pci for row in vms.values() for pci in row["attached_PCIs"]]
    assert len(held) == len(set(held))
    assert all(row["power_state"] == "Running" for row in vms.values() if row["attached_PCIs"])
    assert [row["current_operations"] for row in vms.values() if row["current_operations"]] == []
    assert [row["name_label"] for row in vms.values() if row["scheduled_to_be_resident_on"] != NULL] == []
    for port in pool.pool.state()["ports"]:
        assert port["leaked"] == 0
        assert port["free"] == port["total"] - sum(vf["attached"] is not None for vf in port["vfs"])
    assert sum(vf["attached"] is not None for port in pool.pool.state()["ports"] for vf in port["vfs"]) == len(held)
