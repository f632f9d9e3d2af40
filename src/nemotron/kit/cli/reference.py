"""The reference of the commands as Markdown, made from the commands themselves.

`python -m nemotron.kit.cli.reference > docs/cli.md` writes it anew; a test compares.
"""

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

from nemotron.kit.cli.app import COMMANDS, load
from nemotron.kit.console.output import write

_INTRODUCTION = """
<!-- Made by `python -m nemotron.kit.cli.reference > docs/cli.md`; change the commands, not this file. -->

# The command `nemotron kit`

Artifacts, their versions, and where they come from, without writing Python.

```console
$ mkdir -p out && echo "some text" > out/part.txt
$ export NEMO_ARTIFACT_ROOT=artifacts
$ nemotron kit register out --name my-data --metadata total_tokens=25000000000 --alias production
published art://my-data:v1: 1 file, 10 B, stat evidence  (production)
$ nemotron kit resolve my-data:production
/home/me/out
$ nemotron kit versions my-data
VERSION  CREATED                         SIZE  ALIASES             METADATA
v1       2026-11-24T15:33:25Z  just now  10 B  latest, production  25B tokens
```

**Which store.** `--root`, else `NEMO_ARTIFACT_ROOT`, else `root` in the section `[artifacts.manifest]` of
the nearest `env.toml`, looked for in the working folder and upwards; a relative path there counts from the
file.

**A reference** (`REF`) is `NAME`, `NAME:v3` or `NAME:ALIAS`, with or without `art://` in front. Without a
version it means the latest one.

**Output.** Tables and trees for a person; colour on a terminal only (`NO_COLOR` and `FORCE_COLOR` are
honoured). `--json` writes one JSON document to standard output, and nothing else; NaN and infinity are
spelt as text. `--quiet` writes bare values, one a line. Remarks, warnings (`warning: …`) and errors
(`error: …`) go to standard error, always as text: when a command fails, standard output stays empty and the
exit code tells. (`verify` and `doctor` are checks: what they find is their result, also when they fail.)

**Exit codes.** 0: done. 1: not found, refused, or a check that failed. 2: wrong usage, such as a reference
or name that is none, or no store named. 130: interrupted by Ctrl-C, 143: by
SIGTERM, as a scheduler sends it; a line on standard error says what that leaves.

**A version as JSON** has, wherever a version is meant, `uri`, `name` (the key), `semantic_name`, `version`
(a number), `type`, `path`, `created_at`, `metadata` and `inputs` (URIs).

**Completion** of commands, names, versions and aliases: `nemotron --install-completion`.

Options of every command:

{common}
"""
_JSON = {
    "ls": "A list of `{name, semantic_name, latest, versions, type, aliases}`: `latest` is a "
    "number, or null if every version is withdrawn; `versions` counts the living ones; "
    "`aliases` maps each alias to its version.",
    "show": "The version, and `aliases`, `producer`, `run`, `data` (`present`, `gone`, `remote`, or "
    "`stored` for a snapshot that is not laid out), `mode`, `evidence`, `scope`, `files`, "
    "`size`, `digest`, and `withdrawn` as in `versions`.",
    "versions": "A list of versions, each with `aliases`, `files`, `size` and `withdrawn`: null, or "
    "`{reason, at, by}`.",
    "resolve": "The version; `path` is the one asked for. With a path inside, also `inside`.",
    "lineage": "`{uri, nodes, edges}`: nodes have `uri`, `kind`, `type` and what is known of the "
    "artifact; edges are `{from, to, role}`, from the input to what was made of it, with `split`, `shards`, "
    "`tokens`, `token_range`, `weight`, `revision` where they were said. A run is a node of kind `run`, with "
    "edges of the role `run` to what it made. `notes` says what was left out, if anything was, and "
    "whether the answer to a path inside an artifact is for all of it; with `--limit`, `rest` is how many "
    "nodes.",
    "runs": "A list of what `run` gives, without `code`.",
    "run": "`{id, name, parent, status, error, exit_code, started_at, ended_at, command, cwd, entry, python, "
    "process, experiment, scheduler, world_size, image, config, seeds, tags, code, inputs, outputs, "
    "unchanged, resolved, metrics, wandb_url}`: `status` is `running`, `finished`, `exited`, `failed`, "
    "`killed` or `unknown`; `exit_code` is the argument of `sys.exit`, null where that was not seen; "
    "`code` has `commit`, `branch`, `dirty`, `diff`, `entry_digest`, `packages`, `packages_digest`; "
    "`resolved` maps references without a fixed version to what they meant; `unchanged` are "
    "versions that it saved and that were there already; `inputs` are what it loaded, and what its versions "
    "were said to be made from.",
    "impact": "A list of `{uri, type, share, confidence, rule, path, path_skipped, aliases, withdrawn}`: "
    "`path` are the URIs from REF to it, of a very long way REF and the last, with the number of those left "
    "out; `share` is null where nobody knows, and 0 where it holds nothing of REF. With `--limit` or "
    "`--depth`, `{found, rest, deeper}`: the list, how many more there are, how many beyond the depth.",
    "why": "The version as a node of `lineage`, and `made_by` (its run's `id`, `name`, `status` and "
    "the like, or null), `made_from`, `sources` (lists of `{uri, kind, type}`; in `made_from` also "
    "`uses`, a list of `{role, …}` as edges of `lineage` have them) and `previous`: "
    "null, or what `diff` says of the version before.",
    "path": "`{from, to, paths}`: lists of URIs, each from the input to what was made of it.",
    "common": "`{a, b, common: [{uri, kind, type, steps: {a, b}, nearest}]}`, the nearest to the two first.",
    "diff": "`{a, b, same, type, inputs, uses, composition, config, seeds, run, code, packages, metrics, "
    "metadata, content, totals, files, unlisted, place, upstream}`: `composition` (shares of sources) to "
    "`metrics` map names to `{a, b}` like `metadata`, and are null where the runs have no record; `inputs` "
    "lists `{a, b}` URIs, null where there is none; `uses` lists `{a, b, role, fields}` of what was said: "
    "`a` and `b` as in `inputs`, `fields` maps `role`, `split`, `shards`, `tokens`, `token_range`, "
    "`weight`, `revision` to `{a, b}`, those that differ; `run` has `name`, `tags`, `command`, `entry`, "
    "`world_size`, `image`; `metadata` maps a field to `{a, b}`, one of them where it is on one side only; "
    "`content` has `mode`, `scope`, `entry`, `follow_links`, and `totals` `files` and `bytes`, those that "
    "differ; `files` lists `{path, verdict}` (`added`, "
    "`removed`, `changed`, `touched`), with `sure: false` where an etag alone tells of a change, null if "
    "they can't be compared; `unlisted` names those of the two without a listing that can be read; `type` "
    "and `place` (where the files were) are `{a, b}`, or null if they are the same. `same` is true if "
    "nothing but `place` and `touched` files is different, and not one of the two is unlisted. `notes` say "
    "of how many `touched` files the bytes were not compared, if there are such. `upstream` "
    "lists the same of the inputs that changed, the first cause first.",
    "log": "A list of `{at, what, uri, by, why}`; `what` is `published`, `withdrawn` or `alias`, which also "
    "has `alias` and `previous`.",
    "composition": "`{uri, tokens, sources, unknown_share}`: `sources` lists `{uri, share, tokens, "
    "confidence}`, `confidence` is `measured`, `claimed`, `estimated`, or `unknown` where `share` is "
    "null. The shares and `unknown_share` sum to 1.",
    "recall": "As of `impact`; `share` is null where it is somewhere in what is unknown; `rule` says how the "
    "share of a part was told, else null; `rest` counts what was made of it and was not weighed.",
    "export": "`{format, text}`. With `--to json`, `text` is the document of `lineage --json`.",
    "cat": "`{uri, size, encoding, content}`; `encoding` is `utf-8`, or `base64` for what is no text.",
    "cp": "`{uri, to, files, links, size, skipped, skipped_links, left_out}`: files, links and bytes copied, "
    "files and links that were there, and the paths in the artifact of all links that were left out.",
    "open": "The version as above, with `path`; nothing is opened.",
    "inspect": "`{path, type, measured, unreadable}`: `measured` maps fields to what the bytes say; "
    "`unreadable` is a list of `{field, why}`.",
    "register": "The version, and `created` (false: it was there already) and `aliases`.",
    "rm": "The version, and `withdrawn: {reason}`; with `--delete-data` also `deleted: {path, files, bytes, "
    "kept}`.",
    "alias": "The version, and `alias`, `previous`, `moved`, `moved_at`, `moved_by`, `protected`, `why`.",
    "aliases": "Each alias with its version, `{alias: number}`.",
    "alias-log": "A list of moves, oldest first: `{uri, sequence, version, previous, moved_at, moved_by, "
    "protected, undoes, why}`; `undoes` is the sequence of the move that it took back, or null.",
    "verify": "`{uri, ok, evidence, bytes_read, seconds, files}`: `evidence` is what was achieved (`full`, "
    "`sampled` or `stat`); `files` lists `{path, verdict}` of those that are not the same: `touched` "
    "(other time, same size, and as far as it was read the same content: `notes` name those of which "
    "that is not all of it), `changed`, `missing` or "
    "`extra`. `ok` is true if none but `touched` is among them. `unseen` says what evidence below `full` "
    "is blind to, `notes` what no single file shows, such as a folder that is gone. At a URL also "
    "`requests`, how many were made of its server, and `sure` false in a file that was written again with "
    "the same size, as its etag tells, where nothing is known of its bytes.",
    "outbox": "`{delivered, waiting, set_aside, records}`: counts, `delivered` of the versions that have a "
    "receipt; `records` lists `{id, state, uri, destination, run, since, inputs, why, kind, attempts, "
    "last_attempt}` of what is still there, `state` is `waiting` or `set_aside`.",
    "gc": "`{root, applied, grace_s, items, bytes_deleted, next_at, unfinished}`: `items` lists `{what, "
    "action, count, bytes}`; `what` is `blobs`, `trees`, `temporary`, `resolutions`, `checkouts`, "
    "`journal`, `stats` or `doubt`; `action` is `set_aside`, `put_back`, `deleted` or `waiting` (in the "
    "trash); without `--apply` it is what would be done. `next_at` is when what is in the trash can go; "
    "`unfinished` says why something was left.",
    "sync": "As `outbox`, but `delivered` counts the records that were delivered now.",
    "doctor": "`{root, ok, findings}`; each finding has `kind`, `level` (`problem` or `note`), `where`, "
    "`what`, `fix` and `repaired`: what `--repair` did, or null. `ok` is false if a problem is left; notes "
    "alone don't count.",
    "adopt": "`{root, dry_run, adopted, already, skipped, versions}`: three counts, and a list of `{uri, "
    "status, why, evidence, files, size}`; `why` it was skipped, or some files have no digest.",
    "remap": "`{root, remaps}`: those in force then, a list of `{old, new, set_at, set_by, why}`.",
}
_COMMON = ("root", "as_json", "quiet")


