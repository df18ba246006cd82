"""Small facts about Chainer 7.8.1, each found by running it -> ``behaviour.json``.

Every ``fact_*`` function of the modules below returns one JSON value, mostly a mapping of
several facts; its name without ``fact_`` is the key in the file.
"""

import golden_facts_objects
import golden_facts_snapshots
import golden_facts_updates
import golden_initializers
import golden_misuse

MODULES = (golden_facts_objects, golden_facts_updates, golden_facts_snapshots, golden_misuse)


def make():
    """All facts, by name."""
    facts = {"initializer_refusals": golden_initializers.refusals()}
    for module in MODULES:
        for name, function in vars(module).items():
            if name.startswith("fact_"):
                facts[name[len("fact_") :]] = function()
    return facts
