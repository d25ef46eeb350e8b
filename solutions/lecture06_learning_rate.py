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
# # Lecture 6: Learning rate
#
# The loss has stopped falling. "A critical point," says everybody. So you look at the gradient, and it is as large as
# ever: the parameters are not resting in a valley, they bounce from one of its walls to the other. What is wrong is
# not where they are, but **how far they step**.
#
# In this notebook you ride a bicycle down a gorge. Gradient descent is a bicycle with one gear and no brakes. You will
# build what it lacks:
# - **gears**: a learning rate of its own for each parameter, large where it is flat and small where it is steep
#   (Adagrad);
# - **a brake** that feels the slope of the last few metres, not of the whole tour (RMSProp);
# - **a watch**: start gently, be fast, arrive slowly (warm-up and decay);
# - and all of it on one bicycle: Adam and its relatives, first in NumPy, then as a `torch.optim.Optimizer` that does
#   what PyTorch's does, step for step.
#
# **Time:** about three and a half hours, and half an hour more for the bonus. You need NumPy, a little PyTorch, and
# Lecture 5's momentum.
#
# **How it is graded**
# - Each problem comes with public tests right below it. Run them as often as you like.
# - Hidden tests then call your functions with other inputs: 100 points, and a bonus problem on top.
# - One question is answered in words and read by a person.
# - PyTorch's own adaptive optimizers and schedulers (`torch.optim.Adam`, `torch.optim.lr_scheduler.StepLR` and so on)
#   are what you build here, so a solution that uses one scores nothing. In your own experiments they are welcome.
#
# Keep the names of functions and arguments: that is how the tests find your work. Helpers of your own are welcome in any
# cell, but the tests and pictures use short names like `theta`, `sigma` or `path` as variables: call a helper
# `sigma_of`, say, and not `sigma`, or they overwrite it.

# %% [markdown]
# ## The notation of the lecture
#
# | symbol | in code | what it is |
# |---|---|---|
# | $\theta_i^t$ | `theta` | parameter $i$ after $t$ updates |
# | $t$ | `t` | the number of an update. The first is $t = 0$: update $t$ turns $\theta^t$ into $\theta^{t+1}$ |
# | $g_i^t$ | `gradient` | the gradient at $\theta^t$, for parameter $i$ |
# | $\eta^t$ | `schedule(t)` | the learning rate of update $t$; just $\eta$, `learning_rate`, where it never changes |
# | $\sigma_i^t$ | `sigma` | the **magnitude**: how steep it has been for parameter $i$ |
# | $m_i^t$ | `m` | the **direction**: a weighted sum of the gradients so far |
#
# **Each parameter its own learning rate.** The steeper it has been, the shorter the step:
#
# $$\theta_i^{t+1} = \theta_i^t - \frac{\eta}{\sigma_i^t} g_i^t$$
#
# **Root mean square** (Adagrad): all past gradients count alike. **RMSProp**: recent gradients count more.
#
# $$\sigma_i^t = \sqrt{\frac{1}{t+1} \sum_{k=0}^t (g_i^k)^2} \qquad \qquad
#   \sigma_i^t = \sqrt{\alpha (\sigma_i^{t-1})^2 + (1-\alpha) (g_i^t)^2}, \quad \sigma_i^0 = |g_i^0|$$
#
# **Learning rate scheduling.** $\eta$ becomes $\eta^t$: *decay* makes it smaller with time; *warm-up* lets it rise
# first. **All together**, with a direction that remembers:
#
# $$\theta_i^{t+1} = \theta_i^t - \frac{\eta^t}{\sigma_i^t} m_i^t$$
#
# In Lecture 5, $m$ was a *movement*: it pointed downhill and had $\eta$ inside. Here it is a sum of *gradients*: it
# points uphill, and $\eta$ waits outside. That is why it is now subtracted.
#
# While you work, ask of every formula: *whose* gradients does this number remember, and *for how long*?

# %%
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

torch.set_num_threads(1)  # for tensors as small as ours, threads would mostly wait for one another
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 90})
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#3366aa", "#e07b39", "#3a8f5c", "#c43c4e", "#7d4f9e", "#9a9a9a"


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
# ## The gorge
#
# Here is the tour. West to east the gorge falls gently; north to south its walls are a hundred times as steep. You
# start in the west, a little up the northern wall, and want to get to the star.


# %%
GORGE = np.diag([1.0, 100.0])  # the Hessian: curvature 1 along the gorge, 100 across
START = np.array([-4.0, 0.4])


def gorge_loss(theta: np.ndarray) -> float:
    """The height of the gorge at theta, shape (2,)."""
    return float(theta @ GORGE @ theta / 2)


def gorge_gradient(theta: np.ndarray) -> np.ndarray:
    """The slope of the gorge at theta, shape (2,)."""
    return GORGE @ theta


def ride(step: Callable[[np.ndarray, np.ndarray, int], np.ndarray], updates: int) -> np.ndarray:
    """The path of step(theta, gradient, t) from START, shape (updates + 1, 2)."""
    path = [START]
    for t in range(updates):
        path.append(step(path[-1], gorge_gradient(path[-1]), t))
    return np.array(path)


def draw_gorge(axes: plt.Axes, title: str) -> None:
    """The gorge from above, as contour lines, with its lowest point."""
    along, across = np.meshgrid(np.linspace(-4.3, 0.7, 120), np.linspace(-0.55, 0.55, 120))
    axes.contour(
        along, across, (along**2 + 100 * across**2) / 2, levels=np.geomspace(0.1, 20, 9), colors="0.82", linewidths=0.9
    )
    axes.plot(0, 0, marker="*", markersize=13, color="black", linestyle="none", zorder=5)
    axes.set(title=title, xlabel=r"along the gorge, $\theta_0$", ylabel=r"across, $\theta_1$")
    axes.set(xlim=(-4.3, 0.7), ylim=(-0.55, 0.55))


# %% picture="one_gear"
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
right.set(xlabel="updates", title="Stuck, with a gradient far from 0", ylim=(0, 85))
for axes, eta, color, title in [
    (left, 0.02, ORANGE, "learning rate 0.02: from wall to wall"),
    (middle, 0.001, BLUE, "learning rate 0.001: asleep on the floor"),
]:
    path = ride(lambda theta, gradient, t, eta=eta: theta - eta * gradient, updates=100)
    draw_gorge(axes, title)
    axes.plot(*path.T, color=color, marker=".", markersize=4, linewidth=1)
    slopes = [np.linalg.norm(gorge_gradient(theta)) for theta in path]
    right.plot([gorge_loss(theta) for theta in path], color=color, label=rf"loss, $\eta$ = {eta:.3g}")
    right.plot(slopes, color=color, linestyle=":", label="length of its gradient")
    right.legend(frameon=False, fontsize=9, loc="upper right")

# %% [markdown]
# One gear, and none that fits: what is good along the gorge is far too much across, and what is right across is next
# to nothing along. Neither ride ends at a critical point, and both look stuck.
#
# ## 1. How steep has it been?
#
# To choose a gear for each direction you have to know how steep it is there. The sign of the slope does not matter,
# only its size: square the gradients, take the mean over time, and the root brings back the unit. And each parameter
# keeps its own book: $\sigma_i$ looks at the gradients of parameter $i$ and of no other.


# %% problem="root_mean_square"
def root_mean_square(gradients: np.ndarray) -> np.ndarray:
    r"""The magnitude σ^t of each parameter: $\sigma_i^t = \sqrt{\frac{1}{t+1} \sum_{k=0}^t (g_i^k)^2}$.

    gradients: all gradients so far, g^0, ..., g^t, the oldest first: shape (t + 1, ...), floating point. There is at
        least one. The first axis is time; all other axes belong to the parameters, of any shape.
    Returns σ^t: the shape of one gradient (a single number for numbers), the dtype of the gradients.
    """
    ### BEGIN SOLUTION
    return np.sqrt(np.mean(gradients**2, axis=0))
    ### END SOLUTION


