import json
import pickle
from datetime import UTC, datetime

import pytest

from clusterwatch.reading.archives import FileSeen
from clusterwatch.reading.checkpoints import TRACKER, candidates, excerpt_of, recognise

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC).timestamp()
EMPTY_ARCHIVE = b"PK\x05\x06" + b"\0" * 18
MODEL = b"PK\x03\x04" + EMPTY_ARCHIVE[:16] + b"\x04" + b"\0" * 5  # its empty directory begins behind the first bytes
SAFETENSORS = b"\x02\0\0\0\0\0\0\0{}"


def listing(files: dict[str, bytes | str]) -> dict[str, FileSeen]:
    contents = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
    return {
        path: FileSeen(len(raw), NOON + index, raw[: excerpt_of(path)[0]], raw[-excerpt_of(path)[1] :])
        for index, (path, raw) in enumerate(contents.items())
    }


def found(files: dict[str, bytes | str]) -> list[tuple[int, str, str, str]]:
    """Step, path, format and problem of the checkpoints among *files*."""
    return [(one.step, one.path, one.format, one.problem) for one in recognise(listing(files))]


def metadata(**pieces: int) -> bytes:
    """The least that says where pieces lie: file name (without suffix) to the bytes needed of it."""

    def named(module: str, name: str) -> bytes:
        return f"c{module}\n{name}\n".encode()

    def built(module: str, name: str, state: dict[str, object]) -> bytes:
        return named(module, name) + b")\x81" + pickle.dumps(state, 2)[2:-1] + b"b"

    place = "torch.distributed.checkpoint"
    infos = b"".join(
        b"K%c" % index
        + built(
            f"{place}.filesystem", "_StorageInfo", {"relative_path": f"{name}.distcp", "offset": 1, "length": n - 1}
        )
        for index, (name, n) in enumerate(pieces.items())
    )
    state = b"}X\x0c\0\0\0storage_data}(" + infos + b"us"
    return b"\x80\x02" + named(f"{place}.metadata", "Metadata") + b")\x81" + state + b"b."


class TestDistributedCheckpoint:
    def test_with_every_piece_is_complete(self):
        files = {
            "step_100/__0_0.distcp": b"x" * 10,
            "step_100/__1_0.distcp": b"x" * 20,
            "step_100/.metadata": metadata(__0_0=10, __1_0=20),
        }

        (one,) = recognise(listing(files))

        assert (one.step, one.path, one.format, one.complete, one.verified) == (100, "step_100", "dcp", True, True)
        assert one.size_bytes == 30 + len(files["step_100/.metadata"])
        assert one.saved_at == datetime.fromtimestamp(NOON + 2, UTC)

    @pytest.mark.parametrize(
        ("folder", "step"),
        [("step-100", 100), ("iter_0000100", 100), ("global_step100", 100), ("run/step=7/weights", 7), ("v2_30", 30)],
    )
    def test_has_the_step_of_its_folder(self, folder, step):
        assert found({f"{folder}/.metadata": metadata()}) == [(step, folder, "dcp", "")]

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ({"__0_0.distcp": "x"}, "no .metadata: the save did not finish"),
            ({"__0_0.distcp": "x", ".metadata.tmp": "x"}, "no .metadata: the save did not finish"),
            ({".metadata": metadata(a=3)}, "a.distcp is missing"),
            ({".metadata": metadata(a=3), "a.distcp": "xx"}, "a.distcp is cut short: 2 of 3 bytes"),
            ({".metadata": metadata(a=3)[:-9]}, ".metadata cannot be used: not a readable pickle"),
            ({".metadata": b"cposix\nsystem\n."}, ".metadata cannot be used: it names posix.system"),
            ({".metadata": b"K\x01."}, ".metadata cannot be used: it does not say where"),
        ],
    )
    def test_with_something_missing_is_torn(self, files, problem):
        ((_, _, _, told),) = found({f"step_5/{path}": content for path, content in files.items()})

        assert told.startswith(problem)

    def test_whose_metadata_is_too_large_to_read_is_not_verified(self):
        (one,) = recognise({"step_5/.metadata": FileSeen(10**9, NOON, b"\x80")})

        assert (one.complete, one.verified) == (True, False)

    def test_with_metadata_of_each_rank_needs_the_pieces_of_all(self):
        files = {
            "step_5/__0.metadata": metadata(a=1),
            "step_5/a.distcp": b"x",
            "step_5/__1.metadata": metadata(b=1),
        }

        assert found(files) == [(5, "step_5", "dcp", "b.distcp is missing")]


