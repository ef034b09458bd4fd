"""The program behind `./inv`: Invoke's, with our words for what was typed wrong, and silent when its reader leaves early."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from duckconf.cli.terminal.guard import guard_terminal
from duckconf.cli.terminal.lean import without_mock, without_second_yaml
from duckconf.cli.terminal.typed import asking_for_help, joined, with_action, with_command, with_files, with_names, words_for
from duckconf.version import VERSION

with without_mock(), without_second_yaml():
    from invoke.collection import Collection
    from invoke.exceptions import Exit, ParseError
    from invoke.parser import Parser
    from invoke.program import Program

READER_LEFT = 141
INTERRUPTED = 130


class Duckconf(Program):
    def parse_core(self, argv: list[str] | None) -> None:
        before = sys.dont_write_bytecode
        with self._in_our_words():
            words = with_command(asking_for_help(sys.argv if argv is None else argv))
            super().parse_core(with_action(with_names(with_files(joined(words)))))
        # Invoke would have every call compile all modules of the tasks anew.
        sys.dont_write_bytecode = before

    def load_collection(self) -> None:
        """Invoke would copy each task in all its depth, to give it the name that it has already."""
        if any(self.args[name].value for name in ("collection", "search-root")):
            super().load_collection()
            return
        import tasks

        self.config.set_project_location(str(Path(tasks.__file__).parent))
        self.config.load_project()
        self.collection = tasks.namespace

    def parse_tasks(self) -> None:
        with self._in_our_words():
            super().parse_tasks()

    def _make_parser(self) -> Parser:
        """A parser that knows the tasks whose names were typed, wherever; all of them where none was. It copies each with all
        its options, which is a fifth of a call that only looks."""
        words = {part for word in self.argv for part in (word, word.partition("=")[2])}
        typed = [name for name, aliases in self.collection.task_names.items() if not words.isdisjoint((name, *aliases))]
        if not typed:
            return super()._make_parser()
        chosen = Collection()
        for name in typed:
            chosen.add_task(self.collection[name], name=name)
        unknown = self.config.tasks.ignore_unknown_help
        return Parser(initial=self.initial_context, contexts=chosen.to_contexts(ignore_unknown_help=unknown))

    def parse_cleanup(self) -> None:
        with self._in_our_words():
            super().parse_cleanup()

    @contextlib.contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            task = error.context.name or "" if error.context else ""
            options = error.context.flags if error.context and task else ()
            tasks = self.collection.task_names if hasattr(self, "collection") else ()
            doc = self.collection[task].__doc__ or "" if task else ""
            said = " ".join(words_for(str(error), task, options, tasks, doc).split())
            raise Exit(f"error: {said}", 1) from None
        except KeyboardInterrupt:
            raise Exit("interrupted", INTERRUPTED) from None


def main() -> None:
    guard_terminal()
    try:
        try:
            Duckconf(VERSION, name="Duckconf", binary="./inv").run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Such as `./inv ps | head -1`. The interpreter flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(READER_LEFT)


if __name__ == "__main__":
    main()
