"""From a method's name and raw parameters to its answer, with xapi's checks in xapi's order.

Parameter count, parameter types, session, role, handle; an unknown method is looked at only after its session
(recorded on a running xapi).
"""

import logging
from typing import TYPE_CHECKING, Any

from orchestrator.simulator import convert, faults, generic, roles, tasks
from orchestrator.simulator.call import Call
from orchestrator.simulator.errors import Failure, Interrupted
from orchestrator.simulator.schema import Message
from orchestrator.simulator.sessions import REFUSAL
from orchestrator.simulator.wire.errors import Cut

if TYPE_CHECKING:
    from orchestrator.simulator.server import Server

log = logging.getLogger(__name__)

LOGINS = frozenset({"session.login_with_password", "session.slave_local_login_with_password"})
# Messages that make no task when called synchronously: they are answered where they arrive, without being forwarded.
LOCAL = ("get_", "assert_", "query_", "compute_", "maximise_", "retrieve_")


class Dispatcher:
    """Answers calls that arrive at one of the pool's hosts."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._schema = server.db.schema

    def answer(self, host: str, method: str, params: list[Any]) -> Any:
        """The value of the call; Failure, Cut (close the connection) or Interrupted (the toolstack went away)."""
        self._server.housekeeping()
        name = method.removeprefix("Async.")
        message = self._schema.messages.get(name)
        if message is None:
            return self._unknown(host, method, params)
        if name in LOGINS:
            return self._login(host, message, params)
        if name != method and not generic.is_async(self._schema, message):
            raise Failure("Fault", f"No async mode for this operation (rpc: {name})")
        if not params:
            raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", method, len(message.params), -1)
        arguments = convert.arguments(self._schema, name, params[1:])
        call = self._admit(host, message, convert.text(params[0]))
        originator = self._server.sessions.live(call.session).originator
        with self._server.crowds.during(method, originator, call.session):
            if name != method:
                return self._start(call, message, arguments)
            return self._run_now(call, message, arguments)

    def _unknown(self, host: str, method: str, params: list[Any]) -> Any:
        """What the data model does not have: two services of xapi's own that ask for no session, and what is really unknown."""
        if method == "system.listMethods":
            return list(self._schema.messages)
        if method.startswith("system.isAlive:"):
            return params[0] if params else ""
        if params:
            self._check_session(host, convert.text(params[0]))
        raise Failure("MESSAGE_METHOD_UNKNOWN", method)

    def _check_session(self, host: str, session: str) -> Any:
        """A member of the pool sends every caller to its coordinator (session_check.ml)."""
        coordinator = self._server.coordinator
        if host != coordinator:
            raise Failure("HOST_IS_SLAVE", self._server.db.get("host", coordinator)["address"])
        return self._server.sessions.check(session)

    def _admit(self, host: str, message: Message, session: str) -> Call:
        known = self._check_session(host, session)
        if message.removed:
            raise Failure("MESSAGE_REMOVED")
        roles.check(known.role, message)
        call = Call(self._server, message.method, session, known.user, known.role)
        call.host = host
        return call

    def _login(self, host: str, message: Message, params: list[Any]) -> str:
        user, password, *rest = convert.arguments(self._schema, message.method, params)
        call = Call(self._server, message.method, user=user)
        call.host = host
        coordinator = self._server.coordinator
        if host != coordinator and message.name == "login_with_password":
            raise Failure("HOST_IS_SLAVE", self._server.db.get("host", coordinator)["address"])
        with self._server.calls.during(call):
            cut = self._meet(call, [user])
            try:
                session = self._server.sessions.login(user, password, rest[1] if rest else "", host)
            except Failure:
                call.work(REFUSAL)
                raise
        if cut:
            raise Cut(message.method)
        return session

    def _meet(self, call: Call, arguments: list[Any]) -> bool:
        """Undergo the faults that were ordered; true when the connection is to be cut once the call took effect."""
        effect = self._server.faults.meet(call.method, arguments)
        self._undergo(call, effect)
        return effect.cut == "after"

    @staticmethod
    def _undergo(call: Call, effect: faults.Effect) -> None:
        call.pause(effect.seconds)
        if effect.cut == "before":
            raise Cut(call.method)
        if effect.error is not None:
            raise Failure(*effect.error)

    def _execute(self, call: Call, message: Message, arguments: list[Any]) -> Any:
        handler = self._server.registry.handler(message.method) or generic.handler(self._schema, message)
        if handler is None:
            raise Failure("NOT_IMPLEMENTED", message.method)
        thing = self._server.effects.named(message.method, arguments)
        try:
            value = handler(call, *arguments)
        except (Failure, Interrupted):
            raise
        except Exception as error:
            log.exception("%s failed in a way that xapi does not know", message.method)
            raise Failure("INTERNAL_ERROR", f"{type(error).__name__}: {error}") from error
        self._server.effects.took(message.method, thing)
        return value

    def _run_now(self, call: Call, message: Message, arguments: list[Any]) -> Any:
        with self._server.calls.during(call):
            cut = self._meet(call, arguments)
            if not self._forwarded(message):
                value = self._execute(call, message, arguments)
            else:
                tasks.begin(call, message.method)
                self._server.calls.name(call)
                try:
                    value = self._execute(call, message, arguments)
                finally:
                    tasks.forget(call)
        if cut:
            raise Cut(message.method)
        return value

    def _forwarded(self, message: Message) -> bool:
        by_hand = self._server.registry.handler(message.method) is not None
        return by_hand and message.cls != "task" and generic.is_async(self._schema, message) and not message.name.startswith(LOCAL)

    def _start(self, call: Call, message: Message, arguments: list[Any]) -> str:
        effect = self._server.faults.meet(message.method, arguments)
        if effect.cut == "before":
            raise Cut(message.method)
        tasks.begin(call, f"Async.{message.method}")
        self._server.calls.name(call)
        self._server.spawn(self._work, call, message, arguments, effect)
        if effect.cut == "after":
            raise Cut(message.method)
        return call.task

    def _work(self, call: Call, message: Message, arguments: list[Any], effect: faults.Effect) -> None:
        """The thread of an Async call: its outcome is the task's."""
        try:
            with self._server.calls.during(call):
                self._undergo(call, effect)
                value = self._execute(call, message, arguments)
            tasks.succeed(call, value)
        except Failure as failure:
            tasks.fail(call, failure)
        except Interrupted:
            log.debug("%s was interrupted", message.method)
