"""Files that are whole and lie: coordinates, units, times and names of columns that contradict the rest of the file."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.reliability.fuzz_format import Damage

ROWS = slice(300, 400)
"""Rows of the whole products in which the small world lies."""
OTHER_UNITS = ("K", "percent", "m s-1", "degC", "furlong", "days since 1970-01-01")
"""Units of which none is that of a variable with its values; temperatures in kelvin are no degrees Celsius."""


def cells(*names: str) -> Damage:
    """Shift the indices or degrees of one dataset of cells, in one pass."""

    def damage(path: Path, rng: random.Random) -> None:
        import h5py

        with h5py.File(path, "r+") as file:
            (group,) = [g for g in file.values() if names[0] in g]
            node = group[rng.choice(names)]
            part = ROWS if node.ndim == 2 else slice(None)
            values = node[part]
            if values.dtype.kind == "u":
                values[values < 65000] += rng.randint(1, 40)
            else:
                values[values > -1000] += rng.choice([-1, 1]) * rng.uniform(0.1, 5)
            node[part] = values

    return damage


def units(*names: str) -> Damage:
    """Give one dataset the unit of another quantity."""

    def damage(path: Path, rng: random.Random) -> None:
        import h5py

        with h5py.File(path, "r+") as file:
            places: list[str] = []
            file.visititems(lambda name, node: places.append(name) if name.rsplit("/", 1)[-1] in names else None)
            node = file[rng.choice(sorted(places))]
            before = node.attrs["units"]
            before = before.decode() if isinstance(before, bytes) else str(before)
            kelvin = before.lower().startswith("k") and "g" not in before
            node.attrs["units"] = rng.choice([u for u in OTHER_UNITS if not (kelvin and u == "K")])

    return damage


def smap_times(path: Path, rng: random.Random) -> None:
    """Shift the day in the metadata, or the time of every observation."""
    import h5py

    with h5py.File(path, "r+") as file:
        extent = file.get("Metadata/Extent")
        if extent is not None and rng.random() < 0.5:
            extent.attrs["rangeBeginningDateTime"] = f"20{rng.randint(15, 20)}-06-{rng.randint(10, 28)}T00:00:00.000Z"
            return
        (group,) = [g for g in file.values() if "tb_time_seconds" in g]
        node = group["tb_time_seconds"]
        part = ROWS if node.ndim == 2 else slice(None)
        values = node[part]
        values[values > 0] += 86400.0 * rng.randint(3, 400)
        node[part] = values


def nldas_times(path: Path, rng: random.Random) -> None:
    """Give a file another hour than its name, by its value or by its unit."""
    import h5py

    with h5py.File(path, "r+") as file:
        if rng.random() < 0.5:
            file["time"][...] = file["time"][...] + rng.choice([-48, -1, 1, 7, 24 * 365])
        else:
            file["time"].attrs["units"] = rng.choice(
                ["hours since 1979-01-02 00:00:00", "days since 1979-01-01", "minutes since 1979-01-01", "K", ""]
            )


def days_shifted(path: Path, rng: random.Random) -> None:
    """Give the observations of a day another day."""
    import h5py

    with h5py.File(path, "r+") as file:
        per_day = 1 if "days" in str(file["time"].attrs["units"]) else 24
        file["time"][...] = file["time"][...] + per_day * rng.choice([-400, -2, 2, 3, 31])


def nldas_axes(path: Path, rng: random.Random) -> None:
    """Shift an axis of one hour, or one of its values."""
    import h5py

    with h5py.File(path, "r+") as file:
        node = file[rng.choice(["lat", "lon"])]
        values = node[...]
        if rng.random() < 0.5:
            values += 0.125 * rng.randint(1, 30)
        else:
            values[rng.randrange(len(values))] += rng.uniform(0.05, 3)
        node[...] = values


def digit_changed(path: Path, rng: random.Random) -> None:
    """Another digit in the numbers of a text: the VRT stays one, and its tiles tell where they lie."""
    text = path.read_text()
    at = rng.choice([m.start() for m in re.finditer(r"\d", text)])
    path.write_text(text[:at] + rng.choice([d for d in "0123456789" if d != text[at]]) + text[at + 1 :])


def layer_shifted(path: Path, rng: random.Random) -> None:
    """Put one layer beside the others."""
    import rasterio
    from rasterio.transform import Affine

    with rasterio.open(path, "r+") as file:
        file.transform = file.transform @ Affine.translation(rng.randint(1, 9), rng.choice([0, 3]))


def _columns(line: str, numbers: Mapping[int, str]) -> str:
    fields = list(re.finditer(r"\S+", line))
    for at in sorted(numbers, reverse=True):
        line = line[: fields[at].start()] + numbers[at] + line[fields[at].end() :]
    return line


def rewritten(*ways: Any) -> Damage:
    """Rewrite every row by one of some ways, each a function of the fields and a random number."""

    def damage(path: Path, rng: random.Random) -> None:
        way, number = rng.choice(ways), rng.randint(1, 300)
        lines = path.read_text().splitlines()
        path.write_text("\n".join(_columns(line, way(line.split(), number)) for line in lines) + "\n")

    return damage


def _later(day: str, days: int) -> str:
    plain = re.sub(r"[-/]", "", day)
    new = str(np.datetime64(f"{plain[:4]}-{plain[4:6]}-{plain[6:]}") + days)
    return new.replace("-", "/" if "/" in day else "-" if "-" in day else "")


def uscrn_day(fields: Sequence[str], number: int) -> dict[int, str]:
    return {1: _later(fields[1], number)}


def uscrn_other_side(fields: Sequence[str], number: int) -> dict[int, str]:
    return {6: fields[6].lstrip("-")}


def uscrn_places_swapped(fields: Sequence[str], number: int) -> dict[int, str]:
    return {6: fields[7], 7: fields[6]}


def uscrn_percent(fields: Sequence[str], number: int) -> dict[int, str]:
    return {i: f"{float(fields[i]) * 100:.1f}" for i in range(28, 33) if float(fields[i]) > 0}


def stm_days(fields: Sequence[str], number: int) -> dict[int, str]:
    days = {i: _later(f, number) for i, f in enumerate(fields) if re.fullmatch(r"\d{4}/\d\d/\d\d", f)}
    return days if days else {}


def stm_places_swapped(fields: Sequence[str], number: int) -> dict[int, str]:
    at = next((i for i, f in enumerate(fields) if f.startswith("Twin-")), None)
    return {} if at is None else {at + 1: fields[at + 2], at + 2: fields[at + 1]}


def stm_depth(fields: Sequence[str], number: int) -> dict[int, str]:
    at = next((i for i, f in enumerate(fields) if f.startswith("Twin-")), None)
    return {} if at is None else {at + 4: "1.00", at + 5: "1.00"}


def stm_percent(fields: Sequence[str], number: int) -> dict[int, str]:
    dated = bool(re.fullmatch(r"\d{4}/\d\d/\d\d", fields[0])) if fields else False
    return {len(fields) - 3: f"{float(fields[-3]) * 100:.2f}"} if dated else {}


def awdb_units(path: Path, rng: random.Random) -> None:
    """Another unit of soil moisture, or none."""
    tree = json.loads(path.read_text())
    if "data" not in tree[0]:
        return
    for part in tree[0]["data"]:
        element = part["stationElement"]
        if element["elementCode"] == "SMS":
            element["storedUnitCode"] = rng.choice(["in", "degC", None, "m3/m3", "K", "furlong"])
    path.write_text(json.dumps(tree))


def awdb_places(path: Path, rng: random.Random) -> None:
    """Latitude and longitude of a station swapped, or its clock that of another continent."""
    tree = json.loads(path.read_text())
    if "latitude" not in tree[0]:
        return
    for row in tree:
        if rng.random() < 0.5:
            row["latitude"], row["longitude"] = row["longitude"], row["latitude"]
        else:
            row["dataTimeZone"] = rng.choice([3, 9, 0.3])
    path.write_text(json.dumps(tree))


def headings(path: Path, rng: random.Random) -> None:
    """Columns of values under the name of a statistic, of another unit, or of one that is there already."""
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Date,"))
    (names,) = csv.reader([lines[at]])
    which = rng.randrange(1, 4)
    unit = rng.choice(["(m3/m3)", "(in)", "(degC)", ""])
    names[which] = rng.choice(
        [f"Change In {names[which]}", f"{names[which]} Maximum of Hourly Values", names[which % 3 + 1],
         f"{names[which]} Standard Deviation", names[which].replace("(pct)", unit).strip()]
    )  # fmt: skip
    text = io.StringIO()
    csv.writer(text).writerow(names)
    lines[at] = text.getvalue().strip()
    path.write_text("\n".join(lines) + "\n")


def months_first(path: Path, rng: random.Random) -> None:
    """Days that could be months."""
    swapped = re.sub(r"^(\d{4})-(\d\d)-(\d\d)", r"\2/\3/\1", path.read_text(), flags=re.M)
    path.write_text(swapped)


MOISTURE = (
    "soil_moisture",
    "soil_moisture_dca",
    "soil_moisture_scav",
    "soil_moisture_option1",
    "soil_moisture_option3",
)
KELVIN = ("tb_h_corrected", "tb_v_corrected", "surface_temperature")
CELLS = ("EASE_row_index", "EASE_column_index", "latitude", "longitude")
SMAP: Mapping[str, Damage] = {
    "coordinates contradict": cells(*CELLS), "units swapped": units(*MOISTURE, *KELVIN), "times shifted": smap_times,
}  # fmt: skip
SMAP_L4: Mapping[str, Damage] = {"units swapped": units("sm_surface", "sm_rootzone")}
NLDAS: Mapping[str, Damage] = {
    "units swapped": units("SoilM_0_10cm", "SoilM_10_40cm", "SoilT_0_10cm", "SoilT_10_40cm"),
    "times shifted": nldas_times, "axes contradict": nldas_axes,
}  # fmt: skip
ESA_CCI: Mapping[str, Damage] = {
    "units swapped": units("sm", "sm_uncertainty"), "times shifted": days_shifted, "axes contradict": nldas_axes,
}  # fmt: skip
ASCAT: Mapping[str, Damage] = {"units swapped": units("surface_soil_moisture"), "times shifted": days_shifted}
INDEX: Mapping[str, Damage] = {"times shifted": days_shifted, "axes contradict": nldas_axes}
MOSAIC: Mapping[str, Damage] = {"digit changed": digit_changed}
LAYERS: Mapping[str, Damage] = {"layer shifted": layer_shifted}
USCRN: Mapping[str, Damage] = {
    "days contradict": rewritten(uscrn_day), "places contradict": rewritten(uscrn_other_side, uscrn_places_swapped),
    "percent": rewritten(uscrn_percent),
}  # fmt: skip
STM: Mapping[str, Damage] = {
    "times shifted": rewritten(stm_days), "places contradict": rewritten(stm_places_swapped, stm_depth),
    "percent": rewritten(stm_percent),
}  # fmt: skip
AWDB: Mapping[str, Damage] = {"units swapped": awdb_units, "places contradict": awdb_places}
REPORT: Mapping[str, Damage] = {"columns renamed": headings, "months first": months_first}
