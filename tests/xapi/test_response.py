"""Answers as bytes, read as the standard library reads them."""

import http.client
import socket

import pytest

from orchestrator.xapi.response import Response

ANSWERS = {
    "as xapi answers": b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello",
    "closed in the end": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/xml; charset=utf-8\r\n\r\nhello",
    "without a length": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "an old server": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "an old server that keeps alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    "after a continue": b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "an error page": b"HTTP/1.1 500 Internal Error\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello",
    "nothing": b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello",
    "a value over two lines": b"HTTP/1.1 200 OK\r\nContent-Type: text/xml;\r\n charset=utf-8\r\nContent-Length: 5\r\n\r\nhello",
    "a line that is no header": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nnonsense\r\n\r\nhello",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
}


def read(kind: type[http.client.HTTPResponse], answer: bytes) -> tuple[object, ...]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        with kind(ours, method="POST") as response:
            response.begin()
            begun = (response.status, response.reason, response.version, response.will_close, response.length, response.chunked)
            content = (response.headers.get_content_type(), response.headers.get("content-length"))
            try:
                return (*begun, *content, response.read())
            except http.client.IncompleteRead as error:
                return (*begun, *content, error.partial)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_read_as_the_standard_library_reads_it(answer: bytes) -> None:
    """Status, whether the connection goes on, how long it is, what it is, and all that it says."""
    assert read(Response, answer) == read(http.client.HTTPResponse, answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "another version", "too many headers", "a line too long"],
)
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    """Of the family that the transport expects, as with the standard library."""
    for kind in (Response, http.client.HTTPResponse):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            read(kind, answer)
