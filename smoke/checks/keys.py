from collections import Counter

from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment


@check(
    id="keys.same",
    title="All services that run derive their keys from the same DJANGO_SECRET_KEY",
    severity="critical",
    needs=["redis.connected", "channels.answers"],
    next_step=guide.SIGNING_KEYS,
)
def keys_are_the_same(deployment: Deployment) -> None:
    web, channels = deployment.health(), deployment.channels_health()
    # Each service's own word first; worker and beat serve no address, so their heartbeats speak for them.
    seen = {name: one.get("key_fingerprint") for name, one in deployment.running(answer=web).items()}
    for answer in (web, channels):
        seen[str(answer.at("service"))] = answer.at("key_fingerprint")
    usual = Counter(seen.values()).most_common(1)[0][0]
    different = sorted(name for name, fingerprint in seen.items() if fingerprint != usual)
    web.expect(
        not different and isinstance(usual, str) and usual != "",
        expected="one key fingerprint on all services",
        came=f"{' and '.join(different) or 'all'} differ: "
        + ", ".join(f"{name} {fingerprint}" for name, fingerprint in sorted(seen.items())),
    )
