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
# # Lecture 4: Critical points
#
# The training loss has stopped falling. "Stuck in a local minimum", everybody says. Is it?
#
# Picture a walker in the mountains, in thick fog. The ground under the boots is flat. It may be the bottom of a
# **valley**, and the walk is over. It may be a **summit**. Or it may be a mountain **pass**: to the left and to the right
# the ground rises, but ahead it falls, and whoever knows the way just walks on. The fog hides the view; all the walker
# has is what the feet can feel: how steep the ground is, and how it bends. That is enough.
#
# You will be able to
# - tell a flat place from a place where training is stuck for another reason;
# - compute how a loss bends (the Hessian) by differentiating twice, and for a network with 19,210 parameters *without*
#   ever building the Hessian;
# - tell minimum, maximum and saddle point apart, find the way down from a saddle, and walk it;
# - check the lecture's claim that real local minima are rare.
#
# **Time:** about three hours, and half an hour for the bonus. You need a little PyTorch and linear algebra: what
# eigenvalues and eigenvectors are.
#
# **How it is graded**
# - Each problem comes with public tests right below it. Run them as often as you like.
# - Hidden tests then call your functions with other inputs: 100 points, and up to 6 more for the bonus.
# - One question is answered in words and read by a person: 5 points.
# - In problems 3 and 4 you build what PyTorch has ready-made. There, its finished `hessian`, `jacobian`, `jacrev`,
#   `jacfwd`, `hvp`, `vhp` and `linearize` score nothing.
#
# Keep the names of functions and arguments: that is how the tests find your work.

# %% [markdown]
# ## The notation of the lecture
#
# | symbol | in code | what it is |
# |---|---|---|
# | $\theta$ | `theta` | all parameters of the model in one vector, shape $(d,)$ |
# | $L(\theta)$ | `loss(theta)` | the loss, a function that turns $\theta$ into one number |
# | $\theta'$ | `at` | the point where we stand |
# | $g$ | `gradient` | the slope: $g_i = \partial L / \partial \theta_i$ at $\theta'$ |
# | $H$ | `hessian` | the curvature: $H_{ij} = \partial^2 L / \partial \theta_i\, \partial \theta_j$ at $\theta'$ |
# | $\lambda_k$, $u_k$ | `curvature`, `direction` | the eigenvalues of $H$ and their eigenvectors, $H u_k = \lambda_k u_k$ |
# | $v$ | `v` | a direction, or a way to go: often $\theta - \theta'$ |
#
# **Near $\theta'$ the loss looks like this** (Taylor's formula, up to the second order):
#
# $$L(\theta) \approx L(\theta') + (\theta - \theta')^\top g + \tfrac12\, (\theta - \theta')^\top H\, (\theta - \theta')$$
#
# **A critical point** is a place where $g = 0$. There the middle term is gone, and $H$ decides. Look along an
# eigenvector: $u_k^\top H u_k = \lambda_k$. So each eigenvalue is the curvature along one of $d$ directions.
#
# | eigenvalues of $H$ | what the walker has found |
# |---|---|
# | all positive: the ground rises whatever way you turn | local minimum |
# | all negative: it falls whatever way you turn | local maximum |
# | some positive, some negative | saddle point |
# | no positive next to a negative one, but some are zero | *degenerate*: the second order cannot tell |
#
# **What to look for:** in each problem ask *what is small compared with what?* A computer hardly ever finds an exact
# zero, neither in a gradient nor in an eigenvalue.

# %%
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

torch.set_num_threads(1)  # for tensors as small as ours, threads would mostly wait for one another
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 100})
BLUE, ORANGE, GREEN, RED, GREY = "#3366aa", "#e07b39", "#3a8f5c", "#c43c4e", "#9a9a9a"

Loss = Callable[[torch.Tensor], torch.Tensor]  # turns theta, shape (d,), into a tensor without dimensions


@contextmanager
def picture(*needs: str) -> Iterator[None]:
    """Draw with functions that may not be written yet: if one fails, say so in one sentence."""
    plt.close("all")
    try:
        yield
    except Exception:
        plt.close("all")
        print(f"This picture needs {', '.join(needs)}: solve {'it' if len(needs) == 1 else 'them'} first.")


def vector(*numbers: float) -> torch.Tensor:
    """The numbers as a float64 tensor, shape (d,). All of this notebook computes in double precision."""
    return torch.tensor(numbers, dtype=torch.float64)


# %% [markdown]
# ## Two landscapes
#
# **The smallest deep network** is the lecture's: $y = w_2 w_1 x$, two weights and no activation function. Give it a
# single example, $x = 1$ with the answer $1$, and its loss is $L(\theta) = (1 - w_1 w_2)^2$ with $\theta = (w_1, w_2)$.
# Tiny as it is, it has a saddle point at the origin, and whole *curves* of minima, $w_1 w_2 = 1$.
#
# **The mountains** are no network, only beautiful: valleys, summits and passes on one map.


# %%
def two_layers(theta: torch.Tensor) -> torch.Tensor:
    """The loss of the network y = w2 w1 x for the one example x = 1 with the answer 1."""
    return (1 - theta[0] * theta[1]) ** 2


def mountains(theta: torch.Tensor) -> torch.Tensor:
    """A landscape of two parameters with many valleys, summits and passes."""
    x, y = theta[0], theta[1]
    return torch.sin(1.5 * x) * torch.cos(1.2 * y - 0.5) + 0.3 * torch.sin(y + 0.6 * x) + 0.05 * (x**2 + y**2)


def grid(size: float, points: int = 120) -> torch.Tensor:
    """A square map from -size to size: shape (2, points, points), to be handed to a loss of two parameters."""
    line = torch.linspace(-size, size, points, dtype=torch.float64)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"))


# %% picture="two_landscapes"
figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
for axes, loss, size, title, names in [
    (left, two_layers, 2.0, r"two layers: $L = (1 - w_1 w_2)^2$", ("$w_1$", "$w_2$")),
    (right, mountains, 4.0, "the mountains", (r"$\theta_0$", r"$\theta_1$")),
]:
    theta = grid(size)
    surface = loss(theta)
    drawn = axes.contourf(*theta, surface.clamp(max=6), levels=24, cmap="terrain")
    axes.contour(*theta, surface.clamp(max=6), levels=24, colors="black", linewidths=0.3, alpha=0.4)
    axes.set(title=title, xlabel=names[0], ylabel=names[1], aspect="equal")
    figure.colorbar(drawn, ax=axes, label="loss")

