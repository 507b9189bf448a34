"""A camera's stream as a fragmented MP4 for everybody who looks: one ffmpeg a camera, from the first viewer to the last.

ffmpeg copies; the fragments that it writes go to every viewer, whose clock begins with 0. A new viewer begins with the last
keyframe, which is kept. One that does not read is cut when too much waits for it: live is now, and memory is not for those who
have stopped looking. When the camera goes, its viewers' streams end; they ask again.
"""

import asyncio
import contextlib
import logging
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import ffmpeg

from raycctv.config import StreamUrl
from raycctv.console.media.fragmented import Fragment, FragmentedStream, Init
from raycctv.errors import StreamEnded, StreamUnreachable
from raycctv.recording.command import AUDIO_REFUSED, protocol_options
from raycctv.redact import redact
from raycctv.types import CameraName

log = logging.getLogger(__name__)

FIRST_S = 12.0
"""Time for which a viewer waits for the first picture: longer than ffmpeg waits for a camera that is away."""

WAITING_MAX_BYTES = 16_000_000
"""What may wait for one viewer: 32 s of 4 Mbit/s. It begins with up to a whole GOP."""

_GOP_MAX_BYTES = 12_000_000
_FRAGMENT_US = 250_000
"""So much later than the camera's is a picture shown, at least."""

_ANALYZE_US = 1_000_000
_READ_BYTES = 1 << 16
_ENDING_S = 2.0


class Viewer:
    """What waits for one who looks. Use it from the event loop that made it."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._zero_s: float | None = None
        self._news = asyncio.Event()
        self.over = asyncio.Event()
        """Set when nothing more comes: the camera is gone, or the viewer is too slow."""

    def give(self, init: Init, fragment: Fragment) -> None:
        """Put a fragment at the end; the first one must begin with a keyframe."""
        if self.over.is_set():
            return
        if self._zero_s is None:
            self._zero_s = fragment.begins_s
            self._put(init.data)
        self._put(fragment.since(self._zero_s))
        if self._waiting_bytes > WAITING_MAX_BYTES:
            self.end()

    @property
    def begun(self) -> bool:
        return self._zero_s is not None

    def end(self) -> None:
        """Nothing more comes, and what waits is not sent."""
        self.over.set()
        self._waiting.clear()
        self._news.set()

    async def parts(self) -> AsyncGenerator[bytes, None]:
        """What comes, until it is over."""
        while not self.over.is_set():
            while self._waiting:
                part = self._waiting.popleft()
                self._waiting_bytes -= len(part)
                yield part
            self._news.clear()
            await self._news.wait()

    def _put(self, part: bytes) -> None:
        self._waiting.append(part)
        self._waiting_bytes += len(part)
        self._news.set()


class Remux:
    """One camera's ffmpeg and its viewers."""

    def __init__(self, camera: CameraName, source: StreamUrl) -> None:
        self.viewers: set[Viewer] = set()
        self._camera, self._source = camera, source
        self._init: Init | None = None
        self._gop: list[Fragment] = []
        self._process: Process | None = None
        self._ending = False
        self._began: asyncio.Future[Init] = asyncio.get_running_loop().create_future()
        self._began.add_done_callback(lambda done: done.exception())  # nobody may be left who asks
        self._task = asyncio.create_task(self._run(), name=f"remux {camera}")

    @property
    def pid(self) -> int | None:
        """Of its ffmpeg, while that runs."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return not self._task.done()

    async def began(self) -> Init:
        """The header, once the first one has come.

        Raises:
            StreamError: none comes.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(self._began), FIRST_S)
        except TimeoutError:
            raise StreamUnreachable(f"{self._camera}: nothing has come for {FIRST_S:g} s") from None

    def join(self, viewer: Viewer) -> None:
        """From now on the viewer gets what comes, beginning with the last keyframe."""
        self.viewers.add(viewer)
        if self._init is not None and self._gop:
            for fragment in self._gop:
                viewer.give(self._init, fragment)

    async def close(self) -> None:
        """End ffmpeg, and wait until it has ended. Idempotent: to cancel again would interrupt the ending."""
        if not self._ending:
            self._ending = True
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        error = ""
        try:
            error = await self._relay(transcode_audio=False)
            if AUDIO_REFUSED in error and self._init is None:
                error = await self._relay(transcode_audio=True)
            log.info("%s: its live stream has ended%s", self._camera, f": {error}" if error else "")
        finally:
            if not self._began.done():
                self._began.set_exception(StreamEnded(f"{self._camera}: shows nothing: {error or 'the camera is away'}"))
            for viewer in self.viewers:
                viewer.end()

    async def _relay(self, *, transcode_audio: bool) -> str:
        """Runs ffmpeg until its end; returns what it said last."""
        command = remux_command(self._source, transcode_audio=transcode_audio)
        self._process = process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        said = asyncio.create_task(_last_said(process.stderr))
        stream = FragmentedStream()
        try:
            while data := await process.stdout.read(_READ_BYTES):
                for item in stream.feed(data):
                    self._take(item)
        except ValueError as error:
            log.warning("%s: its live stream cannot be shown: %s", self._camera, error)
            return str(error)
        finally:
            await _ended(process)
            self._process, told = None, await said
        return redact(told)

    def _take(self, item: Init | Fragment) -> None:
        if isinstance(item, Init):
            self._init = item
            return
        assert self._init is not None
        if item.keyframe:
            self._gop.clear()
            if not self._began.done():
                self._began.set_result(self._init)
        if item.keyframe or self._gop:
            self._gop.append(item)
        if sum(len(fragment.data) for fragment in self._gop) > _GOP_MAX_BYTES:
            self._gop.clear()
        for viewer in list(self.viewers):
            if viewer.begun or item.keyframe:
                viewer.give(self._init, item)


