import hashlib
import hmac
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.keys import SHORTEST_SECRET, derived_key, key_fingerprint, secret_problem

SECRET = "kT9wQ2xLr7Vb4NzYc1Hd8JfMs6Gp3UaEoRiWtXqBnD0"
fit_secrets = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEF0123456789+/", min_size=43, max_size=60).filter(
    lambda secret: secret_problem(secret) is None
)


def hkdf_sha512(*, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, sections 2.2 and 2.3, written out: extract with a salt of zeros, then expand."""
    pseudorandom_key = hmac.new(b"\x00" * 64, secret, hashlib.sha512).digest()
    block, output = b"", b""
    for counter in range(1, -(-length // 64) + 1):
        block = hmac.new(pseudorandom_key, block + info + bytes([counter]), hashlib.sha512).digest()
        output += block
    return output[:length]


@given(secret=fit_secrets, label=st.text(max_size=30))
def test_a_derived_key_is_hkdf_sha512_of_the_secret_under_its_label(secret: str, label: str) -> None:
    assert (
        derived_key(secret=secret, label=label)
        == hkdf_sha512(secret=secret.encode(), info=label.encode(), length=64).hex()
    )


def test_a_derived_key_stays_the_same_from_release_to_release() -> None:
    # A change of this value would sign everybody out and make four services disagree during a deploy.
    assert derived_key(secret=SECRET, label="rgms.tokens") == (
        "8150bb097772146866c1a9b76eeb3dc2dec237c958475c6b75550c163b2bd393"
        "c3eb8c2ba68448354a1f63ecb4e861c238543e6e48875bc5bdf73d9c38c0fcb9"
    )


def test_each_label_gives_another_key_of_128_hexadecimal_characters() -> None:
    keys = {derived_key(secret=SECRET, label=label) for label in ("rgms.django", "rgms.tokens", "rgms.fingerprint")}
    assert len(keys) == 3
    assert {len(key) for key in keys} == {128}
    assert all(int(key, 16) >= 0 for key in keys)


def test_two_secrets_never_share_a_fingerprint_of_twelve_characters() -> None:
    fingerprints = {key_fingerprint(secret=secrets.token_urlsafe(48)) for _ in range(50)}
    assert len(fingerprints) == 50
    assert {len(fingerprint) for fingerprint in fingerprints} == {12}


def test_the_fingerprint_is_no_part_of_any_key_or_of_a_hash_of_the_secret() -> None:
    fingerprint = key_fingerprint(secret=SECRET)
    assert fingerprint == key_fingerprint(secret=SECRET)
    for label in ("rgms.django", "rgms.tokens", "rgms.fingerprint", ""):
        assert fingerprint not in derived_key(secret=SECRET, label=label)
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        assert fingerprint not in hashlib.new(algorithm, SECRET.encode()).hexdigest()


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("", "is not set"),
        (SECRET[: SHORTEST_SECRET - 1], "has 42 characters"),
        ("django-insecure-" + SECRET, "publicly known"),
        ("ChangeMe" + SECRET, "publicly known"),
        ("my-secret-key-" + SECRET, "publicly known"),
        ("abcdefgh" * 8, "repeats a few characters"),
    ],
)
def test_an_unfit_secret_is_refused_with_the_reason_and_without_being_told(secret: str, words: str) -> None:
    problem = secret_problem(secret)
    assert problem is not None
    assert words in problem
    assert not secret or secret not in problem
    with pytest.raises(ValueError, match="the secret ") as caught:
        derived_key(secret=secret, label="rgms.django")
    assert not secret or secret not in str(caught.value)


def test_what_render_generates_is_accepted() -> None:
    # generateValue gives 256 bits in base64, with the padding that makes it 44 characters.
    assert secret_problem(SECRET + "=") is None
    assert secret_problem(SECRET) is None
