"""One registry, many threads."""

from concurrent.futures import ThreadPoolExecutor

from nemotron.kit.registry.records import Draft

THREADS = 8


def test_threads_publish_through_one_registry(registry, opened, data):
    def work(thread):
        drafts = [Draft(name="m", source=data, metadata={"by": thread, "step": step}) for step in range(10)]
        return [registry.publish(draft).record for draft in drafts]

    with ThreadPoolExecutor(THREADS) as pool:
        records = [record for found in pool.map(work, range(THREADS)) for record in found]
    assert sorted(record.version for record in records) == list(range(1, THREADS * 10 + 1))
    for record in records:
        assert opened().resolve(record.uri).metadata == record.metadata


def test_threads_lay_out_one_snapshot(registry, data):
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    with ThreadPoolExecutor(THREADS) as pool:
        folders = set(pool.map(lambda _: registry.folder(record), range(THREADS)))
    (folder,) = folders
    assert (folder / "part.txt").read_text() == "hello"
    assert [path.name for path in folder.parent.iterdir()] == ["v1"]


def test_threads_move_one_alias(registry, data):
    for step in range(1, 5):
        registry.publish(Draft(name="m", source=data, metadata={"step": step}))
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda n: registry.alias("m", "best", n % 4 + 1), range(40)))
    log = registry.alias_log("m", "best")
    assert [move.sequence for move in log] == list(range(1, len(log) + 1))
    assert [move.previous for move in log] == [None, *(move.version for move in log[:-1])]
