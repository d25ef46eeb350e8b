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
# # Lecture 3: Training guidance
#
# The loss is too large. What now? More layers? More data? Dropout? Each of these cures *one* illness and makes
# another one worse. So before you treat, examine. This notebook is a doctor's bag: you build the instruments, make
# the diagnosis, and then prepare the medicines.
#
# You will be able to
# - fit models from stiff to flexible in closed form, and see model bias and overfitting with your own eyes;
# - choose a model honestly, with a validation set and with N-fold cross-validation;
# - walk through the lecture's flow chart and name what is wrong: model bias, optimization, overfitting or mismatch;
# - treat overfitting with early stopping, weight decay, dropout and data augmentation.
#
# **Time:** about three hours, and half an hour for the bonus. You need NumPy and the lectures before.
#
# **How it is graded**
# - Each problem comes with public tests right below it. Run them as often as you like.
# - Hidden tests then call your functions with other inputs: 100 points, and a bonus problem on top.
# - One question is answered in words and read by a person.
# - Use what you like, *except* the finished thing: `train_test_split`, `KFold`, `cross_val_score`, `Ridge`,
#   `PolynomialFeatures`, `torch.nn.Dropout` and their kin score nothing.
#
# Keep the names of functions and arguments: that is how the tests find your work.

# %% [markdown]
# ## The chart of the lecture
#
# ```text
# Is the loss on the TRAINING data small?
# ├── no:  does a SMALLER model reach a lower training loss?
# │        ├── no:   model bias     no function of the model is good enough: make it more flexible
# │        └── yes:  optimization   there is a good function in the model, but training does not find it
# └── yes: is the loss on the TEST data small?
#          ├── yes:  done
#          └── no:   is the loss on held-out data of the training kind small, too?
#                    ├── no:   overfitting   it knows its examples by heart: more data, or a tamer model
#                    └── yes:  mismatch      the test data are of another kind: find out in what they differ
# ```
#
# | symbol | in code | what it is |
# |---|---|---|
# | $x$, $y$ | `x`, `y` | the examples: what is known, and what shall be predicted; $N$ of them |
# | $\phi(x)$ | `features` | what the model sees of an example: $d$ numbers, a row |
# | $w$, $b$ | `w`, `b` | weights and bias (also called the intercept): the model is $b + w \cdot \phi(x)$ |
# | $L(w, b)$ | `loss` | the loss on the training data: the *mean* over its examples |
# | $\lambda$ | `penalty`, `weight_decay` | the strength of the regularization |
# | $\eta$ | `learning_rate` | the learning rate |
#
# **Regularization** asks for small weights, and says nothing of the bias:
#
# $$L'(w, b) = L(w, b) + \frac{\lambda}{2} \lVert w \rVert^2$$
#
# While you work, ask of every number that you meet: *which data has this loss been measured on, and has anybody
# made a choice with it?*

# %%
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

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
# ## The harbour
#
# A small harbour wants to know how deep its water is at any time of the day. The harbour master has read the gauge
# thirty times this summer. Waves make each reading uncertain by a quarter of a metre. Time runs from $x = -1$ (six
# in the morning) over noon to $x = 1$ (six in the evening). Below is what nobody in the harbour has ever seen: the
# true curve. And then there is autumn, when storms push the water in, higher and earlier.


# %%
NOISE = 0.25  # metres: the standard deviation of a reading


def tide(x: np.ndarray) -> np.ndarray:
    """The true depth of the water in metres on a calm day; x from -1 (6 o'clock) to 1 (18 o'clock)."""
    phase = 12 * np.pi * x / 12.42
    return 2.5 + 1.8 * np.sin(phase + 0.6) + 0.4 * np.sin(2 * phase + 2)


