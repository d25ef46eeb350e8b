"""Right solutions of lectures 10 and 11 that look unlike the reference: the hidden tests must accept them."""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grader import alternative
from solutions.lecture10_self_attention import scaled_dot_product_attention, self_attention


@alternative("dot_product_scores")
def scores_by_einsum(x, y, w_q, w_k):
    return torch.einsum("...id,kd,ke,...je->...ij", x, w_q, w_k, y)


@alternative("dot_product_scores")
def scores_with_linear(x, y, w_q, w_k):
    q, k = F.linear(x, w_q), F.linear(y, w_k)
    return (q.unsqueeze(-2) * k.unsqueeze(-3)).sum(-1)


@alternative("dot_product_scores")
def scores_pair_by_pair(x, y, w_q, w_k):
    if x.dim() > 2:
        return torch.stack([scores_pair_by_pair(one, other, w_q, w_k) for one, other in zip(x, y)])
    return torch.stack([torch.stack([(w_q @ a).dot(w_k @ b) for b in y]) for a in x])


@alternative("additive_scores")
def additive_pair_by_pair(x, y, w_q, w_k, w):
    if x.dim() > 2:
        return torch.stack([additive_pair_by_pair(one, other, w_q, w_k, w) for one, other in zip(x, y)])
    return torch.stack([torch.stack([w.dot((w_q @ a + w_k @ b).tanh()) for b in y]) for a in x])


@alternative("additive_scores")
def additive_from_exponentials(x, y, w_q, w_k, w):
    q, k = F.linear(x, w_q).unsqueeze(-2), F.linear(y, w_k).unsqueeze(-3)
    return ((2 * torch.sigmoid(2 * (q + k)) - 1) * w).sum(-1)


@alternative("padding_mask")
def padding_place_by_place(lengths, size):
    columns = [lengths > j for j in range(size)]
    return torch.stack(columns, dim=-1).unsqueeze(-2)


@alternative("padding_mask")
def padding_in_a_loop(lengths, size):
    mask = torch.zeros(*lengths.shape, 1, size, dtype=torch.bool)
    for index in np.ndindex(*lengths.shape):
        mask[(*index, 0, slice(0, int(lengths[index])))] = True
    return mask


@alternative("causal_mask")
def causal_by_comparison(n):
    i = torch.arange(n)
    return i.unsqueeze(0) <= i.unsqueeze(1)


@alternative("causal_mask")
def causal_from_a_list(n):
    return torch.tensor([[j <= i for j in range(n)] for i in range(n)])


@alternative("window_mask")
def window_of_two_triangles(n, radius):
    everybody = torch.ones(n, n)
    return (everybody.triu(-radius) * everybody.tril(radius)) == 1


@alternative("window_mask")
def window_in_a_loop(n, radius):
    mask = torch.zeros(n, n).bool()
    for i in range(n):
        mask[i, max(0, i - radius) : min(n, i + radius + 1)] = True
    return mask


@alternative("scaled_dot_product_attention")
def attention_by_hand(q, k, v, mask=None):
    scores = torch.einsum("...id,...jd->...ij", q, k) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, torch.tensor(-1e30, dtype=scores.dtype))
    exponentials = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
    if mask is not None:
        exponentials = exponentials * mask
    total = exponentials.sum(dim=-1, keepdim=True)
    weights = exponentials / torch.where(total > 0, total, torch.ones_like(total))
    return torch.einsum("...ij,...jd->...id", weights, v), weights


@alternative("scaled_dot_product_attention")
def attention_with_rows_opened(q, k, v, mask=None):
    scores = (q / math.sqrt(k.size(-1))) @ k.transpose(-2, -1)
    if mask is None:
        weights = F.softmax(scores, -1)
        return weights @ v, weights
    nobody = ~mask.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~(mask | nobody), float("-inf"))
    weights = scores.softmax(dim=-1).masked_fill(nobody, 0.0)
    return torch.matmul(weights, v), weights


@alternative("scaled_dot_product_attention")
def attention_in_logarithms(q, k, v, mask=None):
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if mask is None:
        weights = torch.exp(scores - torch.logsumexp(scores, dim=-1, keepdim=True))
    else:
        scores = scores + torch.zeros_like(scores).masked_fill(mask.logical_not(), -1e9)
        weights = torch.log_softmax(scores, dim=-1).exp() * mask
    return [weights @ v, weights]


@alternative("scaled_dot_product_attention")
def attention_in_double_precision_inside(q, k, v, mask=None):
    if mask is None:
        mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool)
    scores = torch.matmul(q.double(), k.double().mT).div(math.sqrt(q.shape[-1]))
    scores = scores.masked_fill(mask == 0, -1e20)
    weights = nn.Softmax(dim=-1)(scores).to(q.dtype) * mask.to(q.dtype)
    return weights @ v, weights


