"""Hidden tests of lecture 6: what is observed. The answers come from the reference solution."""

import copy

import numpy as np
import torch

from grader import Problem, check

CLASSES = tuple(
    f"torch.optim.{name}"
    for name in "Adam AdamW Adamax NAdam RAdam SparseAdam Adagrad RMSprop Adadelta Rprop Adafactor Muon".split()
)
FUNCTIONS = tuple(
    f"torch.optim.{name}.{function}"
    for name in "adam adamw adamax nadam radam adagrad rmsprop adadelta rprop".split()
    for function in (name, f"_single_tensor_{name}", f"_multi_tensor_{name}", f"_fused_{name}")
)
FUSED = tuple(f"torch._fused_{name}" for name in "adam adam_ adamw adamw_ adagrad adagrad_".split())
# torch.distributed's functional optimizers end up in the functions above, and importing them takes a second.
ELSEWHERE = ("torch.optim._functional.sparse_adam", "sklearn.neural_network._stochastic_optimizers.AdamOptimizer")
ADAPTIVE = (*CLASSES, *FUNCTIONS, *FUSED, *ELSEWHERE)
OPERATORS = tuple(f"aten::_fused_{name}" for name in "adam adam_ adamw adamw_ adagrad adagrad_".split())
SCHEDULERS = (
    *(
        f"torch.optim.lr_scheduler.{name}"
        for name in (
            "LRScheduler _LRScheduler LambdaLR MultiplicativeLR StepLR MultiStepLR ConstantLR LinearLR ExponentialLR "
            "SequentialLR CosineAnnealingLR ChainedScheduler ReduceLROnPlateau CyclicLR CosineAnnealingWarmRestarts "
            "OneCycleLR PolynomialLR"
        ).split()
    ),
    "torch.optim.swa_utils.SWALR",
)

PROBLEMS = (
    Problem("adagrad_step", forbidden=ADAPTIVE, operators=OPERATORS),
    Problem("rmsprop_step", forbidden=ADAPTIVE, operators=OPERATORS),
    Problem("step_decay", forbidden=SCHEDULERS),
    Problem("exponential_decay", forbidden=SCHEDULERS),
    Problem("cosine_decay", forbidden=SCHEDULERS),
    Problem("warmup_inverse_sqrt", forbidden=SCHEDULERS),
    Problem("warmup_cosine", forbidden=SCHEDULERS),
    Problem("adam_step", forbidden=ADAPTIVE, operators=OPERATORS),
    Problem("adamw_step", forbidden=ADAPTIVE, operators=OPERATORS),
    Problem("Adam", forbidden=ADAPTIVE, operators=OPERATORS),
    Problem("Scheduler", forbidden=SCHEDULERS),
    Problem("radam_step", bonus=True, forbidden=ADAPTIVE, operators=OPERATORS),
)


# ---------------------------------------------------------------- root_mean_square


@check("root_mean_square", points=1, hint="What are the mean and the root of one square?")
def one_gradient_has_its_size(student, rng):
    """After one gradient, the magnitude of each parameter is the size of that gradient."""
    return {
        "one parameter": student.root_mean_square(np.array([[-2.0]])),
        "three parameters": student.root_mean_square(rng.normal(size=(1, 3))),
    }


@check("root_mean_square", points=2, hint="Square, then the mean, then the root: by how many do you divide, and when?")
def several_gradients(student, rng):
    """The root of the mean of the squares of several gradients."""
    return {
        "two gradients": student.root_mean_square(np.array([[1.0], [7.0]])),
        "five gradients of three parameters": student.root_mean_square(rng.normal(size=(5, 3))),
    }


@check("root_mean_square", points=1, hint="The mean runs over time. Which axis is that, and which are left alone?")
def each_parameter_keeps_its_own_book(student, rng):
    """Each parameter has a magnitude of its own, whatever the shape of the parameters."""
    return {
        name: student.root_mean_square(rng.normal(size=(4, *shape)))
        for name, shape in [
            ("numbers", ()),
            ("as many as gradients", (4,)),
            ("a matrix", (2, 3)),
            ("a cube", (4, 4, 4)),
        ]
    }


@check("root_mean_square", points=1, hint="On an even slope, how steep has it been? Does the direction matter?")
def an_even_slope(student, rng):
    """Gradients that are always the same, that only change their sign, and that are always 0."""
    slope = rng.normal(size=2)
    return {
        "always the same": student.root_mean_square(np.tile(slope, (4, 1))),
        "changing sign": student.root_mean_square(np.outer([1.0, -1.0, 1.0], slope)),
        "always 0": student.root_mean_square(np.zeros((3, 2))),
    }


@check("root_mean_square", points=1, hint="Which step of yours turns float32 into float64?")
def magnitude_keeps_single_precision(student, rng):
    """float32 gradients have a float32 magnitude, and stay as they were."""
    return student.root_mean_square(rng.normal(size=(3, 2)).astype(np.float32))


# ---------------------------------------------------------------- adagrad_step


@check("adagrad_step", points=2, hint="What is the mean of one square, and what counts of the time before?")
def adagrad_first_update(student, rng):
    """The first update has sigma = |g| and a step of length eta, whatever sigma held before."""
    theta, gradient, stale = rng.normal(size=(3, 4))
    return {
        "one parameter": student.adagrad_step(np.array([1.0]), np.zeros(1), np.array([-20.0]), 0, 0.1),
        "four parameters": student.adagrad_step(theta, np.zeros(4), gradient, 0, 0.3),
        "sigma holds other numbers": student.adagrad_step(theta, np.abs(stale), gradient, 0, 0.3),
    }


@check("adagrad_step", points=2, hint="t squares have the mean sigma squared: what is their sum? One more comes in.")
def adagrad_later_update(student, rng):
    """A later update takes the new gradient into the mean of all squares, and divides by the new sigma."""
    theta, sigma, gradient = rng.normal(size=(3, 3))
    return {
        "t = 1": student.adagrad_step(np.array([1.0]), np.array([1.0]), np.array([7.0]), 1, 0.5),
        "t = 2": student.adagrad_step(theta, np.abs(sigma), gradient, 2, 0.5),
        "t = 9": student.adagrad_step(theta, np.abs(sigma), gradient, 9, 0.5),
    }


