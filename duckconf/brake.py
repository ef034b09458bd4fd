"""The brake for edits by hand: one that withdraws most apps waits until a person confirms it. Pure.

Withdrawals through the API are never braked: it writes how many apps the file has.
"""

from __future__ import annotations

from collections.abc import Collection

from duckconf.desired import Document

# An edit that withdraws fewer is taken at once, and so is one that withdraws at most half.
LEAST = 3
CONFIRM = "./inv confirm-edit"


def why_it_waits(document: Document, known: Collection[str]) -> str:
    """Why this version of the file may not be acted on without a word from a person; "" when it may.

    `known` are the apps that were declared before; empty when that is not known, and then the number that the API wrote
    into the file counts.
    """
    named = {*document.apps(), *(fault.name for fault in document.faults)} - {""}
    gone = sorted(set(known) - named) if known else []
    lost, before = (len(gone), len(known)) if known else ((document.sealed or 0) - len(named), document.sealed or 0)
    if lost < LEAST or 2 * lost <= before:
        return ""
    names = f" ({', '.join(gone[:5])}{', …' if len(gone) > 5 else ''})" if gone else ""
    return f"an edit by hand withdraws {lost} of {before} apps{names} and waits; to confirm it: {CONFIRM}; else put the rows back"


def is_by_api(document: Document, before: int) -> bool:
    """Whether the API wrote the file as it is, after the revision `before`."""
    return document.revision > before and document.sealed == len(document.apps())
