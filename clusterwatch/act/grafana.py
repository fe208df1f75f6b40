"""Boards into a Grafana: the one place that knows how it is spoken to.

1. A board is known by its uid. One of that uid without our tag is somebody else's and stays, unless forced.
2. Nothing is written over a version that was not looked at: Grafana refuses that (412) and so do we.
3. The token appears in no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from clusterwatch.errors import ClusterWatchError
from clusterwatch.reading.text import printable

FOLDER_UID = "clusterwatch"
FOLDER_TITLE = "ClusterWatch"
TAG = "clusterwatch"

Board = Mapping[str, Any]

_GIVEN_BY_GRAFANA = frozenset({"id", "version"})
_NOT_FOUND = 404
_MESSAGE_LIMIT = 300

_ADVICE = {
    400: "Grafana at {url} does not take it: {said}",
    401: "Grafana at {url} does not accept the token: make a service account with the role Editor and a token for it"
    " (Administration, Users and access, Service accounts)",
    403: "Grafana at {url} does not let this token do that: give its service account the role Editor ({said})",
    404: "nothing of Grafana's API answers at {url}: is the URL complete, with the sub-path if there is one?",
    412: "somebody changed the board on {url} at the same time: look at it, then push again ({said})",
}


class GrafanaError(ClusterWatchError):
    """Grafana said no. *status* is its HTTP status; 0 where it did not answer, or not like Grafana."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class GrafanaUnreachableError(GrafanaError):
    """Grafana did not answer."""


