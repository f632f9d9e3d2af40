"""Which attempt of which job this process belongs to: pure, from the environment and the command line.

Ranks that get the same key share one answer, so the key must be the same on all ranks of an attempt, and
another for a requeue, for the next stage of the job, and for the next launch.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nemotron.kit.errors import MisuseError

DELAY_STEP_SECONDS = 0.05
DELAY_MAX_SECONDS = 1.0
# What a launcher that says no number of ranks a node is taken to have: it only spreads the nodes in time.
RANKS_PER_NODE_GUESS = 8

# Slurm's own steps (batch script, extern, interactive, pending) are no launch: from slurm.h,
# SLURM_MAX_NORMAL_STEP_ID is 0xfffffff0.
_SLURM_STEP_MAX = 0xFFFFFFF0
_RANK_NAMES = "rank|(?:local|global|node|machine|group|world)_rank|proc_?id|process_id|node_?id"
_RANK_OPTION = re.compile(rf"(?:(?:[\w.]+\.)?(?:local|global|node|machine)_rank|{_RANK_NAMES})", re.ASCII)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a job, as one of its ranks sees it.

    Attributes:
        key: the same on all ranks of the attempt; safe as a file name.
        world_size: how many ranks there are.
        node: the number of the node, from 0; where it is unknown, a guess that only spreads nodes in time.
        one_node: whether all ranks are on this node.
    """

    key: str
    world_size: int = 1
    node: int = 0
    one_node: bool = True

    @property
    def alone(self) -> bool:
        """Whether there is nobody to agree with."""
        return self.world_size <= 1

    @property
    def delay_seconds(self) -> float:
        """How long this node lets others go first.

        >>> [Attempt("k", 8000, node).delay_seconds for node in (0, 1, 999)]
        [0.0, 0.05, 1.0]
        """
        return min(DELAY_STEP_SECONDS * self.node, DELAY_MAX_SECONDS)


def attempt_of(
    environ: Mapping[str, str],
    command: Sequence[str],
    references: Iterable[str],
    launcher: Callable[[], str],
) -> Attempt:
    """The attempt that a process belongs to.

    Args:
        environ: the process's environment.
        command: its command line.
        references: what is to be agreed on.
        launcher: tells who started the ranks of this node; asked only where that tells attempts apart.

    Raises:
        MisuseError: nothing tells this launch from the next one; the message says what to set.

    >>> job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}
    >>> first = attempt_of({**job, "RANK": "0"}, ["train.py", "--rank=0"], ["data:latest"], str)
    >>> other = attempt_of({**job, "RANK": "9"}, ["train.py", "--rank=9"], ["data:latest"], str)
    >>> first.key == other.key, other.node, other.one_node
    (True, 1, False)
    """
    job = _Job(environ)
    world_size = job.world_size
    if world_size <= 1:
        return Attempt("", 1)
    key = _key(job, command, references, launcher)
    return Attempt(key, world_size, job.node, job.nodes == 1 or job.is_known_by_launcher)


def key_of(
    environ: Mapping[str, str],
    command: Sequence[str],
    references: Iterable[str],
    launcher: Callable[[], str],
) -> str:
    """The key that the process's attempt has or, at world size 1, would have; see `attempt_of`."""
    return _key(_Job(environ), command, references, launcher)


def job_id(environ: Mapping[str, str], parent: int) -> str:
    """A short name of the job, for people.

    >>> job_id({"NEMO_EXPERIMENT_ID": "7"}, 1), job_id({"SLURM_JOB_ID": "8"}, 1), job_id({}, 42)
    ('nemo_7', 'slurm_8', 'host_42')
    """
    job = _Job(environ)
    if job.experiment:
        return f"nemo_{job.experiment}"
    return f"slurm_{job.slurm}" if job.slurm else f"host_{job.rendezvous or parent}"


def without_ranks(command: Sequence[str]) -> list[str]:
    """The command line without the arguments that name a rank, which differ within one attempt.

    >>> without_ranks(["train.py", "--local-rank", "3", "--node_rank=1", "rank=2", "--lora-rank=8"])
    ['train.py', '--lora-rank=8']
    """
    kept: list[str] = []
    skip = False
    for argument in command:
        if skip:
            skip = False
            if not argument.startswith("-"):
                continue
        name, mark, _ = argument.partition("=")
        plain = name.lstrip("-").lstrip("+").replace("-", "_").lower()
        if _RANK_OPTION.fullmatch(plain) and (mark or name.startswith("-")):
            skip = not mark
            continue
        kept.append(argument)
    return kept


