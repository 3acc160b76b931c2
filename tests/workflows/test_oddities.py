"""What is odd about a port and is no leak, on a simulated pool behind its real wire."""

from collections.abc import Callable
from typing import Any

from orchestrator.simulator import vfs
from orchestrator.views import memories
from orchestrator.views import vfs as view
from state.run import Status
from tests.workflows.stage import Stage
from workflows import reclaim

Stages = Callable[..., Stage]


def rows(stage: Stage) -> dict[str, dict[str, Any]]:
    """The ports as `vfo vfs` shows them, after the reconciler has learned what there is."""
    for look in stage.port.look_at_ports():
        stage.ledger.learn(look)
    return {row["name"]: row for row in view.ports(stage.port, stage.ledger)}


def odd(stage: Stage, port: str = "host1/eth1") -> list[tuple[str, str]]:
    return [(one["kind"], one["text"]) for one in rows(stage)[port]["odd"]]


def logical_PIF(stage: Stage) -> str:
    db = stage.simulated.database
    return str(db.get("network_sriov", stage.simulated.network_sriov_on("host1") or "")["logical_PIF"])


def reclaimed(stage: Stage) -> Status:
    """How a run for the first host's port ends."""
    look = next(look for look in stage.port.look_at_ports() if look.name.startswith("host1/"))
    return stage.run(reclaim.request_for_port(stage.pool.name, look.port, look.name)).status


def test_nothing_is_odd_about_a_port_that_is_well(stages: Stages) -> None:
    """With VMs that use it."""
    assert odd(stages()) == []


def test_a_port_that_was_unplugged_by_hand_is_no_leak(stages: Stages) -> None:
    """It has no VFs, it is said so with the command that plugs it, and no run plugs it by itself (story 45)."""
    stage = stages(vms=0)
    rows(stage)
    stage.client.call("PIF.unplug", logical_PIF(stage))
    ((kind, text),) = odd(stage)
    assert (kind, "its logical PIF was unplugged" in text) == ("unplugged", True)
    assert reclaimed(stage) is Status.DONE
    assert not next(look for look in stage.port.look_at_ports() if look.name == "host1/eth1").attached


def test_vfs_that_vanish_are_neither_free_nor_leaked(stages: Stages) -> None:
    """A card that comes back with fewer VFs: how many it had is said, no run calls the others leaked (stories 24, 26)."""
    stage = stages(vms=0, hosts=1)
    rows(stage)
    _make_anew(stage, total=3)
    assert odd(stage) == [("vanished", "1 VFs have vanished, they are no leak: it has 3 and had 4")]
    assert rows(stage)["host1/eth1"]["missing"] == 0
    assert reclaimed(stage) is Status.DONE


def test_addresses_that_changed_are_said_and_nothing_else(stages: Stages) -> None:
    """No address is ever acted on, so other addresses after a boot change nothing but what people are told (story 27)."""
    stage = stages(vms=0, hosts=1)
    rows(stage)
    _make_anew(stage, bus="0000:5e:00.1")
    ((kind, text),) = odd(stage)
    assert kind == "moved"
    assert "the PCI addresses of its VFs changed" in text
    assert reclaimed(stage) is Status.DONE


def test_the_doctor_says_what_is_not_as_it_was(stages: Stages) -> None:
    """By the rows alone: what a look without memory cannot know, and nothing where nothing has changed."""
    stage = stages(vms=0, hosts=1)
    rows(stage)
    assert list(memories.differences(stage.port, stage.ledger)) == []
    _make_anew(stage, total=3, bus="0000:5e:00.1")
    found = list(memories.differences(stage.port, stage.ledger))
    assert [(one.level, one.subject) for one in found] == [("warn", "host1/eth1")] * 2
    assert found[0].text.startswith("1 VFs have vanished")
    assert "addresses of its VFs changed" in found[1].text


def _make_anew(stage: Stage, *, total: int | None = None, bus: str | None = None) -> None:
    """The port's VFs are made anew, and the card is not what it was."""
    db = stage.simulated.database
    stage.client.call("PIF.unplug", logical_PIF(stage))
    port = db.get("network_sriov", stage.simulated.network_sriov_on("host1") or "")["physical_PIF"]
    card = db.get("PIF", port)["PCI"]
    if total is not None:
        db.set("PCI", card, _total_vfs=total)
    if bus is not None:
        db.set("PCI", card, pci_id=bus)
    stage.client.call("PIF.plug", logical_PIF(stage))
    assert vfs.of_port(db, port)


def test_references_that_dangle_are_said_and_lose_nothing(stages: Stages) -> None:
    """A running VM whose attached_PCIs has more than there is: its VF counts as used, and the rest is told to people."""
    stage = stages(hosts=1, vms=0)
    vm = stage.simulated.add_vm("dangling", host="host1")
    held = stage.simulated.database.get("VM", vm)["attached_PCIs"]
    stage.simulated.database.set("VM", vm, attached_PCIs=[*held, "OpaqueRef:gone"])
    assert odd(stage) == [("dangling", "dangling refers to devices that XenAPI does not have any more")]
    assert rows(stage)["host1/eth1"]["missing"] == 0
    assert reclaimed(stage) is Status.DONE


def test_a_port_that_was_just_booted_is_no_leak(stages: Stages) -> None:
    """Right after a boot its VFs may be missing still: no number is believed, and nothing is cured (story 28)."""
    stage = stages(vms=0, hosts=2, policy=None)
    rows(stage)
    stage.simulated.control.host("host2", "off")
    stage.simulated.control.host("host2", "on")
    row = rows(stage)["host2/eth1"]
    assert row["missing"] is None
    assert any("booted less than" in reason for reason in row["in_flight"])


def test_a_reboot_by_the_guest_loses_nothing(stages: Stages) -> None:
    """The VM keeps its VIF and its VF, and before, during and after it the port's numbers add up or are not believed (story 31)."""
    stage = stages(hosts=1, vms=0)
    vm = stage.simulated.add_vm("web", host="host1")
    rows(stage)
    held = stage.simulated.state()["vms"][vm]["vfs"]
    stage.client.call("VM.clean_reboot", vm)
    assert rows(stage)["host1/eth1"]["missing"] == 0
    assert stage.simulated.state()["vms"][vm]["vfs"] == held
    assert reclaimed(stage) is Status.DONE
