"""Views to HTML. Everything is escaped; a name that a template misspells is an error."""

from __future__ import annotations

from jinja2 import Environment, FunctionLoader, StrictUndefined

from clusterwatch import resources
from clusterwatch.api.views import PageView

REFRESH_SECONDS = 10

_templates = Environment(
    loader=FunctionLoader(resources.page_template),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page_html(view: PageView, *, refreshing: bool = True) -> str:
    """Return the page as HTML; *refreshing*: the browser loads it anew every ten seconds."""
    return _templates.get_template("page.html").render(page=view, refresh=REFRESH_SECONDS if refreshing else 0)


def trouble_html(problem: str) -> str:
    """Return the page that says why there is none, in the words of *problem*."""
    return _templates.get_template("trouble.html").render(problem=problem, refresh=REFRESH_SECONDS)
