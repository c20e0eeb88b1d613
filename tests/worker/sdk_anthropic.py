"""The tests of Anthropic's SDK for Python, on every wire that a message can be sent over."""

import asyncio
from decimal import Decimal
from functools import cache

import anthropic

from suite import SETTING, raises, run

MODELS, USAGE = SETTING["models"], SETTING["usage"]
TOOL = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


# To make a client takes longer than to ask it.
@cache
def client(key=SETTING["key"], kind=anthropic.Anthropic):
    return kind(api_key=key, base_url=SETTING["base_url"], max_retries=0)


def said(content):
    return {"role": "user", "content": f"{SETTING['prompt']} {content}"}


def ask(wire, content, **more):
    return {"model": MODELS[wire], "max_tokens": 4000, "messages": [said(content)], **more}


def streamed(**request):
    with client().messages.stream(**request) as stream:
        return stream.get_final_message()


def on_every_wire(check):
    def test():
        for wire in MODELS:
            for send in (client().messages.create, streamed):
                try:
                    check(wire, send)
                except Exception as error:
                    raise AssertionError(f"{wire}, {send.__name__}: {error!r}") from error

    return test


def check_message(wire, send):
    reply = send(**ask(wire, "CHAT"))
    assert reply.content[0].text.endswith("🌍 世界"), reply
    assert reply.stop_reason == "end_turn"
    assert reply.model == MODELS[wire]
    assert reply.usage.input_tokens == USAGE["prompt_tokens"], reply.usage
    assert reply.usage.output_tokens == USAGE["completion_tokens"], reply.usage
    # The SDK keeps no member of a stream's usage that it does not know.
    if send is not streamed:
        assert Decimal(repr(reply.usage.model_extra["cost"])) == Decimal(SETTING["costs"][wire]), reply.usage


def check_tool_round_trip(wire, send):
    request = ask(wire, "WEATHER ONE", tools=[TOOL])
    first = send(**request)
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Paris"})
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
    answer = {"role": "assistant", "content": first.content}
    second = send(**{**request, "messages": [*request["messages"], answer, result]})
    assert second.content[0].text == "Sunny in Paris."


def check_parallel_tools(wire, send):
    reply = send(**ask(wire, "WEATHER TWO", tools=[TOOL]))
    calls = [block for block in reply.content if block.type == "tool_use"]
    assert [call.input["city"] for call in calls] == ["Paris", "Rome"]
    assert len({call.id for call in calls}) == 2


test_a_message_with_exact_usage_and_cost = on_every_wire(check_message)
test_a_tool_round_trip = on_every_wire(check_tool_round_trip)
test_parallel_tools = on_every_wire(check_parallel_tools)


def test_the_events_of_a_stream_are_in_order():
    for wire in MODELS:
        events = [event.type for event in client().messages.create(**ask(wire, "CHAT", stream=True))]
        kept = [kind for kind in events if kind not in ("ping", "content_block_delta")]
        assert kept == [
            "message_start",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ], (wire, events)


def test_thinking_keeps_its_signature():
    for send in (client().messages.create, streamed):
        request = ask("anthropic", "THINK", **THINKING)
        reply = send(**request)
        assert [block.type for block in reply.content] == ["thinking", "text"], reply
        assert reply.content[0].signature == SETTING["signature"]
        answer = {"role": "assistant", "content": reply.content}
        send(**{**request, "messages": [*request["messages"], answer, said("CHAT")]})


def test_tokens_are_counted():
    count = client().messages.count_tokens(model=MODELS["anthropic"], messages=[said("CHAT")], tools=[TOOL])
    assert count.input_tokens > 10


def test_a_bearer_is_as_good_as_an_x_api_key():
    bearer = anthropic.Anthropic(auth_token=SETTING["key"], base_url=SETTING["base_url"], max_retries=0)
    assert bearer.messages.create(**ask("anthropic", "CHAT")).type == "message"


def test_models():
    assert MODELS["anthropic"] in [model.id for model in client().models.list()]


def test_each_error_is_the_sdks_own():
    good = client()
    for more in ({}, {"stream": True}):
        create = lambda who, wire, content: lambda: who.messages.create(**ask(wire, content, **more))
        unknown = lambda: good.messages.create(**{**ask("anthropic", "CHAT", **more), "model": "nobody/nothing"})
        raises(anthropic.BadRequestError, unknown, status_code=400)
        raises(anthropic.AuthenticationError, create(client("sk-mr-v1-wrong"), "anthropic", "CHAT"), status_code=401)
        raises(anthropic.PaymentRequiredError, create(client(SETTING["poor_key"]), "anthropic", "CHAT"), status_code=402)
        for wire in MODELS:
            raises(anthropic.BadRequestError, create(good, wire, "ERR400"), status_code=400)
            raises(anthropic.RateLimitError, create(good, wire, "ERR429"), status_code=429)
            raises(anthropic.InternalServerError, create(good, wire, "ERR500"), status_code=502)
            raises(anthropic.InternalServerError, create(good, wire, "ERR503"), status_code=[503, 529])


def test_twenty_at_once():
    async def all_of_them():
        own = client(kind=anthropic.AsyncAnthropic)
        return await asyncio.gather(*(own.messages.create(**ask("openai", "CHAT")) for _ in range(20)))

    assert len({reply.id for reply in asyncio.run(all_of_them())}) == 20


run(globals())
