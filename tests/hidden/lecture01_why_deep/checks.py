"""Hidden tests of lectures 1-2: what is observed. The answers come from the reference solution."""

import importlib
import itertools
import warnings

import numpy as np

from grader import Problem, check, close, each

# Imported here, once: else every submission would pay for it, when the names below are watched.
for module in ("scipy.interpolate", "scipy.optimize", "scipy.special"):
    importlib.import_module(module)

FINISHED_SIGMOIDS = (
    "scipy.special.expit",
    "scipy.special.log_expit",
    "scipy.special._ufuncs.expit",
    "scipy.special._ufuncs.log_expit",
    "scipy.special.softmax",
    "scipy.special.log_softmax",
    "torch.sigmoid",
    "torch.sigmoid_",
    "torch.Tensor.sigmoid",
    "torch.Tensor.sigmoid_",
    "torch.special.expit",
    "torch.nn.Sigmoid",
    "torch.nn.LogSigmoid",
    "torch.nn.SiLU",
    "torch.nn.functional.sigmoid",
    "torch.nn.functional.logsigmoid",
    "torch.nn.functional.silu",
    "torch.softmax",
    "torch.Tensor.softmax",
    "torch.nn.Softmax",
    "torch.nn.functional.softmax",
)
SIGMOID_OPERATORS = (
    "aten::sigmoid",
    "aten::sigmoid_",
    "aten::special_expit",
    "aten::log_sigmoid_forward",
    "aten::silu",
    "aten::_softmax",
    "aten::_log_softmax",
    "aten::glu",
)
FINISHED_STEPS = (
    "numpy.interp",
    "scipy.interpolate.interp1d",
    "scipy.interpolate.make_interp_spline",
    "torch.nn.Hardtanh",
    "torch.nn.Hardsigmoid",
    "torch.nn.functional.hardtanh",
    "torch.nn.functional.hardsigmoid",
)
AUTOGRAD = (
    "torch.Tensor.backward",
    "torch.autograd.grad",
    "torch.autograd.backward",
    "torch.autograd.Variable._execution_engine.run_backward",
    "torch.autograd.graph._engine_run_backward",
    "torch.autograd.forward_ad.make_dual",
    "torch.autograd.functional.jacobian",
    "torch.autograd.functional.vjp",
    "torch.autograd.functional.jvp",
    "torch.func.grad",
    "torch.func.grad_and_value",
    "torch.func.vjp",
    "torch.func.jvp",
    "torch.func.jacrev",
    "torch.func.jacfwd",
    "torch.func.linearize",
    "scipy.optimize.approx_fprime",
    "scipy.optimize.check_grad",
    "scipy.optimize._numdiff.approx_derivative",
    "scipy.differentiate.derivative",
    "scipy.differentiate.jacobian",
)
AUTOGRAD_OPERATORS = ("aten::sigmoid_backward", "aten::tanh_backward", "aten::mse_loss_backward")
FINISHED_NETWORKS = (
    "torch.nn.Linear",
    "torch.nn.Sequential",
    "torch.nn.functional.linear",
)

PROBLEMS = (
    Problem("sigmoid", forbidden=FINISHED_SIGMOIDS, operators=SIGMOID_OPERATORS),
    Problem("hard_sigmoid", forbidden=FINISHED_STEPS),
    Problem("loss_and_gradient", forbidden=AUTOGRAD, operators=AUTOGRAD_OPERATORS),
    Problem("mlp_forward", forbidden=FINISHED_NETWORKS, operators=("aten::linear", "aten::addmm")),
    Problem("count_linear_pieces", bonus=True),
)

# ---------------------------------------------------------------- sigmoid


@check("sigmoid", points=2, hint="Where is the middle of the step, and on which side is it high?")
def values_of_the_step(student, rng):
    """The values of the sigmoid near its middle."""
    return {
        "at 0": student.sigmoid(np.array([0.0])),
        "at ten places": student.sigmoid(np.sort(rng.uniform(-6, 6, size=10))),
    }


@check(
    "sigmoid",
    points=2,
    compare=close(dtype=False),
    hint="Far out one of the two exponentials is huge. Can you do with the other one alone?",
)
def far_out_the_step_is_flat(student, rng):
    """For large numbers, also infinite ones, the sigmoid is 0 or 1, and never NaN."""
    far = np.array([-np.inf, -1e300, -1000.0, -710.0, -40.0, 40.0, 710.0, 1000.0, 1e300, np.inf])
    return {
        "float64": student.sigmoid(far),
        "float32": student.sigmoid(np.array([-np.inf, -1e38, -90.0, 90.0, 1e38, np.inf], np.float32)),
        "float16": student.sigmoid(np.array([-np.inf, -65504, -12, 12, 65504, np.inf], np.float16)),
    }


def heard_from(student, x):
    """The values, and the number of warnings on the way."""
    with warnings.catch_warnings(record=True) as heard, np.errstate(divide="warn", over="warn", invalid="warn"):
        warnings.simplefilter("always")
        values = student.sigmoid(x)
    return {"values": values, "warnings": len(heard)}


def silent(observed):
    return {"values": observed["values"], "without a warning": observed["warnings"] == 0}


@check(
    "sigmoid",
    points=2,
    after=each(silent),
    compare=close(dtype=False),
    hint="Both branches of np.where are computed for every number. In which of them does the exponential overflow?",
)
def nothing_overflows(student, rng):
    """NumPy has nothing to warn about, however large the numbers are."""
    return {
        "-1000": heard_from(student, np.array([-1000.0])),
        "1000": heard_from(student, np.array([1000.0])),
        "both signs": heard_from(student, np.array([-1e300, -800.0, -3.0, 0.0, 3.0, 800.0, 1e300])),
        "infinite": heard_from(student, np.array([-np.inf, np.inf])),
        "float32": heard_from(student, np.array([-1e38, -100.0, 100.0, 1e38], np.float32)),
        "float16": heard_from(student, np.array([-65504, -12, 12, 65504], np.float16)),
    }


