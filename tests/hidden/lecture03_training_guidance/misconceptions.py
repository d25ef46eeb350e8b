"""Mistakes that students make in lecture 3: each must lose points, and is named when it explains an answer."""

import numpy as np

from grader import misconception
from solutions import lecture03_training_guidance as lecture

BIAS = "Lecture 3, Model bias"
OPTIMIZATION = "Lecture 3, Optimization issue"
OVERFITTING = "Lecture 3, Overfitting"
SELECTION = "Lecture 3, Model selection"
CROSS = "Lecture 3, N-fold cross-validation"
MISMATCH = "Lecture 3, Mismatch"
CHART = "Lecture 3, General guidance"

# ---------------------------------------------------------------- polynomial_features


@misconception(
    "polynomial_features",
    "Your first column is x to the power 0, a constant. The model has its bias b for that already, and a penalty on "
    "the weights would now shrink it.",
    lecture=BIAS,
)
def with_a_constant_column(x, degree):
    return x[:, None] ** np.arange(degree + 1, dtype=x.dtype)


@misconception(
    "polynomial_features",
    "You stop one power too early: the highest power is d itself, and `range(1, d)` ends before it.",
    lecture=BIAS,
)
def stops_one_power_short(x, degree):
    return x[:, None] ** np.arange(1, degree, dtype=x.dtype)


@misconception(
    "polynomial_features",
    "You begin with x to the power 0 and leave out the highest power: the powers run from 1 to d.",
    lecture=BIAS,
)
def powers_from_zero(x, degree):
    return x[:, None] ** np.arange(degree, dtype=x.dtype)


@misconception(
    "polynomial_features",
    "Your columns begin with the highest power, as np.vander gives them: the first power comes first.",
    lecture=BIAS,
)
def highest_power_first(x, degree):
    return x[:, None] ** np.arange(degree, 0, -1, dtype=x.dtype)


@misconception(
    "polynomial_features",
    "You multiply x by 1, 2, 3, ... instead of raising it to these powers: all of these features are one and the "
    "same straight line.",
    lecture=BIAS,
)
def multiples_for_powers(x, degree):
    return x[:, None] * np.arange(1, degree + 1, dtype=x.dtype)


@misconception(
    "polynomial_features",
    "You have a row for each power. There must be a row for each example, as in every table of data here.",
    lecture=BIAS,
)
def a_row_for_each_power(x, degree):
    return x ** np.arange(1, degree + 1, dtype=x.dtype)[:, None]


@misconception(
    "polynomial_features",
    "You only return the highest power. The features are all the powers up to it.",
    lecture=BIAS,
)
def only_the_highest_power(x, degree):
    return x[:, None] ** np.array([degree], dtype=x.dtype)


@misconception(
    "polynomial_features",
    "You take powers by way of the logarithm of |x|: the sign of x is lost in the odd powers, and 0 breaks.",
    lecture=BIAS,
)
def by_logarithms(x, degree):
    with np.errstate(divide="ignore"):
        return np.exp(np.log(np.abs(x))[:, None] * np.arange(1, degree + 1, dtype=x.dtype))


@misconception(
    "polynomial_features",
    "Your features are float64 whatever x is: an exponent of int64 turns float32 into float64.",
    lecture=BIAS,
)
def features_in_float64(x, degree):
    return x.astype(np.float64)[:, None] ** np.arange(1, degree + 1)


@misconception(
    "polynomial_features",
    "You multiply x into itself in place: the caller's x is changed, and the next power is built on the wrong number.",
    lecture=BIAS,
)
def multiplies_in_place(x, degree):
    columns = np.empty((len(x), degree), x.dtype)
    power = x
    for j in range(degree):
        columns[:, j] = power
        power *= x
    return columns


# ---------------------------------------------------------------- ridge_fit


def solve(features, y, penalty, bias_penalty):
    """Normal equations with a column for the bias; both penalties are added to the diagonal as they are."""
    table = np.column_stack([np.ones(len(y)), features])
    diagonal = np.diag([bias_penalty] + [penalty] * features.shape[1])
    theta = np.linalg.lstsq(table.T @ table + diagonal, table.T @ y, rcond=None)[0]
    return theta[1:], float(theta[0])


@misconception(
    "ridge_fit",
    "You penalize the bias, too: it is pulled towards 0, and the fit depends on where zero depth is. Only the "
    "weights are in the penalty.",
    lecture=OVERFITTING,
)
def penalizes_the_bias(features, y, penalty):
    half = len(y) * penalty / 2
    return solve(features, y, half, half)


@misconception(
    "ridge_fit",
    "You use an inverse (or np.linalg.solve), and some matrices have none: two equal features, or more features than "
    "examples. Least squares has answers also then.",
    lecture=OVERFITTING,
)
def inverts_the_matrix(features, y, penalty):
    table = np.column_stack([np.ones(len(y)), features])
    diagonal = len(y) * penalty / 2 * np.diag([0.0] + [1.0] * features.shape[1])
    theta = np.linalg.inv(table.T @ table + diagonal) @ table.T @ y
    return theta[1:], float(theta[0])


@misconception(
    "ridge_fit",
    "You always add a little to the diagonal, so that the matrix has an inverse: without penalty the fit is then not "
    "the best one any more.",
    lecture=OVERFITTING,
)
def always_adds_a_little(features, y, penalty):
    half = len(y) * penalty / 2 + 1e-3
    return solve(features, y, half, 0.0)


@misconception(
    "ridge_fit",
    "You take the sum of the squared errors where L is their mean: the same λ then weighs less the more data there "
    "are.",
    lecture=OVERFITTING,
)
def sums_the_errors(features, y, penalty):
    return solve(features, y, penalty / 2, 0.0)


@misconception(
    "ridge_fit",
    "You add Nλ to the diagonal. The penalty is λ/2 times the squared length, so its half is lost: set both "
    "derivatives to zero once more, on paper.",
    lecture=OVERFITTING,
)
def forgets_the_half(features, y, penalty):
    return solve(features, y, len(y) * penalty, 0.0)


@misconception(
    "ridge_fit",
    "You add λ to the diagonal as it is, as for a plain sum of squares: here the loss is a mean, and the penalty has "
    "a half.",
    lecture=OVERFITTING,
)
def plain_lambda_on_the_diagonal(features, y, penalty):
    return solve(features, y, penalty, 0.0)


@misconception(
    "ridge_fit",
    "Your penalty has the wrong sign: it rewards large weights.",
    lecture=OVERFITTING,
)
def rewards_large_weights(features, y, penalty):
    return solve(features, y, -len(y) * penalty / 2, 0.0)


@misconception(
    "ridge_fit",
    "You leave the penalty out: whatever λ is, you return the least-squares fit.",
    lecture=OVERFITTING,
)
def ignores_the_penalty(features, y, penalty):
    return lecture.ridge_fit(features, y, 0.0)


