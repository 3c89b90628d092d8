"""What a GeoTIFF tells about where it comes from, and that no result takes the place of its input."""

from __future__ import annotations

import numpy as np
import pytest

import xsm
from xsm import files
from xsm.describe import operations
from xsm.errors import UsageError
from xsm.execute import execute


def test_attributes_come_back_from_a_geotiff(tmp_path):
    cube = xsm.example("cube", size=8, days=8)[["sm_noah_0_10"]].assign_attrs(scenario=2, levels=np.array([1, 2]))
    (path,) = files.write(cube, tmp_path / "noah.tif")
    back = files.read(path)
    assert back.attrs["synthetic"] == cube.attrs["synthetic"] and back.attrs["scenario"] == 2
    assert back.attrs["levels"] == [1, 2]
    assert back["sm_noah_0_10"].attrs["units"] == "m3 m-3"
    assert back["sm_noah_0_10"].attrs["long_name"] == cube["sm_noah_0_10"].attrs["long_name"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_result_does_not_replace_its_input(tmp_path, overwrite):
    path = tmp_path / "cube.nc"
    files.write(xsm.example("cube", size=8, days=8), path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="is an input and would be replaced"):
        execute(operations()["regrid_ease9km"], {"ds": str(path)}, path, overwrite=overwrite)
    assert path.read_bytes() == before
