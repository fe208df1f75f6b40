import pytest

from clusterwatch.client.environment import path_of, rank_of, sink_of
from clusterwatch.client.files import Nowhere, ReportFile, StandardOutput


@pytest.mark.parametrize(
    ("named", "environment", "path"),
    [
        ("/r/job.report", {}, "/r/job.report"),
        ("/r/job.report", {"RANK": "3"}, "/r/job.rank3.report"),
        ("/r/job.report", {"CLUSTERWATCH_RANK": "1", "RANK": "3"}, "/r/job.rank1.report"),
        ("/r/{job}/{rank}.log", {"CLUSTERWATCH_JOB": "pretrain-7b", "RANK": "3"}, "/r/pretrain-7b/3.log"),
        ("/r/{job}.log", {"CLUSTERWATCH_JOB": "../../etc/x"}, "/r/.._.._etc_x.log"),
        ("/r/{job}.log", {"SLURM_JOB_ID": "4711", "SLURM_PROCID": "12"}, "/r/4711.rank12.log"),
    ],
)
def test_every_rank_has_a_file_of_its_own(named, environment, path):
    assert path_of(named, environment) == path


def test_report_goes_where_the_environment_says():
    assert isinstance(sink_of({}), Nowhere)
    assert isinstance(sink_of({"CLUSTERWATCH_REPORT": "-"}), StandardOutput)
    assert isinstance(sink_of({"CLUSTERWATCH_REPORT": "/r/job.report"}), ReportFile)


@pytest.mark.parametrize("named", ["", "one", "-1", "1.5", "٣"])
def test_rank_that_is_no_number_is_none(named):
    assert rank_of({"RANK": named}) == ""
