"""Mistakes that students make in lecture 6: each must lose points, and is named when it explains an answer."""

import itertools
import math

import numpy as np
import torch

from grader import misconception
from solutions import lecture06_learning_rate as lecture

ADAGRAD = "Lecture 6, Root mean square"
RMSPROP = "Lecture 6, RMSProp"
DECAY = "Lecture 6, Learning rate decay"
WARMUP = "Lecture 6, Warm-up"
SUMMARY = "Lecture 6, Direction, magnitude and schedule"
ADAM = "Lecture 6, Adam"
RADAM = "Lecture 6, On the variance of the adaptive learning rate"
SCHEDULING = "Lecture 6, Learning rate scheduling"

# ---------------------------------------------------------------- root_mean_square


@misconception(
    "root_mean_square",
    "You take the sum of the squares: sigma grows with every update, even on an even slope. The lecture divides by "
    "t + 1, the number of gradients.",
    lecture=ADAGRAD,
)
def sum_for_mean(gradients):
    return np.sqrt(np.sum(gradients**2, axis=0))


@misconception(
    "root_mean_square",
    "The root is missing: your sigma is in squared units, and the step would get shorter the larger the unit is.",
    lecture=ADAGRAD,
)
def without_the_root(gradients):
    return np.mean(gradients**2, axis=0)


@misconception(
    "root_mean_square",
    "You divide outside the root: what is under it is still a sum of squares.",
    lecture=ADAGRAD,
)
def divides_outside_the_root(gradients):
    return np.sqrt(np.sum(gradients**2, axis=0)) / len(gradients)


@misconception(
    "root_mean_square",
    "You divide by t, but from g^0 to g^t there are t + 1 gradients.",
    lecture=ADAGRAD,
)
def divides_by_t(gradients):
    with np.errstate(all="ignore"):
        return np.sqrt(np.sum(gradients**2, axis=0) / np.asarray(len(gradients) - 1, dtype=gradients.dtype))


@misconception(
    "root_mean_square",
    "You subtract the mean before you square: that is the standard deviation, which is 0 on an even slope, however "
    "steep.",
    lecture=ADAGRAD,
)
def standard_deviation(gradients):
    return np.std(gradients, axis=0)


@misconception(
    "root_mean_square",
    "You take the mean of the sizes. In a root mean square, the large gradients count more.",
    lecture=ADAGRAD,
)
def mean_of_the_sizes(gradients):
    return np.mean(np.abs(gradients), axis=0)


@misconception(
    "root_mean_square",
    "You take the mean before you square: a gradient to the left and one to the right cancel, as if it were flat.",
    lecture=ADAGRAD,
)
def square_of_the_mean(gradients):
    return np.sqrt(np.mean(gradients, axis=0) ** 2)


@misconception(
    "root_mean_square",
    "You take the mean over all parameters as well: they get one learning rate in common, and that is what Adagrad is "
    "there to change.",
    lecture=ADAGRAD,
)
def one_magnitude_for_all(gradients):
    return np.broadcast_to(np.sqrt(np.mean(gradients**2)), gradients.shape[1:]).astype(gradients.dtype)


@misconception(
    "root_mean_square",
    "Your mean runs over the parameters: time is the first axis.",
    lecture=ADAGRAD,
)
def mean_over_the_parameters(gradients):
    return np.sqrt(np.mean(gradients**2, axis=-1))


@misconception(
    "root_mean_square",
    "You look at the newest gradient only: the lecture's sigma remembers all of them.",
    lecture=ADAGRAD,
)
def newest_gradient_only(gradients):
    return np.abs(gradients[-1])


@misconception(
    "root_mean_square",
    "You turn everything into float64: the magnitude of float32 gradients should be float32.",
    lecture=ADAGRAD,
)
def magnitude_in_float64(gradients):
    return np.sqrt(np.mean(gradients.astype(np.float64) ** 2, axis=0))


# ---------------------------------------------------------------- adagrad_step


def _moved(theta, sigma, gradient, learning_rate):
    return theta - learning_rate * gradient / np.where(sigma > 0, sigma, 1)


def _adagrad_sigma(sigma, gradient, t):
    return np.sqrt((t * sigma**2 + gradient**2) / (t + 1))


@misconception(
    "adagrad_step",
    "You add up the squares without dividing by t + 1. That is Adagrad as it was published; in the lecture's form, "
    "sigma is a root *mean* square, and the steps do not shrink by themselves.",
    lecture=ADAGRAD,
)
def adds_up_the_squares(theta, sigma, gradient, t, learning_rate):
    sigma = np.sqrt((sigma**2 if t else 0) + gradient**2)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "adagrad_step",
    "You divide by the sigma of before: the newest gradient, which may be the steepest of all, comes too late. The "
    "first update has nothing to be divided by at all.",
    lecture=ADAGRAD,
)
def divides_by_the_old_sigma(theta, sigma, gradient, t, learning_rate):
    return _moved(theta, sigma, gradient, learning_rate), _adagrad_sigma(sigma, gradient, t)


@misconception(
    "adagrad_step",
    "You mix sigma itself with the square of the gradient: the old sigma has to be squared first.",
    lecture=ADAGRAD,
)
def adagrad_mixes_sigma_unsquared(theta, sigma, gradient, t, learning_rate):
    sigma = np.sqrt((t * sigma + gradient**2) / (t + 1))
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "adagrad_step",
    "You give the old mean and the new square equal weight. The old mean stands for t gradients, the new one is one.",
    lecture=ADAGRAD,
)
def equal_weights(theta, sigma, gradient, t, learning_rate):
    sigma = np.sqrt((sigma**2 + gradient**2) / 2) if t else np.abs(gradient)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "adagrad_step",
    "You add sigma^2 as if it were the sum of the old squares. It is their mean, and stands for t of them.",
    lecture=ADAGRAD,
)
def forgets_to_multiply_by_t(theta, sigma, gradient, t, learning_rate):
    sigma = np.sqrt((sigma**2 + gradient**2) / (t + 1)) if t else np.abs(gradient)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "adagrad_step",
    "Your mean counts one gradient too many: at t = 0 there is one gradient, and its mean is itself.",
    lecture=ADAGRAD,
)
def counts_one_gradient_too_many(theta, sigma, gradient, t, learning_rate):
    sigma = np.sqrt(((t + 1) * sigma**2 + gradient**2) / (t + 2))
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "adagrad_step",
    "You divide by the mean square: a root is missing, and small gradients make huge steps.",
    lecture=ADAGRAD,
)
def divides_by_the_square(theta, sigma, gradient, t, learning_rate):
    sigma = _adagrad_sigma(sigma, gradient, t)
    return _moved(theta, sigma**2, gradient, learning_rate), sigma


@misconception(
    "adagrad_step",
    "Your update adds the gradient: you climb the loss.",
    lecture=ADAGRAD,
)
def adagrad_climbs(theta, sigma, gradient, t, learning_rate):
    return lecture.adagrad_step(theta, sigma, gradient, t, -learning_rate)


@misconception(
    "adagrad_step",
    "You multiply by sigma: the steeper it has been, the longer your step gets.",
    lecture=ADAGRAD,
)
def multiplies_by_sigma(theta, sigma, gradient, t, learning_rate):
    sigma = _adagrad_sigma(sigma, gradient, t)
    return theta - learning_rate * sigma * gradient, sigma


@misconception(
    "adagrad_step",
    "All your parameters share one sigma: then steep and flat directions have the same gear again.",
    lecture=ADAGRAD,
)
def one_sigma_for_all(theta, sigma, gradient, t, learning_rate):
    new = _adagrad_sigma(sigma, gradient, t)
    common = np.sqrt(np.mean(new**2))
    return _moved(theta, np.full_like(new, common), gradient, learning_rate), new


@misconception(
    "adagrad_step",
    "You add a small number to sigma. What is small beside a gradient of 1 is large beside one of 0.0000001: the size "
    "of the gradients no longer cancels.",
    lecture=ADAGRAD,
)
def adagrad_adds_a_small_number(theta, sigma, gradient, t, learning_rate):
    sigma = _adagrad_sigma(sigma, gradient, t)
    return theta - learning_rate * gradient / (sigma + 1e-8), sigma


@misconception(
    "adagrad_step",
    "You divide 0 by 0 for a parameter that has never had a gradient: it becomes NaN, and stays so.",
    lecture=ADAGRAD,
)
def adagrad_divides_by_zero(theta, sigma, gradient, t, learning_rate):
    sigma = _adagrad_sigma(sigma, gradient, t)
    with np.errstate(all="ignore"):
        return theta - learning_rate * gradient / sigma, sigma


