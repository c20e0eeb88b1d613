"""The tests of OpenAI's SDK for Python beyond Chat Completions, on every wire."""

from decimal import Decimal
from functools import cache

import openai
from pydantic import BaseModel

from suite import SETTING, raises, run

MODELS, USAGE = SETTING["models"], SETTING["usage"]
TOOL = {"type": "function", "strict": None, **SETTING["weather_tool"]["function"]}


class Person(BaseModel):
    name: str
    age: int


# To make a client takes longer than to ask it.
@cache
def client(key=SETTING["key"]):
    return openai.OpenAI(api_key=key, base_url=SETTING["base_url"], max_retries=0)


def prompt(content):
    return f"{SETTING['prompt']} {content}"


def ask(wire, content, **more):
    return {"model": MODELS[wire], "input": prompt(content), "store": False, **more}


def streamed(**request):
    with client().responses.stream(**request) as stream:
        return stream.get_final_response()


def on_every_wire(check):
    def test():
        for wire in MODELS:
            for send in (client().responses.create, streamed):
                try:
                    check(wire, send)
                except Exception as error:
                    raise AssertionError(f"{wire}, {send.__name__}: {error!r}") from error

    return test


def check_response(wire, send):
    reply = send(**ask(wire, "CHAT"))
    assert reply.output_text.endswith("🌍 世界"), reply
    assert reply.status == "completed"
    assert reply.model == MODELS[wire]
    assert reply.usage.input_tokens == USAGE["prompt_tokens"], reply.usage
    assert reply.usage.output_tokens == USAGE["completion_tokens"], reply.usage
    assert Decimal(repr(reply.usage.model_extra["cost"])) == Decimal(SETTING["costs"][wire]), reply.usage


def check_tool_round_trip(wire, send):
    request = ask(wire, "WEATHER ONE", tools=[TOOL])
    first = send(**request)
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, call.arguments.replace(" ", "")) == ("get_weather", '{"city":"Paris"}')
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    question = {"role": "user", "content": request["input"]}
    output = [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in first.output]
    second = send(**{**request, "input": [question, *output, result]})
    assert second.output_text == "Sunny in Paris."


def check_parallel_tools(wire, send):
    reply = send(**ask(wire, "WEATHER TWO", tools=[TOOL]))
    calls = [item for item in reply.output if item.type == "function_call"]
    assert ["Paris" in call.arguments for call in calls] == [True, False]
    assert len({call.call_id for call in calls}) == 2


test_a_response_with_exact_usage_and_cost = on_every_wire(check_response)
test_a_tool_round_trip = on_every_wire(check_tool_round_trip)
test_parallel_tools = on_every_wire(check_parallel_tools)


def test_the_events_of_a_stream_are_numbered():
    for wire in MODELS:
        events = list(client().responses.create(**ask(wire, "CHAT", stream=True)))
        assert [event.sequence_number for event in events] == list(range(len(events))), wire
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed"), wire


def test_a_schema_is_obeyed_and_parsed():
    for wire in MODELS:
        reply = client().responses.parse(**ask(wire, "PERSON"), text_format=Person)
        assert reply.output_parsed == Person(name="Ada", age=36), (wire, reply)


def test_legacy_completions():
    for wire, model in MODELS.items():
        request = {"model": model, "prompt": prompt("CHAT"), "max_tokens": 500}
        reply = client().completions.create(**request)
        assert reply.choices[0].text.endswith("🌍 世界"), wire
        assert reply.usage.completion_tokens == USAGE["completion_tokens"]
        chunks = client().completions.create(**request, stream=True)
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
        assert text == reply.choices[0].text, wire


def test_embeddings_in_the_encoding_that_the_sdk_asks_for():
    for more in ({}, {"encoding_format": "float"}):
        reply = client().embeddings.create(model=SETTING["embedder"], input=[prompt("one"), prompt("two")], **more)
        assert [item.embedding for item in reply.data] == [SETTING["vector"]] * 2, reply
        assert reply.usage.prompt_tokens == SETTING["embedding_usage"]["prompt_tokens"]


def test_each_error_is_the_sdks_own():
    good = client()
    for more in ({}, {"stream": True}):
        create = lambda who, wire, content: lambda: who.responses.create(**ask(wire, content, **more))
        unknown = lambda: good.responses.create(**{**ask("openai", "CHAT", **more), "model": "nobody/nothing"})
        raises(openai.BadRequestError, unknown, status_code=400)
        raises(openai.AuthenticationError, create(client("sk-mr-v1-wrong"), "openai", "CHAT"), status_code=401)
        raises(openai.APIStatusError, create(client(SETTING["poor_key"]), "openai", "CHAT"), status_code=402)
        for wire in MODELS:
            raises(openai.BadRequestError, create(good, wire, "ERR400"), status_code=400)
            raises(openai.RateLimitError, create(good, wire, "ERR429"), status_code=429)
            raises(openai.InternalServerError, create(good, wire, "ERR500"), status_code=502)
            raises(openai.InternalServerError, create(good, wire, "ERR503"), status_code=503)


run(globals())
