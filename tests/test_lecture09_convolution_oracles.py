"""The references of lecture 9 against independent oracles: torch, SciPy, finite differences, brute force."""

import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from solutions import lecture09_convolution as lecture

ANSWERS = Path(__file__).parent / "hidden" / "lecture09_convolution" / "answers.py"
SEEDS = range(5)
# (kernel height, kernel width, stride, padding)
SHAPES = [(1, 1, 1, 0), (3, 2, 1, 0), (3, 3, 2, 1), (2, 4, 3, 2), (5, 3, 1, 2)]


def assert_close(got, expected):
    """Arrays or tensors of one shape, equal to 1e-6."""
    got, expected = (np.asarray(x.detach() if isinstance(x, torch.Tensor) else x) for x in (got, expected))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 17])
def test_output_size_is_the_number_of_windows_by_brute_force(size):
    for kernel, stride, padding, dilation in itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (1, 2, 3)):
        places = 0
        for start in range(0, size + 2 * padding, stride):
            places += start + dilation * (kernel - 1) < size + 2 * padding
        if places:
            assert lecture.conv_output_size(size, kernel, stride, padding, dilation) == places
        else:
            with pytest.raises(ValueError, match="does not fit"):
                lecture.conv_output_size(size, kernel, stride, padding, dilation)