@misconception(
    "ridge_fit",
    "Your model has no bias: it is forced to go through the origin.",
    lecture=OVERFITTING,
)
def through_the_origin(features, y, penalty):
    n_examples, n_features = features.shape
    rows = np.vstack([features, np.sqrt(n_examples * penalty / 2) * np.eye(n_features)])
    return np.linalg.lstsq(rows, np.concatenate([y, np.zeros(n_features)]), rcond=None)[0], 0.0


@misconception(
    "ridge_fit",
    "You take the mean of y as the bias, but the features are not centred where the model is used: the means of the "
    "features, times the weights, must be taken off.",
    lecture=OVERFITTING,
)
def mean_of_y_as_bias(features, y, penalty):
    return lecture.ridge_fit(features, y, penalty)[0], float(np.mean(y))


@misconception(
    "ridge_fit",
    "You divide the features by their standard deviations, and so penalize other weights than those of the model: L' "
    "has w as it is.",
    lecture=OVERFITTING,
)
def standardizes_the_features(features, y, penalty):
    scale = features.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    w, b = lecture.ridge_fit(features / scale, y, penalty)
    return w / scale, b


@misconception(
    "ridge_fit",
    "You return the bias first: the order is (w, b).",
    lecture=OVERFITTING,
)
def bias_first(features, y, penalty):
    return lecture.ridge_fit(features, y, penalty)[::-1]


# ---------------------------------------------------------------- train_validation_split


def cut(x, y, train, validation):
    return (x[train], y[train]), (x[validation], y[validation])


@misconception(
    "train_validation_split",
    "You do not shuffle: the last examples are always the ones held out, and if the data come in some order, they "
    "are of a special kind.",
    lecture=SELECTION,
)
def holds_out_the_last(x, y, n_validation, rng):
    return (x[:-n_validation], y[:-n_validation]), (x[-n_validation:], y[-n_validation:])


@misconception(
    "train_validation_split",
    "You do not shuffle: the first examples are always the ones held out.",
    lecture=SELECTION,
)
def holds_out_the_first(x, y, n_validation, rng):
    return (x[n_validation:], y[n_validation:]), (x[:n_validation], y[:n_validation])


@misconception(
    "train_validation_split",
    "You hold out a random run of neighbours: examples that are far apart are never held out together. Shuffle first.",
    lecture=SELECTION,
)
def holds_out_neighbours(x, y, n_validation, rng):
    order = np.roll(np.arange(len(x)), rng.integers(len(x)))
    return cut(x, y, order[n_validation:], order[:n_validation])


@misconception(
    "train_validation_split",
    "You shuffle x and y each in its own order: every example gets the y of another.",
    lecture=SELECTION,
)
def splits_apart(x, y, n_validation, rng):
    first, second = rng.permutation(len(x)), rng.permutation(len(x))
    v = n_validation
    return (x[first[v:]], y[second[v:]]), (x[first[:v]], y[second[:v]])


@misconception(
    "train_validation_split",
    "You shuffle x and leave y as it was: every example gets the y of another.",
    lecture=SELECTION,
)
def shuffles_x_only(x, y, n_validation, rng):
    x = x[rng.permutation(len(x))]
    return (x[n_validation:], y[n_validation:]), (x[:n_validation], y[:n_validation])


@misconception(
    "train_validation_split",
    "You train on everything, also on what is held out: the validation loss then says nothing about new data.",
    lecture=SELECTION,
)
def trains_on_everything(x, y, n_validation, rng):
    order = rng.permutation(len(x))
    return cut(x, y, order, order[:n_validation])


@misconception(
    "train_validation_split",
    "You draw the validation set with replacement: some examples come twice, and what is left is too much.",
    lecture=SELECTION,
)
def holds_out_with_replacement(x, y, n_validation, rng):
    validation = rng.integers(len(x), size=n_validation)
    return cut(x, y, np.setdiff1d(np.arange(len(x)), validation), validation)


@misconception(
    "train_validation_split",
    "You draw the two parts independently of each other: some examples are in both, and some in none.",
    lecture=SELECTION,
)
def draws_the_parts_apart(x, y, n_validation, rng):
    train = rng.choice(len(x), size=len(x) - n_validation, replace=False)
    return cut(x, y, train, rng.choice(len(x), size=n_validation, replace=False))


@misconception(
    "train_validation_split",
    "You toss a coin for each example: then the number that is held out is random, too. It is given.",
    lecture=SELECTION,
)
def tosses_coins(x, y, n_validation, rng):
    held = rng.random(len(x)) < n_validation / len(x)
    return cut(x, y, ~held, held)


@misconception(
    "train_validation_split",
    "You lose an example between the two parts: where the one ends, the other begins.",
    lecture=SELECTION,
)
def loses_one_example(x, y, n_validation, rng):
    order = rng.permutation(len(x))
    return cut(x, y, order[n_validation + 1 :], order[:n_validation])


@misconception(
    "train_validation_split",
    "You train on n_validation examples and hold all the others out: it is the other way round.",
    lecture=SELECTION,
)
def trains_on_the_few(x, y, n_validation, rng):
    train, validation = lecture.train_validation_split(x, y, n_validation, rng)
    return validation, train


@misconception(
    "train_validation_split",
    "Your parts come in the order x_train, x_validation, y_train, y_validation, as a well-known library gives them. "
    "Here they are two pairs: (x_train, y_train) and (x_validation, y_validation).",
    lecture=SELECTION,
)
def four_parts(x, y, n_validation, rng):
    (x_train, y_train), (x_held, y_held) = lecture.train_validation_split(x, y, n_validation, rng)
    return x_train, x_held, y_train, y_held


@misconception(
    "train_validation_split",
    "You shuffle the caller's own arrays: whoever gave you the data finds them in another order afterwards.",
    lecture=SELECTION,
)
def shuffles_in_place(x, y, n_validation, rng):
    order = rng.permutation(len(x))
    x[:], y[:] = x[order], y[order]
    return (x[n_validation:], y[n_validation:]), (x[:n_validation], y[:n_validation])


@misconception(
    "train_validation_split",
    "You make a generator with a fixed seed of your own: every split is the same, whatever rng says.",
    lecture=SELECTION,
)
def splits_by_its_own_seed(x, y, n_validation, rng):
    return lecture.train_validation_split(x, y, n_validation, np.random.default_rng(42))


@misconception(
    "train_validation_split",
    "Your randomness does not come from rng: two runs with an equal seed differ, and no result can be repeated.",
    lecture=SELECTION,
)
def splits_without_the_rng(x, y, n_validation, rng):
    order = np.random.permutation(len(x))
    return cut(x, y, order[n_validation:], order[:n_validation])


