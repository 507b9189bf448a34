"""Where something moves: :mod:`.difference` (frame differencing), :mod:`.zones` (polygons), :mod:`.gate` (hysteresis)."""
