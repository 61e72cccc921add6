"""The routes under /api/, as the URL configuration has them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, kw_only=True)
class Route:
    """`path` has its parameters in braces, as the OpenAPI document writes them: /api/v1/cadets/{cadet_id}."""

    path: str
    methods: tuple[str, ...]
    view: Any

    @property
    def operations(self) -> tuple[str, ...]:
        """ "GET /api/v1/cadets/{cadet_id}" for each method."""
        return tuple(f"{method} {self.path}" for method in self.methods)


def shape(operation: str) -> str:
    """A path or "METHOD /path" without the names of its parameters: two rows of one operation have the same shape."""
    return re.sub(r"{\w+}", "{}", operation)


def api_routes() -> list[Route]:
    return sorted(_routes(), key=lambda route: route.path)


def _routes() -> Iterator[Route]:
    for pattern, entry in _below(get_resolver(), ""):
        if pattern.startswith("api/"):
            view: Any = vars(entry.callback).get("view_class") or vars(entry.callback)["cls"]
            methods = tuple(method for method in METHODS if hasattr(view, method.lower()))
            yield Route(path="/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", pattern), methods=methods, view=view)


def _below(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _below(entry, path)
        else:
            yield path, entry
