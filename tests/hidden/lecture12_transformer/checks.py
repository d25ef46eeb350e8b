"""Hidden tests of lectures 12 and 13: the parts of a Transformer, the machine, how it writes and how it learns."""

import math

import numpy as np
import torch
from torch import nn

from grader import Problem, at_least, check, close, each

PAD, BEGIN, END = 0, 1, 2

TRANSFORMERS = tuple(
    f"torch.nn.{name}"
    for name in (
        "Transformer TransformerEncoder TransformerDecoder TransformerEncoderLayer TransformerDecoderLayer"
    ).split()
)
FUSED = ("aten::_transformer_encoder_layer_fwd",)
LAYER_NORM = (
    "torch.nn.LayerNorm",
    "torch.nn.GroupNorm",
    "torch.nn.RMSNorm",
    "torch.nn.InstanceNorm1d",
    "torch.nn.BatchNorm1d",
    *(
        f"{module}.{name}"
        for module in ("torch.nn.functional", "torch")
        for name in ("layer_norm", "group_norm", "instance_norm", "batch_norm", "rms_norm")
    ),
    "torch.native_layer_norm",
    "torch.native_group_norm",
    "torch.native_batch_norm",
    "scipy.stats.zscore",
)
LAYER_NORM_OPERATORS = tuple(
    f"aten::{name}"
    for name in (
        "native_layer_norm layer_norm native_group_norm group_norm instance_norm native_batch_norm batch_norm "
        "_native_batch_norm_legit _native_batch_norm_legit_functional _batch_norm_with_update rms_norm _fused_rms_norm"
    ).split()
)
LOSSES = (
    "torch.nn.functional.cross_entropy",
    "torch.nn.functional.nll_loss",
    "torch.nn.functional.linear_cross_entropy",
    "torch.nn.CrossEntropyLoss",
    "torch.nn.NLLLoss",
    "torch.nn.NLLLoss2d",
    "torch.nn.AdaptiveLogSoftmaxWithLoss",
    "torch._C._nn.cross_entropy_loss",
    "torch._C._nn.nll_loss",
    "torch._C._nn.nll_loss_nd",
)
LOSS_OPERATORS = tuple(
    f"aten::{name}"
    for name in "nll_loss_forward nll_loss2d_forward nll_loss nll_loss2d nll_loss_nd cross_entropy_loss".split()
)
BLEU = (
    "nltk.translate.bleu_score.corpus_bleu",
    "nltk.translate.bleu_score.sentence_bleu",
    "nltk.translate.bleu",
    "sacrebleu.corpus_bleu",
    "torchtext.data.metrics.bleu_score",
    "torcheval.metrics.functional.bleu_score",
    "torchmetrics.functional.text.bleu_score",
)

PROBLEMS = (
    Problem("layer_norm", forbidden=LAYER_NORM, operators=LAYER_NORM_OPERATORS),
    Problem("EncoderLayer", forbidden=TRANSFORMERS, operators=FUSED),
    Problem("Encoder", forbidden=TRANSFORMERS, operators=FUSED),
    Problem("DecoderLayer", forbidden=TRANSFORMERS, operators=FUSED),
    Problem("Decoder", forbidden=TRANSFORMERS, operators=FUSED),
    Problem("Transformer", forbidden=TRANSFORMERS, operators=FUSED),
    Problem("seq2seq_loss", forbidden=LOSSES, operators=LOSS_OPERATORS),
    Problem("bleu", forbidden=BLEU),
    Problem("Seq2SeqTask", forbidden=TRANSFORMERS),
    Problem("scheduled_sampling", bonus=True),
)


def tensor(rng, *shape, scale=1.0, shift=0.0):
    """A float64 tensor of random numbers."""
    return torch.from_numpy(rng.normal(shift, scale, size=shape))


def single(rng, *shape, scale=1.0, shift=0.0):
    """A float32 tensor of random numbers."""
    return tensor(rng, *shape, scale=scale, shift=shift).float()


def allowed(*rows):
    """A mask from strings: 1 where one may look. Rows of equal length."""
    return torch.tensor([[character == "1" for character in row] for row in rows])


# --- weights, as PyTorch names and shapes them ---


def attention_shapes(d):
    return {
        "in_proj_weight": (3 * d, d),
        "in_proj_bias": (3 * d,),
        "out_proj.weight": (d, d),
        "out_proj.bias": (d,),
    }


def layer_shapes(d, d_ff, decoder=False):
    """Names and shapes of the parameters of one encoder or decoder layer."""
    attentions = ("self_attn", "multihead_attn") if decoder else ("self_attn",)
    shapes = {f"{part}.{name}": shape for part in attentions for name, shape in attention_shapes(d).items()}
    shapes |= {"linear1.weight": (d_ff, d), "linear1.bias": (d_ff,), "linear2.weight": (d, d_ff), "linear2.bias": (d,)}
    for number in range(1, len(attentions) + 2):
        shapes |= {f"norm{number}.weight": (d,), f"norm{number}.bias": (d,)}
    return shapes


def stack_shapes(d, d_ff, layers, pre_norm, decoder=False):
    shapes = {
        f"layers.{i}.{name}": shape for i in range(layers) for name, shape in layer_shapes(d, d_ff, decoder).items()
    }
    return shapes | ({"norm.weight": (d,), "norm.bias": (d,)} if pre_norm else {})


def transformer_shapes(vocabulary, d, d_ff, layers, pre_norm):
    shapes = {f"{side}_embedding.weight": (vocabulary, d) for side in ("source", "target")}
    for part in ("encoder", "decoder"):
        stack = stack_shapes(d, d_ff, layers, pre_norm, decoder=part == "decoder")
        shapes |= {f"{part}.{name}": shape for name, shape in stack.items()}
    return shapes | {"output.weight": (vocabulary, d), "output.bias": (vocabulary,)}


def trained(module, shapes, rng):
    """The module with weights as after a training, none of them special."""
    state = {}
    for name, shape in shapes.items():
        norm = "norm" in name and name.endswith("weight")
        size = 1.0 if "embedding" in name or len(shape) == 1 else 1.5 / math.sqrt(shape[-1])
        state[name] = single(rng, *shape, scale=0.3 if norm else 0.7 * size, shift=1.0 if norm else 0.0)
    module.load_state_dict(state)
    return module


def structure(module):
    """What a module is made of: its saved entries with their shapes, and which of them are trained."""
    return {
        "state_dict": {name: list(value.shape) for name, value in sorted(module.state_dict().items())},
        "parameters": sorted(name for name, _ in module.named_parameters()),
    }


def gradients(module, output, rng):
    """The gradient of a random weighing of the output, for every parameter."""
    (output * single(rng, *output.shape)).sum().backward()
    return {name: parameter.grad for name, parameter in sorted(module.named_parameters())}


# --- positional_encoding ---


_ANGLES = close(rtol=0, atol=1e-4)


@check("positional_encoding", points=2, hint="Which columns share a frequency, and which comes first?", compare=_ANGLES)
def the_first_positions(student, rng):
    """Sine and cosine take turns, from position 0 on."""
    return {
        "one position, two columns": student.positional_encoding(1, 2),
        "three positions, two columns": student.positional_encoding(3, 2),
        "three positions, four columns": student.positional_encoding(3, 4),
    }


@check("positional_encoding", points=2, hint="What is the exponent of columns 6 and 7, if d = 12?", compare=_ANGLES)
def many_columns(student, rng):
    """The frequencies of many columns, over a long sentence."""
    return {
        "eight columns": student.positional_encoding(5, 8),
        "forty positions": student.positional_encoding(40, 12),
    }


@check(
    "positional_encoding", points=1, hint="How many sines and how many cosines fit into five columns?", compare=_ANGLES
)
def an_odd_number_of_columns(student, rng):
    """Where d is odd, the last column is a sine."""
    return {f"d = {d}": student.positional_encoding(4, d) for d in (1, 3, 7)}


# --- layer_norm ---


