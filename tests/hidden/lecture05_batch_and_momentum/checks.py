"""Hidden tests of lecture 5: what is observed. The answers come from the reference solution."""

import numpy as np
import torch

from grader import Problem, check, close, each

PROBLEMS = (
    Problem(
        "Momentum",
        forbidden=("torch.optim.SGD", "torch.optim.sgd.sgd"),
        operators=("aten::_fused_sgd_", "aten::_fused_sgd"),
    ),
    Problem("nesterov_step", bonus=True),
)


def as_array(value):
    """A list of rows is as good as an array, where the type is not what is tested."""
    return np.array(value) if isinstance(value, list) else value


# ---------------------------------------------------------------- updates_per_epoch


@check("updates_per_epoch", points=2, hint="Count the batches by hand for 5 examples, 2 at a time.")
def left_over_examples_make_a_batch(student, rng):
    """Left-over examples make one more, shorter batch."""
    cases = [(5, 2), (7, 3), (10, 4), (10, 9), (60_000, 128)]
    return {f"{n} examples, batches of {size}": student.updates_per_epoch(n, size) for n, size in cases}


@check("updates_per_epoch", points=1, hint="When the batches fit evenly, is there anything left for one more?")
def batches_that_fit_evenly(student, rng):
    """Batches that fit evenly: no extra update."""
    cases = [(1, 1), (4, 2), (20, 20), (20, 1), (60_000, 100)]
    return {f"{n} examples, batches of {size}": student.updates_per_epoch(n, size) for n, size in cases}


@check("updates_per_epoch", points=1, hint="All examples fit in one batch, and there is room left in it.")
def batch_larger_than_the_data(student, rng):
    """A batch that is larger than the data set is still one update."""
    cases = [(1, 2), (3, 8), (20, 1000)]
    return {f"{n} examples, batches of {size}": student.updates_per_epoch(n, size) for n, size in cases}


@check("updates_per_epoch", points=1, hint="You will write `range(updates_per_epoch(...))`: of which type must it be?")
def the_number_can_be_counted_with(student, rng):
    """The number of updates is an integer that `range` accepts."""
    return list(range(student.updates_per_epoch(4, 2)))


# ---------------------------------------------------------------- minibatches


def one_epoch(student, n_examples, batch_size, rng):
    x = np.arange(n_examples)
    return list(student.minibatches(x, x.copy(), batch_size, rng))


def batch_lengths(batches):
    return [[len(x), len(y)] for x, y in batches]


@check(
    "minibatches", points=2, after=each(batch_lengths), hint="Deal full batches for as long as you can, then the rest."
)
def batches_are_full_but_the_last(student, rng):
    """Every batch has batch_size examples, and the last one has what is left over."""
    cases = [(1, 1), (3, 8), (4, 2), (5, 2), (10, 4), (9, 1)]
    return {f"{n} examples, batches of {size}": one_epoch(student, n, size, rng) for n, size in cases}


def dealt_examples(batches):
    return sorted(int(n) for x, _ in batches for n in x)


@check("minibatches", points=3, after=each(dealt_examples), hint="A card that is dealt is no longer in the deck.")
def every_example_once(student, rng):
    """Every example is dealt exactly once in an epoch."""
    cases = [(4, 2), (5, 2), (30, 7)]
    return {f"{n} examples, batches of {size}": one_epoch(student, n, size, rng) for n, size in cases}


def sorted_pairs(batches):
    return sorted([float(value), float(label)] for x, y in batches for value, label in zip(x, y, strict=True))


@check("minibatches", points=4, after=sorted_pairs, hint="One random order has to serve both arrays.")
def x_and_y_stay_together(student, rng):
    """Each x is dealt with the y that belongs to it."""
    x, y = rng.normal(size=(2, 11))
    return list(student.minibatches(x, y, 4, rng))


def dealt_first(epochs):
    return sorted({int(batches[0][0][0]) for batches in epochs})


