from __future__ import annotations

import pytest

from bertkit.launch.recipes.formula import evaluate, shown, substituted

NUMBERS = {"global_batch": 32768, "batch": 8, "ranks": 8, "rate": 0.004}


def test_a_formula_is_computed_from_the_numbers() -> None:
    assert evaluate("global_batch / (batch * ranks)", NUMBERS) == 512
    assert evaluate("rate / ranks", NUMBERS) == 0.0005
    assert evaluate("batch + ranks - 1", NUMBERS) == 15


def test_a_formula_may_round_take_a_root_and_take_the_larger() -> None:
    assert evaluate("round(batch / 3)", NUMBERS) == 3
    assert evaluate("rate * sqrt(global_batch / batch)", NUMBERS) == 0.256
    assert evaluate("max(1, round(batch / 300))", NUMBERS) == 1
    assert substituted("max(1, round(batch / 300))", NUMBERS) == "max(1, round(8 / 300))"


def test_a_whole_result_is_an_int_and_a_broken_one_is_not() -> None:
    assert isinstance(evaluate("global_batch / batch", NUMBERS), int)
    assert isinstance(evaluate("batch / 3", NUMBERS), float)


def test_the_filled_in_formula_shows_where_a_number_comes_from() -> None:
    assert substituted("global_batch / (batch * ranks)", NUMBERS) == "32768 / (8 * 8)"


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('true')",
        "batch.real",
        "batch ** 9999999",
        "[batch]",
        "batch if ranks else 1",
        "'text'",
        "True",
        "lambda: 1",
        "batch /",
        "",
        "nothing * 2",
        "batch / 0",
        "sqrt(1 - batch)",
        "round(batch, ndigits=1)",
        "sqrt()",
        "abs(batch)",
        "max(batch, *ranks)",
        pytest.param("(" * 500 + "1" + ")" * 500, id="deeply nested"),
    ],
)
def test_anything_but_arithmetic_on_known_names_is_refused(formula: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the kinds of message are many
        evaluate(formula, NUMBERS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0005, "0.0005"), (0.006 / 8, "0.00075"), (2e-05, "2e-05"), (65536, "65536"), (3, "3")],
)
def test_numbers_stand_on_the_command_line_without_noise(value: float, text: str) -> None:
    assert shown(value) == text
