"""`Artifact`: a path with typed metadata, which can be saved, versioned and loaded again."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nemotron.kit import context
from nemotron.kit.artifacts import kinds
from nemotron.kit.artifacts.inputs import Input, InputDatasetInfo
from nemotron.kit.artifacts.paths import is_url
from nemotron.kit.artifacts.value import ArtifactValue, TrackingInfo
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry.scan import METADATA_FILE

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from nemotron.kit.registry.verify import Verification
    from nemotron.kit.tracking.protocol import EvidenceLevel

__all__ = ["Artifact", "TrackingInfo"]


class Artifact(ArtifactValue):
    """A path with typed metadata.

    Kinds add fields. A field that is not given is taken from `metadata`, and one that is set shows there; the
    two stay in step, and assignment is validated. What a kind has no field for goes into `metadata={…}`; the
    base class keeps unknown keywords there by itself.

    >>> import tempfile
    >>> from pathlib import Path
    >>> artifact = Artifact(path=Path(tempfile.mkdtemp(), "out"), rows=3)
    >>> artifact.save().metadata
    {'rows': 3}
    >>> Artifact.load(artifact.path).metadata
    {'rows': 3}

    Attributes:
        path: where it lies: a folder, for some kinds a file, or a URL (then a `UPath`).
        type: the class's name, where nothing else is said.
        metadata: the fields that are set, and whatever else there is to say.
        created_at: ISO 8601 with zone.
        producer: the run that saved it, or "local".
        tracking: what the tracker said when it was saved.
        name: the name it is saved under, such as `nano3/pretrain/data`.
    """

    _keeps_unknown: ClassVar[bool] = True

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        kinds.register(cls)

    # -- saving --------------------------------------------------------------------------------------------

    def save(
        self,
        name: str | None = None,
        *,
        inputs: "Iterable[Artifact | Input | InputDatasetInfo | str | os.PathLike[str]] | None" = None,
        snapshot: bool | None = None,
        evidence: "EvidenceLevel | None" = None,
        aliases: Iterable[str] = (),
        all_ranks: bool = False,
        follow_links: bool = False,
        executor: "Executor | None" = None,
    ) -> Self:
        """Write `metadata.json` beside the data, and commit a version if there is a store or another tracker.

        What is identical to the latest version is that version. What this run has loaded becomes an input.
        On a non-zero `RANK` nothing is saved. On a terminal a bar shows how far a store is that takes long.

        Args:
            name: the name to publish under; `self.name`, else the type, by default.
            inputs: what it was made from, instead of what was loaded: artifacts, `art://` references, URIs,
                paths, `InputDatasetInfo`s; or any of these in an `Input`, which says what it was for and
                which part of it was taken.
            snapshot: copy the bytes into the store, so that later changes do not reach the version.
            evidence: how closely the bytes are looked at, "stat", "sampled" or "full"; as in `kit.init` by
                default. A snapshot is always "full", since every byte is copied; a warning says so where less
                is asked for.
            aliases: to be moved to the version.
            all_ranks: save whatever the rank.
            follow_links: take the targets of links that leave the folder as content.
            executor: who reads, hashes and copies the files, such as `RayExecutor` or Dask's; it must see the
                same paths. Threads by default.

        Returns:
            The artifact itself, with `uri`, `tracking` and `producer` filled in.

        Raises:
            InvalidNameError: the name is none.
            MisuseError: a flag is neither True nor False (or None, for `snapshot`).
            InvalidMetadataError: a metadata value has no JSON form.
            MismatchError: a claimed count is not what the files say, and `on_mismatch` is "error".
            CorruptError: a file to count is damaged, and `on_mismatch` is "error".
            NotFoundError: an input, or the data itself, is not there.
            RefusedError: nothing could be written, and there is no store to keep the record.
            KitError: the store did not take it; the message says why.

        >>> import tempfile
        >>> Artifact(path=tempfile.mkdtemp(), rows=3).save().producer
        'local'
        """
        from nemotron.kit.artifacts.saving import save
        from nemotron.kit.tracking.protocol import SaveOptions

        options = SaveOptions(
            snapshot=snapshot,
            evidence=evidence,
            aliases=(aliases,) if isinstance(aliases, str) else tuple(aliases),
            follow_links=follow_links,
            executor=executor,
        )
        save(self, name, inputs, options, all_ranks=all_ranks)
        return self

    @classmethod
    def inspect(cls, path: str | os.PathLike[str]) -> Self:
        """Build an artifact from what lies at a path: its counts are read from the bytes.

        Called on `Artifact`, the kind is the one that fits. Heads and footers are read; of JSON lines, all.
        What can't be read is None. Nothing is saved.

        Args:
            path: a file or folder, or the URL of one (`s3://…`, `hf://…`, whatever fsspec reads), of which
                heads are fetched in ranges.

        Raises:
            PathNotFoundError: nothing is there.
            CorruptError: a file is damaged; the message names it.
            RefusedError: it may not be read.
            UnavailableError: what a URL names does not answer.
            MisuseError: a required field of the kind is not said there, or nothing installed reads the URL.

        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> _ = Path(folder, "a.jsonl").write_text('[1]\\n[2]\\n')
        >>> _ = Path(folder, "manifest.json").write_text('{"train": "a.jsonl"}')
        >>> Artifact.inspect(folder).total_sequences
        2
        """
        from nemotron.kit.artifacts.measuring import inspect

        return inspect(cls, path)

    def get_wandb_files(self) -> list[tuple[str, str]]:
        """Small files that W&B gets a copy of: [(local path, name)]."""
        return self._files_in(self._get_output_dir(), METADATA_FILE)

    @staticmethod
    def _files_in(folder: Path, *names: str) -> list[tuple[str, str]]:
        """Those files of a local folder that exist, as (path, name)."""
        if is_url(folder):
            return []
        return [(str(folder / name), name) for name in names if (folder / name).is_file()]

    # -- loading -------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, tracked_artifact: str | None = None) -> Self:
        """Load a saved artifact, as the class it was saved as.

        Args:
            path: its folder, its `metadata.json`, the file that it is, or any file right in its folder; a
                folder that was moved since is followed. A file that was saved alone in the folder of another
                artifact has its record in the store, not beside it: `from_uri` loads that.
            tracked_artifact: a reference such as `name:v3`, which the active tracker resolves; goes before
                `path`. Without either, what the step before printed is read from standard input.

        Raises:
            MisuseError: nothing to load from, or it is of another kind than the class.
            FileNotFoundError: there is no metadata at the path.
            CorruptError: the metadata is damaged.
            NotFoundError: the tracker has no such artifact.
            DriftError: its files are no longer those that were published, or were written again with the same
                size and not compared, and `on_drift` is "error".
            RefusedError, UnavailableError: they can't be looked at, and `on_drift` is "error".
        """
        from nemotron.kit.artifacts.loading import load

        return load(cls, path, tracked_artifact)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Load an artifact by `art://NAME[:VERSION]`, as the class it was saved as.

        It becomes an input of what this run saves. Whether a reference's files are still those that were
        published is looked at once per version and process.

        Args:
            uri: a name with or without a version or alias, a W&B reference (`art://entity/project/name:v3`,
                asked for in the store first), or `art:///absolute/path`.

        Raises:
            InvalidReferenceError: it is no `art://` URI.
            NotFoundError: there is no such artifact or version.
            MisuseError: it is of another kind than the class.
            NotInitializedError: there is no store.
            DriftError: the files differ, or nobody compared them, and `on_drift` is "error".
            RefusedError, UnavailableError: they can't be looked at, and `on_drift` is "error".
        """
        from nemotron.kit.artifacts.loading import from_uri

        return from_uri(cls, uri)

    @classmethod
    def migrate(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Bring what an earlier `schema_version` of this class saved to the present one. Kinds override it.

        Args:
            fields: the fields and metadata as they were saved; it may be changed.
            version: the `schema_version` that wrote them, lower than the class's own.

        Returns:
            The same as this version has them.

        >>> class Corpus(Artifact):
        ...     schema_version = 2
        ...     pages: int
        ...     @classmethod
        ...     def migrate(cls, fields, version):
        ...         fields["pages"] = fields.pop("sheets") * 2  # version 1 counted sheets
        ...         return fields
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> _ = Artifact(path=folder, type="Corpus", sheets=5).save()
        >>> Corpus.load(folder).pages
        10
        """
        return fields

    # -- showing -------------------------------------------------------------------------------------------

    def _repr_html_(self) -> str:
        """For notebooks."""
        from nemotron.kit.artifacts.notebook import to_html

        return to_html(self)

    # -- checking ------------------------------------------------------------------------------------------

    def verify(
        self, evidence: "EvidenceLevel | None" = None, *, executor: "Executor | None" = None
    ) -> "Verification":
        """Whether the files of this version are still those that were published, and how sure that is.

        Args:
            evidence: "stat" reads no bytes; "sampled" and "full" read of each file what can be compared: all
                of it where a digest is known, a sample where that is known; None does as when it was saved.
            executor: who reads the files; threads by default.

        Returns:
            What was found: `ok`, the `evidence` that was achieved, `bytes_read`, and the `files` that are not
            as they were, each with a verdict. At a URL also the number of `requests`.

        Raises:
            MisuseError: it was not published, or nothing is known of its files.
            NotFoundError: the store does not have it.
            NotInitializedError: there is no store.

        >>> import tempfile
        >>> from pathlib import Path
        >>> from nemotron.kit.start import using
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "part.txt").write_text("hello")
        >>> with using(root=tempfile.mkdtemp()):
        ...     artifact = Artifact(path=folder).save("data", evidence="full")
        ...     _ = (folder / "part.txt").write_text("jello")
        ...     found = artifact.verify()
        >>> found.ok, found.evidence, found.bytes_read, [(f.path, f.verdict) for f in found.files]
        (False, 'full', 5, [('part.txt', 'changed')])
        """
        if self.uri is None:
            raise MisuseError(
                f"Cannot verify {self.path}: it is no published version. Save it to a store, or load it with "
                "from_uri, first"
            )
        options = getattr(self.path, "storage_options", None)
        return context.require_registry().verify(
            self.uri, evidence, executor=executor, storage_options=options
        )
