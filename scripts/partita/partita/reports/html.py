# SPDX-License-Identifier: BSD-3-Clause
"""A report as one HTML file that loads nothing: styles, pictures and Plotly's JavaScript are inside."""

import base64
import re
from functools import cache
from typing import TYPE_CHECKING

from partita.reports.blocks import Chart, Report

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "report.html.j2"


def to_html(report: Report) -> str:
    """The file's text; the same report gives the same bytes."""
    from plotly.offline import get_plotlyjs

    charts = any(isinstance(b, Chart) for s in report.sections for b in s.blocks)
    # The element of a script ends at its first "</script", wherever that stands: JavaScript reads "<\/" the same.
    plotly = re.sub(r"</(?=script)", r"<\\/", get_plotlyjs(), flags=re.IGNORECASE) if charts else ""
    text = _environment().get_template(TEMPLATE).render(report=report, anchors=anchors(report), plotly=plotly)
    return text if text.endswith("\n") else f"{text}\n"


def anchors(report: Report) -> list[str]:
    """A name for each section that a link can lead to: letters and digits, none twice."""
    found: list[str] = []
    for section in report.sections:
        base = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        name, number = base, 2
        while name in found:
            name, number = f"{base}-{number}", number + 1
        found.append(name)
    return found


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    made = Environment(
        loader=PackageLoader("partita.reports"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["base64"] = lambda content: base64.b64encode(content).decode("ascii")
    return made
