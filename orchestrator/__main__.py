"""`python -m orchestrator` is `vfo`, where the script is not on the PATH."""

from orchestrator.cli import main

main()
