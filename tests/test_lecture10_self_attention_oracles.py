"""The references of lectures 10 and 11 against independent oracles: torch, SciPy, brute force, counted operations."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.linalg import toeplitz
from scipy.signal import correlate
from scipy.special import softmax
from scipy.stats import binom
from torch.utils.flop_counter import FlopCounterMode

from solutions import lecture10_self_attention as lecture

SEEDS = range(5)
LEADING = [(), (3,), (2, 3)]


def assert_close(got, expected):
    """Arrays, tensors or tuples of them equal to 1e-6."""
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_close(one, other)
        return
    got, expected = (one.detach() if isinstance(one, torch.Tensor) else one for one in (got, expected))
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=1e-6, atol=1e-6)


def tensor(rng, *shape, scale=1.0):
    return torch.from_numpy(rng.normal(0, scale, size=shape))


def mask_of(rng, *shape):
    """A mask at random, in which every row may attend to somebody."""
    mask = torch.from_numpy(rng.random(shape) < 0.6)
    mask[..., 0] |= ~mask.any(dim=-1)
    return mask


@pytest.fixture(params=SEEDS)
def rng(request):
    return np.random.default_rng(request.param)


# ---------------------------------------------------------------- the given helper


def test_the_words_have_the_features_that_the_lesson_names():
    x = lecture.sentence()
    nouns = [word for word, row in zip(lecture.WORDS, x, strict=True) if row[0] == 1]
    assert nouns == ["cat", "box"]
    assert_close(x[:, 4] ** 2 + x[:, 5] ** 2, torch.ones(9))
    angles = torch.atan2(x[:, 5], x[:, 4])
    assert_close(angles.diff(), torch.full((8,), math.pi / 9))


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("axes", LEADING)
def test_dot_product_scores_are_torchs_bilinear_form(rng, axes):
    x, y, w_q, w_k = tensor(rng, *axes, 4, 3), tensor(rng, *axes, 5, 2), tensor(rng, 6, 3), tensor(rng, 6, 2)
    pairs = x[..., :, None, :].expand(*axes, 4, 5, 3), y[..., None, :, :].expand(*axes, 4, 5, 2)
    expected = F.bilinear(*(pair.contiguous() for pair in pairs), (w_q.T @ w_k)[None])[..., 0]
    assert_close(lecture.dot_product_scores(x, y, w_q, w_k), expected)


@pytest.mark.parametrize("axes", LEADING)
def test_additive_scores_pair_by_pair(rng, axes):
    x, y = rng.normal(size=(*axes, 4, 3)), rng.normal(size=(*axes, 5, 2))
    w_q, w_k, w = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), rng.normal(size=6)
    expected = np.empty((*axes, 4, 5))
    for index in np.ndindex(*expected.shape):
        *before, i, j = index
        expected[index] = np.dot(w, np.tanh(w_q.dot(x[(*before, i)]) + w_k.dot(y[(*before, j)])))
    got = lecture.additive_scores(*(torch.from_numpy(part) for part in (x, y, w_q, w_k, w)))
    assert_close(got, expected)


@pytest.mark.parametrize("function", [lecture.dot_product_scores, lecture.additive_scores])
def test_scores_have_exact_gradients(rng, function):
    shapes = [(2, 3), (3, 2), (4, 3), (4, 2)] + [(4,)] * (function is lecture.additive_scores)
    assert torch.autograd.gradcheck(function, [tensor(rng, *shape).requires_grad_() for shape in shapes])


# ---------------------------------------------------------------- masks


def test_padding_mask_shows_what_torch_pads(rng):
    lengths = rng.integers(0, 7, size=5)
    sentences = [torch.ones(int(length)) for length in [*lengths, 6]]
    padded = torch.nn.utils.rnn.pad_sequence(sentences, batch_first=True)[:-1]
    assert torch.equal(lecture.padding_mask(torch.from_numpy(lengths), 6), padded[:, None, :] == 1)
    assert torch.equal(lecture.padding_mask(torch.tensor(2), 4), torch.tensor([[True, True, False, False]]))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_causal_mask_allows_what_torchs_transformer_does_not_hide(n):
    assert torch.equal(lecture.causal_mask(n), torch.nn.Transformer.generate_square_subsequent_mask(n) == 0)


@pytest.mark.parametrize(("n", "radius"), [(1, 0), (5, 0), (5, 1), (6, 3), (4, 3), (3, 9)])
def test_window_mask_is_a_band(n, radius):
    assert np.array_equal(lecture.window_mask(n, radius).numpy(), toeplitz(np.arange(n)) <= radius)


# ---------------------------------------------------------------- attention


@pytest.mark.parametrize("axes", LEADING)
@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_torchs(rng, axes, masked):
    q, k, v = tensor(rng, *axes, 4, 3), tensor(rng, *axes, 5, 3), tensor(rng, *axes, 5, 2)
    mask = mask_of(rng, *axes, 4, 5) if masked else None
    output, weights = lecture.scaled_dot_product_attention(q, k, v, mask)
    assert_close(output, F.scaled_dot_product_attention(q, k, v, mask))
    scores = (q @ k.mT).numpy() / np.sqrt(3)
    assert_close(weights, softmax(scores if mask is None else np.where(mask.numpy(), scores, -np.inf), axis=-1))


def test_attention_with_masks_that_broadcast(rng):
    q, k, v = tensor(rng, 2, 3, 4, 5), tensor(rng, 2, 3, 6, 5), tensor(rng, 2, 3, 6, 5)
    for shape in ((4, 6), (1, 6), (2, 1, 1, 6), (3, 4, 6)):
        mask = mask_of(rng, *shape)
        expected = F.scaled_dot_product_attention(q, k, v, mask.expand(2, 3, 4, 6))
        assert_close(lecture.scaled_dot_product_attention(q, k, v, mask)[0], expected)


def test_a_row_that_sees_nobody_gets_nothing_and_disturbs_nobody(rng):
    q, k, v = (tensor(rng, *shape).requires_grad_() for shape in ((3, 2), (4, 2), (4, 2)))
    mask = mask_of(rng, 3, 4)
    mask[1] = False
    output, weights = lecture.scaled_dot_product_attention(q, k, v, mask)
    assert not output[1].any()
    assert not weights[1].any()
    others = [0, 2]
    assert_close(output[others], F.scaled_dot_product_attention(q[others], k, v, mask[others]))

    def attend(q, k, v):
        return lecture.scaled_dot_product_attention(q, k, v, mask)

    assert torch.autograd.gradcheck(attend, (q, k, v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_scores_stay_finite_and_the_dtype_is_kept(rng, dtype):
    q, k, v = (tensor(rng, 4, 3, scale=1e4).to(dtype) for _ in range(3))
    output, weights = lecture.scaled_dot_product_attention(q, k, v, lecture.causal_mask(4))
    assert output.dtype == weights.dtype == dtype
    assert_close(weights.sum(dim=-1), torch.ones(4, dtype=dtype))
    assert torch.isfinite(output).all()


@pytest.mark.parametrize("axes", LEADING)
def test_self_attention_equals_torchs_and_the_lectures_columns(rng, axes):
    x, w_q, w_k, w_v = tensor(rng, *axes, 4, 3), tensor(rng, 2, 3), tensor(rng, 2, 3), tensor(rng, 5, 3)
    mask = lecture.window_mask(4, 1)
    projected = [F.linear(x, w) for w in (w_q, w_k, w_v)]
    output, weights = lecture.self_attention(x, w_q, w_k, w_v, mask)
    assert_close(output, F.scaled_dot_product_attention(*projected, mask))
    if not axes:
        i = x.numpy().T
        a = (w_k.numpy() @ i).T @ (w_q.numpy() @ i) / np.sqrt(2)
        a_prime = softmax(np.where(mask.numpy().T, a, -np.inf), axis=0)
        assert_close(weights.T, a_prime)
        assert_close(output.T, w_v.numpy() @ i @ a_prime)


def test_permutation_error_is_the_largest_gap(rng):
    scale, order = rng.normal(size=(5, 1)), rng.permutation(5)
    x = rng.normal(size=(5, 2))
    gaps = [abs(scale[i, 0] - scale[order[i], 0]) * np.abs(x[order[i]]).max() for i in range(5)]
    got = lecture.permutation_error(lambda x: torch.from_numpy(scale) * x, torch.from_numpy(x), torch.from_numpy(order))
    assert isinstance(got, float)
    assert_close(got, max(gaps))


def test_only_attention_without_positions_is_equivariant(rng):
    x, w, order = tensor(rng, 2, 6, 3), tensor(rng, 3, 3, 3), torch.tensor([1, 2, 3, 4, 5, 0])
    layers = {
        "attention": (lambda x: lecture.self_attention(x, *w)[0], True),
        "causal": (lambda x: lecture.self_attention(x, *w, lecture.causal_mask(6))[0], False),
        "convolution": (lambda x: F.conv1d(x.mT, w, padding=1).mT, False),
    }
    for layer, equivariant in layers.values():
        assert (lecture.permutation_error(layer, x, order) < 1e-9) == equivariant


# ---------------------------------------------------------------- heads


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("masked", [False, True])
def test_multi_head_attention_equals_torchs(rng, heads, masked):
    x, w = tensor(rng, 3, 5, 4), tensor(rng, 4, 4, 4)
    mask = lecture.causal_mask(5) if masked else None
    expected = F.multi_head_attention_forward(
        *[x.transpose(0, 1)] * 3,
        embed_dim_to_check=4,
        num_heads=heads,
        in_proj_weight=w[:3].reshape(12, 4),
        in_proj_bias=None,
        bias_k=None,
        bias_v=None,
        add_zero_attn=False,
        dropout_p=0.0,
        out_proj_weight=w[3],
        out_proj_bias=None,
        attn_mask=None if mask is None else ~mask,
        average_attn_weights=False,
    )
    got = lecture.multi_head_attention(x, *w, heads, mask)
    assert_close(got, (expected[0].transpose(0, 1), expected[1]))
    assert_close(lecture.multi_head_attention(x[1], *w, heads, mask), [part[1] for part in got])
    several = lecture.multi_head_attention(x.expand(2, 3, 5, 4), *w, heads, mask)
    assert_close(several, [part.expand(2, *part.shape) for part in got])


def test_multi_head_attention_with_heads_of_any_width(rng):
    x, w_q, w_k, w_v, w_o = (tensor(rng, *shape) for shape in ((4, 5), (6, 5), (6, 5), (9, 5), (2, 9)))
    merged = torch.cat(
        [
            F.scaled_dot_product_attention(x @ q.T, x @ k.T, x @ v.T)
            for q, k, v in zip(w_q.split(2), w_k.split(2), w_v.split(3), strict=True)
        ],
        dim=-1,
    )
    assert_close(lecture.multi_head_attention(x, w_q, w_k, w_v, w_o, 3)[0], merged @ w_o.T)


def pair_of_modules(rng, size, heads, bias=True):
    """Our module and torch's with the same random weights, double precision."""
    oracle = torch.nn.MultiheadAttention(size, heads, bias=bias, batch_first=True).double()
    for parameter in oracle.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(int(rng.integers(1000))))
    module = lecture.MultiHeadAttention(size, heads, bias=bias).double()
    module.load_state_dict(oracle.state_dict())
    return module, oracle


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_the_module_equals_torchs(rng, bias, training):
    module, oracle = (one.train(training) for one in pair_of_modules(rng, 6, 3, bias))
    query, key, value = tensor(rng, 2, 4, 6), tensor(rng, 2, 5, 6), tensor(rng, 2, 5, 6)
    padding, table = mask_of(rng, 2, 1, 5), mask_of(rng, 4, 5)
    for mask, theirs in (
        (None, {}),
        (padding, {"key_padding_mask": ~padding[:, 0]}),
        (table, {"attn_mask": ~table}),
    ):
        expected = oracle(query, key, value, average_attn_weights=False, **theirs)
        assert_close(module(query, key, value, mask), expected)
    expected = oracle(query[0], key[0], value[0], average_attn_weights=False)
    assert_close(module(query[0], key[0], value[0]), expected)


