"""Right solutions of lecture 9 that look unlike the reference: the hidden tests must accept them."""

import math

import numpy as np
import torch
from torch import nn

from grader import alternative
from solutions.lecture09_convolution import affine_grid, conv_output_size, grid_sample, pad2d

# --- conv_output_size, pad2d ---


@alternative("conv_output_size")
def by_counting(size, kernel, stride=1, padding=0, dilation=1):
    span = 1 + dilation * (kernel - 1)
    starts = range(0, size + 2 * padding - span + 1, stride)
    if len(starts) == 0:
        raise ValueError("no place")
    return len(starts)


@alternative("conv_output_size")
def with_floor(size, kernel, stride=1, padding=0, dilation=1):
    result = math.floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1)
    if result <= 0:
        raise ValueError("no place")
    return result


@alternative("pad2d")
def into_a_full_array(x, padding, value=0.0):
    n, c, h, w = x.shape
    framed = np.full((n, c, h + 2 * padding, w + 2 * padding), value, dtype=x.dtype)
    framed[:, :, padding : padding + h, padding : padding + w] = x
    return framed


@alternative("pad2d")
def glued_together(x, padding, value=0.0):
    if padding == 0:
        return x
    n, c, h, _ = x.shape
    side = np.full((n, c, h, padding), value, dtype=x.dtype)
    x = np.concatenate([side, x, side], axis=3)
    bar = np.full((n, c, padding, x.shape[3]), value, dtype=x.dtype)
    return np.concatenate([bar, x, bar], axis=2)


# --- conv2d, conv2d_fast ---


def _sizes(x, w, stride, padding):
    return (
        (x.shape[2] + 2 * padding - w.shape[2]) // stride + 1,
        (x.shape[3] + 2 * padding - w.shape[3]) // stride + 1,
    )


@alternative("conv2d")
def seven_loops(x, w, b=None, stride=1, padding=0):
    (n, c, height, width), (o, _, kh, kw) = x.shape, w.shape
    rows, columns = _sizes(x, w, stride, padding)
    y = np.zeros((n, o, rows, columns), dtype=x.dtype)
    for picture in range(n):
        for out in range(o):
            for i in range(rows):
                for j in range(columns):
                    total = 0.0 if b is None else b[out]
                    for channel in range(c):
                        for u in range(kh):
                            for v in range(kw):
                                row, column = stride * i + u - padding, stride * j + v - padding
                                if 0 <= row < height and 0 <= column < width:
                                    total += w[out, channel, u, v] * x[picture, channel, row, column]
                    y[picture, out, i, j] = total
    return y


@alternative("conv2d")
def in_the_frequency_domain(x, w, b=None, stride=1, padding=0):
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    size = x.shape[2:]
    product = np.einsum("ncpq,ocpq->nopq", np.fft.rfft2(x), np.conj(np.fft.rfft2(w, s=size)))
    y = np.fft.irfft2(product, s=size)[:, :, : size[0] - w.shape[2] + 1, : size[1] - w.shape[3] + 1]
    y = y[:, :, ::stride, ::stride].astype(x.dtype)
    return y if b is None else y + b.reshape(1, -1, 1, 1)


