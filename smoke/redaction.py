"""Nothing secret leaves the suite: every artefact and every line of output goes through `Redaction.scrub`."""

import json
import re
from urllib.parse import quote

MASK = "[redacted]"

# Three base64url parts: any JSON Web Token, also one that this run never held (a server may echo somebody
# else's).
JSON_WEB_TOKEN = re.compile(r"eyJ[\w-]{5,}\.[\w-]*\.?[\w-]*")
# user:password in front of a host, as connection strings have it.
URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
NAMED_SECRET = re.compile(
    r"(?P<name>\b(?:password|passwd|secret|secret_key|token|access|refresh|api_key|authorization|cookie)\b"
    r"[\"']?\s*[=:]\s*(?:bearer\s+)?[\"']?)(?P<value>[^\s\"'&,;}{\]\[<>()]{6,})",
    re.IGNORECASE,
)
# Below this length a secret is a fragment of ordinary words, and masking it would make reports unreadable
# without protecting anything.
SHORTEST_SECRET = 4


class Redaction:
    """The values that must not be shown, learned as the run meets them."""

    def __init__(self) -> None:
        self._spellings: set[str] = set()

    def learn(self, *, secret: str) -> None:
        """Mask `secret` from now on, also as JSON, URLs and reprs spell it."""
        if len(secret) < SHORTEST_SECRET:
            return
        self._spellings |= {
            secret,
            quote(secret),
            quote(secret, safe=""),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
        }

    def scrub(self, text: str) -> str:
        """Return `text` with every learned secret, and everything that looks like one, masked."""
        # Longest first: a short secret inside a longer one would leave the longer one's rest readable.
        for spelling in sorted(self._spellings, key=len, reverse=True):
            text = text.replace(spelling, MASK)
        text = JSON_WEB_TOKEN.sub(MASK, text)
        text = URL_CREDENTIALS.sub(MASK, text)
        return NAMED_SECRET.sub(lambda match: match["name"] + MASK, text)
