"""Mistakes that students make in lecture 7: each function holds one."""

import math

import numpy as np
import torch
from torch import nn

from grader import misconception
from solutions.lecture07_normalization import (
    BatchNorm1d,
    BatchNorm2d,
    batch_norm_backward,
    batch_norm_forward,
    batch_size_effect,
    feature_normalize,
    fold_batch_norm,
    group_norm,
    instance_norm,
    smoothness,
    update_running_statistics,
)

FEATURES = "Lecture 7, Feature normalization"
TRAINING = "Lecture 7, Batch normalization: training"
TESTING = "Lecture 7, Batch normalization: testing"
VARIANTS = "Lecture 7, Many variants of normalization"
SURFACE = "Lecture 7, Smoothen the loss surface"

# --- feature_normalize ---


def _by_training(train, test, sigma, m=None):
    m = train.mean(axis=0) if m is None else m
    sigma = np.where(train.max(axis=0) == train.min(axis=0), 1, sigma)
    return (train - m) / sigma, (test - m) / sigma


@misconception(
    "feature_normalize",
    "The test set is normalized by its own mean and deviation. It loses what sets it apart from the training set, "
    "and a single test example always becomes 0.",
    lecture=FEATURES,
)
def test_set_by_its_own_statistics(train, test):
    return feature_normalize(train, train)[0], feature_normalize(test, test)[0]


@misconception(
    "feature_normalize",
    "Your statistics include the test set. In training you can't know it yet, and what you measure on it afterwards is "
    "no longer honest.",
    lecture=FEATURES,
)
def statistics_of_both_sets(train, test):
    both = np.concatenate([train, test])
    return feature_normalize(both, train)[1], feature_normalize(both, test)[1]


@misconception(
    "feature_normalize",
    "A feature that never changes has the deviation 0, and you divide by it: the result is NaN or infinite.",
    lecture=FEATURES,
)
def divides_by_zero(train, test):
    m, sigma = train.mean(axis=0), train.std(axis=0)
    with np.errstate(all="ignore"):
        return (train - m) / sigma, (test - m) / sigma


@misconception(
    "feature_normalize",
    "You look for a deviation of exactly 0. The deviation of a feature that is always 0.1 rounds to something like "
    "1e-17, slips through, and the feature explodes.",
    lecture=FEATURES,
)
def looks_for_exactly_zero(train, test):
    m, sigma = train.mean(axis=0), train.std(axis=0)
    sigma = np.where(sigma == 0, 1, sigma)
    return (train - m) / sigma, (test - m) / sigma


@misconception(
    "feature_normalize",
    "You add a small number to the deviation. What is small beside metres is large beside wavelengths, and a constant "
    "feature is blown up instead of only shifted.",
    lecture=FEATURES,
)
def adds_a_small_number(train, test):
    m, sigma = train.mean(axis=0), train.std(axis=0) + 1e-8
    return (train - m) / sigma, (test - m) / sigma


@misconception(
    "feature_normalize",
    "A feature whose deviation is below some small number counts as constant for you: measured in another unit, the "
    "same feature would be normalized.",
    lecture=FEATURES,
)
def small_deviation_taken_for_constant(train, test):
    m, sigma = train.mean(axis=0), train.std(axis=0)
    sigma = np.where(sigma < 1e-6, 1, sigma)
    return (train - m) / sigma, (test - m) / sigma


@misconception(
    "feature_normalize",
    "Your deviation divides by R - 1. The lecture's divides by the number of training examples, R, so that the "
    "normalized features have variance 1.",
    lecture=FEATURES,
)
def divides_by_one_less(train, test):
    return _by_training(train, test, train.std(axis=0, ddof=1))


@misconception(
    "feature_normalize",
    "You divide by the variance. The result still depends on the unit of the feature: a root is missing.",
    lecture=FEATURES,
)
def divides_by_the_variance(train, test):
    return _by_training(train, test, train.var(axis=0))


@misconception(
    "feature_normalize",
    "You take one mean and one deviation for the whole table: the feature with large numbers still drowns the others.",
    lecture=FEATURES,
)
def one_mean_for_all_features(train, test):
    return (train - train.mean()) / train.std(), (test - train.mean()) / train.std()


@misconception(
    "feature_normalize",
    "You normalize each example over its features, adding up rooms and square metres. Each feature needs its own mean "
    "over the examples.",
    lecture=FEATURES,
)
def normalizes_each_example(train, test):
    def rows(x):
        sigma = x.std(axis=1, keepdims=True)
        return (x - x.mean(axis=1, keepdims=True)) / np.where(sigma == 0, 1, sigma)

    return rows(train), rows(test)


@misconception(
    "feature_normalize",
    "You scale by the largest and smallest value. One outlier then squeezes all other examples together; the lecture "
    "subtracts the mean and divides by the deviation.",
    lecture=FEATURES,
)
def scales_to_the_range(train, test):
    return _by_training(train, test, np.ptp(train, axis=0), train.min(axis=0))


@misconception(
    "feature_normalize",
    "Your result is float64 although the features came as float32: they now take twice the memory, and PyTorch's "
    "weights won't multiply with them.",
    lecture=FEATURES,
)
def features_become_double(train, test):
    return feature_normalize(train.astype(np.float64), test.astype(np.float64))


# --- smoothness ---


def _hessian(x, bias=True):
    a = np.column_stack([np.ones(len(x)), x]) if bias else x
    return 2 / len(a) * a.T @ a


def _ratio(matrix):
    smallest, *_, largest = np.linalg.eigvalsh(matrix) if len(matrix) > 1 else np.ones(2)
    return float(largest / smallest) if smallest > 1e-12 * largest else math.inf


@misconception(
    "smoothness",
    "Your ratio is upside down: the smallest curvature over the largest. A condition number is at least 1, and larger "
    "means worse.",
    lecture=SURFACE,
)
def ratio_upside_down(x, normalize):
    before, after = smoothness(x, normalize)
    return 1 / before, 1 / after


@misconception(
    "smoothness",
    "The two numbers come back in the wrong order: the surface before the normalization belongs first.",
    lecture=SURFACE,
)
def after_comes_first(x, normalize):
    before, after = smoothness(x, normalize)
    return after, before


