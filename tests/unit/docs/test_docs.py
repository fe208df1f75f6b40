"""The documentation against the code: generated blocks, commands, links and examples.

CLUSTERWATCH_WRITE_DOCS=1 writes the generated blocks again instead of comparing them.
"""

import ast
import inspect
import json
import os
import re
import shlex
import tomllib
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cases import all_cases
from clusterwatch import detect, pipeline, resources
from clusterwatch.act.local_process import VARIABLES
from clusterwatch.app.evaluating import evaluate, evaluate_unseen
from clusterwatch.app.flight_recorder import examined
from clusterwatch.app.offline import diagnose_text
from clusterwatch.app.replay import Asked, replay
from clusterwatch.cli import app
from clusterwatch.cli.views import resume
from clusterwatch.cli.views.diagnosis import diagnosis_json
from clusterwatch.cli.views.evaluation import evaluation_markdown
from clusterwatch.cli.views.localisation import localisation_json
from clusterwatch.cli.views.policies import policy_table
from clusterwatch.config import load
from clusterwatch.goodput import Reason
from clusterwatch.model import NEXT_STATES, NEXT_STEP_STATES, Cause, ComponentKind, Event, Role, kinds
from clusterwatch.policy import FACTS, View, built_in, compile_policy
from clusterwatch.seams import Collector, Question, Site
from clusterwatch.testing.plugin import scenario_mistakes, unmet
from collectors.bmc import BmcSettings
from collectors.checkpoints import CheckpointSettings
from collectors.disks import DiskSettings
from collectors.fabric import FabricSettings
from collectors.kernel_log import KernelLogSettings
from collectors.pcie_edac import PcieEdacSettings
from collectors.slurm import SlurmSettings
from ledger_example import goodput_example, reasons_table
from shipped import shipped_log_catalog
from simulators.trace.generating import generate
from simulators.trace.schedule import RECORD_TYPES, header
from simulators.trace.specs import builtin_names, builtin_spec
from simulators.whatif.estimating import WhatIf
from simulators.whatif.scenario import Scenario

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(ROOT.glob("docs/**/*.md"))
SETTINGS = {
    "kernel_log": KernelLogSettings,
    "checkpoints": CheckpointSettings,
    "fabric": FabricSettings,
    "bmc": BmcSettings,
    "pcie_edac": PcieEdacSettings,
    "disks": DiskSettings,
    "slurm": SlurmSettings,
}
BLOCK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def state_diagram(table, first):
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, following in table.items():
        lines += [f"    {state} --> {after}" for after in sorted(following)] or [f"    {state} --> [*]"]
    return "\n".join([*lines, "```", ""])


def kinds_table():
    """Return the constants of `kinds` with the text that stands below each."""
    body = ast.parse(inspect.getsource(kinds)).body
    pairs = [
        (getattr(kinds, named.targets[0].id), inspect.cleandoc(told.value.value))
        for named, told in pairwise(body)
        if isinstance(named, ast.Assign) and isinstance(told, ast.Expr)
    ]
    rows = [f"| `{kind}` | {' '.join(text.split())} |" for kind, text in pairs]
    return "\n".join(["| kind | meaning and fields |", "|---|---|", *rows, ""])


def layers():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    contract = next(each for each in settings["contracts"] if each["id"] == "layers")
    return "\n".join(["```text", *contract["layers"], "```", ""])


def variables_table(variables=VARIABLES):
    rows = [f"| `{name}` | {meaning} |" for name, meaning in variables.items()]
    return "\n".join(["| variable | meaning |", "|---|---|", *rows, ""])


def example_diagnosis():
    """Return what the command prints about the example, without what the page does not speak of."""
    text = (EXAMPLES / "logs" / "lost-gpu.log").read_text()
    found = diagnosis_json(diagnose_text(text, shipped_log_catalog(), NOON, "lost-gpu.log")[0])
    told = {
        name: found[name] for name in ("cause", "confidence", "alternatives", "suspects", "evidence", "explanation")
    }
    told["evidence"] = [{**line, "text": f"{line['text'][:60]}..."} for line in told["evidence"]]
    return f"```json\n{json.dumps(told, indent=2)}\n```\n"


