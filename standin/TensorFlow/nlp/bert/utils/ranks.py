"""Horovod, where there is one."""

import os

import tensorflow as tf

try:
    import horovod.tensorflow as hvd
except ImportError:
    hvd = None


def horovod_enabled():
    return hvd is not None and hvd.is_initialized()


def rank():
    return hvd.rank() if horovod_enabled() else 0


def size():
    return hvd.size() if horovod_enabled() else 1


def start_horovod(hierarchical_allreduce):
    if hvd is None:
        raise RuntimeError("Horovod was asked for, but horovod.tensorflow cannot be imported.")
    if hierarchical_allreduce:
        os.environ["HOROVOD_HIERARCHICAL_ALLREDUCE"] = "1"
    hvd.init()


def average(gradients):
    """The mean of each gradient over the ranks."""
    if not horovod_enabled():
        return gradients
    return [hvd.allreduce(gradient, op=hvd.Average) for gradient in gradients]


def broadcast_hooks():
    """Rank 0's initial weights for everyone."""
    return [hvd.BroadcastGlobalVariablesHook(0)] if horovod_enabled() else []


def session_config():
    """No GPU is ever wanted; thread counts stay with TF_NUM_INTEROP_THREADS and the like."""
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    # For a tiny model and few steps, rewriting the graph takes longer than it saves.
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config
