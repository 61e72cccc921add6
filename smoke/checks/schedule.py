from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment

# The deployment guide's table, UTC.
JOBS = {
    "cleanup-old-sessions": "0 2 * * *",
    "cleanup-expired-tokens": "0 3 * * *",
    "daily-reports": "0 6 * * *",
    "sync-attendance": "*/15 * * * *",
    "database-backup": "0 4 * * 0",
}


@check(
    id="schedule.jobs",
    title="The guide's five jobs are scheduled at the guide's times, and switched on",
    severity="major",
    needs=["beat.heartbeat", "access.operations"],
    next_step=guide.SCHEDULE,
)
def schedule_jobs(deployment: Deployment) -> None:
    answer = deployment.status()
    found = {row.get("name"): row for row in answer.rows("schedule")}
    wrong: list[str] = []
    for name, times in JOBS.items():
        row = found.get(name)
        if row is None:
            wrong.append(f"{name} is missing")
        elif row.get("enabled") is not True:
            wrong.append(f"{name} is switched off")
        elif row.get("schedule") != times:
            wrong.append(f'{name} runs at "{row.get("schedule")}", not "{times}"')
    answer.expect(not wrong, expected="five jobs at the guide's times", came="; ".join(wrong))