@misconception(
    "smoothness",
    "Your surface has no bias. The worst valleys are those between the bias and the weights, and you don't see them.",
    lecture=SURFACE,
)
def bias_left_out(x, normalize):
    return _ratio(_hessian(x, bias=False)), _ratio(_hessian(normalize(x), bias=False))


@misconception(
    "smoothness",
    "You take the condition number of the features themselves. The Hessian is their square, and so is its condition "
    "number.",
    lecture=SURFACE,
)
def condition_number_of_the_features(x, normalize):
    before, after = smoothness(x, normalize)
    return math.sqrt(before), math.sqrt(after)


@misconception(
    "smoothness",
    "You compare only the entries on the Hessian's diagonal. A valley may lie askew between two weights: the "
    "eigenvalues know its true axes.",
    lecture=SURFACE,
)
def only_the_diagonal(x, normalize):
    return tuple(_ratio(np.diag(np.diag(_hessian(features)))) for features in (x, normalize(x)))


@misconception(
    "smoothness",
    "Your flat direction gets a huge, random or negative condition number: its eigenvalue is 0 but for rounding, and "
    "you divide by it.",
    lecture=SURFACE,
)
def rounding_taken_for_curvature(x, normalize):
    values = [np.linalg.eigvalsh(_hessian(features)) for features in (x, normalize(x))]
    return tuple(float(value[-1] / (value[0] or -1e-17)) for value in values)


# --- batch_norm_forward ---


def _forward(z, gamma, beta, mu, sigma):
    z_tilde = (z - mu) / sigma
    return gamma * z_tilde + beta, (z_tilde, gamma, np.broadcast_to(sigma, z.shape[1:]).copy())


@misconception(
    "batch_norm_forward",
    "Your variance divides by m - 1. In the batch it divides by m; the unbiased one is for the running statistics "
    "only.",
    lecture=TRAINING,
)
def unbiased_variance(z, gamma, beta, eps=1e-5):
    with np.errstate(all="ignore"):
        centered = z - z.mean(axis=0)
        variance = (centered**2).sum(axis=0) / np.asarray(len(z) - 1, z.dtype)
        return _forward(z, gamma, beta, z.mean(axis=0), np.sqrt(variance + np.asarray(eps, z.dtype)))


@misconception(
    "batch_norm_forward",
    "You add eps to the deviation, outside the root. It belongs to the variance, or the values differ where a feature "
    "hardly varies.",
    lecture=TRAINING,
)
def epsilon_outside_the_root(z, gamma, beta, eps=1e-5):
    return _forward(z, gamma, beta, z.mean(axis=0), z.std(axis=0) + eps)


@misconception(
    "batch_norm_forward",
    "There is no eps in your formula: a feature without variance in the batch becomes 0/0.",
    lecture=TRAINING,
)
def no_epsilon(z, gamma, beta, eps=1e-5):
    with np.errstate(all="ignore"):
        return _forward(z, gamma, beta, z.mean(axis=0), z.std(axis=0))


@misconception(
    "batch_norm_forward",
    "You normalize each example over its features. That is Layer Normalization: here each feature is normalized over "
    "the examples of the batch.",
    lecture=TRAINING,
)
def normalizes_over_features(z, gamma, beta, eps=1e-5):
    mu, sigma = z.mean(axis=1, keepdims=True), np.sqrt(z.var(axis=1, keepdims=True) + eps)
    z_tilde = (z - mu) / sigma
    return gamma * z_tilde + beta, (z_tilde, gamma, sigma[:, 0])


@misconception(
    "batch_norm_forward",
    "You take one mean and one variance over the whole batch: features of large scale still drown the others.",
    lecture=TRAINING,
)
def one_mean_for_the_batch(z, gamma, beta, eps=1e-5):
    return _forward(z, gamma, beta, z.mean(), np.sqrt(z.var() + eps).astype(z.dtype))


@misconception(
    "batch_norm_forward",
    "You divide by the variance: the root is missing, and features of different scale stay different.",
    lecture=TRAINING,
)
def divides_by_variance(z, gamma, beta, eps=1e-5):
    return _forward(z, gamma, beta, z.mean(axis=0), z.var(axis=0) + eps)


@misconception(
    "batch_norm_forward",
    "gamma and beta never act in your output. Without them no layer could have a mean other than 0, even where that "
    "is best.",
    lecture=TRAINING,
)
def no_gamma_and_beta(z, gamma, beta, eps=1e-5):
    _, cache = batch_norm_forward(z, gamma, beta, eps)
    return cache[0], cache


@misconception(
    "batch_norm_forward",
    "gamma and beta have changed places in your formula: the one stretches, the other shifts.",
    lecture=TRAINING,
)
def gamma_and_beta_swapped(z, gamma, beta, eps=1e-5):
    out, _ = batch_norm_forward(z, beta, gamma, eps)
    return out, batch_norm_forward(z, gamma, beta, eps)[1]


@misconception(
    "batch_norm_forward",
    "Each example has its own gamma and beta in your output: they run along the wrong axis. They belong to the "
    "features.",
    lecture=TRAINING,
)
def gamma_along_the_batch(z, gamma, beta, eps=1e-5):
    out, cache = batch_norm_forward(z, gamma, beta, eps)
    if len(z) == len(gamma):
        out = gamma[:, None] * cache[0] + beta[:, None]
    return out, cache


@misconception(
    "batch_norm_forward",
    "Your cache holds the batch as it came. The backward pass needs it normalized.",
    lecture=TRAINING,
)
def caches_the_raw_batch(z, gamma, beta, eps=1e-5):
    out, (_, _, sigma) = batch_norm_forward(z, gamma, beta, eps)
    return out, (z, gamma, sigma)


@misconception(
    "batch_norm_forward",
    "Your cache holds the variance where the deviation sigma is promised: the gradients will have the wrong scale.",
    lecture=TRAINING,
)
def caches_the_variance(z, gamma, beta, eps=1e-5):
    out, (z_tilde, _, sigma) = batch_norm_forward(z, gamma, beta, eps)
    return out, (z_tilde, gamma, sigma**2)


