"""The length that packed sequences are padded to, as Megatron's parallelism asks for it."""

import math
import operator
from collections.abc import Mapping
from typing import Any

from nemotron.kit.errors import MisuseError


def derive_pad_seq_to_mult(explicit: int | None, model_config: Any, dist_config: Any = None) -> int:
    """Return the number that the length of every packed sequence must be a multiple of.

    Context parallelism cuts a sequence into 2·CP chunks, two for each rank (one from each end, so that causal
    attention costs every rank the same); sequence parallelism cuts what a rank has into TP pieces. A config
    that evaluates with another CP than it trains with must satisfy both.

    Args:
        explicit: a multiple asked for by hand, in tokens; None or 0 asks for nothing.
        model_config: `context_parallel_size`, `tensor_model_parallel_size` and `sequence_parallel` are read
            from it (attributes or keys); what is absent or None is 1, or off.
        dist_config: `eval_context_parallel_size` is read from it.

    Returns:
        The least common multiple of all that applies, in tokens; 1 when nothing does.

    Raises:
        MisuseError: a size that is not a positive whole number.

    >>> derive_pad_seq_to_mult(16, {"context_parallel_size": 2})
    16
    >>> model = {"context_parallel_size": 3, "tensor_model_parallel_size": 4, "sequence_parallel": True}
    >>> derive_pad_seq_to_mult(None, model, {"eval_context_parallel_size": 1})
    12
    """
    multiples = [_size("pad_seq_to_mult", explicit or None)]
    tensor_parallel = _size("tensor_model_parallel_size", _read(model_config, "tensor_model_parallel_size"))
    sequence_parallel = bool(_read(model_config, "sequence_parallel")) and tensor_parallel > 1
    context_sizes = {
        _size(name, _read(config, name))
        for config, name in (
            (model_config, "context_parallel_size"),
            (dist_config, "eval_context_parallel_size"),
        )
        if config is model_config or _read(config, name) is not None
    }
    for size in context_sizes:
        if size > 1:
            multiples.append(2 * size)
        if sequence_parallel:
            multiples.append(size * tensor_parallel)
    return math.lcm(*multiples)


def _read(config: Any, name: str) -> Any:
    """Read a setting of an object or a map; None when it is absent."""
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def _size(name: str, value: Any) -> int:
    """Check a size; None is 1."""
    if value is None:
        return 1
    try:
        size = operator.index(value)
    except TypeError as error:
        raise MisuseError(f"{name}: expected a positive whole number, found {value!r}") from error
    if size < 1:
        raise MisuseError(f"{name}: expected a positive whole number, found {value!r}")
    return size
