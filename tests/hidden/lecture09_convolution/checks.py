"""Hidden tests of lecture 9: what convolutions, pooling, spatial transformers and a CNN give."""

import numpy as np
import torch
from torch import nn

from grader import Problem, at_least, check


def _names(modules, names):
    """Every name in every module."""
    return tuple(f"{module}.{name}" for module in modules for name in names.split())


CONVOLUTION = (
    *_names(
        ("torch", "torch.nn.functional"),
        "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc",
    ),
    *_names(("torch",), "convolution _convolution _convolution_mode mkldnn_convolution"),
    *_names(("torch.nn.functional",), "unfold fold"),
    *_names(
        ("torch.nn",),
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d "
        "LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d Unfold Fold",
    ),
    *_names(("torch.nn.grad",), "conv1d_input conv1d_weight conv2d_input conv2d_weight conv3d_input conv3d_weight"),
    *_names(("numpy",), "convolve correlate"),
    *_names(
        ("scipy.signal",),
        "convolve convolve2d correlate correlate2d fftconvolve oaconvolve sepfir2d lfilter",
    ),
    *_names(("scipy.signal._sigtools",), "_convolve2d _correlateND _linear_filter"),
    *_names(("scipy.ndimage",), "convolve convolve1d correlate correlate1d generic_filter vectorized_filter"),
    *_names(("scipy.linalg",), "convolution_matrix"),
)
CONVOLUTION_OPERATORS = (
    "aten::convolution",
    "aten::_convolution",
    "aten::convolution_overrideable",
    "aten::convolution_backward",
    "aten::mkldnn_convolution",
    "aten::thnn_conv2d",
    "aten::_slow_conv2d_forward",
    "aten::_slow_conv2d_backward",
    "aten::slow_conv_dilated2d",
    "aten::conv1d",
    "aten::conv2d",
    "aten::conv3d",
    "aten::im2col",
    "aten::col2im",
)
POOLING = (
    *_names(
        ("torch.nn.functional",),
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices adaptive_max_pool2d fractional_max_pool2d "
        "max_unpool2d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool2d lp_pool2d interpolate",
    ),
    *_names(("torch",), "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices avg_pool1d"),
    *_names(("torch._C._nn",), "avg_pool2d avg_pool3d max_pool2d_with_indices adaptive_avg_pool2d adaptive_max_pool2d"),
    *_names(
        ("torch.nn",),
        "MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool2d FractionalMaxPool2d MaxUnpool2d AvgPool1d AvgPool2d AvgPool3d "
        "AdaptiveAvgPool2d LPPool2d",
    ),
    *_names(
        ("scipy.ndimage",),
        "maximum_filter maximum_filter1d minimum_filter minimum_filter1d rank_filter percentile_filter uniform_filter "
        "uniform_filter1d generic_filter vectorized_filter grey_dilation grey_erosion zoom",
    ),
    *_names(("scipy.signal",), "order_filter"),
)
POOLING_OPERATORS = (
    "aten::max_pool2d",
    "aten::max_pool2d_with_indices",
    "aten::max_pool2d_with_indices_backward",
    "aten::adaptive_max_pool2d",
    "aten::fractional_max_pool2d",
    "aten::avg_pool2d",
    "aten::avg_pool2d_backward",
    "aten::adaptive_avg_pool2d",
    "aten::_adaptive_avg_pool2d",
)
AUTOGRAD = (
    *_names(("torch.autograd",), "grad backward"),
    *_names(("torch",), "Tensor.backward"),
    *_names(("torch.autograd.functional",), "jacobian vjp jvp"),
    *_names(("torch.func",), "grad grad_and_value vjp jvp jacrev jacfwd"),
)
SAMPLING = (
    *_names(("torch.nn.functional",), "affine_grid grid_sample interpolate"),
    *_names(
        ("torch",),
        "affine_grid_generator grid_sampler grid_sampler_2d _grid_sampler_2d_cpu_fallback cudnn_grid_sampler "
        "cudnn_affine_grid_generator",
    ),
    *_names(("scipy.ndimage",), "map_coordinates affine_transform geometric_transform"),
    *_names(("scipy.interpolate",), "RegularGridInterpolator interpn"),
)
SAMPLING_OPERATORS = (
    "aten::affine_grid_generator",
    "aten::grid_sampler",
    "aten::grid_sampler_2d",
    "aten::_grid_sampler_2d_cpu_fallback",
)
DATA = (
    "sklearn.datasets.load_digits",
    "sklearn.datasets._base.load_digits",
    "sklearn.datasets._base.load_gzip_compressed_csv_data",
)

PROBLEMS = (
    Problem("conv2d", forbidden=CONVOLUTION, operators=CONVOLUTION_OPERATORS),
    Problem("conv2d_fast", forbidden=CONVOLUTION, operators=CONVOLUTION_OPERATORS),
    Problem("conv2d_backward", forbidden=(*CONVOLUTION, *AUTOGRAD), operators=CONVOLUTION_OPERATORS),
    Problem("max_pool2d", forbidden=POOLING, operators=POOLING_OPERATORS),
    Problem("max_pool2d_backward", forbidden=(*POOLING, *AUTOGRAD), operators=POOLING_OPERATORS),
    Problem(
        "avg_pool2d",
        forbidden=(*POOLING, *CONVOLUTION),
        operators=(*POOLING_OPERATORS, *CONVOLUTION_OPERATORS),
    ),
    Problem(
        "avg_pool2d_backward",
        forbidden=(*POOLING, *CONVOLUTION, *AUTOGRAD),
        operators=(*POOLING_OPERATORS, *CONVOLUTION_OPERATORS),
    ),
    Problem("affine_grid", forbidden=SAMPLING, operators=SAMPLING_OPERATORS),
    Problem("grid_sample", forbidden=SAMPLING, operators=SAMPLING_OPERATORS),
    Problem("SpatialTransformer", forbidden=SAMPLING, operators=SAMPLING_OPERATORS),
    Problem("ConvNet", forbidden=DATA),
    Problem("convolution_matrix", bonus=True, forbidden=CONVOLUTION, operators=CONVOLUTION_OPERATORS),
)