def test_the_module_trains_like_torchs(rng):
    module, oracle = pair_of_modules(rng, 4, 2)
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.05) for one in (module, oracle)]
    for _ in range(5):
        x, target = tensor(rng, 2, 3, 4), tensor(rng, 2, 3, 4)
        for one, optimizer in zip((module, oracle), optimizers, strict=True):
            optimizer.zero_grad()
            ((one(x, x, x)[0] - target) ** 2).mean().backward()
            optimizer.step()
    for name, value in oracle.state_dict().items():
        assert_close(module.state_dict()[name], value)


@pytest.mark.parametrize("bias", [True, False])
def test_the_module_has_the_state_of_torchs(bias):
    module, oracle = lecture.MultiHeadAttention(6, 2, bias=bias), torch.nn.MultiheadAttention(6, 2, bias=bias)
    assert {name: value.shape for name, value in module.state_dict().items()} == {
        name: value.shape for name, value in oracle.state_dict().items()
    }
    oracle.load_state_dict(module.state_dict())
    biases = [value for name, value in module.named_parameters() if name.endswith("bias")]
    assert len(biases) == 2 * bias
    assert not any(value.any() for value in biases)


def test_dropout_of_the_module_is_binomial_and_keeps_the_mean(rng):
    torch.manual_seed(int(rng.integers(1000)))
    module, x = lecture.MultiHeadAttention(4, 2, dropout=0.3), tensor(rng, 50, 10, 4).float()
    before, after = module.eval()(x, x, x)[1], module.train()(x, x, x)[1]
    kept = after > 0
    low, high = binom.interval(1 - 1e-9, kept.numel(), 0.7)
    assert low <= kept.sum() <= high
    np.testing.assert_allclose(after[kept].detach() * 0.7, before[kept].detach(), rtol=1e-5)
    assert abs(after.mean() / before.mean() - 1) < 0.05


