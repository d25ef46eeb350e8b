"""Hidden tests of lecture 8: what an implementation of each piece of a classifier gives."""

import numpy as np
import sklearn._loss.loss  # what is forbidden below is loaded here, once, and not again with each notebook
import sklearn.calibration
import sklearn.metrics
import sklearn.neighbors
import torch

from grader import Problem, at_least, at_most, check, close, each

# ---------------------------------------------------------------- what may not be used

ONE_HOT = (
    "torch.nn.functional.one_hot",
    "torch._C._nn.one_hot",
    "torch.distributions.OneHotCategorical",
    "sklearn.preprocessing.OneHotEncoder",
    "sklearn.preprocessing.LabelBinarizer",
    "sklearn.preprocessing.label_binarize",
)
SOFTMAX = (
    *(f"torch.{name}" for name in "softmax log_softmax logsumexp logcumsumexp _softmax _log_softmax".split()),
    *(f"torch.Tensor.{name}" for name in "softmax log_softmax logsumexp logcumsumexp".split()),
    *(f"torch.special.{name}" for name in "softmax log_softmax logsumexp".split()),
    *(f"torch.masked.{name}" for name in "softmax log_softmax logsumexp softmin".split()),
    *(f"torch.nn.functional.{name}" for name in "softmax log_softmax softmin gumbel_softmax".split()),
    *(f"torch.nn.{name}" for name in "Softmax Softmax2d LogSoftmax Softmin AdaptiveLogSoftmaxWithLoss".split()),
    "torch.sparse.softmax",
    "torch.sparse.log_softmax",
    "torch.distributions.Categorical",
    "torch.distributions.Multinomial",
    *(f"scipy.special.{name}" for name in "softmax log_softmax logsumexp".split()),
    *(f"scipy.special._logsumexp.{name}" for name in "softmax log_softmax logsumexp".split()),
    "sklearn.utils.extmath.softmax",
)
LOSSES = (
    *(
        f"torch.nn.functional.{name}"
        for name in (
            "cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits logsigmoid softplus "
            "soft_margin_loss multilabel_soft_margin_loss"
        ).split()
    ),
    *(
        f"torch.nn.{name}"
        for name in (
            "CrossEntropyLoss NLLLoss NLLLoss2d BCELoss BCEWithLogitsLoss LogSigmoid Softplus SoftMarginLoss "
            "MultiLabelSoftMarginLoss"
        ).split()
    ),
    *(f"torch._C._nn.{name}" for name in "cross_entropy_loss nll_loss nll_loss_nd log_sigmoid softplus".split()),
    "torch.binary_cross_entropy_with_logits",
    "torch.distributions.Bernoulli",
    "scipy.special.log_expit",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
)
SCORES = (
    *(f"sklearn.metrics.{name}" for name in sklearn.metrics.__all__),
    *(
        f"sklearn.metrics._classification.{name}"
        for name in (
            "accuracy_score balanced_accuracy_score classification_report confusion_matrix f1_score fbeta_score "
            "log_loss multilabel_confusion_matrix precision_recall_fscore_support precision_score recall_score "
            "zero_one_loss"
        ).split()
    ),
    "sklearn.metrics.cluster.contingency_matrix",
    "sklearn.base.ClassifierMixin.score",
)
# As torch dispatches them; those that are made of others show only under torch.inference_mode().
SOFTMAX_OPERATORS = tuple(
    f"aten::{name}"
    for name in (
        "_softmax _log_softmax softmax log_softmax special_softmax special_log_softmax logsumexp special_logsumexp "
        "logcumsumexp _logcumsumexp _safe_softmax _masked_softmax"
    ).split()
)
LOSS_OPERATORS = tuple(
    f"aten::{name}"
    for name in (
        "cross_entropy_loss nll_loss nll_loss_nd nll_loss_forward nll_loss2d_forward binary_cross_entropy "
        "binary_cross_entropy_with_logits log_sigmoid log_sigmoid_forward softplus soft_margin_loss"
    ).split()
)
AUTOGRAD = (
    "torch.Tensor.backward",
    "torch.autograd.grad",
    "torch.autograd.backward",
    "torch.autograd.functional.jacobian",
    "torch.autograd.functional.vjp",
    "torch.autograd.functional.jvp",
    *(f"torch.func.{name}" for name in "grad grad_and_value vjp jvp jacrev jacfwd linearize".split()),
    "torch.autograd.forward_ad.make_dual",
)
# What autograd would call for softmax.
BACKWARD_OPERATORS = ("aten::_softmax_backward_data", "aten::_log_softmax_backward_data")
# The class learns from what `fit` is given: not from the notebook's own digits, and not with another's fit.
ELSEWHERE = (
    "broken_camera",
    "sklearn.datasets.load_digits",
    "sklearn.datasets._base.load_digits",
    "sklearn.datasets.fetch_openml",
    "sklearn.linear_model.LogisticRegression",
    "sklearn.linear_model.SGDClassifier",
    "sklearn.neighbors.KNeighborsClassifier",
    "sklearn.svm.SVC",
    "sklearn.base.BaseEstimator._validate_params",  # what every `fit` of scikit-learn calls
)
CALIBRATION = ("sklearn.calibration.CalibratedClassifierCV", "sklearn.calibration._TemperatureScaling")