@alternative("conv2d_fast")
def weight_by_weight(x, w, b=None, stride=1, padding=0):
    """A loop over the few places inside the kernel."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    rows, columns = _sizes(x, w, stride, 0)
    y = np.zeros((len(x), len(w), rows, columns), dtype=x.dtype)
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            part = x[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride]
            part = part[:, :, :rows, :columns]
            y += np.tensordot(w[:, :, u, v], part, axes=(1, 1)).transpose(1, 0, 2, 3)
    if b is not None:
        y += b[None, :, None, None]
    return y


@alternative("conv2d_fast")
def with_a_table_of_indices(x, w, b=None, stride=1, padding=0):
    """im2col as in many courses: fancy indexing with rows and columns."""
    n, c, _, _ = x.shape
    o, _, kh, kw = w.shape
    rows, columns = _sizes(x, w, stride, padding)
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode="constant")
    i = np.tile(np.repeat(np.arange(kh), kw), c)[:, None] + stride * np.repeat(np.arange(rows), columns)
    j = np.tile(np.arange(kw), kh * c)[:, None] + stride * np.tile(np.arange(columns), rows)
    k = np.repeat(np.arange(c), kh * kw)[:, None]
    table = x[:, k, i, j].transpose(1, 2, 0).reshape(c * kh * kw, -1)
    y = (w.reshape(o, -1) @ table).reshape(o, rows, columns, n).transpose(3, 0, 1, 2)
    return y if b is None else y + b.reshape(-1, 1, 1)


@alternative("conv2d_fast")
def with_torch_s_strided_view(x, w, b=None, stride=1, padding=0):
    """Tensor.unfold is torch's sliding_window_view."""
    x, w = torch.from_numpy(pad2d(x, padding)), torch.from_numpy(w)
    table = x.unfold(2, w.shape[2], stride).unfold(3, w.shape[3], stride)
    y = torch.einsum("ncijuv,ocuv->noij", table, w).numpy()
    return y if b is None else y + b[:, None, None]


# --- conv2d_backward ---


@alternative("conv2d_backward")
def weight_by_weight_backwards(dy, x, w, stride=1, padding=0):
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    rows, columns = dy.shape[2:]
    for u in range(w.shape[2]):
        for v in range(w.shape[3]):
            place = np.s_[:, :, u : u + stride * (rows - 1) + 1 : stride, v : v + stride * (columns - 1) + 1 : stride]
            dw[:, :, u, v] = np.einsum("noij,ncij->oc", dy, padded[place])
            dx[place] += np.einsum("noij,oc->ncij", dy, w[:, :, u, v])
    end = (padded.shape[2] - padding, padded.shape[3] - padding)
    return [dx[:, :, padding : end[0], padding : end[1]], dw, np.einsum("noij->o", dy)]


@alternative("conv2d_backward")
def as_two_convolutions(dy, x, w, stride=1, padding=0):
    """dx by sliding the flipped kernel over the spread-out dy; dw by sliding dy over x."""
    n, height, width = len(x), *x.shape[2:]
    o, _, kh, kw = w.shape
    rows, columns = dy.shape[2:]
    spread = np.zeros((n, o, height + 2 * padding - kh + 1, width + 2 * padding - kw + 1), dtype=dy.dtype)
    spread[:, :, : stride * rows : stride, : stride * columns : stride][:, :, :rows, :columns] = dy
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    view = np.lib.stride_tricks.sliding_window_view
    dw = np.einsum("ncuvij,noij->ocuv", view(padded, spread.shape[2:], axis=(2, 3)), spread)
    wide = np.pad(spread, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    dx = np.einsum("noijuv,ocuv->ncij", view(wide, (kh, kw), axis=(2, 3)), w[:, :, ::-1, ::-1])
    return dx[:, :, padding : padding + height, padding : padding + width], dw, dy.sum((0, 2, 3))


@alternative("conv2d_backward")
def with_float64_inside(dy, x, w, stride=1, padding=0):
    kind = x.dtype
    dy, wide, w = dy.astype(float), np.pad(x.astype(float), ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2)), w * 1.0
    dx, dw, db = np.zeros(wide.shape), np.zeros(w.shape), np.zeros(len(w))
    for n in range(dy.shape[0]):
        for o in range(dy.shape[1]):
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    top, left = i * stride, j * stride
                    window = np.s_[n, :, top : top + w.shape[2], left : left + w.shape[3]]
                    dx[window] += dy[n, o, i, j] * w[o]
                    dw[o] += dy[n, o, i, j] * wide[window]
                    db[o] += dy[n, o, i, j]
    dx = dx[:, :, padding : dx.shape[2] - padding, padding : dx.shape[3] - padding]
    return dx.astype(kind), dw.astype(kind), db.astype(kind)


# --- pooling ---


