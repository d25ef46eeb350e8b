"""Hidden tests of lecture 3: what is observed. The answers come from the reference solution."""

import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np

from grader import Problem, check, close, each, exact, same_distribution

SPLITTING = (
    *(
        f"sklearn.model_selection.{module}{name}"
        for module in ("", "_split.")
        for name in (
            "train_test_split KFold StratifiedKFold GroupKFold StratifiedGroupKFold RepeatedKFold "
            "RepeatedStratifiedKFold ShuffleSplit StratifiedShuffleSplit GroupShuffleSplit LeaveOneOut LeavePOut "
            "check_cv"
        ).split()
    ),
    "torch.utils.data.random_split",
    "torch.utils.data.dataset.random_split",
)
# Of scikit-learn's estimators the methods are watched: they look at their own constructor, so it is left alone.
SCORING = (
    *(
        f"sklearn.model_selection.{module}{name}"
        for module in ("", "_validation.")
        for name in "cross_val_score cross_validate cross_val_predict".split()
    ),
    "sklearn.model_selection.GridSearchCV.fit",
    "sklearn.model_selection.RandomizedSearchCV.fit",
)
LINEAR_MODELS = (
    *(
        f"sklearn.linear_model.{name}.fit"
        for name in (
            "Ridge RidgeCV RidgeClassifier LinearRegression ElasticNet ElasticNetCV Lasso LassoCV BayesianRidge "
            "ARDRegression SGDRegressor HuberRegressor TweedieRegressor LassoLars Lars"
        ).split()
    ),
    "sklearn.linear_model.ridge_regression",
    "sklearn.linear_model._ridge.ridge_regression",
    "sklearn.linear_model._ridge._ridge_regression",
    *(f"sklearn.linear_model._ridge._solve_{solver}" for solver in ("cholesky", "svd", "lsqr", "sparse_cg")),
    "sklearn.kernel_ridge.KernelRidge.fit",
)
POLYNOMIALS = ("sklearn.preprocessing.PolynomialFeatures.fit", "sklearn.preprocessing.PolynomialFeatures.transform")
DROPOUT = (
    *(f"torch.nn.{name}" for name in "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout".split()),
    *(
        f"torch.nn.functional.{name}"
        for name in "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout".split()
    ),
    *(
        f"torch.{name}"
        for name in (
            "dropout dropout_ native_dropout alpha_dropout alpha_dropout_ feature_dropout feature_dropout_ "
            "feature_alpha_dropout feature_alpha_dropout_"
        ).split()
    ),
)

PROBLEMS = (
    Problem("polynomial_features", forbidden=POLYNOMIALS),
    Problem("ridge_fit", forbidden=LINEAR_MODELS),
    Problem("train_validation_split", forbidden=SPLITTING),
    Problem("n_fold_splits", forbidden=SPLITTING),
    Problem("cross_validation_score", forbidden=(*SPLITTING, *SCORING)),
    Problem("dropout", forbidden=DROPOUT, operators=("aten::native_dropout", "aten::dropout")),
    Problem("bias_and_variance", bonus=True),
)


def listed(value):
    """Arrays, and lists and tuples of arrays, as nested lists."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [listed(item) for item in value] if isinstance(value, list) else value


def same_seed_same_result(results):
    """Of three results: the first two with an equal seed, the third with another."""
    first, again, other = map(listed, results)
    return {"an equal seed gives an equal result": first == again, "another seed gives another": first != other}


def three_seeds(rng):
    seed = int(rng.integers(1000))
    return [np.random.default_rng(one) for one in (seed, seed, seed + 1)]


# ---------------------------------------------------------------- polynomial_features


@check("polynomial_features", points=3, hint="Write the row of x = 2 on paper: where does it begin, and where end?")
def powers_of_each_example(student, rng):
    """Every example has its powers from 1 to d in a row, the first power first."""
    return {
        "degree 1": student.polynomial_features(np.array([2.0, -3.0]), 1),
        "degree 3": student.polynomial_features(np.array([2.0, -3.0]), 3),
        "degree 6, five examples": student.polynomial_features(rng.uniform(-1.5, 1.5, size=5), 6),
    }


@check("polynomial_features", points=1, hint="Without any power, how many columns are left? And how many rows?")
def degree_zero_has_no_features(student, rng):
    """The model of degree 0 has a row for each example, and no feature in it."""
    return student.polynomial_features(rng.normal(size=4), 0)


@check("polynomial_features", points=1, hint="A row for each example, even if there is only one.")
def one_example_is_one_row(student, rng):
    """A single example is a single row; as many examples as powers make a square."""
    return {
        "one example": student.polynomial_features(rng.normal(size=1), 4),
        "three examples, three powers": student.polynomial_features(rng.normal(size=3), 3),
    }


@check("polynomial_features", points=1, hint="What do zero and negative numbers become, in even and in odd powers?")
def signs_of_the_powers(student, rng):
    """Zero and negative numbers have powers, too."""
    return student.polynomial_features(np.array([0.0, -1.0, -0.5, 1.0]), 4)


@check("polynomial_features", points=1, hint="The exponents are an array, too. Of which dtype?")
def powers_keep_single_precision(student, rng):
    """float32 examples have float32 features."""
    return student.polynomial_features(rng.uniform(-1, 1, size=3).astype(np.float32), 3)


# ---------------------------------------------------------------- ridge_fit


def regression(rng, n_examples, n_features):
    return rng.normal(1.0, 1.0, size=(n_examples, n_features)), rng.normal(3.0, 2.0, size=n_examples)


@check("ridge_fit", points=2, hint="Without penalty this is least squares: the smallest sum of squared misses.")
def least_squares_without_penalty(student, rng):
    """With penalty 0, the fit is the least-squares line or plane."""
    x = np.array([[0.0], [1.0], [3.0]])
    return {
        "points on a line": student.ridge_fit(x, 4.0 - 2.0 * x[:, 0], 0.0),
        "points beside a line": student.ridge_fit(x, np.array([1.0, 0.0, 4.0]), 0.0),
        "three features": student.ridge_fit(*regression(rng, 8, 3), 0.0),
    }


@check(
    "ridge_fit",
    points=3,
    hint="Write down dL'/dw and set it to zero. Which factors stand before λ, and before the sum?",
)
def penalty_shrinks_the_weights(student, rng):
    """With a penalty, the weights are those that minimize L'."""
    one, three = regression(rng, 5, 1), regression(rng, 8, 3)
    cases = {f"one feature, penalty {penalty}": student.ridge_fit(*one, penalty) for penalty in (0.1, 2.0)}
    return cases | {f"three features, penalty {penalty}": student.ridge_fit(*three, penalty) for penalty in (0.5, 20.0)}


