"""`UPath("art://…")`: artifacts as paths, for code that takes pathlib's.

universal-pathlib finds the class by an entry point, as fsspec finds the file system behind it.
"""

from fsspec import register_implementation
from upath import UPath

from nemotron.kit.integrations.fsspec import ArtifactFileSystem

# universal-pathlib takes the rules for joining paths from the file system, and warns if that is not loaded.
register_implementation("art", ArtifactFileSystem, clobber=True)


class ArtifactUPath(UPath):
    """A path in an artifact. It reads as other paths do; whatever would write is refused.

    >>> path = ArtifactUPath("art://sft-data:v1") / "train" / "000.parquet"
    >>> str(path), path.name, str(path.parent)
    ('art://sft-data:v1/train/000.parquet', '000.parquet', 'art://sft-data:v1/train')
    """

    __slots__ = ()
