"""Parse a report into sections, tables and images, for its tests."""

from __future__ import annotations

import re
from html.parser import HTMLParser

DAYS = 100
TRAINED = "2021-04-01 to 2021-05-10"
AFTER = slice("2021-05-11", None)
SECTIONS = ["summary", "maps", "scores", "uncertainty", "weights", "series", "gaps", "soil", "provenance"]


class Tables(HTMLParser):
    """Rows of all tables of a page as text, images as attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True
        elif tag == "img":
            self.images.append(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.tables[-1][-1][-1] += data

    def rows(self, *starts: str) -> list[list[str]]:
        """Rows that begin so, means without their intervals."""
        plain = [[cell.partition("\xa0±")[0] for cell in row] for table in self.tables for row in table]
        return [row for row in plain if tuple(row[: len(starts)]) == starts]


def sections(text: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', text)


def absent(text: str) -> list[str]:
    return re.findall(r'<p class="absent">Not here: (.*?)</p>', text)


def shown(values: list[float], forms: tuple[str, ...] = (".2f", ".3f", "+.3f", ".3f")) -> list[str]:
    return [format(v, f).replace("-", "\u2212") for v, f in zip(values, forms, strict=True)]
