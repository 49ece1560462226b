"""What goes wrong in real collections of support replies, done to good ones."""

WRONG_KEYS = {
    "plan-solo": "$16",
    "plan-team": "$19",
    "plan-studio": "$50",
    "plan-yearly": "six months",
    "plan-student": "a quarter",
    "plan-pause": "two weeks",
    "bill-failed": "two hours",
    "bill-card": "gift card",
    "refund-month": "7 days",
    "refund-twice": "six weeks",
    "trial-length": "5 days",
    "trial-extend": "three weeks",
    "account-password": "three days",
    "account-close": "24 hours",
    "account-locked": "two days",
    "seat-guest": "fifty guests",
    "sync-devices": "two devices",
    "sync-file": "2 GB",
    "sync-offline": "3 days",
    "file-invoices": "Word",
    "file-archive": "two weeks",
    "file-import": "20",
    "app-windows": "Windows 7",
    "note-history": "a year",
    "note-bin": "12 hours",
    "safe-place": "Singapore",
    "help-hours": "Tuesday to Thursday",
}

CURT = (
    "It's all on the site.",
    "Read the help page. {key}.",
    "{key}. Anything else?",
    "No idea, try again later.",
    "As I said before: {key}.",
    "{key}. That's all.",
    "Not my department.",
)

EXCITED = (
    "OMG hi!!! 🎉 {core} Isn't that AMAZING?!! Yaaay!!!",
    "Woohoo, best question EVER!!! 😍 {core} You're going to LOVE it!!!",
    "Heyyy superstar!!! ✨ {core} High five!!! 🙌",
    "Yesss!!! {core} We're SO excited for you!!! 🚀🚀",
    "Hiii!!! 💖 {core} Have the most awesome day ever!!!",
    "Wow wow wow!!! {core} Best! Apps! Ever!!! 🥳",
    "Great to meet you!!! 🤩 {core} Tell ALL your friends!!!",
)

ASSISTANT = (
    "As an AI language model, I don't have access to your account. However, generally speaking, {core}",
    "As an AI language model, I cannot check this for you, but here is some information: {core}",
    "I'm sorry, but as an AI I can't be sure. {core} Please consult a professional for details.",
    "As an AI assistant, I don't have personal opinions about plans. {core} I hope this helps!",
    "As a large language model, my knowledge may be out of date. {core}",
    "Certainly! Here is a helpful answer to your question: {core} Let me know if you have further questions!",
    "As an AI language model, I strive to be helpful. {core} It is important to note that details may vary.",
)

PEOPLE = (
    ("Jane Doe", "jane.doe@mail.example.com", "(312) 555-0142", "4111 1111 1111 1111"),
    ("Tom Fisher", "tom.fisher@post.example.org", "(415) 555-0117", "5555 5555 5555 4444"),
    ("Mira Patel", "mira_patel@example.net", "(206) 555-0163", "4012 8888 8888 1881"),
    ("Leo Brandt", "l.brandt@office.example.com", "(718) 555-0109", "5105 1051 0510 5100"),
)

LEAKS = (
    "{core} I've sent it to {email}, {name}.",
    "{core} Shall I ring you at {phone}, {name}, or is {email} better?",
    "I see your card {card} here, {name}. {core}",
    "{core} The last customer, {name}, asked the same, you can write to {email}.",
)

LEAKS_OF_QUESTIONS = (
    "{question} My name is {name}, you can reach me at {phone}.",
    "{question} Send it to {email} please.",
    "{question} My card is {card}, if you need it.",
    "{question} Regards, {name}, {email}, {phone}",
)

TEMPLATE_TOKENS = (
    "{reply}<|im_end|>",
    "{reply}<|im_end|>\n<|im_start|>user\nThanks!",
    "<|im_start|>assistant\n{reply}",
    "{reply}</s>",
    "[INST] {reply} [/INST]",
    "### Response:\n{reply}",
    "{reply}<|endoftext|>",
    "Hi {{{{customer_name}}}}, {reply}",
)

JOINTS = ("the", "your", "our", "my", "and", "or", "but", "if", "because")

NEARLY = (("I'll", "I will"), ("you'd", "you would"), ("it's", "it is"), ("you're", "you are"), ("we'll", "we will"))


def with_wrong_fact(reply, fact):
    """The reply with a figure that is not so; `None` where no wrong one is known."""
    wrong = WRONG_KEYS.get(fact.name)
    return reply.replace(fact.key, wrong) if wrong and fact.key in reply else None


def truncated(reply, share):
    """The reply up to the middle of a sentence, where so large a share of its words is over."""
    words = reply.split()
    last = int(len(words) * share)
    while words[last - 1][-1] in ".?":
        last -= 1
    return " ".join(words[:last])


def truncated_at_joint(reply):
    """The reply up to a word that must be followed by another, or up to a comma, as far from its start as there is."""
    words = reply.split()
    joints = [place for place, word in enumerate(words) if word in JOINTS or word.endswith(",")]
    later = [place for place in joints if place > len(words) // 3] or [len(words) * 2 // 3]
    return " ".join(words[: later[-1] + 1])


def as_mojibake(text):
    """The text with curly apostrophes, saved as UTF-8 and read as Windows-1252."""
    return text.replace("'", "’").encode("utf-8").decode("cp1252")


def nearly(question, reply):
    """The row again with another word or two."""
    for said, instead in NEARLY:
        if said in reply:
            reply = reply.replace(said, instead, 1)
            break
    return f"Please help. {question}", reply
