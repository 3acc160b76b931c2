"""Every hook there is, on one page. A plugin implements those it wants with `@hookimpl`; all values are frozen (plugins/values.py).

The hooks here observe: they are told what has happened, at least once (after a crash the same happening, with the same `run_id`, may come
again), one plugin after the other, each on its own. What they raise is logged and hurts nobody else.
"""

import pluggy

from plugins.values import RunEnded, VFFreed, VFLeaked

GROUP = "vf_orchestrator"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Observing:
    """What observers may be told of."""

    @hookspec
    def vf_freed(self, freed: VFFreed) -> None:
        """The VFs of a VM that is gone are proven free on a port."""

    @hookspec
    def vf_leaked(self, leaked: VFLeaked) -> None:
        """VFs of a port are neither free nor used by anybody; the run is stuck and holds the evidence."""

    @hookspec
    def run_ended(self, ended: RunEnded) -> None:
        """A run ended: done, refused, undone or stuck."""
