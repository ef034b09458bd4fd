"""The tokens of a cluster: one for the operator and one per node, made once and kept in files of mode 0600.

They travel as files and nowhere else: no command line, no variable, no log ever holds one. The API knows them by
their hashes. To change one, remove its file and run `./inv provision`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from duckconf.cli.cluster.api import TOKEN_FILE
from duckconf.errors import SetupError
from duckconf.reach.api.secret import read_token
from duckconf.reach.state.files import write_durably

# Of 32 random bytes in base64: a shorter one was cut, and could be guessed.
TOKEN_LENGTH = 43
HASHES_FILE = "tokens.json"


@dataclass(frozen=True)
class TokenFiles:
    """Where the tokens of a cluster lie on the operator's machine."""

    operator: Path
    hashes: Path
    folder: Path

    def of(self, node: str) -> Path:
        return self.folder / node


def ensure_tokens(state: Path, nodes: Iterable[str]) -> TokenFiles:
    """Every token is there; those that were there are kept. A node that has left has no valid token any more."""
    files = TokenFiles(state / TOKEN_FILE, state / HASHES_FILE, state / "tokens")
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    operator = _hash_of(files.operator)
    known = {"operator": operator, "nodes": {node: _hash_of(files.of(node)) for node in nodes}}
    content = json.dumps(known, indent=2).encode() + b"\n"
    if not files.hashes.exists() or files.hashes.read_bytes() != content:
        write_durably(files.hashes, content)
    return files


def _hash_of(path: Path) -> str:
    if not path.exists():
        write_durably(path, f"{secrets.token_urlsafe(32)}\n".encode())
    token = str.__str__(read_token(path))
    if len(token) < TOKEN_LENGTH:
        raise SetupError(
            f"the token in {path} was cut: it has {len(token)} characters", "remove the file and run ./inv provision"
        )
    return hashlib.sha256(token.encode()).hexdigest()
