"""What ansible-playbook prints for us: one JSON object per line. Loaded by Ansible itself, read by `cli/roles/playbook.py`.

Only names, outcomes and reasons are handed over, never a task's arguments.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: duckconf_lines
    type: stdout
    short_description: one JSON object per line
    description: For the progress and the results of `./inv provision`.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "duckconf_lines"

    def v2_runner_on_ok(self, result: Any) -> None:
        self._tell("ok", result, changed=bool(result._result.get("changed")))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._tell("failed", result, reason=_reason(result._result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._tell("unreachable", result, reason=_reason(result._result))

    def _tell(self, event: str, result: Any, **facts: object) -> None:
        line = {"event": event, "host": result._host.get_name(), "task": result._task.get_name(), **facts}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def _reason(outcome: dict[str, Any]) -> str:
    """In one line: the first failed item's words, and the last that the program said, if it said anything."""
    items = outcome.get("results") or [outcome]
    failed = next((item for item in items if item.get("failed") or item.get("unreachable")), outcome)
    said = str(failed.get("stderr") or failed.get("module_stderr") or "").split("\n")
    last = next((line for line in reversed(said) if line.strip()), "")
    message = str(failed.get("msg") or "")
    words = message if last.strip() in message else f"{message}: {last}"
    return " ".join(words.split()).lstrip(": ") or "without a word"
