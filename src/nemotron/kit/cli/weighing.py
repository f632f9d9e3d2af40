"""`composition` and `recall`: which data is in it, and in what is this data."""

from nemotron.kit.cli.options import Depth, Json, Limit, Quiet, Ref, Root, limit_of, session


def composition(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show which share of an artifact, by tokens, comes from which source dataset.

    Each number says how sure it is: measured from the files, claimed by who made it, or estimated by a rule.
    What is not known is shown as unknown, and never spread over the rest.
    """
    from nemotron.kit.console.weighing import CompositionView
    from nemotron.kit.lineage import questions

    registry, output = session(root, as_json, quiet)
    with output.progress("Reading manifests"):
        found = questions.composition(registry, ref)
    output.show(CompositionView(found))


def recall(
    ref: Ref,
    limit: Limit = None,
    depth: Depth = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List every artifact that holds a dataset, with its share: the newest aliases first.

    REF is an artifact, a file or folder of one, or the URI of an external dataset. Of a file, only those that
    took it are listed, as far as they said which files they took; its share is estimated by sizes.

    Of very many the first are weighed and shown, and how many more were made of it is said.

    Example: nemotron kit recall hf://datasets/org/name

    Example: nemotron kit recall data:v1/train/part-0.bin
    """
    from nemotron.kit.console.impact import HoldingsView
    from nemotron.kit.lineage import impact as answers

    registry, output = session(root, as_json, quiet)
    with output.progress("Reading manifests"):
        found = answers.recall(registry, ref, limit=limit_of(limit, for_person=output.human), depth=depth)
    output.show(HoldingsView(found, is_bounded=limit is not None or depth is not None))
