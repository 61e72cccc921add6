from urllib.parse import quote

import pytest

from smoke.redaction import MASK, Redaction
from smoke.tests.conftest import Suite
from smoke.tests.misbehaving import CANARY_PASSWORD, CANARY_REFRESH, CANARY_TOKEN

# The service tells everything that it was sent in its error page, and the checks pass it on as they found it.
INDISCREET = """
    from smoke.expectation import Mismatch

    @declared("secrets.in_the_answer")
    def in_the_answer(deployment):
        deployment.web.get("/echo", token=deployment.token("admin")).expect_status(200)

    @declared("secrets.in_the_mismatch")
    def in_the_mismatch(deployment):
        session, account = deployment.session("cadet"), deployment.target.credentials["cadet"]
        raise Mismatch(expected=repr(account.password), came=f"{session.refresh} {session.access}",
                       request_id=session.refresh, next_step=f"curl '?token={session.access}'")

    @declared("secrets.in_an_exception")
    def in_an_exception(deployment):
        print("printed", deployment.token("cadet"))
        raise RuntimeError(deployment.target.credentials["admin"].password)
"""
SPELLINGS = [
    *(CANARY_PASSWORD, quote(CANARY_PASSWORD), quote(CANARY_PASSWORD, safe="")),
    *(CANARY_PASSWORD.replace('"', '\\"'), "canary&quot;p", "wörd+1", "w\\u00f6rd"),
    *(CANARY_TOKEN, CANARY_REFRESH, CANARY_TOKEN.rpartition(".")[2]),
]


def test_no_password_and_no_token_is_in_any_artefact(suite: Suite) -> None:
    run = suite.run(INDISCREET.replace('print("printed", deployment.token("cadet"))', "pass"))

    assert run.outcomes == dict.fromkeys(run.outcomes, "failed")
    artefacts = [run.output] + [
        file.read_text(encoding="utf-8") for file in suite.directory.rglob("*") if file.is_file()
    ]
    assert len(artefacts) >= 4
    for artefact in artefacts:
        for spelling in SPELLINGS:
            assert spelling not in artefact
    # It was there to be masked: the server did tell.
    assert MASK in run.check("secrets.in_the_answer")["came"]
    assert run.check("secrets.in_the_answer")["request_id"] == "request-echo"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef0123456789",
        '{"access": "abcdef0123456789"}',
        "redis://default:abcdef0123456789@cache.example:6379/0",
        "/ws/notifications/?token=abcdef0123456789",
        "SECRET_KEY = 'abcdef0123456789'",
        "eyJhbGciOiJIUzI1NiJ9.abcdef0123456789.abcdef0123456789",
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_has_told_of_it(text: str) -> None:
    assert "abcdef0123456789" not in Redaction().scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "status 401, application/problem+json: token_bad_signature",
        "Troubleshooting → Redis Connection Errors: check REDIS_URL",
        'code is "token_revoked"',
        "key fingerprints: rotc-django-web 0123456789ab",
        "request-0123456789abcdef",
    ],
)
def test_ordinary_words_of_a_report_stay_readable(text: str) -> None:
    assert Redaction().scrub(text) == text


def test_a_secret_inside_another_one_leaves_nothing_of_either() -> None:
    redaction = Redaction()
    redaction.learn(secret="canary")
    redaction.learn(secret="canary-and-more")
    assert redaction.scrub("told canary-and-more") == f"told {MASK}"