def reference() -> str:
    """The whole page."""
    some: Any = load("ls")
    common = _table([param for param in some.params if param.name in _COMMON])
    introduction = cleandoc(_INTRODUCTION).replace("{common}", common)
    return introduction + "\n" + "".join(f"\n{_section(name)}" for name in COMMANDS)


def _section(name: str) -> str:
    command: Any = load(name)
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    needed = "".join(f" {option.opts[0]} {option.metavar}" for option in options if option.required)
    usage = (
        f"nemotron kit {name}{''.join(f' {argument.metavar}' for argument in arguments)}{needed} [OPTIONS]"
    )
    table = _table([param for param in command.params if param.name not in _COMMON])
    parts = (f"## {name}", f"```text\n{usage}\n```", command.help, table, f"JSON: {_JSON[name]}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(params: list[Any]) -> str:
    rows = [f"| `{left}` | {right} |" for left, right in _rows(params)]
    return "\n".join(["| | |", "| --- | --- |", *rows]) if rows else ""


def _rows(params: list[Any]) -> Iterator[tuple[str, str]]:
    for param in params:
        names = (
            [param.metavar] if param.param_type_name == "argument" else [*param.opts, *param.secondary_opts]
        )
        value = f" {param.metavar}" if param.param_type_name == "option" and param.metavar else ""
        default = getattr(param.default, "value", param.default)
        remark = "" if param.required else f" Default: `{default}`." if _is_told(default) else ""
        yield f"{', '.join(names)}{value}".replace("|", "\\|"), f"{param.help}{remark}"


def _is_told(default: Any) -> bool:
    return isinstance(default, str | int) and not isinstance(default, bool)


if __name__ == "__main__":
    write(reference())
