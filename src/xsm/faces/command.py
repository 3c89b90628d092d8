"""Click commands of operations, generated from their descriptions."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from xsm.contracts.operation import Kind, Operation, Param
from xsm.faces.execute import WRITES_FILE, execute

_OUTPUT = click.Path(path_type=Path)
_TYPES: dict[Kind | None, Any] = {Kind.INTEGER: int, Kind.NUMBER: float, Kind.BOOLEAN: bool}


def command(op: Operation) -> click.Command:
    """Return the command of an operation: required parameters are arguments, the others options."""
    params: list[click.Parameter] = [_argument(p) if _positional(p) else _option(p) for p in op.params]
    leading = next((p for p in op.params[:2] if _before_output(p, first=p is op.params[0])), None)
    if op.result in WRITES_FILE:
        params.append(_leading_and_output(leading) if leading else click.Argument(["output"], type=_OUTPUT))
        params.append(click.Option(["--overwrite"], is_flag=True, help="Replace an existing output."))

    names = {p.name for p in op.params}

    def run(output: Any = None, overwrite: bool = False, **values: Any) -> None:
        from xsm.faces.progress_bar import show

        if leading and isinstance(output, tuple):
            *word, output = output
            values |= dict(zip([leading.name], word, strict=False))
        if op.result is Kind.PATH:
            values |= {k: v for k, v in (("output", output), ("overwrite", overwrite)) if k in names}
        values = {k: v for k, v in values.items() if v is not None and v != ()}
        with show(setting("progress"), op.title):
            outcome = execute(op, values, None if op.result is Kind.PATH else output, overwrite=overwrite)
        if outcome.text:
            click.echo(outcome.text)
        if op.result is Kind.TABLE and {"product", "station"} <= set(outcome.value.dims):
            with suppress(OSError, ValueError):
                click.echo(_means(outcome.value), err=True)

    name = op.id.replace("_", "-")
    return click.Command(name, params=[*params, *common()], callback=run, help=op.summary, short_help=op.title)


def common() -> list[click.Parameter]:
    """Options that every command has."""

    def store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None and param.name is not None:
            ctx.find_root().meta[f"xsm.{param.name}"] = value
            if param.name in ("verbose", "quiet"):
                set_log_level(value, param.name == "quiet")
            elif param.name in ("threads", "scheduler"):
                from xsm.options import set_options

                set_options(**{param.name: value})

    kw: dict[str, Any] = {"expose_value": False, "callback": store, "default": None}
    return [
        click.Option(
            ["--progress"], type=click.Choice(["auto", "bar", "json", "off"]), help="Progress on stderr.", **kw
        ),
        click.Option(["--threads"], type=click.IntRange(1), help="Threads of blocks and models.", **kw),
        click.Option(["--scheduler"], metavar="ADDRESS", help="Compute on this dask.distributed cluster.", **kw),
        click.Option(["-v", "--verbose"], count=True, help="Show more; twice for debugging.", **kw),
        click.Option(["-q", "--quiet"], is_flag=True, flag_value=True, help="Show errors only.", **kw),
        click.Option(["--debug"], is_flag=True, flag_value=True, help="Show the traceback of an error.", **kw),
    ]


def _means(table: Any) -> str:
    from xsm.validation.scoring import SHOWN, to_frame

    frame = to_frame(table)
    shown = [n for n in SHOWN if n in frame]
    means = frame.groupby("product", sort=False)[shown].mean().round(4)
    parts = [f"means over stations (soil moisture in m3 m-3)\n{means.to_string()}"]
    for by in sorted(str(d)[3:] for d in table.dims if str(d).startswith("by_")):
        groups = frame.groupby(["product", by], sort=False)[shown].mean().round(4)
        parts.append(
            f"by {by.replace('_', ' ')}\n{groups.assign(stations=frame.groupby(['product', by]).size()).to_string()}"
        )
    return "\n\n".join(parts)


def set_log_level(verbose: int, quiet: bool) -> None:
    """Set what the log shows: errors when quiet, everything from ``-vv`` on."""
    logging.getLogger("xsm").setLevel(logging.ERROR if quiet else logging.DEBUG if verbose > 1 else logging.INFO)


def setting(name: str) -> Any:
    """Value of a common option of the running command."""
    return click.get_current_context().find_root().meta.get(f"xsm.{name}", "auto")


def _positional(param: Param) -> bool:
    return param.required or param.kind is Kind.DATASETS


def _before_output(param: Param, first: bool) -> bool:
    """Whether the value of an optional parameter may stand before the output: a first choice, stations after data."""
    return param.kind is Kind.CHOICE if first else param.kind is Kind.STATIONS and not param.required


def _argument(param: Param) -> click.Argument:
    many = param.kind in (Kind.DATASETS, Kind.PATHS)
    shown = ("INPUT" if param.name == "ds" else param.name.upper()) + ("..." if many else "")
    return click.Argument([param.name], nargs=-1 if many else 1, required=param.required, metavar=shown)


def _leading_and_output(leading: Param) -> click.Argument:
    """The output, before which the value of a parameter may stand: ``xsm example cube out.nc``."""

    def checked(ctx: click.Context, argument: click.Parameter, words: tuple[str, ...]) -> tuple[str | Path, ...]:
        if len(words) > 2:
            raise click.UsageError(f"Got unexpected extra argument ({words[2]})", ctx)
        if len(words) > 1 and leading.name in ctx.params and ctx.params[leading.name] is not None:
            raise click.UsageError(f"'{leading.name}' is given twice: {words[0]} and {ctx.params[leading.name]}.", ctx)
        return *words[:-1], Path(words[-1])

    shown = f"[{leading.name.upper()}] OUTPUT"
    return click.Argument(["output"], nargs=-1, required=True, metavar=shown, callback=checked)


def _option(param: Param) -> click.Option:
    name = param.name.replace("_", "-")
    about = param.help + (f" [{param.unit}]" if param.unit else "")
    kw: dict[str, Any] = {"help": about, "default": None}
    if param.kind is Kind.OPTIONS:
        return click.Option(["-o", "--option", param.name], multiple=True, metavar="NAME=VALUE", help=param.help)
    if param.kind is Kind.BOOLEAN:
        return click.Option([f"--{name}/--no-{name}", param.name], **kw)
    if param.kind is Kind.CHOICE:
        kw["type"] = click.Choice([str(c) for c in param.choices])
    else:
        kw["type"] = _TYPES.get(param.kind, str)
    if param.kind is Kind.STRINGS:
        kw |= {"multiple": True, "callback": _listed, "metavar": "NAME[,NAME]"}
    if param.kind is Kind.MAPPING:
        kw |= {"multiple": True, "metavar": "NAME=VALUE"}
    if param.default not in (None, ()):
        several = isinstance(param.default, tuple)
        kw["help"] += f"  (default: {','.join(map(str, param.default)) if several else param.default})"
    return click.Option([f"--{name}", param.name], **kw)


def _listed(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str | None:
    """A list: values separated by commas, a repeated option, or both."""
    return ",".join(value) or None
