"""Mistakes that students make in lectures 10 and 11: each function holds one."""

import math

import torch
from torch import nn

from grader import misconception
from solutions.lecture10_self_attention import (
    MultiHeadAttention,
    additive_scores,
    causal_mask,
    compare_layers,
    convolution_as_attention,
    dot_product_scores,
    learned_receptive_field,
    multi_head_attention,
    padding_mask,
    rnn_forward,
    scaled_dot_product_attention,
    self_attention,
    window_mask,
)

RELEVANCE = "Lecture 10, Relevance between vectors"
ATTENTION = "Lecture 10, Self-attention"
MATRICES = "Lecture 10, Self-attention as matrix products"
TRUNCATED = "Lecture 11, Truncated self-attention"
MASKS = "Lecture 10, Masks"
HEADS = "Lecture 11, Multi-head self-attention"
POSITIONS = "Lecture 11, Self-attention has no positions"
CNN = "Lecture 11, Self-attention v.s. CNN"
RNN = "Lecture 11, Self-attention v.s. RNN"

# --- dot_product_scores ---


@misconception(
    "dot_product_scores",
    "W^q and W^k have changed places: who asks is sent through the matrix of those who answer.",
    lecture=RELEVANCE,
)
def matrices_swapped(x, y, w_q, w_k):
    return (x @ w_k.mT) @ (y @ w_q.mT).mT


@misconception(
    "dot_product_scores",
    "Your scores are transposed: row i must be about the vector that asks, column j about the one that answers. The "
    "softmax will run over the wrong ones.",
    lecture=RELEVANCE,
)
def columns_ask(x, y, w_q, w_k):
    return dot_product_scores(x, y, w_q, w_k).mT


@misconception(
    "dot_product_scores",
    "You divide by the root of d_k already. These scores are the plain dot products; attention scales them later.",
    lecture=RELEVANCE,
)
def scaled_too_early(x, y, w_q, w_k):
    return dot_product_scores(x, y, w_q, w_k) / math.sqrt(w_q.shape[0])


@misconception(
    "dot_product_scores",
    "You multiply the rows by W instead of its transpose. q = W^q x for a column means X times W^q transposed for "
    "rows.",
    lecture=RELEVANCE,
)
def matrices_not_transposed(x, y, w_q, w_k):
    return (x @ w_q) @ (y @ w_k).mT


@misconception(
    "dot_product_scores",
    "Queries and keys both go through W^q. Then i is exactly as relevant to j as j is to i, which is rarely so.",
    lecture=RELEVANCE,
)
def one_matrix_for_both(x, y, w_q, w_k):
    return (x @ w_q.mT) @ (y @ w_q.mT).mT


@misconception(
    "dot_product_scores",
    "Your keys are made of x. They belong to the vectors that answer, y.",
    lecture=RELEVANCE,
)
def answers_itself(x, y, w_q, w_k):
    return (x @ w_q.mT) @ (x @ w_k.mT).mT


@misconception(
    "dot_product_scores",
    "You swap the first two axes. With a batch of sentences, those are the sentences and the positions: swap the last "
    "two.",
    lecture=RELEVANCE,
)
def swaps_the_first_axes(x, y, w_q, w_k):
    return torch.matmul(x @ w_q.mT, (y @ w_k.mT).transpose(0, 1))


@misconception(
    "dot_product_scores",
    "You divide by the lengths of q and k: that is a cosine. The lecture's score is the dot product, in which a long "
    "query may ask loudly.",
    lecture=RELEVANCE,
)
def cosine_similarity(x, y, w_q, w_k):
    q, k = (rows / rows.norm(dim=-1, keepdim=True) for rows in (x @ w_q.mT, y @ w_k.mT))
    return q @ k.mT


@misconception(
    "dot_product_scores",
    "Your scores have left autograd's graph (detach, .data, numpy or torch.tensor of a result): the matrices can never "
    "learn.",
    lecture=RELEVANCE,
)
def scores_leave_the_graph(x, y, w_q, w_k):
    return dot_product_scores(x, y, w_q, w_k).detach()


# --- additive_scores ---


@misconception(
    "additive_scores",
    "You bend both projections before you add them. Then i and j never meet inside the tanh, and the score is a sum of "
    "one number for i and one for j.",
    lecture=RELEVANCE,
)
def tanh_before_the_sum(x, y, w_q, w_k, w):
    q, k = torch.tanh(x @ w_q.mT), torch.tanh(y @ w_k.mT)
    return (q[..., :, None, :] + k[..., None, :, :]) @ w


@misconception(
    "additive_scores",
    "The tanh is missing. Without it, what i adds is the same for all j and vanishes in the softmax.",
    lecture=RELEVANCE,
)
def no_tanh(x, y, w_q, w_k, w):
    return ((x @ w_q.mT)[..., :, None, :] + (y @ w_k.mT)[..., None, :, :]) @ w


@misconception(
    "additive_scores",
    "w judges before the tanh bends. The order is: project, add, tanh, and then w.",
    lecture=RELEVANCE,
)
def tanh_at_the_end(x, y, w_q, w_k, w):
    return torch.tanh(no_tanh(x, y, w_q, w_k, w))


@misconception(
    "additive_scores",
    "W^q and W^k have changed places: who asks is sent through the matrix of those who answer.",
    lecture=RELEVANCE,
)
def additive_matrices_swapped(x, y, w_q, w_k, w):
    return additive_scores(x, y, w_k, w_q, w)


@misconception(
    "additive_scores",
    "Your scores are transposed: row i is about the vector that asks, column j about the one that answers.",
    lecture=RELEVANCE,
)
def additive_columns_ask(x, y, w_q, w_k, w):
    return additive_scores(x, y, w_q, w_k, w).mT


@misconception(
    "additive_scores",
    "You put the new axes at the front. With a batch of sentences, they then pair up sentences instead of positions: "
    "count the axes from the end.",
    lecture=RELEVANCE,
)
def new_axes_at_the_front(x, y, w_q, w_k, w):
    return torch.tanh((x @ w_q.mT)[:, None] + (y @ w_k.mT)[None]) @ w


@misconception(
    "additive_scores",
    "You multiply the two projections entry by entry. Additive attention adds them.",
    lecture=RELEVANCE,
)
def multiplies_the_projections(x, y, w_q, w_k, w):
    return torch.tanh((x @ w_q.mT)[..., :, None, :] * (y @ w_k.mT)[..., None, :, :]) @ w


@misconception(
    "additive_scores",
    "You add up the entries after the tanh and never use w, so all of them count alike.",
    lecture=RELEVANCE,
)
def w_forgotten(x, y, w_q, w_k, w):
    return additive_scores(x, y, w_q, w_k, torch.ones_like(w))


@misconception(
    "additive_scores",
    "Your scores have left autograd's graph (detach, .data, numpy or torch.tensor of a result): nothing can be "
    "learned.",
    lecture=RELEVANCE,
)
def additive_scores_leave_the_graph(x, y, w_q, w_k, w):
    return additive_scores(x, y, w_q, w_k, w).detach()


# --- padding_mask ---


@misconception(
    "padding_mask",
    "Your mask is inverted: True means that a position may be attended to, and you mark the padding with it.",
    lecture=MASKS,
)
def padding_is_true(lengths, size):
    return ~padding_mask(lengths, size)


@misconception(
    "padding_mask",
    "You let one place of padding through: positions count from 0, so a sentence of 2 words ends at position 1.",
    lecture=MASKS,
)
def one_place_too_many(lengths, size):
    return padding_mask(lengths + 1, size)


@misconception(
    "padding_mask",
    "You hide the last real word: position j is real if j is less than the length.",
    lecture=MASKS,
)
def one_place_too_few(lengths, size):
    return padding_mask(lengths - 1, size)


@misconception(
    "padding_mask",
    "The axis for those who ask is missing. With scores of shape (sentences, n, n), your mask would take sentences for "
    "queries.",
    lecture=MASKS,
)
def no_axis_for_the_queries(lengths, size):
    return padding_mask(lengths, size).squeeze(-2)