@check("minibatches", points=2, after=dealt_first, hint="Shuffle the whole deck, and anew in every epoch.")
def any_example_can_come_first(student, rng):
    """Over 100 epochs, every one of 6 examples is dealt first at some time."""
    return [one_epoch(student, 6, 2, rng) for _ in range(100)]


def batch_mates(epochs):
    """The examples that ever shared a batch with example 0."""
    return sorted({int(n) for batches in epochs for x, _ in batches if 0 in x for n in x})


@check("minibatches", points=2, after=batch_mates, hint="Do the same examples always sit in one batch together?")
def any_two_can_share_a_batch(student, rng):
    """Over 100 epochs, example 0 shares a batch with every other one at some time."""
    return [one_epoch(student, 6, 2, rng) for _ in range(100)]


def orders(epochs):
    return [[int(n) for x, _ in batches for n in x] for batches in epochs]


def same_seed_same_order(epochs):
    first, again, other = orders(epochs)
    return {"an equal seed gives an equal order": first == again, "another seed gives another": first != other}


@check(
    "minibatches", points=1, after=same_seed_same_order, hint="All randomness comes from the rng that you are given."
)
def an_equal_seed_gives_equal_batches(student, rng):
    """An equally seeded rng gives the same batches again, and another seed gives others."""
    seed = int(rng.integers(1000))
    return [one_epoch(student, 40, 8, np.random.default_rng(one)) for one in (seed, seed, seed + 1)]


def kinds(batches):
    """The dtype and the shape of one example, of x and of y, in every batch."""
    return [[str(part.dtype) for part in pair] + [list(part.shape[1:]) for part in pair] for pair in batches]


@check(
    "minibatches", points=1, after=each(kinds), hint="A batch is a part of the data: what should become of its type?"
)
def examples_keep_shape_and_dtype(student, rng):
    """Examples of any shape and dtype are dealt as they are."""
    images = rng.normal(size=(5, 2, 3)).astype(np.float32)
    return {
        "rows of float32": list(student.minibatches(images[:, 0], np.arange(5.0), 2, rng)),
        "images with int8 labels": list(student.minibatches(images, np.arange(5, dtype=np.int8), 2, rng)),
    }


@check("minibatches", points=1, hint="Deal from a copy, or deal numbers: the data set is needed again.")
def the_data_stay_as_they_were(student, rng):
    """After an epoch, x and y are as they were."""
    x, y = np.arange(20.0), np.arange(20)
    batches = list(student.minibatches(x, y, 6, rng))
    return {"x": x, "y": y, "number of batches": len(batches)}


# ---------------------------------------------------------------- sgd_epochs


class Dealer:
    """Deals the same two orders in turn, epoch by epoch: `deal` for a test in which nothing is random."""

    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size = x, y, batch_size
        self.epoch = 0

    def __call__(self):
        order = np.arange(len(self.x))
        order = order[::-1] if self.epoch % 2 else order
        self.epoch += 1
        starts = range(0, len(order), self.batch_size)
        batches = [order[start : start + self.batch_size] for start in starts]
        return iter([(self.x[batch], self.y[batch]) for batch in batches])


def line_gradients(theta, x, y):
    """Of the squared error of a linear model, one row per example."""
    return 2 * (x @ theta - y)[:, None] * x


def line_data(rng, n_examples, dtype=float):
    return rng.normal(size=(n_examples, 2)).astype(dtype), rng.normal(size=n_examples).astype(dtype)


@check("sgd_epochs", points=2, after=each(as_array), hint="Walk against the mean gradient of the batch.")
def one_batch_makes_one_update(student, rng):
    """One epoch with a single batch makes a single update."""
    x, y = line_data(rng, 3)
    theta = rng.normal(size=2)
    return {
        "a batch of one example": student.sgd_epochs(theta, Dealer(x[:1], y[:1], 1), line_gradients, 0.1, 1),
        "a batch of three examples": student.sgd_epochs(theta, Dealer(x, y, 3), line_gradients, 0.1, 1),
    }


