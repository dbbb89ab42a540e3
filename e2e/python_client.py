"""Runs the official Python client, unchanged, against a Patron of its own.

    python e2e/python_client.py --patron PATH_TO_BINARY [unittest's own arguments]

It bootstraps Patron in a temporary folder, serves it on a free port, and speaks to it through the client's own
classes alone, first as the administrator of the bootstrap, then as one that `patron admin` made while the server
ran. What a caller of the original would see is what is checked: the client's models and its typed exceptions.
"""

import argparse
import json
import os
import socket
import sys
import tempfile
import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from unittest import mock

from sailpoint import auth_users
from sailpoint.auth_users import exceptions as auth_user_errors
from sailpoint.configuration import Configuration
from sailpoint.personal_access_tokens import exceptions as errors
from sailpoint.public_identities import exceptions as public_identity_errors
from support import Caller, Patron, claims, later, operation

NEVER = datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=timezone.utc)
"""What a never-expiring create says to this client, which cannot read null there."""
NOBODY = "0" * 31 + "1"

MY_READ = "sp:my-personal-access-tokens:read"
MY_MANAGE = "sp:my-personal-access-tokens:manage"
REQUESTS_PER_WINDOW = 100
WINDOW_SECONDS = 10
PATS_PER_OWNER = 10

PATRON = None
"""The Patron of this run."""


def setUpModule():
    PATRON.start()


def tearDownModule():
    code = PATRON.stop()
    log = PATRON.log()
    if code != 0:
        raise AssertionError(f"patron serve exited {code} on SIGTERM")
    if any(secret in log for secret in PATRON.secrets):
        raise AssertionError("the log holds a secret or an access token")


class Answers(unittest.TestCase):
    """What is expected of answers, whoever asked."""

    def refused(self, kind, detail_code, call, *arguments, **named):
        """Checks that a call is refused by exactly this exception with a body that the client has read."""
        with self.assertRaises(kind) as caught:
            call(*arguments, **named)
        error = caught.exception
        self.assertEqual(type(error.data).__name__, "ErrorResponseDto", error)
        self.assertEqual(error.data.detail_code, detail_code, error)
        self.assertRegex(error.data.tracking_id, r"\A[0-9a-f]{32}\Z")
        self.assertEqual(error.headers["SLPT-Request-ID"], error.data.tracking_id)
        self.assertEqual(
            [(said.locale, said.locale_origin) for said in error.data.messages], [("en-US", "DEFAULT")]
        )
        self.assertTrue(error.data.messages[0].text)
        # The client turns null into None and an empty list into an empty list: only the latter can be iterated.
        self.assertEqual(error.data.causes, [])
        self.assertTrue(error.headers["Content-Type"].startswith("application/json"))
        return error.data.messages[0].text

    def unauthorized(self, call, *arguments, **named):
        with self.assertRaises(errors.UnauthorizedException) as caught:
            call(*arguments, **named)
        error = caught.exception
        self.assertIsInstance(error.data.error, str)
        self.assertTrue(error.data.error)
        self.assertTrue(error.headers["WWW-Authenticate"].startswith("Bearer"))
        self.assertNotIn("Basic", error.headers["WWW-Authenticate"], "a browser would open a dialog")


