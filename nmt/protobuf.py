"""Protocol buffers as they lie in a file, field by field, without their schema."""


def protobuf_fields(message: bytes) -> dict[int, int | bytes]:
    """The fields of a protocol buffer by their numbers, the last one of each, numbers and bytes undecoded."""
    fields: dict[int, int | bytes] = {}
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == 0:
            fields[key >> 3], position = _varint(message, position)
            continue
        size, position = {1: (8, position), 5: (4, position)}.get(key & 7) or _varint(message, position)
        fields[key >> 3] = message[position : position + size]
        position += size
    return fields


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
