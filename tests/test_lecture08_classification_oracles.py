"""The references of lecture 8 against independent oracles: torch, SciPy, scikit-learn, finite differences, decimals."""

import itertools
import time
from decimal import Decimal, localcontext

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_digits
from sklearn.preprocessing import LabelBinarizer

from solutions import lecture08_classification as lecture

SEEDS = range(5)


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


def assert_close(got, expected):
    """Arrays, tensors or numbers equal to 1e-6."""
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-6, atol=1e-9)


def soft_labels(rng, n, k):
    return rng.dirichlet(np.full(k, 0.5), size=n)


# ---------------------------------------------------------------- one-hot vectors and probabilities


@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (2, 1, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
def test_one_hot_is_torchs(rng, shape, dtype):
    labels = rng.integers(5, size=shape)
    ours = lecture.one_hot(labels, 5, dtype)
    np.testing.assert_array_equal(ours, F.one_hot(torch.tensor(labels), 5).numpy())
    assert ours.dtype == dtype


def test_one_hot_is_scikit_learns(rng):
    labels = rng.integers(4, size=12)
    np.testing.assert_array_equal(lecture.one_hot(labels, 4), LabelBinarizer().fit(range(4)).transform(labels))


@pytest.mark.parametrize("labels", [[-1], [3], [0, 1, 2, 3], [[0], [-7]]])
def test_one_hot_refuses_labels_that_do_not_exist(labels):
    with pytest.raises(ValueError):
        lecture.one_hot(np.array(labels), 3)


@pytest.mark.parametrize("scale", [1, 100, 1e6])
@pytest.mark.parametrize("axis", [-1, 0, 1, 2, -2])
def test_softmax_and_its_logarithm_are_scipys_and_torchs(rng, axis, scale):
    logits = rng.normal(0, scale, size=(3, 4, 5))
    assert_close(lecture.softmax(logits, axis), scipy.special.softmax(logits, axis))
    assert_close(lecture.softmax(logits, axis), torch.softmax(torch.tensor(logits), axis))
    assert_close(lecture.log_softmax(logits, axis), scipy.special.log_softmax(logits, axis))
    assert_close(lecture.log_softmax(logits, axis), torch.log_softmax(torch.tensor(logits), axis))


def test_log_softmax_is_exact_where_floats_end():
    logits = np.array([3.5, -800.25, 2.0, -1e4])
    with localcontext() as context:
        context.prec = 50
        powers = [Decimal(float(y)).exp() for y in logits]
        exact = [float((power / sum(powers)).ln()) for power in powers]
    assert_close(lecture.log_softmax(logits), exact)


def test_softmax_gives_no_probability_to_what_is_ruled_out():
    logits = np.array([[-np.inf, 0.3, 1.2], [5.0, -np.inf, -np.inf]])
    assert_close(lecture.softmax(logits), torch.softmax(torch.tensor(logits), -1))


@pytest.mark.parametrize("function", [lecture.softmax, lecture.log_softmax])
def test_single_precision_is_kept_without_a_warning(function):
    logits = np.array([[95.0, -200.0, 94.0]], dtype=np.float32)
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert function(logits).dtype == np.float32


@pytest.mark.parametrize(
    "function",
    [
        lambda *given: lecture.cross_entropy(*given, weight=np.array([1.0, 2.0, 0.5]), reduction="none"),
        lecture.cross_entropy_gradient,
        lecture.mse_gradient_through_softmax,
    ],
    ids=["cross_entropy", "cross_entropy_gradient", "mse_gradient_through_softmax"],
)
def test_single_precision_logits_decide_also_over_double_labels_and_weights(rng, function):
    logits = rng.normal(size=(2, 3)).astype(np.float32)
    assert function(logits, soft_labels(rng, 2, 3)).dtype == np.float32


# ---------------------------------------------------------------- losses and gradients


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 2, 255])
def test_cross_entropy_of_class_indices_is_torchs(rng, ignore_index, weighted, reduction, smoothing):
    logits, labels = rng.normal(0, 3, size=(8, 4)), rng.integers(4, size=8)
    labels[0] = 1
    labels[[3, 6]] = ignore_index
    weight = rng.uniform(0.2, 4, size=4) if weighted else None
    options = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": smoothing}
    theirs = F.cross_entropy(
        torch.tensor(logits), torch.tensor(labels), None if weight is None else torch.tensor(weight), **options
    )
    assert_close(lecture.cross_entropy(logits, labels, weight, **options), theirs)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_soft_labels_is_torchs(rng, weighted, reduction, smoothing):
    logits, targets = rng.normal(0, 3, size=(6, 4)), soft_labels(rng, 6, 4)
    weight = rng.uniform(0.2, 4, size=4) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    theirs = F.cross_entropy(
        torch.tensor(logits), torch.tensor(targets), None if weight is None else torch.tensor(weight), **options
    )
    assert_close(lecture.cross_entropy(logits, targets, weight, **options), theirs)


