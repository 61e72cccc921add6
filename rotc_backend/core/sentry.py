"""Error reports to Sentry, without personal data."""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import ignore_logger

from core.logs import without_secrets


def start_sentry(*, dsn: str, release: str, environment: str, server_name: str, traces_sample_rate: float) -> None:
    """Start the SDK for this process. `traces_sample_rate` is a share from 0 to 1."""
    sentry_sdk.init(
        dsn=dsn,
        release=release,
        environment=environment,
        server_name=server_name,
        traces_sample_rate=traces_sample_rate,
        send_default_pii=False,
        include_local_variables=False,  # a stack frame's variables hold passwords and grades
        max_request_body_size="never",
        integrations=[DjangoIntegration(), CeleryIntegration(monitor_beat_tasks=False)],
        auto_enabling_integrations=False,
        before_send=_scrubbed,
        before_send_transaction=_scrubbed,
    )
    ignore_logger("rgms.request")  # its error lines repeat an exception that is already reported


def _scrubbed(event: Any, hint: Any) -> Any:  # noqa: ARG001 - the SDK's signature
    request = event.get("request", {})
    for part in ("query_string", "cookies", "headers", "data"):
        request.pop(part, None)
    # The arguments of a log line stand here without the words around them that give a secret away.
    event.get("logentry", {}).pop("params", None)
    return _cleaned(event)


def _cleaned(part: Any) -> Any:
    """Secrets hide anywhere text goes: messages, their parameters, breadcrumbs, addresses of spans."""
    if isinstance(part, str):
        return without_secrets(part)
    if isinstance(part, dict):
        return {key: _cleaned(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_cleaned(value) for value in part]
    return part
