"""The commands that are not operations: lists, doctor, inspect, init, run, demo, twin, view, qgis; see `unattended`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from xsm.errors import DataError, UsageError, unknown
from xsm.faces.text_table import table
from xsm.faces.unattended import status, update, watch
from xsm.twin.write import PRODUCTS

OUT = click.Path(path_type=Path)


def add_to(group: click.Group) -> None:
    """Add all tools to the command group."""
    from xsm.faces.command import common

    for tool in TOOLS:
        if tool.name not in group.commands:
            tool.params += common()
            group.add_command(tool)


def _listing(name: str, about: str, shown: str, further: str = "") -> click.Command:
    """A command that lists what is registered: some fields as a table, with the further ones as JSON."""

    @click.command(name, help=f"List {about}.")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    def show(as_json: bool) -> None:
        from xsm.contracts import registry

        fields = f"{shown} {further}".split()
        items = getattr(registry, "operations" if name == "ops" else name)().values()
        listed = [{field: _cell(getattr(item, field)) for field in fields} for item in items]
        if as_json:
            click.echo(json.dumps(listed, indent=1, default=str))
        else:
            table(([row[f] for f in shown.split()] for row in listed), tuple(shown.split()))

    return show


def _cell(value: Any) -> str:
    """A value of a list: names, for what several are registered or described."""
    if isinstance(value, dict):
        return _cell([name for names in value.values() for name in names])
    return ", ".join(str(getattr(v, "name", v)) for v in value) if isinstance(value, tuple | list) else str(value)


@click.command("doctor", help="Check the installation: versions, plugins, PROJ and GDAL, threads, GPU, disk.")
def doctor() -> int:
    """Print one line for each check; the exit code is 1 if one fails."""
    from xsm.faces.doctor import checks

    rows = checks()
    table(((("ok" if ok else "FAILED"), name, detail) for name, ok, detail in rows), ("", "check", "result"))
    if failed := [name for name, ok, _ in rows if not ok]:
        click.echo(f"{len(failed)} of {len(rows)} checks failed ({', '.join(failed)}); what does not need them works.")
        return 1
    click.echo("All checks passed. Next: xsm demo --quick (90 s), or xsm init rabiei2024 --example and xsm run.")
    return 0


@click.command("inspect", help="Show what a model bundle or a data file contains.")
@click.argument("path", type=OUT)
@click.option("--text", is_flag=True, help="Print a bundle's card as readable text instead of JSON.")
@click.option("--figure", type=OUT, help="Draw a bundle's learning curve into this file (PNG, PDF or SVG).")
def inspect(path: Path, text: bool, figure: Path | None) -> None:
    """Print a bundle's card or a dataset's summary; needs no torch."""
    from xsm.contracts.bundle import Bundle
    from xsm.io import files

    if (path / "card.json").is_file():
        bundle = Bundle.load(path)
        if figure is not None:
            bundle.plot().savefig(figure)
        if text:
            click.echo(bundle.describe())
            return
        size = sum(w.nbytes for w in bundle.weights.values())
        click.echo(json.dumps({**bundle.card, "hash": bundle.hash, "bytes": size}, indent=1))
        if bundle.surface is not None:
            click.echo(f"surface: {bundle.surface.hash} (5 cm bundle inside)")
    else:
        click.echo(repr(files.read(path)))


@click.command("init", help="Write a study file ('rabiei2024', 'anywhere') or a plugin's skeleton ('plugin NAME').")
@click.argument("what", metavar="rabiei2024|anywhere|plugin")
@click.argument("name", required=False)
@click.option("--example", is_flag=True, help="A study on synthetic data that runs at once.")
@click.option("--region", help="West,south,east,north in degrees of the study 'anywhere'; by default in Iberia.")
def init(what: str, name: str | None, example: bool, region: str | None) -> None:
    """Write a starting point into the current folder."""
    if region is not None and what != "anywhere":
        raise UsageError(f"--region is not for '{what}'.", hint="Write: xsm init anywhere --region -6,38,-5,39")
    if what == "plugin":
        from xsm.faces.new_plugin import render

        if not name:
            raise UsageError("A plugin needs a name.", hint="Write: xsm init plugin mysensor")
        click.echo(str(render(name, Path.cwd())))
    elif what == "rabiei2024":
        from xsm.study.template import write_template

        click.echo(str(write_template(Path(name or "rabiei2024.toml"), example=example)))
    elif what == "anywhere":
        from xsm.study.anywhere import write_anywhere

        click.echo(str(write_anywhere(Path(name or "anywhere.toml"), region, example=example)))
    else:
        raise unknown("thing to init", what, ("rabiei2024", "anywhere", "plugin"))


@click.command("run", help="Run a study from its TOML file; run again to continue.")
@click.argument("study", type=OUT)
@click.option("--dry-run", is_flag=True, help="Show plan and finished stages, predict bytes and memory, and stop.")
@click.option("--like", type=OUT, help="Results of a shorter study, from which --dry-run predicts bytes and hours.")
@click.option("--allow-skipped", is_flag=True, help="Exit with code 0 even if files were left out (on_error = 'skip').")
def run(study: Path, dry_run: bool, like: Path | None, allow_skipped: bool) -> None:
    """Run the study; lists the files that were left out at the end."""
    from xsm.data.skipped import folded
    from xsm.faces.command import setting
    from xsm.faces.progress_bar import show
    from xsm.options import threads
    from xsm.study.config import load
    from xsm.study.pipeline import run_study
    from xsm.study.stages import left_out

    config = load(study)
    if dry_run:
        from xsm.study.forecast import forecast, outlook, plan

        click.echo(plan(config))
        if like is None:
            click.echo(f"predicted, before compression:\n{outlook(config)}")
            click.echo("hint: --like RESULTS of a shorter study predicts hours, and bytes as compressed.", err=True)
        else:
            click.echo(f"predicted from '{like}':\n{forecast(config, like)}")
    else:
        with show(setting("progress"), "xsm run") as begin:
            out = run_study(config, begin, processes=threads())
        click.echo(str(out))
        lost = left_out(out)
        for line in folded(list(lost.values()), f"'{out / '.xsm' / 'manifest.json'}'"):
            click.echo(line, err=True)
        if lost and not allow_skipped:
            raise DataError(
                f"The results are complete except for {len(lost)} files left out as listed above.",
                hint="Download those files again and run again, or accept the result with --allow-skipped.",
            )


@click.command("demo", help="Run the whole workflow on synthetic data: files, fill, train, estimate, validate, report.")
@click.argument("out", type=OUT, default=Path("xsm-demo"))
@click.option("--quick", is_flag=True, help="At most 60 days and 90 seconds.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of world and training.")
@click.option("--overwrite", is_flag=True, help="Replace an existing demo folder.")
def demo(out: Path, quick: bool, seed: int, overwrite: bool) -> None:
    """Run the demo into a folder."""
    from xsm.faces.command import setting
    from xsm.faces.demo import run_demo

    run_demo(out, quick=quick, seed=seed, overwrite=overwrite, progress=setting("progress"))


@click.command("twin", help="Write a synthetic world as files in the products' formats.")
@click.argument("out", type=OUT)
@click.option("--region", default="-99.5,34.5,-97.4,36.3", show_default=True, help="west,south,east,north in degrees.")
@click.option(
    "--days",
    default="90",
    show_default=True,
    help="Number of days from 2021-04-01, or first/last as 2021-01-01/2021-12-31.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the world.")
@click.option(
    "--products",
    default=",".join(PRODUCTS),
    show_default=True,
    help="Sources whose files are written, by their names in xsm sources.",
)
def twin(out: Path, region: str, days: str, seed: int, products: str) -> None:
    """Create a world and write it."""
    from xsm.data.period import days as period
    from xsm.twin import make_world, write_world

    if out.exists() and any(out.iterdir()):
        raise DataError(f"The folder '{out}' is not empty.", hint="Give another folder.")
    world = make_world(region, int(days) if days.isdecimal() else period(days), seed)
    for path in sorted({p.parent for p in write_world(world, out, products.split(","))}):
        click.echo(str(path))


@click.command("view", help="Explore maps in the browser: days, products, series, stations; or save a page to send.")
@click.argument("paths", type=OUT, nargs=-1, required=True, metavar="PATH...")
@click.option("--stations", type=OUT, help="Stations to show and to compare with: NetCDF, Zarr or CSV.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on this machine; by default any that is free."
)
@click.option("--no-browser", is_flag=True, help="Print the address and open no browser.")
@click.option("--save", type=OUT, help="Write one HTML file that needs no server, and stop.")
@click.option("--region", help="West,south,east,north in degrees of the saved page.")
@click.option("--time", help="Days of the saved page: 2022-07-01/2022-07-31.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def view(
    paths: tuple[Path, ...], stations: Path | None, port: int, no_browser: bool, save: Path | None,
    region: str | None, time: str | None, overwrite: bool,
) -> None:  # fmt: skip
    """Serve the explorer to this machine until it is interrupted."""
    import webbrowser

    from xsm.explorer.view import View
    from xsm.io import files

    maps = {path.stem if len({p.stem for p in paths}) == len(paths) else str(path): files.read_all(path)
            for path in paths}  # fmt: skip
    explorer = View(maps, None if stations is None else files.read_all(stations), port)
    if save is not None:
        click.echo(str(explorer.save(save, region=region, time=time, overwrite=overwrite)))
        explorer.close()
        return
    click.echo(explorer.url)
    click.echo("Stop with Ctrl+C.", err=True)
    if not no_browser:
        webbrowser.open(explorer.url)
    explorer.wait()


@click.group("qgis", help="Install the QGIS toolbox, build its zip, describe its operations.")
def qgis() -> None:
    """Group of the QGIS tools."""


@qgis.command("install", help="Copy the plugin into a QGIS profile and record this Python.")
@click.option("--profile", default="default", show_default=True, help="QGIS profile.")
@click.option("--qgis", "version", type=click.Choice(["3", "4"]), default="3", show_default=True, help="QGIS version.")
def qgis_install(profile: str, version: str) -> None:
    """Install the plugin."""
    from xsm.faces.qgis import install

    click.echo(str(install(profile, version)))


@qgis.command("zip", help="Build the plugin zip into a folder.")
@click.argument("folder", type=OUT, default=Path("dist"))
def qgis_zip(folder: Path) -> None:
    """Build the zip."""
    from xsm.faces.qgis import build_zip

    click.echo(str(build_zip(folder)))


@qgis.command("describe", help="Print operations.json as the plugin ships it.")
def qgis_describe() -> None:
    """Print the description of the core's own operations."""
    from xsm.faces.qgis import operations_json

    click.echo(operations_json(), nl=False)


TOOLS: tuple[click.Command, ...] = (
    _listing("plugins", "plugins and their status", "name distribution version status registers reason"),
    _listing("sources", "data sources", "name title options", "fetch_options variables"),
    _listing("models", "models", "name task title options"),
    _listing("ops", "operations", "id group summary owner", "params"),
    doctor, inspect, init, run, update, watch, status, demo, twin, view, qgis,
)  # fmt: skip
