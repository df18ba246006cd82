"""Writes the golden files beside this script with the real Chainer 7.8.1.

Run it in Chainer's own old environment (README.md says how to make one):

    PYTHONHASHSEED=0 old/bin/python make_golden.py             # everything
    PYTHONHASHSEED=0 old/bin/python make_golden.py functions   # one file

Running it again gives the same bytes; the hash seed is asked for because Chainer saves a
link's values in the order of a set of strings.
"""

import importlib
import json
import sys
import warnings

import chainer
import golden_cases as cases
import numpy as np

#: golden_<name>.make() returns the arrays of <name>.npz.
ARRAYS = ("optimizers", "hooks", "functions", "initializers", "loss_scaling", "snapshots", "xor")


def write_arrays(name, arrays):
    path = cases.HERE / f"{name}.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1024:.0f} KiB")


def write_behaviour(facts):
    path = cases.HERE / "behaviour.json"
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"{path.name}: {len(facts)} facts")


def main():
    if chainer.__version__ != "7.8.1" or np.__version__ != "1.23.5":
        raise SystemExit("this needs chainer 7.8.1 with numpy 1.23.5; see README.md")
    if sys.flags.hash_randomization:
        raise SystemExit("set PYTHONHASHSEED=0, so that snapshots keep their bytes")
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")  # MSVAG divides 0 by 0 and repairs it; log(0) is a case
    wanted = sys.argv[1:] or [*ARRAYS, "behaviour"]
    for name in wanted:
        made = importlib.import_module(f"golden_{name}").make()
        if name == "behaviour":
            write_behaviour(made)
        else:
            write_arrays(name, made)


if __name__ == "__main__":
    main()
