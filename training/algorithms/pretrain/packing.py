"""Documents to rows of one length, several documents to a row, none of which sees another."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

IGNORED = -100
_OPEN_ROWS = 24

Row = list[list[int]]
"""The documents of one row, as token ids."""


def rows_pack(documents: Iterable[list[int]], row_tokens: int) -> Iterator[Row]:
    """First fit into a few open rows; the fullest one leaves when there are too many.

    Documents longer than a row are left out. Rows still open at the end are not delivered.
    """
    open_rows: list[Row] = []
    sizes: list[int] = []
    for document in documents:
        if len(document) > row_tokens:
            continue
        fits = (i for i, size in enumerate(sizes) if size + len(document) <= row_tokens)
        index = next(fits, None)
        if index is not None:
            open_rows[index].append(document)
            sizes[index] += len(document)
            continue
        if len(open_rows) == _OPEN_ROWS:
            fullest = max(range(_OPEN_ROWS), key=sizes.__getitem__)
            sizes.pop(fullest)
            yield open_rows.pop(fullest)
        open_rows.append(document_row := [document])
        sizes.append(sum(map(len, document_row)))


def batch_collate(rows: list[Row], row_tokens: int, pad_id: int) -> dict[str, Tensor]:
    """Tensors of B rows and T tokens.

    input_ids, labels, position_ids: [B, T]. labels hold the next token of the same document, and
    IGNORED at the end of a document and on padding. position_ids start at 0 in each document.
    attention_mask: [B, 1, T, T], True where a position may look at an earlier one of its document.
    """
    shape = (len(rows), row_tokens)
    input_ids = torch.full(shape, pad_id)
    labels = torch.full(shape, IGNORED)
    position_ids = torch.zeros(shape, dtype=torch.long)
    document_ids = torch.full(shape, -1)
    for i, row in enumerate(rows):
        start = 0
        for j, document in enumerate(row):
            stop = start + len(document)
            ids = torch.tensor(document)
            input_ids[i, start:stop] = ids
            labels[i, start : stop - 1] = ids[1:]
            position_ids[i, start:stop] = torch.arange(len(document))
            document_ids[i, start:stop] = j
            start = stop
    same_document = document_ids[:, :, None] == document_ids[:, None, :]
    attention_mask = same_document.tril()[:, None]
    return {
        "input_ids": input_ids,
        "labels": labels,
        "position_ids": position_ids,
        "attention_mask": attention_mask,
    }
