"""Plugin webhook: what is sent is signed, what is answered is heard, and a job ends by a call-back or by being asked for."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.simulator import certificates
from plugins import callbacks, implementations, settings, signing
from plugins.contract_hooks import WINDOW
from plugins.errors import GiveUp, Refuse, RetryLater, Skip
from plugins.kit import Kit
from plugins.testing import NOON, Sample
from plugins.values import BackupEnded, BackupVM, Ended, HostChanged, RunEnded, VFFreed, VFLeaked, WindowChanged, WindowEnded
from plugins.webhook import Webhook
from plugins.webhook_settings import TOLD, WebhookSettings
from tests.plugins.vendor_server import SECRET, Answer, Vendor, serving

Make = Callable[..., Webhook]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with serving(Vendor()) as served:
        yield served


@pytest.fixture
def make(vendor: Vendor, plugin_kit: Kit, tmp_path: Path) -> Iterator[Make]:
    """The plugin with a table; told of everything unless that says otherwise."""
    made: list[Webhook] = []

    def one(**table: Any) -> Webhook:
        written = {"url": vendor.url, "secret": SECRET, "which": list(TOLD), **table}
        made.append(Webhook(settings.read(WebhookSettings, written, tmp_path), plugin_kit))
        made[-1]._server = replace(made[-1]._server, pauses=(0.01,))
        return made[-1]

    yield one
    for webhook in made:
        webhook.close()


# -- hooks -----------------------------------------------------------------------------------------------------


def test_what_is_sent_is_signed(make: Make, vendor: Vendor, backup_vm: BackupVM) -> None:
    """HMAC-SHA256 with the secret, over the time stamp, a point and the body; the same message has the same delivery."""
    make().before_vm(backup_vm)
    make().before_vm(backup_vm)
    first, second = vendor.got
    expected = hmac.new(SECRET.encode(), first.headers["X-VFO-Timestamp"].encode() + b"." + first.body, hashlib.sha256).hexdigest()
    assert first.headers["X-VFO-Signature"] == f"sha256={expected}"
    assert abs(float(first.headers["X-VFO-Timestamp"]) - time.time()) < 60
    assert first.headers["X-VFO-Delivery"] == second.headers["X-VFO-Delivery"]
    assert (first.said["event"], first.said["name"], first.said["vm"]["name"]) == ("before_vm", "test", backup_vm.name)
    assert vendor.unsigned == []


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(403, {"reason": "not on Sundays"}), Refuse, r"^not on Sundays$"),
        (Answer(410, "nothing new\n"), Skip, r"^nothing new$"),
        (Answer(409, {"message": "busy"}), RetryLater, r"^busy$"),
        (Answer(429), RetryLater, "answers 429"),
        (Answer(404, "<h1>\x1b[31mno</h1>"), GiveUp, r"answers 404: <h1> \[31mno</h1>$"),
        (Answer(302, headers={"Location": "https://example.net/"}), GiveUp, "redirects are not followed"),
    ],
)
def test_the_status_is_the_answer(
    make: Make, vendor: Vendor, backup_vm: BackupVM, answer: Answer, error: type[Exception], says: str
) -> None:
    """2xx go on, 403 refuse, 410 skip, 409, 425, 429 and 503 later, others failed; its text says why."""
    vendor.answers = [answer]
    with pytest.raises(error, match=says):
        make().before_vm(backup_vm)
    assert len(vendor.got) == 1


@pytest.mark.parametrize("header", ["120", "date"])
def test_a_service_says_when_it_wants_to_be_asked_again(make: Make, vendor: Vendor, backup_vm: BackupVM, header: str) -> None:
    """Retry-After, in seconds or as a date."""
    soon = (datetime.now(UTC) + timedelta(seconds=121)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    vendor.answers = [Answer(503, "loading", {"Retry-After": soon if header == "date" else header})]
    with pytest.raises(RetryLater) as told:
        make().before_vm(backup_vm)
    assert told.value.after is not None
    assert 60 < told.value.after.total_seconds() <= 121


def test_a_server_that_stumbles_is_asked_again(make: Make, vendor: Vendor, backup_vm: BackupVM) -> None:
    """A 5xx is tried so many times; each try is signed anew, and is the same delivery."""
    vendor.answers = [Answer(502), Answer(500)]
    make().before_vm(backup_vm)
    assert len(vendor.got) == 3
    assert len({one.headers["X-VFO-Delivery"] for one in vendor.got}) == 1
    vendor.answers = [Answer(500, "out of memory")] * 3
    with pytest.raises(RetryLater, match="answers 500: out of memory"):
        make().before_vm(backup_vm)


@pytest.mark.parametrize(("when", "error"), [("later", RetryLater), ("give-up", GiveUp), ("go-on", None)])
def test_what_follows_when_nobody_answers_is_in_the_table(
    make: Make, backup_vm: BackupVM, when: str, error: type[Exception] | None
) -> None:
    """Asked again later, failed, or on without it; the URL's path is not shown: it may hold a token."""
    hook = make(url="http://127.0.0.1:1/t0ken", when_unreachable=when)
    if error is None:
        hook.before_vm(backup_vm)
        return
    with pytest.raises(error, match=r"http://127\.0\.0\.1:1 cannot be asked") as told:
        hook.before_vm(backup_vm)
    assert "t0ken" not in str(told.value)


