"""The compiled loop that compares buckets of hashes, sixteen at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.core.cgutils import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from curation.dedupe.search.kernels import Rule, Side, Words, compiled, looks_agree, popcount, vote

LANES = 16  # words compared by one step; ``Side.values`` goes on for so many beyond its last place
_RUN = 32  # places of one bucket that are taken to its neighbours together


@intrinsic  # type: ignore[untyped-decorator,unused-ignore]
def near_lanes(typing_context: Any, values: Any, at: Any, word: Any, distance: Any) -> Any:
    """Bit k is set where ``values[at + k]`` is within ``distance`` bits of the word, k below ``LANES``.

    Written as one vector, since a compiler left alone takes the odd ends of short buckets one by one.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.IntType(64), LANES)
        index = ir.VectorType(ir.IntType(32), LANES)

        def spread(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(index, [0] * LANES))

        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        start = builder.bitcast(builder.gep(array.data, [arguments[1]]), vector.as_pointer())
        apart = builder.xor(builder.load(start, align=8), spread(arguments[2]))
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{LANES}i64"
        )
        found = builder.icmp_unsigned("<=", builder.call(count, [apart]), spread(arguments[3]))
        return builder.zext(builder.bitcast(found, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(values, types.int64, types.uint64, types.uint64), generate


@compiled
def meet_first(
    a: Words, row: int, b: Words, other: int, bands: NDArray[np.int64], band: int, rule: Rule, known: bool
) -> bool:
    """Whether row ``row`` of a and row ``other`` of b are near, and no earlier band than ``band`` brings them together.

    ``known``: the caller has found them near. Rows are given by number: slicing an array costs more than reading it.
    """
    if not known:
        first, rest = np.int64(popcount(a[row, 0] ^ b[other, 0])), np.int64(0)
        left, right = np.uint64(0), np.uint64(0)
        words = a.shape[1] - rule.colours
        for w in range(1, words):
            rest += np.int64(popcount(a[row, w] ^ b[other, w]))
            left |= a[row, w]
            right |= b[other, w]
        if rule.alone < 0:
            if first + rest > rule.distance:
                return False
        else:
            asked = vote(first, rest, left != 0 and right != 0, rule) if first <= rule.distance else 0
            if asked == 0:
                return False
            if rule.colours != 0 and not looks_agree(a[row, words:], b[other, words:], rule, asked == 2):
                return False
    for e in range(band):
        word, low = bands[e, 0], np.uint64(bands[e, 2])
        if popcount(((a[row, word] ^ b[other, word]) >> np.uint64(bands[e, 1])) & low) <= bands[e, 3]:
            return False
    return True


@compiled
def join(
    a: Side,
    b: Side,
    itself: bool,
    bands: NDArray[np.int64],
    band: int,
    flips: NDArray[np.int64],
    rule: Rule,
    dense_bucket: int,
    first: int,
    last: int,
    out: Words,
) -> tuple[int, int]:
    """Pairs that are near by ``rule`` of the places ``first..last`` of side a with side b, as row_a << 32 | row_b.

    Only pairs that this band is the first to bring together. Two buckets with more than ``dense_bucket`` pairs
    of members are left to ``explore``. Returns the place to go on from and the number of pairs. Places of a
    bucket go in runs; a run is either finished or not begun, so one whose pairs do not fit in ``out``
    comes back with 0.
    """
    shift, low = np.uint64(bands[band, 1]), np.uint64(bands[band, 2])
    # Fields of a tuple are counted references: read in the loop they would cost half of its time.
    distance = np.uint64(rule.distance)
    values_a, starts_a, order_a, rows_a = a.values, a.starts, a.order, a.rows
    values_b, starts_b, order_b, rows_b = b.values, b.starts, b.order, b.rows
    known = rule.alone < 0 and rows_a.shape[1] == 1
    count = 0
    run: Any = np.int64(first)
    while run < last:
        key = np.int64((values_a[run] >> shift) & low)
        size = np.int64(starts_a[key + 1]) - np.int64(starts_a[key])
        stop: Any = min(run + _RUN, np.int64(starts_a[key + 1]), last)
        kept = count
        for flip in flips:
            other = key ^ flip
            if itself and other < key:
                continue
            begin: Any = np.int64(starts_b[other])
            end: Any = np.int64(starts_b[other + 1])
            if begin == end or size * (end - begin) > dense_bucket:
                continue
            for p in range(run, stop):
                x = values_a[p]
                if itself and flip == 0:
                    begin = p + 1
                for block in range(begin, end, LANES):
                    if near_lanes(values_b, block, x, distance) == 0:
                        continue
                    for q in range(block, min(block + LANES, end)):
                        if popcount(x ^ values_b[q]) > distance:
                            continue
                        row, other_row = order_a[p], order_b[q]
                        if meet_first(rows_a, row, rows_b, other_row, bands, band, rule, known):
                            if count == out.size:
                                return run, kept
                            out[count] = (np.uint64(row) << np.uint64(32)) | np.uint64(other_row)
                            count += 1
        run = stop
    return last, count