class AsAdministrator:
    """Every call of the client, made by an administrator; the classes below say which one."""

    identity = None
    keep = None

    def setUp(self):
        # A client id of its own for each test, as each has its own rate limit.
        self.addCleanup(PATRON.revoke_all, self.identity, self.keep)
        self.me = PATRON.new_pat(self.identity, "the test's own")

    # Exchange

    def test_exchange_by_parameters(self):
        token = claims(self.me.configuration.access_token)
        self.assertEqual(token["sub"], self.identity)
        self.assertEqual(token["client_id"], self.me.client_id)
        self.assertIn(self.me.client_id, self.me.my_pats())

    def test_exchange_by_environment(self):
        settings = {
            "SAIL_BASE_URL": PATRON.base_url,
            "SAIL_CLIENT_ID": self.me.client_id,
            "SAIL_CLIENT_SECRET": self.me.client_secret,
        }
        with mock.patch.dict(os.environ, settings):
            configuration = Configuration()
        self.assertEqual(claims(configuration.access_token)["client_id"], self.me.client_id)
        caller = Caller(PATRON, self.me.client_id, self.me.client_secret, configuration)
        self.assertIn(self.me.client_id, caller.my_pats())

    def test_exchange_by_file(self):
        settings = {
            "BaseURL": PATRON.base_url,
            "ClientId": self.me.client_id,
            "ClientSecret": self.me.client_secret,
        }
        folder = tempfile.TemporaryDirectory(dir=PATRON.folder)
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        Path("config.json").write_text(json.dumps(settings))
        self.assertEqual(claims(Configuration().access_token)["client_id"], self.me.client_id)

    def test_exchange_refused(self):
        refused = "Unauthorized when retrieving access token."
        self.assertIn(refused, PATRON.failed_exchange(self.me.client_id, "0" * 64))
        self.assertIn(refused, PATRON.failed_exchange(NOBODY, self.me.client_secret))

    def test_exchange_is_seen_as_use(self):
        made = self.me.create("unused")
        self.assertIsNone(self.me.my_pats()[made.id].last_used)
        before = later()
        PATRON.caller(made.id, made.secret)
        used = self.me.my_pats()[made.id].last_used
        self.assertTrue(before <= used <= later(milliseconds=1), (before, used))

    # Create

    def test_create_expiring(self):
        expires = later(days=400)
        before = later()
        made = self.me.create("expiring", expiration_date=expires)
        self.assertRegex(made.id, r"\A[0-9a-f]{32}\Z")
        self.assertRegex(made.secret, r"\A[0-9a-f]{64}\Z")
        self.assertEqual(made.name, "expiring")
        self.assertEqual(made.scope, ["sp:scopes:all"])
        self.assertEqual(made.expiration_date, expires)
        self.assertEqual(made.access_token_validity_seconds, 43200)
        self.assertEqual((made.owner.type, made.owner.id), ("IDENTITY", self.identity))
        self.assertTrue(made.owner.name)
        self.assertTrue(before <= made.created <= later(milliseconds=1))
        listed = self.me.my_pats()[made.id]
        self.assertEqual((listed.created, listed.expiration_date), (made.created, expires))
        self.assertFalse(listed.managed)
        self.assertFalse(listed.user_aware_token_never_expires)
        self.assertIn(made.id, PATRON.caller(made.id, made.secret).my_pats())

    def test_create_scoped(self):
        made = self.me.create("scoped", scope=[MY_READ], access_token_validity_seconds=900)
        self.assertEqual(made.scope, [MY_READ])
        self.assertEqual(made.access_token_validity_seconds, 900)
        token = claims(PATRON.exchange(made.id, made.secret).access_token)
        self.assertEqual(token["scope"], MY_READ)
        self.assertEqual(token["exp"] - token["iat"], 900)

    def test_create_never_expiring(self):
        made = self.me.create("for ever", expiration_date=None, user_aware_token_never_expires=True)
        self.assertEqual(made.expiration_date, NEVER)
        listed = self.me.my_pats()[made.id]
        self.assertIsNone(listed.expiration_date)
        self.assertTrue(listed.user_aware_token_never_expires)
        self.assertIn(made.id, PATRON.caller(made.id, made.secret).my_pats())

    def test_create_with_a_time_without_offset(self):
        expires = later(days=2)
        made = self.me.create("naive", expiration_date=expires.replace(tzinfo=None))
        self.assertEqual(made.expiration_date, expires)

    def test_create_with_no_scope(self):
        self.assertEqual(self.me.create("null", scope=None).scope, ["sp:scopes:all"])
        self.assertEqual(self.me.create("empty", scope=[]).scope, ["sp:scopes:default"])

    # List

    def test_list_mine_all_and_an_owner_s(self):
        other_id = PATRON.new_identity(f"{self.identity}-list", "CERT_ADMIN")
        other = PATRON.new_pat(other_id, "other")
        lists = self.me.pats.list_personal_access_tokens_v1
        mine, everyone = self.me.my_pats(), {pat.id: pat for pat in lists()}
        self.assertIn(self.me.client_id, mine)
        self.assertEqual({pat.owner.id for pat in mine.values()}, {self.identity})
        self.assertNotIn(other.client_id, mine)
        self.assertLessEqual(mine.keys() | {other.client_id}, everyone.keys())
        self.assertEqual([pat.id for pat in lists(owner_id=other_id)], [other.client_id])
        self.assertEqual(lists(owner_id=NOBODY), [])
        created = [pat.created for pat in everyone.values()]
        self.assertEqual(created, sorted(created))

    def test_list_filtered(self):
        made = self.me.create("unused")
        unused = self.me.my_pats(filters="lastUsed isnull")
        self.assertIn(made.id, unused)
        self.assertNotIn(self.me.client_id, unused)
        tomorrow, yesterday = (f"{later(days=days):%Y-%m-%dT%H:%M:%S.000Z}" for days in (1, -1))
        used = self.me.my_pats(filters=f"lastUsed le {tomorrow}")
        self.assertIn(self.me.client_id, used)
        self.assertNotIn(made.id, used)
        self.assertNotIn(self.me.client_id, self.me.my_pats(filters=f"lastUsed le {yesterday}"))
        either = self.me.my_pats(filters=f"(lastUsed isnull or lastUsed le {tomorrow})")
        self.assertLessEqual({made.id, self.me.client_id}, either.keys())
        self.assertEqual(self.me.my_pats(filters=""), self.me.my_pats())

    # Patch

    def test_patch(self):
        made = self.me.create("before", scope=[MY_READ])
        expires = later(days=30)
        patched = self.me.patch(
            made.id,
            operation("test", "/name", "before"),
            operation("replace", "/name", "after"),
            operation("replace", "/scope", [MY_READ, MY_MANAGE]),
            operation("replace", "/expirationDate", expires.isoformat()),
        )
        self.assertEqual((patched.id, patched.created), (made.id, made.created))
        self.assertEqual((patched.name, patched.scope), ("after", [MY_READ, MY_MANAGE]))
        self.assertEqual(patched.expiration_date, expires)
        self.assertEqual(self.me.my_pats()[made.id], patched)

    def test_patch_one_scope(self):
        made = self.me.create("scopes", scope=[MY_READ])
        added = self.me.patch(made.id, operation("add", "/scope/-", MY_MANAGE))
        self.assertEqual(added.scope, [MY_READ, MY_MANAGE])
        removed = self.me.patch(made.id, operation("remove", "/scope/0"))
        self.assertEqual(removed.scope, [MY_MANAGE])

    def test_patch_to_never_expiring_and_back(self):
        made = self.me.create("now and for ever")
        aware = operation("replace", "/userAwareTokenNeverExpires", True)
        # The client leaves a null value out of the operation.
        for clearing in (operation("replace", "/expirationDate"), operation("remove", "/expirationDate")):
            patched = self.me.patch(made.id, aware, clearing)
            self.assertIsNone(patched.expiration_date)
            self.assertTrue(patched.user_aware_token_never_expires)
            expires = later(days=3)
            dated = self.me.patch(made.id, operation("replace", "/expirationDate", expires.isoformat()))
            self.assertEqual(dated.expiration_date, expires)

    def test_patch_of_nothing(self):
        made = self.me.create("same")
        before = self.me.my_pats()[made.id]
        self.assertEqual(self.me.patch(made.id), before)

    def test_patch_is_all_or_nothing(self):
        made = self.me.create("kept")
        self.refused(
            errors.BadRequestException,
            "400.1 Bad Request Content",
            self.me.patch,
            made.id,
            operation("replace", "/name", "lost"),
            operation("test", "/name", "something else"),
        )
        self.assertEqual(self.me.my_pats()[made.id].name, "kept")

    def test_patched_scope_holds_for_new_access_tokens(self):
        made = self.me.create("widened", scope=[MY_READ])
        self.me.patch(made.id, operation("replace", "/scope", ["sp:scopes:all"]))
        everyone = PATRON.caller(made.id, made.secret).pats.list_personal_access_tokens_v1()
        self.assertIn(made.id, [pat.id for pat in everyone])

    # Bulk update

    def test_bulk_update(self):
        ids = [self.me.create(f"bulk {number}").id for number in range(3)]
        expires = later(days=90)
        answer = self.me.bulk(ids, operation("replace", "/expirationDate", expires.isoformat()))
        self.assertEqual([pat.id for pat in answer.data], sorted(ids))
        self.assertEqual({pat.expiration_date for pat in answer.data}, {expires})
        # The model fills the flag in by itself, so only the body shows that it is not there.
        self.assertNotIn(b"userAwareTokenNeverExpires", answer.raw_data)
        aware = operation("replace", "/userAwareTokenNeverExpires", True)
        cleared = self.me.bulk(ids, aware, operation("remove", "/expirationDate"))
        self.assertEqual({pat.expiration_date for pat in cleared.data}, {None})
        self.assertTrue(all(self.me.my_pats()[pat_id].user_aware_token_never_expires for pat_id in ids))

    def test_bulk_update_is_all_or_nothing(self):
        made = self.me.create("bulk")
        moved = operation("replace", "/expirationDate", later(days=90).isoformat())
        for detail, ids, patch in (
            ("400.1.404 Referenced object not found", [made.id, NOBODY], moved),
            ("400.1 Bad Request Content", [made.id], operation("replace", "/name", "x")),
        ):
            with self.subTest(detail):
                self.refused(errors.BadRequestException, detail, self.me.bulk, ids, patch)
        self.assertEqual(self.me.my_pats()[made.id].expiration_date, made.expiration_date)

    # Delete

    def test_delete(self):
        made = self.me.create("short-lived")
        holder = PATRON.caller(made.id, made.secret)
        self.assertIn(made.id, holder.my_pats())
        answer = self.me.pats.delete_personal_access_token_v1_with_http_info(made.id)
        self.assertEqual((answer.status_code, answer.data, answer.raw_data), (204, None, b""))
        self.assertNotIn(made.id, self.me.my_pats())
        self.unauthorized(holder.my_pats)
        self.assertIn("Unauthorized", PATRON.failed_exchange(made.id, made.secret))

    def test_delete_another_s(self):
        other_id = PATRON.new_identity(f"{self.identity}-delete", "CERT_ADMIN")
        other = PATRON.new_pat(other_id, "other")
        self.me.pats.delete_personal_access_token_v1(other.client_id)
        self.assertEqual(self.me.pats.list_personal_access_tokens_v1(owner_id=other_id), [])
        self.unauthorized(other.my_pats)

    # Refusals

    def test_create_refused(self):
        self.me.create("taken")
        for detail, fields in (
            ("400.1 Bad Request Content", {"name": "no date", "expiration_date": None}),
            ("400.1.0 Required Data Missing Or Empty", {"name": ""}),
            ("400.1.0 Required Data Missing Or Empty", {"name": "  "}),
            ("400.1.2 Value length out of range", {"name": "x" * 256}),
            (
                "400.1.2 Value length out of range",
                {"name": "scopes", "scope": [f"a:{n}" for n in range(101)]},
            ),
            ("400.1.3 Illegal value", {"name": "past", "expiration_date": later(days=-1)}),
            ("400.1.3 Illegal value", {"name": "scope", "scope": ['not"a-scope']}),
            ("400.1.409 Reference conflict", {"name": "taken"}),
        ):
            with self.subTest(detail, **fields):
                self.refused(errors.BadRequestException, detail, self.me.create, **fields)

    def test_filter_refused(self):
        for filters in (
            'name eq "x"',
            "lastUsed gt 2026-01-01T00:00:00Z",
            "lastUsed le yesterday",
            "lastUsed",
        ):
            with self.subTest(filters):
                self.refused(
                    errors.BadRequestException, "400.1.3 Illegal value", self.me.my_pats, filters=filters
                )

    def test_patch_refused(self):
        made = self.me.create("fixed")
        self.me.create("taken")
        text = self.refused(
            errors.BadRequestException,
            "400.1 Bad Request Content",
            self.me.patch,
            made.id,
            operation("replace", "/created", "2017-07-11T18:45:37.098Z"),
        )
        self.assertEqual(text, "Field 'created' is not patchable.")
        for detail, refused in (
            ("400.1 Bad Request Content", operation("remove", "/expirationDate")),
            ("400.1.0 Required Data Missing Or Empty", operation("replace", "/name", " ")),
            ("400.1.2 Value length out of range", operation("replace", "/name", "x" * 256)),
            ("400.1.3 Illegal value", operation("replace", "/expirationDate", "2017-07-11T18:45:37.098Z")),
            ("400.1.409 Reference conflict", operation("replace", "/name", "taken")),
        ):
            with self.subTest(detail, path=refused.path):
                self.refused(errors.BadRequestException, detail, self.me.patch, made.id, refused)
        with self.assertWarns(UserWarning):
            nonsense = operation("frobnicate", "/name", "x")
        self.refused(errors.BadRequestException, "400.0 Bad request syntax", self.me.patch, made.id, nonsense)
        self.assertEqual(self.me.my_pats()[made.id].name, "fixed")

    def test_the_eleventh(self):
        for number in range(PATS_PER_OWNER - len(self.me.my_pats())):
            self.me.create(f"number {number}")
        self.refused(errors.BadRequestException, "400.1.4 Limit violation", self.me.create, "one too many")
        self.assertEqual(len(self.me.my_pats()), PATS_PER_OWNER)

    def test_not_found(self):
        missing = "404 Not found"
        rename = operation("replace", "/name", "x")
        self.refused(errors.NotFoundException, missing, self.me.pats.delete_personal_access_token_v1, NOBODY)
        self.refused(
            errors.NotFoundException, missing, self.me.pats.delete_personal_access_token_v1, "not-an-id"
        )
        self.refused(errors.NotFoundException, missing, self.me.patch, NOBODY, rename)
        made = self.me.create("gone")
        self.me.pats.delete_personal_access_token_v1(made.id)
        self.refused(errors.NotFoundException, missing, self.me.pats.delete_personal_access_token_v1, made.id)
        self.refused(auth_user_errors.NotFoundException, missing, self.me.auth_users.get_auth_user_v1, NOBODY)

    def test_unauthorized(self):
        genuine = self.me.configuration.access_token
        head, body, signature = genuine.split(".")
        forged = signature[:-10] + ("A" * 10 if signature[-10:] != "A" * 10 else "B" * 10)
        for what, access_token in {
            "nonsense": "not-a-token",
            "nothing": "",
            "another signature": f"{head}.{body}.{forged}",
            "no signature": f"{head}.{body}.",
        }.items():
            with self.subTest(what):
                self.unauthorized(PATRON.caller_with(access_token).my_pats)
        self.assertIn(self.me.client_id, PATRON.caller_with(genuine).my_pats())

    def test_scoped_forbidden(self):
        made = self.me.create("reader", scope=[MY_READ])
        reader = PATRON.caller(made.id, made.secret)
        self.assertIn(made.id, reader.my_pats())
        forbidden = "403 Forbidden"
        lists = reader.pats.list_personal_access_tokens_v1
        self.refused(errors.ForbiddenException, forbidden, lists)
        self.refused(errors.ForbiddenException, forbidden, lists, owner_id=self.identity)
        self.refused(errors.ForbiddenException, forbidden, reader.create, "new")
        rename = operation("replace", "/name", "x")
        self.refused(errors.ForbiddenException, forbidden, reader.patch, made.id, rename)
        never = operation("replace", "/userAwareTokenNeverExpires", True)
        self.refused(errors.ForbiddenException, forbidden, reader.bulk, [made.id], never)
        self.refused(
            errors.ForbiddenException, forbidden, reader.pats.delete_personal_access_token_v1, made.id
        )
        self.refused(
            auth_user_errors.ForbiddenException, forbidden, reader.auth_users.get_auth_user_v1, self.identity
        )

    def test_no_escalation(self):
        made = self.me.create("manager", scope=[MY_MANAGE])
        manager = PATRON.caller(made.id, made.secret)
        wanted = "idn:all-personal-access-tokens:read"
        text = self.refused(
            errors.ForbiddenException, "403 Forbidden", manager.create, "more", scope=[MY_READ, wanted]
        )
        self.assertIn("all-personal-access-tokens:read", text)
        self.refused(errors.ForbiddenException, "403 Forbidden", manager.create, "everything")
        self.refused(
            errors.ForbiddenException,
            "403 Forbidden",
            manager.patch,
            made.id,
            operation("replace", "/scope", ["sp:scopes:all"]),
        )
        self.assertEqual(manager.create("less", scope=[MY_READ]).scope, [MY_READ])

    def test_user_level_forbidden(self):
        user_id = PATRON.new_identity(f"{self.identity}-user")
        user = PATRON.new_pat(user_id, "everything a user may")
        self.assertEqual(user.create("own").owner.id, user_id)
        self.refused(errors.ForbiddenException, "403 Forbidden", user.pats.list_personal_access_tokens_v1)
        self.refused(
            auth_user_errors.ForbiddenException, "403 Forbidden", user.auth_users.get_auth_user_v1, user_id
        )

    def test_rate_limit(self):
        made = self.me.create("busy", scope=[MY_READ])
        # Left to itself the client waits and repeats a GET, and so would hide the answer.
        busy = PATRON.caller(made.id, made.secret, retries=0)
        start = time.monotonic()
        answered = 0
        with self.assertRaises(errors.ApiException) as caught:
            while answered < 10 * REQUESTS_PER_WINDOW:
                busy.my_pats()
                answered += 1
        error = caught.exception
        self.assertIs(type(error), errors.ApiException)
        self.assertEqual(error.status, 429)
        self.assertEqual(error.data.message, " Rate Limit Exceeded ")
        self.assertRegex(error.headers["Retry-After"], r"\A([1-9]|10)\Z")
        # On a machine too slow to fill one window the limit comes later, and never earlier.
        self.assertGreaterEqual(answered, REQUESTS_PER_WINDOW)
        if time.monotonic() - start < WINDOW_SECONDS:
            self.assertEqual(answered, REQUESTS_PER_WINDOW)
        self.assertIn(made.id, self.me.my_pats(), "one client id's limit touched another's")
        # The client as it comes believes `Retry-After`: what it waits has to be enough.
        self.assertIn(made.id, PATRON.caller(made.id, made.secret).my_pats())

    # The other APIs that programs around PATs call

    def test_public_identities(self):
        name = f"{self.identity}-public"
        other_id = PATRON.new_identity(name, "CERT_ADMIN")
        lists = self.me.public_identities.get_public_identities_v1
        (found,) = lists(filters=f'alias eq "{name}"')
        self.assertEqual((found.id, found.alias, found.name), (other_id, name, f"The {name}"))
        self.assertEqual(found.email, f"{name}@example.com")
        for filters in (f'id eq "{other_id}"', f'id in ("{other_id}")', f'email sw "{name}@"'):
            with self.subTest(filters):
                self.assertEqual([one.id for one in lists(filters=filters)], [other_id])
        both = f'id in ("{other_id}","{self.identity}")'
        forwards, backwards = (
            [one.id for one in lists(filters=both, sorters=by)] for by in ("name", "-name")
        )
        self.assertEqual(set(forwards), {other_id, self.identity})
        self.assertEqual(backwards, forwards[::-1])
        page = self.me.public_identities.get_public_identities_v1_with_http_info(
            filters=both, sorters="name", limit=1, offset=1, count=True
        )
        self.assertEqual([one.id for one in page.data], forwards[1:])
        self.assertEqual(page.headers["X-Total-Count"], "2")
        self.refused(
            public_identity_errors.BadRequestException, "400.1.3 Illegal value", lists, filters='shoe eq "44"'
        )

    def test_auth_users(self):
        myself = self.me.auth_users.get_auth_user_v1(self.identity)
        self.assertEqual(myself.id, self.identity)
        self.assertIn("ORG_ADMIN", myself.capabilities)
        name = f"{self.identity}-capable"
        other_id = PATRON.new_identity(name, "CERT_ADMIN")
        other = self.me.auth_users.get_auth_user_v1(other_id)
        self.assertEqual((other.id, other.capabilities), (other_id, ["CERT_ADMIN"]))
        self.assertEqual((other.display_name, other.email), (f"The {name}", f"{name}@example.com"))
        wanted = ["CERT_ADMIN", "HELPDESK"]
        patched = self.me.auth_users.patch_auth_user_v1(other_id, [capabilities(wanted)])
        self.assertCountEqual(patched.capabilities, wanted)
        self.assertCountEqual(self.me.auth_users.get_auth_user_v1(other_id).capabilities, wanted)
        elsewhere = operation("replace", "/email", "x@example.com", package=auth_users)
        self.refused(
            auth_user_errors.BadRequestException,
            "400.1 Bad Request Content",
            self.me.auth_users.patch_auth_user_v1,
            other_id,
            [elsewhere],
        )

    def test_granted_level_holds_at_once(self):
        other_id = PATRON.new_identity(f"{self.identity}-raised", "CERT_ADMIN")
        other = PATRON.new_pat(other_id, "other")
        lists = other.pats.list_personal_access_tokens_v1
        self.refused(errors.ForbiddenException, "403 Forbidden", lists)
        self.me.auth_users.patch_auth_user_v1(other_id, [capabilities(["ORG_ADMIN"])])
        self.assertIn(other.client_id, [pat.id for pat in lists()])
        self.me.auth_users.patch_auth_user_v1(other_id, [capabilities(["CERT_ADMIN"])])
        self.refused(errors.ForbiddenException, "403 Forbidden", lists)

    def test_tenant(self):
        found = self.me.tenant.get_tenant_v1()
        self.assertEqual(found.name, PATRON.bootstrap["tenant"])
        self.assertTrue(found.id)
        self.assertTrue(found.pod)


