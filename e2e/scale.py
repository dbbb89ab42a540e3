#!/usr/bin/env python3
"""Measures what exchanges and changes cost over three nodes on one PostgreSQL, for docs/scale.md.

    python3 e2e/scale.py target/release/patron postgres://patron@127.0.0.1:5432/scale

The database must be there and empty, and is left full. Needs `psql`; talks to this machine only. CPU time is that of the
processes, so the client beside them does not count.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

PATS = "/personal-access-tokens/v1"
TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")
# Who has one token each. No owner has more than one of those that `cost` asks for, so each is read as well.
OWNERS = 200
SETTINGS = "[rate_limits]\nrequests = 0\n[pat_limits]\nper_owner = 10000\n"


class Node:
    """A `patron serve`, with a connection of each thread's own."""

    def __init__(self, patron, url, home, port):
        self.home, self.port, self.local = home, port, threading.local()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PATRON_")}
        environment |= {
            "PATRON_DATABASE_URL": url,
            "PATRON_DATA_DIR": str(home / "data"),
            "PATRON_CONFIG": str(home / "patron.toml"),
        }
        listen = ["--listen", f"127.0.0.1:{port}", "--management-listen", f"127.0.0.1:{port + 100}"]
        log = open(home / f"{port}.log", "w", encoding="utf-8")
        self.process = subprocess.Popen([patron, "serve", *listen], env=environment, stdout=log, stderr=log)
        while not self.is_ready():
            if self.process.poll() is not None:
                sys.exit((home / f"{port}.log").read_text(encoding="utf-8"))
            time.sleep(0.05)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 100}/health/ready"):
                return True
        except OSError:
            return False

    def ask(self, method, path, headers=(), body=None, form=None):
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers, data = dict(headers), None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body)
        if form is not None:
            headers["Content-Type"], data = "application/x-www-form-urlencoded", urllib.parse.urlencode(form)
        self.local.connection.request(method, path, data, headers)
        answer = self.local.connection.getresponse()
        return answer.status, answer.read()

    def exchange(self, pat):
        form = {"grant_type": "client_credentials", "client_id": pat["id"], "client_secret": pat["secret"]}
        return self.ask("POST", "/oauth/token", form=form)

    def create(self, bearer, name):
        draft = {"name": name, "userAwareTokenNeverExpires": True}
        status, answer = self.ask("POST", PATS, bearer, draft)
        assert status == 200, answer
        return json.loads(answer)

    def delete(self, bearer, pat):
        status, answer = self.ask("DELETE", f"{PATS}/{pat['id']}", bearer)
        assert status == 204, answer

    def status(self, field):
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(field):
                return int(line.split()[1])
        return 0


