# SPDX-License-Identifier: BSD-3-Clause
"""The report's file: nothing is loaded, nothing of a record becomes markup, the same records give the same bytes."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from partita.reports import html, markdown
from partita.reports.blocks import Bullets, Chart, Commands, Drawing, Paragraph, Report, Section, plain_grid
from synthetic import Synthetic

Call = Callable[..., tuple[int, str, str]]
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data",
         "embed": "src", "video": "src", "audio": "src", "use": "href", "image": "href", "base": "href"}  # fmt: skip
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.styles, self.ids, self.links, self._in = "", [], [], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        self._in = tag
        if given.get("id"):
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in == "style":
            self.styles += data

    def loaded(self) -> list[str]:
        """All that elements would fetch."""
        return [given[LOADS[tag]] or "" for tag, given in self.tags if tag in LOADS and LOADS[tag] in given]


def report(text: str = "x", figure: dict | None = None) -> Report:
    figure = figure or {"data": [{"type": "scatter", "x": [1], "y": [2], "name": text}], "layout": {}}
    blocks = (
        Paragraph(text), Bullets((text,), "warning"), plain_grid("t", text, ("a", "b"), [(text, "1")], text),
        Chart("c", text, figure, 300, text, text), Drawing("d", text, b"<svg/>"), Commands(((text, text),)),
    )  # fmt: skip
    return Report(text, text, (Section(text, blocks), Section(text, ())))


def test_nothing_is_loaded() -> None:
    page = Page(html.to_html(report()))
    assert [link for link in page.loaded() if not link.startswith("data:image/svg+xml;base64,")] == []
    assert "url(" not in page.styles and "@import" not in page.styles
    (policy,) = (g["content"] for tag, g in page.tags if tag == "meta" and "http-equiv" in g)
    assert policy.startswith("default-src 'none'") and "http" not in policy


def test_plotly_is_there_once_and_only_for_charts() -> None:
    text = html.to_html(report())
    assert text.count("plotly.js v") == 1 and len(text) > 4_000_000
    assert len(html.to_html(Report("a", "b", (Section("c", (Paragraph("d"),)),)))) < 20_000


@pytest.mark.parametrize("evil", [EVIL, '"><img src=x onerror=alert(1)>', f"</script>{EVIL}", "{{ 7 * 7 }}"])
def test_texts_are_never_markup(evil: str) -> None:
    page, plain = Page(html.to_html(report(evil))), Page(html.to_html(report()))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert "<script>alert" not in html.to_html(report(evil)) and "49" not in html.anchors(report(evil))


def test_names_in_a_record_are_never_markup(tmp_path: Path, partita: Call) -> None:
    Synthetic(study=EVIL, point=f"{EVIL}-r1", allreduce="a").write(tmp_path / "a.h5")
    Synthetic(study=EVIL, point="b-r1", allreduce="<b>", ranks=2, strategy=EVIL).write(tmp_path / "b.h5")
    (tmp_path / "<img src=x>.h5").write_bytes(b"")
    code, _, err = partita("report", tmp_path, "-o", tmp_path / "out" / "a.html")
    assert (code, err) == (0, "")
    text = (tmp_path / "out" / "a.html").read_text()
    assert "<script>alert" not in text and "<img src=x>" not in text and "&lt;script&gt;alert" in text


def test_every_link_leads_somewhere_and_ids_differ() -> None:
    page = Page(html.to_html(report("Same title")))
    assert len(page.ids) == len(set(page.ids)) and len(page.links) == 2
    assert all(link[1:] in page.ids for link in page.links)


def test_a_number_that_is_not_known_is_no_json_error() -> None:
    text = html.to_html(report(figure={"data": [{"x": [None], "y": [1.0]}], "layout": {}}))
    (data,) = re.findall(r'data-chart="chart-1">(.*?)</script>', text)
    assert "NaN" not in data and "null" in data


def test_same_records_same_bytes(tmp_path: Path, partita: Call) -> None:
    for ranks in (1, 2):
        Synthetic(ranks=ranks, point=f"np{ranks}-r1").write(tmp_path / f"np{ranks}.h5")
    texts = []
    for name in ("one", "two"):
        assert partita("report", tmp_path, "-o", tmp_path / "out" / f"{name}.html", "--markdown")[0] == 0
        texts.append([(tmp_path / "out" / f"{name}.{kind}").read_bytes() for kind in ("html", "md")])
    assert texts[0] == texts[1]


def test_markdown_has_the_tables_and_escapes() -> None:
    text = markdown.to_markdown(report("a|b *c* <d>"))
    assert r"a\|b \*c\* \<d\>" in text and "| ---: |" in text
    assert "    a|b *c* <d>" in text.splitlines()  # A command is code: as it is.
    assert "**Warning:**" not in text and text.count("\n# ") == 0 and text.startswith("# ")


def test_narrow_figures_stand_one_below_the_other() -> None:
    from partita.reports import plotly

    made, height = plotly.figure([(0, {"type": "scatter"}), (1, {"type": "scatter"})], [{}, {}], legend=["a", "b"])
    wide, narrow = made["layout"], made["narrow"]["layout"]
    assert wide["xaxis2"]["domain"][0] > wide["xaxis"]["domain"][1] and narrow["xaxis2"]["domain"] == [0, 1]
    assert narrow["yaxis2"]["domain"][1] < narrow["yaxis"]["domain"][0] and made["narrow"]["height"] > height
