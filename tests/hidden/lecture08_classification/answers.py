"""What the student's process must not hold: the broken cameras of the hidden digits, and the labels of the test images.

A camera jumbles the pixels, exposes two images of one digit on top of each other, adds grain and renumbers the classes:
neither weights that were trained elsewhere nor the digits of the data set itself tell what its images show.
"""

from functools import cache

import numpy as np
from sklearn.datasets import load_digits

# Fixed, for whoever judges has to know which labels belong to the images. No course shares them with its students.
_CAMERA, _SMALL_CAMERA = 7_316_204_985_118_347, 2_094_417_753_600_291


@cache
def _exposures(seed):
    """Images and labels of a camera: of the first 1200 digits to train, and of the other 597 to test."""
    rng = np.random.default_rng(seed)
    images, digits = load_digits(return_X_y=True)
    order, renumber, jumble = rng.permutation(len(images)), rng.permutation(10), rng.permutation(64)
    parts = []
    for part in np.split(order, [1200]):
        partner = part.copy()
        for digit in range(10):
            same = digits[part] == digit
            partner[same] = rng.permutation(part[same])
        share = rng.uniform(0.7, 1.0, size=(len(part), 1))
        exposed = (share * images[part] + (1 - share) * images[partner]) * rng.normal(1, 0.15, size=(len(part), 64))
        parts += [exposed[:, jumble], renumber[digits[part]]]
    return parts


def camera(rng):
    """Training images, training labels and test images."""
    return _exposures(_CAMERA)[:3]


def another_camera(rng):
    """The same of another one."""
    return _exposures(_SMALL_CAMERA)[:3]


def _share_right(predictions, seed, count=None):
    labels = _exposures(seed)[3][:count]
    found = np.asarray(predictions)
    if found.shape != labels.shape:
        raise ValueError(f"predictions of shape {found.shape}")
    return float(np.mean(found == labels))


def share_right(predictions):
    """The share of right predictions for the test images of the camera."""
    return _share_right(predictions, _CAMERA)


def share_right_of_150(predictions):
    """The same, of the first 150 of them."""
    return _share_right(predictions, _CAMERA, 150)


def smallest_share_right(cases):
    """The smallest share of right predictions among cases, all of the other camera."""
    return min(_share_right(predictions, _SMALL_CAMERA) for predictions in cases.values())


def surprise(observed):
    """The mean surprise at the right class, if what was returned are the probabilities that belong to the logits."""
    labels = _exposures(_CAMERA)[3]
    p, logits = (np.asarray(observed[name], dtype=np.float64) for name in ("probabilities", "logits"))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = shifted / shifted.sum(axis=1, keepdims=True)
    distributions = p.shape == (len(labels), 10) and np.all(p >= 0) and np.allclose(p.sum(axis=1), 1, atol=1e-4)
    if not distributions or not np.allclose(p, softmax, atol=1e-4):
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(p[np.arange(len(labels)), labels])))
