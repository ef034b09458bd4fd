"""What the document of push mode says is so."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.api.test_api_push import client, nodes
from tests.contract.contract import hold

__all__ = ["client", "nodes"]
pytestmark = pytest.mark.slow


def test_push_mode_keeps_what_its_document_says(client: FlaskClient) -> None:
    hold(client.application, cases=1300, examples=20)