class _Attention(NamedTuple):
    output: torch.Tensor
    weights: torch.Tensor


@alternative("scaled_dot_product_attention")
def attention_that_never_makes_a_nan(q, k, v, mask=None):
    """A row without anybody is lowered by 0 and not by minus infinity; the two results have names."""
    scores = torch.einsum("...id,...jd->...ij", q, k) / np.sqrt(q.shape[-1])
    seen = torch.tensor(True) if mask is None else mask
    largest = torch.where(seen, scores, -math.inf).max(dim=-1, keepdim=True).values
    lowered = scores - torch.where(largest.isfinite(), largest, 0.0)
    exponentials = torch.where(seen, torch.where(seen, lowered, 0.0).exp(), 0.0)
    total = exponentials.sum(-1, keepdim=True)
    weights = exponentials / (total + (total == 0))
    return _Attention(weights @ v, weights)


@alternative("scaled_dot_product_attention")
def nan_replaced_at_once(q, k, v, mask=None):
    """masked_fill lets no gradient through where it fills, so this NaN does not come back."""
    scores = (q @ k.mT) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = torch.softmax(scores, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return weights @ v, weights


@alternative("self_attention")
def self_attention_with_linear(x, w_q, w_k, w_v, mask=None):
    q, k, v = F.linear(x, torch.cat([w_q, w_k, w_v])).split([len(w_q), len(w_k), len(w_v)], dim=-1)
    return scaled_dot_product_attention(q, k, v, mask=mask)


@alternative("self_attention")
def self_attention_in_columns(x, w_q, w_k, w_v, mask=None):
    i = x.mT  # columns, as in the lecture
    q, k, v = w_q @ i, w_k @ i, w_v @ i
    scores = (k.mT @ q) / math.sqrt(len(w_k))
    if mask is not None:
        scores = scores.masked_fill(~mask.mT, -1e12)
    shares = scores.softmax(dim=-2)
    if mask is not None:
        shares = shares * mask.mT
    return (v @ shares).mT, shares.mT


@alternative("permutation_error")
def error_through_a_matrix(layer, x, permutation):
    p = torch.eye(len(permutation), dtype=x.dtype)[permutation]
    return float(torch.max(torch.abs(layer(p @ x) - p @ layer(x))))


@alternative("permutation_error")
def error_shuffled_back(layer, x, permutation):
    back = torch.empty_like(permutation)
    back[permutation] = torch.arange(len(permutation))
    output = layer(x.index_select(-2, permutation)).index_select(-2, back)
    return torch.dist(output, layer(x), p=math.inf)


@alternative("multi_head_attention")
def heads_in_a_loop(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    d_k, d_v = len(w_q) // num_heads, len(w_v) // num_heads
    outputs, weights = [], []
    for h in range(num_heads):
        keys, values = slice(h * d_k, (h + 1) * d_k), slice(h * d_v, (h + 1) * d_v)
        output, share = self_attention(x, w_q[keys], w_k[keys], w_v[values], mask)
        outputs.append(output)
        weights.append(share)
    return F.linear(torch.cat(outputs, dim=-1), w_o), torch.stack(weights, dim=-3)


@alternative("multi_head_attention")
def heads_by_einsum(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (torch.einsum("...nd,hkd->...hnk", x, w.reshape(num_heads, -1, w.shape[1])) for w in (w_q, w_k, w_v))
    if mask is not None:
        mask = mask[..., None, :, :]
    heads, weights = scaled_dot_product_attention(q, k, v, mask)
    return torch.einsum("...hnk,ohk->...no", heads, w_o.reshape(len(w_o), num_heads, -1)), weights


@alternative("multi_head_attention")
def heads_with_chunks(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    q, k, v = (torch.stack((x @ w.T).chunk(num_heads, dim=-1), dim=-3) for w in (w_q, w_k, w_v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        mask = mask.unsqueeze(-3)
        scores = torch.where(mask, scores, -1e9)
    weights = scores.softmax(-1)
    if mask is not None:
        weights = weights * mask
    return torch.cat((weights @ v).unbind(dim=-3), dim=-1) @ w_o.T, weights


@alternative("multi_head_attention")
def heads_added_up(x, w_q, w_k, w_v, w_o, num_heads, mask=None):
    """W^o times heads side by side is a sum: each head through its own columns of W^o."""
    matrices = zip(*(w.tensor_split(num_heads) for w in (w_q, w_k, w_v)))
    heads = [self_attention(x, *one, mask) for one in matrices]
    output = sum(head @ w.T for (head, _), w in zip(heads, w_o.tensor_split(num_heads, dim=1)))
    return output, torch.stack([weights for _, weights in heads], dim=x.dim() - 2)


@alternative("MultiHeadAttention")
class WithViews(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__()
        if embed_dim % num_heads != 0:
            raise ValueError("embed_dim must be divisible by num_heads")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * embed_dim, embed_dim) / math.sqrt(embed_dim))
        if bias:
            self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim))
        else:
            self.register_parameter("in_proj_bias", None)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        if bias:
            self.out_proj.bias.data.zero_()
        self.drop = nn.Dropout(dropout)

    def forward(self, query, key, value, mask=None):
        e = self.embed_dim
        q = query @ self.in_proj_weight[:e].T
        k = key @ self.in_proj_weight[e : 2 * e].T
        v = value @ self.in_proj_weight[2 * e :].T
        if self.in_proj_bias is not None:
            q = q + self.in_proj_bias[:e]
            k = k + self.in_proj_bias[e : 2 * e]
            v = v + self.in_proj_bias[2 * e :]
        q, k, v = (
            t.reshape(*t.shape[:-1], self.num_heads, self.head_dim).movedim(-2, -3).contiguous() for t in (q, k, v)
        )
        scores = q @ k.transpose(-1, -2) / self.head_dim**0.5
        if mask is not None:
            mask = mask.unsqueeze(-3)
            scores = scores.masked_fill(~mask, -1e9)
        weights = scores.softmax(dim=-1)
        if mask is not None:
            weights = weights * mask
        weights = self.drop(weights)
        merged = (weights @ v).movedim(-3, -2).reshape(*query.shape[:-1], e)
        return self.out_proj(merged), weights


class _Projection(nn.Module):
    def __init__(self, size, bias):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, size).uniform_(-0.5, 0.5))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else None


@alternative("MultiHeadAttention")
class HeadByHeadWithItsOwnDropout(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        if embed_dim % num_heads:
            raise ValueError(embed_dim, num_heads)
        super().__init__()
        self.h, self.p = num_heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embed_dim, embed_dim))
        nn.init.kaiming_uniform_(self.in_proj_weight, a=math.sqrt(5))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embed_dim)) if bias else None
        self.out_proj = _Projection(embed_dim, bias)

    def forward(self, query, key, value, mask=None):
        packed = self.in_proj_weight.unflatten(0, (3, self.h, -1))
        biases = self.in_proj_bias
        biases = (
            torch.zeros(3, self.h, 1, dtype=query.dtype) if biases is None else biases.unflatten(0, (3, self.h, -1))
        )
        outputs, weights = [], []
        for head in range(self.h):
            q, k, v = (t @ packed[i, head].T + biases[i, head] for i, t in enumerate((query, key, value)))
            share = scaled_dot_product_attention(q, k, v, mask)[1]
            if self.training and self.p:
                share = share * (torch.rand_like(share) >= self.p) / (1 - self.p)
            weights.append(share)
            outputs.append(share @ v)
        output = torch.cat(outputs, -1) @ self.out_proj.weight.T
        return output if self.out_proj.bias is None else output + self.out_proj.bias, torch.stack(weights, -3)


