"""Stacks in reconcile mode on real hosts: a compose file in, changed, and out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Declared
from tests.e2e.stack_scenes import (
    a_service_shares_the_network_of_another_one_and_follows_it,
    a_stack_leaves_a_drained_node_as_one,
    a_stack_on_a_lost_node_is_rescheduled_as_one,
    apply_change_and_stop,
    names_are_found_and_services_start_in_order,
    services_that_ran_apart_are_brought_together,
)

pytestmark = pytest.mark.slow


def test_a_compose_file_is_applied_changed_and_withdrawn(declared: Declared, tmp_path: Path) -> None:
    apply_change_and_stop(declared.cluster, tmp_path)


def test_services_find_each_other_by_name_on_one_node_and_start_in_order(declared: Declared, tmp_path: Path) -> None:
    names_are_found_and_services_start_in_order(declared.cluster, tmp_path)


def test_a_service_shares_the_network_of_another_one_and_follows_it(declared: Declared, tmp_path: Path) -> None:
    a_service_shares_the_network_of_another_one_and_follows_it(declared.cluster, tmp_path)


def test_services_that_ran_apart_are_brought_together(declared: Declared, tmp_path: Path) -> None:
    services_that_ran_apart_are_brought_together(declared.cluster, tmp_path)


def test_a_stack_leaves_a_drained_node_as_one(declared: Declared, tmp_path: Path) -> None:
    a_stack_leaves_a_drained_node_as_one(declared.cluster, tmp_path)


def test_a_stack_on_a_lost_node_is_rescheduled_as_one(declared: Declared, tmp_path: Path) -> None:
    a_stack_on_a_lost_node_is_rescheduled_as_one(declared.cluster, tmp_path)