@check("ridge_fit", points=2, hint="Lift all y by 100: what should become of the weights, and what of the bias?")
def the_bias_is_free(student, rng):
    """If all depths are 100 larger, or all features 50 larger, the weights stay as they are."""
    features, y = regression(rng, 6, 2)
    return {
        "y + 100": student.ridge_fit(features, y + 100.0, 1.0),
        "features + 50": student.ridge_fit(features + 50.0, y, 1.0),
        "a huge penalty": student.ridge_fit(features, y, 1e6),
    }


@check("ridge_fit", points=1, hint="The loss is a mean over the examples, not a sum.")
def doubled_data_change_nothing(student, rng):
    """If every example is there twice, or five times, the fit is the same."""
    features, y = regression(rng, 4, 2)
    return {
        f"{times} times": student.ridge_fit(np.tile(features, (times, 1)), np.tile(y, times), 0.7)
        for times in (1, 2, 5)
    }


@check("ridge_fit", points=1, hint="Without weights there is only b. Which b has the smallest squared error?")
def no_features_leave_the_bias(student, rng):
    """Without features, the best model is a constant."""
    y = rng.normal(size=5)
    return {
        "without penalty": student.ridge_fit(np.zeros((5, 0)), y, 0.0),
        "with a penalty": student.ridge_fit(np.zeros((5, 0)), y, 1.0),
    }


_LINE = np.array([[0.0], [1.0], [2.0], [5.0]])
SINGULAR = {
    "the same feature twice": np.hstack([_LINE, _LINE]),
    "a feature that is always 0": np.hstack([_LINE, np.zeros((4, 1))]),
    "a feature that is always 1": np.hstack([_LINE, np.ones((4, 1))]),
    "one example": np.array([[1.0, -2.0]]),
    "three examples of five features": np.array(
        [[1.0, 0.0, 2.0, -1.0, 3.0], [0.0, 4.0, 1.0, 1.0, -2.0], [2.0, 1.0, 0.0, 5.0, 1.0]]
    ),
}


def predictions(fits):
    """What the fits say of their own examples: alike for all w and b that reach the minimum."""
    said = {}
    for case, features in SINGULAR.items():
        w, b = fits[case]
        said[case] = features @ np.asarray(w) + float(b)
    return said


@check(
    "ridge_fit",
    points=2,
    after=predictions,
    compare=close(rtol=1e-6, atol=1e-6),
    hint="Look for a solver of least squares that does not need an inverse.",
)
def many_weights_are_best(student, rng):
    """With penalty 0 and a singular matrix, one of the best fits comes back, and it fits as well as can be."""
    return {
        case: student.ridge_fit(features, np.array([1.0, 3.0, 0.0, 6.0])[: len(features)], 0.0)
        for case, features in SINGULAR.items()
    }


@check("ridge_fit", points=1, hint="With a penalty there is just one best fit: how do two equal features share it?")
def penalty_decides_between_equals(student, rng):
    """With a penalty, two equal features share their weight, and there may be more features than examples."""
    features, y = regression(rng, 5, 1)
    return {
        "the same feature twice": student.ridge_fit(np.hstack([features, features]), y, 0.4),
        "three examples of five features": student.ridge_fit(*regression(rng, 3, 5), 0.4),
    }


# ---------------------------------------------------------------- train_validation_split


def split_numbers(student, n_examples, n_validation, rng):
    """A split of x = 0, 1, 2, ... and y the same."""
    x = np.arange(n_examples)
    return student.train_validation_split(x, x.copy(), n_validation, rng)


def split_sizes(split):
    return [[len(part) for part in pair] for pair in split]


SIZES = [(2, 1), (5, 2), (10, 9), (30, 7)]


@check("train_validation_split", points=2, after=each(split_sizes), hint="Which pair comes first, and how long is it?")
def sizes_of_the_two_parts(student, rng):
    """n_validation examples are held out, all the others are for training."""
    return {f"{held} of {n} held out": split_numbers(student, n, held, rng) for n, held in SIZES}


def split_examples(split):
    return sorted(int(n) for x, _ in split for n in x)


@check("train_validation_split", points=2, after=each(split_examples), hint="What is held out must not be trained on.")
def every_example_in_one_part(student, rng):
    """Every example is in exactly one of the two parts."""
    return {f"{held} of {n} held out": split_numbers(student, n, held, rng) for n, held in SIZES}


def pairs_of(split):
    return sorted([float(a), float(b)] for x, y in split for a, b in zip(x, y, strict=True))


@check("train_validation_split", points=2, after=pairs_of, hint="One random order has to serve both arrays.")
def each_x_keeps_its_y(student, rng):
    """Each x is still beside the y that belongs to it."""
    x, y = rng.normal(size=(2, 11))
    return student.train_validation_split(x, y, 4, rng)


def all_pairs_alike(pairs):
    """For each two of 6 examples: whether they are a pair at all, and about as often as any other two.

    In 1500 random pairs, each of the 15 comes 100 times. The standard deviation is below 10.
    """
    lower, upper = np.sort(np.array(pairs).reshape(-1, 2).astype(int), axis=1).T
    counts = np.bincount(6 * lower + upper, minlength=36)
    counts = counts[[6 * one + other for one, other in itertools.combinations(range(6), 2)]]
    return {"each two at some time": (counts > 0).tolist(), "about equally often": abs(counts - 100).max() < 58}


