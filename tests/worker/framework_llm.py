"""The tests of Simon Willison's llm, by its command and by its library, on every wire."""

import json
import os
import pathlib

import llm
from click.testing import CliRunner
from llm.cli import cli

from suite import SETTING, run

MODELS, USAGE = SETTING["models"], SETTING["usage"]
HOME = pathlib.Path(os.environ["LLM_USER_PATH"])


def write_settings():
    rows = []
    for prefix, key in (("m", "millrace"), ("paying", "payer")):
        for wire, model in MODELS.items():
            row = {"model_id": f"{prefix}-{wire}", "model_name": model, "api_base": SETTING["base_url"]}
            rows.append({**row, "api_key_name": key, "supports_tools": True, "supports_schema": True})
    HOME.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    (HOME / "extra-openai-models.yaml").write_text(json.dumps(rows))
    (HOME / "keys.json").write_text(json.dumps({"millrace": SETTING["key"], "payer": SETTING["payer_key"]}))


def prompt(content):
    return f"{SETTING['prompt']} {content}"


def command(*words):
    result = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def on_every_wire(check):
    def test():
        for wire in MODELS:
            try:
                check(wire)
            except Exception as error:
                raise AssertionError(f"{wire}: {error!r}") from error

    return test


def check_usage(wire):
    assert command("-m", f"paying-{wire}", "--no-stream", prompt("CHAT")).endswith("🌍 世界")
    [entry] = json.loads(command("logs", "-n", "1", "--json"))
    assert entry["input_tokens"] == USAGE["prompt_tokens"], entry
    assert entry["output_tokens"] == USAGE["completion_tokens"], entry


def check_stream(wire):
    chunks = list(llm.get_model(f"m-{wire}").prompt(prompt("CHAT"), stream=True))
    assert "".join(chunks).endswith("🌍 世界")
    assert len(chunks) > 1


def check_tools(wire):
    cities = []

    def get_weather(city: str) -> str:
        """The weather in a city"""
        cities.append(city)
        return "sunny"

    chain = llm.get_model(f"m-{wire}").chain(prompt("WEATHER ONE"), tools=[get_weather])
    assert chain.text().strip().endswith("Sunny in Paris."), chain.text()
    assert cities == ["Paris"]


def check_schema(wire):
    output = command("-m", f"m-{wire}", "--schema", "name, age int", prompt("PERSON"))
    assert json.loads(output) == SETTING["person"]


write_settings()
test_a_reply_with_exact_usage = on_every_wire(check_usage)
test_a_stream = on_every_wire(check_stream)
test_tools_go_round = on_every_wire(check_tools)
test_a_schema_is_obeyed = on_every_wire(check_schema)

run(globals())
