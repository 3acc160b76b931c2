"""What a client tells the step at work of its calls."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from orchestrator import calls_made
from orchestrator.calls_made import Calls
from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.pool import PoolPort
from tests.xapi import scripted
from workflows.ports import PoolError


def test_a_call_is_noted_with_what_it_is_about(simulated_pool: SimulatedPool, join: Callable[..., Client]) -> None:
    """By the uuid, which is known of what was asked for by it; a tag that is added is nobody's to read; refs are in none of it."""
    port = PoolPort(join(simulated_pool))
    vm, calls = port.vms()[0], Calls()
    with calls_made.noted(calls):
        port.tag(vm.uuid, "a secret tag")
    port.tag(vm.uuid, "nobody at work")
    lines = calls_made.lines(calls.packed())
    assert [(one.call, one.subject, one.error) for one in lines][-1] == ("VM.add_tags", vm.uuid, None)
    assert {one.subject for one in lines} == {vm.uuid}
    assert "secret" not in str(calls.packed())
    assert "OpaqueRef" not in str(calls.packed())


def test_each_attempt_is_noted_with_its_error(serve: Callable[..., scripted.Server], connect: Callable[..., Client]) -> None:
    """Also one that is made again, as a pool sees it."""
    answers = [scripted.Cut(), "x"]

    def script(method: str, _: object) -> object:
        if method == "VM.get_name_label":
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if method == "VM.start":
            raise scripted.Failure("VM_BAD_POWER_STATE", "OpaqueRef:1", "halted", "running")
        return scripted.POOL if method == "pool.get_all_records" else ""

    client, calls = connect(serve(script), patience=timedelta(seconds=20)), Calls()
    with calls_made.noted(calls):
        assert client.call("VM.get_name_label", "OpaqueRef:1") == "x"
        with pytest.raises(PoolError):
            client.call("VM.start", "OpaqueRef:1", False, False)
    assert [(one.call, one.error) for one in calls_made.lines(calls.packed())] == [
        ("VM.get_name_label", "CONNECTION_CUT"),
        ("VM.get_name_label", None),
        ("VM.start", "VM_BAD_POWER_STATE"),
    ]
