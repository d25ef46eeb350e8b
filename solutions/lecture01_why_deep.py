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
# # Lectures 1-2: Why deep?
#
# A straight line is a poor model of nearly everything. This notebook builds something better, from one small part: a
# step. Steps make hills, hills make any curve, and gradient descent finds the right steps by itself. Then you fold a
# strip of paper, and see why a network should be **deep** rather than **fat**.
#
# You will be able to
# - write the sigmoid so that it survives any number, and say what it has to do with ReLU;
# - write down any piecewise linear curve as a sum of ReLUs, without training;
# - compute a loss and its gradient by hand, walk down, and read the learning rate off a loss curve;
# - run a deep ReLU network, count its parameters, and make it fold.
#
# **Time:** about three hours, and half an hour for the bonus. You need NumPy, and what a derivative is.
#
# **How it is graded**
# - Each problem comes with public tests right below it. Run them as often as you like.
# - Hidden tests then call your functions with other inputs: 100 points, and a bonus problem on top.
# - One question is answered in words and read by a person.
#
# Keep the names of functions and arguments: that is how the tests find your work. All of it is NumPy. What you are
# asked to build may not be borrowed: a finished sigmoid, `np.interp`, or automatic differentiation scores nothing.

# %% [markdown]
# ## The notation of the lecture
#
# | symbol | in code | what it is |
# |---|---|---|
# | $x^n$, $\hat y^n$ | `x`, `target` | example number $n$ of $N$: the input, and the true value (with the hat) |
# | $y^n$ | `y` | what the model says for $x^n$ |
# | $\sigma$ | `sigmoid` | the sigmoid, $\sigma(z) = 1 / (1 + e^{-z})$ |
# | $b$ | `bias` | the constant of the model |
# | $c_i$, $b_i$, $w_i$ | `c`, `b`, `w` | height, shift and steepness of step $i$ |
# | $\theta$ | `theta` | all unknown parameters, stacked into one long vector |
# | $e^n$, $L(\theta)$ | | the error of one example, and the loss: the mean of all errors |
# | $g = \nabla L(\theta)$ | `gradient` | the gradient of the loss |
# | $\eta$ | `learning_rate` | the learning rate |
# | $W$, $b$, $a$ | `weights`, `biases` | weights, biases and outputs of a layer, $a' = \sigma(b + W a)$, or ReLU for $\sigma$ |
#
# **The model** is a constant plus a sum of steps. **The loss** says how bad a $\theta$ is. **Gradient descent** walks
# downhill:
#
# $$y = b + \sum_i c_i\, \sigma(b_i + w_i x) \qquad L(\theta) = \frac1N \sum_n e^n \qquad
# \theta^{t+1} = \theta^t - \eta\, \nabla L(\theta^t)$$
#
# **What to look for.** At every picture, ask: *how many straight pieces does this curve have, and how many parameters
# paid for them?*

# %%
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100})
BLUE, ORANGE, GREEN, RED, GREY = "#3366aa", "#e07b39", "#3a8f5c", "#c43c4e", "#9a9a9a"


@contextmanager
def picture(*needs: str) -> Iterator[None]:
    """Draw with functions that may not be written yet: if one fails, say so in one sentence."""
    plt.close("all")
    try:
        yield
    except Exception:
        plt.close("all")
        print(f"This picture needs {', '.join(needs)}: solve {'it' if len(needs) == 1 else 'them'} first.")


# %% [markdown]
# ## The ridge trail
#
# A trail runs along a mountain ridge, four kilometres to either side of a hut. The map gives seven waypoints. Sixty
# hikers have sent in their position $x$ (km from the hut, west is negative) and the height $\hat y$ that their watch
# showed (in hundreds of metres), which is never quite right. No straight line looks like this.

# %%
WAYPOINTS = np.array([-4.0, -2.5, -1.0, 0.0, 1.5, 2.5, 4.0])  # km from the hut
HEIGHTS = np.array([4.0, 6.0, 5.5, 9.0, 7.0, 10.0, 6.5])  # in hundreds of metres


