"""Pools: the real messages with labels, each with its nearest neighbours. Only training splits are read."""

import collections
import dataclasses
import json
import re

import labels
from neighbours import Index

NEAREST = 48
LONGEST_MESSAGE = 110
MOST_PER_INTENT = 220
FEWEST_PER_INTENT = 25
RUDE = re.compile(r"\b(fuck\w*|shit\w*|bitch\w*|slave|ass)\b", re.IGNORECASE)
TRAINING_DOMAINS = ["airline", "fastfood", "finance", "media", "software"]
SOURCES = {"airline": "airline", "fastfood": "fast food", "finance": "bank", "media": "cable and internet",
           "software": "software", "insurance": "insurance"}  # fmt: skip

# multidogo writes its labels in one piece.
MULTIDOGO_WORDS = {
    spaced.replace(" ", ""): spaced.split()
    for spaced in """confirmation,opening greeting,rejection,thank you,closing greeting,get boarding pass,
change seat assignment,get seat info,book flight,order drink intent,order pizza intent,order salad intent,
order burger intent,order dessert intent,order side intent,order breakfast intent,report lost card,update address,
check balance,transfer money,dispute charge,replace card,close account,get routing number,check offer eligibility,
order checks,start service intent,get information intent,view bills intent,report broken software,software update,
expense report,start order,check server status,get proof of insurance,check claim status,report broken phone""".replace(
        "\n", ""
    ).split(",")
}

# CLINC150's own ten domains, for tasks that ask for the topic.
CLINC_DOMAINS = {
    "banking": """transfer transactions balance freeze_account pay_bill bill_balance bill_due interest_rate routing
min_payment order_checks pin_change report_fraud account_blocked spending_history""",
    "credit cards": """credit_score report_lost_card credit_limit rewards_balance new_card application_status
card_declined international_fees apr redeem_rewards credit_limit_change damaged_card replacement_card_duration
improve_credit_score expiration_date""",
    "kitchen and dining": """recipe restaurant_reviews calories nutrition_info restaurant_suggestion ingredients_list
ingredient_substitution cook_time food_last meal_suggestion restaurant_reservation confirm_reservation how_busy
cancel_reservation accept_reservations""",
    "home": """todo_list todo_list_update calendar calendar_update what_song play_music next_song update_playlist order
order_status reminder reminder_update smart_home""",
    "auto and commute": """current_location gas gas_type distance mpg tire_pressure tire_change jump_start uber
schedule_maintenance last_maintenance directions traffic""",
    "travel": """international_visa timezone exchange_rate car_rental carry_on plug_type travel_alert
travel_notification travel_suggestion translate vaccines flight_status""",
    "utility": """weather alarm date find_phone share_location timer make_call calculator definition spelling text time
measurement_conversion""",
    "work": """direct_deposit insurance insurance_change schedule_meeting meeting_schedule next_holiday payday taxes
income rollover_401k w2""",
    "small talk": """greeting goodbye tell_joke where_are_you_from how_old_are_you what_is_your_name who_made_you
thank_you what_can_i_ask_you what_are_your_hobbies do_you_have_pets are_you_a_bot meaning_of_life who_do_you_work_for
fun_fact""",
    "settings": """change_ai_name change_user_name cancel user_name reset_settings whisper_mode repeat no yes maybe
change_language change_accent sync_device""",
}


@dataclasses.dataclass(frozen=True)
class Message:
    """A message and the label that its data set gives it."""

    text: str
    intent: str


class Pool:
    """Messages of one task, with what a prompt may say about them."""

    def __init__(self, name, source, messages, words_of, index=None):
        self.name = name
        self.source = source
        self.messages = messages
        self.words_of = words_of
        self.index = index or Index([message.text for message in messages], common=0.12)
        self.found = {}
        self.by_intent = collections.defaultdict(list)
        for place, message in enumerate(messages):
            self.by_intent[message.intent].append(place)
        self.intents = sorted(self.by_intent)

    def nearest(self, place):
        """Returns the places of a message's nearest neighbours, nearest first, without equal texts."""
        if place not in self.found:
            text = self.messages[place].text
            near = self.index.nearest(text, NEAREST + 4)
            self.found[place] = [other for other in near if self.messages[other].text != text][:NEAREST]
        return self.found[place]

    def relabelled(self, name, source, topics):
        """Returns the same messages with `topics[intent]` as their label; the index is shared."""
        messages = [Message(message.text, topics[message.intent]) for message in self.messages]
        words_of = {topic: topic.split() for topic in topics.values()}
        return Pool(name, source, messages, words_of, self.index)


