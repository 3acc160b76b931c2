from state import inventory
from state.inventory import KnownVM
from state.store import Store
from tests.state.moments import START, later


def _vm(uuid: str, pool: str = "p", name: str = "web", seconds: float = 0) -> KnownVM:
    vifs = [{"uuid": f"vif-{uuid}", "device": "0", "MAC": "aa", "network": "n"}]
    return KnownVM(pool=pool, vm=uuid, ref=f"OpaqueRef:{uuid}", name=name, vifs=vifs, ports=["s1"], updated_at=later(seconds))


def test_what_is_put_is_known(store: Store) -> None:
    """VMs come back as they were put, by uuid, of their own pool only."""
    with store.write() as session:
        inventory.put(session, [_vm("1"), _vm("2"), _vm("3", pool="q")])
    with store.read() as session:
        known = inventory.known(session, "p")
    assert {uuid: vm.model_dump() for uuid, vm in known.items()} == {uuid: _vm(uuid).model_dump() for uuid in ("1", "2")}


def test_what_is_put_again_is_replaced(store: Store) -> None:
    """The newest knowledge of a VM is the only one."""
    with store.write() as session:
        inventory.put(session, [_vm("1")])
        inventory.put(session, [_vm("1", name="renamed", seconds=5)])
        found = inventory.get(session, "p", "1")
    assert found is not None
    assert (found.name, found.updated_at) == ("renamed", later(5))


def test_what_is_removed_is_not_known_any_more(store: Store) -> None:
    """Two thousand at once, and those that nobody knew are ignored."""
    with store.write() as session:
        inventory.put(session, [_vm(str(number)) for number in range(2100)])
        inventory.put(session, [_vm("0", pool="q")])
        inventory.put(session, [])
        inventory.remove(session, "p", [str(number) for number in range(2000)] + ["unheard of"])
        assert len(inventory.known(session, "p")) == 100
        assert inventory.get(session, "p", "0") is None
        assert set(inventory.known(session, "q")) == {"0"}
        assert inventory.known(session, "p")["2000"].updated_at == START
