"""What docx and xlsx have in common: they are zip archives, unless they are encrypted."""

from __future__ import annotations

import io
import zipfile

from structrag.errors import DocumentError

# The container of encrypted Office files, and of those from before 2007.
_OLE_MARK = bytes.fromhex("d0cf11e0a1b11ae1")
LARGEST_UNPACKED = 500 * 1024 * 1024


def check_archive(data: bytes, name: str) -> None:
    """Refuse what a reader of Office files must not be given.

    Raises:
        DocumentError: It is encrypted, from before 2007, damaged, or unpacks to more than can be meant well.
    """
    if data.startswith(_OLE_MARK):
        raise DocumentError(
            f"{name} is encrypted, or it is of the format from before 2007.",
            hint="Open it in an office program and save it without a password in the current format.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # The stated size binds: zipfile reads no entry beyond it.
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise DocumentError(f"{name} is damaged, or it is no Office file: {error}.") from error
    if unpacked > LARGEST_UNPACKED:
        raise DocumentError(
            f"{name} unpacks to {unpacked // 2**20} MB; at most {LARGEST_UNPACKED // 2**20} MB are read."
        )