def read_rows(path):
    """Yields the rows of a JSONL file."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_clinc(data, wanted):
    """Returns CLINC150's training messages of the wanted intents."""
    found = {}
    for row in read_rows(data / "clinc150" / "train.jsonl"):
        text, intent = (message["content"] for message in row["messages"][-2:])
        if wanted(intent) and not RUDE.search(text):
            found.setdefault(text.strip(), intent)
    return [Message(text, intent) for text, intent in found.items()]


def clinc_pool(data, wanted):
    """Returns the pool of the wanted CLINC150 intents."""
    messages = read_clinc(data, wanted)
    words_of = {message.intent: message.intent.split("_") for message in messages}
    return Pool("clinc150", "messages to a virtual assistant", messages, words_of)


def read_multidogo(data, domain):
    """Returns a domain's messages, each once and with the label that nearly all its copies have.

    Left out are labels that join two or are annotation debris, that few messages have, that have no meaning of their
    own (`outofdomain`), and `contentonly`: names, addresses and numbers of people.
    """
    counted = collections.defaultdict(collections.Counter)
    for row in read_rows(data / "multidogo" / f"{domain}_train.jsonl"):
        text, intent = (message["content"] for message in row["messages"][-2:])
        text = " ".join(text.split())
        if 2 <= len(text) <= LONGEST_MESSAGE and not RUDE.search(text):
            counted[text][intent] += 1
    by_intent = collections.defaultdict(list)
    for text, intents in counted.items():
        intent, count = intents.most_common(1)[0]
        is_kept_apart = labels.spelling(intent) in labels.RESERVED and domain != labels.HELD_OUT_DOMAIN
        if intent in MULTIDOGO_WORDS and not is_kept_apart and count >= 0.8 * sum(intents.values()):
            by_intent[intent].append(text)
    messages = []
    for intent in sorted(by_intent):
        texts = by_intent[intent]
        if len(texts) >= FEWEST_PER_INTENT:
            step = max(1, len(texts) // MOST_PER_INTENT)
            messages.extend(Message(text, intent) for text in texts[::step][:MOST_PER_INTENT])
    return messages


def multidogo_pool(data, domain):
    """Returns a domain's pool without the messages whose label no near neighbour shares: those are mostly wrong."""
    source = f"{SOURCES[domain]} support messages"
    rough = Pool(domain, source, read_multidogo(data, domain), MULTIDOGO_WORDS)
    kept = []
    for place, message in enumerate(rough.messages):
        near = [rough.messages[other].intent for other in rough.nearest(place)[:6]]
        if near.count(message.intent) >= 2:
            kept.append(message)
    return Pool(domain, source, kept, MULTIDOGO_WORDS)


@dataclasses.dataclass(frozen=True)
class Material:
    """The pools that episodes draw from, with their weights, and the words of intents that lend their names."""

    pools: list
    weights: list
    borrowable: list

    def draw_pool(self, random):
        return random.choices(self.pools, self.weights)[0]


def training_material(data):
    """Returns all pools of the training rows."""
    clinc = clinc_pool(data, lambda intent: intent not in labels.HELD_OUT_INTENTS)
    topics = {intent: topic for topic, intents in CLINC_DOMAINS.items() for intent in intents.split()}
    pools = [clinc, clinc.relabelled("clinc150_topics", "messages to a virtual assistant", topics)]
    weights = [0.66, 0.08]
    for domain in TRAINING_DOMAINS:
        pools.append(multidogo_pool(data, domain))
        weights.append(0.04)
    in_domains = [message for pool in pools[2:] for message in pool.messages if is_telling(message)]
    topics = [Message(message.text, SOURCES[domain_of(pools[2:], message)]) for message in in_domains]
    words_of = {source: source.split() for source in SOURCES.values()}
    pools.append(Pool("multidogo_topics", "customer support messages", topics, words_of))
    return Material(pools, weights + [0.06], [clinc.words_of[intent] for intent in clinc.intents])


def is_telling(message):
    """Returns whether a message's intent belongs to one domain only."""
    general = ("confirmation", "openinggreeting", "rejection", "thankyou", "closinggreeting")
    return message.intent not in general


def domain_of(pools, message):
    """Returns the domain that a message is from."""
    return next(pool.name for pool in pools if message.intent in pool.by_intent)


def held_out_material(data, borrowable):
    """Returns the pools of the validation rows: intents and a domain that no training row has."""
    clinc = clinc_pool(data, lambda intent: intent in labels.HELD_OUT_INTENTS)
    return Material([clinc, multidogo_pool(data, labels.HELD_OUT_DOMAIN)], [0.75, 0.25], borrowable)
