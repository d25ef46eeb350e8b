"""The references of lecture 6 against oracles that share no code with them: torch, SciPy, closed forms."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from scipy.signal import lfilter
from scipy.stats import ortho_group
from sklearn.metrics import root_mean_squared_error

from solutions import lecture06_learning_rate as lecture

SEEDS = range(5)
BETAS = [(0.9, 0.999), (0.5, 0.9), (0.0, 0.7)]


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


def close(actual, desired):
    np.testing.assert_allclose(actual, desired, rtol=1e-6, atol=1e-9)


# ---------------------------------------------------------------- the given helpers


def test_the_slope_of_the_gorge_is_that_of_finite_differences(rng):
    theta = rng.normal(size=2)
    np.testing.assert_allclose(
        lecture.gorge_gradient(theta), approx_fprime(theta, lecture.gorge_loss), rtol=1e-4, atol=1e-4
    )


def test_a_ride_of_gradient_descent_has_its_closed_form():
    path = lecture.ride(lambda theta, gradient, t: theta - 0.015 * gradient, updates=20)
    t = np.arange(21)[:, None]
    close(path, lecture.START * (1 - 0.015 * np.array([1.0, 100.0])) ** t)


# ---------------------------------------------------------------- magnitudes


def test_root_mean_square_is_scikit_learns_error_from_zero(rng):
    gradients = rng.normal(size=(int(rng.integers(1, 20)), 5))
    close(
        lecture.root_mean_square(gradients),
        root_mean_squared_error(np.zeros_like(gradients), gradients, multioutput="raw_values"),
    )


def rates_set(optimizer, learning_rate):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def test_adagrad_step_walks_as_torchs_adagrad_with_a_rate_that_grows(rng):
    # Torch divides by the root of the sum: the root of t + 1 more makes it the lecture's.
    gradients, theta, sigma = rng.normal(size=(30, 2, 3)), rng.normal(size=(2, 3)), np.zeros((2, 3))
    torchs = torch.nn.Parameter(torch.tensor(theta))
    optimizer = torch.optim.Adagrad([torchs], lr=1.0, eps=0.0)
    for t, gradient in enumerate(gradients):
        theta, sigma = lecture.adagrad_step(theta, sigma, gradient, t, 0.3)
        rates_set(optimizer, 0.3 * math.sqrt(t + 1))
        torchs.grad = torch.tensor(gradient)
        optimizer.step()
        close(theta, torchs.detach())
        close(sigma, np.linalg.norm(gradients[: t + 1], axis=0) / math.sqrt(t + 1))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.99])
def test_rmsprop_step_walks_as_torchs_rmsprop_that_starts_from_the_first_square(rng, alpha):
    gradients, start = rng.normal(size=(30, 4)), rng.normal(size=4)
    theta, sigma = lecture.rmsprop_step(start, np.zeros(4), gradients[0], 0, 0.2, alpha)
    close(theta, start - 0.2 * np.sign(gradients[0]))

    torchs = torch.nn.Parameter(torch.tensor(theta))
    optimizer = torch.optim.RMSprop([torchs], lr=0.0, alpha=alpha, eps=0.0)
    torchs.grad = torch.tensor(gradients[0])
    optimizer.step()
    optimizer.state[torchs]["square_avg"] = torch.tensor(gradients[0]) ** 2
    rates_set(optimizer, 0.2)
    for t, gradient in enumerate(gradients[1:], start=1):
        theta, sigma = lecture.rmsprop_step(theta, sigma, gradient, t, 0.2, alpha)
        torchs.grad = torch.tensor(gradient)
        optimizer.step()
        close(theta, torchs.detach())


def test_rmsprops_sigma_is_scipys_linear_filter(rng):
    gradients, sigma = rng.normal(size=(40, 2)), np.zeros(2)
    for t, gradient in enumerate(gradients):
        _, sigma = lecture.rmsprop_step(np.zeros(2), sigma, gradient, t, 0.1, 0.8)
    filtered, _ = lfilter([0.2], [1, -0.8], gradients**2, axis=0, zi=0.8 * gradients[:1] ** 2)
    close(sigma, np.sqrt(filtered[-1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_keep_the_dtype_and_leave_out_parameters_without_a_gradient(dtype):
    theta, sigma, gradient = np.ones(2, dtype), np.zeros(2, dtype), np.array([0, 5], dtype)
    for t in (0, 1):
        for result in (
            lecture.adagrad_step(theta, sigma, gradient, t, 0.1),
            lecture.rmsprop_step(theta, sigma, gradient, t, 0.1, 0.9),
        ):
            assert [part.dtype for part in result] == [dtype, dtype]
            assert result[0][0] == 1
            assert np.isfinite(result).all()


# ---------------------------------------------------------------- schedules


def torchs_rates(make, learning_rate, updates):
    """The learning rates of updates 0, 1, ... under one of torch's schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = make(optimizer)
        for _ in range(updates):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


