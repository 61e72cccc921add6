"""What other apps do with pictures: say what they are for, keep what somebody sent, and give it up."""

from apps.pictures.services.keeping import picture_drop, picture_keep, picture_submit
from apps.pictures.services.retention import pictures_expire, pictures_resume
from apps.pictures.services.uses import Use, refusals_told_by, use_register

__all__ = [
    "Use",
    "picture_drop",
    "picture_keep",
    "picture_submit",
    "pictures_expire",
    "pictures_resume",
    "refusals_told_by",
    "use_register",
]
