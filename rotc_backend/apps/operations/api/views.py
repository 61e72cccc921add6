import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.authentication import AdminOnly
from apps.operations import rules, sampler, selectors
from apps.operations.api import serializers
from apps.operations.services import probes
from core import clock

_SEEN = {"state": "running", "age_seconds": 2.1, "version": "1.0.0", "commit": None, "key_fingerprint": "5c1f0a9be2d4"}
_HEALTH = {
    "status": "healthy",
    "timestamp": "2026-01-15T10:30:00.000Z",
    "services": {"database": "connected", "redis": "connected", "celery": "running"},
    "version": "1.0.0",
    "environment": "production",
    "commit": None,
    "service": rules.WEB,
    "key_fingerprint": "5c1f0a9be2d4",
    "beat": "running",
    "processes": dict.fromkeys((rules.WEB, rules.CHANNELS, rules.WORKER, rules.BEAT), _SEEN),
    "details": {},
}
_WITHOUT_WORKER = {
    **_HEALTH,
    "status": "degraded",
    "services": {**_HEALTH["services"], "celery": "stopped"},  # type: ignore[dict-item]
    "details": {"celery": "no heartbeat for 41 s", rules.WORKER: "no heartbeat for 41 s"},
}
_PROBE = {
    "id": "7f0c2c7e-9f0e-4a52-8ad5-3d1b8f7a1c11",
    "state": "pending",
    "requested_at": "2026-01-15T10:30:00.000Z",
    "started_at": None,
    "finished_at": None,
    "queue_delay_ms": None,
    "worker": None,
}
_QUEUE = {"pending": 3, "unacknowledged": 2, "depth": 5, "oldest_age_seconds": 0.4, "at": "2026-01-15T10:30:00.000Z"}
_AWAY = OpenApiResponse(description="Redis is away (`queue_unavailable`).")