def test_every_hook_is_sent_with_its_values(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """Acting and observing ones: before_window, after_window, before_vm, after_vm, vf_freed, run_ended and all the others."""
    vm, pool, run = backup_vm, backup_vm.pool, backup_vm.run_id
    given: dict[str, tuple[Any, ...]] = {
        "before_window": (WINDOW,), "after_window": (WINDOW, WindowEnded(3, 1, 2)), "before_vm": (vm,), "before_snapshot": (vm,),
        "after_snapshot": (vm, Ended("taken")), "before_job": (vm, backup_sample.snapshot), "after_job": (vm, Ended("saved")),
        "after_vm": (vm, Ended("saved")), "vf_freed": (VFFreed(run, pool, vm.vm, vm.name, "host/eth1", 3, 8, NOON),),
        "vf_leaked": (VFLeaked(run, pool, "host/eth1", 2, {"looks": [1]}, NOON),),
        "run_ended": (RunEnded(run, pool, "assign-vf", "VM web", "stuck", "no", NOON),),
        "backup_ended": (BackupEnded(vm, Ended("failed", "full"), NOON),), "window_changed": (WindowChanged(WINDOW, None, NOON),),
        "host_changed": (HostChanged(pool, "h", "host-1", live=False, enabled=True, at=NOON),),
    }  # fmt: skip
    assert set(given) == set(TOLD)
    hook = make()
    for name, values in given.items():
        getattr(hook, name)(*values)
    assert vendor.events == list(given)
    assert vendor.got[list(given).index("vf_leaked")].said["leaked"]["evidence"] == {"looks": [1]}


def test_it_is_told_of_what_its_table_says(make: Make) -> None:
    """Other hooks are not called at all."""
    assert set(implementations.of(make(which=["vf_leaked"]))) == {"vf_leaked", *implementations.NEEDED, "needs"}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"url": "http://backup.example.net/x"}, "write https"),
        ({"url": "ftp://backup.example.net/x"}, "write a URL such as"),
        ({"url": "https://me:secret@backup.example.net/x"}, "leave user and password out"),
        ({"secret": "short"}, "at least 16 characters"),
        ({"which": ["before_vn"]}, "there is no hook 'before_vn'"),
        ({"listen": "0.0.0.0:9110"}, r"write \"127\.0\.0\.1:PORT\""),
        ({"callback_url": "https://vfo.example.net/"}, "give listen too"),
    ],
)
def test_a_table_that_is_not_safe_is_an_error(make: Make, table: dict[str, Any], says: str) -> None:
    """Before anything is sent, and without the value: it may be a secret."""
    with pytest.raises(settings.WrongSettings, match=says) as told:
        make(**table)
    assert "me:secret" not in str(told.value)
    assert "short" not in str(told.value)


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(plugin_kit: Kit, tmp_path: Path, backup_vm: BackupVM) -> None:
    """Over TLS nothing is said to such a server; with `ca_file` it is."""
    certificate = certificates.make("127.0.0.1")
    pem, key = tmp_path / "ca.pem", tmp_path / "key.pem"
    pem.write_text(certificate.pem)
    key.write_text(certificate.key)
    with serving(Vendor(), (pem, key)) as vendor:
        table = {"url": vendor.url, "secret": SECRET, "which": ["before_vm"], "tries": 1}
        with pytest.raises(RetryLater, match="SSLCertVerificationError"):
            Webhook(settings.read(WebhookSettings, table, tmp_path), plugin_kit).before_vm(backup_vm)
        assert vendor.got == []
        Webhook(settings.read(WebhookSettings, {**table, "ca_file": "ca.pem"}, tmp_path), plugin_kit).before_vm(backup_vm)
        assert vendor.events == ["before_vm"]


# -- as a product ----------------------------------------------------------------------------------------------


