"""The routes: health, readiness, metrics, and the page."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse, JSONResponse

from clusterwatch import __version__, resources
from clusterwatch.api.gathering import gather
from clusterwatch.api.gauges import Gauges
from clusterwatch.api.guard import SecurityHeaders
from clusterwatch.api.health import Health
from clusterwatch.api.page import present
from clusterwatch.api.rendering import page_html, trouble_html
from clusterwatch.errors import StoreError
from clusterwatch.metrics import CONTENT_TYPE, Metrics
from clusterwatch.seams import Clock
from clusterwatch.store import Store

log = structlog.get_logger(component="api")

_STATIC = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


def create_app(store: Store, metrics: Metrics, clock: Clock, health: Callable[[], Health]) -> FastAPI:
    """Return the application.

    Args:
        health: Tells whether the loops of this process come round; asked by /healthz and by the page.
    """
    # The interactive documentation would load its scripts from a CDN.
    app = FastAPI(title="ClusterWatch", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(SecurityHeaders)
    _add_probes(app, store, health)
    _add_metrics(app, metrics, Gauges(store, metrics, clock))
    _add_page(app, store, clock, health)
    _add_static(app)
    return app


def _add_probes(app: FastAPI, store: Store, health: Callable[[], Health]) -> None:
    @app.get("/healthz")
    def healthz() -> JSONResponse:
        """Tell whether the loops of this process come round: 200, or 503. Never touches the database."""
        told = health()
        return JSONResponse({"alive": told.alive, "details": dict(told.details)}, 200 if told.alive else 503)

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Tell whether the database answers and has the right schema: 200, or 503 with the problem."""
        try:
            store.check()
        except StoreError as error:
            return JSONResponse({"ready": False, "problem": str(error)}, 503)
        return JSONResponse({"ready": True, "problem": ""})


def _add_metrics(app: FastAPI, metrics: Metrics, gauges: Gauges) -> None:
    @app.get("/metrics", response_class=Response)
    def show_metrics() -> Response:
        """Return the metrics in the text format of Prometheus."""
        gauges.refresh()
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _add_page(app: FastAPI, store: Store, clock: Clock, health: Callable[[], Health]) -> None:
    @app.get("/", response_class=HTMLResponse)
    def page(refresh: bool = True) -> HTMLResponse:
        """Return the page for people; with refresh=0 it stays as it is."""
        try:
            now = clock.now()
            view = present(gather(store, now), health(), now)
        except StoreError as error:
            log.warning("page not readable from the database", error=str(error))
            return HTMLResponse(trouble_html(str(error)), 503)
        return HTMLResponse(page_html(view, refreshing=refresh))


def _add_static(app: FastAPI) -> None:
    for name, media_type in _STATIC.items():
        content = resources.page_template(name)
        app.get(f"/{name}", include_in_schema=False)(_giving(content, media_type))


def _giving(content: str, media_type: str) -> Callable[[], Response]:
    def give() -> Response:
        return Response(content, media_type=media_type)

    return give
