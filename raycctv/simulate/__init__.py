"""Cameras that are not there: :mod:`.footage` (real video), :mod:`.scenes` (streams made from it), :mod:`.camera`."""
