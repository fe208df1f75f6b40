"""Where the time goes, as a picture: a bar for each policy and change, split by what was lost.

SVG is written here; a PNG is the same picture drawn by matplotlib, which is an extra of the package.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec

from clusterwatch.errors import ClusterWatchError, ConfigError, Mistake
from clusterwatch.seams import Answer, Estimate

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _BAR = 960, 250, 90, 84, 34, 20

# Paul Tol's muted scheme, told apart by people who see few colours: https://personal.sron.nl/~pault/
_COLOURS = {
    "checkpoint": "#88ccee",
    "straggler": "#dddddd",
    "recompute": "#332288",
    "detect": "#cc6677",
    "hang": "#882255",
    "decide": "#ddcc77",
    "reschedule": "#117733",
    "start": "#44aa99",
    "restore": "#999933",
    "planned": "#aa4499",
}


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class _Words:
    x: float
    y: float
    text: str
    size: int = 13
    anchor: str = "start"


_Shapes = tuple[list[_Box], list[_Words], float]


def picture(answer: Answer, suffix: str) -> bytes:
    """Return the picture of *answer* in the format that the file's *suffix* names.

    Raises:
        ConfigError: It names neither SVG nor PNG.
        ClusterWatchError: A PNG is asked for and matplotlib is not installed.
    """
    require_drawable(suffix)
    return _FORMATS[suffix.lower()](_shapes(answer))


def require_drawable(suffix: str) -> None:
    """Return when a picture of this kind can be drawn here: to be asked before anything takes long.

    Raises:
        ConfigError: *suffix* names neither SVG nor PNG.
        ClusterWatchError: A PNG is asked for and matplotlib is not installed.
    """
    if suffix.lower() not in _FORMATS:
        raise ConfigError("--plot", [Mistake(suffix or "no suffix", "expected a file that ends in .svg or .png")])
    if suffix.lower() == ".png" and find_spec("matplotlib") is None:
        raise ClusterWatchError(
            'a PNG needs matplotlib: pip install "clusterwatch[plots]", or name a file that ends in .svg'
        )


def _shapes(answer: Answer) -> _Shapes:
    """Return boxes and words in pixels from the top left, and the height of the picture."""
    estimates = (*answer.policies, *answer.changes)
    widest = max(1.0 - each.ettr.mean for each in estimates) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / widest
    boxes: list[_Box] = []
    words = [_Words(16, 28, f"Time lost, of {answer.settings['days']:g} days of {answer.settings['gpus']:,} GPUs", 16)]
    _legend(boxes, words)
    for number, each in enumerate(estimates):
        y = _TOP + number * _ROW
        words.append(_Words(_LEFT - 10, y + 15, each.title if each in answer.policies else each.label, 13, "end"))
        end = _bar(boxes, each, y, scale)
        words.append(_Words(end + 8, y + 15, f"{1.0 - each.ettr.mean:.2%}"))
    return boxes, words, _TOP + len(estimates) * _ROW + 16


def _bar(boxes: list[_Box], estimate: Estimate, y: float, scale: float) -> float:
    x, lost = float(_LEFT), sum(estimate.lost_gpu_hours_by_reason.values())
    for reason, hours in estimate.lost_gpu_hours_by_reason.items():
        width = scale * (1.0 - estimate.ettr.mean) * hours / lost if lost else 0.0
        boxes.append(_Box(x, y, width, _BAR, _COLOURS[reason]))
        x += width
    return x


def _legend(boxes: list[_Box], words: list[_Words]) -> None:
    for number, (reason, colour) in enumerate(_COLOURS.items()):
        x = 16 + number * 93
        boxes.append(_Box(x, 46, 12, 12, colour))
        words.append(_Words(x + 17, 57, reason, 12))


def _svg(shapes: _Shapes) -> bytes:
    boxes, words, height = shapes
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height:.0f}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
        *(
            f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height}" fill="{box.colour}"/>'
            for box in boxes
        ),
        *(
            f'<text x="{each.x:.1f}" y="{each.y:.1f}" font-size="{each.size}" text-anchor="{each.anchor}">'
            f"{escape(each.text)}</text>"
            for each in words
        ),
        "</svg>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _png(shapes: _Shapes) -> bytes:
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    boxes, words, height = shapes
    figure = Figure(figsize=(_WIDTH / 100, height / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height, 0)
    for box in boxes:
        axes.add_patch(Rectangle((box.x, box.y), box.width, box.height, facecolor=box.colour))
    for each in words:
        side = "right" if each.anchor == "end" else "left"
        axes.text(each.x, each.y, each.text.replace("$", r"\$"), fontsize=each.size * 0.72, ha=side)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


_FORMATS: dict[str, Callable[[_Shapes], bytes]] = {".svg": _svg, ".png": _png}
