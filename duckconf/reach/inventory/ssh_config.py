"""What OpenSSH's configuration means for the hosts that we use: `ssh -G`, asked once per content of its files.

Where no file says anything and the inventory has no arguments for ssh, nobody is asked. Where there is no OpenSSH client,
Paramiko's parser stands in for it.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import json
import os
import pwd
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from duckconf.command import Command
from duckconf.errors import BadInput, Unreachable
from duckconf.inventory import ROOT, is_demo, used
from duckconf.reach.nodes.local import LocalRunner
from duckconf.reach.state.files import write_durably
from duckconf.ssh_config import (
    ERROR,
    NO_FILE,
    NOBODY,
    Question,
    asking_for_users,
    has_effect,
    includes,
    names_users,
    question,
    read_answer,
    varies,
)

SYSTEM = Path("/etc/ssh/ssh_config")
# A `Match exec` of the configuration may take its time, and a program that never ends is the trouble of its host alone.
ASK_DEADLINE = 10.0
AT_ONCE = 4
DEEPEST = 16
# An answer that may change by itself holds as long as this in a process that lives longer.
HOLDS = 300.0

Answers = dict[str, dict[str, list[str]]]


def ssh_answers(document: Mapping[str, Any], cache: Path, *, keep: bool) -> Answers:
    """By host, for those of which ssh's configuration says anything. With `keep`, they are remembered in the file `cache`."""
    questions = dict(_questions(document))
    texts = {file: Files(file) for file in {asked.file for asked in questions.values()}}
    due = {name: asked for name, asked in questions.items() if asked.added or has_effect(texts[asked.file].texts)}
    if not due:
        return {}
    if any(varies(files.texts) for files in texts.values()):
        return _while_it_holds(_digest(due, texts), functools.partial(_ask_all, due, texts))
    digest = _digest(due, texts)
    found = _remembered(cache, digest)
    if found is None:
        found = _ask_all(due, texts)
        if keep:
            cache.parent.mkdir(mode=0o700, exist_ok=True)
            write_durably(cache, json.dumps({"digest": digest, "answers": found}).encode())
    return found


def _questions(document: Mapping[str, Any]) -> Iterator[tuple[str, Question]]:
    """A demo host is found by its address alone, and arguments that nobody can read are told elsewhere."""
    for name in used(document):
        variables = document["hosts"][name]
        if not is_demo(variables):
            try:
                yield name, question(name, variables)
            except ValueError:
                continue


class Files:
    """The configuration files that ssh reads: those of the person and the system, or one named by `-F`."""

    def __init__(self, named: str = "") -> None:
        homes = dict.fromkeys((Path(pwd.getpwuid(os.getuid()).pw_dir), Path.home()))
        mine = [home / ".ssh" / "config" for home in homes]
        self.roots = [] if named == NO_FILE else [Path(named).expanduser()] if named else [*mine, SYSTEM]
        self._found: dict[Path, str] = {}
        for root in self.roots:
            self._read(root, SYSTEM.parent if root == SYSTEM else mine[0].parent, 0)

    @property
    def texts(self) -> list[str]:
        return list(self._found.values())

    @property
    def paths(self) -> list[Path]:
        return list(self._found)

    @property
    def contents(self) -> dict[str, str]:
        return {str(path): text for path, text in self._found.items()}

    def _read(self, path: Path, beside: Path, depth: int) -> None:
        if path in self._found or depth > DEEPEST:
            return
        try:
            self._found[path] = text = path.read_text("utf-8", "replace")
        except OSError:
            return
        for pattern in includes(text):
            for found in sorted(glob.glob(str(beside / Path(pattern).expanduser()))):
                self._read(Path(found), beside, depth + 1)


def _digest(due: Mapping[str, Question], texts: Mapping[str, Files]) -> str:
    asked = {name: [*each.argv, each.user] for name, each in due.items()}
    said = {file: files.contents for file, files in texts.items()}
    clients = {each.ssh: _stamp(each.ssh) for each in due.values()}
    return hashlib.sha256(json.dumps([asked, said, clients, os.getuid(), str(Path.home())], sort_keys=True).encode()).hexdigest()


def _stamp(ssh: str) -> str:
    """The client: another version may read the same files otherwise."""
    path = shutil.which(ssh)
    return f"{path} {os.stat(path).st_mtime_ns}" if path else ""


def _remembered(cache: Path, digest: str) -> Answers | None:
    try:
        kept = json.loads(cache.read_bytes())
        return kept["answers"] if kept["digest"] == digest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


_held: dict[str, tuple[float, Answers]] = {}
_holding = threading.Lock()


def _while_it_holds(digest: str, ask: Any) -> Answers:
    with _holding:
        now = time.monotonic()
        if digest not in _held or now - _held[digest][0] > HOLDS:
            _held.clear()
            _held[digest] = (now, ask())
        return _held[digest][1]


def _ask_all(due: Mapping[str, Question], texts: Mapping[str, Files]) -> Answers:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda asked: _ask(asked, texts[asked.file]), due.values())
        return dict(zip(due, answers))


def _ask(asked: Question, files: Files) -> dict[str, list[str]]:
    """As ssh reads it for who logs in: whoever Ansible says, else whoever the configuration says, else root."""
    if shutil.which(asked.ssh) is None:
        return _without_client(asked)
    if not asked.user and not _says_user(asked, files):
        asked = asked.said_by(ROOT)
    return _answer(asked)


def _says_user(asked: Question, files: Files) -> bool:
    """`ssh -G` names a user also where nobody said one, so it is asked with somebody behind all that is said."""
    if not names_users(files.texts, asked.added):
        return False
    with tempfile.NamedTemporaryFile("w", prefix="ssh-") as whole:
        whole.write(asking_for_users([str(path) for path in files.roots if path in files.paths]))
        whole.flush()
        return _answer(asked.with_file(whole.name)).get("user") != [NOBODY]


def _answer(asked: Question) -> dict[str, list[str]]:
    try:
        done = LocalRunner().run(Command(asked.argv, deadline=ASK_DEADLINE))
    except Unreachable:
        return {ERROR: [f"it did not answer within {ASK_DEADLINE:g} s"]}
    except BadInput as error:
        # A file that is marked as a program and is none.
        return {ERROR: [f"ansible_ssh_executable {error}"]}
    if not done.ok:
        return {ERROR: [" ".join(done.stderr.split()) or f"code {done.code}"]}
    return read_answer(done.stdout)


def _without_client(asked: Question) -> dict[str, list[str]]:
    # Costs a tenth of a second, and commands that reach no host come by here.
    import paramiko

    if asked.beyond_a_file:
        return {ERROR: [f"{' '.join(asked.beyond_a_file)} needs an OpenSSH client (apt-get install openssh-client)"]}
    found = paramiko.SSHConfig()
    try:
        for root in Files(asked.file).roots:
            if root.is_file():
                with root.open() as file:
                    found.parse(file)
        options = found.lookup(asked.host)
    except (OSError, ValueError, paramiko.SSHException) as error:
        return {ERROR: [str(error)]}
    if "proxyjump" in options:
        return {ERROR: ["ProxyJump needs an OpenSSH client (apt-get install openssh-client)"]}
    answer = {keyword: [value] if isinstance(value, str) else list(value) for keyword, value in options.items()}
    return {**answer, "port": [asked.port]} if asked.port else answer