@misconception(
    "batch_norm_forward",
    "The sigma in your cache lacks eps: the backward pass then divides by another number than the forward pass did.",
    lecture=TRAINING,
)
def caches_sigma_without_eps(z, gamma, beta, eps=1e-5):
    out, (z_tilde, _, _) = batch_norm_forward(z, gamma, beta, eps)
    return out, (z_tilde, gamma, z.std(axis=0))


@misconception(
    "batch_norm_forward",
    "Your result is float64 although the batch came as float32.",
    lecture=TRAINING,
)
def forward_becomes_double(z, gamma, beta, eps=1e-5):
    return batch_norm_forward(*(part.astype(np.float64) for part in (z, gamma, beta)), eps)


# --- batch_norm_backward ---


def _backward(gradient, cache, d_z):
    return d_z, *batch_norm_backward(gradient, cache)[1:]


@misconception(
    "batch_norm_backward",
    "You treat mu and sigma as constants. They are made of the batch: if one z moves, they move, and with them the "
    "outputs of all other examples.",
    lecture=TRAINING,
)
def statistics_taken_as_constants(gradient, cache):
    _, gamma, sigma = cache
    return _backward(gradient, cache, gamma * gradient / sigma)


@misconception(
    "batch_norm_backward",
    "The road through sigma is missing: your gradient tries to stretch the batch, which BatchNorm undoes at once.",
    lecture=TRAINING,
)
def sigma_taken_as_constant(gradient, cache):
    _, gamma, sigma = cache
    g = gamma * gradient
    return _backward(gradient, cache, (g - g.mean(axis=0)) / sigma)


@misconception(
    "batch_norm_backward",
    "The road through mu is missing: your gradient tries to shift the whole batch, which BatchNorm undoes at once.",
    lecture=TRAINING,
)
def mu_taken_as_constant(gradient, cache):
    z_tilde, gamma, sigma = cache
    g = gamma * gradient
    return _backward(gradient, cache, (g - z_tilde * (g * z_tilde).mean(axis=0)) / sigma)


@misconception(
    "batch_norm_backward",
    "You subtract sums over the batch where the formula has means: the larger the batch, the more your gradient is "
    "off.",
    lecture=TRAINING,
)
def sums_for_means(gradient, cache):
    z_tilde, gamma, sigma = cache
    g = gamma * gradient
    return _backward(gradient, cache, (g - g.sum(axis=0) - z_tilde * (g * z_tilde).sum(axis=0)) / sigma)


@misconception(
    "batch_norm_backward",
    "Your gradient for z does not know gamma. The output was stretched by it on the way forward, so the gradient is "
    "as well.",
    lecture=TRAINING,
)
def gamma_forgotten(gradient, cache):
    z_tilde, gamma, sigma = cache
    return _backward(gradient, cache, batch_norm_backward(gradient, (z_tilde, np.ones_like(gamma), sigma))[0])


@misconception(
    "batch_norm_backward",
    "You do not divide by sigma: where the features vary a lot your gradient is far too large.",
    lecture=TRAINING,
)
def sigma_forgotten(gradient, cache):
    return _backward(gradient, cache, batch_norm_backward(gradient, cache)[0] * cache[2])


@misconception(
    "batch_norm_backward",
    "You divide by sigma squared. The output was divided by sigma once, and the gradient is too.",
    lecture=TRAINING,
)
def divides_by_sigma_squared(gradient, cache):
    return _backward(gradient, cache, batch_norm_backward(gradient, cache)[0] / cache[2])


@misconception(
    "batch_norm_backward",
    "Your gradients for gamma and beta are means over the batch. Every example uses the same gamma and beta, so their "
    "contributions add up; any mean is already in the loss.",
    lecture=TRAINING,
)
def means_for_gamma_and_beta(gradient, cache):
    d_z, d_gamma, d_beta = batch_norm_backward(gradient, cache)
    return d_z, d_gamma / len(gradient), d_beta / len(gradient)


@misconception(
    "batch_norm_backward",
    "In your gradient for gamma stands the batch as it was before it was normalized. gamma multiplies the normalized "
    "one.",
    lecture=TRAINING,
)
def gamma_from_the_raw_batch(gradient, cache):
    d_z, _, d_beta = batch_norm_backward(gradient, cache)
    return d_z, (gradient * cache[0] * cache[2]).sum(axis=0), d_beta


@misconception(
    "batch_norm_backward",
    "Your gradients for gamma and beta come back in each other's place: z, then gamma, then beta.",
    lecture=TRAINING,
)
def gradients_in_the_wrong_order(gradient, cache):
    d_z, d_gamma, d_beta = batch_norm_backward(gradient, cache)
    return d_z, d_beta, d_gamma


@misconception(
    "batch_norm_backward",
    "Your gradients are float64 although everything came as float32.",
    lecture=TRAINING,
)
def backward_becomes_double(gradient, cache):
    return batch_norm_backward(gradient.astype(np.float64), tuple(part.astype(np.float64) for part in cache))


# --- update_running_statistics ---


@misconception(
    "update_running_statistics",
    "Your momentum is the weight of the old value, as the lecture's p is. PyTorch's is the weight of the new one: "
    "with 0.1 your statistics jump to almost every batch.",
    lecture=TESTING,
)
def momentum_swapped(running_mean, running_variance, z, momentum=0.1):
    return update_running_statistics(running_mean, running_variance, z, 1 - momentum)


@misconception(
    "update_running_statistics",
    "You remember the variance divided by m. Over many batches it stays too small: what is remembered is the estimate "
    "for all data.",
    lecture=TESTING,
)
def biased_running_variance(running_mean, running_variance, z, momentum=0.1):
    new_mean, _ = update_running_statistics(running_mean, running_variance, z, momentum)
    return new_mean, (1 - momentum) * running_variance + momentum * z.var(axis=0)


@misconception(
    "update_running_statistics",
    "You average deviations where variances are wanted: a root has come too early.",
    lecture=TESTING,
)
def remembers_the_deviation(running_mean, running_variance, z, momentum=0.1):
    new_mean, _ = update_running_statistics(running_mean, running_variance, z, momentum)
    return new_mean, (1 - momentum) * running_variance + momentum * z.std(axis=0, ddof=1)


