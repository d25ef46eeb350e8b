# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lectures 10 and 11: Self-attention
#
# *The cat left the box because it was hungry.* Who was hungry? You knew at once: "it" is the cat. With "because it
# was full" the same "it" is the box. To understand a word, you must let it look at other words and decide which of
# them matter. That is all that self-attention does: **every vector asks a question, every vector hangs out a name
# plate, and where question and name plate fit, something is handed over.** You will
#
# 1. measure the relevance between vectors, hide some of them behind masks, and build attention,
# 2. find out what it can't see (the order of the words), and measure it,
# 3. put several heads together, first as a function, then as a module that loads PyTorch's own weights,
# 4. show that a convolution *is* self-attention with a fixed receptive field, and watch a head learn its field,
# 5. race self-attention against an RNN: who waits, who forgets, and who does more arithmetic?
#
# **Time:** about 3 hours. The bonus takes 30 minutes more.
#
# **How it is graded.** The tests below each problem are for you; hidden tests of the same promises give the points.
# Automatic: 100 points, and up to 8 more for the bonus. One question in words, read by a person: 5 points.
# Everything may be used, `torch.softmax` and `torch.nn.Linear` too, *except* the finished thing: ready-made attention
# (`torch.nn.functional.scaled_dot_product_attention`, `torch.nn.MultiheadAttention` and their kin), and in sections 8
# and 10 a ready-made convolution or RNN. What uses them scores nothing.

# %% [markdown]
# ## Recap
#
# | symbol | in code | what it is |
# |---|---|---|
# | $a^1, \dots, a^n$ | `x`, shape `(..., n, d)` | the input vectors, **one in each row** |
# | $q^i = W^q a^i$ | `q[i]`, with `w_q` of shape `(d_k, d)` | the query: what position $i$ is looking for |
# | $k^j = W^k a^j$ | `k[j]`, with `w_k` of shape `(d_k, d)` | the key: how position $j$ can be found |
# | $v^j = W^v a^j$ | `v[j]`, with `w_v` of shape `(d_v, d)` | the value: what position $j$ has to say |
# | $\alpha_{i,j}$ | `scores[i, j]` | the attention score: how relevant $j$ is to $i$ |
# | $\alpha'_{i,j}$ | `weights[i, j]` | after the softmax **over $j$**: the shares add up to 1 |
# | $b^i = \sum_j \alpha'_{i,j}\, v^j$ | `output[i]` | what position $i$ takes home |
# | | `mask[i, j]`, bool | **True: $i$ may attend to $j$**. False: $j$ is hidden from $i$ |
#
# The lecture writes vectors as columns. In code they are rows, so $q^i = W^q a^i$ for all $i$ at once is
# $Q = X (W^q)^\top$, and the whole of self-attention is (Vaswani et al. 2017)
#
# $$B = \mathrm{softmax}\!\Big(\frac{Q K^\top}{\sqrt{d_k}}\Big)\, V$$
#
# `(..., n, d)` means: any number of axes in front, or none. They are sentences, heads, what you like; each is on its
# own. In PyTorch, `@` and negative axes (`dim=-1`) do that for you.
#
# **The mask convention** holds all through this notebook: *True = may attend*. PyTorch can't make up its mind:
# `torch.nn.functional.scaled_dot_product_attention` says it as we do, and `torch.nn.MultiheadAttention` means the
# opposite. Whoever mixes them up trains on the answers.
#
# **What to look for:** ask of every formula *which axis asks and which axis answers*. A softmax over the wrong one
# still gives numbers between 0 and 1.

# %%
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)  # for tensors as small as ours, threads would mostly wait for one another
plt.rcParams.update({"figure.dpi": 90, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False})
BLUE, RED, GREY, GREEN = "#2b6cb0", "#c53030", "#a0aec0", "#2f855a"


@contextmanager
def picture(*problems: str) -> Iterator[None]:
    """Draw with your own functions; as long as they are missing, say so in one sentence."""
    plt.close("all")
    try:
        yield
    except Exception:
        plt.close("all")
        them = "it" if len(problems) == 1 else "them"
        print(f"This picture needs {', '.join(problems)}: solve {them} first.")


def draw_matrix(axes: plt.Axes, matrix: torch.Tensor, words: list[str], title: str, top: float | None = None) -> None:
    """A matrix of scores or weights: row i asks, column j answers."""
    axes.imshow(matrix.detach().numpy(), cmap="Blues", vmin=0, vmax=top)
    axes.set_xticks(range(len(words)), words, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(words)), words)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title)


# %% [markdown]
# Our running example. Each word of the sentence is a vector of six numbers, made by hand so that you can read them: is
# it a noun, is it alive, is it a pronoun, is it an adjective, and where does it stand? (Its place is told by a hand on
# a clock: a cosine and a sine. Lecture 12 has more to say about that.) A trained network finds such features by itself.

# %%
WORDS = "the cat left the box because it was hungry".split()
CLOCK = math.pi / len(WORDS)  # how far the hand moves from one word to the next


def sentence() -> torch.Tensor:
    """The vectors of the nine words, (9, 6): noun, alive, pronoun, adjective, cosine and sine of the place."""
    x = torch.zeros(len(WORDS), 6)
    for feature, words in enumerate(({"cat", "box"}, {"cat"}, {"it"}, {"hungry"})):
        x[:, feature] = torch.tensor([float(word in words) for word in WORDS])
    angle = CLOCK * torch.arange(len(WORDS))
    x[:, 4], x[:, 5] = torch.cos(angle), torch.sin(angle)
    return x


# What a pronoun asks for: a noun, best a living one. What the others ask for: nothing.
ASK_NOUN = torch.tensor([[0.0, 0, 4, 0, 0, 0], [0, 0, 4, 0, 0, 0]])
SHOW_NOUN = torch.tensor([[1.0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]])

# %% [markdown]
# ## 1. How relevant is one vector to another?
#
# The lecture's first question. Its first answer is the **dot product**: send $a^i$ through $W^q$, send $a^j$ through
# $W^k$, and see whether the two arrows point the same way.
#
# Let the vectors that ask (`x`) and those that answer (`y`) be two lists. In *self*-attention both are the same; in
# Lecture 12 the answers will come from another sentence.


# %% problem="dot_product_scores"
def dot_product_scores(x: torch.Tensor, y: torch.Tensor, w_q: torch.Tensor, w_k: torch.Tensor) -> torch.Tensor:
    r"""The dot-product attention scores of every x^i with every y^j, not scaled.

    $$\alpha_{i,j} = q^i \cdot k^j \qquad q^i = W^q x^i \qquad k^j = W^k y^j$$

    x: (..., n, d) floats, the vectors that ask; y: (..., m, d_y), those that answer, with the same leading
    axes; w_q: (d_k, d); w_k: (d_k, d_y). All of one dtype.
    Returns the scores, (..., n, m), in that dtype: row i asks, column j answers. Gradients flow to all four.
    """
    ### BEGIN SOLUTION
    return (x @ w_q.mT) @ (y @ w_k.mT).mT
    ### END SOLUTION


