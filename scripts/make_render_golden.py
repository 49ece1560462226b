#!/usr/bin/env python3
"""Writes the small tokenizers and the expectations that crates/data's rendering tests compare with.

Expectations come from Hugging Face transformers. Of templates and tokenizers outside the project only digests and
token ids are kept, never their text.

    pip install transformers==5.23.0 jinja2
    python scripts/make_render_golden.py [--shared ../shared]
"""

import argparse
import datetime
import hashlib
import json
import pathlib

import tokenizers
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ROOT / "crates" / "data" / "tests"
CLOCK = datetime.datetime(2024, 7, 26, 9, 5, 0)

TEXT = """The assistant answers the user. A tool returns the weather of the town, and the user asks again.
You are a helpful assistant. What is the weather in Paris today? It is sunny and warm, with a light wind.
Call the tool with the arguments it needs: {"name": "weather", "arguments": {"city": "Paris"}}.
First think about the question, then answer it in one short sentence. User: Hello! Assistant: Hi there.
assistant
user
system
""" * 4

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Current weather of a \"city\" <now>",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "enum": [1, 2]}},
            "required": ["city"],
        },
    },
}
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
HELLO = [{"role": "user", "content": "Hello, who are you?"}, {"role": "assistant", "content": "I am an assistant."}]
PARIS = [
    {"role": "user", "content": " What is the weather in Paris? 1 + 2 = 3; naïve café 你好 🙂\n\tif x:\n"},
    {"role": "assistant", "content": "It is sunny.\n\nAnd warm "},
]
CALL = {"type": "function", "id": "abcdef123", "function": {"name": "weather", "arguments": {"city": "Paris", "days": 2}}}
TOOLS = [
    {"role": "user", "content": "Weather in Paris?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "name": "weather", "tool_call_id": "abcdef123", "content": "{\"sky\": \"clear\"}"},
    {"role": "assistant", "content": "Clear sky."},
]
THOUGHTS = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "<think>\nOne it is.\n</think>\n\nOne."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "<think>\nTwo it is.\n</think>\n\nTwo."},
]
CONVERSATIONS = {
    "plain": {"messages": HELLO},
    "three_turns": {"messages": HELLO + PARIS[:1]},
    "multi_turn": {"messages": HELLO + PARIS},
    "system": {"messages": [SYSTEM] + HELLO + PARIS},
    "tools": {"messages": TOOLS, "tools": [WEATHER]},
    "thoughts": {"messages": THOUGHTS},
}
LITERALS = "Say <|im_end|>, </s> or <s>; [INST]<|eot_id|><|end|><|endoftext|> <unk> and stop\n"


def byte_tokenizer():
    """A byte-level BPE with ChatML's tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=256 + len(special) + 160,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in ["<tool_call>", "</tool_call>"]])
    return tokenizer


def piece_tokenizer():
    """A BPE in the manner of SentencePiece: a space first, bytes for what is unknown, `<s>` before a text."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special + [f"<0x{i:02X}>" for i in range(256)], show_progress=False)
    words = TEXT.replace("\n", " ").split(" ")
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] in special]
    return Tokenizer.from_str(json.dumps(content))


def write_json(path, value, indent=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def write_fixtures():
    fixtures = TESTS / "fixtures"
    chatml = (fixtures / "templates" / "chatml.jinja").read_text(encoding="utf-8")
    for name, tokenizer, config in [
        ("tiny-bytes", byte_tokenizer(), {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>"},
                                          "chat_template": chatml}),
        ("tiny-pieces", piece_tokenizer(), {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}),
    ]:
        write_json(fixtures / name / "tokenizer.json", json.loads(tokenizer.to_str()))
        write_json(fixtures / name / "tokenizer_config.json", config | {"tokenizer_class": "PreTrainedTokenizerFast"}, 2)


def load(folder, **names):
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **names)


def render(tokenizer, template, row, prompt):
    """The rendering, or None where the template refuses the row."""
    try:
        return tokenizer.apply_chat_template(
            row["messages"], tools=row.get("tools"), chat_template=template, add_generation_prompt=prompt, tokenize=False
        )
    except Exception:
        return None


def renderings(tokenizer, template):
    found = {}
    for name, row in CONVERSATIONS.items():
        for prompt in [False, True]:
            found[name + ("+prompt" if prompt else "")] = render(tokenizer, template, row, prompt)
    return found


def digest(text):
    return None if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()


def shared_templates(shared):
    """Templates outside the project by path, with the special tokens they are rendered with."""
    for path in sorted(shared.glob("chat_templates/*/*.jinja")) + sorted(shared.glob("tokenizers/*/chat_template.jinja")):
        yield str(path.relative_to(shared)), path.read_text(encoding="utf-8")
    for path in sorted(shared.glob("tokenizers/*/tokenizer_config.json")):
        template = json.loads(path.read_text(encoding="utf-8")).get("chat_template")
        if isinstance(template, str):
            yield str(path.relative_to(shared)), template


