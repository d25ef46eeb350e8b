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
# # Lecture 5: Batch and momentum
#
# Gradient descent asks the whole data set for directions before each single step. This notebook is about two
# ideas that made training practical. **Batch**: ask only a few examples, and step at once. **Momentum**: remember
# where you were going. You will build both, measure what they do, and finish with an optimizer that can train any
# PyTorch model.
#
# You will be able to
# - cut a data set into mini-batches and train with them, epoch after epoch;
# - say in numbers how noisy a mini-batch is, and what that noise may be good for;
# - write momentum as a recursion, as a weighted sum, and as a `torch.optim.Optimizer`.
#
# **Time:** about three hours. You need NumPy, a little PyTorch, and the lectures up to 4.
#
# **How it is graded**
# - Each problem comes with public tests right below it. Run them as often as you like.
# - Hidden tests then call your functions with other inputs: 100 points, and a bonus problem on top.
# - One question is answered in words and read by a person.
#
# Keep the names of functions and arguments: that is how the tests find your work.

# %% [markdown]
# ## The notation of the lecture
#
# | symbol | in code | what it is |
# |---|---|---|
# | $\theta^t$ | `theta` | the parameters after $t$ updates |
# | $g^t$ | `gradient` | the gradient of the loss at $\theta^t$, averaged over the batch |
# | $\eta$ | `learning_rate` | the learning rate |
# | $N$, $B$ | `n_examples`, `batch_size` | how many examples there are, and how many are in a batch |
# | $m^t$ | `movement` | the movement that led to $\theta^t$, with $m^0 = 0$ |
# | $\lambda$ | `momentum` | how much of the last movement is kept, from 0 up to 1 |
#
# **An update** uses one batch to change the parameters once. **An epoch** sees all batches once, and the examples
# are shuffled after each epoch:
#
# $$\theta^{t+1} = \theta^t - \eta g^t, \qquad g^t = \frac{1}{B} \sum_{n \in \text{batch}} \nabla L_n(\theta^t)$$
#
# **Momentum** makes each movement a weighted sum of all the gradients so far:
#
# $$m^{t+1} = \lambda m^t - \eta g^t, \qquad \theta^{t+1} = \theta^t + m^{t+1}$$
#
# While you work, keep two questions in mind. *What does an update cost, and what does it buy? And what does the
# optimizer remember?*

# %%
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch

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
# ## One hundred summer evenings
#
# Crickets chirp faster when it is warm, so regularly that you can tell the temperature by counting. On a hundred
# evenings you noted the temperature $x$ (in tens of °C) and the chirps per second $y$. The model is a straight
# line, $\theta_0 + \theta_1 x$, and the loss of one evening is its squared error. Small as it is, this problem has
# what makes big ones hard. Its loss surface is a **ravine**: steep across, nearly flat along.