def gauge(n_examples: int, rng: np.random.Generator, storm: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Readings at random times: times and depths, each of shape (n_examples,). A storm has a strength."""
    x = rng.uniform(-1, 1, size=n_examples)
    return x, tide(x + 0.25 * storm) + 0.7 * storm + rng.normal(scale=NOISE, size=n_examples)


def squared_error(model: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    """The mean squared error of a model, in square metres: a loss."""
    return float(np.mean((model(x) - y) ** 2))


times, depths = gauge(30, np.random.default_rng(1))
LINE = np.linspace(-1, 1, 200)


def draw_harbour(axes: plt.Axes, x: np.ndarray = times, y: np.ndarray = depths) -> None:
    """The readings, and the curve that nobody knows."""
    axes.plot(LINE, tide(LINE), color="0.75", linewidth=5, zorder=0, label="the true tide")
    axes.plot(x, y, "o", color="black", markersize=4, label="readings")
    axes.set(xlabel="time of day", ylim=(-0.4, 5.6), xticks=[-1, 0, 1], xticklabels=["6:00", "noon", "18:00"])


# %% picture="the_harbour"
figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
draw_harbour(axes)
axes.plot(*gauge(30, np.random.default_rng(2), storm=1.0), "x", color=RED, markersize=5, label="autumn, in a storm")
axes.set(ylabel="depth (m)", title="Thirty readings of a summer")
_ = axes.legend(frameon=False, loc="lower right")

# %% [markdown]
# ## 1. Models from stiff to flexible
#
# A straight line can't be a tide. Give the model more to look at: not only the time $x$, but its powers, too.
#
# $$\phi(x) = (x, x^2, \dots, x^d), \qquad y = b + w_1 x + w_2 x^2 + \dots + w_d x^d$$
#
# The larger the degree $d$, the more functions are in the model. The bias $b$ is already in the formula, so
# $x^0 = 1$ is *not* one of the features.


# %% problem="polynomial_features"
def polynomial_features(x: np.ndarray, degree: int) -> np.ndarray:
    """The features φ(x) = (x, x², ..., x^d) of each example: powers from 1 to d, without the constant x⁰.

    x: shape (N,), floating point, N at least 1. It is not changed.
    degree: d, at least 0. The model of degree 0 has no features at all.
    Returns shape (N, d), dtype of x (float32 stays float32): one row per example, the first power first.
    """
    ### BEGIN SOLUTION
    return x[:, None] ** np.arange(1, degree + 1, dtype=x.dtype)
    ### END SOLUTION


# %% tests="polynomial_features"
features = polynomial_features(np.array([2.0, -3.0]), degree=3)
assert np.shape(features) == (2, 3), "Two examples, three powers: one row per example, and no column for x to the 0."
np.testing.assert_allclose(features[0], [2, 4, 8], err_msg="The features of 2 are 2, 4 and 8.")
np.testing.assert_allclose(features[1], [-3, 9, -27], err_msg="Odd powers of a negative number are negative.")
assert np.shape(polynomial_features(np.array([2.0, -3.0]), degree=0)) == (2, 0), "Degree 0: two rows of no features."

# %% [markdown]
# ## 2. The best fit, in closed form
#
# With the squared error, the best weights can be computed outright. No gradient descent, hence no optimization
# trouble: whatever goes wrong here is the model's or the data's fault. That makes this model a fine measuring
# instrument. **Ridge regression** (Hoerl and Kennard, *Ridge Regression: Biased Estimation for Nonorthogonal
# Problems*, 1970) minimizes the regularized loss
#
# $$L'(w, b) = \frac{1}{N} \sum_{n=1}^{N} \left(b + w \cdot \phi_n - y_n\right)^2 + \frac{\lambda}{2} \lVert w \rVert^2$$
#
# Two things to think about before you type.
# - *The bias is free.* Whether depth is measured from the sea floor or from the quay must not change the shape of the
#   curve. Set the derivative with respect to $b$ to zero: the best fit goes through the mean of the features and the
#   mean of $y$. Subtract both means, and only $w$ is left to find.
# - *Not every matrix has an inverse.* If the same feature comes twice, or there are more features than examples, many
#   $w$ are equally good. `np.linalg.inv` then fails, or returns noise. Any of the best will do, but do return one.


# %% problem="ridge_fit"
def ridge_fit(features: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """The w and b that minimize L'(w, b) = 1/N Σ_n (b + w·φ_n - y_n)² + λ/2 ||w||². The bias b is not penalized.

    features: one row φ_n per example, shape (N, d), float64. N is at least 1; d may be 0, and may be larger than N.
    y: shape (N,), float64. Neither is changed.
    penalty: λ, at least 0. With λ = 0 many w may reach the minimum (two equal features, or more features than
        examples): then return any one of them that does, with finite numbers.
    Returns (w, b): w of shape (d,), and b a number.
    """
    ### BEGIN SOLUTION
    n_examples, n_features = features.shape
    center, height = features.mean(axis=0), y.mean()
    # λ/2 ||w||² is the squared error of d more examples: each of them asks one weight to be 0.
    rows = np.vstack([features - center, np.sqrt(n_examples * penalty / 2) * np.eye(n_features)])
    targets = np.concatenate([y - height, np.zeros(n_features)])
    w = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return w, float(height - center @ w)
    ### END SOLUTION


# %% tests="ridge_fit"
line = np.array([[0.0], [1.0], [2.0]])
w, b = ridge_fit(line, np.array([1.0, 3.0, 5.0]), penalty=0.0)
np.testing.assert_allclose(w, [2.0], atol=1e-9, err_msg="Through (0, 1), (1, 3), (2, 5) goes the line 1 + 2x.")
np.testing.assert_allclose(b, 1.0, atol=1e-9, err_msg="Through (0, 1), (1, 3), (2, 5) goes the line 1 + 2x.")
w, b = ridge_fit(line, np.array([1.0, 3.0, 5.0]), penalty=4 / 3)
np.testing.assert_allclose(
    w, [1.0], atol=1e-9, err_msg="Here L' is 2/3 (w - 2)^2 + λ/2 w^2, as the best b is 3 - w: least at w = 1."
)
np.testing.assert_allclose(b, 2.0, atol=1e-9, err_msg="The fit still goes through the means, (1, 3).")
w, b = ridge_fit(np.hstack([line, line]), np.array([1.0, 3.0, 5.0]), penalty=0.0)
np.testing.assert_allclose(
    w.sum(), 2.0, atol=1e-6, err_msg="The same feature twice: the two weights share the slope 2."
)

# %% [markdown]
# With these two you can fit the tide. `fit_polynomial` makes a recipe: give it examples, and it gives back a model,
# a function that you can ask for the depth at any time.


# %%
def fit_polynomial(degree: int, penalty: float = 0.0) -> Callable:
    """A function fit(x, y) that returns the best polynomial as a model: model(x) predicts, for x of shape (N,)."""

    def fit(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        w, b = ridge_fit(polynomial_features(x, degree), y, penalty)
        return lambda x: b + polynomial_features(x, degree) @ w

    return fit


# %% picture="stiff_and_flexible"
with picture("polynomial_features", "ridge_fit"):
    x, y = times[:20], depths[:20]
    figure, panels = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained", sharey=True)
    for axes, (degree, penalty, name) in zip(
        panels,
        [
            (1, 0, "degree 1: too stiff"),
            (5, 0, "degree 5: about right"),
            (15, 0, "degree 15: by heart"),
            (15, 0.001, r"degree 15, $\lambda$ = 0.001"),
        ],
        strict=True,
    ):
        model = fit_polynomial(degree, penalty)(x, y)
        draw_harbour(axes, x, y)
        axes.plot(LINE, model(LINE), color=ORANGE, linewidth=2, label="your fit")
        axes.set_title(f"{name}\ntraining loss {squared_error(model, x, y):.3f}")
    panels[0].set_ylabel("depth (m)")
    panels[0].legend(frameon=False, loc="lower right")

# %% [markdown]
# The training loss only ever falls with the degree: every line is also a parabola. It can't tell you where to
# stop. You need data that the fit has not seen.
#
# ## 3. Put some examples aside
#
# Hide a part of the training data from the model and use it as a stand-in for the future: the **validation set**.
# Choose it at random. If the readings are in the order of the calendar, the last ones are all from September, and a
# model is then judged by September only. And keep each time together with its depth.


# %% problem="train_validation_split"
def train_validation_split(
    x: np.ndarray, y: np.ndarray, n_validation: int, rng: np.random.Generator
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Split the examples at random: `n_validation` of them for validation, all the others for training.

    x: shape (N, ...), any dtype. y: shape (N, ...), any dtype. x[n] and y[n] belong together. N is at least 2.
    n_validation: from 1 to N - 1. Every choice of so many examples is equally likely.
    rng: the only source of randomness, so that an equally seeded `rng` gives the same split again.
    Returns two pairs, (x_train, y_train), (x_validation, y_validation). Each example is in one of them, exactly
    once, in any order. Dtypes and the shape of an example are kept; x and y themselves stay as they were.
    """
    ### BEGIN SOLUTION
    order = rng.permutation(len(x))
    validation, train = order[:n_validation], order[n_validation:]
    return (x[train], y[train]), (x[validation], y[validation])
    ### END SOLUTION


# %% tests="train_validation_split"
x, y = np.arange(7), 10 * np.arange(7)
(x_train, y_train), (x_held, y_held) = train_validation_split(x, y, n_validation=3, rng=np.random.default_rng(0))
assert (len(x_train), len(x_held)) == (4, 3), "Of 7 examples, 3 are held out and 4 are left for training."
assert sorted([*x_train, *x_held]) == list(range(7)), "Every example belongs to exactly one of the two parts."
np.testing.assert_array_equal(y_train, 10 * np.array(x_train), "Here y is 10 x: an x was given the y of another one.")
np.testing.assert_array_equal(y_held, 10 * np.array(x_held), "Here y is 10 x: an x was given the y of another one.")
rng = np.random.default_rng(0)
held_out = {int(n) for _ in range(50) for n in train_validation_split(x, y, 3, rng)[1][0]}
assert held_out == set(range(7)), "In 50 splits, every example should be held out at some time: choose at random."

# %% [markdown]
# ## 4. Choose
#
# Now pick a model. Each candidate comes with three numbers: its size, its loss on the training data, and its loss on
# the validation data. Two rules make a good choice. The **validation loss** decides, never the training loss. And
# where two models do equally well, take the simpler one: it has less room to be lucky. "Equally well" needs a
# yardstick, for no validation loss is exact. That is the `tolerance`.


# %%
class Candidate(NamedTuple):
    """A model that might be chosen."""

    n_parameters: int  # its size: fewer parameters, simpler model
    train_loss: float  # its loss on the data that it was fitted to
    validation_loss: float  # its loss on the data that were held out


# %% problem="select_model"
def select_model(candidates: Sequence[Candidate], tolerance: float = 0.0) -> int:
    """The index of the model to use: the simplest one whose validation loss is as good as the best.

    candidates: one or more, in any order, with the fields n_parameters, train_loss and validation_loss.
    tolerance: at least 0. A model is as good as the best if its validation loss is at most
        (the lowest validation loss of all) + tolerance.
    Of the models as good as the best, take the one with the fewest parameters. If several have as few, take among
    these the one with the lowest validation loss, and if that is equal, too, the one that comes first.
    A validation loss may be NaN (that training blew up): such a model is never chosen. At least one is a number.
    Returns an index into candidates, from 0.
    """
    ### BEGIN SOLUTION
    good_enough = np.nanmin([candidate.validation_loss for candidate in candidates]) + tolerance
    as_good = [i for i, candidate in enumerate(candidates) if candidate.validation_loss <= good_enough]
    return min(as_good, key=lambda i: (candidates[i].n_parameters, candidates[i].validation_loss))
    ### END SOLUTION


# %% tests="select_model"
models = [Candidate(9, 0.1, 0.8), Candidate(2, 0.6, 0.7), Candidate(4, 0.2, 0.3), Candidate(3, 0.4, 0.5)]
assert select_model(models) == 2, "The lowest validation loss is 0.3. A low training loss is no merit by itself."
assert select_model(models, tolerance=0.25) == 3, "Up to 0.3 + 0.25 is as good as the best: which is the simplest?"
twins = [Candidate(8, 0.1, 0.5), Candidate(3, 0.2, 0.5)]
assert select_model(twins) == 1, "Equally good: take the one with fewer parameters."

# %% picture="three_losses"
with picture("polynomial_features", "ridge_fit", "train_validation_split", "select_model"):
    train, held_out = train_validation_split(times, depths, 10, np.random.default_rng(0))
    calm, degrees = gauge(2000, np.random.default_rng(9)), range(13)
    models = [fit_polynomial(degree)(*train) for degree in degrees]
    losses = np.array([[squared_error(model, *data) for data in (train, held_out, calm)] for model in models])
    best = select_model([Candidate(d + 1, *losses[d, :2]) for d in degrees])
    figure, axes = plt.subplots(figsize=(7.4, 4), layout="constrained")
    for column, name, color in [(0, "training", BLUE), (1, "validation", ORANGE), (2, "test", GREY)]:
        axes.plot(degrees, losses[:, column], "o-", color=color, markersize=4, label=name)
    axes.axhline(NOISE**2, color="0.85", linestyle="--", zorder=0)
    axes.annotate(
        "the waves: the lowest loss\nto hope for on new data", (12, NOISE**2 * 1.15), color=GREY, fontsize=9, ha="right"
    )
    axes.plot(best, losses[best, 1], "o", markersize=14, markerfacecolor="none", color=RED, label="your choice")
    axes.set(xlabel="degree $d$", ylabel="loss (m²)", yscale="log", ylim=(0.01, 20), title="One curve only falls")
    axes.legend(frameon=False, loc="upper center")

# %% [markdown]
# Is the loss of your choice below the dashed line? The training loss can be: it has learned the waves by heart. A
# validation loss can be by luck alone, and it had thirteen tries. How far does luck reach?
#
# ### The best of a thousand coin flippers
#
# May you choose by the *test* set instead? Here are a thousand useless models. Each flips a coin for every one of
# 30 yes-or-no questions. The public leaderboard shows how often each was wrong. Take the best one and let it answer
# 30 new questions. Look at both numbers, and remember them whenever you compare many models on the same data.

# %% picture="coin_flippers"
with picture("select_model"):
    rng = np.random.default_rng(10)
    public, private = rng.binomial(30, 0.5, size=(2, 1000)) / 30
    winner = select_model([Candidate(1, 0.5, error) for error in public.tolist()])
    figure, axes = plt.subplots(figsize=(7.4, 3.6), layout="constrained")
    edges = (np.arange(32) - 0.5) / 30
    axes.hist(public, bins=edges, color="0.8")
    for error, name, color, height, side in [
        (public[winner], " the winner, public: ", ORANGE, 100, "right"),
        (private[winner], " the winner, private: ", RED, 165, "left"),
    ]:
        axes.axvline(error, color=color, linewidth=2)
        axes.annotate(f"{name}{error:.0%} ", (error, height), color=color, ha=side)
    axes.annotate("1000 coin flippers,\npublic questions", (0.65, 90), color="0.5")
    axes.set(xlabel="share of wrong answers", ylabel="models", xlim=(-0.15, 1), ylim=(0, 190))
    axes.set_title("Chosen by luck, gone with luck")

# %% [markdown]
# ## 5. Every example's turn
#
# Ten readings held out are few. Another ten, and another degree might win. **N-fold cross-validation** (Stone,
# *Cross-Validatory Choice and Assessment of Statistical Predictions*, 1974) lets every example have its turn: cut the
# shuffled data into folds, hold out one fold at a time, train on all the others.


# %% problem="n_fold_splits"
def n_fold_splits(n_examples: int, n_folds: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shuffle the examples and cut them into folds: for each fold, the pair (train, validation) of index arrays.

    n_examples: how many examples there are, at least 2.
    n_folds: from 2 to n_examples. The folds are as even as can be: their sizes differ by at most 1.
    rng: the only source of randomness, so that an equally seeded `rng` gives the same folds again.
    Returns a list of n_folds pairs of integer arrays of shape (·,). `validation` holds the indices (from 0) of
    the examples of one fold, `train` those of all the other examples, both in any order. Every example is in
    exactly one fold. Which examples share a fold is random, and all ways are equally likely.
    """
    ### BEGIN SOLUTION
    folds = np.array_split(rng.permutation(n_examples), n_folds)
    return [(np.concatenate(folds[:k] + folds[k + 1 :]), fold) for k, fold in enumerate(folds)]
    ### END SOLUTION


# %% tests="n_fold_splits"
splits = n_fold_splits(7, n_folds=3, rng=np.random.default_rng(0))
assert sorted(len(validation) for _, validation in splits) == [2, 2, 3], "7 examples in 3 folds: of 2, 2 and 3."
turns = sorted(int(n) for _, validation in splits for n in validation)
assert turns == list(range(7)), "Every example is held out exactly once."
for train, validation in splits:
    assert sorted([*train, *validation]) == list(range(7)), "What is not held out is trained on, and nothing else."
rng = np.random.default_rng(0)
first, second = ([sorted(fold) for _, fold in n_fold_splits(40, 4, rng)] for _ in range(2))
assert first != second, "Twice the same folds: shuffle, and take your randomness from rng."

# %% [markdown]
# ## 6. The score of a recipe
#
# What is judged is not a fitted model but a **recipe**: a way to get from examples to a model. So each fold trains a
# fresh model on its training part and measures it on the part that was held out.
#
# Uneven folds need a little care. Each *example* shall count once. Then a fold of 3 has more say than a fold of 2:
# with $n_k$ examples held out in fold $k$ and a mean loss of $L_k$ on them,
#
# $$\text{score} = \frac{\sum_k n_k L_k}{\sum_k n_k}$$


# %% problem="cross_validation_score"
def cross_validation_score(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[tuple[np.ndarray, np.ndarray]],
    fit: Callable[[np.ndarray, np.ndarray], Any],
    loss: Callable[[Any, np.ndarray, np.ndarray], float],
) -> float:
    """The mean validation loss of a recipe, over all examples that are held out: Σ_k n_k L_k / Σ_k n_k.

    x: shape (N, ...). y: shape (N, ...). Neither is changed.
    splits: pairs (train, validation) of integer index arrays, a list as `n_fold_splits` gives it (or any other:
        the folds may be of any size, at least 1, and need not cover everything).
    fit: fit(x_train, y_train) trains a new model and returns it, whatever kind of object that is.
    loss: loss(model, x, y) is the mean loss of a model over the examples given to it.
    n_k is the number of examples held out in split k, and L_k the loss on them of the model that was trained
    on split k's training examples. Returns a number.
    """
    ### BEGIN SOLUTION
    losses, sizes = [], []
    for train, validation in splits:
        model = fit(x[train], y[train])
        losses.append(loss(model, x[validation], y[validation]))
        sizes.append(len(validation))
    return float(np.average(losses, weights=sizes))
    ### END SOLUTION


# %% tests="cross_validation_score"
def fit_mean(x, y):
    """The simplest recipe: whatever x is, predict the mean of y."""
    return np.mean(y)


def squared_miss(model, x, y):
    return np.mean((model - y) ** 2)


x, y = np.arange(3.0), np.array([0.0, 0.0, 6.0])
score = cross_validation_score(x, y, [(np.array([0, 1]), np.array([2]))], fit_mean, squared_miss)
assert np.isclose(score, 36), "Trained on 0 and 0 the model says 0, and misses 6 by 6: squared, 36."
even = [(np.array([0, 2]), np.array([1])), (np.array([1, 2]), np.array([0]))]
score = cross_validation_score(x, y, even, fit_mean, squared_miss)
assert np.isclose(score, 9), "Trained on 0 and 6 the model says 3, and misses 0 by 3, in both folds."
uneven = [(np.array([0, 1]), np.array([2])), (np.array([1]), np.array([0, 2]))]
score = cross_validation_score(x, y, uneven, fit_mean, squared_miss)
assert np.isclose(score, 24), "Losses of 36 on one example and 18 on two: each counts once, (36 + 2 * 18) / 3."

# %% [markdown]
# Is it worth the trouble? Below, the degree is chosen sixty times. On the left, six readings are held out once. On the
# right, all thirty take their turns, six at a time. Each line is one attempt, and the dot on it is its choice. Compare
# how far the lines are apart, and where the dots are.

# %% picture="less_luck"
with picture("polynomial_features", "ridge_fit", "select_model", "n_fold_splits", "cross_validation_score"):
    degrees = range(10)
    figure, panels = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
    for axes, name, n_used, color in [
        (panels[0], "six held out once", 1, ORANGE),
        (panels[1], "5-fold cross-validation", 5, BLUE),
    ]:
        chosen = []
        for seed in range(60):
            splits = n_fold_splits(len(times), 5, np.random.default_rng(seed))[:n_used]
            scores = [cross_validation_score(times, depths, splits, fit_polynomial(d), squared_error) for d in degrees]
            best = select_model([Candidate(d + 1, 0.0, score) for d, score in zip(degrees, scores, strict=True)])
            axes.plot(degrees, scores, color=color, alpha=0.2, linewidth=0.8)
            axes.plot(best, scores[best], "o", color=color, markersize=5, alpha=0.5)
            chosen.append(best)
        axes.set(xlabel="degree $d$", yscale="log", ylim=(0.01, 20), xticks=degrees)
        axes.set_title(
            f"{name}: degrees {min(chosen)} to {max(chosen)} are chosen,\nmost often {np.bincount(chosen).argmax()}"
        )
    panels[0].set_ylabel("score (m²)")

# %% [markdown]
# ## 7. The diagnosis
#
# Now the heart of the lecture, the flow chart at the top. Follow it **in its order**. "The test loss is large, so
# the model overfits" is the most common misdiagnosis there is: first look at the training loss. A model that has
# not even learned its training examples can't know them by heart.
#
# The second most common: "the training loss is large, so the model is too small." Perhaps. Compare it with a
# *smaller* model, which is easier to train. In He et al., *Deep Residual Learning for Image Recognition* (2016),
# a network of 56 layers had a larger *training* error than one of 20 layers. All that 20 layers can do, 56 can do,
# too: the first 20 as they are, the others passing on what they get. So the better function was there, and training
# did not find it. That is an optimization issue, and more layers are the wrong medicine.


# %% problem="diagnose"
def diagnose(
    train_loss: float, validation_loss: float, test_loss: float, smaller_model_train_loss: float, goal: float
) -> str:
    """Walk through the lecture's chart and name what is wrong. A loss is *small* if it is at most `goal`.

    train_loss: of the model, on the data that it was trained on.
    validation_loss: of the model, on held-out data of the same kind as the training data.
    test_loss: of the model, on the data that it is meant for. They may be of another kind.
    smaller_model_train_loss: of a smaller model, which is easier to train, on the same training data.
    goal: how large a loss may be. All five are finite and in the same units.

    1. train_loss is not small: "optimization" if smaller_model_train_loss is below train_loss, else "model bias".
    2. train_loss is small, and so is test_loss: "done", whatever the other losses are.
    3. train_loss is small, test_loss is not: "overfitting" if validation_loss is not small, either,
       "mismatch" if it is small.
    Returns one of these five strings.
    """
    ### BEGIN SOLUTION
    if train_loss > goal:
        return "optimization" if smaller_model_train_loss < train_loss else "model bias"
    if test_loss <= goal:
        return "done"
    return "overfitting" if validation_loss > goal else "mismatch"
    ### END SOLUTION


# %% tests="diagnose"
answer = diagnose(train_loss=5.0, validation_loss=5.2, test_loss=9.0, smaller_model_train_loss=7.0, goal=1.0)
assert answer == "model bias", "It fails on its training data, and a smaller model is no better: not flexible enough."
answer = diagnose(train_loss=5.0, validation_loss=5.2, test_loss=9.0, smaller_model_train_loss=3.0, goal=1.0)
assert answer == "optimization", "A smaller model is better on the training data: so a better function was there."
answer = diagnose(train_loss=0.2, validation_loss=4.0, test_loss=4.5, smaller_model_train_loss=2.0, goal=1.0)
assert answer == "overfitting", "Good on the training data, bad on any other, even of the same kind."
answer = diagnose(train_loss=0.2, validation_loss=0.3, test_loss=4.5, smaller_model_train_loss=2.0, goal=1.0)
assert answer == "mismatch", "Good on training data and on new data of that kind, but the test data are different."
answer = diagnose(train_loss=0.2, validation_loss=0.3, test_loss=0.4, smaller_model_train_loss=2.0, goal=1.0)
assert answer == "done", "All is well: go home."

# %% [markdown]
# The waiting room: five models of the tide, really fitted, with the losses that they really have. Cover the titles
# and make the diagnoses yourself first. (The second patient was trained by gradient descent and was not given
# enough time; the others are closed form.)

# %% picture="five_patients"
with picture("polynomial_features", "ridge_fit", "diagnose"):
    GOAL = 0.15
    rng = np.random.default_rng(35)
    summer, spare, calm, storm = gauge(20, rng), gauge(300, rng), gauge(300, rng), gauge(300, rng, storm=1.0)

    def impatient_fit(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Degree 9, trained by 200 steps of gradient descent."""
        features, w, b = polynomial_features(x, 9), np.zeros(9), 0.0
        for _ in range(200):
            error = b + features @ w - y
            w, b = w - 0.1 * 2 * features.T @ error / len(y), b - 0.1 * 2 * error.mean()
        return lambda x: b + polynomial_features(x, 9) @ w

    patients = [
        ("degree 2", fit_polynomial(2), fit_polynomial(1), calm),
        ("degree 9, 200 steps", impatient_fit, fit_polynomial(4), calm),
        ("degree 12", fit_polynomial(12), fit_polynomial(4), calm),
        ("degree 5, autumn", fit_polynomial(5), fit_polynomial(2), storm),
        ("degree 5", fit_polynomial(5), fit_polynomial(2), calm),
    ]
    figure, panels = plt.subplots(1, 5, figsize=(13, 3.3), layout="constrained", sharey=True)
    for axes, (name, fit, smaller, test) in zip(panels, patients, strict=True):
        model = fit(*summer)
        losses = [squared_error(model, *data) for data in (summer, spare, test)]
        losses.append(squared_error(smaller(*summer), *summer))
        axes.bar(["train", "valid.", "test", "smaller:\ntrain"], losses, color=[BLUE, ORANGE, GREY, "#9db7d9"])
        axes.axhline(GOAL, color="black", linestyle="--", linewidth=1)
        axes.set(yscale="log", ylim=(0.02, 10), title=f"{name}:\n{diagnose(*losses, goal=GOAL)}")
        axes.tick_params(axis="x", labelsize=8)
    panels[0].set_ylabel("loss (m²); dashed: the goal")

# %% [markdown]
# ### In your own words
#
# A fellow student trains a network of 20 layers. Its training loss is 0.50 and its loss on the test set is 0.56, where
# 0.10 would be needed. "Overfitting," is the verdict, "the test loss is higher. I'll add dropout." Later, after many
# repairs, forty versions are compared on the test set, and the best of them, with 0.09, is announced as "0.09 on unseen
# data". In about 150 words:
# - What is wrong with the verdict, and what will dropout do to the training loss?
# - Which one experiment would you run next, and what do its two possible outcomes tell you to do?
# - What is wrong with the announcement, and how should the forty have been compared?

# %% [markdown] answer="a_second_opinion" points=5
# **Model answer.** The training loss is looked at first, and it is already five times too large: the network has not
# learned its training data, so it can't have learned them by heart. The small gap of 0.06 is not the trouble. Dropout
# makes fitting harder, so the training loss will rise. Next I would train a smaller network (say, 5 layers) or another
# simple model on the same data and compare the *training* losses. If the smaller one is better, the large one could do
# as well but training did not get there: optimization, so work on learning rate, optimizer, initialization or skip
# connections. If the smaller one is no better, it may be model bias: more features, more or wider layers. The
# announcement is too good to be true, because the test set was used to choose. The lowest of forty noisy losses is
# partly luck, as with the coin flippers, and on new data it will be higher. The forty should have been compared on a
# validation set or by cross-validation, and the one winner measured once on the test set.
#
# **Rubric.** One point each: the training loss decides first, and here it is large, so it is not overfitting; dropout
# (like other regularization) will not lower, and likely raise, the training loss; the comparison with a smaller or easier model
# *on training data*; both outcomes with a fitting remedy; choosing on the test set makes its loss too good, *and* the
# choice belongs on validation data. Take off nothing for length or style.

# %% [markdown]
# ## 8. Stop in time
#
# Now the medicines against overfitting. The cheapest: stop training. The training loss goes on falling, but the
# validation loss turns round. You can't know that it has turned until you have gone on for a while, so you wait: after
# `patience` epochs without a new record you give up, go back to the best epoch, and take the parameters from there
# (Prechelt, *Early Stopping – But When?*, 1998).


# %% problem="early_stopping"
def early_stopping(validation_losses: Sequence[float], patience: int) -> tuple[int, int]:
    """The epoch whose parameters are kept, and the epoch after which training stops.

    validation_losses: what the validation loss is (or would be) after epoch 0, 1, 2, ...: one or more finite numbers.
    patience: at least 1.
    An epoch sets a record if its loss is strictly below the losses of all epochs before it; epoch 0 always does.
    Training stops after the first epoch that is the `patience`-th one since the latest record, so that the last
    `patience` epochs set no record. If that never happens, it stops after the last epoch given.
    Returns (best, last): the epoch of the latest record, and the last epoch that is run. Both count from 0. What
    comes after `last` is never seen, however good it is.
    """
    ### BEGIN SOLUTION
    best = 0
    for epoch, loss in enumerate(validation_losses):
        if loss < validation_losses[best]:
            best = epoch
        if epoch - best == patience:
            break
    return best, epoch
    ### END SOLUTION


# %% tests="early_stopping"
losses = [5.0, 4.0, 4.5, 4.2, 3.0, 2.0]
assert tuple(early_stopping(losses, patience=2)) == (1, 3), "Epochs 2 and 3 do not beat epoch 1: stop after 3, keep 1."
assert tuple(early_stopping(losses, patience=1)) == (1, 2), "With patience 1, one epoch without a record is enough."
assert tuple(early_stopping(losses, patience=3)) == (5, 5), "Epoch 4 sets a record just in time, and epoch 5 another."
assert tuple(early_stopping([3.0, 2.0, 2.5], patience=9)) == (1, 2), "The epochs are over before patience is: keep 1."

# %% [markdown]
# To see it work, the harbour needs a model that gradient descent can overfit with. Instead of powers it gets forty
# waves, $\cos(k \pi (x + 1) / 2) / \sqrt{k}$ for $k = 1, \dots, 40$. `train_waves` trains it and notes the losses after
# each epoch. What an update does is up to the function `step` that you hand it. Here that is plain gradient descent; in
# the next problem it will be yours.


# %%
def waves(x: np.ndarray, n_waves: int = 40) -> np.ndarray:
    """Cosines as features, the quicker the smaller, shape (N, n_waves)."""
    k = np.arange(1, n_waves + 1)
    return np.cos(k * np.pi * (x[:, None] + 1) / 2) / np.sqrt(k)


def train_waves(step: Callable, train: tuple, other: tuple, epochs: int) -> tuple[np.ndarray, np.ndarray, Callable]:
    """Losses on `train` and on `other` after each epoch, each of shape (epochs,), and the final model.

    step(w, b, w_gradient, b_gradient) makes one update and returns the new (w, b).
    """
    features, other_features = waves(train[0]), waves(other[0])
    w, b = np.zeros(features.shape[1]), np.zeros(())
    losses = []
    for _ in range(epochs):
        error = b + features @ w - train[1]
        w, b = step(w, b, 2 * features.T @ error / len(error), 2 * error.mean())
        losses.append([np.mean((b + f @ w - y) ** 2) for f, y in [(features, train[1]), (other_features, other[1])]])
    train_losses, other_losses = np.array(losses).T
    return train_losses, other_losses, lambda x: b + waves(x) @ w


def gradient_descent(w, b, w_gradient, b_gradient, learning_rate=0.06):
    """One plain update: no decay of the weights."""
    return w - learning_rate * w_gradient, b - learning_rate * b_gradient


# %% picture="early_stopping"
with picture("early_stopping"):
    train, held_out = (times[:20], depths[:20]), gauge(40, np.random.default_rng(6))
    train_losses, validation_losses, _ = train_waves(gradient_descent, train, held_out, 3000)
    best, last = early_stopping(validation_losses.tolist(), patience=50)
    epochs = np.arange(1, 3001)  # drawn from 1 on: the axis is logarithmic
    figure, axes = plt.subplots(figsize=(7.4, 3.8), layout="constrained")
    for losses, name, color in [(train_losses, "training", BLUE), (validation_losses, "validation", ORANGE)]:
        axes.plot(epochs[: last + 1], losses[: last + 1], color=color, linewidth=2, label=name)
        axes.plot(epochs[last:], losses[last:], color=color, linewidth=1, linestyle=":")
    axes.plot(best + 1, validation_losses[best], "o", color=RED, markersize=9, label=f"kept: epoch {best}")
    axes.axvline(last + 1, color=GREY, linestyle="--", label=f"stopped: epoch {last}")
    axes.set(xlabel="epochs run", ylabel="loss (m²)", xscale="log", yscale="log", title="The dotted part is never run")
    axes.legend(frameon=False, loc="lower left")

# %% [markdown]
# ## 9. Small weights
#
# A curve that bends wildly needs large weights. So pull each weight a little towards zero in every update. That is
# what gradient descent does by itself with the regularized loss: the derivative of $\frac{\lambda}{2} \lVert w \rVert^2$
# is $\lambda w$ (this is why the half is there), and
#
# $$w \leftarrow w - \eta \left(\frac{\partial L}{\partial w} + \lambda w\right)
#   = (1 - \eta \lambda)\, w - \eta \frac{\partial L}{\partial w}$$
#
# In each step a weight loses the share $\eta\lambda$ of itself: **weight decay** (Krogh and Hertz, *A Simple Weight
# Decay Can Improve Generalization*, 1991). The bias only moves the curve up and down. Leave it alone.


# %% problem="weight_decay_step"
def weight_decay_step(
    w: np.ndarray,
    b: np.ndarray,
    w_gradient: np.ndarray,
    b_gradient: np.ndarray,
    learning_rate: float,
    weight_decay: float,
) -> tuple[np.ndarray, np.ndarray]:
    """One step of gradient descent on L'(w, b) = L(w, b) + λ/2 ||w||²: the weights decay, the biases do not.

    w: the weights, any shape. b: the biases, any shape. Floating point, one dtype for all four arrays.
    w_gradient, b_gradient: ∂L/∂w and ∂L/∂b (of L, not of L') at (w, b), of the shapes of w and b.
    learning_rate: η. weight_decay: λ, at least 0.
    Returns the new (w, b): new arrays of the same shapes and dtype. The arguments are not changed.
    """
    ### BEGIN SOLUTION
    w = (1 - learning_rate * weight_decay) * w - learning_rate * w_gradient
    return w, b - learning_rate * b_gradient
    ### END SOLUTION


# %% tests="weight_decay_step"
zero = np.zeros(1)
w, b = weight_decay_step(np.array([4.0]), np.array([4.0]), zero, zero, learning_rate=0.5, weight_decay=0.5)
np.testing.assert_allclose(w, [3.0], err_msg="Without a gradient, a weight loses the share eta lambda = 1/4 of itself.")
np.testing.assert_allclose(b, [4.0], err_msg="A bias does not decay.")
w, b = weight_decay_step(np.array([4.0]), np.array([4.0]), zero + 2, zero + 2, learning_rate=0.5, weight_decay=0.0)
np.testing.assert_allclose([w, b], [[3.0], [3.0]], err_msg="With lambda = 0, this is plain gradient descent.")

# %% picture="weight_decay"
with picture("weight_decay_step"):
    train, calm = (times[:20], depths[:20]), gauge(500, np.random.default_rng(9))

    def train_with_decay(decay: float) -> tuple[np.ndarray, np.ndarray, Callable]:
        return train_waves(lambda *state: weight_decay_step(*state, 0.06, decay), train, calm, 3000)

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.9), layout="constrained")
    draw_harbour(left, *train)
    for decay, color in [(0.0, RED), (0.03, GREEN), (1.0, BLUE)]:
        left.plot(LINE, train_with_decay(decay)[2](LINE), color=color, label=rf"$\lambda$ = {decay:g}")
    left.set(ylabel="depth (m)", title="After 3000 epochs")
    left.legend(frameon=False, loc="lower right")
    decays = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
    ends = np.array([[losses[-1] for losses in train_with_decay(decay)[:2]] for decay in decays])
    right.plot(ends[:, 0], "o:", color=BLUE, label="training")
    right.plot(ends[:, 1], "o-", color=GREY, label="test")
    right.set_xticks(range(len(decays)), [f"{decay:g}" for decay in decays])
    right.set(xlabel=r"$\lambda$", ylabel="loss (m²)", yscale="log", title="Too little, right, too much")
    right.legend(frameon=False)

