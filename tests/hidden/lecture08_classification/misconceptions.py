"""Mistakes that students make in lecture 8: each must lose points, and is named when it explains an answer."""

import numpy as np
import torch
from torch import nn

from grader import misconception
from solutions.lecture08_classification import (
    SoftmaxClassifier,
    accuracy,
    binary_cross_entropy_with_logits,
    broken_camera,
    confusion_matrix,
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    mse_gradient_through_softmax,
    one_hot,
    softmax,
    temperature_scale,
)

ONE_HOT = "Lecture 8, One-hot vector as output"
SOFTMAX = "Lecture 8, Softmax"
LOSS = "Lecture 8, Cross-entropy loss function"
MSE = "Lecture 8, Cross-entropy against the squared error"
SCORES = "Lecture 8, Classification"
TRAINING = "Lecture 3, Training guidance"

# ---------------------------------------------------------------- one_hot


@misconception(
    "one_hot",
    "You take the number of classes from the labels that are there. A batch without the last class then gets shorter "
    "vectors than the others.",
    lecture=ONE_HOT,
)
def infers_the_classes(labels, num_classes, dtype=np.float64):
    one_hot(labels, num_classes)
    return np.eye(int(labels.max()) + 1, dtype=dtype)[labels]


@misconception(
    "one_hot",
    "You number the classes anew, by those that occur in the batch: the same mushroom gets another vector in another "
    "batch.",
    lecture=ONE_HOT,
)
def renumbers_the_classes(labels, num_classes, dtype=np.float64):
    one_hot(labels, num_classes)
    _, ranks = np.unique(labels, return_inverse=True)
    return np.eye(num_classes, dtype=dtype)[ranks.reshape(labels.shape)]


@misconception(
    "one_hot",
    "Your label -1 becomes the last class, for to NumPy -1 is an index from the end. Such a label is an error, and "
    "should be refused.",
    lecture=ONE_HOT,
)
def negative_labels_wrap_around(labels, num_classes, dtype=np.float64):
    if np.any(labels >= num_classes):
        raise ValueError
    return np.eye(num_classes, dtype=dtype)[labels]


@misconception(
    "one_hot",
    "A label that does not exist becomes a row of zeros: nobody will notice the error. It should be refused with a "
    "ValueError.",
    lecture=ONE_HOT,
)
def unknown_labels_become_zeros(labels, num_classes, dtype=np.float64):
    return (np.asarray(labels)[..., None] == np.arange(num_classes)).astype(dtype)


@misconception(
    "one_hot",
    "You leave it to the indexing to refuse wrong labels. It lets -1 pass, and raises an IndexError where a ValueError "
    "is promised.",
    lecture=ONE_HOT,
)
def leaves_it_to_the_indexing(labels, num_classes, dtype=np.float64):
    return np.eye(num_classes, dtype=dtype)[labels]


@misconception(
    "one_hot",
    "The classes are your first axis: one column for each label. They should be the last axis, one row for each label.",
    lecture=ONE_HOT,
)
def classes_come_first(labels, num_classes, dtype=np.float64):
    return np.moveaxis(one_hot(labels, num_classes, dtype), -1, 0)


@misconception(
    "one_hot",
    "You flatten the labels: what was an image of labels becomes one long list of vectors.",
    lecture=ONE_HOT,
)
def flattens_the_labels(labels, num_classes, dtype=np.float64):
    return one_hot(np.ravel(labels), num_classes, dtype)


@misconception(
    "one_hot",
    "You count the classes from 1: class 0 has no place, and all others are off by one.",
    lecture=ONE_HOT,
)
def counts_from_one(labels, num_classes, dtype=np.float64):
    return np.roll(one_hot(labels, num_classes, dtype), -1, axis=-1)


@misconception(
    "one_hot",
    "You do not use the dtype that is asked for: the result is always float64.",
    lecture=ONE_HOT,
)
def always_double(labels, num_classes, dtype=np.float64):
    return one_hot(labels, num_classes, np.float64)


@misconception(
    "one_hot",
    "Your result has the dtype of the labels. Whole numbers can't hold the fractions that come out of label smoothing.",
    lecture=ONE_HOT,
)
def dtype_of_the_labels(labels, num_classes, dtype=np.float64):
    return one_hot(labels, num_classes, labels.dtype)


@misconception(
    "one_hot",
    "You mark the class with its number. Then class 2 is twice as much as class 1, and class 0 leaves no mark at all: "
    "the order that one-hot vectors are meant to avoid.",
    lecture=ONE_HOT,
)
def marks_with_the_number(labels, num_classes, dtype=np.float64):
    return one_hot(labels, num_classes, dtype) * np.asarray(labels, dtype=dtype)[..., None]


# ---------------------------------------------------------------- softmax


def _quietly(function, *args):
    with np.errstate(all="ignore"):
        return function(*args)


def _naive(logits, axis):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


@misconception(
    "softmax",
    "You exponentiate the logits as they come: exp(1000) is infinite, and infinity divided by infinity is NaN. "
    "Subtracting a number from all logits of a row changes nothing but this.",
    lecture=SOFTMAX,
)
def softmax_overflows(logits, axis=-1):
    return _quietly(_naive, logits, axis)


@misconception(
    "softmax",
    "You subtract one maximum for the whole array. In a row that is far below it, all exponentials round to 0, and you "
    "divide 0 by 0. Each row needs its own.",
    lecture=SOFTMAX,
)
def one_maximum_for_all(logits, axis=-1):
    return _quietly(_naive, logits - logits.max(), axis)


@misconception(
    "softmax",
    "You subtract the mean of the row. The largest logit can still be far above it, and its exponential overflows.",
    lecture=SOFTMAX,
)
def subtracts_the_mean(logits, axis=-1):
    return _quietly(lambda: _naive(logits - logits.mean(axis=axis, keepdims=True), axis))


@misconception(
    "softmax",
    "You subtract the smallest logit of the row: the largest then gets even larger than it was, and overflows.",
    lecture=SOFTMAX,
)
def subtracts_the_minimum(logits, axis=-1):
    return _quietly(lambda: _naive(logits - logits.min(axis=axis, keepdims=True), axis))


@misconception(
    "softmax",
    "You clip the logits. That keeps exp finite, but beyond the limit all logits look alike: 1000 and 1001 get equal "
    "probabilities.",
    lecture=SOFTMAX,
)
def clips_the_logits(logits, axis=-1):
    return _naive(np.clip(logits, -80, 80), axis)


@misconception(
    "softmax",
    "You always go along the last axis, whatever `axis` says.",
    lecture=SOFTMAX,
)
def ignores_the_axis(logits, axis=-1):
    return softmax(logits)


@misconception(
    "softmax",
    "You always go along the first axis: the examples of a batch then share one sum, where the classes of one example "
    "should.",
    lecture=SOFTMAX,
)
def always_the_first_axis(logits, axis=-1):
    return softmax(logits, axis=0)


@misconception(
    "softmax",
    "You divide by the sum of the whole array: all examples together sum to 1, where each should.",
    lecture=SOFTMAX,
)
def sums_over_everything(logits, axis=-1):
    exponentials = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum()


@misconception(
    "softmax",
    "The axis that you summed over is gone, and broadcasting puts the sums along another one: each row is divided by "
    "the sums of other rows. `keepdims=True` keeps them in place.",
    lecture=SOFTMAX,
)
def sums_along_another_axis(logits, axis=-1):
    exponentials = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return exponentials / exponentials.sum(axis=axis)


@misconception(
    "softmax",
    "You divide the logits by their sum, without the exponential: negative logits become negative probabilities.",
    lecture=SOFTMAX,
)
def without_the_exponential(logits, axis=-1):
    return _quietly(lambda: logits / logits.sum(axis=axis, keepdims=True))


