"""What is sent by apprise: texts, pages as mail, and never a word of a URL."""

import email
import email.message
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from orchestrator.notify.channels import Channel, NotTaken, Unusable
from orchestrator.notify.news import Message
from tests.notify.conftest import Ear

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, on Python 3.11 and 3.12

pytest.importorskip("apprise", reason='pip install "vf-orchestrator[notify]"')

PAGE = "<!DOCTYPE html><html><body><h1>Every VM is saved</h1></body></html>"


class MailServer:
    """Takes mails without a password, and keeps them."""

    def __init__(self) -> None:
        self.mails: list[email.message.Message] = []
        self.port = 0


@contextmanager
def mail_server() -> Iterator[MailServer]:
    made = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                word = line.split()[0].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    text = b""
                    while (line := self.rfile.readline()) != b".\r\n":
                        text += line
                    made.mails.append(email.message_from_bytes(text))
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
                if word == b"QUIT":
                    return

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def channel(url: str) -> Channel:
    return Channel("chat", SecretStr(url))


def test_a_message_has_its_title_text_and_level(ear: Ear) -> None:
    """As apprise's services know them; a text is sent as it is."""
    channel(ear.notify_url).send(Message("vfo: <web>", "a & b\n    vfo run 1", "failure"))
    said = ear.got[0].said
    assert (said["title"], said["message"], said["type"]) == ("vfo: <web>", "a & b\n    vfo run 1", "failure")
    assert channel(ear.notify_url).service == "json"


def test_a_page_goes_as_a_file_to_a_service_that_takes_files(ear: Ear) -> None:
    """Beside the text."""
    channel(ear.notify_url).send(Message("vfo: all is well", "12 backups", page=PAGE))
    said = ear.got[0].said
    assert said["message"] == "12 backups"
    assert [(one["filename"], one["mimetype"]) for one in said["attachments"]] == [("report.html", "text/html")]


def test_a_mail_is_the_page_itself() -> None:
    """With a text for who reads no HTML."""
    with mail_server() as server:
        one = channel(f"mailto://127.0.0.1:{server.port}?from=vfo@example.org&to=ann@example.org&mode=insecure")
        one.send(Message("vfo: all is well", "12 backups", page=PAGE))
        one.send(Message("vfo: <web> is stuck", "why: a < b\n    vfo run 1"))
    page, text = server.mails
    bodies = {part.get_content_type(): part.get_payload(decode=True) for part in page.walk() if not part.is_multipart()}
    assert b"<h1>Every VM is saved</h1>" in bodies["text/html"]
    assert str(email.header.make_header(email.header.decode_header(text["Subject"]))) == "vfo: <web> is stuck"
    assert b"why: a < b\r\n    vfo run 1" in bytes(text.get_payload(decode=True))


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refusal_says_why_and_nothing_of_the_url(ear: Ear, caplog: pytest.LogCaptureFixture, status: int) -> None:
    """Neither in the error nor in anybody's log."""
    ear.status = status
    with caplog.at_level(logging.DEBUG), pytest.raises(NotTaken, match=f"error={status}") as told:
        channel(ear.notify_url).send(Message("a", "b"))
    assert "t0ken" not in str(told.value) + caplog.text


def test_a_service_that_is_not_there_says_so() -> None:
    """With its host, which is no secret, and nothing else of its URL."""
    with pytest.raises(NotTaken, match=r"127\.0\.0\.1") as told:
        channel("json://someuser:hunter22@127.0.0.1:9/t0ken").send(Message("a", "b"))
    assert not any(secret in str(told.value) for secret in ("hunter22", "t0ken", "someuser"))


def test_what_a_service_quotes_of_the_url_is_taken_out() -> None:
    """Whatever its own code says."""
    said = channel("json://someuser:hunter22@example.org/t0ken%2Fabcd")._without_url("no hunter22 at example.org/t0ken%2Fabcd, t0ken/abcd")
    assert said == "no *** at example.org/***, ***/***"


@pytest.mark.parametrize("url", ["", "nonsense://t0ken", "t0ken"])
def test_a_url_that_apprise_does_not_know_is_not_shown(url: str) -> None:
    """Only that it is none."""
    with pytest.raises(Unusable, match="its URL is none that apprise knows"):
        channel(url).check()
