"""What can be asked about grades; other apps find here what they need."""

from apps.grading.selectors.grades import grades_of, inputs_of
from apps.grading.selectors.policies import policy_in_force
from apps.grading.selectors.sheets import SheetFinding, sheet_findings

__all__ = ["SheetFinding", "grades_of", "inputs_of", "policy_in_force", "sheet_findings"]
