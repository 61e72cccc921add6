"""Decisions about the unit's people, in plain Python, and the names of what is cached about them."""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from core.tables import CellRefused, Column, Value, date_of, folded, text_of, whole_number_of, written_text

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


# How people write these; the whole text has to match.
STUDENT_ID = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
STUDENT_ID_WORDS = "Write letters, digits, and . _ / - between."
CONTACT_NUMBER = r"[0-9+() ./-]+"
CONTACT_NUMBER_WORDS = "Write digits, and + ( ) . / - or spaces between."
INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
INVISIBLE_WORDS = "Write it in one line, without invisible characters."
BIRTHDATE_WORDS = "Write a day in the past, from 1900 on."


def search_words(text: str) -> list[str]:
    """The words of a search as the searched text writes them: small letters, no marks, no commas; each once."""
    composed = unicodedata.normalize("NFC", text).translate(_WITHOUT_MARKS).lower()
    return list(dict.fromkeys(composed.replace(",", " ").split()))


def school_year_is_one(school_year: str) -> bool:
    """Whether it names two consecutive years ("2025-2026")."""
    match = _SCHOOL_YEAR.fullmatch(school_year)
    return match is not None and int(match[2]) == int(match[1]) + 1


def composed(text: str) -> str:
    """A line of text as it is stored: marks composed (NFC), runs of spaces one space, so that equal names are equal."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def birthdate_is_possible(birthdate: dt.date, *, today: dt.date) -> bool:
    return dt.date(1900, 1, 1) <= birthdate < today


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


# --- Tables that people exchange --------------------------------------------------------------------------------------

STUDENT_ID_COLUMN: Final = Column(
    field="student_id",
    title="Student ID",
    aliases=("Student No", "Student Number", "Student ID No", "Student ID Number", "ID Number", "ID No", "USN"),
    required=True,
)
_NAME: Final = Column(field="name", title="Name", aliases=("Cadet", "Cadet name", "Full name"))
_COMPANY: Final = Column(field="company", title="Company", aliases=("Coy",))
_PLATOON: Final = Column(field="platoon", title="Platoon", aliases=("Plt",))
# Whom a row is about, for those who read it.
PERSON_COLUMNS: Final = (
    STUDENT_ID_COLUMN,
    *(replace(column, imported=False) for column in (_NAME, _COMPANY, _PLATOON)),
)
# What an export writes: the parts of a name have columns of their own, since one column cannot tell them apart again.
CADET_SHEET_COLUMNS: Final = (
    STUDENT_ID_COLUMN,
    Column(field="last_name", title="Last name", aliases=("Surname", "Family name")),
    Column(field="first_name", title="First name", aliases=("Given name", "Given names", "Forename")),
    Column(field="middle_name", title="Middle name", aliases=("Middle initial", "MI")),
    Column(field="suffix", title="Suffix", aliases=("Name extension", "Extension name", "Ext")),
    Column(field="email", title="E-mail", aliases=("Email address",)),
    Column(
        field="contact_number",
        title="Contact number",
        aliases=(
            "Contact No", "Contact", "Mobile number", "Mobile No", "Mobile", "Cellphone number", "Cellphone No",
            "Cellphone", "CP number", "CP No", "Phone number", "Phone No", "Phone", "Telephone",
        ),
    ),
    Column(field="address", title="Address", aliases=("Home address", "Permanent address")),
    Column(field="gender", title="Gender", aliases=("Sex",)),
    Column(field="birthdate", title="Birthdate", aliases=("Birthday", "Date of birth", "DOB")),
    Column(field="religion", title="Religion"),
    Column(field="course", title="Course", aliases=("Program", "Programme", "Degree program", "Academic program")),
    Column(field="year_level", title="Year level", aliases=("Year", "Yr level", "Yr")),
    _COMPANY,
    _PLATOON,
    Column(field="battalion", title="Battalion", aliases=("Bn",)),
    Column(field="position", title="Position", aliases=("Designation",)),
    Column(field="rank", title="Rank", aliases=("Cadet rank",)),
    Column(field="level", title="MS level", aliases=("Military science level", "Military science", "MS", "Level")),
    Column(field="status", title="Status", aliases=("Enrollment status",)),
    Column(field="enrolled_on", title="Enrolled on", aliases=("Date enrolled", "Enrollment date", "Enrolled since")),
)  # fmt: skip
CADET_COLUMNS: Final = (STUDENT_ID_COLUMN, _NAME, *CADET_SHEET_COLUMNS[1:])

NAME_WORDS = "Write the last name, a comma, then the other names: Macaraeg, Liza Peña."
# Without V and I, which may as well be initials.
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "vi", "vii", "viii", "2nd", "3rd", "4th"})
# Words that belong to the one behind them: "Ana dela Cruz" has the middle name "dela Cruz".
_PARTICLES = frozenset(
    {"al", "bin", "binti", "da", "de", "del", "dela", "delos", "delas", "di", "la", "las", "los", "san", "santa",
     "santo", "sta", "sto", "van", "von"}
)  # fmt: skip
_YEAR_LEVEL = re.compile(r"(?:year )?([1-5])(?:st|nd|rd|th)?(?: ?(?:year|yr\.?))?", re.ASCII)


def line_of(value: Value, *, longest: int) -> str:
    """A text of at most `longest` characters in a cell of a table. Raises CellRefused."""
    text = composed(written_text(text_of(value)))
    if INVISIBLE.search(text):
        raise CellRefused("invisible_characters", INVISIBLE_WORDS)
    if len(text) > longest:
        raise CellRefused("too_long", f"Write at most {longest} characters; these are {len(text)}.")
    return text


def student_id_check(text: str, *, longest: int) -> None:
    """Raises CellRefused for what cannot be a new cadet's number."""
    if re.fullmatch(STUDENT_ID, text) is None or len(text) > longest:
        raise CellRefused("invalid_student_id", f"{STUDENT_ID_WORDS[:-1]}; at most {longest} characters.")


