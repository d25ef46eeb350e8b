"""Mistakes that students make in lecture 4: each must lose points, and is named when it explains an answer."""

import numpy as np
import torch

from grader import misconception
from solutions import lecture04_critical_points as lecture

GRADIENT = "Lecture 4, Critical point: the gradient"
HESSIAN = "Lecture 4, Hessian matrix"
TAYLOR = "Lecture 4, Hessian matrix: the loss around a point"
EIGENVALUES = "Lecture 4, Eigenvalues: local minimum or saddle point"
ESCAPE = "Lecture 4, Eigenvalues: the way out of a saddle point"
RATIO = "Lecture 4, Saddle point against local minimum: the minimum ratio"

# ---------------------------------------------------------------- numerical_gradient


def units(theta):
    return torch.eye(len(theta), dtype=theta.dtype)


@misconception(
    "numerical_gradient",
    "You compare the height ahead with the height where you stand: a one-sided difference, whose error is of the "
    "order of the step. A central difference looks to both sides.",
    lecture=GRADIENT,
)
def forward_difference(loss, theta, step=1e-5):
    return torch.stack([(loss(theta + step * e) - loss(theta)) / step for e in units(theta)])


@misconception(
    "numerical_gradient",
    "You compare the height where you stand with the height behind you. A central difference looks to both sides.",
    lecture=GRADIENT,
)
def backward_difference(loss, theta, step=1e-5):
    return torch.stack([(loss(theta) - loss(theta - step * e)) / step for e in units(theta)])


@misconception(
    "numerical_gradient",
    "Your slopes are twice too large: the two places are 2h apart, and you divide by h.",
    lecture=GRADIENT,
)
def step_not_halved(loss, theta, step=1e-5):
    return torch.stack([(loss(theta + step * e) - loss(theta - step * e)) / step for e in units(theta)])


@misconception(
    "numerical_gradient",
    "You step aside by h/2 and not by h. In the end you may divide by the right length, but the step that was asked "
    "for reaches further.",
    lecture=GRADIENT,
)
def half_a_step(loss, theta, step=1e-5):
    return torch.stack([(loss(theta + step / 2 * e) - loss(theta - step / 2 * e)) / step for e in units(theta)])


@misconception(
    "numerical_gradient",
    "You change the caller's theta as you go and do not put it back: the next parameter is measured from another "
    "place.",
    lecture=GRADIENT,
)
def moves_theta(loss, theta, step=1e-5):
    slopes = []
    for i in range(len(theta)):
        theta[i] += step
        ahead = loss(theta).clone()
        theta[i] -= 2 * step
        slopes.append((ahead - loss(theta)) / (2 * step))
    return torch.stack(slopes)


@misconception(
    "numerical_gradient",
    "You step aside in the caller's theta, and step back by adding what you took away. Rounding does not bring you "
    "home exactly: afterwards theta is a little off. Work on a copy.",
    lecture=GRADIENT,
)
def comes_back_with_rounding(loss, theta, step=1e-5):
    slopes = []
    for i in range(len(theta)):
        theta[i] += step
        ahead = loss(theta).clone()
        theta[i] -= 2 * step
        slopes.append((ahead - loss(theta)) / (2 * step))
        theta[i] += step
    return torch.stack(slopes)


@misconception(
    "numerical_gradient",
    "You copy theta once and never undo the steps on your copy: each parameter is measured with all earlier ones "
    "moved.",
    lecture=GRADIENT,
)
def steps_pile_up(loss, theta, step=1e-5):
    ahead, behind, slopes = theta.clone(), theta.clone(), []
    for i in range(len(theta)):
        ahead[i] += step
        behind[i] -= step
        slopes.append((loss(ahead) - loss(behind)) / (2 * step))
    return torch.stack(slopes)


@misconception(
    "numerical_gradient",
    "You move all parameters at once: that is the sum of all slopes, the same for each parameter.",
    lecture=GRADIENT,
)
def moves_all_at_once(loss, theta, step=1e-5):
    return ((loss(theta + step) - loss(theta - step)) / (2 * step)).expand(len(theta)).clone()


@misconception(
    "numerical_gradient",
    "Your sign is turned round: it is the height ahead minus the height behind.",
    lecture=GRADIENT,
)
def sign_turned_round(loss, theta, step=1e-5):
    return -lecture.numerical_gradient(loss, theta, step)


@misconception(
    "numerical_gradient",
    "You let autograd differentiate. This walker has only feet: the loss may be a black box, and the step counts.",
    lecture=GRADIENT,
)
def lets_autograd_do_it(loss, theta, step=1e-5):
    return lecture.gradient(loss, theta)


@misconception(
    "numerical_gradient",
    "You use a step of your own, whatever step the caller asks for.",
    lecture=GRADIENT,
)
def ignores_the_step(loss, theta, step=1e-5):
    return lecture.numerical_gradient(loss, theta, 1e-5)


@misconception(
    "numerical_gradient",
    "Your gradient is made with PyTorch's default dtype, float32: of float64 parameters it keeps only 7 digits.",
    lecture=GRADIENT,
)
def collects_in_float32(loss, theta, step=1e-5):
    slopes = torch.zeros(len(theta))
    for i, e in enumerate(units(theta)):
        slopes[i] = (loss(theta + step * e) - loss(theta - step * e)) / (2 * step)
    return slopes


@misconception(
    "numerical_gradient",
    "Your gradient is always float64, even if theta is float32.",
    lecture=GRADIENT,
)
def collects_in_float64(loss, theta, step=1e-5):
    return lecture.numerical_gradient(loss, theta, step).double()


# ---------------------------------------------------------------- is_critical_point