@misconception(
    "train_validation_split",
    "You put x and y into one table to shuffle them together: labels become floating-point numbers, and images lose "
    "their shape.",
    lecture=SELECTION,
)
def glues_x_and_y_together(x, y, n_validation, rng):
    columns = x.reshape(len(x), -1), y.reshape(len(y), -1)
    table = rng.permutation(np.hstack(columns).astype(float))
    width = columns[0].shape[1]
    x_all = table[:, 0] if x.ndim == 1 else table[:, :width]
    y_all = table[:, -1] if y.ndim == 1 else table[:, width:]
    return (x_all[n_validation:], y_all[n_validation:]), (x_all[:n_validation], y_all[:n_validation])


# ---------------------------------------------------------------- select_model


def losses_of(candidates):
    return [candidate.validation_loss for candidate in candidates]


@misconception(
    "select_model",
    "You choose by the training loss. The most flexible model wins that always, also when it has only learned its "
    "examples by heart.",
    lecture=SELECTION,
)
def chooses_by_training_loss(candidates, tolerance=0.0):
    return lecture.select_model([c._replace(validation_loss=c.train_loss) for c in candidates], tolerance)


@misconception(
    "select_model",
    "You take the largest model. Beyond some size, flexibility only makes overfitting worse.",
    lecture=SELECTION,
)
def takes_the_largest(candidates, tolerance=0.0):
    return max(range(len(candidates)), key=lambda i: candidates[i].n_parameters)


@misconception(
    "select_model",
    "You take the smallest model, however badly it does.",
    lecture=SELECTION,
)
def takes_the_smallest(candidates, tolerance=0.0):
    return min(range(len(candidates)), key=lambda i: candidates[i].n_parameters)


@misconception(
    "select_model",
    "You take the highest validation loss, but a loss is small when all is well.",
    lecture=SELECTION,
)
def takes_the_worst(candidates, tolerance=0.0):
    return int(np.nanargmax(losses_of(candidates)))


@misconception(
    "select_model",
    "Where two models do equally well, you take the one that comes first. The simpler one is the better bet. (And "
    "the tolerance is not used.)",
    lecture=SELECTION,
)
def first_of_the_best(candidates, tolerance=0.0):
    return int(np.nanargmin(losses_of(candidates)))


@misconception(
    "select_model",
    "Within the tolerance you take the model that comes first. The simplest one is the better bet.",
    lecture=SELECTION,
)
def first_within_tolerance(candidates, tolerance=0.0):
    best = np.nanmin(losses_of(candidates))
    return next(i for i, loss in enumerate(losses_of(candidates)) if loss <= best + tolerance)


@misconception(
    "select_model",
    "Where models do equally well, you take the one with the MOST parameters: it is the simpler one that generalizes.",
    lecture=SELECTION,
)
def ties_to_the_larger(candidates, tolerance=0.0):
    return lecture.select_model([c._replace(n_parameters=-c.n_parameters) for c in candidates], tolerance)


@misconception(
    "select_model",
    "You settle exact ties only: a model within the tolerance of the best is as good as the best, too.",
    lecture=SELECTION,
)
def ignores_the_tolerance(candidates, tolerance=0.0):
    return lecture.select_model(candidates)


@misconception(
    "select_model",
    "You take the tolerance as a share of the best loss. It is in the units of the loss: the limit is best + "
    "tolerance.",
    lecture=SELECTION,
)
def relative_tolerance(candidates, tolerance=0.0):
    return lecture.select_model(candidates, tolerance * np.nanmin(losses_of(candidates)))


@misconception(
    "select_model",
    "Of equally simple models within the tolerance, you take the one that comes first: the lower validation loss has "
    "the say then.",
    lecture=SELECTION,
)
def first_of_the_simplest(candidates, tolerance=0.0):
    best = np.nanmin(losses_of(candidates))
    good = [i for i, loss in enumerate(losses_of(candidates)) if loss <= best + tolerance]
    return min(good, key=lambda i: candidates[i].n_parameters)


@misconception(
    "select_model",
    "A NaN wins with you: np.argmin and min let it through, as NaN compares with nothing. Leave broken models out "
    "first.",
    lecture=SELECTION,
)
def nan_wins(candidates, tolerance=0.0):
    losses = losses_of(candidates)
    if np.isnan(losses).any():
        return int(np.argmin(losses))
    return lecture.select_model(candidates, tolerance)


@misconception(
    "select_model",
    "You take the model with the smallest gap between training and validation loss. A model that is equally bad on "
    "both has no gap at all.",
    lecture=SELECTION,
)
def smallest_gap(candidates, tolerance=0.0):
    return int(np.nanargmin([abs(c.validation_loss - c.train_loss) for c in candidates]))


@misconception(
    "select_model",
    "You add the training loss to the validation loss: the training loss has no say, for it rewards learning by heart.",
    lecture=SELECTION,
)
def adds_both_losses(candidates, tolerance=0.0):
    both = [c._replace(validation_loss=c.train_loss + c.validation_loss) for c in candidates]
    return lecture.select_model(both, tolerance)


@misconception(
    "select_model",
    "You sort the models by size and return the place in the sorted list: the index is that of the list you were "
    "given.",
    lecture=SELECTION,
)
def index_after_sorting(candidates, tolerance=0.0):
    return lecture.select_model(sorted(candidates, key=lambda c: c.n_parameters), tolerance)


# ---------------------------------------------------------------- n_fold_splits


def from_folds(folds):
    """The pairs (train, validation) of given folds."""
    everything = np.concatenate(folds)
    return [(np.setdiff1d(everything, fold), fold) for fold in folds]


@misconception(
    "n_fold_splits",
    "You do not shuffle: each fold is a run of neighbours, and if the data come in some order, each fold is of a "
    "kind of its own.",
    lecture=CROSS,
)
def folds_of_neighbours(n_examples, n_folds, rng):
    return from_folds(np.array_split(np.arange(n_examples), n_folds))


@misconception(
    "n_fold_splits",
    "You deal the examples to the folds in turn, as they come: example 0 always shares its fold with the same others.",
    lecture=CROSS,
)
def deals_in_turn(n_examples, n_folds, rng):
    return from_folds([np.arange(k, n_examples, n_folds) for k in range(n_folds)])


@misconception(
    "n_fold_splits",
    "You shuffle the folds, but not what is in them: neighbours always stay together.",
    lecture=CROSS,
)
def shuffles_whole_folds(n_examples, n_folds, rng):
    folds = np.array_split(np.arange(n_examples), n_folds)
    return from_folds([folds[k] for k in rng.permutation(n_folds)])


@misconception(
    "n_fold_splits",
    "You lose the remainder: with n // n_folds examples in every fold, the examples left over are never held out.",
    lecture=CROSS,
)
def loses_the_remainder(n_examples, n_folds, rng):
    order, size = rng.permutation(n_examples), n_examples // n_folds
    folds = [order[k * size : (k + 1) * size] for k in range(n_folds)]
    return [(np.setdiff1d(order, fold), fold) for fold in folds]


