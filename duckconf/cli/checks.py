"""What `./inv lint` runs: every tool once, all of them even when one complains."""

from __future__ import annotations

import shutil
from typing import Any

from duckconf.cli.local_engine import install
from duckconf.cli.say import say

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


def run_checks(context: Any) -> int:
    """0 when every check passes."""
    missing = tuple(name for name in ("shellcheck", "shfmt") if shutil.which(name) is None)
    if missing:
        install(missing, f"{', '.join(missing)} missing")
    failed = []
    for check in CHECKS:
        say(f"• {check}")
        if context.run(check, warn=True).exited != 0:
            failed.append(check)
    for check in failed:
        say(f"failed: {check}")
    return 1 if failed else 0
