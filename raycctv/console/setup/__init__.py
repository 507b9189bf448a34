"""Setting up a camera: what is looked at, what counts, and what that would have made of the last hour.

The configuration file stays the truth. :mod:`.settings` is the part of a camera that is changed here, :mod:`.edit` writes it
into the text of the file and leaves every other character alone, :mod:`.file` replaces the file. :mod:`.trial` runs the
pipeline over recorded footage with the old settings and with the new, in a process of its own (:mod:`.worker`), and
:mod:`.compare` says which events would come, go and stay.
"""