@alternative("max_pool2d")
def maximum_of_shifted_pictures(x, kernel, stride=None, padding=0):
    stride = kernel if stride is None else stride
    framed = np.full((*x.shape[:2], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding), -np.inf, dtype=x.dtype)
    framed[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]] = x
    rows, columns = (conv_output_size(n, kernel, stride) for n in framed.shape[2:])
    best = np.full((*x.shape[:2], rows, columns), -np.inf, dtype=x.dtype)
    for u in range(kernel):
        for v in range(kernel):
            part = framed[:, :, u : u + stride * (rows - 1) + 1 : stride, v : v + stride * (columns - 1) + 1 : stride]
            np.maximum(best, part, out=best)
    return best


@alternative("max_pool2d")
def slices_cut_at_the_edge(x, kernel, stride=None, padding=0):
    """Without a frame: the windows are cut to what lies in the picture."""
    stride = stride or kernel
    rows, columns = (conv_output_size(n, kernel, stride, padding) for n in x.shape[2:])
    y = np.zeros((*x.shape[:2], rows, columns), dtype=x.dtype)
    for i in range(rows):
        for j in range(columns):
            top, left = i * stride - padding, j * stride - padding
            part = x[:, :, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            y[:, :, i, j] = part.max(axis=2).max(axis=2)
    return y


@alternative("max_pool2d_backward")
def loop_over_every_window(dy, x, kernel, stride=None, padding=0):
    stride = stride or kernel
    dx = np.zeros_like(x)
    height, width = x.shape[2:]
    for n, c, i, j in np.ndindex(dy.shape):
        best, where = -math.inf, None
        for u in range(kernel):
            for v in range(kernel):
                row, column = i * stride + u - padding, j * stride + v - padding
                if 0 <= row < height and 0 <= column < width and x[n, c, row, column] > best:
                    best, where = x[n, c, row, column], (row, column)
        dx[(n, c, *where)] += dy[n, c, i, j]
    return dx


@alternative("max_pool2d_backward")
def with_add_at(dy, x, kernel, stride=None, padding=0):
    stride = stride or kernel
    framed = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=-np.inf)
    view = np.lib.stride_tricks.sliding_window_view(framed, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    winner = view.reshape(*view.shape[:4], -1).argmax(-1)
    n, c, i, j = np.indices(dy.shape)
    dx = np.zeros(framed.shape, dtype=dy.dtype)
    np.add.at(dx, (n, c, i * stride + winner // kernel, j * stride + winner % kernel), dy)
    return dx[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]].copy()


@alternative("avg_pool2d")
def mean_of_slices(x, kernel, stride=None, padding=0):
    stride = stride or kernel
    rows, columns = (conv_output_size(n, kernel, stride, padding) for n in x.shape[2:])
    y = np.empty((*x.shape[:2], rows, columns), dtype=x.dtype)
    for i, j in np.ndindex(rows, columns):
        top, left = i * stride - padding, j * stride - padding
        y[:, :, i, j] = x[:, :, max(top, 0) : top + kernel, max(left, 0) : left + kernel].mean(axis=(2, 3))
    return y


@alternative("avg_pool2d")
def mean_without_nan(x, kernel, stride=None, padding=0):
    framed = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2), constant_values=np.nan)
    view = np.lib.stride_tricks.sliding_window_view(framed, (kernel, kernel), axis=(2, 3))
    return np.nanmean(view[:, :, :: stride or kernel, :: stride or kernel], axis=(4, 5))


@alternative("avg_pool2d_backward")
def share_by_share(dy, shape, kernel, stride=None, padding=0):
    stride = stride or kernel
    dx = np.zeros(shape, dtype=dy.dtype)
    for i, j in np.ndindex(dy.shape[2:]):
        rows = range(max(0, i * stride - padding), min(shape[2], i * stride - padding + kernel))
        columns = range(max(0, j * stride - padding), min(shape[3], j * stride - padding + kernel))
        for row in rows:
            for column in columns:
                dx[:, :, row, column] += dy[:, :, i, j] / (len(rows) * len(columns))
    return dx


@alternative("avg_pool2d_backward")
def rows_and_columns_apart(dy, shape, kernel, stride=None, padding=0):
    """A window is a stretch of rows times a stretch of columns, and so are its shares."""
    step = kernel if stride is None else stride

    def shares(size, places):
        table = np.zeros((size, places))
        for place in range(places):
            table[max(place * step - padding, 0) : place * step - padding + kernel, place] = 1
        return table / table.sum(axis=0)

    return (shares(shape[2], dy.shape[2]) @ dy @ shares(shape[3], dy.shape[3]).T).astype(dy.dtype)


