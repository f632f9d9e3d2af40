"""Google's buckets on loopback: the XML interface that obstore speaks, as far as it speaks it.

No emulator that can be installed has it: those speak the JSON interface, which gcsfs uses. Written after
https://cloud.google.com/storage/docs/xml-api/reference-methods. What matters of it here: etags are MD5 sums,
a listing tells times to the millisecond and a head to the second, and each object has a generation.
"""

import hashlib
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

PAGE = 1000


@dataclass
class Object:
    """What lies under a key."""

    data: bytes
    generation: int
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def etag(self) -> str:
        """As Google makes it of an object that was sent in one piece."""
        return f'"{hashlib.md5(self.data).hexdigest()}"'


class GoogleError(Exception):
    """A reply that is an error.

    Args:
        status: of HTTP.
        code: as Google names it.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Google:
    """A server with buckets in memory.

    Attributes:
        target: host and port.
        buckets: the objects of each, by key.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Object]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self._lock = threading.Lock()
        self._generation = 1_790_000_000_000_000
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.target = ("127.0.0.1", self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def new_bucket(self) -> str:
        """Make a bucket with a fresh name; returns the name."""
        name = f"b{uuid.uuid4().hex[:12]}"
        self.buckets[name] = {}
        return name

    def objects(self, bucket: str) -> dict[str, Object]:
        """Those of a bucket that there is."""
        if bucket not in self.buckets:
            raise GoogleError(404, "NoSuchBucket")
        return self.buckets[bucket]

    def object(self, bucket: str, key: str) -> Object:
        """One that there is."""
        found = self.objects(bucket).get(key)
        if found is None:
            raise GoogleError(404, "NoSuchKey")
        return found

    def put(self, bucket: str, key: str, data: bytes, condition: str | None = None) -> Object:
        """Write an object, if it is in the generation that the condition names; 0 is that there is none."""
        with self._lock:
            objects = self.objects(bucket)
            now = objects[key].generation if key in objects else 0
            if condition is not None and int(condition) != now:
                raise GoogleError(412, "PreconditionFailed")
            self._generation += 1
            objects[key] = Object(data, self._generation)
            return objects[key]

    def listing(self, bucket: str, query: dict[str, str]) -> str:
        """A page of a listing."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, rows = query.get("continuation-token", ""), []
        for key, found in sorted(self.objects(bucket).items()):
            if not key.startswith(prefix):
                continue
            head, mark, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            name = f"{prefix}{head}{mark}" if mark else key
            if name <= after or (rows and rows[-1][0] == name):
                continue
            rows.append((name, None if mark else found))
        page = rows[: min(PAGE, int(query.get("max-keys", PAGE)))]
        said, is_cut = "".join(_row(name, found) for name, found in page), len(page) < len(rows)
        token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if is_cut else ""
        return (
            f"<ListBucketResult><Name>{bucket}</Name>{said}<KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(is_cut).lower()}</IsTruncated>{token}</ListBucketResult>"
        )


def _row(name: str, found: Object | None) -> str:
    if found is None:
        return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
    moment = found.modified.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.modified.microsecond // 1000:03}Z"
    return (
        f"<Contents><Key>{escape(name)}</Key><Generation>{found.generation}</Generation><LastModified>"
        f"{moment}</LastModified><ETag>{found.etag}</ETag><Size>{len(found.data)}</Size></Contents>"
    )


def _handler(google: Google) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            bucket, _, key = parts.path[1:].partition("/")
            query = {name: said[-1] for name, said in parse_qs(parts.query, keep_blank_values=True).items()}
            try:
                self._do(bucket, unquote(key), query, body)
            except GoogleError as error:
                self._answer(error.status, f"<Error><Code>{error.code}</Code></Error>".encode())

        def _do(self, bucket: str, key: str, query: dict[str, str], body: bytes) -> None:
            if not key:
                self._answer(200, google.listing(bucket, query).encode())
            elif "uploads" in query or "uploadId" in query:
                self._do_part(bucket, key, query, body)
            elif self.command == "PUT":
                source = self.headers.get("x-goog-copy-source")
                if source:
                    body = google.object(*_parted(source)).data
                made = google.put(bucket, key, body, self.headers.get("x-goog-if-generation-match"))
                copied = f"<CopyObjectResult><ETag>{made.etag}</ETag></CopyObjectResult>" if source else ""
                self._answer(200, copied.encode(), made)
            elif self.command == "DELETE":
                google.object(bucket, key)
                google.buckets[bucket].pop(key, None)
                self._answer(204, b"")
            else:
                self._send(google.object(bucket, key))

        def _do_part(self, bucket: str, key: str, query: dict[str, str], body: bytes) -> None:
            number = query.get("uploadId") or uuid.uuid4().hex
            parts = google.uploads.setdefault(number, {})
            said = ""
            if "uploads" in query:
                said = f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                said += f"<UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
            elif self.command == "PUT":
                parts[int(query["partNumber"])] = body
                self._answer(200, b"", Object(body, 0))
                return
            elif self.command == "POST":
                listed = [
                    int(item.text or "")
                    for item in ElementTree.fromstring(body).iter()
                    if item.tag.rpartition("}")[2] == "PartNumber"
                ]
                made = google.put(bucket, key, b"".join(parts[part] for part in listed))
                said = f"<CompleteMultipartUploadResult><ETag>{escape(made.etag)}</ETag>"
                said += "</CompleteMultipartUploadResult>"
            else:
                google.uploads.pop(number, None)
            self._answer(204 if self.command == "DELETE" else 200, said.encode())

        def _send(self, found: Object) -> None:
            start, _, end = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
            if not start:
                self._answer(200, found.data, found)
                return
            last = min(int(end) if end else len(found.data), len(found.data) - 1)
            where = {"Content-Range": f"bytes {start}-{last}/{len(found.data)}"}
            self._answer(206, found.data[int(start) : last + 1], found, where)

        def _answer(
            self, status: int, content: bytes, found: Object | None = None, more: dict[str, str] | None = None
        ) -> None:
            self.send_response_only(status)
            headers = {"Content-Length": str(len(content)), **(more or {})}
            if found is not None:
                moment = format_datetime(found.modified.replace(microsecond=0), usegmt=True)
                headers |= {"ETag": found.etag, "Last-Modified": moment}
                headers["x-goog-generation"] = str(found.generation)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


def _parted(source: str) -> tuple[str, str]:
    bucket, _, key = unquote(source).lstrip("/").partition("/")
    return bucket, key
