"""Hidden tests of lectures 10 and 11: what an implementation of attention, and of its rivals, gives."""

import math
import tracemalloc
import weakref

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from grader import Problem, check, close, exact

ATTENTION = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch._C._nn.scaled_dot_product_attention",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.attention.flex_attention.flex_attention",
    *(
        f"torch.nn.{name}"
        for name in (
            "MultiheadAttention Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer "
            "TransformerDecoderLayer"
        ).split()
    ),
    *(
        f"torch.{name}"
        for name in (
            "_native_multi_head_attention _scaled_dot_product_attention_math _triton_multi_head_attention "
            "_scaled_dot_product_flash_attention_for_cpu _triton_scaled_dot_attention _transformer_encoder_layer_fwd "
            "_safe_softmax"
        ).split()
    ),
)
# As torch dispatches them; `_safe_softmax` is called by the library's attention and by nothing else.
ATTENTION_OPERATORS = tuple(
    f"aten::{name}"
    for name in (
        "scaled_dot_product_attention _scaled_dot_product_attention_math _scaled_dot_product_flash_attention "
        "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_efficient_attention "
        "_scaled_dot_product_cudnn_attention _scaled_dot_product_fused_attention_overrideable "
        "_scaled_dot_product_attention_math_for_mps _flash_attention_forward _efficient_attention_forward "
        "_native_multi_head_attention _triton_multi_head_attention _triton_scaled_dot_attention "
        "_transformer_encoder_layer_fwd _safe_softmax"
    ).split()
)
CONVOLUTION = (
    *(
        f"{module}.{name}"
        for module in ("torch", "torch.nn.functional")
        for name in "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d conv_tbc".split()
    ),
    *(f"torch.{name}" for name in "convolution _convolution _convolution_mode mkldnn_convolution".split()),
    *(
        f"torch.nn.{name}"
        for name in (
            "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d LazyConv2d LazyConv3d"
        ).split()
    ),
    "numpy.convolve",
    "numpy.correlate",
)
CONVOLUTION_OPERATORS = (
    *(
        f"aten::{name}"
        for name in (
            "convolution _convolution convolution_overrideable mkldnn_convolution conv1d conv2d conv3d conv_tbc "
            "_slow_conv2d_forward thnn_conv2d conv_transpose1d conv_transpose2d"
        ).split()
    ),
    "mkldnn::_convolution_pointwise",
)
RECURRENT = (
    *(f"torch.nn.{name}" for name in "RNN RNNCell RNNBase RNNCellBase LSTM LSTMCell GRU GRUCell".split()),
    *(
        f"{module}.{name}"
        for module in ("torch", "torch._VF")
        for name in "rnn_tanh rnn_tanh_cell rnn_relu rnn_relu_cell lstm lstm_cell gru gru_cell".split()
    ),
)

PROBLEMS = (
    Problem("dot_product_scores"),
    Problem("additive_scores"),
    Problem("padding_mask"),
    Problem("causal_mask"),
    Problem("window_mask"),
    Problem("scaled_dot_product_attention", forbidden=ATTENTION, operators=ATTENTION_OPERATORS),
    Problem("self_attention", forbidden=ATTENTION, operators=ATTENTION_OPERATORS),
    Problem("permutation_error"),
    Problem("multi_head_attention", forbidden=ATTENTION, operators=ATTENTION_OPERATORS),
    Problem("MultiHeadAttention", forbidden=ATTENTION, operators=ATTENTION_OPERATORS),
    Problem("convolution_as_attention", forbidden=CONVOLUTION, operators=CONVOLUTION_OPERATORS),
    Problem("learned_receptive_field"),
    Problem("rnn_forward", forbidden=RECURRENT),
    Problem("compare_layers"),
    Problem("streaming_attention", bonus=True, forbidden=ATTENTION, operators=ATTENTION_OPERATORS),
)


def tensor(rng, *shape, scale=1.0, shift=0.0):
    """A float64 tensor of random numbers."""
    return torch.from_numpy(rng.normal(shift, scale, size=shape))


def single(rng, *shape, scale=1.0, shift=0.0):
    """A float32 tensor of random numbers."""
    return tensor(rng, *shape, scale=scale, shift=shift).float()


def gradients(rng, output, inputs, names):
    """The gradient of a random weighing of the output for each input; None where nothing flows."""
    weighed = (output * tensor(rng, *output.shape).to(output.dtype)).sum()
    found = [None] * len(inputs)
    if output.requires_grad:
        found = torch.autograd.grad(weighed, inputs, allow_unused=True)
    return {f"gradient for {name}": gradient for name, gradient in zip(names.split(), found, strict=True)}


def leaves(rng, *shapes):
    """float32 tensors that want a gradient."""
    return [single(rng, *shape).requires_grad_() for shape in shapes]


# --- dot_product_scores ---


@check(
    "dot_product_scores", points=2, hint="Row i is about the vector that asks: which two vectors meet in entry i, j?"
)
def scores_of_a_sentence_with_itself(student, rng):
    """Every vector asks every vector: W^q of the one, dot W^k of the other."""
    two, four = tensor(rng, 2, 2), tensor(rng, 4, 3)
    return {
        "two vectors of width 2": student.dot_product_scores(two, two, tensor(rng, 2, 2), tensor(rng, 2, 2)),
        "four vectors of width 3": student.dot_product_scores(four, four, tensor(rng, 3, 3), tensor(rng, 3, 3)),
    }


@check(
    "dot_product_scores",
    points=1,
    hint="Who asks goes through W^q, who answers through W^k. What if there are more of one?",
)
def scores_of_one_sentence_with_another(student, rng):
    """The vectors that ask and those that answer may differ in number and width."""
    return student.dot_product_scores(tensor(rng, 2, 3), tensor(rng, 5, 4), tensor(rng, 2, 3), tensor(rng, 2, 4))


