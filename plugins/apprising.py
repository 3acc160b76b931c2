"""Apprise (https://github.com/caronc/apprise), for whoever tells people by it: loaded when it is used, silent, its URLs kept to itself."""

import logging
from typing import Any

from plugins.errors import PluginError

LIBRARIES = ("apprise", "requests", "urllib3")
"""What apprise sends by; they write URLs into their logs."""
INFO, WARNING, FAILURE = "info", "warning", "failure"
NEEDED = 'apprise is not installed: pip install "vf-orchestrator[notify]"'


def made(urls: list[str]) -> Any:
    """Apprise with these URLs, which are tried one after the other, for as long as they take.

    Raises PluginError, which names a URL that apprise does not know by its number.
    """
    try:
        import apprise
    except ImportError:
        raise PluginError(NEEDED) from None
    _silence()
    found = apprise.Apprise(asset=apprise.AppriseAsset(service_timeout=0))
    wrong = [number for number, url in enumerate(urls, 1) if not found.add(url)]
    if wrong or not urls:
        raise PluginError(f"urls: number {wrong[0]} is none that apprise knows" if wrong else "urls: give at least one")
    return found


def _silence() -> None:
    """Nothing of its logs goes anywhere: they have URLs in them. What a result says of why it failed is made of its warnings."""
    for library in LIBRARIES:
        silent = logging.getLogger(library)
        silent.setLevel(logging.WARNING if library == "apprise" else logging.CRITICAL + 1)
        silent.propagate = False
        if not silent.handlers:
            silent.addHandler(logging.NullHandler())