@check("sigmoid", points=2, hint="Which step of yours makes a float64 of it? And do you take the array as a whole?")
def sigmoid_keeps_shape_and_dtype(student, rng):
    """Any shape, also an empty one, and each floating dtype are kept."""
    x = rng.normal(scale=4, size=(2, 3))
    return {
        "float32": student.sigmoid(x.astype(np.float32)),
        "float16": student.sigmoid(x.astype(np.float16)),
        "three axes": student.sigmoid(x.reshape(1, 3, 2)),
        "empty": student.sigmoid(np.zeros(0)),
        "empty float32": student.sigmoid(np.zeros((0, 3), np.float32)),
    }


def number_of_a_kind(value):
    """The number as it is, and the name of its dtype: a Python float is one of double precision."""
    return {"value": value, "dtype": str(np.asarray(value).dtype)}


@check("sigmoid", points=1, after=each(number_of_a_kind), hint="Can your code do without x.shape, x.dtype and x[mask]?")
def sigmoid_of_single_numbers(student, rng):
    """A single number gives a single number; a NumPy scalar keeps its dtype."""
    return {
        "a Python float": student.sigmoid(0.5),
        "a large Python float": student.sigmoid(-2000.0),
        "float64": student.sigmoid(np.float64(-1.25)),
        "float32": student.sigmoid(np.float32(2.5)),
        "float16": student.sigmoid(np.float16(-20.0)),
    }


def sums_of_mirror_images(values):
    """What both sides sum to; and one of them, for two halves sum to 1 as well."""
    return [np.asarray(values[0]) + np.asarray(values[1]), values[0]]


@check("sigmoid", points=1, after=sums_of_mirror_images, hint="Turn the step upside down, and it is its mirror image.")
def mirror_image(student, rng):
    """σ(x) and σ(-x) sum to 1, everywhere."""
    x = rng.normal(scale=5, size=8)
    return [student.sigmoid(x), student.sigmoid(-x)]


# ---------------------------------------------------------------- hard_sigmoid


@check("hard_sigmoid", points=2, hint="How steep is a ramp that climbs `height` between start and end?")
def on_the_ramp(student, rng):
    """Between start and end, the step is a straight ramp from 0 to its height."""
    share = np.array([0.25, 0.5, 0.9])
    return {
        "from 0 to 1": student.hard_sigmoid(share, 0.0, 1.0, 1.0),
        "from 1 to 3, height 5": student.hard_sigmoid(1 + 2 * share, 1.0, 3.0, 5.0),
        "from -2.5 to -2, height 0.3": student.hard_sigmoid(-2.5 + 0.5 * share, -2.5, -2.0, 0.3),
    }


@check("hard_sigmoid", points=2, hint="What stops the climb of the first ReLU, and where does it have to begin?")
def flat_on_both_sides(student, rng):
    """Before the start the step is 0, and from the end on it stays at its height."""
    return {
        "far to both sides": student.hard_sigmoid(np.array([-50.0, 0.5, 4.5, 90.0]), 1.0, 4.0, 6.0),
        "at start and end": student.hard_sigmoid(np.array([-2.0, 3.0]), -2.0, 3.0, 0.5),
        "a narrow step": student.hard_sigmoid(np.array([0.9, 1.1, 7.0]), 1.0, 1.0625, 2.0),
    }


@check("hard_sigmoid", points=2, hint="A negative height is a negative slope; nothing else changes.")
def steps_down_and_no_step(student, rng):
    """A negative height leads down, and height 0 is no step at all."""
    x = np.sort([*rng.uniform(-3, 6, size=7), 5.5])  # whatever the seed, some x is beyond the end
    return {
        "height -4": student.hard_sigmoid(x, -1.0, 3.0, -4.0),
        "height 0": student.hard_sigmoid(x, 0.0, 1.0, 0.0),
    }


@check("hard_sigmoid", points=1, hint="The formula works on whole arrays: leave their shape and dtype alone.")
def hard_sigmoid_keeps_shape_and_dtype(student, rng):
    """The step has the shape and the dtype of x."""
    x = rng.uniform(-2, 2, size=(2, 3))
    return {
        "two axes": student.hard_sigmoid(x, -1.0, 1.0, 3.0),
        "float32": student.hard_sigmoid(x.astype(np.float32), -1.0, 1.0, 3.0),
        "empty": student.hard_sigmoid(np.zeros(0), -1.0, 1.0, 3.0),
    }


# ---------------------------------------------------------------- piecewise_linear_coefficients


def height_of(coefficients, x):
    """The curve that the coefficients draw, at x."""
    bias, c, k = coefficients
    c, k = np.asarray(c, dtype=float).ravel(), np.asarray(k, dtype=float).ravel()
    return float(bias) + np.maximum(np.asarray(x)[:, None] - k, 0) @ c


def through(*places):
    """An `after`: the curve at these places."""
    return lambda coefficients: height_of(coefficients, np.array(places))


@check(
    "piecewise_linear_coefficients",
    points=2,
    after=each(through(0.0, 1.0, 1.25, 1.9, 2.0)),
    hint="There is one slope, and left of it there is level ground.",
)
def a_single_piece(student, rng):
    """Two points make level ground and one slope."""
    ends = np.array([1.0, 2.0])
    return {
        "from 0 up to 3": student.piecewise_linear_coefficients(ends, np.array([0.0, 3.0])),
        "from 5 down to 4": student.piecewise_linear_coefficients(ends, np.array([5.0, 4.0])),
        "level": student.piecewise_linear_coefficients(ends, np.array([2.0, 2.0])),
    }