# %% [markdown]
# ## 1. Feel the slope with your feet
#
# How does the walker find out how steep the ground is? One small step forward, one small step back, and compare the two
# heights. That needs nothing but the height itself: no formula, no autograd, even the loss may be a black box.
#
# Do it for each parameter in turn, with $e_i$ the vector that is 1 at place $i$ and 0 elsewhere:
#
# $$g_i \approx \frac{L(\theta + h e_i) - L(\theta - h e_i)}{2h}$$
#
# This is a **central** difference. Why both sides? Because the errors of the two sides nearly cancel, as the picture
# below will show.


# %% problem="numerical_gradient"
def numerical_gradient(loss: Loss, theta: torch.Tensor, step: float = 1e-5) -> torch.Tensor:
    r"""The gradient by central differences: $g_i = (L(\theta + h e_i) - L(\theta - h e_i)) / 2h$.

    loss: turns a theta of shape (d,) into a tensor without dimensions. It may be a black box that autograd cannot
        differentiate.
    theta: where to measure, shape (d,), floating point, d at least 1. It is not changed.
    step: h > 0, the length of the step to either side. Use it as it is, also where it is coarse.
    Returns g as a new tensor of the shape and dtype of theta.
    """
    ### BEGIN SOLUTION
    steps = step * torch.eye(len(theta), dtype=theta.dtype)
    return torch.stack([(loss(theta + h) - loss(theta - h)) / (2 * step) for h in steps])
    ### END SOLUTION


# %% tests="numerical_gradient"
def cubic(theta):
    """theta_0^3 + 10 theta_1."""
    return theta[0] ** 3 + 10 * theta[1]


theta = vector(1.0, 5.0)
slope = numerical_gradient(cubic, theta)
assert slope.shape == (2,), f"There is one slope for each parameter: shape (2,) instead of {tuple(slope.shape)}."
torch.testing.assert_close(
    slope, vector(3.0, 10.0), rtol=1e-6, atol=1e-6, msg=f"The slopes at (1, 5) are 3 and 10, not {slope.tolist()}."
)
slope = numerical_gradient(cubic, theta, step=0.5)
torch.testing.assert_close(
    slope[0],
    torch.tensor(3.25, dtype=torch.float64),
    msg=f"From 0.5 to 1.5 the cube rises by 3.25 over a length of 1: that is the slope for h = 0.5, not {slope[0]}.",
)
assert theta.tolist() == [1.0, 5.0], "Your function moved theta: step aside with a copy."

# %% [markdown]
# How small should $h$ be? The picture compares your central difference with a one-sided one, in the mountains. Too
# large a step feels the bend instead of the slope. Too small a step feels only rounding: two nearly equal heights are
# subtracted, and few digits survive.

# %% picture="how_small_a_step"
with picture("numerical_gradient"):
    theta = vector(0.7, -1.1).requires_grad_()
    exact = torch.autograd.grad(mountains(theta), theta)[0]
    theta = theta.detach()
    sizes = 10.0 ** torch.arange(-13, 0.1, 0.25, dtype=torch.float64)
    central, one_sided = [], []
    for h in sizes.tolist():
        forward = [(mountains(theta + h * e) - mountains(theta)) / h for e in torch.eye(2, dtype=torch.float64)]
        one_sided.append((torch.stack(forward) - exact).norm())
        central.append((numerical_gradient(mountains, theta, h) - exact).norm())
    figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
    axes.loglog(sizes, one_sided, color=GREY, marker=".", label="one-sided: error grows like $h$")
    axes.loglog(sizes, central, color=BLUE, marker=".", label="central (yours): error grows like $h^2$")
    axes.annotate("rounding", (2e-12, 3e-3), color=RED)
    axes.annotate("bending", (2e-2, 1e-6), color=RED)
    axes.set(xlabel="step $h$", ylabel="error of the gradient", title="Not too large, not too small")
    axes.legend(frameon=False, loc="lower left")

# %% [markdown]
# ## 2. Flat, compared with what?
#
# Count the loss in cents instead of dollars, and every gradient is a hundred times as large, though the walker stands
# where he stood. So "the gradient is below $10^{-6}$" says nothing. Compare it with a slope that belongs to the same
# landscape. A natural choice is $g^0$, the slope at which the walk began:
#
# $$\lVert g \rVert \le \text{tolerance} \cdot \lVert g^0 \rVert, \qquad
# \lVert g \rVert = \sqrt{g_1^2 + \dots + g_d^2}$$


# %% problem="is_critical_point"
def is_critical_point(gradient: torch.Tensor, start_gradient: torch.Tensor, tolerance: float = 1e-3) -> bool:
    r"""Whether the ground is flat: $\lVert g \rVert \le \text{tolerance} \cdot \lVert g^0 \rVert$.

    gradient: g at the place in question, shape (d,), floating point.
    start_gradient: g^0 where training began, shape (d,). It may be zero: then only a gradient of exactly zero is flat.
    tolerance: how small ||g|| must be relative to ||g^0||, both of them Euclidean norms.
    Returns True or False. A gradient that holds a NaN is not flat.
    """
    ### BEGIN SOLUTION
    return bool(gradient.norm() <= tolerance * start_gradient.norm())
    ### END SOLUTION


# %% tests="is_critical_point"
assert is_critical_point(vector(1e-9, -1e-9), vector(3.0, 4.0)), "1e-9 is next to nothing, compared with 5."
assert not is_critical_point(vector(1.0, -1.0), vector(3.0, 4.0)), "Up in one direction, down in the other: not flat."
assert not is_critical_point(vector(0.0, 1.0), vector(3.0, 4.0)), "Flat in one direction is not flat."
assert not is_critical_point(vector(3e-6, 4e-6), vector(6e-6, 8e-6)), "The slope is still half of what it was at first."
assert is_critical_point(vector(0.3, 0.4), vector(3.0, 4.0), tolerance=0.2), "0.5 is less than 0.2 times 5."

# %% [markdown]
# Now look at two runs of gradient descent that both got *stuck*: for a while the loss hardly changes. The shaded parts
# are where your function finds a critical point. In the first run there are two: a place that is left again, and in
# the end a minimum. In the second run there is none. This walker stands on no flat ground at all, but jumps from one
# wall of a ravine to the other, for ever. Always look at the gradient before you blame a critical point. (The cure for
# the second walker is another learning rate: that is Lecture 6.)