def test_cross_entropy_of_huge_logits_is_torchs():
    logits, labels = np.array([[1e6, -1e6], [800.0, 0.0], [-1e6, 1e6]]), np.array([1, 1, 1])
    theirs = F.cross_entropy(torch.tensor(logits), torch.tensor(labels), reduction="none")
    assert_close(lecture.cross_entropy(logits, labels, reduction="none"), theirs)


def test_cross_entropy_is_scikit_learns_log_loss(rng):
    logits, labels = rng.normal(size=(9, 3)), rng.integers(3, size=9)
    theirs = sklearn.metrics.log_loss(labels, scipy.special.softmax(logits, axis=1), labels=range(3))
    assert_close(lecture.cross_entropy(logits, labels), theirs)


def gradient_by_autograd(logits, targets, loss):
    leaf = torch.tensor(logits, requires_grad=True)
    loss(leaf, torch.tensor(targets)).backward()
    return leaf.grad


def squared_error(logits, targets):
    truth = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
    return ((torch.softmax(logits, 1) - truth) ** 2).sum(dim=1).mean()


@pytest.mark.parametrize("scale", [1, 30, 1e5])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    ("ours", "loss"),
    [(lecture.cross_entropy_gradient, F.cross_entropy), (lecture.mse_gradient_through_softmax, squared_error)],
)
def test_gradients_are_autograds(rng, ours, loss, soft, scale):
    logits = rng.normal(0, scale, size=(6, 4))
    targets = soft_labels(rng, 6, 4) if soft else rng.integers(4, size=6)
    assert_close(ours(logits, targets), gradient_by_autograd(logits, targets, loss))
    single = ours(logits.astype(np.float32), targets.astype(np.float32) if soft else targets)
    assert single.dtype == np.float32


def test_gradients_are_the_slopes_of_finite_differences(rng):
    logits, targets, step = rng.normal(size=(3, 4)), soft_labels(rng, 3, 4), 1e-6

    def slopes(loss):
        result = np.zeros_like(logits)
        for index in np.ndindex(logits.shape):
            up, down = logits.copy(), logits.copy()
            up[index] += step
            down[index] -= step
            result[index] = (loss(up) - loss(down)) / (2 * step)
        return result

    def surprise(y):
        return -(targets * scipy.special.log_softmax(y, axis=1)).sum() / 3

    def squares(y):
        return ((scipy.special.softmax(y, axis=1) - targets) ** 2).sum() / 3

    np.testing.assert_allclose(lecture.cross_entropy_gradient(logits, targets), slopes(surprise), atol=1e-8)
    np.testing.assert_allclose(lecture.mse_gradient_through_softmax(logits, targets), slopes(squares), atol=1e-8)


@pytest.mark.parametrize("scale", [1, 50, 1e6])
@pytest.mark.parametrize("shape", [(7,), (2, 3), (1, 2, 2)])
def test_binary_cross_entropy_is_torchs(rng, shape, scale):
    logits, targets = rng.normal(0, scale, size=shape), rng.uniform(size=shape)
    for truth in (targets, np.round(targets)):
        theirs = F.binary_cross_entropy_with_logits(torch.tensor(logits), torch.tensor(truth), reduction="none")
        assert_close(lecture.binary_cross_entropy_with_logits(logits, truth), theirs)


def test_binary_cross_entropy_is_accurate_where_it_is_tiny():
    logits = np.array([30.0, 40.0, 200.0, 700.0])
    np.testing.assert_allclose(
        lecture.binary_cross_entropy_with_logits(logits, np.ones(4)), -scipy.special.log_expit(logits), rtol=1e-12
    )


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("k", [2, 3, 6])
def test_scores_are_scikit_learns(rng, k):
    labels, predictions = rng.integers(k, size=(2, 25))
    assert_close(lecture.accuracy(labels, predictions), sklearn.metrics.accuracy_score(labels, predictions))
    np.testing.assert_array_equal(
        lecture.confusion_matrix(labels, predictions, k + 1),
        sklearn.metrics.confusion_matrix(labels, predictions, labels=range(k + 1)),
    )


