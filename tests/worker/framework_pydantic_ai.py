"""The tests of pydantic-ai: its four model classes, on every wire."""

from functools import cache

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.models.openrouter import OpenRouterModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openrouter import OpenRouterProvider

from suite import SETTING, raises, run

MODELS, USAGE = SETTING["models"], SETTING["usage"]


class Person(BaseModel):
    name: str
    age: int


# To make a client takes longer than to ask it.
@cache
def open_ai_client(key):
    return AsyncOpenAI(api_key=key, base_url=SETTING["base_url"], max_retries=0)


def chat(wire, key=SETTING["key"]):
    return OpenAIChatModel(MODELS[wire], provider=OpenAIProvider(openai_client=open_ai_client(key)))


def responses(wire, key=SETTING["key"]):
    return OpenAIResponsesModel(MODELS[wire], provider=OpenAIProvider(openai_client=open_ai_client(key)))


def open_router(wire, key=SETTING["key"]):
    return OpenRouterModel(MODELS[wire], provider=OpenRouterProvider(openai_client=open_ai_client(key)))


@cache
def anthropic_client(key):
    return AsyncAnthropic(api_key=key, base_url=f"{SETTING['root']}/api", max_retries=0)


def messages(wire, key=SETTING["key"]):
    return AnthropicModel(MODELS[wire], provider=AnthropicProvider(anthropic_client=anthropic_client(key)))


def prompt(content):
    return f"{SETTING['prompt']} {content}"


def on_every_wire(check, *makers):
    def test():
        for wire in MODELS:
            for make in makers or (chat, responses, open_router, messages):
                try:
                    check(wire, make)
                except Exception as error:
                    raise AssertionError(f"{wire}, {make.__name__}: {error!r}") from error

    return test


def check_paid(wire, make):
    result = Agent(make(wire, SETTING["payer_key"])).run_sync(prompt("CHAT"))
    assert result.output.endswith("🌍 世界")


def check_usage(wire, make):
    result = Agent(make(wire)).run_sync(prompt("CHAT"))
    assert result.output.endswith("🌍 世界")
    assert result.usage.input_tokens == USAGE["prompt_tokens"], result.usage
    assert result.usage.output_tokens == USAGE["completion_tokens"], result.usage


def check_stream(wire, make):
    result = Agent(make(wire)).run_stream_sync(prompt("CHAT"))
    assert list(result.stream_text())[-1].endswith("🌍 世界")


def check_tools(wire, make):
    agent, cities = Agent(make(wire)), []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city"""
        cities.append(city)
        return "sunny"

    assert agent.run_sync(prompt("WEATHER ONE")).output == "Sunny in Paris."
    assert cities == ["Paris"]


def check_output(wire, make):
    result = Agent(make(wire), output_type=NativeOutput(Person)).run_sync(prompt("PERSON"))
    assert result.output == Person(name="Ada", age=36)


test_a_reply = on_every_wire(check_paid, chat)
test_exact_usage = on_every_wire(check_usage)
test_a_stream = on_every_wire(check_stream)
test_tools_go_round = on_every_wire(check_tools)
# It knows of its OpenRouter model which authors have schemas, and asks nobody else for one.
test_a_schema_is_obeyed = on_every_wire(check_output, chat, responses)


def test_errors():
    for make in (chat, responses, open_router, messages):
        raises(ModelHTTPError, lambda: Agent(make("openai", "sk-mr-v1-wrong")).run_sync(prompt("CHAT")), status_code=401)
        raises(ModelHTTPError, lambda: Agent(make("openai", SETTING["poor_key"])).run_sync(prompt("CHAT")), status_code=402)
        for wire in MODELS:
            raises(ModelHTTPError, lambda: Agent(make(wire)).run_sync(prompt("ERR429")), status_code=429)
            raises(ModelHTTPError, lambda: Agent(make(wire)).run_sync(prompt("ERR500")), status_code=502)


run(globals())