# %% picture="stuck_is_not_flat"
with picture("is_critical_point"):

    def ravine(theta: torch.Tensor) -> torch.Tensor:
        """Steep across, gentle along."""
        return 50 * theta[0] ** 2 + 0.05 * theta[1] ** 2

    figure, panels = plt.subplots(2, 2, figsize=(10.5, 5), layout="constrained", sharex="col")
    runs = [
        ("two layers", two_layers, vector(1.1, -1.0999999), 0.05),
        ("a ravine, learning rate too large", ravine, vector(0.15, 1.0), 0.02),
    ]
    for (top, bottom), (title, loss, theta, learning_rate) in zip(panels.T, runs, strict=True):
        losses, slopes = [], []
        for _ in range(210):
            theta = theta.detach().requires_grad_()
            losses.append(loss(theta).item())
            slopes.append(torch.autograd.grad(loss(theta), theta)[0])
            theta = theta - learning_rate * slopes[-1]
        flat = [bool(is_critical_point(g, slopes[0])) for g in slopes]
        top.plot(losses, color=BLUE)
        bottom.semilogy([g.norm() / slopes[0].norm() for g in slopes], color=ORANGE)
        bottom.axhline(1e-3, color=GREY, linestyle="--", linewidth=1)
        for axes in (top, bottom):
            axes.fill_between(
                range(210), 0, 1, where=flat, color=GREEN, alpha=0.2, transform=axes.get_xaxis_transform()
            )
        top.set(title=title, ylim=(0, 1.25 * max(losses)))
        bottom.set(xlabel="updates", ylim=(1e-6, 5))
    panels[0, 0].set_ylabel("loss")
    panels[1, 0].set_ylabel(r"$\Vert g \Vert\ /\ \Vert g^0 \Vert$")
    panels[0, 0].annotate("flat: a critical point", (76, 1.5), color=GREEN, ha="center")
    panels[0, 1].annotate("stuck, but never flat", (80, 0.75), color=RED, ha="center")

# %% [markdown]
# ## 3. How the ground bends: the Hessian
#
# From here on, autograd computes the slope for you (`gradient` below). The bend is the slope *of the slope*: if you
# take a step in direction $j$, how much does $g_i$ change?
#
# $$H_{ij} = \frac{\partial g_i}{\partial \theta_j} = \frac{\partial^2 L}{\partial \theta_i\, \partial \theta_j}$$
#
# So differentiate twice. `torch.autograd.grad(..., create_graph=True)` gives a gradient that you can differentiate once
# more, entry by entry: each entry $g_i$ has a gradient of its own, and that is row $i$ of $H$. Two things to watch:
# - one graph is used $d$ times. It is thrown away after the first time unless you ask to keep it;
# - on a plain slope, $L = 3\theta_0 + \dots$, the gradient no longer depends on $\theta$, and autograd then hands it to
#   you without any graph (`requires_grad` is False). What is $H$ there?
#
# Build it. PyTorch's own functions for it (`hessian`, `jacobian`, `jacrev`, `jacfwd`, `hvp`, `vhp`, `linearize`) are
# forbidden here; `torch.autograd.grad`, `torch.func.grad`, `torch.func.vjp` and `torch.func.jvp` are not.


# %%
def gradient(loss: Loss, theta: torch.Tensor) -> torch.Tensor:
    """The exact gradient g of the loss at theta, by autograd: shape (d,)."""
    theta = theta.detach().requires_grad_()
    return torch.autograd.grad(loss(theta), theta)[0]


# %% problem="hessian"
def hessian(loss: Loss, theta: torch.Tensor) -> torch.Tensor:
    r"""The Hessian $H_{ij} = \partial^2 L / \partial \theta_i\, \partial \theta_j$ at theta, by differentiating twice.

    loss: turns a theta of shape (d,) into a tensor without dimensions, differentiable by autograd.
    theta: shape (d,), floating point, d at least 1, with or without `requires_grad`. It is left alone: its numbers,
        its `requires_grad` and its `.grad` stay as they are.
    Returns H, shape (d, d), dtype of theta, exact but for rounding (no finite differences). Where the loss is linear
    in theta, H is all zeros.
    """
    ### BEGIN SOLUTION
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if not g.requires_grad:  # the loss is linear: its slope is the same everywhere
        return torch.zeros(len(theta), len(theta), dtype=theta.dtype)
    return torch.stack([torch.autograd.grad(slope, theta, retain_graph=True)[0] for slope in g])
    ### END SOLUTION


# %% tests="hessian"
at_the_origin = hessian(two_layers, vector(0.0, 0.0))
assert at_the_origin.shape == (2, 2), f"For 2 parameters H has shape (2, 2), not {tuple(at_the_origin.shape)}."
torch.testing.assert_close(
    at_the_origin,
    torch.tensor([[0.0, -2.0], [-2.0, 0.0]], dtype=torch.float64),
    msg=f"The lecture's network at the origin has H = [[0, -2], [-2, 0]], not {at_the_origin.tolist()}.",
)
bend = hessian(lambda theta: theta[0] ** 3 + theta[0] * theta[1] ** 2, vector(1.0, 2.0))
torch.testing.assert_close(
    bend,
    torch.tensor([[6.0, 4.0], [4.0, 2.0]], dtype=torch.float64),
    msg=f"For x^3 + x y^2 the bend is [[6x, 2y], [2y, 2x]]: [[6, 4], [4, 2]] at (1, 2), not {bend.tolist()}.",
)
slope = hessian(lambda theta: 3 * theta[0] - theta[1], vector(1.0, 2.0))
assert torch.equal(slope, torch.zeros(2, 2, dtype=torch.float64)), "A plain slope does not bend: H is all zeros."
theta = vector(1.0, 2.0)
hessian(two_layers, theta)
assert not theta.requires_grad, "Your function left a mark on the caller's theta: requires_grad is on now."

# %% [markdown]
# The eigenvectors of your $H$ are the directions in which the ground bends most and least, and the eigenvalues say how
# much. Along a **rising** direction (green) the curvature is positive, along a **falling** one (red) it is negative.
# Compare the origin with one of the minima: there, one direction does not bend at all. Why? (Follow the bottom of the
# valley: $w_1 w_2$ stays 1.)

# %% picture="the_two_curvatures"
with picture("hessian"):
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True)
    theta = grid(2.2)
    for axes, place, title in [
        (panels[0], vector(0.0, 0.0), "at the origin: a saddle point"),
        (panels[1], vector(1.25, 0.8), "in the valley: a minimum"),
    ]:
        levels = [0.1, 0.4, 0.7, 0.9, 1, 1.1, 1.4, 2, 3, 4.5, 7]
        axes.contour(*theta, two_layers(theta), levels=levels, colors="0.75", linewidths=0.8)
        curvature, directions = torch.linalg.eigh(hessian(two_layers, place).detach())
        for value, direction in zip(curvature.tolist(), directions.T, strict=True):
            color = GREY if abs(value) < 1e-9 else GREEN if value > 0 else RED
            for sign in (1, -1):
                tip = place + sign * 0.55 * direction
                axes.annotate("", tip, place, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 2})
            label = rf"$\lambda = {abs(value) if abs(value) < 1e-9 else value:.2f}$"
            axes.annotate(label, place + 0.72 * direction, color=color, ha="center", va="center", weight="bold")
        axes.plot(*place, "o", color="black")
        axes.set(title=title, xlabel="$w_1$", aspect="equal")
    panels[0].set_ylabel("$w_2$")

