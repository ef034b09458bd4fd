"""The wrapper over a stub engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.wrapper.stub import (
    NODE,
    STUB,
    Stub,
)


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    made = Stub(tmp_path)
    made.tell(engine=STUB, node=f"{NODE}\n")
    made.engine.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    return made
