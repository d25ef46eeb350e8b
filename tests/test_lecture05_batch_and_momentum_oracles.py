"""The references of lecture 5 against oracles that share no code with them: torch, SciPy, closed forms, enumeration."""

import itertools

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import chisquare
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from solutions import lecture05_batch_and_momentum as lecture

CASES = range(10)
ETAS, LAMBDAS = (0.01, 0.3), (0.0, 0.5, 0.95)


@pytest.fixture(params=CASES)
def rng(request):
    return np.random.default_rng(request.param)


def close(actual, desired):
    np.testing.assert_allclose(actual, desired, rtol=1e-6, atol=1e-9)


def random_sizes(rng):
    return int(rng.integers(1, 60)), int(rng.integers(1, 70))


# ---------------------------------------------------------------- the given helpers


def test_example_gradients_are_those_of_finite_differences(rng):
    x, y, theta = rng.normal(size=6), rng.normal(size=6), rng.normal(size=2)
    step = 1e-5 * np.eye(2)
    differences = [lecture.example_losses(theta + h, x, y) - lecture.example_losses(theta - h, x, y) for h in step]
    np.testing.assert_allclose(
        lecture.example_gradients(theta, x, y), np.array(differences).T / 2e-5, rtol=1e-6, atol=1e-6
    )


def test_the_best_line_has_no_gradient():
    np.testing.assert_allclose(lecture.cricket_gradient(lecture.BEST), 0, atol=1e-9)


def test_the_unit_ball_is_filled_evenly():
    points = lecture.unit_ball(20_000, 3, np.random.default_rng(0))
    # Of an evenly filled ball in d dimensions, the share within a radius r is r^d; the mean of u u^T is I / (d + 2).
    radii = np.linalg.norm(points, axis=1)
    assert radii.max() <= 1
    np.testing.assert_allclose((radii < 0.5).mean(), 0.5**3, atol=0.01)
    np.testing.assert_allclose(points.T @ points / len(points), np.eye(3) / 5, atol=0.01)


# ---------------------------------------------------------------- batches


def test_updates_per_epoch_is_the_length_of_torchs_data_loader(rng):
    for _ in range(20):
        n_examples, batch_size = random_sizes(rng)
        loader = DataLoader(range(n_examples), batch_size=batch_size)
        assert lecture.updates_per_epoch(n_examples, batch_size) == len(loader)
        assert type(lecture.updates_per_epoch(n_examples, batch_size)) is int


def test_minibatches_have_the_sizes_of_torchs_batch_sampler(rng):
    n_examples, batch_size = random_sizes(rng)
    x = np.arange(n_examples)
    ours = [len(x_batch) for x_batch, _ in lecture.minibatches(x, x, batch_size, rng)]
    assert ours == [len(batch) for batch in BatchSampler(SequentialSampler(x), batch_size, drop_last=False)]


def test_minibatches_are_a_permutation_that_keeps_pairs(rng):
    n_examples, batch_size = random_sizes(rng)
    x, y = rng.normal(size=(n_examples, 2)), np.arange(n_examples)
    batches = list(lecture.minibatches(x, y, batch_size, rng))
    order = np.concatenate([y_batch for _, y_batch in batches])
    np.testing.assert_array_equal(np.sort(order), y)
    np.testing.assert_array_equal(np.concatenate([x_batch for x_batch, _ in batches]), x[order])


def test_minibatches_deal_all_orders_equally_often():
    rng, x = np.random.default_rng(0), np.arange(4)
    seen = [tuple(np.concatenate([a for a, _ in lecture.minibatches(x, x, 3, rng)])) for _ in range(4800)]
    counts = [seen.count(order) for order in itertools.permutations(range(4))]
    assert sum(counts) == 4800
    assert chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("learning_rate", ETAS)
