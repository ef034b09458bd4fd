"""For all tests: the order in which they run."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take longest begin first, so that several workers end together."""

    def place(item: pytest.Item) -> int:
        return 0 if item.get_closest_marker("hosts") else 1 if item.get_closest_marker("slow") else 2

    items.sort(key=place)
