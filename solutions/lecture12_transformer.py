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
# # Lectures 12 and 13: The Transformer
#
# The street traders of Victorian London had a language of their own, so that customers would not follow them. They
# spoke words backwards: *top o' reeb* is a pot of beer, and a *yob*, to this day, is a boy. It is called **back slang**,
# and it makes a lovely first language for a machine. A whole sequence goes in, a whole sequence comes out, the first
# letter of the answer hides at the far end of the question, and nobody tells the machine when to stop.
#
# You will build a Transformer (Vaswani et al., *Attention Is All You Need*, 2017) from its smallest parts, hand it a
# list of words with their translations, and watch it find out by itself that it has to read backwards.
#
# 1. **The parts:** positions, Layer Normalization, residual connections, the feed-forward network.
# 2. **The machine:** encoder, cross-attention, decoder, and the Transformer that holds them. PyTorch's weights fit in.
# 3. **Learning to write:** teacher forcing, a loss that ignores the padding.
# 4. **Writing:** greedy decoding, beam search, and the cache that makes it fast.
# 5. **Judging and training:** BLEU, and at last the back slang.
#
# **Time:** about five hours; take two evenings, the first one up to the Transformer. The bonus takes 20 minutes more.
#
# **How it is graded.** The tests below each problem are for you; hidden tests of the same promises give the points:
# 100, and up to 6 more for the bonus. One question in words, read by a person, gives 5. PyTorch may be used, *except*
# its finished Transformers (`nn.Transformer`, `nn.TransformerEncoderLayer` and their relatives), and except the finished
# thing where the problem is to build it: each such problem says so. Keep the names of functions, arguments and
# attributes: that is how the tests find your work. The parts are used again and again: a fault in an early one shows in
# everything that is built of it, so go on only when the tests below a problem pass.

# %% [markdown]
# ## Recap
#
# **Seq2seq:** input and output are both sequences, and *the machine decides how long the output is*, by saying END.
#
# | symbol | in code | what it is |
# |---|---|---|
# | $B$ | `batch_size` | how many sentences are worked on at once |
# | $S$, $T$ | | length of the source (the input) and of the target (the output), padding included |
# | $V$ | `vocabulary` | how many different tokens there are; a token is a number from 0 to $V - 1$ |
# | $d$ | `d_model` | length of the vector that stands for a token |
# | $h$ | `heads` | number of heads of an attention |
# | $d_{ff}$ | `d_ff` | width of the feed-forward network |
# | $N$ | `layers` | number of layers of the encoder, and of the decoder |
#
# **The encoder** turns the source into as many vectors, the **memory**. **The decoder** reads BEGIN, looks at the memory
# and says the first token; reads BEGIN and that token and says the second one; and so on, until it says END.
#
# **Residual connection:** $x + f(x)$, the input is added to the output. **Layer Normalization:** each vector gets mean
# 0 and variance 1 by itself. **Positional encoding:** attention does not see order, so each position gets a vector of
# its own, which is added to the token's.
#
# **Masks, once and for all.** A mask is a boolean tensor, **True where one may look**. It has the shape $(B, T, S)$, or
# one that broadcasts to it: entry $(b, t, s)$ says whether, in sentence $b$, position $t$ may look at position $s$.
# A mask hides what is looked *at*; it never switches a position off that looks. As in Lecture 10, row $t$ asks and
# column $s$ answers, a mask is the same for all heads, and masks are combined with `&`. PyTorch's Transformers say it
# the other way round.
#
# **What to look for:** at every line, ask *which position may know about which other*. And ask what is still true when
# the machine is on its own, with no teacher beside it.

# %%
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile

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


# %% [markdown]
# Three tokens are no letters. Sentences of a batch differ in length, so the shorter ones are filled up with PAD.

# %%
PAD, BEGIN, END = 0, 1, 2
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = 3 + len(LETTERS)


def to_tokens(word: str) -> list[int]:
    """The letters of a word as tokens: a is 3, b is 4, and so on."""
    return [3 + LETTERS.index(letter) for letter in word]


def to_word(tokens: Sequence[int]) -> str:
    """Tokens as a word; PAD, BEGIN and END are shown as _, < and >."""
    return "".join("_<>"[token] if token < 3 else LETTERS[token - 3] for token in tokens)


def pad_batch(sentences: Sequence[Sequence[int]]) -> torch.Tensor:
    """Sentences of any lengths as one int64 tensor (B, longest), filled up with PAD on the right."""
    longest = max(len(sentence) for sentence in sentences)
    return torch.tensor([[*sentence, *[PAD] * (longest - len(sentence))] for sentence in sentences])


# %% [markdown]
# From Lecture 10 you have multi-head attention. Here is one, ready to use, in a few small methods. Read it once with
# care: you will call all of it. Its parameters have the names and shapes of `nn.MultiheadAttention`'s. What differs from
# Lecture 10's:
#
# - `padding_mask` takes the *tokens*, not the lengths: wherever PAD stands, it is hidden.
# - Vectors ask `x` and are answered by a `memory`, which need not be the same: $T$ rows and $S$ columns instead of
#   $n$ and $n$. Queries, keys and values have biases.
# - `attention` was called `scaled_dot_product_attention`. There, whoever may look at *nobody* gets 0; here, NaN. So let
#   everybody look somewhere. It is easy: no sentence is empty, and the first thing that a decoder reads is BEGIN.


# %%
def padding_mask(tokens: torch.Tensor) -> torch.Tensor:
    """(B, S) tokens -> (B, 1, S) mask: nobody may look at padding."""
    return (tokens != PAD)[:, None, :]


