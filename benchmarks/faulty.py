"""What is done to demo hosts of a control plane: frozen, rebooted, killed, cut off, with a full disk or a wrong clock.

Each fault is a block, at the end of which it is over. A wrong clock is one for the Python services alone, whose clock it is that
counts: all containers have the clock of one kernel.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from duckconf.cli.demo.demo_hosts import DemoHosts
from duckconf.cli.look.control import AGENT_UNIT
from duckconf.engine_output import Container
from duckconf.errors import SetupError
from duckconf.members_told import CTL
from duckconf.naming import host_container
from duckconf.reach.inventory.project import Project

TABLE = "duckconf_fault"
SERVICES = ("duckconf-api", "duckconf-scheduler", "duckconf-node-controller")
ETCD = "duckconf-etcd"
ETCD_PORT = 2379
DATA = "/var/lib/duckconf-etcd/data"
# Of the disk that fills up: two segments of etcd's log of 64 MB, and its data.
DISK_MB = 220
# Larger than what the log has room for, so that all members need more of their disk.
BIG = "/of-the-bench/"
WRITE_MUCH = f"""\
head -c 900000 /dev/zero | tr '\\0' x >/run/big
for number in $(seq 80); do {CTL} put {BIG}$number </run/big || true; done
"""
# Seconds for which a host is off when it is rebooted, and between two compactions.
OFF_SECONDS = 2.0
COMPACTED_EVERY = 0.5
CLOCK = "/run/duckconf-clock"
LATER = """\
import time
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + {0}
time.time_ns = lambda: _time_ns() + {0} * 10**9
"""
CODE = "/usr/local/lib/duckconf/control-plane.pyz"


class Hosts:
    """The hosts of the control plane of one cluster, and its nodes."""

    def __init__(self, project: Project) -> None:
        self.names = project.inventory().control_plane
        self.nodes = project.inventory().nodes
        self._demo = DemoHosts(project)
        self._cluster = project.cluster

    def inside(self, host: str, *argv: str, stdin: bytes = b"") -> str:
        """The output of a command there, with rights over its network and mounts. Raises SetupError."""
        name = host_container(self._cluster, host)
        return self._demo.engine.must("exec", "-i", "--privileged", name, *argv, deadline=60.0, stdin=stdin)

    def apps(self) -> tuple[Container, ...]:
        """The containers of all apps."""
        return self._demo.engine.apps(self._cluster)

    def crash(self, app: str) -> None:
        self._demo.engine.must("kill", next(one.name for one in self.apps() if one.app == app))

    def ends_of_agents(self) -> int:
        """How often agents ended by themselves."""
        shown = (self.inside(node, "systemctl", "show", "--property=NRestarts", "--value", AGENT_UNIT) for node in self.nodes)
        return sum(map(int, shown))

    def others(self, host: str) -> list[str]:
        return [name for name in self.names if name != host]

    @contextmanager
    def frozen(self, *hosts: str) -> Iterator[None]:
        try:
            for host in hosts:
                self._demo.freeze(host)
            yield
        finally:
            for host in hosts:
                self._demo.thaw(host)

    @contextmanager
    def rebooted(self, host: str) -> Iterator[None]:
        name = host_container(self._cluster, host)
        self._demo.engine.must("kill", name)
        starting = threading.Timer(OFF_SECONDS, self._demo.engine.must, ("start", name))
        starting.start()
        try:
            yield
        finally:
            starting.join()

    @contextmanager
    def killed(self, host: str) -> Iterator[None]:
        """All that belongs to the control plane there; systemd starts it again."""
        self.inside(host, "systemctl", "kill", "--signal=KILL", *SERVICES, ETCD)
        yield

    @contextmanager
    def apart(self, host: str, others: Sequence[str]) -> Iterator[None]:
        """Nothing goes between the host and the others of these."""
        addresses = ", ".join(self._address(other) for other in others if other != host)
        with self._dropping(host, f"ip saddr {{ {addresses} }}", f"ip daddr {{ {addresses} }}"):
            yield

    @contextmanager
    def without_etcd(self, host: str) -> Iterator[None]:
        """Its API server reaches no member, not even that of its own host."""
        with self._dropping(host, f"tcp dport {ETCD_PORT}", f"tcp sport {ETCD_PORT}"):
            yield

    @contextmanager
    def full(self, host: str) -> Iterator[None]:
        """The disk of its member has no byte left, and others write more into etcd meanwhile."""
        by, real = self.others(host)[0], f"{DATA}.real"
        mount = f"mount -t tmpfs -o size={DISK_MB}m,mode=0700 {TABLE} {DATA}; chown --reference={real} {DATA}"
        self._shell(host, f"systemctl stop {ETCD}; cp -a {DATA} {real}; {mount}; cp -a {real}/. {DATA}; systemctl start {ETCD}")
        try:
            self._shell(host, f"dd if=/dev/zero of={DATA}/rest bs=1M || true")
            writing = threading.Thread(target=self._shell, args=(by, WRITE_MUCH))
            writing.start()
            yield
            writing.join()
            if "NRestarts=0" in self.inside(host, "systemctl", "show", "--property=NRestarts", ETCD):
                raise SetupError(f"{host}: the disk was not full for etcd")
        finally:
            self.inside(by, CTL, "del", "--prefix", BIG)
            kept = f"rm -r {real} {DATA}/rest; cp -a {DATA} {real}; umount -l {DATA}; rm -r {DATA}; mv {real} {DATA}"
            self._shell(host, f"systemctl stop {ETCD}; {kept}; systemctl start {ETCD}")

    @contextmanager
    def wrong_clock(self, host: str, seconds: int) -> Iterator[None]:
        self.inside(host, "mkdir", "-p", CLOCK)
        self.inside(host, "tee", f"{CLOCK}/sitecustomize.py", stdin=LATER.format(seconds).encode())
        for service in SERVICES:
            drop_in = f"/run/systemd/system/{service}.service.d"
            self.inside(host, "mkdir", "-p", drop_in)
            content = f"[Service]\nEnvironment=PYTHONPATH={CLOCK}:{CODE}\n"
            self.inside(host, "tee", f"{drop_in}/clock.conf", stdin=content.encode())
        self._begin_again(host)
        try:
            yield
        finally:
            self._shell(host, "rm -r /run/systemd/system/duckconf-*.service.d")
            self._begin_again(host)

    @contextmanager
    def frozen_over_compactions(self, host: str) -> Iterator[None]:
        """etcd forgets at once what has changed, also what the host has missed when it wakes up."""
        ended, by, compacted = threading.Event(), self.others(host)[0], list[int]()

        def compact() -> None:
            while not ended.wait(COMPACTED_EVERY):
                # While a leader is elected, it cannot.
                with suppress(SetupError):
                    status = json.loads(self.inside(by, CTL, "endpoint", "status", "--write-out=json"))
                    revision = int(status[0]["Status"]["header"]["revision"])
                    self.inside(by, CTL, "compaction", str(revision))
                    compacted.append(revision)

        thread = threading.Thread(target=compact)
        with self.frozen(host):
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()
        if not compacted:
            raise SetupError("etcd could not be compacted at all")

    @contextmanager
    def _dropping(self, host: str, *rules: str) -> Iterator[None]:
        """What matches one of the rules of nftables neither comes nor goes at the host, without an answer."""
        chains = "\n".join(
            f"chain {chain} {{ type filter hook {chain} priority -10;\n{''.join(f'{rule} drop{chr(10)}' for rule in rules)}}}"
            for chain in ("input", "output")
        )
        self.inside(host, "nft", "-f", "-", stdin=f"table inet {TABLE} {{\n{chains}\n}}\n".encode())
        try:
            yield
        finally:
            self.inside(host, "nft", "delete", "table", "inet", TABLE)

    def _begin_again(self, host: str) -> None:
        self.inside(host, "systemctl", "daemon-reload")
        self.inside(host, "systemctl", "restart", *SERVICES)

    def _shell(self, host: str, line: str) -> str:
        return self.inside(host, "sh", "-ec", line)

    def _address(self, host: str) -> str:
        found = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self._demo.engine.must("inspect", "--format", found, host_container(self._cluster, host))