@check(
    "sgd_epochs",
    points=4,
    after=as_array,
    hint="Each update starts where the one before it ended, and looks at its own batch only.",
)
def every_batch_makes_an_update(student, rng):
    """Every batch makes one update, from where the last update led, and the history keeps each."""
    x, y = line_data(rng, 7)
    return student.sgd_epochs(rng.normal(size=2), Dealer(x, y, 3), line_gradients, 0.1, 1)


@check("sgd_epochs", points=3, after=as_array, hint="When is an epoch dealt, and how often?")
def every_epoch_is_dealt_anew(student, rng):
    """Every epoch walks through freshly dealt batches."""
    x, y = line_data(rng, 5)
    return student.sgd_epochs(rng.normal(size=2), Dealer(x, y, 2), line_gradients, 0.05, 4)


@check("sgd_epochs", points=1, after=as_array, hint="What has been passed before the first update?")
def without_epochs_there_is_only_the_start(student, rng):
    """Without an epoch, the history is the start alone."""
    x, y = line_data(rng, 4)
    return student.sgd_epochs(rng.normal(size=2), Dealer(x, y, 2), line_gradients, 0.1, 0)


@check(
    "sgd_epochs",
    points=2,
    after=each(as_array),
    hint="A batch that holds each example twice has the same mean gradient.",
)
def a_doubled_batch_makes_the_same_step(student, rng):
    """If each batch holds all its examples twice, the path is the same."""
    x, y = line_data(rng, 1)
    theta = rng.normal(size=2)
    return {
        f"the example {times} times": student.sgd_epochs(
            theta, Dealer(np.repeat(x, times, axis=0), np.repeat(y, times), times), line_gradients, 0.1, 2
        )
        for times in (1, 2, 5)
    }


@check("sgd_epochs", points=1, hint="In which dtype do you keep the history?")
def history_keeps_the_dtype(student, rng):
    """With float32 parameters and data, the history is float32."""
    x, y = line_data(rng, 4, np.float32)
    theta = rng.normal(size=2).astype(np.float32)
    return student.sgd_epochs(theta, Dealer(x, y, 2), line_gradients, 0.1, 1)


# ---------------------------------------------------------------- compare_batches


def curves_of(student, n_examples, batch_sizes, rng, epochs=2):
    """What compare_batches gives for histories of random points."""
    histories = {size: rng.normal(size=(epochs * len(range(0, n_examples, size)) + 1, 2)) for size in batch_sizes}
    return student.compare_batches(batch_sizes, n_examples, histories.__getitem__, lambda theta: theta @ theta)


def column(number):
    return lambda curves: [as_array(curve[number]) for curve in curves]


@check(
    "compare_batches",
    points=2,
    after=each(column(0)),
    compare=close(dtype=False),
    hint="At the start, how many updates have been made?",
)
def first_axis_counts_updates(student, rng):
    """The first axis counts the updates made so far, from the start on."""
    return {
        "one batch size": curves_of(student, 4, [4], rng),
        "three batch sizes": curves_of(student, 12, [6, 1, 12], rng),
    }


@check(
    "compare_batches",
    points=2,
    after=each(column(1)),
    compare=close(dtype=False),
    hint="How many examples does one update look at?",
)
def second_axis_counts_examples(student, rng):
    """The second axis counts the examples seen so far."""
    return {
        "one batch with everything": curves_of(student, 4, [4], rng),
        "batches that fit evenly": curves_of(student, 12, [6, 1, 3], rng),
    }


@check(
    "compare_batches",
    points=2,
    after=each(column(1)),
    compare=close(dtype=False),
    hint="After each whole epoch, how many examples have been seen?",
)
def short_last_batch_counts_its_examples(student, rng):
    """A short last batch counts with the examples that it has, in every epoch."""
    return {
        "5 examples, batches of 2": curves_of(student, 5, [2], rng),
        "10 examples, batches of 4 and 7": curves_of(student, 10, [4, 7], rng, epochs=3),
    }


