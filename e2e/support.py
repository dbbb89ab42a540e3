"""A Patron of one's own to test, and the official client's classes put together for one caller."""

import atexit
import base64
import contextlib
import io
import json
import os
import signal
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sailpoint import auth_users, personal_access_tokens, public_identities, tenant
from sailpoint.configuration import Configuration, ConfigurationParams

READY_SECONDS = 30
STOP_SECONDS = 40
"""Patron gives what is in flight 30 seconds."""
COMMAND_SECONDS = 60


class Patron:
    """A server on a free port with an empty data folder, and the commands that work on the same folder."""

    def __init__(self, binary, folder):
        self.binary = str(Path(binary).resolve(strict=True))
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.log_path = self.folder / "patron.log"
        self.secrets = set()
        self.server = None
        self.base_url = None
        self.bootstrap = None

    def environment(self):
        """This process's own, without what would reach the settings of Patron or the client."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PATRON_", "SAIL_"))}
        return kept | {"PATRON_DATA_DIR": str(self.data)}

    def command(self, *arguments):
        """Runs a command and gives what its `--json` printed."""
        done = subprocess.run(
            [self.binary, *arguments, "--json"],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"patron {' '.join(arguments)} exited {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def start(self):
        self.bootstrap = self.command("bootstrap", "--data-dir", str(self.data))
        self.secrets |= {self.bootstrap["clientSecret"], self.bootstrap["password"]}
        ready = self.folder / "ready.json"
        arguments = ["serve", "--listen", "127.0.0.1:0", "--management-listen", "off"]
        arguments += ["--data-dir", str(self.data), "--ready-file", str(ready)]
        with self.log_path.open("wb") as log:
            self.server = subprocess.Popen(
                [self.binary, *arguments],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        atexit.register(self.kill)
        self.base_url = f"http://{self.wait_for(ready)['listen']}"

    def wait_for(self, ready):
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                raise AssertionError(f"patron serve exited {self.server.returncode}:\n{self.log()}")
            # Not there yet, or half written.
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                return json.loads(ready.read_text())
            time.sleep(0.05)
        raise AssertionError(f"patron serve was not ready within {READY_SECONDS} s:\n{self.log()}")

    def stop(self):
        """Ends the server as an operator would, and gives its exit code."""
        self.server.send_signal(signal.SIGTERM)
        return self.server.wait(timeout=STOP_SECONDS)

    def kill(self):
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def new_identity(self, name, *levels):
        """Makes an identity straight on the database, and gives its id."""
        chosen = [argument for level in levels for argument in ("--level", level)]
        made = self.command(
            "admin",
            "identity",
            "create",
            "--name",
            name,
            "--display-name",
            f"The {name}",
            "--email",
            f"{name}@example.com",
            *chosen,
        )
        return made["id"]

    def new_pat(self, owner, name, *scopes):
        """Makes a PAT straight on the database, and gives a caller with it."""
        chosen = [argument for scope in scopes for argument in ("--scope", scope)]
        tomorrow = later(days=1).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        made = self.command(
            "admin", "pat", "create", "--owner", owner, "--name", name, "--expiration-date", tomorrow, *chosen
        )
        return self.caller(made["id"], made["secret"])

    def revoke_all(self, owner, keep):
        for pat in self.command("admin", "pat", "list", "--owner", owner):
            if pat["id"] != keep:
                self.command("admin", "pat", "revoke", pat["id"], "--owner", owner)

    def caller(self, client_id, client_secret, **settings):
        """A caller that has exchanged this PAT; the settings are the client's own."""
        configuration = self.exchange(client_id, client_secret)
        for name, value in settings.items():
            setattr(configuration, name, value)
        return Caller(self, client_id, client_secret, configuration)

    def caller_with(self, access_token):
        """A caller with an access token that was not exchanged here."""
        parameters = self.parameters("", "")
        parameters.access_token = "replaced below, as the client takes an empty one for none"
        configuration = Configuration(parameters)
        configuration.access_token = access_token
        return Caller(self, "", "", configuration)

    def parameters(self, client_id, client_secret):
        parameters = ConfigurationParams()
        parameters.base_url = self.base_url
        parameters.client_id = client_id
        parameters.client_secret = client_secret
        return parameters

    def exchange(self, client_id, client_secret):
        """Exchanges a PAT as the client does it; a refusal leaves the access token None."""
        configuration = Configuration(self.parameters(client_id, client_secret))
        self.secrets |= {client_secret, configuration.access_token} - {None}
        return configuration

    def failed_exchange(self, client_id, client_secret):
        """What the client prints when it gets no access token: it raises nothing."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            configuration = self.exchange(client_id, client_secret)
        if configuration.access_token is not None:
            raise AssertionError("an access token was issued")
        return printed.getvalue()


class Caller:
    """The client's APIs, under one PAT."""

    def __init__(self, patron, client_id, client_secret, configuration):
        self.patron = patron
        self.client_id = client_id
        self.client_secret = client_secret
        self.configuration = configuration
        self.pats = personal_access_tokens.PersonalAccessTokensApi(
            personal_access_tokens.ApiClient(configuration)
        )
        self.auth_users = auth_users.AuthUsersApi(auth_users.ApiClient(configuration))
        self.public_identities = public_identities.PublicIdentitiesApi(
            public_identities.ApiClient(configuration)
        )
        self.tenant = tenant.TenantApi(tenant.ApiClient(configuration))

    def my_pats(self, **query):
        return {pat.id: pat for pat in self.pats.list_personal_access_tokens_v1(owner_id="me", **query)}

    def create(self, name, **fields):
        """Creates a PAT that expires tomorrow, unless the fields say otherwise."""
        fields.setdefault("expiration_date", later(days=1))
        made = self.pats.create_personal_access_token_v1(
            personal_access_tokens.CreatePersonalAccessTokenRequest(name=name, **fields)
        )
        self.patron.secrets.add(made.secret)
        return made

    def patch(self, pat_id, *operations):
        return self.pats.patch_personal_access_token_v1(pat_id, list(operations))

    def bulk(self, ids, *operations):
        request = personal_access_tokens.BulkUpdatePersonalAccessTokensRequest(
            ids=ids, patch=list(operations)
        )
        return self.pats.update_bulk_personal_access_tokens_v1_with_http_info(request)


def later(**time_ahead):
    """A time from now on, as exact as Patron keeps it."""
    ahead = datetime.now(timezone.utc) + timedelta(**time_ahead)
    return ahead.replace(microsecond=ahead.microsecond // 1000 * 1000)


def operation(op, path, value=None, package=personal_access_tokens):
    """An operation of a patch, in the classes of that part of the client."""
    if value is None:
        return package.JsonPatchOperation(op=op, path=path)
    if isinstance(value, list):
        # The client cannot send a list of strings that went through its own `ArrayInner`; unchecked it can.
        wrapped = package.JsonPatchOperationValue.model_construct(actual_instance=value)
    else:
        wrapped = package.JsonPatchOperationValue(value)
    return package.JsonPatchOperation(op=op, path=path, value=wrapped)


def claims(access_token):
    payload = access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
