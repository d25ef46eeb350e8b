"""The references of lecture 4 against oracles that share no code with them: torch, SciPy, closed forms, brute force."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.optimize import approx_fprime
from torch import nn
from torch.nn.utils import parameters_to_vector

from solutions import lecture04_critical_points as lecture


@pytest.fixture(params=range(5))
def rng(request):
    return np.random.default_rng(request.param)


def close(actual, desired, tolerance=1e-6):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(desired), rtol=tolerance, atol=tolerance)


def normal(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def with_eigenvalues(rng, values):
    """A symmetric matrix with these eigenvalues, and its eigenvectors as columns: by Gram and Schmidt."""
    basis = scipy.linalg.orth(rng.normal(size=(len(values), len(values))))
    return torch.from_numpy(sum(value * np.outer(u, u) for value, u in zip(values, basis.T, strict=True))), basis


def tangled(theta):
    """Smooth, and different everywhere."""
    return torch.exp(0.3 * theta).prod() + torch.sin(theta).sum() ** 3 + (theta[0] - theta[-1]) ** 4


def layers(theta):
    """A network 2 → 3 → 1 with softplus on five examples: 13 parameters."""
    x = torch.linspace(-1, 1, 10, dtype=theta.dtype).reshape(5, 2)
    hidden = nn.functional.softplus(x @ theta[:6].reshape(2, 3) + theta[6:9])
    return ((hidden @ theta[9:12] + theta[12] - x[:, 0] * x[:, 1]) ** 2).mean()


LANDSCAPES = [(tangled, 1), (tangled, 4), (layers, 13), (lecture.two_layers, 2), (lecture.mountains, 2)]


# ---------------------------------------------------------------- the given helpers


def test_the_two_layers_are_the_lecture_s():
    w1, w2 = 1.3, -0.4
    theta = torch.tensor([w1, w2], dtype=torch.float64)
    close(lecture.two_layers(theta), (1 - w2 * w1 * 1) ** 2)
    # The lecture's closed forms of gradient and Hessian.
    error = 1 - w1 * w2
    close(lecture.gradient(lecture.two_layers, theta), [-2 * error * w2, -2 * error * w1])
    mixed = -2 + 4 * w1 * w2
    close(lecture.hessian(lecture.two_layers, theta), [[2 * w2**2, mixed], [mixed, 2 * w1**2]])


@pytest.mark.parametrize(("loss", "size"), LANDSCAPES)
def test_the_gradient_is_that_of_backward(rng, loss, size):
    leaf = normal(rng, size).requires_grad_()
    loss(leaf).backward()
    close(lecture.gradient(loss, leaf), leaf.grad)


def test_the_digits_network_is_the_one_that_torch_builds():
    generator = torch.Generator().manual_seed(3)
    network = lecture.DigitsNetwork()
    theta = network.start(generator)
    assert theta.shape == (19_210,)
    model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 10))
    w1, b1, w2, b2 = theta.split(network.SIZES)
    with torch.no_grad():
        for parameter, part in zip(model.parameters(), (w1.view(64, 256).T, b1, w2.view(256, 10).T, b2), strict=True):
            parameter.copy_(part)
    assert len(parameters_to_vector(model.parameters())) == len(theta)
    close(network.loss(theta), nn.CrossEntropyLoss()(model(network.x), network.y).detach())


def test_slopes_and_bends_are_those_of_each_little_network(rng):
    thetas = normal(rng, 3, 16)
    slopes, bends = lecture.slopes_and_bends(thetas)
    for theta, slope, bend in zip(thetas, slopes, bends, strict=True):
        close(
            slope,
            approx_fprime(theta.numpy(), lambda t: lecture.little_network(torch.from_numpy(t)).item(), 1e-7),
            1e-5,
        )
        close(bend, torch.autograd.functional.hessian(lecture.little_network, theta))


def test_the_search_finds_critical_points_of_the_little_network():
    places, g, first = lecture.find_critical_points(60)
    flat = (g.norm(dim=1) <= 1e-7 * first.norm(dim=1)).nonzero()[:, 0]
    assert len(flat) >= 5
    for index in flat:
        close(g[index], 0)
        close(lecture.gradient(lecture.little_network, places[index]), 0)


# ---------------------------------------------------------------- slopes


@pytest.mark.parametrize(("loss", "size"), LANDSCAPES)
def test_the_numerical_gradient_is_that_of_autograd(rng, loss, size):
    theta = 0.7 * normal(rng, size)
    leaf = theta.clone().requires_grad_()
    (exact,) = torch.autograd.grad(loss(leaf), leaf)
    close(lecture.numerical_gradient(loss, theta), exact)


def test_a_coarse_central_difference_has_a_closed_form(rng):
    # Of t^3: 3 t^2 + h^2. Of t^4: 4 t^3 + 4 t h^2. Of exp t: exp t sinh h / h.
    theta, h = normal(rng, 5), 0.4
    t = theta.numpy()
    close(lecture.numerical_gradient(lambda t: (t**3).sum(), theta, h), 3 * t**2 + h**2)
    close(lecture.numerical_gradient(lambda t: (t**4).sum(), theta, h), 4 * t**3 + 4 * t * h**2)
    close(lecture.numerical_gradient(lambda t: torch.exp(t).sum(), theta, h), np.exp(t) * math.sinh(h) / h)


def test_flat_is_relative_to_the_start(rng):
    for _ in range(50):
        g, start = rng.normal(size=(2, 6)) * 10 ** rng.uniform(-4, 4, size=(2, 1))
        tolerance = 10 ** rng.uniform(-4, 1)
        ratio = math.dist(g, np.zeros(6)) / math.dist(start, np.zeros(6))
        got = lecture.is_critical_point(torch.from_numpy(g), torch.from_numpy(start), tolerance)
        assert got is (ratio <= tolerance)


def test_flat_at_the_edges():
    zero, one, nan = (torch.tensor([value], dtype=torch.float64) for value in (0.0, 1.0, math.nan))
    assert lecture.is_critical_point(zero, zero) is True
    assert lecture.is_critical_point(one, zero) is False
    assert lecture.is_critical_point(nan, one) is False


# ---------------------------------------------------------------- bends


@pytest.mark.parametrize(("loss", "size"), LANDSCAPES)
def test_the_hessian_is_torch_s(rng, loss, size):
    theta = normal(rng, size)
    close(lecture.hessian(loss, theta), torch.autograd.functional.hessian(loss, theta))
    close(lecture.hessian(loss, theta), torch.func.hessian(loss)(theta))


@pytest.mark.parametrize(("loss", "size"), LANDSCAPES)
def test_the_hessian_is_that_of_finite_differences(rng, loss, size):
    theta, h = 0.5 * normal(rng, size), 1e-4
    units = h * torch.eye(size, dtype=torch.float64)
    corners = [[[loss(theta + s * a + t * b).item() for s in (1, -1) for t in (1, -1)] for b in units] for a in units]
    pp, pm, mp, mm = np.moveaxis(np.array(corners), -1, 0)
    close(lecture.hessian(loss, theta), (pp - pm - mp + mm) / (4 * h * h), 1e-4)


def test_the_hessian_of_a_least_squares_fit_has_a_closed_form(rng):
    x, y = normal(rng, 9, 4), normal(rng, 9)
    close(lecture.hessian(lambda theta: ((x @ theta - y) ** 2).mean(), normal(rng, 4)), 2 / 9 * x.T @ x)


def test_a_linear_loss_has_no_bend(rng):
    slope, theta = normal(rng, 3), normal(rng, 3)
    close(lecture.hessian(lambda theta: slope @ theta, theta), np.zeros((3, 3)))
    close(lecture.hessian_vector_product(lambda theta: slope @ theta, theta, normal(rng, 3)), np.zeros(3))


@pytest.mark.parametrize(("loss", "size"), LANDSCAPES)
def test_the_product_is_torch_s(rng, loss, size):
    theta, v = normal(rng, size), normal(rng, size)
    got = lecture.hessian_vector_product(loss, theta, v)
    close(got, torch.autograd.functional.hvp(loss, theta, v)[1])
    close(got, torch.autograd.functional.hessian(loss, theta) @ v)


def test_the_product_of_twenty_thousand_parameters_has_a_closed_form(rng):
    # L = sum of (theta_{i+1} - theta_i)^4: H is a band of three diagonals.
    theta, v = normal(rng, 20_000), normal(rng, 20_000)
    got = lecture.hessian_vector_product(lambda t: (t.diff() ** 4).sum(), theta, v)
    pull = 12 * np.diff(theta) ** 2 * np.diff(v)
    close(got, np.concatenate([[0], pull]) - np.concatenate([pull, [0]]))


# ---------------------------------------------------------------- the map


@pytest.mark.parametrize(("loss", "size"), LANDSCAPES)
def test_the_map_has_the_height_slope_and_bend_of_the_loss(rng, loss, size):
    at = normal(rng, size)

    def drawn(theta):
        return lecture.second_order_approximation(loss, at, theta)

    close(drawn(at), loss(at))
    close(torch.autograd.functional.jacobian(drawn, at), torch.autograd.functional.jacobian(loss, at))
    far = at + 3 * normal(rng, size)
    close(torch.autograd.functional.hessian(drawn, far), torch.autograd.functional.hessian(loss, at))


def test_the_map_of_a_polynomial_of_one_parameter_is_its_taylor_polynomial(rng):
    loss = np.polynomial.Polynomial(rng.normal(size=6))
    at, theta = rng.normal(size=2)
    terms = [loss(at), loss.deriv(1)(at) * (theta - at), loss.deriv(2)(at) / 2 * (theta - at) ** 2]

    def as_tensor(t):
        return sum(c * t[0] ** k for k, c in enumerate(loss.coef.tolist()))

    close(lecture.second_order_approximation(as_tensor, *torch.tensor([[at], [theta]])), sum(terms))


def test_the_map_of_many_points_is_that_of_each(rng):
    at, points = normal(rng, 4), normal(rng, 6, 4)
    many = lecture.second_order_approximation(tangled, at, points)
    close(many, [lecture.second_order_approximation(tangled, at, point) for point in points])


# ---------------------------------------------------------------- eigenvalues


def signs_of(rng, size):
    return rng.choice([-1.0, 0.0, 1.0], size=size)


def test_the_kind_follows_from_the_signs(rng):
    for _ in range(40):
        signs = signs_of(rng, int(rng.integers(1, 6)))
        matrix, _ = with_eigenvalues(rng, signs * rng.uniform(0.1, 3, size=len(signs)) * 10.0 ** rng.integers(-8, 8))
        has = set(signs.tolist())
        if {1.0, -1.0} <= has:
            kind = "saddle"
        elif 0.0 in has:
            kind = "degenerate"
        else:
            kind = "minimum" if has == {1.0} else "maximum"
        assert lecture.classify_critical_point(matrix) == kind
        close(lecture.minimum_ratio(matrix), (signs == 1).mean())


def test_the_kind_of_a_nondegenerate_place_follows_from_the_leading_minors(rng):
    """Sylvester's criterion: positive definite if all leading minors are positive."""
    for _ in range(40):
        size = int(rng.integers(1, 5))
        made = rng.normal(size=(size, size))
        matrix = made + made.T + rng.uniform(-5, 5) * np.eye(size)

        def definite(m):
            return all(np.linalg.det(m[:k, :k]) > 0 for k in range(1, len(m) + 1))

        kind = "minimum" if definite(matrix) else "maximum" if definite(-matrix) else "saddle"
        assert lecture.classify_critical_point(torch.from_numpy(matrix)) == kind


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_tolerance_leaves_room_for_rounding(rng, dtype):
    for size in (2, 5, 10):
        matrix, _ = with_eigenvalues(rng, [3.0, 1.0] + [0.0] * size)
        assert lecture.classify_critical_point(matrix.to(dtype)) == "degenerate"
        close(lecture.minimum_ratio(matrix.to(dtype)), 2 / (2 + size))
        with pytest.raises(ValueError):
            lecture.escape_direction(matrix.to(dtype))