# %% tests="dot_product_scores"
_x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
_scores = dot_product_scores(_x, _x[:2], torch.eye(2), torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
assert _scores.shape == (3, 2), (
    f"3 vectors ask 2 others: 3 rows and 2 columns are expected, not {tuple(_scores.shape)}."
)
np.testing.assert_allclose(
    _scores[0], [1, 2], err_msg="q = (1, 0) meets the keys (1, 0) and W^k (0, 1) = (2, 1): dot products 1 and 2."
)
np.testing.assert_allclose(_scores[2], [1, 3], err_msg="q = (1, 1) meets the keys (1, 0) and (2, 1).")
_two = torch.stack([_x, 2 * _x])
np.testing.assert_allclose(
    dot_product_scores(_two, _two, torch.eye(2), torch.eye(2))[1],
    4 * dot_product_scores(_x, _x, torch.eye(2), torch.eye(2)),
    err_msg="Two sentences at once: the scores of each depend on that sentence only.",
)

# %% [markdown]
# See what "it" is looking for. All other words ask for nothing, so they find everything equally irrelevant.

# %% picture="whom_does_it_mean"
with picture("dot_product_scores"):
    _scores = dot_product_scores(sentence(), sentence(), ASK_NOUN, SHOW_NOUN)
    _figure, _axes = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
    draw_matrix(_axes, _scores, WORDS, 'scores: "it" looks for a noun, best a living one')
    for _i, _j in torch.nonzero(_scores).tolist():
        _axes.text(_j, _i, f"{_scores[_i, _j]:.0f}", ha="center", va="center", color="white", fontweight="bold")
    _axes.set(xlabel="answers (key)", ylabel="asks (query)")

# %% [markdown]
# The lecture's second answer is **additive** (Bahdanau, Cho and Bengio 2015): add the two projections, bend the sum
# with a tanh, and let one more vector $w$ judge it. It needs a small network for each pair, where the dot product
# needs one matrix product for all of them. That is why the dot product won.


# %% problem="additive_scores"
def additive_scores(
    x: torch.Tensor, y: torch.Tensor, w_q: torch.Tensor, w_k: torch.Tensor, w: torch.Tensor
) -> torch.Tensor:
    r"""The additive attention scores of every x^i with every y^j (Bahdanau, Cho and Bengio 2015).

    $$\alpha_{i,j} = w \cdot \tanh(W^q x^i + W^k y^j)$$

    x: (..., n, d) floats, the vectors that ask; y: (..., m, d_y), those that answer, with the same leading axes;
    w_q: (d_a, d); w_k: (d_a, d_y); w: (d_a,). All of one dtype.
    Returns the scores, (..., n, m), in that dtype. Gradients flow to all five.
    """
    ### BEGIN SOLUTION
    q, k = x @ w_q.mT, y @ w_k.mT
    return torch.tanh(q[..., :, None, :] + k[..., None, :, :]) @ w
    ### END SOLUTION


# %% tests="additive_scores"
_one = torch.ones(1, 1)
_scores = additive_scores(torch.tensor([[0.0], [5.0]]), torch.tensor([[0.0], [-5.0], [1.0]]), _one, _one, torch.ones(1))
assert _scores.shape == (2, 3), f"2 vectors ask 3 others: the scores are (2, 3), not {tuple(_scores.shape)}."
np.testing.assert_allclose(_scores[0, 2], math.tanh(1), rtol=1e-6, err_msg="q = 0 and k = 1 make tanh(0 + 1).")
np.testing.assert_allclose(_scores[1, 1], 0, atol=1e-6, err_msg="q = 5 and k = -5 cancel *before* the tanh.")
_scores = additive_scores(_one, _one, torch.ones(2, 1), torch.ones(2, 1), torch.tensor([3.0, -1.0]))
np.testing.assert_allclose(_scores, 2 * np.tanh(2), rtol=1e-6, err_msg="w weighs the tanh of each of the d_a entries.")

# %% [markdown]
# ## 2. Who may look at whom?
#
# Three reasons to hide a position, three masks. **True = may attend**, always.
#
# *Padding.* Sentences of a batch have different lengths and are filled up with dummy words. Nobody may look at those.
#
# *Causality.* Who writes a sentence word by word can't look at words that do not exist yet.
#
# *Locality.* The lecture's **truncated self-attention**: a second of speech is a hundred vectors, so a minute has
# 36 million scores. To recognize a phoneme, a look at the neighbourhood is enough.


# %% problem="padding_mask"
def padding_mask(lengths: torch.Tensor, size: int) -> torch.Tensor:
    r"""Which positions of padded sentences may be attended to: True for the real words, False for the padding.

    $$\text{mask}_{i,j} = (j < \text{length}), \text{ the same for every } i, \text{ with } j = 0, 1, \dots$$

    lengths: (...) integers, the number of real words of each sentence, each from 0 to `size`; they come first.
    size: the length of the padded sentences.
    Returns a bool tensor, (..., 1, size). The axis of length 1 stands for whoever asks: it broadcasts.
    """
    ### BEGIN SOLUTION
    return (torch.arange(size) < lengths[..., None])[..., None, :]
    ### END SOLUTION


# %% tests="padding_mask"
_mask = padding_mask(torch.tensor([2, 3]), 3)
assert _mask.dtype == torch.bool, f"A mask is a tensor of True and False, not of {_mask.dtype}."
assert _mask.shape == (2, 1, 3), f"One row for each of 2 sentences of 3 places: (2, 1, 3), not {tuple(_mask.shape)}."
assert _mask[0, 0].tolist() == [True, True, False], "A sentence of 2 words padded to 3: the third place is hidden."
assert _mask[1, 0].all(), "A sentence that fills all places has no padding."


# %% problem="causal_mask"
def causal_mask(n: int) -> torch.Tensor:
    r"""Who may look at whom if nobody may see the future: True where j is i itself or comes before it.

    $$\text{mask}_{i,j} = (j \le i)$$

    n: the number of positions, at least 1. Returns a bool tensor, (n, n): row i asks, column j answers.
    """
    ### BEGIN SOLUTION
    return torch.ones(n, n, dtype=torch.bool).tril()
    ### END SOLUTION


# %% tests="causal_mask"
_mask = causal_mask(3)
assert _mask.dtype == torch.bool, f"A mask is a tensor of True and False, not of {_mask.dtype}."
assert _mask[0].tolist() == [True, False, False], "The first word sees itself, and nothing that comes later."
assert _mask[2].all(), "The last word sees all words, itself too."


# %% problem="window_mask"
def window_mask(n: int, radius: int) -> torch.Tensor:
    r"""Truncated self-attention: True where j is at most `radius` places away from i, on either side.

    $$\text{mask}_{i,j} = (|i - j| \le \text{radius})$$

    n: the number of positions, at least 1; radius: 0 or more, and may be larger than n.
    Returns a bool tensor, (n, n). With radius 0 everybody sees only itself.
    """
    ### BEGIN SOLUTION
    i = torch.arange(n)
    return (i[:, None] - i).abs() <= radius
    ### END SOLUTION


# %% tests="window_mask"
_mask = window_mask(4, 1)
assert _mask.dtype == torch.bool, f"A mask is a tensor of True and False, not of {_mask.dtype}."
assert _mask[2].tolist() == [False, True, True, True], "Radius 1: one neighbour on the left, itself, one on the right."
assert torch.equal(window_mask(3, 0), torch.eye(3, dtype=torch.bool)), "With radius 0 you are alone."
assert window_mask(3, 7).all(), "A window larger than the sentence hides nothing."

# %% picture="three_masks"
with picture("padding_mask", "causal_mask", "window_mask"):
    _n = len(WORDS)
    _masks = {
        "padding: 7 of 9 are words": padding_mask(torch.tensor(7), _n).expand(_n, _n),
        "causal": causal_mask(_n),
        "window of radius 2": window_mask(_n, 2),
        "causal and window": causal_mask(_n) & window_mask(_n, 2),
    }
    _figure, _axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained", sharey=True)
    for _axis, (_title, _mask) in zip(_axes, _masks.items(), strict=True):
        _axis.pcolormesh(_mask.numpy(), cmap="Greens", vmin=0, vmax=1.5, edgecolors="white", linewidth=1.5)
        _axis.set(title=_title, xlabel="answers: position $j$", aspect="equal", xticks=[], yticks=[])
    _axes[0].set_ylabel("asks: position $i$")
    _axes[0].invert_yaxis()
    _figure.suptitle("Green: may attend. Masks are combined with &")

# %% [markdown]
# ## 3. Attention
#
# The heart of it all, in four lines: score, hide, softmax, weigh. Each line has a trap.
#
# *Score.* Why divide by $\sqrt{d_k}$? If the entries of $q$ and $k$ are independent with mean 0 and variance 1, their
# dot product has variance $d_k$. Without the division, wide vectors drive the softmax into a corner where one weight is
# 1 and every gradient is 0. (The picture below shows it.)
#
# *Hide.* Before the softmax or after it? If you strike out weights afterwards, the rest no longer adds up to 1.
#
# *Softmax.* Over those who *answer*. And $e^{1000}$ is infinite for every dtype of PyTorch: subtract the row's
# largest score first, or let `torch.softmax` do it.
#
# *Weigh.* What if somebody may look at *nobody*? There is nothing to take home: **weights 0 and output 0**. A softmax
# over nothing but $-\infty$ gives NaN instead. Careful: to turn the NaN into 0 afterwards repairs the output, but it may
# leave NaN in the gradient (it does if the $-\infty$ was *added* to the scores), which then spreads through the whole
# network. Best never to make it.


# %% problem="scaled_dot_product_attention"
def scaled_dot_product_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Scaled dot-product attention (Vaswani et al. 2017, equation 1).

    $$\alpha'_{i,j} = \frac{e^{s_{i,j}}}{\sum_{j'} e^{s_{i,j'}}} \qquad
    s_{i,j} = \frac{q^i \cdot k^j}{\sqrt{d_k}} \qquad b^i = \sum_j \alpha'_{i,j} v^j$$

    where the sums run over the j that i may attend to, and $\alpha'_{i,j} = 0$ for all others. A row i that may attend
    to nobody gets weights 0 and the output 0.

    q: (..., n, d_k) floats; k: (..., m, d_k); v: (..., m, d_v); the leading axes are the same, or broadcast.
    mask: bool, broadcasts to (..., n, m), True = may attend; None hides nothing.
    Returns (output, weights): (..., n, d_v) and (..., n, m), in the dtype of q. Finite for scores of any size.
    Gradients flow to q, k and v, and are finite, also where a row may attend to nobody.
    """
    ### BEGIN SOLUTION
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)  # changes only rows in which everything is hidden
    return weights @ v, weights
    ### END SOLUTION


# %% tests="scaled_dot_product_attention"
_q, _k = torch.tensor([[2.0, 0, 0, 0]]), torch.tensor([[math.log(3), 0, 0, 0], [0.0, 1, 0, 0]])
_output, _weights = scaled_dot_product_attention(_q, _k, torch.tensor([[4.0], [8.0]]))
np.testing.assert_allclose(
    _weights, [[0.75, 0.25]], rtol=1e-5, err_msg="Scores 2 ln 3 and 0, divided by the root of 4: the odds are 3 to 1."
)
np.testing.assert_allclose(_output, [[5]], rtol=1e-5, err_msg="Three quarters of 4 and one quarter of 8 make 5.")
_hide_first = torch.tensor([[False, True]])
_output, _weights = scaled_dot_product_attention(_q, _k, torch.tensor([[4.0], [8.0]]), _hide_first)
np.testing.assert_allclose(
    _weights, [[0, 1]], err_msg="True = may attend. The one that is left gets all the attention."
)
_output, _weights = scaled_dot_product_attention(_q, _k, torch.ones(2, 1), torch.tensor([[False, False]]))
np.testing.assert_allclose(_output, [[0]], err_msg="Who may look at nobody takes nothing home: 0, not NaN.")
_output, _weights = scaled_dot_product_attention(1000 * _q, _k, torch.ones(2, 1))
np.testing.assert_allclose(
    _weights, [[1, 0]], err_msg="A score of 1000 is only a very clear answer, and no reason for NaN."
)

# %% picture="why_the_root"
with picture("scaled_dot_product_attention"):
    _generator = torch.Generator().manual_seed(0)
    _widths = [1, 4, 16, 64, 256, 1024]
    _rows: dict[str, list[float]] = {"scaled": [], "not scaled": []}
    for _d in _widths:
        _q, _k = torch.randn(400, 1, _d, generator=_generator), torch.randn(400, 10, _d, generator=_generator)
        for _name, _times in (("scaled", 1.0), ("not scaled", math.sqrt(_d))):
            _weights = scaled_dot_product_attention(_times * _q, _k, _k)[1]
            _rows[_name].append(_weights.amax(dim=-1).mean().item())
    _figure, _axis = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
    for (_name, _largest), _colour in zip(_rows.items(), (BLUE, RED), strict=True):
        _axis.semilogx(_widths, _largest, "o-", color=_colour, label=_name)
    _axis.axhline(0.1, color=GREY, linestyle=":", label="all ten alike")
    _axis.set_xticks(_widths, _widths)
    _axis.minorticks_off()
    _axis.set(xlabel="width $d_k$ of random queries and keys", ylabel="largest of ten weights", ylim=(0, 1.02))
    _axis.set_title("Without the root, wide vectors listen to a single voice from the start")
    _axis.legend(frameon=False)

# %% [markdown]
# ## 4. *Self*-attention
#
# Query, key and value all come from the same vectors, each through a matrix of its own. Three matrices are all that is
# learned.


# %% problem="self_attention"
def self_attention(
    x: torch.Tensor, w_q: torch.Tensor, w_k: torch.Tensor, w_v: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""One head of self-attention over the vectors of x.

    $$q^i = W^q a^i \qquad k^i = W^k a^i \qquad v^i = W^v a^i \qquad
    b^i = \sum_j \mathrm{softmax}_j\Big(\frac{q^i \cdot k^j}{\sqrt{d_k}}\Big)\, v^j$$

    x: (..., n, d) floats, with $a^i$ in row i; w_q, w_k: (d_k, d); w_v: (d_v, d). All of one dtype.
    mask: as in `scaled_dot_product_attention`, broadcasts to (..., n, n), True = may attend; None hides nothing. A row
    that may attend to nobody gets weights 0 and the output 0.
    Returns (output, weights): (..., n, d_v) and (..., n, n), in the dtype of x. Gradients flow to x and the matrices.
    """
    ### BEGIN SOLUTION
    return scaled_dot_product_attention(x @ w_q.mT, x @ w_k.mT, x @ w_v.mT, mask)
    ### END SOLUTION


# %% tests="self_attention"
_x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
_ask, _show = torch.tensor([[math.log(3), 0.0]]), torch.tensor([[1.0, 0.0]])
_output, _weights = self_attention(_x, _ask, _show, torch.tensor([[8.0, 0.0], [0.0, 4.0], [1.0, 1.0]]))
np.testing.assert_allclose(
    _weights, [[0.75, 0.25], [0.5, 0.5]], rtol=1e-5, err_msg="The first asks and prefers itself; the second has q = 0."
)
assert _output.shape == (2, 3), f"The values are W^v a, with 3 entries here: {tuple(_output.shape)} should be (2, 3)."
np.testing.assert_allclose(
    _output[0], [6, 1, 1], rtol=1e-5, err_msg="Three quarters of W^v (1, 0) and one quarter of W^v (0, 1)."
)
_later = torch.tensor([[1.0, 0.0], [7.0, -9.0]])
np.testing.assert_allclose(
    self_attention(_later, _ask, _show, _x, causal_mask(2))[0][0],
    self_attention(_x, _ask, _show, _x, causal_mask(2))[0][0],
    err_msg="With a causal mask, the first output must not change if a later word does.",
)

# %% [markdown]
# ## 5. What self-attention can't see
#
# *Dog bites man. Man bites dog.* Shuffle the words of a sentence, and self-attention hands you the same outputs,
# shuffled alike: it is **permutation-equivariant**. Each position still finds the same words; nothing tells it *where*.
# An RNN and a CNN are not like that. Mind the difference: an *invariant* layer would give the same outputs in the same
# places.
#
# Measure how far any layer $f$ is from it. (Lecture 12 cures the blindness with positional encoding. The picture
# below has a surprise: a causal mask lets some of the order through. Can you tell how?)


# %% problem="permutation_error"
def permutation_error(
    layer: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, permutation: torch.Tensor
) -> float:
    r"""How far a layer is from permutation-equivariance: 0 if shuffled inputs give the same outputs, shuffled alike.

    $$\max\, |\, f(Px) - P f(x)\, | \quad \text{over all entries, with} \quad (Px)_i = x_{\pi(i)}$$

    layer: f, turns (..., n, d) into (..., n, d_out). x: (..., n, d) floats.
    permutation: (n,) int64, the numbers $\pi(0), \dots, \pi(n-1)$, each of 0 to n - 1 once.
    Returns one number, a float.
    """
    ### BEGIN SOLUTION
    shuffled_first = layer(x[..., permutation, :])
    shuffled_last = layer(x)[..., permutation, :]
    return (shuffled_first - shuffled_last).abs().max().item()
    ### END SOLUTION


# %% tests="permutation_error"
_x, _next = torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1, 2, 0])
assert permutation_error(lambda x: 2 * x, _x, _next) == 0, "A layer that treats all positions alike is equivariant."
assert permutation_error(lambda x: x.sum() - x, _x, _next) == 0, "So is one that adds up all the others."
_error = permutation_error(lambda x: x * torch.tensor([[1.0], [10.0], [100.0]]), _x, _next)
assert _error == 360, f"The worst position has 4 times 10 instead of 4 times 100: the error is 360, not {_error}."

