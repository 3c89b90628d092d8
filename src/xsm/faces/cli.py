"""The ``xsm`` command: one sub-command for every operation, generated from its description, and a few tools."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from xsm._version import __version__
from xsm.contracts.registry import operations, plugin_error
from xsm.errors import XsmError
from xsm.faces.command import command, set_log_level
from xsm.faces.hints import speaking
from xsm.faces.streams import guarded, open_closed, speak_utf8

INTERRUPTED = 130
READERS = ("", "plugins", "sources", "models", "ops", "doctor", "inspect")
"""Commands whose only result is what they print."""
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Studies": ("demo", "init", "run", "update", "watch", "status"),
    **dict.fromkeys(("Data", "Gap filling", "Soil", "Estimation", "Validation", "Series", "Plots"), ()),
    "Files": ("inspect", "view", "twin"),
    "Installation": ("doctor", "plugins", "sources", "models", "ops", "qgis"),
}
"""Sections of the help, those of operations by their group, and the tools in each."""
START = """\b
First steps:
  xsm doctor                                  checks the installation
  xsm demo --quick                            a whole study on synthetic data
  xsm init rabiei2024 --example && xsm run rabiei2024.toml
"""


class Commands(click.Group):
    """Operations and tools; the command of an operation is created on its first use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted({*super().list_commands(ctx), *(name.replace("_", "-") for name in operations())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a tool or an operation, or None."""
        tool = super().get_command(ctx, cmd_name)
        if tool is not None:
            return tool
        op = operations().get(cmd_name.replace("-", "_"))
        return None if op is None else command(op)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in the order of work, not of the alphabet."""
        section = {tool: name for name, tools in SECTIONS.items() for tool in tools}
        rows: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for name in sorted(self.list_commands(ctx), key=_place):
            op = operations().get(name.replace("-", "_"))
            about = op.summary if op else super().get_command(ctx, name).get_short_help_str(200)  # type: ignore[union-attr]
            group = op.group if op else section.get(name, "Files")
            rows.setdefault(group, []).append((name, about.replace("`", "").rstrip(".")))
        for title, lines in rows.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Resolve a command; an unknown name suggests the nearest one."""
        from xsm.errors import unknown

        if self.get_command(ctx, args[0]) is None:
            raise unknown("command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def _place(name: str) -> tuple[int, str]:
    tools = [tool for names in SECTIONS.values() for tool in names]
    return (tools.index(name) if name in tools else len(tools)), name


@click.group(
    cls=Commands, epilog=START, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="xsm")
def cli() -> None:
    """Daily, gap-free surface and subsurface soil moisture with an uncertainty, from satellite, land model and soil."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code (documentation: Decisions, "Command line")."""
    if argv is None:
        speak_utf8()
        open_closed()
    from xsm.faces import tools

    tools.add_to(cli)
    arguments = list(sys.argv[1:] if argv is None else argv)
    with _console_log(quiet="-q" in arguments or "--quiet" in arguments), speaking("shell"):
        with guarded() as output:
            code = _run(arguments)
        if output.lost:
            code = _lost(output.lost, code, arguments)
    sys.exit(code)


def _lost(why: str, code: int, arguments: list[str]) -> int:
    """Say that the standard output was lost; the code says whether that was all that the command had to give."""
    name = next((a for a in arguments if not a.startswith("-")), "")
    if code == 0 and name not in READERS and not {"-h", "--help", "--version"} & set(arguments):
        say("warning", f"The results are complete, but the standard output could not be written ({why}).")
        return code
    say("error", f"The standard output could not be written ({why}).")
    return code or 1


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
        say("error", error.message)
        if error.hint:
            say("hint", error.hint)
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        say("error", " ".join(error.format_message().split()))
        command_path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "xsm"
        say("hint", f"{_habit(getattr(error, 'option_name', ''))}See {command_path} --help.")
        return 2
    except (click.Abort, KeyboardInterrupt):
        say("error", "interrupted; no unfinished output is left.")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        blamed = plugin_error(error)
        what = " ".join(str(error).split())[:300]
        text = f"{type(error).__name__}: {what}" if what else type(error).__name__
        say("error", blamed.message if blamed else text)
        say("hint", blamed.hint if blamed else "This is a bug in xsm: please run again with --debug and report it.")
        return 1


def _habit(option: str) -> str:
    """What to do instead of an option that people know from other tools, or of a negative number without a name."""
    if option in ("-o", "--output"):
        return "The output is the last argument and has no option. "
    return "A negative number needs its option, as in --lon -98.1. " if option[1:].isdigit() else ""


def say(what: str, text: str) -> None:
    """Print an error, a hint or a warning on the terminal, above a progress bar."""
    from rich.text import Text

    from xsm.faces.progress_bar import console

    with suppress(OSError, ValueError):  # there is nobody else to say it to
        console().print(Text.assemble((f"{what}:", f"bold {'red' if what == 'error' else 'yellow'}"), f" {text}"))


def _warn(message: Warning | str, category: type[Warning], *_: object) -> None:
    if issubclass(category, UserWarning) and not issubclass(category, ImportWarning):
        say("warning", str(message))


class ConsoleHandler(logging.Handler):
    """Prints log records on the terminal for people, above a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from xsm.faces.progress_bar import console

        with suppress(OSError, ValueError):
            console().print(self.format(record))


@contextmanager
def _console_log(quiet: bool) -> Iterator[None]:
    """Print the log while a command runs; restores the logging of a caller in the same process."""
    logger, handler = logging.getLogger("xsm"), ConsoleHandler()
    before = logger.level
    logger.addHandler(handler)
    set_log_level(0, quiet)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