@check(
    "piecewise_linear_coefficients",
    points=3,
    after=each(through(-3.0, -2.2, -1.0, 0.0, 0.3, 0.5, 1.7, 2.0, 3.4, 4.0)),
    hint="The ReLUs that started earlier go on climbing: what does the next one have to add?",
)
def curve_through_all_points(student, rng):
    """The curve runs straight from point to point."""
    x = np.array([-3.0, -1.0, 0.5, 2.0, 4.0])
    return {
        "three points": student.piecewise_linear_coefficients(x[::2], rng.normal(size=3)),
        "five points": student.piecewise_linear_coefficients(x, rng.normal(size=5)),
        "five heights far from 0": student.piecewise_linear_coefficients(x, 100 + rng.normal(size=5)),
    }


@check(
    "piecewise_linear_coefficients",
    points=2,
    after=each(through(-9.0, -2.5, 0.0, 4.5, 8.0)),
    hint="Left of all kinks, every ReLU is 0. Right of the last point, nothing new begins.",
)
def beyond_the_ends(student, rng):
    """Left of the first point the curve is flat, and right of the last one its last slope goes on."""
    x, y = np.array([-2.0, -1.0, 1.0, 4.0]), rng.uniform(1, 9, size=4)
    return {
        "around 0": student.piecewise_linear_coefficients(x, y),
        "right of 0": student.piecewise_linear_coefficients(x + 3, y),
    }


def as_arrays(coefficients):
    bias, c, k = coefficients
    return [bias, np.asarray(c, dtype=float), np.asarray(k, dtype=float)]


@check(
    "piecewise_linear_coefficients",
    points=2,
    after=each(as_arrays),
    hint="Read again what is returned, and what becomes of a ReLU that is not needed.",
)
def coefficients_one_by_one(student, rng):
    """The bias, the m coefficients and the m kinks are those of the docstring, zeros included."""
    x = np.array([0.0, 1.0, 3.0, 4.0])
    return {
        "an uneven curve": student.piecewise_linear_coefficients(x, np.array([1.0, 2.0, -2.0, 5.0])),
        "three points on one line": student.piecewise_linear_coefficients(x, np.array([1.0, 2.0, 4.0, 1.0])),
    }


@check(
    "piecewise_linear_coefficients",
    points=1,
    after=each(as_arrays),
    hint="How many slopes are there between m + 1 points?",
)
def a_single_point(student, rng):
    """A single point is a flat curve: a bias and no ReLU; two points need one."""
    return {
        "one point": student.piecewise_linear_coefficients(np.array([2.0]), rng.normal(size=1)),
        "two points": student.piecewise_linear_coefficients(np.array([2.0, 2.5]), rng.normal(size=2)),
    }


@check(
    "piecewise_linear_coefficients",
    points=1,
    after=through(*np.linspace(-4, 4, 33)),
    hint="Follow your curve along the first few points: does it still meet them, and does a later one?",
)
def many_points(student, rng):
    """A curve with 200 points."""
    x = np.linspace(-4, 4, 200) + rng.uniform(-0.01, 0.01, size=200)
    return student.piecewise_linear_coefficients(x, np.sin(3 * x) + 0.2 * x**2)


# ---------------------------------------------------------------- sum_of_sigmoids


def parameters(rng, steps, dtype=float):
    """θ of a model with that many steps."""
    return np.concatenate([rng.normal(size=1), rng.normal(scale=2, size=3 * steps)]).astype(dtype)


@check("sum_of_sigmoids", points=2, hint="One step first: which of the four numbers stand inside of the sigmoid?")
def one_step(student, rng):
    """A model with a single step."""
    x = np.array([-2.0, 0.0, 1.0])
    return {
        "a step": student.sum_of_sigmoids(x, np.array([0.0, 1.0, 0.0, 2.0])),
        "moved aside": student.sum_of_sigmoids(x, np.array([0.0, 1.0, -3.0, 2.0])),
        "moved up, and higher": student.sum_of_sigmoids(x, np.array([7.0, 4.0, 1.5, -2.0])),
    }


@check("sum_of_sigmoids", points=3, hint="Every x meets every step. In which order does theta hold the parameters?")
def many_steps(student, rng):
    """Models with several steps, at several places."""
    return {
        "two steps": student.sum_of_sigmoids(rng.normal(size=3), parameters(rng, 2)),
        "five steps": student.sum_of_sigmoids(rng.normal(size=4), parameters(rng, 5)),
        "as many steps as places": student.sum_of_sigmoids(rng.normal(size=4), parameters(rng, 4)),
    }


@check("sum_of_sigmoids", points=1, hint="A sum of no steps is 0, at each x; and no x gives no y.")
def no_steps_and_no_places(student, rng):
    """Without steps there is only the constant, and without places there is nothing to compute."""
    return {
        "no steps": student.sum_of_sigmoids(np.array([-1.0, 0.0, 5.0]), np.array([2.5])),
        "no places": student.sum_of_sigmoids(np.zeros(0), parameters(rng, 3)),
        "one place": student.sum_of_sigmoids(np.array([0.3]), parameters(rng, 3)),
    }


@check("sum_of_sigmoids", points=1, hint="In which dtype does your result begin its life?")
def model_keeps_the_dtype(student, rng):
    """float32 places and parameters give float32."""
    return student.sum_of_sigmoids(rng.normal(size=4).astype(np.float32), parameters(rng, 3, np.float32))


@check(
    "sum_of_sigmoids",
    points=3,
    cost=6,
    hint="Give x a second axis, and all steps at all places are one array. Then sum over the steps.",
)
def all_steps_at_once(student, rng):
    """2000 steps at 10 places, and 2000 places with 10 steps, without a loop in Python."""
    return {
        "2000 steps": student.sum_of_sigmoids(rng.normal(size=10), parameters(rng, 2000)),
        "2000 places": student.sum_of_sigmoids(rng.normal(size=2000), parameters(rng, 10)),
    }


