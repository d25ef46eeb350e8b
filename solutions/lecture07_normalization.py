# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lecture 7: Normalization
#
# One neuron sees a number of rooms (2, 3, 5), its neighbour an area in square centimetres (800,000). The loss then
# falls like a cliff along one weight and lies flat along the other, and no single learning rate $\eta$ suits both.
# Normalization is the cure: **change the landscape instead of learning to climb it.** You will
#
# 1. normalize features by hand, avoid two traps, and measure how much rounder the loss surface gets,
# 2. carry the idea inside the network: Batch Normalization forward, backward, and at inference, first in NumPy,
#    then as `nn.Module`s that can swap their weights with PyTorch's own,
# 3. build its relatives (Layer, Instance and Group Normalization) and see that they differ in *one* line,
# 4. make BatchNorm vanish from a trained network, and find the batch size at which it breaks.
#
# **Time:** about 3 hours. The bonus takes 20 minutes more.
#
# **How it is graded.** The tests below each problem are for you; hidden tests of the same promises give the points.
# Automatic: 100 points, and up to 6 more for the bonus. One question in words, read by a person: 5 points.
# Everything may be used *except* the finished thing: a ready-made normalization (such as `torch.nn.BatchNorm1d`,
# `torch.nn.functional.layer_norm` or `sklearn.preprocessing.StandardScaler`) scores nothing.

# %% [markdown]
# ## Recap
#
# **Feature normalization.** Take the training examples $x^1, \dots, x^R$. For every dimension $i$ compute the mean
# $m_i$ and the standard deviation $\sigma_i$ over all of them, then
#
# $$\tilde x^r_i = \frac{x^r_i - m_i}{\sigma_i}$$
#
# Every dimension now has mean 0 and variance 1, and gradient descent converges faster.
#
# **Batch Normalization** (Ioffe & Szegedy 2015). The outputs $z = Wx$ of a layer are the features of the next one, so
# normalize them too. They change with every update, and all the training data won't fit in memory, so take the $m$
# examples of the batch: BatchNorm is an *approximation* of feature normalization.
#
# $$\mu = \frac1m \sum_{i=1}^m z^i \qquad \sigma = \sqrt{\frac1m \sum_{i=1}^m (z^i - \mu)^2 + \epsilon} \qquad
# \tilde z^i = \frac{z^i - \mu}{\sigma} \qquad \hat z^i = \gamma \odot \tilde z^i + \beta$$
#
# $\mu$ and $\sigma$ depend on the $z^i$: they are part of the network, and the gradient flows through them.
# $\gamma$ and $\beta$ are learned; they start at 1 and 0.
#
# **Inference.** One example has no batch. So during training keep moving averages
# $\bar\mu \leftarrow p\,\bar\mu + (1-p)\,\mu^t$, likewise for the variance, and use them when the training is over.
#
# **What to look for:** ask of every formula *which numbers share one mean*. Nearly every mistake with normalization
# is an answer to that question which was never said aloud.

# %%
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

torch.set_num_threads(1)  # for tensors as small as ours, threads would mostly wait for one another
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False})
BLUE, RED, GREY, GREEN = "#2b6cb0", "#c53030", "#a0aec0", "#2f855a"


@contextmanager
def picture(*problems: str) -> Iterator[None]:
    """Draw with your own functions; as long as they are missing, say so in one sentence."""
    plt.close("all")
    try:
        yield
    except Exception:
        plt.close("all")
        them = "it" if len(problems) == 1 else "them"
        print(f"This picture needs {', '.join(problems)}: solve {them} first.")


def houses(number: int, rng: np.random.Generator, town: float = 0.0) -> np.ndarray:
    """Number of rooms and area in square metres of some houses, (number, 2); those of another town are larger."""
    rooms = rng.integers(1, 7, size=number) + town
    return np.column_stack([rooms, 22.0 * rooms + rng.normal(15, 12, size=number)])


# %% [markdown]
# ## 1. Feature normalization
#
# The oldest trick of the trade, with two traps.
#
# *The test set.* A house that is large compared with the training houses must still look large after normalization,
# even if all houses of the test set are large. Test examples are measured with the ruler made from the training set:
# besides, in real life they arrive one at a time, and the standard deviation of one house is 0.
#
# *The feature that never changes.* All training houses have one front door: $\sigma_i = 0$. There is nothing to scale,
# so only subtract the mean. (Computers add a mean surprise: the average of ten times 0.1 is not quite 0.1.)


