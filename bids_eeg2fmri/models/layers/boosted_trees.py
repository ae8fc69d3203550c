"""Evaluate boosted regression trees that were grown elsewhere."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class BoostedTrees(keras.layers.Layer):
    """Add up the leaves that a sample falls into: ``(batch, features) -> (batch, n_outputs)``.

    Every tree has all its nodes down to ``depth``, row by row: the children of node i are 2 i + 1 and 2 i + 2. A sample goes
    left where its feature is at most the threshold. All is numbers in the weights, of which no gradient moves any:
    ``features`` (which feature a node looks at) and ``thresholds`` of shape (n_outputs, n_trees, nodes), ``leaves`` of shape
    (n_outputs, n_trees, nodes + 1). A branch that ends early is filled up with copies of its leaf, a tree that is not
    needed with zeros.

    Parameters
    ----------
    n_outputs, n_trees, depth : int
        Trees of each output, and questions that each asks.

    References
    ----------
    Friedman, J. H. (2001). Greedy function approximation: a gradient boosting machine. Annals of Statistics 29, 1189-1232.
    """

    def __init__(self, n_outputs, n_trees, depth, **kwargs):
        super().__init__(**kwargs)
        self.n_outputs, self.n_trees, self.depth = int(n_outputs), int(n_trees), int(depth)

    def build(self, input_shape):
        nodes = 2**self.depth - 1
        trees = (self.n_outputs, self.n_trees)
        held = {"initializer": "zeros", "trainable": False}
        self.features = self.add_weight(name="features", shape=(*trees, nodes), dtype="int32", **held)
        self.thresholds = self.add_weight(name="thresholds", shape=(*trees, nodes), dtype="float32", **held)
        self.leaves = self.add_weight(name="leaves", shape=(*trees, nodes + 1), dtype="float32", **held)

    def call(self, inputs):
        nodes = 2**self.depth - 1
        tree = ops.arange(self.n_outputs * self.n_trees, dtype="int32")[None]
        # Every tree of every output takes its step at the same time; where it stands, (batch, trees).
        at = ops.zeros_like(inputs[:, :1], dtype="int32") + ops.zeros_like(tree)
        features, thresholds = ops.reshape(self.features, (-1,)), ops.reshape(self.thresholds, (-1,))
        for _ in range(self.depth):
            node = at + nodes * tree
            value = ops.take_along_axis(inputs, ops.take(features, node), axis=1)
            at = 2 * at + 1 + ops.cast(value > ops.take(thresholds, node), "int32")
        leaf = ops.take(ops.reshape(self.leaves, (-1,)), at - nodes + (nodes + 1) * tree)
        return ops.sum(ops.reshape(leaf, (-1, self.n_outputs, self.n_trees)), axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.n_outputs

    def get_config(self):
        return super().get_config() | {"n_outputs": self.n_outputs, "n_trees": self.n_trees, "depth": self.depth}
