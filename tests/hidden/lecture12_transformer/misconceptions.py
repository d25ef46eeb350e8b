"""Mistakes that students make in lectures 12 and 13: each function or class holds one."""

import itertools
import math
from collections import Counter

import torch
from torch import nn

from grader import misconception
from solutions import lecture12_transformer as lecture

POSITION = "Lecture 12, Positional encoding"
NORM = "Lecture 12, Layer normalization"
RESIDUAL = "Lecture 12, Residual connection"
ENCODER = "Lecture 12, Encoder"
DECODER = "Lecture 12, Decoder"
CROSS = "Lecture 12, Cross-attention"
TRAINING = "Lecture 13, Training: teacher forcing"
WRITING = "Lecture 13, The machine decides the length"
BEAM = "Lecture 13, Beam search"
JUDGING = "Lecture 13, Evaluation"
SAMPLING = "Lecture 13, Scheduled sampling"

PAD, BEGIN, END = 0, 1, 2

# --- positional_encoding ---


def _waves(length, d_model, exponent, start=0):
    """Angles (length, d_model) with a given exponent for each column."""
    return (torch.arange(length) + start)[:, None] / 10000 ** (exponent / d_model)


def _pairs(d_model):
    return torch.arange(d_model) // 2 * 2


def _interleaved(angle):
    return torch.where(torch.arange(angle.shape[1]) % 2 == 0, angle.sin(), angle.cos())


@misconception(
    "positional_encoding",
    "You put all sines into the first half of the columns and all cosines into the second. They are to take turns: "
    "column 2i is a sine, column 2i + 1 the cosine of the same angle.",
    lecture=POSITION,
)
def halves_instead_of_turns(length, d_model):
    even = lecture.positional_encoding(length, d_model)
    return torch.cat([even[:, 0::2], even[:, 1::2]], dim=1)


@misconception(
    "positional_encoding",
    "Each of your columns has a frequency of its own. Columns 2i and 2i + 1 belong together: the exponent is 2i/d "
    "in both.",
    lecture=POSITION,
)
def a_frequency_for_each_column(length, d_model):
    return _interleaved(_waves(length, d_model, torch.arange(d_model)))


@misconception(
    "positional_encoding",
    "You take i for the number of the column and double it: your exponent is twice too large, and the waves get "
    "slow too soon.",
    lecture=POSITION,
)
def exponent_doubled(length, d_model):
    return _interleaved(_waves(length, d_model, 2 * _pairs(d_model)))


