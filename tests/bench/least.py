"""The least calls with which any client could do the same with the same care, part by part, each with the reason why it is not fewer.

Careful means: right before each act the client looks at what it acts on, since another process may take the work up hours after the last
look; after it, it looks whether it is so, since an answer may be lost and a task may be forgotten; what must be known without a database is
in the pool before a VM is touched; no task is left there. Within one look nothing is read twice, and refs and uuids are known.
A VM here has one VIF that takes a VF and one disk; a halted one holds no device. A pool has two hosts with one SR-IOV port each.
"""

from typing import NamedTuple

HOSTS = 2
Calls = dict[str, int]


class Part(NamedTuple):
    """So many *calls*, so many *times*, and *why* no client can do it with fewer."""

    calls: int
    why: str
    times: int = 1


BARE = Part(1, "the VM's record has its power state, operations, blocks, tags and notes")
VM_HALTED = Part(3, "the VM, its VIF, and the network of that: only the VIF has MAC and place, only the network shows whether it is SR-IOV")
VM_RUNS = Part(4, "as a halted VM, and the device: attached_PCIs may name one that is gone, and only its record says that it is a VF")
VM_FIRST = Part(2, "the VM and its VIF; whether the network is SR-IOV is in the networks that are read for the parking network anyway")
OPERATION = Part(
    5,
    "look (xapi would queue a second operation for hours, not refuse it), begin, read the task (its error is nowhere else), destroy it (it "
    "stays 65 minutes, in everybody's events), look at the object (a task that is forgotten says nothing of its work)",
)
SNAPSHOT = Part(5, "as every operation; the look after it is at the snapshot's own record, which has its name and its VIFs")
BLOCK = Part(3, "see whose blocks are there, then a call for each of start and start_on: a map has no call that adds two")
UNBLOCK = Part(3, "see which of the blocks are ours, then a call for each")
START = Part(
    6,
    "one look says whose blocks are there and that no operation is in progress; nothing may come between taking two blocks away and the "
    "start, which is begun, its task read and destroyed; the look after it is a part of its own, which shows what the VM holds as well",
)
RECOMPUTE = Part(1, "allowed_operations stay stale where no operation follows")
NOTE = Part(2, "see what other_config has, then add: setting it whole would lose what others write meanwhile")
CHANGE_NOTE = Part(3, "see, remove, add: XenAPI cannot replace a key")
ERASE = Part(1, "removing a key that is gone is no error, so nothing is looked at before")
TAG = Part(1, "adding a tag that is there is no error")
DISINHERIT = Part(2, "a VM that was reverted to our snapshot has its tag and its note: a call for each, removing what is gone is no error")
FOREIGN = Part(1, "somebody else's product may be at work: the VM's record has its operations and its snapshots, and ours is known")
MOVE = Part(4, "look at the VIF and at its VM (moved on a running VM, record and data plane disagree for ever), move, look at the VIF")
DISK = Part(3, "VBD, VDI, SR: each only names the next")
POOL = Part(1, "the pool's record alone says whether HA is on")
NETWORKS = Part(
    3, "networks, PIFs and VLANs: a network is SR-IOV, or ours for parking, by those alone; tables, since it is looked for by a mark"
)
PORTS = Part(
    10 + 2 * HOSTS,
    "sriovs, PIFs, VLANs, VIFs, networks, hosts, their metrics, PCIs, the pool, the time; each port's capacity twice, around it all: what "
    "moves while the users are read proves nothing, and nothing announces that it moved",
)
EVERY_VM = Part(1, "the VMs: who wants a VF at its next start, and who has which MAC; VIFs and networks are in the reading of the ports")
EVERY_MAC = Part(
    2, "VIFs and VMs: another VM may have got the MAC since, and only the VM says whether a VIF is a snapshot's, which never runs"
)
FABRIC = Part(
    8, "networks, PIFs, VLANs, sriovs, hosts, their metrics, PCIs, the pool: licence, drivers, states and who is up, a table each"
)
ALL_PORTS = Part(10 + 2 * 2 * HOSTS, "as of the pool's ports, which are twice as many while this SR-IOV network is there", 1)
ENABLE = Part(4, "see whether the port has a record by now, begin, read and destroy the task", HOSTS)
DISABLE = Part(4, "see that no create works on the record still, begin, read and destroy the task", HOSTS)

