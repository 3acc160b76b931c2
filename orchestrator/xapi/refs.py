"""Refs and uuids of objects, remembered: while an object lives neither of the two changes, and neither is ever given to another one."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

from orchestrator.xapi.client import Client
from orchestrator.xapi.records import NULL
from workflows.ports import Gone

K = TypeVar("K")
V = TypeVar("V")

MOST = 50_000

BY_UUID = {
    "PIF": "PIF.get_by_uuid",
    "VIF": "VIF.get_by_uuid",
    "VM": "VM.get_by_uuid",
    "host": "host.get_by_uuid",
    "network": "network.get_by_uuid",
    "network_sriov": "network_sriov.get_by_uuid",
}

UUID_OF = {
    "PIF": "PIF.get_uuid",
    "SR": "SR.get_uuid",
    "VDI": "VDI.get_uuid",
    "VIF": "VIF.get_uuid",
    "VM": "VM.get_uuid",
    "host": "host.get_uuid",
    "network": "network.get_uuid",
}


class Memory(Generic[K, V]):
    """What was learned of so many keys at most; the oldest go first. For facts that stay true while their object lives. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """What is known of the key."""
        with self._lock:
            return self._known.get(key)

    def put(self, key: K, value: V) -> V:
        """Remember it; the value again."""
        with self._lock:
            self._known[key] = value
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return value

    def forget(self, key: K) -> None:
        """Know nothing of the key any more."""
        with self._lock:
            self._known.pop(key, None)


class Refs:
    """Refs by uuid and uuids by ref. One that is remembered may be of an object that is gone: the call that uses it tells."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._refs: Memory[tuple[str, str], str] = Memory()
        self._uuids: Memory[str, str] = Memory()
        client.uuid_of = self.known_uuid

    def known(self, kind: str, uuid: str) -> str | None:
        """The ref as it was when it was asked for last; None when it never was."""
        return self._refs.get((kind, uuid))

    def ask(self, kind: str, uuid: str) -> str:
        """The ref, from the pool; `Gone` when there is no such object."""
        self._refs.forget((kind, uuid))
        return self.learn(kind, self._client.fetch(str, BY_UUID[kind], uuid), uuid)

    def ref(self, kind: str, uuid: str) -> str:
        """The ref, remembered or asked for."""
        return self.known(kind, uuid) or self.ask(kind, uuid)

    def uuid(self, kind: str, ref: str) -> str:
        """The uuid of what the ref names; `Gone` when it names nothing."""
        return self._uuids.get(ref) or self._uuids.put(ref, self._client.fetch(str, UUID_OF[kind], ref))

    def uuid_if_there(self, kind: str, ref: str, *, anew: bool = False) -> str | None:
        """The uuid; None for the null ref and for one that dangles (xapi does not check refs that are set as values).

        *anew*: what is remembered does not count, so that an object that is gone is found to be.
        """
        if ref in {NULL, ""}:
            return None
        if anew:
            self._uuids.forget(ref)
        try:
            return self.uuid(kind, ref)
        except Gone:
            return None

    def known_uuid(self, ref: str) -> str | None:
        """The uuid where it costs no call."""
        return self._uuids.get(ref)

    def learn(self, kind: str, ref: str, uuid: str) -> str:
        """Remember both; the ref."""
        self._uuids.put(ref, uuid)
        return self._refs.put((kind, uuid), ref)
