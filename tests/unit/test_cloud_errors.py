"""What DashScope's refusals mean for the chain: pass by, refuse this text, or refuse everything."""

from __future__ import annotations

import pytest

from broadcaster.cloud.cloud_errors import failed, refused

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("code", "retryable", "denied"),
    [
        ("InvalidApiKey", False, True),
        ("Arrearage", False, True),
        ("Model.AccessDenied", False, True),
        ("InvalidParameter", False, False),
        ("DataInspectionFailed", False, False),
        ("Throttling.RateQuota", True, False),
        ("InternalError", True, False),
        (None, True, False),
    ],
)
def test_a_code_says_whether_to_ask_again_and_whether_to_ask_at_all(
    code: object, retryable: bool, denied: bool
) -> None:
    error = failed(code)
    assert (error.retryable, error.denied) == (retryable, denied)
    assert (" -> " in str(error)) is not retryable


@pytest.mark.parametrize(("status", "denied"), [(401, True), (403, True), (429, False), (500, False)])
def test_a_handshake_refused_for_good_is_known(status: int, denied: bool) -> None:
    error = refused(status)
    assert (error.retryable, error.denied) == (not denied, denied)
