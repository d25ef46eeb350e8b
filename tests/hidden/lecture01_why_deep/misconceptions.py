"""Mistakes that students make in lectures 1-2: each must lose points, and is named when it explains an answer."""

import itertools
import math

import numpy as np

from grader import misconception
from solutions import lecture01_why_deep as lecture

WHY_SIGMOID = "Lectures 1-2, Why sigmoid or ReLU"
CURVES = "Lectures 1-2, Piecewise linear curves"
DESCENT = "Lectures 1-2, Gradient descent"
DEEP = "Lectures 1-2, Why deep network instead of fat network"

# ---------------------------------------------------------------- sigmoid


@misconception(
    "sigmoid",
    "You use the formula as it is written. For large negative numbers e^-x overflows, and NumPy warns of it.",
    lecture=WHY_SIGMOID,
)
def as_it_is_written(x):
    return 1 / (1 + np.exp(-x))


@misconception(
    "sigmoid",
    "You multiply top and bottom by e^x. That cures large negative numbers, but for large positive ones you now "
    "divide infinity by infinity: NaN.",
    lecture=WHY_SIGMOID,
)
def multiplied_by_e_to_the_x(x):
    e = np.exp(x)
    return e / (1 + e)


@misconception(
    "sigmoid",
    "You choose the right formula with np.where, but both formulas are still computed for every number, and one of "
    "them overflows.",
    lecture=WHY_SIGMOID,
)
def where_computes_both(x):
    return np.where(np.asarray(x) >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


@misconception(
    "sigmoid",
    "You clip x at a bound that suits float64. In float16 e^12 is already too large, in float32 e^89.",
    lecture=WHY_SIGMOID,
)
def clips_for_float64_only(x):
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


@misconception(
    "sigmoid",
    "You clip x so tightly that your step never gets to 0 or 1: it stays a little above and below.",
    lecture=WHY_SIGMOID,
)
def clips_too_tightly(x):
    return 1 / (1 + np.exp(-np.clip(x, -10, 10)))


@misconception(
    "sigmoid",
    "The sign of your exponent is turned round: your step leads down from 1 to 0.",
    lecture=WHY_SIGMOID,
)
def wrong_sign_of_the_exponent(x):
    return lecture.sigmoid(-x)


@misconception(
    "sigmoid",
    "This is the hyperbolic tangent: it climbs from -1 to 1. The sigmoid climbs from 0 to 1.",
    lecture=WHY_SIGMOID,
)
def hyperbolic_tangent(x):
    return np.tanh(x)


@misconception(
    "sigmoid",
    "You write the sigmoid with tanh and forget to halve x: your step is twice as steep.",
    lecture=WHY_SIGMOID,
)
def tanh_of_all_of_x(x):
    return 0.5 * (1 + np.tanh(x))


@misconception(
    "sigmoid",
    "You use the absolute value of x and forget to turn the step over for negative numbers: left looks like right.",
    lecture=WHY_SIGMOID,
)
def forgets_the_other_side(x):
    return 1 / (1 + np.exp(-np.abs(x)))


@misconception(
    "sigmoid",
    "Your result is float64 whatever x is: float32 and float16 should stay what they are.",
    lecture=WHY_SIGMOID,
)
def always_float64(x):
    return lecture.sigmoid(np.asarray(x, dtype=np.float64))


@misconception(
    "sigmoid",
    "You use x as an array that has entries to choose by a mask. A Python float has none.",
    lecture=WHY_SIGMOID,
)
def arrays_only(x):
    y = np.empty_like(x)
    right = x >= 0
    y[right] = 1 / (1 + np.exp(-x[right]))
    y[~right] = np.exp(x[~right]) / (1 + np.exp(x[~right]))
    return y


@misconception(
    "sigmoid",
    "You decide by the sign of x as a whole (`if x >= 0`): that works for one number, not for an array of them.",
    lecture=WHY_SIGMOID,
)
def single_numbers_only(x):
    if x >= 0:
        return 1 / (1 + np.exp(-x))
    return np.exp(x) / (1 + np.exp(x))


# ---------------------------------------------------------------- hard_sigmoid


def relu(z):
    return np.maximum(z, 0)


@misconception(
    "hard_sigmoid",
    "You use one ReLU only: your ramp never ends. A second one has to stop the climb.",
    lecture=WHY_SIGMOID,
)
def one_relu_only(x, start, end, height):
    return height / (end - start) * relu(x - start)


@misconception(
    "hard_sigmoid",
    "Your ramp has slope 1, whatever the height: it ends at `end - start` instead.",
    lecture=WHY_SIGMOID,
)
def slope_of_one(x, start, end, height):
    return relu(x - start) - relu(x - end)


@misconception(
    "hard_sigmoid",
    "You take the height for the slope. A ramp of that height has the slope height / (end - start).",
    lecture=WHY_SIGMOID,
)
def height_as_slope(x, start, end, height):
    return height * (relu(x - start) - relu(x - end))


@misconception(
    "hard_sigmoid",
    "You divide by `end` instead of by the width of the ramp, end - start: right only if the ramp starts at 0.",
    lecture=WHY_SIGMOID,
)
def divides_by_the_end(x, start, end, height):
    return height / end * (relu(x - start) - relu(x - end))


@misconception(
    "hard_sigmoid",
    "You add the second ReLU: from `end` on your ramp is twice as steep, where it should be flat.",
    lecture=WHY_SIGMOID,
)
def adds_the_second_relu(x, start, end, height):
    return height / (end - start) * (relu(x - start) + relu(x - end))


@misconception(
    "hard_sigmoid",
    "Your second ReLU takes away twice the slope: after the end, the step falls as fast as it has climbed.",
    lecture=WHY_SIGMOID,
)
def turns_back_at_the_end(x, start, end, height):
    return height / (end - start) * (relu(x - start) - 2 * relu(x - end))


@misconception(
    "hard_sigmoid",
    "You cut the ramp off with a minimum. For a step that leads down, of negative height, that cuts off the wrong "
    "side.",
    lecture=WHY_SIGMOID,
)
def cut_off_by_a_minimum(x, start, end, height):
    return np.minimum(height, height / (end - start) * relu(x - start))


@misconception(
    "hard_sigmoid",
    "You clip the whole ramp between 0 and the height. For a step that leads down the two bounds change places, and "
    "nothing but the lower one is left.",
    lecture=WHY_SIGMOID,
)
def clipped_between_0_and_height(x, start, end, height):
    return np.minimum(np.maximum(height * (x - start) / (end - start), 0), height)


@misconception(
    "hard_sigmoid",
    "This is a soft step. The hard sigmoid is made of straight pieces, and is quite flat before the start.",
    lecture=WHY_SIGMOID,
)
def soft_step(x, start, end, height):
    return height * lecture.sigmoid(4 * (x - (start + end) / 2) / (end - start))


@misconception(
    "hard_sigmoid",
    "Your result is float64 whatever x is: float32 should stay float32.",
    lecture=WHY_SIGMOID,
)
def hard_sigmoid_in_float64(x, start, end, height):
    return lecture.hard_sigmoid(x.astype(np.float64), start, end, height)


@misconception(
    "hard_sigmoid",
    "You join the three pieces and forget the ends: exactly at `end` your step is 0.",
    lecture=WHY_SIGMOID,
)
def forgets_the_end_itself(x, start, end, height):
    ramp = height * (x - start) / (end - start)
    return (np.where((x > start) & (x < end), ramp, 0) + np.where(x > end, height, 0)).astype(x.dtype)


# ---------------------------------------------------------------- piecewise_linear_coefficients


@misconception(
    "piecewise_linear_coefficients",
    "You use the slopes themselves. A ReLU goes on climbing for ever, so the next one must add only the change of "
    "slope.",
    lecture=CURVES,
)
def slopes_for_changes(x, y):
    return float(y[0]), np.diff(y) / np.diff(x), x[:-1]


@misconception(
    "piecewise_linear_coefficients",
    "The first slope is missing: where the curve begins, the slope changes as well, from 0 to the first slope.",
    lecture=CURVES,
)
def forgets_the_first_slope(x, y):
    changes = np.diff(np.diff(y) / np.diff(x))
    return float(y[0]), np.concatenate([np.zeros(min(1, len(x) - 1)), changes]), x[:-1]


@misconception(
    "piecewise_linear_coefficients",
    "You leave the first ReLU out, and with it the first slope: there is a ReLU at every point but the last.",
    lecture=CURVES,
)
def kinks_inside_only(x, y):
    return float(y[0]), np.diff(np.diff(y) / np.diff(x)), x[1:-1]


@misconception(
    "piecewise_linear_coefficients",
    "Your bias is the height of the first line at x = 0. But left of the first point all ReLUs are 0, so there the "
    "bias is the height of the first point.",
    lecture=CURVES,
)
def bias_at_zero(x, y):
    _, c, k = lecture.piecewise_linear_coefficients(x, y)
    return float(y[0] - c[0] * x[0]) if len(c) else float(y[0]), c, k


@misconception(
    "piecewise_linear_coefficients",
    "Your bias is 0: then the curve begins at height 0, and all of it is shifted.",
    lecture=CURVES,
)
def no_bias(x, y):
    return 0.0, *lecture.piecewise_linear_coefficients(x, y)[1:]


@misconception(
    "piecewise_linear_coefficients",
    "Your kinks are the right ends of the pieces: each ReLU has to start where its piece starts.",
    lecture=CURVES,
)
def kinks_at_the_right_ends(x, y):
    bias, c, _ = lecture.piecewise_linear_coefficients(x, y)
    return bias, c, x[1:]


@misconception(
    "piecewise_linear_coefficients",
    "You add one more ReLU at the last point, which makes the curve flat there. Its last slope should go on.",
    lecture=CURVES,
)
def flat_after_the_end(x, y):
    slopes = np.diff(y) / np.diff(x)
    return float(y[0]), np.diff(slopes, prepend=0.0, append=0.0), x


@misconception(
    "piecewise_linear_coefficients",
    "You use the differences of the heights, and do not divide by the distances of the points: right only where they "
    "are 1 apart.",
    lecture=CURVES,
)
def points_one_apart(x, y):
    return float(y[0]), np.diff(np.diff(y), prepend=0.0), x[:-1]


@misconception(
    "piecewise_linear_coefficients",
    "Your slopes are upside down: it is how much y changes divided by how much x changes.",
    lecture=CURVES,
)
def slopes_upside_down(x, y):
    rises = np.diff(y)
    slopes = np.diff(x) / np.where(rises == 0, 1, rises)
    return float(y[0]), np.diff(slopes, prepend=0.0), x[:-1]


@misconception(
    "piecewise_linear_coefficients",
    "You leave out the ReLUs whose coefficient is 0. The curve is right, but there should be one for each piece.",
    lecture=CURVES,
)
def leaves_out_zeros(x, y):
    bias, c, k = lecture.piecewise_linear_coefficients(x, y)
    return bias, c[c != 0], k[c != 0]


@misconception(
    "piecewise_linear_coefficients",
    "You subtract only the first slope from every other one. What is there already is the sum of all ReLUs before.",
    lecture=CURVES,
)
def changes_since_the_first_slope(x, y):
    slopes = np.diff(y) / np.diff(x)
    return float(y[0]), np.concatenate([slopes[:1], slopes[1:] - slopes[:1]]), x[:-1]


# ---------------------------------------------------------------- sum_of_sigmoids


@misconception(
    "sum_of_sigmoids",
    "Your b_i stand outside of the sigmoid: they lift the whole curve, where they should move each step aside.",
    lecture=WHY_SIGMOID,
)
def shifts_outside(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return bias + (lecture.sigmoid(x[:, None] * w) + b) @ c


@misconception(
    "sum_of_sigmoids",
    "You add the b_i after the steps have been scaled: they lift the whole curve, where they should move each step.",
    lecture=WHY_SIGMOID,
)
def shifts_outside_and_unscaled(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return bias + lecture.sigmoid(x[:, None] * w) @ c + b.sum()


@misconception(
    "sum_of_sigmoids",
    "You loop in Python, over the steps or over the places: right, but slow. All steps at all places are one array.",
    lecture=WHY_SIGMOID,
    same_as="loops_over_the_places",
)
def loops_over_the_steps(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    y = np.full_like(x, bias)
    for one_c, one_b, one_w in zip(c, b, w):
        y += one_c * lecture.sigmoid(one_b + one_w * x)
    return y


@misconception(
    "sum_of_sigmoids",
    "You loop in Python, over the steps or over the places: right, but slow. All steps at all places are one array.",
    lecture=WHY_SIGMOID,
    same_as="loops_over_the_steps",
)
def loops_over_the_places(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return np.array([bias + c @ lecture.sigmoid(b + w * one) for one in x], dtype=x.dtype)


@misconception(
    "sum_of_sigmoids",
    "The constant b is missing: your curve is in the wrong place, as a whole.",
    lecture=WHY_SIGMOID,
)
def forgets_the_constant(x, theta):
    return lecture.sum_of_sigmoids(x, theta) - theta[0]


@misconception(
    "sum_of_sigmoids",
    "You add the constant b once for every step. It belongs to the whole curve, and counts once.",
    lecture=WHY_SIGMOID,
)
def constant_for_every_step(x, theta):
    _, c, b, w = lecture.unpack(theta)
    return (theta[0] + lecture.sigmoid(b + x[:, None] * w) * c).sum(axis=1)


@misconception(
    "sum_of_sigmoids",
    "You have exchanged b_i and w_i: the shift is multiplied by x, and the steepness is not.",
    lecture=WHY_SIGMOID,
)
def shift_and_steepness_exchanged(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return bias + lecture.sigmoid(w + x[:, None] * b) @ c


@misconception(
    "sum_of_sigmoids",
    "You read theta as c_1, b_1, w_1, c_2, b_2, w_2 and so on. It holds all c_i first, then all b_i, then all w_i.",
    lecture=WHY_SIGMOID,
)
def reads_theta_step_by_step(x, theta):
    c, b, w = theta[1:].reshape(-1, 3).T
    return theta[0] + lecture.sigmoid(b + x[:, None] * w) @ c


@misconception(
    "sum_of_sigmoids",
    "You put w_i around x + b_i. In the model, the shift is added after the multiplication: b_i + w_i x.",
    lecture=WHY_SIGMOID,
)
def steepness_around_the_shift(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return bias + lecture.sigmoid(w * (x[:, None] + b)) @ c


@misconception(
    "sum_of_sigmoids",
    "You multiply x and w entry by entry: each place meets only its own step. Every place has to meet every step.",
    lecture=WHY_SIGMOID,
)
def each_place_its_own_step(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return bias + c * lecture.sigmoid(b + w * x)


@misconception(
    "sum_of_sigmoids",
    "You sum over the places instead of the steps.",
    lecture=WHY_SIGMOID,
)
def sums_over_the_places(x, theta):
    bias, c, b, w = lecture.unpack(theta)
    return bias + (c * lecture.sigmoid(b + x[:, None] * w)).sum(axis=0)


@misconception(
    "sum_of_sigmoids",
    "You average the steps. The model is their sum.",
    lecture=WHY_SIGMOID,
)
def averages_the_steps(x, theta):
    return theta[0] + (lecture.sum_of_sigmoids(x, theta) - theta[0]) / max(1, len(theta) // 3)


@misconception(
    "sum_of_sigmoids",
    "Your result is float64 whatever x is: float32 should stay float32.",
    lecture=WHY_SIGMOID,
)
def model_in_float64(x, theta):
    return lecture.sum_of_sigmoids(x.astype(np.float64), theta.astype(np.float64))


# ---------------------------------------------------------------- loss_and_gradient


def chain(theta, x, target, error, *, d=None, slope=None, inner=None):
    """Loss and gradient, with one link of the chain exchanged."""
    _, c, b, w = lecture.unpack(theta)
    difference = lecture.sum_of_sigmoids(x, theta) - target
    loss = np.mean(difference**2 if error == "mse" else np.abs(difference))
    right = 2 * difference if error == "mse" else np.sign(difference)
    d = (right if d is None else d(difference, right)) / len(x)
    s = lecture.sigmoid(b + x[:, None] * w)
    slope = s * (1 - s) if slope is None else slope(s)
    back = d[:, None] * c * slope if inner is None else inner(d[:, None], c, slope)
    return loss, np.concatenate([d.sum(keepdims=True), d @ s, back.sum(axis=0), x @ back])


@misconception(
    "loss_and_gradient",
    "Loss and gradient are sums over the examples. The loss is the mean: with twice as many examples it must not "
    "double.",
    lecture=DESCENT,
)
def sum_for_mean(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return loss * len(x), gradient * len(x)


@misconception(
    "loss_and_gradient",
    "Your loss is a mean, but your gradient is a sum: divide the gradient by N as well.",
    lecture=DESCENT,
)
def gradient_is_a_sum(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return loss, gradient * len(x)


@misconception(
    "loss_and_gradient",
    "The factor 2 is missing: the slope of e² is 2e.",
    lecture=DESCENT,
)
def factor_two_missing(theta, x, target, error="mse"):
    return chain(theta, x, target, error, d=lambda e, right: e if error == "mse" else right)


@misconception(
    "loss_and_gradient",
    "Your squared error has a half in front of it. Other books do that to get rid of the 2; the lecture's error has "
    "none.",
    lecture=DESCENT,
)
def half_of_the_squared_error(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return (loss / 2, gradient / 2) if error == "mse" else (loss, gradient)


@misconception(
    "loss_and_gradient",
    "The derivative of the sigmoid is missing: what the steps feel has to be multiplied by σ(z) (1 - σ(z)) before it "
    "reaches b_i and w_i.",
    lecture=DESCENT,
)
def derivative_of_the_sigmoid_missing(theta, x, target, error="mse"):
    return chain(theta, x, target, error, slope=np.ones_like)


@misconception(
    "loss_and_gradient",
    "You take σ(z) itself for its derivative. It is σ(z) (1 - σ(z)).",
    lecture=DESCENT,
)
def sigmoid_for_its_derivative(theta, x, target, error="mse"):
    return chain(theta, x, target, error, slope=lambda s: s)


@misconception(
    "loss_and_gradient",
    "You use 1 - σ(z)²: that is the derivative of the hyperbolic tangent. The sigmoid's is σ(z) (1 - σ(z)).",
    lecture=DESCENT,
)
def derivative_of_tanh(theta, x, target, error="mse"):
    return chain(theta, x, target, error, slope=lambda s: 1 - s**2)


@misconception(
    "loss_and_gradient",
    "On the way to b_i and w_i the height c_i is missing: a high step moves y more than a low one.",
    lecture=DESCENT,
)
def height_missing(theta, x, target, error="mse"):
    return chain(theta, x, target, error, inner=lambda d, c, slope: d * slope)


@misconception(
    "loss_and_gradient",
    "In the gradient by w_i, the factor x is missing: w_i is multiplied by x inside the sigmoid.",
    lecture=DESCENT,
)
def input_missing(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    bias, c, b, _ = lecture.unpack(gradient)
    return loss, np.concatenate([[bias], c, b, b])


@misconception(
    "loss_and_gradient",
    "Your gradient points the other way: you have ŷ - y where the derivative has y - ŷ.",
    lecture=DESCENT,
)
def wrong_sign(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return loss, -gradient


@misconception(
    "loss_and_gradient",
    "The sign of your MAE gradient is turned round: if y is too high, the error grows with y, so the slope is +1.",
    lecture=DESCENT,
)
def wrong_sign_for_mae(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return loss, -gradient if error == "mae" else gradient


@misconception(
    "loss_and_gradient",
    "For the MAE you use the size of the error as its slope. The slope of |e| is +1 or -1, whatever the size.",
    lecture=DESCENT,
)
def mae_slope_with_size(theta, x, target, error="mse"):
    return chain(theta, x, target, error, d=lambda e, right: e if error == "mae" else right)


@misconception(
    "loss_and_gradient",
    "For the MAE the slope is always 1 in your code. Where y is too low, it is -1.",
    lecture=DESCENT,
)
def mae_slope_without_sign(theta, x, target, error="mse"):
    return chain(theta, x, target, error, d=lambda e, right: np.ones_like(e) if error == "mae" else right)


@misconception(
    "loss_and_gradient",
    "For the MAE you divide the error by its size: where an example is met exactly that is 0 / 0, NaN.",
    lecture=DESCENT,
)
def divides_by_the_size(theta, x, target, error="mse"):
    return chain(theta, x, target, error, d=lambda e, right: e / np.abs(e) if error == "mae" else right)


@misconception(
    "loss_and_gradient",
    "For the MAE an example that is met exactly still pushes, as if it were too low. It should add nothing.",
    lecture=DESCENT,
)
def pushes_where_met(theta, x, target, error="mse"):
    return chain(
        theta, x, target, error, d=lambda e, right: np.where(e > 0, 1, -1).astype(e.dtype) if error == "mae" else right
    )


@misconception(
    "loss_and_gradient",
    "You average the differences before you take their size: errors of different sign cancel, and a bad model looks "
    "good.",
    lecture=DESCENT,
)
def mean_before_the_error(theta, x, target, error="mse"):
    mean = np.mean(lecture.sum_of_sigmoids(x, theta) - target)
    return mean**2 if error == "mse" else abs(mean), lecture.loss_and_gradient(theta, x, target, error)[1]


@misconception(
    "loss_and_gradient",
    "You return the root of the mean squared error. The lecture's loss has no root.",
    lecture=DESCENT,
)
def root_of_the_mse(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return (np.sqrt(loss) if error == "mse" else loss), gradient


@misconception(
    "loss_and_gradient",
    "You compute the squared error whatever `error` says.",
    lecture=DESCENT,
)
def always_the_squared_error(theta, x, target, error="mse"):
    return lecture.loss_and_gradient(theta, x, target, "mse")


@misconception(
    "loss_and_gradient",
    "Your gradient is not in the order of theta: after b come all c_i, then all b_i, then all w_i.",
    lecture=DESCENT,
)
def other_order(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    bias, c, b, w = lecture.unpack(gradient)
    return loss, np.concatenate([[bias], w, b, c])


@misconception(
    "loss_and_gradient",
    "You measure the slopes by finite differences: one or two more losses for each parameter, and only nearly right. "
    "The chain rule gives all of them at once.",
    lecture=DESCENT,
)
def finite_differences(theta, x, target, error="mse"):
    def loss(theta):
        difference = lecture.sum_of_sigmoids(x, theta) - target
        return np.mean(difference**2 if error == "mse" else np.abs(difference))

    gradient = np.zeros_like(theta)
    for index in range(len(theta)):
        step = np.zeros_like(theta)
        step[index] = 1e-6
        gradient[index] = (loss(theta + step) - loss(theta - step)) / 2e-6
    return loss(theta), gradient


@misconception(
    "loss_and_gradient",
    "You loop in Python, over the examples or over the parameters: right, but slow. All of them are one array.",
    lecture=DESCENT,
    same_as="loops_over_the_parameters",
)
def loops_over_the_examples(theta, x, target, error="mse"):
    parts = [lecture.loss_and_gradient(theta, x[n : n + 1], target[n : n + 1], error) for n in range(len(x))]
    return np.mean([loss for loss, _ in parts]), np.mean([gradient for _, gradient in parts], axis=0)


@misconception(
    "loss_and_gradient",
    "You loop in Python, over the examples or over the parameters: right, but slow. All of them are one array.",
    lecture=DESCENT,
    same_as="loops_over_the_examples",
)
def loops_over_the_parameters(theta, x, target, error="mse"):
    _, c, b, w = lecture.unpack(theta)
    difference = lecture.sum_of_sigmoids(x, theta) - target
    loss = np.mean(difference**2 if error == "mse" else np.abs(difference))
    d = (2 * difference if error == "mse" else np.sign(difference)) / len(x)
    gradient = np.zeros_like(theta)
    gradient[0] = d.sum()
    n = len(c)
    for i in range(n):
        s = lecture.sigmoid(b[i] + w[i] * x)
        gradient[1 + i] = d @ s
        gradient[1 + n + i] = d @ (c[i] * s * (1 - s))
        gradient[1 + 2 * n + i] = d @ (c[i] * s * (1 - s) * x)
    return loss, gradient


@misconception(
    "loss_and_gradient",
    "Your gradient is float64 whatever theta is: float32 should stay float32.",
    lecture=DESCENT,
)
def gradient_in_float64(theta, x, target, error="mse"):
    loss, gradient = lecture.loss_and_gradient(theta, x, target, error)
    return loss, gradient.astype(np.float64)


# ---------------------------------------------------------------- gradient_descent


@misconception(
    "gradient_descent",
    "You add the gradient. It points uphill, so you climb the loss.",
    lecture=DESCENT,
)
def ascends(theta, gradient, learning_rate, steps):
    return lecture.gradient_descent(theta, gradient, -learning_rate, steps)


@misconception(
    "gradient_descent",
    "You update the very array that was passed in: whoever called you finds another start afterwards.",
    lecture=DESCENT,
)
def mutates_the_start(theta, gradient, learning_rate, steps):
    trajectory = [theta.copy()]
    for _ in range(steps):
        theta -= learning_rate * gradient(theta)
        trajectory.append(theta.copy())
    return np.array(trajectory)


@misconception(
    "gradient_descent",
    "Your trajectory holds one and the same array again and again: you change theta in place, and all entries with it.",
    lecture=DESCENT,
)
def one_array_again_and_again(theta, gradient, learning_rate, steps):
    theta = theta.copy()
    trajectory = [theta]
    for _ in range(steps):
        theta -= learning_rate * gradient(theta)
        trajectory.append(theta)
    return np.array(trajectory)


@misconception(
    "gradient_descent",
    "You compute the gradient once, at the start, and use it for every step. The slope changes as you walk.",
    lecture=DESCENT,
)
def one_gradient_reused(theta, gradient, learning_rate, steps):
    first = gradient(theta)
    return np.array([theta - step * learning_rate * first for step in range(steps + 1)])


@misconception(
    "gradient_descent",
    "Every step of yours begins at the start again. It has to begin where the last one ended.",
    lecture=DESCENT,
)
def always_from_the_start(theta, gradient, learning_rate, steps):
    trajectory = [theta]
    for _ in range(steps):
        trajectory.append(theta - learning_rate * gradient(trajectory[-1]))
    return np.array(trajectory)


@misconception(
    "gradient_descent",
    "The start is missing from your trajectory: its first entry should be theta before any update.",
    lecture=DESCENT,
)
def forgets_the_start(theta, gradient, learning_rate, steps):
    return lecture.gradient_descent(theta, gradient, learning_rate, steps)[1:]


@misconception(
    "gradient_descent",
    "You make one update too few: with the start, a walk of `steps` updates has steps + 1 points.",
    lecture=DESCENT,
)
def one_update_too_few(theta, gradient, learning_rate, steps):
    return lecture.gradient_descent(theta, gradient, learning_rate, max(0, steps - 1))


@misconception(
    "gradient_descent",
    "You make one update too many.",
    lecture=DESCENT,
)
def one_update_too_many(theta, gradient, learning_rate, steps):
    return lecture.gradient_descent(theta, gradient, learning_rate, steps + 1)


@misconception(
    "gradient_descent",
    "You return where the walk ends, and not the way there.",
    lecture=DESCENT,
)
def only_the_end(theta, gradient, learning_rate, steps):
    return lecture.gradient_descent(theta, gradient, learning_rate, steps)[-1]


@misconception(
    "gradient_descent",
    "You use only the direction of the gradient, not its length: near the valley your steps stay as long as on the "
    "slope.",
    lecture=DESCENT,
)
def steps_of_equal_length(theta, gradient, learning_rate, steps):
    def direction(theta):
        g = gradient(theta)
        return g / max(np.linalg.norm(g), 1e-300)

    return lecture.gradient_descent(theta, direction, learning_rate, steps)


@misconception(
    "gradient_descent",
    "You stop as soon as the gradient is 0: the trajectory is then shorter than steps + 1.",
    lecture=DESCENT,
)
def stops_early(theta, gradient, learning_rate, steps):
    trajectory = [theta]
    for _ in range(steps):
        g = gradient(trajectory[-1])
        if np.linalg.norm(g) < 1e-9:
            break
        trajectory.append(trajectory[-1] - learning_rate * g)
    return np.array(trajectory)


@misconception(
    "gradient_descent",
    "Your trajectory is float64 whatever theta is: it should keep the dtype of the start.",
    lecture=DESCENT,
)
def trajectory_in_float64(theta, gradient, learning_rate, steps):
    return lecture.gradient_descent(theta, gradient, learning_rate, steps).astype(np.float64)


@misconception(
    "gradient_descent",
    "You return a list of arrays. It should be one array, with one row for each point.",
    lecture=DESCENT,
)
def a_list_of_arrays(theta, gradient, learning_rate, steps):
    return list(lecture.gradient_descent(theta, gradient, learning_rate, steps))


# ---------------------------------------------------------------- learning_rate_cases


def facts(losses):
    """The whole fall, the sum of all rises, and what the second half brings."""
    return losses[0] - losses[-1], np.maximum(np.diff(losses), 0).sum(), losses[(len(losses) - 1) // 2] - losses[-1]


@misconception(
    "learning_rate_cases",
    "You compare only the two ends of the curve. What happens on the way (bounces, or a floor that is reached early) "
    "remains unseen.",
    lecture=DESCENT,
)
def only_the_ends(losses):
    if not losses[-1] <= losses[0]:
        return "diverging"
    return "good" if losses[-1] < losses[0] / 2 else "too small"


@misconception(
    "learning_rate_cases",
    "You look for bounces, but judge the rest by its two ends: a curve that has fallen far may still be on its way, "
    "and one that has fallen little may have arrived.",
    lecture=DESCENT,
)
def bounces_and_ends(losses):
    fall, rises, _ = facts(losses)
    if not np.isfinite(losses).all() or fall < 0:
        return "diverging"
    if rises > fall / 4:
        return "too large"
    return "good" if losses[-1] < losses[0] / 2 else "too small"


@misconception(
    "learning_rate_cases",
    "You take any rise for bouncing. Small rises, such as those of rounding, come with every learning rate.",
    lecture=DESCENT,
)
def any_rise_is_too_large(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    fall, rises, late = facts(losses)
    return "too large" if rises > 0 else "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You count how often the loss rises, not how far: many tiny rises are harmless, and one huge rise is not.",
    lecture=DESCENT,
)
def counts_the_rises(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    fall, _, late = facts(losses)
    return "too large" if np.mean(np.diff(losses) > 0) > 0.25 else "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You measure only the largest rise. Many bounces of middle size count together.",
    lecture=DESCENT,
)
def largest_rise_only(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    fall, _, late = facts(losses)
    return "too large" if np.diff(losses).max() > fall / 4 else "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "NaN slips through: each comparison with NaN is False. Ask np.isfinite first.",
    lecture=DESCENT,
)
def nan_slips_through(losses):
    with np.errstate(invalid="ignore"):
        fall, rises, late = facts(losses)
    if np.isinf(losses).any() or fall < 0:
        return "diverging"
    if rises > fall / 4:
        return "too large"
    return "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You look only at the last loss for NaN and infinity. A curve that has overflowed on the way has diverged, "
    "whatever comes after.",
    lecture=DESCENT,
)
def only_the_last_loss_is_checked(losses):
    with np.errstate(invalid="ignore"):
        fall, rises, late = facts(losses)
    if not np.isfinite(losses[-1]) or fall < 0:
        return "diverging"
    if rises > fall / 4:
        return "too large"
    return "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You call a curve diverging only if it overflows. One that ends higher than it began is diverging as well.",
    lecture=DESCENT,
)
def diverging_only_if_not_finite(losses):
    if not np.isfinite(losses).all():
        return "diverging"
    fall, rises, late = facts(losses)
    if rises > fall / 4:
        return "too large"
    return "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You ask for bounces first. A curve that climbs higher and higher also rises, but it is diverging.",
    lecture=DESCENT,
)
def bounces_before_divergence(losses):
    with np.errstate(invalid="ignore"):
        fall, rises, late = facts(losses)
    if rises > abs(fall) / 4:
        return "too large"
    if not np.isfinite(losses).all() or fall < 0:
        return "diverging"
    return "too small" if late >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You ask whether the curve is still on its way before you ask whether it bounces. The first case that is true "
    "counts.",
    lecture=DESCENT,
)
def on_its_way_before_bounces(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    fall, rises, late = facts(losses)
    return "too small" if late >= fall / 10 else "too large" if rises > fall / 4 else "good"


@misconception(
    "learning_rate_cases",
    "You measure by the first loss instead of by the whole fall: add 1000 to all losses, and your answer changes.",
    lecture=DESCENT,
)
def measured_by_the_first_loss(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    _, rises, late = facts(losses)
    if rises > losses[0] / 4:
        return "too large"
    return "too small" if late >= losses[0] / 10 else "good"


@misconception(
    "learning_rate_cases",
    "You compare with fixed numbers instead of with the whole fall: measure the loss in other units, and your answer "
    "changes.",
    lecture=DESCENT,
)
def fixed_thresholds(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    _, rises, late = facts(losses)
    return "too large" if rises > 1 else "too small" if late >= 0.1 else "good"


@misconception(
    "learning_rate_cases",
    "You look at the last step alone to see whether the curve is still on its way: a slow curve looks flat there, too.",
    lecture=DESCENT,
)
def looks_at_the_last_step(losses):
    if lecture.learning_rate_cases(losses) == "diverging":
        return "diverging"
    fall, rises, _ = facts(losses)
    if rises > fall / 4:
        return "too large"
    return "too small" if losses[-2] - losses[-1] >= fall / 10 else "good"


@misconception(
    "learning_rate_cases",
    "Too small and good are exchanged: if the second half still brings much, the learning rate is too small.",
    lecture=DESCENT,
)
def exchanges_small_and_good(losses):
    case = lecture.learning_rate_cases(losses)
    return {"too small": "good", "good": "too small"}.get(case, case)


@misconception(
    "learning_rate_cases",
    "A curve that never moves is good in your eyes: it is level, but it has not got anywhere. The docstring says >=.",
    lecture=DESCENT,
)
def no_movement_is_good(losses):
    case = lecture.learning_rate_cases(losses)
    return "good" if case == "too small" and losses[0] == losses[-1] else case


# ---------------------------------------------------------------- mlp_forward


def forward(x, weights, biases, layer):
    for W, b in zip(weights[:-1], biases[:-1]):
        x = relu(layer(x, W, b))
    return layer(x, weights[-1], biases[-1])


@misconception(
    "mlp_forward",
    "The last layer has a ReLU in your network: it can never answer with a negative number.",
    lecture=DEEP,
)
def relu_after_the_last_layer(x, weights, biases):
    return relu(lecture.mlp_forward(x, weights, biases))


@misconception(
    "mlp_forward",
    "You multiply by the weights the other way round: each *row* of W holds the weights of one neuron, so a batch of "
    "rows is multiplied by W transposed.",
    lecture=DEEP,
)
def weights_transposed(x, weights, biases):
    return forward(x, weights, biases, lambda x, W, b: x @ W + b)


@misconception(
    "mlp_forward",
    "You add the bias along the wrong axis: every example gets a bias of its own, instead of every neuron.",
    lecture=DEEP,
)
def bias_for_each_example(x, weights, biases):
    return forward(x, weights, biases, lambda x, W, b: x @ W.T + b[:, None])


@misconception(
    "mlp_forward",
    "The ReLU is missing. Without it all layers together are one linear function, however many there are.",
    lecture=DEEP,
)
def no_relu(x, weights, biases):
    return forward_linear(x, weights, biases)


def forward_linear(x, weights, biases):
    for W, b in zip(weights, biases):
        x = x @ W.T + b
    return x


@misconception(
    "mlp_forward",
    "You leave out the biases.",
    lecture=DEEP,
)
def no_biases(x, weights, biases):
    return forward(x, weights, biases, lambda x, W, b: x @ W.T)


@misconception(
    "mlp_forward",
    "You add the bias after the ReLU: then it can't decide any more at which point the neuron wakes up.",
    lecture=DEEP,
)
def bias_after_the_relu(x, weights, biases):
    for W, b in zip(weights[:-1], biases[:-1]):
        x = relu(x @ W.T) + b
    return x @ weights[-1].T + biases[-1]


@misconception(
    "mlp_forward",
    "You use the sigmoid in the hidden layers. This is a ReLU network.",
    lecture=DEEP,
)
def sigmoid_in_hidden_layers(x, weights, biases):
    for W, b in zip(weights[:-1], biases[:-1]):
        x = lecture.sigmoid(x @ W.T + b)
    return x @ weights[-1].T + biases[-1]


@misconception(
    "mlp_forward",
    "You apply a ReLU to the input as well: negative inputs are lost before the first layer sees them.",
    lecture=DEEP,
)
def relu_before_each_layer(x, weights, biases):
    return lecture.mlp_forward(relu(x), weights, biases)


@misconception(
    "mlp_forward",
    "Every layer of yours reads the input x. Only the first one does; the others read the layer before.",
    lecture=DEEP,
)
def every_layer_reads_the_input(x, weights, biases):
    for W, b in zip(weights, biases):
        out = x @ W.T + b
    return out


@misconception(
    "mlp_forward",
    "You subtract the biases. The lecture's layer adds them: b + W a.",
    lecture=DEEP,
)
def subtracts_the_biases(x, weights, biases):
    return lecture.mlp_forward(x, weights, [-np.asarray(b) for b in biases])


@misconception(
    "mlp_forward",
    "Your result is float64 whatever x is: float32 should stay float32.",
    lecture=DEEP,
)
def network_in_float64(x, weights, biases):
    return lecture.mlp_forward(x, weights, biases).astype(np.float64)


# ---------------------------------------------------------------- count_parameters


@misconception(
    "count_parameters",
    "You forget the biases: each neuron has one.",
    lecture=DEEP,
)
def biases_forgotten(widths):
    return sum(n * m for n, m in itertools.pairwise(widths))


@misconception(
    "count_parameters",
    "You give the inputs a bias as well. They are not neurons: nothing is computed there.",
    lecture=DEEP,
)
def biases_for_the_inputs(widths):
    return lecture.count_parameters(widths) + widths[0]


@misconception(
    "count_parameters",
    "You forget the biases of the last layer: the outputs are neurons, too.",
    lecture=DEEP,
)
def no_biases_for_the_outputs(widths):
    return lecture.count_parameters(widths) - widths[-1]


@misconception(
    "count_parameters",
    "You count one bias for each layer. It is one for each neuron.",
    lecture=DEEP,
)
def one_bias_per_layer(widths):
    return biases_forgotten(widths) + len(widths) - 1


@misconception(
    "count_parameters",
    "You count one bias for each input of a layer. It is one for each of its neurons.",
    lecture=DEEP,
)
def one_bias_per_input(widths):
    return sum(n * (m + 1) for n, m in itertools.pairwise(widths))


@misconception(
    "count_parameters",
    "You multiply all widths with one another. Only neighbouring layers are connected; the layers' counts add up.",
    lecture=DEEP,
)
def product_of_all_widths(widths):
    return math.prod(widths) + sum(widths[1:])


@misconception(
    "count_parameters",
    "You count the neurons. Parameters sit on the connections between them, plus one for each neuron.",
    lecture=DEEP,
)
def counts_the_neurons(widths):
    return sum(widths[1:])


@misconception(
    "count_parameters",
    "You count the first and the last layer only: those in between have parameters, too.",
    lecture=DEEP,
)
def first_and_last_layer_only(widths):
    layers = [(n + 1) * m for n, m in itertools.pairwise(widths)]
    return layers[0] + (layers[-1] if len(layers) > 1 else 0)


@misconception(
    "count_parameters",
    "Your count is a floating-point number. A count is a whole number, and should be of a type that can be counted "
    "with.",
    lecture=DEEP,
)
def count_as_a_float(widths):
    return float(lecture.count_parameters(widths))


# ---------------------------------------------------------------- fat_width


@misconception(
    "fat_width",
    "You round up: your network costs more than the budget allows.",
    lecture=DEEP,
)
def rounds_up(budget, inputs, outputs):
    return max(0, math.ceil((budget - outputs) / (inputs + 1 + outputs)))


@misconception(
    "fat_width",
    "You round to the nearest whole number: half of the time your network costs more than the budget allows.",
    lecture=DEEP,
)
def rounds_to_the_nearest(budget, inputs, outputs):
    return max(0, round((budget - outputs) / (inputs + 1 + outputs)))


@misconception(
    "fat_width",
    "You forget the biases, so your neurons look cheaper than they are, and the budget is overdrawn.",
    lecture=DEEP,
)
def fat_without_biases(budget, inputs, outputs):
    return budget // (inputs + outputs)


@misconception(
    "fat_width",
    "You forget the biases of the outputs: they have to be paid for before the first hidden neuron.",
    lecture=DEEP,
)
def fat_without_output_biases(budget, inputs, outputs):
    return budget // (inputs + 1 + outputs)


@misconception(
    "fat_width",
    "You forget the biases of the hidden neurons: each costs its weights, and one more.",
    lecture=DEEP,
)
def fat_without_hidden_biases(budget, inputs, outputs):
    return max(0, (budget - outputs) // (inputs + outputs))


@misconception(
    "fat_width",
    "You leave no parameter over: a budget that is used up exactly is allowed (at most, not less than).",
    lecture=DEEP,
)
def less_than_the_budget(budget, inputs, outputs):
    return max(0, (budget - outputs - 1) // (inputs + 1 + outputs))


@misconception(
    "fat_width",
    "If the budget is too small even for the biases of the outputs, you answer with a negative width. It is 0.",
    lecture=DEEP,
)
def negative_width(budget, inputs, outputs):
    return (budget - outputs) // (inputs + 1 + outputs)


@misconception(
    "fat_width",
    "You always give at least one neuron, also where the budget does not allow it.",
    lecture=DEEP,
)
def at_least_one_neuron(budget, inputs, outputs):
    return max(1, (budget - outputs) // (inputs + 1 + outputs))


@misconception(
    "fat_width",
    "You count only the parameters of the first layer: the weights that lead from the hidden neurons to the outputs "
    "cost as well.",
    lecture=DEEP,
)
def first_layer_only(budget, inputs, outputs):
    return budget // (inputs + 1)


# ---------------------------------------------------------------- sawtooth_network

TENT = np.array([[2.0, -4.0]])


def stack_of(depth, tent, first=None, kinks=(0.0, -0.5)):
    first = np.ones((2, 1)) if first is None else first
    weights = [first, *[np.vstack([tent, tent])] * (depth - 1), tent]
    return weights, [np.array(kinks)] * depth + [np.zeros(1)]


@misconception(
    "sawtooth_network",
    "Each of your layers adds only one piece: with `depth` layers there are about `depth` pieces. Let every layer "
    "fold what is folded already, and the pieces double.",
    lecture=DEEP,
)
def one_piece_more_per_layer(depth):
    # After the first tent, each layer only bends the curve once more, near its end.
    first = stack_of(1, TENT)[0][0]
    bend = np.array([[1.0, -0.5]])
    weights = [first, *[np.vstack([TENT, TENT]), *[np.vstack([bend, bend])] * (depth - 2)][: depth - 1]]
    return [*weights, TENT if depth == 1 else bend], [np.array([0.0, -0.5])] * depth + [np.zeros(1)]


@misconception(
    "sawtooth_network",
    "Your tent is only half as high, so every further fold is smaller: the amplitude decays. The tent has to fill all "
    "of [0, 1] again.",
    lecture=DEEP,
)
def amplitude_decays(depth):
    return stack_of(depth, TENT / 2)


@misconception(
    "sawtooth_network",
    "Your second ReLU only takes away the first slope: after the middle the curve is flat. To go down again, it has "
    "to take away twice as much.",
    lecture=DEEP,
)
def flat_after_the_middle(depth):
    return stack_of(depth, np.array([[2.0, -2.0]]))


@misconception(
    "sawtooth_network",
    "Your second ReLU adds to the slope where it should take away: the curve does not turn back.",
    lecture=DEEP,
)
def does_not_turn_back(depth):
    return stack_of(depth, np.array([[2.0, 4.0]]))


@misconception(
    "sawtooth_network",
    "Your second ReLU wakes up at 1, where the strip ends: nothing is folded.",
    lecture=DEEP,
)
def folds_at_the_end(depth):
    return stack_of(depth, TENT, kinks=(0.0, -1.0))


@misconception(
    "sawtooth_network",
    "The sign of your bias is wrong: the ReLU of x + 1/2 wakes up at -1/2, outside of the strip.",
    lecture=DEEP,
)
def kink_on_the_wrong_side(depth):
    return stack_of(depth, TENT, kinks=(0.0, 0.5))


@misconception(
    "sawtooth_network",
    "Your network folds one time too few: the first hidden layer is a fold already, and so is each of the others.",
    lecture=DEEP,
)
def one_fold_too_few(depth):
    weights, biases = lecture.sawtooth_network(depth)
    # The last layer only hands on what it gets.
    return [*weights[:-1], np.array([[1.0, 0.0]])], biases


@misconception(
    "sawtooth_network",
    "You have one hidden layer more than you should: `depth` counts the hidden layers.",
    lecture=DEEP,
)
def one_fold_too_many(depth):
    return lecture.sawtooth_network(depth + 1)


@misconception(
    "sawtooth_network",
    "Your sawtooth is right, but fat: one hidden layer with a neuron for each piece. The point is to do it with two "
    "neurons in each of `depth` layers.",
    lecture=DEEP,
)
def fat_sawtooth(depth):
    if depth > 12:
        depth = 12  # more does not fit into memory
    pieces = 2**depth
    changes = np.full(pieces, 2.0 * pieces) * (-1.0) ** np.arange(pieces)
    changes[0] = pieces
    return [np.ones((pieces, 1)), changes[None]], [-np.arange(pieces) / pieces, np.zeros(1)]


@misconception(
    "sawtooth_network",
    "Your sawtooth is upside down: it starts at 1. The tent starts at 0 and goes up first.",
    lecture=DEEP,
)
def upside_down(depth):
    weights, biases = lecture.sawtooth_network(depth)
    return [*weights[:-1], -weights[-1]], [*biases[:-1], np.ones(1)]


@misconception(
    "sawtooth_network",
    "Your matrices are transposed: each row belongs to one neuron, so W^l has shape (n_l, n_{l-1}).",
    lecture=DEEP,
)
def sawtooth_transposed(depth):
    weights, biases = lecture.sawtooth_network(depth)
    return [W.T for W in weights], biases


# ---------------------------------------------------------------- count_linear_pieces


def breakpoints(weights, biases, start, end):
    """All places where any neuron has its kink, in exact numbers, with the ends."""
    exact = np.vectorize(lecture.Fraction, otypes=[object])
    weights, biases, x = [exact(W) for W in weights], [exact(b) for b in biases], exact([start, end])
    for layer in range(1, len(weights)):
        z = lecture.mlp_forward(x[:, None], weights[:layer], biases[:layer])
        left, right = z[:-1], z[1:]
        piece, neuron = np.nonzero(left * right < 0)
        left, right = left[piece, neuron], right[piece, neuron]
        x = np.unique(np.concatenate([x, x[piece] + (x[piece + 1] - x[piece]) * left / (left - right)]))
    return x, np.diff(lecture.mlp_forward(x[:, None], weights, biases)[:, 0]) / np.diff(x)


@misconception(
    "count_linear_pieces",
    "You count the kinks. There is one piece more than there are kinks.",
    lecture=DEEP,
)
def counts_kinks(weights, biases, start, end):
    return lecture.count_linear_pieces(weights, biases, start, end) - 1


def on_a_grid(weights, biases, start, end, points):
    x = np.linspace(start, end, points)
    slopes = np.diff(lecture.mlp_forward(x[:, None], weights, biases)[:, 0]) / np.diff(x)
    changed = np.abs(np.diff(slopes)) > 1e-6
    # A kink between two points of the grid changes two slopes in a row.
    return 1 + int(np.count_nonzero(changed[1:] & ~changed[:-1]) + changed[:1].sum())


@misconception(
    "count_linear_pieces",
    "You look at the network on a grid: pieces that are narrower than the grid are missed.",
    lecture=DEEP,
)
def looks_at_a_grid(weights, biases, start, end):
    return on_a_grid(weights, biases, start, end, 2000)


@misconception(
    "count_linear_pieces",
    "You count the kink of every neuron, also where the slope of the output stays the same.",
    lecture=DEEP,
)
def every_kink_counts(weights, biases, start, end):
    return len(breakpoints(weights, biases, start, end)[0]) - 1


@misconception(
    "count_linear_pieces",
    "You count different slopes. A sawtooth has only two of them, however many pieces it has.",
    lecture=DEEP,
)
def counts_different_slopes(weights, biases, start, end):
    return len(set(breakpoints(weights, biases, start, end)[1]))


@misconception(
    "count_linear_pieces",
    "You look at the kinks of the first layer only: deeper layers make new ones.",
    lecture=DEEP,
)
def first_layer_kinks_only(weights, biases, start, end):
    if len(weights) == 1:
        return 1
    x, _ = breakpoints([weights[0], np.ones((1, len(weights[0])))], [biases[0], np.zeros(1)], start, end)
    slopes = [
        lecture.mlp_forward(np.array([[float(a + (b - a) * share)] for share in (0.501, 0.502)]), weights, biases)
        for a, b in itertools.pairwise(x)
    ]
    slopes = [float(np.diff(y[:, 0])[0] / (0.001 * (b - a))) for y, (a, b) in zip(slopes, itertools.pairwise(x))]
    return 1 + sum(abs(b - a) > 1e-4 for a, b in itertools.pairwise(slopes))


@misconception(
    "count_linear_pieces",
    "You add one piece for every neuron. That is the most that one layer can have; not every kink is in the interval, "
    "and a deep network can have more.",
    lecture=DEEP,
)
def one_piece_per_neuron(weights, biases, start, end):
    return 1 + sum(len(b) for b in biases[:-1])


@misconception(
    "count_linear_pieces",
    "You multiply the layers' largest counts: that is what a network could have at best, not what this one has.",
    lecture=DEEP,
)
def most_that_is_possible(weights, biases, start, end):
    return math.prod(len(b) + 1 for b in biases[:-1])


@misconception(
    "count_linear_pieces",
    "You count kinks on the whole line. Only those strictly between start and end make a new piece.",
    lecture=DEEP,
)
def the_whole_line(weights, biases, start, end):
    return lecture.count_linear_pieces(weights, biases, start - 1000, end + 1000)


@misconception(
    "count_linear_pieces",
    "A kink at the very start or end of the interval makes a new piece in your count; but beyond it there is nothing.",
    lecture=DEEP,
)
def kinks_at_the_ends_count(weights, biases, start, end):
    margin = 2.0**-40
    return lecture.count_linear_pieces(weights, biases, start - margin, end + margin)


@misconception(
    "count_linear_pieces",
    "You apply a ReLU to the output as well: where it crosses 0 you see a kink that is not there, and what is below 0 "
    "is lost.",
    lecture=DEEP,
)
def output_with_a_relu(weights, biases, start, end):
    return lecture.count_linear_pieces([*weights, np.eye(1)], [*biases, np.zeros(1)], start, end)


@misconception(
    "count_linear_pieces",
    "You merge kinks that are close to one another: a piece counts however narrow it is.",
    lecture=DEEP,
)
def merges_close_kinks(weights, biases, start, end):
    x, slopes = breakpoints(weights, biases, start, end)
    kinks = [float(k) for k, a, b in zip(x[1:-1], slopes[:-1], slopes[1:]) if a != b]
    return 1 + len({round(kink, 5) for kink in kinks})