# %% picture="shuffled_sentences"
with picture("self_attention", "causal_mask", "permutation_error"):
    _generator = torch.Generator().manual_seed(3)
    _x, _w = torch.randn(9, 6, generator=_generator), torch.randn(3, 6, 6, generator=_generator)
    _shuffle = torch.randperm(9, generator=_generator)
    _places = torch.stack([torch.sin(2.0**-_i * torch.arange(9)) for _i in range(6)], dim=-1)
    _layers = {
        "self-attention": lambda x: self_attention(x, *_w)[0],
        "with a causal mask": lambda x: self_attention(x, *_w, causal_mask(9))[0],
        "with positions added": lambda x: self_attention(x + _places, *_w)[0],
        "convolution": lambda x: nn.functional.conv1d(x.mT, _w.permute(2, 1, 0), padding=1).mT,
    }
    _errors = [max(permutation_error(_layer, _x, _shuffle), 1e-9) for _layer in _layers.values()]
    _figure, _axis = plt.subplots(figsize=(8, 2.8), layout="constrained")
    _axis.barh(list(_layers), _errors, color=[GREEN, RED, RED, RED], left=1e-9, height=0.6)
    _axis.set(
        xscale="log", xlim=(1e-9, 1e3), xlabel="permutation error", title="Who notices that the words are shuffled?"
    )
    _axis.text(2 * _errors[0], 0, "rounding only: it sees a bag of words", va="center", color=GREEN)
    _axis.invert_yaxis()

