"""Extraction rows: a message with a few details, and the details in the form that the prompt asks for."""

import json

import words
from episodes import ask, row_size, turn

FIELDS = {
    "name": words.person,
    "city": words.town,
    "date": words.date,
    "time": words.clock_time,
    "product": words.product,
    "price": words.price,
    "order": words.order_number,
    "code": words.code,
    "company": words.brand,
    "color": lambda random: random.choice(words.COLORS),
    "quantity": lambda random: str(random.randint(2, 60)),
    "place": words.place,
    "day": lambda random: random.choice(words.WEEKDAYS),
    "job": lambda random: random.choice(words.JOBS),
}
SENTENCES = """my name is {name} and i live in {city}
hi, {name} from {city} here, i ask about order {order}
please send the {product} to {name} in {city}
i want {quantity} of the {product} for {price} each
i paid {price} for order {order} on {date}
can we meet at the {place} on {day} at {time}
{name} will be in {city} on {date}
book a table for {quantity} at {time} on {day}, the name is {name}
order {order} has the wrong color, i wanted {color}
the code {code} does not work for the {product}
{company} offers the {product} for {price}
i work as {job} at {company} in {city}
{name} bought {quantity} pieces of {product} on {date}
is there a train to {city} at {time} on {day}
my ticket {code} is for {city}, not for {date}
we need a {job} at the {place} by {date}
{company} moved to {city} on {date}
the {color} {product} costs {price}
call {name} at {company} on {day} at {time}
order {order}: {quantity} times {product}, {color}
i am {name}, the {job}, and my code is {code}
the {place} in {city} opens on {date}
{name} left the {product} at the {place} on {day}
please change the name on order {order} to {name}
{quantity} people from {company} arrive at {time}""".splitlines()
WRAPPERS = ["{}"] * 8 + ["hello, {}", "{}, thanks", "{}. can you help me?", "good morning. {}", "{} please", "ok, {}"]
FORMATS = {
    "pairs": (["Answer in the form {pattern}.", "Fill in: {pattern}", "Extract the details as {pattern}."], "; "),
    "lines": (["Extract {fields}, one per line.", "List {fields} on lines of their own."], "\n"),
    "json": (["Return JSON with the keys {fields}.", "Extract {fields} as JSON.",
              "Answer with a JSON object: {fields}."], ""),
    "list": (["List {fields}, separated by commas.", "Give {fields} with commas between them."], ", "),
    "one": (["Extract the {field}.", "Answer with the {field} only.", "What is the {field}?",
             "Find the {field} in the message.", "Give me the {field}.", "Return the {field} and nothing else."], ""),
}  # fmt: skip
DEMONSTRATED = ["Extract the details as in the examples.", "Follow the examples.", "Do the same for every message."]


def fields_of(sentence):
    """Returns the names of the details in a sentence, in its order."""
    return [piece.split("}")[0] for piece in sentence.split("{")[1:]]


def fill_sentence(random, sentence):
    """Returns a message and its details."""
    details = {field: FIELDS[field](random) for field in fields_of(sentence)}
    text = random.choice(WRAPPERS).format(sentence.format(**details))
    if random.random() < 0.3:
        text = text[0].upper() + text[1:] + ("" if text[-1] == "?" else ".")
    return text, details


def show(form, details, wanted):
    """Returns the wanted details of a message in a form; what the message lacks is `none`."""
    found = {field: details.get(field, "none") for field in wanted}
    if form == "json":
        return json.dumps(found, ensure_ascii=False)
    if form == "one":
        return found[wanted[0]]
    if form == "list":
        return ", ".join(found.values())
    return FORMATS[form][1].join(f"{field}: {value}" for field, value in found.items())


def instruct(random, form, wanted, has_gaps):
    """Returns the instruction that asks for the details."""
    pattern = "; ".join(f"{field}: ..." for field in wanted)
    fields = ", ".join(wanted[:-1]) + f" and {wanted[-1]}" if len(wanted) > 1 else wanted[0]
    asked = random.choice(FORMATS[form][0]).format(pattern=pattern, fields=fields, field=wanted[0])
    return f"{asked} Write `none` for what is missing." if has_gaps else asked


def draw_extraction(random, rendering):
    """Returns a row of one to six messages of like content, with the same details wanted of each."""
    sentence = random.choice(SENTENCES)
    form = random.choice(sorted(FORMATS) + ["json", "one"])
    wanted = fields_of(sentence)
    random.shuffle(wanted)
    wanted = wanted[:1] if form == "one" else wanted[:random.choice((2, 3, 3))]
    count = random.choice((1, 1, 2, 3, 4, 5, 6))
    alike = [other for other in SENTENCES if set(wanted) <= set(fields_of(other))]
    has_gaps = random.random() < 0.15
    drawn = SENTENCES if has_gaps else alike
    said = [fill_sentence(random, random.choice(drawn)) for _ in range(count - 1)] + [fill_sentence(random, sentence)]
    random.shuffle(said)
    asked = instruct(random, form, wanted, has_gaps)
    if count >= 3 and not has_gaps and random.random() < 0.3:
        asked = random.choice(DEMONSTRATED)
    messages = []
    for text, details in said:
        messages += [turn("user", text), turn("assistant", show(form, details, wanted))]
    ask(messages, asked, random)
    return {"messages": messages, "kind": "extraction"} if row_size(messages) <= rendering.max_characters else None