@check(
    "train_validation_split", points=2, after=all_pairs_alike, hint="Shuffle all of the examples before you cut them."
)
def any_two_can_be_held_out(student, rng):
    """Over 1500 splits, any 2 of 6 examples are held out together, each two about equally often."""
    return [split_numbers(student, 6, 2, rng)[1][0] for _ in range(1500)]


@check(
    "train_validation_split",
    points=1,
    after=same_seed_same_result,
    hint="All randomness comes from the rng that you are given.",
)
def an_equal_seed_gives_the_same_split(student, rng):
    """An equally seeded rng gives the same split again, and another seed another."""
    return [split_numbers(student, 40, 15, one) for one in three_seeds(rng)]


def part_kinds(split):
    return [[[str(part.dtype), list(part.shape[1:])] for part in pair] for pair in split]


@check("train_validation_split", points=1, after=each(part_kinds), hint="A part of the data has the type of the data.")
def split_keeps_shape_and_dtype(student, rng):
    """Examples of any shape and dtype are split as they are."""
    images = rng.normal(size=(5, 2, 3)).astype(np.float32)
    return {
        "rows of float32": student.train_validation_split(images[:, 0], np.arange(5.0), 2, rng),
        "images with int8 labels": student.train_validation_split(images, np.arange(5, dtype=np.int8), 2, rng),
        "one held out, y of two columns": student.train_validation_split(images[:, 0], images[:, 1], 1, rng),
    }


# ---------------------------------------------------------------- select_model


class Candidate(NamedTuple):
    n_parameters: int
    train_loss: float
    validation_loss: float


def candidates(*rows):
    return [Candidate(*row) for row in rows]


@check("select_model", points=3, hint="Which of the losses tells how a model will do on new data?")
def lowest_validation_loss(student, rng):
    """The lowest validation loss wins, wherever it stands and whatever the training loss is."""
    return {
        "one model": student.select_model(candidates((3, 0.2, 0.4))),
        "the larger of two": student.select_model(candidates((2, 0.5, 0.6), (5, 0.3, 0.4))),
        "the smaller of two": student.select_model(candidates((9, 0.1, 0.9), (4, 0.4, 0.5))),
        "the middle of five": student.select_model(
            candidates((1, 3.0, 3.1), (9, 0.0, 8.0), (3, 0.9, 1.0), (5, 0.4, 1.2), (2, 2.0, 2.2))
        ),
        "the worst on the training data": student.select_model(candidates((4, 0.1, 0.9), (6, 0.2, 0.8), (7, 0.5, 0.7))),
        "large losses": student.select_model(candidates((1, 800.0, 900.0), (2, 400.0, 500.0), (3, 10.0, 700.0))),
    }


@check("select_model", points=2, hint="Two models do equally well. Which one has less room to be lucky?")
def equal_losses_go_to_the_simpler(student, rng):
    """Of models with an equal validation loss, the one with the fewest parameters is taken, then the first."""
    return {
        "the simpler comes last": student.select_model(candidates((8, 0.1, 0.5), (6, 0.2, 0.5), (3, 0.4, 0.5))),
        "the simpler comes first": student.select_model(candidates((2, 0.4, 0.5), (3, 0.3, 0.5), (9, 0.1, 0.7))),
        "a simpler one that is worse": student.select_model(candidates((1, 0.8, 0.9), (7, 0.1, 0.5), (5, 0.3, 0.5))),
        "twins": student.select_model(candidates((9, 0.2, 0.7), (4, 0.3, 0.5), (4, 0.1, 0.5))),
    }


@check(
    "select_model", points=2, hint="First find the best loss, then all that are within reach of it, then the simplest."
)
def within_the_tolerance(student, rng):
    """Within the tolerance, models are equally good, and the simplest of them is taken."""
    models = candidates((7, 0.3, 2.2), (6, 0.5, 2.3), (9, 0.1, 2.0), (4, 0.9, 2.9), (2, 2.0, 4.0))
    close_by = candidates((5, 0.3, 1.0), (3, 0.5, 1.4), (3, 0.6, 1.2), (3, 0.1, 1.3), (1, 3.0, 5.0))
    cases = {f"tolerance {t}": student.select_model(models, tolerance=t) for t in (0.1, 0.5, 1.5, 9.0)}
    return cases | {
        "equally simple: the better one": student.select_model(close_by, tolerance=0.7),
        "twins within the tolerance": student.select_model(
            candidates((8, 0.1, 1.0), (3, 0.5, 1.2), (3, 0.4, 1.2)), tolerance=0.5
        ),
    }


@check("select_model", points=1, hint="Is NaN less than a number? Is a number less than NaN? Ask Python.")
def broken_models_are_never_chosen(student, rng):
    """A model whose validation loss is NaN is never chosen."""
    nan = float("nan")
    return {
        "it comes first": student.select_model(candidates((1, 0.1, nan), (5, 0.3, 0.8), (4, 0.3, 0.6))),
        "it comes last": student.select_model(candidates((5, 0.3, 0.6), (4, 0.3, 0.8), (1, 0.1, nan))),
        "two of them, and a tolerance": student.select_model(
            candidates((6, 0.3, 0.6), (2, 0.1, nan), (5, 0.3, 0.7), (1, 0.1, nan)), tolerance=0.3
        ),
    }


# ---------------------------------------------------------------- n_fold_splits

FOLDS = [(2, 2), (6, 3), (7, 3), (10, 4), (5, 5), (23, 6)]


def all_folds(student, rng):
    return {f"{n} examples, {folds} folds": list(student.n_fold_splits(n, folds, rng)) for n, folds in FOLDS}


def fold_sizes(splits):
    return sorted(len(validation) for _, validation in splits)


@check("n_fold_splits", points=1, after=each(fold_sizes), hint="Share the left-over examples out, one to a fold.")
def folds_are_as_even_as_can_be(student, rng):
    """There are n_folds folds, and their sizes differ by at most 1."""
    return all_folds(student, rng)


def validated(splits):
    return sorted(int(n) for _, validation in splits for n in validation)


@check("n_fold_splits", points=2, after=each(validated), hint="The folds are a cut of the whole: no gap, no overlap.")
def every_example_has_one_turn(student, rng):
    """Every example is held out in exactly one fold."""
    return all_folds(student, rng)