@check(
    "dot_product_scores", points=1, hint="Only the last two axes take part. Which operation leaves all others alone?"
)
def scores_of_many_sentences(student, rng):
    """Sentences, and groups of sentences, each have their own scores."""
    w_q, w_k = tensor(rng, 2, 3), tensor(rng, 2, 3)
    return {
        f"leading axes {axes}": student.dot_product_scores(tensor(rng, *axes, 3, 3), tensor(rng, *axes, 4, 3), w_q, w_k)
        for axes in ((2,), (2, 3))
    }


@check("dot_product_scores", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def scores_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the vectors and to both matrices."""
    inputs = leaves(rng, (2, 3), (4, 3), (2, 3), (2, 3))
    scores = student.dot_product_scores(*inputs)
    return {"scores": scores, **gradients(rng, scores, inputs, "x y w_q w_k")}


# --- additive_scores ---


@check("additive_scores", points=2, hint="Project, add, bend, and only then judge with w: in this order.")
def additive_scores_of_every_pair(student, rng):
    """w judges the tanh of the sum of both projections, for every pair."""
    return {
        "one pair": student.additive_scores(
            tensor(rng, 1, 2), tensor(rng, 1, 2), tensor(rng, 3, 2), tensor(rng, 3, 2), tensor(rng, 3)
        ),
        "two ask three": student.additive_scores(
            tensor(rng, 2, 4), tensor(rng, 3, 2), tensor(rng, 5, 4), tensor(rng, 5, 2), tensor(rng, 5)
        ),
    }


@check("additive_scores", points=1, hint="Row i asks, column j answers. Which axis of which projection belongs to j?")
def additive_scores_of_as_many_as_they_are_wide(student, rng):
    """Rows ask and columns answer, also where all sizes are equal."""
    return student.additive_scores(*(tensor(rng, 3, 3) for _ in range(4)), tensor(rng, 3))


@check("additive_scores", points=1, hint="A new axis has to be put next to the positions: count from the end.")
def additive_scores_of_many_sentences(student, rng):
    """Sentences, and groups of sentences, each have their own scores."""
    w_q, w_k, w = tensor(rng, 2, 3), tensor(rng, 2, 3), tensor(rng, 2)
    return {
        f"leading axes {axes}": student.additive_scores(tensor(rng, *axes, 3, 3), tensor(rng, *axes, 4, 3), w_q, w_k, w)
        for axes in ((3,), (2, 3))
    }


@check("additive_scores", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def additive_scores_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the vectors, the matrices and w."""
    inputs = leaves(rng, (2, 3), (4, 3), (2, 3), (2, 3), (2,))
    scores = student.additive_scores(*inputs)
    return {"scores": scores, **gradients(rng, scores, inputs, "x y w_q w_k w")}


# --- padding_mask, causal_mask, window_mask ---


@check("padding_mask", points=2, hint="Positions count from 0. Which is the last real word of a sentence of 2?")
def padding_is_hidden(student, rng):
    """Real words may be attended to, the padding after them may not."""
    return {
        "one sentence": student.padding_mask(torch.tensor([2]), 3),
        "three sentences": student.padding_mask(torch.tensor([4, 1, 3]), 5),
    }


@check(
    "padding_mask",
    points=1,
    hint="What may be seen of a sentence without words, and what of one that fills all places?",
)
def empty_and_full_sentences(student, rng):
    """A sentence without words is all padding; one that fills all places has none."""
    return student.padding_mask(torch.tensor([0, 3]), 3)


@check(
    "padding_mask", points=1, hint="Every axis of lengths stays in front; the two axes after them are for i and for j."
)
def lengths_of_any_shape(student, rng):
    """A single length, or a table of them, gives as many leading axes."""
    return {
        "a single length": student.padding_mask(torch.tensor(1), 2),
        "a table of lengths": student.padding_mask(torch.from_numpy(rng.integers(1, 4, size=(2, 3))), 4),
    }


@check("causal_mask", points=1, hint="May a word look at itself?")
def the_first_words_of_a_sentence(student, rng):
    """The first word sees itself, the second both."""
    return {"one word": student.causal_mask(1), "two words": student.causal_mask(2)}


@check("causal_mask", points=1, hint="Write down row 0: who exists when the first word asks?")
def nobody_sees_the_future(student, rng):
    """Everybody sees itself and what came before, and nothing later."""
    return student.causal_mask(5)


@check("causal_mask", points=1, hint="True = may attend. And what can `~` and `&` work with?")
def causal_masks_combine(student, rng):
    """A mask is bool: it can be turned round and combined."""
    mask = student.causal_mask(4)
    return {"hidden": ~mask, "seen by the last, but not by the first": mask[-1] & ~mask[0]}


@check("window_mask", points=2, hint="Radius 1: how many neighbours does a word in the middle see, and on which sides?")
def a_window_around_each_word(student, rng):
    """Everybody sees as far as the radius, on either side."""
    return {
        "three words, radius 1": student.window_mask(3, 1),
        "seven words, radius 2": student.window_mask(7, 2),
        "six words, radius 3": student.window_mask(6, 3),
    }


@check("window_mask", points=1, hint="How far is a word from itself?")
def a_window_of_radius_0(student, rng):
    """With radius 0 everybody sees only itself."""
    return {
        "one word": student.window_mask(1, 0),
        "four words": student.window_mask(4, 0),
        "radius 1": student.window_mask(4, 1),
    }


@check("window_mask", points=1, hint="What is there to hide if everybody is near enough?")
def a_window_larger_than_the_sentence(student, rng):
    """A window that reaches to the other end hides nothing."""
    return {
        "radius n - 1": student.window_mask(4, 3),
        "radius 9": student.window_mask(3, 9),
        "one less than n - 1": student.window_mask(4, 2),
    }


# --- scaled_dot_product_attention ---


@check(
    "scaled_dot_product_attention",
    points=4,
    hint="Score, divide, softmax over those who answer, weigh: what has which shape?",
)
def attention_without_a_mask(student, rng):
    """Every query takes home the weighted mean of the values."""
    return {
        "one query, two keys": student.scaled_dot_product_attention(
            tensor(rng, 1, 4), tensor(rng, 2, 4), tensor(rng, 2, 1)
        ),
        "as many queries as keys": student.scaled_dot_product_attention(*(tensor(rng, 3, 3) for _ in range(3))),
        "three queries, five keys": student.scaled_dot_product_attention(
            tensor(rng, 3, 2), tensor(rng, 5, 2), tensor(rng, 5, 4)
        ),
    }


@check(
    "scaled_dot_product_attention",
    points=3,
    hint="True = may attend. Do the weights of those who are left add up to 1?",
)
def attention_with_a_mask(student, rng):
    """Who is hidden gets the weight 0, and the others share all of it."""
    q, k, v = tensor(rng, 3, 2), tensor(rng, 4, 2), tensor(rng, 4, 2)
    rows = [[True, False, False, True], [True, True, True, True], [False, False, True, False]]
    return student.scaled_dot_product_attention(q, k, v, torch.tensor(rows))


@check(
    "scaled_dot_product_attention",
    points=2,
    hint="Only the last two axes take part; `.T` and axis numbers from the front go wrong.",
)
def attention_in_many_sentences_and_heads(student, rng):
    """Any number of leading axes, and masks that broadcast to them."""
    padding = torch.tensor([[[True, True, False]], [[True, False, False]]])
    table = torch.tensor([[True, False, True], [True, True, False]])
    return {
        "two sentences": student.scaled_dot_product_attention(*(tensor(rng, 2, 2, 2) for _ in range(3))),
        "two sentences with padding": student.scaled_dot_product_attention(
            tensor(rng, 2, 2, 2), tensor(rng, 2, 3, 2), tensor(rng, 2, 3, 4), padding
        ),
        "two sentences, three heads, one mask": student.scaled_dot_product_attention(
            tensor(rng, 2, 3, 2, 2), tensor(rng, 2, 3, 3, 2), tensor(rng, 2, 3, 3, 2), table
        ),
    }


@check(
    "scaled_dot_product_attention", points=2, hint="What does your softmax make of a row in which everything is hidden?"
)
def a_row_that_sees_nobody(student, rng):
    """Who may attend to nobody gets weights 0 and the output 0; all others are not disturbed."""
    mask = torch.tensor([[False, False, False], [True, True, False]])
    return {
        "nobody sees anybody": student.scaled_dot_product_attention(
            tensor(rng, 1, 2), tensor(rng, 2, 2), tensor(rng, 2, 2), torch.zeros(1, 2, dtype=torch.bool)
        ),
        "one row of two": student.scaled_dot_product_attention(
            tensor(rng, 2, 2), tensor(rng, 3, 2), tensor(rng, 3, 3), mask
        ),
    }


@check(
    "scaled_dot_product_attention",
    points=2,
    hint="Once a NaN has been made, 0 times NaN is still NaN on the way back. Never make it.",
)
def gradients_where_a_row_sees_nobody(student, rng):
    """Gradients are finite, also where a row may attend to nobody."""
    inputs = leaves(rng, (2, 2), (3, 2), (3, 2))
    mask = torch.tensor([[True, False, True], [False, False, False]])
    output, _ = student.scaled_dot_product_attention(*inputs, mask)
    return {"output": output, **gradients(rng, output, inputs, "q k v")}


@check(
    "scaled_dot_product_attention",
    points=2,
    hint="The softmax does not change if all scores of a row fall by the same amount. Which?",
)
def huge_scores(student, rng):
    """Scores in the thousands, of either sign, stay finite, with a mask and without."""
    q, k, v = tensor(rng, 2, 4, scale=200), tensor(rng, 3, 4, scale=200), tensor(rng, 3, 2)
    low = -torch.ones(1, 4).double() * 60
    mask = torch.tensor([[True, True, False], [False, True, True]])
    return {
        "large": student.scaled_dot_product_attention(q, k, v),
        "large, with a mask": student.scaled_dot_product_attention(q, k, v, mask),
        "all far below 0": student.scaled_dot_product_attention(low, tensor(rng, 3, 4, shift=60), v),
        "all far below 0, with a mask": student.scaled_dot_product_attention(
            low, tensor(rng, 3, 4, shift=60), v, mask[:1]
        ),
    }


@check("scaled_dot_product_attention", points=2, hint="Does anything on the way leave the graph, or change the dtype?")
def attention_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to queries, keys and values."""
    inputs = leaves(rng, (2, 3), (4, 3), (4, 2))
    output, weights = student.scaled_dot_product_attention(*inputs)
    return {"output": output, "weights": weights, **gradients(rng, output, inputs, "q k v")}


# --- self_attention ---


@check(
    "self_attention",
    points=3,
    hint="Three roles, three matrices: which of them turns a vector into what it has to say?",
)
def self_attention_of_a_sentence(student, rng):
    """Queries, keys and values are made of the same vectors by three matrices."""
    return {
        "two vectors of width 2": student.self_attention(tensor(rng, 2, 2), *(tensor(rng, 2, 2) for _ in range(3))),
        "widths of their own": student.self_attention(
            tensor(rng, 4, 3), tensor(rng, 2, 3), tensor(rng, 2, 3), tensor(rng, 5, 3)
        ),
    }


@check("self_attention", points=2, hint="The mask has to reach the softmax. Row i asks.")
def self_attention_with_a_mask(student, rng):
    """With a causal mask an output depends on what came before, and on nothing later."""
    x, (w_q, w_k, w_v) = tensor(rng, 4, 3), tensor(rng, 3, 3, 3)
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    some = torch.tensor([[False, True, True, False], [True] * 4, [True, False, True, False], [False] * 3 + [True]])
    nobody = torch.tensor([[True, False, True, True], [False] * 4, [True] * 4, [True] * 4])
    return {
        "causal": student.self_attention(x, w_q, w_k, w_v, causal),
        "some hidden": student.self_attention(x, w_q, w_k, w_v, some),
        "one sees nobody": student.self_attention(x, w_q, w_k, w_v, nobody),
    }


@check("self_attention", points=2, hint="Which of your steps counts its axes from the front?")
def self_attention_of_many_sentences(student, rng):
    """Sentences, and groups of sentences, each attend to themselves only."""
    w = tensor(rng, 3, 3, 3)
    padding = torch.tensor([[[True, True, False]], [[True, True, True]]])
    return {
        "two sentences with padding": student.self_attention(tensor(rng, 2, 3, 3), *w, padding),
        "two by two sentences": student.self_attention(tensor(rng, 2, 2, 3, 3), *w),
    }


@check("self_attention", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def self_attention_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the vectors and the three matrices."""
    inputs = leaves(rng, (3, 3), (2, 3), (2, 3), (3, 3))
    output, weights = student.self_attention(*inputs)
    return {"output": output, "weights": weights, **gradients(rng, output, inputs, "x w_q w_k w_v")}


# --- permutation_error ---


@check(
    "permutation_error",
    points=2,
    hint="Equivariant: the outputs move along with the inputs. Invariant: they stay. Which is asked?",
)
def layers_that_do_not_notice(student, rng):
    """Layers that treat all positions alike have the error 0."""
    x, w, shift, scale = tensor(rng, 4, 2), tensor(rng, 2, 3), torch.tensor([1, 2, 3, 0]), tensor(rng, 2, 1)
    return {
        "each vector by itself": student.permutation_error(lambda x: torch.tanh(x @ w), x, shift),
        "minus the mean of all": student.permutation_error(lambda x: x - x.mean(dim=-2, keepdim=True), x, shift),
        "beside one that notices": student.permutation_error(lambda x: scale * x, x[:2], torch.tensor([1, 0])),
    }


@check(
    "permutation_error",
    points=2,
    hint="Shuffle, then f, against f, then shuffle, with the same shuffle both times. The largest gap counts.",
)
def layers_that_notice(student, rng):
    """Layers that know the positions have the error of the formula."""
    x, scale = tensor(rng, 5, 2), tensor(rng, 5, 1)
    permutation = torch.tensor([2, 0, 1, 4, 3])
    return {
        "positions scaled": student.permutation_error(lambda x: scale * x, x, permutation),
        "running sum": student.permutation_error(lambda x: x.cumsum(dim=-2), x, permutation),
    }


@check("permutation_error", points=1, hint="Positions are the axis before the last, whatever comes in front.")
def permutations_of_many_sentences(student, rng):
    """In every sentence of a batch the same permutation is applied to the positions."""
    permutation = torch.tensor([1, 2, 0])
    return {
        "two sentences": student.permutation_error(lambda x: x.cumsum(dim=-2), tensor(rng, 3, 3, 3), permutation),
        "does not notice": student.permutation_error(
            lambda x: x @ torch.ones(3, 2).double(), tensor(rng, 2, 2, 3, 3), permutation
        ),
    }


# --- multi_head_attention ---


@check(
    "multi_head_attention",
    points=3,
    hint="Which entries of q belong to head 0, which to head 1, and where do their outputs go?",
)
def two_heads_of_a_sentence(student, rng):
    """Each head attends with its own entries, and W^o mixes their outputs."""
    x, (w_q, w_k, w_v, w_o) = tensor(rng, 3, 4), tensor(rng, 4, 4, 4)
    return {
        "W^o changes nothing": student.multi_head_attention(x, w_q, w_k, w_v, torch.eye(4).double(), 2)[0],
        "all matrices at random": student.multi_head_attention(x, w_q, w_k, w_v, w_o, 2)[0],
    }


@check(
    "multi_head_attention", points=2, hint="Nothing says that H heads of d_k entries make d again. What is d_k here?"
)
def heads_of_any_width(student, rng):
    """Heads may be of any number and width, and the output too."""
    return {
        "one head": student.multi_head_attention(tensor(rng, 3, 2), *tensor(rng, 4, 2, 2), 1)[0],
        "three heads": student.multi_head_attention(
            tensor(rng, 4, 5), tensor(rng, 6, 5), tensor(rng, 6, 5), tensor(rng, 9, 5), tensor(rng, 4, 9), 3
        )[0],
    }


@check("multi_head_attention", points=1, hint="Each head has a softmax, and weights, of its own.")
def weights_of_each_head(student, rng):
    """The weights of each head come back, heads before positions."""
    return student.multi_head_attention(tensor(rng, 3, 4), *tensor(rng, 4, 4, 4), 2)[1]


@check(
    "multi_head_attention", points=2, hint="The mask knows sentences and positions, and no heads. Where is their axis?"
)
def masks_are_the_same_for_all_heads(student, rng):
    """A causal mask for all, or padding for each sentence, holds for every head."""
    w = tensor(rng, 4, 4, 4)
    causal = torch.ones(2, 2, dtype=torch.bool).tril()
    padding = torch.tensor([[[True, True, False]], [[False, False, True]]])
    return {
        "causal": student.multi_head_attention(tensor(rng, 2, 4), *w, 2, causal),
        "causal, two sentences": student.multi_head_attention(tensor(rng, 2, 2, 4), *w, 2, causal),
        "padding of two sentences": student.multi_head_attention(tensor(rng, 2, 3, 4), *w, 2, mask=padding),
    }


@check(
    "multi_head_attention",
    points=2,
    hint="Positions and heads must change places, and back. Which sizes may not be mixed up?",
)
def heads_of_many_sentences(student, rng):
    """Sentences, and groups of sentences, each have their own heads."""
    w = tensor(rng, 4, 4, 4)
    return {
        "two sentences of two words": student.multi_head_attention(tensor(rng, 2, 2, 4), *w, 2),
        "two by three sentences": student.multi_head_attention(tensor(rng, 2, 3, 3, 4), *w, 4)[0],
    }


@check("multi_head_attention", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def heads_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the vectors and the four matrices."""
    inputs = leaves(rng, (3, 4), (4, 4), (4, 4), (4, 4), (4, 4))
    output, weights = student.multi_head_attention(*inputs, num_heads=2)
    return {"output": output, "weights": weights, **gradients(rng, output, inputs, "x w_q w_k w_v w_o")}


# --- MultiHeadAttention ---


def _state(rng, size, bias=True):
    """What a checkpoint of torch.nn.MultiheadAttention holds."""
    state = {"in_proj_weight": single(rng, 3 * size, size), "out_proj.weight": single(rng, size, size)}
    if bias:
        state |= {"in_proj_bias": single(rng, 3 * size), "out_proj.bias": single(rng, size)}
    return state


def _loaded(student, rng, size, heads, **options):
    layer = student.MultiHeadAttention(size, heads, **options)
    layer.load_state_dict(_state(rng, size, options.get("bias", True)))
    return layer


def _started(observed):
    """Whether the weights are random and the biases 0; the rest as it is."""

    def start(values):
        values = np.asarray(values)
        return bool(np.isfinite(values).all() and (values.ndim == 1 or len(np.unique(values)) == values.size))

    return {
        "parameters": observed["parameters"],
        "entries": {name: list(value.shape) for name, value in observed["state"].items()},
        "biases": {name: value for name, value in observed["state"].items() if name.endswith("bias")},
        "random": {name: start(value) for name, value in observed["state"].items()},
    }


@check(
    "MultiHeadAttention",
    points=2,
    hint="Compare name, shape and start of every parameter with the docstring.",
    after=_started,
)
def parameters_like_pytorchs(student, rng):
    """A new module has PyTorch's four parameters: random weights, and biases that start at 0."""
    layer = student.MultiHeadAttention(4, 2)
    return {
        "parameters": sorted(name for name, _ in layer.named_parameters()),
        "state": {name: value.clone() for name, value in sorted(layer.state_dict().items())},
    }


@check(
    "MultiHeadAttention",
    points=3,
    hint="In which order do the three matrices lie in the packed one, and what is added after each?",
)
def self_attention_with_pytorchs_weights(student, rng):
    """With weights as `torch.nn.MultiheadAttention` saves them, self-attention gives its outputs and weights."""
    small, large = _loaded(student, rng, 2, 1), _loaded(student, rng, 6, 3)
    one, two = single(rng, 1, 2, 2), single(rng, 2, 4, 6)
    return {
        "one head": small(one, one, one),
        "three heads": large.eval()(two, two, two),
        "the input afterwards": two,
    }


@check("MultiHeadAttention", points=2, hint="Three inputs, three projections. What has the length n, and what m?")
def queries_keys_and_values_of_their_own(student, rng):
    """Queries may be more or fewer than keys, and values differ from keys; any number of leading axes."""
    layer = _loaded(student, rng, 4, 2)
    return {
        f"leading axes {axes}": layer(single(rng, *axes, 3, 4), single(rng, *axes, 5, 4), single(rng, *axes, 5, 4))
        for axes in ((), (2,), (2, 2))
    }


@check(
    "MultiHeadAttention",
    points=2,
    hint="Here True = may attend. What is left of a row that sees nobody, after out_proj?",
)
def the_module_with_a_mask(student, rng):
    """Masks hold for all heads; who may attend to nobody takes home only the last bias."""
    layer = _loaded(student, rng, 4, 2)
    padding = torch.tensor([[[True, False, True]], [[False, False, False]]])
    x, y = single(rng, 2, 3, 4), single(rng, 2, 4)
    return {
        "causal": layer(y, y, y, torch.ones(2, 2, dtype=torch.bool).tril()),
        "causal, two sentences": layer(x, x, x, torch.ones(3, 3, dtype=torch.bool).tril()),
        "padding": layer(x, x, x, mask=padding),
    }


@check("MultiHeadAttention", points=1, hint="With `bias=False`, which entries has the checkpoint, and what is added?")
def the_module_without_biases(student, rng):
    """With `bias=False` neither projection has a bias."""
    layer, x = _loaded(student, rng, 4, 2, bias=False), single(rng, 3, 4)
    return {
        "entries": sorted(layer.state_dict()),
        "in_proj_bias": layer.in_proj_bias,
        "out_proj.bias": layer.out_proj.bias,
        "result": layer(x, x, x),
    }


def _dropped(observed):
    """Facts about weights after dropout, next to what they were before and what came out."""
    before, after, values, output = (
        np.asarray(observed[name], dtype=float) for name in ("before", "after", "values", "output")
    )
    kept = after != 0
    heads = after @ np.stack([values[..., :2], values[..., 2:]], axis=1)
    patterns = kept.reshape(-1, *kept.shape[-2:])
    return {
        "output dropped": bool((output == 0).mean() > 0.1),
        "dropped": bool(abs((~kept).mean() - 0.25) < 0.04),
        "one by one": bool((~kept).all(axis=-1).mean() < 0.02 and (~kept).all(axis=-2).mean() < 0.02),
        "alike in two heads or sentences": len(np.unique(patterns, axis=0)) < len(patterns),
        "unchanged": bool(np.allclose(after, before, rtol=1e-4)),
        "the others divided by 1 - p": bool(np.allclose(after[kept] * 0.75, before[kept], rtol=1e-4)),
        "output": bool(np.allclose(output, np.concatenate([heads[:, 0], heads[:, 1]], axis=-1), atol=1e-4)),
    }


@check(
    "MultiHeadAttention",
    points=2,
    hint="What is dropped, after which step, and what becomes of the survivors, so that the mean stays?",
    after=_dropped,
)
def dropout_in_training(student, rng):
    """In training each weight is struck out with probability p, and the others grow to make up for it."""
    layer, x = student.MultiHeadAttention(4, 2, dropout=0.25), single(rng, 20, 10, 4)
    plain = torch.cat([single(rng, 8, 4), torch.eye(4)])  # values and output as they are
    layer.load_state_dict(
        {
            "in_proj_weight": plain,
            "in_proj_bias": torch.zeros(12),
            "out_proj.weight": torch.eye(4),
            "out_proj.bias": torch.zeros(4),
        }
    )
    before = layer.eval()(x, x, x)[1]
    output, after = layer.train()(x, x, x)
    return {"before": before, "after": after, "values": x, "output": output}


@check("MultiHeadAttention", points=1, hint="`self.training` tells the mode. What if the probability is 0?")
def nothing_is_dropped_in_evaluation(student, rng):
    """In evaluation, and in training with dropout 0, nothing is left to chance."""
    evaluated, trained, x = (
        _loaded(student, rng, 4, 2, dropout=0.5).eval(),
        _loaded(student, rng, 4, 2),
        single(rng, 3, 4),
    )
    return {"evaluation": evaluated(x, x, x), "training with dropout 0": trained(x, x, x)}


@check(
    "MultiHeadAttention", points=1, hint="Are the parameters used as they are, or as copies that autograd can't see?"
)
def the_module_can_be_trained(student, rng):
    """Gradients flow to the inputs and to all four parameters."""
    layer, (query, other) = _loaded(student, rng, 4, 2), leaves(rng, (3, 4), (2, 4))
    mask = torch.tensor([[True, True], [False, True], [True, False]])
    output, _ = layer(query, other, other, mask)
    (output * single(rng, 3, 4)).sum().backward()
    return {
        "query": query.grad,
        "key and value": other.grad,
        **{name: parameter.grad for name, parameter in sorted(layer.named_parameters())},
    }


@check("MultiHeadAttention", points=1, hint="Can five entries be shared out evenly among two heads?")
def heads_that_do_not_divide_the_width(student, rng):
    """A width that can't be shared out evenly among the heads raises ValueError."""
    found = {}
    for size, heads in ((5, 2), (4, 8), (6, 3)):
        try:
            student.MultiHeadAttention(size, heads)
            found[f"width {size}, {heads} heads"] = "made"
        except ValueError:
            found[f"width {size}, {heads} heads"] = "raised ValueError"
    return found


# --- convolution_as_attention ---


@check(
    "convolution_as_attention",
    points=2,
    hint="To which position does place s of the kernel look, seen from i? And at the edge?",
)
def weights_that_make_a_convolution(student, rng):
    """The head of each place in the kernel looks at exactly one position, or outside at nobody."""
    return {
        "three places": student.convolution_as_attention(tensor(rng, 3, 1), tensor(rng, 1, 1, 3))[1],
        "five places": student.convolution_as_attention(tensor(rng, 6, 2), tensor(rng, 3, 2, 5))[1],
    }


@check(
    "convolution_as_attention",
    points=3,
    hint="The value matrix of head s is kernel[:, :, s], and the heads are added up.",
)
def the_output_of_a_convolution(student, rng):
    """The heads together give what a convolution with zero padding gives."""
    return {
        "one channel": student.convolution_as_attention(tensor(rng, 4, 1), tensor(rng, 1, 1, 3))[0],
        "as many channels as positions": student.convolution_as_attention(tensor(rng, 3, 3), tensor(rng, 3, 3, 3))[0],
        "two channels in, four out": student.convolution_as_attention(tensor(rng, 7, 2), tensor(rng, 4, 2, 5))[0],
    }


@check(
    "convolution_as_attention",
    points=1,
    hint="What is a kernel of one place? And where do the outer places of a very wide one look?",
)
def kernels_of_one_place_and_very_wide_ones(student, rng):
    """A kernel of size 1 only looks at home; one wider than the sequence looks mostly at padding."""
    return {
        "size 1": student.convolution_as_attention(tensor(rng, 2, 2), tensor(rng, 3, 2, 1)),
        "size 7 on two positions": student.convolution_as_attention(tensor(rng, 2, 1), tensor(rng, 2, 1, 7)),
    }


@check("convolution_as_attention", points=1, hint="The weights know no sentences. Where is the axis of the heads?")
def convolutions_of_many_sequences(student, rng):
    """Sequences, and groups of them, share the weights, and each has its own output."""
    kernel = tensor(rng, 2, 3, 3)
    return {
        f"leading axes {axes}": student.convolution_as_attention(tensor(rng, *axes, 4, 3), kernel)
        for axes in ((3,), (2, 3))
    }


@check("convolution_as_attention", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def convolutions_can_be_trained(student, rng):
    """float32 stays float32, for the weights too, and gradients flow to the vectors and the kernel."""
    inputs = leaves(rng, (4, 2), (3, 2, 3))
    output, weights = student.convolution_as_attention(*inputs)
    return {"output": output, "weights": weights, **gradients(rng, output, inputs, "x kernel")}


# --- learned_receptive_field ---


def shares(rng, *shape, sharpness=1.0):
    """Attention weights at random: each row adds up to 1."""
    return torch.softmax(tensor(rng, *shape, scale=sharpness), dim=-1)


@check(
    "learned_receptive_field", points=2, hint="Widen the circle around i, on both sides at once, until enough is in it."
)
def radii_of_plain_heads(student, rng):
    """A sharp head reaches as far as it looks; an even one nearly to the ends."""
    return {
        "everybody looks at itself": student.learned_receptive_field(torch.eye(3)),
        "everybody looks two to the left": student.learned_receptive_field(torch.eye(6).roll(-2, dims=1)),
        "evenly over five": student.learned_receptive_field(torch.full((5, 5), 0.2), mass=0.5),
    }


@check(
    "learned_receptive_field",
    points=2,
    hint="Neither the largest weight nor the mean distance tells where most of the mass lies.",
)
def radii_by_mass(student, rng):
    """The smallest radius that holds the given share of the weights."""
    weights = shares(rng, 9, 9, sharpness=2)
    return {f"mass {mass}": student.learned_receptive_field(weights, mass=mass) for mass in (0.5, 0.9, 0.99)}


@check(
    "learned_receptive_field",
    points=1,
    hint="The share is one of the row's sum. What if that is 0, and what if all of it is wanted?",
)
def radii_of_rows_that_are_not_full(student, rng):
    """A share is one of what the row holds: all of it, none of it, or half."""
    weights = shares(rng, 4, 4)
    weights[1] = 0
    weights[2] *= 0.5
    sparse = torch.tensor([[0.25, 0.75, 0.0, 0.0]]).expand(4, 4)
    return {
        "a row of zeros, and a half row": student.learned_receptive_field(weights, mass=0.8),
        "all of the mass": student.learned_receptive_field(sparse, mass=1.0),
        "exactly the mass": student.learned_receptive_field(torch.full((10, 10), 0.1), mass=0.7),
    }


@check("learned_receptive_field", points=1, hint="One radius for each row, whatever axes come in front; whole numbers.")
def radii_of_many_heads(student, rng):
    """Sentences and heads each have their own radii."""
    return student.learned_receptive_field(shares(rng, 2, 3, 4, 4, sharpness=3).float())


# --- rnn_forward ---


@check(
    "rnn_forward", points=2, hint="Which two things go into the tanh besides the bias, and through which matrix each?"
)
def hidden_states_of_a_sequence(student, rng):
    """Each hidden state is made of the input and of the state before."""
    return {
        "one step": student.rnn_forward(tensor(rng, 1, 2), tensor(rng, 2), *tensor(rng, 2, 2, 2), tensor(rng, 2)),
        "five steps": student.rnn_forward(
            tensor(rng, 5, 2), tensor(rng, 3), tensor(rng, 3, 2), tensor(rng, 3, 3), tensor(rng, 3)
        ),
    }


@check(
    "rnn_forward", points=1, hint="With inputs and bias 0, only the memory speaks. Where does it come from at first?"
)
def the_memory_before_the_first_step(student, rng):
    """The first step starts from h_0."""
    return student.rnn_forward(
        torch.zeros(3, 2).double(), tensor(rng, 2), *tensor(rng, 2, 2, 2), torch.zeros(2).double()
    )


@check("rnn_forward", points=1, hint="Time is the axis before the last, whatever comes in front.")
def hidden_states_of_many_sequences(student, rng):
    """Sequences, and groups of them, each have their own memory."""
    w_x, w_h, bias = tensor(rng, 3, 3), tensor(rng, 3, 3), tensor(rng, 3)
    return {
        f"leading axes {axes}": student.rnn_forward(tensor(rng, *axes, 3, 3), tensor(rng, *axes, 3), w_x, w_h, bias)
        for axes in ((3,), (2, 3))
    }


@check("rnn_forward", points=1, hint="Does the gradient find its way back through every step?")
def the_rnn_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow through time to all inputs."""
    inputs = leaves(rng, (4, 2), (3,), (3, 2), (3, 3), (3,))
    states = student.rnn_forward(*inputs)
    return {"states": states, **gradients(rng, states, inputs, "x h_0 w_x w_h bias")}


# --- compare_layers ---


def _column(number, key):
    """Steps, path or multiplications of one layer, from what compare_layers returned for each case."""
    return lambda cases: {case: list(costs[key])[number] for case, costs in cases.items()}


def _sizes(student, *sizes):
    return {f"n = {n}, d = {d}, K = {k}": student.compare_layers(n=n, d=d, kernel_size=k) for n, d, k in sizes}


@check(
    "compare_layers",
    points=1,
    hint="Who sees whom in a single layer? And how large are the two matrix products?",
    compare=close(dtype=False),
    after=lambda cases: {case: list(costs["self-attention"]) for case, costs in cases.items()},
)
def costs_of_self_attention(student, rng):
    """Self-attention: one step, one layer from anywhere to anywhere, and two products of the order of n squared."""
    return _sizes(student, (1, 1, 3), (2, 3, 3), (50, 8, 5))


@check(
    "compare_layers",
    points=1,
    hint="How many cells does the signal of the first input pass, the first cell counted too?",
    compare=close(dtype=False),
    after=lambda cases: {case: list(costs["rnn"]) for case, costs in cases.items()},
)
def costs_of_an_rnn(student, rng):
    """RNN: as many steps as positions, a path through all of them, and two products a step."""
    return _sizes(student, (1, 1, 3), (2, 3, 3), (50, 8, 5))


@check(
    "compare_layers",
    points=1,
    hint="One layer carries a signal (K - 1)/2 places further. How many layers for n - 1 places?",
    compare=exact(dtype=False),
    after=_column(1, "convolution"),
)
def the_path_through_convolutions(student, rng):
    """Convolution: as many layers as it takes to carry a signal from the first to the last position."""
    return _sizes(student, (1, 1, 3), (2, 1, 3), (4, 2, 5), (6, 2, 5), (100, 2, 9), (4, 2, 9))


@check(
    "compare_layers",
    points=1,
    hint="Each of the n outputs is made of K vectors, and each of those meets a matrix.",
    compare=close(dtype=False),
    after=lambda cases: {case: [list(costs["convolution"])[i] for i in (0, 2)] for case, costs in cases.items()},
)
def steps_and_costs_of_a_convolution(student, rng):
    """Convolution: one step, and K matrix products for each position."""
    return _sizes(student, (1, 1, 3), (2, 3, 3), (50, 8, 5))


# --- streaming_attention (bonus) ---


def stream(k, v, *sizes):
    """Keys and values in blocks of these sizes; the last block is overwritten when the next is asked for."""
    for keys, values in zip(k.split(sizes), v.split(sizes)):
        block = keys.clone(), values.clone()
        yield block
        for part in block:
            part.fill_(math.nan)


class Live(TorchDispatchMode):
    """How many numbers the tensors that are made under it hold together, at most; those in `given` are not counted."""

    def __init__(self, *given):
        super().__init__()
        self.given = {_place(tensor) for tensor in given}
        self.most = self._now = 0
        self._holders = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for made in result if isinstance(result, (list, tuple)) else (result,):
            if isinstance(made, torch.Tensor) and _place(made) not in self.given:
                self._held(made)
        self.most = max(self.most, self._now)
        return result

    def _held(self, made):
        """Count the memory under a tensor until the last tensor that lies in it is gone."""
        place, size = _place(made), made.untyped_storage().nbytes() // made.element_size()
        self._holders[place] = self._holders.get(place, 0) + 1
        self._now += size if self._holders[place] == 1 else 0

        def gone():
            self._holders[place] -= 1
            self._now -= 0 if self._holders[place] else size

        weakref.finalize(made, gone)


def _place(tensor):
    return tensor.untyped_storage().data_ptr()


@check(
    "streaming_attention",
    points=2,
    hint="A weighted mean needs two sums: which, and what do you divide at the very end?",
)
def blocks_of_any_size(student, rng):
    """Blocks of any size give the same as all keys at once."""
    q, k, v = tensor(rng, 3, 4), tensor(rng, 9, 4), tensor(rng, 9, 2)
    return {
        "a single block": student.streaming_attention(q[:1], stream(k[:2], v[:2], 2)),
        "three blocks": student.streaming_attention(q, stream(k, v, 3, 3, 3)),
        "blocks of 1, 6 and 2": student.streaming_attention(q, stream(k, v, 1, 6, 2)),
    }


@check(
    "streaming_attention", points=2, hint="When m rises from the old to the new, by what factor is e^(s - m) too large?"
)
def the_largest_score_comes_late_or_early(student, rng):
    """Scores may rise, or fall, from block to block."""
    q, v = torch.ones(1, 1).double(), tensor(rng, 6, 2)
    rising = torch.arange(6.0).double()[:, None]
    return {
        "rising": student.streaming_attention(q, stream(rising, v, 2, 2, 2)),
        "falling": student.streaming_attention(q, stream(-rising, v, 2, 2, 2)),
        "each query its own": student.streaming_attention(
            torch.tensor([[1.0], [-1.0], [0.5]]).double(), stream(rising - 3, v, 1, 2, 3)
        ),
    }


@check(
    "streaming_attention",
    points=1,
    hint="The largest score of all that were read so far has to go, before the exponential.",
)
def blocks_with_huge_scores(student, rng):
    """Scores in the thousands, of either sign, stay finite."""
    q, k, v = tensor(rng, 2, 4, scale=100), tensor(rng, 6, 4, scale=100), tensor(rng, 6, 3)
    low = torch.full((1, 4), -50.0).double()
    return {
        "of either sign": student.streaming_attention(q, stream(k, v, 2, 2, 2)),
        "all far below 0": student.streaming_attention(low, stream(tensor(rng, 6, 4, shift=50), v, 2, 2, 2)),
    }


def _within(observed):
    """Whether the memory, of torch and of everything else, stays within what the docstring allows."""

    def judged(held, allowed):
        return "as little as promised" if held <= allowed else "more than is allowed"

    return {
        "outputs": observed["outputs"],
        "memory held in tensors": judged(observed["numbers held at once"], 8 * (4 + 4) * (4 + 4 + 3)),
        "memory held otherwise": judged(observed["bytes held at once"], 8 * 8 * (2 + 32) * (32 + 8 + 8)),
    }


@check(
    "streaming_attention",
    points=2,
    hint="Three things are kept for each query. What do you keep that grows with the blocks?",
    after=_within,
    seconds=30,
)
def memory_does_not_grow(student, rng):
    """Any number of blocks are read in the memory of a few."""
    q, k, v = tensor(rng, 4, 4), tensor(rng, 400, 4), tensor(rng, 400, 3)
    live = Live(q, k, v)

    def given():
        for block in stream(k, v, *[4] * 100):
            places = {_place(part) for part in block}
            live.given |= places
            yield block
            live.given -= places

    with live:
        small = student.streaming_attention(q, given())
    q, k, v = tensor(rng, 2, 8), tensor(rng, 1600, 8), tensor(rng, 1600, 8)
    tracemalloc.start()  # knows what NumPy and lists hold
    try:
        large = student.streaming_attention(q, stream(k, v, *[32] * 50))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return {"outputs": (small, large), "numbers held at once": live.most, "bytes held at once": most}


@check("streaming_attention", points=1, hint="Which step of yours changes the dtype?")
def streaming_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    return student.streaming_attention(single(rng, 2, 3), stream(single(rng, 5, 3), single(rng, 5, 2), 2, 3))
