"""What the document of agents mode says is so."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.api.agents_api import app
from tests.contract.contract import hold

__all__ = ["app"]
pytestmark = pytest.mark.slow


def test_agents_mode_keeps_what_its_document_says(app: Flask) -> None:
    hold(app, cases=5300, examples=4, token="op")
