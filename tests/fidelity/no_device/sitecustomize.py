"""First on the ranks' ``PYTHONPATH``: Habana's real package, with one call of it replaced.

``load_habana_module`` still sets up what it sets up for several ranks, and loads no device.
"""

import importlib.util
import os
import sys

REPLACED = "habana_frameworks.tensorflow.library_loader"


def load_habana_module(allow_op_override=None):
    """Everything but the device."""
    from habana_frameworks.tensorflow.multinode_helpers import _setup_env_for_multinode

    _setup_env_for_multinode()
    print(f"no device is loaded, HLS_MODULE_ID={os.environ.get('HLS_MODULE_ID')}", flush=True)


class Finder:
    """Finds the one module as ever, and puts the function into it when it has been loaded."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != REPLACED:
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_and_replace(module):
            load(module)
            module.load_habana_module = load_habana_module

        spec.loader.exec_module = load_and_replace
        return spec


sys.meta_path.insert(0, Finder)
