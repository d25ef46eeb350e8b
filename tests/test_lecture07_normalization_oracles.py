"""The references of lecture 7 against independent oracles: torch, scikit-learn, finite differences, closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import approx_fprime
from sklearn.preprocessing import StandardScaler

from solutions import lecture07_normalization as lecture

SEEDS = range(5)


def assert_close(got, expected):
    """Arrays or tensors equal to 1e-6."""
    if isinstance(got, torch.Tensor):
        got = got.detach()
    if isinstance(expected, torch.Tensor):
        expected = expected.detach()
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-6, atol=1e-6)


def tensor(rng, *shape, scale=1.0, shift=0.0):
    return torch.from_numpy(rng.normal(shift, scale, size=shape))


def positive(rng, size):
    return torch.from_numpy(rng.uniform(0.3, 3, size=size))


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


def test_feature_normalize_equals_scikit_learn(rng):
    train, test = rng.normal([1, -50, 3], [0.1, 20, 3], size=(9, 3)), rng.normal(size=(4, 3))
    scaler = StandardScaler().fit(train)
    for got, features in zip(lecture.feature_normalize(train, test), (train, test), strict=True):
        assert_close(got, scaler.transform(features))


@pytest.mark.parametrize("value", [0.0, 7.0, 0.1, -1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_feature_normalize_only_shifts_a_constant_feature(value, dtype):
    train, test = np.full((10, 1), value, dtype), np.array([[value + 2.5]], dtype)
    normalized_train, normalized_test = lecture.feature_normalize(train, test)
    scale = max(1.0, abs(value)) * np.finfo(dtype).eps * 10
    np.testing.assert_allclose(normalized_train, 0, atol=scale)
    np.testing.assert_allclose(normalized_test, 2.5, atol=scale)
    assert normalized_train.dtype == normalized_test.dtype == dtype


def test_smoothness_equals_autograd_s_hessian(rng):
    x, y = rng.normal([1, 0, 4], [1, 3, 2], size=(10, 3)), rng.normal(size=10)

    def condition_number(features):
        features, target = torch.from_numpy(features), torch.from_numpy(y)

        def loss(theta):
            return ((theta[0] + features @ theta[1:] - target) ** 2).mean()

        return np.linalg.cond(torch.autograd.functional.hessian(loss, tensor(rng, 4)).numpy())

    def normalize(features):
        return lecture.feature_normalize(features, features)[0]

    before, after = lecture.smoothness(x, normalize)
    assert_close(before, condition_number(x))
    assert_close(after, condition_number(StandardScaler().fit_transform(x)))
    assert after < before


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.9])
def test_smoothness_of_two_correlated_features_has_a_closed_form(correlation):
    # Normalized features a and b with correlation r: the curvatures are 1 - |r|, 1 (the bias) and 1 + |r|, times 2.
    a, b = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
    x = np.column_stack([a, correlation * a + math.sqrt(1 - correlation**2) * b])
    expected = (1 + abs(correlation)) / (1 - abs(correlation))
    assert_close(lecture.smoothness(x, lambda x: x), (expected, expected))


def test_smoothness_of_a_flat_surface_is_infinite(rng):
    x = rng.normal(size=(6, 1))
    before, after = lecture.smoothness(np.hstack([x, 3 * x]), lambda features: features[:, :1])
    assert before == math.inf
    assert 1 <= after < math.inf


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_batch_norm_forward_equals_torch(rng, eps):
    z, gamma, beta = tensor(rng, 6, 4, scale=3, shift=2), tensor(rng, 4), tensor(rng, 4)
    out, (z_tilde, cached_gamma, sigma) = lecture.batch_norm_forward(z.numpy(), gamma.numpy(), beta.numpy(), eps)
    assert_close(out, F.batch_norm(z, None, None, gamma, beta, training=True, eps=eps))
    assert_close(z_tilde, F.batch_norm(z, None, None, training=True, eps=eps))
    assert_close(sigma**2, z.var(dim=0, correction=0) + eps)
    assert_close(cached_gamma, gamma)


@pytest.mark.parametrize("eps", [1e-5, 0.3])
@pytest.mark.parametrize("m", [2, 7])
def test_batch_norm_backward_equals_autograd(rng, m, eps):
    z, gamma, beta = (tensor(rng, *shape).requires_grad_() for shape in ((m, 3), (3,), (3,)))
    gradient = tensor(rng, m, 3)
    F.batch_norm(z, None, None, gamma, beta, training=True, eps=eps).backward(gradient)
    _, cache = lecture.batch_norm_forward(*(part.detach().numpy() for part in (z, gamma, beta)), eps)
    got = lecture.batch_norm_backward(gradient.numpy(), cache)
    for one, leaf in zip(got, (z, gamma, beta), strict=True):
        assert_close(one, leaf.grad)


def test_batch_norm_backward_equals_finite_differences(rng):
    z, gradient, gamma, beta = rng.normal(size=(5, 2)), rng.normal(size=(5, 2)), rng.normal(size=2), rng.normal(size=2)

    def loss(flat):
        return float((gradient * lecture.batch_norm_forward(flat.reshape(5, 2), gamma, beta)[0]).sum())

    step = 1e-5
    slopes = [(loss(z.ravel() + step * unit) - loss(z.ravel() - step * unit)) / (2 * step) for unit in np.eye(10)]
    d_z = lecture.batch_norm_backward(gradient, lecture.batch_norm_forward(z, gamma, beta)[1])[0]
    assert_close(d_z.ravel(), slopes)
    np.testing.assert_allclose(d_z.ravel(), approx_fprime(z.ravel(), loss), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("momentum", [0.0, 0.1, 0.7, 1.0])
def test_update_running_statistics_equals_torch(rng, momentum):
    mean, variance, z = tensor(rng, 3), positive(rng, 3), tensor(rng, 5, 3, scale=4)
    got = lecture.update_running_statistics(mean.numpy(), variance.numpy(), z.numpy(), momentum)
    expected_mean, expected_variance = mean.clone(), variance.clone()
    F.batch_norm(z, expected_mean, expected_variance, training=True, momentum=momentum)
    assert_close(got[0], expected_mean)
    assert_close(got[1], expected_variance)


LAYERS = [
    (lecture.BatchNorm1d, torch.nn.BatchNorm1d, (6, 3)),
    (lecture.BatchNorm2d, torch.nn.BatchNorm2d, (4, 3, 2, 5)),
    (lecture.BatchNorm2d, torch.nn.BatchNorm2d, (1, 3, 2, 5)),
]


@pytest.mark.parametrize(("ours", "torchs", "shape"), LAYERS)
def test_batch_norm_layers_train_like_torch_s(rng, ours, torchs, shape):
    layer, oracle = ours(3, eps=0.01, momentum=0.3).double(), torchs(3, eps=0.01, momentum=0.3).double()
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1, weight_decay=0.01) for one in (layer, oracle)]
    for _ in range(4):
        x, target = tensor(rng, *shape, scale=3, shift=1), tensor(rng, *shape)
        inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        for one, optimizer, leaf in zip((layer, oracle), optimizers, inputs, strict=True):
            optimizer.zero_grad()
            ((one(leaf) - target) ** 2).mean().backward()
            optimizer.step()
        assert_close(inputs[0].grad, inputs[1].grad)
    for name, value in oracle.state_dict().items():
        assert_close(layer.state_dict()[name], value)
    x = tensor(rng, *shape)
    assert_close(layer.eval()(x), oracle.eval()(x))


@pytest.mark.parametrize(("ours", "torchs", "shape"), LAYERS)
def test_batch_norm_layers_exchange_their_state_with_torch_s(rng, ours, torchs, shape):
    oracle = torchs(3)
    oracle(tensor(rng, *shape).float())
    layer = ours(3)
    layer.load_state_dict(oracle.state_dict())
    torchs(3).load_state_dict(layer.state_dict())
    x = tensor(rng, *shape).float()
    assert_close(layer.eval()(x), oracle.eval()(x))
    assert {name: (value.shape, value.dtype) for name, value in ours(3).state_dict().items()} == {
        name: (value.shape, value.dtype) for name, value in torchs(3).state_dict().items()
    }


def test_batch_norm_1d_refuses_one_example_as_torch_does():
    for layer in (lecture.BatchNorm1d(2), torch.nn.BatchNorm1d(2)):
        with pytest.raises(ValueError):
            layer(torch.zeros(1, 2))
        assert layer.eval()(torch.zeros(1, 2)).shape == (1, 2)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (2, 1, 3, 4)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm_equals_torch(rng, shape, eps):
    x, gamma, beta = tensor(rng, *shape, scale=3, shift=1), tensor(rng, 4), tensor(rng, 4)
    assert_close(lecture.layer_norm(x, gamma, beta, eps), F.layer_norm(x, (4,), gamma, beta, eps))


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_instance_norm_equals_torch(rng, eps):
    x, gamma, beta = tensor(rng, 2, 3, 4, 5, scale=3, shift=1), tensor(rng, 3), tensor(rng, 3)
    expected = F.instance_norm(x, weight=gamma, bias=beta, eps=eps)
    assert_close(lecture.instance_norm(x, gamma, beta, eps), expected)


@pytest.mark.parametrize("num_groups", [1, 2, 3, 6])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_group_norm_equals_torch(rng, num_groups, eps):
    x, gamma, beta = tensor(rng, 2, 6, 4, 5, scale=3, shift=1), tensor(rng, 6), tensor(rng, 6)
    expected = F.group_norm(x, num_groups, gamma, beta, eps)
    assert_close(lecture.group_norm(x, num_groups, gamma, beta, eps), expected)
    mirrored = x.permute(3, 1, 0, 2)
    assert_close(
        lecture.group_norm(mirrored, num_groups, gamma, beta, eps),
        F.group_norm(mirrored.contiguous(), num_groups, gamma, beta, eps),
    )


@pytest.mark.parametrize("function", [lecture.layer_norm, lecture.instance_norm, lecture.group_norm])
def test_the_variants_have_exact_gradients(rng, function):
    x, gamma, beta = (tensor(rng, *shape).requires_grad_() for shape in ((2, 4, 2, 4), (4,), (4,)))
    arguments = (x, 2, gamma, beta) if function is lecture.group_norm else (x, gamma, beta)
    assert torch.autograd.gradcheck(function, arguments)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_a_folded_layer_does_what_torch_s_two_layers_do(rng, with_bias, eps):
    statistics = tensor(rng, 3), positive(rng, 3), tensor(rng, 3), tensor(rng, 3)
    bias = tensor(rng, 3) if with_bias else None

    linear, x = tensor(rng, 3, 4), tensor(rng, 5, 4)
    expected = F.batch_norm(F.linear(x, linear, bias), *statistics, eps=eps)
    assert_close(F.linear(x, *lecture.fold_batch_norm(linear, bias, *statistics, eps)), expected)

    kernels, pictures = tensor(rng, 3, 2, 3, 3), tensor(rng, 2, 2, 5, 6)
    expected = F.batch_norm(F.conv2d(pictures, kernels, bias, padding=1), *statistics, eps=eps)
    got = F.conv2d(pictures, *lecture.fold_batch_norm(kernels, bias, *statistics, eps), padding=1)
    assert_close(got, expected)


def test_the_error_of_the_mean_follows_the_law_of_sampling_without_replacement(rng):
    features, sizes = rng.exponential(size=(30, 3)), [1, 2, 5, 15, 29, 30]
    means, _ = lecture.batch_size_effect(features, sizes, 4000, rng)
    expected = [math.sqrt((30 - size) / (30 - 1) / size) for size in sizes]
    np.testing.assert_allclose(means, expected, rtol=0.06, atol=1e-6)


def test_the_errors_are_those_over_all_batches_of_a_small_set(rng):
    features, size = rng.normal(size=(7, 2)), 3
    batches = np.array([features[list(chosen)] for chosen in itertools.combinations(range(7), size)])
    mean_errors = (batches.mean(axis=1) - features.mean(axis=0)) / features.std(axis=0)
    variance_errors = batches.var(axis=1) / features.var(axis=0) - 1
    means, variances = lecture.batch_size_effect(features, [size], 6000, rng)
    np.testing.assert_allclose(means[0], np.sqrt((mean_errors**2).mean()), rtol=0.06)
    np.testing.assert_allclose(variances[0], np.sqrt((variance_errors**2).mean()), rtol=0.06)


def test_the_smallest_and_the_largest_batch_have_exact_errors(rng):
    means, variances = lecture.batch_size_effect(rng.normal(size=(9, 2)), [1, 9], 10, rng)
    assert_close(means[1], 0)
    assert_close(variances, [1, 0])
