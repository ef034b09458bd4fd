"""Invoke without what only the tests of its users need, and without its own copy of PyYAML: that is a quarter of each call of
`./inv`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import yaml

# Brings asyncio and ssl with it, for one class that we never make.
MOCK = "unittest.mock"
YAML = "invoke.vendor.yaml"


@contextmanager
def without_mock() -> Iterator[None]:
    """What is imported here finds an empty `unittest.mock`, unless the real one is there already; afterwards all find the real
    one."""
    if MOCK in sys.modules:
        yield
        return
    stand_in = ModuleType(MOCK)
    stand_in.Mock = object  # type: ignore[attr-defined]
    sys.modules[MOCK] = stand_in
    try:
        yield
    finally:
        del sys.modules[MOCK]


@contextmanager
def without_second_yaml() -> Iterator[None]:
    """What is imported here finds the PyYAML that we use as well, in the place of the same one that Invoke brings."""
    if YAML not in sys.modules:
        sys.modules[YAML] = yaml
    yield
