"""An RTSP camera for tests: GStreamer's server over video files. Runs under the system's Python, which has ``gi``.

Prints its port as soon as it listens, and serves rtsp://127.0.0.1:PORT/stream until it is ended.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - gi wants the versions first

ROLE = "viewer"
SOUND = "audiotestsrc is-live=true volume=0.1 ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0"


def factory(clips: list[str], codec: str, sound: bool) -> GstRtspServer.RTSPMediaFactory:
    """Plays the clips once, one after the other, to each client; parameter sets come with every keyframe, as from most cameras.

    Sound is G.711 at 8 kHz, also as from most cameras.
    """
    made = GstRtspServer.RTSPMediaFactory()
    read = " ".join(f'filesrc location="{clip}" ! qtdemux ! {codec}parse ! joined.' for clip in clips)
    video = f"concat name=joined ! rtp{codec}pay name=pay0 pt=96 config-interval=-1 {read}"
    made.set_launch(f"( {video} {SOUND if sound else ''} )")
    return made


def protect(server: GstRtspServer.RTSPServer, media: GstRtspServer.RTSPMediaFactory, user: str, password: str) -> None:
    """Digest authentication, which is what cameras ask for."""
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
    authority = GstRtspServer.RTSPAuth()
    authority.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    authority.add_digest(user, password, token)
    server.set_auth(authority)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role(ROLE, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS, True)
    permissions.add_permission_for_role(ROLE, GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT, True)
    media.set_permissions(permissions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", help="MP4")
    parser.add_argument("--port", default="0")
    parser.add_argument("--codec", choices=("h264", "h265"), default="h264")
    parser.add_argument("--sound", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=options.port)
    media = factory(options.clips, options.codec, options.sound)
    if options.user:
        protect(server, media, options.user, options.password)
    server.get_mount_points().add_factory("/stream", media)
    if not server.attach(None):
        sys.exit(f"port {options.port} cannot be listened on")
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