def walked(step, theta, memory, gradients, *rest):
    """Positions and memories of several updates with given gradients, each kept."""
    path = []
    for t, gradient in enumerate(gradients):
        theta, memory = step(theta, memory, gradient, t, *rest)
        path += [theta, memory]
    return path


@check("adagrad_step", points=1, hint="Follow three updates on paper. Are old positions still what they were?")
def adagrad_path(student, rng):
    """The positions and magnitudes of six updates, each kept."""
    return walked(student.adagrad_step, rng.normal(size=2), np.zeros(2), rng.normal(size=(6, 2)), 0.2)


@check("adagrad_step", points=1, hint="What is left of a unit when g is divided by sigma? Is anything else down there?")
def adagrad_size_cancels(student, rng):
    """Gradients that are many times smaller or larger make the same steps."""
    gradients = rng.normal(size=(3, 2))
    return {
        f"{scale:g} times the gradients": walked(student.adagrad_step, np.zeros(2), np.zeros(2), scale * gradients, 0.2)
        for scale in (1.0, 1e-7, 1e6)
    }


@check("adagrad_step", points=1, hint="What is 0 divided by 0, and what should a bicycle do on level ground?")
def adagrad_without_a_gradient(student, rng):
    """A parameter that has never had a gradient stays; one whose gradient is 0 only now stays, too."""
    theta = rng.normal(size=3)
    return {
        "first update": student.adagrad_step(theta, np.zeros(3), np.array([1.0, 0.0, -1.0]), 0, 0.1),
        "later": student.adagrad_step(theta, np.array([1.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0]), 3, 0.1),
    }


@check("adagrad_step", points=1, hint="The formula works on whole arrays: leave their shape and dtype alone.")
def adagrad_keeps_shape_and_dtype(student, rng):
    """Arrays of any shape, and float32 stays float32."""
    theta, sigma, gradient = np.abs(rng.normal(size=(3, 2, 3, 2)))
    single = [part.astype(np.float32) for part in (theta, sigma, gradient)]
    return {
        "float64": student.adagrad_step(theta, sigma, gradient, 4, 0.1),
        "float32": student.adagrad_step(*single, 4, 0.1),
    }


# ---------------------------------------------------------------- rmsprop_step


@check("rmsprop_step", points=2, hint="The first gradient has no past to be mixed with.")
def rmsprop_first_update(student, rng):
    """The first update has sigma = |g| and a step of length eta, whatever alpha is and sigma held before."""
    theta, gradient, stale = rng.normal(size=(3, 4))
    return {
        "one parameter": student.rmsprop_step(np.array([1.0]), np.zeros(1), np.array([-20.0]), 0, 0.1, 0.9),
        "four parameters": student.rmsprop_step(theta, np.zeros(4), gradient, 0, 0.3, 0.5),
        "sigma holds other numbers": student.rmsprop_step(theta, np.abs(stale), gradient, 0, 0.3, 0.9),
    }


@check("rmsprop_step", points=2, hint="Squares are mixed, and the root is drawn last. Whose share is alpha?")
def rmsprop_later_update(student, rng):
    """A later update mixes the old square and the new one, and divides by the new sigma."""
    theta, sigma, gradient = rng.normal(size=(3, 3))
    return {
        "half and half": student.rmsprop_step(np.array([1.0]), np.array([1.0]), np.array([7.0]), 1, 0.5, 0.5),
        "alpha = 0.9": student.rmsprop_step(theta, np.abs(sigma), gradient, 1, 0.5, 0.9),
        "alpha = 0.3, t = 7": student.rmsprop_step(theta, np.abs(sigma), gradient, 7, 0.5, 0.3),
    }


@check("rmsprop_step", points=1, hint="Put 0 into the formula: what is remembered then?")
def rmsprop_without_memory(student, rng):
    """With alpha = 0 only the newest gradient counts, and every step has the length eta."""
    theta, sigma, gradient = rng.normal(size=(3, 3))
    return student.rmsprop_step(theta, np.abs(sigma), gradient, 5, 0.1, 0.0)


@check("rmsprop_step", points=1, hint="Follow three updates on paper. Are old positions still what they were?")
def rmsprop_path(student, rng):
    """The positions and magnitudes of six updates, each kept."""
    return walked(student.rmsprop_step, rng.normal(size=2), np.zeros(2), rng.normal(size=(6, 2)), 0.2, 0.8)


@check("rmsprop_step", points=1, hint="Is anything added down there? And what should happen where sigma is 0?")
def rmsprop_tiny_and_missing_gradients(student, rng):
    """Tiny gradients make steps as long as large ones, and where sigma is 0 a parameter stays."""
    gradients = rng.normal(size=(3, 2))
    return {
        "1e-7 times the gradients": walked(student.rmsprop_step, np.zeros(2), np.zeros(2), 1e-7 * gradients, 0.2, 0.9),
        "no gradient at all": student.rmsprop_step(
            np.array([1.0, 2.0]), np.zeros(2), np.array([0.0, 3.0]), 0, 0.1, 0.9
        ),
    }


@check("rmsprop_step", points=1, hint="The formula works on whole arrays: leave their shape and dtype alone.")
def rmsprop_keeps_shape_and_dtype(student, rng):
    """Arrays of any shape, and float32 stays float32."""
    theta, sigma, gradient = np.abs(rng.normal(size=(3, 2, 3, 2)))
    single = [part.astype(np.float32) for part in (theta, sigma, gradient)]
    return {
        "float64": student.rmsprop_step(theta, sigma, gradient, 4, 0.1, 0.9),
        "float32": student.rmsprop_step(*single, 4, 0.1, 0.9),
        "float32, first update": student.rmsprop_step(*single, 0, 0.1, 0.9),
    }


