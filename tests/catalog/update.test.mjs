// The tool that updates the catalog: what it takes from a source, what it keeps, what it refuses.

import assert from "node:assert/strict";
import { test } from "node:test";

import { mistakesIn } from "../../scripts/lib/catalog/check.mjs";
import { modelsText, readCatalog } from "../../scripts/lib/catalog/file.mjs";
import { change, perMillion, readPrice, writePrice } from "../../scripts/lib/catalog/price.mjs";
import { report } from "../../scripts/lib/catalog/report.mjs";
import { update } from "../../scripts/lib/catalog/update.mjs";

test("prices are exact, mended where a float bent them, else refused", () => {
  for (const [text, shift, expected] of [
    ["0.0000025", 0, "0.0000025"],
    ["2.5e-06", 0, "0.0000025"],
    [0.15, 6, "0.00000015"],
    ["0", 0, "0"],
    ["0.000000000001", 0, "0.000000000001"],
    ["0.000000049999999999999996", 0, "0.00000005 mended"],
    ["0.000015000020000000002", 0, "0.00001500002 mended"],
    [0.1 + 0.2, 6, "0.0000003 mended"],
    ["0.0000000000015", 0, "finer than a picodollar"],
    ["0.00000000012345", 0, "finer than a picodollar"],
    ["-1", 0, "negative"],
    ["free", 0, "not a decimal number"],
    ["", 0, "not a decimal number"],
    [NaN, 0, "not a decimal number"],
  ]) {
    const { pico, repaired, error } = readPrice(text, shift);
    assert.equal(error ?? `${writePrice(pico)}${repaired ? " mended" : ""}`, expected, String(text));
  }
  assert.equal(perMillion("0.00000125"), "$1.25");
  assert.equal(change("0.000001", "0.0000012"), "+20%");
  assert.equal(change("0.000004", "0.00000386"), "-3.5%");
});

test("a new model comes with its offers, its limits and what they honour", () => {
  const { models, changes, mistakes } = run([model("acme/two", [endpoint()])]);
  assert.deepEqual(find(models, "acme/two"), {
    slug: "acme/two",
    name: "Acme: Two",
    source: "test",
    created: 1700000000,
    context_length: 8192,
    input: ["text", "image"],
    output: ["text"],
    tokenizer: "Other",
    distillable: true,
    parameters: ["max_completion_tokens", "max_tokens", "seed", "temperature", "tool_choice", "tools", "top_p"],
    offers: [{
      provider: "acme", model: "two-v1", context_length: 8000, max_output: 4096, prompt: "0.000001", completion: "0.000002",
      without: ["tools", "tool_choice", "top_p"], source: "test",
    }],
  });
  assert.deepEqual(changes.map(({ kind, slug }) => [kind, slug]), [["new model", "acme/two"]]);
  assert.deepEqual(mistakes, []);
});

test("a price that a source does not say is kept", () => {
  const [before] = run([model("acme/two", [endpoint({ input_cache_read: "0.0000001" })])]).models.slice(-1);
  const { models, changes } = run([model("acme/two", [endpoint({ prompt: "0.0000012" })])], { models: [byHand(), before] });
  const [offer] = find(models, "acme/two").offers;
  assert.deepEqual([offer.prompt, offer.cache_read], ["0.0000012", "0.0000001"]);
  assert.deepEqual(changes, [{ kind: "price", slug: "acme/two", tag: "acme", member: "prompt", from: "0.000001", to: "0.0000012" }]);
});

test("the same source a second time changes nothing", () => {
  const files = { input_modalities: ["text", "file", "video"] };
  const theirs = [
    model("acme/two", [endpoint({ input_cache_read: "0.0000001" }, { context_length: 9000 }), endpoint({}, { provider: "other" })], files),
    model("acme/three", [endpoint({}, { provider_model_id: "three", max_completion_tokens: 99999 })], { output_modalities: ["embeddings"] }),
  ];
  const first = run(theirs);
  const second = run(theirs, { models: first.models });
  assert.deepEqual(second.changes, []);
  assert.deepEqual(second.models, first.models);
  assert.equal(find(first.models, "acme/two").context_length, 9000);
});

test("--only looks at what it names", () => {
  const theirs = [model("acme/two", [endpoint({ prompt: "0" })]), model("acme/three", [endpoint({ prompt: "0" })])];
  const { refused } = run(theirs, {}, { only: ["acme/th*"] });
  assert.deepEqual(refused.map(({ what }) => what), ["acme/three at acme", "acme/three"]);
});

