"""Check the objects of one CPU kernel variant: check_kernel_symbols.py ISA OBJECT...

The kernels are compiled once per instruction set and linked into one library. Of a weak symbol (a
template or an inline function that was not inlined) the linker keeps one copy, perhaps the AVX-512
one, and an older CPU then dies in code that has nothing to do with AVX-512. So a weak symbol must
carry the instruction set in its name, as it does when it lies in the variant's namespace. Nor may
an object run code when the library is loaded: no static initialisers.
"""

import subprocess
import sys

WEAK = "VWuvw"


def offences(isa: str, objects: list[str]) -> list[str]:
    """Return one line for each symbol that breaks the rule."""
    token = f"{len(isa)}{isa}"  # as it stands in a mangled name
    listing = subprocess.run(
        ["nm", "-A", "--defined-only", *objects], check=True, capture_output=True, text=True
    ).stdout
    found = []
    for line in listing.splitlines():
        where, kind, name = line.rsplit(maxsplit=2)
        path = where.rsplit(":", 1)[0]
        if kind in WEAK and token not in name:
            found.append(f"{path}: weak symbol outside namespace {isa}: {name}")
        elif name.startswith("_GLOBAL__sub_I_"):
            found.append(f"{path}: static initialiser: {name}")
    return found


def main() -> int:
    """Print the offences, demangled; return their number as exit status."""
    isa, *objects = sys.argv[1:]
    if not objects:
        print("no objects", file=sys.stderr)
        return 1
    found = offences(isa, objects)
    text = subprocess.run(
        ["c++filt"], input="\n".join(found), check=True, capture_output=True, text=True
    ).stdout
    print(text or f"{len(objects)} objects of {isa}: no symbol that another variant could share")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
