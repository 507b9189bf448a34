"""nginx's configuration, judged by nginx."""

import dataclasses
import subprocess
from pathlib import Path

import pytest

from raycctv.errors import ServerError
from raycctv.rtmp.config import DEPLOYMENT, RtmpSettings, find_module, render
from raycctv.rtmp.server import find_nginx, free_ports

REPOSITORY = Path(__file__).resolve().parents[2]


def judged(settings: RtmpSettings, folder: Path) -> str:
    """What ``nginx -t`` says; an empty text where it has nothing to say against it."""
    path = folder / "nginx.conf"
    path.write_text(render(settings))
    done = subprocess.run(
        [find_nginx(), "-t", "-q", "-c", path, "-e", "stderr"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert bool(done.returncode) == ("[emerg]" in done.stderr), done
    return done.stderr


def test_deployment_configuration_is_the_committed_file() -> None:
    committed = (REPOSITORY / "deploy" / "nginx" / "nginx.conf").read_text()
    assert committed == render(DEPLOYMENT), "python -m raycctv.rtmp.config > deploy/nginx/nginx.conf"


def test_deployment_configuration_is_one_that_nginx_takes(tmp_path: Path) -> None:
    rtmp_port, http_port = free_ports(2)
    moved = dataclasses.replace(
        DEPLOYMENT, folder=str(tmp_path), rtmp_port=rtmp_port, http_port=http_port, module=str(find_module()),
        keys_url="http://127.0.0.1:8081",  # a name that is not of this network is an error
    )  # fmt: skip
    assert judged(moved, tmp_path) == ""


def test_local_and_deployed_servers_treat_streams_alike(tmp_path: Path) -> None:
    local = RtmpSettings(str(tmp_path), "stderr", 1935, 8080, DEPLOYMENT.module)

    def application(settings: RtmpSettings) -> list[str]:
        text = render(settings).partition("application")[2].partition("}")[0]
        return [line for line in text.splitlines() if "allow" not in line and "on_p" not in line]

    assert application(local) == application(DEPLOYMENT)
    assert "            live on;" in application(local)


@pytest.mark.parametrize("name", ["my cameras", 'a "quoted" one', "{braces}; and more", "back\\slash", "$dollar", "über"])
def test_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    rtmp_port, http_port = free_ports(2)
    settings = RtmpSettings(str(folder), str(folder / "error.log"), rtmp_port, http_port, str(find_module()))
    assert judged(settings, folder) == ""
    assert (folder / "error.log").exists()


def test_missing_module_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="apt install libnginx-mod-rtmp"):
        find_module([tmp_path])
