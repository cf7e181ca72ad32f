"""BERT as a TensorFlow 1 graph, with the variable names of Google's release.

The names and shapes are what makes a checkpoint of the stand-in and one of upstream
interchangeable, so they may not change.
"""

import json
import math

import tensorflow as tf

v1 = tf.compat.v1


class BertConfig:
    """The architecture, as bert_config.json states it. Unknown keys are kept and ignored."""

    def __init__(self, **values):
        self.vocab_size = None
        self.hidden_size = 768
        self.num_hidden_layers = 12
        self.num_attention_heads = 12
        self.intermediate_size = 3072
        self.hidden_act = "gelu"
        self.hidden_dropout_prob = 0.1
        self.attention_probs_dropout_prob = 0.1
        self.max_position_embeddings = 512
        self.type_vocab_size = 16
        self.initializer_range = 0.02
        self.__dict__.update(values)

    @classmethod
    def from_json_file(cls, path):
        with tf.io.gfile.GFile(path, "r") as file:
            config = cls(**json.load(file))
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(
                f"The hidden size ({config.hidden_size}) is not a multiple of the number of "
                f"attention heads ({config.num_attention_heads})"
            )
        return config

    def without_dropout(self):
        """The same architecture for evaluation and for deterministic runs."""
        return BertConfig(
            **{**self.__dict__, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        )

    def refuse_longer_than_trained(self, seq_length):
        if seq_length > self.max_position_embeddings:
            raise ValueError(
                f"Cannot use sequence length {seq_length} because the BERT model was only "
                f"trained up to sequence length {self.max_position_embeddings}"
            )


class BertModel:
    """The encoder and the pooler.

    `sequence_output` is [batch, length, hidden]. `pooled_output` is [batch, hidden], or
    [batch, 3, hidden] for packed records, which bring `positions` ([batch, length]) and
    `next_sentence_positions` ([batch, 3]); their `input_mask` numbers the sequences from 1.
    """

    def __init__(
        self,
        config,
        is_training,
        input_ids,
        input_mask,
        token_type_ids,
        positions=None,
        next_sentence_positions=None,
    ):
        if not is_training:
            config = config.without_dropout()
        packed = positions is not None
        with v1.variable_scope("bert"):
            with v1.variable_scope("embeddings"):
                self.embedding_table = weight(
                    "word_embeddings", [config.vocab_size, config.hidden_size], config
                )
                hidden = self._embed(config, input_ids, token_type_ids, positions)
            with v1.variable_scope("encoder"):
                bias = attention_bias(input_mask, packed)
                for number in range(config.num_hidden_layers):
                    with v1.variable_scope(f"layer_{number}"):
                        hidden = encoder_layer(config, hidden, bias)
            self.sequence_output = hidden
            with v1.variable_scope("pooler"):
                if packed:
                    first = gather_positions(hidden, next_sentence_positions)
                else:
                    first = hidden[:, 0, :]
                self.pooled_output = dense(
                    "dense", first, config.hidden_size, config, activation=tf.tanh
                )

    def _embed(self, config, input_ids, token_type_ids, positions):
        length = input_ids.shape[1]
        config.refuse_longer_than_trained(length)
        types = weight(
            "token_type_embeddings", [config.type_vocab_size, config.hidden_size], config
        )
        places = weight(
            "position_embeddings", [config.max_position_embeddings, config.hidden_size], config
        )
        place = places[:length] if positions is None else tf.gather(places, positions)
        total = (
            tf.gather(self.embedding_table, input_ids) + tf.gather(types, token_type_ids) + place
        )
        return dropout(layer_norm(total), config.hidden_dropout_prob)


def encoder_layer(config, hidden, bias):
    """One transformer layer; `hidden` is [batch, length, hidden]."""
    with v1.variable_scope("attention"):
        with v1.variable_scope("self"):
            mixed = self_attention(config, hidden, bias)
        with v1.variable_scope("output"):
            mixed = dense("dense", mixed, config.hidden_size, config)
            mixed = layer_norm(dropout(mixed, config.hidden_dropout_prob) + hidden)
    with v1.variable_scope("intermediate"):
        wide = dense(
            "dense",
            mixed,
            config.intermediate_size,
            config,
            activation=activation(config.hidden_act),
        )
    with v1.variable_scope("output"):
        narrow = dense("dense", wide, config.hidden_size, config)
        return layer_norm(dropout(narrow, config.hidden_dropout_prob) + mixed)


def self_attention(config, hidden, bias):
    """Multi-headed attention of a sequence to itself; `bias` is [batch, 1, 1 or length, length]."""
    heads = config.num_attention_heads
    size = config.hidden_size // heads
    length = hidden.shape[1]

    def split(name):
        projected = dense(name, hidden, config.hidden_size, config)
        return tf.transpose(tf.reshape(projected, [-1, length, heads, size]), [0, 2, 1, 3])

    query, key, value = split("query"), split("key"), split("value")
    scores = tf.matmul(query, key, transpose_b=True) / math.sqrt(size) + bias
    shares = dropout(tf.nn.softmax(scores), config.attention_probs_dropout_prob)
    context = tf.transpose(tf.matmul(shares, value), [0, 2, 1, 3])
    return tf.reshape(context, [-1, length, config.hidden_size])


def attention_bias(input_mask, packed):
    """0 where a token may look, -10000 where it may not."""
    if packed:
        owner = tf.one_hot(input_mask - 1, depth=3)
        allowed = tf.matmul(owner, owner, transpose_b=True)[:, tf.newaxis]
    else:
        allowed = tf.cast(input_mask, tf.float32)[:, tf.newaxis, tf.newaxis]
    return (1.0 - allowed) * -10000.0


def initializer(config):
    return v1.truncated_normal_initializer(stddev=config.initializer_range)


def weight(name, shape, config):
    return v1.get_variable(name, shape=shape, initializer=initializer(config))


def zeros(name, shape):
    return v1.get_variable(name, shape=shape, initializer=v1.zeros_initializer())


def dense(name, inputs, units, config, activation=None):
    with v1.variable_scope(name):
        kernel = weight("kernel", [inputs.shape[-1], units], config)
        outputs = tf.tensordot(inputs, kernel, axes=1) + zeros("bias", [units])
    return activation(outputs) if activation else outputs


def layer_norm(inputs):
    with v1.variable_scope("LayerNorm"):
        gamma = v1.get_variable(
            "gamma", shape=[inputs.shape[-1]], initializer=v1.ones_initializer()
        )
        beta = zeros("beta", [inputs.shape[-1]])
    mean, variance = tf.nn.moments(inputs, axes=[-1], keepdims=True)
    # Upstream normalizes with Keras' default epsilon, not with the 1e-12 of Google's code.
    return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 1e-3)


def dropout(inputs, rate):
    return tf.nn.dropout(inputs, rate=rate) if rate else inputs


def activation(name):
    known = {
        "gelu": lambda x: tf.nn.gelu(x, approximate=True),
        "relu": tf.nn.relu,
        "tanh": tf.tanh,
        "linear": None,
    }
    if name.lower() not in known:
        raise ValueError(f"Unsupported activation: {name}")
    return known[name.lower()]


def gather_positions(sequence, positions):
    """[batch, length, hidden] at [batch, n] places: [batch, n, hidden]."""
    return tf.gather(sequence, positions, batch_dims=1)


def classify(inputs, kernel, bias_name, labels):
    """Logits of a projection without a scope of its own, and each label's cross entropy."""
    bias = zeros(bias_name, [kernel.shape[0]])
    logits = tf.matmul(inputs, kernel, transpose_b=True) + bias
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return logits, loss


def start_from(checkpoint, variables):
    """Let the variables that the checkpoint holds start with its values; return their names."""
    held = {name for name, _ in tf.train.list_variables(checkpoint)}
    found = {variable.op.name: variable for variable in variables if variable.op.name in held}
    v1.train.init_from_checkpoint(checkpoint, found)
    return set(found)
