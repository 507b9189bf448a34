"""Where events go: :mod:`.event_log` (JSON lines), :mod:`.record` (log and catalog together)."""