# %% problem="feature_normalize"
def feature_normalize(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Normalize training and test examples by the training set's statistics.

    $$\tilde x^r_i = (x^r_i - m_i) / \sigma_i$$

    with the mean $m_i$ and the standard deviation $\sigma_i = \sqrt{\frac1R \sum_r (x^r_i - m_i)^2}$ of feature $i$
    over the $R$ training examples. A feature that has one and the same value in all training examples (whatever
    $\sigma_i$ rounds to) is not scaled: for it, $\tilde x^r_i = x^r_i - m_i$. All others are, however small their unit.

    train: (R, d) floats; test: (T, d) floats, T may be 1.
    Returns both normalized, of the same shapes and dtype as they came (float32 stays float32); the inputs stay as
    they are.
    """
    ### BEGIN SOLUTION
    m = train.mean(axis=0)
    constant = train.max(axis=0) == train.min(axis=0)
    sigma = np.where(constant, 1, train.std(axis=0))
    return (train - m) / sigma, (test - m) / sigma
    ### END SOLUTION


# %% tests="feature_normalize"
_train, _test = feature_normalize(np.array([[1.0, 100.0], [3.0, 500.0]]), np.array([[2.0, 700.0]]))
np.testing.assert_allclose(
    _train,
    [[-1, -1], [1, 1]],
    err_msg="Rooms 1 and 3 have mean 2 and standard deviation 1: they are one deviation below and above.",
)
np.testing.assert_allclose(
    _test, [[0, 2]], err_msg="700 square metres lie two of the *training* set's deviations above its mean."
)
_train, _test = feature_normalize(np.full((10, 1), 0.1), np.array([[0.6]]))
assert np.isfinite(_train).all(), "A feature that never changes has no deviation to divide by."
np.testing.assert_allclose(_train, 0, atol=1e-9, err_msg="A feature that never changes becomes 0 in the training set.")
np.testing.assert_allclose(_test, [[0.5]], err_msg="A feature that never changes is shifted, but not scaled.")

# %% picture="ruler"
with picture("feature_normalize"):
    _rng = np.random.default_rng(7)
    _here, _there = houses(80, _rng), houses(30, _rng, town=3)
    _panels = {
        "as they come": (_here, _there),
        "measured with the training ruler": feature_normalize(_here, _there),
        "each set by itself: wrong": (feature_normalize(_here, _here)[0], feature_normalize(_there, _there)[0]),
    }
    _figure, _axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    for _axis, (_title, (_one, _two)) in zip(_axes, _panels.items(), strict=True):
        _axis.scatter(*_one.T, s=22, color=BLUE, alpha=0.6, label="training: our town", linewidths=0)
        _axis.scatter(*_two.T, s=22, color=RED, alpha=0.6, label="test: the rich town", linewidths=0)
        _axis.set(title=_title, xlabel="rooms (deviations)", ylabel="area (deviations)")
    _axes[0].set(xlabel="rooms", ylabel="area (m²)")
    _axes[0].legend(frameon=False)
    _axes[2].text(0.03, 0.9, "the rich town has vanished", transform=_axes[2].transAxes, color=RED)

# %% [markdown]
# ## 2. How much rounder does it get?
#
# The lecture says that normalization *smoothens the loss surface*; for whole networks Santurkar et al. (2018) found
# that this, and not a calmer distribution of the inputs, is why BatchNorm helps. For a linear model you can compute it.
#
# The loss $L(b, w) = \frac1N \sum_n (b + w \cdot x^n - y^n)^2$ is a bowl. Its Hessian does not know $y$:
#
# $$H = \frac2N A^\top A \qquad A = \begin{pmatrix} 1 & x^1 \\ \vdots & \vdots \\ 1 & x^N \end{pmatrix}$$
#
# The eigenvalues are the curvatures along the bowl's axes. The **condition number**
# $\kappa = \lambda_{\max} / \lambda_{\min}$, at least 1, says how stretched the bowl is: the steepest direction limits
# $\eta$, and the flattest then needs about $\kappa$ steps. A round bowl has $\kappa = 1$.


# %% problem="smoothness"
def smoothness(x: np.ndarray, normalize: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    r"""Condition number of a linear model's loss surface before and after its features are normalized.

    $$\kappa = \lambda_{\max} / \lambda_{\min} \text{ of } H = \frac2N A^\top A$$

    where $A$ is a column of ones (for the bias) followed by the features. Where a direction is flat,
    $\lambda_{\min} \le 10^{-12} \lambda_{\max}$, the condition number is `math.inf`.

    x: (N, d) float64; normalize: turns (N, d) features into (N, d) normalized features.
    Returns (before, after), two floats of 1 or more.
    """

    ### BEGIN SOLUTION
    def condition_number(features: np.ndarray) -> float:
        a = np.column_stack([np.ones(len(features)), features])
        smallest, *_, largest = np.linalg.eigvalsh(2 / len(a) * a.T @ a)  # in rising order
        return float(largest / smallest) if smallest > 1e-12 * largest else math.inf

    return condition_number(x), condition_number(normalize(x))
    ### END SOLUTION


# %% tests="smoothness"
_before, _after = smoothness(np.array([[-3.0], [3.0]]), lambda x: x / 3)
assert math.isclose(_before, 9), (
    f"Features -3 and 3: the curvature along w is 9 times that along b, so the condition number is 9, not {_before}."
)
assert math.isclose(_after, 1), f"Features -1 and 1 make a perfectly round bowl: 1, not {_after}."
_before, _after = smoothness(np.array([[99.0], [101.0]]), lambda x: x - 100)
assert _before > 1e7, "Far from 0 the bias and the weight can replace each other: is the bias part of your surface?"
assert math.isclose(_after, 1), "Shifting the features to mean 0 alone makes this bowl round."

# %% picture="loss_surface"
with picture("smoothness", "feature_normalize"):
    _x = houses(60, np.random.default_rng(3))[:, :1]
    _y = 1.5 * (_x[:, 0] - 3.5) + np.random.default_rng(4).normal(size=60)
    _kappa = smoothness(_x, lambda x: feature_normalize(x, x)[0])
    _figure, _axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for _axis, _features, _number, _title in zip(
        _axes, (_x, feature_normalize(_x, _x)[0]), _kappa, ("before", "after"), strict=True
    ):
        _a = np.column_stack([np.ones(60), _features])
        _best = np.linalg.lstsq(_a, _y, rcond=None)[0]
        _grid = np.linspace(-7, 7, 121)
        _b, _w = np.meshgrid(_best[0] + _grid, _best[1] + _grid)
        _loss = ((_b[..., None] + _w[..., None] * _features[:, 0] - _y) ** 2).mean(axis=-1)
        _axis.contourf(_b, _w, np.log10(_loss), levels=24, cmap="Blues_r")
        _eta = 0.9 / np.linalg.eigvalsh(_a.T @ _a / 60)[-1]
        _path = [_best + np.array([5.5, 5.0])]
        for _step in range(40):
            _path.append(_path[-1] - _eta * 2 / 60 * _a.T @ (_a @ _path[-1] - _y))
        _axis.plot(*np.array(_path).T, "o-", color=RED, markersize=3.5, linewidth=1)
        _axis.plot(*_best, "*", color="white", markersize=13, markeredgecolor="black")
        _axis.set(xlabel="bias $b$", ylabel="weight $w$", title=f"{_title}: condition number {_number:.1f}")
    _figure.suptitle("40 steps of gradient descent, each with nearly the largest learning rate that does not diverge")

# %% [markdown]
# ## 3. Batch Normalization, forward
#
# Between two layers the features move with every update, so nobody can normalize them beforehand. BatchNorm does it on
# the spot, with the examples that happen to be in the batch. Three questions decide everything: the mean over *what*?
# divided by $m$ or $m - 1$? and where does $\epsilon$ go? The docstring answers them; the backward pass will ask for
# what you put in the cache.


# %% problem="batch_norm_forward"
def batch_norm_forward(
    z: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-5
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    r"""Batch Normalization in training mode (Ioffe & Szegedy 2015, algorithm 1).

    $$\mu = \frac1m \sum_{i=1}^m z^i \qquad \sigma = \sqrt{\frac1m \sum_{i=1}^m (z^i - \mu)^2 + \epsilon} \qquad
    \tilde z^i = (z^i - \mu) / \sigma \qquad \hat z^i = \gamma \odot \tilde z^i + \beta$$

    for each of the d features on its own.
    z: (m, d) floats, m >= 1; gamma, beta: (d,), of the same dtype as z; eps: added to the variance.
    Returns z_hat, (m, d), and the cache: the tuple (z_tilde, gamma, sigma) of shapes (m, d), (d,) and (d,). All keep
    the dtype of z.
    """
    ### BEGIN SOLUTION
    mu = z.mean(axis=0)
    sigma = np.sqrt(z.var(axis=0) + eps)
    z_tilde = (z - mu) / sigma
    return gamma * z_tilde + beta, (z_tilde, gamma, sigma)
    ### END SOLUTION


# %% tests="batch_norm_forward"
_z = np.array([[1.0, 50.0, 3.0], [3.0, 10.0, 3.0]])
_out, (_z_tilde, _gamma, _sigma) = batch_norm_forward(_z, np.array([1.0, 2.0, 5.0]), np.array([0.0, 0.0, 7.0]))
np.testing.assert_allclose(
    _out[:, 0], [-1, 1], atol=1e-4, err_msg="The feature (1, 3) has mean 2 and deviation 1 over the batch."
)
np.testing.assert_allclose(_out[:, 1], [2, -2], atol=1e-4, err_msg="gamma = 2 stretches the second feature.")
np.testing.assert_allclose(_out[:, 2], 7, atol=1e-4, err_msg="A feature that is the same everywhere becomes beta.")
_out, (_, _, _sigma) = batch_norm_forward(_z, np.ones(3), np.zeros(3), eps=3.0)
assert _sigma.shape == (3,), f"sigma in the cache has shape {_sigma.shape}: it is one number for each feature."
np.testing.assert_allclose(_sigma[0], 2, err_msg="Variance 1 and eps 3 make sigma = 2.")

# %% [markdown]
# Now look at what it does in a deep network. With weights a bit too small, the signal dies out on its way through the
# layers; with weights too large, it is driven to the ends of tanh, where the gradient is 0. With BatchNorm every
# layer hands on the same healthy spread, whichever of the two sets of weights you use: a scale that is normalized
# away can do no harm.

# %% picture="signal_by_depth"
with picture("batch_norm_forward"):
    _rng = np.random.default_rng(0)
    _layers = [_rng.normal(0, 1 / math.sqrt(100), size=(100, 100)) for _ in range(10)]
    _rows = {"weights\ntoo small": (0.6, False, RED), "weights\ntoo large": (3.0, False, RED)}
    _rows |= {"either of them,\nwith BatchNorm": (3.0, True, GREEN)}
    _figure, _axes = plt.subplots(3, 5, figsize=(12, 5), layout="constrained", sharex=True)
    for _row, (_label, (_size, _normalized, _colour)) in zip(_axes, _rows.items(), strict=True):
        _signal = np.random.default_rng(1).normal(size=(200, 100))
        for _depth, _weights in enumerate(_layers, start=1):
            _z = _signal @ (_size * _weights)
            if _normalized:
                _z, _ = batch_norm_forward(_z, np.ones(100), np.zeros(100))
            _signal = np.tanh(_z)
            if _depth % 2 == 0:
                _axis = _row[_depth // 2 - 1]
                _axis.hist(_signal.ravel(), bins=41, range=(-1, 1), color=_colour)
                _axis.set_title(f"layer {_depth}: deviation {_signal.std():.2f}", fontsize=10)
                _axis.set_yticks([])
        _row[0].set_ylabel(_label)
    _figure.supxlabel("output of tanh", fontsize=10)
    _figure.supylabel("how often", fontsize=10)

# %% [markdown]
# ## 4. Batch Normalization, backward
#
# Here most hand-written BatchNorms are wrong. Push one $z^i$ up: its own output rises, but $\mu$ rises as well, so all
# *other* outputs fall a little, and $\sigma$ changes too. With $g^i = \gamma \odot \partial L / \partial \hat z^i$ the
# chain rule along these three roads gives
#
# $$\frac{\partial L}{\partial z^i} = \frac{1}{\sigma}\Big(g^i \underbrace{- \tfrac1m \sum_j g^j}_{\text{through } \mu}
# \underbrace{- \tilde z^i\, \tfrac1m \sum_j g^j \tilde z^j}_{\text{through } \sigma}\Big)$$
#
# Derive it once on paper (it takes ten lines: start from $\partial\sigma/\partial z^i = \tilde z^i / m$). Then read
# it as geometry: the gradient loses its component along "shift the whole batch" and along "stretch the whole batch".
# BatchNorm undoes both, so the loss cannot depend on them. (PyTorch's autograd would do all this for you, so here it is
# not allowed.)


# %% problem="batch_norm_backward"
def batch_norm_backward(
    gradient: np.ndarray, cache: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""The gradient of the loss through `batch_norm_forward`, exact.

    With $g^i = \gamma \odot \partial L / \partial \hat z^i$:

    $$\frac{\partial L}{\partial z^i} = \frac1\sigma \Big(g^i - \frac1m \sum_j g^j
    - \tilde z^i\, \frac1m \sum_j g^j \tilde z^j\Big)$$

    gradient: $\partial L / \partial \hat z$, (m, d) floats; cache: (z_tilde, gamma, sigma) from `batch_norm_forward`,
    of shapes (m, d), (d,), (d,).
    Returns the gradients of L for z, (m, d), for gamma, (d,), and for beta, (d,), in the dtype of `gradient`.
    """
    ### BEGIN SOLUTION
    z_tilde, gamma, sigma = cache
    g = gamma * gradient
    d_z = (g - g.mean(axis=0) - z_tilde * (g * z_tilde).mean(axis=0)) / sigma
    return d_z, (gradient * z_tilde).sum(axis=0), gradient.sum(axis=0)
    ### END SOLUTION


# %% tests="batch_norm_backward"
def _finite_differences(loss: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The slope of `loss` along each entry of `at`, from two points."""
    slopes = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        slopes[index] = (loss(up) - loss(down)) / (2 * step)
    return slopes


_rng = np.random.default_rng(4)
_z, _gradient = _rng.normal(size=(2, 6, 3))
_gamma, _beta = _rng.normal(size=(2, 3))
_d_z, _d_gamma, _d_beta = batch_norm_backward(_gradient, batch_norm_forward(_z, _gamma, _beta)[1])
for _name, _got, _slope in (
    ("beta", _d_beta, _finite_differences(lambda b: (_gradient * batch_norm_forward(_z, _gamma, b)[0]).sum(), _beta)),
    ("gamma", _d_gamma, _finite_differences(lambda g: (_gradient * batch_norm_forward(_z, g, _beta)[0]).sum(), _gamma)),
    ("z", _d_z, _finite_differences(lambda z: (_gradient * batch_norm_forward(z, _gamma, _beta)[0]).sum(), _z)),
):
    np.testing.assert_allclose(
        _got, _slope, atol=1e-6, err_msg=f"The gradient for {_name} is not the slope of the loss along {_name}."
    )

# %% picture="gradient_directions"
with picture("batch_norm_forward", "batch_norm_backward"):
    _rng = np.random.default_rng(2)
    _z = np.sort(_rng.normal(size=(14, 1)), axis=0)
    _, _cache = batch_norm_forward(_z, np.ones(1), np.zeros(1))
    _wishes = {
        "shift: all outputs up": np.ones((14, 1)),
        "stretch: outputs apart": _cache[0],
        "bend: the middle down": np.cos(1.5 * _cache[0]) * -1,
    }
    _figure, _axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained", sharey=True)
    for _axis, (_title, _wish) in zip(_axes, _wishes.items(), strict=True):
        _d_z = batch_norm_backward(_wish, _cache)[0]
        _axis.axhline(0, color=GREY, linewidth=0.8)
        _axis.plot(_z, _wish, "o--", color=GREY, label=r"what arrives: $\partial L/\partial \hat z$")
        _axis.plot(_z, _d_z, "o-", color=BLUE, label=r"what leaves: $\partial L/\partial z$")
        _axis.set(title=_title, xlabel="$z$ of the 14 examples")
    _axes[0].set_ylabel("gradient")
    _axes[2].legend(frameon=False, fontsize=9)

# %% [markdown]
# ## 5. What will be used when the batch is gone
#
# In production the pictures come one by one. The layer therefore remembers: after each training batch the running
# statistics move a bit towards the batch's.
#
# Two conventions to keep apart. The lecture's $p$ is the weight of the *old* value; PyTorch calls the weight of the
# *new* one `momentum` (so $p = 1 -$ momentum, and it has nothing to do with the momentum of Lecture 5). And while the
# batch is normalized with the variance over $m$, what is *remembered* is an estimate for all data, hence divided by
# $m - 1$ (Ioffe & Szegedy 2015, algorithm 2).


# %% problem="update_running_statistics"
def update_running_statistics(
    running_mean: np.ndarray, running_variance: np.ndarray, z: np.ndarray, momentum: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    r"""Move the running statistics towards those of a batch, in PyTorch's convention.

    $$\bar\mu \leftarrow (1 - \text{momentum})\,\bar\mu + \text{momentum}\,\mu^t \qquad
    \bar v \leftarrow (1 - \text{momentum})\,\bar v + \text{momentum}\,v^t$$

    with the batch's mean $\mu^t$ and its unbiased variance $v^t = \frac{1}{m-1} \sum_i (z^i - \mu^t)^2$.

    running_mean, running_variance: (d,) floats; z: the batch, (m, d), m >= 2, of the same dtype.
    Returns the new mean and variance, (d,) each, in the same dtype; the inputs stay as they are.
    """
    ### BEGIN SOLUTION
    new_mean = (1 - momentum) * running_mean + momentum * z.mean(axis=0)
    new_variance = (1 - momentum) * running_variance + momentum * z.var(axis=0, ddof=1)
    return new_mean, new_variance
    ### END SOLUTION


# %% tests="update_running_statistics"
_mean, _variance = update_running_statistics(np.zeros(1), np.ones(1), np.array([[9.0], [11.0]]), momentum=0.1)
np.testing.assert_allclose(
    _mean, [1.0], err_msg="From 0 towards a batch mean of 10 with momentum 0.1: one tenth of the way."
)
np.testing.assert_allclose(
    _variance, [1.1], err_msg="The unbiased variance of (9, 11) is 2; 1 moves one tenth of the way towards it."
)

# %% picture="running_mean"
with picture("update_running_statistics"):
    _rng = np.random.default_rng(5)
    _batches = _rng.normal(3, 2, size=(120, 8, 1))
    _figure, _axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    _axis.plot(_batches.mean(axis=(1, 2)), ".", color=GREY, label="mean of each batch of 8")
    _axis.axhline(3, color="black", linewidth=0.8, linestyle=":", label="mean of all data")
    for _momentum, _colour in ((0.5, RED), (0.1, BLUE), (0.02, GREEN)):
        _mean, _variance, _track = np.zeros(1), np.ones(1), []
        for _batch in _batches:
            _mean, _variance = update_running_statistics(_mean, _variance, _batch, _momentum)
            _track.append(_mean[0])
        _axis.plot(_track, color=_colour, label=f"running mean, momentum {_momentum}")
    _axis.set(xlabel="updates", ylabel="mean", title="Large momentum: nervous. Small momentum: late.")
    _axis.legend(frameon=False, fontsize=9, ncols=2)

# %% [markdown]
# ## 6. `BatchNorm1d`: the whole layer
#
# Everything together, as a PyTorch module. Autograd does the backward pass now, so the craft lies elsewhere: what the
# optimizer may touch (**parameters**), what the layer remembers, saves and moves with it but never trains
# (**buffers**: `register_buffer`), and what changes between `layer.train()` and `layer.eval()` (`self.training`).
# Use PyTorch's names, and a checkpoint saved by `torch.nn.BatchNorm1d` loads into your layer, and the other way round.


# %% problem="BatchNorm1d"
class BatchNorm1d(nn.Module):
    r"""Batch Normalization of (m, C) batches, interchangeable with PyTorch's.

    Parameters (learned): `weight` $= \gamma$, (C,), starts at 1; `bias` $= \beta$, (C,), starts at 0.
    Buffers (remembered): `running_mean`, (C,), starts at 0; `running_var`, (C,), starts at 1; and
    `num_batches_tracked`, an int64 tensor without dimensions, starts at 0: the training batches seen so far.
    `state_dict()` has these five entries and no other.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        """Make parameters and buffers for C = `num_features`."""
        ### BEGIN SOLUTION
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        r"""Normalize x, (m, C), into a new tensor of the same shape and dtype.

        $$\hat x = \gamma \odot (x - \mu) / \sqrt{v + \epsilon} + \beta$$

        Training: mean and (biased) variance of this batch; the gradient flows through them. The buffers are updated
        as in `update_running_statistics` (unbiased variance) and stay outside the graph. A batch of one example has
        no variance: raises ValueError.
        Evaluation: mean and variance are the running ones, so one example is enough; nothing is updated.
        """
        ### BEGIN SOLUTION
        if self.training:
            if len(x) == 1:
                raise ValueError("one example has no variance: train with two or more")
            mean, variance = x.mean(dim=0), x.var(dim=0, unbiased=False)
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)  # (1 - momentum) * old + momentum * new
                self.running_var.lerp_(x.var(dim=0), self.momentum)
                self.num_batches_tracked += 1
        else:
            mean, variance = self.running_mean, self.running_var
        return self.weight * (x - mean) / torch.sqrt(variance + self.eps) + self.bias
        ### END SOLUTION


# %% tests="BatchNorm1d"
_layer = BatchNorm1d(2, momentum=0.5)
assert sorted(name for name, _ in _layer.named_parameters()) == ["bias", "weight"], (
    "Only weight and bias are trained: an optimizer must not find the running statistics."
)
assert sorted(_layer.state_dict()) == ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"], (
    f"A checkpoint must hold all five entries: yours has {sorted(_layer.state_dict())}."
)
_batch = torch.tensor([[0.0, 10.0], [4.0, 30.0]])
np.testing.assert_allclose(
    _layer(_batch).detach(), [[-1, -1], [1, 1]], atol=1e-3, err_msg="In training the batch's own statistics count."
)
np.testing.assert_allclose(
    _layer.running_mean.tolist(), [1, 10], err_msg="After a batch with means 2 and 20 and momentum 0.5: half-way there."
)
np.testing.assert_allclose(
    _layer.running_var.tolist(), [4.5, 100.5], err_msg="Half-way from 1 to the unbiased variance."
)
_layer.eval()
np.testing.assert_allclose(
    _layer(_batch)[:1].detach(),
    _layer(_batch[:1]).detach(),
    err_msg="In evaluation an example's output must not depend on its neighbours in the batch.",
)