@misconception(
    "is_critical_point",
    "You look at one component of the gradient only. The ground is flat if all slopes are small.",
    lecture=GRADIENT,
)
def checks_the_first_component(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient[0].abs() <= tolerance * start_gradient.norm())


@misconception(
    "is_critical_point",
    "You add up the components with their signs: a rise in one direction and a fall in another cancel, though the "
    "ground is steep.",
    lecture=GRADIENT,
)
def signed_sum(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.sum().abs() <= tolerance * start_gradient.sum().abs())


@misconception(
    "is_critical_point",
    "You look for components that are large and forget their sign: a steep fall counts as flat for you.",
    lecture=GRADIENT,
)
def forgets_the_sign(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.max() <= tolerance * start_gradient.norm())


@misconception(
    "is_critical_point",
    "You compare the largest component with the tolerance, not the norm. Many small slopes together can be a steep "
    "one.",
    lecture=GRADIENT,
)
def largest_component_for_the_norm(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.abs().max() <= tolerance * start_gradient.norm())


@misconception(
    "is_critical_point",
    "You compare the norm with the tolerance itself. Measure the loss in another unit, and your answer changes at "
    "the same place.",
    lecture=GRADIENT,
)
def absolute_tolerance(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.norm() <= tolerance)


@misconception(
    "is_critical_point",
    "You compare with the slope of the start, but never with less than 1: where all slopes are small numbers, "
    "everything is flat for you.",
    lecture=GRADIENT,
)
def relative_but_at_least_one(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.norm() <= tolerance * max(1.0, float(start_gradient.norm())))


@misconception(
    "is_critical_point",
    "You compare squared norms with the plain tolerance: 0.001 then lets pass a gradient of 3 % of the first one.",
    lecture=GRADIENT,
)
def squares_without_the_tolerance(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient @ gradient <= tolerance * (start_gradient @ start_gradient))


@misconception(
    "is_critical_point",
    "You ask for less than, and not for at most: where the first gradient was zero, even a gradient of zero is not "
    "flat.",
    lecture=GRADIENT,
)
def strictly_less(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.norm() < tolerance * start_gradient.norm())


@misconception(
    "is_critical_point",
    "You divide by the norm of the first gradient. If that is zero, you get NaN or infinity instead of an answer.",
    lecture=GRADIENT,
    same_as="strictly_less",
)
def divides_by_the_first_norm(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.norm() / start_gradient.norm() <= tolerance)


@misconception(
    "is_critical_point",
    "You ask whether the gradient is too steep, and answer with the opposite. A comparison with NaN is always "
    "False, so a broken gradient counts as flat.",
    lecture=GRADIENT,
)
def nan_counts_as_flat(gradient, start_gradient, tolerance=1e-3):
    return not bool(gradient.norm() > tolerance * start_gradient.norm())


@misconception(
    "is_critical_point",
    "Your answer is turned round: True is for flat ground.",
    lecture=GRADIENT,
)
def answer_turned_round(gradient, start_gradient, tolerance=1e-3):
    return bool(gradient.norm() > tolerance * start_gradient.norm())


# ---------------------------------------------------------------- hessian


@misconception(
    "hessian",
    "You multiply the gradient with itself, g g^T. That is made of slopes only and knows nothing of the bend: at a "
    "critical point it is zero.",
    lecture=HESSIAN,
)
def outer_product_of_gradients(loss, theta):
    g = lecture.gradient(loss, theta)
    return torch.outer(g, g)


@misconception(
    "hessian",
    "You fill the diagonal only. How a slope changes when *another* parameter moves is missing: at the lecture's "
    "saddle point your H is all zeros.",
    lecture=HESSIAN,
)
def diagonal_only(loss, theta):
    return torch.diag(torch.diag(lecture.hessian(loss, theta)))


@misconception(
    "hessian",
    "You differentiate the sum of all slopes. That gives the sum of all rows of H, and each of your rows is the same.",
    lecture=HESSIAN,
)
def every_row_the_sum(loss, theta):
    return lecture.hessian(loss, theta).sum(dim=0).expand(len(theta), -1).clone()


@misconception(
    "hessian",
    "You differentiate the sum of all slopes once. That is one vector, the sum of the rows of H, and not the matrix.",
    lecture=HESSIAN,
)
def sum_of_the_rows(loss, theta):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    return torch.autograd.grad(g.sum(), theta)[0] if g.requires_grad else torch.zeros_like(g)


@misconception(
    "hessian",
    "You return the second derivatives along each parameter as a vector. H is a matrix, with one entry for each pair.",
    lecture=HESSIAN,
)
def the_diagonal_as_a_vector(loss, theta):
    return torch.diag(lecture.hessian(loss, theta)).clone()


@misconception(
    "hessian",
    "You compute the gradient without `create_graph=True`: it then has no graph, and nobody can differentiate it "
    "again.",
    lecture=HESSIAN,
)
def gradient_without_a_graph(loss, theta):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta)
    return torch.stack([torch.autograd.grad(slope, theta, retain_graph=True)[0] for slope in g])


@misconception(
    "hessian",
    "The graph is thrown away after the first row: keep it with `retain_graph=True`, as every row needs it again.",
    lecture=HESSIAN,
)
def graph_not_kept(loss, theta):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if not g.requires_grad:
        return torch.zeros(len(theta), len(theta), dtype=theta.dtype)
    return torch.stack([torch.autograd.grad(slope, theta, retain_graph=False)[0] for slope in g])


