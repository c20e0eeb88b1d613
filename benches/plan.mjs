// What the rig is told of a target: a table of its plan, in TOML.

/**
 * A target at `base`. Of `model`, `anthropic` (the path of Messages) and `skip` (scenarios that are not for it) only what is
 * given is told. The rig starts it with `command` and `env` on the second processor, or watches the process `pid`.
 */
export function target({ name, base, headers = {}, model, anthropic, skip, pid, command, env = {} }) {
  const start = command && `{ cmd = ${toml(command)}, cpus = "1", env = ${table(env)} }`;
  const members = { name, base, model, anthropic, skip, pid };
  const lines = Object.entries(members).filter(([, value]) => value !== undefined).map(([key, value]) => `${key} = ${toml(value)}`);
  return ["[[target]]", ...lines, `headers = ${table(headers)}`, ...(start ? [`start = ${start}`] : []), ""].join("\n");
}

/** Of texts, numbers and lists of texts, JSON is TOML. */
const toml = (value) => JSON.stringify(value);

function table(values) {
  return `{ ${Object.entries(values).map(([key, value]) => `${JSON.stringify(key)} = ${toml(value)}`).join(", ")} }`;
}
