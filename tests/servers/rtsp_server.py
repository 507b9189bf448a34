"""An RTSP camera for tests: GStreamer's server over a video file. Runs under the system's Python, which has ``gi``.

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


def factory(clip: str, codec: str, sound: bool, interval: str) -> GstRtspServer.RTSPMediaFactory:
    """Plays the clip once, from its beginning, to each client; sound is G.711 at 8 kHz as most cameras have it.

    Parameter sets come every so many seconds; with -1 before every keyframe, as from most cameras.
    """
    made = GstRtspServer.RTSPMediaFactory()
    video = f'filesrc location="{clip}" ! qtdemux ! {codec}parse ! rtp{codec}pay name=pay0 pt=96 config-interval={interval}'
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
    parser.add_argument("clip", help="MP4")
    parser.add_argument("--port", default="0")
    parser.add_argument("--codec", choices=("h264", "h265"), default="h264")
    parser.add_argument("--sound", action="store_true")
    parser.add_argument("--interval", default="1", help="of parameter sets, in seconds")
    parser.add_argument("--user")
    parser.add_argument("--password")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=options.port)
    media = factory(options.clip, options.codec, options.sound, options.interval)
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
