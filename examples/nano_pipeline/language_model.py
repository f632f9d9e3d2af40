"""A small transformer language model in NumPy, its backward pass written out by hand.

Embedding → blocks of (causal attention, MLP) → the embedding again as output layer. Norms are RMS norms
without gain and the MLP's non-linearity is a squared ReLU, as both have short derivatives. All parameters are
views into one flat vector, so that Adam is a few lines.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shape:
    """The size of a model; `context` is the longest sequence, in tokens."""

    vocabulary: int
    context: int = 128
    width: int = 96
    heads: int = 2
    blocks: int = 1

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Name and shape of each matrix, in the order in which they lie in the flat vector."""
        found = {"embedding": (self.vocabulary, self.width), "position": (self.context, self.width)}
        for i in range(self.blocks):
            found[f"{i}.qkv"] = (self.width, 3 * self.width)
            found[f"{i}.attention"] = (self.width, self.width)
            found[f"{i}.up"] = (self.width, 4 * self.width)
            found[f"{i}.down"] = (4 * self.width, self.width)
        return found


class LanguageModel:
    """The parameters and what is done with them.

    Args:
        shape: the size.
        dtype: float32 to train; float64 to check gradients.
    """

    def __init__(self, shape: Shape, dtype: Any = np.float32) -> None:
        self.shape = shape
        self.flat = np.zeros(sum(rows * columns for rows, columns in shape.matrices().values()), dtype)
        self.params = self.views(self.flat)

    def views(self, flat: Array) -> dict[str, Array]:
        """The matrices of a flat vector by name, without a copy."""
        views, start = {}, 0
        for name, (rows, columns) in self.shape.matrices().items():
            views[name] = flat[start : start + rows * columns].reshape(rows, columns)
            start += rows * columns
        return views

    def initialise(self, rng: np.random.Generator) -> "LanguageModel":
        """Draw the parameters; what writes into the residual stream starts at zero."""
        for name, matrix in self.params.items():
            if not name.endswith((".attention", ".down")):
                scale = 0.02 if name in ("embedding", "position") else self.shape.width**-0.5
                matrix[:] = rng.standard_normal(matrix.shape) * scale
        return self

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `config.json`."""
        save_file(self.params, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(asdict(self.shape), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "LanguageModel":
        """Read what `save` wrote."""
        model = cls(Shape(**json.loads((folder / "config.json").read_text())))
        for name, matrix in load_file(folder / "model.safetensors").items():
            model.params[name][:] = matrix
        return model

    # -- training ------------------------------------------------------------------------------------------

    def loss(
        self, tokens: Array, weights: Array | None = None, segments: Array | None = None
    ) -> tuple[float, Array]:
        """Σ weight · -log p(next token), and its gradient as a flat vector.

        Args:
            tokens: (batch, time + 1).
            weights: (batch, time), one for each token to be predicted; by default they are averaged. Zero
                leaves a token out (the prompt in SFT); a negative one makes it less likely (RL).
            segments: (batch, time), which packed example a token belongs to; examples don't see each other.
        """
        inputs, targets = tokens[:, :-1], tokens[:, 1:].reshape(-1)
        weights = np.full(inputs.shape, 1 / inputs.size) if weights is None else weights
        out, cache = self._forward(inputs, segments)
        # The output layer is the dearest one: only the rows that count are computed.
        rows = np.flatnonzero(weights)
        weight = weights.reshape(-1)[rows].astype(out.dtype)
        p = softmax(out[rows] @ self.params["embedding"].T)
        chosen = (np.arange(len(rows)), targets[rows])
        value = float(weight @ -np.log(p[chosen] + 1e-30))

        p[chosen] -= 1
        p *= weight[:, None]
        gradient = np.zeros_like(self.flat)
        grads = self.views(gradient)
        grads["embedding"] += p.T @ out[rows]
        d_out = np.zeros_like(out)
        d_out[rows] = p @ self.params["embedding"]
        self._backward(d_out, inputs, cache, grads)
        return value, gradient

    def _forward(self, tokens: Array, segments: Array | None) -> tuple[Array, list[Any]]:
        """What comes out of the last block, (batch · time, width), and what `_backward` needs."""
        batch, time = tokens.shape
        positions, mask = _layout(tokens, segments)
        p, cache = self.params, []
        x = (p["embedding"][tokens] + p["position"][positions]).reshape(batch * time, -1)
        for i in range(self.shape.blocks):
            h, scale_h = norm(x)
            q, k, v = (self.heads(part, batch) for part in np.split(h @ p[f"{i}.qkv"], 3, axis=1))
            share = softmax(q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5 + mask)
            mixed = join(share @ v)
            x = x + mixed @ p[f"{i}.attention"]
            g, scale_g = norm(x)
            active = np.maximum(g @ p[f"{i}.up"], 0)
            x = x + (active * active) @ p[f"{i}.down"]
            cache.append((h, scale_h, q, k, v, share, mixed, g, scale_g, active))
        out, scale = norm(x)
        return out, [*cache, (out, scale, positions)]

    def _backward(self, d_out: Array, tokens: Array, cache: list[Any], grads: dict[str, Array]) -> None:
        """Add to `grads` what follows from the gradient of `_forward`'s output."""
        p = self.params
        out, scale, positions = cache.pop()
        dx = _norm_backward(d_out, out, scale)
        for i in reversed(range(self.shape.blocks)):
            h, scale_h, q, k, v, share, mixed, g, scale_g, active = cache.pop()
            grads[f"{i}.down"] += (active * active).T @ dx
            d_up = dx @ p[f"{i}.down"].T * (2 * active)
            grads[f"{i}.up"] += g.T @ d_up
            dx = dx + _norm_backward(d_up @ p[f"{i}.up"].T, g, scale_g)
            grads[f"{i}.attention"] += mixed.T @ dx
            d_mixed = self.heads(dx @ p[f"{i}.attention"].T, len(tokens))
            d_share = d_mixed @ v.swapaxes(-1, -2)
            d_score = share * (d_share - (d_share * share).sum(-1, keepdims=True)) * q.shape[-1] ** -0.5
            d_q, d_k, d_v = d_score @ k, d_score.swapaxes(-1, -2) @ q, share.swapaxes(-1, -2) @ d_mixed
            d_qkv = np.concatenate([join(d_q), join(d_k), join(d_v)], axis=1)
            grads[f"{i}.qkv"] += h.T @ d_qkv
            dx = dx + _norm_backward(d_qkv @ p[f"{i}.qkv"].T, h, scale_h)
        _add_rows(grads["embedding"], tokens.reshape(-1), dx)
        _add_rows(grads["position"], positions.reshape(-1), dx)

    def heads(self, x: Array, batch: int) -> Array:
        """(batch · time, width) as (batch, heads, time, width of a head)."""
        return np.ascontiguousarray(
            x.reshape(batch, -1, self.shape.heads, x.shape[1] // self.shape.heads).swapaxes(1, 2)
        )


class Adam:
    """The usual optimiser over a flat vector; the rate rises for a twentieth of the steps, then falls.

    Args:
        model: whose parameters it moves.
        rate: the highest learning rate.
        steps: how many updates there will be.
    """

    def __init__(self, model: LanguageModel, rate: float, steps: int) -> None:
        self.model, self.rate, self.steps, self.step = model, rate, steps, 0
        self.mean, self.square = np.zeros_like(model.flat), np.zeros_like(model.flat)

    def update(self, gradient: Array) -> None:
        """Take the next step."""
        self.step += 1
        self.mean += 0.1 * (gradient - self.mean)
        self.square += 0.02 * (gradient * gradient - self.square)
        done = self.step / self.steps
        rate = self.rate * min(1.0, 20 * done, 1.1 - done)
        rate *= (1 - 0.98**self.step) ** 0.5 / (1 - 0.9**self.step)
        self.model.flat -= rate * self.mean / (np.sqrt(self.square) + 1e-8)


def softmax(x: Array) -> Array:
    """Along the last axis, in place."""
    x -= x.max(axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= x.sum(axis=-1, keepdims=True)
    return x


def _layout(tokens: Array, segments: Array | None) -> tuple[Array, Array]:
    """Position of each token in its example, and the mask that is added to the attention's scores."""
    batch, time = tokens.shape
    mask = np.where(np.tri(time, dtype=bool), np.float32(0), np.float32(-1e9))
    positions = np.broadcast_to(np.arange(time), (batch, time))
    if segments is None:
        return positions, mask
    begins = np.diff(segments, axis=1, prepend=-1) != 0
    positions = positions - np.maximum.accumulate(np.where(begins, positions, 0), axis=1)
    same = segments[:, None, :, None] == segments[:, None, None, :]
    return positions, np.where(same, mask, np.float32(-1e9))


def join(x: Array) -> Array:
    """The heads side by side again."""
    return x.swapaxes(1, 2).reshape(x.shape[0] * x.shape[2], -1)


def norm(x: Array) -> tuple[Array, Array]:
    """Rows of mean square 1, and what each was multiplied by."""
    scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(1e-5))
    return x * scale, scale


def _norm_backward(dy: Array, y: Array, scale: Array) -> Array:
    return (dy - y * (dy * y).mean(axis=-1, keepdims=True)) * scale


def _add_rows(matrix: Array, rows: Array, values: Array) -> None:
    """matrix[rows] += values, with rows that occur more than once; np.add.at takes four times as long."""
    order = np.argsort(rows, kind="stable")
    found, starts = np.unique(rows[order], return_index=True)
    matrix[found] += np.add.reduceat(values[order], starts, axis=0)