# ---------------------------------------------------------------- step_decay, exponential_decay, cosine_decay


def rates(schedule, updates, *rest, **options):
    """The learning rates of some updates."""
    return {f"t = {t}": schedule(t, *rest, **options) for t in updates}


@check("step_decay", points=1, hint="How many updates are there before the first cut, if the first one is number 0?")
def before_the_first_cut(student, rng):
    """Until the first cut, every update has the full learning rate."""
    return rates(student.step_decay, range(4), 0.3, every=4, gamma=0.5)


@check("step_decay", points=2, hint="Count the cuts made before update t, and multiply once for each.")
def after_each_cut(student, rng):
    """The learning rates around several cuts, and far out."""
    return {
        "every 4": rates(student.step_decay, (4, 5, 7, 8, 11, 12, 40), 0.3, every=4, gamma=0.5),
        "every 10": rates(student.step_decay, (9, 10, 11, 19, 20, 35), 2.0, every=10, gamma=0.1),
    }


@check("step_decay", points=1, hint="What if there is a cut after every update? And what is a cut by the factor 1?")
def a_cut_after_every_update(student, rng):
    """A cut after every single update, and cuts that change nothing."""
    return {
        "every update": rates(student.step_decay, range(4), 0.3, every=1, gamma=0.8),
        "gamma = 1": rates(student.step_decay, (0, 5, 50), 0.3, every=5, gamma=1.0),
    }


@check("exponential_decay", points=1, hint="How often has it been multiplied before update 0? And before update 1?")
def exponential_first_updates(student, rng):
    """The first update has the full learning rate, the second a share of gamma."""
    return rates(student.exponential_decay, range(2), 0.3, gamma=0.5)


@check("exponential_decay", points=1, hint="The ratio of two neighbours is always the same.")
def exponential_later_updates(student, rng):
    """The learning rates of later updates, for several shares."""
    return {
        f"gamma = {gamma}": rates(student.exponential_decay, (2, 3, 10, 100), 0.7, gamma=gamma)
        for gamma in (0.5, 0.9, 0.99)
    }


@check("exponential_decay", points=1, hint="What is left, if everything is kept? And if next to nothing is?")
def exponential_extremes(student, rng):
    """With gamma = 1 nothing decays; with a small gamma the rate falls by powers of it."""
    return {
        "gamma = 1": rates(student.exponential_decay, (0, 7, 1000), 0.3, gamma=1.0),
        "gamma = 0.1": rates(student.exponential_decay, (1, 2, 5), 0.3, gamma=0.1),
    }


@check("cosine_decay", points=2, hint="At which angle does the cosine start, and at which does it end?")
def cosine_on_its_way(student, rng):
    """From the first update to number T, on half a period of the cosine."""
    return {
        "T = 2": rates(student.cosine_decay, range(3), 0.3, total=2),
        "T = 4": rates(student.cosine_decay, range(5), 0.3, total=4),
        "T = 90": rates(student.cosine_decay, (1, 10, 30, 44, 46, 89), 2.0, total=90),
    }


@check("cosine_decay", points=1, hint="With a floor, how far is it from the top to the bottom?")
def cosine_with_a_floor(student, rng):
    """With a floor the curve ends there, and is squeezed between the floor and the top."""
    return {
        "floor 0.1": rates(student.cosine_decay, range(5), 0.5, total=4, floor=0.1),
        "floor at the top": rates(student.cosine_decay, range(3), 0.5, total=4, floor=0.5),
    }


@check("cosine_decay", points=1, hint="The cosine goes up again. Should the learning rate?")
def cosine_after_its_end(student, rng):
    """After update number T, the learning rate stays at the floor."""
    return {
        "no floor": rates(student.cosine_decay, (4, 5, 6, 8, 100), 0.3, total=4),
        "floor 0.1": rates(student.cosine_decay, (10, 11, 15, 20), 0.3, total=10, floor=0.1),
    }


@check("cosine_decay", points=1, hint="Is there a division in your formula that T = 1 makes a division by 0?")
def cosine_of_one_update(student, rng):
    """With T = 1, update 0 has the full learning rate and update 1 the floor."""
    return rates(student.cosine_decay, range(3), 0.3, total=1, floor=0.03)


# ---------------------------------------------------------------- warmup_inverse_sqrt, warmup_cosine


@check("warmup_inverse_sqrt", points=2, hint="Counted from 1, the first of W updates is one W-th of the way up.")
def rise_before_the_square_root(student, rng):
    """The learning rates of the warm-up rise in equal steps, and the first is not 0."""
    return {
        "W = 2": rates(student.warmup_inverse_sqrt, range(2), 0.3, warmup=2),
        "W = 5": rates(student.warmup_inverse_sqrt, range(5), 0.3, warmup=5),
    }


@check("warmup_inverse_sqrt", points=1, hint="Put s = W into both formulas.")
def peak_before_the_square_root(student, rng):
    """The peak is reached in update number W, t = W - 1, and the learning rates on both sides are lower."""
    return {
        "W = 3": rates(student.warmup_inverse_sqrt, (1, 2, 3), 1.0, warmup=3),
        "W = 100": rates(student.warmup_inverse_sqrt, (98, 99, 100), 0.01, warmup=100),
    }


@check(
    "warmup_inverse_sqrt", points=2, hint="If s is four times W, what is left of the peak? And if it is nine times W?"
)
def fall_as_the_square_root(student, rng):
    """After the peak, the learning rate falls as one over the square root of the number of updates."""
    return {
        "W = 4": rates(student.warmup_inverse_sqrt, (4, 7, 15, 35), 0.6, warmup=4),
        "W = 25": rates(student.warmup_inverse_sqrt, (30, 99, 2499), 2.0, warmup=25),
    }


