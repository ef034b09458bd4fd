"""The loop's report on disk: written by the loop after each pass that changed something, read by the API and tasks.

It is a view, not a state: lost in a crash, it is there again after the next pass.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from duckconf.report import Report, report_from_json

FILE_NAME = "reconciler.json"


class ReportFile:
    """The report of one cluster's loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._report: Report | None = None

    def write(self, report: Report) -> None:
        """Replace it as a whole, so that a reader never sees half of one. Raises OSError."""
        temporary = self._path.with_name(f".{self._path.name}")
        temporary.write_text(json.dumps(report.to_json(), ensure_ascii=False), "utf-8")
        os.replace(temporary, self._path)

    def read(self) -> Report | None:
        """The newest report; None when there is none that can be read."""
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._report, self._stamp = report_from_json(json.loads(self._path.read_text("utf-8"))), stamp
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self._report, self._stamp = None, 0
        return self._report
