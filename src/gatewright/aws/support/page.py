"""The support table as a page: `docs/alb-support.md`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gatewright.aws.support.differences import DIFFERENCES
from gatewright.aws.support.table import KINDS, rows_of

_INTRODUCTION: Final = """\
# What ALBs and NLBs can do of the Gateway API

This page is printed from the table that the translation itself takes its messages from
(`python -m gatewright.aws.support > docs/alb-support.md`), so the two can't disagree. What isn't supported is said in
the status of the object before anything changes in AWS: the field, what was found, why not, and what to use instead.

A field covers those within it, unless they have rows of their own. Where a field is served in some cases only, the rows
below it name the cases."""


def page() -> str:
    """The page, with a newline at its end."""
    lines = (_INTRODUCTION, *_sections(), *_differences())
    return "\n".join((*lines, "", *_references())) + "\n"


def _sections() -> Iterator[str]:
    for kind in KINDS:
        rows = rows_of(kind)
        shows_type = len({row.on for row in rows}) > 1
        yield f"\n## {kind}\n"
        if not shows_type:
            yield f"Of {' and '.join(f'{on}s' for on in rows[0].on)}.\n"
        columns = ["field", *(["on"] if shows_type else []), "supported", "what becomes of it, or why not", "instead"]
        yield from _head(columns)
        for row in rows:
            cells = [f"`{row.field}`" + (f": {row.case}" if row.case else "")]
            cells += [", ".join(row.on)] if shows_type else []
            yield _line([*cells, row.support, row.note + _reference(row.document), row.instead])


def _differences() -> Iterator[str]:
    yield "\n## Where an ALB answers otherwise than Envoy\n"
    yield "Nothing of this is refused; it is how the two differ for the same objects.\n"
    yield from _head(["what", "ALB", "Envoy"])
    for each in DIFFERENCES:
        yield _line([each.what + _reference(each.document), each.load_balancer, each.envoy])


def _references() -> Iterator[str]:
    """The addresses of the documents, once each."""
    documents = {row.document for kind in KINDS for row in rows_of(kind)} | {each.document for each in DIFFERENCES}
    for document in sorted(documents - {""}):
        yield f"[{_name(document)}]: {document}"


def _reference(document: str) -> str:
    return f" ([AWS][{_name(document)}])" if document else ""


def _name(document: str) -> str:
    """How the page names a document: as AWS names its file; those of NLBs have the same names as ALBs'."""
    place, _, file = document.rpartition("/")
    return ("nlb-" if place.endswith("/network") else "") + file.replace(".html", "")


def _head(columns: Iterable[str]) -> Iterator[str]:
    names = list(columns)
    yield _line(names)
    yield _line(["---"] * len(names))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("|  |", "| |")