def test_pad2d_equals_torch(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    for padding, value in ((0, 0.0), (1, 0.0), (2, 3.5), (1, -math.inf)):
        assert_close(lecture.pad2d(x, padding, value), F.pad(tensor(x), (padding,) * 4, value=value))


@pytest.mark.parametrize("convolution", [lecture.conv2d, lecture.conv2d_fast])
@pytest.mark.parametrize(("kh", "kw", "stride", "padding"), SHAPES)
def test_convolution_equals_torch(convolution, kh, kw, stride, padding, rng):
    x, w, b = rng.normal(size=(2, 3, 7, 8)), rng.normal(size=(4, 3, kh, kw)), rng.normal(size=4)
    expected = F.conv2d(tensor(x), tensor(w), tensor(b), stride, padding)
    assert_close(convolution(x, w, b, stride, padding), expected)
    assert_close(convolution(x, w, None, stride, padding), expected - tensor(b)[:, None, None])
    assert convolution(x.astype(np.float32), w.astype(np.float32), None, stride, padding).dtype == np.float32


@pytest.mark.parametrize("convolution", [lecture.conv2d, lecture.conv2d_fast])
def test_convolution_equals_scipy_s_cross_correlation(convolution, rng):
    x, w = rng.normal(size=(1, 2, 6, 5)), rng.normal(size=(1, 2, 3, 2))
    expected = sum(scipy.signal.correlate2d(x[0, c], w[0, c], mode="valid") for c in range(2))
    assert_close(convolution(x, w)[0, 0], expected)


@pytest.mark.parametrize(("kh", "kw", "stride", "padding"), SHAPES)
def test_conv2d_backward_equals_autograd(kh, kw, stride, padding, rng):
    x, w, b = (
        torch.from_numpy(rng.normal(size=shape)).requires_grad_() for shape in ((2, 3, 7, 8), (4, 3, kh, kw), (4,))
    )
    y = F.conv2d(x, w, b, stride, padding)
    dy = rng.normal(size=y.shape)
    got = lecture.conv2d_backward(dy, x.detach().numpy(), w.detach().numpy(), stride, padding)
    for mine, theirs in zip(got, torch.autograd.grad(y, (x, w, b), tensor(dy)), strict=True):
        assert_close(mine, theirs)


POOLS = [(2, None, 0), (3, None, 1), (3, 2, 1), (2, 1, 1), (2, 3, 0), (4, 2, 2)]


@pytest.mark.parametrize(("kernel", "stride", "padding"), POOLS)
@pytest.mark.parametrize("ties", [False, True])
def test_max_pooling_and_its_gradient_equal_torch(kernel, stride, padding, ties, rng):
    x = rng.integers(-3, 3, size=(2, 3, 8, 7)).astype(float) if ties else rng.normal(-3, 1, size=(2, 3, 8, 7))
    leaf = tensor(x).requires_grad_()
    y = F.max_pool2d(leaf, kernel, stride, padding)
    dy = rng.normal(size=y.shape)
    assert_close(lecture.max_pool2d(x, kernel, stride, padding), y)
    (expected,) = torch.autograd.grad(y, leaf, tensor(dy))
    assert_close(lecture.max_pool2d_backward(dy, x, kernel, stride, padding), expected)


def test_max_pooling_equals_scipy_s_maximum_filter(rng):
    x = rng.normal(size=(1, 1, 7, 9))
    expected = scipy.ndimage.maximum_filter(x[0, 0], size=3)[1:-1, 1:-1][::2, ::2]
    assert_close(lecture.max_pool2d(x, 3, 2)[0, 0], expected)


@pytest.mark.parametrize(("kernel", "stride", "padding"), POOLS)
def test_average_pooling_and_its_gradient_equal_torch(kernel, stride, padding, rng):
    x = rng.normal(size=(2, 3, 8, 7))
    leaf = tensor(x).requires_grad_()
    y = F.avg_pool2d(leaf, kernel, stride, padding, count_include_pad=False)
    dy = rng.normal(size=y.shape)
    assert_close(lecture.avg_pool2d(x, kernel, stride, padding), y)
    (expected,) = torch.autograd.grad(y, leaf, tensor(dy))
    assert_close(lecture.avg_pool2d_backward(dy, x.shape, kernel, stride, padding), expected)


def test_receptive_field_equals_the_pixels_that_a_gradient_reaches(rng):
    for _ in range(10):
        layers = [tuple(int(n) for n in rng.integers(1, 4, size=3)) for _ in range(rng.integers(0, 4))]
        x = torch.zeros(1, 1, 400, dtype=torch.float64, requires_grad=True)
        y = x
        for kernel, stride, dilation in layers:
            y = F.conv1d(y, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride, dilation=dilation)
        y[0, 0, y.shape[2] // 2].backward()
        reached = torch.nonzero(x.grad[0, 0])
        assert lecture.receptive_field(layers) == int(reached.max() - reached.min()) + 1


@pytest.mark.parametrize("case", [(6, 1, 1, 3, 1, 0), (6, 2, 3, 3, 1, 1), (7, 3, 2, 2, 3, 0), (5, 1, 4, 5, 2, 2)])
def test_parameter_counts_equal_those_of_torch_s_layers(case):
    size, inputs, outputs, kernel, stride, padding = case
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
    maps = convolution(torch.zeros(1, inputs, size, size))
    dense = nn.Linear(inputs * size * size, maps.numel())
    alone = nn.Linear(inputs * kernel * kernel, 1)
    expected = [sum(p.numel() for p in layer.parameters()) for layer in (dense, alone, convolution)]
    expected[1] *= maps.numel()
    assert list(lecture.parameter_counts(*case)) == expected


def test_a_convolution_commutes_with_shifts_and_not_with_turns(rng):
    x, w = np.zeros((1, 1, 12, 12)), rng.normal(size=(1, 1, 3, 3))
    x[:, :, 4:8, 4:8] = rng.normal(size=(4, 4))

    def layer(x):
        return F.conv2d(tensor(x), tensor(w), padding=1).numpy()

    assert lecture.equivariance_error(layer, lambda x: np.roll(x, (1, -2), axis=(2, 3)), x) < 1e-12
    assert lecture.equivariance_error(layer, lambda x: np.rot90(x, axes=(2, 3)), x) > 0.1
    symmetric = np.ones((1, 1, 3, 3))
    w = symmetric
    assert lecture.equivariance_error(layer, lambda x: np.rot90(x, axes=(2, 3)), x) < 1e-12


def test_equivariance_error_equals_scipy_s_distance_of_vectors(rng):
    x = rng.normal(size=(2, 2, 4, 4))
    mask = rng.normal(size=(2, 2, 4, 4))
    got = lecture.equivariance_error(lambda x: x * mask, lambda x: x[..., ::-1], x, border=1)
    first, last = (x[..., ::-1] * mask)[:, :, 1:3, 1:3].ravel(), (x * mask)[..., ::-1][:, :, 1:3, 1:3].ravel()
    assert_close(got, scipy.spatial.distance.euclidean(first, last) / (math.hypot(*first) + math.hypot(*last)))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (3, 5), (8, 8)])
def test_affine_grid_equals_torch(height, width, rng):
    theta = tensor(rng.normal(size=(3, 2, 3)))
    expected = F.affine_grid(theta, [3, 1, height, width], align_corners=False)
    assert_close(lecture.affine_grid(theta, height, width), expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (3, 5), (8, 8)])
def test_grid_sample_and_its_gradients_equal_torch(height, width, rng):
    x = tensor(rng.normal(size=(2, 3, height, width))).requires_grad_()
    grid = tensor(rng.uniform(-2, 2, size=(2, 4, 5, 2))).requires_grad_()
    got, expected = lecture.grid_sample(x, grid), F.grid_sample(x, grid, align_corners=False)
    assert_close(got, expected)
    dy = tensor(rng.normal(size=got.shape))
    for mine, theirs in zip(*(torch.autograd.grad(y, (x, grid), dy) for y in (got, expected)), strict=True):
        assert_close(mine, theirs)