def runs(mask):
    """The ranges of ones."""
    found = []
    for place, one in enumerate(mask):
        if one and found and found[-1][1] == place:
            found[-1][1] = place + 1
        elif one:
            found.append([place, place + 1])
    return found


def ids_of(tokenizer, template, name, prompt=False):
    row = CONVERSATIONS[name]
    return tokenizer.apply_chat_template(
        row["messages"], tools=row.get("tools"), chat_template=template, add_generation_prompt=prompt, return_dict=False
    )


def shared_tokenizers(shared):
    folder = shared / "tokenizers"
    own = {path.stem: path.read_text(encoding="utf-8") for path in (TESTS / "fixtures" / "templates").glob("*.jinja")}
    chujiezheng = shared / "chat_templates" / "chujiezheng"
    outside = lambda path: path.read_text(encoding="utf-8")
    cases = {
        "smollm2-135m-instruct": ("own:chatml", own["chatml"]),
        "qwen2.5": ("model", json.loads(outside(folder / "qwen2.5" / "tokenizer_config.json"))["chat_template"]),
        "phi-3-mini": ("model", json.loads(outside(folder / "phi-3-mini" / "tokenizer_config.json"))["chat_template"]),
        "gpt2": ("own:unended", own["unended"]),
        "mistral-v3": ("own:chatml", own["chatml"]),
        "llama3": ("shared:chat_templates/chujiezheng/llama-3-instruct.jinja", outside(chujiezheng / "llama-3-instruct.jinja")),
    }
    found = {}
    for name, (source, template) in cases.items():
        config = folder / name / "tokenizer_config.json"
        config = json.loads(outside(config)) if config.exists() else {}
        names = {key: config[key] for key in ["bos_token", "eos_token", "pad_token", "unk_token"] if config.get(key)}
        tokenizer = load(folder / name, **names)
        found[name] = {
            "template": source,
            "conversations": {row: ids_of(tokenizer, template, row) for row in ["multi_turn", "system"]},
            "literals": tokenizer.encode(LITERALS, add_special_tokens=False, split_special_tokens=True),
            "text": tokenizer.encode("A plain text.\n"),
        }
    return found


def smollm3_masks(shared):
    tokenizer = load(shared / "tokenizers" / "smollm2-135m-instruct")
    template = (shared / "tokenizers" / "smollm3" / "chat_template.jinja").read_text(encoding="utf-8")
    found = {}
    for name in ["plain", "multi_turn", "system"]:
        out = tokenizer.apply_chat_template(
            CONVERSATIONS[name]["messages"], chat_template=template, return_dict=True, return_assistant_tokens_mask=True
        )
        found[name] = {"tokens": len(out["input_ids"]), "assistant": runs(out["assistant_masks"])}
    return found


def own_expectations():
    fixtures = TESTS / "fixtures"
    tokenizer = load(fixtures / "tiny-bytes", eos_token="<|im_end|>", pad_token="<|endoftext|>")
    found = {}
    for path in sorted((fixtures / "templates").glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        texts = renderings(tokenizer, template)
        encode = lambda text: None if text is None else tokenizer.encode(text, add_special_tokens=False)
        found[path.stem] = {name: {"text": text, "ids": encode(text)} for name, text in texts.items()}
    pieces = load(fixtures / "tiny-pieces", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    plain = {
        "tiny-bytes": tokenizer.encode(LITERALS, add_special_tokens=False, split_special_tokens=True),
        "tiny-pieces": pieces.encode(LITERALS, add_special_tokens=False, split_special_tokens=True),
    }
    return {"templates": found, "literals": plain, "text": {"tiny-bytes": tokenizer.encode("Hi there."), "tiny-pieces": pieces.encode("Hi there.")}}


class FixedClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return CLOCK


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared")
    shared = parser.parse_args().shared
    chat_template_utils.datetime = FixedClock
    write_fixtures()
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    rows = {"conversations": CONVERSATIONS, "literals": LITERALS, "clock": CLOCK.isoformat(), "made_with": versions}
    write_json(TESTS / "golden" / "rows.json", rows, 1)
    write_json(TESTS / "golden" / "own.json", own_expectations())
    if not shared.is_dir():
        print(f"{shared} is absent: expectations for templates and tokenizers outside the project stay as they are")
        return
    tokenizer = load(TESTS / "fixtures" / "tiny-pieces", bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    found = {}
    for path, template in shared_templates(shared):
        found[path] = {name: digest(text) for name, text in renderings(tokenizer, template).items()}
    write_json(TESTS / "golden" / "templates.json", found, 1)
    write_json(TESTS / "golden" / "tokenizers.json", {"tokenizers": shared_tokenizers(shared), "smollm3": smollm3_masks(shared)})


if __name__ == "__main__":
    main()
