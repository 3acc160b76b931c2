import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from orchestrator.web import timely
from orchestrator.web.server import Server
from tests.web.conftest import Make

Connect = Callable[[], socket.socket]
PATIENCE = 60.0
HEAD = b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\n"
BODY = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname="


@pytest.fixture
def connect(make_web: Make, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Connects to the web as it is served, which waits for half a second where it else waits for long."""
    monkeypatch.setattr(timely, "HEAD", 0.5)
    monkeypatch.setattr(timely, "BODY", 0.5)
    office = make_web(more='listen = "127.0.0.1:0"\n').office
    server, stop = Server(office.loaded), threading.Event()
    thread = threading.Thread(target=server.run, args=(stop, office, timedelta(seconds=1)))
    thread.start()
    opened: list[socket.socket] = []

    def made() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=PATIENCE))
        return opened[-1]

    yield made
    for one in opened:
        one.close()
    stop.set()
    thread.join(PATIENCE)


def said(connection: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    found = b""
    while piece := connection.recv(65536):
        found += piece
    return found


@pytest.mark.parametrize("begun", [b"", HEAD, BODY], ids=["nothing", "head", "body"])
def test_a_request_that_does_not_end_is_hung_up_on(connect: Connect, begun: bytes) -> None:
    """Whoever says nothing, half a head or half a body, and then no more."""
    connection = connect()
    connection.sendall(begun)
    assert b"200 OK" not in said(connection)


def test_who_sends_a_byte_now_and_then_has_no_more_time(connect: Connect) -> None:
    """It is the whole head that is waited for, however it comes."""
    connection, over = connect(), threading.Event()
    connection.sendall(HEAD)

    def drip() -> None:
        try:
            while not over.wait(0.05):
                connection.sendall(b"X")
        except OSError:
            pass  # it was hung up on

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        assert said(connection) == b""
    except ConnectionResetError:
        pass  # a byte came after that
    finally:
        over.set()
        dripping.join()


def test_one_request_after_another_is_answered(connect: Connect) -> None:
    """On the same connection: each has the time by itself."""
    asked = http.client.HTTPConnection("localhost", timeout=PATIENCE)
    asked.sock = kept = connect()
    for _ in range(3):
        asked.request("GET", "/api/v1/me")
        with asked.getresponse() as answer:
            assert (answer.status, answer.read()[:1]) == (401, b"{")
        assert asked.sock is kept
