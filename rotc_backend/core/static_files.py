from typing import Any

from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage, compressing with gzip alone.

    Brotli at its full strength took 47 s of CPU for the interactive API reference, in each of the four builds of a
    deployment; Render's edge compresses with Brotli towards browsers anyway.
    """

    def create_compressor(self, **options: Any) -> Compressor:
        return super().create_compressor(**options, use_brotli=False)