# %% [markdown]
# Does it help? Six layers of *sigmoid*, the squashing kind that deep networks had given up on, on pictures of
# handwritten digits. Same weights, same batches, same learning rate.

# %% picture="training"
with picture("BatchNorm1d"):
    _digits = load_digits()
    _images = torch.tensor(_digits.data, dtype=torch.float32) / 16
    _labels = torch.tensor(_digits.target)

    def _deep_sigmoid_network(normalized: bool) -> nn.Sequential:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layers: list[nn.Module] = []
            for inputs in (64, 32, 32, 32, 32, 32):
                layers += [nn.Linear(inputs, 32), *([BatchNorm1d(32)] if normalized else []), nn.Sigmoid()]
            return nn.Sequential(*layers, nn.Linear(32, 10))

    _figure, _axis = plt.subplots(figsize=(9, 3.8), layout="constrained")
    for _normalized, _colour, _label in ((False, RED, "plain"), (True, BLUE, "with your BatchNorm1d")):
        _network = _deep_sigmoid_network(_normalized)
        _optimizer = torch.optim.SGD(_network.parameters(), lr=0.5)
        _generator, _losses = torch.Generator().manual_seed(0), []
        for _step in range(200):
            _some = torch.randint(len(_images), (64,), generator=_generator)
            _loss = nn.functional.cross_entropy(_network(_images[_some]), _labels[_some])
            _optimizer.zero_grad()
            _loss.backward()
            _optimizer.step()
            _losses.append(_loss.item())
        _axis.plot(_losses, color=_colour, label=_label)
    _axis.axhline(math.log(10), color=GREY, linewidth=0.8, linestyle=":")
    _axis.text(199, math.log(10) + 0.14, "guessing", color="grey", ha="right")
    _axis.set(xlabel="updates", ylabel="cross-entropy", title="Six layers of sigmoid", ylim=(0, 2.8))
    _axis.legend(frameon=False, loc="center right")

