"""The simulator as a process of its own, and as a pool inside a test."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.simulator import SimulatedPool, World
from tests.simulator.conftest import Client, client_of

ROOT = Path(__file__).parents[2]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the simulator with options."""
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "orchestrator.simulator", *options]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_the_first_line_is_all_a_client_needs(start: Start) -> None:
    """JSON with url, user, password, pool, fingerprint and control; one can log in with it at once."""
    process = start("--hosts", "1", "--control", "--password", "chosen")
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    assert list(line) == ["url", "user", "password", "pool", "fingerprint", "control"]
    assert (line["user"], line["password"], line["fingerprint"]) == ("root", "chosen", None)
    assert Client(line["url"], line["user"], line["password"])("pool.get_all") != []
    assert line["control"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(number: signal.Signals, start: Start) -> None:
    """Exit status 0, nothing more on stdout, nothing on stderr."""
    process = start("--hosts", "1")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("options", [("--vfs", "0"), ("--hosts", "0"), ("--host", "192.0.2.1")])
def test_options_that_will_not_do_are_one_line_and_status_2(options: tuple[str, ...], start: Start) -> None:
    """Before anything is served."""
    process = start(*options)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_with_tls_the_fingerprint_is_the_certificates(start: Start) -> None:
    """The first line's SHA-256 is that of what the port shows."""
    import hashlib
    import ssl
    from urllib.parse import urlsplit

    process = start("--hosts", "1", "--tls")
    assert process.stdout is not None
    line = json.loads(process.stdout.readline())
    url = urlsplit(line["url"])
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((url.hostname or "", url.port or 0)))
    assert url.scheme == "https"
    assert line["fingerprint"].replace(":", "").lower() == hashlib.sha256(shown).hexdigest()


def test_the_same_seed_gives_the_same_world() -> None:
    """Refs, uuids, names, sizes."""
    with SimulatedPool(hosts=2, seed=7) as one, SimulatedPool(hosts=2, seed=7) as other, SimulatedPool(hosts=2, seed=8) as third:
        assert one.database.refs("VM") == other.database.refs("VM")
        assert one.database.refs("VM") != third.database.refs("VM")


def test_half_of_the_vms_run_with_a_vf(simulated_pool: SimulatedPool) -> None:
    """Twelve VMs, six of them with a VF of the first port of some host; the template and a plain, managing NIC are there."""
    client = client_of(simulated_pool)
    vms = [row for row in client("VM.get_all_records").values() if not row["is_a_template"] and not row["is_control_domain"]]
    assert (len(vms), sum(len(row["attached_PCIs"]) for row in vms), sum(row["power_state"] == "Running" for row in vms)) == (12, 6, 6)
    assert client("VM.get_by_name_label", "Other install media") != []
    plain = [row for row in client("PIF.get_all_records").values() if row["management"]]
    assert [(row["capabilities"], row["device"]) for row in plain] == [([], "eth0")] * 3


def test_users_have_their_roles() -> None:
    """A reader may look and not touch."""
    with SimulatedPool(World(hosts=1, vms=1, users={"reader": ("secret", "read-only")})) as pool:
        reader = Client(pool.url, "reader", "secret")
        vm = reader.find("VM", "web-01")
        assert reader.refusal("VM.hard_shutdown", vm)[0] == "RBAC_PERMISSION_DENIED"


def test_a_pool_that_does_not_run_says_so() -> None:
    """Before start and after stop."""
    pool = SimulatedPool(hosts=1)
    with pytest.raises(RuntimeError):
        _ = pool.url
    pool.start().stop()
    pool.stop()
    with pytest.raises(RuntimeError):
        _ = pool.url


def test_naming_the_package_imports_nothing_of_it() -> None:
    """A pytest that only loads the fixtures stays quick."""
    look = "import sys, orchestrator.simulator.fixtures; print([m for m in sys.modules if m.startswith('orchestrator.simulator.')])"
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['orchestrator.simulator.fixtures']"


def test_the_certificates_are_records_too() -> None:
    """Each host's shows the fingerprint of its port, and host.get_server_certificate gives the certificate itself."""
    with SimulatedPool(hosts=2, tls=True) as pool:
        shown = {row["host"]: row["fingerprint_sha256"] for _, row in pool.database.rows("Certificate")}
        assert len(set(shown.values())) == 2
        assert shown[pool.server.coordinator] == pool.fingerprint


def test_the_disks_are_as_large_as_they_are_wanted() -> None:
    """Every VM's, in bytes; without a word they are of the sizes that real ones have."""
    with SimulatedPool(World(hosts=1, vms=3, disk=64 << 20)) as pool:
        sizes = {row["virtual_size"] for _, row in pool.database.rows("VDI") if row["name_label"].endswith(" disk")}
    assert sizes == {64 << 20}