@check("layer_norm", points=2, hint="Each vector is on its own: along which axis does its mean run?")
def each_vector_by_itself(student, rng):
    """Each vector is normalized over its own entries; gamma and beta belong to the entries."""
    gamma, beta = tensor(rng, 3), tensor(rng, 3)
    shapes = {"a vector": (3,), "three words": (3, 3), "sentences of words": (2, 4, 3), "with heads": (2, 3, 3, 3)}
    return {
        name: student.layer_norm(tensor(rng, *shape, scale=2, shift=5), gamma, beta) for name, shape in shapes.items()
    }


@check("layer_norm", points=1, hint="Where is eps added, and what becomes of a vector whose entries are all alike?")
def a_vector_of_equal_entries(student, rng):
    """eps keeps a vector without variance finite, and is added to the variance."""
    gamma, beta = tensor(rng, 4), tensor(rng, 4)
    return {
        "all entries alike": student.layer_norm(torch.full((2, 4), 3.0).double(), gamma, beta),
        "eps = 0.5": student.layer_norm(tensor(rng, 2, 4), gamma, beta, eps=0.5),
    }


@check("layer_norm", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def layer_norm_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the input, gamma and beta."""
    leaves = [single(rng, 2, 3, 4).requires_grad_(), single(rng, 4).requires_grad_(), single(rng, 4).requires_grad_()]
    output = student.layer_norm(*leaves)
    (output * single(rng, 2, 3, 4)).sum().backward()
    return {"output": output, "gradients": [leaf.grad for leaf in leaves]}


# --- residual ---


def _bend(x):
    return torch.tanh(x) * 3 + 1


def _center(x):
    return (x - x.mean(dim=-1, keepdim=True)) * 2


@check("residual", points=2, hint="Write the post-norm formula down. What is inside the brackets of norm?")
def post_norm(student, rng):
    """Post-norm normalizes the sum of input and sublayer output."""
    return {
        "two numbers": student.residual(torch.tensor([1.0, 4.0]), _bend, _center, False),
        "a batch of sentences": student.residual(tensor(rng, 2, 3, 4), _bend, _center, pre_norm=False),
    }


@check("residual", points=2, hint="In pre-norm there is a way on which nothing happens to x: which?")
def pre_norm(student, rng):
    """Pre-norm normalizes what the sublayer gets, and adds its output to the input as it was."""
    return {
        "two numbers": student.residual(torch.tensor([1.0, 4.0]), _bend, _center, True),
        "a batch of sentences": student.residual(tensor(rng, 2, 3, 4), _bend, _center, pre_norm=True),
    }


@check("residual", points=1, hint="What would a sublayer with dropout give if it were asked twice?")
def each_function_is_asked_once(student, rng):
    """The sublayer and the normalization are called once each, and gradients flow through both ways."""
    seen = {}
    for name, before in (("post-norm", False), ("pre-norm", True)):
        calls = []

        def sublayer(x, calls=calls):
            calls.append("sublayer")
            return len(calls) * x**2

        def norm(x, calls=calls):
            calls.append("norm")
            return _center(x)

        x = tensor(rng, 2, 3).requires_grad_()
        output = student.residual(x, sublayer, norm, before)
        (output * tensor(rng, 2, 3)).sum().backward()
        seen[name] = {"calls": calls, "output": output, "gradient": x.grad}
    return seen


# --- feed_forward ---


def _network(rng, d, d_ff):
    return tensor(rng, d_ff, d), tensor(rng, d_ff), tensor(rng, d, d_ff), tensor(rng, d)


@check("feed_forward", points=1, hint="Two linear layers with one ReLU: which of the numbers does it cut off?")
def one_hidden_layer(student, rng):
    """A linear layer, a ReLU and a linear layer, with their biases."""
    return {
        "two vectors of two": student.feed_forward(tensor(rng, 2, 2), *_network(rng, 2, 2)),
        "five vectors of three": student.feed_forward(tensor(rng, 5, 3), *_network(rng, 3, 6)),
    }


@check(
    "feed_forward", points=1, hint="Only the last axis belongs to the network. Which way round does nn.Linear store?"
)
def any_leading_axes(student, rng):
    """One vector or batches of sentences, also where d, d_ff and the length are equal."""
    return {
        "one vector": student.feed_forward(tensor(rng, 4), *_network(rng, 4, 4)),
        "sentences": student.feed_forward(tensor(rng, 2, 4, 4), *_network(rng, 4, 4)),
        "four axes": student.feed_forward(tensor(rng, 2, 1, 3, 2), *_network(rng, 2, 5)),
    }


@check("feed_forward", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def feed_forward_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the input, the weights and the biases."""
    leaves = [leaf.float().requires_grad_() for leaf in (tensor(rng, 3, 2, scale=2), *_network(rng, 2, 4))]
    output = student.feed_forward(*leaves)
    (output * single(rng, 3, 2)).sum().backward()
    return {"output": output, "gradients": [leaf.grad for leaf in leaves]}


# --- EncoderLayer ---


def _encoder_layer(student, rng, d, heads, d_ff, **options):
    return trained(student.EncoderLayer(d, heads, d_ff, **options), layer_shapes(d, d_ff), rng)


@check("EncoderLayer", points=2, hint="Which norm stands behind which sublayer, and what is added before it?")
def a_post_norm_encoder_layer(student, rng):
    """With PyTorch's weights, a post-norm layer gives what PyTorch's does."""
    return {
        "one word": _encoder_layer(student, rng, 2, 1, 3, dropout=0.0)(single(rng, 1, 1, 2)),
        "two sentences, two heads": _encoder_layer(student, rng, 6, 2, 5, dropout=0.0)(single(rng, 2, 4, 6)),
    }


@check("EncoderLayer", points=2, hint="With pre-norm, queries, keys and values all come from the normalized x.")
def a_pre_norm_encoder_layer(student, rng):
    """With PyTorch's weights, a pre-norm layer gives what PyTorch's does with norm_first."""
    options = {"dropout": 0.0, "pre_norm": True}
    return {
        "one word": _encoder_layer(student, rng, 2, 1, 3, **options)(single(rng, 1, 1, 2)),
        "two sentences, two heads": _encoder_layer(student, rng, 6, 2, 5, **options)(single(rng, 2, 4, 6, scale=3)),
    }


@check("EncoderLayer", points=2, hint="Who must know of the mask, and what does True mean in it?")
def an_encoder_layer_with_masks(student, rng):
    """Masks for a sentence's padding, for a pattern that all share, and for both."""
    layer, x = _encoder_layer(student, rng, 4, 2, 6, dropout=0.0), single(rng, 2, 3, 4)
    padding, pattern = allowed("110", "111")[:, None, :], allowed("100", "110", "011")
    both = pattern & allowed("111", "101")[:, None, :] | torch.eye(3, dtype=torch.bool)
    return {"padding": layer(x, padding), "a pattern": layer(x, pattern), "both": layer(x, both), "none": layer(x)}


@check("EncoderLayer", points=1, hint="What does eval() promise?")
def an_encoder_layer_in_evaluation(student, rng):
    """In evaluation mode nothing is dropped, and the input stays as it is."""
    layer, x = _encoder_layer(student, rng, 4, 2, 6, dropout=0.5).eval(), single(rng, 2, 3, 4)
    return {"output": layer(x), "the input afterwards": x}


@check("EncoderLayer", points=1, hint="If all that a sublayer says is dropped, what is left of x + f(x)?")
def an_encoder_layer_that_drops_everything(student, rng):
    """In training, a dropout of 1 drops the output of each sublayer, and nothing else."""
    return {
        name: _encoder_layer(student, rng, 4, 2, 6, dropout=1.0, pre_norm=before).train()(single(rng, 2, 3, 4))
        for name, before in (("pre-norm", True), ("post-norm", False))
    }


@check("EncoderLayer", points=1, hint="Compare your layer's named_parameters() with PyTorch's, name by name.")
def what_an_encoder_layer_is_made_of(student, rng):
    """The layer has PyTorch's parameters and no others, and each of them is trained."""
    layer = _encoder_layer(student, rng, 4, 2, 6, dropout=0.0)
    return {**structure(layer), "gradients": gradients(layer, layer(single(rng, 2, 3, 4)), rng)}


# --- Encoder ---


def _encoder(student, rng, layers, pre_norm, dropout=0.0):
    stack = student.Encoder(4, 2, 6, layers, dropout=dropout, pre_norm=pre_norm)
    return trained(stack, stack_shapes(4, 6, layers, pre_norm), rng)


@check("Encoder", points=1, hint="What comes out of one layer goes into the next. What comes after the last?")
def a_post_norm_encoder(student, rng):
    """Post-norm layers one after the other, and nothing behind them."""
    return {f"{n} layers": _encoder(student, rng, n, False)(single(rng, 2, 3, 4)) for n in (1, 2, 3)}


@check("Encoder", points=2, hint="In pre-norm, has the sum that runs past all layers ever been normalized?")
def a_pre_norm_encoder(student, rng):
    """Pre-norm layers one after the other, and a normalization at the end."""
    return {f"{n} layers": _encoder(student, rng, n, True)(single(rng, 2, 3, 4, scale=3)) for n in (1, 2, 3)}


@check("Encoder", points=1, hint="Padding is padding in every layer.")
def an_encoder_with_a_mask(student, rng):
    """Every layer respects the mask; in evaluation mode none drops anything."""
    stack = _encoder(student, rng, 2, True, dropout=0.5).eval()
    return stack(single(rng, 2, 4, 4), allowed("1100", "1111")[:, None, :])


@check("Encoder", points=1, hint="How many weights have N layers? And where does a module look for its parts?")
def what_an_encoder_is_made_of(student, rng):
    """Every layer has parameters of its own, named as PyTorch names them."""
    return {
        name: structure(student.Encoder(4, 2, 6, 3, pre_norm=before))
        for name, before in (("post-norm", False), ("pre-norm", True))
    }


# --- cross_attention ---


@check("cross_attention", points=2, hint="Who asks, and who is asked? And by what are the scores divided?")
def the_decoder_asks_the_memory(student, rng):
    """Queries come from x; keys and values come from the memory."""
    weights = [tensor(rng, 4, 4) for _ in range(3)]
    return {
        "one question, two answers": student.cross_attention(tensor(rng, 1, 1, 4), tensor(rng, 1, 2, 4), *weights),
        "as many questions as answers": student.cross_attention(tensor(rng, 2, 3, 4), tensor(rng, 2, 3, 4), *weights),
    }


@check(
    "cross_attention", points=1, hint="Note the shape of each matrix beside its name: what can it be multiplied with?"
)
def widths_and_lengths_of_all_kinds(student, rng):
    """x, memory, keys and values may all differ in width, and source and target in length."""
    weights = tensor(rng, 5, 4), tensor(rng, 5, 3), tensor(rng, 2, 3)
    return student.cross_attention(tensor(rng, 2, 6, 4), tensor(rng, 2, 7, 3), *weights)


@check("cross_attention", points=2, hint="What weight does a masked vector have, and what do the others sum to?")
def a_masked_memory(student, rng):
    """Masked memory vectors get the weight 0, and the others share the 1."""
    x, memory, weights = tensor(rng, 2, 3, 4), tensor(rng, 2, 3, 4, scale=2), [tensor(rng, 4, 4) for _ in range(3)]
    masks = {
        "for each sentence": allowed("110", "001")[:, None, :],
        "for all sentences": allowed("100", "011", "111"),
        "for each question": torch.stack([allowed("100", "010", "001"), allowed("011", "101", "110")]),
    }
    return {name: student.cross_attention(x, memory, *weights, mask) for name, mask in masks.items()}


# --- DecoderLayer ---


def _decoder_layer(student, rng, d, heads, d_ff, **options):
    return trained(student.DecoderLayer(d, heads, d_ff, **options), layer_shapes(d, d_ff, decoder=True), rng)


@check("DecoderLayer", points=2, hint="Three sublayers, three norms: in which order? And who may look ahead?")
def a_post_norm_decoder_layer(student, rng):
    """With PyTorch's weights, a post-norm layer gives what PyTorch's does with a causal mask."""
    first, second = (_decoder_layer(student, rng, d, d // 2, 5, dropout=0.0) for d in (2, 6))
    return {
        "one word": first(single(rng, 1, 1, 2), single(rng, 1, 1, 2)),
        "four words, three to look at": second(single(rng, 2, 4, 6), single(rng, 2, 3, 6)),
        "as many to look at": second(single(rng, 2, 3, 6), single(rng, 2, 3, 6)),
    }


@check("DecoderLayer", points=2, hint="The norms act on x. Does anything normalize the memory?")
def a_pre_norm_decoder_layer(student, rng):
    """With PyTorch's weights, a pre-norm layer gives what PyTorch's does with norm_first and a causal mask."""
    layer = _decoder_layer(student, rng, 6, 2, 5, dropout=0.0, pre_norm=True)
    return {
        "one word": layer(single(rng, 1, 1, 6), single(rng, 1, 2, 6, scale=3)),
        "four words": layer(single(rng, 2, 4, 6, scale=3), single(rng, 2, 3, 6, scale=3)),
    }


@check("DecoderLayer", points=2, hint="Two masks, two attentions. And is what `mask` allows all that is allowed?")
def a_decoder_layer_with_masks(student, rng):
    """`mask` adds to the causal mask, and `memory_mask` belongs to the memory."""
    layer = _decoder_layer(student, rng, 4, 2, 6, dropout=0.0)
    x, memory = single(rng, 2, 3, 4), single(rng, 2, 3, 4)
    mask, memory_mask = allowed("101", "111")[:, None, :], allowed("011", "110")[:, None, :]
    return {
        "mask": layer(x, memory, mask),
        "memory_mask": layer(x, memory, memory_mask=memory_mask),
        "both": layer(x, memory, mask, memory_mask),
        "a pattern": layer(x, memory, allowed("100", "010", "111")),
    }


@check("DecoderLayer", points=1, hint="What is dropped in training, and what in evaluation?")
def dropout_in_a_decoder_layer(student, rng):
    """Evaluation drops nothing; in training a dropout of 1 drops every sublayer's output and nothing else."""
    half, all_of_it = (_decoder_layer(student, rng, 4, 2, 6, dropout=p, pre_norm=True) for p in (0.5, 1.0))
    after = _decoder_layer(student, rng, 4, 2, 6, dropout=1.0)
    x, memory = single(rng, 2, 3, 4), single(rng, 2, 2, 4)
    return {
        "evaluation": half.eval()(x, memory),
        "pre-norm, all dropped": all_of_it.train()(x, memory),
        "post-norm, all dropped": after.train()(x, memory),
        "the inputs afterwards": [x, memory],
    }


@check("DecoderLayer", points=1, hint="Compare your layer's named_parameters() with PyTorch's, name by name.")
def what_a_decoder_layer_is_made_of(student, rng):
    """The layer has PyTorch's parameters and no others, and each of them is trained."""
    layer = _decoder_layer(student, rng, 4, 2, 6, dropout=0.0)
    output = layer(single(rng, 2, 3, 4), single(rng, 2, 2, 4))
    return {**structure(layer), "gradients": gradients(layer, output, rng)}


# --- Decoder ---


def _decoder(student, rng, layers, pre_norm, dropout=0.0):
    stack = student.Decoder(4, 2, 6, layers, dropout=dropout, pre_norm=pre_norm)
    return trained(stack, stack_shapes(4, 6, layers, pre_norm, decoder=True), rng)


@check("Decoder", points=2, hint="Which memory, and which masks, does the second layer get?")
def a_decoder_with_masks(student, rng):
    """Every layer gets the encoder's memory and both masks."""
    stack, x, memory = _decoder(student, rng, 2, False), single(rng, 2, 3, 4), single(rng, 2, 3, 4)
    mask, memory_mask = allowed("101", "110")[:, None, :], allowed("011", "110")[:, None, :]
    return {
        "no mask": stack(x, memory),
        "mask": stack(x, memory, mask),
        "memory_mask": stack(x, memory, memory_mask=memory_mask),
        "both": stack(x, memory, mask, memory_mask),
    }


@check("Decoder", points=1, hint="In pre-norm, has the sum that runs past all layers ever been normalized?")
def a_pre_norm_decoder(student, rng):
    """Pre-norm layers, and a normalization at the end; in evaluation mode nothing is dropped."""
    return {
        f"{n} layers": _decoder(student, rng, n, True, 0.5).eval()(single(rng, 2, 4, 4, scale=3), single(rng, 2, 3, 4))
        for n in (1, 2)
    }


@check("Decoder", points=1, hint="How many weights have N layers? And where does a module look for its parts?")
def what_a_decoder_is_made_of(student, rng):
    """Every layer has parameters of its own, named as PyTorch names them."""
    return {
        name: structure(student.Decoder(4, 2, 6, 3, pre_norm=before))
        for name, before in (("post-norm", False), ("pre-norm", True))
    }


# --- Transformer ---


def _transformer(student, rng, d=4, heads=2, layers=1, dropout=0.0, pre_norm=True):
    model = student.Transformer(9, d, heads, 6, layers, dropout=dropout, pre_norm=pre_norm)
    return trained(model, transformer_shapes(9, d, 6, layers, pre_norm), rng)


def _tokens(rng, *shape):
    return torch.from_numpy(rng.integers(3, 9, size=shape))


@check(
    "Transformer", points=2, hint="From tokens to vectors in two steps: how loud is the embedding, and what is added?"
)
def logits_of_sentences(student, rng):
    """Source and target tokens in, logits out."""
    return {
        "one token": _transformer(student, rng)(_tokens(rng, 1, 1), _tokens(rng, 1, 1)),
        "two sentences": _transformer(student, rng, 6, 2, 2)(_tokens(rng, 2, 5), _tokens(rng, 2, 4)),
    }


@check("Transformer", points=1, hint="pre_norm is a matter of both stacks.")
def a_post_norm_transformer(student, rng):
    """The same with post-norm layers."""
    return _transformer(student, rng, 6, 2, 2, pre_norm=False)(_tokens(rng, 2, 5), _tokens(rng, 2, 4))


# What follows asks who notices what: facts that don't change with a fault in an earlier part, such as a wrong position.


def _same(pair):
    """Whether two tensors are the same, but for rounding."""
    one, other = map(np.asarray, pair)
    return one.shape == other.shape and bool(np.abs(one - other).max() < 1e-4)


def _poked(x, *place):
    """A copy of x in which one vector or token is another one."""
    x = x.clone()
    x[place] = 8 if x[place].ndim == 0 else x[place].flip(0) + torch.linspace(-1, 1, x.shape[-1])
    return x


@check(
    "Transformer",
    points=2,
    after=each(_same),
    hint="Source padding can be seen from two places: close both. And nothing else.",
)
def padding_of_the_source(student, rng):
    """Nobody looks at padding of the source, neither the encoder nor the decoder; both look at its letters."""
    model, target = _transformer(student, rng), _tokens(rng, 2, 4)
    alone, batch = torch.tensor([[5, 6]]), torch.tensor([[5, 6, PAD, PAD], [4, 7, 3, 5]])
    memory = single(rng, 2, 4, 4)
    logits, longer = model.decode(target, memory, batch), model.decode(target[:, :3], memory, batch)
    return {
        "the memory of a word, alone and with padding": [model.encode(alone)[0], model.encode(batch)[0, :2]],
        "the memory, if a letter changes": [model.encode(alone), model.encode(_poked(alone, 0, 1))],
        "the logits, if the memory changes at padding": [
            logits[0],
            model.decode(target, _poked(memory, 0, 3), batch)[0],
        ],
        "the same, if the source is longer than the target": [
            longer[0],
            model.decode(target[:, :3], _poked(memory, 0, 2), batch)[0],
        ],
        "the logits, if the memory changes at a letter": [
            logits[0],
            model.decode(target, _poked(memory, 0, 1), batch)[0],
        ],
        "the logits of a word, alone and with padding": [model(alone, target[:1])[0], model(batch, target)[0]],
    }


@check(
    "Transformer",
    points=1,
    after=each(_same),
    hint="Each mask is made from the tokens that are looked at: from which, here?",
)
def padding_of_the_target(student, rng):
    """Nobody looks at padding of the target, wherever it stands."""
    model, source = _transformer(student, rng), _tokens(rng, 2, 3)
    target = torch.tensor([[BEGIN, PAD, 5], [BEGIN, 4, PAD]])
    before, embedding = model(source, target), model.target_embedding.weight
    with torch.no_grad():
        embedding.copy_(_poked(embedding, PAD))
        padding = model(source, target)
        embedding.copy_(_poked(embedding, 4))
        letter = model(source, target)
    return {
        "if PAD looked otherwise, the logits beside it": [before[0, [0, 2]], padding[0, [0, 2]]],
        "if PAD looked otherwise, the logits before it": [before[1, :2], padding[1, :2]],
        "if a letter looked otherwise, its logits": [padding[1, 1], letter[1, 1]],
    }


@check(
    "Transformer",
    points=1,
    after=each(_same),
    hint="Encoding once and decoding many times must give what one call gives.",
)
def encoding_and_decoding_apart(student, rng):
    """`encode` gives the memory and `decode` the logits, also for sentences of 500 tokens."""
    model, source, target = _transformer(student, rng), _tokens(rng, 2, 500), _tokens(rng, 2, 500)
    source[1, 30:] = PAD
    memory = model.encode(source)
    logits, short = model.decode(target, memory, source), target[:, :2]
    return {
        "memory for each token": [torch.zeros(2, 500, 4), 0 * memory],
        "logits, in one call and in two": [model(source, target), logits],
        "logits, of a whole target and of its beginning": [logits[:, :2], model.decode(short, memory, source)],
        "logits, with another memory": [logits[:, :2], model.decode(short, single(rng, 2, 500, 4), source)],
    }


def _spreads_like(weight, deviation):
    return bool(abs(weight.std() / deviation - 1) < 0.1 and abs(weight.mean()) < 0.1 * deviation)


def _start_is_quiet(seen):
    return {
        **{f"d = {d}": _spreads_like(np.asarray(seen[f"d = {d}"]), 1 / math.sqrt(d)) for d in (16, 100)},
        "structure": seen["structure"],
    }


@check(
    "Transformer",
    points=1,
    after=_start_is_quiet,
    hint="How large are a new embedding's numbers, times the root of d, beside sines and cosines? What is saved?",
)
def a_new_transformer(student, rng):
    """A new embedding has a standard deviation of 1 over the root of d; only what is learned is saved."""
    seen = {}
    for d in (16, 100):
        model = student.Transformer(200, d, 2, 8, 1)
        seen[f"d = {d}"] = torch.cat([model.source_embedding.weight, model.target_embedding.weight])
    seen["structure"] = structure(student.Transformer(9, 4, 2, 6, 2))
    return seen


def _dropped(seen):
    training = np.asarray(seen["training, all dropped"])
    return {
        "evaluation gives what a model without dropout gives": _same(seen["evaluation"]),
        "if all is dropped, the tokens matter": not _same(
            [training, np.broadcast_to(training[:1, :1], training.shape)]
        ),
        "if all is dropped, logits are left": bool(np.abs(training).max() > 1e-4),
    }


@check(
    "Transformer", points=1, after=_dropped, hint="Three kinds of dropout sit in one model: who sets them all to rest?"
)
def dropout_in_a_transformer(student, rng):
    """Evaluation drops nothing; a dropout of 1 in training leaves nothing of the tokens."""
    source, target = _tokens(rng, 2, 3), _tokens(rng, 2, 3)
    half, none = _transformer(student, rng, dropout=0.5).eval(), student.Transformer(9, 4, 2, 6, 1, dropout=0.0)
    none.load_state_dict(half.state_dict())
    return {
        "evaluation": [half(source, target), none(source, target)],
        "training, all dropped": _transformer(student, rng, dropout=1.0).train()(source, target),
    }


# --- shift_right ---


@check("shift_right", points=1, hint="To say the first token, what has been read? To say the second?")
def the_truth_one_step_later(student, rng):
    """BEGIN first, then the target without its last token."""
    return {
        "one sentence": student.shift_right(torch.tensor([[5, 6, 7, END]]), BEGIN),
        "three sentences": student.shift_right(_tokens(rng, 3, 3), BEGIN),
    }


@check("shift_right", points=1, hint="Which token is dropped at the end, whatever it is?")
def sentences_with_padding(student, rng):
    """Every row moves by one, padding included, and the token BEGIN may be any number."""
    target = torch.tensor([[5, 6, 7, END], [8, END, PAD, PAD], [END, PAD, PAD, PAD]])
    return {"BEGIN is 1": student.shift_right(target, BEGIN), "BEGIN is 11": student.shift_right(target, 11)}


@check("shift_right", points=1, hint="What does the decoder read before it says the only token?")
def a_single_token(student, rng):
    """Sentences of one token."""
    return student.shift_right(_tokens(rng, 3, 1), begin=8)


# --- seq2seq_loss ---


@check("seq2seq_loss", points=1, hint="Whose logarithm is taken? And what does the exponential of 1000 give?")
def the_loss_of_a_sentence(student, rng):
    """The mean of minus the logarithm of the right tokens' probabilities, also of large logits."""
    logits = tensor(rng, 2, 3, 5, scale=2)
    return {
        "one token": student.seq2seq_loss(logits[:1, :1], torch.tensor([[3]]), PAD),
        "two sentences": student.seq2seq_loss(logits, torch.from_numpy(rng.integers(1, 5, size=(2, 3))), PAD),
        "large logits": student.seq2seq_loss(1000 * logits, torch.from_numpy(rng.integers(1, 5, size=(2, 3))), PAD),
    }


@check("seq2seq_loss", points=2, hint="By how many words is the sum divided, over the whole batch?")
def padding_does_not_count(student, rng):
    """Padding adds neither to the loss nor to the number of words; PAD may be any token."""
    logits = tensor(rng, 3, 4, 5, scale=2)
    target = torch.tensor([[3, 4, 1, 2], [4, 2, PAD, PAD], [2, PAD, PAD, PAD]])
    return {
        "one word of two": student.seq2seq_loss(logits[2:, :2], target[2:, :2], PAD),
        "sentences of three lengths": student.seq2seq_loss(logits, target, PAD),
        "PAD is 4": student.seq2seq_loss(logits, target, pad=4),
    }


@check("seq2seq_loss", points=1, hint="What do the q of all V tokens sum to? How much of eps gets the right one?")
def smoothed_labels(student, rng):
    """Label smoothing spreads eps over all tokens, and padding still does not count."""
    logits, target = tensor(rng, 2, 3, 4, scale=2), torch.tensor([[3, 1, 2], [1, 2, PAD]])
    return {f"eps = {eps}": student.seq2seq_loss(logits, target, PAD, eps) for eps in (0.1, 0.4, 1.0)}


@check("seq2seq_loss", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def the_loss_can_be_trained(student, rng):
    """The gradient for the logits, which is 0 where there is padding; float32 stays float32."""
    logits, target = single(rng, 2, 3, 4).requires_grad_(), torch.tensor([[3, 1, 2], [1, PAD, PAD]])
    loss = student.seq2seq_loss(logits, target, PAD, label_smoothing=0.2)
    loss.backward()
    return {"loss": loss.reshape(1), "gradient": logits.grad}


# --- machines that write ---


def table_step(rng, sentences, vocabulary=6, ends_after=5):
    """A machine that draws the probabilities of every prefix of every sentence once, and keeps to them.

    END grows likelier with the length.
    """
    tables = rng.normal(size=(sentences, ends_after + 3, vocabulary, vocabulary))
    tables[..., PAD] = tables[..., BEGIN] = -30.0
    tables[:, :, :, END] += np.linspace(-2, 2, ends_after + 3)[None, :, None] + np.arange(sentences)[:, None, None] / 2
    tables[:, ends_after:, :, END] += 40.0
    log_p = torch.from_numpy(tables).log_softmax(dim=-1)

    def step(prefix, sentence):
        length = min(prefix.shape[1] - 1, ends_after + 2)
        last = prefix[:, -1].clamp(0, vocabulary - 1)
        previous = prefix[:, -2].clamp(0, vocabulary - 1) if prefix.shape[1] > 1 else last
        return log_p[sentence, length, (last + previous) % vocabulary]

    return step


def script_step(scripts, vocabulary=8, asked=None):
    """A machine that says what is written for its sentence, whatever it reads; after the script, its last token.

    `asked` is a list that notes the length of the prefix of each call.
    """

    def step(prefix, sentence):
        if asked is not None:
            asked.append(prefix.shape[1])
        says = [scripts[which][min(prefix.shape[1], len(scripts[which])) - 1] for which in sentence.tolist()]
        return (9 * torch.eye(vocabulary, dtype=torch.float64)[says]).log_softmax(dim=-1)

    return step


# --- greedy_decode ---


@check("greedy_decode", points=1, hint="What has the machine read when it says the third token?")
def one_greedy_sentence(student, rng):
    """One sentence, token by token, until END."""
    return [student.greedy_decode(table_step(rng, 1), 1, BEGIN, END, PAD, 12) for _ in range(5)]


@check("greedy_decode", points=2, hint="When does a batch stop: when one sentence has ended, or when all have?")
def a_batch_ends_one_by_one(student, rng):
    """The sentences of a batch end at different times, and the short ones are filled up with PAD."""
    scripts = [[5, END], [4, 5, 6, 7, END], [END], [7, 7, END]]
    return {
        "from a script": student.greedy_decode(script_step(scripts), 4, BEGIN, END, PAD, 12),
        "from tables": student.greedy_decode(table_step(rng, 5), 5, BEGIN, END, PAD, 12),
        "other tokens for PAD and END": student.greedy_decode(script_step([[0, 2, 5], [1, 0, 2, 5]]), 2, 4, 5, 7, 12),
    }


@check("greedy_decode", points=1, hint="A sentence has ended, and the machine still talks about it. Who listens?")
def what_has_ended_stays_ended(student, rng):
    """Whatever the machine says about a sentence that has ended, PAD is written."""
    scripts = [[5, END, 6, 7, END, 4, 4, 4], [4, 4, 4, 4, 4, 4, 4, END], [END, END, 5, 5, END, END, 6, 6]]
    return student.greedy_decode(script_step(scripts), 3, BEGIN, END, PAD, 20)


@check("greedy_decode", points=1, hint="Count the tokens that are written. Is BEGIN one of them?")
def the_pen_is_taken_away(student, rng):
    """At most max_length tokens are written, and fewer if END comes sooner."""
    step = script_step([[5, 6, 7, 5, 6, 7], [4, END]])
    return {f"max_length = {n}": student.greedy_decode(step, 2, BEGIN, END, PAD, n) for n in (1, 2, 3, 6)}


@check("greedy_decode", points=1, hint="Once everybody has ended, what is there left to ask?")
def nothing_is_asked_in_vain(student, rng):
    """The machine is asked once for each position, and no more when all sentences have ended."""
    asked = []
    written = student.greedy_decode(script_step([[5, END], [4, 5, END]], asked=asked), 2, BEGIN, END, PAD, 30)
    return {"lengths of the prefixes": asked, "written": written}


# --- beam_search ---

_SCORES = close(rtol=1e-4, atol=1e-5)


@check("beam_search", points=1, hint="A beam of one keeps only the best. What is then the score?", compare=_SCORES)
def a_beam_of_one(student, rng):
    """With a beam of one, the winner is the greedy sentence, and its score the sum of its log-probabilities."""
    return [student.beam_search(table_step(rng, 1), 1, BEGIN, END, 1, 12) for _ in range(3)]


@check(
    "beam_search", points=2, hint="After each step, which of all extensions of all beginnings go on?", compare=_SCORES
)
def beams_of_two_and_more(student, rng):
    """Wider beams find better sentences."""
    return {
        f"beam of {size}": [student.beam_search(table_step(rng, 1), 1, BEGIN, END, size, 12) for _ in range(4)]
        for size in (2, 3, 5)
    }


def from_probabilities(tables, vocabulary=6):
    """A machine with the given probabilities: {prefix: {token: probability}}, one table for each sentence."""

    def step(prefix, sentence):
        rows = []
        for tokens, which in zip(prefix.tolist(), sentence.tolist()):
            choices = tables[which].get(tuple(tokens[1:]), {4: 1.0})
            rows.append([choices.get(token, 0.0) for token in range(vocabulary)])
        return torch.tensor(rows, dtype=torch.float64).log()

    return step


@check(
    "beam_search", points=2, hint="A sentence that has ended can't get worse any more; the others can.", compare=_SCORES
)
def a_finished_sentence_stays_in_the_running(student, rng):
    """A finished hypothesis keeps its place as long as no better ones take it."""
    early = {(): {END: 0.4, 3: 0.35, 4: 0.25}, (3,): {4: 0.6, 5: 0.4}, (4,): {3: 0.9, 5: 0.1}}
    early |= {(3, 4): {END: 0.7, 3: 0.3}, (4, 3): {END: 0.8, 5: 0.2}, (3, 5): {END: 1.0}}
    pushed_out = {(): {3: 0.55, 4: 0.44, END: 0.01}, (3,): {5: 0.9, END: 0.1}, (4,): {3: 0.95, END: 0.05}}
    pushed_out |= {(3, 5): {END: 0.6, 3: 0.4}, (4, 3): {END: 0.97, 3: 0.03}}
    return {
        "the early one wins": student.beam_search(from_probabilities([early]), 1, BEGIN, END, 2, 8),
        "all of the beam has ended": student.beam_search(from_probabilities([early]), 1, BEGIN, END, 3, 8),
        "the early one is pushed out": student.beam_search(from_probabilities([pushed_out]), 1, BEGIN, END, 2, 8),
    }


@check(
    "beam_search",
    points=1,
    hint="Each sentence has a beam of its own, and a machine that knows which it is.",
    compare=_SCORES,
)
def a_beam_for_each_sentence(student, rng):
    """The hypotheses of different sentences don't compete with each other."""
    easy = {(): {3: 0.51, 4: 0.49}, (3,): {END: 0.52, 5: 0.48}, (4,): {END: 0.53, 5: 0.47}}
    easy |= {(3, 5): {END: 1.0}, (4, 5): {END: 1.0}}
    hard = {}
    for prefix in [(), *((a,) for a in (3, 4, 5)), *((a, b) for a in (3, 4, 5) for b in (3, 4, 5))]:
        hard[prefix] = dict(zip((END, 3, 4, 5), rng.dirichlet([40, 60, 60, 60]).tolist()))
    return {
        "two sentences": student.beam_search(table_step(rng, 2), 2, BEGIN, END, 2, 12),
        "an easy and a hard one": student.beam_search(from_probabilities([easy, hard]), 2, BEGIN, END, 2, 4),
        "four sentences": student.beam_search(table_step(rng, 4, ends_after=3), 4, BEGIN, END, 3, 12),
    }


@check("beam_search", points=1, hint="By which number is the log-probability divided, and when?", compare=_SCORES)
def the_length_penalty(student, rng):
    """The winner is the one of the largest score; the beam is kept by log-probability; max_length cuts off."""
    tables = [table_step(rng, 1, ends_after=4) for _ in range(3)]
    spread = {END: 0.28, 3: 0.27, 4: 0.25, 5: 0.2}
    stubborn = {(): {END: 0.4, 3: 0.35, 4: 0.25}, (3,): {5: 0.51, 4: 0.49}, (3, 5): spread, (3, 4): spread}
    curt = {(): {END: 0.5, 3: 0.5 - 1e-3}, (3,): {4: 1.0}, (3, 4): {5: 1.0}, (3, 4, 5): {END: 0.6, 3: 0.4}}
    return {
        "short or long": [
            student.beam_search(from_probabilities([curt]), 1, BEGIN, END, 3, 8, a) for a in (0.0, 0.5, 2)
        ],
        "alpha = 0.7": [student.beam_search(step, 1, BEGIN, END, 3, 12, alpha=0.7) for step in tables],
        "alpha = 1.5": [student.beam_search(step, 1, BEGIN, END, 3, 12, alpha=1.5) for step in tables],
        "the beam goes by log-probability": student.beam_search(
            from_probabilities([stubborn]), 1, BEGIN, END, 2, 3, alpha=1.0
        ),
        "at most two tokens": student.beam_search(from_probabilities([curt]), 1, BEGIN, END, 2, 2, alpha=1.0),
    }


@check("beam_search", points=1, hint="If nothing is ever thrown away, which sentence must win?", compare=_SCORES)
def a_beam_that_holds_everything(student, rng):
    """A beam that is wide enough finds the best of all sentences; it may hold fewer hypotheses than it could."""
    return {
        f"alpha = {alpha}": student.beam_search(table_step(rng, 1, 5, ends_after=2), 1, BEGIN, END, 400, 3, alpha)
        for alpha in (0.0, 1.0)
    }


# --- cached_attention ---


def _attention(student, rng, d=4, heads=2):
    return trained(student.MultiHeadAttention(d, heads), attention_shapes(d), rng)


@check("cached_attention", points=1, hint="Without a past, it is ordinary causal self-attention.")
def the_first_positions_of_a_cache(student, rng):
    """Without a cache: causal self-attention, and the keys and values to keep."""
    layer = _attention(student, rng)
    return {
        "one position": student.cached_attention(layer, single(rng, 1, 1, 4), None),
        "three positions": student.cached_attention(layer, single(rng, 2, 3, 4), None),
    }


@check(
    "cached_attention",
    points=1,
    hint="Whose keys and values does the newest position look at? What is kept for the next?",
)
def one_position_after_the_other(student, rng):
    """Four positions one by one: the outputs, and the cache at the end."""
    layer, cache, outputs = _attention(student, rng), None, []
    for _ in range(4):
        output, cache = student.cached_attention(layer, single(rng, 2, 1, 4), cache)
        outputs.append(output)
    return {"outputs": outputs, "cache": cache}


@check("cached_attention", points=1, hint="Of the new positions, the first must not look at the last. What of the old?")
def several_new_positions(student, rng):
    """Several new positions at once, behind old ones."""
    layer = _attention(student, rng, 6, 3)
    _, cache = student.cached_attention(layer, single(rng, 2, 2, 6), None)
    output, cache = student.cached_attention(layer, single(rng, 2, 3, 6), cache)
    return {
        "output": output,
        "cache": cache,
        "and one more": student.cached_attention(layer, single(rng, 2, 1, 6), cache),
    }


@check("cached_attention", points=1, hint="Two beams go on from one past. Does each have its own?")
def two_futures_of_one_past(student, rng):
    """From one cache two sentences go on, and neither disturbs the other."""
    layer = _attention(student, rng)
    _, past = student.cached_attention(layer, single(rng, 1, 2, 4), None)
    kept = [part.clone() for part in past]
    first = student.cached_attention(layer, single(rng, 1, 1, 4), past)
    second = student.cached_attention(layer, single(rng, 1, 1, 4), past)
    return {"first": first, "second": second, "the past": past, "as it was": kept}


# --- cached_decode ---


def remembering_step(rng, sentences, ends_after, asked, vocabulary=8):
    """A machine whose answers depend on everything in its cache, and on the position that it is told."""
    tables = rng.normal(size=(sentences, 20, vocabulary, vocabulary))
    tables[..., PAD] = tables[..., BEGIN] = -30.0
    for which, length in enumerate(ends_after):
        tables[which, :length, :, END] = -20.0
        tables[which, length, :, END] = 40.0
    tables = torch.from_numpy(tables)

    def step(tokens, start, cache):
        asked.append([int(start), tokens.tolist(), 0 if cache is None else cache.shape[1]])
        seen = tokens.clone() if cache is None else torch.cat([cache, tokens], dim=1)
        mixed = (seen * torch.arange(1, seen.shape[1] + 1)).sum(dim=1) % vocabulary
        position = min(int(start) + tokens.shape[1] - 1, 19)
        return tables[torch.arange(len(tokens)), position, mixed].log_softmax(dim=-1), seen

    return step


@check("cached_decode", points=1, hint="What did the last call return, and at which position is the new token?")
def one_sentence_with_a_cache(student, rng):
    """One sentence, token by token, until END or max_length."""
    return {
        f"{length} tokens": student.cached_decode(remembering_step(rng, 1, [length], []), 1, BEGIN, END, PAD, 7)
        for length in (0, 1, 4, 9)
    }


@check("cached_decode", points=1, hint="It is greedy decoding: what do you know about sentences that have ended?")
def a_batch_with_a_cache(student, rng):
    """The sentences of a batch end at different times; the machine may go on talking about those that have ended."""
    return {
        "three sentences": student.cached_decode(remembering_step(rng, 3, [4, 0, 2], []), 3, BEGIN, END, PAD, 12),
        "other tokens": student.cached_decode(remembering_step(rng, 2, [1, 3], []), 2, 7, END, 6, 12),
    }


def _work(seen):
    calls = seen["calls"]
    return {
        "positions computed": sum(len(tokens[0]) for _, tokens, _ in calls),
        "start of each call": [start for start, _, _ in calls],
        "positions in the cache": [cached for _, _, cached in calls],
        "what the unfinished sentence was given": [tokens[0] for _, tokens, _ in calls],
    }


@check(
    "cached_decode", points=2, after=_work, hint="How often is each position computed? What is new since the last call?"
)
def each_position_is_computed_once(student, rng):
    """The machine is given each position once, with its number and with the cache of all positions before it."""
    calls = []
    student.cached_decode(remembering_step(rng, 2, [6, 3], calls), 2, BEGIN, END, PAD, 12)
    return {"calls": calls}


# --- bleu ---


@check("bleu", points=2, hint="How often may a word of the reference be counted?")
def clipped_counts(student, rng):
    """One candidate and one reference: n-grams count at most as often as in the reference."""
    the, cat = "the the the the the the the".split(), "the cat is on the mat".split()
    guide = "it is a guide to action which ensures that the military always obeys the commands of the party".split()
    truth = "it is a guide to action that ensures that the military will forever heed party commands".split()
    return {
        "words only": student.bleu([the], [[cat]], max_n=1),
        "words and pairs": student.bleu([[3, 4, 3, 4, 3, 4, 5]], [[[3, 4, 5, 3, 4]]], max_n=2),
        "up to four": student.bleu([guide], [[truth]]),
    }


def _sentences(rng, number, words=3):
    return [rng.integers(words, size=rng.integers(4, 9)).tolist() for _ in range(number)]


@check("bleu", points=1, hint="Sum the counts over all sentences first. Then divide.")
def over_the_whole_corpus(student, rng):
    """Matches, totals and lengths are summed over the corpus."""
    candidates, truth = _sentences(rng, 6), _sentences(rng, 6)
    return {
        "six sentences, pairs": student.bleu(candidates, [[one] for one in truth], max_n=2),
        "six sentences, up to four": student.bleu(candidates + truth[:1], [[one] for one in truth + truth[:1]]),
        "one of them does not match at all": student.bleu([[1, 2, 3], [7, 8]], [[[1, 2, 3, 4]], [[5, 6]]], max_n=2),
    }


@check("bleu", points=1, hint="When is the penalty 1? Which length is divided by which?")
def too_short_and_too_long(student, rng):
    """Short translations are punished, long ones are not."""
    truth = [3, 4, 5, 6, 7, 8]
    return {
        f"{length} words": student.bleu([[*truth, 9, 9][:length]], [[truth]], max_n=2) for length in (6, 8, 5, 3, 2)
    } | {"one short and one long": student.bleu([truth[:3], [*truth, 9]], [[truth], [truth]], max_n=2)}


@check("bleu", points=1, hint="Of several references: the largest count of each n-gram, and the closest length.")
def several_references(student, rng):
    """Each candidate may have several references."""
    candidate = [3, 3, 4, 5]
    return {
        "counts from two references": student.bleu([[3, *candidate]], [[[3, 4, 4, 6, 8], [3, 3, 5, 7, 8]]], max_n=2),
        "the closest is the longer": student.bleu([candidate], [[[3, 4], [3, 3, 4, 5, 6], [3] * 9]], max_n=2),
        "equally close": student.bleu([candidate], [[[3, 3, 4, 5, 6], [3, 4, 5]]], max_n=2),
        "different numbers of them": student.bleu(
            _sentences(rng, 3), [_sentences(rng, 1), _sentences(rng, 3), _sentences(rng, 2)], max_n=2
        ),
    }


@check("bleu", points=1, hint="What is the logarithm of 0, and what does a product with 0 give?")
def nothing_in_common(student, rng):
    """BLEU is 0 where some n-grams never match or don't exist, and empty sentences are allowed."""
    return {
        "no word": student.bleu([[3, 4]], [[[5, 6]]], max_n=1),
        "no pair": student.bleu([[3, 4, 5]], [[[5, 4, 3]]], max_n=2),
        "too short for four": student.bleu([[3, 4, 5]], [[[3, 4, 5]]]),
        "an empty candidate": student.bleu([[]], [[[3, 4]]], max_n=1),
        "an empty one among others": student.bleu([[], [3, 4, 5]], [[[3]], [[3, 4, 5]]], max_n=2),
        "words, not letters": student.bleu([["ab", "c"]], [[["a", "bc"]]], max_n=1),
    }


# --- Seq2SeqTask ---

VOCABULARY = 29


class Clerk(nn.Module):
    """Stands for a model: what it says depends on the source and on the token that it has read last.

    In training mode it is absent-minded and says something else. It notes what it is given to read.
    """

    def __init__(self):
        super().__init__()
        self.loudness = nn.Parameter(torch.tensor(1.0))
        self.read = []

    def encode(self, source):
        return nn.functional.one_hot(source, VOCABULARY).float()

    def decode(self, target, memory, source):
        self.read.append([target.tolist(), source.tolist(), self.training])
        length = target.shape[1]
        letters = nn.functional.pad(memory.argmax(dim=-1), (0, length))[:, :length]
        says = 3 + (letters + 2 * target + self.training) % 26
        says = torch.where(letters == PAD, END, says)
        return 9 * self.loudness * nn.functional.one_hot(says, VOCABULARY).float()

    def forward(self, source, target):
        return self.decode(target, self.encode(source), source)


def _words(rng, number, longest=7):
    return [rng.integers(3, VOCABULARY, size=rng.integers(1, longest + 1)).tolist() for _ in range(number)]


@check("Seq2SeqTask", points=1, hint="What does the decoder read at test time? And in which mode is the model?")
def it_writes_without_a_teacher(student, rng):
    """`predict` feeds the model's own words back to it, in evaluation mode, until END or max_length."""
    task = student.Seq2SeqTask(Clerk().train())
    return {
        "one word": task.predict(_words(rng, 1)),
        "words of all lengths": task.predict([*_words(rng, 6), *_words(rng, 1, 1)]),
        "at most three tokens": task.predict([[5, 6, 7, 8, 9], [4]], max_length=3),
        "in training mode": task.model.training,
    }


def _dictation(source, first=None):
    """What the clerk says after `first`, if that and all that follows is read back to it: its own answer, if None."""
    said = [3 + (source[0] + 2 * BEGIN) % 26 if first is None else first]
    for letter in source[1:]:
        said.append(3 + (letter + 2 * said[-1]) % 26)
    return said


@check("Seq2SeqTask", points=1, hint="Would your numbers be the same if the targets were locked away until the end?")
def it_is_measured_without_a_teacher(student, rng):
    """`evaluate` compares what the model writes by itself, token by token and as a whole."""
    task, sources = student.Seq2SeqTask(Clerk()), [[4, 5], *_words(rng, 4, 6)]
    own = [_dictation(source) for source in sources]
    cases = {
        "all right": own,
        "another first letter": [_dictation(source, 28) for source in sources],
        "one word is wrong at its end": [*own[:-1], [*own[-1][:-1], 30]],
        "the last letter is missing": [[*said, 5] for said in own],
        "a letter too many": [said[: max(1, len(said) - 1)] for said in own],
    }
    return {name: list(task.evaluate(sources, targets)) for name, targets in cases.items()}


def _without_padding(rows):
    return sorted({tuple(token for token in row if token != PAD) for row in rows})


def _lesson(seen):
    return {
        "updates": len(seen["losses"]),
        "losses are numbers": all(np.ndim(loss) == 0 for loss in seen["losses"]),
        "what the decoder reads": [list(row) for row in _without_padding(r for read in seen["read"] for r in read[0])],
        "what the encoder reads": [list(row) for row in _without_padding(r for read in seen["read"] for r in read[1])],
        "always in training mode": all(read[2] for read in seen["read"]),
    }


@check("Seq2SeqTask", points=1, after=_lesson, hint="What does the decoder read while it learns to say END?")
def it_learns_with_a_teacher(student, rng):
    """While training, the decoder reads BEGIN and then the truth, in training mode."""
    clerk, source, target = Clerk().eval(), [5, 9, 4], [7, 3, 11, 20]
    losses = student.Seq2SeqTask(clerk).fit([source], [target], steps=3)
    return {"losses": losses, "read": [[read[0][:8], read[1][:8], read[2]] for read in clerk.read]}


class Pupil(nn.Module):
    """Stands for a model that can learn: a recurrent network, which no fault in a Transformer disturbs."""

    def __init__(self, width=48):
        super().__init__()
        self.source_embedding, self.target_embedding = (nn.Embedding(VOCABULARY, width) for _ in range(2))
        self.reader = nn.GRU(width, width, batch_first=True)
        self.output = nn.Linear(width, VOCABULARY)

    def encode(self, source):
        return self.source_embedding(source)

    def decode(self, target, memory, source):
        letters = (source != PAD)[:, :, None]
        start = (memory * letters).sum(dim=1) / letters.sum(dim=1)
        return self.output(self.reader(self.target_embedding(target), start[None])[0])

    def forward(self, source, target):
        return self.decode(target, self.encode(source), source)


def _dictated_by(model, sources):
    """What the model itself has learned to say: a rule that is written into `predict` has taught it nothing."""
    longest = max(map(len, sources))
    source = torch.tensor([[*word, *[PAD] * (longest - len(word))] for word in sources])
    with torch.no_grad():
        memory, written = model.encode(source), torch.full((len(sources), 1), BEGIN)
        for _ in range(longest + 2):
            said = model.decode(written, memory, source)[:, -1].argmax(dim=-1, keepdim=True)
            written = torch.cat([written, said], dim=1)
    return [row[1:].tolist() for row in written]


def _progress(seen):
    losses = seen["losses"]
    return {
        "updates": len(losses),
        "the loss has fallen by half": bool(np.mean(losses[-5:]) < 0.5 * losses[0]),
        "known by heart": seen["known"],
        "known to the model": [said[: said.index(END) + 1] if END in said else said for said in seen["dictated"]],
    }


@check(
    "Seq2SeqTask", points=1, after=_progress, hint="Gradients to zero, backward, step: and is the loss the right one?"
)
def it_learns_two_words_by_heart(student, rng):
    """After 150 updates on two words the loss has fallen, and both words are known."""
    model, sources, targets = Pupil(), [[5, 9, 4], [8]], [[7, 3, 11, 20], [6, 6]]
    task = student.Seq2SeqTask(model)
    losses = task.fit(sources, targets, steps=150)
    return {"losses": losses, "known": task.predict(sources), "dictated": _dictated_by(model.eval(), sources)}


@check(
    "Seq2SeqTask",
    points=3,
    seconds=60,
    given="new_language",
    after="share_of_right_words",
    compare=at_least(0.95),
    hint="Warm up, then let the rate fall; draw new words for each update; and give it time enough.",
)
def it_learns_a_new_language(student, rng, words, translations, new_words):
    """Trained on 5000 words, it translates at least 95 % of 500 new words without a mistake."""
    model = student.Transformer(VOCABULARY, 32, 4, 64, layers=1, dropout=0.0)
    task = student.Seq2SeqTask(model)
    task.fit(words, translations)
    return [task.predict(new_words), _dictated_by(model.eval(), new_words)]


# --- scheduled_sampling (bonus) ---


def _said(tokens, vocabulary=9):
    """Logits whose likeliest tokens are these."""
    return 4 * torch.eye(vocabulary)[tokens] - 1


def _dice(seed=0):
    return torch.Generator().manual_seed(seed)


@check(
    "scheduled_sampling",
    points=2,
    hint="Which rate is teacher forcing? And to which position belongs what was said at t?",
)
def truth_or_own_output(student, rng):
    """A rate of 1 reads the truth only, a rate of 0 the model's own output only, one position later."""
    target, said = _tokens(rng, 3, 4), _said(_tokens(rng, 3, 4))
    return {
        "truth only": student.scheduled_sampling(target, said, BEGIN, PAD, 1.0, _dice()),
        "own output only": student.scheduled_sampling(target, said, BEGIN, PAD, 0.0, _dice()),
        "one token": student.scheduled_sampling(target[:, :1], said[:, :1], BEGIN, PAD, 0.0, _dice()),
    }


@check("scheduled_sampling", points=1, hint="What the model says about padding interests nobody.")
def padding_stays_padding(student, rng):
    """Where the truth is PAD, PAD stays."""
    target = torch.tensor([[5, END, PAD, PAD, PAD], [4, 6, 7, END, PAD]])
    return {
        f"truth rate {rate}": student.scheduled_sampling(target, _said(_tokens(rng, 2, 5)), BEGIN, PAD, rate, _dice())
        for rate in (0.0, 1.0)
    }


def _shares(seen):
    """How often the truth was read: overall, by position, and how much sentences and neighbours differ in that."""
    truth = np.asarray(seen)[:, 1:] == 5
    return {
        "overall": float(truth.mean()),
        "by position": truth.mean(axis=0),
        "deviation between sentences": float(truth.mean(axis=1).std()),
        "begins": bool((np.asarray(seen)[:, 0] == BEGIN).all()),
    }


@check(
    "scheduled_sampling",
    points=2,
    after=_shares,
    compare=close(rtol=0, atol=0.05),
    hint="How many dice are thrown for a batch: one, one for each sentence, or one for each token?",
)
def a_die_for_each_token(student, rng):
    """For each token on its own, the truth is read with the given probability."""
    target, said = torch.full((4000, 9), 5), _said(torch.full((4000, 9), 7))
    return student.scheduled_sampling(target, said, BEGIN, PAD, 0.3, _dice(1))


def _same_and_other(seen):
    return {"same seed": seen[0].tolist() == seen[1].tolist(), "another seed": seen[0].tolist() == seen[2].tolist()}


@check("scheduled_sampling", points=1, after=_same_and_other, hint="Where does your randomness come from?")
def equal_seeds_give_equal_mixtures(student, rng):
    """The generator is the only source of randomness."""
    target, said = torch.full((6, 9), 5), _said(torch.full((6, 9), 7))
    return [student.scheduled_sampling(target, said, BEGIN, PAD, 0.5, _dice(seed)) for seed in (3, 3, 4)]