class Fate(StrEnum):
    """What becomes of a board."""

    CREATE = "create"
    UPDATE = "update"
    OVERWRITE = "overwrite"
    UNCHANGED = "unchanged"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a board, or would become of it in a dry run, with the reason where there is something to say."""

    uid: str
    title: str
    fate: Fate
    reason: str = ""


class BoardServer(Protocol):
    """What boards are pushed to."""

    def has_folder(self, uid: str) -> bool:
        """Return whether there is a folder of that uid."""
        ...

    def create_folder(self, uid: str, title: str) -> None:
        """Create a folder."""
        ...

    def board(self, uid: str) -> Board | None:
        """Return the board of that uid as it stands there; None if there is none."""
        ...

    def save(self, board: Board, folder_uid: str, *, overwrite: bool) -> None:
        """Write a board; without *overwrite* only over the version that it names."""
        ...


def push(server: BoardServer, board: Board, *, force: bool = False, dry_run: bool = False) -> Pushed:
    """Write *board* to *server*, in our folder, and return what became of it.

    Args:
        force: Also over somebody else's board of that uid, and over changes made meanwhile.
        dry_run: Write nothing.

    Raises:
        GrafanaError: Grafana said no, or did not answer.
    """
    standing = server.board(board["uid"])
    fate, reason = fate_of(board, standing, force=force)
    if not dry_run and fate not in (Fate.UNCHANGED, Fate.REFUSE):
        if not server.has_folder(FOLDER_UID):
            server.create_folder(FOLDER_UID, FOLDER_TITLE)
        version = {"version": standing["version"]} if standing and "version" in standing else {}
        server.save({**board, **version}, FOLDER_UID, overwrite=force)
    return Pushed(board["uid"], board["title"], fate, reason)


def fate_of(board: Board, standing: Board | None, *, force: bool = False) -> tuple[Fate, str]:
    """Return what should become of *board* where *standing* is there already, and why."""
    if standing is None:
        return Fate.CREATE, ""
    if TAG not in (standing.get("tags") or ()):
        title = printable(str(standing.get("title", "")), _MESSAGE_LIMIT)
        whose = f'"{title}" has this uid and not the tag {TAG!r}: it is not ours'
        return (Fate.OVERWRITE, whose) if force else (Fate.REFUSE, f"{whose}; --force replaces it")
    if _own_part(standing) == _own_part(board):
        return Fate.UNCHANGED, ""
    return Fate.UPDATE, ""


class Grafana:
    """A Grafana server, spoken to through the grafana-client library.

    Raises:
        ClusterWatchError: When built: the library is not installed, or URL or token cannot be ones. From each method
            a GrafanaError.
    """

    def __init__(self, url: str, token: str, timeout_seconds: float = 10.0) -> None:
        self.url = _checked_url(url)
        self._token = _checked_token(token)
        with _library():
            from grafana_client.api import GrafanaApi

            # The library joins the path and "api" without a slash between them.
            self._api: Any = GrafanaApi.from_url(f"{self.url}/", credential=self._token, timeout=timeout_seconds)

    def version(self) -> str:
        """Return the version it says it has; "" if it says none."""
        # The library's own check reads settings that need a login, and stumbles over a page that is not JSON.
        told = self._asked(lambda: self._api.client.GET("/health"))
        return str(told.get("version", ""))

    def has_folder(self, uid: str) -> bool:
        """Return whether there is a folder of that uid."""
        return self._found(lambda: self._api.folder.get_folder(uid)) is not None

    def create_folder(self, uid: str, title: str) -> None:
        """Create a folder."""
        self._asked(lambda: self._api.folder.create_folder(title, uid))

    def board(self, uid: str) -> Board | None:
        """Return the board of that uid as it stands there; None if there is none."""
        found = self._found(lambda: self._api.dashboard.get_dashboard(uid))
        if found is None:
            return None
        board: Board = found.get("dashboard", {})
        return board

    def save(self, board: Board, folder_uid: str, *, overwrite: bool) -> None:
        """Write a board; without *overwrite* only over the version that it names."""
        body = {
            "dashboard": dict(board),
            "folderUid": folder_uid,
            "overwrite": overwrite,
            "message": "clusterwatch push",
        }
        self._asked(lambda: self._api.dashboard.update_dashboard(body))

    def _found(self, ask: Callable[[], Any]) -> Mapping[str, Any] | None:
        try:
            return self._asked(ask)
        except GrafanaError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _asked(self, ask: Callable[[], Any]) -> Mapping[str, Any]:
        with self._plain_errors():
            answer = ask()
        if not isinstance(answer, Mapping):
            raise GrafanaError(self._not_grafana())
        return answer

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        from grafana_client.client import GrafanaException, GrafanaTimeoutError
        from niquests.exceptions import JSONDecodeError, RequestException

        try:
            yield
        except JSONDecodeError as error:
            raise GrafanaError(self._not_grafana()) from error
        except GrafanaTimeoutError as error:
            raise GrafanaUnreachableError(f"Grafana at {self.url} does not answer in time: try again later") from error
        except GrafanaException as error:
            raise GrafanaError(self._words(error.status_code, str(error.message)), error.status_code) from error
        # The library lets a refused connection, an unknown name or a bad certificate through as they come.
        except RequestException as error:
            raise GrafanaUnreachableError(
                f"nothing answers at {self.url}: is the URL right and Grafana running? ({self._safe(_reason(error))})"
            ) from error

    def _words(self, status: int, said: str) -> str:
        words = _ADVICE.get(status, "Grafana at {url} failed: look at its log, then try again ({said})")
        return words.format(url=self.url, said=self._safe(said))

    def _not_grafana(self) -> str:
        return f"what answers at {self.url} is not Grafana's API: is a login page or a proxy in between?"

    def _safe(self, said: str) -> str:
        return printable(said.replace(self._token, "***"), _MESSAGE_LIMIT)


def _reason(error: Exception) -> str:
    """Return the last of the nested reasons: "[Errno 111] Connection refused"."""
    if "resolve" in str(error):
        return "the host name is unknown"
    return str(error).rpartition(": ")[2].strip("')\" ")


def _own_part(board: Board) -> dict[str, Any]:
    return {name: value for name, value in board.items() if name not in _GIVEN_BY_GRAFANA}


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ClusterWatchError(
            "the URL of Grafana begins with http:// or https://, such as https://grafana.example.org"
        )
    # A password in the URL would be shown in every message; the token is all that is used.
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def _checked_token(token: str) -> str:
    stripped = token.strip()
    if not stripped or not stripped.isascii() or any(not letter.isprintable() or letter == " " for letter in stripped):
        raise ClusterWatchError("the token is empty or holds characters that no token has: copy it again")
    return stripped


@contextmanager
def _library() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ClusterWatchError("Grafana's client is not installed: pip install 'clusterwatch[grafana]'") from error