test("what was written by hand wins, and the difference is shown", () => {
  const { models, changes } = run([model("acme/one", [endpoint({ prompt: "0.5" }, { provider_model_id: "one" }), endpoint({}, { provider: "Other AI" })])]);
  const one = find(models, "acme/one");
  assert.deepEqual(one.offers[0], byHand().offers[0]);
  assert.equal(one.context_length, 4096);
  assert.deepEqual([one.offers[1].provider, one.offers[1].context_length], ["other", 4096], "a new offer stays within the model's limit");
  assert.deepEqual(changes.map(({ kind, tag, member }) => [kind, tag, member]), [
    ["kept by hand", "acme", "prompt"],
    ["kept by hand", "acme", "completion"],
    ["new offer", "other", undefined],
  ]);
});

test("what cannot be sold is refused with a reason", () => {
  for (const [theirs, why] of [
    [model("acme/two", [endpoint({ prompt: "0", completion: "0" })]), "no price that can be believed"],
    [model("acme/two", [endpoint({ completion: "0" })]), "no price that can be believed"],
    [model("acme/two", [endpoint({ prompt: undefined })]), "no price"],
    [model("acme/two", [endpoint({ prompt: "0.0000000000015" })]), 'prompt "0.0000000000015": finer than a picodollar'],
    [model("acme/two", [endpoint({ image: "0.01" })]), "a price for each image has no place in the catalog"],
    [model("acme/two", [endpoint({ overrides: [{ utc_start: "0100", prompt: "0.1" }] })]), "a price that depends on something else than the prompt's length"],
    [model("acme/two", [endpoint({}, { provider: "nobody" })]), "no such provider"],
    [model("acme/two", [endpoint({}, { protocol: "bedrock" })]), "served in a protocol that its provider's row does not speak"],
    [model("acme/two", []), "nobody offers it"],
    [model("acme/two:free", [endpoint()]), "is to be free and has a price"],
    [model("acme/old-1", [endpoint()]), "retired"],
    [model("acme/two", [endpoint()], { output_modalities: ["image"] }), "makes image"],
    [model("acme/two", [endpoint()], { input_modalities: ["audio"] }), "takes no text"],
  ]) {
    const { models, refused } = run([theirs]);
    assert.ok(refused.some((one) => one.why === why), `${why}: ${JSON.stringify(refused)}`);
    assert.deepEqual(models.map(({ slug }) => slug), ["acme/one"], why);
  }
});

test("what is sold under one name is not sold under another", () => {
  const { models, refused } = run([model("acme/two", [endpoint({}, { provider_model_id: "one" })]), model("acme/three", [endpoint()]), model("acme/four", [endpoint()])]);
  assert.deepEqual(models.map(({ slug }) => slug), ["acme/one", "acme/three"]);
  assert.deepEqual(refused.map(({ what, why }) => `${what}: ${why}`), [
    "acme/two at acme: sold as acme/one", "acme/two: nobody offers it", "acme/four at acme: sold as acme/three", "acme/four: nobody offers it",
  ]);
  const twice = [byHand(), { ...byHand(), slug: "acme/two" }];
  assert.deepEqual(mistakesIn({ ...catalog(), models: twice }), ["acme's one is sold as acme/one and acme/two"]);
});

test("a free model is one whose slug says so", () => {
  const { models, mistakes } = run([model("acme/two:free", [endpoint({ prompt: "0", completion: "0" })])]);
  assert.equal(find(models, "acme/two:free").offers[0].prompt, "0");
  assert.deepEqual(mistakes, []);
});

test("a tier that leaves prices out rises in step with its prompt", () => {
  const overrides = [{ min_prompt_tokens: 4000, prompt: "0.000002", completion: "0.000003" }];
  const { models } = run([model("acme/two", [endpoint({ input_cache_read: "0.0000001", input_cache_write: "0.00000125", overrides })])]);
  assert.deepEqual(find(models, "acme/two").offers[0].tiers, [
    { above_prompt_tokens: 4000, prompt: "0.000002", completion: "0.000003", cache_read: "0.0000002", cache_write: "0.0000025" },
  ]);
});

test("of several offers of a provider one is kept for each variant", () => {
  const called = (id, region) => endpoint({}, { provider_model_id: id, ...(region && { provider: "amazon-bedrock", protocol: "bedrock" }) });
  const ids = ["two-2025", "Two", "vendor/two-turbo"];
  const bedrock = ["acme.two-v1:0", "eu.acme.two-v1:0", "us.acme.two-v1:0"];
  const { models, refused } = run([model("acme/two", [...ids.map((id) => called(id)), ...bedrock.map((id) => called(id, true))])]);
  assert.deepEqual(find(models, "acme/two").offers.map(({ provider, variant, region, model }) => [provider, variant, region, model]), [
    ["acme", undefined, undefined, "Two"],
    ["acme", "turbo", undefined, "vendor/two-turbo"],
    ["amazon-bedrock", undefined, "us", "us.acme.two-v1:0"],
  ]);
  assert.equal(refused.filter(({ why }) => why.endsWith("is taken")).length, 3);
});