def test_grid_sample_at_the_centres_of_pixels_has_torch_s_slope(rng):
    x = tensor(rng.normal(size=(1, 2, 8, 4)))
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=torch.float64)
    grids = [F.affine_grid(theta, list(x.shape), align_corners=False).requires_grad_() for _ in range(2)]
    dy = tensor(rng.normal(size=(1, 2, 8, 4)))
    (lecture.grid_sample(x, grids[0]) * dy).sum().backward()
    (F.grid_sample(x, grids[1], align_corners=False) * dy).sum().backward()
    assert_close(grids[0].grad, grids[1].grad)


def test_spatial_transformer_equals_torch_s_functions(rng):
    layer = lecture.SpatialTransformer(nn.Sequential(nn.Flatten(), nn.Linear(24, 5)), features=5).double()
    x = tensor(rng.normal(size=(3, 1, 4, 6)))
    assert_close(layer(x), x)
    nn.init.normal_(layer.head.weight)
    theta = layer.head(layer.localization(x)).reshape(3, 2, 3)
    expected = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    assert_close(layer(x), expected)


def test_a_spatial_transformer_leaves_its_start():
    torch.manual_seed(0)
    layer = lecture.SpatialTransformer(nn.Flatten(), features=64)
    x = torch.rand(4, 1, 8, 8)
    ((layer(x) - x.roll(1, dims=3)) ** 2).sum().backward()
    assert float(layer.head.bias.grad.abs().min()) > 0


@pytest.mark.parametrize(("kh", "kw", "stride", "padding"), SHAPES)
def test_convolution_matrix_equals_torch_s_convolution(kh, kw, stride, padding, rng):
    x, w = rng.normal(size=(2, 7, 6)), rng.normal(size=(3, 2, kh, kw))
    expected = F.conv2d(tensor(x)[None], tensor(w), None, stride, padding)
    assert_close(lecture.convolution_matrix(w, 7, 6, stride, padding) @ x.ravel(), expected.ravel())


def test_convolution_matrix_of_one_row_is_scipy_s(rng):
    w = rng.normal(size=4)
    expected = scipy.linalg.convolution_matrix(w[::-1], 9, mode="valid")
    assert_close(lecture.convolution_matrix(w.reshape(1, 1, 1, 4), 1, 9), expected)


def test_the_hidden_labels_are_those_of_the_hidden_images_whatever_the_noise(rng):
    answers = runpy.run_path(str(ANSWERS))
    images, labels, hidden = answers["examination"](rng)
    assert (images.shape, labels.shape, hidden.shape) == ((1200, 1, 8, 8), (1200,), (597, 1, 8, 8))
    assert images.dtype == hidden.dtype == np.float32
    digits = load_digits()
    originals = digits.images.reshape(-1, 64) / 16
    upright = np.concatenate([images, hidden])[:, 0].transpose(0, 2, 1).reshape(-1, 64)
    found = scipy.spatial.distance.cdist(upright, originals).argmin(axis=1)
    assert len(set(found)) == len(originals)
    shown, _ = lecture.mail(0, 1200)
    assert set(found[:1200]) == set(scipy.spatial.distance.cdist(shown.reshape(-1, 64), originals).argmin(axis=1))
    in_the_order_of_mail = np.random.default_rng(9).permutation(len(originals))[1200:]
    assert np.mean(found[1200:] == in_the_order_of_mail) < 0.05, "The notebook tells where which hidden image is."
    renumbered = (3 * digits.target[found] + 4) % 10
    np.testing.assert_array_equal(renumbered[:1200], labels)

    def share_right(classes, change=1.0):
        logits = np.zeros((6, 10))
        return answers["share_right"](
            {"classes": classes, "logits": logits, "logits with other kernels": logits + change}
        )

    assert share_right(renumbered[1200:]) == 1.0
    assert share_right(renumbered[1200:], change=0.0) == 0.0
    wrong = renumbered[1200:].copy()
    wrong[:60] += 1
    assert share_right(wrong) == 537 / 597
    assert share_right(None) is None


@pytest.mark.slow
def test_the_network_reads_digits_with_ten_seeds():
    digits = load_digits()
    images, labels = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16, torch.tensor(digits.target)
    accuracies = []
    for seed in range(10):
        torch.manual_seed(seed)
        order = torch.randperm(len(images))
        train, test = order[:1200], order[1200:]
        network = lecture.ConvNet()
        network.fit(images[train], labels[train])
        noisy = (images[test] + 0.03 * torch.randn(images[test].shape)).clamp(0, 1)
        accuracies.append(float((network.predict(noisy) == labels[test]).float().mean()))
    assert min(accuracies) >= 0.98, accuracies
