"""Mistakes that students make in lecture 5: each must lose points, and is named when it explains an answer."""

import itertools
import math

import numpy as np
import torch

from grader import misconception
from solutions import lecture05_batch_and_momentum as lecture

BATCH = "Lecture 5, Batch"
NOISE = "Lecture 5, Why noise improves optimization"
MOMENTUM = "Lecture 5, Momentum"

# ---------------------------------------------------------------- updates_per_epoch


@misconception(
    "updates_per_epoch",
    "You count full batches only: the examples that are left over are never seen.",
    lecture=BATCH,
)
def counts_full_batches_only(n_examples, batch_size):
    return n_examples // batch_size


@misconception(
    "updates_per_epoch",
    "You always add a batch for left-over examples, even when the batches fit evenly: that batch would be empty.",
    lecture=BATCH,
)
def always_adds_a_batch(n_examples, batch_size):
    return n_examples // batch_size + 1


@misconception(
    "updates_per_epoch",
    "You round to the nearest whole number: a short batch is left out whenever it is less than half full.",
    lecture=BATCH,
)
def rounds_to_the_nearest(n_examples, batch_size):
    return round(n_examples / batch_size)


@misconception(
    "updates_per_epoch",
    "Your number is right, but it is a floating-point number, and `range` cannot count with that.",
    lecture=BATCH,
)
def returns_a_float(n_examples, batch_size):
    return float(math.ceil(n_examples / batch_size))


@misconception(
    "updates_per_epoch",
    "You divide the batch size by the number of examples: the larger the batch, the fewer updates there should be.",
    lecture=BATCH,
)
def divides_the_wrong_way(n_examples, batch_size):
    return math.ceil(batch_size / n_examples)


# ---------------------------------------------------------------- minibatches


def cut(x, y, batch_size, order):
    for start in range(0, len(x), batch_size):
        batch = order[start : start + batch_size]
        yield x[batch], y[batch]


