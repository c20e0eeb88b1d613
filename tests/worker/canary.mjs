// Strings that can come from one place only. The suites put them into prompts, replies and
// secrets; the last suite looks for them wherever they must not be.

export const CANARY = {
  prompt: "canaryprompt",
  reply: "canaryreply",
  providerSecret: "canarysecret",
  adminSecret: "canaryadmin",
  ownSecret: "canaryown",
};
