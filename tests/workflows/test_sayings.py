"""Sentences about what is not known yet."""

from dataclasses import replace

from tests.workflows import backups
from tests.workflows.backups import Stages
from workflows import accounting, release_backup
from workflows.accounts import PortAccount


def test_a_total_that_is_not_known_is_not_said_to_be_none(stages: Stages) -> None:
    """A new database, and a port in motion: what is free and used is said alone."""
    look = replace(backups.staged(stages).port.look_at_ports()[0], name="host1/eth1", remaining=8, users=())
    said = accounting.in_words(look, PortAccount(total=0, leaked=0, promised=0))
    assert said == "host1/eth1: 8 free + 0 in use; how many VFs it has is not known before its numbers come to rest"
    assert accounting.in_words(look, PortAccount(total=8, leaked=0, promised=0)) == "host1/eth1: 8 VFs = 8 free + 0 in use"


def test_a_lost_release_is_about_its_vm_or_its_snapshot() -> None:
    """A snapshot whose run died before it was marked does not say the name of its VM."""
    said = {"snapshot": "s-1", "vm": "v-1", "run": "r-1", "until": "2026-11-22T12:00:00+00:00"}
    assert release_backup.again("lab", said, None).title == "snapshot s-1"
    assert release_backup.again("lab", {**said, "vm_name": "web-01"}, None).title == "VM web-01"