def example_localisation():
    """Return what the command prints about the dumps of the example."""
    found = localisation_json(examined(EXAMPLES / "flight-recorder").answer)
    return f"```json\n{json.dumps(found, indent=2)}\n```\n"


def accuracy(make):
    return evaluation_markdown(make(tuple(all_cases()), shipped_log_catalog(), NOON))


def collector_settings():
    """Return a table of the settings that each collector takes beside those that all have."""
    rows = [row for name, settings in SETTINGS.items() for row in settings_rows(name, settings)]
    return "\n".join(["| collector | key | default | meaning |", "|---|---|---|---|", *rows, ""])


def settings_rows(collector, settings):
    attributes = settings.__doc__.partition("Attributes:")[2]
    meanings = dict(re.findall(r"^ +(\w+): (.+)", attributes, re.MULTILINE))
    for field in fields(settings):
        default = " ".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = json.dumps(default if isinstance(default, bool | int | float) else str(default))
        yield f"| `{collector}` | `{field.name}` | `{shown}` | {meanings[field.name]} |"


def markdown(headings, rows):
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def traces_table():
    return markdown(["trace", "what"], [[f"`{name}`", builtin_spec(name).about] for name in builtin_names()])


def trace_categories():
    """Return how the figures of others became causes, but for those that have one cause and no reason."""
    rows = [
        [f"`{name}`", each.name, f"{each.count:g}", causes_of(each), memory_and(each)]
        for name in builtin_names()
        for each in builtin_spec(name).category
        if len(each.causes) > 1 or each.from_memory
    ]
    return markdown(["trace", "row of the source", "count or weight", "causes", "why"], rows)


def causes_of(category):
    shares = sum(category.causes.values())
    return ", ".join(
        f"`{cause}`" if len(category.causes) == 1 else f"`{cause}` {share / shares:.0%}"
        for cause, share in category.causes.items()
    )


def memory_and(category):
    return "; ".join(filter(None, (category.why, "from memory" if category.from_memory else "")))


def trace_assumptions():
    """Return the assumptions in the header of llama3-54d, as the file holds them."""
    made = header(generate(builtin_spec("llama3-54d"), days=0.01))["assumptions"]
    rows = [
        [f"`{name}`", f"{each['value']:g}", each["unit"], "yes" if each["published"] else "no", each["source"]]
        for name, each in made.items()
        if not name.startswith("count_") and not (name.startswith("share_") and each["value"] == 1)
    ]
    return markdown(["name", "value", "unit", "published", "source"], rows)


def trace_records():
    """Return the keys of each sort of record, from its class."""
    rows = [
        [f"`{kind}`", ", ".join(f"`{key.name}`" for key in fields(of)), " ".join(inspect.cleandoc(of.__doc__).split())]
        for kind, of in RECORD_TYPES.items()
    ]
    return markdown(["type", "keys", "meaning"], [[cell.replace("Attributes: ", "") for cell in row] for row in rows])


@cache
def what_if():
    """Return the answer that the page shows: every policy, and three changes of the default one."""
    return WhatIf().estimate(Question(changes=("spares=+16", "restart=-60", "interval=600")), lambda runs, points: None)


def what_if_policies():
    rows = [
        f"| {each.title} | {each.ettr.mean:.2%} | {each.counts['repeats']:.0f} | {each.counts['manual']:.0f} |"
        for each in what_if().policies
    ]
    return "\n".join(["| policy | ETTR | struck again | asks a person |", "|---|---:|---:|---:|", *rows, ""])


def what_if_changes():
    rows = [
        f"| `{each.label}` | {each.points.mean:+.2f} | {round(each.gpu_hours.mean, -3):+,.0f} |"
        for each in what_if().changes
    ]
    return "\n".join(["| change | points of ETTR | GPU-hours in 54 days |", "|---|---:|---:|", *rows, ""])


def what_if_settings():
    """Return every setting with its default and what its class says of it."""
    told = re.sub(
        r"\n {12,}", " ", inspect.getdoc(Scenario).partition("Attributes:")[2].replace("\n    ", "\n        ")
    )
    rows = []
    for names, meaning in re.findall(r"^ +([a-z_0-9, ]+): (.+)", told, re.MULTILINE):
        defaults = ", ".join(
            f"`{name}` {WhatIf().settings()[name] or 'as the policy says'}" for name in names.split(", ")
        )
        rows.append(f"| {defaults} | {meaning} |")
    return "\n".join(["| setting and default | meaning |", "|---|---|", *rows, ""])