def begun(product: Webhook, vm: BackupVM, sample: Sample) -> str:
    return product.start_backup(vm, sample.snapshot, sample.source())


def test_it_keeps_the_contract(check_plugin: Callable[..., None], vendor: Vendor) -> None:
    """As a product whose jobs are asked for, and as a hook."""
    check_plugin(Webhook, url=vendor.url, secret=SECRET, which=["before_vm", "after_vm", "before_window"])
    assert vendor.unsigned == []


def test_a_job_is_asked_for_until_it_ends(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """At the URL that the service named; then no more."""
    product = make()
    job = begun(product, backup_vm, backup_sample)
    seen = product.poll_backup(job)
    assert (seen.state, seen.fraction, seen.read, seen.stored, seen.message) == ("running", 0.5, 7, 3, "copying")
    ended = product.poll_backup(job)
    assert (ended.state, ended.point) == ("done", str(backup_vm.run_id))
    asked = len(vendor.got)
    assert make().poll_backup(job) == ended
    assert begun(make(), backup_vm, backup_sample) == job
    assert len(vendor.got) == asked


def test_a_job_that_the_service_does_not_know_is_lost(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """It is begun anew under the same run."""
    product = make()
    job = begun(product, backup_vm, backup_sample)
    vendor.jobs.clear()
    assert product.poll_backup(job).state == "lost"
    assert begun(product, backup_vm, backup_sample) == job
    assert product.poll_backup(job).state == "running"


def test_a_service_that_is_away_for_a_moment_loses_no_job(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """The job goes on as far as is known, and the message says what is amiss."""
    product = make()
    job = begun(product, backup_vm, backup_sample)
    product.poll_backup(job)
    vendor.answers = [Answer(502)]
    seen = product.poll_backup(job)
    assert (seen.state, seen.read) == ("running", 7)
    assert "answers 502" in seen.message


def test_a_job_is_cancelled(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """202 is "not yet"; after that it does not go on, and is not cancelled twice."""
    product = make()
    job = begun(product, backup_vm, backup_sample)
    vendor.answers = [Answer(202)]
    assert not product.cancel_backup(job)
    assert product.cancel_backup(job)
    assert product.poll_backup(job).state == "failed"
    asked = len(vendor.got)
    assert product.cancel_backup(job)
    assert len(vendor.got) == asked


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(403, "no licence"), GiveUp, "will not: no licence"),
        (Answer(503, "busy"), RetryLater, "busy"),
        (Answer(200, {"status": "https://evil.example.net/x"}), GiveUp, "it must be one of its own"),
        (Answer(200, {}), GiveUp, "says no URL to ask for its status"),
    ],
)
def test_a_service_that_does_not_begin_is_told_of(
    make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample, answer: Answer, error: type[Exception], says: str
) -> None:
    """Refused, busy, or nothing that could ever be asked: nobody else is sent what we sign."""
    vendor.answers = [answer]
    with pytest.raises(error, match=says):
        begun(make(), backup_vm, backup_sample)


def test_a_status_that_makes_no_sense_ends_the_job(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> None:
    """It is never taken for done."""
    product = make()
    job = begun(product, backup_vm, backup_sample)
    vendor.answers = [Answer(200, {"state": "finished"})]
    with pytest.raises(GiveUp, match="state is 'finished'"):
        product.poll_backup(job)


# -- call-backs ------------------------------------------------------------------------------------------------


class Caller:
    """The vendor's end of the call-backs of a job."""

    def __init__(self, vendor: Vendor, product: Webhook) -> None:
        callback = next(one for one in reversed(vendor.got) if one.body).said["callback"]
        assert product._listener is not None
        port = product._listener.listen()
        self.url = callback["url"].replace(":0/", f":{port}/")
        self.key = callback["key"].encode()

    def call(self, said: Any, *, key: bytes | None = None, at: float | None = None) -> int:
        body = json.dumps(said).encode()
        timestamp = f"{time.time() if at is None else at:.3f}"
        return self.send(body, {"X-Vfo-Timestamp": timestamp, "X-Vfo-Signature": signing.signature(key or self.key, timestamp, body)})

    def send(self, body: bytes, headers: dict[str, str]) -> int:
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, data=body, headers=headers), timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code


@pytest.fixture
def listening(make: Make, vendor: Vendor, backup_vm: BackupVM, backup_sample: Sample) -> tuple[Webhook, str, Caller]:
    """A job whose service tells of it by call-backs alone."""
    vendor.answers = [Answer(202, {})]
    product = make(listen="127.0.0.1:0")
    job = begun(product, backup_vm, backup_sample)
    return product, job, Caller(vendor, product)


def test_a_call_back_ends_the_job(listening: tuple[Webhook, str, Caller], vendor: Vendor) -> None:
    """With its progress before, its restore point then; the service is not asked."""
    product, job, caller = listening
    assert product.poll_backup(job).state == "running"
    assert caller.call({"state": "running", "fraction": 0.5, "read": 9}) == 204
    assert product.poll_backup(job).read == 9
    assert caller.call({"state": "done", "point": "p9", "stored": 4, "details": {"speed": 3}}, at=time.time() + 1) == 204
    ended = product.poll_backup(job)
    assert (ended.state, ended.point, ended.stored, ended.details) == ("done", "p9", 4, {"speed": 3})
    assert vendor.events == ["start_backup"]


def test_a_call_back_outlives_the_process(listening: tuple[Webhook, str, Caller], make: Make) -> None:
    """What was heard is on the disk: the next process knows how the job ended."""
    product, job, caller = listening
    caller.call({"state": "done"})
    product.close()
    assert make().poll_backup(job).state == "done"


def test_a_job_that_has_ended_stays_as_it_ended(listening: tuple[Webhook, str, Caller]) -> None:
    """A late word changes nothing."""
    product, job, caller = listening
    caller.call({"state": "failed", "message": "tape broke"})
    caller.call({"state": "done"}, at=time.time() + 1)
    assert (product.poll_backup(job).state, product.poll_backup(job).message) == ("failed", "tape broke")


def test_a_call_back_must_be_signed_with_the_jobs_key(listening: tuple[Webhook, str, Caller]) -> None:
    """Neither nobody's, nor that of another job, nor the secret itself will do."""
    product, job, caller = listening
    other = signing.key_of_job(SECRET.encode(), "another").encode()
    assert [caller.call({"state": "done"}, key=key) for key in (b"guessed", other, SECRET.encode())] == [401] * 3
    assert caller.send(b'{"state": "done"}', {}) == 401
    assert product.poll_backup(job).state == "running"


@pytest.mark.parametrize("apart", [-400, 400])
def test_an_old_call_back_is_turned_away(listening: tuple[Webhook, str, Caller], apart: float) -> None:
    """Its time stamp is too far from now."""
    product, job, caller = listening
    assert caller.call({"state": "done"}, at=time.time() + apart) == 401
    assert product.poll_backup(job).state == "running"


def test_a_call_back_that_is_sent_again_changes_nothing(listening: tuple[Webhook, str, Caller]) -> None:
    """The last one as it was (its answer was lost) is no error; an earlier one, by whoever listened, is."""
    product, job, caller = listening
    now = time.time()
    messages = [(json.dumps({"state": "running", "read": read}).encode(), f"{now + read:.3f}") for read in (1, 2)]
    signed = [(body, {"X-VFO-Timestamp": at, "X-VFO-Signature": signing.signature(caller.key, at, body)}) for body, at in messages]
    assert [caller.send(*signed[0]), caller.send(*signed[1]), caller.send(*signed[1]), caller.send(*signed[0])] == [204, 204, 204, 401]
    assert product.poll_backup(job).read == 2


def test_a_call_back_that_makes_no_sense_is_turned_away(listening: tuple[Webhook, str, Caller]) -> None:
    """No JSON, a state that there is not, too long, a job that nobody knows."""
    product, job, caller = listening
    assert caller.call({"state": "finished"}) == 400
    assert caller.call(["done"], at=time.time() + 1) == 400
    assert caller.send(b"x" * (callbacks.MOST + 1), {}) == 400
    caller.url = caller.url.replace(job, "another")
    assert caller.call({"state": "done"}) == 404
    assert product.poll_backup(job).state == "running"


def test_a_second_process_leaves_the_port_to_the_first(listening: tuple[Webhook, str, Caller], make: Make) -> None:
    """And reads what that one hears."""
    first, job, caller = listening
    assert first._listener is not None
    second = make(listen=f"127.0.0.1:{first._listener.listen()}")
    assert second.poll_backup(job).state == "running"
    caller.call({"state": "done"})
    assert second.poll_backup(job).state == "done"


def test_what_is_known_of_old_jobs_goes(tmp_path: Path) -> None:
    """After a month; what is younger stays."""
    desk = callbacks.Desk(tmp_path, b"secret")
    desk.write("old", {"said": {}})
    desk.tidy()
    assert desk.read("old") == {"said": {}}
    desk.tidy(kept=-1)
    with pytest.raises(callbacks.Unknown):
        desk.read("old")