@check(
    "compare_batches",
    points=1,
    after=each(column(1)),
    compare=close(dtype=False),
    hint="How many examples can a batch hold at most?",
)
def a_batch_holds_no_more_than_the_data(student, rng):
    """A batch size beyond the data set still sees each example once an epoch."""
    return {"3 examples, batches of 8": curves_of(student, 3, [8], rng)}


@check(
    "compare_batches",
    points=3,
    after=each(column(2)),
    hint="Ask for the loss of every theta of the history, of that batch size.",
)
def losses_all_along_the_history(student, rng):
    """The losses are those of each point of the history, batch size by batch size."""
    return {
        "one batch size": curves_of(student, 4, [2], rng),
        "three batch sizes": curves_of(student, 6, [6, 1, 4], rng),
        "no update yet": curves_of(student, 6, [2, 3], rng, epochs=0),
    }


# ---------------------------------------------------------------- gradient_noise


@check("gradient_noise", points=2, hint="With one example in a batch, g_B is just the gradient of that example.")
def noise_of_single_examples(student, rng):
    """Batches of one example have the variance of the examples' gradients, summed over the parameters."""
    return {
        "two examples, one parameter": student.gradient_noise(np.array([[1.0], [5.0]]), 1),
        "five examples, three parameters": student.gradient_noise(rng.normal(size=(5, 3)), 1),
    }


@check("gradient_noise", points=3, hint="Try it on four examples: write down all six batches of two.")
def noise_against_batch_size(student, rng):
    """The noise for batches of 2, 3, 4 and 7 out of 8 examples."""
    gradients = rng.normal(size=(8, 2))
    return {f"batches of {size}": student.gradient_noise(gradients, size) for size in (2, 3, 4, 7)}


@check("gradient_noise", points=2, hint="How much does the batch of all examples differ from all examples?")
def full_batch_makes_no_noise(student, rng):
    """The batch of all examples makes no noise, and a batch of all but one makes little."""
    cases = [(2, 2), (5, 5), (5, 4)]
    return {f"{size} of {n} examples": student.gradient_noise(rng.normal(size=(n, 3)), size) for n, size in cases}


@check("gradient_noise", points=2, hint="The noise is about differences from the full gradient.")
def a_common_gradient_is_no_noise(student, rng):
    """The same gradient added to every example changes nothing."""
    gradients = rng.normal(size=(6, 2))
    return {
        "six equal gradients": student.gradient_noise(np.full((6, 2), 3.0), 2),
        "3 added to all": student.gradient_noise(gradients + 3.0, 2),
        "100 added to one parameter": student.gradient_noise(gradients + np.array([100.0, 0.0]), 2),
    }


@check("gradient_noise", points=2, hint="In which units is a variance?")
def noise_is_quadratic_in_the_gradient(student, rng):
    """Gradients ten times as large make a hundred times the noise."""
    gradients = rng.normal(size=(5, 2))
    return {f"{factor:g} times the gradients": student.gradient_noise(factor * gradients, 3) for factor in (1.0, 10.0)}


# ---------------------------------------------------------------- flatness


def ellipsoid(curvature):
    return lambda theta: float(np.sum(curvature * np.asarray(theta) ** 2) / 2)


@check("flatness", points=2, hint="By how much is the loss at a distance of r above the loss in the middle?")
def rise_in_a_bowl(student, rng):
    """The rise from the middle of a one-dimensional bowl, to its rim and to points within it."""
    bowl = ellipsoid(np.array([4.0]))
    return {
        "to the rim": student.flatness(bowl, np.zeros(1), 0.5, np.ones((1, 1))),
        "to points within": student.flatness(bowl, np.zeros(1), 0.5, np.array([[0.2], [-0.6], [0.9]])),
    }


