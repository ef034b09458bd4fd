"""What a person typed that Invoke could not parse, in our words: what is wrong, what would be right, an example. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from duckconf.suggest import meant

UNKNOWN = re.compile(r"No idea what (?P<quote>['\"])(?P<word>.*)(?P=quote) is!", re.DOTALL)
MISSING = re.compile(r"'.*' did not receive required positional arguments: (?P<names>.*)")
NO_VALUE = re.compile(r"Flag <Argument: (?P<name>[^ >]+).*> needed value and was not given one!")
# Tasks that take several words; to Invoke they are one, with commas.
SEVERAL = ("scale",)
# Tasks that take the command of a container after `--`.
TAKES_COMMAND = frozenset({"exec", "run", "start-app"})
# Tasks whose first word says what to do with what the second one names; to Invoke both are one.
ACTIONS = {"secret": ("set", "remove")}
# Tasks that take names beside their options, and those options that are followed by their value.
OPTIONS_BESIDE_NAMES = {"logs": frozenset({"--since", "--tail"}), "stats": frozenset({"--node"})}
EXAMPLE = re.compile(r"Example: (?P<command>.+)")


def asking_for_help(argv: Sequence[str]) -> list[str]:
    """`TASK … --help` as Invoke takes it: to a task with an argument, the word would be that argument."""
    words = list(argv)
    own = words[: words.index("--")] if "--" in words else words
    return [*words[:1], "--help", words[1]] if "--help" in own[2:] and not words[1].startswith("-") else words


def with_command(argv: Sequence[str]) -> list[str]:
    """The words of a command line, with those after `--`, the command of a container, as one option. Invoke would join them
    and forget where each one ended."""
    words = list(argv)
    if "--" not in words or TAKES_COMMAND.isdisjoint(words[: words.index("--")]):
        return words
    at = words.index("--")
    return [*words[:at], *(["--command", shlex.join(words[at + 1 :])] if words[at + 1 :] else [])]


def joined(argv: Sequence[str]) -> list[str]:
    """The words of a command line, with those of a task that takes several made one."""
    words: list[str] = []
    takes = False
    for word in argv:
        if takes and "=" in word and not word.startswith("-") and "=" in words[-1]:
            words[-1] += f",{word}"
        else:
            words.append(word)
            takes = word in SEVERAL or (takes and "=" in word and not word.startswith("-"))
    return words


def with_files(argv: Sequence[str]) -> list[str]:
    """The words of a command line, with the files of `apply` made one, with a line for each."""
    words = list(argv)
    if words[1:2] != ["apply"]:
        return words
    end = next((index for index, word in enumerate(words) if index > 1 and word.startswith("-")), len(words))
    return [*words[:2], *(["\n".join(words[2:end])] if end > 2 else []), *words[end:]]


def with_names(argv: Sequence[str]) -> list[str]:
    """The words of a command line, with the names that a task is given made one, wherever they stand."""
    words = list(argv)
    takes = OPTIONS_BESIDE_NAMES.get(words[1]) if len(words) > 1 else None
    if takes is None:
        return words
    names: list[str] = []
    options: list[str] = []
    is_value = False
    for word in words[2:]:
        (options if is_value or word.startswith("-") else names).append(word)
        is_value = word in takes and not is_value
    return [*words[:2], *(["--names", " ".join(names)] if names else []), *options]


def with_action(argv: Sequence[str]) -> list[str]:
    """The words of a command line, with an action and the name that it is for made one."""
    words = list(argv)
    for at, word in enumerate(words[:-2]):
        if words[at + 1] in ACTIONS.get(word, ()) and not words[at + 2].startswith("-"):
            return [*words[: at + 1], f"{words[at + 1]} {words[at + 2]}", *words[at + 3 :]]
    return words


def words_for(problem: str, task: str, options: Collection[str], tasks: Collection[str], doc: str) -> str:
    """`problem` in Invoke's words; `task` is the one that it was met in ("" before the first), `doc` its docstring."""
    if unknown := UNKNOWN.fullmatch(problem):
        return _unknown(unknown["word"], task, options, tasks, doc)
    if missing := MISSING.fullmatch(problem):
        names = missing["names"].replace("'", "").upper().replace("_", "-")
        return f"{task}: {names} {'are' if ',' in names else 'is'} missing{_right(task, doc)}"
    if no_value := NO_VALUE.fullmatch(problem):
        return f"{task}: --{no_value['name'].replace('_', '-')} needs a value{_right(task, doc)}"
    return f"{task}: {problem}{_right(task, doc)}" if task else problem


def _unknown(word: str, task: str, options: Collection[str], tasks: Collection[str], doc: str) -> str:
    if word.startswith("-") and task:
        return f"{task} has no option {word}{meant(word, options)}{_right(task, doc)}"
    if word.startswith("-"):
        return f"there is no option {word} before a task (./inv lists the tasks)"
    if task:
        return f"{task}: {word!r} is not expected here{_right(task, doc)}"
    return f"there is no task {word!r}{meant(word, tasks)} (./inv lists the tasks)"


def _right(task: str, doc: str) -> str:
    example = EXAMPLE.search(" ".join(doc.split()))
    return f" (such as {example['command']}; options: ./inv {task} --help)" if example else f" (options: ./inv {task} --help)"
