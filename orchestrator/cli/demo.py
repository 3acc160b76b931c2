"""`vfo demo`: the whole journey, on a simulated pool."""

import typer


def demo() -> None:
    """Show it happen, in half a minute: a simulated pool, VMs deleted by another client, a crash, a leak, and the proof."""
    from orchestrator.cli import output
    from orchestrator.demo.story import tell

    raise typer.Exit(tell(output.console()))
