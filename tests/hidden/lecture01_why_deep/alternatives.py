"""Right solutions of lectures 1-2 that are not the reference's: the hidden tests must accept each in full."""

import itertools
import math
import warnings
from fractions import Fraction

import numpy as np

from grader import alternative


def step(z):
    """A sigmoid for the problems after the first."""
    return 0.5 * (1 + np.tanh(z / 2))


@alternative("sigmoid")
def by_a_mask(x):
    x = np.asarray(x)
    y = np.empty_like(x)
    right = x >= 0
    y[right] = 1 / (1 + np.exp(-x[right]))
    e = np.exp(x[~right])
    y[~right] = e / (1 + e)
    return y


@alternative("sigmoid")
def with_tanh(x):
    return (np.tanh(x / 2) + 1) / 2


@alternative("sigmoid")
def with_logaddexp(x):
    return np.exp(-np.logaddexp(0, -x))


@alternative("sigmoid")
def with_two_harmless_exponentials(x):
    top = np.exp(np.minimum(x, 0))
    return top / (top + np.exp(-np.maximum(x, 0)))


@alternative("sigmoid")
def clipped_by_the_dtype(x):
    bound = np.log(np.finfo(np.asarray(x).dtype).max) * 0.99
    bound = bound.astype(np.asarray(x).dtype)
    return 1 / (1 + np.exp(-np.clip(x, -bound, bound)))


