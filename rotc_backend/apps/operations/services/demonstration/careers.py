"""A cadet's way through the programme: which level in which term, in which company, with which post."""

import datetime as dt
import random
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from apps.cadets.models import CadetRank, EnrollmentStatus, MilitaryScienceLevel
from apps.operations.services.demonstration.chance import Weighted, stream

_LADDER = (
    MilitaryScienceLevel.MS1,
    MilitaryScienceLevel.MS2,
    MilitaryScienceLevel.COQC,
    MilitaryScienceLevel.MS31,
    MilitaryScienceLevel.MS32,
    MilitaryScienceLevel.MS41,
    MilitaryScienceLevel.MS42,
)
_NEXT = dict(pairwise(_LADDER))

LINE_COMPANIES = ("Alpha", "Bravo", "Charlie", "Delta")
HEADQUARTERS = "HQSCOY"
_BATTALIONS = {"Alpha": "1st Battalion", "Bravo": "1st Battalion", "Charlie": "2nd Battalion", "Delta": "2nd Battalion"}
_SPECIAL = (
    "Colors",
    "Medics",
    "Military Police",
    "Band",
    "Office Personnel",
    "Guidon Bearer",
    "Small Unit Tactics",
    "Excess Officer",
)


def _places() -> tuple[tuple[str, str], ...]:
    """Forty places that are filled in turn: eight in each company, of which a fifth is headquarters."""
    places = []
    for turn in range(8):
        places += [(company, f"{'1st' if turn % 2 == 0 else '2nd'} Platoon") for company in LINE_COMPANIES]
        places.append((HEADQUARTERS, _SPECIAL[turn]))
    return tuple(places)


_PLACES = _places()


class _Lead(NamedTuple):
    company: str
    platoon: str
    position: str
    rank: CadetRank


# Posts that one person holds, by number: they are in a small demo as in a large one.
_LEADS = {
    2: _Lead(HEADQUARTERS, "Excess Officer", "Corps Commander", CadetRank.CDT_COL),
    3: _Lead(HEADQUARTERS, "Excess Officer", "Executive Officer", CadetRank.CDT_LTCOL),
    4: _Lead(HEADQUARTERS, "Office Personnel", "Adjutant (S1)", CadetRank.CDT_MAJ),
    5: _Lead("Alpha", "1st Platoon", "Company Commander", CadetRank.CDT_CPT),
    6: _Lead("Bravo", "1st Platoon", "Company Commander", CadetRank.CDT_CPT),
    7: _Lead("Charlie", "1st Platoon", "Company Commander", CadetRank.CDT_CPT),
    8: _Lead("Delta", "1st Platoon", "Company Commander", CadetRank.CDT_CPT),
    9: _Lead(HEADQUARTERS, "Office Personnel", "Company Commander", CadetRank.CDT_CPT),
}
DEMO_CADET = 1  # belongs to the account `cadet`
ARCHIVED_CADET = 10  # left the university
_EXACT_CASES = range(11, 18)  # of every hundred