@check("flatness", points=3, hint="Every offset counts once with each sign; then subtract what you started from.")
def rise_around_any_point(student, rng):
    """The mean rise around a point of a curved landscape with three parameters."""
    theta, offsets = rng.normal(size=3), rng.uniform(-0.5, 0.5, size=(6, 3))
    return {
        "an ellipsoid": student.flatness(ellipsoid(np.array([1.0, 5.0, 0.2])), theta, 1.5, offsets),
        "not a quadratic": student.flatness(lambda t: float(np.sum(np.exp(t) + t**4)), theta, 0.7, offsets),
    }


@check("flatness", points=2, hint="On a slope, what one side gains the other side loses.")
def a_slope_is_flat(student, rng):
    """A slope, however steep, counts as flat, and a slope added to the loss changes nothing."""
    slope, theta, offsets = rng.normal(size=2), rng.normal(size=2), rng.uniform(-0.7, 0.7, size=(4, 2))
    bowl = ellipsoid(np.array([1.0, 3.0]))
    return {
        "a slope": student.flatness(lambda t: float(10 * slope @ t + 7), theta, 2.0, offsets),
        "a bowl on a slope": student.flatness(lambda t: bowl(t) + float(slope @ t), theta, 2.0, offsets),
    }


@check("flatness", points=1, hint="The loss can fall around a point, too: what sign has a rise then?")
def a_hilltop_is_negative(student, rng):
    """On a hilltop the loss falls all around, and on a saddle rise and fall cancel."""
    offsets = np.array([[0.5, 0.0], [0.0, 0.5]])
    return {
        "a hilltop": student.flatness(ellipsoid(np.array([-2.0, -1.0])), np.zeros(2), 1.0, offsets),
        "a saddle": student.flatness(ellipsoid(np.array([2.0, -2.0])), np.zeros(2), 1.0, offsets),
    }


@check("flatness", points=1, hint="Twice the radius is twice the walk. What does that do to a parabola?")
def rise_against_radius(student, rng):
    """The rise for growing radii, from no walk at all."""
    bowl, offsets = ellipsoid(np.array([2.0, 3.0])), rng.uniform(-0.7, 0.7, size=(5, 2))
    return {f"radius {radius}": student.flatness(bowl, np.ones(2), radius, offsets) for radius in (0.0, 1.0, 2.0, 0.1)}


# ---------------------------------------------------------------- momentum_step


@check("momentum_step", points=2, hint="From rest, the movement is just minus eta times the gradient.")
def first_step_is_gradient_descent(student, rng):
    """From rest, the first step is plain gradient descent."""
    theta, gradient = rng.normal(size=(2, 5))
    return student.momentum_step(theta, np.zeros(5), gradient, learning_rate=0.1, momentum=0.9)


@check("momentum_step", points=3, hint="Which part of the new movement comes from the old one, and which moves theta?")
def last_movement_is_carried_on(student, rng):
    """A step in motion mixes the last movement and the gradient."""
    one = student.momentum_step(np.array([1.0]), np.array([2.0]), np.array([3.0]), learning_rate=0.1, momentum=0.5)
    theta, movement, gradient = rng.normal(size=(3, 4))
    four = student.momentum_step(theta, movement, gradient, learning_rate=0.2, momentum=0.9)
    return {"one parameter": one, "four parameters": four}


@check("momentum_step", points=2, hint="On level ground a ball slows down, but it does not stop at once.")
def on_level_ground_the_ball_rolls_on(student, rng):
    """Where the gradient is zero, theta moves on by lambda times the last movement."""
    theta, movement = rng.normal(size=(2, 3))
    return student.momentum_step(theta, movement, np.zeros(3), learning_rate=0.1, momentum=0.8)


@check("momentum_step", points=1, hint="With lambda = 0 nothing is remembered.")
def no_momentum_is_gradient_descent(student, rng):
    """With momentum 0, the last movement is forgotten."""
    theta, movement, gradient = rng.normal(size=(3, 3))
    return student.momentum_step(theta, movement, gradient, learning_rate=0.3, momentum=0.0)