# Each problem forbids what is its own point, and no more: whoever borrows a softmax loses the points of `softmax`, and
# not those of all that call it.
PROBLEMS = (
    Problem("one_hot", forbidden=ONE_HOT),
    Problem("softmax", forbidden=(*SOFTMAX, *LOSSES), operators=(*SOFTMAX_OPERATORS, *LOSS_OPERATORS)),
    Problem("log_softmax", forbidden=(*SOFTMAX, *LOSSES), operators=(*SOFTMAX_OPERATORS, *LOSS_OPERATORS)),
    Problem("cross_entropy", forbidden=LOSSES, operators=LOSS_OPERATORS),
    Problem(
        "cross_entropy_gradient",
        forbidden=(*LOSSES, *AUTOGRAD),
        operators=(*LOSS_OPERATORS, *BACKWARD_OPERATORS),
    ),
    Problem("mse_gradient_through_softmax", forbidden=AUTOGRAD, operators=BACKWARD_OPERATORS),
    Problem("binary_cross_entropy_with_logits", forbidden=LOSSES, operators=LOSS_OPERATORS),
    Problem("accuracy", forbidden=SCORES),
    Problem("confusion_matrix", forbidden=SCORES),
    Problem("macro_f1", forbidden=tuple(name for name in SCORES if "confusion_matrix" not in name)),
    Problem("SoftmaxClassifier", forbidden=ELSEWHERE),
    Problem("temperature_scale", bonus=True, forbidden=CALIBRATION),
)
# Right formulas agree to nearly all digits; slopes that were tried out don't.
EXACTLY = close(rtol=1e-9, atol=1e-13)


def soft_labels(rng, n, k):
    """Labels that a few experts disagree about: rows that sum to 1, with zeros among them."""
    votes = rng.integers(0, 4, size=(n, k)).astype(float)
    votes[np.arange(n), rng.integers(k, size=n)] += 2
    return votes / votes.sum(axis=1, keepdims=True)


# ---------------------------------------------------------------- one_hot


@check("one_hot", points=2, hint="How many columns are there, and in which of them is the 1 of each row?")
def one_row_for_each_label(student, rng):
    """Each label becomes a row with a single 1."""
    return {
        "one label": student.one_hot(np.array([1]), 3),
        "six labels": student.one_hot(np.array([3, 0, 2, 0, 1, 2]), 4),
    }


@check("one_hot", points=1, hint="Is the number of classes a property of the labels that happen to be there?")
def classes_that_do_not_occur(student, rng):
    """Classes without an example have their columns, too."""
    return {
        "the last classes are missing": student.one_hot(np.array([1, 0, 1]), 5),
        "the first classes are missing": student.one_hot(np.array([4, 3]), 5),
    }


@check("one_hot", points=1, hint="The classes are one new axis at the end, whatever is before it.")
def labels_of_any_shape(student, rng):
    """A single label, and the labels of all pixels of two images."""
    return {
        "a single label": student.one_hot(np.array(2), 3),
        "two images": student.one_hot(rng.integers(3, size=(2, 3, 4)), 3),
    }


@check("one_hot", points=1, hint="The result has the dtype that was asked for, whatever that of the labels.")
def the_dtype_is_chosen(student, rng):
    """The dtype is the one that was asked for, and float64 if none was."""
    return {
        "float64": student.one_hot(np.array([0, 1], dtype=np.uint8), 2),
        "float32": student.one_hot(np.array([0, 1], dtype=np.int32), 2, np.float32),
        "int64": student.one_hot(np.array([0, 1]), 2, dtype=np.int64),
    }


@check("one_hot", points=1, hint="Which labels exist? To NumPy, an index of -1 is the last.")
def labels_that_do_not_exist_are_refused(student, rng):
    """A label below 0 or beyond the last class raises ValueError, and the last class does not."""
    seen = {"K - 1": student.one_hot(np.array([0, 2]), 3)}  # whoever always raises has refused nothing
    for case, labels in {"-1": [0, -1], "K": [3, 0], "K + 4": [[7, 1]]}.items():
        try:
            student.one_hot(np.array(labels), 3)
            seen[case] = "raised nothing"
        except ValueError:
            seen[case] = "raised ValueError"
        except IndexError:
            seen[case] = "raised IndexError"
    return seen


# ---------------------------------------------------------------- softmax


@check("softmax", points=2, hint="Exponentiate, then divide by the sum over the classes of the same example.")
def probabilities_of_the_classes(student, rng):
    """Logits become probabilities, along the last axis unless another is named."""
    return {
        "two classes": student.softmax(np.array([0.0, 1.0])),
        "three examples of three classes": student.softmax(rng.normal(size=(3, 3))),
        "five classes of words in sentences": student.softmax(rng.normal(size=(2, 3, 5))),
    }


