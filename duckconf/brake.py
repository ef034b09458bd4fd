"""The brake for edits by hand: one that withdraws most apps waits until a person confirms it. Pure.

Withdrawals through the API are never braked: it writes how many apps the file has.
"""

from __future__ import annotations

from collections.abc import Collection

from duckconf.desired import Document

# An edit that withdraws fewer is taken at once, and so is one that withdraws at most half.
LEAST = 3
CONFIRM = "./inv confirm-edit"
# Added to the file's name: the state before an edit that waits.
BEFORE_EDIT = ".before-edit"


def why_it_waits(name: str, document: Document, known: Collection[str]) -> str:
    """Why this version of the file `name` may not be acted on without a word from a person; "" when it may.

    `known` are the apps that were declared before; empty when that is not known, and then the number that the API wrote
    into the file counts.
    """
    named = {*document.apps(), *(fault.name for fault in document.faults)} - {""}
    gone = sorted(set(known) - named) if known else []
    lost, before = (len(gone), len(known)) if known else ((document.sealed or 0) - len(named), document.sealed or 0)
    if lost < LEAST or 2 * lost <= before:
        return ""
    shown = f" ({', '.join(gone[:5])}{', …' if len(gone) > 5 else ''})" if gone else ""
    undo = f"to undo it: put the rows back, as in {name}{BEFORE_EDIT}"
    return f"{name}: an edit by hand withdraws {lost} of {before} apps{shown} and waits; to confirm it: {CONFIRM}; {undo}"


def mended(faults: Collection[str]) -> str:
    """The sentence for faults of the setpoint that are gone."""
    if all(CONFIRM in fault for fault in faults):
        return "no edit of the desired state waits any more: it was confirmed or undone"
    of_inventory = [fault.startswith("inventory:") for fault in faults]
    what = (
        "the inventory"
        if all(of_inventory)
        else "the desired state and the inventory"
        if any(of_inventory)
        else "the desired state"
    )
    return f"{what} can be read again"


def is_by_api(document: Document, before: int) -> bool:
    """Whether the API wrote the file as it is, after the revision `before`."""
    return document.revision > before and document.sealed == len(document.apps())
