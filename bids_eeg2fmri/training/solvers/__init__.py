"""What computes weights where no gradient does. One way per file; an architecture names its own by ``Config.solver``.

A solver is a module with ``MOST_SAMPLES`` (of more training samples every second, third, ... is taken) and::

    solve(features, targets, inner, *, options, independent, seed, person) -> Solution

``features`` (samples, features) are what the network's layer ``features`` says of the training samples, ``targets``
(samples, outputs) what is to be predicted, ``inner`` positions of samples to solve for and to judge by, ``options`` the
architecture's ``Config``, ``person`` (samples,) who each sample is of, None if all are of one. What
the solution holds is written into the layer ``coefficients``.
"""
