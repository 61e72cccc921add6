from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.env import ConfigurationError, Environment

READERS: dict[str, Callable[[Environment], Any]] = {
    "text": lambda env: env.text("X"),
    "flag": lambda env: env.flag("X", default=False),
    "whole": lambda env: env.whole("X", default=3, least=1, most=9),
    "share": lambda env: env.share("X", default=0.5),
    "choice": lambda env: env.choice("X", options=("red", "green")),
    "comma_list": lambda env: env.comma_list("X"),
    "origins": lambda env: env.origins("X"),
    "database": lambda env: env.database("X", remedy="Copy it."),
    "redis_url": lambda env: env.redis_url("X", remedy="Copy it."),
    "dsn": lambda env: env.dsn("X"),
    "email_url": lambda env: env.email_url("X"),
    "mailbox": lambda env: env.mailbox("X", default="RGMS <rgms@localhost>"),
    "web_address": lambda env: env.web_address("X", default=""),
    "backup_place": lambda env: env.backup_place("X"),
    "secrets": lambda env: env.secrets("X"),
}


def refusal(read: Callable[[Environment], Any], variables: Mapping[str, str]) -> str | None:
    """What a process that reads so would be told at its start, or None when it may run."""
    env = Environment(variables)
    read(env)
    try:
        env.refuse()
    except ConfigurationError as error:
        return str(error)
    return None


def value(read: Callable[[Environment], Any], text: str) -> Any:
    """What is read from `X=text`, which must be accepted."""
    assert refusal(read, {"X": text}) is None
    return read(Environment({"X": text}))


# --- Each reader ------------------------------------------------------------------------------------------------------


def test_text_is_stripped_and_empty_counts_as_not_set() -> None:
    assert value(READERS["text"], "  abc \n") == "abc"
    for variables in ({}, {"X": ""}, {"X": "  "}):
        assert Environment(variables).text("X", default="d") == "d"
        told = refusal(lambda env: env.text("X", remedy="Look in the drawer."), variables)
        assert told is not None
        assert "X is not set. Look in the drawer." in told


@pytest.mark.parametrize(
    ("text", "flag"),
    [("True", True), ("1", True), ("yes", True), ("ON", True), ("False", False), ("0", False), ("no", False)],
)
def test_a_flag_is_read_in_any_spelling_that_people_use(text: str, flag: bool) -> None:
    assert value(lambda env: env.flag("X", default=not flag), text) is flag


def test_a_flag_that_is_not_set_keeps_its_default() -> None:
    assert Environment({}).flag("X", default=True) is True
    assert Environment({"X": ""}).flag("X", default=False) is False


@pytest.mark.parametrize("text", ["Flase", "2", "true;", "null", "-"])
def test_a_flag_that_is_neither_is_refused_instead_of_counting_as_true(text: str) -> None:
    assert refusal(READERS["flag"], {"X": text}) is not None


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("9", 9), (" 5 ", 5), ("", 3)])
def test_a_whole_number_is_read_within_its_bounds(text: str, number: int) -> None:
    assert value(READERS["whole"], text) == number


@pytest.mark.parametrize("text", ["0", "10", "-1", "1.5", "1e0", "five", "9" * 5000, "0x5"])
def test_a_number_out_of_its_bounds_is_refused_with_the_bounds(text: str) -> None:
    told = refusal(READERS["whole"], {"X": text})
    assert told is not None
    assert "from 1 to 9" in told


@pytest.mark.parametrize(("text", "share"), [("0", 0.0), ("1", 1.0), (".25", 0.25), ("", 0.5)])
def test_a_share_lies_between_nothing_and_everything(text: str, share: float) -> None:
    assert value(READERS["share"], text) == share


@pytest.mark.parametrize("text", ["1.01", "-0.1", "nan", "inf", "half", "25%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    assert refusal(READERS["share"], {"X": text}) is not None


def test_a_choice_is_one_of_its_options() -> None:
    assert value(READERS["choice"], "red") == "red"
    assert Environment({}).choice("X", options=("red",), default="red") == "red"
    told = refusal(READERS["choice"], {"X": "Red"})
    assert told is not None
    assert "Write one of: red, green." in told


def test_a_list_drops_what_is_empty() -> None:
    assert value(READERS["comma_list"], " a, ,b,,") == ["a", "b"]
    assert Environment({}).comma_list("X") == []


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", []),
        ("https://rotc.example", ["https://rotc.example"]),
        ("https://a.example, http://localhost:5173", ["https://a.example", "http://localhost:5173"]),
        ("HTTPS://Rotc.Example", ["https://rotc.example"]),
    ],
)
def test_origins_are_read_as_browsers_send_them(text: str, origins: list[str]) -> None:
    assert value(READERS["origins"], text) == origins


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "rotc.example",
        "https://rotc.example/",
        "https://rotc.example/app",
        "https://rotc.example?x",
        "https://rotc.example#",
        "https://*.rotc.example",
        "https://somebody@rotc.example",
        "https://rotc .example",
        "https://",
        "https://rotc.example:port",
        "https://[::1",
        "ftp://rotc.example",
        "null",
        "https://good.example, javascript:alert(1)",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(text: str) -> None:
    assert refusal(READERS["origins"], {"X": text}) is not None