@pytest.mark.parametrize("every", [1, 4, 7])
@pytest.mark.parametrize("gamma", [0.1, 0.7, 1.0])
def test_step_decay_is_torchs_step_lr(every, gamma):
    expected = torchs_rates(lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, every, gamma), 0.3, 30)
    close([lecture.step_decay(t, 0.3, every, gamma) for t in range(30)], expected)


@pytest.mark.parametrize("gamma", [0.1, 0.7, 1.0])
def test_exponential_decay_is_torchs_exponential_lr(gamma):
    expected = torchs_rates(lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma), 0.3, 30)
    close([lecture.exponential_decay(t, 0.3, gamma) for t in range(30)], expected)


@pytest.mark.parametrize("total", [1, 2, 9, 40])
@pytest.mark.parametrize("floor", [0.0, 0.05, 0.3])
def test_cosine_decay_is_torchs_cosine_annealing_lr_and_then_stays(total, floor):
    expected = torchs_rates(
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total, floor), 0.3, total + 1
    )
    close([lecture.cosine_decay(t, 0.3, total, floor) for t in range(total + 1)], expected)
    close([lecture.cosine_decay(t, 0.3, total, floor) for t in range(total, 3 * total + 2)], floor)


@pytest.mark.parametrize("warmup", [1, 2, 10, 400])
def test_warmup_inverse_sqrt_is_the_formula_of_attention_is_all_you_need(warmup):
    # lrate = d^-0.5 * min(step^-0.5, step * warmup^-1.5), with the peak (d * warmup)^-0.5
    width = 512
    for step in [*range(1, 50), 399, 400, 401, 5000]:
        lrate = width**-0.5 * min(step**-0.5, step * warmup**-1.5)
        close(lecture.warmup_inverse_sqrt(step - 1, (width * warmup) ** -0.5, warmup), lrate)


@pytest.mark.parametrize(("warmup", "total"), [(2, 3), (4, 10), (10, 60)])
@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_warmup_cosine_is_torchs_linear_lr_and_cosine_annealing_lr_in_sequence(warmup, total, floor):
    schedulers = torch.optim.lr_scheduler

    def make(optimizer):
        rise = schedulers.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        fall = schedulers.CosineAnnealingLR(optimizer, total - warmup, floor)
        return schedulers.SequentialLR(optimizer, [rise, fall], [warmup - 1])

    close([lecture.warmup_cosine(t, 0.3, warmup, total, floor) for t in range(total)], torchs_rates(make, 0.3, total))
    close([lecture.warmup_cosine(t, 0.3, warmup, total, floor) for t in range(total - 1, total + 20)], floor)


def test_a_warm_up_of_one_update_is_the_decay_alone():
    close(
        [lecture.warmup_cosine(t, 0.3, 1, 11, 0.1) for t in range(20)],
        [lecture.cosine_decay(t, 0.3, 10, 0.1) for t in range(20)],
    )


# ---------------------------------------------------------------- combined_update, adam_step, adamw_step


def test_combined_update_is_torchs_addcdiv(rng):
    theta, m = rng.normal(size=(2, 3, 4))
    sigma, rates = rng.uniform(0.1, 5, size=(3, 4)), rng.uniform(size=6)
    for t in range(6):
        expected = torch.addcdiv(torch.tensor(theta), torch.tensor(m), torch.tensor(sigma), value=-rates[t])
        close(lecture.combined_update(theta, m, sigma, rates.__getitem__, t), expected)


