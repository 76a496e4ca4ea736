"""Kernels that follow a JPEG's Huffman codes (ITU-T T.81, annexes F and G); ``entropy`` says what for.

Kernels return a ``Coded`` as a number: 0 whole, 1 short, 2 damaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from curation.images.jit import jit

PAD = 1024  # more bytes than a block without data is followed
_SPAN = 26  # bits of 57 after which a code of 16 bits and 15 bits behind it still fit
_SHORT, _LONG = 10, 1 << 16  # bits of the short part of a table, and where that part begins
TABLE = _LONG + (1 << _SHORT)
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)
# What a scan holds of each block: everything; of DC or AC coefficients the first bits, or one more bit.
ALL, DC, DC_MORE, AC, AC_MORE = range(5)


@jit
def fill_table(counts: Any, symbols: Any, table: Any) -> None:
    """For every 16 bits, the symbol that they begin with (times 32) and its length; 0 where there is none.

    Behind that the same for every 10 bits, 0 for longer codes: a part that stays in the fastest cache.
    """
    code, used, high = 0, 0, 0
    for length in range(1, 17):
        for _ in range(counts[length - 1]):
            low = code << (16 - length)
            high = min(low + (1 << (16 - length)), 1 << 16)
            table[low:high] = np.uint16(symbols[used]) << np.uint16(5) | np.uint16(length)
            code += 1
            used += 1
        code <<= 1
    table[high:_LONG] = 0
    for bits in range(1 << _SHORT):
        entry = table[bits << (16 - _SHORT)]
        table[_LONG + bits] = entry if entry & np.uint16(31) <= _SHORT else np.uint16(0)


@jit
def _entry(table: Any, word: Any) -> Any:
    """The symbol that the bits of ``word`` begin with, highest first, and its length."""
    entry = np.int64(table[np.uint64(_LONG) + (word >> np.uint64(64 - _SHORT))])
    return entry if entry else np.int64(table[word >> np.uint64(48)])


@jit
def _interval(data: Any, at: Any, buffer: Any) -> Any:
    """Copies coded data without their stuffed zeros up to the next marker; how many bytes, and where that lies."""
    count = 0
    size = data.size
    while at < size:
        value = data[at]
        if value == 0xFF:
            after = at + 1
            while after < size and data[after] == 0xFF:
                after += 1
            if after >= size or data[after] != 0:
                break
            at = after
        buffer[count] = value
        count += 1
        at += 1
    buffer[count : count + PAD] = 0
    return count, at


@jit
def _after_restart(data: Any, at: Any) -> Any:
    """The offset behind the restart marker at ``at``, or -1 if there is none."""
    while at < data.size and data[at] == 0xFF:
        at += 1
    return at + 1 if at < data.size and 0xD0 <= data[at] <= 0xD7 else -1


@jit
def _count_bits(word: Any) -> Any:
    """How many bits of 64 are set (Warren, Hacker's Delight, section 5-1)."""
    word = word - (word >> np.uint64(1) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (word >> np.uint64(2) & np.uint64(0x3333333333333333))
    word = word + (word >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(word * np.uint64(0x0101010101010101) >> np.uint64(56))


@jit
def _load(buffer: Any, bit: Any) -> Any:
    """At least 57 bits from ``bit`` on, the first one the highest."""
    i = np.uint64(bit >> 3)  # an index without sign needs no check for one
    word = np.uint64(0)
    for n in range(8):
        word = word << np.uint64(8) | np.uint64(buffer[i + np.uint64(n)])
    return word << np.uint64(bit & 7)


@jit
def _units(buffer: Any, bits: Any, tables: Any, dc: Any, ac: Any, units: Any, kind: Any) -> Any:
    """Follows units of whole blocks or of their DC coefficients. ``dc`` and ``ac``: the tables of a unit's blocks."""
    bit: Any = 0
    for _ in range(units):
        for block in range(dc.size):
            if kind == DC_MORE:
                bit += 1
                continue
            word = _load(buffer, bit)
            entry: Any = _entry(tables[dc[block]], word)
            used: Any = (entry & 31) + (entry >> 5)
            k: Any = 1 if kind == ALL and entry else 64
            table = tables[ac[block]]
            while k < 64:
                if used > _SPAN:
                    bit += used
                    used = 0
                    word = _load(buffer, bit)
                entry = _entry(table, word << np.uint64(used))
                size = (entry >> 5) & 15
                used += (entry & 31) + size
                k += (entry >> 9) + 1
                if size == 0 and entry >> 9 != 15:
                    break
            bit += used
            if entry == 0 or bit > bits:
                return 1 if bit + 16 > bits else 2
    return 1 if bit > bits else 0


@jit
def _ac_blocks(buffer: Any, bits: Any, table: Any, nonzero: Any, first: Any, last: Any, more: Any) -> Any:
    """Follows the coefficients ``first`` to ``last`` of progressive blocks; ``more``: one more bit of each."""
    one, band = np.uint64(1), _band(first, last)
    bit: Any = 0
    skipped: Any = 0
    for block in range(nonzero.size):
        known = nonzero[block] & band if more else np.uint64(0)
        if skipped:  # most blocks of many scans: no code, and a bit for each coefficient that is known
            skipped -= 1
            bit += _count_bits(known)
            if bit > bits:
                return 1
            continue
        k: Any = first
        used: Any = 0
        word = _load(buffer, bit)
        while k <= last:
            if used > _SPAN:
                bit += used
                used = 0
                word = _load(buffer, bit)
            entry: Any = _entry(table, word << np.uint64(used))
            used += entry & 31
            size = (entry >> 5) & 15
            run: Any = entry >> 9
            if entry == 0:
                return 1 if bit + used + 16 > bits else 2
            if size == 0 and run < 15:
                skipped = (1 << run) + (word << np.uint64(used) >> one >> np.uint64(63 - run))
                used += run
                break
            used += size
            if more:
                k, passed = _pass(known, k, last, run)
                used += passed
            else:
                k += run
            if size and k <= last:
                nonzero[block] |= one << np.uint64(k)
            k += 1
        if skipped:
            skipped -= 1
            if k <= last:
                used += _count_bits(known >> np.uint64(k))
        bit += used
        if bit > bits:
            return 1
    return 0


@jit
def _band(first: Any, last: Any) -> Any:
    """A word with the bits ``first`` to ``last`` set."""
    return _ONES >> np.uint64(63 - last + first) << np.uint64(first)


@jit
def _pass(known: Any, k: Any, last: Any, run: Any) -> Any:
    """Where the coefficient is that ``run`` unknown ones from ``k`` on precede, and how many known ones lie before it.

    The place is ``last`` + 1 where there is none. Most blocks have few known ones, so that the first guess is right.
    """
    ahead = known & _ONES << np.uint64(k)
    passed: Any = 0
    while k + run + passed <= last:
        found = _count_bits(ahead & _ONES >> np.uint64(63 - k - run - passed))
        if found == passed:
            return k + run + passed, passed
        passed = found
    return last + 1, _count_bits(ahead)


@jit
def follow(
    data: Any, at: Any, buffer: Any, tables: Any, dc: Any, ac: Any, nonzero: Any, band: Any, restart: Any, kind: Any
) -> Any:
    """Follows a scan of ``nonzero.size`` units from one restart marker to the next, and returns a ``Coded``."""
    done: Any = 0
    units = nonzero.size
    while True:
        count, at = _interval(data, at, buffer)
        stop = min(done + restart, units) if restart else units
        if kind <= DC_MORE:
            state = _units(buffer, 8 * count, tables, dc, ac, stop - done, kind)
        else:
            state = _ac_blocks(buffer, 8 * count, tables[ac[0]], nonzero[done:stop], band[0], band[1], kind == AC_MORE)
        if state or stop == units:
            return state
        done = stop
        at = _after_restart(data, at)
        if at < 0:
            return 1