def single(array):
    """The same numbers as float32."""
    return array.astype(np.float32)


def tensor(rng, *shape):
    """A float32 tensor of random numbers."""
    return torch.from_numpy(single(rng.normal(size=shape)))


# --- conv_output_size ---


@check("conv_output_size", points=1, hint="Count the places by hand for a window of 2 on a row of 3 pixels.")
def places_of_a_window(student, rng):
    """A window that moves pixel by pixel: how often it fits, as an integer that `range` accepts."""
    cases = [(1, 1), (3, 2), (8, 3), (7, 7), (28, 5)]
    return {
        f"{size} pixels, a window of {kernel}": len(range(student.conv_output_size(size, kernel)))
        for size, kernel in cases
    }


@check("conv_output_size", points=1, hint="Where does each jump take the window, and does the last one still fit?")
def strides_round_down(student, rng):
    """With a stride, places over the end do not count."""
    cases = [(3, 2, 2), (8, 2, 2), (8, 3, 2), (10, 3, 4), (5, 1, 3), (6, 3, 5)]
    return {
        f"{size} pixels, a window of {kernel}, stride {stride}": student.conv_output_size(size, kernel, stride)
        for size, kernel, stride in cases
    }


@check("conv_output_size", points=1, hint="How long is the axis with its frame, and how long the window with its gaps?")
def padding_and_dilation(student, rng):
    """Padding counts at both ends, and a dilated window spans more pixels."""
    cases = [(4, 3, 1, 1, 1), (4, 3, 2, 1, 1), (3, 5, 1, 2, 1), (7, 3, 1, 0, 2), (9, 2, 3, 0, 4), (12, 4, 2, 3, 3)]
    return {
        f"size, kernel, stride, padding, dilation = {case}": student.conv_output_size(*case[:2], *case[2:])
        for case in cases
    }


@check("conv_output_size", points=1, hint="When is there no place at all, and when exactly one?")
def a_window_that_does_not_fit(student, rng):
    """A window that is longer than the padded axis raises ValueError; one of the same length fits once."""

    def outcome(*case):
        try:
            return student.conv_output_size(*case)
        except ValueError:
            return "raised ValueError"

    cases = [(2, 3, 1, 0, 1), (3, 3, 1, 0, 1), (2, 5, 2, 1, 1), (4, 3, 1, 0, 2), (5, 3, 3, 0, 2), (4, 9, 3, 2, 1)]
    return {f"size, kernel, stride, padding, dilation = {case}": outcome(*case) for case in cases}


# --- pad2d ---


@check("pad2d", points=1, hint="Which two of the four axes are rows and columns, and how many ends has each?")
def a_frame_on_four_sides(student, rng):
    """Each channel of each picture gets a frame of zeros on all four sides."""
    return {
        "one pixel, a frame of 1": student.pad2d(rng.normal(size=(1, 1, 1, 1)), 1),
        "two pictures of three channels, a frame of 2": student.pad2d(rng.normal(size=(2, 3, 2, 4)), 2),
    }


@check("pad2d", points=1, hint="What does the third argument do?")
def a_frame_of_another_value(student, rng):
    """The frame is filled with the given value, minus infinity included."""
    x = rng.normal(size=(1, 2, 2, 1))
    return {"5": student.pad2d(x, 1, 5.0), "minus infinity": student.pad2d(x, 2, value=-np.inf)}


@check("pad2d", points=1, hint="Try padding = 0: which of your slices is then empty, and what fills what is left?")
def no_frame(student, rng):
    """A frame of width 0 changes nothing."""
    x = rng.normal(size=(2, 1, 3, 2))
    return {"padding 0": student.pad2d(x, 0), "padding 0, value 3": student.pad2d(x, 0, 3.0)}


@check("pad2d", points=1, hint="Which step of yours changes the dtype?")
def padding_keeps_the_dtype(student, rng):
    """Pictures keep their dtype: float32, or whole numbers."""
    x = rng.normal(size=(1, 2, 2, 3))
    return {
        "float32": student.pad2d(single(x), 1),
        "whole numbers": student.pad2d(rng.integers(0, 255, size=(1, 1, 2, 2)).astype(np.uint8), 1, 255),
    }


# --- conv2d, conv2d_fast: the same promises ---


def _symmetric(rng, *shape):
    """Kernels that look the same upside down: who flips them loses no points where that is not the question."""
    w = rng.normal(size=shape)
    return w + w[:, :, ::-1, ::-1]


@check("conv2d", points=2, hint="Multiply the window with the kernel, number by number, and add up. Don't flip.")
def one_channel_and_one_kernel(student, rng):
    """One kernel slides over one channel, as the formula says."""
    return {
        "a kernel of one pixel": student.conv2d(rng.normal(size=(1, 1, 2, 2)), rng.normal(size=(1, 1, 1, 1))),
        "a kernel of 2 × 2": student.conv2d(rng.normal(size=(1, 1, 3, 4)), rng.normal(size=(1, 1, 2, 2))),
        "a kernel of 3 × 3": student.conv2d(rng.normal(size=(1, 1, 5, 4)), rng.normal(size=(1, 1, 3, 3))),
    }


@check("conv2d", points=3, hint="For one number of one map: over which of the four axes of w does the sum run?")
def many_channels_and_kernels(student, rng):
    """All input channels are summed, each with its own slice of the kernel; each kernel makes one map."""
    return {
        "two channels": student.conv2d(rng.normal(size=(1, 2, 2, 2)), rng.normal(size=(1, 2, 2, 2))),
        "two pictures, three channels, four kernels": student.conv2d(
            rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(4, 3, 2, 2))
        ),
    }