@misconception(
    "hessian",
    "You collect the rows with `.backward()` and never clear `.grad`: each row has all earlier rows added to it.",
    lecture=HESSIAN,
)
def rows_pile_up(loss, theta):
    return lecture.hessian(loss, theta).cumsum(dim=0)


@misconception(
    "hessian",
    "On a plain slope the gradient does not depend on theta and has no graph; your second differentiation then "
    "fails. The Hessian is simply zero there.",
    lecture=HESSIAN,
)
def fails_on_a_plain_slope(loss, theta):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    return torch.stack([torch.autograd.grad(slope, theta, retain_graph=True)[0] for slope in g])


@misconception(
    "hessian",
    "You differentiate once and then take differences of gradients. That is only nearly right, and on finely "
    "wrinkled ground it is wrong: differentiate both times.",
    lecture=HESSIAN,
)
def differences_of_gradients(loss, theta):
    theta = theta.detach()
    steps = 1e-5 * torch.eye(len(theta), dtype=theta.dtype)
    rows = [(lecture.gradient(loss, theta + h) - lecture.gradient(loss, theta - h)) / 2e-5 for h in steps]
    made = torch.stack(rows)
    return (made + made.T) / 2


@misconception(
    "hessian",
    "You halve the second derivatives. The 1/2 belongs to Taylor's formula, not to H.",
    lecture=HESSIAN,
)
def half_of_it(loss, theta):
    return lecture.hessian(loss, theta) / 2


@misconception(
    "hessian",
    "You fill the part below the diagonal only, and leave the rest zero. H is symmetric: H_ij = H_ji.",
    lecture=HESSIAN,
)
def one_triangle_only(loss, theta):
    return torch.tril(lecture.hessian(loss, theta))


@misconception(
    "hessian",
    "You switch `requires_grad` on for the caller's own theta. From then on everything that the caller computes "
    "with it is recorded. Detach a copy first.",
    lecture=HESSIAN,
)
def marks_the_caller_s_theta(loss, theta):
    theta.requires_grad_()
    return lecture.hessian(loss, theta)


@misconception(
    "hessian",
    "You call `.backward()` on a graph that leads to the caller's theta: its `.grad` is changed, and the next "
    "update of an optimizer would use it.",
    lecture=HESSIAN,
)
def leaves_a_gradient_behind(loss, theta):
    if theta.requires_grad:
        loss(theta).backward()
    return lecture.hessian(loss, theta)


@misconception(
    "hessian",
    "Your matrix is made with PyTorch's default dtype, float32: of float64 parameters it keeps only 7 digits.",
    lecture=HESSIAN,
)
def matrix_in_float32(loss, theta):
    return lecture.hessian(loss, theta).float()


@misconception(
    "hessian",
    "Your matrix is always float64, even if theta is float32.",
    lecture=HESSIAN,
)
def matrix_in_float64(loss, theta):
    return lecture.hessian(loss, theta).double()


# ---------------------------------------------------------------- hessian_vector_product


@misconception(
    "hessian_vector_product",
    "You build H and then multiply. With 20,000 parameters H has 400 million entries, 3.2 GB, and each of its rows "
    "costs a backward pass: all that for one vector.",
    lecture=HESSIAN,
)
def builds_the_hessian(loss, theta, v):
    made = torch.zeros(len(theta), len(theta), dtype=theta.dtype)
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if g.requires_grad:
        for i, slope in enumerate(g):
            made[i] = torch.autograd.grad(slope, theta, retain_graph=True)[0]
    return (made @ v).detach()


@misconception(
    "hessian_vector_product",
    "You build H, all rows in one go, and then multiply. It is fast as long as H fits into memory: with 20,000 "
    "parameters it has 400 million entries.",
    lecture=HESSIAN,
    same_as="builds_the_hessian",
)
def builds_the_hessian_at_once(loss, theta, v):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if not g.requires_grad:
        return torch.zeros_like(g)
    every = torch.eye(len(theta), dtype=theta.dtype)
    (made,) = torch.autograd.grad(g, theta, grad_outputs=every, is_grads_batched=True)
    return (made @ v).detach()


@misconception(
    "hessian_vector_product",
    "You return the single number v^T H v, the curvature along v. The product Hv is a vector.",
    lecture=HESSIAN,
)
def curvature_for_the_product(loss, theta, v):
    return v @ lecture.hessian_vector_product(loss, theta, v)


@misconception(
    "hessian_vector_product",
    "You return g · v, the slope along v. It has to be differentiated once more.",
    lecture=HESSIAN,
)
def slope_along_v(loss, theta, v):
    return lecture.gradient(loss, theta) @ v


@misconception(
    "hessian_vector_product",
    "You differentiate the sum of all slopes and multiply with v entry by entry. Multiply the slopes with v first, "
    "and differentiate their sum.",
    lecture=HESSIAN,
)
def multiplies_afterwards(loss, theta, v):
    return lecture.hessian_vector_product(loss, theta, torch.ones_like(theta)) * v


@misconception(
    "hessian_vector_product",
    "You use g g^T in place of H: what you get is the gradient, (g · v) times as long.",
    lecture=HESSIAN,
)
def outer_product_times_v(loss, theta, v):
    g = lecture.gradient(loss, theta)
    return g * (g @ v)


@misconception(
    "hessian_vector_product",
    "You take the difference of two gradients a small step apart. That is only nearly right, and on finely wrinkled "
    "ground it is wrong: differentiate both times.",
    lecture=HESSIAN,
)
def difference_of_two_gradients(loss, theta, v):
    h = 1e-5 / max(1.0, float(v.norm()))
    ahead, behind = (lecture.gradient(loss, theta.detach() + s * h * v.detach()) for s in (1, -1))
    return (ahead - behind) / (2 * h)


