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
# # Lecture 8: Classification
#
# You are writing an app for mushroom pickers. It looks at a mushroom and names its kind: **0** chanterelle, **1**
# porcini, **2** death cap. Two of them belong in a pan, and one is among the most poisonous things in the forest. So it
# matters *how sure* the app is, what its mistakes cost, and how you count them. You will
#
# 1. turn kinds into one-hot vectors and scores into probabilities, with formulas that survive any score,
# 2. build the cross-entropy loss with everything that PyTorch's has: class weights, ignored examples, soft labels,
#    label smoothing,
# 3. find that its gradient is the simplest one of the whole course, and see why the squared error gets stuck,
# 4. measure a classifier honestly, where accuracy would lie,
# 5. train one in PyTorch on handwritten digits, seen through a broken camera.
#
# **Time:** about 3 hours. The bonus takes 20 minutes more.
#
# **How it is graded.** The tests below each problem are for you; hidden tests of the same promises give the points.
# Automatic: 100 points, and up to 6 more for the bonus. One question in words, read by a person: 5 points.
# Keep the names of functions and arguments: that is how the tests find your work. Everything may be used *except* the
# finished thing: a ready-made one-hot encoding, softmax, log-sum-exp, cross-entropy or score of PyTorch, SciPy or
# scikit-learn gives no points. Only in section 9 PyTorch's own are welcome: by then you know what is inside.
# Helpers of your own may stand in any cell. Let their names not begin with an underscore: such names belong to the tests
# and pictures, which would overwrite yours.

# %% [markdown]
# ## Recap
#
# A network gives one number for each class, $y = (y_1, \dots, y_K)$, the **logits**. Softmax makes them probabilities,
# and the cross-entropy compares these with the label:
#
# $$y'_k = \frac{\exp(y_k)}{\sum_j \exp(y_j)} \qquad\qquad e = -\sum_k \hat y_k \ln y'_k \qquad\qquad
# L = \frac1N \sum_n e_n$$
#
# | symbol | in code | what it is |
# |---|---|---|
# | $K$, $N$ | `num_classes`, `len(logits)` | the number of classes, and of examples |
# | $y$ | `logits` | what the network says: any numbers, one for each class |
# | $y'$ | `softmax(logits)` | the probabilities: between 0 and 1, and they sum to 1 |
# | $\hat y$ | `targets`, `labels` | the truth: a class index such as 2, or a vector such as $(0, 0, 1)$ |
# | $e$, $L$ | the loss | of one example, and of all |
#
# (In the lecture the hat is on the *label*. Many books put it on the prediction instead.)
#
# Minimizing the cross-entropy is **maximizing the likelihood**: for a one-hot label, $e = -\ln y'_c$ with the right
# class $c$, so a small $L$ says that the labels were probable. Read $-\ln y'_c$ as **surprise**: 0 for what was certain,
# 0.7 for a coin flip, without limit for what was called impossible.
#
# **What to look for:** softmax sees only the *differences* between logits. Nearly everything below follows from that,
# and so do the tricks that keep the formulas alive when logits are large.

# %%
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import to_rgb
from sklearn.datasets import load_digits
from torch import nn

torch.set_num_threads(1)  # for tensors as small as ours, threads would mostly wait for one another
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False})
KINDS = ("chanterelle", "porcini", "death cap")
COLOURS = ("#dd9a1f", "#8a5a3c", "#4f9d69")
BLUE, RED, GREY = "#2b6cb0", "#c53030", "#a0aec0"


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