REMOVE_SNAPSHOT = Part(5, "the snapshot, its VBD and VDI (VM.destroy leaves disks behind), destroy each of the two")
BACK_IN_SERVICE = (START, VM_RUNS)
MARK_SNAPSHOT = (TAG, NOTE, VM_HALTED, MOVE)
PARKED = (VM_FIRST, DISK, POOL, NETWORKS, PORTS, NOTE, BLOCK, OPERATION, MOVE, SNAPSHOT, MOVE)
UNBLOCK_SNAPSHOT = (UNBLOCK, RECOMPUTE)
REVERTED = (VM_HALTED, EVERY_MAC, MOVE, VM_HALTED, ERASE, DISINHERIT)
LOST = (VM_HALTED, MOVE, PORTS, *BACK_IN_SERVICE, ERASE)

LEAST: dict[str, tuple[Part, ...]] = {
    "prepare-backup, online": (VM_FIRST, DISK, POOL, NETWORKS, NOTE, SNAPSHOT, *MARK_SNAPSHOT, ERASE),
    "prepare-backup, offline": (*PARKED, *BACK_IN_SERVICE, TAG, NOTE, *UNBLOCK_SNAPSHOT, VM_HALTED, ERASE),
    "prepare-backup, failover": (*PARKED, CHANGE_NOTE, *BACK_IN_SERVICE, TAG, NOTE, *UNBLOCK_SNAPSHOT, VM_HALTED, CHANGE_NOTE),
    "release-backup, offline": (FOREIGN, REMOVE_SNAPSHOT),
    "release-backup, failover": (FOREIGN, BLOCK, VM_HALTED, OPERATION, MOVE, *BACK_IN_SERVICE, ERASE, REMOVE_SNAPSHOT),
    "put-right, lost": LOST,
    "put-right, reverted": REVERTED,
    "release-vf, running": (VM_RUNS, BLOCK, VM_RUNS, OPERATION, Part(1, "VIF.destroy"), BARE, START, BARE),
    "assign-vf, running": (
        BARE, PORTS, EVERY_VM, BLOCK, OPERATION, PORTS, Part(3, "the network's MTU, VIF.create, the uuid: create gives a ref"), VM_HALTED,
        *BACK_IN_SERVICE,
    ),
    "release-vf, halted": (VM_HALTED, BLOCK, VM_HALTED, Part(1, "VIF.destroy"), BARE, UNBLOCK, RECOMPUTE),
    "assign-vf, halted": (
        BARE, PORTS, EVERY_VM, Part(1, "where it could start is xapi's alone to say"), BLOCK,
        Part(3, "the network's MTU, VIF.create, the uuid: create gives a ref"), VM_HALTED, UNBLOCK, RECOMPUTE,
    ),
    "reclaim-vfs": (Part(2, "whether the VM is there, before and after the grace period"), PORTS, PORTS),
    "enable-sriov": (
        FABRIC, NETWORKS, Part(1, "network.create, with our mark in it"), FABRIC, ENABLE,
        FABRIC, ALL_PORTS,
    ),
    "disable-sriov": (
        FABRIC, EVERY_VM, Part(1, "the VIFs: who has one on the network"), ALL_PORTS, DISABLE, FABRIC, NETWORKS,
        Part(2, "see that nobody is on the network, destroy it"),
    ),
    "recover": (FABRIC, EVERY_VM, Part(1, "the VIFs: which are parked"), *LOST),
}  # fmt: skip