def test_the_escape_direction_is_scipy_s(rng):
    values = np.array([-3.0, -1.0, 0.0, 0.5, 4.0])
    matrix, _ = with_eigenvalues(rng, rng.permutation(values))
    u = lecture.escape_direction(matrix).numpy()
    lowest, vectors = scipy.linalg.eigh(matrix.numpy(), subset_by_index=[0, 0])
    close(lowest, -3)
    close(np.abs(u @ vectors[:, 0]), 1)
    close(matrix.numpy() @ u, -3 * u)
    close(np.linalg.norm(u), 1)


def test_no_direction_falls_more_than_the_escape_direction(rng):
    matrix, _ = with_eigenvalues(rng, rng.normal(size=4) - 1)
    u = lecture.escape_direction(matrix)
    others = normal(rng, 5000, 4)
    others = others / others.norm(dim=1, keepdim=True)
    assert (u @ matrix @ u) <= torch.einsum("ni,ij,nj->n", others, matrix, others).min() + 1e-12


def test_the_escape_is_the_best_place_at_that_distance_for_a_quadratic_loss(rng):
    matrix, _ = with_eigenvalues(rng, [2.0, -1.0, 0.5])
    place = normal(rng, 3)
    around = normal(rng, 5000, 3)
    around = 0.3 * around / around.norm(dim=1, keepdim=True)

    def loss(theta):
        return (theta - place) @ matrix @ (theta - place) / 2

    free = lecture.escape_saddle(loss, place, distance=0.3)
    close((free - place).norm(), 0.3)
    close(loss(free), -0.5 * 0.3**2)
    assert loss(free) <= min(loss(place + step) for step in around) + 1e-12


