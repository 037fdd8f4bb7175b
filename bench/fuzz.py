"""Fuzz the parsers for as long as wanted, guided by coverage: atheris (libFuzzer), one process for each target.

    python bench/fuzz.py --seconds 300 [--only sql reply …]

Needs `pip install atheris`, which is there for Linux and Python 3.11 to 3.13. Inputs that reach new code are kept in
``--work``, so that the next run goes on where this one ended. What breaks a target is written to
`tests/findings/TARGET/`, where the tests try it from then on: mend what it shows, and keep the file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))


def fuzz(name: str, seconds: int, work: Path) -> bool:
    """Fuzz one target in a process of its own; return whether it held."""
    from fuzz_targets import SEEDS

    corpus, findings = work / name, ROOT / "tests" / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(name, ())):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=30",
        "-rss_limit_mb=4096",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    process = subprocess.run(
        [sys.executable, __file__, "--target", name, *options, f"-artifact_prefix={findings}/", str(corpus)],
        check=False,
        capture_output=True,
        text=True,
    )
    if not any(findings.iterdir()):
        findings.rmdir()
    runs = [line for line in process.stderr.splitlines() if "number_of_executed_units" in line]
    told = runs[-1].split()[-1] if runs else "?"
    print(f"{name}: {'held' if not process.returncode else 'BROKEN'}, {told} inputs", flush=True)
    if process.returncode:
        print("\n".join(process.stderr.splitlines()[-25:]), flush=True)
    return not process.returncode


def in_process(name: str, arguments: list[str]) -> None:
    """Fuzz one target here; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["structrag", "sqlglot"]):
        from fuzz_targets import TARGETS

    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """Run what the command line asks for; 1 if a target broke."""
    if sys.argv[1:2] == ["--target"]:
        in_process(sys.argv[2], sys.argv[3:])
        return 0
    from fuzz_targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="for each target")
    parser.add_argument("--only", nargs="*", default=list(TARGETS), choices=list(TARGETS), metavar="TARGET")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "structrag-fuzz")
    arguments = parser.parse_args()
    held = [fuzz(name, arguments.seconds, arguments.work) for name in arguments.only]
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