class TestMegatron:
    def test_up_to_the_tracker_is_complete_and_above_is_torn(self):
        files = {TRACKER: "200\n"} | {
            f"iter_{step:07}/mp_rank_0{rank}/model_optim_rng.pt": MODEL for step in (100, 200, 300) for rank in (0, 1)
        }

        assert found(files) == [
            (100, "iter_0000100", "megatron", ""),
            (200, "iter_0000200", "megatron", ""),
            (300, "iter_0000300", "megatron", f"the save did not finish: {TRACKER} says 200"),
        ]

    @pytest.mark.parametrize("tracker", [{}, {TRACKER: ""}, {TRACKER: "release"}])
    def test_without_a_number_in_the_tracker_is_torn(self, tracker):
        files = tracker | {"iter_0000100/mp_rank_00/model_optim_rng.pt": MODEL}

        assert found(files)[0][3] == f"{TRACKER} does not name a finished iteration"

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ({"mp_rank_00/model_optim_rng.pt": MODEL[:-9]}, "mp_rank_00/model_optim_rng.pt is cut short"),
            ({"mp_rank_00/distrib_optim.pt": MODEL}, "mp_rank_00/model_optim_rng.pt is missing"),
            ({"common.pt": MODEL, "metadata.json": "{}"}, "no .metadata"),
            ({".metadata": metadata(), "metadata.json": "{}"}, "no common.pt"),
            ({".metadata": metadata(), "common.pt": MODEL}, "no metadata.json"),
            ({".metadata": metadata(a=1), "common.pt": MODEL, "metadata.json": "{}"}, "a.distcp is missing"),
            ({".metadata": metadata(), "common.pt": MODEL[:-9], "metadata.json": "{}"}, "common.pt is cut short"),
            ({".metadata": metadata(), "common.pt": MODEL, "metadata.json": "{}"}, ""),
        ],
    )
    def test_of_either_form_needs_all_its_files(self, files, problem):
        ((step, _, name, told),) = found(
            {TRACKER: "100"} | {f"iter_0000100/{path}": raw for path, raw in files.items()}
        )

        assert (step, name) == (100, "megatron") and told.startswith(problem) and bool(told) == bool(problem)


STATE = json.dumps({"global_step": 500})


class TestHuggingFace:
    @pytest.mark.parametrize(
        "weights",
        [
            {"model.safetensors": SAFETENSORS},
            {"adapter_model.safetensors": SAFETENSORS},
            {"pytorch_model.bin": MODEL},
            {
                "model.safetensors.index.json": '{"weight_map": {"a": "model-00001-of-00001.safetensors"}}',
                "model-00001-of-00001.safetensors": SAFETENSORS,
            },
            {"pytorch_model_fsdp_0/.metadata": metadata(), "optimizer_0/.metadata": metadata()},
            {"global_step500/mp_rank_00_model_states.pt": MODEL},
        ],
    )
    def test_with_state_and_weights_is_one_complete_checkpoint(self, weights):
        files = {"trainer_state.json": STATE, "rng_state_0.pth": MODEL, **weights}

        (one,) = recognise(listing({f"out/checkpoint-500/{path}": raw for path, raw in files.items()}))

        assert (one.step, one.path, one.format) == (500, "out/checkpoint-500", "huggingface")
        assert (one.complete, one.verified) == (True, True)

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ({"model.safetensors": SAFETENSORS}, "no trainer_state.json: the save did not finish"),
            ({"trainer_state.json": STATE}, "no whole weights: the save did not finish"),
            ({"trainer_state.json": STATE[:-4], "model.safetensors": SAFETENSORS}, "trainer_state.json is no JSON"),
            ({"trainer_state.json": "{}", "model.safetensors": SAFETENSORS}, "trainer_state.json is of step None"),
            ({"trainer_state.json": STATE, "model.safetensors": SAFETENSORS[:-1]}, "model.safetensors is cut short"),
            ({"trainer_state.json": STATE, "model-00001-of-00002.safetensors": SAFETENSORS}, "no whole weights"),
            (
                {"trainer_state.json": STATE, "model.safetensors.index.json": '{"weight_map": {"a": "b.safetensors"}}'},
                "b.safetensors is missing",
            ),
            ({"trainer_state.json": STATE, "model.safetensors.index.json": "[]"}, "model.safetensors.index.json names"),
            ({"trainer_state.json": STATE, "model.safetensors": SAFETENSORS, "optimizer.pt": MODEL[:-9]}, "optimizer"),
        ],
    )
    def test_with_something_missing_is_torn(self, files, problem):
        ((_, _, _, told),) = found({f"checkpoint-500/{path}": raw for path, raw in files.items()})

        assert told.startswith(problem)

    def test_of_accelerate_has_no_trainer_state(self):
        files = {"checkpoint-500/model.safetensors": SAFETENSORS, "checkpoint-500/random_states_0.pkl": "x"}

        assert found(files) == [(500, "checkpoint-500", "huggingface", "")]