def test_the_escape_from_the_lecture_s_saddle_has_a_closed_form():
    for r in (0.1, 0.5, 1.0):
        free = lecture.escape_saddle(lecture.two_layers, torch.zeros(2, dtype=torch.float64), r)
        close(free.abs(), [r / math.sqrt(2)] * 2)
        close(lecture.two_layers(free), (1 - r * r / 2) ** 2)


@pytest.mark.parametrize("lift", [-4.0, 4.0])
def test_the_escape_goes_to_the_side_that_falls(lift):
    free = lecture.escape_saddle(
        lambda t: t[0] ** 2 - t[1] ** 2 + lift * t[1] ** 3, torch.zeros(2, dtype=torch.float64), distance=0.5
    )
    close(free, [0, -math.copysign(0.5, lift)])


def test_there_is_no_escape_from_a_valley():
    for place in ([2.0, 0.5], [1.0, 1.0]):
        with pytest.raises(ValueError):
            lecture.escape_saddle(lecture.two_layers, torch.tensor(place, dtype=torch.float64))


# ---------------------------------------------------------------- saddle-free Newton


def test_the_step_is_that_of_the_matrix_root_of_h_squared(rng):
    matrix, _ = with_eigenvalues(rng, [3.0, -1.0, 0.2, -0.4])
    theta, g = normal(rng, 4), normal(rng, 4)
    size = scipy.linalg.sqrtm(matrix.numpy() @ matrix.numpy()).real
    close(lecture.saddle_free_newton_step(theta, g, matrix), theta.numpy() - np.linalg.solve(size, g.numpy()))


def test_the_step_has_a_limit_in_level_directions(rng):
    matrix, basis = with_eigenvalues(rng, [2.0, 0.01, -0.01, 0.0])
    theta, g = normal(rng, 4), normal(rng, 4)
    size = basis @ np.diag([2.0, 0.1, 0.1, 0.1]) @ basis.T
    got = lecture.saddle_free_newton_step(theta, g, matrix, smallest=0.1)
    close(got, theta.numpy() - np.linalg.inv(size) @ g.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_from_anywhere_saddle_free_newton_finds_a_minimum_of_the_two_layers(seed):
    theta = 2 * normal(np.random.default_rng(seed), 2)
    for _ in range(60):
        g, h = lecture.gradient(lecture.two_layers, theta), lecture.hessian(lecture.two_layers, theta)
        theta = lecture.saddle_free_newton_step(theta, g, h)
    assert lecture.two_layers(theta) < 1e-6