@check("softmax", points=2, hint="Which numbers share one sum? Those along the axis that was named, and no others.")
def probabilities_along_any_axis(student, rng):
    """The axis may be any, counted from the front or from the back."""
    square, cube = rng.normal(size=(3, 3)), rng.normal(size=(3, 3, 3))
    return {
        "axis 0": student.softmax(square, axis=0),
        "axis 1 of three": student.softmax(cube, axis=1),
        "axis -3 of three": student.softmax(cube, axis=-3),
        "axis 2 of three": student.softmax(cube, axis=2),
    }


@check("softmax", points=3, hint="Adding a number to all logits of a row changes nothing. Which number helps here?")
def probabilities_of_huge_logits(student, rng):
    """Logits of 1000 and more, of -1000 and less, and both side by side."""
    return {
        "1000 and 1001": student.softmax(np.array([1000.0, 1001.0])),
        "0 and 1000": student.softmax(np.array([0.0, 1000.0])),
        "-1000 and -1001": student.softmax(np.array([-1000.0, -1001.0])),
        "1e6 and -1e6": student.softmax(np.array([1e6, -1e6, 1e6 - 1])),
        "each row is on its own": student.softmax(np.array([[900.0, 901.0], [-900.0, -901.0], [0.0, 1.0]])),
        "each column is on its own": student.softmax(np.array([[900.0, -900.0], [901.0, -901.0]]), axis=0),
    }


@check("softmax", points=1, hint="What is exp(-infinity)? And what if you subtract something infinite first?")
def classes_that_are_ruled_out(student, rng):
    """A logit of minus infinity gives probability 0, and the others share the rest."""
    return student.softmax(np.array([[-np.inf, 1.0, 2.0], [3.0, -np.inf, -np.inf]]))


@check("softmax", points=1, hint="Which step of yours turns float32 into float64?")
def softmax_keeps_single_precision(student, rng):
    """float32 stays float32, also where exp would overflow at 89."""
    return student.softmax(np.array([[1.0, 2.0, 3.0], [95.0, 94.0, -200.0]], dtype=np.float32))


# ---------------------------------------------------------------- log_softmax


@check("log_softmax", points=2, hint="Each logit, minus the logarithm of the sum of all exponentials of its row.")
def log_probabilities(student, rng):
    """The natural logarithms of the probabilities."""
    return {
        "two classes": student.log_softmax(np.array([0.0, 1.0])),
        "three examples of three classes": student.log_softmax(rng.normal(size=(3, 3))),
        "one class is always certain": student.log_softmax(rng.normal(size=(2, 1))),
    }


@check("log_softmax", points=3, hint="Simplify ln(exp(y_k) / sum) on paper before a computer sees it.")
def logarithms_of_probabilities_too_small_for_a_float(student, rng):
    """Where the probability is too small for a float, its logarithm is still a good number."""
    return {
        "0 and -800": student.log_softmax(np.array([0.0, -800.0])),
        "0 and -40": student.log_softmax(np.array([0.0, -40.0])),
        "0 and -25": student.log_softmax(np.array([0.0, -25.0])),
        "1e6 and -1e6": student.log_softmax(np.array([1e6, -1e6, 1e6 - 1])),
        "each row is on its own": student.log_softmax(np.array([[900.0, 901.0], [-900.0, -901.0], [0.0, 1.0]])),
    }


@check("log_softmax", points=2, hint="Which numbers share one sum? Those along the axis that was named, and no others.")
def log_probabilities_along_any_axis(student, rng):
    """The axis may be any, counted from the front or from the back."""
    square, cube = rng.normal(size=(3, 3)), rng.normal(size=(3, 3, 3))
    return {
        "axis 0": student.log_softmax(square, axis=0),
        "axis 0, huge": student.log_softmax(np.array([[900.0, -900.0], [901.0, -901.0]]), axis=0),
        "axis 1 of three": student.log_softmax(cube, axis=1),
        "axis -3 of three": student.log_softmax(cube, axis=-3),
    }


@check("log_softmax", points=1, hint="Which step of yours turns float32 into float64?")
def log_softmax_keeps_single_precision(student, rng):
    """float32 stays float32, also where exp would overflow at 89."""
    return student.log_softmax(np.array([[1.0, 2.0, 3.0], [95.0, 94.0, -200.0]], dtype=np.float32))


# ---------------------------------------------------------------- cross_entropy


@check("cross_entropy", points=3, hint="How probable was the right class? Minus the logarithm of it, then the mean.")
def mean_surprise(student, rng):
    """The mean cross-entropy of class indices."""
    return {
        "one example of two classes": student.cross_entropy(np.array([[0.0, 1.0]]), np.array([0])),
        "five examples of three classes": student.cross_entropy(
            rng.normal(0, 2, size=(5, 3)), np.array([2, 0, 1, 1, 2])
        ),
    }