def test_a_database_url_becomes_djangos_settings() -> None:
    found = value(READERS["database"], "postgresql://rgms:p%40ss@db.example:6543/rotc_db?sslmode=require")
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example", 6543, "rotc_db")
    assert (found["USER"], found["PASSWORD"]) == ("rgms", "p@ss")
    assert found["OPTIONS"]["sslmode"] == "require"
    assert value(READERS["database"], "postgres://db/rotc_db")["ENGINE"] == "django.db.backends.postgresql"


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///db.sqlite3",
        "mysql://db/x",
        "db.example",
        "http://db/x",
        "postgresql://db:port/x",
        "postgresql://[x/y",
        "postgresql://db",
        "postgresql://u:#p@db/x",
    ],
)
def test_any_other_database_is_refused(text: str) -> None:
    assert refusal(READERS["database"], {"X": text}) is not None


@pytest.mark.parametrize("text", ["redis://host:6379", "rediss://:secret@host:6379/0", "redis://user:pw@host"])
def test_a_redis_url_is_kept_as_it_is(text: str) -> None:
    assert value(READERS["redis_url"], text) == text


@pytest.mark.parametrize(
    "text", ["host:6379", "http://host", "redis://", "redis:///0", "redis://host:port", "unix:///s"]
)
def test_any_other_redis_is_refused(text: str) -> None:
    assert refusal(READERS["redis_url"], {"X": text}) is not None


def test_a_dsn_is_kept_and_may_be_missing() -> None:
    for text in ("", "https://key@o1.ingest.sentry.example/42", "http://key@127.0.0.1:9000/prefix/1"):
        assert value(READERS["dsn"], text) == text


@pytest.mark.parametrize(
    "text", ["key", "https://sentry.example/42", "https://key@sentry.example", "https://key@[x/42", "https://key@/42"]
)
def test_a_dsn_that_the_sdk_would_choke_on_is_refused(text: str) -> None:
    assert refusal(READERS["dsn"], {"X": text}) is not None


# --- All of them ------------------------------------------------------------------------------------------------------


def test_one_start_names_everything_that_is_wrong_with_its_remedy() -> None:
    env = Environment({"WORKERS": "many", "REDIS_URL": "x"})
    env.whole("WORKERS", default=1, least=1, most=8)
    env.redis_url("REDIS_URL", remedy="")
    env.database("DATABASE_URL", remedy="Copy the connection string.")
    with pytest.raises(ConfigurationError) as caught:
        env.refuse()
    assert [problem.variable for problem in caught.value.problems] == ["WORKERS", "REDIS_URL", "DATABASE_URL"]
    assert str(caught.value).splitlines() == [
        "The configuration is refused:",
        "  - WORKERS is out of range. Write a whole number from 1 to 8.",
        "  - REDIS_URL is not a Redis URL. It must look like redis://host:6379 or rediss://… (TLS).",
        "  - DATABASE_URL is not set. Copy the connection string.",
    ]


shaped = st.builds(
    lambda scheme, rest: f"{scheme}://{rest}",
    st.sampled_from(["postgresql", "redis", "rediss", "https", "http", "sqlite", ""]),
    st.text(alphabet="abzAZ09:/@?#[]%.*=& -_é", max_size=40),
)


@pytest.mark.parametrize("name", sorted(READERS))
@given(text=st.text(max_size=60) | shaped)
def test_whatever_a_variable_holds_the_only_error_is_a_refusal_with_a_remedy(name: str, text: str) -> None:
    env = Environment({"X": text})
    READERS[name](env)
    for problem in env.problems:
        assert problem.variable == "X"
        assert problem.problem
        assert problem.remedy


@pytest.mark.parametrize("name", sorted(READERS))
@given(rest=st.sampled_from(["", "://", "://h:p/", "://h/x?y=", "@@", "://u:p@[", ", "]))
def test_no_refusal_ever_repeats_the_value(name: str, rest: str) -> None:
    told = refusal(READERS[name], {"X": f"hunter2{rest}hunter2"})
    assert told is None or "hunter2" not in told


# --- E-mail -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "starts_tls", "speaks_tls"),
    [
        ("smtp://localhost", "localhost", 25, "", "", False, False),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, "", "", False, False),
        ("smtp+tls://me:pass@mail.example", "mail.example", 587, "me", "pass", True, False),
        ("smtps://me%40mail.example:p%40ss%2F%23%3A@mail.example", "mail.example", 465, "me@mail.example", "p@ss/#:",
         False, True),
        ("SMTPS://mail.example:4650/", "mail.example", 4650, "", "", False, True),
    ],
)  # fmt: skip
def test_a_mail_server_is_read_from_its_url(
    *, url: str, host: str, port: int, user: str, password: str, starts_tls: bool, speaks_tls: bool
) -> None:
    assert value(READERS["email_url"], url) == {
        "EMAIL_HOST": host,
        "EMAIL_PORT": port,
        "EMAIL_HOST_USER": user,
        "EMAIL_HOST_PASSWORD": password,
        "EMAIL_USE_TLS": starts_tls,
        "EMAIL_USE_SSL": speaks_tls,
    }