@alternative("sigmoid")
def ignoring_a_harmless_overflow(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


@alternative("sigmoid")
def ignoring_the_warning(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.where(np.asarray(x) >= 0, 1 / (1 + np.exp(-x)), 1 - 1 / (1 + np.exp(x)))


@alternative("sigmoid")
def in_double_precision(x):
    x = np.asarray(x)
    e = np.exp(-np.abs(x.astype(np.float64)))
    return (np.where(x < 0, e, 1) / (1 + e)).astype(x.dtype)


@alternative("hard_sigmoid")
def slope_in_front(x, start, end, height):
    return (np.maximum(0, x - start) - np.maximum(0, x - end)) * (height / (end - start))


@alternative("hard_sigmoid")
def with_scaled_relus(x, start, end, height):
    share = (x - start) / (end - start)
    return height * (np.clip(share, 0, None) - np.clip(share - 1, 0, None))


@alternative("hard_sigmoid")
def with_a_clip(x, start, end, height):
    return height * np.clip((x - start) / (end - start), 0, 1)


@alternative("hard_sigmoid")
def with_masks(x, start, end, height):
    def relu(z):
        return z * (z > 0)

    width = end - start
    return height / width * relu(x - start) - height / width * relu(x - end)


@alternative("hard_sigmoid")
def place_by_place(x, start, end, height):
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        out[index] = height * min(max((x[index] - start) / (end - start), 0.0), 1.0)
    return out


@alternative("piecewise_linear_coefficients")
def piece_by_piece(x, y):
    c, slope = [], 0.0
    for i in range(len(x) - 1):
        new = (y[i + 1] - y[i]) / (x[i + 1] - x[i])
        c.append(new - slope)
        slope = new
    return y[0], np.array(c), x[:-1].copy()


@alternative("piecewise_linear_coefficients")
def by_solving_equations(x, y):
    relus = np.maximum(x[1:, None] - x[:-1], 0)
    return [float(y[0]), np.linalg.solve(relus, y[1:] - y[0]), np.array(x[:-1])]


@alternative("piecewise_linear_coefficients")
def as_lists(x, y):
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in itertools.pairwise(zip(x, y))]
    return float(y[0]), [b - a for a, b in itertools.pairwise([0.0, *slopes])], list(x[:-1])


@alternative("sum_of_sigmoids")
def with_an_outer_product(x, theta):
    n = len(theta) // 3
    c, b, w = theta[1 : 1 + n], theta[1 + n : 1 + 2 * n], theta[1 + 2 * n :]
    return theta[0] + np.sum(c * step(np.outer(x, w) + b), axis=1)


@alternative("sum_of_sigmoids")
def with_steps_first(x, theta):
    c, b, w = np.split(theta[1:], 3)
    return c @ step(b[:, None] + w[:, None] * x[None, :]) + theta[0]


@alternative("sum_of_sigmoids")
def with_einsum(x, theta):
    c, b, w = theta[1:].reshape(3, -1)
    return np.einsum("i,ni->n", c, step(b + np.einsum("n,i->ni", x, w))) + theta[0]


@alternative("loss_and_gradient")
def with_the_steps_first(theta, x, target, error="mse"):
    n = (len(theta) - 1) // 3
    c, b, w = theta[1 : n + 1], theta[n + 1 : 2 * n + 1], theta[2 * n + 1 :]
    s = step(w[:, None] * x + b[:, None])
    e = theta[0] + c @ s - target
    if error == "mae":
        loss = np.abs(e).mean()
        d = ((e > 0).astype(theta.dtype) - (e < 0).astype(theta.dtype)) / len(e)
    else:
        loss = (e * e).mean()
        d = 2 * e / len(e)
    inner = c[:, None] * (s - s * s) * d
    gradient = np.empty_like(theta)
    gradient[0] = d.sum()
    gradient[1 : n + 1] = s @ d
    gradient[n + 1 : 2 * n + 1] = inner.sum(axis=1)
    gradient[2 * n + 1 :] = (inner * x).sum(axis=1)
    return loss, gradient


@alternative("loss_and_gradient")
def with_means(theta, x, target, error="mse"):
    bias, (c, b, w) = theta[0], theta[1:].reshape(3, -1)
    z = b + np.outer(x, w)
    s = step(z)
    difference = target - (s @ c + bias)
    loss = float(np.mean(difference**2)) if error == "mse" else float(np.mean(abs(difference)))
    d = -2 * difference if error == "mse" else -np.sign(difference)
    d = d[:, None]
    parts = [d, d * s, d * c * step(z) * step(-z), d * c * step(z) * step(-z) * x[:, None]]
    return [loss, np.hstack([part.mean(axis=0) for part in parts])]


@alternative("loss_and_gradient")
def with_the_jacobian(theta, x, target, error="mse"):
    c, b, w = theta[1:].reshape(3, -1)
    s = step(b + x[:, None] * w)
    slope = c * s * (1 - s)
    jacobian = np.concatenate([np.ones((len(x), 1), theta.dtype), s, slope, slope * x[:, None]], axis=1)
    e = theta[0] + s @ c - target
    losses, pull = {"mse": (e**2, 2 * e), "mae": (np.abs(e), np.sign(e))}[error]
    return losses.mean(), jacobian.T @ pull / len(x)


@alternative("gradient_descent")
def into_an_empty_array(theta, gradient, learning_rate, steps):
    trajectory = np.empty((steps + 1, *theta.shape), dtype=theta.dtype)
    trajectory[0] = theta
    for t in range(steps):
        trajectory[t + 1] = trajectory[t] - learning_rate * gradient(trajectory[t])
    return trajectory


@alternative("gradient_descent")
def in_place_on_a_copy(theta, gradient, learning_rate, steps):
    theta = theta.copy()
    trajectory = [theta.copy()]
    for _ in range(steps):
        theta -= learning_rate * gradient(theta)
        trajectory.append(theta.copy())
    return np.stack(trajectory)


@alternative("gradient_descent")
def by_accumulating(theta, gradient, learning_rate, steps):
    walk = itertools.accumulate(range(steps), lambda t, _: t - learning_rate * gradient(t), initial=theta)
    return np.vstack(list(walk))


@alternative("learning_rate_cases")
def in_a_python_loop(losses):
    losses = [float(value) for value in losses]
    if any(math.isnan(value) or math.isinf(value) for value in losses) or losses[-1] > losses[0]:
        return "diverging"
    rises = sum(max(0.0, after - before) for before, after in itertools.pairwise(losses))
    if 4 * rises > losses[0] - losses[-1]:
        return "too large"
    updates = len(losses) - 1
    if 10 * (losses[updates // 2] - losses[-1]) >= losses[0] - losses[-1]:
        return "too small"
    return "good"


@alternative("learning_rate_cases")
def from_the_steps(losses):
    if np.isnan(losses.sum()) or np.isinf(losses).any() or losses[-1] > losses[0]:
        return "diverging"
    steps = np.diff(losses)
    fall, half = -steps.sum(), len(steps) // 2
    if steps[steps > 0].sum() > 0.25 * fall:
        return "too large"
    return ["good", "too small"][int(-steps[half:].sum() >= 0.1 * fall)]


@alternative("mlp_forward")
def with_columns(x, weights, biases):
    a = x.T
    for layer, (W, b) in enumerate(zip(weights, biases)):
        a = W @ a + b[:, None]
        if layer < len(weights) - 1:
            a = np.maximum(0, a)
    return a.T


@alternative("mlp_forward")
def with_einsum_and_where(x, weights, biases):
    last = len(weights) - 1
    for layer in range(last + 1):
        x = np.einsum("ni,oi->no", x, weights[layer]) + biases[layer]
        x = x if layer == last else np.where(x > 0, x, 0)
    return x


@alternative("mlp_forward")
def example_by_example(x, weights, biases):
    def one(a):
        for W, b in zip(weights[:-1], biases[:-1]):
            a = np.clip(b + W @ a, 0, None)
        return biases[-1] + weights[-1] @ a

    return np.array([one(row) for row in x])


@alternative("mlp_forward")
def with_an_absolute_value_for_the_relu(x, weights, biases):
    a = x
    for W, b in zip(weights, biases):
        z = np.matmul(a, np.transpose(W)) + b[np.newaxis, :]
        a = (z + np.abs(z)) / 2
    return z


@alternative("count_parameters")
def layer_by_layer(widths):
    total = 0
    for i in range(1, len(widths)):
        total += widths[i - 1] * widths[i]
        total += widths[i]
    return total


@alternative("count_parameters")
def with_arrays(widths):
    n = np.array(widths, dtype=np.int64)
    return np.dot(n[:-1] + 1, n[1:])


@alternative("fat_width")
def neuron_by_neuron(budget, inputs, outputs):
    n = 0
    while (n + 1) * (inputs + 1) + (n + 2) * outputs <= budget:
        n += 1
    return n


@alternative("fat_width")
def rounded_down(budget, inputs, outputs):
    return max(0, math.floor((budget - outputs) / (inputs + outputs + 1)))


@alternative("fat_width")
def with_numpy(budget, inputs, outputs):
    return np.maximum((budget - outputs) // (inputs + outputs + 1), 0)


@alternative("sawtooth_network")
def with_an_absolute_value(depth):
    # The tent is 1 - |2x - 1|, and |z| = relu(z) + relu(-z).
    first, then = np.array([[2.0], [-2.0]]), np.array([[-2.0, -2.0], [2.0, 2.0]])
    weights = [first, *[then] * (depth - 1), np.array([[-1.0, -1.0]])]
    return weights, [np.array([-1.0, 1.0]), *[np.array([1.0, -1.0])] * (depth - 1), np.ones(1)]


@alternative("sawtooth_network")
def with_scaled_neurons(depth):
    # relu(2x) and relu(4x - 2), and their difference.
    weights, biases = [np.array([[2.0], [4.0]])], [np.array([0.0, -2.0])]
    for _ in range(depth - 1):
        weights.append(np.array([[2.0, -2.0], [4.0, -4.0]]))
        biases.append(np.array([0.0, -2.0]))
    return (*weights, np.array([[1.0, -1.0]])), (*biases, np.array([0.0]))


@alternative("sawtooth_network")
def folding_from_both_sides(depth):
    # 1 - relu(1 - 2x) - relu(2x - 1) with the neurons the other way round.
    weights = [np.array([[-2.0], [2.0]])] + [np.array([[2.0, 2.0], [-2.0, -2.0]]) for _ in range(depth - 1)]
    biases = [np.array([1.0, -1.0])] + [np.array([-1.0, 1.0]) for _ in range(depth - 1)]
    return [*weights, -np.ones((1, 2))], [*biases, np.array([1.0])]


@alternative("sawtooth_network")
def with_neurons_of_odd_sizes(depth):
    # relu(3x) and relu(7x - 3.5): no weight between the layers is a power of two, and rounding doubles with each fold.
    first, tent = np.array([[3.0], [7.0]]), np.array([[2 / 3, -4 / 7]])
    return [first, *[first @ tent] * (depth - 1), tent], [np.array([0.0, -3.5])] * depth + [np.zeros(1)]


@alternative("count_linear_pieces")
def with_lines_in_floats(weights, biases, start, end):
    """On each piece every neuron is a line, slope · x + offset: cut the piece where one of them crosses 0."""
    pieces = [(start, end, np.ones(1), np.zeros(1))]
    for W, b in zip(weights[:-1], biases[:-1]):
        cut = []
        for left, right, slope, offset in pieces:
            slope, offset = W @ slope, W @ offset + b
            zeros = [-o / s for s, o in zip(slope, offset) if s != 0]
            places = [left, *sorted(x for x in zeros if left < x < right), right]
            for a, c in itertools.pairwise(places):
                awake = slope * (a + c) / 2 + offset > 0
                if c > a:
                    cut.append((a, c, slope * awake, offset * awake))
        pieces = cut
    slopes = [float((weights[-1] @ slope)[0]) for _, _, slope, _ in pieces]
    return 1 + sum(abs(b - a) > 1e-7 for a, b in itertools.pairwise(slopes))


@alternative("count_linear_pieces")
def by_splitting_in_floats(weights, biases, start, end):
    """The kinks by interpolation between the ends of pieces, and the slopes from the ends of pieces: floats only."""

    def forward(x, layers):
        a = x[:, None]
        for layer in range(layers):
            a = a if layer == 0 else np.maximum(a, 0)
            a = a @ weights[layer].T + biases[layer]
        return a

    x = np.array([start, end], dtype=float)
    for layers in range(1, len(weights)):
        z = forward(x, layers)
        piece, neuron = np.nonzero(z[:-1] * z[1:] < 0)
        left, right = z[piece, neuron], z[piece + 1, neuron]
        new = x[piece] + (x[piece + 1] - x[piece]) * left / (left - right)
        x = np.sort(np.concatenate([x, new]))
        x = x[np.concatenate([[True], np.diff(x) > 1e-11])]
    y = forward(x, len(weights))[:, 0]
    slopes = np.diff(y) / np.diff(x)
    return 1 + np.count_nonzero(np.abs(np.diff(slopes)) > 5e-7 * max(1.0, np.abs(slopes).max()))


@alternative("count_linear_pieces")
def with_fractions_and_lines(weights, biases, start, end):
    layers = [
        [([Fraction(float(w)) for w in row], Fraction(float(o))) for row, o in zip(W, b)]
        for W, b in zip(weights, biases)
    ]

    def slopes(left, right, lines, layers):
        """The slopes of the output between left and right; lines holds a (slope, offset) for each input."""
        z = [
            (sum(w * s for w, (s, _) in zip(row, lines)), sum(w * o for w, (_, o) in zip(row, lines)) + b)
            for row, b in layers[0]
        ]
        if len(layers) == 1:
            return [z[0][0]]
        zeros = {-o / s for s, o in z if s}
        places = [left, *sorted(x for x in zeros if left < x < right), right]
        found = []
        for a, c in itertools.pairwise(places):
            middle = (a + c) / 2
            found += slopes(a, c, [(s, o) if s * middle + o > 0 else (0, 0) for s, o in z], layers[1:])
        return found

    found = slopes(Fraction(start), Fraction(end), [(Fraction(1), Fraction(0))], layers)
    return len(list(itertools.groupby(found)))
