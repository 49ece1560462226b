"""What a check of sample data found."""


class Report:
    """Figures, each with whether it is as it should be."""

    def __init__(self):
        self.failed = 0

    def say(self, is_right, text):
        self.failed += not is_right
        print(f"{'ok    ' if is_right else 'FAILED'} {text}")
