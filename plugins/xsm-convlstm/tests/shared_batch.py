"""Train with batch norm frozen, alone or as one of several processes; run by `test_train` through torchrun.

Batch norm would otherwise take the statistics of each process's part of a batch.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from convlstm_law import QUIET, law, samples, spec
from xsm_convlstm.config import Config
from xsm_convlstm.sequences import survey
from xsm_convlstm.train import Learner, Task, train


class FrozenNorms(Learner):
    place: Path

    def on_train_batch_start(self, batch, k) -> None:
        self.net.norms.eval()

    def on_train_end(self) -> None:
        torch.save(self.net.state_dict(), self.place / f"rank{self.global_rank}.pt")


def main(place: Path, devices: int) -> None:
    arrays = law(80, 14)
    task_spec = spec(epochs=3, steps_per_epoch=3, validation_steps=2, batch_size=6, devices=devices)
    config = Config.from_options(task_spec.options)
    norm = survey(samples(arrays, 2, 50), task_spec, config)
    parts = [Task(samples(arrays, *days), task_spec, config, norm) for days in ((2, 50), (52, 80))]
    FrozenNorms.place = place
    trained = train(*parts, seed=2, progress=QUIET["progress"], folder=str(place / "state"), learner=FrozenNorms)
    (place / "history.json").write_text(json.dumps(trained.history))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