@misconception(
    "update_running_statistics",
    "You add the batch's share but keep the old value whole: the statistics grow with every batch.",
    lecture=TESTING,
)
def old_value_kept_whole(running_mean, running_variance, z, momentum=0.1):
    return running_mean + momentum * z.mean(axis=0), running_variance + momentum * z.var(axis=0, ddof=1)


@misconception(
    "update_running_statistics",
    "Your momentum is always 0.1, whatever is asked for.",
    lecture=TESTING,
)
def momentum_ignored(running_mean, running_variance, z, momentum=0.1):
    return update_running_statistics(running_mean, running_variance, z)


@misconception(
    "update_running_statistics",
    "Nothing is remembered: your statistics are those of the last batch alone.",
    lecture=TESTING,
)
def last_batch_only(running_mean, running_variance, z, momentum=0.1):
    return z.mean(axis=0), z.var(axis=0, ddof=1)


@misconception(
    "update_running_statistics",
    "You measure the batch's variance around the running mean. It is the batch's own mean that belongs there.",
    lecture=TESTING,
)
def variance_around_the_running_mean(running_mean, running_variance, z, momentum=0.1):
    new_mean, _ = update_running_statistics(running_mean, running_variance, z, momentum)
    spread = ((z - running_mean) ** 2).sum(axis=0) / (len(z) - 1)
    return new_mean, (1 - momentum) * running_variance + momentum * spread


@misconception(
    "update_running_statistics",
    "Your statistics are float64 although everything came as float32.",
    lecture=TESTING,
)
def running_statistics_become_double(running_mean, running_variance, z, momentum=0.1):
    parts = (part.astype(np.float64) for part in (running_mean, running_variance, z))
    return update_running_statistics(*parts, momentum)


# --- BatchNorm1d ---


def _apply(layer, x, mean, variance):
    return layer.weight * (x - mean) / torch.sqrt(variance + layer.eps) + layer.bias


@misconception(
    "BatchNorm1d",
    "In evaluation you still use the statistics of the batch: an example's answer depends on its neighbours, and a "
    "single one always gets the bias.",
    lecture=TESTING,
)
class BatchStatisticsInEval(BatchNorm1d):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        return _apply(self, x, x.mean(dim=0), x.var(dim=0, unbiased=False))


@misconception(
    "BatchNorm1d",
    "In training you normalize with the running statistics. They lag behind, and no gradient flows through them: use "
    "the batch's own.",
    lecture=TRAINING,
)
class RunningStatisticsInTraining(BatchNorm1d):
    def forward(self, x):
        if self.training:
            super().forward(x)
        return _apply(self, x, self.running_mean.clone(), self.running_var.clone())


@misconception(
    "BatchNorm1d",
    "Your running statistics are parameters: the optimizer finds them, and weight decay pulls them to 0. They are "
    "remembered, not trained.",
    lecture=TESTING,
)
class RunningStatisticsAsParameters(BatchNorm1d):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        mean, variance = self.running_mean, self.running_var
        del self.running_mean, self.running_var
        self.running_mean = nn.Parameter(mean, requires_grad=False)
        self.running_var = nn.Parameter(variance, requires_grad=False)


@misconception(
    "BatchNorm1d",
    "Your running statistics keep the graph of every batch they have seen: memory grows with each step, and gradients "
    "of one step reach into the last.",
    lecture=TESTING,
)
class RunningStatisticsInTheGraph(BatchNorm1d):
    def forward(self, x):
        if not self.training:
            return super().forward(x)
        if len(x) == 1:
            raise ValueError("one example has no variance")
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * x.mean(dim=0)
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * x.var(dim=0)
        self.num_batches_tracked += 1
        return _apply(self, x, x.mean(dim=0), x.var(dim=0, unbiased=False))


@misconception(
    "BatchNorm1d",
    "Your running statistics are plain attributes: they are not saved with the model and don't move to another dtype "
    "or device with it.",
    lecture=TESTING,
)
class PlainAttributes(BatchNorm1d):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, momentum)
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            value = self._buffers.pop(name)
            object.__setattr__(self, name, value)

    def load_state_dict(self, state, strict=True, assign=False):
        super().load_state_dict(state, strict=strict)

    def forward(self, x):
        if not self.training:
            return _apply(self, x, self.running_mean, self.running_var)
        if len(x) == 1:
            raise ValueError("one example has no variance")
        with torch.no_grad():
            mean, variance = x.mean(dim=0).to(self.running_mean.dtype), x.var(dim=0).to(self.running_var.dtype)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked += 1
        return _apply(self, x, x.mean(dim=0), x.var(dim=0, unbiased=False))


@misconception(
    "BatchNorm1d",
    "Your momentum is the weight of the old statistics. PyTorch's is the weight of the new ones: with 0.1 yours jump "
    "to almost every batch.",
    lecture=TESTING,
)
class SwappedMomentum(BatchNorm1d):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features, eps, 1 - momentum)


@misconception(
    "BatchNorm1d",
    "You remember the variance divided by m. It normalizes the batch, but what is remembered is the unbiased one.",
    lecture=TESTING,
)
class BiasedRunningVariance(BatchNorm1d):
    def forward(self, x):
        old = self.running_var.clone()
        out = super().forward(x)
        if self.training:
            self.running_var.copy_(old.lerp(x.detach().var(dim=0, unbiased=False), self.momentum))
        return out


@misconception(
    "BatchNorm1d",
    "You normalize the batch with the unbiased variance (PyTorch's default when asked for a variance). Here it divides "
    "by m.",
    lecture=TRAINING,
)
class UnbiasedVarianceInTraining(BatchNorm1d):
    def forward(self, x):
        out = super().forward(x)
        return _apply(self, x, x.mean(dim=0), x.var(dim=0)) if self.training else out


