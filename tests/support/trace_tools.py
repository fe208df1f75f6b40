"""The tools for traces, as an installed package gives them: by an entry point."""

import pytest

_POINTS = "[clusterwatch.traces]\nbuiltin = simulators.trace.toolbox:TraceToolbox\n"


def install_trace_tools(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tools be found even where the package was installed before it had them."""
    info = folder / "trace_tools-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: trace-tools\nVersion: 0\n")
    (info / "entry_points.txt").write_text(_POINTS)
    monkeypatch.syspath_prepend(folder)