# %% [markdown]
# ## 10. Dropout
#
# A team in which everybody may be ill tomorrow learns not to rely on one person. In training, **dropout** sets each
# unit to zero with probability $p$, anew for every example and every update (Srivastava et al., *Dropout: A Simple Way
# to Prevent Neural Networks from Overfitting*, 2014). At test time the whole team is there.
#
# But then the next layer gets more than it was used to: in training only the share $1 - p$ was present. The
# *inverted* form settles this in training: whoever is present speaks louder, by $1 / (1 - p)$. So the mean is as it
# will be, and at test time nothing needs to be done.


# %% problem="dropout"
def dropout(x: np.ndarray, p: float, training: bool, rng: np.random.Generator) -> np.ndarray:
    """Inverted dropout: in training each entry is 0 with probability p, and x / (1 - p) otherwise.

    x: any shape, floating point. It is not changed. Each entry is dropped or kept independently of all others.
    p: the probability of being DROPPED, at least 0 and below 1. With p = 0 nothing is dropped.
    training: True in training; if False, the values of x are returned as they are.
    rng: the only source of randomness, so that an equally seeded `rng` gives the same result again; another call
        with the same `rng` drops other entries.
    Returns the shape and dtype of x.
    """
    ### BEGIN SOLUTION
    if not training:
        return x
    keep = rng.random(x.shape) >= p
    return x * keep / (1 - p)
    ### END SOLUTION