@pytest.mark.parametrize("betas", BETAS)
@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
@pytest.mark.parametrize("weight_decay", [None, 0.0, 0.3])
def test_adam_step_and_adamw_step_walk_as_torchs(rng, betas, epsilon, weight_decay):
    theta, gradients = rng.normal(size=(2, 3)), rng.normal(size=(40, 2, 3))
    torchs = torch.nn.Parameter(torch.tensor(theta))
    if weight_decay is None:
        optimizer = torch.optim.Adam([torchs], lr=0.1, betas=betas, eps=epsilon)
    else:
        optimizer = torch.optim.AdamW([torchs], lr=0.1, betas=betas, eps=epsilon, weight_decay=weight_decay)
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, gradient in enumerate(gradients):
        if weight_decay is None:
            theta, m, v = lecture.adam_step(theta, m, v, gradient, t, 0.1, *betas, epsilon)
        else:
            theta, m, v = lecture.adamw_step(theta, m, v, gradient, t, 0.1, weight_decay, *betas, epsilon)
        torchs.grad = torch.tensor(gradient)
        optimizer.step()
        close(theta, torchs.detach())
        close(m, optimizer.state[torchs]["exp_avg"])
        close(v, optimizer.state[torchs]["exp_avg_sq"])


# ---------------------------------------------------------------- Adam


def small_network(seed, dtype=torch.float64):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1)).to(dtype)


def train(network, optimizer, seed, steps=100, before=lambda step: None):
    generator = torch.Generator().manual_seed(seed)
    for step in range(steps):
        before(step)
        x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        ((network(x)[:, 0] - x.sin().sum(dim=1)) ** 2).mean().backward()
        optimizer.step()
    return torch.cat([theta.detach().ravel() for theta in network.parameters()])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("options", [{}, {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-3}])
def test_adam_trains_a_network_as_torchs_adam(seed, options):
    def groups(network):
        return [{"params": network[0].parameters()}, {"params": network[2].parameters(), "lr": 0.01, "eps": 0.1}]

    ours, torchs = small_network(seed), small_network(seed)
    ours = train(ours, lecture.Adam(groups(ours), **options), seed)
    close(ours, train(torchs, torch.optim.Adam(groups(torchs), **options), seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_adam_counts_the_updates_of_each_parameter_as_torchs_does(seed):
    def run(optimizer_class):
        rng = np.random.default_rng(seed)
        parameters = [torch.nn.Parameter(torch.tensor(rng.normal(size=3))) for _ in range(3)]
        optimizer = optimizer_class(parameters, lr=0.1)
        for _ in range(100):
            for theta in parameters:
                theta.grad = torch.tensor(rng.normal(size=3))
                if rng.random() < 0.5:
                    theta.grad = None
            optimizer.step()
        return torch.stack(parameters).detach()

    close(run(lecture.Adam), run(torch.optim.Adam))


def test_adam_is_saved_and_loaded(tmp_path):
    network, resumed = small_network(0), small_network(1)
    optimizer = lecture.Adam(network.parameters(), lr=0.05)
    train(network, optimizer, seed=0, steps=5)
    torch.save([network.state_dict(), optimizer.state_dict()], tmp_path / "run.pt")

    weights, state = torch.load(tmp_path / "run.pt", weights_only=True)
    resumed.load_state_dict(weights)
    continued = lecture.Adam(resumed.parameters(), lr=9.9)
    continued.load_state_dict(state)
    close(train(resumed, continued, seed=1, steps=5), train(network, optimizer, seed=1, steps=5))


def test_adam_keeps_no_graph():
    theta = torch.nn.Parameter(torch.ones(3))
    optimizer = lecture.Adam([theta])
    (theta.grad,) = torch.autograd.grad((theta**3).sum(), theta, create_graph=True)
    optimizer.step()
    assert theta.is_leaf
    assert not any(torch.is_tensor(part) and part.requires_grad for part in optimizer.state[theta].values())


# ---------------------------------------------------------------- Scheduler


@pytest.mark.parametrize("seed", SEEDS)
def test_scheduler_trains_as_torchs_lambda_lr(seed):
    table = np.random.default_rng(seed).uniform(0, 2, size=41).tolist()
    ends = []
    for scheduler_class in (lecture.Scheduler, torch.optim.lr_scheduler.LambdaLR):
        network = small_network(seed)
        groups = [{"params": network[0].parameters()}, {"params": network[2].parameters(), "lr": 0.01}]
        optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.5)
        scheduler = scheduler_class(optimizer, table.__getitem__)
        ends.append(
            train(network, optimizer, seed, steps=40, before=lambda step, s=scheduler: s.step() if step else None)
        )
    close(*ends)


# ---------------------------------------------------------------- error_surface_race


def test_error_surface_race_counts_what_the_closed_form_says(rng):
    curvatures = rng.uniform(0.5, 20, size=3)
    axes = ortho_group.rvs(3, random_state=int(rng.integers(1000)))
    start = rng.normal(size=3)
    rates = {f"{eta:.3f}": eta for eta in rng.uniform(0.005, 0.09, size=4)}
    riders = {name: lambda eta=eta: lambda theta, gradient, t: theta - eta * gradient for name, eta in rates.items()}
    race = lecture.error_surface_race(riders, axes @ np.diag(curvatures) @ axes.T, start, 1e-3, 500)

    t = np.arange(501)[:, None]
    for name, eta in rates.items():
        losses = ((start @ axes) ** 2 * curvatures * (1 - eta * curvatures) ** (2 * t)).sum(axis=1) / 2
        expected = int(np.argmax(losses <= 1e-3)) if losses[-1] <= 1e-3 else None
        assert race[name] == expected


def test_error_surface_race_is_lost_by_those_who_fly_off():
    riders = {"flies off": lambda: lambda theta, gradient, t: theta - 1e9 * gradient}
    with np.errstate(all="ignore"):
        assert lecture.error_surface_race(riders, np.eye(2), np.ones(2), 1e-3, 1000) == {"flies off": None}


# ---------------------------------------------------------------- radam_step


def exact_rho(t, beta2):
    """rho of update t as a fraction, without rounding."""
    s, beta2 = t + 1, Fraction(beta2)
    return 2 / (1 - beta2) - 1 - 2 * s * beta2**s / (1 - beta2**s)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.9), (0.9, 0.5)])
