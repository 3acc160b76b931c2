"""Which blocks of a disk changed since an earlier snapshot, and where they alone can be read.

`VDI.list_changed_blocks` gives a bitmap in base64, one bit for 64 KiB, the first one the highest of its byte (sm's VDI.py);
`VDI.get_nbd_info` gives the hosts' addresses on networks of purpose "nbd" and nothing where there is none (xapi_vdi.ml: get_nbd_info).
"""

import base64
import binascii
import logging
import re
from collections.abc import Sequence

import msgspec

from orchestrator.xapi import nbd
from orchestrator.xapi.client import Client
from orchestrator.xapi.transfers_http import words
from orchestrator.xapi.transfers_streams import Later
from plugins.errors import SourceError
from plugins.values import Extent
from workflows.ports import PoolError, Transient

logger = logging.getLogger(__name__)

BLOCK = 1 << 16
PATIENCE = 600.0  # the pool goes through every log between the two


class _VDI(msgspec.Struct, frozen=True):
    virtual_size: int = 0


class _Info(msgspec.Struct, frozen=True):
    exportname: str
    address: str
    port: int
    cert: str
    subject: str


def changed(client: Client, vdi: str, size: int, since: str) -> tuple[Extent, ...] | None:
    """What of the snapshot's VDI (uuid, *size* bytes) is not as in the VDI *since*; None when the pool does not know, for whatever reason.

    What lies behind the end of *since* counts as changed.
    """
    try:
        earlier, later = (client.fetch(str, "VDI.get_by_uuid", uuid) for uuid in (since, vdi))
        before = client.fetch(_VDI, "VDI.get_record", earlier).virtual_size
        bitmap = base64.b64decode(client.fetch(str, "VDI.list_changed_blocks", earlier, later, timeout=PATIENCE), validate=True)
    except PoolError as error:
        logger.info("pool %s does not know what changed between disks %s and %s: %s", client.name, since, vdi, error)
        return None
    except binascii.Error:
        bitmap, before = b"", 0
    if len(bitmap) * 8 * BLOCK < size or before > size:
        logger.warning("pool %s gives an account of changed blocks that does not fit disk %s: all of it is read", client.name, vdi)
        return None
    return extents(bitmap, size, before)


def extents(bitmap: bytes, size: int, before: int) -> tuple[Extent, ...]:
    """The bitmap as extents, merged, cut at the disk's end; what lies behind *before* is among them."""
    bits = f"{int.from_bytes(bitmap):0{8 * len(bitmap)}b}"[: -(-size // BLOCK)]
    if before < size:
        known = before // BLOCK
        bits = bits[:known] + "1" * (len(bits) - known)
    runs = ((found.start() * BLOCK, min(found.end() * BLOCK, size)) for found in re.finditer("1+", bits))
    return tuple(Extent(first, end - first) for first, end in runs)


def opened(client: Client, vdi: str, size: int, stalled: float) -> nbd.Connection:
    """The VDI (uuid) by the first host that serves it. `Later` where none does now, SourceError where none ever will."""
    said = []
    for server in _servers(client, vdi):
        try:
            connection = nbd.Connection(server, stalled)
        except OSError as error:
            said.append(f"{server.address} port {server.port}: {words(error)}")
            continue
        if connection.size < size:
            connection.close()
            raise SourceError(f"disk {vdi}: pool {client.name} serves {connection.size} of its {size} bytes by NBD")
        return connection
    raise Later(f"disk {vdi}: pool {client.name} does not serve it by NBD at {', '.join(said)}")


def _servers(client: Client, vdi: str) -> Sequence[nbd.Server]:
    try:
        found = client.fetch(list[_Info], "VDI.get_nbd_info", client.fetch(str, "VDI.get_by_uuid", vdi))
    except PoolError as error:
        raise (Later if isinstance(error, Transient) else SourceError)(f"disk {vdi}: pool {client.name}: {error}") from None
    if not found:
        raise SourceError(
            f"pool {client.name} serves disk {vdi} nowhere by NBD: no host that sees it has an address on a network of purpose nbd "
            "(xe network-param-add param-name=purpose param-key=nbd uuid=NETWORK)"
        )
    return [nbd.Server(info.address, info.port, info.cert, info.subject, info.exportname) for info in found]
