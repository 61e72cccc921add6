import pytest

from smoke.check import Check, check, in_order
from smoke.tests.conftest import Suite

FAMILY = """
    @declared("leaf.child", needs=["root.cause"], severity="minor")
    def child(deployment): pass

    @declared("leaf.grandchild", needs=["leaf.child"])
    def grandchild(deployment): pass

    @declared("other.alone")
    def alone(deployment): pass

    @declared("root.cause")
    def cause(deployment):
        expect(False, expected="light", came="darkness", request_id="request-1")
"""


def declared(id: str, *needs: str, last: bool = False) -> Check:  # noqa: A002 - the word of the suite
    return Check(id=id, title=id, severity="minor", needs=needs, next_step="Do this.", writes=False, last=last)


def test_a_failure_is_told_once_and_everything_below_it_is_blocked_by_it(suite: Suite) -> None:
    run = suite.run(FAMILY)

    assert run.status == 1
    assert run.outcomes == {
        "root.cause": "failed",
        "leaf.child": "blocked",
        "leaf.grandchild": "blocked",
        "other.alone": "passed",
    }
    assert run.check("leaf.grandchild")["blocked_by"] == "root.cause"
    assert run.evidence["summary"] == {"passed": 1, "failed": 1, "blocked": 2, "skipped": 0, "flaky": 0}


def test_the_cause_stands_before_the_groups_and_what_it_blocks_is_folded_into_counts(suite: Suite) -> None:
    output = suite.run(FAMILY).output

    assert output.index("CRITICAL  root.cause") < output.index("other ")
    assert "2 blocked" in output
    assert "blocks     2 that need it: leaf.child, leaf.grandchild" in output
    assert output.rstrip().splitlines()[-1].startswith("FAILED  1 passed, 1 failed, 2 blocked in ")


def test_checks_run_after_what_they_need_wherever_they_stand() -> None:
    order = in_order([declared("c", "b"), declared("end", last=True), declared("b", "a"), declared("a")])
    assert [one.id for one in order] == ["a", "b", "c", "end"]


def test_checks_without_needs_keep_the_order_in_which_they_were_written() -> None:
    assert [one.id for one in in_order([declared("z"), declared("a"), declared("m")])] == ["z", "a", "m"]


@pytest.mark.parametrize(
    ("checks", "complaint"),
    [
        ([declared("a", "nowhere")], "a needs nowhere"),
        ([declared("a", "b"), declared("b", "c"), declared("c", "a")], "a → b → c → a"),
        ([declared("a", "a")], "a → a"),
        ([declared("a"), declared("a")], "two checks have the id a"),
    ],
)
def test_an_order_that_cannot_be_kept_is_an_error_that_names_the_checks(checks: list[Check], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        in_order(checks)


@pytest.mark.parametrize(("needs", "complaint"), [('["nowhere"]', "needs nowhere"), ('["a.check"]', "in a circle")])
def test_a_suite_with_a_wrong_need_does_not_run_at_all(suite: Suite, needs: str, complaint: str) -> None:
    run = suite.run(f"""
        @declared("a.check", needs={needs})
        def one(deployment): deployment.web.get("/ping")
    """)

    assert run.status == 3
    assert complaint in run.output
    assert suite.service.seen == []


def test_a_severity_that_the_gate_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="fatal"):
        check(id="a", title="A", severity="fatal", next_step="")  # type: ignore[arg-type]
