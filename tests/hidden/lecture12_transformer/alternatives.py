"""Right solutions of lectures 12 and 13 that look unlike the reference: the hidden tests must accept them."""

import copy
import heapq
import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grader import alternative
from solutions import lecture12_transformer as lecture

PAD, BEGIN, END = 0, 1, 2

# --- the parts ---


@alternative("positional_encoding")
def with_slices_and_logarithms(length, d_model):
    encoding = torch.zeros(length, d_model)
    frequency = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
    angle = torch.arange(length).float().unsqueeze(1) * frequency
    encoding[:, 0::2] = torch.sin(angle)
    encoding[:, 1::2] = torch.cos(angle)[:, : d_model // 2]
    return encoding


@alternative("positional_encoding")
def number_by_number(length, d_model):
    rows = []
    for position in range(length):
        row = []
        for column in range(d_model):
            angle = position / 10000 ** (2 * (column // 2) / d_model)
            row.append(math.cos(angle) if column % 2 else math.sin(angle))
        rows.append(row)
    return torch.from_numpy(np.array(rows, dtype=np.float32))


@alternative("layer_norm")
def from_mean_squares(x, gamma, beta, eps=1e-5):
    d = x.shape[-1]
    mean = torch.einsum("...i->...", x)[..., None] / d
    variance = ((x - mean) ** 2).sum(-1, keepdim=True) / d
    return torch.addcmul(beta, gamma, (x - mean) * (variance + eps).rsqrt())


@alternative("layer_norm")
def with_var_mean(x, gamma, beta, eps=1e-5):
    variance, mean = torch.var_mean(x, dim=-1, correction=0, keepdim=True)
    return (x - mean).div((variance + eps).sqrt()).mul(gamma).add(beta)


@alternative("residual")
def step_by_step(x, sublayer, norm, pre_norm):
    branch = x
    if pre_norm:
        branch = norm(branch)
    total = torch.add(sublayer(branch), x)
    return total if pre_norm else norm(total)


@alternative("feed_forward")
def with_functional_linear(x, w_1, b_1, w_2, b_2):
    return F.linear(F.relu(F.linear(x, w_1, b_1)), w_2, b_2)


@alternative("feed_forward")
def with_einsum_and_clamp(x, w_1, b_1, w_2, b_2):
    hidden = (torch.einsum("...d,fd->...f", x, w_1) + b_1).clamp(min=0)
    return torch.einsum("...f,df->...d", hidden, w_2) + b_2


# --- the machine ---


@alternative("EncoderLayer")
class WrittenOut(nn.Module):
    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__()
        self.norm_first = pre_norm
        self.self_attn = lecture.MultiHeadAttention(d_model, heads)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout, self.dropout1, self.dropout2 = nn.Dropout(dropout), nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x, mask=None):
        if self.norm_first:
            y = self.norm1(x)
            x = x + self.dropout1(self.self_attn(y, y, mask))
            return x + self.dropout2(self.linear2(self.dropout(F.relu(self.linear1(self.norm2(x))))))
        x = self.norm1(x + self.dropout1(self.self_attn(x, x, mask)))
        return self.norm2(x + self.dropout2(self.linear2(self.dropout(F.relu(self.linear1(x))))))


@alternative("EncoderLayer")
class WithTorchsAttention(nn.Module):
    """Its attention is PyTorch's, whose masks say True where one may not look."""

    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__()
        self.heads, self.p, self.pre_norm = heads, dropout, pre_norm
        self.self_attn = nn.MultiheadAttention(d_model, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.norm1, self.norm2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def look_around(self, x, mask):
        if mask is not None:
            mask = ~mask.expand(len(x), x.shape[1], x.shape[1]).repeat_interleave(self.heads, dim=0)
        return self.self_attn(x, x, x, attn_mask=mask, need_weights=False)[0]

    def wrap(self, x, sublayer, norm):
        def dropped(x):
            return F.dropout(sublayer(x), self.p, self.training)

        return x + dropped(norm(x)) if self.pre_norm else norm(x + dropped(x))

    def forward(self, x, mask=None):
        x = self.wrap(x, lambda x: self.look_around(x, mask), self.norm1)
        return self.wrap(x, lambda x: self.linear2(self.linear1(x).relu()), self.norm2)


@alternative("Encoder")
class OfCopies(nn.Module):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__()
        layer = lecture.EncoderLayer(d_model, heads, d_ff, dropout, pre_norm)
        self.layers = nn.ModuleList([copy.deepcopy(layer) for _ in range(layers)])
        self.norm = nn.LayerNorm(d_model) if pre_norm else None

    def forward(self, x, mask=None):
        for i in range(len(self.layers)):
            x = self.layers[i](x, mask=mask)
        return x if self.norm is None else self.norm(x)


@alternative("cross_attention")
def from_scratch(x, memory, w_q, w_k, w_v, memory_mask=None):
    query, key = torch.einsum("btd,kd->btk", x, w_q), torch.einsum("bsm,km->bsk", memory, w_k)
    scores = torch.einsum("btk,bsk->bts", query, key) / w_q.shape[0] ** 0.5
    if memory_mask is not None:
        scores = torch.where(memory_mask, scores, torch.tensor(-1e9, dtype=scores.dtype))
    weights = torch.softmax(scores, -1)
    return torch.bmm(weights, F.linear(memory, w_v)), weights


@alternative("cross_attention")
def sentence_by_sentence(x, memory, w_q, w_k, w_v, memory_mask=None):
    shape = len(x), x.shape[1], memory.shape[1]
    mask = torch.ones(shape, dtype=torch.bool) if memory_mask is None else memory_mask.expand(shape)
    weights = torch.zeros(shape, dtype=x.dtype)
    for b in range(shape[0]):
        for t in range(shape[1]):
            scores = (memory[b] @ w_k.T) @ (w_q @ x[b, t]) / math.sqrt(len(w_q))
            strength = torch.exp(scores - scores[mask[b, t]].max()) * mask[b, t]
            weights[b, t] = strength / strength.sum()
    return weights @ (memory @ w_v.T), weights


@alternative("DecoderLayer")
class FromTheEncoderLayer(lecture.EncoderLayer):
    def __init__(self, d_model, heads, d_ff, dropout=0.1, pre_norm=False):
        super().__init__(d_model, heads, d_ff, dropout, pre_norm)
        self.multihead_attn = lecture.MultiHeadAttention(d_model, heads)
        self.norm3 = nn.LayerNorm(d_model)

    def forward(self, x, memory, mask=None, memory_mask=None):
        t = x.shape[1]
        allowed = ~torch.triu(torch.ones(1, t, t, dtype=torch.bool), diagonal=1)
        if mask is not None:
            allowed = torch.logical_and(allowed, mask)
        if self.pre_norm:
            y = self.norm1(x)
            x = x + self.dropout(self.self_attn(y, y, allowed))
            x = x + self.dropout(self.multihead_attn(self.norm2(x), memory, memory_mask))
            return x + self.dropout(self.linear2(F.relu(self.linear1(self.norm3(x)))))
        x = self.norm1(x + self.dropout(self.self_attn(x, x, allowed)))
        x = self.norm2(x + self.dropout(self.multihead_attn(x, memory, memory_mask)))
        return self.norm3(x + self.dropout(self.linear2(F.relu(self.linear1(x)))))


@alternative("Decoder")
class OfDecoderCopies(nn.Module):
    def __init__(self, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=False):
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(layers):
            self.layers.append(lecture.DecoderLayer(d_model, heads, d_ff, dropout=dropout, pre_norm=pre_norm))
        if pre_norm:
            self.norm = nn.LayerNorm(d_model)

    def forward(self, x, memory, mask=None, memory_mask=None):
        for layer in self.layers:
            x = layer(x, memory, mask=mask, memory_mask=memory_mask)
        return self.norm(x) if hasattr(self, "norm") else x


@alternative("Transformer")
class WithABuffer(nn.Module):
    def __init__(self, vocabulary, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=True):
        super().__init__()
        self.d_model = d_model
        self.source_embedding = nn.Embedding(vocabulary, d_model)
        self.target_embedding = nn.Embedding(vocabulary, d_model)
        with torch.no_grad():
            self.source_embedding.weight /= d_model**0.5
            self.target_embedding.weight /= d_model**0.5
        self.register_buffer("positions", lecture.positional_encoding(500, d_model), persistent=False)
        self.encoder = lecture.Encoder(d_model, heads, d_ff, layers, dropout=dropout, pre_norm=pre_norm)
        self.decoder = lecture.Decoder(d_model, heads, d_ff, layers, dropout=dropout, pre_norm=pre_norm)
        self.output = nn.Linear(d_model, vocabulary)
        self.p = dropout

    def encode(self, source):
        x = self.source_embedding(source) * self.d_model**0.5 + self.positions[: source.size(1)]
        see = source.ne(PAD).unsqueeze(1).expand(-1, source.size(1), -1)
        return self.encoder(F.dropout(x, self.p, self.training), see)

    def decode(self, target, memory, source):
        x = self.target_embedding(target) * self.d_model**0.5 + self.positions[: target.size(1)]
        own = (target != PAD)[:, None] & lecture.causal_mask(target.size(1))
        see = source.ne(PAD).unsqueeze(1).expand(-1, target.size(1), -1)
        return self.output(self.decoder(F.dropout(x, self.p, self.training), memory, own, see))

    def forward(self, source, target):
        memory = self.encode(source)
        return self.decode(target, memory, source)


@alternative("Transformer")
class WithAPaddingIndex(WithABuffer):
    """PAD has a vector that is never trained, and where there is no padding, there is no mask."""

    def __init__(self, vocabulary, d_model, heads, d_ff, layers, dropout=0.1, pre_norm=True):
        super().__init__(vocabulary, d_model, heads, d_ff, layers, dropout, pre_norm)
        self.source_embedding, self.target_embedding = (
            nn.Embedding.from_pretrained(torch.randn(vocabulary, d_model) / d_model**0.5, freeze=False, padding_idx=PAD)
            for _ in range(2)
        )

    def encode(self, source):
        x = self.source_embedding(source) * self.d_model**0.5 + self.positions[: source.size(1)]
        see = lecture.padding_mask(source) if (source == PAD).any() else None
        return self.encoder(F.dropout(x, self.p, self.training), see)


# --- learning to write ---


@alternative("shift_right")
def into_a_new_tensor(target, begin):
    read = torch.empty_like(target)
    read[:, 0] = begin
    read[:, 1:] = target[:, :-1]
    return read


@alternative("shift_right")
def padded_on_the_left(target, begin):
    return F.pad(target, (1, 0), value=begin)[:, :-1]


@alternative("seq2seq_loss")
def against_a_dense_target(logits, target, pad, label_smoothing=0.0):
    vocabulary = logits.shape[-1]
    q = F.one_hot(target, vocabulary).to(logits.dtype) * (1 - label_smoothing) + label_smoothing / vocabulary
    losses = -(q * F.log_softmax(logits, dim=-1)).sum(-1)
    real = (target != pad).to(logits.dtype)
    return (losses * real).sum() / real.sum()


@alternative("seq2seq_loss")
def word_by_word(logits, target, pad, label_smoothing=0.0):
    losses = []
    for b in range(target.shape[0]):
        for t in range(target.shape[1]):
            if int(target[b, t]) != pad:
                row = logits[b, t]
                log_p = row - torch.logsumexp(row, 0)
                losses.append(-(1 - label_smoothing) * log_p[target[b, t]] - label_smoothing * log_p.mean())
    return torch.stack(losses).mean()


# --- writing ---


@alternative("greedy_decode")
def with_lists(step, batch_size, begin, end, pad, max_length):
    rows = [[begin] for _ in range(batch_size)]
    for _ in range(max_length):
        best = step(torch.tensor(rows), torch.arange(batch_size)).max(dim=1).indices.tolist()
        rows = [[*row, pad if end in row[1:] else token] for row, token in zip(rows, best)]
        if all(end in row[1:] for row in rows):
            break
    return torch.tensor(rows)[:, 1:]


@alternative("greedy_decode")
def only_the_unfinished(step, batch_size, begin, end, pad, max_length):
    tokens = torch.full((batch_size, max_length + 1), pad)
    tokens[:, 0] = begin
    going = torch.arange(batch_size)
    for length in range(1, max_length + 1):
        best = torch.argmax(step(tokens[going, :length], going), -1)
        tokens[going, length] = best
        going = going[best != end]
        if not len(going):
            break
    return tokens[:, 1 : length + 1]


@alternative("beam_search")
def with_tensors(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    results = []
    for which in range(batch_size):
        tokens, totals = torch.full((1, 1), begin), torch.zeros(1, dtype=torch.float64)
        ended, lengths = torch.zeros(1, dtype=torch.bool), torch.zeros(1, dtype=torch.long)
        for _ in range(max_length):
            if bool(ended.all()):
                break
            log_p = step(tokens, torch.full((len(tokens),), which))
            stay = torch.full_like(log_p, -math.inf)
            stay[:, end] = 0.0
            sums = totals[:, None] + torch.where(ended[:, None], stay, log_p)
            totals, index = sums.flatten().topk(min(beam_size, sums.numel()))
            parent, token = index // log_p.shape[1], index % log_p.shape[1]
            lengths = lengths[parent] + ~ended[parent]
            ended = ended[parent] | (token == end)
            tokens = torch.cat([tokens[parent], token[:, None]], dim=1)
        scores = totals / lengths**alpha
        best = int(scores.argmax())
        results.append((tokens[best, 1 : 1 + int(lengths[best])].tolist(), scores[best].item()))
    return results


@alternative("beam_search")
def all_sentences_at_once(step, batch_size, begin, end, beam_size, max_length, alpha=0.0):
    beams = [[(0.0, ())] for _ in range(batch_size)]
    for _ in range(max_length):
        going = [(which, one) for which, beam in enumerate(beams) for one in beam if not one[1] or one[1][-1] != end]
        if not going:
            break
        prefix = torch.tensor([[begin, *tokens] for _, (_, tokens) in going])
        log_p = step(prefix, torch.tensor([which for which, _ in going]))
        candidates = [[one for one in beam if one[1] and one[1][-1] == end] for beam in beams]
        for (which, (total, tokens)), row in zip(going, log_p.tolist()):
            candidates[which] += [(total + value, (*tokens, token)) for token, value in enumerate(row) if value > -1e30]
        beams = [heapq.nlargest(beam_size, several) for several in candidates]
    best = [max(beam, key=lambda one: one[0] / len(one[1]) ** alpha) for beam in beams]
    return [[list(tokens), total / len(tokens) ** alpha] for total, tokens in best]


@alternative("cached_attention")
def one_new_position_at_a_time(layer, x, cache):
    outputs = []
    for i in range(x.shape[1]):
        query, key, value = layer.project(x[:, i : i + 1], x[:, i : i + 1])
        cache = (key, value) if cache is None else tuple(torch.cat(pair, dim=-2) for pair in zip(cache, (key, value)))
        outputs.append(layer.merge(lecture.attention(query, *cache)[0]))
    return torch.cat(outputs, dim=1), cache


@alternative("cached_attention")
def with_an_additive_mask(layer, x, cache):
    w, b = layer.in_proj_weight, layer.in_proj_bias
    query, key, value = (layer.split(part) for part in F.linear(x, w, b).chunk(3, dim=-1))
    old = 0
    if cache:
        old = cache[0].shape[2]
        key, value = torch.cat((cache[0], key), 2), torch.cat((cache[1], value), 2)
    penalty = torch.triu(torch.full((x.shape[1], key.shape[2]), -math.inf), diagonal=old + 1)
    weights = (query @ key.mT / query.shape[-1] ** 0.5 + penalty).softmax(-1)
    return layer.out_proj((weights @ value).transpose(1, 2).reshape(x.shape)), [key, value]


@alternative("cached_decode")
def into_a_full_page(step, batch_size, begin, end, pad, max_length):
    page = torch.full((batch_size, max_length), pad)
    token, cache, ended = torch.full((batch_size,), begin), None, [False] * batch_size
    for position in range(max_length):
        log_p, cache = step(token.unsqueeze(1), position, cache)
        token = log_p.argmax(1)
        for b in range(batch_size):
            if ended[b]:
                token[b] = pad
            ended[b] = ended[b] or int(token[b]) == end
        page[:, position] = token
        if all(ended):
            break
    return page[:, : position + 1]


# --- judging and training ---


@alternative("bleu")
def with_fractions(candidates, references, max_n=4):
    product = Fraction(1)
    for n in range(1, max_n + 1):
        matches = total = 0
        for candidate, several in zip(candidates, references):
            grams = [tuple(candidate[i : i + n]) for i in range(len(candidate) - n + 1)]
            total += len(grams)
            for gram in set(grams):
                allowed = max(sum(tuple(one[i : i + n]) == gram for i in range(len(one) - n + 1)) for one in several)
                matches += min(grams.count(gram), allowed)
        if total == 0 or matches == 0:
            return 0.0
        product *= Fraction(matches, total)
    length, goal = sum(len(one) for one in candidates), 0
    for candidate, several in zip(candidates, references):
        lengths = sorted(len(one) for one in several)
        goal += min(lengths, key=lambda size: abs(size - len(candidate)))
    penalty = 1.0 if length > goal else np.exp(1 - goal / length)
    return penalty * float(product) ** (1 / max_n)


@alternative("Seq2SeqTask")
class WithOneCycle:
    def __init__(self, model):
        self.model = model

    def fit(self, sources, targets, steps=700):
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.006, betas=(0.9, 0.98), weight_decay=0.001)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.006, total_steps=steps, pct_start=0.2)
        self.model.train()
        history, order = [], []
        for _ in range(steps):
            if len(order) < 48:
                order = np.random.permutation(np.resize(np.arange(len(sources)), max(48, len(sources)))).tolist()
            some, order = order[:48], order[48:]
            source = lecture.pad_batch([sources[n] for n in some])
            target = lecture.pad_batch([[*targets[n], END] for n in some])
            logits = self.model.decode(lecture.shift_right(target, BEGIN), self.model.encode(source), source)
            loss = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=PAD, label_smoothing=0.02)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            history.append(float(loss.detach()))
        return history

    @torch.no_grad()
    def predict(self, sources, max_length=20):
        self.model.eval()
        answers = []
        for start in range(0, len(sources), 100):
            source = lecture.pad_batch(sources[start : start + 100])
            tokens, memory = torch.full((len(source), 1), BEGIN), self.model.encode(source)
            for _ in range(max_length):
                tokens = torch.cat([tokens, self.model.decode(tokens, memory, source)[:, -1:].argmax(-1)], dim=1)
            for row in tokens[:, 1:].tolist():
                answers.append(row[: row.index(END)] if END in row else row)
        return answers

    def evaluate(self, sources, targets):
        said = self.predict(sources)
        right = total = whole = 0
        for one, other in zip(said, targets):
            whole += one == other
            total += len(other)
            right += sum(t < len(one) and one[t] == other[t] for t in range(len(other)))
        return np.float64(right / total), whole / len(targets)


# --- bonus ---


@alternative("scheduled_sampling")
def token_by_token(target, logits, begin, pad, truth_rate, generator):
    read = torch.full_like(target, begin)
    own = logits.max(-1).indices
    chance = torch.bernoulli(torch.full(target.shape, float(truth_rate)), generator=generator).bool()
    for t in range(1, target.shape[1]):
        before = target[:, t - 1]
        read[:, t] = torch.where(chance[:, t], before, own[:, t - 1])
        read[:, t][before == pad] = pad
    return read
