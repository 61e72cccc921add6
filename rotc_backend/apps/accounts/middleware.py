from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from core.errors import TooManyRequests


class LockoutMiddleware:
    """Answers a page of the admin site that is refused for too many guesses: 429 and Retry-After, as the API does.

    REST views answer their own errors; Django's sign-in page knows only right and wrong.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, TooManyRequests):
            return None
        page = render(request, "accounts/locked.html", {"detail": exception.detail}, status=exception.status)
        page["Retry-After"] = str(exception.retry_after)
        return page