class Bench:
    def __init__(self, patron, url):
        self.patron, self.url, self.number, self.idle = patron, url, 0, [0, 0, 0, 0]
        self.home = Path(tempfile.mkdtemp(prefix="patron-scale-"))
        (self.home / "patron.toml").write_text(SETTINGS, encoding="utf-8")
        self.nodes = [Node(patron, url, self.home, port) for port in (18301, 18302, 18303)]
        made = json.loads((self.home / "data" / "bootstrap.json").read_text(encoding="utf-8"))
        self.admins = self.bearer({"id": made["clientId"], "secret": made["clientSecret"]})

    def admin(self, *arguments):
        environment = {"PATH": os.environ["PATH"], "PATRON_DATABASE_URL": self.url}
        environment["PATRON_DATA_DIR"] = str(self.home / "data")
        return json.loads(subprocess.check_output([self.patron, "admin", *arguments, "--json"], env=environment))

    def owned(self):
        """A PAT of a new identity's."""
        self.number += 1
        name = f"owner-{self.number}"
        owner = self.admin("identity", "create", "--name", name)
        return self.admin("pat", "create", "--owner", owner["id"], "--name", name, "--never-expires")

    def sql(self, statement):
        return int(subprocess.check_output(["psql", self.url, "-Atc", statement], text=True) or 0)

    def bearer(self, pat):
        status, answer = self.nodes[0].exchange(pat)
        assert status == 200, answer
        return {"Authorization": "Bearer " + json.loads(answer)["access_token"]}

    def create(self, at=0, bearer=None):
        self.number += 1
        name = f"{self.number}-{threading.get_ident()}-{time.time_ns()}"
        return self.nodes[at].create(bearer or self.admins, name)

    def database_cpu(self):
        """Microseconds that all processes of this PostgreSQL have used, those that have ended too."""
        one = self.sql("SELECT MIN(pid) FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        parent = stat(one)[1]
        used = sum(int(field) for field in stat(parent)[11:15]) * TICK
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if stat(process.name)[1] == parent:
                    used += cpu(process.name)
            except OSError:
                # It has ended meanwhile.
                continue
        return used

    def counters(self):
        return [
            sum(cpu(node.process.pid) for node in self.nodes),
            self.database_cpu(),
            self.sql("SELECT wal_bytes FROM pg_stat_wal"),
            self.sql("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"),
            time.perf_counter(),
        ]

    def spent(self, work):
        """What is spent until the servers have written down what they know, all nodes' idling left out."""
        time.sleep(1.5)
        before = self.counters()
        work()
        time.sleep(1.5)
        *spent, seconds = (now - then for now, then in zip(self.counters(), before))
        return [count - idle * seconds for count, idle in zip(spent, self.idle)], seconds

    def cost(self, what, times, work):
        """What `work` costs, done so many times one after the other."""
        for node in self.nodes:
            node.local = threading.local()
        took = []
        spent, _ = self.spent(lambda: took.extend(timed(lambda n=n: work(n)) for n in range(times)))
        self.tell(f"{what}: {statistics.median(took):.2f} ms median; ", [count / times for count in spent])

    def cost_of_idling(self):
        spent, seconds = self.spent(lambda: time.sleep(20))
        self.idle = [count / seconds for count in spent]
        self.tell("idling of all three, a second: ", self.idle)

    @staticmethod
    def tell(what, counts):
        nodes, database, wal, commits = counts
        print(
            f"{what}CPU: nodes {nodes:.0f} us, database {database:.0f} us; log {wal:.0f} bytes, "
            f"transactions {commits:.1f}",
            flush=True,
        )

    def at_once(self, what, clients, each, work):
        took, lock = [], threading.Lock()

        def client(number):
            mine = [timed(lambda n=n: work(number, n)) for n in range(each)]
            with lock:
                took.extend(mine)

        for node in self.nodes:
            node.local = threading.local()
        threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = clients * each / (time.perf_counter() - begin)
        print(f"{what}, {clients} at once over 3 nodes: {rate:.0f} a second; {quantiles(took)}", flush=True)

    def run(self):
        one = self.nodes[0]
        for _ in range(30):
            one.delete(self.admins, self.create())
        print("# One at a time")
        pats = [self.create() for _ in range(200)]
        for pat in pats:
            for node in self.nodes:
                assert node.exchange(pat)[0] == 200
        took = []
        for pat in pats:
            took.append(timed(lambda pat=pat: one.delete(self.admins, pat)))
            assert [node.exchange(pat)[0] for node in self.nodes] == [401] * 3, "revoked and accepted"
        print(f"deletion, then refused by all three nodes, 200 times: {quantiles(took)}")

        print("# What it costs")
        self.cost_of_idling()
        owned = [self.owned() for _ in range(OWNERS)]
        pats = []
        self.cost("creation", 500, lambda _: pats.append(self.create()))
        self.cost("exchange, the first in 24 hours", 500, lambda n: one.exchange(pats[n]))
        self.cost("exchange, first at this node", 500, lambda n: self.nodes[1].exchange(pats[n]))
        self.cost("exchange, its owner's first at this node", OWNERS, lambda n: self.nodes[1].exchange(owned[n]))
        self.cost("exchange, known to the node", 5000, lambda n: one.exchange(pats[n % 500]))
        self.cost("deletion", 500, lambda n: one.delete(self.admins, pats[n]))

        print("# Many at once")
        for clients in (1, 8, 32):
            made = {number: [] for number in range(clients)}
            bearers = [self.bearer(pat) for pat in owned[:clients]]
            each = 20 if clients == 32 else 50

            def create(k, _, made=made, bearers=bearers):
                made[k].append(self.create(k % 3, bearers[k]))

            def delete(k, n, made=made, bearers=bearers):
                self.nodes[k % 3].delete(bearers[k], made[k][n])

            self.at_once("creation", clients, each, create)
            self.at_once("deletion", clients, each, delete)

        print("# One node frozen")
        for node in self.nodes:
            node.local = threading.local()
        pats = [self.create() for _ in range(3)]
        assert all(self.nodes[2].exchange(pat)[0] == 200 for pat in pats)
        self.nodes[2].process.send_signal(signal.SIGSTOP)
        took = [timed(lambda pat=pat: one.delete(self.admins, pat)) for pat in pats]
        self.nodes[2].process.send_signal(signal.SIGCONT)
        self.nodes[2].local = threading.local()
        answers = [self.nodes[2].exchange(pat)[0] for pat in pats]
        print("deletions:", ", ".join(f"{ms:.0f} ms" for ms in took), "- the frozen node, woken:", answers)
        print("memory of the nodes:", ", ".join(f"{node.status('VmRSS') // 1024} MB" for node in self.nodes))

    def close(self):
        for node in self.nodes:
            node.process.terminate()
        for node in self.nodes:
            node.process.wait()


def stat(pid):
    """The fields of a process behind its name: its state, its parent …"""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()


def cpu(pid):
    return sum(int(field) for field in stat(pid)[11:13]) * TICK


def timed(work):
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def quantiles(took):
    took = sorted(took)
    at = lambda part: took[min(len(took) - 1, int(len(took) * part))]
    return f"median {statistics.median(took):.1f} ms, p90 {at(0.9):.1f}, p99 {at(0.99):.1f}, at most {took[-1]:.1f}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    bench = Bench(sys.argv[1], sys.argv[2])
    try:
        bench.run()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
