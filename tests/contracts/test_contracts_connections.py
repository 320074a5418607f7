"""What every connector must say of a place that cannot be reached, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_truth import Truth, cases_of

from pydatastream.catalog import catalog
from pydatastream.core.errors import ConfigError, RetryLater

CASES = [
    case
    for kind in ("source", "sink")
    for name in catalog().names(kind)
    for case in cases_of(kind, name)
]


@pytest.fixture(params=CASES)
def truth(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Truth]:
    name, known = request.param
    made = known(tmp_path, request.getfixturevalue)
    yield made
    made.close()


NOBODY = r"127\.0\.0\.1:1"
"""Where nobody listens."""


def test_a_check_says_in_one_line_what_is_wrong(truth: Truth) -> None:
    """Port, credential, name, permission: whatever the system knows to refuse.

    Where nobody answers, somebody may later: that alone is waited for, all else is refused.
    """
    wrong = truth.wrong()
    assert wrong or not truth.server, "who needs a server can miss it: say what is told then"
    for words, component in wrong.items():
        with pytest.raises((ConfigError, RetryLater), match=words) as told:
            component.check()
        assert "\n" not in told.value.what
        assert isinstance(told.value, RetryLater) == words.startswith(NOBODY), told.value
