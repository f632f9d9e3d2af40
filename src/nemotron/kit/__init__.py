"""Artifacts, versions and lineage for LLM training: data prep, pretrain, SFT, RL.

An artifact is a path with typed metadata. Saving it writes `metadata.json` beside the data::

    from pathlib import Path
    from nemotron.kit import PretrainBlendsArtifact

    PretrainBlendsArtifact(path=Path("/output/data"), total_tokens=25_000_000_000).save(name="my-artifact")

With a store the same line also commits a version, and what is loaded becomes an input of what is saved::

    from nemotron import kit

    kit.init(root="/shared/artifacts")
    data = kit.Artifact.from_uri("art://my-artifact")

How it is built, from the top; imports go down only, and nothing inside imports this module:

- `nemotron.kit`, this module: the names below, each looked up when it is first used, so that importing it
  costs nothing.
- `cli`: the command `nemotron kit`.
- the doors, the names that recipes import; they forward and decide nothing: `artifact`, `trackers`,
  `wandb_kit`, `train_script`, `recipe_loader`, `megatron_stub`.
- `start`: puts store, registry and trackers together.
- `integrations`, `console`: other people's frameworks, and the only code that writes to a terminal.
- `artifacts`: the kinds, each a pydantic model: fields and their validation, no vendor.
- `context`: the only ambient state, the current registry, tracker and run of this process.
- `tracking`: who is told what was loaded and what was made. A tracker that fails stops no training.
- `lineage`: what was made from what, as a graph, and the questions to it (pure).
- `registry`: publish, resolve, alias, withdraw. A version exists when, and only when, its manifest does.
- `store`: where bytes lie, behind one primitive: create a small file if it is absent. It is what gives each
  version number out exactly once, whatever crashes or races.
- `documents`: what is stored, as frozen values with a codec (pure).
- `names`: the one grammar of `art://NAME[:VERSION][/path/inside]`, with one parser (pure).
- `errors`: one tree, grouped by what the caller does next.

`nemotron.kit.testing` ships the suites that a store backend or a tracker must pass. `docs/design/` says why
things are as they are.
"""

TYPE_CHECKING = False  # the name is enough for type checkers; `typing` would double the cost of this import
if TYPE_CHECKING:
    from nemotron.kit import context as context
    from nemotron.kit import errors as errors
    from nemotron.kit.artifact import Artifact as Artifact
    from nemotron.kit.artifact import DataBlendsArtifact as DataBlendsArtifact
    from nemotron.kit.artifact import EnergonWebDatasetArtifact as EnergonWebDatasetArtifact
    from nemotron.kit.artifact import Input as Input
    from nemotron.kit.artifact import ModelArtifact as ModelArtifact
    from nemotron.kit.artifact import PretrainBlendsArtifact as PretrainBlendsArtifact
    from nemotron.kit.artifact import PretrainDataArtifact as PretrainDataArtifact
    from nemotron.kit.artifact import SFTDataArtifact as SFTDataArtifact
    from nemotron.kit.artifact import SplitJsonlDataArtifact as SplitJsonlDataArtifact
    from nemotron.kit.artifact import TrackingInfo as TrackingInfo
    from nemotron.kit.artifact import apply_scale as apply_scale
    from nemotron.kit.artifact import print_step_complete as print_step_complete
    from nemotron.kit.start import composition as composition
    from nemotron.kit.start import impact as impact
    from nemotron.kit.start import init as init
    from nemotron.kit.start import is_initialized as is_initialized
    from nemotron.kit.start import lineage_of as lineage_of
    from nemotron.kit.start import recall as recall
    from nemotron.kit.start import run as run
    from nemotron.kit.start import shutdown as shutdown
    from nemotron.kit.start import using as using
    from nemotron.kit.trackers import FileTracker as FileTracker
    from nemotron.kit.trackers import LineageTracker as LineageTracker
    from nemotron.kit.trackers import ManifestTracker as ManifestTracker
    from nemotron.kit.trackers import NoOpTracker as NoOpTracker
    from nemotron.kit.trackers import WandbTracker as WandbTracker
    from nemotron.kit.trackers import get_lineage_tracker as get_lineage_tracker
    from nemotron.kit.trackers import set_lineage_tracker as set_lineage_tracker
    from nemotron.kit.trackers import to_wandb_uri as to_wandb_uri
    from nemotron.kit.trackers import tokenizer_to_uri as tokenizer_to_uri
    from nemotron.kit.wandb_kit import WandbConfig as WandbConfig
    from nemotron.kit.wandb_kit import add_run_tags as add_run_tags
    from nemotron.kit.wandb_kit import init_wandb_if_configured as init_wandb_if_configured

    __version__: str