# %% tests="dropout"
x = np.ones((100, 100))
out = dropout(x, p=0.75, training=True, rng=np.random.default_rng(0))
assert np.shape(out) == (100, 100), "The output has the shape of the input."
assert set(np.unique(out)) == {0.0, 4.0}, "With p = 0.75, an entry 1 becomes 0, or 1 / (1 - 0.75) = 4."
assert abs(np.mean(out == 0) - 0.75) < 0.05, "p is the share that is dropped. How many are zero?"
assert abs(np.mean(out) - 1) < 0.2, "On average, nothing is lost."
np.testing.assert_array_equal(
    dropout(x, 0.75, training=False, rng=np.random.default_rng(0)), x, "Outside of training, nothing is dropped."
)

# %% picture="dropout"
with picture("dropout"):
    rng = np.random.default_rng(0)
    digit = load_digits().images[8] / 16
    figure, panels = plt.subplots(3, 6, figsize=(9, 4.9), layout="constrained")
    for row, p in zip(panels, [0.2, 0.5, 0.8], strict=True):
        versions = [dropout(digit, p, True, rng) for _ in range(2000)]
        shown = [
            *versions[:3],
            np.mean(versions[:20], axis=0),
            np.mean(versions, axis=0),
            dropout(digit, p, False, rng),
        ]
        names = ["training", "again", "and again", "mean of 20", "mean of 2000", "eval"]
        for axes, image, name in zip(row, shown, names, strict=True):
            axes.imshow(image, cmap="Greys", vmin=0, vmax=1.2)
            axes.set(xticks=[], yticks=[])
            if p == 0.2:
                axes.set_title(name, fontsize=10)
        row[0].set_ylabel(f"p = {p}")

