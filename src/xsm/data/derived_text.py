"""The text of derived predictors: ``memory(tb_h, 20)``, ``others(neighbours(sm, 3), 5)``.

What is made from which days decides whether a target may enter: `reach`.
"""

from __future__ import annotations

import ast
import functools
import keyword
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from xsm.errors import UsageError

BEFORE, TODAY, AFTER = -1, 0, 1
LONGEST_TEXT, LONGEST_DAYS, WIDEST = 200, 3650, 99


@dataclass(frozen=True)
class Form:
    """A way of making a predictor.

    Parameters
    ----------
    usage : str
        How it is written.
    words : str
        What it is, after the name of the variable.
    parameters : tuple of str
        Names of the values after the variable.
    reach : tuple of int
        Which days enter a day's value: earlier ones (-1), the day itself (0), later ones (1).
    observed : bool
        Whether only the observed values of a filled variable enter.
    """

    usage: str
    words: str
    parameters: tuple[str, ...]
    reach: tuple[int, ...]
    observed: bool = False


FORMS: Mapping[str, Form] = {
    "memory": Form("memory(v, days)", "exponential filter", ("days",), (BEFORE, TODAY)),
    "others": Form(
        'others(v, days, side="both")', "mean of the other days", ("days", "side"), (BEFORE, AFTER), observed=True
    ),
    "distance": Form(
        'distance(v, side="both")', "days to the nearest other observation", ("side",), (BEFORE, AFTER), observed=True
    ),
    "antecedent": Form("antecedent(v, days)", "antecedent sum", ("days",), (BEFORE, TODAY)),
    "mean": Form("mean(v)", "mean of the training days", (), (BEFORE, TODAY, AFTER)),
    "spread": Form("spread(v)", "standard deviation of the training days", (), (BEFORE, TODAY, AFTER)),
    "standard": Form("standard(v)", "departure from the mean in units of the spread", (), (BEFORE, TODAY, AFTER)),
    "neighbours": Form("neighbours(v, cells)", "mean of the cells around", ("cells",), (TODAY,)),
}
STATIC = frozenset({"mean", "spread"})
OF_TRAINING_DAYS = STATIC | {"standard"}
"""Forms whose values do not change with time, and those that are made from the training days."""
HINT = f"Derived predictors are {', '.join(form.usage for form in FORMS.values())}."


@dataclass(frozen=True)
class Derived:
    """A derived predictor; ``str`` gives its one spelling.

    Parameters
    ----------
    form : str
        Name in `FORMS`.
    of : Derived or str
        What it is made from; a str is a variable.
    days, cells : float, int
        Time constant and width of the window, where the form has them.
    side : {"both", "past"}
        Days that enter, where the form has sides.
    """

    form: str
    of: Derived | str
    days: float = 0.0
    cells: int = 0
    side: Literal["both", "past"] = "both"

    def __str__(self) -> str:
        bare = isinstance(self.of, Derived) or (self.of.isidentifier() and not keyword.iskeyword(self.of))
        parts = [str(self.of) if bare else repr(self.of)]
        parts += [f"{self.days:.0f}" if self.days == int(self.days) else repr(self.days)] if self.days else []
        parts += [str(self.cells)] if self.cells else []
        parts += ['side="past"'] if self.side == "past" else []
        return f"{self.form}({', '.join(parts)})"

    @property
    def reach(self) -> frozenset[int]:
        """Which days of the variable behind it enter a day's value: -1, 0, 1 for earlier, the same and later ones."""
        days = {BEFORE} if self.side == "past" else set(FORMS[self.form].reach)
        inner = self.of.reach if isinstance(self.of, Derived) else {TODAY}
        return frozenset(c for a in days for b in inner for c in _sums(a, b))

    @property
    def warm_up(self) -> float:
        """Days before a day without which its value is not yet what it becomes."""
        looks_back = AFTER not in FORMS[self.form].reach or self.side == "past"
        return self.days * looks_back + (self.of.warm_up if isinstance(self.of, Derived) else 0.0)

    @property
    def forms(self) -> tuple[str, ...]:
        """Names of its forms from the outside in."""
        return (self.form, *(self.of.forms if isinstance(self.of, Derived) else ()))

    @property
    def observed(self) -> bool:
        """Whether only the observed values of a filled variable enter."""
        return any(FORMS[form].observed for form in self.forms)

    @property
    def variable(self) -> str:
        """Name of the variable behind it."""
        return self.of.variable if isinstance(self.of, Derived) else self.of


