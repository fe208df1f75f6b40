"""What must not be shown: values of secret keys, passwords inside URLs."""

from __future__ import annotations

import re

MASK = "***"
"""What stands in the place of a secret."""

# "tokens" is what a model is trained on, "token" is a secret.
_SECRET_KEY = re.compile(
    r"passw(or)?d|authorization|api_?key|credential|(^|[_.-])(token|secrets?)($|[_.-])", re.IGNORECASE
)
# No space and no slash before the "@": a path that holds an "@" is not a password.
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@]*:)[^\s/]+(?=@)")
_QUERY_PASSWORD = re.compile(r"(?P<before>[?&](?:password|passwd|token|secret)=)[^&\s]+", re.IGNORECASE)
# Of ipmitool: password and keys. Programs take them as arguments, and other programs' -P is no secret.
_ARGUMENTS = "arguments"
_PASSWORD_ARGUMENT = re.compile(r"(?P<before>(?:^|\s)-[Pky]\s*)\S+")


def is_secret(key: str) -> bool:
    """Return whether the value of *key* must never be shown."""
    return _SECRET_KEY.search(key) is not None


def without_passwords(text: str) -> str:
    """Return *text* with the password of every URL in it masked."""
    return _QUERY_PASSWORD.sub(rf"\g<before>{MASK}", _URL_PASSWORD.sub(rf"\g<before>{MASK}", text))


def redacted(key: str, value: object) -> object:
    """Return *value* as it may be shown under *key*: secrets masked, at every depth of mappings and sequences."""
    if is_secret(key) and value not in (None, ""):
        return MASK
    if key == _ARGUMENTS and isinstance(value, str | list | tuple):
        words = value if isinstance(value, str) else " ".join(map(str, value))
        return without_passwords(_PASSWORD_ARGUMENT.sub(rf"\g<before>{MASK}", words))
    if isinstance(value, str):
        return without_passwords(value)
    if isinstance(value, dict):
        return {name: redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted("", inner) for inner in value]
    return value
