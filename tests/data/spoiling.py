"""Records made wrong, one value at a time."""

from typing import Any, Callable, Dict

from bertkit.data.records.tfrecord import (
    decode_example,
    encode_example,
    read_records,
    write_records,
)

Example = Dict[str, Any]
Change = Callable[[Example], Example]


def change_first(path, chosen: Callable[[Example], bool], change: Change) -> str:
    """Change the first record of the file *path* that is *chosen*; says where it is."""
    contents = list(read_records(path))
    number = next(n for n, c in enumerate(contents) if chosen(decode_example(c)))
    change_record(path, number, change)
    return f"{path}, record {number + 1}"


def change_record(path, number: int, change: Change) -> None:
    """Change record *number*, from 0, of the file *path*."""
    contents = list(read_records(path))
    contents[number] = encode_example(change(decode_example(contents[number])))
    write_records(path, contents)


def changed(name: str, position: int, value: object) -> Change:
    """Another *value* at one position."""

    def change(example: Example) -> Example:
        values = list(example[name])
        values[position] = value
        return {**example, name: values}

    return change


def without(name: str) -> Change:
    """A field less."""
    return lambda example: {key: values for key, values in example.items() if key != name}


def longer(name: str) -> Change:
    """The last value twice."""
    return lambda example: {**example, name: [*example[name], example[name][-1]]}
