"""What a terminal would act upon instead of showing it, spelled out. Pure, and the only place that knows which signs those are.

Containers, hosts and people provide texts that we print: an escape sequence in one of them could hide lines, rename the
window or type into the shell. Line ends and tabs stay. The spelling is JSON's wherever JSON does not spell the sign itself.
"""

from __future__ import annotations

import re

# Control characters of both sets, what turns the direction of writing, and halves of surrogate pairs, which cannot be printed.
ACTED_UPON = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
RETURN_AT_END = re.compile("\r+(?=\n|\\Z)")
# JSON spells those below itself, always.
SPACE = 0x20


def visible(text: str) -> str:
    if not ACTED_UPON.search(text):
        return text
    return ACTED_UPON.sub(_spelled, RETURN_AT_END.sub("", text))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < SPACE else f"\\u{code:04x}"