# %% [markdown]
# ## 7. `BatchNorm2d`: pictures
#
# A convolution runs one and the same neuron over all places of a picture. So all its outputs, at every place of every
# picture of the batch, belong to one feature: a channel. To BatchNorm, **each pixel is one more example**: $N$
# pictures of $H \times W$ pixels are a batch of $m = N H W$ rows with $C$ features. That sentence is the whole
# solution: rearrange, call what you have, rearrange back. (Rather start afresh from `nn.Module`? Change the first
# line. Mind the order of the axes: a `reshape` alone tears the channels apart.)


# %% problem="BatchNorm2d"
class BatchNorm2d(BatchNorm1d):
    """Batch Normalization of (N, C, H, W) pictures: one mean and variance for each channel, over N, H and W.

    Same constructor, parameters, buffers and modes as `BatchNorm1d`.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize x, (N, C, H, W), into a new tensor of the same shape and dtype.

        As `BatchNorm1d`, where a batch has m = N·H·W values for each channel (so the unbiased variance divides by
        N·H·W - 1, and one picture of several pixels is enough to train on).
        """
        ### BEGIN SOLUTION
        n, c, h, w = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(-1, c)
        return super().forward(pixels).reshape(n, h, w, c).permute(0, 3, 1, 2)
        ### END SOLUTION