@check("cross_entropy", points=2, hint="Does a probability that is too small for a float occur on your way?")
def sure_and_wrong(student, rng):
    """A prediction that is very sure and wrong has a large, finite loss; one that is right has none."""
    return {
        "sure and wrong": student.cross_entropy(np.array([[1000.0, -1000.0]]), np.array([1])),
        "sure and right": student.cross_entropy(np.array([[1000.0, -1000.0]]), np.array([0])),
        "one of each": student.cross_entropy(np.array([[800.0, 0.0, 0.0], [-1e6, 1e6, 0.0]]), np.array([1, 1])),
        "a label between": student.cross_entropy(np.array([[50.0, 0.0]]), np.array([[0.9, 0.1]])),
    }


@check("cross_entropy", points=2, hint="Three words, three answers: which of them is still one number per example?")
def sum_and_none(student, rng):
    """The sum of the losses, and the losses themselves, in the dtype of the logits."""
    logits, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 2])
    return {
        "none": student.cross_entropy(logits, labels, reduction="none"),
        "none, soft labels": student.cross_entropy(logits, soft_labels(rng, 4, 3), reduction="none"),
        "none, float32": student.cross_entropy(logits.astype(np.float32), labels, reduction="none"),
        "sum": student.cross_entropy(logits, labels, reduction="sum"),
    }


@check("cross_entropy", points=4, hint="In a weighted mean, what does one divide by?")
def weighted_classes(student, rng):
    """Class weights multiply the losses, and the mean is a weighted mean."""
    logits, labels, weight = rng.normal(size=(5, 3)), np.array([0, 2, 2, 1, 2]), np.array([1.0, 0.5, 4.0])
    return {
        reduction: student.cross_entropy(logits, labels, weight=weight, reduction=reduction)
        for reduction in ("none", "sum", "mean")
    }


@check("cross_entropy", points=3, hint="An example that does not count adds nothing, above the line and below it.")
def examples_that_do_not_count(student, rng):
    """Ignored examples have loss 0 and no part in the mean."""
    logits, weight = rng.normal(size=(5, 3)), np.array([1.0, 0.5, 4.0])
    squashed, void, real = np.array([1, -100, 0, 2, -100]), np.array([255, 1, 1, 0, 2]), np.array([2, 0, 1, 2, 0])
    return {
        "none": student.cross_entropy(logits, squashed, reduction="none"),
        "sum": student.cross_entropy(logits, squashed, reduction="sum"),
        "mean": student.cross_entropy(logits, squashed),
        "index 255": student.cross_entropy(logits, void, ignore_index=255),
        "one of the classes": student.cross_entropy(logits, real, ignore_index=2),
        "with class weights": student.cross_entropy(logits, squashed, weight=weight),
    }


@check("cross_entropy", points=4, hint="The sum over k has more than one term now. What is the mean divided by?")
def labels_that_are_soft(student, rng):
    """Soft labels, alone and with class weights."""
    logits, targets, weight = rng.normal(size=(4, 3)), soft_labels(rng, 4, 3), np.array([1.0, 0.5, 4.0])
    return {
        "one example": student.cross_entropy(logits[:1], np.array([[0.5, 0.0, 0.5]])),
        "four examples": student.cross_entropy(logits, targets),
        "as many examples as classes": student.cross_entropy(logits[:3], targets[:3]),
        "with class weights, none": student.cross_entropy(logits, targets, weight=weight, reduction="none"),
        "with class weights, mean": student.cross_entropy(logits, targets, weight=weight),
    }


@check(
    "cross_entropy", points=3, hint="Write out q for three classes. Does the right class get its part of the spread?"
)
def labels_that_are_smoothed(student, rng):
    """Label smoothing of class indices and of soft labels."""
    logits, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
    return {
        "one example": student.cross_entropy(logits[:1], labels[:1], label_smoothing=0.3),
        "four examples": student.cross_entropy(logits, labels, label_smoothing=0.1),
        "everything is spread": student.cross_entropy(logits, labels, label_smoothing=1.0),
        "soft labels": student.cross_entropy(logits, soft_labels(rng, 4, 3), label_smoothing=0.2),
    }


@check("cross_entropy", points=1, hint="First q, then the weights of all classes, then who counts, and then the mean.")
def everything_at_once(student, rng):
    """Class weights, ignored examples and label smoothing together."""
    logits, labels, weight = rng.normal(size=(5, 3)), np.array([0, 2, -100, 1, 2]), np.array([1.0, 0.5, 4.0])
    return {
        reduction: student.cross_entropy(logits, labels, weight=weight, reduction=reduction, label_smoothing=0.2)
        for reduction in ("none", "mean")
    }


# ---------------------------------------------------------------- cross_entropy_gradient


