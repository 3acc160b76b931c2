"""The standard library's HTTP response, with its headers read by hand: the mail parser, which it uses, took half of a call's time."""

import http.client

MOST_HEADERS = 100
LONGEST_LINE = 65536


class Response(http.client.HTTPResponse):
    """What `http.client.HTTPResponse` is; only how the headers become a message is another way."""

    def begin(self) -> None:
        """Read the status line and the headers; raises `HTTPException` for what is no HTTP."""
        version, status, reason = self._status()
        while status == http.client.CONTINUE:
            self._lines()
            version, status, reason = self._status()
        self.code = self.status = status
        self.reason = reason.strip()
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = self._message()
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = self._length()
        self.will_close = bool(self._check_close()) or (not self.chunked and self.length is None)  # type: ignore[attr-defined]

    def _status(self) -> tuple[str, int, str]:
        read: tuple[str, int, str] = self._read_status()  # type: ignore[attr-defined]
        return read

    def _length(self) -> int | None:
        if self.status in (http.client.NO_CONTENT, http.client.NOT_MODIFIED) or 100 <= self.status < 200 or self._method == "HEAD":  # type: ignore[attr-defined]
            return 0
        length = self.headers.get("content-length")
        return int(length) if length and length.isdigit() and not self.chunked else None

    def _message(self) -> http.client.HTTPMessage:
        message = http.client.HTTPMessage()
        for line in self._lines():
            name, colon, value = line.decode("iso-8859-1").partition(":")
            if colon:
                message[name] = value.strip()
        return message

    def _lines(self) -> list[bytes]:
        """The lines up to the empty one; a line that goes on in the next is joined, as RFC 9112 wants it of old servers."""
        lines: list[bytes] = []
        while (line := self.fp.readline(LONGEST_LINE + 1)) not in (b"\r\n", b"\n", b""):
            if len(line) > LONGEST_LINE:
                raise http.client.LineTooLong("header line")
            if line[:1] in (b" ", b"\t") and lines:
                lines[-1] = lines[-1].rstrip() + b" " + line.strip()
            else:
                lines.append(line)
            if len(lines) > MOST_HEADERS:
                raise http.client.HTTPException(f"got more than {MOST_HEADERS} headers")
        return lines
