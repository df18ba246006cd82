"""Tables of rules: as text, as HTML, as plain data."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chainrule._core import Expression
from chainrule._rule_state import State
from chainrule.rules import plain
from chainrule.rules.attributes import POLICIES
from chainrule.rules.entries import Entry, algorithm_name
from chainrule.rules.journal import own_values
from chainrule.rules.values import default_values, same, values_of

if TYPE_CHECKING:
    from chainrule.update_rule import UpdateRule
    from chainrule.variable import Parameter

__all__ = ["Row", "Tabular", "row_of", "state_bytes"]

#: Rows of a printed table; longer ones are shown by their beginning and end.
_MAX_ROWS = 60

#: Hyperparameters that are shown also where they are the algorithm's defaults.
_RATES = ("alpha", "lr")


@dataclasses.dataclass(frozen=True)
class Row:
    """What a table says of one parameter.

    Attributes:
        path: Its path.
        tied: Its other paths.
        shape: Its shape; None before it has an array.
        dtype: Its dtype, or the one it is going to have.
        algorithm: Name of the algorithm; None without a rule.
        values: Effective hyperparameters.
        own: Those set on the rule itself.
        shown: Names of the rate, and of those that differ from the algorithm's defaults or are set
            on the rule.
        hooks: Names of the rule's hooks.
        enabled: Whether it is updated now.
        enabled_when: The expression that says so, if there is one.
        policies: Other attributes of the rule, where they differ from a new rule's.
        state_bytes: Size of its state, once it has one; None where it cannot be told yet.
    """

    path: str
    tied: tuple[str, ...]
    shape: tuple[int, ...] | None
    dtype: str
    algorithm: str | None = None
    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    own: dict[str, Any] = dataclasses.field(default_factory=dict)
    shown: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    enabled: bool = False
    enabled_when: Any = None
    policies: dict[str, Any] = dataclasses.field(default_factory=dict)
    state_bytes: int | None = 0

    @property
    def size(self) -> int | None:
        """Number of elements."""
        return None if self.shape is None else math.prod(self.shape)

    def to_dict(self) -> dict[str, Any]:
        """Write the row as plain data.

        Returns:
            What can be written as JSON.
        """
        return {
            "shape": None if self.shape is None else list(self.shape),
            "dtype": self.dtype,
            "tied": list(self.tied),
            "algorithm": self.algorithm,
            "values": {name: plain.encode(value) for name, value in self.values.items()},
            "own": {name: plain.encode(value) for name, value in self.own.items()},
            "hooks": list(self.hooks),
            "enabled": self.enabled,
            "enabled_when": plain.encode(self.enabled_when),
            "policies": {name: plain.encode(value) for name, value in self.policies.items()},
            "state_bytes": self.state_bytes,
        }


def state_bytes(rule: UpdateRule, param: Parameter) -> int | None:
    """Tell how large the state of a rule is, or is going to be.

    Args:
        rule: The rule.
        param: Its parameter.

    Returns:
        Bytes, the float32 copy of a half-precision parameter included; None if it cannot be told
        before the first update: the parameter has no shape, or the rule is written in Python.
    """
    if not param.is_initialized:
        return None
    half = param.dtype.itemsize == 2 and rule._fp32_update
    master = 4 * param.size if half else 0
    state = rule.state
    if state is not None:
        if isinstance(state, State):
            return master + state.nbytes
        return master + sum(getattr(array, "nbytes", 0) for array in state.values())
    if rule._states_by_python:
        return None
    try:
        names = rule._state_names
    except (RuntimeError, AttributeError, TypeError, ValueError):
        return None  # a value is missing or not finite; the update says so
    if not names:
        return master
    return master + rule._expected_state_bytes(param.shape, "float32" if half else str(param.dtype))


def row_of(entry: Entry, rule: UpdateRule | None) -> Row:
    """Describe a parameter and a rule for it.

    Args:
        entry: The parameter.
        rule: The rule, which may be one it does not have yet.

    Returns:
        The row.
    """
    param = entry.param
    shape = tuple(param.shape) if param.is_initialized else None
    described = (entry.path, entry.aliases, shape, str(param.dtype))
    if rule is None:
        return Row(*described)
    values, own, defaults = (
        values_of(entry.path, rule),
        own_values(rule.hyperparam),
        default_values(rule),
    )
    shown = [
        name
        for name, value in values.items()
        if name in own or name in _RATES or name not in defaults or not same(value, defaults[name])
    ]
    policies = {
        policy.name: policy.get(rule)
        for policy in POLICIES
        if policy.is_on(rule) and policy.get(rule) != policy.default
    }
    return Row(
        *described,
        algorithm=algorithm_name(rule),
        values=values,
        own=own,
        shown=tuple(shown),
        hooks=tuple(rule.hooks),
        enabled=rule.enabled,
        enabled_when=rule._enabled_when,
        policies=policies,
        state_bytes=state_bytes(rule, param),
    )


def format_bytes(size: int | None) -> str:
    """Write a number of bytes for people.

    Args:
        size: The number.

    Returns:
        Such as ``'3.1 MiB'``; a question mark for None.
    """
    if size is None:
        return "?"
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _format_value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _format_values(row: Row) -> str:
    texts = []
    for name in row.shown:
        # A star marks what is set on the rule itself.
        text = f"{name}={_format_value(row.values[name])}{'*' if name in row.own else ''}"
        own = row.own.get(name)
        texts.append(f"{text} ({own!r})" if isinstance(own, Expression) else text)
    return ", ".join(texts)


def _format_enabled(row: Row) -> str:
    if row.algorithm is None:
        return ""
    text = "yes" if row.enabled else "no"
    return text if row.enabled_when is None else f"{text} ({row.enabled_when!r})"


#: Heading, text of a row, and whether the column is shown though all of it is empty.
_COLUMNS: tuple[tuple[str, Callable[[Row], str], bool], ...] = (
    ("path", lambda row: " = ".join((row.path, *row.tied)), True),
    ("shape", lambda row: "?" if row.shape is None else str(row.shape), True),
    ("dtype", lambda row: row.dtype, True),
    # Of a user's class the name, without its module.
    ("algorithm", lambda row: (row.algorithm or "no rule").rpartition(".")[2], True),
    ("values", _format_values, False),
    ("hooks", lambda row: ", ".join(row.hooks), False),
    ("policies", lambda row: ", ".join(f"{k}={v}" for k, v in row.policies.items()), False),
    ("enabled", _format_enabled, True),
    ("state", lambda row: format_bytes(row.state_bytes), True),
)


class Tabular:
    """Base of what is shown as a table of rules."""

    def _rows(self) -> Sequence[Row]:
        raise NotImplementedError

    def _summary(self, rows: Sequence[Row]) -> list[str]:
        """Lines below the table."""
        open_ = sum(row.size is None for row in rows)
        parts = [f"{len(rows):,} parameter" + ("" if len(rows) == 1 else "s")]
        parts.append(f"{sum(row.size or 0 for row in rows):,} elements")
        unknown = any(row.state_bytes is None for row in rows)
        total = sum(row.state_bytes or 0 for row in rows)
        parts.append(f"{'at least ' if unknown else ''}{format_bytes(total)} of state")
        if open_:
            parts.append(f"{open_:,} without an array yet")
        lines = [", ".join(parts)]
        if any(row.own for row in rows):
            lines.append("* set on the rule itself")
        return lines

    def _cells(self, max_rows: int | None) -> tuple[list[str], list[list[str]], int, list[str]]:
        """Headings, texts, where rows are left out and how many are shown before, summary."""
        rows = list(self._rows())
        shown, head = rows, len(rows)
        if max_rows is not None and len(rows) > max(2, max_rows):
            head = (max(2, max_rows) + 1) // 2
            shown = rows[:head] + rows[len(rows) - max(2, max_rows) // 2 :]
        texts = [[text(row) for _, text, _ in _COLUMNS] for row in shown]
        used = [i for i, column in enumerate(_COLUMNS) if column[2] or any(t[i] for t in texts)]
        headings = [_COLUMNS[i][0] for i in used]
        summary = self._summary(rows)
        if len(shown) < len(rows):
            summary[0] += f"; {len(rows) - len(shown):,} rows left out, .table(None) gives all"
        return headings, [[text[i] for i in used] for text in texts], head, summary

    def table(self, max_rows: int | None = None) -> str:
        """Write the table as text.

        Args:
            max_rows: How many rows at most: the first and the last ones are shown then. None
                shows all.

        Returns:
            Lines of aligned columns. A star marks a value that is set on the rule itself; values
            that are the algorithm's defaults are not shown, except rates.
        """
        headings, texts, head, summary = self._cells(max_rows)
        lines = [headings, *texts]
        widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
        out = [
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        if head < len(texts):
            out.insert(head + 1, "...")
        return "\n".join(out + summary)

    def __str__(self) -> str:
        return self.table(_MAX_ROWS)

    def _repr_html_(self) -> str:
        """Write the table as HTML, for notebooks."""
        headings, texts, head, summary = self._cells(_MAX_ROWS)
        body = [_html_row("td", text) for text in texts]
        if head < len(texts):
            body.insert(head, _html_row("td", ["..."] + [""] * (len(headings) - 1)))
        return (
            f"<table><thead>{_html_row('th', headings)}</thead><tbody>{''.join(body)}</tbody>"
            f"</table><p>{'<br>'.join(map(html.escape, summary))}</p>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Write the table as plain data.

        Returns:
            A dict by path of what can be written as JSON.
        """
        return {row.path: row.to_dict() for row in self._rows()}


def _html_row(tag: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"
