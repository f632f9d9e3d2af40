"""Which key holds what; the picture is in section "The store" of `docs/nemotron/kit.md`."""

import re

from nemotron.kit.documents.digest import hex_of

FORMAT = ".kit/format.json"
OLDER_INDEX = ".art_index.json"
RUNS = ".kit/runs"
STORE_FORMAT = 1
REMAPS = ".kit/remaps"
BLOBS = ".kit/blobs"
TREES = ".kit/trees"
TRASH = ".kit/trash"
STATS = ".kit/stats"
_ADOPTED = re.compile(r"v([1-9][0-9]{0,17})(\.full|\.[1-9][0-9]{0,17})?\.json", re.ASCII)
_VERSION_FOLDER = re.compile(r"v([1-9][0-9]{0,17})", re.ASCII)
_MOVE = re.compile(r"([0-9]{8,18})\.json", re.ASCII)


def manifest(name: str, version: int) -> str:
    """The commit point of a version."""
    return f"{name}/v{version}/manifest.json"


def metadata(name: str, version: int) -> str:
    """The companion for readers that know no manifests."""
    return f"{name}/v{version}/metadata.json"


def tombstone(name: str, version: int) -> str:
    """The withdrawal of a version."""
    return f"{name}/v{version}/tombstone.json"


def latest(name: str) -> str:
    """The hint at the newest version."""
    return f"{name}/latest"


def aliases(name: str) -> str:
    """The folder of a name's alias logs."""
    return f"{name}/aliases"


def alias_log(name: str, alias: str) -> str:
    """The folder of one alias's moves."""
    return f"{name}/aliases/{alias}"


def alias_move(name: str, alias: str, sequence: int) -> str:
    """One move; padded, so that a listing in text order is in order."""
    return f"{name}/aliases/{alias}/{sequence:08d}.json"


def move_sequence(file_name: str) -> int | None:
    """The number in a move's file name."""
    match = _MOVE.fullmatch(file_name)
    return int(match[1]) if match else None


def version_number(folder_name: str) -> int | None:
    """The number in `vN`."""
    match = _VERSION_FOLDER.fullmatch(folder_name)
    return int(match[1]) if match else None


def tree(digest: str) -> str:
    """A listing that is too large for its manifest."""
    text = hex_of(digest)
    return f"{TREES}/{text[:2]}/{text}"


def blob(digest: str) -> str:
    """The content of a file."""
    text = hex_of(digest)
    return f"{BLOBS}/{text[:2]}/{text}"


def set_aside(batch: str, key: str) -> str:
    """Where a blob or tree lies once a run of gc has put it into its batch of the trash."""
    return f"{TRASH}/{batch}/{key.removeprefix('.kit/')}"


def put_back(key: str) -> str | None:
    """The key that an object in the trash had, or None if it is no blob and no tree.

    >>> put_back(set_aside("018f", blob("blake3:" + "ab" * 32))) == blob("blake3:" + "ab" * 32)
    True
    """
    before = ".kit/" + key.removeprefix(f"{TRASH}/").partition("/")[2]
    return before if before.startswith((f"{BLOBS}/", f"{TREES}/")) else None


def batch(name: str) -> str:
    """When a batch of the trash was begun: the store's own time of writing this is what counts."""
    return f"{TRASH}/{name}/begun.json"


def doubtful_batch(until_ns: int, now_s: float) -> str:
    """The batch for what was written before a sync failed.

    Readers look into those of gc first, which come behind it. A run of gc finds no beginning in it, and lets
    its time begin; from then on nothing is put there, or for a minute at most.

    >>> doubtful_batch(1_700_000_000_000_000_000, 1_700_000_600.5)
    '00-doubtful-1700000000000000000-28333343'

    Args:
        until_ns: what was written until then is in doubt; an object that is put here twice is in two batches.
        now_s: the time, in seconds since the epoch.
    """
    return f"00-doubtful-{until_ns}-{int(now_s // 60)}"


def journal(day: str, write_id: str, name: str) -> str:
    """The hint that something was committed, for whoever keeps an index."""
    return f".kit/journal/{day}/{write_id}.{name}"


def older_floor(name: str) -> str:
    """The highest number that older tools took for a name, fixed by its first publish in this format."""
    return f".kit/older/{name}.json"


def adopted(name: str, file_name: str = "") -> str:
    """The manifests written later for versions of older tools, or one of them."""
    return f".kit/adopted/{name}/{file_name}".rstrip("/")


def adopted_file(version: int, *, full: bool, digests: int = 0) -> str:
    """The file name of an adopted version's manifest: others where digests were taken later.

    >>> adopted_file(3, full=False), adopted_file(3, full=False, digests=12), adopted_file(3, full=True)
    ('v3.json', 'v3.12.json', 'v3.full.json')

    Args:
        version: the number.
        full: whether every file has a digest.
        digests: else how many have one.
    """
    known = ".full" if full else f".{digests}" if digests else ""
    return f"v{version}{known}.json"


def adopted_number(file_name: str) -> int | None:
    """The number in an adopted version's file name."""
    match = _ADOPTED.fullmatch(file_name)
    return int(match[1]) if match else None


def adopted_rank(file_name: str) -> float:
    """How much an adopted version's manifest knows, by its file name: what ranks higher goes first.

    >>> sorted(["v3.full.json", "v3.12.json", "v3.json", "v3.9.json"], key=adopted_rank)
    ['v3.json', 'v3.9.json', 'v3.12.json', 'v3.full.json']
    """
    match = _ADOPTED.fullmatch(file_name)
    known = match[2] if match else None
    return float("inf") if known == ".full" else int(known[1:]) if known else 0


def remap(sequence: int) -> str:
    """One entry of the log of remaps."""
    return f"{REMAPS}/{sequence:08d}.json"


def checkout(name: str, version: int) -> str:
    """The folder where a snapshot is laid out."""
    return f".kit/checkouts/{name}/v{version}"


def stats_of(name: str, version: int) -> str:
    """The log of newer times and etags of a version's files."""
    return f"{STATS}/{name}/v{version}"


def stats(name: str, version: int, sequence: int) -> str:
    """One entry of it; padded, so that a listing in text order is in order."""
    return f"{stats_of(name, version)}/{sequence:08d}.json"


def stats_place(key: str) -> tuple[str, int] | None:
    """The name and number of the version that an entry of such a log is about.

    >>> stats_place(stats("web", 3, 1))
    ('web', 3)
    """
    parts = key.removeprefix(f"{STATS}/").split("/")
    number = version_number(parts[1]) if len(parts) == 3 else None
    return None if number is None or move_sequence(parts[2]) is None else (parts[0], number)


def run_folder(run_id: str) -> str:
    """All that is recorded of a run."""
    return f"{RUNS}/{run_id}"


def run_start(run_id: str) -> str:
    """What is known when a run begins."""
    return f"{RUNS}/{run_id}/start.json"


def run_environment(run_id: str) -> str:
    """The code and the packages of a run."""
    return f"{RUNS}/{run_id}/environment.json"


def run_config(run_id: str) -> str:
    """The config of a run, where it was told after its start was recorded."""
    return f"{RUNS}/{run_id}/config.json"


def run_finish(run_id: str) -> str:
    """How a run ended."""
    return f"{RUNS}/{run_id}/finish.json"


def run_made(run_id: str, what: str = "") -> str:
    """The hint that a run made a version, `name.vN`; without one the folder of all."""
    return f"{RUNS}/{run_id}/made/{what}".rstrip("/")
