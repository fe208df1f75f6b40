from pathlib import Path

from clusterwatch.config import reference_markdown

REFERENCE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_written_reference_is_the_one_the_settings_give():
    assert REFERENCE.read_text() == reference_markdown(), 'run "make reference"'


def test_reference_names_keys_variables_and_defaults():
    reference = reference_markdown()

    assert "| `port` | whole number, from 0 to 65535 | `8642` |" in reference
    assert "`CLUSTERWATCH_SERVER__HOST`" in reference
    assert "## `[[jobs]]`" in reference
