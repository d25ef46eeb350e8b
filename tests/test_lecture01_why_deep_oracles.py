"""The references of lectures 1-2 against oracles that share no code with them: torch, SciPy, brute force."""

import inspect
import itertools
import math
import runpy
import types
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.interpolate import make_interp_spline
from scipy.optimize import approx_fprime
from scipy.signal import sawtooth
from scipy.special import expit
from sklearn.metrics import mean_absolute_error, mean_squared_error
from sklearn.neural_network import MLPRegressor

from solutions import lecture01_why_deep as lecture

HIDDEN = Path(__file__).parent / "hidden" / "lecture01_why_deep"
CASES = range(10)


@pytest.fixture(params=CASES)
def rng(request):
    return np.random.default_rng(request.param)


def close(actual, desired):
    np.testing.assert_allclose(actual, desired, rtol=1e-6, atol=1e-9)


def random_theta(rng, steps):
    return rng.normal(scale=1.5, size=1 + 3 * steps)


# ---------------------------------------------------------------- the given helpers


def test_relu_is_torchs(rng):
    z = rng.normal(size=(3, 4))
    np.testing.assert_array_equal(lecture.relu(z), torch.relu(torch.tensor(z)))


def test_unpack_takes_theta_apart_in_the_order_of_the_docstring():
    bias, c, b, w = lecture.unpack(np.arange(10.0))
    assert (bias, list(c), list(b), list(w)) == (0, [1, 2, 3], [4, 5, 6], [7, 8, 9])
    assert [np.size(part) for part in lecture.unpack(np.zeros(1))] == [1, 0, 0, 0]