def test_sgd_epochs_walks_as_torchs_sgd_on_the_mean_loss(rng, learning_rate):
    x, y, start = rng.normal(size=(11, 2)), rng.normal(size=11), rng.normal(size=2)
    epochs = [list(lecture.minibatches(x, y, 4, rng)) for _ in range(3)]

    def gradients(theta, x, y):
        return 2 * (x @ theta - y)[:, None] * x

    stream = iter(epochs)
    ours = lecture.sgd_epochs(start, lambda: next(stream), gradients, learning_rate, epochs=3)

    theta = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.SGD([theta], lr=learning_rate)
    torchs = [start]
    for x_batch, y_batch in itertools.chain(*epochs):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(torch.tensor(x_batch) @ theta, torch.tensor(y_batch)).backward()
        optimizer.step()
        torchs.append(theta.detach().numpy().copy())
    close(ours, torchs)


def test_compare_batches_counts_what_is_really_dealt(rng):
    n_examples = int(rng.integers(1, 30))
    batch_sizes = [int(size) for size in rng.integers(1, 35, size=3)]
    data, histories, dealt = np.arange(n_examples), {}, {}
    for size in batch_sizes:
        epochs = [lecture.minibatches(data, data, size, rng) for _ in range(3)]
        dealt[size] = [len(x_batch) for x_batch, _ in itertools.chain(*epochs)]
        histories[size] = rng.normal(size=(len(dealt[size]) + 1, 2))

    curves = lecture.compare_batches(batch_sizes, n_examples, histories.__getitem__, lambda theta: float(theta @ theta))
    for size, (updates, examples, losses) in zip(batch_sizes, curves, strict=True):
        assert list(updates) == list(range(len(dealt[size]) + 1))
        assert list(examples) == list(itertools.accumulate(dealt[size], initial=0))
        close(losses, np.linalg.norm(histories[size], axis=1) ** 2)


# ---------------------------------------------------------------- noise


def test_gradient_noise_is_the_mean_over_all_batches(rng):
    n_examples = int(rng.integers(2, 9))
    gradients = rng.normal(size=(n_examples, 3))
    for batch_size in range(1, n_examples + 1):
        misses = [
            np.sum((np.mean(batch, axis=0) - gradients.mean(axis=0)) ** 2)
            for batch in itertools.combinations(gradients, batch_size)
        ]
        close(lecture.gradient_noise(gradients, batch_size), np.mean(misses))


def test_flatness_of_a_quadratic_is_its_closed_form(rng):
    half, slope, theta = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    hessian, radius = half + half.T, float(rng.uniform(0, 2))
    offsets = lecture.unit_ball(7, 3, rng)

    def loss(theta):
        return theta @ hessian @ theta / 2 + slope @ theta + 3

    closed_form = radius**2 / 2 * np.trace(hessian @ offsets.T @ offsets) / len(offsets)
    close(lecture.flatness(loss, theta, radius, offsets), closed_form)


# ---------------------------------------------------------------- momentum


def torchs_momentum(gradients, start, learning_rate, momentum, **options):
    """The path of torch's SGD, fed with given gradients."""
    theta = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.SGD([theta], lr=learning_rate, momentum=momentum, **options)
    path = [start]
    for gradient in gradients:
        theta.grad = torch.tensor(gradient)
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    return np.array(path)


@pytest.mark.parametrize("learning_rate", ETAS)
@pytest.mark.parametrize("momentum", LAMBDAS)
def test_momentum_step_walks_as_torchs_sgd(rng, learning_rate, momentum):
    theta, gradients = rng.normal(size=(2, 3)), rng.normal(size=(20, 2, 3))
    expected = torchs_momentum(gradients, theta, learning_rate, momentum)
    movement = np.zeros_like(theta)
    for gradient, before, after in zip(gradients, expected[:-1], expected[1:], strict=True):
        theta, movement = lecture.momentum_step(theta, movement, gradient, learning_rate, momentum)
        close(theta, after)
        close(movement, after - before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_momentum_step_keeps_the_dtype(dtype):
    results = lecture.momentum_step(*np.ones((3, 2), dtype), learning_rate=0.1, momentum=0.9)
    assert [part.dtype for part in results] == [dtype, dtype]


@pytest.mark.parametrize("learning_rate", ETAS)
@pytest.mark.parametrize("momentum", LAMBDAS)
def test_movement_as_weighted_sum_is_scipys_linear_filter(rng, learning_rate, momentum):
    gradients = rng.normal(size=(int(rng.integers(1, 50)), 2, 3))
    filtered = lfilter([-learning_rate], [1, -momentum], gradients, axis=0)
    close(lecture.movement_as_weighted_sum(gradients, learning_rate, momentum), filtered[-1])


def test_movement_without_gradients_is_zero():
    np.testing.assert_array_equal(lecture.movement_as_weighted_sum(np.zeros((0, 2, 3)), 0.1, 0.9), np.zeros((2, 3)))


def small_network(seed):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).double()