@misconception(
    "n_fold_splits",
    "All left-over examples go into your last fold, which may be nearly twice as large as the others. Share them out.",
    lecture=CROSS,
)
def remainder_into_the_last_fold(n_examples, n_folds, rng):
    size = n_examples // n_folds
    return from_folds(np.split(rng.permutation(n_examples), [k * size for k in range(1, n_folds)]))


@misconception(
    "n_fold_splits",
    "You round the size of a fold up: the last fold gets what is left, which may be far less, or nothing.",
    lecture=CROSS,
)
def rounds_the_size_up(n_examples, n_folds, rng):
    size = -(-n_examples // n_folds)
    return from_folds(np.split(rng.permutation(n_examples), [k * size for k in range(1, n_folds)]))


@misconception(
    "n_fold_splits",
    "You shuffle anew for each fold: the folds overlap, so some examples have two turns and others none.",
    lecture=CROSS,
)
def shuffles_for_each_fold(n_examples, n_folds, rng):
    splits = []
    for fold in np.array_split(np.arange(n_examples), n_folds):
        order = rng.permutation(n_examples)
        splits.append((order[len(fold) :], order[: len(fold)]))
    return splits


@misconception(
    "n_fold_splits",
    "You train on all examples, also on those that are held out.",
    lecture=CROSS,
)
def trains_on_all(n_examples, n_folds, rng):
    return [(np.arange(n_examples), fold) for _, fold in lecture.n_fold_splits(n_examples, n_folds, rng)]


@misconception(
    "n_fold_splits",
    "You have the two parts in the wrong order: one fold is held out and the many others are trained on, (train, "
    "validation).",
    lecture=CROSS,
)
def validation_first(n_examples, n_folds, rng):
    return [(fold, train) for train, fold in lecture.n_fold_splits(n_examples, n_folds, rng)]


@misconception(
    "n_fold_splits",
    "You train on the next fold only. All of the other folds are there to be trained on.",
    lecture=CROSS,
)
def trains_on_one_other_fold(n_examples, n_folds, rng):
    folds = np.array_split(rng.permutation(n_examples), n_folds)
    return [(folds[(k + 1) % n_folds], fold) for k, fold in enumerate(folds)]


@misconception(
    "n_fold_splits",
    "You return the folds themselves. A split is a pair: what is trained on, and what is held out.",
    lecture=CROSS,
)
def only_the_folds(n_examples, n_folds, rng):
    return np.array_split(rng.permutation(n_examples), n_folds)


@misconception(
    "n_fold_splits",
    "Your parts are masks of True and False, where indices are wanted.",
    lecture=CROSS,
)
def masks_for_indices(n_examples, n_folds, rng):
    splits = []
    for _, fold in lecture.n_fold_splits(n_examples, n_folds, rng):
        held = np.zeros(n_examples, dtype=bool)
        held[fold] = True
        splits.append((~held, held))
    return splits


@misconception(
    "n_fold_splits",
    "Your indices count from 1: the first example has the index 0, and the last one n_examples - 1.",
    lecture=CROSS,
)
def indices_from_one(n_examples, n_folds, rng):
    return [(train + 1, fold + 1) for train, fold in lecture.n_fold_splits(n_examples, n_folds, rng)]


@misconception(
    "n_fold_splits",
    "You make a generator with a fixed seed of your own: the folds are always the same, whatever rng says.",
    lecture=CROSS,
)
def folds_by_their_own_seed(n_examples, n_folds, rng):
    return lecture.n_fold_splits(n_examples, n_folds, np.random.default_rng(1))


@misconception(
    "n_fold_splits",
    "Your randomness does not come from rng: two runs with an equal seed differ, and no result can be repeated.",
    lecture=CROSS,
)
def folds_without_the_rng(n_examples, n_folds, rng):
    return from_folds(np.array_split(np.random.permutation(n_examples), n_folds))


# ---------------------------------------------------------------- cross_validation_score


@misconception(
    "cross_validation_score",
    "You train on all the data, and then measure on a part of them: that is a training loss in disguise.",
    lecture=CROSS,
)
def fits_on_everything(x, y, splits, fit, loss):
    model = fit(x, y)
    return lecture.cross_validation_score(x, y, splits, lambda *_: model, loss)


@misconception(
    "cross_validation_score",
    "You train on the validation part and measure on the training part: swap them.",
    lecture=CROSS,
)
def swaps_the_parts(x, y, splits, fit, loss):
    return lecture.cross_validation_score(x, y, [(v, t) for t, v in splits], fit, loss)


@misconception(
    "cross_validation_score",
    "You train on the validation part and measure on it as well: the model has seen the answers.",
    lecture=CROSS,
)
def fits_on_the_validation_part(x, y, splits, fit, loss):
    return lecture.cross_validation_score(x, y, [(v, v) for _, v in splits], fit, loss)


@misconception(
    "cross_validation_score",
    "You measure the loss on the training part: the model has seen these examples, so the score says nothing about "
    "new ones.",
    lecture=CROSS,
)
def measures_the_training_loss(x, y, splits, fit, loss):
    parts = [(loss(fit(x[t], y[t]), x[t], y[t]), len(v)) for t, v in splits]
    return float(sum(value * n for value, n in parts) / sum(n for _, n in parts))


@misconception(
    "cross_validation_score",
    "You average over the folds as if they were equally large: an example in a small fold then counts more than one "
    "in a large fold.",
    lecture=CROSS,
)
def averages_the_folds(x, y, splits, fit, loss):
    return float(np.mean([loss(fit(x[t], y[t]), x[v], y[v]) for t, v in splits]))


@misconception(
    "cross_validation_score",
    "You weigh the folds by the number of their training examples. The loss is a mean over those held out: they count.",
    lecture=CROSS,
)
def weighs_by_training_examples(x, y, splits, fit, loss):
    losses = [loss(fit(x[t], y[t]), x[v], y[v]) for t, v in splits]
    return float(np.average(losses, weights=[len(t) for t, _ in splits]))


@misconception(
    "cross_validation_score",
    "You divide by the number of all examples. The splits need not hold out each of them exactly once: divide by the "
    "number that was held out.",
    lecture=CROSS,
)
def divides_by_all_examples(x, y, splits, fit, loss):
    return float(sum(len(v) * loss(fit(x[t], y[t]), x[v], y[v]) for t, v in splits) / len(x))


@misconception(
    "cross_validation_score",
    "You add the losses of the folds up, and forget to divide.",
    lecture=CROSS,
)
def sums_the_folds(x, y, splits, fit, loss):
    return float(sum(loss(fit(x[t], y[t]), x[v], y[v]) for t, v in splits))


@misconception(
    "cross_validation_score",
    "You return the loss of the last fold only: the loop overwrites the others.",
    lecture=CROSS,
)
def last_fold_only(x, y, splits, fit, loss):
    return lecture.cross_validation_score(x, y, splits[-1:], fit, loss)


@misconception(
    "cross_validation_score",
    "You return the best fold's loss: that is how lucky a fold can be, not how good the recipe is.",
    lecture=CROSS,
)
def best_fold_only(x, y, splits, fit, loss):
    return float(min(loss(fit(x[t], y[t]), x[v], y[v]) for t, v in splits))


@misconception(
    "cross_validation_score",
    "You train once, on the first fold's training part, and measure that model on every fold: it has seen most of "
    "the others' held-out examples.",
    lecture=CROSS,
)
def trains_only_once(x, y, splits, fit, loss):
    model = fit(x[splits[0][0]], y[splits[0][0]])
    return lecture.cross_validation_score(x, y, splits, lambda *_: model, loss)


@misconception(
    "cross_validation_score",
    "You return the loss of each fold. The score is one number, their mean over the examples.",
    lecture=CROSS,
)
def a_loss_for_each_fold(x, y, splits, fit, loss):
    return [loss(fit(x[t], y[t]), x[v], y[v]) for t, v in splits]


# ---------------------------------------------------------------- diagnose


@misconception(
    "diagnose",
    "You call it overfitting as soon as the test loss is large, without a look at the training loss. What has not "
    "even learned its training examples can't know them by heart.",
    lecture=CHART,
)
def test_loss_first(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if test_loss > goal:
        return "overfitting" if validation_loss > goal else "mismatch"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You call it overfitting when the test loss is clearly larger than the training loss, even where both are large, "
    "or both are small. The chart compares each with the goal.",
    lecture=CHART,
)
def overfitting_by_the_gap(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if test_loss > 1.5 * train_loss:
        return "overfitting" if validation_loss > 1.5 * train_loss else "mismatch"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You take every large training loss for model bias. If a smaller model has a lower one, a good function is "
    "there, and training did not find it: optimization.",
    lecture=OPTIMIZATION,
)
def optimization_taken_for_model_bias(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    return lecture.diagnose(train_loss, validation_loss, test_loss, float("inf"), goal)


@misconception(
    "diagnose",
    "You take every large training loss for an optimization issue. If a smaller model is no better, perhaps no "
    "function of the model is good enough: model bias.",
    lecture=OPTIMIZATION,
)
def model_bias_taken_for_optimization(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    return lecture.diagnose(train_loss, validation_loss, test_loss, float("-inf"), goal)


@misconception(
    "diagnose",
    "You have the comparison with the smaller model the wrong way round: it is an optimization issue if the SMALLER "
    "model does better.",
    lecture=OPTIMIZATION,
)
def smaller_model_upside_down(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if train_loss > goal:
        return "model bias" if smaller_model_train_loss < train_loss else "optimization"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You only suspect optimization if the smaller model reaches the goal. It need not: if it is just better than the "
    "large one, the large one has not got where it could be.",
    lecture=OPTIMIZATION,
)
def smaller_model_must_reach_the_goal(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if train_loss > goal:
        return "optimization" if smaller_model_train_loss <= goal else "model bias"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You compare the smaller model's training loss with the test loss of the large one. Training losses are to be "
    "compared with one another.",
    lecture=OPTIMIZATION,
)
def smaller_model_against_the_test_loss(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if train_loss > goal:
        return "optimization" if smaller_model_train_loss < test_loss else "model bias"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You look at the smaller model first. It only matters if the training loss is large: a model that fits its "
    "training data has no optimization issue.",
    lecture=OPTIMIZATION,
)
def smaller_model_first(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if smaller_model_train_loss < train_loss:
        return "optimization"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You take every large test loss for overfitting. If the model does well on new data of the training kind, it has "
    "not overfitted: the test data are of another kind.",
    lecture=MISMATCH,
)
def mismatch_taken_for_overfitting(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    return lecture.diagnose(train_loss, float("inf"), test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You have overfitting and mismatch the wrong way round: a model that overfits is bad on ALL data that it has not "
    "been trained on.",
    lecture=MISMATCH,
)
def overfitting_and_mismatch_swapped(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    swap = {"overfitting": "mismatch", "mismatch": "overfitting"}
    found = lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)
    return swap.get(found, found)


@misconception(
    "diagnose",
    "You call it a mismatch whenever the test loss is larger than the validation loss. It nearly always is. The "
    "question is whether the validation loss is small.",
    lecture=MISMATCH,
)
def mismatch_if_worse_than_validation(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if train_loss > goal or test_loss <= goal:
        return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)
    return "mismatch" if test_loss > validation_loss else "overfitting"


@misconception(
    "diagnose",
    "You look at the validation loss before the test loss: it serves to tell overfitting from mismatch, where the "
    "test loss is large.",
    lecture=CHART,
)
def validation_must_be_small_too(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    if train_loss <= goal and validation_loss > goal:
        return "overfitting"
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal)


@misconception(
    "diagnose",
    "You have a number of your own for what is small. Whether 0.5 is small depends on the task and on the units: ask "
    "goal.",
    lecture=CHART,
)
def a_goal_of_its_own(train_loss, validation_loss, test_loss, smaller_model_train_loss, goal):
    return lecture.diagnose(train_loss, validation_loss, test_loss, smaller_model_train_loss, 0.5)


# ---------------------------------------------------------------- early_stopping


@misconception(
    "early_stopping",
    "You wait one epoch too long: with patience 1, one epoch without a record is enough to stop.",
    lecture=OVERFITTING,
)
def waits_one_epoch_more(validation_losses, patience):
    return lecture.early_stopping(validation_losses, patience + 1)


@misconception(
    "early_stopping",
    "You stop one epoch too early: with patience 2, two epochs without a record are run.",
    lecture=OVERFITTING,
)
def waits_one_epoch_less(validation_losses, patience):
    best, last = lecture.early_stopping(validation_losses, max(patience - 1, 1))
    return best, (last if patience > 1 else best)


@misconception(
    "early_stopping",
    "You compare each epoch with the one before it, not with the best so far: a loss that recovers from a peak "
    "renews your patience again and again.",
    lecture=OVERFITTING,
)
def compares_with_the_epoch_before(validation_losses, patience):
    waited, epoch = 0, 0
    for epoch in range(1, len(validation_losses)):
        waited = 0 if validation_losses[epoch] < validation_losses[epoch - 1] else waited + 1
        if waited == patience:
            break
    return int(np.argmin(validation_losses[: epoch + 1])), epoch


@misconception(
    "early_stopping",
    "You keep the parameters of the epoch where training stopped. By then the model has been getting worse for a "
    "while: go back to the best epoch.",
    lecture=OVERFITTING,
)
def keeps_the_last_epoch(validation_losses, patience):
    _, last = lecture.early_stopping(validation_losses, patience)
    return last, last


@misconception(
    "early_stopping",
    "You keep the epoch that lies `patience` before the last one. If training ends before patience does, the best "
    "epoch is elsewhere.",
    lecture=OVERFITTING,
)
def counts_back_from_the_last(validation_losses, patience):
    _, last = lecture.early_stopping(validation_losses, patience)
    return max(last - patience, 0), last


@misconception(
    "early_stopping",
    "You take an equal loss for a record. On a plateau training would never end.",
    lecture=OVERFITTING,
)
def equal_is_a_record(validation_losses, patience):
    best = 0
    for epoch, loss in enumerate(validation_losses):
        if loss <= validation_losses[best]:
            best = epoch
        if epoch - best == patience:
            break
    return best, epoch


@misconception(
    "early_stopping",
    "You count all epochs without a record, and never start afresh: after each record, patience begins anew.",
    lecture=OVERFITTING,
)
def never_renews_patience(validation_losses, patience):
    best, waited = 0, 0
    for epoch, loss in enumerate(validation_losses):
        if loss < validation_losses[best]:
            best = epoch
        elif epoch:
            waited += 1
        if waited == patience:
            break
    return best, epoch


@misconception(
    "early_stopping",
    "You take the best epoch of the whole list. What comes after the stop is never trained, so nobody can know it.",
    lecture=OVERFITTING,
)
def looks_into_the_future(validation_losses, patience):
    _, last = lecture.early_stopping(validation_losses, patience)
    return int(np.argmin(validation_losses)), last


@misconception(
    "early_stopping",
    "You never stop: training runs through all epochs, and patience is not used.",
    lecture=OVERFITTING,
)
def never_stops(validation_losses, patience):
    return int(np.argmin(validation_losses)), len(validation_losses) - 1


@misconception(
    "early_stopping",
    "You count epochs from 1: the first one is epoch 0.",
    lecture=OVERFITTING,
)
def epochs_from_one(validation_losses, patience):
    best, last = lecture.early_stopping(validation_losses, patience)
    return best + 1, last + 1


@misconception(
    "early_stopping",
    "You look for the highest number, as for an accuracy: these are losses.",
    lecture=OVERFITTING,
)
def waits_for_the_highest(validation_losses, patience):
    return lecture.early_stopping([-loss for loss in validation_losses], patience)


@misconception(
    "early_stopping",
    "You return the last epoch first: the order is (best, last).",
    lecture=OVERFITTING,
)
def last_epoch_first(validation_losses, patience):
    return lecture.early_stopping(validation_losses, patience)[::-1]


@misconception(
    "early_stopping",
    "Your `last` is the first epoch that is not run any more: it is the last one that IS run.",
    lecture=OVERFITTING,
)
def first_epoch_not_run(validation_losses, patience):
    best, last = lecture.early_stopping(validation_losses, patience)
    return best, last + 1


# ---------------------------------------------------------------- weight_decay_step


@misconception(
    "weight_decay_step",
    "Your biases decay, too. A bias only moves the curve up and down, and that is no matter of overfitting.",
    lecture=OVERFITTING,
)
def decays_the_biases(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    shrink = 1 - learning_rate * weight_decay
    return shrink * w - learning_rate * w_gradient, shrink * b - learning_rate * b_gradient


@misconception(
    "weight_decay_step",
    "You add 2λw to the gradient: the half in front of ||w||² cancels the 2.",
    lecture=OVERFITTING,
)
def twice_the_decay(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return lecture.weight_decay_step(w, b, w_gradient, b_gradient, learning_rate, 2 * weight_decay)


@misconception(
    "weight_decay_step",
    "You add λ/2 w to the gradient: the derivative of w² brings a 2, which cancels the half.",
    lecture=OVERFITTING,
)
def half_the_decay(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return lecture.weight_decay_step(w, b, w_gradient, b_gradient, learning_rate, weight_decay / 2)


@misconception(
    "weight_decay_step",
    "Your decay has the wrong sign: the weights grow in every step.",
    lecture=OVERFITTING,
)
def weights_grow(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return lecture.weight_decay_step(w, b, w_gradient, b_gradient, learning_rate, -weight_decay)


@misconception(
    "weight_decay_step",
    "Your decay does not depend on the learning rate: in each step the weights lose the share λ, where it is ηλ.",
    lecture=OVERFITTING,
)
def decay_without_the_learning_rate(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return (1 - weight_decay) * w - learning_rate * w_gradient, b - learning_rate * b_gradient


@misconception(
    "weight_decay_step",
    "You shrink the weights after the gradient step, so the gradient is shrunk as well. The decay is that of the old "
    "weights.",
    lecture=OVERFITTING,
)
def decays_after_the_step(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    w = w - learning_rate * w_gradient
    return (1 - learning_rate * weight_decay) * w, b - learning_rate * b_gradient


@misconception(
    "weight_decay_step",
    "You pull every weight by the same amount, λ times its sign: that is the L1 penalty. With L2, large weights lose "
    "more.",
    lecture=OVERFITTING,
)
def decays_by_the_sign(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return w - learning_rate * (w_gradient + weight_decay * np.sign(w)), b - learning_rate * b_gradient


@misconception(
    "weight_decay_step",
    "Your weights do not decay at all: this is plain gradient descent.",
    lecture=OVERFITTING,
)
def no_decay(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return lecture.weight_decay_step(w, b, w_gradient, b_gradient, learning_rate, 0.0)


@misconception(
    "weight_decay_step",
    "You walk along the gradient: it points uphill.",
    lecture=OVERFITTING,
)
def climbs(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    return lecture.weight_decay_step(w, b, -w_gradient, -b_gradient, learning_rate, weight_decay)


@misconception(
    "weight_decay_step",
    "You change the arrays that you were given: whoever kept the old weights has lost them.",
    lecture=OVERFITTING,
)
def steps_in_place(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    w -= learning_rate * (w_gradient + weight_decay * w)
    b -= learning_rate * b_gradient
    return w, b


@misconception(
    "weight_decay_step",
    "Your results are float64 whatever comes in: half of the digits are made up, and twice the memory is used.",
    lecture=OVERFITTING,
)
def steps_in_float64(w, b, w_gradient, b_gradient, learning_rate, weight_decay):
    double = [np.asarray(part, dtype=np.float64) for part in (w, b, w_gradient, b_gradient)]
    return lecture.weight_decay_step(*double, learning_rate, weight_decay)


# ---------------------------------------------------------------- dropout


@misconception(
    "dropout",
    "You do not scale what is kept: in training the next layer gets less than it will get later.",
    lecture=OVERFITTING,
)
def does_not_scale(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) if training else x


@misconception(
    "dropout",
    "You scale by 1 - p after training. That is the original form of dropout: inverted dropout scales in training, "
    "so that nothing needs to be done later.",
    lecture=OVERFITTING,
)
def scales_after_training(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) if training else x * (1 - p)


@misconception(
    "dropout",
    "You multiply what is kept by 1 - p, which makes it smaller still: divide by it.",
    lecture=OVERFITTING,
)
def multiplies_by_the_share_kept(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) * (1 - p) if training else x


@misconception(
    "dropout",
    "You drop units also after training: predictions become random, and each call gives another answer.",
    lecture=OVERFITTING,
)
def drops_in_eval(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) / (1 - p)


@misconception(
    "dropout",
    "You take p for the probability of being kept: it is that of being dropped.",
    lecture=OVERFITTING,
)
def keeps_with_probability_p(x, p, training, rng):
    return x * (rng.random(x.shape) < p) / max(p, 1e-12) if training else x


@misconception(
    "dropout",
    "Your mask is upside down: it keeps the share p, though you scale by 1 / (1 - p).",
    lecture=OVERFITTING,
)
def mask_upside_down(x, p, training, rng):
    return x * (rng.random(x.shape) < p) / (1 - p) if training else x


@misconception(
    "dropout",
    "You divide by p where the share that is kept is 1 - p.",
    lecture=OVERFITTING,
)
def divides_by_p(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) / max(p, 1e-12) if training else x


@misconception(
    "dropout",
    "You scale also after training: the next layer then gets more than it was used to.",
    lecture=OVERFITTING,
)
def scales_in_eval_too(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) / (1 - p) if training else x / (1 - p)


@misconception(
    "dropout",
    "All examples of a batch get the same mask: each one should lose units of its own.",
    lecture=OVERFITTING,
)
def one_mask_for_the_batch(x, p, training, rng):
    return x * (rng.random(x.shape[-1:]) >= p) / (1 - p) if training else x


@misconception(
    "dropout",
    "You drop whole examples: all units of a row go at once. Each entry is dropped by itself.",
    lecture=OVERFITTING,
)
def drops_whole_rows(x, p, training, rng):
    if not training:
        return x
    keep = rng.random(len(x)) >= p
    return x * keep.reshape(-1, *[1] * (x.ndim - 1)) / (1 - p)


@misconception(
    "dropout",
    "You always drop exactly the share p. Each entry has its own coin, so the number that is dropped varies.",
    lecture=OVERFITTING,
)
def drops_an_exact_share(x, p, training, rng):
    if not training:
        return x
    keep = np.ones(x.size)
    keep[rng.permutation(x.size)[: round(p * x.size)]] = 0
    return (x * keep.reshape(x.shape) / (1 - p)).astype(x.dtype)


@misconception(
    "dropout",
    "Your values are float64 whatever x is: make the mask of the dtype of x.",
    lecture=OVERFITTING,
)
def drops_in_float64(x, p, training, rng):
    return x * (rng.random(x.shape) >= p).astype(np.float64) / (1 - p) if training else x


@misconception(
    "dropout",
    "You set entries of the caller's own array to zero: the values are lost for good.",
    lecture=OVERFITTING,
)
def drops_in_place(x, p, training, rng):
    if not training:
        return x
    x[rng.random(x.shape) < p] = 0
    x /= 1 - p
    return x


@misconception(
    "dropout",
    "You make a generator with a fixed seed of your own: the same units are dropped in every update.",
    lecture=OVERFITTING,
)
def drops_by_its_own_seed(x, p, training, rng):
    return lecture.dropout(x, p, training, np.random.default_rng(42))


@misconception(
    "dropout",
    "Your randomness does not come from rng: two runs with an equal seed differ, and no result can be repeated.",
    lecture=OVERFITTING,
)
def drops_without_the_rng(x, p, training, rng):
    return x * (np.random.random(x.shape) >= p) / (1 - p) if training else x


# ---------------------------------------------------------------- random_shift


def shifted(images, offsets):
    """Shift each image by its own (down, right), zeros coming in."""
    out = np.zeros_like(images)
    _, height, width = images.shape
    for n, (down, right) in enumerate(offsets):
        source = images[n, max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
        top, left = max(down, 0), max(right, 0)
        out[n, top : top + source.shape[0], left : left + source.shape[1]] = source
    return out


@misconception(
    "random_shift",
    "What leaves on one side comes in on the other, as np.roll does it. It should be gone, and zeros come in.",
    lecture=OVERFITTING,
)
def wraps_round(images, max_shift, rng):
    offsets = rng.integers(-max_shift, max_shift + 1, size=(len(images), 2))
    return np.stack([np.roll(image, shift, axis=(0, 1)) for image, shift in zip(images, offsets, strict=True)])


@misconception(
    "random_shift",
    "You repeat the pixels at the edge where empty paper should come in.",
    lecture=OVERFITTING,
)
def repeats_the_edge(images, max_shift, rng):
    s = max_shift
    padded = np.pad(images, ((0, 0), (s, s), (s, s)), mode="edge")
    corners = rng.integers(2 * s + 1, size=(len(images), 2))
    _, height, width = images.shape
    return np.stack([image[i : i + height, j : j + width] for image, (i, j) in zip(padded, corners, strict=True)])


@misconception(
    "random_shift",
    "You draw one shift for the whole batch: all its images move alike.",
    lecture=OVERFITTING,
)
def shifts_the_batch_alike(images, max_shift, rng):
    offset = rng.integers(-max_shift, max_shift + 1, size=2)
    return shifted(images, [offset] * len(images))


@misconception(
    "random_shift",
    "You use one number for both directions: images only move along a diagonal.",
    lecture=OVERFITTING,
)
def shifts_along_the_diagonal(images, max_shift, rng):
    offsets = rng.integers(-max_shift, max_shift + 1, size=len(images))
    return shifted(images, [(offset, offset) for offset in offsets])


@misconception(
    "random_shift",
    "Your images move to the right and left only, never up and down.",
    lecture=OVERFITTING,
)
def shifts_sideways_only(images, max_shift, rng):
    return shifted(images, [(0, offset) for offset in rng.integers(-max_shift, max_shift + 1, size=len(images))])


@misconception(
    "random_shift",
    "Your images move down and to the right only: a shift may be negative as well.",
    lecture=OVERFITTING,
)
def shifts_one_way_only(images, max_shift, rng):
    return shifted(images, rng.integers(0, max_shift + 1, size=(len(images), 2)))


@misconception(
    "random_shift",
    "The largest shift never occurs: the upper end of rng.integers is left out.",
    lecture=OVERFITTING,
)
def never_the_largest_shift(images, max_shift, rng):
    return shifted(images, rng.integers(-max_shift, max(max_shift, 1 - max_shift), size=(len(images), 2)))


@misconception(
    "random_shift",
    "You round a real number from -s to s: the largest shifts are drawn only half as often as the others.",
    lecture=OVERFITTING,
)
def rounds_a_real_number(images, max_shift, rng):
    return shifted(images, np.rint(rng.uniform(-max_shift, max_shift, size=(len(images), 2))).astype(int))


@misconception(
    "random_shift",
    "You always shift by the full max_shift, only the direction is random: smaller shifts belong to it, too.",
    lecture=OVERFITTING,
)
def always_the_full_shift(images, max_shift, rng):
    return shifted(images, max_shift * rng.integers(-1, 2, size=(len(images), 2)))


@misconception(
    "random_shift",
    "You shift the caller's own images: the originals are lost, and after some epochs all pictures have drifted away.",
    lecture=OVERFITTING,
)
def shifts_in_place(images, max_shift, rng):
    images[:] = lecture.random_shift(images, max_shift, rng)
    return images


@misconception(
    "random_shift",
    "Your images are float64 whatever comes in: np.zeros makes float64 unless it is told the dtype.",
    lecture=OVERFITTING,
)
def shifts_in_float64(images, max_shift, rng):
    return lecture.random_shift(images.astype(np.float64), max_shift, rng)


@misconception(
    "random_shift",
    "You forget to cut: your images are larger than they were, by the zeros around them.",
    lecture=OVERFITTING,
)
def does_not_crop(images, max_shift, rng):
    s = max_shift
    return shifted(
        np.pad(images, ((0, 0), (s, s), (s, s))), rng.integers(-max_shift, max_shift + 1, size=(len(images), 2))
    )


@misconception(
    "random_shift",
    "You make a generator with a fixed seed of your own: in every epoch the images are shifted in the same way.",
    lecture=OVERFITTING,
)
def shifts_by_its_own_seed(images, max_shift, rng):
    return lecture.random_shift(images, max_shift, np.random.default_rng(42))


@misconception(
    "random_shift",
    "Your randomness does not come from rng: two runs with an equal seed differ, and no result can be repeated.",
    lecture=OVERFITTING,
)
def shifts_without_the_rng(images, max_shift, rng):
    return shifted(images, np.random.randint(-max_shift, max_shift + 1, size=(len(images), 2)))


# ---------------------------------------------------------------- bias_and_variance


def predictions_of(fit, draw, x, n_sets, rng):
    return np.array([fit(*draw(rng))(x) for _ in range(n_sets)])


@misconception(
    "bias_and_variance",
    "You divide by K - 1. The formula has 1/K: and the spread of a single model would be 0/0.",
    lecture=BIAS,
)
def divides_by_one_less(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    with np.errstate(all="ignore"):
        deviations = predictions - predictions.mean(axis=0)
        variance = np.float64((deviations**2).sum(axis=0).mean()) / np.float64(n_sets - 1)
    return float(np.mean((predictions.mean(axis=0) - truth) ** 2)), float(variance)


@misconception(
    "bias_and_variance",
    "You return the variance of the noise: how far the readings are from the fit. Variance here is how far the "
    "MODELS are from one another.",
    lecture=BIAS,
)
def variance_of_the_noise(fit, draw, x, truth, n_sets, rng):
    predictions, noise = [], []
    for _ in range(n_sets):
        x_train, y_train = draw(rng)
        model = fit(x_train, y_train)
        predictions.append(model(x))
        noise.append(np.mean((y_train - model(x_train)) ** 2))
    return float(np.mean((np.mean(predictions, axis=0) - truth) ** 2)), float(np.mean(noise))


@misconception(
    "bias_and_variance",
    "You average the squared errors of the single models: their variance is then in your bias, too. Average the "
    "models first, then square.",
    lecture=BIAS,
)
def mean_error_as_bias(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.mean((predictions - truth) ** 2)), float(predictions.var(axis=0).mean())


@misconception(
    "bias_and_variance",
    "You take the variance over all predictions at once: how a curve goes up and down along x is no variance of the "
    "estimator.",
    lecture=BIAS,
)
def variance_along_x(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.mean((predictions.mean(axis=0) - truth) ** 2)), float(predictions.var())


@misconception(
    "bias_and_variance",
    "You take the variance of each model along x, where it is that of all models at each x: the axes are swapped.",
    lecture=BIAS,
)
def variance_over_the_wrong_axis(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.mean((predictions.mean(axis=0) - truth) ** 2)), float(predictions.var(axis=1).mean())


@misconception(
    "bias_and_variance",
    "You average over x before you square: too high on one side and too low on the other then cancels out.",
    lecture=BIAS,
)
def averages_before_squaring(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.mean(predictions - truth) ** 2), float(predictions.var(axis=0).mean())


@misconception(
    "bias_and_variance",
    "You do not square the bias: it is asked for as bias², so that it can be added to the variance.",
    lecture=BIAS,
)
def bias_not_squared(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.mean(np.abs(predictions.mean(axis=0) - truth))), float(predictions.var(axis=0).mean())


@misconception(
    "bias_and_variance",
    "You return the standard deviation: the variance is its square.",
    lecture=BIAS,
)
def standard_deviation(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.mean((predictions.mean(axis=0) - truth) ** 2)), float(predictions.std(axis=0).mean())


@misconception(
    "bias_and_variance",
    "You sum over the points x: both numbers then grow with the number of points. Take the mean.",
    lecture=BIAS,
)
def sums_over_x(fit, draw, x, truth, n_sets, rng):
    predictions = predictions_of(fit, draw, x, n_sets, rng)
    return float(np.sum((predictions.mean(axis=0) - truth) ** 2)), float(predictions.var(axis=0).sum())


@misconception(
    "bias_and_variance",
    "You draw one training set and fit to it again and again: all your models are the same, and there is no variance.",
    lecture=BIAS,
)
def draws_only_once(fit, draw, x, truth, n_sets, rng):
    examples = draw(rng)
    return lecture.bias_and_variance(fit, lambda rng: examples, x, truth, n_sets, rng)


@misconception(
    "bias_and_variance",
    "You seed a new generator for each set: every training set is the same as the first.",
    lecture=BIAS,
)
def seeds_each_set_alike(fit, draw, x, truth, n_sets, rng):
    return lecture.bias_and_variance(fit, lambda rng: draw(np.random.default_rng(0)), x, truth, n_sets, rng)


@misconception(
    "bias_and_variance",
    "You use a generator of your own: whatever rng says, the training sets are always the same ones.",
    lecture=BIAS,
)
def sets_from_its_own_seed(fit, draw, x, truth, n_sets, rng):
    return lecture.bias_and_variance(fit, draw, x, truth, n_sets, np.random.default_rng(42))


@misconception(
    "bias_and_variance",
    "You return the variance first: the order is (bias², variance).",
    lecture=BIAS,
)
def variance_first(fit, draw, x, truth, n_sets, rng):
    return lecture.bias_and_variance(fit, draw, x, truth, n_sets, rng)[::-1]