@check("conv2d", points=2, hint="How far does the window jump, and along which axes?")
def windows_jump_by_the_stride(student, rng):
    """The stride counts along rows and columns; places over the end are left out."""
    x, w = rng.normal(size=(1, 2, 6, 7)), _symmetric(rng, 2, 2, 3, 2)
    return {f"stride {stride}": student.conv2d(x, w, None, stride) for stride in (2, 3)}


@check("conv2d", points=2, hint="When does the frame come on: before the kernel looks, or afterwards?")
def zeros_around_the_picture(student, rng):
    """Padding puts zeros around the picture, before the kernel looks at it."""
    x, w = rng.normal(size=(2, 2, 4, 3)), _symmetric(rng, 2, 2, 3, 3)
    return {
        "padding 1": student.conv2d(x, w, padding=1),
        "padding 2, stride 2": student.conv2d(x, w, stride=2, padding=2),
    }


@check("conv2d", points=1, hint="There is one bias for each kernel: which axis is that?")
def every_map_has_its_bias(student, rng):
    """Each map has its own bias, also where there are as many maps as columns, and at the border."""
    x, w, b = rng.normal(size=(2, 1, 3, 3)), _symmetric(rng, 3, 1, 3, 3), rng.normal(size=3)
    return student.conv2d(x, w, b, padding=1)


@check("conv2d", points=1, hint="w has the shape (O, C, kh, kw): which is the height?")
def kernels_that_are_not_square(student, rng):
    """A kernel may be wider than high, or higher than wide."""
    x = rng.normal(size=(1, 2, 5, 5))
    return {
        "1 × 3": student.conv2d(x, rng.normal(size=(2, 2, 1, 3))),
        "4 × 2": student.conv2d(x, rng.normal(size=(2, 2, 4, 2))),
    }


@check("conv2d", points=1, hint="Which step of yours turns float32 into float64?")
def convolution_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    x, w, b = rng.normal(size=(1, 2, 3, 3)), _symmetric(rng, 2, 2, 2, 2), rng.normal(size=2)
    return student.conv2d(single(x), single(w), single(b), padding=1)


@check("conv2d_fast", points=3, hint="Write down the shape of the table of windows. Over which axes runs the sum?")
def the_fast_way_gives_the_same(student, rng):
    """Many channels, many kernels, with and without a bias: the same numbers as the formula."""
    x, w = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(4, 3, 3, 2))
    return {
        "one channel": student.conv2d_fast(rng.normal(size=(1, 1, 3, 3)), rng.normal(size=(1, 1, 2, 2))),
        "many": student.conv2d_fast(x, w),
        "with a bias": student.conv2d_fast(x, w, rng.normal(size=4)),
    }


@check("conv2d_fast", points=2, hint="Which windows are left with a stride, and when does the frame come on?")
def the_fast_way_with_stride_and_padding(student, rng):
    """Stride and padding do what they do in conv2d."""
    x, w = rng.normal(size=(2, 2, 5, 6)), _symmetric(rng, 3, 2, 3, 3)
    return {
        "stride 2": student.conv2d_fast(x, w, None, 2),
        "padding 1": student.conv2d_fast(x, w, padding=1),
        "stride 3, padding 2": student.conv2d_fast(x, w, stride=3, padding=2),
    }


@check("conv2d_fast", points=2, cost=14, hint="Let one product do all places at once.")
def no_loop_over_the_pixels(student, rng):
    """A large picture takes hardly more lines of Python than a small one."""
    return student.conv2d_fast(rng.normal(size=(2, 3, 22, 200)), rng.normal(size=(4, 3, 3, 3)), padding=1)


@check("conv2d_fast", points=1, hint="Which step of yours turns float32 into float64?")
def the_fast_way_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    x, w, b = rng.normal(size=(1, 2, 3, 3)), _symmetric(rng, 2, 2, 2, 2), rng.normal(size=2)
    return student.conv2d_fast(single(x), single(w), single(b), padding=1)


# --- conv2d_backward ---