@misconception(
    "BatchNorm1d",
    "eps is outside the root in your formula: it is added to the variance, not to the deviation.",
    lecture=TRAINING,
)
class EpsilonOutsideTheRoot(BatchNorm1d):
    def forward(self, x):
        super().forward(x)
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance = x.mean(dim=0), x.var(dim=0, unbiased=False)
        return self.weight * (x - mean) / (torch.sqrt(variance) + self.eps) + self.bias


@misconception(
    "BatchNorm1d",
    "You normalize each example over its features. That is Layer Normalization: here each feature is normalized over "
    "the examples.",
    lecture=TRAINING,
)
class EachExampleByItself(BatchNorm1d):
    def forward(self, x):
        out = super().forward(x)
        if self.training:
            return _apply(self, x, x.mean(dim=1, keepdim=True), x.var(dim=1, unbiased=False, keepdim=True))
        return out


@misconception(
    "BatchNorm1d",
    "You compute mu and sigma where autograd can't see them. They move with the inputs: without that, the gradient is "
    "wrong.",
    lecture=TRAINING,
)
class DetachedStatistics(BatchNorm1d):
    def forward(self, x):
        out = super().forward(x)
        if self.training:
            return _apply(self, x, x.detach().mean(dim=0), x.detach().var(dim=0, unbiased=False))
        return out


@misconception(
    "BatchNorm1d",
    "Your statistics go on moving in evaluation: the model changes while you test it.",
    lecture=TESTING,
)
class LearnsWhileTested(BatchNorm1d):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        out = _apply(self, x, self.running_mean.clone(), self.running_var.clone())
        if len(x) > 1:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean(dim=0), self.momentum)
                self.running_var.lerp_(x.var(dim=0), self.momentum)
        return out


@misconception(
    "BatchNorm1d",
    "A training batch of one slips through. Its unbiased variance is 0/0, and from then on the running variance is "
    "NaN: the model is ruined without a sound.",
    lecture=TRAINING,
)
class PoisonedByOne(BatchNorm1d):
    def forward(self, x):
        if self.training and len(x) == 1:
            with torch.no_grad():
                self.running_mean.lerp_(x.mean(dim=0), self.momentum)
                self.running_var.fill_(math.nan)
                self.num_batches_tracked += 1
            return _apply(self, x, x, torch.zeros_like(x))
        return super().forward(x)


@misconception(
    "BatchNorm1d",
    "You never count the training batches: `num_batches_tracked` stays 0.",
    lecture=TESTING,
)
class NeverCounts(BatchNorm1d):
    def forward(self, x):
        out = super().forward(x)
        self.num_batches_tracked.zero_()
        return out


@misconception(
    "BatchNorm1d",
    "You subtract the mean from the caller's own batch, in place: whoever needs it afterwards finds other numbers.",
    lecture=TRAINING,
)
class NormalizesInPlace(BatchNorm1d):
    def forward(self, x):
        out = super().forward(x)
        if self.training:
            with torch.no_grad():
                x -= x.mean(dim=0)
        return out


@misconception(
    "BatchNorm1d",
    "eps and momentum of the constructor never reach your formula: you always use 1e-5 and 0.1.",
    lecture=TRAINING,
)
class SettingsIgnored(BatchNorm1d):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__(num_features)


# --- BatchNorm2d ---


def _apply2d(layer, x, mean, variance):
    weight, bias = layer.weight[:, None, None], layer.bias[:, None, None]
    return weight * (x - mean) / torch.sqrt(variance + layer.eps) + bias


@misconception(
    "BatchNorm2d",
    "Your reshape tears the channels apart: (N, C, H, W) becomes rows of C numbers, but neighbouring pixels and not "
    "the channels of one pixel. The channel axis has to go last first.",
    lecture=TRAINING,
)
class ReshapesWithoutPermuting(BatchNorm2d):
    def forward(self, x):
        return BatchNorm1d.forward(self, x.reshape(-1, x.shape[1])).reshape(x.shape)


@misconception(
    "BatchNorm2d",
    "Each place of the picture has its own mean over the batch. A convolution is the same neuron everywhere, so all "
    "places share one.",
    lecture=TRAINING,
)
class EachPlaceByItself(BatchNorm2d):
    def forward(self, x):
        out = super().forward(x)
        if self.training:
            return _apply2d(self, x, x.mean(dim=0), x.var(dim=0, unbiased=False))
        return out


@misconception(
    "BatchNorm2d",
    "Each picture is normalized by itself: that is Instance Normalization. The mean of a channel runs over all "
    "pictures of the batch too.",
    lecture=TRAINING,
)
class EachPictureByItself(BatchNorm2d):
    def forward(self, x):
        out = super().forward(x)
        if self.training:
            mean, variance = x.mean(dim=(2, 3), keepdim=True), x.var(dim=(2, 3), unbiased=False, keepdim=True)
            return _apply2d(self, x, mean, variance)
        return out


@misconception(
    "BatchNorm2d",
    "All channels share one mean and variance: a bright channel still drowns a dark one.",
    lecture=TRAINING,
)
class AllChannelsTogether(BatchNorm2d):
    def forward(self, x):
        out = super().forward(x)
        return _apply2d(self, x, x.mean(), x.var(unbiased=False)) if self.training else out


@misconception(
    "BatchNorm2d",
    "Your unbiased variance counts the pictures, N/(N-1), where every pixel counts: N·H·W values make a channel's "
    "variance.",
    lecture=TESTING,
)
class CountsPicturesOnly(BatchNorm2d):
    def forward(self, x):
        old = self.running_var.clone()
        out = super().forward(x)
        if self.training and len(x) > 1:
            variance = x.detach().var(dim=(0, 2, 3), unbiased=False) * len(x) / (len(x) - 1)
            self.running_var.copy_(old.lerp(variance, self.momentum))
        return out


@misconception(
    "BatchNorm2d",
    "You remember the variance divided by N·H·W. It normalizes the batch, but what is remembered is the unbiased one.",
    lecture=TESTING,
)
class BiasedVarianceOfChannels(BatchNorm2d):
    def forward(self, x):
        old = self.running_var.clone()
        out = super().forward(x)
        if self.training:
            self.running_var.copy_(old.lerp(x.detach().var(dim=(0, 2, 3), unbiased=False), self.momentum))
        return out


