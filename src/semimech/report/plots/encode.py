"""From a figure to the address of an image that holds its own data."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
from matplotlib.figure import Figure

_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "semimech"}


def svg(figure: Figure) -> str:
    """The figure as an SVG document; the same figure always gives the same text."""
    stream = io.StringIO()
    with mpl.rc_context(_SETTINGS):
        figure.savefig(stream, format="svg", dpi=200, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def data_uri(figure: Figure) -> str:
    """The figure as a ``data:`` address for the ``src`` of an image."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg(figure).encode()).decode("ascii")
