"""Read objects of S3, and write objects to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from pydatastream.core.errors import Fenced, StopError
from pydatastream.core.sink import Delivery, Write, Writer
from pydatastream.parts.aws.access import AwsAccess
from pydatastream.parts.aws.errors import code_of, expect, speaking
from pydatastream.parts.files.naming import Names
from pydatastream.parts.remote.depot import Staged, Upload
from pydatastream.parts.remote.file import Origin, Seen, gap
from pydatastream.parts.remote.parts import RemoteParts
from pydatastream.parts.remote.sink import RemoteSink
from pydatastream.parts.remote.source import RemoteSource

PIECE = 8 << 20
"""Bytes of one piece of an upload; S3 takes no less than 5 MiB, and 10,000 pieces."""

GONE = {"NoSuchKey", "404", "PreconditionFailed", "412", "InvalidRange"}
"""Codes of an object that is not as it was when it was listed."""


class S3Bucket(AwsAccess):
    """A bucket, and the beginning of the keys in it."""

    bucket: str = Field(pattern=r"^[A-Za-z0-9._-]{3,63}$|^arn:")
    """The bucket's name."""
    prefix: str = ""
    """What keys begin with: "in/" for those of a folder."""

    def place(self) -> S3Place:
        """The bucket, not yet asked anything."""
        return S3Place(self)


class S3Place:
    """A bucket that is spoken to."""

    def __init__(self, at: S3Bucket) -> None:
        self._at, self.bucket = at, {"Bucket": at.bucket}
        self.name = f"s3://{at.bucket}"
        self.prefix = at.prefix

    @cached_property
    def client(self) -> Any:
        """The client, made when it is needed."""
        return self._at.client("s3")

    def speaking(self) -> AbstractContextManager[None]:
        """Turn failures into errors that say what to do."""
        return speaking(self.name, self._at.endpoint_url)

    def keys(self, beginning: str) -> Iterator[str]:
        """The keys that begin so, in order."""
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(**self.bucket, Prefix=beginning):
            expect(page, "IsTruncated")
            yield from (one["Key"] for one in page.get("Contents", ()))

    def check(self) -> None:
        """Ask for the bucket; `ConfigError` says what is wrong."""
        with self.speaking():
            self.client.list_objects_v2(**self.bucket, Prefix=self.prefix, MaxKeys=1)


class S3Source(S3Bucket, RemoteSource):
    """Read the objects of a bucket whose keys begin with a prefix.

    Each object is a partition, named by its key. Keys with a part that begins with a dot or an
    underscore after the prefix are left out, and those that end in "/". Records are read by
    ranges, parquet and compressed objects from a temporary copy.

    Delivery: replayable. An offset holds the object's ETag and a position in it. An object that
    was replaced, or removed before its end was read, stops the run; one that was read is not
    looked at again.
    """

    primary: ClassVar[str | None] = "bucket"
    example: ClassVar[str] = (
        "{type: s3, bucket: sensors, prefix: in/, region: eu-central-1, format: json, time: ts}"
    )

    def connected(self) -> Origin:
        """The bucket."""
        return S3Origin(self.place())


class S3Origin:
    """Objects that are read."""

    def __init__(self, s3: S3Place) -> None:
        self._s3, self.place = s3, s3.name

    def use(self) -> None:
        """Each request stands for itself."""

    def close(self) -> None:
        """Nothing is held between two requests."""

    def names(self) -> list[str]:
        with self._s3.speaking():
            return [key for key in self._s3.keys(self._s3.prefix) if self._shown(key)]

    def seen(self, name: str) -> Seen | None:
        with self._s3.speaking():
            try:
                found = self._s3.client.head_object(**self._s3.bucket, Key=name)
            except Exception as error:
                if code_of(error) in GONE:
                    return None
                raise
        return Seen(found["ContentLength"], found["ETag"], found["LastModified"].timestamp())

    def read(self, name: str, seen: Seen, at: int, size: int) -> bytes:
        span = f"bytes={at}-{at + size - 1}"
        with self._s3.speaking():
            try:
                found = self._s3.client.get_object(
                    **self._s3.bucket, Key=name, Range=span, IfMatch=seen.version
                )
                expect(found, "ETag")
                return bytes(found["Body"].read())
            except Exception as error:
                if code_of(error) in GONE:
                    why = "was replaced or removed while it was read"
                    raise gap(f"{self.place}/{name}", why) from error
                raise

    def _shown(self, key: str) -> bool:
        parts = key.removeprefix(self._s3.prefix).split("/")
        return bool(parts[-1]) and not any(part[:1] in (".", "_") for part in parts)


class S3Sink(S3Bucket, RemoteSink):
    """Write rows to objects of a bucket, each shown as a whole.

    Objects are named `<prefix>part-<epoch>-<n>.<extension>`, or as `names` says; an epoch without
    rows gives none.

    Delivery: exactly once. Rows go to multipart uploads, which nobody sees, piece by piece as
    they come. With a checkpoint, publishing an epoch replaces the marker object
    `<prefix>.pds-<pipeline>-<output>.json`, which names the uploads, then completes them: a crash
    before the marker shows nothing, one after it is completed by the next start. The marker is
    replaced only if it is as this instance left it (If-Match), so an old instance that wakes up
    cannot publish; where a server does not know If-Match, only one may run. Without a checkpoint
    a run replaces the objects of the last one. A prefix belongs to one output. Uploads that a
    crash has left are removed by the next start; a lifecycle rule for incomplete uploads should
    leave them for days.
    """

    delivery: ClassVar[Delivery] = Delivery.EXACTLY_ONCE
    primary: ClassVar[str | None] = "bucket"
    example: ClassVar[str] = (
        "{type: s3, bucket: sensors, prefix: out/, region: eu-central-1, format: parquet}"
    )

    def check(self) -> None:
        """Ask for the bucket; `ConfigError` says what is wrong."""
        self.place().check()

    def open(self, job: Write) -> Writer:
        """Start writing; `ConfigError` for a place that may not be written like this."""
        return RemoteParts(S3Depot(self.place()), self.layout(job.schema), job)