@check("cross_entropy_gradient", points=4, hint="What was said, minus what is true, and L is a mean.", compare=EXACTLY)
def said_minus_true(student, rng):
    """The gradient for class indices."""
    return {
        "one example": student.cross_entropy_gradient(np.array([[0.0, 1.0]]), np.array([0])),
        "five examples": student.cross_entropy_gradient(rng.normal(size=(5, 3)), np.array([2, 0, 1, 1, 2])),
    }


@check(
    "cross_entropy_gradient", points=2, hint="The formula does not ask whether the label is one-hot.", compare=EXACTLY
)
def gradient_for_soft_labels(student, rng):
    """The gradient for soft labels, also where there are as many examples as classes."""
    return {
        "one example": student.cross_entropy_gradient(np.array([[0.0, 1.0]]), np.array([[0.3, 0.7]])),
        "three examples of three classes": student.cross_entropy_gradient(
            rng.normal(size=(3, 3)), soft_labels(rng, 3, 3)
        ),
    }


@check("cross_entropy_gradient", points=2, hint="What are the probabilities there? None of your steps should overflow.")
def full_force_where_sure_and_wrong(student, rng):
    """Sure and wrong: full force. Sure and right: none."""
    return {
        "sure and wrong": student.cross_entropy_gradient(np.array([[1000.0, 0.0, -1000.0]]), np.array([2])),
        "sure and right": student.cross_entropy_gradient(np.array([[1e6, -1e6]]), np.array([0])),
        "both": student.cross_entropy_gradient(np.array([[30.0, -30.0], [30.0, -30.0]]), np.array([0, 1])),
    }


@check("cross_entropy_gradient", points=1, hint="Which step of yours turns float32 into float64?")
def gradient_keeps_single_precision(student, rng):
    """float32 stays float32."""
    return student.cross_entropy_gradient(rng.normal(size=(3, 4)).astype(np.float32), np.array([3, 0, 1]))


@check(
    "cross_entropy_gradient",
    points=1,
    cost=60,
    hint="There is a formula: no need to try what happens to the loss.",
    compare=EXACTLY,
)
def gradient_of_a_large_batch(student, rng):
    """The gradient of 40 examples of 30 classes, without trying out each logit."""
    return student.cross_entropy_gradient(rng.normal(size=(40, 30)), rng.integers(30, size=40))


# ---------------------------------------------------------------- mse_gradient_through_softmax


@check(
    "mse_gradient_through_softmax",
    points=3,
    hint="A logit moves every probability: sum over all of them.",
    compare=EXACTLY,
)
def squared_error_through_all_probabilities(student, rng):
    """The gradient for class indices."""
    return {
        "one example of two classes": student.mse_gradient_through_softmax(np.array([[0.0, 1.0]]), np.array([0])),
        "one example of three classes": student.mse_gradient_through_softmax(rng.normal(size=(1, 3)), np.array([1])),
        "five examples": student.mse_gradient_through_softmax(rng.normal(size=(5, 3)), np.array([2, 0, 1, 1, 2])),
    }


@check(
    "mse_gradient_through_softmax",
    points=2,
    hint="Which factor of the chain is nearly 0 if a probability is nearly 0 or 1?",
    compare=close(atol=1e-14),
)
def stuck_where_sure_and_wrong(student, rng):
    """Sure and wrong: hardly any force at all."""
    return {
        "rather sure": student.mse_gradient_through_softmax(np.array([[-3.0, 3.0, 0.0]]), np.array([0])),
        "sure": student.mse_gradient_through_softmax(np.array([[-8.0, 8.0, 0.0]]), np.array([0])),
        "as sure as a float can be": student.mse_gradient_through_softmax(np.array([[-1e3, 1e3]]), np.array([0])),
    }


@check(
    "mse_gradient_through_softmax",
    points=2,
    hint="The formula does not ask whether the label is one-hot.",
    compare=EXACTLY,
)
def squared_error_of_soft_labels(student, rng):
    """The gradient for soft labels, also where there are as many examples as classes."""
    return {
        "one example": student.mse_gradient_through_softmax(np.array([[0.0, 1.0]]), np.array([[0.3, 0.7]])),
        "three examples of three classes": student.mse_gradient_through_softmax(
            rng.normal(size=(3, 3)), soft_labels(rng, 3, 3)
        ),
    }


@check("mse_gradient_through_softmax", points=1, hint="Which step of yours turns float32 into float64?")
def squared_error_keeps_single_precision(student, rng):
    """float32 stays float32."""
    return student.mse_gradient_through_softmax(rng.normal(size=(3, 4)).astype(np.float32), np.array([3, 0, 1]))


@check(
    "mse_gradient_through_softmax",
    points=1,
    cost=60,
    hint="Can the sum over all probabilities be written once for a whole example, for all of its logits together?",
    compare=EXACTLY,
)
def squared_error_of_a_large_batch(student, rng):
    """The gradient of 40 examples of 30 classes, without a loop over the classes."""
    return student.mse_gradient_through_softmax(rng.normal(size=(40, 30)), rng.integers(30, size=40))


# ---------------------------------------------------------------- binary_cross_entropy_with_logits


