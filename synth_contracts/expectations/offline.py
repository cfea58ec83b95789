"""Great Expectations' imports, kept from opening a socket.

Great Expectations imports urllib3, which binds a socket to ``::1`` as it is imported, to find out
whether the machine speaks IPv6. A run of ours opens no inet socket, so urllib3 is imported right
before it and told what Python itself says.
"""

from __future__ import annotations

import socket
import sys


def import_urllib3() -> None:
    """Import urllib3 without its probe; does nothing where it is imported already, or missing."""
    if "urllib3.util.connection" in sys.modules:
        return
    spoken, socket.has_ipv6 = socket.has_ipv6, False
    try:
        from urllib3.util import connection
    except ImportError:
        return
    finally:
        socket.has_ipv6 = spoken
    connection.HAS_IPV6 = spoken