# %% [markdown]
# ## 4. Twenty thousand parameters
#
# The Hessian of a network with 20,000 parameters has 400 million entries. In double precision it fills 3.2 GB, and
# every row costs a backward pass. But often we don't want the matrix. We want to know how the slope changes *along one
# direction* $v$, and that is just one vector, $Hv$.
#
# It takes two backward passes, whatever $d$ is (Pearlmutter 1994). Because $v$ does not depend on $\theta$,
#
# $$H v = \frac{\partial g}{\partial \theta}\, v = \frac{\partial}{\partial \theta} \left( g^\top v \right)$$
#
# and $g^\top v$ is a single number. Differentiate that. (Allowed and forbidden is the same as in problem 3.)


# %% problem="hessian_vector_product"
def hessian_vector_product(loss: Loss, theta: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    r"""The product $Hv = \partial (g^\top v) / \partial \theta$, without building H.

    loss: turns a theta of shape (d,) into a tensor without dimensions, differentiable by autograd.
    theta: shape (d,), floating point, with or without `requires_grad`. It is left alone: its numbers, its
        `requires_grad` and its `.grad` stay as they are.
    v: shape (d,), dtype of theta, any length, not only 1. It is a constant, even if it is `theta` itself.
    Returns Hv, shape (d,), dtype of theta, exact but for rounding (no finite differences). Where the loss is linear
    in theta, it is all zeros. It must work for d = 20,000 within 2 GB of memory, and must not loop over the d parameters.
    """
    ### BEGIN SOLUTION
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if not g.requires_grad:  # the loss is linear
        return torch.zeros_like(g)
    return torch.autograd.grad(g @ v, theta)[0]
    ### END SOLUTION


# %% tests="hessian_vector_product"
product = hessian_vector_product(two_layers, vector(0.0, 0.0), vector(3.0, 1.0))
torch.testing.assert_close(
    product, vector(-2.0, -6.0), msg=f"[[0, -2], [-2, 0]] times (3, 1) is (-2, -6), not {product.tolist()}."
)
theta = vector(2.0, 1.0)
product = hessian_vector_product(lambda t: t[0] ** 3 + t[0] * t[1], theta, theta)
torch.testing.assert_close(
    product,
    vector(25.0, 2.0),
    msg=f"[[12, 1], [1, 0]] times (2, 1) is (25, 2), not {product.tolist()}: v is a constant.",
)
# 20,000 parameters. If this takes longer than a moment, you are building H: interrupt it.
product = hessian_vector_product(lambda t: (t**4).sum(), torch.ones(20_000), torch.ones(20_000))
assert torch.equal(product, torch.full((20_000,), 12.0)), "With 20,000 parameters: every entry of Hv is 12 here."

# %% [markdown]
# With $Hv$ alone you can find the most curved direction of a real network: multiply a random vector by $H$ over and over
# again, and the direction with the largest $\lvert\lambda\rvert$ wins (this is called power iteration). Here is a network
# for the 8×8 digits, 64 → 256 → 10, with 19,210 parameters. After some training, we walk away from where it arrived,
# once along the direction that your products found, and once along ten random directions of the same length. Did you
# expect a landscape like that?


# %%
class DigitsNetwork:
    """64 pixels → 256 tanh units → 10 classes, with all 19,210 parameters in one vector."""

    SIZES = (64 * 256, 256, 256 * 10, 10)

    def __init__(self) -> None:
        digits = load_digits()
        self.x = torch.tensor(digits.data[:400] / 16, dtype=torch.float32)
        self.y = torch.tensor(digits.target[:400])

    def start(self, generator: torch.Generator) -> torch.Tensor:
        """Random parameters, shape (19210,)."""
        scales = (1 / 8, 0.0, 1 / 16, 0.0)
        parts = [s * torch.randn(size, generator=generator) for s, size in zip(scales, self.SIZES, strict=True)]
        return torch.cat(parts)

    def loss(self, theta: torch.Tensor) -> torch.Tensor:
        """The cross-entropy over 400 digits."""
        w1, b1, w2, b2 = theta.split(self.SIZES)
        hidden = torch.tanh(self.x @ w1.view(64, 256) + b1)
        return torch.nn.functional.cross_entropy(hidden @ w2.view(256, 10) + b2, self.y)


# %% picture="a_cut_through_19210_dimensions"
with picture("hessian_vector_product"):
    network, generator = DigitsNetwork(), torch.Generator().manual_seed(4)
    theta = network.start(generator)
    for _ in range(150):
        theta = theta - 0.3 * gradient(network.loss, theta)
    u, curvatures = torch.randn(len(theta), generator=generator), []
    for _ in range(25):
        u = u / u.norm()
        product = hessian_vector_product(network.loss, theta, u)
        curvatures.append((u @ product).item())
        u = product
    u = u / u.norm()

    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.9), layout="constrained")
    left.plot(curvatures, color=BLUE, marker=".")
    left.set(xlabel="products with $H$", ylabel=r"curvature $u^\top H u$", title="Power iteration")
    distances = torch.linspace(-3, 3, 41)
    for number in range(10):
        other = torch.randn(len(theta), generator=generator)
        heights = [network.loss(theta + r * other / other.norm()) for r in distances]
        right.plot(distances, heights, color=GREY, label="10 random directions" if number == 0 else None)
    heights = [network.loss(theta + r * u) for r in distances]
    right.plot(distances, heights, color=RED, label=rf"the direction you found, $\lambda$ = {curvatures[-1]:.2f}")
    right.set(xlabel=r"distance from $\theta'$", ylabel="loss", title="A cut through 19,210 dimensions")
    right.legend(frameon=False)

# %% [markdown]
# ## 5. A map drawn from one point
#
# Standing at $\theta'$, the walker knows three things: the height, the slope and the bend. Together they make a map of
# the neighbourhood:
#
# $$L(\theta) \approx L(\theta') + (\theta - \theta')^\top g + \tfrac12\, (\theta - \theta')^\top H\, (\theta - \theta')$$
#
# Write it for one point $\theta$ or for many at once: look at $\theta'$ *once*, then fill in the map.


