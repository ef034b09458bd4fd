"""Calls to etcd's gateway, of members that do not answer."""

from __future__ import annotations

import pytest

from duckconf.reach.api import etcd
from duckconf.reach.api.etcd import Gateway, Unsure
from duckconf.reach.state.etcd_table import EtcdTable
from tests.unit.test_servers import Server, two

__all__ = ["two"]


def test_a_member_that_says_nothing_is_not_waited_for_beyond_the_end_of_the_call(
    two: tuple[Server, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is cut off answers soon enough for its client to ask another one."""
    monkeypatch.setattr(etcd, "TRY_SECONDS", 600.0)
    two[0].hold()
    gateway = Gateway([two[0].url], seconds=0.1)
    with pytest.raises(Unsure, match="did not answer"):
        gateway.call("/v3/kv/range", {})
    with pytest.raises(Unsure, match="did not answer"):
        EtcdTable(gateway, "demo", "control-1").commit({"apps/web": "{}"})
