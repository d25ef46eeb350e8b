"""What knows the answers of lecture 9: which digit each hidden image shows. No student's process sees this file."""

import numpy as np
from sklearn.datasets import load_digits

TRAINING = 1200  # of 1797 images


def _digits():
    """Mirrored digits, (1797, 1, 8, 8), and their classes in another order.

    Every rng gets the same digits at the same places: `share_right` knows the labels of whatever `examination` gave.
    """
    digits = load_digits()
    order = np.random.default_rng(9).permutation(len(digits.images))  # as in the notebook's `mail`: it shows no other
    # The notebook tells that order, so the hidden part gets one that cannot be guessed.
    np.random.default_rng(0x7A31C5E90B64D28F).shuffle(order[TRAINING:])
    return digits.images[order].transpose(0, 2, 1)[:, None] / 16, (3 * digits.target[order] + 4) % 10


IMAGES, LABELS = _digits()


def examination(rng):
    """Images to train on, their labels, and images to tell apart. Each image has noise of its own."""
    noisy = np.clip(IMAGES + rng.normal(0, 0.03, size=IMAGES.shape), 0, 1).astype(np.float32)
    return noisy[:TRAINING], LABELS[:TRAINING], noisy[TRAINING:]


def share_right(observed):
    """The accuracy on the hidden images; 0 if the logits would be the same with any other kernels."""
    classes, labels = observed["classes"], LABELS[TRAINING:]
    if np.array_equal(observed["logits"], observed["logits with other kernels"]):
        return 0.0
    return float(np.mean(classes == labels)) if np.shape(classes) == labels.shape else classes