class JsonWhateverIsAsked(BaseContentNegotiation):
    """A platform's health check may send any Accept header; it must never learn 406 from a healthy service."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return next(iter(parsers))

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class _Public(APIView):
    authentication_classes = ()
    permission_classes = ()
    content_negotiation_class = JsonWhateverIsAsked
    http_method_names = ["get", "head"]


class HealthView(_Public):
    @extend_schema(
        operation_id="health",
        tags=["health"],
        summary="What works and what does not",
        description=(
            "Answers within a second whatever hangs, from samples taken in the background; asks nothing, changes "
            "nothing. 200 `healthy`; 200 `degraded` when Redis, the worker or another service is away, since a "
            "restart of the answering service would not help; 503 `unhealthy` when the database is. Web and channels "
            "both answer."
        ),
        responses={200: serializers.HealthOutput, 503: serializers.HealthOutput},
        examples=[
            OpenApiExample("healthy", response_only=True, status_codes=["200"], value=_HEALTH),
            OpenApiExample("the worker is away", response_only=True, status_codes=["200"], value=_WITHOUT_WORKER),
        ],
    )
    def get(self, request: Request) -> Response:
        sample = sampler.latest()
        health = rules.health(
            database=sample.database,
            redis=sample.redis,
            processes=sample.processes,
            oldest_queued_seconds=sample.oldest_queued_seconds,
            own_facts=sample.own_facts,
            environment=settings.DJANGO_ENV,
            timestamp=clock.iso(clock.now()),
        )
        return Response(health.body, status=health.http_status, headers={"Cache-Control": "no-store"})


class LiveView(_Public):
    @extend_schema(
        operation_id="health_live",
        tags=["health"],
        summary="The process answers",
        description="Touches neither database nor Redis, so it tells a hanging process from a hanging dependency.",
        responses={200: serializers.LiveOutput},
        examples=[OpenApiExample("alive", response_only=True, value={"status": "alive"})],
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "alive"}, headers={"Cache-Control": "no-store"})


class ProbeRequestView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_probe_request",
        tags=["operations"],
        summary="Send a task through the queue",
        description="The worker that takes it records when it started and who it is. Ask for it at Location.",
        request=None,
        responses={202: serializers.ProbeOutput, 503: _AWAY},
        examples=[OpenApiExample("sent", response_only=True, status_codes=["202"], value=_PROBE)],
    )
    def post(self, request: Request) -> Response:
        probe = probes.probe_request(actor_id=request.user.pk)
        location = reverse("operations-probe", kwargs={"probe_id": probe.pk})
        return Response(serializers.ProbeOutput(probe).data, status=202, headers={"Location": location})


class ProbeView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_probe",
        tags=["operations"],
        summary="What became of a probe",
        responses={200: serializers.ProbeOutput},
        examples=[
            OpenApiExample(
                "finished",
                response_only=True,
                value={
                    **_PROBE,
                    "state": "finished",
                    "started_at": "2026-01-15T10:30:00.012Z",
                    "finished_at": "2026-01-15T10:30:00.015Z",
                    "queue_delay_ms": 12.4,
                    "worker": {
                        "service": rules.WORKER,
                        "version": "1.0.0",
                        "commit": None,
                        "key_fingerprint": "5c1f0a9be2d4",
                        "redis_id": "0f6a2b7c91de",
                        "pid": 42,
                    },
                },
            )
        ],
    )
    def get(self, request: Request, probe_id: uuid.UUID) -> Response:
        return Response(serializers.ProbeOutput(selectors.probe_get(probe_id=probe_id)).data)


class QueueView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_queue",
        tags=["operations"],
        summary="How much work waits",
        responses={200: serializers.QueueOutput, 503: _AWAY},
        examples=[OpenApiExample("some work", response_only=True, value=_QUEUE)],
    )
    def get(self, request: Request) -> Response:
        return Response(selectors.queue())


class IntegrityView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_integrity",
        tags=["operations"],
        summary="Whether the data keep their promises",
        description="Each finding names the table, the row and what to do about it; at most twenty of each check.",
        responses={200: serializers.IntegrityOutput},
        examples=[
            OpenApiExample(
                "unsound",
                response_only=True,
                value={
                    "sound": False,
                    "checked_at": "2026-01-15T10:30:00.000Z",
                    "checks": [
                        {"name": "event_positions_dense", "sound": True, "count": 0},
                        {"name": "migrations_applied", "sound": False, "count": 1},
                    ],
                    "findings": [
                        {
                            "check": "migrations_applied",
                            "table": "django_migrations",
                            "id": "operations.0002_example",
                            "detail": "This code expects a migration that the database does not have.",
                            "remedy": "python manage.py migrate --noinput",
                        }
                    ],
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        return Response(selectors.integrity())


class StatusView(APIView):
    permission_classes = (AdminOnly,)

    @extend_schema(
        operation_id="operations_status",
        tags=["operations"],
        summary="Everything to compare between the services",
        description="Services that use different Redis or database instances, versions or secrets show it here.",
        responses={200: serializers.StatusOutput},
        examples=[
            OpenApiExample(
                "in order",
                response_only=True,
                value={
                    "service": rules.WEB,
                    "version": "1.0.0",
                    "commit": None,
                    "environment": "production",
                    "debug": False,
                    "processes": {
                        rules.WEB: {
                            **_SEEN,
                            "instance": "srv-1",
                            "started_at": "2026-01-15T10:00:00.000Z",
                            "redis_id": "0f6a2b7c91de",
                            "database_id": "b8d2c4f0a113",
                        }
                    },
                    "redis_id": "0f6a2b7c91de",
                    "database_id": "b8d2c4f0a113",
                    "migrations": {"unapplied": [], "unknown": []},
                    "schedule": [
                        {
                            "name": "daily-reports",
                            "task": "operations.daily_reports",
                            "schedule": "0 6 * * *",
                            "enabled": True,
                            "last_run_at": "2026-01-15T06:00:00.000Z",
                        }
                    ],
                    "queue": _QUEUE,
                    "media_storage": "cloudinary",
                    "backup": {
                        "last_good": {
                            "id": "20260111T040000Z-weekly-3fa9c1",
                            "purpose": "weekly",
                            "finished_at": "2026-01-11T04:00:21.080Z",
                            "age_hours": 102.5,
                            "bytes": 6_204_117,
                            "place": "s3://s3.us-west-2.amazonaws.com/rotc-backups",
                        },
                        "last_outcome": "succeeded",
                        "last_detail": "",
                    },
                    "outbox": {"jobs": 0, "oldest_age_seconds": None},
                    "dead_letters": 0,
                    "email": {
                        "configured": True,
                        "detail": "",
                        "waiting": 0,
                        "sent": 412,
                        "not_sent": 0,
                        "unknown": 0,
                    },
                },
            )
        ],
    )
    def get(self, request: Request) -> Response:
        return Response(selectors.status())