def test_radam_step_walks_as_torchs_radam_wherever_both_thresholds_agree(rng, betas):
    gradients = rng.normal(size=(40, 3))
    m, v = np.zeros(3), np.zeros(3)
    torchs = torch.nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer = torch.optim.RAdam([torchs], lr=0.1, betas=betas, eps=0.0)
    compared = 0
    for t, gradient in enumerate(gradients):
        before = torchs.detach().numpy().copy()
        theta, m, v = lecture.radam_step(before, m, v, gradient, t, 0.1, *betas, epsilon=0.0)
        torchs.grad = torch.tensor(gradient)
        optimizer.step()
        close(m, optimizer.state[torchs]["exp_avg"])
        close(v, optimizer.state[torchs]["exp_avg_sq"])
        if not 4 < exact_rho(t, betas[1]) <= 5:
            close(theta, torchs.detach())
            compared += 1
    assert compared >= 35


@pytest.mark.parametrize("beta2", [0.999, 0.99, 0.9, 0.8])
def test_radam_rectifies_from_rho_above_4_on(beta2):
    # Gradients that are always 1 have corrected means of 1: the step is r itself, or 1 where nothing is divided.
    m, v = np.zeros(1), np.zeros(1)
    longest = 2 / (1 - Fraction(beta2)) - 1
    for t in range(60):
        theta, m, v = lecture.radam_step(np.zeros(1), m, v, np.ones(1), t, 1.0, beta2=beta2, epsilon=0.0)
        rho = exact_rho(t, beta2)
        # Liu et al. 2020, equation 9: the variance of 1 / sigma is about rho / (2 (rho - 2) (rho - 4)).
        variances = [one / (2 * (one - 2) * (one - 4)) for one in (longest, rho)] if rho > 4 else [1, 1]
        np.testing.assert_allclose(-theta[0], math.sqrt(variances[0] / variances[1]), rtol=1e-6)


def test_torchs_radam_waits_longer():
    assert 4 < exact_rho(4, 0.999) <= 5
    torchs = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.RAdam([torchs], lr=1.0)
    theta, m, v = np.zeros(1), np.zeros(1), np.zeros(1)
    gaps = []
    for t in range(6):
        theta, m, v = lecture.radam_step(theta, m, v, np.ones(1), t, 1.0)
        torchs.grad = torch.ones(1, dtype=torch.float64)
        optimizer.step()
        gaps.append(abs(float(theta[0]) - torchs.item()))
    assert max(gaps[:4]) < 1e-6 < 0.9 < gaps[4]
