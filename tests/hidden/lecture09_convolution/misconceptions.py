"""Mistakes that students make in lecture 9: each function holds one."""

import math

import numpy as np
import torch
from torch import nn

from grader import misconception
from solutions.lecture09_convolution import (
    ConvNet,
    SpatialTransformer,
    affine_grid,
    avg_pool2d,
    avg_pool2d_backward,
    conv2d,
    conv2d_backward,
    conv_output_size,
    convolution_matrix,
    equivariance_error,
    grid_sample,
    max_pool2d,
    max_pool2d_backward,
    pad2d,
    receptive_field,
    windows,
)

SIZES = "Lecture 9, Concepts: kernel size, stride, padding"
FIELD = "Lecture 9, Receptive field"
SHARING = "Lecture 9, Parameter sharing"
POOLING = "Lecture 9, Pooling"
LIMITS = "Lecture 9, CNN can't handle rotation and scaling"
TRANSFORMER = "Lecture 9, Spatial transformer layer"

# --- conv_output_size ---


def _room(size, kernel, padding, dilation):
    room = size + 2 * padding - (dilation * (kernel - 1) + 1)
    if room < 0:
        raise ValueError
    return room


@misconception(
    "conv_output_size",
    "You round up: the last place takes the window over the end, where there are no pixels.",
    lecture=SIZES,
)
def rounds_up(size, kernel, stride=1, padding=0, dilation=1):
    return math.ceil(_room(size, kernel, padding, dilation) / stride) + 1


@misconception(
    "conv_output_size",
    "You add the padding once. It is added at both ends, so it counts twice.",
    lecture=SIZES,
)
def pads_one_end(size, kernel, stride=1, padding=0, dilation=1):
    room = size + padding - (dilation * (kernel - 1) + 1)
    if room < 0:
        raise ValueError
    return room // stride + 1


@misconception(
    "conv_output_size",
    "You count the jumps of the window. There is one place more: where it starts, before the first jump.",
    lecture=SIZES,
)
def counts_the_jumps(size, kernel, stride=1, padding=0, dilation=1):
    return _room(size, kernel, padding, dilation) // stride


@misconception(
    "conv_output_size",
    "Your dilated window is d times k pixels long. After the last of its k pixels there is no gap: it spans "
    "d (k - 1) + 1.",
    lecture=SIZES,
)
def multiplies_the_window_by_the_dilation(size, kernel, stride=1, padding=0, dilation=1):
    return conv_output_size(size, dilation * kernel, stride, padding)


@misconception(
    "conv_output_size",
    "You take the dilation for the number of pixels that are left out between two. It is their distance: 1 means that "
    "they touch.",
    lecture=SIZES,
)
def dilation_taken_for_the_gap(size, kernel, stride=1, padding=0, dilation=1):
    return conv_output_size(size, kernel + (kernel - 1) * (dilation - 1) + (dilation > 1), stride, padding)


@misconception("conv_output_size", "Your window ignores its dilation.", lecture=SIZES)
def ignores_dilation(size, kernel, stride=1, padding=0, dilation=1):
    return conv_output_size(size, kernel, stride, padding)


@misconception(
    "conv_output_size",
    "Where the window is longer than the axis, you return 0 or a negative size. Nothing fits: raise a ValueError, or "
    "the mistake shows up much later.",
    lecture=SIZES,
)
def no_error_if_nothing_fits(size, kernel, stride=1, padding=0, dilation=1):
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@misconception(
    "conv_output_size",
    "You divide with `/`: a size comes out as a floating-point number, and with a stride it may have a fraction.",
    lecture=SIZES,
)
def divides_with_a_fraction(size, kernel, stride=1, padding=0, dilation=1):
    return _room(size, kernel, padding, dilation) / stride + 1


# --- pad2d ---


@misconception(
    "pad2d",
    "You pad all four axes: the batch gets empty pictures, and the pictures get empty channels.",
    lecture=SIZES,
)
def pads_every_axis(x, padding, value=0.0):
    return np.pad(x, padding, constant_values=value)


@misconception("pad2d", "You pad at the end of rows and columns only. A frame has four sides.", lecture=SIZES)
def pads_the_ends(x, padding, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (0, padding), (0, padding)), constant_values=value)


@misconception("pad2d", "You pad the rows, but not the columns (or the other way round).", lecture=SIZES)
def pads_one_axis(x, padding, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (0, 0)), constant_values=value)


@misconception(
    "pad2d", "You pad channels and rows. The axes are (N, C, H, W): rows and columns are the last two.", lecture=SIZES
)
def pads_the_channels(x, padding, value=0.0):
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=value)


@misconception(
    "pad2d",
    "You continue the picture into the frame. The frame is filled with one value, 0 if not told.",
    lecture=SIZES,
)
def repeats_the_edge(x, padding, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="edge")


@misconception("pad2d", "Your frame is always 0: the argument `value` is not used.", lecture=SIZES)
def always_zeros(x, padding, value=0.0):
    return pad2d(x, padding)


@misconception(
    "pad2d",
    "`np.zeros` and `np.full` make float64 unless told: pictures in float32 come back in twice the memory.",
    lecture=SIZES,
)
def frame_in_double_precision(x, padding, value=0.0):
    return pad2d(x.astype(float), padding, value)


@misconception(
    "pad2d",
    "You fill the middle with a slice [p:-p]. For p = 0 that is [0:0], which is empty.",
    lecture=SIZES,
)
def slice_to_minus_zero(x, padding, value=0.0):
    n, c, h, w = x.shape
    padded = np.full((n, c, h + 2 * padding, w + 2 * padding), value, dtype=x.dtype)
    padded[:, :, padding:-padding, padding:-padding] = x
    return padded


# --- conv2d ---


def _turned(w):
    return w[:, :, ::-1, ::-1]


@misconception(
    "conv2d",
    "You flip the kernel. Signal processing calls that convolution; our field lays the kernel on the picture as it is.",
    lecture=SHARING,
)
def flips_the_kernel(x, w, b=None, stride=1, padding=0):
    return conv2d(x, _turned(w), b, stride, padding)


@misconception(
    "conv2d",
    "You turn rows and columns of the kernel around. w[o, c] has kh rows and kw columns, as the window has.",
    lecture=SHARING,
)
def transposes_the_kernel(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w.swapaxes(2, 3), b, stride, padding)


@misconception(
    "conv2d", "You look at the first channel only. A kernel has a slice for each input channel.", lecture=SHARING
)
def first_channel_only(x, w, b=None, stride=1, padding=0):
    return conv2d(x[:, :1], w[:, :1], b, stride, padding)


@misconception(
    "conv2d",
    "You add up the channels before you multiply. Each channel has its own slice of the kernel, or red and green could "
    "not be told apart.",
    lecture=SHARING,
)
def adds_channels_before_multiplying(x, w, b=None, stride=1, padding=0):
    return conv2d(x.sum(axis=1, keepdims=True), w.sum(axis=1, keepdims=True), b, stride, padding)


@misconception(
    "conv2d",
    "You don't add up the input channels: each makes a map of its own. One kernel makes one map, from all channels.",
    lecture=SHARING,
)
def channels_not_summed(x, w, b=None, stride=1, padding=0):
    maps = [conv2d(x[:, [c]], w[:, [c]], b, stride, padding) for c in range(x.shape[1])]
    return np.concatenate(maps, axis=1)