@check("warmup_inverse_sqrt", points=1, hint="The shortest warm-up is one update. Which learning rate does it have?")
def warm_up_of_one_update(student, rng):
    """With W = 1, the first update has the peak, and the fall begins at once."""
    return rates(student.warmup_inverse_sqrt, (0, 1, 3), 0.5, warmup=1)


@check("warmup_cosine", points=1, hint="Counted from 1, the first of W updates is one W-th of the way up.")
def rise_before_the_cosine(student, rng):
    """The learning rates of the warm-up rise in equal steps, and the first is not 0."""
    return {
        "W = 2": rates(student.warmup_cosine, range(2), 0.3, warmup=2, total=10),
        "W = 5": rates(student.warmup_cosine, range(5), 0.3, warmup=5, total=30),
        "W = 1": rates(student.warmup_cosine, range(2), 0.3, warmup=1, total=5),
    }


@check("warmup_cosine", points=1, hint="Put s = W into both formulas.")
def peak_before_the_cosine(student, rng):
    """The peak is reached in update number W, t = W - 1, and the learning rates on both sides are lower."""
    return {
        "W = 3, T = 7": rates(student.warmup_cosine, (1, 2, 3), 1.0, warmup=3, total=7),
        "W = 20, T = 50": rates(student.warmup_cosine, (18, 19, 20), 0.01, warmup=20, total=50),
    }


@check("warmup_cosine", points=2, hint="How many updates does the way down take, and how many of them have been made?")
def fall_along_the_cosine(student, rng):
    """After the peak, the learning rate falls along half a period of the cosine, down to the last update."""
    return {
        "W = 2, T = 6": rates(student.warmup_cosine, (2, 3, 4, 5), 0.6, warmup=2, total=6),
        "W = 10, T = 100": rates(student.warmup_cosine, (10, 32, 54, 77, 99), 0.6, warmup=10, total=100),
    }


@check("warmup_cosine", points=1, hint="The floor belongs to the way down. Where does the way up begin?")
def cosine_to_a_floor_after_warm_up(student, rng):
    """The way down ends at the floor, and the way up does not know it."""
    return rates(student.warmup_cosine, (0, 1, 2, 4, 6), 0.6, warmup=3, total=7, floor=0.1)


@check("warmup_cosine", points=1, hint="Somebody goes on after the last update. Does your cosine go up again?")
def after_the_last_update(student, rng):
    """After the last update the learning rate stays at the floor."""
    return {
        "no floor": rates(student.warmup_cosine, (5, 6, 7, 20), 0.6, warmup=2, total=6),
        "floor 0.1": rates(student.warmup_cosine, (7, 8, 10, 50), 0.6, warmup=3, total=7, floor=0.1),
    }


# ---------------------------------------------------------------- combined_update


def constant(learning_rate):
    return lambda t: learning_rate


@check("combined_update", points=2, hint="m is a sum of gradients: does it point up or down? And what does sigma do?")
def direction_over_magnitude(student, rng):
    """Each parameter moves against its direction, and the less, the larger its magnitude."""
    theta, m = rng.normal(size=(2, 3))
    return {
        "one parameter": student.combined_update(np.array([1.0]), np.array([-3.0]), np.array([2.0]), constant(0.1), 0),
        "three parameters": student.combined_update(theta, m, rng.uniform(0.3, 4, size=3), constant(0.5), 0),
    }


@check("combined_update", points=1, hint="Which update is this, and what does the schedule say about it?")
def the_schedule_of_this_update(student, rng):
    """The learning rate is that of this very update."""
    theta, m = rng.normal(size=(2, 2))
    schedule = [0.5, 0.1, 0.0, 2.0, 0.3].__getitem__
    return {f"t = {t}": student.combined_update(theta, m, np.array([0.5, 2.0]), schedule, t) for t in (0, 1, 2, 3)}


@check("combined_update", points=1, hint="How far does a parameter go whose direction is as large as its magnitude?")
def steep_and_flat_alike(student, rng):
    """Where direction and magnitude agree in size, every parameter moves by the learning rate."""
    m = rng.normal(size=4) * np.array([1e-6, 0.1, 10.0, 1e6])
    return student.combined_update(np.zeros(4), m, np.abs(m), constant(0.25), 0)


@check("combined_update", points=1, hint="The formula works on whole arrays: leave their shape and dtype alone.")
def combined_keeps_shape_and_dtype(student, rng):
    """Arrays of any shape, and float32 stays float32; what was passed stays as it was."""
    parts = rng.uniform(0.5, 2, size=(3, 2, 3))
    return {
        "float64": student.combined_update(*parts, constant(0.1), 3),
        "float32": student.combined_update(*parts.astype(np.float32), constant(0.1), 3),
    }


# ---------------------------------------------------------------- adam_step


def moments(rng, *shape):
    """theta, m, v and a gradient as in the middle of a training."""
    theta, m, gradient = rng.normal(size=(3, *shape))
    return theta, m, rng.uniform(0.2, 2, size=shape), gradient


def thetas(results):
    return {case: result[0] for case, result in results.items()}


@check(
    "adam_step", points=2, after=thetas, hint="After one gradient, what are the corrected means of g and of g squared?"
)
def adam_first_update(student, rng):
    """The first update has the length eta, for every parameter and whatever the betas."""
    theta, gradient = rng.normal(size=(2, 3))
    zero = np.zeros(3)
    return {
        "one parameter": student.adam_step(np.array([1.0]), np.zeros(1), np.zeros(1), np.array([-20.0]), 0, 0.1),
        "three parameters": student.adam_step(theta, zero, zero, gradient, 0, 0.3),
        "other betas": student.adam_step(theta, zero, zero, gradient, 0, 0.3, 0.5, 0.7),
    }


