"""Who the cadets are: drawn by number, so that a larger demo holds the people of a smaller one."""

import datetime as dt
import random
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from apps.cadets.models import Gender
from apps.operations.services.demonstration import names
from apps.operations.services.demonstration.careers import DEMO_CADET
from apps.operations.services.demonstration.chance import Weighted, stream

_COMMUNITIES = Weighted({names.MARANAO: 42, names.CEBUANO: 43, names.TAGALOG: 15})
_RELIGIONS = {one: Weighted(one.religions) for one in (names.MARANAO, names.CEBUANO, names.TAGALOG)}
_SUFFIXES = Weighted(names.SUFFIXES)
_PLACES = Weighted(names.PLACES)
_COURSES = Weighted(names.COURSES)
# Years by which somebody began to study later than most.
_DELAYS = Weighted({0: 78, 1: 14, 2: 5, 4: 2, 7: 1})


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A student. `number` is what tells people apart, and the last digits of the student number."""

    number: int
    student_id: str
    last_name: str
    first_name: str
    middle_name: str
    suffix: str
    email: str
    contact_number: str
    address: str
    gender: str
    birthdate: dt.date
    religion: str
    course: str
    year_level: int


class Name(NamedTuple):
    first: str
    middle: str
    last: str
    suffix: str
    is_female: bool
    community: names.Community


def name_draw(chance: random.Random) -> Name:
    community = _COMMUNITIES.pick(chance)
    is_female = chance.random() < 0.52
    given = chance.choice(community.female if is_female else community.male)
    if chance.random() < 0.35:
        second = chance.choice(community.female_seconds if is_female else community.male_seconds)
        given = given if second in given else f"{given} {second}"
    family, mothers_family = chance.choice(community.families), chance.choice(community.families)
    # Parents of one family name are rare, and a few people have no middle name at all.
    middle = "" if mothers_family == family or chance.random() < 0.03 else mothers_family
    suffix = _SUFFIXES.pick(chance) if not is_female and chance.random() < 0.06 else ""
    return Name(given, middle, family, suffix, is_female, community)


# The person behind the account `cadet`.
_DEMO_CADET = Name("Liza", "Peña", "Macaraeg", "", True, names.TAGALOG)


def person_draw(*, seed: int, number: int, year_level: int, school_year: int) -> Person:
    """The student with this number; `school_year` is the year in which the present school year began."""
    chance = stream(seed, "person", number)
    name = _DEMO_CADET if number == DEMO_CADET else name_draw(chance)
    municipality, barangays = _PLACES.pick(chance)
    return Person(
        number=number,
        student_id=f"{school_year - year_level + 1}-{number:05}",
        last_name=name.last,
        first_name=name.first,
        middle_name=name.middle,
        suffix=name.suffix,
        email=f"{mail_name(name.first, name.last)}{number}@cadets.example",
        # No network has this prefix, so the numbers are nobody's.
        contact_number=f"0900 {chance.randrange(1000):03} {chance.randrange(10_000):04}",
        address=f"Purok {chance.randint(1, 7)}, {chance.choice(barangays)}, {municipality}",
        gender=Gender.FEMALE if name.is_female else Gender.MALE,
        birthdate=_birthdate(chance, year_level=year_level, school_year=school_year),
        religion=_RELIGIONS[name.community].pick(chance),
        course=_COURSES.pick(chance),
        year_level=year_level,
    )


def mail_name(*parts: str) -> str:
    """ "Niño Dela Peña" → "nino.delapena": letters without marks, as addresses are chosen here."""
    plain = unicodedata.normalize("NFKD", ".".join(part.replace(" ", "") for part in parts))
    return "".join(letter for letter in plain.lower() if letter.isascii() and (letter.isalnum() or letter == "."))


def _birthdate(chance: random.Random, *, year_level: int, school_year: int) -> dt.date:
    """Somebody who turned 18 in the twelve months before the first year began, or some years older."""
    eighteenth = dt.date(school_year - year_level + 1, 8, 1) - dt.timedelta(days=chance.randrange(365))
    year = eighteenth.year - 18 - _DELAYS.pick(chance)
    return dt.date(year, eighteenth.month, min(eighteenth.day, 28))