@misconception(
    "adagrad_step",
    "You change the arrays that you were given: every position that the caller has kept changes with them.",
    lecture=ADAGRAD,
)
def adagrad_in_place(theta, sigma, gradient, t, learning_rate):
    sigma[...] = _adagrad_sigma(sigma, gradient, t)
    theta -= learning_rate * gradient / np.where(sigma > 0, sigma, 1)
    return theta, sigma


@misconception(
    "adagrad_step",
    "You turn everything into float64: parameters in float32 should stay float32.",
    lecture=ADAGRAD,
)
def adagrad_in_float64(theta, sigma, gradient, t, learning_rate):
    parts = (np.asarray(part, dtype=np.float64) for part in (theta, sigma, gradient))
    return lecture.adagrad_step(*parts, t, learning_rate)


# ---------------------------------------------------------------- rmsprop_step


def _rmsprop_sigma(sigma, gradient, t, alpha):
    return np.sqrt(alpha * sigma**2 + (1 - alpha) * gradient**2) if t else np.abs(gradient)


@misconception(
    "rmsprop_step",
    "Your alpha is on the wrong term: it is the share of the past that is kept, and 1 - alpha is for the newest "
    "gradient.",
    lecture=RMSPROP,
)
def alpha_on_the_wrong_term(theta, sigma, gradient, t, learning_rate, alpha):
    return lecture.rmsprop_step(theta, sigma, gradient, t, learning_rate, 1 - alpha)


@misconception(
    "rmsprop_step",
    "You mix sigma itself with the square of the gradient: the old sigma has to be squared first.",
    lecture=RMSPROP,
)
def rmsprop_mixes_sigma_unsquared(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = np.sqrt(alpha * sigma + (1 - alpha) * gradient**2) if t else np.abs(gradient)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "You mix the old sigma and the size of the gradient. It is their squares that are mixed.",
    lecture=RMSPROP,
)
def mixes_sizes(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = alpha * sigma + (1 - alpha) * np.abs(gradient) if t else np.abs(gradient)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "You start from zero: the first sigma is far too small, and the first step about three times too long for alpha = "
    "0.9. In the lecture, the first sigma is the size of the first gradient.",
    lecture=RMSPROP,
)
def starts_from_zero(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = np.sqrt(alpha * (sigma**2 if t else 0) + (1 - alpha) * gradient**2)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "You mix the first gradient with whatever sigma was passed: before the first update, there is no past that counts.",
    lecture=RMSPROP,
)
def mixes_in_the_first_update(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = np.sqrt(alpha * sigma**2 + (1 - alpha) * gradient**2)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "You take sigma to be missing wherever it is 0, instead of at t = 0: in the first update, what was passed does not "
    "count, and later on a 0 is a sigma like any other.",
    lecture=RMSPROP,
)
def zero_taken_for_missing(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = np.where(sigma > 0, _rmsprop_sigma(sigma, gradient, 1, alpha), np.abs(gradient))
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "You take the mean over all past gradients: that is Adagrad. Here the old ones have to fade.",
    lecture=RMSPROP,
)
def never_forgets(theta, sigma, gradient, t, learning_rate, alpha):
    return lecture.adagrad_step(theta, sigma, gradient, t, learning_rate)


@misconception(
    "rmsprop_step",
    "You mix what is under the root without 1 - alpha: the newest gradient counts in full, and sigma grows too large.",
    lecture=RMSPROP,
)
def newest_counts_in_full(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = np.sqrt(alpha * sigma**2 + gradient**2) if t else np.abs(gradient)
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "You divide by the sigma of before: the brake grips one step too late.",
    lecture=RMSPROP,
)
def brakes_too_late(theta, sigma, gradient, t, learning_rate, alpha):
    new = _rmsprop_sigma(sigma, gradient, t, alpha)
    return _moved(theta, sigma if t else new, gradient, learning_rate), new