# %% problem="second_order_approximation"
def second_order_approximation(loss: Loss, at: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    r"""The loss near $\theta'$: $L(\theta') + (\theta - \theta')^\top g + \frac12 (\theta - \theta')^\top H (\theta - \theta')$.

    loss: turns one vector of shape (d,) into a tensor without dimensions, differentiable twice by autograd. It cannot
        take many points at once.
    at: θ', where L, g and H are taken, shape (d,), floating point.
    theta: one point θ, shape (d,), or n points, shape (n, d), of the same dtype; near θ' or not.
    Returns the approximation at each point: a tensor without dimensions for one point, shape (n,) for n points, in the
    same dtype. You may use what you have built, or the library.
    """
    ### BEGIN SOLUTION
    v = theta - at
    g, h = gradient(loss, at), hessian(loss, at)
    return loss(at) + v @ g + 0.5 * ((v @ h) * v).sum(dim=-1)
    ### END SOLUTION


# %% tests="second_order_approximation"
def cube(theta):
    return theta[0] ** 3


got = second_order_approximation(cube, vector(2.0), vector(2.0))
assert abs(float(got) - 8) < 1e-9, f"At theta' itself nothing has to be guessed: the loss is 8, not {float(got)}."
got = second_order_approximation(cube, vector(2.0), vector(3.0))
assert abs(float(got) - 26) < 1e-9, f"From 8, with slope 12 and bend 12: 8 + 12 + 12/2 = 26, not {float(got)}."
got = second_order_approximation(cube, vector(2.0), vector(1.0))
assert abs(float(got) - 2) < 1e-9, f"One step back: 8 - 12 + 12/2 = 2, not {float(got)}. Which way is theta - theta'?"
got = second_order_approximation(two_layers, vector(0.0, 0.0), torch.eye(2, dtype=torch.float64))
assert got.shape == (2,), f"Two points have two heights: shape (2,), not {tuple(got.shape)}."

# %% [markdown]
# How good is the map? On the left, the true landscape of the two layers and the map drawn from the saddle point. On the
# right, how wrong the map of the mountains is at a distance $r$: a map with the slope alone is wrong by about $r^2$, and
# yours by about $r^3$. (On a log-log plot a power is a straight line, and its exponent is the steepness.)

# %% picture="a_map_from_one_point"
with picture("second_order_approximation"):
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    theta = grid(1.8, 60)
    levels = torch.linspace(-2.5, 6, 18)
    guess = second_order_approximation(two_layers, vector(0.0, 0.0), theta.reshape(2, -1).T).reshape(60, 60)
    for axes, surface, title in [
        (left, two_layers(theta), "the landscape"),
        (middle, guess, "the map from the saddle"),
    ]:
        drawn = axes.contour(*theta, surface.detach(), levels=levels, cmap="viridis")
        axes.plot(0, 0, "o", color="black")
        axes.set(title=title, xlabel="$w_1$", ylabel="$w_2$", aspect="equal")

    figure.colorbar(drawn, ax=middle, label="loss")

    place = vector(0.7, -1.1)
    around = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    around = around / around.norm(dim=1, keepdim=True)
    radii = 10.0 ** torch.linspace(-3, 0, 13, dtype=torch.float64)
    errors = {"slope only": [], "slope and bend (yours)": []}
    for r in radii:
        points = place + r * around
        truth = mountains(points.T)
        straight = mountains(place) + r * around @ gradient(mountains, place)
        errors["slope only"].append((straight - truth).abs().mean())
        curved = second_order_approximation(mountains, place, points).detach()
        errors["slope and bend (yours)"].append((curved - truth).abs().mean())
    for (name, error), color in zip(errors.items(), [GREY, BLUE], strict=True):
        right.loglog(radii, error, color=color, marker=".", label=name)
    right.set(xlabel=r"distance $r$ from $\theta'$", ylabel="mean error of the map", title="How far can you trust it?")
    right.legend(frameon=False)

# %% [markdown]
# ## 6. Valley, summit or pass?
#
# Now the fog lifts. At a critical point the signs of the eigenvalues tell where you are. The one difficulty is zero: an
# eigenvalue that ought to be 0 comes out as $3 \cdot 10^{-17}$ or $-10^{-16}$, and its sign means nothing. As before, ask
# *small compared with what?* Here we compare with the largest curvature of all: the eigenvalue $\lambda_k$ **counts as
# zero** if $\lvert\lambda_k\rvert \le \text{tolerance} \cdot \max_j \lvert\lambda_j\rvert$.
#
# And mind the order of the questions. If the ground rises one way and falls another way, it is a pass, whatever the
# remaining directions do. Only if that is settled does a zero matter.


# %% problem="classify_critical_point"
def classify_critical_point(hessian: torch.Tensor, tolerance: float = 1e-5) -> str:
    r"""What kind of critical point it is, from the eigenvalues of its Hessian.

    An eigenvalue λ counts as zero if |λ| ≤ tolerance · (the largest |λ| of this Hessian), otherwise as positive or
    negative.
    hessian: H, symmetric, shape (d, d), floating point, d at least 1. It may be all zeros.
    Returns one of four strings:
        "saddle" if there is a positive and a negative eigenvalue (then others may be zero);
        "degenerate" if not, and at least one eigenvalue is zero;
        "minimum" if all are positive; "maximum" if all are negative.
    """
    ### BEGIN SOLUTION
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.abs().max()
    rises, falls = bool((curvature > zero).any()), bool((curvature < -zero).any())
    if rises and falls:
        return "saddle"
    if bool((curvature.abs() <= zero).any()):
        return "degenerate"
    return "minimum" if rises else "maximum"
    ### END SOLUTION


# %% tests="classify_critical_point"
def diagonal(*numbers: float) -> torch.Tensor:
    """The matrix with these eigenvalues along the axes."""
    return torch.diag(vector(*numbers))


for curvatures, kind in [
    ((3.0, 1.0), "minimum"),
    ((-3.0, -1.0), "maximum"),
    ((3.0, -1.0), "saddle"),
    ((3.0, 0.0), "degenerate"),
    ((3.0, 1e-14), "degenerate"),
    ((3.0, 0.0, -1.0), "saddle"),
    ((-1.0, -1.0, -1.0, -1.0), "maximum"),
]:
    got = classify_critical_point(diagonal(*curvatures))
    assert got == kind, f"Eigenvalues {curvatures} make a {kind!r}, not a {got!r}."
got = classify_critical_point(torch.tensor([[0.0, -2.0], [-2.0, 0.0]]))
assert got == "saddle", (
    f"The lecture's network has a saddle at the origin, not a {got!r}: its eigenvalues are 2 and -2."
)

# %% [markdown]
# Time for a map of the mountains. From many places we let Newton's method run to the nearest critical point (it does not
# care of which kind), and your function says what was found. Every valley should lie in the blue or green, every
# summit on the brown or white. And between any two valleys that are neighbours: a pass.

# %% picture="the_map"
with picture("hessian", "classify_critical_point"):
    found: dict[str, set[tuple[float, float]]] = {
        "minimum": set(),
        "maximum": set(),
        "saddle": set(),
        "degenerate": set(),
    }
    for start in grid(4.0, 9).reshape(2, -1).T:
        theta = start
        for _ in range(9):
            theta = theta - torch.linalg.solve(hessian(mountains, theta), gradient(mountains, theta))
        if gradient(mountains, theta).norm() < 1e-9 and theta.abs().max() < 4:
            kind = classify_critical_point(hessian(mountains, theta))
            found[kind].add(tuple(round(t + 0.0, 3) for t in theta.tolist()))
    figure, axes = plt.subplots(figsize=(7, 5.6), layout="constrained")
    theta = grid(4.0)
    drawn = axes.contourf(*theta, mountains(theta), levels=30, cmap="terrain")
    axes.contour(*theta, mountains(theta), levels=30, colors="black", linewidths=0.3, alpha=0.4)
    for kind, name, marker, color in [
        ("minimum", "valleys", "v", BLUE),
        ("maximum", "summits", "^", "white"),
        ("saddle", "passes", "X", RED),
    ]:
        if found[kind]:
            places = torch.tensor(sorted(found[kind])).T
            style = {"marker": marker, "color": color, "edgecolors": "black", "s": 80, "zorder": 5}
            axes.scatter(*places, label=f"{len(found[kind])} {name}", **style)
    axes.set(xlabel=r"$\theta_0$", ylabel=r"$\theta_1$", title="What the walker found in the fog", aspect="equal")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, frameon=False)
    figure.colorbar(drawn, ax=axes, label="loss")

