"""Why an app waits is told once for each reason, however often the wording swaps."""

from __future__ import annotations

from duckconf.told import MOST, Told


def test_reasons_that_swap_are_told_once_each_and_again_after_the_app_has_run() -> None:
    told = Told()
    assert [told.is_news("web", why) for why in ("a", "b", "a", "b")] == [True, True, False, False]
    assert told.is_news("db", "a")
    told.forget("web")
    assert [told.is_news(app, "a") for app in ("web", "db")] == [True, False]
    told.keep({"db"})
    assert [told.is_news(app, "a") for app in ("web", "db")] == [True, False]


def test_ids_make_no_other_reason_and_not_more_is_remembered_than_somebody_would_read() -> None:
    told = Told()
    assert [told.is_news("web", f"held by {digit * 64}") for digit in "ab"] == [True, False]
    for number in range(MOST):
        assert told.is_news("web", f"reason {number}")
    assert told.is_news("web", "held by c0ffee")
