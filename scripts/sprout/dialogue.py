"""Plain rows: windows of support dialogues, short tasks with their answers, and passages to go on with."""

import re

import words
from episodes import row_size, turn
from pools import read_rows

AGENTS = ["You are a helpful support agent.", "You are a travel agent.", "You are a friendly assistant.",
          "You help guests to find hotels and restaurants.", "You are an agent of a booking office.",
          "You work at the tourist information of Cambridge.", "Be polite and brief.", "Help the customer.",
          "You are {name}, a booking agent.",
          "You answer for {brand}, a travel agency.", "Answer the customer's last message."]  # fmt: skip
TASK_PROMPTS = ["You are a helpful assistant.", "Do the task.", "Solve the problem.", "Answer the question.",
                "Follow the instruction.", "Think step by step."]  # fmt: skip
CONTINUE = ["Continue: {}", "Continue the text: {}", "Go on with this passage:\n{}", "What comes next?\n{}",
            "Complete the text.\n\n{}", "Write the next lines.\n{}"]  # fmt: skip
LONGEST_TASK = 600
# Seed tasks about groups of people, insults and private data are no school for a model that is handed out, and song
# texts have owners.
UNFIT = re.compile(r"stereotyp|toxic|fuck|bastard|stupid|gender|religio|asian|redhead|racis|sexual|ssn"
                   r"|passive-aggressive|ethical|spam|suicid|kill|lyrics", re.IGNORECASE)  # fmt: skip


def read_dialogues(data):
    """Returns the support dialogues' turns; each begins with the user's."""
    rows = read_rows(data / "support_dialogues" / "train.jsonl")
    return [row["messages"] for row in rows if len(row["messages"]) > 1]


def read_replies(data):
    """Returns the dialogues whose system turn holds what guests say and whose last answer uses it."""
    return [row["messages"] for row in read_rows(data / "support_replies" / "train.jsonl")]


def read_seed_tasks(data):
    """Returns the short seed tasks as a question and its answer."""
    tasks = []
    for row in read_rows(data / "seed_tasks" / "alpaca_format.jsonl"):
        question = "\n".join(part for part in (row["instruction"], row["input"]) if part)
        is_plain = (question + row["output"]).isascii() and not UNFIT.search(question + row["output"])
        if is_plain and row["output"] and len(question) + len(row["output"]) <= LONGEST_TASK:
            tasks.append((question, row["output"]))
    return tasks


def read_problems(data):
    """Returns the short word problems, without the marks that ask a calculator."""
    problems = []
    for row in read_rows(data / "gsm8k" / "train.jsonl"):
        question, answer = (message["content"] for message in row["messages"])
        answer = re.sub(r"<<[^>]*>>", "", answer)
        if len(question) + len(answer) <= LONGEST_TASK:
            problems.append((question, answer))
    return problems


def read_passages(data):
    """Returns the plain text's paragraphs."""
    return (data / "plain_text" / "input.txt").read_text(encoding="utf-8").split("\n\n")


class Conversations:
    """What plain rows are made of."""

    def __init__(self, data):
        self.dialogues = read_dialogues(data)
        self.replies = read_replies(data)
        self.seed_tasks = read_seed_tasks(data)
        self.problems = read_problems(data)
        self.passages = read_passages(data)


def name_agent(random):
    """Returns a system prompt for a support dialogue."""
    return random.choice(AGENTS).format(name=words.first_name(random), brand=words.brand(random))


def draw_dialogue(random, conversations, rendering):
    """Returns a window of a support dialogue of at most four answers, or a reply with the facts behind it."""
    has_facts = random.random() < 0.35
    messages = random.choice(conversations.replies if has_facts else conversations.dialogues)
    head = [message for message in messages if message["role"] == "system"]
    turns = [message for message in messages if message["role"] != "system"]
    ends = [place + 1 for place, message in enumerate(turns) if message["role"] == "assistant"]
    end = len(turns) if has_facts else random.choice(ends)
    answers = random.choice((1, 2, 2, 3, 4))
    window = turns[max(0, end - 2 * answers):end]
    if not has_facts and random.random() < 0.6:
        head = [turn("system", name_agent(random))]
    window = [turn(message["role"], " ".join(message["content"].split())) for message in window]
    messages = head + window
    is_right = all(message["content"] for message in messages) and window[0]["role"] == "user"
    if not is_right or row_size(messages) > rendering.max_characters:
        return None
    return {"messages": messages, "kind": "dialogue"}


def draw_task(random, conversations, rendering):
    """Returns a short task or word problem and its answer."""
    question, answer = random.choice(conversations.seed_tasks if random.random() < 0.35 else conversations.problems)
    messages = [turn("user", question), turn("assistant", answer)]
    if random.random() < 0.4:
        messages.insert(0, turn("system", random.choice(TASK_PROMPTS)))
    return {"messages": messages, "kind": "tasks"} if row_size(messages) <= rendering.max_characters else None


def draw_passage(random, conversations, rendering):
    """Returns the beginning of a passage and how it goes on, each of one to three paragraphs."""
    place = random.randrange(len(conversations.passages) - 6)
    length = random.choice((1, 2, 3))
    shown = "\n\n".join(conversations.passages[place:place + length])
    following = conversations.passages[place + length]
    if not 20 <= len(following) <= 320 or len(shown) > 700:
        return None
    messages = [turn("user", random.choice(CONTINUE).format(shown)), turn("assistant", following)]
    return {"messages": messages, "kind": "plain_text"} if row_size(messages) <= rendering.max_characters else None