@misconception(
    "padding_mask",
    "You hide who asks instead of who answers: the padding is in the rows of your mask. The others still look at it.",
    lecture=MASKS,
)
def hides_the_queries(lengths, size):
    return padding_mask(lengths, size).mT


@misconception(
    "padding_mask",
    "Your mask holds numbers, 0 and 1. `~` and `masked_fill` need True and False.",
    lecture=MASKS,
)
def padding_in_numbers(lengths, size):
    return padding_mask(lengths, size).float()


@misconception(
    "padding_mask",
    "You make a mask to be added to the scores, 0 and minus infinity. Here a mask says True or False.",
    lecture=MASKS,
)
def padding_to_be_added(lengths, size):
    return torch.zeros(padding_mask(lengths, size).shape).masked_fill(~padding_mask(lengths, size), -math.inf)


@misconception(
    "padding_mask",
    "You expect the padding in front of the words. It comes after them.",
    lecture=MASKS,
)
def padding_comes_first(lengths, size):
    return padding_mask(lengths, size).flip(-1)


@misconception(
    "padding_mask",
    "Your mask works for a plain list of lengths only: a table of them, or a single one, loses its shape.",
    lecture=MASKS,
)
def lengths_are_flattened(lengths, size):
    return padding_mask(lengths.reshape(-1), size)


# --- causal_mask ---


@misconception(
    "causal_mask",
    "Your mask is inverted: True means may attend, and you mark the future with it. Everybody would see only what "
    "it has to predict.",
    lecture=MASKS,
)
def the_future_is_true(n):
    return ~causal_mask(n)


@misconception(
    "causal_mask",
    "Nobody sees itself in your mask. A word may look at itself; the first would see nobody otherwise.",
    lecture=MASKS,
)
def does_not_see_itself(n):
    return torch.ones(n, n, dtype=torch.bool).tril(-1)


@misconception(
    "causal_mask",
    "Your mask is transposed: row i asks. With yours, everybody sees the future and not the past.",
    lecture=MASKS,
)
def upper_triangle(n):
    return torch.ones(n, n, dtype=torch.bool).triu()


@misconception(
    "causal_mask",
    "Everybody sees one word of the future: j may be i, but not i + 1. It is the very word that is to be predicted.",
    lecture=MASKS,
)
def sees_the_next_word(n):
    return torch.ones(n, n, dtype=torch.bool).tril(1)


@misconception(
    "causal_mask",
    "Your mask holds numbers, 0 and 1. `~` and `&` need True and False.",
    lecture=MASKS,
)
def causal_in_numbers(n):
    return torch.ones(n, n).tril()


@misconception(
    "causal_mask",
    "You make a mask to be added to the scores, 0 and minus infinity. Here a mask says True or False.",
    lecture=MASKS,
)
def causal_to_be_added(n):
    return torch.full((n, n), -math.inf).triu(1)


# --- window_mask ---


@misconception(
    "window_mask",
    "Your window ends one place too early: a distance of exactly `radius` is still inside.",
    lecture=TRUNCATED,
)
def radius_is_outside(n, radius):
    return window_mask(n, radius - 1)


@misconception(
    "window_mask",
    "You take the radius for the width of the whole window. It reaches that far on *each* side.",
    lecture=TRUNCATED,
)
def radius_taken_for_width(n, radius):
    return window_mask(n, radius // 2)


@misconception(
    "window_mask",
    "Your window looks only back. It reaches to both sides, unless it is combined with a causal mask.",
    lecture=TRUNCATED,
)
def window_looks_back_only(n, radius):
    return window_mask(n, radius) & causal_mask(n)


@misconception(
    "window_mask",
    "Your mask is inverted: True means may attend, and you mark those outside the window.",
    lecture=TRUNCATED,
)
def outside_is_true(n, radius):
    return ~window_mask(n, radius)


@misconception(
    "window_mask",
    "Your window is lopsided: on the right it ends one place too early. A slice leaves its end out.",
    lecture=TRUNCATED,
)
def end_of_the_slice(n, radius):
    mask = torch.zeros(n, n, dtype=torch.bool)
    for i in range(n):
        mask[i, max(0, i - radius) : i + radius] = True
    return mask


@misconception(
    "window_mask",
    "Your window wraps round: the first word sees the last ones. A negative index counts from the end, and a sentence "
    "is no ring.",
    lecture=TRUNCATED,
)
def window_wraps_round(n, radius):
    i = torch.arange(n)
    distance = (i[:, None] - i).abs()
    return torch.minimum(distance, n - distance) <= radius


@misconception(
    "window_mask",
    "Your mask holds numbers, 0 and 1. `~` and `&` need True and False.",
    lecture=TRUNCATED,
)
def window_in_numbers(n, radius):
    return window_mask(n, radius).float()


# --- scaled_dot_product_attention ---


def _hidden(scores, mask, value=None):
    if mask is None:
        return scores
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min if value is None else value)


def _shares(scores, mask):
    """The softmax of scores; 0 where the mask hides."""
    weights = torch.softmax(_hidden(scores, mask), dim=-1)
    return weights if mask is None else weights.masked_fill(~mask, 0)


def _plain(q, k):
    return q @ k.mT / math.sqrt(q.shape[-1])


@misconception(
    "scaled_dot_product_attention",
    "You don't divide by the root of d_k. With wide vectors, the softmax then listens to a single voice and "
    "hardly has a gradient.",
    lecture=ATTENTION,
)
def no_scaling(q, k, v, mask=None):
    weights = _shares(q @ k.mT, mask)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You divide by d_k, where its *root* belongs: a sum of d_k independent products has the variance d_k, and so the "
    "standard deviation root of d_k.",
    lecture=ATTENTION,
)
def scales_by_the_width(q, k, v, mask=None):
    weights = _shares(q @ k.mT / q.shape[-1], mask)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You divide by the root of the number of keys. What counts is the width of a key, its last axis.",
    lecture=ATTENTION,
)
def scales_by_the_number_of_keys(q, k, v, mask=None):
    weights = _shares(q @ k.mT / math.sqrt(k.shape[-2]), mask)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "Your softmax runs over those who ask: the *columns* of the weights add up to 1. Each query must share out its "
    "attention among the keys, along the last axis.",
    lecture=ATTENTION,
)
def softmax_over_the_queries(q, k, v, mask=None):
    weights = torch.softmax(_hidden(_plain(q, k), mask), dim=-2)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "Your softmax always runs over the second axis. With a batch of sentences, that is the axis of the queries: "
    "take the last one.",
    lecture=MATRICES,
)
def softmax_over_axis_1(q, k, v, mask=None):
    weights = torch.softmax(_hidden(_plain(q, k), mask), dim=1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You strike out weights after the softmax. Those that are left no longer add up to 1: hide the scores before it.",
    lecture=MASKS,
)
def mask_after_the_softmax(q, k, v, mask=None):
    weights = torch.softmax(_plain(q, k), dim=-1)
    if mask is not None:
        weights = weights * mask
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "Your mask is inverted: here True means *may attend*. (torch.nn.MultiheadAttention means the opposite.)",
    lecture=MASKS,
)
def mask_inverted(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v, None if mask is None else ~mask)


@misconception(
    "scaled_dot_product_attention",
    "The mask never reaches your scores.",
    lecture=MASKS,
)
def mask_ignored(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v)