def causal_mask(length: int) -> torch.Tensor:
    """(T, T) mask: position t may look at the positions 0, ..., t."""
    return torch.ones(length, length, dtype=torch.bool).tril()


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled dot-product attention: (..., T, k), (..., S, k), (..., S, v) -> output (..., T, v), weights (..., T, S)."""
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights


class MultiHeadAttention(nn.Module):
    """Multi-head attention. `weights` holds the attention weights of the last call, (B, h, T, S)."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * d_model, d_model))  # of queries, keys and values
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * d_model))
        self.out_proj = nn.Linear(d_model, d_model)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, d) -> (B, h, T, d/h): each head gets its part of every vector."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project(self, x: torch.Tensor, memory: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries of x, (B, h, T, d/h); keys and values of the memory, (B, h, S, d/h) each."""
        w_q, w_k, w_v = self.in_proj_weight.chunk(3)
        b_q, b_k, b_v = self.in_proj_bias.chunk(3)
        return self.split(x @ w_q.T + b_q), self.split(memory @ w_k.T + b_k), self.split(memory @ w_v.T + b_v)

    def merge(self, heads: torch.Tensor) -> torch.Tensor:
        """(B, h, T, d/h) -> (B, T, d): the heads side by side, then the last linear layer."""
        return self.out_proj(heads.transpose(1, 2).flatten(2))

    def forward(self, x: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x, (B, T, d), looks at the memory, (B, S, d), where the mask says True: (B, T, d)."""
        heads, weights = attention(*self.project(x, memory), None if mask is None else mask[..., None, :, :])
        self.weights = weights.detach()
        return self.merge(heads)


# %% [markdown]
# # Part I: the parts
#
# ## 1. Positional encoding
#
# To self-attention a sentence is a bag of words: *boy* and *yob* are the same. So each position gets a vector of its
# own. Vaswani et al. took waves: the first two columns turn fast, the next two more slowly, the last ones hardly at
# all, like the hands of a clock. From the hands one can read the time, and a step of $k$ positions turns each hand by
# a fixed angle, wherever one starts.


# %% problem="positional_encoding"
def positional_encoding(length: int, d_model: int) -> torch.Tensor:
    r"""The positional encoding of Vaswani et al. (2017, section 3.5): sine and cosine, interleaved.

    $$PE_{pos,\,2i} = \sin\big(pos / 10000^{2i/d}\big) \qquad PE_{pos,\,2i+1} = \cos\big(pos / 10000^{2i/d}\big)$$

    for the positions $pos = 0, 1, \dots$ and $i = 0, 1, \dots$: columns 2i and 2i + 1 share one frequency.

    length: number of positions, at least 1; d_model: d, at least 1. Where d is odd, the last column is a sine whose
    cosine has no room any more.
    Returns a float32 tensor (length, d_model).
    """
    ### BEGIN SOLUTION
    position = torch.arange(length)[:, None]
    column = torch.arange(d_model)
    angle = position / 10000 ** (column // 2 * 2 / d_model)
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())
    ### END SOLUTION


# %% tests="positional_encoding"
_pe = positional_encoding(3, 4)
assert _pe.shape == (3, 4), f"One row for each position, d_model columns: (3, 4), not {tuple(_pe.shape)}."
np.testing.assert_allclose(_pe[0], [0, 1, 0, 1], err_msg="At position 0 each sine is 0 and each cosine 1, in turns.")
np.testing.assert_allclose(
    _pe[1], [0.841471, 0.540302, 0.01, 0.99995], atol=1e-5, err_msg="sin 1, cos 1, sin 0.01, cos 0.01: d is 4 here."
)
assert positional_encoding(5, 3).shape == (5, 3), "An odd d_model has one sine more than cosines."

# %% picture="clock_hands"
with picture("positional_encoding"):
    _pe = positional_encoding(60, 64)
    _figure, (_left, _right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    _image = _left.imshow(_pe.numpy(), aspect="auto", cmap="RdBu", vmin=-1, vmax=1)
    _left.set(xlabel="column", ylabel="position", title="Each row is the vector of one position")
    _figure.colorbar(_image, ax=_left)
    for _position, _colour in ((10, BLUE), (30, GREEN), (50, RED)):
        _right.plot(_pe @ _pe[_position], color=_colour, label=f"with position {_position}")
        _right.plot(_position, _pe[_position] @ _pe[_position], "o", color=_colour)
    _right.set(xlabel="position", ylabel="scalar product", title="Neighbours are alike, wherever you stand")
    _right.set_ylim(top=43)
    _right.legend(frameon=False, loc="upper right")

# %% [markdown]
# ## 2. Layer Normalization
#
# BatchNorm asks the neighbours in the batch. But sentences differ in length, and a sentence's neighbours should be none
# of its business. Layer Normalization (Ba et al. 2016) asks nobody: *each vector* is normalized over its own $d$
# entries. Build it here; later you may use `nn.LayerNorm`.


# %% problem="layer_norm"
def layer_norm(x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    r"""Layer Normalization: each vector along the last axis is normalized by itself. Not with torch's own.

    $$\mu = \frac1d \sum_{i=1}^d x_i \qquad v = \frac1d \sum_{i=1}^d (x_i - \mu)^2 \qquad
    \hat x_i = \gamma_i\,(x_i - \mu) / \sqrt{v + \epsilon} + \beta_i$$

    x: (..., d) floats, with any number of leading axes; gamma, beta: (d,), of the same dtype.
    Returns a new tensor of the shape and dtype of x, through which gradients flow. x stays as it is.
    """
    ### BEGIN SOLUTION
    mu = x.mean(dim=-1, keepdim=True)
    v = x.var(dim=-1, unbiased=False, keepdim=True)
    return gamma * (x - mu) / torch.sqrt(v + eps) + beta
    ### END SOLUTION


# %% tests="layer_norm"
_out = layer_norm(torch.tensor([[1.0, 3.0], [50.0, 10.0]]), torch.tensor([1.0, 2.0]), torch.tensor([0.0, 10.0]))
np.testing.assert_allclose(
    _out,
    [[-1, 12], [1, 8]],
    atol=1e-4,
    err_msg="Each row has its own mean and deviation; gamma and beta belong to columns.",
)
_words = torch.arange(24.0).reshape(2, 3, 4) ** 2
np.testing.assert_allclose(
    layer_norm(_words, torch.ones(4), torch.zeros(4))[1, 2],
    layer_norm(_words[1, 2], torch.ones(4), torch.zeros(4)),
    rtol=1e-5,
    err_msg="A word's result must depend neither on other words nor on other sentences.",
)

# %% [markdown]
# ## 3. Residual connections
#
# Every sublayer $f$ of a Transformer (attention, feed-forward) is wrapped in the same way: its input is added to its
# output. Where to normalize has two answers:
#
# $$\text{post-norm (Vaswani et al. 2017):}\quad \mathrm{norm}\big(x + f(x)\big) \qquad\qquad
# \text{pre-norm:}\quad x + f\big(\mathrm{norm}(x)\big)$$
#
# Look at the pre-norm formula: there is a way from the first layer to the last on which *nothing* happens to $x$.


# %% problem="residual"
def residual(
    x: torch.Tensor,
    sublayer: Callable[[torch.Tensor], torch.Tensor],
    norm: Callable[[torch.Tensor], torch.Tensor],
    pre_norm: bool,
) -> torch.Tensor:
    r"""A sublayer with its residual connection and its normalization.

    Post-norm: $\mathrm{norm}(x + f(x))$. Pre-norm: $x + f(\mathrm{norm}(x))$.

    x: a tensor of any shape; sublayer: f, and norm: functions that keep the shape. Each is called exactly once (a
    sublayer with dropout would give something else the second time).
    pre_norm: whether to normalize before the sublayer (True), or after the sum (False).
    Returns a new tensor; x stays as it is.
    """
    ### BEGIN SOLUTION
    return x + sublayer(norm(x)) if pre_norm else norm(x + sublayer(x))
    ### END SOLUTION


# %% tests="residual"
def _ten_times(x: torch.Tensor) -> torch.Tensor:
    return 10 * x


def _minus_one(x: torch.Tensor) -> torch.Tensor:  # stands for a normalization
    return x - 1


assert residual(torch.tensor(3.0), _ten_times, _minus_one, pre_norm=False) == 32, "Post-norm: (3 + 10 · 3) - 1 = 32."
assert residual(torch.tensor(3.0), _ten_times, _minus_one, pre_norm=True) == 23, "Pre-norm: 3 + 10 · (3 - 1) = 23."

# %% [markdown]
# ## 4. The feed-forward network
#
# After the words have talked to each other, each one thinks for itself: a small network with one hidden layer, *the same
# for every position* and for each position alone.


# %% problem="feed_forward"
def feed_forward(
    x: torch.Tensor, w_1: torch.Tensor, b_1: torch.Tensor, w_2: torch.Tensor, b_2: torch.Tensor
) -> torch.Tensor:
    r"""The position-wise feed-forward network (Vaswani et al. 2017, section 3.3).

    $$\mathrm{FFN}(x) = W_2 \max(0,\, W_1 x + b_1) + b_2$$

    for each vector x along the last axis.
    x: (..., d); w_1: (d_ff, d); b_1: (d_ff,); w_2: (d, d_ff); b_2: (d,), weights stored as `nn.Linear` stores them.
    Returns a tensor of the shape and dtype of x.
    """
    ### BEGIN SOLUTION
    return torch.relu(x @ w_1.T + b_1) @ w_2.T + b_2
    ### END SOLUTION


# %% tests="feed_forward"
_out = feed_forward(
    torch.tensor([[2.0], [-2.0]]),
    torch.tensor([[1.0], [-1.0]]),
    torch.tensor([0.0, 1.0]),
    torch.tensor([[3.0, -5.0]]),
    torch.tensor([0.5]),
)
assert _out.shape == (2, 1), f"The output has the shape of x, (2, 1), not {tuple(_out.shape)}."
assert _out[0] == 6.5, "Of 2 the hidden layer makes (2, 0), so the output is 3 · 2 + 0.5."
assert _out[1] == -14.5, (
    "Of -2 the hidden layer makes (0, 3), so the output is -5 · 3 + 0.5: no ReLU after the second layer."
)

# %% [markdown]
# Why all this wrapping? Stack 24 feed-forward sublayers, with weights as `nn.Linear` draws them, and send 32 random words
# through. On the left, how much of the gradient of the last output arrives at each layer (mind the axis: it is
# logarithmic). On the right, how alike different words have become: 0 means unrelated, 1 means one and the same. Each of
# the two ideas cures one of the two diseases.

# %% picture="a_deep_stack"
with picture("layer_norm", "residual", "feed_forward"):
    _depth, _width = 24, 64
    torch.manual_seed(12)
    _sublayers = [(nn.Linear(_width, 2 * _width), nn.Linear(2 * _width, _width)) for _ in range(_depth)]
    _start, _goal = torch.randn(2, 32, _width)

    def _norm(x: torch.Tensor) -> torch.Tensor:
        return layer_norm(x, torch.ones(_width), torch.zeros(_width))

    def _likeness(x: torch.Tensor) -> float:
        """The mean cosine between different rows."""
        unit = x.detach() / x.detach().norm(dim=1, keepdim=True)
        return ((unit @ unit.T).sum().item() - len(x)) / (len(x) * (len(x) - 1))

    _wrappings: dict[str, tuple[Callable, str]] = {
        "neither: f(x)": (lambda x, f: f(x), RED),
        "norm only: norm(f(x))": (lambda x, f: _norm(f(x)), GREY),
        "post-norm: norm(x + f(x))": (lambda x, f: residual(x, f, _norm, pre_norm=False), GREEN),
        "pre-norm: x + f(norm(x))": (lambda x, f: residual(x, f, _norm, pre_norm=True), BLUE),
    }
    _figure, (_left, _right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    for _label, (_wrap, _colour) in _wrappings.items():
        _x, _inputs = _start.clone().requires_grad_(), []
        for _first, _second in _sublayers:
            _inputs.append(_x)
            _parts = (_first.weight, _first.bias, _second.weight, _second.bias)
            _x = _wrap(_x, lambda x, parts=_parts: feed_forward(x, *parts))
        _sizes = [gradient.norm().item() for gradient in torch.autograd.grad((_x * _goal).sum(), _inputs)]
        _left.semilogy(range(1, _depth + 1), np.array(_sizes) / _sizes[-1], color=_colour, label=_label)
        _right.plot(range(1, _depth + 1), [_likeness(x) for x in _inputs], color=_colour, label=_label)
    _left.set(xlabel="layer", ylabel="gradient (last layer: 1)", title="What arrives of the gradient")
    _right.set(xlabel="layer", ylabel="mean cosine of two words", title="How alike the words have become")
    _right.legend(frameon=False, loc="center right")

# %% [markdown]
# # Part II: the machine
#
# ## 5. The encoder
#
# Two sublayers make an encoder layer: *look around* (self-attention), then *think* (feed-forward). With PyTorch's names
# for the parts, the weights of a trained `nn.TransformerEncoderLayer` can be loaded into yours, and the two must agree.
# Dropout acts on the output of each sublayer, before it is added (Vaswani et al. 2017, section 5.4), and in training
# only.


# %% problem="EncoderLayer"
class EncoderLayer(nn.Module):
    """One layer of the encoder: self-attention, then feed-forward, each with residual connection and normalization.

    Parts, named as in `nn.TransformerEncoderLayer`: `self_attn`, a `MultiHeadAttention`; `linear1` (d to d_ff) and
    `linear2` (d_ff to d), `nn.Linear`s; `norm1` (of self_attn) and `norm2` (of the feed-forward network),
    `nn.LayerNorm`s. `state_dict()` has their entries and no others.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int, dropout: float = 0.1, pre_norm: bool = False) -> None:
        """dropout: from 0 to 1, the probability that an entry of a sublayer's output is dropped: use `nn.Dropout`."""
        ### BEGIN SOLUTION
        super().__init__()
        self.self_attn = MultiHeadAttention(d_model, heads)
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm
        ### END SOLUTION

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x: (B, S, d); mask: True where one may look, broadcasts to (B, S, S), None for everywhere.

        Returns (B, S, d): pre-norm or post-norm as in `residual`, with dropout on the output of each sublayer.
        """
        ### BEGIN SOLUTION
        x = residual(x, lambda x: self.dropout(self.self_attn(x, x, mask)), self.norm1, self.pre_norm)
        return residual(x, lambda x: self.dropout(self.think(x)), self.norm2, self.pre_norm)

    def think(self, x: torch.Tensor) -> torch.Tensor:
        """The feed-forward network."""
        return feed_forward(x, self.linear1.weight, self.linear1.bias, self.linear2.weight, self.linear2.bias)
        ### END SOLUTION


# %% tests="EncoderLayer"
_theirs = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
_yours = EncoderLayer(8, 2, 16)
assert sorted(_yours.state_dict()) == sorted(_theirs.state_dict()), (
    f"PyTorch's layer has the entries {sorted(_theirs.state_dict())}, yours {sorted(_yours.state_dict())}."
)
_yours.load_state_dict(_theirs.state_dict())
_theirs.eval(), _yours.eval()
_x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
np.testing.assert_allclose(
    _yours(_x).detach(),
    _theirs(_x).detach(),
    atol=1e-5,
    err_msg="With PyTorch's weights your layer gives other values.",
)
_see = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])[:, None, :]
_poked = _x.clone()
_poked[0, 4] += 1
np.testing.assert_allclose(
    _yours(_x, _see)[0, :3].detach(),
    _yours(_poked, _see)[0, :3].detach(),
    atol=1e-6,
    err_msg="Position 4 of sentence 0 is masked, but the other positions noticed that it changed.",
)

# %% [markdown]
# ### The stack
#
# $N$ layers, each with weights of its own. Post-norm layers end with a normalization. In pre-norm, the sum that runs
# past all layers has never been normalized: the stack does that once, at the very end.


# %% problem="Encoder"
class Encoder(nn.Module):
    """A stack of N encoder layers, and with pre-norm one more `nn.LayerNorm` at the end.

    Parts, named as in `nn.TransformerEncoder`: `layers`, an `nn.ModuleList` of N different `EncoderLayer`s; and, only
    with pre-norm, `norm`. `state_dict()` has their entries and no others.
    """

    def __init__(
        self, d_model: int, heads: int, d_ff: int, layers: int, dropout: float = 0.1, pre_norm: bool = False
    ) -> None:
        """layers: N, at least 1. The other arguments are those of `EncoderLayer`."""
        ### BEGIN SOLUTION
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(d_model, heads, d_ff, dropout, pre_norm) for _ in range(layers))
        self.norm = nn.LayerNorm(d_model) if pre_norm else nn.Identity()
        ### END SOLUTION

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x: (B, S, d); mask: for every layer, as in `EncoderLayer`. Returns the memory, (B, S, d)."""
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)
        ### END SOLUTION


