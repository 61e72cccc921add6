"""Values that the examples of several operations share."""

from typing import Any

CADET = {"id": 41, "student_id": "2026-00041", "full_name": "Macaraeg, Liza Santos"}
TERM = {"id": 3, "school_year": "2026-2027", "semester": "1st", "closed": False}
CLOSED_TERM = {**TERM, "closed": True}
INSTRUCTOR = {"id": 7, "name": "Ramon Villanueva"}
ADMINISTRATOR = {"id": 1, "name": "Amina Lucman"}
AT = "2026-08-22T01:15:04.812Z"
DIGEST = "9f2c1a4b7d0e8c3a6f5b2d1e0c9a8b7f6e5d4c3b2a1908f7e6d5c4b3a2918070"

_PART: dict[str, Any] = {"adjustment": "0.00", "adjustments": []}
GRADE: dict[str, Any] = {
    "attendance": {
        "attended": 12,
        "held": 15,
        "by_status": {"present": 10, "late": 1, "excused": 1, "absent": 3, "unmarked": 0},
        "computed": "24.00",
        **_PART,
        "points": "24.00",
        "maximum": "30.00",
    },
    "aptitude": {
        "merits": 10,
        "demerits": 2,
        "base": 100,
        "merits_unused": 8,
        "computed": "30.00",
        **_PART,
        "points": "30.00",
        "maximum": "30.00",
    },
    "subject": {
        "exams": {"prelim": "85.00", "midterm": "90.00", "final": "95.00"},
        "missing": [],
        "computed": "36.00",
        **_PART,
        "points": "36.00",
        "maximum": "40.00",
    },
    "total": "90.00",
    "equivalent": "1.50",
    "remark": "Passed",
    "provisional": True,
}
FINAL_GRADE = {**GRADE, "provisional": False}
PLACE = {"company": "Alpha", "platoon": "1st Platoon", "level": "MS1"}
SHEET_BRIEF = {"id": 930, "revision": 1, "frozen_at": AT, "digest": DIGEST}
