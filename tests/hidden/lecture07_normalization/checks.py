"""Hidden tests of lecture 7: what an implementation of each normalization gives."""

import math

import numpy as np
import torch

from grader import Problem, check, close

NORMALIZATION = (
    *(
        f"torch.nn.{name}"
        for name in (
            "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d "
            "LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d LazyInstanceNorm2d "
            "LazyInstanceNorm3d RMSNorm"
        ).split()
    ),
    *(
        f"{module}.{name}"
        for module in ("torch.nn.functional", "torch")
        for name in ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")
    ),
    "torch.native_batch_norm",
    "torch.native_layer_norm",
    "torch.native_group_norm",
    "sklearn.preprocessing.StandardScaler",
    "sklearn.preprocessing.scale",
    "scipy.stats.zscore",
    "scipy.stats.zmap",
)
# As torch dispatches them: the second half shows only under torch.inference_mode(), where nothing is taken apart.
OPERATORS = (
    "aten::native_batch_norm",
    "aten::_native_batch_norm_legit",
    "aten::_native_batch_norm_legit_functional",
    "aten::_native_batch_norm_legit_no_training",
    "aten::_batch_norm_with_update",
    "aten::batch_norm_update_stats",
    "aten::native_layer_norm",
    "aten::native_group_norm",
    "aten::batch_norm",
    "aten::layer_norm",
    "aten::group_norm",
    "aten::instance_norm",
    "aten::rms_norm",
)
AUTOGRAD = (
    "torch.autograd.grad",
    "torch.autograd.backward",
    "torch.autograd.functional.jacobian",
    "torch.autograd.functional.vjp",
    "torch.func.grad",
    "torch.func.vjp",
    "torch.func.jacrev",
    "torch.func.jacfwd",
)
FOLDING = tuple(
    f"torch.nn.utils.{name}"
    for name in (
        "fuse_conv_bn_weights fuse_linear_bn_weights fuse_conv_bn_eval fuse_linear_bn_eval "
        "fusion.fuse_conv_bn_weights fusion.fuse_linear_bn_weights fusion.fuse_conv_bn_eval fusion.fuse_linear_bn_eval"
    ).split()
)