test("a model takes files where a provider is known to, without those that are not", () => {
  const files = { input_modalities: ["text", "file", "audio"] };
  const bedrock = endpoint({}, { provider: "amazon-bedrock", protocol: "bedrock", provider_model_id: "acme.two" });
  const mixed = run([model("acme/two", [endpoint(), bedrock], files)]);
  assert.deepEqual(find(mixed.models, "acme/two").input, ["text", "file"]);
  assert.deepEqual(mixed.refused, [{ what: "acme/two at acme", why: "takes no files, as the model does elsewhere" }]);
  assert.deepEqual(find(run([model("acme/two", [endpoint()], files)]).models, "acme/two").input, ["text"]);
  assert.deepEqual(find(run([model("acme/two", [endpoint({ audio: "0.00001" })], files)]).models, "acme/two").input, ["text", "audio"]);
});

test("names are changed and strays go home", () => {
  const { models } = run([
    model("acme/two-x", [endpoint({}, { provider: "other", provider_model_id: "two-x" })]),
    model("acme/two", [endpoint({}, { provider_model_id: "two" })]),
    model("acme/three", [endpoint({}, { provider_model_id: "three" }), endpoint({}, { provider_model_id: "four" })]),
    model("acme/four", []),
    model("acme/five-0813", [endpoint({}, { provider_model_id: "five" })]),
    model("acme/five", []),
  ]);
  assert.deepEqual(find(models, "acme/five-0813").offers.map(({ model }) => model), ["five"], "it may stand for the newest");
  assert.deepEqual(find(models, "acme/two").offers.map(({ provider }) => provider), ["acme", "other"]);
  assert.deepEqual(find(models, "acme/four").offers.map(({ model }) => model), ["four"]);
  assert.deepEqual(find(models, "acme/three").offers.length, 1);
});

test("models.dev's prices are for a million tokens, and its models are placed by their names", () => {
  const dev = (id, more = {}) => ({
    id, name: id, release_date: "2026-01-02", tool_call: true, reasoning: true, modalities: { input: ["text", "pdf"], output: ["text"] },
    limit: { context: 8192, output: 1024 }, cost: { input: 0.1, output: 2.5, cache_read: 0.01, tiers: [{ input: 0.2, output: 5, tier: { type: "context", size: 4000 } }], context_over_200k: { input: 0.2, output: 5 } }, ...more,
  });
  const document = {
    acme: { id: "acme", models: { one: dev("one"), two: dev("two"), gone: dev("gone", { status: "deprecated" }), none: dev("none", { cost: undefined }), odd: dev("odd", { cost: { input: 1, output: 1, tiers: [{ input: 2, tier: { type: "hour", size: 1 } }] } }) } },
    "Other AI": { id: "Other AI", models: { three: dev("AcmeOrg/Three", { cost: { input: 1, output: 2, context_over_200k: { input: 2, output: 4 } } }), lost: dev("Lost/Thing") } },
    nobody: { id: "nobody", models: {} },
  };
  const { models, refused, changes } = update(catalog(), document, { joined: 1, label: "dev" });
  const { offers: [two], ...facts } = find(models, "acme/two");
  assert.deepEqual([two.prompt, two.completion, two.cache_read], ["0.0000001", "0.0000025", "0.00000001"]);
  assert.deepEqual([facts.created, facts.source], [Date.UTC(2026, 0, 2) / 1000, "dev"]);
  assert.deepEqual(two.tiers, [{ above_prompt_tokens: 4000, prompt: "0.0000002", completion: "0.000005", cache_read: "0.00000002" }]);
  assert.equal(find(models, "acme/three").offers[0].tiers, undefined, "above 200,000 tokens, which is beyond the context");
  assert.equal(find(models, "acme/three").offers[0].model, "AcmeOrg/Three");
  assert.ok(changes.some(({ kind, slug }) => kind === "kept by hand" && slug === "acme/one"), "known by its provider's name");
  assert.deepEqual(refused.map(({ what }) => what), ["gone at acme", "none at acme", "odd at acme", "Lost/Thing at other", "nobody"]);
});

test("a file in the catalog's own form is a source", () => {
  const theirs = { ...byHand(), slug: "acme/nine", offers: [{ ...byHand().offers[0], model: "nine", source: "mine" }] };
  const { models, mistakes } = update(catalog(), [theirs], { joined: 1, label: "mine" });
  assert.equal(find(models, "acme/nine").offers[0].prompt, byHand().offers[0].prompt);
  assert.deepEqual(mistakes, []);
});

