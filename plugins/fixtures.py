"""pytest fixtures for authors of plugins: no pool, no daemon, nothing imported before a test asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plugins.kit import Kit
    from plugins.testing import Sample
    from plugins.values import BackupVM


@pytest.fixture
def plugin_kit(tmp_path: Path) -> Iterator[Kit]:
    """A kit with a directory of its own and jobs in memory (`plugin_kit.jobs.wait(job)` waits for one)."""
    from plugins.kit import Kit
    from plugins.testing import MemoryJobs

    folder = tmp_path / "kit"
    folder.mkdir()
    jobs = MemoryJobs()
    yield Kit("test", folder, jobs)
    jobs.kill()


@pytest.fixture
def backup_vm() -> BackupVM:
    """A VM that is to be saved."""
    from plugins import testing

    return testing.vm()


@pytest.fixture
def backup_sample() -> Sample:
    """A snapshot with two disks (`backup_sample.snapshot`) and its data (`backup_sample.source()`)."""
    from plugins import testing

    return testing.sample()


@pytest.fixture
def check_plugin(tmp_path: Path) -> Callable[..., None]:
    """Hold a plugin's class to the contract: `check_plugin(Class, key=value, ...)`, the keys being those of its table."""

    def check(plugin: object, **written: Any) -> None:
        from plugins import checking

        checked = checking.check(plugin, written, tmp_path)
        wrong = [f"{one.name}: {one.message}" for one in checked if one.ok is False]
        if wrong:
            pytest.fail("\n".join(wrong), pytrace=False)

    return check
