"""LAMB and Adam with weight decay, over ranks and accumulation steps, scheduled as upstream."""

import re

import tensorflow as tf
from TensorFlow.nlp.bert.utils import ranks

v1 = tf.compat.v1
BETA_1, BETA_2, EPSILON, WEIGHT_DECAY = 0.9, 0.999, 1e-6, 0.01
NOT_DECAYED = re.compile("LayerNorm|layer_norm|bias")


def create_optimizer(
    loss,
    init_lr,
    num_train_steps,
    num_warmup_steps,
    num_accumulation_steps=1,
    optimizer_type="adam",
    allreduce_post_accumulation=False,
):
    """The op that trains one step, or gathers the gradients of one of several.

    Gradients are clipped to norm 1 a batch, before they are summed, as in upstream. They are
    averaged over the ranks a batch, or once before the update with `allreduce_post_accumulation`.
    """
    apply = {"lamb": lamb_update, "adam": adam_update}.get(optimizer_type, adam_update)
    global_step = v1.train.get_or_create_global_step()
    variables = v1.trainable_variables()
    accumulating = num_accumulation_steps > 1
    gradients = tf.gradients(loss / max(1, num_accumulation_steps), variables)
    pairs = [(g, v) for g, v in zip(gradients, variables) if g is not None]
    gradients = [tf.convert_to_tensor(g) for g, _ in pairs]
    variables = [v for _, v in pairs]
    if not (accumulating and allreduce_post_accumulation):
        gradients = ranks.average(gradients)
    gradients, _ = tf.clip_by_global_norm(gradients, 1.0)

    # Nothing in upstream orders the rate's look at the step and the step's increment: there a
    # step has its own rate or the next one's, as it happens. Here it is always the next one's.
    def rate_at(step):
        return learning_rate(step, init_lr, num_train_steps, num_warmup_steps, optimizer_type)

    def update(gradients):
        with tf.control_dependencies(gradients):
            step = tf.identity(global_step.assign_add(1))
        rate = rate_at(step)
        assignments = []
        for gradient, variable in zip(gradients, variables):
            m, v = slot(variable, "adam_m"), slot(variable, "adam_v")
            next_m = BETA_1 * m + (1.0 - BETA_1) * gradient
            next_v = BETA_2 * v + (1.0 - BETA_2) * tf.square(gradient)
            change = apply(variable, next_m, next_v, tf.cast(step, tf.float32)) * rate
            assignments += [m.assign(next_m), v.assign(next_v), variable.assign_sub(change)]
        with tf.control_dependencies(assignments):
            return tf.identity(step), tf.identity(rate)

    # The slots are made here: a branch of tf.cond may not create variables.
    for variable in variables:
        slot(variable, "adam_m")
        slot(variable, "adam_v")

    if not accumulating:
        tf.constant(True, name="update_step")
        step, rate = update(gradients)
    else:
        local_step = v1.get_variable(
            "local_step", [], tf.int32, trainable=False, initializer=v1.zeros_initializer()
        )
        # Of no use here; upstream looks for it when it goes on from a checkpoint.
        v1.get_variable(
            "batch_finite", [], tf.bool, trainable=False, initializer=v1.ones_initializer()
        )
        first = tf.equal(local_step % num_accumulation_steps, 0)
        with tf.control_dependencies([first]):
            counted = tf.identity(local_step.assign(tf.where(first, 1, local_step + 1)))
        last = tf.equal(counted % num_accumulation_steps, 0, name="update_step")
        sums = [slot(variable, "accum") for variable in variables]
        gathered = [
            tf.identity(total.assign(tf.where(first, gradient, total + gradient)))
            for total, gradient in zip(sums, gradients)
        ]

        def finish():
            average = ranks.average if allreduce_post_accumulation else list
            return update(average(gathered))

        def wait():
            with tf.control_dependencies(gathered):
                return tf.identity(global_step), tf.identity(rate_at(global_step))

        step, rate = tf.cond(last, finish, wait)
    step = tf.identity(step, name="step_update")
    rate = tf.identity(rate, name="learning_rate")
    return tf.group(step, rate)


def learning_rate(step, init_lr, num_train_steps, num_warmup_steps, optimizer_type):
    """Linear warm-up, then polynomial decay to 0: the root for LAMB, straight for Adam."""
    step = tf.cast(step, tf.float32)
    power, peak = 0.5, init_lr
    if optimizer_type == "adam":
        # So that the straight line meets the end of the warm-up.
        power, peak = 1.0, init_lr / (1.0 - num_warmup_steps / num_train_steps)
    left = 1.0 - tf.minimum(step, float(num_train_steps)) / float(num_train_steps)
    decayed = peak * left**power
    if not num_warmup_steps:
        return decayed
    return tf.where(step < num_warmup_steps, init_lr * step / num_warmup_steps, decayed)


def slot(variable, name):
    with v1.variable_scope(v1.get_variable_scope(), reuse=v1.AUTO_REUSE):
        return v1.get_variable(
            f"{variable.op.name}/{name}",
            variable.shape,
            tf.float32,
            trainable=False,
            initializer=v1.zeros_initializer(),
        )


def decay(variable):
    return 0.0 if NOT_DECAYED.search(variable.op.name) else WEIGHT_DECAY * variable


def adam_update(variable, m, v, step):
    del step  # BERT's Adam does not correct its bias.
    return m * tf.math.rsqrt(v + EPSILON**2) + decay(variable)


def lamb_update(variable, m, v, step):
    m = m / (1.0 - BETA_1**step)
    v = v / (1.0 - BETA_2**step)
    change = m / (tf.sqrt(v) + EPSILON) + decay(variable)
    size, length = tf.norm(variable), tf.norm(change)
    trust = tf.where((size > 0) & (length > 0), tf.math.divide_no_nan(size, length), 1.0)
    return trust * change
