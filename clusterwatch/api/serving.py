"""An application to a port that answers, in a thread of this process."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterable

import uvicorn
from starlette.types import ASGIApp

from clusterwatch import resources
from clusterwatch.api.guard import HostGuard
from clusterwatch.errors import ClusterWatchError

_LAST_ANSWERS_SECONDS = 3
_BACKLOG = 128

_ADVICE = {
    errno.EADDRINUSE: "port {port} on {host} is taken: use --port or [server] port",
    errno.EACCES: "port {port} on {host} is not permitted to this user: use --port 8642 or another above 1023",
    errno.EADDRNOTAVAIL: "{host} is no address of this machine: use --host 127.0.0.1 or [server] host",
}


class Server:
    """An HTTP server that runs until it is stopped.

    Attributes:
        host: Address it listens on.
        port: Port it listens on; the real one where 0 was asked for.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        self.host, self.port = listening.getsockname()[:2]
        self._listening = listening
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                # Logging is set up once for the whole process, and a scrape every few seconds is no news.
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_LAST_ANSWERS_SECONDS,
            )
        )
        # uvicorn takes over signals only in the main thread: here it leaves them alone.
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, finish those under way within seconds, and return when the thread has ended."""
        self._server.should_exit = True
        self._thread.join(_LAST_ANSWERS_SECONDS + 5)
        self._listening.close()


def serve(app: ASGIApp, host: str, port: int, names: Iterable[str] = ()) -> Server:
    """Return a server of *app* that takes requests already.

    Args:
        port: 0 for any free one.
        names: Names under which it is reached, besides its address, localhost and the machine's name: a proxy's.

    Raises:
        ClusterWatchError: The port is taken, or the address is not this machine's.
    """
    listening = _listen(host, port)
    return Server(HostGuard(app, {host, resources.host_name(), *names}), listening)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "cannot listen on {host}, port {port}: {error}")
        raise ClusterWatchError(advice.format(host=host, port=port, error=error.strerror or error)) from error
