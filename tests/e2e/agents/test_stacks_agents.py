"""Stacks in agents mode on real hosts: a compose file in, changed, and out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Live
from tests.e2e.stack_scenes import (
    a_service_shares_the_network_of_another_one_and_follows_it,
    a_stack_leaves_a_drained_node_as_one,
    a_stack_on_a_lost_node_is_rescheduled_as_one,
    apply_change_and_stop,
    names_are_found_and_services_start_in_order,
    services_that_ran_apart_are_brought_together,
)

pytestmark = pytest.mark.slow


def test_a_compose_file_is_applied_changed_and_withdrawn(running: Live, tmp_path: Path) -> None:
    apply_change_and_stop(running, tmp_path)


def test_services_find_each_other_by_name_on_one_node_and_start_in_order(running: Live, tmp_path: Path) -> None:
    names_are_found_and_services_start_in_order(running, tmp_path)


def test_a_service_shares_the_network_of_another_one_and_follows_it(running: Live, tmp_path: Path) -> None:
    a_service_shares_the_network_of_another_one_and_follows_it(running, tmp_path)


def test_services_that_ran_apart_are_brought_together(running: Live, tmp_path: Path) -> None:
    services_that_ran_apart_are_brought_together(running, tmp_path)


def test_a_stack_leaves_a_drained_node_as_one(running: Live, tmp_path: Path) -> None:
    a_stack_leaves_a_drained_node_as_one(running, tmp_path)


def test_a_stack_on_a_lost_node_is_rescheduled_as_one(running: Live, tmp_path: Path) -> None:
    a_stack_on_a_lost_node_is_rescheduled_as_one(running, tmp_path)
