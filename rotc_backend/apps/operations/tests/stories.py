"""Small demonstrations for tests."""

import datetime as dt
from collections.abc import Iterator

from apps.grading.selectors.policies import policy_default, policy_of_row
from apps.operations.services.demonstration import DEMO_ACCOUNTS, Filled, demonstration_fill
from apps.operations.services.demonstration.plans import CadetPlan, Chapter, SchoolYears, cadet_plan
from apps.operations.services.demonstration.records import course_of
from apps.operations.services.demonstration.terms import school_year_began, terms_plan

TODAY = dt.date(2026, 11, 24)  # a Tuesday
SEED = 7
PASSWORDS = {account.username: f"Sunrise over Maigo, {account.username}" for account in DEMO_ACCOUNTS}


def fill(*, cadets: int, seed: int | None = SEED, today: dt.date | None = TODAY) -> Filled:
    return demonstration_fill(cadets=cadets, passwords=PASSWORDS, seed=seed, today=today)


def plans(*, cadets: int, seed: int = SEED, today: dt.date = TODAY) -> list[CadetPlan]:
    policy = policy_of_row(policy_default())
    first, second = terms_plan(today=today)
    before = course_of(first, name="before", today=today, is_closed=True, policy=policy)
    now = course_of(second, name="now", today=today, is_closed=False, policy=policy)
    years = SchoolYears(school_year_began(first), school_year_began(second))
    return [
        cadet_plan(seed=seed, number=number, school_years=years, before=before, now=now)
        for number in range(1, cadets + 1)
    ]


def chapters(cadets: list[CadetPlan], name: str) -> Iterator[Chapter]:
    return (chapter for plan in cadets for chapter in plan.chapters if chapter.course.name == name)