def _sums(a: int, b: int) -> tuple[int, ...]:
    """Signs that the sum of two differences of days with these signs can have."""
    return (BEFORE, TODAY, AFTER) if a * b < 0 else (a or b,)


def is_derived(name: str) -> bool:
    """Whether a name begins as a derived predictor does.

    Examples
    --------
    >>> is_derived("memory(tb_h, 20)"), is_derived("tb_h"), is_derived("height (m)")
    (True, False, False)
    """
    head, bracket, _ = str(name).partition("(")
    return bool(bracket) and head.strip() in FORMS


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Derived:
    """Read a derived predictor.

    Parameters
    ----------
    text : str
        One of `FORMS`, whose ``v`` is a variable or another derived predictor; a name that is no identifier stands in
        quotation marks.

    Returns
    -------
    Derived

    Raises
    ------
    UsageError
        For anything else.

    Examples
    --------
    >>> parse("others(neighbours(sm_dca, 3), 5)").variable
    'sm_dca'
    """
    if len(text) > LONGEST_TEXT:
        raise _refusal(text[:20] + "...", f"has {len(text)} letters, expected at most {LONGEST_TEXT}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of Python's, about "\d" and 5if
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refusal(text, "cannot be read") from None
    tree = _read(body, text)
    if isinstance(tree, str):
        raise _refusal(text, "is a variable, expected a derived predictor")
    return tree


def canonical(text: str) -> str:
    """The one spelling of a predictor; a variable keeps its name.

    Examples
    --------
    >>> canonical("others( sm_dca,5.0 , side='past')"), canonical("tb_h")
    ('others(sm_dca, 5, side="past")', 'tb_h')
    """
    return str(parse(text)) if is_derived(text) else text


def behind(name: str) -> str:
    """The variable behind a predictor: itself, or what it is derived from.

    Examples
    --------
    >>> behind("others(neighbours(sm_dca, 3), 5)"), behind("tb_h")
    ('sm_dca', 'tb_h')
    """
    return parse(name).variable if is_derived(name) else name


def reach(name: str) -> frozenset[int]:
    """Which days of the variable behind a predictor enter a day's value: earlier (-1), the same (0), later ones (1).

    Examples
    --------
    >>> sorted(reach("memory(sm_dca, 5)")), sorted(reach("others(sm_dca, 5)")), sorted(reach("sm_dca"))
    ([-1, 0], [-1, 1], [0])
    >>> sorted(reach("memory(others(sm_dca, 5), 20)"))  # yesterday's other days include today
    [-1, 0, 1]
    """
    return parse(name).reach if is_derived(name) else frozenset({TODAY})


def memory_days(names: Iterable[str]) -> int:
    """The longest memory among predictors in days; 0 where there is none.

    Examples
    --------
    >>> memory_days(["tb_h", "memory(tb_h, 20)", "others(sm_dca, 5)"])
    20
    """
    return math.ceil(max((parse(n).warm_up for n in names if is_derived(n)), default=0.0))


def _read(node: ast.AST, text: str) -> Derived | str:
    match node:
        case ast.Name(id=name) | ast.Constant(value=str(name)):
            return name
        case ast.Call(func=ast.Name(id=form), args=[of, *values], keywords=keywords) if form in FORMS:
            names = FORMS[form].parameters
            pairs = [*zip(names, values, strict=False), *((k.arg or "", k.value) for k in keywords)]
            arguments = {name: getattr(value, "value", None) for name, value in pairs}
            if len(values) > len(names) or len(pairs) > len(arguments) or set(arguments) - set(names):
                raise _refusal(text, f"has other values than {FORMS[form].usage}")
            if lacking := [n for n in names if n != "side" and n not in arguments]:
                raise _refusal(text, f"lacks the {lacking[0]} of {FORMS[form].usage}")
            return Derived(form, _read(of, text), **{n: _checked(n, v, text) for n, v in arguments.items()})
    raise _refusal(text, "is not a derived predictor")


def _checked(name: str, value: Any, text: str) -> Any:
    number = type(value) in (int, float)
    if name == "days" and number and 0 < value <= LONGEST_DAYS:
        return float(value)
    if name == "cells" and number and value in range(3, WIDEST + 1, 2):
        return int(value)
    if name == "side" and value in ("both", "past"):
        return value
    expected = {
        "days": f"days above 0 and up to {LONGEST_DAYS}",
        "cells": f"an odd number of cells from 3 to {WIDEST}",
        "side": '"both" or "past" as side',
    }
    raise _refusal(text, f"has {value!r}, expected {expected[name]}")


def _refusal(text: str, why: str) -> UsageError:
    return UsageError(f"'{text}' {why}.", hint=HINT)
