"""What a person does with a compose file, told once for both modes that have stacks."""

from __future__ import annotations

from pathlib import Path

from duckconf.naming import NGINX_IMAGE
from tests.e2e.conftest import NODE_TIMEOUT, Live, free_ports
from tests.waiting import until

# `sleep` as the first process hears no other signal: each stop would take its ten seconds.
AT_ONCE = "stop_signal: SIGKILL"
SOON = "deploy: {update_config: {monitor: 1s}}"
QUICK = f"{AT_ONCE}\n    {SOON}"
WEB = f"""\
name: shop
services:
  web:
    image: {NGINX_IMAGE}
    command: [sleep, "1000"]
    environment: {{MODE: "${{MODE:-usual}}"}}
    volumes: ["./site.conf:/etc/site.conf:ro"]
    ports: ["PORT:80"]
    secrets: [key]
    {QUICK}
"""
DB = f"""\
  db:
    image: {NGINX_IMAGE}
    command: [sleep, "1000"]
    volumes: ["data:/var/lib/data"]
    {QUICK}
"""
REST = """\
secrets: {key: {file: ./key}}
volumes: {data: }
"""
# No node has as many cores.
TOO_MUCH = "deploy: {resources: {reservations: {cpus: '1000'}}}"
LARGE = f"  large: {{image: {NGINX_IMAGE}, {TOO_MUCH}}}\n"


# What is no compose file, or none that means something, and what is said of it.
LEVELS = "".join(f"x-{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]\n" for level in range(1, 9))
ODD = (
    ("services: [\n", "compose.yaml:2"),
    ("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n", "depends_on"),
    ("services:\n  a: {image: '${MISSING}'}\n", "compose.yaml:2: services/a/image"),
    ("services:\n  a: {image: x, env_file: ../../outside.env}\n", "outside.env is outside of the folder"),
    (f"services:\n  a: {{image: x}}\nx-large: {'y' * 10_000_000}\n", "KiB"),
    (f"x-0: &l0 [lol]\n{LEVELS}services:\n  a: {{image: x}}\n", "values"),
)


def said_in(cluster: Live, app: str, *words: str) -> str:
    """ "" while it is replaced."""
    return cluster.engine.run("exec", cluster.ids().get(app, ""), *words).stdout.strip()


def found_by(cluster: Live, app: str, name: str) -> str:
    """Where bridges do not tell of a new address, as the role `node` has those of a node do, a container may not reach
    podman's DNS for up to a minute after another one has come or gone."""
    return said_in(cluster, app, "timeout", "2", "getent", "hosts", name)


