"""SDV as a guest: silent, seeded, on one thread; its faults told without its words.

SDV prints, logs to a file in the user's home, starts worker processes, and samples from one fixed
stream. Its exceptions quote values of the table.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from synth_contracts.errors import GenerationError

_LOGGERS = (
    "SingleTableSynthesizer", "MultiTableSynthesizer", "SequentialSynthesizer", "Metadata",
    "SingleTableMetadata",
)  # fmt: skip


@contextlib.contextmanager
def session(kind: str, seed: int) -> Iterator[None]:
    """A block in which SDV works; global random states and thread counts are put back after it.

    Args:
        kind: the generator's name, for errors.
        seed: seeds numpy and torch.

    Raises:
        GenerationError: SDV failed, or memory did not suffice. Its own words are kept back: they
            may quote values.
    """
    try:
        with _quiet(seed):
            yield
    except GenerationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever SDV raises may quote values
        short = isinstance(error, MemoryError) or "allocate memory" in str(error)
        what = "ran out of memory" if short else f"failed with {type(error).__name__}"
        mend = "make fitRows or the batch smaller" if short else "look at fitRows and parameters"
        raise GenerationError(f"SDV's {kind} {what}", where="generator", mend=mend) from None


@contextlib.contextmanager
def _quiet(seed: int) -> Iterator[None]:
    import torch
    from joblib import parallel_config  # type: ignore[import-untyped]  # joblib has no stubs

    for name in _LOGGERS:
        logging.getLogger(name).disabled = True
    before, threads = np.random.get_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            torch.random.fork_rng(devices=[]),
            parallel_config(backend="sequential"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
    finally:
        np.random.set_state(before)
        torch.set_num_threads(threads)


def seed_model(model: Any, seed: int) -> None:
    """Seed an SDV synthesizer that samples by itself, and its transformers.

    There is no public door: without this every sample repeats one stream, and transformers one
    made of the first rows.
    """
    model._set_random_state(seed)
    seed_transformers(model, seed)


def seed_transformers(model: Any, seed: int) -> None:
    """Seed the way back of the transformers of an SDV synthesizer."""
    transformers = model._data_processor._hyper_transformer.field_transformers
    for i, name in enumerate(sorted(n for n, t in transformers.items() if t is not None), 1):
        state = np.random.RandomState((seed + i) % 2**32)
        transformers[name].set_random_state(state, "reverse_transform")