# %% [markdown]
# ## 11. More data for free
#
# The best medicine is more data. Where there are none to be had, make some: **data augmentation**. A digit that has
# moved by a pixel is still the same digit. (Is a digit turned upside down still the same? A 6 is not. Only augment in
# ways that could really happen.) What moves out of the picture is gone, and what comes in is empty paper.


# %% problem="random_shift"
def random_shift(images: np.ndarray, max_shift: int, rng: np.random.Generator) -> np.ndarray:
    """Every image, shifted by a random whole number of pixels down or up and right or left.

    images: shape (N, H, W), any dtype, N at least 1. They are not changed.
    max_shift: s, at least 0, smaller than H and W. For each image a vertical and a horizontal shift are drawn,
        independently of each other and of the other images, each uniformly from -s, ..., -1, 0, 1, ..., s.
    Pixels that are shifted out of the image are lost, and the pixels that come in are 0.
    rng: the only source of randomness, so that an equally seeded `rng` gives the same result again.
    Returns new images, shape (N, H, W), dtype of images.
    """
    ### BEGIN SOLUTION
    _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (max_shift, max_shift), (max_shift, max_shift)))
    corners = rng.integers(2 * max_shift + 1, size=(len(images), 2))
    return np.stack([image[i : i + height, j : j + width] for image, (i, j) in zip(padded, corners, strict=True)])
    ### END SOLUTION


