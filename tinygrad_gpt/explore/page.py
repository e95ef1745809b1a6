"""The page: one HTML file with the data, our scripts and the libraries in it, which asks no network for anything.

Layout of the graph is dagre's, which the package netron carries as one file; plots are Plotly's. Both are read from the
installed packages when a page is written.
"""

import json
import re
import string
from pathlib import Path

from tinygrad_gpt.explore.extra import package_file

FOLDER = Path(__file__).parent / "page"
SCRIPTS = ("data", "fold", "layout", "graph", "heatmap", "details", "attention", "training", "whatif", "main")


def render(data: dict) -> str:
    """The whole page for `data`."""
    template = string.Template((FOLDER / "index.html").read_text("utf-8"))
    ours = [(FOLDER / f"{name}.js").read_text("utf-8") for name in SCRIPTS]
    scripts = [_dagre(), package_file("plotly", "package_data/plotly.min.js"), *ours]
    return template.substitute(
        title=data["title"],
        styles=(FOLDER / "style.css").read_text("utf-8"),
        data=as_json(data).replace("<", "\\u003c"),  # no tag can end the script that holds it
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def as_json(data: dict) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _dagre() -> str:
    """netron's dagre.js, a module that makes `dagre` and exports it, as a plain script."""
    return re.sub(r"^export .*$", "", package_file("netron", "dagre.js"), flags=re.MULTILINE)
