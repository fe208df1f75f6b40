"""Replays in users' own tests: a fixture, and scenario files."""

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester, monkeypatch):
    """A user's project: pytest as it is installed, in a process of its own."""
    monkeypatch.delenv("CLUSTERWATCH_CONFIG", raising=False)
    return pytester


def test_policy_is_tested_by_replaying_a_trace(project):
    project.makepyfile("""
        def test_policy(replay):
            result = replay("tiny", policy="default")

            assert result.interruptions["unexpected"] == 4
            assert result.automation.healthy_nodes_drained == 0
            assert replay("tiny") is result
    """)

    project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_mode_that_is_none_says_which_there_are(project):
    project.makepyfile("""
        def test_policy(replay):
            replay("tiny", mode="sugest")
    """)

    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.stdout.fnmatch_lines(["*mode: 'sugest', expected one of observe,*"])


def test_scenario_file_is_a_test(project):
    project.makefile(
        ".scenario.toml",
        tiny="""
        trace = "tiny"

        [expect]
        interruptions.total = 5
        "automation.healthy_nodes_drained" = 0
        "goodput.ettr" = { at_least = 0.1, at_most = 1.0 }
        """,
    )

    result = project.runpytest_subprocess("-p", "no:cacheprovider", "-v")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*tiny.scenario.toml::tiny PASSED*"])


def test_scenario_that_does_not_hold_says_by_how_much(project):
    project.makefile(
        ".scenario.toml",
        tiny="""
        trace = "tiny"
        expect = { "goodput.ettr" = { at_least = 1.5 }, "interruptions.total" = 7, "goodput.nothing" = 1 }
        """,
    )

    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*goodput.ettr: 0.*, expected at least 1.5",
            "*interruptions.total: 5, expected equals 7",
            "*goodput.nothing: there is no such figure in the summary",
        ]
    )


def test_scenario_finds_the_policy_beside_it(project):
    folder = project.mkdir("scenarios")
    (folder / "ours.toml").write_text("name = 7")
    (folder / "one.scenario.toml").write_text('trace = "tiny"\npolicy = "ours.toml"\nexpect = { "seed" = 1 }')

    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.stdout.fnmatch_lines(["*policy *ours.toml: * mistakes*"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('trase = "tiny"', "*trase: unknown, expected one of*"),
        ('trace = "tiny"', "*expect: missing*"),
        ('trace = "no-such"\nexpect = { "seed" = 1 }', "*is no file and not built in*"),
        ("trace = ", "*nvalid value*"),
        ('trace = 7\nexpect = { "seed" = 1 }', "*trace: 7, expected the name of a trace*"),
        ('trace = "tiny"\nmode = "sugest"\nexpect = { "seed" = 1 }', "*mode: 'sugest', expected one of observe,*"),
        ('trace = "tiny"\nseed = "1"\nexpect = { "seed" = 1 }', "*seed: '1', expected a whole number*"),
        ('trace = "tiny"\nassume = { x = "5" }\nexpect = { "seed" = 1 }', "*assume: *, expected numbers by*"),
        (
            'trace = "tiny"\nassume = { laod_seconds = 5 }\nexpect = { "seed" = 1 }',
            "*laod_seconds: no such assumption*",
        ),
        ('trace = "tiny"\nexpect = { "seed" = { at_most = "x" } }', "*seed: 'x' is no number*"),
    ],
)
def test_scenario_that_is_wrong_says_what_was_expected(project, text, problem):
    project.makefile(".scenario.toml", wrong=text)

    result = project.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([problem])
    result.stdout.no_fnmatch_line("*Traceback*")
