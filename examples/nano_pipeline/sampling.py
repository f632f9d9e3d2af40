"""Drawing answers from a language model, token by token."""

import numpy as np
from language_model import Array, LanguageModel, join, norm, softmax


def generate(
    model: LanguageModel, prompts: list[list[int]], room: int, stop: int, rng: np.random.Generator
) -> list[list[int]]:
    """Continue each prompt by up to `room` tokens, `stop` being the last where it is drawn.

    Args:
        model: what is drawn from.
        prompts: token ids; none longer than the model's context less `room`.
        room: tokens to add at most.
        stop: the id that ends an answer.
        rng: the source of chance.

    Returns:
        The answers without the prompts.
    """
    lengths = np.array([len(prompt) for prompt in prompts])
    ends = lengths + room
    tokens = np.full((len(prompts), ends.max()), stop)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    # Keys and values of the tokens so far, by block.
    size = (len(prompts), model.shape.heads, tokens.shape[1], model.shape.width // model.shape.heads)
    memory = [np.zeros((2, *size), model.flat.dtype) for _ in range(model.shape.blocks)]
    for t in range(tokens.shape[1] - 1):
        p = softmax(_next(model, tokens[:, t], t, memory)).cumsum(axis=1)
        drawn = (p < rng.random((len(prompts), 1)) * p[:, -1:]).sum(axis=1)
        # Rows whose prompt goes on are still reading; those that have ended stay as they are.
        writing = (t + 1 >= lengths) & (t + 1 < ends)
        tokens[writing, t + 1] = drawn[writing]
        ends[writing & (drawn == stop)] = t + 2
        if t + 1 >= ends.max():
            break
    return [row[start:end].tolist() for row, start, end in zip(tokens, lengths, ends, strict=True)]


def _next(model: LanguageModel, tokens: Array, t: int, memory: list[Array]) -> Array:
    """Logits of what follows the token at place `t` of each row: `LanguageModel._forward` for one place."""
    p = model.params
    x = p["embedding"][tokens] + p["position"][t]
    for i, (keys, values) in enumerate(memory):
        parts = np.split(norm(x)[0] @ p[f"{i}.qkv"], 3, axis=1)
        q, keys[:, :, t : t + 1], values[:, :, t : t + 1] = (model.heads(part, len(tokens)) for part in parts)
        score = q @ keys[:, :, : t + 1].swapaxes(-1, -2) * q.shape[-1] ** -0.5
        x = x + join(softmax(score) @ values[:, :, : t + 1]) @ p[f"{i}.attention"]
        active = np.maximum(norm(x)[0] @ p[f"{i}.up"], 0)
        x = x + (active * active) @ p[f"{i}.down"]
    return norm(x)[0] @ p["embedding"].T
