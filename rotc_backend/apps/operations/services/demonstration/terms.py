"""When the demo's two terms take place: the present one is past its middle, whatever day it is."""

import datetime as dt
from dataclasses import dataclass

from apps.cadets.models import Semester
from core.clock import MANILA

_WEEK = dt.timedelta(days=7)
_SATURDAY = 5
PARADE_GROUND, GYMNASIUM, HALL = "Parade ground", "Gymnasium", "Lecture hall, College of Education"


@dataclass(frozen=True, kw_only=True)
class DayPlan:
    date: dt.date
    title: str
    description: str
    location: str
    cancel_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class TermPlan:
    """A term with its Saturdays; fifteen of them are not cancelled."""

    school_year: str
    semester: Semester
    starts_on: dt.date
    ends_on: dt.date
    days: tuple[DayPlan, ...]


_PROGRAMME = (
    ("Orientation and issue of equipment", "Enlistment, oath, house rules and sizes of uniforms.", GYMNASIUM),
    ("Drill without arms", "Positions, facings, rests and salutes.", PARADE_GROUND),
    ("Military courtesy and discipline", "Ranks, insignia and customs of the service.", HALL),
    ("Preliminary examination", "Written examination; squad drill in the afternoon.", HALL),
    ("Map reading and land navigation", "Grid coordinates, azimuths and the compass.", PARADE_GROUND),
    ("First aid and evacuation", "Dressings, splints and the fireman's carry.", GYMNASIUM),
    ("Physical fitness test", "Push-ups, sit-ups and the 3.2 kilometre run.", PARADE_GROUND),
    ("Disaster risk reduction", "Earthquake and flood response with the municipal office.", GYMNASIUM),
    ("Midterm examination", "Written examination; platoon drill in the afternoon.", HALL),
    ("Tree planting in Maigo", "Civil-military service with the barangays along the river.", "Maigo watershed"),
    ("Leadership and ethics", "Case studies in small groups, led by the officers.", HALL),
    ("Small unit tactics", "Formations, hand signals and movement by squads.", PARADE_GROUND),
    ("Marksmanship, dry fire", "Safety, positions, sight picture. No ammunition is issued.", PARADE_GROUND),
    ("Coastal clean-up", "Civil-military service along the shore of Maigo and Kolambugan.", "Maigo shore"),
    ("Tactical inspection", "Inspection in formation by the Commandant.", PARADE_GROUND),
    ("Rehearsal of the parade", "Pass in review, colours and band.", PARADE_GROUND),
    ("Final examination and parade", "Written examination in the morning, graduation parade after it.", PARADE_GROUND),
)
_STORM = "Classes are suspended in Lanao del Norte: storm signal no. 1."
_OCCUPIED = "The parade ground is reserved for the foundation day of the university."
_ELECTION = "The buildings are used for the barangay assembly."

# Which days of the programme do not take place; the present term stands before the day _NEXT_DAY.
_CANCELLED_BEFORE = {6: _STORM, 13: _ELECTION}
_CANCELLED_NOW = {5: _STORM, 12: _OCCUPIED}
_NEXT_DAY = 10
_BREAK_WEEKS = {Semester.FIRST: 9, Semester.SECOND: 4}  # before the present term


def terms_plan(*, today: dt.date) -> tuple[TermPlan, TermPlan]:
    """The previous term, which is over, and the present one with nine of its fifteen training days behind it."""
    last_held = today - dt.timedelta(days=(today.weekday() - _SATURDAY) % 7 or 7)
    first = last_held - (_NEXT_DAY - 1) * _WEEK
    semester = Semester.FIRST if first.month in range(6, 12) else Semester.SECOND
    # A second semester that begins in December belongs to the school year that began in that summer.
    year = first.year if semester is Semester.FIRST or first.month == 12 else first.year - 1
    earlier = Semester.SECOND if semester is Semester.FIRST else Semester.FIRST
    earlier_year = year - 1 if semester is Semester.FIRST else year
    earlier_first = first - (_BREAK_WEEKS[semester] + len(_PROGRAMME)) * _WEEK
    return (
        _term(earlier_year, earlier, first=earlier_first, cancelled=_CANCELLED_BEFORE),
        _term(year, semester, first=first, cancelled=_CANCELLED_NOW),
    )


def school_year_began(plan: TermPlan) -> int:
    return int(plan.school_year.partition("-")[0])


def at(day: dt.date, minutes: float) -> dt.datetime:
    """The instant so many minutes after midnight in Manila."""
    return (dt.datetime.combine(day, dt.time.min, tzinfo=MANILA) + dt.timedelta(minutes=minutes)).astimezone(dt.UTC)


def _term(year: int, semester: Semester, *, first: dt.date, cancelled: dict[int, str]) -> TermPlan:
    days = tuple(
        DayPlan(
            date=first + place * _WEEK,
            title=title,
            description=description,
            location=location,
            cancel_reason=cancelled.get(place, ""),
        )
        for place, (title, description, location) in enumerate(_PROGRAMME)
    )
    return TermPlan(
        school_year=f"{year}-{year + 1}",
        semester=semester,
        starts_on=first - dt.timedelta(days=12),
        ends_on=days[-1].date + dt.timedelta(days=13),
        days=days,
    )
