"""What `./inv lint` and `./inv test` run: every tool and every test once, all of them even when one complains."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from duckconf.cli.demo.images import ensure_images
from duckconf.cli.demo.local_engine import LocalEngine, install, require_engine
from duckconf.cli.terminal.edge import ROOT
from duckconf.cli.terminal.say import say

# A login that is not root may lack the second of them.
SYSTEM_PATH = "/usr/bin:/usr/sbin:/bin:/sbin"
SHELL = "inv .ci/run roles/node/files/docker-wrapper node-image/web/serve"
CHECKS = (
    "ruff check .",
    "ruff format --check .",
    "mypy",
    "lint-imports",
    "deptry .",
    f"shellcheck {SHELL}",
    f"shfmt -d -i 2 -ci {SHELL}",
    "ansible-lint --offline --profile production",
)
# Each worker takes whole test files, or a folder of them: tests/conftest.py. The slowest tests are listed: those are worth making
# faster.
AT_ONCE = ("--dist", "loadfile", "--no-loadscope-reorder", "--durations", "25")
MOST_WORKERS = 4


def run_checks(context: Any) -> int:
    """0 when every check passes."""
    missing = tuple(name for name in ("shellcheck", "shfmt") if shutil.which(name) is None)
    if missing:
        install(missing, f"{', '.join(missing)} missing")
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # The one that takes longest first. None of them reads from the terminal.
        options = {"warn": True, "hide": True, "in_stream": False}
        running = {pool.submit(context.run, check, **options): check for check in reversed(CHECKS)}
        for done in as_completed(running):
            result = done.result()
            say(f"• {running[done]}: {'ok' if result.ok else 'failed'}")
            if not result.ok:
                failed.append(running[done])
                say((result.stdout + result.stderr).strip())
    for check in failed:
        say(f"failed: {check}")
    return 1 if failed else 0


def run_tests(context: Any, only: str, *, everything: bool) -> int:
    """The exit code of pytest. `only` are arguments of its own; without them the quick tests run, or everything."""
    which = [] if everything else ["-m", "not slow"]
    # One more than there are processors: many tests wait for what a host does, or for a timeout. With two more the hosts of the
    # tests are so slow that they fall silent.
    workers = min((os.cpu_count() or 1) + 1, MOST_WORKERS)
    wanted = shlex.split(only) or ["-n", str(workers), *AT_ONCE, *which]
    with _compiling(ROOT / "tests") if not only else nullcontext():
        if needs_hosts(wanted):
            _prepare_hosts()
    return int(context.run(shlex.join(("python", "-m", "pytest", *wanted)), warn=True, pty=sys.stdout.isatty()).exited)


def needs_hosts(arguments: list[str]) -> bool:
    """Whether tests on real hosts may be among what pytest is asked for: no path means all of them."""
    places = [word.split("::")[0].rstrip("/") for word in arguments if word.startswith("tests")]
    return not places or any(place == "tests" or place.startswith("tests/e2e") for place in places)


@contextmanager
def _compiling(tests: Path) -> Iterator[None]:
    """Meanwhile, in a checkout that has just been made, every test is compiled: all workers would do so at the same time."""
    if (tests / "__pycache__").exists():
        yield
        return
    argv = (sys.executable, "-m", "pytest", "--collect-only", "-q", str(tests))
    # What is wrong with a test, the run itself tells.
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        yield


def _prepare_hosts() -> None:
    """What real hosts and engines need, once and before several workers ask for it at the same time."""
    require_engine()
    missing = ["docker.io"] if shutil.which("dockerd") is None else []
    missing += [] if any(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")) else ["libfaketime"]
    missing += [program for program in ("caddy", "haproxy") if shutil.which(program, path=SYSTEM_PATH) is None]
    missing += ["etcd-server"] if shutil.which("etcd", path=SYSTEM_PATH) is None else []
    if missing:
        why = "nodes are tested with docker too, with a clock that is wrong, and behind other programs: for that there is no"
        install(tuple(missing), f"{why} {' and no '.join(missing)}")
    ensure_images(LocalEngine(ROOT), ROOT)