def trained_and_validated(splits):
    return [
        {
            "train and validation together": sorted(int(n) for part in pair for n in part),
            "in both": sorted({int(n) for n in pair[0]} & {int(n) for n in pair[1]}),
        }
        for pair in splits
    ]


@check("n_fold_splits", points=2, after=each(trained_and_validated), hint="In each fold, who is not held out?")
def all_the_others_are_trained_on(student, rng):
    """In each fold, the examples that are not held out are trained on, each once."""
    return all_folds(student, rng)


@check(
    "n_fold_splits",
    points=2,
    after=all_pairs_alike,
    hint="Data often come in some order. Should a fold be a neighbourhood?",
)
def any_two_can_share_a_fold(student, rng):
    """Over 500 times, any two of 6 examples share a fold, each two about equally often."""
    return [[validation for _, validation in student.n_fold_splits(6, 3, rng)] for _ in range(500)]


@check(
    "n_fold_splits",
    points=1,
    after=same_seed_same_result,
    hint="All randomness comes from the rng that you are given.",
)
def an_equal_seed_gives_the_same_folds(student, rng):
    """An equally seeded rng gives the same folds again, and another seed others."""
    return [list(student.n_fold_splits(40, 8, one)) for one in three_seeds(rng)]


def index_kinds(splits):
    return [["integers" if part.dtype.kind in "iu" else str(part.dtype), part.ndim] for pair in splits for part in pair]


@check(
    "n_fold_splits", points=1, after=index_kinds, hint="They are to pick examples: x[train]. With what can one pick?"
)
def folds_are_arrays_of_indices(student, rng):
    """Each part is an array of whole numbers, of one dimension, even if it holds a single index."""
    return list(student.n_fold_splits(5, 4, rng))


# ---------------------------------------------------------------- cross_validation_score


def fit_mean(x, y):
    return float(np.mean(y))


def squared_miss(model, x, y):
    return float(np.mean((model - y) ** 2))


def fit_memory(x, y):
    """A model that knows its examples by heart, and says 0 where it knows nothing."""
    return {float(value): float(label) for value, label in zip(x, y, strict=True)}


def memory_miss(model, x, y):
    return float(np.mean([abs(model.get(float(value), 0.0) - label) for value, label in zip(x, y, strict=True)]))


def fit_line(x, y):
    table = np.column_stack([np.ones(len(x)), x])
    return np.linalg.lstsq(table, y, rcond=None)[0]


def line_miss(model, x, y):
    return np.abs(np.column_stack([np.ones(len(x)), x]) @ model - y).mean()


def folds_of(n_examples, *cuts, rng=None):
    """Splits of a (shuffled) range at given places."""
    order = np.arange(n_examples) if rng is None else rng.permutation(n_examples)
    folds = np.split(order, cuts)
    return [(np.setdiff1d(order, fold), fold) for fold in folds]


@check("cross_validation_score", points=2, hint="Train on the one part, measure on the other, fold by fold.")
def score_of_even_folds(student, rng):
    """The score of the simplest recipe, over folds of equal size."""
    x, y = rng.normal(size=(2, 6))
    one = [(np.array([0, 1]), np.array([2]))]
    return {
        "one fold of one example": student.cross_validation_score(
            x[:3], np.array([0.0, 2.0, 5.0]), one, fit_mean, squared_miss
        ),
        "two folds": student.cross_validation_score(x, y, folds_of(6, 3), fit_mean, squared_miss),
        "three shuffled folds": student.cross_validation_score(
            x, y, folds_of(6, 2, 4, rng=rng), fit_mean, squared_miss
        ),
    }


@check("cross_validation_score", points=3, hint="A model that knows its examples by heart: on which data is it tested?")
def what_is_known_by_heart_does_not_count(student, rng):
    """A model that knows only its training examples knows nothing of those held out."""
    x, y = np.arange(6.0), rng.uniform(1, 5, size=6)
    return {
        "leave one out": student.cross_validation_score(x, y, folds_of(6, 1, 2, 3, 4, 5), fit_memory, memory_miss),
        "three folds": student.cross_validation_score(x, y, folds_of(6, 2, 4), fit_memory, memory_miss),
    }


@check("cross_validation_score", points=2, hint="Each example that is held out counts once. How many are in each fold?")
def score_of_uneven_folds(student, rng):
    """With uneven folds, each held-out example counts once."""
    x, y = rng.normal(size=(2, 8))
    return {
        "folds of 1 and 7": student.cross_validation_score(x, y, folds_of(8, 1), fit_mean, squared_miss),
        "folds of 2, 1 and 5": student.cross_validation_score(x, y, folds_of(8, 2, 3), fit_mean, squared_miss),
    }


@check("cross_validation_score", points=1, hint="The sizes of the folds that are there decide, nothing else.")
def splits_that_do_not_cover_everything(student, rng):
    """Splits may leave examples out, or hold some out twice: those that are held out count."""
    x, y = rng.normal(size=(2, 9))
    splits = [
        (np.array([0, 1, 2]), np.array([3, 4])),
        (np.array([3, 4, 5, 8]), np.array([0])),
        (np.array([6]), np.array([3, 4, 5])),
    ]
    return {
        "one split": student.cross_validation_score(x, y, splits[:1], fit_mean, squared_miss),
        "three splits": student.cross_validation_score(x, y, splits, fit_mean, squared_miss),
    }


@check("cross_validation_score", points=1, hint="Do not look into the model or the data: `fit` and `loss` know them.")
def any_recipe_and_any_loss(student, rng):
    """Any kind of model, loss and example will do."""
    x, y = rng.normal(size=(2, 7))
    images = rng.normal(size=(7, 2, 3)).astype(np.float32)
    return {
        "a line, absolute error": student.cross_validation_score(x, y, folds_of(7, 3), fit_line, line_miss),
        "images": student.cross_validation_score(
            images, y, folds_of(7, 2, 5), lambda x, y: x.mean(), lambda model, x, y: float(np.mean(x + model))
        ),
        "a model that is a function": student.cross_validation_score(
            x, y, folds_of(7, 2), lambda x, y: lambda new: new - x.max(), lambda model, x, y: np.mean(model(x) * y)
        ),
    }