# %% tests="Encoder"
_layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
_theirs = nn.TransformerEncoder(_layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False).eval()
_yours = Encoder(8, 2, 16, layers=2, pre_norm=True).eval()
assert sorted(_yours.state_dict()) == sorted(_theirs.state_dict()), "With pre-norm, layers.0, layers.1 and norm."
_yours.load_state_dict(_theirs.state_dict())
_x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
np.testing.assert_allclose(
    _yours(_x).detach(),
    _theirs(_x).detach(),
    atol=1e-5,
    err_msg="With PyTorch's weights your stack gives other values.",
)
assert not any(name.startswith("norm") for name in Encoder(8, 2, 16, layers=1).state_dict()), (
    "Post-norm layers end with a normalization anyway: the stack has none of its own."
)

# %% [markdown]
# ## 6. Cross-attention
#
# The bridge from the encoder to the decoder. The decoder asks, the encoder's memory answers: **queries come from the
# decoder, keys and values from the memory**. So the output is as long as the target, and each of its vectors is a
# mixture of source positions. First on its own, with a single head.


# %% problem="cross_attention"
def cross_attention(
    x: torch.Tensor,
    memory: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    memory_mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Cross-attention with one head: each vector of x asks all vectors of the memory.

    $$q = W^q x \qquad k = W^k m \qquad v = W^v m \qquad
    A = \mathrm{softmax}\big(q^\top k / \sqrt{d_k}\big) \text{ over the memory} \qquad \text{output} = A\, v$$

    x: (B, T, d); memory: m, (B, S, d_m); w_q: (d_k, d); w_k: (d_k, d_m); w_v: (d_v, d_m).
    memory_mask: boolean, True where one may look, broadcasts to (B, T, S), such as (B, 1, S); None for everywhere.
    Every position may look somewhere. You may use `attention`.
    Returns the output, (B, T, d_v), and the weights A, (B, T, S): 0 where one may not look.
    """
    ### BEGIN SOLUTION
    return attention(x @ w_q.T, memory @ w_k.T, memory @ w_v.T, memory_mask)
    ### END SOLUTION


# %% tests="cross_attention"
_x, _memory = torch.zeros(1, 2, 3), torch.tensor([[[1.0, 0], [3.0, 0], [8.0, 0]]])
_w_q, _w_k, _w_v = torch.ones(4, 3), torch.ones(4, 2), torch.eye(2)
_out, _weights = cross_attention(_x, _memory, _w_q, _w_k, _w_v)
assert _out.shape == (1, 2, 2), f"As many vectors as the decoder asks questions, (1, 2, 2), not {tuple(_out.shape)}."
assert _weights.shape == (1, 2, 3), f"A weight for each question and memory vector, not {tuple(_weights.shape)}."
np.testing.assert_allclose(
    _out[0, 0], [4, 0], rtol=1e-5, err_msg="A query of 0 asks all alike: the mean of the values."
)
_out, _ = cross_attention(_x, _memory, _w_q, _w_k, _w_v, torch.tensor([[[True, True, False]]]))
np.testing.assert_allclose(
    _out[0, 0], [2, 0], rtol=1e-5, err_msg="The third memory vector is masked: the mean of 1 and 3."
)

# %% [markdown]
# ## 7. The decoder
#
# Three sublayers: look around *in what has been written so far*, look at the memory, think. While training, the whole
# target is there at once, so the decoder must be kept from looking ahead. It learns nothing by copying the next word from
# its own input.


# %% problem="DecoderLayer"
class DecoderLayer(nn.Module):
    """One layer of the decoder: causal self-attention, cross-attention, feed-forward, each as in `residual`.

    Parts, named as in `nn.TransformerDecoderLayer`: `self_attn` and `multihead_attn` (the cross-attention),
    `MultiHeadAttention`s; `linear1`, `linear2`, `nn.Linear`s; `norm1` (of self_attn), `norm2` (of multihead_attn) and
    `norm3` (of the feed-forward network), `nn.LayerNorm`s. `state_dict()` has their entries and no others.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int, dropout: float = 0.1, pre_norm: bool = False) -> None:
        """The arguments are those of `EncoderLayer`."""
        ### BEGIN SOLUTION
        super().__init__()
        self.self_attn = MultiHeadAttention(d_model, heads)
        self.multihead_attn = MultiHeadAttention(d_model, heads)
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(d_model) for _ in range(3))
        self.dropout = nn.Dropout(dropout)
        self.pre_norm = pre_norm
        ### END SOLUTION

    def forward(
        self,
        x: torch.Tensor,
        memory: torch.Tensor,
        mask: torch.Tensor | None = None,
        memory_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """x: (B, T, d), what has been written; memory: (B, S, d), used as it is (norms act on x only).

        The self-attention is always causal: position t looks at the positions 0, ..., t, and of these only where
        `mask` allows (broadcasts to (B, T, T); None for everywhere). `memory_mask` broadcasts to (B, T, S) and says
        where in the memory one may look. Returns (B, T, d), with dropout on the output of each sublayer.
        """
        ### BEGIN SOLUTION
        causal = causal_mask(x.shape[1])
        mask = causal if mask is None else mask & causal
        x = residual(x, lambda x: self.dropout(self.self_attn(x, x, mask)), self.norm1, self.pre_norm)
        x = residual(x, lambda x: self.dropout(self.multihead_attn(x, memory, memory_mask)), self.norm2, self.pre_norm)
        return residual(x, lambda x: self.dropout(self.think(x)), self.norm3, self.pre_norm)

    def think(self, x: torch.Tensor) -> torch.Tensor:
        """The feed-forward network."""
        return feed_forward(x, self.linear1.weight, self.linear1.bias, self.linear2.weight, self.linear2.bias)
        ### END SOLUTION


# %% tests="DecoderLayer"
_theirs = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True).eval()
_yours = DecoderLayer(8, 2, 16).eval()
assert sorted(_yours.state_dict()) == sorted(_theirs.state_dict()), (
    f"PyTorch's layer has the entries {sorted(_theirs.state_dict())}, yours {sorted(_yours.state_dict())}."
)
_yours.load_state_dict(_theirs.state_dict())
_x, _memory = torch.randn(2, 9, 8, generator=torch.Generator().manual_seed(0)).split([4, 5], dim=1)
np.testing.assert_allclose(
    _yours(_x, _memory).detach(),
    _theirs(_x, _memory, tgt_mask=~causal_mask(4)).detach(),
    atol=1e-5,
    err_msg="With PyTorch's weights (and its masks, which say True where one may NOT look) your layer differs.",
)
_poked = _x.clone()
_poked[:, 2] += 1
_moved = (_yours(_poked, _memory) - _yours(_x, _memory)).abs().amax(dim=(0, 2)) > 1e-6
assert _moved.tolist() == [False, False, True, True], f"Position 2 changed. Who noticed? {_moved.tolist()}."


