import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.redaction import MASK, redacted, without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://cw:hush@db:5432/cw", "postgresql://cw:***@db:5432/cw"),
        ("postgresql://cw@db/cw", "postgresql://cw@db/cw"),
        ("connect to https://:hush@host failed", "connect to https://:***@host failed"),
        ("postgresql:///cw?host=/run&password=hush&x=1", "postgresql:///cw?host=/run&password=***&x=1"),
        ("postgresql://cw:hu@sh@db/cw", "postgresql://cw:***@db/cw"),
        ("http://localhost:8642/metrics", "http://localhost:8642/metrics"),
    ],
)
def test_password_inside_a_url_is_masked(text, shown):
    assert without_passwords(text) == shown


def test_secrets_are_masked_at_every_depth():
    fields = {"headers": {"Authorization": "Bearer x"}, "urls": ["a://u:p@h"], "api_key": "k", "port": 1}

    assert redacted("", fields) == {
        "headers": {"Authorization": MASK},
        "urls": ["a://u:***@h"],
        "api_key": MASK,
        "port": 1,
    }


def test_training_tokens_are_no_secret():
    fields = {"tokens": 1, "tokens_per_second": 2, "token": "x", "access_token": "x", "db_password": "x"}

    assert redacted("", fields) == {
        "tokens": 1,
        "tokens_per_second": 2,
        "token": MASK,
        "access_token": MASK,
        "db_password": MASK,
    }


def test_a_secret_that_is_not_set_is_shown_as_such():
    assert redacted("token", None) is None


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=8))
def test_no_password_survives(password):
    assert password not in without_passwords(f"postgresql://cw:{password}@db/cw").replace("postgresql", "")


@pytest.mark.parametrize("arguments", ["-H bmc001 -P hush -f /etc/pw", ["-H", "bmc001", "-P", "hush", "-f", "/etc/pw"]])
def test_password_among_arguments_is_masked(arguments):
    assert redacted("arguments", arguments) == f"-H bmc001 -P {MASK} -f /etc/pw"
