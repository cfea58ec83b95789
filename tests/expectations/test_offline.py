"""urllib3 is imported without its probe for IPv6, which would bind an inet socket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEN = """
import importlib.util, socket, sys
socket.has_ipv6 = True
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("socket.") else None)
spec = importlib.util.spec_from_file_location("offline", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
if sys.argv[2] == "through":
    module.import_urllib3()
from urllib3.util import connection
assert socket.has_ipv6 is True
print(len(seen))
"""


def sockets(how: str) -> int:
    file = ROOT / "synth_contracts" / "expectations" / "offline.py"
    done = subprocess.run(
        [sys.executable, "-c", SEEN, str(file), how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_the_import_opens_no_socket() -> None:
    assert sockets("through") == 0


def test_the_test_above_sees_the_probe() -> None:
    assert sockets("plainly") > 0