# %% problem="Decoder"
class Decoder(nn.Module):
    """A stack of N decoder layers, and with pre-norm one more `nn.LayerNorm` at the end.

    Parts, named as in `nn.TransformerDecoder`: `layers`, an `nn.ModuleList` of N different `DecoderLayer`s; and, only
    with pre-norm, `norm`. `state_dict()` has their entries and no others.
    """

    def __init__(
        self, d_model: int, heads: int, d_ff: int, layers: int, dropout: float = 0.1, pre_norm: bool = False
    ) -> None:
        """layers: N, at least 1. The other arguments are those of `DecoderLayer`."""
        ### BEGIN SOLUTION
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(d_model, heads, d_ff, dropout, pre_norm) for _ in range(layers))
        self.norm = nn.LayerNorm(d_model) if pre_norm else nn.Identity()
        ### END SOLUTION

    def forward(
        self,
        x: torch.Tensor,
        memory: torch.Tensor,
        mask: torch.Tensor | None = None,
        memory_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Arguments as in `DecoderLayer`: every layer gets the same memory and the same masks. Returns (B, T, d)."""
        ### BEGIN SOLUTION
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return self.norm(x)
        ### END SOLUTION


# %% tests="Decoder"
_layer = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
_theirs, _yours = nn.TransformerDecoder(_layer, 2).eval(), Decoder(8, 2, 16, layers=2).eval()
assert sorted(_yours.state_dict()) == sorted(_theirs.state_dict()), "Post-norm: layers.0 and layers.1, no further norm."
_yours.load_state_dict(_theirs.state_dict())
_see = torch.tensor([[True] * 3 + [False] * 2, [True] * 5])
np.testing.assert_allclose(
    _yours(_x, _memory, memory_mask=_see[:, None, :]).detach(),
    _theirs(_x, _memory, tgt_mask=~causal_mask(4), memory_key_padding_mask=~_see).detach(),
    atol=1e-5,
    err_msg="With PyTorch's weights and a memory mask your stack gives other values.",
)
assert Decoder(8, 2, 16, layers=3, pre_norm=True).norm.weight.shape == (8,), "A pre-norm stack ends with a norm."

# %% [markdown]
# ## 8. The Transformer
#
# Put it together. Tokens become vectors by an embedding, times $\sqrt d$ (section 3.4 of the paper), plus the positional
# encoding. The embedding starts with a deviation of $1/\sqrt d$, so that a token's vector and its position's are about
# equally loud; with PyTorch's default of 1 the position would drown.
#
# Two padding rules hold everywhere: *nobody looks at padding of the source* (neither the encoder, nor the decoder's
# cross-attention), and *nobody looks at padding of the target*.


# %% problem="Transformer"
class Transformer(nn.Module):
    r"""The Transformer: source and target tokens in, logits of the next token out.

    Parts: `source_embedding` and `target_embedding`, `nn.Embedding(V, d)`, whose weights start normally distributed
    with mean 0 and standard deviation $1/\sqrt d$; `encoder`, an `Encoder`; `decoder`, a `Decoder`; `output`,
    `nn.Linear(d, V)`. `state_dict()` has their entries and no others (the positional encoding is not learned).
    """

    def __init__(
        self,
        vocabulary: int,
        d_model: int,
        heads: int,
        d_ff: int,
        layers: int,
        dropout: float = 0.1,
        pre_norm: bool = True,
    ) -> None:
        """vocabulary: V, for source and target alike. layers: N, of the encoder and of the decoder. dropout: for the sums
        of embedding and position, and for all layers. The other arguments are those of `Encoder` and `Decoder`.
        """
        ### BEGIN SOLUTION
        super().__init__()
        self.source_embedding = nn.Embedding(vocabulary, d_model)
        self.target_embedding = nn.Embedding(vocabulary, d_model)
        for embedding in (self.source_embedding, self.target_embedding):
            nn.init.normal_(embedding.weight, std=1 / math.sqrt(d_model))
        self.encoder = Encoder(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.decoder = Decoder(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.output = nn.Linear(d_model, vocabulary)
        self.dropout = nn.Dropout(dropout)
        ### END SOLUTION

    def encode(self, source: torch.Tensor) -> torch.Tensor:
        r"""source: int64 tokens, (B, S), padded with PAD on the right, S up to 500. Returns the memory, (B, S, d).

        The encoder gets embedding $\cdot \sqrt d$ + positional encoding, with dropout, and looks at no padding.
        """
        ### BEGIN SOLUTION
        return self.encoder(self.embed(source, self.source_embedding), padding_mask(source))
        ### END SOLUTION

    def decode(self, target: torch.Tensor, memory: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        r"""target: what the decoder reads, int64 tokens, (B, T), T up to 500; memory: that of `source`, (B, S, d).

        The decoder gets embedding $\cdot \sqrt d$ + positional encoding, with dropout. It looks at no PAD of the target,
        wherever it stands, and at no vector of the memory where the source is PAD.
        Returns logits, (B, T, V): entry t is about the token that follows the tokens 0, ..., t of the target.
        """
        ### BEGIN SOLUTION
        x = self.embed(target, self.target_embedding)
        return self.output(self.decoder(x, memory, padding_mask(target), padding_mask(source)))

    def embed(self, tokens: torch.Tensor, embedding: nn.Embedding) -> torch.Tensor:
        """Tokens (B, T) as vectors that know their positions, (B, T, d)."""
        d_model = embedding.embedding_dim
        x = embedding(tokens) * math.sqrt(d_model) + positional_encoding(tokens.shape[1], d_model)
        return self.dropout(x)
        ### END SOLUTION

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Encode the source, (B, S), then decode with the target, (B, T): logits, (B, T, V)."""
        ### BEGIN SOLUTION
        return self.decode(target, self.encode(source), source)
        ### END SOLUTION


# %% tests="Transformer"
torch.manual_seed(12)
_model = Transformer(VOCABULARY, 16, 2, 32, layers=1).eval()
_source, _target = pad_batch([to_tokens("beer"), to_tokens("boy")]), pad_batch([to_tokens("ree"), to_tokens("yo")])
with torch.no_grad():
    _logits = _model(_source, _target)
    assert _logits.shape == (2, 3, VOCABULARY), f"Logits of shape (B, T, V) are expected, not {tuple(_logits.shape)}."
    np.testing.assert_allclose(
        _logits[1, :2],
        _model(_source[1:, :3], _target[1:, :2])[0],
        atol=1e-5,
        err_msg="'boy' alone and 'boy' with padding must give the same logits: somebody looks at the padding.",
    )
    assert not torch.allclose(_model(_source[:1], _target[:1]), _model(_source[:1].flip(1), _target[:1])), (
        "'beer' and 'reeb' give the same logits: the source's positions are missing."
    )
_spread = _model.source_embedding.weight.std().item()
assert 0.2 < _spread < 0.3, f"For d = 16 the embedding starts with a deviation of 1/4, not {_spread:.2f}."

# %% [markdown]
# Who may know about whom? Poke one input after the other, and colour each output that moves. The source is *boy*, padded
# to 5 letters.

# %% picture="who_knows_what"
with picture("Transformer"), torch.no_grad():
    torch.manual_seed(3)
    _model = Transformer(VOCABULARY, 16, 2, 32, layers=2).eval()
    _source = torch.tensor([[*to_tokens("boy"), PAD, PAD]])
    _target = torch.tensor([[BEGIN, *to_tokens("yob")]])
    _memory = _model.encode(_source)
    _logits = _model.decode(_target, _memory, _source)

    def _poke(tokens: torch.Tensor, position: int) -> torch.Tensor:
        poked = tokens.clone()
        poked[0, position] = 25 if tokens[0, position] != PAD else PAD
        return poked

    def _louder(memory: torch.Tensor, position: int) -> torch.Tensor:
        poked = memory.clone()
        poked[0, position] += torch.linspace(-1, 1, memory.shape[-1])
        return poked

    _panels = {
        "encoder: the memory, if a source token changes": [
            (_model.encode(_poke(_source, i)) - _memory).abs().amax(dim=(0, 2)) > 1e-6 for i in range(5)
        ],
        "cross-attention: logits,\nif a memory vector changes": [
            (_model.decode(_target, _louder(_memory, i), _source) - _logits).abs().amax(dim=(0, 2)) > 1e-6
            for i in range(5)
        ],
        "decoder: logits,\nif a target token changes": [
            (_model.decode(_poke(_target, i), _memory, _source) - _logits).abs().amax(dim=(0, 2)) > 1e-6
            for i in range(4)
        ],
    }
    _from = [list("boy__"), list("boy__"), list("<yob")]
    _to = [list("boy__"), list("<yob"), list("<yob")]
    _figure, _axes = plt.subplots(1, 3, figsize=(11.5, 3.9), layout="constrained")
    for _axis, (_title, _moved), _columns, _rows in zip(_axes, _panels.items(), _from, _to, strict=True):
        _grid = torch.stack(_moved, dim=1).numpy()
        _axis.pcolormesh(_grid, cmap="Blues", vmin=0, vmax=1.4, edgecolors="white", linewidth=2)
        _axis.set(title=_title.replace("memory, if", "memory,\nif"), aspect="equal")
        _axis.set(xlabel="what changes", xticks=np.arange(len(_columns)) + 0.5, xticklabels=_columns)
        _axis.set(ylabel="position", yticks=np.arange(len(_rows)) + 0.5, yticklabels=_rows)
        _axis.invert_yaxis()

# %% [markdown]
# # Part III: learning to write
#
# ## 9. Teacher forcing
#
# While it learns, the decoder does not read its own first attempts but the truth: to predict token $t$ it is given the
# true tokens before $t$. **Teacher forcing**. One shift prepares it for all positions at once:
#
# | position | 0 | 1 | 2 | 3 |
# |---|---|---|---|---|
# | the decoder reads | BEGIN | y | o | b |
# | and is to say | y | o | b | END |


# %% problem="shift_right"
def shift_right(target: torch.Tensor, begin: int) -> torch.Tensor:
    """What the decoder reads while it learns to say `target`: BEGIN, then the target without its last token.

    target: int64 tokens, (B, T), T at least 1; begin: the token BEGIN.
    Returns an int64 tensor (B, T); target stays as it is.
    """
    ### BEGIN SOLUTION
    return torch.cat([torch.full_like(target[:, :1], begin), target[:, :-1]], dim=1)
    ### END SOLUTION


# %% tests="shift_right"
_target = torch.tensor([[7, 8, END], [9, END, PAD]])
_read = shift_right(_target, BEGIN)
assert _read.shape == _target.shape, "The decoder reads as many tokens as it says."
assert _read.tolist() == [[BEGIN, 7, 8], [BEGIN, 9, END]], f"BEGIN first, then the truth so far: not {_read.tolist()}."

# %% [markdown]
# ## 10. The loss
#
# At each position a cross-entropy over the vocabulary. Two things to mind. *Padding is no word*: it must neither add to
# the loss nor to the number of words that it is divided by. And the teacher should not be too sure of himself: **label
# smoothing** (Szegedy et al. 2016) moves a share $\varepsilon$ of the probability from the right token to all tokens
# evenly. Vaswani et al. found that it makes the model less certain, and its translations better.


# %% problem="seq2seq_loss"
def seq2seq_loss(logits: torch.Tensor, target: torch.Tensor, pad: int, label_smoothing: float = 0.0) -> torch.Tensor:
    r"""The mean cross-entropy over all tokens of the batch that are no padding, with label smoothing.

    $$L = -\frac1M \sum_{b,\,t:\; y_{bt} \ne PAD}\; \sum_{v=0}^{V-1} q_{bt}(v) \log p_{bt}(v) \qquad
    q_{bt}(v) = (1 - \varepsilon)\,[v = y_{bt}] + \frac{\varepsilon}{V}$$

    where $p_{bt}$ is the softmax of the logits at (b, t), and M the number of tokens $y_{bt}$ of the whole batch that are
    not PAD (at least 1). V counts all tokens, PAD among them.
    logits: (B, T, V) floats, which may be large; target: int64 tokens y, (B, T); pad: the token PAD;
    label_smoothing: ε, from 0 to 1. Not with torch's finished losses (`cross_entropy`, `nll_loss`); `log_softmax` is fine.
    Returns L, a tensor without dimensions in the dtype of the logits, through which gradients flow.
    """
    ### BEGIN SOLUTION
    log_p = logits.log_softmax(dim=-1)
    right = log_p.gather(-1, target[..., None])[..., 0]
    losses = -(1 - label_smoothing) * right - label_smoothing * log_p.mean(dim=-1)
    return losses[target != pad].mean()
    ### END SOLUTION


# %% tests="seq2seq_loss"
_logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, math.log(5.0)], [9.0, 0.0, 0.0, 0.0]]])
_loss = seq2seq_loss(_logits[:, :1], torch.tensor([[3]]), pad=0)
np.testing.assert_allclose(_loss, math.log(4), rtol=1e-5, err_msg="All four tokens alike: the loss is log 4.")
_loss = seq2seq_loss(_logits, torch.tensor([[3, 3, 0]]), pad=0)
np.testing.assert_allclose(
    _loss,
    (math.log(4) + math.log(8 / 5)) / 2,
    rtol=1e-5,
    err_msg="Two words, with probabilities 1/4 and 5/8. The third token is padding and does not count, on either side.",
)
_loss = seq2seq_loss(_logits[:, 1:2], torch.tensor([[3]]), pad=0, label_smoothing=0.4)
np.testing.assert_allclose(
    _loss,
    0.7 * math.log(8 / 5) + 0.3 * math.log(8),
    rtol=1e-5,
    err_msg="With eps = 0.4 the right one of four tokens gets 0.6 + 0.1, and the three others 0.1 each.",
)

