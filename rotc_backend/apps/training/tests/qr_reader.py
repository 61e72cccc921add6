"""Reads what a QR code holds, as ISO/IEC 18004 lays it out: version 5 with error correction M, letters and digits.

Not by the library that draws it, so that a mistake in its use cannot hide.
"""

SIZE = 37
_BLOCKS, _DATA_CODEWORDS = 2, 43  # blocks, and codewords of data in each (table 9, 5-M)
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_MASKS = (
    lambda row, column: (row + column) % 2,
    lambda row, column: row % 2,
    lambda row, column: column % 3,
    lambda row, column: (row + column) % 3,
    lambda row, column: (row // 2 + column // 3) % 2,
    lambda row, column: row * column % 2 + row * column % 3,
    lambda row, column: (row * column % 2 + row * column % 3) % 2,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2,
)


def qr_text(modules: list[list[bool]]) -> str:
    """The text of a code whose squares are given row by row without the quiet zone; True is dark."""
    assert [len(row) for row in modules] == [SIZE] * SIZE
    for top, left in ((0, 0), (0, SIZE - 7), (SIZE - 7, 0)):
        assert all(modules[top][left + step] and modules[top + step][left] for step in range(7)), "no finder pattern"
    places = [*((8, column) for column in (0, 1, 2, 3, 4, 5, 7, 8)), *((row, 8) for row in (7, 5, 4, 3, 2, 1, 0))]
    form = int("".join(str(int(modules[row][column])) for row, column in places), 2) ^ 0b101010000010010
    assert form >> 13 == 0b00, "error correction is not M"
    mask = _MASKS[form >> 10 & 0b111]
    bits = [modules[row][column] ^ (mask(row, column) == 0) for row, column in _data_places()]
    codewords = [int("".join(str(int(bit)) for bit in bits[place : place + 8]), 2) for place in range(0, 134 * 8, 8)]
    data = [codewords[place * _BLOCKS + block] for block in range(_BLOCKS) for place in range(_DATA_CODEWORDS)]
    return _letters("".join(f"{codeword:08b}" for codeword in data))


def _data_places() -> list[tuple[int, int]]:
    """Where bits of data stand: in pairs of columns from the right, upwards and downwards in turn."""
    places, upwards = [], True
    for right in (*range(SIZE - 1, 6, -2), 5, 3, 1):
        for row in reversed(range(SIZE)) if upwards else range(SIZE):
            places += [(row, column) for column in (right, right - 1) if not _is_fixed(row, column)]
        upwards = not upwards
    return places


def _is_fixed(row: int, column: int) -> bool:
    corner = (row < 9 and (column < 9 or column >= SIZE - 8)) or (row >= SIZE - 8 and column < 9)
    return corner or row == 6 or column == 6 or (28 <= row <= 32 and 28 <= column <= 32)


def _letters(bits: str) -> str:
    assert bits[:4] == "0010", "not in the mode for letters and digits"
    length, place, text = int(bits[4:13], 2), 13, ""
    while len(text) + 1 < length:
        pair = int(bits[place : place + 11], 2)
        text, place = text + _LETTERS[pair // 45] + _LETTERS[pair % 45], place + 11
    return text if len(text) == length else text + _LETTERS[int(bits[place : place + 6], 2)]
