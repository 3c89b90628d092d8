"""Kernels that many threads call first at the same time."""

from __future__ import annotations

import sys
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from xsm.compute.jit import Kernel

SOURCE = """
from xsm.compute.jit import jit

@jit()
def outer(x):
    return middle(x) + inner(x)

@jit()
def middle(x):
    return 2 * inner(x)

@jit()
def inner(x):
    return x + 1
"""


def test_no_thread_gets_a_kernel_before_those_that_it_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(5):
        name = f"kernels_of_a_test_{k}"
        (tmp_path / f"{name}.py").write_text(SOURCE)
        module = types.ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py")
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(SOURCE, module.__file__, "exec"), module.__dict__)
        kernels = [module.outer, module.middle, module.inner]
        with ThreadPoolExecutor(12) as pool:
            values = list(pool.map(lambda i, kernels=kernels: kernels[i % 3](float(i)), range(36)))
        assert values == [[3.0, 2.0, 1.0][i % 3] * (i + 1) for i in range(36)]
        assert not any(isinstance(v, Kernel) for v in vars(module).values())