@misconception(
    "hessian_vector_product",
    "You take the difference of the gradients at theta + v and at theta. Only where the bend is the same everywhere "
    "is that Hv.",
    lecture=HESSIAN,
)
def difference_over_the_whole_way(loss, theta, v):
    return lecture.gradient(loss, theta.detach() + v.detach()) - lecture.gradient(loss, theta)


@misconception(
    "hessian_vector_product",
    "You scale v to length 1 first. The product with a vector twice as long is twice as long.",
    lecture=HESSIAN,
)
def scales_v_to_length_one(loss, theta, v):
    return lecture.hessian_vector_product(loss, theta, v / v.norm().clamp(min=1e-12))


@misconception(
    "hessian_vector_product",
    "You let the gradient flow through v as well. When v is theta itself, the product rule then adds the gradient "
    "to your answer. v is a constant.",
    lecture=HESSIAN,
)
def differentiates_v_too(loss, theta, v):
    same = v is theta
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if not g.requires_grad:
        return torch.zeros_like(g)
    return torch.autograd.grad(g @ (theta if same else v), theta)[0]


@misconception(
    "hessian_vector_product",
    "On a plain slope the gradient does not depend on theta and has no graph; your second differentiation then "
    "fails. The product is simply zero there.",
    lecture=HESSIAN,
)
def product_fails_on_a_plain_slope(loss, theta, v):
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    return torch.autograd.grad(g @ v, theta)[0]


@misconception(
    "hessian_vector_product",
    "You switch `requires_grad` on for the caller's own theta. From then on everything that the caller computes "
    "with it is recorded. Detach a copy first.",
    lecture=HESSIAN,
)
def product_marks_the_caller_s_theta(loss, theta, v):
    product = lecture.hessian_vector_product(loss, theta, v)
    theta.requires_grad_()
    return product


# ---------------------------------------------------------------- second_order_approximation


def taylor(loss, at, theta, height=1.0, slope=1.0, bend=0.5):
    v = theta - at
    g, h = lecture.gradient(loss, at), lecture.hessian(loss, at)
    return height * loss(at) + slope * (v @ g) + bend * ((v @ h) * v).sum(dim=-1)


@misconception(
    "second_order_approximation",
    "The half in front of the bend is missing.",
    lecture=TAYLOR,
)
def without_the_half(loss, at, theta):
    return taylor(loss, at, theta, bend=1.0)


@misconception(
    "second_order_approximation",
    "The gradient term is missing. It vanishes at a critical point, but θ' may be any place.",
    lecture=TAYLOR,
)
def without_the_gradient(loss, at, theta):
    return taylor(loss, at, theta, slope=0.0)


@misconception(
    "second_order_approximation",
    "You return how much the loss changes. The height L(θ') from which it changes is missing.",
    lecture=TAYLOR,
)
def without_the_height(loss, at, theta):
    return taylor(loss, at, theta, height=0.0)


@misconception(
    "second_order_approximation",
    "The bend is missing: that is the approximation of first order.",
    lecture=TAYLOR,
)
def without_the_bend(loss, at, theta):
    return taylor(loss, at, theta, bend=0.0)


@misconception(
    "second_order_approximation",
    "Your way goes backwards: from θ to θ'. The bend does not notice, but the slope changes its sign.",
    lecture=TAYLOR,
)
def way_turned_round(loss, at, theta):
    return taylor(loss, at, theta, slope=-1.0)


@misconception(
    "second_order_approximation",
    "You take slope and bend at θ. You stand at θ': all that the map may use is known there.",
    lecture=TAYLOR,
)
def slope_and_bend_at_theta(loss, at, theta):
    rows = [
        loss(at) + (t - at) @ lecture.gradient(loss, t) + 0.5 * (t - at) @ lecture.hessian(loss, t) @ (t - at)
        for t in theta.reshape(-1, len(at))
    ]
    return torch.stack(rows).reshape(theta.shape[:-1])


@misconception(
    "second_order_approximation",
    "You call the loss at θ. The map is drawn at θ' alone: it guesses the loss elsewhere and does not look it up.",
    lecture=TAYLOR,
)
def looks_up_the_loss(loss, at, theta):
    return torch.stack([loss(t) for t in theta.reshape(-1, len(at))]).reshape(theta.shape[:-1])


@misconception(
    "second_order_approximation",
    "You use the diagonal of H only: what two parameters do together is missing.",
    lecture=TAYLOR,
)
def bend_along_the_axes_only(loss, at, theta):
    v = theta - at
    diagonal = torch.diag(lecture.hessian(loss, at))
    return loss(at) + v @ lecture.gradient(loss, at) + 0.5 * (v * v) @ diagonal


@misconception(
    "second_order_approximation",
    "For many points you multiply each with each: v H v^T is a matrix, of which only the diagonal is wanted.",
    lecture=TAYLOR,
)
def each_point_with_each(loss, at, theta):
    v = theta - at
    g, h = lecture.gradient(loss, at), lecture.hessian(loss, at)
    return loss(at) + v @ g + 0.5 * (v @ h @ v.T if v.dim() > 1 else v @ h @ v)


@misconception(
    "second_order_approximation",
    "For many points you add all of them up. Each point has its own height.",
    lecture=TAYLOR,
)
def adds_the_points_up(loss, at, theta):
    return taylor(loss, at, theta).sum()


@misconception(
    "second_order_approximation",
    "For one point you return a vector with one entry. One point has one height: a tensor without dimensions.",
    lecture=TAYLOR,
)
def one_point_as_many(loss, at, theta):
    return taylor(loss, at, theta).reshape(-1)


