"""A death at every single XenAPI call that changes something: finer than a crash at every step."""

from collections.abc import Callable

from state.run import Run
from tests import scale
from tests.workflows.dying import Dying, Place, places
from tests.workflows.stage import Stage
from workflows.outcome import Request

DEATHS = 6
MISSED = 10  # one place in so many may be on a way that is not taken again: the pool goes at its own pace


def crash_everywhere(
    make: Callable[[], Stage],
    request_of: Callable[[Stage], Request],
    check: Callable[[Stage, Run], None],
    *,
    prepare: Callable[[Stage], None] | None = None,
    run: Callable[[Stage, Request], Run] = Stage.run,
) -> int:
    """Let the process die before and after each call that changes something, and let the run go on; how many places there are.

    It finds the step that notes and acts in one go. *prepare* changes the stage first (a workflow that is given up, a guest that does not
    listen), *run* takes it to its end. Fails with every place at which *check* did. Each run has a stage of its own and dies several times,
    far apart; once, where `VFO_TEST_LONG=1` asks for that, and to find out which death it was.
    """

    def ended(*deaths: Place) -> Dying:
        stage = make()
        if prepare:
            prepare(stage)
        dying = Dying(stage.port, *deaths)
        stage.pool = dying.pool()
        check(stage, run(stage, request_of(stage)))
        return dying

    def faults(deaths: list[Place]) -> list[str]:
        try:
            left = ended(*deaths).left
        except Exception as error:  # noqa: BLE001 - told below, with its place
            found = [fault for death in deaths for fault in faults([death])] if deaths[1:] else []
            return found or [f"{', '.join(map(str, deaths))}: {error}"]
        if deaths[1:]:  # it took another way
            return [fault for death in left for fault in faults([death])]
        missed.extend(left)
        return []

    missed: list[Place] = []
    every = places(ended().called)
    runs = len(every) if scale.LONG else -(-len(every) // DEATHS)
    failed = [fault for number in range(runs) for fault in faults(every[number::runs])]
    assert not failed, "\n".join(failed)
    assert len(missed) <= max(2, len(every) // MISSED), f"nobody died {', '.join(map(str, missed))}"
    return len(every)
