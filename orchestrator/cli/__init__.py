"""The command `vfo`: it says what it did, in words or as JSON, and its exit code means it (0 done, 1 not so, 2 wrong input)."""


def main() -> None:
    """Run the command line; the entry point of the distribution."""
    from orchestrator.cli.app import run

    run()