# ---------------------------------------------------------------- loss_and_gradient

# The chain rule is right to the last few digits; slopes that were measured are so to nine or ten.
CHAIN_RULE = close(rtol=1e-10, atol=1e-12)


def examples(rng, number, steps, dtype=float):
    """θ, x and ŷ, for a model with that many steps."""
    return [
        parameters(rng, steps, dtype),
        rng.normal(scale=1.5, size=number).astype(dtype),
        rng.normal(scale=2, size=number).astype(dtype),
    ]


def in_parts(observed):
    """The loss, and the gradient by the kind of parameter."""
    loss, gradient = observed
    gradient = np.asarray(gradient)
    c, b, w = gradient[1:].reshape(3, -1)
    return {"the loss": loss, "b": gradient[:1], "the c_i": c, "the b_i": b, "the w_i": w}


def only_loss(observed):
    return observed[0]


@check(
    "loss_and_gradient", points=2, after=each(only_loss), hint="First the error of each example, then the mean of all."
)
def both_losses(student, rng):
    """The loss is the mean squared, or the mean absolute, error."""
    one, five = examples(rng, 1, 1), examples(rng, 5, 3)
    return {
        "mse, one example": student.loss_and_gradient(*one),
        "mae, one example": student.loss_and_gradient(*one, error="mae"),
        "mse, five examples": student.loss_and_gradient(*five, error="mse"),
        "mae, five examples": student.loss_and_gradient(*five, error="mae"),
    }


@check(
    "loss_and_gradient",
    points=2,
    after=each(in_parts),
    hint="With b alone, y = b. How fast does each error grow when b grows?",
)
def gradient_of_the_constant(student, rng):
    """The gradient of a model that is only a constant."""
    target = np.array([0.0, 1.0, 2.0, 7.0, 9.0])
    return {
        f"{error}, b = {b}": student.loss_and_gradient(np.array([b]), np.arange(5.0), target, error)
        for error in ("mse", "mae")
        for b in (-1.0, 4.0, 10.0)
    }


@check(
    "loss_and_gradient",
    points=4,
    after=each(in_parts),
    compare=CHAIN_RULE,
    hint="Follow the chain: from L to y, from y to the step, from the step to what stands inside of it. "
    "What it gives is exact, where a slope that is measured is only nearly right.",
)
def gradient_of_the_squared_error(student, rng):
    """The gradient of the mean squared error, by every parameter."""
    return {
        "one example, one step": student.loss_and_gradient(*examples(rng, 1, 1), error="mse"),
        "six examples, one step": student.loss_and_gradient(*examples(rng, 6, 1), error="mse"),
        "six examples, four steps": student.loss_and_gradient(*examples(rng, 6, 4), error="mse"),
        "as many examples as steps": student.loss_and_gradient(*examples(rng, 3, 3), error="mse"),
    }


@check(
    "loss_and_gradient",
    points=2,
    after=each(in_parts),
    compare=CHAIN_RULE,
    hint="The slope of |e| is 1 on one side of 0 and -1 on the other. On which side are you if y is too high?",
)
def gradient_of_the_absolute_error(student, rng):
    """The gradient of the mean absolute error, by every parameter."""
    return {
        "one example, one step": student.loss_and_gradient(*examples(rng, 1, 1), error="mae"),
        "six examples, one step": student.loss_and_gradient(*examples(rng, 6, 1), error="mae"),
        "six examples, four steps": student.loss_and_gradient(*examples(rng, 6, 4), error="mae"),
    }


@check(
    "loss_and_gradient",
    points=1,
    after=each(in_parts),
    hint="Where the model is right, there is nothing to push: what is 0 divided by its own size?",
)
def examples_that_are_met_exactly(student, rng):
    """An example that is met exactly adds nothing to the gradient."""
    x = np.array([1.0, 2.0, 3.0])
    return {
        "mse, all met": student.loss_and_gradient(np.array([2.0, 0.0, 1.0, 1.0]), x, np.full(3, 2.0), error="mse"),
        "mae, all met": student.loss_and_gradient(np.array([2.0, 0.0, 1.0, 1.0]), x, np.full(3, 2.0), error="mae"),
        "mae, one met": student.loss_and_gradient(np.array([2.0]), x, np.array([2.0, 1.0, 5.0]), error="mae"),
        "mae, two met": student.loss_and_gradient(np.array([2.0]), x, np.array([2.0, 2.0, 1.0]), error="mae"),
    }


@check("loss_and_gradient", points=1, after=each(in_parts), hint="The loss is a mean: who comes twice counts twice.")
def examples_that_come_twice(student, rng):
    """If every example comes twice, neither loss nor gradient changes."""
    theta, x, target = examples(rng, 3, 2)
    return {
        f"{error}, {times} times": student.loss_and_gradient(theta, np.tile(x, times), np.tile(target, times), error)
        for error in ("mse", "mae")
        for times in (1, 2)
    }


@check(
    "loss_and_gradient",
    points=3,
    cost=5,
    hint="The derivative of the sigmoid is known: use it, for all examples and all steps at once.",
)
def gradient_of_many_steps(student, rng):
    """1500 steps, and then 1500 examples, without a loop in Python."""
    return {
        "1500 steps": student.loss_and_gradient(*examples(rng, 5, 1500), error="mse"),
        "1500 examples": student.loss_and_gradient(*examples(rng, 1500, 5), error="mae"),
    }


@check("loss_and_gradient", points=1, hint="Which step of yours turns float32 into float64?")
def gradient_keeps_the_dtype(student, rng):
    """With float32 parameters and examples, the gradient is float32."""
    data = examples(rng, 4, 2, np.float32)
    return {error: student.loss_and_gradient(*data, error)[1] for error in ("mse", "mae")}


