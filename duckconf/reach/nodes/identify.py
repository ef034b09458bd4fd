"""Asks a node which image one of its containers runs, or what it has under a name. It looks and never acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from duckconf import engine
from duckconf.actions import Pin
from duckconf.command import Runner
from duckconf.engine_output import require_ours
from duckconf.errors import DuckconfError, Unreadable
from duckconf.image import read_pin
from duckconf.pins import Question

Answered = Callable[[Union[Pin, None], Union[DuckconfError, None]], None]
"""Takes the image, None where the node has nothing of that, and the failure of a node that did not answer."""


def answer(question: Question, runner: Runner, done: Answered) -> None:
    """Ask, and hand over what was answered or the failure."""
    try:
        found = identify(question, runner)
    except DuckconfError as failure:
        done(None, failure)
    else:
        done(found, None)


def identify(question: Question, runner: Runner) -> Pin | None:
    """None when there is no such container or image. Raises NodeFailure."""
    image = question.image
    if question.container:
        done = runner.run(engine.image_of(question.container))
        require_ours(question.node, done)
        if not done.ok:
            return None
        image = done.stdout.strip()
    described = runner.run(engine.describe_image(image))
    require_ours(question.node, described)
    try:
        return read_pin(question.node, described)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Unreadable(question.node, f"the engine's description of an image cannot be read: {error}") from error
