"""What TAB offers, in bash too, and from where the words come."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from duckconf.cli.terminal import complete, words
from duckconf.cli.terminal.complete import FILES, Words, candidates, main, read, words_file
from duckconf.cli.terminal.completion import SCRIPTS, script
from duckconf.cli.terminal.edge import ROOT
from duckconf.errors import BadInput

KNOWN: Words = {
    "task": [("logs", "show logs"), ("lint", "check"), ("drain", "")],
    "option logs": [("--follow", "go on"), ("--tail", "")],
    "app": [("web", "nginx"), ("db", "postgres")],
    "instance": [("web.2", "on node-1")],
    "stack": [("shop", "")],
    "node": [("node-1", ""), ("node-2", "")],
    "group": [("nodes", "2 nodes")],
    "mode": [("push", ""), ("agents", "")],
}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ([""], ["logs", "lint", "drain"]),
        (["l"], ["logs", "lint"]),
        (["--", ""], ["logs", "lint", "drain"]),
        (["logs", ""], ["web", "db", "web.2", "shop"]),
        (["logs", "-f", "web", "w"], ["web", "web.2"]),
        (["logs", "--f"], ["--follow"]),
        (["drain", "no"], ["node-1", "node-2", "nodes"]),
        (["ps", "--node", "node-"], ["node-1", "node-2"]),
        (["ps", "--node=node-2"], ["--node=node-2"]),
        (["ps", "--node", "=", "node-2"], ["node-2"]),
        (["ps", "--node", "="], ["node-1", "node-2", "nodes"]),
        (["up", "a"], ["agents"]),
        (["up", "--topology", ""], ["own", "shared"]),
        (["scale", "w"], ["web="]),
        (["cp", "d"], ["db:", FILES]),
        (["apply", ""], [FILES]),
        (["exec", "web", "--", "l"], [FILES]),
        (["exec", "zzz"], []),
        (["no-such-task", ""], []),
    ],
)
def test_the_words_that_may_come_next_are_offered(typed: list[str], offered: list[str]) -> None:
    assert [word for word, _ in candidates(typed, KNOWN)] == offered


def test_every_task_that_completes_something_is_a_task_and_every_option_one_of_some_task() -> None:
    told = list(words._tasks())
    names = {word for kind, word, _ in told if kind == "task"}
    assert complete.TAKES.keys() <= names
    assert complete.VALUES.keys() <= {word for kind, word, _ in told if kind.startswith("option ")}
    assert ("option logs", "--follow") in {(kind, word) for kind, word, _ in told}
    assert all(about for kind, _, about in told if kind == "task")


def test_words_that_are_old_serve_and_are_renewed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    renewed: list[bool] = []
    monkeypatch.setattr(complete, "renew", lambda root, *, wait: renewed.append(wait))
    main(str(tmp_path), "bash", ["l"])
    assert (capsys.readouterr().out, renewed) == ("", [True])
    path = Path(words_file(str(tmp_path), dict(os.environ)))
    path.parent.mkdir()
    path.write_text("task\tlogs\tshow logs\n")
    main(str(tmp_path), "bash", ["l"])
    assert (capsys.readouterr().out, renewed) == ("logs\n", [True])
    old = time.time() - 60
    os.utime(path, (old, old))
    for shell, line in (("fish", "logs\tshow logs\n"), ("zsh", "logs:show logs\n")):
        main(str(tmp_path), shell, ["l"])
        assert capsys.readouterr().out == line
    assert renewed == [True, False]


def test_each_cluster_that_the_environment_names_has_words_of_its_own() -> None:
    files = {words_file("/x", environ) for environ in ({}, {"DUCKCONF_CLUSTER": "a"}, {"DUCKCONF_INVENTORY": "../b/c.yml"})}
    assert files == {"/x/.duckconf/words", "/x/.duckconf/words-a", "/x/.duckconf/words-___b_c_yml"}


def test_what_cannot_be_asked_for_now_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUCKCONF_API", "http://127.0.0.1:1")
    monkeypatch.setenv("DUCKCONF_CLUSTER", "never-up")
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "of_cluster", lambda _: (_ for _ in ()).throw(BadInput()))
    path = Path(words_file(str(tmp_path), dict(os.environ)))
    path.parent.mkdir()
    path.write_text("app\tweb\tnginx\nnode\tgone\t\n")
    words.main()
    found = read(str(path))
    assert found["app"] == [("web", "nginx")]
    assert ("gone", "") not in found["node"]
    assert "logs" in dict(found["task"])
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_program_behind_tab_loads_nothing_that_takes_time() -> None:
    argv = [
        sys.executable,
        "-I",
        "-S",
        "-X",
        "importtime",
        str(ROOT / "duckconf/cli/terminal/complete.py"),
        "/nowhere",
        "bash",
        "l",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"posix", "time"} <= loaded
    assert not {name for name in loaded if name.partition(".")[0] in ("re", "json", "subprocess", "duckconf", "invoke", "yaml")}


def test_bash_completes_through_the_wrapper_and_only_for_this_checkout(tmp_path: Path) -> None:
    environ = {**os.environ, "DUCKCONF_CLUSTER": f"t{os.getpid()}"}
    path = Path(words_file(str(ROOT), environ))
    path.parent.mkdir(exist_ok=True)
    path.write_text("task\tlogs\t\napp\tweb\t\napp\twasp\t\n")
    there = tmp_path / "inv"
    there.write_text("#!/bin/sh\ntouch was-run\n")
    there.chmod(0o755)

    def offered(folder: Path, *typed: str) -> list[str]:
        ask = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _duckconf_inv; printf "%s\\n" "${COMPREPLY[@]}"'
        argv = ["bash", "--norc", "-c", f"{script('bash', ROOT)}\n{ask}", "bash", "./inv", *typed]
        done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.split()

    try:
        assert offered(ROOT, "lo") == ["logs"]
        assert offered(ROOT, "logs", "w") == ["web", "wasp"]
        assert offered(ROOT, "cp", "we") == ["web:"]
        assert offered(tmp_path, "lo") == []
        assert not (tmp_path / "was-run").exists()
    finally:
        path.unlink()


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_names_the_checkout_with_its_quotes(shell: str) -> None:
    assert "'/a b/c'/inv --complete" in script(shell, Path("/a b/c"))


def test_another_shell_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match=r"should be bash, zsh or fish, got 'zhs'; did you mean zsh\?"):
        script("zhs", ROOT)