def train(network, optimizer, seed, steps=30, schedule=lambda step: None):
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        schedule(step)
        x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        ((network(x)[:, 0] - x.sin().sum(dim=1)) ** 2).mean().backward()
        optimizer.step()
    return torch.cat([theta.detach().ravel() for theta in network.parameters()])


@pytest.mark.parametrize("seed", CASES)
@pytest.mark.parametrize("momentum", LAMBDAS)
def test_momentum_trains_a_network_as_torchs_sgd_at_a_constant_rate(seed, momentum):
    def groups(network):
        return [{"params": network[0].parameters()}, {"params": network[2].parameters(), "lr": 0.01, "momentum": 0.3}]

    ours, torchs = small_network(seed), small_network(seed)
    ours = train(ours, lecture.Momentum(groups(ours), lr=0.05, momentum=momentum), seed)
    torchs = train(torchs, torch.optim.SGD(groups(torchs), lr=0.05, momentum=momentum), seed)
    close(ours, torchs)


@pytest.mark.parametrize("seed", CASES)
def test_momentum_follows_the_closed_form_while_the_rate_changes(seed):
    rng = np.random.default_rng(seed)
    gradients, rates = rng.normal(size=(15, 4)), rng.uniform(0, 0.5, size=15)
    theta = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = lecture.Momentum([theta], lr=1.0, momentum=0.8)
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        theta.grad = torch.tensor(gradient)
        optimizer.step()
    # Each push -eta^i g^i moves theta by 1 + lambda + lambda^2 + ... until now.
    reach = (1 - 0.8 ** np.arange(15, 0, -1)) / (1 - 0.8)
    close(theta.detach(), -(reach * rates) @ gradients)


def test_momentum_and_torchs_sgd_part_when_the_rate_is_cut():
    ends = []
    for optimizer_class in (lecture.Momentum, torch.optim.SGD):
        network = small_network(0)
        optimizer = optimizer_class(network.parameters(), lr=0.05, momentum=0.9)

        def cut(step, optimizer=optimizer):
            optimizer.param_groups[0]["lr"] = 0.05 if step < 10 else 0.005

        ends.append(train(network, optimizer, seed=0, schedule=cut))
    assert (ends[0] - ends[1]).abs().max() > 1e-3


def test_momentum_is_saved_and_loaded(tmp_path):
    network, resumed = small_network(0), small_network(1)
    optimizer = lecture.Momentum(network.parameters(), lr=0.05, momentum=0.9)
    train(network, optimizer, seed=0, steps=5)
    torch.save([network.state_dict(), optimizer.state_dict()], tmp_path / "run.pt")

    weights, state = torch.load(tmp_path / "run.pt", weights_only=True)
    resumed.load_state_dict(weights)
    continued = lecture.Momentum(resumed.parameters(), lr=9.9)
    continued.load_state_dict(state)
    close(train(resumed, continued, seed=1, steps=5), train(network, optimizer, seed=1, steps=5))


@pytest.mark.parametrize("learning_rate", ETAS)
@pytest.mark.parametrize("momentum", LAMBDAS)
def test_nesterov_step_is_torchs_nesterov_seen_from_behind(rng, learning_rate, momentum):
    # Torch's parameters are the points that are looked at, theta + lambda m.
    def gradient(theta):
        return np.array([0.5, 2.0]) * theta + np.sin(theta)

    theta, movement = rng.normal(size=2), np.zeros(2)
    ahead = torch.nn.Parameter(torch.tensor(theta))
    optimizer = torch.optim.SGD([ahead], lr=learning_rate, momentum=momentum, nesterov=momentum > 0)
    for _ in range(20):
        theta, movement = lecture.nesterov_step(theta, movement, gradient, learning_rate, momentum)
        ahead.grad = torch.tensor(gradient(ahead.detach().numpy()))
        optimizer.step()
        close(theta + momentum * movement, ahead.detach())
