"""What the document of reconcile mode says is so."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient

from duckconf.reach.nodes import hands
from duckconf.reach.state.reports import ReportFile
from duckconf.report import NodeView, Report
from tests.api.test_api_reconcile import client, journal, path, reports
from tests.contract.contract import hold
from tests.unit.test_hands import node, own

__all__ = ["client", "journal", "node", "own", "path", "reports"]
pytestmark = pytest.mark.slow


def test_reconcile_mode_keeps_what_its_document_says(
    client: FlaskClient, reports: ReportFile, own: hands.OwnHands, tmp_path: Path
) -> None:
    reports.write(Report(nodes={"n1": NodeView("ready")}))
    hands.serve(tmp_path, own)
    hold(client.application, cases=4400, examples=6)
