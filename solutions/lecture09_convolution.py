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
# # Lecture 9: Convolutional neural networks
#
# In 1989 a network learned to read the handwritten zip codes on envelopes (LeCun et al. 1989). It had the eyes that
# networks still have today: small receptive fields, shared weights, and a picture that shrinks on its way through. In
# this notebook you work the night shift in the sorting office. You will
#
# 1. build convolution in NumPy three times: as the formula says, fast, and backwards;
# 2. build pooling, see what it throws away, and measure receptive fields and parameters;
# 3. measure what a CNN can't do (rotation and scaling), and build the cure, a spatial transformer layer;
# 4. train a CNN that reads digits it has never seen, at 97 % or better.
#
# **Time:** about four hours. The bonus takes 20 minutes more. You need NumPy, a little PyTorch, and the lectures
# up to 8.
#
# **How it is graded.** The tests below each problem are for you; hidden tests of the same promises give the points.
# Automatic: 100 points, and up to 6 more for the bonus. One question in words, read by a person: 5 points.
# Keep the names of functions and arguments, and leave the inputs as they are. Everything may be used *except* the
# finished thing, under any name. Where you build a convolution, ready-made convolutions are out, such as
# `torch.nn.functional.conv2d`, `unfold`, `scipy.signal.convolve2d` or `np.convolve`; where you build pooling or
# sampling, their ready-made versions; where you build a backward pass, autograd as well. `np.pad` and
# `np.lib.stride_tricks.sliding_window_view` are fine.

# %% [markdown]
# ## Recap
#
# Three observations about pictures, and what each does to the network:
#
# | observation | simplification |
# |---|---|
# | Some patterns are much smaller than the whole picture. | **receptive field**: a neuron looks at $k \times k$ pixels |
# | The same pattern appears in different regions. | **parameter sharing**: one set of weights for all places |
# | Subsampling the pixels does not change the object. | **pooling**: keep one number of each window |
#
# The first two make a fully connected layer a **convolutional layer**; a set of shared weights is a *kernel* (a
# filter), and what it finds, at every place, is a *feature map*.
#
# | symbol | in code | what it is |
# |---|---|---|
# | $x$ | `x`, (N, C, H, W) | N pictures of C channels, H rows and W columns |
# | $w$, $b$ | `w`, (O, C, kh, kw); `b`, (O,) | O kernels, one for each output channel, and their biases |
# | $y$ | `y`, (N, O, H', W') | the feature maps |
# | $k$, $s$, $p$, $d$ | `kernel`, `stride`, `padding`, `dilation` | window, step, zeros around the picture, spread of the window |
# | $\partial L / \partial y$ | `dy`, shaped as `y` | the gradient that arrives from the layer above |
# | $\theta$ | `theta`, (N, 2, 3) | an affine transformation for each picture |
#
# $$y_{n o i j} = b_o + \sum_{c=1}^{C} \sum_{u=0}^{k_h-1} \sum_{v=0}^{k_w-1} w_{o c u v}\; x_{n,\, c,\, s i + u,\, s j + v}
# \qquad \text{($x$ with its padding)}$$
#
# Note the two plus signs. Mathematicians call this **cross-correlation**; their convolution flips the kernel first. Our
# field says convolution and does not flip: for learned weights it makes no difference, and neither will you.
#
# **What to look for:** ask of every layer *which pixels does this number come from, and who else uses these weights?*

# %%
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_digits
from torch import nn

torch.set_num_threads(1)  # for pictures as small as ours, threads would mostly wait for one another
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


