"""The built-in policies: they come with the program as its code does, and mean the same wherever it runs."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from clusterwatch.policy.compiling import compile_policy
from clusterwatch.policy.rules import Policy

DEFAULT = "default"


@cache
def built_in_texts() -> dict[str, str]:
    """Return the TOML of each built-in policy by its name."""
    folder = files("clusterwatch.policy") / "builtin"
    texts = {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8") for file in folder.iterdir()}
    return dict(sorted(texts.items()))


@cache
def built_in(name: str = DEFAULT) -> Policy:
    """Return the built-in policy *name*.

    Raises:
        KeyError: There is none of that name.
    """
    return compile_policy(name, built_in_texts()[name], built_in_texts())