def test_a_query_of_the_module_that_sees_nobody_takes_home_the_last_bias(rng):
    module, _ = pair_of_modules(rng, 4, 2)
    x = tensor(rng, 3, 4)
    output, weights = module(x, x, x, torch.tensor([[False] * 3, [True] * 3, [True] * 3]))
    assert_close(output[0], module.out_proj.bias)
    assert not weights[:, 0].any()


@pytest.mark.parametrize(("size", "heads"), [(5, 2), (4, 8)])
def test_the_module_refuses_what_torch_refuses(size, heads):
    with pytest.raises(ValueError):
        lecture.MultiHeadAttention(size, heads)
    with pytest.raises((ValueError, AssertionError)):
        torch.nn.MultiheadAttention(size, heads)


# ---------------------------------------------------------------- convolution


@pytest.mark.parametrize("size", [1, 3, 5, 9])
@pytest.mark.parametrize("axes", LEADING)
def test_convolution_as_attention_equals_torchs_convolution(rng, size, axes):
    x, kernel = tensor(rng, *axes, 6, 2), tensor(rng, 3, 2, size)
    output, weights = lecture.convolution_as_attention(x, kernel)
    flat = x.reshape(-1, 6, 2).mT
    assert_close(output, F.conv1d(flat, kernel, padding=size // 2).mT.reshape(*axes, 6, 3))
    assert weights.shape == (size, 6, 6)
    assert set(weights.unique().tolist()) <= {0.0, 1.0}
    assert weights.sum(dim=-1).max() == 1
    by_hand = sum(weights[s] @ x @ kernel[:, :, s].T for s in range(size))
    assert_close(output, by_hand)


def test_convolution_as_attention_equals_scipys_correlation(rng):
    x, kernel = rng.normal(size=9), rng.normal(size=5)
    got = lecture.convolution_as_attention(torch.from_numpy(x)[:, None], torch.from_numpy(kernel)[None, None])[0]
    assert_close(got[:, 0], correlate(x, kernel, mode="same"))


# ---------------------------------------------------------------- receptive field


@pytest.mark.parametrize("mass", [0.5, 0.9, 1.0])
def test_learned_receptive_field_by_brute_force(rng, mass):
    weights = softmax(rng.normal(0, 2, size=(2, 3, 7, 7)), axis=-1)
    weights[0, 0, 2] = 0
    expected = np.empty((2, 3, 7), dtype=int)
    for index in np.ndindex(*expected.shape):
        row, i = weights[index], index[-1]
        expected[index] = next(
            r
            for r in itertools.count()
            if sum(w for j, w in enumerate(row) if abs(i - j) <= r) >= mass * row.sum() - 1e-6
        )
    got = lecture.learned_receptive_field(torch.from_numpy(weights), mass)
    assert got.dtype == torch.int64
    assert np.array_equal(got.numpy(), expected)


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_learned_receptive_field_of_an_even_window_is_its_radius(radius):
    window = lecture.window_mask(12, radius).double()
    weights = window / window.sum(dim=-1, keepdim=True)
    assert lecture.learned_receptive_field(weights, 1.0)[radius : 12 - radius].unique().tolist() == [radius]


# ---------------------------------------------------------------- recurrent network and comparison


@pytest.mark.parametrize("batch", [(), (4,)])
def test_rnn_forward_equals_torchs(rng, batch):
    oracle = torch.nn.RNN(3, 5, batch_first=True).double()
    x, h_0 = tensor(rng, *batch, 6, 3), tensor(rng, *batch, 5)
    weights = oracle.weight_ih_l0, oracle.weight_hh_l0, oracle.bias_ih_l0 + oracle.bias_hh_l0
    assert_close(lecture.rnn_forward(x, h_0, *weights), oracle(x, h_0[None])[0])


def test_rnn_forward_has_exact_gradients(rng):
    shapes = (2, 4, 2), (2, 3), (3, 2), (3, 3), (3,)
    assert torch.autograd.gradcheck(lecture.rnn_forward, [tensor(rng, *shape).requires_grad_() for shape in shapes])


def multiplications(function):
    """How many multiplications torch counts in a function's matrix products: half of its operations."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("n", "d", "kernel_size"), [(1, 3, 3), (5, 4, 3), (12, 2, 5)])
def test_multiplications_are_those_that_torch_counts(n, d, kernel_size):
    costs = lecture.compare_layers(n, d, kernel_size)
    x, w = torch.randn(n, d), torch.randn(d, d)
    assert costs["self-attention"].multiplications == multiplications(
        lambda: lecture.scaled_dot_product_attention(x, x, x)
    )
    assert costs["rnn"].multiplications == multiplications(
        lambda: lecture.rnn_forward(x[None], torch.zeros(1, d), w, w, torch.zeros(d))
    )
    kernel = torch.randn(d, d, kernel_size)
    assert costs["convolution"].multiplications == multiplications(
        lambda: F.conv1d(x.T[None], kernel, padding=kernel_size // 2)
    )


@pytest.mark.parametrize(("n", "kernel_size"), [(1, 3), (2, 3), (9, 3), (9, 5), (10, 5), (4, 9)])
def test_the_path_through_convolutions_is_where_a_signal_first_arrives(n, kernel_size):
    signal = torch.zeros(1, 1, n)
    signal[..., 0] = 1
    layers = 0
    while layers == 0 or signal[..., -1] == 0:
        signal, layers = F.conv1d(signal, torch.ones(1, 1, kernel_size), padding=kernel_size // 2), layers + 1
    assert lecture.compare_layers(n, 1, kernel_size)["convolution"].path == layers


def test_steps_and_paths_of_the_table():
    costs = lecture.compare_layers(17, 3, 5)
    assert {name: cost.steps for name, cost in costs.items()} == {"self-attention": 1, "rnn": 17, "convolution": 1}
    assert costs["self-attention"].path == 1
    assert costs["rnn"].path == 17


# ---------------------------------------------------------------- streaming


def overwritten(k, v, sizes):
    """Blocks that are overwritten as the lesson says."""
    for block in zip(k.split(sizes), v.split(sizes), strict=True):
        pair = tuple(part.clone() for part in block)
        yield pair
        for part in pair:
            part.fill_(math.nan)


@pytest.mark.parametrize("sizes", [[12], [1] * 12, [5, 1, 6]])
@pytest.mark.parametrize("scale", [1.0, 300.0])
def test_streaming_attention_equals_torchs(rng, sizes, scale):
    q, k, v = tensor(rng, 3, 4, scale=scale), tensor(rng, 12, 4), tensor(rng, 12, 2)
    got = lecture.streaming_attention(q, overwritten(k, v, sizes))
    assert_close(got, F.scaled_dot_product_attention(q, k, v))
    single = lecture.streaming_attention(q.float(), overwritten(k.float(), v.float(), sizes))
    assert single.dtype == torch.float32