# %%
def summer_evenings(n_examples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Temperatures in tens of degrees Celsius and chirps per second, each of shape (n_examples,)."""
    temperature = rng.uniform(1.0, 3.0, size=n_examples)
    chirps = -0.5 + 1.17 * temperature + rng.normal(scale=0.2, size=n_examples)
    return temperature, chirps


def example_losses(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The squared error of each example, shape (N,)."""
    return (theta[0] + theta[1] * x - y) ** 2


def example_gradients(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of each example's squared error: one row per example, shape (N, 2)."""
    error = theta[0] + theta[1] * x - y
    return 2 * error[:, None] * np.stack([np.ones_like(x), x], axis=1)


temperature, chirps = summer_evenings(100, np.random.default_rng(5))
START = np.array([1.5, 1.3])


def cricket_loss(theta: np.ndarray) -> float:
    """The mean squared error over all evenings."""
    return float(example_losses(theta, temperature, chirps).mean())


def cricket_gradient(theta: np.ndarray) -> np.ndarray:
    """The gradient of the mean squared error over all evenings, shape (2,)."""
    return example_gradients(theta, temperature, chirps).mean(axis=0)


BEST = np.polynomial.Polynomial.fit(temperature, chirps, deg=1).convert().coef


def draw_ravine(axes: plt.Axes) -> None:
    """The loss surface of the crickets, as contour lines, with its minimum."""
    theta = np.meshgrid(np.linspace(-1.6, 2.4, 90), np.linspace(-0.7, 2.0, 90))
    surface = example_losses([part[..., None] for part in theta], temperature, chirps).mean(axis=-1)
    axes.contour(*theta, surface, levels=np.geomspace(0.05, 25, 12), colors="0.82", linewidths=0.9)
    axes.plot(*BEST, marker="*", markersize=13, color="black", linestyle="none", zorder=5)
    axes.set(xlabel=r"intercept $\theta_0$", ylabel=r"slope $\theta_1$", xlim=(-1.6, 2.4), ylim=(-0.7, 2.0))


# %% picture="the_ravine"
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.scatter(temperature, chirps, s=14, color=BLUE, alpha=0.7)
left.plot([1, 3], BEST[0] + BEST[1] * np.array([1, 3]), color="black")
left.set(xlabel="temperature (tens of °C)", ylabel="chirps per second", title="The evenings")
right.set_title("The ravine: the loss of every straight line")
draw_ravine(right)

# %% [markdown]
# ## 1. How many updates fit in an epoch?
#
# Twenty examples in one batch: one look at everything, one update. Twenty examples in batches of one: the same
# look at everything, twenty updates. And what if the batches do not fit evenly? No evening is thrown away: the
# examples that are left over make a last, shorter batch.


# %% problem="updates_per_epoch"
def updates_per_epoch(n_examples: int, batch_size: int) -> int:
    """The number of updates in one epoch: one for each batch, a shorter last batch included.

    n_examples: N, the number of training examples, at least 1.
    batch_size: B, the number of examples in a batch, at least 1. May be larger than N.
    Returns the smallest whole number of batches that holds all N examples, as an `int`.
    """
    ### BEGIN SOLUTION
    return (n_examples + batch_size - 1) // batch_size
    ### END SOLUTION


# %% tests="updates_per_epoch"
assert updates_per_epoch(20, batch_size=20) == 1, "One batch that holds everything is one update."
assert updates_per_epoch(20, batch_size=1) == 20, "With batches of one example there is an update for each example."
assert updates_per_epoch(7, batch_size=3) == 3, "7 examples in batches of 3: where does the last example go?"

# %% [markdown]
# ## 2. Deal the cards
#
# A mini-batch is a hand of cards. **Shuffle** the deck, deal it out $B$ cards at a time, and stop when the deck
# is empty: nobody gets a card twice, and no card stays on the table. There is one thing to watch. Each temperature
# belongs to its chirps, so the two columns have to be shuffled *together*.


# %% problem="minibatches"
def minibatches(
    x: np.ndarray, y: np.ndarray, batch_size: int, rng: np.random.Generator
) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """One epoch: pairs (x_batch, y_batch) that together hold every example exactly once, in random order.

    x: shape (N, ...), any dtype. y: shape (N, ...), any dtype. x[n] and y[n] belong together. N is at least 1.
    batch_size: B, at least 1. Every batch has B examples, but for the last, which has what is left over.
    rng: the only source of randomness, so that an equally seeded `rng` gives the same batches again.
    Returns a list or an iterator. The batches keep the dtypes of x and y and the shape of an example;
    x and y themselves stay as they were, also after the batches have been read.
    """
    ### BEGIN SOLUTION
    order = rng.permutation(len(x))
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        yield x[batch], y[batch]
    ### END SOLUTION


# %% tests="minibatches"
x, y = np.arange(7), 10 * np.arange(7)
batches = list(minibatches(x, y, batch_size=3, rng=np.random.default_rng(0)))
assert [len(x_batch) for x_batch, _ in batches] == [3, 3, 1], "7 examples in batches of 3 are batches of 3, 3 and 1."
assert sorted(int(n) for x_batch, _ in batches for n in x_batch) == list(range(7)), "Deal every example exactly once."
for x_batch, y_batch in batches:
    np.testing.assert_array_equal(y_batch, 10 * x_batch, "Here y is 10 x: an x was given the y of another example.")

x, y = np.arange(60), np.arange(60)
rng = np.random.default_rng(0)
first, second = (np.concatenate([x_batch for x_batch, _ in minibatches(x, y, 8, rng)]) for _ in range(2))
assert not np.array_equal(first, np.arange(60)), "The examples came in their old order: shuffle them."
assert not np.array_equal(first, second), "Two epochs came in the same order: take your randomness from rng."

# %% [markdown]
# ## 3. Stochastic gradient descent
#
# Now walk. Each batch gives one update, and each epoch is dealt anew. Your function is handed `deal`, a function
# that deals the batches of one fresh epoch whenever it is called; it does not care who wrote `minibatches`.
#
# Note what the gradient of a *batch* is: the **mean** of its examples' gradients. Then a batch of 100 takes a step
# as long as a batch of 10 does, and the learning rate means the same for both.


# %% problem="sgd_epochs"
def sgd_epochs(
    theta: np.ndarray,
    deal: Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]],
    gradients: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    learning_rate: float,
    epochs: int,
) -> np.ndarray:
    """Stochastic gradient descent: θ^{t+1} = θ^t - η g^t, with g^t the mean gradient over one batch.

    theta: the start θ^0, shape (d,), floating point. It is not changed.
    deal: deal() deals one freshly shuffled epoch: an iterable of pairs (x_batch, y_batch), which can be read once.
        Call it once at the beginning of each epoch.
    gradients: gradients(theta, x_batch, y_batch) gives one row per example of the batch, shape (B, d).
    learning_rate: η. epochs: the number of epochs, at least 0.
    Returns the history of θ, shape (updates + 1, d), dtype of theta: the start, then θ after each update.
    """
    ### BEGIN SOLUTION
    history = [theta]
    for _ in range(epochs):
        for x, y in deal():
            theta = theta - learning_rate * gradients(theta, x, y).mean(axis=0)
            history.append(theta)
    return np.array(history)
    ### END SOLUTION