@misconception(
    "second_order_approximation",
    "Your answer is always float64, even if θ is float32.",
    lecture=TAYLOR,
)
def map_in_float64(loss, at, theta):
    return taylor(loss, at.double(), theta.double())


# ---------------------------------------------------------------- classify_critical_point


def said_of(rises, falls, level):
    if rises and falls:
        return "saddle"
    if level:
        return "degenerate"
    return "minimum" if rises else "maximum"


@misconception(
    "classify_critical_point",
    "You go by the trace, the sum of all curvatures. A strong rise then hides a fall in another direction.",
    lecture=EIGENVALUES,
)
def by_the_trace(hessian, tolerance=1e-5):
    trace, zero = float(torch.trace(hessian)), tolerance * float(hessian.abs().max())
    return "minimum" if trace > zero else "maximum" if trace < -zero else "saddle"


@misconception(
    "classify_critical_point",
    "You go by the determinant, the product of all eigenvalues. Two falling directions make it positive, and one "
    "zero hides all the others: the product does not know the signs.",
    lecture=EIGENVALUES,
)
def by_the_determinant(hessian, tolerance=1e-5):
    determinant = float(torch.linalg.det(hessian / hessian.abs().max().clamp(min=1e-300)))
    if abs(determinant) <= tolerance:
        return "degenerate"
    if determinant < 0:
        return "saddle" if len(hessian) > 1 else "maximum"
    return "minimum" if float(hessian[0, 0]) > 0 else "maximum"


@misconception(
    "classify_critical_point",
    "You look at the diagonal of H. The signs that count are those of the eigenvalues: at the lecture's saddle "
    "point the diagonal is zero.",
    lecture=EIGENVALUES,
)
def by_the_diagonal(hessian, tolerance=1e-5):
    diagonal = torch.diag(hessian)
    zero = tolerance * hessian.abs().max()
    return said_of(bool((diagonal > zero).any()), bool((diagonal < -zero).any()), bool((diagonal.abs() <= zero).any()))