def mail(first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits number `first` up to `last` of 1200, as pictures (n, 1, 8, 8) from 0 (paper) to 1 (ink), and labels (n,).

    The other 597 digits of scikit-learn's data set are kept for the examination.
    """
    digits = load_digits()
    chosen = np.random.default_rng(9).permutation(len(digits.images))[:1200][first:last]
    return digits.images[chosen][:, None] / 16, digits.target[chosen]


def show(axis: plt.Axes, image: np.ndarray, title: str = "", colour: str = "Greys", limit: float | None = None) -> None:
    """Draw one channel, (H, W): dark is ink. With a limit, red is below 0 and blue above."""
    low = 0 if limit is None else -limit
    axis.imshow(image, cmap=colour if limit is None else "RdBu", vmin=low, vmax=limit)
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(True)


# %% picture="the_mail"
_images, _labels = mail(0, 20)
_figure, _axes = plt.subplots(2, 10, figsize=(10, 2.4), layout="constrained")
_figure.suptitle("Tonight's mail: 8 × 8 pixels each")
for _axis, _image, _label in zip(_axes.flat, _images, _labels, strict=True):
    show(_axis, _image[0], str(_label))

# %% [markdown]
# ## 1. How large is the map?
#
# Slide a window over a row of pixels. How often does it fit? Three things change the count: the **stride** $s$ (how far
# the window jumps), the **padding** $p$ (zeros added at *both* ends), and the **dilation** $d$ (the pixels under the
# window are $d$ apart, so that it spans $d(k-1)+1$ pixels):
#
# $$\text{size}' = \left\lfloor \frac{\text{size} + 2p - \big(d(k-1)+1\big)}{s} \right\rfloor + 1$$
#
# A last jump that would take the window over the end is not made: round down.


# %% problem="conv_output_size"
def conv_output_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    r"""The number of places where a window fits along one axis.

    $$\lfloor (\text{size} + 2p - (d(k-1)+1)) / s \rfloor + 1$$

    size: pixels along the axis, at least 1; kernel: k >= 1; stride: s >= 1; padding: p >= 0, added at both ends;
    dilation: d >= 1, the distance of neighbouring pixels of the window (1: they touch).
    Returns an `int`, at least 1. Raises ValueError if the window, $d(k-1)+1$ pixels long, is longer than the padded
    axis: then it fits nowhere.
    """
    ### BEGIN SOLUTION
    room = size + 2 * padding - (dilation * (kernel - 1) + 1)
    if room < 0:
        raise ValueError(f"a window of {kernel} pixels does not fit into {size}")
    return room // stride + 1
    ### END SOLUTION


# %% tests="conv_output_size"
assert conv_output_size(8, kernel=3) == 6, "A window of 3 pixels starts at pixel 0, 1, ..., 5 of a row of 8."
assert conv_output_size(8, kernel=3, padding=1) == 8, "One zero at *each* end: a kernel of 3 then keeps the size."
assert conv_output_size(8, kernel=3, stride=2) == 3, "It starts at 0, 2 and 4; the jump to 6 would go over the end."
assert conv_output_size(8, kernel=3, dilation=3) == 2, "With dilation 3, three pixels span 7."
try:
    conv_output_size(2, kernel=3)
except ValueError:
    pass
else:
    raise AssertionError("Three pixels don't fit into two: raise a ValueError.")

# %% [markdown]
# ## 2. Padding
#
# Without padding, maps shrink with every layer, and a pixel in the corner is seen by one window only. So put the
# picture into a frame: along its rows and columns, of course, and not along the batch or the channels. (The value of
# the frame is an argument. Pooling will need another one than 0. Which?)


# %% problem="pad2d"
def pad2d(x: np.ndarray, padding: int, value: float = 0.0) -> np.ndarray:
    """Put each channel of each picture into a frame, `padding` pixels wide on all four sides.

    x: (N, C, H, W), any numeric dtype; padding: p >= 0, 0 leaves the pictures as they are; value: what fills the frame.
    Returns an array of shape (N, C, H + 2p, W + 2p), dtype of x.
    """
    ### BEGIN SOLUTION
    frame = (padding, padding)
    return np.pad(x, ((0, 0), (0, 0), frame, frame), constant_values=value)
    ### END SOLUTION


# %% tests="pad2d"
_padded = pad2d(np.arange(1.0, 7).reshape(1, 1, 2, 3), 1)
assert _padded.shape == (1, 1, 4, 5), f"A frame of 1 makes 2 × 3 pixels 4 × 5: yours is {_padded.shape}."
np.testing.assert_array_equal(
    _padded[0, 0, 1], [0, 1, 2, 3, 0], "The picture sits in the middle of its frame of zeros."
)
_padded = pad2d(np.zeros((2, 3, 1, 1), dtype=np.float32), 2, value=-7)
assert _padded.shape == (2, 3, 5, 5), "Padding adds neither pictures nor channels."
assert _padded[0, 0, 0, 0] == -7, "The frame is filled with `value`."
assert _padded.dtype == np.float32, "A padded picture has the dtype that it had."

# %% [markdown]
# ## 3. Convolution, as the formula says
#
# Lay the kernel on a window, multiply number by number, add everything up, *all channels together*, add the bias: one
# number of one feature map. Then move on. Write it so that you could explain each line; speed comes later. (Use your own
# `pad2d` and `conv_output_size`.)


# %% problem="conv2d"
def conv2d(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, stride: int = 1, padding: int = 0) -> np.ndarray:
    r"""Convolution of pictures (without flipping the kernel: cross-correlation).

    $$y_{noij} = b_o + \sum_{c,u,v} w_{ocuv}\; x_{n,\,c,\,si+u,\,sj+v}$$

    where x is first framed by `padding` zeros on all four sides.

    x: (N, C, H, W) floats; w: (O, C, kh, kw), the kernels, where kh and kw may differ; b: (O,), or None for no bias;
    stride: s >= 1, the same along rows and columns; padding: p >= 0. All arrays have one dtype; the kernel fits.
    Returns y, (N, O, H', W') with H' and W' as in `conv_output_size`, in the same dtype.
    """
    ### BEGIN SOLUTION
    x = pad2d(x, padding)
    kh, kw = w.shape[2:]
    rows, columns = conv_output_size(x.shape[2], kh, stride), conv_output_size(x.shape[3], kw, stride)
    y = np.empty((len(x), len(w), rows, columns), dtype=x.dtype)
    for i, j in np.ndindex(rows, columns):
        window = x[:, :, stride * i : stride * i + kh, stride * j : stride * j + kw]
        y[:, :, i, j] = np.einsum("ncuv,ocuv->no", window, w)
    return y if b is None else y + b[:, None, None]
    ### END SOLUTION


# %% tests="conv2d"
_x = np.array([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
np.testing.assert_allclose(
    conv2d(_x, np.array([[[[10.0, 1]]]])),
    [[[[12, 23], [45, 56], [78, 89]]]],
    err_msg="10 times a pixel plus its right neighbour. If you got 21 first, you flipped the kernel.",
)
np.testing.assert_allclose(
    conv2d(_x, np.ones((1, 1, 2, 2)), b=np.array([0.5])),
    [[[[12.5, 16.5], [24.5, 28.5]]]],
    err_msg="Each number is the sum of a 2 × 2 window, plus the bias.",
)
np.testing.assert_allclose(
    conv2d(np.concatenate([_x, 100 * _x], axis=1), np.ones((1, 2, 1, 1))), 101 * _x, err_msg="Channels are added up."
)
np.testing.assert_allclose(
    conv2d(_x, np.ones((1, 1, 1, 1)), stride=2, padding=1),
    [[[[0, 0, 0], [0, 5, 0], [0, 0, 0]]]],
    err_msg="First the frame, then steps of 2 along rows *and* columns: the middle and eight zeros of the frame.",
)

# %% [markdown]
# Now look through the eyes of four neurons. Each has nine weights (blue is positive, red negative) and looks for a
# stroke with paper on both sides. No one has trained them; a trained network finds such kernels by itself.

# %%
STROKES = np.array(
    [
        [[-1, 2, -1], [-1, 2, -1], [-1, 2, -1]],
        [[-1, -1, -1], [2, 2, 2], [-1, -1, -1]],
        [[-1, -1, 2], [-1, 2, -1], [2, -1, -1]],
        [[2, -1, -1], [-1, 2, -1], [-1, -1, 2]],
    ],
    dtype=float,
)[:, None]  # (4, 1, 3, 3): upright, level, rising, falling
STROKE_NAMES = ["upright", "level", "rising", "falling"]

# %% picture="detectors"
with picture("conv2d"):
    _images, _labels = mail(0, 40)
    _images = _images[[np.flatnonzero(_labels == _digit)[0] for _digit in (7, 4, 0)]]
    _maps = np.maximum(conv2d(_images, STROKES, padding=1), 0)
    _figure, _axes = plt.subplots(4, 5, figsize=(9, 6.4), layout="constrained")
    _axes[0, 0].axis("off")
    for _axis, _kernel, _name in zip(_axes[0, 1:], STROKES[:, 0], STROKE_NAMES, strict=True):
        show(_axis, _kernel, f"kernel: {_name}", limit=3)
    for _row, _image, _map in zip(_axes[1:], _images, _maps, strict=True):
        show(_row[0], _image[0])
        for _axis, _channel in zip(_row[1:], _map, strict=True):
            show(_axis, _channel, colour="Blues")
            _axis.images[0].set_clim(0, _maps.max())
    _axes[1, 0].set_title("picture", fontsize=10)
    _figure.suptitle("Four kernels and their feature maps: the darker, the better the stroke fits")

# %% [markdown]
# ## 4. The same, fast
#
# Your loop asks Python to start over at each pixel of the map. The trick of all fast convolutions is called **im2col**:
# write every window as one row of a big table, every kernel as one column of another, and multiply the two. Everything
# is then a *single matrix product*, and that is what computers are built for.
#
# `sliding_window_view` makes the table of windows without copying a single number. Here it is as a tool:


# %%
def windows(x: np.ndarray, kernel_height: int, kernel_width: int, stride: int = 1) -> np.ndarray:
    """All windows of (N, C, H, W) pictures: shape (N, C, H', W', kernel_height, kernel_width), a view of x."""
    return sliding_window_view(x, (kernel_height, kernel_width), axis=(2, 3))[:, :, ::stride, ::stride]


# %% [markdown]
# Now find the product. No loop over pixels, please: the hidden tests count the lines of Python that run. (A loop over
# the few places *inside* the kernel is cheap, and fine.)


# %% problem="conv2d_fast"
def conv2d_fast(
    x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None, stride: int = 1, padding: int = 0
) -> np.ndarray:
    """The same as `conv2d`, argument for argument and number for number, without a loop over the pixels of the map.

    x: (N, C, H, W) floats; w: (O, C, kh, kw); b: (O,) or None; stride >= 1; padding >= 0.
    Returns y, (N, O, H', W'), in the same dtype.
    """
    ### BEGIN SOLUTION
    table = windows(pad2d(x, padding), *w.shape[2:], stride)
    y = np.tensordot(table, w, axes=([1, 4, 5], [1, 2, 3]))  # (N, H', W', O): the sum runs over c, u, v
    y = np.moveaxis(y, -1, 1)
    return y if b is None else y + b[:, None, None]
    ### END SOLUTION


# %% tests="conv2d_fast"
_rng = np.random.default_rng(0)
_x, _w, _b = _rng.normal(size=(2, 3, 6, 7)), _rng.normal(size=(4, 3, 3, 2)), _rng.normal(size=4)
assert conv2d_fast(_x, _w, _b).shape == (2, 4, 4, 6), "The axes of the result are pictures, kernels, rows, columns."
np.testing.assert_allclose(
    conv2d_fast(_x, _w, _b), conv2d(_x, _w, _b), atol=1e-9, err_msg="The fast way must give what the slow one gives."
)
np.testing.assert_allclose(
    conv2d_fast(_x, _w, None, stride=2, padding=1),
    conv2d(_x, _w, None, stride=2, padding=1),
    atol=1e-9,
    err_msg="With stride and padding the fast way differs from the slow one.",
)

# %% [markdown]
# ## 5. Backwards
#
# How should each weight change? Each pixel? Read the formula once more, as a list of who meets whom: *weight $w_{ocuv}$
# met pixel $x_{n,c,si+u,sj+v}$ when $y_{noij}$ was made*. The chain rule sums over all such meetings:
#
# $$\frac{\partial L}{\partial w_{ocuv}} = \sum_{n,i,j} \frac{\partial L}{\partial y_{noij}}\, x_{n,c,si+u,sj+v} \qquad
# \frac{\partial L}{\partial x_{n,c,si+u,sj+v}} \mathrel{+}= \sum_o \frac{\partial L}{\partial y_{noij}}\, w_{ocuv} \qquad
# \frac{\partial L}{\partial b_o} = \sum_{n,i,j} \frac{\partial L}{\partial y_{noij}}$$
#
# A shared weight collects from *every place* of every picture; a pixel collects from *every window* that it was in.
# Walk over the windows as in `conv2d` and let them collect. At the end remember that nobody asked for the gradient of
# the frame.


# %% problem="conv2d_backward"
def conv2d_backward(
    dy: np.ndarray, x: np.ndarray, w: np.ndarray, stride: int = 1, padding: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""The gradient of the loss through `conv2d(x, w, b, stride, padding)`.

    $$\partial L/\partial w_{ocuv} = \sum_{nij} dy_{noij}\, x_{n,c,si+u,sj+v} \qquad
    \partial L/\partial b_o = \sum_{nij} dy_{noij}$$

    and each pixel $x_{n,c,si+u,sj+v}$ collects $\sum_o dy_{noij}\, w_{ocuv}$ from every window that holds it. Pixels
    in no window get 0.

    dy: $\partial L / \partial y$, (N, O, H', W'); x: the pictures without their frame, (N, C, H, W);
    w: (O, C, kh, kw); stride and padding as in `conv2d`. All arrays are floats of one dtype.
    Returns (dx, dw, db), of the shapes of x, w and (O,), in the same dtype.
    """
    ### BEGIN SOLUTION
    padded = pad2d(x, padding)
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    kh, kw = w.shape[2:]
    for i, j in np.ndindex(dy.shape[2:]):
        place = np.s_[:, :, stride * i : stride * i + kh, stride * j : stride * j + kw]
        dw += np.einsum("no,ncuv->ocuv", dy[:, :, i, j], padded[place])
        dx[place] += np.einsum("no,ocuv->ncuv", dy[:, :, i, j], w)
    height, width = x.shape[2:]
    return dx[:, :, padding : padding + height, padding : padding + width], dw, dy.sum(axis=(0, 2, 3))
    ### END SOLUTION


# %% tests="conv2d_backward"
def _finite_differences(loss: Callable[[np.ndarray], float], at: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The slope of `loss` along each entry of `at`, from two points."""
    slopes = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        slopes[index] = (loss(up) - loss(down)) / (2 * step)
    return slopes


def _compare_slopes(stride: int, padding: int) -> None:
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(2, 2, 5, 4)), rng.normal(size=(3, 2, 3, 2)), rng.normal(size=3)
    dy = rng.normal(size=conv2d(x, w, b, stride, padding).shape)
    dx, dw, db = conv2d_backward(dy, x, w, stride, padding)
    for name, got, slope in (
        ("b", db, _finite_differences(lambda b: (dy * conv2d(x, w, b, stride, padding)).sum(), b)),
        ("w", dw, _finite_differences(lambda w: (dy * conv2d(x, w, b, stride, padding)).sum(), w)),
        ("x", dx, _finite_differences(lambda x: (dy * conv2d(x, w, b, stride, padding)).sum(), x)),
    ):
        assert np.shape(got) == slope.shape, f"The gradient for {name} has shape {np.shape(got)}, not {slope.shape}."
        told = f"Stride {stride}, padding {padding}: this is not the slope of the loss along {name}."
        np.testing.assert_allclose(got, slope, atol=1e-6, err_msg=told)


_compare_slopes(stride=1, padding=0)
_compare_slopes(stride=2, padding=1)

# %% [markdown]
# With `dx` you can ask a neuron what it would like to see: start from noise, and change the *picture* so that the neuron
# responds more (Erhan et al. 2009). Compare the answers with the kernels above.

# %% picture="what_a_neuron_dreams_of"
with picture("conv2d", "conv2d_backward"):
    _figure, _axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
    for _axis, _kernel, _name in zip(_axes, STROKES, STROKE_NAMES, strict=True):
        _dream = np.random.default_rng(5).normal(size=(1, 1, 14, 14))
        for _step in range(30):
            _response = conv2d(_dream, _kernel[None], padding=1)
            _dx, _, _ = conv2d_backward(np.maximum(_response, 0), _dream, _kernel[None], padding=1)
            _dream = _dream + 0.05 * _dx
            _dream = _dream / np.abs(_dream).max()
        show(_axis, np.maximum(_dream[0, 0], 0), f"the neuron for {_name} strokes")
    _figure.suptitle("Pictures that four neurons love")

# %% [markdown]
# ## 6. Pooling
#
# Look at a photograph from further away: it has fewer pixels, and it is still a bird. **Max pooling** keeps the largest
# number of each window, **average pooling** its mean; there is nothing to learn. The windows lie side by side unless a
# stride is given.
#
# Padded places are a trap. They are no pixels: the frame must not win a maximum (think of a window in which all
# pixels are negative), and it does not count in a mean.


# %% problem="max_pool2d"
def max_pool2d(x: np.ndarray, kernel: int, stride: int | None = None, padding: int = 0) -> np.ndarray:
    """The largest pixel of each window of each channel.

    x: (N, C, H, W) floats; kernel: k, the windows are k × k; stride: s >= 1, or None for s = k;
    padding: the width of the frame, at most k // 2. Its places count as no pixels: they never win.
    Returns (N, C, H', W') with H' and W' as in `conv_output_size`, dtype of x. (So the rows and columns that are left
    over at the end, too few for another window, are dropped.)
    """
    ### BEGIN SOLUTION
    return windows(pad2d(x, padding, -np.inf), kernel, kernel, stride or kernel).max(axis=(-2, -1))
    ### END SOLUTION


# %% tests="max_pool2d"
_x = np.arange(16.0).reshape(1, 1, 4, 4)
np.testing.assert_array_equal(max_pool2d(_x, 2), [[[[5, 7], [13, 15]]]], "The largest of each 2 × 2 window.")
np.testing.assert_array_equal(
    max_pool2d(_x, 2, stride=1), [[[[5, 6, 7], [9, 10, 11], [13, 14, 15]]]], "With stride 1 the windows overlap."
)
np.testing.assert_array_equal(
    max_pool2d(-_x - 1, 2, padding=1),
    [[[[-1, -2, -4], [-5, -6, -8], [-13, -14, -16]]]],
    "The frame holds no pixels: where all pixels are negative, the least negative one wins.",
)

# %% [markdown]
# ### ... and back
#
# Only the winner made a difference, so only the winner gets the gradient. Two pixels may tie for it (on blank paper all
# do). One has to be chosen: as in PyTorch, the first in reading order.


# %% problem="max_pool2d_backward"
def max_pool2d_backward(
    dy: np.ndarray, x: np.ndarray, kernel: int, stride: int | None = None, padding: int = 0
) -> np.ndarray:
    """The gradient of the loss through `max_pool2d(x, kernel, stride, padding)`.

    Each dy goes, whole, to the largest pixel of its window. If several are equally large, to the first of them, row by
    row from the top, from left to right. A pixel that wins in several windows gets the sum.

    dy: (N, C, H', W'); x: (N, C, H, W), of the same float dtype; kernel, stride, padding as in `max_pool2d`.
    Returns dx, (N, C, H, W), in the same dtype.
    """
    ### BEGIN SOLUTION
    stride = stride or kernel
    padded = pad2d(x, padding, -np.inf)
    dx = np.zeros_like(padded)
    n, c = np.ogrid[: x.shape[0], : x.shape[1]]
    for i, j in np.ndindex(dy.shape[2:]):
        window = padded[:, :, stride * i : stride * i + kernel, stride * j : stride * j + kernel]
        winner = window.reshape(*x.shape[:2], -1).argmax(axis=-1)  # the first of equals
        dx[n, c, stride * i + winner // kernel, stride * j + winner % kernel] += dy[:, :, i, j]
    height, width = x.shape[2:]
    return dx[:, :, padding : padding + height, padding : padding + width]
    ### END SOLUTION


# %% tests="max_pool2d_backward"
_x = np.array([[[[1.0, 9, 2], [3, 4, 8], [0, 0, 0]]]])
np.testing.assert_array_equal(
    max_pool2d_backward(np.array([[[[5.0]]]]), _x, 2), [[[[0, 5, 0], [0, 0, 0], [0, 0, 0]]]], "9 has won: it gets all."
)
np.testing.assert_array_equal(
    max_pool2d_backward(np.array([[[[1.0, 10], [100, 1000]]]]), _x, 2, stride=1),
    [[[[0, 11, 0], [0, 100, 1000], [0, 0, 0]]]],
    "9 wins two of the overlapping windows and gets the sum of both gradients.",
)
np.testing.assert_array_equal(
    max_pool2d_backward(np.array([[[[5.0]]]]), np.ones((1, 1, 2, 2)), 2),
    [[[[5, 0], [0, 0]]]],
    "All four tie: the first in reading order gets the gradient, all of it.",
)

# %% [markdown]
# ### Average pooling
#
# A mean divides by a count. At the border, what do you count?


# %% problem="avg_pool2d"
def avg_pool2d(x: np.ndarray, kernel: int, stride: int | None = None, padding: int = 0) -> np.ndarray:
    """The mean of the pixels of each window of each channel.

    The frame holds no pixels: a window that sticks out into it has the mean of the pixels that it does hold (what
    PyTorch does with `count_include_pad=False`).

    x: (N, C, H, W) floats; kernel, stride, padding as in `max_pool2d`.
    Returns (N, C, H', W'), dtype of x.
    """
    ### BEGIN SOLUTION
    sums, counts = (
        windows(pad2d(pixels, padding), kernel, kernel, stride or kernel).sum(axis=(-2, -1))
        for pixels in (x, np.ones_like(x))
    )
    return sums / counts
    ### END SOLUTION


# %% tests="avg_pool2d"
_x = np.arange(16.0).reshape(1, 1, 4, 4)
np.testing.assert_allclose(avg_pool2d(_x, 2), [[[[2.5, 4.5], [10.5, 12.5]]]], err_msg="The mean of each 2 × 2 window.")
np.testing.assert_allclose(
    avg_pool2d(np.ones((1, 1, 4, 4)), 3, stride=1, padding=1),
    np.ones((1, 1, 4, 4)),
    err_msg="Paper of one colour keeps its colour, at the border too: divide by the number of real pixels.",
)

# %% [markdown]
# ### ... and back
#
# Everyone in the window had an equal share in the mean. The picture itself is not needed any more: its shape is enough.


# %% problem="avg_pool2d_backward"
def avg_pool2d_backward(
    dy: np.ndarray, shape: tuple[int, int, int, int], kernel: int, stride: int | None = None, padding: int = 0
) -> np.ndarray:
    """The gradient of the loss through `avg_pool2d(x, kernel, stride, padding)` for pictures x of the given shape.

    Each dy is shared equally by the pixels of its window. The frame holds none and gets none. A pixel in several
    windows gets the sum; a pixel in none gets 0.

    dy: (N, C, H', W') floats; shape: (N, C, H, W), that of x; kernel, stride, padding as in `avg_pool2d`.
    Returns dx, of the given shape, dtype of dy.
    """
    ### BEGIN SOLUTION
    stride = stride or kernel
    pixels = pad2d(np.ones(shape, dtype=dy.dtype), padding)  # 1 for a pixel, 0 for the frame
    dx = np.zeros_like(pixels)
    share = dy / windows(pixels, kernel, kernel, stride).sum(axis=(-2, -1))
    for i, j in np.ndindex(dy.shape[2:]):
        place = np.s_[:, :, stride * i : stride * i + kernel, stride * j : stride * j + kernel]
        dx[place] += share[:, :, i, j, None, None]
    height, width = shape[2:]
    return dx[:, :, padding : padding + height, padding : padding + width]
    ### END SOLUTION


# %% tests="avg_pool2d_backward"
np.testing.assert_allclose(
    avg_pool2d_backward(np.array([[[[8.0, 80]]]]), (1, 1, 2, 4), 2),
    [[[[2, 2, 20, 20], [2, 2, 20, 20]]]],
    err_msg="A gradient of 8 is shared by four pixels: 2 each.",
)
np.testing.assert_allclose(
    avg_pool2d_backward(np.ones((1, 1, 3, 3)), (1, 1, 4, 4), 2, padding=1).sum(),
    9,
    err_msg="Nine windows hand out 1 each. Nothing goes to the frame, so the pixels get 9 in all.",
)

# %% [markdown]
# "Subsampling does not change the object." True of a digit: pooled to a quarter of its pixels, it is still a 3, and
# moved by a pixel it hardly matters. Now a Go position, 1 for black, −1 for white stones. **Pooling is not always
# good**: AlphaGo reads its board with convolutions and without any pooling (Silver et al. 2016). Can you see why?

# %% picture="what_pooling_keeps"
with picture("max_pool2d", "avg_pool2d"):
    _images, _labels = mail(0, 60)
    _digit = _images[np.flatnonzero(_labels == 3)[2]][None].repeat(3, axis=2).repeat(3, axis=3)  # 24 × 24 pixels
    _go = np.random.default_rng(8).choice([-1.0, 0, 0, 0, 1], size=(1, 1, 12, 12))
    _go[0, 0, 4:7, 4:7] = [[0, 1, 0], [1, -1, 1], [0, 1, 0]]  # a white stone, surrounded
    _rows = {"a digit": _digit, "moved by a pixel": np.roll(_digit, 1, axis=3), "a Go position": _go}
    _figure, _axes = plt.subplots(3, 3, figsize=(7, 7), layout="constrained")
    for _row, (_name, _x) in zip(_axes, _rows.items(), strict=True):
        for _axis, _map, _title in zip(
            _row, (_x, max_pool2d(_x, 2), avg_pool2d(_x, 2)), (_name, "max pooling", "average pooling"), strict=True
        ):
            show(_axis, _map[0, 0], _title)
            _axis.images[0].set_clim(_x.min(), _x.max())
    _axes[2, 0].add_patch(plt.Rectangle((3.5, 3.5), 3, 3, fill=False, edgecolor=RED, linewidth=2.5))
    _axes[2, 0].set_xlabel("framed: a white stone, surrounded", fontsize=9)

# %% [markdown]
# ## 7. How much does a neuron see?
#
# A neuron of the first layer sees 3 × 3 pixels. One of the second sees 3 × 3 neurons of the first: 5 × 5 pixels. So
# small kernels are no handicap, if there are layers enough. With a stride, neighbours in the map lie further apart in
# the picture, and every later layer takes larger strides. Let $j_l$ be that distance in pixels after $l$ layers, and
# $r_l$ the receptive field:
#
# $$r_0 = 1, \quad j_0 = 1, \qquad r_l = r_{l-1} + d_l (k_l - 1)\, j_{l-1}, \qquad j_l = j_{l-1}\, s_l$$


# %% problem="receptive_field"
def receptive_field(layers: Sequence[tuple[int, int, int]]) -> int:
    r"""The receptive field of a neuron of the last layer, in pixels of the picture along one axis.

    $$r_l = r_{l-1} + d_l (k_l - 1)\, j_{l-1} \qquad j_l = j_{l-1}\, s_l \qquad r_0 = j_0 = 1$$

    layers: (kernel, stride, dilation) of each layer, the first layer first. Pooling is a layer as well.
    Returns the length from the first to the last pixel that it depends on, as an `int`, as if the picture had no
    border. Without a layer it is 1.
    """
    ### BEGIN SOLUTION
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += dilation * (kernel - 1) * jump
        jump *= stride
    return field
    ### END SOLUTION


# %% tests="receptive_field"
assert receptive_field([(3, 1, 1)]) == 3, "A neuron of the first layer sees its kernel."
assert receptive_field([(3, 1, 1)] * 2) == 5, "Neighbours overlap: the second layer adds one pixel on each side."
assert receptive_field([(3, 2, 1), (3, 1, 1)]) == 7, "After a stride of 2, neighbours in the map are 2 pixels apart."
assert receptive_field([(3, 1, 2)]) == 5, "With dilation 2, three pixels span five."

# %% picture="growing_fields"
with picture("receptive_field"):
    _designs = {
        "3 × 3": ([(3, 1, 1)] * 12, BLUE, "o-"),
        "3 × 3, then pooling 2 × 2": ([(3, 1, 1), (2, 2, 1)] * 6, RED, "s-"),
        "3 × 3 with dilation 1, 2, 4, ...": ([(3, 1, 2**_layer) for _layer in range(12)], GREEN, "^-"),
    }
    _figure, _axis = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for _name, (_layers, _colour, _line) in _designs.items():
        _fields = [receptive_field(_layers[:_depth]) for _depth in range(13)]
        _axis.semilogy(_fields, _line, color=_colour, label=_name)
    _axis.axhline(224, color=GREY, linestyle=":")
    _axis.text(0, 240, "a photograph of 224 × 224 pixels", color="grey", va="bottom")
    _axis.set(xlabel="layers", ylabel="receptive field (pixels)", ylim=(0.8, 1100), title="How far a neuron sees")
    _axis.set_yticks([1, 10, 100, 1000], labels=["1", "10", "100", "1000"])
    _axis.legend(frameon=False, loc="lower right")

# %% [markdown]
# ## 8. What it saves
#
# From a fully connected layer to a convolutional one in two steps. First, each neuron only looks at its receptive field
# (a *locally connected* layer: still with its own weights at each place). Then all neurons of a map share one set of
# weights. Count. Every neuron has a bias, and those who share weights share the bias too.


# %% problem="parameter_counts"
def parameter_counts(
    size: int, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0
) -> tuple[int, int, int]:
    """How many parameters, biases included, three layers have that give maps of the same shape.

    All three turn a picture of `in_channels` × size × size pixels into `out_channels` maps of size' × size' neurons,
    with size' as in `conv_output_size(size, kernel, stride, padding)`.
    - dense: each neuron has a weight for each number of the (unpadded) picture, and a bias;
    - local: each neuron has a weight for each number of its window (all kernel × kernel places in each input channel,
      at the border too), and a bias;
    - shared: as local, but all neurons of one map share their weights and their bias.

    Returns (dense, local, shared), three whole numbers.
    """
    ### BEGIN SOLUTION
    neurons = out_channels * conv_output_size(size, kernel, stride, padding) ** 2
    window = in_channels * kernel**2 + 1
    return (in_channels * size**2 + 1) * neurons, window * neurons, window * out_channels
    ### END SOLUTION


# %% tests="parameter_counts"
_dense, _local, _shared = parameter_counts(4, in_channels=1, out_channels=1, kernel=3)
assert _dense == 68, f"2 × 2 neurons with 16 weights and a bias each: 68, not {_dense}."
assert _local == 40, f"2 × 2 neurons with 9 weights and a bias each: 40, not {_local}."
assert _shared == 10, f"One kernel of 9 weights and one bias, wherever it is used: 10, not {_shared}."
assert parameter_counts(100, 3, 64, 3)[2] == 1792, "The size of the picture does not matter to a shared kernel."

# %% picture="what_it_saves"
with picture("parameter_counts"):
    _counts = parameter_counts(100, in_channels=3, out_channels=64, kernel=3, padding=1)
    _figure, _axis = plt.subplots(figsize=(8, 2.6), layout="constrained")
    _names = ["fully connected", "+ receptive field", "+ parameter sharing"]
    _axis.barh(_names, _counts, color=[RED, GREY, BLUE], log=True)
    for _position, _count in enumerate(_counts):
        _axis.text(1.3 * _count, _position, f"{_count:,}", va="center")
    _axis.set(xlim=(1e2, 1e13), xlabel="parameters", title="One layer: a picture of 3 × 100 × 100, 64 maps")
    _axis.invert_yaxis()

# %% [markdown]
# ## 9. In your own words
#
# Three teams want to use a CNN. For each of the lecture's three simplifications (receptive field, parameter sharing,
# pooling), say of each team whether you would use it, and *which property of their data* decides:
#
# (a) positions on a Go board; what is wanted is the best next move;
# (b) passport photographs, always cut so that the eyes are at the same two pixels; who is it?
# (c) spectrograms of speech: one axis is time, the other frequency; which word was said?
#
# Then: why do we choose such a restricted network at all, when a fully connected one could learn everything that it can?

# %% [markdown] answer="which_simplification" points=5
# **Model answer.**
#
# (a) *Go.* Receptive field: yes, many patterns (a capture, an eye) are a few stones wide. Sharing: yes, such a pattern
# means the same in most places of the board (padding, or a channel that marks the edge, tells the border apart).
# Pooling: no. A board without every other line is another position, and the answer is one exact point.
#
# (b) *Passport photographs.* Receptive field: yes, eyes and nostrils are small. Sharing: with care. As everything is
# aligned, an eye detector is needed only where eyes are; locally connected layers (or sharing within a region) can be
# better, and sharing still saves parameters and serves low-level edges. Pooling: yes, a smaller photograph shows the
# same person; but fine details may count, so not too early.
#
# (c) *Spectrograms.* Receptive field: yes in time and frequency, for sounds are short and formants narrow. Sharing:
# along time, yes, as a word may be said at any time; along frequency only in part, as the same shape elsewhere on the
# frequency axis is another sound (a little shift is another speaker). Pooling: in time it mostly helps (a word may be
# spoken faster), along frequency only a little.
#
# *Why restrict?* The fully connected layer could set all other weights to 0 and copy the shared ones, so the CNN is a
# smaller model with a larger model bias. It needs far fewer parameters, thus fewer data, and overfits less; if its
# assumptions fit the data, nothing of value is lost. Where they don't fit, the bias hurts.
#
# **Rubric**, one point each:
#
# - Go: no pooling, *because* leaving out lines changes the position (or the move must be exact);
# - passport photographs: sees that alignment makes sharing less natural (or argues well for it all the same);
# - spectrograms: treats the two axes differently, with a reason;
# - names small patterns as the reason for receptive fields, in at least two of the cases;
# - the last question: a restricted model with more bias, but fewer parameters and less overfitting.

# %% [markdown]
# ## 10. What a CNN can't do
#
# Move a digit, and its feature map moves along: convolution is **equivariant** to shifts. The lecture says that it
# can't handle rotation and scaling. Measure it. For a transformation $T$ of pictures, compare two orders: transform
# first and then look, or look first and then transform:
#
# $$E = \frac{\| f(T x) - T f(x) \|}{\| f(T x) \| + \| T f(x) \|}$$
#
# 0 means that $f$ commutes with $T$, and 1 that the two have nothing in common. Equivariance is not *invariance*,
# $f(Tx) = f(x)$: if you want to know *where* the zip code is, the answer should move with it.
#
# One practical point: the zeros of the padding are not part of the picture and spoil the edge of the map, so a border
# of some pixels can be left out.


# %% problem="equivariance_error"
def equivariance_error(
    layer: Callable[[np.ndarray], np.ndarray],
    transform: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    border: int = 0,
) -> float:
    r"""How far a layer is from commuting with a transformation, from 0 (it commutes) to 1.

    $$E = \| f(Tx) - T f(x) \| \;/\; \big( \| f(Tx) \| + \| T f(x) \| \big)$$

    with $\| a \| = \sqrt{\sum a^2}$ over all pictures, channels, rows and columns together.

    layer: f, and transform: T, both for (N, C, H, W) arrays; f(Tx) and T f(x) have one shape, maybe not that of x.
    x: (N, C, H, W) float64. border: so many rows and columns are left out at each of the four edges of f(Tx) and of
    T f(x), before anything else is computed; 0 leaves out none. Something is left over.
    Returns a number. If both f(Tx) and T f(x) are 0 everywhere, they agree: 0.
    """
    ### BEGIN SOLUTION
    first, last = layer(transform(x)), transform(layer(x))
    inner = np.s_[:, :, border : first.shape[2] - border, border : first.shape[3] - border]
    difference, *sizes = (float(np.linalg.norm(part[inner])) for part in (first - last, first, last))
    return difference / sum(sizes) if any(sizes) else 0.0
    ### END SOLUTION


# %% tests="equivariance_error"
def _turn(x: np.ndarray) -> np.ndarray:
    """A quarter turn."""
    return np.rot90(x, axes=(2, 3))


_x = np.random.default_rng(2).normal(size=(1, 1, 4, 4))
assert equivariance_error(lambda x: x**2, _turn, _x) < 1e-9, (
    "Squaring each pixel commutes with a quarter turn. If you got more: compare f(Tx) with T f(x), not with f(x)."
)
_corner = np.pad(np.ones((1, 1, 1, 1)), ((0, 0), (0, 0), (0, 3), (0, 3)))
assert abs(equivariance_error(lambda x: x * _corner, _turn, np.ones((1, 1, 4, 4))) - math.sqrt(0.5)) < 1e-9, (
    "Light in two different corners: the difference has length sqrt(2), and the two lengths are 1 and 1."
)
assert equivariance_error(lambda x: x * _corner, _turn, np.ones((1, 1, 4, 4)), border=1) == 0, (
    "Without the border everything is 0 here, and two times nothing is the same."
)

# %% picture="what_a_cnn_cannot_do"
with picture("conv2d_fast", "equivariance_error"):

    def _detector(x: np.ndarray) -> np.ndarray:
        """The map of the detector for upright strokes."""
        return np.maximum(conv2d_fast(x, STROKES[:1], padding=1), 0)

    _images, _labels = mail(0, 60)
    _x = np.pad(_images[np.flatnonzero(_labels == 4)[:1]], ((0, 0), (0, 0), (3, 3), (3, 3)))
    _transforms: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "shift": lambda x: np.roll(x, (1, 2), axis=(2, 3)),
        "quarter turn": lambda x: np.rot90(x, axes=(2, 3)),
        "twice as large": lambda x: x.repeat(2, axis=2).repeat(2, axis=3),
    }
    _figure, _axes = plt.subplots(3, 3, figsize=(8, 8), layout="constrained")
    for _column, (_name, _transform) in zip(_axes.T, _transforms.items(), strict=True):
        _error = equivariance_error(_detector, _transform, _x, border=2)
        show(_column[0], _transform(_x)[0, 0], f"{_name}: error {_error:.2f}")
        show(_column[1], _detector(_transform(_x))[0, 0], colour="Blues")
        show(_column[2], _transform(_detector(_x))[0, 0], colour="Blues")
    for _axis, _label in zip(
        _axes[:, 0], ("$T x$", "$f(T x)$: transform, look", "$T f(x)$: look, transform"), strict=True
    ):
        _axis.set_ylabel(_label)
    _figure.suptitle("The detector for upright strokes commutes with shifts only")

# %% [markdown]
# ## 11. The cure, part one: where to look
#
# Someone who gets a tilted envelope turns it. A **spatial transformer layer** (Jaderberg et al. 2015) does that: for each
# pixel of its output, the *target*, it computes the place in the input where it has to look, the *source*:
#
# $$\begin{pmatrix} x^s \\ y^s \end{pmatrix} = \theta \begin{pmatrix} x^t \\ y^t \\ 1 \end{pmatrix} \qquad
# \theta = \begin{pmatrix} \theta_{11} & \theta_{12} & \theta_{13} \\ \theta_{21} & \theta_{22} & \theta_{23} \end{pmatrix}$$
#
# From here on we work in PyTorch, since $\theta$ will be learned. Coordinates are the same for pictures of any size: −1
# is the left (upper) *edge* of the picture and 1 its right (lower) edge, so that the *centres* of W pixels lie at
# $(2j + 1)/W - 1$. (In PyTorch that is `align_corners=False`.) And mind the order: coordinates are $(x, y)$, column
# first, while pictures are indexed row first. Half of all bugs with grids live in that sentence.


# %% problem="affine_grid"
def affine_grid(theta: torch.Tensor, height: int, width: int) -> torch.Tensor:
    r"""For each pixel of the output, the place in the input where to look.

    The pixel in row i and column j has the target coordinates $x^t = (2j+1)/\text{width} - 1$ and
    $y^t = (2i+1)/\text{height} - 1$; its source is $(x^s, y^s) = \theta\,(x^t, y^t, 1)$.

    theta: (N, 2, 3) floats, one transformation for each picture; height, width: of the output.
    Returns the grid, (N, height, width, 2), dtype of theta: [n, i, j] holds $(x^s, y^s)$. Gradients flow to theta.
    """
    ### BEGIN SOLUTION
    y, x = ((2 * torch.arange(size, dtype=theta.dtype) + 1) / size - 1 for size in (height, width))
    y, x = torch.meshgrid(y, x, indexing="ij")
    target = torch.stack([x, y, torch.ones_like(x)], dim=-1)  # (height, width, 3)
    return torch.einsum("nab,ijb->nija", theta, target)
    ### END SOLUTION


# %% tests="affine_grid"
IDENTITY = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
_grid = affine_grid(IDENTITY, height=2, width=4)
assert _grid.shape == (1, 2, 4, 2), f"Two coordinates for each of 2 × 4 pixels: (1, 2, 4, 2), not {tuple(_grid.shape)}."
np.testing.assert_allclose(
    _grid[0, 0, :, 0], [-0.75, -0.25, 0.25, 0.75], err_msg="x along a row: the centres of four pixels between -1 and 1."
)
np.testing.assert_allclose(_grid[0, :, 0, 1], [-0.5, 0.5], err_msg="y down a column: the centres of two pixels.")
_grid = affine_grid(torch.tensor([[[0.5, 0, 0.25], [0, 1, 0]]]), height=2, width=4)
np.testing.assert_allclose(
    _grid[0, 0, :, 0], [-0.125, 0.125, 0.375, 0.625], err_msg="x is halved, then moved by 0.25: sources, not targets."
)

# %% [markdown]
# ## 12. Part two: what is there?
#
# The source is rarely the centre of a pixel, so mix the four nearest pixels, each by its nearness. In *pixels*, let the
# source be column $a$ and row $b$ (0 is the centre of the first pixel; undo the formula of the centres). Then
# (Jaderberg et al. 2015, equation 5)
#
# $$V = \sum_{m,n} U_{nm}\, \max(0, 1 - |a - m|)\, \max(0, 1 - |b - n|)$$
#
# where $U_{nm}$ is the pixel in row n and column m, and 0 outside the picture. The mixture changes *smoothly* with the
# source, so a gradient flows to the grid and on to $\theta$; with "take the nearest pixel" there would be none.
#
# Mind one spot. Exactly at the centre of a pixel the slope to the left differs from that to the right, and the formula
# with $|a - m|$ makes autograd say 0: a transformer that starts at the identity would stand on centres only, and never
# move. Do as PyTorch does: look at the pixels $\lfloor a \rfloor$ and $\lfloor a \rfloor + 1$ with the weights
# $1 - (a - \lfloor a \rfloor)$ and $a - \lfloor a \rfloor$. The values are the same, and there is always a slope.


# %% problem="grid_sample"
def grid_sample(x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    r"""Read pictures at the places of a grid, between the pixels too (bilinear, zeros outside).

    A source $(x^s, y^s)$ is column $a = ((x^s + 1) W - 1) / 2$ and row $b = ((y^s + 1) H - 1) / 2$. With
    $m = \lfloor a \rfloor$, $n = \lfloor b \rfloor$ and the shares $\alpha = a - m$, $\beta = b - n$, the value is

    $$(1-\alpha)(1-\beta)\, U_{n,m} + \alpha (1-\beta)\, U_{n,m+1} + (1-\alpha) \beta\, U_{n+1,m}
    + \alpha \beta\, U_{n+1,m+1}$$

    in each channel, where a pixel $U$ outside of the picture counts as 0, each of the four on its own. Gradients flow
    to x and, through $\alpha$ and $\beta$, to the grid; so at the centre of a pixel the slope is the one to the right
    (downwards), as in PyTorch.

    x: (N, C, H, W) floats; grid: (N, H', W', 2) of the same dtype, [n, i, j] holds $(x^s, y^s)$, finite, maybe far
    outside.
    Returns (N, C, H', W'), in the same dtype.
    """
    ### BEGIN SOLUTION
    height, width = x.shape[2:]
    a, b = ((grid[..., 0] + 1) * width - 1) / 2, ((grid[..., 1] + 1) * height - 1) / 2
    left, top = a.floor(), b.floor()
    picture_number = torch.arange(len(x))[:, None, None]

    def pixel(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        """The pixels in these rows and columns, 0 outside: (N, H', W', C)."""
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        row, column = row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()
        return x[picture_number, :, row, column] * inside[..., None]

    right, down = (a - left)[..., None], (b - top)[..., None]  # the shares of the next column and of the next row
    upper = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
    lower = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
    return ((1 - down) * upper + down * lower).permute(0, 3, 1, 2)
    ### END SOLUTION


# %% tests="grid_sample"
_x = torch.tensor([[[[1.0, 2, 3, 4], [10, 20, 30, 40]]]])
np.testing.assert_allclose(
    grid_sample(_x, torch.tensor([[[[-0.75, -0.5], [0.75, 0.5]]]])),
    [[[[1, 40]]]],
    err_msg="The centre of the first pixel and that of the last.",
)
np.testing.assert_allclose(
    grid_sample(_x, torch.tensor([[[[0.0, -0.5], [-0.75, 0.0]]]])),
    [[[[2.5, 5.5]]]],
    err_msg="Half-way between 2 and 3 in the upper row; half-way between 1 and 10. (x comes first in the grid.)",
)
np.testing.assert_allclose(
    grid_sample(_x, torch.tensor([[[[-1.0, -0.5], [-3.0, 0.0]]]])),
    [[[[0.5, 0]]]],
    err_msg="On the left edge, half of what you see is the first pixel and half is outside: 0. Far away all is 0.",
)
_grid = torch.tensor([[[[-0.75, -0.5]]]], requires_grad=True)
grid_sample(_x, _grid).sum().backward()
np.testing.assert_allclose(
    _grid.grad,
    [[[[2, 9]]]],
    err_msg="At the centre of pixel 1 the slopes are (2 - 1) · 4 / 2 to the right and (10 - 1) · 2 / 2 down.",
)

# %% picture="one_digit_five_ways"
with picture("affine_grid", "grid_sample"):
    _images, _labels = mail(0, 40)
    _digit = torch.tensor(_images[np.flatnonzero(_labels == 2)[:1]])
    _cos, _sin = math.cos(0.5), math.sin(0.5)
    _ways = {
        "identity": [[1, 0, 0], [0, 1, 0]],
        "looks to the right:\nthe digit moves left": [[1, 0, 0.5], [0, 1, 0]],
        "looks at a turned grid": [[_cos, _sin, 0], [-_sin, _cos, 0]],
        "looks at the middle:\nzooms in": [[0.6, 0, 0], [0, 0.6, 0]],
        "slants": [[1, 0.5, 0], [0, 1, 0]],
    }
    _figure, _axes = plt.subplots(2, 5, figsize=(12, 5.2), layout="constrained")
    for (_above, _below), (_name, _theta) in zip(_axes.T, _ways.items(), strict=True):
        _grid = affine_grid(torch.tensor([_theta], dtype=torch.float64), 24, 24)
        show(_above, _digit[0, 0].numpy(), _name)
        _x, _y = (((_grid[0, ::3, ::3, _axis] + 1) * 8 - 1) / 2 for _axis in (0, 1))  # in pixels of the digit
        _above.plot(_x.flatten(), _y.flatten(), ".", color=RED, markersize=3)
        _above.set(xlim=(-3, 10), ylim=(10, -3))
        show(_below, grid_sample(_digit, _grid)[0, 0].numpy())
    _axes[0, 0].set_ylabel("where it looks")
    _axes[1, 0].set_ylabel("what it sees")

# %% [markdown]
# ## 13. The spatial transformer layer
#
# Who chooses $\theta$? A small network of its own, the *localization network*, which looks at the picture; the layer
# learns by itself, from the loss of whatever comes after it. It should begin by leaving the picture alone, or what comes
# after would see noise and teach it nothing. So the last linear layer starts with weights 0, and with the identity as
# its bias.


# %% problem="SpatialTransformer"
class SpatialTransformer(nn.Module):
    """A layer that looks at each picture and transforms it (Jaderberg et al. 2015). It starts at the identity.

    `localization` is the module that is handed in; `head` is an `nn.Linear` from its outputs to the 6 numbers of
    theta. Nothing else has parameters.
    """

    def __init__(self, localization: nn.Module, features: int) -> None:
        """localization: turns (N, C, H, W) into (N, features). Keep it in `self.localization`.

        Make `self.head`, from `features` inputs to 6 outputs: weights 0, biases (1, 0, 0, 0, 1, 0), all to be trained.
        """
        ### BEGIN SOLUTION
        super().__init__()
        self.localization = localization
        self.head = nn.Linear(features, 6)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
        ### END SOLUTION

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform each picture of x, (N, C, H, W), by its own theta: same shape and dtype.

        The 6 outputs of the head for a picture are its theta, row by row: the first three are the upper row. Gradients
        flow to x, to the head and to the localization network.
        """
        ### BEGIN SOLUTION
        theta = self.head(self.localization(x)).reshape(-1, 2, 3)
        return grid_sample(x, affine_grid(theta, *x.shape[2:]))
        ### END SOLUTION


# %% tests="SpatialTransformer"
_layer = SpatialTransformer(nn.Flatten(), features=16)
_x = torch.arange(32.0).reshape(2, 1, 4, 4)
np.testing.assert_allclose(_layer(_x).detach(), _x, err_msg="A new layer leaves each picture as it is.")
with torch.no_grad():
    _layer.head.bias.copy_(torch.tensor([-1.0, 0, 0, 0, 1, 0]))
np.testing.assert_allclose(
    _layer(_x).detach(), _x.flip(3), err_msg="With -1 in the upper left of theta it looks in a mirror: left is right."
)
_layer(_x).sum().backward()
assert _layer.head.weight.grad is not None, "The loss must reach the head: does theta leave the graph?"

# %% [markdown]
# Put it to work. Envelopes arrive tilted by up to 45° in either direction. The layer is shown a tilted digit and is asked
# for the upright one; nobody tells it the angle. It takes some 400 updates to learn what to do (in a real network it
# would not even be shown the upright digit: the loss of the classifier behind it is enough).

# %% picture="straightened"
with picture("affine_grid", "grid_sample", "SpatialTransformer"):

    def _tilt(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        """Turn each picture by its own angle."""
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        theta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).reshape(-1, 2, 3)
        return grid_sample(x, affine_grid(theta, *x.shape[2:]))

    _upright = torch.tensor(mail(0, 1200)[0], dtype=torch.float32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _eye = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        _layer = SpatialTransformer(_eye, features=32)
        _optimizer, _losses = torch.optim.Adam(_layer.parameters(), lr=2e-3), []
        for _step in range(400):
            _some = _upright[torch.randint(12, 1200, (128,))]
            _tilted = _tilt(_some, torch.empty(128).uniform_(-math.pi / 4, math.pi / 4))
            _loss = ((_layer(_tilted) - _some) ** 2).mean()
            _optimizer.zero_grad()
            _loss.backward()
            _optimizer.step()
    _tilted = _tilt(_upright[:12], torch.linspace(-math.pi / 4, math.pi / 4, 12))
    _figure, _axes = plt.subplots(2, 12, figsize=(12, 2.6), layout="constrained")
    for _column, _before, _after in zip(_axes.T, _tilted, _layer(_tilted).detach(), strict=True):
        show(_column[0], _before[0].numpy())
        show(_column[1], _after[0].numpy())
    _axes[0, 0].set_ylabel("arrives")
    _axes[1, 0].set_ylabel("leaves")
    _figure.suptitle("Digits that the layer has never seen, turned by −45° to 45°")

# %% [markdown]
# ## 14. Read the mail
#
# Everything is in place; now train a whole network, with `nn.Conv2d` this time. The design is yours: kernels, channels,
# strides, pooling or none, normalization, dropout, augmentation. The examination: `fit` gets 1200 pictures, `predict`
# gets 597 others, and **97 % have to be right**. One core, one minute; a good design needs a few seconds. Other random
# numbers give another network, so train yours several times, and aim at 98 % on digits that you hold back.
#
# The pictures of the examination are the digits you know, but mirrored, with a little noise, and with the ten classes
# numbered in another order. So only what `fit` is given can help; looking at the data set again (`load_digits`) from
# inside the network is not allowed.


# %% problem="ConvNet"
class ConvNet(nn.Module):
    """A convolutional network that learns to tell ten classes of 8 × 8 pictures apart.

    It has at least one convolutional layer (weights of shape (O, C, kh, kw), with a kernel larger than 1 × 1) on which
    the logits depend, and at most 200,000 parameters.
    """

    def __init__(self) -> None:
        """Make the layers, with fresh random weights."""
        ### BEGIN SOLUTION
        super().__init__()

        def block(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, kernel_size=3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]

        self.layers = nn.Sequential(
            *block(1, 16),
            *block(16, 16),
            nn.MaxPool2d(2),  # 8 × 8 to 4 × 4
            *block(16, 32),
            nn.MaxPool2d(2),  # 4 × 4 to 2 × 2
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(32 * 2 * 2, 10),
        )
        ### END SOLUTION

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """images: (N, 1, 8, 8) float32, from 0 to 1. Returns the logits, (N, 10) float32: no softmax at the end."""
        ### BEGIN SOLUTION
        return self.layers(images)
        ### END SOLUTION

    def fit(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """Train on images, (N, 1, 8, 8) float32, and labels, (N,) int64 from 0 to 9. N may be as small as 2.

        1200 pictures may take 60 seconds on one core. Draw your random numbers from torch's or NumPy's global generator.
        """
        ### BEGIN SOLUTION
        self.train()
        optimizer = torch.optim.Adam(self.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=15)  # calm steps at the end
        for _ in range(15):
            for batch in torch.randperm(len(images)).split(64):
                loss = nn.functional.cross_entropy(self(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
        ### END SOLUTION

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """The class with the largest logit for each of the (N, 1, 8, 8) images: (N,) int64.

        Whatever was done before, the network predicts in evaluation mode: a picture's class does not depend on chance
        or on the pictures beside it. N may be 1.
        """
        ### BEGIN SOLUTION
        self.eval()
        with torch.no_grad():
            return self(images).argmax(dim=1)
        ### END SOLUTION


# %% tests="ConvNet"
_mail, _digits = mail(0, 1200)
_mail, _digits = torch.tensor(_mail, dtype=torch.float32), torch.tensor(_digits)
_net = ConvNet()
assert _net(_mail[:5]).shape == (5, 10), "Ten logits for each picture."
_net.fit(_mail[:900], _digits[:900])
_predicted = _net.predict(_mail[900:])
assert _predicted.shape == (300,), f"One class for each picture: shape (300,), not {tuple(_predicted.shape)}."
assert torch.equal(_predicted[:1], _net.predict(_mail[900:901])), "Alone or in company, a picture keeps its class."
_right = (_predicted == _digits[900:]).float().mean().item()
assert _right > 0.95, f"Trained on 900 digits, {_right:.1%} of 300 others are right: aim at 97 %."

# %% picture="misread"
with picture("ConvNet"):
    with torch.no_grad():
        _sure = _net(_mail[900:]).softmax(dim=1)
    _hardest = _sure[torch.arange(300), _digits[900:]].argsort()[:12]
    _figure, _axes = plt.subplots(1, 12, figsize=(12, 1.9), layout="constrained")
    for _axis, _number in zip(_axes, _hardest, strict=True):
        _true, _seen = _digits[900 + _number].item(), _predicted[_number].item()
        _title = f"{_true}: right" if _true == _seen else f"{_true} read as {_seen}"
        show(_axis, _mail[900 + _number, 0].numpy(), _title)
        _axis.title.set(color=RED if _true != _seen else "black", fontsize=8.5)
    _figure.suptitle(f"{_right:.1%} of 300 new digits are read. The 12 hardest: would you have done better?")

# %% [markdown]
# ## Bonus: a convolution is a matrix
#
# At the beginning we cut a fully connected layer down to a convolution. Close the circle: write a convolution as the
# matrix of a fully connected layer. Most of its entries are 0 (receptive field), and the others repeat (parameter
# sharing). A hint that saves an hour: what does a matrix do with a unit vector?


# %% problem="convolution_matrix"
def convolution_matrix(w: np.ndarray, height: int, width: int, stride: int = 1, padding: int = 0) -> np.ndarray:
    """The matrix M of a convolution (without bias) of pictures of C × height × width pixels.

    For any picture x, (C, height, width), M @ x.ravel() is the raveled result of `conv2d`: both are numbered channel by
    channel, within a channel row by row, within a row from left to right.

    w: (O, C, kh, kw) floats; stride and padding as in `conv2d`.
    Returns M, (O · H' · W', C · height · width), dtype of w.
    """
    ### BEGIN SOLUTION
    pixels = np.eye(w.shape[1] * height * width, dtype=w.dtype)  # one picture for each pixel that can be lit
    return conv2d(pixels.reshape(-1, w.shape[1], height, width), w, None, stride, padding).reshape(len(pixels), -1).T
    ### END SOLUTION


# %% tests="convolution_matrix"
np.testing.assert_array_equal(
    convolution_matrix(np.array([[[[2.0, 3]]]]), height=1, width=4),
    [[2, 3, 0, 0], [0, 2, 3, 0], [0, 0, 2, 3]],
    "Each row is one place of the window: the same weights, one pixel further on.",
)
_rng = np.random.default_rng(3)
_x, _w = _rng.normal(size=(2, 4, 5)), _rng.normal(size=(3, 2, 3, 3))
np.testing.assert_allclose(
    convolution_matrix(_w, 4, 5, stride=2, padding=1) @ _x.ravel(),
    conv2d(_x[None], _w, stride=2, padding=1).ravel(),
    atol=1e-9,
    err_msg="The matrix times a picture must be the convolution of the picture.",
)

# %% picture="the_matrix"
with picture("convolution_matrix"):
    _matrix = convolution_matrix(np.arange(1.0, 10).reshape(1, 1, 3, 3), 6, 6)
    _figure, _axis = plt.subplots(figsize=(9, 4.4), layout="constrained")
    _drawn = _axis.imshow(np.where(_matrix == 0, np.nan, _matrix), cmap="viridis")
    _axis.set(xlabel="pixel of the 6 × 6 picture", ylabel="neuron of the 4 × 4 map")
    _axis.set_title(f"{_matrix.size} weights, {np.count_nonzero(_matrix)} of them not 0, only 9 different ones")
    _figure.colorbar(_drawn, label="which weight of the kernel", ticks=range(1, 10))

# %% [markdown]
# ## Sources
#
# - Y. LeCun, B. Boser, J. S. Denker, D. Henderson, R. E. Howard, W. Hubbard, L. D. Jackel: *Backpropagation Applied to
#   Handwritten Zip Code Recognition*, Neural Computation 1 (4), 1989
# - D. Erhan, Y. Bengio, A. Courville, P. Vincent: *Visualizing Higher-Layer Features of a Deep Network*, technical
#   report 1341, Université de Montréal, 2009
# - M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu: *Spatial Transformer Networks*, NeurIPS 2015,
#   arXiv:1506.02025
# - D. Silver et al.: *Mastering the Game of Go with Deep Neural Networks and Tree Search*, Nature 529, 2016
