"""A what-if question to whoever can answer it, and the file that a question may bring."""

from __future__ import annotations

from pathlib import Path

from clusterwatch import plugins
from clusterwatch.errors import ClusterWatchError, SourceError
from clusterwatch.seams import Estimator

_GROUP, _NAME = "clusterwatch.estimators", "what_if"


def estimator() -> Estimator:
    """Return the estimator that is installed.

    Raises:
        ClusterWatchError: There is none, or it cannot be loaded.
    """
    loaded, errors = plugins.load_all(_GROUP)
    for plugin in loaded:
        if plugin.name == _NAME:
            found: Estimator = plugin.target()
            return found
    reason = f" ({errors[0]})" if errors else ""
    raise ClusterWatchError(f"the estimator {_NAME!r} is not installed{reason}: reinstall ClusterWatch") from (
        errors[0] if errors else None
    )


def text_of(path: Path | None) -> str:
    """Return the text of the file at *path*; "" for None.

    Raises:
        SourceError: It cannot be read, or is empty.
    """
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    if not text.strip():
        raise SourceError(f"{path} is empty")
    return text
