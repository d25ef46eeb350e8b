"""Hidden tests of lecture 4: what is observed at critical points. The answers come from the reference solution."""

import math

import numpy as np
import torch

from grader import Problem, check, each

# PyTorch's finished second derivatives, under every name that it has for them.
READY_MADE = (
    *(f"torch.autograd.functional.{name}" for name in ("hessian", "jacobian", "_jacfwd", "hvp", "vhp")),
    *(
        f"{module}.{name}"
        for module in ("torch.func", "torch._functorch.eager_transforms", "functorch")
        for name in ("hessian", "jacrev", "jacfwd", "linearize")
    ),
)

PROBLEMS = (
    Problem("hessian", forbidden=READY_MADE),
    Problem("hessian_vector_product", forbidden=READY_MADE),
    Problem("saddle_free_newton_step", bonus=True),
)


# ---------------------------------------------------------------- landscapes, and what stands in them


def vector(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def normal(rng, *shape):
    return torch.from_numpy(rng.normal(size=shape))


def apart(rng, size):
    """Numbers of random sign that are not near zero."""
    return torch.from_numpy(rng.uniform(0.5, 1.5, size=size) * rng.choice([-1, 1], size=size))


def with_eigenvalues(rng, *eigenvalues):
    """A symmetric matrix with these eigenvalues and random eigenvectors, exact but for rounding."""
    directions, _ = np.linalg.qr(rng.normal(size=(len(eigenvalues), len(eigenvalues))))
    made = directions @ np.diag(eigenvalues) @ directions.T
    return torch.from_numpy((made + made.T) / 2)


def quadratic(matrix, slope=0.0):
    """The loss with this Hessian everywhere."""
    return lambda theta: theta @ matrix @ theta / 2 + (slope * theta).sum()


def wavy(theta):
    """Bends in every pair of parameters, and differently everywhere."""
    return torch.sin(theta).prod() + (theta**3).sum() + torch.exp(theta.sum() / 3)


def two_layers(theta):
    """The lecture's network y = w2 w1 x on two examples."""
    x, y = torch.tensor([1.0, 2.0], dtype=theta.dtype), torch.tensor([1.0, 3.0], dtype=theta.dtype)
    return ((y - theta[1] * theta[0] * x) ** 2).mean()


def wide_linear_network(theta):
    """y = W2 W1 x with three inputs, two hidden units and two outputs: 10 parameters."""
    x = torch.tensor([[1.0, 0.0, 2.0], [-1.0, 1.0, 0.5], [0.0, 2.0, 1.0], [1.0, 1.0, -1.0]], dtype=theta.dtype)
    y = x @ torch.tensor([[1.0, 0.5], [0.0, -1.0], [2.0, 1.0]], dtype=theta.dtype)
    first, second = theta[:6].reshape(3, 2), theta[6:].reshape(2, 2)
    return ((x @ first @ second - y) ** 2).mean()


def tanh_network(theta):
    """A network 1 → 3 → 1 with tanh and biases: 10 parameters."""
    x = torch.linspace(-1, 2, 7, dtype=theta.dtype)
    hidden = torch.tanh(x[:, None] * theta[:3] + theta[3:6])
    return ((hidden @ theta[6:9] + theta[9] - torch.sin(2 * x)) ** 2).mean()


def wrinkled(theta):
    """Finely wrinkled ground: a step of 1e-5 already feels another bend."""
    return 1e-6 * (torch.cos(3000 * theta).sum() + torch.sin(2000 * theta[0] * theta[-1]))


def plain_slope(theta):
    return (theta * torch.arange(1, len(theta) + 1, dtype=theta.dtype)).sum()


def bent_along_one(theta):
    """Bends along the first parameter, and is a plain slope along the others."""
    return theta[0] ** 2 + 3 * theta[1:].sum()


def written_out(derivative):
    """torch.func marks a derivative that is known to be zero instead of writing it out: as good as any other zero."""
    return derivative.clone() if isinstance(derivative, torch.Tensor) else derivative


def left_alone(theta):
    """What may not have changed of the caller's tensor."""
    return {"numbers": theta, "requires_grad": theta.requires_grad, "grad": theta.grad}


# ---------------------------------------------------------------- numerical_gradient


@check("numerical_gradient", points=2, hint="How far apart are the two places whose heights you compare?")
def slope_of_one_parameter(student, rng):
    """The slope of a loss with one parameter, with a fine and with a coarse step."""
    place = apart(rng, 1)
    return {
        "a parabola, h = 0.5": student.numerical_gradient(lambda t: (t**2).sum(), place, 0.5),
        "a cube, h = 0.5": student.numerical_gradient(lambda t: (t**3).sum(), place, 0.5),
        "a cube, h = 0.01": student.numerical_gradient(lambda t: (t**3).sum(), place, 0.01),
    }


@check("numerical_gradient", points=3, hint="Move one parameter at a time, to either side, from where you stand.")
def slopes_of_many_parameters(student, rng):
    """Each parameter has its own slope, whatever the step is."""
    place = normal(rng, 4)
    return {
        "two parameters, h = 0.3": student.numerical_gradient(wavy, place[:2], step=0.3),
        "four parameters, h = 0.1": student.numerical_gradient(wavy, place, step=0.1),
    }


@check("numerical_gradient", points=2, hint="All that you may ask the loss for is a height.")
def slope_of_a_black_box(student, rng):
    """The loss may be a black box that autograd cannot look into."""

    def black_box(theta):
        return torch.tensor(sum(math.sin(t) * k for k, t in enumerate(theta.tolist(), start=1)), dtype=torch.float64)

    return student.numerical_gradient(black_box, normal(rng, 3), step=0.01)


@check("numerical_gradient", points=1, hint="Which step is used if none is given?")
def slope_of_a_network(student, rng):
    """The gradient of a small tanh network, with the default step."""
    return student.numerical_gradient(tanh_network, normal(rng, 10))


@check("numerical_gradient", points=1, hint="There and back again: does rounding bring you home exactly?")
def the_walker_stands_where_he_stood(student, rng):
    """theta is the same afterwards, to the last bit."""
    place = torch.from_numpy(rng.uniform(0.1, 50, size=6))
    found = student.numerical_gradient(lambda t: (t**2).sum(), place, step=1e-3 / 3)
    return {"theta": place, "length of the gradient": len(found)}


@check("numerical_gradient", points=1, hint="Which step of yours turns float32 into float64, or the other way round?")
def slopes_keep_the_dtype(student, rng):
    """float32 parameters have a float32 gradient."""
    return student.numerical_gradient(lambda t: (t**2).sum() + t[0], normal(rng, 3).float(), step=0.25)


# ---------------------------------------------------------------- is_critical_point


@check("is_critical_point", points=3, hint="A slope in any direction is a slope, whatever its sign.")
def the_whole_gradient_counts(student, rng):
    """Flat means flat in every direction together."""
    start, rest = vector(3.0, -4.0, 0.0), vector(0.0, 0.0, 0.0)
    many, one = torch.full((100,), 0.4e-3, dtype=torch.float64), torch.eye(100, dtype=torch.float64)[0]
    cases = {
        "zero": (rest, start),
        "about a millionth of the start": (1e-6 * apart(rng, 3), start),
        "one slope among zeros": (vector(0.0, 0.0, 1.0), start),
        "another slope among zeros": (vector(-1.0, 0.0, 0.0), start),
        "slopes that cancel in a sum": (vector(2.0, -2.0, 0.0), start),
        "negative slopes": (vector(-1.0, -1.0, -1.0), start),
        "a hundred small slopes": (many, one),
        "half the slope of the start": (start / 2, start),
    }
    return {name: student.is_critical_point(*case) for name, case in cases.items()}


@check("is_critical_point", points=2, hint="Count the loss in cents instead of dollars: may the answer change?")
def the_unit_of_the_loss_does_not_matter(student, rng):
    """The same place is judged alike when loss and gradients are scaled."""
    start, steep, flat = apart(rng, 4), 0.1 * apart(rng, 4), 1e-4 * apart(rng, 4)
    return {
        f"{name}, times {unit:g}": student.is_critical_point(unit * g, unit * start)
        for unit in (1.0, 1e-7, 1e7)
        for name, g in (("steep", steep), ("flat", flat))
    }


@check("is_critical_point", points=1, hint="Compare norm with norm, both to the same power.")
def the_tolerance_decides(student, rng):
    """How small is small enough is for the caller to say."""
    cases = [(0.3, 0.5), (0.7, 0.5), (0.02, 0.01), (0.005, 0.01), (2e-3, 1e-3), (5e-4, 1e-3), (1e-5, 1e-6)]
    start = apart(rng, 3)
    return {
        f"||g|| = {share} ||g0||, tolerance {tolerance}": student.is_critical_point(
            share * start.flip(0), start, tolerance=tolerance
        )
        for share, tolerance in cases
    }


@check("is_critical_point", points=1, hint="Zero is at most any number of times zero.")
def a_walk_that_begins_on_flat_ground(student, rng):
    """If the first gradient was zero, only a gradient of exactly zero is flat."""
    rest = torch.zeros(2, dtype=torch.float64)
    return {
        "zero": student.is_critical_point(rest, rest),
        "hardly anything": student.is_critical_point(1e-12 * apart(rng, 2), rest),
        "something": student.is_critical_point(apart(rng, 2), rest),
    }


@check("is_critical_point", points=1, hint="What is the answer of a comparison with NaN?")
def a_broken_gradient_is_not_flat(student, rng):
    """A gradient that holds a NaN is not flat."""
    return {
        "only NaN": student.is_critical_point(vector(math.nan), vector(1.0)),
        "a NaN among zeros": student.is_critical_point(vector(0.0, math.nan, 0.0), apart(rng, 3)),
    }


# ---------------------------------------------------------------- hessian


@check("hessian", points=2, hint="Differentiate once, and then what you got once more.")
def bend_of_one_parameter(student, rng):
    """With one parameter, H holds a single number: the second derivative."""
    place = apart(rng, 1)
    return {
        "a parabola": student.hessian(lambda t: 3 * (t**2).sum(), place),
        "a fifth power": student.hessian(lambda t: t[0] ** 5, place),
        "an exponential": student.hessian(lambda t: torch.exp(2 * t).sum(), place),
    }


@check("hessian", points=3, hint="Each slope depends on every parameter: that makes d times d numbers.")
def bend_in_every_pair_of_parameters(student, rng):
    """H holds the second derivative for every pair of parameters."""
    place = normal(rng, 4)
    return {
        "a product": student.hessian(lambda t: t[0] * t[1], place[:2]),
        "two parameters": student.hessian(wavy, place[:2]),
        "four parameters": student.hessian(wavy, place),
    }


@check("hessian", points=2, hint="The loss of a network is a function of its parameters like any other.")
def bend_of_a_network(student, rng):
    """The Hessian of the lecture's network, at its saddle point and elsewhere, and of two larger ones."""
    return {
        "two layers at the origin": student.hessian(two_layers, vector(0.0, 0.0)),
        "two layers anywhere": student.hessian(two_layers, normal(rng, 2)),
        "a wide linear network": student.hessian(wide_linear_network, normal(rng, 10)),
        "a tanh network": student.hessian(tanh_network, normal(rng, 10)),
    }


@check("hessian", points=2, hint="The slope of a plain slope is the same everywhere. How much does it change, then?")
def a_plain_slope_does_not_bend(student, rng):
    """Where the loss is linear, H is all zeros."""
    return {
        "linear in two parameters": written_out(student.hessian(plain_slope, normal(rng, 2))),
        "linear in two of three": written_out(student.hessian(bent_along_one, normal(rng, 3))),
    }


@check("hessian", points=4, hint="Derivatives are exact, differences are not: differentiate both times.")
def fine_wrinkles(student, rng):
    """The Hessian is exact even where the ground is finely wrinkled."""
    return student.hessian(wrinkled, normal(rng, 3))


@check("hessian", points=2, hint="Work on a copy of theta that has a graph of its own.")
def the_hessian_leaves_theta_alone(student, rng):
    """The caller's theta keeps its numbers, its requires_grad and its grad."""
    plain, leaf = normal(rng, 3), normal(rng, 3).requires_grad_()
    return {
        "H without requires_grad": student.hessian(wavy, plain),
        "theta without requires_grad": left_alone(plain),
        "H with requires_grad": student.hessian(wavy, leaf),
        "theta with requires_grad": left_alone(leaf),
    }


@check("hessian", points=1, hint="Which step of yours turns float32 into float64, or the other way round?")
def the_hessian_keeps_the_dtype(student, rng):
    """float32 parameters have a float32 Hessian, also on a plain slope."""
    place = apart(rng, 3).float()
    return {"wavy": student.hessian(wavy, place), "a plain slope": written_out(student.hessian(plain_slope, place))}


# ---------------------------------------------------------------- hessian_vector_product


@check("hessian_vector_product", points=3, hint="The derivative of the single number g · v, with v held fixed.")
def products_in_small_landscapes(student, rng):
    """The product of the Hessian with a vector."""
    return {
        "one parameter": student.hessian_vector_product(lambda t: (t**3).sum(), apart(rng, 1), apart(rng, 1)),
        "two layers at the origin": student.hessian_vector_product(two_layers, vector(0.0, 0.0), normal(rng, 2)),
        "four parameters": student.hessian_vector_product(wavy, normal(rng, 4), normal(rng, 4)),
        "a tanh network": student.hessian_vector_product(tanh_network, normal(rng, 10), normal(rng, 10)),
    }


@check("hessian_vector_product", points=1, hint="Twice the vector, twice the product: what becomes of the zero vector?")
def products_grow_with_the_vector(student, rng):
    """The product is linear in the vector, whose length need not be 1."""
    place, v = normal(rng, 3), normal(rng, 3)
    return {
        f"{factor:g} v": student.hessian_vector_product(wavy, place, factor * v) for factor in (1.0, 0.0, -2.0, 50.0)
    }


@check("hessian_vector_product", points=1, hint="Two tensors can be one and the same object: which of them is fixed?")
def the_vector_may_be_theta(student, rng):
    """v may be theta itself, and is a constant all the same."""
    plain, leaf = normal(rng, 3), normal(rng, 3).requires_grad_()
    return {
        "theta without requires_grad": student.hessian_vector_product(wavy, plain, plain),
        "theta with requires_grad": student.hessian_vector_product(wavy, leaf, leaf),
    }


@check("hessian_vector_product", points=1, hint="The slope of a plain slope is the same everywhere.")
def products_on_a_plain_slope(student, rng):
    """Where the loss is linear, the product is zero."""
    return {
        name: written_out(student.hessian_vector_product(loss, normal(rng, size), normal(rng, size)))
        for name, loss, size in (
            ("linear in two parameters", plain_slope, 2),
            ("linear in two of three", bent_along_one, 3),
        )
    }


@check("hessian_vector_product", points=2, hint="Derivatives are exact, differences are not: differentiate both times.")
def products_on_fine_wrinkles(student, rng):
    """The product is exact even where the ground is finely wrinkled."""
    return student.hessian_vector_product(wrinkled, normal(rng, 3), normal(rng, 3))


def long_valley(theta):
    """Neighbouring parameters pull at each other: the Hessian is a narrow band."""
    return (theta**4).sum() / 12 + torch.cos(theta[1:] - theta[:-1]).sum()


@check(
    "hessian_vector_product",
    points=2,
    cost=40,
    hint="How many backward passes do you make? Two are enough, for any number of parameters.",
)
def no_loop_over_the_parameters(student, rng):
    """With 400 parameters it takes no more steps than with 4."""
    return student.hessian_vector_product(long_valley, normal(rng, 400), normal(rng, 400))


@check(
    "hessian_vector_product",
    points=3,
    cost=40,
    seconds=5,
    hint="Count the numbers that your way keeps in memory. How large would H be?",
)
def twenty_thousand_parameters(student, rng):
    """With 20,000 parameters there is no room for the Hessian, but for the product there is."""
    return student.hessian_vector_product(long_valley, normal(rng, 20_000), normal(rng, 20_000))


@check("hessian_vector_product", points=1, hint="Work on a copy of theta that has a graph of its own.")
def products_leave_theta_alone(student, rng):
    """theta is left alone, and float32 stays float32."""
    plain, leaf, single = normal(rng, 3), normal(rng, 3).requires_grad_(), normal(rng, 3).float()
    return {
        "Hv": student.hessian_vector_product(wavy, plain, normal(rng, 3)),
        "theta": left_alone(plain),
        "Hv with requires_grad": student.hessian_vector_product(wavy, leaf, normal(rng, 3)),
        "theta with requires_grad": left_alone(leaf),
        "Hv in float32": student.hessian_vector_product(wavy, single, normal(rng, 3).float()),
    }


# ---------------------------------------------------------------- second_order_approximation


@check("second_order_approximation", points=2, hint="Height, slope times way, half the bend times the way squared.")
def map_of_one_parameter(student, rng):
    """The parabola that touches a loss of one parameter, on both sides."""
    at, way = apart(rng, 1), torch.from_numpy(rng.uniform(0.2, 0.8, size=1))
    return {
        "a cube, to the right": student.second_order_approximation(lambda t: (t**3).sum(), at, at + way),
        "a cube, to the left": student.second_order_approximation(lambda t: (t**3).sum(), at, at - way),
        "a wave": student.second_order_approximation(lambda t: torch.sin(2 * t).sum(), at, at + way),
    }


@check("second_order_approximation", points=4, hint="Compare the three terms one by one with the formula.")
def map_of_many_parameters(student, rng):
    """The approximation where the ground slopes and bends, near θ' and far from it."""
    cases = [(wavy, 2), (wavy, 4), (tanh_network, 10), (wide_linear_network, 10)]
    found = {}
    for loss, size in cases:
        at, way = normal(rng, size), normal(rng, size)
        for name, factor in (("near", 0.1), ("far", 1.0)):
            got = student.second_order_approximation(loss, at, at + factor * way)
            found[f"{loss.__name__} of {size} parameters, {name}"] = got
    return found


@check("second_order_approximation", points=1, hint="What is the way from a place to itself?")
def map_at_the_place_itself(student, rng):
    """At θ' itself it is the loss."""
    at = normal(rng, 3)
    return {
        "one point": student.second_order_approximation(wavy, at, at.clone()),
        "among others": student.second_order_approximation(wavy, at, torch.stack([at, at + 1])),
    }


@check("second_order_approximation", points=2, hint="Each point has its own way from θ', and its own height.")
def map_of_many_points(student, rng):
    """Many points at once have one height each."""
    at = normal(rng, 3)
    return {
        f"{number} points of 3 parameters": student.second_order_approximation(wavy, at, at + normal(rng, number, 3))
        for number in (1, 3, 8)
    }


@check("second_order_approximation", points=2, hint="If the loss is a parabola, the map is the landscape.")
def map_of_a_bowl(student, rng):
    """For a quadratic loss it is exact at any distance, at a saddle as in a bowl."""
    points = 10 * normal(rng, 5, 3)
    return {
        name: student.second_order_approximation(quadratic(with_eigenvalues(rng, *values), normal(rng, 3)), at, points)
        for name, values, at in (
            ("a bowl, from its middle", (1.0, 2.0, 5.0), vector(0.0, 0.0, 0.0)),
            ("a bowl, from anywhere", (1.0, 2.0, 5.0), normal(rng, 3)),
            ("a saddle", (-1.0, 2.0, -5.0), normal(rng, 3)),
        )
    }


@check("second_order_approximation", points=1, hint="Which step of yours turns float32 into float64?")
def the_map_keeps_the_dtype(student, rng):
    """float32 stays float32."""
    at = normal(rng, 3).float()
    return student.second_order_approximation(wavy, at, at + 0.5 * normal(rng, 4, 3).float())


# ---------------------------------------------------------------- classify_critical_point


def kinds(student, rng, *cases, **options):
    """What the student says of matrices with these eigenvalues and random eigenvectors."""
    return {
        f"eigenvalues {list(values)}": student.classify_critical_point(with_eigenvalues(rng, *values), **options)
        for values in cases
    }


@check("classify_critical_point", points=3, hint="What do positive curvatures say about the ground around you?")
def kinds_along_the_axes(student, rng):
    """Minimum, maximum, saddle and degenerate, where the axes are the eigenvectors."""
    cases = [(2.0,), (-2.0,), (0.0,), (2.0, 1.0), (-2.0, -1.0), (2.0, -1.0), (-1.0, 2.0), (2.0, 0.0), (-2.0, 0.0)]
    return {
        f"eigenvalues {list(values)}": student.classify_critical_point(torch.diag(vector(*values))) for values in cases
    }


@check("classify_critical_point", points=3, hint="Which numbers of H do not depend on how the axes are chosen?")
def kinds_in_any_direction(student, rng):
    """The same, where the eigenvectors point anywhere."""
    return kinds(
        student,
        rng,
        (3.0, 0.5),
        (-3.0, -0.5),
        (3.0, -0.5),
        (0.5, -3.0),
        (1.0, 1.0, 1.0),
        (-1.0, -2.0, -4.0),
        (2.0, -0.5, -0.5),
        (5.0, 5.0, -0.1, -0.1),
        (-0.1, -0.1, -0.1, 5.0),
        (-5.0, -4.0, -3.0, -0.2),
    )


@check("classify_critical_point", points=2, hint="Zero is neither positive nor negative, even if it is rounded.")
def zeros_are_neither(student, rng):
    """An eigenvalue that is zero but for rounding is neither positive nor negative."""
    return kinds(
        student,
        rng,
        (4.0, 0.0, 0.0),
        (-4.0, 0.0, 0.0),
        (4.0, 1.0, 1e-13),
        (4.0, 1.0, -1e-13),
        (-4.0, -1.0, 1e-9),
        (0.0, 0.0, 0.0),
    )


@check("classify_critical_point", points=2, hint="Is a pass still a pass if it is level in some third direction?")
def a_pass_with_a_level_direction(student, rng):
    """Where the ground rises one way and falls another, it is a saddle, though a third way is level."""
    return kinds(student, rng, (3.0, 0.0, -1.0), (1.0, 1e-13, -1e-13, -3.0), (0.1, 0.0, 0.0, 0.0, -2.0))


@check("classify_critical_point", points=2, hint="Small compared with the largest curvature, not with 1.")
def kinds_in_other_units(student, rng):
    """Measured in other units, every place keeps its kind."""
    return {
        f"{list(values)}, times {unit:g}": student.classify_critical_point(with_eigenvalues(rng, *values) * unit)
        for unit in (1e-9, 1e9)
        for values in ((3.0, 0.5), (-3.0, -0.5), (3.0, -0.5), (3.0, 1.0, 1e-12))
    }


@check("classify_critical_point", points=1, hint="Both signs of an eigenvalue are measured against the tolerance.")
def kinds_with_another_tolerance(student, rng):
    """With a larger tolerance, more eigenvalues count as zero."""
    return {
        "tolerance 0.1": kinds(student, rng, (1.0, 0.03), (1.0, 0.3), (1.0, -0.03), (-1.0, 0.3), tolerance=0.1),
        "tolerance 1e-9": kinds(student, rng, (1.0, 1e-7), (1.0, -1e-7), (-1.0, -1e-7), tolerance=1e-9),
    }


def hessian_of_layers(weights):
    """The Hessian of (1 - w_1 w_2 ... w_n)^2 / 2, a linear network of n layers for x = y = 1, in closed form."""
    product, size = math.prod(weights), len(weights)
    without = [math.prod(weights[:i] + weights[i + 1 :]) for i in range(size)]
    made = torch.zeros(size, size, dtype=torch.float64)
    for i in range(size):
        for j in range(size):
            rest = math.prod(w for k, w in enumerate(weights) if k not in (i, j))
            made[i, j] = without[i] * without[j] - (0 if i == j else (1 - product) * rest)
    return made


@check("classify_critical_point", points=1, hint="Look at the eigenvalues, not at single entries of H.")
def kinds_of_places_in_a_network(student, rng):
    """The critical points of linear networks with two and three layers."""
    places = {
        "two layers, origin": [0.0, 0.0],
        "two layers, a minimum": [2.0, 0.5],
        "three layers, origin": [0.0, 0.0, 0.0],
        "three layers, a minimum": [1.0, -2.0, -0.5],
        "three layers, on an axis": [2.0, 0.0, 0.0],
    }
    return {name: student.classify_critical_point(hessian_of_layers(weights)) for name, weights in places.items()}


# ---------------------------------------------------------------- escape_direction


def directed(matrix, direction):
    """A direction, and the Hessian that it was found for."""
    return {"H": matrix, "u": direction}


def falls_most(found):
    """What u must be: its shape, dtype and length, and how much of it lies outside the eigenspace that falls most."""
    matrix, u = np.asarray(found["H"]), np.asarray(found["u"])
    values, vectors = np.linalg.eigh(matrix.astype(np.float64))
    space = vectors[:, values < values[0] + 1e-3 * np.abs(values).max()]
    outside = u - space @ (space.T @ u)
    return {
        "the shape of u": list(u.shape),
        "the length of u": float(np.linalg.norm(u)),
        "the part of u that is not downhill": np.round(outside, 4 if u.dtype == np.float32 else 6),
        "H": found["H"],
        "the dtype of u": str(u.dtype),
    }


def direction_for(student, matrix, **options):
    """The student's direction, or the error where there is none."""
    try:
        return directed(matrix, student.escape_direction(matrix, **options))
    except ValueError:
        return "ValueError"


def fall_or_error(found):
    return found if isinstance(found, str) else falls_most(found)


@check(
    "escape_direction", points=2, after=each(fall_or_error), hint="Multiply H by your u: is it the same u, times what?"
)
def way_down_from_a_small_saddle(student, rng):
    """The direction in which the ground falls, at a saddle of one or two parameters."""
    return {
        "one parameter": direction_for(student, torch.tensor([[-3.0]], dtype=torch.float64)),
        "along an axis": direction_for(student, torch.diag(vector(1.0, -2.0))),
        "the lecture's network": direction_for(student, vector(0.0, -2.0, -2.0, 0.0).reshape(2, 2)),
        "any direction": direction_for(student, with_eigenvalues(rng, 0.5, -4.0)),
    }


@check("escape_direction", points=3, after=each(fall_or_error), hint="Of several ways down, which is the steepest?")
def steepest_way_down(student, rng):
    """Among many eigenvectors, the one with the most negative eigenvalue."""
    cases = [
        (3.0, 1.0, -2.0),
        (9.0, -1.0, -2.0),
        (-1.0, -3.0, 2.0, 0.0),
        (-0.5, 7.0, 6.0, 0.1, 3.0),
        (-5.0, -1.0, -2.0, -3.0),
    ]
    return {f"eigenvalues {list(values)}": direction_for(student, with_eigenvalues(rng, *values)) for values in cases}


@check("escape_direction", points=2, after=each(fall_or_error), hint="Any unit vector of the eigenspace is welcome.")
def several_ways_equally_steep(student, rng):
    """If the most negative eigenvalue occurs several times, any direction of its eigenspace will do."""
    cases = [(-1.0, -1.0), (-2.0, -2.0, 1.0), (3.0, -1.0, -1.0, -1.0, 0.5)]
    return {f"eigenvalues {list(values)}": direction_for(student, with_eigenvalues(rng, *values)) for values in cases}


@check("escape_direction", points=2, after=each(fall_or_error), hint="A rounded zero is no way down.")
def no_way_down(student, rng):
    """In a valley, or on level ground, there is no such direction: ValueError."""
    cases = [(2.0, 1.0), (2.0, 0.0), (3.0, 1.0, -1e-13), (0.0, 0.0), (1e-8, 2e-8), (1.0, -1e-3), (1e-8, -1e-9)]
    found = {f"eigenvalues {list(values)}": direction_for(student, with_eigenvalues(rng, *values)) for values in cases}
    found["1 and -0.05, tolerance 0.1"] = direction_for(student, with_eigenvalues(rng, 1.0, -0.05), tolerance=0.1)
    found["1 and -0.2, tolerance 0.1"] = direction_for(student, with_eigenvalues(rng, 1.0, -0.2), tolerance=0.1)
    return found


@check("escape_direction", points=1, after=fall_or_error, hint="Which step of yours turns float32 into float64?")
def the_direction_keeps_the_dtype(student, rng):
    """A float32 Hessian has a float32 direction."""
    return direction_for(student, with_eigenvalues(rng, 2.0, -3.0, 1.0).float())


# ---------------------------------------------------------------- escape_saddle


def height_missing(loss, bound):
    """How far the point that was reached lies above `bound`: 0 if it is as low as that."""

    def after(point):
        point = np.asarray(point)
        height = float(loss(torch.from_numpy(point.astype(np.float64))))
        missing = height - bound
        return {"shape": list(point.shape), "too high by": 0.0 if missing <= 1e-6 * max(1.0, abs(bound)) else missing}

    return after


RIDGE = torch.tensor([[0.6, 0.8], [-0.8, 0.6]], dtype=torch.float64)
PASS = vector(0.7, -1.2)


def even(theta):
    """A pass at (0.7, -1.2) that falls equally to both sides: by r² after a way of r."""
    across, along = RIDGE @ (theta - PASS)
    return 3 + 2 * across**2 - along**2


def rises_ahead(theta):
    """The same pass, but one way the ground soon rises again."""
    across, along = RIDGE @ (theta - PASS)
    return 3 + 2 * across**2 - along**2 + 3 * along**3


def rises_behind(theta):
    """Its mirror image: the ground rises the other way."""
    across, along = RIDGE @ (theta - PASS)
    return 3 + 2 * across**2 - along**2 - 3 * along**3


def double_well(theta):
    """Two narrow valleys, 0.25 to either side of the origin; further out the ground rises steeply."""
    return theta[0] ** 2 - theta[1] ** 2 + 8 * theta[1] ** 4


def below(bounds):
    """An `after` for points in several landscapes: {name: (loss, the height that must be reached)}."""
    return lambda points: {name: height_missing(*bounds[name])(point) for name, point in points.items()}


@check(
    "escape_saddle",
    points=3,
    after=below({"r = 0.1": (even, 3 - 0.1**2), "r = 0.5": (even, 3 - 0.5**2), "r = 2": (even, 3 - 2.0**2)}),
    hint="The gradient is zero here. What else tells a way down?",
)
def down_from_a_pass(student, rng):
    """From a pass, the loss falls by at least what a walk of length r along the steepest way down gives."""
    return {f"r = {r:g}": student.escape_saddle(even, PASS.clone(), distance=r) for r in (0.1, 0.5, 2.0)}


@check(
    "escape_saddle",
    points=3,
    after=below(
        {
            "rises again ahead": (rises_ahead, 3 - 0.5**2 - 3 * 0.5**3),
            "rises again behind": (rises_behind, 3 - 0.5**2 - 3 * 0.5**3),
        }
    ),
    hint="An eigenvector has no sign. Which of the two ways goes on falling?",
)
def only_one_way_is_down(student, rng):
    """Where the ground soon rises again on one side, go to the other."""
    return {
        "rises again ahead": student.escape_saddle(rises_ahead, PASS.clone(), distance=0.5),
        "rises again behind": student.escape_saddle(rises_behind, PASS.clone(), distance=0.5),
    }


def two_layers_along_the_diagonal(r):
    """The loss of `two_layers` a way r from the origin, where w1 = w2 = r / √2."""
    weight = r * r / 2
    return ((1 - weight) ** 2 + (3 - 2 * weight) ** 2) / 2


def tanh_saddle(theta):
    """y = v tanh(w x) for x = 1 and the answer 0.5: a saddle at v = w = 0."""
    return (0.5 - theta[1] * torch.tanh(theta[0])) ** 2


@check(
    "escape_saddle",
    points=2,
    after=below(
        {
            "two layers": (two_layers, two_layers_along_the_diagonal(0.4)),
            "a tanh network": (tanh_saddle, (0.5 - 0.4 / math.sqrt(2) * math.tanh(0.4 / math.sqrt(2))) ** 2),
        }
    ),
    hint="At the origin of these networks, which weights have to grow together?",
)
def out_of_a_network_s_saddle(student, rng):
    """A network that is stuck with all weights at zero gets going."""
    return {
        "two layers": student.escape_saddle(two_layers, vector(0.0, 0.0), distance=0.4),
        "a tanh network": student.escape_saddle(tanh_saddle, vector(0.0, 0.0), distance=0.4),
    }


@check(
    "escape_saddle",
    points=1,
    after=below(
        {"r = 0.1": (double_well, -(0.1**2) + 8 * 0.1**4), "r = 0.25": (double_well, -(0.25**2) + 8 * 0.25**4)}
    ),
    hint="A unit vector, times how much?",
)
def not_too_far(student, rng):
    """Where the valleys are narrow, the given distance leads into one and not beyond it."""
    return {f"r = {r:g}": student.escape_saddle(double_well, vector(0.0, 0.0), distance=r) for r in (0.1, 0.25)}


@check("escape_saddle", points=1, hint="What do you know of a place where no eigenvalue is negative?")
def nothing_to_escape_from(student, rng):
    """In a valley there is nothing to escape from: ValueError."""
    found = {}
    for name, loss, place in (
        ("a bowl", quadratic(with_eigenvalues(rng, 1.0, 2.0, 5.0)), torch.zeros(3, dtype=torch.float64)),
        ("a valley with a flat floor", lambda t: (1 - t[0] * t[1]) ** 2, vector(2.0, 0.5)),
    ):
        try:
            found[name] = student.escape_saddle(loss, place)
        except ValueError:
            found[name] = "ValueError"
    return found


# ---------------------------------------------------------------- minimum_ratio


def ratios(student, rng, *cases, **options):
    return {
        f"eigenvalues {list(values)}": student.minimum_ratio(with_eigenvalues(rng, *values), **options)
        for values in cases
    }


@check("minimum_ratio", points=2, hint="How many of all the directions go up?")
def ratio_of_a_few_eigenvalues(student, rng):
    """The share of positive eigenvalues."""
    return {
        "along the axis": student.minimum_ratio(torch.tensor([[2.0]], dtype=torch.float64)),
        **ratios(student, rng, (2.0, 1.0), (-2.0, -1.0), (2.0, -1.0), (3.0, 0.2, -5.0), (3.0, -0.2, -0.3, -0.1, 4.0)),
    }


@check("minimum_ratio", points=2, hint="Is level ground rising?")
def zeros_do_not_rise(student, rng):
    """An eigenvalue that is zero but for rounding is not positive, but it counts among all."""
    return ratios(
        student,
        rng,
        (2.0, 0.0),
        (0.0, 0.0, 0.0),
        (-2.0, 0.0, 0.0),
        (4.0, 1e-13, -1e-13, -1.0),
        (1.0, 2.0, 0.0, 0.0, -3.0),
    )


@check("minimum_ratio", points=1, hint="Eigenvalues are counted like votes: two that agree are two.")
def repeated_eigenvalues_count_each_time(student, rng):
    """An eigenvalue that occurs several times counts as often."""
    return ratios(student, rng, (2.0, 2.0, -1.0), (1.0, 1.0, 1.0, 1.0, -1.0, -1.0), (1.0, -4.0, -4.0, -4.0))


@check("minimum_ratio", points=1, hint="Small compared with the largest curvature, not with 1.")
def ratio_in_other_units(student, rng):
    """The unit does not matter, and the tolerance is for the caller to say."""
    return {
        "in tiny units": student.minimum_ratio(1e-9 * with_eigenvalues(rng, 3.0, 1.0, 1e-12, -2.0)),
        "in huge units": student.minimum_ratio(1e9 * with_eigenvalues(rng, 3.0, 1.0, 1e-12, -2.0)),
        "tolerance 0.1": ratios(student, rng, (1.0, 0.03), (1.0, 0.3), (-1.0, 0.03, 0.3), tolerance=0.1),
        "tolerance 1e-9": ratios(student, rng, (1.0, 1e-7), (-1.0, 1e-7, 0.5), tolerance=1e-9),
    }


# ---------------------------------------------------------------- saddle_free_newton_step


@check("saddle_free_newton_step", points=1, hint="Where all curvatures are positive, what does the size change?")
def newton_in_a_bowl(student, rng):
    """In a bowl it is Newton's step, right to the bottom."""
    place, bottom = normal(rng, 3), normal(rng, 3)
    matrix = with_eigenvalues(rng, 1.0, 2.0, 8.0)
    return {
        "one parameter": student.saddle_free_newton_step(vector(3.0), vector(8.0), vector(4.0).reshape(1, 1)),
        "three parameters": student.saddle_free_newton_step(place, matrix @ (place - bottom), matrix),
    }


@check("saddle_free_newton_step", points=3, hint="Along each eigenvector: which way is downhill, and how far?")
def away_from_a_saddle(student, rng):
    """At a saddle and on a hill it goes down along every eigenvector."""
    found = {}
    for values in ((2.0, -0.5), (-1.0, -3.0), (4.0, -0.3, -2.0), (0.2, -5.0, 1.0, -1.0)):
        place, saddle, matrix = normal(rng, len(values)), normal(rng, len(values)), with_eigenvalues(rng, *values)
        step = student.saddle_free_newton_step(place, matrix @ (place - saddle), matrix)
        found[f"eigenvalues {list(values)}"] = step
    return found


@check(
    "saddle_free_newton_step", points=1, hint="Look at the size of each curvature first, and then at its lower limit."
)
def level_directions_have_a_limit(student, rng):
    """Curvatures below `smallest` in size, of either sign, are replaced by it."""
    place, slope = normal(rng, 3), normal(rng, 3)
    matrix = with_eigenvalues(rng, 2.0, 0.01, -0.02)
    return {
        "smallest = 0.1": student.saddle_free_newton_step(place, slope, matrix, smallest=0.1),
        "level ground": student.saddle_free_newton_step(place, slope, 0 * matrix, smallest=0.5),
        "the default": student.saddle_free_newton_step(place, slope, with_eigenvalues(rng, 1.0, -1e-5, 1e-4)),
    }


@check("saddle_free_newton_step", points=1, hint="Which step of yours turns float32 into float64?")
def the_step_keeps_the_dtype(student, rng):
    """float32 stays float32."""
    matrix = with_eigenvalues(rng, 2.0, -1.0).float()
    return student.saddle_free_newton_step(normal(rng, 2).float(), normal(rng, 2).float(), matrix)
