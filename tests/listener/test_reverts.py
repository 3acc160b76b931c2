"""A VM that was reverted is told from one whose owner took a VIF away, and gets back what the revert took."""

from typing import Any

import pytest

from orchestrator.listener import holdings, records, reverts, settlement, topology
from orchestrator.listener.causes import VmReverted
from orchestrator.listener.holdings import Holding
from orchestrator.listener.mirror import Mirror
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from tests.listener import pools, watched
from tests.listener.conftest import Start, Watch
from tests.listener.watched import until

LAN = {"device": "1", "MAC": "02:00:00:00:00:02", "network": "ref:lan"}


def pool(vbds: str, *vifs: records.VIF, **fields: Any) -> Mirror:
    """A pool with "web", of these VBDs ("ab" is two) and VIFs, and with the snapshot that is its parent: a VIF on "lan" and two VBDs."""
    web = pools.vm(VBDs=list(vbds), parent="ref:point", **fields)
    point = pools.vm("point", is_a_snapshot=True, snapshot_of="ref:web", VBDs=["y", "z"])
    return pools.mirror(web, point, vifs=(*vifs, pools.vif("point-1", VM="ref:point", **LAN)))


def before() -> Holding:
    """What is known of "web" before: a VIF that takes VFs, with what was set on it, one that does not, and two VBDs."""
    first = pools.vif(other_config={"a": "b"}, qos_algorithm_type="ratelimit", qos_algorithm_params={"kbps": "7"})
    mirror = pool("ab", first, pools.vif("web-1", **LAN))
    known = holdings.holding(mirror, topology.draw(mirror), "ref:web", None)
    assert known
    return known


def reverted(**fields: Any) -> Mirror:
    return pool("cd", pools.vif("new-1", **LAN), **fields)


def lost(mirror: Mirror, known: Holding | None = None) -> list[str]:
    return [note.uuid for note in reverts.lost(known or before(), mirror, "ref:web")]


def test_what_the_snapshot_has_not_is_lost() -> None:
    """Every VIF and VBD is another one, and they are those of the snapshot."""
    assert lost(reverted()) == ["web-0"]


KEPT = pools.vif("web-1", **LAN)
NEW = pools.vif("new-1", **LAN)


@pytest.mark.parametrize(
    "mirror",
    [
        pool("ab", KEPT),
        pool("ab"),
        pool("cd", KEPT),
        pool("ad", NEW),
        pool("ab", NEW),
        pool("cde", NEW),
        pool("", NEW),
        pool("cd", NEW, pools.vif("new-2", device="2", MAC="02:00:00:00:00:03", network="ref:lan")),
        pools.mirror(pools.vm(VBDs=["c", "d"], parent="ref:gone"), vifs=(NEW,)),
        pools.mirror(pools.vm(VBDs=["c", "d"], parent="ref:x"), pools.vm("x", VBDs=["y", "z"]), vifs=(NEW,)),
    ],
    ids=[
        "one VIF was destroyed", "all VIFs were", "another VIF is the same", "a VBD is the same", "all VBDs are", "a VBD is too many",
        "no VBD is there", "a VIF is too many", "its parent is gone", "its parent is no snapshot of it",
    ],
)  # fmt: skip
def test_what_is_not_certain_is_no_revert(mirror: Mirror) -> None:
    """A VIF that its owner destroyed stays away."""
    assert lost(mirror) == []


def test_a_vm_of_which_no_disk_was_known_cannot_be_told() -> None:
    """Nor can one that an older version wrote down."""
    known = before()
    assert lost(reverted(), Holding(known.vm, known.ref, known.name, known.vifs, known.ports)) == []


def test_a_vif_that_came_back_is_not_lost() -> None:
    """The snapshot had it, too: with another uuid, on the same network with the same MAC."""
    mirror = pool("cd", NEW, pools.vif("new-0"))
    mirror.load("vif", {**mirror.vifs, "ref:point-0": pools.vif("point-0", VM="ref:point")})
    assert lost(mirror) == []


def test_what_is_known_is_kept_until_the_revert_is_over() -> None:
    """Answers may come from the middle of it; what came of it is then told once, with what was set on the VIF."""
    known = {"web": before()}
    for _ in range(2):
        midway = pool("", current_operations={"task": "reverting"})
        found = settlement.settle(known, midway, topology.draw(midway), {"web"}, {"web"})
        assert (found.put, found.gone, found.later) == ([], {}, {"web"})
    mirror = reverted()
    found = settlement.settle(known, mirror, topology.draw(mirror), {"web"}, {"web"})
    assert found.reverted == {"web": VmReverted(known["web"], known["web"].vifs)}
    assert dict(known["web"].vifs[0].settings)["qos_algorithm_params"] == {"kbps": "7"}
    assert found.gone == {"web": None}
    assert found.destroyed == []


@pytest.fixture(name="lab")
def simulated(start: Start) -> SimulatedPool:
    """A pool at rest."""
    return start()


# -- on a simulated pool -----------------------------------------------------------------------------------------------------


def snapshot_without_vfs(client: Client, vm: str) -> str:
    """As a product makes it that wants no SR-IOV VIF in its snapshots; the VM has another VIF besides."""
    network = client.call("network.create", {"name_label": "lan", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    record = {"device": "3", "network": network, "VM": vm, "MAC": "02:00:00:00:00:77", "MTU": 1500, "other_config": {}}
    client.call("VIF.create", record | {"qos_algorithm_type": "", "qos_algorithm_params": {}})
    made: str = client.call("VM.snapshot", vm, "point", [])
    for vif in client.call("VM.get_VIFs", made):
        if client.call("VIF.get_network", vif) != network:
            client.call("VIF.destroy", vif)
    return made


@pytest.mark.parametrize("away", [False, True], ids=["while we listen", "while nobody listens"])
def test_a_reverted_vm_is_put_right(lab: SimulatedPool, watch: Watch, *, away: bool) -> None:
    """The run knows what the VM had: from the rows, which also say so after an absence."""
    uuid, vm = next(iter(watched.vms(lab, running=False).items()))
    client = watched.client_of(lab)
    point = snapshot_without_vfs(client, vm)
    watching = watch(lab).settle()
    (was,) = [client.call("VIF.get_record", vif) for vif in client.call("VM.get_VIFs", vm) if client.call("VIF.get_device", vif) != "3"]
    if away:
        watching.stop()
    client.call("VM.revert", point)
    if away:
        watching = watch(lab).settle()
    until(watching.runs)
    client.close()
    (run,) = watching.runs()
    assert (run.workflow, run.subject) == ("put-right", f"vm:{uuid}")
    assert [(one["device"], one["MAC"]) for one in run.data["missing"]] == [(was["device"], was["MAC"])]


def test_a_vif_that_its_owner_destroyed_stays_away(lab: SimulatedPool, watch: Watch) -> None:
    """Also the only one that the VM has; a deletion that comes later is told before it."""
    found = list(watched.vms(lab, running=False).items())
    client = watched.client_of(lab)
    watching = watch(lab).settle()
    for vif in client.call("VM.get_VIFs", found[0][1]):
        client.call("VIF.destroy", vif)
    watched.destroy(client, [found[1][1]])
    until(watching.runs)
    until(lambda: found[1][0] not in watching.known())
    client.close()
    assert [run.workflow for run in watching.runs()] == ["reclaim-vfs"]
