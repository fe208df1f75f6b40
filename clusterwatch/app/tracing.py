"""The tools for trace files, wherever they are installed."""

from __future__ import annotations

from clusterwatch import plugins
from clusterwatch.errors import ClusterWatchError
from clusterwatch.seams import TraceTools

_TOOLS = "builtin"


def trace_tools() -> TraceTools:
    """Return the tools for trace files.

    Raises:
        ClusterWatchError: They are not installed.
    """
    found = {plugin.name: plugin.load for plugin in plugins.find(plugins.TRACES)}
    if _TOOLS not in found:
        raise ClusterWatchError("the tools for traces are not installed: reinstall ClusterWatch")
    tools: TraceTools = found[_TOOLS]()()
    return tools