@check("adam_step", points=3, after=thetas, hint="Go through the four formulas one by one. Which numbers go into each?")
def adam_later_update(student, rng):
    """Later updates, with a past in m and v."""
    one = [np.array([value]) for value in (1.0, 0.2, 0.5, -0.3)]
    return {
        "t = 1, one parameter": student.adam_step(*one, 1, 0.1),
        "t = 1": student.adam_step(*moments(rng, 3), 1, 0.1),
        "t = 9": student.adam_step(*moments(rng, 3), 9, 0.1),
        "t = 9, other betas": student.adam_step(*moments(rng, 3), 9, 0.1, 0.8, 0.95),
        "t = 100,000": student.adam_step(*moments(rng, 3), 100_000, 0.1),
    }


def memories(results):
    return {case: list(result[1:3]) for case, result in results.items()}


@check("adam_step", points=2, after=memories, hint="The next update mixes into what you hand back: corrected or not?")
def adam_remembers_both_means(student, rng):
    """m and v come back as the fading means of g and of its square, without the correction."""
    return {
        "first update": student.adam_step(np.ones(2), np.zeros(2), np.zeros(2), rng.normal(size=2), 0, 0.1),
        "t = 4": student.adam_step(*moments(rng, 3), 4, 0.1),
        "other betas": student.adam_step(*moments(rng, 3), 4, 0.1, 0.6, 0.7),
    }


@check(
    "adam_step",
    points=2,
    after=thetas,
    hint="Is epsilon inside the root or outside, and what has been corrected before?",
)
def adam_epsilon(student, rng):
    """epsilon is added to the root of the corrected v."""
    theta, m, v, gradient = moments(rng, 2)
    return {
        "a large epsilon": student.adam_step(theta, m, v, gradient, 2, 0.1, epsilon=0.5),
        "a tiny gradient": student.adam_step(theta, np.zeros(2), np.zeros(2), 1e-8 * gradient, 0, 0.1),
        "no gradient": student.adam_step(theta, np.zeros(2), np.zeros(2), np.zeros(2), 0, 0.1),
    }


def walked_with_moments(step, theta, gradients, *rest):
    """Positions and both memories of several updates with given gradients, each kept."""
    m, v, path = np.zeros_like(theta), np.zeros_like(theta), []
    for t, gradient in enumerate(gradients):
        theta, m, v = step(theta, m, v, gradient, t, *rest)
        path.append([theta, m, v])
    return path


@check("adam_step", points=2, hint="Follow two updates on paper. Are old positions still what they were?")
def adam_path(student, rng):
    """The positions and memories of eight updates, each kept."""
    return walked_with_moments(student.adam_step, rng.normal(size=2), rng.normal(size=(8, 2)), 0.1)


@check("adam_step", points=1, hint="Do all steps of yours keep the dtype? NumPy's own scalars are float64.")
def adam_keeps_shape_and_dtype(student, rng):
    """Arrays of any shape, and float32 stays float32."""
    parts = moments(rng, 2, 3)
    return {
        "float64": student.adam_step(*parts, 3, 0.1),
        "float32": student.adam_step(*(part.astype(np.float32) for part in parts), 3, 0.1),
    }


# ---------------------------------------------------------------- adamw_step


@check("adamw_step", points=2, hint="No gradient, only decay: which share of theta goes, and of which theta?")
def decay_alone(student, rng):
    """Without a gradient, each parameter loses the share eta times lambda."""
    zero = np.zeros(3)
    return {
        "one parameter": student.adamw_step(np.array([2.0]), np.zeros(1), np.zeros(1), np.zeros(1), 0, 0.1, 0.5)[0],
        "three parameters": student.adamw_step(rng.normal(size=3), zero, zero, zero, 0, 0.3, 0.2)[0],
    }


@check("adamw_step", points=2, hint="Both parts start from the old theta, and only one of them is divided.")
def adam_and_decay(student, rng):
    """Adam's step and the decay, side by side."""
    zero, gradient = np.zeros(3), np.array([1e-4, 1.0, 1e4])
    return {
        "first update, gradients of all sizes": student.adamw_step(np.ones(3), zero, zero, gradient, 0, 0.1, 0.5)[0],
        "t = 5": student.adamw_step(*moments(rng, 3), 5, 0.1, 0.5)[0],
        "other betas and a large epsilon": student.adamw_step(*moments(rng, 3), 5, 0.1, 0.5, 0.7, 0.8, 0.3)[0],
    }


@check("adamw_step", points=1, hint="The decay was taken out of the gradient: what do m and v know of it?")
def the_memories_know_no_decay(student, rng):
    """m and v are made of the gradient alone."""
    return {
        "first update": student.adamw_step(np.full(2, 3.0), np.zeros(2), np.zeros(2), rng.normal(size=2), 0, 0.1, 0.5)[
            1:
        ],
        "t = 5": student.adamw_step(*moments(rng, 3), 5, 0.1, 0.5)[1:],
    }


@check("adamw_step", points=1, hint="Without decay, what is left of AdamW?")
def no_decay_is_adam(student, rng):
    """With lambda = 0 it is Adam, and with eta = 0 nothing moves."""
    return {
        "lambda = 0": student.adamw_step(*moments(rng, 3), 5, 0.1, 0.0),
        "eta = 0": student.adamw_step(*moments(rng, 3), 5, 0.0, 0.5),
    }


@check("adamw_step", points=1, hint="Follow two updates on paper. Are old positions still what they were?")
def adamw_path(student, rng):
    """The positions and memories of eight updates, each kept."""
    return walked_with_moments(student.adamw_step, rng.normal(size=2), rng.normal(size=(8, 2)), 0.1, 0.3)


@check("adamw_step", points=1, hint="Do all steps of yours keep the dtype? NumPy's own scalars are float64.")
def adamw_keeps_shape_and_dtype(student, rng):
    """Arrays of any shape, and float32 stays float32."""
    parts = moments(rng, 2, 3)
    return {
        "float64": student.adamw_step(*parts, 3, 0.1, 0.2),
        "float32": student.adamw_step(*(part.astype(np.float32) for part in parts), 3, 0.1, 0.2),
    }


# ---------------------------------------------------------------- Adam


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