# %% [markdown]
# ## 7. The way down
#
# A saddle point is good news. It *has* a way down, and the Hessian knows it. Take an eigenvector $u$ with a negative
# eigenvalue $\lambda$:
#
# $$u^\top H u = \lambda\, \lVert u \rVert^2 < 0$$
#
# The steepest way down belongs to the most negative eigenvalue. An eigenvector has no sign: $u$ and $-u$ are the same
# answer. And if the same eigenvalue occurs twice, any unit vector of the plane that belongs to it is right.


# %% problem="escape_direction"
def escape_direction(hessian: torch.Tensor, tolerance: float = 1e-5) -> torch.Tensor:
    r"""The direction in which the ground falls most: the unit eigenvector of the most negative eigenvalue.

    hessian: H, symmetric, shape (d, d), floating point, d at least 1.
    tolerance: as before, an eigenvalue λ counts as zero if |λ| ≤ tolerance · (the largest |λ| of this Hessian).
    Returns u, shape (d,), dtype of H, of length 1, with either sign. If the most negative eigenvalue occurs several times,
    any unit vector of its eigenspace will do.
    Raises ValueError if no eigenvalue is negative (then there is no way down that the Hessian knows).
    """
    ### BEGIN SOLUTION
    curvature, directions = torch.linalg.eigh(hessian)  # in rising order; the eigenvectors are the columns
    if curvature[0] >= -tolerance * curvature.abs().max():
        raise ValueError("no eigenvalue is negative: the second order shows no way down")
    return directions[:, 0]
    ### END SOLUTION


# %% tests="escape_direction"
u = escape_direction(diagonal(4.0, -1.0, 2.0))
assert u.shape == (3,), f"A direction in 3 dimensions has shape (3,), not {tuple(u.shape)}."
torch.testing.assert_close(
    u.abs(), vector(0.0, 1.0, 0.0), msg=f"It falls along the second axis only, not {u.tolist()}."
)
u = escape_direction(torch.tensor([[0.0, -2.0], [-2.0, 0.0]], dtype=torch.float64))
assert abs(float(u.norm()) - 1) < 1e-9, f"The direction has length 1, not {float(u.norm())}."
assert float(u[0] * u[1]) > 0, f"With u = (1, -1) the two layers climb: u H u = +2. You return {u.tolist()}."
try:
    escape_direction(diagonal(3.0, 1.0, -1e-14))
except ValueError:
    pass
else:
    raise AssertionError("Eigenvalues 3, 1 and a rounded 0: there is no way down, so raise ValueError.")

# %% [markdown]
# ## 8. Walk it
#
# Gradient descent cannot leave a saddle point: the gradient is zero, and so is every step. So take one step along $u$
# instead. But $u$ has no sign. The map says that the loss falls *both* ways by $\frac12 \lvert\lambda\rvert r^2$; the
# landscape may disagree as soon as you have gone some way, for the map knows nothing of third derivatives. So look both
# ways before you go.


# %% problem="escape_saddle"
def escape_saddle(loss: Loss, theta: torch.Tensor, distance: float = 0.1) -> torch.Tensor:
    r"""A point with a lower loss than the saddle point theta.

    loss: turns a theta of shape (d,) into a tensor without dimensions, differentiable twice by autograd.
    theta: a saddle point, shape (d,), floating point: its gradient is zero. It is not changed.
    distance: r > 0. With u the unit eigenvector of the most negative eigenvalue of H, at least one of the two points
        θ + r u and θ - r u has a lower loss than θ.
    Returns a point, shape (d,), dtype of theta, whose loss is at most that of the lower one of these two points. How you
    get there, and how much further you go, is up to you: the tests look at the loss. You may use what you have
    built, or the library.
    Raises ValueError if no eigenvalue of H is negative, in the sense of `escape_direction` and its default tolerance.
    """
    ### BEGIN SOLUTION
    u = escape_direction(hessian(loss, theta))
    return min(theta + distance * u, theta - distance * u, key=loss)
    ### END SOLUTION


# %% tests="escape_saddle"
origin = vector(0.0, 0.0)
free = escape_saddle(two_layers, origin, distance=0.5)
assert free.shape == (2,), f"You return a point with 2 parameters, so its shape is (2,), not {tuple(free.shape)}."
assert not torch.equal(free, origin), (
    "You are still at the saddle point. The gradient is zero there: what else do you know?"
)
assert two_layers(free) < 0.77, f"Half a unit down from 1 is a loss of 0.7656 or less, not {two_layers(free):.4f}."
for sign in (1.0, -1.0):
    one_sided = lambda theta, sign=sign: theta[0] ** 2 - theta[1] ** 2 + sign * 4 * theta[1] ** 3  # noqa: E731
    free = escape_saddle(one_sided, origin, distance=0.5)
    assert one_sided(free) < -0.74, "One way it goes up after a few steps: the other way leads to a loss of -0.75."

# %% [markdown]
# Both walkers below come down from the same side, along the ridge that leads straight to the saddle point of the two
# layers. The first relies on gradient descent alone, the second calls your function as soon as the ground is flat. In
# the left panel, the loss of both; in the right one, the way they took.

