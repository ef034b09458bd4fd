"""What etcdctl says on each host becomes one picture, and steps become etcdctl's commands."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from duckconf.cli.cluster.etcd import KEEP, NEW, Etcd
from duckconf.command import Command, Completed
from duckconf.errors import SetupError, Unreachable
from duckconf.members import Member
from duckconf.members_told import Told, read_told

IDS = {"a": 0xFA229811FF7F0A49, "b": 0xBFC7C204AE45202A, "c": 0xF01DC10FB58AC1F8, "d": 0x1234}


def answer(
    members: str,
    well: str,
    leader: str = "",
    *,
    learners: str = "",
    data: str = "data",
    unnamed: str = "",
    version: str = "3.4.23",
) -> str:
    """As `etcdctl` 3.4 prints it."""
    listed = [
        {"ID": IDS[name], "peerURLs": [f"https://{name}.example:2380"]}
        | ({} if name in unnamed else {"name": name})
        | ({"isLearner": True} if name in learners else {})
        for name in members
    ]
    states = [
        {
            "Endpoint": f"https://{name}.example:2379",
            "Status": {
                "header": {"member_id": IDS[name], "revision": 7},
                "version": version,
                "dbSize": 20480,
                **({"leader": IDS[leader]} if leader else {"errors": ["etcdserver: no leader"]}),
            },
        }
        for name in well
    ]
    return "\n".join(["data", json.dumps({"header": {}, "members": listed}), json.dumps(states)])


class TestReading:
    def test_the_view_of_the_majority_counts(self) -> None:
        told = read_told({"a": answer("abc", "a"), "b": answer("abc", "bc", "c"), "c": answer("abc", "bc", "c")}, {})
        assert told.by == "b"
        assert [(one.name, one.well, one.leader) for one in told.seen.members] == [
            ("a", False, False), ("b", True, False), ("c", True, True),
        ]  # fmt: skip
        assert told.revision == 7
        assert told.sizes == {IDS["b"]: 20480, IDS["c"]: 20480}

    def test_one_that_knows_no_leader_is_not_well_and_says_so(self) -> None:
        told = read_told({"a": answer("abc", "a")}, {"b": "no answer", "c": "no answer"})
        assert not any(one.well for one in told.seen.members)
        assert told.faults == {IDS["a"]: "etcdserver: no leader"}
        assert told.seen.away == {"b", "c"}

    def test_a_host_without_data_is_bare_and_one_that_says_neither_is_away(self) -> None:
        told = read_told({"a": "bare", "b": "Welcome!\ndata", "c": "This account is not available."}, {})
        assert (told.seen.bare, told.seen.away, told.seen.members) == ({"a"}, {"c"}, ())

    def test_a_member_that_has_not_begun_has_an_address_alone(self) -> None:
        told = read_told({"a": answer("ab", "a", "a", learners="b", unnamed="b")}, {})
        assert told.seen.members[1] == Member(IDS["b"], "", "b.example", well=False, learner=True)

    def test_the_oldest_version_decides_what_can_be_done(self) -> None:
        assert read_told({"a": answer("a", "a", "a", version="3.3.25")}, {}).seen.version == (3, 3, 25)

    @pytest.mark.parametrize("version", ["3.6.0-rc.1", "3.5.16+dfsg", "unknown"])
    def test_a_version_with_a_suffix_is_read(self, version: str) -> None:
        assert read_told({"a": answer("a", "a", "a", version=version)}, {}).seen.members[0].well


class Hosts:
    """Hosts whose etcdctl changes one list of members."""

    def __init__(self, members: str, bare: str = "", away: str = "") -> None:
        self.members, self.bare, self.away = list(members), bare, away
        self.learners, self.unnamed = "", ""
        self.commands: list[str] = []
        self.not_in_sync = 2

    def admin(self, node: str) -> Runner:
        return Runner(self, node)

    def run(self, name: str, command: Command) -> Completed:
        if name in self.away:
            raise Unreachable(name, "does not answer")
        if command.argv[0] == "sh":
            if name in self.bare or name not in self.members:
                return Completed(0, "bare", "")
            well = "".join(one for one in self.members if one not in self.unnamed + self.away + self.bare)
            told = answer("".join(self.members), well, well[0], learners=self.learners, unnamed=self.unnamed)
            return Completed(0, told, "")
        return self.control(command.argv[2], list(command.argv[3:]))

    def control(self, verb: str, words: list[str]) -> Completed:
        self.commands.append(" ".join([verb, *words]))
        if verb == "add":
            self.members.append(words[0])
            self.learners = self.unnamed = words[0]
        elif verb == "remove":
            self.members.remove(next(name for name, number in IDS.items() if f"{number:x}" == words[0]))
        elif self.not_in_sync:
            self.not_in_sync -= 1
            return Completed(1, "", "Error: etcdserver: can only promote a learner member which is in sync with leader")
        else:
            self.learners = ""
        return Completed(0, "", "")

    def begin(self, host: str, members: Mapping[str, str]) -> None:
        self.commands.append(f"begin {host} with {','.join(sorted(members))}")
        self.unnamed, self.bare = "", self.bare.replace(host, "")


class Runner:
    def __init__(self, hosts: Hosts, name: str) -> None:
        self.hosts, self.name = hosts, name

    def run(self, command: Command) -> Completed:
        return self.hosts.run(self.name, command)


def etcd(hosts: Hosts, wanted: str) -> Etcd:
    return Etcd({name: f"{name}.example" for name in wanted}, hosts)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duckconf.cli.cluster.etcd.LOOK_EVERY", 0.0)
    monkeypatch.setattr("duckconf.cli.cluster.etcd.COME_UP", 0.0)


class TestSettling:
    def test_bare_hosts_begin_together(self) -> None:
        hosts = Hosts("", bare="abc")
        assert etcd(hosts, "abc").settle(hosts.begin) == NEW
        assert hosts.commands == []

    def test_members_that_have_lost_the_state_do_not_begin_without_it(self) -> None:
        hosts = Hosts("", bare="abc")
        lost = Etcd({name: f"{name}.example" for name in "abc"}, hosts, has_state=True)
        with pytest.raises(
            SetupError,
            match=r"agents would remove all apps .*members --restore SNAPSHOT, or ./inv restore BACKUP; .*up reconcile",
        ):
            lost.settle(hosts.begin)
        assert hosts.commands == []

    def test_the_right_members_are_left_alone(self) -> None:
        hosts = Hosts("abc")
        assert etcd(hosts, "abc").settle(hosts.begin) == KEEP
        assert hosts.commands == []

    def test_one_is_replaced_in_four_steps(self) -> None:
        hosts = Hosts("abc", bare="d", away="c")
        assert etcd(hosts, "abd").settle(hosts.begin) == KEEP
        promote = f"promote {IDS['d']:x}"
        assert hosts.commands == [
            f"remove {IDS['c']:x}",
            "add d --peer-urls=https://d.example:2380 --learner",
            "begin d with a,b,d",
            *[promote] * 3,
        ]

    def test_what_is_refused_changes_nothing(self) -> None:
        hosts = Hosts("abc", away="bc")
        with pytest.raises(
            SetupError, match=r"b, c of 3 members of etcd do not answer: 1 of 3 are no majority.*bring back 1 of them"
        ):
            etcd(hosts, "abc").settle(hosts.begin)
        assert hosts.commands == []

    def test_members_that_boot_are_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("duckconf.cli.cluster.etcd.COME_UP", 60.0)
        hosts = Hosts("abc", away="abc")
        looks = iter(["bc", "bc", "b"])
        booting = etcd(hosts, "abc")

        def look(one: Etcd) -> Told:
            hosts.away = next(looks)
            return plain(one)

        plain = Etcd.look
        monkeypatch.setattr(Etcd, "look", look)
        assert booting.settle(hosts.begin) == KEEP
        assert (hosts.away, hosts.commands) == ("b", [])