@check(
    "cross_validation_score", points=1, hint="Each fold is judged by its own model. Does it matter which comes first?"
)
def order_of_the_folds_does_not_matter(student, rng):
    """The score is the same in whatever order the folds come."""
    x, y = rng.normal(size=(2, 7))
    splits = folds_of(7, 1, 4)
    return {
        f"folds {order}": student.cross_validation_score(x, y, [splits[k] for k in order], fit_mean, squared_miss)
        for order in ((0, 1, 2), (2, 0, 1))
    }


# ---------------------------------------------------------------- diagnose


def diagnoses(student, goal, **patients):
    """Patients: (train, validation, test, training loss of the smaller model)."""
    return {
        name.replace("_", " "): student.diagnose(
            train_loss=train, validation_loss=validation, test_loss=test, smaller_model_train_loss=smaller, goal=goal
        )
        for name, (train, validation, test, smaller) in patients.items()
    }


@check("diagnose", points=3, hint="Before you ask whether it does well elsewhere: has it learned its own examples?")
def the_training_loss_comes_first(student, rng):
    """A large training loss is looked at before any other loss."""
    return diagnoses(
        student,
        0.5,
        all_large=(2.0, 2.1, 2.3, 4.0),
        test_much_larger=(2.0, 8.0, 9.0, 4.0),
        only_test_larger=(2.0, 2.1, 9.0, 4.0),
        test_small_by_luck=(2.0, 2.1, 0.2, 4.0),
        learned_but_not_elsewhere=(0.2, 8.0, 9.0, 4.0),
    )


@check("diagnose", points=3, hint="If a smaller model can do it, a larger one could do it, too.")
def a_smaller_model_does_better(student, rng):
    """A large training loss is a matter of optimization if a smaller model has a lower one, else model bias."""
    return diagnoses(
        student,
        0.5,
        smaller_is_far_better=(3.0, 3.2, 3.4, 0.1),
        smaller_is_better_but_not_good=(3.0, 3.2, 3.4, 2.0),
        smaller_is_better_and_test_is_better=(3.0, 2.4, 2.2, 2.6),
        smaller_is_worse=(3.0, 3.2, 3.4, 5.0),
        smaller_is_worse_but_beats_the_test_loss=(3.0, 6.2, 7.4, 5.0),
    )


@check("diagnose", points=3, hint="Held-out data of the training kind: does the model do well on them?")
def overfitting_or_mismatch(student, rng):
    """What a small training and a large test loss mean, the held-out data of the training kind decide."""
    return diagnoses(
        student,
        0.5,
        bad_on_both=(0.1, 4.0, 5.0, 2.0),
        held_out_worse_than_test=(0.1, 9.0, 5.0, 2.0),
        bad_only_where_data_are_different=(0.1, 0.2, 5.0, 2.0),
        a_smaller_model_fits_better_but_it_does_not_matter=(0.2, 6.0, 5.0, 0.1),
        held_out_twice_the_training_loss_but_small=(0.1, 0.3, 5.0, 2.0),
    )


@check("diagnose", points=1, hint="When both boxes of the chart say small, what is left to mend?")
def small_on_both_is_done(student, rng):
    """Small training and test losses: done, however far they are apart."""
    return diagnoses(
        student,
        0.5,
        all_is_well=(0.1, 0.2, 0.2, 2.0),
        test_four_times_the_training_loss=(0.1, 0.2, 0.4, 2.0),
        smaller_is_better_still=(0.3, 0.3, 0.3, 0.1),
        validation_is_large_but_test_is_small=(0.1, 0.9, 0.2, 2.0),
        test_is_large=(0.1, 0.2, 0.9, 2.0),
    )


@check("diagnose", points=1, hint="What is small? Only the goal can say.")
def the_goal_decides_what_is_small(student, rng):
    """The same losses with other goals."""
    patient = (1.0, 4.0, 6.0, 2.0)
    return {f"goal {goal}": diagnoses(student, goal, a=patient) for goal in (0.2, 2.5, 5.0, 9.0)}


@check("diagnose", points=1, hint="Centimetres or metres: the illness stays the same.")
def units_do_not_matter(student, rng):
    """The losses of five patients in other units: the goal is in the same ones."""
    patients = {
        "a": (2.0, 2.1, 9.0, 4.0),
        "b": (2.0, 2.1, 9.0, 1.0),
        "c": (0.1, 3.0, 4.0, 2.0),
        "d": (0.1, 0.2, 4.0, 2.0),
        "e": (0.1, 0.2, 0.3, 2.0),
    }
    return {
        f"times {unit:g}": diagnoses(
            student, 0.5 * unit, **{name: tuple(unit * loss for loss in losses) for name, losses in patients.items()}
        )
        for unit in (1000.0, 0.001)
    }


# ---------------------------------------------------------------- early_stopping


@check(
    "early_stopping", points=2, hint="Which epoch had the best parameters, and which was the last that you paid for?"
)
def down_and_up_again(student, rng):
    """The loss falls and then rises: the best epoch is kept, and training stops some epochs later."""
    return {
        "patience 1": student.early_stopping([3.0, 2.0, 2.5, 2.7, 2.9], patience=1),
        "patience 2": student.early_stopping([5.0, 4.0, 3.0, 3.5, 4.5, 5.5, 6.0], patience=2),
        "it only rises": student.early_stopping([1.0, 2.0, 3.0, 4.0], patience=2),
    }


@check("early_stopping", points=2, hint="With patience 1, how many epochs without a record are run? With patience 3?")
def how_long_patience_lasts(student, rng):
    """The same losses under growing patience: what comes too late is never seen."""
    losses = [9.0, 7.0, 8.0, 6.0, 8.5, 7.5, 5.0, 9.5, 9.0, 8.0, 4.0, 6.5]
    return {f"patience {patience}": student.early_stopping(losses, patience=patience) for patience in (1, 2, 3, 4, 20)}