@misconception(
    "classify_critical_point",
    "You take a zero eigenvalue for a positive one. Level ground is not rising: the second order can't tell.",
    lecture=EIGENVALUES,
)
def zero_taken_for_positive(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.abs().max()
    if bool((curvature >= -zero).all()):
        return "minimum"
    return "saddle" if bool((curvature >= -zero).any()) else "maximum"


@misconception(
    "classify_critical_point",
    "You take zero eigenvalues for a pass: not all rise and not all fall, so you say saddle. A saddle needs a rise "
    "and a fall.",
    lecture=EIGENVALUES,
)
def neither_all_up_nor_all_down(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.abs().max()
    if bool((curvature > zero).all()):
        return "minimum"
    return "maximum" if bool((curvature < -zero).all()) else "saddle"


@misconception(
    "classify_critical_point",
    "You compare eigenvalues with exactly 0. Zeros come out as 1e-17 or -1e-16: you give their sign a meaning.",
    lecture=EIGENVALUES,
)
def no_tolerance(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    return said_of(bool((curvature > 0).any()), bool((curvature < 0).any()), bool((curvature == 0).any()))


@misconception(
    "classify_critical_point",
    "You compare eigenvalues with the tolerance itself. In a landscape of small numbers everything is level for "
    "you, and in one of large numbers rounding counts as a slope. Compare with the largest curvature.",
    lecture=EIGENVALUES,
)
def tolerance_is_absolute(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    rises, falls = bool((curvature > tolerance).any()), bool((curvature < -tolerance).any())
    return said_of(rises, falls, bool((curvature.abs() <= tolerance).any()))


@misconception(
    "classify_critical_point",
    "You ask for zeros before you ask for signs. Where the ground rises one way and falls another, it is a saddle, "
    "however level a third direction may be.",
    lecture=EIGENVALUES,
)
def zeros_before_signs(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    if bool((curvature.abs() <= tolerance * curvature.abs().max()).any()):
        return "degenerate"
    return lecture.classify_critical_point(hessian, tolerance)


@misconception(
    "classify_critical_point",
    "You leave the zero eigenvalues out and judge by the others. Along a level direction the loss may still fall: "
    "the second order can't tell.",
    lecture=EIGENVALUES,
)
def leaves_zeros_out(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.abs().max()
    rises, falls = bool((curvature > zero).any()), bool((curvature < -zero).any())
    return said_of(rises, falls, not rises and not falls)


@misconception(
    "classify_critical_point",
    "Minimum and maximum are swapped: positive curvature is a valley.",
    lecture=EIGENVALUES,
)
def valley_and_summit_swapped(hessian, tolerance=1e-5):
    kind = lecture.classify_critical_point(hessian, tolerance)
    return {"minimum": "maximum", "maximum": "minimum"}.get(kind, kind)


@misconception(
    "classify_critical_point",
    "You look at singular values. They are the sizes of the eigenvalues and never negative: the sign, which "
    "decides, is lost.",
    lecture=EIGENVALUES,
)
def singular_values(hessian, tolerance=1e-5):
    sizes = torch.linalg.svdvals(hessian)
    return "degenerate" if bool((sizes <= tolerance * sizes.max()).any()) else "minimum"


@misconception(
    "classify_critical_point",
    "You use a tolerance of your own, whatever the caller asks for.",
    lecture=EIGENVALUES,
)
def tolerance_of_its_own(hessian, tolerance=1e-5):
    return lecture.classify_critical_point(hessian, 1e-5)


@misconception(
    "classify_critical_point",
    "You compare with the largest eigenvalue and not with the largest in size. Where the ground mostly falls, your "
    "measure is far too small or even negative.",
    lecture=EIGENVALUES,
)
def compares_with_the_largest_signed(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.max()
    rises, falls = bool((curvature > zero).any()), bool((curvature < -zero).any())
    return said_of(rises, falls, bool((curvature.abs() <= zero).any()))


# ---------------------------------------------------------------- escape_direction


def must_fall(hessian, tolerance):
    lecture.escape_direction(hessian, tolerance)  # ValueError where there is no way down


@misconception(
    "escape_direction",
    "You return the eigenvector of the largest eigenvalue: that is the steepest way *up*.",
    lecture=ESCAPE,
)
def steepest_way_up(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    return torch.linalg.eigh(hessian).eigenvectors[:, -1]


@misconception(
    "escape_direction",
    "You return a row of the matrix of eigenvectors. They are its columns.",
    lecture=ESCAPE,
)
def a_row_for_a_column(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    return torch.linalg.eigh(hessian).eigenvectors[0]


@misconception(
    "escape_direction",
    "You return H u, the eigenvector times its eigenvalue. A direction has length 1.",
    lecture=ESCAPE,
)
def scaled_by_the_eigenvalue(hessian, tolerance=1e-5):
    return hessian @ lecture.escape_direction(hessian, tolerance)


@misconception(
    "escape_direction",
    "Your direction is right, but it is scaled so that its largest entry is 1. Its length, the root of the sum of "
    "squares, must be 1.",
    lecture=ESCAPE,
)
def largest_entry_is_one(hessian, tolerance=1e-5):
    u = lecture.escape_direction(hessian, tolerance)
    return u / u.abs().max()


@misconception(
    "escape_direction",
    "You choose the eigenvalue that is largest in size, whatever its sign. At many saddle points that is a way up.",
    lecture=ESCAPE,
)
def largest_in_size(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    curvature, directions = torch.linalg.eigh(hessian)
    return directions[:, curvature.abs().argmax()]


@misconception(
    "escape_direction",
    "You choose the eigenvalue that is smallest in size: the most level direction, not the one that falls most.",
    lecture=ESCAPE,
)
def smallest_in_size(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    curvature, directions = torch.linalg.eigh(hessian)
    return directions[:, curvature.abs().argmin()]


@misconception(
    "escape_direction",
    "You choose the negative eigenvalue nearest to zero. It goes down, but the *most* negative one goes down most.",
    lecture=ESCAPE,
)
def gentlest_way_down(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    curvature, directions = torch.linalg.eigh(hessian)
    falling = curvature < -tolerance * curvature.abs().max()
    return directions[:, int(falling.sum()) - 1]


@misconception(
    "escape_direction",
    "You look for the smallest entry on the diagonal of H and walk along that axis. The way down may lie between "
    "the axes.",
    lecture=ESCAPE,
)
def along_an_axis(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    return torch.eye(len(hessian), dtype=hessian.dtype)[torch.diag(hessian).argmin()]


@misconception(
    "escape_direction",
    "You mix all falling directions. Each of them is an eigenvector, but their sum is none.",
    lecture=ESCAPE,
)
def mixes_all_ways_down(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    curvature, directions = torch.linalg.eigh(hessian)
    u = directions[:, curvature < -tolerance * curvature.abs().max()].sum(dim=1)
    return u / u.norm()


@misconception(
    "escape_direction",
    "You rely on `torch.linalg.eig`, which does not sort: its first eigenvector can belong to any eigenvalue.",
    lecture=ESCAPE,
)
def first_of_an_unsorted_list(hessian, tolerance=1e-5):
    must_fall(hessian, tolerance)
    return torch.linalg.eig(hessian).eigenvectors[:, 0].real


@misconception(
    "escape_direction",
    "You return a direction even where nothing falls: there the smallest eigenvalue leads up, or nowhere.",
    lecture=ESCAPE,
)
def a_way_down_from_everywhere(hessian, tolerance=1e-5):
    return torch.linalg.eigh(hessian).eigenvectors[:, 0]


@misconception(
    "escape_direction",
    "A rounded zero such as -1e-13 is a way down for you. Compare with the tolerance.",
    lecture=ESCAPE,
)
def rounding_is_a_way_down(hessian, tolerance=1e-5):
    curvature, directions = torch.linalg.eigh(hessian)
    if curvature[0] >= 0:
        raise ValueError("no way down")
    return directions[:, 0]


@misconception(
    "escape_direction",
    "You compare the eigenvalue with the tolerance itself. In a landscape of small numbers you find no way down "
    "where there is one. Compare with the largest curvature.",
    lecture=ESCAPE,
)
def absolute_tolerance_for_the_way_down(hessian, tolerance=1e-5):
    curvature, directions = torch.linalg.eigh(hessian)
    if curvature[0] >= -tolerance:
        raise ValueError("no way down")
    return directions[:, 0]


@misconception(
    "escape_direction",
    "Your direction is a column of shape (d, 1). It must be a vector of shape (d,).",
    lecture=ESCAPE,
)
def a_column_of_one(hessian, tolerance=1e-5):
    return lecture.escape_direction(hessian, tolerance)[:, None]


@misconception(
    "escape_direction",
    "Your direction is always float64, even if H is float32.",
    lecture=ESCAPE,
)
def direction_in_float64(hessian, tolerance=1e-5):
    return lecture.escape_direction(hessian.double(), tolerance)


# ---------------------------------------------------------------- escape_saddle


def both_ends(loss, theta, distance):
    u = lecture.escape_direction(lecture.hessian(loss, theta))
    return theta + distance * u, theta - distance * u


@misconception(
    "escape_saddle",
    "You follow the gradient. At a saddle point it is zero, and so is your step: you are still there.",
    lecture=ESCAPE,
)
def follows_the_zero_gradient(loss, theta, distance=0.1):
    both_ends(loss, theta, distance)
    return theta - distance * lecture.gradient(loss, theta)


@misconception(
    "escape_saddle",
    "You walk along u and never look the other way. The sign of u is an accident: on one side the ground may rise "
    "again.",
    lecture=ESCAPE,
)
def one_way_only(loss, theta, distance=0.1):
    return both_ends(loss, theta, distance)[0]


@misconception(
    "escape_saddle",
    "You take the one of the two ends that lies higher.",
    lecture=ESCAPE,
)
def the_higher_end(loss, theta, distance=0.1):
    return max(both_ends(loss, theta, distance), key=loss)


@misconception(
    "escape_saddle",
    "You choose the side by the slope at the saddle point. It is zero there, or rounding: it says nothing about the "
    "sides.",
    lecture=ESCAPE,
    same_as="one_way_only",
)
def side_by_the_slope(loss, theta, distance=0.1):
    ahead, behind = both_ends(loss, theta, distance)
    return ahead if lecture.gradient(loss, theta) @ (ahead - theta) <= 1e-9 else behind


@misconception(
    "escape_saddle",
    "You walk along the eigenvector of the largest eigenvalue: up the slope, to either side.",
    lecture=ESCAPE,
)
def up_the_slope(loss, theta, distance=0.1):
    both_ends(loss, theta, distance)
    u = torch.linalg.eigh(lecture.hessian(loss, theta)).eigenvectors[:, -1]
    return min(theta + distance * u, theta - distance * u, key=loss)


@misconception(
    "escape_saddle",
    "You return the direction u and not the place where it leads: start from theta.",
    lecture=ESCAPE,
)
def the_way_for_the_place(loss, theta, distance=0.1):
    return min(both_ends(loss, theta, distance), key=loss) - theta


@misconception(
    "escape_saddle",
    "You walk a distance of 1, whatever distance was asked for: past the valley and up its far side.",
    lecture=ESCAPE,
)
def always_one_unit(loss, theta, distance=0.1):
    return min(both_ends(loss, theta, 1.0), key=loss)


@misconception(
    "escape_saddle",
    "You multiply u by its eigenvalue: how far you walk then depends on how steep it is, and with the sign you even "
    "turn round.",
    lecture=ESCAPE,
)
def walks_by_the_eigenvalue(loss, theta, distance=0.1):
    curvature, directions = torch.linalg.eigh(lecture.hessian(loss, theta))
    both_ends(loss, theta, distance)
    way = curvature[0] * directions[:, 0]
    return min(theta + distance * way, theta - distance * way, key=loss)


@misconception(
    "escape_saddle",
    "You move all parameters by the same amount. That is a way down only by luck: the Hessian knows the right one.",
    lecture=ESCAPE,
)
def all_parameters_alike(loss, theta, distance=0.1):
    both_ends(loss, theta, distance)
    u = torch.ones_like(theta) / len(theta) ** 0.5
    return min(theta + distance * u, theta - distance * u, key=loss)


@misconception(
    "escape_saddle",
    "You take a Newton step: it leads to the critical point of the map, and that is the saddle point itself.",
    lecture=ESCAPE,
    same_as="follows_the_zero_gradient",
)
def newton_stays(loss, theta, distance=0.1):
    both_ends(loss, theta, distance)
    return theta - torch.linalg.pinv(lecture.hessian(loss, theta)) @ lecture.gradient(loss, theta)


@misconception(
    "escape_saddle",
    "You walk even where no eigenvalue is negative. From the bottom of a valley every way leads up, or nowhere.",
    lecture=ESCAPE,
)
def leaves_the_valley(loss, theta, distance=0.1):
    u = torch.linalg.eigh(lecture.hessian(loss, theta)).eigenvectors[:, 0]
    return min(theta + distance * u, theta - distance * u, key=loss)


# ---------------------------------------------------------------- minimum_ratio


@misconception(
    "minimum_ratio",
    "You count the zero eigenvalues as positive. Level ground is not rising.",
    lecture=RATIO,
)
def counts_non_negative(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    return float((curvature >= -tolerance * curvature.abs().max()).double().mean())


@misconception(
    "minimum_ratio",
    "You count each value once. An eigenvalue that occurs three times stands for three directions.",
    lecture=RATIO,
)
def counts_distinct_ones(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    distinct = np.unique(np.round(curvature.numpy() / max(float(curvature.abs().max()), 1e-300), 9))
    return float((distinct > tolerance).mean())


@misconception(
    "minimum_ratio",
    "You divide by the number of eigenvalues that are not zero. The ratio is one of all directions.",
    lecture=RATIO,
)
def leaves_the_zeros_out(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.abs().max()
    up, down = int((curvature > zero).sum()), int((curvature < -zero).sum())
    return up / max(up + down, 1)


@misconception(
    "minimum_ratio",
    "You divide the number of positive eigenvalues by that of negative ones. At a minimum that would be infinite.",
    lecture=RATIO,
)
def positive_by_negative(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    zero = tolerance * curvature.abs().max()
    return float((curvature > zero).sum() / (curvature < -zero).sum())


@misconception(
    "minimum_ratio",
    "You count the negative eigenvalues.",
    lecture=RATIO,
)
def counts_the_negative(hessian, tolerance=1e-5):
    return lecture.minimum_ratio(-hessian, tolerance)


@misconception(
    "minimum_ratio",
    "You return how many positive eigenvalues there are. Divide by the number of all.",
    lecture=RATIO,
)
def a_number_for_a_share(hessian, tolerance=1e-5):
    return len(hessian) * lecture.minimum_ratio(hessian, tolerance)


@misconception(
    "minimum_ratio",
    "You weigh the eigenvalues by their size. The ratio counts directions: a gentle rise is a rise.",
    lecture=RATIO,
)
def weighs_by_size(hessian, tolerance=1e-5):
    curvature = torch.linalg.eigvalsh(hessian)
    return float(curvature.clamp(min=0).sum() / curvature.abs().sum().clamp(min=1e-300))


@misconception(
    "minimum_ratio",
    "You count positive entries on the diagonal of H. The signs that count are those of the eigenvalues.",
    lecture=RATIO,
)
def counts_on_the_diagonal(hessian, tolerance=1e-5):
    diagonal = torch.diag(hessian)
    return float((diagonal > tolerance * hessian.abs().max()).double().mean())


@misconception(
    "minimum_ratio",
    "You count positive entries of H. The signs that count are those of the eigenvalues.",
    lecture=RATIO,
)
def counts_entries(hessian, tolerance=1e-5):
    return float((hessian > tolerance * hessian.abs().max()).double().mean())


@misconception(
    "minimum_ratio",
    "You compare eigenvalues with exactly 0: a zero that is rounded to 1e-17 counts as positive.",
    lecture=RATIO,
)
def ratio_without_tolerance(hessian, tolerance=1e-5):
    return float((torch.linalg.eigvalsh(hessian) > 0).double().mean())


@misconception(
    "minimum_ratio",
    "You compare eigenvalues with the tolerance itself: measured in another unit, the same place has another ratio.",
    lecture=RATIO,
)
def ratio_with_absolute_tolerance(hessian, tolerance=1e-5):
    return float((torch.linalg.eigvalsh(hessian) > tolerance).double().mean())


# ---------------------------------------------------------------- saddle_free_newton_step


@misconception(
    "saddle_free_newton_step",
    "That is plain Newton: where the curvature is negative, you divide by it and climb to the saddle point.",
    lecture=ESCAPE,
)
def climbs_to_the_saddle(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    limited = torch.where(curvature < 0, -1.0, 1.0) * curvature.abs().clamp(min=smallest)
    return theta - directions @ ((directions.T @ gradient) / limited)


@misconception(
    "saddle_free_newton_step",
    "You take the size of each *entry* of H. The size of a matrix in this sense is taken eigenvalue by eigenvalue.",
    lecture=ESCAPE,
)
def sizes_of_the_entries(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian.abs())
    limited = torch.where(curvature < 0, -1.0, 1.0) * curvature.abs().clamp(min=smallest)
    return theta - directions @ ((directions.T @ gradient) / limited)


@misconception(
    "saddle_free_newton_step",
    "You walk with the gradient: every direction leads uphill.",
    lecture=ESCAPE,
)
def uphill_everywhere(theta, gradient, hessian, smallest=1e-3):
    return 2 * theta - lecture.saddle_free_newton_step(theta, gradient, hessian, smallest)


@misconception(
    "saddle_free_newton_step",
    "You divide by the curvature squared: H² has positive eigenvalues too, but its root is missing.",
    lecture=ESCAPE,
)
def divides_by_the_square(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    return theta - directions @ ((directions.T @ gradient) / curvature.abs().clamp(min=smallest) ** 2)


@misconception(
    "saddle_free_newton_step",
    "You treat falling directions like level ones and divide by the smallest value there. Their steepness counts as "
    "much as that of a rise.",
    lecture=ESCAPE,
)
def falling_taken_for_level(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    return theta - directions @ ((directions.T @ gradient) / curvature.clamp(min=smallest))


@misconception(
    "saddle_free_newton_step",
    "You leave falling directions out. They are the very way to get off the saddle.",
    lecture=ESCAPE,
)
def ignores_falling_directions(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    slope = torch.where(curvature > 0, directions.T @ gradient, 0.0)
    return theta - directions @ (slope / curvature.clamp(min=smallest))


@misconception(
    "saddle_free_newton_step",
    "You swap rows and columns of the eigenvectors: the slope along each eigenvector is U^T g, and U leads back.",
    lecture=ESCAPE,
)
def eigenvectors_transposed(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    return theta - directions.T @ ((directions @ gradient) / curvature.abs().clamp(min=smallest))


@misconception(
    "saddle_free_newton_step",
    "You divide by curvatures that are nearly or exactly zero: the step becomes huge, or infinite.",
    lecture=ESCAPE,
)
def without_a_limit(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    return theta - directions @ ((directions.T @ gradient) / curvature.abs())


@misconception(
    "saddle_free_newton_step",
    "You add the smallest value to every curvature. It replaces the small ones and leaves the others as they are.",
    lecture=ESCAPE,
)
def adds_the_limit(theta, gradient, hessian, smallest=1e-3):
    curvature, directions = torch.linalg.eigh(hessian)
    return theta - directions @ ((directions.T @ gradient) / (curvature.abs() + smallest))


@misconception(
    "saddle_free_newton_step",
    "You return the step. Add it to θ.",
    lecture=ESCAPE,
)
def the_step_for_the_place(theta, gradient, hessian, smallest=1e-3):
    return lecture.saddle_free_newton_step(theta, gradient, hessian, smallest) - theta


@misconception(
    "saddle_free_newton_step",
    "Your answer is always float64, even if θ is float32.",
    lecture=ESCAPE,
)
def step_in_float64(theta, gradient, hessian, smallest=1e-3):
    return lecture.saddle_free_newton_step(theta.double(), gradient.double(), hessian.double(), smallest)
