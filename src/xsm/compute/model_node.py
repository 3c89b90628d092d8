"""A model in a dask graph: one node, which a cluster ships once to each worker, and one prediction at a time."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

PREDICT_LOCK = threading.Lock()
"""Locked while a model predicts: one prediction at a time in a process, with all of its threads."""


def model_node(work: Callable[..., Any]) -> Any:
    """Work as a node of a graph, which tasks refer to instead of each holding a copy."""
    import dask

    return dask.delayed(work, name=f"model-{uuid.uuid4().hex}", traverse=False)
