"""Where backups lie: a bucket, a Cloudinary account, or a directory of this machine.

Everything in it is an object of a few megabytes under a name with slashes, written once. So every kind of store will
do: none needs to take a backup as one large file, and a part that was lost on its way is sent again by itself.
"""

import contextlib
import io
import logging
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from django.conf import settings

from apps.operations.services.backups.errors import Refused, StoreAway
from core.errors import Unavailable

logger = logging.getLogger("rgms.backups")

TRIES = 4
_PAUSE_SECONDS = 1.0  # before the second try, doubled before each further one
_TIMEOUT_SECONDS = 30.0
_T = TypeVar("_T")


class Place(ABC):
    """Objects by name, over connections that end with the block. `described` says where, without a secret.

    Every method raises StoreAway.
    """

    described: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """End the connections."""

    def put(self, name: str, content: bytes) -> None:
        """Store under a name that has not been used before."""
        self._repeated(f"storing {name}", lambda: self._put(name, content))

    def get(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        return self._repeated(f"reading {name}", lambda: self._get(name))

    def names(self, prefix: str = "") -> list[str]:
        """Of all objects whose name begins with `prefix`, sorted."""
        return sorted(self._repeated("listing the backups", lambda: self._names(prefix)))

    def delete(self, name: str) -> None:
        """Idempotent."""
        self._repeated(f"deleting {name}", lambda: self._delete(name))

    @abstractmethod
    def _put(self, name: str, content: bytes) -> None: ...

    @abstractmethod
    def _get(self, name: str) -> bytes: ...

    @abstractmethod
    def _names(self, prefix: str) -> list[str]: ...

    @abstractmethod
    def _delete(self, name: str) -> None: ...

    def _repeated(self, what: str, act: Callable[[], _T]) -> _T:
        for left in reversed(range(TRIES)):
            try:
                return act()
            except StoreAway as error:
                if not left:
                    raise StoreAway(f"{self.described} failed at {what}: {error}") from error
                logger.warning("%s failed at %s and is tried again: %s", self.described, what, error)
                time.sleep(_PAUSE_SECONDS * 2 ** (TRIES - 1 - left))
        raise AssertionError("unreachable")


def place_open(place: Mapping[str, Any] | None = None) -> Place:
    """The place that BACKUP_URL names. Raises Refused when it is not set."""
    wanted = dict(settings.BACKUP_PLACE if place is None else place)
    if not wanted:
        raise Refused("BACKUP_URL is not set, so there is no place for backups. docs/BACKUP_RESTORE.md says how.")
    kinds: dict[str, type[FilePlace | S3Place | CloudinaryPlace]] = {
        "file": FilePlace,
        "s3": S3Place,
        "cloudinary": CloudinaryPlace,
    }
    return kinds[wanted.pop("kind")](**wanted)


class FilePlace(Place):
    """A directory, for development and for whoever mounts a disk that survives."""

    def __init__(self, *, path: str) -> None:
        self._root = Path(path)
        self.described = f"file://{path}"

    def _put(self, name: str, content: bytes) -> None:
        target = self._root / name
        with self._words():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(target)

    def _get(self, name: str) -> bytes:
        with self._words():
            return (self._root / name).read_bytes()

    def _names(self, prefix: str) -> list[str]:
        with self._words():
            found = [file.relative_to(self._root).as_posix() for file in self._root.rglob("*") if file.is_file()]
        return [name for name in found if name.startswith(prefix) and not name.rpartition("/")[2].startswith(".")]

    def _delete(self, name: str) -> None:
        target = self._root / name
        with self._words():
            target.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others still lie there
                target.parent.rmdir()

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreAway(error.strerror or type(error).__name__) from error


class S3Place(Place):
    """A bucket of anything that speaks S3. The bucket must exist; nothing is made public."""

    def __init__(
        self,
        *,
        endpoint: str,
        secure: bool,
        access_key: str,
        secret_key: str,
        bucket: str,
        prefix: str,
        region: str,
    ) -> None:
        import urllib3
        from minio import Minio

        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self.described = f"s3://{endpoint}/{bucket}{'/' + prefix if prefix else ''}"
        self._connections = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=5, read=_TIMEOUT_SECONDS), retries=False, maxsize=2
        )
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,  # told, or the client would ask for it, which many keys may not
            http_client=self._connections,
        )

    def close(self) -> None:
        self._connections.clear()

    def _put(self, name: str, content: bytes) -> None:
        from minio.helpers import MIN_PART_SIZE

        with self._words():
            # In one request: of an upload in several, which begins at 5 MiB, a killed process leaves pieces that no
            # list shows and the account pays for.
            self._client.put_object(
                self._bucket,
                self._prefix + name,
                io.BytesIO(content),
                len(content),
                part_size=max(len(content), MIN_PART_SIZE),
            )

    def _get(self, name: str) -> bytes:
        with self._words():
            answer = self._client.get_object(self._bucket, self._prefix + name)
            try:
                return bytes(answer.read())
            finally:
                answer.close()
                answer.release_conn()

    def _names(self, prefix: str) -> list[str]:
        with self._words():
            found = self._client.list_objects(self._bucket, prefix=self._prefix + prefix, recursive=True)
            return [str(each.object_name).removeprefix(self._prefix) for each in found]

    def _delete(self, name: str) -> None:
        with self._words():
            self._client.remove_object(self._bucket, self._prefix + name)

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        from minio.error import MinioException, S3Error
        from urllib3.exceptions import HTTPError

        try:
            yield
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchObject"}:
                raise FileNotFoundError(error.code) from error
            raise StoreAway(f"the store answered {error.code}") from error
        except (MinioException, HTTPError, OSError) as error:
            raise StoreAway(f"the store did not answer ({type(error).__name__})") from error


class CloudinaryPlace(Place):
    """Authenticated raw files of a Cloudinary account; a part is smaller than the least plan's limit for one."""

    def __init__(self, *, cloud_name: str, api_key: str, api_secret: str, prefix: str) -> None:
        from core.storage import CloudinaryStorage

        self._prefix = f"{prefix}/" if prefix else "rgms-backups/"
        self.described = f"cloudinary://{cloud_name}/{self._prefix.rstrip('/')}"
        self._storage = CloudinaryStorage(
            {
                "cloud_name": cloud_name,
                "api_key": api_key,
                "api_secret": api_secret,
                "upload_prefix": settings.CLOUDINARY_UPLOAD_PREFIX,
            }
        )

    def _put(self, name: str, content: bytes) -> None:
        with self._words():
            # A try whose answer was lost may have stored it; a second file of the name would be refused.
            self._storage.delete(self._prefix + name)
            self._storage._save(self._prefix + name, io.BytesIO(content))

    def _get(self, name: str) -> bytes:
        with self._words(), self._storage.open(self._prefix + name) as file:
            return bytes(file.read())

    def _names(self, prefix: str) -> list[str]:
        with self._words():
            return [name.removeprefix(self._prefix) for name in self._storage.names(self._prefix + prefix)]

    def _delete(self, name: str) -> None:
        with self._words():
            self._storage.delete(self._prefix + name)

    @contextlib.contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except Unavailable as error:
            raise StoreAway(error.detail.partition(". ")[0]) from error
