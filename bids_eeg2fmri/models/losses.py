"""What training on pairs of EEG and image, or of EEG and EEG, minimizes; each gives one number per sample.

References
----------
Calhas, D. & Henriques, R. (2022). EEG to fMRI synthesis benefits from attentional graphs of electrode relationships.
arXiv 2203.03481.
"""

import math

from keras import ops


def cosine_distance(a, b):
    """Give 1 minus the cosine of the angle between two latents: ``2 x (batch, ...) -> (batch,)``.

    The cosine is that of each sample with its partner, over the flattened latents: 0 for the same direction, 1 for a right
    angle, 2 for the opposite. A latent of zeros has no direction and costs 1.
    """
    a, b = (ops.reshape(latent, (ops.shape(latent)[0], -1)) for latent in (a, b))
    return 1.0 - ops.sum(_unit(a) * _unit(b), axis=-1)


def mae_cosine(y, predicted, latents=None):
    """Give the mean absolute error plus the distance of the latents: ``(batch, outputs) -> (batch,)``.

    Parameters
    ----------
    y, predicted : tensors of shape (batch, outputs)
    latents : pair of tensors of shape (batch, ...), optional
        Of the EEG and of the image; without an image's latent the error is all.
    """
    return ops.mean(ops.abs(y - predicted), axis=-1) + _apart(latents)


def mse_cosine(y, predicted, latents=None):
    """Give the mean squared error plus the distance of the latents; see :func:`mae_cosine`."""
    return ops.mean(ops.square(y - predicted), axis=-1) + _apart(latents)


def laplacian(y, predicted, log_scale, latents=None):
    """Give the negative log-likelihood of Laplace distributions plus the distance of the latents.

    Per sample the mean of ``|y - predicted| / b + log 2b`` over outputs. A scale b that is learned from the sample says how
    far its outputs can be relied on (aleatoric uncertainty).

    Parameters
    ----------
    y, predicted : tensors of shape (batch, outputs)
    log_scale : tensor of shape (batch, outputs)
        Logarithm of b.
    latents : pair of tensors, optional
        As in :func:`mae_cosine`.
    """
    error = ops.abs(y - predicted) * ops.exp(-log_scale) + log_scale + math.log(2.0)
    return ops.mean(error, axis=-1) + _apart(latents)


def contrastive(phases, other_phases, same, *, margin=math.pi):
    """Draw pairs of one group together, and pairs of two groups half a turn apart: ``(batch, latent) -> (batch,)``.

    With ``d = |s1 - s2|`` in each latent, the mean of ``d`` for a pair of one group, of ``|d - margin|`` for others.

    Parameters
    ----------
    phases, other_phases : tensors of shape (batch, latent)
        In rad, what the cosine of the Fourier features is taken of.
    same : tensor of shape (batch,)
        1 or true where the two are of one group.
    margin : float
        In rad.
    """
    distance = ops.abs(phases - other_phases)
    same = ops.cast(same, distance.dtype)[:, None]
    return ops.mean(same * distance + (1.0 - same) * ops.abs(distance - margin), axis=-1)


def contrastive_classification(phases, logits, groups, log_scales=None):
    """Give the contrastive loss of pairs plus the cross entropy of both: ``pairs -> (batch,)``.

    Parameters
    ----------
    phases : pair of tensors of shape (batch, latent)
        In rad; see :func:`contrastive`.
    logits : pair of tensors of shape (batch, groups)
    groups : pair of integer tensors of shape (batch,)
    log_scales : pair of tensors of shape (batch,), optional
        Logarithm of the predicted scale b of each sample: its cross entropy is divided by b, and log b is added, without
        which any sample could be declared unreliable, as the division keeps b from falling to 0.
    """
    cost = contrastive(phases[0], phases[1], ops.equal(*groups))
    for k in range(2):
        group = ops.one_hot(groups[k], logits[k].shape[-1], dtype=logits[k].dtype)
        entropy = -ops.sum(group * ops.log_softmax(logits[k], axis=-1), axis=-1)
        if log_scales is not None:
            entropy = entropy * ops.exp(-log_scales[k]) + log_scales[k]
        cost = cost + entropy
    return cost


def _apart(latents):
    return 0.0 if latents is None else cosine_distance(*latents)


def _unit(latent):
    # The root of a sum that is 0 has no gradient: bound it from below first.
    return latent * ops.rsqrt(ops.maximum(ops.sum(ops.square(latent), axis=-1, keepdims=True), 1e-12))
