"""What is given away of each node: the host ports, cores and memory of the instances that are placed there."""

from __future__ import annotations

import threading
from collections import Counter

from duckconf.instance import Instance
from duckconf.restart import recorded
from duckconf.sizes import size_in_bytes
from duckconf.spreading import host_ports

# Cores are counted in thousandths: sums of whole numbers go back to what they were.
MILLI = 1000


class Given:
    """Changed and read under the lock of whoever knows the placements."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._ports: dict[str, Counter[str]] = {}
        self._reserved: dict[str, Counter[str]] = {}

    def ports(self, node: str) -> list[str]:
        """The host ports that are given away on a node, such as "127.0.0.1:8080/tcp"."""
        with self._lock:
            return sorted(port for port, count in self._ports.get(node, Counter()).items() if count > 0)

    def reserved(self, node: str) -> dict[str, float]:
        """Cores and bytes of memory that are set aside for the instances of a node."""
        with self._lock:
            counted = self._reserved.get(node, Counter())
            return {"cpus": round(counted["cpus"] / MILLI, 3), "memory": counted["memory"]}

    def count(self, instance: Instance, by: int) -> None:
        """Note that the instance is placed (1), or is not any more (-1)."""
        app, node = instance.app, instance.node
        if not node or is_over(instance):
            return
        if app.ports:
            ports = self._ports.setdefault(node, Counter())
            for port in host_ports(app):
                ports[port.on_node] += by
        if app.reserve_cpus or app.reserve_memory:
            reserved = self._reserved.setdefault(node, Counter())
            reserved["cpus"] += by * round(app.reserve_cpus * MILLI)
            reserved["memory"] += by * size_in_bytes(app.reserve_memory)


def is_over(instance: Instance) -> bool:
    """Whether the instance has ended and takes nothing any more."""
    return recorded(instance.app, instance.ended) is not None
