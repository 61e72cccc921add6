"""The schedule as administrators change it in the admin site: paused, gone on with, run out of turn. Beat follows."""

from typing import Any

from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from core.errors import NotFound


def periodic_task_pause(*, actor: Principal, task_id: int) -> PeriodicTask:
    """Let beat skip a job until it is resumed. Idempotent. Raises NotFound."""
    return _set_enabled(actor, task_id, enabled=False)


def periodic_task_resume(*, actor: Principal, task_id: int) -> PeriodicTask:
    """Let beat send a job again, from its next slot on. Idempotent. Raises NotFound."""
    return _set_enabled(actor, task_id, enabled=True)


def periodic_task_record(
    *,
    actor: Principal,
    task: PeriodicTask,
    action: str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Record what the admin site does with a job, in its transaction. `action`: create, change, delete, run."""
    audit_record(
        actor_id=actor.user_id,
        action=f"periodic_task.{action}",
        target=f"periodic_task:{task.pk}",
        before=before,
        after=after,
    )


def schedule_record(
    *,
    actor: Principal,
    row: CrontabSchedule | IntervalSchedule,
    before: dict[str, Any] | None,
    after: dict[str, Any],
) -> None:
    """Record what the admin site does with the times of jobs, in its transaction. `before` is None for new ones."""
    noun = "crontab_schedule" if isinstance(row, CrontabSchedule) else "interval_schedule"
    audit_record(
        actor_id=actor.user_id,
        action=f"{noun}.{'create' if before is None else 'change'}",
        target=f"{noun}:{row.pk}",
        before=before,
        after=after,
    )


def _set_enabled(actor: Principal, task_id: int, *, enabled: bool) -> PeriodicTask:
    with transaction.atomic():
        task = PeriodicTask.objects.select_for_update(no_key=True).filter(pk=task_id).first()
        if task is None:
            raise NotFound("There is no periodic task with this id.")
        if task.enabled != enabled:
            task.enabled = enabled
            task.save()  # whole, as its package wants it: that also tells beat
            periodic_task_record(
                actor=actor,
                task=task,
                action="resume" if enabled else "pause",
                before={"enabled": not enabled},
                after={"name": task.name, "enabled": enabled},
            )
    return task
