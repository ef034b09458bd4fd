"""A tag that comes to mean another image while an app runs: what all instances of a revision have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from duckconf.naming import NGINX_IMAGE, WEB_IMAGE
from tests.e2e.conftest import Live
from tests.e2e.updated import QUICK, history_of, revisions
from tests.waiting import until


class Moved(NamedTuple):
    """A name, and the ids of the images that it meant first and means now."""

    tag: str
    old: str
    new: str


def ids(cluster: Live, app: str = "web") -> set[str]:
    return {row["ImageID"] for row in cluster.apps() if row["Labels"]["duckconf.app"] == app}


@contextmanager
def moved_tag(cluster: Live) -> Iterator[Moved]:
    """Two instances of `web` run what the tag meant before."""
    must, tag = cluster.engine.must, f"localhost/moving-{os.getpid()}:1"
    old, new = (must("image", "inspect", "--format={{.Id}}", image).strip() for image in (WEB_IMAGE, NGINX_IMAGE))
    must("tag", WEB_IMAGE, tag)
    try:
        assert cluster.inv("start-app", tag, "--name", "web", "--replicas", "2", *QUICK, "--wait").returncode == 0
        must("tag", NGINX_IMAGE, tag)
        yield Moved(tag, old, new)
    finally:
        must("untag", tag, tag)


def all_run_the_image_of_their_revision(cluster: Live, moved: Moved) -> None:
    """Also an instance that is made anew, a further one, and those of a way back; `redeploy` takes the other image."""
    inv = cluster.inv
    assert inv("scale", "web=3", "--wait").returncode == 0
    before = cluster.instances()["web.2"][0]
    cluster.engine.must("rm", "-f", before)
    until("it is replaced", lambda: "web.2" in cluster.instances())
    assert ids(cluster) == {moved.old}
    until("it is kept", lambda: [item.get("image_id") for item in history_of(cluster, "web")] == [moved.old])
    assert inv("redeploy", "web").returncode == 0
    until("all have the other one", lambda: ids(cluster) == {moved.new} and len(cluster.instances()) >= 3, 60)
    until("it is done", lambda: revisions(cluster, "web") == [(1, "done"), (2, "done")], 30)
    assert inv("rollback", "web", "--wait").returncode == 0
    until("all have the first one again", lambda: ids(cluster) == {moved.old}, 30)
    assert moved.old[:12] in inv("history", "web").stdout
