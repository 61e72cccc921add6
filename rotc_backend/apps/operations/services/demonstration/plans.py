"""Everything about one cadet, drawn but not written."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from apps.cadets.models import EnrollmentStatus, MilitaryScienceLevel
from apps.operations.services.demonstration.careers import ARCHIVED_CADET, Post, career_draw, post_draw
from apps.operations.services.demonstration.people import Person, person_draw
from apps.operations.services.demonstration.records import Course, Record, passes, record_draw


class Chapter(NamedTuple):
    """A cadet's part in one term."""

    course: Course
    post: Post
    record: Record


class SchoolYears(NamedTuple):
    """The years in which the school years of the two terms began; often it is one school year."""

    before: int
    now: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CadetPlan:
    """A cadet, enrolled in the previous term, in the present one, or in both."""

    person: Person
    chapters: tuple[Chapter, ...]
    is_archived: bool


def person_of(*, seed: int, number: int, school_years: SchoolYears) -> Person:
    career = career_draw(seed=seed, number=number)
    # Nobody was enrolled in a term of the previous school year before having become a student.
    earliest = 1 if career.before is None else 1 + school_years.now - school_years.before
    year_level = max(career.year_level, earliest)
    return person_draw(seed=seed, number=number, year_level=year_level, school_year=school_years.now)


def cadet_plan(*, seed: int, number: int, school_years: SchoolYears, before: Course, now: Course) -> CadetPlan:
    """Who passed the previous term goes on to the next level; who did not takes the same one again."""
    career = career_draw(seed=seed, number=number)
    chapters, level = [], career.now
    if career.before is not None:
        post, record = _chapter(seed, number, before, career.before, career.status_before)
        if post.status == EnrollmentStatus.COMPLETED:
            has_passed = passes(record, status=post.status, course=before)
            post = replace(post, status=EnrollmentStatus.COMPLETED if has_passed else EnrollmentStatus.FAILED)
        if level is not None and post.status != EnrollmentStatus.COMPLETED:
            level = career.before
        chapters.append(Chapter(before, post, record))
    if level is not None:
        chapters.append(Chapter(now, *_chapter(seed, number, now, level, career.status_now)))
    return CadetPlan(
        person=person_of(seed=seed, number=number, school_years=school_years),
        chapters=tuple(chapters),
        is_archived=number == ARCHIVED_CADET,
    )


def _chapter(
    seed: int, number: int, course: Course, level: MilitaryScienceLevel, status: EnrollmentStatus
) -> tuple[Post, Record]:
    post = post_draw(seed=seed, number=number, level=level, status=status, term=course.name, starts_on=course.starts_on)
    return post, record_draw(seed=seed, number=number, post=post, course=course)