__all__ = [
    "Artifact",
    "DataBlendsArtifact",
    "EnergonWebDatasetArtifact",
    "FileTracker",
    "Input",
    "LineageTracker",
    "ManifestTracker",
    "ModelArtifact",
    "NoOpTracker",
    "PretrainBlendsArtifact",
    "PretrainDataArtifact",
    "SFTDataArtifact",
    "SplitJsonlDataArtifact",
    "TrackingInfo",
    "WandbConfig",
    "WandbTracker",
    "add_run_tags",
    "apply_scale",
    "composition",
    "get_lineage_tracker",
    "impact",
    "init",
    "init_wandb_if_configured",
    "is_initialized",
    "lineage_of",
    "print_step_complete",
    "recall",
    "run",
    "set_lineage_tracker",
    "shutdown",
    "to_wandb_uri",
    "tokenizer_to_uri",
    "using",
]

# Which submodule each name comes from. The submodules are attributes as well, imported when asked for.
_SOURCES = {
    "artifact": (
        "Artifact DataBlendsArtifact EnergonWebDatasetArtifact Input ModelArtifact PretrainBlendsArtifact"
        " PretrainDataArtifact SFTDataArtifact SplitJsonlDataArtifact TrackingInfo apply_scale"
        " print_step_complete"
    ),
    "start": "composition impact init is_initialized lineage_of recall run shutdown using",
    "trackers": (
        "FileTracker LineageTracker ManifestTracker NoOpTracker WandbTracker get_lineage_tracker"
        " set_lineage_tracker to_wandb_uri tokenizer_to_uri"
    ),
    "wandb_kit": "WandbConfig add_run_tags init_wandb_if_configured",
    "context": "",
    "errors": "",
}

# After importlib.reload the names are looked up anew, as the submodules may have been reloaded too.
for _name in __all__:
    globals().pop(_name, None)

if not TYPE_CHECKING:  # a type checker that saw this would let every misspelt name pass

    def __getattr__(name):
        """Look a public name up in its submodule when it is first used, and keep it (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version

            value = version("nemotron-kit")
        elif name in _SOURCES:
            from importlib import import_module

            value = import_module(f"{__name__}.{name}")
        elif name in __all__:
            from importlib import import_module

            source = next(module for module, names in _SOURCES.items() if name in names.split())
            value = getattr(import_module(f"{__name__}.{source}"), name)
        else:
            _refuse_import(name)
            raise AttributeError(_unknown(name), name=name)
        return globals().setdefault(name, value)


def _refuse_import(name: str) -> None:
    """Refuse `from nemotron.kit import X` for a misspelt name with the nearest one.

    Python asks whether there is such an attribute before it gives up, and up to 3.11 drops what is said of it
    by an AttributeError; from 3.12 on it looks for near names itself.
    """
    import sys

    if sys._getframe(2).f_code.co_name != "_handle_fromlist" or name.startswith("_"):
        return
    from importlib.util import find_spec

    from nemotron.kit.names import near

    meant = near(name, __dir__())
    if meant and find_spec(f"{__name__}.{name}") is None:
        raise ImportError(
            f"cannot import name {name!r} from {__name__!r}. Did you mean {meant[0]!r}?", name=__name__
        )


def _unknown(name: str) -> str:
    message = f"module {__name__!r} has no attribute {name!r}"
    if name.startswith("_"):  # asked for by machinery, such as inspect, and not misspelt by a person
        return message
    from nemotron.kit.names import near

    meant = near(name, __dir__())
    return f"{message}. Did you mean {meant[0]!r}?" if meant else message


def __dir__() -> list[str]:
    """All public names, whether they were used yet or not."""
    return sorted({*globals(), *__all__, *_SOURCES, "__version__"} - {"TYPE_CHECKING", "_name"})
