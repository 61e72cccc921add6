from dataclasses import dataclass

from core.messages import Job


@dataclass(frozen=True, kw_only=True)
class PictureProcess(Job):
    """Let the worker write a picture anew that somebody sent, and put it in its place."""

    task = "pictures.picture_process"

    picture_id: int