# %% tests="BatchNorm2d"
_pictures = torch.arange(24.0).reshape(2, 3, 2, 2)
_layer = BatchNorm2d(3, momentum=1.0)
_out = _layer(_pictures).detach()
assert _out.shape == _pictures.shape, f"The output has shape {tuple(_out.shape)}: it must be that of the input."
np.testing.assert_allclose(
    _out.mean(dim=(0, 2, 3)), np.zeros(3), atol=1e-5, err_msg="Each channel has mean 0 over pictures, rows and columns."
)
np.testing.assert_allclose(
    _layer.running_mean.tolist(),
    [7.5, 11.5, 15.5],
    rtol=1e-6,
    err_msg="The channels' means over the batch are 7.5, 11.5, 15.5.",
)
assert (_out[:, :, 1, 1] > _out[:, :, 0, 0]).all(), "Within a channel the brighter pixel stays the brighter one."

# %% [markdown]
# ## 8. The relatives: whose mean is it?
#
# BatchNorm needs neighbours. With a batch of one or two, in a recurrent network, or when sentences differ in length,
# they are missing or misleading. The relatives take the mean *inside one example*, so training and inference are the
# same and no running statistics are needed:
#
# | | one mean over | usual place |
# |---|---|---|
# | Batch (Ioffe & Szegedy 2015) | the batch and all places, for each channel | convolutional nets, large batches |
# | Layer (Ba et al. 2016) | all features of one example | recurrent nets, transformers |
# | Instance (Ulyanov et al. 2016) | all places of one channel of one picture | style transfer |
# | Group (Wu & He 2018) | all places of a group of channels of one picture | small batches |
#
# The arithmetic is the same in all of them: $\hat x = \gamma \odot (x - \mu) / \sqrt{v + \epsilon} + \beta$ with the
# biased variance $v$, and $\gamma$, $\beta$ always belong to a channel (feature).

