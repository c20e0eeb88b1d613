"""OpenRouter's own SDK for Python, unmodified, which checks every answer against its schema."""

from datetime import datetime, timezone

from openrouter import OpenRouter
from openrouter import errors

from suite import SETTING, raises, run

MODEL = SETTING["model"]
AUTHOR, SLUG = SETTING["author"], SETTING["slug"]


def client(key=SETTING["key"]):
    return OpenRouter(api_key=key, server_url=SETTING["base_url"])


def every(page):
    """The rows of a list and of the pages behind it."""
    rows = []
    while page is not None:
        rows += page.result.data
        page = page.next() if page.result.data else None
    return rows


def test_chat():
    content = f"{SETTING['prompt']} CHAT"
    reply = client().chat.send(model=MODEL, messages=[{"role": "user", "content": content}])
    assert reply.choices[0].message.content.endswith("🌍 世界"), reply
    assert reply.usage.cost > 0


def test_models():
    whole = every(client().models.list())
    assert MODEL in [model.id for model in whole]
    assert client().models.count().data.count == len(whole)
    paged = every(client().models.list(limit=50))
    assert [model.id for model in paged] == [model.id for model in whole]
    found = every(client().models.list(q=SLUG, sort="pricing-low-to-high", input_modalities="text"))
    assert MODEL in [model.id for model in found] and len(found) < len(whole)
    assert len(every(client().models.list_for_user(security={"bearer": SETTING["key"]}))) == len(whole)


def test_a_model():
    assert client().models.get(author=AUTHOR, slug=SLUG).data.id == MODEL
    assert client().models.get(author=AUTHOR, slug=f"{SLUG}:floor").data.id == MODEL
    raises(errors.NotFoundResponseError, lambda: client().models.get(author="nobody", slug="nothing"))


def test_endpoints():
    listed = client().endpoints.list(author=AUTHOR, slug=SLUG).data
    assert listed.id == MODEL and "OpenAI" in [endpoint.provider_name for endpoint in listed.endpoints]
    assert all(endpoint.tag for endpoint in client().endpoints.list_zdr_endpoints().data)


def test_providers():
    assert "openai" in [provider.slug for provider in client().providers.list().data]


def test_embeddings_models():
    assert every(client().embeddings.list_models())


def test_presets():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    presets = client().presets
    made = presets.create_presets_chat_completions(slug="python", model=MODEL, temperature=0.5, messages=messages)
    assert made.data.designated_version.system_prompt == "Be brief."
    assert presets.get(slug="python").data.designated_version.config["temperature"] == 0.5
    assert "python" in [preset.slug for preset in every(presets.list())]
    assert [version.version for version in every(presets.list_versions(slug="python"))] == [1]
    assert presets.get_version(slug="python", version="1").data.config["model"] == MODEL


def test_keys_and_credits():
    assert client().api_keys.get_current_key_metadata().data.is_management_key is False
    assert client(SETTING["management_key"]).credits.get_credits().data.total_credits > 0