test("only --prune removes, and only what came from the same source", () => {
  const both = run([model("acme/two", [endpoint(), endpoint({}, { provider: "other" })]), model("acme/three", [endpoint({}, { provider_model_id: "three" })])]).models;
  const again = [model("acme/two", [endpoint()])];
  assert.deepEqual(run(again, { models: both }).models.length, 3);
  assert.ok(run(again, { models: both }).changes.some(({ kind }) => kind === "not in the source"));
  const { models } = run(again, { models: both }, { prune: true });
  assert.deepEqual(models.map(({ slug, offers }) => [slug, offers.length]), [["acme/one", 1], ["acme/two", 1]]);
  assert.deepEqual(run(again, { models: both }, { prune: true, label: "another" }).models.length, 3);
});

test("what is not sound is named", () => {
  const unsound = { ...byHand(), offers: [{ ...byHand().offers[0], completion: 1, provider: "gone", model: "gone", tiers: [{ above_prompt_tokens: 2 }, { above_prompt_tokens: 1 }] }] };
  assert.deepEqual(run([], { models: [unsound, byHand()] }).mistakes, ["acme/one: twice"]);
  assert.deepEqual(mistakesIn({ ...catalog(), models: [unsound, byHand()] }), ["acme/one: twice", "acme/one: at gone: no such provider", "acme/one: at gone: completion 1: not a text", "acme/one: at gone: tiers must rise"]);
});

test("the report says what changes by how much", () => {
  const [before] = run([model("acme/two", [endpoint()])]).models.slice(-1);
  const result = run([model("acme/two", [endpoint({ prompt: "0.0000015" })]), model("acme/three", [endpoint({ completion: "0.000000049999999999999996" }, { provider_model_id: "three" })])], { models: [byHand(), before] });
  const text = report(result);
  assert.match(text, /~ acme\/two at acme, prompt: \$1 → \$1\.5 per million \(\+50%\)/);
  assert.match(text, /\+ acme\/three, 8192 tokens: acme \$1 and \$0\.05 per million/);
  assert.match(text, /Repaired prices \(1\)/);
  assert.equal(report({ changes: [], refused: [], repaired: [], mistakes: [] }), "Nothing would change.\n");
});

test("the catalog's own file is written as it is read, and is sound", () => {
  const { models, providers, sources } = readCatalog();
  const again = JSON.parse(modelsText(models));
  assert.deepEqual(again, models);
  const { mistakes, changes } = update({ models, providers, sources }, models, { joined: 1, label: "itself" });
  assert.deepEqual([mistakes, changes], [[], []]);
});

function run(data, more = {}, options = {}) {
  return update({ ...catalog(), ...more }, { data }, { joined: 1, label: "test", ...options });
}

function catalog() {
  const parameters = ["max_tokens", "max_completion_tokens", "temperature", "top_p", "tools", "tool_choice"];
  const row = (slug, name, protocol, known_as) => ({ slug, name, protocol, known_as, key_variable: "X_API_KEY", parameters });
  return {
    models: [byHand()],
    providers: [row("acme", "Acme", "openai_chat"), row("other", "Other", "openai_chat", ["Other AI"]), row("amazon-bedrock", "Bedrock", "bedrock")],
    sources: {
      authors: { acme: "Acme" }, owners: { acmeorg: "acme" }, makers: { acme: "acme" }, renamed: { "acme/two-x": "acme/two" }, dates: {}, tokenizers: [],
      left_out: [{ match: ["acme/old-*"], why: "retired" }], distillable: [{ match: ["acme/*"], value: true, why: "MIT" }],
    },
  };
}

function byHand() {
  return {
    slug: "acme/one", name: "One", created: 1, context_length: 4096, input: ["text"], output: ["text"], tokenizer: "Other",
    parameters: ["max_completion_tokens", "max_tokens"],
    offers: [{ provider: "acme", model: "one", context_length: 4096, max_output: 4096, prompt: "0.000003", completion: "0.000004" }],
  };
}

function model(id, endpoints, architecture = {}) {
  return {
    id, name: id, created: 1700000000, context_length: 8192,
    architecture: { input_modalities: ["text", "image", "video"], output_modalities: ["text"], tokenizer: "Other", ...architecture },
    supported_parameters: ["max_tokens", "temperature", "top_p", "tools", "seed"], endpoints,
  };
}

function endpoint(pricing = {}, more = {}) {
  return {
    provider: "acme", provider_model_id: "two-v1", protocol: "openai", context_length: 8000, max_completion_tokens: 4096,
    pricing: { prompt: "0.000001", completion: "0.000002", ...pricing }, supported_parameters: ["max_tokens", "temperature"], ...more,
  };
}

function find(models, slug) {
  return models.find((one) => one.slug === slug);
}