def _backward(student, rng, part, stride=1, padding=0, size=(4, 5)):
    """One of the three gradients, for two pictures of two channels and three kernels of 3 × 2."""
    height, width = ((n + 2 * padding - k) // stride + 1 for n, k in zip(size, (3, 2), strict=True))
    dy = rng.normal(size=(2, 3, height, width))
    x, w = rng.normal(size=(2, 2, *size)), rng.normal(size=(3, 2, 3, 2))
    return student.conv2d_backward(dy, x, w, stride, padding)[part]


@check("conv2d_backward", points=1, hint="How many numbers of y does one bias take part in?")
def gradient_for_the_biases(student, rng):
    """A bias collects the gradients of its whole map, from all pictures."""
    one = student.conv2d_backward(rng.normal(size=(1, 1, 2, 2)), rng.normal(size=(1, 1, 2, 2)), np.ones((1, 1, 1, 1)))
    return {"one map": one[2], "two pictures, three maps": _backward(student, rng, 2)}


@check("conv2d_backward", points=3, hint="A shared weight meets one pixel at each place: collect all those meetings.")
def gradient_for_the_kernels(student, rng):
    """A weight collects from every place of every picture."""
    dy, x = rng.normal(size=(1, 1, 2, 2)), rng.normal(size=(1, 1, 3, 3))
    return {
        "one channel, one kernel": student.conv2d_backward(dy, x, rng.normal(size=(1, 1, 2, 2)))[1],
        "two pictures, two channels, three kernels": _backward(student, rng, 1),
    }


@check("conv2d_backward", points=3, hint="Which windows was this pixel in, and under which weight did it lie there?")
def gradient_for_the_pictures(student, rng):
    """A pixel collects from every window that it was in, and from all kernels."""
    dy, w = rng.normal(size=(1, 1, 2, 2)), rng.normal(size=(1, 1, 2, 2))
    return {
        "one channel, one kernel": student.conv2d_backward(dy, rng.normal(size=(1, 1, 3, 3)), w)[0],
        "two pictures, two channels, three kernels": _backward(student, rng, 0),
    }


@check(
    "conv2d_backward",
    points=2,
    hint="The windows lie where they lay. And who asked for the frame?",
)
def backward_with_stride_and_padding(student, rng):
    """Stride and padding: the windows lie where they lay in the forward pass, and the frame's gradient is dropped."""
    return {
        f"stride {stride}, padding {padding}: {name}": _backward(student, rng, part, stride, padding)
        for stride, padding in ((1, 1), (2, 0), (2, 2))
        for part, name in enumerate(("dx", "dw"))
    }


@check("conv2d_backward", points=1, hint="Which shape has dx, and what is the gradient of a pixel that nobody saw?")
def pixels_in_no_window(student, rng):
    """Rows and columns that no window reached have gradient 0."""
    return _backward(student, rng, 0, stride=3, size=(5, 7))


@check("conv2d_backward", points=1, hint="Which step of yours turns float32 into float64?")
def backward_keeps_single_precision(student, rng):
    """float32 in, float32 out: all three gradients."""
    dy, x, w = (single(rng.normal(size=shape)) for shape in ((1, 2, 3, 3), (1, 1, 3, 3), (2, 1, 3, 3)))
    return student.conv2d_backward(dy, x, w, padding=1)


# --- max_pool2d ---


@check("max_pool2d", points=2, hint="Windows lie side by side. What happens to a row that is left over?")
def the_largest_of_each_window(student, rng):
    """The largest pixel of each window of each channel; what is left over at the end is dropped."""
    return {
        "one window": student.max_pool2d(rng.normal(size=(1, 1, 2, 2)), 2),
        "two pictures, three channels": student.max_pool2d(rng.normal(size=(2, 3, 4, 6)), 2),
        "left-over rows and columns": student.max_pool2d(rng.normal(size=(1, 2, 7, 8)), 3),
    }


@check("max_pool2d", points=1, hint="How far apart do the windows begin?")
def windows_that_overlap_or_leave_gaps(student, rng):
    """The stride may be smaller or larger than the window."""
    x = rng.normal(size=(1, 2, 7, 8))
    return {
        "windows of 3, stride 2": student.max_pool2d(x, 3, stride=2),
        "windows of 2, stride 1": student.max_pool2d(x, 2, 1),
        "windows of 2, stride 3": student.max_pool2d(x, 2, 3),
    }


@check("max_pool2d", points=1, hint="With which value does a place of the frame never win?")
def the_frame_never_wins(student, rng):
    """Padding is no pixel: where all pixels are negative, one of them wins all the same."""
    x = -1 - rng.random(size=(1, 2, 4, 5))
    return {
        "windows of 2, padding 1": student.max_pool2d(x, 2, padding=1),
        "windows of 3, stride 2, padding 1": student.max_pool2d(x, 3, stride=2, padding=1),
        "values below -1000": student.max_pool2d(1e6 * x, 3, stride=1, padding=1),
    }


@check("max_pool2d", points=1, hint="Which step of yours turns float32 into float64?")
def max_pooling_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    return student.max_pool2d(single(rng.normal(size=(1, 2, 4, 4))), 2, padding=1)


# --- max_pool2d_backward ---


@check("max_pool2d_backward", points=2, hint="Whose change would have changed the maximum?")
def the_winner_gets_the_gradient(student, rng):
    """The largest pixel of each window gets the whole gradient, the others nothing."""
    return {
        "one window": student.max_pool2d_backward(rng.normal(size=(1, 1, 1, 1)), rng.normal(size=(1, 1, 2, 2)), 2),
        "two pictures, three channels, a column left over": student.max_pool2d_backward(
            rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(2, 3, 4, 5)), 2
        ),
    }


@check("max_pool2d_backward", points=1, hint="All of the gradient goes to one pixel: read on which one.")
def ties_go_to_the_first(student, rng):
    """Among equally large pixels the first, in reading order, gets the whole gradient."""
    x = np.array([[[[0, 3, 3, 1], [3, 3, 2, 3], [5, 5, 4, 4], [5, 5, 4, 4]]]], dtype=float)
    return {
        "blank paper": student.max_pool2d_backward(rng.normal(size=(1, 1, 1, 1)), np.zeros((1, 1, 3, 3)), 3),
        "some ties": student.max_pool2d_backward(rng.normal(size=(1, 1, 2, 2)), x, 2),
    }


@check("max_pool2d_backward", points=1, hint="A pixel can win twice.")
def winners_of_several_windows(student, rng):
    """A pixel that wins in several overlapping windows gets the sum."""
    x = rng.normal(size=(2, 2, 5, 5))
    x[:, :, 2, 2] += 9
    return {
        "windows of 3, stride 1": student.max_pool2d_backward(rng.normal(size=(2, 2, 3, 3)), x, 3, stride=1),
        "windows of 3, stride 2": student.max_pool2d_backward(rng.normal(size=(2, 2, 2, 2)), x, 3, stride=2),
    }


@check("max_pool2d_backward", points=1, hint="The gradient is for x, without its frame, in its dtype. Who can win?")
def max_backward_with_padding(student, rng):
    """With padding, dx has the shape of x, the frame wins nothing, and float32 stays float32."""
    x = single(-1 - rng.random(size=(1, 2, 4, 3)))
    return student.max_pool2d_backward(single(rng.normal(size=(1, 2, 3, 2))), x, 2, padding=1)


# --- avg_pool2d ---


@check("avg_pool2d", points=1, hint="Add up the pixels of the window. Divide by what?")
def the_mean_of_each_window(student, rng):
    """The mean of each window of each channel."""
    return {
        "one window": student.avg_pool2d(rng.normal(size=(1, 1, 2, 2)), 2),
        "two pictures, three channels": student.avg_pool2d(rng.normal(size=(2, 3, 4, 6)), 2),
    }


