"""The ``xsm`` command: one sub-command for every operation, made from its description, and a few tools."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from xsm import __version__
from xsm.describe import Kind, Operation, Param, operations
from xsm.errors import XsmError
from xsm.execute import WRITES_FILE, execute
from xsm.faces import speaking

INTERRUPTED = 130
_TYPES: dict[Kind | None, Any] = {Kind.INTEGER: int, Kind.NUMBER: float, Kind.BOOLEAN: bool}


class Commands(click.Group):
    """Operations and tools; the operations' commands are made when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted({*super().list_commands(ctx), *(name.replace("_", "-") for name in operations())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Make or find a command; a name close to it is suggested when there is none."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        op = operations().get(cmd_name.replace("-", "_"))
        return None if op is None else command(op)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Resolve a command or stop with the nearest known name."""
        from xsm.errors import unknown

        if self.get_command(ctx, args[0]) is None:
            raise unknown("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def command(op: Operation) -> click.Command:
    """Make the command of an operation: what is required becomes an argument, the rest an option."""
    params: list[click.Parameter] = []
    for param in op.params:
        params.append(_argument(param) if _positional(param) else _option(param))
    if op.result in WRITES_FILE:
        params.append(click.Argument(["output"], type=click.Path(path_type=Path)))
        params.append(click.Option(["--overwrite"], is_flag=True, help="Replace an existing output."))

    names = {p.name for p in op.params}

    def run(output: Path | None = None, overwrite: bool = False, **values: Any) -> None:
        from xsm.progress import show

        if op.result is Kind.PATH:
            values |= {k: v for k, v in (("output", output), ("overwrite", overwrite)) if k in names}
        values = {k: v for k, v in values.items() if v is not None and v != ()}
        with show(setting("progress"), op.title):
            outcome = execute(op, values, None if op.result is Kind.PATH else output, overwrite=overwrite)
        for path in outcome.written:
            click.echo(str(path))
        if op.result is Kind.TABLE:
            click.echo(_means(outcome.value), err=True)

    name = op.id.replace("_", "-")
    return click.Command(name, params=[*params, *common()], callback=run, help=op.summary, short_help=op.title)


def common() -> list[click.Parameter]:
    """Options that every command takes."""

    def store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value is not None and param.name is not None:
            ctx.find_root().meta[f"xsm.{param.name}"] = value
            if param.name in ("verbose", "quiet"):
                _log_level(value, param.name == "quiet")
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
        click.Option(["-v", "--verbose"], count=True, help="Tell more; twice for debugging.", **kw),
        click.Option(["-q", "--quiet"], is_flag=True, flag_value=True, help="Tell errors only.", **kw),
        click.Option(["--debug"], is_flag=True, flag_value=True, help="Show the traceback of an error.", **kw),
    ]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="xsm")
def cli() -> None:
    """Daily, gap-free surface and subsurface soil moisture with an uncertainty, from SMAP, NLDAS-2 and SOLUS100."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code (DESIGN.md section 5)."""
    from xsm import tools

    tools.add_to(cli)
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _console_log(quiet="-q" in arguments or "--quiet" in arguments), speaking("shell"):
        code = _run(arguments)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]
            code = cli.main(args=arguments, prog_name="xsm", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except XsmError as error:
        if debug:
            traceback.print_exc()
        _say("error", error.message)
        if error.hint:
            _say("hint", error.hint)
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        _say("error", " ".join(error.format_message().split()))
        asked = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "xsm"
        _say("hint", f"See {asked} --help.")
        return 2
    except (click.Abort, KeyboardInterrupt):
        _say("error", "interrupted; no output is half written.")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        what = " ".join(str(error).split())[:300]
        _say("error", f"{type(error).__name__}: {what}" if what else type(error).__name__)
        _say("hint", "This is not a message that xsm foresaw: run again with --debug and report it.")
        return 1


def _means(table: Any) -> str:
    from xsm.ops.validate import to_frame

    frame = to_frame(table)
    shown = [n for n in ("r", "ubrmse", "rmse", "bias", "error_std", "snr", "r_truth") if n in frame]
    means = frame.groupby("product", sort=False)[shown].mean().round(4)
    told = [f"means over stations (soil moisture in m3 m-3)\n{means.to_string()}"]
    for by in sorted(str(d)[3:] for d in table.dims if str(d).startswith("by_")):
        groups = frame.groupby(["product", by], sort=False)[shown].mean().round(4)
        told.append(
            f"by {by.replace('_', ' ')}\n{groups.assign(stations=frame.groupby(['product', by]).size()).to_string()}"
        )
    return "\n\n".join(told)


def _say(what: str, text: str) -> None:
    from rich.text import Text

    from xsm.progress import console

    console().print(Text.assemble((f"{what}:", f"bold {'red' if what == 'error' else 'yellow'}"), f" {text}"))


def _warn(message: Warning | str, category: type[Warning], *_: object) -> None:
    if issubclass(category, UserWarning) and not issubclass(category, ImportWarning):
        _say("warning", str(message))


class ConsoleHandler(logging.Handler):
    """Prints log records on the terminal for people, above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from xsm.progress import console

        console().print(self.format(record))


@contextmanager
def _console_log(quiet: bool) -> Iterator[None]:
    """Print the log while a command runs; a caller in the same process finds its own set-up again."""
    logger, handler = logging.getLogger("xsm"), ConsoleHandler()
    before = logger.level
    logger.addHandler(handler)
    _log_level(0, quiet)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _log_level(verbose: int, quiet: bool) -> None:
    logging.getLogger("xsm").setLevel(logging.ERROR if quiet else logging.DEBUG if verbose > 1 else logging.INFO)


def setting(name: str) -> Any:
    """Value of a common option of the running command."""
    return click.get_current_context().find_root().meta.get(f"xsm.{name}", "auto")


def _positional(param: Param) -> bool:
    return param.required or param.kind is Kind.DATASETS


def _argument(param: Param) -> click.Argument:
    many = param.kind in (Kind.DATASETS, Kind.PATHS)
    shown = ("INPUT" if param.name == "ds" else param.name.upper()) + ("..." if many else "")
    return click.Argument([param.name], nargs=-1 if many else 1, required=param.required, metavar=shown)


def _option(param: Param) -> click.Option:
    name = param.name.replace("_", "-")
    about = param.help + (f" [{param.unit}]" if param.unit else "")
    kw: dict[str, Any] = {"help": about, "default": None}
    if param.kind is Kind.OPTIONS:
        return click.Option(
            ["-o", "--option", param.name], multiple=True, metavar="NAME=VALUE", help="Further options."
        )
    if param.kind is Kind.BOOLEAN:
        return click.Option([f"--{name}/--no-{name}", param.name], **kw)
    if param.kind is Kind.CHOICE:
        kw["type"] = click.Choice([str(c) for c in param.choices])
    else:
        kw["type"] = _TYPES.get(param.kind, str)
    if param.kind is Kind.STRINGS:
        kw |= {"multiple": True, "callback": _listed, "metavar": "NAME[,NAME]"}
    if param.default not in (None, ()):
        kw["help"] += f"  (default: {param.default})"
    return click.Option([f"--{name}", param.name], **kw)


def _listed(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str | None:
    """Lists are given with commas, by repeating the option, or both."""
    return ",".join(value) or None