class S3Depot:
    """Objects that are written."""

    def __init__(self, s3: S3Place) -> None:
        self._s3, self.place = s3, f"{s3.name}/{s3.prefix}"
        s3.check()

    def names(self, beginning: str) -> list[str]:
        with self._s3.speaking():
            keys = self._s3.keys(self._s3.prefix + beginning)
            return [key.removeprefix(self._s3.prefix) for key in keys]

    def create(self, name: str, token: str) -> Upload:  # noqa: ARG002 - an upload has an id of its own
        return S3Upload(self._s3, name)

    def reveal(self, staged: Staged) -> None:
        """Complete the upload; an object that has the name and the size is done."""
        key, upload = {"Key": self._s3.prefix + staged.name}, staged.key
        whole = {"UploadId": upload["id"], "MultipartUpload": {"Parts": upload["pieces"]}}
        with self._s3.speaking():
            try:
                done = self._s3.client.complete_multipart_upload(**self._s3.bucket, **key, **whole)
                expect(done, "ETag")
            except Exception as error:
                if code_of(error) != "NoSuchUpload":
                    raise
                if self._size(key) != staged.size:
                    what = f"neither the upload of {staged.name} nor the object is there"
                    hint = "restore the object, or start afresh with a new checkpoint"
                    raise StopError(what, where=self.place, hint=hint) from error

    def remove(self, name: str) -> None:
        with self._s3.speaking():
            self._s3.client.delete_object(**self._s3.bucket, Key=self._s3.prefix + name)

    def hidden(self, names: Names) -> list[Any]:
        pages = self._s3.client.get_paginator("list_multipart_uploads").paginate
        asked = {**self._s3.bucket, "Prefix": self._s3.prefix + names.beginning}
        with self._s3.speaking():
            found = [one for page in pages(**asked) for one in page.get("Uploads", ())]
        return [one for one in found if names.owns(one["Key"].removeprefix(self._s3.prefix))]

    def discard(self, hidden: Any) -> None:
        upload = {name: hidden[name] for name in ("Key", "UploadId")}
        with self._s3.speaking():
            self._s3.client.abort_multipart_upload(**self._s3.bucket, **upload)

    def load(self, name: str) -> tuple[bytes, Any] | None:
        with self._s3.speaking():
            try:
                found = self._s3.client.get_object(**self._s3.bucket, Key=self._s3.prefix + name)
                return found["Body"].read(), found["ETag"]
            except Exception as error:
                if code_of(error) == "NoSuchKey":
                    return None
                raise

    def store(self, name: str, content: bytes, version: Any) -> Any:
        key = {"Key": self._s3.prefix + name, "Body": content}
        only = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        with self._s3.speaking():
            try:
                return self._s3.client.put_object(**self._s3.bucket, **key, **only)["ETag"]
            except Exception as error:
                if code_of(error) not in ("PreconditionFailed", "412", "NoSuchKey"):
                    raise
        return self._mine(name, content)

    def _mine(self, name: str, content: bytes) -> Any:
        """The version of a marker that was written although its answer was lost."""
        found = self.load(name)
        if found and found[0] == content:
            return found[1]
        what = f"{name} has changed: another instance writes here"
        raise Fenced(what, where=self.place, hint="stop one of the two")

    def close(self) -> None:
        """Nothing is held between two requests."""

    def _size(self, key: dict[str, str]) -> int | None:
        try:
            found = self._s3.client.head_object(**self._s3.bucket, **key)
        except Exception as error:
            if code_of(error) in GONE:
                return None
            raise
        return int(found["ContentLength"])


class S3Upload:
    """An upload that nobody sees; pieces go out as they are full."""

    def __init__(self, s3: S3Place, name: str) -> None:
        self._s3, self._name = s3, name
        self._to = {**s3.bucket, "Key": s3.prefix + name}
        self._held, self._pieces = bytearray(), list[dict[str, Any]]()
        self.size = 0
        with s3.speaking():
            answer = s3.client.create_multipart_upload(**self._to)
            self._to["UploadId"] = answer["UploadId"]

    def write(self, data: Any, /) -> int:
        self._held += data
        self.size += len(data)
        while len(self._held) >= PIECE:
            self._send(PIECE)
        return len(data)

    def flush(self) -> None:
        """A piece waits until it is full."""

    def settle(self) -> Staged:
        if self._held or not self._pieces:
            self._send(len(self._held))
        return Staged(self._name, self.size, {"id": self._to["UploadId"], "pieces": self._pieces})

    def abandon(self) -> None:
        with self._s3.speaking():
            self._s3.client.abort_multipart_upload(**self._to)

    def _send(self, size: int) -> None:
        number = len(self._pieces) + 1
        with self._s3.speaking():
            found = self._s3.client.upload_part(
                **self._to, PartNumber=number, Body=bytes(self._held[:size])
            )
            self._pieces.append({"PartNumber": number, "ETag": found["ETag"]})
        del self._held[:size]