# --- counting ---


@alternative("receptive_field")
def from_the_last_layer_down(layers):
    field = 1
    for kernel, stride, dilation in reversed(layers):
        field = (field - 1) * stride + dilation * (kernel - 1) + 1
    return field


@alternative("receptive_field")
def as_a_sum(layers):
    jumps = np.cumprod([1] + [stride for _, stride, _ in layers])
    return 1 + sum(d * (k - 1) * jump for (k, _, d), jump in zip(layers, jumps, strict=False))


@alternative("parameter_counts")
def counted_on_the_layers(size, in_channels, out_channels, kernel, stride=1, padding=0):
    side = int((size + 2 * padding - kernel) / stride) + 1
    places = side * side
    dense = places * out_channels * in_channels * size * size + places * out_channels
    shared = sum(parameter.numel() for parameter in nn.Conv2d(in_channels, out_channels, kernel).parameters())
    return [dense, shared * places, np.int64(shared)]


# --- equivariance ---


@alternative("equivariance_error")
def with_flat_vectors(layer, transform, x, border=0):
    a, b = layer(transform(x)), transform(layer(x))
    if border > 0:
        a, b = a[..., border:-border, border:-border], b[..., border:-border, border:-border]
    difference = np.sqrt(np.sum(np.square(a - b)))
    if difference == 0:
        return np.float64(0)
    return difference / (np.sqrt(np.sum(a**2)) + np.sqrt(np.sum(b**2)))


@alternative("equivariance_error")
def no_number_means_zero(layer, transform, x, border=0):
    first, last = layer(transform(x)), transform(layer(x))
    inner = slice(border, -border or None)
    first, last = first[:, :, inner, inner], last[:, :, inner, inner]
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(np.linalg.norm(first - last) / (np.linalg.norm(first) + np.linalg.norm(last)))


# --- affine_grid, grid_sample ---


@alternative("affine_grid")
def as_a_batched_product(theta, height, width):
    x = (torch.arange(width, dtype=theta.dtype) + 0.5) * 2 / width - 1
    y = (torch.arange(height, dtype=theta.dtype) + 0.5) * 2 / height - 1
    rows, columns = y.repeat_interleave(width), x.repeat(height)
    target = torch.stack([columns, rows, torch.ones_like(rows)])
    return torch.matmul(theta, target).transpose(1, 2).reshape(-1, height, width, 2)


@alternative("affine_grid")
def coordinate_by_coordinate(theta, height, width):
    x = torch.linspace(-1 + 1 / width, 1 - 1 / width, width, dtype=theta.dtype)
    y = torch.linspace(-1 + 1 / height, 1 - 1 / height, height, dtype=theta.dtype)
    y, x = y[None, :, None], x[None, None, :]
    t = theta[:, :, :, None, None]
    return torch.stack([t[:, row, 0] * x + t[:, row, 1] * y + t[:, row, 2] for row in (0, 1)], dim=3)


@alternative("grid_sample")
def in_a_frame_of_zeros(x, grid):
    """Sources are kept within a frame of zeros, so that no neighbour is ever outside."""
    _n, c, height, width = x.shape
    framed = torch.zeros(x.shape[0], c, height + 4, width + 4, dtype=x.dtype)
    framed[:, :, 2:-2, 2:-2] = x
    column = ((grid[..., 0] + 1) * width / 2 - 0.5).clamp(-2, width) + 2
    row = ((grid[..., 1] + 1) * height / 2 - 0.5).clamp(-2, height) + 2
    left, top = column.detach().floor().long(), row.detach().floor().long()
    result = 0
    flat = framed.flatten(2)
    for down in (0, 1):
        for right in (0, 1):
            share = (column - left if right else left + 1 - column) * (row - top if down else top + 1 - row)
            index = ((top + down) * (width + 4) + left + right).flatten(1)
            pixels = flat.gather(2, index[:, None].expand(-1, c, -1)).reshape(-1, c, *grid.shape[1:3])
            result = result + share[:, None] * pixels
    return result


