from clusterwatch.client.lines import LONGEST, line, number, whole


def test_values_stand_as_they_are_where_they_can_and_quoted_where_not():
    assert (
        line({"step": 120, "loss": 1.83, "path": "/ckpt/step_120", "section": 'an "odd" name'})
        == r'clusterwatch: step=120 loss=1.83 path=/ckpt/step_120 section="an \"odd\" name"'
    )


def test_what_is_not_known_is_left_out():
    assert line({"step": 1, "loss": None}) == "clusterwatch: step=1"


def test_line_feeds_and_what_no_terminal_should_see_are_escaped():
    written = line({"path": "a\nb\x1b[2J\x7fü\udc80"})

    assert written.isascii()
    assert written.isprintable()


def test_too_long_a_text_is_left_out_and_the_rest_is_told():
    assert line({"step": 1, "path": "x" * LONGEST, "seconds": 2.5}) == "clusterwatch: step=1 seconds=2.5"


class Tensor:
    def __float__(self):
        return 1.5


class Broken:
    def __float__(self):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_whatever_can_be_a_number_is_one_and_the_rest_is_none():
    assert [number(each) for each in (Tensor(), "2.5", Broken(), None, "x")] == [1.5, 2.5, None, None, None]


def test_a_count_is_whole_and_exact():
    assert [whole(each) for each in (3, 1.2e9, float("nan"), float("inf"), 2**60, True)] == [
        3, 1_200_000_000, None, None, None, 1,
    ]  # fmt: skip