@check("momentum_step", points=2, hint="Follow three steps on paper. Are old positions still what they were?")
def path_of_several_steps(student, rng):
    """The positions and movements of four steps, each kept, down a bowl."""
    theta, movement = np.array([1.0, -2.0]), np.zeros(2)
    path = [theta]
    for _ in range(4):
        theta, movement = student.momentum_step(
            theta, movement, np.array([3.0, 1.0]) * theta, learning_rate=0.2, momentum=0.7
        )
        path += [theta, movement]
    return path


@check("momentum_step", points=2, hint="The formula works on whole arrays: leave their shape and dtype alone.")
def shape_and_dtype_are_kept(student, rng):
    """Arrays of any shape, and float32 stays float32."""
    theta, movement, gradient = rng.normal(size=(3, 2, 3, 2))
    single = [part.astype(np.float32) for part in (theta, movement, gradient)]
    return {
        "float64": student.momentum_step(theta, movement, gradient, learning_rate=0.1, momentum=0.9),
        "float32": student.momentum_step(*single, learning_rate=0.1, momentum=0.9),
    }


# ---------------------------------------------------------------- movement_as_weighted_sum


@check("movement_as_weighted_sum", points=1, hint="After one step from rest there is only one gradient to sum.")
def movement_after_one_step(student, rng):
    """After one step from rest, the movement is plain gradient descent's."""
    return student.movement_as_weighted_sum(rng.normal(size=(1, 3)), learning_rate=0.1, momentum=0.9)


@check("movement_as_weighted_sum", points=2, hint="Which gradient has faded the most: the oldest or the newest?")
def weight_of_each_past_gradient(student, rng):
    """Each past gradient with its weight: fed one at a time, then all together."""
    gradients = rng.normal(size=(4, 2))
    return {
        "one push, the rest zero": student.movement_as_weighted_sum(np.eye(4), learning_rate=0.5, momentum=0.8),
        "four gradients": student.movement_as_weighted_sum(gradients, learning_rate=0.5, momentum=0.8),
    }


@check("movement_as_weighted_sum", points=2, hint="Sum over time only: the first axis.")
def parameters_of_any_shape(student, rng):
    """The gradients may be numbers, vectors or matrices."""
    return {
        name: student.movement_as_weighted_sum(rng.normal(size=(5, *shape)), learning_rate=0.1, momentum=0.6)
        for name, shape in [("numbers", ()), ("vectors", (2,)), ("matrices", (2, 3)), ("as many as steps", (5, 5))]
    }


@check(
    "movement_as_weighted_sum",
    points=1,
    hint="What is left of the past when lambda is 0? And what is 0 to the power 0?",
)
def no_momentum_keeps_the_newest(student, rng):
    """With momentum 0, only the newest gradient counts."""
    return student.movement_as_weighted_sum(rng.normal(size=(4, 2)), learning_rate=0.1, momentum=0.0)


@check("movement_as_weighted_sum", points=1, hint="A sum of nothing is zero, in the shape of one gradient.")
def no_gradients_no_movement(student, rng):
    """Before the first gradient there is no movement."""
    return student.movement_as_weighted_sum(np.zeros((0, 3)), learning_rate=0.1, momentum=0.9)


@check(
    "movement_as_weighted_sum",
    points=1,
    cost=20,
    hint="All weights at once are an array, and the sum is a product of arrays.",
)
def long_history_in_one_operation(student, rng):
    """A history of 20,000 gradients, without a loop over time."""
    return student.movement_as_weighted_sum(rng.normal(size=(20_000, 3)), learning_rate=0.1, momentum=0.999)


# ---------------------------------------------------------------- Momentum


def tensor(rng, *shape, dtype=None):
    return torch.tensor(rng.normal(size=shape), dtype=dtype)


def parameter(rng, *shape, dtype=None):
    return torch.nn.Parameter(tensor(rng, *shape, dtype=dtype))


def step_with(optimizer, parameters, gradients):
    """One step with given gradients; returns where the parameters are then."""
    for theta, gradient in zip(parameters, gradients, strict=True):
        theta.grad = None if gradient is None else gradient.clone()
    optimizer.step()
    return [theta.detach().clone() for theta in parameters]