class _Job:
    """What the environment says; an empty variable is unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.experiment = self._text("NEMO_EXPERIMENT_ID")
        self.slurm = self._text("SLURM_JOB_ID")
        step = self._number("SLURM_STEP_ID")
        self.step = step if step is not None and step < _SLURM_STEP_MAX else None
        # torchrun's default `none` is the same for every launch, so it identifies none.
        self.is_torchrun = bool(self._text("TORCHELASTIC_RUN_ID"))
        said = self._text("TORCHELASTIC_RUN_ID")
        self.rendezvous = "" if said.lower() == "none" else said
        self.requeue = self._number("SLURM_RESTART_COUNT") or 0
        self.mpi = self._text("PMIX_NAMESPACE")

    def _text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        if not text:
            return None
        if not text.isascii() or not text.isdecimal():
            raise MisuseError(f"{name} is {text!r}, expected a whole number; unset it or correct it")
        return int(text)

    @property
    def world_size(self) -> int:
        size = self._number("WORLD_SIZE")
        if size is None and self.step is not None:
            size = self._number("SLURM_STEP_NUM_TASKS")
        return 1 if size is None else size

    @property
    def rank(self) -> int:
        rank = self._number("RANK")
        if rank is None and self.step is not None:
            rank = self._number("SLURM_PROCID")
        return rank or 0

    @property
    def local_rank(self) -> int | None:
        rank = self._number("LOCAL_RANK")
        return self._number("SLURM_LOCALID") if rank is None and self.step is not None else rank

    @property
    def nodes(self) -> int | None:
        """How many nodes there are, where that is known for sure."""
        groups = self._number("GROUP_WORLD_SIZE")
        if groups is not None:
            return groups
        local = self._number("LOCAL_WORLD_SIZE")
        if local:
            return -(-self.world_size // local)
        if self.step is not None and (nodes := self._number("SLURM_STEP_NUM_NODES")):
            return nodes
        return 2 if self.local_rank is not None and self.rank != self.local_rank else None

    @property
    def node(self) -> int:
        node = self._number("GROUP_RANK")
        if node is None and self.step is not None:
            node = self._number("SLURM_NODEID")
        if node is not None:
            return node
        local = self._number("LOCAL_WORLD_SIZE") or RANKS_PER_NODE_GUESS
        return (self.rank - (self.local_rank or 0)) // local if self.local_rank else self.rank // local

    @property
    def is_known_by_launcher(self) -> bool:
        """Whether only the process that started the ranks tells this launch from another."""
        if self.nodes is not None and self.nodes > 1:
            return False
        if self.is_torchrun:
            return self.nodes == 1 or not self.rendezvous
        return not (self.experiment or self.slurm or self.mpi)

    def check(self) -> None:
        """Refuse to guess where two launches on several nodes could not be told apart."""
        if self.rendezvous or self.step is not None or self.mpi or self.is_known_by_launcher:
            return
        if self.is_torchrun:
            raise MisuseError(
                "torchrun was started on several nodes without an id, so its ranks can't tell this launch "
                "from the one before: pass the same --rdzv-id, new for each launch, on all nodes "
                '(such as --rdzv-id "$SLURM_JOB_ID-$SLURM_RESTART_COUNT"), or start it with srun'
            )
        if not (self.experiment or self.slurm):
            raise MisuseError(
                "The ranks are on several nodes, and nothing says which job they are: set "
                "NEMO_EXPERIMENT_ID to the same value on all ranks, new for each launch"
            )


def _key(job: _Job, command: Sequence[str], references: Iterable[str], launcher: Callable[[], str]) -> str:
    job.check()
    facts = {
        "experiment": job.experiment,
        "slurm": [job.slurm, job.step],
        "requeue": job.requeue,
        "rendezvous": job.rendezvous,
        "mpi": job.mpi,
        "launcher": launcher() if job.is_known_by_launcher else "",
        "command": without_ranks(command),
        "references": sorted(references),
    }
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    label = job.experiment or job.slurm or job.rendezvous or "launch"
    kind = "nemo" if job.experiment else "slurm" if job.slurm else "host"
    return f"{kind}_{_UNSAFE.sub('-', label)[:40]}-{job.requeue}-{digest[:32]}"