# %% tests="root_mean_square"
np.testing.assert_allclose(
    root_mean_square(np.array([[-3.0, 2.0]])), [3, 2], err_msg="One gradient alone: its root mean square is its size."
)
np.testing.assert_allclose(
    root_mean_square(np.array([[1.0], [-7.0]])), [5], err_msg="The mean of the squares 1 and 49 is 25: the root is 5."
)
assert np.shape(root_mean_square(np.ones((4, 2, 3)))) == (2, 3), "Four gradients of shape (2, 3): one sigma of (2, 3)."

# %% [markdown]
# ## 2. A gear for each direction: Adagrad
#
# Divide the step of each parameter by its $\sigma_i$. Where it has always been steep, the step gets short; where it
# is flat, it gets long. Duchi, Hazan and Singer (2011) had rare words in mind: a parameter that seldom sees a gradient
# should move the more when it does.
#
# Keeping all the gradients would fill the memory, and you don't need them. Call the mean of the first $t$ squares
# $(\sigma^{t-1})^2$. What is the mean of $t + 1$ squares, when one more comes in? Write it as a recursion.
#
# (Duchi and his colleagues divide by the root of the *sum*. The lecture divides by the root of the *mean*, and so
# will you: then the learning rate does not shrink by itself, and a schedule can take care of that.)


