"""Coverage-guided fuzzing of every reader with atheris: `python tests/formats/fuzz.py [SECONDS [READER…]]`.

Any error but one of the kit's, five seconds spent on one file, or more memory than a head may take, ends it
with the file that did it. `test_fuzz.py` looks for the same with hypothesis in every test run.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

TESTS = Path(__file__).parents[1]
MEMORY_MB_MAX = 1024
FILE_BYTES_MAX = 4096
SECONDS_A_FILE_MAX = 5


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one reader in this process, which ends with it."""
    sys.path.insert(0, str(TESTS))
    with atheris.instrument_imports(include=["nemotron.kit.formats"]):
        from formats.test_fuzz import READERS
        from nemotron.kit.errors import KitError

    reader, file, good = READERS[name]
    folder = Path(tempfile.mkdtemp())
    path, corpus = folder / file, folder / "corpus"
    path.parent.mkdir(exist_ok=True)
    corpus.mkdir()
    (corpus / "good").write_bytes(good)
    (folder / "f.bin").write_bytes(b"\0" * 38)

    def once(data: bytes) -> None:
        path.write_bytes(data)
        try:
            reader(path)
        except KitError as error:
            if str(folder) not in str(error):
                raise AssertionError("an error that does not name the file") from error

    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={max(FILE_BYTES_MAX, 2 * len(good))}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-timeout={SECONDS_A_FILE_MAX}",
        f"-artifact_prefix={folder}/",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], once)
    atheris.Fuzz()


def main() -> int:
    """Fuzz some readers, or all, one after the other."""
    seconds, names = int(sys.argv[1] if len(sys.argv) > 1 else "60"), sys.argv[2:]
    if len(names) == 1:
        fuzz(names[0], seconds)
        return 0
    sys.path.insert(0, str(TESTS))
    from formats.test_fuzz import READERS

    names = names or list(READERS)
    failed = []
    for name in names:
        command = [sys.executable, __file__, str(max(1, seconds // len(names))), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        runs = [line.split()[-1] for line in done.stderr.splitlines() if "number_of_executed_units" in line]
        print(f"{name:12} {runs[0] if runs else '?':>9} files  {'ok' if done.returncode == 0 else 'FAILED'}")
        if done.returncode:
            failed.append(f"{name}:\n{done.stderr[-3000:]}")
    print("\n\n".join(failed), file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
