"""The package's `XenAPI.Session`, over our transport."""

from typing import Any

import XenAPI

from orchestrator.xapi import decode
from orchestrator.xapi.decode import JSON
from orchestrator.xapi.transport import Limits, Transport

ORIGINATOR = "vf-orchestrator"
API_VERSION = "1.0"


class Session(XenAPI.Session):  # type: ignore[misc]  # the package has no types
    """A session that threads share: `session.xenapi.VM.get_record(ref)` as everywhere; `invoke` with limits and untouched JSON.

    Three things of the package are replaced: the call is handed to the transport before it has become XML; nothing logs in again by
    itself (two threads would open two sessions, and a call might be sent twice); and the password is not kept.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport.url, transport=transport)
        self._transport = transport
        # ServerProxy sends by this name, which is its own by mangling; the package leaves no other door between a call and its XML
        self._ServerProxy__request = self._bare

    def invoke(self, method: str, params: tuple[Any, ...], limits: Limits) -> JSON:
        """One call under this session; its result as JSON text. Raises as `Transport.request` does."""
        return self._transport.request(method, (self.handle, *params), limits)

    def xenapi_request(self, methodname: str, params: tuple[Any, ...]) -> Any:
        """What `session.xenapi.<...>()` does; logging in and out included."""
        if methodname.startswith("login"):
            return self._login(methodname, params)
        if methodname in {"logout", "session.logout"}:
            return self._logout()
        return decode.plain(self.invoke(methodname, params, Limits()))

    def _login(self, method: str, params: tuple[Any, ...]) -> None:
        self._session = decode.plain(self._transport.request(f"session.{method}", params, Limits(timeout=30.0)))
        self.last_login_method = method

    def _logout(self) -> None:
        handle, self._session = self._session, None
        if handle:
            self._transport.request("session.logout", (handle,), Limits(timeout=3.0))

    def _bare(self, methodname: str, params: tuple[Any, ...]) -> dict[str, Any]:
        """A call as the package itself makes them, without a session: the shape that its parser expects."""
        return {"Status": "Success", "Value": decode.plain(self._transport.request(methodname, params, Limits()))}
