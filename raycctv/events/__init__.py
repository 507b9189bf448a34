"""Observations in, events out: :mod:`.tracker` (which verdicts are one object), :mod:`.machine` (when it is an event)."""