@misconception("conv2d", "Your window jumps along the rows, but moves pixel by pixel along the columns.", lecture=SIZES)
def stride_on_one_axis(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w, b, 1, padding)[:, :, ::stride]


@misconception("conv2d", "Your window ignores the stride.", lecture=SIZES)
def ignores_the_stride(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w, b, 1, padding)


@misconception(
    "conv2d",
    "You put the frame around the *map*. It belongs around the picture, before the kernel looks, so that border pixels "
    "are seen as often as others.",
    lecture=SIZES,
)
def pads_afterwards(x, w, b=None, stride=1, padding=0):
    return pad2d(conv2d(x, w, b, stride), padding)


@misconception("conv2d", "Your padding is not used: the maps shrink.", lecture=SIZES)
def ignores_the_padding(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w, b, stride)


@misconception(
    "conv2d",
    "`y + b` adds the biases along the last axis, to the columns. There is one bias for each map.",
    lecture=SHARING,
)
def bias_for_each_column(x, w, b=None, stride=1, padding=0):
    y = conv2d(x, w, None, stride, padding)
    return y if b is None else y + b


@misconception("conv2d", "The bias is not added.", lecture=SHARING)
def forgets_the_bias(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w, None, stride, padding)


@misconception(
    "conv2d", "You take the mean over the window. The formula has a sum: the kernel alone decides.", lecture=SHARING
)
def mean_over_the_window(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w / w[0].size, b, stride, padding)


@misconception(
    "conv2d", "Your maps are float64 whatever comes in: `np.zeros` wants to be told the dtype.", lecture=SHARING
)
def maps_in_double_precision(x, w, b=None, stride=1, padding=0):
    return conv2d(x.astype(float), w.astype(float), b, stride, padding)


# --- conv2d_fast ---


def _fast(table, w, b):
    y = np.moveaxis(np.tensordot(table, w, axes=([1, 4, 5], [1, 2, 3])), -1, 1)
    return y if b is None else y + b[:, None, None]


@misconception(
    "conv2d_fast",
    "Your numbers are right, but you still walk from pixel to pixel: put all windows into one table and multiply once.",
    lecture=SHARING,
)
def walks_from_pixel_to_pixel(x, w, b=None, stride=1, padding=0):
    return conv2d(x, w, b, stride, padding)


@misconception(
    "conv2d_fast",
    "You flip the kernel. Our field lays it on the picture as it is.",
    lecture=SHARING,
)
def flips_the_fast_kernel(x, w, b=None, stride=1, padding=0):
    return _fast(windows(pad2d(x, padding), *w.shape[2:], stride), _turned(w), b)


@misconception(
    "conv2d_fast",
    "After the product, the kernels are the last axis. `reshape` does not move them to the second: it deals the "
    "numbers out in the wrong order. Use a transpose.",
    lecture=SHARING,
)
def reshapes_instead_of_moving_the_axis(x, w, b=None, stride=1, padding=0):
    table = windows(pad2d(x, padding), *w.shape[2:], stride)
    n, _, rows, columns = table.shape[:4]
    y = np.tensordot(table, w, axes=([1, 4, 5], [1, 2, 3])).reshape(n, len(w), rows, columns)
    return y if b is None else y + b[:, None, None]


@misconception(
    "conv2d_fast",
    "The rows of your table run over the window first and over the channels last; those of the kernels run over the "
    "channels first. The product pairs numbers that don't belong together.",
    lecture=SHARING,
)
def table_and_kernels_in_different_order(x, w, b=None, stride=1, padding=0):
    table = windows(pad2d(x, padding), *w.shape[2:], stride)
    n, _, rows, columns = table.shape[:4]
    y = table.transpose(0, 2, 3, 4, 5, 1).reshape(n, rows, columns, -1) @ w.reshape(len(w), -1).T
    y = y.transpose(0, 3, 1, 2)
    return y if b is None else y + b[:, None, None]


@misconception("conv2d_fast", "Your fast way ignores the stride.", lecture=SIZES)
def fast_without_stride(x, w, b=None, stride=1, padding=0):
    return _fast(windows(pad2d(x, padding), *w.shape[2:]), w, b)


@misconception("conv2d_fast", "Your fast way ignores the padding.", lecture=SIZES)
def fast_without_padding(x, w, b=None, stride=1, padding=0):
    return _fast(windows(x, *w.shape[2:], stride), w, b)


@misconception(
    "conv2d_fast",
    "You take the sum over the channels on both sides before the product: each channel needs its own slice.",
    lecture=SHARING,
)
def fast_sum_over_channels_first(x, w, b=None, stride=1, padding=0):
    table = windows(pad2d(x, padding), *w.shape[2:], stride).sum(axis=1, keepdims=True)
    return _fast(table, w.sum(axis=1, keepdims=True), b)


@misconception("conv2d_fast", "The bias is not added.", lecture=SHARING)
def fast_without_bias(x, w, b=None, stride=1, padding=0):
    return _fast(windows(pad2d(x, padding), *w.shape[2:], stride), w, None)


@misconception("conv2d_fast", "Your maps are float64 whatever comes in.", lecture=SHARING)
def fast_in_double_precision(x, w, b=None, stride=1, padding=0):
    return _fast(windows(pad2d(x.astype(float), padding), *w.shape[2:], stride), w, b)


# --- conv2d_backward ---


def _walk(dy, x, w, stride, padding):
    """Each place of the map, with its window."""
    kh, kw = w.shape[2:]
    for i, j in np.ndindex(dy.shape[2:]):
        yield i, j, np.s_[:, :, stride * i : stride * i + kh, stride * j : stride * j + kw]


def _strip(dx, shape, padding):
    return dx[:, :, padding : padding + shape[2], padding : padding + shape[3]]


@misconception(
    "conv2d_backward",
    "Your dx still has its frame. The frame was ours: nobody asked for its gradient, and dx must have the shape of x.",
    lecture=SIZES,
)
def frame_not_stripped(dy, x, w, stride=1, padding=0):
    return conv2d_backward(dy, pad2d(x, padding), w, stride)


@misconception(
    "conv2d_backward",
    "You strip the frame with a slice [p:-p]. For p = 0 that is [0:0], and nothing is left.",
    lecture=SIZES,
)
def strips_to_minus_zero(dy, x, w, stride=1, padding=0):
    dx, dw, db = conv2d_backward(dy, pad2d(x, padding), w, stride)
    return dx[:, :, padding:-padding, padding:-padding], dw, db


@misconception(
    "conv2d_backward",
    "Your windows lie pixel by pixel, as if the stride were 1. They must lie where they lay in the forward pass.",
    lecture=SIZES,
)
def backward_ignores_the_stride(dy, x, w, stride=1, padding=0):
    return conv2d_backward(dy, x, w, 1, padding)


@misconception(
    "conv2d_backward",
    "You take the mean for db. A bias is added to each number of its map, so it collects the sum.",
    lecture=SHARING,
)
def mean_for_the_biases(dy, x, w, stride=1, padding=0):
    dx, dw, _ = conv2d_backward(dy, x, w, stride, padding)
    return dx, dw, dy.mean(axis=(0, 2, 3))


@misconception(
    "conv2d_backward",
    "Your db adds up the pictures, but not the places of the map: a shared bias collects from all places.",
    lecture=SHARING,
)
def bias_gradient_for_each_place(dy, x, w, stride=1, padding=0):
    dx, dw, _ = conv2d_backward(dy, x, w, stride, padding)
    return dx, dw, dy.sum(axis=0)