@misconception(
    "positional_encoding",
    "Your exponent is i/d where it should be 2i/d: the slowest wave is a hundred times too fast.",
    lecture=POSITION,
)
def exponent_halved(length, d_model):
    return _interleaved(_waves(length, d_model, torch.arange(d_model) // 2))


@misconception(
    "positional_encoding",
    "Sine and cosine have changed places: the even columns, from 0 on, are sines.",
    lecture=POSITION,
)
def cosine_first(length, d_model):
    angle = _waves(length, d_model, _pairs(d_model))
    return torch.where(torch.arange(d_model) % 2 == 0, angle.cos(), angle.sin())


@misconception(
    "positional_encoding",
    "Your positions start at 1: the first position is 0.",
    lecture=POSITION,
)
def positions_from_one(length, d_model):
    return _interleaved(_waves(length, d_model, _pairs(d_model), start=1))


@misconception(
    "positional_encoding",
    "Your waves get faster from column to column: the position is divided by 10000^(2i/d), not multiplied.",
    lecture=POSITION,
)
def faster_and_faster(length, d_model):
    return _interleaved(torch.arange(length)[:, None] * 10000.0 ** (_pairs(d_model) / d_model))


@misconception(
    "positional_encoding",
    "Where d is odd, the last column stays empty: there is one sine more than cosines.",
    lecture=POSITION,
)
def last_odd_column_empty(length, d_model):
    encoding = lecture.positional_encoding(length, d_model)
    encoding[:, d_model // 2 * 2 :] = 0
    return encoding


@misconception(
    "positional_encoding",
    "Where d is odd, you compute with d + 1 columns and cut one off: then all frequencies are those of another d.",
    lecture=POSITION,
)
def one_column_more_and_cut(length, d_model):
    return lecture.positional_encoding(length, d_model + d_model % 2)[:, :d_model]


@misconception(
    "positional_encoding",
    "Your result is float64: added to an embedding it makes everything behind it float64 too.",
    lecture=POSITION,
)
def encoding_in_double(length, d_model):
    return lecture.positional_encoding(length, d_model).double()


# --- layer_norm ---


def _norm(x, gamma, beta, eps, dim=-1, unbiased=False):
    mean, variance = x.mean(dim=dim, keepdim=True), x.var(dim=dim, unbiased=unbiased, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(variance + eps) + beta


@misconception(
    "layer_norm",
    "You normalize along the first axis, over the batch: that is Batch Normalization. Each vector should be on its "
    "own.",
    lecture=NORM,
)
def over_the_batch(x, gamma, beta, eps=1e-5):
    return _norm(x, gamma, beta, eps, dim=0)


@misconception(
    "layer_norm",
    "You take one mean for the whole sentence: each of its vectors is to be normalized by itself.",
    lecture=NORM,
)
def over_the_whole_sentence(x, gamma, beta, eps=1e-5):
    return _norm(x, gamma, beta, eps, dim=tuple(range(1, x.ndim)) if x.ndim > 2 else -1)


@misconception(
    "layer_norm",
    "You take one mean and one variance over everything: sentences and words then depend on each other.",
    lecture=NORM,
)
def over_everything(x, gamma, beta, eps=1e-5):
    return _norm(x, gamma, beta, eps, dim=tuple(range(x.ndim)))


@misconception(
    "layer_norm",
    "Your variance divides by d - 1 (torch's default): here it divides by d.",
    lecture=NORM,
)
def unbiased_variance(x, gamma, beta, eps=1e-5):
    return _norm(x, gamma, beta, eps, unbiased=True)


@misconception(
    "layer_norm",
    "You add eps to the deviation, outside the root: it belongs to the variance.",
    lecture=NORM,
)
def epsilon_outside_the_root(x, gamma, beta, eps=1e-5):
    centered = x - x.mean(dim=-1, keepdim=True)
    return gamma * centered / (x.var(dim=-1, unbiased=False, keepdim=True).sqrt() + eps) + beta


@misconception(
    "layer_norm",
    "There is no eps in your formula: a vector of equal entries becomes 0/0.",
    lecture=NORM,
)
def no_epsilon(x, gamma, beta, eps=1e-5):
    return _norm(x, gamma, beta, 0.0)


@misconception(
    "layer_norm",
    "You divide by the variance: the root is missing, and vectors of different scale stay different.",
    lecture=NORM,
)
def divides_by_the_variance(x, gamma, beta, eps=1e-5):
    centered = x - x.mean(dim=-1, keepdim=True)
    return gamma * centered / (x.var(dim=-1, unbiased=False, keepdim=True) + eps) + beta


@misconception(
    "layer_norm",
    "gamma and beta never act: without them no vector could have another mean than 0, even where that is best.",
    lecture=NORM,
)
def no_gamma_and_beta(x, gamma, beta, eps=1e-5):
    return _norm(x, torch.ones_like(gamma), torch.zeros_like(beta), eps)


@misconception(
    "layer_norm",
    "You compute mean and variance where autograd can't see them. They move with x: without that the gradient is "
    "wrong.",
    lecture=NORM,
)
def detached_statistics(x, gamma, beta, eps=1e-5):
    mean = x.detach().mean(dim=-1, keepdim=True)
    return gamma * (x - mean) / torch.sqrt(x.detach().var(dim=-1, unbiased=False, keepdim=True) + eps) + beta


@misconception(
    "layer_norm",
    "Your result is float64 although x came as float32.",
    lecture=NORM,
)
def norm_in_double(x, gamma, beta, eps=1e-5):
    return _norm(x.double(), gamma.double(), beta.double(), eps)


@misconception(
    "layer_norm",
    "You subtract the mean from the caller's own tensor: the residual connection finds other numbers there afterwards.",
    lecture=NORM,
)
def centers_in_place(x, gamma, beta, eps=1e-5):
    out = _norm(x, gamma, beta, eps)
    if not x.requires_grad:
        x -= x.mean(dim=-1, keepdim=True)
    return out


# --- residual ---


@misconception(
    "residual",
    "You normalize the sublayer's output only and add it to x. Post-norm normalizes the sum, pre-norm what the "
    "sublayer gets.",
    lecture=RESIDUAL,
)
def normalizes_the_branch(x, sublayer, norm, pre_norm):
    return x + norm(sublayer(x))


@misconception(
    "residual",
    "pre_norm and post-norm have changed places.",
    lecture=RESIDUAL,
)
def pre_and_post_swapped(x, sublayer, norm, pre_norm):
    return norm(x + sublayer(x)) if pre_norm else x + sublayer(norm(x))


@misconception(
    "residual",
    "In pre-norm you add the sublayer's output to the *normalized* x. The way past all layers must leave x as it is.",
    lecture=RESIDUAL,
)
def adds_to_the_normalized(x, sublayer, norm, pre_norm):
    if pre_norm:
        normalized = norm(x)
        return normalized + sublayer(normalized)
    return norm(x + sublayer(x))


@misconception(
    "residual",
    "There is no residual connection: x is not added to what the sublayer makes of it.",
    lecture=RESIDUAL,
)
def nothing_is_added(x, sublayer, norm, pre_norm):
    return sublayer(norm(x)) if pre_norm else norm(sublayer(x))


@misconception(
    "residual",
    "You ignore pre_norm: your sublayer is always post-norm.",
    lecture=RESIDUAL,
)
def always_post_norm(x, sublayer, norm, pre_norm):
    return norm(x + sublayer(x))


@misconception(
    "residual",
    "In post-norm you normalize x before the sum instead of the sum: the output is not normalized.",
    lecture=RESIDUAL,
)
def normalizes_before_the_sum(x, sublayer, norm, pre_norm):
    return x + sublayer(norm(x)) if pre_norm else norm(x) + sublayer(x)


@misconception(
    "residual",
    "With pre_norm you normalize twice, before the sublayer and after the sum: the free way through all layers is "
    "closed.",
    lecture=RESIDUAL,
)
def normalizes_twice(x, sublayer, norm, pre_norm):
    return norm(x + sublayer(norm(x))) if pre_norm else norm(x + sublayer(x))


@misconception(
    "residual",
    "You add to x in place: the caller's tensor is another one afterwards.",
    lecture=RESIDUAL,
)
def adds_in_place(x, sublayer, norm, pre_norm):
    if x.requires_grad:
        return lecture.residual(x, sublayer, norm, pre_norm)
    x += sublayer(norm(x)) if pre_norm else sublayer(x)
    return x if pre_norm else norm(x)


@misconception(
    "residual",
    "You call the sublayer twice. With dropout inside, the second call gives something else, and it costs double.",
    lecture=RESIDUAL,
)
def asks_twice(x, sublayer, norm, pre_norm):
    sublayer(norm(x) if pre_norm else x)
    return lecture.residual(x, sublayer, norm, pre_norm)


@misconception(
    "residual",
    "You cut the graph: the gradient flows through the sublayer only, and not along x itself, which is the whole "
    "point.",
    lecture=RESIDUAL,
)
def no_gradient_past_the_sublayer(x, sublayer, norm, pre_norm):
    return x.detach() + sublayer(norm(x)) if pre_norm else norm(x.detach() + sublayer(x))


# --- feed_forward ---


@misconception(
    "feed_forward",
    "There is a ReLU behind your second layer too: what the network says could then never be negative.",
    lecture=ENCODER,
)
def relu_at_the_end(x, w_1, b_1, w_2, b_2):
    return torch.relu(lecture.feed_forward(x, w_1, b_1, w_2, b_2))


@misconception(
    "feed_forward",
    "There is no ReLU: two linear layers in a row are only one linear layer.",
    lecture=ENCODER,
)
def no_relu(x, w_1, b_1, w_2, b_2):
    return (x @ w_1.T + b_1) @ w_2.T + b_2


@misconception(
    "feed_forward",
    "You use GELU, as later models do. The formula has max(0, ·).",
    lecture=ENCODER,
)
def gelu_for_relu(x, w_1, b_1, w_2, b_2):
    return nn.functional.gelu(x @ w_1.T + b_1) @ w_2.T + b_2


@misconception(
    "feed_forward",
    "The first bias is added behind the ReLU: it can then no longer say when a hidden neuron wakes up.",
    lecture=ENCODER,
)
def bias_behind_the_relu(x, w_1, b_1, w_2, b_2):
    return (torch.relu(x @ w_1.T) + b_1) @ w_2.T + b_2


@misconception(
    "feed_forward",
    "The second bias is missing.",
    lecture=ENCODER,
)
def second_bias_forgotten(x, w_1, b_1, w_2, b_2):
    return torch.relu(x @ w_1.T + b_1) @ w_2.T


@misconception(
    "feed_forward",
    "You multiply with the weights the wrong way round. nn.Linear stores (outputs, inputs), so the matrix is "
    "transposed before x is multiplied with it.",
    lecture=ENCODER,
)
def weights_the_wrong_way_round(x, w_1, b_1, w_2, b_2):
    return torch.relu(x @ w_1 + b_1) @ w_2 + b_2


@misconception(
    "feed_forward",
    "Your result is float64 although x came as float32.",
    lecture=ENCODER,
)
def feed_forward_in_double(x, w_1, b_1, w_2, b_2):
    return lecture.feed_forward(*(part.double() for part in (x, w_1, b_1, w_2, b_2)))


# --- EncoderLayer ---


def _think(layer, x):
    return layer.linear2(torch.relu(layer.linear1(x)))


@misconception(
    "EncoderLayer",
    "norm1 and norm2 have changed places: norm1 belongs to the self-attention.",
    lecture=ENCODER,
)
class NormsSwapped(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        x = lecture.residual(x, lambda x: self.dropout(self.self_attn(x, x, mask)), self.norm2, self.pre_norm)
        return lecture.residual(x, lambda x: self.dropout(_think(self, x)), self.norm1, self.pre_norm)


@misconception(
    "EncoderLayer",
    "You normalize the sublayer's output only, and add it to x afterwards: the sum is never normalized.",
    lecture=RESIDUAL,
)
class BranchNormalized(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        if self.pre_norm:
            return super().forward(x, mask)
        x = x + self.norm1(self.dropout(self.self_attn(x, x, mask)))
        return x + self.norm2(self.dropout(_think(self, x)))


@misconception(
    "EncoderLayer",
    "Your layer drops in evaluation too: `nn.functional.dropout` does not know the mode unless it is told.",
    lecture=ENCODER,
)
class DropsInEvaluation(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        def drop(x):
            return nn.functional.dropout(x, self.dropout.p)

        x = lecture.residual(x, lambda x: drop(self.self_attn(x, x, mask)), self.norm1, self.pre_norm)
        return lecture.residual(x, lambda x: drop(_think(self, x)), self.norm2, self.pre_norm)


@misconception(
    "EncoderLayer",
    "Nothing is ever dropped in your layer.",
    lecture=ENCODER,
)
class NeverDrops(lecture.EncoderLayer):
    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, 0.0, pre_norm)


@misconception(
    "EncoderLayer",
    "You drop entries of the sum: the residual connection itself has holes then. Dropout acts on the sublayer's "
    "output, before it is added.",
    lecture=ENCODER,
)
class DropsTheSum(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        if self.pre_norm:
            x = self.dropout(x + self.self_attn(*[self.norm1(x)] * 2, mask))
            return self.dropout(x + _think(self, self.norm2(x)))
        x = self.norm1(self.dropout(x + self.self_attn(x, x, mask)))
        return self.norm2(self.dropout(x + _think(self, x)))


@misconception(
    "EncoderLayer",
    "The mask never reaches your self-attention: words look at padding.",
    lecture=ENCODER,
)
class MaskIgnored(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        return super().forward(x)


@misconception(
    "EncoderLayer",
    "You take True for 'hidden', as nn.MultiheadAttention does. In this notebook True is where one may look.",
    lecture=ENCODER,
)
class MaskInverted(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        return super().forward(x, None if mask is None else ~mask)


@misconception(
    "EncoderLayer",
    "With pre-norm only your queries are normalized: keys and values still come from the raw x.",
    lecture=ENCODER,
)
class OnlyQueriesNormalized(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        if not self.pre_norm:
            return super().forward(x, mask)
        x = x + self.dropout(self.self_attn(self.norm1(x), x, mask))
        return x + self.dropout(_think(self, self.norm2(x)))


@misconception(
    "EncoderLayer",
    "Your layer ignores pre_norm: it is always post-norm.",
    lecture=ENCODER,
)
class AlwaysPostNorm(lecture.EncoderLayer):
    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, dropout, False)


@misconception(
    "EncoderLayer",
    "The two sublayers share one norm: each needs its own gamma and beta.",
    lecture=ENCODER,
)
class OneNormForBoth(lecture.EncoderLayer):
    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, dropout, pre_norm)
        self.norm2 = self.norm1


@misconception(
    "EncoderLayer",
    "Only the attention has a residual connection: the feed-forward network's input is not added to its output.",
    lecture=RESIDUAL,
)
class NoResidualAroundTheNetwork(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        x = lecture.residual(x, lambda x: self.dropout(self.self_attn(x, x, mask)), self.norm1, self.pre_norm)
        if self.pre_norm:
            return self.dropout(_think(self, self.norm2(x)))
        return self.norm2(self.dropout(_think(self, x)))


@misconception(
    "EncoderLayer",
    "There is no ReLU in your feed-forward network: two linear layers in a row are only one.",
    lecture=ENCODER,
)
class NoReluInside(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        x = lecture.residual(x, lambda x: self.dropout(self.self_attn(x, x, mask)), self.norm1, self.pre_norm)
        return lecture.residual(x, lambda x: self.dropout(self.linear2(self.linear1(x))), self.norm2, self.pre_norm)


@misconception(
    "EncoderLayer",
    "Your layer adds to its input in place: the caller's x is another one afterwards.",
    lecture=RESIDUAL,
)
class LayerInPlace(lecture.EncoderLayer):
    def forward(self, x, mask=None):
        out = super().forward(x, mask)
        with torch.no_grad():
            x += self.self_attn(x, x, mask)
        return out


# --- Encoder ---


@misconception(
    "Encoder",
    "All your layers are one and the same object: N layers with the weights of one.",
    lecture=ENCODER,
)
class OneLayerManyTimes(lecture.Encoder):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.layers = nn.ModuleList([self.layers[0]] * layers)


@misconception(
    "Encoder",
    "With pre-norm there is no normalization at the end of your stack: the sum that ran past all layers comes out "
    "as it is.",
    lecture=ENCODER,
)
class NoNormAtTheEnd(lecture.Encoder):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.norm = nn.Identity()


@misconception(
    "Encoder",
    "Your stack has a norm at its end and never uses it.",
    lecture=ENCODER,
)
class NormAtTheEndUnused(lecture.Encoder):
    def forward(self, x, mask=None):
        for layer in self.layers:
            x = layer(x, mask)
        return x


@misconception(
    "Encoder",
    "Your stack ends with a norm in post-norm too, where each layer has one at its end already.",
    lecture=ENCODER,
)
class NormAtTheEndAlways(lecture.Encoder):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.norm = nn.LayerNorm(d_model)


@misconception(
    "Encoder",
    "You normalize behind every layer: in pre-norm that belongs to the very end only, or the free way is closed.",
    lecture=ENCODER,
)
class NormBehindEveryLayer(lecture.Encoder):
    def forward(self, x, mask=None):
        for layer in self.layers:
            x = self.norm(layer(x, mask))
        return x


@misconception(
    "Encoder",
    "Only the first layer gets the mask: the second one looks at padding again.",
    lecture=ENCODER,
)
class MaskForTheFirstLayerOnly(lecture.Encoder):
    def forward(self, x, mask=None):
        for layer in self.layers:
            x, mask = layer(x, mask), None
        return self.norm(x)


@misconception(
    "Encoder",
    "The mask never reaches your layers: words look at padding.",
    lecture=ENCODER,
)
class StackWithoutMask(lecture.Encoder):
    def forward(self, x, mask=None):
        return super().forward(x)


@misconception(
    "Encoder",
    "Every layer gets the same input, and only the last one's output is used: a stack of one.",
    lecture=ENCODER,
)
class EveryLayerFromTheStart(lecture.Encoder):
    def forward(self, x, mask=None):
        for layer in self.layers:
            out = layer(x, mask)
        return self.norm(out)


@misconception(
    "Encoder",
    "Your layers are in an ordinary list. PyTorch does not find their parameters there: they are neither trained "
    "nor saved. Use nn.ModuleList.",
    lecture=ENCODER,
)
class LayersInAList(lecture.Encoder):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, layers, dropout, pre_norm)
        kept = list(self.layers)
        del self.layers
        self.layers = kept


# --- cross_attention ---


@misconception(
    "cross_attention",
    "Queries and memory have changed places: the memory asks, and the decoder answers. The output is as long as the "
    "source then.",
    lecture=CROSS,
)
def the_memory_asks(x, memory, w_q, w_k, w_v, memory_mask=None):
    return lecture.attention(memory @ w_q.T, x @ w_k.T, x @ w_v.T, memory_mask)


@misconception(
    "cross_attention",
    "Your values come from x: what the decoder learns then is nothing of the source.",
    lecture=CROSS,
)
def values_from_the_decoder(x, memory, w_q, w_k, w_v, memory_mask=None):
    return lecture.attention(x @ w_q.T, memory @ w_k.T, x @ w_v.T, memory_mask)


@misconception(
    "cross_attention",
    "This is self-attention: keys and values come from x, and the memory is never looked at.",
    lecture=CROSS,
)
def self_attention_again(x, memory, w_q, w_k, w_v, memory_mask=None):
    return lecture.attention(x @ w_q.T, x @ w_k.T, x @ w_v.T, memory_mask)


@misconception(
    "cross_attention",
    "You ignore the memory mask: the decoder looks at padding of the source.",
    lecture=CROSS,
)
def memory_mask_ignored(x, memory, w_q, w_k, w_v, memory_mask=None):
    return lecture.attention(x @ w_q.T, memory @ w_k.T, memory @ w_v.T)


@misconception(
    "cross_attention",
    "You take True for 'hidden': here True is where one may look.",
    lecture=CROSS,
)
def memory_mask_inverted(x, memory, w_q, w_k, w_v, memory_mask=None):
    return lecture.attention(x @ w_q.T, memory @ w_k.T, memory @ w_v.T, None if memory_mask is None else ~memory_mask)


@misconception(
    "cross_attention",
    "You mask behind the softmax: the other weights don't sum to 1 any more.",
    lecture=CROSS,
)
def masked_behind_the_softmax(x, memory, w_q, w_k, w_v, memory_mask=None):
    _, weights = lecture.attention(x @ w_q.T, memory @ w_k.T, memory @ w_v.T)
    weights = weights if memory_mask is None else weights * memory_mask
    return weights @ (memory @ w_v.T), weights


@misconception(
    "cross_attention",
    "The scores are not divided by the root of d_k: with long vectors the softmax is nearly one-hot, and learns "
    "slowly.",
    lecture=CROSS,
)
def scores_not_scaled(x, memory, w_q, w_k, w_v, memory_mask=None):
    query = x @ w_q.T
    return lecture.attention(query * math.sqrt(query.shape[-1]), memory @ w_k.T, memory @ w_v.T, memory_mask)


@misconception(
    "cross_attention",
    "Your softmax runs over the questions. For each question, the weights of the memory should sum to 1.",
    lecture=CROSS,
)
def softmax_over_the_questions(x, memory, w_q, w_k, w_v, memory_mask=None):
    query, key = x @ w_q.T, memory @ w_k.T
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if memory_mask is not None:
        scores = scores.masked_fill(~memory_mask, -1e9)
    weights = scores.softmax(dim=-2)
    return weights @ (memory @ w_v.T), weights


@misconception(
    "cross_attention",
    "The values are not projected: you mix the memory vectors themselves, without W^v.",
    lecture=CROSS,
)
def values_not_projected(x, memory, w_q, w_k, w_v, memory_mask=None):
    return lecture.attention(x @ w_q.T, memory @ w_k.T, memory, memory_mask)


# --- DecoderLayer ---


class _Decoding(lecture.DecoderLayer):
    """A decoder layer whose three sublayers can be replaced one by one."""

    def look_back(self, x, mask):
        causal = lecture.causal_mask(x.shape[1])
        return self.self_attn(x, x, causal if mask is None else causal & mask)

    def look_over(self, x, memory, memory_mask):
        return self.multihead_attn(x, memory, memory_mask)

    def drop(self, x):
        return self.dropout(x)

    def forward(self, x, memory, mask=None, memory_mask=None):
        x = lecture.residual(x, lambda x: self.drop(self.look_back(x, mask)), self.norm1, self.pre_norm)
        x = lecture.residual(x, lambda x: self.drop(self.look_over(x, memory, memory_mask)), self.norm2, self.pre_norm)
        return lecture.residual(x, lambda x: self.drop(_think(self, x)), self.norm3, self.pre_norm)


@misconception(
    "DecoderLayer",
    "There is no causal mask: while it learns, the decoder copies the next word from its own input, and learns "
    "nothing.",
    lecture=DECODER,
)
class LooksAhead(_Decoding):
    def look_back(self, x, mask):
        return self.self_attn(x, x, mask)


@misconception(
    "DecoderLayer",
    "Your causal mask hides a position from itself too: the newest word is not seen, and the first position sees "
    "nothing.",
    lecture=DECODER,
)
class BlindForItself(_Decoding):
    def look_back(self, x, mask):
        causal = lecture.causal_mask(x.shape[1]).tril(-1)
        causal[0, 0] = True
        return self.self_attn(x, x, causal if mask is None else causal & mask)


@misconception(
    "DecoderLayer",
    "As soon as a mask is given, yours is no longer causal: both masks have to allow it.",
    lecture=DECODER,
)
class MaskReplacesCausality(_Decoding):
    def look_back(self, x, mask):
        return self.self_attn(x, x, lecture.causal_mask(x.shape[1]) if mask is None else mask)


@misconception(
    "DecoderLayer",
    "You combine the masks with 'or': what one of them forbids, the other one allows again.",
    lecture=DECODER,
)
class EitherMaskAllows(_Decoding):
    def look_back(self, x, mask):
        causal = lecture.causal_mask(x.shape[1])
        return self.self_attn(x, x, causal if mask is None else causal | mask)


@misconception(
    "DecoderLayer",
    "`mask` never reaches your self-attention: it looks at padding of the target.",
    lecture=DECODER,
)
class TargetMaskIgnored(_Decoding):
    def look_back(self, x, mask):
        return super().look_back(x, None)


@misconception(
    "DecoderLayer",
    "`memory_mask` never reaches your cross-attention: it looks at padding of the source.",
    lecture=DECODER,
)
class MemoryMaskIgnored(_Decoding):
    def look_over(self, x, memory, memory_mask):
        return self.multihead_attn(x, memory)


@misconception(
    "DecoderLayer",
    "The masks have changed places: `mask` is about the target, `memory_mask` about the memory.",
    lecture=DECODER,
)
class MasksSwapped(_Decoding):
    def forward(self, x, memory, mask=None, memory_mask=None):
        return super().forward(x, memory, memory_mask, mask)


@misconception(
    "DecoderLayer",
    "In your cross-attention the memory asks and x answers. Queries come from the decoder, keys and values from the "
    "memory.",
    lecture=CROSS,
)
class MemoryAsks(_Decoding):
    def look_over(self, x, memory, memory_mask):
        return self.multihead_attn(memory, x, memory_mask)


@misconception(
    "DecoderLayer",
    "Your second attention looks at x again: the decoder never gets to know the source.",
    lecture=CROSS,
)
class NeverLooksAtTheMemory(_Decoding):
    def look_over(self, x, memory, memory_mask):
        return self.multihead_attn(x, x)


@misconception(
    "DecoderLayer",
    "norm2 and norm3 have changed places: norm2 belongs to the cross-attention, norm3 to the feed-forward network.",
    lecture=DECODER,
)
class DecoderNormsSwapped(_Decoding):
    def forward(self, x, memory, mask=None, memory_mask=None):
        self.norm2, self.norm3 = self.norm3, self.norm2
        try:
            return super().forward(x, memory, mask, memory_mask)
        finally:
            self.norm2, self.norm3 = self.norm3, self.norm2


@misconception(
    "DecoderLayer",
    "Your cross-attention comes before the self-attention. First look at what has been written, then at the source.",
    lecture=DECODER,
)
class CrossAttentionFirst(_Decoding):
    def forward(self, x, memory, mask=None, memory_mask=None):
        x = lecture.residual(x, lambda x: self.drop(self.look_over(x, memory, memory_mask)), self.norm2, self.pre_norm)
        x = lecture.residual(x, lambda x: self.drop(self.look_back(x, mask)), self.norm1, self.pre_norm)
        return lecture.residual(x, lambda x: self.drop(_think(self, x)), self.norm3, self.pre_norm)


@misconception(
    "DecoderLayer",
    "With pre-norm you normalize the memory as well: it comes from the encoder as it should be. The norms act on x.",
    lecture=DECODER,
)
class NormalizesTheMemory(_Decoding):
    def look_over(self, x, memory, memory_mask):
        return self.multihead_attn(x, self.norm2(memory) if self.pre_norm else memory, memory_mask)


@misconception(
    "DecoderLayer",
    "Your layer drops in evaluation too: `nn.functional.dropout` does not know the mode unless it is told.",
    lecture=DECODER,
)
class DecoderDropsInEvaluation(_Decoding):
    def drop(self, x):
        return nn.functional.dropout(x, self.dropout.p)


@misconception(
    "DecoderLayer",
    "Nothing is ever dropped in your layer.",
    lecture=DECODER,
)
class DecoderNeverDrops(_Decoding):
    def drop(self, x):
        return x


@misconception(
    "DecoderLayer",
    "Both attentions share their weights: looking back and looking over to the source are two different things to "
    "learn.",
    lecture=DECODER,
)
class OneAttentionForBoth(_Decoding):
    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, dropout, pre_norm)
        self.multihead_attn = self.self_attn


# --- Decoder ---


@misconception(
    "Decoder",
    "Only the first layer gets the masks: the second one looks at padding again.",
    lecture=DECODER,
)
class MasksForTheFirstLayerOnly(lecture.Decoder):
    def forward(self, x, memory, mask=None, memory_mask=None):
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
            mask = memory_mask = None
        return self.norm(x)


@misconception(
    "Decoder",
    "The memory mask never reaches your layers.",
    lecture=DECODER,
)
class StackWithoutMemoryMask(lecture.Decoder):
    def forward(self, x, memory, mask=None, memory_mask=None):
        return super().forward(x, memory, mask)


@misconception(
    "Decoder",
    "The target's mask never reaches your layers.",
    lecture=DECODER,
)
class StackWithoutTargetMask(lecture.Decoder):
    def forward(self, x, memory, mask=None, memory_mask=None):
        return super().forward(x, memory, None, memory_mask)


@misconception(
    "Decoder",
    "Your masks reach the layers in the wrong order: the target's mask comes first, then the memory's.",
    lecture=DECODER,
)
class StackWithMasksSwapped(lecture.Decoder):
    def forward(self, x, memory, mask=None, memory_mask=None):
        return super().forward(x, memory, memory_mask, mask)


@misconception(
    "Decoder",
    "From the second layer on, the memory is what the layer before made. Every layer looks at the encoder's memory.",
    lecture=DECODER,
)
class MemoryReplaced(lecture.Decoder):
    def forward(self, x, memory, mask=None, memory_mask=None):
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
            memory = x
        return self.norm(x)


@misconception(
    "Decoder",
    "All your layers are one and the same object: N layers with the weights of one.",
    lecture=DECODER,
)
class OneDecoderLayerManyTimes(lecture.Decoder):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.layers = nn.ModuleList([self.layers[0]] * layers)


@misconception(
    "Decoder",
    "With pre-norm, the norm at the end of your stack is never used.",
    lecture=DECODER,
)
class DecoderNormUnused(lecture.Decoder):
    def forward(self, x, memory, mask=None, memory_mask=None):
        for layer in self.layers:
            x = layer(x, memory, mask, memory_mask)
        return x


@misconception(
    "Decoder",
    "Your stack ends with a norm in post-norm too, where each layer has one at its end already.",
    lecture=DECODER,
)
class DecoderNormAlways(lecture.Decoder):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, layers, dropout, pre_norm)
        self.norm = nn.LayerNorm(d_model)


# --- Transformer ---


@misconception(
    "Transformer",
    "The embedding is not multiplied by the root of d: beside the positions, the tokens are hardly heard.",
    lecture=POSITION,
)
class EmbeddingNotScaled(lecture.Transformer):
    def embed(self, tokens, embedding):
        x = embedding(tokens) + lecture.positional_encoding(tokens.shape[1], embedding.embedding_dim)
        return self.dropout(x)


@misconception(
    "Transformer",
    "You multiply the positional encoding by the root of d as well: only the embedding is.",
    lecture=POSITION,
)
class PositionsScaledToo(lecture.Transformer):
    def embed(self, tokens, embedding):
        d = embedding.embedding_dim
        return self.dropout((embedding(tokens) + lecture.positional_encoding(tokens.shape[1], d)) * math.sqrt(d))


@misconception(
    "Transformer",
    "There is no positional encoding: to your encoder, 'boy' and 'yob' are the same.",
    lecture=POSITION,
)
class NoPositions(lecture.Transformer):
    def embed(self, tokens, embedding):
        return self.dropout(embedding(tokens) * math.sqrt(embedding.embedding_dim))


@misconception(
    "Transformer",
    "Only the source gets positions: the decoder needs to know where it is, too.",
    lecture=POSITION,
)
class NoPositionsInTheTarget(lecture.Transformer):
    def embed(self, tokens, embedding):
        if embedding is self.source_embedding:
            return super().embed(tokens, embedding)
        return self.dropout(embedding(tokens) * math.sqrt(embedding.embedding_dim))


@misconception(
    "Transformer",
    "You use the source's padding mask on the target: it hides target tokens where the *source* happens to be padded.",
    lecture=DECODER,
)
class SourceMaskOnTheTarget(lecture.Transformer):
    def decode(self, target, memory, source):
        x, mask = self.embed(target, self.target_embedding), lecture.padding_mask(source)
        return self.output(self.decoder(x, memory, mask, mask))


@misconception(
    "Transformer",
    "You use the target's padding mask on the memory: what is padding there depends on the source.",
    lecture=DECODER,
)
class TargetMaskOnTheSource(lecture.Transformer):
    def decode(self, target, memory, source):
        x, mask = self.embed(target, self.target_embedding), lecture.padding_mask(target)
        return self.output(self.decoder(x, memory, mask, mask))


@misconception(
    "Transformer",
    "Your encoder looks at padding: a sentence then means something else when a longer one is in the batch.",
    lecture=ENCODER,
)
class EncoderSeesPadding(lecture.Transformer):
    def encode(self, source):
        return self.encoder(self.embed(source, self.source_embedding))


@misconception(
    "Transformer",
    "Your cross-attention looks at padding: the decoder needs the source's padding mask, too.",
    lecture=CROSS,
)
class DecoderSeesSourcePadding(lecture.Transformer):
    def decode(self, target, memory, source):
        x = self.embed(target, self.target_embedding)
        return self.output(self.decoder(x, memory, lecture.padding_mask(target)))


@misconception(
    "Transformer",
    "Your decoder looks at padding of the target.",
    lecture=DECODER,
)
class DecoderSeesTargetPadding(lecture.Transformer):
    def decode(self, target, memory, source):
        x = self.embed(target, self.target_embedding)
        return self.output(self.decoder(x, memory, None, lecture.padding_mask(source)))


@misconception(
    "Transformer",
    "Your embeddings start with PyTorch's standard deviation of 1. Times the root of d, the token shouts and its "
    "position is not heard.",
    lecture=POSITION,
)
class LoudEmbedding(lecture.Transformer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.source_embedding.reset_parameters()
        self.target_embedding.reset_parameters()


@misconception(
    "Transformer",
    "Source and target share one embedding: these are two languages, and each has its own here.",
    lecture=ENCODER,
)
class OneEmbeddingForBoth(lecture.Transformer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.target_embedding = self.source_embedding


@misconception(
    "Transformer",
    "You return probabilities. What is promised are logits; the loss takes the softmax.",
    lecture=DECODER,
)
class SoftmaxAtTheEnd(lecture.Transformer):
    def decode(self, target, memory, source):
        return super().decode(target, memory, source).softmax(dim=-1)


@misconception(
    "Transformer",
    "Your decoder looks at the embedded source: the encoder's work is not used.",
    lecture=ENCODER,
)
class EncoderLeftOut(lecture.Transformer):
    def encode(self, source):
        return self.embed(source, self.source_embedding)


@misconception(
    "Transformer",
    "Your decode encodes the source again and ignores the memory that it is given: for each token that is written, "
    "all the encoder's work is done once more.",
    lecture=DECODER,
)
class EncodesAgain(lecture.Transformer):
    def decode(self, target, memory, source):
        return super().decode(target, self.encode(source), source)


@misconception(
    "Transformer",
    "The embeddings are never dropped in your model: dropout acts on the sum of embedding and position, too.",
    lecture=ENCODER,
)
class EmbeddingsNeverDropped(lecture.Transformer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.dropout = nn.Identity()


@misconception(
    "Transformer",
    "Dropout on your embeddings goes on in evaluation: `nn.functional.dropout` does not know the mode unless it is "
    "told.",
    lecture=ENCODER,
)
class EmbeddingsDroppedInEvaluation(lecture.Transformer):
    def embed(self, tokens, embedding):
        d = embedding.embedding_dim
        x = embedding(tokens) * math.sqrt(d) + lecture.positional_encoding(tokens.shape[1], d)
        return nn.functional.dropout(x, self.dropout.p)


@misconception(
    "Transformer",
    "Your positional encoding is saved with the model: it is no parameter, and a checkpoint would not fit another "
    "length.",
    lecture=POSITION,
)
class PositionsSaved(lecture.Transformer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("positions", lecture.positional_encoding(512, self.source_embedding.embedding_dim))

    def load_state_dict(self, state, strict=True, assign=False):
        return super().load_state_dict(state, strict=False)


@misconception(
    "Transformer",
    "Your model ignores pre_norm: its layers are always pre-norm.",
    lecture=ENCODER,
)
class AlwaysPreNorm(lecture.Transformer):
    def __init__(self, vocabulary, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=True):
        super().__init__(vocabulary, d_model, heads, d_ff, layers, dropout, True)


# --- shift_right ---


@misconception(
    "shift_right",
    "You don't shift: the decoder reads exactly the token that it is to say. It learns to copy, and can't write by "
    "itself.",
    lecture=TRAINING,
)
def predicts_its_own_input(target, begin):
    return target.clone()


@misconception(
    "shift_right",
    "You shift to the left: the decoder reads the token *after* the one that it is to say.",
    lecture=TRAINING,
)
def shifts_left(target, begin):
    return torch.cat([target[:, 1:], torch.full_like(target[:, :1], begin)], dim=1)


@misconception(
    "shift_right",
    "You roll the sentence round: its last token comes first. BEGIN belongs there.",
    lecture=TRAINING,
)
def rolls_round(target, begin):
    return target.roll(1, dims=1)


@misconception(
    "shift_right",
    "You put BEGIN in front and drop nothing: the decoder then reads one token more than it is to say.",
    lecture=TRAINING,
)
def drops_nothing(target, begin):
    return torch.cat([torch.full_like(target[:, :1], begin), target], dim=1)


@misconception(
    "shift_right",
    "You overwrite the first token with BEGIN and shift nothing: the first token is lost, and the others are read "
    "when they should be said.",
    lecture=TRAINING,
)
def overwrites_the_first(target, begin):
    read = target.clone()
    read[:, 0] = begin
    return read


@misconception(
    "shift_right",
    "You shift along the batch: each sentence is read in the place of the next one.",
    lecture=TRAINING,
)
def shifts_the_batch(target, begin):
    return torch.cat([torch.full_like(target[:1], begin), target[:-1]], dim=0)


@misconception(
    "shift_right",
    "You shift the caller's own tensor: the loss then compares with targets that are no longer the targets.",
    lecture=TRAINING,
)
def shifts_in_place(target, begin):
    target[:, 1:] = target[:, :-1].clone()
    target[:, 0] = begin
    return target


@misconception(
    "shift_right",
    "BEGIN is a fixed 1 for you: it is the argument `begin`.",
    lecture=TRAINING,
)
def begin_is_always_one(target, begin):
    return lecture.shift_right(target, 1)


# --- seq2seq_loss ---


def _losses(logits, target, eps):
    log_p = logits.log_softmax(dim=-1)
    right = log_p.gather(-1, target[..., None])[..., 0]
    return -(1 - eps) * right - eps * log_p.mean(dim=-1)


@misconception(
    "seq2seq_loss",
    "Padding counts as a word: the machine is praised for predicting nothing, and the more padding, the better it "
    "looks.",
    lecture=TRAINING,
)
def padding_counted(logits, target, pad, label_smoothing=0.0):
    return _losses(logits, target, label_smoothing).mean()


@misconception(
    "seq2seq_loss",
    "The losses at padding are set to 0, but you still divide by all positions: batches with much padding count less.",
    lecture=TRAINING,
)
def divided_by_all_positions(logits, target, pad, label_smoothing=0.0):
    return (_losses(logits, target, label_smoothing) * (target != pad)).mean()


@misconception(
    "seq2seq_loss",
    "You average within each sentence first and then over sentences: a word of a short sentence counts more than "
    "one of a long sentence.",
    lecture=TRAINING,
)
def mean_of_sentence_means(logits, target, pad, label_smoothing=0.0):
    real = (target != pad).to(logits.dtype)
    return ((_losses(logits, target, label_smoothing) * real).sum(dim=1) / real.sum(dim=1)).mean()


@misconception(
    "seq2seq_loss",
    "You sum over the words where a mean is promised: the learning rate then depends on the size of the batch.",
    lecture=TRAINING,
)
def sum_of_losses(logits, target, pad, label_smoothing=0.0):
    return _losses(logits, target, label_smoothing)[target != pad].sum()


@misconception(
    "seq2seq_loss",
    "You take the logarithm of the softmax in two steps: a tiny probability rounds to 0, and its logarithm is "
    "infinite.",
    lecture=TRAINING,
)
def logarithm_of_the_softmax(logits, target, pad, label_smoothing=0.0):
    log_p = logits.softmax(dim=-1).log()
    right = log_p.gather(-1, target[..., None])[..., 0]
    smooth = label_smoothing * log_p.mean(dim=-1) if label_smoothing else 0.0
    return (-(1 - label_smoothing) * right - smooth)[target != pad].mean()


@misconception(
    "seq2seq_loss",
    "Label smoothing has no effect in your loss.",
    lecture=TRAINING,
)
def no_smoothing(logits, target, pad, label_smoothing=0.0):
    return _losses(logits, target, 0.0)[target != pad].mean()


@misconception(
    "seq2seq_loss",
    "You spread eps over the V - 1 wrong tokens only. In this formula all V tokens share it, the right one too.",
    lecture=TRAINING,
)
def smoothing_over_the_others(logits, target, pad, label_smoothing=0.0):
    log_p = logits.log_softmax(dim=-1)
    right = log_p.gather(-1, target[..., None])[..., 0]
    others = (log_p.sum(dim=-1) - right) / (logits.shape[-1] - 1)
    return (-(1 - label_smoothing) * right - label_smoothing * others)[target != pad].mean()


@misconception(
    "seq2seq_loss",
    "The right token keeps all of its probability, and eps comes on top: your q sums to more than 1.",
    lecture=TRAINING,
)
def smoothing_on_top(logits, target, pad, label_smoothing=0.0):
    log_p = logits.log_softmax(dim=-1)
    right = log_p.gather(-1, target[..., None])[..., 0]
    return (-right - label_smoothing * log_p.mean(dim=-1))[target != pad].mean()


@misconception(
    "seq2seq_loss",
    "1 - eps and eps have changed places: the right token gets the small share.",
    lecture=TRAINING,
)
def smoothing_upside_down(logits, target, pad, label_smoothing=0.0):
    eps = 1 - label_smoothing if label_smoothing else 0.0
    return _losses(logits, target, eps)[target != pad].mean()


@misconception(
    "seq2seq_loss",
    "PAD is a fixed 0 for you: it is the argument `pad`.",
    lecture=TRAINING,
)
def pad_is_always_zero(logits, target, pad, label_smoothing=0.0):
    return lecture.seq2seq_loss(logits, target, 0, label_smoothing)


@misconception(
    "seq2seq_loss",
    "Your loss is cut off from the graph: there is nothing that could be trained.",
    lecture=TRAINING,
)
def loss_without_a_graph(logits, target, pad, label_smoothing=0.0):
    return lecture.seq2seq_loss(logits.detach(), target, pad, label_smoothing)


@misconception(
    "seq2seq_loss",
    "The sign is wrong: you return the mean log-probability, and lowering it makes the right words *less* likely.",
    lecture=TRAINING,
)
def sign_forgotten(logits, target, pad, label_smoothing=0.0):
    return -lecture.seq2seq_loss(logits, target, pad, label_smoothing)


# --- greedy_decode ---


def _greedy(step, batch_size, begin, end, pad, max_length, *, stop=torch.all, asleep=True, last_only=False):
    sentence, tokens = torch.arange(batch_size), torch.full((batch_size, 1), begin)
    finished = torch.zeros(batch_size, dtype=torch.bool)
    while not stop(finished) and tokens.shape[1] <= max_length:
        best = step(tokens[:, -1:] if last_only else tokens, sentence).argmax(dim=-1)
        if asleep:
            best[finished] = pad
        finished = finished | (best == end)
        tokens = torch.cat([tokens, best[:, None]], dim=1)
    return tokens[:, 1:]


@misconception(
    "greedy_decode",
    "You stop as soon as one sentence has ended: the others are cut off in the middle.",
    lecture=WRITING,
)
def stops_when_one_ends(step, batch_size, begin, end, pad, max_length):
    return _greedy(step, batch_size, begin, end, pad, max_length, stop=torch.any)


@misconception(
    "greedy_decode",
    "Whatever the machine says after END is written down: what has ended must be filled up with PAD.",
    lecture=WRITING,
)
def writes_on_after_the_end(step, batch_size, begin, end, pad, max_length):
    return _greedy(step, batch_size, begin, end, pad, max_length, asleep=False)


@misconception(
    "greedy_decode",
    "You look only at the last token to see whether a sentence has ended. After END comes PAD, PAD is not END, and the "
    "sentence wakes up again.",
    lecture=WRITING,
)
def wakes_up_after_padding(step, batch_size, begin, end, pad, max_length):
    sentence, tokens = torch.arange(batch_size), torch.full((batch_size, 1), begin)
    ended = torch.zeros(batch_size, dtype=torch.bool)
    while not ended.all() and tokens.shape[1] <= max_length:
        best = step(tokens, sentence).argmax(dim=-1)
        best[tokens[:, -1] == end] = pad
        ended |= best == end
        tokens = torch.cat([tokens, best[:, None]], dim=1)
    return tokens[:, 1:]


@misconception(
    "greedy_decode",
    "You wait until all sentences end at the same moment: one that ended earlier has been forgotten.",
    lecture=WRITING,
)
def waits_for_all_at_once(step, batch_size, begin, end, pad, max_length):
    sentence, tokens = torch.arange(batch_size), torch.full((batch_size, 1), begin)
    finished = torch.zeros(batch_size, dtype=torch.bool)
    while tokens.shape[1] <= max_length:
        best = step(tokens, sentence).argmax(dim=-1)
        best[finished] = pad
        tokens = torch.cat([tokens, best[:, None]], dim=1)
        if (best == end).all():
            break
        finished |= best == end
    return tokens[:, 1:]


@misconception(
    "greedy_decode",
    "You always write max_length tokens: the machine says END, and you don't listen. The rest is padding.",
    lecture=WRITING,
)
def always_to_the_end(step, batch_size, begin, end, pad, max_length):
    return _greedy(step, batch_size, begin, end, pad, max_length, stop=lambda finished: False)


@misconception(
    "greedy_decode",
    "BEGIN is part of your output: it was only the signal to start.",
    lecture=WRITING,
)
def begin_is_written(step, batch_size, begin, end, pad, max_length):
    written = lecture.greedy_decode(step, batch_size, begin, end, pad, max_length)
    return torch.cat([torch.full((batch_size, 1), begin), written], dim=1)


@misconception(
    "greedy_decode",
    "You leave END out: nobody can tell any more whether a sentence ended, or was cut off.",
    lecture=WRITING,
)
def end_is_left_out(step, batch_size, begin, end, pad, max_length):
    written = lecture.greedy_decode(step, batch_size, begin, end, pad, max_length)
    written[written == end] = pad
    return written


@misconception(
    "greedy_decode",
    "You count BEGIN as a written token: one fewer than max_length is written.",
    lecture=WRITING,
)
def begin_is_counted(step, batch_size, begin, end, pad, max_length):
    return lecture.greedy_decode(step, batch_size, begin, end, pad, max_length - 1)


@misconception(
    "greedy_decode",
    "You show the machine the last token only. It has to read everything that has been written, from BEGIN on.",
    lecture=WRITING,
)
def reads_the_last_token_only(step, batch_size, begin, end, pad, max_length):
    return _greedy(step, batch_size, begin, end, pad, max_length, last_only=True)


@misconception(
    "greedy_decode",
    "You draw the next token at random from the probabilities: greedy means the likeliest one, always.",
    lecture=WRITING,
)
def draws_the_next_token(step, batch_size, begin, end, pad, max_length):
    def drawn(prefix, sentence):
        log_p = step(prefix, sentence)
        return nn.functional.one_hot(torch.multinomial(log_p.exp(), 1)[:, 0], log_p.shape[-1])

    return lecture.greedy_decode(drawn, batch_size, begin, end, pad, max_length)


# --- beam_search ---


def _beam(
    step,
    batch_size,
    begin,
    end,
    beam_size,
    max_length,
    alpha=0.0,
    *,
    per_hypothesis=False,
    keep=True,
    first_end=False,
    prune=lambda total, length: total,
    add=lambda total, log_p: total + log_p,
    score=lambda total, tokens, alpha: total / len(tokens) ** alpha,
    sentence=lambda which: which,
    start=0.0,
):
    """Beam search, with what can go wrong as arguments."""
    results = []
    for which in range(batch_size):
        beam = [(start, [])]
        for _ in range(max_length):
            done = [one for one in beam if one[1][-1:] == [end]]
            going = [one for one in beam if one[1][-1:] != [end]]
            if not going or (first_end and done):
                break
            prefix = torch.tensor([[begin, *tokens] for _, tokens in going])
            rows = step(prefix, torch.full((len(going),), sentence(which))).tolist()
            longer = []
            for (total, tokens), row in zip(going, rows):
                choices = [(add(total, log_p), [*tokens, token]) for token, log_p in enumerate(row)]
                longer += [max(choices)] if per_hypothesis and tokens else choices
            beam = sorted((done if keep else []) + longer, key=lambda one: prune(one[0], len(one[1])), reverse=True)[
                :beam_size
            ]
        if first_end:
            done = [one for one in beam if one[1][-1:] == [end]]
            beam = done or beam
        best = max(beam, key=lambda one: score(one[0], one[1], alpha))
        results.append((best[1], score(best[0], best[1], alpha)))
    return results


@misconception(
    "beam_search",
    "This is greedy search in disguise: you keep one hypothesis only, whatever beam_size says.",
    lecture=BEAM,
)
def greedy_in_disguise(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, 1, max_length, alpha)


@misconception(
    "beam_search",
    "Each of your hypotheses goes on with its own likeliest token only: K greedy writers that start differently. All "
    "extensions of all hypotheses compete for the K places.",
    lecture=BEAM,
)
def greedy_writers_side_by_side(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, beam_size, max_length, alpha, per_hypothesis=True)


@misconception(
    "beam_search",
    "A finished hypothesis falls out of your beam at the next step: the best sentence of all may be lost, because "
    "others are longer.",
    lecture=BEAM,
)
def finished_ones_are_lost(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, beam_size, max_length, alpha, keep=False)


@misconception(
    "beam_search",
    "You stop at the first sentence that ends: a better one may still be unfinished.",
    lecture=BEAM,
)
def the_first_end_wins(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, beam_size, max_length, alpha, first_end=True)


@misconception(
    "beam_search",
    "You multiply log-probabilities. Probabilities are multiplied, so their logarithms are added.",
    lecture=BEAM,
)
def multiplies_logarithms(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(
        step, batch_size, begin, end, beam_size, max_length, alpha, start=-1.0, add=lambda total, log_p: -total * log_p
    )


@misconception(
    "beam_search",
    "You compare hypotheses by their newest token only: the probability of what came before is forgotten.",
    lecture=BEAM,
)
def only_the_newest_token_counts(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, beam_size, max_length, alpha, add=lambda total, log_p: log_p)


@misconception(
    "beam_search",
    "Your length penalty acts while the beam is pruned: there the log-probability itself decides, and the score at "
    "the end.",
    lecture=BEAM,
)
def penalty_while_pruning(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(
        step, batch_size, begin, end, beam_size, max_length, alpha, prune=lambda total, length: total / length**alpha
    )


@misconception(
    "beam_search",
    "END does not count in your length: it is a token that the machine had to say, like the others.",
    lecture=BEAM,
)
def end_has_no_length(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    def score(total, tokens, alpha):
        return total / max(1, len(tokens) - (tokens[-1] == end)) ** alpha

    return _beam(step, batch_size, begin, end, beam_size, max_length, alpha, score=score)


@misconception(
    "beam_search",
    "You multiply by the length penalty. Log-probabilities are negative: that punishes long sentences still more.",
    lecture=BEAM,
)
def multiplied_by_the_penalty(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(
        step,
        batch_size,
        begin,
        end,
        beam_size,
        max_length,
        alpha,
        score=lambda total, tokens, a: total * len(tokens) ** a,
    )


@misconception(
    "beam_search",
    "There is no length penalty in your search: alpha changes nothing.",
    lecture=BEAM,
)
def no_length_penalty(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, beam_size, max_length, 0.0)


@misconception(
    "beam_search",
    "Your score is a probability: the logarithm of it is promised.",
    lecture=BEAM,
)
def score_is_a_probability(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return [
        (tokens, math.exp(score))
        for tokens, score in lecture.beam_search(step, batch_size, begin, end, beam_size, max_length, alpha)
    ]


@misconception(
    "beam_search",
    "You never tell the machine which sentence a hypothesis belongs to: it always answers for the first one.",
    lecture=BEAM,
)
def always_the_first_sentence(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    return _beam(step, batch_size, begin, end, beam_size, max_length, alpha, sentence=lambda which: 0)


@misconception(
    "beam_search",
    "The beams of different sentences are mixed: all hypotheses of the batch compete for the same places, and an easy "
    "sentence crowds out a hard one.",
    lecture=BEAM,
)
def beams_are_mixed(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    beam = [(0.0, [], which) for which in range(batch_size)]
    for _ in range(max_length):
        done = [one for one in beam if one[1][-1:] == [end]]
        going = [one for one in beam if one[1][-1:] != [end]]
        if not going:
            break
        prefix = torch.tensor([[begin, *tokens] for _, tokens, _ in going])
        rows = step(prefix, torch.tensor([which for _, _, which in going])).tolist()
        longer = [
            (total + log_p, [*tokens, token], which)
            for (total, tokens, which), row in zip(going, rows)
            for token, log_p in enumerate(row)
        ]
        beam = sorted(done + longer, reverse=True)[: beam_size * batch_size]
    results = []
    for which in range(batch_size):
        mine = [(total / len(tokens) ** alpha, tokens) for total, tokens, whose in beam if whose == which]
        score, tokens = max(mine, default=(-math.inf, []))
        results.append((tokens, score))
    return results


# --- cached_attention ---


def _look(layer, query, key, value, mask):
    return layer.merge(lecture.attention(query, key, value, mask)[0])


def _joined(layer, x, cache):
    query, key, value = layer.project(x, x)
    if cache is not None:
        key, value = torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)
    return query, key, value


@misconception(
    "cached_attention",
    "You return the keys and values of the new positions only: at the next step the past is gone.",
    lecture=WRITING,
)
def the_past_is_forgotten(layer, x, cache):
    out, _ = lecture.cached_attention(layer, x, cache)
    return out, layer.project(x, x)[1:]


@misconception(
    "cached_attention",
    "Your new cache is the old one: the new keys and values are used once and never kept.",
    lecture=WRITING,
)
def stale_cache(layer, x, cache):
    out, new = lecture.cached_attention(layer, x, cache)
    return out, new if cache is None else cache


@misconception(
    "cached_attention",
    "The new positions look at themselves only: you never look at what is in the cache.",
    lecture=WRITING,
)
def cache_never_looked_at(layer, x, cache):
    query, key, value = layer.project(x, x)
    return _look(layer, query, key, value, lecture.causal_mask(x.shape[1])), _joined(layer, x, cache)[1:]


@misconception(
    "cached_attention",
    "The new positions don't look at themselves: only the cache is asked.",
    lecture=WRITING,
)
def only_the_cache_is_asked(layer, x, cache):
    out, new = lecture.cached_attention(layer, x, cache)
    if cache is not None:
        out = _look(layer, layer.project(x, x)[0], *cache, None)
    return out, new


@misconception(
    "cached_attention",
    "There is no mask: of several new positions, the first looks at the last.",
    lecture=WRITING,
)
def new_positions_look_ahead(layer, x, cache):
    query, key, value = _joined(layer, x, cache)
    return _look(layer, query, key, value, None), (key, value)


@misconception(
    "cached_attention",
    "Your mask counts the new positions from 0: behind a long past, the first new position sees only the first old "
    "one.",
    lecture=WRITING,
)
def mask_counts_from_zero(layer, x, cache):
    query, key, value = _joined(layer, x, cache)
    mask = torch.ones(x.shape[1], key.shape[2], dtype=torch.bool).tril()
    return _look(layer, query, key, value, mask), (key, value)


@misconception(
    "cached_attention",
    "You put the new keys and values before the old ones: the mask then hides the wrong positions.",
    lecture=WRITING,
)
def the_new_before_the_old(layer, x, cache):
    query, key, value = layer.project(x, x)
    mask = lecture.causal_mask(x.shape[1] + (0 if cache is None else cache[0].shape[2]))[-x.shape[1] :]
    if cache is not None:
        key, value = torch.cat([key, cache[0]], dim=2), torch.cat([value, cache[1]], dim=2)
    return _look(layer, query, key, value, mask), (key, value)


@misconception(
    "cached_attention",
    "Keys and values have changed places in your cache.",
    lecture=WRITING,
)
def values_before_keys(layer, x, cache):
    query, key, value = layer.project(x, x)
    if cache is not None:
        key, value = torch.cat([cache[1], key], dim=2), torch.cat([cache[0], value], dim=2)
    mask = lecture.causal_mask(key.shape[2])[-x.shape[1] :]
    return _look(layer, query, key, value, mask), (value, key)


@misconception(
    "cached_attention",
    "You keep the past inside the layer instead of using the cache that you are given: a second sentence, or "
    "another beam, goes on with the wrong past.",
    lecture=WRITING,
)
def the_past_is_kept_in_the_layer(layer, x, cache):
    past = None if cache is None else layer.__dict__.get("past")
    out, layer.__dict__["past"] = lecture.cached_attention(layer, x, past)
    return out, layer.__dict__["past"]


# --- cached_decode ---


def _cached(
    step,
    batch_size,
    begin,
    end,
    pad,
    max_length,
    *,
    position=lambda t: t,
    kept=lambda cache, t: cache,
    given=lambda tokens: tokens[:, -1:],
    stop=torch.all,
    asleep=True,
):
    """Greedy decoding with a cache, with what can go wrong as arguments."""
    tokens, cache = torch.full((batch_size, 1), begin), None
    finished = torch.zeros(batch_size, dtype=torch.bool)
    while not stop(finished) and tokens.shape[1] <= max_length:
        t = tokens.shape[1] - 1
        log_p, new = step(given(tokens), position(t), cache)
        cache = new if t == 0 else kept(new, cache)
        best = log_p.argmax(dim=-1)
        if asleep:
            best[finished] = pad
        finished = finished | (best == end)
        tokens = torch.cat([tokens, best[:, None]], dim=1)
    return tokens[:, 1:]


@misconception(
    "cached_decode",
    "Your positions restart: every new token is handed over as position 0. The machine has forgotten where in the "
    "sentence it is.",
    lecture=WRITING,
)
def positions_restart(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length, position=lambda t: 0)


@misconception(
    "cached_decode",
    "Your positions are one too high: BEGIN is at position 0.",
    lecture=WRITING,
)
def positions_start_at_one(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length, position=lambda t: t + 1)


@misconception(
    "cached_decode",
    "You hand over the first cache again and again: each call must get what the last call returned.",
    lecture=WRITING,
)
def the_first_cache_for_ever(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length, kept=lambda new, old: old)


@misconception(
    "cached_decode",
    "You never hand over a cache: the machine sees one token without its past.",
    lecture=WRITING,
)
def never_a_cache(step, batch_size, begin, end, pad, max_length):
    def forgetful(tokens, start, cache):
        return step(tokens, start, None)

    return _cached(forgetful, batch_size, begin, end, pad, max_length)


@misconception(
    "cached_decode",
    "Right, but you hand over the whole sentence at every step, and the cache is of no use: the work is quadratic "
    "again.",
    lecture=WRITING,
)
def everything_again(step, batch_size, begin, end, pad, max_length):
    def from_the_start(tokens, start, cache):
        return step(tokens, 0, None)

    return _cached(from_the_start, batch_size, begin, end, pad, max_length, given=lambda tokens: tokens)


@misconception(
    "cached_decode",
    "You hand over the whole sentence *and* the cache: the machine sees the past twice.",
    lecture=WRITING,
)
def the_past_twice(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length, given=lambda tokens: tokens)


@misconception(
    "cached_decode",
    "You stop as soon as one sentence has ended: the others are cut off in the middle.",
    lecture=WRITING,
)
def the_cache_stops_when_one_ends(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length, stop=torch.any)


@misconception(
    "cached_decode",
    "What the machine says after END is written down: what has ended must be filled up with PAD.",
    lecture=WRITING,
)
def the_cache_writes_on(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length, asleep=False)


@misconception(
    "cached_decode",
    "You count BEGIN as a written token: one fewer than max_length is written.",
    lecture=WRITING,
)
def the_cache_counts_begin(step, batch_size, begin, end, pad, max_length):
    return _cached(step, batch_size, begin, end, pad, max_length - 1)


# --- bleu ---


def _grams(sentence, n):
    return Counter(tuple(sentence[i : i + n]) for i in range(len(sentence) - n + 1))


def _largest(counters):
    most = Counter()
    for counter in counters:
        most |= counter
    return most


def _closest(candidate, several):
    return min((abs(len(one) - len(candidate)), len(one)) for one in several)[1]


def _bleu(
    candidates,
    references,
    max_n=4,
    *,
    merge=_largest,
    clip=lambda counts, most: (counts & most).total(),
    total=lambda counts, most: counts.total(),
    goal=_closest,
    penalty=lambda goal, length: math.exp(min(0.0, 1 - goal / length)),
    mean=lambda parts: math.exp(sum(map(math.log, parts)) / len(parts)),
    orders=lambda max_n: range(1, max_n + 1),
):
    """Corpus BLEU, with what can go wrong as arguments."""
    parts = []
    for n in orders(max_n):
        matches = everything = 0
        for candidate, several in zip(candidates, references):
            counts, most = _grams(candidate, n), merge([_grams(one, n) for one in several])
            matches += clip(counts, most)
            everything += total(counts, most)
        if not matches:
            return 0.0
        parts.append(matches / everything)
    length = sum(map(len, candidates))
    return penalty(sum(goal(one, several) for one, several in zip(candidates, references)), length) * mean(parts)


@misconception(
    "bleu",
    "You take the mean of the sentences' BLEUs. Corpus BLEU sums matches, totals and lengths over all sentences "
    "first: a single sentence without a 4-gram match would else count as 0.",
    lecture=JUDGING,
)
def mean_over_sentences(candidates, references, max_n=4):
    scores = [_bleu([one], [several], max_n) if len(one) else 0.0 for one, several in zip(candidates, references)]
    return sum(scores) / len(scores)


@misconception(
    "bleu",
    "You don't clip: 'the the the the' gets full marks from a reference with a single 'the'.",
    lecture=JUDGING,
)
def no_clipping(candidates, references, max_n=4):
    def clip(counts, most):
        return sum(count for gram, count in counts.items() if gram in most)

    return _bleu(candidates, references, max_n, clip=clip)


@misconception(
    "bleu",
    "Each different n-gram counts once for you: repeated words of a candidate are neither matched nor counted.",
    lecture=JUDGING,
)
def counts_each_n_gram_once(candidates, references, max_n=4):
    return _bleu(
        candidates,
        references,
        max_n,
        clip=lambda counts, most: len(counts.keys() & most.keys()),
        total=lambda counts, most: len(counts),
    )


@misconception(
    "bleu",
    "There is no brevity penalty: whoever says only the one word that is sure gets full marks.",
    lecture=JUDGING,
)
def no_brevity_penalty(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, penalty=lambda goal, length: 1.0)


@misconception(
    "bleu",
    "Your brevity penalty is upside down: it punishes long translations instead of short ones.",
    lecture=JUDGING,
)
def penalty_upside_down(candidates, references, max_n=4):
    return _bleu(
        candidates, references, max_n, penalty=lambda goal, length: math.exp(min(0.0, 1 - length / max(goal, 1)))
    )


@misconception(
    "bleu",
    "Your brevity penalty rewards long translations: it is never more than 1.",
    lecture=JUDGING,
)
def long_ones_are_rewarded(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, penalty=lambda goal, length: math.exp(1 - goal / length))


@misconception(
    "bleu",
    "Your brevity penalty is the plain ratio of the lengths: it is exp(1 - R/C).",
    lecture=JUDGING,
)
def penalty_is_the_ratio(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, penalty=lambda goal, length: min(1.0, length / max(goal, 1)))


@misconception(
    "bleu",
    "You take the arithmetic mean of the precisions: BLEU takes the geometric one, the mean of their logarithms.",
    lecture=JUDGING,
)
def arithmetic_mean(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, mean=lambda parts: sum(parts) / len(parts))


@misconception(
    "bleu",
    "You count only the n-grams of the largest n: all orders from 1 on belong to the mean.",
    lecture=JUDGING,
)
def only_the_longest_n_grams(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, orders=lambda max_n: [max_n])


@misconception(
    "bleu",
    "You divide by the n-grams of the reference: that is recall. BLEU is made of precisions, of the candidate's "
    "n-grams.",
    lecture=JUDGING,
)
def recall_for_precision(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, total=lambda counts, most: most.total())


@misconception(
    "bleu",
    "You add the counts of several references up. An n-gram may count as often as it occurs in *one* of them: take the "
    "largest count.",
    lecture=JUDGING,
)
def references_added_up(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, merge=lambda counters: sum(counters, Counter()))


@misconception(
    "bleu",
    "You use the first reference only.",
    lecture=JUDGING,
)
def first_reference_only(candidates, references, max_n=4):
    return _bleu(candidates, [several[:1] for several in references], max_n)


@misconception(
    "bleu",
    "R is made of the shortest references in your penalty: it is the one that is closest in length to the candidate.",
    lecture=JUDGING,
)
def the_shortest_reference(candidates, references, max_n=4):
    return _bleu(candidates, references, max_n, goal=lambda candidate, several: min(map(len, several)))


@misconception(
    "bleu",
    "Of two references that are equally close in length you take the longer: the shorter one counts.",
    lecture=JUDGING,
)
def the_longer_of_two(candidates, references, max_n=4):
    def goal(candidate, several):
        return min((abs(len(one) - len(candidate)), -len(one)) for one in several)[1] * -1

    return _bleu(candidates, references, max_n, goal=goal)


@misconception(
    "bleu",
    "You add 1 to the counts so that no precision is 0. That is a smoothed BLEU; here it is 0 if nothing matches.",
    lecture=JUDGING,
)
def smoothed_counts(candidates, references, max_n=4):
    if not sum(map(len, candidates)):
        return 0.0
    return _bleu(
        candidates,
        references,
        max_n,
        clip=lambda counts, most: (counts & most).total() + 1,
        total=lambda counts, most: counts.total() + 1,
    )


@misconception(
    "bleu",
    "Your BLEU runs from 0 to 100: a number from 0 to 1 is promised.",
    lecture=JUDGING,
)
def in_percent(candidates, references, max_n=4):
    return 100 * lecture.bleu(candidates, references, max_n)


# --- Seq2SeqTask ---
# Each of them runs every check of the problem. Where the mistake shows without a full training, training is cut short.


class _Hasty(lecture.Seq2SeqTask):
    def fit(self, sources, targets, steps=40):
        return super().fit(sources, targets, steps)


def _train(task, sources, targets, steps, optimizer, batch, loss):
    """The usual loop, with what can go wrong as arguments."""
    losses = []
    task.model.train()
    for _ in range(steps):
        some = batch()
        source = lecture.pad_batch([sources[n] for n in some])
        value = loss(source, [targets[n] for n in some])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


@misconception(
    "Seq2SeqTask",
    "You test with a teacher: `evaluate` hands the true target to the decoder. Nobody will do that for the machine "
    "when it is to translate something new.",
    lecture=TRAINING,
)
class TeacherAtTheTest(_Hasty):
    def evaluate(self, sources, targets):
        self.model.eval()
        true = lecture.pad_batch(targets)
        with torch.no_grad():
            said = self.model(lecture.pad_batch(sources), lecture.shift_right(true, BEGIN)).argmax(dim=-1)
        right = (said == true) & (true != PAD)
        whole = (right | (true == PAD)).all(dim=1)
        return float(right.sum() / (true != PAD).sum()), float(whole.float().mean())


@misconception(
    "Seq2SeqTask",
    "You feed the source to the decoder, shifted right, and read all answers off at once. At test time the decoder "
    "reads what it has said itself, token by token.",
    lecture=TRAINING,
)
class AllAtOnce(_Hasty):
    def predict(self, sources, max_length=20):
        self.model.eval()
        source = lecture.pad_batch([[*source, END] for source in sources])
        with torch.no_grad():
            said = self.model(source, lecture.shift_right(source, BEGIN)).argmax(dim=-1).tolist()
        return [[*itertools.takewhile(lambda token: token != END, row)][:max_length] for row in said]


@misconception(
    "Seq2SeqTask",
    "While training, the decoder reads the very token that it is to say: it learns to copy its input, and can't "
    "write a word by itself.",
    lecture=TRAINING,
)
class LearnsToCopy(lecture.Seq2SeqTask):
    def fit(self, sources, targets, steps=40):
        def loss(source, some):
            true = lecture.pad_batch([[*target, END] for target in some])
            return lecture.seq2seq_loss(self.model(source, true), true, PAD)

        optimizer = torch.optim.Adam(self.model.parameters(), lr=0.005)
        return _train(
            self, sources, targets, steps, optimizer, lambda: torch.randint(len(sources), (64,)).tolist(), loss
        )


@misconception(
    "Seq2SeqTask",
    "Your model never learns to say END: it is missing in the targets, and the machine can't decide how long its "
    "output is.",
    lecture=WRITING,
)
class NeverSaysEnd(lecture.Seq2SeqTask):
    def fit(self, sources, targets, steps=40):
        def loss(source, some):
            true = lecture.pad_batch(some)
            return lecture.seq2seq_loss(self.model(source, lecture.shift_right(true, BEGIN)), true, PAD)

        optimizer = torch.optim.Adam(self.model.parameters(), lr=0.005)
        return _train(
            self, sources, targets, steps, optimizer, lambda: torch.randint(len(sources), (64,)).tolist(), loss
        )


@misconception(
    "Seq2SeqTask",
    "Your model writes in training mode: with dropout on, it is absent-minded while it counts.",
    lecture=TRAINING,
)
class WritesInTrainingMode(_Hasty):
    def predict(self, sources, max_length=20):
        self.model.train()
        with torch.no_grad():
            step = lecture.transformer_step(self.model, lecture.pad_batch(sources))
            written = lecture.greedy_decode(step, len(sources), BEGIN, END, PAD, max_length)
        return [[*itertools.takewhile(lambda token: token != END, row)] for row in written.tolist()]


@misconception(
    "Seq2SeqTask",
    "Your model is trained in evaluation mode: dropout never acts.",
    lecture=TRAINING,
)
class LearnsInEvaluationMode(lecture.Seq2SeqTask):
    def fit(self, sources, targets, steps=40):
        train = self.model.train
        self.model.train = lambda mode=True: train(False)
        try:
            return super().fit(sources, targets, steps)
        finally:
            self.model.train = train


@misconception(
    "Seq2SeqTask",
    "The predictions still hold END: `predict` returns what comes before it.",
    lecture=WRITING,
)
class EndStaysInTheWord(_Hasty):
    def predict(self, sources, max_length=20):
        return [[*said, END][:max_length] for said in super().predict(sources, max_length)]


@misconception(
    "Seq2SeqTask",
    "You compare only as far as the shorter of the two goes: letters that are missing at the end are not counted as "
    "wrong.",
    lecture=JUDGING,
)
class MissingLettersForgiven(_Hasty):
    def evaluate(self, sources, targets):
        pairs = list(zip(self.predict(sources), targets))
        compared = [(said, true) for one, other in pairs for said, true in zip(one, other)]
        whole = [all(a == b for a, b in zip(one, other)) for one, other in pairs]
        return sum(a == b for a, b in compared) / len(compared), sum(whole) / len(whole)


@misconception(
    "Seq2SeqTask",
    "You train on the same batch all the time: the machine knows it by heart, and nothing else.",
    lecture=TRAINING,
)
class OneBatchForEver(lecture.Seq2SeqTask):
    def fit(self, sources, targets, steps=60):
        return super().fit(sources[:64], targets[:64], steps)


@misconception(
    "Seq2SeqTask",
    "Plain gradient descent with a small learning rate hardly moves a Transformer: within your updates it learns "
    "nothing. Use Adam with a warm-up.",
    lecture=TRAINING,
)
class PlainGradientDescent(lecture.Seq2SeqTask):
    def fit(self, sources, targets, steps=40):
        def loss(source, some):
            true = lecture.pad_batch([[*target, END] for target in some])
            return lecture.seq2seq_loss(self.model(source, lecture.shift_right(true, BEGIN)), true, PAD)

        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.001)
        return _train(
            self, sources, targets, steps, optimizer, lambda: torch.randint(len(sources), (64,)).tolist(), loss
        )


# --- scheduled_sampling ---


def _mix(target, logits, begin, pad, truth):
    return lecture.shift_right(torch.where(truth | (target == pad), target, logits.argmax(dim=-1)), begin)


@misconception(
    "scheduled_sampling",
    "Your rate is upside down: with truth_rate you read the model's own output, and the truth with the rest.",
    lecture=SAMPLING,
)
def rate_upside_down(target, logits, begin, pad, truth_rate, generator):
    return lecture.scheduled_sampling(target, logits, begin, pad, 1 - truth_rate, generator)


@misconception(
    "scheduled_sampling",
    "You throw one die for the whole batch: all tokens come from the teacher, or none.",
    lecture=SAMPLING,
)
def one_die_for_the_batch(target, logits, begin, pad, truth_rate, generator):
    return _mix(target, logits, begin, pad, torch.rand(1, 1, generator=generator) < truth_rate)


@misconception(
    "scheduled_sampling",
    "You throw one die for each sentence: each token is to have its own.",
    lecture=SAMPLING,
)
def one_die_for_each_sentence(target, logits, begin, pad, truth_rate, generator):
    return _mix(target, logits, begin, pad, torch.rand(len(target), 1, generator=generator) < truth_rate)


@misconception(
    "scheduled_sampling",
    "You throw one die for each position, and all sentences of the batch share it: each token is to have its own.",
    lecture=SAMPLING,
)
def one_die_for_each_position(target, logits, begin, pad, truth_rate, generator):
    return _mix(target, logits, begin, pad, torch.rand(1, target.shape[1], generator=generator) < truth_rate)


@misconception(
    "scheduled_sampling",
    "You mix, but you don't shift: at position t the decoder reads what it is just about to say.",
    lecture=SAMPLING,
)
def mixed_but_not_shifted(target, logits, begin, pad, truth_rate, generator):
    truth = torch.rand(target.shape, generator=generator) < truth_rate
    return torch.where(truth | (target == pad), target, logits.argmax(dim=-1))


@misconception(
    "scheduled_sampling",
    "Truth and own output are out of step: the truth is shifted right, the model's output is not.",
    lecture=SAMPLING,
)
def own_output_not_shifted(target, logits, begin, pad, truth_rate, generator):
    read = lecture.shift_right(target, begin)
    truth = torch.rand(target.shape, generator=generator) < truth_rate
    mixed = torch.where(truth | (read == pad), read, logits.argmax(dim=-1))
    mixed[:, 0] = begin
    return mixed


@misconception(
    "scheduled_sampling",
    "At position 0 you sometimes read the model's output: there is always BEGIN.",
    lecture=SAMPLING,
)
def begin_is_mixed_too(target, logits, begin, pad, truth_rate, generator):
    out = lecture.scheduled_sampling(target, logits, begin, pad, truth_rate, generator)
    own = torch.rand(len(target), generator=generator) >= truth_rate
    out[:, 0] = torch.where(own, logits[:, 0].argmax(dim=-1), out[:, 0])
    return out


@misconception(
    "scheduled_sampling",
    "You replace padding by what the model says about it: sentences grow tails of nonsense.",
    lecture=SAMPLING,
)
def padding_is_mixed_too(target, logits, begin, pad, truth_rate, generator):
    truth = torch.rand(target.shape, generator=generator) < truth_rate
    return lecture.shift_right(torch.where(truth, target, logits.argmax(dim=-1)), begin)


@misconception(
    "scheduled_sampling",
    "Your randomness does not come from the generator: no training can be repeated.",
    lecture=SAMPLING,
)
def ignores_the_generator(target, logits, begin, pad, truth_rate, generator):
    return _mix(target, logits, begin, pad, torch.rand(target.shape) < truth_rate)