# %% [markdown]
# # Part IV: writing
#
# Now the teacher leaves the room. The machine reads BEGIN, says a token, reads that too, says the next one, until it
# says END. All that a decoder needs to know of the machine is one function:
#
# `step(prefix, sentence)` takes `prefix`, int64 tokens $(R, t)$ that begin with BEGIN, and `sentence`, int64 $(R,)$: which
# sentence of the batch each row belongs to. It returns the log-probabilities of the next token, $(R, V)$.
#
# So your decoders work with every model, and with a table of probabilities written down by hand, where one can check
# them with pencil and paper.

# %%
Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def table_step(tables: Sequence[dict[str, dict[str, float]]]) -> Step:
    """A machine that looks its answers up: tables[sentence][what was written so far][next token] is a probability.

    Letters a, b, c, and > for END. A prefix that is in no table is followed by any token alike.
    """

    def step(prefix: torch.Tensor, sentence: torch.Tensor) -> torch.Tensor:
        rows = []
        for tokens, which in zip(prefix.tolist(), sentence.tolist(), strict=True):
            choices = tables[which].get(to_word(tokens[1:]), dict.fromkeys("_<>abc", 1 / 6))
            rows.append([choices.get(token, 0.0) for token in "_<>abc"])
        return torch.tensor(rows, dtype=torch.float64).log()

    return step


def transformer_step(model: nn.Module, source: torch.Tensor) -> Step:
    """Your Transformer as such a machine: the source, (B, S), is encoded once."""
    memory = model.encode(source)

    def step(prefix: torch.Tensor, sentence: torch.Tensor) -> torch.Tensor:
        return model.decode(prefix, memory[sentence], source[sentence])[:, -1].log_softmax(dim=-1)

    return step


# %% [markdown]
# ## 11. Greedy decoding
#
# Take the likeliest token, every time. The sentences of a batch end at different times: one that has ended is filled up
# with PAD and *stays* ended, whatever the machine says about it, and the others go on.


# %% problem="greedy_decode"
def greedy_decode(step: Step, batch_size: int, begin: int, end: int, pad: int, max_length: int) -> torch.Tensor:
    """Write a batch of sentences, always with the likeliest next token.

    step: step(prefix, sentence) gives (R, V) log-probabilities of the next token after each row of prefix, (R, t)
    int64, which starts with BEGIN; sentence, (R,) int64, says which of the B sentences a row belongs to.
    batch_size: B, at least 1; begin, end, pad: the tokens BEGIN, END and PAD; max_length: at least 1.
    A sentence is finished as soon as END is its likeliest token; from then on it is filled up with PAD, whatever
    `step` says about it. `step` is asked once for each position, for all sentences (or all unfinished ones) together,
    and no more once all are finished, or once max_length tokens have been written.
    Returns an int64 tensor (B, L), without BEGIN, with END (where it was said), L the length of the longest sentence.
    """
    ### BEGIN SOLUTION
    sentence = torch.arange(batch_size)
    tokens = torch.full((batch_size, 1), begin)
    finished = torch.zeros(batch_size, dtype=torch.bool)
    while not finished.all() and tokens.shape[1] <= max_length:
        best = step(tokens, sentence).argmax(dim=-1)
        best[finished] = pad
        finished |= best == end
        tokens = torch.cat([tokens, best[:, None]], dim=1)
    return tokens[:, 1:]
    ### END SOLUTION


# %% tests="greedy_decode"
_short = {"": {"a": 0.6, ">": 0.4}, "a": {">": 0.7, "b": 0.3}, "a>": {"b": 1.0}, "a>_": {"c": 1.0}}
_long = {"": {"b": 0.9, "a": 0.1}, "b": {"b": 1.0}, "bb": {"c": 0.8, ">": 0.2}, "bbc": {">": 1.0}}
_out = greedy_decode(table_step([_short]), 1, BEGIN, END, PAD, max_length=10)
assert _out.tolist() == [[*to_tokens("a"), END]], f"The likeliest tokens are a and END, not {_out.tolist()}."
_out = greedy_decode(table_step([_short, _long]), 2, BEGIN, END, PAD, max_length=10)
assert _out.shape == (2, 4), f"The longest sentence has 3 letters and END: shape (2, 4), not {tuple(_out.shape)}."
assert _out[1].tolist() == [*to_tokens("bbc"), END], "The second sentence must go on when the first one ends."
assert _out[0].tolist() == [*to_tokens("a"), END, PAD, PAD], "After END comes PAD, and nothing else any more."
_out = greedy_decode(table_step([_long]), 1, BEGIN, END, PAD, max_length=2)
assert _out.tolist() == [to_tokens("bb")], "After max_length tokens the pen is taken away."

# %% [markdown]
# ## 12. Beam search
#
# The greedy writer never looks back. In the picture below it starts with *a*, the likelier letter, and then nothing
# good comes any more. **Beam search** keeps the $K$ best beginnings instead of one.
#
# Probabilities of a sentence are products, so with logarithms they are sums: longer sentences have lower sums. To be
# fair to long ones, divide by the length to the power of $\alpha$ (a simple form of the length penalty of Wu et al. 2016;
# $\alpha = 0$ is no penalty, $\alpha = 1$ the mean per token).


# %% problem="beam_search"
def beam_search(
    step: Step, batch_size: int, begin: int, end: int, beam_size: int, max_length: int, alpha: float = 0.0
) -> list[tuple[list[int], float]]:
    r"""Write a batch of sentences with beam search; every sentence has a beam of its own.

    A hypothesis is a list of tokens with its log-probability, the sum of those of its tokens. The beam starts with the
    empty hypothesis, of log-probability 0. Then, up to max_length times, and only as long as the beam holds an
    unfinished hypothesis: extend every *unfinished* hypothesis by every token; a *finished* one (its last token is END)
    stays in the running as it is; of all of these, the `beam_size` of the largest log-probability are the new beam.
    (There may be fewer than beam_size of them.) At the end, of all hypotheses in the beam, finished or not, the one of
    the largest score wins:

    $$\text{score} = \frac{\log p}{\text{length}^{\,\alpha}}$$

    where the length counts END, but not BEGIN.
    step: step(prefix, sentence) gives (R, V) log-probabilities of the next token after each row of prefix, (R, t)
    int64, which starts with BEGIN; sentence, (R,) int64, says which of the B sentences a row belongs to. R is up to you.
    batch_size: B; begin, end: the tokens; beam_size, max_length: at least 1; alpha: 0 or more. A log-probability may be
    -inf, for what is impossible; something possible always wins.
    Returns for each sentence the winner's tokens, a list of ints without BEGIN and with END (if it was said), and its
    score, a float. No two hypotheses that matter are equally good.
    """
    ### BEGIN SOLUTION
    results = []
    for which in range(batch_size):
        beam: list[tuple[float, list[int]]] = [(0.0, [])]
        for _ in range(max_length):
            finished = [(total, tokens) for total, tokens in beam if tokens[-1:] == [end]]
            unfinished = [(total, tokens) for total, tokens in beam if tokens[-1:] != [end]]
            if not unfinished:
                break
            prefix = torch.tensor([[begin, *tokens] for _, tokens in unfinished])
            rows = step(prefix, torch.full((len(unfinished),), which)).tolist()
            longer = [
                (total + log_p, [*tokens, token])
                for (total, tokens), row in zip(unfinished, rows, strict=True)
                for token, log_p in enumerate(row)
            ]
            beam = sorted(finished + longer, reverse=True)[:beam_size]
        score, best = max((total / len(tokens) ** alpha, tokens) for total, tokens in beam)
        results.append((best, score))
    return results
    ### END SOLUTION


