"""A course of one short assignment, a problem and a question in words from lecture 5: for the walk in a browser.

Its public tests stay at rest. Who loses lambda passes them, and learns of the mistake on the feedback page.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.course import Course, load_course

NAME = "heavy_ball"

_COURSE = """\
id: deep-learning
title: Deep Learning
timezone: Europe/Paris
seed: 5
folders:
  exchange: {exchange}
assignments:
  - name: heavy_ball
    title: A heavy ball
    lectures: [5]
    due: 2100-03-26 23:59
    available: true
"""
_SOLUTION = '''\
# %% [markdown]
# # A heavy ball
#
# Gradient descent has no memory. In a ravine it bounces from wall to wall; in a hollow half-way down the hill it stops
# for good. A heavy ball does neither. Its movement is a mixture of *the last movement* and *the way down*:
#
# $$m^{t+1} = \\lambda m^t - \\eta g^t, \\qquad \\theta^{t+1} = \\theta^t + m^{t+1}$$

# %%
import numpy as np

# %% problem="momentum_step"
def momentum_step(theta, movement, gradient, learning_rate, momentum):
    """One update with momentum. Returns the new (theta, movement)."""
    ### BEGIN SOLUTION
    movement = momentum * movement - learning_rate * gradient
    return theta + movement, movement
    ### END SOLUTION


# %% tests="momentum_step"
theta, movement = momentum_step(np.array([1.0]), np.array([0.0]), np.array([2.0]), learning_rate=0.5, momentum=0.9)
np.testing.assert_allclose(movement, [-1.0], err_msg="From rest, the movement is eta times g, downhill.")
np.testing.assert_allclose(theta, [0.0], err_msg="Theta moves by the new movement.")

# %% [markdown]
# In your own words: why does the noise of a mini-batch help?

# %% [markdown] answer="why_noise" points=5
# **Model answer.** Each batch has a loss surface of its own: where one has a saddle point, the next one has a slope.
'''
_CHECKS = '''\
import numpy as np

from grader import check


@check("momentum_step", points=30, hint="From rest, the movement is just minus eta times the gradient.")
def first_step_is_gradient_descent(student, rng):
    """From rest, the first step is plain gradient descent."""
    theta, gradient = rng.normal(size=(2, 5))
    return student.momentum_step(theta, np.zeros(5), gradient, learning_rate=0.1, momentum=0.9)


@check("momentum_step", points=40, hint="Which part of the new movement comes from the old one?")
def last_movement_is_carried_on(student, rng):
    """A step in motion mixes the last movement and the gradient."""
    theta, movement, gradient = rng.normal(size=(3, 4))
    return student.momentum_step(theta, movement, gradient, learning_rate=0.2, momentum=0.9)


@check("momentum_step", points=30, hint="On level ground a ball slows down, but it does not stop at once.")
def on_level_ground_the_ball_rolls_on(student, rng):
    """Where the gradient is zero, theta moves on by lambda times the last movement."""
    theta, movement = rng.normal(size=(2, 3))
    return student.momentum_step(theta, movement, np.zeros(3), learning_rate=0.1, momentum=0.8)
'''
DIAGNOSIS = "The last movement never fades: without lambda the ball rolls on for ever."
_MISCONCEPTIONS = f"""\
from grader import misconception


@misconception("momentum_step", "{DIAGNOSIS}", lecture="Lecture 5, Momentum")
def never_fades(theta, movement, gradient, learning_rate, momentum):
    movement = movement - learning_rate * gradient
    return theta + movement, movement


@misconception(
    "momentum_step", "Your update adds the gradient: you climb the loss.", lecture="Lecture 5, Momentum"
)
def adds_the_gradient(theta, movement, gradient, learning_rate, momentum):
    movement = momentum * movement + learning_rate * gradient
    return theta + movement, movement
"""

MISTAKEN = """\
def momentum_step(theta, movement, gradient, learning_rate, momentum):
    movement = movement - learning_rate * gradient
    return theta + movement, movement
"""
"""What the walk's student writes: lambda is lost."""


def write(root: Path, exchange: Path) -> Course:
    """Put the course into `root`, with nbgrader's configuration."""
    hidden = root / "tests" / "hidden" / NAME
    for path, text in (
        (root / "course.yaml", _COURSE.format(exchange=exchange)),
        (root / "solutions" / f"{NAME}.py", _SOLUTION),
        (hidden / "checks.py", _CHECKS),
        (hidden / "misconceptions.py", _MISCONCEPTIONS),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shutil.copy(Path(__file__).parents[1] / "nbgrader_config.py", root)
    return load_course(root)
