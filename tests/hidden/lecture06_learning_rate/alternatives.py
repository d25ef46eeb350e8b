"""Right solutions of lecture 6 that are not the reference's: the hidden tests must accept each in full."""

import bisect
import cmath
import itertools
import math
from fractions import Fraction

import numpy as np
import torch

from grader import alternative

# ---------------------------------------------------------------- root_mean_square


@alternative("root_mean_square")
def gradient_by_gradient(gradients):
    total = np.zeros_like(gradients[0])
    for gradient in gradients:
        total = total + gradient * gradient
    return (total / len(gradients)) ** 0.5


@alternative("root_mean_square")
def with_einsum(gradients):
    return np.sqrt(np.einsum("t...,t...->...", gradients, gradients) / gradients.shape[0])


@alternative("root_mean_square")
def norm_over_time(gradients):
    return np.linalg.norm(gradients, axis=0) / math.sqrt(len(gradients))


@alternative("root_mean_square")
def from_the_variance(gradients):
    return np.sqrt(np.var(gradients, axis=0) + np.mean(gradients, axis=0) ** 2)


# ---------------------------------------------------------------- adagrad_step, rmsprop_step


@alternative("adagrad_step")
def as_a_mixture(theta, sigma, gradient, t, learning_rate):
    share = 1 / (t + 1)
    sigma = ((1 - share) * sigma**2 + share * gradient**2) ** 0.5
    step = np.zeros_like(theta)
    np.divide(gradient, sigma, out=step, where=sigma != 0)
    return theta - learning_rate * step, sigma


@alternative("adagrad_step")
def as_a_hypotenuse(theta, sigma, gradient, t, learning_rate):
    old, new = math.sqrt(t / (t + 1)), math.sqrt(1 / (t + 1))
    sigma = np.hypot(old * sigma, new * gradient)
    moves = sigma > 0
    theta = theta.copy()
    theta[moves] -= learning_rate * gradient[moves] / sigma[moves]
    return theta, sigma


@alternative("adagrad_step")
def entry_by_entry(theta, sigma, gradient, t, learning_rate):
    new_theta, new_sigma = theta.copy(), np.empty_like(sigma)
    for index in np.ndindex(*theta.shape):
        g = float(gradient[index])
        s = abs(g) if t == 0 else math.sqrt((t * float(sigma[index]) ** 2 + g * g) / (t + 1))
        new_sigma[index] = s
        if s:
            new_theta[index] -= learning_rate / s * g
    return [new_theta, new_sigma]