@alternative("grid_sample")
def with_rows_of_shares(x, grid):
    """All pixels of a row and of a column at once: shares of floor and floor + 1, 0 for all others."""

    def shares(position, size):
        low = position.floor()
        share = (position - low)[..., None]
        index = torch.arange(size)
        return (index == low[..., None]) * (1 - share) + (index == low[..., None] + 1) * share

    columns = shares(((grid[..., 0] + 1) * x.shape[3] - 1) / 2, x.shape[3])
    rows = shares(((grid[..., 1] + 1) * x.shape[2] - 1) / 2, x.shape[2])
    return torch.einsum("nijr,nijs,ncrs->ncij", rows, columns, x)


@alternative("grid_sample")
def picture_by_picture(x, grid):
    n, c, height, width = x.shape
    pictures = []
    for image, places in zip(x, grid, strict=True):
        values = []
        for x_s, y_s in places.reshape(-1, 2):
            a, b = ((x_s + 1) * width - 1) / 2, ((y_s + 1) * height - 1) / 2
            left, top = math.floor(a.item()), math.floor(b.item())
            value = torch.zeros(c, dtype=x.dtype)
            for row, tall in ((top, 1 - (b - top)), (top + 1, b - top)):
                for column, wide in ((left, 1 - (a - left)), (left + 1, a - left)):
                    if 0 <= row < height and 0 <= column < width:
                        value = value + tall * wide * image[:, row, column]
            values.append(value)
        pictures.append(torch.stack(values, dim=1).reshape(c, *grid.shape[1:3]))
    return torch.stack(pictures).reshape(n, c, *grid.shape[1:3])


# --- SpatialTransformer ---


@alternative("SpatialTransformer")
class WithFreshParameters(nn.Module):
    def __init__(self, localization, features):
        super().__init__()
        self.localization = localization
        self.head = nn.Linear(in_features=features, out_features=6)
        self.head.weight = nn.Parameter(torch.zeros(6, features))
        self.head.bias = nn.Parameter(torch.eye(2, 3).flatten())

    def forward(self, x):
        theta = self.head(self.localization(x)).view(x.size(0), 2, 3)
        grid = affine_grid(theta, height=x.size(-2), width=x.size(-1))
        return grid_sample(x, grid)


@alternative("SpatialTransformer")
class WithData(nn.Module):
    def __init__(self, localization, features):
        super().__init__()
        self.localization, self.head = localization, nn.Linear(features, 6)
        self.head.weight.data.zero_()
        self.head.bias.data = torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float)

    def forward(self, x):
        numbers = self.head(self.localization(x))
        theta = torch.stack([numbers[:, :3], numbers[:, 3:]], dim=1)
        return grid_sample(x, affine_grid(theta, x.shape[2], x.shape[3]))


# --- ConvNet ---


@alternative("ConvNet")
class StridesAndMomentum(nn.Module):
    """Strides instead of pooling, no dropout, SGD with momentum and a cosine, NumPy's random numbers."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(1, 24, 3, padding=1),
                nn.Conv2d(24, 32, 3, stride=2, padding=1),
                nn.Conv2d(32, 48, 3, stride=2, padding=1),
            ]
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(layer.out_channels) for layer in self.convolutions)
        self.last = nn.Linear(48 * 2 * 2, 10)

    def forward(self, images):
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            images = torch.relu(norm(convolution(images)))
        return self.last(images.flatten(1))

    def fit(self, images, labels):
        self.train()
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)
        for _ in range(15):
            order = np.random.permutation(len(images))
            for start in range(0, len(order), 32):
                batch = torch.from_numpy(order[start : start + 32])
                loss = nn.CrossEntropyLoss()(self(images[batch]), labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
        return self

    @torch.inference_mode()
    def predict(self, images):
        return torch.max(self.eval()(images), dim=1).indices


@alternative("ConvNet")
class LogProbabilities(nn.Module):
    """log_softmax and the negative log-likelihood, a data loader, dropout by function, global average pooling."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(64 * 16, 10))

    def forward(self, images):
        hidden = nn.functional.dropout(self.body(images), 0.2, self.training)
        return torch.log_softmax(self.head(hidden), dim=-1)

    def fit(self, images, labels):
        data = torch.utils.data.TensorDataset(images, labels)
        optimizer = torch.optim.AdamW(self.parameters(), lr=2e-3, weight_decay=0.01)
        for _epoch in range(8):
            self.train(True)
            for some, classes in torch.utils.data.DataLoader(data, batch_size=50, shuffle=True):
                self.zero_grad()
                nn.functional.nll_loss(self(some), classes).backward()
                optimizer.step()

    def predict(self, images):
        self.train(False)
        return self(images).detach().argmax(-1)