def apply_change_and_stop(cluster: Live, folder: Path) -> None:
    file = folder / "compose.yaml"
    (folder / "site.conf").write_text("one")
    web = WEB.replace("PORT", str(free_ports(1)[0]))
    (folder / "key").write_text("hunter2")
    file.write_text(web + DB + REST)
    dry = cluster.inv("apply", str(file), "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, f"shop-web: new ({NGINX_IMAGE})\nshop-db: new ({NGINX_IMAGE})\n"), dry.stderr
    assert "shop-web" not in cluster.ids()
    done = cluster.inv("apply", str(file), "--wait")
    assert done.returncode == 0, done.stderr
    both = cluster.ids()
    assert {"shop-web", "shop-db"} <= both.keys()
    assert said_in(cluster, "shop-web", "sh", "-c", "cat /etc/site.conf /run/secrets/key; echo $MODE") == "onehunter2usual"
    again = cluster.inv("apply", str(file), "--wait")
    assert (again.returncode, again.stdout, cluster.ids()) == (0, "", both)
    assert "declared so already" in again.stderr

    what_is_exported_is_declared_already(cluster, folder / "out")
    nothing_that_is_refused_changes_anything(cluster, file, web)

    (folder / "site.conf").write_text("two")
    file.write_text(web + REST)
    (folder / ".env").write_text("MODE=other\n")
    changed = cluster.inv("apply", str(file), "--wait")
    assert changed.returncode == 0, changed.stderr
    assert "  env.MODE: another value\n" in changed.stdout
    assert "shop-db: gone from the file, withdrawn\n" in changed.stdout
    until("the service that left the file is gone", lambda: "shop-db" not in cluster.ids(), 30)
    assert said_in(cluster, "shop-web", "sh", "-c", "cat /etc/site.conf; echo $MODE") == "twoother"
    assert "1/1" in cluster.inv("stacks").stdout
    (folder / "key").write_text("hunter3")
    rolled = cluster.inv("apply", str(file))
    assert rolled.returncode == 0, rolled.stderr
    until("a new value is rolled out", lambda: said_in(cluster, "shop-web", "cat", "/run/secrets/key") == "hunter3", 40)
    assert not [done for done in (dry, done, again, changed, rolled) if "hunter" in done.stdout + done.stderr]

    for strange in ("shop?x", "shop/x"):
        assert "there is no stack" in cluster.inv("stop-stack", strange).stderr
    assert "is declared" in cluster.inv("stop-app", "shop-web?x").stderr
    gone = cluster.inv("stop-stack", "shop")
    assert gone.returncode == 0, gone.stderr
    until("nothing is left", lambda: not [name for name in cluster.ids() if name.startswith("shop-")], 30)
    assert "shop." not in cluster.inv("secret", "list").stdout
    assert cluster.inv("stop-stack", "shop").returncode == 1


def what_is_exported_is_declared_already(cluster: Live, folder: Path) -> None:
    printed = cluster.inv("export", "compose", "--stack", "shop")
    assert (printed.returncode, "hunter" in printed.stdout + printed.stderr) == (0, False), printed.stderr
    exported = cluster.inv("export", "compose", "--stack", "shop", "--folder", str(folder))
    assert (exported.returncode, "hunter" in exported.stdout + exported.stderr) == (0, False), exported.stderr
    for text in (printed.stdout, (folder / "compose.yaml").read_text()):
        (folder / "compose.yaml").write_text(text)
        back = cluster.inv("apply", str(folder / "compose.yaml"))
        assert (back.returncode, back.stdout) == (0, ""), back.stderr
        assert "declared so already" in back.stderr
    assert cluster.inv("export", "compose", "--app", "nobody").returncode == 1


def nothing_that_is_refused_changes_anything(cluster: Live, file: Path, web: str) -> None:
    before, good = cluster.ids(), file.read_text()
    file.write_text(web.replace("usual", "changed") + DB + LARGE + REST)
    large = cluster.inv("apply", str(file))
    assert (large.returncode, "with fewer than 1000 cores" in large.stderr) == (2, True), large.stderr
    file.write_text(web.replace(QUICK, TOO_MUCH) + DB + REST)
    kept = cluster.inv("apply", str(file))
    assert (kept.returncode, "with fewer than 1000 cores" in kept.stderr) == (2, True), kept.stderr
    file.write_text(web.replace("usual", "changed") + DB.replace("image:", "imagee:") + REST)
    wrong = cluster.inv("apply", str(file))
    assert (wrong.returncode, "compose.yaml:13: services/db/imagee: refused: is no key" in wrong.stderr) == (1, True), (
        wrong.stderr
    )
    file.write_text(web + REST)
    taken = cluster.inv("apply", str(file), "--stack", "blog")
    assert (taken.returncode, "is that of shop-web, which is part of the stack shop" in taken.stderr) == (1, True), taken.stderr
    assert "compose.yaml:3: blog-web: the port" in taken.stderr
    assert "Traceback" not in large.stderr + wrong.stderr + taken.stderr
    for text, words in ODD:
        file.write_text(text)
        odd = cluster.inv("apply", str(file))
        assert (odd.returncode, words in odd.stderr, "Traceback" in odd.stderr) == (1, True, False), (words, odd.stderr)
    assert cluster.ids() == before
    file.write_text(good)


NAMES = f"""\
name: order
services:
  web:
    image: {NGINX_IMAGE}
    command: [sh, -c, "getent hosts store && exec sleep 1000"]
    depends_on: {{db: {{condition: service_healthy}}, migrate: {{condition: service_completed_successfully}}}}
    {QUICK}
  migrate:
    image: {NGINX_IMAGE}
    command: [sh, -c, "getent hosts db"]
    depends_on: [db]
  db:
    image: {NGINX_IMAGE}
    command: [sh, -c, "sleep 3; touch /tmp/up; exec sleep 1000"]
    healthcheck: {{test: [CMD, test, -e, /tmp/up], interval: 1s, retries: 30}}
    networks: {{default: {{aliases: [store]}}}}
    {QUICK}
"""


def names_are_found_and_services_start_in_order(cluster: Live, folder: Path) -> None:
    file = folder / "compose.yaml"
    file.write_text(NAMES)
    done = cluster.inv("apply", str(file), "--wait")
    assert done.returncode == 0, done.stderr
    nodes = cluster.nodes_of()
    assert len({nodes[name] for name in ("order-web", "order-db", "order-migrate")}) == 1
    rows = {row["Labels"]["duckconf.app"]: row for row in cluster.apps()}
    assert rows["order-migrate"]["State"] == "exited"
    # The image has no database that is there at once: what waits for its health starts seconds later.
    assert rows["order-web"]["StartedAt"] - rows["order-db"]["StartedAt"] >= 3
    assert "store" in said_in(cluster, "order-web", "getent", "hosts", "store")
    networks = cluster.engine.must("network", "ls", "--format={{.Name}}")
    assert f"duckconf-{cluster.project.cluster}-stack-order" in networks
    assert cluster.inv("stop-stack", "order").returncode == 0
    until("nothing is left", lambda: not [name for name in cluster.ids() if name.startswith("order-")], 40)

    def network_is_gone() -> bool:
        return "stack-order" not in cluster.engine.must("network", "ls", "--format={{.Name}}")

    until("its network is gone too", network_is_gone, 10)


SHARED = f"""\
name: net
services:
  app:
    image: {NGINX_IMAGE}
    command: [sleep, "1000"]
    network_mode: service:tunnel
    {QUICK}
  tunnel:
    image: {NGINX_IMAGE}
    command: [sleep, "1000"]
    environment: {{MODE: "${{MODE:-usual}}"}}
    {QUICK}
"""


def a_service_shares_the_network_of_another_one_and_follows_it(cluster: Live, folder: Path) -> None:
    file = folder / "compose.yaml"
    file.write_text(SHARED)
    done = cluster.inv("apply", str(file), "--wait")
    assert done.returncode == 0, done.stderr

    def network(app: str) -> str:
        return said_in(cluster, app, "readlink", "/proc/self/ns/net")

    def both_are_new_and_one(before: dict[str, str], *kept: str) -> bool:
        now = cluster.ids()
        new = all((now.get(name) == before[name]) == (name in kept) for name in ("net-app", "net-tunnel"))
        count = sum(row["Labels"]["duckconf.app"].startswith("net-") for row in cluster.apps())
        return new and count == 2 and network("net-app") == network("net-tunnel") != ""

    assert network("net-app") == network("net-tunnel") != ""
    first = cluster.ids()
    cluster.engine.must("kill", first["net-tunnel"])
    until("it is made anew when the other one has crashed", lambda: both_are_new_and_one(first, "net-tunnel"), 60)
    second = cluster.ids()
    (folder / ".env").write_text("MODE=other\n")
    changed = cluster.inv("apply", str(file), "--wait")
    assert changed.returncode == 0, changed.stderr
    until("it is made anew when the other one is updated", lambda: both_are_new_and_one(second), 60)
    exported = cluster.inv("export", "compose", "--stack", "net")
    (folder / "again.yaml").write_text(exported.stdout)
    again = cluster.inv("apply", str(folder / "again.yaml"))
    assert (again.returncode, "declared so already" in again.stderr) == (0, True), again.stderr
    assert cluster.inv("stop-stack", "net").returncode == 0
    until("nothing is left", lambda: not [name for name in cluster.ids() if name.startswith("net-")], 60)


APART = f"image: {NGINX_IMAGE}, command: [sleep, '1000'], {AT_ONCE}, {SOON}"
APART_FILE = "name: apart\nservices:\n" + "".join(f"  {name}: {{{APART}MODE}}\n" for name in ("web", "db", "job"))


def services_that_ran_apart_are_brought_together(cluster: Live, folder: Path) -> None:
    file = folder / "compose.yaml"
    file.write_text(APART_FILE.replace("MODE", ", network_mode: bridge"))
    assert cluster.inv("apply", str(file), "--wait").returncode == 0

    def nodes() -> set[str]:
        return {node for name, node in cluster.nodes_of().items() if name.startswith("apart-")}

    assert len(nodes()) > 1
    file.write_text(APART_FILE.replace("MODE", ""))
    done = cluster.inv("apply", str(file), "--wait")
    assert done.returncode == 0, done.stderr
    until("all are on one node", lambda: len(nodes()) == 1 and len(cluster.ids()) == len(cluster.apps()), 60)
    until("they find each other", lambda: "db" in found_by(cluster, "apart-web", "db"), 60)
    assert cluster.inv("stop-stack", "apart").returncode == 0
    until("nothing is left", lambda: not nodes(), 60)


# Its web waits until it finds the database, as many applications do.
PAIR = f"""\
name: pair
services:
  web:
    image: {NGINX_IMAGE}
    command: [sh, -c, "until getent hosts db; do sleep 0.2; done; exec sleep 1000"]
    depends_on: {{db: {{condition: service_healthy}}}}
    {QUICK}
  db:
    image: {NGINX_IMAGE}
    command: [sleep, "1000"]
    healthcheck: {{test: [CMD, "true"], interval: 1s}}
    {QUICK}
"""


def a_stack_leaves_a_drained_node_as_one(cluster: Live, folder: Path) -> None:
    (folder / "compose.yaml").write_text(PAIR)
    done = cluster.inv("apply", str(folder / "compose.yaml"), "--wait")
    assert done.returncode == 0, done.stderr

    first = cluster.nodes_of()["pair-web"]
    assert homes(cluster) == [{first}] * 2
    drained = cluster.inv("drain", first)
    assert drained.returncode == 0, drained.stderr
    until("the old ones are gone", lambda: [len(nodes) for nodes in homes(cluster)] == [1, 1])
    assert homes(cluster)[0] == homes(cluster)[1] != {first}
    started = {row["Labels"]["duckconf.app"]: row["StartedAt"] for row in cluster.apps()}
    assert started["pair-web"] >= started["pair-db"]
    assert cluster.inv("uncordon", first).returncode == 0
    pair_is_withdrawn(cluster)


def homes(cluster: Live, *states: str) -> list[set[str]]:
    """The nodes of each service, also where it is being removed."""
    rows = [row["Labels"] for row in cluster.apps() if row["State"] in states or not states]
    return [{row["node"] for row in rows if row["duckconf.app"] == name} for name in ("pair-db", "pair-web")]


def run_together_off(cluster: Live, lost: str) -> bool:
    of_db, of_web = homes(cluster, "running")
    return len(of_db) == 1 and of_db == of_web and lost not in of_db


def pair_is_withdrawn(cluster: Live) -> None:
    assert cluster.inv("stop-stack", "pair").returncode == 0
    until("nothing is left", lambda: not [name for name in cluster.ids() if name.startswith("pair-")], 40)


BOOT = f"""\
  boot:
    image: {NGINX_IMAGE}
    command: ["true"]
    restart: "no"
"""


def a_stack_on_a_lost_node_is_rescheduled_as_one(cluster: Live, folder: Path) -> None:
    """With a job that is done, which stays where it ended."""
    (folder / "compose.yaml").write_text(PAIR + BOOT)
    done = cluster.inv("apply", str(folder / "compose.yaml"), "--wait")
    assert done.returncode == 0, done.stderr
    lost = cluster.nodes_of()["pair-web"]
    assert homes(cluster) == [{lost}] * 2
    try:
        assert cluster.inv("stop-node", lost).returncode == 0
        until("both run elsewhere", lambda: run_together_off(cluster, lost), 3 * NODE_TIMEOUT)
        new = cluster.instances()
        assert new["pair-web"][2] >= new["pair-db"][2]
    finally:
        assert cluster.inv("start-node", lost).returncode == 0
    until("the old ones are gone", lambda: not any(lost in nodes for nodes in homes(cluster)), 30)
    assert cluster.instances() == new
    pair_is_withdrawn(cluster)