@check("early_stopping", points=2, hint="An epoch may be better than the one before it, and still be no record.")
def a_record_beats_all_epochs_before(student, rng):
    """A loss that recovers from a peak, but not to its best, sets no record."""
    return {
        "after a peak": student.early_stopping([2.0, 9.0, 8.0, 7.0, 6.0, 5.0], patience=3),
        "zigzag": student.early_stopping([5.0, 4.0, 6.0, 4.5, 6.0, 4.2, 6.0, 4.1], patience=4),
    }


@check("early_stopping", points=1, hint="Does patience begin anew with each record?")
def each_record_renews_patience(student, rng):
    """With each record, the waiting starts afresh."""
    losses = [9.0, 9.5, 8.0, 8.5, 7.0, 7.5, 6.0, 6.5, 6.6, 6.7]
    return {f"patience {patience}": student.early_stopping(losses, patience=patience) for patience in (2, 3)}


@check("early_stopping", points=1, hint="Strictly below: is a loss that equals the record a new one?")
def an_equal_loss_is_no_record(student, rng):
    """A loss equal to the best one sets no record: of equal epochs, the earliest is kept."""
    return {
        "a plateau": student.early_stopping([3.0, 2.0, 2.0, 2.0, 2.0, 1.0], patience=3),
        "the best loss again": student.early_stopping([3.0, 2.0, 2.5, 2.0, 2.5, 2.0], patience=4),
    }


@check("early_stopping", points=1, hint="What is the last epoch if nobody ever loses patience?")
def the_epochs_end_first(student, rng):
    """If patience is never lost, training runs to its last epoch."""
    return {
        "one epoch": student.early_stopping([1.5], patience=1),
        "always better": student.early_stopping([4.0, 3.0, 2.0, 1.0], patience=1),
        "a rise at the end": student.early_stopping([4.0, 3.0, 3.5, 3.2], patience=3),
        "patience is lost in the last epoch": student.early_stopping([4.0, 3.0, 3.5, 3.2], patience=2),
    }


# ---------------------------------------------------------------- weight_decay_step


def layer(rng, shape, dtype=float):
    """Weights, biases and their gradients."""
    return [rng.normal(size=size).astype(dtype) for size in (shape, shape[-1:], shape, shape[-1:])]


@check("weight_decay_step", points=2, hint="Differentiate λ/2 ||w||², add it to the gradient, and walk downhill.")
def decay_and_gradient_together(student, rng):
    """A step with a gradient and decay: one weight, and a layer of weights."""
    one = [np.array([2.0]), np.array([3.0]), np.array([1.0]), np.array([-4.0])]
    return {
        "one weight, one bias": student.weight_decay_step(*one, learning_rate=0.5, weight_decay=0.2),
        "a layer": student.weight_decay_step(*layer(rng, (3, 2)), learning_rate=0.1, weight_decay=0.7),
    }


@check("weight_decay_step", points=1, hint="Without a gradient, by which factor does a weight shrink? And a bias?")
def weights_shrink_and_biases_stay(student, rng):
    """Where the gradients are zero, the weights shrink and the biases stay."""
    w, b, w_gradient, b_gradient = layer(rng, (2, 4))
    return {
        f"decay {decay}": student.weight_decay_step(w, b, 0 * w_gradient, 0 * b_gradient, 0.2, decay)
        for decay in (0.5, 3.0)
    }


@check("weight_decay_step", points=1, hint="With λ = 0 nothing decays.")
def no_decay_is_gradient_descent(student, rng):
    """With weight decay 0, the step is plain gradient descent."""
    return student.weight_decay_step(*layer(rng, (4,)), learning_rate=0.3, weight_decay=0.0)


@check("weight_decay_step", points=2, hint="Follow three steps on paper. Where does L' have its minimum?")
def many_steps_in_a_bowl(student, rng):
    """The path of several steps in a bowl, each kept."""
    w, b = np.array([4.0, -2.0]), np.array([1.0])
    path = []
    for _ in range(4):
        w, b = student.weight_decay_step(w, b, w - 1.0, 2 * b, learning_rate=0.4, weight_decay=0.5)
        path += [w, b]
    return path


@check("weight_decay_step", points=1, hint="The formula works on whole arrays: leave their shape and dtype alone.")
def step_keeps_shape_and_dtype(student, rng):
    """Arrays of any shape, without dimensions even, and float32 stays float32."""
    w, _, w_gradient, _ = layer(rng, (2, 3, 2))
    return {
        "a bias without dimensions": student.weight_decay_step(w, np.array(0.5), w_gradient, np.array(2.0), 0.1, 0.2),
        "float32": student.weight_decay_step(*layer(rng, (3, 2), np.float32), learning_rate=0.1, weight_decay=0.2),
    }


# ---------------------------------------------------------------- dropout


def kept_or_dropped(outputs):
    return {
        case: bool((output == 0).any()) if case.startswith("training: are") else output
        for case, output in outputs.items()
    }


@check(
    "dropout",
    points=1,
    after=kept_or_dropped,
    compare=exact(),
    hint="After training, the whole team is there, and nobody needs to shout.",
)
def nothing_is_dropped_in_eval(student, rng):
    """Outside of training, the values are as they were, and so they are with p = 0."""
    x = rng.normal(size=(4, 3))
    return {
        "eval, p = 0.5": student.dropout(x, p=0.5, training=False, rng=rng),
        "eval, p = 0.9": student.dropout(x[0], p=0.9, training=False, rng=rng),
        "training, p = 0": student.dropout(x, p=0.0, training=True, rng=rng),
        "training: are there zeros?": student.dropout(np.ones(100), p=0.5, training=True, rng=rng),
    }


def values_that_occur(outputs):
    return {case: np.unique(np.round(output, 6)).tolist() for case, output in outputs.items()}


@check(
    "dropout", points=2, after=values_that_occur, hint="The mean shall stay: if half is missing, how loud is the rest?"
)
def survivors_are_scaled(student, rng):
    """In training, each entry becomes 0 or is divided by the share that is kept."""
    return {f"p = {p}": student.dropout(np.ones(2000), p=p, training=True, rng=rng) for p in (0.5, 0.2, 0.75, 0.9)}


