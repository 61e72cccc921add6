"""Decisions about the unit's people, in plain Python, and the names of what is cached about them."""

import datetime as dt
import re
import unicodedata

# Functions of staff whose holders may decide excuse letters ("privileged staff").
COMMANDANT, ASSISTANT_COMMANDANT = "commandant", "assistant_commandant"
NSTP_DIRECTOR, ROTC_COORDINATOR = "nstp_director", "rotc_coordinator"
ADMIN_NCO, ADMIN, INSTRUCTOR = "admin_nco", "admin", "instructor"
DECIDING_FUNCTIONS = frozenset({COMMANDANT, ASSISTANT_COMMANDANT, NSTP_DIRECTOR, ROTC_COORDINATOR, ADMIN_NCO})

CADET_RECORD, STAFF_RECORD = "cadet", "staff"
# The roles of the accounts that may stand behind each kind of record.
ROLES_OF_RECORD = {CADET_RECORD: frozenset({"cadet"}), STAFF_RECORD: frozenset({"training_staff", "admin"})}

# Letters with marks that names of the country carry, and what somebody types who has no such key. Both cases, since
# PostgreSQL's lower() leaves marked capitals alone in a database whose locale is C.
MARKED = "áàâãäçéèêëíìîïñóòôõöúùûüýÁÀÂÃÄÇÉÈÊËÍÌÎÏÑÓÒÔÕÖÚÙÛÜÝ"
PLAIN = "aaaaaceeeeiiiinooooouuuuy" * 2

_WITHOUT_MARKS = str.maketrans(MARKED, PLAIN)
_SCHOOL_YEAR = re.compile(r"([0-9]{4})-([0-9]{4})")


def search_words(text: str) -> list[str]:
    """The words of a search as the searched text writes them: small letters, no marks, no commas; each once."""
    composed = unicodedata.normalize("NFC", text).translate(_WITHOUT_MARKS).lower()
    return list(dict.fromkeys(composed.replace(",", " ").split()))


def school_year_is_one(school_year: str) -> bool:
    """Whether it names two consecutive years ("2025-2026")."""
    match = _SCHOOL_YEAR.fullmatch(school_year)
    return match is not None and int(match[2]) == int(match[1]) + 1


def enrollment_date(*, today: dt.date, starts_on: dt.date, ends_on: dt.date) -> dt.date:
    """The day from which somebody counts who is enrolled today: today, or the nearest day of the term."""
    return min(max(today, starts_on), ends_on)


def account_refusal(*, record: str, role: str, archived: bool) -> str | None:
    """Why an account cannot stand behind a record of this kind, as a problem code, or None."""
    if archived:
        return "account_archived"
    if role not in ROLES_OF_RECORD[record]:
        return "role_does_not_fit"
    return None


def roster_version() -> str:
    """The cache version of all lists of people, terms, companies and platoons; every write in this app moves it."""
    return "roster"


def term_version(term_id: int) -> str:
    """The cache version of what everybody's grade in a term depends on: its days, its policy, its closing."""
    return f"term:{term_id}"


def grades_version(term_id: int) -> str:
    """The cache version of sheets over many cadets: moved by every write that can change any grade of the term."""
    return f"grades:{term_id}"


def standing_version(cadet_id: int) -> str:
    """The cache version of one cadet's own standing and histories."""
    return f"standing:{cadet_id}"
