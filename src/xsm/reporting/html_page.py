"""A page of headings, figures, tables and folds as one HTML file without scripts or external resources."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
import xarray as xr

from xsm import atomic
from xsm.data.grids import grid_of
from xsm.reporting.score_tables import Cell, Table
from xsm.reporting.theme import DOUBLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = "figures"
"""Folder beside the page with its figures and their data."""
KINDS: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Formats of the figures, and what is left out so that the same figure is the same file."""
MOST_ROWS = 200_000
"""Most rows of a table of data beside a figure; of more, every second, third, ... is written."""
DASH, MINUS, NO_BREAK = "\u2013", "\u2212", "\u00a0"


class Drawing(NamedTuple):
    """A figure, its alternative text, and the data that it shows."""

    figure: Figure
    alt: str
    data: pd.DataFrame | xr.DataArray


def note(page: Path, text: str) -> None:
    """Put a note on top of a page that was written before, once."""
    html, banner = page.read_text(encoding="utf-8"), f'<p class="banner">{escape(text)}</p>'
    if banner not in html:
        with atomic.fresh(page, overwrite=True) as part:
            part.write_text(html.replace("<main>", f"<main>{banner}", 1), encoding="utf-8")


class Page:
    """Sections of a report in their order, its numbered figures and tables, and the files beside it.

    ``files`` are the figures as PNG, SVG and PDF and their data as CSV, under names that begin with ``stem``.
    """

    def __init__(self, title: str, lead: str, stem: str = "report", links: Mapping[str, str] | None = None) -> None:
        self.title, self.lead, self.stem, self.links = title, lead, stem, links or {}
        self.sections: list[tuple[str, str, list[str]]] = []
        self.files: dict[str, bytes] = {}
        self._figures = self._tables = 0

    def section(self, key: str, title: str) -> None:
        """Begin a section."""
        self.sections.append((key, title, []))

    def add(self, html: str) -> None:
        """Add ready HTML to the section."""
        self.sections[-1][2].append(html)

    def text(self, text: str, kind: str = "") -> None:
        """Add a paragraph."""
        self.add(f"<p{_class(kind)}>{_prose(text)}</p>")

    def absent(self, reason: str) -> None:
        """Say in one line why there is nothing here."""
        self.text(f"Not here: {reason}", "absent")

    def panels(self, drawings: dict[str, Drawing], caption: str, *, columns: str = "two") -> None:
        """Add small figures side by side, by the names of their files; they share number and caption."""
        self._figures += 1
        images = "".join(f"<div>{self._image(name, *one)}</div>" for name, one in drawings.items())
        count = "one" if len(drawings) == 1 else columns
        self.add(f'<figure><div class="panels {count}">{images}</div>{self._caption(caption)}</figure>')

    def wide(self, name: str, drawing: Drawing, caption: str) -> None:
        """Add one figure at the size that it has beside one over two columns; on a telephone it scrolls."""
        self._figures += 1
        share = f"--share: {drawing.figure.get_figwidth() / DOUBLE:.2f}"
        image = f'<div class="scroll" tabindex="0" style="{share}">{self._image(name, *drawing)}</div>'
        self.add(f'<figure class="wide">{image}{self._caption(caption)}</figure>')

    def verdict(self, words: str, numbers: str) -> None:
        """Add a judgement and the numbers behind it."""
        self.add(f'<p class="verdict"><b>{_prose(words)}</b> {_prose(numbers)}</p>')

    def cards(self, cards: Sequence[tuple[str, str, str]]) -> None:
        """Add large numbers: the number, what it is, and what to compare it with."""
        shown = "".join(
            f"<div><b>{escape(number)}</b><span>{_prose(what)}</span><small>{_prose(beside)}</small></div>"
            for number, what, beside in cards
        )
        self.add(f'<div class="cards">{shown}</div>')

    def table(self, table: Table) -> None:
        """Add a numbered table."""
        self._tables += 1
        key = f"table-{self._tables}"
        caption = f'<figcaption id="{key}"><b>Table {self._tables}.</b> {_prose(table.caption)}</figcaption>'
        body = f'<div class="scroll" tabindex="0"><table aria-labelledby="{key}">{_body(table)}</table></div>'
        self.add(f'<figure class="table">{caption}{body}</figure>')

    def banner(self, what: str, *texts: str) -> None:
        """Add a prominent warning; several of one kind are folded into a list."""
        if len(texts) == 1:
            self.add(f'<div class="banner"><b>{escape(what)}</b> {escape(texts[0])}</div>')
        elif texts:
            items = "".join(f"<li>{escape(text)}</li>" for text in texts)
            summary = f"<b>{escape(what)}</b> {len(texts)} maps"
            self.add(f'<details class="banner"><summary>{summary}</summary><ul>{items}</ul></details>')

    def fold(self, summary: str, html: str) -> None:
        """Add something that is folded away."""
        self.add(f"<details><summary>{escape(summary)}</summary>{html}</details>")

    def pairs(self, pairs: dict[str, str]) -> None:
        """Add names and what they are."""
        self.add(f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{escape(v)}</dd>' for k, v in pairs.items())}</dl>")

    def html(self, footer: str) -> str:
        """Put the page together."""
        targets = [(f"#{key}", title) for key, title, _ in self.sections]
        targets += [(quote(file), f"{words} \u2192") for words, file in self.links.items()]
        links = "".join(f'<a href="{target}">{escape(words)}</a>' for target, words in targets)
        body = "".join(
            f'<section id="{key}"><h2>{escape(title)}</h2>{"".join(parts)}</section>'
            for key, title, parts in self.sections
        )
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_style()}</style></head><body>"
            f'<header><div><h1>{escape(self.title)}</h1><div class="lead">{escape(self.lead)}</div><nav>{links}</nav>'
            f"</div></header><main>{body}<footer>{escape(footer)}</footer></main></body></html>\n"
        )

    def _image(self, name: str, figure: Figure, alt: str, data: pd.DataFrame | xr.DataArray) -> str:
        for kind, about in KINDS.items():
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, facecolor="white", metadata=about)
            self.files[f"{name}.{kind}"] = buffer.getvalue()
            figure.set_layout_engine("none")  # laid out once
        self.files[f"{name}.csv"] = csv_of(data).encode()
        image = base64.b64encode(self.files[f"{name}.png"]).decode()
        return f'<img src="data:image/png;base64,{image}" alt="{escape(alt)}">{self._links(name)}'

    def _caption(self, caption: str) -> str:
        return f"<figcaption><b>Figure {self._figures}.</b> {_prose(caption)}</figcaption>"

    def _links(self, name: str) -> str:
        """Links to the files of a figure beside the page."""
        links = (
            f'<a href="{FOLDER}/{quote(f"{self.stem}_{name}.{kind}")}">{kind.upper()}</a>'
            for kind in ("csv", "svg", "pdf")
        )
        return f'<div class="files">{" ".join(links)}</div>'


