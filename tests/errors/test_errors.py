"""The error tree is a contract: kinds are for programs, built-in bases for callers who know no kit."""

import copy
import pickle
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import nemo_runspec
import nemotron.kit
from nemotron.kit import errors
from nemotron.kit.errors import KitError

GOLDEN = Path(__file__).with_name("kinds.txt")
GROUPS = [
    errors.NotFoundError,
    errors.ConflictError,
    errors.RefusedError,
    errors.UnavailableError,
    errors.CorruptError,
    errors.MisuseError,
]


def all_classes(base=KitError):
    return [base, *(found for child in base.__subclasses__() for found in all_classes(child))]


# Those of this module; other rooms may add classes of their own below these.
CLASSES = sorted(
    {found for found in all_classes() if found.__module__ == errors.__name__},
    key=lambda found: found.__name__,
)


def make(found):
    """An instance, whatever its constructor takes."""
    if issubclass(found, errors.ArtifactVersionNotFoundError):
        return found("data", "v3")
    return found("data")


def described(found):
    """`kind Class group built-ins`, as the golden file has it."""
    built_ins = [base.__name__ for base in found.__mro__ if base.__module__ == "builtins"]
    given = [name for name in built_ins if name not in ("Exception", "BaseException", "object")]
    group = next((group.__name__ for group in GROUPS if issubclass(found, group)), "-")
    return f"{found.kind} {found.__name__} {group} {','.join(given) or '-'}"


def test_kinds_and_bases_never_change():
    # A new class is a new line. A changed or missing line breaks somebody's program: add, don't edit.
    assert [described(found) for found in CLASSES] == GOLDEN.read_text().splitlines()


def test_every_class_of_the_house_has_a_kind_of_its_own():
    for package in (nemotron.kit, nemo_runspec):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    ours = [found for found in all_classes() if found.__module__.startswith(("nemotron.", "nemo_runspec."))]
    assert [found for found in ours if "kind" not in vars(found)] == []
    # By name, because a module that another test reloaded has its classes twice.
    kinds = {f"{found.__module__}.{found.__qualname__}": found.kind for found in ours}
    assert len(kinds) == len(set(kinds.values()))


@pytest.mark.parametrize("found", CLASSES)
def test_every_class_states_its_own_kind(found):
    assert "kind" in vars(found)
    assert found.kind.replace("_", "").isalpha()
    assert found.kind == found.kind.lower()


@pytest.mark.parametrize("found", [found for found in CLASSES if found is not KitError])
def test_every_class_is_in_exactly_one_group(found):
    assert sum(issubclass(found, group) for group in GROUPS) == 1


@pytest.mark.parametrize("found", CLASSES)
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_errors_cross_process_borders(found, copied):
    error = make(found)
    error.detail = {"attempt": 3}
    again = copied(error)
    assert type(again) is found
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("found", CLASSES)
def test_the_text_is_the_message(found):
    # KeyError would quote it, OSError would look for a number in front.
    error = found.__new__(found, "x")
    KitError.__init__(error, "No such thing: 'a'\nsecond line")
    assert str(error) == error.message == "No such thing: 'a'\nsecond line"


@pytest.mark.parametrize("found", CLASSES)
def test_every_class_can_be_raised_and_caught_by_its_built_in(found):
    for base in found.__mro__[:-1]:
        with pytest.raises(base):
            raise make(found)


def test_messages_that_recipes_match():
    assert str(errors.ArtifactNotFoundError("n")) == "Artifact not found: n"
    assert str(errors.ArtifactVersionNotFoundError("n", "v5")) == "Artifact version not found: n:v5"
    assert str(errors.ArtifactNotFoundError("n", "other")) == "other"
    assert errors.ArtifactNotFoundError("n").name == "n"
    assert errors.ArtifactVersionNotFoundError("n", 5).version == 5


def test_an_error_is_no_failed_system_call():
    # Code that looks at errno must see that there is none, not somebody else's.
    assert errors.NotFoundError("x").errno is None
    assert errors.RefusedError("x").errno is None
