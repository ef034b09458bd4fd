"""Files of variables as Docker Compose reads them."""

from __future__ import annotations

import pytest

from duckconf.compose_file.dotenv import read_dotenv

TEXT = """\
\ufeff# comment
PLAIN=a b   # and a comment
HASH=a#b
export EXPORTED = spaced
COLON: value
EMPTY=
SINGLE='$PLAIN "x" # no comment' # comment
DOUBLE="tab\\t\\"quoted\\" $PLAIN \\$PLAIN"
LINES="one
two"
TAKEN
ABSENT
USES=${TAKEN}/${NONE:-d}${NONE}
"""


def test_quotes_comments_variables_and_several_lines() -> None:
    assert read_dotenv(TEXT, {"TAKEN": "t"}) == {
        "PLAIN": "a b",
        "HASH": "a#b",
        "EXPORTED": "spaced",
        "COLON": "value",
        "EMPTY": "",
        "SINGLE": '$PLAIN "x" # no comment',
        "DOUBLE": 'tab\t"quoted" a b $PLAIN',
        "LINES": "one\ntwo",
        "TAKEN": "t",
        "USES": "t/d",
    }


def test_a_raw_file_is_taken_as_it_is() -> None:
    assert read_dotenv("A='x' # y\nB=$A", {}, raw=True) == {"A": "'x' # y", "B": "$A"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\nB='x\ny", "line 2: B has a ' that is not closed"),
        ("A=1\n=x", "line 2: should be NAME=VALUE"),
        ("A b=x", "line 1: a variable's name has no spaces"),
        ("A=${B", "line 1: A has a variable"),
    ],
)
def test_a_fault_has_its_line_and_no_value(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_dotenv(text, {})
