import hashlib
import io
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.simulator import SimulatedPool
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.transfers import PoolTransfers
from orchestrator.xapi.transfers_source import PoolSource
from plugins.errors import SourceError
from plugins.values import Disk, Snapshot

MIB = 1 << 20
SIZE = 8 * MIB


@dataclass
class Lab:
    pool: SimulatedPool
    client: Client
    transfers: PoolTransfers
    settings: PoolSettings

    def disk(self, size: int = SIZE) -> str:
        """A disk on the shared SR that is half full of noise; its uuid."""
        sr = next(ref for ref, row in self.pool.database.rows("SR") if row["name_label"] == "Shared SR")
        fields: dict[str, Any] = {key: {} for key in ("other_config", "xenstore_data", "sm_config")}
        names = {"name_label": "d", "name_description": "", "type": "user", "sharable": False, "read_only": False, "tags": []}
        ref = self.client.call("VDI.create", {**fields, **names, "SR": sr, "virtual_size": size})
        self.pool.control.fill_disk(ref, length=size // 2)
        return str(self.client.call("VDI.get_uuid", ref))

    def digest(self, vdi: str) -> str:
        return str(self.pool.control.disk(vdi, digest=True)["sha256"])

    def left(self) -> tuple[int, int]:
        """Tasks and sessions that the pool has, but for the session of the test's own client."""
        return len(self.pool.database.refs("task")), len(self.pool.database.refs("session")) - 1


Make = Callable[..., Lab]


@pytest.fixture
def make(make_simulated_pool: Callable[..., SimulatedPool], join: Callable[..., Client]) -> Iterator[Make]:
    """Make a pool and its transfers."""
    made: list[PoolTransfers] = []

    def at(patience: float = 10, stalled: float = 10, insecure: bool = False, **fields: Any) -> Lab:
        pool = make_simulated_pool(**{"hosts": 1, "vms": 0, **fields})
        pins = (pool.fingerprint,) if pool.fingerprint and not insecure else ()
        short = timedelta(seconds=2)
        secret = SecretStr(pool.password)
        settings = PoolSettings("lab", pool.url, pool.user, secret, fingerprints=pins, insecure=insecure, patience=short)
        made.append(PoolTransfers(settings, patience=patience, stalled=stalled))
        lab = Lab(pool, join(pool, insecure=insecure, fingerprints=pins), made[-1], settings)
        lab.client.call("pool.get_all")
        return lab

    yield at
    for transfers in made:
        transfers.close()


def whole(stream: io.RawIOBase) -> bytes:
    with stream:
        return bytes(stream.read() or b"")


@pytest.mark.parametrize("tls", [False, True])
def test_a_disk_is_read_as_it_is(make: Make, tls: bool) -> None:
    """Byte for byte; afterwards the pool has neither a task nor a session of ours."""
    at = make(tls=tls)
    vdi = at.disk()
    assert hashlib.sha256(whole(at.transfers.read_disk(vdi, SIZE))).hexdigest() == at.digest(vdi)
    assert at.left() == (0, 0)


def test_two_streams_share_a_session(make: Make) -> None:
    """The pool keeps few sessions for us: the last stream that ends logs out."""
    at = make()
    vdis = at.disk(), at.disk()
    with at.transfers.read_disk(vdis[0], SIZE), at.transfers.read_disk(vdis[1], SIZE):
        assert at.left()[1] == 1
    assert at.left() == (0, 0)


@pytest.mark.parametrize("error", [None, ["VDI_IO_ERROR", "Device I/O errors"]])
@pytest.mark.parametrize("after", [0, 100, MIB, SIZE - 1])
def test_a_stream_that_breaks_is_an_error_that_says_where(make: Make, after: int, error: list[str] | None) -> None:
    """Wherever it breaks, with xapi's page in the body or without: the disk, the bytes, and what the task says."""
    at = make()
    vdi = at.disk()
    at.pool.control.break_stream("export_raw_vdi", after=after, error=error)
    with pytest.raises(SourceError) as told:
        whole(at.transfers.read_disk(vdi, SIZE))
    assert vdi in str(told.value)
    assert f"of {SIZE} bytes" in str(told.value)
    assert (error or ["INTERNAL_ERROR"])[0] in str(told.value)
    assert at.left() == (0, 0)


def test_the_last_piece_waits_for_the_task(make: Make) -> None:
    """A task that fails after the last byte: whoever reads no further than the disk's size is told, too."""
    at = make()
    vdi = at.disk()
    at.pool.control.fail("task.get_record", ["HANDLE_INVALID", "task", "x"], times=None)
    stream = at.transfers.read_disk(vdi, SIZE)
    room = memoryview(bytearray(SIZE))
    have = stream.readinto(room[: SIZE - 1])
    while have < SIZE - 1:
        have += stream.readinto(room[have : SIZE - 1])
    with pytest.raises(SourceError, match="nobody says that they are all"):
        stream.readinto(room[SIZE - 1 :])
    stream.close()


def test_a_size_that_is_not_the_disks_is_an_error(make: Make) -> None:
    """Fewer bytes than were said, or more."""
    at = make()
    vdi = at.disk()
    for said in (SIZE + MIB, SIZE - MIB):
        with pytest.raises(SourceError, match=f"of {said} bytes"):
            whole(at.transfers.read_disk(vdi, said))


def test_closing_early_gives_it_up(make: Make) -> None:
    """No error, no task left, and the disk is free again."""
    at = make()
    vdi = at.disk()
    with at.transfers.read_disk(vdi, SIZE) as stream:
        assert len(stream.read(10)) == 10
    assert at.left() == (0, 0)


def test_a_disk_in_use_is_waited_for(make: Make) -> None:
    """A disk stays busy for a while after an export: nobody is told, it is begun again."""
    at = make()
    vdi = at.disk()
    at.pool.control.break_stream("export_raw_vdi", after=0, error=["VDI_IN_USE", "x", "export"], times=2)
    assert hashlib.sha256(whole(at.transfers.read_disk(vdi, SIZE))).hexdigest() == at.digest(vdi)
    assert at.left() == (0, 0)


def test_a_disk_that_stays_in_use_is_an_error_in_the_end(make: Make) -> None:
    """It is told when the patience is at its end."""
    at = make(patience=0.3)
    vdi = at.disk()
    at.pool.control.break_stream("export_raw_vdi", after=0, error=["VDI_IN_USE", "x", "export"], times=None)
    with pytest.raises(SourceError, match="VDI_IN_USE"):
        at.transfers.read_disk(vdi, SIZE)


def test_silence_is_an_error(make: Make) -> None:
    """A stream without a byte for too long is not waited for."""
    at = make(stalled=0.3, patience=0)
    vdi = at.disk()
    at.pool.control.delay("export_raw_vdi", 3)
    with pytest.raises(SourceError, match=r"no byte came for 0\.3 s"):
        at.transfers.read_disk(vdi, SIZE)


def test_a_host_that_sees_the_disk_is_gone_to(make: Make) -> None:
    """A 302 to another member is followed, under the same rules of trust."""
    at = make(hosts=2, tls=True, insecure=True)
    vdi = at.disk()
    db = at.pool.database
    coordinator = at.client.call("pool.get_all_records").popitem()[1]["master"]
    pbd = next(ref for ref, row in db.rows("PBD") if row["host"] == coordinator and db.get("SR", row["SR"])["name_label"] == "Shared SR")
    db.set("PBD", pbd, currently_attached=False)
    assert hashlib.sha256(whole(at.transfers.read_disk(vdi, SIZE))).hexdigest() == at.digest(vdi)


def test_a_host_that_is_not_trusted_gets_no_session(make: Make) -> None:
    """Only the coordinator's certificate is pinned: the other one is refused, by name."""
    at = make(hosts=2, tls=True, patience=0)
    vdi = at.disk()
    db = at.pool.database
    coordinator = at.client.call("pool.get_all_records").popitem()[1]["master"]
    for ref, row in db.rows("PBD"):
        if row["host"] == coordinator:
            db.set("PBD", ref, currently_attached=False)
    with pytest.raises(SourceError, match="TLS_FINGERPRINT_DIFFERS"):
        at.transfers.read_disk(vdi, SIZE)


def test_a_stranger_gets_no_session(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 302 to a host that is not of the pool is not followed."""
    at = make(hosts=2)
    vdi = at.disk()
    db = at.pool.database
    coordinator = at.client.call("pool.get_all_records").popitem()[1]["master"]
    for ref, row in db.rows("PBD"):
        if row["host"] == coordinator:
            db.set("PBD", ref, currently_attached=False)
    monkeypatch.setattr(at.pool.server, "secure_url", lambda _host: "https://203.0.113.9")
    with pytest.raises(SourceError, match=r"203\.0\.113\.9, which is none of its hosts"):
        at.transfers.read_disk(vdi, SIZE)


def test_what_is_not_there_is_an_error(make: Make) -> None:
    """The pool's own words, and no task left."""
    at = make()
    with pytest.raises(SourceError, match=r"HTTP 500.*Read_missing_uuid"):
        at.transfers.read_disk("nowhere", SIZE)
    assert at.left() == (0, 0)


def test_no_word_has_the_session(make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the URL, and as good as the password: no error and no line of the log has it."""
    caplog.set_level(logging.DEBUG)
    at = make(patience=0)
    seen: list[str] = []
    handle = at.pool.server.sessions.login
    monkeypatch.setattr(at.pool.server.sessions, "login", lambda *args: seen.append(handle(*args)) or seen[-1])
    vdi = at.disk()
    told = []
    for trouble in (
        lambda: at.pool.control.break_stream("export_raw_vdi", after=MIB),
        lambda: at.pool.control.fail("task.create", ["SESSION_INVALID", "s"]),
        lambda: at.pool.control.cut("export_raw_vdi", "before"),
    ):
        trouble()
        try:
            whole(at.transfers.read_disk(vdi, SIZE))
        except SourceError as error:
            told.append(repr(error))
    with pytest.raises(SourceError) as nothing:
        at.transfers.read_disk("nowhere", SIZE)
    assert seen
    assert not [one for one in seen if one in f"{told}{nothing.value!r}{caplog.text}"]


# -- writing -------------------------------------------------------------------------------------------------------


def test_a_disk_is_written_as_it_is(make: Make) -> None:
    """Byte for byte, told of each piece."""
    at = make()
    vdi = at.disk()
    contents, told = bytes(range(256)) * (SIZE // 256), hashlib.sha256()
    at.transfers.write_disk(vdi, SIZE, lambda: io.BytesIO(contents), told.update)
    assert at.digest(vdi) == told.hexdigest() == hashlib.sha256(contents).hexdigest()
    assert at.left() == (0, 0)


@pytest.mark.parametrize("given", [SIZE - 1, SIZE + 1])
def test_a_backup_of_another_size_is_not_written_as_if_it_were_whole(make: Make, given: int) -> None:
    """Fewer bytes than the disk has, or more: an error that says so."""
    at = make()
    vdi = at.disk()
    with pytest.raises(SourceError, match=f"{SIZE} bytes"):
        at.transfers.write_disk(vdi, SIZE, lambda: io.BytesIO(bytes(given)), lambda _piece: None)
    assert at.left() == (0, 0)


def test_writing_to_a_disk_in_use_begins_again_with_a_new_stream(make: Make) -> None:
    """The product is asked for the disk once more, since what was sent is gone."""
    at = make()
    vdi = at.disk()
    at.pool.control.break_stream("import_raw_vdi", after=MIB, error=["VDI_IN_USE", "x", "import"], times=1)
    opened: list[io.BytesIO] = []

    def again() -> io.BytesIO:
        opened.append(io.BytesIO(b"x" * SIZE))
        return opened[-1]

    at.transfers.write_disk(vdi, SIZE, again, lambda _piece: None)
    assert at.digest(vdi) == hashlib.sha256(b"x" * SIZE).hexdigest()
    assert [one.closed for one in opened] == [True, True]


def test_writing_that_fails_says_what_the_task_says(make: Make) -> None:
    """The pool's error by name, and how far it was."""
    at = make()
    vdi = at.disk()
    at.pool.control.break_stream("import_raw_vdi", after=MIB, error=["SR_FULL", "1", "2"])
    with pytest.raises(SourceError, match=f"of {SIZE} bytes were sent.*SR_FULL"):
        at.transfers.write_disk(vdi, SIZE, lambda: io.BytesIO(bytes(SIZE)), lambda _piece: None)


def test_what_the_reader_raises_ends_the_writing(make: Make) -> None:
    """The job was cancelled: its exception comes through, the pool's task is gone."""
    at = make()
    vdi = at.disk()

    def told(_piece: memoryview) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        at.transfers.write_disk(vdi, SIZE, lambda: io.BytesIO(bytes(SIZE)), told)
    assert at.left() == (0, 0)


# -- whole VMs -----------------------------------------------------------------------------------------------------


def test_a_vm_goes_out_and_comes_back(make: Make) -> None:
    """As XVA: exported from a snapshot, imported as a VM with a uuid of its own and the same disk."""
    at = make()
    vm = at.pool.add_vm("web", network=None, running=False, disk=False)
    vdi = at.disk()
    at.client.call(
        "VBD.create",
        {
            "VM": vm,
            "VDI": at.client.call("VDI.get_by_uuid", vdi),
            "userdevice": "0",
            "bootable": True,
            "mode": "RW",
            "type": "Disk",
            "unpluggable": True,
            "empty": False,
            "other_config": {},
            "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        },
    )
    snapshot = at.pool.add_snapshot("web", "for a backup")
    taken = Snapshot(at.client.call("VM.get_uuid", snapshot), "s", datetime.now(UTC), ())
    with PoolSource(at.transfers, taken).open_vm() as stream:
        xva = stream.read()
    sr = at.client.call("SR.get_uuid", next(ref for ref, row in at.pool.database.rows("SR") if row["name_label"] == "Shared SR"))
    made = at.transfers.write_vm(sr, len(xva), lambda: io.BytesIO(xva), lambda _piece: None)
    record = at.client.call("VM.get_record", at.client.call("VM.get_by_uuid", made))
    (vbd,) = record["VBDs"]
    assert at.digest(at.client.call("VBD.get_record", vbd)["VDI"]) == at.digest(vdi)
    assert at.left() == (0, 0)


def test_a_source_has_nothing_for_an_empty_disk(make: Make) -> None:
    """No request is made for it."""
    at = make()
    source = PoolSource(at.transfers, Snapshot("u", "s", datetime.now(UTC), ()))
    disk = Disk(0, "0", "u", "v", "d", 0)
    assert source.open_disk(disk).read() == b""
    assert source.changed(disk, "u") == ()


def test_closing_ends_who_waits(make: Make) -> None:
    """A process that stops does not wait for a disk to become free."""
    at = make(patience=60)
    vdi = at.disk()
    at.pool.control.break_stream("export_raw_vdi", after=0, error=["VDI_IN_USE", "x", "export"], times=None)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            at.transfers.read_disk(vdi, SIZE)
        except SourceError as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    at.transfers.close()
    waiting.join(60)
    assert told
