"""The configuration of nginx with its RTMP module: one text for the local server and for a deployment.

``python -m raycctv.rtmp.config`` prints the deployment's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from raycctv.errors import ServerError

APPLICATION = "live"
"""Streams are ``rtmp://host/live/NAME``."""

_MODULE_NAME = "ngx_rtmp_module.so"
MODULE_FOLDERS = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"), Path("/usr/share/nginx/modules"))

# What the comments promise of a stream, tests/rtmp/test_server.py holds against the real server.
_TEMPLATE = Template("""\
# nginx-rtmp for raycctv. Written by raycctv.rtmp.config; change it there.
load_module $module;
$process
daemon off;
worker_processes 1;  # streams live in one worker's memory; a second would not see them
pid $pid;
error_log $error_log warn;

events {
    worker_connections 1024;
}

rtmp {
    access_log off;  # its default is a folder that only root may write
    server {
        listen $address:$rtmp_port;
        chunk_size 8192;       # a frame in few pieces
        ping 5s;               # keeps a waiting player's socket from looking dead: recorders give up after 10 s of silence
        ping_timeout 30s;      # a recorder that waits for a slow disk is not cut off, its packets wait ...
        out_queue 1024;        # ... here: 60 s of 15 pictures a second; the default of 256 would throw the rest away
        timeout 30s;           # a peer that takes nothing for so long is gone

        application $application {
            live on;
            record off;
            meta copy;         # the camera's own metadata, unchanged
            idle_streams on;   # a player may come before its camera, and waits
            wait_key on;       # a player begins with a keyframe
            wait_video on;     # and not with sound, or it takes the stream for one without video
            publish_notify on; # a player is told when the camera leaves: it ends, and begins anew with fresh headers
            drop_idle_publisher 10s;  # a camera that hangs gives its name free for its own return
$access$keys
        }
    }
}

http {
    access_log $http_log;
    client_body_temp_path $temporary_body;
    proxy_temp_path $temporary_proxy;
    fastcgi_temp_path $temporary_fastcgi;
    uwsgi_temp_path $temporary_uwsgi;
    scgi_temp_path $temporary_scgi;

    server {
        listen $http_address:$http_port;

        location = /stat {
            rtmp_stat all;
$http_access
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
        module: path of nginx's RTMP module.
        address, http_address: that RTMP and statistics listen on.
        allow: networks that may publish, play and read statistics; nobody else may.
        single_process: no master beside the worker, so that nothing is left when nginx is killed; for a server with an
            owner. A deployment has the master, which starts a worker anew that crashed.
        as_root: nginx is started by root; without being told so it would give its files to another user.
        keys_url: of a :class:`raycctv.rtmp.keys.KeyServer` that is asked who may publish and play; None asks nobody.
        http_log: the log of HTTP requests, a file or ``off``.
    """

    folder: str
    error_log: str
    rtmp_port: int
    http_port: int
    module: str
    address: str = "127.0.0.1"
    http_address: str = "127.0.0.1"
    allow: tuple[str, ...] = ("127.0.0.1",)
    single_process: bool = True
    as_root: bool = False
    keys_url: str | None = None
    http_log: str = "off"


DEPLOYMENT = RtmpSettings(
    folder="/tmp",  # noqa: S108 - of a container: the one folder that every image has and every user may write
    error_log="stderr",
    rtmp_port=1935,
    http_port=8080,
    module="/usr/lib/nginx/modules/ngx_rtmp_module.so",
    address="0.0.0.0",  # noqa: S104 - inside a container; its port is published on loopback unless asked otherwise
    http_address="0.0.0.0",  # noqa: S104
    allow=("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    single_process=False,
    keys_url="http://rtmp-keys:8081",
    http_log="/dev/stdout",
)
"""The server of ``deploy/``: the same behaviour, reached from private networks only."""


def render(settings: RtmpSettings) -> str:
    """nginx's configuration."""
    process = ["user root;"] if settings.as_root else []
    process += ["master_process off;  # nothing is left of it when it is killed"] if settings.single_process else []
    folder = Path(settings.folder)
    return _TEMPLATE.substitute(
        vars(settings),
        application=APPLICATION,
        process="\n".join(process) or "# user: whoever starts it",
        module=_quoted(settings.module),
        pid=_quoted(folder / "nginx.pid"),
        error_log=_quoted(settings.error_log),
        access="\n".join(_rules(settings.allow, "publish ") + _rules(settings.allow, "play ")),
        http_access="\n".join(_rules(settings.allow)),
        keys="" if settings.keys_url is None else "".join(_asks(settings.keys_url)),
        **{f"temporary_{name}": _quoted(folder / name) for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi")},
    )


def find_module(folders: Sequence[Path] = MODULE_FOLDERS) -> Path:
    """The RTMP module of the installed nginx.

    Raises:
        ServerError: it is not installed; says how to install it.
    """
    found = next((folder / _MODULE_NAME for folder in folders if (folder / _MODULE_NAME).is_file()), None)
    if found is None:
        raise ServerError("nginx's RTMP module is not installed; on Debian and Ubuntu: apt install libnginx-mod-rtmp")
    return found


def _quoted(path: str | Path) -> str:
    """A path as one word of nginx's language: folders may have spaces, quotes and braces in their names."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _asks(keys_url: str) -> list[str]:
    return [f"\n            on_{call} {keys_url}/on_{call};  # a wrong key is refused" for call in ("publish", "play")]


def _rules(allow: tuple[str, ...], action: str = "") -> list[str]:
    return [f"            {rule};" for rule in (*(f"allow {action}{network}" for network in allow), f"deny {action}all")]


if __name__ == "__main__":
    import sys

    sys.stdout.write(render(DEPLOYMENT))