@misconception(
    "rmsprop_step",
    "The root is missing: you return and divide by sigma squared.",
    lecture=RMSPROP,
)
def rmsprop_without_the_root(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = alpha * sigma**2 + (1 - alpha) * gradient**2 if t else gradient**2
    return _moved(theta, sigma, gradient, learning_rate), sigma


@misconception(
    "rmsprop_step",
    "Your update adds the gradient: you climb the loss.",
    lecture=RMSPROP,
)
def rmsprop_climbs(theta, sigma, gradient, t, learning_rate, alpha):
    return lecture.rmsprop_step(theta, sigma, gradient, t, -learning_rate, alpha)


@misconception(
    "rmsprop_step",
    "You add a small number to sigma. What is small beside a gradient of 1 is large beside one of 0.0000001: the size "
    "of the gradients no longer cancels.",
    lecture=RMSPROP,
)
def rmsprop_adds_a_small_number(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = _rmsprop_sigma(sigma, gradient, t, alpha)
    return theta - learning_rate * gradient / (sigma + 1e-8), sigma


@misconception(
    "rmsprop_step",
    "You divide 0 by 0 for a parameter that has never had a gradient: it becomes NaN, and stays so.",
    lecture=RMSPROP,
)
def rmsprop_divides_by_zero(theta, sigma, gradient, t, learning_rate, alpha):
    sigma = _rmsprop_sigma(sigma, gradient, t, alpha)
    with np.errstate(all="ignore"):
        return theta - learning_rate * gradient / sigma, sigma


@misconception(
    "rmsprop_step",
    "You change the arrays that you were given: every position that the caller has kept changes with them.",
    lecture=RMSPROP,
)
def rmsprop_in_place(theta, sigma, gradient, t, learning_rate, alpha):
    sigma[...] = _rmsprop_sigma(sigma, gradient, t, alpha)
    theta -= learning_rate * gradient / np.where(sigma > 0, sigma, 1)
    return theta, sigma


@misconception(
    "rmsprop_step",
    "You turn everything into float64: parameters in float32 should stay float32.",
    lecture=RMSPROP,
)
def rmsprop_in_float64(theta, sigma, gradient, t, learning_rate, alpha):
    parts = (np.asarray(part, dtype=np.float64) for part in (theta, sigma, gradient))
    return lecture.rmsprop_step(*parts, t, learning_rate, alpha)


# ---------------------------------------------------------------- step_decay


@misconception(
    "step_decay",
    "You cut one update too early: updates 0 to every - 1 are `every` updates, and all of them use the full rate.",
    lecture=DECAY,
)
def cuts_one_update_early(t, learning_rate, every, gamma):
    return learning_rate * gamma ** ((t + 1) // every)


@misconception(
    "step_decay",
    "You cut one update too late: update number `every` is the first with the smaller learning rate.",
    lecture=DECAY,
)
def cuts_one_update_late(t, learning_rate, every, gamma):
    return learning_rate * gamma ** (max(t - 1, 0) // every)


@misconception(
    "step_decay",
    "You don't round down: the learning rate slides with every update, where it should stay on each stair.",
    lecture=DECAY,
)
def slides_between_the_cuts(t, learning_rate, every, gamma):
    return learning_rate * gamma ** (t / every)


@misconception(
    "step_decay",
    "You cut only once: every so many updates, what is left is cut again.",
    lecture=DECAY,
)
def cuts_only_once(t, learning_rate, every, gamma):
    return learning_rate * (gamma if t >= every else 1)


@misconception(
    "step_decay",
    "You multiply gamma by the number of cuts. Each cut multiplies what is left: that is a power.",
    lecture=DECAY,
)
def multiplies_by_the_number_of_cuts(t, learning_rate, every, gamma):
    return learning_rate * (gamma * (t // every) if t >= every else 1)


@misconception(
    "step_decay",
    "You divide by gamma: your learning rate grows at every cut.",
    lecture=DECAY,
)
def divides_by_gamma(t, learning_rate, every, gamma):
    return learning_rate / gamma ** (t // every)


@misconception(
    "step_decay",
    "You take off the share gamma; what should be *left* after a cut is the share gamma.",
    lecture=DECAY,
)
def takes_off_gamma(t, learning_rate, every, gamma):
    return learning_rate * (1 - gamma) ** (t // every)


@misconception(
    "step_decay",
    "You cut in the updates that `every` divides, and forget the cut in the next one: a cut is for good.",
    lecture=DECAY,
)
def forgets_the_cut(t, learning_rate, every, gamma):
    return learning_rate * (gamma ** (t // every) if t % every == 0 else 1)


# ---------------------------------------------------------------- exponential_decay


@misconception(
    "exponential_decay",
    "You decay before the first update: update 0 has the full learning rate.",
    lecture=DECAY,
)
def decays_before_the_first_update(t, learning_rate, gamma):
    return learning_rate * gamma ** (t + 1)


@misconception(
    "exponential_decay",
    "You start one update late: updates 0 and 1 have the same learning rate.",
    lecture=DECAY,
)
def decays_one_update_late(t, learning_rate, gamma):
    return learning_rate * gamma ** max(t - 1, 0)


@misconception(
    "exponential_decay",
    "You take gamma for the rate in an exponential function: what is left after an update is the share gamma itself.",
    lecture=DECAY,
)
def natural_exponential(t, learning_rate, gamma):
    return learning_rate * math.exp(-gamma * t)


@misconception(
    "exponential_decay",
    "You take off the share gamma; what should be *left* after an update is the share gamma.",
    lecture=DECAY,
)
def exponential_takes_off_gamma(t, learning_rate, gamma):
    return learning_rate * (1 - gamma) ** t


@misconception(
    "exponential_decay",
    "You multiply by gamma and t. Each update multiplies what is left: that is a power.",
    lecture=DECAY,
)
def product_for_power(t, learning_rate, gamma):
    return learning_rate * gamma * t if t else learning_rate


@misconception(
    "exponential_decay",
    "You take the same amount off in every update, down a straight line: it should be the same *share* of what is "
    "left.",
    lecture=DECAY,
)
def straight_line(t, learning_rate, gamma):
    return max(learning_rate * (1 - (1 - gamma) * t), 0.0)


@misconception(
    "exponential_decay",
    "You divide by 1 + t: the ratio of two neighbours should always be gamma.",
    lecture=DECAY,
)
def hyperbola(t, learning_rate, gamma):
    return learning_rate / (1 + (1 / gamma - 1) * t)


@misconception(
    "exponential_decay",
    "You raise the learning rate to a power together with gamma: only gamma is multiplied again and again.",
    lecture=DECAY,
)
def power_of_the_product(t, learning_rate, gamma):
    return (learning_rate * gamma) ** t


# ---------------------------------------------------------------- cosine_decay


def _cosine(progress, top, floor):
    return floor + (top - floor) * (1 + math.cos(math.pi * progress)) / 2


@misconception(
    "cosine_decay",
    "You use a whole period of the cosine: half-way you are at the bottom, and at the end at the top again.",
    lecture=DECAY,
)
def whole_period(t, learning_rate, total, floor=0.0):
    return _cosine(2 * t / total, learning_rate, floor) if t < total else floor


@misconception(
    "cosine_decay",
    "You use a quarter of a period: your curve leaves the top gently, but falls over a cliff at the end.",
    lecture=DECAY,
)
def quarter_period(t, learning_rate, total, floor=0.0):
    return floor + (learning_rate - floor) * math.cos(math.pi / 2 * min(t / total, 1))


@misconception(
    "cosine_decay",
    "Your decay is at its floor one update too early: it takes T steps from update 0 to update number T.",
    lecture=DECAY,
)
def one_update_too_short(t, learning_rate, total, floor=0.0):
    return _cosine(min(t / max(total - 1, 1), 1), learning_rate, floor)


@misconception(
    "cosine_decay",
    "You count from 1: the first update, t = 0, has the full learning rate.",
    lecture=DECAY,
)
def cosine_counts_from_one(t, learning_rate, total, floor=0.0):
    return _cosine(min((t + 1) / total, 1), learning_rate, floor)


@misconception(
    "cosine_decay",
    "After the end your learning rate goes up again, as the cosine does: it should stay at the floor.",
    lecture=DECAY,
)
def goes_up_again(t, learning_rate, total, floor=0.0):
    return _cosine(t / total, learning_rate, floor)


@misconception(
    "cosine_decay",
    "You start anew when the cosine is at its end: those are warm restarts, and here there are none.",
    lecture=DECAY,
)
def restarts(t, learning_rate, total, floor=0.0):
    return _cosine((t % total) / total, learning_rate, floor)


@misconception(
    "cosine_decay",
    "After the end you return 0: the learning rate should stay at the floor.",
    lecture=DECAY,
)
def zero_after_the_end(t, learning_rate, total, floor=0.0):
    return _cosine(t / total, learning_rate, floor) if t <= total else 0.0


@misconception(
    "cosine_decay",
    "You lift the whole curve by the floor: it begins above the learning rate that it should begin with.",
    lecture=DECAY,
)
def lifts_the_curve(t, learning_rate, total, floor=0.0):
    return floor + _cosine(min(t / total, 1), learning_rate, 0.0)


@misconception(
    "cosine_decay",
    "You cut the curve off at the floor: it should be squeezed between top and floor, and arrive there gently.",
    lecture=DECAY,
)
def cuts_off_at_the_floor(t, learning_rate, total, floor=0.0):
    return max(_cosine(min(t / total, 1), learning_rate, 0.0), floor)


@misconception(
    "cosine_decay",
    "You leave out the floor: your learning rate always goes down to 0.",
    lecture=DECAY,
)
def ignores_the_floor(t, learning_rate, total, floor=0.0):
    return _cosine(min(t / total, 1), learning_rate, 0.0)


@misconception(
    "cosine_decay",
    "Your cosine has the wrong sign: it starts at the floor and rises.",
    lecture=DECAY,
)
def cosine_upside_down(t, learning_rate, total, floor=0.0):
    return _cosine(1 - min(t / total, 1), learning_rate, floor)


@misconception(
    "cosine_decay",
    "Your learning rate falls along a straight line: the cosine is slow at both ends and fast half-way.",
    lecture=DECAY,
)
def linear_decay(t, learning_rate, total, floor=0.0):
    return floor + (learning_rate - floor) * (1 - min(t / total, 1))


# ---------------------------------------------------------------- warmup_inverse_sqrt


@misconception(
    "warmup_inverse_sqrt",
    "You count from 0: the first update has the learning rate 0 and is thrown away, and the peak comes one update "
    "late.",
    lecture=WARMUP,
)
def first_update_thrown_away(t, peak, warmup):
    return peak * min(t / warmup, math.sqrt(warmup / t)) if t else 0.0


@misconception(
    "warmup_inverse_sqrt",
    "Your rise counts from 0, so that the first update is thrown away, and your fall counts from 1: at the seam they "
    "don't meet.",
    lecture=WARMUP,
)
def rise_counts_from_zero(t, peak, warmup):
    return peak * t / warmup if t < warmup else peak * math.sqrt(warmup / (t + 1))


@misconception(
    "warmup_inverse_sqrt",
    "There is no warm-up: your learning rate starts at its peak.",
    lecture=WARMUP,
)
def no_warm_up(t, peak, warmup):
    return peak * min(1.0, math.sqrt(warmup / (t + 1)))


@misconception(
    "warmup_inverse_sqrt",
    "You decay from the first update on, and multiply that by the rise: the peak is never reached, and after the "
    "warm-up the learning rate is far too small.",
    lecture=WARMUP,
)
def square_root_from_the_start(t, peak, warmup):
    s = t + 1
    return peak * min(s / warmup, 1) / math.sqrt(s)


@misconception(
    "warmup_inverse_sqrt",
    "After the warm-up you divide by the root of s, without W: at the seam, the learning rate jumps down.",
    lecture=WARMUP,
)
def jumps_at_the_seam(t, peak, warmup):
    s = t + 1
    return peak * s / warmup if s <= warmup else peak / math.sqrt(s)


@misconception(
    "warmup_inverse_sqrt",
    "After the warm-up you start to count anew. The pieces meet, but your fall is much too steep: the square root "
    "counts all updates.",
    lecture=WARMUP,
)
def counts_anew_after_the_seam(t, peak, warmup):
    s = t + 1
    return peak * s / warmup if s <= warmup else peak / math.sqrt(s - warmup + 1)


@misconception(
    "warmup_inverse_sqrt",
    "The root is missing: four times as many updates leave half of the peak, not a quarter.",
    lecture=WARMUP,
)
def falls_without_the_root(t, peak, warmup):
    s = t + 1
    return peak * min(s / warmup, warmup / s)


@misconception(
    "warmup_inverse_sqrt",
    "After the warm-up your learning rate stays at its peak: it should fall.",
    lecture=WARMUP,
)
def stays_at_the_peak(t, peak, warmup):
    return peak * min((t + 1) / warmup, 1)


@misconception(
    "warmup_inverse_sqrt",
    "You take the larger of the two pieces: below the peak it is the smaller one that counts.",
    lecture=WARMUP,
)
def larger_of_the_two(t, peak, warmup):
    s = t + 1
    return peak * max(s / warmup, math.sqrt(warmup / s))


@misconception(
    "warmup_inverse_sqrt",
    "Your peak comes one update late: W updates of warm-up include the one that reaches it.",
    lecture=WARMUP,
)
def peak_one_update_late(t, peak, warmup):
    s = t + 1
    return peak * min(s / (warmup + 1), math.sqrt((warmup + 1) / s))


@misconception(
    "warmup_inverse_sqrt",
    "Your rise is curved like a root: it should be a straight line.",
    lecture=WARMUP,
)
def curved_rise(t, peak, warmup):
    s = t + 1
    return peak * math.sqrt(min(s / warmup, warmup / s))


# ---------------------------------------------------------------- warmup_cosine


def _rise_then(s, peak, warmup, progress, floor):
    """The right rise, then a cosine with this progress."""
    return peak * s / warmup if s <= warmup else _cosine(min(progress, 1), peak, floor)


@misconception(
    "warmup_cosine",
    "You count from 0: the first update has the learning rate 0 and is thrown away, and the peak comes one update "
    "late.",
    lecture=WARMUP,
)
def cosine_after_a_thrown_away_update(t, peak, warmup, total, floor=0.0):
    return _rise_then(t, peak, warmup, (t - warmup) / (total - warmup), floor)


@misconception(
    "warmup_cosine",
    "Your rise counts from 0, so that the first update is thrown away, and your cosine counts from 1: the peak is "
    "left out.",
    lecture=WARMUP,
)
def rise_from_zero_cosine_from_one(t, peak, warmup, total, floor=0.0):
    if t < warmup:
        return peak * t / warmup
    return _cosine(min((t + 1 - warmup) / (total - warmup), 1), peak, floor)


@misconception(
    "warmup_cosine",
    "After the warm-up your cosine has been running since the first update: at the seam, the learning rate jumps down.",
    lecture=WARMUP,
)
def cosine_from_the_start(t, peak, warmup, total, floor=0.0):
    return _rise_then(t + 1, peak, warmup, (t + 1) / total, floor)


@misconception(
    "warmup_cosine",
    "You multiply the rise and a cosine that has been running since the first update: the peak is never reached.",
    lecture=WARMUP,
)
def decays_while_it_rises(t, peak, warmup, total, floor=0.0):
    s = t + 1
    return min(s / warmup, 1) * _cosine(min(s / total, 1), peak, floor)


@misconception(
    "warmup_cosine",
    "You stretch the way down over T updates. W of them are over: T - W are left, and yours does not get to the "
    "bottom.",
    lecture=WARMUP,
)
def way_down_too_long(t, peak, warmup, total, floor=0.0):
    return _rise_then(t + 1, peak, warmup, (t + 1 - warmup) / total, floor)


@misconception(
    "warmup_cosine",
    "You take T for the length of the way down and add the warm-up to it: T counts all updates.",
    lecture=WARMUP,
)
def total_without_the_warm_up(t, peak, warmup, total, floor=0.0):
    return _rise_then(t + 1, peak, warmup, (t - warmup) / total, floor)


@misconception(
    "warmup_cosine",
    "Your way down starts one update late, with the peak twice, and the last update is not at the floor yet.",
    lecture=WARMUP,
)
def peak_twice(t, peak, warmup, total, floor=0.0):
    return _rise_then(t + 1, peak, warmup, (t - warmup) / (total - warmup), floor)


@misconception(
    "warmup_cosine",
    "There is no warm-up: your learning rate starts at its peak.",
    lecture=WARMUP,
)
def cosine_without_warm_up(t, peak, warmup, total, floor=0.0):
    return _cosine(min(max(t + 1 - warmup, 0) / (total - warmup), 1), peak, floor)


@misconception(
    "warmup_cosine",
    "After the warm-up your learning rate falls along a straight line: the cosine is slow at both ends and fast half- "
    "way.",
    lecture=WARMUP,
)
def straight_way_down(t, peak, warmup, total, floor=0.0):
    s = t + 1
    if s <= warmup:
        return peak * s / warmup
    return floor + (peak - floor) * (1 - min((s - warmup) / (total - warmup), 1))


@misconception(
    "warmup_cosine",
    "Your rise starts from the floor. It should aim from 0 at the peak; the floor is for the way down.",
    lecture=WARMUP,
)
def rises_from_the_floor(t, peak, warmup, total, floor=0.0):
    s = t + 1
    if s <= warmup:
        return floor + (peak - floor) * s / warmup
    return lecture.warmup_cosine(t, peak, warmup, total, floor)


@misconception(
    "warmup_cosine",
    "You leave out the floor: your learning rate always goes down to 0.",
    lecture=WARMUP,
)
def warm_up_without_a_floor(t, peak, warmup, total, floor=0.0):
    return lecture.warmup_cosine(t, peak, warmup, total)


@misconception(
    "warmup_cosine",
    "After the last update your learning rate goes up again, as the cosine does: it should stay at the floor.",
    lecture=WARMUP,
)
def goes_up_again_in_the_end(t, peak, warmup, total, floor=0.0):
    s = t + 1
    return peak * s / warmup if s <= warmup else _cosine((s - warmup) / (total - warmup), peak, floor)


# ---------------------------------------------------------------- combined_update


@misconception(
    "combined_update",
    "You divide by sigma squared: then the unit of the gradient does not cancel, and small gradients make huge steps.",
    lecture=SUMMARY,
)
def divides_by_sigma_squared(theta, m, sigma, schedule, t):
    return theta - schedule(t) / sigma**2 * m


@misconception(
    "combined_update",
    "You divide by the root of sigma: sigma is a root already, that of the mean square.",
    lecture=SUMMARY,
)
def divides_by_the_root_of_sigma(theta, m, sigma, schedule, t):
    return theta - schedule(t) / np.sqrt(sigma) * m


@misconception(
    "combined_update",
    "You add m. In Lecture 5 it was a movement downhill; here it is a sum of gradients, and points uphill.",
    lecture=SUMMARY,
)
def adds_the_direction(theta, m, sigma, schedule, t):
    return theta + schedule(t) / sigma * m


@misconception(
    "combined_update",
    "You multiply by sigma: the steeper it has been, the longer your step gets.",
    lecture=SUMMARY,
)
def multiplies_by_the_magnitude(theta, m, sigma, schedule, t):
    return theta - schedule(t) * sigma * m


@misconception(
    "combined_update",
    "You leave out sigma: every parameter has the same learning rate again.",
    lecture=SUMMARY,
)
def without_the_magnitude(theta, m, sigma, schedule, t):
    return theta - schedule(t) * m


@misconception(
    "combined_update",
    "You use the learning rate of the next update: update number t has schedule(t).",
    lecture=SUMMARY,
)
def rate_of_the_next_update(theta, m, sigma, schedule, t):
    return theta - schedule(t + 1) / sigma * m


@misconception(
    "combined_update",
    "You use the learning rate of the very first update for all of them.",
    lecture=SUMMARY,
)
def rate_of_the_first_update(theta, m, sigma, schedule, t):
    return theta - schedule(0) / sigma * m


@misconception(
    "combined_update",
    "You use the learning rate of the update before.",
    lecture=SUMMARY,
)
def rate_of_the_last_update(theta, m, sigma, schedule, t):
    return theta - schedule(max(t - 1, 0)) / sigma * m


@misconception(
    "combined_update",
    "You divide all parameters by one common magnitude: each has a sigma of its own.",
    lecture=SUMMARY,
)
def one_magnitude_in_common(theta, m, sigma, schedule, t):
    return theta - schedule(t) / np.linalg.norm(sigma).astype(sigma.dtype) * m


@misconception(
    "combined_update",
    "You take only the sign of m: how much of the past agrees about the direction no longer counts.",
    lecture=SUMMARY,
)
def sign_of_the_direction(theta, m, sigma, schedule, t):
    return theta - schedule(t) / sigma * np.sign(m)


@misconception(
    "combined_update",
    "You change theta in place: every position that the caller has kept changes with it.",
    lecture=SUMMARY,
)
def combined_in_place(theta, m, sigma, schedule, t):
    theta -= schedule(t) / sigma * m
    return theta


@misconception(
    "combined_update",
    "You turn everything into float64: parameters in float32 should stay float32.",
    lecture=SUMMARY,
)
def combined_in_float64(theta, m, sigma, schedule, t):
    return lecture.combined_update(theta.astype(np.float64), m, sigma, schedule, t)


# ---------------------------------------------------------------- adam_step


def _means(m, v, gradient, beta1, beta2):
    return beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * gradient**2


def _corrected(m, v, t, beta1, beta2):
    return m / (1 - beta1 ** (t + 1)), v / (1 - beta2 ** (t + 1))


@misconception(
    "adam_step",
    "The bias correction is missing: m and v start from zeros that never were gradients, and the first steps have the "
    "wrong length.",
    lecture=ADAM,
)
def no_bias_correction(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    return theta - learning_rate * m / (np.sqrt(v) + epsilon), m, v


@misconception(
    "adam_step",
    "You correct m, and not v: after one gradient v is too small by a factor of a thousand, and the first step about "
    "thirty times too long.",
    lecture=ADAM,
)
def corrects_only_m(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    return theta - learning_rate * m / (1 - beta1 ** (t + 1)) / (np.sqrt(v) + epsilon), m, v


@misconception(
    "adam_step",
    "You correct v, and not m: your first steps are ten times too short.",
    lecture=ADAM,
)
def corrects_only_v(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    return theta - learning_rate * m / (np.sqrt(v / (1 - beta2 ** (t + 1))) + epsilon), m, v


@misconception(
    "adam_step",
    "Your bias correction uses the power t where there have been t + 1 gradients: at t = 0 you divide by 0. (The paper "
    "counts from 1.)",
    lecture=ADAM,
)
def power_of_t(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    with np.errstate(all="ignore"):
        m_hat = m / np.asarray(1 - beta1**t, dtype=m.dtype)
        v_hat = v / np.asarray(1 - beta2**t, dtype=v.dtype)
        return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adam_step",
    "Your bias correction divides by 1 - beta whatever t is: that is right for the first update only.",
    lecture=ADAM,
)
def correction_of_the_first_update(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    m_hat, v_hat = m / (1 - beta1), v / (1 - beta2)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adam_step",
    "You have swapped the betas: beta1 belongs to m, beta2 to v.",
    lecture=ADAM,
)
def betas_swapped(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta2, beta1, epsilon)


@misconception(
    "adam_step",
    "You have put beta on the new gradient: beta is the share of the past, 1 - beta that of the newest.",
    lecture=ADAM,
)
def beta_on_the_new(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = (1 - beta1) * m + beta1 * gradient, (1 - beta2) * v + beta2 * gradient**2
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adam_step",
    "Your epsilon is inside the root: for small gradients, the root of epsilon is ten thousand times as large as "
    "epsilon.",
    lecture=ADAM,
)
def epsilon_inside_the_root(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / np.sqrt(v_hat + epsilon), m, v


@misconception(
    "adam_step",
    "You add epsilon before v is corrected: in the first updates, it then counts about thirty times.",
    lecture=ADAM,
)
def epsilon_before_the_correction(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    rate = learning_rate * math.sqrt(1 - beta2 ** (t + 1)) / (1 - beta1 ** (t + 1))
    return theta - rate * m / (np.sqrt(v) + epsilon), m, v


@misconception(
    "adam_step",
    "There is no epsilon in your formula: where the gradient is 0, you divide 0 by 0.",
    lecture=ADAM,
)
def without_epsilon(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    with np.errstate(all="ignore"):
        return lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, 0.0)


@misconception(
    "adam_step",
    "You hand back the corrected m and v: the next update mixes into them and corrects them once more.",
    lecture=ADAM,
)
def hands_back_the_corrected(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _corrected(*_means(m, v, gradient, beta1, beta2), t, beta1, beta2)
    return theta - learning_rate * m / (np.sqrt(v) + epsilon), m, v


@misconception(
    "adam_step",
    "The root is missing: you divide by v, and small gradients make huge steps.",
    lecture=ADAM,
)
def divides_by_v(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (v_hat + epsilon), m, v


@misconception(
    "adam_step",
    "You square m to make v. v is the mean of the squared *gradients*: squaring the mean lets left and right cancel.",
    lecture=ADAM,
)
def squares_m(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * m**2
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adam_step",
    "You step along the newest gradient instead of along m: this is RMSProp, and nothing of the momentum reaches "
    "theta.",
    lecture=ADAM,
)
def steps_along_the_gradient(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    _, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * gradient / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adam_step",
    "The newest gradient counts in full, without 1 - beta: m and v are sums and no means, and the correction is for "
    "means.",
    lecture=ADAM,
)
def sums_for_means(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = beta1 * m + gradient, beta2 * v + gradient**2
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adam_step",
    "Your update adds m: you climb the loss.",
    lecture=ADAM,
)
def adam_climbs(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.adam_step(theta, m, v, gradient, t, -learning_rate, beta1, beta2, epsilon)


@misconception(
    "adam_step",
    "You change the arrays that you were given: every position that the caller has kept changes with them.",
    lecture=ADAM,
)
def adam_in_place(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    theta[...], m[...], v[...] = lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return theta, m, v


@misconception(
    "adam_step",
    "You turn everything into float64: parameters in float32 should stay float32. (A NumPy float64 scalar does that.)",
    lecture=ADAM,
)
def adam_in_float64(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    parts = (np.asarray(part, dtype=np.float64) for part in (theta, m, v, gradient))
    return lecture.adam_step(*parts, t, learning_rate, beta1, beta2, epsilon)


# ---------------------------------------------------------------- adamw_step


@misconception(
    "adamw_step",
    "You put the decay into the gradient: that is Adam with L2 regularization. The decay goes through m and v, and is "
    "divided by sigma with everything else.",
    lecture=ADAM,
)
def decay_in_the_gradient(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    gradient = gradient + weight_decay * theta
    return lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)


@misconception(
    "adamw_step",
    "You add the decay to m for this step only: the memories don't see it, but it is still divided by sigma.",
    lecture=ADAM,
)
def decay_divided_by_sigma(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m, v = _means(m, v, gradient, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * (m_hat + weight_decay * theta) / (np.sqrt(v_hat) + epsilon), m, v


@misconception(
    "adamw_step",
    "Your decay is not multiplied by eta: a schedule would leave it as strong as it was.",
    lecture=ADAM,
)
def decay_without_the_learning_rate(
    theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    stepped, m, v = lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return stepped - weight_decay * theta, m, v


@misconception(
    "adamw_step",
    "You shrink the theta that Adam has moved already. Both parts start from the old theta.",
    lecture=ADAM,
)
def decays_the_new_theta(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    stepped, m, v = lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return stepped * (1 - learning_rate * weight_decay), m, v


@misconception(
    "adamw_step",
    "Your decay has the wrong sign: the weights grow.",
    lecture=ADAM,
)
def weights_grow(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.adamw_step(theta, m, v, gradient, t, learning_rate, -weight_decay, beta1, beta2, epsilon)


@misconception(
    "adamw_step",
    "There is no decay in your step: this is Adam.",
    lecture=ADAM,
)
def forgets_the_decay(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)


@misconception(
    "adamw_step",
    "You decay twice as fast: that would be the derivative of lambda times theta squared, without the half.",
    lecture=ADAM,
)
def decays_twice(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.adamw_step(theta, m, v, gradient, t, learning_rate, 2 * weight_decay, beta1, beta2, epsilon)


@misconception(
    "adamw_step",
    "You pull every weight by the same amount, by its sign: the pull should be proportional to the weight.",
    lecture=ADAM,
)
def decays_by_the_sign(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    stepped, m, v = lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return stepped - learning_rate * weight_decay * np.sign(theta), m, v


@misconception(
    "adamw_step",
    "You don't hand on beta1, beta2 and epsilon to Adam: it always uses its own defaults.",
    lecture=ADAM,
)
def options_not_handed_on(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.adamw_step(theta, m, v, gradient, t, learning_rate, weight_decay)


@misconception(
    "adamw_step",
    "You change the arrays that you were given: every position that the caller has kept changes with them.",
    lecture=ADAM,
)
def adamw_in_place(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    stepped, m, v = lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    theta[...] = stepped - learning_rate * weight_decay * theta
    return theta, m, v


@misconception(
    "adamw_step",
    "You turn everything into float64: parameters in float32 should stay float32. (A NumPy float64 scalar does that.)",
    lecture=ADAM,
)
def adamw_in_float64(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    parts = (np.asarray(part, dtype=np.float64) for part in (theta, m, v, gradient))
    return lecture.adamw_step(*parts, t, learning_rate, weight_decay, beta1, beta2, epsilon)


# ---------------------------------------------------------------- Adam


class Stepwise(lecture.Adam):
    """A right Adam in small pieces: each mistake below replaces one of them."""

    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                for theta in self.parameters(group):
                    self.update(theta, self.state[theta], group)
        return loss

    def parameters(self, group):
        return [theta for theta in group["params"] if theta.grad is not None]

    def update(self, theta, state, group):
        self.remember(state, theta.grad, group["betas"])
        theta -= self.movement(state, group)

    def remember(self, state, gradient, betas):
        state["s"] = state.get("s", 0) + 1
        state["m"] = betas[0] * state.get("m", 0) + (1 - betas[0]) * gradient
        state["v"] = betas[1] * state.get("v", 0) + (1 - betas[1]) * gradient**2

    def movement(self, state, group):
        m_hat, v_hat = self.corrected(state, group["betas"], state["s"])
        return group["lr"] * m_hat / (v_hat.sqrt() + group["eps"])

    def corrected(self, state, betas, s):
        return state["m"] / (1 - betas[0] ** s), state["v"] / (1 - betas[1] ** s)


@misconception("Adam", "Your step adds m: the model climbs its loss.", lecture=ADAM)
class ClimbsTheLoss(Stepwise):
    def movement(self, state, group):
        return -super().movement(state, group)


@misconception(
    "Adam",
    "The bias correction is missing: m and v start from zeros that never were gradients, and the first steps have the "
    "wrong length.",
    lecture=ADAM,
)
class NoBiasCorrection(Stepwise):
    def corrected(self, state, betas, s):
        return state["m"], state["v"]


@misconception(
    "Adam",
    "You count the step after the update: in the first one, the bias correction divides by 0.",
    lecture=ADAM,
)
class CountsAfterTheUpdate(Stepwise):
    def corrected(self, state, betas, s):
        return super().corrected(state, betas, s - 1)


@misconception(
    "Adam",
    "You count the steps of the optimizer and not those of each parameter: one that had no gradient for a while is "
    "corrected as if it had been updated all the time.",
    lecture=ADAM,
)
class OneCountForAll(Stepwise):
    def step(self, closure=None):
        if not self.param_groups[0].get("count"):
            self.param_groups[0]["count"] = 0
        self.param_groups[0]["count"] += 1
        return super().step(closure)

    def corrected(self, state, betas, s):
        return super().corrected(state, betas, self.param_groups[0]["count"])


@misconception(
    "Adam",
    "You count one step for each parameter, all in one counter: with two parameters, the bias correction runs at twice "
    "the speed.",
    lecture=ADAM,
)
class CountsEveryParameter(Stepwise):
    def corrected(self, state, betas, s):
        self.param_groups[0]["count"] = self.param_groups[0].get("count", 0) + 1
        return super().corrected(state, betas, self.param_groups[0]["count"])


@misconception(
    "Adam",
    "Your memories are kept by shape: two parameters of equal shape share m, v and the count.",
    lecture=ADAM,
)
class OneMemoryForEachShape(Stepwise):
    def update(self, theta, state, group):
        self.shared = getattr(self, "shared", {})
        first = self.shared.setdefault(theta.shape, theta)
        super().update(theta, self.state[first], group)


@misconception(
    "Adam",
    "All entries of a parameter share one v, the mean over the tensor: Adam has one for each entry.",
    lecture=ADAM,
)
class OneVForEachTensor(Stepwise):
    def remember(self, state, gradient, betas):
        v = state.get("v", 0)
        super().remember(state, gradient, betas)
        state["v"] = betas[1] * v + (1 - betas[1]) * torch.full_like(gradient, (gradient**2).mean().item())


@misconception(
    "Adam",
    "You have swapped the betas: the first belongs to m, the second to v.",
    lecture=ADAM,
)
class SwapsTheBetas(Stepwise):
    def update(self, theta, state, group):
        super().update(theta, state, {**group, "betas": group["betas"][::-1]})


@misconception(
    "Adam",
    "Your eps is inside the root: for small gradients, the root of eps is ten thousand times as large as eps.",
    lecture=ADAM,
)
class EpsInsideTheRoot(Stepwise):
    def movement(self, state, group):
        m_hat, v_hat = self.corrected(state, group["betas"], state["s"])
        return group["lr"] * m_hat / (v_hat + group["eps"]).sqrt()


@misconception(
    "Adam",
    "You add eps before v is corrected: in the first updates, it then counts about thirty times.",
    lecture=ADAM,
)
class EpsBeforeTheCorrection(Stepwise):
    def movement(self, state, group):
        m_hat, _ = self.corrected(state, group["betas"], state["s"])
        correction = math.sqrt(1 - group["betas"][1] ** state["s"])
        return group["lr"] * m_hat * correction / (state["v"].sqrt() + group["eps"])


@misconception(
    "Adam",
    "You keep the corrected m and v: the next update mixes into them and corrects them once more.",
    lecture=ADAM,
)
class KeepsTheCorrected(Stepwise):
    def movement(self, state, group):
        state["m"], state["v"] = self.corrected(state, group["betas"], state["s"])
        return group["lr"] * state["m"] / (state["v"].sqrt() + group["eps"])


@misconception(
    "Adam",
    "The root is missing: you divide by v, and small gradients make huge steps.",
    lecture=ADAM,
)
class DividesByV(Stepwise):
    def movement(self, state, group):
        m_hat, v_hat = self.corrected(state, group["betas"], state["s"])
        return group["lr"] * m_hat / (v_hat + group["eps"])


@misconception(
    "Adam",
    "Your memories are computed with autograd switched on: they drag along the graph of every gradient since the "
    "beginning, and memory grows with each step.",
    lecture=ADAM,
)
class TracksTheGraph(Stepwise):
    def update(self, theta, state, group):
        with torch.enable_grad():
            self.remember(state, theta.grad, group["betas"])
        theta.data -= self.movement(state, group).detach()


@misconception(
    "Adam",
    "You make a new tensor and leave the parameter where it was: the model never moves. Change the parameter in place.",
    lecture=ADAM,
)
class MovesACopy(Stepwise):
    def update(self, theta, state, group):
        self.remember(state, theta.grad, group["betas"])
        theta = theta - self.movement(state, group)


@misconception(
    "Adam",
    "You expect every parameter to have a gradient: those that the loss did not reach have None.",
    lecture=ADAM,
)
class ExpectsEveryGradient(Stepwise):
    def parameters(self, group):
        return group["params"]


@misconception(
    "Adam",
    "You stop at the first parameter without a gradient: those after it are never updated.",
    lecture=ADAM,
)
class StopsAtAMissingGradient(Stepwise):
    def parameters(self, group):
        return itertools.takewhile(lambda theta: theta.grad is not None, group["params"])


@misconception(
    "Adam",
    "You take a missing gradient for zero: the parameter rolls on along its m, though it took no part in the loss.",
    lecture=ADAM,
)
class RollsOnWithoutAGradient(Stepwise):
    def parameters(self, group):
        for theta in group["params"]:
            if theta.grad is None:
                theta.grad = torch.zeros_like(theta)
        return group["params"]


@misconception(
    "Adam",
    "You update the first parameter group only: the others never move.",
    lecture=ADAM,
)
class FirstGroupOnly(Stepwise):
    def parameters(self, group):
        return super().parameters(group) if group is self.param_groups[0] else []


@misconception(
    "Adam",
    "You use the values of the constructor for all groups and for ever: each group has its own lr, betas and eps, and "
    "a scheduler may change them.",
    lecture=ADAM,
)
class ConstructorsValuesOnly(Stepwise):
    def update(self, theta, state, group):
        super().update(theta, state, self.defaults)


@misconception(
    "Adam",
    "Your default learning rate is not Adam's: it is 0.001.",
    lecture=ADAM,
)
class AnotherDefaultRate(lecture.Adam):
    def __init__(self, params, lr=0.01, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, lr, betas, eps)


@misconception(
    "Adam",
    "Your memories live in an attribute of your own: state_dict does not save them, and a resumed run starts from "
    "zero.",
    lecture=ADAM,
)
class StateIsLost(Stepwise):
    def update(self, theta, state, group):
        self.memories = getattr(self, "memories", {})
        super().update(theta, self.memories.setdefault(theta, {}), group)


@misconception(
    "Adam",
    "m and v are saved, but the count of the updates is not: after loading, they are corrected as if they were new.",
    lecture=ADAM,
)
class CountIsLost(Stepwise):
    def update(self, theta, state, group):
        self.counts = getattr(self, "counts", {})
        self.remember(state, theta.grad, group["betas"])
        del state["s"]
        self.counts[theta] = self.counts.get(theta, 0) + 1
        theta -= self.movement({**state, "s": self.counts[theta]}, group)


@misconception(
    "Adam",
    "You never call the closure: the step uses gradients from before, or none, and the loss is not returned.",
    lecture=ADAM,
)
class IgnoresTheClosure(lecture.Adam):
    def step(self, closure=None):
        super().step()


@misconception(
    "Adam",
    "You call the closure after the update: the step then uses the gradients of the step before.",
    lecture=ADAM,
)
class CallsTheClosureLast(lecture.Adam):
    def step(self, closure=None):
        super().step()
        return closure() if closure is not None else None


@misconception(
    "Adam",
    "You call the closure with gradients switched off: its backward() fails.",
    lecture=ADAM,
)
class ClosureWithoutGradients(lecture.Adam):
    @torch.no_grad()
    def step(self, closure=None):
        loss = closure() if closure is not None else None
        super().step()
        return loss


@misconception(
    "Adam",
    "You square the gradient in place: it belongs to the caller, who may still clip, log or reuse it.",
    lecture=ADAM,
)
class SquaresTheGradientInPlace(Stepwise):
    def update(self, theta, state, group):
        super().update(theta, state, group)
        theta.grad.mul_(theta.grad)


@misconception(
    "Adam",
    "Your first m lives in the memory of the gradient: whatever is done to one happens to the other.",
    lecture=ADAM,
)
class SharesTheGradientsMemory(Stepwise):
    def remember(self, state, gradient, betas):
        beta1, beta2 = betas
        state["s"] = state.get("s", 0) + 1
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * gradient**2
        if "m" in state:
            state["m"].mul_(beta1).add_(gradient, alpha=1 - beta1)
        else:
            state["m"] = gradient.mul_(1 - beta1)


# ---------------------------------------------------------------- Scheduler


class _Watch:
    """A right Scheduler in small pieces: each mistake below replaces one of them."""

    def __init__(self, optimizer, schedule):
        self.optimizer, self.schedule = optimizer, schedule
        self.initial = [group["lr"] for group in optimizer.param_groups]
        self.t = 0
        self.set_rates()

    def step(self):
        self.t += 1
        self.set_rates()

    def set_rates(self):
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.rate(index, group)

    def rate(self, index, group):
        return self.initial[index] * self.schedule(self.t)


@misconception(
    "Scheduler",
    "Nothing is set when your scheduler is made: update 0 is done with the learning rate that the optimizer happened "
    "to have.",
    lecture=SCHEDULING,
)
class SetsNothingAtFirst(_Watch):
    def set_rates(self):
        if self.t:
            super().set_rates()


@misconception(
    "Scheduler",
    "You set the rate first and count afterwards: each step sets the learning rate of the update that has just been "
    "made, and everything comes one update late.",
    lecture=SCHEDULING,
)
class OneUpdateLate(_Watch):
    def step(self):
        self.set_rates()
        self.t += 1


@misconception(
    "Scheduler",
    "You count from 1: schedule(0) is never used, and everything comes one update early.",
    lecture=SCHEDULING,
)
class OneUpdateEarly(_Watch):
    def rate(self, index, group):
        return self.initial[index] * self.schedule(self.t + 1)


@misconception(
    "Scheduler",
    "You multiply the learning rate that the last step left: the factors pile up. Each is meant for the initial one.",
    lecture=SCHEDULING,
)
class FactorsPileUp(_Watch):
    def rate(self, index, group):
        return group["lr"] * self.schedule(self.t)


@misconception(
    "Scheduler",
    "You go from one learning rate to the next by the ratio of two factors: once a factor is 0, there is no way back.",
    lecture=SCHEDULING,
)
class RatioOfFactors(_Watch):
    def rate(self, index, group):
        if self.t == 0:
            return group["lr"] * self.schedule(0)
        last = self.schedule(self.t - 1)
        return group["lr"] * self.schedule(self.t) / last if last else 0.0


@misconception(
    "Scheduler",
    "You schedule the first parameter group only: the others keep their learning rate.",
    lecture=SCHEDULING,
)
class SchedulesTheFirstGroup(_Watch):
    def rate(self, index, group):
        return group["lr"] if index else super().rate(index, group)


@misconception(
    "Scheduler",
    "You start every group from the learning rate of the first: each has one of its own.",
    lecture=SCHEDULING,
)
class FirstGroupsRateForAll(_Watch):
    def rate(self, index, group):
        return super().rate(0, group)


@misconception(
    "Scheduler",
    "You start every group from the optimizer's default learning rate: each has one of its own.",
    lecture=SCHEDULING,
)
class DefaultRateForAll(_Watch):
    def rate(self, index, group):
        return self.optimizer.defaults["lr"] * self.schedule(self.t)


@misconception(
    "Scheduler",
    "You set the learning rate to the factor itself: it has to be multiplied by the group's initial learning rate.",
    lecture=SCHEDULING,
)
class FactorForRate(_Watch):
    def rate(self, index, group):
        return self.schedule(self.t)


@misconception(
    "Scheduler",
    "You set the learning rate in the optimizer's defaults: they only count when a group is made.",
    lecture=SCHEDULING,
)
class SetsTheDefaults(_Watch):
    def set_rates(self):
        self.optimizer.defaults["lr"] = self.initial[0] * self.schedule(self.t)


@misconception(
    "Scheduler",
    "You count one update for each group: with two groups, your watch runs at twice the speed.",
    lecture=SCHEDULING,
)
class CountsEveryGroup(_Watch):
    def step(self):
        for index, group in enumerate(self.optimizer.param_groups):
            self.t += 1
            group["lr"] = self.rate(index, group)


@misconception(
    "Scheduler",
    "Your scheduler also steps the optimizer: every gradient is used twice.",
    lecture=SCHEDULING,
)
class StepsTheOptimizer(_Watch):
    def step(self):
        self.optimizer.step()
        super().step()


@misconception(
    "Scheduler",
    "Your t is the number of the update that was made last: it should be the one that the optimizer is ready for.",
    lecture=SCHEDULING,
)
class NumberOfTheLastUpdate(_Watch):
    def __init__(self, optimizer, schedule):
        super().__init__(optimizer, schedule)
        self.t = -1

    def step(self):
        self.t += 1
        for index, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.initial[index] * self.schedule(self.t + 1)


# ---------------------------------------------------------------- error_surface_race


def _race(riders, hessian, start, tolerance, max_updates, loss=None, **mistakes):
    """A right race, but for what is replaced."""
    loss = loss or (lambda theta: theta @ hessian @ theta / 2)
    first_t, results = mistakes.get("first_t", 0), {}
    for name, rider in riders.items():
        step, theta, t = rider(), start.copy(), 0
        while not loss(theta) <= tolerance and t < max_updates:
            theta = step(theta, hessian @ theta, t + first_t)
            t += 1
        results[name] = t if loss(theta) <= tolerance else mistakes.get("lost")
    return results


@misconception(
    "error_surface_race",
    "You count the positions, the start included: it is the updates that are counted.",
    lecture=SUMMARY,
)
def counts_the_start(riders, hessian, start, tolerance, max_updates):
    results = _race(riders, hessian, start, tolerance, max_updates)
    return {name: None if t is None else t + 1 for name, t in results.items()}


@misconception(
    "error_surface_race",
    "You look at the loss after an update only: whoever is there at the start is sent on a round.",
    lecture=SUMMARY,
)
def does_not_look_at_the_start(riders, hessian, start, tolerance, max_updates):
    results = {}
    for name, rider in riders.items():
        step, theta, results[name] = rider(), start.copy(), None
        for t in range(max_updates):
            theta = step(theta, hessian @ theta, t)
            if theta @ hessian @ theta / 2 <= tolerance:
                results[name] = t + 1
                break
    return results


@misconception(
    "error_surface_race",
    "You never look at the loss after the last update: who arrives with it has arrived.",
    lecture=SUMMARY,
)
def misses_the_last_update(riders, hessian, start, tolerance, max_updates):
    results = _race(riders, hessian, start, tolerance, max_updates)
    return {name: None if t == max_updates else t for name, t in results.items()}


@misconception(
    "error_surface_race",
    "You return max_updates for those who did not arrive: nobody can tell them from one who arrived with the last "
    "update.",
    lecture=SUMMARY,
)
def last_update_for_none(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, tolerance, max_updates, lost=max_updates)


@misconception(
    "error_surface_race",
    "You leave those who did not arrive out of the result: for them it should hold None.",
    lecture=SUMMARY,
)
def leaves_out_the_lost(riders, hessian, start, tolerance, max_updates):
    results = _race(riders, hessian, start, tolerance, max_updates)
    return {name: t for name, t in results.items() if t is not None}


@misconception(
    "error_surface_race",
    "You ask for a loss below the tolerance: at the tolerance is good enough.",
    lecture=SUMMARY,
)
def strictly_below(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, np.nextafter(tolerance, -np.inf), max_updates)


@misconception(
    "error_surface_race",
    "The half is missing in your loss: it is twice as large as it should be, and everybody arrives later.",
    lecture=SUMMARY,
)
def loss_without_the_half(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, tolerance, max_updates, lambda theta: theta @ hessian @ theta)


@misconception(
    "error_surface_race",
    "You compare the gradient with the tolerance: it is the loss that has to come down.",
    lecture=SUMMARY,
)
def gradient_for_loss(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, tolerance, max_updates, lambda theta: np.linalg.norm(hessian @ theta))


@misconception(
    "error_surface_race",
    "You compare the distance from the minimum with the tolerance: it is the loss that has to come down.",
    lecture=SUMMARY,
)
def distance_for_loss(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, tolerance, max_updates, np.linalg.norm)


@misconception(
    "error_surface_race",
    "You take the tolerance as a share of the loss at the start: it is a loss.",
    lecture=SUMMARY,
)
def relative_tolerance(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, tolerance * (start @ hessian @ start / 2), max_updates)


@misconception(
    "error_surface_race",
    "Each of your riders starts where the one before arrived: all should start from the same place.",
    lecture=SUMMARY,
)
def starts_where_the_last_arrived(riders, hessian, start, tolerance, max_updates):
    results, theta = {}, start.copy()
    for name, rider in riders.items():
        step, t = rider(), 0
        while theta @ hessian @ theta / 2 > tolerance and t < max_updates:
            theta = step(theta, hessian @ theta, t)
            t += 1
        results[name] = t if theta @ hessian @ theta / 2 <= tolerance else None
    return results


@misconception(
    "error_surface_race",
    "You hand out `start` itself: a rider that changes its array in place moves the start for all that follow.",
    lecture=SUMMARY,
)
def hands_out_the_start(riders, hessian, start, tolerance, max_updates):
    results = {}
    for name, rider in riders.items():
        step, theta, t = rider(), start, 0
        while theta @ hessian @ theta / 2 > tolerance and t < max_updates:
            theta = step(theta, hessian @ theta, t)
            t += 1
        results[name] = t if theta @ hessian @ theta / 2 <= tolerance else None
    return results


@misconception(
    "error_surface_race",
    "You make a new step function for every update: whatever the rider remembered is lost each time.",
    lecture=SUMMARY,
)
def new_rider_for_every_update(riders, hessian, start, tolerance, max_updates):
    def forgetful(rider):
        return lambda: lambda theta, gradient, t: rider()(theta, gradient, t)

    return _race({name: forgetful(rider) for name, rider in riders.items()}, hessian, start, tolerance, max_updates)


@misconception(
    "error_surface_race",
    "You number the updates from 1: a rider with a schedule is one update ahead. The first is t = 0.",
    lecture=SUMMARY,
)
def numbers_from_one(riders, hessian, start, tolerance, max_updates):
    return _race(riders, hessian, start, tolerance, max_updates, first_t=1)


@misconception(
    "error_surface_race",
    "Your gradient is that of a bowl with half the curvature: the gradient of half of theta H theta is H theta.",
    lecture=SUMMARY,
)
def half_the_gradient(riders, hessian, start, tolerance, max_updates):
    def weak(rider):
        def make():
            step = rider()
            return lambda theta, gradient, t: step(theta, gradient / 2, t)

        return make

    return _race({name: weak(rider) for name, rider in riders.items()}, hessian, start, tolerance, max_updates)


# ---------------------------------------------------------------- radam_step


def _radam(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, *, threshold=4, rho_s=None, r_of=None):
    """A right RAdam, but for what is replaced."""
    s = t + 1
    m, v = _means(m, v, gradient, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * (rho_s or s) * beta2**s / (1 - beta2**s)
    if rho <= threshold:
        return theta - learning_rate * m_hat, m, v
    r = (r_of or _rectification)(rho, longest)
    return theta - learning_rate * r * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def _rectification(rho, longest):
    return math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))


@misconception(
    "radam_step",
    "You wait until rho exceeds 5, as torch does: in the paper, and here, the variance is tractable as soon as rho is "
    "above 4.",
    lecture=RADAM,
)
def threshold_of_five(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return _radam(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, threshold=5)


@misconception(
    "radam_step",
    "There is no fallback: while the variance is intractable, you divide by the root of v as Adam does.",
    lecture=RADAM,
)
def adam_while_intractable(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest = 2 / (1 - beta2) - 1
    if longest - 2 * (t + 1) * beta2 ** (t + 1) / (1 - beta2 ** (t + 1)) > 4:
        return lecture.radam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return lecture.adam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)


@misconception(
    "radam_step",
    "There is no fallback: while the variance is intractable, you rectify all the same, by the root of a negative or "
    "meaningless number.",
    lecture=RADAM,
)
def rectifies_while_intractable(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    def rectification(rho, longest):
        with np.errstate(all="ignore"):
            square = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
            return float(np.sqrt(np.float64(square)))

    return _radam(
        theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, threshold=-math.inf, r_of=rectification
    )


@misconception(
    "radam_step",
    "While the variance is intractable you stand still: the paper steps along the corrected m, without dividing.",
    lecture=RADAM,
)
def stands_still_while_intractable(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest = 2 / (1 - beta2) - 1
    result = lecture.radam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    if longest - 2 * (t + 1) * beta2 ** (t + 1) / (1 - beta2 ** (t + 1)) > 4:
        return result
    return theta.copy(), *result[1:]


@misconception(
    "radam_step",
    "Your fallback uses m as it is: it has to be corrected there, too.",
    lecture=RADAM,
)
def uncorrected_fallback(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest = 2 / (1 - beta2) - 1
    result = lecture.radam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    if longest - 2 * (t + 1) * beta2 ** (t + 1) / (1 - beta2 ** (t + 1)) > 4:
        return result
    return theta - learning_rate * result[1], *result[1:]


@misconception(
    "radam_step",
    "Your fallback steps along the newest gradient: it should be the corrected m, momentum included.",
    lecture=RADAM,
)
def gradient_as_fallback(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest = 2 / (1 - beta2) - 1
    result = lecture.radam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    if longest - 2 * (t + 1) * beta2 ** (t + 1) / (1 - beta2 ** (t + 1)) > 4:
        return result
    return theta - learning_rate * gradient, *result[1:]


@misconception(
    "radam_step",
    "You don't rectify: once the variance is tractable, this is Adam at full speed.",
    lecture=RADAM,
)
def does_not_rectify(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return _radam(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, r_of=lambda rho, longest: 1.0)


@misconception(
    "radam_step",
    "The root is missing in your rectification: it is a ratio of variances, and the step is scaled by deviations.",
    lecture=RADAM,
)
def rectifies_by_the_square(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return _radam(
        theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, r_of=lambda *rho: _rectification(*rho) ** 2
    )


@misconception(
    "radam_step",
    "Your rectification is upside down: it makes the first steps longer, and they are to be shorter.",
    lecture=RADAM,
)
def rectifies_upside_down(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return _radam(
        theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, r_of=lambda *rho: 1 / _rectification(*rho)
    )


@misconception(
    "radam_step",
    "The factor of rho at infinity over rho is missing in your rectification.",
    lecture=RADAM,
)
def rectification_without_the_ratio(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    def rectification(rho, longest):
        return math.sqrt((rho - 4) * (rho - 2) / ((longest - 4) * (longest - 2)))

    return _radam(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, r_of=rectification)


@misconception(
    "radam_step",
    "Your rho counts the updates from 0 in one place: s = t + 1 belongs in front of the power, too.",
    lecture=RADAM,
)
def rho_counts_from_zero(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return _radam(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon, rho_s=t or 1e-300)


@misconception(
    "radam_step",
    "You update v only when it is used: what it should have seen in the first updates is lost.",
    lecture=RADAM,
)
def saves_v_for_later(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest = 2 / (1 - beta2) - 1
    result = lecture.radam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    if longest - 2 * (t + 1) * beta2 ** (t + 1) / (1 - beta2 ** (t + 1)) > 4:
        return result
    return *result[:2], v.copy()


@misconception(
    "radam_step",
    "Your epsilon is inside the root: it is added after it, as in Adam.",
    lecture=RADAM,
)
def radam_epsilon_inside(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    longest, s = 2 / (1 - beta2) - 1, t + 1
    rho = longest - 2 * s * beta2**s / (1 - beta2**s)
    if rho <= 4:
        return lecture.radam_step(theta, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    m, v = _means(m, v, gradient, beta1, beta2)
    m_hat, v_hat = _corrected(m, v, t, beta1, beta2)
    return theta - learning_rate * _rectification(rho, longest) * m_hat / np.sqrt(v_hat + epsilon), m, v


@misconception(
    "radam_step",
    "Your update adds m: you climb the loss.",
    lecture=RADAM,
)
def radam_climbs(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return lecture.radam_step(theta, m, v, gradient, t, -learning_rate, beta1, beta2, epsilon)


@misconception(
    "radam_step",
    "Your rectification is a NumPy float64 number, which turns float32 arrays into float64: use `math.sqrt`, or "
    "`float`.",
    lecture=RADAM,
)
def radam_in_float64(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    return _radam(
        theta,
        m,
        v,
        gradient,
        t,
        learning_rate,
        beta1,
        beta2,
        epsilon,
        r_of=lambda *rho: np.float64(_rectification(*rho)),
    )
