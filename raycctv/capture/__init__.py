"""From a stream to pictures: :mod:`.packets` (demux, reconnect), :mod:`.decoder`, :mod:`.timeline`, :mod:`.relay`."""
