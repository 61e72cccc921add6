from smoke import guide
from smoke.check import check
from smoke.deployment import Deployment
from smoke.target import is_loopback


@check(
    id="media.storage",
    title="Pictures and files are kept where a deploy does not delete them",
    severity="major",
    needs=["access.operations"],
    next_step=guide.MEDIA,
)
def media_storage(deployment: Deployment) -> None:
    answer = deployment.status()
    storage = answer.at("media_storage")
    # scripts/up says openly that it keeps media on this disk, which no deploy wipes.
    durable = ("cloudinary", "local") if is_loopback(deployment.target.base_url) else ("cloudinary",)
    answer.expect(storage in durable, expected=f"media storage {' or '.join(durable)}", came=f"{storage!r}")
