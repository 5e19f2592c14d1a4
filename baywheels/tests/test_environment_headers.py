"""The headers of feeds with a key."""

import pytest

from baywheels.environment import header_fields


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("X-Api-Key: a:b", {"X-Api-Key": "a:b"}),
        (
            "X-Api-Key: k\nAuthorization: Bearer t\n",
            {"X-Api-Key": "k", "Authorization": "Bearer t"},
        ),
        ('{"X-Api-Key": "k"}', {"X-Api-Key": "k"}),
    ],
)
def test_headers_are_lines_or_json(monkeypatch, text, fields):
    monkeypatch.setenv("HEADERS", text)

    assert header_fields("HEADERS") == fields


@pytest.mark.parametrize(
    "text",
    ["secret", ": secret", "a b: secret", "X: ", "X: secret\u00e9", '{"X": 5}', '{"X": "secret'],
)
def test_wrong_headers_are_refused_without_repeating_them(monkeypatch, text):
    monkeypatch.setenv("HEADERS", text)

    with pytest.raises(SystemExit, match="HEADERS must be lines like") as refused:
        header_fields("HEADERS")

    assert "secret" not in str(refused.value)
