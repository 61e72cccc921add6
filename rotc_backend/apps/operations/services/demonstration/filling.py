"""Writes a demonstration.

    1  the demo accounts, the staff, registrations that wait          each if missing
    2  with cadets, in a system without any term: the two terms and their days
    3  the cadets that are missing, by the hundreds; then what is listed by time
    4  if this run made the terms: announcements, chat, the staff's attendance; the previous term is closed
    5  one entry in the audit trail, if anything was written

A system that was filled before keeps the seed and the day of its first filling, so that it stays one story: cadets that
are added later are the ones that a larger demo would have had from the beginning. A closed term takes none of them.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models.functions import Lower

from apps.accounts.models import AuditEntry, Role, User
from apps.accounts.rules import Principal
from apps.accounts.services import audit_record
from apps.cadets.models import Cadet, Company, Platoon, StaffFunction, StaffProfile, Term
from apps.cadets.rules import DECIDING_FUNCTIONS, grades_version, roster_version, term_version
from apps.grading.models import GradeSheet
from apps.grading.rules import leaderboard_version
from apps.grading.selectors.policies import policy_default, policy_of_row
from apps.grading.services.closing import term_close
from apps.messaging.rules import announcements_version
from apps.messaging.selectors.notifications import notifications_version
from apps.operations.services.demonstration import staff_rows, talk, term_rows
from apps.operations.services.demonstration.cadet_rows import Ground, Later, cadets_write, username_of
from apps.operations.services.demonstration.careers import HEADQUARTERS, LINE_COMPANIES
from apps.operations.services.demonstration.certificate import certificate_pdf
from apps.operations.services.demonstration.people import Person
from apps.operations.services.demonstration.plans import SchoolYears, cadet_plan, person_of
from apps.operations.services.demonstration.records import Course, course_of
from apps.operations.services.demonstration.staff import ADMIN_USERNAME, CADET_USERNAME, STAFF_USERNAME
from apps.operations.services.demonstration.term_rows import BEFORE, NOW, Terms
from apps.operations.services.demonstration.terms import TermPlan, at, school_year_began, terms_plan
from apps.training.models import ExcuseLetter
from core import cache
from core.clock import manila_date, now
from core.errors import Conflict
from core.uploads import file_discard, file_store

DEFAULT_SEED = 2026
_ACTION = "demonstration.fill"
_CADETS_AT_ONCE = 250
_LOCK = 7_208_831  # an advisory lock: two fillings at once would each find the same people missing


class Story(NamedTuple):
    seed: int
    today: dt.date


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a run added, by what it is ("cadets", "attendance_records", …), without what it added none of."""

    story: Story
    added: Mapping[str, int]


def demonstration_fill(
    *,
    cadets: int,
    passwords: Mapping[str, str],
    reset_passwords: bool = False,
    seed: int | None = None,
    today: dt.date | None = None,
) -> Filled:
    """Fill the system with a term and its history for so many cadets, or add what is missing of it.

    `passwords` are of the demo accounts, by user name; existing accounts keep theirs unless `reset_passwords`. `today`
    is the day in Manila on which the story stands. Raises ValidationFailed for a password that the policy refuses,
    Conflict (`other_demonstration`) for a seed or day other than the system was filled with, and Unavailable
    (`storage_unavailable`, `policy_missing`).
    """
    certificate = ""
    if cadets and not Cadet.objects.filter(user__username=CADET_USERNAME).exists():
        # Before the transaction, which must not wait for another service.
        certificate = file_store(folder="excuse-letters", extension="pdf", content=certificate_pdf())
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            story = _story(seed=seed, today=today)
            added = Counter(
                accounts=staff_rows.demo_accounts_write(passwords=passwords, reset_passwords=reset_passwords)
            )
            added.update(staff_rows.staff_write(seed=story.seed, today=story.today))
            if cadets:
                added.update(_cadets_fill(story, cadets=cadets, certificate=certificate))
            added = +added
            if added:
                audit_record(
                    actor_id=None,
                    action=_ACTION,
                    target="demonstration",
                    after={"seed": story.seed, "today": story.today, "cadets": cadets, "added": dict(added)},
                )
                cache.touch(roster_version())
    except BaseException:
        file_discard(certificate)
        raise
    if not ExcuseLetter.objects.filter(file=certificate).exists():
        file_discard(certificate)  # the demo cadet is not in a term that takes letters
    return Filled(story=story, added=dict(added))


def _story(*, seed: int | None, today: dt.date | None) -> Story:
    """The seed and day of the first filling with cadets, else the ones asked for."""
    first = AuditEntry.objects.filter(action=_ACTION, after__cadets__gt=0).order_by("id").first()
    if first is None or first.after is None:
        return Story(DEFAULT_SEED if seed is None else seed, today or manila_date(now()))
    told = Story(first.after["seed"], dt.date.fromisoformat(first.after["today"]))
    if seed not in {None, told.seed} or today not in {None, told.today}:
        raise Conflict(
            f"This system was filled with seed {told.seed} on {told.today}, and a demonstration stays one story. Leave "
            "both out to add to it, or start with an empty database.",
            code="other_demonstration",
        )
    return told