@check("binary_cross_entropy_with_logits", points=3, hint="Which of the two logarithms counts when the target is 1?")
def two_possible_truths(student, rng):
    """One loss for each logit and its target."""
    return {
        "one that is 1": student.binary_cross_entropy_with_logits(np.array([0.7]), np.array([1.0])),
        "one that is 0": student.binary_cross_entropy_with_logits(np.array([0.7]), np.array([0.0])),
        "six": student.binary_cross_entropy_with_logits(
            rng.normal(0, 3, size=6), np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
        ),
    }


@check(
    "binary_cross_entropy_with_logits",
    points=2,
    hint="Rewrite it so that no exponential has a positive exponent, and no logarithm sees 0.",
)
def logits_far_from_0(student, rng):
    """Sure and right, sure and wrong: always finite."""
    zero, one = np.zeros(2), np.ones(2)
    seen = {}
    for far in ([40.0, 50.0], [900.0, 1000.0], [1e6, 2e6]):
        logits = np.array(far)
        seen |= {
            f"{far[0]:g} and wrong": student.binary_cross_entropy_with_logits(logits, zero),
            f"{-far[0]:g} and wrong": student.binary_cross_entropy_with_logits(-logits, one),
            f"{far[0]:g} and right": student.binary_cross_entropy_with_logits(logits, one),
            f"{-far[0]:g} and right": student.binary_cross_entropy_with_logits(-logits, zero),
        }
    return seen


@check(
    "binary_cross_entropy_with_logits",
    points=1,
    hint="ln(1 + something tiny): does the something survive the addition?",
    compare=close(atol=0.0),
)
def losses_that_are_tiny(student, rng):
    """Sure and right: a tiny loss is accurate, too."""
    return {
        "target 1": student.binary_cross_entropy_with_logits(np.array([25.0, 40.0, 300.0]), np.ones(3)),
        "target 0": student.binary_cross_entropy_with_logits(np.array([-25.0, -40.0, -300.0]), np.zeros(3)),
    }


@check("binary_cross_entropy_with_logits", points=1, hint="With a target between 0 and 1, both logarithms count.")
def targets_that_are_soft(student, rng):
    """Targets may lie between 0 and 1."""
    return student.binary_cross_entropy_with_logits(np.array([-1.5, 0.0, 2.0, -700.0]), np.array([0.2, 0.5, 0.9, 0.5]))


@check("binary_cross_entropy_with_logits", points=1, hint="Each number is an example of its own.")
def predictions_of_any_shape(student, rng):
    """The shape is kept: four labels for each of three images, and maps of pixels."""
    return {
        str(shape): student.binary_cross_entropy_with_logits(rng.normal(size=shape), rng.uniform(size=shape))
        for shape in ((1, 1), (3, 4), (2, 2, 2))
    }


@check("binary_cross_entropy_with_logits", points=1, hint="Which step of yours turns float32 into float64?")
def binary_loss_keeps_single_precision(student, rng):
    """float32 stays float32, also where exp would overflow at 89."""
    return student.binary_cross_entropy_with_logits(
        np.array([-2.0, 1.0, 95.0], dtype=np.float32), np.array([1.0, 0.0, 0.0], dtype=np.float32)
    )


# ---------------------------------------------------------------- accuracy


@check("accuracy", points=1, hint="Count the places where the two agree. Out of how many?")
def the_share_that_is_right(student, rng):
    """The share of right predictions."""
    return {
        "one of three": student.accuracy(np.array([0, 1, 2]), np.array([1, 1, 0])),
        "five of seven": student.accuracy(np.array([0, 1, 2, 3, 3, 0, 2]), np.array([0, 1, 2, 3, 3, 2, 0])),
    }


@check("accuracy", points=1, hint="Does your formula treat any class in a special way?")
def rare_and_frequent_classes(student, rng):
    """Each example counts alike, whatever its class."""
    labels = np.array([0] * 7 + [1])
    return {
        "all are called 0": student.accuracy(labels, np.zeros(8, dtype=np.int64)),
        "all are called 1": student.accuracy(labels, np.ones(8, dtype=np.int64)),
    }


@check("accuracy", points=1, hint="What is the largest and the smallest share there is?")
def all_right_and_all_wrong(student, rng):
    """Everything right is 1, everything wrong is 0."""
    labels = np.array([2, 0, 1])
    return {
        "one, right": student.accuracy(labels[:1], labels[:1]),
        "three, right": student.accuracy(labels, labels),
        "three, each wrong": student.accuracy(labels, np.array([0, 1, 2])),
    }


# ---------------------------------------------------------------- confusion_matrix


@check("confusion_matrix", points=2, hint="Is the truth a row or a column?")
def rows_are_truths_and_columns_answers(student, rng):
    """Each entry counts the examples of the row's class that were taken for the column's."""
    return {
        "one mistake": student.confusion_matrix(np.array([0]), np.array([1]), 2),
        "all pairs once": student.confusion_matrix(np.repeat([0, 1, 2], 2), np.array([0, 1, 1, 2, 2, 1]), 3),
    }