@alternative("convolution_as_attention")
def with_the_attention_function(x, kernel):
    """Attention whose mask leaves one position to look at, or none."""
    n, size = x.shape[-2], kernel.shape[-1]
    i, nothing = torch.arange(n), torch.zeros(n, 1, dtype=x.dtype)
    output, weights = 0, []
    for s in range(size):
        mask = i.unsqueeze(0) - i.unsqueeze(1) == s - size // 2
        head, share = scaled_dot_product_attention(nothing, nothing, F.linear(x, kernel[:, :, s]), mask)
        output, weights = output + head, [*weights, share]
    return output, torch.stack(weights)


@alternative("convolution_as_attention")
def entry_by_entry(x, kernel):
    n, size = x.shape[-2], kernel.shape[-1]
    weights = torch.zeros(size, n, n, dtype=x.dtype)
    for s in range(size):
        for i in range(n):
            j = i + s - (size - 1) // 2
            if 0 <= j < n:
                weights[s, i, j] = 1.0
    return torch.einsum("sij,...jc,ocs->...io", weights, x, kernel), weights


@alternative("learned_receptive_field")
def radius_by_radius(weights, mass=0.9):
    n = weights.shape[-1]
    radii = torch.zeros(weights.shape[:-1], dtype=torch.long)
    for index in np.ndindex(*weights.shape[:-1]):
        row, i = weights[index].double(), index[-1]
        r = 0
        while row[max(0, i - r) : i + r + 1].sum() < mass * row.sum() - 1e-6 and r < n - 1:
            r += 1
        radii[index] = r
    return radii


