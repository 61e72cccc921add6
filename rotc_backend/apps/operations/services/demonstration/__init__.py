"""A believable unit with a history, for demonstrations, smoke checks and load tests.

chance    the same numbers each time            names, texts     what people are called, and what they write
terms     when it happens                       careers, people  who is who
records   what one cadet does in one term       plans            all of that about one cadet, not yet written
staff     who trains them                       filling          writes everything, in one transaction
rows      plans as rows of the database         talk             announcements and chat
"""

from apps.operations.services.demonstration.filling import DEFAULT_SEED, Filled, demonstration_fill
from apps.operations.services.demonstration.staff import DEMO_ACCOUNTS

__all__ = ["DEFAULT_SEED", "DEMO_ACCOUNTS", "Filled", "demonstration_fill"]