@check("confusion_matrix", points=2, hint="Does every one of several equal pairs get counted?")
def pairs_that_occur_often(student, rng):
    """Pairs that occur again and again are counted each time."""
    labels = rng.integers(3, size=40)
    return {
        "the same pair four times": student.confusion_matrix(np.full(4, 1), np.full(4, 0), 2),
        "forty random pairs": student.confusion_matrix(labels, (labels + (rng.random(40) < 0.4)) % 3, 3),
    }


@check("confusion_matrix", points=1, hint="Is the size of the matrix a property of what happens to occur?")
def classes_without_an_example(student, rng):
    """A class that is never the truth, or never the answer, keeps its row and column."""
    return {
        "only class 0": student.confusion_matrix(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64), 2),
        "gaps": student.confusion_matrix(np.array([1, 3, 3]), np.array([1, 3, 4]), 6),
    }


@check("confusion_matrix", points=1, hint="What do you count with: whole numbers, or shares?")
def counts_are_whole_numbers(student, rng):
    """The entries are integers, and they sum to the number of examples."""
    return student.confusion_matrix(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 2)


# ---------------------------------------------------------------- macro_f1


@check("macro_f1", points=2, hint="One F1 for each class, then their plain mean.")
def mean_of_the_f1_of_the_classes(student, rng):
    """The mean F1 of classes that all occur."""
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    return {
        "two classes": student.macro_f1(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), 2),
        "three classes": student.macro_f1(labels, np.array([0, 0, 1, 1, 2, 2, 2, 0, 2]), 3),
    }


@check("macro_f1", points=2, hint="Does a rare class have as much of a say as a frequent one?")
def a_rare_class_counts_as_much(student, rng):
    """Mistakes on a rare class weigh as much as on a frequent one."""
    labels = np.array([0] * 20 + [1] * 2)
    return student.macro_f1(labels, np.array([0] * 18 + [1, 1, 1, 0]), 2)


@check("macro_f1", points=2, hint="0/0 comes up. Which classes exist, and what do they deserve?")
def classes_that_are_never_found(student, rng):
    """A class that was never found, or never existed but was claimed, has an F1 of 0."""
    return {
        "never found": student.macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2),
        "claimed, but not there": student.macro_f1(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]), 2),
        "all wrong": student.macro_f1(np.array([0, 1]), np.array([1, 0]), 2),
    }


@check("macro_f1", points=1, hint="How many classes is the mean taken over?")
def classes_that_do_not_exist_here(student, rng):
    """A class that occurs neither as truth nor as answer is left out of the mean."""
    return {
        "all right, one of three": student.macro_f1(np.array([1]), np.array([1]), 3),
        "two of five": student.macro_f1(np.array([1, 1, 3, 3]), np.array([1, 3, 3, 3]), 5),
    }


# ---------------------------------------------------------------- SoftmaxClassifier


def _tensors(images, labels, test, scale=1.0):
    """Training images, training labels and test images of a camera (see answers.py), as tensors."""
    train, test = (torch.tensor(scale * part, dtype=torch.float32) for part in (images, test))
    return train, torch.tensor(labels), test


def _is_distribution(p, shape):
    """Whether the rows of `p` are probabilities."""
    return p.shape == shape and bool(np.all(p >= 0) and np.allclose(p.sum(axis=1), 1, atol=1e-4))


@check(
    "SoftmaxClassifier",
    points=4,
    hint="Does the loss still fall when you stop, and does it fall at all from the first update on?",
    compare=at_least(0.93),
    given="camera",
    after="share_right",
    seconds=60,
)
def unseen_digits(student, rng, *camera):
    """Of the unseen digits of another broken camera, 93 % or more are right."""
    train, labels, test = _tensors(*camera)
    classifier = student.SoftmaxClassifier(64, 10)
    classifier.fit(train, labels)
    return classifier.predict(test)


@check(
    "SoftmaxClassifier",
    points=2,
    hint="Which function makes them of the logits, once? And is the classifier too sure of itself?",
    compare=at_most(0.6),
    given="camera",
    after="surprise",
    seconds=60,
)
def surprise_at_unseen_digits(student, rng, *camera):
    """The probabilities are the softmax of the logits, and unseen labels surprise by at most 0.6 on average."""
    train, labels, test = _tensors(*camera)
    classifier = student.SoftmaxClassifier(64, 10)
    classifier.fit(train, labels)
    with torch.no_grad():
        return {"probabilities": classifier.probabilities(test), "logits": classifier(test)}


@check(
    "SoftmaxClassifier",
    points=2,
    hint="What does predict need to know of the other images? And what of the training images?",
    compare=at_least(0.9),
    given="camera",
    after="share_right_of_150",
    seconds=60,
)
def one_digit_at_a_time(student, rng, *camera):
    """Unseen digits that come one at a time are predicted as well."""
    train, labels, test = _tensors(*camera)
    classifier = student.SoftmaxClassifier(64, 10)
    classifier.fit(train, labels)
    return torch.cat([classifier.predict(image[None]).reshape(1) for image in test[:150]])


