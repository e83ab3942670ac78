"""ExecuTorch files that hold only what tells kernels apart: methods and the delegates that they call."""

from collections.abc import Mapping, Sequence

import flatbuffers


def pte(methods: Mapping[str, Sequence[str]]) -> bytes:
    """A file with these methods; each names the backends of its delegates."""
    builder = flatbuffers.Builder()

    def table(fields: Mapping[int, int]) -> int:
        builder.StartObject(1 + max(fields))
        for slot, offset in fields.items():
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return builder.EndObject()

    def vector(offsets: Sequence[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    plans = []
    for name, delegates in methods.items():
        fields = {0: builder.CreateString(name)}
        if delegates:
            fields[7] = vector([table({0: builder.CreateString(backend)}) for backend in delegates])
        plans.append(table(fields))
    builder.Finish(table({1: vector(plans)}), file_identifier=b"ET12")
    return bytes(builder.Output())