@check("avg_pool2d", points=1, hint="How far apart do the windows begin, and what happens to a row that is left over?")
def means_of_windows_with_a_stride(student, rng):
    """The stride may be smaller or larger than the window; what is left over is dropped."""
    x = rng.normal(size=(1, 2, 7, 8))
    return {
        "windows of 3": student.avg_pool2d(x, 3),
        "windows of 3, stride 2": student.avg_pool2d(x, 3, stride=2),
        "windows of 2, stride 3": student.avg_pool2d(x, 2, 3),
    }


@check("avg_pool2d", points=1, hint="How many *pixels* does a window at the corner hold?")
def the_frame_does_not_count(student, rng):
    """A window that sticks out has the mean of the pixels that it holds."""
    return {
        "white paper": student.avg_pool2d(np.ones((1, 1, 3, 3)), 3, stride=1, padding=1),
        "windows of 2, padding 1": student.avg_pool2d(rng.normal(size=(2, 2, 4, 3)), 2, padding=1),
        "windows of 3, stride 2, padding 1": student.avg_pool2d(rng.normal(size=(1, 2, 5, 6)), 3, 2, 1),
    }


@check("avg_pool2d", points=1, hint="Which step of yours turns float32 into float64?")
def average_pooling_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    return student.avg_pool2d(single(rng.normal(size=(1, 2, 4, 4))), 2, padding=1)


# --- avg_pool2d_backward ---


@check("avg_pool2d_backward", points=1, hint="If one of four pixels rises by 4, by how much does their mean rise?")
def everyone_gets_a_share(student, rng):
    """The gradient of a window is shared equally by its pixels; a left-over column gets nothing."""
    return {
        "one window": student.avg_pool2d_backward(rng.normal(size=(1, 1, 1, 1)), (1, 1, 2, 2), 2),
        "two pictures, three channels, a column left over": student.avg_pool2d_backward(
            rng.normal(size=(2, 3, 2, 2)), (2, 3, 4, 5), 2
        ),
    }


@check("avg_pool2d_backward", points=1, hint="A pixel can be in several windows.")
def shares_of_overlapping_windows_add_up(student, rng):
    """A pixel in several windows gets the sum of its shares, a pixel in none gets 0."""
    return {
        "windows of 3, stride 1": student.avg_pool2d_backward(rng.normal(size=(1, 2, 2, 3)), (1, 2, 4, 5), 3, 1),
        "windows of 2, stride 3": student.avg_pool2d_backward(rng.normal(size=(1, 2, 2, 2)), (1, 2, 6, 5), 2, 3),
    }


@check("avg_pool2d_backward", points=1, hint="By what did the forward pass divide at the border?")
def shares_at_the_border(student, rng):
    """The frame gets no share, so the pixels at the border get larger ones."""
    return {
        "windows of 2, padding 1": student.avg_pool2d_backward(rng.normal(size=(2, 1, 3, 2)), (2, 1, 4, 3), 2, None, 1),
        "windows of 3, stride 2, padding 1": student.avg_pool2d_backward(
            rng.normal(size=(1, 2, 3, 2)), (1, 2, 5, 4), 3, stride=2, padding=1
        ),
    }


@check("avg_pool2d_backward", points=1, hint="Where do you create an array without saying its dtype?")
def average_backward_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    return student.avg_pool2d_backward(single(rng.normal(size=(1, 1, 2, 2))), (1, 1, 4, 4), 2)


# --- receptive_field ---


@check("receptive_field", points=1, hint="What does a neuron see that is the picture's own pixel?")
def no_layer_or_one(student, rng):
    """Without a layer it is one pixel; one layer sees its kernel, whatever the stride."""
    stacks = [[], [(1, 1, 1)], [(3, 1, 1)], [(7, 1, 1)], [(5, 2, 1)], [(2, 4, 1)]]
    return {f"layers {stack}": student.receptive_field(stack) for stack in stacks}


@check("receptive_field", points=1, hint="Draw two layers of 3 on paper: how much further does the second see?")
def layers_without_stride(student, rng):
    """Layers without a stride: neighbouring neurons share most of what they see."""
    stacks = [[(3, 1, 1)] * 2, [(3, 1, 1)] * 5, [(5, 1, 1), (2, 1, 1), (1, 1, 1), (3, 1, 1)]]
    return {f"layers {stack}": student.receptive_field(stack) for stack in stacks}


@check(
    "receptive_field",
    points=2,
    hint="After two strides of 2, how many pixels apart are two neighbours?",
)
def strides_multiply(student, rng):
    """A stride makes all later layers see in larger steps, and strides multiply."""
    stacks = [
        [(2, 2, 1), (3, 1, 1)],
        [(3, 1, 1), (3, 2, 1)],
        [(3, 2, 1)] * 3,
        [(7, 2, 1), (3, 2, 1), (3, 1, 1), (3, 3, 1), (2, 2, 1), (5, 1, 1)],
    ]
    return {f"layers {stack}": student.receptive_field(stack) for stack in stacks}


@check("receptive_field", points=1, hint="How many pixels does a dilated window span, from its first to its last?")
def dilated_layers(student, rng):
    """A dilated kernel spans more, and in the steps of the layers before it."""
    stacks = [[(3, 1, 2)], [(3, 1, 1), (3, 1, 2), (3, 1, 4)], [(3, 2, 1), (2, 1, 3)], [(1, 1, 5)]]
    return {f"layers {stack}": student.receptive_field(stack) for stack in stacks}


# --- parameter_counts ---

_LAYERS = {
    "2 × 2 pixels, one map": (2, 1, 1, 1),
    "5 × 5 pixels, two channels, three maps": (5, 2, 3, 3),
    "28 × 28 pixels": (28, 1, 32, 5),
    "stride 2 and padding 1": (9, 3, 4, 3, 2, 1),
    "padding 2": (6, 2, 5, 5, 1, 2),
}


def _counts(student, which):
    return {name: student.parameter_counts(*case)[which] for name, case in _LAYERS.items()}