@misconception(
    "conv2d_backward",
    "You overwrite dx where windows overlap. A pixel collects from every window that it was in: use +=.",
    lecture=FIELD,
)
def overwrites_overlapping_windows(dy, x, w, stride=1, padding=0):
    _, dw, db = conv2d_backward(dy, x, w, stride, padding)
    dx = np.zeros_like(pad2d(x, padding))
    for i, j, place in _walk(dy, x, w, stride, padding):
        dx[place] = np.einsum("no,ocuv->ncuv", dy[:, :, i, j], w)
    return _strip(dx, x.shape, padding), dw, db


@misconception(
    "conv2d_backward",
    "You flip the kernel on the way back, window by window. That flip belongs to dx written as a convolution of dy; "
    "here each weight hands the gradient to the very pixel that it met.",
    lecture=SHARING,
)
def flips_the_kernel_on_the_way_back(dy, x, w, stride=1, padding=0):
    _, dw, db = conv2d_backward(dy, x, w, stride, padding)
    dx, _, _ = conv2d_backward(dy, x, _turned(w), stride, padding)
    return dx, dw, db


@misconception(
    "conv2d_backward",
    "Your dw is upside down: weight (u, v) met the pixel u rows below and v columns right of the window's corner.",
    lecture=SHARING,
)
def kernel_gradient_upside_down(dy, x, w, stride=1, padding=0):
    dx, dw, db = conv2d_backward(dy, x, w, stride, padding)
    return dx, _turned(dw), db


@misconception(
    "conv2d_backward",
    "Your dw knows the last window only. A shared weight collects from every place.",
    lecture=SHARING,
)
def kernel_gradient_of_the_last_window(dy, x, w, stride=1, padding=0):
    dx, dw, db = conv2d_backward(dy, x, w, stride, padding)
    for i, j, place in _walk(dy, x, w, stride, padding):
        dw = np.einsum("no,ncuv->ocuv", dy[:, :, i, j], pad2d(x, padding)[place])
    return dx, dw, db


@misconception(
    "conv2d_backward",
    "You divide by the number of pictures. If the loss is a mean, dy has that factor already.",
    lecture=SHARING,
)
def divides_by_the_batch(dy, x, w, stride=1, padding=0):
    dx, dw, db = conv2d_backward(dy, x, w, stride, padding)
    return dx, dw / len(x), db / len(x)


@misconception(
    "conv2d_backward",
    "Your dx ends where the last window ends. Pixels that no window reached have a gradient too: 0.",
    lecture=SIZES,
)
def ends_with_the_last_window(dy, x, w, stride=1, padding=0):
    dx, dw, db = conv2d_backward(dy, x, w, stride, padding)
    rows, columns = (stride * (n - 1) + k - padding for n, k in zip(dy.shape[2:], w.shape[2:], strict=True))
    return dx[:, :, :rows, :columns], dw, db


@misconception("conv2d_backward", "Your gradients are float64 whatever comes in.", lecture=SHARING)
def gradients_in_double_precision(dy, x, w, stride=1, padding=0):
    return conv2d_backward(dy.astype(float), x.astype(float), w.astype(float), stride, padding)


# --- max_pool2d ---


@misconception(
    "max_pool2d",
    "Your frame is made of zeros, and a zero wins where all pixels are negative. The frame must never win.",
    lecture=POOLING,
)
def frame_of_zeros_wins(x, kernel, stride=None, padding=0):
    return max_pool2d(pad2d(x, padding), kernel, stride)


@misconception(
    "max_pool2d",
    "Your frame holds some large negative number, and it wins where all pixels are smaller still. There is a number "
    "that never wins.",
    lecture=POOLING,
)
def frame_of_a_large_negative_number(x, kernel, stride=None, padding=0):
    return max_pool2d(pad2d(x, padding, -1000), kernel, stride)


@misconception("max_pool2d", "You take the mean of each window.", lecture=POOLING)
def mean_for_maximum(x, kernel, stride=None, padding=0):
    return avg_pool2d(x, kernel, stride, padding)


@misconception("max_pool2d", "You take the number that is farthest from 0, whatever its sign.", lecture=POOLING)
def largest_absolute_value(x, kernel, stride=None, padding=0):
    return max_pool2d(np.abs(x), kernel, stride, padding)


@misconception(
    "max_pool2d",
    "Without a stride, your windows move pixel by pixel. They lie side by side: the stride is the kernel's size.",
    lecture=POOLING,
)
def pooling_stride_of_one(x, kernel, stride=None, padding=0):
    return max_pool2d(x, kernel, stride or 1, padding)


@misconception("max_pool2d", "Your windows always lie side by side: the stride is not used.", lecture=POOLING)
def pooling_ignores_the_stride(x, kernel, stride=None, padding=0):
    return max_pool2d(x, kernel, None, padding)


@misconception(
    "max_pool2d",
    "You pool over the channels as well. Each feature map is pooled by itself.",
    lecture=POOLING,
)
def pools_over_channels(x, kernel, stride=None, padding=0):
    return max_pool2d(x, kernel, stride, padding).max(axis=1, keepdims=True)


@misconception(
    "max_pool2d",
    "You make a last, smaller window of the rows and columns that are left over. They are dropped.",
    lecture=POOLING,
)
def keeps_what_is_left_over(x, kernel, stride=None, padding=0):
    step = stride or kernel
    more = [-(n + 2 * padding - kernel) % step for n in x.shape[2:]]
    x = np.pad(pad2d(x, padding, -np.inf), ((0, 0), (0, 0), (0, more[0]), (0, more[1])), constant_values=-np.inf)
    return max_pool2d(x, kernel, stride)


@misconception("max_pool2d", "Your result is float64 whatever comes in.", lecture=POOLING)
def pools_in_double_precision(x, kernel, stride=None, padding=0):
    return max_pool2d(x.astype(float), kernel, stride, padding)


# --- max_pool2d_backward ---


def _max_backward(dy, x, kernel, stride, padding, shares, value=-np.inf, add=True):
    """The gradient where `shares(window)`, (N, C, k, k), says which part of dy each pixel gets."""
    stride = stride or kernel
    padded = pad2d(x, padding, value)
    dx = np.zeros_like(padded)
    for i, j in np.ndindex(dy.shape[2:]):
        place = np.s_[:, :, stride * i : stride * i + kernel, stride * j : stride * j + kernel]
        share = shares(padded[place])
        part = share * dy[:, :, i, j, None, None]
        dx[place] = dx[place] + part if add else np.where(share != 0, part, dx[place])
    return _strip(dx, x.shape, padding)


def _is_largest(window):
    return (window == window.max(axis=(-2, -1), keepdims=True)).astype(window.dtype)


def _first(window):
    """1 for the first of the largest, 0 for all others."""
    flat = window.reshape(*window.shape[:2], -1)
    return (np.arange(flat.shape[-1]) == flat.argmax(axis=-1)[..., None]).reshape(window.shape).astype(window.dtype)


@misconception(
    "max_pool2d_backward",
    "Where several pixels tie, each gets the whole gradient: more comes out than went in. Only one may win.",
    lecture=POOLING,
)
def every_tied_pixel_gets_all(dy, x, kernel, stride=None, padding=0):
    return _max_backward(dy, x, kernel, stride, padding, _is_largest)


