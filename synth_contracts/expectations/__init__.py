"""Great Expectations expectations, one per metric. Listed in ``catalog``.

Importing this package alone does not import Great Expectations (3.6 s); importing ``catalog``,
``privacy`` or ``fidelity`` does, and registers the expectations.
"""

from synth_contracts.expectations.offline import import_urllib3

# here, since this runs before any module of ours that imports Great Expectations
import_urllib3()
