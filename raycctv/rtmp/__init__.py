"""The RTMP server between cameras and us: :mod:`.config` writes nginx's configuration, :mod:`.server` runs one here."""