def facts_table():
    """Return the facts that rules can name, each with what it may be compared with and what it is."""
    rows = [
        [f"`{fact}`", COMPARED_AS.get(kind, "text"), " ".join(inspect.cleandoc(vars(View)[fact].func.__doc__).split())]
        for fact, kind in FACTS.items()
    ]
    return markdown(["fact", "is", "meaning"], rows)


COMPARED_AS = {bool: "true or false", int: "a number", float: "a number"}

GENERATED = {
    "goodput-example": goodput_example,
    "reasons": reasons_table,
    "policy-default": lambda: policy_table(built_in("default")),
    "policy-cautious": lambda: policy_table(built_in("cautious")),
    "policy-requeue": lambda: policy_table(built_in("requeue")),
    "policy-facts": facts_table,
    "built-in-traces": traces_table,
    "trace-assumptions": trace_assumptions,
    "trace-categories": trace_categories,
    "trace-records": trace_records,
    "what-if-policies": what_if_policies,
    "what-if-changes": what_if_changes,
    "what-if-settings": what_if_settings,
    "collector-settings": collector_settings,
    "diagnosis-example": example_diagnosis,
    "localisation-example": example_localisation,
    "accuracy": lambda: accuracy(evaluate),
    "accuracy-unseen": lambda: accuracy(evaluate_unseen),
    "incident-states": lambda: state_diagram(NEXT_STATES, "open"),
    "step-states": lambda: state_diagram(NEXT_STEP_STATES, "recorded"),
    "kinds": kinds_table,
    "layers": layers,
    "variables": variables_table,
    "resume-variables": lambda: variables_table(resume.VARIABLES),
}


def blocks():
    return [(page, match["name"]) for page in PAGES for match in BLOCK.finditer(page.read_text())]


@pytest.mark.parametrize(("page", "name"), blocks(), ids=str)
def test_generated_block_is_what_the_code_says(page, name):
    text, current = page.read_text(), GENERATED[name]()
    block = next(found for found in BLOCK.finditer(text) if found["name"] == name)
    if os.environ.get("CLUSTERWATCH_WRITE_DOCS"):
        begin, end = block.span("body")
        page.write_text(text[:begin] + current + text[end:])
        return

    # Lists of lines: the first one that differs is named, and two long texts are not compared sign by sign.
    assert block["body"].splitlines() == current.splitlines(), "run this test with CLUSTERWATCH_WRITE_DOCS=1"


def test_every_generated_block_stands_somewhere():
    assert {name for _, name in blocks()} == set(GENERATED)


def lines_of_commands(page):
    """Return the command lines of console blocks and of code in running text."""
    text = page.read_text()
    console = [
        line[2:] for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]
    quoted = re.findall(r"`(clusterwatch [^`]+)`", text)
    return [line for line in [*console, *quoted] if "clusterwatch" in line]


def invocations(line):
    """Return the arguments of each `clusterwatch` in a line of shell."""
    for part in re.split(r"\s*(?:&&|;|\|)\s*", line):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        if words[:1] == ["clusterwatch"]:
            yield words[1:]


COMMANDS = sorted({tuple(found) for page in PAGES for line in lines_of_commands(page) for found in invocations(line)})


@cache
def help_of(path):
    return CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})


def longest_command(words):
    """Return the command that *words* begin with, as a path, and the words after it."""
    for length, word in enumerate(words):
        is_group = "COMMAND [ARGS]" in help_of(tuple(words[:length])).output
        if not is_group or not re.fullmatch(r"[a-z][a-z-]*", word):
            return tuple(words[:length]), words[length:]
    return tuple(words), []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_command_in_the_documentation_exists_with_its_options(words):
    # What stands behind -- belongs to the supervised command; "list|show" names two commands.
    ours = [word for word in words[: words.index("--") if "--" in words else None] if word not in ("CMD...", "...")]
    for alternative in ours[-1].split("|") if ours and "|" in ours[-1] else [None]:
        chosen = ours if alternative is None else [*ours[:-1], alternative]
        path, rest = longest_command(chosen)

        shown = help_of(path)

        assert shown.exit_code == 0, shown.output
        options = [word.partition("=")[0] for word in rest if word.startswith("-")]
        assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", shown.output)] == []


