"""Fuzzes one reader until it fails or its time is over: ``python -m tests.fuzz.one_reader NAME FOLDER... -OPTION...``.

The folders and options are libFuzzer's. A failure ends the process; what failed lies where ``-artifact_prefix`` says.
"""

import sys

import atheris

with atheris.instrument_imports(include=["qsr_edge", "qsr_edge_converters", "tomllib"]):
    from tests.fuzz.readers import READERS


def main() -> None:
    reader = READERS[sys.argv[1]]
    with atheris.instrument_imports(include=["qsr_edge", "qsr_edge_converters", "tomllib"]):
        for seed in reader.seeds()[:1]:
            reader.read(seed)  # imports all that the reader needs
    atheris.Setup([sys.argv[0], *sys.argv[2:]], reader.read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