# %% problem="adagrad_step"
def adagrad_step(
    theta: np.ndarray, sigma: np.ndarray, gradient: np.ndarray, t: int, learning_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Update number t of Adagrad, in the lecture's form.

    $$\sigma_i^t = \sqrt{\frac{1}{t+1} \sum_{k=0}^t (g_i^k)^2} \qquad
    \theta_i^{t+1} = \theta_i^t - \frac{\eta}{\sigma_i^t} g_i^t$$

    theta, gradient: θ^t and g^t. sigma: σ^{t-1}, the root mean square of the t gradients g^0, ..., g^{t-1}. All three
        have one shape (any) and one floating dtype. They are not changed.
    t: 0 for the first update. Then σ^0 = |g^0|, and what was passed as `sigma` (some numbers, zeros for example)
        does not count.
    learning_rate: η.
    The lecture's form has no ε: however small the gradients are, their size cancels. Where σ_i^t is 0, parameter i
    has never had a gradient other than 0: it stays where it is.
    Returns (θ^{t+1}, σ^t), in this order: new arrays of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    sigma = np.sqrt((t * sigma**2 + gradient**2) / (t + 1))
    return theta - learning_rate * gradient / np.where(sigma > 0, sigma, 1), sigma
    ### END SOLUTION


# %% tests="adagrad_step"
theta, sigma = adagrad_step(np.array([5.0, 5.0]), np.zeros(2), np.array([100.0, -0.01]), t=0, learning_rate=0.5)
np.testing.assert_allclose(sigma, [100, 0.01], err_msg="After one gradient, sigma is its size.")
np.testing.assert_allclose(theta, [4.5, 5.5], err_msg="Steep or flat: the first step has length eta, downhill.")
theta, sigma = adagrad_step(np.array([5.0]), np.array([1.0]), np.array([7.0]), t=1, learning_rate=1.0)
np.testing.assert_allclose(sigma, [5], err_msg="One gradient of size 1 and now 7: the mean of the squares is 25.")
np.testing.assert_allclose(theta, [3.6], err_msg="Divide by the sigma that has seen the newest gradient: 5 - 7 / 5.")
theta, sigma = adagrad_step(np.array([5.0]), np.zeros(1), np.zeros(1), t=3, learning_rate=1.0)
np.testing.assert_allclose(theta, [5], err_msg="A parameter that has never had a gradient stays where it is.")

# %% [markdown]
# Look at the ride. Adagrad turns into the gorge and runs along it, and then, near the end, something bursts. Why? All
# the way along the floor the gradient *across* is nearly 0, so the mean of its squares gets smaller with every step,
# and the gear across gets higher and higher, until a little unevenness throws the bicycle against the wall. There the
# gradient is large again, $\sigma$ grows, the ride calms down, and the story repeats.


# %%
def adagrad_rider(schedule: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Your Adagrad for a ride: a function that remembers sigma and takes its learning rate from a schedule."""
    sigma = np.zeros(2)

    def step(theta, gradient, t):
        nonlocal sigma
        theta, sigma = adagrad_step(theta, sigma, gradient, t, schedule(t))
        return theta

    return step


# %% picture="the_burst"
with picture("adagrad_step"):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained", width_ratios=[3, 2])
    path = ride(adagrad_rider(lambda t: 0.3), updates=60)
    draw_gorge(left, "Adagrad with a constant learning rate of 0.3")
    left.plot(*path.T, color=ORANGE, marker=".", markersize=5, linewidth=1)
    slopes = path @ GORGE
    means = np.sqrt(np.cumsum(slopes**2, axis=0) / np.arange(1, len(path) + 1)[:, None])
    right.plot(0.3 / means[:, 1], color=ORANGE, label=r"its gear across, $\eta / \sigma_1^t$")
    right.axhline(2 / 100, color=GREY, linestyle="--", label="beyond 2 / 100 the walls throw it back")
    right.set(xlabel="updates", yscale="log", title="The gear that crept up")
    right.legend(frameon=False)

# %% [markdown]
# ## 3. A brake: RMSProp
#
# The error surface is not the same all along the way. On a sudden slope, an average over the whole tour hardly moves:
# a thousand easy metres are behind you, and the bicycle takes the slope in the gear of the plain. A **brake** has to
# feel what is under the wheels *now*. RMSProp, which Hinton proposed in a lecture (Tieleman and Hinton 2012), lets old
# squares fade: a share of $\alpha$ of the old $\sigma^2$ is kept, and $1 - \alpha$ is the newest square.
#
# The first gradient has no past, and nothing to be mixed with: $\sigma^0 = |g^0|$.


# %% problem="rmsprop_step"
def rmsprop_step(
    theta: np.ndarray, sigma: np.ndarray, gradient: np.ndarray, t: int, learning_rate: float, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Update number t of RMSProp, in the lecture's form.

    $$\sigma_i^0 = |g_i^0| \qquad \sigma_i^t = \sqrt{\alpha (\sigma_i^{t-1})^2 + (1-\alpha) (g_i^t)^2} \qquad
    \theta_i^{t+1} = \theta_i^t - \frac{\eta}{\sigma_i^t} g_i^t$$

    theta, gradient: θ^t and g^t. sigma: σ^{t-1}. All three have one shape (any) and one floating dtype. They are
        not changed.
    t: 0 for the first update. Then σ^0 = |g^0|, and what was passed as `sigma` (some numbers, zeros for example)
        does not count.
    learning_rate: η. alpha: α, from 0 up to 1: how much of the past is kept.
    The lecture's form has no ε: however small the gradients are, their size cancels. Where σ_i^t is 0, parameter i
    stays where it is.
    Returns (θ^{t+1}, σ^t), in this order: new arrays of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    sigma = np.abs(gradient) if t == 0 else np.sqrt(alpha * sigma**2 + (1 - alpha) * gradient**2)
    return theta - learning_rate * gradient / np.where(sigma > 0, sigma, 1), sigma
    ### END SOLUTION


# %% tests="rmsprop_step"
theta, sigma = rmsprop_step(np.array([5.0]), np.zeros(1), np.array([-8.0]), t=0, learning_rate=0.5, alpha=0.9)
np.testing.assert_allclose(sigma, [8], err_msg="The first sigma is the size of the first gradient, whatever alpha is.")
np.testing.assert_allclose(theta, [5.5], err_msg="So the first step has the length eta, downhill.")
theta, sigma = rmsprop_step(np.array([5.0]), np.array([1.0]), np.array([7.0]), t=1, learning_rate=1.0, alpha=0.5)
np.testing.assert_allclose(sigma, [5], err_msg="Half of 1 squared and half of 7 squared make 25.")
np.testing.assert_allclose(theta, [3.6], err_msg="Divide by the sigma that has seen the newest gradient: 5 - 7 / 5.")
_, sigma = rmsprop_step(np.array([5.0]), np.array([5.0]), np.zeros(1), t=9, learning_rate=1.0, alpha=0.64)
np.testing.assert_allclose(sigma, [4], err_msg="On level ground, a share of alpha of the old square is left.")

# %% [markdown]
# Two riders cross a plain, then forty metres of steep rock, then a plain again. Whose brake grips at the first rock?
# And who lets go of it afterwards?

# %% picture="the_brake"
with picture("adagrad_step", "rmsprop_step"):
    slopes = np.concatenate([np.full(60, 1.0), np.full(40, 8.0), np.full(60, 1.0)])
    felt = {"Adagrad": [], r"RMSProp, $\alpha$ = 0.9": []}
    all_so_far, recent = np.zeros(1), np.zeros(1)
    for t, slope in enumerate(slopes[:, None]):
        _, all_so_far = adagrad_step(np.zeros(1), all_so_far, slope, t, 1.0)
        _, recent = rmsprop_step(np.zeros(1), recent, slope, t, 1.0, 0.9)
        for trace, sigma in zip(felt.values(), [all_so_far, recent], strict=True):
            trace.append(sigma[0])
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5), layout="constrained")
    left.fill_between(np.arange(160), slopes, step="mid", color="0.9", label="the slope under the wheels")
    for (name, trace), color in zip(felt.items(), [ORANGE, BLUE], strict=True):
        left.plot(trace, color=color, label=rf"$\sigma$ of {name}")
        right.plot(slopes / trace, color=color, label=name)
    left.set(xlabel="updates", ylabel="slope", title="What each rider remembers")
    right.axhline(1, color="0.85", zorder=0)
    right.set(xlabel="updates", ylabel=r"length of the step, over $\eta$", title="How far each step goes")
    left.legend(frameon=False, loc="upper left", fontsize=9)
    right.legend(frameon=False)

# %% [markdown]
# ## 4. A watch: learning rate decay
#
# At first you are far away, and long steps are welcome. Near the end they only carry you past the goal. So let $\eta$
# shrink with time. A **schedule** is a function of $t$ alone. Here are the three that you will meet most often; for all
# of them $t = 0$ is the first update, and it gets the full $\eta^0$.
#
# **Step decay** goes down a staircase: every so many updates, $\eta$ is multiplied by $\gamma$.


# %% problem="step_decay"
def step_decay(t: int, learning_rate: float, every: int, gamma: float) -> float:
    r"""The learning rate of update t, cut every so many updates.

    $$\eta^t = \gamma^{\lfloor t / \text{every} \rfloor} \eta^0$$

    t: the number of the update, 0 for the first. learning_rate: η^0.
    every: how many updates are made between two cuts, at least 1: updates 0, ..., every - 1 use η^0, the next `every`
        updates use γ η^0, and so on.
    gamma: γ, above 0, at most 1.
    Returns η^t, a number.
    """
    ### BEGIN SOLUTION
    return learning_rate * gamma ** (t // every)
    ### END SOLUTION


# %% tests="step_decay"
assert step_decay(0, 0.8, every=3, gamma=0.5) == 0.8, "The first update has the full learning rate."
assert step_decay(2, 0.8, every=3, gamma=0.5) == 0.8, "Updates 0, 1 and 2 are three updates without a cut."
assert step_decay(3, 0.8, every=3, gamma=0.5) == 0.4, "After three updates comes the first cut."
assert step_decay(6, 0.8, every=3, gamma=0.5) == 0.2, "Each cut multiplies what is left."

# %% [markdown]
# **Exponential decay** is a slide instead of a staircase: each update has the same share $\gamma$ of the learning rate
# of the update before.


# %% problem="exponential_decay"
def exponential_decay(t: int, learning_rate: float, gamma: float) -> float:
    r"""The learning rate of update t, multiplied by γ from each update to the next: $\eta^t = \gamma^t \eta^0$.

    t: the number of the update, 0 for the first. learning_rate: η^0. gamma: γ, above 0, at most 1.
    Returns η^t, a number.
    """
    ### BEGIN SOLUTION
    return learning_rate * gamma**t
    ### END SOLUTION


# %% tests="exponential_decay"
assert exponential_decay(0, 0.8, gamma=0.5) == 0.8, "The first update has the full learning rate."
assert exponential_decay(1, 0.8, gamma=0.5) == 0.4, "From one update to the next, a share of gamma is left."
assert math.isclose(exponential_decay(3, 0.8, gamma=0.1), 0.0008), "Three times a tenth is a thousandth."

# %% [markdown]
# **Cosine decay** (Loshchilov and Hutter 2017) knows when the tour ends. It leaves the top gently, is fastest half-way,
# and arrives gently: half a period of the cosine, from its crest to its trough.


# %% problem="cosine_decay"
def cosine_decay(t: int, learning_rate: float, total: int, floor: float = 0.0) -> float:
    r"""The learning rate of update t, on half a period of the cosine from η^0 down to a floor.

    $$\eta^t = \eta_{\min} + \frac{1}{2} (\eta^0 - \eta_{\min}) \Big(1 + \cos \frac{\pi t}{T}\Big)
    \quad \text{for } t \le T, \qquad \eta^t = \eta_{\min} \quad \text{for } t \ge T$$

    t: the number of the update, 0 for the first, which has η^0. learning_rate: η^0.
    total: T, at least 1: update number T has η_min, and so have all after it.
    floor: η_min, from 0 up to η^0.
    Returns η^t, a number.
    """
    ### BEGIN SOLUTION
    progress = min(t / total, 1)
    return floor + (learning_rate - floor) * (1 + math.cos(math.pi * progress)) / 2
    ### END SOLUTION


# %% tests="cosine_decay"
assert math.isclose(cosine_decay(0, 0.8, total=10), 0.8), "The first update has the full learning rate."
assert math.isclose(cosine_decay(5, 0.8, total=10), 0.4), "Half-way down in half the time."
assert math.isclose(cosine_decay(5, 0.8, total=10, floor=0.2), 0.5), "With a floor of 0.2, half-way is at 0.5."
assert math.isclose(cosine_decay(10, 0.8, total=10, floor=0.2), 0.2), "Update number T has reached the floor."

# %% [markdown]
# Remember the burst in the gorge? Give Adagrad a watch.

# %% picture="decay"
with picture("step_decay", "exponential_decay", "cosine_decay", "adagrad_step"):
    schedules = {
        "constant": lambda t: 0.3,
        "step decay": lambda t: step_decay(t, 0.3, every=20, gamma=0.4),
        "exponential decay": lambda t: exponential_decay(t, 0.3, gamma=0.96),
        "cosine decay": lambda t: cosine_decay(t, 0.3, total=60),
    }
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for (name, schedule), color in zip(schedules.items(), [GREY, GREEN, BLUE, PURPLE], strict=True):
        path = ride(adagrad_rider(schedule), updates=70)
        panels[0].plot([schedule(t) for t in range(70)], color=color, label=name)
        panels[2].plot([gorge_loss(theta) for theta in path], color=color, label=name)
        if name in ("constant", "exponential decay"):
            panels[1].plot(*path.T, color=color, marker=".", markersize=4, linewidth=1, label=name)
    draw_gorge(panels[1], "Adagrad in the gorge")
    panels[0].set(xlabel="update $t$", ylabel=r"learning rate $\eta^t$", title="Three ways down", ylim=(0, 0.32))
    panels[2].set(xlabel="updates", ylabel="loss", yscale="log", title="Decay tames the burst", ylim=(1e-6, 30))
    for axes in panels:
        axes.legend(frameon=False, fontsize=9)

# %% [markdown]
# ## 5. Black technology: warm-up
#
# Before they decay, many schedules *rise*: the first updates are made with a tiny learning rate. The lecture calls it a
# black technology: the residual network, the Transformer and BERT all come with it, and it was in use long before
# anybody could say why. One explanation (Liu et al. 2020): $\sigma$ is a *statistic*. After three gradients it is a
# guess, and whoever divides by a guess that happens to be far too small takes a far too long step. So first look
# around, and learn how steep it is; then ride.
#
# Here are the gears $1 / \sigma^t$ of two thousand parameters that all see gradients of the *same* kind, with mean 0
# and variance 1. All should be near 1. How many updates does it take, until nearly all of them are?

# %% picture="the_first_gears"
with picture("root_mean_square"):
    rng = np.random.default_rng(6)
    noise = rng.normal(size=(30, 2000))
    gears = np.array([1 / root_mean_square(noise[: t + 1]) for t in range(len(noise))])
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    counts = np.arange(1, len(noise) + 1)
    for low, high, shade in [(0, 100, 0.15), (5, 95, 0.35), (25, 75, 0.6)]:
        label = "all of them" if low == 0 else f"the middle {high - low} %"
        axes.fill_between(
            counts, *np.percentile(gears, [low, high], axis=1), color=BLUE, alpha=shade, linewidth=0, label=label
        )
    axes.axhline(1, color="black", linewidth=1)
    axes.set(yscale="log", xlabel="gradients seen, $t + 1$", ylabel=r"gear $1 / \sigma^t$", xlim=(1, 30))
    axes.set_title("In the beginning, a gear is a guess")
    axes.legend(frameon=False)

# %% [markdown]
# **Warm-up, then the inverse square root** (Vaswani et al. 2017, the schedule of the Transformer). For the rise it is
# handy to count from one: let $s = t + 1$, so that the first update is number $s = 1$, and its learning rate is *not*
# zero: an update with $\eta = 0$ would be thrown away. With $W$ updates of warm-up, $\eta$ rises along a straight line
# until it reaches its peak in update $s = W$; then it falls as $1 / \sqrt s$. At the seam the two pieces must meet.


# %% problem="warmup_inverse_sqrt"
def warmup_inverse_sqrt(t: int, peak: float, warmup: int) -> float:
    r"""The learning rate of update t: a linear rise to the peak, then a fall as one over the square root.

    With $s = t + 1$, the number of the update counted from 1, and $W$ updates of warm-up:

    $$\eta^t = \text{peak} \cdot \frac{s}{W} \quad \text{for } s \le W, \qquad
    \eta^t = \text{peak} \cdot \sqrt{\frac{W}{s}} \quad \text{for } s \ge W$$

    t: the number of the update, 0 for the first, which has peak / W. Update t = W - 1 has the peak.
    peak: the largest learning rate. warmup: W, at least 1; with W = 1 the first update has the peak.
    Returns η^t, a number.
    """
    ### BEGIN SOLUTION
    s = t + 1
    return peak * min(s / warmup, math.sqrt(warmup / s))
    ### END SOLUTION


# %% tests="warmup_inverse_sqrt"
assert math.isclose(warmup_inverse_sqrt(0, 0.8, warmup=4), 0.2), "The first of four steps up: a quarter of the peak."
assert math.isclose(warmup_inverse_sqrt(3, 0.8, warmup=4), 0.8), "The fourth update, t = 3, has the peak."
assert math.isclose(warmup_inverse_sqrt(15, 0.8, warmup=4), 0.4), "Four times as late, half of the peak."

# %% [markdown]
# **Warm-up, then the cosine**: the same rise, then your `cosine_decay`, started anew at the peak, down to a floor in
# the very last update. How many updates are left for the way down?


# %% problem="warmup_cosine"
def warmup_cosine(t: int, peak: float, warmup: int, total: int, floor: float = 0.0) -> float:
    r"""The learning rate of update t: a linear rise to the peak, then half a period of the cosine down to a floor.

    With $s = t + 1$, the number of the update counted from 1, $W$ updates of warm-up and $T$ updates in all:

    $$\eta^t = \text{peak} \cdot \frac{s}{W} \quad \text{for } s \le W, \qquad
    \eta^t = \eta_{\min} + \frac{1}{2} (\text{peak} - \eta_{\min}) \Big(1 + \cos \frac{\pi (s - W)}{T - W}\Big)
    \quad \text{for } W \le s \le T$$

    t: the number of the update, 0 for the first, which has peak / W. Update t = W - 1 has the peak; the last of the T
        updates, t = T - 1, has η_min, and so have all after it (t ≥ T), should somebody go on.
    peak: the largest learning rate. warmup: W, at least 1. total: T, larger than W.
    floor: η_min, from 0 up to the peak. The rise does not know it: it aims from 0 at the peak.
    Returns η^t, a number.
    """
    ### BEGIN SOLUTION
    s = t + 1
    return peak * s / warmup if s < warmup else cosine_decay(s - warmup, peak, total - warmup, floor)
    ### END SOLUTION


# %% tests="warmup_cosine"
assert math.isclose(warmup_cosine(0, 0.8, warmup=4, total=10), 0.2), (
    "The first of four steps up: a quarter of the peak."
)
assert math.isclose(warmup_cosine(3, 0.8, warmup=4, total=10), 0.8), "The fourth update, t = 3, has the peak."
assert math.isclose(warmup_cosine(6, 0.8, warmup=4, total=10), 0.4), (
    "Three of the six updates that lead down: half-way."
)
assert math.isclose(warmup_cosine(9, 0.8, warmup=4, total=10, floor=0.1), 0.1), "The last of ten updates has the floor."

# %% picture="warm_up"
with picture("warmup_inverse_sqrt", "warmup_cosine"):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained", width_ratios=[3, 2])
    t = range(200)
    left.plot([warmup_inverse_sqrt(k, 1.0, warmup=20) for k in t], color=ORANGE, label="inverse square root, W = 20")
    left.plot([warmup_inverse_sqrt(k, 1.0, warmup=60) for k in t], "--", color=ORANGE, label="the same, W = 60")
    left.plot([warmup_cosine(k, 1.0, 20, 200) for k in t], color=PURPLE, label="cosine, W = 20, T = 200")
    right.plot(range(6), [warmup_cosine(k, 1.0, 4, 200) for k in range(6)], "o-", color=PURPLE)
    for k in range(4):
        right.annotate(f"{k + 1}/4", (k, (k + 1) / 4), (k + 0.15, (k + 1) / 4 - 0.07), color=GREY)
    left.set(xlabel="update $t$", ylabel=r"$\eta^t$ over its peak", title="Up, and down again", ylim=(0, 1.25))
    right.set(xlabel="update $t$", title="The first steps up, for W = 4: none is wasted", ylim=(0, 1.15))
    left.legend(frameon=False, loc="upper right", ncols=3, fontsize=9)

# %% [markdown]
# ## 6. Three answers in one formula
#
# Now you have all three parts of the lecture's summary. $m^t$ says **which way**, $\sigma^t$ says **how steep**, and
# $\eta^t$ says **how late it is**:
#
# $$\theta_i^{t+1} = \theta_i^t - \frac{\eta^t}{\sigma_i^t} m_i^t$$
#
# Note what $m$ and $\sigma$ are made of: the *same* gradients. They don't cancel: $m$ adds them up with their signs, so
# that a push to the left makes up for a push to the right; $\sigma$ squares the signs away.


# %% problem="combined_update"
def combined_update(
    theta: np.ndarray, m: np.ndarray, sigma: np.ndarray, schedule: Callable[[int], float], t: int
) -> np.ndarray:
    r"""Update number t, with direction, magnitude and schedule.

    $$\theta_i^{t+1} = \theta_i^t - \frac{\eta^t}{\sigma_i^t} m_i^t$$

    theta: θ^t. m: m^t, the direction, a weighted sum of gradients (uphill, without η). sigma: σ^t, the magnitude, above
        0 everywhere. All three have one shape (any) and one floating dtype. They are not changed.
    schedule: schedule(t) is η^t, the learning rate of update number t, a float. t: 0 for the first update.
    Returns θ^{t+1}: a new array of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    return theta - schedule(t) / sigma * m
    ### END SOLUTION


# %% tests="combined_update"
theta = combined_update(np.array([5.0, 5.0]), np.array([2.0, -2.0]), np.array([4.0, 1.0]), lambda t: 0.5, t=0)
np.testing.assert_allclose(theta, [4.75, 6.0], err_msg="Against m, divided by the sigma of each parameter.")
theta = combined_update(np.array([5.0]), np.array([1.0]), np.array([1.0]), lambda t: [0.0, 0.1, 1.0][t], t=1)
np.testing.assert_allclose(theta, [4.9], err_msg="Update number 1 has the learning rate schedule(1).")

# %% [markdown]
# ## 7. Adam: momentum and RMSProp
#
# **Adam** (Kingma and Ba 2015) fills in the formula: $m$ is a fading mean of the gradients, and $v$, its $\sigma^2$, a
# fading mean of their squares.
#
# $$m^t = \beta_1 m^{t-1} + (1 - \beta_1) g^t \qquad v^t = \beta_2 v^{t-1} + (1 - \beta_2) (g^t)^2$$
#
# Both start from 0, and that is a catch. After the first gradient $m^0 = 0.1\,g^0$ and $v^0 = 0.001\,(g^0)^2$: a mean
# of one gradient and many zeros that never were. The weights of the gradients that *were* seen don't sum to 1 but to
# $1 - \beta^{t+1}$. (Lecture 5 had you sum such a series.) Divide by that, and the means are honest from the first
# update on: **bias correction**.
#
# $$\hat m^t = \frac{m^t}{1 - \beta_1^{t+1}} \qquad \hat v^t = \frac{v^t}{1 - \beta_2^{t+1}} \qquad
#   \theta^{t+1} = \theta^t - \eta \frac{\hat m^t}{\sqrt{\hat v^t} + \epsilon}$$
#
# The paper counts updates from 1 and writes $\beta^t$; we count from 0 and write $\beta^{t+1}$. It is the same number.


# %% problem="adam_step"
def adam_step(
    theta: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    gradient: np.ndarray,
    t: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Update number t of Adam (Kingma and Ba 2015, algorithm 1).

    $$m^t = \beta_1 m^{t-1} + (1 - \beta_1) g^t \qquad v^t = \beta_2 v^{t-1} + (1 - \beta_2) (g^t)^2$$
    $$\hat m^t = \frac{m^t}{1 - \beta_1^{t+1}} \qquad \hat v^t = \frac{v^t}{1 - \beta_2^{t+1}} \qquad
    \theta^{t+1} = \theta^t - \eta \frac{\hat m^t}{\sqrt{\hat v^t} + \epsilon}$$

    theta, gradient: θ^t and g^t. m, v: m^{t-1} and v^{t-1}, zeros before the first update. All four have one shape
        (any) and one floating dtype. They are not changed.
    t: 0 for the first update. learning_rate: η. beta1, beta2: at least 0, below 1. epsilon: ε, added *after* the root.
    Returns (θ^{t+1}, m^t, v^t), in this order, m and v *without* the correction, as the next update needs them: new
    arrays of the same shape and dtype (float32 stays float32).
    """
    ### BEGIN SOLUTION
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat = m / (1 - beta1 ** (t + 1))
    v_hat = v / (1 - beta2 ** (t + 1))
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v
    ### END SOLUTION


# %% tests="adam_step"
theta, m, v = adam_step(np.array([5.0]), np.zeros(1), np.zeros(1), np.array([-4.0]), t=0, learning_rate=0.5)
np.testing.assert_allclose(m, [-0.4], err_msg="m keeps a tenth of the first gradient, not yet corrected.")
np.testing.assert_allclose(v, [0.016], err_msg="v keeps a thousandth of its square, not yet corrected.")
np.testing.assert_allclose(theta, [5.5], err_msg="Corrected, m is the gradient and v its square: a step of length eta.")
theta, m, v = adam_step(np.array([5.0]), m, v, np.array([4.0]), t=1, learning_rate=0.5)
np.testing.assert_allclose(m, [0.04], err_msg="0.9 of the old m and 0.1 of the new gradient.")
np.testing.assert_allclose(theta, [4.973684], rtol=1e-6, err_msg="The correction of update 1 divides by 1 - beta^2.")
single = np.ones(2, dtype=np.float32)
for result in adam_step(single, single, single, single, t=3, learning_rate=0.1):
    assert result.dtype == np.float32, (
        "float32 became float64: a NumPy float64 scalar, such as np.sqrt(0.5), does that."
    )

# %% [markdown]
# The whole stable on one gorge, at last. Whose line is straight, who overshoots like a heavy ball, and who trembles at
# the goal for want of a watch?


# %%
def rmsprop_rider(schedule: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray, int], np.ndarray]:
    """Your RMSProp for a ride."""
    sigma = np.zeros(2)

    def step(theta, gradient, t):
        nonlocal sigma
        theta, sigma = rmsprop_step(theta, sigma, gradient, t, schedule(t), alpha=0.9)
        return theta

    return step


def adam_rider(schedule: Callable[[int], float], beta2: float = 0.999) -> Callable:
    """Your Adam for a ride."""
    m, v = np.zeros(2), np.zeros(2)

    def step(theta, gradient, t):
        nonlocal m, v
        theta, m, v = adam_step(theta, m, v, gradient, t, schedule(t), beta2=beta2)
        return theta

    return step


# %% picture="the_stable"
with picture("adagrad_step", "rmsprop_step", "adam_step", "exponential_decay"):
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    for axes, constant, title in [(panels[0], True, "without a watch"), (panels[1], False, "with exponential decay")]:
        draw_gorge(axes, f"120 updates, {title}")
        for name, rider, color in [
            ("RMSProp", rmsprop_rider, BLUE),
            ("Adam", adam_rider, GREEN),
        ]:
            path = ride(rider(lambda t, constant=constant: 0.1 if constant else exponential_decay(t, 0.15, 0.98)), 120)
            axes.plot(*path.T, color=color, marker=".", markersize=4, linewidth=1, label=name)
            panels[2].plot(
                [gorge_loss(theta) for theta in path],
                color=color,
                linestyle=":" if constant else "-",
                label=f"{name}, {title}",
            )
        axes.legend(frameon=False, loc="lower left")
    panels[2].set(xlabel="updates", ylabel="loss", yscale="log", title="Who arrives?")
    panels[2].legend(frameon=False, fontsize=9)

# %% [markdown]
# ## 8. AdamW: decay that nobody divides
#
# Lecture 3 pulled all weights a little towards 0. With gradient descent it makes no difference whether you add
# $\frac{\lambda}{2} \lVert \theta \rVert^2$ to the loss or shrink the weights by hand. With Adam it does. In the loss,
# the pull $\lambda \theta$ becomes part of the gradient, and the gradient is divided by $\sigma$: the weights with the
# *largest* gradients are then regularized the *least*. **AdamW** (Loshchilov and Hutter 2019) takes the pull out of the
# gradient. ($\lambda$ is the weight decay here; the momentum of Lecture 5 goes by the name of $\beta_1$ now.)


# %% problem="adamw_step"
def adamw_step(
    theta: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    gradient: np.ndarray,
    t: int,
    learning_rate: float,
    weight_decay: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Update number t of Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    $$\theta^{t+1} = \theta^t - \eta \Big( \frac{\hat m^t}{\sqrt{\hat v^t} + \epsilon} + \lambda \theta^t \Big)$$

    with m, v and their corrections as in Adam, made of the gradient alone. (This is what torch.optim.AdamW computes:
    the decay is multiplied by η.) You may call your `adam_step`.
    theta, gradient: θ^t and g^t. m, v: m^{t-1} and v^{t-1}, zeros before the first update. All four have one shape
        (any) and one floating dtype. They are not changed.
    t: 0 for the first update. learning_rate: η. weight_decay: λ, at least 0. beta1, beta2, epsilon: as in Adam.
    Returns (θ^{t+1}, m^t, v^t), in this order: new arrays of the same shape and dtype.
    """
    ### BEGIN SOLUTION
    stepped, m, v = adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return stepped - learning_rate * weight_decay * theta, m, v
    ### END SOLUTION


# %% tests="adamw_step"
theta, m, v = adamw_step(np.array([5.0]), np.zeros(1), np.zeros(1), np.zeros(1), 0, learning_rate=0.1, weight_decay=0.2)
np.testing.assert_allclose(theta, [4.9], err_msg="Without a gradient, theta loses a share of eta times lambda: 2 %.")
np.testing.assert_allclose(m, [0], err_msg="The decay is no gradient: m must not see it.")
theta, m, v = adamw_step(np.array([5.0]), np.zeros(1), np.zeros(1), np.array([9.0]), 0, 0.1, weight_decay=0.2)
np.testing.assert_allclose(theta, [4.8], err_msg="Adam's step of 0.1, and 2 % of the *old* theta, side by side.")

# %% [markdown]
# ## 9. Your own Adam, for any model
#
# As in Lecture 5, a `torch.optim.Optimizer` has its hyperparameters in `self.param_groups`, each group with its own
# values, and what it remembers of a parameter in `self.state[parameter]`, where `state_dict` finds it. This time there
# are three things to remember, and one of them is easily overlooked: *how many updates this parameter has had*. If a
# parameter had no gradient for a while (a layer that was frozen, an expert that was not asked), its bias correction
# must not run ahead.


# %% problem="Adam"
class Adam(torch.optim.Optimizer):
    r"""Adam, as torch.optim.Adam computes it by default: for each parameter θ with gradient g, its own m, v and s.

    $$s \leftarrow s + 1 \qquad m \leftarrow \beta_1 m + (1 - \beta_1) g \qquad
    v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \qquad
    \theta \leftarrow \theta - \eta \frac{m / (1 - \beta_1^s)}{\sqrt{v / (1 - \beta_2^s)} + \epsilon}$$

    s counts the updates of *this* parameter, from 0 at first; m and v are zero at first, of the parameter's shape and
    dtype. All three are kept in `self.state[parameter]` under names of your choice, so that `state_dict` and
    `load_state_dict` save and restore them.
    """

    def __init__(
        self, params: Iterable, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        """params: parameters, or dicts of parameter groups, as every torch optimizer takes them.
        lr: η. betas: (β1, β2). eps: ε. All are defaults for the groups that do not bring their own.
        """
        ### BEGIN SOLUTION
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})
        ### END SOLUTION

    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """One update of every parameter, in place, with the lr, betas and eps that its group has now.

        A parameter whose `.grad` is None is left alone, and its m, v and s too. The gradients are only read. Nothing of
        the update is recorded for autograd, even where the gradients are.
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
                beta1, beta2 = group["betas"]
                for theta in group["params"]:
                    if theta.grad is None:
                        continue
                    state = self.state[theta]
                    s = state["s"] = state.get("s", 0) + 1
                    m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * theta.grad
                    v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * theta.grad**2
                    sigma = torch.sqrt(v / (1 - beta2**s)) + group["eps"]
                    theta -= group["lr"] * m / (1 - beta1**s) / sigma
        return loss
        ### END SOLUTION


# %% tests="Adam"
def train_sine(optimizer_class, steps: int = 30, **options) -> torch.Tensor:
    """Fit a small network to a sine; returns all its parameters in one row."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)).double()
    optimizer = optimizer_class(model.parameters(), **options)
    x = torch.linspace(-3, 3, 40, dtype=torch.float64)[:, None]
    for _ in range(steps):
        optimizer.zero_grad()
        ((model(x) - torch.sin(x)) ** 2).mean().backward()
        optimizer.step()
    return torch.cat([theta.detach().ravel() for theta in model.parameters()])


for options in ({}, {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3}):
    torch.testing.assert_close(
        train_sine(Adam, **options),
        train_sine(torch.optim.Adam, **options),
        msg=f"With the options {options or 'left at their defaults'}, training should go as with torch.optim.Adam.",
    )
used, idle = torch.nn.Parameter(torch.tensor([1.0])), torch.nn.Parameter(torch.tensor([1.0]))
optimizer = Adam([used, idle], lr=0.5)
for _ in range(3):
    used.grad = torch.tensor([2.0])
    optimizer.step()
assert idle.item() == 1.0, "A parameter without a gradient stays where it is."
idle.grad = torch.tensor([2.0])
optimizer.step()
np.testing.assert_allclose(idle.item(), 0.5, rtol=1e-5, err_msg="For this parameter it is the first update: length lr.")

# %% [markdown]
# ## 10. Your own scheduler
#
# Someone has to turn the watch: before each update, the `lr` of every parameter group has to be set. Where things go
# wrong is the *order*. Which learning rate does the very first update have? Is the rate set for the update that was
# just made, or for the next? And what if a group has a learning rate of its own? The docstring answers all three.


# %% problem="Scheduler"
class Scheduler:
    """Sets the learning rate of each parameter group of an optimizer before every update.

    In update number t, each group has the learning rate `schedule(t)` times its *own* initial learning rate: the `lr`
    that the group had when the scheduler was made. So use it like this:

        optimizer = Adam(model.parameters(), lr=0.01)
        scheduler = Scheduler(optimizer, schedule)   # now the optimizer is ready for update 0
        for ...:
            ...                                      # gradients
            optimizer.step()                         # update t, with schedule(t)
            scheduler.step()                         # now it is ready for update t + 1

    Works with every torch optimizer. Only `group["lr"]` is changed. The attribute `t` holds the number of the update
    that the optimizer is ready for: 0 at first.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Callable[[int], float]) -> None:
        """Note the initial learning rate of every group, and set the rates for update 0 at once.

        schedule: schedule(t) is the factor for update t, a number of 0 or more. It may be 0 at some t.
        """
        ### BEGIN SOLUTION
        self.optimizer, self.schedule = optimizer, schedule
        self.initial = [group["lr"] for group in optimizer.param_groups]
        self.t = -1
        self.step()
        ### END SOLUTION

    def step(self) -> None:
        """Go on to the next update: t grows by 1, and all rates are set for that update."""
        ### BEGIN SOLUTION
        self.t += 1
        for group, lr in zip(self.optimizer.param_groups, self.initial, strict=True):
            group["lr"] = lr * self.schedule(self.t)
        ### END SOLUTION


# %% tests="Scheduler"
parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
optimizer = torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 10.0}], lr=1.0)
scheduler = Scheduler(optimizer, lambda t: [0.5, 0.25, 0.0, 1.0][t])
assert optimizer.param_groups[0]["lr"] == 0.5, "As soon as it is made, the rate of update 0 is set: schedule(0)."
assert optimizer.param_groups[1]["lr"] == 5.0, "The second group starts from a learning rate of its own: 10."
scheduler.step()
assert optimizer.param_groups[0]["lr"] == 0.25, "After one step, everything is ready for update 1: schedule(1)."
for _ in range(2):
    scheduler.step()
assert optimizer.param_groups[1]["lr"] == 10.0, "schedule(3) is 1, of the *initial* rate: 10, whatever came between."
assert scheduler.t == 3, "The attribute t holds the number of the update that comes next."

# %% [markdown]
# Your optimizer and your scheduler learn to read. Three runs train the same deep network on the same batches of
# handwritten digits, with a bold learning rate: one keeps it, one lets it decay, and one warms up before. Who is ahead
# after fifty updates, and who in the end?


# %%
def train_digits(optimizer_class, schedule: Callable[[int], float], updates: int) -> list[float]:
    """The training loss of a small network on scikit-learn's digits, update by update."""
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    torch.manual_seed(1)
    hidden = [layer for _ in range(5) for layer in (torch.nn.Linear(64, 64), torch.nn.ReLU())]
    model = torch.nn.Sequential(*hidden, torch.nn.Linear(64, 10))
    optimizer = optimizer_class(model.parameters(), lr=0.02)
    scheduler = Scheduler(optimizer, schedule)
    losses = []
    for _ in range(updates):
        batch = torch.randint(len(x), (64,))
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


# %% picture="digits"
with picture("Adam", "Scheduler", "cosine_decay", "warmup_cosine"):
    runs = {
        "constant": lambda t: 1.0,
        "cosine": lambda t: cosine_decay(t, 1.0, total=250),
        "warm-up and cosine": lambda t: warmup_cosine(t, 1.0, warmup=50, total=250),
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained", width_ratios=[2, 3])
    for (name, schedule), color in zip(runs.items(), [GREY, ORANGE, PURPLE], strict=True):
        losses = np.array(train_digits(Adam, schedule, updates=250))
        smooth = np.convolve(losses, np.full(15, 1 / 15), mode="valid")
        left.plot([0.02 * schedule(t) for t in range(250)], color=color, label=name)
        right.plot(np.arange(len(smooth)) + 7, smooth, color=color, label=name)
    left.set(xlabel="update $t$", ylabel=r"learning rate $\eta^t$", title="The three schedules", ylim=(0, 0.022))
    right.set(xlabel="updates", ylabel="training loss", yscale="log", title="Five hidden layers (mean of 15 batches)")
    right.legend(frameon=False)

# %% [markdown]
# ## 11. The race
#
# Time for a fair contest. Each rider starts from the same place in the same bowl
#
# $$L(\theta) = \tfrac{1}{2} \theta^\top H \theta, \qquad g = H \theta,$$
#
# and you count how many updates it takes until the loss is down to a tolerance. The larger the **condition number** of
# $H$, the ratio of its steepest to its flattest curvature, the longer and narrower is the gorge.


# %% problem="error_surface_race"
def error_surface_race(
    riders: Mapping[str, Callable[[], Callable[[np.ndarray, np.ndarray, int], np.ndarray]]],
    hessian: np.ndarray,
    start: np.ndarray,
    tolerance: float,
    max_updates: int,
) -> dict[str, int | None]:
    """How many updates each rider needs in the bowl L(θ) = θᵀHθ / 2, with the gradient Hθ.

    riders: for each name a function. rider() gives a fresh step function that remembers nothing yet; call it once for
        each race. step(theta, gradient, t) then makes update number t, 0 for the first, and returns θ^{t+1}. It may
        change the array theta that it is given and return that, so give it an array of its own.
    hessian: H, shape (d, d), symmetric. start: θ^0, shape (d,), for every rider. Both floating point, not changed.
    tolerance: a rider has arrived at the first t with L(θ^t) ≤ tolerance. If that is the start, t is 0.
    max_updates: nobody gets more updates than this. Arriving with the very last one counts.
    Returns {name: t, the number of updates when the rider had arrived}, or None for a rider who did not arrive (also
    if the loss has become infinite or not a number).
    """
    ### BEGIN SOLUTION

    def arrived(theta: np.ndarray) -> bool:
        return theta @ hessian @ theta / 2 <= tolerance

    updates = {}
    for name, rider in riders.items():
        step, theta, t = rider(), start.copy(), 0
        while not arrived(theta) and t < max_updates:
            theta = step(theta, hessian @ theta, t)
            t += 1
        updates[name] = t if arrived(theta) else None
    return updates
    ### END SOLUTION


# %% tests="error_surface_race"
def halving():
    """In the bowl with H = 1, every update of this rider halves theta, and quarters the loss."""
    return lambda theta, gradient, t: theta - 0.5 * gradient


race = error_surface_race({"halving": halving}, np.eye(1), np.array([4.0]), tolerance=0.5, max_updates=10)
assert race == {"halving": 2}, "From 4 to 2 to 1: after two updates the loss is 1/2, and that is small enough."
race = error_surface_race({"halving": halving}, np.eye(1), np.array([4.0]), tolerance=8.0, max_updates=10)
assert race == {"halving": 0}, "The loss at the start is 8 already: no update is needed."
race = error_surface_race({"halving": halving}, np.eye(1), np.array([4.0]), tolerance=0.5, max_updates=1)
assert race == {"halving": None}, "With one update only, the rider does not arrive."

# %% [markdown]
# First let the gorge run along an axis, narrower and narrower. Then turn it by 45 degrees. To gradient descent, that is
# the same gorge. And to a rider with a gear for each *parameter*?

# %% picture="the_race"
with picture("adagrad_step", "rmsprop_step", "adam_step", "exponential_decay", "error_surface_race"):
    conditions = np.array([1, 3, 10, 30, 100, 300])
    turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    figure, panels = plt.subplots(1, 2, figsize=(12, 4), layout="constrained", sharey=True)
    for axes, rotation, title in [(panels[0], np.eye(2), "along an axis"), (panels[1], turn, "turned by 45 degrees")]:
        arrivals = {}
        for condition in conditions:
            eta = 2 / (1 + condition)  # the best constant learning rate of gradient descent in this bowl
            riders = {
                "gradient descent": lambda eta=eta: lambda theta, gradient, t: theta - eta * gradient,
                "Adagrad": lambda: adagrad_rider(lambda t: exponential_decay(t, 0.3, 0.985)),
                "RMSProp": lambda: rmsprop_rider(lambda t: exponential_decay(t, 0.3, 0.985)),
                "Adam": lambda: adam_rider(lambda t: exponential_decay(t, 0.3, 0.985)),
            }
            hessian = rotation @ np.diag([1.0, condition]) @ rotation.T
            start = rotation @ np.array([-4.0, 4.0 / np.sqrt(condition)])
            for name, updates in error_surface_race(riders, hessian, start, 1e-4, max_updates=3000).items():
                arrivals.setdefault(name, []).append(np.nan if updates is None else updates)
        for place, ((name, updates), color) in enumerate(
            zip(arrivals.items(), [GREY, ORANGE, BLUE, GREEN], strict=True)
        ):
            axes.plot(conditions, updates, "o-", color=color, label=name)
            lost = conditions[np.isnan(updates)]
            axes.plot(lost, np.full(len(lost), 3000 / 1.3**place), "x", color=color, markersize=8, markeredgewidth=2)
        axes.text(1, 3000, "x: did not arrive", va="center", color="0.4")
        axes.set(xscale="log", yscale="log", xlabel="condition number of the bowl", title=f"The gorge runs {title}")
    panels[0].set(ylabel="updates until the loss is 0.0001", ylim=(0.7, 6000))
    panels[0].legend(frameon=False, loc=(0.02, 0.6))

# %% [markdown]
# ### In your own words
#
# A friend trains a network with Adam and says: "Adam gives each parameter its own learning rate, so I don't have to
# think about $\eta$ any more." In about 150 words, answer:
# - what the three parts $\eta^t$, $\sigma_i^t$ and $m_i^t$ each do that the other two can't;
# - why the *beginning* and the *end* of a training need other learning rates than the middle, and what goes wrong
#   there with a constant one;
# - one situation in which a learning rate for each parameter is of little use.

# %% [markdown] answer="three_parts" points=5
# **Model answer.** $m$ chooses the direction: a fading mean of gradients in which noise and the bouncing between two
# walls cancel, and a steady slope adds up. $\sigma_i$ knows how large the gradients of *this* parameter usually are,
# and divides that out, so that steep and flat parameters move at a like pace. Neither of them knows how far the
# training has come: that is what $\eta^t$ is for. It sets the common length of all the steps. *In the beginning*,
# $\sigma$ rests on a few gradients; it is a statistic with a large variance, and where it comes out far too small, the
# step is far too long and may throw the network into a bad region: hence warm-up. *At the end*, dividing by $\sigma$
# keeps the steps long even though the gradients are small or mostly noise, so the parameters keep trembling around the
# minimum (or burst out of it): hence decay. Gears for single parameters are of little use where the gorge does not run
# along an axis, because then every parameter feels the same mixture of steep and flat; or where all directions are
# about equally steep.
#
# **Rubric.** 1 point: $m$ is about direction, with cancelling and adding up. 1 point: $\sigma_i$ scales each parameter
# by the size of its own gradients, and $\eta^t$ is common to all and depends on time only. 1 point: the beginning, with
# the uncertain $\sigma$ of few gradients. 1 point: the end, with steps that do not get short by themselves. 1 point: a
# sound situation (turned gorge, equal curvatures, or another one with its reason). Take off nothing for length or
# style.

# %% [markdown]
# ## Bonus: warm-up without a watch
#
# If warm-up makes up for the variance of $\sigma$ in the beginning, why guess how many updates it should last?
# **RAdam** (Liu et al. 2020, *On the Variance of the Adaptive Learning Rate and Beyond*) computes the variance and
# *rectifies* the step by what is too much. With $s = t + 1$ updates,
#
# $$\rho_\infty = \frac{2}{1 - \beta_2} - 1 \qquad \rho_s = \rho_\infty - \frac{2 s \beta_2^s}{1 - \beta_2^s}$$
#
# say how many gradients $v$ effectively remembers, at best and by now. While $\rho_s \le 4$ the variance is intractable
# (the integral diverges), and it is better not to divide at all: plain momentum. After that:
#
# $$r_s = \sqrt{\frac{(\rho_s - 4)(\rho_s - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_s}}$$


# %% problem="radam_step"
def radam_step(
    theta: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    gradient: np.ndarray,
    t: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Update number t of RAdam (Liu et al. 2020, algorithm 2), with $s = t + 1$, the number counted from 1.

    $$\rho_\infty = \frac{2}{1 - \beta_2} - 1 \qquad \rho_s = \rho_\infty - \frac{2 s \beta_2^s}{1 - \beta_2^s}$$

    and with m, v, $\hat m$ and $\hat v$ as in `adam_step`:

    $$\theta^{t+1} = \theta^t - \eta\, r_s \frac{\hat m^t}{\sqrt{\hat v^t} + \epsilon}, \quad
    r_s = \sqrt{\frac{(\rho_s - 4)(\rho_s - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_s}}
    \quad \text{if } \rho_s > 4, \qquad
    \theta^{t+1} = \theta^t - \eta\, \hat m^t \quad \text{otherwise}$$

    The threshold is 4, as in the paper (torch.optim.RAdam and others wait until 5). The paper has no ε; here it is
    added after the root, as in Adam. m and v are updated in either case.
    theta, gradient: θ^t and g^t. m, v: m^{t-1} and v^{t-1}, zeros before the first update. All four have one shape
        (any) and one floating dtype. They are not changed.
    t: 0 for the first update. learning_rate: η. beta1, beta2: at least 0, below 1. epsilon: ε.
    Returns (θ^{t+1}, m^t, v^t), in this order, m and v without the correction: new arrays of the same shape and dtype
    (float32 stays float32).
    """
    ### BEGIN SOLUTION
    s = t + 1
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1**s), v / (1 - beta2**s)
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * s * beta2**s / (1 - beta2**s)
    if rho <= 4:
        return theta - learning_rate * m_hat, m, v
    r = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
    return theta - learning_rate * r * m_hat / (np.sqrt(v_hat) + epsilon), m, v
    ### END SOLUTION


# %% tests="radam_step"
theta, m, v = radam_step(np.array([5.0]), np.zeros(1), np.zeros(1), np.array([8.0]), t=0, learning_rate=0.1)
np.testing.assert_allclose(theta, [4.2], err_msg="The first update is not divided by anything: eta times the gradient.")
np.testing.assert_allclose(v, [0.064], err_msg="v is updated all the same: it will be needed.")
theta, _, _ = radam_step(np.array([5.0]), np.ones(1), np.ones(1), np.ones(1), t=20_000, learning_rate=0.1)
np.testing.assert_allclose(theta, [4.9], rtol=1e-6, err_msg="After very many updates r is 1: RAdam is Adam.")

# %% [markdown]
# To see $r_s$ itself, feed gradients that are always 1: then $\hat m = \hat v = 1$, and the length of the step over
# $\eta$ is $r_s$. Doesn't that look familiar? (The first few steps, of length 1, are those that are not divided.)

# %% picture="a_warm_up_that_was_not_ordered"
with picture("radam_step", "warmup_inverse_sqrt"):
    figure, axes = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for beta2, color in [(0.999, BLUE), (0.99, GREEN), (0.9, ORANGE)]:
        m, v, lengths = np.zeros(1), np.zeros(1), []
        for t in range(400):
            stepped, m, v = radam_step(np.zeros(1), m, v, np.ones(1), t, 1.0, beta2=beta2)
            lengths.append(-stepped[0])
        axes.plot(lengths, color=color, label=rf"RAdam, $\beta_2$ = {beta2}")
    rise = [warmup_inverse_sqrt(t, 1.0, warmup=1000) for t in range(400)]
    axes.plot(rise, color=GREY, linestyle="--", label="a linear warm-up over 1000 updates")
    axes.set(xlabel="update $t$", ylabel=r"length of the step, over $\eta$", title="A warm-up that nobody ordered")
    axes.legend(frameon=False, loc=(0.5, 0.5), fontsize=9)

# %% [markdown]
# ## What you have built
#
# A learning rate for each parameter, five schedules, Adam in NumPy and in PyTorch, and a scheduler that turns the
# watch. You have also seen where gears don't help: in a gorge that does not run along an axis. Lecture 7 takes the
# other way out. Instead of learning to ride such a landscape, it changes the landscape.
#
# ## Sources
#
# - J. Duchi, E. Hazan, Y. Singer: *Adaptive Subgradient Methods for Online Learning and Stochastic Optimization*,
#   JMLR 12, 2011
# - T. Tieleman, G. Hinton: *Lecture 6.5, RMSProp*, Coursera: Neural Networks for Machine Learning, 2012
# - D. P. Kingma, J. Ba: *Adam: A Method for Stochastic Optimization*, ICLR 2015, arXiv:1412.6980
# - I. Loshchilov, F. Hutter: *SGDR: Stochastic Gradient Descent with Warm Restarts*, ICLR 2017, arXiv:1608.03983
# - A. Vaswani et al.: *Attention Is All You Need*, NeurIPS 2017, arXiv:1706.03762
# - I. Loshchilov, F. Hutter: *Decoupled Weight Decay Regularization*, ICLR 2019, arXiv:1711.05101
# - L. Liu et al.: *On the Variance of the Adaptive Learning Rate and Beyond*, ICLR 2020, arXiv:1908.03265