@check("parameter_counts", points=1, hint="How many neurons are there, and what is each of them connected to?")
def a_dense_layer(student, rng):
    """A fully connected layer that gives as many neurons."""
    return _counts(student, 0)


@check("parameter_counts", points=1, hint="As many neurons as before, but each sees less.")
def a_locally_connected_layer(student, rng):
    """A layer of receptive fields without parameter sharing."""
    return _counts(student, 1)


@check("parameter_counts", points=2, hint="Who shares? In the end, does the size of the picture matter?")
def a_convolutional_layer(student, rng):
    """A convolutional layer."""
    return _counts(student, 2)


# --- equivariance_error ---


def _turn(x):
    return np.rot90(x, axes=(2, 3))


def _enlarge(x):
    return x.repeat(2, axis=2).repeat(2, axis=3)


def _slopes(x):
    """Each pixel minus its left neighbour; for the first one, this is the pixel itself."""
    return np.diff(x, axis=3, prepend=0.0)


@check("equivariance_error", points=2, hint="Compute the two orders, then the length of their difference.")
def distance_of_the_two_orders(student, rng):
    """A layer that sees slopes to the left, under a quarter turn, a mirror and an enlargement."""
    x = rng.normal(size=(1, 1, 3, 3))
    return {
        "quarter turn": student.equivariance_error(_slopes, _turn, x),
        "mirror": student.equivariance_error(_slopes, lambda x: x[..., ::-1], rng.normal(size=(2, 3, 2, 4))),
        "enlargement": student.equivariance_error(_slopes, _enlarge, x),
    }


@check("equivariance_error", points=1, hint="Equivariant: the answer moves along. Invariant: the answer stays.")
def layers_that_commute(student, rng):
    """What works pixel by pixel commutes with turns and enlargements: no error."""
    x = rng.normal(size=(2, 1, 3, 3))
    return {
        "square, quarter turn": student.equivariance_error(np.square, _turn, x),
        "absolute value, enlargement": student.equivariance_error(np.abs, _enlarge, x),
        "channels added up, shift": student.equivariance_error(
            lambda x: x.sum(axis=1, keepdims=True), lambda x: np.roll(x, 1, axis=3), rng.normal(size=(1, 3, 2, 4))
        ),
    }


@check("equivariance_error", points=1, hint="Brighter pictures: what becomes of the difference, and of the lengths?")
def brightness_does_not_matter(student, rng):
    """Pictures that are a thousand times as bright have the same error, and where nothing is common it is at most 1."""
    x = rng.normal(size=(1, 2, 3, 3))
    return {
        "as it is": student.equivariance_error(_slopes, _turn, x),
        "1000 times as bright": student.equivariance_error(_slopes, _turn, 1000 * x),
        "opposite answers": student.equivariance_error(lambda x: x * 0 + 2, lambda x: -x, x),
    }


@check("equivariance_error", points=1, hint="Which rows and columns are left, of which two maps? And with border = 0?")
def the_border_is_left_out(student, rng):
    """The border of both maps is left out before anything is compared."""
    x = rng.normal(size=(1, 2, 6, 7))

    def shift(x):
        return np.roll(x, 1, axis=3)

    return {
        f"{name}, border {border}": student.equivariance_error(_slopes, transform, x, border)
        for name, transform in (("shift", shift), ("enlargement", _enlarge))
        for border in (0, 1, 2)
    }


@check("equivariance_error", points=1, hint="What is 0 / 0, and what should it be here?")
def two_empty_maps_agree(student, rng):
    """Where both orders give 0 everywhere, the error is 0; where only one does, it is 1."""
    x = np.ones((1, 1, 3, 3))
    corner = np.zeros((1, 1, 3, 3))
    corner[0, 0, 0, 0] = 1
    return {
        "blank paper": student.equivariance_error(_slopes, _turn, 0 * x),
        "light at the border only": student.equivariance_error(lambda x: x * corner, _turn, x, 1),
        "only one order gives light": student.equivariance_error(lambda x: x * corner, lambda x: x * (1 - corner), x),
    }


# --- affine_grid ---


def _identity(count=1):
    return torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]).repeat(count, 1, 1)


@check("affine_grid", points=1, hint="Where are the centres of two pixels between the edges -1 and 1?")
def the_identity_looks_at_each_pixel(student, rng):
    """The identity looks at the centre of each pixel, column coordinate first."""
    return {
        "one pixel": student.affine_grid(_identity(), 1, 1),
        "2 × 2": student.affine_grid(_identity(), 2, 2),
        "2 × 5, two pictures": student.affine_grid(_identity(2), 2, 5),
    }


@check("affine_grid", points=2, hint="theta times (x, y, 1): which row of theta makes which coordinate?")
def every_picture_has_its_transformation(student, rng):
    """Each picture's grid is its theta times the target coordinates."""
    return {
        "moved": student.affine_grid(torch.tensor([[[1.0, 0, 0.5], [0, 1, -0.25]]]), 2, 2),
        "turned": student.affine_grid(torch.tensor([[[0.0, -1, 0], [1, 0, 0]]]), 2, 3),
        "three pictures": student.affine_grid(tensor(rng, 3, 2, 3), 3, 4),
    }


@check("affine_grid", points=1, hint="Does anything on the way leave the graph?")
def gradients_flow_to_theta(student, rng):
    """Gradients flow from the grid to theta."""
    theta = tensor(rng, 2, 2, 3).requires_grad_()
    (student.affine_grid(theta, 3, 2) * tensor(rng, 2, 3, 2, 2)).sum().backward()
    return theta.grad


@check("affine_grid", points=1, hint="In which dtype do you make the target coordinates?")
def the_grid_has_the_dtype_of_theta(student, rng):
    """A float64 theta makes a float64 grid."""
    return student.affine_grid(torch.from_numpy(rng.normal(size=(1, 2, 3))), 2, 3)


# --- grid_sample ---