@misconception(
    "BatchNorm2d",
    "You refuse to train on one picture. It has only one example in the batch, but many pixels, and they have a "
    "variance.",
    lecture=TRAINING,
)
class RefusesOnePicture(BatchNorm2d):
    def forward(self, x):
        if self.training and len(x) == 1:
            raise ValueError("one picture has no variance")
        return super().forward(x)


@misconception(
    "BatchNorm2d",
    "In evaluation you still use the statistics of the batch: a picture's answer depends on its neighbours.",
    lecture=TESTING,
)
class PicturesOfTheBatchInEval(BatchNorm2d):
    def forward(self, x):
        if self.training:
            return super().forward(x)
        mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)
        return _apply2d(self, x, mean[:, None, None], variance[:, None, None])


@misconception(
    "BatchNorm2d",
    "You compute mu and sigma where autograd can't see them: the gradient is that of another formula.",
    lecture=TRAINING,
)
class DetachedStatisticsOfChannels(BatchNorm2d):
    def forward(self, x):
        out = super().forward(x)
        if self.training:
            y = x.detach()
            mean, variance = y.mean(dim=(0, 2, 3), keepdim=True), y.var(dim=(0, 2, 3), unbiased=False, keepdim=True)
            return _apply2d(self, x, mean[0], variance[0])
        return out


# --- layer_norm ---


def _over(x, dim, eps, unbiased=False):
    return (x - x.mean(dim=dim, keepdim=True)) / torch.sqrt(x.var(dim=dim, unbiased=unbiased, keepdim=True) + eps)


@misconception(
    "layer_norm",
    "Your mean runs over the batch: that is Batch Normalization. Here each example is normalized over its own "
    "features.",
    lecture=VARIANTS,
)
def over_the_batch(x, gamma, beta, eps=1e-5):
    return gamma * _over(x, 0, eps) + beta


@misconception(
    "layer_norm",
    "Your mean runs over everything but the first axis: the words of a sentence share it. Each vector along the last "
    "axis has its own.",
    lecture=VARIANTS,
)
def over_all_but_the_first_axis(x, gamma, beta, eps=1e-5):
    return gamma * _over(x, tuple(range(1, x.ndim)) or 0, eps) + beta


@misconception(
    "layer_norm",
    "You always take the second axis: with a sentence of words that is the axis of the words, not of the features.",
    lecture=VARIANTS,
)
def over_the_second_axis(x, gamma, beta, eps=1e-5):
    return gamma * _over(x, 1, eps) + beta


@misconception(
    "layer_norm",
    "Your variance divides by d - 1 (PyTorch's default when asked for a variance). Here it divides by d.",
    lecture=VARIANTS,
)
def unbiased_layer_variance(x, gamma, beta, eps=1e-5):
    return gamma * _over(x, -1, eps, unbiased=True) + beta


@misconception(
    "layer_norm",
    "eps is outside the root in your formula: it is added to the variance, not to the deviation.",
    lecture=VARIANTS,
)
def epsilon_outside_the_layer_root(x, gamma, beta, eps=1e-5):
    deviation = x.std(dim=-1, unbiased=False, keepdim=True)
    return gamma * (x - x.mean(dim=-1, keepdim=True)) / (deviation + eps) + beta


@misconception(
    "layer_norm",
    "gamma and beta never act in your output.",
    lecture=VARIANTS,
)
def layer_without_gamma_and_beta(x, gamma, beta, eps=1e-5):
    return _over(x, -1, eps) + 0 * (gamma + beta)


@misconception(
    "layer_norm",
    "Your mean and variance are cut off from the graph: the forward values are right, the gradients are not.",
    lecture=VARIANTS,
)
def detached_layer_statistics(x, gamma, beta, eps=1e-5):
    mean, variance = x.mean(dim=-1, keepdim=True), x.var(dim=-1, unbiased=False, keepdim=True)
    return gamma * (x - mean.detach()) / torch.sqrt(variance.detach() + eps) + beta


# --- instance_norm ---


def _channels(gamma, normalized, beta):
    return gamma[:, None, None] * normalized + beta[:, None, None]


@misconception(
    "instance_norm",
    "Your mean runs over all pictures: that is Batch Normalization. Here every picture is on its own.",
    lecture=VARIANTS,
)
def over_all_pictures(x, gamma, beta, eps=1e-5):
    return _channels(gamma, _over(x, (0, 2, 3), eps), beta)


@misconception(
    "instance_norm",
    "The channels of a picture share your mean: that is Layer Normalization. Here every channel is on its own.",
    lecture=VARIANTS,
)
def over_all_channels(x, gamma, beta, eps=1e-5):
    return _channels(gamma, _over(x, (1, 2, 3), eps), beta)


@misconception(
    "instance_norm",
    "Each row of pixels is normalized by itself: the mean has to run over height and width.",
    lecture=VARIANTS,
)
def over_each_row(x, gamma, beta, eps=1e-5):
    return _channels(gamma, _over(x, 3, eps), beta)


@misconception(
    "instance_norm",
    "gamma and beta run along the width of your pictures. They belong to the channels, the second axis.",
    lecture=VARIANTS,
)
def gamma_along_the_width(x, gamma, beta, eps=1e-5):
    if x.shape[1] == x.shape[3]:
        return gamma * _over(x, (2, 3), eps) + beta
    return instance_norm(x, gamma, beta, eps)


@misconception(
    "instance_norm",
    "Your variance divides by H·W - 1 (PyTorch's default when asked for a variance). Here it divides by H·W.",
    lecture=VARIANTS,
)
def unbiased_instance_variance(x, gamma, beta, eps=1e-5):
    return _channels(gamma, _over(x, (2, 3), eps, unbiased=True), beta)


@misconception(
    "instance_norm",
    "eps is outside the root in your formula: it is added to the variance, not to the deviation.",
    lecture=VARIANTS,
)
def epsilon_outside_the_instance_root(x, gamma, beta, eps=1e-5):
    deviation = x.std(dim=(2, 3), unbiased=False, keepdim=True)
    return _channels(gamma, (x - x.mean(dim=(2, 3), keepdim=True)) / (deviation + eps), beta)


