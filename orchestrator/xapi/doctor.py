"""What stands in the way at one pool: reaching it, trusting it, being allowed, and its hosts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from orchestrator.xapi import hosts_doctor, roles, tls
from orchestrator.xapi.client import Client
from orchestrator.xapi.findings import Finding, fail, ok, warn
from orchestrator.xapi.hosts_doctor import Ward
from orchestrator.xapi.records import PCI, PIF, VM, Host, HostMetrics, Network, Pool, Sriov
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.tls import Trust
from workflows.ports import Denied, Gone, PoolError, Transient

PATIENCE = 5.0
RENEW = timedelta(days=30)


def examine(client: Client, settings: PoolSettings) -> list[Finding]:
    """Everything that can be found; when the pool cannot be talked to, why. Takes some seconds at most, and changes nothing."""
    found = list(_encryption(settings))
    try:
        pool = next(iter(client.fetch(dict[str, Pool], "pool.get_all_records", patience=PATIENCE).values()))
    except PoolError as error:
        return [*found, _unreached(settings, error)]
    found.append(ok("login", f"{settings.username} at {client.address}, coordinator of pool {pool.name_label}"))
    try:
        ward = _ward(client)
        found += [*_role(client, settings), *_licence(pool), *_members(ward.hosts, settings), *hosts_doctor.examine(ward)]
    except PoolError as error:
        found.append(fail("pool", f"the examination ended early: {error}", "run vfo doctor again"))
    return found


def _encryption(settings: PoolSettings) -> Iterator[Finding]:
    """How the server is verified, and how long its certificate still holds."""
    if urlsplit(settings.url).scheme != "https":
        yield warn("TLS", "not encrypted: the password crosses the network as plain text", "use an https:// url")
        return
    try:
        seen = _certificate(settings)
    except OSError:
        return  # what is found at the login says more
    described = f"certificate of {seen.subject} verified {Trust(settings).described}, valid until {seen.not_after:%Y-%m-%d}"
    if settings.insecure and not settings.fingerprints:
        yield warn("TLS", "the server is not verified (insecure = true)", f'pin it: fingerprint = "{seen.fingerprint}", if it is the one')
    elif seen.not_after - datetime.now(UTC) < RENEW:
        yield warn("TLS", described, "renew it on the host (xe host-refresh-server-certificate), then pin the new one")
    else:
        yield ok("TLS", described)


def _certificate(settings: PoolSettings) -> tls.Certificate:
    url = urlsplit(settings.url)
    return tls.fetch_certificate(url.hostname or "", url.port or 443, PATIENCE)


def _unreached(settings: PoolSettings, error: PoolError) -> Finding:
    """Why nobody could log in."""
    if error.code == "TLS_FINGERPRINT_DIFFERS":
        host, shown = error.details
        return fail("TLS", f"{host} shows a certificate that is not pinned: {shown}", "compare it on the host; if it is the one, pin it")
    if error.code == "TLS_NOT_VERIFIED":
        return fail(
            "TLS", f"{error.details[0]} is not verified: {error.details[1]}", "pin its fingerprint (vfo init shows it) or give a ca_file"
        )
    if isinstance(error, Denied):
        return fail(
            "login", f"{settings.username} is refused: {error.code}", "check username and password of the pool in the configuration"
        )
    if isinstance(error, Transient):
        return fail("reach", f"nobody answers as coordinator: {error}", f"check that {settings.url} is right and that xapi runs there")
    return fail("login", str(error), "the pool answers, but not as expected: see the pool's /var/log/xensource.log")


def _role(client: Client, settings: PoolSettings) -> Iterator[Finding]:
    needed, role = roles.needed(), roles.my_role(client)
    grant = f"give {settings.username} the role {needed} (xe subject-role-add)"
    if role is None:
        yield warn("role", f"the session's permissions are of no role that we know; {needed} is needed", grant)
    elif roles.LADDER.index(role) < roles.LADDER.index(needed):
        yield fail("role", f"{role} may not call {', '.join(roles.denied(role))}", grant)
    else:
        yield ok("role", f"{role} ({needed} is needed)")


def _licence(pool: Pool) -> Iterator[Finding]:
    """Xapi refuses network_sriov.create with LICENCE_RESTRICTION where the pool's restrictions say so (xapi_network_sriov.ml)."""
    if pool.restrictions.get(hosts_doctor.NO_LICENCE) == "true":
        yield fail("licence", "the pool's licence does not allow SR-IOV networks", "apply an edition that does: xe host-apply-edition")
    else:
        yield ok("licence", "SR-IOV networks are allowed")


def _members(hosts: dict[str, Host], settings: PoolSettings) -> Iterator[Finding]:
    """Whether each host would be trusted: all have certificates of their own, and any may be the coordinator tomorrow."""
    url = urlsplit(settings.url)
    if url.scheme != "https":
        return
    trust = Trust(settings)
    for host in sorted(hosts.values(), key=lambda host: host.name_label):
        try:
            trust.probe(host.address, url.port or 443, PATIENCE)
        except Denied as error:
            text = f"its certificate is not trusted ({error.details[1]}): as coordinator it would be refused"
            yield warn(host.name_label, text, "compare it on the host, and add its fingerprint to the configuration")
        except OSError:  # whether it is up is found by its heartbeat
            continue


def _ward(client: Client) -> Ward:
    """Everything that is asked about the hosts."""
    sriovs = client.fetch(dict[str, Sriov], "network_sriov.get_all_records")
    free: dict[str, int] = {}
    for ref in sriovs:
        try:
            free[ref] = client.fetch(int, "network_sriov.get_remaining_capacity", ref)
        except Gone:  # disabled while we looked
            continue
    return Ward(
        hosts=client.fetch(dict[str, Host], "host.get_all_records"),
        metrics=client.fetch(dict[str, HostMetrics], "host_metrics.get_all_records"),
        pifs=client.fetch(dict[str, PIF], "PIF.get_all_records"),
        pcis=client.fetch(dict[str, PCI], "PCI.get_all_records"),
        networks=client.fetch(dict[str, Network], "network.get_all_records"),
        vms=client.fetch(dict[str, VM], "VM.get_all_records"),
        sriovs={ref: sriov for ref, sriov in sriovs.items() if ref in free},
        free=free,
    )