def _cadets_fill(story: Story, *, cadets: int, certificate: str) -> Counter[str]:
    plans = dict(zip((BEFORE, NOW), terms_plan(today=story.today), strict=True))
    years = SchoolYears(*(school_year_began(plan) for plan in plans.values()))
    missing = _missing(story, cadets=cadets, years=years)
    if not missing:
        return Counter()
    terms = term_rows.terms_prepare(plans, today=story.today)
    ground = _ground(story, terms, certificate=certificate)
    before, present = _courses(plans, today=story.today)
    added, later = Counter[str](), Later()
    for start in range(0, len(missing), _CADETS_AT_ONCE):
        people = missing[start : start + _CADETS_AT_ONCE]
        accounts = _existing_accounts(people)
        added.update(
            cadets_write(
                [
                    cadet_plan(seed=story.seed, number=person.number, school_years=years, before=before, now=present)
                    for person in people
                ],
                ground=ground,
                accounts=accounts,
                later=later,
            )
        )
        for user in accounts.values():
            if user is not None:  # who may have looked at the own notifications already
                cache.touch(notifications_version(user_id=user.pk))
    added.update(later.write())
    if terms.is_fresh:
        added.update(_term_fill(story, terms, ground, courses=(before, present)))
        added.update(grade_sheets=_close(terms.open[BEFORE], plans[BEFORE], admin_id=ground.admin))
        added.update(terms=len(terms.open))
    for term in terms.open.values():
        cache.touch(term_version(term.pk), grades_version(term.pk))
    cache.touch(leaderboard_version())
    return added


def _missing(story: Story, *, cadets: int, years: SchoolYears) -> list[Person]:
    people = [person_of(seed=story.seed, number=number, school_years=years) for number in range(1, cadets + 1)]
    known = set(Cadet.objects.values_list(Lower("student_id"), flat=True))
    return [person for person in people if person.student_id.lower() not in known]


def _existing_accounts(people: list[Person]) -> dict[str, User | None]:
    """Accounts that have the names of these people; None for one that belongs to somebody else already."""
    users = staff_rows.users_named(username_of(person) for person in people)
    ids = [user.pk for user in users.values()]
    taken = set(Cadet.objects.filter(user_id__in=ids).values_list("user_id", flat=True))
    return {name: user if user.role == Role.CADET and user.pk not in taken else None for name, user in users.items()}


def _ground(story: Story, terms: Terms, *, certificate: str) -> Ground:
    officers = list(
        StaffProfile.objects.filter(user__isnull=False, archived_at=None).select_related("user").order_by("pk")
    )
    accounts = staff_rows.users_named([ADMIN_USERNAME, STAFF_USERNAME])
    admin, commandant = accounts[ADMIN_USERNAME].pk, accounts[STAFF_USERNAME].pk
    by_name = {one.user.username: one.user.pk for one in officers if one.user is not None}
    instructors = [one.user_id for one in officers if one.function == StaffFunction.INSTRUCTOR and one.user_id]
    deciders = [one.user_id for one in officers if one.function in DECIDING_FUNCTIONS and one.user_id]
    return Ground(
        seed=story.seed,
        today=story.today,
        companies=dict(Company.objects.values_list("name", "pk")),
        platoons=dict(Platoon.objects.values_list("name", "pk")),
        terms=terms.open,
        days=terms.days,
        instructors=instructors or [commandant],
        instructor_of={
            company: by_name.get(f"instructor.{company.lower()}", commandant)
            for company in (*LINE_COMPANIES, HEADQUARTERS)
        },
        deciders=deciders or [commandant],
        admin=admin,
        certificate=certificate,
    )


def _courses(plans: Mapping[str, TermPlan], *, today: dt.date) -> tuple[Course, Course]:
    policy = policy_of_row(policy_default())
    before, present = (
        course_of(plan, name=name, today=today, is_closed=name == BEFORE, policy=policy) for name, plan in plans.items()
    )
    return before, present


def _term_fill(story: Story, terms: Terms, ground: Ground, *, courses: Sequence[Course]) -> dict[str, int]:
    """What belongs to the terms and not to a cadet."""
    accounts = staff_rows.users_named(
        [STAFF_USERNAME, "assistant.commandant", "instructor.charlie", "rotc.coordinator", CADET_USERNAME]
    )
    cadet = accounts.pop(CADET_USERNAME)
    staff = sorted(accounts.values(), key=lambda user: (user.username != STAFF_USERNAME, user.username))
    held = [(terms.days[course.name, day.place], day.date) for course in courses for day in course.held]
    added = {
        "announcements": talk.announcements_write(today=story.today, author=staff[0].pk),
        "messages": talk.talk_write(
            seed=story.seed,
            today=story.today,
            term=terms.open[NOW],
            staff=staff,
            officer_of=ground.instructor_of,
            cadet=cadet,
        ),
        "staff_attendance_records": staff_rows.staff_attendance_write(
            seed=story.seed, days=held, recorded_by=ground.admin
        ),
    }
    cache.touch(announcements_version())
    return added


def _close(term: Term, plan: TermPlan, *, admin_id: int) -> int:
    """Close the previous term as an administrator does, a week after its end."""
    admin = User.objects.get(pk=admin_id)
    actor = Principal(
        user_id=admin.pk,
        username=admin.username,
        role=admin.role,
        session_id="",
        version=admin.token_version,
        generation=0,
        expires_at=now(),
    )
    closing = term_close(actor=actor, term_id=term.pk)
    closed_at = at(plan.ends_on + dt.timedelta(days=7), 10 * 60)
    Term.objects.filter(pk=term.pk).update(closed_at=closed_at, updated_at=closed_at)
    GradeSheet.objects.filter(enrollment__term=term).update(frozen_at=closed_at)
    return closing.sheets