def _grid(rng, *shape, reach):
    """Places to look at, of shape (*shape, 2), up to `reach` from the middle: 1 is the edge."""
    return torch.from_numpy(single(rng.uniform(-reach, reach, size=(*shape, 2))))


@check("grid_sample", points=2, hint="Which four pixels are nearest, and how large is the share of each?")
def between_the_pixels(student, rng):
    """Between pixels, the four nearest are mixed by their nearness."""
    return {
        "the middle of 2 × 2 pixels": student.grid_sample(tensor(rng, 1, 1, 2, 2), torch.zeros(1, 1, 1, 2)),
        "inside 4 × 4 pixels": student.grid_sample(tensor(rng, 1, 1, 4, 4), _grid(rng, 1, 2, 3, reach=0.7)),
        "inside 3 × 6 pixels": student.grid_sample(tensor(rng, 1, 1, 3, 6), _grid(rng, 1, 3, 3, reach=0.6)),
    }


@check("grid_sample", points=1, hint="Where does the first pixel begin, where is its centre, and where does it end?")
def at_the_centres_of_pixels(student, rng):
    """At the centre of a pixel you see that pixel."""
    grid = torch.tensor([[-0.75, -0.5], [0.75, -0.5], [0.25, 0.5], [-0.25, 0.5]]).reshape(1, 2, 2, 2)
    return student.grid_sample(tensor(rng, 1, 2, 2, 4), grid)


@check("grid_sample", points=2, hint="Ask each of the four pixels on its own: is it in the picture?")
def outside_is_nothing(student, rng):
    """Pixels outside of the picture count as 0, each of the four on its own."""
    edges = torch.tensor([[-1.0, 0.1], [1.0, 0.1], [0.1, -1.1], [0.1, 1.1], [1.2, 1.2], [-1.1, -1.1]])
    far = torch.tensor([[-1.6, 0.0], [0.0, 2.5], [-5.0, -5.0], [300.0, -0.2], [0.2, -1e6]])
    x = 3 + tensor(rng, 1, 1, 3, 3)
    return {
        "at the edges": student.grid_sample(x, edges.reshape(1, 2, 3, 2)),
        "far away": student.grid_sample(x, far.reshape(1, 1, 5, 2)),
    }


@check("grid_sample", points=1, hint="Each picture has its own grid, and all its channels use it.")
def pictures_and_channels(student, rng):
    """Each picture is read with its own grid, in all its channels, in its dtype."""
    x, grid = tensor(rng, 3, 2, 4, 5), _grid(rng, 3, 2, 2, reach=1.2)
    return {
        "float32": student.grid_sample(x, grid),
        "float64": student.grid_sample(x.double(), grid.double()),
    }


@check("grid_sample", points=1, hint="Through which numbers does the result depend on the grid?")
def gradients_flow_to_picture_and_grid(student, rng):
    """Gradients flow to the pictures and, through the shares, to the grid."""
    x, grid = tensor(rng, 2, 2, 4, 4).requires_grad_(), _grid(rng, 2, 3, 2, reach=1.1).requires_grad_()
    (student.grid_sample(x, grid) * tensor(rng, 2, 2, 3, 2)).sum().backward()
    return {"pictures": x.grad, "grid": grid.grad}


@check("grid_sample", points=1, hint="Read the lesson again: which two pixels does a source on a centre look at?")
def there_is_a_slope_at_the_centres(student, rng):
    """At the centre of a pixel, the slope is the one to the right and downwards."""
    grid = torch.tensor([[-0.75, -0.25], [-0.25, 0.25], [0.25, -0.75]]).reshape(1, 1, 3, 2).requires_grad_()
    (student.grid_sample(tensor(rng, 1, 1, 4, 4), grid) * tensor(rng, 1, 1, 1, 3)).sum().backward()
    return grid.grad


# --- SpatialTransformer ---