@misconception(
    "max_pool2d_backward",
    "Where several pixels tie, they share the gradient. Here, as in PyTorch, the first one gets it all.",
    lecture=POOLING,
)
def tied_pixels_share(dy, x, kernel, stride=None, padding=0):
    def shares(window):
        return _is_largest(window) / _is_largest(window).sum(axis=(-2, -1), keepdims=True)

    return _max_backward(dy, x, kernel, stride, padding, shares)


@misconception("max_pool2d_backward", "Where several pixels tie, the last one wins. It is the first.", lecture=POOLING)
def last_tied_pixel_wins(dy, x, kernel, stride=None, padding=0):
    def shares(window):
        return _first(window[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]

    return _max_backward(dy, x, kernel, stride, padding, shares)


@misconception(
    "max_pool2d_backward",
    "Where several pixels tie, the first column by column wins. Read row by row.",
    lecture=POOLING,
)
def first_column_by_column_wins(dy, x, kernel, stride=None, padding=0):
    def shares(window):
        return _first(window.swapaxes(2, 3)).swapaxes(2, 3)

    return _max_backward(dy, x, kernel, stride, padding, shares)


@misconception(
    "max_pool2d_backward",
    "You set the winner's gradient instead of adding to it: of several windows that it wins, only the last counts.",
    lecture=POOLING,
)
def overwrites_earlier_wins(dy, x, kernel, stride=None, padding=0):
    return _max_backward(dy, x, kernel, stride, padding, _first, add=False)


@misconception(
    "max_pool2d_backward",
    "You share the gradient among all pixels of the window: that is average pooling. Here only the winner mattered.",
    lecture=POOLING,
)
def gradient_to_all(dy, x, kernel, stride=None, padding=0):
    return avg_pool2d_backward(dy, x.shape, kernel, stride, padding)


@misconception(
    "max_pool2d_backward",
    "Your frame is made of zeros: where all pixels are negative, it wins and swallows the gradient.",
    lecture=POOLING,
)
def zeros_swallow_the_gradient(dy, x, kernel, stride=None, padding=0):
    return _max_backward(dy, x, kernel, stride, padding, _first, value=0)


@misconception("max_pool2d_backward", "Your dx still has its frame: it must have the shape of x.", lecture=POOLING)
def pooled_frame_not_stripped(dy, x, kernel, stride=None, padding=0):
    return max_pool2d_backward(dy, pad2d(x, padding, -np.inf), kernel, stride)


@misconception("max_pool2d_backward", "Your windows always lie side by side: the stride is not used.", lecture=POOLING)
def pooling_backward_ignores_the_stride(dy, x, kernel, stride=None, padding=0):
    return max_pool2d_backward(dy, x, kernel, None, padding)


# --- avg_pool2d ---


@misconception(
    "avg_pool2d",
    "You count the frame's zeros as pixels: white paper turns grey at the border.",
    lecture=POOLING,
)
def counts_the_frame(x, kernel, stride=None, padding=0):
    return avg_pool2d(pad2d(x, padding), kernel, stride)


@misconception("avg_pool2d", "You divide by k. A window of k × k has k² pixels.", lecture=POOLING)
def divides_by_the_side(x, kernel, stride=None, padding=0):
    return avg_pool2d(x, kernel, stride, padding) * np.asarray(kernel, dtype=x.dtype)


@misconception("avg_pool2d", "You add up the window, and don't divide.", lecture=POOLING)
def sum_for_mean(x, kernel, stride=None, padding=0):
    return windows(pad2d(x, padding), kernel, kernel, stride or kernel).sum(axis=(-2, -1))


@misconception("avg_pool2d", "You take the largest pixel of each window.", lecture=POOLING)
def maximum_for_mean(x, kernel, stride=None, padding=0):
    return max_pool2d(x, kernel, stride, padding)


@misconception(
    "avg_pool2d",
    "Without a stride, your windows move pixel by pixel. They lie side by side: the stride is the kernel's size.",
    lecture=POOLING,
)
def averages_with_stride_one(x, kernel, stride=None, padding=0):
    return avg_pool2d(x, kernel, stride or 1, padding)


@misconception("avg_pool2d", "Your windows always lie side by side: the stride is not used.", lecture=POOLING)
def averages_ignore_the_stride(x, kernel, stride=None, padding=0):
    return avg_pool2d(x, kernel, None, padding)


@misconception("avg_pool2d", "You average over the channels as well: each is pooled by itself.", lecture=POOLING)
def averages_over_channels(x, kernel, stride=None, padding=0):
    return avg_pool2d(x, kernel, stride, padding).mean(axis=1, keepdims=True)


@misconception("avg_pool2d", "Your result is float64 whatever comes in.", lecture=POOLING)
def averages_in_double_precision(x, kernel, stride=None, padding=0):
    return avg_pool2d(x.astype(float), kernel, stride, padding)


# --- avg_pool2d_backward ---


@misconception(
    "avg_pool2d_backward",
    "Each pixel gets the whole gradient. The forward pass divided by the number of pixels: so does the gradient.",
    lecture=POOLING,
)
def everyone_gets_all(dy, shape, kernel, stride=None, padding=0):
    counts = windows(pad2d(np.ones(shape, dtype=dy.dtype), padding), kernel, kernel, stride or kernel)
    return avg_pool2d_backward(dy * counts.sum(axis=(-2, -1)), shape, kernel, stride, padding)


@misconception("avg_pool2d_backward", "You divide by k. A window of k × k has k² pixels.", lecture=POOLING)
def shares_by_the_side(dy, shape, kernel, stride=None, padding=0):
    return avg_pool2d_backward(dy * np.asarray(kernel, dtype=dy.dtype), shape, kernel, stride, padding)


@misconception(
    "avg_pool2d_backward",
    "At the border you divide by k², the frame included. The forward pass divided by the pixels that were there.",
    lecture=POOLING,
)
def frame_gets_a_share(dy, shape, kernel, stride=None, padding=0):
    n, c, h, w = shape
    dx = avg_pool2d_backward(dy, (n, c, h + 2 * padding, w + 2 * padding), kernel, stride)
    return _strip(dx, shape, padding)


@misconception(
    "avg_pool2d_backward",
    "You overwrite where windows overlap: a pixel in several windows gets the sum of its shares.",
    lecture=POOLING,
)
def overwrites_earlier_shares(dy, shape, kernel, stride=None, padding=0):
    stride = stride or kernel
    pixels = pad2d(np.ones(shape, dtype=dy.dtype), padding)
    dx, share = np.zeros_like(pixels), dy / windows(pixels, kernel, kernel, stride).sum(axis=(-2, -1))
    for i, j in np.ndindex(dy.shape[2:]):
        dx[:, :, stride * i : stride * i + kernel, stride * j : stride * j + kernel] = share[:, :, i, j, None, None]
    return _strip(dx, shape, padding)


@misconception(
    "avg_pool2d_backward",
    "You give the gradient to one pixel of each window. All of them had a part in the mean.",
    lecture=POOLING,
)
def first_pixel_gets_all(dy, shape, kernel, stride=None, padding=0):
    return max_pool2d_backward(dy, np.zeros(shape, dtype=dy.dtype), kernel, stride, padding)


@misconception("avg_pool2d_backward", "Your dx still has its frame: it must have the shape of x.", lecture=POOLING)
def averaged_frame_not_stripped(dy, shape, kernel, stride=None, padding=0):
    stride = stride or kernel
    pixels = pad2d(np.ones(shape, dtype=dy.dtype), padding)
    counts = windows(pixels, kernel, kernel, stride).sum(axis=(-2, -1))
    return pixels * avg_pool2d_backward(dy * kernel**2 / counts, pixels.shape, kernel, stride)


@misconception("avg_pool2d_backward", "Your windows always lie side by side: the stride is not used.", lecture=POOLING)
def shares_ignore_the_stride(dy, shape, kernel, stride=None, padding=0):
    return avg_pool2d_backward(dy, shape, kernel, None, padding)


@misconception("avg_pool2d_backward", "`np.zeros` makes float64 unless told.", lecture=POOLING)
def shares_in_double_precision(dy, shape, kernel, stride=None, padding=0):
    return avg_pool2d_backward(dy.astype(float), shape, kernel, stride, padding)


# --- receptive_field ---


@misconception(
    "receptive_field",
    "You count only the stride of the layer before. Strides multiply: after two of 2, neighbours are 4 pixels apart.",
    lecture=FIELD,
)
def strides_not_multiplied(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += dilation * (kernel - 1) * jump
        jump = stride
    return field


@misconception("receptive_field", "You add the strides up. They multiply.", lecture=FIELD)
def strides_added_up(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        field += dilation * (kernel - 1) * jump
        jump += stride - 1
    return field


@misconception(
    "receptive_field",
    "Your field grows by k with each layer. Windows overlap: of k neighbours, only k - 1 lie beyond the first.",
    lecture=FIELD,
)
def grows_by_the_kernel(layers):
    field, jump = 1, 1
    for position, (kernel, stride, dilation) in enumerate(layers):
        field += dilation * (kernel - (position == 0)) * jump
        jump *= stride
    return field


@misconception(
    "receptive_field",
    "You multiply by a layer's own stride. It sets the distance of that layer's neurons, so only later layers see it.",
    lecture=FIELD,
)
def own_stride_counts(layers):
    field, jump = 1, 1
    for kernel, stride, dilation in layers:
        jump *= stride
        field += dilation * (kernel - 1) * jump
    return field


@misconception("receptive_field", "You multiply the kernel sizes: neighbouring windows overlap, though.", lecture=FIELD)
def multiplies_the_kernels(layers):
    return math.prod(dilation * (kernel - 1) + 1 for kernel, _, dilation in layers)


@misconception("receptive_field", "You ignore the strides.", lecture=FIELD)
def field_ignores_strides(layers):
    return receptive_field([(kernel, 1, dilation) for kernel, _, dilation in layers])


@misconception("receptive_field", "You ignore the dilation.", lecture=FIELD)
def field_ignores_dilation(layers):
    return receptive_field([(kernel, stride, 1) for kernel, stride, _ in layers])


@misconception(
    "receptive_field",
    "Your dilated kernel spans d times k pixels. It is d (k - 1) + 1: no gap after the last.",
    lecture=FIELD,
)
def dilation_times_kernel(layers):
    return receptive_field([(dilation * kernel, stride, 1) for kernel, stride, dilation in layers])


@misconception(
    "receptive_field",
    "You begin with 0 pixels. Without any layer, a neuron is a pixel: 1.",
    lecture=FIELD,
)
def begins_with_nothing(layers):
    return receptive_field(layers) - 1


@misconception(
    "receptive_field", "You walk from the last layer to the first with the formula for the way up.", lecture=FIELD
)
def from_the_last_layer(layers):
    return receptive_field(list(layers)[::-1])


# --- parameter_counts ---


def _parameters(size, c, o, k, stride=1, padding=0):
    """Neurons of a map, weights of a window, numbers of the picture."""
    return conv_output_size(size, k, stride, padding) ** 2, c * k * k, c * size * size


@misconception("parameter_counts", "You forget the biases.", lecture=SHARING)
def forgets_the_biases(size, in_channels, out_channels, kernel, stride=1, padding=0):
    neurons, window, numbers = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    return numbers * neurons * out_channels, window * neurons * out_channels, window * out_channels


@misconception(
    "parameter_counts",
    "Your shared layer grows with the picture. Its neurons use the same weights at every place: count them once.",
    lecture=SHARING,
)
def shared_weights_counted_at_each_place(size, in_channels, out_channels, kernel, stride=1, padding=0):
    neurons, window, numbers = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    local = (window + 1) * neurons * out_channels
    return (numbers + 1) * neurons * out_channels, local, window * out_channels * neurons + out_channels


@misconception(
    "parameter_counts",
    "In your shared layer each neuron keeps a bias of its own. Who shares the weights shares the bias.",
    lecture=SHARING,
)
def biases_not_shared(size, in_channels, out_channels, kernel, stride=1, padding=0):
    neurons, window, numbers = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    local = (window + 1) * neurons * out_channels
    return (numbers + 1) * neurons * out_channels, local, (window + neurons) * out_channels


@misconception(
    "parameter_counts",
    "Your shared layer has one bias in all. Each map has its own.",
    lecture=SHARING,
)
def one_bias_in_all(size, in_channels, out_channels, kernel, stride=1, padding=0):
    neurons, window, numbers = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    local = (window + 1) * neurons * out_channels
    return (numbers + 1) * neurons * out_channels, local, window * out_channels + 1


@misconception(
    "parameter_counts",
    "Your windows have kernel × kernel weights for all input channels together. Each channel needs its own.",
    lecture=SHARING,
)
def input_channels_share_a_slice(size, in_channels, out_channels, kernel, stride=1, padding=0):
    neurons, _, numbers = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    window = kernel**2 + 1
    return (numbers + 1) * neurons * out_channels, window * neurons * out_channels, window * out_channels


@misconception(
    "parameter_counts",
    "You count as many neurons as there are pixels. Kernel, stride and padding decide how many places there are.",
    lecture=SIZES,
)
def as_many_neurons_as_pixels(size, in_channels, out_channels, kernel, stride=1, padding=0):
    _, window, numbers = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    neurons = size**2 * out_channels
    return (numbers + 1) * neurons, (window + 1) * neurons, (window + 1) * out_channels


@misconception(
    "parameter_counts",
    "You connect the dense layer to the frame as well: weights for pixels that are always 0.",
    lecture=SIZES,
)
def dense_weights_for_the_frame(size, in_channels, out_channels, kernel, stride=1, padding=0):
    neurons, window, _ = _parameters(size, in_channels, out_channels, kernel, stride, padding)
    numbers = in_channels * (size + 2 * padding) ** 2
    local = (window + 1) * neurons * out_channels
    return (numbers + 1) * neurons * out_channels, local, (window + 1) * out_channels


# --- equivariance_error ---


def _orders(layer, transform, x, border):
    first, last = layer(transform(x)), transform(layer(x))
    inner = np.s_[:, :, border : first.shape[2] - border, border : first.shape[3] - border]
    return first[inner], last[inner]


@misconception(
    "equivariance_error",
    "You compare f(Tx) with f(x): that is invariance. Equivariant means that the answer moves along, so compare with "
    "T f(x).",
    lecture=LIMITS,
)
def measures_invariance(layer, transform, x, border=0):
    def untransformed(maps):
        return maps

    first, _ = _orders(layer, transform, x, border)
    last, _ = _orders(layer, untransformed, x, border)
    size = np.linalg.norm(first) + np.linalg.norm(last)
    return float(np.linalg.norm(first - last) / size) if size else 0.0


@misconception(
    "equivariance_error",
    "You add up the signed differences, and they cancel. The length of the difference needs squares.",
    lecture=LIMITS,
)
def signed_differences(layer, transform, x, border=0):
    first, last = _orders(layer, transform, x, border)
    size = np.linalg.norm(first) + np.linalg.norm(last)
    return float(abs((first - last).sum()) / size) if size else 0.0


@misconception(
    "equivariance_error",
    "Your error is not relative: brighter pictures have a larger one.",
    lecture=LIMITS,
)
def not_relative(layer, transform, x, border=0):
    first, last = _orders(layer, transform, x, border)
    return float(np.linalg.norm(first - last))


@misconception(
    "equivariance_error",
    "You divide by the length of one of the two. The formula has the sum of both, so that the error is at most 1.",
    lecture=LIMITS,
)
def divides_by_one_length(layer, transform, x, border=0):
    first, last = _orders(layer, transform, x, border)
    size = np.linalg.norm(last)
    return float(np.linalg.norm(first - last) / size) if size else 0.0


@misconception(
    "equivariance_error",
    "You forget the root: you compare squared lengths.",
    lecture=LIMITS,
)
def squared_lengths(layer, transform, x, border=0):
    first, last = _orders(layer, transform, x, border)
    size = (first**2).sum() + (last**2).sum()
    return float(((first - last) ** 2).sum() / size) if size else 0.0


@misconception(
    "equivariance_error",
    "You add up absolute values. The length in the formula is the root of a sum of squares.",
    lecture=LIMITS,
)
def absolute_values(layer, transform, x, border=0):
    first, last = _orders(layer, transform, x, border)
    size = np.abs(first).sum() + np.abs(last).sum()
    return float(np.abs(first - last).sum() / size) if size else 0.0


@misconception("equivariance_error", "The border is not left out.", lecture=LIMITS)
def border_not_left_out(layer, transform, x, border=0):
    return equivariance_error(layer, transform, x)


@misconception(
    "equivariance_error",
    "You leave out the border of the picture, before anything is computed. It is the border of the *maps* that counts.",
    lecture=LIMITS,
)
def border_of_the_picture(layer, transform, x, border=0):
    return equivariance_error(layer, transform, x[:, :, border : x.shape[2] - border, border : x.shape[3] - border])


@misconception(
    "equivariance_error",
    "You leave out the border with a slice [b:-b]. For b = 0 that is [0:0], and nothing is left to compare.",
    lecture=LIMITS,
)
def border_to_minus_zero(layer, transform, x, border=0):
    first, last = (part[:, :, border:-border, border:-border] for part in (layer(transform(x)), transform(layer(x))))
    size = np.linalg.norm(first) + np.linalg.norm(last)
    return float(np.linalg.norm(first - last) / size) if size else 0.0


@misconception(
    "equivariance_error",
    "Where both maps are empty, you divide 0 by 0 and get NaN. They agree: the error is 0.",
    lecture=LIMITS,
)
def nothing_by_nothing(layer, transform, x, border=0):
    first, last = _orders(layer, transform, x, border)
    with np.errstate(all="ignore"):
        return np.linalg.norm(first - last) / (np.linalg.norm(first) + np.linalg.norm(last))


# --- affine_grid ---


def _target(height, width, dtype, centres):
    y, x = torch.meshgrid(centres(height).to(dtype), centres(width).to(dtype), indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], dim=-1)


def _centres(size):
    return (2 * torch.arange(size) + 1) / size - 1


@misconception(
    "affine_grid",
    "Your coordinates are (row, column). The grid holds (x, y), and x runs along the columns.",
    lecture=TRANSFORMER,
)
def row_before_column(theta, height, width):
    return torch.einsum("nab,ijb->nija", theta, _target(height, width, theta.dtype, _centres)[..., [1, 0, 2]])


@misconception(
    "affine_grid",
    "Your result holds (y, x): the rows of theta make x first, then y.",
    lecture=TRANSFORMER,
)
def result_in_the_wrong_order(theta, height, width):
    return affine_grid(theta, height, width).flip(-1)


@misconception(
    "affine_grid",
    "Your first and last pixel centres lie at -1 and 1. Those are the edges of the picture; half a pixel lies between "
    "(you have align_corners=True).",
    lecture=TRANSFORMER,
)
def centres_on_the_edges(theta, height, width):
    def centres(size):
        return torch.linspace(-1, 1, size)

    return torch.einsum("nab,ijb->nija", theta, _target(height, width, theta.dtype, centres))


@misconception(
    "affine_grid",
    "Your coordinates begin at the left edge of each pixel and not at its centre: everything is off by half a pixel.",
    lecture=TRANSFORMER,
)
def edges_for_centres(theta, height, width):
    def centres(size):
        return 2 * torch.arange(size) / size - 1

    return torch.einsum("nab,ijb->nija", theta, _target(height, width, theta.dtype, centres))


@misconception(
    "affine_grid",
    "Your target coordinates are pixel numbers. They run from -1 to 1, whatever the size of the picture.",
    lecture=TRANSFORMER,
)
def pixel_numbers(theta, height, width):
    return torch.einsum("nab,ijb->nija", theta, _target(height, width, theta.dtype, torch.arange))


@misconception(
    "affine_grid",
    "You apply the transposed matrix: a turn goes the other way round.",
    lecture=TRANSFORMER,
)
def transposed_matrix(theta, height, width):
    matrix = torch.cat([theta[:, :, :2].transpose(1, 2), theta[:, :, 2:]], dim=2)
    return affine_grid(matrix, height, width)


@misconception("affine_grid", "You leave out the last column of theta: nothing can be moved.", lecture=TRANSFORMER)
def without_translation(theta, height, width):
    return affine_grid(theta * torch.tensor([1, 1, 0]), height, width)


@misconception(
    "affine_grid",
    "You move first and turn afterwards. theta (x, y, 1) turns first, and adds its last column at the end.",
    lecture=TRANSFORMER,
)
def moves_before_it_turns(theta, height, width):
    target = _target(height, width, theta.dtype, _centres)[None, ..., :2] + theta[:, None, None, :, 2]
    return torch.einsum("nab,nijb->nija", theta[:, :, :2], target)


@misconception("affine_grid", "You use the first picture's theta for all.", lecture=TRANSFORMER)
def one_theta_for_all(theta, height, width):
    return affine_grid(theta[:1], height, width).repeat(len(theta), 1, 1, 1)


@misconception(
    "affine_grid",
    "Your grid leaves the graph: no gradient can reach theta, and the localization network will never learn.",
    lecture=TRANSFORMER,
)
def grid_outside_the_graph(theta, height, width):
    return affine_grid(theta.detach(), height, width).requires_grad_()


@misconception(
    "affine_grid",
    "Your grid is float32 whatever theta is.",
    lecture=TRANSFORMER,
)
def grid_in_single_precision(theta, height, width):
    return affine_grid(theta.float(), height, width)


# --- grid_sample ---


def _sample(x, a, b, outside="zero", shares=None):
    """Bilinear sampling at columns a and rows b, (N, H', W'), with some ways of treating what is outside."""
    height, width = x.shape[2:]
    left, top = a.floor(), b.floor()
    number = torch.arange(len(x))[:, None, None]
    right, down = (a - left)[..., None], (b - top)[..., None]
    if shares:
        right, down = shares(right), shares(down)

    def pixel(row, column):
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        if outside == "wrap":
            return x[number, :, (row % height).long(), (column % width).long()]
        found = x[number, :, row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()]
        return found if outside == "edge" else found * inside[..., None]

    upper = (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
    lower = (1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1)
    return ((1 - down) * upper + down * lower).permute(0, 3, 1, 2)


def _in_pixels(x, grid):
    height, width = x.shape[2:]
    return ((grid[..., 0] + 1) * width - 1) / 2, ((grid[..., 1] + 1) * height - 1) / 2


@misconception(
    "grid_sample",
    "You take the first coordinate for the row. It is x, the column.",
    lecture=TRANSFORMER,
)
def first_coordinate_as_row(x, grid):
    return grid_sample(x, grid.flip(-1))


@misconception(
    "grid_sample",
    "You take -1 and 1 for the centres of the first and the last pixel. They are the edges of the picture (you have "
    "align_corners=True).",
    lecture=TRANSFORMER,
)
def corners_aligned(x, grid):
    height, width = x.shape[2:]
    return _sample(x, (grid[..., 0] + 1) / 2 * (width - 1), (grid[..., 1] + 1) / 2 * (height - 1))


@misconception(
    "grid_sample",
    "You are off by half a pixel: the centre of the first pixel is column 0, and it lies half a pixel from the edge.",
    lecture=TRANSFORMER,
)
def half_a_pixel_off(x, grid):
    height, width = x.shape[2:]
    return _sample(x, (grid[..., 0] + 1) / 2 * width, (grid[..., 1] + 1) / 2 * height)


@misconception(
    "grid_sample",
    "Outside of the picture you repeat its border. There is nothing out there: 0.",
    lecture=TRANSFORMER,
)
def repeats_the_border(x, grid):
    return _sample(x, *_in_pixels(x, grid), outside="edge")


@misconception(
    "grid_sample",
    "An index of -1 is the *last* pixel in Python: what leaves the picture on the left comes in on the right.",
    lecture=TRANSFORMER,
)
def wraps_around(x, grid):
    return _sample(x, *_in_pixels(x, grid), outside="wrap")


@misconception(
    "grid_sample",
    "As soon as one of the four pixels is outside, you give 0. The others still count: ask each on its own.",
    lecture=TRANSFORMER,
)
def all_or_nothing(x, grid):
    a, b = _in_pixels(x, grid)
    height, width = x.shape[2:]
    inside = (a >= 0) & (a <= width - 1) & (b >= 0) & (b <= height - 1)
    return _sample(x, a, b, outside="edge") * inside[:, None]


@misconception(
    "grid_sample",
    "You decide by the *source* whether it is in the picture, from -1 to 1, and repeat the border there. In the outer "
    "half of a border pixel, the neighbour outside counts as 0.",
    lecture=TRANSFORMER,
)
def asks_the_source_only(x, grid):
    inside = ((grid >= -1) & (grid <= 1)).all(dim=-1)
    return _sample(x, *_in_pixels(x, grid), outside="edge") * inside[:, None]


@misconception(
    "grid_sample",
    "You take the nearest pixel. The result jumps instead of changing smoothly, and no gradient reaches the grid.",
    lecture=TRANSFORMER,
)
def takes_the_nearest_pixel(x, grid):
    return _sample(x, *_in_pixels(x, grid), shares=lambda share: (share > 0.5).to(share.dtype) + 0 * share)


@misconception(
    "grid_sample",
    "Your shares are swapped: the nearer pixel gets the smaller one.",
    lecture=TRANSFORMER,
)
def shares_swapped(x, grid):
    return _sample(x, *_in_pixels(x, grid), shares=lambda share: 1 - share)


@misconception(
    "grid_sample",
    "Your shares leave the graph: no gradient reaches the grid.",
    lecture=TRANSFORMER,
)
def shares_outside_the_graph(x, grid):
    return grid_sample(x, grid.detach()) + 0 * grid.sum()


@misconception("grid_sample", "You read every picture with the grid of the first.", lecture=TRANSFORMER)
def one_grid_for_all(x, grid):
    return grid_sample(x, grid[:1].expand_as(grid))


@misconception("grid_sample", "You read the first picture for all grids.", lecture=TRANSFORMER)
def always_the_first_picture(x, grid):
    return grid_sample(x[:1].expand_as(x), grid)


@misconception(
    "grid_sample",
    "Your values are right, but with 1 - |a - m| autograd finds the slope 0 at the centre of a pixel: a transformer "
    "that starts at the identity stands on centres only, and will never move.",
    lecture=TRANSFORMER,
)
def no_slope_at_the_centres(x, grid):
    a, b = _in_pixels(x, grid)
    columns = torch.relu(1 - (a[..., None] - torch.arange(x.shape[3])).abs())
    rows = torch.relu(1 - (b[..., None] - torch.arange(x.shape[2])).abs())
    return torch.einsum("nijr,nijs,ncrs->ncij", rows, columns, x)


# --- SpatialTransformer ---


@misconception(
    "SpatialTransformer",
    "Your head starts with random numbers: at first, what comes after the layer sees distorted pictures.",
    lecture=TRANSFORMER,
)
class RandomStart(SpatialTransformer):
    def __init__(self, localization, features):
        super().__init__(localization, features)
        self.head = nn.Linear(features, 6)


@misconception(
    "SpatialTransformer",
    "The weights of your head are not 0: the start depends on the picture, and is not the identity.",
    lecture=TRANSFORMER,
)
class RandomWeights(SpatialTransformer):
    def __init__(self, localization, features):
        super().__init__(localization, features)
        nn.init.normal_(self.head.weight, std=0.1)


@misconception(
    "SpatialTransformer",
    "Weights *and* biases of your head start at 0: theta is 0, and every pixel looks at the middle of the picture.",
    lecture=TRANSFORMER,
)
class StartsAtZero(SpatialTransformer):
    def __init__(self, localization, features):
        super().__init__(localization, features)
        nn.init.zeros_(self.head.bias)


@misconception(
    "SpatialTransformer",
    "Your biases are (1, 0, 0, 1, 0, 0): that is the identity for a matrix of 3 rows. theta has 2 rows of 3.",
    lecture=TRANSFORMER,
)
class IdentityColumnByColumn(SpatialTransformer):
    def __init__(self, localization, features):
        super().__init__(localization, features)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([1.0, 0, 0, 1, 0, 0]))


@misconception(
    "SpatialTransformer",
    "You fill theta column by column. The first three outputs of the head are its upper row.",
    lecture=TRANSFORMER,
)
class ThetaColumnByColumn(SpatialTransformer):
    def forward(self, x):
        theta = self.head(self.localization(x)).reshape(-1, 3, 2).transpose(1, 2)
        return grid_sample(x, affine_grid(theta, *x.shape[2:]))


@misconception(
    "SpatialTransformer",
    "All pictures of a batch get the same theta. Each is tilted in its own way: each needs its own.",
    lecture=TRANSFORMER,
)
class OneThetaForTheBatch(SpatialTransformer):
    def forward(self, x):
        theta = self.head(self.localization(x)).mean(dim=0).expand(len(x), 6).reshape(-1, 2, 3)
        return grid_sample(x, affine_grid(theta, *x.shape[2:]))


@misconception(
    "SpatialTransformer",
    "theta leaves the graph: the loss can't teach the head or the localization network anything.",
    lecture=TRANSFORMER,
)
class ThetaOutsideTheGraph(SpatialTransformer):
    def forward(self, x):
        theta = self.head(self.localization(x)).detach().reshape(-1, 2, 3)
        return grid_sample(x, affine_grid(theta, *x.shape[2:]))


@misconception(
    "SpatialTransformer",
    "The localization network works under no_grad: the head learns, but nothing in front of it does.",
    lecture=TRANSFORMER,
)
class LocalizationOutsideTheGraph(SpatialTransformer):
    def forward(self, x):
        theta = self.head(self.localization(x).detach()).reshape(-1, 2, 3)
        return grid_sample(x, affine_grid(theta, *x.shape[2:]))


@misconception(
    "SpatialTransformer",
    "Your biases can't be trained: a plain tensor is no parameter. Copy the numbers into the ones that are there.",
    lecture=TRANSFORMER,
)
class BiasesNotTrained(SpatialTransformer):
    def __init__(self, localization, features):
        super().__init__(localization, features)
        self.head.bias.requires_grad_(False)


# --- ConvNet ---


def _train(network, images, labels, epochs=15, loss_function=nn.functional.cross_entropy, zero=True, step=True):
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            loss = loss_function(network(images[batch]), labels[batch])
            if zero:
                optimizer.zero_grad()
            loss.backward()
            if step:
                optimizer.step()


@misconception(
    "ConvNet",
    "You predict in training mode: dropout still drops, and BatchNorm uses whatever images share the batch. Call "
    "eval() first.",
    lecture="Lecture 7, Batch normalization: testing",
)
class PredictsInTrainingMode(ConvNet):
    def predict(self, images):
        self.train()
        with torch.no_grad():
            return self(images).argmax(dim=1)


@misconception(
    "ConvNet",
    "Your network ends with a softmax, and cross-entropy takes another one: gradients become small. forward returns "
    "logits.",
    lecture="Lecture 8, Cross-entropy loss function",
)
class SoftmaxAtTheEnd(ConvNet):
    def forward(self, images):
        return self.layers(images).softmax(dim=1)

    def fit(self, images, labels):
        _train(self, images, labels, epochs=5)


@misconception(
    "ConvNet",
    "Your network has no convolution: each weight sees one pixel only, and nothing is shared.",
    lecture=SHARING,
)
class DenseLayersOnly(ConvNet):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@misconception(
    "ConvNet",
    "Your network keeps the images and looks up the nearest: its kernels have no share in the logits. Train a network.",
    lecture=SHARING,
)
class LooksUpTheNearestImage(ConvNet):
    def fit(self, images, labels):
        self.images, self.labels = images, labels

    def forward(self, images):
        nearest = torch.cdist(images.flatten(1), self.images.flatten(1)).argmin(dim=1)
        return nn.functional.one_hot(self.labels[nearest], 10).float()


@misconception(
    "ConvNet",
    "You see every image once. One epoch is not enough: train until the loss on held-out images stops falling.",
    lecture="Lecture 3, Training guidance",
)
class OneEpoch(ConvNet):
    def fit(self, images, labels):
        _train(self, images, labels, epochs=1)


@misconception(
    "ConvNet",
    "The parameters never change: gradients are computed, but `optimizer.step()` is missing.",
    lecture="Lecture 5, Batch",
)
class NeverSteps(ConvNet):
    def fit(self, images, labels):
        _train(self, images, labels, epochs=1, step=False)


@misconception(
    "ConvNet",
    "predict returns the logits. What is asked for is the number of the class with the largest one.",
    lecture="Lecture 8, One-hot vector as output",
)
class PredictsLogits(ConvNet):
    def fit(self, images, labels):
        _train(self, images, labels, epochs=2)

    def predict(self, images):
        self.eval()
        with torch.no_grad():
            return self(images).amax(dim=1)


@misconception(
    "ConvNet",
    "argmax runs over the images: for each class you return the image that fits best. It must run over the classes.",
    lecture="Lecture 8, One-hot vector as output",
)
class ArgmaxOverTheBatch(ConvNet):
    def fit(self, images, labels):
        _train(self, images, labels, epochs=2)

    def predict(self, images):
        self.eval()
        with torch.no_grad():
            return self(images).argmax(dim=0)


@misconception(
    "ConvNet",
    "Your network is far too large for 8 × 8 pixels: more than 200,000 parameters.",
    lecture=SHARING,
)
class TooLarge(ConvNet):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 64, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def fit(self, images, labels):
        _train(self, images, labels, epochs=2)


# --- convolution_matrix ---


@misconception(
    "convolution_matrix",
    "Your matrix is transposed: it leads from the neurons to the pixels. Each row belongs to a neuron.",
    lecture=SHARING,
)
def matrix_transposed(w, height, width, stride=1, padding=0):
    return convolution_matrix(w, height, width, stride, padding).T


@misconception(
    "convolution_matrix",
    "You number place by place, with all channels of a place together. Here channel comes after channel.",
    lecture=SHARING,
)
def places_before_channels(w, height, width, stride=1, padding=0):
    o, c = w.shape[:2]
    matrix = convolution_matrix(w, height, width, stride, padding).reshape(o, -1, c, height * width)
    return matrix.transpose(1, 0, 3, 2).reshape(-1, c * height * width)


@misconception("convolution_matrix", "Your kernel is flipped.", lecture=SHARING)
def matrix_of_the_flipped_kernel(w, height, width, stride=1, padding=0):
    return convolution_matrix(_turned(w), height, width, stride, padding)


@misconception(
    "convolution_matrix",
    "Your matrix has columns for the frame. The picture has none: a weight on the frame meets no pixel.",
    lecture=SIZES,
)
def columns_for_the_frame(w, height, width, stride=1, padding=0):
    return convolution_matrix(w, height + 2 * padding, width + 2 * padding, stride)


@misconception(
    "convolution_matrix", "Your matrix ignores the stride: it has rows for places that are skipped.", lecture=SIZES
)
def rows_for_skipped_places(w, height, width, stride=1, padding=0):
    return convolution_matrix(w, height, width, 1, padding)


@misconception(
    "convolution_matrix",
    "Your rows wrap round: a window that reaches the end of a row of pixels goes on in the next one.",
    lecture=SHARING,
)
def windows_run_on_into_the_next_row(w, height, width, stride=1, padding=0):
    c, kh, kw = w.shape[1:]
    padded_height, padded_width = height + 2 * padding, width + 2 * padding
    rows = []
    for kernel in w:
        for start in range(0, padded_height * padded_width - (kh - 1) * padded_width - kw + 1, stride):
            row = np.zeros((c, padded_height * padded_width), dtype=w.dtype)
            for u, v in np.ndindex(kh, kw):
                row[:, start + u * padded_width + v] = kernel[:, u, v]
            rows.append(row.ravel())
    return np.array(rows)


@misconception(
    "convolution_matrix",
    "Your matrix is float64 whatever the kernel is: `np.zeros` and `np.eye` want to be told.",
    lecture=SHARING,
)
def matrix_in_double_precision(w, height, width, stride=1, padding=0):
    return convolution_matrix(w.astype(float), height, width, stride, padding)