@check(
    "SoftmaxClassifier",
    points=1,
    hint="The number of classes was told at the beginning.",
    after=each(lambda p: {"shape": list(p.shape), "probabilities": _is_distribution(np.asarray(p), p.shape)}),
    seconds=60,
)
def a_class_without_training_examples(student, rng):
    """A class that is missing in the training still has its column; a feature that never changes does no harm."""
    features = torch.tensor(rng.normal(size=(30, 3)), dtype=torch.float32)
    features[:, 2] = 7
    classifier = student.SoftmaxClassifier(3, 4)
    classifier.fit(features, (features[:, 0] > 0).long())
    return {"thirty": classifier.probabilities(features), "one": classifier.probabilities(features[:1])}


@check(
    "SoftmaxClassifier",
    points=1,
    hint="Lecture 7: what should happen to features before they meet the weights?",
    compare=at_least(0.9),
    given="another_camera",
    after="smallest_share_right",
    seconds=60,
)
def any_unit_of_brightness(student, rng, *camera):
    """Whether paper and ink are 0 and 1 or 0 and 65535, nothing else has to be changed."""
    seen = {}
    for unit, scale in {"0 to 1": 1 / 16, "0 to 65535": 65535 / 16}.items():
        train, labels, test = _tensors(*camera, scale)
        classifier = student.SoftmaxClassifier(64, 10)
        classifier.fit(train, labels)
        seen[unit] = classifier.predict(test)
    return seen


@check(
    "SoftmaxClassifier",
    points=1,
    hint="Whose tensors are they? And what kind of number is a class?",
    seconds=60,
)
def tensors_in_and_out(student, rng):
    """The training examples stay as they are, and predictions are class indices, int64."""
    features = torch.tensor(rng.normal([[4.0, 0.0]], 0.5, size=(400, 2)), dtype=torch.float32)
    labels = torch.arange(400) % 2
    features[labels == 1] += 5
    before = features.clone(), labels.clone()
    classifier = student.SoftmaxClassifier(2, 2)
    classifier.fit(features, labels)
    predictions = classifier.predict(features)
    return {
        "predictions": predictions,
        "dtype": str(predictions.dtype),
        "features unchanged": bool(torch.equal(features, before[0])),
        "labels unchanged": bool(torch.equal(labels, before[1])),
    }


# ---------------------------------------------------------------- temperature_scale (bonus)

# T is asked for to within 1 %.
_TEMPERATURE, _PROBABILITIES = close(rtol=0.015), close(atol=0.01)


def _forecasts(rng, temperature, n=400, k=3):
    """Logits that are too sure by `temperature`, and classes drawn from what they should have said."""
    honest = rng.normal(0, 2, size=(n, k))
    p = np.exp(honest)
    p /= p.sum(axis=1, keepdims=True)
    return temperature * honest, (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


@check(
    "temperature_scale",
    points=2,
    hint="If it is too sure, T is above 1. Of what should the sum over the held-out labels be smallest?",
    compare=_TEMPERATURE,
)
def too_sure_and_too_shy(student, rng):
    """The temperature of a classifier that is too sure, of an honest one, and of one that is too shy."""
    seen = {}
    for case, temperature in {"too sure": 3.0, "honest": 1.0, "too shy": 0.3}.items():
        logits, labels = _forecasts(rng, temperature)
        seen[case] = student.temperature_scale(logits, labels, np.ones(400, dtype=bool))[0]
    return seen


@check(
    "temperature_scale",
    points=2,
    hint="Which labels was the network bent to be right about?",
    compare=_TEMPERATURE,
)
def only_held_out_labels_count(student, rng):
    """On the training data the network is always right: only the held-out examples tell the temperature."""
    logits, labels = _forecasts(rng, 2.5)
    held_out = rng.random(400) < 0.5
    labels[~held_out] = logits[~held_out].argmax(axis=1)
    return student.temperature_scale(logits, labels, held_out)[0]


@check(
    "temperature_scale",
    points=1,
    hint="Whose probabilities come back, and at which temperature?",
    compare=_PROBABILITIES,
)
def calibrated_probabilities_of_all(student, rng):
    """The calibrated probabilities of all examples, in their order."""
    logits, labels = _forecasts(rng, 4.0, n=60)
    return student.temperature_scale(logits, labels, np.arange(60) % 3 > 0)[1]


@check(
    "temperature_scale",
    points=1,
    hint="If it is wrong more often than by chance, how much should it say? And how far does T go?",
    compare=_TEMPERATURE,
)
def worse_than_chance(student, rng):
    """Where the labels are always the least probable class, T goes to the end of its range."""
    logits = rng.normal(0, 3, size=(20, 3))
    return student.temperature_scale(logits, logits.argmin(axis=1), np.ones(20, dtype=bool))[0]