# %% picture="the_escape"
with picture("is_critical_point", "escape_saddle"):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.3), layout="constrained")
    theta = grid(1.6)
    right.contour(*theta, two_layers(theta), levels=24, colors="0.78", linewidths=0.8)
    for name, color, may_escape in [("gradient descent alone", GREY, False), ("with your escape", ORANGE, True)]:
        place, path, first, escaped = vector(1.4, -1.4), [], None, False
        for _ in range(80):
            path.append(place)
            g = gradient(two_layers, place)
            first = g if first is None else first
            if may_escape and is_critical_point(g, first):
                place = escape_saddle(two_layers, place, distance=0.1).detach()
                may_escape, escaped = False, True
                left.axvline(len(path) - 1, color=ORANGE, linestyle="--", linewidth=1)
            else:
                place = place - 0.08 * g
        path = torch.stack(path)
        left.plot(two_layers(path.T), color=color, label=name, linewidth=2)
        right.plot(*path.T, color=color, marker=".", markersize=6, label=name)
        right.plot(*path[-1], "o", color=color, markersize=11)
    left.set(xlabel="steps", ylabel="loss", ylim=(0, 4), title="Stuck, and free")
    left.legend(frameon=False)
    right.set(xlabel="$w_1$", ylabel="$w_2$", title="The way they took", aspect="equal")

# %% [markdown]
# ## 9. So where are the local minima?
#
# A room without doors and windows is closed, in three dimensions. If there were a fourth one, you might just step out
# through it. It is the same with minima: the more parameters, the more directions, and a place is a local minimum only
# if the ground rises in *every one* of them. The lecture measures how far a critical point is from that:
#
# $$\text{minimum ratio} = \frac{\text{number of positive eigenvalues}}{\text{number of eigenvalues}}$$
#
# A ratio of 1 is a local minimum. Count every eigenvalue as often as it occurs, and let zeros be zeros.


# %% problem="minimum_ratio"
def minimum_ratio(hessian: torch.Tensor, tolerance: float = 1e-5) -> float:
    r"""The share of positive eigenvalues among all eigenvalues of the Hessian.

    hessian: H, symmetric, shape (d, d), floating point, d at least 1. It may be all zeros.
    tolerance: as before, an eigenvalue λ counts as zero, hence not as positive, if
        |λ| ≤ tolerance · (the largest |λ| of this Hessian).
    Returns a number from 0 to 1. An eigenvalue that occurs k times counts k times.
    """
    ### BEGIN SOLUTION
    curvature = torch.linalg.eigvalsh(hessian)
    return float((curvature > tolerance * curvature.abs().max()).double().mean())
    ### END SOLUTION


# %% tests="minimum_ratio"
for curvatures, ratio in [
    ((3.0, 1.0), 1.0),
    ((3.0, -1.0), 0.5),
    ((2.0, 0.0, 0.0, -1.0), 0.25),
    ((2.0, 2.0, 2.0, -1.0), 0.75),
    ((2.0, 1e-15), 0.5),
]:
    got = minimum_ratio(diagonal(*curvatures))
    assert abs(float(got) - ratio) < 1e-6, f"The minimum ratio of eigenvalues {curvatures} is {ratio}, not {got}."

# %% [markdown]
# Now repeat the lecture's experiment. We take a small tanh network, start it in 400 places, train some of them for a while,
# and then search for the nearest critical point *of any kind*. Each dot is one that was found. (The dark one at the
# top is the origin, all weights zero: many searches ended there.) How many have a ratio of 1? And what happens to the
# ratio as the loss gets lower?


# %%
def little_network(theta: torch.Tensor) -> torch.Tensor:
    """Mean squared error (with a little weight decay) of a 3 → 4 → 1 tanh network with 16 weights; theta: (..., 16)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(8, generator=generator, dtype=torch.float64)
    w, v = theta[..., :12].unflatten(-1, (4, 3)), theta[..., 12:]
    prediction = torch.einsum("...nk,...k->...n", torch.tanh(torch.einsum("...ki,ni->...nk", w, x)), v)
    return (prediction - (y - y.mean()) / y.std()).square().mean(dim=-1) + 0.003 * theta.square().sum(dim=-1)


def slopes_and_bends(thetas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradients (n, d) and the Hessians (n, d, d) of n little networks, all at once."""
    thetas = thetas.detach().requires_grad_()
    (g,) = torch.autograd.grad(little_network(thetas).sum(), thetas, create_graph=True)
    rows = [torch.autograd.grad(g[:, i].sum(), thetas, retain_graph=True)[0] for i in range(thetas.shape[1])]
    return g.detach(), torch.stack(rows, dim=1)


