"""The references of lecture 3 against oracles that share no code with them: scikit-learn, torch, SciPy, brute force."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import shift as scipy_shift
from scipy.optimize import minimize
from scipy.stats import binom, chisquare, kstest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score
from sklearn.preprocessing import PolynomialFeatures

from solutions import lecture03_training_guidance as lecture

SEEDS = range(10)


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


def close(actual, desired):
    np.testing.assert_allclose(actual, desired, rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------- the given helpers


def test_readings_are_the_tide_plus_normal_noise():
    x, y = lecture.gauge(4000, np.random.default_rng(0))
    assert kstest(x, "uniform", args=(-1, 2)).pvalue > 1e-3
    assert kstest((y - lecture.tide(x)) / lecture.NOISE, "norm").pvalue > 1e-3


def test_a_storm_changes_the_tide_and_not_the_noise():
    x, y = lecture.gauge(4000, np.random.default_rng(0), storm=1.0)
    assert np.mean((y - lecture.tide(x)) ** 2) > 10 * lecture.NOISE**2
    assert abs(np.std(y - lecture.tide(x + 0.25)) - lecture.NOISE) < 0.01


@pytest.mark.parametrize("degree", [0, 1, 4])
def test_fit_polynomial_equals_numpys_polynomial_fit(rng, degree):
    x, y = lecture.gauge(12, rng)
    new = np.linspace(-1, 1, 7)
    expected = np.polynomial.Polynomial.fit(x, y, degree)
    close(lecture.fit_polynomial(degree)(x, y)(new), expected(new))
    close(lecture.squared_error(lecture.fit_polynomial(degree)(x, y), x, y), np.mean((expected(x) - y) ** 2))


def test_train_waves_is_gradient_descent_by_torch(rng):
    train, other = lecture.gauge(9, rng), lecture.gauge(5, rng)
    losses, other_losses, model = lecture.train_waves(lecture.gradient_descent, train, other, epochs=6)

    w, b = torch.zeros(40, dtype=torch.float64, requires_grad=True), torch.zeros((), dtype=torch.float64)
    b.requires_grad_()
    optimizer = torch.optim.SGD([w, b], lr=0.06)
    k = torch.arange(1, 41, dtype=torch.float64)

    def loss(x, y):
        features = torch.cos(k * math.pi * (torch.tensor(x)[:, None] + 1) / 2) / k.sqrt()
        return torch.nn.functional.mse_loss(b + features @ w, torch.tensor(y))

    for ours, others in zip(losses, other_losses, strict=True):
        optimizer.zero_grad()
        loss(*train).backward()
        optimizer.step()
        close(ours, loss(*train).item())
        close(others, loss(*other).item())
    close(lecture.squared_error(model, *other), loss(*other).item())


# ---------------------------------------------------------------- models


@pytest.mark.parametrize("degree", [0, 1, 2, 7])
def test_polynomial_features_are_scikit_learns(rng, degree):
    x = rng.normal(size=6)
    expected = PolynomialFeatures(degree).fit_transform(x[:, None])[:, 1:]
    assert lecture.polynomial_features(x, degree).shape == expected.shape
    close(lecture.polynomial_features(x, degree), expected)
    assert lecture.polynomial_features(x.astype(np.float32), degree).dtype == np.float32


@pytest.mark.parametrize("penalty", [1e-3, 0.5, 40.0])
@pytest.mark.parametrize("shape", [(8, 3), (3, 6), (1, 2), (5, 1)])
def test_ridge_fit_is_scikit_learns(rng, penalty, shape):
    features, y = rng.normal(2, 3, size=shape), rng.normal(5, 1, size=shape[0])
    # Scikit-learn's loss is the sum, and its penalty has no half.
    expected = Ridge(alpha=shape[0] * penalty / 2, solver="svd").fit(features, y)
    w, b = lecture.ridge_fit(features, y, penalty)
    close(w, expected.coef_)
    close(b, expected.intercept_)


def test_ridge_fit_is_found_by_a_blind_minimizer(rng):
    features, y, penalty = rng.normal(size=(7, 2)), rng.normal(3, 1, size=7), 0.8

    def regularized_loss(theta):
        return np.mean((theta[0] + features @ theta[1:] - y) ** 2) + penalty / 2 * np.sum(theta[1:] ** 2)

    w, b = lecture.ridge_fit(features, y, penalty)
    found = minimize(regularized_loss, np.zeros(3), method="BFGS", options={"gtol": 1e-10})
    np.testing.assert_allclose([b, *w], found.x, atol=1e-6)


def test_ridge_fit_without_penalty_is_least_squares_even_if_singular(rng):
    line = rng.normal(size=(5, 1))
    for features in (rng.normal(size=(9, 3)), np.hstack([line, line, np.ones((5, 1))]), rng.normal(size=(3, 8))):
        y = rng.normal(size=len(features))
        w, b = lecture.ridge_fit(features, y, 0.0)
        assert np.isfinite(w).all()
        close(b + features @ w, LinearRegression().fit(features, y).predict(features))


def test_ridge_fit_without_features_is_the_mean(rng):
    y = rng.normal(size=4)
    w, b = lecture.ridge_fit(np.zeros((4, 0)), y, 0.3)
    assert w.shape == (0,)
    close(b, sum(y) / 4)


# ---------------------------------------------------------------- splits and scores


def test_train_validation_split_has_scikit_learns_sizes_and_keeps_pairs(rng):
    n_examples = int(rng.integers(2, 30))
    n_validation = int(rng.integers(1, n_examples))
    x, y = rng.normal(size=(n_examples, 2)), np.arange(n_examples)
    (x_train, y_train), (x_held, y_held) = lecture.train_validation_split(x, y, n_validation, rng)
    train, held = next(ShuffleSplit(1, test_size=n_validation, random_state=0).split(x))
    assert (len(x_train), len(x_held)) == (len(train), len(held))
    np.testing.assert_array_equal(np.sort(np.concatenate([y_train, y_held])), y)
    np.testing.assert_array_equal(x_train, x[y_train])
    np.testing.assert_array_equal(x_held, x[y_held])


def test_every_choice_of_a_validation_set_is_equally_likely():
    rng, x = np.random.default_rng(0), np.arange(5)
    seen = [tuple(sorted(lecture.train_validation_split(x, x, 2, rng)[1][0])) for _ in range(4000)]
    assert chisquare([seen.count(pair) for pair in itertools.combinations(range(5), 2)]).pvalue > 1e-4


def test_n_fold_splits_have_the_sizes_of_scikit_learns(rng):
    n_examples = int(rng.integers(2, 40))
    n_folds = int(rng.integers(2, n_examples + 1))
    splits = lecture.n_fold_splits(n_examples, n_folds, rng)
    expected = KFold(n_folds, shuffle=True, random_state=0).split(np.zeros(n_examples))
    assert sorted((len(t), len(v)) for t, v in splits) == sorted((len(t), len(v)) for t, v in expected)
    assert sorted(np.concatenate([v for _, v in splits])) == list(range(n_examples))
    for train, validation in splits:
        assert sorted([*train, *validation]) == list(range(n_examples))


def test_every_way_to_share_folds_is_equally_likely():
    rng = np.random.default_rng(0)
    seen = [frozenset(frozenset(v.tolist()) for _, v in lecture.n_fold_splits(4, 2, rng)) for _ in range(3000)]
    ways = [frozenset([frozenset([0, k]), frozenset({1, 2, 3} - {k})]) for k in (1, 2, 3)]
    assert chisquare([seen.count(way) for way in ways]).pvalue > 1e-4


@pytest.mark.parametrize("n_folds", [2, 5, 12])
def test_cross_validation_score_of_even_folds_is_scikit_learns(rng, n_folds):
    # 12 examples in 5 folds are uneven: there, scikit-learn's losses are weighted by hand.
    x, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    folds = KFold(n_folds, shuffle=True, random_state=1)
    splits = list(folds.split(x))
    for model in (Ridge(alpha=0.7), DummyRegressor()):
        losses = -cross_val_score(model, x, y, cv=folds, scoring="neg_mean_absolute_error")

        def fit(x, y, model=model):
            return type(model)(**model.get_params()).fit(x, y)

        score = lecture.cross_validation_score(x, y, splits, fit, lambda m, x, y: np.mean(abs(m.predict(x) - y)))
        close(score, sum(loss * len(v) for loss, (_, v) in zip(losses, splits, strict=True)) / 12)


def test_leave_one_out_has_a_closed_form(rng):
    # For least squares the held-out error of an example is its residual over 1 - its leverage.
    x, y = rng.normal(size=9), rng.normal(size=9)
    table = np.column_stack([np.ones(9), x, x**2])
    hat = table @ np.linalg.inv(table.T @ table) @ table.T
    expected = np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2)
    splits = lecture.n_fold_splits(9, 9, rng)
    close(lecture.cross_validation_score(x, y, splits, lecture.fit_polynomial(2), lecture.squared_error), expected)


# ---------------------------------------------------------------- choices


def test_select_model_takes_no_model_that_another_one_beats(rng):
    # By the definition, pair by pair: the chosen one comes first in the order "as good, smaller, lower, earlier".
    for _ in range(50):
        losses = rng.choice([0.2, 0.4, 0.7, 0.9, math.nan], size=6).tolist()
        losses[int(rng.integers(6))] = float(rng.choice([0.2, 0.9]))
        sizes = rng.integers(1, 4, size=6).tolist()
        tolerance = float(rng.choice([0.0, 0.25, 0.55]))
        models = [lecture.Candidate(s, float(rng.random()), v) for s, v in zip(sizes, losses, strict=True)]
        chosen = lecture.select_model(models, tolerance)
        lowest = min(loss for loss in losses if not math.isnan(loss))
        rank = [(not loss <= lowest + tolerance, size, loss) for size, loss in zip(sizes, losses, strict=True)]
        assert not rank[chosen][0]
        for other in range(6):
            if not rank[other][0]:
                assert (*rank[chosen], chosen) <= (*rank[other], other)


# The chart as a table: is train small, does the smaller model do better, is test small, is validation small?
CHART = {
    (False, True): "optimization",
    (False, False): "model bias",
    (True, "test small"): "done",
    (True, "test large", True): "mismatch",
    (True, "test large", False): "overfitting",
}


@pytest.mark.parametrize("train", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("smaller", [0.1, 0.9, 2.0, 5.0])
@pytest.mark.parametrize("test", [0.2, 1.0, 7.0])
@pytest.mark.parametrize("validation", [0.2, 1.0, 6.0])
def test_diagnose_follows_the_chart(train, validation, test, smaller):
    small = {loss: bool(loss <= 1.0) for loss in (train, validation, test)}
    if not small[train]:
        key = (False, smaller < train)
    elif small[test]:
        key = (True, "test small")
    else:
        key = (True, "test large", small[validation])
    assert lecture.diagnose(train, validation, test, smaller, goal=1.0) == CHART[key]


def test_the_five_patients_have_the_five_illnesses_with_room_around_the_goal():
    rng = np.random.default_rng(35)
    summer, spare, calm, storm = (lecture.gauge(n, rng, storm=s) for n, s in [(20, 0), (300, 0), (300, 0), (300, 1)])
    for degree, smaller, test, expected in [
        (2, 1, calm, "model bias"),
        (12, 4, calm, "overfitting"),
        (5, 2, storm, "mismatch"),
        (5, 2, calm, "done"),
    ]:
        model = lecture.fit_polynomial(degree)(*summer)
        losses = [lecture.squared_error(model, *data) for data in (summer, spare, test)]
        losses.append(lecture.squared_error(lecture.fit_polynomial(smaller)(*summer), *summer))
        for goal in (0.12, 0.15, 0.19):
            assert lecture.diagnose(*losses, goal=goal) == expected


# ---------------------------------------------------------------- the medicines


class LightningLike:
    """Early stopping as training frameworks write it: one epoch at a time, counting the wait."""

    def __init__(self, patience):
        self.patience, self.waited, self.best_loss, self.best_epoch = patience, 0, math.inf, None

    def should_stop(self, epoch, loss):
        if loss < self.best_loss:
            self.best_loss, self.best_epoch, self.waited = loss, epoch, 0
        else:
            self.waited += 1
        return self.waited >= self.patience


def test_early_stopping_stops_as_a_callback_would(rng):
    for _ in range(60):
        losses = rng.integers(0, 12, size=int(rng.integers(1, 25))).astype(float).tolist()
        patience = int(rng.integers(1, 7))
        callback = LightningLike(patience)
        last = next((epoch for epoch, loss in enumerate(losses) if callback.should_stop(epoch, loss)), len(losses) - 1)
        assert lecture.early_stopping(losses, patience) == (callback.best_epoch, last)


@pytest.mark.parametrize("shape", [(3, 2), (4,), (2, 3, 2)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01, 0.9])
def test_weight_decay_step_is_torchs_sgd(rng, shape, weight_decay):
    arrays = [rng.normal(size=size) for size in (shape, shape[-1:], shape, shape[-1:])]
    w, b = (torch.nn.Parameter(torch.tensor(part)) for part in arrays[:2])
    w.grad, b.grad = (torch.tensor(part) for part in arrays[2:])
    torch.optim.SGD([{"params": [w], "weight_decay": weight_decay}, {"params": [b]}], lr=0.3).step()
    new_w, new_b = lecture.weight_decay_step(*arrays, 0.3, weight_decay)
    close(new_w, w.detach())
    close(new_b, b.detach())


def test_weight_decay_step_descends_autograds_gradient_of_the_regularized_loss(rng):
    x, y = torch.tensor(rng.normal(size=(6, 3))), torch.tensor(rng.normal(size=6))
    w, b = torch.tensor(rng.normal(size=3), requires_grad=True), torch.tensor(0.4, dtype=torch.float64)
    b.requires_grad_()
    loss = torch.sigmoid(b + x @ w - y).mean()
    gradients = [part.numpy() for part in torch.autograd.grad(loss, (w, b), retain_graph=True)]
    full = torch.autograd.grad(loss + 0.7 / 2 * (w**2).sum(), (w, b))
    new = lecture.weight_decay_step(w.detach().numpy(), b.detach().numpy(), *gradients, 0.2, 0.7)
    for ours, old, gradient in zip(new, (w, b), full, strict=True):
        close(ours, (old - 0.2 * gradient).detach())


def test_many_weight_decay_steps_end_at_the_ridge_fit(rng):
    features, y = rng.normal(size=(10, 3)), rng.normal(2, 1, size=10)
    w, b = np.zeros(3), np.zeros(())
    for _ in range(4000):
        error = b + features @ w - y
        w, b = lecture.weight_decay_step(w, b, 2 * features.T @ error / 10, 2 * error.mean(), 0.05, 0.6)
    expected_w, expected_b = lecture.ridge_fit(features, y, 0.6)
    close(w, expected_w)
    close(b, expected_b)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_is_distributed_as_torchs(p):
    x = np.random.default_rng(0).normal(size=(300, 40))
    torch.manual_seed(0)
    ours = lecture.dropout(x, p, True, np.random.default_rng(1))
    torchs = torch.nn.functional.dropout(torch.tensor(x), p, training=True).numpy()
    for out in (ours, torchs):
        kept = out != 0
        close(out[kept], x[kept] / (1 - p))
    counts = (ours == 0).sum(axis=1)
    assert chisquare(*grouped(counts, 40, p)).pvalue > 1e-4


def grouped(counts, n, p):
    """Observed and expected frequencies of binomial counts, in groups of 50 or more."""
    observed, expected = [0.0], [0.0]
    for k in range(n + 1):
        observed[-1] += np.sum(counts == k)
        expected[-1] += len(counts) * binom.pmf(k, n, p)
        if expected[-1] >= 50 and len(counts) * binom.sf(k, n, p) >= 50:
            observed.append(0.0)
            expected.append(0.0)
    return observed, expected


def test_dropout_keeps_everything_in_eval_and_its_dtype_in_training(rng):
    x = rng.normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(lecture.dropout(x, 0.5, False, rng), x)
    np.testing.assert_array_equal(lecture.dropout(x, 0.0, True, rng), x)
    assert lecture.dropout(x, 0.5, True, rng).dtype == np.float32


@pytest.mark.parametrize("max_shift", [0, 1, 3])
def test_random_shift_is_scipys_shift(rng, max_shift):
    images = rng.integers(1, 200, size=(20, 4, 6)).astype(np.uint8)
    shifted = lecture.random_shift(images, max_shift, rng)
    assert shifted.dtype == np.uint8
    assert shifted.shape == images.shape
    steps = range(-max_shift, max_shift + 1)
    for before, after in zip(images, shifted, strict=True):
        assert any(
            np.array_equal(after, scipy_shift(before, step, order=0, cval=0))
            for step in itertools.product(steps, steps)
        )


def test_every_shift_is_equally_likely():
    dots = np.zeros((5000, 7, 7))
    dots[:, 3, 3] = 1
    _, rows, columns = np.nonzero(lecture.random_shift(dots, 2, np.random.default_rng(0)))
    counts = np.zeros((7, 7))
    np.add.at(counts, (rows, columns), 1)
    assert counts.sum() == 5000 == counts[1:6, 1:6].sum()
    assert chisquare(counts[1:6, 1:6].ravel()).pvalue > 1e-4


# ---------------------------------------------------------------- bias and variance


def test_bias_and_variance_by_loops(rng):
    sets = [(rng.normal(size=5), rng.normal(size=5)) for _ in range(4)]
    x, truth = np.linspace(-1, 1, 3), rng.normal(size=3)
    stream = iter(sets)
    bias, variance = lecture.bias_and_variance(
        lecture.fit_polynomial(1), lambda rng: next(stream), x, truth, n_sets=4, rng=rng
    )
    said = [[np.polynomial.Polynomial.fit(*one, 1)(value) for value in x] for one in sets]
    means = [sum(row[i] for row in said) / 4 for i in range(3)]
    close(bias, sum((means[i] - truth[i]) ** 2 for i in range(3)) / 3)
    close(variance, sum((row[i] - means[i]) ** 2 for row in said for i in range(3)) / 12)


@pytest.mark.slow
@pytest.mark.parametrize("degree", [1, 3])
def test_variance_of_a_polynomial_has_a_closed_form_over_ten_seeds(degree):
    x = np.linspace(-1, 1, 12)
    table = x[:, None] ** np.arange(degree + 1)
    hat = table @ np.linalg.pinv(table)
    truth = lecture.tide(x)
    expected = np.mean((hat @ truth - truth) ** 2), lecture.NOISE**2 * (degree + 1) / 12

    def draw(rng):
        return x, truth + rng.normal(scale=lecture.NOISE, size=12)

    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        bias, variance = lecture.bias_and_variance(lecture.fit_polynomial(degree), draw, x, truth, 1500, rng)
        # The bias of the average over K sets has variance / K on top.
        assert bias == pytest.approx(expected[0], rel=0.02)
        assert variance == pytest.approx(expected[1], rel=0.1)