@check("Momentum", points=1, hint="From rest, a step is minus lr times the gradient, done to the parameter itself.")
def first_optimizer_step(student, rng):
    """The first step moves the parameter itself, by minus lr times the gradient."""
    theta = parameter(rng, 3)
    optimizer = student.Momentum([theta], lr=0.1, momentum=0.9)
    return step_with(optimizer, [theta], [tensor(rng, 3)])


@check("Momentum", points=3, hint="What does the optimizer remember, and of which parameter?")
def several_parameters_several_steps(student, rng):
    """Four steps of parameters in a list, of equal and of different shapes, float64 and float32."""
    paths = {}
    for case, shapes, dtype in [
        ("one parameter", [(2,)], torch.float64),
        ("two of a shape", [(2,), (2,)], torch.float64),
        ("three shapes", [(2, 3), (3,), ()], torch.float64),
        ("float32", [(2, 3), (3,)], torch.float32),
    ]:
        parameters = [parameter(rng, *shape, dtype=dtype) for shape in shapes]
        optimizer = student.Momentum(parameters, lr=0.1, momentum=0.7)
        paths[case] = [
            step_with(optimizer, parameters, [tensor(rng, *shape, dtype=dtype) for shape in shapes]) for _ in range(4)
        ]
    return paths


@check("Momentum", points=2, hint="Is the learning rate part of what the ball remembers, or put on when theta moves?")
def learning_rate_is_cut(student, rng):
    """A learning rate that changes on the way acts on new gradients, not on the movement so far."""
    theta = parameter(rng, 2)
    optimizer = student.Momentum([theta], lr=0.5, momentum=0.9)
    path = []
    for learning_rate in (0.5, 0.05, 0.0, 1.0):
        optimizer.param_groups[0]["lr"] = learning_rate
        path += step_with(optimizer, [theta], [tensor(rng, 2)])
    return path


@check("Momentum", points=2, hint="Each dict of self.param_groups has its own parameters, lr and momentum.")
def parameter_groups(student, rng):
    """Each parameter group has its own lr and momentum, or the defaults."""
    parameters = [parameter(rng, 2) for _ in range(4)]
    groups = [
        {"params": parameters[:1]},
        {"params": parameters[1:2], "lr": 0.01},
        {"params": parameters[2:], "momentum": 0.5},
    ]
    optimizer = student.Momentum(groups, lr=0.1)
    return [step_with(optimizer, parameters, [tensor(rng, 2) for _ in parameters]) for _ in range(3)]


@check("Momentum", points=2, hint="Without a gradient there is nothing to do for that parameter, but there are others.")
def parameters_without_gradient(student, rng):
    """A parameter whose gradient is None stays where it is, and the others go on."""
    parameters = [parameter(rng, 2) for _ in range(3)]
    optimizer = student.Momentum(parameters, lr=0.1, momentum=0.9)
    path = []
    for missing in ((0,), (1,), (), (0, 1, 2), ()):
        gradients = [None if index in missing else tensor(rng, 2) for index in range(3)]
        path.append(step_with(optimizer, parameters, gradients))
    return path


def any_tracked(seen):
    return {**seen, "tracked": any(flag for flags in seen["tracked"] for flag in flags)}


@check(
    "Momentum",
    points=2,
    after=any_tracked,
    hint="An update is not part of the model: should autograd remember it?",
)
def nothing_is_tracked(student, rng):
    """Even if the gradients have a graph of their own, parameters and movements have none."""
    theta = parameter(rng, 3)
    optimizer = student.Momentum([theta], lr=0.1, momentum=0.9)
    (theta.grad,) = torch.autograd.grad((theta**3).sum(), theta, create_graph=True)
    optimizer.step()
    states = optimizer.state.values()
    return {
        "theta": theta,
        "theta is a leaf that requires a gradient": theta.is_leaf and theta.requires_grad,
        "tracked": [[part.requires_grad for part in state.values() if torch.is_tensor(part)] for state in states],
    }


