import secrets

import pytest

from apps.reports import rules


def test_administrators_ask_for_everything_staff_for_attendance_and_grades_cadets_for_their_slip():
    assert set(rules.kinds_of(is_admin=True, is_staff_member=True)) == set(rules.KINDS)
    staff = rules.kinds_of(is_admin=False, is_staff_member=True)
    assert set(rules.KINDS) - set(staff) == {rules.MASTER_LIST, rules.CERTIFICATE}
    assert rules.kinds_of(is_admin=False, is_staff_member=False) == (rules.GRADE_SLIP,)


@pytest.mark.parametrize("kind", rules.KINDS)
def test_every_kind_takes_what_it_needs_and_is_signed_by_functions(kind):
    its = rules.KINDS[kind]
    assert its.needs <= its.takes <= set(rules.PARAMETERS)
    assert rules.PDF in its.formats
    assert 2 <= len(its.signatories) <= 3


def test_a_code_is_read_as_people_type_it_and_no_other_text_is_one():
    code = rules.code_made(secrets.token_bytes(rules.CODE_BYTES))
    shown = rules.code_shown(code)
    assert (len(code), len(shown)) == (20, 23)
    for typed in (code, shown, shown.lower(), shown.replace("-", " "), f" {shown} ", shown.replace("0", "o")):
        assert rules.code_read(typed) == code
    for other in ("", "x", code[:-1], f"{code}0", "É" * 20, "0" * 20, "-" * 5000, "\u0660" * 20):
        assert rules.code_read(other) is None


def test_every_misread_letter_is_told_without_a_look_into_the_database():
    code = rules.code_made(bytes(range(rules.CODE_BYTES)))
    symbols = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    others = [code[:at] + letter + code[at + 1 :] for at in range(20) for letter in symbols if letter != code[at]]
    assert len(others) == 20 * 31
    assert [other for other in others if rules.code_read(other)] == []


def test_codes_of_different_bytes_differ():
    made = {rules.code_made(secrets.token_bytes(rules.CODE_BYTES)) for _ in range(1000)}
    assert len(made) == 1000


PASSED = {"term_closed": True, "frozen": True, "status": "ongoing", "remark": "Passed", "merits": 0}


@pytest.mark.parametrize(
    ("changes", "certificate_type", "code"),
    [
        ({}, "completion", None),
        ({"status": "completed"}, "completion", None),
        ({"term_closed": False}, "completion", "term_open"),
        ({"frozen": False}, "completion", "term_open"),
        ({"remark": "Failed"}, "completion", "not_passed"),
        ({"remark": "Incomplete", "status": "incomplete"}, "completion", "not_passed"),
        ({"status": "failed"}, "completion", "not_passed"),
        ({"merits": 49}, "merit", "too_few_merits"),
        ({"merits": 50}, "merit", None),
    ],
)
def test_a_certificate_takes_a_term_that_was_passed_as_it_was_decided(changes, certificate_type, code):
    refusal = rules.certificate_refusal(certificate_type=certificate_type, **{**PASSED, **changes})
    assert (refusal[0] if refusal else None) == code


def test_what_was_revoked_stays_revoked_whatever_else_has_happened():
    assert rules.certificate_state(revoked=False, superseded=False, sheet_superseded=False) == "valid"
    assert rules.certificate_state(revoked=False, superseded=True, sheet_superseded=False) == "superseded"
    assert rules.certificate_state(revoked=False, superseded=False, sheet_superseded=True) == "superseded"
    assert rules.certificate_state(revoked=True, superseded=True, sheet_superseded=True) == "revoked"


def test_names_stand_in_their_usual_order():
    assert rules.name_in_order(first="Liza", middle="Santos", last="Peñaranda", suffix="") == "Liza Santos Peñaranda"
    assert rules.name_in_order(first="Omar", middle="", last="Sarip", suffix="Jr.") == "Omar Sarip Jr."


def test_shares_are_cut_and_nothing_of_nothing_is_a_dash():
    assert [rules.percentage(2, 3), rules.percentage(5, 5), rules.percentage(0, 4)] == ["66.6", "100.0", "0.0"]
    assert rules.percentage(0, 0) == "\u2013"