# %% tests="sgd_epochs"
def gradients_of_mean(theta, x, y):
    """Each example pulls theta towards its own x: the loss of an example is (theta - x)^2 / 2."""
    return theta - x[:, None]


def deal_two_batches():
    return iter([(np.array([1.0, 3.0]), np.zeros(2)), (np.array([5.0]), np.zeros(1))])


path = sgd_epochs(np.array([0.0]), deal_two_batches, gradients_of_mean, learning_rate=0.5, epochs=1)
assert np.shape(path) == (3, 1), "Two batches make two updates: with the start, the history has three rows."
np.testing.assert_allclose(path[0], [0.0], err_msg="The history begins with the start, theta before any update.")
np.testing.assert_allclose(path[1], [1.0], err_msg="Batch (1, 3) pulls from 0 towards its mean 2: half-way is 1.")
np.testing.assert_allclose(path[2], [3.0], err_msg="The next batch (5) pulls from where you are now, 1: half-way is 3.")
path = sgd_epochs(np.array([0.0]), deal_two_batches, gradients_of_mean, learning_rate=0.5, epochs=4)
assert np.shape(path) == (9, 1), "Every epoch needs newly dealt batches: the old ones have been read."

# %% [markdown]
# Here are three walkers, each with **five epochs**. All of them have seen every evening five times. Look for two
# things: how straight the path is, and how far it got.


# %%
def train_crickets(batch_size: int, epochs: int) -> np.ndarray:
    """Your SGD on your mini-batches of evenings: the history of theta, shape (updates + 1, 2)."""
    rng = np.random.default_rng(1)
    return sgd_epochs(START, lambda: minibatches(temperature, chirps, batch_size, rng), example_gradients, 0.05, epochs)


# %% picture="three_walkers"
with picture("minibatches", "sgd_epochs"):
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained", sharey=True)
    for axes, batch_size, color in zip(panels, [1, 10, 100], [ORANGE, GREEN, BLUE], strict=True):
        path = train_crickets(batch_size, epochs=5)
        draw_ravine(axes)
        axes.plot(*path.T, color=color, linewidth=1, marker=".", markersize=4)
        axes.set_title(f"B = {batch_size}: {len(path) - 1} updates in 5 epochs")
        axes.label_outer()

# %% [markdown]
# ## 4. A fair race
#
# Which batch size is better? It depends on what you count. **Per update** the large batch wins, for its gradient
# is cleaner. **Per example seen** the small batch wins: it has long moved on while the large batch is still reading.
# (Per *second* is a third axis. Parallel hardware computes the gradients of a large batch at once, so an update
# with 1000 examples takes hardly longer than with 1, and a large batch can finish an epoch far sooner.)
#
# A fair comparison draws the same loss against both axes. Build the curves.


# %%
class Curve(NamedTuple):
    """The loss along one training run: three arrays of shape (updates + 1,), from the start on."""

    updates: np.ndarray  # how many updates had been made: whole numbers
    examples: np.ndarray  # how many examples had been seen: whole numbers
    losses: np.ndarray  # the loss at that point


# %% problem="compare_batches"
def compare_batches(
    batch_sizes: Sequence[int],
    n_examples: int,
    train: Callable[[int], np.ndarray],
    loss: Callable[[np.ndarray], float],
) -> list[Curve]:
    """The loss against updates and against examples seen: one Curve for each batch size, in the order given.

    batch_sizes: the batch sizes B to compare; B may be larger than N.
    n_examples: N. An epoch of batches of B has a shorter last batch where B does not divide N.
    train: train(B) gives the history of θ over whole epochs, shape (updates + 1, d), the start included.
        Call it once for each batch size.
    loss: loss(theta) is the loss over all examples, for one theta of shape (d,).
    """
    ### BEGIN SOLUTION
    curves = []
    for batch_size in batch_sizes:
        history = train(batch_size)
        updates = np.arange(len(history))
        epochs, batches = np.divmod(updates, updates_per_epoch(n_examples, batch_size))
        examples = epochs * n_examples + batches * batch_size
        curves.append(Curve(updates, examples, np.array([loss(theta) for theta in history])))
    return curves
    ### END SOLUTION