@check("Momentum", points=2, hint="What self.state[parameter] holds is saved. Where do you keep the movement?")
def saved_and_loaded(student, rng):
    """A run that is saved, loaded into a new optimizer and continued goes on as before."""
    parameters = [parameter(rng, 2), parameter(rng, 3)]
    gradients = [[tensor(rng, 2), tensor(rng, 3)] for _ in range(4)]
    optimizer = student.Momentum(parameters, lr=0.1, momentum=0.9)
    for step in range(2):
        step_with(optimizer, parameters, gradients[step])
    saved = optimizer.state_dict()
    movements = [saved["state"][index]["movement"].clone() for index in range(2)]

    copies = [torch.nn.Parameter(theta.detach().clone()) for theta in parameters]
    resumed = student.Momentum(copies, lr=0.7, momentum=0.1)
    resumed.load_state_dict(saved)
    return {
        "movements saved": movements,
        "continued": [step_with(resumed, copies, gradients[step]) for step in (2, 3)],
    }


@check("Momentum", points=1, hint="The closure comes first: it makes the gradients that the step then uses.")
def step_with_a_closure(student, rng):
    """step(closure) calls the closure with gradients enabled, steps, and returns its loss."""
    theta = parameter(rng, 2)
    optimizer = student.Momentum([theta], lr=0.1, momentum=0.9)

    def closure():
        optimizer.zero_grad()
        loss = (theta**2).sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure), optimizer.step(closure)]
    return {"losses": losses, "theta": theta, "without a closure": optimizer.step()}


@check("Momentum", points=1, hint="The gradient belongs to the caller. Does your movement share its memory?")
def gradients_are_only_read(student, rng):
    """The step leaves the gradient alone, and what is done to it later does not reach the movement."""
    theta = parameter(rng, 3)
    optimizer = student.Momentum([theta], lr=0.1, momentum=0.9)
    theta.grad = tensor(rng, 3)
    seen = []
    for _ in range(3):
        optimizer.step()
        seen += [theta.grad.clone(), theta.detach().clone()]
        theta.grad.zero_()
    return seen


# ---------------------------------------------------------------- nesterov_step


def valley(theta):
    """The gradient of a valley that is no quadratic."""
    return np.array([1.0, 4.0]) * theta + theta**3


@check("nesterov_step", points=2, hint="From rest, there is nowhere else to look.")
def first_nesterov_step(student, rng):
    """From rest, the first step is plain gradient descent."""
    return student.nesterov_step(rng.normal(size=2), np.zeros(2), valley, learning_rate=0.1, momentum=0.9)


@check("nesterov_step", points=3, hint="Where will the ball be, if no gradient acts? There the slope is asked for.")
def nesterov_step_in_motion(student, rng):
    """A step in motion uses the slope at the point where the ball is about to be."""
    one = student.nesterov_step(np.array([1.0]), np.array([2.0]), lambda theta: 3 * theta, 0.1, 0.5)
    theta, movement = rng.normal(size=(2, 2))
    two = student.nesterov_step(theta, movement, valley, learning_rate=0.1, momentum=0.9)
    return {"one parameter": one, "two parameters": two}


@check("nesterov_step", points=1, hint="On an even slope it makes no difference where you look.")
def nesterov_on_an_even_slope(student, rng):
    """On an even slope, looking ahead changes nothing: it is the ordinary momentum step."""
    theta, movement, slope = rng.normal(size=(3, 4))
    return student.nesterov_step(theta, movement, lambda theta: slope, learning_rate=0.1, momentum=0.9)


@check("nesterov_step", points=2, hint="Looking ahead is not walking ahead: the step starts at theta.")
def nesterov_path(student, rng):
    """The positions of four steps, each kept."""
    theta, movement = np.array([1.0, -1.5]), np.zeros(2)
    path = [theta]
    for _ in range(4):
        theta, movement = student.nesterov_step(theta, movement, valley, learning_rate=0.05, momentum=0.8)
        path += [theta, movement]
    return path
