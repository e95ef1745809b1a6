"""What the pages of `explore` show, read back."""


def as_number(text: str) -> float:
    """A number as the page writes it, with a real minus."""
    return float(text.replace("−", "-"))
