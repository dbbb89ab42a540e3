"""Runs the README's first session as a newcomer would, and compares what it prints with what the README says.

Every block of shell between "## A first session" and "## The pages" runs in one bash, in an empty folder, against a
Patron that was just started; the block behind it holds the output. Ids, secrets, times and tracking ids differ each
time, so they are compared by their form. `--update` writes the output into the README instead.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "## A first session", "## The pages"
BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```\n(.*?)```\n)?", re.DOTALL)
MARK = "== end of block =="
FORMS = [
    (re.compile(r"\b[0-9a-f]{64}\b"), "<secret>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
]


def formless(text):
    for pattern, name in FORMS:
        text = pattern.sub(name, text)
    return text.strip()


def start(patron, folder):
    ready = folder / "ready.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PATRON_", "SAIL_"))}
    server = subprocess.Popen(
        [patron, "serve", "--listen", "127.0.0.1:0", "--management-listen", "off", "--ready-file", ready],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL,
    )
    for _ in range(6000):
        if ready.exists():
            return server, json.loads(ready.read_text())["listen"], environment
        if server.poll() is not None:
            break
        time.sleep(0.01)
    server.kill()
    sys.exit("the server does not get ready")


def run(blocks, listen, folder, environment):
    """What each block printed."""
    script = ["set -eu"]
    for code, _ in blocks:
        code = code.replace("127.0.0.1:8080", listen)
        # The official client is installed where this runs.
        code = re.sub(r"^python3 -m venv venv && .*$", f"ln -s {sys.prefix} venv", code, flags=re.MULTILINE)
        script += [code, f"echo; echo '{MARK}'"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, timeout=120
    )
    printed = done.stdout.split(MARK + "\n")
    if done.returncode or len(printed) != len(blocks) + 1:
        sys.exit(f"block {len(printed)} ended with {done.returncode}; printed so far:\n{done.stdout}")
    return [text.strip("\n") for text in printed]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patron", required=True, type=Path)
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    text = README.read_text()
    first, last = text.index(BEGIN), text.index(END)
    session = text[first:last]
    blocks = [match.groups() for match in BLOCK.finditer(session)]
    with tempfile.TemporaryDirectory() as name:
        server, listen, environment = start(arguments.patron.resolve(), Path(name))
        try:
            printed = iter(run(blocks, listen, Path(name), environment))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
    if arguments.update:
        def with_output(match):
            output = next(printed)
            return f"```sh\n{match[1]}```\n" + (f"```\n{output}\n```\n" if match[2] is not None else "")

        README.write_text(text[:first] + BLOCK.sub(with_output, session) + text[last:])
        return
    wrong = 0
    for (code, told), output in zip(blocks, printed):
        if formless(told or "") != formless(output):
            wrong += 1
            print(f"The README runs:\n{code}\nand says that it prints:\n{told}\nbut it prints:\n{output}\n")
    print(f"{len(blocks) - wrong} passed, {wrong} failed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