def shares_dropped(outputs):
    """Whether the share of zeros is p, give or take 0.03: more than six standard deviations of 10,000 entries."""
    return {
        case: bool(abs(np.mean(output == 0) - float(case.removeprefix("p = "))) < 0.03)
        for case, output in outputs.items()
    }


@check("dropout", points=1, after=shares_dropped, hint="p is the probability of being dropped, not of being kept.")
def the_share_p_is_dropped(student, rng):
    """The share of entries that become 0 is p."""
    return {f"p = {p}": student.dropout(np.ones(10_000), p=p, training=True, rng=rng) for p in (0.2, 0.5, 0.7)}


def dropped_counts(outputs):
    return np.array([np.count_nonzero(output == 0) for output in outputs])


@check(
    "dropout",
    points=1,
    after=dropped_counts,
    compare=same_distribution(),
    hint="Toss a coin for each entry. Are there always equally many heads?",
)
def how_many_are_dropped_is_random(student, rng):
    """How many of 10 entries are dropped varies as it does when each has its own coin."""
    return [student.dropout(np.ones(10), p=0.3, training=True, rng=rng) for _ in range(400)]


def different_rows_and_columns(output):
    kept = np.asarray(output) != 0
    return {
        "rows that differ": len({row.tobytes() for row in kept}),
        "columns that differ": len({column.tobytes() for column in kept.T.copy()}),
    }


@check(
    "dropout", points=1, after=different_rows_and_columns, hint="Does each example have a mask of its own? Each unit?"
)
def every_entry_by_itself(student, rng):
    """Of 60 examples with 60 units, no two have the same mask, and no two units are dropped together."""
    return student.dropout(np.ones((60, 60)), p=0.5, training=True, rng=rng)


_X = np.linspace(-2, 3, 48).reshape(3, 4, 4)


def dropped_from_x(outputs):
    """Whether each entry is 0 or what it was over 1 - p, in shape and dtype of the input."""
    return {
        case: [
            bool(np.all((output == 0) | np.isclose(output, _X.astype(output.dtype) / 0.6, rtol=1e-4))),
            str(output.dtype),
            list(output.shape),
        ]
        for case, output in outputs.items()
    }


@check("dropout", points=1, after=dropped_from_x, hint="An entry stays in its place, and keeps its sign and type.")
def values_shape_and_dtype_are_kept(student, rng):
    """Arrays of any shape and sign: what is kept stays in its place, and float32 stays float32."""
    return {
        "float64": student.dropout(_X.copy(), p=0.4, training=True, rng=rng),
        "float32": student.dropout(_X.astype(np.float32), p=0.4, training=True, rng=rng),
    }


def repeated_or_new(outputs):
    return {
        **same_seed_same_result(outputs[:3]),
        "a second call drops others": listed(outputs[2]) != listed(outputs[3]),
    }


@check("dropout", points=1, after=repeated_or_new, hint="All randomness comes from the rng that you are given.")
def an_equal_seed_drops_the_same(student, rng):
    """An equally seeded rng drops the same entries, another seed others, and so does a second call."""
    first, again, other = three_seeds(rng)
    return [student.dropout(np.ones(50), p=0.5, training=True, rng=one) for one in (first, again, other, other)]


# ---------------------------------------------------------------- random_shift


def paper(height, width):
    """An image whose pixels are all different, and none is 0."""
    return np.arange(1.0, height * width + 1).reshape(height, width)


def all_shifts_of(original, max_shift):
    """The original in all shifts, zeros coming in: shape ((2 max_shift + 1)², H, W)."""
    height, width = original.shape
    padded = np.pad(original, max_shift)
    corners = itertools.product(range(2 * max_shift + 1), repeat=2)
    return np.stack([padded[i : i + height, j : j + width] for i, j in corners])


def no_pixel_twice(image):
    _, counts = np.unique(image[image != 0], return_counts=True)
    return bool((counts == 1).all())


# Number of images, height, width, max_shift.
SHIFTS = {
    "one image, 2 x 2": (1, 2, 2, 1),
    "30 images, 3 x 3": (30, 3, 3, 1),
    "30 images, 3 x 5": (30, 3, 5, 2),
    "30 images, 4 x 3": (30, 4, 3, 2),
}


def shifts_or_not(outputs):
    facts = {}
    for case, (number, height, width, max_shift) in SHIFTS.items():
        shifts = all_shifts_of(paper(height, width), max_shift)
        images = np.asarray(outputs[case])
        facts[case] = {
            "shape": list(images.shape),
            "no pixel is there twice": all(map(no_pixel_twice, images)),
            "some images have moved": number == 1 or bool((images != paper(height, width)).any()),
            "each image is the original, shifted": [
                images.shape[1:] == shifts.shape[1:] and bool((image == shifts).all(axis=(1, 2)).any())
                for image in images[:number]
            ],
        }
    return facts


@check("random_shift", points=2, after=shifts_or_not, hint="What leaves on the left: may it come in on the right?")
def what_comes_in_is_zero(student, rng):
    """Each image is its original, shifted by at most max_shift, and what comes in is 0."""
    return {
        case: student.random_shift(np.tile(paper(height, width), (number, 1, 1)), max_shift, rng)
        for case, (number, height, width, max_shift) in SHIFTS.items()
    }


