"""The committed OpenAPI document, and a page to read it: served from the file, so no process pays for generating it."""

import hashlib
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import quote_etag
from django.views import View
from django.views.decorators.http import condition
from drf_spectacular.views import SpectacularSwaggerView


@cache
def _document() -> tuple[bytes, str]:
    """The document's bytes and their entity tag. The file is part of the release and does not change under it."""
    content = settings.OPENAPI_FILE.read_bytes()
    return content, quote_etag(hashlib.sha256(content).hexdigest()[:32])


class OpenApiDocument(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return _answer(request)


@condition(etag_func=lambda request: _document()[1])
def _answer(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the shape of a view
    content, _ = _document()
    response = HttpResponse(content, content_type="application/yaml; charset=utf-8")
    response["Cache-Control"] = "public, max-age=300"
    return response


class OpenApiPage(SpectacularSwaggerView):
    """Swagger UI from our own static files; nothing is fetched from elsewhere."""

    url_name = "schema"
    authentication_classes = ()
