"""Policies as documents: what `manage.py perf_policies` writes, takes in, refuses and switches."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connections
from django_redis import get_redis_connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from perf.models import AccessRule, CachePolicy, JobPolicy, RateLimitPolicy, Revision
from perf.policies.documents import MAX_BYTES, InvalidDocument, read
from perf.policies.revisions import POLICY_MODELS, current_policies, head_number
from perf.policies.transfer import apply, changes, exported
from securenet.run.redis_server import RedisServer
from tests.integration.helpers import client_for, eventually, given_cache_policy, given_limit, given_user, statuses


def perf_policies(*arguments: str) -> str:
    """What the command prints."""
    output = StringIO()
    call_command("perf_policies", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def exit_code(*arguments: str) -> int:
    """How the command ends; 0 where it just ends."""
    try:
        perf_policies(*arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except CommandError as error:
        return error.returncode
    return 0


def contents() -> dict[str, list[dict[str, Any]]]:
    """All policies without primary keys, in the order in which they are asked."""
    orders = {"CachePolicy": ("position", "id"), "RateLimitPolicy": ("position", "id")}
    policies = current_policies()
    for model in POLICY_MODELS:
        rows = policies[model.__name__]
        key = orders.get(model.__name__, ("name",))
        rows.sort(key=lambda row, key=key: tuple(row[name] for name in key))
        for row in rows:
            del row["id"]
    return policies


def wipe() -> None:
    for model in POLICY_MODELS:
        model.objects.all().delete()


def some_policies() -> None:
    """One of each kind, with values that are not the defaults."""
    given_cache_policy("dashboard", ttl=30, methods=["GET"], ignore_params=["utm_*"], comment="Two\nlines.")
    given_limit("scans", route="/api/scans", limit=7, roles=["viewer"], burst=9, algorithm="token_bucket")
    AccessRule.objects.create(
        name="guest", effect="blocked", user=given_user("mallory"), reason="- guessed: passwords", enabled=False,
        expires_at=datetime(2031, 5, 6, 7, 8, 9, 10, tzinfo=timezone(timedelta(hours=2))),
    )  # fmt: skip
    JobPolicy.objects.create(name="cache_warm", cron="*/15 * * * *", roles=["viewer"])


def document_of(**models: Any) -> str:
    return json.dumps({"version": 1, **models})


def problems_of(text: str, fmt: Any = "json") -> str:
    """Why a document is not imported; nothing is changed by it."""
    before = head_number(), contents()
    with pytest.raises(InvalidDocument) as caught:
        apply(read(text, fmt), prune=False)
    assert (head_number(), contents()) == before
    return str(caught.value)


class TestExport:
    def test_is_yaml_by_model_and_name_without_primary_keys_and_with_every_field(self) -> None:
        some_policies()
        data = yaml.safe_load(exported("yaml"))
        assert list(data) == ["version", "CachePolicy", "RateLimitPolicy", "AccessRule", "JobPolicy"]
        assert data["version"] == 1
        assert data["RateLimitPolicy"]["scans"]["limit"] == 7
        assert data["AccessRule"]["guest"]["user"] == "mallory"
        fields = {field.name for field in RateLimitPolicy._meta.concrete_fields} - {"id", "name"}
        assert set(data["RateLimitPolicy"]["scans"]) == fields
        assert json.loads(exported("json")) == data

    def test_one_change_is_one_line(self) -> None:
        some_policies()
        before = exported("yaml").splitlines()
        RateLimitPolicy.objects.update(limit=8)
        after = exported("yaml").splitlines()
        assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [("    limit: 7", "    limit: 8")]

    def test_policies_stand_in_the_order_in_which_they_are_asked(self) -> None:
        for name, position in (("late", 9), ("early", 1), ("also-late", 9)):
            given_limit(name, position=position)
        assert list(yaml.safe_load(exported("yaml"))["RateLimitPolicy"]) == ["early", "late", "also-late"]

    def test_goes_to_a_file_or_standard_output(self, tmp_path: Path) -> None:
        some_policies()
        perf_policies("export", str(tmp_path / "policies.yaml"))
        perf_policies("export", str(tmp_path / "policies.json"))
        assert (tmp_path / "policies.yaml").read_text() == exported("yaml") == perf_policies("export")
        assert (tmp_path / "policies.json").read_text() == exported("json") == perf_policies("export", "--format=json")


class TestImport:
    @pytest.mark.parametrize("fmt", ["yaml", "json"])
    def test_an_export_brings_everything_back_and_then_changes_nothing(self, fmt: Any, tmp_path: Path) -> None:
        some_policies()
        before, file = contents(), str(tmp_path / f"policies.{fmt}")
        perf_policies("export", file)
        wipe()
        number = head_number() + 1
        assert f"revision {number}" in perf_policies("import", file, "--reason", "moved house")
        assert contents() == before
        revision = Revision.objects.first()
        assert (revision.number, revision.author) == (number, None)
        assert "perf_policies import" in revision.reason and "moved house" in revision.reason
        assert perf_policies("import", file, "--prune") == "Nothing to change.\n"
        assert perf_policies("diff", file, "--prune") == "No difference.\n"
        assert head_number() == number == Revision.objects.first().number

    def test_a_dry_run_says_what_would_change_and_changes_nothing(self, tmp_path: Path) -> None:
        given_limit("limit", limit=5)
        file = tmp_path / "policies.yaml"
        perf_policies("export", str(file))
        file.write_text(file.read_text().replace("limit: 5", "limit: 50"))
        before = head_number()
        assert perf_policies("import", str(file), "--dry-run") == "RateLimitPolicy limit: limit 5 → 50\n"
        assert (RateLimitPolicy.objects.get().limit, head_number()) == (5, before)
        perf_policies("import", str(file))
        assert (RateLimitPolicy.objects.get().limit, head_number()) == (50, before + 1)

    def test_the_next_request_obeys(self, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.integration.site"
        assert statuses(client_for(), "/api/uncached", 3) == [200, 200, 200]
        apply(read(document_of(RateLimitPolicy={"tight": {"route": "*", "limit": 1}}), "json"), prune=False)
        assert statuses(client_for(), "/api/uncached", 2) == [200, 429]

    def test_a_row_keeps_its_key_and_with_it_what_clients_used(self) -> None:
        policy = given_limit("limit", limit=5)
        apply(read(document_of(RateLimitPolicy={"limit": {"route": "*", "limit": 9}}), "json"), prune=False)
        assert RateLimitPolicy.objects.get().pk == policy.pk

    def test_what_the_document_does_not_name_is_left_alone_or_deleted(self) -> None:
        given_limit("kept")
        given_limit("gone", scope="other")
        given_cache_policy("cached")
        document = read(
            document_of(
                RateLimitPolicy={"kept": {"route": "*", "limit": 5}}, CachePolicy={}, AccessRule={}, JobPolicy={}
            ),
            "json",
        )
        assert changes(document) == []
        assert {(c.name, c.after) for c in changes(document, prune=True)} == {("gone", None), ("cached", None)}
        before = head_number()
        assert apply(document, prune=True) == before + 1
        assert [policy.name for policy in RateLimitPolicy.objects.all()] == ["kept"]
        assert not CachePolicy.objects.exists()

    def test_pruning_needs_every_model_in_the_document(self) -> None:
        given_cache_policy()
        with pytest.raises(InvalidDocument, match="CachePolicy is not in the document"):
            apply(read(document_of(RateLimitPolicy={}, AccessRule={}, JobPolicy={}), "json"), prune=True)
        assert CachePolicy.objects.exists()

    def test_one_mistake_keeps_everything_else_out_as_well(self) -> None:
        text = document_of(
            CachePolicy={"good": {"route": "/api/*"}}, RateLimitPolicy={"bad": {"route": "nowhere/", "limit": 5}}
        )
        assert "RateLimitPolicy bad: route:" in problems_of(text)

    def test_a_field_left_out_has_its_default(self) -> None:
        given_cache_policy("cached", ttl=999)
        document = read(document_of(CachePolicy={"cached": {"route": "/api/*", "shared_by": "everyone"}}), "json")
        assert [(c.field, c.before, c.after) for c in changes(document)] == [("ttl", 999, 300)]

    def test_an_order_that_no_row_can_have_is_refused(self) -> None:
        given_limit("old", limit=5)
        policies = {"new": {"route": "*", "limit": 5}, "old": {"route": "*", "limit": 5}}
        problem = problems_of(document_of(RateLimitPolicy=policies))
        assert "new: position: stands before old" in problem and "different positions" in problem
        policies["new"]["position"] = 99
        apply(read(document_of(RateLimitPolicy=policies), "json"), prune=False)
        assert [policy.name for policy in RateLimitPolicy.objects.all()] == ["new", "old"]

    def test_imports_and_saves_at_the_same_time_wait_for_each_other(self) -> None:
        policy = given_limit("saved", limit=1)
        given_limit("imported", limit=1)
        before, failures = head_number(), []

        def work(change: Callable[[int], object]) -> None:
            try:
                for limit in range(2, 8):
                    change(limit)
            except Exception as error:  # a thread's failure is the test's
                failures.append(error)
            finally:
                connections.close_all()

        def save(limit: int) -> None:
            policy.limit = limit
            policy.save()

        def import_limits(limit: int) -> None:
            fields = {"route": "*", "limit": limit}
            apply(read(document_of(RateLimitPolicy={"imported": fields}), "json"), prune=False)

        threads = [threading.Thread(target=work, args=(change,)) for change in (save, import_limits)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert dict(RateLimitPolicy.objects.values_list("name", "limit")) == {"saved": 7, "imported": 7}
        assert head_number() == before + 12 == Revision.objects.first().number


class TestRefused:
    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"limt": 5}, "RateLimitPolicy bad: limt: there is no such field; did you mean limit?"),
            ({"limit": "5"}, 'RateLimitPolicy bad: limit: expected a whole number, got "5".'),
            ({"limit": True}, "bad: limit: expected a whole number"),
            ({"limit": 5.5}, "bad: limit: expected a whole number"),
            ({"limit": None}, "bad: limit: expected a value"),
            ({"limit": 0}, "RateLimitPolicy bad: limit: Ensure this value is greater than or equal to 1."),
            ({"enabled": "yes"}, "bad: enabled: expected true or false"),
            ({"methods": "GET"}, "bad: methods: expected a list of texts"),
            ({"methods": [1]}, "bad: methods: expected a list of texts"),
            ({"methods": ["BREW"]}, "bad: methods: ['BREW']"),
            ({"mode": "maybe"}, "bad: mode: "),
            ({"comment": "x" * 2001}, "bad: comment: expected at most 2000 characters"),
            ({"comment": "\0"}, "bad: comment: expected text"),
            ({"comment": "\ud800"}, "bad: comment: expected text"),
            ({"burst": 7}, "bad: burst: Only a token bucket has a burst"),
            ({"id": 7}, "bad: id: there is no such field"),
            (["limit"], "bad: expected fields"),
        ],
    )
    def test_fields_with_policy_and_field_named(self, fields: Any, problem: str) -> None:
        if isinstance(fields, dict):
            fields = {"route": "*", "limit": 5, **fields}
        assert problem in problems_of(document_of(RateLimitPolicy={"bad": fields}))

    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"user": "nobody"}, "AccessRule bad: user: there is no user 'nobody'"),
            ({"role": "viewer", "network": "192.0.2.0/24"}, "AccessRule bad: Name one of network, user or role"),
            ({"role": "viewer", "expires_at": "tomorrow"}, "bad: expires_at: expected a time"),
            ({"role": "viewer", "expires_at": "2030-01-01T00:00:00"}, "bad: expires_at: expected a time"),
            ({"role": "viewer", "expires_at": "0001-01-01T00:00:00+23:59"}, "bad: expires_at: expected a time"),
        ],
    )
    def test_access_rules(self, fields: dict[str, Any], problem: str) -> None:
        fields = {"effect": "blocked", "reason": "-", **fields}
        assert problem in problems_of(document_of(AccessRule={"bad": fields}))

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "Expected version"),
            ("- 1", "Expected version"),
            ("CachePolicy: {}", "version: expected 1, got None"),
            ("version: 2", "version: expected 1, got 2"),
            ("version: true", "version: expected 1, got True"),
            ("version: 1\nRateLimitPolicies: {}", "did you mean RateLimitPolicy?"),
            ("version: 1\nCachePolicy:", "CachePolicy: expected policies by name"),
            ("version: 1\nJobPolicy: {a: {}, a: {}}", "line 2: 'a' stands here for the second time"),
            ("version: 1\nJobPolicy: {a: &all {}, b: *all}", "line 2: anchors (&name) are not read"),
            ("version: 1\nJobPolicy: {a: *all}", "line 2: aliases (*name) are not read"),
            ("version: 1\nJobPolicy: !!python/object/apply:os.system ['true']", "line 2: tags such as"),
            ("version: 1\nJobPolicy: {? [a] : {}}", "line 2: a key has to be plain text"),
            ("version: 1\n--- {}", "a second document"),
            ("version: [", "The document cannot be read: line 2"),
            ("version: 1\nJobPolicy: {'a b': {}}", "JobPolicy a b: name: "),
            ("version: 1\nx: " + "[" * 500_000, "deeper than 16 levels"),
            ("version: 1\nx: " + "{a: " * 200_000, "deeper than 16 levels"),
            ("version: \0", "no YAML"),
            ("# " + "x" * MAX_BYTES, "larger than 1 MiB"),
        ],
        ids=lambda value: value[:40],
    )
    def test_yaml(self, text: str, problem: str) -> None:
        assert problem in problems_of(text, "yaml")

    def test_a_bomb_of_aliases_is_refused_before_it_grows(self) -> None:
        lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
        lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
        assert "anchors" in problems_of("\n".join(lines), "yaml")

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('{"version": 1, "JobPolicy": {"a": {}, "a": {}}}', "'a' stands there for the second time"),
            ('{"version": NaN}', "NaN is no number"),
            ('{"version": 1, "JobPolicy": {"\\ud800": {}}}', "no name"),
            ("[" * 500_000, "nested too deeply"),
            ('{"version": ' + "9" * 10_000 + "}", "cannot be read"),
            ("{", "cannot be read"),
        ],
        ids=lambda value: value[:40],
    )
    def test_json(self, text: str, problem: str) -> None:
        assert problem in problems_of(text, "json")

    def test_names_that_look_like_something_else_are_names(self) -> None:
        names = ["on", "null", "true", "0123", "1e3", "-", "---", "1_000", "nULL", "tRUE"]
        for position, name in enumerate(names):
            given_limit(name, position=position, comment=name)
        text = exported("yaml")
        assert list(read(text, "yaml").policies["RateLimitPolicy"]) == names
        assert changes(read(text, "yaml"), prune=True) == []
        assert "JobPolicy 404: capacity" in problems_of("version: 1\nJobPolicy: {404: {capacity: -1}}", "yaml")


class TestDiff:
    def test_the_exit_code_says_whether_there_is_a_difference(self, tmp_path: Path) -> None:
        given_limit("limit", limit=5)
        file = str(tmp_path / "policies.yaml")
        perf_policies("export", file)
        assert exit_code("diff", file) == 0
        given_cache_policy("added")
        assert exit_code("diff", file) == 0
        assert exit_code("diff", file, "--prune") == 1
        RateLimitPolicy.objects.update(limit=6)
        assert exit_code("diff", file) == 1

    def test_a_file_that_cannot_be_read_is_no_difference(self, tmp_path: Path) -> None:
        (tmp_path / "broken.yaml").write_text("version: 7")
        (tmp_path / "latin.yaml").write_bytes("# \xe4".encode("latin-1"))
        for name in ("broken.yaml", "latin.yaml", "missing.yaml"):
            assert exit_code("diff", str(tmp_path / name)) == 2

    def test_says_in_words_what_an_import_would_change(self, tmp_path: Path) -> None:
        given_limit("limit", limit=5)
        given_cache_policy("cached")
        perf_policies("export", str(tmp_path / "policies.yaml"))
        RateLimitPolicy.objects.update(limit=6)
        CachePolicy.objects.all().delete()
        JobPolicy.objects.create(name="cache_warm")
        output = StringIO()
        with pytest.raises(SystemExit):
            call_command("perf_policies", "diff", str(tmp_path / "policies.yaml"), "--prune", stdout=output)
        assert output.getvalue().splitlines() == [
            "CachePolicy cached added",
            "RateLimitPolicy limit: limit 6 → 5",
            "JobPolicy cache_warm removed",
        ]


class TestSwitches:
    def test_one_policy_is_disabled_and_enabled_by_name(self) -> None:
        given_limit("tight")
        given_limit("other", scope="other")
        number = head_number() + 1
        assert f"revision {number}." in perf_policies("disable", "tight")
        assert dict(RateLimitPolicy.objects.values_list("name", "enabled")) == {"tight": False, "other": True}
        revision = Revision.objects.first()
        assert (revision.author, revision.reason) == (None, "perf_policies disable tight")
        perf_policies("enable", "tight")
        assert RateLimitPolicy.objects.filter(enabled=True).count() == 2

    def test_all_are_one_revision_and_a_second_time_none(self) -> None:
        some_policies()
        number = head_number() + 1
        assert f"revision {number}." in perf_policies("disable", "--all")
        assert not any(model.objects.filter(enabled=True).exists() for model in POLICY_MODELS)
        assert perf_policies("disable", "--all") == "Nothing to change.\n"
        assert head_number() == number
        perf_policies("enable", "--all", "--model", "AccessRule")
        assert AccessRule.objects.get().enabled and not RateLimitPolicy.objects.get().enabled

    def test_a_name_that_two_policies_share_needs_its_model(self) -> None:
        given_limit("shared")
        given_cache_policy("shared")
        with pytest.raises(CommandError, match=r"CachePolicy\.shared or RateLimitPolicy\.shared"):
            perf_policies("disable", "shared")
        perf_policies("disable", "RateLimitPolicy.shared")
        assert (RateLimitPolicy.objects.get().enabled, CachePolicy.objects.get().enabled) == (False, True)

    @pytest.mark.parametrize("arguments", [(), ("name", "--all"), ("absent",), ("name", "--model", "JobPolicy")])
    def test_mistakes_change_nothing(self, arguments: tuple[str, ...]) -> None:
        given_limit("name")
        before = head_number()
        with pytest.raises(CommandError):
            perf_policies("disable", *arguments)
        assert head_number() == before

    @pytest.mark.urls("tests.integration.site")
    def test_is_the_way_out_for_who_is_locked_out(self) -> None:
        AccessRule.objects.create(name="everybody", effect="blocked", network="0.0.0.0/0", reason="a slip")
        assert client_for().get("/api/uncached").status_code == 403
        perf_policies("disable", "everybody")
        assert client_for().get("/api/uncached").status_code == 200

    @pytest.mark.urls("tests.integration.site")
    def test_while_redis_is_away_it_is_saved_now_and_published_when_redis_is_back(self, redis: RedisServer) -> None:
        given_limit("tight", limit=1)
        assert statuses(client_for(), "/api/uncached", 2) == [200, 429]
        published, number = get_redis_connection("default"), head_number() + 1
        os.kill(redis.pid, signal.SIGSTOP)
        try:
            output = perf_policies("disable", "tight")
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        assert f"revision {number}." in output and "Redis is away" in output
        assert not RateLimitPolicy.objects.get().enabled
        eventually(lambda: int(published.get("{perf}:revision")) == number)
        assert statuses(client_for(), "/api/uncached", 2) == [200, 200]


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
ROLES = st.lists(TEXTS.filter(bool), max_size=3)
SHARED = {"enabled": st.booleans(), "comment": TEXTS}
ROUTES = ["*", "/api/*", "/api/logs", "security:findings", "/a/*/b", "/%7Efoo:#bar"]
ROUTED = {**SHARED, "position": st.integers(0, 3), "route": st.sampled_from(ROUTES)}
FIELDS: dict[Any, dict[str, Any]] = {
    CachePolicy: {
        **ROUTED,
        "methods": st.sampled_from([["GET"], ["HEAD", "GET"]]),
        "ttl": st.integers(0, 31 * 86400),
        "shared_by": st.sampled_from(CachePolicy.SharedBy.values),
        "honour_origin_headers": st.booleans(),
        "ignore_params": st.lists(st.sampled_from(["utm_*", "ref", "~", "on"]), max_size=2),
        "tags": st.lists(st.from_regex(r"[A-Za-z0-9_.:/-]{1,20}", fullmatch=True), max_size=2),
    },
    RateLimitPolicy: {
        **ROUTED,
        "mode": st.sampled_from(RateLimitPolicy.Mode.values),
        "scope": st.sampled_from(["default", "null", "0"]),
        "methods": st.lists(st.sampled_from(["GET", "HEAD", "POST", "DELETE"]), unique=True, max_size=3),
        "roles": ROLES,
        "limit": st.integers(1, 10**9),
        "burst": st.none() | st.integers(1, 10**9),
        "algorithm": st.just("token_bucket"),
        "penalty": st.booleans(),
    },
    AccessRule: {
        **SHARED,
        "effect": st.sampled_from(AccessRule.Effect.values),
        "reason": TEXTS.filter(bool),
        "expires_at": st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)),
        "subject": st.sampled_from([("network", "2001:db8::/48"), ("role", "viewer"), ("user", "alice")]),
    },
    JobPolicy: {
        **SHARED,
        "capacity": st.integers(0, 100_000),
        "roles": ROLES,
        "cron": st.sampled_from(["", "*/15 * * * *"]),
    },
}
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
POLICY_SETS = st.fixed_dictionaries(
    {model: st.dictionaries(NAMES, st.fixed_dictionaries(fields), max_size=4) for model, fields in FIELDS.items()}
)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies=POLICY_SETS, fmt=st.sampled_from(["yaml", "json"]))
def test_any_policies_survive_export_and_import(policies: dict[Any, dict[str, dict[str, Any]]], fmt: Any) -> None:
    wipe()
    alice = get_user_model().objects.filter(username="alice").first() or given_user("alice")
    for model, rows in policies.items():
        for name, fields in rows.items():
            subject, value = fields.pop("subject", ("name", name))
            model.objects.create(**{"name": name, **fields, subject: alice if subject == "user" else value})
    before, text, number = contents(), exported(fmt), head_number()
    document = read(text, fmt)
    assert changes(document, prune=True) == []
    assert apply(document, prune=True) == number == head_number()
    wipe()
    emptied = head_number()
    imported = apply(document, prune=False)
    assert contents() == before
    assert exported(fmt) == text
    assert imported == emptied + any(policies.values())
    assert apply(document, prune=True) == imported == head_number()