# %% tests="random_shift"
dot = np.zeros((500, 5, 5))
dot[:, 2, 2] = 7.0
shifted = random_shift(dot, max_shift=1, rng=np.random.default_rng(0))
assert np.shape(shifted) == (500, 5, 5), "As many images as before, of the same size."
_, rows, columns = np.nonzero(shifted)
assert len(rows) == 500, (
    "A dot in the middle can't leave the image with a shift of 1: it is there, once, in each image."
)
places = sorted(set(zip(rows.tolist(), columns.tolist(), strict=True)))
assert places == [(i, j) for i in (1, 2, 3) for j in (1, 2, 3)], "In 500 images, the dot lands on all 9 places around."
edge = np.zeros((200, 3, 3))
edge[:, 0, 0] = 1.0
shifted = random_shift(edge, max_shift=1, rng=np.random.default_rng(0))
assert not shifted[:, 2].any() and not shifted[:, :, 2].any(), "What leaves on one side must not come in on the other."

# %% [markdown]
# Does it help? A nearest-neighbour classifier knows its 300 training digits by heart and nothing else: it overfits by
# design. It is tested on digits as they are and on digits that a careless scanner has shifted by up to one pixel. The
# latter are a *mismatch*, and one that we understand: so we can make training data of that kind.

# %% picture="random_shift"
with picture("random_shift"):
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    train, test = order[:300], order[300:]

    def neighbour_errors(x: np.ndarray, y: np.ndarray, test_images: np.ndarray) -> float:
        """The share of test digits whose nearest training digit is another digit."""
        x, t = x.reshape(len(x), -1), test_images.reshape(len(test_images), -1)
        nearest = np.argmin((x**2).sum(axis=1) - 2 * t @ x.T, axis=1)
        return float(np.mean(y[nearest] != labels[test]))

    copies = [0, 1, 2, 4, 8, 16]
    scanned = random_shift(images[test], 1, rng)
    more = np.concatenate([images[train], *(random_shift(images[train], 1, rng) for _ in range(copies[-1]))])
    figure, panels = plt.subplot_mosaic(
        [["0", "1", "2", "curve"], ["3", "4", "5", "curve"]],
        figsize=(11, 3.7),
        layout="constrained",
        width_ratios=[1, 1, 1, 3.2],
    )
    for name, image in zip("012345", [images[train[0]], *more[300::300][:5]], strict=True):
        panels[name].imshow(image, cmap="Greys")
        panels[name].set(xticks=[], yticks=[], title="the digit" if name == "0" else "shifted")
    for test_images, name, color in [(images[test], "as they are", BLUE), (scanned, "shifted", ORANGE)]:
        errors = [neighbour_errors(more[: 300 * (1 + n)], np.tile(labels[train], 1 + n), test_images) for n in copies]
        panels["curve"].plot(range(len(copies)), errors, "o-", color=color, label=f"test digits {name}")
    panels["curve"].set_xticks(range(len(copies)), copies)
    panels["curve"].set(xlabel="shifted copies of each training digit", ylabel="share of errors", ylim=(0, None))
    panels["curve"].set_title("The same 300 digits, seen in more ways")
    panels["curve"].legend(frameon=False)