def capabilities(levels):
    return operation("replace", "/capabilities", levels, package=auth_users)


class AsBootstrapAdministrator(AsAdministrator, Answers):
    """The identity that the bootstrap made."""

    @classmethod
    def setUpClass(cls):
        cls.identity = PATRON.bootstrap["identityId"]
        cls.keep = PATRON.bootstrap["clientId"]

    def test_bootstrap_credentials(self):
        """What the bootstrap printed is what it wrote, for its reader alone, and it works."""
        written = PATRON.data / "bootstrap.json"
        self.assertEqual(json.loads(written.read_text()), PATRON.bootstrap)
        self.assertEqual(written.stat().st_mode & 0o777, 0o600)
        first = PATRON.caller(PATRON.bootstrap["clientId"], PATRON.bootstrap["clientSecret"])
        pat = first.my_pats()[first.client_id]
        self.assertEqual((pat.name, pat.scope), ("bootstrap", ["sp:scopes:all"]))
        self.assertAlmostEqual(pat.expiration_date - pat.created, timedelta(days=30), delta=timedelta(minutes=1))


class AsAdministratorMadeWhileServing(AsAdministrator, Answers):
    """An identity that `patron admin` made on the database of the running server."""

    @classmethod
    def setUpClass(cls):
        cls.identity = PATRON.new_identity("second", "ORG_ADMIN")