# %% tests="compare_batches"
curves = compare_batches([2, 4], 4, lambda size: np.arange(4 // size + 1.0)[:, None], lambda theta: 10 * theta[0])
assert len(curves) == 2, "There is one curve for each batch size."
small, large = curves
np.testing.assert_array_equal(small[0], [0, 1, 2], "The first axis counts updates, from 0 at the start.")
np.testing.assert_array_equal(small[1], [0, 2, 4], "The second axis counts examples: each update here has seen 2 more.")
np.testing.assert_array_equal(large[1], [0, 4], "One update with all 4 examples has seen 4 examples.")
np.testing.assert_allclose(small[2], [0, 10, 20], err_msg="The losses are loss(theta) all along the history.")
curves = compare_batches([2], 3, lambda size: np.zeros((5, 1)), lambda theta: 0.0)
assert curves[0][1][-1] == 6, "Two epochs over 3 examples have seen 6 examples, however they were dealt."

# %% picture="a_fair_race"
with picture("updates_per_epoch", "minibatches", "sgd_epochs", "compare_batches"):

    def train_300_updates(batch_size: int) -> np.ndarray:
        """The history of whole epochs, with 300 updates or a few more."""
        return train_crickets(batch_size, epochs=1 + 299 // updates_per_epoch(100, batch_size))

    figure, panels = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
    curves = compare_batches([8, 100], 100, train_300_updates, cricket_loss)
    for (updates, examples, losses), name, color in zip(curves, ["B = 8", "B = 100"], [ORANGE, BLUE], strict=True):
        for axes, count in zip(panels, [updates, examples], strict=True):
            axes.plot(count[1:], losses[1:], color=color, label=name, linewidth=1.4)
    panels[0].set(xlabel="updates", ylabel="loss", yscale="log", title="Per update: the large batch is smoother")
    panels[1].set(xlabel="examples seen", xscale="log", title="Per example: the small batch is far ahead")
    panels[0].legend(frameon=False)

# %% [markdown]
# ## 5. How noisy is a mini-batch?
#
# Ask five neighbours about an election: the answer is noisy. Ask the whole town: it is exact. In between there is
# a law. Call the gradient of all $N$ examples $g$, and that of a batch $g_B$. If a batch were drawn *with*
# replacement, the noise would fall as $1/B$. But cards are dealt *without* replacement, and whoever has seen nearly
# the whole deck has little left to be surprised by. So one more factor comes in:
#
# $$\mathbb{E} \lVert g_B - g \rVert^2 = \frac{1}{B} \cdot \frac{N - B}{N - 1} \cdot \sigma^2, \qquad
#   \sigma^2 = \frac{1}{N} \sum_{n=1}^{N} \lVert g_n - g \rVert^2$$
#
# Check the two ends in your head before you code: what should come out at $B = 1$, and what at $B = N$?


# %% problem="gradient_noise"
def gradient_noise(example_gradients: np.ndarray, batch_size: int) -> float:
    """The variance of the mini-batch gradient: the mean of ||g_B - g||² over all batches of B different examples.

    example_gradients: one row g_n per example, shape (N, d), N at least 2. g is the mean of all rows, and
        g_B the mean of the B rows of a batch. ||.||² sums the squares over the d parameters.
    batch_size: B, from 1 to N.
    Returns the exact number, not an estimate from sampled batches.
    """
    ### BEGIN SOLUTION
    n_examples = len(example_gradients)
    sigma_squared = example_gradients.var(axis=0).sum()
    return sigma_squared / batch_size * (n_examples - batch_size) / (n_examples - 1)
    ### END SOLUTION


# %% tests="gradient_noise"
pulls = np.array([[0.0], [0.0], [6.0], [6.0]])
assert np.isclose(gradient_noise(pulls, 1), 9), "Here g = 3, and each example alone misses it by 3: squared, 9."
assert np.isclose(gradient_noise(pulls, 2), 3), "Of the 6 pairs of examples, 4 hit g = 3 and 2 miss it by 3."
assert np.isclose(gradient_noise(pulls, 4), 0), "The batch of all examples is no sample: it makes no noise."
assert np.ndim(gradient_noise(np.eye(3), 1)) == 0, "Sum over the parameters: the answer is a single number."

# %% [markdown]
# Does your law hold for the batches that you deal? The dots below are measured: a thousand epochs are dealt, and
# the first batch of each is compared with the full gradient. The line is your formula.

# %% picture="the_law_of_noise"
with picture("minibatches", "gradient_noise"):
    rng = np.random.default_rng(3)
    rows = example_gradients(START, temperature, chirps)
    sizes = np.array([1, 2, 4, 8, 16, 32, 64, 90])
    measured = []
    for size in sizes:
        dealt = [next(iter(minibatches(rows, rows, int(size), rng)))[0].mean(axis=0) for _ in range(1000)]
        measured.append(np.sum((np.array(dealt) - rows.mean(axis=0)) ** 2, axis=1).mean())
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    every = np.arange(1, 100)
    axes.plot(every, gradient_noise(rows, 1) / every, color=GREY, linestyle="--", label="1/B, with replacement")
    axes.plot(every, [gradient_noise(rows, int(size)) for size in every], color=BLUE, label="your law")
    axes.plot(sizes, measured, "o", color=ORANGE, label="1000 dealt batches")
    axes.set(xscale="log", yscale="log", xlabel="batch size B", ylabel="variance of the batch gradient")
    axes.set_title("The noise of a mini-batch")
    axes.legend(frameon=False)

# %% [markdown]
# ## 6. Flat valleys and sharp canyons
#
# Noise sounds like a nuisance, and yet small batches often end in *better* places. One explanation: not all minima
# are alike. In a wide, flat valley you may stray a little and the loss hardly rises; in a canyon, one step aside
# and you hit the wall. The loss on test data is a slightly shifted copy of the training loss. So the valley stays
# good, and the canyon turns bad. A noisy walker is thrown out of canyons, but not out of valleys.
#
# To tell the two apart, walk to points $u_k$ of a ball around $\theta$ and to their mirror images, and take the
# mean **rise** of the loss:
#
# $$F(\theta) = \frac{1}{K} \sum_{k=1}^{K} \frac{L(\theta + r u_k) + L(\theta - r u_k)}{2} - L(\theta)$$
#
# Why both sides? On a slope one side goes up as much as the other goes down. With the mirror image the slope
# cancels, and what remains is curvature.


# %%
def unit_ball(n_points: int, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Points spread evenly over the ball of radius 1, shape (n_points, dimensions)."""
    direction = rng.normal(size=(n_points, dimensions))
    distance = rng.uniform(size=(n_points, 1)) ** (1 / dimensions)
    return distance * direction / np.linalg.norm(direction, axis=1, keepdims=True)


# %% problem="flatness"
def flatness(loss: Callable[[np.ndarray], float], theta: np.ndarray, radius: float, unit_offsets: np.ndarray) -> float:
    """The mean rise of the loss within a radius of θ: F(θ) = mean over k of (L(θ + r u_k) + L(θ - r u_k)) / 2 - L(θ).

    loss: loss(theta) gives L for one theta of shape (d,).
    theta: shape (d,). radius: r, at least 0, in the units of theta.
    unit_offsets: the u_k, shape (K, d), points anywhere in the ball of radius 1: used as they are.
    Returns a number near 0 in a flat place, large in a sharp minimum, negative on a hilltop.
    """
    ### BEGIN SOLUTION
    around = [loss(theta + sign * radius * offset) for offset in unit_offsets for sign in (1, -1)]
    return float(np.mean(around) - loss(theta))
    ### END SOLUTION


# %% tests="flatness"
def bowl(theta):
    return 3.0 * float(np.sum(theta**2))


rim, half_way = np.array([[1.0]]), np.array([[0.5]])
assert np.isclose(flatness(bowl, np.zeros(1), 2.0, rim), 12), "2 from the middle of 3 theta^2, the loss is 12 higher."
assert np.isclose(flatness(bowl, np.zeros(1), 2.0, half_way), 3), "Offset 0.5 with radius 2 is a walk of length 1."
assert np.isclose(flatness(bowl, np.ones(1), 1.0, rim), 3), "On the slope at 1: one side rises by 9, one falls by 3."

# %% picture="valley_and_canyon"
with picture("flatness"):

    def two_minima(theta: np.ndarray) -> float:
        """A valley at -1.5 and a canyon at 1.5, equally deep."""
        return 1 - np.exp(-((theta[0] + 1.5) ** 2)) - np.exp(-(((theta[0] - 1.5) / 0.25) ** 2))

    line = np.linspace(-3.5, 3, 400)
    train_loss = np.array([two_minima([t]) for t in line])
    test_loss = np.array([two_minima([t - 0.2]) for t in line])
    offsets = unit_ball(200, 1, np.random.default_rng(4))
    radii = np.linspace(0, 0.8, 30)

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    left.plot(line, train_loss, color="black", label="training loss")
    left.plot(line, test_loss, color=GREY, linestyle="--", label="test loss: a little shifted")
    for minimum, name, color in [(-1.5, "valley", GREEN), (1.5, "canyon", RED)]:
        rise = [flatness(two_minima, np.array([minimum]), radius, offsets) for radius in radii]
        left.plot([minimum] * 2, [two_minima([minimum]), two_minima([minimum - 0.2])], "o-", color=color)
        left.annotate(name, (minimum, -0.12), ha="center", color=color)
        right.plot(radii, rise, color=color, label=name)
    left.set(xlabel=r"$\theta$", ylabel="loss", ylim=(-0.2, 1.35), title="Equally deep, not equally good")
    left.legend(frameon=False, loc="upper center", ncols=2)
    right.set(xlabel="radius $r$", ylabel=r"mean rise of the loss $F(\theta)$", title="Your measure tells them apart")
    right.legend(frameon=False)

# %% [markdown]
# ### In your own words
#
# *Why does noise improve optimization?* In about 150 words, explain to a friend who knows what a derivative is, but
# nothing about machine learning:
# - where the noise of a mini-batch comes from, and how the batch size sets it;
# - two different ways in which this noise can help;
# - why the lecture calls the story of valleys and canyons "just an explanation": what would speak against it, or
#   what would you measure to test it?

# %% [markdown] answer="why_noise" points=5
# **Model answer.** The gradient of a batch is an average over a few randomly chosen examples. It points the right
# way on average, but misses by a random amount, whose variance falls about as $1/B$ and reaches zero when the batch
# is the whole data set. This can help in two ways. First, in *training*: where the full loss has a critical point,
# its gradient is zero and gradient descent stops; the loss of the next batch is a different surface, whose gradient
# there is usually not zero, so the walk goes on. Second, in *generalization*: a sharp minimum is left at the
# smallest push while a flat one holds the walker, so noisy training tends to end in flat places, and there a small
# shift between training and test loss costs little. It is only an explanation: the same function can be written
# with other parameters (scale one layer up and the next one down), which makes a minimum look sharper and changes
# no prediction; and large batches with a tuned learning rate can close much of the gap. A test: train with several
# batch sizes to the same training loss, measure flatness and test loss over many seeds, and see whether they go
# together.
#
# **Rubric.** 1 point: noise comes from a random sample of examples, right on average. 1 point: larger batches, less
# noise (about $1/B$; none at $B = N$). 1 point: leaves saddle points or poor minima, because each batch has its own
# loss surface. 1 point: flat minima suffer less from the shift between training and test. 1 point: one sound
# objection, or an experiment that could turn out either way. Take off nothing for length or style.

# %% [markdown]
# ## 7. A heavy ball
#
# Gradient descent has no memory. In a ravine it bounces from wall to wall and creeps along the floor; in a hollow
# half-way down the hill it stops for good. A heavy **ball** does neither. Sideways pushes cancel, pushes along
# the floor add up, and its momentum carries it through the hollow.
#
# The movement is a mixture of *the last movement* and *the way down*:
#
# $$m^{t+1} = \lambda m^t - \eta g^t, \qquad \theta^{t+1} = \theta^t + m^{t+1}$$


# %% problem="momentum_step"
def momentum_step(
    theta: np.ndarray, movement: np.ndarray, gradient: np.ndarray, learning_rate: float, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    """One update with momentum: m^{t+1} = λ m^t - η g^t, then θ^{t+1} = θ^t + m^{t+1}.

    theta, movement, gradient: θ^t, m^t and g^t, all of one shape (any) and one floating dtype. They are not changed.
    learning_rate: η. momentum: λ, from 0 up to 1.
    Returns the new (theta, movement), in this order: new arrays of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    movement = momentum * movement - learning_rate * gradient
    return theta + movement, movement
    ### END SOLUTION


# %% tests="momentum_step"
theta, movement = momentum_step(np.array([1.0]), np.array([0.0]), np.array([2.0]), learning_rate=0.5, momentum=0.9)
np.testing.assert_allclose(movement, [-1.0], err_msg="From rest, the movement is eta times g, downhill.")
np.testing.assert_allclose(theta, [0.0], err_msg="Theta moves by the new movement.")
theta, movement = momentum_step(theta, movement, np.array([0.0]), learning_rate=0.5, momentum=0.5)
np.testing.assert_allclose(
    movement, [-0.5], err_msg="Where the ground is level, the ball keeps lambda of its movement."
)
np.testing.assert_allclose(theta, [-0.5], err_msg="A rolling ball moves on even where the gradient is zero.")

# %% picture="the_heavy_ball"
with picture("momentum_step"):

    def roll(theta, gradient, learning_rate: float, momentum: float, steps: int) -> np.ndarray:
        """The path of the ball, shape (steps + 1, d)."""
        path, movement = [theta], np.zeros_like(theta)
        for _ in range(steps):
            theta, movement = momentum_step(theta, movement, gradient(theta), learning_rate, momentum)
            path.append(theta)
        return np.array(path)

    def hills(theta):
        return 0.1 * theta**2 + 0.25 * np.cos(3 * theta)

    def hills_gradient(theta):
        return 0.2 * theta - 0.75 * np.sin(3 * theta)

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    draw_ravine(left)
    line = np.linspace(-4.2, 2.2, 300)
    right.plot(line, hills(line), color="0.6")
    for momentum, learning_rate, color in [(0.0, 0.17, BLUE), (0.9, 0.03, ORANGE)]:
        path = roll(START, cricket_gradient, learning_rate, momentum, steps=60)
        label = rf"$\lambda$ = {momentum}, $\eta$ = {learning_rate}"
        left.plot(*path.T, color=color, marker=".", markersize=4, linewidth=1, label=label)
        path = roll(np.array([-3.9]), hills_gradient, 0.02, momentum, steps=150)[:, 0]
        height = hills(path) + (0.06 if momentum else 0.12)
        right.plot(path, height, ".", markersize=4, alpha=0.6, color=color)
        right.plot(path[-1], height[-1], "o", markersize=13, color=color, label=rf"$\lambda$ = {momentum}: ends here")
    left.set_title("60 steps in the ravine")
    left.legend(frameon=False, loc="lower left")
    right.set(xlabel=r"$\theta$", ylabel="loss", title="A hollow on the way down")
    right.legend(frameon=False, loc="upper right")

# %% [markdown]
# ## 8. What does the ball remember?
#
# Unroll the recursion, starting from $m^0 = 0$:
#
# $$m^1 = -\eta g^0, \qquad m^2 = -\lambda \eta g^0 - \eta g^1, \qquad \dots$$
#
# Nothing is ever forgotten: the movement is a weighted sum of **all** past gradients, only that old ones have faded.
# Find the weight of $g^i$ in $m^t$ and write the sum as *one* array operation. A recursion has to wait for its last
# value, while a sum can be computed in parallel; you will meet this thought again with self-attention.


# %% problem="movement_as_weighted_sum"
def movement_as_weighted_sum(gradients: np.ndarray, learning_rate: float, momentum: float) -> np.ndarray:
    """The movement m^t in closed form, from all past gradients g^0, ..., g^{t-1} and m^0 = 0.

    gradients: shape (t, ...), floating point: the oldest first, and t may be 0.
    learning_rate: η. momentum: λ, from 0 up to 1. With λ = 0 only the newest gradient counts.
    Returns m^t, the shape of one gradient: what t updates m^{t+1} = λ m^t - η g^t lead to.
    Use array operations, without a Python loop over the t gradients.
    """
    ### BEGIN SOLUTION
    age = np.arange(len(gradients))[::-1]
    return np.tensordot(-learning_rate * momentum**age, gradients, axes=1)
    ### END SOLUTION


# %% tests="movement_as_weighted_sum"
m = movement_as_weighted_sum(np.array([[2.0, -4.0]]), learning_rate=0.5, momentum=0.9)
np.testing.assert_allclose(m, [-1.0, 2.0], err_msg="After one step from rest, the movement is minus eta times g.")
m = movement_as_weighted_sum(np.array([8.0, 0.0, 0.0]), learning_rate=1.0, momentum=0.5)
np.testing.assert_allclose(m, -2.0, err_msg="A push of 8 two steps ago has been halved twice.")
m = movement_as_weighted_sum(np.array([0.0, 0.0, 8.0]), learning_rate=1.0, momentum=0.5)
np.testing.assert_allclose(m, -8.0, err_msg="The newest gradient has not faded yet.")

# %% [markdown]
# To see the memory itself, give every past step a gradient of its own (the rows of a unit matrix). What comes back
# is the weight of each. How many steps does the ball remember for $\lambda = 0.5$, and how many for $0.95$?

# %% picture="the_memory"
with picture("movement_as_weighted_sum"):
    figure, panels = plt.subplots(1, 3, figsize=(11, 3), layout="constrained", sharey=True)
    for axes, momentum, color in zip(panels, [0.5, 0.8, 0.95], [BLUE, GREEN, ORANGE], strict=True):
        weights = -movement_as_weighted_sum(np.eye(30), learning_rate=1.0, momentum=momentum)
        axes.bar(np.arange(-30, 0), weights, color=color, width=0.85)
        axes.set(
            xlabel="when the gradient was seen (now is 0)", title=rf"$\lambda$ = {momentum}: sum {weights.sum():.2f}"
        )
    panels[0].set_ylabel(r"its weight, over $\eta$")

# %% [markdown]
# ## 9. Your own optimizer
#
# Now for real models. A `torch.optim.Optimizer` keeps its hyperparameters in `self.param_groups` (each group may
# have its own `lr` and `momentum`, and a scheduler may change them at any time), and what it remembers of a
# parameter in `self.state[parameter]`. What is stored there is saved and loaded by `state_dict` for you.
#
# A detail to look out for: `torch.optim.SGD` computes $b \leftarrow \lambda b + g$ and then
# $\theta \leftarrow \theta - \eta b$. As long as $\eta$ is constant, that is the lecture's formula. When $\eta$ is
# cut, torch's ball brakes at once, while the lecture's rolls on with the speed that it has. Build the lecture's.


# %% problem="Momentum"
class Momentum(torch.optim.Optimizer):
    """Gradient descent with the lecture's momentum: m ← λ m - η g, then θ ← θ + m, for each parameter θ.

    Each parameter tensor has a movement m of its own, of its shape and dtype, zero at first. It is kept in
    `self.state[parameter]["movement"]`, so that `state_dict` and `load_state_dict` save and restore it.
    """

    def __init__(self, params: Iterable, lr: float, momentum: float = 0.9) -> None:
        """params: parameters, or dicts of parameter groups, as every torch optimizer takes them.
        lr: η. momentum: λ. Both are defaults for the groups that do not bring their own.
        """
        ### BEGIN SOLUTION
        super().__init__(params, {"lr": lr, "momentum": momentum})
        ### END SOLUTION

    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """One update of every parameter, in place, with the values that its group has for `lr` and `momentum` now.

        A parameter whose `.grad` is None is left alone, its movement too: it does not roll on. The gradients
        are only read. Nothing of the update is recorded for autograd, even where the gradients are.
        closure: if given, it is called first, with gradients enabled; it computes the gradients and returns the
        loss. Returns that loss, or None without a closure.
        """
        ### BEGIN SOLUTION
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for theta in group["params"]:
                    if theta.grad is None:
                        continue
                    state = self.state[theta]
                    m = state.get("movement", torch.zeros_like(theta))
                    state["movement"] = group["momentum"] * m - group["lr"] * theta.grad
                    theta.add_(state["movement"])
        return loss
        ### END SOLUTION


# %% tests="Momentum"
def train_line(optimizer_class, steps: int = 20, **options) -> torch.Tensor:
    """Fit the crickets with torch; returns the weight and the bias."""
    model = torch.nn.Linear(1, 1, dtype=torch.float64)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = optimizer_class(model.parameters(), **options)
    for _ in range(steps):
        optimizer.zero_grad()
        error = model(torch.from_numpy(temperature)[:, None])[:, 0] - torch.from_numpy(chirps)
        (error**2).mean().backward()
        optimizer.step()
    return torch.cat([model.weight.detach().ravel(), model.bias.detach()])


torch.testing.assert_close(
    train_line(Momentum, lr=0.02, momentum=0.8),
    train_line(torch.optim.SGD, lr=0.02, momentum=0.8),
    msg="While the learning rate is constant, training goes exactly as with torch.optim.SGD.",
)
weight = torch.nn.Parameter(torch.tensor([1.0]))
optimizer = Momentum([weight], lr=1.0, momentum=0.5)
weight.grad = torch.tensor([1.0])
optimizer.step()
assert weight.item() == 0.0, "From rest, the first step is minus lr times the gradient."
optimizer.param_groups[0]["lr"] = 0.0
optimizer.step()
assert weight.item() == -0.5, "With lr = 0 the gradient no longer pushes, but the ball rolls on with half its movement."
assert "movement" in optimizer.state[weight], "The movement is kept in self.state[parameter]['movement']."

# %% [markdown]
# Two balls roll down the same bowl. After 12 steps the learning rate is cut to a tenth. Which is the better
# behaviour? There is no final answer, but you should know which one you are using.

# %% picture="when_eta_is_cut"
with picture("Momentum"):
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    for optimizer_class, name, color in [
        (Momentum, "the lecture's (yours)", ORANGE),
        (torch.optim.SGD, "torch's", BLUE),
    ]:
        theta = torch.nn.Parameter(torch.tensor([4.0]))
        optimizer = optimizer_class([theta], lr=0.02, momentum=0.9)
        path = [theta.item()]
        for step in range(40):
            if step == 12:
                optimizer.param_groups[0]["lr"] *= 0.1
            optimizer.zero_grad()
            (theta**2 / 2).sum().backward()
            optimizer.step()
            path.append(theta.item())
        axes.plot(path, color=color, marker=".", label=name)
    axes.axvline(12, color=GREY, linestyle="--")
    axes.annotate(r"$\eta$ is cut to a tenth", (12.4, 3.7), color=GREY)
    axes.axhline(0, color="0.85", zorder=0)
    axes.set(xlabel="steps", ylabel=r"$\theta$", title="One ball rolls on, the other brakes")
    axes.legend(frameon=False)

# %% [markdown]
# ## Bonus: look before you leap
#
# The ball is going to roll by $\lambda m^t$ in any case. So why ask for the slope *here*? **Nesterov's** momentum
# looks where it is about to be, and corrects its course by the slope found *there*:
#
# $$m^{t+1} = \lambda m^t - \eta \nabla L(\theta^t + \lambda m^t), \qquad \theta^{t+1} = \theta^t + m^{t+1}$$


# %% problem="nesterov_step"
def nesterov_step(
    theta: np.ndarray,
    movement: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray],
    learning_rate: float,
    momentum: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One update that looks ahead: m^{t+1} = λ m^t - η ∇L(θ^t + λ m^t), then θ^{t+1} = θ^t + m^{t+1}.

    theta, movement: θ^t and m^t, of one shape (any), floating point. They are not changed.
    gradient: gradient(theta) gives ∇L at any point, in the shape of theta.
    learning_rate: η. momentum: λ, from 0 up to 1.
    Returns the new (theta, movement), in this order: new arrays of the same shape.
    """
    ### BEGIN SOLUTION
    movement = momentum * movement - learning_rate * gradient(theta + momentum * movement)
    return theta + movement, movement
    ### END SOLUTION


# %% tests="nesterov_step"
theta, movement = nesterov_step(np.array([1.0]), np.array([0.0]), lambda theta: 2 * theta, 0.5, momentum=0.9)
np.testing.assert_allclose(
    movement, [-1.0], err_msg="From rest there is nowhere to look ahead: plain gradient descent."
)
theta, movement = nesterov_step(np.array([1.0]), np.array([-2.0]), lambda theta: 2 * theta, 0.25, momentum=0.5)
np.testing.assert_allclose(movement, [-1.0], err_msg="The ball will roll from 1 to 0, where the slope is zero.")
np.testing.assert_allclose(theta, [0.0], err_msg="Theta moves by the new movement, from where it was.")

# %% picture="looking_ahead"
with picture("momentum_step", "nesterov_step"):
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    for name, color in [("momentum", BLUE), ("Nesterov", ORANGE)]:
        theta, movement, losses = START, np.zeros(2), []
        for _ in range(120):
            losses.append(cricket_loss(theta) - cricket_loss(BEST))
            if name == "momentum":
                theta, movement = momentum_step(theta, movement, cricket_gradient(theta), 0.06, 0.9)
            else:
                theta, movement = nesterov_step(theta, movement, cricket_gradient, 0.06, 0.9)
        axes.plot(losses, color=color, label=name)
    axes.set(xlabel="steps", ylabel="loss above the minimum", yscale="log", title="Looking ahead calms the swing")
    axes.legend(frameon=False)

# %% [markdown]
# ## What you have built
#
# Shuffled mini-batches, SGD, a law for its noise, a measure of flatness, and momentum in three forms, one of which
# trains any PyTorch model. Every step so far used the same $\eta$ in every direction, and the ravine made us pay
# for it. In Lecture 6 each parameter gets a learning rate of its own.