# %% tests="beam_search"
_tempting = {
    "": {"a": 0.5, "b": 0.4, "c": 0.1},
    "a": {"a": 0.4, "b": 0.3, "c": 0.3},
    "b": {"c": 0.9, "a": 0.1},
    **{word: {">": 1.0} for word in ("aa", "ab", "ac", "ba", "bc", "ca", "cb", "cc")},
}
((_tokens, _score),) = beam_search(table_step([_tempting]), 1, BEGIN, END, beam_size=1, max_length=5)
assert to_word(_tokens) == "aa>", f"A beam of one is greedy: aa>, not {to_word(_tokens)}."
((_tokens, _score),) = beam_search(table_step([_tempting]), 1, BEGIN, END, beam_size=2, max_length=5)
assert to_word(_tokens) == "bc>", (
    f"With two beginnings kept, bc (0.4 · 0.9) beats aa (0.5 · 0.4): not {to_word(_tokens)}."
)
assert math.isclose(_score, math.log(0.36)), f"The score is log(0.4 · 0.9), not {_score}."
_curt = {"": {">": 0.4, "a": 0.35, "b": 0.25}, "a": {"b": 1.0}, "ab": {">": 0.9, "a": 0.1}}
_out = beam_search(table_step([_tempting, _curt]), 2, BEGIN, END, beam_size=2, max_length=5)
assert [to_word(tokens) for tokens, _ in _out] == ["bc>", ">"], (
    "Each sentence has its own beam: > (0.4) beats ab> (0.315)."
)
((_tokens, _score),) = beam_search(table_step([_curt]), 1, BEGIN, END, beam_size=2, max_length=5, alpha=1.0)
assert to_word(_tokens) == "ab>", "With alpha = 1, log 0.315 over 3 tokens beats log 0.4 over one."
assert math.isclose(_score, math.log(0.315) / 3), "The score is divided by the number of tokens, END included."

# %% picture="two_writers"
with picture("greedy_decode", "beam_search"):
    _greedy = to_word(greedy_decode(table_step([_tempting]), 1, BEGIN, END, PAD, 5)[0].tolist())
    _beam = to_word(beam_search(table_step([_tempting]), 1, BEGIN, END, beam_size=2, max_length=5)[0][0])
    _words = ["aa", "ab", "ac", "bc", "ba"]
    _place = {"": (0.0, 2.0), "a": (1.0, 3.0), "b": (1.0, 0.5), **{w: (2.0, 4.0 - i) for i, w in enumerate(_words)}}
    _figure, _axis = plt.subplots(figsize=(8.5, 4), layout="constrained")
    for _word, (_x, _y) in _place.items():
        if _word:
            _x0, _y0 = _place[_word[:-1]]
            for _path, _colour, _size in (("", GREY, 1.0), (_beam, BLUE, 5.0), (_greedy, RED, 5.0)):
                if not _path or _path.startswith(_word):
                    _axis.plot([_x0, _x], [_y0, _y], color=_colour, linewidth=_size, zorder=1, alpha=0.8)
            _probability = _tempting[_word[:-1]][_word[-1]]
            _axis.text((_x0 + 2 * _x) / 3, (_y0 + 2 * _y) / 3 + 0.14, f"{_probability}", ha="center", color="dimgrey")
        _axis.text(_x, _y, _word or "<", ha="center", va="center", bbox={"boxstyle": "circle", "fc": "white"}, zorder=2)
    for _path, _name, _colour in ((_greedy, "greedy", RED), (_beam, "beam of 2", BLUE)):
        _whole = math.prod(_tempting[_path[:i]][_path[i]] for i in range(len(_path) - 1))
        _x, _y = _place[_path[:-1]]
        _axis.text(_x + 0.15, _y, f"{_name}: {_path[:-1]}, probability {_whole:.2f}", color=_colour, va="center")
    _axis.set(xlim=(-0.2, 3.2), title="The greedy writer takes the likelier first letter, and pays for it")
    _axis.axis("off")

# %% [markdown]
# ## 13. Never compute twice
#
# To write token $t$, the greedy writer sends all $t$ tokens so far through the decoder, and again for the next one: what
# could be linear work becomes quadratic. But thanks to the causal mask, the keys and values of old positions never
# change. Keep them: that is the **KV cache** of every chatbot. Only the new positions ask; they look at all the kept
# positions, and at themselves.