# %% [markdown]
# ### Layer Normalization
#
# A sentence is a row of vectors, one for each word. Each word is normalized by itself: it needs to know neither the
# other sentences of the batch nor the other words. You will meet this function again in the transformer.


# %% problem="layer_norm"
def layer_norm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    r"""Layer Normalization (Ba et al. 2016): each vector along the last axis is normalized by itself.

    $$\mu = \frac1d \sum_{i=1}^d x_i \qquad v = \frac1d \sum_{i=1}^d (x_i - \mu)^2 \qquad
    \hat x_i = \gamma_i\,(x_i - \mu) / \sqrt{v + \epsilon} + \beta_i$$

    x: (..., d) floats with any number of leading axes, none included; gamma, beta: (d,), of the same dtype.
    Returns a new tensor of the shape and dtype of x, through which gradients flow.
    """
    ### BEGIN SOLUTION
    mean = x.mean(dim=-1, keepdim=True)
    variance = x.var(dim=-1, unbiased=False, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta
    ### END SOLUTION


# %% tests="layer_norm"
_out = layer_norm(torch.tensor([[1.0, 3.0], [50.0, 10.0]]), torch.ones(2), torch.tensor([0.0, 10.0]))
np.testing.assert_allclose(
    _out, [[-1, 11], [1, 9]], atol=1e-4, err_msg="Each row has its own mean and deviation; beta belongs to the column."
)
_words = torch.arange(12.0).reshape(1, 3, 4) ** 2
np.testing.assert_allclose(
    layer_norm(_words, torch.ones(4), torch.zeros(4))[0, 1],
    layer_norm(_words[0, 1], torch.ones(4), torch.zeros(4)),
    rtol=1e-5,
    err_msg="A word's result must not depend on the other words of the sentence.",
)

# %% [markdown]
# ### Instance Normalization
#
# Whether a photograph is pale or rich in contrast is no part of *what* it shows. Normalize each channel of each picture
# by itself, and contrast is gone: that made style transfer work (Ulyanov et al. 2016).


# %% problem="instance_norm"
def instance_norm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    r"""Instance Normalization (Ulyanov et al. 2016): each channel of each picture is normalized by itself.

    $$\hat x_{nchw} = \gamma_c\,(x_{nchw} - \mu_{nc}) / \sqrt{v_{nc} + \epsilon} + \beta_c$$

    with the mean $\mu_{nc}$ and the biased variance $v_{nc}$ over the H·W pixels of channel c of picture n.

    x: (N, C, H, W) floats; gamma, beta: (C,), of the same dtype.
    Returns a new tensor of the shape and dtype of x, through which gradients flow.
    """
    ### BEGIN SOLUTION
    mean = x.mean(dim=(2, 3), keepdim=True)
    variance = x.var(dim=(2, 3), unbiased=False, keepdim=True)
    return gamma[:, None, None] * (x - mean) / torch.sqrt(variance + eps) + beta[:, None, None]
    ### END SOLUTION


# %% tests="instance_norm"
_pale = torch.tensor([[0.4, 0.5], [0.6, 0.5]])
_pictures = torch.stack([_pale, 100 * _pale + 7])[:, None]  # two pictures of one channel: pale, and rich in contrast
_out = instance_norm(_pictures, torch.ones(1), torch.zeros(1), eps=1e-8)
np.testing.assert_allclose(
    _out[0], _out[1], atol=1e-4, err_msg="Brightness and contrast of a picture must not matter any more."
)
_out = instance_norm(_pictures.expand(2, 2, 2, 2), torch.tensor([1.0, 3.0]), torch.tensor([0.0, 5.0]))
np.testing.assert_allclose(_out[:, 1], 3 * _out[:, 0] + 5, atol=1e-4, err_msg="gamma and beta belong to the channels.")

# %% [markdown]
# ### Group Normalization
#
# Channels come in families: edges of several directions, colours. Group Normalization (Wu & He 2018) lets
# *neighbouring* channels share a mean: with 6 channels in 2 groups, channels 0, 1, 2 are one group and 3, 4, 5 the
# other. One group is Layer Normalization over the whole picture; as many groups as channels is Instance
# Normalization.


# %% problem="group_norm"
def group_norm(
    x: torch.Tensor, num_groups: int, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-5
) -> torch.Tensor:
    r"""Group Normalization (Wu & He 2018): each group of neighbouring channels of each picture is normalized by itself.

    $$\hat x_{nchw} = \gamma_c\,(x_{nchw} - \mu_{ng}) / \sqrt{v_{ng} + \epsilon} + \beta_c$$

    with the mean $\mu_{ng}$ and biased variance $v_{ng}$ over all pixels of the C/G channels of group g of picture n.
    Group 0 holds the channels 0 to C/G - 1, group 1 the next C/G, and so on.

    x: (N, C, H, W) floats, in any memory layout (it may be a transposed view); num_groups: G, divides C;
    gamma, beta: (C,), of the same dtype.
    Returns a new tensor of the shape and dtype of x, through which gradients flow.
    """
    ### BEGIN SOLUTION
    groups = x.reshape(len(x), num_groups, -1)
    mean = groups.mean(dim=-1, keepdim=True)
    variance = groups.var(dim=-1, unbiased=False, keepdim=True)
    normalized = ((groups - mean) / torch.sqrt(variance + eps)).reshape(x.shape)
    return gamma[:, None, None] * normalized + beta[:, None, None]
    ### END SOLUTION


# %% tests="group_norm"
_pixels = torch.tensor([1.0, 3.0, 100.0, 300.0])[None, :, None, None]  # one picture of one pixel with four channels
_out = group_norm(_pixels, 2, torch.ones(4), torch.zeros(4))
np.testing.assert_allclose(
    _out.ravel(), [-1, 1, -1, 1], atol=1e-4, err_msg="Two groups of four channels: (1, 3) and (100, 300) are families."
)
_out = group_norm(_pixels, 2, torch.ones(4), torch.arange(4.0))
np.testing.assert_allclose(_out.ravel(), [-1, 2, 1, 4], atol=1e-4, err_msg="beta belongs to a channel, not to a group.")

# %% [markdown]
# Now let your own functions draw the most famous figure of this subject (Wu & He 2018, figure 2). Poke one number of
# one picture (the cross), and colour each channel of each picture whose output moves.

# %% picture="who_shares_a_mean"
with picture("BatchNorm2d", "layer_norm", "instance_norm", "group_norm"):
    _x = torch.tensor(np.random.default_rng(6).normal(size=(5, 6, 3, 3)), dtype=torch.float32)
    _poked = _x.clone()
    _poked[1, 2, 0, 0] += 3
    _one, _zero = torch.ones(6), torch.zeros(6)
    _relatives: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "Batch": lambda x: BatchNorm2d(6)(x).detach(),
        "Layer": lambda x: layer_norm(x.flatten(1), torch.ones(54), torch.zeros(54)).reshape(x.shape),
        "Instance": lambda x: instance_norm(x, _one, _zero),
        "Group (2 groups)": lambda x: group_norm(x, 2, _one, _zero),
    }
    _figure, _axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained", sharey=True)
    for _axis, (_name, _normalize) in zip(_axes, _relatives.items(), strict=True):
        _moved = (_normalize(_poked) - _normalize(_x)).abs().amax(dim=(2, 3)) > 1e-6
        _axis.pcolormesh(_moved.numpy(), cmap="Blues", vmin=0, vmax=1.4, edgecolors="white", linewidth=2)
        _axis.plot(2.5, 1.5, "x", color=RED, markersize=12, markeredgewidth=3)
        _axis.set(title=_name, xlabel="channel", xticks=np.arange(6) + 0.5, xticklabels=range(6), aspect="equal")
    _axes[0].set(ylabel="picture", yticks=np.arange(5) + 0.5, yticklabels=range(5))
    _axes[0].invert_yaxis()