# ---------------------------------------------------------------- gradient_descent


def as_array(value):
    """A list of rows is as good as an array, where the type is not what is tested."""
    return np.array(value) if isinstance(value, list) else value


def bowl(theta):
    """The gradient of a bowl that is no parabola."""
    return theta + 0.5 * theta**3


@check("gradient_descent", points=2, after=as_array, hint="The gradient points uphill. Which way do you walk?")
def a_single_update(student, rng):
    """A single update: the start, and one step downhill."""
    return student.gradient_descent(rng.normal(size=3), bowl, 0.1, 1)


@check("gradient_descent", points=3, after=each(as_array), hint="Feel the slope where you stand now, before each step.")
def several_updates(student, rng):
    """Several updates, each with the gradient at the point where it begins."""
    valley = np.array([1.0, 4.0])
    return {
        "one parameter": student.gradient_descent(np.array([1.5]), bowl, 0.2, 3),
        "two parameters": student.gradient_descent(rng.normal(size=2), lambda theta: valley * theta, 0.1, 5),
        "a small learning rate": student.gradient_descent(rng.normal(size=2), bowl, 0.001, 3),
    }


@check("gradient_descent", points=1, after=each(as_array), hint="What has been passed before the first update?")
def no_update_leaves_the_start(student, rng):
    """Without an update, the trajectory is the start alone; with two, it has three points."""
    start = rng.normal(size=3)
    return {f"{steps} updates": student.gradient_descent(start, bowl, 0.1, steps) for steps in (0, 2)}


@check("gradient_descent", points=1, hint="Does your first update write into the array that was passed in?")
def the_start_stays_where_it_is(student, rng):
    """After the walk, the start that was passed in is as it was."""
    start = rng.normal(size=2)
    trajectory = student.gradient_descent(start, bowl, 0.1, 3)
    return {"the start": start, "the end": trajectory[-1]}


@check("gradient_descent", points=1, hint="In which dtype, and as what, do you keep the trajectory?")
def trajectory_keeps_the_dtype(student, rng):
    """The trajectory is an array, of the dtype of the start."""
    start = rng.normal(size=2)
    return {
        "float64": student.gradient_descent(start, bowl, 0.1, 2),
        "float32": student.gradient_descent(start.astype(np.float32), bowl, 0.1, 2),
    }


@check("gradient_descent", points=1, after=each(as_array), hint="If you stand in the valley, what is the slope?")
def at_rest_in_the_valley(student, rng):
    """Where the gradient is 0, nothing moves, and every update counts all the same."""
    return {
        "at rest": student.gradient_descent(np.zeros(2), bowl, 0.3, 4),
        "at rest in two of three directions": student.gradient_descent(np.array([0.0, 1.0, 0.0]), bowl, 0.3, 4),
    }


# ---------------------------------------------------------------- learning_rate_cases


def decay(start, end, share_left, updates):
    """A loss that falls from start towards end, with `share_left` of the way to go at the end."""
    return end + (start - end) * share_left ** (np.arange(updates + 1) / updates)


def line(start, end, updates):
    return np.linspace(start, end, updates + 1)


@check("learning_rate_cases", points=3, hint="How much of the whole fall is left for the second half of the updates?")
def falling_curves(student, rng):
    """Curves that only fall: some have levelled off, and some are still on their way."""
    cases = {
        "levels off": decay(9.0, 1.0, 1e-4, 20),
        "a straight line": line(9.0, 1.0, 20),
        "slowly, and levels off": decay(9.0, 8.5, 1e-5, 31),
        "most of it early, the rest late": np.concatenate([line(9, 4, 5), line(4, 2, 20)[1:]]),
        "late": np.array([9.0, 9.0, 9.0, 9.0, 8.0, 3.0, 1.0, 1.0]),
        "long, and levels off": decay(2.0, 0.3, 1e-6, 400),
    }
    return {case: student.learning_rate_cases(losses) for case, losses in cases.items()}


@check("learning_rate_cases", points=2, hint="Sum up all the rises, and compare them with the fall.")
def bouncing_curves(student, rng):
    """Curves that end low, but have bounced on the way; and one that has not."""
    cases = {
        "bounces early": np.array([9.0, 3.0, 8.0, 2.0, 7.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0]),
        "bounces for ever": np.array([9.0, *[2.0, 5.0] * 10, 2.0]),
        "many small bounces": np.array([9.0, *[2.0, 3.0] * 10, 2.0]),
        "climbs high first, then falls": np.array([3.0, 50.0, 400.0, 20.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]),
        "one bounce, still on its way": np.array([9.0, 8.0, 7.0, 9.0, 7.0, 6.0, 5.0]),
        "nearly back to the start": np.array([4.0, 2.0, 4.0, 2.0, 3.5]),
        "no bounce at all": np.array([9.0, 3.0, 1.5, 1.1, 1.0, 1.0, 1.0]),
    }
    return {case: student.learning_rate_cases(losses) for case, losses in cases.items()}


@check("learning_rate_cases", points=2, hint="Compare the last loss with the first, and look for what is no number.")
def curves_that_diverge(student, rng):
    """Curves that end higher than they began or overflow on the way; and one that does neither."""
    cases = {
        "rises": np.array([1.0, 3.0, 9.0, 27.0]),
        "falls first": np.array([5.0, 3.0, 2.0, 4.0, 9.0]),
        "rises slowly and evenly": line(2.0, 3.0, 10),
        "bounces higher and higher": np.array([4.0, 2.0, 6.0, 3.0, 9.0, 5.0]),
        "NaN at the end": np.array([5.0, 1.0, 30.0, np.nan]),
        "infinite on the way": np.array([5.0, 40.0, np.inf, 3.0, 1.0]),
        "NaN on the way": np.array([5.0, 4.0, np.nan, 2.0, 1.0]),
        "starts at infinity": np.array([np.inf, 4.0, 1.0, 1.0]),
        "large, but finite, and it falls": np.array([1e200, 1e100, 1e10, 1.0, 1.0]),
    }
    return {case: student.learning_rate_cases(losses) for case, losses in cases.items()}


