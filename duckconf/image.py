"""Images on their way to a node: which of them are the same, where an upload goes on, how far it is. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from duckconf.actions import Pin
from duckconf.command import Completed
from duckconf.engine_output import NO_ENGINE, NOT_EXECUTABLE, NOT_FOUND, engine_failure
from duckconf.errors import BadInput, Fault
from duckconf.model import parse_app
from duckconf.told_image import DIGEST

MEGA = 1_000_000
# Of images that were built on this machine, which no registry has.
LOCAL = "localhost/"


@dataclass(frozen=True)
class Part:
    """What a node has of an archive from an earlier push."""

    size: int = 0
    digest: str = ""


def check_name(image: str) -> str:
    """The image's name as the user typed it; raises BadInput for one under which nothing can arrive."""
    parse_app({"image": image})
    if "@" in image:
        remedy = "tag it and push that: an archive carries names and no digests"
        raise BadInput(Fault("image", f"{image} is named by its digest; {remedy}"))
    return image


def bare_id(text: str) -> str:
    """An image's id without what docker puts before it and podman does not."""
    return text.strip().removeprefix("sha256:")


def id_on_node(node: str, inspected: Completed) -> str:
    """The image's id there, "" when the node has none of that name; raises EngineUnavailable."""
    if inspected.ok:
        return bare_id(inspected.stdout)
    if inspected.code in (NOT_FOUND, NOT_EXECUTABLE) or NO_ENGINE.search(inspected.stderr):
        raise engine_failure(node, inspected)
    return ""


def read_pin(node: str, described: Completed) -> Pin | None:
    """The answer to `engine.describe_image`; None when the node has no such image. Raises EngineUnavailable, or ValueError,
    TypeError, LookupError or AttributeError for what is no answer.

    On podman an image that was built or loaded has a digest too; no registry has that one. Where a tag means an image for each
    architecture, the digest of them all comes first: a node of another architecture can pull its own by it.
    """
    if not id_on_node(node, described):
        return None
    told = json.loads(described.stdout)[0]
    digests = [item for item in told.get("RepoDigests") or () if DIGEST.fullmatch(item) and not item.startswith(LOCAL)]
    own = told.get("Digest") or ""
    return Pin(bare_id(told["Id"]), tuple(sorted(digests, key=lambda item: item.rpartition("@")[2] == own)))


def id_in_archive(manifest: bytes) -> str:
    """The id that an engine gives the image when it loads the archive: the digest of its configuration, by which the
    file is called. Raises ValueError for what is no manifest."""
    try:
        config = str(json.loads(manifest)[0]["Config"])
    except (LookupError, TypeError) as error:
        raise ValueError(f"no image in it: {error}") from error
    return config.rpartition("/")[2].removesuffix(".json")


def resume_at(part: Part, digest_of_first: Callable[[int], str]) -> int:
    """How many bytes of the archive need not be sent again: all that the node has, if they are its first ones."""
    return part.size if part.size and digest_of_first(part.size) == part.digest else 0


def flow(done: int, total: int | None, sent: int, seconds: float) -> str:
    """How far it is; the rate is that of what was `sent` now, without what was there before. The total may be unknown."""
    share = megabytes(done) if total is None else f"{100 * done // max(total, 1)} % of {megabytes(total)}"
    if not sent or seconds <= 0:
        return share
    rate = sent / seconds
    left = "" if total is None else f", {(total - done) / rate:.0f} s left"
    return f"{share}, {rate / MEGA:.1f} MB/s{left}"


def megabytes(size: int) -> str:
    return f"{size / MEGA:.1f} MB"
