"""Run specifications for recipes; its artifact modules are doors onto `nemotron.kit`.

- `artifact_registry`: an index of artifacts: publish, resolve, alias.
- `manifest_tracker`: a lineage tracker over the store at a root.
- `artifacts`: tracking as a config says it.
- `config.resolvers`: `${art:…}` in configs.
- `filesystem`: `art://` for fsspec.
- `exceptions`: what they raise.

They decide nothing, and none of them is imported before it is used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from nemo_runspec.manifest_tracker import ManifestTracker as ManifestTracker

__all__ = ["ManifestTracker"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nemo_runspec.manifest_tracker import ManifestTracker

    globals()[name] = ManifestTracker
    return ManifestTracker


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