@check("learning_rate_cases", points=1, hint="A small rise now and then is no wall: how large are all rises together?")
def small_rises_do_not_matter(student, rng):
    """Small rises, such as those of rounding, make no curve too large."""
    ripple = np.where(np.arange(41) % 2, 1e-3, 0.0)
    cases = {
        "one small rise": np.array([9.0, 3.0, 1.5, 1.0, 1.2, 1.0, 1.0, 1.0, 1.0]),
        "levels off, with a ripple": decay(9.0, 1.0, 1e-5, 40) + ripple,
        "a line with a ripple": line(9.0, 1.0, 40) + ripple,
    }
    return {case: student.learning_rate_cases(losses) for case, losses in cases.items()}


@check("learning_rate_cases", points=1, hint="Only ratios matter. Is there a fixed number in your comparisons?")
def units_do_not_matter(student, rng):
    """The answer depends neither on the unit of the loss nor on a constant that is added to it."""
    curves = {
        "levels off": decay(9.0, 1.0, 1e-4, 20),
        "on its way": line(9.0, 1.0, 20),
        "bounces": np.array([9.0, 3.0, 8.0, 2.0, 7.0, 1.5, 1.0, 1.0, 1.0]),
    }
    return {
        f"{case}, {name}": student.learning_rate_cases(change(losses))
        for case, losses in curves.items()
        for name, change in [
            ("times 1024", lambda losses: losses * 1024),
            ("a millionth", lambda losses: losses / 2**20),
            ("plus 512", lambda losses: losses + 512),
            ("minus 64", lambda losses: losses - 64),
        ]
    }


@check("learning_rate_cases", points=1, hint="Try the definition on the smallest curves, and on one that stands still.")
def short_curves_and_no_movement(student, rng):
    """Curves of two or three updates, and curves that do not move at all."""
    cases = {
        "two updates, levels off": np.array([4.0, 1.0, 1.0]),
        "two updates, on its way": np.array([4.0, 3.0, 2.0]),
        "two updates, bounces": np.array([4.0, 9.0, 1.0]),
        "three updates, levels off": np.array([4.0, 1.0, 1.0, 1.0]),
        "stands still": np.full(3, 0.5),
        "stands still for long": np.full(50, 2.0),
    }
    return {case: student.learning_rate_cases(losses) for case, losses in cases.items()}


# ---------------------------------------------------------------- mlp_forward


def network(rng, *widths, dtype=float):
    """Random weights and biases for the widths n_0, n_1, ..., n_L."""
    weights = [rng.normal(size=(m, n)).astype(dtype) for n, m in itertools.pairwise(widths)]
    return weights, [rng.normal(size=m).astype(dtype) for m in widths[1:]]


@check("mlp_forward", points=2, hint="Each row of W belongs to one neuron. And which layers have a ReLU?")
def a_single_layer(student, rng):
    """A network of one layer is b + W x."""
    return {
        "one input, one output": student.mlp_forward(rng.normal(size=(3, 1)), *network(rng, 1, 1)),
        "three inputs, two outputs": student.mlp_forward(rng.normal(size=(4, 3)), *network(rng, 3, 2)),
        "as many outputs as inputs": student.mlp_forward(rng.normal(size=(4, 3)), *network(rng, 3, 3)),
    }


@check("mlp_forward", points=3, hint="Follow one example through: multiply, add, cut off below 0, and on to the next.")
def several_layers(student, rng):
    """Deep networks of different and of equal widths."""
    return {
        "a single example": student.mlp_forward(rng.normal(size=(1, 2)), *network(rng, 2, 3, 2)),
        "one hidden layer": student.mlp_forward(rng.normal(size=(2, 2)), *network(rng, 2, 4, 1)),
        "three hidden layers": student.mlp_forward(rng.normal(size=(5, 3)), *network(rng, 3, 4, 2, 5, 2)),
        "all widths equal": student.mlp_forward(rng.normal(size=(5, 3)), *network(rng, 3, 3, 3, 3)),
    }


@check(
    "mlp_forward", points=2, hint="There is one bias for each neuron. What if there are as many examples as neurons?"
)
def one_bias_for_each_neuron(student, rng):
    """Each neuron has its own bias, also where there are as many examples as neurons."""
    return {
        "zeros in": student.mlp_forward(np.zeros((3, 3)), *network(rng, 3, 3)),
        "three of everything": student.mlp_forward(rng.normal(size=(3, 3)), *network(rng, 3, 3, 3)),
    }


@check("mlp_forward", points=2, hint="The answer of a network may be negative.")
def outputs_below_zero(student, rng):
    """Where the last layer is negative, the output is negative; what is negative before it becomes 0."""
    weights, biases = network(rng, 2, 3, 2)
    x = rng.normal(size=(4, 2))
    return {
        "all outputs negative": student.mlp_forward(x, weights, [biases[0], np.full(2, -50.0)]),
        "all hidden neurons asleep": student.mlp_forward(x, weights, [np.full(3, -50.0), biases[1]]),
        "all hidden neurons awake": student.mlp_forward(x, weights, [np.full(3, 50.0), biases[1]]),
    }


