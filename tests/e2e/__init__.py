"""Tests on real hosts. What several of them share shows why it failed, as the tests do."""

import pytest

pytest.register_assert_rewrite(
    "tests.e2e.agents.fleet",
    "tests.e2e.docker.daemon",
    "tests.e2e.engine_api",
    "tests.e2e.moved_tag",
    "tests.e2e.own_engines",
    "tests.e2e.provisioned",
    "tests.e2e.real_engine",
    "tests.e2e.registry",
    "tests.e2e.sick_app",
    "tests.e2e.stack_scenes",
    "tests.e2e.typed",
    "tests.e2e.watched",
)
