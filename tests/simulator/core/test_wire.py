import http.client
import json
import socket
import urllib.parse
import xmlrpc.client
from typing import Any

import pytest

from orchestrator.simulator.server import Server

from .conftest import Client


def connect(server: Server) -> http.client.HTTPConnection:
    address = urllib.parse.urlsplit(server.url)
    assert address.hostname is not None
    return http.client.HTTPConnection(address.hostname, address.port, timeout=10)


def send(server: Server, request: bytes) -> bytes:
    """What comes back until the server closes."""
    address = urllib.parse.urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def post(server: Server, path: str, body: bytes) -> tuple[int, str, bytes]:
    connection = connect(server)
    try:
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()
    finally:
        connection.close()


@pytest.fixture
def vm(server: Server) -> str:
    """The VM of the small world."""
    return server.db.refs("VM")[0]


def test_json_rpc_2_0(client: Client, vm: str) -> None:
    """The id is echoed; an error has code 1, the XenAPI code as message and the parameters as data."""
    call = {"jsonrpc": "2.0", "id": "seven", "method": "VM.get_VCPUs_max", "params": [client.session, vm]}
    assert client.json(call) == {"jsonrpc": "2.0", "id": "seven", "result": 1}
    call["params"] = [client.session, "bad"]
    assert client.json(call) == {"jsonrpc": "2.0", "id": "seven", "error": {"code": 1, "message": "HANDLE_INVALID", "data": ["VM", "bad"]}}


def test_json_rpc_1_0(client: Client, vm: str) -> None:
    """Result and error are both there, one of them null; the error is a list."""
    call = {"id": 7, "method": "VM.get_name_label", "params": [client.session, vm]}
    assert client.json(call) == {"id": 7, "result": "vm", "error": None}
    call["params"] = [client.session, "bad"]
    assert client.json(call) == {"id": 7, "result": None, "error": ["HANDLE_INVALID", "VM", "bad"]}


def test_void_is_an_empty_string_in_json_too(client: Client, vm: str) -> None:
    """Not null."""
    assert client.json({"id": 1, "method": "VM.set_name_label", "params": [client.session, vm, "x"]})["result"] == ""


def test_named_json_parameters_are_a_wrong_count(client: Client) -> None:
    """Xapi takes them for one parameter, a struct."""
    answer = client.json({"id": 1, "method": "VM.get_record", "params": {"session": client.session}})
    assert answer["error"] == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "0"]


@pytest.mark.parametrize(
    "body", [[{"id": 1, "method": "VM.get_all", "params": []}], {"method": "VM.get_all", "params": []}, {"id": 1}, "text"]
)
def test_json_that_is_no_single_call_with_an_id_is_http_500(server: Server, body: Any) -> None:
    """Batches and notifications too."""
    status, kind, _ = post(server, "/jsonrpc", json.dumps(body).encode())
    assert (status, kind) == (500, "text/html")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<methodCall><methodName>a.b</methodName><params><param><value>\x01</value></param></params></methodCall>",
        b"<methodCall><params></params></methodCall>",
        b"<methodCall><methodName>a.b</methodName><params><param><value><struct><member><name></name><value>1</value></member></struct></value></param></params></methodCall>",
    ],
)
def test_xml_that_cannot_be_read_is_http_500(server: Server, body: bytes) -> None:
    """Control characters and empty names of members too; never a fault."""
    status, kind, _ = post(server, "/", body)
    assert (status, kind) == (500, "text/html")


def test_a_length_is_mandatory(server: Server) -> None:
    """Chunked bodies and requests without one get HTTP 500, and the connection is closed."""
    for header in (b"", b"Transfer-Encoding: chunked\r\n"):
        answer = send(server, b"POST / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert b"We require a content-length: HTTP header" in answer


def test_any_other_path_is_xml_rpc(client: Client, server: Server) -> None:
    """POST /nothere works."""
    body = xmlrpc.client.dumps((client.session,), "VM.get_all").encode()
    assert post(server, "/nothere", body)[0] == 200


def test_other_verbs_get_pages(server: Server) -> None:
    """HEAD is 501, GET of a path that nobody registered 403."""
    assert send(server, b"HEAD / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 501 ")
    assert send(server, b"GET /nothere HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403 ")


def test_a_connection_is_kept_alive(client: Client, server: Server) -> None:
    """HTTP/1.1 keeps it, HTTP/1.0 closes."""
    connection = connect(server)
    body = xmlrpc.client.dumps((client.session,), "VM.get_all")
    connection.connect()
    sock = connection.sock
    for _ in range(3):
        connection.request("POST", "/", body)
        assert connection.getresponse().read()
    assert connection.sock is sock
    connection.close()
    old = send(server, f"POST / HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    assert old.startswith(b"HTTP/1.1 200 OK")


def test_who_waits_for_100_continue_gets_it(client: Client, server: Server) -> None:
    """Curl does with large bodies."""
    body = xmlrpc.client.dumps((client.session,), "VM.get_all").encode()
    head = f"POST / HTTP/1.1\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode()
    assert send(server, head + body).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_strings_survive_both_formats(client: Client, vm: str) -> None:
    """Mark-up, white space at the ends, other alphabets and 100 kB; a CR LF in XML comes back as LF."""
    for text in ("<a & b>", "  both ends \t", "Grüße 漢字", "x" * 100_000, "]]>"):
        client("VM.set_name_description", vm, text)
        assert client("VM.get_name_description", vm) == text
        assert client.json({"id": 1, "method": "VM.get_name_description", "params": [client.session, vm]})["result"] == text
    client("VM.set_name_description", vm, "a\r\nb")
    assert client("VM.get_name_description", vm) == "a\nb"


def test_the_same_record_in_both_formats(client: Client, vm: str) -> None:
    """Ints are strings in XML and numbers in JSON, dates have a type in XML; everything else is alike."""
    in_xml = client("VM.get_record", vm)
    in_json = client.json({"id": 1, "method": "VM.get_record", "params": [client.session, vm]})["result"]
    assert (in_xml["VCPUs_max"], in_json["VCPUs_max"]) == ("1", 1)
    assert isinstance(in_xml["snapshot_time"], xmlrpc.client.DateTime)
    assert in_xml["snapshot_time"].value == in_json["snapshot_time"] == "19700101T00:00:00Z"
    assert isinstance(in_xml["HVM_shadow_multiplier"], float)
    plain = {name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value for name, value in in_json.items()}
    assert {name: getattr(value, "value", value) for name, value in in_xml.items()} == plain


def test_counts_are_real_ints_in_xml(client: Client) -> None:
    """Unlike every other integer of XenAPI."""
    assert client("event.from", ["vm"], "", 1.0)["valid_ref_counts"]["vm"] == 1
