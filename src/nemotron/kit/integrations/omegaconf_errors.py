"""What OmegaConf's errors mean in the kit's terms."""

from nemotron.kit.errors import KitError, MisuseError


def resolution_error(error: BaseException, key: str, where: str) -> KitError:
    """Translate the failure to resolve an interpolation.

    A resolver's own error is worth more than OmegaConf's around it: `${art:…}` of an unknown artifact stays
    an `ArtifactNotFoundError`, which a caller handles otherwise than a misspelt key.

    Args:
        error: what OmegaConf raised.
        key: the dotted key that was asked for, if OmegaConf does not know better.
        where: the file or section that it is in.

    Returns:
        The error to raise, `from None`: the kit's own from within, with a note, else a `MisuseError` with
        OmegaConf's reason.
    """
    path = getattr(error, "full_key", None) or key
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, KitError):
            inner.add_note(f"while resolving {path} of {where}")
            return inner
        inner = inner.__cause__ or inner.__context__
    reason = str(error).partition("\n")[0]
    return MisuseError(f"{path} of {where} cannot be resolved: {reason}")
