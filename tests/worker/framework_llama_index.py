"""The tests of LlamaIndex's embeddings with default settings."""

from llama_index.embeddings.openai import OpenAIEmbedding

from suite import SETTING, run


def embedder(key=SETTING["key"]):
    return OpenAIEmbedding(model_name=SETTING["embedder"], api_key=key, api_base=SETTING["base_url"])


def prompt(content):
    return f"{SETTING['prompt']} {content}"


def test_a_query():
    assert embedder(SETTING["payer_key"]).get_query_embedding(prompt("one")) == SETTING["vector"]


def test_a_batch_of_texts():
    texts = [prompt(f"text {number}") for number in range(5)]
    assert embedder().get_text_embedding_batch(texts) == [SETTING["vector"]] * 5


run(globals())