def find_critical_points(number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places where a search for g = 0 ended, their gradients, and the gradients at the starts: (number, 16) each.

    Half of the starts are random, half have been trained for a while. The search makes ||g|| smaller, not the loss
    (Levenberg's method), so it ends at critical points of every kind, if it finds any.
    """
    generator = torch.Generator().manual_seed(1)
    theta = torch.randn(number, 16, generator=generator, dtype=torch.float64)
    theta = 2 * theta * torch.rand(number, 1, generator=generator, dtype=torch.float64)
    start = slopes_and_bends(theta)[0]
    training = torch.randint(0, 600, (number, 1), generator=generator) * (torch.arange(number)[:, None] % 2)
    for step in range(600):
        leaf = theta.detach().requires_grad_()
        (g,) = torch.autograd.grad(little_network(leaf).sum(), leaf)
        theta = torch.where(step < training, theta - 0.2 * g, theta)
    damping = torch.full((number, 1, 1), 0.01, dtype=torch.float64)
    g, h = slopes_and_bends(theta)
    for _ in range(40):
        way = torch.linalg.solve(h @ h + damping * torch.eye(16, dtype=torch.float64), h @ g[..., None])[..., 0]
        new_g, new_h = slopes_and_bends(theta - way)
        better = (new_g.norm(dim=1) < g.norm(dim=1))[:, None]
        theta, g = torch.where(better, theta - way, theta), torch.where(better, new_g, g)
        h, better = torch.where(better[..., None], new_h, h), better[..., None]
        damping = torch.where(better, damping / 3, damping * 4).clamp(1e-12, 1e6)
    return theta, g, start


# %% picture="where_are_the_minima"
with picture("is_critical_point", "hessian", "minimum_ratio"):
    losses, ratios = [], []
    for place, g, first in zip(*find_critical_points(400), strict=True):
        if is_critical_point(g, first, tolerance=1e-7):
            losses.append(little_network(place).item())
            ratios.append(float(minimum_ratio(hessian(little_network, place).detach())))
    figure, axes = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    axes.scatter(ratios, losses, s=45, color=BLUE, alpha=0.35, linewidths=0)
    axes.axvline(1, color=RED, linestyle="--", linewidth=1)
    axes.annotate("local minima", (0.99, 0.75), color=RED, ha="right")
    axes.set(xlabel="minimum ratio", ylabel="training loss", xlim=(0.6, 1.02))
    axes.set_title(f"{len(losses)} critical points, {sum(ratio == 1 for ratio in ratios)} of them a local minimum")

# %% [markdown]
# ### In your own words
#
# The training loss of a friend's network, with a few million parameters, has not moved for an hour. "It is stuck in a local
# minimum," your friend says, "so I will start all over again with another seed." Write an answer of about 150 words:
#
# (a) What should be measured first, before anybody speaks of critical points, and what does each outcome mean?
# (b) If it is a critical point: why is a local minimum an unlikely guess, and what tells it from a saddle point?
# (c) The Hessian would not fit into any memory. How can your friend test for a way down all the same, and how do people
# usually get past saddle points without computing anything of second order?

# %% [markdown] answer="stuck" points=5
# **Model answer.** (a) Measure the norm of the gradient and compare it with its norm at the beginning. If it is not small,
# this is no critical point at all: the parameters bounce from wall to wall (or the gradient is noise), and the learning
# rate is to be changed. Only if it is small are we near a critical point. (b) The signs of the eigenvalues of the Hessian
# decide: all positive is a minimum, and one single negative eigenvalue is a way down. With millions of parameters,
# millions of signs would all have to be positive; what is measured in practice is a minimum ratio clearly below 1, and
# what looks closed in a few dimensions is open in another one. (c) Hessian-vector products cost two backward passes and
# no matrix. With them, power iteration (on $cI - H$, say) finds the most negative eigenvalue and its direction $u$;
# if it is negative, step along $\pm u$. Usually nobody does even that: the noise of small batches pushes $\theta$ off the
# saddle, where the gradient is no longer zero, and momentum carries it over flat ground.
#
# **Rubric.** 1 point: measures the gradient's norm, relative to something. 1 point: a large gradient at constant loss is
# no critical point (learning rate, bouncing). 1 point: decides by the signs of the eigenvalues of $H$. 1 point: many
# dimensions make a minimum unlikely, with the reason or the minimum ratio. 1 point: Hessian-vector products *or* a way
# out without second order (noise of batches, momentum, a random push).

# %% [markdown]
# ## Bonus: Newton, cured of his love of saddle points
#
# Newton's method divides the slope along each eigenvector by the curvature there, and so jumps right to the critical
# point of the map: $\theta \leftarrow \theta - H^{-1} g$. In a valley that is brilliant. Near a saddle it is a disaster:
# along a falling direction the curvature is negative, dividing by it turns the step around, and Newton *climbs* to
# the saddle point.
#
# The cure (Dauphin et al. 2014, *saddle-free Newton*) is one stroke of the pen: divide by the **size** of the curvature.
# With $H = \sum_k \lambda_k u_k u_k^\top$,
#
# $$\theta \leftarrow \theta - \lvert H \rvert^{-1} g, \qquad
# \lvert H \rvert = \sum_k \lvert \lambda_k \rvert\, u_k u_k^\top$$
#
# where a very small $\lvert\lambda_k\rvert$ is replaced by a smallest value, lest the step be infinite.


# %% problem="saddle_free_newton_step"
def saddle_free_newton_step(
    theta: torch.Tensor, gradient: torch.Tensor, hessian: torch.Tensor, smallest: float = 1e-3
) -> torch.Tensor:
    r"""One step of saddle-free Newton (Dauphin et al. 2014): $\theta - \lvert H \rvert^{-1} g$.

    $\lvert H \rvert = \sum_k \max(\lvert\lambda_k\rvert, \text{smallest})\, u_k u_k^\top$, with the eigenvalues λ_k of H
    and their unit eigenvectors u_k. So every |λ_k| below `smallest` is replaced by it.

    theta, gradient: θ and g, shape (d,), floating point. hessian: H, symmetric, shape (d, d), same dtype. They are not
        changed.
    smallest: above 0, the smallest curvature to divide by.
    Returns the new θ, shape (d,), in the same dtype.
    """
    ### BEGIN SOLUTION
    curvature, directions = torch.linalg.eigh(hessian)
    slope = directions.T @ gradient  # the slope along each eigenvector
    return theta - directions @ (slope / curvature.abs().clamp(min=smallest))
    ### END SOLUTION


# %% tests="saddle_free_newton_step"
bowl_and_hill = diagonal(2.0, -2.0)  # L = x^2 - y^2, its gradient at (3, 1) is (6, -2)
got = saddle_free_newton_step(vector(3.0, 1.0), vector(6.0, -2.0), bowl_and_hill)
torch.testing.assert_close(
    got,
    vector(0.0, 2.0),
    msg=f"Down to 0 along x as Newton goes, but away from the saddle along y: not {got.tolist()}.",
)
got = saddle_free_newton_step(vector(0.0, 0.0), vector(0.0, 1.0), diagonal(1.0, 0.0), smallest=0.1)
torch.testing.assert_close(
    got, vector(0.0, -10.0), msg=f"Curvature 0 is replaced by 0.1: a slope of 1 gives a step of 10, not {got.tolist()}."
)

# %% picture="three_walkers_at_a_saddle"
with picture("hessian", "saddle_free_newton_step"):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.3), layout="constrained")
    theta = grid(1.9)
    right.contour(*theta, two_layers(theta).clamp(max=9), levels=24, colors="0.78", linewidths=0.8)
    for name, color, marker in [
        ("gradient descent", GREY, "."),
        ("Newton", RED, "s"),
        ("saddle-free Newton", BLUE, "o"),
    ]:
        place, path = vector(0.5, -0.42), []
        for _ in range(26):
            path.append(place)
            g, h = gradient(two_layers, place), hessian(two_layers, place).detach()
            if name == "gradient descent":
                place = place - 0.08 * g
            elif name == "Newton":
                place = place - torch.linalg.solve(h, g)
            else:
                place = saddle_free_newton_step(place, g, h)
        path = torch.stack(path)
        left.plot(two_layers(path.T), color=color, marker=marker, markersize=4, label=name)
        right.plot(*path.T, color=color, marker=marker, markersize=5)
    left.set(xlabel="steps", ylabel="loss", title="One of them loves the saddle")
    left.legend(frameon=False)
    right.plot(0, 0, "X", color="black", markersize=9)
    right.set(xlabel="$w_1$", ylabel="$w_2$", title="Which way did they go?", aspect="equal")

# %% [markdown]
# ## What you have built
#
# A walker in the fog who feels the slope and the bend, knows whether the ground is flat, tells valley, summit and pass
# apart, and finds the way down. And you have seen that the feared local minimum is mostly a saddle point. In Lecture 5,
# the noise of small batches and momentum get past flat ground without any Hessian at all, and in Lecture 6 the walker in
# the ravine gets help.
#
# ## Sources
#
# - B. A. Pearlmutter: *Fast Exact Multiplication by the Hessian*, Neural Computation 6(1), 1994
# - Y. N. Dauphin, R. Pascanu, C. Gulcehre, K. Cho, S. Ganguli, Y. Bengio: *Identifying and attacking the saddle point
#   problem in high-dimensional non-convex optimization*, NeurIPS 2014, arXiv:1406.2572
