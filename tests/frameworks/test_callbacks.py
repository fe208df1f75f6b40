"""The callbacks in the real Trainers; `make test-frameworks` installs those beside everything else."""

import re

import lightning.pytorch
import pytest
import torch
import transformers

from clusterwatch.client import Reporter
from clusterwatch.client.files import ReportFile
from clusterwatch.client.huggingface import ReportCallback as OfTransformers
from clusterwatch.client.lightning import ReportCallback as OfLightning

ROWS = 8


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "job.report"
    return Reporter(ReportFile(str(path))), lambda: [_untimed(line) for line in path.read_text().splitlines()]


def _untimed(line):
    return re.sub(r" (?:at|seconds|stall|loss)=[\d.e-]+", "", line).removeprefix("clusterwatch: ")


class Model(lightning.pytorch.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, batch_idx):
        return None

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def loader():
    return torch.utils.data.DataLoader(torch.ones(ROWS, 2), batch_size=2)


def lightning_trainer(folder, reporter, **settings):
    saves = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=folder, every_n_train_steps=2, save_top_k=-1)
    return lightning.pytorch.Trainer(
        callbacks=[OfLightning(reporter), saves],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


def test_lightning_trainer_reports_steps_validation_and_checkpoints(tmp_path, report):
    reporter, lines = report

    lightning_trainer(tmp_path, reporter, max_steps=4).fit(Model(), loader(), loader())

    told = lines()
    first, second = tmp_path / "epoch=0-step=2.ckpt", tmp_path / "epoch=0-step=4.ckpt"
    assert [line for line in told if line.startswith("step=")] == [f"step={step}" for step in (1, 2, 3, 4)]
    assert f'checkpoint=begin step=2 path="{first}"' in told
    assert f'checkpoint=end step=2 path="{first}"' in told
    assert f'checkpoint=end step=4 path="{second}"' in told
    assert told.count("section=validate state=begin") == told.count("section=validate state=end") > 0


def test_lightning_trainer_that_resumes_reports_what_it_loaded(tmp_path, report):
    reporter, lines = report
    lightning_trainer(tmp_path, None, max_steps=2).fit(Model(), loader())
    saved = tmp_path / "epoch=0-step=2.ckpt"

    lightning_trainer(tmp_path, reporter, max_steps=3).fit(Model(), loader(), ckpt_path=str(saved))

    assert lines()[0] == f'checkpoint=loaded step=2 path="{saved}"'


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        return {"x": torch.ones(2), "labels": torch.zeros(1)}


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, x, labels):
        return {"loss": (self.layer(x) - labels).square().mean()}


def test_transformers_trainer_reports_steps_evaluation_and_checkpoints(tmp_path, report):
    reporter, lines = report
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=4,
        save_steps=2,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=2,
        per_device_train_batch_size=2,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )

    trainer = transformers.Trainer(
        Network(), arguments, train_dataset=Rows(), eval_dataset=Rows(), callbacks=[OfTransformers(reporter)]
    )
    trainer.train()

    told = lines()
    assert [line for line in told if line.startswith("step=")] == [f"step={step} total=4" for step in (1, 2, 3, 4)]
    assert f"checkpoint=end step=2 path={tmp_path}/out/checkpoint-2" in told
    assert f"checkpoint=end step=4 path={tmp_path}/out/checkpoint-4" in told
    assert told.count("section=evaluate state=begin") == told.count("section=evaluate state=end") == 2
