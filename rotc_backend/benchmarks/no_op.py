"""Tasks of scripts/benchmark-tasks; its worker is told of this module, no other one knows them."""

from dataclasses import dataclass
from typing import ClassVar

import redis
from celery import shared_task
from django.conf import settings

from core.messages import Job

ECHOES = "benchmark.echoes"


@dataclass(frozen=True, kw_only=True)
class NoOp(Job):
    task: ClassVar[str] = "benchmarks.no_op"


@shared_task(name=NoOp.task)
def no_op() -> None:
    """Nothing: what is measured is all the rest."""


@shared_task(name="benchmarks.echo")
def echo(*, number: int) -> None:
    """Say that it was done, to whoever waits for it."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.rpush(ECHOES, number)
