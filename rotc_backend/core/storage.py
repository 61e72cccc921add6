"""Files in production live in Cloudinary, since a service's own disk is gone with each deploy.

Every file is stored as an authenticated raw asset: its address alone opens nothing, a link is signed and expires.
`MEDIA_STORAGE=local` replaces this class by Django's own file system storage.
"""

import http.client
import time
import urllib.error
import urllib.request
from typing import IO, Any

import cloudinary
import cloudinary.api
import cloudinary.exceptions
import cloudinary.uploader
import cloudinary.utils
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage
from django.utils.deconstruct import deconstructible

from core.errors import Unavailable

LINK_SECONDS = 300
TIMEOUT_SECONDS = 20
_KIND = {"resource_type": "raw", "type": "authenticated"}


@deconstructible
class CloudinaryStorage(Storage):
    """Django's storage interface over Cloudinary's own library.

    Raises Unavailable (`storage_unavailable`) when Cloudinary does not answer or refuses, and FileNotFoundError for a
    name that is not stored.
    """

    def __init__(self, account: dict[str, Any] | None = None) -> None:
        """`account` as settings.CLOUDINARY has it; that one unless told."""
        chosen = (settings.CLOUDINARY or {}) if account is None else account
        self._account: dict[str, Any] = {**chosen, "secure": True, "timeout": TIMEOUT_SECONDS}

    def _open(
        self, name: str, mode: str = "rb"
    ) -> "File[bytes]":  # quoted: at run time Django's class takes no argument
        if mode != "rb":
            raise ValueError("Files in Cloudinary can only be read as a whole; write a new one with save().")
        try:
            with urllib.request.urlopen(self.url(name), timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - built by url()
                return ContentFile(answer.read(), name=name)
        except urllib.error.HTTPError as error:
            error.close()  # it is an answer, with a connection of its own
            if error.code == 404:
                raise FileNotFoundError(name) from error
            raise _unavailable(f"answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:  # the latter when the answer breaks off in the middle
            raise _unavailable("did not answer") from error

    def _save(self, name: str, content: IO[bytes]) -> str:
        content.seek(0)
        # As a tuple: the library sends nothing at all for a file object without a name, and reports no error.
        file = (name, content.read())
        try:
            answer = cloudinary.uploader.upload(
                file, public_id=name, overwrite=False, unique_filename=False, **_KIND, **self._account
            )
        except (cloudinary.exceptions.Error, OSError) as error:
            raise _unavailable("did not accept the file") from error
        if answer.get("existing"):  # somebody took the name since `exists` was asked: theirs stays, ours was not kept
            raise _unavailable("already holds a file of this name")
        return name

    def delete(self, name: str) -> None:
        try:
            cloudinary.uploader.destroy(name, invalidate=True, **_KIND, **self._account)
        except (cloudinary.exceptions.Error, OSError) as error:
            raise _unavailable("did not delete the file") from error

    def exists(self, name: str) -> bool:
        return self._resource(name) is not None

    def size(self, name: str) -> int:
        resource = self._resource(name)
        if resource is None:
            raise FileNotFoundError(name)
        return int(resource["bytes"])

    def url(self, name: str | None) -> str:
        """A signed link that works for LINK_SECONDS."""
        return str(
            cloudinary.utils.private_download_url(
                name, format="", expires_at=int(time.time()) + LINK_SECONDS, **_KIND, **self._account
            )
        )

    def names(self, prefix: str) -> list[str]:
        """Of every file whose name begins with `prefix`."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            try:
                page = cloudinary.api.resources(
                    prefix=prefix, max_results=500, next_cursor=cursor, **_KIND, **self._account
                )
            except (cloudinary.exceptions.Error, OSError) as error:
                raise _unavailable("did not answer") from error
            found += [resource["public_id"] for resource in page["resources"]]
            cursor = page.get("next_cursor")
            if cursor is None:
                return found

    def _resource(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(cloudinary.api.resource(name, **_KIND, **self._account))
        except cloudinary.exceptions.NotFound:
            return None
        except (cloudinary.exceptions.Error, OSError) as error:
            raise _unavailable("did not answer") from error


def _unavailable(what: str) -> Unavailable:
    return Unavailable(
        f"The file storage {what}. Try again in a minute; nothing was saved.", code="storage_unavailable"
    )
