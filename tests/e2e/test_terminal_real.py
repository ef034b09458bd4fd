"""The way into containers from the terminal, on real nodes: exec, cp and stats."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from duckconf.naming import NGINX_IMAGE, WEB_IMAGE
from tests.e2e.conftest import NODES, ROOT, Live
from tests.e2e.typed import at_terminal, resize, running
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture
def shelled(cluster: Live) -> tuple[Live, str]:
    """An app with a shell, and its name; push mode."""
    status, answer = cluster.post({"image": NGINX_IMAGE, "command": ["sleep", "1000"], "stop_signal": "SIGKILL"})
    assert status == 201, answer
    return cluster, answer["app"]


def typed_into(live: Live, content: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(ROOT / "inv"), *words], env=live.environ, input=content, capture_output=True, timeout=60, check=False
    )


def test_a_command_in_a_container_gets_our_input_and_gives_its_output_and_exit_code(shelled: tuple[Live, str]) -> None:
    live, app = shelled
    done = live.inv("exec", app, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    odd = "$(reboot) 'a b' \"c\" ;|\\ ü"
    assert live.inv("exec", app, "--", "printf", "%s", odd).stdout == odd
    content = bytes(range(256)) * 8192
    assert typed_into(live, content, "exec", app, "--", "cat").stdout == content
    assert (
        live.inv("exec", app, "--user", "nobody", "--workdir", "/tmp", "--", "sh", "-c", "id -un; pwd").stdout == "nobody\n/tmp\n"
    )
    assert live.inv("exec", app, "--", "no-such-program").returncode == 127
    assert "push mode has no loop" in live.inv("explain", app).stdout
    missing = live.inv("exec", "nobody", "--", "true")
    assert (missing.returncode, "no node has an app 'nobody'" in missing.stderr) == (1, True)


def test_a_stranger_is_not_entered(cluster: Live, stranger: str) -> None:
    for words in (("exec", stranger, "--", "/bin/busybox", "true"), ("cp", f"{stranger}:/bin", ".")):
        refused = cluster.inv(*words)
        assert (refused.returncode, "no node has an app" in refused.stderr) == (1, True)


def test_an_image_without_a_shell_takes_commands_too(cluster: Live) -> None:
    app = cluster.post({"image": WEB_IMAGE})[1]["app"]
    done = cluster.inv("exec", app, "--", "/bin/busybox", "echo", "quack")
    assert (done.returncode, done.stdout) == (0, "quack\n"), done.stderr


def test_a_signal_reaches_the_command_in_the_container(shelled: tuple[Live, str], tmp_path: Path) -> None:
    live, app = shelled
    with running(
        live, tmp_path / "trap", "exec", app, "--", "sh", "-c", "trap 'exit 3' TERM; echo begun; while :; do sleep 0.1; done"
    ) as one:
        until("it runs", lambda: "begun" in one.out)
        assert one.ends_at(signal.SIGTERM) == 3
    with running(live, tmp_path / "sleep", "exec", app, "--", "sh", "-c", "echo begun; sleep 4321; true") as one:
        until("it runs", lambda: "begun" in one.out)
        assert one.ends_at(signal.SIGINT) == 130
    assert "4321" not in live.engine.run("top", app, "args").stdout


def test_with_a_terminal_keys_size_and_exit_code_are_passed_on(shelled: tuple[Live, str], tmp_path: Path) -> None:
    live, app = shelled
    with at_terminal(live, tmp_path / "shell", 91, 33, "exec", app) as shell:
        until("there is a prompt", lambda: shell.out.rstrip().endswith("#"))
        shell.types(b"stty size; echo $0\r")
        until("its size is ours", lambda: "33 91" in shell.out)
        resize(shell.keyboard, 77, 22)

        def resized() -> bool:
            shell.types(b"stty size\r")
            return "22 77" in shell.out

        until("it is resized", resized)
        shell.types(b"sleep 4321\r")
        until("it runs", lambda: "4321" in live.engine.run("top", app, "args").stdout)
        shell.types(b"\x03")
        until("it ended", lambda: "4321" not in live.engine.run("top", app, "args").stdout)
        shell.types(b"exit 9\r")
        assert shell.process.wait(timeout=20) == 9
    assert "Traceback" not in shell.out


def test_files_go_into_a_container_and_come_back_as_they_were(shelled: tuple[Live, str], tmp_path: Path) -> None:
    live, app = shelled
    source = tmp_path / "site"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "page").write_bytes(bytes(range(256)) * 4096)
    (source / "run").write_text("#!/bin/sh\n")
    (source / "run").chmod(0o755)
    assert live.inv("cp", str(source), f"{app}:/srv").returncode == 0
    back = live.inv("cp", f"{app}:/srv/site", str(tmp_path / "back"))
    assert (back.returncode, "(2 files)" in back.stderr) == (0, True), back.stderr
    assert (tmp_path / "back" / "sub" / "page").read_bytes() == (source / "sub" / "page").read_bytes()
    assert (tmp_path / "back" / "run").stat().st_mode & 0o777 == 0o755
    assert live.inv("cp", f"{app}:/srv/site/sub/page", str(tmp_path)).returncode == 0
    assert (tmp_path / "page").read_bytes() == (source / "sub" / "page").read_bytes()
    archive = typed_into(live, b"", "cp", f"{app}:/srv/site", "-").stdout
    assert typed_into(live, archive, "cp", "-", f"{app}:/tmp").returncode == 0
    assert live.inv("exec", app, "--", "stat", "-c", "%U %a", "/tmp/site/run").stdout == "root 755\n"
    for words in ((f"{app}:/nowhere", str(tmp_path)), (str(source), f"{app}:/nowhere/x/")):
        refused = live.inv("cp", *words)
        assert (refused.returncode, refused.stderr.count("\n"), "nowhere" in refused.stderr) == (1, 1, True), refused.stderr


def test_what_instances_use_is_measured(shelled: tuple[Live, str]) -> None:
    live, app = shelled
    busy = live.post({"image": NGINX_IMAGE, "command": ["sh", "-c", "while :; do :; done"], "stop_signal": "SIGKILL"})[1]["app"]
    found = {row["app"]: row for row in json.loads(live.inv("stats", "--json").stdout)}
    assert found.keys() == {app, busy}
    assert found[busy]["cpu_percent"] > 10 > found[app]["cpu_percent"] >= 0
    assert all(0 < row["memory_bytes"] < row["memory_limit_bytes"] for row in found.values())
    shown = live.inv("stats", busy).stdout.splitlines()
    assert (shown[0].split()[:4], len(shown)) == (["INSTANCE", "NODE", "CPU", "MEMORY"], 2)


def test_what_instances_use_is_shown_live_on_a_terminal_also_beside_a_frozen_node(
    shelled: tuple[Live, str], tmp_path: Path
) -> None:
    live, app = shelled
    node = live.nodes_of()[app]
    other = next(name for name in NODES if name != node)
    with at_terminal(live, tmp_path / "stats", 120, 20, "stats") as shown:
        until("it is shown", lambda: app in shown.out)
        assert live.inv("stop-node", other).returncode == 0
        try:
            until("the frozen node is named", lambda: f"unreachable: {other}" in shown.out)
            before = shown.out.count(app)
            until("the other goes on", lambda: shown.out.count(app) > before + 1)
        finally:
            assert live.inv("start-node", other).returncode == 0
        shown.types(b"\x03")
        assert shown.process.wait(timeout=20) == 130
    assert "Traceback" not in shown.out