class Streams:
    """The cameras that somebody looks at. Use it from one event loop.

    Args:
        source_of: where a camera's stream is.
    """

    def __init__(self, source_of: Callable[[CameraName], StreamUrl]) -> None:
        self._source_of = source_of
        self._remuxes: dict[CameraName, Remux] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> dict[CameraName, int]:
        """How many look at each camera that somebody looks at."""
        return {camera: len(remux.viewers) for camera, remux in self._remuxes.items()}

    def pid(self, camera: CameraName) -> int | None:
        """Of the camera's ffmpeg, while that runs."""
        return remux.pid if (remux := self._remuxes.get(camera)) else None

    @contextlib.asynccontextmanager
    async def watch(self, camera: CameraName) -> AsyncIterator[tuple[Init, Viewer]]:
        """Look at a camera.

        Raises:
            StreamError: it shows nothing.
        """
        viewer = Viewer()
        remux = self._remuxes.get(camera)
        if remux is None or not remux.running:
            remux = self._remuxes[camera] = Remux(camera, self._source_of(camera))
        remux.join(viewer)
        try:
            yield await remux.began(), viewer
        finally:
            viewer.end()
            remux.viewers.discard(viewer)
            if not remux.viewers:
                self._end(camera, remux)

    async def close(self) -> None:
        """Everybody's streams end."""
        for camera, remux in list(self._remuxes.items()):
            self._end(camera, remux)
        await asyncio.gather(*self._closing)

    def _end(self, camera: CameraName, remux: Remux) -> None:
        if self._remuxes.get(camera) is remux:
            del self._remuxes[camera]
        task = asyncio.create_task(remux.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def remux_command(source: StreamUrl, *, transcode_audio: bool = False) -> list[str]:
    """The argv of an ffmpeg that writes the stream to its standard output, a fragment at each keyframe and four a second."""
    stream = ffmpeg.input(source.reveal(), analyzeduration=_ANALYZE_US, fpsprobesize=0, **protocol_options(source))
    output = ffmpeg.output(
        stream["v:0"],
        stream["a?"],
        "pipe:1",
        **{"c:v": "copy", "c:a": "aac" if transcode_audio else "copy"},
        f="mp4",
        movflags="+frag_keyframe+empty_moov+default_base_moof",
        frag_duration=_FRAGMENT_US,
        flush_packets=1,
    )
    argv: list[str] = ffmpeg.compile(output.global_args("-nostdin", "-loglevel", "error"))
    return argv


async def _last_said(stream: asyncio.StreamReader) -> str:
    """The last lines."""
    last: deque[bytes] = deque(maxlen=4)
    while line := await stream.readline():
        last.append(line.strip())
    return b"; ".join(last).decode(errors="replace")


async def _ended(process: Process) -> None:
    """See that it ends, whatever it does, and that nothing of it stays open."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):  # terminate() would also wait for it, which is asyncio's part
            os.kill(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(_emptied(process), _ENDING_S)
    except TimeoutError:
        process.kill()
        await _emptied(process)


async def _emptied(process: Process) -> None:
    """It ends only when somebody takes what it still writes."""
    assert process.stdout is not None
    while await process.stdout.read(_READ_BYTES):
        pass
    await process.wait()