def test_keys_made_changed_and_deleted():
    keys = client(SETTING["management_key"]).api_keys
    end = datetime(2027, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
    external = {"user": "u-7", "api_key": "their name"}
    made = keys.create(
        name="python", limit=5, limit_reset="weekly", expires_at=end, creator_user_id="user_1", external=external
    )
    assert client(made.key).api_keys.get_current_key_metadata().data.limit == 5
    key = keys.get(hash=made.data.hash).data
    assert (key.external_user, key.creator_user_id, key.expires_at) == ("u-7", "user_1", end), key
    assert made.data.hash in [each.hash for each in keys.list().data]
    changed = keys.update(hash=made.data.hash, name="renamed", disabled=True, limit_reset=None).data
    assert (changed.name, changed.disabled, changed.limit_reset) == ("renamed", True, None)
    keys.delete(hash=made.data.hash)
    raises(errors.NotFoundResponseError, lambda: keys.get(hash=made.data.hash))


def test_a_key_for_an_app():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    made = client(SETTING["management_key"]).o_auth.create_auth_code(
        callback_url="https://app.example/", code_challenge=challenge, code_challenge_method="S256", limit=3
    )
    exchange = client().o_auth.exchange_auth_code_for_api_key
    proof = {"code": made.data.id, "code_challenge_method": "S256"}
    raises(errors.ForbiddenResponseError, lambda: exchange(**proof, code_verifier="x" * 43))
    key = exchange(**proof, code_verifier=verifier).key
    assert client(key).api_keys.get_current_key_metadata().data.limit == 3


def test_a_generation_and_its_activity():
    content = f"{SETTING['prompt']} CHAT"
    reply = client().chat.send(model=MODEL, messages=[{"role": "user", "content": content}])
    generation = client().generations.get_generation(id=reply.id).data
    assert generation.total_cost == reply.usage.cost and generation.provider_responses[0].status == 200
    manager = client(SETTING["management_key"])
    rows = manager.analytics.get_user_activity(request={"date_": SETTING["date"]}).data
    assert MODEL in [row.model for row in rows] and all(row.requests > 0 for row in rows)
    raises(errors.ForbiddenResponseError, lambda: client().analytics.get_user_activity())
    assert "model" in [one.name for one in manager.analytics.get_analytics_meta().data.dimensions]
    queried = manager.analytics.query_analytics(metrics=["request_count"], dimensions=["model"])
    assert queried.data.metadata.row_count >= len(rows) > 0


def test_workspaces():
    workspaces = client(SETTING["management_key"]).workspaces
    made = workspaces.create(name="From Python", slug="python-team", default_provider_sort="latency").data
    assert made.default_provider_sort == "latency" and made.updated_at is None
    assert "python-team" in [workspace.slug for workspace in every(workspaces.list())]
    assert workspaces.update(id=made.id, description="ours").data.description == "ours"
    budget = workspaces.set_budget(workspace_ref="python-team", interval="daily", limit_usd=12.5).data
    assert budget.limit_usd == 12.5 and budget.reset_interval == "daily"
    assert len(workspaces.list_budgets(workspace_ref=made.id).data) == 1
    raises(
        errors.BadRequestResponseError,
        lambda: workspaces.set_budget(workspace_ref=made.id, interval="monthly", limit_usd=1),
    )
    workspaces.delete_budget(workspace_ref=made.id, interval="daily")
    assert every(workspaces.list_members(id=made.id)) == []
    workspaces.delete(id="python-team")
    raises(errors.NotFoundResponseError, lambda: workspaces.get(id=made.id))


def test_guardrails():
    guardrails = client(SETTING["management_key"]).guardrails
    keys = client(SETTING["management_key"]).api_keys
    made = guardrails.create(
        name="From Python",
        ignored_providers=["groq"],
        limit_usd=5,
        reset_interval="daily",
        enforce_zdr=True,
        content_filter_builtins=[{"slug": "regex-prompt-injection", "action": "block", "scan_scope": "user_only"}],
    ).data
    assert made.enforce_zdr_openai is True and made.limit_usd == 5
    assert made.content_filter_builtins[0].scan_scope == "user_only"
    assert guardrails.update(id=made.id, description="mine").data.description == "mine"
    assert made.id in [guardrail.id for guardrail in every(guardrails.list())]
    key = keys.create(name="guarded by Python").data
    assert guardrails.bulk_assign_keys(id=made.id, key_hashes=[key.hash]).assigned_count == 1
    assert [one.key_hash for one in every(guardrails.list_guardrail_key_assignments(id=made.id))] == [key.hash]
    assert guardrails.bulk_unassign_keys(id=made.id, key_hashes=[key.hash]).unassigned_count == 1
    guardrails.delete(id=made.id)
    raises(errors.NotFoundResponseError, lambda: guardrails.get(id=made.id))


def test_byok():
    byok = client(SETTING["management_key"]).byok
    made = byok.create(provider="openai", key=f"sk-{SETTING['own_secret']}-0123456789-AbCd", name="mine").data
    assert (made.label, made.name, made.disabled) == ("sk-...AbCd", "mine", False)
    assert byok.update(id=made.id, disabled=True).data.disabled
    assert byok.get(id=made.id).data.provider == "openai"
    assert made.id in [row.id for row in every(byok.list(provider="openai"))]
    byok.delete(id=made.id)
    assert made.id not in [row.id for row in every(byok.list(provider="openai"))]


if __name__ == "__main__":
    run(globals())
