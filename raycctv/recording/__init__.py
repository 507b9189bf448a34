"""Footage on disk: :mod:`.layout` says where, :mod:`.command` and :mod:`.recorder` write it, :mod:`.changes` says where a
camera changed, :mod:`.filing` and :mod:`.probe` take it in, :mod:`.fragments` cuts it, :mod:`.catalog` (tables in
:mod:`.schema`) knows what there is, :mod:`.retention` decides what goes, :mod:`.copy` and :mod:`.copier` make second copies.

Life of a segment, and what may be relied on at each step:

1. ffmpeg writes ``<root>/<camera>/incoming/<camera>_<number>.mp4``, a fragment a second; each fragment that is on disk plays.
2. It begins the next file, so this one is closed. The storage actor reads its facts, ``fsync``s it, renames it to
   ``<root>/<camera>/<day>/`` and ``fsync``s both folders. A file in a day folder is whole and never changes again.
3. Then its row is inserted. A row means a file; a file without a row is inserted at the next start.
4. To delete: mark the row, unlink, ``fsync`` the folder, drop the row. What was marked when a crash came is finished at the
   next start.
"""
