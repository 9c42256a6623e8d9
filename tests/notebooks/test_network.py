"""Neither the tests nor the kernels they start can reach the network."""

import os
import socket
import subprocess
import sys
import threading

import nbformat
import pytest
from build_notebooks import execute

FAR = ["192.0.2.1", "example.org"]  # an address of no one (RFC 5737), and a name
TRY = """
import socket
import urllib.request

for target in [("192.0.2.1", 80), ("example.org", 80)]:
    try:
        socket.create_connection(target, timeout=5)
        print("reached")
    except OSError as error:
        print(error)
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))
    print("reached")
except OSError as error:
    print(error)
try:
    urllib.request.urlopen("https://example.org", timeout=5)
    print("reached")
except OSError as error:
    print("no network" in str(error) or "refused" in str(error))
"""
EXPECTED = [
    "the tests have no network: connect to '192.0.2.1'",
    "the tests have no network: getaddrinfo to 'example.org'",
    "the tests have no network: sendto to '192.0.2.1'",
    "True",
]


@pytest.mark.parametrize("host", FAR)
def test_pytest_has_no_network(host):
    with pytest.raises(OSError, match="the tests have no network"):
        socket.create_connection((host, 80), timeout=5)


def test_kernels_have_no_network(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRY)])
    execute(notebook, tmp_path)
    text = "".join(output.text for output in notebook.cells[0].outputs)
    assert [line for line in text.splitlines() if line] == normal(EXPECTED, text)


def normal(expected, text):
    """create_connection looks an address up before it connects: which of the two guards speaks does not matter."""
    return [
        line.replace("connect to '192.0.2.1'", "getaddrinfo to '192.0.2.1'")
        if "getaddrinfo to '192.0.2.1'" in text
        else line
        for line in expected
    ]


def test_child_processes_have_no_network():
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True)
    assert "reached" not in done.stdout and done.stdout.count("the tests have no network") >= 3, (
        done.stdout + done.stderr
    )


def test_the_guard_is_what_stops_them():
    """Without the guard's folder the same code gets another answer than the guard's."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = "import socket; print(socket.socket.connect.__name__)"
    run = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env).stdout.strip()
        for env in (environment, None)
    ]
    assert run == ["connect", "guarded"]


def test_this_machine_can_be_reached():
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=lambda: server.accept()[0].sendall(b"here"), daemon=True).start()
    with socket.create_connection(server.getsockname(), timeout=5) as client:
        assert client.recv(4) == b"here"
    server.close()
