"""Training with Lightning: Adam on equation 8, early stopping on the validation samples.

Every random number comes from ``(seed, epoch)``, so the same seed gives the same weights on the same machine and a
training that was interrupted continues from the end of its last whole epoch to the same result. Several
processes share each batch and add the sums of the loss, whose RMSE and R are those of the whole batch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor
from torch.distributed.nn.functional import all_reduce
from xsm import DataError
from xsm.plugin_api import Samples, Spec
from xsm.plugin_api import device as device_option

from xsm_convlstm.config import Config
from xsm_convlstm.inference import able
from xsm_convlstm.loss import equation8, spread_nll
from xsm_convlstm.network import Network
from xsm_convlstm.sequences import Normalisation, batches, read, windows

log = logging.getLogger("xsm")
Progress = Callable[[float, str], None]
Rows = list[np.ndarray]
Batch = tuple[Tensor, Tensor, tuple[Tensor, ...]]


@dataclass(frozen=True)
class Trained:
    """Weights by name, the learning curve and the best epoch (from 1)."""

    weights: dict[str, np.ndarray]
    history: list[dict[str, float]]
    best: int


@dataclass(frozen=True)
class Task:
    """Samples, what to learn from them, and their normalisation."""

    samples: Samples
    spec: Spec
    config: Config
    norm: Normalisation

    def load(self, rows: np.ndarray) -> Batch:
        """Channels, mask and references of the sequences ``rows``."""
        batch = read(self.samples, self.spec, self.config, self.norm, rows)
        return torch.from_numpy(batch.x), torch.from_numpy(batch.mask), tuple(map(torch.from_numpy, batch.references))

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the result of a training but the seed."""
        config = {k: v for k, v in asdict(self.config).items() if k not in ("devices", "checkpoints", "members")}
        days = [str(d) for d in np.asarray(self.samples.days)[[0, -1]]]
        text = json.dumps([config, self.spec.inputs, self.spec.statics, self.spec.references, self.norm, days])
        which = b"".join(np.packbits(np.asarray(v, bool)).tobytes() for v in (self.samples.use, self.samples.mask))
        return hashlib.sha256(text.encode() + which).hexdigest()[:16]

    def physical(self, mean: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
        """Convert the output of the network to units of the target."""
        target = self.norm[self.spec.targets[0]]
        return target["mean"] + target["std"] * mean, target["std"] * spread


def validation_batches(task: Task, seed: int) -> Rows:
    """Validation batches, drawn once."""
    index = windows(task.samples, task.config)
    return list(batches(index, task.config, np.random.default_rng(seed), task.config.validation_steps))


class Batches:
    """Batches read one by one; each process gets its share of the sequences of every batch."""

    def __init__(self, task: Task, rows: Callable[[], Rows]) -> None:
        self.task, self.rows = task, rows

    def __iter__(self) -> Iterator[Batch]:
        rank, world = _process()
        for rows in self.rows():
            if len(rows) >= world:
                yield self.task.load(rows[rank::world])


class Learner(pl.LightningModule):
    """Network, loss and data of one training."""

    def __init__(self, task: Task, validation: Task | None, seed: int, progress: Progress | None) -> None:
        super().__init__()
        self.task, self.validation, self.seed, self.progress = task, validation, seed, progress
        self.index = windows(task.samples, task.config)
        self.history: list[dict[str, float]] = []
        self.losses: dict[str, list[Tensor]] = {"train": [], "validation": []}
        with torch.random.fork_rng():
            torch.manual_seed(_derived(seed, 0))
            channels = len(task.spec.inputs) + len(task.spec.statics) + 1
            self.net = Network(channels, task.config).to(memory_format=torch.channels_last)

    @property
    def epoch(self) -> int:
        """The present epoch, from 1; Lightning's own count is one behind when a resumed training reads its data."""
        return len(self.history) + 1

    def rows(self) -> Rows:
        """Batches of the present epoch."""
        config, rng = self.task.config, np.random.default_rng([self.seed, self.epoch])
        return list(batches(self.index, config, rng, config.steps_per_epoch))

    def train_dataloader(self) -> Any:
        """Batches of training days."""
        return Batches(self.task, self.rows)

    def val_dataloader(self) -> Any:
        """Batches of validation days, the same in every epoch."""
        if self.validation is None:
            return []
        rows = validation_batches(self.validation, self.seed)
        return Batches(self.validation, lambda: rows)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.net.parameters(), lr=self.task.config.learning_rate)

    def on_train_epoch_start(self) -> None:
        """Seed and learning rate of the epoch."""
        torch.manual_seed(_derived(self.seed, self.epoch))
        self.trainer.optimizers[0].param_groups[0]["lr"] = _learning_rate(self.epoch, self.task.config)

    def training_step(self, batch: Batch, k: int) -> Tensor:
        """Loss of a batch, kept for the epoch's mean."""
        loss, spread_loss = self.both_losses(batch)
        self.losses["train"].append(loss.detach())
        return loss + spread_loss

    def validation_step(self, batch: Batch, k: int) -> None:
        """Loss of a batch, kept for the epoch's mean."""
        self.losses["validation"].append(self.both_losses(batch)[0])

    def both_losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Equation 8 and the likelihood of the spread, of the whole batch."""
        x, mask, references = batch
        out, spread = self.task.physical(*self.net(x, mask, steps=len(references[0])))
        total = _all_processes if _process()[1] > 1 else (lambda sums: sums)
        loss = equation8(out, references, self.task.config, total)
        return loss, spread_nll(spread, references[0] - out, total)

    def on_validation_epoch_end(self) -> None:
        """Log the mean, which early stopping watches."""
        self.log("validation", torch.stack(self.losses["validation"]).mean())

    def on_train_epoch_end(self) -> None:
        """Keep and report the means of the epoch; stop where one is not finite."""
        means = {k: float(torch.stack(v).double().mean()) for k, v in self.losses.items() if v}
        for values in self.losses.values():
            values.clear()
        epoch, epochs = self.epoch, self.task.config.epochs
        self.history.append({"epoch": epoch, **means})
        text = ", ".join(f"{k} {v:.4f}" for k, v in means.items())
        if self.progress is not None:
            self.progress(epoch / epochs, f"epoch {epoch}/{epochs}: {text}")
        if not all(map(math.isfinite, means.values())):
            raise DataError(f"Training diverged in epoch {epoch} ({text}).", hint="Lower learning_rate.")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training needs."""
        checkpoint["history"], checkpoint["training"] = self.history, _identity(self.task, self.validation, self.seed)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history of the interrupted training."""
        self.history = checkpoint["history"]


def train(
    task: Task, validation: Task | None, *, seed: int, progress: Progress, folder: str = "", learner: Any = Learner
) -> Trained:
    """Train one network.

    Parameters
    ----------
    task, validation : Task
        What to learn from and what to stop by. Without the latter all epochs run and the last weights stay.
    seed : int
        Same seed, same weights.
    progress : callable
        Called with the share done and a sentence after each epoch.
    folder : str
        Folder for the state after each epoch, from which training continues; a temporary one if empty.
    """
    with tempfile.TemporaryDirectory() as temporary, _lightning(), torch.random.fork_rng():
        place = Path(folder or temporary)
        last = place / "last.ckpt"
        if last.exists() and _read(last)["training"] != _identity(task, validation, seed):
            raise DataError(
                f"'{place}' contains the state of another training (other data, options or seed).",
                hint="Give another folder for checkpoints, or empty this one.",
            )
        if not _finished(last, task.config, validation):
            trainer = _trainer(task.config, validation, place, temporary)
            report = progress if task.config.devices == 1 else None
            trainer.fit(
                learner(task, validation, seed, report), ckpt_path=last if last.exists() else None, weights_only=True
            )
        history = _read(last)["history"]
        best = _read(last if validation is None else place / "best.ckpt")
        weights = {k.removeprefix("net."): v.numpy() for k, v in best["state_dict"].items()}
        return Trained(weights, history, int(best["epoch"]) + 1)


def _identity(task: Task, validation: Task | None, seed: int) -> list[str | int]:
    """What a checkpoint must agree with for training to continue from it."""
    return [task.fingerprint, "" if validation is None else validation.fingerprint, seed]


def _trainer(config: Config, validation: Task | None, place: Path, folder: str) -> pl.Trainer:
    kind, shared = device_option(), config.devices > 1
    callbacks: list[pl.Callback] = []
    if validation is not None:
        callbacks += [EarlyStopping("validation", patience=config.patience), _keep(place, "best", "validation")]
    callbacks.append(_keep(place, "last", None))
    return pl.Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=config.devices,
        strategy=("ddp" if torch.distributed.is_torchelastic_launched() else "ddp_spawn") if shared else "auto",
        precision="bf16-mixed" if halved(config, kind) else "32-true",
        max_epochs=config.epochs,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=None if validation is not None else 0,
        use_distributed_sampler=False,
    )


def halved(config: Config, device: str) -> bool:
    """Whether training uses bfloat16 on a device."""
    return config.precision == "auto" and able(device)


def _keep(place: Path, name: str, monitor: str | None) -> ModelCheckpoint:
    return ModelCheckpoint(
        place, name, monitor, save_weights_only=False, save_on_train_epoch_end=True, enable_version_counter=False
    )


def _finished(last: Path, config: Config, validation: Task | None) -> bool:
    """Whether the state in a folder is that of a training that has ended."""
    if not last.exists():
        return False
    history = _read(last)["history"]
    scores = [entry.get("validation", 0.0) for entry in history]
    stopped = validation is not None and len(scores) - 1 - int(np.argmin(scores)) >= config.patience
    return len(history) >= config.epochs or stopped


def _read(path: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


@contextmanager
def _lightning() -> Iterator[None]:
    """Keep Lightning quiet, and let Ctrl+C raise KeyboardInterrupt, where Lightning would end the process."""
    handler = signal.getsignal(signal.SIGINT)
    loud = [logging.getLogger(f"pytorch_lightning{part}") for part in ("", ".utilities.rank_zero")]
    levels = [logger.level for logger in loud]
    try:
        for logger in loud:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        for logger, level in zip(loud, levels, strict=True):
            logger.setLevel(level)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)


def _process() -> tuple[int, int]:
    """Number of this process and how many share a batch."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def _all_processes(sums: Tensor) -> Tensor:
    """Add the sums of all processes; the gradient reaches each of them."""
    added: Tensor = all_reduce(sums)
    return added


def _derived(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _learning_rate(epoch: int, config: Config) -> float:
    """Cosine from ``learning_rate`` to ``decay`` times it at the last epoch."""
    done = (epoch - 1) / max(config.epochs - 1, 1)
    return config.learning_rate * (config.decay + (1.0 - config.decay) * 0.5 * (1.0 + math.cos(math.pi * done)))
