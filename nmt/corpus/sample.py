"""Where the bundled sample corpus lies."""

from pathlib import Path


def sample_dir() -> Path:
    """Folder of the sample corpora: `nmt/sample_data` once installed, `data` in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "sample_data"
    return installed if installed.is_dir() else package.parent / "data"