PROBLEMS = (
    Problem("feature_normalize", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("smoothness"),
    Problem("batch_norm_forward", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("batch_norm_backward", forbidden=(*NORMALIZATION, *AUTOGRAD), operators=OPERATORS),
    Problem("update_running_statistics", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("BatchNorm1d", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("BatchNorm2d", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("layer_norm", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("instance_norm", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("group_norm", forbidden=NORMALIZATION, operators=OPERATORS),
    Problem("fold_batch_norm", forbidden=FOLDING),
    Problem("batch_size_effect", bonus=True),
)


def tensor(rng, *shape, scale=1.0, shift=0.0):
    """A float64 tensor of random numbers."""
    return torch.from_numpy(rng.normal(shift, scale, size=shape))


def single(rng, *shape, scale=1.0, shift=0.0):
    """A float32 tensor of random numbers."""
    return tensor(rng, *shape, scale=scale, shift=shift).float()


# --- feature_normalize ---


@check("feature_normalize", points=3, hint="Which examples does a feature's mean run over, and what is it divided by?")
def training_features_are_normalized(student, rng):
    """Every feature of the training set gets mean 0 and standard deviation 1."""
    some, many = rng.normal(5, 3, size=(3, 1)), rng.normal([1, -40, 900], [0.1, 7, 300], size=(8, 3))
    return {
        "three examples of one feature": student.feature_normalize(some, some[:1])[0],
        "eight examples of three features": student.feature_normalize(many, many[:1])[0],
    }


@check("feature_normalize", points=3, hint="Imagine that the test examples arrive one at a time. Which ruler is there?")
def the_test_set_is_measured_with_the_training_ruler(student, rng):
    """Test examples are normalized with the training set's statistics."""
    train = rng.normal([3, 100], [1, 30], size=(10, 2))
    one, large = rng.normal([3, 100], [1, 30], size=(1, 2)), rng.normal([9, 400], [2, 10], size=(6, 2))
    return {
        "one test example": student.feature_normalize(train, one)[1],
        "a test set of larger values": student.feature_normalize(train, large)[1],
    }


@check("feature_normalize", points=2, hint="Ask the values whether they all agree: a rounded deviation may not tell.")
def a_constant_feature_is_only_shifted(student, rng):
    """A feature that never changes in training is shifted and not scaled."""
    test = rng.normal(7, 1, size=(2, 2))
    return {
        "always 7": student.feature_normalize(np.column_stack([np.full(4, 7.0), np.arange(4.0)]), test),
        "always 0.1, where the deviation rounds to 1e-17": student.feature_normalize(
            np.column_stack([np.full(10, 0.1), np.arange(10.0)]), test
        ),
    }


@check("feature_normalize", points=1, hint="The formula has no small number in the denominator.")
def a_small_unit_does_not_matter(student, rng):
    """Wavelengths in metres, a few 1e-7, are normalized as well as any other feature."""
    train = rng.uniform(4e-7, 7e-7, size=(6, 1))
    return student.feature_normalize(train, train[:2] + 1e-7)


@check("feature_normalize", points=1, hint="Which step of yours turns float32 into float64?")
def normalized_features_keep_single_precision(student, rng):
    """float32 features stay float32."""
    train, test = rng.normal(2, 3, size=(2, 5, 2)).astype(np.float32)
    return student.feature_normalize(train, test)


# --- smoothness ---


def _standardize(x):
    return (x - 2) / 5


def _pass_on(x):
    return x


@check("smoothness", points=2, hint="The Hessian's eigenvalues are the curvatures: the steepest against the flattest.")
def condition_numbers_of_the_surface(student, rng):
    """The condition number of the Hessian, before and after."""
    one, three = rng.normal(2, 5, size=(6, 1)), rng.normal([1, 2, 0], [1, 5, 10], size=(12, 3))
    return {
        "one feature": student.smoothness(one, _standardize),
        "three features of different scale": student.smoothness(three, lambda x: x / np.array([1.0, 5.0, 10.0])),
    }


@check("smoothness", points=1, hint="A linear layer has one more parameter than there are features.")
def the_bias_is_part_of_the_surface(student, rng):
    """Features far from 0 make a narrow valley between bias and weight."""
    return student.smoothness(rng.normal(20, 1, size=(8, 1)), lambda x: x - 20)


@check("smoothness", points=1, hint="What comes back first: the surface as it was, or as it is now?")
def a_normalization_may_make_things_worse(student, rng):
    """A careless rescaling makes the surface steeper: the second number is then the larger one."""
    return student.smoothness(rng.normal(size=(9, 2)), lambda x: x * np.array([1.0, 50.0]))


def _flat(observed):
    return ["flat" if float(value) == math.inf else value for value in observed]


@check(
    "smoothness",
    points=1,
    hint="Which eigenvalue belongs to a direction in which the loss does not change?",
    after=_flat,
)
def a_flat_direction_has_an_infinite_condition_number(student, rng):
    """Two equal features leave a flat direction, which no scaling removes."""
    x = rng.normal(size=(7, 1))
    return student.smoothness(np.column_stack([x, x]), _pass_on)


# --- batch_norm_forward ---


@check("batch_norm_forward", points=3, hint="One mean and one variance for each feature, over the m examples.")
def features_of_a_batch_are_normalized(student, rng):
    """Every feature of the batch is normalized over the examples."""
    two, many = rng.normal(3, 2, size=(2, 1)), rng.normal([0, 50, -3], [1, 10, 0.2], size=(6, 3))
    return {
        "two examples of one feature": student.batch_norm_forward(two, np.ones(1), np.zeros(1))[0],
        "six examples of three features": student.batch_norm_forward(many, np.ones(3), np.zeros(3))[0],
    }


@check("batch_norm_forward", points=2, hint="gamma and beta have one entry for each feature: which axis is that?")
def gamma_and_beta_belong_to_features(student, rng):
    """gamma stretches and beta shifts each feature, also where there are as many examples as features."""
    z, gamma, beta = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    return student.batch_norm_forward(z, gamma, beta)[0]


@check("batch_norm_forward", points=2, hint="Read again what eps is added to.")
def eps_is_added_to_the_variance(student, rng):
    """eps is added to the variance, before the root."""
    z, tiny = rng.normal(size=(5, 2)), rng.normal(0, 1e-3, size=(5, 2))
    return {
        "eps = 0.5": student.batch_norm_forward(z, np.ones(2), np.zeros(2), eps=0.5)[0],
        "a feature of tiny variance": student.batch_norm_forward(tiny, np.ones(2), np.zeros(2))[0],
    }


@check("batch_norm_forward", points=2, hint="What is z minus its mean there, and what keeps the denominator above 0?")
def a_feature_without_variance_becomes_beta(student, rng):
    """Where all examples agree, the output is beta."""
    beta = rng.normal(size=2)
    return {
        "a batch of one": student.batch_norm_forward(rng.normal(size=(1, 2)), np.ones(2), beta)[0],
        "a feature that is always 3": student.batch_norm_forward(np.full((4, 2), 3.0), np.ones(2), beta)[0],
    }


@check("batch_norm_forward", points=2, hint="Compare name, meaning and shape of each of the three with the docstring.")
def the_cache_holds_what_backward_needs(student, rng):
    """The cache is (z_tilde, gamma, sigma)."""
    z, gamma, beta = rng.normal(2, 3, size=(5, 3)), rng.normal(size=3), rng.normal(size=3)
    return student.batch_norm_forward(z, gamma, beta, eps=0.25)[1]


@check("batch_norm_forward", points=1, hint="Which step of yours turns float32 into float64?")
def forward_keeps_single_precision(student, rng):
    """float32 in, float32 out: output and cache."""
    z, gamma, beta = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 2), 2, 2))
    return student.batch_norm_forward(z, gamma, beta)


# --- batch_norm_backward ---


def _cache(rng, m, d, spread=1.0):
    """What a batch might leave behind: m examples with mean 0 and a mean square of `spread` in each of d features."""
    ones_first, _ = np.linalg.qr(np.column_stack([np.ones(m), rng.normal(size=(m, d))]))
    return math.sqrt(spread * m) * ones_first[:, 1:], rng.normal(size=d), rng.uniform(0.5, 3, size=d)


@check("batch_norm_backward", points=2, hint="beta is added to every example: how does the loss change if it grows?")
def gradient_for_beta(student, rng):
    """The gradient for beta."""
    return student.batch_norm_backward(rng.normal(size=(5, 3)), _cache(rng, 5, 3))[2]


@check("batch_norm_backward", points=2, hint="gamma multiplies something in every example: what, and how often?")
def gradient_for_gamma(student, rng):
    """The gradient for gamma."""
    return student.batch_norm_backward(rng.normal(size=(5, 3)), _cache(rng, 5, 3))[1]


@check(
    "batch_norm_backward", points=5, hint="Three roads lead from z to the loss: straight, through mu, through sigma."
)
def gradient_for_z(student, rng):
    """The gradient for the batch itself."""
    return {
        "three examples of one feature": student.batch_norm_backward(rng.normal(size=(3, 1)), _cache(rng, 3, 1))[0],
        "seven examples of four features": student.batch_norm_backward(rng.normal(size=(7, 4)), _cache(rng, 7, 4))[0],
        "a feature of little variance, where eps counts": student.batch_norm_backward(
            rng.normal(size=(5, 2)), _cache(rng, 5, 2, spread=0.3)
        )[0],
    }


@check("batch_norm_backward", points=2, hint="Add 1 to every z: what does BatchNorm make of it?")
def shifting_the_batch_changes_nothing(student, rng):
    """A gradient that pulls all examples the same way comes to nothing."""
    return student.batch_norm_backward(np.ones((4, 1)) * rng.normal(size=2), _cache(rng, 4, 2))[0]


@check("batch_norm_backward", points=2, hint="Double every distance from the mean: what does BatchNorm make of it?")
def stretching_the_batch_changes_little(student, rng):
    """A gradient that pulls the examples apart comes to nothing, but for what eps lets pass."""
    caches = {"no eps": _cache(rng, 4, 2), "where eps counts": _cache(rng, 4, 2, spread=0.3)}
    return {name: student.batch_norm_backward(cache[0].copy(), cache)[0] for name, cache in caches.items()}


@check("batch_norm_backward", points=1, hint="Which step of yours turns float32 into float64?")
def backward_keeps_single_precision(student, rng):
    """float32 in, float32 out: all three gradients."""
    cache = tuple(part.astype(np.float32) for part in _cache(rng, 4, 2))
    return student.batch_norm_backward(rng.normal(size=(4, 2)).astype(np.float32), cache)


# --- update_running_statistics ---


@check(
    "update_running_statistics", points=2, hint="A momentum of 0.1: is the old value mostly kept or mostly replaced?"
)
def the_running_mean_moves(student, rng):
    """The running mean moves towards the batch's by the share `momentum`."""
    z, mean = rng.normal(5, 2, size=(6, 2)), rng.normal(size=2)
    return {
        "momentum 0.1": student.update_running_statistics(mean, np.ones(2), z)[0],
        "momentum 0.3": student.update_running_statistics(mean, np.ones(2), z, momentum=0.3)[0],
    }


@check("update_running_statistics", points=3, hint="Which of the two variances is an unbiased estimate for all data?")
def the_running_variance_moves(student, rng):
    """The running variance moves towards the unbiased variance of the batch."""
    two, eight, variance = rng.normal(size=(2, 1)), rng.normal(0, 3, size=(8, 3)), rng.uniform(1, 2, size=3)
    return {
        "two examples": student.update_running_statistics(np.zeros(1), np.ones(1), two)[1],
        "eight examples": student.update_running_statistics(np.zeros(3), variance, eight, momentum=0.25)[1],
    }


@check("update_running_statistics", points=1, hint="Put the extreme values of momentum into the formula.")
def extreme_momentum(student, rng):
    """Momentum 0 keeps the old statistics, momentum 1 takes the batch's."""
    z, (mean, variance) = rng.normal(size=(5, 2)), rng.uniform(1, 2, size=(2, 2))
    return {
        "momentum 0": student.update_running_statistics(mean, variance, z, momentum=0.0),
        "momentum 1": student.update_running_statistics(mean, variance, z, momentum=1.0),
    }


@check(
    "update_running_statistics",
    points=1,
    hint="Each update starts from what the last one returned, and from nothing else.",
)
def the_statistics_after_many_batches(student, rng):
    """After thirty batches the statistics are those of the recent batches."""
    mean, variance = np.zeros(2), np.ones(2)
    for z in rng.normal([3, -1], [2, 5], size=(30, 4, 2)):
        mean, variance = student.update_running_statistics(mean, variance, z, momentum=0.2)
    return mean, variance


@check("update_running_statistics", points=1, hint="Which step of yours turns float32 into float64?")
def running_statistics_keep_single_precision(student, rng):
    """float32 in, float32 out."""
    mean, variance = rng.uniform(1, 2, size=(2, 3)).astype(np.float32)
    return student.update_running_statistics(mean, variance, rng.normal(size=(4, 3)).astype(np.float32))


# --- BatchNorm1d ---


def _with_state(layer, rng):
    """The layer with random parameters and statistics in place of 1 and 0, as after some training."""
    size = len(layer.weight)
    state = {"weight": single(rng, size), "bias": single(rng, size), "running_mean": single(rng, size)}
    state["running_var"] = torch.from_numpy(rng.uniform(0.5, 4, size=size)).float()
    layer.load_state_dict(state, strict=False)
    return layer


@check("BatchNorm1d", points=3, hint="In training: whose mean and variance, over which axis, and what follows them?")
def training_uses_the_batch(student, rng):
    """In training mode a batch is normalized with its own statistics, then stretched and shifted."""
    x, large = single(rng, 3, 2), single(rng, 6, 4, scale=5, shift=20)
    return {
        "fresh layer": student.BatchNorm1d(2)(x),
        "the batch afterwards": x,
        "trained layer, eps = 0.5": _with_state(student.BatchNorm1d(4, eps=0.5), rng)(large),
    }


@check("BatchNorm1d", points=3, hint="`self.training` tells the mode. What does a single example have to lean on?")
def evaluation_uses_the_running_statistics(student, rng):
    """In evaluation mode the running statistics are used, for one example or many."""
    layer = _with_state(student.BatchNorm1d(3, eps=0.1), rng).eval()
    return {"one example": layer(single(rng, 1, 3)), "five examples": layer(single(rng, 5, 3, scale=4, shift=7))}


@check("BatchNorm1d", points=2, hint="Compare with update_running_statistics: how much of the new, and which variance?")
def training_moves_the_running_statistics(student, rng):
    """Every training batch moves the running mean and variance."""
    first, second = student.BatchNorm1d(2), student.BatchNorm1d(2, momentum=0.4)
    first(single(rng, 2, 2, shift=5))
    for _ in range(3):
        second(single(rng, 5, 2, scale=3, shift=-2))
    return {
        "one batch": (first.running_mean, first.running_var),
        "three batches, momentum 0.4": (second.running_mean, second.running_var),
    }


@check("BatchNorm1d", points=1, hint="Looking at test examples must leave no trace.")
def evaluation_changes_nothing(student, rng):
    """In evaluation mode no statistic moves."""
    layer = _with_state(student.BatchNorm1d(2), rng).eval()
    layer(single(rng, 4, 2, scale=3, shift=9))
    return layer.running_mean, layer.running_var


@check("BatchNorm1d", points=2, hint="What does the optimizer train, what is only remembered, and what is saved?")
def parameters_and_buffers(student, rng):
    """A layer has PyTorch's two parameters and three buffers; the last one counts the training batches."""
    layer = student.BatchNorm1d(3)
    parameters = sorted(name for name, _ in layer.named_parameters())
    state = {name: value.clone() for name, value in sorted(layer.state_dict().items())}
    for _ in range(2):
        layer(single(rng, 4, 3))
    layer.eval()(single(rng, 4, 3))
    return {
        "parameters": parameters,
        "state of a new layer": state,
        "batches counted": layer.state_dict()["num_batches_tracked"],
    }


@check("BatchNorm1d", points=2, hint="mu and sigma move with the inputs: may autograd see how they are made?")
def gradients_flow_through_the_statistics(student, rng):
    """The gradients for the batch, weight and bias are those of the whole formula."""
    layer, x = _with_state(student.BatchNorm1d(3), rng), single(rng, 5, 3).requires_grad_()
    (layer(x) * single(rng, 5, 3)).sum().backward()
    return {"batch": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad}


@check("BatchNorm1d", points=1, hint="The statistics that are remembered are numbers: they need no history.")
def running_statistics_stay_outside_the_graph(student, rng):
    """No gradient flows from an evaluation back into the batches of the training."""
    layer, batch = student.BatchNorm1d(2), single(rng, 4, 2).requires_grad_()
    layer(batch)
    output = layer.eval()(single(rng, 3, 2))
    return {
        "running_mean requires a gradient": layer.running_mean.requires_grad,
        "running_var requires a gradient": layer.running_var.requires_grad,
        "gradient for the training batch": torch.autograd.grad(output.sum(), batch, allow_unused=True)[0],
    }


@check(
    "BatchNorm1d", points=1, hint="What is the unbiased variance of one number, and what does it do to the running one?"
)
def a_training_batch_of_one_is_refused(student, rng):
    """A training batch of one example raises ValueError."""
    layer = student.BatchNorm1d(2)
    try:
        layer(single(rng, 1, 2))
    except ValueError:
        return "raised ValueError"
    return "raised nothing"


@check("BatchNorm1d", points=1, hint="How does a module know which of its tensors to convert along with it?")
def the_layer_converts_as_a_whole(student, rng):
    """`layer.double()` converts the running statistics too, and the output is float64."""
    layer = student.BatchNorm1d(2).double()
    return {"output": layer(tensor(rng, 4, 2)), "statistics": (layer.running_mean, layer.running_var)}


# --- BatchNorm2d ---


@check("BatchNorm2d", points=3, hint="Each pixel is one more example. Which three axes does a channel's mean run over?")
def channels_of_pictures_are_normalized(student, rng):
    """In training each channel is normalized over all pictures, rows and columns."""
    small, large = single(rng, 2, 1, 2, 2), single(rng, 3, 4, 2, 5, scale=3)
    large += single(rng, 4, 1, 1, scale=10)
    return {
        "two pictures of one channel": student.BatchNorm2d(1)(small),
        "three pictures of four channels": _with_state(student.BatchNorm2d(4, eps=0.1), rng)(large),
        "the batch afterwards": large,
    }


@check("BatchNorm2d", points=2, hint="How many numbers does the variance of one channel come from?")
def the_running_statistics_of_channels(student, rng):
    """The running statistics of a channel count every pixel."""
    layer = student.BatchNorm2d(3, momentum=0.3)
    for _ in range(2):
        layer(single(rng, 2, 3, 1, 2, scale=4, shift=3))
    return {"running_mean": layer.running_mean, "running_var": layer.running_var}


@check("BatchNorm2d", points=1, hint="After training a picture is judged with remembered statistics, of which shape?")
def evaluation_of_single_pictures(student, rng):
    """In evaluation mode the running statistics of the channels are used."""
    layer = _with_state(student.BatchNorm2d(2, eps=0.1), rng).eval()
    return layer(single(rng, 1, 2, 2, 3, scale=4, shift=-7))


@check("BatchNorm2d", points=1, hint="Count the values of a channel, not the pictures.")
def one_picture_is_enough_to_train(student, rng):
    """A training batch of one picture is fine: it has many pixels."""
    return student.BatchNorm2d(2)(single(rng, 1, 2, 3, 2))


@check("BatchNorm2d", points=1, hint="mu and sigma move with the inputs: may autograd see how they are made?")
def gradients_flow_through_the_statistics_of_channels(student, rng):
    """The gradients are those of the whole formula."""
    layer, x = _with_state(student.BatchNorm2d(2), rng), single(rng, 2, 2, 2, 2).requires_grad_()
    (layer(x) * single(rng, 2, 2, 2, 2)).sum().backward()
    return {"pictures": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad}


# --- layer_norm ---


@check("layer_norm", points=2, hint="Each example is on its own: along which axis does its mean run?")
def each_example_is_normalized_by_itself(student, rng):
    """Each row is normalized over its features; gamma and beta belong to the features."""
    square = tensor(rng, 4, 4, scale=2) + tensor(rng, 4, 1, scale=10)
    return {
        "one example": student.layer_norm(tensor(rng, 1, 3), torch.ones(3).double(), torch.zeros(3).double()),
        "four examples of four features": student.layer_norm(square, tensor(rng, 4), tensor(rng, 4)),
    }


@check("layer_norm", points=2, hint="Only the last axis counts, however many there are before it.")
def any_leading_axes(student, rng):
    """Vectors, sentences and heads of sentences are normalized along the last axis."""
    gamma, beta = tensor(rng, 3), tensor(rng, 3)
    shapes = {"a vector": (3,), "sentences of words": (2, 4, 3), "with heads": (2, 3, 3, 3)}
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


def _gradients(function, rng, x, *affine):
    """The gradients of a random weighing of the outputs, for the input and for gamma and beta."""
    for leaf in (x, *affine):
        leaf.requires_grad_()
    output = function(x, *affine)
    (output * single(rng, *x.shape)).sum().backward()
    return {"output": output, "input": x.grad, "gamma": affine[0].grad, "beta": affine[1].grad}


@check("layer_norm", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def layer_norm_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the input, gamma and beta."""
    return _gradients(student.layer_norm, rng, single(rng, 3, 4), single(rng, 4), single(rng, 4))


# --- instance_norm ---


@check("instance_norm", points=2, hint="How many means are there for N pictures of C channels?")
def each_channel_of_each_picture_by_itself(student, rng):
    """Every channel of every picture is normalized over its own pixels."""
    pictures = tensor(rng, 2, 3, 2, 4, scale=2) + tensor(rng, 2, 3, 1, 1, scale=10)
    one, zero = torch.ones(3).double(), torch.zeros(3).double()
    return {
        "one picture": student.instance_norm(tensor(rng, 1, 1, 2, 2), one[:1], zero[:1]),
        "two pictures of three channels": student.instance_norm(pictures, one, zero),
    }


@check("instance_norm", points=2, hint="gamma and beta have one entry for each channel: which axis is that?")
def gamma_and_beta_belong_to_channels(student, rng):
    """gamma and beta belong to the channels, also where a picture is as wide as it has channels."""
    return student.instance_norm(tensor(rng, 3, 3, 3, 3), tensor(rng, 3), tensor(rng, 3))


@check("instance_norm", points=1, hint="Where is eps added, and what becomes of a channel of one brightness?")
def a_channel_of_one_brightness(student, rng):
    """eps keeps a channel without variance finite, and is added to the variance."""
    gamma, beta = tensor(rng, 2), tensor(rng, 2)
    return {
        "one brightness": student.instance_norm(torch.full((1, 2, 2, 2), 3.0).double(), gamma, beta),
        "eps = 0.5": student.instance_norm(tensor(rng, 1, 2, 2, 3), gamma, beta, eps=0.5),
    }


@check("instance_norm", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def instance_norm_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the input, gamma and beta."""
    return _gradients(student.instance_norm, rng, single(rng, 2, 2, 2, 2), single(rng, 2), single(rng, 2))


# --- group_norm ---


@check("group_norm", points=2, hint="Which channels are in one family, and how many families are there?")
def groups_of_neighbours_share_a_mean(student, rng):
    """Each group of neighbouring channels of each picture is normalized over all its pixels."""
    pictures = tensor(rng, 2, 6, 2, 3) + tensor(rng, 2, 6, 1, 1, scale=10)
    four = tensor(rng, 1, 4, 1, 1, scale=10)
    return {
        "four channels of one pixel, two groups": student.group_norm(
            four, 2, torch.ones(4).double(), torch.zeros(4).double()
        ),
        "six channels, three groups": student.group_norm(pictures, 3, torch.ones(6).double(), torch.zeros(6).double()),
    }


@check("group_norm", points=2, hint="Statistics belong to groups. What do gamma and beta belong to?")
def gamma_and_beta_are_not_shared_in_a_group(student, rng):
    """Each channel has its own gamma and beta, also where a picture is as wide as it has channels."""
    return student.group_norm(tensor(rng, 4, 4, 4, 4), 2, tensor(rng, 4), tensor(rng, 4))


@check("group_norm", points=2, hint="Which relative is it if all channels are one family? And if each is alone?")
def one_group_or_as_many_as_channels(student, rng):
    """One group takes in the whole picture; as many groups as channels keep each channel to itself."""
    x, gamma, beta = tensor(rng, 2, 4, 2, 2, scale=3, shift=1), tensor(rng, 4), tensor(rng, 4)
    return {
        "one group": student.group_norm(x, 1, gamma, beta, eps=0.5),
        "four groups of four channels": student.group_norm(x, 4, gamma, beta, eps=0.5),
    }


@check("group_norm", points=1, hint="Which of your steps needs the numbers to lie in memory in one fixed order?")
def pictures_in_any_memory_layout(student, rng):
    """Transposed pictures, whose numbers lie in memory in another order, give the same values."""
    x = tensor(rng, 3, 2, 2, 4).permute(1, 3, 2, 0)
    return student.group_norm(x, 2, tensor(rng, 4), tensor(rng, 4))


@check("group_norm", points=1, hint="Does anything on the way leave the graph, or change the dtype?")
def group_norm_can_be_trained(student, rng):
    """float32 stays float32, and gradients flow to the input, gamma and beta."""

    def two_groups(x, gamma, beta):
        return student.group_norm(x, 2, gamma, beta)

    return _gradients(two_groups, rng, single(rng, 2, 4, 2, 1), single(rng, 4), single(rng, 4))


# --- fold_batch_norm ---


def _statistics(rng, size):
    """Running mean and variance, gamma and beta of a trained layer."""
    variance = torch.from_numpy(rng.uniform(0.5, 4, size=size))
    return tensor(rng, size), variance, tensor(rng, size), tensor(rng, size)


@check(
    "fold_batch_norm", points=2, hint="Write out the formula for one output: what multiplies x, and what is left over?"
)
def a_linear_layer_is_folded(student, rng):
    """Weight and bias of a linear layer take in the BatchNorm after it."""
    return {
        "one output": student.fold_batch_norm(tensor(rng, 1, 2), tensor(rng, 1), *_statistics(rng, 1)),
        "three outputs of three inputs": student.fold_batch_norm(
            tensor(rng, 3, 3), tensor(rng, 3), *_statistics(rng, 3)
        ),
    }


@check("fold_batch_norm", points=2, hint="The scale belongs to the outputs: which axis of a kernel is that?")
def a_convolution_is_folded(student, rng):
    """The kernels and biases of a convolution take in the BatchNorm after it."""
    return student.fold_batch_norm(tensor(rng, 2, 2, 2, 2), tensor(rng, 2), *_statistics(rng, 2))


@check("fold_batch_norm", points=1, hint="No bias means that the layer adds 0.")
def a_layer_without_bias_is_folded(student, rng):
    """A layer without a bias gets one."""
    return student.fold_batch_norm(tensor(rng, 2, 3), None, *_statistics(rng, 2))


@check("fold_batch_norm", points=1, hint="The folded layer must divide by exactly what BatchNorm divides by.")
def eps_is_folded_in(student, rng):
    """eps counts as in BatchNorm, which shows where a variance is small."""
    mean, variance, gamma, beta = _statistics(rng, 2)
    return {
        "eps = 0.5": student.fold_batch_norm(tensor(rng, 2, 2), tensor(rng, 2), mean, variance, gamma, beta, eps=0.5),
        "variances of 1e-5 and 0": student.fold_batch_norm(
            tensor(rng, 2, 2), tensor(rng, 2), mean, torch.tensor([1e-5, 0.0]).double(), gamma, beta
        ),
    }


@check("fold_batch_norm", points=1, hint="Which step of yours changes the dtype?")
def folding_keeps_single_precision(student, rng):
    """float32 in, float32 out."""
    statistics = (part.float() for part in _statistics(rng, 2))
    return student.fold_batch_norm(single(rng, 2, 3), single(rng, 2), *statistics)


# --- batch_size_effect (bonus) ---

# Right answers with other random numbers scatter by about 1 % around the same values.
_ROUGHLY = close(rtol=0.1)


@check("batch_size_effect", points=2, hint="A root of a mean of squares, in units of the deviation.", compare=_ROUGHLY)
def the_error_of_the_mean(student, rng):
    """The error of the batch's mean against the batch size."""
    features = rng.uniform(5, [6, 20, 7, 9], size=(32, 4))
    return student.batch_size_effect(features, [1, 4, 24], 1000, rng)[0]


@check(
    "batch_size_effect", points=2, hint="Compare two biased variances, and divide by the true one.", compare=_ROUGHLY
)
def the_error_of_the_variance(student, rng):
    """The relative error of the batch's variance against the batch size."""
    features = rng.uniform(5, [6, 20, 7, 9], size=(32, 4))
    return student.batch_size_effect(features, [4, 12], 2000, rng)[1]


@check(
    "batch_size_effect", points=2, hint="How far off is a batch that holds everything? And the variance of one example?"
)
def the_smallest_and_the_largest_batch(student, rng):
    """A batch of all examples has no error; the variance of a single example is off by exactly 1."""
    means, variances = student.batch_size_effect(rng.normal(3, 2, size=(6, 2)), [1, 6], 20, rng)
    return {
        "mean of all examples": means[1],
        "variance of one example and of all": variances,
    }
