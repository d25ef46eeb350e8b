"""Right solutions of lecture 4 that look unlike the reference: the hidden tests must accept them."""

import math

import numpy as np
import torch

from grader import alternative
from solutions import lecture04_critical_points as lecture

# ---------------------------------------------------------------- numerical_gradient


@alternative("numerical_gradient")
def one_copy_for_each_side(loss, theta, step=1e-5):
    g = torch.zeros_like(theta)
    for i in range(theta.numel()):
        ahead, behind = theta.clone(), theta.clone()
        ahead[i] += step
        behind[i] -= step
        g[i] = (loss(ahead) - loss(behind)) / (2 * step)
    return g


@alternative("numerical_gradient")
def in_place_with_the_old_value_put_back(loss, theta, step=1e-5):
    slopes = []
    for i in range(len(theta)):
        old = theta[i].item()
        theta[i] = old + step
        ahead = float(loss(theta))
        theta[i] = old - step
        behind = float(loss(theta))
        theta[i] = old
        slopes.append(0.5 * (ahead - behind) / step)
    return torch.tensor(slopes, dtype=theta.dtype)


@alternative("numerical_gradient")
def with_python_numbers(loss, theta, step=1e-5):
    numbers, slopes = theta.tolist(), []
    for i in range(len(numbers)):
        ahead, behind = (
            torch.tensor([*numbers[:i], numbers[i] + s, *numbers[i + 1 :]], dtype=theta.dtype) for s in (step, -step)
        )
        slopes.append(loss(ahead).item() / (2 * step) - loss(behind).item() / (2 * step))
    return theta.new_tensor(slopes)


# ---------------------------------------------------------------- is_critical_point


@alternative("is_critical_point")
def with_squares(gradient, start_gradient, tolerance=1e-3):
    return (gradient**2).sum() <= tolerance**2 * (start_gradient**2).sum()


@alternative("is_critical_point")
def with_hypot(gradient, start_gradient, tolerance=1e-3):
    return math.hypot(*gradient.tolist()) <= tolerance * math.hypot(*start_gradient.tolist())


@alternative("is_critical_point")
def with_root_mean_squares_in_numpy(gradient, start_gradient, tolerance=1e-3):
    now, first = (np.sqrt(np.mean(g.numpy() ** 2)) for g in (gradient, start_gradient))
    return now <= tolerance * first


@alternative("is_critical_point")
def case_by_case(gradient, start_gradient, tolerance=1e-3):
    if torch.isnan(gradient).any():
        return False
    if not start_gradient.any():
        return not gradient.any()
    return (torch.linalg.vector_norm(gradient) / torch.linalg.vector_norm(start_gradient)).item() < tolerance


# ---------------------------------------------------------------- hessian


@alternative("hessian")
def gradients_of_gradients(loss, theta):
    theta = theta.detach()
    slopes = torch.func.grad(loss)
    rows = [torch.func.grad(lambda t, i=i: slopes(t)[i])(theta) for i in range(len(theta))]
    return torch.stack(rows)


@alternative("hessian")
def with_backward(loss, theta):
    leaf = theta.detach().clone().requires_grad_(True)
    loss(leaf).backward(create_graph=True)
    g = leaf.grad
    made = torch.zeros(len(theta), len(theta), dtype=theta.dtype)
    if g.grad_fn is None:
        return made
    for i in range(len(theta)):
        leaf.grad = None
        g[i].backward(retain_graph=True)
        made[:, i] = leaf.grad
    leaf.grad = None
    return made


@alternative("hessian")
def all_rows_at_once(loss, theta):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta) + 0 * (theta**2).sum(), theta, create_graph=True)
    every = torch.eye(len(theta), dtype=theta.dtype)
    return torch.autograd.grad(g, theta, grad_outputs=every, is_grads_batched=True)[0]


@alternative("hessian")
def column_by_column_forward(loss, theta):
    theta = theta.detach()
    units, slopes = torch.eye(len(theta), dtype=theta.dtype), torch.func.grad(loss)
    return torch.stack([torch.func.jvp(slopes, (theta,), (e,))[1] for e in units], dim=1)


@alternative("hessian")
def entry_by_entry_in_numpy(loss, theta):
    d = theta.shape[0]
    made = np.zeros((d, d))
    leaf = theta.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    for i in range(d):
        if g.requires_grad:
            row = torch.autograd.grad(g[i], leaf, retain_graph=True, allow_unused=True)[0]
            for j in range(i + 1):
                made[i, j] = made[j, i] = 0.0 if row is None else float(row[j])
    return torch.from_numpy(made).to(theta.dtype)