class TestFile:
    @pytest.mark.parametrize(
        ("name", "step"),
        [
            ("step_100.pt", 100),
            ("model-step=100.ckpt", 100),
            ("epoch=3-step=1000.ckpt", 1000),
            ("epoch=3-val_loss=0.25.ckpt", 3),
            ("step=1000-epoch=3-v1.ckpt", 1000),
            ("checkpoint100.pth", 100),
            ("ckpt.7.npz", 7),
            ("deep/run/0012.bin", 12),
        ],
    )
    def test_has_the_step_of_its_name(self, name, step):
        assert found({name: MODEL}) == [(step, name, "file", "")]

    @pytest.mark.parametrize(
        "name",
        [
            "step_100.pt.tmp",
            "step_100.part",
            "step_100.pt.incomplete",
            ".step_100.pt",
            "tmp_step_100.pt",
            "tmp-checkpoint-100/model.safetensors",
            "step_100.tmp/.metadata",
            "resnet50.pt",
            "llama_7b_final.pt",
            "model.pt",
            "step_100.log",
            "mp_rank_00_model_states.pt",
            "pytorch_model-00001-of-00002.bin",
        ],
    )
    def test_of_another_name_is_no_checkpoint(self, name):
        assert found({name: MODEL}) == []

    def test_that_is_cut_short_or_empty_is_torn(self):
        assert [problem for *_, problem in found({"step_1.pt": MODEL[:-1], "step_2.pt": ""})] == [
            "step_1.pt is cut short: the archive's end record is missing",
            "step_2.pt is empty",
        ]

    def test_of_an_unknown_format_is_complete_and_not_verified(self):
        (one,) = recognise(listing({"step_1.h5": "x"}))

        assert (one.complete, one.verified) == (True, False)


def test_candidates_come_in_the_order_of_step_before_anything_was_read():
    files = {path: FileSeen(9, NOON) for path in ("step_9.pt", "step_100/.metadata", "checkpoint-20/model.safetensors")}

    assert [(one.step, one.format) for one in candidates(files)] == [(9, "file"), (20, "huggingface"), (100, "dcp")]