class WhileServing(Answers):
    """`patron admin` on the database of the running server: each change holds from the next request on."""

    def setUp(self):
        self.identity = PATRON.new_identity(f"jane-{self._testMethodName.replace('_', '-')}", "CERT_ADMIN")
        self.jane = PATRON.new_pat(self.identity, "ci")

    def test_revoke(self):
        self.assertIn(self.jane.client_id, self.jane.my_pats())
        PATRON.command("admin", "pat", "revoke", self.jane.client_id, "--owner", self.identity)
        self.unauthorized(self.jane.my_pats)
        self.assertIn("Unauthorized", PATRON.failed_exchange(self.jane.client_id, self.jane.client_secret))

    def test_disable_and_enable(self):
        PATRON.command("admin", "identity", "disable", self.identity)
        self.unauthorized(self.jane.my_pats)
        self.assertIn("Unauthorized", PATRON.failed_exchange(self.jane.client_id, self.jane.client_secret))
        PATRON.command("admin", "identity", "enable", self.identity)
        self.unauthorized(self.jane.my_pats)
        again = PATRON.caller(self.jane.client_id, self.jane.client_secret)
        self.assertIn(again.client_id, again.my_pats())

    def test_delete(self):
        PATRON.command("admin", "identity", "delete", self.identity)
        self.unauthorized(self.jane.my_pats)
        self.assertIn("Unauthorized", PATRON.failed_exchange(self.jane.client_id, self.jane.client_secret))

    def test_set_levels(self):
        lists = self.jane.pats.list_personal_access_tokens_v1
        self.refused(errors.ForbiddenException, "403 Forbidden", lists)
        PATRON.command("admin", "identity", "set-levels", self.identity, "--level", "ORG_ADMIN")
        self.assertIn(self.jane.client_id, [pat.id for pat in lists()])

    def test_rotated_key(self):
        PATRON.command("admin", "keys", "rotate")
        self.assertIn(self.jane.client_id, self.jane.my_pats())
        again = PATRON.caller(self.jane.client_id, self.jane.client_secret)
        self.assertIn(again.client_id, again.my_pats())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patron", required=True, help="the binary to run")
    chosen, rest = parser.parse_known_args()
    # The client sets no time limit of its own, and a server that hangs must not hang this.
    socket.setdefaulttimeout(60)
    # The client reads these, and a developer may have them set for the original.
    for name in [name for name in os.environ if name.startswith("SAIL_")]:
        del os.environ[name]
    global PATRON
    with tempfile.TemporaryDirectory(prefix="patron-client-") as folder:
        PATRON = Patron(chosen.patron, folder)
        # It also reads `config.json` in the working folder.
        os.chdir(folder)
        try:
            ran = unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False)
            # A run of nothing shows nothing.
            passed = ran.result.wasSuccessful() and ran.result.testsRun > 0
            if not passed:
                print(
                    "\nThe end of the server's log:",
                    *PATRON.log().splitlines()[-40:],
                    sep="\n",
                    file=sys.stderr,
                )
        finally:
            PATRON.kill()
            os.chdir("/")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
