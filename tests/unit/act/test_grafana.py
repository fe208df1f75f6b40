import pytest

from clusterwatch.act.grafana import Fate, Grafana, fate_of
from clusterwatch.errors import ClusterWatchError

OURS = {"uid": "cw", "title": "Overview", "tags": ["clusterwatch"], "panels": []}


@pytest.mark.parametrize(
    ("standing", "force", "fate"),
    [
        (None, False, Fate.CREATE),
        (OURS | {"id": 7, "version": 3}, False, Fate.UNCHANGED),
        (OURS | {"title": "Old"}, False, Fate.UPDATE),
        (OURS | {"title": "Old"}, True, Fate.UPDATE),
        (OURS | {"tags": ["theirs"]}, False, Fate.REFUSE),
        (OURS | {"tags": None}, False, Fate.REFUSE),
        (OURS | {"tags": ["theirs"]}, True, Fate.OVERWRITE),
    ],
)
def test_fate_of_a_board_depends_on_what_stands_there(standing, force, fate):
    assert fate_of(OURS, standing, force=force)[0] is fate


def test_refusal_says_whose_board_it_is_and_what_replaces_it():
    _, reason = fate_of(OURS, {"uid": "cw", "title": "My \x1b[31mboard", "tags": []})

    assert reason == "\"My board\" has this uid and not the tag 'clusterwatch': it is not ours; --force replaces it"


@pytest.mark.parametrize("url", ["grafana.example.org", "ftp://grafana.example.org", "http://", "file:///etc/passwd"])
def test_what_is_no_address_of_a_web_server_is_refused(url: str):
    with pytest.raises(ClusterWatchError, match="begins with http"):
        Grafana(url, "glsa_token")


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "glsa_ü"])
def test_what_cannot_be_a_token_is_refused_without_showing_it(token: str):
    with pytest.raises(ClusterWatchError) as caught:
        Grafana("http://grafana.example.org", token)

    assert str(caught.value) == "the token is empty or holds characters that no token has: copy it again"


def test_password_in_the_url_is_not_kept():
    assert Grafana("https://me:hush@grafana.example.org:3000/sub/", "glsa_token").url == (
        "https://grafana.example.org:3000/sub"
    )