def test_no_mail_server_is_none() -> None:
    assert Environment({}).email_url("X") is None
    assert Environment({"X": " "}).email_url("X") is None


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://:25",
        "smtp://mail.example:port",
        "smtp://mail.example:99999",
        "smtp+ssl://mail.example",
        "smtp://me:s3cret#1@mail.example",
        "smtp://me:s3cret/1@mail.example",
        "smtp://mail.example?timeout=1",
        "smtp://me:s3cret@mail .example",
    ],
)
def test_what_is_no_mail_server_is_refused_without_being_repeated(url: str) -> None:
    told = refusal(READERS["email_url"], {"X": url})
    assert told is not None
    assert "s3cret" not in told


@pytest.mark.parametrize("text", ["rgms@rotc.example", "RGMS <rgms@rotc.example>"])
def test_a_sender_is_an_address_with_or_without_a_name(text: str) -> None:
    assert value(READERS["mailbox"], text) == text


@pytest.mark.parametrize("text", ["RGMS", "@rotc.example", "rgms@", "RGMS rgms@rotc.example <", "a@b\nBcc: c@d"])
def test_what_is_no_sender_is_refused(text: str) -> None:
    assert refusal(READERS["mailbox"], {"X": text}) is not None


@pytest.mark.parametrize("text", ["https://rotc.example/choose", "http://localhost:5173/invitation/"])
def test_a_page_is_read_as_it_is(text: str) -> None:
    assert value(READERS["web_address"], text) == text


@pytest.mark.parametrize(
    "text", ["rotc.example/x", "ftp://rotc.example", "https://rotc.example/?a", "https://a/#b", "https://u:p@a/"]
)
def test_what_is_no_page_or_would_swallow_the_token_is_refused(text: str) -> None:
    assert refusal(READERS["web_address"], {"X": text}) is not None


# --- Backups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:///var/backups", {"kind": "file", "path": "/var/backups"}),
        (
            "s3://AKID:se%2Fcret@s3.us-west-2.amazonaws.com/rotc-backups/unit/a?region=us-west-2",
            {
                "kind": "s3",
                "endpoint": "s3.us-west-2.amazonaws.com",
                "secure": True,
                "access_key": "AKID",
                "secret_key": "se/cret",
                "bucket": "rotc-backups",
                "prefix": "unit/a",
                "region": "us-west-2",
            },
        ),
        (
            "s3+http://a:b@minio:9000/bucket",
            {
                "kind": "s3",
                "endpoint": "minio:9000",
                "secure": False,
                "access_key": "a",
                "secret_key": "b",
                "bucket": "bucket",
                "prefix": "",
                "region": "us-east-1",
            },
        ),
        (
            "cloudinary://123:abc@RotcCloud/backups/",
            {
                "kind": "cloudinary",
                "cloud_name": "RotcCloud",
                "api_key": "123",
                "api_secret": "abc",
                "prefix": "backups",
            },
        ),
    ],
)
def test_a_place_for_backups_is_read_from_its_address(url: str, place: dict[str, Any]) -> None:
    assert value(READERS["backup_place"], url) == place


@pytest.mark.parametrize(
    "url",
    [
        "/var/backups",
        "ftp://a:s3cret@host/bucket",
        "file://host/path",
        "file:///",
        "s3://a:s3cret@host",
        "s3://host/bucket",
        "s3://a@host/bucket",
        "s3://a:s3cret@host/bucket/../other",
        "s3://a:s3cret@host/bucket?region=x&acl=public",
        "s3://a:s3cret#1@host/bucket",
        "s3://a:s3cret/1@host/bucket",
        "cloudinary://a@cloud",
        "cloudinary://a:s3cret@cloud/../x",
        "cloudinary://a:s3cret@cloud?x=1",
    ],
)
def test_what_is_no_place_for_backups_is_refused_without_being_repeated(url: str) -> None:
    told = refusal(READERS["backup_place"], {"X": url})
    assert told is not None
    assert "s3cret" not in told


KEY, FORMER_KEY = "4uVnX8mWkQz1pLrT7sYbC2dFgH5jK9aE0iOxNqRvUwZ", "9aE0iOxNqRvUwZ4uVnX8mWkQz1pLrT7sYbC2dFgH5jK"


def test_several_keys_are_read_in_their_order_and_each_must_be_fit() -> None:
    assert value(READERS["secrets"], KEY) == [KEY]
    assert value(READERS["secrets"], f"{KEY}, {FORMER_KEY}") == [KEY, FORMER_KEY]
    assert Environment({}).secrets("X") == []
    told = refusal(READERS["secrets"], {"X": f"{KEY},short"})
    assert told is not None
    assert "holds 2 keys, of which number 2 has 5 characters" in told
    assert KEY not in told