@check("mlp_forward", points=1, hint="Use what you are given as it is: no conversion, and no loop that expects a list.")
def network_keeps_the_dtype(student, rng):
    """float32 stays float32; weights and biases may come as tuples."""
    weights, biases = network(rng, 2, 3, 1, dtype=np.float32)
    x = rng.normal(size=(4, 2))
    return {
        "float32": student.mlp_forward(x.astype(np.float32), weights, biases),
        "tuples": student.mlp_forward(x, *map(tuple, network(rng, 2, 3, 1))),
    }


# ---------------------------------------------------------------- count_parameters


def named(widths):
    return " → ".join(map(str, widths))


@check(
    "count_parameters",
    points=2,
    hint="Draw the network of 2 inputs and 3 neurons, and count the lines. What is missing?",
)
def one_layer_of_parameters(student, rng):
    """A single layer: one weight for each pair, and one bias for each neuron."""
    return {named(widths): student.count_parameters(widths) for widths in ([1, 1], [2, 3], [3, 2], [784, 10])}


@check("count_parameters", points=2, hint="Go from layer to layer: each has its own inputs.")
def parameters_of_all_layers(student, rng):
    """Networks with hidden layers: every layer counts."""
    cases = ([1, 2, 1], [3, 5, 4, 2], [2, 2, 2, 2, 2], (784, 512, 256, 10), [1, 1000, 1])
    return {named(widths): student.count_parameters(widths) for widths in cases}


def is_whole(value):
    """A number that can be counted with: Python's int, or an integer of NumPy."""
    return np.asarray(value).dtype.kind in "iu"


@check("count_parameters", points=1, after=lambda value: [value, is_whole(value)], hint="Of which type is a count?")
def a_large_count_is_exact(student, rng):
    """The count is a whole number, exact also for a network of 100 billion parameters."""
    return student.count_parameters([300_001, 300_001, 7])


# ---------------------------------------------------------------- fat_width


@check(
    "fat_width", points=2, hint="What does one more hidden neuron cost? And what is there to pay before the first one?"
)
def widest_within_the_budget(student, rng):
    """The widest network whose parameters fit into the budget."""
    cases = [(10, 1, 1), (50, 2, 3), (100, 1, 1), (1000, 10, 5), (89_610, 784, 10)]
    return {f"{budget} for {n} → ? → {m}": student.fat_width(budget, n, m) for budget, n, m in cases}


@check("fat_width", points=1, hint="Put your width into count_parameters. Does it fit? And would one more?")
def just_enough_and_just_too_little(student, rng):
    """A budget may be used up exactly; with one parameter less, there is one neuron less."""
    exact = [(31, 1, 1), (63, 2, 3), (1605, 10, 5)]  # enough for 10, 10 and 100 neurons
    return {
        f"{budget} for {n} → ? → {m}": student.fat_width(budget, n, m)
        for enough, n, m in exact
        for budget in (enough, enough - 1, enough + 1)
    }


@check("fat_width", points=1, hint="There is no network of less than no neurons.")
def too_small_a_budget(student, rng):
    """If not even one hidden neuron fits, the width is 0."""
    cases = [(0, 1, 1), (1, 1, 1), (3, 1, 1), (4, 1, 1), (2, 1, 10), (15, 5, 10), (26, 5, 10)]
    return {f"{budget} for {n} → ? → {m}": student.fat_width(budget, n, m) for budget, n, m in cases}


# ---------------------------------------------------------------- sawtooth_network


def output_of(observed, x):
    """The output of a network of ReLUs with one input and one output, at each x."""
    weights, biases = observed
    a = np.asarray(x, dtype=float)[:, None]
    if len(weights) != len(biases):
        raise ValueError("there is one bias vector for each matrix")
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
        a = a @ np.asarray(W, dtype=float).T + np.asarray(b, dtype=float)
        if layer < len(weights) - 1:
            a = np.maximum(a, 0)
    return a[:, 0]


def heights_at_corners(depth):
    """An `after`: the output at all corners of the sawtooth, and half-way between them."""
    return lambda observed: output_of(observed, np.linspace(0, 1, 2 ** (depth + 1) + 1))


@check(
    "sawtooth_network",
    points=2,
    after=heights_at_corners(1),
    hint="Where does the second ReLU begin, and how much has it to undo?",
)
def one_fold_is_the_tent(student, rng):
    """One fold makes the tent."""
    return student.sawtooth_network(1)


@check(
    "sawtooth_network",
    points=3,
    after=lambda observed: {
        f"{depth} folds": heights_at_corners(depth)(networks) for depth, networks in observed.items()
    },
    hint="The output of one tent is the input of the next, and is between 0 and 1 again.",
)
def every_layer_doubles_the_pieces(student, rng):
    """Each further layer folds once more: 4, 8, 16, 64 pieces, all between 0 and 1."""
    return {depth: student.sawtooth_network(depth) for depth in (2, 3, 4, 6)}


@check(
    "sawtooth_network",
    points=1,
    after=lambda observed: {
        f"{depth} folds": output_of(networks, np.array([0.0, 1, 1.5, 2, 3, 777]) / 2**depth)
        for depth, networks in observed.items()
    },
    compare=close(atol=1e-6),  # each fold doubles the rounding of weights that are no powers of two
    hint="How high is the last tooth of a deep network, and how steep is it?",
)
def a_thousand_pieces_and_more(student, rng):
    """Deep sawtooths neither shrink nor blur: 1024 pieces, and a million."""
    return {depth: student.sawtooth_network(depth) for depth in (10, 20)}


def layer_shapes(observed):
    """The shapes; and the first tooth of a sawtooth of that many layers, for shapes alone fold nothing."""
    weights, biases = observed
    first_tooth = output_of(observed, np.arange(3) / 2.0 ** (len(weights) - 1))
    return [[list(np.shape(W)) for W in weights], [list(np.shape(b)) for b in biases], first_tooth]


