"""What an `ArtifactRegistry` over a store has published: told to W&B as well, or kept for it."""

from nemotron.kit.documents.outbox import Destination, Receipt
from nemotron.kit.errors import KitError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.catalog import Found, WandbCatalog
from nemotron.kit.integrations.wandb.delivery import NOT_NOW
from nemotron.kit.integrations.wandb.delivery_plan import record_of
from nemotron.kit.names import SCHEME
from nemotron.kit.redaction import clean
from nemotron.kit.registry import stamps
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.outbox import Outbox


def remember(catalog: WandbCatalog, registry: Registry, subject: str, found: Found) -> None:
    """Keep what W&B calls a version, so that it is an input there and not made again.

    Args:
        catalog: the W&B project.
        registry: the store.
        subject: `art://name:vN` of the store.
        found: what W&B has made of it.

    Raises:
        KitError: the outbox could not be written.
    """
    run = wandb_run.active()
    receipt = Receipt(
        subject=subject,
        twin=found.uri.removeprefix(SCHEME),
        record=stamps.uuid7(),
        run=str(getattr(run, "id", "")),
        aliases=("latest",),
        delivered_at=stamps.now(),
    )
    entity = receipt.twin.partition("/")[0]
    Outbox(registry.store).keep_receipt(_destination(catalog, entity), receipt)


def keep(catalog: WandbCatalog, registry: Registry, subject: str, error: KitError) -> bool:
    """Put a version into the outbox that W&B did not take now; it is told from its manifest.

    Args:
        catalog: the W&B project.
        registry: the store.
        subject: `art://name:vN` of the store.
        error: why W&B did not take it.

    Returns:
        Whether it is kept: not what W&B would refuse again, nor what its user has switched off.

    Raises:
        KitError: the outbox could not be written.
    """
    run = wandb_run.active()
    mode = wandb_run.configured_mode() if run is None else wandb_run.mode(run)
    if mode == "disabled" or not isinstance(error, NOT_NOW):
        return False
    name = subject.removeprefix(SCHEME).rpartition(":")[0]
    manifest = next((one.manifest for one in registry.versions(name) if one.uri == subject), None)
    if manifest is None:
        raise UnavailableError(f"{subject} is not in the store any more")
    record = record_of(registry, manifest, _destination(catalog, catalog.entity))
    outbox = Outbox(registry.store)
    outbox.add(record)
    outbox.failed(record.id, error)
    return True


def _destination(catalog: WandbCatalog, entity: str | None) -> Destination:
    server = clean(wandb_run.configured_server())
    return Destination(server=server, entity=entity, project=catalog.project)
