"""Classification episodes: answered messages, then a question that only they, or the label list, can answer."""

import dataclasses
import re

import labels
import prompts

COUNTS = {4: 0.12, 8: 0.22, 12: 0.22, 16: 0.38, 20: 0.06}
MOST_LABELS = 10
TURN_COST = 12  # what a turn's marks weigh, in characters
ANSWERABLE_ONLY_BY_LIST = 0.03

PREFIXES = ["hi, ", "hello, ", "please help, ", "hey there, ", "excuse me, ", "ok, ", "quick question: ", "sorry, ",
            "good morning, ", "i need help, ", "one more thing, ", "so "]  # fmt: skip
QUESTION_WORDS = ("what", "who", "how", "when", "where", "why", "which", "can", "could", "is", "are", "do", "does",
                  "will", "would", "am", "did", "should", "may")  # fmt: skip


@dataclasses.dataclass
class Episode:
    """Answered messages and a question, with what the prompt may say about them."""

    kind: str
    source: str
    thing: str
    naming: str
    demonstrations: list
    question: tuple
    listed: list = dataclasses.field(default_factory=list)
    described: dict = None


@dataclasses.dataclass(frozen=True)
class Rendering:
    """What holds for all rows of a file: the room, and whether unreadable first uses of a label are trained on."""

    max_characters: int
    trains_first_uses: bool = True


def turn(role, content, weight=None):
    """Returns a chat turn."""
    message = {"role": role, "content": content}
    return message if weight is None else {**message, "weight": weight}


def ask(messages, asked, random):
    """Puts what is asked for into a system message, or before the first message of the user."""
    if random.random() < 0.75:
        messages.insert(0, turn("system", asked))
    else:
        gap = random.choice(("\n", "\n\n", "\nMessage: "))
        messages[0] = turn("user", f"{asked}{gap}{messages[0]['content']}")


def row_size(messages):
    """Returns the room that turns take, in characters."""
    return sum(len(message["content"]) + TURN_COST for message in messages)


def vary(random, text):
    """Returns the text as another person would have typed it: mostly unchanged."""
    drawn = random.random()
    if drawn < 0.06:
        text = random.choice(PREFIXES) + text
    elif drawn < 0.10:
        text = mistype(random, text)
    drawn = random.random()
    if drawn < 0.10:
        return text.lower()
    if drawn < 0.30:
        text = re.sub(r"\bi\b", "I", text)
        text = text[0].upper() + text[1:]
        if text[-1].isalnum() and random.random() < 0.7:
            text += "?" if text.lower().startswith(QUESTION_WORDS) else "."
    return text


def mistype(random, text):
    """Returns the text with one letter dropped or two swapped."""
    place = random.randrange(max(1, len(text) - 1))
    if random.random() < 0.5:
        return (text[:place] + text[place + 1:]).strip() or text
    return (text[:place] + text[place + 1:place + 2] + text[place:place + 1] + text[place + 2:]).strip()


def draw_count(random):
    """Returns how many demonstrations an episode shows."""
    return random.choices(list(COUNTS), list(COUNTS.values()))[0]