@check(
    "sawtooth_network",
    points=2,
    after=each(layer_shapes),
    hint="Deep, not fat: how many neurons does a layer have, and how many layers are there?",
)
def two_neurons_in_every_layer(student, rng):
    """The sawtooth has `depth` hidden layers of two neurons each."""
    return {f"depth {depth}": student.sawtooth_network(depth) for depth in (1, 2, 5)}


# ---------------------------------------------------------------- count_linear_pieces


def column(*values):
    return np.array(values, dtype=float)[:, None]


def one_layer(kinks, changes):
    """A network of one hidden layer whose slope changes by `changes` at `kinks`, and is 0 on the very left."""
    return [np.ones((len(kinks), 1)), np.array([changes], dtype=float)], [-np.array(kinks, dtype=float), np.zeros(1)]


def folds(depth):
    """A network that folds [0, 1] depth times."""
    tent = np.array([[2.0, -4.0]])
    weights = [np.ones((2, 1)), *[np.vstack([tent, tent])] * (depth - 1), tent]
    return weights, [np.array([0.0, -0.5])] * depth + [np.zeros(1)]


def random_network(rng, *widths):
    """A random network with one input and one output, whose weights are not small: neither are its kinks."""
    shapes = [(m, n) for n, m in itertools.pairwise(widths)]
    weights = [rng.uniform(0.25, 1.5, size=shape) * rng.choice([-1, 1], size=shape) for shape in shapes]
    return weights, [rng.normal(size=shape[0]) for shape in shapes]


@check("count_linear_pieces", points=2, hint="How many pieces does a curve with one kink have?")
def pieces_of_one_layer(student, rng):
    """The pieces of networks without, and with one, hidden layer."""
    return {
        "a straight line": student.count_linear_pieces([column(2)], [np.ones(1)], 0.0, 1.0),
        "one kink": student.count_linear_pieces(*one_layer([0.5], [1]), 0.0, 1.0),
        "three kinks": student.count_linear_pieces(*one_layer([0.25, 0.5, 0.75], [1, -2, 1]), 0.0, 1.0),
        "a neuron that looks left": student.count_linear_pieces(
            [column(1, -2), np.array([[1.0, 1.0]])], [np.array([-0.5, 0.5]), np.zeros(1)], 0.0, 1.0
        ),
        "a curve through 0": student.count_linear_pieces(*one_layer([-1.0], [1]), -3.0, 3.0),
        "an output through 0": student.count_linear_pieces([column(2)], [np.ones(1)], -3.0, 3.0),
    }


@check("count_linear_pieces", points=1, hint="Which kinks lie strictly between start and end?")
def only_the_interval_counts(student, rng):
    """Kinks outside of the interval, or at its very ends, make no new piece."""
    net = one_layer([-1.0, 0.0, 1.0, 2.0], [1, 1, -3, 2])
    cases = [(-2.0, 3.0), (-0.5, 1.5), (0.0, 1.0), (0.25, 0.75), (0.0, 2.0), (5.0, 6.0), (-9.0, -2.0)]
    return {f"from {start} to {end}": student.count_linear_pieces(*net, start, end) for start, end in cases}


@check("count_linear_pieces", points=2, hint="Look at the slope of the output on both sides of a kink.")
def kinks_that_the_output_does_not_have(student, rng):
    """A neuron's kink where the slope of the output stays the same makes no new piece."""
    asleep = [column(1, 1), -np.ones((2, 2)), np.ones((1, 2))], [np.array([-0.25, -0.75]), -np.ones(2), np.zeros(1)]
    return {
        "a weight of 0": student.count_linear_pieces(*one_layer([0.25, 0.5], [1, 0]), 0.0, 1.0),
        "two kinks that cancel": student.count_linear_pieces(*one_layer([0.25, 0.5, 0.5], [1, 2, -2]), 0.0, 1.0),
        "two kinks at one place": student.count_linear_pieces(*one_layer([0.5, 0.5], [1, 2]), 0.0, 1.0),
        "hidden by the next layer": student.count_linear_pieces(*asleep, 0.0, 1.0),
        "relu(x) - relu(-x)": student.count_linear_pieces(
            [column(1, -1), np.array([[1.0, -1.0]])], [np.zeros(2), np.zeros(1)], -1.0, 1.0
        ),
    }


@check("count_linear_pieces", points=1, hint="However fine a grid is, a piece may fit between two of its points.")
def tiny_pieces(student, rng):
    """Pieces that are a millionth, or a billionth, wide count as well."""
    place = float(rng.integers(1, 2**20)) / 2**20
    networks = {
        f"1/2^{power} wide": one_layer([place, place + 2.0**-power, place + 3 * 2.0**-power], [1, -2, 3])
        for power in (1, 10, 20, 30)
    }
    networks["a tiny step beside a large one"] = one_layer([-0.25, place, place + 2.0**-30, 1.25], [1, 5, -5, 1])
    return {case: student.count_linear_pieces(*network, -0.5, 4.0) for case, network in networks.items()}


@check(
    "count_linear_pieces",
    points=2,
    hint="A kink of the second layer is where its input crosses 0: on which of the pieces?",
)
def pieces_of_deep_networks(student, rng):
    """The pieces of folded paper, and of random deep networks."""
    return {
        **{f"{depth} folds": student.count_linear_pieces(*folds(depth), 0.0, 1.0) for depth in (2, 3, 8)},
        "part of 4 folds": student.count_linear_pieces(*folds(4), 3 / 32, 19 / 32),
        **{
            f"random, {named(widths)}": student.count_linear_pieces(*random_network(rng, *widths), -3.0, 3.0)
            for widths in [(1, 3, 3, 1), (1, 6, 6, 1), (1, 5, 5, 5, 1), (1, 20, 1), (1, 12, 8, 1)]
        },
    }