@alternative("adagrad_step")
def nan_made_zero(theta, sigma, gradient, t, learning_rate):
    total = (sigma * np.sqrt(t).astype(sigma.dtype)) ** 2 + np.square(gradient)
    sigma = np.sqrt(total / (t + 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.nan_to_num(gradient / sigma)
    return theta - learning_rate * step, sigma


@alternative("rmsprop_step")
def with_an_if(theta, sigma, gradient, t, learning_rate, alpha):
    if t == 0:
        new_sigma = abs(gradient)
    else:
        new_sigma = (alpha * np.power(sigma, 2) + (1.0 - alpha) * np.power(gradient, 2)) ** 0.5
    step = np.divide(gradient, new_sigma, out=np.zeros_like(gradient), where=new_sigma > 0)
    return theta - learning_rate * step, new_sigma


@alternative("rmsprop_step")
def alpha_zero_at_first(theta, sigma, gradient, t, learning_rate, alpha):
    alpha = alpha if t else 0.0
    square = sigma**2 + (1 - alpha) * (gradient**2 - sigma**2) if t else gradient**2
    sigma = np.sqrt(square)
    safe = sigma.copy()
    safe[safe == 0] = 1
    return theta - (learning_rate / safe) * gradient, sigma


@alternative("rmsprop_step")
def each_parameter_alone(theta, sigma, gradient, t, learning_rate, alpha):
    def one(value, s, g):
        s = abs(g) if t < 1 else math.hypot(math.sqrt(alpha) * s, math.sqrt(1 - alpha) * g)
        return value if s == 0 else value - learning_rate * g / s, s

    pairs = [one(*map(float, parts)) for parts in zip(theta.flat, sigma.flat, gradient.flat, strict=True)]
    values, sigmas = zip(*pairs, strict=True)
    return (np.array(values, theta.dtype).reshape(theta.shape), np.array(sigmas, sigma.dtype).reshape(sigma.shape))


# ---------------------------------------------------------------- schedules


@alternative("step_decay")
def cut_by_cut(t, learning_rate, every, gamma):
    for _ in range(every, t + 1, every):
        learning_rate *= gamma
    return learning_rate


@alternative("step_decay")
def with_numpys_floor(t, learning_rate, every, gamma):
    return learning_rate * np.power(float(gamma), np.floor(t / every))


@alternative("step_decay")
def among_the_cuts(t, learning_rate, every, gamma):
    cuts = list(range(every, t + every, every))
    return learning_rate * math.pow(gamma, bisect.bisect_right(cuts, t))


@alternative("exponential_decay")
def through_the_logarithm(t, learning_rate, gamma):
    return learning_rate * math.exp(t * math.log(gamma))


@alternative("exponential_decay")
def update_by_update(t, learning_rate, gamma):
    rate = learning_rate
    for _ in range(t):
        rate = rate * gamma
    return rate


@alternative("exponential_decay")
def as_a_numpy_scalar(t, learning_rate, gamma):
    return np.float64(learning_rate) * np.float64(gamma) ** t


@alternative("cosine_decay")
def cosine_squared(t, learning_rate, total, floor=0.0):
    if t >= total:
        return floor
    share = math.cos(math.pi * t / (2 * total)) ** 2
    return share * learning_rate + (1 - share) * floor


@alternative("cosine_decay")
def with_numpy(t, learning_rate, total, floor=0.0):
    angle = np.clip(np.pi * t / total, 0, np.pi)
    return floor + 0.5 * (learning_rate - floor) * (1 + np.cos(angle))


@alternative("cosine_decay")
def as_a_tensor(t, learning_rate, total, floor=0.0):
    angle = torch.tensor(math.pi * min(t, total) / total, dtype=torch.float64)
    return (floor + (learning_rate - floor) * (1 + torch.cos(angle)) / 2).item()


@alternative("cosine_decay")
def interpolated(t, learning_rate, total, floor=0.0):
    return np.interp(np.cos(np.pi * np.clip(t, 0, total) / total), [-1, 1], [floor, learning_rate])


@alternative("cosine_decay")
def on_the_unit_circle(t, learning_rate, total, floor=0.0):
    x = cmath.exp(1j * math.pi * float(Fraction(min(t, total), total))).real
    middle, half = (learning_rate + floor) / 2, (learning_rate - floor) / 2
    return middle + half * x


@alternative("warmup_inverse_sqrt")
def as_in_the_transformer(t, peak, warmup):
    step = t + 1
    return peak * warmup**0.5 * min(step**-0.5, step * warmup**-1.5)


@alternative("warmup_inverse_sqrt")
def two_pieces(t, peak, warmup):
    if t < warmup:
        return peak / warmup * (t + 1)
    return peak * (warmup / (t + 1)) ** 0.5


@alternative("warmup_inverse_sqrt")
def two_pieces_of_numpy(t, peak, warmup):
    return np.where(t + 1 <= warmup, peak * (t + 1) / warmup, peak * np.sqrt(warmup) / np.sqrt(t + 1)).item()


@alternative("warmup_cosine")
def three_pieces(t, peak, warmup, total, floor=0.0):
    if t < warmup:
        return peak * (t + 1) / warmup
    if t >= total - 1:
        return floor
    return floor + 0.5 * (peak - floor) * (1 + math.cos(math.pi * (t + 1 - warmup) / (total - warmup)))


@alternative("warmup_cosine")
def with_a_clipped_progress(t, peak, warmup, total, floor=0.0):
    progress = np.clip((t + 1 - warmup) / (total - warmup), 0, 1)
    down = floor + (peak - floor) * np.cos(progress * np.pi / 2) ** 2
    return down if t + 1 >= warmup else np.float64(peak) * (t + 1) / warmup


@alternative("warmup_cosine")
def from_two_lists(t, peak, warmup, total, floor=0.0):
    rise = np.linspace(0, peak, warmup + 1)[1:]
    fall = floor + (peak - floor) * (1 + np.cos(np.linspace(0, np.pi, total - warmup + 1))) / 2
    return np.concatenate([rise, fall[1:]])[min(t, total - 1)]


# ---------------------------------------------------------------- combined_update


@alternative("combined_update")
def in_two_steps(theta, m, sigma, schedule, t):
    movement = -schedule(t) * m / sigma
    return theta + movement


@alternative("combined_update")
def parameter_by_parameter(theta, m, sigma, schedule, t):
    eta, new = schedule(t), np.array(theta)
    for index in np.ndindex(theta.shape):
        new[index] = theta[index] - eta / float(sigma[index]) * float(m[index])
    return new


@alternative("combined_update")
def with_numpys_functions(theta, m, sigma, schedule, t):
    return np.subtract(theta, np.multiply(np.divide(m, sigma), schedule(t)))


# ---------------------------------------------------------------- adam_step, adamw_step


@alternative("adam_step")
def the_efficient_order(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    # As at the end of section 2 of the paper, with epsilon scaled along.
    s = t + 1
    m = m + (1 - beta1) * (gradient - m)
    v = v + (1 - beta2) * (gradient * gradient - v)
    root = math.sqrt(1 - beta2**s)
    rate = learning_rate * root / (1 - beta1**s)
    return theta - rate * m / (np.sqrt(v) + epsilon * root), m, v


@alternative("adam_step")
def with_copies_changed_in_place(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    theta, m, v = theta.copy(), m.copy(), v.copy()
    m *= beta1
    m += (1 - beta1) * gradient
    v *= beta2
    v += (1 - beta2) * np.square(gradient)
    bias1, bias2 = 1 - beta1 ** (t + 1), 1 - beta2 ** (t + 1)
    theta -= learning_rate * (m / bias1) / (np.sqrt(v / bias2) + epsilon)
    return [theta, m, v]


@alternative("adam_step")
def in_double_precision_inside(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    dtype = theta.dtype
    theta, m, v, gradient = (part.astype(np.float64) for part in (theta, m, v, gradient))
    m, v = np.average([m, gradient], axis=0, weights=[beta1, 1 - beta1]), beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - np.power(beta1, t + 1)), v / (1 - np.power(beta2, t + 1))
    theta = theta - learning_rate * m_hat / (v_hat**0.5 + epsilon)
    return theta.astype(dtype), m.astype(dtype), v.astype(dtype)


@alternative("adam_step")
def by_torch_tensors(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    theta, m, v, gradient = (torch.tensor(part) for part in (theta, m, v, gradient))
    m = torch.lerp(m, gradient, 1 - beta1)
    v = beta2 * v + (1 - beta2) * gradient**2
    s = t + 1
    theta = theta.addcdiv(m / (1 - beta1**s), (v / (1 - beta2**s)).sqrt() + epsilon, value=-learning_rate)
    return theta.numpy(), m.numpy(), v.numpy()


@alternative("adamw_step")
def shrinks_first(theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1 ** (t + 1)), v / (1 - beta2 ** (t + 1))
    theta = theta * (1 - learning_rate * weight_decay)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


@alternative("adamw_step")
def with_the_movement_from_zero(
    theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    zero = np.zeros_like(theta)
    movement, m, v = the_efficient_order(zero, m, v, gradient, t, learning_rate, beta1, beta2, epsilon)
    return theta + movement - learning_rate * weight_decay * theta, m, v


@alternative("adamw_step")
def both_parts_in_one_bracket(
    theta, m, v, gradient, t, learning_rate, weight_decay, beta1=0.9, beta2=0.999, epsilon=1e-8
):
    m, v = beta1 * m + (1 - beta1) * gradient, beta2 * v + (1 - beta2) * np.abs(gradient) ** 2
    s = t + 1
    direction = m / (1 - math.pow(beta1, s)) / (np.sqrt(v / (1 - math.pow(beta2, s))) + epsilon)
    return [theta - learning_rate * (direction + weight_decay * theta), m, v]


# ---------------------------------------------------------------- Adam


@alternative("Adam")
class InPlace(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if len(state) == 0:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                state["step"] += 1
                state["exp_avg"].lerp_(p.grad, 1 - beta1)
                state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                correction1, correction2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
                denominator = (state["exp_avg_sq"].sqrt() / math.sqrt(correction2)).add_(eps)
                p.addcdiv_(state["exp_avg"], denominator, value=-lr / correction1)
        return loss


@alternative("Adam")
class StateFromTheStart(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        defaults = {"lr": lr, "betas": betas, "eps": eps}
        super(StateFromTheStart, self).__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = {"t": torch.tensor(0.0), "m": torch.zeros_like(p.data), "v": torch.zeros_like(p.data)}

    def step(self, closure=None):
        loss = closure() if closure else None
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in filter(lambda p: p.grad is not None, group["params"]):
                g, state = p.grad.detach(), self.state[p]
                state["t"] = state["t"] + 1
                t = state["t"].item()
                state["m"] = b1 * state["m"] + (1 - b1) * g
                state["v"] = b2 * state["v"] + (1 - b2) * g.pow(2)
                m_hat = state["m"] / (1 - b1**t)
                v_hat = state["v"] / (1 - b2**t)
                p.data = p.data - group["lr"] * m_hat / (torch.sqrt(v_hat) + group["eps"])
        return loss


@alternative("Adam")
class ManyTensorsAtOnce(torch.optim.Optimizer):
    """All parameters of a group in a few operations, as torch's own does by default on a GPU."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def step(self, closure=None):
        loss = None
        if closure is not None:
            loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                thetas = [theta for theta in group["params"] if theta.grad is not None]
                if not thetas:
                    continue
                states = [self.state[theta] for theta in thetas]
                for theta, state in zip(thetas, states, strict=True):
                    if not state:
                        state.update(n=0, m=torch.zeros_like(theta), v=torch.zeros_like(theta))
                    state["n"] += 1
                beta1, beta2 = group["betas"]
                grads = [theta.grad for theta in thetas]
                m, v = [state["m"] for state in states], [state["v"] for state in states]
                torch._foreach_lerp_(m, grads, 1 - beta1)
                torch._foreach_mul_(v, beta2)
                torch._foreach_addcmul_(v, grads, grads, 1 - beta2)
                roots = torch._foreach_sqrt(torch._foreach_div(v, [1 - beta2 ** state["n"] for state in states]))
                torch._foreach_add_(roots, group["eps"])
                means = torch._foreach_div(m, [1 - beta1 ** state["n"] for state in states])
                torch._foreach_addcdiv_(thetas, means, roots, -group["lr"])
        return loss


# ---------------------------------------------------------------- Scheduler


@alternative("Scheduler")
class InitialRateInTheGroup:
    def __init__(self, optimizer, schedule):
        self.optimizer = optimizer
        self.schedule = schedule
        self.t = 0
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
            group["lr"] = group["initial_lr"] * schedule(0)

    def step(self):
        self.t = self.t + 1
        factor = self.schedule(self.t)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor


@alternative("Scheduler")
class WithAProperty:
    def __init__(self, optimizer, schedule):
        self._factors = map(schedule, itertools.count())
        self._groups = [(group, group["lr"]) for group in optimizer.param_groups]
        self._made = -1
        self.step()

    @property
    def t(self):
        return self._made

    def step(self, *_):
        factor = next(self._factors)
        for group, lr in self._groups:
            group.update(lr=factor * lr)
        self._made += 1
        return self


# ---------------------------------------------------------------- error_surface_race


@alternative("error_surface_race")
def with_a_for_loop(riders, hessian, start, tolerance, max_updates):
    results = {}
    for name in riders:
        step = riders[name]()
        theta = np.array(start)
        results[name] = None
        for t in range(max_updates + 1):
            if 0.5 * np.sum(theta * (hessian @ theta)) <= tolerance:
                results[name] = t
                break
            if t < max_updates:
                theta = step(theta, hessian.dot(theta), t)
    return results


@alternative("error_surface_race")
def keeping_every_loss(riders, hessian, start, tolerance, max_updates):
    def arrival(rider):
        step, theta, losses = rider(), start.copy(), []
        for t in range(max_updates):
            losses.append(theta.T @ hessian @ theta / 2)
            theta = step(theta.copy(), hessian @ theta, t)
        losses.append(theta.T @ hessian @ theta / 2)
        arrived = np.array(losses) <= tolerance
        return np.argmax(arrived) if arrived.any() else None

    return {name: arrival(rider) for name, rider in riders.items()}


# ---------------------------------------------------------------- radam_step


@alternative("radam_step")
def in_factors(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    power = beta2 ** (t + 1)
    longest = (1 + beta2) / (1 - beta2)
    rho = longest - 2 * (t + 1) / (1 / power - 1) if power > 1e-300 else longest
    direction = m / (1 - beta1 ** (t + 1))
    if rho > 4:
        squared = (rho - 4) / (longest - 4) * (rho - 2) / (longest - 2) * longest / rho
        adaptive = 1 / (np.sqrt(v / (1 - power)) + epsilon)
        direction = squared**0.5 * direction * adaptive
    return theta - learning_rate * direction, m, v


@alternative("radam_step")
def in_single_steps(theta, m, v, gradient, t, learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    dtype = theta.dtype
    s = np.float64(t + 1)
    rho_inf = 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * s * beta2**s / (1 - beta2**s)
    new_m = np.add(beta1 * m, (1 - beta1) * gradient)
    new_v = np.add(beta2 * v, (1 - beta2) * np.multiply(gradient, gradient))
    step = learning_rate * new_m / (1 - beta1**s)
    if rho > 4.0:
        r = np.sqrt((rho - 4) * (rho - 2) * rho_inf) / np.sqrt((rho_inf - 4) * (rho_inf - 2) * rho)
        step = r * step / (np.sqrt(new_v) / np.sqrt(1 - beta2**s) + epsilon)
    return [(theta - step).astype(dtype), new_m, new_v]
