import pytest

from load.generator.headers import answer_owner, cache_hit, server_timing_ms
from load.results import Owner


@pytest.mark.parametrize(
    ("header", "hit"),
    [
        ("rgms; hit", True),
        ("rgms; hit; ttl=30", True),
        ("rgms;hit=?1", True),
        ("rgms; fwd=uri-miss; stored", False),
        ("rgms; fwd=bypass; detail=redis-away", False),
        ('Edge; fwd=miss; key="a,b;hit", rgms; hit', True),
        ("Edge; hit", None),
        ("", None),
        (None, None),
    ],
)
def test_only_the_services_own_cache_counts(header: str | None, hit: bool | None) -> None:
    assert cache_hit(header) is hit


@pytest.mark.parametrize(
    ("header", "milliseconds"),
    [
        ('app;dur=12.5, db;dur=3.25;desc="3 queries, slow", cache;dur=0.1', 3.25),
        ('db;desc="dur=9";dur=1', 1.0),
        ("app;dur=1", None),
        ("db;dur=fast", None),
        ("db;dur=-1", None),
        ("db;dur=nan", None),
        ("db", None),
        (None, None),
    ],
)
def test_the_duration_of_a_metric_is_read_or_absent(header: str | None, milliseconds: float | None) -> None:
    assert server_timing_ms(header, "db") == milliseconds


@pytest.mark.parametrize(
    ("status", "headers", "owner"),
    [
        (500, {"x-request-id": "1"}, Owner.APPLICATION),
        (404, {"x-request-id": "1"}, Owner.APPLICATION),
        (502, {}, Owner.EDGE),
        (500, {"x-request-id": ""}, Owner.EDGE),
        (504, {"x-request-id": "1", "proxy-status": "edge; error=connection_timeout"}, Owner.EDGE),
        (429, {"x-request-id": "1", "retry-after": "3"}, Owner.THROTTLE),
        (429, {"x-request-id": "1"}, Owner.APPLICATION),
        (403, {}, Owner.EDGE),
    ],
)
def test_each_failure_has_one_owner(status: int, headers: dict[str, str], owner: Owner) -> None:
    assert answer_owner(status=status, headers=headers) is owner