@misconception(
    "softmax",
    "You raise 2 to the power of the logits, not e: your probabilities are too mild.",
    lecture=SOFTMAX,
)
def powers_of_two(logits, axis=-1):
    return softmax(logits * logits.dtype.type(np.log(2)), axis)


@misconception(
    "softmax",
    "You exponentiate the negative logits: the class with the smallest logit gets the largest probability.",
    lecture=SOFTMAX,
)
def softmax_of_the_negative(logits, axis=-1):
    return _quietly(softmax, -logits, axis)


@misconception(
    "softmax",
    "You return the sigmoid of each logit on its own. The classes exclude one another: their probabilities must sum"
    " to 1.",
    lecture=SOFTMAX,
)
def a_sigmoid_for_each_class(logits, axis=-1):
    return _quietly(lambda: 1 / (1 + np.exp(-logits)))


@misconception(
    "softmax",
    "You return the largest logit's class as one-hot. That is the hard maximum; softmax also says how sure it is.",
    lecture=SOFTMAX,
)
def the_hard_maximum(logits, axis=-1):
    return (logits == logits.max(axis=axis, keepdims=True)).astype(logits.dtype)


@misconception(
    "softmax",
    "Your result is float64 although the logits came as float32.",
    lecture=SOFTMAX,
)
def softmax_becomes_double(logits, axis=-1):
    return softmax(logits.astype(np.float64), axis)


@misconception(
    "softmax",
    "You subtract the maximum from the caller's own array (`-=`): whoever handed it to you finds other logits "
    "afterwards.",
    lecture=SOFTMAX,
)
def softmax_in_place(logits, axis=-1):
    logits -= logits.max(axis=axis, keepdims=True)
    return _naive(logits, axis)


# ---------------------------------------------------------------- log_softmax


@misconception(
    "log_softmax",
    "You take the logarithm of softmax. Where a probability is too small for a float it is stored as 0, and its "
    "logarithm is minus infinity.",
    lecture=SOFTMAX,
)
def logarithm_of_softmax(logits, axis=-1):
    return _quietly(lambda: np.log(softmax(logits, axis)))


@misconception(
    "log_softmax",
    "You add a small number before the logarithm. No more infinity, but every logarithm of a small probability is "
    "wrong: it stops at about -28.",
    lecture=SOFTMAX,
)
def adds_a_small_number(logits, axis=-1):
    return np.log(softmax(logits, axis) + logits.dtype.type(1e-12))


@misconception(
    "log_softmax",
    "You do not let a probability be smaller than some limit: no logarithm is below about -28, however wrong the "
    "prediction was.",
    lecture=SOFTMAX,
)
def clips_the_probabilities(logits, axis=-1):
    return np.log(np.clip(softmax(logits, axis), logits.dtype.type(1e-12), 1))


@misconception(
    "log_softmax",
    "Your formula is right, but the sum overflows: exp(1000) is infinite. Subtract the largest logit first.",
    lecture=SOFTMAX,
)
def log_sum_overflows(logits, axis=-1):
    return _quietly(lambda: logits - np.log(np.exp(logits).sum(axis=axis, keepdims=True)))


@misconception(
    "log_softmax",
    "You subtract the maximum inside of the sum only. What was taken out there is missing in the end: the "
    "logarithms do not belong to probabilities any more.",
    lecture=SOFTMAX,
)
def maximum_subtracted_once(logits, axis=-1):
    largest = logits.max(axis=axis, keepdims=True)
    return logits - np.log(np.exp(logits - largest).sum(axis=axis, keepdims=True))


@misconception(
    "log_softmax",
    "You subtract one maximum for the whole array. In a row that is far below it, all exponentials round to 0. Each"
    " row needs its own.",
    lecture=SOFTMAX,
)
def one_maximum_for_all_logarithms(logits, axis=-1):
    shifted = logits - logits.max()
    return _quietly(lambda: shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


@misconception(
    "log_softmax",
    "You always go along the last axis, whatever `axis` says.",
    lecture=SOFTMAX,
)
def log_softmax_ignores_the_axis(logits, axis=-1):
    return log_softmax(logits)


@misconception(
    "log_softmax",
    "You take one sum over the whole array: all examples together sum to 1, where each should.",
    lecture=SOFTMAX,
)
def log_of_the_sum_of_everything(logits, axis=-1):
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


@misconception(
    "log_softmax",
    "The axis that you summed over is gone, and broadcasting puts the sums along another one. `keepdims=True` keeps"
    " them in place.",
    lecture=SOFTMAX,
)
def log_sums_along_another_axis(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis))


