"""The configuration of nginx with its RTMP module: one text for the local server and for a deployment.

``python -m raycctv.rtmp.config`` prints the deployment's.
"""

from dataclasses import dataclass
from pathlib import Path
from string import Template

APPLICATION = "live"
"""Streams are ``rtmp://host/live/NAME``."""

_MODULE_NAME = "ngx_rtmp_module.so"
_MODULE_FOLDERS = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/usr/share/nginx/modules"))

_TEMPLATE = Template("""\
# nginx-rtmp for raycctv. Written by raycctv.rtmp.config; change it there.
load_module $module;
$user_line
daemon off;
worker_processes 1;  # streams live in one worker's memory; a second would not see them
pid $folder/nginx.pid;
error_log $error_log warn;

events {
    worker_connections 1024;
}

rtmp {
    server {
        listen $address:$rtmp_port;
        chunk_size 8192;       # large video chunks in few pieces
        timeout 15s;           # a peer that takes nothing for so long is gone
        ping 5s;               # ask a silent peer whether it is there ...
        ping_timeout 5s;       # ... and drop it when it does not answer

        application $application {
            live on;
            record off;
            meta copy;         # the camera's own metadata, unchanged
            wait_key on;       # a player begins with a keyframe
            wait_video on;
            idle_streams on;   # a player may come before its camera, and waits
            publish_notify on; # and is told when the camera leaves, so that it ends and begins anew with fresh headers
            drop_idle_publisher 10s;  # a frozen camera gives its name free for its own return
$access
        }
    }
}

http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;

    server {
        listen $http_address:$http_port;

        location = /stat {
            rtmp_stat all;
        }
    }
}
""")


@dataclass(frozen=True)
class RtmpSettings:
    """What differs between one server and another.

    Attributes:
        folder: for nginx's pid file and temporary files; written by whoever runs nginx.
        error_log: a file, or ``stderr``.
        address: that RTMP listens on.
        http_address: that statistics are served on.
        allow: networks that may publish and play; none allows whoever reaches the address.
        user: that nginx's worker runs as; needed only where nginx is started by root.
    """

    folder: str
    error_log: str
    rtmp_port: int
    http_port: int
    module: str
    address: str = "127.0.0.1"
    http_address: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    user: str | None = None


DEPLOYMENT = RtmpSettings(
    folder="/var/run/raycctv-rtmp",
    error_log="stderr",
    rtmp_port=1935,
    http_port=8080,
    module="modules/ngx_rtmp_module.so",
    address="0.0.0.0",  # noqa: S104 - inside a container; its port is published on loopback unless asked otherwise
    allow=("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
)
"""The server of ``deploy/``: the same behaviour, reached from cameras' networks only."""


def render(settings: RtmpSettings) -> str:
    """nginx's configuration."""
    return _TEMPLATE.substitute(
        vars(settings),
        application=APPLICATION,
        user_line=f"user {settings.user};" if settings.user else "# user: whoever starts it",
        access=_access(settings.allow),
    )


def find_module() -> Path | None:
    """The RTMP module of the installed nginx, or None."""
    return next((folder / _MODULE_NAME for folder in _MODULE_FOLDERS if (folder / _MODULE_NAME).is_file()), None)


def _access(allow: tuple[str, ...]) -> str:
    if not allow:
        return ""
    rules = [f"            allow {action} {network};" for action in ("publish", "play") for network in allow]
    denials = [f"            deny {action} all;" for action in ("publish", "play")]
    return "\n".join(["", *rules, *denials])


if __name__ == "__main__":
    import sys

    sys.stdout.write(render(DEPLOYMENT))
