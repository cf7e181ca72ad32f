"""The arithmetic of recipes: ``global_batch / (batch * ranks)``, and ``round``, ``sqrt``, ``max``.

Formulas come from YAML files, so they are parsed and walked, never evaluated by Python.
"""

from __future__ import annotations

import ast
import math
import operator
from typing import Any, Callable, Dict, Mapping, Type, Union

Number = Union[int, float]

_OPERATORS: Dict[Type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

_FUNCTIONS: Dict[str, Callable[..., Any]] = {"max": max, "round": round, "sqrt": math.sqrt}

_LONGEST = 200  # Python's own parser gives up on far longer ones, in ways of its own


def evaluate(formula: str, values: Mapping[str, Number]) -> Number:
    """The value of *formula* with the names in *values*; whole results are ints.

    Raises:
        ValueError: the formula uses anything but numbers, known names, ``+ - * /``, parentheses
            and the three functions, or divides by zero.
    """
    if len(formula) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    try:
        result = _walk(ast.parse(formula, mode="eval").body, values)
    except SyntaxError:
        raise ValueError(f"not a formula: {formula!r}") from None
    except (RecursionError, ZeroDivisionError, OverflowError, TypeError) as error:
        raise ValueError(f"{formula!r}: {error}") from None
    return int(result) if isinstance(result, float) and result.is_integer() else result


def substituted(formula: str, values: Mapping[str, Number]) -> str:
    """*formula* with each name replaced by its value, to show how a number came about."""

    return _text(ast.parse(formula, mode="eval").body, values)


def shown(value: Number) -> str:
    """A number as a flag's value: no rounding noise, no needless zeros."""
    return f"{value:.10g}"


def _walk(node: ast.AST, values: Mapping[str, Number]) -> Number:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_walk(node.left, values), _walk(node.right, values))
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise ValueError(f"unknown name {node.id!r}; there are {', '.join(sorted(values))}")
        return values[node.id]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        number: Number = node.value
        return number
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function is not None:
            called: Number = function(*(_walk(each, values) for each in node.args))
            return called
    raise ValueError(f"not allowed in a formula: {type(node).__name__}")


def _text(node: ast.AST, values: Mapping[str, Number]) -> str:
    # ast.unparse came with Python 3.9; formulas need little.
    if isinstance(node, ast.BinOp):
        sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(node.op)]
        return f"{_operand(node.left, values)} {sign} {_operand(node.right, values)}"
    if isinstance(node, ast.Call):
        assert isinstance(node.func, ast.Name)
        return f"{node.func.id}({', '.join(_text(each, values) for each in node.args)})"
    if isinstance(node, ast.Name):
        return shown(values[node.id])
    assert isinstance(node, ast.Constant)
    return shown(node.value)


def _operand(node: ast.AST, values: Mapping[str, Number]) -> str:
    text = _text(node, values)
    return f"({text})" if isinstance(node, ast.BinOp) else text
