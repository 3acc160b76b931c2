"""The control port: the verbs of Control as JSON by POST, the hidden truth by GET /state, /effects and /calls; on the loopback only."""

import http.server
import inspect
import logging
import threading
from typing import Any, Final

import orjson

from orchestrator.simulator.control import Control, ControlError

log = logging.getLogger(__name__)

VERBS: Final = (
    *("fail", "delay", "cut", "deaf", "clear", "toolstack-restart", "failover", "host", "leak", "dangle", "guest", "driver"),
    *("slow-stream", "break-stream", "busy-after-transfer", "sr-free", "keep-chains", "break-cbt"),
    *("disk", "write-disk", "change-disk", "fill-disk"),
)
LOOPBACK: Final = "127.0.0.1"


class ControlPort:
    """Serves a Control until it is stopped."""

    def __init__(self, control: Control, port: int = 0) -> None:
        handler = type("Bound", (Handler,), {"control": control})
        self._http = http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="simulator control", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{LOOPBACK}:{self._http.server_address[1]}"

    def stop(self) -> None:
        """Close it."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(1.0)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request: 200 with what the verb gives, 400 with {"error": ...} that names the thing and its value."""

    control: Control
    timeout = 10

    def do_GET(self) -> None:
        """GET /state, /effects or /calls."""
        if self.path == "/state":
            self._answer(200, self.control.state())
        elif self.path == "/effects":
            self._answer(200, self.control.effects())
        elif self.path == "/calls":
            self._answer(200, self.control.calls())
        else:
            self._answer(404, {"error": f"path: only /state, /effects and /calls can be read, not {self.path!r}"})

    def do_POST(self) -> None:
        """POST /VERB with a JSON object of its arguments."""
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer(200, {"result": perform(self.control, self.path.strip("/"), orjson.loads(body or b"{}"))})
        except orjson.JSONDecodeError as error:
            self._answer(400, {"error": f"body: not JSON: {error}"})
        except ControlError as error:
            self._answer(400, {"error": str(error)})

    def _answer(self, status: int, value: Any) -> None:
        body = orjson.dumps(value)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """To the log instead of standard error."""
        log.debug(format, *args)


def perform(control: Control, verb: str, arguments: Any) -> Any:
    """Call the verb with the arguments; ControlError for an unknown verb or argument, a missing one or one of the wrong type."""
    if verb not in VERBS:
        raise ControlError(f"verb: must be one of {', '.join(VERBS)}, not {verb!r}")
    if not isinstance(arguments, dict):
        raise ControlError(f"body: must be an object, not {type(arguments).__name__}")
    method = getattr(control, verb.replace("-", "_"))
    known = inspect.signature(method).parameters
    for name in arguments:
        if name not in known:
            raise ControlError(f"{name}: {verb} takes {', '.join(known) or 'nothing'}")
    for name, parameter in known.items():
        if name in arguments:
            _check_type(name, arguments[name], parameter.annotation)
        elif parameter.default is parameter.empty:
            raise ControlError(f"{name}: {verb} needs it")
    return method(**arguments)


ACCEPTED: Final[dict[Any, tuple[type, ...]]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    list[str]: (list,),
    str | None: (str, type(None)),
    int | None: (int, type(None)),
    float | None: (int, float, type(None)),
    list[str] | None: (list, type(None)),
}


def _check_type(name: str, value: Any, annotation: Any) -> None:
    accepted = ACCEPTED.get(annotation, (str,))
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise ControlError(f"{name}: must be {' or '.join(one.__name__ for one in accepted)}, not {value!r}")
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        raise ControlError(f"{name}: must not be negative, not {value!r}")