@misconception(
    "scaled_dot_product_attention",
    "Where a row may attend to nobody you get NaN: a softmax over nothing but minus infinity is 0/0. One such row of "
    "padding is enough to ruin a network.",
    lecture=MASKS,
)
def nan_where_nobody_is_seen(q, k, v, mask=None):
    weights = torch.softmax(_hidden(_plain(q, k), mask, -math.inf), dim=-1)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You add minus infinity to hidden scores and repair the NaN of a fully hidden row after the softmax. The "
    "output looks right, but on the way back the NaN is still there: the gradients of queries and keys are "
    "ruined. Never make the NaN.",
    lecture=MASKS,
)
def nan_in_the_gradient(q, k, v, mask=None):
    scores = _plain(q, k)
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, -math.inf)
    weights = torch.nan_to_num(torch.softmax(scores, dim=-1), nan=0.0)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "A row that may attend to nobody looks at everybody alike: all its scores are equally low, and the softmax makes "
    "equal shares of them. It should take nothing home.",
    lecture=MASKS,
)
def equal_shares_where_nobody_is_seen(q, k, v, mask=None):
    weights = torch.softmax(_hidden(_plain(q, k), mask), dim=-1)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You set hidden scores to 0. A score of 0 is no silence: its exponential is 1, and it often beats the others.",
    lecture=MASKS,
)
def hidden_scores_are_zero(q, k, v, mask=None):
    weights = torch.softmax(_hidden(_plain(q, k), mask, 0), dim=-1)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You hide with a score of -100. That is low only as long as the others are not lower still: scores below it "
    "make the hidden ones the winners.",
    lecture=MASKS,
)
def hidden_scores_are_minus_100(q, k, v, mask=None):
    weights = torch.softmax(_hidden(_plain(q, k), mask, -100), dim=-1)
    if mask is not None:
        weights = weights * mask.any(dim=-1, keepdim=True)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You take the exponential of the scores as they are: it overflows at about 700 in float64 (88 in float32), and "
    "infinity over infinity is NaN.",
    lecture=ATTENTION,
)
def exponential_overflows(q, k, v, mask=None):
    exponentials = torch.exp(_plain(q, k))
    if mask is not None:
        exponentials = exponentials * mask
    total = exponentials.sum(dim=-1, keepdim=True)
    weights = exponentials / torch.where(total == 0, 1, total)
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "You subtract one largest score for the whole matrix. Rows that lie far below it become 0/0: each row has its own "
    "largest score.",
    lecture=ATTENTION,
)
def one_maximum_for_all_rows(q, k, v, mask=None):
    scores = _plain(q, k)
    exponentials = torch.exp(scores - scores.max())
    if mask is not None:
        exponentials = exponentials * mask
    total = exponentials.sum(dim=-1, keepdim=True)
    weights = exponentials / (total if mask is None else torch.where(mask.any(dim=-1, keepdim=True), total, 1))
    return weights @ v, weights


@misconception(
    "scaled_dot_product_attention",
    "Your second result are the scores. The weights, after the softmax, are wanted.",
    lecture=ATTENTION,
)
def scores_for_weights(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v, mask)[0], _hidden(_plain(q, k), mask, -math.inf)


@misconception(
    "scaled_dot_product_attention",
    "The two results come back in the wrong order: the output first, then the weights.",
    lecture=ATTENTION,
)
def weights_come_first(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v, mask)[::-1]


@misconception(
    "scaled_dot_product_attention",
    "Your weights have left autograd's graph: queries and keys get no gradient and can never learn whom to look at.",
    lecture=ATTENTION,
)
def weights_leave_the_graph(q, k, v, mask=None):
    weights = scaled_dot_product_attention(q, k, v, mask)[1].detach()
    return weights @ v + 0 * (q.sum() + k.sum()), weights


# --- self_attention ---


@misconception(
    "self_attention",
    "Your values are the vectors themselves: W^v is missing.",
    lecture=ATTENTION,
)
def values_unprojected(x, w_q, w_k, w_v, mask=None):
    return scaled_dot_product_attention(x @ w_q.mT, x @ w_k.mT, x, mask)


@misconception(
    "self_attention",
    "W^q and W^k have changed places: everybody asks what it should answer.",
    lecture=ATTENTION,
)
def roles_swapped(x, w_q, w_k, w_v, mask=None):
    return self_attention(x, w_k, w_q, w_v, mask)


@misconception(
    "self_attention",
    "Your keys are made with W^q. Queries and keys have a matrix each: to look for a noun is not to be one.",
    lecture=ATTENTION,
)
def keys_are_queries(x, w_q, w_k, w_v, mask=None):
    return self_attention(x, w_q, w_q, w_v, mask)


@misconception(
    "self_attention",
    "Your scores are not divided by the root of d_k.",
    lecture=ATTENTION,
)
def self_attention_without_scaling(x, w_q, w_k, w_v, mask=None):
    weights = _shares(dot_product_scores(x, x, w_q, w_k), mask)
    return weights @ (x @ w_v.mT), weights


@misconception(
    "self_attention",
    "You divide by the root of d, the width of the inputs. What counts is the width of queries and keys, d_k.",
    lecture=ATTENTION,
)
def scales_by_the_input_width(x, w_q, w_k, w_v, mask=None):
    weights = _shares(dot_product_scores(x, x, w_q, w_k) / math.sqrt(x.shape[-1]), mask)
    return weights @ (x @ w_v.mT), weights


@misconception(
    "self_attention",
    "The mask is never handed on: everybody sees everything.",
    lecture=MASKS,
)
def mask_not_handed_on(x, w_q, w_k, w_v, mask=None):
    return self_attention(x, w_q, w_k, w_v)


@misconception(
    "self_attention",
    "Where a row may attend to nobody you get NaN: a softmax over nothing but minus infinity is 0/0.",
    lecture=MASKS,
)
def self_attention_gives_nan(x, w_q, w_k, w_v, mask=None):
    scores = _plain(x @ w_q.mT, x @ w_k.mT)
    weights = torch.softmax(_hidden(scores, mask, -math.inf), dim=-1)
    return weights @ (x @ w_v.mT), weights


@misconception(
    "self_attention",
    "Your mask is transposed: row i asks, column j answers. With a causal mask, everybody would see the future only.",
    lecture=MASKS,
)
def mask_transposed(x, w_q, w_k, w_v, mask=None):
    return self_attention(x, w_q, w_k, w_v, None if mask is None else mask.mT)


@misconception(
    "self_attention",
    "You multiply the rows by W instead of its transpose. q = W^q a for a column means X times W^q transposed for "
    "rows.",
    lecture=MATRICES,
)
def self_attention_not_transposed(x, w_q, w_k, w_v, mask=None):
    return scaled_dot_product_attention(x @ w_q, x @ w_k, x @ w_v, mask)


@misconception(
    "self_attention",
    "All sentences of a batch are laid end to end, and attend to one another. Each must stay on its own.",
    lecture=MATRICES,
)
def sentences_are_mixed(x, w_q, w_k, w_v, mask=None):
    if x.ndim == 2:
        return self_attention(x, w_q, w_k, w_v, mask)
    output, weights = self_attention(x.flatten(0, -2), w_q, w_k, w_v)
    return output.reshape(*x.shape[:-1], -1), weights


@misconception(
    "self_attention",
    "Your output has left autograd's graph: the three matrices can never learn.",
    lecture=ATTENTION,
)
def self_attention_leaves_the_graph(x, w_q, w_k, w_v, mask=None):
    return tuple(part.detach() for part in self_attention(x, w_q, w_k, w_v, mask))


# --- permutation_error ---


@misconception(
    "permutation_error",
    "You test *invariance*: whether the outputs stay where they are. Equivariant means that they move along with the "
    "inputs, so the old outputs have to be shuffled too.",
    lecture=POSITIONS,
)
def tests_invariance(layer, x, permutation):
    return (layer(x[..., permutation, :]) - layer(x)).abs().max().item()


@misconception(
    "permutation_error",
    "You average the gaps. The error is the largest of them.",
    lecture=POSITIONS,
)
def mean_of_the_gaps(layer, x, permutation):
    return (layer(x[..., permutation, :]) - layer(x)[..., permutation, :]).abs().mean().item()


@misconception(
    "permutation_error",
    "You shuffle the outputs back by the inverse permutation, on the side that has not been shuffled. Swapping "
    "two is its own inverse; other permutations are not.",
    lecture=POSITIONS,
)
def inverse_on_the_wrong_side(layer, x, permutation):
    return (layer(x[..., permutation, :]) - layer(x)[..., permutation.argsort(), :]).abs().max().item()