@alternative("hessian")
def from_products_with_unit_vectors(loss, theta):
    return torch.stack([lecture.hessian_vector_product(loss, theta, e) for e in torch.eye(len(theta)).to(theta.dtype)])


# ---------------------------------------------------------------- hessian_vector_product


@alternative("hessian_vector_product")
def with_grad_outputs(loss, theta, v):
    x = theta.clone().detach().requires_grad_(True)
    g = torch.autograd.grad(loss(x), x, create_graph=True)[0]
    if g.grad_fn is None:
        return torch.zeros_like(x)
    return torch.autograd.grad(g, x, grad_outputs=v.detach())[0].detach()


@alternative("hessian_vector_product")
def forward_over_reverse(loss, theta, v):
    return torch.func.jvp(torch.func.grad(loss), (theta.detach(),), (v.detach(),))[1]


@alternative("hessian_vector_product")
def reverse_over_reverse(loss, theta, v):
    _, pull_back = torch.func.vjp(torch.func.grad(loss), theta.detach())
    return pull_back(v.detach())[0]


@alternative("hessian_vector_product")
def gradient_of_the_slope_along_v(loss, theta, v):
    theta, v = theta.detach(), v.detach()
    return torch.func.grad(lambda t: torch.func.jvp(loss, (t,), (v,))[1])(theta)


@alternative("hessian_vector_product")
def with_backward_twice(loss, theta, v):
    leaf = theta.detach().clone()
    leaf.requires_grad = True
    value = loss(leaf) + 0.0 * (leaf * leaf).sum()
    (g,) = torch.autograd.grad(value, leaf, create_graph=True)
    torch.dot(g, v.detach()).backward()
    return leaf.grad


# ---------------------------------------------------------------- second_order_approximation


@alternative("second_order_approximation")
def point_by_point(loss, at, theta):
    height, g, h = loss(at), lecture.gradient(loss, at), lecture.hessian(loss, at)

    def one(v):
        return height + torch.dot(g, v) + torch.dot(v, torch.mv(h, v)) / 2

    return one(theta - at) if theta.dim() == 1 else torch.stack([one(row - at) for row in theta])


@alternative("second_order_approximation")
def with_einsum(loss, at, theta):
    v, h = theta - at, torch.autograd.functional.hessian(loss, at)
    return (
        loss(at)
        + torch.einsum("...i,i->...", v, lecture.gradient(loss, at))
        + torch.einsum("...i,ij,...j->...", v / 2, h, v)
    )


@alternative("second_order_approximation")
def with_products(loss, at, theta):
    rows = []
    for point in theta.reshape(-1, len(at)):
        v = point - at
        bent = lecture.gradient(loss, at) + 0.5 * lecture.hessian_vector_product(loss, at, v)
        rows.append(float(loss(at) + v @ bent))
    made = torch.tensor(rows, dtype=theta.dtype)
    return made if theta.ndim == 2 else made[0]


@alternative("second_order_approximation")
def derivatives_along_the_way(loss, at, theta):
    def one(way):
        def height(t):
            return loss(at + t * way)

        zero = torch.zeros((), dtype=at.dtype)
        slope, bend = torch.func.grad(height), torch.func.grad(torch.func.grad(height))
        return height(zero) + slope(zero) + bend(zero) / 2

    ways = theta - at
    return one(ways) if ways.dim() == 1 else torch.stack([one(way) for way in ways])


# ---------------------------------------------------------------- classify_critical_point


@alternative("classify_critical_point")
def by_counting_in_numpy(hessian, tolerance=1e-5):
    values = np.linalg.eigvalsh(hessian.numpy())
    limit = tolerance * max(abs(values))
    up, down = sum(values > limit), sum(values < -limit)
    if up > 0 and down > 0:
        return "saddle"
    if up == len(values):
        return "minimum"
    return "maximum" if down == len(values) else "degenerate"


@alternative("classify_critical_point")
def by_the_two_ends(hessian, tolerance=1e-5):
    values = sorted(torch.linalg.eigvals(hessian).real.tolist())
    lowest, highest = values[0], values[-1]
    zero = tolerance * max(-lowest, highest, 0.0)
    if lowest < -zero and highest > zero:
        return "saddle"
    if lowest > zero:
        return "minimum"
    if highest < -zero:
        return "maximum"
    return "degenerate"


