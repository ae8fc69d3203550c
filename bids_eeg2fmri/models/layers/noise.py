"""Layers that draw while they are trained, and at prediction only if they are told to."""

import keras


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

    def draw(self, drawn, expected, training):
        """Give what was drawn if the layer is to draw now, else what is expected.

        Parameters
        ----------
        drawn : tensor
            Drawn by ``seed_generator``.
        expected : tensor or number
            What stands for it in a plain prediction.
        training : bool
        """
        return drawn if training else expected + self.noise * (drawn - expected)


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
