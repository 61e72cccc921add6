"""What can be asked about training; grading counts with the two names that stand here."""

from apps.training.selectors.counting import attendance_counts, held_days

__all__ = ["attendance_counts", "held_days"]