def hikers(number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions (in km, increasing) and the heights that watches showed there (in 100 m), each of shape (number,)."""
    position = np.sort(rng.uniform(-4, 4, size=number))
    return position, np.interp(position, WAYPOINTS, HEIGHTS) + rng.normal(scale=0.15, size=number)


def relu(z: np.ndarray) -> np.ndarray:
    """The rectified linear unit, max(0, z), element by element."""
    return np.maximum(z, 0)


position, height = hikers(60, np.random.default_rng(1))

# %% picture="the_trail"
figure, axes = plt.subplots(figsize=(8, 3.4), layout="constrained")
axes.plot(WAYPOINTS, HEIGHTS, "s-", color=GREY, label="the map: seven waypoints")
axes.scatter(position, height, s=16, color=BLUE, alpha=0.7, label="sixty hikers")
line = np.polynomial.Polynomial.fit(position, height, deg=1)
axes.plot(WAYPOINTS, line(WAYPOINTS), color=ORANGE, label="the best straight line")
axes.set(xlabel="position $x$ (km from the hut)", ylabel=r"height $\hat y$ (100 m)", title="The ridge trail")
_ = axes.legend(frameon=False)

# %% [markdown]
# ## 1. A soft step
#
# The sigmoid climbs from 0 to 1: a soft step.
#
# $$\sigma(x) = \frac{1}{1 + e^{-x}}$$
#
# As written, it has a trap. At $x = -1000$ the computer works out $e^{1000}$, which no floating-point number can hold:
# NumPy warns of an overflow. Multiply top and bottom by $e^{x}$ and the trap is gone *there*, but now it waits at
# $x = +1000$. So: which exponential can never overflow, whatever the sign of $x$? (And in float16 it all happens
# much earlier: $e^{12}$ is already too large.)


# %% problem="sigmoid"
def sigmoid(x: np.ndarray | float) -> np.ndarray | float:
    r"""The sigmoid, $\sigma(x) = 1 / (1 + e^{-x})$, element by element, for any floating-point number.

    x: an array of any shape (also empty), of dtype float16, float32 or float64; or a single number: a NumPy scalar of
        one of these dtypes, or a Python float. Values may be as large as they like, also infinite: σ(-∞) = 0, σ(∞) = 1.
    Returns values between 0 and 1, in the shape and the dtype of x, and as exact as that dtype allows (what counts is
    the absolute error). A single number gives a single number (a scalar, or an array without dimensions): of x's dtype
    for a NumPy scalar, of double precision for a Python float. No warning is shown. x is not changed.
    Use array operations: the model of Section 4 asks for thousands of values at once.
    """
    ### BEGIN SOLUTION
    e = np.exp(-np.abs(x))  # at most 1: it cannot overflow
    return np.where(np.asarray(x) >= 0, 1 / (1 + e), e / (1 + e))
    ### END SOLUTION


# %% tests="sigmoid"
assert sigmoid(0.0) == 0.5, "In the middle of the step: e^0 is 1, and 1 / (1 + 1) is one half."
values = sigmoid(np.array([-2.0, 2.0]))
assert values[0] < 0.5 < values[1], "The sigmoid climbs: look at the sign of the exponent."
np.testing.assert_allclose(values.sum(), 1, err_msg="What is missing above at x = 2 is there below at x = -2.")
np.testing.assert_allclose(values[1], 0.880797, rtol=1e-5, err_msg="1 / (1 + e^-2) is about 0.88.")
with np.errstate(all="raise", under="ignore"):  # what would be a warning is an error here
    far = sigmoid(np.array([-np.inf, -1000.0, 1000.0, np.inf]))
np.testing.assert_allclose(far, [0, 0, 1, 1], err_msg="Far out, the step is flat: 0 on the left, 1 on the right.")
assert sigmoid(np.zeros((2, 3), np.float16)).dtype == np.float16, "float16 in, float16 out."

# %% [markdown]
# ## 2. A hard step
#
# The lecture's first step is made of straight pieces: flat, then a ramp, then flat again. It is called the **hard
# sigmoid**, and the soft one is its good approximation. It can be built from two ReLUs. The first starts the climb.
# What must the second one do, and where? In code, `relu` stands ready above.


# %% problem="hard_sigmoid"
def hard_sigmoid(x: np.ndarray, start: float, end: float, height: float) -> np.ndarray:
    r"""A step made of two ReLUs: 0 up to x = start, then a straight ramp, and `height` from x = end on.

    x: positions, an array of any shape, floating point.
    start, end: where the ramp begins and ends, Python floats with start < end.
    height: what the step reaches, a Python float. Below 0 the step leads down; 0 is no step at all.
    Returns the step at each x, in the shape and the dtype of x. x is not changed.
    """
    ### BEGIN SOLUTION
    slope = height / (end - start)
    return slope * relu(x - start) - slope * relu(x - end)
    ### END SOLUTION


# %% tests="hard_sigmoid"
step = hard_sigmoid(np.array([0.0, 1.0, 2.0, 3.0, 9.0]), start=1.0, end=3.0, height=10.0)
np.testing.assert_allclose(step[:2], 0, err_msg="Up to the start, the step is flat at 0.")
np.testing.assert_allclose(step[2], 5, err_msg="Half-way up the ramp you are at half of the height.")
np.testing.assert_allclose(step[3:], 10, err_msg="From the end on, the step is flat at its height.")
step = hard_sigmoid(np.array([0.25, 2.0]), start=0.0, end=0.5, height=-4.0)
np.testing.assert_allclose(step, [-2, -4], err_msg="A step of negative height leads down.")

# %% [markdown]
# How does a soft step imitate a hard one? With the same middle and the same slope there: $\sigma$ has slope
# $\tfrac14$ at 0, so $w = 4 / (\text{end} - \text{start})$.

# %% picture="soft_and_hard"
with picture("sigmoid", "hard_sigmoid"):
    line = np.linspace(-4, 4, 400)
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for start, end, rise, color in [(-3.0, -1.0, 1.0, BLUE), (-1.0, 0.0, 2.5, GREEN), (1.0, 3.5, -1.5, ORANGE)]:
        w = 4 / (end - start)
        hard = hard_sigmoid(line, start, end, rise)
        axes.plot(line, hard, color=color, label=f"hard: from {start:g} to {end:g}, height {rise:g}")
        axes.plot(line, rise * sigmoid(w * (line - (start + end) / 2)), color=color, linestyle="--", alpha=0.7)
    axes.plot([], [], color="black", linestyle="--", alpha=0.7, label="dashed: the soft one beside it")
    axes.set(xlabel="$x$", ylabel="the step", title="Hard steps and their soft imitations")
    axes.legend(frameon=False, loc="upper left")

# %% [markdown]
# ## 3. Any piecewise linear curve, without training
#
# The trail on the map is seven waypoints joined by straight lines. Walk it from the west: at first the map is flat. At
# the first waypoint a ReLU starts to climb. At the next one the slope *changes*, so another ReLU comes in, and it has
# to add just the change, for the first goes on climbing for ever:
#
# $$y(x) = b + \sum_i c_i \max(0, x - k_i)$$
#
# Every piecewise linear curve is such a sum, and you can read off its coefficients. Watch the very left: where all
# ReLUs are still asleep, what is $y$?


# %% problem="piecewise_linear_coefficients"
def piecewise_linear_coefficients(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    r"""The ReLUs that draw a piecewise linear curve: $y(x) = b + \sum_i c_i \max(0, x - k_i)$.

    x: the positions x_0 < x_1 < ... < x_m of the corners, shape (m + 1,), float64, m at least 0.
    y: the heights y_0, ..., y_m there, shape (m + 1,), float64.
    The curve is flat, at y_0, left of x_0; it joins neighbouring points by straight lines; and right of x_m its last
    slope goes on. With m = 0 it is flat everywhere.
    Returns (bias, c, k): the number b; the m coefficients c_i; and the m kinks k_i = x_i, for i = 0, ..., m - 1.
    c and k are arrays of shape (m,), float64. Where three points lie on one line, c_i is 0 and is not left out.
    """
    ### BEGIN SOLUTION
    slopes = np.diff(y) / np.diff(x)
    return float(y[0]), np.diff(slopes, prepend=0.0), x[:-1]
    ### END SOLUTION


# %% tests="piecewise_linear_coefficients"
bias, c, k = piecewise_linear_coefficients(np.array([1.0, 2.0, 4.0]), np.array([5.0, 8.0, 8.0]))
assert bias == 5, "Left of the first point all ReLUs are 0: the curve is flat there, at the height of the first point."
np.testing.assert_allclose(k, [1, 2], err_msg="A ReLU starts at every point but the last.")
np.testing.assert_allclose(c[0], 3, err_msg="The first ReLU turns flat ground into the first slope: from 5 to 8 in 1.")
np.testing.assert_allclose(c[1], -3, err_msg="The second slope is 0: what has to be added to the first, 3?")
bias, c, k = piecewise_linear_coefficients(np.array([-1.0]), np.array([2.0]))
assert bias == 2 and len(c) == len(k) == 0, "A single point makes a flat curve: a bias, and no ReLU."

# %% [markdown]
# Left: the trail, and the ReLUs that it is made of. Some of them leave the picture, yet together they stay on the
# ridge. Right: a smooth curve is no piecewise linear curve, but with enough pieces nobody sees the difference. So one
# hidden layer can come as close to any continuous curve on an interval as you like.

# %% picture="made_of_relus"
with picture("piecewise_linear_coefficients"):
    line = np.linspace(-4.6, 4.6, 500)

    def from_relus(points: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """The curve through the points, drawn with your coefficients."""
        bias, c, k = piecewise_linear_coefficients(points, heights)
        return bias + relu(line[:, None] - k) @ c

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained")
    bias, c, k = piecewise_linear_coefficients(WAYPOINTS, HEIGHTS)
    for number, (one_c, one_k) in enumerate(zip(c, k, strict=True)):
        label = "the six ReLUs" if number == 0 else None
        left.plot(line, one_c * relu(line - one_k), color=GREY, linewidth=1, label=label)
    left.axhline(bias, color=ORANGE, linestyle=":", label="the bias")
    left.plot(line, from_relus(WAYPOINTS, HEIGHTS), color=BLUE, linewidth=2, label="all of it together")
    left.plot(WAYPOINTS, HEIGHTS, "s", color="black", markersize=5, label="the waypoints")
    left.set(xlabel="$x$ (km)", ylabel="height (100 m)", ylim=(-13, 16), title="The trail is six ReLUs and a bias")
    left.legend(frameon=False, ncols=2, loc="lower left")

    def ridge(x: np.ndarray) -> np.ndarray:
        return 7 + 2 * np.sin(1.4 * x) + np.cos(3.1 * x)

    right.plot(line, ridge(line), color="black", linewidth=3, alpha=0.25, label="a smooth ridge")
    for pieces, color in [(4, ORANGE), (8, GREEN), (24, BLUE)]:
        points = np.linspace(-4, 4, pieces + 1)
        curve = from_relus(points, ridge(points))
        inside = np.abs(line) <= 4
        miss = np.abs(curve - ridge(line))[inside].max()
        right.plot(line[inside], curve[inside], color=color, label=f"{pieces} pieces: off by up to {miss:.2f}")
    right.set(xlabel="$x$ (km)", ylim=(3, 12.8), title="Enough pieces make any curve")
    right.legend(frameon=False, ncols=2, loc="upper left")

# %% [markdown]
# ## 4. A sum of soft steps
#
# On a real trail nobody tells you the waypoints. They have to be *learned*, and for that soft steps are handy: they
# have a slope everywhere.
#
# $$y = b + \sum_i c_i\, \sigma(b_i + w_i x)$$
#
# All parameters live in one long vector $\theta = (b,\ c_1 \dots c_n,\ b_1 \dots b_n,\ w_1 \dots w_n)$. `unpack` takes
# it apart. Compute all steps at all positions at once: no loop in Python. (Which shape should $x$ have, to meet the
# $n$ steps?)


# %%
def unpack(theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """The parts of theta, shape (1 + 3n,): the number b, and the arrays c, b_i and w, of shape (n,) each."""
    c, b, w = theta[1:].reshape(3, -1)
    return theta[0], c, b, w


# %% problem="sum_of_sigmoids"
def sum_of_sigmoids(x: np.ndarray, theta: np.ndarray) -> np.ndarray:
    r"""The model: $y = b + \sum_{i=1}^n c_i\, \sigma(b_i + w_i x)$, for every x.

    x: positions, shape (N,), floating point. N may be 0.
    theta: all parameters, shape (1 + 3n,), the dtype of x: b, then all c_i, then all b_i, then all w_i. With n = 0
        there is only b, and y = b everywhere.
    Returns y, shape (N,), in the dtype of x. Neither x nor theta is changed.
    Use array operations, without a Python loop over the N positions or the n steps, here or in your `sigmoid`.
    """
    ### BEGIN SOLUTION
    bias, c, b, w = unpack(theta)
    return bias + sigmoid(b + x[:, None] * w) @ c
    ### END SOLUTION


# %% tests="sum_of_sigmoids"
y = sum_of_sigmoids(np.array([0.0, 1.0, 2.0]), np.array([5.0]))
np.testing.assert_allclose(y, [5, 5, 5], err_msg="Without steps there is only the constant b, at each of the three x.")
y = sum_of_sigmoids(np.array([3.0]), np.array([1.0, 10.0, -6.0, 2.0]))
np.testing.assert_allclose(y, [6], err_msg="b = 1, c = 10, and b_1 + w_1 x = -6 + 2 · 3 = 0, where the sigmoid is 0.5.")
y = sum_of_sigmoids(np.array([1.0, -1.0]), np.array([0.0, 2.0, 3.0, 0.0, 0.0, 50.0, -50.0]))
np.testing.assert_allclose(
    y, [2, 3], err_msg="Two steep steps: at x = 1 only the first is up, at x = -1 only the second."
)

# %% [markdown]
# The lecture's famous slide, drawn by your function: what do $w$, $b$ and $c$ do to a step?

# %% picture="three_knobs"
with picture("sigmoid", "sum_of_sigmoids"):
    line = np.linspace(-6, 6, 300)
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained", sharey=True)
    knobs = [
        ("different $w_i$: the steepness", "w", [0.5, 1.0, 4.0], lambda v: [0.0, 1.0, 0.0, v]),
        ("different $b_i$: the place", "b", [-3.0, 0.0, 3.0], lambda v: [0.0, 1.0, v, 1.0]),
        ("different $c_i$: the height", "c", [-0.5, 1.0, 1.5], lambda v: [0.0, v, 0.0, 1.0]),
    ]
    for axes, (title, name, values, parameters) in zip(panels, knobs, strict=True):
        for value, color in zip(values, [ORANGE, BLUE, GREEN], strict=True):
            label = f"${name}_i$ = {value:g}"
            axes.plot(line, sum_of_sigmoids(line, np.array(parameters(value))), color=color, label=label)
        axes.set(xlabel="$x$", title=title)
        axes.legend(frameon=False, loc="upper left")
    panels[0].set_ylabel(r"$c_i\, \sigma(b_i + w_i x)$")

# %% [markdown]
# ## 5. How bad, and which way is down?
#
# The loss is the mean error over all hikers. The lecture names two kinds of error:
#
# $$\text{MSE:}\quad e^n = (y^n - \hat y^n)^2 \qquad\qquad \text{MAE:}\quad e^n = |y^n - \hat y^n|$$
#
# For the gradient, let the chain rule run from the outside in. First ask what the loss feels when $y^n$ moves:
# $d^n = \partial L / \partial y^n$. Only here do the two losses differ. Then ask what $y^n$ feels when a parameter
# moves. One fact about the step is needed: $\sigma'(z) = \sigma(z)\,(1 - \sigma(z))$.
#
# $$\frac{\partial L}{\partial b} = \sum_n d^n \qquad \frac{\partial L}{\partial c_i} = \sum_n d^n \sigma(z_i^n) \qquad
# \frac{\partial L}{\partial b_i} = \sum_n d^n c_i\, \sigma'(z_i^n) \qquad
# \frac{\partial L}{\partial w_i} = \sum_n d^n c_i\, \sigma'(z_i^n)\, x^n$$
#
# with $z_i^n = b_i + w_i x^n$. PyTorch would do it for you. Do it once yourself, and you will know what it does.


# %% problem="loss_and_gradient"
def loss_and_gradient(
    theta: np.ndarray, x: np.ndarray, target: np.ndarray, error: Literal["mse", "mae"] = "mse"
) -> tuple[float, np.ndarray]:
    r"""The loss of `sum_of_sigmoids(x, theta)`, and its gradient by every parameter.

    $$L(\theta) = \frac1N \sum_{n=1}^N e^n, \quad e^n = (y^n - \hat y^n)^2 \text{ (mse) or } |y^n - \hat y^n|
    \text{ (mae)}$$

    theta: shape (1 + 3n,), floating point, in the order b, c_1..c_n, b_1..b_n, w_1..w_n. n may be 0.
    x, target: the x^n and the ŷ^n, shape (N,), in the dtype of theta. N is at least 1.
    error: "mse" or "mae". For "mae", an example that is met exactly (y^n = ŷ^n) adds 0 to the gradient.
    Returns (L, g): the loss, a number, and the gradient, shape (1 + 3n,): in the order and the dtype of theta.
    The derivatives are exact: the chain rule, no finite differences. Use array operations, without a Python loop over
    examples or steps. Nothing that is passed in is changed.
    """
    ### BEGIN SOLUTION
    _, c, b, w = unpack(theta)
    difference = sum_of_sigmoids(x, theta) - target
    if error == "mse":
        loss, d = np.mean(difference**2), 2 * difference / len(x)
    else:
        loss, d = np.mean(np.abs(difference)), np.sign(difference) / len(x)
    s = sigmoid(b + x[:, None] * w)  # (N, n)
    inner = d[:, None] * c * s * (1 - s)  # what the loss feels when z moves, (N, n)
    return loss, np.concatenate([d.sum(keepdims=True), d @ s, inner.sum(axis=0), x @ inner])
    ### END SOLUTION


# %% tests="loss_and_gradient"
def slopes_of_the_loss(theta: np.ndarray, error: str) -> np.ndarray:
    """The gradient on some hikers, measured: how much does the loss change when one parameter moves a little?"""
    steps = 1e-5 * np.eye(len(theta))
    losses = [
        [loss_and_gradient(theta + sign * step, position[::7], height[::7], error)[0] for step in steps]
        for sign in (1, -1)
    ]
    return (np.array(losses[0]) - np.array(losses[1])) / 2e-5


loss, gradient = loss_and_gradient(np.array([3.0]), np.zeros(2), np.array([1.0, 2.0]))
assert np.isclose(loss, 2.5), "3 instead of 1 and 2: the squared errors are 4 and 1, their mean is 2.5."
np.testing.assert_allclose(gradient, [3.0], err_msg="(3 - b)² has the slope 2 (y - ŷ): 4 and 2 here, the mean is 3.")
loss, gradient = loss_and_gradient(np.array([3.0]), np.zeros(4), np.array([1.0, 2.0, 2.0, 7.0]), error="mae")
assert np.isclose(loss, 2), "The absolute errors are 2, 1, 1 and 4: their mean is 2."
np.testing.assert_allclose(gradient, [0.5], err_msg="Three of four examples pull b down, one pulls it up: (3 - 1) / 4.")
for error in ("mse", "mae"):
    theta = np.array([6.0, 1.0, -2.0, 0.5, -1.0, 2.0, 0.7])
    gradient = loss_and_gradient(theta, position[::7], height[::7], error)[1]
    measured = slopes_of_the_loss(theta, error)
    for part, name in [
        (slice(0, 1), "b"),
        (slice(1, 3), "the c_i"),
        (slice(3, 5), "the b_i"),
        (slice(5, 7), "the w_i"),
    ]:
        message = f"{error}: the gradient for {name} is not the slope of the loss there."
        np.testing.assert_allclose(gradient[part], measured[part], rtol=1e-5, atol=1e-7, err_msg=message)

# %% [markdown]
# ## 6. Walk down
#
# The loss is a landscape too, over the space of all $\theta$. You stand in it with your eyes closed and feel the
# slope under your feet: that is the gradient, and it points *up*. Take a step the other way, feel again, and go on.
#
# Keep the whole trajectory. It is your log book: if something goes wrong, it shows when.


# %% problem="gradient_descent"
def gradient_descent(
    theta: np.ndarray, gradient: Callable[[np.ndarray], np.ndarray], learning_rate: float, steps: int
) -> np.ndarray:
    r"""Gradient descent: $\theta^{t+1} = \theta^t - \eta\, g(\theta^t)$, the start included.

    theta: the start θ^0, shape (d,), floating point. It is not changed.
    gradient: gradient(theta) gives g at any θ, in the shape and dtype of theta.
    learning_rate: η, a Python float. steps: the number of updates, at least 0.
    Returns the trajectory θ^0, θ^1, ..., θ^steps: an array of shape (steps + 1, d), in the dtype of theta.
    """
    ### BEGIN SOLUTION
    trajectory = [theta]
    for _ in range(steps):
        trajectory.append(trajectory[-1] - learning_rate * gradient(trajectory[-1]))
    return np.array(trajectory)
    ### END SOLUTION


# %% tests="gradient_descent"
begin = np.array([8.0])
path = gradient_descent(begin, lambda theta: theta, learning_rate=0.5, steps=3)
assert np.shape(path) == (4, 1), "Three updates and the start: the trajectory has four rows."
np.testing.assert_allclose(path[0], [8], err_msg="The trajectory begins with the start.")
np.testing.assert_allclose(path[1], [4], err_msg="The gradient at 8 is 8, and half of it is subtracted.")
np.testing.assert_allclose(path[2:], [[2], [1]], err_msg="Each step asks for the gradient where you are now.")
assert begin[0] == 8, "The start that was passed in has changed: work on a copy."
assert np.shape(gradient_descent(begin, lambda theta: theta, 0.5, steps=0)) == (1, 1), "No update: only the start."

# %% [markdown]
# Now everything comes together. Thirty steps start at random places, and your gradient descent moves them until the
# model follows the trail. Nobody has told it where the waypoints are.


# %%
def random_start(rng: np.random.Generator, steps: int = 30) -> np.ndarray:
    """A θ whose steps stand anywhere along the trail, shape (1 + 3 · steps,)."""
    middle, w = rng.uniform(-4, 4, size=steps), 3 * rng.choice([-1.0, 1.0], size=steps)
    return np.concatenate([[7.0], 0.5 * rng.normal(size=steps), -w * middle, w])


def learn_the_trail(start: np.ndarray, learning_rate: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The trajectory of θ, and the loss at each of its points. Where numbers grow beyond all bounds, they may."""
    with np.errstate(all="ignore"):
        path = gradient_descent(start, lambda t: loss_and_gradient(t, position, height)[1], learning_rate, steps)
        return path, np.array([loss_and_gradient(theta, position, height)[0] for theta in path])


# %% picture="learning_the_trail"
with picture("sigmoid", "sum_of_sigmoids", "loss_and_gradient", "gradient_descent"):
    path, losses = learn_the_trail(random_start(np.random.default_rng(3)), 0.05, 2000)
    line = np.linspace(-4, 4, 300)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained", width_ratios=[3, 2])
    left.scatter(position, height, s=16, color=GREY, label="the hikers")
    moments = [(0, RED), (20, ORANGE), (200, GREEN), (2000, BLUE)]
    for moment, color in moments:
        left.plot(line, sum_of_sigmoids(line, path[moment]), color=color, label=f"after {moment} updates")
        right.plot(moment + 1, losses[moment], "o", color=color, markersize=8, zorder=3)
    left.set(xlabel="$x$ (km)", ylabel="height (100 m)", title="Thirty steps learn the trail")
    left.legend(frameon=False, fontsize=9)
    right.plot(1 + np.arange(len(losses)), losses, color="black", linewidth=1)
    right.axhline(0.15**2, color=GREY, linestyle="--", label="the noise of the watches")
    right.set(xscale="log", yscale="log", xlabel="updates + 1", ylabel="loss (MSE)", title="The loss on the way")
    right.legend(frameon=False)

# %% [markdown]
# ## 7. Not local minima, but the learning rate
#
# What is the problem with gradient descent? Most people say: local minima. The lecture says: hardly ever. What
# really spoils a training run is the learning rate $\eta$, and the loss curve tells you how. There are four cases.
#
# - **diverging**: each step overshoots so far that things get worse and worse.
# - **too large**: it bounces from wall to wall. It may come down all the same, but where it lands is luck.
# - **too small**: the loss falls, but when time is up, it is still on its way.
# - **good**: it falls, and levels off.
#
# Two ends of a curve can't tell these apart: it is the *way* that counts. Here is one precise set of rules.


# %% problem="learning_rate_cases"
def learning_rate_cases(losses: np.ndarray) -> str:
    r"""What a loss curve says about the learning rate: "diverging", "too large", "too small" or "good".

    losses: L^0, ..., L^T: the loss at the start and after each of T updates, shape (T + 1,), float64, T at least 2.
        Losses may be infinite or NaN.
    Returns the first of these that is true, as a string spelled just like this:

    1. "diverging": any loss is infinite or NaN, or the last loss is larger than the first, L^T > L^0.
    2. "too large": it bounces. All the rises together are more than a quarter of the whole fall:
       sum over t of max(0, L^{t+1} - L^t)  >  (L^0 - L^T) / 4.
    3. "too small": it is still on its way. The second half of the updates brings a tenth of the whole fall, or more:
       L^h - L^T  >=  (L^0 - L^T) / 10,  with h = T // 2. (So a curve that never moves is "too small".)
    4. "good": none of these.

    Only the shape of the curve matters: the answer is the same for 1000 · losses and for losses + 1000.
    """
    ### BEGIN SOLUTION
    fall = losses[0] - losses[-1]
    if not np.isfinite(losses).all() or fall < 0:
        return "diverging"
    if np.maximum(np.diff(losses), 0).sum() > fall / 4:
        return "too large"
    half = (len(losses) - 1) // 2
    return "too small" if losses[half] - losses[-1] >= fall / 10 else "good"
    ### END SOLUTION


# %% tests="learning_rate_cases"
case = learning_rate_cases(np.array([8.0, 3.0, 1.2, 1.0, 1.0]))
assert case == "good", (
    f"It falls by 7 and has nearly all of that behind it after half of the updates: good, not {case}."
)
case = learning_rate_cases(np.array([8.0, 7.5, 7.0, 6.5, 6.0]))
assert case == "too small", f"It falls as fast in the second half as in the first: too small, not {case}."
case = learning_rate_cases(np.array([8.0, 1.0, 5.0, 1.0, 5.0, 1.0]))
assert case == "too large", f"It rises by 4, twice, and falls by 7 in all: too large, not {case}."
assert learning_rate_cases(np.array([8.0, 4.0, 2.0, 20.0])) == "diverging", "It ends higher than it began: diverging."
assert learning_rate_cases(np.array([8.0, np.nan, np.nan])) == "diverging", "NaN is what is left after an overflow."
assert learning_rate_cases(np.full(5, 3.0)) == "too small", "A curve that never moves has not got anywhere yet."

# %% [markdown]
# Left: eight random starts, one learning rate. If local minima were the problem, some of them would get stuck high up.
# Right: one start, four learning rates, judged by your function. A wrong learning rate does far more harm than bad luck.
#
# Mind the axes: both are logarithmic, so the last stretch, from 100 updates to 1000, is nine tenths of the work, and what
# still looks like a fall at the bottom is a few hundredths of the whole. And one word of caution. A curve shows only
# itself: one that levels off is "good" here, and yet another run may end lower.

# %% picture="starts_and_rates"
with picture("sigmoid", "sum_of_sigmoids", "loss_and_gradient", "gradient_descent", "learning_rate_cases"):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.2), layout="constrained", sharey=True)
    counted = 1 + np.arange(1001)
    for seed in range(8):
        _, losses = learn_the_trail(random_start(np.random.default_rng(seed)), 0.05, 1000)
        left.plot(counted, losses, color=BLUE, alpha=0.6, linewidth=1.2)
    left.set(xscale="log", yscale="log", xlabel="updates + 1", ylabel="loss (MSE)")
    left.set_title(r"Eight random starts, $\eta$ = 0.05")
    for learning_rate, color in [(0.0001, ORANGE), (0.05, BLUE), (0.15, GREEN), (0.5, RED)]:
        _, losses = learn_the_trail(random_start(np.random.default_rng(2)), learning_rate, 1000)
        label = rf"$\eta$ = {learning_rate:g}: {learning_rate_cases(losses)}"
        # What has left the picture is not drawn.
        right.plot(counted, np.where(losses < 1e6, losses, np.nan), color=color, linewidth=1.4, label=label)
    right.set(xscale="log", xlabel="updates + 1", ylim=(0.01, 1e4), title="One start, four learning rates")
    right.legend(frameon=False, loc="upper right")

