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
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from loopback import HttpServer, Reply, Request

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

    def headers(self) -> list[tuple[str, str]]:
        """What a reply tells of it."""
        moment = format_datetime(self.modified.replace(microsecond=0), usegmt=True)
        generation = ("x-goog-generation", str(self.generation))
        return [("ETag", self.etag), ("Last-Modified", moment), generation]


class GoogleError(Exception):
    """A reply that is an error.

    Args:
        status: of HTTP.
        code: as Google names it.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class Google(HttpServer):
    """A server with buckets in memory.

    Attributes:
        buckets: the objects of each, by key.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Object]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self._lock = threading.Lock()
        self._generation = 1_790_000_000_000_000
        super().__init__()

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

    def answer(self, request: Request) -> Reply:
        """What Google says."""
        bucket, _, key = request.url.path[1:].partition("/")
        query = {name: said[-1] for name, said in parse_qs(request.url.query, keep_blank_values=True).items()}
        try:
            if not key:
                return Reply(200, self.listing(bucket, query).encode())
            if "uploads" in query or "uploadId" in query:
                return self._part(request, bucket, unquote(key), query)
            return self._object(request, bucket, unquote(key))
        except GoogleError as error:
            return Reply(error.status, f"<Error><Code>{error.code}</Code></Error>".encode())

    def _object(self, request: Request, bucket: str, key: str) -> Reply:
        if request.method == "PUT":
            source, body = request.headers.get("x-goog-copy-source"), request.body
            if source:
                body = self.object(*_parted(source)).data
            made = self.put(bucket, key, body, request.headers.get("x-goog-if-generation-match"))
            copied = f"<CopyObjectResult><ETag>{made.etag}</ETag></CopyObjectResult>" if source else ""
            return Reply(200, copied.encode(), made.headers())
        found = self.object(bucket, key)
        if request.method == "DELETE":
            self.buckets[bucket].pop(key, None)
            return Reply(204)
        start, _, end = request.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if not start:
            return Reply(200, found.data, found.headers())
        last = min(int(end) if end else len(found.data), len(found.data) - 1)
        where = ("Content-Range", f"bytes {start}-{last}/{len(found.data)}")
        return Reply(206, found.data[int(start) : last + 1], [*found.headers(), where])

    def _part(self, request: Request, bucket: str, key: str, query: dict[str, str]) -> Reply:
        number = query.get("uploadId") or uuid.uuid4().hex
        parts = self.uploads.setdefault(number, {})
        if "uploads" in query:
            said = f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
            said += f"<UploadId>{number}</UploadId></InitiateMultipartUploadResult>"
            return Reply(200, said.encode())
        if request.method == "PUT":
            parts[int(query["partNumber"])] = request.body
            return Reply(200, headers=Object(request.body, 0).headers())
        if request.method == "POST":
            listed = [
                int(item.text or "")
                for item in ElementTree.fromstring(request.body).iter()
                if item.tag.rpartition("}")[2] == "PartNumber"
            ]
            made = self.put(bucket, key, b"".join(parts[part] for part in listed))
            said = f"<CompleteMultipartUploadResult><ETag>{escape(made.etag)}</ETag>"
            return Reply(200, f"{said}</CompleteMultipartUploadResult>".encode())
        self.uploads.pop(number, None)
        return Reply(204 if request.method == "DELETE" else 200)


def _row(name: str, found: Object | None) -> str:
    if found is None:
        return f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
    moment = found.modified.strftime("%Y-%m-%dT%H:%M:%S.") + f"{found.modified.microsecond // 1000:03}Z"
    return (
        f"<Contents><Key>{escape(name)}</Key><Generation>{found.generation}</Generation><LastModified>"
        f"{moment}</LastModified><ETag>{found.etag}</ETag><Size>{len(found.data)}</Size></Contents>"
    )


def _parted(source: str) -> tuple[str, str]:
    bucket, _, key = unquote(source).lstrip("/").partition("/")
    return bucket, key