# %% [markdown]
# ## 9. The vanishing layer
#
# At inference BatchNorm multiplies by one fixed number and adds another. So does the layer before it: the two melt into
# one. Every network on every phone does this: BatchNorm costs *nothing* once training is over.
#
# $$\hat y = \gamma\,\frac{(W x + b) - \bar\mu}{\sqrt{\bar v + \epsilon}} + \beta = W' x + b'$$
#
# Find $W'$ and $b'$ (not with PyTorch's own `fuse_...` functions). Layers in front of a BatchNorm are often built
# without a bias (why?), but the folded one needs one.


# %% problem="fold_batch_norm"
def fold_batch_norm(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    running_mean: torch.Tensor,
    running_var: torch.Tensor,
    gamma: torch.Tensor,
    beta: torch.Tensor,
    eps: float = 1e-5,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Weight and bias of the one layer that does what a layer followed by BatchNorm does at inference.

    $$W' x + b' = \gamma \odot \frac{(W x + b) - \bar\mu}{\sqrt{\bar v + \epsilon}} + \beta$$

    weight: of a linear layer, (C, inputs), or of a convolution, (C, inputs, height, width): the first axis counts the
    outputs; bias: (C,), or None for a layer without one; running_mean, running_var, gamma, beta: (C,). All are floats
    of one dtype.
    Returns W', shaped as `weight`, and b', (C,), in the same dtype; the inputs stay as they are.
    """
    ### BEGIN SOLUTION
    scale = gamma / torch.sqrt(running_var + eps)
    shift = -running_mean if bias is None else bias - running_mean
    return torch.einsum("c,c...->c...", scale, weight), scale * shift + beta
    ### END SOLUTION


# %% tests="fold_batch_norm"
_four = torch.tensor([4.0])
_weight, _bias = fold_batch_norm(
    torch.tensor([[2.0, -6.0]]), torch.tensor([5.0]), torch.tensor([1.0]), _four, torch.tensor([3.0]), _four, eps=0.0
)
np.testing.assert_allclose(_weight, [[3, -9]], err_msg="A deviation of 2 and gamma = 3 scale the weights by 1.5.")
np.testing.assert_allclose(_bias, [10], err_msg="For x = 0 the two layers give 3 · (5 - 1) / 2 + 4 = 10.")
_weight, _bias = fold_batch_norm(torch.ones(1, 2, 3, 3), None, _four, _four, _four, _four)
assert _weight.shape == (1, 2, 3, 3), f"The folded kernel has shape {tuple(_weight.shape)} instead of (1, 2, 3, 3)."
assert _bias.shape == (1,), "Even if the layer had no bias, the folded one needs one."

# %% [markdown]
# ## 10. In your own words
#
# A colleague trains a convolutional network with BatchNorm and batches of 64; the training loss is excellent. In the
# demo, which shows the network **one picture at a time**, its answers are nonsense. Fed with 64 pictures of all kinds
# at once, the *same* network is right again; with 64 pictures of one and the same kind it is wrong.
#
# (a) What has most likely been forgotten, and how does it explain all three observations?
# (b) Why does BatchNorm have two behaviours at all, and why not simply use the statistics of the test set?
# (c) Would Layer or Group Normalization have had this problem? Why are they not always used, then?

# %% [markdown] answer="train_and_eval" points=5
# **Model answer.**
#
# (a) The network was left in training mode: `eval()` was never called, so each prediction is made with the statistics
# of the pictures that happen to share its batch. 64 mixed pictures have about the mean and variance of the training
# data, so that works. In a batch of one, the statistics come from the pixels of that single picture, and its own
# brightness and contrast are removed from every channel. 64 pictures of one kind have a mean of their own, and
# subtracting it removes exactly what tells that kind from the others.
#
# (b) In training, the statistics of the batch stand for those of all data: these change with every update and would
# cost a pass over everything, and the gradient must flow through them, as they move with the weights. At inference an
# answer must depend on its own input only and be repeatable, hence fixed statistics, gathered in training. Those of
# the test set are not known when its first example arrives, would leak information about it, and would make the
# function that is tested another one than was trained.
#
# (c) No: their mean is taken within one example, in training and at inference alike. But with large batches of pictures
# BatchNorm is often a little more accurate (its noisy statistics act as a regularizer), and it is free at inference, as
# it folds into the layer before; theirs must be computed for each example.
#
# **Rubric**, one point each:
#
# - names training mode, or the missing `eval()`;
# - explains the single picture *and* the batch of one kind by the statistics of the batch;
# - says why training uses the batch (it approximates all data; the statistics are part of the graph);
# - says why inference needs fixed statistics, and those of the training data;
# - answers (c) with no, *with* the reason (the mean is within one example), and names one cost.

# %% [markdown]
# ## Bonus: how small may a batch be?
#
# BatchNorm stands or falls with the batch being a fair sample of the data. Measure it: draw batches of several sizes,
# and compare their mean and variance with those of all data. With 2 pictures a batch, Wu & He (2018) found the error of
# a ResNet-50 on ImageNet 10.6 percentage points lower with GroupNorm than with BatchNorm. After this problem you know
# why, and you can say which power of the batch size the error of the statistics follows.


# %% problem="batch_size_effect"
def batch_size_effect(
    features: np.ndarray, batch_sizes: list[int], trials: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    r"""How far the statistics of a batch are from those of all data, against the batch size.

    For each size $B$, draw `trials` batches of $B$ different examples (without replacement, as an epoch does) and
    return the root of the mean, over all trials and features, of the squared relative errors

    $$\Big(\frac{\mu_B - \mu}{\sigma}\Big)^2 \quad \text{and} \quad \Big(\frac{v_B - \sigma^2}{\sigma^2}\Big)^2$$

    where $\mu$, $\sigma^2$ are a feature's mean and (biased) variance over all N examples, and $\mu_B$, $v_B$ the same
    over the batch, as BatchNorm computes them.

    features: (N, d) float64, none of them constant; batch_sizes: each from 1 to N; rng: the only source of randomness.
    Returns (mean_error, variance_error): float64 arrays of shape (len(batch_sizes),).
    """
    ### BEGIN SOLUTION
    mean, variance = features.mean(axis=0), features.var(axis=0)
    errors = []
    for size in batch_sizes:
        batches = np.stack([features[rng.permutation(len(features))[:size]] for _ in range(trials)])  # (trials, B, d)
        mean_error = (batches.mean(axis=1) - mean) / np.sqrt(variance)
        variance_error = (batches.var(axis=1) - variance) / variance
        errors.append([np.sqrt(np.mean(mean_error**2)), np.sqrt(np.mean(variance_error**2))])
    mean_errors, variance_errors = np.array(errors).T
    return mean_errors, variance_errors
    ### END SOLUTION


# %% tests="batch_size_effect"
_features = np.random.default_rng(8).normal(5, 3, size=(40, 2))
_means, _variances = batch_size_effect(_features, [1, 10, 40], 200, np.random.default_rng(9))
assert _means.shape == _variances.shape == (3,), "Two arrays with one error for each batch size are expected."
assert abs(_means[2]) < 1e-9, "A batch of all 40 examples is all data: its mean has no error."
np.testing.assert_allclose(_variances[0], 1, err_msg="A batch of one has variance 0: a relative error of exactly 1.")
assert 0.7 < _means[0] < 1.3, "A single example is typically one standard deviation from the mean."

# %% picture="batch_size"
with picture("batch_size_effect"):
    _sizes = [2, 4, 8, 16, 32, 64, 128]
    _features = np.random.default_rng(10).normal(size=(4096, 3))
    _means, _variances = batch_size_effect(_features, _sizes, 100, np.random.default_rng(11))
    _figure, _axis = plt.subplots(figsize=(8, 4), layout="constrained")
    _axis.loglog(_sizes, _means, "o-", color=BLUE, label="error of the mean, in deviations")
    _axis.loglog(_sizes, _variances, "s-", color=RED, label="relative error of the variance")
    _axis.loglog(_sizes, 1 / np.sqrt(_sizes), ":", color="black", label=r"$1/\sqrt{B}$")
    _axis.set_xticks(_sizes, labels=_sizes)
    _axis.set_yticks([0.1, 0.2, 0.5, 1], labels=["10 %", "20 %", "50 %", "100 %"])
    _axis.minorticks_off()
    _axis.set(xlabel="batch size $B$", ylabel="error of the statistics", title="What BatchNorm has to live with")
    _axis.legend(frameon=False)

# %% [markdown]
# ## Sources
#
# - S. Ioffe, C. Szegedy: *Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
#   Shift*, ICML 2015, arXiv:1502.03167
# - J. L. Ba, J. R. Kiros, G. E. Hinton: *Layer Normalization*, 2016, arXiv:1607.06450
# - D. Ulyanov, A. Vedaldi, V. Lempitsky: *Instance Normalization: The Missing Ingredient for Fast Stylization*, 2016,
#   arXiv:1607.08022
# - Y. Wu, K. He: *Group Normalization*, ECCV 2018, arXiv:1803.08494
# - S. Santurkar, D. Tsipras, A. Ilyas, A. Madry: *How Does Batch Normalization Help Optimization?*, NeurIPS 2018,
#   arXiv:1805.11604
