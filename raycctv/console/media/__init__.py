"""Footage and live streams as browsers play them; nothing is decoded or coded again.

:mod:`.boxes` reads the boxes of MP4, :mod:`.samples` knows where the frames of a segment file lie, :mod:`.film` makes one MP4
of many segments that is written nowhere (its :mod:`.header` apart), :mod:`.fragmented` follows a fragmented MP4 as it is made,
and :mod:`.remux` sends a camera's to everybody who looks.
"""