# %% [markdown]
# ## 8. Stack the layers
#
# So far there is one hidden layer. Why not use its outputs as features of the next one, and those again?
#
# $$a^{1} = \max(0,\ b^1 + W^1 x) \qquad a^{2} = \max(0,\ b^2 + W^2 a^1) \qquad \dots \qquad y = b^L + W^L a^{L-1}$$
#
# Two details. The last layer has **no** ReLU: a height below sea level must be possible. And the lecture writes one
# example as a column $x$, while the examples of a batch are the *rows* of an array: each row has to be multiplied by
# $W$ all the same.


# %% problem="mlp_forward"
def mlp_forward(x: np.ndarray, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
    r"""A deep ReLU network: $a^l = \max(0, b^l + W^l a^{l-1})$ with $a^0 = x$, and no ReLU in the last layer.

    x: a batch of N examples, one in each row, shape (N, n_0), floating point.
    weights: W^1, ..., W^L, a list or tuple of L >= 1 arrays; W^l has shape (n_l, n_{l-1}): one row for each neuron.
    biases: b^1, ..., b^L, as many arrays, of shape (n_l,). All have the dtype of x.
    Returns $y = b^L + W^L a^{L-1}$ for each example, shape (N, n_L), in the dtype of x. Nothing that is passed in is
    changed.
    """
    ### BEGIN SOLUTION
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        x = relu(x @ W.T + b)
    return x @ weights[-1].T + biases[-1]
    ### END SOLUTION


# %% tests="mlp_forward"
two_rows = np.array([[1.0, 2.0], [-1.0, 0.0]])
y = mlp_forward(two_rows, [np.array([[1.0, 10.0]])], [np.array([-30.0])])
np.testing.assert_allclose(y, [[-9], [-31]], err_msg="A single layer is the last one: b + W x, and no ReLU.")
y = mlp_forward(two_rows, [np.array([[0.0, 1.0], [0.0, 0.0]]), np.eye(2)], [np.zeros(2), np.zeros(2)])
np.testing.assert_allclose(
    y, [[2, 0], [0, 0]], err_msg="The first neuron has weights (0, 1): it looks at the second x."
)
y = mlp_forward(two_rows, [np.eye(2), np.eye(2)], [np.array([0.0, -1.0]), np.array([0.0, 5.0])])
np.testing.assert_allclose(y, [[1, 6], [0, 5]], err_msg="Each neuron has its own bias, the same for all examples.")

# %% [markdown]
# ## 9. What does a network cost?
#
# Before we compare deep with fat, we need a fair price: the number of parameters. A layer that turns $n$ numbers into
# $m$ has a weight for each pair of them, and one bias for each neuron.


# %% problem="count_parameters"
def count_parameters(widths: Sequence[int]) -> int:
    """The number of parameters of a fully connected network: all its weights and all its biases.

    widths: n_0, n_1, ..., n_L: the number of inputs, then the number of neurons of every layer, the outputs last;
        L at least 1. The inputs are not neurons: they have no bias.
    Returns the total over all L layers, an int.
    """
    ### BEGIN SOLUTION
    return sum((inputs + 1) * neurons for inputs, neurons in pairwise(widths))
    ### END SOLUTION


# %% tests="count_parameters"
assert count_parameters([3, 1]) == 4, "One neuron with 3 inputs has 3 weights and a bias."
assert count_parameters([1, 30, 1]) == 91, "30 neurons with a weight and a bias each, then 30 weights and a bias."
assert count_parameters([784, 100, 100, 10]) == 89_610, (
    "78,500 in the first layer, 10,100 in the second, 1,010 in the last."
)

# %% [markdown]
# ## 10. The fattest network for your money
#
# Now the other way round. You have a budget of parameters and put all of it into *one* hidden layer. How wide can it
# be? A fraction of a neuron is no neuron, and you can't overdraw.


# %% problem="fat_width"
def fat_width(budget: int, inputs: int, outputs: int) -> int:
    """The largest width n for which the network `inputs` → n → `outputs` has at most `budget` parameters.

    budget: how many parameters it may have, biases included, at least 0. It may be used up exactly.
    inputs, outputs: at least 1.
    Returns n, an int; 0 if not even a single hidden neuron fits into the budget.
    """
    ### BEGIN SOLUTION
    return max(0, (budget - outputs) // (inputs + 1 + outputs))
    ### END SOLUTION


# %% tests="fat_width"
assert fat_width(91, 1, 1) == 30, "1 → 30 → 1 has exactly 91 parameters: a budget may be used up."
assert fat_width(93, 1, 1) == 30, "The next neuron costs 3 more, and there are 2 left."
assert fat_width(3, 1, 1) == 0, "1 → 1 → 1 costs 4 parameters: with 3, not even one hidden neuron fits."

# %% [markdown]
# ## 11. Fold the paper: deep instead of fat
#
# Take a strip of paper from 0 to 1 and fold it in the middle. Fold it again, and again. After ten folds there are 1024
# layers of paper, and you have moved your hands only ten times. One cut of the scissors now is a thousand cuts.
#
# A fold is a function: the **tent**, up from 0 to 1 on the left half and down again on the right half. It takes just
# two ReLUs. A deep network folds what is folded already: *each layer doubles the number of pieces*, while each neuron
# in a fat layer adds only *one* (Telgarsky, 2016).


# %% problem="sawtooth_network"
def sawtooth_network(depth: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    r"""Weights and biases of a ReLU network that folds [0, 1] `depth` times: a sawtooth with 2^depth straight pieces.

    The network computes $T(T(\dots T(x)))$, the tent T applied depth times, for every x in [0, 1], with
    T(x) = 2x for x <= 1/2 and T(x) = 2 - 2x for x >= 1/2.
    So it starts with 0 at x = 0, reaches 1 at $x = 2^{-depth}$, and goes on up and down between 0 and 1, all with slopes
    of $\pm 2^{depth}$. Outside [0, 1] it may do what it likes.

    depth: the number of hidden layers, at least 1. Each has exactly two neurons.
    Returns (weights, biases) as `mlp_forward` takes them, for the widths 1, 2, ..., 2, 1: two lists of depth + 1 arrays,
    float64. Which weights you choose is up to you.
    """
    ### BEGIN SOLUTION
    tent = np.array([[2.0, -4.0]])  # 2 relu(x) - 4 relu(x - 1/2)
    weights = [np.ones((2, 1)), *[np.vstack([tent, tent])] * (depth - 1), tent]
    return weights, [np.array([0.0, -0.5])] * depth + [np.zeros(1)]
    ### END SOLUTION


# %% tests="sawtooth_network"
weights, biases = sawtooth_network(1)
tent = mlp_forward(np.array([[0.0], [0.25], [0.5], [0.75], [1.0]]), weights, biases)[:, 0]
np.testing.assert_allclose(
    tent, [0, 0.5, 1, 0.5, 0], atol=1e-9, err_msg="One fold is the tent: from 0 up to 1, and down."
)
weights, biases = sawtooth_network(3)
assert [np.shape(W) for W in weights] == [(2, 1), (2, 2), (2, 2), (1, 2)], "Three hidden layers, each with two neurons."
teeth = mlp_forward(np.linspace(0, 1, 9)[:, None], weights, biases)[:, 0]
np.testing.assert_allclose(teeth[1::2], 1, err_msg="Three folds make four teeth, and each of them reaches 1.")
np.testing.assert_allclose(teeth[::2], 0, atol=1e-9, err_msg="Between its teeth the sawtooth comes down to 0.")

# %% picture="deep_against_fat"
with picture("mlp_forward", "count_parameters", "fat_width", "sawtooth_network"):
    figure = plt.figure(figsize=(12, 4.2), layout="constrained")
    (left, right) = figure.subfigures(1, 2, width_ratios=[1, 1])
    panels = left.subplots(4, 1, sharex=True, sharey=True)
    line = np.linspace(0, 1, 4097)
    for axes, depth in zip(panels, [1, 2, 3, 6], strict=True):
        axes.plot(line, mlp_forward(line[:, None], *sawtooth_network(depth))[:, 0], color=BLUE, linewidth=1)
        axes.set_yticks([0, 1])
        parameters = count_parameters([1, *[2] * depth, 1])
        axes.set_title(f"{depth} hidden layer{'s' * (depth > 1)}, {parameters} parameters", fontsize=10)
    panels[-1].set_xlabel("$x$")
    axes = right.subplots()
    depths = np.arange(1, 13)
    prices = [count_parameters([1, *[2] * int(depth), 1]) for depth in depths]
    fat = [fat_width(price, 1, 1) + 1 for price in prices]
    axes.plot(prices, 2.0**depths, "o-", color=BLUE, label="deep: the sawtooth")
    axes.plot(prices, fat, "s-", color=ORANGE, label="fat: as many pieces as one layer can have")
    axes.annotate(f"{2 ** depths[-1]:,} pieces", (prices[-1], 2.0 ** depths[-1]), (-75, -3), textcoords="offset points")
    axes.annotate(f"{fat[-1]} pieces", (prices[-1], fat[-1]), (-48, 9), textcoords="offset points")
    axes.set(xlabel="parameters", ylabel="straight pieces on [0, 1]", yscale="log", title="The same price")
    axes.legend(frameon=False)

# %% [markdown]
# ### In your own words
#
# A friend objects: "One hidden layer with enough neurons can come as close to any continuous function as I like. You
# have drawn it yourself, in Section 3. So **why deep networks, and not fat ones?**" Answer in about 150 words:
# - what is right about the objection;
# - what it overlooks, with the numbers of Section 11: what does a fat network pay for 1024 pieces, and what a deep one?
# - why fewer parameters for the same function are good news for *data*, not only for memory;
# - one honest limit: for which functions would you not expect depth to help?

# %% [markdown] answer="why_deep" points=5
# **Model answer.** The objection is right about what *can* be represented: with enough pieces, one hidden layer follows
# any continuous curve on an interval. It overlooks the price. In one layer each ReLU adds at most one kink, so 1024
# pieces take 1023 neurons, which is 1023 · 3 + 1 = 3070 parameters. A deep network uses its pieces again: each layer
# folds what the layers before have folded, and the pieces double. Ten layers of two neurons do it with 61 parameters.
# In this sense the deep network is the *smaller* model, not the larger one. For the same training loss it chooses among
# fewer functions, so it needs fewer examples, and is less prone to overfitting. But this holds for functions with such a
# structure, where the same thing happens again and again at different places or scales (speech and images are built of
# parts that are built of parts). A curve with 1024 unrelated corners has 1024 numbers to be remembered, and no depth can
# store them in 61 parameters. And that good weights exist does not mean that gradient descent finds them.
#
# **Rubric.** 1 point: one hidden layer is enough in principle. 1 point: kinks add up in a layer, but multiply over
# layers (folding). 1 point: right numbers or orders of magnitude (thousands against tens). 1 point: fewer parameters,
# so less data needed or less overfitting. 1 point: one sound limit (no structure to use again; hard to train; existence
# is not learning). Take off nothing for length or style.

# %% [markdown]
# ## Bonus: count the pieces, exactly
#
# How many straight pieces does *any* given network have on an interval? Drawing it and looking does not do: a piece may
# be a millionth wide. And counting the kinks of all neurons does not do either: a later layer may ignore one, and
# two can cancel each other.
#
# One thought leads there. Between two neighbouring kinks of the layers *before*, the input $z$ of every neuron is a
# straight line in $x$: you know all of it from its two ends. Where it changes its sign in between, a new kink is born.
# Do this layer by layer. At the end, look at which kinks the *output* still has.
#
# A hint on exactness: a float is a fraction, and `fractions.Fraction(0.1)` is exactly the number that the float `0.1`
# holds. Fractions can be added, multiplied, divided and compared without any rounding, also in NumPy arrays of
# `dtype=object`.


# %% problem="count_linear_pieces"
def count_linear_pieces(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], start: float, end: float) -> int:
    r"""How many straight pieces the graph of a ReLU network has on the interval from start to end. Exact.

    weights, biases: of a network with one input and one output, as `mlp_forward` takes them: W^1 of shape (n_1, 1),
        ..., W^L of shape (1, n_{L-1}), with L >= 1, float64. There is no ReLU in the last layer.
    start, end: floats with start < end.
    A piece is as long as the slope stays the same: where a neuron has its kink but the slope of the output is the same
    on both sides, there is no new piece. Pieces of any width count, and so does every piece that is only partly inside.
    What happens at or beyond start and end adds nothing.
    Returns the number of pieces, an int, at least 1.

    You may compute with floats: in the tests, slopes that are not equal differ by 1e-6 or more, and no piece is narrower
    than 1e-10. There are up to about a thousand pieces.
    """
    ### BEGIN SOLUTION
    exact = np.vectorize(Fraction, otypes=[object])
    weights, biases = [exact(W) for W in weights], [exact(b) for b in biases]
    x = exact([start, end])
    for layer in range(1, len(weights)):
        # Without the layers after it, it is the last one: this gives its z, before the ReLU.
        z = mlp_forward(x[:, None], weights[:layer], biases[:layer])
        left, right = z[:-1], z[1:]
        piece, neuron = np.nonzero(left * right < 0)
        left, right = left[piece, neuron], right[piece, neuron]
        zeros = x[piece] + (x[piece + 1] - x[piece]) * left / (left - right)
        x = np.unique(np.concatenate([x, zeros]))
    slopes = np.diff(mlp_forward(x[:, None], weights, biases)[:, 0]) / np.diff(x)
    return 1 + int(np.count_nonzero(slopes[1:] != slopes[:-1]))
    ### END SOLUTION


# %% tests="count_linear_pieces"
line = [np.array([[2.0]])], [np.array([1.0])]
one_relu = [np.eye(1), np.eye(1)], [np.array([-0.5]), np.zeros(1)]
assert count_linear_pieces(*line, 0.0, 1.0) == 1, "A network without a hidden layer is one straight line."
assert count_linear_pieces(*one_relu, 0.0, 1.0) == 2, "relu(x - 0.5) has one kink in [0, 1], so it has two pieces."
assert count_linear_pieces(*one_relu, 0.5, 1.0) == 1, "A kink at the very end of the interval makes no new piece."
narrow = [np.ones((2, 1)), np.array([[1.0, -1.0]])], [np.array([-0.5, -0.5000001]), np.zeros(1)]
assert count_linear_pieces(*narrow, 0.0, 1.0) == 3, "The piece in the middle is narrow, but it is one."
ignored = [np.ones((2, 1)), np.array([[1.0, 0.0]])], [np.array([-0.5, -0.7]), np.zeros(1)]
assert count_linear_pieces(*ignored, 0.0, 1.0) == 2, "The second neuron has a kink, but the output gives it no weight."
hat = [np.array([[1.0], [-1.0]]), -np.ones((1, 2)), np.eye(1)], [np.zeros(2), np.ones(1), np.zeros(1)]
assert count_linear_pieces(*hat, -2.0, 2.0) == 4, "relu(1 - |x|) is flat, goes up, down, and is flat: 4 pieces."

# %% [markdown]
# Does *every* deep network have a huge number of pieces? Count. Below, the weights are random, as they are before
# training. Deep or fat, such a network has about as many pieces as it has neurons, and often fewer (Hanin & Rolnick,
# 2019). Depth makes the sawtooth *possible*; random weights do not get there. What a network can do, and what it does,
# are two questions.

# %% picture="counted_pieces"
with picture("mlp_forward", "count_linear_pieces", "sawtooth_network"):

    def random_network(widths: Sequence[int], rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights as one would start a training with them, rounded to three digits; biases likewise."""
        shapes = [(m, n) for n, m in pairwise(widths)]
        weights = [np.round(rng.normal(scale=np.sqrt(2 / shape[1]), size=shape), 3) for shape in shapes]
        return weights, [np.round(rng.normal(scale=0.5, size=shape[0]), 3) for shape in shapes]

    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    rng = np.random.default_rng(2)
    neurons = [4, 8, 16, 32]
    for name, color, marker, widths in [
        ("fat: one random layer", ORANGE, "s", lambda n: [1, n, 1]),
        ("deep: random layers of four neurons", GREEN, "o", lambda n: [1, *[4] * (n // 4), 1]),
    ]:
        counts = [[count_linear_pieces(*random_network(widths(n), rng), -3.0, 3.0) for _ in range(8)] for n in neurons]
        axes.plot(neurons, np.mean(counts, axis=1), color=color, marker=marker, label=name + " (mean of 8)")
        axes.plot(neurons, counts, ".", color=color, alpha=0.35)
    folds = [1, 2, 4, 6, 8]
    counts = [count_linear_pieces(*sawtooth_network(depth), 0.0, 1.0) for depth in folds]
    axes.plot([2 * depth for depth in folds], counts, "^-", color=BLUE, label="deep: the sawtooth, two neurons a layer")
    axes.set(xscale="log", yscale="log", xlabel="hidden neurons", ylabel="straight pieces", title="Counted exactly")
    axes.set_xticks([2, 4, 8, 16, 32], labels=["2", "4", "8", "16", "32"])
    axes.minorticks_off()
    axes.legend(frameon=False, loc="upper left")

# %% [markdown]
# ## What you have built
#
# A step, a sum of steps, its gradient, and a walk that learned a trail; then a network that folds. You know the two
# questions to ask of any model: what could it be at best, and does training get there? Lecture 3 turns them into
# a flow chart.
#
# ### Sources
#
# - M. Telgarsky: *Benefits of depth in neural networks*, COLT 2016, arXiv:1602.04485 (the sawtooth)
# - B. Hanin, D. Rolnick: *Complexity of Linear Regions in Deep Networks*, ICML 2019, arXiv:1901.09021 (random networks)
