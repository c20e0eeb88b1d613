"""The tests of the Python SDK. Prints one line of JSON for each: its name, its error, its cost."""

import asyncio
import json
import sys
import time
import traceback
from decimal import Decimal

import openai

SETTING = json.loads(sys.argv[1])
MODEL = SETTING["model"]


def client(key=SETTING["key"], kind=openai.OpenAI):
    return kind(api_key=key, base_url=SETTING["base_url"], max_retries=0)


def ask(content, **more):
    return {"model": MODEL, "messages": [{"role": "user", "content": f"{SETTING['prompt']} {content}"}], **more}


def exact_cost():
    usage, pricing = SETTING["usage"], SETTING["pricing"]
    return usage["prompt_tokens"] * Decimal(pricing["prompt"]) + usage["completion_tokens"] * Decimal(pricing["completion"])


def cost_of(reply):
    return Decimal(repr(reply.usage.model_extra["cost"]))


def test_chat():
    reply = client().chat.completions.create(**ask("CHAT"))
    assert reply.choices[0].message.content.endswith("🌍 世界")
    assert reply.model == MODEL
    assert reply.id.startswith("gen-")
    assert reply.model_extra["provider"] == "OpenAI"
    return cost_of(reply)


def test_usage_and_cost_are_exact():
    reply = client().chat.completions.create(**ask("CHAT"))
    assert reply.usage.prompt_tokens == SETTING["usage"]["prompt_tokens"]
    assert reply.usage.completion_tokens == SETTING["usage"]["completion_tokens"]
    assert cost_of(reply) == exact_cost(), cost_of(reply)
    return cost_of(reply)


def test_stream():
    text, usage = "", None
    for chunk in client().chat.completions.create(**ask("CHAT", stream=True, stream_options={"include_usage": True})):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    assert text.endswith("🌍 世界"), text
    assert usage.completion_tokens == SETTING["usage"]["completion_tokens"]
    assert Decimal(repr(usage.model_extra["cost"])) == exact_cost()
    return exact_cost()


def test_stream_helper():
    with client().chat.completions.stream(**ask("CHAT")) as stream:
        reply = stream.get_final_completion()
    assert reply.choices[0].message.content.endswith("🌍 世界")


def test_tool_round_trip():
    request = ask("WEATHER ONE", tools=[SETTING["weather_tool"]])
    first = client().chat.completions.create(**request)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    second = client().chat.completions.create(**{**request, "messages": [*request["messages"], message, result]})
    assert second.choices[0].message.content == "Sunny in Paris."


def test_parallel_tools_streamed():
    calls = {}
    for chunk in client().chat.completions.create(**ask("WEATHER TWO", tools=[SETTING["weather_tool"]], stream=True)):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
    assert [json.loads(calls[index])["city"] for index in sorted(calls)] == ["Paris", "Rome"]


def test_json_schema():
    reply = client().chat.completions.parse(**ask("PERSON", response_format=SETTING["person_format"]))
    assert json.loads(reply.choices[0].message.content) == SETTING["person"]


def test_image():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    request = ask("IMAGE")
    text = {"type": "text", "text": request["messages"][0]["content"]}
    request["messages"][0]["content"] = [text, image]
    reply = client().chat.completions.create(**request)
    assert reply.choices[0].message.content == "A small square."


def test_models():
    ids = [model.id for model in client().models.list()]
    assert MODEL in ids and "millrace/echo" in ids


def test_cancel_in_the_middle():
    stream = client().chat.completions.create(**ask("LONG", stream=True))
    generation = next(iter(stream)).id
    stream.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            record = client().get(f"/generation?id={generation}", cast_to=object)
            break
        except openai.NotFoundError:
            assert time.monotonic() < deadline, "no record of the cancelled reply"
            time.sleep(0.02)
    assert record["data"]["cancelled"] is True


def test_each_error_is_the_sdks_own():
    good, poor, wrong = client(), client(SETTING["poor_key"]), client("sk-mr-v1-wrong")
    table = [
        (openai.BadRequestError, 400, lambda: good.chat.completions.create(**{**ask("CHAT"), "model": "nobody/nothing"})),
        (openai.BadRequestError, 400, lambda: good.chat.completions.create(**ask("ERR400"))),
        (openai.AuthenticationError, 401, lambda: wrong.chat.completions.create(**ask("CHAT"))),
        (openai.APIStatusError, 402, lambda: poor.chat.completions.create(**ask("CHAT"))),
        (openai.PermissionDeniedError, 403, lambda: good.get("/credits", cast_to=object)),
        (openai.NotFoundError, 404, lambda: good.get("/nope", cast_to=object)),
        (openai.RateLimitError, 429, lambda: good.chat.completions.create(**ask("ERR429"))),
        (openai.RateLimitError, 429, lambda: good.chat.completions.create(**ask("ERR429", stream=True))),
        (openai.InternalServerError, 502, lambda: good.chat.completions.create(**ask("ERR500"))),
        (openai.InternalServerError, 503, lambda: good.chat.completions.create(**ask("ERR503"))),
    ]
    for kind, status, action in table:
        try:
            action()
        except openai.APIStatusError as error:
            assert isinstance(error, kind) and error.status_code == status, f"{status}: {error!r}"
        else:
            raise AssertionError(f"{status}: no error")


def test_twenty_at_once():
    async def all_of_them():
        own = client(kind=openai.AsyncOpenAI)
        return await asyncio.gather(*(own.chat.completions.create(**ask("CHAT")) for _ in range(20)))

    replies = asyncio.run(all_of_them())
    assert len({reply.id for reply in replies}) == 20
    return sum(cost_of(reply) for reply in replies)


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    for name, test in tests:
        error, cost = None, None
        try:
            cost = test()
        except Exception:
            error = traceback.format_exc()
        readable = name.removeprefix("test_").replace("_", " ")
        print(json.dumps({"name": readable, "error": error, "cost": f"{cost or 0:f}"}), flush=True)


main()
