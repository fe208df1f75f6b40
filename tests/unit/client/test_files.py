import os
import threading

from clusterwatch.client.files import Nowhere, ReportFile, StandardOutput


def lines_in(*paths):
    return [line for path in paths for line in path.read_text().splitlines()]


def test_folder_and_file_are_made_with_the_first_line(tmp_path):
    path = tmp_path / "reports" / "job.report"
    file = ReportFile(str(path))

    assert not path.parent.exists()
    assert file.write("a")
    assert path.read_text() == "a\n"


def test_line_that_was_torn_by_a_kill_is_ended_before_the_next(tmp_path):
    path = tmp_path / "job.report"
    path.write_text("clusterwatch: step=12")

    ReportFile(str(path)).write("clusterwatch: step=13")

    assert lines_in(path) == ["clusterwatch: step=12", "clusterwatch: step=13"]


def test_full_file_is_put_aside_once(tmp_path):
    path = tmp_path / "job.report"
    file = ReportFile(str(path), largest_bytes=1000)

    for number in range(250):
        file.write(f"{number:09}")

    before = tmp_path / "job.report.1"
    assert before.stat().st_size < 2100
    assert path.stat().st_size < 2100
    assert lines_in(before, path)[-1] == "000000249"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["job.report", "job.report.1"]


def test_writer_follows_a_file_that_another_put_aside(tmp_path):
    path = tmp_path / "job.report"
    ours, other = (ReportFile(str(path), largest_bytes=1000) for _ in range(2))
    ours.write("ours")

    for _ in range(110):
        other.write("other67890")
    for _ in range(100):
        ours.write("ours 67890")
    ours.write("last")

    assert lines_in(path)[-1] == "last"


def test_threads_and_forked_children_write_whole_lines_to_one_file(tmp_path):
    path = tmp_path / "job.report"
    file = ReportFile(str(path), largest_bytes=1 << 30)
    file.write("parent")

    def write(who):
        for number in range(200):
            file.write(f"{who} {number:03} {'x' * 100}")

    children = []
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            write(f"child{child}")
            os._exit(0)
        children.append(pid)
    threads = [threading.Thread(target=write, args=(f"thread{index}",)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]

    found = lines_in(path)
    expected = {f"{who} {n:03} {'x' * 100}" for who in (*[f"child{c}" for c in range(3)], "thread0", "thread1")
                for n in range(200)}  # fmt: skip
    assert len(found) == 1001
    assert set(found) == {"parent", *expected}


def test_folder_that_cannot_be_made_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")

    file = ReportFile(str(tmp_path / "file" / "job.report"))

    assert not file.write("a")
    assert not file.write("b")


def test_full_disk_is_no_error_and_not_asked_again_at_once():
    file = ReportFile("/dev/full")

    assert [file.write("a"), file.write("b")] == [False, False]


def test_standard_output_that_is_closed_is_no_error(monkeypatch, tmp_path):
    closed = (tmp_path / "closed").open("w")
    closed.close()
    monkeypatch.setattr("sys.stdout", closed)

    assert not StandardOutput().write("a")


def test_nobody_asked_and_nothing_is_kept():
    assert not Nowhere().write("a")