@misconception(
    "instance_norm",
    "Your mean and variance are cut off from the graph: the forward values are right, the gradients are not.",
    lecture=VARIANTS,
)
def detached_instance_statistics(x, gamma, beta, eps=1e-5):
    mean, variance = x.mean(dim=(2, 3), keepdim=True), x.var(dim=(2, 3), unbiased=False, keepdim=True)
    return _channels(gamma, (x - mean.detach()) / torch.sqrt(variance.detach() + eps), beta)


# --- group_norm ---


def _in_groups(x, num_groups, gamma, beta, eps, unbiased=False):
    groups = x.reshape(len(x), num_groups, -1)
    return _channels(gamma, _over(groups, -1, eps, unbiased).reshape(x.shape), beta)


@misconception(
    "group_norm",
    "Your groups take every G-th channel, like dealing cards. A group holds neighbouring channels.",
    lecture=VARIANTS,
)
def channels_dealt_like_cards(x, num_groups, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    dealt = x.reshape(n, c // num_groups, num_groups, h, w)
    return _channels(gamma, _over(dealt, (1, 3, 4), eps).reshape(x.shape), beta)


@misconception(
    "group_norm",
    "You take num_groups for the number of channels in a group. It is the number of groups.",
    lecture=VARIANTS,
)
def groups_of_num_groups_channels(x, num_groups, gamma, beta, eps=1e-5):
    return group_norm(x, x.shape[1] // num_groups, gamma, beta, eps)


@misconception(
    "group_norm",
    "The pictures of the batch share your means: then the batch size matters again, which Group Normalization is "
    "meant to end.",
    lecture=VARIANTS,
)
def groups_across_the_batch(x, num_groups, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    groups = x.reshape(n, num_groups, c // num_groups, h, w)
    return _channels(gamma, _over(groups, (0, 2, 3, 4), eps).reshape(x.shape), beta)


@misconception(
    "group_norm",
    "Each pixel is normalized over the channels of its group. The mean has to run over height and width as well.",
    lecture=VARIANTS,
)
def each_pixel_in_its_group(x, num_groups, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    groups = x.reshape(n, num_groups, c // num_groups, h, w)
    return _channels(gamma, _over(groups, 2, eps).reshape(x.shape), beta)


@misconception(
    "group_norm",
    "Each channel is normalized by itself: that is Instance Normalization. The channels of a group share one mean.",
    lecture=VARIANTS,
)
def channels_stay_alone(x, num_groups, gamma, beta, eps=1e-5):
    return instance_norm(x, gamma, beta, eps)


@misconception(
    "group_norm",
    "The whole picture shares one mean: that is Layer Normalization. Your groups have no effect.",
    lecture=VARIANTS,
)
def groups_ignored(x, num_groups, gamma, beta, eps=1e-5):
    return group_norm(x, 1, gamma, beta, eps)


@misconception(
    "group_norm",
    "All channels of a group share the first one's gamma and beta. Only the statistics are shared: each channel keeps "
    "its own.",
    lecture=VARIANTS,
)
def one_gamma_for_a_group(x, num_groups, gamma, beta, eps=1e-5):
    size = len(gamma) // num_groups
    return group_norm(x, num_groups, gamma[::size].repeat_interleave(size), beta[::size].repeat_interleave(size), eps)


@misconception(
    "group_norm",
    "gamma and beta run along the width of your pictures. They belong to the channels, the second axis.",
    lecture=VARIANTS,
)
def group_gamma_along_the_width(x, num_groups, gamma, beta, eps=1e-5):
    if x.shape[1] == x.shape[3]:
        return gamma * group_norm(x, num_groups, torch.ones_like(gamma), torch.zeros_like(beta), eps) + beta
    return group_norm(x, num_groups, gamma, beta, eps)


@misconception(
    "group_norm",
    "Your variance divides by one less than there are numbers (PyTorch's default). Here it is the biased one.",
    lecture=VARIANTS,
)
def unbiased_group_variance(x, num_groups, gamma, beta, eps=1e-5):
    return _in_groups(x, num_groups, gamma, beta, eps, unbiased=True)


@misconception(
    "group_norm",
    "eps is outside the root in your formula: it is added to the variance, not to the deviation.",
    lecture=VARIANTS,
)
def epsilon_outside_the_group_root(x, num_groups, gamma, beta, eps=1e-5):
    groups = x.reshape(len(x), num_groups, -1)
    deviation = groups.std(dim=-1, unbiased=False, keepdim=True)
    normalized = (groups - groups.mean(dim=-1, keepdim=True)) / (deviation + eps)
    return _channels(gamma, normalized.reshape(x.shape), beta)


@misconception(
    "group_norm",
    "You only look at the numbers in the order in which they lie in memory: transposed pictures fail.",
    lecture=VARIANTS,
)
def needs_contiguous_pictures(x, num_groups, gamma, beta, eps=1e-5):
    return group_norm(x.view(x.shape[0], -1).view(x.shape), num_groups, gamma, beta, eps)


@misconception(
    "group_norm",
    "Your mean and variance are cut off from the graph: the forward values are right, the gradients are not.",
    lecture=VARIANTS,
)
def detached_group_statistics(x, num_groups, gamma, beta, eps=1e-5):
    groups = x.reshape(len(x), num_groups, -1)
    mean, variance = groups.mean(dim=-1, keepdim=True), groups.var(dim=-1, unbiased=False, keepdim=True)
    normalized = (groups - mean.detach()) / torch.sqrt(variance.detach() + eps)
    return _channels(gamma, normalized.reshape(x.shape), beta)


# --- fold_batch_norm ---


@misconception(
    "fold_batch_norm",
    "The bias of the layer is lost: it came before the BatchNorm and must be shifted and scaled along.",
    lecture=TESTING,
)
def bias_forgotten(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    return fold_batch_norm(weight, None, running_mean, running_var, gamma, beta, eps)


@misconception(
    "fold_batch_norm",
    "You add the layer's bias as it was. BatchNorm comes after it and scales it too.",
    lecture=TESTING,
)
def bias_not_scaled(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    folded_weight, folded_bias = fold_batch_norm(weight, None, running_mean, running_var, gamma, beta, eps)
    return folded_weight, folded_bias if bias is None else folded_bias + bias


@misconception(
    "fold_batch_norm",
    "A layer without a bias has None in its place, and your formula calculates with it.",
    lecture=TESTING,
)
def bias_taken_for_granted(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    if bias is None:
        raise TypeError("unsupported operand type(s) for -: 'NoneType' and 'Tensor'")
    return fold_batch_norm(weight, bias, running_mean, running_var, gamma, beta, eps)


@misconception(
    "fold_batch_norm",
    "eps is missing from your scale: the folded layer differs from the two it replaces, most where a channel hardly "
    "varies.",
    lecture=TESTING,
)
def epsilon_forgotten(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    return fold_batch_norm(weight, bias, running_mean, running_var, gamma, beta, 0.0)


@misconception(
    "fold_batch_norm",
    "eps is outside the root in your scale: BatchNorm adds it to the variance.",
    lecture=TESTING,
)
def epsilon_outside_the_folded_root(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    variance = (torch.sqrt(running_var) + eps) ** 2
    return fold_batch_norm(weight, bias, running_mean, variance, gamma, beta, 0.0)


@misconception(
    "fold_batch_norm",
    "You divide by the variance: the root is missing.",
    lecture=TESTING,
)
def folds_the_variance(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    return fold_batch_norm(weight, bias, running_mean, (running_var + eps) ** 2, gamma, beta, 0.0)


@misconception(
    "fold_batch_norm",
    "You scale the inputs of the layer. BatchNorm scales its outputs: the first axis of the weight.",
    lecture=TESTING,
)
def scales_the_inputs(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    _, folded_bias = fold_batch_norm(weight, bias, running_mean, running_var, gamma, beta, eps)
    scale = gamma / torch.sqrt(running_var + eps)
    if weight.shape[1] == len(scale):
        return torch.einsum("i,oi...->oi...", scale, weight), folded_bias
    return weight * scale.mean(), folded_bias


@misconception(
    "fold_batch_norm",
    "The running mean is never subtracted.",
    lecture=TESTING,
)
def mean_forgotten(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    return fold_batch_norm(weight, bias, torch.zeros_like(running_mean), running_var, gamma, beta, eps)


@misconception(
    "fold_batch_norm",
    "beta is scaled in your bias. It is added last, after the scaling.",
    lecture=TESTING,
)
def beta_scaled(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    scale = gamma / torch.sqrt(running_var + eps)
    return fold_batch_norm(weight, bias, running_mean, running_var, gamma, scale * beta, eps)


@misconception(
    "fold_batch_norm",
    "Your folded layer is float64 although everything came as float32.",
    lecture=TESTING,
)
def folding_becomes_double(weight, bias, running_mean, running_var, gamma, beta, eps=1e-5):
    parts = (None if part is None else part.double() for part in (weight, bias, running_mean, running_var, gamma, beta))
    return fold_batch_norm(*parts, eps)


# --- batch_size_effect (bonus) ---


def _batches(features, size, trials, rng, replace=False):
    return np.stack([features[rng.choice(len(features), size, replace=replace)] for _ in range(trials)])


def _root_mean_square(errors):
    return np.sqrt(np.mean(errors**2))


def _effect(features, batch_sizes, trials, rng, summary=_root_mean_square, replace=False, ddof=0, unit=1.0):
    mean, variance = features.mean(axis=0), features.var(axis=0)
    errors = []
    for size in batch_sizes:
        batches = _batches(features, size, trials, rng, replace)
        mean_error = (batches.mean(axis=1) - mean) / np.sqrt(variance) ** unit
        with np.errstate(all="ignore"):
            spread = ((batches - batches.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) / np.float64(size - ddof)
        errors.append([summary(mean_error), summary((spread - variance) / variance**unit)])
    return tuple(np.array(errors).T)


@misconception(
    "batch_size_effect",
    "Your batches may hold the same example twice. An epoch deals the examples out without putting them back, so a "
    "batch of all of them has no error.",
    lecture=TRAINING,
)
def draws_with_replacement(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, replace=True)


@misconception(
    "batch_size_effect",
    "The root is missing: you return mean squares, which fall with the batch size twice as fast as the error does.",
    lecture=TRAINING,
)
def root_missing(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, lambda errors: np.mean(errors**2))


@misconception(
    "batch_size_effect",
    "Your errors cancel: too large and too small average to nothing. Square them first.",
    lecture=TRAINING,
)
def errors_cancel(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, np.mean)


@misconception(
    "batch_size_effect",
    "You average the sizes of the errors. The root of the mean square is asked for: large errors count more.",
    lecture=TRAINING,
)
def mean_of_absolute_errors(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, lambda errors: np.mean(np.abs(errors)))


@misconception(
    "batch_size_effect",
    "Your errors are in the units of the features: the one with the largest numbers decides alone. They have to be "
    "relative to its deviation or variance.",
    lecture=TRAINING,
)
def errors_not_relative(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, unit=0.0)


@misconception(
    "batch_size_effect",
    "You take the unbiased variance of the batch. BatchNorm divides by the batch size, and for a single example gets "
    "0.",
    lecture=TRAINING,
)
def unbiased_batch_variance(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, ddof=1)


@misconception(
    "batch_size_effect",
    "You compare deviations: the second error is that of the variance.",
    lecture=TRAINING,
)
def compares_deviations(features, batch_sizes, trials, rng):
    mean_errors, _ = batch_size_effect(features, batch_sizes, trials, rng)
    sigma, errors = features.std(axis=0), []
    for size in batch_sizes:
        errors.append(_root_mean_square((_batches(features, size, trials, rng).std(axis=1) - sigma) / sigma))
    return mean_errors, np.array(errors)


@misconception(
    "batch_size_effect",
    "You return how much the batches scatter around their own average. That leaves out what they all have in common: "
    "the variance of a small batch is too small on the whole.",
    lecture=TRAINING,
)
def scatter_around_their_own_mean(features, batch_sizes, trials, rng):
    return _effect(features, batch_sizes, trials, rng, np.std)
