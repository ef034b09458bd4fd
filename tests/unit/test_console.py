"""The matcher of lessons lets pass what differs from run to run, and nothing that is wrong."""

from __future__ import annotations

import pytest

from tests.console import Step, difference, matches, steps

PAGE = """# A lesson

```console
$ ./inv up push
cluster demo: 3 nodes from inventory
  …
$ ./inv ps

$ ./inv down      # and all is gone
```

A picture has no prompt:

```
node-1 ── node-2
```
"""


def test_a_page_is_its_commands_with_what_is_shown_below_each() -> None:
    assert steps(PAGE) == [
        Step(4, "./inv up push", ("cluster demo: 3 nodes from inventory", "  …")),
        Step(7, "./inv ps", ("",)),
        Step(9, "./inv down      # and all is gone"),
    ]


@pytest.mark.parametrize("fence", ["```sh\n$ ./inv ps\n```", "```\n$ ./inv ps\n```", "```console\nAPP  NODE\n$ ./inv ps\n```"])
def test_a_command_that_would_not_be_run_is_refused(fence: str) -> None:
    with pytest.raises(ValueError, match=r"^line [12]: a "):
        steps(fence)


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        ("app-1  running  26s", "app-1         running  3m  "),
        ("2026-11-28 06:50:27  declared  [api 6817c866]", "2027-01-02 16:00:00  declared  [api 00ff00ff]"),
        ("started in 0.23 s: no container", "started in 12 s: no container"),
        ("unreachable: node-1: …", "unreachable: node-1: stopped answering"),
        ("… of disk are free", "7GiB of disk are free"),
        ("a (b) [c] * \\", "a (b) [c] * \\"),
    ],
)
def test_what_differs_from_run_to_run_matches(shown: str, seen: str) -> None:
    assert matches([shown], [seen])


@pytest.mark.parametrize(
    ("shown", "seen"),
    [
        (["app-1  running  0"], ["app-1  running  1"]),
        (["app-1  node-1"], ["app-1  node-2"]),
        (["app-1  running  26s"], ["app-1  running  -"]),
        (["[api 6817c866]"], ["[api 6817c86]"]),
        (["[api 6817c866]"], ["[loop 6817c866]"]),
        (["2026-11-28 06:50:27  declared"], ["06:50:27  declared"]),
        (["unreachable: node-1: …"], ["unreachable: node-2: stopped answering"]),
        (["node-1 …"], ["node-1 ready", "node-2 ready"]),
        (["a.c"], ["abc"]),
        (["one"], ["one", "two"]),
        (["one", "two"], ["one"]),
        (["one"], []),
        ([], ["one"]),
        (["cluster", "  …", "done"], ["cluster", "  making", "error: no engine", "done"]),
        (["cluster", "  …", "done"], ["cluster", "done"]),
        (["…", "done"], ["  making", "  making: done", "done"]),
    ],
)
def test_what_is_wrong_does_not(shown: list[str], seen: list[str]) -> None:
    assert not matches(shown, seen)
    assert difference(shown, seen)


def test_an_indented_ellipsis_stands_for_the_lines_of_progress() -> None:
    assert matches(["cluster", "  …", "done"], ["cluster", "  making node-1 …", "  making node-1: done in 2 s", "done"])
