"""What a backend, and the kit itself, is tested with. Needs `pip install 'nemotron-kit[test]'`.

- `store_suite.StoreSuite`: the conformance suite of stores; a backend's test is a subclass with two fixtures.
- `faults.FaultyStore`: any store, failing at the n-th call, before or after its effect, or losing the reply.
- `strategies`: hypothesis strategies for names, references, trees, manifests and metadata.

>>> from nemotron.kit.store.memory import MemoryStore
>>> from nemotron.kit.testing.faults import Fault, FaultyStore
>>> store = FaultyStore(MemoryStore(), Fault("lost", call=1))
>>> store.create("a/b", b"1"), store.read("a/b")
(False, b'1')
"""

import sys

if pytest := sys.modules.get("pytest"):
    # So that a failing assertion of the suite shows its values.
    pytest.register_assert_rewrite(f"{__name__}.store_suite", f"{__name__}.store_races")
