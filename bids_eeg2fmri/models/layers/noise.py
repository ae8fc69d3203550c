"""Layers that draw while they are trained, and at prediction only if they are told to."""

import keras
from keras import ops


class NoisyLayer(keras.layers.Layer):
    """Base of layers that draw.

    A plain prediction is deterministic. Draws are made in training, and wherever the weight ``noise`` is 1 instead of 0;
    that is a weight, and no attribute, so that a compiled network obeys it too. See :func:`switch_noise`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape):
        self.noise = self.add_weight(name="noise", shape=(), initializer="zeros", trainable=False)

    def draw(self, draw, zero, training):
        """Give ``draw(seed)`` if the layer is to draw now, else ``zero``, without the work of a draw.

        Parameters
        ----------
        draw : callable
            Seed -> tensor.
        zero : tensor
            Of the same shape.
        training : bool
        """
        # The generator's state may not change in a branch that is not taken.
        seed = self.seed_generator.next()
        if training:
            return draw(seed)
        return ops.cond(self.noise > 0, lambda: draw(seed), lambda: zero)


def noisy_layers(model) -> list[NoisyLayer]:
    """List the layers of a network that draw."""
    found = []
    for layer in model.layers:
        if isinstance(layer, NoisyLayer):
            found.append(layer)
        elif isinstance(layer, keras.Model):
            found += noisy_layers(layer)
    return found


def switch_noise(model, on: bool) -> None:
    """Let all layers of a network draw at prediction, or none."""
    for layer in noisy_layers(model):
        layer.noise.assign(float(on))
