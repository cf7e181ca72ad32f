"""Run by either Python: what its ``habana_frameworks`` answers, as JSON.

python answers.py '[{"OMPI_COMM_WORLD_SIZE": "2"}, {}]'
"""

import importlib
import inspect
import json
import os
import sys

FUNCTIONS = ("comm_size", "comm_rank", "comm_local_size", "comm_local_rank")


def said(function, *arguments):
    """What it returns, or the name of what it raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return type(error).__name__


def signature(function):
    """Names and defaults of its parameters."""
    return [[each.name, str(each.kind), repr(each.default)]
            for each in inspect.signature(function).parameters.values()]  # fmt: skip


def main():
    package = importlib.import_module("habana_frameworks.tensorflow")
    helpers = importlib.import_module("habana_frameworks.tensorflow.multinode_helpers")
    answers = []
    for variables in json.loads(sys.argv[1]):
        for name in [each for each in os.environ if each.startswith(("OMPI_", "HOROVOD_"))]:
            del os.environ[name]
        os.environ.update(variables)
        answers.append(
            {
                f"{name}{arguments}": said(getattr(helpers, name), *arguments)
                for name in FUNCTIONS
                for arguments in ((), (False,), (True,))
            }
        )
    signatures = {name: signature(getattr(helpers, name)) for name in FUNCTIONS}
    signatures["load_habana_module"] = signature(package.load_habana_module)
    print(json.dumps({"answers": answers, "signatures": signatures,
                      "version": type(package.__version__).__name__}))  # fmt: skip


main()