@alternative("learned_receptive_field")
def by_sorted_distance(weights, mass=0.9):
    n = weights.shape[-1]
    i = torch.arange(n)
    order = (i[:, None] - i).abs()
    by_distance = torch.zeros_like(weights).scatter_add(-1, order.expand(weights.shape), weights)
    enough = by_distance.cumsum(-1) >= mass * weights.sum(-1, keepdim=True) - 1e-6
    return enough.int().argmax(dim=-1)


@alternative("learned_receptive_field")
def by_counting_in_numpy(weights, mass=0.9):
    weights = weights.double().numpy()
    radii = np.zeros(weights.shape[:-1], dtype=np.int64)
    for index in np.ndindex(*radii.shape):
        distance = np.abs(np.arange(weights.shape[-1]) - index[-1])
        collected = np.bincount(distance, weights[index], len(distance)).cumsum()
        radii[index] = np.searchsorted(collected, mass * weights[index].sum() - 1e-6)
    return torch.from_numpy(radii)


@alternative("rnn_forward")
def with_a_filled_tensor(x, h_0, w_x, w_h, bias):
    projected = F.linear(x, w_x, bias)
    h, states = h_0, []
    for t in range(x.size(-2)):
        h = (projected[..., t, :] + (w_h @ h.unsqueeze(-1)).squeeze(-1)).tanh()
        states += [h.unsqueeze(-2)]
    return torch.cat(states, dim=-2)


@alternative("rnn_forward")
def states_written_in_place(x, h_0, w_x, w_h, bias):
    states, h = torch.empty(*x.shape[:-1], h_0.shape[-1], dtype=x.dtype), h_0
    for t in range(x.shape[-2]):
        h = torch.tanh(torch.einsum("hd,...d->...h", w_x, x[..., t, :]) + torch.einsum("hk,...k->...h", w_h, h) + bias)
        states[..., t, :] = h
    return states


@alternative("rnn_forward")
def by_recursion(x, h_0, w_x, w_h, bias):
    h = torch.tanh(torch.cat([x[..., 0, :], h_0], dim=-1) @ torch.cat([w_x, w_h], dim=1).T + bias)
    if x.shape[-2] == 1:
        return h[..., None, :]
    return torch.cat([h[..., None, :], by_recursion(x[..., 1:, :], h, w_x, w_h, bias)], dim=-2)


@alternative("compare_layers")
def counted_one_by_one(n, d, kernel_size):
    layers, reached = 1, (kernel_size - 1) / 2
    while reached < n - 1:
        layers, reached = layers + 1, reached + (kernel_size - 1) / 2
    return {
        "convolution": [1, layers, float(n * kernel_size * d**2)],
        "rnn": (n, n, sum(d * d + d * d for _ in range(n))),
        "self-attention": (1, 1, np.int64(n * d * n + n * n * d)),
    }


@alternative("streaming_attention")
def key_by_key(q, blocks):
    largest = total = output = None
    for k, v in blocks:
        for key, value in zip(k, v):
            score = (q @ key / math.sqrt(len(key)))[:, None]
            if largest is None:
                largest, total, output = score, torch.ones_like(score), value.expand(len(q), -1).clone()
                continue
            new = torch.maximum(largest, score)
            shrink, weight = torch.exp(largest - new), torch.exp(score - new)
            largest, total, output = new, total * shrink + weight, output * shrink + weight * value
    return output / total


@alternative("streaming_attention")
def a_mean_that_is_kept_normalized(q, blocks):
    """The running output and the logarithm of its mass: two weighted means are mixed by their masses."""
    log_mass, output = None, None
    for k, v in blocks:
        scores = (q @ k.T) * k.shape[1] ** -0.5
        mass, mean = torch.logsumexp(scores, dim=1, keepdim=True), torch.softmax(scores, dim=1) @ v
        if output is None:
            log_mass, output = mass, mean
        else:
            both = torch.logaddexp(log_mass, mass)
            output = torch.exp(log_mass - both) * output + torch.exp(mass - both) * mean
            log_mass = both
    return output


@alternative("streaming_attention")
def in_numpy_and_double_precision(q, blocks):
    queries, kept = q.numpy().astype(float), None
    for k, v in blocks:
        keys, values = k.numpy().astype(float), v.numpy().astype(float)
        scores = (queries[:, None] * keys).sum(-1) / np.sqrt(keys.shape[1])
        largest = scores.max(axis=1) if kept is None else np.maximum(scores.max(axis=1), kept[0])
        weights = np.exp(scores - largest[:, None])
        total, output = weights.sum(axis=1), weights @ values
        if kept is not None:
            shrink = np.exp(kept[0] - largest)
            total, output = total + shrink * kept[1], output + shrink[:, None] * kept[2]
        kept = largest, total, output
    return torch.tensor(kept[2] / kept[1][:, None], dtype=q.dtype)
