"""Which texts in a config are references to artifacts: most texts with a colon are not."""

import re

from nemotron.kit.errors import KitError
from nemotron.kit.names import SCHEME, Alias, ArtifactRef, Version, local_path

PORT_MIN = 1024
PORT_MAX = 65535

_SELECTED = re.compile(r"(?P<name>[^:\s]+):(?P<selector>latest|v?[0-9]+)", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}|localhost|[0-9]+(?:\.[0-9]+){3}", re.ASCII)

# Images of Docker Hub, which have no host in front that would tell them from artifacts.
_IMAGES = frozenset(
    {
        *(
            "alpine",
            "amazonlinux",
            "busybox",
            "centos",
            "debian",
            "docker",
            "fedora",
            "golang",
            "gcc",
            "httpd",
        ),
        *("jupyter", "mariadb", "memcached", "mongo", "mysql", "nginx", "node", "openjdk", "perl", "php"),
        *("postgres", "python", "rabbitmq", "redis", "registry", "rockylinux", "ruby", "rust", "ubuntu"),
        *("nvidia/cuda", "pytorch/pytorch", "tensorflow/tensorflow", "rayproject/ray", "vllm/vllm-openai"),
        *("lmsysorg/sglang", "continuumio/miniconda3", "mambaorg/micromamba", "huggingface/transformers"),
    }
)


def is_reference(value: object) -> bool:
    """Whether a value of a config is meant as an artifact's reference.

    It must parse as one, and be meant as one: written out with `art://`, ending in `:latest`, `:vN` or `:N`,
    or with "Artifact" in it; and be no container image and no host with a port.

    >>> [is_reference(text) for text in ("nano3/sft/data:latest", "llama-3.1-8b:v1", "art://model")]
    [True, True, True]
    >>> [is_reference(text) for text in ("python:3", "localhost:8080", "docker://a/b:v1", "/data", 3)]
    [False, False, False, False, False]
    """
    if not isinstance(value, str) or not value or value != value.strip():
        return False
    if value.startswith(SCHEME):
        return value.removeprefix(SCHEME) != "" and not value.startswith(f"{SCHEME}/") and _parses(value)
    selected = _SELECTED.fullmatch(value)
    if selected is None:
        return "Artifact" in value and ":" not in value.partition(":")[2] and _parses(value)
    name, selector = selected["name"], selected["selector"]
    return not _is_image(name) and not _is_address(name, selector) and _parses(value)


def _parses(text: str) -> bool:
    try:
        ref = ArtifactRef.parse(text)
    except KitError:
        return False
    return not ref.inside and isinstance(ref.selector, Version | Alias | None)


def _is_image(name: str) -> bool:
    """Whether a name is that of a container image: a known one, or behind the host of a registry."""
    host, slash, _ = name.partition("/")
    return name in _IMAGES or (bool(slash) and _HOST.fullmatch(host) is not None)


def _is_address(name: str, selector: str) -> bool:
    """Whether it is a host with a port, or a time of day."""
    if "/" in name or not selector.isdecimal():
        return False
    return name.isdecimal() or _HOST.fullmatch(name) is not None or PORT_MIN <= int(selector) <= PORT_MAX


def written_out(value: object) -> bool:
    """Whether a value says itself that it is a reference, so that one which does not parse is a mistake."""
    return isinstance(value, str) and value.startswith(SCHEME) and local_path(value) is None
