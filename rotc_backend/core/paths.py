"""Ids in paths."""

LARGEST_ID = 2**63 - 1


class IdConverter:
    """A row's id. One that no row can have is an unknown path, not an error of the database."""

    regex = "[1-9][0-9]{0,18}"

    def to_python(self, value: str) -> int:
        number = int(value)
        if number > LARGEST_ID:
            raise ValueError(value)
        return number

    def to_url(self, value: int) -> str:
        return str(value)
