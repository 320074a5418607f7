from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from window_streams import CUTS, TOTALS, run, seconds, stream, streams, summary

from pydatastream.operators.session import Session, regrouped


def oracle(events, gap, lateness, most=None):
    """Row by row, exactly as the words say."""
    opened, done, late = {}, [], []
    for event in events:
        end = event.at + gap
        if most:
            end = min(end, event.at // most * most + most)
        if end + lateness <= event.clock:
            late.append(event.id)
        else:
            mine = opened.setdefault(event.key, [])
            met = [s for s in mine if s[0] < end and event.at < s[1]]
            merged = (
                min([event.at, *(s[0] for s in met)]),
                max([end, *(s[1] for s in met)]),
                [*(row for s in met for row in s[2]), event],
            )
            opened[event.key] = [s for s in mine if s not in met] + [merged]
        for key, mine in opened.items():
            done += [(key, s) for s in mine if s[1] + lateness <= event.after]
            opened[key] = [s for s in mine if s[1] + lateness > event.after]
    done += [(key, s) for key, mine in opened.items() for s in mine]
    return sorted(((key, s[0], s[1], *summary(s[2])) for key, s in done), key=repr), late


def found(ran):
    rows = [
        (r["k"], seconds(r["window_start"]), seconds(r["window_end"]), r["n"], r["total"], r["hi"])
        for r in ran.rows
    ]
    return sorted(rows, key=repr)


@settings(max_examples=250, deadline=None)
@given(streams(), CUTS, st.integers(1, 15), st.integers(0, 9), st.sampled_from([None, 15, 40]))
def test_any_cut_gives_what_row_by_row_gives(events, cuts, gap, lateness, most):
    step = Session(
        gap=f"{gap}s", by=["k"], aggregate=TOTALS, lateness=f"{lateness}s",
        max_length=f"{most}s" if most else None,
    )  # fmt: skip
    sessions, late = oracle(events, gap, lateness, most)
    ran = run(step, events, cuts)
    assert found(ran) == sessions
    assert sorted(ran.late) == late


def test_a_tardy_row_does_not_join_a_session_that_had_closed():
    events = stream([("a", 0, 1.0, 0), ("b", 12, 1.0, 0), ("a", 5, 2.0, 0)])
    step = Session(gap="10s", by="k", aggregate=TOTALS)
    whole, cut = run(step, events), run(step, events, [1, 2])
    assert found(whole) == found(cut)
    assert [row[:4] for row in found(whole)] == [("a", 0, 10, 1), ("a", 5, 15, 1), ("b", 12, 22, 1)]


def test_a_row_exactly_a_gap_later_begins_the_next():
    step = Session(gap="10s", by="k", aggregate=TOTALS)
    ran = run(step, stream([("a", 0, 1.0, 0), ("a", 9, 1.0, 0), ("a", 19, 1.0, 0)]))
    assert [row[1:4] for row in found(ran)] == [(0, 19, 2), (19, 29, 1)]


def test_a_late_row_may_bridge_two_open_sessions():
    step = Session(gap="10s", by="k", aggregate=TOTALS, lateness="1m")
    events = stream([("a", 0, 1.0, 0), ("a", 15, 1.0, 0), ("a", 8, 1.0, 0)])
    assert [row[1:4] for row in found(run(step, events, [1, 2]))] == [(0, 25, 3)]


def test_without_keys_and_with_many_pieces():
    events = stream([("a", at, 1.0, 0) for at in range(0, 400, 2)])
    ran = run(Session(gap="5s", aggregate=TOTALS), events, range(200))
    assert [(r["n"], seconds(r["window_end"])) for r in ran.rows] == [(200, 403)]


def test_null_keys():
    events = stream([(None, 1, 1.0, 0), ("a", 2, 2.0, 0), (None, 3, 3.0, 0)])
    assert run(Session(gap="5s", by="k", aggregate=TOTALS), events).refused[0] == (
        0,
        "key k is null",
    )
    kept = run(Session(gap="5s", by="k", aggregate=TOTALS, nulls="keep"), events, [1, 2])
    assert found(kept) == [("a", 2, 7, 1, 2.0, 2.0), (None, 1, 8, 2, 4.0, 3.0)]


def test_regrouped_row_by_row():
    spans = [(0, 10, -9), (12, 22, -9), (5, 15, 10), (11, 21, 10)]
    assert sorted(map(sorted, regrouped(spans))) == [[0], [1, 2, 3]]


def test_what_cannot_be_is_refused_at_check():
    with pytest.raises(ValidationError, match="at least 1us"):
        Session(gap="0s", aggregate=TOTALS)
    with pytest.raises(ValidationError, match="at least as long"):
        Session(gap="10s", max_length="5s", aggregate=TOTALS)