def dots_found(outputs):
    """How often each shift of the dot in the middle occurs, as (down, right)."""
    return {
        case: Counter((i - images.shape[1] // 2, j - images.shape[2] // 2) for _, i, j in np.argwhere(images).tolist())
        for case, images in outputs.items()
    }


def shifted_dots(student, number, max_shift, rng):
    size = 2 * max_shift + 3
    dots = np.zeros((number, size, size))
    dots[:, size // 2, size // 2] = 1
    return student.random_shift(dots, max_shift, rng)


def shifts_that_occur(outputs):
    return {case: sorted(map(list, counts)) for case, counts in dots_found(outputs).items()}


@check(
    "random_shift", points=2, after=shifts_that_occur, hint="Both directions, both signs: is the largest shift reached?"
)
def every_shift_occurs(student, rng):
    """Every shift from -max_shift to max_shift occurs, down and right, in any combination, and no other does."""
    return {f"max_shift {s}": shifted_dots(student, number, s, rng) for s, number in [(1, 400), (2, 1000)]}


def evenly_often(outputs):
    """Whether each of the 9 shifts of 900 images occurs about 100 times (the standard deviation is 9.4)."""
    return {
        case: all(45 < counts[shift] < 160 for shift in itertools.product((-1, 0, 1), repeat=2))
        for case, counts in dots_found(outputs).items()
    }


@check("random_shift", points=1, after=evenly_often, hint="Are all shifts equally likely?")
def every_shift_is_equally_likely(student, rng):
    """Of 900 images, about as many are shifted in each of the 9 ways."""
    return {"max_shift 1": shifted_dots(student, 900, 1, rng)}


def own_shifts(outputs):
    return {case: len(counts) >= 10 for case, counts in dots_found(outputs).items()}


@check("random_shift", points=1, after=own_shifts, hint="How many random numbers do you draw for N images?")
def every_image_has_its_own_shift(student, rng):
    """The images of one batch are shifted in many different ways."""
    return {"50 images, max_shift 3": shifted_dots(student, 50, 3, rng)}


def unmoved_and_moved(outputs):
    """The images with max_shift 0 as they are; of the others their dtype, and whether anything has moved."""
    return {
        case: [unmoved, str(moved.dtype), bool((moved != unmoved).any())] for case, (unmoved, moved) in outputs.items()
    }


@check(
    "random_shift",
    points=1,
    after=unmoved_and_moved,
    compare=exact(),
    hint="An image is often made of small integers: what are yours made of?",
)
def images_keep_their_dtype(student, rng):
    """Images keep their dtype, and with max_shift 0 they stay as they are."""
    images = rng.integers(1, 256, size=(20, 4, 5))
    return {
        dtype: [student.random_shift(images.astype(dtype), max_shift, rng) for max_shift in (0, 2)]
        for dtype in ("uint8", "float32", "float64")
    }


@check(
    "random_shift",
    points=1,
    after=same_seed_same_result,
    hint="All randomness comes from the rng that you are given.",
)
def an_equal_seed_shifts_the_same(student, rng):
    """An equally seeded rng shifts in the same way, and another seed in another."""
    return [shifted_dots(student, 20, 2, one) for one in three_seeds(rng)]


# ---------------------------------------------------------------- bias_and_variance


def dealer(sets):
    """A `draw` that deals the given training sets in turn, and begins again after the last."""
    stream = itertools.cycle(sets)
    return lambda rng: next(stream)


def constant(x, y):
    level = float(np.mean(y))
    return lambda x: np.full(len(x), level)


def line(x, y):
    b, w = fit_line(x, y)
    return lambda x: b + w * x


@check("bias_and_variance", points=2, hint="Bias looks at the average of the models, variance at their differences.")
def two_models(student, rng):
    """Two constant models: their average against the truth, and each against their average."""
    x = np.linspace(0, 1, 3)
    apart = [(x, np.full(3, 1.0)), (x, np.full(3, 5.0))]
    alike = [(x, np.full(3, 4.0)), (x, np.full(3, 4.0))]
    return {
        "alike and wrong": student.bias_and_variance(constant, dealer(alike), x, np.full(3, 1.0), 2, rng),
        "right on average": student.bias_and_variance(constant, dealer(apart), x, np.full(3, 3.0), 2, rng),
        "neither": student.bias_and_variance(constant, dealer(apart), x, np.array([0.0, 2.0, 10.0]), 2, rng),
    }


@check("bias_and_variance", points=2, hint="Average over the models first, point by point; over the points last.")
def many_lines(student, rng):
    """Lines through several training sets, judged where the truth is curved."""
    sets = [(rng.normal(size=6), rng.normal(size=6)) for _ in range(7)]
    x = np.linspace(-1, 1, 5)
    return student.bias_and_variance(line, dealer(sets), x, 2 + np.sin(3 * x), 7, rng)


@check("bias_and_variance", points=1, hint="The formula divides by K. What is the spread of a single model?")
def one_model_has_no_variance(student, rng):
    """A single model has all its error in the bias."""
    sets = [(rng.normal(size=4), rng.normal(size=4))]
    x = np.linspace(-1, 1, 4)
    return student.bias_and_variance(line, dealer(sets), x, x**2, 1, rng)


@check("bias_and_variance", points=1, hint="Errors to both sides cancel in the average model, not in the points.")
def wrong_to_both_sides(student, rng):
    """A model that is too high on one side and too low on the other is biased."""
    x = np.array([-1.0, 1.0])
    return student.bias_and_variance(constant, dealer([(x, x), (x, x + 2.0)]), x, 1 + 3 * x, 2, rng)


def about_right(result):
    """The mean of 5 normal numbers has variance 0.2; over 400 sets the estimate is 0.2, give or take 0.014."""
    bias, variance = (float(part) for part in result)
    return {"variance near 0.2": 0.12 < variance < 0.28, "hardly any bias": bias < 0.02}


@check("bias_and_variance", points=1, after=about_right, hint="A new training set for each model, drawn with your rng.")
def every_model_has_its_own_set(student, rng):
    """Every model is fitted to a training set of its own, and only the spread of the models counts, not the noise."""

    def draw(rng):
        return np.arange(5.0), rng.normal(size=5)

    x = np.linspace(0, 4, 3)
    return student.bias_and_variance(constant, draw, x, np.zeros(3), 400, rng)


@check(
    "bias_and_variance",
    points=1,
    after=same_seed_same_result,
    hint="All randomness comes from the rng that you are given.",
)
def an_equal_seed_gives_the_same_parts(student, rng):
    """An equally seeded rng gives the same numbers again, and another seed others."""

    def draw(rng):
        return np.arange(4.0), rng.normal(size=4)

    x = np.linspace(0, 3, 3)
    return [student.bias_and_variance(constant, draw, x, np.zeros(3), 6, one) for one in three_seeds(rng)]
