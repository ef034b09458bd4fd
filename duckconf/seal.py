"""The lines that the API keeps in a state file, by which a file that was cut is told from one that was edited.

Below the header stands `# revision N, next app-M, K apps`, at the end `# end of revision N`. A person who edits the file
keeps both; a file that was cut anywhere lacks the second, or its last newline. Such a file withdraws nothing.
"""

from __future__ import annotations

import re

# Versions before 2 wrote no number of apps and no end line.
MARK = re.compile(
    r"#\s*revision (?P<revision>[0-9]{1,15}), next app-(?P<number>[0-9]{1,15})\b(, (?P<apps>[0-9]{1,9}) apps)?.*\s*"
)
END = re.compile(r"^# end( of revision [0-9]{1,15})?[ \t\r]*$", re.MULTILINE)
EMPTY_END = "# end\n"
RESTORE = "restore the missing rows; if the file is complete, delete the lines `# revision` and `# end`"


def mark_line(revision: int, next_number: int, apps: int) -> str:
    numbers = f"revision {revision}, next app-{next_number}, {apps} apps"
    return f"# {numbers}: the API keeps this line, so that edits that cross are merged\n"


def end_line(revision: int) -> str:
    return f"# end of revision {revision}\n"


def why_incomplete(text: str, mark: re.Match[str] | None, *, header_only: bool) -> str:
    """Why a file must be taken for one that was cut or damaged; "" for one that is whole.

    `mark` is its revision line if there is one; `header_only` says that nothing but the header was found.
    """
    if "\0" in text:
        return "holds NUL bytes, so it is damaged"
    if not text.endswith("\n"):
        return "does not end with a newline, so it may be truncated: end its last line, or put the lost rows back"
    end = END.search(text)
    if end is None and mark is not None and mark["apps"] is not None:
        return f"has no line `# end of revision {mark['revision']}`, so it may be truncated: {RESTORE}"
    if end is None and header_only:
        return f"holds only the header, so it may be truncated: {RESTORE}; a state without apps ends with `# end`"
    if end is not None and end[1] and mark is None:
        return f"has lost its line `# revision`, or that line was damaged: {RESTORE}"
    return ""