def mushrooms(number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cap width and stem height in centimetres, (number, 2), and the kinds, (number,). Death caps are rare."""
    kinds = rng.choice(3, size=number, p=[0.5, 0.4, 0.1])
    middle = np.array([[5.0, 4.5], [12.5, 7.5], [8.5, 11.0]])
    spread = np.array([[1.5, 1.2], [2.6, 1.6], [1.5, 1.9]])
    return middle[kinds] + spread[kinds] * rng.normal(size=(number, 2)), kinds


# %% [markdown]
# ## 1. Classes without an order
#
# Why not let the network output one number, and say that 0 means chanterelle, 1 porcini, 2 death cap? Because then a
# network in doubt between chanterelle and death cap says 1: porcini, bon appétit. Numbers claim that class 1 lies
# *between* 0 and 2. A **one-hot vector** makes no such claim: each class is equally far from every other.
#
# How many classes there are is a fact about the task, not about the batch: a basket without a death cap still comes from
# a forest with three kinds.


# %% problem="one_hot"
def one_hot(labels: np.ndarray, num_classes: int, dtype: type = np.float64) -> np.ndarray:
    r"""One-hot vectors $\hat y$ of class indices: 1 at the place of the class, 0 elsewhere.

    labels: integers from 0 to K - 1, of any shape (...) and any integer dtype; num_classes: K; dtype: of the result.
    Returns an array of shape (..., K) and dtype `dtype`: the classes are the new last axis.
    Raises ValueError if a label is negative or not less than K.
    """
    ### BEGIN SOLUTION
    if np.any((labels < 0) | (labels >= num_classes)):
        raise ValueError(f"labels must lie between 0 and {num_classes - 1}")
    return np.eye(num_classes, dtype=dtype)[labels]
    ### END SOLUTION


# %% tests="one_hot"
np.testing.assert_array_equal(
    one_hot(np.array([2, 0]), 3), [[0, 0, 1], [1, 0, 0]], err_msg="One row for each label, with the 1 at its class."
)
assert one_hot(np.array([1, 0]), 3).shape == (2, 3), "No death cap in this basket, but there are still three classes."
assert one_hot(np.array([0]), 2, np.float32).dtype == np.float32, "The result should have the dtype that is asked for."
try:
    one_hot(np.array([-1]), 3)
except ValueError:
    pass
else:
    raise AssertionError("There is no class -1: raise ValueError (to NumPy, index -1 is the last one).")

# %% [markdown]
# ## 2. Softmax
#
# Exponentials make every logit positive, the division makes them sum to 1. Two properties to keep in mind: adding a
# number to *all* logits changes nothing, and adding $\ln 2$ to *one* doubles its odds.
#
# The first is also the rescue. `np.exp(1000)` is infinite, and infinity divided by infinity is no probability. But you
# may subtract what you like before you exponentiate: what makes the largest exponent harmless, row by row?


# %% problem="softmax"
def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    r"""Probabilities from logits: $y'_k = \exp(y_k) / \sum_j \exp(y_j)$, where j runs along `axis`.

    logits: floats of any shape; every number may be as large or small as the dtype allows, say 1000 or -1000. A class
    that is ruled out has the logit `-np.inf`, and gets probability 0; along `axis` at least one logit is finite.
    Returns the probabilities in the shape and dtype of `logits` (float32 stays float32); `logits` stays as it is.
    """
    ### BEGIN SOLUTION
    exponentials = np.exp(logits - logits.max(axis=axis, keepdims=True))  # the largest is exp(0) = 1
    return exponentials / exponentials.sum(axis=axis, keepdims=True)
    ### END SOLUTION


# %% tests="softmax"
np.testing.assert_allclose(
    softmax(np.log([1.0, 2.0, 7.0])), [0.1, 0.2, 0.7], err_msg="exp undoes the log: 1, 2 and 7 of 10 altogether."
)
np.testing.assert_allclose(
    softmax(np.array([1000.0, 1000.0])), [0.5, 0.5], err_msg="Two equal logits share the probability, however large."
)
np.testing.assert_allclose(
    softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])),
    [[1, 0], [0.5, 0.5]],
    err_msg="Each row is on its own: a large logit in one must not drown another.",
)
np.testing.assert_allclose(
    softmax(np.array([[1.0, 2.0], [1.0, 2.0]]), axis=0), 0.5, err_msg="With axis=0 each *column* sums to 1."
)

# %% picture="differences"
with picture("softmax"):
    _figure, _axes = plt.subplots(1, 4, figsize=(12, 3), layout="constrained", sharey=True)
    _y = np.array([2.0, 1.0, -1.0])
    _cases = {"$y$": _y, "$y + 1000$: the same": _y + 1000, "$3 y$: surer": 3 * _y, "$y / 3$: less sure": _y / 3}
    for _axis, (_title, _logits) in zip(_axes, _cases.items(), strict=True):
        _bars = _axis.bar(KINDS, softmax(_logits), color=COLOURS)
        _axis.bar_label(
            _bars,
            labels=[f"y = {_logit:.4g}" if abs(_logit) >= 1 else f"y = {_logit:.2f}" for _logit in _logits],
            fontsize=9,
            color="0.3",
        )
        _axis.set(title=_title, ylim=(0, 1.1))
        _axis.tick_params(axis="x", labelsize=9)
    _axes[0].set_ylabel("probability $y'$")

# %% [markdown]
# ## 3. Its logarithm
#
# The loss needs $\ln y'$. Why not simply `np.log(softmax(...))`? Because a float has a smallest number: $e^{-800}$ is
# stored as 0, and its logarithm is $-\infty$. An app that was very sure and wrong would have an infinite loss, with a
# gradient of NaN. On paper, the logarithm and the exponential cancel *before* anything becomes too small:
#
# $$\ln y'_k = y_k - \ln \sum_j \exp(y_j)$$
#
# The sum can still overflow. You know the cure.


# %% problem="log_softmax"
def log_softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    r"""Log-probabilities: $\ln y'_k = y_k - \ln \sum_j \exp(y_j)$, where j runs along `axis`.

    logits: finite floats of any shape, which may be as large or small as 1e6 or -1e6.
    Returns the natural logarithms in the shape and dtype of `logits`: accurate and finite also where the probability
    is too small for a float; `logits` stays as it is.
    """
    ### BEGIN SOLUTION
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    ### END SOLUTION


# %% tests="log_softmax"
np.testing.assert_allclose(
    log_softmax(np.array([[1.0, 3.0, -2.0]])),
    np.log(softmax(np.array([[1.0, 3.0, -2.0]]))),
    err_msg="For harmless logits it is the logarithm of softmax.",
)
np.testing.assert_allclose(
    log_softmax(np.array([0.0, -800.0])), [0, -800], err_msg="exp(-800) is no float, but its logarithm is: -800."
)
np.testing.assert_allclose(
    log_softmax(np.full((2, 4), 1e6), axis=0), -np.log(2), err_msg="Along axis 0, two equal logits: ln(1/2) each."
)

# %% [markdown]
# ## 4. Cross-entropy
#
# Now the loss itself, with all that real baskets ask for:
#
# - **Class weights** $w_k$: death caps are rare, and missing one is worse than spoiling a risotto. Their mistakes count
#   more. The *mean* is then a weighted mean: divide by the weights that you have given out, not by $N$.
# - **Ignored examples**: some mushrooms are too squashed to have a label. They carry `ignore_index` instead and must
#   not count: neither in the sum nor in the number that you divide by.
# - **Soft labels**: three experts vote, and two say porcini: $\hat y = (\frac13, \frac23, 0)$.
# - **Label smoothing** (Szegedy et al. 2016): experts err. Take a share $\varepsilon$ away from the label and spread it
#   evenly over *all* $K$ classes, the right one included:
#
# $$q_k = (1 - \varepsilon)\, \hat y_k + \frac{\varepsilon}{K} \qquad\qquad e = -\sum_k w_k\, q_k \ln y'_k$$
#
# The conventions are PyTorch's. You may call your own functions from above.


# %% problem="cross_entropy"
def cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> float | np.ndarray:
    r"""The cross-entropy of N predictions and their labels, in PyTorch's conventions.

    $$e_n = -\sum_k w_k\, q_{nk} \ln y'_{nk} \qquad q_{nk} = (1 - \varepsilon)\, \hat y_{nk} + \varepsilon / K$$

    logits: (N, K) floats, finite, as large or small as 1e6 or -1e6.
    targets: either class indices, (N,) int64, which stand for their one-hot vectors $\hat y_n$; or soft labels
        $\hat y_{nk}$, (N, K) floats, each row of which sums to 1.
    weight: the $w_k$, (K,) floats, or None for 1 everywhere.
    ignore_index: an example with this class index does not count, and its $e_n$ is 0. It may be one of the classes, or
        no class at all (-100, 255). It has no meaning for soft labels. At least one example counts.
    reduction: "none" for the N losses $e_n$, as an array of shape (N,) in the dtype of `logits`; "sum" for their sum;
        "mean" for the sum divided by
        - $\sum_n w_{c_n}$ over the examples that count, if the targets are class indices $c_n$,
        - N, if they are soft labels, whatever the weights.
    label_smoothing: $\varepsilon$, from 0 to 1. It acts on soft labels, too.
    """
    ### BEGIN SOLUTION
    n, k = logits.shape
    weight = np.ones(k, logits.dtype) if weight is None else weight
    counts, total = np.ones(n, bool), n
    if targets.ndim == 1:
        counts = targets != ignore_index
        labels = np.where(counts, targets, 0)
        total = weight[labels] @ counts
        targets = one_hot(labels, k, logits.dtype)
    smooth = (1 - label_smoothing) * targets + label_smoothing / k
    losses = np.where(counts, -(weight * smooth * log_softmax(logits)).sum(axis=1), 0).astype(logits.dtype)
    if reduction == "none":
        return losses
    return losses.sum() / (total if reduction == "mean" else 1)
    ### END SOLUTION


# %% tests="cross_entropy"
_sure, _torn = np.log([0.1, 0.2, 0.7]), np.log([0.5, 0.25, 0.25])
_logits = np.array([_sure, _torn])
np.testing.assert_allclose(
    cross_entropy(_logits, np.array([2, 0]), reduction="none"),
    [-np.log(0.7), -np.log(0.5)],
    err_msg="For a class index the loss is the surprise: minus the log of the probability of that class.",
)
np.testing.assert_allclose(
    cross_entropy(_logits, np.array([2, 0])), -np.log(0.35) / 2, err_msg="The mean over the two examples."
)
np.testing.assert_allclose(
    cross_entropy(np.array([[1000.0, -1000.0]]), np.array([1])), 2000, err_msg="Sure and wrong: large, but finite."
)
np.testing.assert_allclose(
    cross_entropy(_logits, np.array([2, 0]), weight=np.array([1.0, 1.0, 3.0])),
    (3 * -np.log(0.7) - np.log(0.5)) / 4,
    err_msg="The first example counts three times: a weighted mean divides by 3 + 1.",
)
np.testing.assert_allclose(
    cross_entropy(_logits, np.array([2, -100])), -np.log(0.7), err_msg="One example is ignored: a mean over one."
)
np.testing.assert_allclose(
    cross_entropy(_logits[1:], np.array([[0.5, 0.5, 0.0]])), 1.5 * np.log(2), err_msg="Half of ln 2, half of ln 4."
)
np.testing.assert_allclose(
    cross_entropy(_logits[1:], np.array([0]), label_smoothing=0.3),
    0.8 * np.log(2) + 0.2 * np.log(4),
    err_msg="Smoothing by 0.3 makes (0.8, 0.1, 0.1) of (1, 0, 0).",
)

# %% picture="surprise"
with picture("cross_entropy"):
    _margin = np.linspace(-6, 8, 141)
    _two = np.column_stack([_margin, np.zeros(141)])  # logits of two classes; the first is right
    _right = np.zeros(141, dtype=np.int64)
    _figure, (_left, _axis) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    _left.plot(_margin, cross_entropy(_two, _right, reduction="none"), color=BLUE, label="cross-entropy")
    _left.plot(_margin, (_margin < 0).astype(float), color=GREY, label="mistake or not")
    _left.set(title="The price of being sure and wrong grows without end", ylabel="loss")
    for _epsilon, _shade in ((0.0, 1.0), (0.1, 0.7), (0.3, 0.45)):
        _loss = cross_entropy(_two, _right, reduction="none", label_smoothing=_epsilon)
        _axis.plot(_margin, _loss, color=BLUE, alpha=_shade, label=rf"$\varepsilon$ = {_epsilon}")
        if _epsilon:
            _axis.plot(_margin[_loss.argmin()], _loss.min(), "o", color=RED, label="best" if _epsilon > 0.2 else None)
    _axis.set(title="With label smoothing, one can be too sure", ylim=(0, 3))
    for _each in (_left, _axis):
        _each.set_xlabel("logit of the right class, minus the other")
        _each.legend(frameon=False)

# %% [markdown]
# ## 5. The most beautiful gradient of the course
#
# Softmax has a Jacobian full of products, the logarithm has a $1/y'$. Put the one after the other, and nearly all of it
# cancels. Derive it once on paper, from $e = -\sum_k \hat y_k \big(y_k - \ln \sum_j \exp(y_j)\big)$:
#
# $$\frac{\partial e}{\partial y_k} = y'_k - \hat y_k$$
#
# *What was said, minus what is true.* A wrong answer is pulled with full force however sure it was, and a right one
# is left in peace. (Autograd would do this for you, so here it is not allowed. Finite differences are too slow.)


# %% problem="cross_entropy_gradient"
def cross_entropy_gradient(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    r"""The gradient of the mean cross-entropy $L = \frac1N \sum_n e_n$ for the logits, by its formula.

    $$\frac{\partial L}{\partial y_{nk}} = \frac1N\, (y'_{nk} - \hat y_{nk})$$

    logits: (N, K) floats, finite, as large or small as 1e6 or -1e6.
    targets: class indices, (N,) int64, or soft labels, (N, K) floats whose rows sum to 1.
    Returns the gradient, (N, K), in the dtype of `logits`; `logits` and `targets` stay as they are.
    """
    ### BEGIN SOLUTION
    if targets.ndim == 1:
        targets = one_hot(targets, logits.shape[1])
    return ((softmax(logits) - targets) / len(logits)).astype(logits.dtype)
    ### END SOLUTION


# %% tests="cross_entropy_gradient"
np.testing.assert_allclose(
    cross_entropy_gradient(np.log([[0.1, 0.2, 0.7]]), np.array([1])),
    [[0.1, -0.8, 0.7]],
    err_msg="Probabilities (0.1, 0.2, 0.7) and the truth (0, 1, 0): the gradient is their difference.",
)
np.testing.assert_allclose(
    cross_entropy_gradient(np.log([[0.1, 0.2, 0.7]] * 2), np.array([1, 1])),
    [[0.05, -0.4, 0.35]] * 2,
    err_msg="L is a mean: each of two examples has half a say.",
)
_logits, _soft, _step = np.array([[0.3, -1.2, 0.8]]), np.array([[0.2, 0.5, 0.3]]), 1e-5
_slopes = [
    (cross_entropy(_logits + _h, _soft) - cross_entropy(_logits - _h, _soft)) / (2 * _step) for _h in _step * np.eye(3)
]
np.testing.assert_allclose(
    cross_entropy_gradient(_logits, _soft), [_slopes], atol=1e-8, err_msg="The gradient is not the slope of your loss."
)

# %% [markdown]
# With the gradient for the logits you can train. The simplest network is linear, $y = Wx + b$: each kind of mushroom
# gets a score, and your softmax blends the scores into a map. Where the colours run into one another, the app is in
# doubt. The dots are mushrooms that were found.

# %% picture="mushroom_map"
with picture("softmax", "cross_entropy", "cross_entropy_gradient"):
    _x, _kinds = mushrooms(300, np.random.default_rng(8))
    _mean, _deviation = _x.mean(axis=0), _x.std(axis=0)

    def _inputs(features: np.ndarray) -> np.ndarray:
        """The features, normalized, and a 1 for the bias."""
        return np.insert((features - _mean) / _deviation, 2, 1.0, axis=-1)

    _grid = np.stack(np.meshgrid(np.linspace(0, 20, 161), np.linspace(0, 17, 137)), axis=-1)
    _theta, _updates = np.zeros((3, 3)), 0
    _figure, _axes = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained", sharey=True)
    for _axis, _until in zip(_axes, (1, 20, 1000), strict=True):
        while _updates < _until:
            _theta -= _inputs(_x).T @ cross_entropy_gradient(_inputs(_x) @ _theta, _kinds)
            _updates += 1
        _blend = softmax(_inputs(_grid) @ _theta) @ np.array([to_rgb(_colour) for _colour in COLOURS])
        _axis.imshow(_blend, extent=(0, 20, 0, 17), origin="lower", aspect="auto", alpha=0.75)
        for _kind, (_name, _colour) in enumerate(zip(KINDS, COLOURS, strict=True)):
            _axis.scatter(*_x[_kinds == _kind].T, s=16, color=_colour, edgecolors="black", linewidths=0.5, label=_name)
        _loss = cross_entropy(_inputs(_x) @ _theta, _kinds)
        _times = "update" if _until == 1 else "updates"
        _axis.set(
            title=f"after {_until} {_times}: $L$ = {_loss:.3f}", xlabel="cap width (cm)", xlim=(0, 20), ylim=(0, 17)
        )
    _axes[0].set_ylabel("stem height (cm)")
    _axes[0].legend(fontsize=9)

# %% [markdown]
# ## 6. Why not the squared error?
#
# It worked for regression, so why not let it compare $y'$ and $\hat y$?
#
# $$e = \sum_k (y'_k - \hat y_k)^2$$
#
# Its gradient has to pass through softmax, and softmax has a *full* Jacobian: raise one logit, and **all** other
# probabilities fall.
#
# $$\frac{\partial y'_j}{\partial y_k} = y'_j\, (\delta_{jk} - y'_k)$$
#
# ($\delta_{jk}$ is 1 if $j = k$, else 0.) Compute the gradient for the logits, and see what the factor $y'_j$ does when
# the app is sure: a probability near 0 or 1 hardly moves, *even if it is wrong*. (Again without autograd.)


# %% problem="mse_gradient_through_softmax"
def mse_gradient_through_softmax(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    r"""The gradient for the logits of the squared error between probabilities and labels, by the chain rule.

    $$L = \frac1N \sum_n \sum_k (y'_{nk} - \hat y_{nk})^2 \qquad y'_n = \text{softmax}(y_n)$$

    so the squares are summed over the K classes and averaged over the N examples.

    logits: (N, K) floats, finite, as large or small as 1e6 or -1e6.
    targets: class indices, (N,) int64, or soft labels, (N, K) floats whose rows sum to 1.
    Returns $\partial L / \partial y_{nk}$, exact, (N, K), in the dtype of `logits`; the inputs stay as they are. You may
    loop over the examples, but not over their classes: NumPy has to do the sums over k.
    """
    ### BEGIN SOLUTION
    if targets.ndim == 1:
        targets = one_hot(targets, logits.shape[1])
    p = softmax(logits)
    g = 2 * (p - targets) / len(logits)  # the gradient for the probabilities
    return (p * (g - (g * p).sum(axis=1, keepdims=True))).astype(logits.dtype)
    ### END SOLUTION


# %% tests="mse_gradient_through_softmax"
def _squared_error(logits: np.ndarray, targets: np.ndarray) -> float:
    return float(np.mean(np.sum((softmax(logits) - targets) ** 2, axis=1)))


_logits, _soft = np.array([[0.3, -1.2, 0.8], [2.0, 0.0, -1.0]]), np.array([[0.0, 1.0, 0.0], [0.2, 0.5, 0.3]])
_slopes, _step = np.zeros((2, 3)), 1e-5
for _index in np.ndindex(2, 3):
    _h = np.zeros((2, 3))
    _h[_index] = _step
    _slopes[_index] = (_squared_error(_logits + _h, _soft) - _squared_error(_logits - _h, _soft)) / (2 * _step)
_gradient = mse_gradient_through_softmax(_logits, _soft)
np.testing.assert_allclose(
    _gradient.sum(axis=1), 0, atol=1e-9, err_msg="Raising all logits together changes nothing: each row sums to 0."
)
np.testing.assert_allclose(_gradient, _slopes, atol=1e-8, err_msg="The gradient is not the slope of the squared error.")
np.testing.assert_allclose(
    mse_gradient_through_softmax(np.zeros((1, 2)), np.array([0])), [[-0.5, 0.5]], err_msg="At y' = (0.5, 0.5)."
)

# %% [markdown]
# The lecture's experiment: three classes, the first is right, and $y_3 = -1000$. Both descents start in the upper left
# corner, sure and wrong. Follow the two red paths, drawn with your own gradients.

# %% picture="error_surfaces"
with picture("softmax", "cross_entropy", "cross_entropy_gradient", "mse_gradient_through_softmax"):
    _y1, _y2 = np.meshgrid(np.linspace(-10, 10, 101), np.linspace(-10, 10, 101))
    _logits = np.stack([_y1, _y2, np.full_like(_y1, -1000.0)], axis=-1).reshape(-1, 3)
    _label = np.array([0])
    _surfaces = {
        "squared error: flat where it is wrong": (
            ((softmax(_logits) - [1, 0, 0]) ** 2).sum(axis=1),
            mse_gradient_through_softmax,
        ),
        "cross-entropy: a slope all the way": (
            cross_entropy(_logits, np.zeros(len(_logits), dtype=np.int64), reduction="none"),
            cross_entropy_gradient,
        ),
    }
    _figure, _axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", sharey=True)
    for _axis, (_title, (_loss, _descend)) in zip(_axes, _surfaces.items(), strict=True):
        _drawn = _axis.contourf(_y1, _y2, _loss.reshape(_y1.shape), levels=20, cmap="Blues")
        _figure.colorbar(_drawn, ax=_axis, label="loss $e$")
        _path = [np.array([[-7.0, 7.0, -1000.0]])]
        for _update in range(100):
            _path.append(_path[-1] - 0.5 * _descend(_path[-1], _label))
        _axis.plot(*np.concatenate(_path)[:, :2].T, ".-", color=RED, label="100 updates")
        _axis.plot(*_path[-1][0, :2], "o", color=RED, markersize=9)
        _axis.set(title=_title, xlabel="$y_1$, the right class", aspect="equal")
    _axes[0].set_ylabel("$y_2$, a wrong class")
    _axes[0].legend(loc="lower left")

# %% [markdown]
# ## 7. Edible or not
#
# With two classes one logit is enough: the difference of the two. Softmax then becomes the sigmoid
# $\sigma(z) = 1 / (1 + e^{-z})$, and the cross-entropy
#
# $$e = -\hat y \ln \sigma(z) - (1 - \hat y) \ln(1 - \sigma(z))$$
#
# Typed like that it breaks twice: $e^{-z}$ overflows, and for a sure app one of the logarithms becomes $\ln 0$.
# Rewrite it first: from $-\ln\sigma(z) = \ln(1 + e^{-z})$ and $-\ln(1 - \sigma(z)) = z + \ln(1 + e^{-z})$ to a form
# in which no exponential has a positive exponent.


# %% problem="binary_cross_entropy_with_logits"
def binary_cross_entropy_with_logits(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    r"""The binary cross-entropy of each prediction, from its logit.

    $$e = -\hat y \ln \sigma(z) - (1 - \hat y) \ln(1 - \sigma(z)) \qquad \sigma(z) = \frac{1}{1 + e^{-z}}$$

    logits: the $z$, finite floats of any shape, as large or small as 1e6 or -1e6.
    targets: the $\hat y$, from 0 to 1, of the same shape and dtype: 1 is the class that a large $z$ stands for.
    Returns one loss for each prediction (no mean, no sum), in the same shape and dtype: accurate and finite also where
    $\sigma(z)$ is too close to 0 or 1 for a float.
    """
    ### BEGIN SOLUTION
    return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits)))
    ### END SOLUTION


# %% tests="binary_cross_entropy_with_logits"
np.testing.assert_allclose(
    binary_cross_entropy_with_logits(np.array([0.0, np.log(3.0)]), np.array([1.0, 0.0])),
    [np.log(2), np.log(4)],
    err_msg="Logit 0 is a probability of 1/2; ln 3 is one of 3/4, so the truth 0 had 1/4.",
)
np.testing.assert_allclose(
    binary_cross_entropy_with_logits(np.array([1000.0, -1000.0]), np.array([0.0, 1.0])),
    [1000, 1000],
    err_msg="Sure and wrong: the loss is large, but finite.",
)
_z, _y = np.array([-2.0, 0.5, 3.0]), np.array([0, 1, 0])
np.testing.assert_allclose(
    binary_cross_entropy_with_logits(_z, _y.astype(float)),
    cross_entropy(np.column_stack([np.zeros(3), _z]), _y, reduction="none"),
    err_msg="It is the cross-entropy of two classes with the logits (0, z).",
)

# %% [markdown]
# ## 8. How good is it?
#
# No optimizer can follow the number of mistakes: it is flat nearly everywhere. So you train on the loss, and you *report*
# something else. Begin with the simplest.


# %% problem="accuracy"
def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """The share of predictions that are right, from 0 to 1.

    labels, predictions: class indices, (N,) int64, N >= 1.
    Returns a single number.
    """
    ### BEGIN SOLUTION
    return float(np.mean(labels == predictions))
    ### END SOLUTION


# %% tests="accuracy"
assert accuracy(np.array([0, 1, 2, 1]), np.array([0, 1, 1, 1])) == 0.75, "Three of four are right."
assert accuracy(np.array([2]), np.array([0])) == 0, "A single prediction, and it is wrong."

# %% [markdown]
# Of 1000 mushrooms, 30 are death caps. A friend's app has never heard of death caps: it calls them porcini. Its
# accuracy is 97 %, and the party ends in hospital. To see *which* mistakes are made, count every pair of truth and
# answer. (A trap of NumPy's: `matrix[labels, predictions] += 1` adds 1 to each place only *once*, however often the
# pair occurs.)


# %% problem="confusion_matrix"
def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """How often each class was taken for each.

    labels, predictions: class indices from 0 to K - 1, (N,) int64; num_classes: K, even if some never occur.
    Returns an array of integers of shape (K, K): entry [i, j] counts the examples of class i that were predicted to be
    of class j. So each row is a truth, and each column an answer.
    """
    ### BEGIN SOLUTION
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix
    ### END SOLUTION


# %% tests="confusion_matrix"
np.testing.assert_array_equal(
    confusion_matrix(np.array([0, 0, 2, 2, 2]), np.array([0, 0, 1, 1, 2]), 3),
    [[2, 0, 0], [0, 0, 0], [0, 2, 1]],
    err_msg="Two of class 0 are right; of class 2, two were taken for class 1: row 2, column 1.",
)
assert confusion_matrix(np.array([0]), np.array([0]), 3).shape == (3, 3), "Classes that do not occur have rows, too."

# %% [markdown]
# And if you need a *single* number that a rare class can pull down? For each class $k$ take the **precision** (of those
# that were called $k$, how many are?) and the **recall** (of those that are $k$, how many were found?), and of the two
# the harmonic mean, which is near the worse one. With true positives, false positives and false negatives:
#
# $$F_1 = \frac{2 \cdot \text{precision} \cdot \text{recall}}{\text{precision} + \text{recall}}
# = \frac{2\,TP}{2\,TP + FP + FN}$$
#
# **Macro** means: the plain mean over the classes, rare or not. Watch the empty ones. A class that exists but was never
# found has an $F_1$ of 0, as it deserves. A class that does not exist and was never claimed deserves nothing: $0/0$.


# %% problem="macro_f1"
def macro_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> float:
    r"""The unweighted mean over the classes of $F_1 = 2\,TP / (2\,TP + FP + FN)$.

    labels, predictions: class indices from 0 to K - 1, (N,) int64, N >= 1; num_classes: K.
    A class that occurs neither in `labels` nor in `predictions` is left out of the mean. One that occurs in only one of
    them has $F_1 = 0$.
    Returns a single number from 0 to 1.
    """
    ### BEGIN SOLUTION
    matrix = confusion_matrix(labels, predictions, num_classes)
    occurrences = matrix.sum(axis=0) + matrix.sum(axis=1)  # TP + FP and TP + FN
    occurs = occurrences > 0
    return float(np.mean(2 * matrix.diagonal()[occurs] / occurrences[occurs]))
    ### END SOLUTION


# %% tests="macro_f1"
_labels, _answers = np.array([0] * 6 + [1] * 2), np.array([0] * 6 + [1, 0])
np.testing.assert_allclose(
    macro_f1(_labels, _answers, 2),
    (12 / 13 + 2 / 3) / 2,
    err_msg="F1 is 12/13 for class 0 (one false positive) and 2/3 for class 1 (one missed).",
)
np.testing.assert_allclose(
    macro_f1(_labels, np.zeros(8, dtype=np.int64), 2),
    6 / 14,
    err_msg="Class 1 was never found: it counts as 0, and the mean is over both classes.",
)
np.testing.assert_allclose(
    macro_f1(_labels, _labels, 3), 1, err_msg="All is right; the third class does not occur at all."
)

# %% picture="hospital"
with picture("accuracy", "confusion_matrix", "macro_f1"):
    _truth = np.repeat([0, 1, 2], [550, 420, 30])
    _careful = _truth.copy()
    _careful[:20], _careful[550:590], _careful[-3:] = 2, 2, 1
    _apps = {"the friend's app": np.where(_truth == 2, 1, _truth), "a careful app": _careful}
    _figure, _axes = plt.subplots(1, 2, figsize=(10, 3.9), layout="constrained", sharey=True)
    for _axis, (_name, _answers) in zip(_axes, _apps.items(), strict=True):
        _matrix = confusion_matrix(_truth, _answers, 3)
        _axis.imshow(_matrix / _matrix.sum(axis=1, keepdims=True), cmap="Blues", vmax=2.4)
        for (_row, _column), _count in np.ndenumerate(_matrix):
            _deadly = _row == 2 and _column < 2 and _count
            _axis.text(_column, _row, _count, ha="center", va="center", color=RED if _deadly else "black", fontsize=13)
        _scores = f"accuracy {accuracy(_truth, _answers):.3f}, macro $F_1$ {macro_f1(_truth, _answers, 3):.3f}"
        _axis.set(title=f"{_name}\n{_scores}", xlabel="what the app says", xticks=range(3), yticks=range(3))
        _axis.set_xticklabels(KINDS)
        _axis.set_yticklabels(KINDS)
        _axis.spines[:].set_visible(False)
    _axes[0].set_ylabel("what it is")

# %% [markdown]
# ## 9. Digits through a broken camera
#
# Time for PyTorch. The data set is scikit-learn's: 1797 handwritten digits of 8 by 8 pixels, from 0 (paper) to 16 (ink).
# Your classifier will be trained and tested through a *broken camera*, which you can look at below:
#
# - its pixels arrive in a jumbled order, the same for all images: to a linear layer that makes no difference;
# - each image is a double exposure of two images of the same digit, with some grain on top;
# - the classes are renumbered: class 3 may stand for the digit 8.
#
# The hidden test uses another camera of this kind. So there is nothing to know beforehand: all that can be learned, `fit`
# has to learn from what it is given. And split before you look: an image that was trained on proves nothing.


# %%
def broken_camera(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training images and labels, then test images and labels: (1200, 64), (1200,), (597, 64), (597,)."""
    rng = np.random.default_rng(seed)
    images, digits = load_digits(return_X_y=True)
    jumble, renumber, order = rng.permutation(64), rng.permutation(10), rng.permutation(len(images))
    parts = []
    for part in (order[:1200], order[1200:]):
        partner = part.copy()
        for digit in range(10):
            same = digits[part] == digit
            partner[same] = rng.permutation(part[same])
        share = rng.uniform(0.7, 1.0, size=(len(part), 1))
        exposed = share * images[part] + (1 - share) * images[partner]
        exposed *= rng.normal(1, 0.15, size=exposed.shape)
        parts += [torch.tensor(exposed[:, jumble], dtype=torch.float32), torch.tensor(renumber[digits[part]])]
    return tuple(parts)


# %% picture="camera"
_images, _classes, _, _ = broken_camera(seed=1)
_figure, _axes = plt.subplots(2, 10, figsize=(11, 2.6), layout="constrained")
_figure.suptitle("Two images of each class: you can't read them, but they are alike", fontsize=11)
for _class in range(10):
    for _axis, _image in zip(_axes[:, _class], _images[_classes == _class], strict=False):
        _axis.imshow(_image.reshape(8, 8).numpy(), cmap="gray_r", vmin=0, vmax=16)
        _axis.set(xticks=[], yticks=[])
        _axis.spines[:].set_visible(True)
    _axes[0, _class].set_title(f"class {_class}", fontsize=10)

# %% [markdown]
# A linear layer $y = Wx + b$ is enough. Three hints from earlier lectures: features of a huge or tiny scale make the
# loss surface a ravine (7), some pixels are 0 in *all* training images (7, again), and a model that trains until it is
# sure of everything is too sure (3). The whole training should take about a second.


# %% problem="SoftmaxClassifier"
class SoftmaxClassifier(nn.Module):
    r"""A classifier of feature vectors with K classes, trained with the cross-entropy.

    A linear layer $y = Wx + b$ is enough, a deeper network is welcome. You may use all of PyTorch, such as
    `nn.Linear`, `torch.optim`, `torch.softmax` and `nn.functional.cross_entropy`, and nothing of scikit-learn. All that
    it knows of the data it learns in `fit`: it must not use any digits that the notebook or a library holds.
    """

    def __init__(self, num_features: int, num_classes: int) -> None:
        """Prepare for vectors of `num_features` numbers and K = `num_classes` classes."""
        ### BEGIN SOLUTION
        super().__init__()
        self.linear = nn.Linear(num_features, num_classes)
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("deviation", torch.ones(num_features))
        ### END SOLUTION

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The logits y, (N, K) float32, for (N, num_features) features."""
        ### BEGIN SOLUTION
        return self.linear((features - self.mean) / self.deviation)
        ### END SOLUTION

    def fit(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        """Train from scratch on the given examples, within about 2 seconds. Both tensors stay as they are.

        features: (N, num_features) float32. They may come in any unit: 0 to 16, 0 to 1, 0 to 65535. A feature may be
        the same in all examples. labels: (N,) int64 from 0 to K - 1; a class may have no example here.
        """
        ### BEGIN SOLUTION
        self.mean, deviation = features.mean(dim=0), features.std(dim=0)
        self.deviation = torch.where(deviation > 0, deviation, 1)
        self.linear.reset_parameters()
        optimizer = torch.optim.Adam(self.parameters(), lr=0.05, weight_decay=1e-3)
        for _ in range(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self(features), labels).backward()
            optimizer.step()
        ### END SOLUTION

    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """The softmax of the logits, (N, K) float32, for (N, num_features) features, N >= 1.

        On 597 unseen digits of the broken camera after 1200 for training, the mean of -ln(probability of the right
        class) must be at most 0.6.
        """
        ### BEGIN SOLUTION
        with torch.no_grad():
            return torch.softmax(self(features), dim=1)
        ### END SOLUTION

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """The most probable class, (N,) int64, for (N, num_features) features, N >= 1.

        The answer for an example depends on that example alone, and not on those that come with it. On 597 unseen
        digits of the broken camera after 1200 for training, at least 93 % must be right.
        """
        ### BEGIN SOLUTION
        return self.probabilities(features).argmax(dim=1)
        ### END SOLUTION


# %% tests="SoftmaxClassifier"
_train, _train_labels, _test, _test_labels = broken_camera(seed=1)
_classifier = SoftmaxClassifier(64, 10)
_classifier.fit(_train, _train_labels)
_answers = _classifier.predict(_test)
assert _answers.shape == (597,), f"One answer for each image: shape (597,), not {tuple(_answers.shape)}."
_share = accuracy(_test_labels.numpy(), _answers.numpy())
assert _share >= 0.93, f"{_share:.1%} of the unseen digits are right: 93 % is the goal. Is the training long enough?"
_probabilities = _classifier.probabilities(_test)
np.testing.assert_allclose(_probabilities.sum(dim=1), 1, atol=1e-5, err_msg="The probabilities of an image sum to 1.")
_loss = -_probabilities[torch.arange(597), _test_labels].log().mean()
assert _loss <= 0.6, f"The unseen labels surprise it by {_loss:.2f} on average: is it too sure of itself?"
assert _classifier.predict(_test[:1]) == _answers[0], "The answer for an image must not depend on the other images."

# %% [markdown]
# Look at the numbers that it misses, and how sure it was. (Below, the camera is repaired: the pixels are put back in
# order, so that *you* can read them.)

# %% picture="most_surprising"
with picture("SoftmaxClassifier", "confusion_matrix", "accuracy"):
    _images, _digits = (torch.tensor(_part) for _part in load_digits(return_X_y=True))
    _images = _images.float()
    _order = torch.randperm(1797, generator=torch.Generator().manual_seed(8))
    _seen, _unseen = _order[:1200], _order[1200:]
    torch.manual_seed(8)
    _classifier = SoftmaxClassifier(64, 10)
    _classifier.fit(_images[_seen], _digits[_seen])
    _probabilities, _truth = _classifier.probabilities(_images[_unseen]), _digits[_unseen]
    _answers = _classifier.predict(_images[_unseen])
    _surprise = -_probabilities[torch.arange(597), _truth].log()

    _figure = plt.figure(figsize=(12, 4.2), layout="constrained")
    _left, _right = _figure.subfigures(1, 2, width_ratios=[1, 1.5])
    _axis = _left.subplots()
    _matrix = confusion_matrix(_truth.numpy(), _answers.numpy(), 10)
    _axis.imshow(np.log1p(_matrix), cmap="Blues", vmax=9)
    for (_row, _column), _count in np.ndenumerate(_matrix):
        if _count:
            _axis.text(
                _column, _row, _count, ha="center", va="center", fontsize=9, color="black" if _row == _column else RED
            )
    _axis.set(xlabel="what it says", ylabel="what it is", xticks=range(10), yticks=range(10))
    _axis.set_title(f"597 unseen digits: {accuracy(_truth.numpy(), _answers.numpy()):.1%} right", fontsize=11)
    _right.suptitle("The ten that surprised it most", fontsize=11)
    for _axis, _worst in zip(_right.subplots(2, 5).flat, _surprise.argsort(descending=True)[:10], strict=True):
        _axis.imshow(_images[_unseen][_worst].reshape(8, 8).numpy(), cmap="gray_r")
        _said = f"says {_answers[_worst]}: {_probabilities[_worst].max():.0%}"
        _axis.set_title(f"is a {_truth[_worst]}\n{_said}", fontsize=10)
        _axis.set_axis_off()

# %% [markdown]
# ## 10. In your own words
#
# A colleague shows you an app for mushroom pickers. The network has *one* output, trained with the squared error to say 0
# for chanterelle, 1 for porcini, 2 for death cap; the answer is rounded. "98 % accuracy on 5000 mushrooms of last
# autumn," says the colleague, "and I picked the best of 40 networks by that number."
#
# (a) What is wrong with the single output, and what would you use instead?
# (b) You change to softmax but keep the squared error. Training from a bad start hardly moves. Explain with the gradient
# why, and why the cross-entropy does not have this problem.
# (c) Name two reasons to distrust the 98 %, and for each say what you would do or report instead.

# %% [markdown] answer="mushroom_app" points=5
# **Model answer.**
#
# (a) One number puts the kinds in an order with equal distances: an app in doubt between chanterelle and death cap says
# about 1, porcini, and calling a death cap "porcini" costs less than calling it "chanterelle", for no reason. With a
# one-hot vector as the label, K outputs and softmax, all kinds are equally far apart, and doubt is visible as
# probability.
#
# (b) The gradient of the squared error passes through softmax, whose Jacobian $y'_j (\delta_{jk} - y'_k)$ is close to 0
# wherever the probabilities are close to 0 or 1: also when they are sure and wrong. So far from the goal the surface is
# flat. In the gradient of the cross-entropy the logarithm's $1/y'$ cancels that factor. What is left, $y' - \hat y$, is
# largest exactly where the answer is sure and wrong.
#
# (c) First, the classes are not equally frequent: if 2 % are death caps, an app that never says "death cap" has 98 %.
# Report the confusion matrix, the recall of death caps, or the macro F1. Second, the number has been used to choose among
# 40 networks, so it is the best of 40 and too good: choose on a validation set, and test once on mushrooms that played
# no part. (Also: the mushrooms are all of one autumn, so test on another year; and accuracy says nothing about how sure
# the app is, so look at the cross-entropy or the calibration.)
#
# **Rubric**, one point each:
#
# - (a) the single number claims an order or a distance between kinds, *and* one-hot with softmax is named as the cure;
# - (b) the factor from softmax vanishes where the answer is sure, also if it is wrong;
# - (b) in the cross-entropy it cancels, and what is left is large where the answer is wrong;
# - (c) rare classes hide in the accuracy, with a better measure;
# - (c) a second reason (chosen on the test set, another season, no measure of sureness), with a remedy.

# %% [markdown]
# ## Bonus: how sure is sure?
#
# When the app says "90 %", is it right nine times out of ten? Modern networks are not: they are too sure (Guo et al.
# 2017). The cure is one number. Divide all logits by a **temperature** $T$: above 1 the probabilities get milder, below 1
# bolder, and no answer changes, as the largest logit stays the largest.
#
# Which $T$? The one under which the labels of *held-out* mushrooms are most probable. The training data can't tell: the
# network has bent itself to be right about them, so there it seems to deserve all its confidence.
#
# (One way to find it: with $\beta = 1/T$, the loss is convex in $\beta$, and its slope is a formula that you can write
# down. Or try many temperatures; but cleverly.)


# %% problem="temperature_scale"
def temperature_scale(logits: np.ndarray, labels: np.ndarray, held_out: np.ndarray) -> tuple[float, np.ndarray]:
    r"""Calibrate a classifier by the temperature that makes the held-out labels most probable (Guo et al. 2017).

    $$T = \arg\min_{0.01 \le T \le 100} \; -\sum_{n \text{ held out}} \ln \text{softmax}(y_n / T)_{c_n}$$

    logits: (N, K) float64, of all examples; labels: their classes $c_n$, (N,) int64; held_out: (N,) booleans, True for
    those that the network was not trained on, at least one.
    Returns T, to within 1 %, and the calibrated probabilities softmax(y / T) of *all* N examples, (N, K).
    """
    ### BEGIN SOLUTION
    y, c = logits[held_out], labels[held_out]
    low, high = np.log(0.01), np.log(100)
    for _ in range(60):  # bisection: the slope of the loss for 1/T is the expected logit minus the right class's
        middle = (low + high) / 2
        slope = np.sum(softmax(y / np.exp(middle)) * y) - y[np.arange(len(c)), c].sum()
        low, high = (middle, high) if slope > 0 else (low, middle)
    return float(np.exp(low)), softmax(logits / np.exp(low))
    ### END SOLUTION


# %% tests="temperature_scale"
_logits = np.array([[np.log(81.0), 0.0]] * 4)  # 81 to 1 for class 0, four times ...
_temperature, _calibrated = temperature_scale(_logits, np.array([0, 0, 0, 1]), np.ones(4, dtype=bool))
np.testing.assert_allclose(_temperature, 4, rtol=0.01, err_msg="... but it is right 3 to 1: ln 81 / 4 = ln 3.")
np.testing.assert_allclose(_calibrated, [[0.75, 0.25]] * 4, atol=0.01, err_msg="It should say what happens: 3 of 4.")
_temperature, _calibrated = temperature_scale(
    np.vstack([_logits, _logits]), np.array([0, 0, 0, 1, 0, 0, 0, 0]), np.arange(8) < 4
)
np.testing.assert_allclose(_temperature, 4, rtol=0.01, err_msg="The last four were trained on: they have no say.")
assert _calibrated.shape == (8, 2), "Calibrated probabilities are asked for all examples."

# %% picture="calibration"
with picture("softmax", "temperature_scale"):
    _rng = np.random.default_rng(3)
    _logits = _rng.normal(scale=4.5, size=(6000, 3))
    _classes = (softmax(_logits / 3).cumsum(axis=1) > _rng.random((6000, 1))).argmax(axis=1)
    _held_out = np.arange(6000) < 1000
    _temperature, _calibrated = temperature_scale(_logits, _classes, _held_out)
    _figure, _axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", sharey=True)
    for _axis, _title, _p in zip(
        _axes, ("as it comes", f"at temperature {_temperature:.2f}"), (softmax(_logits), _calibrated), strict=True
    ):
        _sure, _right = _p[~_held_out].max(axis=1), (_p.argmax(axis=1) == _classes)[~_held_out]
        _bins = np.digitize(_sure, np.linspace(1 / 3, 1, 9)[1:-1])
        _said = [_sure[_bins == _bin].mean() for _bin in range(8)]
        _was = [_right[_bins == _bin].mean() for _bin in range(8)]
        _axis.plot([0, 1], [0, 1], ":", color="black", linewidth=1, label="honest")
        _axis.vlines(_said, _said, _was, color=RED, alpha=0.4, label="too sure by")
        _axis.plot(_said, _was, "o-", color=BLUE, label="the app, on new mushrooms")
        _axis.set(title=_title, xlabel="how sure it is", xlim=(0.3, 1.02), ylim=(0.3, 1.02), aspect="equal")
    _axes[0].set_ylabel("how often it is right")
    _axes[0].legend(frameon=False)

# %% [markdown]
# ## Sources
#
# - C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna: *Rethinking the Inception Architecture for Computer Vision*,
#   CVPR 2016, arXiv:1512.00567 (label smoothing)
# - C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: *On Calibration of Modern Neural Networks*, ICML 2017, arXiv:1706.04599
#   (temperature scaling)
# - E. Alpaydin, C. Kaynak: *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998 (the data)