@alternative("classify_critical_point")
def by_the_signs(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigh(hessian)[0]
    size = curvature.abs().max()
    if size == 0:
        return "degenerate"
    signs = set(torch.where((curvature / size).abs() <= tolerance, 0, curvature.sign()).tolist())
    names = {frozenset({1.0}): "minimum", frozenset({-1.0}): "maximum"}
    return "saddle" if {1.0, -1.0} <= signs else names.get(frozenset(signs), "degenerate")


# ---------------------------------------------------------------- escape_direction


@alternative("escape_direction")
def with_numpy(hessian, tolerance=1e-5):
    values, vectors = np.linalg.eigh(hessian.numpy())
    if not values.min() < -tolerance * np.abs(values).max():
        raise ValueError
    return torch.tensor(-vectors[:, np.argmin(values)])


@alternative("escape_direction")
def with_the_general_eigenvalues(hessian, tolerance=1e-5):
    values, vectors = torch.linalg.eig(hessian)
    values, vectors = values.real, vectors.real
    lowest = values.argmin()
    if values[lowest] >= -tolerance * values.abs().max():
        raise ValueError("level, or rising everywhere")
    return vectors[:, lowest] / torch.linalg.norm(vectors[:, lowest])


@alternative("escape_direction")
def by_power_iteration(hessian, tolerance=1e-5):
    size = torch.linalg.matrix_norm(hessian, 2)
    turned = (1.001 * size * torch.eye(len(hessian), dtype=hessian.dtype) - hessian).double()
    for _ in range(16):  # to the power of 65,536
        turned = turned @ turned
        turned = turned / turned.norm().clamp(min=1e-300)
    u = turned @ torch.linspace(1, 2, len(hessian), dtype=torch.float64)
    u = (u / u.norm().clamp(min=1e-300)).to(hessian.dtype)
    if u @ hessian @ u >= -tolerance * size:
        raise ValueError("no way down")
    return u


# ---------------------------------------------------------------- escape_saddle


@alternative("escape_saddle")
def with_an_if(loss, theta, distance=0.1):
    h = torch.autograd.functional.hessian(loss, theta)
    values, vectors = torch.linalg.eigh(h)
    if values.min() >= -1e-5 * values.abs().max():
        raise ValueError("not a saddle")
    way = distance * vectors[:, values.argmin()]
    if loss(theta + way) < loss(theta - way):
        return theta + way
    return theta - way


@alternative("escape_saddle")
def and_then_gradient_descent(loss, theta, distance=0.1):
    u = lecture.escape_direction(lecture.hessian(loss, theta))
    best = min(theta + distance * u, theta - distance * u, key=loss)
    place = best
    for _ in range(50):
        place = place - 0.01 * lecture.gradient(loss, place)
        if loss(place) < loss(best):
            best = place
    return best


@alternative("escape_saddle")
def as_far_as_it_falls(loss, theta, distance=0.1):
    u = lecture.escape_direction(lecture.hessian(loss, theta))
    candidates = [theta + factor * distance * u for factor in (-2, -1, -0.5, 0.5, 1, 2)]
    heights = torch.stack([loss(place) for place in candidates])
    return candidates[int(heights.argmin())]


# ---------------------------------------------------------------- minimum_ratio


@alternative("minimum_ratio")
def with_a_count(hessian, tolerance=1e-5):
    values = np.linalg.eigvalsh(hessian.numpy())
    largest = np.max(np.abs(values))
    return sum(1 for value in values if value > tolerance * largest) / len(values)


@alternative("minimum_ratio")
def as_a_tensor(hessian, tolerance=1e-5):
    values = torch.linalg.eigvals(hessian).real
    return (values > tolerance * values.abs().max()).float().mean()


@alternative("minimum_ratio")
def scaled_first(hessian, tolerance=1e-5):
    values = torch.linalg.eigvalsh(hessian)
    if not values.any():
        return 0
    return np.mean((values / values.abs().max() > tolerance).numpy())


# ---------------------------------------------------------------- saddle_free_newton_step


@alternative("saddle_free_newton_step")
def with_the_matrix_itself(theta, gradient, hessian, smallest=1e-3):
    values, vectors = torch.linalg.eigh(hessian)
    sizes = torch.where(values.abs() < smallest, smallest, values.abs())
    return theta - torch.linalg.solve(vectors @ torch.diag(sizes) @ vectors.T, gradient)


@alternative("saddle_free_newton_step")
def with_singular_values(theta, gradient, hessian, smallest=1e-3):
    _, sizes, rows = torch.linalg.svd(hessian)  # of a symmetric matrix: the sizes of its eigenvalues
    return theta - rows.T @ (rows @ gradient / torch.clamp(sizes, min=smallest))


@alternative("saddle_free_newton_step")
def direction_by_direction(theta, gradient, hessian, smallest=1e-3):
    values, vectors = np.linalg.eigh(hessian.numpy())
    place = theta.clone()
    for value, u in zip(values, vectors.T):
        u = torch.from_numpy(u.copy())
        place -= (u @ gradient) / max(abs(float(value)), smallest) * u
    return place
