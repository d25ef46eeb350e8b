"""The references of lectures 12 and 13 against independent oracles: torch, brute force, published figures."""

import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from solutions import lecture12_transformer as lecture

PAD, BEGIN, END = lecture.PAD, lecture.BEGIN, lecture.END


@pytest.fixture(params=range(5))
def rng(request):
    torch.manual_seed(request.param)
    return np.random.default_rng(request.param)


def assert_close(got, expected, tolerance=1e-6):
    if isinstance(got, torch.Tensor):
        got = got.detach()
    if isinstance(expected, torch.Tensor):
        expected = expected.detach()
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=tolerance, atol=tolerance)


def tensor(rng, *shape, scale=1.0, shift=0.0):
    return torch.from_numpy(rng.normal(shift, scale, size=shape))


def shaken(module):
    """The module with parameters that are nowhere special: new norms are all ones, and biases zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return module


def random_mask(rng, *shape):
    """A mask that lets every position look somewhere."""
    mask = torch.from_numpy(rng.random(shape) < 0.6)
    mask[..., 0] = True
    return mask


# ---------------------------------------------------------------- what is given


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_the_given_attention_is_torchs(rng, heads):
    theirs = shaken(nn.MultiheadAttention(8, heads, batch_first=True)).double()
    ours = lecture.MultiHeadAttention(8, heads).double()
    ours.load_state_dict(theirs.state_dict())
    x, memory, mask = tensor(rng, 2, 3, 8), tensor(rng, 2, 5, 8), random_mask(rng, 2, 3, 5)
    out, weights = theirs(
        x, memory, memory, attn_mask=~mask.repeat_interleave(heads, dim=0), average_attn_weights=False
    )
    assert_close(ours(x, memory, mask), out)
    assert_close(ours.weights, weights)


def test_the_given_attention_is_torchs_scaled_dot_product_attention(rng):
    query, key, value = (tensor(rng, 2, 3, n, 4) for n in (5, 6, 6))
    mask = random_mask(rng, 2, 1, 5, 6)
    assert_close(lecture.attention(query, key, value, mask)[0], F.scaled_dot_product_attention(query, key, value, mask))


def test_the_given_masks_are_what_they_say():
    assert lecture.padding_mask(torch.tensor([[5, PAD, 7]])).tolist() == [[[True, False, True]]]
    expected = [[s <= t for s in range(4)] for t in range(4)]
    assert lecture.causal_mask(4).tolist() == expected


def test_words_and_tokens_are_each_others_inverse():
    assert lecture.to_word(lecture.to_tokens("esclop")) == "esclop"
    assert lecture.to_word([PAD, BEGIN, END]) == "_<>"
    assert lecture.pad_batch([[5], [6, 7]]).tolist() == [[5, PAD], [6, 7]]


# ---------------------------------------------------------------- the parts


@pytest.mark.parametrize("d_model", [1, 2, 5, 8, 64])
def test_positional_encoding_is_a_rotating_complex_number(d_model):
    # Column pairs are the imaginary and the real part of exp(i pos / 10000^(2i/d)).
    frequency = np.float_power(10000.0, -np.arange(0, d_model, 2) / d_model)
    hands = np.exp(1j * np.outer(np.arange(50), frequency))
    pairs = np.stack([hands.imag, hands.real], axis=-1).reshape(50, -1)
    assert_close(lecture.positional_encoding(50, d_model), pairs[:, :d_model], 1e-5)
    assert lecture.positional_encoding(50, d_model).dtype == torch.float32


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4), (2, 1, 3, 4)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_layer_norm_is_torchs(rng, shape, eps):
    x, gamma, beta = tensor(rng, *shape, scale=3, shift=1), tensor(rng, 4), tensor(rng, 4)
    assert_close(lecture.layer_norm(x, gamma, beta, eps), F.layer_norm(x, (4,), gamma, beta, eps))


def test_layer_norm_has_exact_gradients(rng):
    leaves = [tensor(rng, *shape).requires_grad_() for shape in ((2, 3, 4), (4,), (4,))]
    assert torch.autograd.gradcheck(lecture.layer_norm, leaves)


def test_residual_and_feed_forward_are_what_torchs_layer_has_inside(rng):
    for norm_first in (False, True):
        theirs = shaken(nn.TransformerEncoderLayer(6, 2, 9, 0.0, batch_first=True, norm_first=norm_first)).double()
        x = tensor(rng, 2, 3, 6)
        parts = theirs.linear1.weight, theirs.linear1.bias, theirs.linear2.weight, theirs.linear2.bias
        assert_close(lecture.feed_forward(x, *parts), theirs._ff_block(x))
        attended = lecture.residual(x, lambda y, m=theirs: m._sa_block(y, None, None), theirs.norm1, norm_first)
        assert_close(lecture.residual(attended, theirs._ff_block, theirs.norm2, norm_first), theirs(x))


# ---------------------------------------------------------------- the machine


LAYOUTS = [(False, 1), (False, 2), (True, 1), (True, 4)]


@pytest.mark.parametrize(("pre_norm", "heads"), LAYOUTS)
@pytest.mark.parametrize("training", [False, True])
def test_encoder_layer_is_torchs(rng, pre_norm, heads, training):
    dropout = 0.0 if training else 0.4
    theirs = shaken(nn.TransformerEncoderLayer(8, heads, 16, dropout, batch_first=True, norm_first=pre_norm))
    ours = lecture.EncoderLayer(8, heads, 16, dropout, pre_norm)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    ours.double().train(training), theirs.double().train(training)
    x, padding = tensor(rng, 3, 5, 8), random_mask(rng, 3, 5)
    assert_close(ours(x), theirs(x))
    assert_close(ours(x, padding[:, None]), theirs(x, src_key_padding_mask=~padding).detach())
    pattern = random_mask(rng, 5, 5)
    assert_close(ours(x, pattern), theirs(x, src_mask=~pattern))


@pytest.mark.parametrize(("pre_norm", "heads"), LAYOUTS)
@pytest.mark.parametrize("layers", [1, 3])
def test_encoder_is_torchs(rng, pre_norm, heads, layers):
    layer = nn.TransformerEncoderLayer(8, heads, 16, batch_first=True, norm_first=pre_norm)
    norm = nn.LayerNorm(8) if pre_norm else None
    theirs = shaken(nn.TransformerEncoder(layer, layers, norm, enable_nested_tensor=False)).double().eval()
    ours = lecture.Encoder(8, heads, 16, layers, pre_norm=pre_norm).double().eval()
    ours.load_state_dict(theirs.state_dict())
    x, pattern = tensor(rng, 3, 5, 8), random_mask(rng, 5, 5)
    assert_close(ours(x, pattern), theirs(x, mask=~pattern))


def test_cross_attention_is_torchs(rng):
    x, memory, mask = tensor(rng, 2, 3, 8), tensor(rng, 2, 5, 8), random_mask(rng, 2, 3, 5)
    w_q, w_k, w_v = (tensor(rng, 8, 8) for _ in range(3))
    expected = F.multi_head_attention_forward(
        x.transpose(0, 1),
        memory.transpose(0, 1),
        memory.transpose(0, 1),
        8,
        1,
        torch.cat([w_q, w_k, w_v]),
        torch.zeros(24).double(),
        None,
        None,
        False,
        0.0,
        torch.eye(8).double(),
        None,
        attn_mask=~mask,
    )
    out, weights = lecture.cross_attention(x, memory, w_q, w_k, w_v, mask)
    assert_close(out, expected[0].transpose(0, 1))
    assert_close(weights, expected[1])
    assert (weights[~mask] == 0).all()


@pytest.mark.parametrize(("pre_norm", "heads"), LAYOUTS)
@pytest.mark.parametrize("training", [False, True])
def test_decoder_layer_is_torchs(rng, pre_norm, heads, training):
    dropout = 0.0 if training else 0.4
    theirs = shaken(nn.TransformerDecoderLayer(8, heads, 16, dropout, batch_first=True, norm_first=pre_norm))
    ours = lecture.DecoderLayer(8, heads, 16, dropout, pre_norm)
    ours.load_state_dict(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    ours.double().train(training), theirs.double().train(training)
    x, memory = tensor(rng, 3, 4, 8), tensor(rng, 3, 5, 8)
    causal = nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64)
    assert_close(ours(x, memory), theirs(x, memory, tgt_mask=causal))
    own, other = random_mask(rng, 3, 4), random_mask(rng, 3, 5)
    expected = theirs(x, memory, tgt_mask=causal.isinf(), tgt_key_padding_mask=~own, memory_key_padding_mask=~other)
    assert_close(ours(x, memory, own[:, None], other[:, None]), expected)


@pytest.mark.parametrize(("pre_norm", "heads"), LAYOUTS)
@pytest.mark.parametrize("layers", [1, 3])
def test_decoder_is_torchs(rng, pre_norm, heads, layers):
    layer = nn.TransformerDecoderLayer(8, heads, 16, batch_first=True, norm_first=pre_norm)
    theirs = shaken(nn.TransformerDecoder(layer, layers, nn.LayerNorm(8) if pre_norm else None)).double().eval()
    ours = lecture.Decoder(8, heads, 16, layers, pre_norm=pre_norm).double().eval()
    ours.load_state_dict(theirs.state_dict())
    x, memory, other = tensor(rng, 3, 4, 8), tensor(rng, 3, 5, 8), random_mask(rng, 3, 5)
    expected = theirs(x, memory, tgt_mask=~lecture.causal_mask(4), memory_key_padding_mask=~other)
    assert_close(ours(x, memory, None, other[:, None]), expected)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_transformer_is_torchs_between_embeddings_and_output(rng):
    # With pre-norm, nn.Transformer has the final norms of both stacks, as ours.
    theirs = shaken(nn.Transformer(8, 2, 2, 2, 16, batch_first=True, norm_first=True)).eval()
    ours = shaken(lecture.Transformer(12, 8, 2, 16, layers=2)).eval()
    ours.encoder.load_state_dict(theirs.encoder.state_dict())
    ours.decoder.load_state_dict(theirs.decoder.state_dict())
    source = torch.tensor([[5, 6, 7, 8, 9], [4, 11, 10, PAD, PAD]])
    target = torch.tensor([[BEGIN, 5, 6, 7], [BEGIN, 8, PAD, PAD]])
    angle = np.arange(9)[:, None] / 10000 ** (np.arange(0, 8, 2) / 8)
    waves = torch.tensor(np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(9, 8), dtype=torch.float32)
    inputs = [
        embedding.weight[tokens] * 8**0.5 + waves[: tokens.shape[1]]
        for embedding, tokens in ((ours.source_embedding, source), (ours.target_embedding, target))
    ]
    expected = theirs(
        *inputs,
        tgt_mask=~lecture.causal_mask(4),
        src_key_padding_mask=source == PAD,
        tgt_key_padding_mask=target == PAD,
        memory_key_padding_mask=source == PAD,
    )
    assert_close(ours(source, target), F.linear(expected, ours.output.weight, ours.output.bias), 1e-5)


def test_a_sentence_means_the_same_in_every_batch(rng):
    model = shaken(lecture.Transformer(12, 8, 2, 16, layers=2, dropout=0.5)).double().eval()
    sources = [rng.integers(3, 12, size=rng.integers(1, 9)).tolist() for _ in range(6)]
    targets = [[BEGIN, *rng.integers(3, 12, size=rng.integers(0, 9)).tolist()] for _ in range(6)]
    together = model(lecture.pad_batch(sources), lecture.pad_batch(targets))
    for source, target, logits in zip(sources, targets, together, strict=True):
        alone = model(torch.tensor([source]), torch.tensor([target]))[0]
        assert_close(logits[: len(target)], alone, 1e-5)


# ---------------------------------------------------------------- learning to write


def test_shift_right_shifts_lists(rng):
    target = torch.from_numpy(rng.integers(3, 9, size=(4, int(rng.integers(1, 6)))))
    assert lecture.shift_right(target, 77).tolist() == [[77, *row[:-1]] for row in target.tolist()]


@pytest.mark.parametrize("eps", [0.0, 0.1, 0.7, 1.0])
def test_seq2seq_loss_is_torchs_cross_entropy(rng, eps):
    logits = tensor(rng, 3, 5, 7, scale=4).requires_grad_()
    target = torch.from_numpy(rng.integers(0, 7, size=(3, 5)))
    target[0, 0] = 3
    loss = lecture.seq2seq_loss(logits, target, PAD, eps)
    expected = F.cross_entropy(logits.transpose(1, 2), target, ignore_index=PAD, label_smoothing=eps)
    assert_close(loss, expected)
    assert_close(*(torch.autograd.grad(one, logits)[0] for one in (loss, expected)))


# ---------------------------------------------------------------- writing


def random_language(rng, depth, words=4):
    """Probabilities of the next token for every prefix up to a depth; tokens 3.. and END. After the depth, END."""
    table = {}
    for length in range(depth + 1):
        for prefix in itertools.product(range(3, words), repeat=length):
            table[prefix] = np.zeros(words)
            if length == depth:
                table[prefix][END] = 1
            else:
                table[prefix][[END, *range(3, words)]] = rng.dirichlet(np.ones(words - 2))
    return table


def language_step(tables):
    def step(prefix, sentence):
        fallback = np.ones_like(tables[0][()]) / len(tables[0][()])
        pairs = zip(prefix.tolist(), sentence.tolist(), strict=True)
        rows = [tables[which].get(tuple(row[1:]), fallback) for row, which in pairs]
        return torch.tensor(np.array(rows)).log()

    return step


def all_sentences(table):
    """Every complete sentence with its log-probability, by walking through the tree."""
    waiting, found = [((), 0.0)], []
    while waiting:
        prefix, log_p = waiting.pop()
        for token, probability in enumerate(table[prefix]):
            if probability > 0:
                longer = ((*prefix, token), log_p + math.log(probability))
                (found if token == END else waiting).append(longer)
    return found


def test_greedy_decode_walks_down_the_tree(rng):
    tables = [random_language(rng, depth, 6) for depth in (4, 1, 3)]
    written = lecture.greedy_decode(language_step(tables), 3, BEGIN, END, PAD, 9).tolist()
    for table, row in zip(tables, written, strict=True):
        prefix = ()
        while END not in prefix:
            prefix += (int(np.argmax(table[prefix])),)
        assert row == [*prefix, *[PAD] * (len(row) - len(prefix))]
    assert max(row.index(END) + 1 for row in written) == len(written[0])


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
def test_a_beam_that_holds_everything_finds_the_best_sentence_of_all(rng, alpha):
    tables = [random_language(rng, 3, 6) for _ in range(3)]
    results = lecture.beam_search(language_step(tables), 3, BEGIN, END, 1000, 9, alpha)
    for table, (tokens, score) in zip(tables, results, strict=True):
        best, log_p = max(all_sentences(table), key=lambda one: one[1] / len(one[0]) ** alpha)
        assert tokens == list(best)
        assert_close(score, log_p / len(best) ** alpha)


def test_a_beam_of_one_is_greedy(rng):
    step = language_step([random_language(rng, 4, 6) for _ in range(4)])
    written = lecture.greedy_decode(step, 4, BEGIN, END, PAD, 9).tolist()
    for row, (tokens, _) in zip(written, lecture.beam_search(step, 4, BEGIN, END, 1, 9), strict=True):
        assert tokens == [token for token in row if token != PAD]


@pytest.mark.parametrize("size", [2, 3])
def test_the_beam_is_that_of_a_breadth_first_search_over_whole_prefixes(rng, size):
    table = random_language(rng, 4, 6)

    def log_p(sentence):
        return sum(math.log(table[sentence[:i]][token]) for i, token in enumerate(sentence))

    beam = [()]
    for _ in range(9):
        longer = {(*one, t) for one in beam if END not in one for t in range(6) if table[one][t] > 0}
        beam = sorted(longer | {one for one in beam if END in one}, key=log_p)[-size:]
    ((tokens, score),) = lecture.beam_search(language_step([table]), 1, BEGIN, END, size, 9)
    assert tokens == list(beam[-1])
    assert_close(score, log_p(beam[-1]))


@pytest.mark.parametrize("pieces", [[5], [1, 1, 1, 1, 1], [2, 3], [1, 4], [3, 1, 1]])
def test_cached_attention_is_causal_attention_piece_by_piece(rng, pieces):
    theirs = shaken(nn.MultiheadAttention(8, 2, batch_first=True)).double()
    layer, x = lecture.MultiHeadAttention(8, 2).double(), tensor(rng, 3, 5, 8)
    layer.load_state_dict(theirs.state_dict())
    cache, outputs = None, []
    for piece in x.split(pieces, dim=1):
        output, cache = lecture.cached_attention(layer, piece, cache)
        outputs.append(output)
    assert_close(torch.cat(outputs, dim=1), theirs(x, x, x, attn_mask=~lecture.causal_mask(5))[0])
    assert cache[0].shape == cache[1].shape == (3, 2, 5, 4)


def test_with_and_without_a_cache_a_transformer_writes_the_same(rng):
    model = shaken(lecture.Transformer(12, 8, 2, 16, layers=2)).eval()
    with torch.no_grad():
        model.output.bias[PAD] = -50
        model.output.bias[END] += 1
        source = lecture.pad_batch([rng.integers(3, 12, size=n).tolist() for n in (1, 6, 3, 4)])
        asked, step = [], lecture.cached_transformer_step(model, source)

        def counted(tokens, start, cache):
            asked.append((tokens.shape, start))
            return step(tokens, start, cache)

        slow = lecture.greedy_decode(lecture.transformer_step(model, source), 4, BEGIN, END, PAD, 15)
        fast = lecture.cached_decode(counted, 4, BEGIN, END, PAD, 15)
    assert slow.tolist() == fast.tolist()
    assert asked == [((4, 1), start) for start in range(slow.shape[1])]


# ---------------------------------------------------------------- judging and training


def brute_force_bleu(candidates, references, max_n):
    """Straight from the definition, n-gram by n-gram."""
    product = 1.0
    for n in range(1, max_n + 1):
        clipped = total = 0
        for candidate, several in zip(candidates, references, strict=True):
            grams = [tuple(candidate[i : i + n]) for i in range(len(candidate) + 1 - n)]
            total += len(grams)
            for gram in set(grams):
                most = 0
                for one in several:
                    most = max(most, sum(tuple(one[i : i + n]) == gram for i in range(len(one) + 1 - n)))
                clipped += min(grams.count(gram), most)
        if clipped == 0:
            return 0.0
        product *= clipped / total
    c = sum(map(len, candidates))
    r = 0
    for candidate, several in zip(candidates, references, strict=True):
        gap = min(abs(len(one) - len(candidate)) for one in several)
        r += min(len(one) for one in several if abs(len(one) - len(candidate)) == gap)
    return (1.0 if c > r else math.exp(1 - r / c)) * product ** (1 / max_n)


@pytest.mark.parametrize("max_n", [1, 2, 3, 4])
@pytest.mark.parametrize("several", [1, 3])
def test_bleu_is_its_definition(rng, max_n, several):
    for _ in range(20):
        sentences = [rng.integers(3, size=rng.integers(0, 9)).tolist() for _ in range(4 * (1 + several))]
        candidates, rest = sentences[:4], sentences[4:]
        references = [rest[several * i : several * (i + 1)] for i in range(4)]
        expected = brute_force_bleu(candidates, references, max_n)
        assert_close(lecture.bleu(candidates, references, max_n), expected)


def test_bleu_of_papinenis_examples():
    # Papineni et al. (2002), section 2: modified unigram precisions 17/18 and 8/14, bigram precisions 10/17 and 1/13.
    references = [
        "it is a guide to action that ensures that the military will forever heed party commands",
        "it is the guiding principle which guarantees the military forces always being under the command of the party",
        "it is the practical guide for the army always to heed the directions of the party",
    ]
    first = "it is a guide to action which ensures that the military always obeys the commands of the party"
    second = "it is to insure the troops forever hearing the activity guidebook that party direct"
    references = [[one.split() for one in references]]
    # Of the first the closest reference has 18 words, as itself; of the second (14 words) one has 16.
    for text, one, two, penalty in ((first, 17 / 18, 10 / 17, 1.0), (second, 8 / 14, 1 / 13, math.exp(1 - 16 / 14))):
        assert_close(lecture.bleu([text.split()], references, 1), penalty * one)
        assert_close(lecture.bleu([text.split()], references, 2), penalty * math.sqrt(one * two))
    the, cats = ["the"] * 7, [["the cat is on the mat".split(), "there is a cat on the mat".split()]]
    assert_close(lecture.bleu([the], cats, 1), 2 / 7)


def new_language(rng):
    """Words and their translations: spoken backwards, and each letter is replaced."""
    letters = 3 + rng.permutation(26)
    words = [rng.integers(3, 29, size=rng.integers(1, 8)).tolist() for _ in range(5500)]
    return words, [[int(letters[token - 3]) for token in word[::-1]] for word in words]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_the_task_is_learned_from_every_start(seed):
    torch.manual_seed(seed)
    words, translations = new_language(np.random.default_rng(seed))
    task = lecture.Seq2SeqTask(lecture.Transformer(lecture.VOCABULARY, 32, 4, 64, layers=1, dropout=0.0))
    losses = task.fit(words[:5000], translations[:5000])
    accuracy, match = task.evaluate(words[5000:], translations[5000:])
    assert losses[-1] < 0.1
    assert match >= 0.98
    assert accuracy >= match


def test_teacher_forcing_and_free_running_agree_on_whole_sentences(rng):
    # The argument of the question in words: a greedy sentence is right as a whole with or without a teacher.
    model = shaken(lecture.Transformer(8, 8, 2, 16, layers=1)).eval()
    with torch.no_grad():
        model.output.bias[[PAD, BEGIN, END]] = torch.tensor([-50.0, -50.0, 1.0])
    sources = [rng.integers(3, 8, size=rng.integers(1, 4)).tolist() for _ in range(30)]
    task = lecture.Seq2SeqTask(model)
    own = task.predict(sources)
    targets = [said if n % 2 else [*said[:-1], 3] for n, said in enumerate(own)]
    targets = [target if 0 < len(target) < 15 else [3] for target in targets]
    _, match = task.evaluate(sources, targets)
    true = lecture.pad_batch([[*target, END] for target in targets])
    with torch.no_grad():
        said = model(lecture.pad_batch(sources), lecture.shift_right(true, BEGIN)).argmax(dim=-1)
    forced = ((said == true) | (true == PAD)).all(dim=1).float().mean().item()
    assert_close(match, forced)


def test_the_answers_know_the_translations_of_what_was_given(rng):
    file = Path(__file__).parent / "hidden" / "lecture12_transformer" / "answers.py"
    answers = runpy.run_path(str(file))
    words, translations, new_words = answers["new_language"](rng)
    letters = {}
    for word, translation in zip(words, translations, strict=True):
        for token, said in zip(reversed(word), translation, strict=True):
            assert letters.setdefault(token, said) == said
    assert sorted(letters) == sorted(letters.values()) == list(range(3, lecture.VOCABULARY))
    right = [[letters[token] for token in reversed(word)] for word in new_words]
    spoken = [[*word, END, 5, PAD] for word in right]
    share = answers["share_of_right_words"]
    assert share([right, spoken]) == 1.0
    assert share([[[], *right[1:]], spoken]) == share([right, [[5], *spoken[1:]]]) == 1 - 1 / len(new_words)
    assert share([right, right]) == 0.0  # nobody has said END
    assert share([right[1:], spoken[1:]]) == 0.0


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.7, 1.0])
def test_scheduled_sampling_mixes_at_the_given_rate(rng, rate):
    target = torch.full((3000, 5), 6)
    target[:, 3:] = PAD
    logits = F.one_hot(torch.full((3000, 5), 4), 8).double()
    read = lecture.scheduled_sampling(target, logits, 9, PAD, rate, torch.Generator().manual_seed(1))
    assert (read[:, 0] == 9).all()
    assert (read[:, 4] == PAD).all()
    middle = read[:, 1:4]
    assert set(middle.unique().tolist()) <= {4, 6}
    shares = (middle == 6).double().mean(dim=0)
    np.testing.assert_allclose(shares, rate, atol=4 * math.sqrt(rate * (1 - rate) / 3000) + 1e-12)