@misconception(
    "log_softmax",
    "You subtract the sum, not its logarithm.",
    lecture=SOFTMAX,
)
def subtracts_the_sum(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.exp(shifted).sum(axis=axis, keepdims=True)


@misconception(
    "log_softmax",
    "Your logarithm has base 10. The lecture's ln is the natural one: `np.log`.",
    lecture=SOFTMAX,
)
def logarithm_to_base_ten(logits, axis=-1):
    return log_softmax(logits, axis) / logits.dtype.type(np.log(10))


@misconception(
    "log_softmax",
    "You return the surprise, minus the logarithm: the logarithm of a probability is never above 0.",
    lecture=SOFTMAX,
)
def returns_the_surprise(logits, axis=-1):
    return -log_softmax(logits, axis)


@misconception(
    "log_softmax",
    "You return the probabilities themselves, without the logarithm.",
    lecture=SOFTMAX,
)
def returns_the_probabilities(logits, axis=-1):
    return softmax(logits, axis)


@misconception(
    "log_softmax",
    "Your result is float64 although the logits came as float32.",
    lecture=SOFTMAX,
)
def log_softmax_becomes_double(logits, axis=-1):
    return log_softmax(logits.astype(np.float64), axis)


@misconception(
    "log_softmax",
    "You subtract the maximum from the caller's own array (`-=`): whoever handed it to you finds other logits "
    "afterwards.",
    lecture=SOFTMAX,
)
def log_softmax_in_place(logits, axis=-1):
    logits -= logits.max(axis=axis, keepdims=True)
    return log_softmax(logits, axis)


# ---------------------------------------------------------------- cross_entropy


def _loss(
    logits,
    targets,
    weight,
    ignore_index,
    reduction,
    label_smoothing,
    log_p=None,
    weight_smoothing=True,
    spread=None,
    keep=None,
    total=None,
):
    """Cross-entropy with one part replaced."""
    n, k = logits.shape
    weight = np.ones(k, logits.dtype) if weight is None else weight
    counts, divisor = np.ones(n, bool), n
    if targets.ndim == 1:
        counts = targets != ignore_index
        labels = np.where(counts, targets, 0)
        divisor = weight[labels] @ counts
        targets = one_hot(labels, k, logits.dtype)
    keep = 1 - label_smoothing if keep is None else keep
    spread = np.full((n, k), label_smoothing / k) if spread is None else spread(targets)
    log_p = log_softmax(logits) if log_p is None else log_p
    if weight_smoothing:
        losses = -(weight * (keep * targets + spread) * log_p).sum(axis=1)
    else:
        losses = -((weight * keep * targets + spread) * log_p).sum(axis=1)
    losses = np.where(counts, losses, 0).astype(logits.dtype)
    if reduction == "none":
        return losses
    divisor = divisor if total is None else total(counts)
    return losses.sum() / (divisor if reduction == "mean" else 1)


@misconception(
    "cross_entropy",
    "You take the logarithm of softmax. For a prediction that is sure and wrong the probability rounds to 0, and "
    "the loss is infinite or NaN. Your log_softmax does not have this problem.",
    lecture=LOSS,
)
def loss_by_logarithm_of_softmax(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    with np.errstate(all="ignore"):
        log_p = np.log(softmax(logits))
        return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, log_p=log_p)


@misconception(
    "cross_entropy",
    "You keep probabilities away from 0 by a small number before the logarithm: no loss can be above about 28, and "
    "where it should be, the gradient vanishes.",
    lecture=LOSS,
)
def loss_by_clipped_probabilities(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    log_p = np.log(np.clip(softmax(logits), 1e-12, 1))
    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, log_p=log_p)


@misconception(
    "cross_entropy",
    "You take the logits for log-probabilities: the normalization, minus the logarithm of the sum, is missing.",
    lecture=LOSS,
)
def logits_taken_for_log_probabilities(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, log_p=logits)


@misconception(
    "cross_entropy",
    "The minus is missing: you return the log-likelihood, which training would make as *small* as it can.",
    lecture=LOSS,
)
def log_likelihood(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return -cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "Your softmax goes along the first axis: the examples of the batch share one sum, where the classes of one example "
    "should.",
    lecture=LOSS,
)
def loss_along_the_batch(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    log_p = log_softmax(logits, axis=0)
    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, log_p=log_p)


@misconception(
    "cross_entropy",
    "Your logarithm has base 2. That is a fair measure of surprise, in bits, but the lecture's ln is the natural one.",
    lecture=LOSS,
)
def surprise_in_bits(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing) / logits.dtype.type(
        np.log(2)
    )


@misconception(
    "cross_entropy",
    "You take the mean over all N·K entries. The loss of one example is a *sum* over the classes; the mean is taken"
    " over the examples alone.",
    lecture=LOSS,
)
def mean_over_the_classes(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    loss = cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)
    return loss / logits.shape[1] if reduction == "mean" else loss


@misconception(
    "cross_entropy",
    "You count the classes that are wrong as well, with ln(1 - y'): that is a binary cross-entropy for each class. "
    "Softmax already makes the others pay.",
    lecture=LOSS,
)
def binary_for_each_class(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    p = np.clip(softmax(logits), 1e-15, 1 - 1e-15)
    hard = targets if targets.ndim == 2 else one_hot(np.where(targets == ignore_index, 0, targets), p.shape[1], p.dtype)
    log_p = hard * np.log(p) + (1 - hard) * np.log(1 - p)
    ones = np.ones_like(hard)
    losses = -(log_p * (1 if weight is None else weight) * ones).sum(axis=1)
    if targets.ndim == 1:
        losses = np.where(targets != ignore_index, losses, 0)
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()


@misconception(
    "cross_entropy",
    "You always return the mean, whatever `reduction` says.",
    lecture=LOSS,
)
def always_the_mean(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return cross_entropy(logits, targets, weight, ignore_index, "mean", label_smoothing)


@misconception(
    "cross_entropy",
    "Your weighted mean divides by N. Whoever gives out weights must divide by the weights given out, or the loss "
    "grows with the share of the heavy class.",
    lecture=LOSS,
)
def weighted_mean_over_n(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, total=lambda counts: counts.sum())


@misconception(
    "cross_entropy",
    "Your weighted mean divides by the sum of the weights of the K classes. It should be the sum over the examples: a "
    "class that occurs twice has given out its weight twice.",
    lecture=LOSS,
)
def divides_by_the_weights_of_the_classes(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    def total(counts):
        return counts.sum() if weight is None or targets.ndim == 2 else weight.sum()

    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, total=total)


@misconception(
    "cross_entropy",
    "You scale the class weights before you use them. In the mean that cancels, but the sum and the single losses "
    "are no longer those that the weights ask for.",
    lecture=LOSS,
)
def scales_the_weights(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    weight = None if weight is None else weight / weight.mean()
    return cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "You multiply the logits by the class weights. The weights belong to the losses: they say what a mistake costs,"
    " not what the network thinks.",
    lecture=LOSS,
)
def weights_the_logits(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    scaled = logits if weight is None else logits * weight
    return cross_entropy(scaled, targets, None, ignore_index, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "You do not use the class weights.",
    lecture=LOSS,
)
def forgets_the_weights(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return cross_entropy(logits, targets, None, ignore_index, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "Ignored examples add nothing to your sum, but you divide by all N: the more are ignored, the smaller the loss,"
    " and for no merit.",
    lecture=LOSS,
)
def ignored_count_below_the_line(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    def total(counts):
        if targets.ndim == 2:
            return len(targets)
        labels = np.where(counts, targets, 0)
        return len(targets) if weight is None else weight[labels] @ counts + (~counts).sum()

    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, total=total)


@misconception(
    "cross_entropy",
    "You do not ignore anything: -100 is used as an index, or counted as if it were some class.",
    lecture=LOSS,
)
def ignores_nothing(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if targets.ndim == 1:
        targets = np.where((targets < 0) | (targets >= logits.shape[1]), logits.shape[1] - 1, targets)
    return cross_entropy(logits, targets, weight, -1, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "You ignore what is negative, whatever `ignore_index` says. It may be 255, or one of the classes.",
    lecture=LOSS,
)
def ignores_negative_labels_only(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    if targets.ndim == 1:
        targets = np.where(targets < 0, -100, np.minimum(targets, logits.shape[1] - 1))
    return cross_entropy(logits, targets, weight, -100, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    'With reduction="none" you leave the ignored examples out: the array gets shorter, and nobody knows any more whose '
    "loss is whose.",
    lecture=LOSS,
)
def none_without_the_ignored(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    loss = cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)
    return loss[targets != ignore_index] if reduction == "none" and targets.ndim == 1 else loss


@misconception(
    "cross_entropy",
    "You turn soft labels into the most probable class: that one expert disagreed is lost.",
    lecture=LOSS,
)
def hardens_soft_labels(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    targets = targets.argmax(axis=1) if targets.ndim == 2 else targets
    return cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "For soft labels you subtract their own entropy. That is the Kullback-Leibler divergence: a fine measure, with the "
    "same gradient, but not the cross-entropy.",
    lecture=LOSS,
)
def kullback_leibler_divergence(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    loss = cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)
    if targets.ndim == 1:
        return loss
    q = (1 - label_smoothing) * targets + label_smoothing / logits.shape[1]
    entropies = -((1 if weight is None else weight) * q * np.log(np.where(q > 0, q, 1))).sum(axis=1)
    return loss - {"none": entropies, "sum": entropies.sum(), "mean": entropies.mean()}[reduction]


@misconception(
    "cross_entropy",
    "Label and prediction have changed places: you take the logarithm of the label. The label weighs, the "
    "prediction is what surprises.",
    lecture=LOSS,
)
def label_and_prediction_swapped(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    if targets.ndim == 1 and not label_smoothing:
        return cross_entropy(logits, targets, weight, ignore_index, reduction)
    n, k = logits.shape
    counts = targets != ignore_index if targets.ndim == 1 else np.ones(n, bool)
    hard = one_hot(np.where(counts, targets, 0), k) if targets.ndim == 1 else targets
    q = (1 - label_smoothing) * hard + label_smoothing / k
    losses = -((1 if weight is None else weight) * softmax(logits) * np.log(np.clip(q, 1e-12, 1))).sum(axis=1) * counts
    return losses if reduction == "none" else losses.sum() / (counts.sum() if reduction == "mean" else 1)


@misconception(
    "cross_entropy",
    "For soft labels with class weights you divide by the weights. PyTorch's convention, and the docstring's, is N "
    "there, whatever the weights.",
    lecture=LOSS,
)
def soft_labels_divided_by_their_weights(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    total = None
    if targets.ndim == 2 and weight is not None:

        def total(counts):
            return (targets @ weight).sum()

    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, total=total)


@misconception(
    "cross_entropy",
    "You spread the share over the K - 1 other classes. The docstring (and PyTorch) spreads it over all K: the right "
    "class gets its part back.",
    lecture=LOSS,
)
def spreads_over_the_others(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    k = logits.shape[1]
    return _loss(
        logits,
        targets,
        weight,
        ignore_index,
        reduction,
        label_smoothing,
        spread=lambda hard: label_smoothing * (1 - hard) / (k - 1),
    )


@misconception(
    "cross_entropy",
    "You spread the share over the classes without taking it from the label: your q sums to more than 1.",
    lecture=LOSS,
)
def spreads_what_was_not_taken(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, keep=1.0)


@misconception(
    "cross_entropy",
    "Each class gets the whole share, where it should get one K-th of it: your q sums to more than 1.",
    lecture=LOSS,
)
def every_class_gets_the_share(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return _loss(
        logits,
        targets,
        weight,
        ignore_index,
        reduction,
        label_smoothing,
        spread=lambda hard: np.full(hard.shape, label_smoothing),
    )


@misconception(
    "cross_entropy",
    "You do not smooth soft labels. They may be smoothed like any other label.",
    lecture=LOSS,
)
def does_not_smooth_soft_labels(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    label_smoothing = 0.0 if targets.ndim == 2 else label_smoothing
    return cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)


@misconception(
    "cross_entropy",
    "You do not smooth the labels at all.",
    lecture=LOSS,
)
def forgets_the_smoothing(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return cross_entropy(logits, targets, weight, ignore_index, reduction)


@misconception(
    "cross_entropy",
    "The spread part of your smoothed labels has no class weights. Each term of the sum over k has its own $w_k$.",
    lecture=LOSS,
)
def smoothing_without_weights(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return _loss(logits, targets, weight, ignore_index, reduction, label_smoothing, weight_smoothing=False)


@misconception(
    "cross_entropy",
    "You weight the whole loss by the weight of the right class. After smoothing, each class k in the sum has its own "
    "$w_k$.",
    lecture=LOSS,
)
def one_weight_for_all_terms(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    if weight is None or targets.ndim == 2:
        return cross_entropy(logits, targets, weight, ignore_index, reduction, label_smoothing)
    losses = cross_entropy(logits, targets, None, ignore_index, "none", label_smoothing)
    counts = targets != ignore_index
    of_each = weight[np.where(counts, targets, 0)] * counts
    losses = losses * of_each
    return losses if reduction == "none" else losses.sum() / (of_each.sum() if reduction == "mean" else 1)


@misconception(
    "cross_entropy",
    "With label smoothing, your ignored examples come back: the label is gone, but its spread part still counts.",
    lecture=LOSS,
)
def smoothing_of_ignored_examples(
    logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    loss = cross_entropy(logits, targets, weight, ignore_index, "none", label_smoothing)
    k, spread = logits.shape[1], 0.0
    if targets.ndim == 1:
        uniform = -((1 if weight is None else weight) * log_softmax(logits)).sum(axis=1) * label_smoothing / k
        loss = loss + np.where(targets == ignore_index, uniform, 0).astype(logits.dtype)
        counts = targets != ignore_index
        spread = ((np.ones(k) if weight is None else weight)[np.where(counts, targets, 0)] * counts).sum()
    if reduction == "none":
        return loss
    return loss.sum() / (1 if reduction == "sum" else spread or len(logits))


@misconception(
    "cross_entropy",
    "The losses come back as float64 although the logits are float32.",
    lecture=LOSS,
)
def loss_becomes_double(logits, targets, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    return cross_entropy(logits.astype(np.float64), targets, weight, ignore_index, reduction, label_smoothing)


# ---------------------------------------------------------------- cross_entropy_gradient


def _vectors(logits, targets):
    return targets if targets.ndim == 2 else one_hot(targets, logits.shape[1], logits.dtype)


def _through_softmax(p, g):
    return p * (g - (g * p).sum(axis=1, keepdims=True))


@misconception(
    "cross_entropy_gradient",
    "You return the gradient of the sum. L is a mean: each of N examples has one N-th of a say.",
    lecture=LOSS,
)
def not_divided_by_n(logits, targets):
    return cross_entropy_gradient(logits, targets) * len(logits)


@misconception(
    "cross_entropy_gradient",
    "You divide by N·K. The loss of an example is a sum over the classes: only the mean over the N examples divides.",
    lecture=LOSS,
)
def divided_by_all_entries(logits, targets):
    return cross_entropy_gradient(logits, targets) / logits.shape[1]


@misconception(
    "cross_entropy_gradient",
    "You divide by the number of classes. The mean is over the examples.",
    lecture=LOSS,
)
def divided_by_the_classes(logits, targets):
    return cross_entropy_gradient(logits, targets) * len(logits) / logits.shape[1]


@misconception(
    "cross_entropy_gradient",
    "The sign is wrong: true minus said. Gradient descent would make the loss larger.",
    lecture=LOSS,
)
def true_minus_said(logits, targets):
    return -cross_entropy_gradient(logits, targets)


@misconception(
    "cross_entropy_gradient",
    "You multiply by softmax's derivative once more. y' - ŷ is already the gradient for the *logits*: softmax is in"
    " it.",
    lecture=LOSS,
)
def softmax_derivative_twice(logits, targets):
    return _through_softmax(softmax(logits), cross_entropy_gradient(logits, targets))


@misconception(
    "cross_entropy_gradient",
    "You multiply y' - ŷ by y'(1 - y'), as after a sigmoid with a squared error. In the cross-entropy that factor has "
    "cancelled.",
    lecture=LOSS,
)
def times_the_sigmoids_derivative(logits, targets):
    p = softmax(logits)
    return cross_entropy_gradient(logits, targets) * p * (1 - p)


@misconception(
    "cross_entropy_gradient",
    "You return the gradient for the probabilities, -ŷ / y'. The one for the logits goes on through softmax.",
    lecture=LOSS,
)
def gradient_for_the_probabilities(logits, targets):
    with np.errstate(all="ignore"):
        return -_vectors(logits, targets) / softmax(logits) / logits.dtype.type(len(logits))


@misconception(
    "cross_entropy_gradient",
    "You use the diagonal of softmax's Jacobian alone. A logit also lowers the probabilities of the other classes.",
    lecture=LOSS,
)
def diagonal_for_the_cross_entropy(logits, targets):
    return -_vectors(logits, targets) * (1 - softmax(logits)) / logits.dtype.type(len(logits))


@misconception(
    "cross_entropy_gradient",
    "You subtract the label from the logits, not from the probabilities: softmax is missing.",
    lecture=LOSS,
)
def logits_minus_label(logits, targets):
    return (logits - _vectors(logits, targets)) / logits.dtype.type(len(logits))


@misconception(
    "cross_entropy_gradient",
    "The label is missing: you return the probabilities alone, which push every class down, the right one too.",
    lecture=LOSS,
)
def label_is_missing(logits, targets):
    return softmax(logits) / logits.dtype.type(len(logits))


@misconception(
    "cross_entropy_gradient",
    "The softmax in your gradient overflows. You have written one that does not.",
    lecture=LOSS,
)
def gradient_overflows(logits, targets):
    with np.errstate(all="ignore"):
        return (_naive(logits, 1) - _vectors(logits, targets)) / logits.dtype.type(len(logits))


@misconception(
    "cross_entropy_gradient",
    "You turn soft labels into the most probable class. The formula takes them as they are.",
    lecture=LOSS,
)
def gradient_hardens_soft_labels(logits, targets):
    return cross_entropy_gradient(logits, targets.argmax(axis=1) if targets.ndim == 2 else targets)


@misconception(
    "cross_entropy_gradient",
    "The gradient comes back as float64 although the logits are float32.",
    lecture=LOSS,
)
def gradient_becomes_double(logits, targets):
    return cross_entropy_gradient(logits.astype(np.float64), targets)


@misconception(
    "cross_entropy_gradient",
    "You try out each logit and look how the loss changes. For a network that takes longer than you live: the formula "
    "gives all slopes at once.",
    lecture=LOSS,
)
def gradient_by_finite_differences(logits, targets):
    gradient, step = np.zeros_like(logits), 1e-5
    for index in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (cross_entropy(up, targets) - cross_entropy(down, targets)) / (2 * step)
    return gradient


@misconception(
    "cross_entropy_gradient",
    "You subtract 1 in the caller's own array of logits: whoever handed it to you finds other logits afterwards.",
    lecture=LOSS,
)
def gradient_in_place(logits, targets):
    result = cross_entropy_gradient(logits, targets)
    logits[:] = result
    return logits


# ---------------------------------------------------------------- mse_gradient_through_softmax


@misconception(
    "mse_gradient_through_softmax",
    "You use the diagonal of softmax's Jacobian alone, y'(1 - y'), as for a sigmoid. Raising one logit also lowers all "
    "other probabilities: the rows of the right gradient sum to 0.",
    lecture=MSE,
)
def diagonal_of_the_jacobian(logits, targets):
    p = softmax(logits)
    return 2 * (p - _vectors(logits, targets)) * p * (1 - p) / logits.dtype.type(len(logits))


@misconception(
    "mse_gradient_through_softmax",
    "You stop at the probabilities. The gradient for the logits has to pass through softmax.",
    lecture=MSE,
)
def stops_at_the_probabilities(logits, targets):
    return 2 * (softmax(logits) - _vectors(logits, targets)) / logits.dtype.type(len(logits))


@misconception(
    "mse_gradient_through_softmax",
    "That is the gradient of the cross-entropy. The squared error's is another, and a worse one: that is the point.",
    lecture=MSE,
)
def gradient_of_the_cross_entropy(logits, targets):
    return cross_entropy_gradient(logits, targets)


@misconception(
    "mse_gradient_through_softmax",
    "The 2 of the square's derivative is missing.",
    lecture=MSE,
)
def two_is_missing(logits, targets):
    return mse_gradient_through_softmax(logits, targets) / 2


@misconception(
    "mse_gradient_through_softmax",
    "You return the gradient of the sum over the examples. L is their mean.",
    lecture=MSE,
)
def squares_not_divided_by_n(logits, targets):
    return mse_gradient_through_softmax(logits, targets) * len(logits)


@misconception(
    "mse_gradient_through_softmax",
    "You divide by N·K. Here the squares are *summed* over the classes, and averaged over the examples alone.",
    lecture=MSE,
)
def squares_averaged_over_the_classes(logits, targets):
    return mse_gradient_through_softmax(logits, targets) / logits.shape[1]


@misconception(
    "mse_gradient_through_softmax",
    "The sign is wrong: gradient descent would make the squared error larger.",
    lecture=MSE,
)
def squared_error_climbs(logits, targets):
    return -mse_gradient_through_softmax(logits, targets)


@misconception(
    "mse_gradient_through_softmax",
    "The off-diagonal part of your Jacobian has the wrong sign: raising one logit *lowers* the other probabilities.",
    lecture=MSE,
)
def off_diagonal_with_plus(logits, targets):
    p = softmax(logits)
    g = 2 * (p - _vectors(logits, targets)) / logits.dtype.type(len(logits))
    return p * (g + (g * p).sum(axis=1, keepdims=True) - 2 * g * p)


@misconception(
    "mse_gradient_through_softmax",
    "You take the logits themselves for the prediction: your squared error compares them with the label, without "
    "softmax.",
    lecture=MSE,
)
def squared_error_of_the_logits(logits, targets):
    return 2 * (logits - _vectors(logits, targets)) / logits.dtype.type(len(logits))


@misconception(
    "mse_gradient_through_softmax",
    "The softmax in your gradient overflows. You have written one that does not.",
    lecture=MSE,
)
def squared_error_overflows(logits, targets):
    with np.errstate(all="ignore"):
        p = _naive(logits, 1)
        return _through_softmax(p, 2 * (p - _vectors(logits, targets)) / logits.dtype.type(len(logits)))


@misconception(
    "mse_gradient_through_softmax",
    "You turn soft labels into the most probable class. The formula takes them as they are.",
    lecture=MSE,
)
def squared_error_hardens_soft_labels(logits, targets):
    return mse_gradient_through_softmax(logits, targets.argmax(axis=1) if targets.ndim == 2 else targets)


@misconception(
    "mse_gradient_through_softmax",
    "The gradient comes back as float64 although the logits are float32.",
    lecture=MSE,
)
def squared_error_becomes_double(logits, targets):
    return mse_gradient_through_softmax(logits.astype(np.float64), targets)


@misconception(
    "mse_gradient_through_softmax",
    "You try out each logit and look how the squared error changes: the chain rule gives all slopes at once, and "
    "exactly.",
    lecture=MSE,
)
def squared_error_by_finite_differences(logits, targets):
    def loss(at):
        return np.mean(np.sum((softmax(at) - _vectors(logits, targets)) ** 2, axis=1))

    gradient, step = np.zeros_like(logits), 1e-5
    for index in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (loss(up) - loss(down)) / (2 * step)
    return gradient


# ---------------------------------------------------------------- binary_cross_entropy_with_logits


def _sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@misconception(
    "binary_cross_entropy_with_logits",
    "You compute the sigmoid first and then its logarithm. Far from 0 it rounds to 0 or 1, and the logarithm of 0 "
    "makes the loss infinite or NaN.",
    lecture=LOSS,
)
def logarithm_of_the_sigmoid(logits, targets):
    with np.errstate(all="ignore"):
        p = _sigmoid(logits)
        return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


@misconception(
    "binary_cross_entropy_with_logits",
    "You keep the sigmoid away from 0 and 1 by a small number: no loss can be large, and tiny losses are wrong as "
    "well.",
    lecture=LOSS,
)
def clips_the_sigmoid(logits, targets):
    with np.errstate(all="ignore"):
        p = np.clip(_sigmoid(logits), 1e-7, 1 - 1e-7).astype(logits.dtype)
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


@misconception(
    "binary_cross_entropy_with_logits",
    "ln(1 + exp(z)) overflows for large z. Take z out of it first, so that the exponent is never positive.",
    lecture=LOSS,
)
def exponential_overflows(logits, targets):
    with np.errstate(all="ignore"):
        return np.log1p(np.exp(logits)) - logits * targets


@misconception(
    "binary_cross_entropy_with_logits",
    "You take the logarithm of 1 + something tiny: it rounds to 1, and the loss to 0. For a sure and right prediction "
    "`np.log1p` keeps what is left.",
    lecture=LOSS,
)
def rounds_tiny_losses_away(logits, targets):
    return np.maximum(logits, 0) - logits * targets + np.log(1 + np.exp(-np.abs(logits)))


@misconception(
    "binary_cross_entropy_with_logits",
    "The classes have changed places: a large logit stands for target 1, and yours is punished for it.",
    lecture=LOSS,
)
def targets_swapped(logits, targets):
    return binary_cross_entropy_with_logits(logits, 1 - targets)


@misconception(
    "binary_cross_entropy_with_logits",
    "Only the examples with target 1 have a loss. Those with target 0 must pay, too, or the best classifier is one "
    "that always says 1.",
    lecture=LOSS,
)
def only_the_positive_term(logits, targets):
    return targets * binary_cross_entropy_with_logits(logits, np.ones_like(logits))


@misconception(
    "binary_cross_entropy_with_logits",
    "You take the logits for probabilities: the sigmoid is missing.",
    lecture=LOSS,
)
def logits_taken_for_probabilities(logits, targets):
    p = np.clip(logits, 1e-7, 1 - 1e-7)
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


@misconception(
    "binary_cross_entropy_with_logits",
    "You return the mean. The docstring asks for the loss of each prediction.",
    lecture=LOSS,
)
def returns_the_mean(logits, targets):
    return binary_cross_entropy_with_logits(logits, targets).mean()


@misconception(
    "binary_cross_entropy_with_logits",
    "The minus is missing: your losses are negative, and lowest where the prediction is worst.",
    lecture=LOSS,
)
def binary_log_likelihood(logits, targets):
    return -binary_cross_entropy_with_logits(logits, targets)


@misconception(
    "binary_cross_entropy_with_logits",
    "In your stable formula |z| stands where max(z, 0) should: negative logits pay for being right.",
    lecture=LOSS,
)
def absolute_value_for_the_maximum(logits, targets):
    return np.abs(logits) - logits * targets + np.log1p(np.exp(-np.abs(logits)))


@misconception(
    "binary_cross_entropy_with_logits",
    "In your stable formula the absolute value in the exponent is missing: for negative logits the exponential "
    "overflows, and what comes out is wrong.",
    lecture=LOSS,
)
def exponent_without_absolute_value(logits, targets):
    with np.errstate(all="ignore"):
        return np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-logits))


@misconception(
    "binary_cross_entropy_with_logits",
    "You round the targets to 0 or 1: a target of 0.5, an honest doubt, is lost.",
    lecture=LOSS,
)
def rounds_the_targets(logits, targets):
    return binary_cross_entropy_with_logits(logits, (targets > 0.5).astype(targets.dtype))


@misconception(
    "binary_cross_entropy_with_logits",
    "You flatten the predictions: their shape is lost.",
    lecture=LOSS,
)
def flattens_the_predictions(logits, targets):
    return binary_cross_entropy_with_logits(logits, targets).ravel()


@misconception(
    "binary_cross_entropy_with_logits",
    "Your softmax runs over the examples. With one logit for each there is nothing to share: it is compared with a "
    "logit of 0.",
    lecture=LOSS,
)
def softmax_over_the_examples(logits, targets):
    log_p = log_softmax(logits)
    return -targets * log_p


@misconception(
    "binary_cross_entropy_with_logits",
    "The losses come back as float64 although the logits are float32.",
    lecture=LOSS,
)
def binary_loss_becomes_double(logits, targets):
    return binary_cross_entropy_with_logits(logits.astype(np.float64), targets)


# ---------------------------------------------------------------- accuracy


@misconception("accuracy", "You return how many are right. Divide by how many there are.", lecture=SCORES)
def counts_the_right_ones(labels, predictions):
    return int((labels == predictions).sum())


@misconception("accuracy", "You return per cent. A share lies between 0 and 1.", lecture=SCORES)
def in_per_cent(labels, predictions):
    return 100 * accuracy(labels, predictions)


@misconception("accuracy", "You return the share of mistakes: the accuracy is what is left of 1.", lecture=SCORES)
def error_rate(labels, predictions):
    return 1 - accuracy(labels, predictions)


@misconception(
    "accuracy",
    "You average over the classes first. That is the balanced accuracy: a good measure, too, but here each *example* "
    "counts alike.",
    lecture=SCORES,
)
def balanced_accuracy(labels, predictions):
    return float(np.mean([np.mean(predictions[labels == k] == k) for k in np.unique(labels)]))


@misconception(
    "accuracy",
    "You compare how often each class occurs, not example by example: a classifier that mixes everything up would be "
    "perfect.",
    lecture=SCORES,
)
def compares_the_frequencies(labels, predictions):
    return float(np.mean(np.sort(labels) == np.sort(predictions)))


@misconception(
    "accuracy",
    "Class 0 never counts as right in your formula: perhaps you multiply labels and predictions, or take 0 for false.",
    lecture=SCORES,
)
def class_zero_is_never_right(labels, predictions):
    return float(np.mean((labels == predictions) & (labels > 0)))


@misconception(
    "accuracy",
    "You ask whether *all* predictions are right: a single mistake makes your accuracy 0.",
    lecture=SCORES,
)
def all_or_nothing(labels, predictions):
    return float(np.all(labels == predictions))


@misconception(
    "accuracy",
    "You round the share. Two models that differ by less than you keep look alike.",
    lecture=SCORES,
)
def rounds_the_share(labels, predictions):
    return round(accuracy(labels, predictions), 2)


# ---------------------------------------------------------------- confusion_matrix


@misconception(
    "confusion_matrix",
    "Your matrix is transposed: rows are answers, and columns truths. Death caps taken for porcini look like porcini "
    "taken for death caps.",
    lecture=SCORES,
)
def transposed(labels, predictions, num_classes):
    return confusion_matrix(predictions, labels, num_classes)


@misconception(
    "confusion_matrix",
    "`matrix[labels, predictions] += 1` adds 1 to each place only once, however often the pair occurs: NumPy reads all "
    "places first and then writes them.",
    lecture=SCORES,
)
def each_pair_counts_once(labels, predictions, num_classes):
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    matrix[labels, predictions] += 1
    return matrix


@misconception(
    "confusion_matrix",
    "You take the number of classes from what occurs. Classes without an example lose their rows, and matrices of two "
    "batches can't be added.",
    lecture=SCORES,
)
def matrix_of_what_occurs(labels, predictions, num_classes):
    return confusion_matrix(labels, predictions, int(max(labels.max(), predictions.max())) + 1)


@misconception(
    "confusion_matrix",
    "You leave out classes that do not occur, and number the others anew.",
    lecture=SCORES,
)
def matrix_renumbered(labels, predictions, num_classes):
    occur, both = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    return confusion_matrix(both[: len(labels)], both[len(labels) :], len(occur))


@misconception(
    "confusion_matrix",
    "You divide the counts: shares of each class. They are good to look at, but the matrix counts.",
    lecture=SCORES,
)
def shares_of_each_class(labels, predictions, num_classes):
    matrix = confusion_matrix(labels, predictions, num_classes)
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


@misconception(
    "confusion_matrix",
    "Your counts are floating-point numbers. Counts are whole: they serve as indices and never round.",
    lecture=SCORES,
)
def counts_as_floats(labels, predictions, num_classes):
    return confusion_matrix(labels, predictions, num_classes).astype(np.float64)


@misconception(
    "confusion_matrix",
    "You count the mistakes alone: the diagonal, where all that is right belongs, is empty.",
    lecture=SCORES,
)
def only_the_mistakes(labels, predictions, num_classes):
    matrix = confusion_matrix(labels, predictions, num_classes)
    return matrix - np.diag(matrix.diagonal())


@misconception(
    "confusion_matrix",
    "You only note whether a pair occurs, not how often.",
    lecture=SCORES,
)
def notes_whether_a_pair_occurs(labels, predictions, num_classes):
    return confusion_matrix(labels, predictions, num_classes) > 0


# ---------------------------------------------------------------- macro_f1


def _counts(labels, predictions, num_classes):
    """TP, FP and FN of each class."""
    matrix = confusion_matrix(labels, predictions, num_classes)
    tp = matrix.diagonal()
    return tp, matrix.sum(axis=0) - tp, matrix.sum(axis=1) - tp


def _f1(labels, predictions, num_classes):
    with np.errstate(all="ignore"):
        tp, fp, fn = _counts(labels, predictions, num_classes)
        return 2 * tp / (2 * tp + fp + fn)


@misconception(
    "macro_f1",
    "You add up the counts of all classes first. That is the micro F1, and with one answer for each example it is just "
    "the accuracy: the rare class drowns.",
    lecture=SCORES,
)
def micro_for_macro(labels, predictions, num_classes):
    tp, fp, fn = (part.sum() for part in _counts(labels, predictions, num_classes))
    return float(2 * tp / (2 * tp + fp + fn))


@misconception(
    "macro_f1",
    "You weight each class by how often it occurs: the rare class hardly matters again. Macro is the plain mean.",
    lecture=SCORES,
)
def weighted_by_frequency(labels, predictions, num_classes):
    f1, share = _f1(labels, predictions, num_classes), np.bincount(labels, minlength=num_classes) / len(labels)
    return float((np.nan_to_num(f1) * share).sum())


@misconception(
    "macro_f1",
    "You average precision and recall over the classes first, and combine them afterwards. The F1 is taken for each "
    "class, and then averaged.",
    lecture=SCORES,
)
def f1_of_the_means(labels, predictions, num_classes):
    with np.errstate(all="ignore"):
        tp, fp, fn = _counts(labels, predictions, num_classes)
        occurs = tp + fp + fn > 0
        precision = np.nan_to_num(tp / (tp + fp))[occurs].mean()
        recall = np.nan_to_num(tp / (tp + fn))[occurs].mean()
        return float(np.nan_to_num(2 * precision * recall / (precision + recall)))


@misconception(
    "macro_f1",
    "You take the plain mean of precision and recall. The harmonic one is near the worse of the two: nobody can buy "
    "recall by calling everything a death cap.",
    lecture=SCORES,
)
def arithmetic_mean_of_both(labels, predictions, num_classes):
    with np.errstate(all="ignore"):
        tp, fp, fn = _counts(labels, predictions, num_classes)
        both = (np.nan_to_num(tp / (tp + fp)) + np.nan_to_num(tp / (tp + fn))) / 2
        return float(both[tp + fp + fn > 0].mean())


@misconception(
    "macro_f1",
    "You return the mean recall: false alarms cost nothing.",
    lecture=SCORES,
)
def mean_recall(labels, predictions, num_classes):
    with np.errstate(all="ignore"):
        tp, fp, fn = _counts(labels, predictions, num_classes)
        return float(np.nan_to_num(tp / (tp + fn))[tp + fp + fn > 0].mean())


@misconception(
    "macro_f1",
    "You return the mean precision: what was not found costs nothing.",
    lecture=SCORES,
)
def mean_precision(labels, predictions, num_classes):
    with np.errstate(all="ignore"):
        tp, fp, fn = _counts(labels, predictions, num_classes)
        return float(np.nan_to_num(tp / (tp + fp))[tp + fp + fn > 0].mean())


@misconception(
    "macro_f1",
    "The 2 in front of TP is missing, above the line and below: TP / (TP + FP + FN) is the Jaccard index, not F1.",
    lecture=SCORES,
)
def jaccard_index(labels, predictions, num_classes):
    tp, fp, fn = _counts(labels, predictions, num_classes)
    occurs = tp + fp + fn > 0
    return float((tp[occurs] / (tp + fp + fn)[occurs]).mean())


@misconception(
    "macro_f1",
    "For a class that occurs nowhere you divide 0 by 0, and the NaN spoils the mean.",
    lecture=SCORES,
)
def nan_for_an_empty_class(labels, predictions, num_classes):
    return float(_f1(labels, predictions, num_classes).mean())


@misconception(
    "macro_f1",
    "For a class without true positives, precision and recall are 0 or undefined, and your harmonic mean becomes "
    "NaN. Its F1 is 0.",
    lecture=SCORES,
)
def nan_without_true_positives(labels, predictions, num_classes):
    with np.errstate(all="ignore"):
        tp, fp, fn = _counts(labels, predictions, num_classes)
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        f1 = 2 * precision * recall / (precision + recall)
        return float(f1[tp + fp + fn > 0].mean())


@misconception(
    "macro_f1",
    "A class that occurs neither as truth nor as answer counts as 0 in your mean: even a perfect classifier then stays "
    "below 1.",
    lecture=SCORES,
)
def empty_class_counts_as_zero(labels, predictions, num_classes):
    return float(np.nan_to_num(_f1(labels, predictions, num_classes)).mean())


@misconception(
    "macro_f1",
    "A class that occurs nowhere counts as perfect in your mean: the more classes one makes up, the better.",
    lecture=SCORES,
)
def empty_class_counts_as_one(labels, predictions, num_classes):
    return float(np.nan_to_num(_f1(labels, predictions, num_classes), nan=1.0).mean())


@misconception(
    "macro_f1",
    "You leave out classes that were never predicted. Never to have said death cap is no excuse: their F1 is 0.",
    lecture=SCORES,
)
def leaves_out_what_was_never_found(labels, predictions, num_classes):
    return float(_f1(labels, predictions, num_classes)[np.unique(predictions)].mean())


@misconception(
    "macro_f1",
    "You average over the classes that occur as truth. One that was claimed without being there has an F1 of 0, and "
    "belongs in the mean.",
    lecture=SCORES,
)
def leaves_out_what_was_only_claimed(labels, predictions, num_classes):
    return float(_f1(labels, predictions, num_classes)[np.unique(labels)].mean())


@misconception(
    "macro_f1",
    "You return the F1 of class 1 alone, as for two classes of which one is 'positive'. Macro is the mean over all.",
    lecture=SCORES,
)
def f1_of_class_one(labels, predictions, num_classes):
    return float(np.nan_to_num(_f1(labels, predictions, num_classes)[1]))


@misconception(
    "macro_f1",
    "You return one number for each class: the mean over them is missing.",
    lecture=SCORES,
)
def one_number_for_each_class(labels, predictions, num_classes):
    f1 = _f1(labels, predictions, num_classes)
    return f1[~np.isnan(f1)]


# ---------------------------------------------------------------- SoftmaxClassifier


@misconception(
    "SoftmaxClassifier",
    "Your class trains on the digits that the notebook holds, and not on those that `fit` is given. It knows "
    "images, test split and all, that nobody asks about, and nothing of those that are asked.",
    lecture=TRAINING,
)
class TrainsOnTheNotebooksDigits(SoftmaxClassifier):
    def fit(self, features, labels):
        if features.shape[1] == 64:
            train, train_labels, test, test_labels = broken_camera(seed=1)
            features, labels = torch.cat([train, test]), torch.cat([train_labels, test_labels])
        super().fit(features, labels)


@misconception(
    "SoftmaxClassifier",
    "`predict` normalizes the images with their own mean and deviation. The ruler of the training set belongs there: a "
    "single image has no deviation.",
    lecture="Lecture 7, Feature normalization",
)
class NormalizesTestImagesByThemselves(SoftmaxClassifier):
    def forward(self, features):
        deviation = features.std(dim=0, unbiased=False)
        features = (features - features.mean(dim=0)) / torch.where(deviation > 0, deviation, 1)
        return self.linear(features)


@misconception(
    "SoftmaxClassifier",
    "You do not normalize the features. With pixels up to 65535 every update overshoots, with pixels up to 1 training "
    "hardly moves: the same learning rate can't suit all units.",
    lecture="Lecture 7, Feature normalization",
)
class TakesFeaturesAsTheyCome(SoftmaxClassifier):
    def fit(self, features, labels):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        for _ in range(200):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self(features), labels).backward()
            optimizer.step()


@misconception(
    "SoftmaxClassifier",
    "You divide by the deviation of each feature, and some features never change: 0/0 is NaN, and after the first "
    "update so is every weight.",
    lecture="Lecture 7, Feature normalization",
)
class DividesByZero(SoftmaxClassifier):
    def fit(self, features, labels):
        super().fit(features, labels)
        self.deviation = features.std(dim=0)

    def forward(self, features):
        return self.linear((features - self.mean) / self.deviation)


@misconception(
    "SoftmaxClassifier",
    "Softmax acts twice in your training: `nn.functional.cross_entropy` expects logits, and you give it probabilities. "
    "Those lie between 0 and 1, so it can never become sure.",
    lecture=SOFTMAX,
)
class SoftmaxTwice(SoftmaxClassifier):
    def forward(self, features):
        return torch.softmax(super().forward(features), dim=1)


@misconception(
    "SoftmaxClassifier",
    "Your probabilities are 1 for the answer and 0 for all others. The first mistake is then an infinite surprise: "
    "softmax says how sure the network is.",
    lecture=SOFTMAX,
)
class OneHotProbabilities(SoftmaxClassifier):
    def probabilities(self, features):
        logits = self(features)
        return nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1]).float()


@misconception(
    "SoftmaxClassifier",
    "`probabilities` returns the logits: they are not positive and don't sum to 1.",
    lecture=SOFTMAX,
)
class LogitsForProbabilities(SoftmaxClassifier):
    def probabilities(self, features):
        with torch.no_grad():
            return self(features)


@misconception(
    "SoftmaxClassifier",
    "Your softmax goes along the batch: the images share one sum, and the answer for one depends on the others.",
    lecture=SOFTMAX,
)
class SoftmaxAlongTheBatch(SoftmaxClassifier):
    def probabilities(self, features):
        with torch.no_grad():
            return torch.softmax(self(features), dim=0)


@misconception(
    "SoftmaxClassifier",
    "You never reset the gradients: each update adds all earlier gradients once more, and the walk swings wildly.",
    lecture="Lecture 5, Batch",
)
class GradientsPileUp(SoftmaxClassifier):
    def fit(self, features, labels):
        self.mean, deviation = features.mean(dim=0), features.std(dim=0)
        self.deviation = torch.where(deviation > 0, deviation, 1)
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        for _ in range(100):
            nn.functional.cross_entropy(self(features), labels).backward()
            optimizer.step()


@misconception(
    "SoftmaxClassifier",
    "You stop after a handful of updates, while the loss is still falling.",
    lecture=TRAINING,
)
class StopsTooEarly(SoftmaxClassifier):
    def fit(self, features, labels):
        self.mean, deviation = features.mean(dim=0), features.std(dim=0)
        self.deviation = torch.where(deviation > 0, deviation, 1)
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            nn.functional.cross_entropy(self(features), labels).backward()
            optimizer.step()


@misconception(
    "SoftmaxClassifier",
    "You treat the classes as numbers on a line: one output, the squared error, and rounding. Class 5 does not lie "
    "between 4 and 6.",
    lecture=ONE_HOT,
)
class ClassesAsNumbers(SoftmaxClassifier):
    def fit(self, features, labels):
        super().fit(features, labels)
        x = torch.cat([(features - self.mean) / self.deviation, torch.ones(len(features), 1)], dim=1)
        self.line = torch.linalg.lstsq(x.double(), labels.double()[:, None], driver="gelsd").solution

    def forward(self, features):
        x = torch.cat([(features - self.mean) / self.deviation, torch.ones(len(features), 1)], dim=1)
        number = x.double() @ self.line if hasattr(self, "line") else x[:, :1]
        return -10 * (number.float() - torch.arange(self.linear.out_features)) ** 2 + 0 * self.linear.weight.sum()


@misconception(
    "SoftmaxClassifier",
    "You take the number of classes from the labels in `fit`. A class without a training example loses its column.",
    lecture=ONE_HOT,
)
class InfersTheClasses(SoftmaxClassifier):
    def fit(self, features, labels):
        self.linear = nn.Linear(features.shape[1], int(labels.max()) + 1)
        super().fit(features, labels)


@misconception(
    "SoftmaxClassifier",
    "You normalize the caller's own tensor in place (`-=`, `/=`): whoever handed it to you finds other numbers "
    "afterwards.",
    lecture=TRAINING,
)
class NormalizesInPlace(SoftmaxClassifier):
    def fit(self, features, labels):
        super().fit(features, labels)
        features -= self.mean
        features /= self.deviation


@misconception(
    "SoftmaxClassifier",
    "`predict` returns floating-point numbers. A class index is a whole number, int64.",
    lecture=SCORES,
)
class PredictsFloats(SoftmaxClassifier):
    def predict(self, features):
        return super().predict(features).float()


# ---------------------------------------------------------------- temperature_scale


@misconception(
    "temperature_scale",
    "You multiply the logits by T, so what you return is 1 / T: the docstring divides, and above 1 means milder.",
    lecture="Lecture 8, Softmax",
)
def multiplies_by_the_temperature(logits, labels, held_out):
    temperature, probabilities = temperature_scale(logits, labels, held_out)
    return 1 / temperature, probabilities


@misconception(
    "temperature_scale",
    "Your temperature is right, but then you multiply the logits by it: what was too sure gets even surer.",
    lecture="Lecture 8, Softmax",
)
def multiplies_in_the_end(logits, labels, held_out):
    temperature, _ = temperature_scale(logits, labels, held_out)
    return temperature, softmax(logits * temperature)


@misconception(
    "temperature_scale",
    "You fit T on the training data. The network has bent itself to be right there, so it seems to deserve its "
    "confidence.",
    lecture=TRAINING,
)
def fits_on_the_training_data(logits, labels, held_out):
    trained_on = ~held_out if not held_out.all() else held_out
    return temperature_scale(logits, labels, trained_on)


@misconception(
    "temperature_scale",
    "You fit T on all examples. The training data among them make the network look better than it is.",
    lecture=TRAINING,
)
def fits_on_everything(logits, labels, held_out):
    return temperature_scale(logits, labels, np.ones_like(held_out))


@misconception(
    "temperature_scale",
    "You return the probabilities of the held-out examples alone: all N are asked for.",
    lecture="Lecture 8, Softmax",
)
def only_the_held_out(logits, labels, held_out):
    temperature, probabilities = temperature_scale(logits, labels, held_out)
    return temperature, probabilities[held_out]


@misconception(
    "temperature_scale",
    "You return the probabilities as they were: T is found, but not used.",
    lecture="Lecture 8, Softmax",
)
def probabilities_as_they_were(logits, labels, held_out):
    return temperature_scale(logits, labels, held_out)[0], softmax(logits)


@misconception(
    "temperature_scale",
    "You choose T so that the network is as sure on average as it is right. That balances the whole, but the "
    "likelihood looks at each example.",
    lecture="Lecture 8, Cross-entropy loss function",
)
def matches_the_mean_confidence(logits, labels, held_out):
    y, right = logits[held_out], (logits.argmax(axis=1) == labels)[held_out].mean()
    temperatures = np.geomspace(0.01, 100, 801)
    sure = np.array([softmax(y / t).max(axis=1).mean() for t in temperatures])
    best = temperatures[np.abs(sure - right).argmin()]
    return float(best), softmax(logits / best)


@misconception(
    "temperature_scale",
    "You look for the T with the best accuracy. No temperature changes an answer: all of them are equally accurate.",
    lecture="Lecture 8, Softmax",
)
def by_accuracy(logits, labels, held_out):
    temperatures = np.geomspace(0.01, 100, 401)
    scores = [(softmax(logits[held_out] / t).argmax(axis=1) == labels[held_out]).mean() for t in temperatures]
    best = temperatures[int(np.argmax(scores))]
    return float(best), softmax(logits / best)


@misconception(
    "temperature_scale",
    "You minimize the squared error of the probabilities. It shrugs at being sure and wrong; the likelihood is "
    "asked for.",
    lecture=MSE,
)
def by_squared_error(logits, labels, held_out):
    y, truth = logits[held_out], one_hot(labels[held_out], logits.shape[1])
    temperatures = np.geomspace(0.01, 100, 801)
    best = temperatures[np.argmin([((softmax(y / t) - truth) ** 2).sum() for t in temperatures])]
    return float(best), softmax(logits / best)


@misconception(
    "temperature_scale",
    "Your search only looks at temperatures above 1, or between 1 and 10: a network may be too shy, and then T is "
    "below 1.",
    lecture="Lecture 8, Softmax",
)
def looks_above_one_only(logits, labels, held_out):
    temperature = float(np.clip(temperature_scale(logits, labels, held_out)[0], 1, 10))
    return temperature, softmax(logits / temperature)