class TestDeepSpeed:
    FILES = {
        "global_step100/mp_rank_00_model_states.pt": MODEL,
        "global_step100/mp_rank_01_model_states.pt": MODEL,
        **{
            f"global_step100/bf16_zero_pp_rank_{data}_mp_rank_0{model}_optim_states.pt": MODEL
            for data in range(3)
            for model in range(2)
        },
    }

    def test_with_every_shard_is_complete(self):
        (one,) = recognise(listing(self.FILES))

        assert (one.step, one.path, one.format, one.complete, one.verified) == (
            100, "global_step100", "deepspeed", True, True,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("missing", "problem"),
        [
            ("bf16_zero_pp_rank_1_mp_rank_01", "optim states of data rank 1, model rank 1 are missing"),
            ("bf16_zero_pp_rank_0_mp_rank_00", "optim states of data rank 0, model rank 0 are missing"),
            ("global_step100/mp_rank", "no model states: the save did not finish"),
        ],
    )
    def test_without_a_shard_is_torn(self, missing, problem):
        files = {path: content for path, content in self.FILES.items() if missing not in path}

        assert found(files) == [(100, "global_step100", "deepspeed", problem)]

    def test_with_a_shard_cut_short_is_torn(self):
        files = {**self.FILES, "global_step100/mp_rank_01_model_states.pt": MODEL[:-1]}

        assert found(files)[0][3] == "mp_rank_01_model_states.pt is cut short: the archive's end record is missing"

    @pytest.mark.parametrize(
        ("latest", "problem"),
        [
            ("global_step100", ""),
            ("global_step200\n", ""),
            ("global_step50", "the save did not finish: latest says 50"),
            ("best", ""),
        ],
    )
    def test_is_finished_once_the_latest_is_not_before_it(self, latest, problem):
        assert [each[3] for each in found({"latest": latest, **self.FILES})] == [problem]

    @pytest.mark.parametrize(
        "name",
        [
            "zero_pp_rank_0_mp_rank_00_model_states.pt",
            "layer_01-model_00-model_states.pt",
            "zero_pp_rank_0_mp_rank_00optim_states.pt",
        ],
    )
    def test_other_names_of_shards_are_known(self, name):
        files = {f"tag7/{name}": MODEL, "tag7/mp_rank_00_model_states.pt": MODEL}

        assert found(files) == [(7, "tag7", "deepspeed", "")]

    def test_in_a_folder_of_lightning_has_the_step_of_that_folder(self):
        files = {"epoch=0-step=200-val_loss=0.16.ckpt/checkpoint/mp_rank_00_model_states.pt": MODEL}

        assert [(step, form) for step, _, form, _ in found(files)] == [(200, "deepspeed")]


class TestManifest:
    def of(self, files, **sizes):
        listed = {name.replace("__", "/").replace("_", "."): {"size": size} for name, size in sizes.items()}
        return {**files, "own-7/clusterwatch-manifest.json": json.dumps({"version": 1, "step": 7, "files": listed})}

    def test_makes_any_folder_a_checkpoint_that_is_verified(self):
        files = self.of({"own-7/a.x": "123", "own-7/deep/b.x": "4"}, a_x=3, deep__b_x=1)

        (one,) = recognise(listing(files))

        assert (one.step, one.format, one.complete, one.verified) == (7, "manifest", True, True)

    @pytest.mark.parametrize(
        ("files", "problem"),
        [({}, "a.x is missing"), ({"own-7/a.x": "12"}, "a.x has 2 bytes where 3 belong")],
    )
    def test_tells_what_is_missing_or_of_another_size(self, files, problem):
        assert found(self.of(files, a_x=3)) == [(7, "own-7", "manifest", problem)]

    def test_speaks_for_other_formats_too(self):
        files = self.of({"own-7/.metadata": metadata(a=3), "own-7/a.distcp": "123"}, rank3_x=3)

        assert found(files) == [(7, "own-7", "dcp", "rank3.x is missing")]

    def test_file_that_lies_too_deep_to_be_looked_at_is_neither_missing_nor_verified(self):
        (one,) = recognise(listing(self.of({"own-7/a.x": "123"}, a_x=3, b__c__d_x=1)))

        assert (one.complete, one.verified) == (True, False)

    @pytest.mark.parametrize("content", ["[]", '{"files": 1}', '{"files": {"a": 1, "b": {"size": "x"}}'])
    def test_that_is_none_is_a_problem_or_says_nothing(self, content):
        assert found({"own-7/clusterwatch-manifest.json": content})[0][3].startswith("clusterwatch-manifest.json")


def test_checkpoint_that_is_written_over_and_over_is_the_folder_itself():
    files = {".metadata": metadata(a=3), "a.distcp": "123", "notes.txt": "x"}

    assert found(files) == [(0, ".", "dcp", "")]


def test_checkpoint_in_a_folder_without_a_number_has_no_step():
    assert found({"latest_weights/.metadata": metadata()}) == [(0, "latest_weights", "dcp", "")]
