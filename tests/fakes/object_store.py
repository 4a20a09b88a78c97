"""An object store that speaks S3: as much of it as engines that read and write tables ask for, with objects in memory.

Requests must be signed with its key (who signed is looked at, the signature is not). As real ones do, it lists in
pages, takes an object in parts, and refuses with 412 to write over an object when told to make a new one.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

ACCESS_KEY = "lake-reader"
SECRET_KEY = "not-for-logs"
_PAGE = 5
"""Objects in one page of a list."""
_DATE = "Sat, 21 Nov 2026 00:00:00 GMT"


class FakeObjectStore:
    """Serves on a loopback port until closed; any bucket exists."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        """By bucket and key: `lake/events/_delta_log/…`."""
        self.asked: list[tuple[str, str]] = []
        """Methods and paths of what was asked for."""
        self.before: Callable[[str, str], None] = lambda *_: None
        """Called with them before what is asked for is done."""
        self._lock = threading.Lock()
        self._parts: dict[str, dict[int, bytes]] = {}
        self._server = _serve(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def environment(self) -> dict[str, str]:
        """What tells a program where this is, and who it is."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Said:
        """Do what is asked, one at a time."""
        path, _, query = target.partition("?")
        name, given = unquote(path).strip("/"), dict(parse_qsl(query, keep_blank_values=True))
        self.asked.append((method, name))
        self.before(method, name)
        with self._lock:
            if f"Credential={ACCESS_KEY}/" not in headers.get("authorization", ""):
                return _refused(403, "AccessDenied")
            if method in ("GET", "HEAD"):
                return self._list(name, given) if "list-type" in given else self._get(name, headers)
            if method == "PUT" and "uploadId" in given:
                self._parts[given["uploadId"]][int(given["partNumber"])] = body
                return 200, {"ETag": _etag(body)}, b""
            if method == "PUT":
                return self._put(name, headers, body)
            if method == "POST" and ("uploads" in given or "uploadId" in given):
                return self._post(name, given, headers)
            if method == "DELETE":
                self.objects.pop(name, None)
                return 204, {}, b""
        return _refused(501, "NotImplemented")

    def _get(self, name: str, headers: Mapping[str, str]) -> Said:
        if (body := self.objects.get(name)) is None:
            return _refused(404, "NoSuchKey")
        said = {"ETag": _etag(body), "Last-Modified": _DATE, "Accept-Ranges": "bytes"}
        if not (asked := re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))):
            return 200, said, body
        first, last = asked.groups()
        start = int(first) if first else max(0, len(body) - int(last))
        if start >= len(body):
            return _refused(416, "InvalidRange")
        part = body[start : int(last) + 1 if first and last else None]
        return 206, {**said, "Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(body)}"}, part

    def _put(self, name: str, headers: Mapping[str, str], body: bytes) -> Said:
        if headers.get("if-none-match") == "*" and name in self.objects:
            return _refused(412, "PreconditionFailed")
        self.objects[name] = body
        return 200, {"ETag": _etag(body)}, b""

    def _post(self, name: str, given: Mapping[str, str], headers: Mapping[str, str]) -> Said:
        """Begin to take an object in parts, or put them together."""
        if "uploads" in given:
            upload = str(len(self._parts))
            self._parts[upload] = {}
            return _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
        parts = self._parts[given["uploadId"]]
        status, said, _ = self._put(name, headers, b"".join(parts[number] for number in sorted(parts)))
        if status != 200:
            return _refused(status, "PreconditionFailed")
        return _xml("CompleteMultipartUploadResult", f"<ETag>{escape(said['ETag'])}</ETag>")

    def _list(self, bucket: str, given: Mapping[str, str]) -> Said:
        prefix, delimiter = given.get("prefix", ""), given.get("delimiter", "")
        after = given.get("continuation-token") or given.get("start-after", "")
        keys = sorted(name.removeprefix(f"{bucket}/") for name in self.objects if name.startswith(f"{bucket}/"))
        found: dict[str, str] = {}
        for key in (key for key in keys if key.startswith(prefix)):
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            shown = prefix + head + cut if cut else key
            if shown > after:
                found[shown] = _common(shown) if cut else _listed(shown, self.objects[f"{bucket}/{key}"])
        page = list(found)[: min(_PAGE, int(given.get("max-keys", _PAGE)))]
        more = len(page) < len(found)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        about = f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return _xml("ListBucketResult", about + truncated + token + "".join(found[key] for key in page))


Said = tuple[int, dict[str, str], bytes]


def _common(prefix: str) -> str:
    return f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>"


def _listed(key: str, body: bytes) -> str:
    about = f"<Key>{escape(key)}</Key><LastModified>2026-11-21T00:00:00.000Z</LastModified>"
    return f"<Contents>{about}<ETag>{escape(_etag(body))}</ETag><Size>{len(body)}</Size></Contents>"


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _xml(name: str, inner: str) -> Said:
    text = f'<?xml version="1.0"?><{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</{name}>'
    return 200, {"Content-Type": "application/xml"}, text.encode()


def _refused(status: int, code: str) -> Said:
    return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode()


def _serve(store: FakeObjectStore) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes

        def do(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            status, said, answer = store.answer(self.command, self.path, headers, body)
            self.send_response_only(status)
            for name, value in {**said, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                with suppress(ConnectionError):  # engines that have seen enough hang up
                    self.wfile.write(answer)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server
