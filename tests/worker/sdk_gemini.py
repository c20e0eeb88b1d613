"""The tests of Google's SDK for Python, on every wire."""

from functools import cache

from google import genai
from google.genai import errors, types

from suite import SETTING, raises, run

MODELS, USAGE = SETTING["models"], SETTING["usage"]
FUNCTION = SETTING["weather_tool"]["function"]
DECLARATION = types.FunctionDeclaration(
    name=FUNCTION["name"], description=FUNCTION["description"], parameters_json_schema=FUNCTION["parameters"]
)
TOOLS = {"tools": [types.Tool(function_declarations=[DECLARATION])]}


# A client that is no longer referred to closes its connections.
@cache
def client(key=SETTING["key"]):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=SETTING["base_url"]))


def prompt(content):
    return f"{SETTING['prompt']} {content}"


def whole(wire, contents, config=None, key=SETTING["key"]):
    return [client(key).models.generate_content(model=MODELS[wire], contents=contents, config=config)]


def streamed(wire, contents, config=None, key=SETTING["key"]):
    return list(client(key).models.generate_content_stream(model=MODELS[wire], contents=contents, config=config))


def parts_of(replies):
    candidates = [candidate for reply in replies for candidate in reply.candidates or []]
    return [part for candidate in candidates if candidate.content for part in candidate.content.parts or []]


def text_of(replies):
    return "".join(part.text or "" for part in parts_of(replies) if not part.thought)


def on_every_wire(check):
    def test():
        for wire in MODELS:
            for send in (whole, streamed):
                try:
                    check(wire, send)
                except Exception as error:
                    raise AssertionError(f"{wire}, {send.__name__}: {error!r}") from error

    return test


def check_reply(wire, send):
    replies = send(wire, prompt("CHAT"))
    assert text_of(replies).endswith("🌍 世界"), replies
    assert replies[-1].candidates[0].finish_reason == types.FinishReason.STOP, replies
    usage = replies[-1].usage_metadata
    assert usage.prompt_token_count == USAGE["prompt_tokens"], usage
    assert usage.candidates_token_count == USAGE["completion_tokens"], usage


def check_tool_round_trip(wire, send):
    question = types.Content(role="user", parts=[types.Part(text=prompt("WEATHER ONE"))])
    first = parts_of(send(wire, [question], TOOLS))
    call = next(part.function_call for part in first if part.function_call)
    assert (call.name, call.args) == ("get_weather", {"city": "Paris"})
    response = types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"})
    answer = types.Content(role="model", parts=first)
    result = types.Content(role="user", parts=[types.Part(function_response=response)])
    assert text_of(send(wire, [question, answer, result], TOOLS)) == "Sunny in Paris."


def check_parallel_tools(wire, send):
    parts = parts_of(send(wire, prompt("WEATHER TWO"), TOOLS))
    assert [part.function_call.args["city"] for part in parts if part.function_call] == ["Paris", "Rome"]


def check_thoughts(wire, send):
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=2000)
    replies = send(wire, prompt("THINK"), types.GenerateContentConfig(thinking_config=thinking, max_output_tokens=4000))
    assert "".join(part.text for part in parts_of(replies) if part.thought).endswith("by seven."), replies
    assert text_of(replies) == "The answer is 42."


test_a_reply_with_exact_usage = on_every_wire(check_reply)
test_a_tool_round_trip = on_every_wire(check_tool_round_trip)
test_parallel_tools = on_every_wire(check_parallel_tools)
test_thoughts = on_every_wire(check_thoughts)


def test_tokens_are_counted():
    count = client().models.count_tokens(model=MODELS["gemini"], contents="word " * 400)
    assert count.total_tokens > 300


def test_each_error_is_the_sdks_own():
    for send in (whole, streamed):
        raises(errors.ClientError, lambda: send("gemini", prompt("CHAT"), key="sk-mr-v1-wrong"), code=401)
        raises(errors.ClientError, lambda: send("gemini", prompt("CHAT"), key=SETTING["poor_key"]), code=402)
        for wire in MODELS:
            raises(errors.ClientError, lambda: send(wire, prompt("ERR400")), code=400)
            raises(errors.ClientError, lambda: send(wire, prompt("ERR429")), code=429)
            raises(errors.ServerError, lambda: send(wire, prompt("ERR500")), code=502)
            raises(errors.ServerError, lambda: send(wire, prompt("ERR503")), code=503)


run(globals())