def test_macro_f1_is_scikit_learns_for_all_short_answers():
    pairs = list(itertools.product(range(3), repeat=3))
    for labels, predictions in itertools.product(pairs, pairs):
        theirs = sklearn.metrics.f1_score(labels, predictions, average="macro", zero_division=0)
        assert_close(lecture.macro_f1(np.array(labels), np.array(predictions), 4), theirs)


# ---------------------------------------------------------------- temperature


@pytest.mark.parametrize("true_temperature", [0.2, 1.0, 5.0])
def test_the_temperature_is_scipys_minimum(rng, true_temperature):
    honest = rng.normal(0, 2, size=(300, 4))
    labels = np.array([rng.choice(4, p=p) for p in scipy.special.softmax(honest, axis=1)])
    logits, held_out = honest * true_temperature, rng.random(300) < 0.6

    def loss(log_temperature):
        log_p = scipy.special.log_softmax(logits[held_out] / np.exp(log_temperature), axis=1)
        return -log_p[np.arange(held_out.sum()), labels[held_out]].mean()

    best = np.exp(minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded").x)
    temperature, probabilities = lecture.temperature_scale(logits, labels, held_out)
    np.testing.assert_allclose(temperature, best, rtol=1e-4)
    assert_close(probabilities, scipy.special.softmax(logits / temperature, axis=1))
    assert true_temperature / 2 < temperature < true_temperature * 2


def test_the_temperature_stays_in_its_range(rng):
    logits = rng.normal(size=(10, 3))
    assert_close(lecture.temperature_scale(logits, logits.argmin(axis=1), np.ones(10, bool))[0], 100)
    assert_close(lecture.temperature_scale(logits, logits.argmax(axis=1), np.ones(10, bool))[0], 0.01)


# ---------------------------------------------------------------- the camera and the classifier


def test_the_camera_splits_and_keeps_the_classes_apart():
    train, train_labels, test, test_labels = lecture.broken_camera(seed=3)
    assert (train.shape, test.shape) == ((1200, 64), (597, 64))
    digits = np.bincount(load_digits().target)
    seen = np.bincount(train_labels) + np.bincount(test_labels)
    assert sorted(seen) == sorted(digits)
    assert train.dtype == torch.float32
    assert test_labels.dtype == torch.int64


def test_mushrooms_have_the_frequencies_of_the_forest():
    _, kinds = lecture.mushrooms(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(kinds) / 20_000, [0.5, 0.4, 0.1], atol=0.01)


@pytest.mark.slow
def test_the_classifier_reaches_its_goals_with_room_for_ten_cameras():
    for seed in range(10):
        train, train_labels, test, test_labels = lecture.broken_camera(seed)
        torch.manual_seed(seed)
        classifier = lecture.SoftmaxClassifier(64, 10)
        started = time.process_time()
        classifier.fit(train, train_labels)
        assert time.process_time() - started < 2
        share = sklearn.metrics.accuracy_score(test_labels, classifier.predict(test))
        surprise = F.nll_loss(classifier.probabilities(test).log(), test_labels)
        assert share > 0.95, (seed, share)
        assert surprise < 0.2, (seed, surprise)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1 / 16, 65535 / 16])
def test_the_classifier_does_not_mind_the_unit(scale):
    train, train_labels, test, test_labels = lecture.broken_camera(seed=4)
    classifier = lecture.SoftmaxClassifier(64, 10)
    classifier.fit(scale * train, train_labels)
    assert sklearn.metrics.accuracy_score(test_labels, classifier.predict(scale * test)) > 0.95


def test_the_classifiers_probabilities_are_the_softmax_of_its_logits():
    classifier = lecture.SoftmaxClassifier(5, 3)
    features = torch.randn(20, 5)
    classifier.fit(features, torch.arange(20) % 3)
    with torch.no_grad():
        logits = classifier(features).numpy()
    np.testing.assert_allclose(classifier.probabilities(features), scipy.special.softmax(logits, axis=1), rtol=1e-5)
    np.testing.assert_array_equal(classifier.predict(features), logits.argmax(axis=1))
