"""Where the cells of a file lie: whatever a file says of its place is agreed on or refused, cell by cell."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xsm import EASE2_M09, EASE2_M36, DataError, Grid
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_smap.layout import L3_GROUPS, POLAR_GROUPS
from xsm_smap.polar import EASE2_N09
from xsm_smap.source import SmapSource

open_ = functools.partial(open_files, SmapSource())
NAMES = {
    "EASE2_M09": "SMAP_L3_SM_P_E_20210402_R19240_001_subset.nc4",
    "EASE2_M36": "SMAP_L3_SM_P_20210402_R19240_001_subset.nc4",
}
SHORT = {"EASE2_M09": "SPL3SMP_E", "EASE2_M36": "SPL3SMP"}
WINDOW = EASE2_M09.window(300, 312, 900, 917)
CLAIMS = ("axes", "indices", "degrees", "name", "short name", "projection")
LINES = ("axes", "indices", "degrees")
WARNINGS = pytest.mark.filterwarnings("ignore:.*give no units", "ignore:.*saved again without")


def truth(row: Any, col: Any) -> np.ndarray:
    return (0.05 + ((7 * np.asarray(row) + 3 * np.asarray(col)) % 400) / 1000).astype("f4")


def write(
    path: Path,
    window: Grid,
    claims: Any,
    *,
    south_first: bool = False,
    turned: bool = False,
    attached: bool = True,
    axes: tuple[str, str] = ("y", "x"),
    groups: dict[str, str] | None = None,
    wrong: dict[str, Any] | None = None,
    units: str = "cm**3/cm**3",
) -> Path:
    """Write both passes on a window; ``wrong`` replaces parts of what the file says."""
    rows, cols = (window.row[::-1] if south_first else window.row), window.col
    base = window.window(0, window.shape_global[0], 0, window.shape_global[1])
    off = np.zeros((len(rows), len(cols)), bool)
    off[:, -3:] = True  # a swath that ends in the window
    said: dict[str, Any] = {
        "y": base.y[rows], "x": base.x[cols], "row": rows, "col": cols, "name": SHORT.get(window.name, "SPL3SMP_E"),
        "kilometres": round(window.cell / 1000), "mapping": "lambert_cylindrical_equal_area",
    }  # fmt: skip
    if window.epsg == 6933:
        said |= {"lat": base.lat[rows], "lon": base.lon[cols]}
    said |= wrong or {}

    def upright(values: np.ndarray) -> np.ndarray:
        return values.T if turned else values

    with h5py.File(path, "w") as file:
        projection = f"EASE2_global_projection_{said['kilometres']}km"
        if "short name" in claims:
            file.require_group("Metadata/DatasetIdentification").attrs["shortName"] = said["name"]
        if "projection" in claims:
            file[projection] = np.int32(0)
            file[projection].attrs["grid_mapping_name"] = said["mapping"]
        scales = {}
        if "axes" in claims:
            for name, kind in zip(axes, "yx", strict=True):
                file[name] = said[kind]
                file[name].attrs["standard_name"] = f"projection_{kind}_coordinate"
                file[name].attrs["units"] = "m"
                scales[kind] = file[name]
                if attached:
                    file[name].make_scale(name)
        for overpass, name in (groups or L3_GROUPS).items():
            group, suffix = file.create_group(name), "" if overpass == "AM" else "_pm"
            fields = {"soil_moisture_dca": np.where(off, -9999, truth(rows[:, None], cols)).astype("f4")}
            fields["retrieval_qual_flag_dca"] = np.where(off, 7, 0).astype("u2")
            if "indices" in claims:
                fields["EASE_row_index"] = np.where(off, 65534, said["row"][:, None]).astype("u2")
                fields["EASE_column_index"] = np.where(off, 65534, said["col"]).astype("u2")
            if "degrees" in claims:
                fields["latitude"] = np.where(off, -9999, said["lat"][:, None]).astype("f4")
                fields["longitude"] = np.where(off, -9999, said["lon"]).astype("f4")
            for key, values in fields.items():
                group[key + suffix] = upright(values)
                if "axes" in claims and attached:
                    for axis, kind in enumerate("xy" if turned else "yx"):
                        group[key + suffix].dims[axis].attach_scale(scales[kind])
                if "projection" in claims:
                    group[key + suffix].attrs["grid_mapping"] = f"/{projection}"
            if units:
                group["soil_moisture_dca" + suffix].attrs["units"] = units
            file.require_group("Metadata/Extent").attrs["rangeBeginningDateTime"] = "2021-04-02T00:00:00.000Z"
    return path


def check(got: xr.Dataset, window: Grid, *, cut: int = 3) -> None:
    """Every cell has its own value, and none is lost."""
    base = window.window(0, window.shape_global[0], 0, window.shape_global[1])
    row = np.rint((got["y"].values - base.y[0]) / (base.y[1] - base.y[0])).astype(int)
    col = np.rint((got["x"].values - base.x[0]) / (base.x[1] - base.x[0])).astype(int)
    values = got["sm_dca"].values[0]
    r, c = np.nonzero(np.isfinite(values))
    np.testing.assert_allclose(values[r, c], truth(row[r], col[c]), atol=1e-6)
    assert len(r) == window.rows * (window.cols - cut)
    assert {*row[r]} == {*window.row} and {*col[c]} == {*window.col[:-cut]}


def path_of(folder: Path, window: Grid, claims: Any) -> Path:
    return folder / (NAMES[window.name] if "name" in claims else "day.nc4")


@pytest.mark.parametrize("claims", [c for n in range(7) for c in itertools.combinations(CLAIMS, n) if {*c} & {*LINES}])
def test_every_set_of_claims_places_the_data(claims: tuple[str, ...], tmp_path: Path) -> None:
    path = write(path_of(tmp_path, WINDOW, claims), WINDOW, claims)
    if claims == ("indices",):
        with pytest.raises(DataError, match=r"fit EASE2_M09 and EASE2_M36"):
            open_([path], variables=["sm_dca"])
        return
    check(open_([path], variables=["sm_dca"]), WINDOW)


@pytest.mark.parametrize("claims", [c for n in range(4) for c in itertools.combinations(CLAIMS[3:], n)])
def test_names_alone_do_not_place_a_subset(claims: tuple[str, ...], tmp_path: Path) -> None:
    path = write(path_of(tmp_path, WINDOW, claims), WINDOW, claims)
    with pytest.raises(DataError, match=r"12 x 17 cells and does not say where they lie.*Keep x and y"):
        open_([path], variables=["sm_dca"])


@st.composite
def windows(draw: Any) -> Grid:
    grid = draw(st.sampled_from([EASE2_M09, EASE2_M36]))
    rows, cols = draw(st.integers(2, 12)), draw(st.integers(5, 14))
    row0 = draw(st.integers(0, grid.shape_global[0] - rows))
    col0 = draw(st.integers(0, grid.shape_global[1] - cols))
    return grid.window(row0, row0 + rows, col0, col0 + cols)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    window=windows(),
    lines=st.sets(st.sampled_from(LINES), min_size=1),
    names=st.sets(st.sampled_from(CLAIMS[3:])),
    south_first=st.booleans(),
    turned=st.booleans(),
    attached=st.booleans(),
    axes=st.sampled_from([("y", "x"), ("y_global", "x_global"), ("northing", "easting")]),
    overpass=st.sampled_from(["AM", "PM"]),
)
def test_any_window_order_and_naming(
    window: Grid, lines: set[str], names: set[str], south_first: bool, turned: bool, attached: bool,
    axes: tuple[str, str], overpass: str, tmp_path: Path,
) -> None:  # fmt: skip
    claims = lines | names | {"name"}
    if "axes" in lines and not attached and window.rows == window.cols:
        attached = True  # without names of dims a square tells no order
    path = write(
        path_of(tmp_path, window, claims), window, claims, south_first=south_first, turned=turned, attached=attached,
        axes=axes,
    )  # fmt: skip
    check(open_([path], variables=["sm_dca"], overpass=overpass), window)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "rows shifted": ({"row": WINDOW.row + 4}, "EASE_row_index"),
    "rows mirrored": ({"row": WINDOW.row[::-1]}, "EASE_row_index"),
    "columns shifted": ({"col": WINDOW.col - 1}, "EASE_column_index"),
    "y shifted": ({"y": WINDOW.y + WINDOW.cell}, r"\by \("),
    "y mirrored": ({"y": WINDOW.y[::-1]}, r"\by \("),
    "y beside the centres": ({"y": WINDOW.y + WINDOW.cell / 2}, r"\by \("),
    "y in degrees": ({"y": WINDOW.lat}, r"\by \("),
    "x of 36 km": ({"x": EASE2_M36.x[225:242]}, r"\bx \("),
    "x shifted": ({"x": WINDOW.x - WINDOW.cell}, r"\bx \("),
    "latitude mirrored": ({"lat": WINDOW.lat[::-1]}, "latitude"),
    "latitude of 36 km": ({"lat": EASE2_M36.lat[75:87]}, "latitude"),
    "longitude shifted": ({"lon": WINDOW.lon + 1}, "longitude"),
    "short name": ({"name": "SPL3SMP"}, "SPL3SMP"),
    "cell size of the projection": ({"kilometres": 36}, "projection_36km"),
    "kind of the projection": ({"mapping": "latitude_longitude"}, "latitude_longitude"),
}


@pytest.mark.parametrize("case", WRONG)
def test_each_single_contradiction_is_refused(case: str, tmp_path: Path) -> None:
    wrong, named = WRONG[case]
    path = write(path_of(tmp_path, WINDOW, CLAIMS), WINDOW, CLAIMS, wrong=wrong)
    with pytest.raises(DataError, match=rf"{path.name}' (contradicts itself|cannot be placed).*{named}"):
        open_([path], variables=["sm_dca"])


def test_file_name_of_the_other_grid(tmp_path: Path) -> None:
    path = write(tmp_path / NAMES["EASE2_M36"], WINDOW, CLAIMS)
    with pytest.raises(DataError, match=r"its file name \(SPL3SMP\) against shortName in the metadata \(SPL3SMP_E\)"):
        open_([path], variables=["sm_dca"])


@pytest.mark.parametrize("claims", [("axes",), ("indices",), ("degrees",), ("axes", "indices", "degrees")])
@pytest.mark.parametrize(("south_first", "turned"), [*itertools.product((False, True), repeat=2)])
def test_whole_grid_in_any_order(claims: tuple[str, ...], south_first: bool, turned: bool, tmp_path: Path) -> None:
    window = EASE2_M36.window(0, 406, 0, 964)
    path = write(tmp_path / NAMES["EASE2_M36"], window, claims, south_first=south_first, turned=turned)
    check(open_([path], variables=["sm_dca"]), window)


@WARNINGS
def test_whole_grid_that_names_no_cell_is_doubted(tmp_path: Path) -> None:
    day = xr.DataArray(np.full((406, 964), 0.2, "f4"), dims=("a", "b"), attrs={"units": "m3 m-3"})
    flag = xr.DataArray(np.zeros((406, 964), "u2"), dims=("a", "b"))
    path = tmp_path / NAMES["EASE2_M36"]
    fields = xr.Dataset({"soil_moisture_dca": day, "retrieval_qual_flag_dca": flag})
    fields.to_netcdf(path, group=L3_GROUPS["AM"], engine="h5netcdf")
    with pytest.warns(UserWarning, match="first row is taken as the northernmost"):
        open_([path], variables=["sm_dca"])


def test_saved_again_by_xarray(tmp_path: Path) -> None:
    """Decoded, cut, turned over, with a time dimension and flags as floats."""
    window = EASE2_M09.window(300, 330, 900, 940)
    whole = write(tmp_path / "whole.nc4", window, ("axes", "indices", "degrees"))
    axes = xr.open_dataset(whole, engine="h5netcdf")[["y", "x"]].load()
    group = xr.open_dataset(whole, engine="h5netcdf", group=L3_GROUPS["AM"]).load()
    group["soil_moisture_dca"] = group["soil_moisture_dca"].where(group["soil_moisture_dca"] != -9999)
    group["retrieval_qual_flag_dca"] = group["retrieval_qual_flag_dca"].astype("f8")
    part = group.assign_coords(axes.coords).isel(y=slice(20, 4, -1), x=slice(6, 33)).transpose("x", "y")
    part = part.expand_dims("time").rename(y="south_north", x="west_east")
    path = tmp_path / NAMES["EASE2_M09"]
    part.drop_vars(["south_north", "west_east"]).to_netcdf(path, group=L3_GROUPS["AM"], engine="h5netcdf")
    got = open_([path], variables=["sm_dca"])
    values = got["sm_dca"].values[0]
    r, c = np.nonzero(np.isfinite(values))
    row = np.rint((EASE2_M09.y[0] - got["y"].values) / EASE2_M09.cell).astype(int)
    col = np.rint((got["x"].values - EASE2_M09.x[0]) / EASE2_M09.cell).astype(int)
    np.testing.assert_allclose(values[r, c], truth(row[r], col[c]), atol=1e-6)
    assert (row.min(), row.max(), len(r)) == (305, 320, 16 * 27) and (col.min(), col.max()) == (906, 932)


def test_polar_groups_alone_are_named(tmp_path: Path) -> None:
    window = EASE2_N09.window(700, 720, 300, 330)
    path = write(tmp_path / NAMES["EASE2_M09"], window, ("axes", "indices"), groups=POLAR_GROUPS)
    with pytest.raises(DataError, match=r"of the global grid, only .*Polar_AM.*projection='polar'"):
        open_([path], variables=["sm_dca"])
    check(open_([path], variables=["sm_dca"], projection="polar"), window)


def test_region_reaches_beyond_a_subset(tmp_path: Path) -> None:
    path = write(path_of(tmp_path, WINDOW, CLAIMS), WINDOW, CLAIMS, south_first=True)
    box = EASE2_M09.window(295, 305, 910, 930)
    got = open_([path], region=Area(box.bbox, box), variables=["sm_dca"])
    values = got["sm_dca"].values[0]
    assert values.shape == box.shape and int(np.isfinite(values).sum()) == 5 * 4
    np.testing.assert_allclose(values[5:, :4], truth(box.row[5:, None], box.col[:4]), atol=1e-6)


def test_subset_that_no_swath_touches_is_a_day_without_values(tmp_path: Path) -> None:
    good = write(tmp_path / NAMES["EASE2_M09"], WINDOW, ("indices", "short name"))
    empty = tmp_path / NAMES["EASE2_M09"].replace("20210402", "20210403")
    empty.write_bytes(good.read_bytes())
    with h5py.File(empty, "r+") as file:
        for group in L3_GROUPS.values():
            for name, dataset in file[group].items():
                if "flag" not in name:
                    dataset[...] = 65534 if dataset.dtype.kind == "u" else -9999
    got = open_([good, empty], variables=["sm_dca"])
    check(got, WINDOW)
    assert got.sizes["time"] == 2 and got["sm_dca"][1].isnull().all()


@pytest.mark.parametrize("units", ["cm**3/cm**3", "m3 m-3", "m3/m3"])
def test_spellings_of_the_unit(units: str, tmp_path: Path) -> None:
    check(open_([write(tmp_path / NAMES["EASE2_M09"], WINDOW, CLAIMS, units=units)], variables=["sm_dca"]), WINDOW)


@pytest.mark.parametrize("units", ["K", "kg/m**2"])
def test_another_unit_is_refused(units: str, tmp_path: Path) -> None:
    path = write(tmp_path / NAMES["EASE2_M09"], WINDOW, CLAIMS, units=units)
    with pytest.raises(DataError, match=r"soil_moisture_dca is in '.*', expected m3 m-3"):
        open_([path], variables=["sm_dca"])


def test_absent_unit_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / NAMES["EASE2_M09"], WINDOW, CLAIMS, units="")
    with pytest.warns(UserWarning, match="1 of 1 SMAP files give no units for soil_moisture_dca"):
        check(open_([path], variables=["sm_dca"]), WINDOW)


def test_real_subset_of_a_service(real: Path, tmp_path: Path) -> None:
    source = real / "smap_l3e_layout" / "SPL3SMP_E_v006_surface_flag_conus_subset.nc4"
    path = tmp_path / NAMES["EASE2_M09"]
    path.write_bytes(source.read_bytes())
    got = open_([path], variables=["surface_flag"])
    with h5py.File(path) as file:
        flags, lat = (file[f"{L3_GROUPS['AM']}/{n}"][:] for n in ("surface_flag", "latitude"))
    np.testing.assert_allclose(got["y"], EASE2_M09.y[195:469])
    np.testing.assert_array_equal(got["surface_flag"][0], np.where(lat == -9999, 65534, flags))


@pytest.mark.parametrize("turned", ["soil_moisture_dca", "retrieval_qual_flag_dca", "EASE_row_index", "latitude"])
@pytest.mark.parametrize("whole", [False, True])
def test_datasets_of_one_file_in_unlike_orders(turned: str, whole: bool, tmp_path: Path) -> None:
    window = EASE2_M36.window(0, 406, 0, 964) if whole else WINDOW
    path = write(tmp_path / NAMES[window.name], window, ("indices", "degrees", "short name"))
    with h5py.File(path, "r+") as file:
        group = file[L3_GROUPS["AM"]]
        values, attrs = group[turned][:].T, dict(group[turned].attrs)
        del group[turned]
        group[turned] = values
        group[turned].attrs.update(attrs)
    check(open_([path], variables=["sm_dca"]), window)
    box = EASE2_M09.window(300, 340, 900, 960)
    part = open_([path], region=Area(box.bbox, box), variables=["sm_dca"])
    assert part["sm_dca"].notnull().any()


def test_coordinates_of_one_dimension_in_degrees(tmp_path: Path) -> None:
    path = write(tmp_path / NAMES["EASE2_M09"], WINDOW, ("name",))
    with h5py.File(path, "r+") as file:
        file["lat"], file["lon"] = WINDOW.lat, WINDOW.lon % 360
    check(open_([path], variables=["sm_dca"]), WINDOW)


def test_two_windows_of_one_day_stop(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / NAMES["EASE2_M09"].replace("subset", name), EASE2_M09.window(row, row + 9, 900, 917), CLAIMS)
        for name, row in (("north", 300), ("south", 320))
    ]
    with pytest.raises(DataError, match="of one day and contain other windows"):
        open_(paths, variables=["sm_dca"])