def contact_number_of(value: Value, *, longest: int) -> str:
    """Raises CellRefused."""
    text = line_of(value, longest=longest)
    if re.fullmatch(CONTACT_NUMBER, text) is None:
        raise CellRefused("invalid_contact_number", CONTACT_NUMBER_WORDS)
    return text


def birthdate_of(value: Value, *, today: dt.date) -> dt.date:
    """Raises CellRefused."""
    birthdate = date_of(value)
    if not birthdate_is_possible(birthdate, today=today):
        raise CellRefused("out_of_range", BIRTHDATE_WORDS)
    return birthdate


def year_level_of(value: Value) -> int:
    """From 2, "2nd" or "2nd year". Raises CellRefused."""
    match = _YEAR_LEVEL.fullmatch(text_of(value).lower()) if isinstance(value, str) else None
    level = int(match[1]) if match else whole_number_of(value)
    if not 1 <= level <= 5:
        raise CellRefused("out_of_range", "Write a year level from 1 to 5.")
    return level


def name_parts(text: str, *, middle: str = "", known: Sequence[str] = ("", "")) -> dict[str, str]:
    """The parts that "Last, First Middle" names, with a suffix behind any of them: last_name, first_name, and
    middle_name and suffix where there are any. Raises CellRefused.

    The other names are one or more first names, then a middle name of one word and its particles. `middle` is what a
    column of its own says, `known` the (first, middle) name that is stored: the same words, however they are written,
    are divided in the same way.
    """
    pieces = [piece.split() for piece in text.split(",")]
    suffixes = [piece.pop() for piece in pieces[1:] if len(piece) == 1 and _is_suffix(piece[0])]
    filled = [piece for piece in pieces if piece]
    if not pieces[0] or len(filled) != 2:
        raise CellRefused("invalid_name", NAME_WORDS)
    last, others = filled
    suffixes += [words.pop() for words in (others, last) if len(words) > 1 and _is_suffix(words[-1])]
    if len(suffixes) > 1:
        raise CellRefused("invalid_name", f"{' and '.join(suffixes)} cannot both be meant. {NAME_WORDS}")
    at = _where_middle_begins(others, middle=middle, known=known)
    parts = {"last_name": last, "first_name": others[:at], "middle_name": others[at:], "suffix": suffixes}
    return {field: " ".join(words) for field, words in parts.items() if words}


def _is_suffix(word: str) -> bool:
    return word.lower().rstrip(".") in _SUFFIXES


def _where_middle_begins(words: Sequence[str], *, middle: str, known: Sequence[str]) -> int:
    if middle:
        count = len(middle.split())
        ends_so = count < len(words) and folded("".join(words[-count:])) == folded(middle)
        return len(words) - count if ends_so else len(words)
    first, second = (part.split() for part in known)
    if len(words) == len(first) + len(second) and folded("".join(words)) == folded("".join([*first, *second])):
        return len(first)
    at = max(len(words) - 1, 1)
    while at > 1 and words[at - 1].lower().rstrip(".") in _PARTICLES:
        at -= 1
    return at
