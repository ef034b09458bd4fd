"""The files of variables that `--env-file` names, read where the command was typed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from duckconf.cli.terminal.edge import typed_path
from duckconf.env_file import read_variables
from duckconf.errors import BadInput, Fault


def read_env_files(names: Iterable[str]) -> dict[str, str]:
    """All their variables, the later file's where two have the same; raises BadInput with file and line."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found |= read_variables(Path(typed_path(name)).read_text("utf-8"), os.environ)
        except OSError as error:
            raise BadInput(Fault("--env-file", f"{name} cannot be read: {error.strerror}")) from None
        except UnicodeDecodeError:
            raise BadInput(Fault("--env-file", f"{name} should be text in UTF-8")) from None
        except ValueError as error:
            raise BadInput(Fault("--env-file", f"{name}, {error}")) from None
    return found
