"""The real application, with accounts, a catalog and footage."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import FOOTAGE_S, GATE, SEGMENT_S, YARD, Desk, FakeCluster, add_people, record, status
from fastapi.testclient import TestClient
from support import NS, T0_NS, event

from raycctv.clock import ManualClock
from raycctv.config import Camera, Config, Console, Logs, Recording, StreamUrl
from raycctv.console.accounts import Accounts
from raycctv.console.app import create_app
from raycctv.console.database import DATABASE_NAME
from raycctv.recording.catalog import CATALOG_NAME, Catalog


@pytest.fixture(scope="session")
def fragmented(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as a recorder writes it: fragmented MP4."""
    path = tmp_path_factory.mktemp("fragmented") / "clip.mp4"
    command = [
        "ffmpeg",
        "-loglevel",
        "error",
        "-i",
        str(clip),
        "-c",
        "copy",
        "-movflags",
        "frag_keyframe+empty_moov+default_base_moof",
    ]
    subprocess.run([*command, str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def furnished(fragmented: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording folder: two cameras with footage and events; admin, operator, and viewer, who sees the gate alone."""
    root = tmp_path_factory.mktemp("furnished")
    with Catalog(root / CATALOG_NAME) as catalog:
        for start_s in FOOTAGE_S:
            record(catalog, root, GATE, fragmented, start_s)
        record(catalog, root, YARD, fragmented, 0)
        catalog.put_event(event("e-gate", "gate", "person", 2, 8))
        catalog.put_event(event("e-yard", "yard", "car", 3, 9))
        catalog.put_event(event("e-offline", "gate", "camera_offline", 30, 60))
    accounts = Accounts.open(root / DATABASE_NAME, ManualClock(T0_NS))
    add_people(accounts)
    accounts.close()
    return root


@pytest.fixture
def desk(tmp_path: Path, furnished: Path) -> Iterator[Desk]:
    """The furnished folder with a console to it."""
    root = tmp_path / "recordings"
    shutil.copytree(furnished, root)
    config = Config(
        cameras={name: Camera(source=StreamUrl.parse(f"rtmp://127.0.0.1:9/live/{name}")) for name in (GATE, YARD)},
        recording=Recording(root=root, segment_s=SEGMENT_S),
        logs=Logs(dir=tmp_path / "log"),
        console=Console(),
    )
    clock = ManualClock(T0_NS + 100 * NS)
    accounts = Accounts.open(root / DATABASE_NAME, clock)
    cluster = FakeCluster(status())
    app = create_app(config, cluster, accounts, clock, None)
    with TestClient(app), Catalog(root / CATALOG_NAME) as catalog:  # its lifespan
        yield Desk(app, config, clock, cluster, catalog, accounts, root)
    accounts.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    """The administrator's browser."""
    return desk.browser("admin")


@pytest.fixture
def operator(desk: Desk) -> TestClient:
    return desk.browser("operator")


@pytest.fixture
def viewer(desk: Desk) -> TestClient:
    """Sees the gate, not the yard."""
    return desk.browser("viewer")


@pytest.fixture
def stranger(desk: Desk) -> TestClient:
    """Nobody is logged in."""
    return desk.browser()