def choose_nearest(random, pool, place, count):
    """Returns the question's nearest messages; where all have one label, some make way for others."""
    near = pool.nearest(place)
    chosen = near[:count]
    intents = {pool.messages[other].intent for other in chosen}
    if len(intents) > 1 or random.random() < 0.2:
        return chosen
    others = [other for other in near[count:] if pool.messages[other].intent not in intents]
    if not others:
        rest = [intent for intent in pool.intents if intent not in intents]
        others = [random.choice(pool.by_intent[random.choice(rest)]) for _ in range(count)]
    wanted = random.randint(max(1, count // 4), max(1, 2 * count // 3))
    return chosen[:count - wanted] + others[:wanted]


def choose_balanced(random, pool, place, count):
    """Returns near messages of a few labels in random proportions, so that the commonest label is often wrong."""
    own = pool.messages[place].intent
    near = pool.nearest(place)
    wanted = min(count, len(pool.intents), random.choices((2, 3, 4, 5, 6, 8, 10), (22, 24, 20, 13, 10, 7, 4))[0])
    met = [own] + [pool.messages[other].intent for other in near]
    met = list(dict.fromkeys(met))[:wanted]
    while len(met) < wanted:
        intent = random.choice(pool.intents)
        if intent not in met:
            met.append(intent)
    shares = met + [random.choice(met) for _ in range(count - wanted)]
    chosen = []
    for intent in met:
        candidates = [other for other in near if pool.messages[other].intent == intent]
        candidates += random.sample(pool.by_intent[intent], min(count, len(pool.by_intent[intent])))
        candidates = [other for other in dict.fromkeys(candidates) if other != place]
        chosen += candidates[:shares.count(intent)]
    return chosen


def choose_anywhere(random, pool, place, count):
    """Returns messages of a few labels that need not be near the question, as a user would pick them by hand."""
    own = pool.messages[place].intent
    others = [intent for intent in pool.intents if intent != own]
    met = [own] + random.sample(others, min(len(others), random.choice((1, 1, 2, 2, 3, 4, 6))))
    chosen = [random.choice(pool.by_intent[intent]) for intent in met]
    chosen += [random.choice(pool.by_intent[random.choice(met)]) for _ in range(count - len(met))]
    return [other for other in dict.fromkeys(chosen) if other != place]


def bring_answer(random, pool, place, chosen):
    """Returns the chosen messages, with one of the question's label among them and no more than ten labels."""
    own = pool.messages[place].intent
    kept = [own]
    for other in chosen:
        intent = pool.messages[other].intent
        if intent not in kept and len(kept) < MOST_LABELS:
            kept.append(intent)
    chosen = [other for other in chosen if pool.messages[other].intent in kept]
    if any(pool.messages[other].intent == own for other in chosen):
        return chosen
    same = [other for other in pool.nearest(place) if pool.messages[other].intent == own]
    same = same or [other for other in pool.by_intent[own] if other != place]
    return chosen[:-1] + [same[0] if random.random() < 0.7 else random.choice(same)]


def draw_places(random, pool, always_shown):
    """Returns a question's place, its demonstrations' in random order, and whether its label is among theirs."""
    while True:
        place = random.randrange(len(pool.messages))
        if len(pool.nearest(place)) < 4:
            continue
        choose = random.choices((choose_nearest, choose_balanced, choose_anywhere), (35, 45, 20))[0]
        chosen = choose(random, pool, place, draw_count(random))
        own = pool.messages[place].intent
        chosen = bring_answer(random, pool, place, chosen)
        random.shuffle(chosen)
        others = [other for other in chosen if pool.messages[other].intent != own]
        if not always_shown and len(others) >= 3 and random.random() < ANSWERABLE_ONLY_BY_LIST:
            return place, others, False
        return place, chosen, True


def draw_episode(random, material, kind="turns", naming=None):
    """Returns an episode of real messages."""
    pool = material.draw_pool(random)
    place, chosen, is_shown = draw_places(random, pool, naming is not None)
    intents = [pool.messages[other].intent for other in [place] + chosen]
    distractors = random.sample(pool.intents, min(len(pool.intents), random.choice((0, 0, 1, 2, 4))))
    shown = list(dict.fromkeys(intents + distractors))[:MOST_LABELS]
    if not is_shown:
        naming = random.choice(labels.MEANINGFUL)
    named = labels.choose_naming(random, {key: pool.words_of[key] for key in shown}, material.borrowable, naming)
    say = lambda index: (vary(random, pool.messages[index].text), named.names[pool.messages[index].intent])
    thing = prompts.choose_thing(random, pool.name)
    thing = "code" if named.kind in ("code", "number") and random.random() < 0.5 else thing
    episode = Episode(kind, pool.source, thing, named.kind, [say(other) for other in chosen], say(place))
    if not is_shown or random.random() < 0.35:
        episode.listed = random.sample(list(named.names.values()), len(shown))
    return episode


def draw_bare(random, material):
    """Returns an episode of real messages under their own names, with the label list and hardly a demonstration."""
    pool = material.draw_pool(random)
    place = random.randrange(len(pool.messages))
    met = [pool.messages[other].intent for other in [place] + pool.nearest(place)]
    met += random.sample(pool.intents, len(pool.intents))
    shown = list(dict.fromkeys(met))[:random.choice((2, 3, 4, 5, 6, 8, 10, 15, 25))]
    naming = random.choice(labels.MEANINGFUL)
    named = labels.choose_naming(random, {key: pool.words_of[key] for key in shown}, material.borrowable, naming)
    say = lambda index: (vary(random, pool.messages[index].text), named.names[pool.messages[index].intent])
    others = [random.choice(pool.by_intent[random.choice(shown)]) for _ in range(random.choice((0, 0, 0, 1, 2)))]
    thing = prompts.choose_thing(random, pool.name)
    episode = Episode("described", pool.source, thing, named.kind, [say(other) for other in others], say(place))
    episode.listed = random.sample(list(named.names.values()), len(shown))
    return episode


def is_answerable(demonstrations, episode):
    """Returns whether the question's label can be read from the demonstrations or from the list."""
    label = episode.question[1]
    return label in episode.listed or any(shown == label for _, shown in demonstrations)


def drop_one(random, shown, episode):
    """Drops a demonstration that the question can spare; returns whether there was one."""
    places = [place for place in range(len(shown)) if is_answerable(shown[:place] + shown[place + 1:], episode)]
    if places:
        shown.pop(random.choice(places))
    return bool(places)


def render_turns(random, episode, rendering):
    """Returns an episode as a row whose demonstrations are earlier turns, as many as fit."""
    form = prompts.choose_form(random)
    turn_form = random.choice(prompts.TURN_FORMS)
    head = []
    if episode.listed or random.random() < 0.85:
        head = [turn("system", prompts.system_prompt(random, episode, form))]
    shown = list(episode.demonstrations)
    while True:
        messages = head + answered_turns(shown + [episode.question], episode.listed, form, turn_form, rendering)
        if row_size(messages) <= rendering.max_characters:
            break
        if not drop_one(random, shown, episode):
            return None
    if head and not episode.listed and random.random() < 0.06:
        # Some chat formats have no system turn, and its text leads the first user turn.
        messages[1] = turn("user", f"{head[0]['content']}\n\n{messages[1]['content']}")
        messages = messages[1:]
    return finish(episode, messages)


def answered_turns(pairs, listed, form, turn_form, rendering):
    """Returns user and assistant turns; an answer that nothing before it tells has weight 0 where that is wanted."""
    messages, known = [], set(listed)
    for text, label in pairs:
        weight = None if rendering.trains_first_uses or label in known else 0
        known.add(label)
        messages.append(turn("user", turn_form.replace("{}", text)))
        messages.append(turn("assistant", form.show(label), weight))
    return messages


def draw_later(random, shown):
    """Returns up to three demonstrations, each of another label, that become turns; the others show their labels."""
    names = [label for _, label in shown]
    spare = {label: (text, label) for text, label in shown if names.count(label) > 2}
    return random.sample(list(spare.values()), min(len(spare), random.choice((0, 1, 2, 3))))


def render_listed(random, episode, rendering):
    """Returns an episode as a row whose demonstrations are listed in its system prompt or its first user turn."""
    form = prompts.BARE
    listed_form = random.choice(prompts.LISTED_FORMS)
    shown = list(episode.demonstrations)
    later = draw_later(random, shown)
    shown = [pair for pair in shown if pair not in later]
    gap = "\n\n" if "\n" in listed_form and random.random() < 0.5 else "\n"
    instruction = prompts.system_prompt(random, episode, form)
    while True:
        lines = [listed_form.format(text=text, label=label) for text, label in shown]
        block = f"{instruction}\n\n{random.choice(prompts.LISTED_HEADS)}\n{gap.join(lines)}"
        messages = answered_turns(later + [episode.question], episode.listed, form, "{}", Rendering(0))
        if row_size(messages) + len(block) + TURN_COST <= rendering.max_characters:
            break
        if not drop_one(random, shown, episode):
            return None
    if random.random() < 0.7:
        return finish(episode, [turn("system", block)] + messages)
    lead = random.choice(("Message: ", "Now: ", "Next: "))
    messages[0] = turn("user", f"{block}\n\n{lead}{messages[0]['content']}")
    return finish(episode, messages)


def finish(episode, messages):
    """Returns the row of an episode."""
    return {"messages": messages, "kind": episode.kind, "labels": episode.naming}