@misconception(
    "minibatches",
    "You drop the examples that do not fill a batch: an epoch has to see every example.",
    lecture=BATCH,
)
def drops_the_last_batch(x, y, batch_size, rng):
    order = rng.permutation(len(x))
    return list(cut(x, y, batch_size, order))[: len(x) // batch_size]


@misconception(
    "minibatches",
    "You fill up the short last batch with examples that were dealt before: those are seen twice in one epoch.",
    lecture=BATCH,
)
def fills_up_the_last_batch(x, y, batch_size, rng):
    order = rng.permutation(len(x))
    return cut(x, y, batch_size, np.resize(order, -(-len(x) // batch_size) * batch_size))


@misconception(
    "minibatches",
    "You make all batches about equally long. Only the last one may be shorter than batch_size.",
    lecture=BATCH,
)
def splits_evenly(x, y, batch_size, rng):
    parts = np.array_split(rng.permutation(len(x)), -(-len(x) // batch_size))
    return [(x[part], y[part]) for part in parts]


@misconception(
    "minibatches",
    "You shuffle x and y each in its own order: examples get the labels of others, and nothing can be learned.",
    lecture=BATCH,
)
def shuffles_apart(x, y, batch_size, rng):
    first, second = rng.permutation(len(x)), rng.permutation(len(x))
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        yield x[first[part]], y[second[part]]


@misconception(
    "minibatches",
    "You draw with replacement: in one epoch some examples come twice, and about a third are never seen.",
    lecture=BATCH,
)
def draws_with_replacement(x, y, batch_size, rng):
    return cut(x, y, batch_size, rng.integers(len(x), size=len(x)))


@misconception(
    "minibatches",
    "You draw each batch afresh from all examples: nobody comes twice in a batch, but some do in the epoch.",
    lecture=BATCH,
)
def draws_every_batch_from_all(x, y, batch_size, rng):
    for start in range(0, len(x), batch_size):
        batch = rng.choice(len(x), size=min(batch_size, len(x) - start), replace=False)
        yield x[batch], y[batch]


@misconception(
    "minibatches",
    "You shuffle the caller's own arrays: whoever handed you the data set finds it in another order afterwards.",
    lecture=BATCH,
)
def shuffles_in_place(x, y, batch_size, rng):
    order = rng.permutation(len(x))
    x[:], y[:] = x[order], y[order]
    for start in range(0, len(x), batch_size):
        yield x[start : start + batch_size], y[start : start + batch_size]


@misconception(
    "minibatches",
    "You do not shuffle: every epoch deals the same batches in the same order.",
    lecture=BATCH,
)
def does_not_shuffle(x, y, batch_size, rng):
    return cut(x, y, batch_size, np.arange(len(x)))


@misconception(
    "minibatches",
    "You shuffle the batches, but not what is in them: the same examples sit together in every epoch.",
    lecture=BATCH,
)
def shuffles_whole_batches_only(x, y, batch_size, rng):
    batches = list(cut(x, y, batch_size, np.arange(len(x))))
    full = len(x) // batch_size
    return [batches[index] for index in rng.permutation(full)] + batches[full:]


@misconception(
    "minibatches",
    "You shuffle inside each batch only: the same examples sit together in every epoch, and the first stay the first.",
    lecture=BATCH,
)
def shuffles_inside_batches_only(x, y, batch_size, rng):
    for start in range(0, len(x), batch_size):
        batch = start + rng.permutation(min(batch_size, len(x) - start))
        yield x[batch], y[batch]


@misconception(
    "minibatches",
    "You make a generator with a fixed seed of your own: every epoch comes in the same order, whatever rng says.",
    lecture=BATCH,
)
def seeds_its_own_generator(x, y, batch_size, rng):
    return cut(x, y, batch_size, np.random.default_rng(0).permutation(len(x)))


@misconception(
    "minibatches",
    "Your randomness does not come from rng: two runs with an equal seed differ, and no result can be repeated.",
    lecture=BATCH,
)
def ignores_the_generator(x, y, batch_size, rng):
    return cut(x, y, batch_size, np.random.permutation(len(x)))


@misconception(
    "minibatches",
    "You put x and y into one array to shuffle them together: labels become floating-point numbers, and images lose "
    "their shape.",
    lecture=BATCH,
)
def glues_x_and_y_together(x, y, batch_size, rng):
    table = np.column_stack([x.reshape(len(x), -1), y.reshape(len(y), -1)]).astype(float)
    rng.shuffle(table)
    for start in range(0, len(x), batch_size):
        rows = table[start : start + batch_size]
        yield (rows[:, 0], rows[:, 1]) if rows.shape[1] == 2 else (rows[:, :-1], rows[:, -1])


# ---------------------------------------------------------------- sgd_epochs


@misconception(
    "sgd_epochs",
    "You deal once and walk through those same batches in every epoch: the examples are never shuffled again.",
    lecture=BATCH,
)
def deals_only_once(theta, deal, gradients, learning_rate, epochs):
    batches = list(deal())
    return lecture.sgd_epochs(theta, lambda: batches, gradients, learning_rate, epochs)


@misconception(
    "sgd_epochs",
    "You put the batches of an epoch together again and take one step per epoch: that is full-batch gradient descent.",
    lecture=BATCH,
)
def one_full_update_per_epoch(theta, deal, gradients, learning_rate, epochs):
    def whole():
        x, y = zip(*deal(), strict=True)
        return [(np.concatenate(x), np.concatenate(y))]

    return lecture.sgd_epochs(theta, whole, gradients, learning_rate, epochs)


@misconception(
    "sgd_epochs",
    "Each of your updates uses the gradient of all examples of the epoch, not that of its own batch.",
    lecture=BATCH,
)
def full_gradient_in_every_update(theta, deal, gradients, learning_rate, epochs):
    def whole():
        batches = list(deal())
        x, y = zip(*batches, strict=True)
        return [(np.concatenate(x), np.concatenate(y))] * len(batches)

    return lecture.sgd_epochs(theta, whole, gradients, learning_rate, epochs)


@misconception(
    "sgd_epochs",
    "You sum the gradients of a batch instead of averaging them: the larger the batch, the longer your steps.",
    lecture=BATCH,
)
def sums_the_gradients(theta, deal, gradients, learning_rate, epochs):
    def summed(theta, x, y):
        return gradients(theta, x, y).sum(axis=0, keepdims=True)

    return lecture.sgd_epochs(theta, deal, summed, learning_rate, epochs)


@misconception(
    "sgd_epochs",
    "You step along the gradient: it points uphill, so the loss grows.",
    lecture=BATCH,
)
def climbs(theta, deal, gradients, learning_rate, epochs):
    return lecture.sgd_epochs(theta, deal, gradients, -learning_rate, epochs)


@misconception(
    "sgd_epochs",
    "Your history begins after the first update: the start belongs to it.",
    lecture=BATCH,
)
def forgets_the_start(theta, deal, gradients, learning_rate, epochs):
    return lecture.sgd_epochs(theta, deal, gradients, learning_rate, epochs)[1:]


@misconception(
    "sgd_epochs",
    "Your history has one entry per epoch, but an epoch makes as many updates as it has batches.",
    lecture=BATCH,
)
def records_epochs_only(theta, deal, gradients, learning_rate, epochs):
    history = [theta]
    for _ in range(epochs):
        history.append(lecture.sgd_epochs(history[-1], deal, gradients, learning_rate, 1)[-1])
    return np.array(history)


@misconception(
    "sgd_epochs",
    "Your history holds the same array again and again: you change theta in place, and all entries change with it.",
    lecture=BATCH,
)
def history_of_one_array(theta, deal, gradients, learning_rate, epochs):
    theta = theta.copy()
    history = [theta]
    for _ in range(epochs):
        for x, y in deal():
            theta -= learning_rate * gradients(theta, x, y).mean(axis=0)
            history.append(theta)
    return np.array(history)


@misconception(
    "sgd_epochs",
    "Within an epoch, all your gradients are taken at the point where the epoch began, not where you are now.",
    lecture=BATCH,
)
def gradients_of_the_epochs_start(theta, deal, gradients, learning_rate, epochs):
    history = [theta]
    for _ in range(epochs):
        start = history[-1]
        for x, y in deal():
            history.append(history[-1] - learning_rate * gradients(start, x, y).mean(axis=0))
    return np.array(history)


@misconception(
    "sgd_epochs",
    "Your history is float64 whatever theta is: half of the digits are made up, and twice the memory is used.",
    lecture=BATCH,
)
def history_in_float64(theta, deal, gradients, learning_rate, epochs):
    return lecture.sgd_epochs(theta, deal, gradients, learning_rate, epochs).astype(np.float64)


# ---------------------------------------------------------------- compare_batches


@misconception(
    "compare_batches",
    "You use the same axis twice: an update with a large batch has seen more examples than one with a small batch.",
    lecture=BATCH,
)
def updates_on_both_axes(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [(curve.updates, curve.updates, curve.losses) for curve in curves]


@misconception(
    "compare_batches",
    "You use the same axis twice: both of yours count examples, and none counts updates.",
    lecture=BATCH,
)
def examples_on_both_axes(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [(curve.examples, curve.examples, curve.losses) for curve in curves]


@misconception(
    "compare_batches",
    "You take every batch for a full one: after an epoch you have counted more examples than there are.",
    lecture=BATCH,
)
def every_batch_counts_as_full(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [
        (curve.updates, curve.updates * size, curve.losses) for size, curve in zip(batch_sizes, curves, strict=True)
    ]


@misconception(
    "compare_batches",
    "You cut the count of examples off at the size of the data set: in the second epoch, examples are seen again, and "
    "they count again.",
    lecture=BATCH,
)
def counts_one_epoch_only(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [(curve.updates, np.minimum(curve.examples, n_examples), curve.losses) for curve in curves]


@misconception(
    "compare_batches",
    "Your second axis counts epochs: it should count examples.",
    lecture=BATCH,
)
def counts_epochs(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [(curve.updates, curve.examples / n_examples, curve.losses) for curve in curves]


@misconception(
    "compare_batches",
    "You count from 1: at the start no update has been made and no example seen.",
    lecture=BATCH,
)
def counts_from_one(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [
        (curve.updates + 1, curve.examples + size, curve.losses)
        for size, curve in zip(batch_sizes, curves, strict=True)
    ]


@misconception(
    "compare_batches",
    "You leave out the start: both runs begin at the same loss, before any update.",
    lecture=BATCH,
)
def leaves_out_the_start(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [(curve.updates[1:], curve.examples[1:], curve.losses[1:]) for curve in curves]


@misconception(
    "compare_batches",
    "You give the loss of the last point all along the curve, and not that of each point on the way.",
    lecture=BATCH,
)
def final_loss_all_along(batch_sizes, n_examples, train, loss):
    curves = lecture.compare_batches(batch_sizes, n_examples, train, loss)
    return [(curve.updates, curve.examples, np.full_like(curve.losses, curve.losses[-1])) for curve in curves]


@misconception(
    "compare_batches",
    "You sort the batch sizes: the curves should come in the order in which they were asked for.",
    lecture=BATCH,
)
def sorts_the_batch_sizes(batch_sizes, n_examples, train, loss):
    return lecture.compare_batches(sorted(batch_sizes), n_examples, train, loss)


# ---------------------------------------------------------------- gradient_noise


@misconception(
    "gradient_noise",
    "You return the standard deviation: the variance is its square.",
    lecture=NOISE,
)
def standard_deviation(example_gradients, batch_size):
    return np.sqrt(lecture.gradient_noise(example_gradients, batch_size))


@misconception(
    "gradient_noise",
    "Your gradient of a batch is the sum over its examples, not the mean: its noise grows with the batch.",
    lecture=NOISE,
)
def noise_of_the_sum(example_gradients, batch_size):
    return lecture.gradient_noise(example_gradients, batch_size) * batch_size**2


@misconception(
    "gradient_noise",
    "Your law is upside down: the noise grows with the batch size. But the more you average, the less noise is left.",
    lecture=NOISE,
)
def grows_with_the_batch(example_gradients, batch_size):
    return example_gradients.var(axis=0).sum() * batch_size


@misconception(
    "gradient_noise",
    "You treat the batch as drawn with replacement. The examples of a batch are all different, so less noise is left, "
    "and none at all when the batch is the whole data set.",
    lecture=NOISE,
)
def with_replacement(example_gradients, batch_size):
    return example_gradients.var(axis=0).sum() / batch_size


@misconception(
    "gradient_noise",
    "You divide the sum of squares by N - 1, as one does to estimate a variance from a sample. Here all N examples "
    "are known.",
    lecture=NOISE,
)
def sample_variance(example_gradients, batch_size):
    n_examples = len(example_gradients)
    return lecture.gradient_noise(example_gradients, batch_size) * n_examples / (n_examples - 1)


@misconception(
    "gradient_noise",
    "Your factor for dealing without replacement is not 1 for batches of a single example, where replacement makes no "
    "difference.",
    lecture=NOISE,
)
def factor_over_n(example_gradients, batch_size):
    n_examples = len(example_gradients)
    return lecture.gradient_noise(example_gradients, batch_size) * (n_examples - 1) / n_examples


@misconception(
    "gradient_noise",
    "You average over the parameters: the squared length of a vector is the sum of its squares.",
    lecture=NOISE,
)
def averages_the_parameters(example_gradients, batch_size):
    return lecture.gradient_noise(example_gradients, batch_size) / example_gradients.shape[1]


@misconception(
    "gradient_noise",
    "You take the mean square of the gradients without subtracting the full gradient: what all examples agree on is "
    "no noise.",
    lecture=NOISE,
)
def not_centred(example_gradients, batch_size):
    n_examples = len(example_gradients)
    square = (example_gradients**2).mean(axis=0).sum()
    return square / batch_size * (n_examples - batch_size) / (n_examples - 1)


@misconception(
    "gradient_noise",
    "You square the mean of the distances: each distance has to be squared before the mean is taken.",
    lecture=NOISE,
)
def mean_distance_squared(example_gradients, batch_size):
    distances = np.linalg.norm(example_gradients - example_gradients.mean(axis=0), axis=1)
    n_examples = len(example_gradients)
    return distances.mean() ** 2 / batch_size * (n_examples - batch_size) / (n_examples - 1)


# ---------------------------------------------------------------- flatness


@misconception(
    "flatness",
    "You walk to one side only: then a slope counts as sharp, or as flatter than flat.",
    lecture=NOISE,
)
def one_side_only(loss, theta, radius, unit_offsets):
    return float(np.mean([loss(theta + radius * offset) for offset in unit_offsets]) - loss(theta))


@misconception(
    "flatness",
    "You average the size of each change: a fall counts as a rise, so slopes and hilltops look like sharp minima.",
    lecture=NOISE,
)
def size_of_the_change(loss, theta, radius, unit_offsets):
    here = loss(theta)
    return float(np.mean([abs(loss(theta + sign * radius * u) - here) for u in unit_offsets for sign in (1, -1)]))


@misconception(
    "flatness",
    "You walk the square of the radius: the radius is already a distance.",
    lecture=NOISE,
)
def radius_squared(loss, theta, radius, unit_offsets):
    return lecture.flatness(loss, theta, radius**2, unit_offsets)


@misconception(
    "flatness",
    "You divide by the square of the radius: that is a curvature, while the rise of the loss was asked for.",
    lecture=NOISE,
)
def curvature_for_rise(loss, theta, radius, unit_offsets):
    return lecture.flatness(loss, theta, radius, unit_offsets) / radius**2 if radius else 0.0


@misconception(
    "flatness",
    "You give the mean loss around theta without subtracting the loss at theta: a high plain counts as sharp.",
    lecture=NOISE,
)
def level_for_rise(loss, theta, radius, unit_offsets):
    return lecture.flatness(loss, theta, radius, unit_offsets) + loss(theta)


@misconception(
    "flatness",
    "You take the largest rise: the mean was asked for.",
    lecture=NOISE,
)
def largest_rise(loss, theta, radius, unit_offsets):
    around = [loss(theta + sign * radius * offset) for offset in unit_offsets for sign in (1, -1)]
    return float(max(around) - loss(theta))


@misconception(
    "flatness",
    "You stretch every offset to length 1: you measure on the rim only, and not within the radius.",
    lecture=NOISE,
)
def on_the_rim_only(loss, theta, radius, unit_offsets):
    rim = unit_offsets / np.linalg.norm(unit_offsets, axis=1, keepdims=True)
    return lecture.flatness(loss, theta, radius, rim)


@misconception(
    "flatness",
    "You add up the rises of the two sides: their mean was asked for, so yours is twice as large.",
    lecture=NOISE,
)
def both_sides_added(loss, theta, radius, unit_offsets):
    return 2 * lecture.flatness(loss, theta, radius, unit_offsets)


@misconception(
    "flatness",
    "You sum over the offsets: the more points are looked at, the sharper everything seems. Take their mean.",
    lecture=NOISE,
)
def sums_over_the_offsets(loss, theta, radius, unit_offsets):
    return len(unit_offsets) * lecture.flatness(loss, theta, radius, unit_offsets)


@misconception(
    "flatness",
    "Your sign is turned round: you subtract the loss around theta from the loss at theta, so a minimum gets a "
    "negative rise.",
    lecture=NOISE,
)
def fall_for_rise(loss, theta, radius, unit_offsets):
    return -lecture.flatness(loss, theta, radius, unit_offsets)


@misconception(
    "flatness",
    "You cut negative values off at zero: around a hilltop the loss falls, and that is a negative rise.",
    lecture=NOISE,
)
def never_negative(loss, theta, radius, unit_offsets):
    return max(0.0, lecture.flatness(loss, theta, radius, unit_offsets))


# ---------------------------------------------------------------- momentum_step


@misconception(
    "momentum_step",
    "Your update adds the gradient: you climb the loss instead of descending.",
    lecture=MOMENTUM,
)
def adds_the_gradient(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement + learning_rate * gradient
    return theta + movement, movement


@misconception(
    "momentum_step",
    "You weight the gradient by 1 - lambda, as in a moving average: in the lecture's momentum it counts in full.",
    lecture=MOMENTUM,
)
def moving_average(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement - (1 - momentum) * learning_rate * gradient
    return theta + movement, movement


@misconception(
    "momentum_step",
    "You move theta by the old movement: the newest gradient reaches theta one step late.",
    lecture=MOMENTUM,
)
def moves_by_the_old_movement(theta, movement, gradient, learning_rate, momentum):
    return theta + movement, momentum * movement - learning_rate * gradient


@misconception(
    "momentum_step",
    "This is Nesterov's momentum: theta moves by a second helping of the momentum, as if it had looked ahead.",
    lecture=MOMENTUM,
)
def nesterov_for_momentum(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement - learning_rate * gradient
    return theta + momentum * movement - learning_rate * gradient, movement


@misconception(
    "momentum_step",
    "Your movement is a sum of gradients, without the learning rate and with the sign turned, as torch's SGD keeps it. "
    "The lecture's movement is what is added to theta.",
    lecture=MOMENTUM,
)
def movement_without_learning_rate(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement + gradient
    return theta - learning_rate * movement, movement


@misconception(
    "momentum_step",
    "Lambda shrinks the newest gradient as well: it should only fade the last movement.",
    lecture=MOMENTUM,
)
def fades_the_new_gradient_too(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * (movement - learning_rate * gradient)
    return theta + movement, movement


@misconception(
    "momentum_step",
    "You forget the last movement: this is gradient descent without momentum.",
    lecture=MOMENTUM,
)
def no_memory(theta, movement, gradient, learning_rate, momentum):
    movement = -learning_rate * gradient
    return theta + movement, movement


@misconception(
    "momentum_step",
    "The last movement never fades: without lambda the ball rolls on for ever.",
    lecture=MOMENTUM,
)
def never_fades(theta, movement, gradient, learning_rate, momentum):
    movement = movement - learning_rate * gradient
    return theta + movement, movement


@misconception(
    "momentum_step",
    "The learning rate acts twice: on the gradient, and again when theta moves.",
    lecture=MOMENTUM,
)
def learning_rate_twice(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement - learning_rate * gradient
    return theta + learning_rate * movement, movement


@misconception(
    "momentum_step",
    "Your two results are swapped: theta comes first, then the movement.",
    lecture=MOMENTUM,
)
def results_swapped(theta, movement, gradient, learning_rate, momentum):
    theta, movement = lecture.momentum_step(theta, movement, gradient, learning_rate, momentum)
    return movement, theta


@misconception(
    "momentum_step",
    "You change the arrays that you were given: every position that the caller has kept changes with them.",
    lecture=MOMENTUM,
)
def changes_its_arguments(theta, movement, gradient, learning_rate, momentum):
    movement *= momentum
    movement -= learning_rate * gradient
    theta += movement
    return theta, movement


@misconception(
    "momentum_step",
    "You turn everything into float64: parameters in float32 should stay float32.",
    lecture=MOMENTUM,
)
def always_float64(theta, movement, gradient, learning_rate, momentum):
    theta, movement, gradient = (np.asarray(part, dtype=np.float64) for part in (theta, movement, gradient))
    return lecture.momentum_step(theta, movement, gradient, learning_rate, momentum)


# ---------------------------------------------------------------- movement_as_weighted_sum


@misconception(
    "movement_as_weighted_sum",
    "Your powers run the wrong way: the oldest gradient gets the largest weight, and the newest has almost faded.",
    lecture=MOMENTUM,
)
def powers_reversed(gradients, learning_rate, momentum):
    return lecture.movement_as_weighted_sum(gradients[::-1], learning_rate, momentum)


@misconception(
    "movement_as_weighted_sum",
    "You leave out the learning rate: each gradient entered the movement as a step of its length times eta.",
    lecture=MOMENTUM,
)
def leaves_out_the_learning_rate(gradients, learning_rate, momentum):
    return lecture.movement_as_weighted_sum(gradients, 1.0, momentum)


@misconception(
    "movement_as_weighted_sum",
    "You lost the minus sign: the movement goes against the gradients.",
    lecture=MOMENTUM,
)
def along_the_gradients(gradients, learning_rate, momentum):
    return -lecture.movement_as_weighted_sum(gradients, learning_rate, momentum)


@misconception(
    "movement_as_weighted_sum",
    "Your powers are too high by one: the newest gradient has not faded yet.",
    lecture=MOMENTUM,
)
def powers_off_by_one(gradients, learning_rate, momentum):
    return momentum * lecture.movement_as_weighted_sum(gradients, learning_rate, momentum)


@misconception(
    "movement_as_weighted_sum",
    "You divide by the sum of the weights: that is an average, but the pushes of the gradients add up.",
    lecture=MOMENTUM,
)
def weighted_average(gradients, learning_rate, momentum):
    weights = momentum ** np.arange(len(gradients))[::-1]
    with np.errstate(invalid="ignore"):
        return lecture.movement_as_weighted_sum(gradients, learning_rate, momentum) / weights.sum()


@misconception(
    "movement_as_weighted_sum",
    "You weight the newest gradient by 1 - lambda, as in a moving average: in the lecture, it counts in full.",
    lecture=MOMENTUM,
)
def moving_average_of_gradients(gradients, learning_rate, momentum):
    return (1 - momentum) * lecture.movement_as_weighted_sum(gradients, learning_rate, momentum)


@misconception(
    "movement_as_weighted_sum",
    "All your gradients count the same: old ones should have faded.",
    lecture=MOMENTUM,
)
def all_count_the_same(gradients, learning_rate, momentum):
    return -learning_rate * gradients.sum(axis=0)


@misconception(
    "movement_as_weighted_sum",
    "Your weights run along the last axis of the gradients: time is the first axis.",
    lecture=MOMENTUM,
)
def weights_along_the_parameters(gradients, learning_rate, momentum):
    weights = momentum ** np.arange(gradients.shape[-1])[::-1]
    return -learning_rate * (weights * gradients).sum(axis=0)


@misconception(
    "movement_as_weighted_sum",
    "You start from the first gradient, so there has to be one: before any step, the movement is zero.",
    lecture=MOMENTUM,
)
def needs_a_first_gradient(gradients, learning_rate, momentum):
    weights = momentum ** np.arange(len(gradients))[::-1]
    return -learning_rate * (weights[0] * gradients[0] + np.tensordot(weights[1:], gradients[1:], axes=1))


@misconception(
    "movement_as_weighted_sum",
    "You run through time step by step: this is the recursion again, and it takes as many lines of Python as there "
    "are gradients. The weights are known in advance, so one array operation does it.",
    lecture=MOMENTUM,
)
def step_by_step(gradients, learning_rate, momentum):
    movement = np.zeros(gradients.shape[1:])
    for gradient in gradients:
        movement = momentum * movement - learning_rate * gradient
    return movement


# ---------------------------------------------------------------- Momentum


class Stepwise(lecture.Momentum):
    """A right Momentum in small pieces: each mistake below replaces one of them."""

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for theta in self.parameters(group):
                    self.update(theta, self.state[theta], group["lr"], group["momentum"])
        return loss

    def parameters(self, group):
        return [theta for theta in group["params"] if theta.grad is not None]

    def update(self, theta, state, lr, momentum):
        state["movement"] = momentum * self.last_movement(theta, state) - lr * theta.grad
        theta += state["movement"]

    def last_movement(self, theta, state):
        return state.get("movement", torch.zeros_like(theta))


@misconception(
    "Momentum",
    "Your step adds the gradient: the model climbs its loss.",
    lecture=MOMENTUM,
)
class ClimbsTheLoss(Stepwise):
    def update(self, theta, state, lr, momentum):
        super().update(theta, state, -lr, momentum)


@misconception(
    "Momentum",
    "You weight the gradient by 1 - lambda, as in a moving average: in the lecture's momentum it counts in full.",
    lecture=MOMENTUM,
)
class AveragesTheGradient(Stepwise):
    def update(self, theta, state, lr, momentum):
        super().update(theta, state, (1 - momentum) * lr, momentum)


@misconception(
    "Momentum",
    "This is torch's momentum: it keeps a sum of gradients and puts the learning rate on when theta moves. When the "
    "learning rate is cut, your ball brakes at once; the lecture's rolls on.",
    lecture=MOMENTUM,
)
class LearningRateOutside(Stepwise):
    def update(self, theta, state, lr, momentum):
        state["movement"] = momentum * self.last_movement(theta, state) + theta.grad
        theta -= lr * state["movement"]


@misconception(
    "Momentum",
    "This is Nesterov's momentum: theta moves by a second helping of the momentum.",
    lecture=MOMENTUM,
)
class LooksAhead(Stepwise):
    def update(self, theta, state, lr, momentum):
        state["movement"] = momentum * self.last_movement(theta, state) - lr * theta.grad
        theta += momentum * state["movement"] - lr * theta.grad


@misconception(
    "Momentum",
    "You move theta by the old movement: the newest gradient reaches theta one step late.",
    lecture=MOMENTUM,
)
class MovesOneStepLate(Stepwise):
    def update(self, theta, state, lr, momentum):
        theta += self.last_movement(theta, state)
        state["movement"] = momentum * self.last_movement(theta, state) - lr * theta.grad


@misconception(
    "Momentum",
    "The movement is thrown away after each step: this is gradient descent without momentum.",
    lecture=MOMENTUM,
)
class ForgetsTheMovement(Stepwise):
    def last_movement(self, theta, state):
        return torch.zeros_like(theta)


@misconception(
    "Momentum",
    "All your parameters share one movement: each is pushed by the gradients of the others.",
    lecture=MOMENTUM,
)
class OneMovementForAll(Stepwise):
    def last_movement(self, theta, state):
        self.shared = getattr(self, "shared", {"movement": torch.zeros_like(theta)})
        return self.shared["movement"]

    def update(self, theta, state, lr, momentum):
        super().update(theta, state, lr, momentum)
        self.shared["movement"] = state["movement"]


@misconception(
    "Momentum",
    "Your movements are kept by shape: two parameters of equal shape share one.",
    lecture=MOMENTUM,
)
class OneMovementForEachShape(Stepwise):
    def last_movement(self, theta, state):
        self.shared = getattr(self, "shared", {})
        return self.shared.get(theta.shape, torch.zeros_like(theta))

    def update(self, theta, state, lr, momentum):
        super().update(theta, state, lr, momentum)
        self.shared[theta.shape] = state["movement"]


@misconception(
    "Momentum",
    "Your movement is computed with autograd switched on: it drags along the graph of every gradient since the "
    "beginning, and memory grows with each step.",
    lecture=MOMENTUM,
)
class TracksTheGraph(Stepwise):
    def update(self, theta, state, lr, momentum):
        with torch.enable_grad():
            state["movement"] = momentum * self.last_movement(theta, state) - lr * theta.grad
        theta.data += state["movement"].detach()


@misconception(
    "Momentum",
    "You make a new tensor and leave the parameter where it was: the model never moves. Change the parameter in place.",
    lecture=MOMENTUM,
)
class MovesACopy(Stepwise):
    def update(self, theta, state, lr, momentum):
        state["movement"] = momentum * self.last_movement(theta, state) - lr * theta.grad
        theta = theta + state["movement"]


@misconception(
    "Momentum",
    "You expect every parameter to have a gradient: those that the loss did not reach have None.",
    lecture=MOMENTUM,
)
class ExpectsEveryGradient(Stepwise):
    def parameters(self, group):
        return group["params"]


@misconception(
    "Momentum",
    "You stop at the first parameter without a gradient: those after it are never updated.",
    lecture=MOMENTUM,
)
class StopsAtAMissingGradient(Stepwise):
    def parameters(self, group):
        return itertools.takewhile(lambda theta: theta.grad is not None, group["params"])


@misconception(
    "Momentum",
    "You take a missing gradient for zero: the parameter rolls on, though it took no part in the loss.",
    lecture=MOMENTUM,
)
class RollsOnWithoutAGradient(Stepwise):
    def parameters(self, group):
        for theta in group["params"]:
            if theta.grad is None:
                theta.grad = torch.zeros_like(theta)
        return group["params"]


@misconception(
    "Momentum",
    "You update the first parameter group only: the others never move.",
    lecture=MOMENTUM,
)
class FirstGroupOnly(Stepwise):
    def parameters(self, group):
        return super().parameters(group) if group is self.param_groups[0] else []


@misconception(
    "Momentum",
    "You use the values of the constructor for all groups and for ever: each group has its own lr and momentum, and a "
    "scheduler may change them.",
    lecture=MOMENTUM,
)
class ConstructorsValuesOnly(Stepwise):
    def update(self, theta, state, lr, momentum):
        super().update(theta, state, self.defaults["lr"], self.defaults["momentum"])


@misconception(
    "Momentum",
    "Your movements live in an attribute of your own: state_dict does not save them, and a resumed run is at rest.",
    lecture=MOMENTUM,
)
class StateIsLost(Stepwise):
    def update(self, theta, state, lr, momentum):
        self.movements = getattr(self, "movements", {})
        super().update(theta, self.movements.setdefault(theta, {}), lr, momentum)


@misconception(
    "Momentum",
    "You never call the closure: the step uses gradients from before, or none, and the loss is not returned.",
    lecture=MOMENTUM,
)
class IgnoresTheClosure(lecture.Momentum):
    def step(self, closure=None):
        super().step()


@misconception(
    "Momentum",
    "You call the closure after the update: the step then uses the gradients of the step before.",
    lecture=MOMENTUM,
)
class CallsTheClosureLast(lecture.Momentum):
    def step(self, closure=None):
        super().step()
        return closure() if closure is not None else None


@misconception(
    "Momentum",
    "You call the closure with gradients switched off: its backward() fails.",
    lecture=MOMENTUM,
)
class ClosureWithoutGradients(lecture.Momentum):
    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure is not None else None
        super().step()
        return loss


@misconception(
    "Momentum",
    "You scale the gradient in place: it belongs to the caller, who may still clip, log or reuse it.",
    lecture=MOMENTUM,
)
class ScalesTheGradient(Stepwise):
    def update(self, theta, state, lr, momentum):
        state["movement"] = momentum * self.last_movement(theta, state) - theta.grad.mul_(lr)
        theta += state["movement"]


@misconception(
    "Momentum",
    "Your first movement lives in the memory of the gradient: whatever is done to one happens to the other.",
    lecture=MOMENTUM,
)
class SharesTheGradientsMemory(Stepwise):
    def update(self, theta, state, lr, momentum):
        if "movement" in state:
            super().update(theta, state, lr, momentum)
        else:
            state["movement"] = theta.grad
            theta += state["movement"].mul_(-lr)


# ---------------------------------------------------------------- nesterov_step


@misconception(
    "nesterov_step",
    "You look the wrong way: your slope is that of where the ball came from.",
    lecture=MOMENTUM,
)
def looks_back(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement - learning_rate * gradient(theta - momentum * movement)
    return theta + movement, movement


@misconception(
    "nesterov_step",
    "You take the slope at theta: this is ordinary momentum, without looking ahead.",
    lecture=MOMENTUM,
)
def does_not_look_ahead(theta, movement, gradient, learning_rate, momentum):
    return lecture.momentum_step(theta, movement, gradient(theta), learning_rate, momentum)


@misconception(
    "nesterov_step",
    "You look too far: the whole last movement ahead, though only lambda of it is left.",
    lecture=MOMENTUM,
)
def looks_too_far(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement - learning_rate * gradient(theta + movement)
    return theta + movement, movement


@misconception(
    "nesterov_step",
    "You walk on from the point that you only meant to look at: the momentum is taken twice.",
    lecture=MOMENTUM,
)
def walks_from_the_look_ahead(theta, movement, gradient, learning_rate, momentum):
    ahead = theta + momentum * movement
    movement = momentum * movement - learning_rate * gradient(ahead)
    return ahead + movement, movement


@misconception(
    "nesterov_step",
    "Your update adds the gradient: you climb the loss instead of descending.",
    lecture=MOMENTUM,
)
def climbs_while_looking_ahead(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement + learning_rate * gradient(theta + momentum * movement)
    return theta + movement, movement


@misconception(
    "nesterov_step",
    "You change the arrays that you were given: every position that the caller has kept changes with them.",
    lecture=MOMENTUM,
)
def moves_its_arguments(theta, movement, gradient, learning_rate, momentum):
    movement *= momentum
    movement -= learning_rate * gradient(theta + movement)
    theta += movement
    return theta, movement