@check("Adam", points=1, hint="The first step has length lr. Which lr, if none is given? And what is moved?")
def first_optimizer_step(student, rng):
    """The first step moves the parameter itself, by lr against the sign of the gradient."""
    given, default = parameter(rng, 3), parameter(rng, 3)
    return {
        "lr = 0.1": step_with(student.Adam([given], lr=0.1), [given], [tensor(rng, 3)]),
        "lr by default": step_with(student.Adam([default]), [default], [tensor(rng, 3)]),
    }


@check("Adam", points=3, hint="What does the optimizer remember, and of which parameter?")
def a_hundred_steps(student, rng):
    """A hundred steps, and a few of parameters of equal and of different shapes, float64 and float32."""
    paths = {}
    for case, shapes, dtype, steps in [
        ("one parameter", [(2,)], torch.float64, 100),
        ("two of a shape", [(2,), (2,)], torch.float64, 5),
        ("three shapes", [(2, 3), (3,), ()], torch.float64, 5),
        ("float32", [(2, 3), (3,)], torch.float32, 5),
    ]:
        parameters = [parameter(rng, *shape, dtype=dtype) for shape in shapes]
        optimizer = student.Adam(parameters, lr=0.05)
        paths[case] = [
            step_with(optimizer, parameters, [tensor(rng, *shape, dtype=dtype) for shape in shapes])
            for _ in range(steps)
        ]
    return paths


@check("Adam", points=2, hint="Where do the two betas belong, and where is eps added?")
def betas_and_eps(student, rng):
    """Ten steps with other betas, and with a large eps."""
    paths = {}
    for case, options in [
        ("betas", {"betas": (0.6, 0.8)}),
        ("eps", {"eps": 0.5}),
        ("no momentum", {"betas": (0.0, 0.9)}),
    ]:
        theta = parameter(rng, 2)
        optimizer = student.Adam([theta], lr=0.1, **options)
        paths[case] = [step_with(optimizer, [theta], [tensor(rng, 2)])[0] for _ in range(10)]
    return paths


@check("Adam", points=2, hint="Each dict of self.param_groups has its own values, and they may change at any time.")
def parameter_groups(student, rng):
    """Each parameter group has its own lr, betas and eps, as they are now."""
    parameters = [parameter(rng, 2) for _ in range(4)]
    groups = [
        {"params": parameters[:1]},
        {"params": parameters[1:2], "lr": 0.01},
        {"params": parameters[2:3], "betas": (0.5, 0.9)},
        {"params": parameters[3:], "eps": 0.3},
    ]
    optimizer = student.Adam(groups, lr=0.1)
    path = [step_with(optimizer, parameters, [tensor(rng, 2) for _ in parameters]) for _ in range(3)]
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.param_groups[2]["lr"] = 0.0
    return [*path, step_with(optimizer, parameters, [tensor(rng, 2) for _ in parameters])]


@check("Adam", points=2, hint="How many updates has this parameter had: as many as the others?")
def parameters_without_gradient(student, rng):
    """A parameter whose gradient is None stays, and has one update less than the others from then on."""
    parameters = [parameter(rng, 2) for _ in range(3)]
    optimizer = student.Adam(parameters, lr=0.1)
    path = []
    for missing in ((0,), (0, 1), (), (2,), (0, 1, 2), ()):
        gradients = [None if index in missing else tensor(rng, 2) for index in range(3)]
        path.append(step_with(optimizer, parameters, gradients))
    return path


def any_tracked(seen):
    return {**seen, "tracked": any(flag for flags in seen["tracked"] for flag in flags)}


@check("Adam", points=1, after=any_tracked, hint="An update is not part of the model: should autograd remember it?")
def nothing_is_tracked(student, rng):
    """Even if the gradients have a graph of their own, parameters and memories have none."""
    theta = parameter(rng, 3)
    optimizer = student.Adam([theta], lr=0.1)
    (theta.grad,) = torch.autograd.grad((theta**3).sum(), theta, create_graph=True)
    optimizer.step()
    states = optimizer.state.values()
    return {
        "theta": theta,
        "theta is a leaf that requires a gradient": theta.is_leaf and theta.requires_grad,
        "tracked": [[part.requires_grad for part in state.values() if torch.is_tensor(part)] for state in states],
    }


@check("Adam", points=2, hint="What self.state[parameter] holds is saved. Are all three things in there?")
def saved_and_loaded(student, rng):
    """A run that is saved, loaded into a new optimizer and continued goes on as before."""
    parameters = [parameter(rng, 2), parameter(rng, 3)]
    gradients = [[tensor(rng, 2), tensor(rng, 3)] for _ in range(6)]
    optimizer = student.Adam(parameters, lr=0.1, betas=(0.8, 0.9))
    for step in range(3):
        step_with(optimizer, parameters, gradients[step])
    saved = copy.deepcopy(optimizer.state_dict())

    copies = [torch.nn.Parameter(theta.detach().clone()) for theta in parameters]
    resumed = student.Adam(copies, lr=0.7)
    resumed.load_state_dict(saved)
    return [step_with(resumed, copies, gradients[step]) for step in (3, 4, 5)]


@check("Adam", points=1, hint="The closure comes first: it makes the gradients that the step then uses.")
def step_with_a_closure(student, rng):
    """step(closure) calls the closure with gradients enabled, steps, and returns its loss."""
    theta = parameter(rng, 2)
    optimizer = student.Adam([theta], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (theta**2).sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure), optimizer.step(closure)]
    return {"losses": losses, "theta": theta, "without a closure": optimizer.step()}


@check("Adam", points=1, hint="The gradient belongs to the caller. Does one of your memories share its memory?")
def gradients_are_only_read(student, rng):
    """The step leaves the gradient alone, and what is done to it later does not reach m and v."""
    theta = parameter(rng, 3)
    optimizer = student.Adam([theta], lr=0.1, betas=(0.5, 0.5))
    theta.grad = tensor(rng, 3)
    seen = []
    for _ in range(3):
        optimizer.step()
        seen += [theta.grad.clone(), theta.detach().clone()]
        theta.grad.zero_()
    return seen