class _Glance(nn.Module):
    """A localization network: four fixed numbers of each picture, times a weight that can be trained."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def forward(self, x):
        return self.scale * torch.stack([x[:, 0, 0, 0], x[:, 0, -1, -1], x.mean(dim=(1, 2, 3)), x[:, -1, 1, 0]], dim=1)


def _trained(student, rng):
    """A layer as after some training: theta depends on the picture."""
    layer = student.SpatialTransformer(_Glance(), 4)
    with torch.no_grad():
        layer.head.weight.copy_(0.3 * tensor(rng, 6, 4))
        layer.head.bias.copy_(torch.tensor([0.9, 0.2, 0.1, -0.3, 1.1, 0.05]))
    return layer


@check("SpatialTransformer", points=2, hint="Which theta leaves a picture alone, and how does the layer come by it?")
def a_new_layer_changes_nothing(student, rng):
    """A new layer leaves every picture as it is, whatever the localization network says."""
    return {
        "one picture": student.SpatialTransformer(_Glance(), 4)(tensor(rng, 1, 1, 4, 4)),
        "three pictures of two channels": student.SpatialTransformer(_Glance(), 4)(tensor(rng, 3, 2, 4, 8)),
    }


@check("SpatialTransformer", points=1, hint="What has to be trained, and under which names?")
def what_the_layer_trains(student, rng):
    """The parameters are those of the localization network and of the head, which starts as described."""
    layer = student.SpatialTransformer(_Glance(), 4)
    return {name: [value, value.requires_grad] for name, value in sorted(layer.named_parameters())}


@check("SpatialTransformer", points=2, hint="Six numbers for each picture: how do they become a matrix of 2 rows?")
def every_picture_is_transformed_on_its_own(student, rng):
    """Each picture is transformed by the theta that comes from that picture."""
    layer = _trained(student, rng)
    return {"one picture": layer(tensor(rng, 1, 1, 3, 4)), "three pictures": layer(tensor(rng, 3, 2, 4, 5))}


@check("SpatialTransformer", points=1, hint="From the loss back to theta and on: where does your road end?")
def the_layer_learns(student, rng):
    """Gradients flow to the picture, the head and the localization network."""
    layer, x = _trained(student, rng), tensor(rng, 2, 1, 4, 5).requires_grad_()
    (layer(x) * tensor(rng, 2, 1, 4, 5)).sum().backward()
    return {"pictures": x.grad, **{name: value.grad for name, value in sorted(layer.named_parameters())}}


# --- ConvNet ---

# The examination is made in answers.py, where the labels of its hidden images stay.


def _tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


def _logits_and_classes(observed):
    """Facts about the logits of six images and the classes that were predicted for them."""
    logits, classes = (np.asarray(observed[name]) for name in ("logits", "classes"))
    rows = logits.astype(float)
    return {
        "shape of the logits": list(logits.shape),
        "the logits are probabilities": bool(rows.min() >= 0 and np.allclose(rows.sum(axis=1), 1, atol=1e-3)),
        "shape of the classes": list(classes.shape),
        "the classes are whole numbers": classes.dtype.kind == "i",
        "the largest logit decides": bool(classes.shape == (len(rows),) and (classes == rows.argmax(axis=1)).all()),
    }


@check(
    "ConvNet",
    points=1,
    seconds=30,
    given="examination",
    after=_logits_and_classes,
    hint="What does cross-entropy expect of a network's output, and what is asked of predict?",
)
def logits_and_classes(student, rng, images, labels, hidden):
    """forward gives ten logits for each image, and predict the class of the largest."""
    images, labels = _tensors(images[:32], labels[:32])
    network = student.ConvNet()
    network.fit(images, labels)
    classes = network.predict(images[:6])
    network.eval()
    with torch.no_grad():
        return {"logits": network(images[:6]), "classes": classes}


def _kernels_and_size(shapes):
    """Whether there is a convolution, and whether the network is small enough."""
    return {
        "a kernel larger than one pixel": any(len(shape) == 4 and np.prod(shape[2:]) > 1 for shape in shapes),
        "at most 200,000 parameters": sum(int(np.prod(shape)) for shape in shapes) <= 200_000,
    }


@check(
    "ConvNet",
    points=1,
    given="examination",
    after=_kernels_and_size,
    hint="Which of your layers looks at small windows and shares its weights?",
)
def it_is_a_small_convolutional_network(student, rng, images, labels, hidden):
    """The network has a convolutional layer, and at most 200,000 parameters."""
    network = student.ConvNet()
    network(torch.from_numpy(images[:4]))
    return [list(parameter.shape) for parameter in network.parameters()]


def _steady(observed):
    """Whether the classes are the same when asked again, and when asked one by one."""
    first, again, alone = (np.asarray(observed[name]).ravel().tolist() for name in ("first", "again", "alone"))
    return {"asked again": first == again, "one by one": first == alone}


@check(
    "ConvNet",
    points=2,
    seconds=30,
    given="examination",
    after=_steady,
    hint="Some layers behave differently while a network is trained. Who tells them that the training is over?",
)
def predictions_are_steady(student, rng, images, labels, hidden):
    """The class of an image depends neither on chance nor on the images beside it."""
    images, labels, some = _tensors(images[:64], labels[:64], hidden[:100])
    network = student.ConvNet()
    network.fit(images, labels)
    return {
        "first": network.predict(some),
        "again": network.predict(some),
        "alone": [network.predict(some[number : number + 1]) for number in range(len(some))],
    }


@check(
    "ConvNet",
    points=5,
    seconds=60,
    given="examination",
    after="share_right",
    compare=at_least(0.97),
    hint="Watch the accuracy on images that you hold back: is it training that fails, or generalization?",
)
def hidden_images_are_told_apart(student, rng, images, labels, hidden):
    """Trained on 1200 images, the network is right on 97 % of 597 others, and its kernels have a share in that."""
    images, labels, hidden = _tensors(images, labels, hidden)
    network = student.ConvNet()
    network.fit(images, labels)
    classes = network.predict(hidden)
    network.eval()
    with torch.no_grad():
        logits = network(hidden[:6])
        for parameter in network.parameters():
            if parameter.dim() == 4 and parameter[0, 0].numel() > 1:
                parameter.add_(torch.randn_like(parameter))
        return {"classes": classes, "logits": logits, "logits with other kernels": network(hidden[:6])}


# --- convolution_matrix (bonus) ---


@check("convolution_matrix", points=2, hint="Write down which pixels one neuron sees, as one row of the matrix.")
def the_matrix_of_one_kernel(student, rng):
    """One kernel on one channel: each row holds the kernel's weights at its place."""
    return {
        "a row of pixels": student.convolution_matrix(rng.normal(size=(1, 1, 1, 2)), 1, 3),
        "a kernel of 2 × 2": student.convolution_matrix(rng.normal(size=(1, 1, 2, 2)), 3, 4),
    }


@check("convolution_matrix", points=2, hint="In which order are pixels and neurons numbered?")
def the_blocks_of_channels(student, rng):
    """Channels are blocks: of rows for the kernels, of columns for the input channels."""
    return student.convolution_matrix(rng.normal(size=(3, 2, 2, 2)), 3, 3)


@check("convolution_matrix", points=1, hint="Which windows are there, and which of their weights meet no pixel?")
def the_matrix_with_stride_and_padding(student, rng):
    """Stride leaves out rows; the frame has no columns."""
    w = rng.normal(size=(2, 1, 3, 3))
    return {
        "stride 2": student.convolution_matrix(w, 5, 4, stride=2),
        "padding 1": student.convolution_matrix(w, 2, 3, padding=1),
        "stride 2, padding 2": student.convolution_matrix(w, 3, 4, 2, 2),
    }


@check("convolution_matrix", points=1, hint="Where do you create an array without saying its dtype?")
def the_matrix_keeps_single_precision(student, rng):
    """A float32 kernel makes a float32 matrix."""
    return student.convolution_matrix(single(rng.normal(size=(1, 1, 2, 2))), 2, 3)
