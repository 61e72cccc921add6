import time

from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps.accounts.authentication import client_address
from apps.reports.rules import CERTIFICATE_ASKS

_MINUTE = 60


class CertificateThrottle(BaseThrottle):
    """So many questions of one address in a minute. It keeps load away, not guesses: nobody guesses 80 random bits, so
    without Redis everybody is answered.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        address = client_address(request._request)
        if address is None:
            return True
        key = f"certificate-asks:{address}:{int(time.time()) // _MINUTE}"
        try:
            cache.add(key, 0, timeout=2 * _MINUTE)
            return bool(cache.incr(key) <= CERTIFICATE_ASKS)
        except (RedisError, OSError, ValueError):
            return True

    def wait(self) -> float:
        return _MINUTE - time.time() % _MINUTE