# ---------------------------------------------------------------- Scheduler


def sgd(learning_rates, **options):
    """An optimizer with one group for each learning rate."""
    groups = [{"params": [torch.nn.Parameter(torch.ones(1, dtype=torch.float64))], "lr": lr} for lr in learning_rates]
    return torch.optim.SGD(groups, lr=1.0, **options)


def rates_of(optimizer):
    return [float(group["lr"]) for group in optimizer.param_groups]


def scheduled(student, learning_rates, schedule, updates):
    """The learning rates for update 0 and after each step of the scheduler."""
    optimizer = sgd(learning_rates)
    scheduler = student.Scheduler(optimizer, schedule)
    seen = [rates_of(optimizer)]
    for _ in range(updates):
        scheduler.step()
        seen.append(rates_of(optimizer))
    return seen


@check("Scheduler", points=1, hint="No step has been made yet. Which update is the optimizer about to make?")
def ready_for_update_0(student, rng):
    """As soon as the scheduler is made, the learning rate of update 0 is set."""
    return {
        "schedule(0) is 0.25": scheduled(student, [0.1], lambda t: [0.25, 1.0][t], 0),
        "schedule(0) is 0": scheduled(student, [0.1], lambda t: [0.0, 1.0][t], 0),
    }


@check("Scheduler", points=2, hint="After each step, everything is ready for the *next* update.")
def one_step_after_another(student, rng):
    """Each step sets the learning rate of the next update."""
    table = rng.uniform(0.1, 2, size=8).tolist()
    return {
        "a table": scheduled(student, [0.5], table.__getitem__, 7),
        "one over t + 1": scheduled(student, [3.0], lambda t: 1 / (t + 1), 5),
    }


@check("Scheduler", points=2, hint="Which learning rate does each group start from?")
def every_group_from_its_own_rate(student, rng):
    """Every parameter group is scheduled, each from its own initial learning rate."""
    table = rng.uniform(0.1, 2, size=4).tolist()
    return {
        "two groups": scheduled(student, [1.0, 0.01], table.__getitem__, 3),
        "three groups": scheduled(student, [0.1, 7.0, 0.1], table.__getitem__, 3),
    }


@check("Scheduler", points=1, hint="Is the factor one of the initial learning rate, or of the last one?")
def through_zero_and_back(student, rng):
    """A schedule may go to 0 and come back."""
    table = [1.0, 0.0, 0.0, 0.5, 2.0]
    return scheduled(student, [0.5, 4.0], table.__getitem__, 4)


def trained(student, make, schedule, updates):
    """Where a parameter with gradient 1 is after each update."""
    theta = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = make([theta])
    scheduler = student.Scheduler(optimizer, schedule)
    path = []
    for _ in range(updates):
        theta.grad = torch.ones(2, dtype=torch.float64)
        optimizer.step()
        scheduler.step()
        path.append(theta.detach().clone())
    return path


@check("Scheduler", points=1, hint="Scheduling changes a number. Who makes the updates?")
def optimizers_under_a_schedule(student, rng):
    """The path of a parameter, with two different optimizers."""
    table = rng.uniform(0.1, 2, size=6).tolist()
    return {
        "SGD": trained(student, lambda theta: torch.optim.SGD(theta, lr=0.1), table.__getitem__, 5),
        "SGD with momentum": trained(
            student, lambda theta: torch.optim.SGD(theta, lr=0.1, momentum=0.9), table.__getitem__, 5
        ),
    }


@check("Scheduler", points=1, hint="Count along: which update comes next? And what else is in a group?")
def number_of_the_next_update(student, rng):
    """The attribute t is the number of the next update, and no other option of a group is changed."""
    optimizer = sgd([0.1, 0.2], momentum=0.8, weight_decay=0.01)
    scheduler = student.Scheduler(optimizer, lambda t: 0.5)
    numbers = [scheduler.t]
    for _ in range(3):
        scheduler.step()
        numbers.append(scheduler.t)
    options = [[group["momentum"], group["weight_decay"]] for group in optimizer.param_groups]
    return {"t": numbers, "momentum and weight decay": options}


# ---------------------------------------------------------------- error_surface_race


def descent(eta):
    """A rider by gradient descent."""
    return lambda: lambda theta, gradient, t: theta - eta * gradient


def heavy_ball(eta, momentum):
    """A rider with momentum, fresh each time."""

    def rider():
        movement = np.zeros(2)

        def step(theta, gradient, t):
            nonlocal movement
            movement = momentum * movement - eta * gradient
            return theta + movement

        return step

    return rider


def in_place(eta):
    """A rider that changes the array that it is given."""

    def step(theta, gradient, t):
        theta -= eta * gradient
        return theta

    return lambda: step


def bowl(condition, angle=0.0):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([1.0, condition]) @ turn.T


@check(
    "error_surface_race", points=2, hint="Write down the loss after each update: which one is the first small enough?"
)
def updates_of_one_rider(student, rng):
    """How many updates gradient descent needs, in round and in narrow bowls."""
    start = np.array([3.0, -2.0])
    return {
        "a round bowl": student.error_surface_race({"descent": descent(0.5)}, np.eye(2), start, 0.5, 50),
        "condition 10": student.error_surface_race({"descent": descent(0.15)}, bowl(10), start, 0.01, 200),
        "condition 10, turned": student.error_surface_race({"descent": descent(0.15)}, bowl(10, 0.6), start, 0.01, 200),
        "three parameters": student.error_surface_race(
            {"descent": descent(0.1)}, np.diag([1.0, 2.0, 9.0]), np.ones(3), 1e-3, 200
        ),
    }


