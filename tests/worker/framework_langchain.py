"""The tests of LangChain: its OpenAI chat model and its OpenRouter one, on every wire."""

from functools import cache

import openai
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_openrouter import ChatOpenRouter
from pydantic import BaseModel

from suite import SETTING, raises, run

MODELS, USAGE = SETTING["models"], SETTING["usage"]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city"""
    return "sunny"


# To make a client takes longer than to ask it.
@cache
def open_ai(wire, key=SETTING["key"], **more):
    return ChatOpenAI(model=MODELS[wire], api_key=key, base_url=SETTING["base_url"], max_retries=0, **more)


@cache
def open_router(wire, key=SETTING["key"], **more):
    return ChatOpenRouter(model=MODELS[wire], api_key=key, base_url=SETTING["base_url"], max_retries=0, **more)


def prompt(content):
    return f"{SETTING['prompt']} {content}"


def on_every_wire(check, *makers):
    def test():
        for wire in MODELS:
            for make in makers or (open_ai, open_router):
                try:
                    check(wire, make)
                except Exception as error:
                    raise AssertionError(f"{wire}, {make.__name__}: {error!r}") from error

    return test


def check_usage(reply):
    usage = reply.usage_metadata
    assert usage["input_tokens"] == USAGE["prompt_tokens"], usage
    assert usage["output_tokens"] == USAGE["completion_tokens"], usage


def check_paid(wire, make):
    reply = make(wire, SETTING["payer_key"]).invoke(prompt("CHAT"))
    assert reply.content.endswith("🌍 世界")
    check_usage(reply)


def check_stream(wire, make):
    whole = AIMessageChunk(content="")
    for chunk in make(wire, stream_usage=True).stream(prompt("CHAT")):
        whole += chunk
    assert whole.text.endswith("🌍 世界"), whole
    check_usage(whole)


def check_tool_round_trip(wire, make):
    model = make(wire).bind_tools([get_weather])
    question = HumanMessage(prompt("WEATHER ONE"))
    answer = model.invoke([question])
    [call] = answer.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Paris"})
    result = ToolMessage("sunny", tool_call_id=call["id"])
    assert model.invoke([question, answer, result]).text == "Sunny in Paris."


def check_parallel_tools_streamed(wire, make):
    whole = AIMessageChunk(content="")
    for chunk in make(wire).bind_tools([get_weather]).stream(prompt("WEATHER TWO")):
        whole += chunk
    assert [call["args"]["city"] for call in whole.tool_calls] == ["Paris", "Rome"], whole


def check_structured_output(wire, make):
    model = make(wire).with_structured_output(Person, method="json_schema")
    assert model.invoke(prompt("PERSON")) == Person(name="Ada", age=36)


def check_responses(wire, make):
    reply = make(wire, use_responses_api=True).invoke(prompt("CHAT"))
    assert reply.text.endswith("🌍 世界"), reply
    check_usage(reply)


def check_reasoning(wire, _):
    model = ChatOpenRouter(
        model=MODELS[wire],
        api_key=SETTING["key"],
        base_url=SETTING["base_url"],
        reasoning={"max_tokens": 2000},
    )
    reply = model.invoke(prompt("THINK"))
    assert "by seven." in repr(reply.additional_kwargs) + repr(reply.content_blocks), reply


test_a_reply_with_exact_usage = on_every_wire(check_paid, open_ai)
test_a_stream = on_every_wire(check_stream)
test_a_tool_round_trip = on_every_wire(check_tool_round_trip)
test_parallel_tools_streamed = on_every_wire(check_parallel_tools_streamed)
test_structured_output = on_every_wire(check_structured_output)
test_responses = on_every_wire(check_responses, open_ai)
test_reasoning = on_every_wire(check_reasoning, open_router)


def test_the_openrouter_model_answers():
    for wire in MODELS:
        check_usage(open_router(wire).invoke(prompt("CHAT")))


def test_embeddings():
    embedder = OpenAIEmbeddings(
        model=SETTING["embedder"],
        api_key=SETTING["key"],
        base_url=SETTING["base_url"],
        check_embedding_ctx_length=False,
    )
    assert embedder.embed_documents([prompt("one"), prompt("two")]) == [SETTING["vector"]] * 2


def test_errors():
    raises(openai.AuthenticationError, lambda: open_ai("openai", "sk-mr-v1-wrong").invoke(prompt("CHAT")), status_code=401)
    raises(openai.APIStatusError, lambda: open_ai("openai", SETTING["poor_key"]).invoke(prompt("CHAT")), status_code=402)
    for wire in MODELS:
        raises(openai.RateLimitError, lambda: open_ai(wire).invoke(prompt("ERR429")), status_code=429)
        raises(openai.InternalServerError, lambda: open_ai(wire).invoke(prompt("ERR500")), status_code=502)
        raises(Exception, lambda: open_router(wire).invoke(prompt("ERR429")), status_code=429)


run(globals())
