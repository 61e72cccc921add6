"""Decisions about the unit's people, in plain Python, and the names of what is cached about them."""

# Functions of staff whose holders may decide excuse letters ("privileged staff").
COMMANDANT, ASSISTANT_COMMANDANT = "commandant", "assistant_commandant"
NSTP_DIRECTOR, ROTC_COORDINATOR = "nstp_director", "rotc_coordinator"
ADMIN_NCO, ADMIN, INSTRUCTOR = "admin_nco", "admin", "instructor"
DECIDING_FUNCTIONS = frozenset({COMMANDANT, ASSISTANT_COMMANDANT, NSTP_DIRECTOR, ROTC_COORDINATOR, ADMIN_NCO})


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
