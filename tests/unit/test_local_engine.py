"""What this machine's podman needs is found out in silence, and told in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from duckconf.cli.demo.local_engine import LIMITS, RUNTIME, LocalEngine
from duckconf.command import Completed
from duckconf.errors import SetupError

REFUSED = Completed(126, "", "Error: crun: cannot set limits: a long story\n")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LocalEngine]:
    monkeypatch.delenv("CONTAINERS_CONF", raising=False)

    def that_answers(*answers: Completed) -> LocalEngine:
        made, left = LocalEngine(tmp_path), iter(answers)
        monkeypatch.setattr(made, "_try", lambda _: next(left))
        return made

    return that_answers


def test_settings_that_help_are_kept_and_told_in_one_line(
    engine: Callable[..., LocalEngine], capsys: pytest.CaptureFixture[str]
) -> None:
    podman = engine(REFUSED, REFUSED, Completed(0, "", ""))
    podman.check("base")
    assert capsys.readouterr().err == (
        "  podman is set up for this machine (runtime runc, lower limits) in .duckconf/containers.conf\n"
    )
    assert podman.settings.read_text().endswith(LIMITS + RUNTIME)


def test_a_podman_that_starts_containers_is_left_as_it_is(
    engine: Callable[..., LocalEngine], capsys: pytest.CaptureFixture[str]
) -> None:
    podman = engine(Completed(0, "", ""))
    podman.check("base")
    assert (podman.settings.exists(), capsys.readouterr().err) == (False, "")


def test_where_nothing_helps_its_own_words_are_the_error_and_nothing_is_kept(engine: Callable[..., LocalEngine]) -> None:
    podman = engine(REFUSED, REFUSED, REFUSED)
    with pytest.raises(SetupError, match="cannot set limits: a long story"):
        podman.check("base")
    assert not podman.settings.exists()


def test_what_has_gone_while_many_are_asked_keeps_none_of_the_others_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, paused = {"a", "b", "gone"}, set[str]()

    def run(verb: str, *names: str, **_: object) -> Completed:
        """As podman does: it stops at the first that is not there."""
        running.discard("gone")
        for name in names:
            if name not in running:
                return Completed(125, "", f"Error: no container {name}\n")
            running.discard(name)
            paused.add(name)
        return Completed(0, "", "")

    podman = LocalEngine(tmp_path)
    monkeypatch.setattr(podman, "run", run)
    assert podman.each("pause", lambda: sorted(running, key="a gone b".index)) == ["a", "gone", "b"]
    assert paused == {"a", "b"}
    monkeypatch.setattr(podman, "run", lambda *_, **__: Completed(125, "", "Error: no engine\n"))
    with pytest.raises(SetupError, match="pause failed: Error: no engine"):
        podman.each("pause", lambda: ["a"])
