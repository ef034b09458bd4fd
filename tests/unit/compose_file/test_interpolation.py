"""Variables in a compose file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duckconf.compose_file.interpolation import interpolate

KNOWN = {"SET": "s", "EMPTY": "", "OTHER": "o"}


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("$SET", "s"),
        ("${SET}x", "sx"),
        ("$SET-x", "s-x"),
        ("${EMPTY}", ""),
        ("${NONE:-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${NONE-}", ""),
        ("${SET:?must}", "s"),
        ("${EMPTY?must}", ""),
        ("${SET:+y}", "y"),
        ("${EMPTY:+y}", ""),
        ("${EMPTY+y}", "y"),
        ("${NONE+y}", ""),
        ("${NONE:-${OTHER:-x}}", "o"),
        ("${NONE:-${NONE2:-a $SET b}}/c", "a s b/c"),
        ("${SET:-${NONE:?never looked at}}", "s"),
        ("$$SET $${SET}", "$SET ${SET}"),
        ("${NONE:-$$x}", "$x"),
        ("${NONE:-a:b-c?d+e}", "a:b-c?d+e"),
        ("no variable", "no variable"),
    ],
)
def test_a_variable_is_replaced_as_the_spec_says(text: str, meant: str) -> None:
    assert interpolate(text, KNOWN) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NONE}", "needs the variable NONE, which is not set"),
        ("$NONE", r"or write \$\{NONE:-\} where it may be empty"),
        ("${NONE:?give a password}", "needs the variable NONE: give a password"),
        ("${EMPTY:?}", "needs the variable EMPTY, which is not set"),
        ("${NONE?}", "needs the variable NONE"),
        ("${NONE:-${DEEP:?why}}", "needs the variable DEEP: why"),
        ("a $ b", r"a \$ that is no variable"),
        ("$1", r"a \$ that is no variable"),
        ("${SET", "goes on as none can"),
        ("${SET:-x", "without its closing brace"),
        ("${SET:-" * 3000, "nested deeper than 60 levels"),
        ("${SET/x/y}", "a variable SET that goes on as none can"),
        ("${}", "no variable"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        interpolate(text, KNOWN)


@given(st.text())
def test_text_whose_dollars_are_doubled_stays_as_it_was(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == text


@given(st.text(alphabet="${}:-?+AB "))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = interpolate(text, {"A": "1"})
    except ValueError:
        read = ""
    assert "${" not in read.replace("$", "", text.count("$$"))
