"""Where processes listen for connections."""

import subprocess

import psutil


def family(process: subprocess.Popen) -> list[psutil.Process]:
    """A process and all that it has started, and they."""
    try:
        return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses on which any of them listens."""
    found = set()
    for process in processes:
        try:
            found |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def on_loopback(addresses: set[str]) -> bool:
    return all(address.removeprefix("::ffff:").startswith("127.") or address == "::1" for address in addresses)
