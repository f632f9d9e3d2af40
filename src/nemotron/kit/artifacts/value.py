"""The artifact as a value: fields, metadata in step with them, and what both say. No disk, no tracker."""

import json
import numbers
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from nemotron.kit.artifacts.metadata import Metadata, nearest, scalar
from nemotron.kit.artifacts.paths import absolute, to_path_field, to_uri
from nemotron.kit.documents.codec import plain
from nemotron.kit.errors import MisuseError
from nemotron.kit.names import SCHEME, ArtifactName, ArtifactRef, Version
from nemotron.kit.redaction import clean
from nemotron.kit.registry.stamps import now

if TYPE_CHECKING:
    # A URL is a upath.UPath, which has pathlib's methods; the package that brings it is optional.
    ArtifactPath = Path
else:
    ArtifactPath = Annotated[
        Any,
        PlainValidator(to_path_field),
        PlainSerializer(str, return_type=str, when_used="json"),
        WithJsonSchema({"type": "string", "format": "path"}),
    ]

# The validation context of what was read from a store or a file: unknown fields are kept, not refused.
STORED = {"stored": True}
GENERIC_TYPE = "artifact"
REPR_ITEMS_MAX = 3
# Where metadata says which `schema_version` of its class wrote it; what says none is of the first.
SCHEMA_KEY = "schema_version"


class TrackingInfo(BaseModel):
    """What the tracker said when the artifact was saved.

    Attributes:
        artifact_id: `name:vN`; on W&B `entity/project/name:vN`.
        artifact_type: the class name of the artifact.
        run_id: the run that made it.
        url: a page that shows it.
        used_artifacts: references of the artifacts that it was made from.
    """

    model_config = ConfigDict(defer_build=True)

    artifact_id: str | None = None
    artifact_type: str | None = None
    run_id: str | None = None
    url: str | None = None
    used_artifacts: list[str] = Field(default_factory=list)