def anchors(page):
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith("http")]

    for link in links:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = [page.relative_to(ROOT / "docs") for page in PAGES if (ROOT / "docs") in page.parents]

    assert [str(page) for page in pages if page.name != "README.md" and f"({page})" not in index] == []


def test_every_reason_of_the_ledger_is_explained():
    text = (ROOT / "docs" / "architecture.md").read_text()

    assert [reason.value for reason in Reason if f"`{reason}`" not in text] == []


def test_readme_names_every_variable_of_a_supervised_command():
    text = (ROOT / "README.md").read_text()

    assert [name for name, meaning in VARIABLES.items() if f"| `{name}` | {meaning} |" not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_toml_in_the_documentation_is_of_a_form_that_is_read(page, tmp_path):
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)):
        tables = tomllib.loads(text)
        if "rule" in tables:
            detect.compile_catalog({"site.toml": text})
        elif "trace" in tables:
            assert list(scenario_mistakes(tables)) == []
        elif "project" not in tables:
            file = tmp_path / f"{number}.toml"
            file.write_text(text)
            load(file)


def site_catalog():
    return detect.compile_catalog(resources.catalog_texts(EXAMPLES / "rules"))


def test_site_rules_of_the_example_recognise_their_own_lines():
    catalog = site_catalog()
    rule = next(rule for rule in catalog.rules if rule.name == "site-scratch-quota")

    assert all(rule.pattern.search(line) for line in rule.match)
    assert not any(rule.pattern.search(line) for line in rule.no_match)
    assert catalog.knowledge[rule.kind].leading_cause is Cause.STORAGE


def edac_collector():
    names = {}
    exec(compile((EXAMPLES / "collector" / "edac.py").read_text(), "edac.py", "exec"), names)
    return names["EdacCollector"]()


def test_collector_of_the_example_tells_new_errors_once_and_they_have_a_meaning(tmp_path):
    counter = tmp_path / "mc0" / "ue_count"
    counter.parent.mkdir()
    counter.write_text("1\n")
    collector: Collector = edac_collector()
    site = Site("node001", "boot", {"root": str(tmp_path)})

    first = collector.collect(site, {}, NOON)
    counter.write_text("3\n")
    second = collector.collect(site, first.position, NOON)
    third = collector.collect(site, second.position, NOON)

    assert (len(first.readings), len(second.readings), len(third.readings)) == (0, 1, 0)
    catalog = site_catalog()
    _, events, _ = pipeline.observe(detect.ObserverState(), second.readings, catalog, NOON)
    (event,) = events
    assert isinstance(event, Event)
    assert event.text == "2 uncorrected memory errors on mc0"
    assert catalog.knowledge[event.kind].role is Role.FAULT
    assert catalog.knowledge[event.kind].suspect is ComponentKind.DIMM


def test_collector_of_the_example_states_that_there_is_nothing_to_read(tmp_path):
    collected = edac_collector().collect(Site("node001", "boot", {"root": str(tmp_path)}), {}, NOON)

    assert collected.condition == f"no memory controller at {tmp_path}"


def test_rules_of_the_example_policy_are_in_order():
    policy = compile_policy("site-policy.toml", (EXAMPLES / "site-policy.toml").read_text())

    assert policy.rules[-1].when == ()


def test_policy_of_the_example_is_simulated_beside_the_default():
    text = (EXAMPLES / "what-if" / "two-minute-watch.toml").read_text()

    watch, *_ = WhatIf().estimate(Question(policies_text=text, precision=1.0), lambda runs, points: None).policies

    assert watch.label == "two_minute_watch"
    assert 0.9 < watch.ettr.mean < 0.97


def test_example_of_a_tested_policy_holds():
    text = (ROOT / "docs" / "replay.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (scenario,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    namespace = {}
    exec(compile(code, "replay.md", "exec"), namespace)  # our own page

    namespace["test_policy"](lambda trace, policy: replay(Asked(trace, policy), load(None, {})))
    asked = tomllib.loads(scenario)
    told = replay(Asked(asked["trace"], asked["policy"], options=asked["assume"]), load(None, {})).as_json()
    assert list(unmet(told, asked["expect"])) == []
