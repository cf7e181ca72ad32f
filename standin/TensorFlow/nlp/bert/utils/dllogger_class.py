"""Where the numbers of a run go: the terminal, and one JSON object a line in a file."""

from dllogger import JSONStreamBackend, Logger, StdOutBackend, Verbosity


def name_of_step(step):
    if isinstance(step, str):
        return step
    if isinstance(step, int):
        return f"Iteration: {step} "
    return f"Iteration: {step[0]} " if len(step) else ""


def open_logger(path):
    logger = Logger(
        [
            StdOutBackend(Verbosity.DEFAULT, step_format=name_of_step),
            JSONStreamBackend(Verbosity.VERBOSE, path),
        ]
    )
    for loss in ("mlm_loss", "nsp_loss", "avg_loss_step", "total_loss"):
        logger.metadata(loss, {"format": ":.4f", "GOAL": "MINIMIZE", "STAGE": "TRAIN"})
    goal = {"unit": "seq/s", "format": ":.3f", "GOAL": "MAXIMIZE", "STAGE": "TRAIN"}
    logger.metadata("throughput_train", goal)
    return logger