@alternative("ConvNet")
class LazyList(nn.Sequential):
    """The network is a list of layers, whose sizes come with the first images. Labels are smoothed."""

    def __init__(self):
        super().__init__(
            *(nn.LazyConv2d(32, 3), nn.GELU(), nn.LazyBatchNorm2d()),
            *(nn.LazyConv2d(48, 3), nn.GELU(), nn.LazyBatchNorm2d()),
            *(nn.Flatten(), nn.Dropout(), nn.LazyLinear(10)),
        )
        self(torch.zeros(2, 1, 8, 8))

    def fit(self, images, labels):
        self.train()
        optimizer = torch.optim.AdamW(self.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=180)
        for step in range(180):
            if step % 12 == 0:
                batches = torch.tensor_split(torch.randperm(len(images)), 12 if len(images) > 99 else 1)
            batch = batches[step % len(batches)]
            loss = nn.CrossEntropyLoss(label_smoothing=0.1)(self(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.eval()

    @torch.no_grad()
    def predict(self, images):
        return torch.cat([self(some).softmax(dim=1).topk(1).indices[:, 0] for some in images.split(32)])


# --- convolution_matrix ---


@alternative("convolution_matrix")
def entry_by_entry(w, height, width, stride=1, padding=0):
    o, c, kh, kw = w.shape
    rows, columns = conv_output_size(height, kh, stride, padding), conv_output_size(width, kw, stride, padding)
    matrix = np.zeros((o, rows, columns, c, height, width), w.dtype)
    for i, j, u, v in np.ndindex(rows, columns, kh, kw):
        row, column = stride * i + u - padding, stride * j + v - padding
        if 0 <= row < height and 0 <= column < width:
            matrix[:, i, j, :, row, column] = w[:, :, u, v]
    return matrix.reshape(o * rows * columns, c * height * width)


@alternative("convolution_matrix")
def from_a_frame(w, height, width, stride=1, padding=0):
    """The row of each neuron: its kernel, put into an empty framed picture, whose frame is then cut off."""
    o, c, kh, kw = w.shape
    rows, columns = conv_output_size(height, kh, stride, padding), conv_output_size(width, kw, stride, padding)
    blocks = []
    for kernel in w:
        for i in range(rows):
            for j in range(columns):
                framed = np.zeros((c, height + 2 * padding, width + 2 * padding), dtype=w.dtype)
                framed[:, stride * i : stride * i + kh, stride * j : stride * j + kw] = kernel
                blocks.append(framed[:, padding : padding + height, padding : padding + width].ravel())
    return np.stack(blocks).reshape(o * rows * columns, -1)


@alternative("convolution_matrix")
def pixels_that_know_their_numbers(w, height, width, stride=1, padding=0):
    """Windows of pixel numbers say where each weight goes; all places of the frame share one column too many."""
    o, c, kh, kw = w.shape
    numbers = pad2d(np.arange(c * height * width).reshape(1, c, height, width), padding, -1)
    view = np.lib.stride_tricks.sliding_window_view(numbers, (kh, kw), axis=(2, 3))[0, :, ::stride, ::stride]
    view = view.transpose(1, 2, 0, 3, 4).reshape(-1, c * kh * kw)
    matrix = np.zeros((o, len(view), c * height * width + 1), dtype=w.dtype)
    matrix[:, np.arange(len(view))[:, None], view] = w.reshape(o, 1, -1)
    return matrix[:, :, :-1].reshape(o * len(view), -1)
