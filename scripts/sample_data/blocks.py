"""Reads the hand-written files: blocks headed `[name]`, then lines `key: text`; a key may repeat."""


def read_blocks(path):
    """The blocks of a file in order, each as its name and its texts by key."""
    blocks = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            blocks.append((line[1:-1], {}))
            continue
        key, colon, text = line.partition(": ")
        if not colon or not blocks:
            raise ValueError(f"`{path}:{number}`: expected `[name]` or `key: text`, found `{line}`")
        blocks[-1][1].setdefault(key, []).append(text.strip())
    return blocks