class ArtifactValue(BaseModel):
    """The fields of every artifact and what they say; `base.Artifact` is what callers use."""

    model_config = ConfigDict(
        defer_build=True,
        validate_assignment=True,
        extra="forbid",
        populate_by_name=True,
        protected_namespaces=(),
        ser_json_inf_nan="constants",
    )

    # Which generation of its fields a class has; raise it with a change that `migrate` must make up for.
    schema_version: ClassVar[int] = 1

    # Other spellings of keywords that callers are used to.
    _spellings: ClassVar[Mapping[str, str]] = {}
    # Whether unknown keywords go into metadata; a class says so for itself, not for its subclasses.
    _keeps_unknown: ClassVar[bool] = False
    # Whether the path is a file in a folder that belongs to the artifact as a whole (blend.json).
    _is_file: ClassVar[bool] = False
    # The fields of the kind itself, in the order of their declaration, and every keyword that is taken.
    _own_fields: ClassVar[tuple[str, ...]] = ()
    _keywords: ClassVar[frozenset[str]] = frozenset()
    _aliases: ClassVar[Mapping[str, str]] = {}
    # What `type` is where nothing else is said: the class's name, or its own default for the field.
    _type_name: ClassVar[str] = GENERIC_TYPE

    path: ArtifactPath
    type: str = GENERIC_TYPE
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: str = Field(default_factory=now)
    producer: str | None = None
    tracking: TrackingInfo | None = None
    name: str | None = None

    _name: str | None = PrivateAttr(default=None)
    _version: int | None = PrivateAttr(default=None)
    _used_artifacts: list[str] = PrivateAttr(default_factory=list)
    _manifest_path: str | Path | None = PrivateAttr(default=None)

    # -- what goes in --------------------------------------------------------------------------------------

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls._own_fields = tuple(name for name in cls.model_fields if name not in ArtifactValue.model_fields)
        cls._aliases = {name: field.alias for name, field in cls.model_fields.items() if field.alias}
        cls._keywords = frozenset((*cls.model_fields, *cls._aliases.values()))
        cls._keeps_unknown = cls.__dict__.get("_keeps_unknown", False)
        default = cls.model_fields["type"].default
        cls._type_name = default if isinstance(default, str) and default != GENERIC_TYPE else cls.__name__

    @classmethod
    def type_name(cls) -> str:
        """What an artifact of this class says that it is."""
        return cls._type_name

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any, info: ValidationInfo) -> Any:
        """Bring other spellings, metadata and unknown keywords to where they belong."""
        if not isinstance(data, dict):
            return data
        metadata = data.get("metadata")
        if isinstance(metadata, Metadata) and data.keys() == cls.model_fields.keys():
            return data  # an assignment: all fields are there, and the dictionary stays the same one
        data = dict(data)
        for spelling, name in cls._spellings.items():
            if spelling in data and spelling not in cls._keywords:
                data.setdefault(name, data.pop(spelling))
        stored = bool(info.context and info.context.get("stored"))
        if stored:
            # A field that says nothing at the top may say something in metadata.
            data = {name: value for name, value in data.items() if value is not None}
        if metadata is None or isinstance(metadata, Mapping):
            if cls.schema_version != 1:
                metadata = {SCHEMA_KEY: cls.schema_version, **(metadata or {})}
            data["metadata"] = cls._take_unknown(data, dict(metadata or {}), stored)
            cls._take_fields(data, data["metadata"])
        if data.get("type", GENERIC_TYPE) == GENERIC_TYPE:
            data["type"] = cls.type_name()
        return data

    @classmethod
    def _take_unknown(cls, data: dict[str, Any], metadata: dict[str, Any], stored: bool) -> dict[str, Any]:
        """Move keywords that are no fields from `data` to `metadata`, or refuse them."""
        unknown = [name for name in data if name not in cls._keywords]
        if unknown and not stored and not cls._keeps_unknown:
            raise ValueError(
                f"{cls.__name__} has no field {unknown[0]!r}: "
                f"{nearest(unknown[0], (*cls._keywords, *cls._spellings))} "
                "(what is no field goes into metadata={…})"
            )
        return metadata | {name: data.pop(name) for name in unknown}

    @classmethod
    def _take_fields(cls, data: dict[str, Any], metadata: Mapping[str, Any]) -> None:
        """Let the kind's fields that were not given be what `metadata` says."""
        for name in cls._own_fields:
            if name in metadata and name not in data and cls._aliases.get(name) not in data:
                data[name] = metadata[name]
            if name in data:
                data[name] = scalar(data[name])

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is None or (info.context and info.context.get("stored")):
            return name
        return ArtifactName.parse(name).semantic

    @field_validator("created_at", mode="before")
    @classmethod
    def _spell_moment(cls, moment: Any) -> Any:
        return moment.astimezone().isoformat() if isinstance(moment, datetime) else moment

    # -- metadata and fields in step -----------------------------------------------------------------------

    @model_validator(mode="after")
    def _bind(self) -> Self:
        held = self.__dict__["metadata"]
        if not (isinstance(held, Metadata) and held.belongs_to(self)):
            self._rebind()
        return self

    def _mirror(self, name: str) -> None:
        """Let metadata show what a field is; a field that is None is not set."""
        held, value = self.__dict__["metadata"], self.__dict__.get(name)
        if not isinstance(held, Metadata):
            return
        if value is None:
            held.hide(name)
        else:
            held.show(name, value)

    if not TYPE_CHECKING:  # a type checker would allow every name

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "metadata":
                self._replace_metadata(value)
            elif name in self._own_fields:
                super().__setattr__(name, scalar(value))
                self._mirror(name)
            else:
                super().__setattr__(name, value)

    def _replace_metadata(self, metadata: Any) -> None:
        """Assign the whole dictionary: the fields that it names are taken from it, the others stay."""
        named = metadata if isinstance(metadata, Mapping) else {}
        kept = {
            name: value
            for name, value in self.__dict__.items()
            if name not in named or not self._is_field(name)
        }
        fresh = type(self).model_validate(kept | {"metadata": metadata}, context=STORED)
        held = self.__dict__["metadata"]
        self.__dict__.update({name: fresh.__dict__[name] for name in self._own_fields})
        self.__pydantic_fields_set__.add("metadata")
        if isinstance(held, Metadata) and held.belongs_to(self):
            held.become(fresh.metadata)  # the same object: whoever holds it sees the new content
        else:
            self.__dict__["metadata"] = Metadata(self, fresh.metadata)

    def _is_field(self, name: str) -> bool:
        return name in self._own_fields

    def _reset_field(self, name: str) -> None:
        field = type(self).model_fields[name]
        if field.is_required():
            raise MisuseError(f"{name} is a required field of {type(self).__name__}; it can't be taken away")
        setattr(self, name, field.get_default(call_default_factory=True, validated_data={}))

    def _rebind(self) -> Self:
        """Give it a dictionary of its own, which shows its fields."""
        self.__dict__["metadata"] = Metadata(self, self.__dict__["metadata"])
        for name in self._own_fields:
            self._mirror(name)
        return self

    def __copy__(self) -> Self:
        copy = super().__copy__()._rebind()
        copy._used_artifacts = list(self._used_artifacts)
        return copy

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return super().__deepcopy__(memo)._rebind()

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self._rebind()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with some fields changed; unlike pydantic's own, the changes are validated.

        Raises:
            ValidationError: a new value is not right.
        """
        copy = self.__deepcopy__() if deep else self.__copy__()
        for name, value in (update or {}).items():
            setattr(copy, name, value)
        return copy

    # -- what it says --------------------------------------------------------------------------------------

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers in metadata, as floats; truth values are no numbers."""
        return {
            name: float(value)
            for name, value in self.metadata.items()
            if name != SCHEMA_KEY and isinstance(value, numbers.Real) and not isinstance(value, bool)
        }

    @property
    def uri(self) -> str | None:
        """`art://NAME:vN` once published, else None."""
        return f"{SCHEME}{self._name}:v{self._version}" if self._name and self._version is not None else None

    @property
    def art_path(self) -> str:
        """The shortest text by which `from_uri` finds it: its uri, its name, or where it lies."""
        if self.uri:
            return self.uri
        return f"{SCHEME}{self.name or absolute(self.path)}"

    def _get_output_dir(self) -> Path:
        """The folder of its content, which `metadata.json` is written to."""
        return self.path.parent if self._is_file else self.path

    def _derive_artifact_name(self, name: str | None = None) -> str:
        """The key it is published under: of the name, else its own name, else its type.

        Raises:
            InvalidNameError: that is no name.
        """
        return ArtifactName.parse(name or self.name or self.type).key

    def get_wandb_references(self) -> list[tuple[str, str]]:
        """What a W&B artifact refers to: [(uri, name)]."""
        folder = self._get_output_dir()
        where = absolute(folder)
        return [(to_uri(folder) if "://" in where else f"file://{Path(where).resolve()}", "output")]

    def get_input_uris(self) -> list[str]:
        """URIs of the inputs that are no artifacts: none, but for data."""
        return []

    def to_json(self) -> str:
        """Where it lies and what it is, `{"path": …, "type": …}`."""
        return json.dumps({"path": absolute(self.path), "type": self.type})

    def to_document(self) -> dict[str, Any]:
        """The content of `metadata.json`.

        Raises:
            InvalidMetadataError: a metadata value has no JSON form.
        """
        metadata = clean(plain(self.metadata, "metadata"))
        assert isinstance(metadata, dict)
        return {
            "path": absolute(self.path),
            "type": self.type,
            "metadata": metadata,
            "created_at": self.created_at,
            "producer": self.producer,
            "tracking": self.tracking.model_dump() if self.tracking else None,
            "name": self.name,
            **{name: metadata.get(name) for name in self._own_fields},
        }

    def __str__(self) -> str:
        return self.to_json()

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        if self.uri:
            yield None, self.uri
        yield "path", str(self.path)
        if self.type != type(self).type_name():
            yield "type", self.type
        if self.name:
            yield "name", self.name
        for name in self._own_fields:
            value = self.__dict__.get(name)
            if value is not None and value != type(self).model_fields[name].get_default(
                call_default_factory=True, validated_data={}
            ):
                yield name, _Short(value) if isinstance(value, list) else value
        if rest := {name: value for name, value in self.metadata.items() if not self._is_field(name)}:
            yield "metadata", rest


class _Short:
    """A list in a `repr`: the first items and how many more."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __repr__(self) -> str:
        shown = ", ".join(repr(item) for item in self._items[:REPR_ITEMS_MAX])
        more = len(self._items) - REPR_ITEMS_MAX
        return f"[{shown}, … {more} more]" if more > 0 else f"[{shown}]"


def split_id(identity: str | None) -> tuple[str | None, int | None]:
    """The name and version in a tracker's `name:vN`; (None, None) if it is no such thing.

    >>> split_id("my-data:v3"), split_id("team/project/my-data:v0")
    (('my-data', 3), ('team/project/my-data', 0))
    """
    try:
        ref = ArtifactRef.parse(identity or "")
    except MisuseError:
        return None, None  # a third-party tracker may call it what it likes
    if not isinstance(ref.selector, Version) or ref.inside:
        return None, None
    return (ref.name.semantic if ref.wandb else ref.name.key), ref.selector.number
