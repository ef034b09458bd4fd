"""The demo's images stay for as long as a cluster of this machine wants them."""

from __future__ import annotations

from pathlib import Path

import pytest

from duckconf.cli.demo.image_users import forget_user, note_user


def test_the_images_stay_until_the_last_cluster_is_purged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    states = [tmp_path / "one" / ".duckconf" / "demo", tmp_path / "other" / ".duckconf" / "demo", tmp_path / "gone"]
    for state in states:
        state.mkdir(parents=True)
        note_user(state)
        note_user(state)
    states[2].rmdir()
    assert forget_user(states[0]) == [states[1]]
    assert forget_user(states[1]) == []
    assert list((tmp_path / "state" / "duckconf" / "image-users").iterdir()) == []