# %% [markdown]
# ## Bonus: a hundred harbours
#
# Why is a stiff model bad, and why a flexible one? Imagine a hundred harbours with the same tide and different waves.
# In each, somebody takes readings and fits the same kind of model: $f_1, \dots, f_K$. Call their average $\bar f$.
# - **Bias:** how far the *average* harbour is from the truth. Stiff models are all wrong in the same way.
# - **Variance:** how far the harbours are from one another. Flexible models each follow their own waves.
#
# $$\text{bias}^2 = \operatorname*{mean}_x \left(\bar f(x) - f(x)\right)^2, \qquad
#   \text{variance} = \operatorname*{mean}_x \frac{1}{K} \sum_{k=1}^{K} \left(f_k(x) - \bar f(x)\right)^2$$
#
# The expected error on new readings is their sum, plus the noise of a reading, which nobody can remove (Geman,
# Bienenstock and Doursat, *Neural Networks and the Bias/Variance Dilemma*, 1992). The flow chart's "model bias" is
# the first of them, and overfitting is the second.


# %% problem="bias_and_variance"
def bias_and_variance(
    fit: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]],
    x: np.ndarray,
    truth: np.ndarray,
    n_sets: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """The squared bias and the variance of an estimator, over K training sets.

    fit: fit(x_train, y_train) returns a model f_k, a function: f_k(x) predicts, shape (M,) for x of shape (M,).
    draw: draw(rng) returns a new training set (x_train, y_train). Call it exactly n_sets times, with the `rng` that
        you were given, and fit one model to each set.
    x: the points where the models are judged, shape (M,). truth: the true f(x), without noise, shape (M,).
    n_sets: K, at least 1.
    Returns (bias², variance), two numbers: bias² = mean over x of (f̄(x) - f(x))², and
    variance = mean over x of 1/K Σ_k (f_k(x) - f̄(x))², with f̄(x) = 1/K Σ_k f_k(x).
    """
    ### BEGIN SOLUTION
    predictions = np.array([fit(*draw(rng))(x) for _ in range(n_sets)])
    average = predictions.mean(axis=0)
    return float(np.mean((average - truth) ** 2)), float(predictions.var(axis=0).mean())
    ### END SOLUTION


