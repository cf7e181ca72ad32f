"""Run by either Python: what its ``habana_frameworks`` answers, as JSON.

python answers.py '[{"OMPI_COMM_WORLD_SIZE": "2"}, {}]' '[{"HABANA_VISIBLE_MODULES": "4,5"}]'

The second list is of variables that choose modules: which one each of two local ranks takes.
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


def modules(helpers, variables):
    """The module that the package chooses for local ranks 0 and 1; the stand-in has no devices."""
    taken = []
    for rank in ("0", "1"):
        for name in [each for each in os.environ if each.startswith(("OMPI_", "HLS_", "HABANA_"))]:
            del os.environ[name]
        os.environ.update(variables, OMPI_COMM_WORLD_LOCAL_RANK=rank)
        helpers._select_hls_module()
        taken.append(os.environ["HLS_MODULE_ID"])
    return taken


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
    chosen = [modules(helpers, variables) for variables in json.loads(sys.argv[2])
              if hasattr(helpers, "_select_hls_module")]  # fmt: skip
    print(json.dumps({"answers": answers, "signatures": signatures, "modules": chosen,
                      "version": type(package.__version__).__name__}))  # fmt: skip


main()
