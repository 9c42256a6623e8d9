"""Cuts every Python process of the tests off the network: Python imports this file when its folder is on PYTHONPATH.

Connections and look-ups other than to this machine raise OSError. tests/conftest.py puts the folder on PYTHONPATH,
so kernels and other child processes inherit it. Programs that are not Python meet a proxy that does not answer.
And two savings of time, which every process would spend on imports.
"""

import gc
import socket
import sys

LOCAL = {"localhost", "127.0.0.1", "::1", "", None, "0.0.0.0", "::", socket.gethostname()}


def local(host):
    host = host.decode() if isinstance(host, bytes) else host
    return host in LOCAL or (isinstance(host, str) and host.startswith("127."))


def guard(owner, name, host_of):
    original = getattr(owner, name)

    def guarded(*args, **kwargs):
        host = host_of(*args, **kwargs)
        if not local(host):
            raise OSError(f"the tests have no network: {name} to {host!r}")
        return original(*args, **kwargs)

    if not getattr(original, "no_network", False):
        guarded.no_network = True
        setattr(owner, name, guarded)


def address_host(sock, *args):
    """The host of socket.connect(address) and socket.sendto(data, [flags,] address)."""
    return args[-1][0] if sock.family in (socket.AF_INET, socket.AF_INET6) else "localhost"


for method in ("connect", "connect_ex", "sendto"):
    guard(socket.socket, method, address_host)
for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    guard(socket, function, lambda host, *args, **kwargs: host)

# torch and transformers make a million objects that stay: a fifth of their import goes into looking for garbage.
gc.set_threshold(50_000, 20, 20)
# jsonschema asks for this grammar of web addresses, which takes over a second to make, in every process that reads a
# notebook. It does without it, too: no notebook is checked for such addresses.
sys.modules.setdefault("rfc3987_syntax", None)