# %% problem="cached_attention"
def cached_attention(
    layer: MultiHeadAttention, x: torch.Tensor, cache: tuple[torch.Tensor, torch.Tensor] | None
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Causal self-attention of the new positions only; the keys and values of the old ones come from the cache.

    layer: the `MultiHeadAttention`, of h heads (`project` gives queries, keys and values, `merge` puts heads together).
    x: (B, n, d), the new positions; n is at least 1. cache: None if there are no old positions, else what the last call
    returned: the keys and values of the t old positions, (B, h, t, d/h) each.
    A new position looks at all old ones, at itself, and at the new ones before it: the output is that of causal
    self-attention over all t + n positions together, at the new ones.
    Returns the output, (B, n, d), and the new cache: keys and values of all t + n positions, (B, h, t + n, d/h) each.
    The old cache stays as it is: another beam may need it.
    """
    ### BEGIN SOLUTION
    query, key, value = layer.project(x, x)
    if cache is not None:
        key, value = torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)
    new, total = query.shape[2], key.shape[2]
    heads, _ = attention(query, key, value, causal_mask(total)[total - new :])
    return layer.merge(heads), (key, value)
    ### END SOLUTION


# %% tests="cached_attention"
torch.manual_seed(0)
_layer, _x = MultiHeadAttention(8, 2), torch.randn(3, 5, 8)
_whole = _layer(_x, _x, causal_mask(5)).detach()
_first, _cache = cached_attention(_layer, _x[:, :3], None)
np.testing.assert_allclose(
    _first.detach(), _whole[:, :3], atol=1e-5, err_msg="Without a cache it is ordinary causal self-attention."
)
assert _cache[0].shape == _cache[1].shape == (3, 2, 3, 4), f"Keys and values are (B, h, t, d/h), not {_cache[0].shape}."
_second, _cache = cached_attention(_layer, _x[:, 3:4], _cache)
np.testing.assert_allclose(
    _second.detach(),
    _whole[:, 3:4],
    atol=1e-5,
    err_msg="The fourth position looks at the three that are kept, and itself.",
)
assert _cache[0].shape == (3, 2, 4, 4), "After the fourth position the cache must hold four."

# %% [markdown]
# A machine with a memory is asked in another way:
#
# `step(tokens, start, cache)` takes only the *new* tokens, int64 $(B, n)$, the position of the first of them (BEGIN is at
# position 0), and the cache that the last call returned (None at first). It returns the log-probabilities of the next
# token, $(B, V)$, and the new cache.


# %% problem="cached_decode"
def cached_decode(step: Callable, batch_size: int, begin: int, end: int, pad: int, max_length: int) -> torch.Tensor:
    """Greedy decoding with a machine that keeps a cache: the same output as `greedy_decode`, each position computed once.

    step: step(tokens, start, cache) gives (log_p, cache): tokens, (B, n) int64, are those not yet seen, one row for each
    of the B sentences (finished ones too: give them PAD); start, an int, is the position of the first of them, 0 for
    BEGIN; cache is what the last call returned, None in the first; log_p, (B, V), is about the token that follows.
    The other arguments, when to stop, and what is returned are as in `greedy_decode`.
    Every position is handed to `step` once, in order, one at a time.
    """
    ### BEGIN SOLUTION
    written, cache = [], None
    token = torch.full((batch_size, 1), begin)
    finished = torch.zeros(batch_size, dtype=torch.bool)
    while not finished.all() and len(written) < max_length:
        log_p, cache = step(token, len(written), cache)
        token = log_p.argmax(dim=-1, keepdim=True)
        token[finished] = pad
        finished |= token[:, 0] == end
        written.append(token)
    return torch.cat(written, dim=1)
    ### END SOLUTION


# %% tests="cached_decode"
_asked = []


def _counting_step(tokens: torch.Tensor, start: int, cache: int | None) -> tuple[torch.Tensor, int]:
    """Says token 3 + position, and END at position 4; its cache is the number of positions that it has seen."""
    _asked.append((start, tokens.tolist(), cache))
    says = END if start == 4 else 3 + start
    return torch.eye(10)[[says] * len(tokens)].log(), (cache or 0) + tokens.shape[1]


_out = cached_decode(_counting_step, 1, BEGIN, END, PAD, max_length=9)
assert _out.tolist() == [[3, 4, 5, 6, END]], f"This machine says 3, 4, 5, 6, END, but you wrote {_out.tolist()}."
assert [start for start, _, _ in _asked] == [0, 1, 2, 3, 4], "Every call is about the next position: 0, 1, 2, 3, 4."
assert [tokens for _, tokens, _ in _asked] == [[[BEGIN]], [[3]], [[4]], [[5]], [[6]]], "Hand over the new token only."
assert [cache for _, _, cache in _asked] == [None, 1, 2, 3, 4], "Hand over the cache that the call before returned."


# %% [markdown]
# Now your Transformer with a cache. What it takes is given here: it is your (pre-norm) decoder layer once more, with
# `cached_attention` in the place of the self-attention. The picture counts what each token costs.


# %%
def cached_transformer_step(model: nn.Module, source: torch.Tensor) -> Callable:
    """Your Transformer, built with pre_norm=True, as a machine with a cache: keys and values of each decoder layer."""
    memory, mask = model.encode(source), padding_mask(source)

    def step(tokens: torch.Tensor, start: int, caches: list | None) -> tuple[torch.Tensor, list]:
        d_model, new_caches = memory.shape[-1], []
        x = model.target_embedding(tokens) * math.sqrt(d_model)
        x = x + positional_encoding(start + tokens.shape[1], d_model)[start:]
        for layer, cache in zip(model.decoder.layers, caches or [None] * len(model.decoder.layers), strict=True):
            looked_back, new_cache = cached_attention(layer.self_attn, layer.norm1(x), cache)
            new_caches.append(new_cache)
            x = x + looked_back
            x = x + layer.multihead_attn(layer.norm2(x), memory, mask)
            x = x + layer.linear2(torch.relu(layer.linear1(layer.norm3(x))))
        return model.output(model.decoder.norm(x))[:, -1].log_softmax(dim=-1), new_caches

    return step


# %% picture="the_price_of_a_token"
with picture("Transformer", "greedy_decode", "cached_attention", "cached_decode"), torch.no_grad():
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(4)
    _model = Transformer(VOCABULARY, 32, 4, 64, layers=2).eval()
    _model.output.bias[PAD] = -100.0  # it is not trained, and must not say PAD
    _source = pad_batch([to_tokens("beer"), to_tokens("boy")])
    _prices: dict[str, list[int]] = {"everything again": [], "with a cache": []}

    def _priced(step: Callable, prices: list[int]) -> Callable:
        """The same machine, but it notes how many operations each call takes."""

        def priced_step(*arguments):
            with FlopCounterMode(display=False) as counter:
                answer = step(*arguments)
            prices.append(counter.get_total_flops())
            return answer

        return priced_step

    _slow, _fast = transformer_step(_model, _source), cached_transformer_step(_model, _source)
    _never = -1  # no token: nobody says END, and both write 60 tokens
    _one = greedy_decode(_priced(_slow, _prices["everything again"]), 2, BEGIN, _never, PAD, max_length=60)
    _two = cached_decode(_priced(_fast, _prices["with a cache"]), 2, BEGIN, _never, PAD, max_length=60)
    _same = "the same" if torch.equal(_one, _two) else "NOT the same"
    _figure, _axis = plt.subplots(figsize=(8, 3.8), layout="constrained")
    for (_name, _counts), _colour in zip(_prices.items(), (RED, BLUE), strict=True):
        _axis.plot(range(1, 61), np.cumsum(_counts) / 1e6, color=_colour, label=_name)
    _axis.set(xlabel="tokens written", ylabel="million operations so far", title=f"Both write {_same} 60 tokens")
    _axis.legend(frameon=False)

# %% [markdown]
# # Part V: judging and training
#
# ## 14. BLEU
#
# How good is a translation? Papineni et al. (*BLEU: a Method for Automatic Evaluation of Machine Translation*, 2002)
# count how many of its words, pairs, triples and quadruples of words occur in a reference translation. There are two
# ways to cheat, and two cures. Say *the the the the*: so each n-gram of the reference counts at most as often as it
# occurs there (**clipping**). Say only the one word that you are sure of: so there is a **brevity penalty**.


# %% problem="bleu"
def bleu(
    candidates: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Sequence[Hashable]]], max_n: int = 4
) -> float:
    r"""Corpus BLEU (Papineni et al. 2002). Not with a library's.

    $$\mathrm{BLEU} = BP \cdot \exp\Big(\frac1N \sum_{n=1}^{N} \log p_n\Big) \qquad
    p_n = \frac{\sum_c \sum_{g} \min\big(\mathrm{count}_c(g),\ \max_{r} \mathrm{count}_r(g)\big)}
    {\sum_c \sum_{g} \mathrm{count}_c(g)} \qquad
    BP = \begin{cases} 1 & C > R \\ e^{1 - R/C} & C \le R \end{cases}$$

    The sums run over all candidates c of the corpus and their different n-grams g (n tokens in a row); the maximum over
    the references r of that candidate. C is the number of tokens of all candidates together, R the sum, over the
    candidates, of the length of that reference which is closest in length (of two equally close ones, the shorter).
    candidates: sentences, each a sequence of tokens (ints or strings), may be empty or shorter than n; references: for
    each candidate one or more such sentences; max_n: N, at least 1.
    Returns a float from 0 to 1: 0.0 if there is no token, or if for some n no n-gram matches or there is none at all.
    """
    ### BEGIN SOLUTION

    def n_grams(sentence: Sequence[Hashable], n: int) -> Counter:
        return Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))

    logs = []
    for n in range(1, max_n + 1):
        matches = total = 0
        for candidate, several in zip(candidates, references, strict=True):
            counts, most = n_grams(candidate, n), Counter()
            for reference in several:
                most |= n_grams(reference, n)  # the larger count of each
            matches += (counts & most).total()  # the smaller count of each
            total += counts.total()
        if matches == 0:
            return 0.0
        logs.append(math.log(matches / total))
    length = sum(len(candidate) for candidate in candidates)
    goal = sum(
        min((abs(len(reference) - len(candidate)), len(reference)) for reference in several)[1]
        for candidate, several in zip(candidates, references, strict=True)
    )
    return math.exp(min(0.0, 1 - goal / length) + sum(logs) / max_n)
    ### END SOLUTION


# %% tests="bleu"
_cat = "the cat is on the mat".split()
assert math.isclose(bleu([_cat], [[_cat]]), 1), "A translation that equals its reference has BLEU 1."
_score = bleu(["the the the the the the the".split()], [[_cat]], max_n=1)
assert math.isclose(_score, 2 / 7), (
    f"Papineni's example: the reference has two 'the', so 2 of 7 count, not {_score * 7:.0f}."
)
_score = bleu([["the", "cat"]], [[_cat]], max_n=2)
assert math.isclose(_score, math.exp(-2)), f"All n-grams are right, but 2 words of 6: exp(1 - 6/2), not {_score:.4f}."
_score = bleu([list("ab"), list("abcd")], [[list("ab")], [list("axcd")]], max_n=2)
assert math.isclose(_score, math.sqrt(5 / 6 * 2 / 4)), "Over the whole corpus 5 of 6 words and 2 of 4 pairs are right."
assert bleu([list("abc")], [[list("abc")]]) == 0.0, "A corpus without a single 4-gram has BLEU 0."

# %% [markdown]
# ## 15. Back slang, at last
#
# Everything is there: a Transformer, a loss, a way to write. Now give it a few thousand words with their translations.
# The model learns with a teacher; **it is tested without one**: whoever feeds the truth to the decoder at test time
# measures how well it continues *a perfect sentence*, and nobody will write that for it.
#
# A recipe to start from: Adam with $\beta = (0.9, 0.98)$; a learning rate that rises to about 0.005 during the first 100
# updates and then falls to 0; batches of 64 words, drawn anew for each update; gradients clipped to a norm of 1
# (`nn.utils.clip_grad_norm_`). Attention finds the way backwards rather suddenly: do not lose heart while the loss lies on
# a plateau.


# %% problem="Seq2SeqTask"
class Seq2SeqTask:
    """Trains a model on pairs of sentences, writes with it, and measures it. Sentences are lists of tokens from 3 on."""

    def __init__(self, model: nn.Module) -> None:
        """model: a `Transformer`, or a module with the same `encode`, `decode` and `forward`; kept as `model`."""
        ### BEGIN SOLUTION
        self.model = model
        ### END SOLUTION

    def fit(self, sources: list[list[int]], targets: list[list[int]], steps: int = 700) -> list[float]:
        """Train the model in place with teacher forcing, in training mode (`model.train()`): `steps` updates.

        sources, targets: N sentences each, of different lengths, without BEGIN, END and PAD; targets[n] is the
        translation of sources[n]. The model learns to say END after the target's last token.
        Each update draws some of the pairs at random and lowers `seq2seq_loss` (no label smoothing, or little).
        Returns the losses, one float for each update, each taken before its update.
        The hidden tests call fit(sources, targets), with your own default for `steps`, on 5000 words of 1 to 7 letters
        and a new language: words are spoken backwards, and each letter is replaced by another one, always the same. The
        model is Transformer(VOCABULARY, 32, 4, 64, layers=1, dropout=0.0). Then at least 95 % of 500 new words must come
        out right in every letter, from `predict` and from the model itself: it is the model that has to learn. You have
        60 seconds on one core: stay below 20 on your own machine.
        """
        ### BEGIN SOLUTION
        optimizer = torch.optim.Adam(self.model.parameters(), lr=0.005, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: min((t + 1) / 100, 1 - t / steps))
        losses = []
        self.model.train()
        for _ in range(steps):
            some = torch.randint(len(sources), (64,)).tolist()
            source = pad_batch([sources[n] for n in some])
            target = pad_batch([[*targets[n], END] for n in some])
            loss = seq2seq_loss(self.model(source, shift_right(target, BEGIN)), target, PAD)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        return losses
        ### END SOLUTION

    def predict(self, sources: list[list[int]], max_length: int = 20) -> list[list[int]]:
        """Translate, greedily and without a teacher, in evaluation mode (`model.eval()`), without gradients.

        sources: sentences of different lengths. Returns a list of tokens for each, up to END and without it; at most
        max_length tokens are written, END included. The model's parameters stay as they are.
        """
        ### BEGIN SOLUTION
        self.model.eval()
        with torch.no_grad():
            step = transformer_step(self.model, pad_batch(sources))
            written = greedy_decode(step, len(sources), BEGIN, END, PAD, max_length)
        return [[*takewhile(lambda token: token != END, row)] for row in written.tolist()]
        ### END SOLUTION

    def evaluate(self, sources: list[list[int]], targets: list[list[int]]) -> tuple[float, float]:
        """How good are the model's own translations of `sources`? Returns (token accuracy, exact match), floats.

        Token accuracy: of all tokens of all targets (END not counted), the share for which the prediction has the same
        token at the same position; where the prediction has ended already, it is wrong. Exact match: the share of
        sentences that `predict` gets right as a whole.
        """
        ### BEGIN SOLUTION
        predictions = self.predict(sources)
        pairs = list(zip(predictions, targets, strict=True))
        right = sum(said == true for one, other in pairs for said, true in zip(one, other, strict=False))
        return right / sum(map(len, targets)), sum(one == other for one, other in pairs) / len(pairs)
        ### END SOLUTION


# %% tests="Seq2SeqTask"
class _Parrot(nn.Module):
    """Stands for a model: repeats the source, letter by letter. Learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.loudness = nn.Parameter(torch.tensor(1.0))

    def encode(self, source: torch.Tensor) -> torch.Tensor:
        return source  # the memory is the word itself

    def decode(self, target: torch.Tensor, memory: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        assert (target[:, 0] == BEGIN).all(), "The first thing that a decoder reads is BEGIN."
        letters = nn.functional.pad(memory, (0, target.shape[1]))[:, : target.shape[1]]
        says = torch.where(letters == PAD, END, letters)
        return 9 * self.loudness * nn.functional.one_hot(says, VOCABULARY)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return self.decode(target, self.encode(source), source)


_task = Seq2SeqTask(_Parrot())
_words = [to_tokens("noon"), to_tokens("yob")]
assert _task.predict(_words) == _words, f"The parrot says {_words}, you wrote {_task.predict(_words)}."
assert not _task.model.training, "When it is to write, the model must be in evaluation mode."
_accuracy, _match = _task.evaluate(_words, [to_tokens("noon"), to_tokens("boy")])
assert math.isclose(_accuracy, 5 / 7), "noon is right, and of boy only the letter in the middle: 5 of 7 tokens."
assert _match == 0.5, "One of two words is right as a whole."
torch.manual_seed(0)
_task = Seq2SeqTask(Transformer(VOCABULARY, 16, 2, 32, layers=1, dropout=0.0))
_losses = _task.fit([to_tokens("yob")], [to_tokens("boy")], steps=120)
assert len(_losses) == 120, "There is one loss for each update."
assert _losses[-1] < 0.5 * _losses[0], (
    f"One single word, and the loss went from {_losses[0]:.2f} to {_losses[-1]:.2f} only."
)
assert _task.predict([to_tokens("yob")]) == [to_tokens("boy")], "It should know its one word by heart now."

# %% [markdown]
# Now for real. The next cell trains your machine for some ten seconds, with words of up to six letters. The picture on the right shows where
# its decoder looked when it wrote each letter, averaged over the four heads.

# %% picture="back_slang"
with picture("Transformer", "shift_right", "seq2seq_loss", "greedy_decode", "Seq2SeqTask"):
    _rng = np.random.default_rng(1851)
    _words = [_rng.integers(3, VOCABULARY, size=_rng.integers(1, 7)).tolist() for _ in range(5500)]
    _slang = [word[::-1] for word in _words]
    torch.manual_seed(1851)
    _task = Seq2SeqTask(Transformer(VOCABULARY, 32, 4, 64, layers=1, dropout=0.0))
    _losses = _task.fit(_words[:5000], _slang[:5000], steps=500)
    _accuracy, _match = _task.evaluate(_words[5000:], _slang[5000:])
    _english = ["police", "market", "penny", "top", "boy"]
    for _word, _said in zip(_english, _task.predict([to_tokens(word) for word in _english]), strict=True):
        print(f"{_word:>8} -> {to_word(_said)}")

    with torch.no_grad():
        _source, _target = torch.tensor([to_tokens("police")]), torch.tensor([[BEGIN, *to_tokens("ecilop")]])
        _task.model(_source, _target)
    _weights = _task.model.decoder.layers[-1].multihead_attn.weights[0].mean(dim=0)
    _figure, (_left, _right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    _left.plot(_losses, color=BLUE)
    _left.axhline(math.log(26), color=GREY, linestyle=":")
    _left.text(len(_losses), math.log(26) + 0.08, "guessing letters", ha="right", color="grey")
    _left.set(xlabel="updates", ylabel="loss", ylim=(0, None))
    _left.set_title(f"New words: {_accuracy:.1%} of letters, {_match:.1%} of words are right")
    _image = _right.imshow(_weights.numpy(), cmap="Blues", vmin=0)
    _right.set(xticks=range(6), xticklabels=list("police"), xlabel="looks at the source letter")
    _right.set(yticks=range(7), yticklabels=[*"ecilop", "END"], ylabel="to write")
    _right.set_title("Cross-attention: it reads backwards")
    _figure.colorbar(_image, ax=_right)

# %% [markdown]
# ## 16. In your own words
#
# A friend trains a translator. To test it, she feeds the *true* target to the decoder, shifted right, takes the likeliest
# token at each position, and reports: "99 % of the tokens are right." Your test lets the same model write by itself, and
# only about 80 % of the sentences, 20 tokens long, come out without a mistake.
#
# (a) Explain both numbers. Are they in contradiction?
#
# (b) She now counts *whole sentences* in her way, with the truth fed to the decoder and all tokens right, and finds the
# same 80 % as you. Why must that be so for greedy decoding?
#
# (c) Of the tokens that your free-running model writes, only 88 % are right. Why fewer than 99 %? What has it never seen
# while it learned?
#
# (d) Name one remedy, and one price that it has.

# %% [markdown] answer="without_a_teacher" points=5
# **Model answer.**
#
# (a) No. She measures how often the next token is right *after a perfect beginning*. If each of 20 tokens is right with
# probability 0.99, and mistakes fall independently, all 20 are right with probability $0.99^{20} \approx 0.82$. A small
# error for each token is a large one for each sentence.
#
# (b) If her model gets all tokens right with the truth as input, then at the first position it says the true token; the
# free-running model says the same, so at the second position it reads the truth as well, says the true token, and so on
# to END: both inputs are equal all along. The other way round, a free-running sentence without a mistake has read
# nothing but the truth, so hers is right too. The two agree sentence by sentence.
#
# (c) After its first mistake the free-running model reads a prefix that contains a mistake. With teacher forcing it has
# never met one, so it has not learned to go on from there, and one error brings further ones (*exposure bias*). A
# missing or an additional token also shifts everything behind it.
#
# (d) For example: scheduled sampling, which mixes the model's own outputs into what the decoder reads (price: the targets
# no longer fit the prefixes; training is slower, as the model has to write first); beam search, which can still leave a
# bad beginning (price: K times the work, and it doesn't mend the model); more data or a larger model (price: computing
# time); training on a score of whole sentences, such as BLEU, with reinforcement learning (price: noisy gradients).
#
# **Rubric**, one point each:
#
# - (a) explains 80 % as about $0.99^{20}$, or says that errors accumulate over a sentence;
# - (b) the argument position by position, with equal inputs as long as all is right;
# - (c) the model has only ever read true prefixes;
# - (c) one mistake brings further ones, or shifts the rest;
# - (d) a remedy *with* its price.

# %% [markdown]
# ## Bonus: wean it from the teacher
#
# **Scheduled sampling** (Bengio et al. 2015): now and then let the decoder read what it has said itself. It begins with
# the truth and is weaned by and by. For a Transformer, which reads all positions at once, one does it in two passes
# (Mihaylova and Martins 2019): the first reads the truth and makes logits; from them and the truth the input of the
# second pass is mixed. Write the mixer.


# %% problem="scheduled_sampling"
def scheduled_sampling(
    target: torch.Tensor, logits: torch.Tensor, begin: int, pad: int, truth_rate: float, generator: torch.Generator
) -> torch.Tensor:
    """What the decoder reads in the second pass: BEGIN, then at each position the truth or the model's own output.

    target: int64 tokens, (B, T); logits: those of the first pass, which read shift_right(target, begin), (B, T, V):
    entry t is about target[:, t]. The model's own output at t is the likeliest token there.
    truth_rate: from 0 to 1. For each token on its own, with this probability the truth is read, else the model's own
    output. At position 0 there is always BEGIN; where the truth is PAD, PAD stays.
    generator: the only source of randomness, so that equal seeds give equal mixtures.
    Returns an int64 tensor (B, T): position t + 1 is about target[:, t]. The inputs stay as they are.
    """
    ### BEGIN SOLUTION
    truth = torch.rand(target.shape, generator=generator) < truth_rate
    mixed = torch.where(truth | (target == pad), target, logits.argmax(dim=-1))
    return shift_right(mixed, begin)
    ### END SOLUTION


# %% tests="scheduled_sampling"
_target = torch.tensor([[7, 8, 9, END, PAD]])
_said = torch.eye(10)[torch.tensor([[5, 6, 5, 6, 5]])]
_dice = torch.Generator().manual_seed(0)
_out = scheduled_sampling(_target, _said, BEGIN, PAD, 1.0, _dice)
assert _out.tolist() == [[BEGIN, 7, 8, 9, END]], "A truth rate of 1 is teacher forcing."
_out = scheduled_sampling(_target, _said, BEGIN, PAD, 0.0, _dice)
assert _out.tolist() == [[BEGIN, 5, 6, 5, 6]], (
    f"A truth rate of 0: BEGIN, then what the model said, not {_out.tolist()}."
)
_many = scheduled_sampling(_target.expand(2000, 5), _said.expand(2000, 5, 10), BEGIN, PAD, 0.75, _dice)
assert 0.7 < (_many[:, 1] == 7).float().mean() < 0.8, "With a truth rate of 0.75 the truth is read three times of four."