_RANKS = {
    MilitaryScienceLevel.MS1: Weighted({CadetRank.CDT: 70, CadetRank.CDT_PVT: 30}),
    MilitaryScienceLevel.MS2: Weighted(
        {CadetRank.CDT_PVT: 52, CadetRank.CDT_PFC: 33, CadetRank.CDT_CPL: 12, CadetRank.CDT_SGT: 3}
    ),
    MilitaryScienceLevel.COQC: Weighted(
        {CadetRank.CDT_SGT: 40, CadetRank.CDT_SSGT: 30, CadetRank.CDT_TSGT: 20, CadetRank.CDT_MSGT: 10}
    ),
    MilitaryScienceLevel.MS31: Weighted({CadetRank.CDT_2LT: 1}),
    MilitaryScienceLevel.MS32: Weighted({CadetRank.CDT_2LT: 60, CadetRank.CDT_1LT: 40}),
    MilitaryScienceLevel.MS41: Weighted({CadetRank.CDT_1LT: 55, CadetRank.CDT_CPT: 45}),
    MilitaryScienceLevel.MS42: Weighted({CadetRank.CDT_CPT: 70, CadetRank.CDT_MAJ: 25, CadetRank.CDT_LTCOL: 5}),
}
_POSITIONS = {
    MilitaryScienceLevel.COQC: Weighted({"Squad Leader": 60, "Platoon Sergeant": 40}),
    MilitaryScienceLevel.MS31: Weighted({"Assistant Platoon Leader": 1}),
    MilitaryScienceLevel.MS32: Weighted({"Platoon Leader": 1}),
    MilitaryScienceLevel.MS41: Weighted(
        {"Executive Officer": 35, "Training Officer (S3)": 30, "Supply Officer (S4)": 35}
    ),
    MilitaryScienceLevel.MS42: Weighted({"Battalion Staff": 70, "Inspector": 30}),
}
_YEAR_LEVELS = {
    MilitaryScienceLevel.MS1: Weighted({1: 82, 2: 13, 3: 4, 4: 1}),
    MilitaryScienceLevel.MS2: Weighted({1: 80, 2: 15, 3: 4, 4: 1}),
    MilitaryScienceLevel.COQC: Weighted({2: 85, 3: 15}),
    MilitaryScienceLevel.MS31: Weighted({2: 40, 3: 60}),
    MilitaryScienceLevel.MS32: Weighted({3: 90, 4: 10}),
    MilitaryScienceLevel.MS41: Weighted({3: 30, 4: 70}),
    MilitaryScienceLevel.MS42: Weighted({4: 85, 5: 15}),
}
# Where the cadets of the present term stood in the previous one; None: they were not enrolled.
_BEGINNINGS: Weighted[MilitaryScienceLevel | None] = Weighted(
    {
        None: 14,
        MilitaryScienceLevel.MS1: 60,
        MilitaryScienceLevel.MS2: 7,
        MilitaryScienceLevel.COQC: 6,
        MilitaryScienceLevel.MS31: 5,
        MilitaryScienceLevel.MS32: 4,
        MilitaryScienceLevel.MS41: 4,
    }
)
_STATUSES_NOW = Weighted(
    {
        EnrollmentStatus.ONGOING: 945,
        EnrollmentStatus.DROPPED: 25,
        EnrollmentStatus.INCOMPLETE: 15,
        EnrollmentStatus.DEFERRED: 15,
    }
)
_STATUSES_BEFORE = Weighted(
    {
        EnrollmentStatus.COMPLETED: 955,  # or failed, as the grade will say
        EnrollmentStatus.DROPPED: 20,
        EnrollmentStatus.INCOMPLETE: 15,
        EnrollmentStatus.DEFERRED: 10,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """Where a cadet stands in one term; what an Enrollment holds."""

    company: str
    platoon: str
    battalion: str
    position: str
    rank: CadetRank
    level: MilitaryScienceLevel
    status: EnrollmentStatus
    enrolled_on: dt.date


@dataclass(frozen=True, kw_only=True, slots=True)
class Career:
    """`before` and `now` are the levels in the two terms, if enrolled; `now` is meant for who passes the first one."""

    year_level: int
    before: MilitaryScienceLevel | None
    now: MilitaryScienceLevel | None
    status_before: EnrollmentStatus
    status_now: EnrollmentStatus


def is_leader(number: int) -> bool:
    return number in _LEADS


def exact_case(number: int) -> int | None:
    """Which case of a grade on, or just below, a bound this cadet is in the previous term."""
    return number % 100 - _EXACT_CASES.start if number % 100 in _EXACT_CASES else None


def is_steady(number: int) -> bool:
    """Whether the demo needs this cadet in both terms from beginning to end."""
    return number == DEMO_CADET or is_leader(number) or exact_case(number) is not None


def career_draw(*, seed: int, number: int) -> Career:
    chance = stream(seed, "career", number)
    before, completes = _BEGINNINGS.pick(chance), chance.random() < 0.03
    status_before, status_now = _STATUSES_BEFORE.pick(chance), _STATUSES_NOW.pick(chance)
    if number in _LEADS:
        before = MilitaryScienceLevel.MS41
    elif number == DEMO_CADET or (before is None and is_steady(number)):
        before = MilitaryScienceLevel.MS1
    if is_steady(number):
        completes, status_before, status_now = False, EnrollmentStatus.COMPLETED, EnrollmentStatus.ONGOING
    elif number == ARCHIVED_CADET:
        before, completes, status_before = MilitaryScienceLevel.MS1, True, EnrollmentStatus.DROPPED
    now = (
        None if completes and before is not None else _NEXT[before] if before is not None else MilitaryScienceLevel.MS1
    )
    return Career(
        year_level=_YEAR_LEVELS[now or before or MilitaryScienceLevel.MS1].pick(chance),
        before=before,
        now=now,
        status_before=status_before,
        status_now=status_now,
    )


def post_draw(
    *,
    seed: int,
    number: int,
    level: MilitaryScienceLevel,
    status: EnrollmentStatus,
    term: str,
    starts_on: dt.date,
) -> Post:
    """The place in the term of this name; the company is the same in every term."""
    chance = stream(seed, "post", term, number)
    lead = _LEADS.get(number)
    enrolled_on = starts_on + dt.timedelta(days=_days_to_enrollment(chance, is_early=is_steady(number)))
    rank = _RANKS[level].pick(chance)
    if lead is not None:
        return Post(
            company=lead.company,
            platoon=lead.platoon,
            battalion=_BATTALIONS.get(lead.company, ""),
            position=lead.position,
            rank=lead.rank,
            level=level,
            status=status,
            enrolled_on=enrolled_on,
        )
    company, platoon = _PLACES[number % len(_PLACES)]
    position = _POSITIONS[level].pick(chance) if level in _POSITIONS else ""
    if number == DEMO_CADET:
        company, platoon, rank, position = "Alpha", "1st Platoon", CadetRank.CDT_CPL, "Squad Leader"
    elif company in _BATTALIONS and number % 160 in range(40, 45):
        platoon, position = "Guidon Bearer", "Guidon Bearer"
    return Post(
        company=company,
        platoon=platoon,
        battalion=_BATTALIONS.get(company, ""),
        position=position,
        rank=rank,
        level=level,
        status=status,
        enrolled_on=enrolled_on,
    )


def _days_to_enrollment(chance: random.Random, *, is_early: bool) -> int:
    """Most enroll before the first training day, which is on the thirteenth day; a few in the weeks after it."""
    early, is_late, late = chance.randrange(11), chance.random() < 0.05, chance.randint(14, 32)
    return late if is_late and not is_early else early