@check("error_surface_race", points=1, hint="Everybody starts from the same place, with an empty memory, at t = 0.")
def everybody_for_himself(student, rng):
    """Several riders in one race, with memory, with a schedule and without, each starting afresh."""
    riders = {
        "descent": descent(0.15),
        "heavy ball": heavy_ball(0.1, 0.6),
        "another descent": descent(0.05),
        "the same ball": heavy_ball(0.1, 0.6),
        "decaying": lambda: lambda theta, gradient, t: theta - 0.19 * 0.995**t * gradient,
    }
    return student.error_surface_race(riders, bowl(10), np.array([3.0, -2.0]), 0.01, 300)


@check("error_surface_race", points=1, hint="When is the loss looked at for the first time, and when for the last?")
def at_the_start_and_with_the_last_update(student, rng):
    """Who is there at the start needs no update, and arriving with the last one counts."""
    rider, start = {"descent": descent(0.5)}, np.array([4.0])
    return {
        "there at the start": student.error_surface_race(rider, np.eye(1), start, 9.0, 5),
        "exactly at the tolerance": student.error_surface_race(rider, np.eye(1), start, 8.0, 5),
        "with the last update": student.error_surface_race(rider, np.eye(1), start, 0.5, 2),
        "exactly, later": student.error_surface_race(rider, np.eye(1), start, 0.125, 5),
        "no update allowed": student.error_surface_race(rider, np.eye(1), start, 8.0, 0),
    }


@check("error_surface_race", points=1, hint="What do you return for somebody who is still on the way, or flew off?")
def some_do_not_arrive(student, rng):
    """None for those who are too slow or fly off to infinity, the number for the others."""
    riders = {"too slow": descent(0.001), "good": descent(0.5), "flies off": descent(1e9)}
    with np.errstate(all="ignore"):
        return {
            "100 updates": student.error_surface_race(riders, np.eye(2), np.ones(2), 1e-3, 100),
            "1 update": student.error_surface_race(riders, np.eye(2), np.ones(2), 1e-3, 1),
        }


@check("error_surface_race", points=1, hint="A rider may write on the array that it gets: whose array should that be?")
def riders_that_write_on_their_array(student, rng):
    """Riders that change their array in place disturb nobody, and the start stays as it was."""
    start = np.array([3.0, -2.0])
    riders = {"first": in_place(0.15), "second": in_place(0.1), "third": descent(0.15)}
    return {
        "updates": student.error_surface_race(riders, bowl(10), start, 0.01, 300),
        "start": start,
    }


# ---------------------------------------------------------------- radam_step


@check(
    "radam_step", points=2, after=thetas, hint="With few gradients the variance is intractable: is anything divided?"
)
def radam_first_updates(student, rng):
    """The first updates are plain momentum, corrected and not divided by anything."""
    theta, gradient = rng.normal(size=(2, 3))
    return {
        "t = 0": student.radam_step(theta, np.zeros(3), np.zeros(3), gradient, 0, 0.1),
        "t = 1": student.radam_step(*moments(rng, 3), 1, 0.1),
        "t = 3": student.radam_step(*moments(rng, 3), 3, 0.1),
    }


@check("radam_step", points=1, after=thetas, hint="For beta2 = 0.999, compute rho for s = 4, 5 and 6. Which exceed 4?")
def radam_threshold(student, rng):
    """The first update that is divided is the first with rho above 4, and not above 5."""
    return {
        "t = 4": student.radam_step(*moments(rng, 2), 4, 0.1),
        "t = 5": student.radam_step(*moments(rng, 2), 5, 0.1),
        "beta2 = 0.9, t = 4": student.radam_step(*moments(rng, 2), 4, 0.1, 0.9, 0.9),
        "beta2 = 0.8, t = 5": student.radam_step(*moments(rng, 2), 5, 0.1, 0.9, 0.8),
        "beta2 = 0.8, t = 7": student.radam_step(*moments(rng, 2), 7, 0.1, 0.9, 0.8),
    }


@check("radam_step", points=2, after=thetas, hint="Which factors of r belong to now, and which to the far future?")
def radam_rectified_updates(student, rng):
    """Later updates are Adam's, times the rectification."""
    return {
        "t = 10": student.radam_step(*moments(rng, 3), 10, 0.1),
        "t = 300": student.radam_step(*moments(rng, 3), 300, 0.1),
        "t = 100,000": student.radam_step(*moments(rng, 3), 100_000, 0.1),
        "other betas": student.radam_step(*moments(rng, 3), 20, 0.1, 0.7, 0.95),
        "a large epsilon": student.radam_step(*moments(rng, 3), 20, 0.1, epsilon=0.5),
    }


@check("radam_step", points=1, after=thetas, hint="How long can the memory get, if beta2 is 0.5?")
def radam_with_a_short_memory(student, rng):
    """With a memory too short for a variance, no update is ever divided."""
    return {
        "beta2 = 0.5, t = 2": student.radam_step(*moments(rng, 2), 2, 0.1, 0.9, 0.5),
        "beta2 = 0.5, t = 500": student.radam_step(*moments(rng, 2), 500, 0.1, 0.9, 0.5),
        "beta2 = 0.59, t = 500": student.radam_step(*moments(rng, 2), 500, 0.1, 0.9, 0.59),
    }


@check("radam_step", points=1, after=memories, hint="What is not used now will be needed later.")
def radam_remembers_both_means(student, rng):
    """m and v are updated in every update, and come back without the correction."""
    return {
        "t = 0": student.radam_step(np.ones(2), np.zeros(2), np.zeros(2), rng.normal(size=2), 0, 0.1),
        "t = 20": student.radam_step(*moments(rng, 3), 20, 0.1),
    }


@check("radam_step", points=1, hint="Do all steps of yours keep the dtype? NumPy's own scalars are float64.")
def radam_path_and_dtype(student, rng):
    """The positions and memories of twelve updates, and float32 stays float32."""
    theta, gradients = rng.normal(size=2), rng.normal(size=(12, 2))
    return {
        "float64": walked_with_moments(student.radam_step, theta, gradients, 0.1),
        "float32": student.radam_step(*(part.astype(np.float32) for part in moments(rng, 2, 2)), 9, 0.1),
    }