def frame_by(name: str, index: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """A table of data of a figure."""
    return pd.DataFrame({name: index, **columns})


def csv_of(data: pd.DataFrame | xr.DataArray) -> str:
    """Data of a figure as CSV: a map as one row for each cell with a value, with its longitude and latitude."""
    if isinstance(data, xr.DataArray):
        grid = grid_of(data.to_dataset(name="value"))
        if grid is not None:
            data = data.assign_coords(lat=("y", grid.lat), lon=("x", grid.lon))
        plain = data.drop_vars([n for n in data.coords if n not in (*data.dims, "lat", "lon")])
        data = plain.to_dataframe(name=str(data.name or "value")).dropna().reset_index()
    rows = data.iloc[:: max(1, -(-len(data) // MOST_ROWS))]
    return rows.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def plain_table(table: Table) -> str:
    """A table without number and caption."""
    return f'<div class="scroll" tabindex="0"><table class="prose">{_body(table)}</table></div>'


def _body(table: Table) -> str:
    forms = [form for _, _, form in table.columns]
    kinds = ["number" if form else "" for form in forms]
    labels = [", ".join(filter(None, (name, unit.replace(" ", NO_BREAK)))) for name, unit, _ in table.columns]
    head = "".join(
        f'<th scope="col"{_class(kind)}>{escape(name)}{f"<span class=unit>{escape(unit)}</span>" if unit else ""}</th>'
        for (name, unit, _), kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(
            f'<td{_class(kind)} data-label="{escape(label)}">{escape(show(value, form))}</td>'
            for value, label, form, kind in zip(row, labels, forms, kinds, strict=True)
        ) + "</tr>" for row in table.rows
    )  # fmt: skip
    return f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"


def show(value: Cell, form: str) -> str:
    """A value as the tables show it, with half its interval; a dash where there is none, a true minus sign."""
    if isinstance(value, tuple):
        half = "" if math.isnan(value[1]) else f" ± {show(value[1], form.lstrip('+'))}"
        return show(value[0], form) + half.replace(" ", NO_BREAK)
    if isinstance(value, float) and math.isnan(value):
        return DASH
    return format(value, form).replace("-", MINUS) if form else str(value)


def _style() -> str:
    return (files("xsm") / "reporting" / "page.css").read_text(encoding="utf-8")


def _prose(text: str) -> str:
    return escape(text).replace(" %", "&nbsp;%")


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
