"""Runs the sessions that the documentation shows as a newcomer would, and compares what they print with what it says.

Every block of shell of a session runs in one bash, in an empty folder that is the home as well, on a terminal of 100
columns, against a Patron that was just started, or, where the session starts its own, with free ports and an empty
PostgreSQL database; `patron` is the built binary. The block behind it holds the output.
`PATRON_TEST_POSTGRES` is the URL of a database whose user may make others.
Ids, secrets, times and tracking ids differ each time, so they are compared by their form. `--update` writes the output
into the documents instead.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SESSIONS = [
    ("README.md", "## A first session", "## The pages"),
    ("README.md", "## Several nodes", "## Clients of"),
    ("docs/cli.md", "## A session", "## Where"),
]
"""A document, the heading of its session, and the one behind it."""
SERVED = "127.0.0.1:8080"
"""Where a session that starts no service of its own finds one."""
OWN_SERVICES = re.compile(r"127\.0\.0\.1:(?:808|909)[1-9]")
DATABASE = "postgres://patron:patron@127.0.0.1:5432/patron"
"""The database of a session that names one."""
BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```\n(.*?)```\n)?", re.DOTALL)
MARK = "== end of block =="
ROWS, COLUMNS = 50, 100
SECONDS = 120
FORMS = [
    (re.compile(r"\b[0-9a-f]{64}\b"), "<secret>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
]


def formless(text):
    for pattern, name in FORMS:
        text = pattern.sub(name, text)
    return text.strip()


def free_address():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % listener.getsockname()[1]


def new_database(superuser):
    """The URL of an empty database on the server that `superuser` can make some on."""
    name = f"session_{os.getpid()}"
    server = urllib.parse.urlsplit(superuser)
    bare = server._replace(netloc=f"{server.username}@{server.hostname}:{server.port}").geturl()
    environment = {**os.environ, "PGPASSWORD": urllib.parse.unquote(server.password or "")}
    subprocess.run(["psql", "-q", "-c", f"CREATE DATABASE {name}", bare], env=environment, check=True)
    return server._replace(path=f"/{name}").geturl()


def start(patron, folder, environment):
    """A service, and where it listens."""
    ready = folder / "ready.json"
    server = subprocess.Popen(
        [patron, "serve", "--listen", "127.0.0.1:0", "--management-listen", "off", "--ready-file", ready],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL,
    )
    for _ in range(6000):
        if ready.exists():
            return server, json.loads(ready.read_text())["listen"]
        if server.poll() is not None:
            break
        time.sleep(0.01)
    server.kill()
    sys.exit("the server does not get ready")


def run(blocks, patron, places, folder, environment):
    """What each block printed. `places` are those that stand in the document, and those that are meant."""
    # On stdin, for it may hold a password, and everybody sees arguments. Read to its end before any of it is run, whose
    # own stdin is another one.
    script = ["{", "set -eu"]
    for code, _ in blocks:
        for told, meant in places.items():
            code = code.replace(told, meant)
        # The official client is installed where this runs.
        code = re.sub(r"^python3 -m venv venv && .*$", f"ln -s {sys.prefix} venv", code, flags=re.MULTILINE)
        script += [code, f"echo; echo '{MARK}'"]
    script += ["} </dev/null", ""]
    environment = {**environment, "PATH": f"{patron.parent}{os.pathsep}{environment['PATH']}", "NO_COLOR": "1"}
    environment |= {"HOME": str(folder), "TERM": "xterm", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    session = subprocess.Popen(
        ["bash"],
        cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=inner, stderr=inner, start_new_session=True,
    )
    with session.stdin:
        session.stdin.write("\n".join(script).encode())
    os.close(inner)
    signal.signal(signal.SIGALRM, lambda *_: session.kill())
    signal.alarm(SECONDS)
    text = b""
    while True:
        try:
            piece = os.read(outer, 65536)
        except OSError:  # Nobody is left on the terminal.
            break
        if not piece:
            break
        text += piece
    code = session.wait()
    signal.alarm(0)
    os.close(outer)
    text = text.decode().replace("\r\n", "\n").replace(str(folder), "/home/jane")
    for told, meant in places.items():
        text = text.replace(meant, told)
    printed = text.split(MARK + "\n")
    if code or len(printed) != len(blocks) + 1:
        sys.exit(f"block {len(printed)} ended with {code}; printed so far:\n{text}")
    return [text.strip("\n") for text in printed]


def session(patron, postgres, update, document, begin, end):
    """Runs one session; how many of its blocks print what they should, and how many do not."""
    path = ROOT / document
    text = path.read_text()
    first, last = text.index(f"{begin}\n"), text.index(f"\n{end}") + 1
    blocks = [match.groups() for match in BLOCK.finditer(text[first:last])]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PATRON_", "SAIL_"))}
    places = {place: free_address() for place in OWN_SERVICES.findall(text[first:last])}
    if DATABASE in text[first:last]:
        places[DATABASE] = new_database(postgres)
    with tempfile.TemporaryDirectory() as name:
        server = None
        if not places:
            server, places[SERVED] = start(patron, Path(name), environment)
        try:
            printed = run(blocks, patron, places, Path(name), environment)
        finally:
            if server:
                server.send_signal(signal.SIGTERM)
                server.wait(60)
    if update:
        outputs = iter(printed)

        def with_output(match):
            output = next(outputs)
            return f"```sh\n{match[1]}```\n" + (f"```\n{output}\n```\n" if match[2] is not None else "")

        path.write_text(text[:first] + BLOCK.sub(with_output, text[first:last]) + text[last:])
        return len(blocks), 0
    wrong = 0
    for (code, told), output in zip(blocks, printed):
        if formless(told or "") != formless(output):
            wrong += 1
            print(f"{document} runs:\n{code}\nand says that it prints:\n{told}\nbut it prints:\n{output}\n")
    return len(blocks) - wrong, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patron", required=True, type=Path)
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    patron = arguments.patron.resolve()
    postgres = os.environ.get("PATRON_TEST_POSTGRES") or parser.error("PATRON_TEST_POSTGRES is not set")
    results = [session(patron, postgres, arguments.update, *each) for each in SESSIONS]
    passed, failed = (sum(counts) for counts in zip(*results))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