# %% [markdown]
# ## 6. Many heads
#
# "It" wants to know which noun it stands for. It also wants to know which word comes just before it. One softmax can
# hardly answer both, so ask several questions at once: **multi-head attention**. The projections are as wide as before
# and are *split* among the heads: with 2 heads, head 0 takes the first half of the entries of $q$, $k$ and $v$, head 1
# the second. Each head attends for itself, the outputs are *merged* side by side, and one last matrix mixes them.
#
# Two traps. The heads must become an axis in *front* of the positions, and a `view` or `reshape` to the right shape
# alone mixes up positions and heads: the axes have to be swapped. And $d_k$ under the root is now the width of
# *one head*.


# %% problem="multi_head_attention"
def multi_head_attention(
    x: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    num_heads: int,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Multi-head self-attention (Vaswani et al. 2017, section 3.2.2), without biases.

    $$b^i = W^o \begin{pmatrix} b^{i,0} \\ \vdots \\ b^{i,H-1} \end{pmatrix} \qquad
    b^{i,h} = \sum_j \mathrm{softmax}_j\Big(\frac{q^{i,h} \cdot k^{j,h}}{\sqrt{d_k}}\Big)\, v^{j,h}$$

    Head h owns the entries $h d_k$ to $(h + 1) d_k - 1$ of $q^i = W^q a^i$ and $k^i = W^k a^i$, and likewise $d_v$
    entries of $v^i = W^v a^i$.

    x: (..., n, d) floats; w_q, w_k: (H·d_k, d); w_v: (H·d_v, d); w_o: (d_out, H·d_v); num_heads: H, at least 1.
    mask: bool, with 2 or more axes, broadcasts to (..., n, n) and is the same for all heads, True = may attend. None
    hides nothing.
    Returns (output, weights): (..., n, d_out), and the weights of each head, (..., H, n, n), in the dtype of x.
    Gradients flow to x and all the matrices.
    """

    ### BEGIN SOLUTION
    def split(rows: torch.Tensor) -> torch.Tensor:  # (..., n, H·d_k) -> (..., H, n, d_k)
        return rows.unflatten(-1, (num_heads, -1)).transpose(-3, -2)

    mask = None if mask is None else mask.unsqueeze(-3)
    heads, weights = scaled_dot_product_attention(split(x @ w_q.mT), split(x @ w_k.mT), split(x @ w_v.mT), mask)
    return heads.transpose(-3, -2).flatten(-2) @ w_o.mT, weights
    ### END SOLUTION


# %% tests="multi_head_attention"
_x, _w = torch.randn(2, 5, 4), torch.randn(4, 4, 4)
_output, _weights = multi_head_attention(_x, *_w, num_heads=2)
assert _output.shape == (2, 5, 4), f"The output has the shape {tuple(_output.shape)} instead of (2, 5, 4)."
assert _weights.shape == (2, 2, 5, 5), (
    f"2 sentences with 2 heads: weights are (2, 2, 5, 5), not {tuple(_weights.shape)}."
)
_one_head = self_attention(_x, *_w[:3])[0] @ _w[3].T
np.testing.assert_allclose(
    multi_head_attention(_x, *_w, num_heads=1)[0], _one_head, atol=1e-4, err_msg="One head is self-attention, then W^o."
)
_first, _second = (self_attention(_x, *_w[:3, _rows])[0] for _rows in (slice(0, 2), slice(2, 4)))
np.testing.assert_allclose(
    multi_head_attention(_x, *_w[:3], torch.eye(4), num_heads=2)[0],
    torch.cat([_first, _second], dim=-1),
    atol=1e-4,
    err_msg="Head 0 lives in the first half of the rows of W^q, W^k and W^v, head 1 in the second.",
)

# %% [markdown]
# Here are two heads on our sentence. The first asks for nouns, as before. The second turns the hand of its clock back
# by one word. Neither could do the other's work.

# %% picture="two_heads"
with picture("multi_head_attention"):
    _c, _s = math.cos(CLOCK), math.sin(CLOCK)
    _back = 80 * torch.tensor([[0.0, 0, 0, 0, _c, _s], [0, 0, 0, 0, -_s, _c]])  # turns (cos, sin) back by one word
    _place = torch.tensor([[0.0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]])
    _w_q, _w_k = torch.cat([ASK_NOUN, _back]), torch.cat([SHOW_NOUN, _place])
    _weights = multi_head_attention(sentence(), _w_q, _w_k, torch.eye(6)[:4], torch.eye(4), 2)[1]
    _figure, _axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
    for _axis, _head, _title in zip(_axes, _weights, ("head 0: which noun?", "head 1: what came before?"), strict=True):
        draw_matrix(_axis, _head, WORDS, _title, top=1)
    _axes[0].add_patch(plt.Rectangle((-0.45, 5.52), 8.9, 0.96, fill=False, edgecolor=RED, linewidth=1.5))
    _axes[0].set_ylabel("asks")
    _figure.suptitle("Attention weights: each row adds up to 1", x=0.5)

# %% [markdown]
# ## 7. `MultiHeadAttention`: the module
#
# Now as PyTorch has it, with biases, dropout, and queries that may come from elsewhere. Take PyTorch's names and its
# layout, and a checkpoint of `torch.nn.MultiheadAttention` loads into your module, and the other way round. Its one
# oddity: the three matrices $W^q, W^k, W^v$ lie packed in *one* tensor, stacked in this order.
#
# Dropout acts on the *weights*: in training, each may be struck out, and the survivors grow so that the mean stays.


# %% problem="MultiHeadAttention"
class MultiHeadAttention(nn.Module):
    r"""Multi-head attention whose parameters are interchangeable with `torch.nn.MultiheadAttention`'s.

    Parameters, with E = `embed_dim`:
    `in_proj_weight`, (3E, E): the rows of $W^q$, then those of $W^k$, then those of $W^v$, each (E, E);
    `in_proj_bias`, (3E,): their biases in the same order; `out_proj.weight`, (E, E) $= W^o$; `out_proj.bias`, (E,).
    With `bias=False` the two biases do not exist: `in_proj_bias` is None, and so is `out_proj.bias`.
    `state_dict()` has these entries and no other. The weights start at random, the biases at 0.
    """

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True) -> None:
        """Make the parameters. dropout: the probability, from 0 to below 1, that an attention weight is struck out.

        Raises ValueError if `num_heads` does not divide `embed_dim`.
        """
        ### BEGIN SOLUTION
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError(f"{embed_dim} entries can't be shared out evenly among {num_heads} heads")
        self.num_heads, self.dropout = num_heads, dropout
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * embed_dim, embed_dim)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim)) if bias else None
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        if bias:
            nn.init.zeros_(self.out_proj.bias)
        ### END SOLUTION

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        r"""Attend: project (with bias), split into heads, attend, merge, project (with bias).

        $$q = W^q\,\text{query} + b^q \qquad k = W^k\,\text{key} + b^k \qquad v = W^v\,\text{value} + b^v$$

        then as in `multi_head_attention`.
        query: (..., n, E) floats; key, value: (..., m, E): the batch comes first, and may have several axes or none.
        mask: bool, with 2 or more axes, broadcasts to (..., n, m), the same for all heads, True = may attend (the
        opposite of `torch.nn.MultiheadAttention`); None hides nothing. A row that may attend to nobody gets weights 0.
        In training with dropout p, each weight becomes 0 with probability p, and is divided by 1 - p otherwise,
        independently of all others. In evaluation nothing is dropped.
        Returns (output, weights): (..., n, E), and the weights of each head as used (after dropout), (..., H, n, m).
        Gradients flow to the inputs and all parameters.
        """
        ### BEGIN SOLUTION
        matrices = self.in_proj_weight.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        q, k, v = (
            nn.functional.linear(rows, w, b).unflatten(-1, (self.num_heads, -1)).transpose(-3, -2)
            for rows, w, b in zip((query, key, value), matrices, biases, strict=True)
        )
        _, weights = scaled_dot_product_attention(q, k, v, None if mask is None else mask.unsqueeze(-3))
        weights = nn.functional.dropout(weights, self.dropout, self.training)
        return self.out_proj((weights @ v).transpose(-3, -2).flatten(-2)), weights
        ### END SOLUTION


# %% tests="MultiHeadAttention"
_theirs, _ours = nn.MultiheadAttention(6, 3, batch_first=True), MultiHeadAttention(6, 3)
assert sorted(_ours.state_dict()) == ["in_proj_bias", "in_proj_weight", "out_proj.bias", "out_proj.weight"], (
    f"A checkpoint must have PyTorch's four entries: yours has {sorted(_ours.state_dict())}."
)
nn.init.normal_(_theirs.in_proj_bias)
_ours.load_state_dict(_theirs.state_dict())
_query, _other = torch.randn(2, 4, 6), torch.randn(2, 5, 6)
_hidden = torch.tensor([[[True, True, False, True, False]], [[True, True, True, True, True]]])
for _mask in (None, _hidden):
    _padding = None if _mask is None else ~_mask[:, 0]  # theirs: True = hidden
    _expected = _theirs(_query, _other, _other, key_padding_mask=_padding, average_attn_weights=False)
    for _got, _wanted, _name in zip(
        _ours(_query, _other, _other, _mask), _expected, ("output", "weights"), strict=True
    ):
        np.testing.assert_allclose(
            _got.detach(),
            _wanted.detach(),
            atol=1e-5,
            err_msg=f"The {_name} must agree with torch.nn.MultiheadAttention.",
        )
_ours = MultiHeadAttention(4, 2, dropout=0.5)
assert (_ours(*[torch.ones(1, 30, 4)] * 3)[1] == 0).any(), "In training, dropout strikes out some of the weights."
assert (_ours.eval()(*[torch.ones(1, 30, 4)] * 3)[1] > 0).all(), "In evaluation, nothing is dropped."

# %% [markdown]
# ## 8. A CNN is self-attention within a receptive field
#
# The lecture's claim: *a CNN is self-attention that can only attend within a receptive field.* Prove it. A
# convolution with kernel size $K$ slides over a sequence; padded with zeros, and with its kernel $w$ centred,
#
# $$b^i = \sum_{s=0}^{K-1} w_s\, a^{\,i + s - (K-1)/2} \qquad a^j = 0 \text{ outside the sequence}$$
#
# Look at a single $s$. Position $i$ takes home $w_s$ times the vector at *one* other place: that is a head whose
# weights are **one-hot**, all on position $j = i + s - (K-1)/2$, and whose value matrix is $W^{v,s} = w_s$. A
# convolution is $K$ such heads, one for each place in the kernel, added up (Cordonnier, Loukas and Jaggi 2020,
# theorem 1). Where would a learned head get such weights from? From a query and a key that know only the positions.
#
# At the edges a head looks outside the sequence. It may attend to nobody there, and you know what such a row gives: 0.
# So zero padding comes for free.


# %% problem="convolution_as_attention"
def convolution_as_attention(x: torch.Tensor, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r"""A 1-D convolution with zero padding, done by attention: one head for each place of the kernel.

    $$b^i = \sum_{s=0}^{K-1} \sum_j \alpha'_{s,i,j}\, w_s a^j \qquad
    \alpha'_{s,i,j} = \begin{cases} 1 & j = i + s - (K-1)/2 \\ 0 & \text{otherwise} \end{cases}$$

    As everywhere in deep learning, the kernel is not flipped: for K = 3, $w_0$ meets the left neighbour.

    x: (..., n, c_in) floats; kernel: (c_out, c_in, K), as `torch.nn.Conv1d` has it, with $w_s$ = `kernel[:, :, s]` and
    K odd (it may be larger than n). Both of one dtype.
    Returns (output, weights): (..., n, c_out), the same as `torch.nn.Conv1d` with this kernel, stride 1, padding
    (K - 1)/2 and no bias; and the weights $\alpha'$ of the heads, (K, n, n). Both in the dtype of x.
    """
    ### BEGIN SOLUTION
    i, k = torch.arange(x.shape[-2]), kernel.shape[-1]
    weights = torch.stack([i == i[:, None] + s - k // 2 for s in range(k)]).to(x.dtype)
    values = x[..., None, :, :] @ kernel.permute(2, 1, 0)  # (..., K, n, c_out)
    return (weights @ values).sum(dim=-3), weights
    ### END SOLUTION


# %% tests="convolution_as_attention"
_x, _kernel = torch.tensor([[1.0], [10.0], [100.0]]), torch.tensor([[[2.0, 3.0, 5.0]]])
_output, _weights = convolution_as_attention(_x, _kernel)
assert _weights.shape == (3, 3, 3), f"3 heads of 3 by 3 weights are expected, not {tuple(_weights.shape)}."
np.testing.assert_allclose(_weights[1], np.eye(3), err_msg="The head of the kernel's centre looks at its own position.")
np.testing.assert_allclose(
    _weights[0],
    np.eye(3, k=-1),
    err_msg="The head of the kernel's left place looks one to the left, at the edge at nobody.",
)
np.testing.assert_allclose(_output[1], [2 * 1 + 3 * 10 + 5 * 100], err_msg="In the middle: left, centre and right.")
np.testing.assert_allclose(_output[0], [3 * 1 + 5 * 10], err_msg="Left of the first position there is only padding.")

# %% [markdown]
# ## 9. Self-attention is a CNN with a *learnable* receptive field
#
# The other half of the claim. A convolution's field is chosen by its designer; a head's field is wherever its weights
# lie. How wide is it? The place of the largest weight won't tell: a head that spreads its weights evenly over a
# hundred words has a wide field, wherever its largest weight may be. Ask instead how far you must go to collect most
# of the **mass**.


# %% problem="learned_receptive_field"
def learned_receptive_field(weights: torch.Tensor, mass: float = 0.9) -> torch.Tensor:
    r"""The effective receptive field of a head: how far from position i the given share of its weights reaches.

    $$r_i = \text{the smallest } r \ge 0 \text{ with } \sum_{j:\, |i-j| \le r} \alpha'_{i,j} \ge \text{mass} \cdot
    \sum_j \alpha'_{i,j} - 10^{-6}$$

    The small number is there so that rounding does not decide. A convolution of kernel size 2r + 1 has the radius r. A
    row of zeros has the radius 0.

    weights: (..., n, n) floats, not negative; mass: above 0, at most 1.
    Returns the radii, (..., n), int64, each from 0 to n - 1.
    """
    ### BEGIN SOLUTION
    n = weights.shape[-1]
    distance = (torch.arange(n)[:, None] - torch.arange(n)).abs()
    collected = torch.stack([(weights * (distance <= r)).sum(dim=-1) for r in range(n)])
    return (collected < mass * weights.sum(dim=-1) - 1e-6).sum(dim=0)  # how many radii are not enough
    ### END SOLUTION


# %% tests="learned_receptive_field"
_weights = torch.tensor([[1.0, 0.0, 0.0], [0.05, 0.9, 0.05], [0.2, 0.2, 0.6]])
_radii = learned_receptive_field(_weights, mass=0.9)
assert _radii.dtype == torch.int64, f"Radii are whole numbers, int64, and not {_radii.dtype}."
assert _radii.tolist() == [0, 0, 2], (
    f"Own place; 0.9 at the own place; 0.6 and 0.8 are not yet 0.9: got {_radii.tolist()}."
)
assert learned_receptive_field(_weights, mass=0.7).tolist() == [0, 0, 1], (
    "0.6 is less than 0.7; with the neighbour 0.8."
)
assert learned_receptive_field(torch.eye(4).roll(1, 0)[1:2].expand(4, 4)).tolist() == [0, 1, 2, 3], (
    "If all look at position 0, the radius is the distance from it, however sharp the look."
)

# %% [markdown]
# Now watch a head learn its field. Task: repeat what was said *six steps ago*. A convolution of kernel size 3 can't.
# Our head knows only positions: the score of $j$ is $-\alpha\,(j - i + \Delta)^2$, a bump around "$\Delta$ to the
# left", with two numbers to learn, its place $\Delta$ and its sharpness $\alpha$ (the construction of Cordonnier,
# Loukas and Jaggi). Multiply it out, drop what is the same for all $j$, and it is a dot product of a query of $i$ and
# a key of $j$, ready for your attention.

# %% picture="a_field_is_learned"
with picture("scaled_dot_product_attention", "learned_receptive_field"):
    _n, _lag, _generator = 24, 6, torch.Generator().manual_seed(1)
    _place = torch.arange(float(_n))
    _delta, _alpha = torch.tensor(0.0, requires_grad=True), torch.tensor(0.02, requires_grad=True)
    _optimizer = torch.optim.Adam([_delta, _alpha], lr=0.05)
    _middle = slice(_lag, _n)  # those who have somebody six steps ago
    _snapshots, _losses, _fields = {}, [], []
    for _step in range(401):
        _target = _place - _delta  # where each position looks
        _q = math.sqrt(2) * _alpha * torch.stack([2 * _target, -torch.ones(_n)], dim=-1)
        _k = torch.stack([_place, _place**2], dim=-1)
        _x = torch.randn(16, _n, 1, generator=_generator)
        _output, _weights = scaled_dot_product_attention(_q, _k, _x)
        _loss = ((_output[:, _middle] - _x[:, : _n - _lag]) ** 2).mean()
        _optimizer.zero_grad()
        _loss.backward()
        _optimizer.step()
        _losses.append(_loss.item())
        _fields.append(learned_receptive_field(_weights.detach())[_n // 2].item())
        if _step in (0, 120, 400):
            _snapshots[_step] = _weights.detach()
    _figure, _axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for _axis, (_step, _weights) in zip(_axes, _snapshots.items(), strict=False):
        _axis.imshow(_weights.numpy(), cmap="Blues", vmin=0, vmax=0.6)
        _axis.plot([0, _n - 1 - _lag], [_lag, _n - 1], ":", color=RED, linewidth=1.5)
        _axis.set(
            title=f"weights after {_step} updates", xlabel="answers $j$", xlim=(-0.5, _n - 0.5), ylim=(_n - 0.5, -0.5)
        )
    _axes[0].set_ylabel("asks $i$")
    _axes[0].text(_n - 1, 1, "red: six steps ago", color=RED, ha="right", va="center", fontsize=9)
    _axes[3].plot(_fields, color=BLUE, label="radius of the middle position")
    _axes[3].plot(10 * np.array(_losses), color=GREY, label="10 × loss", linewidth=0.8)
    _axes[3].axhline(_lag, color=RED, linestyle=":", label="six steps")
    _axes[3].set(xlabel="updates", ylim=(0, 26), title="the field finds its width")
    _axes[3].legend(frameon=False, fontsize=9)

# %% [markdown]
# ## 10. The rival: a recurrent network
#
# An RNN reads one vector after the other and carries a memory $h$ along. The lecture names two differences.
#
# *Parallel.* Nobody can compute $h^9$ before $h^8$. Self-attention computes all outputs at once.
#
# *Distance.* What the first word said reaches the last output through every step in between. In self-attention the
# distance is always one step.
#
# Build the RNN first.


# %% problem="rnn_forward"
def rnn_forward(
    x: torch.Tensor, h_0: torch.Tensor, w_x: torch.Tensor, w_h: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    r"""The hidden states of a simple recurrent network (Elman 1990).

    $$h^t = \tanh(W^x x^t + W^h h^{t-1} + b) \qquad t = 1, \dots, n$$

    x: (..., n, d) floats, with $x^1$ in the first row, n at least 1; h_0: (..., d_h), the memory before the first step;
    w_x: (d_h, d); w_h: (d_h, d_h); bias: (d_h,). All of one dtype.
    Returns $h^1, \dots, h^n$, (..., n, d_h), in that dtype ($h^0$ is not among them). Gradients flow to all five.
    """
    ### BEGIN SOLUTION
    h, states = h_0, []
    for x_t in x.unbind(dim=-2):
        h = torch.tanh(x_t @ w_x.mT + h @ w_h.mT + bias)
        states.append(h)
    return torch.stack(states, dim=-2)
    ### END SOLUTION


# %% tests="rnn_forward"
_x, _one = torch.tensor([[1.0], [0.0], [0.0]]), torch.ones(1, 1)
_states = rnn_forward(_x, torch.zeros(1), _one, 2 * _one, torch.zeros(1))
assert _states.shape == (3, 1), f"Three inputs make three hidden states: (3, 1), not {tuple(_states.shape)}."
np.testing.assert_allclose(_states[0], [math.tanh(1)], rtol=1e-6, err_msg="h^1 = tanh(1 · 1 + 2 · 0 + 0).")
np.testing.assert_allclose(
    _states[1], [math.tanh(2 * math.tanh(1))], rtol=1e-6, err_msg="The second input is 0: only the memory speaks."
)
_states = rnn_forward(torch.zeros(1, 1), torch.tensor([3.0]), _one, _one, torch.tensor([-1.0]))
np.testing.assert_allclose(
    _states, [[math.tanh(2)]], rtol=1e-6, err_msg="The first step starts from h_0, and adds the bias."
)

# %% [markdown]
# How much does the last output still know of the word $\ell$ places back? Ask the gradient: the size of
# $\partial b^n / \partial x^{n-\ell}$. Both networks have random weights of the usual size.

# %% picture="who_forgets"
with picture("rnn_forward", "self_attention"):
    _generator, _n, _d = torch.Generator().manual_seed(0), 60, 16
    _sizes: dict[str, list[torch.Tensor]] = {"RNN": [], "self-attention": []}
    for _trial in range(20):
        _x = torch.randn(_n, _d, generator=_generator)
        _w = torch.randn(4, _d, _d, generator=_generator) / math.sqrt(_d)
        _networks = {
            "RNN": lambda x, w=_w: rnn_forward(x, torch.zeros(_d), w[0], w[1], torch.zeros(_d)),
            "self-attention": lambda x, w=_w: self_attention(x, *w[:3])[0],
        }
        for _name, _network in _networks.items():
            _leaf = _x.clone().requires_grad_()
            _network(_leaf)[-1].sum().backward()
            _sizes[_name].append(_leaf.grad.norm(dim=-1).flip(0))
    _figure, _axis = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for (_name, _gradients), _colour in zip(_sizes.items(), (RED, BLUE), strict=True):
        _axis.semilogy(torch.stack(_gradients).log().mean(dim=0).exp(), color=_colour, label=_name)
    _axis.set(xlabel=r"distance $\ell$ from the last position", ylabel="size of the gradient")
    _axis.set_title("The RNN forgets a little at every step; to self-attention all words are equally near")
    _axis.legend(frameon=False)

# %% [markdown]
# Now put it into numbers, as table 1 of Vaswani et al. (2017) does. That table says how the costs *grow*; you count
# them exactly, for one layer that turns $n$ vectors of width $d$ into $n$ vectors of width $d$.


# %%
class LayerCost(NamedTuple):
    """What one kind of layer costs; three whole numbers."""

    steps: int  # operations that must wait for one another
    path: int  # from the first input to the last output
    multiplications: int  # in the matrix products


# %% problem="compare_layers"
def compare_layers(n: int, d: int, kernel_size: int) -> dict[str, LayerCost]:
    r"""Steps in sequence, path length and multiplications of three kinds of layers (Vaswani et al. 2017, table 1).

    | key | steps | path | multiplications |
    |---|---|---|---|
    | `"self-attention"` | 1 | ... | of $Q K^\top$ and of the weights times $V$ (not of the projections) |
    | `"rnn"` | ... | ... | of $W^x x^t$ and $W^h h^{t-1}$, for all t |
    | `"convolution"` | 1 | ... | of all K places of the kernel, at all n positions (the padding counts too) |

    steps: how many steps the layer takes if everything is computed at once that does not have to wait for another
    result of the same layer. An RNN takes one step for each hidden state.
    path: how many such operations the signal of the first input passes on the shortest way to the output at the last
    position, at least 1: attention layers for self-attention, cells ($h^1$ is the first) for the RNN, and for the
    convolution as many layers on top of one another as it takes. Kernels are centred and not dilated: one layer carries
    a signal (K - 1)/2 places further.
    multiplications: of numbers, in the matrix products named in the table. A product of a (p, q) with a (q, r) matrix
    has p·q·r. One head, queries, keys and values of width d.

    n: positions, at least 1; d: width, at least 1; kernel_size: K, odd, at least 3.
    Returns a dict with these three keys, and for each a `LayerCost` (or a tuple in the same order) of whole numbers.
    """
    ### BEGIN SOLUTION
    radius = (kernel_size - 1) // 2
    return {
        "self-attention": LayerCost(1, 1, 2 * n * n * d),
        "rnn": LayerCost(n, n, 2 * n * d * d),
        "convolution": LayerCost(1, max(1, math.ceil((n - 1) / radius)), kernel_size * n * d * d),
    }
    ### END SOLUTION


# %% tests="compare_layers"
_costs = compare_layers(n=10, d=4, kernel_size=5)
assert set(_costs) == {"self-attention", "rnn", "convolution"}, (
    f"The keys are not those of the table: {sorted(_costs)}."
)
assert tuple(_costs["self-attention"])[:2] == (1, 1), "All at once, and everybody sees everybody: one step, one layer."
assert tuple(_costs["rnn"])[:2] == (10, 10), "Ten states: each waits for the last, and the signal passes all."
assert tuple(_costs["convolution"])[1] == 5, "To carry a signal 9 places far, 2 at a time, takes 5 layers."
assert tuple(_costs["self-attention"])[2] == 800, "Q Kᵀ is (10, 4) times (4, 10), 400, and the weights times V as many."

# %% picture="what_it_costs"
with picture("compare_layers"):
    _lengths, _d = [4, 16, 64, 256, 1024, 4096], 256
    _costs = [compare_layers(_n, _d, 9) for _n in _lengths]
    _figure, _axes = plt.subplots(1, 3, figsize=(12.5, 3.6), layout="constrained")
    for _column, (_axis, _title) in enumerate(
        zip(_axes, ("steps that wait", "path from first to last", "multiplications"), strict=True)
    ):
        for (_name, _colour), _style in zip(
            {"rnn": RED, "convolution": GREEN, "self-attention": BLUE}.items(), ("o-", "s--", "^:"), strict=True
        ):
            _axis.loglog(_lengths, [_cost[_name][_column] for _cost in _costs], _style, color=_colour, label=_name)
        _axis.set_xticks(_lengths, _lengths)
        _axis.minorticks_off()
        _axis.set(xlabel="length $n$", title=_title)
    _axes[0].legend(frameon=False)
    _axes[2].axvline(_d, color=GREY, linewidth=0.8)
    _axes[2].text(_d * 1.2, 3e4, "$n = d$", color="grey")
    _figure.suptitle(f"Width {_d}, kernel size 9: self-attention is cheaper than an RNN as long as $n < d$")

# %% [markdown]
# ## 11. In your own words
#
# A colleague trains a network of self-attention layers to write stories: at each position it shall predict the *next*
# word. After an hour the training loss is almost 0, and so is the validation loss. Asked to write a story, word by
# word, it produces nonsense.
#
# (a) What has most likely been forgotten? Explain the low losses *and* the nonsense.
# (b) The same colleague replaces the self-attention by an RNN, changes nothing else, and the puzzle is gone (the loss
# is no longer almost 0). Why couldn't it happen there? What does the RNN pay for this, in time and in memory of far
# words?
# (c) The mistake mended, somebody feeds in *dog bites man* and *man bites dog*, without positional encoding, into one
# self-attention layer *without* a mask. What can the output at "bites" tell about who bites whom, and why?

# %% [markdown] answer="peeking" points=5
# **Model answer.**
#
# (a) The causal mask. Each position attends to all others, so position $i$ can look at word $i + 1$, which is the
# very word that it has to predict. It learns to copy it, in training and in validation alike, hence the tiny losses:
# both sets leak their answers in the same way, so validation gives no warning. When a story is written, the next word
# does not exist yet; there is nothing to copy, and the network has learned nothing else. (A mask with True and False
# exchanged does the same.)
#
# (b) An RNN computes $h^t$ from $x^t$ and $h^{t-1}$: at position $t$ it has not read the later words yet, so it is
# causal by construction. It pays in time, for its $n$ steps have to wait for one another and can't be computed in
# parallel; and in memory, for the signal of a word far back passes through every step in between, and fades (its
# gradient shrinks with the distance), while in self-attention it is always one step away.
#
# (c) Nothing. "Bites" asks the same question in both sentences and finds the same three keys and values, so it takes
# home the same weighted sum. Self-attention is permutation-equivariant: swapping the inputs swaps the outputs of
# "dog" and "man", and leaves that of "bites" as it is. Only positions, put into the vectors or the scores, tell the
# two apart.
#
# **Rubric**, one point each:
#
# - names the missing (or inverted) causal mask;
# - explains the low losses by copying the next word, *and* the nonsense by its absence when writing;
# - says why an RNN is causal by construction;
# - names both prices of the RNN: steps that wait, and far words that fade (path length n);
# - answers (c) with nothing, *with* the reason (same keys and values in another order; equivariance).

# %% [markdown]
# ## Bonus: attention without the matrix
#
# A book of 100,000 words has ten billion scores: 40 gigabytes for one head. And yet the output is only a weighted
# mean of the values, and a mean can be taken as the numbers come in. **Online softmax** (Milakov and Gimelshein 2018)
# reads keys and values block by block and keeps, for each query, three things only: the largest score so far $m$, the
# sum so far $l = \sum_j e^{s_j - m}$, and the weighted sum so far $o = \sum_j e^{s_j - m} v^j$. If a later block
# holds a larger score, $m$ rises, and what was collected with the old $m$ has to shrink accordingly. By what factor?
#
# Rabe and Staats (2021) computed attention in this way, and FlashAttention (Dao et al. 2022) made it the way in which
# most large language models compute today.
#
# The blocks come from an iterator, and fast memory is scarce: **when you ask for the next block, the last one is
# overwritten.**


# %% problem="streaming_attention"
def streaming_attention(q: torch.Tensor, blocks: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    r"""Scaled dot-product attention over keys and values that arrive in blocks, in memory that does not grow with them.

    The same output as `scaled_dot_product_attention` (without a mask) on all keys and values together.

    q: (n, d_k) floats. blocks: gives pairs (k, v) of shapes (B, d_k) and (B, d_v), in the dtype of q: at least one
    pair; B is at least 1 and may differ from block to block. The pairs can be read once, and as soon as the next one is
    asked for, the tensors of the last one are overwritten.
    Returns the output, (n, d_v), in the dtype of q; finite for scores of any size.
    Memory: what you hold at any one time (q and the block in your hands not counted), in tensors or otherwise, may have
    8·(n + B)·(B + d_k + d_v) numbers in all, however many blocks there are. No gradient is needed.
    """
    ### BEGIN SOLUTION
    largest = torch.full((len(q), 1), -math.inf, dtype=q.dtype)
    total, output = torch.zeros_like(largest), torch.zeros_like(largest)
    for k, v in blocks:
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        new_largest = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        shrink, weights = torch.exp(largest - new_largest), torch.exp(scores - new_largest)
        total = shrink * total + weights.sum(dim=-1, keepdim=True)
        output = shrink * output + weights @ v
        largest = new_largest
    return output / total
    ### END SOLUTION


# %% tests="streaming_attention"
_q, _k, _v = torch.randn(3, 4), torch.randn(10, 4), torch.randn(10, 2)
_blocks = [(_k[:4], _v[:4]), (_k[4:5], _v[4:5]), (_k[5:], _v[5:])]
np.testing.assert_allclose(
    streaming_attention(_q, iter(_blocks)),
    scaled_dot_product_attention(_q, _k, _v)[0],
    atol=1e-5,
    err_msg="Three blocks of 4, 1 and 5 keys must give the same as all ten keys at once.",
)
_rising = [(torch.tensor([[_score]]), torch.tensor([[_score]])) for _score in (0.0, 500.0, 1000.0)]
np.testing.assert_allclose(
    streaming_attention(torch.ones(1, 1), iter(_rising)),
    [[1000]],
    err_msg="When the best key comes last, what was collected before must shrink to nothing. And nothing may overflow.",
)

# %% picture="online_softmax"
with picture("streaming_attention", "scaled_dot_product_attention"):
    _generator = torch.Generator().manual_seed(4)
    _q, _k, _v = (torch.randn(*_shape, generator=_generator) for _shape in ((3, 8), (400, 8), (400, 1)))
    _k[250] = 4 * _q[1]  # the key that the second query is waiting for
    _blocks = list(zip(_k.split(10), _v.split(10), strict=True))
    _so_far = torch.stack([streaming_attention(_q, iter(_blocks[: _many + 1]))[:, 0] for _many in range(40)])
    _final = scaled_dot_product_attention(_q, _k, _v)[0][:, 0]
    _figure, _axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for _column, _colour in enumerate((BLUE, RED, GREEN)):
        _axis.plot(10 * np.arange(1, 41), _so_far[:, _column], color=_colour, label=f"query {_column}")
        _axis.plot(404, _final[_column], "<", color=_colour, clip_on=False)
    _axis.annotate(
        "the key that query 1\nwas waiting for", (260, _so_far[25, 1]), (290, _so_far[25, 1] + 0.35), color=RED
    )
    _axis.set(xlabel="keys read so far", ylabel="output so far", title="Triangles: attention over all 400 keys at once")
    _axis.legend(frameon=False, ncols=3)

# %% [markdown]
# ## Sources
#
# - D. Bahdanau, K. Cho, Y. Bengio: *Neural Machine Translation by Jointly Learning to Align and Translate*, ICLR 2015,
#   arXiv:1409.0473
# - A. Vaswani, N. Shazeer, N. Parmar, J. Uszkoreit, L. Jones, A. N. Gomez, Ł. Kaiser, I. Polosukhin: *Attention Is
#   All You Need*, NeurIPS 2017, arXiv:1706.03762
# - J.-B. Cordonnier, A. Loukas, M. Jaggi: *On the Relationship between Self-Attention and Convolutional Layers*, ICLR
#   2020, arXiv:1911.03584
# - J. L. Elman: *Finding Structure in Time*, Cognitive Science 14, 1990
# - M. Milakov, N. Gimelshein: *Online normalizer calculation for softmax*, 2018, arXiv:1805.02867
# - M. N. Rabe, C. Staats: *Self-attention Does Not Need O(n²) Memory*, 2021, arXiv:2112.05682
# - T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré: *FlashAttention: Fast and Memory-Efficient Exact Attention with
#   IO-Awareness*, NeurIPS 2022, arXiv:2205.14135