# %% tests="bias_and_variance"
def fit_constant(x, y):
    """The model that predicts the mean of its training set everywhere."""
    return lambda x: np.full(len(x), np.mean(y))


levels = iter([1.0, 5.0])
bias, variance = bias_and_variance(
    fit_constant,
    lambda rng: (np.zeros(2), np.full(2, next(levels))),
    x=np.zeros(3),
    truth=np.zeros(3),
    n_sets=2,
    rng=np.random.default_rng(0),
)
assert np.isclose(bias, 9), "The models say 1 and 5, on average 3. The truth is 0: the squared bias is 9."
assert np.isclose(variance, 4), "The models say 1 and 5: each is 2 away from their average 3."

# %% picture="bias_and_variance"
with picture("polynomial_features", "ridge_fit", "bias_and_variance"):
    figure, panels = plt.subplots(1, 4, figsize=(14, 3.6), layout="constrained")

    def one_summer(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Twenty readings, evenly spread over the day."""
        x = np.linspace(-1, 1, 20)
        return x, tide(x) + rng.normal(scale=NOISE, size=20)

    for axes, degree in zip(panels, [2, 5, 14], strict=False):
        rng = np.random.default_rng(0)
        curves = np.array([fit_polynomial(degree)(*one_summer(rng))(LINE) for _ in range(40)])
        axes.plot(LINE, curves.T, color=ORANGE, alpha=0.25, linewidth=0.8)
        axes.plot(LINE, tide(LINE), color="0.6", linewidth=4)
        axes.plot(LINE, curves.mean(axis=0), color="black", linewidth=1.2)
        axes.set(xlabel="time of day", xticks=[-1, 0, 1], xticklabels=["6:00", "noon", "18:00"], ylim=(-0.4, 5.6))
        axes.set_title(f"degree {degree}: 40 harbours")
    panels[0].set_ylabel("depth (m)")
    degrees = np.arange(15)
    parts = np.array(
        [
            bias_and_variance(fit_polynomial(d), one_summer, LINE, tide(LINE), 100, np.random.default_rng(3))
            for d in degrees
        ]
    )
    panels[3].plot(degrees, parts[:, 0], "o-", markersize=3, color=BLUE, label="bias²")
    panels[3].plot(degrees, parts[:, 1], "o-", markersize=3, color=ORANGE, label="variance")
    panels[3].plot(degrees, parts.sum(axis=1), color="black", label="their sum")
    panels[3].set(
        xlabel="degree $d$",
        ylabel="m²",
        yscale="log",
        ylim=(5e-4, 5),
        title="A bargain in the middle",
        xticks=degrees[::2],
    )
    panels[3].legend(frameon=False)

# %% [markdown]
# ## What you have built
#
# A set of instruments (splits, folds, scores), a chart that says which illness it is, and four medicines against
# overfitting. One illness was only named: *optimization*. If a smaller model does better on the training data, the
# large one got stuck on its way down. Where and why, and what can be done, is the story of the next lectures: critical
# points, batches, momentum and the learning rate.
