"""A host's address: it accepts connections and serves each in a thread of its own until it is closed."""

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable

from orchestrator.simulator.errors import Interrupted
from orchestrator.simulator.wire import http
from orchestrator.simulator.wire.errors import Cut, Malformed

log = logging.getLogger(__name__)

BACKLOG = 128
# The first byte of a TLS handshake, which no HTTP request begins with.
HANDSHAKE = b"\x16"

Respond = Callable[[http.Request], http.Response | http.Transfer]


class Listener:
    """Listens on address:port (0: any) from construction on. OSError when the machine has no such address.

    It speaks TLS, and with *plain* also without, as a host does on its ports 443 and 80; *tls* is asked when TLS is first wanted.
    """

    def __init__(self, address: str, port: int, respond: Respond, tls: Callable[[], ssl.SSLContext], *, plain: bool) -> None:
        self._respond = respond
        self._tls = tls
        self._plain = plain
        self._lock = threading.Lock()
        self._closed = False
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._socket = socket.create_server((address, port), backlog=BACKLOG)
        self.address: str
        self.port: int
        self.address, self.port = self._socket.getsockname()[:2]
        self._acceptor = threading.Thread(target=self._accept, name=f"simulator {self.address}", daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name=f"simulator {self.address} connection", daemon=True)
            with self._lock:
                if self._closed:
                    connection.close()
                    return
                self._connections.add(connection)
                thread.start()  # under the lock: whoever sees it in the set may join it
                self._threads.add(thread)

    def _serve(self, connection: socket.socket) -> None:
        served: socket.socket = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._plain or connection.recv(1, socket.MSG_PEEK) == HANDSHAKE:
                served = secured = self._secure(connection, self._tls())
                secured.do_handshake()
            self._converse(http.Stream(served))
        except (OSError, Cut, Interrupted) as reason:  # the client went, or is to see the connection die
            log.debug("connection closed: %r", reason)
        finally:
            with self._lock:
                self._connections.discard(connection)
                self._connections.discard(served)
                self._threads.discard(threading.current_thread())
            served.close()
            connection.close()

    def _secure(self, connection: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """The connection for TLS before its handshake; the plain socket is detached by then."""
        secured = tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(secured)
        return secured

    def _converse(self, stream: http.Stream) -> None:
        """One request after the other until either side has enough."""
        keep_alive = True
        while keep_alive:
            try:
                request = stream.request()
                if request is None:
                    return
                response: http.Response | http.Transfer = self._respond(request)
                keep_alive = request.keep_alive and not response.close
            except Malformed as error:
                request, response, keep_alive = None, http.internal_error(str(error)), False
            stream.send(response, keep_alive=keep_alive)
            if request is not None and request.verb == "PUT":  # whose body may not have been read to its end
                stream.linger()

    def drop(self) -> None:
        """Close every connection; new ones are welcome."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):  # already gone
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Accept nobody any more and close every connection; the threads end by themselves."""
        with self._lock:
            self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.drop()

    def join(self, timeout: float) -> None:
        """Wait for the threads of a closed listener."""
        with self._lock:
            threads = [self._acceptor, *self._threads]
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout)