def test_hikers_walk_on_the_trail():
    position, height = lecture.hikers(20_000, np.random.default_rng(0))
    trail = make_interp_spline(lecture.WAYPOINTS, lecture.HEIGHTS, k=1)
    assert np.all(np.diff(position) >= 0)
    np.testing.assert_allclose(np.std(height - trail(position)), 0.15, rtol=0.02)


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-15), (np.float32, 1e-6), (np.float16, 1e-3)])
def test_sigmoid_is_scipys_and_silent(rng, dtype, tolerance):
    largest = np.finfo(dtype).max
    far = [-np.inf, -largest, -100, -11.5, -0.0, 0, 11.5, 100, largest, np.inf]
    x = np.concatenate([rng.normal(scale=8, size=200), far]).astype(dtype)
    with np.errstate(all="raise", under="ignore"):
        values = lecture.sigmoid(x)
    assert values.dtype == dtype
    np.testing.assert_allclose(values, expit(x.astype(np.float64)), rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_sigmoid_keeps_shape_and_dtype(shape, dtype):
    values = lecture.sigmoid(np.ones(shape, dtype))
    assert (values.shape, values.dtype) == (shape, dtype)
    assert np.asarray(lecture.sigmoid(dtype(3))).dtype == dtype
    assert np.ndim(lecture.sigmoid(3.0)) == 0


def test_hard_sigmoid_is_interpolation_and_torchs_hardtanh(rng):
    x = rng.uniform(-5, 5, size=50)
    start, width, height = float(rng.uniform(-3, 2)), float(rng.uniform(0.1, 3)), float(rng.normal())
    ours = lecture.hard_sigmoid(x, start, start + width, height)
    close(ours, np.interp(x, [start, start + width], [0, height]))
    share = torch.nn.functional.hardtanh((torch.tensor(x) - start) / width, 0.0, 1.0)
    close(ours, height * share)
    assert lecture.hard_sigmoid(x.astype(np.float32), start, start + width, height).dtype == np.float32


# ---------------------------------------------------------------- piecewise linear curves


def test_piecewise_linear_coefficients_draw_scipys_linear_spline(rng):
    x = np.sort(rng.uniform(-5, 5, size=int(rng.integers(2, 12))))
    y = rng.normal(scale=4, size=len(x))
    bias, c, k = lecture.piecewise_linear_coefficients(x, y)
    line = np.linspace(x[0], x[-1] + 3, 200)  # to the right, SciPy goes on with the last slope as well
    close(bias + np.maximum(line[:, None] - k, 0) @ c, make_interp_spline(x, y, k=1)(line))
    close(bias, y[0])


def test_piecewise_linear_coefficients_without_and_with_empty_changes():
    bias, c, k = lecture.piecewise_linear_coefficients(np.array([2.0]), np.array([7.0]))
    assert (bias, c.shape, k.shape) == (7, (0,), (0,))
    bias, c, k = lecture.piecewise_linear_coefficients(np.arange(4.0), np.array([1.0, 3, 5, 0]))
    assert (bias, list(c), list(k)) == (1, [2, 0, -7], [0, 1, 2])


def test_sum_of_sigmoids_is_the_sum_in_python(rng):
    steps = int(rng.integers(0, 5))
    x, theta = rng.normal(size=6), random_theta(rng, steps)
    b, c, shift, w = theta[0], theta[1 : 1 + steps], theta[1 + steps : 1 + 2 * steps], theta[1 + 2 * steps :]
    expected = [
        b + math.fsum(c[i] / (1 + math.exp(-(shift[i] + w[i] * one))) for i in range(steps)) for one in x.tolist()
    ]
    close(lecture.sum_of_sigmoids(x, theta), expected)


# ---------------------------------------------------------------- loss and descent


def torchs_loss(theta, x, target, error):
    c, b, w = theta[1:].reshape(3, -1)
    y = theta[0] + torch.sigmoid(b + x[:, None] * w) @ c
    loss = torch.nn.functional.mse_loss if error == "mse" else torch.nn.functional.l1_loss
    return loss(y, target)


@pytest.mark.parametrize("error", ["mse", "mae"])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_loss_and_gradient_are_torchs(rng, error, steps):
    theta, x, target = random_theta(rng, steps), rng.normal(size=7), rng.normal(size=7)
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    leaf = torch.tensor(theta, requires_grad=True)
    torchs = torchs_loss(leaf, torch.tensor(x), torch.tensor(target), error)
    torchs.backward()
    close(loss, torchs.item())
    close(gradient, leaf.grad)
    metric = mean_squared_error if error == "mse" else mean_absolute_error
    close(loss, metric(target, lecture.sum_of_sigmoids(x, theta)))


@pytest.mark.parametrize("error", ["mse", "mae"])
def test_gradient_is_that_of_finite_differences(rng, error):
    theta, x, target = random_theta(rng, 3), rng.normal(size=6), rng.normal(size=6)
    differences = approx_fprime(theta, lambda t: lecture.loss_and_gradient(t, x, target, error)[0], 1e-7)
    np.testing.assert_allclose(lecture.loss_and_gradient(theta, x, target, error)[1], differences, atol=1e-5)


@pytest.mark.parametrize("error", ["mse", "mae"])
def test_an_example_that_is_met_adds_nothing(error):
    _, gradient = lecture.loss_and_gradient(np.array([2.0]), np.zeros(4), np.array([2.0, 2.0, 1.0, 4.0]), error)
    close(gradient, [{"mse": (2 * 1 - 2 * 2) / 4, "mae": 0}[error]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_models_keep_the_dtype(dtype):
    x, theta = np.ones(3, dtype), np.ones(7, dtype)
    assert lecture.sum_of_sigmoids(x, theta).dtype == dtype
    for error in ("mse", "mae"):
        assert lecture.loss_and_gradient(theta, x, x, error)[1].dtype == dtype
    assert lecture.gradient_descent(theta, lambda t: t, 0.1, 2).dtype == dtype
    weights, biases = [np.ones((2, 1), dtype), np.ones((1, 2), dtype)], [np.ones(2, dtype), np.ones(1, dtype)]
    assert lecture.mlp_forward(x[:, None], weights, biases).dtype == dtype


@pytest.mark.parametrize("learning_rate", [0.01, 0.3])
def test_gradient_descent_walks_as_torchs_sgd(rng, learning_rate):
    start, x, target = random_theta(rng, 2), rng.normal(size=5), rng.normal(size=5)
    before = start.copy()
    ours = lecture.gradient_descent(
        start, lambda theta: lecture.loss_and_gradient(theta, x, target)[1], learning_rate, steps=12
    )
    theta = torch.nn.Parameter(torch.tensor(start))
    optimizer = torch.optim.SGD([theta], lr=learning_rate)
    torchs = [start]
    for _ in range(12):
        optimizer.zero_grad()
        torchs_loss(theta, torch.tensor(x), torch.tensor(target), "mse").backward()
        optimizer.step()
        torchs.append(theta.detach().numpy().copy())
    close(ours, torchs)
    np.testing.assert_array_equal(start, before)


def test_gradient_descent_in_a_parabola_has_a_closed_form(rng):
    start, curvature = rng.normal(size=3), rng.uniform(0.1, 3, size=3)
    ours = lecture.gradient_descent(start, lambda theta: curvature * theta, 0.2, steps=9)
    close(ours, start * (1 - 0.2 * curvature) ** np.arange(10)[:, None])
    np.testing.assert_array_equal(lecture.gradient_descent(start, lambda theta: theta, 0.2, steps=0), [start])


# ---------------------------------------------------------------- loss curves


def case_in_fractions(losses):
    """The four rules, word by word, in exact numbers."""
    if not all(map(math.isfinite, losses)):
        return "diverging"
    losses = [Fraction(value) for value in losses.tolist()]
    fall = losses[0] - losses[-1]
    rises = sum(max(Fraction(0), after - before) for before, after in itertools.pairwise(losses))
    late = losses[(len(losses) - 1) // 2] - losses[-1]
    rules = [("diverging", fall < 0), ("too large", rises > fall / 4), ("too small", late >= fall / 10)]
    return next((name for name, holds in rules if holds), "good")


def test_learning_rate_cases_are_the_rules_word_by_word(rng):
    seen = set()
    for _ in range(300):
        updates = int(rng.integers(2, 30))
        shape = np.exp(-rng.uniform(-2, 12) * np.arange(updates + 1) / updates)
        losses = 3 * shape + rng.choice([0, 0.02, 1.0]) * rng.uniform(size=updates + 1)
        seen.add(case_in_fractions(losses))
        assert lecture.learning_rate_cases(losses) == case_in_fractions(losses)
    assert seen == {"diverging", "too large", "too small", "good"}


def hidden_checks(problem):
    """The hidden tests of a problem: functions of a student and a generator."""
    made = runpy.run_path(str(HIDDEN / "checks.py"))
    functions = [value for value in made.values() if inspect.isfunction(value) and hasattr(value, "__grader__")]
    return [function for function in functions if function.__grader__.problem == problem]


def test_hidden_loss_curves_leave_room_around_every_threshold():
    curves = []
    student = types.SimpleNamespace(learning_rate_cases=lambda losses: curves.append(losses) or "")
    for function in hidden_checks("learning_rate_cases"):
        function(student, np.random.default_rng(0))
    assert len(curves) > 40
    for losses in curves:
        if not np.isfinite(losses).all():
            continue
        fall = losses[0] - losses[-1]
        spread = losses.max() - losses.min()
        if spread == 0:
            continue  # stands still: the docstring says what that is
        assert abs(fall) > 0.1 * abs(losses[0] - losses.min()) + 0.02 * spread * (fall < 0), losses
        if fall < 0:
            continue
        rises = np.maximum(np.diff(losses), 0).sum() / fall
        assert not 0.125 < rises < 0.5, losses
        if rises > 0.25:
            continue
        updates = len(losses) - 1
        # Whichever index near the middle someone takes for the half: the case stays the same.
        late = [(losses[half] - losses[-1]) / fall for half in (updates // 2, (updates + 1) // 2)]
        assert max(late) < 0.07 or min(late) > 0.14, (losses, late)


@pytest.mark.slow
def test_the_lesson_says_what_is_true_of_its_starts_and_rates():
    ends = [lecture.learn_the_trail(lecture.random_start(np.random.default_rng(s)), 0.05, 1000)[1][-1] for s in CASES]
    assert max(ends) < 0.1  # ten random starts: the best straight line has 1.2, the noise 0.0225
    cases = [
        lecture.learning_rate_cases(
            lecture.learn_the_trail(lecture.random_start(np.random.default_rng(2)), rate, 1000)[1]
        )
        for rate in (0.0001, 0.05, 0.15, 0.5)
    ]
    assert cases == ["too small", "good", "too large", "diverging"]


# ---------------------------------------------------------------- deep and fat


def torchs_network(weights, biases):
    layers = []
    for W, b in zip(weights, biases, strict=True):
        layer = torch.nn.Linear(W.shape[1], W.shape[0], dtype=torch.float64)
        layer.load_state_dict({"weight": torch.tensor(W), "bias": torch.tensor(b)})
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def random_network(rng, *widths):
    shapes = [(m, n) for n, m in itertools.pairwise(widths)]
    return [rng.normal(size=shape) for shape in shapes], [rng.normal(size=shape[0]) for shape in shapes]


@pytest.mark.parametrize("widths", [(3, 2), (2, 5, 1), (3, 3, 3, 3), (1, 4, 2, 6, 2)])
def test_mlp_forward_is_torchs_network(rng, widths):
    weights, biases = random_network(rng, *widths)
    x = rng.normal(size=(widths[0], widths[0]))
    close(lecture.mlp_forward(x, weights, biases), torchs_network(weights, biases)(torch.tensor(x)).detach())


def test_mlp_forward_is_scikit_learns(rng):
    x, target = rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    fitted = MLPRegressor(hidden_layer_sizes=(4, 3), max_iter=50, random_state=0, tol=10.0, n_iter_no_change=1).fit(
        x, target
    )
    weights = [W.T for W in fitted.coefs_]
    close(lecture.mlp_forward(x, weights, fitted.intercepts_), fitted.predict(x))


@pytest.mark.parametrize("widths", [[1, 1], [3, 2], [1, 30, 1], [4, 5, 6, 7], [784, 100, 100, 10]])
def test_count_parameters_is_what_torch_allocates(widths):
    shapes = [(m, n) for n, m in itertools.pairwise(widths)]
    network = torchs_network([np.zeros(shape) for shape in shapes], [np.zeros(shape[0]) for shape in shapes])
    assert lecture.count_parameters(widths) == sum(theta.numel() for theta in network.parameters())
    assert type(lecture.count_parameters(widths)) is int


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 3), (7, 1), (1, 6)])
def test_fat_width_is_the_widest_that_fits(inputs, outputs):
    def price(width):
        return width * inputs + width + width * outputs + outputs

    for budget in range(120):
        fitting = [width for width in range(1, 130) if price(width) <= budget]
        assert lecture.fat_width(budget, inputs, outputs) == max(fitting, default=0)


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 9])
def test_sawtooth_network_is_scipys_sawtooth_and_the_iterated_tent(depth):
    weights, biases = lecture.sawtooth_network(depth)
    assert [W.shape for W in weights] == [(2, 1), *[(2, 2)] * (depth - 1), (1, 2)]
    x = np.linspace(0, 1, 5 * 2**depth + 1)
    y = torchs_network(weights, biases)(torch.tensor(x)[:, None]).detach().numpy()[:, 0]
    inside = slice(1, -1)  # SciPy's wave begins anew at its very end
    np.testing.assert_allclose(y[inside], (sawtooth(2 * np.pi * 2 ** (depth - 1) * x, 0.5)[inside] + 1) / 2, atol=1e-6)
    iterated = [Fraction(one) for one in x.tolist()]
    for _ in range(depth):
        iterated = [1 - abs(2 * one - 1) for one in iterated]
    close(y, [float(one) for one in iterated])


@pytest.mark.parametrize("depth", [1, 2, 5, 8, 10])
def test_count_linear_pieces_of_folded_paper(depth):
    pieces = lecture.count_linear_pieces(*lecture.sawtooth_network(depth), 0.0, 1.0)
    assert pieces == 2**depth
    assert type(pieces) is int


def test_count_linear_pieces_of_one_layer_is_the_number_of_kinks_that_stay(rng):
    kinks = rng.integers(-8, 9, size=7) / 4
    changes = rng.integers(-2, 3, size=7).astype(float)
    network = [np.ones((7, 1)), changes[None]], [-kinks, np.zeros(1)]
    total = {kink: changes[kinks == kink].sum() for kink in kinks if -1 < kink < 1.5}
    expected = 1 + sum(change != 0 for change in total.values())
    assert lecture.count_linear_pieces(*network, -1.0, 1.5) == expected


@pytest.mark.parametrize("widths", [(1, 6, 1), (1, 5, 5, 1), (1, 4, 4, 4, 1)])
def test_count_linear_pieces_is_what_autograd_sees_on_a_very_fine_grid(rng, widths):
    weights, biases = random_network(rng, *widths)
    x = torch.linspace(-3, 3, 200_001, dtype=torch.float64)[:, None].requires_grad_()
    torchs_network(weights, biases)(x).sum().backward()
    slopes = x.grad[:, 0].numpy()
    seen = 1 + np.count_nonzero(np.abs(np.diff(slopes)) > 1e-9)
    assert lecture.count_linear_pieces(weights, biases, -3.0, 3.0) == seen


@pytest.mark.parametrize("power", [10, 30, 50])
def test_count_linear_pieces_sees_pieces_of_any_width(power):
    kinks = np.array([0.5, 0.5 + 2.0**-power])
    network = [np.ones((2, 1)), np.array([[1.0, -2.0]])], [-kinks, np.zeros(1)]
    assert lecture.count_linear_pieces(*network, 0.0, 1.0) == 3


@pytest.mark.slow
def test_hidden_networks_can_be_counted_in_floats_whatever_the_seed():
    made = runpy.run_path(str(HIDDEN / "alternatives.py"))
    in_floats = [made["with_lines_in_floats"], made["by_splitting_in_floats"]]
    for seed in range(40):
        counts = []
        for count in (lecture.count_linear_pieces, *in_floats):
            student = types.SimpleNamespace(count_linear_pieces=count)
            checks = hidden_checks("count_linear_pieces")
            counts.append([function(student, np.random.default_rng(seed)) for function in checks])
        assert counts[0] == counts[1] == counts[2], f"seed {seed}"