@misconception(
    "permutation_error",
    "You take the largest difference with its sign: large negative ones go unnoticed. Take absolute values first.",
    lecture=POSITIONS,
)
def signs_are_kept(layer, x, permutation):
    return (layer(x[..., permutation, :]) - layer(x)[..., permutation, :]).max().item()


@misconception(
    "permutation_error",
    "You shuffle the first axis. In a batch those are the sentences; the positions are the axis before the last.",
    lecture=POSITIONS,
)
def shuffles_the_sentences(layer, x, permutation):
    return (layer(x[permutation]) - layer(x)[permutation]).abs().max().item()


@misconception(
    "permutation_error",
    "You take the length of the difference, the root of the sum of squares. The error is the largest entry.",
    lecture=POSITIONS,
)
def length_of_the_difference(layer, x, permutation):
    return (layer(x[..., permutation, :]) - layer(x)[..., permutation, :]).norm().item()


@misconception(
    "permutation_error",
    "You shuffle the caller's own vectors in place: whoever needs them afterwards finds them in another order.",
    lecture=POSITIONS,
)
def shuffles_in_place(layer, x, permutation):
    expected = layer(x)[..., permutation, :]
    x.copy_(x[..., permutation, :])
    return (layer(x) - expected).abs().max().item()


# --- multi_head_attention ---


def _split(rows, heads):
    return rows.unflatten(-1, (heads, -1)).transpose(-3, -2)


def _merge(heads):
    return heads.transpose(-3, -2).flatten(-2)


def _projected(x, *matrices):
    return [x @ w.mT for w in matrices]


def _for_heads(mask):
    return None if mask is None else mask.unsqueeze(-3)


