"""Stacks in reconcile mode on real hosts: a compose file in, changed, and out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Declared
from tests.e2e.stack_scenes import apply_change_and_stop

pytestmark = pytest.mark.slow


def test_a_compose_file_is_applied_changed_and_withdrawn(declared: Declared, tmp_path: Path) -> None:
    apply_change_and_stop(declared.cluster, tmp_path)