@misconception(
    "multi_head_attention",
    "You reshape straight to (heads, positions, width). The numbers lie in memory position by position, so a head gets "
    "pieces of different positions: split the last axis, then swap heads and positions.",
    lecture=HEADS,
)
def reshape_for_transpose(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (rows.reshape(*x.shape[:-2], num_heads, x.shape[-2], -1) for rows in _projected(x, w_q, w_k, w_v))
    heads, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
    return _merge(heads) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "You reshape straight to (heads, positions, width), and straight back. The numbers lie in memory position by "
    "position, so each head gets pieces of different positions: swap heads and positions, there and back.",
    lecture=HEADS,
)
def reshapes_there_and_back(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (rows.reshape(*x.shape[:-2], num_heads, x.shape[-2], -1) for rows in _projected(x, w_q, w_k, w_v))
    heads, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
    return heads.reshape(*x.shape[:-1], -1) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "You merge the heads with a reshape alone. Positions and heads have to change places again first, or the "
    "output of one position is made of pieces of several.",
    lecture=HEADS,
)
def merges_without_transposing(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (_split(rows, num_heads) for rows in _projected(x, w_q, w_k, w_v))
    heads, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
    return heads.reshape(*x.shape[:-1], -1) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "You divide by the root of the width of all heads together. Each dot product has only the entries of one head.",
    lecture=HEADS,
)
def scales_by_the_width_of_all_heads(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    return multi_head_attention(x, w_q / math.sqrt(num_heads), w_k, w_v, w_o, num_heads, mask)


@misconception(
    "multi_head_attention",
    "You merge the heads in the wrong order: head 0 comes first.",
    lecture=HEADS,
)
def heads_in_reverse(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (_split(rows, num_heads) for rows in _projected(x, w_q, w_k, w_v))
    heads, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
    return _merge(heads.flip(-3)) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "Your heads are interleaved: head 0 takes every H-th entry. It owns the *first* d_k entries, head 1 the next.",
    lecture=HEADS,
)
def heads_are_interleaved(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (rows.unflatten(-1, (-1, num_heads)).movedim(-1, -3) for rows in _projected(x, w_q, w_k, w_v))
    heads, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
    return heads.movedim(-3, -1).flatten(-2) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "W^o is missing: the heads stand side by side, and nothing mixes what they found.",
    lecture=HEADS,
)
def no_last_matrix(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    return multi_head_attention(x, w_q, w_k, w_v, torch.eye(len(w_v), dtype=x.dtype), num_heads, mask)


@misconception(
    "multi_head_attention",
    "You multiply by W^o instead of its transpose: b = W^o times a column means a row times W^o transposed.",
    lecture=HEADS,
)
def last_matrix_not_transposed(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    return multi_head_attention(x, w_q, w_k, w_v, w_o.mT, num_heads, mask)


@misconception(
    "multi_head_attention",
    "Your mask has no axis for the heads: with as many sentences as heads, the padding of sentence 1 hides words from "
    "head 1 of every sentence.",
    lecture=HEADS,
)
def mask_without_an_axis_for_heads(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (_split(rows, num_heads) for rows in _projected(x, w_q, w_k, w_v))
    heads, weights = scaled_dot_product_attention(q, k, v, mask)
    return _merge(heads) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "The mask never reaches the heads.",
    lecture=HEADS,
)
def heads_ignore_the_mask(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    return multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads)


@misconception(
    "multi_head_attention",
    "You average the weights over the heads. Each head has weights of its own, and they are wanted.",
    lecture=HEADS,
)
def weights_are_averaged(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    output, weights = multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads, mask)
    return output, weights.mean(dim=-3)


@misconception(
    "multi_head_attention",
    "You swap axes 0 and 1, or 1 and 2, counted from the front. That fits one batch axis or none, but not any "
    "number of them.",
    lecture=HEADS,
)
def axes_from_the_front(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (rows.unflatten(-1, (num_heads, -1)) for rows in _projected(x, w_q, w_k, w_v))
    first = 0 if x.ndim == 2 else 1
    q, k, v = (rows.transpose(first, first + 1) for rows in (q, k, v))
    heads, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
    return heads.transpose(first, first + 1).flatten(-2) @ w_o.mT, weights


@misconception(
    "multi_head_attention",
    "Your output has left autograd's graph: the matrices can never learn.",
    lecture=HEADS,
)
def heads_leave_the_graph(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    output, weights = multi_head_attention(x, w_q, w_k, w_v, w_o, num_heads, mask)
    return output.detach(), weights.detach()


# --- MultiHeadAttention ---


class _Parts(MultiHeadAttention):
    """The reference, taken apart, so that one part can be replaced."""

    order = (0, 1, 2)

    def forward(self, query, key, value, mask=None):
        q, k, v = self.projected(query, key, value)
        weights = self.after_softmax(_shares(self.scores(q, k), _for_heads(mask)))
        return self.out_proj(_merge(weights @ v)), weights

    def projected(self, *inputs):
        matrices = [self.in_proj_weight.chunk(3)[part] for part in self.order]
        biases = [None if self.in_proj_bias is None else self.in_proj_bias.chunk(3)[part] for part in self.order]
        return [
            _split(nn.functional.linear(rows, w, b), self.num_heads) for rows, w, b in zip(inputs, matrices, biases)
        ]

    def scores(self, q, k):
        return _plain(q, k)

    def after_softmax(self, weights):
        return nn.functional.dropout(weights, self.dropout, self.training)


@misconception(
    "MultiHeadAttention",
    "You take the packed matrices in the order key, query, value. They lie in the order query, key, value.",
    lecture=HEADS,
)
class PackedKeyFirst(_Parts):
    order = (1, 0, 2)


@misconception(
    "MultiHeadAttention",
    "You take the packed matrices in the order value, key, query. They lie in the order query, key, value.",
    lecture=HEADS,
)
class PackedValueFirst(_Parts):
    order = (2, 1, 0)


@misconception(
    "MultiHeadAttention",
    "You cut the packed matrix head by head, with query, key and value of one head next to each other. First come "
    "all rows of W^q, then all of W^k, then all of W^v.",
    lecture=HEADS,
)
class PackedHeadByHead(_Parts):
    def projected(self, query, key, value):
        found = []
        for part, rows in enumerate((query, key, value)):
            projected = nn.functional.linear(rows, self.in_proj_weight, self.in_proj_bias)
            pieces = projected.unflatten(-1, (self.num_heads, 3, -1))[..., part, :]
            found.append(pieces.transpose(-3, -2))
        return found


@misconception(
    "MultiHeadAttention",
    "You reshape straight to (heads, positions, width), and straight back: each head gets pieces of different "
    "positions. Heads and positions have to be swapped, there and back.",
    lecture=HEADS,
)
class ReshapesThereAndBack(_Parts):
    def forward(self, query, key, value, mask=None):
        q, k, v = (
            rows.transpose(-3, -2).reshape(*rows.shape[:-3], self.num_heads, rows.shape[-2], -1)
            for rows in self.projected(query, key, value)
        )
        weights = self.after_softmax(_shares(self.scores(q, k), _for_heads(mask)))
        return self.out_proj((weights @ v).reshape(query.shape)), weights


@misconception(
    "MultiHeadAttention",
    "Queries, keys and values are projected without their biases, in_proj_bias.",
    lecture=HEADS,
)
class NoBiasInside(_Parts):
    def projected(self, *inputs):
        return [_split(rows @ w.mT, self.num_heads) for rows, w in zip(inputs, self.in_proj_weight.chunk(3))]


@misconception(
    "MultiHeadAttention",
    "The last projection lacks its bias, out_proj.bias.",
    lecture=HEADS,
)
class NoBiasAtTheEnd(_Parts):
    def forward(self, query, key, value, mask=None):
        output, weights = super().forward(query, key, value, mask)
        return output if self.out_proj.bias is None else output - self.out_proj.bias, weights


@misconception(
    "MultiHeadAttention",
    "You drop weights in evaluation too (`nn.functional.dropout` does, unless it is told `self.training`): the "
    "same input gives another output each time.",
    lecture=HEADS,
)
class DropsInEvaluation(_Parts):
    def after_softmax(self, weights):
        return nn.functional.dropout(weights, self.dropout)


@misconception(
    "MultiHeadAttention",
    "You never drop anything: the argument `dropout` has no effect.",
    lecture=HEADS,
)
class NeverDrops(_Parts):
    def after_softmax(self, weights):
        return weights


@misconception(
    "MultiHeadAttention",
    "Dropout acts on your output. It should strike out attention weights, between the softmax and the values.",
    lecture=HEADS,
)
class DropsTheOutput(_Parts):
    def forward(self, query, key, value, mask=None):
        output, weights = super().forward(query, key, value, mask)
        return nn.functional.dropout(output, self.dropout, self.training), weights

    def after_softmax(self, weights):
        return weights


@misconception(
    "MultiHeadAttention",
    "The weights that survive dropout are not divided by 1 - p: in training, all outputs are too small on average.",
    lecture=HEADS,
)
class SurvivorsDoNotGrow(_Parts):
    def after_softmax(self, weights):
        return super().after_softmax(weights) * (1 - self.dropout if self.training else 1)


@misconception(
    "MultiHeadAttention",
    "You draw once which weights to drop, and strike out the same ones in every head and every sentence. Each weight "
    "has a draw of its own.",
    lecture=HEADS,
)
class OneDrawForAllHeads(_Parts):
    def after_softmax(self, weights):
        if not self.training:
            return weights
        return weights * (torch.rand(weights.shape[-2:]) >= self.dropout) / (1 - self.dropout)


@misconception(
    "MultiHeadAttention",
    "You take p for the probability to *keep* a weight. It is the probability to strike it out.",
    lecture=HEADS,
)
class KeepsWithProbabilityP(_Parts):
    def after_softmax(self, weights):
        if not self.training or not self.dropout:
            return weights
        return weights * (torch.rand_like(weights) < self.dropout) / self.dropout


@misconception(
    "MultiHeadAttention",
    "Dropout acts on your scores, before the softmax. A score of 0 is no silence: drop the weights after it.",
    lecture=HEADS,
)
class DropsTheScores(_Parts):
    def scores(self, q, k):
        return nn.functional.dropout(_plain(q, k), self.dropout, self.training)

    def after_softmax(self, weights):
        return weights


@misconception(
    "MultiHeadAttention",
    "You return the weights as they were before dropout. Wanted are those that were used.",
    lecture=HEADS,
)
class WeightsBeforeDropout(_Parts):
    def after_softmax(self, weights):
        self.kept = weights
        return super().after_softmax(weights)

    def forward(self, query, key, value, mask=None):
        return super().forward(query, key, value, mask)[0], self.kept


@misconception(
    "MultiHeadAttention",
    "Your mask follows torch.nn.MultiheadAttention, where True means hidden. In this notebook True means may attend.",
    lecture=MASKS,
)
class TrueMeansHidden(_Parts):
    def forward(self, query, key, value, mask=None):
        return super().forward(query, key, value, None if mask is None else ~mask)


@misconception(
    "MultiHeadAttention",
    "Your mask has no axis for the heads: with as many sentences as heads, the padding of sentence 1 hides words from "
    "head 1 of every sentence.",
    lecture=MASKS,
)
class MaskWithoutHeads(_Parts):
    def forward(self, query, key, value, mask=None):
        q, k, v = self.projected(query, key, value)
        weights = self.after_softmax(_shares(self.scores(q, k), mask))
        return self.out_proj(_merge(weights @ v)), weights


@misconception(
    "MultiHeadAttention",
    "Where a query may attend to nobody you get NaN, which spreads to everything after it.",
    lecture=MASKS,
)
class NanWhereNobodyIsSeen(_Parts):
    def forward(self, query, key, value, mask=None):
        q, k, v = self.projected(query, key, value)
        weights = torch.softmax(_hidden(_plain(q, k), _for_heads(mask), -math.inf), dim=-1)
        weights = self.after_softmax(weights)
        return self.out_proj(_merge(weights @ v)), weights


@misconception(
    "MultiHeadAttention",
    "You divide by the root of embed_dim. Each dot product has only the entries of one head.",
    lecture=HEADS,
)
class ScalesByEmbedDim(_Parts):
    def scores(self, q, k):
        return _plain(q, k) / math.sqrt(self.num_heads)


@misconception(
    "MultiHeadAttention",
    "You average the weights over the heads, as PyTorch does by default. Here those of each head are wanted.",
    lecture=HEADS,
)
class AveragesTheWeights(_Parts):
    def forward(self, query, key, value, mask=None):
        output, weights = super().forward(query, key, value, mask)
        return output, weights.mean(dim=-3)


@misconception(
    "MultiHeadAttention",
    "Keys and values are made of the query in your module: it can attend to itself only.",
    lecture=HEADS,
)
class OnlyToItself(_Parts):
    def forward(self, query, key, value, mask=None):
        return super().forward(query, query, query, mask)


@misconception(
    "MultiHeadAttention",
    "Your values are made of the keys. key and value are two arguments and may differ.",
    lecture=HEADS,
)
class ValuesAreKeys(_Parts):
    def forward(self, query, key, value, mask=None):
        return super().forward(query, key, key, mask)


@misconception(
    "MultiHeadAttention",
    "Your module has parameters of its own names or shapes: a checkpoint of torch.nn.MultiheadAttention does not "
    "load. It packs W^q, W^k and W^v into one `in_proj_weight`, and calls the last layer `out_proj`.",
    lecture=HEADS,
)
class OwnNames(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__()
        if embed_dim % num_heads:
            raise ValueError
        self.num_heads, self.dropout = num_heads, dropout
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            nn.Linear(embed_dim, embed_dim, bias=bias) for _ in range(4)
        )

    def forward(self, query, key, value, mask=None):
        q, k, v = (_split(rows, self.num_heads) for rows in (self.q_proj(query), self.k_proj(key), self.v_proj(value)))
        _, weights = scaled_dot_product_attention(q, k, v, _for_heads(mask))
        weights = nn.functional.dropout(weights, self.dropout, self.training)
        return self.out_proj(_merge(weights @ v)), weights


@misconception(
    "MultiHeadAttention",
    "Your biases do not start at 0 (nn.Linear starts them at random).",
    lecture=HEADS,
)
class BiasesStartAtRandom(_Parts):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__(embed_dim, num_heads, dropout, bias)
        if bias:
            nn.init.uniform_(self.out_proj.bias, 0.1, 0.5)


@misconception(
    "MultiHeadAttention",
    "Your weights all start alike. Then all heads compute the same, get the same gradient, and stay alike for ever.",
    lecture=HEADS,
)
class WeightsStartAlike(_Parts):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__(embed_dim, num_heads, dropout, bias)
        nn.init.zeros_(self.in_proj_weight)


@misconception(
    "MultiHeadAttention",
    "With bias=False your module still has biases.",
    lecture=HEADS,
)
class BiasForEver(_Parts):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__(embed_dim, num_heads, dropout, True)

    def load_state_dict(self, state, strict=True, assign=False):
        return super().load_state_dict(state, strict=False)


@misconception(
    "MultiHeadAttention",
    "A width that can't be shared out evenly among the heads is not refused: it fails much later, or leaves "
    "entries out.",
    lecture=HEADS,
)
class AnyNumberOfHeads(_Parts):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__(embed_dim, 1, dropout, bias)
        self.num_heads = num_heads


@misconception(
    "MultiHeadAttention",
    "You use in_proj_weight through `.data` or `detach`: autograd can't see it, and it never learns.",
    lecture=HEADS,
)
class DetachedParameters(_Parts):
    def projected(self, *inputs):
        return [
            _split(rows @ w.mT if b is None else rows @ w.mT + b, self.num_heads)
            for rows, w, b in zip(
                inputs,
                self.in_proj_weight.data.chunk(3),
                (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3),
            )
        ]


# --- convolution_as_attention ---


def _heads_added(x, kernel, weights):
    return (weights @ (x[..., None, :, :] @ kernel.permute(2, 1, 0))).sum(dim=-3)


@misconception(
    "convolution_as_attention",
    "Your kernel is flipped: w_0 meets the right neighbour. In deep learning the kernel slides over as it is.",
    lecture=CNN,
)
def kernel_flipped(x, kernel):
    weights = convolution_as_attention(x, kernel)[1].flip(0)
    return _heads_added(x, kernel, weights), weights


@misconception(
    "convolution_as_attention",
    "At the edges your heads wrap round to the other end. Outside the sequence there is only padding: weights 0.",
    lecture=CNN,
)
def edges_wrap_round(x, kernel):
    n, k = x.shape[-2], kernel.shape[-1]
    weights = torch.stack([torch.eye(n, dtype=x.dtype).roll(s - k // 2, dims=1) for s in range(k)])
    return _heads_added(x, kernel, weights), weights


@misconception(
    "convolution_as_attention",
    "At the edges your heads look at the first or last position instead of outside. Zero padding gives weights 0 "
    "there.",
    lecture=CNN,
)
def edges_are_repeated(x, kernel):
    n, k = x.shape[-2], kernel.shape[-1]
    j = torch.arange(n)
    weights = torch.stack([(j == (j[:, None] + s - k // 2).clamp(0, n - 1)).to(x.dtype) for s in range(k)])
    return _heads_added(x, kernel, weights), weights


@misconception(
    "convolution_as_attention",
    "At the edges a head that looks outside spreads its attention evenly over the sequence: a softmax with nobody "
    "to look at. Such a row has weights 0.",
    lecture=CNN,
)
def edges_look_at_everybody(x, kernel):
    weights = convolution_as_attention(x, kernel)[1]
    weights = torch.where(weights.sum(dim=-1, keepdim=True) > 0, weights, 1 / x.shape[-2])
    return _heads_added(x, kernel, weights), weights


@misconception(
    "convolution_as_attention",
    "Your kernel is not centred: place 0 looks at position i itself, and the last one K - 1 further right.",
    lecture=CNN,
)
def kernel_not_centred(x, kernel):
    i = torch.arange(x.shape[-2])
    weights = torch.stack([i == i[:, None] + s for s in range(kernel.shape[-1])]).to(x.dtype)
    return _heads_added(x, kernel, weights), weights


@misconception(
    "convolution_as_attention",
    "You multiply by kernel[:, :, s] the wrong way round: its first axis counts the outputs, its second the inputs.",
    lecture=CNN,
)
def channels_swapped(x, kernel):
    weights = convolution_as_attention(x, kernel)[1]
    return (weights @ (x[..., None, :, :] @ kernel.permute(2, 0, 1))).sum(dim=-3), weights


@misconception(
    "convolution_as_attention",
    "There is no padding in your convolution: outputs at the edges are missing.",
    lecture=CNN,
)
def no_padding(x, kernel):
    output, weights = convolution_as_attention(x, kernel)
    edge = kernel.shape[-1] // 2
    return output[..., edge : x.shape[-2] - edge, :], weights


@misconception(
    "convolution_as_attention",
    "You average over the heads. A convolution adds up what its places contribute.",
    lecture=CNN,
)
def heads_are_averaged(x, kernel):
    output, weights = convolution_as_attention(x, kernel)
    return output / kernel.shape[-1], weights


@misconception(
    "convolution_as_attention",
    "Your weights are transposed: row i asks. In them, those on the left look to the right.",
    lecture=CNN,
)
def weights_transposed(x, kernel):
    output, weights = convolution_as_attention(x, kernel)
    return output, weights.mT


@misconception(
    "convolution_as_attention",
    "Your weights are True and False. They are shares of attention: numbers in the dtype of x.",
    lecture=CNN,
)
def weights_are_bool(x, kernel):
    output, weights = convolution_as_attention(x, kernel)
    return output, weights.bool()


# --- learned_receptive_field ---


def _distance(n):
    i = torch.arange(n)
    return (i[:, None] - i).abs()


def _radii(collected, wanted):
    return (collected < wanted).sum(dim=0)


def _collected(weights, inside=None):
    distance = _distance(weights.shape[-1])
    inside = torch.ones_like(distance, dtype=torch.bool) if inside is None else inside
    return torch.stack([(weights * (inside & (distance <= r))).sum(dim=-1) for r in range(weights.shape[-1])])


@misconception(
    "learned_receptive_field",
    "You measure how far the *largest* weight is. A head that spreads its attention evenly has a wide field, "
    "wherever its largest weight may be.",
    lecture=CNN,
)
def distance_of_the_largest_weight(weights, mass=0.9):
    return (weights.argmax(dim=-1) - torch.arange(weights.shape[-1])).abs()


@misconception(
    "learned_receptive_field",
    "You take the mean distance. A head that looks one to the left and sometimes very far has a small mean and a wide "
    "field.",
    lecture=CNN,
)
def mean_distance(weights, mass=0.9):
    return (weights * _distance(weights.shape[-1])).sum(dim=-1).round().long()


@misconception(
    "learned_receptive_field",
    "You count how many of the largest weights it takes, wherever they are. The field is a circle around position i.",
    lecture=CNN,
)
def counts_the_largest_weights(weights, mass=0.9):
    cumulated = weights.sort(dim=-1, descending=True).values.cumsum(dim=-1)
    return (cumulated < mass * weights.sum(dim=-1, keepdim=True) - 1e-6).sum(dim=-1)


@misconception(
    "learned_receptive_field",
    "More than the mass is asked for in your code. A radius that holds exactly the mass is enough.",
    lecture=CNN,
)
def more_than_the_mass(weights, mass=0.9):
    collected = _collected(weights)
    return (collected <= mass * weights.sum(dim=-1) + 1e-6).sum(dim=0).clamp(max=weights.shape[-1] - 1)


@misconception(
    "learned_receptive_field",
    "You return the width of the field, 2r + 1. The radius r is wanted.",
    lecture=CNN,
)
def width_for_radius(weights, mass=0.9):
    return 2 * learned_receptive_field(weights, mass) + 1


@misconception(
    "learned_receptive_field",
    "You look only to the left. A circle around i reaches to both sides.",
    lecture=CNN,
)
def looks_left_only(weights, mass=0.9):
    inside = torch.ones(weights.shape[-2:], dtype=torch.bool).tril()
    return _radii(_collected(weights, inside), mass * weights.sum(dim=-1) - 1e-6).clamp(max=weights.shape[-1] - 1)


@misconception(
    "learned_receptive_field",
    "You take the mass as such, not as a share of what the row holds. A row that adds up to less never gets there.",
    lecture=CNN,
)
def mass_is_no_share(weights, mass=0.9):
    return _radii(_collected(weights), torch.tensor(mass - 1e-6)).clamp(max=weights.shape[-1] - 1)


@misconception(
    "learned_receptive_field",
    "Rounding decides in your code: 7 times 0.1 is a little less than 0.7 for a computer. Leave the room of 1e-6 "
    "that the formula gives.",
    lecture=CNN,
)
def rounding_decides(weights, mass=0.9):
    return _radii(_collected(weights), mass * weights.sum(dim=-1) + 1e-12).clamp(max=weights.shape[-1] - 1)


@misconception(
    "learned_receptive_field",
    "You return one radius for the whole head. Every position has its own.",
    lecture=CNN,
)
def one_radius_for_the_head(weights, mass=0.9):
    return learned_receptive_field(weights, mass).amax(dim=-1)


@misconception(
    "learned_receptive_field",
    "You look for the farthest weight above a threshold. Many small weights together can hold most of the mass.",
    lecture=CNN,
)
def farthest_notable_weight(weights, mass=0.9):
    return (_distance(weights.shape[-1]) * (weights > 1 - mass)).amax(dim=-1)


@misconception(
    "learned_receptive_field",
    "Your radii are floating-point numbers. They count positions: int64.",
    lecture=CNN,
)
def radii_are_floats(weights, mass=0.9):
    return learned_receptive_field(weights, mass).to(weights.dtype)


# --- rnn_forward ---


def _run(x, h_0, step):
    h, states = h_0, []
    for x_t in x.unbind(dim=-2):
        h = step(x_t, h)
        states.append(h)
    return torch.stack(states, dim=-2)


@misconception(
    "rnn_forward",
    "The two matrices have changed places: W^x belongs to the input and W^h to the memory.",
    lecture=RNN,
)
def rnn_matrices_swapped(x, h_0, w_x, w_h, bias):
    return rnn_forward(x, h_0, w_h, w_x, bias)


@misconception(
    "rnn_forward",
    "The bias is missing.",
    lecture=RNN,
)
def rnn_without_bias(x, h_0, w_x, w_h, bias):
    return rnn_forward(x, h_0, w_x, w_h, 0 * bias)


@misconception(
    "rnn_forward",
    "Your memory starts at 0. It starts as h_0.",
    lecture=RNN,
)
def starts_from_zero(x, h_0, w_x, w_h, bias):
    return rnn_forward(x, 0 * h_0, w_x, w_h, bias)


@misconception(
    "rnn_forward",
    "h_0 is among your hidden states. It comes before the first of them: n inputs make n states.",
    lecture=RNN,
)
def starts_with_h_0(x, h_0, w_x, w_h, bias):
    return torch.cat([h_0[..., None, :], rnn_forward(x, h_0, w_x, w_h, bias)], dim=-2)


@misconception(
    "rnn_forward",
    "You return only the last hidden state. All n are wanted.",
    lecture=RNN,
)
def only_the_last_state(x, h_0, w_x, w_h, bias):
    return rnn_forward(x, h_0, w_x, w_h, bias)[..., -1, :]


@misconception(
    "rnn_forward",
    "Your memory is never renewed: each step starts from h_0 again, and has forgotten all inputs before its own.",
    lecture=RNN,
)
def memory_is_not_renewed(x, h_0, w_x, w_h, bias):
    return _run(x, h_0, lambda x_t, _: torch.tanh(x_t @ w_x.mT + h_0 @ w_h.mT + bias))


@misconception(
    "rnn_forward",
    "You use a sigmoid where the formula has a tanh.",
    lecture=RNN,
)
def sigmoid_for_tanh(x, h_0, w_x, w_h, bias):
    return _run(x, h_0, lambda x_t, h: torch.sigmoid(x_t @ w_x.mT + h @ w_h.mT + bias))


@misconception(
    "rnn_forward",
    "The tanh is missing: the network is linear, and its memory may grow without end.",
    lecture=RNN,
)
def linear_memory(x, h_0, w_x, w_h, bias):
    return _run(x, h_0, lambda x_t, h: x_t @ w_x.mT + h @ w_h.mT + bias)


@misconception(
    "rnn_forward",
    "You multiply rows by W instead of its transpose: W^h h for a column means a row times W^h transposed.",
    lecture=RNN,
)
def rnn_not_transposed(x, h_0, w_x, w_h, bias):
    return _run(x, h_0, lambda x_t, h: torch.tanh(x_t @ w_x.mT + h @ w_h + bias))


@misconception(
    "rnn_forward",
    "You take the first axis for the time. In a batch those are the sequences; time is the axis before the last.",
    lecture=RNN,
)
def time_is_the_first_axis(x, h_0, w_x, w_h, bias):
    h, states = h_0, []
    for x_t in x:
        h = torch.tanh(x_t @ w_x.mT + h @ w_h.mT + bias)
        states.append(h)
    return torch.stack(states)


@misconception(
    "rnn_forward",
    "You cut the graph between the steps (detach): what was said early can never learn from a late mistake.",
    lecture=RNN,
)
def graph_cut_between_steps(x, h_0, w_x, w_h, bias):
    first = rnn_forward(x[..., :1, :], h_0, w_x, w_h, bias)
    if x.shape[-2] == 1:
        return first
    rest = _run(x[..., 1:, :], first[..., 0, :], lambda x_t, h: torch.tanh(x_t @ w_x.mT + h.detach() @ w_h.mT + bias))
    return torch.cat([first, rest], dim=-2)


@misconception(
    "rnn_forward",
    "You read the sequence backwards.",
    lecture=RNN,
)
def reads_backwards(x, h_0, w_x, w_h, bias):
    return rnn_forward(x.flip(-2), h_0, w_x, w_h, bias).flip(-2)


# --- compare_layers ---


def _but(n, d, kernel_size, key, **changed):
    costs = compare_layers(n, d, kernel_size)
    costs[key] = costs[key]._replace(**changed)
    return costs


@misconception(
    "compare_layers",
    "You think that in self-attention a signal has to travel through all positions. Everybody looks at everybody "
    "directly: the path is 1.",
    lecture=RNN,
)
def attention_path_n(n, d, kernel_size):
    return _but(n, d, kernel_size, "self-attention", path=n)


@misconception(
    "compare_layers",
    "Your self-attention takes n steps. No output waits for another: all are computed at once.",
    lecture=RNN,
)
def attention_waits(n, d, kernel_size):
    return _but(n, d, kernel_size, "self-attention", steps=n)


@misconception(
    "compare_layers",
    "You count only one of self-attention's two matrix products: first Q K^T, then the weights times V.",
    lecture=RNN,
)
def one_product_only(n, d, kernel_size):
    return _but(n, d, kernel_size, "self-attention", multiplications=n * n * d)


@misconception(
    "compare_layers",
    "You count the projections to queries, keys and values too. They are left out, as in the table.",
    lecture=RNN,
)
def projections_counted(n, d, kernel_size):
    return _but(n, d, kernel_size, "self-attention", multiplications=2 * n * n * d + 3 * n * d * d)


@misconception(
    "compare_layers",
    "Your self-attention grows linearly with n. Every position meets every other: that is n squared.",
    lecture=RNN,
)
def attention_is_linear(n, d, kernel_size):
    return _but(n, d, kernel_size, "self-attention", multiplications=2 * n * d * d)


@misconception(
    "compare_layers",
    "Your path through the RNN is one too short: the first cell, which reads the first input, is passed as well.",
    lecture=RNN,
)
def rnn_path_one_short(n, d, kernel_size):
    return _but(n, d, kernel_size, "rnn", path=n - 1)


@misconception(
    "compare_layers",
    "Your RNN takes one step. Each hidden state has to wait for the one before.",
    lecture=RNN,
)
def rnn_in_parallel(n, d, kernel_size):
    return _but(n, d, kernel_size, "rnn", steps=1)


@misconception(
    "compare_layers",
    "You count only one of the two matrix products of an RNN's step: W^x times the input, and W^h times the memory.",
    lecture=RNN,
)
def one_product_of_the_rnn(n, d, kernel_size):
    return _but(n, d, kernel_size, "rnn", multiplications=n * d * d)


@misconception(
    "compare_layers",
    "Your convolutions carry a signal K places further in one layer. A centred kernel reaches (K - 1)/2 to each side.",
    lecture=CNN,
)
def kernel_reaches_its_size(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", path=max(1, math.ceil(n / kernel_size)))


@misconception(
    "compare_layers",
    "Your convolutions carry a signal K - 1 places further in one layer. A centred kernel reaches half as far, to each "
    "side.",
    lecture=CNN,
)
def kernel_is_not_centred(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", path=max(1, math.ceil((n - 1) / (kernel_size - 1))))


@misconception(
    "compare_layers",
    "You take the path of *dilated* convolutions, a logarithm. Kernels without gaps reach (K - 1)/2 further per layer.",
    lecture=CNN,
)
def dilated_convolutions(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", path=max(1, math.ceil(math.log(n, kernel_size))))


@misconception(
    "compare_layers",
    "You round down the number of layers: the signal stops a little short of the last position.",
    lecture=CNN,
)
def layers_rounded_down(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", path=max(1, (n - 1) // ((kernel_size - 1) // 2)))


@misconception(
    "compare_layers",
    "You count n places from the first to the last position. There are n - 1 of them.",
    lecture=CNN,
)
def one_place_more(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", path=math.ceil(n / ((kernel_size - 1) // 2)))


@misconception(
    "compare_layers",
    "Your convolution has one kernel for each channel. All d inputs reach all d outputs: d times d numbers for each "
    "place of the kernel.",
    lecture=CNN,
)
def depthwise_convolution(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", multiplications=kernel_size * n * d)


@misconception(
    "compare_layers",
    "You forget the size of the kernel: each output is made of K vectors.",
    lecture=CNN,
)
def kernel_size_forgotten(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", multiplications=n * d * d)


@misconception(
    "compare_layers",
    "Your convolution takes n steps: you think of a kernel that slides. All its positions are computed at once.",
    lecture=CNN,
)
def convolution_slides(n, d, kernel_size):
    return _but(n, d, kernel_size, "convolution", steps=n)


# --- streaming_attention ---


def _streamed(q, blocks, shrink_total=torch.exp, shrink_output=torch.exp, scale=True, start=-math.inf):
    largest = torch.full((len(q), 1), start, dtype=q.dtype)
    total, output = torch.zeros_like(largest), torch.zeros_like(largest)
    for k, v in blocks:
        scores = q @ k.mT / (math.sqrt(q.shape[-1]) if scale else 1)
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new)
        total = shrink_total(largest - new) * total + weights.sum(dim=-1, keepdim=True)
        output = shrink_output(largest - new) * output + weights @ v
        largest = new
    return output / total


@misconception(
    "streaming_attention",
    "When a larger score turns up, what was collected before keeps its old scale: it counts far too much. Both "
    "sums have to shrink by e^(old - new).",
    lecture=ATTENTION,
)
def rescaling_forgotten(q, blocks):
    return _streamed(q, blocks, torch.ones_like, torch.ones_like)


@misconception(
    "streaming_attention",
    "You shrink the weighted sum, but not the sum of the weights: the shares no longer add up to 1.",
    lecture=ATTENTION,
)
def total_not_rescaled(q, blocks):
    return _streamed(q, blocks, torch.ones_like, torch.exp)


@misconception(
    "streaming_attention",
    "You shrink the sum of the weights, but not the weighted sum of the values.",
    lecture=ATTENTION,
)
def output_not_rescaled(q, blocks):
    return _streamed(q, blocks, torch.exp, torch.ones_like)


@misconception(
    "streaming_attention",
    "You rescale the wrong way round: when the largest score rises, what was collected before has to *shrink*.",
    lecture=ATTENTION,
)
def grows_for_shrinks(q, blocks):
    def grow(gap):
        return torch.exp(-gap.nan_to_num(neginf=0.0))

    return _streamed(q, blocks, grow, grow)


@misconception(
    "streaming_attention",
    "You never subtract the largest score: the exponential overflows, or all weights vanish and you divide 0 by 0.",
    lecture=ATTENTION,
)
def no_largest_score(q, blocks):
    total = output = 0
    for k, v in blocks:
        weights = torch.exp(q @ k.mT / math.sqrt(q.shape[-1]))
        total, output = total + weights.sum(dim=-1, keepdim=True), output + weights @ v
    return output / total


@misconception(
    "streaming_attention",
    "Your largest score starts at 0. If all scores lie far below it, every weight vanishes and you divide 0 by 0: "
    "start at minus infinity.",
    lecture=ATTENTION,
)
def largest_starts_at_zero(q, blocks):
    return _streamed(q, blocks, start=0.0)


@misconception(
    "streaming_attention",
    "You take the largest score of the last block, not of all so far. When it falls, what was collected before "
    "must grow, and overflows.",
    lecture=ATTENTION,
)
def largest_of_the_last_block(q, blocks):
    largest = None
    for k, v in blocks:
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        new = scores.amax(dim=-1, keepdim=True)
        weights = torch.exp(scores - new)
        if largest is None:
            total, output = weights.sum(dim=-1, keepdim=True), weights @ v
        else:
            factor = torch.exp(largest - new)
            total = factor * total + weights.sum(dim=-1, keepdim=True)
            output = factor * output + weights @ v
        largest = new
    return output / total


@misconception(
    "streaming_attention",
    "You average the outputs of the blocks. A block full of relevant keys must count more than one without any.",
    lecture=ATTENTION,
)
def blocks_count_alike(q, blocks):
    outputs, number = 0, 0
    for k, v in blocks:
        outputs, number = outputs + scaled_dot_product_attention(q, k, v)[0], number + 1
    return outputs / number


@misconception(
    "streaming_attention",
    "You weigh the outputs of the blocks by their lengths. What counts is the mass of their exponentials.",
    lecture=ATTENTION,
)
def blocks_count_by_length(q, blocks):
    outputs, number = 0, 0
    for k, v in blocks:
        outputs, number = outputs + len(k) * scaled_dot_product_attention(q, k, v)[0], number + len(k)
    return outputs / number


@misconception(
    "streaming_attention",
    "You collect all blocks first. By then, all but the last have been overwritten.",
    lecture=ATTENTION,
)
def collects_the_blocks(q, blocks):
    keys, values = zip(*blocks)
    return scaled_dot_product_attention(q, torch.cat(keys), torch.cat(values))[0]


@misconception(
    "streaming_attention",
    "You keep a copy of every block: the numbers are right, but the memory grows with the number of keys, which "
    "is what was to be avoided.",
    lecture=ATTENTION,
)
def copies_the_blocks(q, blocks):
    keys, values = zip(*((k.clone(), v.clone()) for k, v in blocks))
    return scaled_dot_product_attention(q, torch.cat(keys), torch.cat(values))[0]


@misconception(
    "streaming_attention",
    "You do not divide the scores by the root of d_k.",
    lecture=ATTENTION,
)
def streaming_without_scaling(q, blocks):
    return _streamed(q, blocks, scale=False)


@misconception(
    "streaming_attention",
    "Your output is not divided by the sum of the weights.",
    lecture=ATTENTION,
)
def never_divides(q, blocks):
    largest = torch.full((len(q), 1), -math.inf, dtype=q.dtype)
    output = torch.zeros_like(largest)
    for k, v in blocks:
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        new = torch.maximum(largest, scores.amax(dim=-1, keepdim=True))
        output = torch.exp(largest - new) * output + torch.exp(scores - new) @ v
        largest = new
    return output


@misconception(
    "streaming_attention",
    "Your result is float64 although queries, keys and values came as float32.",
    lecture=ATTENTION,
)
def streaming_becomes_double(q, blocks):
    return _streamed(q.double(), ((k.double(), v.double()) for k, v in blocks))
